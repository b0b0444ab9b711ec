"""The planner: which way to compute a Jacobian, and why.

A Jacobian of m results by n arguments can be swept out in many ways, all with the same answer:

forward      n tangents pushed through the whole graph
reverse      m cotangents pulled through the whole graph
mixed        through a cut, k numbers that everything after them is made of: what comes before
             the cut and what comes after are swept out each in its better mode, and multiplied
compressed   columns (or rows) that share no row (no column) have one colour, and are swept out
             together, as one seed for each colour; a few dense rows (columns) apart

`plan` records the function once, finds the candidates, predicts what each would take, and picks
the cheapest.  Costs are predicted from the shapes met; which result may depend on which argument,
the *sparsity pattern*, is propagated through the graph.
Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices" (1974), is the source of
compression; Griewank and Walther, "Evaluating Derivatives" (2008), chapters 7 to 10, of the rest.
"""

import math
import textwrap
import time
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from .colouring import coloured
from .graph import Node
from .primitive import Wrapper, telling
from .show.numbers import plural, seconds
from .show.tables import html_table
from .sparsity import DENSE, known, pattern_of
from .sweeps import Graph, elements, total
from .transforms import Recorded, called

# What costs are predicted by: seconds, on an ordinary machine.  Only their ratios decide.
STEP = 1.5e-5  # one operation on a batch of seeds, however small
ELEMENT = 1e-9  # one element of an array, gone through once
FLOP = 4e-11  # one multiplication or addition in a matrix product
KEY = 1e-7  # one element of a sparsity pattern, found and coloured

WIDEST = 4  # arrays in a cut, at most
WIDTH = 88  # characters in a line of an explanation: notebooks break longer ones inside words


@telling
def plan(f, *args, argnums=0):
    """How to compute the Jacobian of `f` at `args`: a `Plan`, to be read, and to be run.

    argnums   which arguments to differentiate by, as for `jacobian`

    >>> x = np.linspace(0.1, 1.0, 1000)
    >>> choice = plan(lambda x: x[1:] * x[:-1], x)
    >>> choice.best.name
    'compressed columns'
    >>> choice.run().shape
    (999, 1000)
    """
    return Plan(f, argnums, args, {}, None)


def planned(f, argnums, args, kwargs, chunk_size):
    """The Jacobian, computed in the best way: ``mode="auto"`` of `jacobian`."""
    return Plan(f, argnums, args, kwargs, chunk_size).run()


def compressed(f, argnums, args, kwargs, chunk_size, mode):
    """The Jacobian as a scipy.sparse.csr_array: ``sparse=True`` of `jacobian`.

    The whole matrix is never made, unless it is dense or nearly so.
    """
    from scipy.sparse import csr_array

    graph = _Graph(Recorded(f, argnums, args, kwargs), chunk_size)
    pattern = graph.pattern
    if pattern is None:
        ways = {"forward": graph.forward(), "reverse": graph.reverse()}
    else:
        ways = dict(zip(("forward", "reverse"), graph.compressed(*pattern), strict=True))
    way = ways.get(mode) or min(ways.values(), key=lambda way: way.predicted)
    values, places = graph.sparse(way.sweep(), pattern)
    if isinstance(values, Wrapper):
        raise TypeError(
            f"jacobian of {called(f)}, sparse=True, inside another transformation: SciPy's "
            f"matrices hold plain numbers; use plan(f, x).run(format='coo'), or sparse=False"
        )
    return csr_array((values, places), shape=(graph.m, graph.n))


@dataclass(eq=False)
class Candidate:
    """One way to compute a Jacobian.

    name        "forward", "reverse", "mixed", "compressed columns" or "compressed rows"
    why         what it does, in words, with its numbers
    predicted   seconds
    sweep       computes the matrix, a way through the `graph`: see `autograd.sweeps`
    """

    name: str
    why: str
    predicted: float
    sweep: object = field(repr=False)
    graph: object = field(repr=False)

    def run(self):
        """The Jacobian, as `jacobian` returns it."""
        return self.graph.dense(self.sweep())

    def measure(self, repeats=3):
        """The median time of `run`, in seconds."""
        times = []
        for _ in range(repeats + 1):  # the first is not counted
            start = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - start)
        return float(np.median(times[1:]))


