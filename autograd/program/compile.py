"""compile: trace a program once for each kind of arguments, then run what was written down.

What runs is the function that `generate.Generator` writes.  A training step is compiled whole:
what it reads around it is read anew in every run, and what it changes there is changed at the
end of a run, all or nothing: see `state`.  With ``jit=True`` Numba makes machine code of programs
on numbers (`scalars`) and of chains of operations on elements (`native`).
"""

import functools
import threading
import types
import warnings
from collections import OrderedDict
from operator import countOf

import numpy as np

from .. import repeat
from ..primitive import Wrapper, kind_of
from ..rules.random import generator_or_default
from ..transforms import called, named
from ..tree import flatten
from .generate import Generator
from .scalars import native, on_scalars
from .simplify import simplified, standing, without_idle, without_ones, without_repeats
from .state import LOCK, STALE, Surroundings, change, value_of
from .trace import Tape, Traced, TracingWarning, Var

MOST = 16  # kinds of arguments, and of what is around it, that a compiled function is kept for


class RetracingWarning(UserWarning):
    """A compiled function is traced so often that it costs more than it saves."""


def compile(f=None, *, jit=False):
    """`f`, traced once for each kind of its arguments' shapes, types and structure: a `Compiled`.

    f   a function of arrays, numbers and containers of these, derivatives included:
        ``compile(value_and_grad(loss))``; or a whole training step.  It must do the same NumPy
        calls for all values of the same shapes.  Left out, a decorator is returned
    jit have Numba make machine code, in the first call, of a program on numbers, and of what is
        done on the elements of arrays of a thousand or more.  Last bits may then differ from
        NumPy's, and no floating-point warnings are given; ``explain()`` says what NumPy does still

    The Tensors, buffers and modes of modules, gradients, arrays and generators that `f` finds
    around it (in its closure, among globals, in the attributes of these) are read anew at every
    call, and what it does to them is done by every call: ``backward()``, running statistics, an
    array that is written or set, an optimizer's step with the settings that it has by then.
    Numbers, functions, other settings and layers around it are those that were traced: where one
    has changed, `f` is traced again.  Where `f` returns a Tensor, its plain value is returned.

    What can't be written down so is run as it is, with a `TracingWarning` that says why: a function
    that looks at a value (in an ``if``, or by ``float()``), sets a number (``self.n += 1``),
    appends to a list, draws from a generator by itself, takes the next of an iterator, reads an
    optimizer's settings or, after its step, a parameter.  Not noticed are files, clocks and
    ``print``, which are of the tracing alone, and changes where nothing is looked for: inside
    objects of the standard library, and in modules, as ``settings.rate``.

    Results are never overwritten by the next call; several threads may call at the same time; a
    call that raises has changed nothing, unless `f` is run as it is.

    >>> from autograd import value_and_grad
    >>> fast = compile(value_and_grad(lambda x: np.sum(x * np.tanh(x))))
    >>> value, slope = fast(np.array([0.5, 1.0]))
    >>> slope
    array([0.85534102, 1.1815685 ])

    >>> import nn, optim
    >>> model = nn.MLP((2, 8, 1))
    >>> optimizer = optim.Adam(model.parameters())
    >>> @compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = nn.mse(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x = np.ones((4, 2))
    >>> bool(step(x, x[:, :1] * 2) > step(x, x[:, :1] * 2))
    True
    """
    return Compiled(f, jit) if f is not None else lambda f: Compiled(f, jit)


