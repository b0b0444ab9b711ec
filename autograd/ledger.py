"""The ledger: what a function and each way to its derivatives cost, counted and measured.

`compare_modes` runs a function, one forward sweep, the full derivative by forward and by reverse
mode, forward over reverse, and reverse mode with recomputation, all on the user's own arguments:
see `autograd.measuring`.  `scaling` does so for several sizes, and fits how each cost grows.
"""

import shutil

import numpy as np

from .measuring import Account, Case, measure
from .primitive import telling
from .show import ledger as shown
from .transforms import called


@telling
def compare_modes(f, *args, repeats=20, seconds=5.0):
    """What `f` and its derivatives cost in every mode, at these arguments: a `Comparison`.

    args      floats, arrays, Modules (their parameters), or trees of these.  All floating-point
              leaves are differentiated by; integers and everything else are constants
    repeats   how often a time is measured, at most
    seconds   about how long measuring may take, besides the counting.  Of a mode that would take
              too long some of its sweeps are timed, and the result marked with ``~``

    Every mode includes the value of f.  The operations are counted, not estimated, in the usual
    model: an addition, multiplication, division, comparison or elementary call counts one each.
    For a function that returns one number, value and reverse gradient together should take at
    most 4 times its operations: the cheap-gradient bound.

    Every run of f makes the same random draws.  Generators, the default one or others, and the
    buffers of modules are left as they were found.

    >>> def product(ws):
    ...     p = 1.0
    ...     for w in ws:
    ...         p = p * w
    ...     return p
    >>> costs = compare_modes(product, [1.5, 2.0, 2.5], repeats=1)
    >>> {row.name: row.counts.total for row in costs.rows[:4]}
    {'f': 3, 'one direction (jvp)': 10, 'forward gradient': 24, 'reverse gradient': 8}
    >>> costs.bound_holds
    True
    """
    if not isinstance(repeats, (int, np.integer)) or repeats < 1:
        raise ValueError(f"compare_modes: repeats is a positive whole number, not {repeats!r}")
    if not seconds > 0:
        raise ValueError(f"compare_modes: seconds is a positive number, not {seconds!r}")
    case = Case(f, args)
    accounts = [Account(mode, case) for mode in case.modes()]
    for account in accounts:
        account.count()
    measure([a for a in accounts if not a.problem], repeats, seconds)
    rows = [account.row() for account in accounts]
    return Comparison(called(f), case.inputs, case.outputs, case.scalar, rows)


@telling
def scaling(make_f, sizes, repeats=10, seconds=2.0):
    """How the cost of every mode grows with the size of a problem: a `Scaling`.

    make_f    ``n -> (f, args)``: the function and the tuple of its arguments at size n
    sizes     at least two different positive numbers
    repeats, seconds   as for `compare_modes`, at each size

    >>> def squares(n):
    ...     return lambda x: np.sum(x * x), (np.ones(n),)
    >>> growth = scaling(squares, [256, 512, 1024], repeats=1)
    >>> round(growth.exponents["forward gradient"]["operations"], 2)
    2.0
    >>> round(growth.exponents["reverse gradient"]["operations"], 2)
    1.0
    """
    sizes = np.asarray(list(sizes)).tolist()  # Python's numbers, for JSON
    if len({*sizes}) < 2 or not min(sizes) > 0:
        raise ValueError(
            f"scaling: sizes={sizes}: a growth needs at least two different positive sizes"
        )
    comparisons = []
    for n in sizes:
        made = make_f(n)
        if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[1], (tuple, list)):
            raise TypeError(
                f"scaling: make_f({n}) returned a {type(made).__name__}; return (f, args), the "
                f"function and the tuple of its arguments"
            )
        f, args = made
        comparisons.append(compare_modes(f, *args, repeats=repeats, seconds=seconds))
    return Scaling(sizes, comparisons)


class Comparison:
    """What one function costs in every mode: a table, in terminals and notebooks; see `plot`.

    rows   a `Row` for each mode, f itself first
    """

    bound = 4  # what the cheap-gradient principle promises, times f's operations

    def __init__(self, name, inputs, outputs, scalar, rows):
        self.name, self.inputs, self.outputs, self.scalar = name, inputs, outputs, scalar
        self.rows = rows

    def __getitem__(self, name):
        """The row of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row {name!r}; there are {', '.join(r.name for r in self.rows)}")

    def ratio(self, row):
        """A row's operations as a multiple of f's; None where f has none."""
        own = self.rows[0].counts.total
        return row.counts.total / own if own and row.counts else None

    @property
    def bound_holds(self):
        """Whether value and reverse gradient take at most 4 times f's operations.

        None where f does not return one number, of which the bound says nothing, or has no
        reverse gradient.
        """
        if not self.scalar or self["reverse gradient"].problem:
            return None
        return self["reverse gradient"].counts.total <= self.bound * self.rows[0].counts.total

    def to_dict(self):
        """Everything as plain numbers, strings, lists and dicts, for JSON."""
        rows = [{**row.to_dict(), "ratio": self.ratio(row)} for row in self.rows]
        return {
            "function": self.name,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "rows": rows,
            "cheap_gradient_bound": self.bound_holds,
        }

    def __repr__(self):
        return self.text(shutil.get_terminal_size().columns)

    def text(self, width=80):
        """The table in lines of at most `width` characters, counts in full where they fit."""
        return shown.comparison_text(self, width)

    def _repr_html_(self):
        return shown.comparison_html(self)

    def plot(self):
        """Bars for every mode's operations, time and memory, as a matplotlib Figure."""
        return shown.comparison_plot(self)


class Scaling:
    """How the cost of every mode grows with a size: a table of exponents; see `plot`.

    sizes         of the problems
    comparisons   a `Comparison` at each
    exponents     mode -> {"operations", "time", "peak", "saved"} -> p, where the cost grows as
                  size to the power p: the slope of the straight line through the logarithms with
                  the least squares; None where a cost is missing or zero at fewer than two sizes
    """

    def __init__(self, sizes, comparisons):
        self.sizes, self.comparisons = sizes, comparisons
        self.exponents = {
            name: {what: _slope(*self.points(name, what)) for what in COSTS} for name in self.modes
        }

    @property
    def modes(self):
        """The names of the modes that apply at every size."""
        rows = [[row.name for row in c.rows if row.counts] for c in self.comparisons]
        return [name for name in rows[0] if all(name in others for others in rows)]

    def points(self, name, what):
        """The sizes at which the mode `name` has a cost of the kind `what`, and these costs."""
        found = [COSTS[what](comparison[name]) for comparison in self.comparisons]
        pairs = [(n, c) for n, c in zip(self.sizes, found, strict=True) if c]
        return [n for n, _ in pairs], [c for _, c in pairs]

    def to_dict(self):
        """Everything as plain numbers, strings, lists and dicts, for JSON."""
        return {
            "sizes": self.sizes,
            "exponents": self.exponents,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }

    def __repr__(self):
        return shown.scaling_text(self)

    def _repr_html_(self):
        return shown.scaling_html(self)

    def plot(self):
        """Operations, time and memory over size, both logarithmic, as a matplotlib Figure."""
        return shown.scaling_plot(self)


COSTS = {
    "operations": lambda row: row.counts.total,
    "time": lambda row: row.median,
    "peak": lambda row: row.peak,
    "saved": lambda row: row.saved,
}


def _slope(sizes, costs):
    if len({*sizes}) < 2:
        return None
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
