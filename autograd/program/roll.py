"""Repeats of a pattern of calls as loops.

A pattern's copies do the same with other operands.  They make a loop where every operand, from
copy to copy, is the same, or the one before's result, or an element further on in a list: of the
arguments, or of what an earlier loop has made.
"""

import numpy as np

from ..primitive import leaves, mapped_over
from ..show.view import _runs as runs
from .trace import Var

COPIES = 3  # fewer are no loop
MULTIPLES = 6


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
                if not isinstance(line.results, Var):
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

    @property
    def times(self):
        """How often it is run."""
        return len(self.copies)

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
        best, covered = (0, None), 0
        # what repeats in the names of its operations may do so less often in its operands
        for several in range(1, MULTIPLES + 1):
            whole = several * period
            if whole * COPIES > end - start:
                break
            for shift in range(2 * whole):
                loop = _longest(lines[start + shift : end], whole, paths, made)
                if loop is not None and loop.times * whole > covered:
                    best, covered = (start + shift, loop), loop.times * whole
        if best[1] is not None:
            return best
    return 0, None


def _longest(lines, period, paths, made):
    times = len(lines) // period
    while times >= COPIES:
        copies = [lines[i * period : (i + 1) * period] for i in range(times)]
        try:
            return Loop(copies, paths, made)
        except NotALoopError:
            times -= 1 if times <= COPIES + 2 else max(1, times // 8)
    return None


def _index(loop, r, x):
    """Which element of the list of results `x` is: what is carried in is the first."""
    carried = r in loop.carried
    if carried and x is loop.carried[r]:
        return 0
    c, place = loop.place.get(x, (None, None)) if isinstance(x, Var) else (None, None)
    if place != r:
        raise NotALoopError
    return c + carried


def _steps(numbers):
    """First and step of an arithmetic progression."""
    step = numbers[1] - numbers[0]
    if any(b - a != step for a, b in zip(numbers, numbers[1:], strict=False)):
        raise NotALoopError
    return numbers[0], step


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
    kinds = tuple(
        "var" if isinstance(x, (Var, float)) else "int" if type(x) is int else repr(x)
        for x in _operands(line)
    )
    shapes = tuple(np.shape(var.value) for var in line.writes())
    return line.operation.name, tuple(line.options), kinds, shapes
