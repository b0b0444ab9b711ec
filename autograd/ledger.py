"""The ledger: what a function and each way to its derivatives cost, counted and measured.

`compare_modes` runs a function, one forward sweep, the full derivative by forward and by reverse
mode, forward over reverse, and reverse mode with recomputation, all on the user's own arguments.
`scaling` does so for several sizes, and fits how each cost grows.

mode       a way to evaluate a function or its derivatives; its cost includes the function's value
seeds      the directions (forward) or weightings of the results (reverse) a mode starts from
sweep      one run over all operations, for any number of seeds together
saved      bytes of the arrays that the recorded graph keeps for the sweep back
moved      bytes that operations read and write: arguments and results, at every operation
"""

import gc
import html
import math
import shutil
import textwrap
import time
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from .batch import Batch
from .checkpoint import checkpoint
from .counted import Counts, count_operations
from .graph import Node, history, levels
from .matrices import at_once, basis, hvp
from .primitive import Wrapper, leaves, plain
from .repeat import Memo
from .transforms import Recorded, called, jvp, named
from .tree import flatten

BOUND = 4  # what the cheap-gradient principle promises, times f's operations
SAMPLE = 2e-4  # seconds: what takes less is run several times, and the mean is one measurement
TRACING = 4  # how much slower Python may run while its memory is traced

_NOTHING = nullcontext()


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
    case = _Case(f, args)
    accounts = [_Account(mode, case) for mode in case.modes()]
    for account in accounts:
        account.count()
    _measure([a for a in accounts if not a.problem], repeats, seconds)
    rows = [account.row() for account in accounts]
    return Comparison(called(f), case.inputs, case.outputs, case.scalar, rows)


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


# --- one function at its arguments ----------------------------------------------------------------


class _Case:
    """A function at its arguments, as a program of its floating-point leaves alone."""

    def __init__(self, f, args):
        self.f = f
        self.leaves, rebuild = flatten(args)
        self.places = [i for i, leaf in enumerate(self.leaves) if _is_float(leaf)]
        self.xs = [plain(self.leaves[i]) for i in self.places]
        if not sum(map(np.size, self.xs)):
            raise TypeError(
                f"compare_modes: {called(f)} was given no floating-point argument to "
                f"differentiate by; write 2.0 instead of 2, or x.astype(float)"
            )

        def program(*xs):
            every = list(self.leaves)
            for i, x in zip(self.places, xs, strict=True):
                every[i] = x
            return f(*rebuild(every))

        self.program = named(program, f)  # errors speak of f
        self.own_args = rebuild([plain(x) if _is_float(x) else x for x in self.leaves])
        self.memo = Memo()
        try:
            with self.memo.first():
                run = Recorded(program, self.argnums, self.xs, {})
        finally:
            self.undo()
        self.ys = self.results(run)
        self.saved = _kept(run, self.leaves)
        self.step = at_once(run)

    def undo(self):
        """Put generators and buffers back to where they were before the first evaluation."""
        for generator, state in reversed(self.memo.draws):
            generator.bit_generator.state = state
        for (_, name), (buffers, before) in self.memo.buffers.items():
            buffers[name] = before

    def again(self):
        """A block in which f, evaluated once, draws what it drew first, and changes no buffer."""
        return self.memo.again() if self.memo.draws or self.memo.buffers else _NOTHING

    @property
    def argnums(self):
        return tuple(range(len(self.xs)))

    def results(self, run):
        """The plain results of a recorded run; TypeError where there are none."""
        if not sum(map(np.size, run.values)):
            raise TypeError(
                f"compare_modes: {called(self.f)} returned {run.result!r}; return a number, an "
                f"array, or a tree of arrays"
            )
        return [plain(value) for value in run.values]

    @property
    def inputs(self):
        return sum(map(np.size, self.xs))

    @property
    def outputs(self):
        return sum(map(np.size, self.ys))

    @property
    def scalar(self):
        return len(self.ys) == 1 and self.outputs == 1

    def modes(self):
        """Every mode that applies, in the order of the table."""
        program, xs, ys = self.program, self.xs, self.ys
        what = "gradient" if self.scalar else "Jacobian"

        def pulled(f):
            if self.scalar:
                return dict(run=self.recorded(f, Recorded.pull_leaves), seeds=_all_ones(ys))
            run = self.recorded(f, _together(Recorded.pull_leaves))
            return dict(run=run, seeds=_units(ys), total=self.outputs, step=self.step)

        def alone(xs, seeds):  # timed without putting Modules together, which is no work of f's
            return self.f(*self.own_args) if xs is self.xs else program(*xs)

        yield _Mode("f", alone, lambda *part: [])
        yield _Mode(
            "one direction (jvp)",
            lambda xs, seeds: [jvp(program, tuple(xs), tuple(ts)) for ts in seeds],
            _all_ones(xs),
        )
        yield _Mode(
            f"forward {what}",
            self.recorded(program, _together(Recorded.push)),
            _units(xs),
            saved=lambda: self.saved,
            total=self.inputs,
            step=self.step,
        )
        yield _Mode(f"reverse {what}", **pulled(program), saved=lambda: self.saved)
        if self.scalar:
            yield _Mode(
                "hvp (forward over reverse)",
                lambda xs, seeds: [hvp(program, tuple(xs), tuple(ts)) for ts in seeds],
                _all_ones(xs),
                saved=self.saved_by_hvp,
            )
        yield _Mode(
            "checkpointed reverse",
            **pulled(checkpoint(program)),
            saved=lambda: self.saved_by(checkpoint(program), self.xs),
        )

    def recorded(self, f, sweep):
        """What runs a mode that records f once, and then sweeps over the graph for all seeds."""

        def run(xs, seeds):
            recorded = Recorded(f, self.argnums, xs, {})
            return [sweep(recorded, part) for part in seeds]

        return run

    def saved_by(self, f, xs):
        """Bytes of the graph that recording f keeps."""
        return _kept(Recorded(f, self.argnums, xs, {}), self.leaves)

    def saved_by_hvp(self):
        """The same where the graph holds values with their tangents."""
        found = []

        def value(*xs):
            found.append(self.saved_by(self.program, xs))
            return 0.0

        jvp(value, tuple(self.xs), tuple(map(_ones, self.xs)))
        return found[0]