class Compiled:
    """A compiled function; call it as the function.

    source    the text that runs, of the latest kind of arguments
    explain   what was made of the program, in words
    """

    def __init__(self, f, jit=False):
        if not callable(f):
            raise TypeError(f"compile: a function wanted, not a {type(f).__name__}")
        self._jit = jit
        self.f, self._kernels, self._lock = f, OrderedDict(), threading.Lock()
        self._latest, self._warned, self._parts = None, False, {}
        named(self, f)

    def __call__(self, *args):
        if repeat.going_on():  # an evaluation within `f` itself, or one that is done again
            return self.f(*args)
        key = self._kind(args)
        for kernel in self._kernels.get(key, ()):
            result = kernel(args)
            if result is not STALE:
                self._latest = kernel
                return result
        kernel = self._latest = self._traced(key, args)
        result = kernel(args)
        return self.f(*args) if result is STALE else result  # another thread came in between

    def __get__(self, owner, kind=None):
        """In a class it is a method, as a function is."""
        return self if owner is None else types.MethodType(self, owner)

    def _kind(self, x):
        """What a trace depends on: structure, shapes and types; the value of what is no array."""
        kind = type(x)
        if kind is np.ndarray:
            return x.shape, x.dtype, x.flags.c_contiguous
        if kind is float:
            return kind
        if kind in (tuple, list):
            if len(x) > 8 and countOf(map(type, x), float) == len(x):
                return kind, len(x)
            return kind, *map(self._kind, x)
        if kind is dict:
            return kind, *((key, self._kind(value)) for key, value in x.items())
        if isinstance(x, Wrapper):
            return kind, x.level, x.shape, x.dtype
        if hasattr(x, "__tree__"):
            if id(x) not in self._parts:  # kept, so that nothing else gets its id
                self._parts[id(x)] = x, list(getattr(x, "modules", list)())
            modes = [part.training for part in self._parts[id(x)][1]]
            return kind, id(x), *modes
        if kind_of(x):
            return np.shape(x), x.dtype
        try:
            hash(x)
        except TypeError:
            return kind, id(x)
        return kind, x

    def _traced(self, key, args):
        with LOCK:
            kernel = Kernel(self.f, args, self._jit)
        with self._lock:
            self._kernels[key] = (kernel, *self._kernels.pop(key, ()))
            if sum(map(len, self._kernels.values())) > MOST:
                oldest = next(iter(self._kernels))
                self._kernels[oldest] = self._kernels[oldest][:-1]
                if not self._kernels[oldest]:
                    del self._kernels[oldest]
                self._warn()
        return kernel

    def _warn(self):
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"compiled {called(self.f)} has met more than {MOST} kinds of arguments, and of "
                f"settings around it, and is traced for each; pass arrays of few shapes, and "
                f"numbers that change as floats",
                RetracingWarning,
                stacklevel=5,
            )

    @property
    def source(self):
        """The text that runs, of the latest kind of arguments; "" before the first call."""
        return self._latest.text if self._latest else ""

    def explain(self):
        """What was made of the program: a text."""
        if self._latest is None:
            return f"{called(self.f)} has not been called yet"
        return self._latest.explanation()

    def __repr__(self):
        kinds = sum(map(len, self._kernels.values()))
        return f"<compiled {called(self.f)}, for {kinds} kinds of arguments>"


