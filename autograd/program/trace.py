"""Traced: the array type that writes down every NumPy call of a program, derivative or not.

A program is run on Traced arrays, and transformations inside it wrap these in their turn, as with
`Counted`.  What comes to the bottom is one list of NumPy calls, in the order in which the engine
makes them: a `Tape`.  An operation of ours is not written down where its ``forward`` is a program
in NumPy: that is run, and its calls are.
"""

import sys
import threading
import warnings
from typing import NamedTuple

import numpy as np

from ..batching import allocating, inquiring
from ..costs import cost_of
from ..duck import BINARY, LOGIC, Duck, operand
from ..graph import BASE, levels
from ..primitive import Wrapper, explained, leaves, mapped_over, origin, registry
from ..scopes import user_line

NESTED = list, tuple, dict, slice
ON_STACK = object()  # see `Tape.at`


class Var:
    """A value of the program.

    number   in the order they came about; an input's too
    value    what it was while tracing
    """

    __slots__ = ("number", "value")

    def __init__(self, number, value):
        self.number, self.value = number, value

    def __repr__(self):
        return f"v{self.number}"


class Line:
    """One call: ``results = operation(*args, **options)``; Vars stand for traced values in both.

    operation   the Primitive
    results     one Var, or a tuple of them
    where       ``(file, line)`` of the user's program, or None
    views       result -> the operand that it is a view of, once `find_views` has seen
    """

    __slots__ = ("args", "operation", "options", "results", "views", "where")

    def __init__(self, operation, args, options, results, where):
        self.operation, self.args, self.options = operation, args, options
        self.results, self.where, self.views = results, where, {}

    def reads(self):
        """The Vars it reads, each as often as it does."""
        found = []
        for x in self.args:
            if type(x) is Var:
                found.append(x)
            elif type(x) in NESTED:
                found += [part for part in leaves(x) if type(part) is Var]
        if self.options:
            found += [x for x in leaves(self.options) if type(x) is Var]
        return found

    def writes(self):
        """The Vars it makes."""
        return [*self.results] if isinstance(self.results, tuple) else [self.results]

    def find_views(self):
        """See which results share memory with an operand, while the operands are those it had: what
        later stands for one is another array.
        """
        given = [x for x in self.reads() if isinstance(x.value, np.ndarray) and x.value.size]
        self.views = {
            var: x
            for var in self.writes()
            if isinstance(var.value, np.ndarray)
            for x in given
            if np.may_share_memory(var.value, x.value)
        }

    def __repr__(self):
        return f"{self.results} = {self.operation.name}{tuple(self.args)}"


class Write(NamedTuple):
    """A write into an array in place.

    until   number of lines written down by then
    before, after   Vars of the array
    where   ``(file, line)`` of the user's program, or None
    """

    until: int
    before: Var
    after: Var
    where: tuple | None


class Tape:
    """What was written down: `lines`, in order.

    at           ``(file, line)`` of what is run next; ON_STACK: that of the caller
    unfound      whether it met a Tensor that the program was not given
    specialized  lines at which the program looked at a traced value itself
    writes       `Write`s of elements of arrays, in order
    memory       Var -> the one whose memory it was written into
    """

    def __init__(self):
        self.lines, self.specialized, self.at = [], [], ON_STACK
        self.writes, self.memory = [], {}
        self.level, self.count, self.unfound = next(levels), 0, False
        self._lock = threading.Lock()

    def input(self, value):
        """A Traced array for an input of the program."""
        return Traced(self.var(value), self)

    def var(self, value):
        """A new Var."""
        with self._lock:
            self.count += 1
            return Var(self.count, value)

    def write(self, operation, args, options, y):
        """Write a call down; returns its result as Traced arrays."""
        args, options = _each(self.var_of, args), mapped_over(self.var_of, dict(options))
        several = isinstance(y, (tuple, list))
        results = tuple(map(self.var, y)) if several else self.var(y)
        where = user_line(sys._getframe(2)) if self.at is ON_STACK else self.at
        self.lines.append(Line(operation, args, options, results, where))
        if several:
            parts = [Traced(var, self) for var in results]
            return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
        return Traced(results, self)

    def call(self, function, args):
        """Write a call of `function` down, which is no operation."""
        values = _each(self.value_of, args)
        return self.write(Called(function), args, {}, function(*values))

    def wrote(self, before, after):
        """Note that the array `before` has been written into, and holds the value of `after`."""
        where = user_line(sys._getframe(2))
        self.writes.append(Write(len(self.lines), before, after, where))
        self.memory[after] = self.memory.get(before, before)

    def var_of(self, x):
        """The Var of a Traced array of this tape; of another wrapper, a constant, its value."""
        x = self._inner(x)
        return x.var if isinstance(x, Traced) else x

    def value_of(self, x):
        """The value it has while tracing; of another wrapper, a constant, its own."""
        x = self._inner(x)
        return x.var.value if isinstance(x, Traced) else x

    def _inner(self, x):
        """`x` without levels other than this tape's."""
        while isinstance(x, Wrapper) and not (type(x) is Traced and x.tape is self):
            self.unfound |= x.level == BASE
            x = x.inside
        return x

    def look(self, what):
        """Note, and warn, that the program looks at a traced value: what follows holds for it."""
        where = user_line(sys._getframe(2))
        self.specialized.append((what, where))
        at = f" at {where[0]}:{where[1]}" if where else ""
        warnings.warn(
            f"{what} of a traced value{at}: the program is written for the value it has now",
            TracingWarning,
            stacklevel=3,
        )