def _is_float(leaf):
    if type(leaf) is float:
        return True
    dtype = getattr(leaf, "dtype", None)
    return getattr(dtype, "kind", None) == "f"


def _ones(x):
    return 1.0 if type(x) is float else np.ones_like(x)


def _all_ones(values):
    return lambda *part: list(map(_ones, values))


def _units(values):
    return lambda *part: basis(values, *part)


def _together(sweep):
    """The sweep for many seeds as one array each, their first axis counting them."""

    def batched(recorded, seeds):
        level = next(levels)
        return sweep(recorded, [Batch(seed, level) for seed in seeds])

    return batched


@dataclass
class _Mode:
    """What is run for a row of the table.

    run     ``(xs, seeds)`` -> what the mode computes, at the arguments' leaves `xs`; `seeds` has
            an entry for each sweep
    seeds   ``(start, stop)`` -> the entry for the seeds number start ... stop - 1
    saved   () -> bytes that the recorded graph keeps
    total   how many seeds there are, of which a sweep takes `step`
    """

    name: str
    run: Callable
    seeds: Callable
    saved: Callable = lambda: 0
    total: int = 1
    step: int = 1

    @property
    def parts(self):
        """Start and stop of the seeds of each sweep."""
        starts = range(0, self.total, self.step)
        return [(start, min(start + self.step, self.total)) for start in starts]

    def __call__(self, xs, parts):
        """The results of the sweeps over `parts`."""
        return self.run(xs, [self.seeds(*part) for part in parts])


# --- counting and measuring -----------------------------------------------------------------------