class Kernel:
    """A program traced for one kind of arguments, and the function generated from it."""

    def __init__(self, f, args, jit=False):
        self.jit, self.native, self.not_native, self.unchanged = jit, False, "", None
        self.f, self.args = f, args  # what is no array is kept: nothing else gets its id
        self.text, self.reason, self.run, self.floats, self.writer = "", "", None, False, None
        values, _ = flatten(args)
        if any(isinstance(value, Wrapper) for value in values):
            self.reason = "an argument is inside a transformation"
            return
        tape = Tape()
        self.around = Surroundings(tape, f, args)
        self.unchanged, problem = self.around.unchanged, ""
        if not self.around.reason:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", TracingWarning)
                    self._trace(tape, f, args)
            except (TypeError, AttributeError) as error:  # arrays may do what Traced ones don't
                problem = f"traced, it raises {type(error).__name__}: {error}"
                if "'backward'" in problem:  # the parameters of a Module among the arguments
                    problem += (
                        ". Derivatives by an argument are value_and_grad's; for backward() let it "
                        "find the model around it"
                    )
            finally:
                self.around.undo()  # the first call draws as all others do
        self.reason = self.around.reason or problem
        if tape.specialized:
            what, where = tape.specialized[0]
            at = f" at {where[0]}:{where[1]}" if where else ""
            self.reason = (
                f"it looks at {what} of a value{at}; what follows may differ from call to call. "
                f"Use np.where instead of if, and keep values as arrays"
            )
        if self.reason:
            warnings.warn(
                f"{called(f)} is not compiled, and is run as it is: {self.reason}",
                TracingWarning,
                stacklevel=5,
            )
        else:
            self._generate(tape)

    def _trace(self, tape, f, args):
        values, rebuild = flatten(args)  # a Module's parameters are not yet what stands for them
        with self.around.traced():
            traced = [self._argument(tape, value) for value in values]
            self.inputs = [tape.var_of(x) if type(x) is Traced else None for x in traced]
            self.around.arguments = {*filter(None, self.inputs)}
            given = rebuild(traced)
            self.result = f(*given)
            found, _ = flatten(given)
            if [*map(id, found)] != [*map(id, traced)]:
                self.around.reason = "it changes a list or dict that it was given"
            found, _ = flatten(self.result)
            self.around.results = found
            self.outputs = [tape.var_of(x) for x in found]
        self.values = [tape.var_of(x) for made, _ in self.around.deeds for *_, x in made]

    def _argument(self, tape, value):
        if kind_of(value) not in ("f", "i", "u", "b") or isinstance(value, Traced):
            return value
        return tape.input(value)

    def __call__(self, args):
        if self.run is None:
            return self.f(*args)
        if self.unchanged is not None and not self.unchanged():
            return STALE
        if not self.changes and not self.generators:
            return self._run(args)
        with LOCK:
            before = [(*place, value_of(*place)) for place in self.changes]
            drawn = [generator_or_default(g) for g in self.generators]
            states = [g.bit_generator.state for g in drawn]

            def undo():
                for place in before:
                    change(*place)
                for generator, state in zip(drawn, states, strict=True):
                    generator.bit_generator.state = state

            return self._run(args, undo)

    def _run(self, args, undo=None):
        try:
            return self.run(args)
        except BaseException as error:
            if undo:
                undo()
            if self.floats and isinstance(error, (ArithmeticError, ValueError)):
                return self.f(*args)  # 1/0 of Python floats is inf: NumPy knows
            raise

    def _generate(self, tape):
        lines = tape.lines
        for line in lines:
            line.find_views()
        noted = self.around.draws
        repeats = functools.partial(without_repeats, noted=noted)
        for left_out in (repeats, without_idle, without_ones, self._simplified):
            lines, stands = left_out(lines)
            self.outputs, self.values = standing([self.outputs, self.values], stands)
        if not self._on_scalars(tape, lines):
            self._write(lines)
        made = [v for x in tape.lines for v in x.writes()]
        for var in [*filter(None, self.inputs), *self.around.inputs, *made]:
            var.value = None  # memory: the values were needed for their shapes
        self.args = [x for x in flatten(self.args)[0] if not isinstance(x, np.ndarray)]
        self.around = self.values = None

    def _on_scalars(self, tape, lines):
        """Write a program on numbers, where it is one; whether it is."""
        _, rebuild = flatten(self.result)
        self.changes, self.generators, self.floats = (), (), True
        if self.values or self.around.uses(lines, self.outputs) or None in self.inputs:
            self.not_native = "it reads or changes what is around it"
            return False
        program = tape, lines, self.args, self.inputs, rebuild(self.outputs), self.f
        if self.jit:
            self.run, self.text = native(*program)
            self.native, self.not_native = self.run is not None, self.text
        if self.run is None:
            self.run, self.text = on_scalars(*program)
        return self.run is not None

    def _write(self, lines):
        """Write the function of NumPy calls."""
        self.writer = writer = Generator(self, lines)
        self.text, self.floats, self.changes = writer.text, writer.floats, writer.changes
        self.generators = writer.generators
        self.run = writer.function()

    def _simplified(self, lines):
        return simplified(lines, [x for x in self.outputs + self.values if isinstance(x, Var)])

    def explanation(self):
        """What was made of the program, in words."""
        if self.reason:
            return f"{called(self.f)} is run as it is: {self.reason}"
        not_native = f"No machine code: {self.not_native}." if self.jit and not self.native else ""
        if self.writer is None:
            made = "machine code, made by Numba" if self.native else "Python with loops"
            return f"{called(self.f)}: a program on numbers, {made}. {not_native}".rstrip()
        w = self.writer
        made = sum(w.buffers)
        return "\n".join([
            f"{called(self.f)}: {len(w.lines)} calls, {len(w.views)} of them views.",
            f"{w.written} write into {len(w.buffers)} buffers, {w.in_place} in place: {made:,} "
            f"bytes where results of their own would take {w.total:,}.",
            f"{w.chained} on elements of large arrays are worked through in blocks.",
            f"{len(w.lines) - len(w.views) - w.written} make results of their own: what is "
            f"returned, numbers, and what cannot be written into a buffer"
            + (f" ({', '.join(sorted(w.fresh))})." if w.fresh else "."),
            *filter(None, [w.machine.explanation() or not_native] if w.machine else []),
        ])  # fmt: skip