class Plan:
    """The ways to compute one Jacobian, the cheapest first.

    candidates   a `Candidate` for each; best: the first
    shape        (m, n): how many results, how many arguments
    """

    def __init__(self, f, argnums, args, kwargs, chunk_size):
        self.name = called(f)
        self._graph = graph = _Graph(Recorded(f, argnums, args, kwargs), chunk_size)
        self.shape = graph.m, graph.n
        self.candidates = [graph.forward(), graph.reverse(), *graph.mixed()]
        self._sort()
        self._note = self._compress()
        self._sort()

    def _sort(self):
        self.candidates.sort(key=lambda candidate: candidate.predicted)
        self.best = self.candidates[0]

    def _compress(self):
        """Add the compressed candidates; says what is known of the sparsity."""
        m, n = self.shape
        looking = KEY * (m + n) + 4 * STEP * len(self._graph.nodes)
        if self.best.predicted - self._graph.least() < looking:
            return "Its sparsity was not looked at: that would take longer than it can save."
        pattern = self._graph.pattern
        if pattern is None:
            return "It is dense, or nearly so: nothing can be compressed."
        rows, columns = pattern
        self.candidates += self._graph.compressed(rows, columns)
        share = len(rows) / max(m * n, 1)
        return f"At most {plural(len(rows), 'element')} of it, {share:.2%}, can differ from zero."

    def run(self, format="dense"):
        """The Jacobian, computed in the best way.

        format   "dense": as `jacobian` returns it; "coo": ``(values, (rows, columns), shape)``
                 of the elements that may differ from zero, the results and the arguments being
                 numbered through; "scipy": that as a scipy.sparse.coo_array
        """
        if format not in ("dense", "coo", "scipy"):
            raise ValueError(f"run: format is 'dense', 'coo' or 'scipy', not {format!r}")
        if format == "dense":
            return self.best.run()
        values, places = self._graph.sparse(self.best.sweep(), self._graph.pattern)
        if format == "coo":
            return values, places, self.shape
        from scipy.sparse import coo_array

        return coo_array((values, places), shape=self.shape)

    def explain(self, measure=False):
        """Print the candidates and what they would take; with ``measure=True`` what they took."""
        print(self.text(measure))

    def text(self, measure=False):
        """What `explain` prints."""
        lines = [f"{self._head()} {self._note}"]
        for candidate in self.candidates:
            took = f", measured {seconds(candidate.measure())}" if measure else ""
            mark = "->" if candidate is self.best else "  "
            lines.append(
                f"{mark} {candidate.name}: {candidate.why}; predicted "
                f"{seconds(candidate.predicted)}{took}"
            )
        indents = ["", *["     "] * (len(lines) - 1)]
        return "\n".join(
            textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False)
            for line, indent in zip(lines, indents, strict=True)
        )

    def _head(self):
        m, n = self.shape
        size = f"{plural(m, 'result')} by {plural(n, 'argument')}"
        return (
            f"The Jacobian of {self.name}: {size}, {plural(len(self._graph.nodes), 'operation')}."
        )

    def __repr__(self):
        return self.text()

    def _repr_html_(self):
        lines = [[c.name, seconds(c.predicted), c.why] for c in self.candidates]
        return html_table(self._head(), ["mode", "predicted", "why"], lines, notes=[self._note])


# --- the ways through a graph ---------------------------------------------------------------------