class _Account:
    """The costs of one mode while they are found out."""

    def __init__(self, mode, case):
        self.mode, self.case = mode, case
        self.parts = self.timed = mode.parts  # all sweeps, and those that are run to be measured
        self.loops, self.times = 1, []
        self.counts = self.peak = self.saved = self.problem = None

    def count(self):
        """Operations and saved bytes, exactly: sweeps for as many seeds cost the same."""
        sizes = [stop - start for start, stop in self.parts]
        try:
            before = self.counted([])
            found = before
            for size in {*sizes}:
                sweep = self.counted([self.parts[sizes.index(size)]]) - before
                found = sum([sweep] * sizes.count(size), found)
            with self.case.again():
                self.saved = self.mode.saved()
        except TypeError as error:  # an operation without a rule for this mode
            if self.mode.name == "f":
                raise
            self.problem = str(error)
        else:
            self.counts = found

    def counted(self, parts):
        """The counts of a run of these sweeps."""
        seeds = [self.mode.seeds(*part) for part in parts]
        with self.case.again():
            return count_operations(self.mode.run, self.case.xs, seeds)

    def sample(self):
        """The time of one run, noted."""
        xs, timed, run, clock = self.case.xs, self.timed, self.mode, time.perf_counter
        again = self.case.again
        collecting = gc.isenabled()
        gc.disable()
        try:
            start = clock()
            for _ in range(self.loops):
                with again():
                    run(xs, timed)
            spent = clock() - start
        finally:
            if collecting:
                gc.enable()
        self.times.append(spent / self.loops * len(self.parts) / len(self.timed))
        return spent

    def first(self, allowed):
        """A first measurement; where one sweep says all take too long, of a part of them."""
        self.timed = self.parts[:1]
        spent = self.sample()
        if len(self.parts) > 1:
            self.timed = self.parts[: max(1, int(allowed / spent))]
            self.times.clear()
            spent = self.sample()
        self.loops = max(1, math.ceil(SAMPLE / max(spent, 1e-9)))

    def expected(self):
        """The seconds that one more run will take."""
        return self.times[-1] * len(self.timed) / len(self.parts)

    def measure_peak(self):
        """The most memory allocated at one time during a run."""
        tracing = tracemalloc.is_tracing()
        if not tracing:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with self.case.again():
                self.mode(self.case.xs, self.timed)
            self.peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            if not tracing:
                tracemalloc.stop()

    def row(self):
        """The finished row."""
        return Row(
            self.mode.name, self.counts, tuple(self.times), len(self.timed) == len(self.parts),
            self.peak, self.saved, self.problem,
        )  # fmt: skip


def _measure(accounts, repeats, seconds):
    """Times and peaks, of all in turns, so that a change of the machine's pace meets all alike."""
    deadline, share = time.perf_counter() + seconds, seconds / len(accounts)
    for account in accounts:
        account.first(share / 4)
    for account in sorted(accounts, key=_Account.expected):
        if TRACING * account.expected() < max(share, deadline - time.perf_counter()):
            account.measure_peak()
    warm_up = True
    for _ in range(repeats):
        for account in accounts:
            if time.perf_counter() + account.expected() * account.loops > deadline:
                continue
            if warm_up and len(account.times) == 1:
                account.times.clear()
            account.sample()
        warm_up = False


def _kept(run, arguments):
    """Bytes of the arrays that a recorded run's graph keeps alive, the arguments' apart.

    Arrays that share memory count once, and whole: a view keeps all of its base.
    """
    given = _owners([*arguments, *(v.node.value for v in run.variables)])
    kept = {}
    for node in history(*(node for node in run.nodes if node)):
        options = leaves(node.options or {})
        constants = [x for x in (*node.inputs, *options) if not isinstance(x, (Node, float))]
        kept |= _owners([node.value, *constants])
    return sum(size for owner, size in kept.items() if owner not in given)


def _owners(values):
    """id -> bytes of the memory that `values` stand for, inside wrappers too."""
    found = {}
    for value in leaves(list(values)):
        if isinstance(value, Wrapper):
            inner = [getattr(value, name, None) for name in ("inside", "tangent")]
            found |= _owners(x for x in inner if x is not None)
        elif type(value) is float:
            found[id(value)] = 8
        elif hasattr(value, "nbytes"):
            while isinstance(getattr(value, "base", None), np.ndarray):
                value = value.base
            found[id(value)] = value.nbytes
    return found