class Called:
    """A function of plain values in the place of an operation: it is called as it is."""

    kind, outputs, options = "called", False, ()

    def __init__(self, function):
        self.function = self.forward = function
        self.name = getattr(function, "__name__", "function").strip("_")


def _each(f, args):
    """f of each argument, or of what is in it."""
    return [mapped_over(f, x) if type(x) in NESTED else f(x) for x in args]


class TracingWarning(UserWarning):
    """A traced program looked at a value: what was written down holds for that value only."""


class Traced(Duck):
    """An array, or number, every operation on which is written down."""

    __slots__ = ("tape", "var")
    carries_derivative, records = False, True

    def __init__(self, var, tape):
        self.var, self.tape = var, tape

    @property
    def level(self):
        """That of its tape."""
        return self.tape.level

    @property
    def inside(self):
        """The value it has while tracing."""
        return self.var.value

    def peeled(self, x):
        """The value of a Traced array of this tape; of a Tensor beside it, a constant, its plain
        value.
        """
        return self.tape.value_of(x)

    def bind(self, primitive, args, options):
        """Apply `primitive` to the values and write it down, or what its forward does."""
        if cost_of(primitive) is None:
            return primitive.forward(*args, **options)
        value_of = self.tape.value_of
        values = _each(value_of, args)
        plain_options = mapped_over(value_of, options) if options else options
        try:
            y = primitive.apply(values, plain_options)
        except (ValueError, TypeError, IndexError) as error:
            raise explained(error, primitive.name, args) from origin(error)
        return self.tape.write(primitive, args, options, y)

    def bind_constant(self, constant, args, options):
        """The same; what only asks for shapes, and what is made of them, is a constant."""
        if constant.batch in (inquiring, allocating):
            values, plain_options = mapped_over(self.peeled, [list(args), options])
            return constant.apply(values, plain_options)
        return self.bind(constant, args, options)

    def map(self, f):
        """Itself: without a derivative it is the same value of the program."""
        return self

    def call(self, function, args):
        """``function(*args)`` of the values, as one call of the program."""
        return self.tape.call(function, args)

    def look(self, what):
        """Note that the program goes on by the values."""
        self.tape.look(what)

    def __setitem__(self, index, new):
        """Write into the array that this stands for."""
        before = self.var
        super().__setitem__(index, new)
        self.tape.wrote(before, self.var)

    def __float__(self):
        self.tape.look("the number")
        return float(self.plain())

    def __int__(self):
        self.tape.look("the number")
        return int(self.plain())

    def __index__(self):
        self.tape.look("the number")
        return self.plain().__index__()

    def item(self):
        """The only element, a number of the program."""
        return self.call(float, [self])

    def __array__(self, dtype=None, copy=None):
        self.tape.look("the array")
        return np.array(self.plain(), dtype, copy=copy)

    def __repr__(self):
        return f"Traced({self.var!r} = {self.var.value!r})"


def _in_place(function):
    """``a += b``: an array is written into, whatever names it has; a number is another one."""

    def method(self, other):
        if not operand(other):
            return NotImplemented
        new, before = registry[function](self, other), self.var
        if not isinstance(before.value, np.ndarray):
            return new
        if new.shape != self.shape or not np.can_cast(new.dtype, self.dtype, "same_kind"):
            self.tape.look("an array in place, which can't hold the result,")
            return new
        if type(new) is not Traced:
            return new
        self.var = (new if new.dtype == self.dtype else new.astype(self.dtype)).var
        self.tape.wrote(before, self.var)
        return self

    return method


for _name, _function in (BINARY | LOGIC).items():
    if _name != "divmod":
        setattr(Traced, f"__i{_name}__", _in_place(_function))