class _Graph(Graph):
    """A recorded function's graph, and the ways through it with what they cost."""

    def __init__(self, run, chunk_size):
        super().__init__(run, chunk_size)
        costs = np.array([_costs(node) for node in self.nodes]).reshape(-1, 3)
        self.fixed, self.pushing, self.pulling = np.cumsum([[0, 0, 0], *costs], axis=0).T

    @cached_property
    def pattern(self):
        """``(rows, columns)`` of the elements that may differ from zero; None if nearly all do."""
        outputs = [*zip(self.outputs, self.values, strict=True)]
        found = pattern_of(self.nodes, self.inputs, outputs, self.n)
        return None if found is DENSE else found

    def cost(self, work, seeds, start=0, stop=None):
        """Seconds to push (or pull) so many seeds through the nodes number start ... stop - 1.

        work   of all nodes up to each, for one seed: `pushing` or `pulling`
        """
        stop = len(self.nodes) if stop is None else stop
        rounds = -(-seeds // self.chunk)
        fixed = self.fixed[stop] - self.fixed[start]
        return rounds * fixed + seeds * (work[stop] - work[start])

    def least(self):
        """Less than which no compressed candidate costs: that is one seed."""
        sweep = min(self.cost(self.pushing, 1), self.cost(self.pulling, 1))
        return sweep + ELEMENT * self.m * self.n

    def candidate(self, name, why, cost, sweep):
        """One that writes the whole matrix, which is the same for all."""
        return Candidate(name, why, float(cost) + ELEMENT * self.m * self.n, sweep, self)

    def forward(self):
        """All tangents through everything."""
        return self.candidate(
            "forward",
            f"{plural(self.n, 'tangent')}, one for each argument, pushed through all of it",
            self.cost(self.pushing, self.n),
            lambda: self.push_all(self.inputs, self.arguments, self.outputs, self.values),
        )

    def reverse(self):
        """All cotangents through everything."""
        return self.candidate(
            "reverse",
            f"{plural(self.m, 'cotangent')}, one for each result, pulled through all of it",
            self.cost(self.pulling, self.m),
            lambda: self.pull_all(
                self.outputs, self.values, self.inputs, self.arguments, self.nodes
            ),
        )

    def mixed(self):
        """The best cut, if there is any that is narrower than arguments and results."""
        width = min(self.m, self.n)
        cuts = [(i, nodes, total(n.value for n in nodes)) for i, nodes in self.frontiers(width)]
        if not cuts:
            return []
        at, k = np.array([i for i, _, _ in cuts]), np.array([k for _, _, k in cuts])
        before = np.array(
            [self.cost(self.pulling, k, 0, at), self.cost(self.pushing, self.n, 0, at)]
        )
        after = np.array([self.cost(self.pulling, self.m, at), self.cost(self.pushing, k, at)])
        costs = before.min(0) + after.min(0) + 2 * FLOP * self.m * k * self.n
        best = int(np.argmin(costs))
        at, nodes, k = cuts[best]
        pushes = before.argmin(0)[best] == 1, after.argmin(0)[best] == 1
        first = plural(self.n, "tangent") if pushes[0] else plural(k, "cotangent")
        second = plural(k, "tangent") if pushes[1] else plural(self.m, "cotangent")
        why = (
            f"cut where {plural(k, 'number')} {'carries' if k == 1 else 'carry'} everything: "
            f"{first} before the cut, {second} after it, and a product of the two matrices"
        )
        sweep = partial(self.by_way_of, nodes, at, pushes)
        return [self.candidate("mixed", why, costs[best], sweep)]

    def frontiers(self, width):
        """``(i, nodes)``: what comes after the i-th operation is made of these nodes alone, which
        have fewer than `width` elements.
        """
        last = {}  # the last operation that uses a node
        for i, node in enumerate(self.nodes):
            for source in node.inputs:
                if isinstance(source, Node):
                    last[source] = i
        for node in self.outputs:
            last[node] = len(self.nodes)
        live = {node: elements(node.value) for node in self.inputs if node in last}
        size = sum(live.values())
        for i, node in enumerate(self.nodes[:-1]):
            live[node] = elements(node.value)
            size += live[node]
            for gone in {s for s in node.inputs if isinstance(s, Node) and last[s] == i}:
                size -= live.pop(gone)
            if 0 < size < width and len(live) <= WIDEST:
                if not any(isinstance(n.value, (list, tuple)) for n in live):
                    yield i + 1, [*live]

    def compressed(self, rows, columns):
        """Columns by colour, and rows by colour."""
        for kind, other, lines, across, count, width, along, aside in (
            ("columns", "row", columns, rows, self.n, self.m, self.pushing, self.pulling),
            ("rows", "column", rows, columns, self.m, self.n, self.pulling, self.pushing),
        ):
            colours, dense = coloured(lines, across, count, width)
            number = int(colours.max(initial=-1)) + 1
            why = f"{count:,} {kind} in {plural(number, 'colour')}, one seed for each colour"
            if len(dense):
                why += f", and {plural(len(dense), f'dense {other}')} apart"
            cost = self.cost(along, number) + self.cost(aside, len(dense)) + KEY / 4 * len(rows)
            sweep = partial(self.decompressed, rows, columns, colours, dense, kind == "rows")
            yield self.candidate(f"compressed {kind}", why, cost, sweep)


# --- what a node costs ----------------------------------------------------------------------------

_PRODUCTS = {"matmul", "linear", "tensordot", "vecdot", "einsum"}
_CUBIC = {"inv", "solve", "pinv", "det", "slogdet", "cholesky", "qr", "eigh", "svd"}
_VIEWS = {"getitem", "pick", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims"}


def _costs(node):
    """Seconds for a round of seeds, however many, and for each seed to push it and to pull it."""
    primitive = node.primitive
    sizes = [elements(s.value if isinstance(s, Node) else s) for s in node.inputs]
    moving = sum(isinstance(source, Node) for source in node.inputs)
    size = elements(node.value)
    largest = max([size, *sizes])
    name = known(primitive)
    if name in _PRODUCTS:
        # each letter of the subscripts is in two of the three arrays, or most are
        flops = 2 * math.sqrt(math.prod(sizes[:2]) * size)
        work = FLOP * flops * min(moving, 2) + ELEMENT * size
        return STEP + ELEMENT * largest, work, work
    if name in _CUBIC:
        work = FLOP * 8 * largest**1.5 + ELEMENT * largest
        return STEP, work, work
    if name in _VIEWS:
        return STEP, ELEMENT * size, ELEMENT * largest
    passes = 2 * moving if primitive.kind == "elementwise" else 2
    return STEP, ELEMENT * passes * largest, ELEMENT * passes * largest
