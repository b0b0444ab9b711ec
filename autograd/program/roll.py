"""Repeats of a pattern of calls as loops.

A pattern's copies do the same with other operands.  They make a loop where every operand, from
copy to copy, is the same, or the one before's result, or an element further on in a list: of the
arguments, or of what an earlier loop has made.
"""

import numpy as np

from ..primitive import leaves, mapped_over
from ..show.view import runs
from .helpers import on_floats
from .trace import Var

COPIES = 3  # fewer are no loop
MULTIPLES = 6  # of the shortest period
PHASES = 100_000
TRIED = 24  # lines at which a loop may begin


class Loop:
    """So many copies of a pattern.

    copies     the lines of each copy
    operands   for each line of the pattern what each of its operands is: see `_operand`
    carried    place in the pattern -> what stands for its result before the first copy
    """

    def __init__(self, copies, paths, made):
        self.copies = copies
        self.place = {}  # Var -> (copy, place in the pattern)
        for c, lines in enumerate(copies):
            for r, line in enumerate(lines):
                if not _one(line):
                    raise NotALoopError
                self.place[line.results] = c, r
        self.carried = {}
        self.operands = []
        for r in range(len(copies[0])):
            given = [_operands(lines[r]) for lines in copies]
            if len({len(g) for g in given}) > 1:
                raise NotALoopError
            self.operands.append(
                [self._operand([*xs], paths, made) for xs in zip(*given, strict=True)]
            )

    def goes_on(self, lines, paths):
        """Whether these lines are a further copy; if so it is one from now on."""
        c = len(self.copies)
        place = {line.results: (c, r) for r, line in enumerate(lines) if _one(line)}
        for line, operands in zip(lines, self.operands, strict=True):
            xs = _operands(line)
            if not _one(line) or len(xs) != len(operands):
                return False
            if not all(self._fits(*z, c, place, paths) for z in zip(operands, xs, strict=True)):
                return False
        self.copies.append(lines)
        self.place |= place
        return True

    def _fits(self, what, x, c, place, paths):
        kind, *rest = what
        if kind == "same":
            return x is rest[0] or (not isinstance(x, Var) and _equal([rest[0], x]))
        if kind == "int":
            return type(x) is int and x == rest[0] + c * rest[1]
        if not isinstance(x, Var):
            return False
        if kind == "this":
            return place.get(x) == (c, rest[0])
        if kind == "before":
            return self.place.get(x) == (c - 1, rest[0])
        if kind == "item":
            name, first, step = rest
            return paths.get(x) == (name, first + c * step)
        loop, r, first, step = rest
        try:
            return _index(loop, r, x) == first + c * step
        except NotALoopError:
            return False

    @property
    def times(self):
        """How often it is run."""
        return len(self.copies)

    @property
    def offsets(self):
        """How many different places of lists a copy reads: w[j] and w[j - 1] are two."""
        return len({x[2] for operands in self.operands for x in operands if x[0] == "item"})

    @property
    def pattern(self):
        """The lines of the first copy."""
        return self.copies[0]

    def _operand(self, xs, paths, made):
        """What an operand is, given which it is in every copy.

        ("same", x); ("this", place) and ("before", place): a result of this copy, of the one
        before; ("item", list, first, step): elements of a list of the arguments; ("made", loop,
        place, first, step): results of an earlier loop; ("int", first, step)
        """
        first = xs[0]
        if all(x is first for x in xs) or (not isinstance(first, Var) and _equal(xs)):
            return "same", first
        if all(type(x) is int for x in xs):
            return ("int", *_steps(xs))
        if not all(isinstance(x, Var) for x in xs[1:]):
            raise NotALoopError
        own = [self.place.get(x) if isinstance(x, Var) else None for x in xs]
        if all(own):
            if len({r for _, r in own}) == 1 and all(c == i for i, (c, _) in enumerate(own)):
                return "this", own[0][1]
            raise NotALoopError
        if own[0] is None and all(own[1:]) and len({r for _, r in own[1:]}) == 1:
            if all(c == i for i, (c, _) in enumerate(own[1:])):
                r = own[1][1]
                if self.carried.setdefault(r, first) is not first:
                    raise NotALoopError
                return "before", r
        where = [paths.get(x) if isinstance(x, Var) else None for x in xs]
        if all(where) and len({name for name, _ in where}) == 1:
            return ("item", where[0][0], *_steps([i for _, i in where]))
        for x in xs[1:]:
            if x in made:
                loop, r = made[x]
                return ("made", loop, r, *_steps([_index(loop, r, x) for x in xs]))
        raise NotALoopError