# --- what is handed out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """The costs of one mode.

    counts    its operations: a `Counts`; None where the mode does not apply, see `problem`
    times     every measurement, in seconds
    whole     whether all sweeps were timed; otherwise a part was, and multiplied
    peak      the most bytes allocated at one time, results included; of what was timed; None
              where there was no time left to measure it
    saved     bytes of the arrays that the recorded graph keeps, the arguments apart
    problem   why there are no costs
    """

    name: str
    counts: Counts | None
    times: tuple = ()
    whole: bool = True
    peak: int | None = None
    saved: int | None = None
    problem: str | None = None

    @property
    def median(self):
        """The median of the times."""
        return self.quartiles[1]

    @property
    def quartiles(self):
        """First quartile, median and third quartile of the times."""
        return tuple(np.percentile(self.times, [25, 50, 75]).tolist())

    @property
    def moved(self):
        """Bytes read and written by the operations."""
        return self.counts.bytes_read + self.counts.bytes_written

    def to_dict(self):
        """Plain numbers by name, for JSON."""
        if self.problem:
            return {"name": self.name, "problem": self.problem}
        return {
            "name": self.name,
            "counts": self.counts.to_dict(),
            "total": self.counts.total,
            "times": list(self.times),
            "median": self.median,
            "quartiles": [self.quartiles[0], self.quartiles[2]],
            "whole": self.whole,
            "peak_bytes": self.peak,
            "saved_bytes": self.saved,
        }


class Comparison:
    """What one function costs in every mode: a table, in terminals and notebooks; see `plot`.

    rows   a `Row` for each mode, f itself first
    """

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
        return self["reverse gradient"].counts.total <= BOUND * self.rows[0].counts.total

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

    # --- as text ---

    def __repr__(self):
        return self.text(shutil.get_terminal_size().columns)

    def text(self, width=80):
        """The table in lines of at most `width` characters, counts in full where they fit."""
        rows = [row for row in self.rows if row.counts]
        for exact in (True, False):
            table = [self._operations(row, exact) for row in rows]
            heads = ["operations", *self._classes().values(), "total", "× f"]
            operations = _aligned(heads, table)
            if len(operations[0]) <= width:
                break
        measured = _aligned(*self._measured(rows))
        notes = [line for note in self._notes() for line in textwrap.wrap(note, width)]
        return "\n".join([self._title(), "", *operations, "", *measured, "", *notes])

    def _title(self):
        return f"{self.name}: {_numbers(self.inputs)} → {_numbers(self.outputs)}"

    def _classes(self):
        """field -> heading of the classes of operations in which anything was counted."""
        found = {
            name: head for name, head in CLASSES.items()
            if any(_in_class(row.counts, name) for row in self.rows if row.counts)
        }  # fmt: skip
        return found

    def _operations(self, row, exact):
        show = "{:,}".format if exact else _short
        ratio = self.ratio(row)
        return [
            row.name,
            *(show(_in_class(row.counts, name)) for name in self._classes()),
            show(row.counts.total),
            "–" if ratio is None else f"{ratio:,.2f}" if ratio < 1000 else _short(ratio),
        ]

    def _measured(self, rows):
        heads = ["time and memory", "median", "quartiles", "peak", "saved", "moved"]
        lines = []
        for row in rows:
            low, _, high = row.quartiles
            lines.append(
                [row.name, _typical(row), _between(low, high)]
                + [_bytes(row.peak), _bytes(row.saved or None), _bytes(row.moved)]
            )
        return heads, lines

    def _notes(self):
        f = self.rows[0].counts.total
        if self.bound_holds is not None:
            gradient = self["reverse gradient"].counts.total
            verdict, than = ("holds", "at most") if self.bound_holds else ("fails", "more than")
            yield (
                f"The cheap-gradient bound {verdict}: value and reverse gradient together take "
                f"{gradient:,} operations, {than} {BOUND} times the {f:,} of f."
            )
        if self.rows[0].counts.calls:
            yield f"Calls by f: {_calls(self.rows[0].counts)}."
        runs = [len(row.times) for row in self.rows if row.counts]
        most = f"{max(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
        yield f"Times: median and quartiles of {most} run{'s' * (max(runs) > 1)}."
        for row in self.rows:
            if row.problem:
                yield f"No {row.name}: {row.problem}."
            elif not row.whole:
                yield f"~ {row.name}: a part of its sweeps was run; the time is multiplied."

    # --- in notebooks ---

    def _repr_html_(self):
        rows = [row for row in self.rows if row.counts]
        heads, measured = self._measured(rows)
        heads = ["", *self._classes().values(), "total", "× f", *heads[1:]]
        lines = [
            self._operations(row, True) + cells[1:]
            for row, cells in zip(rows, measured, strict=True)
        ]
        titles = [_calls(row.counts) for row in rows]
        return _html(self._title(), heads, lines, titles, list(self._notes()))

    # --- as a picture ---

    def plot(self):
        """Bars for every mode's operations, time and memory, as a matplotlib Figure."""
        plt = _pyplot()
        rows = [row for row in self.rows if row.counts][::-1]
        panels = {
            "operations": [(row.counts.total, _short(row.counts.total)) for row in rows],
            "median time": [(row.median, _typical(row)) for row in rows],
            "peak memory": [(row.peak, _bytes(row.peak)) for row in rows],
        }
        figure, axes = plt.subplots(
            1, len(panels), figsize=(11, 0.8 + 0.42 * len(rows)), sharey=True, layout="constrained"
        )
        names, colors = [row.name for row in rows], [_color(row.name) for row in rows]
        for ax, (title, bars) in zip(axes, panels.items(), strict=True):
            lengths = [value or math.nan for value, _ in bars]
            drawn = ax.barh(names, lengths, color=colors)
            ax.bar_label(drawn, [label for _, label in bars], padding=3, fontsize=8)
            _log_axis(ax, lengths)
            ax.set_title(title, fontsize=10)
            ax.spines[["top", "right"]].set_visible(False)
        figure.suptitle(self._title(), fontsize=11)
        return figure


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
            name: {what: _slope(*self._points(name, cost)) for what, cost in COSTS.items()}
            for name in self.modes
        }

    @property
    def modes(self):
        """The names of the modes that apply at every size."""
        rows = [[row.name for row in c.rows if row.counts] for c in self.comparisons]
        return [name for name in rows[0] if all(name in others for others in rows)]

    def _points(self, name, cost):
        """Sizes and costs where there is a cost."""
        found = [cost(comparison[name]) for comparison in self.comparisons]
        pairs = [(n, c) for n, c in zip(self.sizes, found, strict=True) if c]
        return [n for n, _ in pairs], [c for _, c in pairs]

    def to_dict(self):
        """Everything as plain numbers, strings, lists and dicts, for JSON."""
        return {
            "sizes": self.sizes,
            "exponents": self.exponents,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }

    def _title(self):
        return f"{self.comparisons[0].name}: growth over sizes {', '.join(map(str, self.sizes))}"

    def _table(self):
        heads = ["cost grows as size to the power", *COSTS]
        lines = [
            [name, *(_power(p) for p in found.values())] for name, found in self.exponents.items()
        ]
        return heads, lines

    def __repr__(self):
        return "\n".join([self._title(), "", *_aligned(*self._table())])

    def _repr_html_(self):
        heads, lines = self._table()
        return _html(self._title(), heads, lines)

    def plot(self):
        """Operations, time and memory over size, both logarithmic, as a matplotlib Figure."""
        plt = _pyplot()
        shown = {"operations": "operations", "time": "time in s", "peak": "peak memory in bytes"}
        figure, axes = plt.subplots(1, len(shown), figsize=(12, 5.6), layout="constrained")
        for ax, (what, title) in zip(axes, shown.items(), strict=True):
            for name, marker in zip(self.modes, "osv^Dx", strict=False):
                power = self.exponents[name][what]
                label = f"{name}: {_power(power)}"
                points = self._points(name, COSTS[what])
                ax.loglog(*points, marker=marker, markersize=4, color=_color(name), label=label)
            ax.set_title(title, fontsize=10)
            ax.set_xlabel("size")
            ax.set_xticks(self.sizes, [f"{n:,}" for n in self.sizes])
            ax.minorticks_off()
            ax.grid(alpha=0.3)
            ax.legend(
                fontsize=8, title="mode: exponent", title_fontsize=8, frameon=False,
                loc="upper center", bbox_to_anchor=(0.5, -0.13),
            )  # fmt: skip
            ax.spines[["top", "right"]].set_visible(False)
        figure.suptitle(self._title(), fontsize=11)
        return figure


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


