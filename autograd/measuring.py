"""What the ledger measures: a function at its arguments, run in every mode, counted and timed.

mode       a way to evaluate a function or its derivatives; its cost includes the function's value
seeds      the directions (forward) or weightings of the results (reverse) a mode starts from
sweep      one run over all operations, for any number of seeds together
saved      bytes of the arrays that the recorded graph keeps for the sweep back
moved      bytes that operations read and write: arguments and results, at every operation
"""

import gc
import math
import time
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from .batch import Batch
from .checkpoint import checkpoint
from .costs import Counts, size
from .counted import count_operations
from .graph import Node, history, levels
from .matrices import at_once, basis, hvp
from .primitive import Wrapper, kind_of, leaves, plain
from .repeat import Memo
from .transforms import Recorded, called, jvp, named, ones
from .tree import flatten

SAMPLE = 2e-4  # seconds: what takes less is run several times, and the mean is one measurement
TRACING = 4  # how much slower Python may run while its memory is traced

_NOTHING = nullcontext()


# --- one function at its arguments ----------------------------------------------------------------


class Case:
    """A function at its arguments, as a program of its floating-point leaves alone."""

    def __init__(self, f, args):
        self.f = f
        self.leaves, rebuild = flatten(args)
        self.places = [i for i, leaf in enumerate(self.leaves) if kind_of(leaf) == "f"]
        self.xs = [plain(self.leaves[i]) for i in self.places]
        if not sum(map(size, self.xs)):
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
        # copies: f, run on plain arrays, may write into its arguments
        self.own_args = rebuild([_copy(plain(x)) if kind_of(x) == "f" else x for x in self.leaves])
        self.memo = Memo()
        try:
            with self.memo.first():
                run = Recorded(program, self.argnums, self.xs, {})
        finally:
            self.memo.undo()
        self.ys = self.results(run)
        self.saved = _kept(run, self.leaves)
        self.step = at_once(run)

    def again(self):
        """A block in which f, evaluated once, draws what it drew first, and changes no buffer."""
        return self.memo.again() if self.memo.draws or self.memo.buffers else _NOTHING

    @property
    def argnums(self):
        return tuple(range(len(self.xs)))

    def results(self, run):
        """The plain results of a recorded run; TypeError where there are none."""
        if not sum(map(size, run.values)):
            raise TypeError(
                f"compare_modes: {called(self.f)} returned {run.result!r}; return a number, an "
                f"array, or a tree of arrays"
            )
        return [plain(value) for value in run.values]

    @property
    def inputs(self):
        return sum(map(size, self.xs))

    @property
    def outputs(self):
        return sum(map(size, self.ys))

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

        yield Mode("f", alone, lambda *part: [])
        yield Mode(
            "one direction (jvp)",
            lambda xs, seeds: [jvp(program, tuple(xs), tuple(ts)) for ts in seeds],
            _all_ones(xs),
        )
        yield Mode(
            f"forward {what}",
            self.recorded(program, _together(Recorded.push)),
            _units(xs),
            saved=lambda: self.saved,
            total=self.inputs,
            step=self.step,
        )
        yield Mode(f"reverse {what}", **pulled(program), saved=lambda: self.saved)
        if self.scalar:
            yield Mode(
                "hvp (forward over reverse)",
                lambda xs, seeds: [hvp(program, tuple(xs), tuple(ts)) for ts in seeds],
                _all_ones(xs),
                saved=self.saved_by_hvp,
            )
        yield Mode(
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

        jvp(value, tuple(self.xs), tuple(map(ones, self.xs)))
        return found[0]


def _copy(x):
    return x.copy() if isinstance(x, np.ndarray) else x


def _all_ones(values):
    return lambda *part: list(map(ones, values))


def _units(values):
    return lambda *part: basis(values, *part)


def _together(sweep):
    """The sweep for many seeds as one array each, their first axis counting them."""

    def batched(recorded, seeds):
        level = next(levels)
        return sweep(recorded, [Batch(seed, level) for seed in seeds])

    return batched


@dataclass
class Mode:
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


class Account:
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
        except (TypeError, RuntimeError) as error:
            # an operation without a rule for this mode, or another result when evaluated again
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


def measure(accounts, repeats, seconds):
    """Times and peaks, of all in turns, so that a change of the machine's pace meets all alike."""
    deadline, share = time.perf_counter() + seconds, seconds / len(accounts)
    for account in accounts:
        account.first(share / 4)
    for account in sorted(accounts, key=Account.expected):
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


# --- what came out --------------------------------------------------------------------------------


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