class NotALoopError(Exception):
    """These lines are no loop."""


def rolled(lines, paths):
    """`lines` with repeats as `Loop`s; `paths`: Var -> (list, index) of elements of arguments."""
    numbers = {}
    signatures = [numbers.setdefault(_signature(line), len(numbers)) for line in lines]
    found, at, made = [], 0, {}
    while True:
        start, loop = _first(lines, signatures, at, paths, made)
        if loop is None:
            return found + lines[at:]
        found += [*lines[at:start], loop]
        at = start + loop.times * len(loop.pattern)
        for var, (_, r) in loop.place.items():
            made[var] = loop, r


def _first(lines, signatures, at, paths, made):
    """``(start, loop)`` of the first loop among the lines from number `at` on."""
    for start, period, end in runs(signatures[at:]):
        start, end = start + at, end + at
        best, merit = (0, None), (0, 0)
        # what repeats in the names of its operations may do so less often in its operands
        for several in range(1, MULTIPLES + 1):
            whole = several * period
            last = None  # the pattern may begin at any line of it: not all are tried of long ones
            for shift in range(start, start + max(2 * whole, TRIED)):
                if shift + COPIES * whole > end:
                    break
                loop = _longest(lines, shift, end, whole, paths, made)
                if loop is None:
                    continue
                if (loop.times * whole, -loop.offsets) > merit:
                    best, merit = (shift, loop), (loop.times * whole, -loop.offsets)
                last = last or min(shift + whole, shift + PHASES // (end - start))
                if shift >= last:
                    break
            if merit[0] > (end - start) / 2:
                break
        if best[1] is not None:
            return best
    return 0, None


def _longest(lines, start, end, period, paths, made):
    copies = [lines[start + i * period : start + (i + 1) * period] for i in range(COPIES)]
    try:
        loop = Loop(copies, paths, made)
    except NotALoopError:
        return None
    for i in range(start + COPIES * period, end - period + 1, period):
        if not loop.goes_on(lines[i : i + period], paths):
            break
    return loop


def _index(loop, r, x):
    """Which element of the list of results `x` is: what is carried in is the first."""
    carried = r in loop.carried
    if carried and x is loop.carried[r]:
        return 0
    c, place = loop.place.get(x, (None, None)) if isinstance(x, Var) else (None, None)
    if place != r:
        raise NotALoopError
    return c + carried


def progression(numbers):
    """First and step of an arithmetic progression; None if it is none."""
    step = numbers[1] - numbers[0]
    steady = all(b - a == step for a, b in zip(numbers, numbers[1:], strict=False))
    return (numbers[0], step) if steady else None


def _steps(numbers):
    found = progression(numbers)
    if found is None:
        raise NotALoopError
    return found


def in_order(loop, overwritten):
    """The places of a pattern in an order in which nobody reads too late what a copy overwrites;
    and the places which are to be overwritten at the end, where there is no such order.
    """
    places = range(len(loop.pattern))
    for late in ([], overwritten):
        first = {r: set() for r in places}  # place -> those that come before it
        for r in places:
            for kind, *rest in loop.operands[r]:
                if kind == "this":
                    first[r].add(rest[0])
                elif kind == "before" and rest[0] in overwritten and not late and rest[0] != r:
                    first[rest[0]].add(r)
        order = []
        while len(order) < len(places):
            ready = [r for r in places if r not in order and first[r] <= {*order}]
            if not ready:
                break
            order.append(ready[0])
        else:
            return order, late
    raise AssertionError("a pattern's own lines are in order")


def _one(line):
    return isinstance(line.results, Var)


def _operands(line):
    return [*leaves([*line.args, *line.options.values()])]


def with_operands(line, values):
    """The arguments and options of a line with other operands in their places."""
    values = iter(values)
    return mapped_over(lambda _: next(values), [list(line.args), dict(line.options)])


def _equal(xs):
    first = xs[0]
    if isinstance(first, np.ndarray):
        return all(isinstance(x, np.ndarray) and np.array_equal(x, first) for x in xs)
    return all(type(x) is type(first) and x == first for x in xs)


def _signature(line):
    whole = line.operation.name == "power"  # its integers decide how it is computed
    kinds = tuple(
        "var" if isinstance(x, (Var, float)) else
        "int" if type(x) is int and not whole else repr(x)
        for x in _operands(line)
    )  # fmt: skip
    values = [var.value for var in line.writes()]
    types = tuple((np.shape(v), getattr(v, "dtype", np.dtype(float))) for v in values)
    # math.tanh and np.tanh differ in the last bit
    return line.operation.name, on_floats(line), tuple(line.options), kinds, types