# --- text, HTML and pictures ----------------------------------------------------------------------

CLASSES = {
    "additions": "add", "multiplications": "multiply", "divisions": "divide",
    "comparisons": "compare", "calls": "call", "gemm": "GEMM",
}  # fmt: skip
COLORS = {
    "f": "0.55", "one": "tab:olive", "forward": "tab:orange", "reverse": "tab:blue",
    "hvp": "tab:purple", "checkpointed": "tab:cyan",
}  # fmt: skip


def _color(name):
    return COLORS[name.split()[0]]


def _in_class(counts, name):
    value = getattr(counts, name)
    return sum(value.values()) if isinstance(value, dict) else value


def _calls(counts):
    """What a row's calls were, in words."""
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.calls.items()))


def _aligned(heads, lines):
    """Lines of a table: names to the left, the rest to the right."""
    table = [heads, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    first, *rest = widths

    def line(cells):
        cells = [f"{c:>{w}}" for c, w in zip(cells[1:], rest, strict=True)]
        return "  ".join([f"{{:<{first}}}", *cells])

    text = [line(cells).format(cells[0]) for cells in table]
    return [text[0], "─" * len(text[0]), *text[1:]]


def _html(title, heads, lines, titles=None, notes=()):
    right, left = "text-align: right", "text-align: left"

    def row(tag, cells, tip=""):
        tip = f' title="{html.escape(tip)}"' if tip else ""
        inside = "".join(
            f'<{tag} style="{right if i else left}; white-space: nowrap">{html.escape(c)}</{tag}>'
            for i, c in enumerate(cells)
        )
        return f"<tr{tip}>{inside}</tr>"

    body = "".join(
        row("td", line, tip) for line, tip in zip(lines, titles or [""] * len(lines), strict=True)
    )
    below = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
    return (
        f"<div><b>{html.escape(title)}</b><table><thead>{row('th', heads)}</thead>"
        f"<tbody>{body}</tbody></table><small>{below}</small></div>"
    )


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plot needs matplotlib: pip install matplotlib, or pip install 'speelpenning[learn]'"
        ) from None
    return plt


def _log_axis(ax, lengths):
    """A logarithmic axis with room for the numbers beside the bars."""
    known = [x for x in lengths if x > 0]
    ax.set_xscale("log")
    if known:
        low, high = min(known) / 2, max(known)
        ax.set_xlim(low, high * (high / low) ** 0.35)
    ax.tick_params(axis="x", labelsize=8)
    ax.minorticks_off()


def _power(p):
    return "–" if p is None else f"{round(p, 2) + 0.0:.2f}"  # no "-0.00"


def _numbers(n):
    return "1 number" if n == 1 else f"{n:,} numbers"


def _short(n):
    """Three digits and a unit: 1,234,567 is 1.23M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= 0.9995 * size:
            return f"{_three(n / size)}{unit}"
    return f"{n:,.0f}" if n == int(n) else _three(n)


def _three(x):
    return f"{x:.2f}" if x < 9.995 else f"{x:.1f}" if x < 99.95 else f"{x:,.0f}"


def _seconds(t):
    unit, size = _unit(t)
    return f"{_three(t / size)} {unit}"


def _typical(row):
    return ("" if row.whole else "~") + _seconds(row.median)


def _between(low, high):
    unit, size = _unit(high)
    return f"{_three(low / size)}–{_three(high / size)} {unit}"


def _unit(t):
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
    return next(((u, size) for u, size in units if t >= 0.9995 * size), units[-1])


def _bytes(n):
    if n is None:
        return "–"
    return f"{n} B" if n < 1000 else f"{_short(n)[:-1]} {_short(n)[-1]}B"
