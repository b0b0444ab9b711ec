"""compile: trace a program once for each kind of arguments, then run what was written down.

What is run is a generated function of NumPy calls that write into buffers made beforehand.  A
buffer is given to the next result once nothing needs the one before, in place where that is safe;
transposes and reshapes stay views.  What the function returns is always memory of its own.
"""

import builtins
import functools
import math
import threading
import warnings
from collections import Counter, OrderedDict, deque

import numpy as np

from ..families import Constant
from ..primitive import Wrapper, kind_of, leaves
from ..repeat import Memo
from ..transforms import called, named
from ..tree import flatten
from .record import simplified, standing
from .trace import Tape, Traced, TracingWarning, Var

BLOCK = 65536  # elements of large arrays that are worked on at a time
LARGE = 4 * BLOCK  # elements from which that pays
MOST = 16  # kinds of arguments a compiled function is kept for
REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


class RetracingWarning(UserWarning):
    """A compiled function is traced so often that it costs more than it saves."""


def compile(f):
    """`f`, traced once for each kind of its arguments' shapes, types and structure: a `Compiled`.

    f   a function of arrays, numbers and containers of these, derivatives included:
        ``compile(value_and_grad(loss))``; it must do the same NumPy calls for all values of the
        same shapes.  Of arrays (and Tensors) that it uses without being given them the memory is
        read at every call, so that an optimizer's steps are seen; numbers and other settings are
        those it had when traced: pass as an argument what changes otherwise

    A function that looks at a value (in an ``if``, or by ``float()``) is run as it is, with a
    `TracingWarning`.  Results are never overwritten by the next call, and several threads may call
    at the same time.

    >>> from autograd import value_and_grad
    >>> fast = compile(value_and_grad(lambda x: np.sum(x * np.tanh(x))))
    >>> value, slope = fast(np.array([0.5, 1.0]))
    >>> slope
    array([0.85534102, 1.1815685 ])
    """
    return Compiled(f)


class Compiled:
    """A compiled function; call it as the function.

    source    the text that runs, of the latest kind of arguments
    explain   what was made of the program, in words
    """

    def __init__(self, f):
        if not callable(f):
            raise TypeError(f"compile: a function wanted, not a {type(f).__name__}")
        self.f, self._kernels, self._lock = f, OrderedDict(), threading.Lock()
        self._latest, self._warned, self._parts = None, False, {}
        named(self, f)

    def __call__(self, *args):
        key = self._kind(args)
        kernel = self._kernels.get(key)
        if kernel is None:
            kernel = self._traced(key, args)
        self._latest = kernel
        return kernel(args)

    def _kind(self, x):
        """What a trace depends on: structure, shapes and types; the value of what is no array."""
        kind = type(x)
        if kind is np.ndarray:
            return x.shape, x.dtype, x.flags.c_contiguous
        if kind is float:
            return kind
        if kind in (tuple, list):
            if len(x) > 8 and {*map(type, x)} == {float}:
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
        with self._lock:
            if key not in self._kernels:
                self._kernels[key] = Kernel(self.f, args)
            if len(self._kernels) > MOST:
                self._kernels.popitem(last=False)
                if not self._warned:
                    self._warned = True
                    warnings.warn(
                        f"compiled {called(self.f)} has met more than {MOST} kinds of arguments, "
                        f"and is traced for each; pass arrays of few shapes, and numbers that "
                        f"change as floats",
                        RetracingWarning,
                        stacklevel=3,
                    )
            return self._kernels[key]

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
        return f"<compiled {called(self.f)}, for {len(self._kernels)} kinds of arguments>"


class Kernel:
    """A program traced for one kind of arguments, and the function generated from it."""

    def __init__(self, f, args):
        self.f, self.args = f, args  # what is no array is kept: nothing else gets its id
        self.text, self.reason, self.run = "", "", None
        values, _ = flatten(args)
        if any(isinstance(value, Wrapper) for value in values):
            self.reason = "an argument is inside a transformation"
            return
        tape, memo = Tape(), Memo()
        try:
            with warnings.catch_warnings(), memo.first():
                warnings.simplefilter("ignore", TracingWarning)
                self._trace(tape, f, args)
        finally:
            memo.undo()  # the first call draws, and changes buffers, as all others do
        if memo.buffers:
            self.reason = "it changes buffers, as batch normalization does while it trains"
        elif tape.specialized:
            what, where = tape.specialized[0]
            at = f" at {where[0]}:{where[1]}" if where else ""
            self.reason = f"it looks at {what} of a value{at}"
            warnings.warn(
                f"{called(f)} is not compiled: {self.reason}; what follows may differ from call "
                f"to call. Use np.where instead of if, or keep values as arrays",
                TracingWarning,
                stacklevel=4,
            )
        else:
            self._generate(tape)

    def _trace(self, tape, f, args):
        values, rebuild = flatten(args)
        traced = [tape.input(v) if kind_of(v) in ("f", "i", "u", "b") else v for v in values]
        self.inputs = [tape.var_of(x) if type(x) is Traced else None for x in traced]
        self.result = f(*rebuild(traced))
        found, _ = flatten(self.result)
        self.outputs = [tape.var_of(x) for x in found]

    def __call__(self, args):
        if self.run is None:
            return self.f(*args)
        try:
            return self.run(args)
        except (ArithmeticError, ValueError):  # 1/0 of Python floats is inf: NumPy knows
            if not self.floats:
                raise
            return self.f(*args)

    def _generate(self, tape):
        outputs = [x for x in self.outputs if isinstance(x, Var)]
        lines, stands = simplified(tape.lines, outputs)
        self.outputs = standing(self.outputs, stands)
        self.writer = writer = Generator(self, lines)
        self.text, self.floats = writer.text, writer.floats
        self.run = writer.function()
        for var in [*filter(None, self.inputs), *(v for x in tape.lines for v in x.writes())]:
            var.value = None  # memory: the values were needed for their shapes
        self.args = [x for x in flatten(self.args)[0] if not isinstance(x, np.ndarray)]

    def explanation(self):
        """What was made of the program, in words."""
        if self.reason:
            return f"{called(self.f)} is run as it is: {self.reason}."
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
        ])  # fmt: skip


class Generator:
    """Writes the function of a list of lines.

    buffers   bytes of each
    """

    def __init__(self, kernel, lines):
        self.lines, self.chains = _in_chains(lines)
        self.outputs = kernel.outputs
        self.names, self.space, self.known = {}, {"np": np, "math": math}, {}
        self.floats, self.buffers, self.outs, self.fresh = False, [], [], set()
        self.written = self.in_place = self.total = self.chained = 0
        inputs = iter(kernel.inputs)
        taken = [
            line
            for i, arg in enumerate(kernel.args)
            for line in self._take(f"args[{i}]", arg, inputs)
        ]
        self._find_lives()
        body, i = [], 0
        while i < len(lines):
            end = self.chains.get(i)
            body += [self._line(i, self.lines[i])] if end is None else self._chain(i, end)
            i = i + 1 if end is None else end
        body.append(f"return {self._result(kernel.result, iter(self.outputs))}")
        if self.outs:
            taken.append(f"{', '.join(name for name, *_ in self.outs)}, = buffers")
        head = f"def run(args{', buffers' if self.outs else ''}):"
        self.text = "\n".join([head, *(f"    {line}" for line in [*taken, *body])]) + "\n"

    def function(self):
        """The function; buffers are lent to one call at a time."""
        exec(builtins.compile(self.text, "<compiled>", "exec"), self.space)
        run = self.space["run"]
        if not self.outs:
            return run
        free = []

        def lent(args):
            buffers = free.pop() if free else self._made()
            try:
                return run(args, buffers)
            finally:
                free.append(buffers)

        return lent

    def _made(self):
        """Buffers for one call, and their views as the lines write them."""
        memory = [np.empty(size, np.uint8) for size in self.buffers]
        found = []
        for _, i, shape, dtype, axes in self.outs:
            flat = memory[i][: math.prod(shape) * dtype.itemsize].view(dtype)
            whole = flat.reshape([shape[axis] for axis in axes])
            found.append(whole.transpose(np.argsort(axes)))
        return found

    # --- arguments and results ---

    def _take(self, path, tree, inputs):
        """Lines that give the arguments' leaves names."""
        if type(tree) in (list, tuple) and tree and not any(map(_is_container, tree)):
            found = [next(inputs) for _ in tree]
            names = [self._input(var) for var in found]
            return [f"{', '.join(names)}, = {path}"]
        if type(tree) in (list, tuple):
            parts = enumerate(tree)
        elif type(tree) is dict:
            parts = tree.items()
        elif tree is None:
            return []
        elif _is_container(tree):
            leaves_, _ = flatten(tree, by_value=False)
            if all(hasattr(leaf, "node") for leaf in leaves_):  # a module's parameters
                return [f"{self._input(next(inputs))} = {self._bound(leaf, 'p')}.node.value"
                        for leaf in leaves_]  # fmt: skip
            names = [self._input(next(inputs)) for _ in leaves_]
            return [f"{', '.join(names)}, = {self._bound(_leaves, 'leaves')}({path})"] * bool(names)
        else:
            return [f"{self._input(next(inputs))} = {path}"]
        return [
            line for key, part in parts for line in self._take(f"{path}[{key!r}]", part, inputs)
        ]

    def _input(self, var):
        name = f"x{len(self.names)}" if var is not None else "_"
        if var is not None:
            self.names[var] = name
        return name

    def _result(self, tree, outputs):
        """A result as an expression, in the structure that the function gave."""
        if type(tree) in (list, tuple):
            inside = "".join(f"{self._result(part, outputs)}, " for part in tree)
            return f"[{inside}]" if type(tree) is list else f"({inside})"
        if type(tree) is dict:
            parts = (f"{k!r}: {self._result(v, outputs)}" for k, v in tree.items())
            return f"{{{', '.join(parts)}}}"
        if tree is None:
            return "None"
        if _is_container(tree):
            found, rebuild = flatten(tree)
            inside = ", ".join(self._returned(next(outputs)) for _ in found)
            return f"{self._bound(rebuild, 'rebuild')}([{inside}])"
        return self._returned(next(outputs))

    # --- memory ---

    def _find_lives(self):
        """Which line reads each value's memory last; views count for what they are views of."""
        self.root, self.last, self.over = {}, {}, set()
        self.views = {}  # result -> what it is a view of
        for line in self.lines:
            self.views |= _viewed(line)
        self.made = {var: line for line in self.lines for var in line.writes()}
        for assigning in (False, True):  # what is assigned into, if that was its last use
            last, roots, self.last, self.root = self.last, self.root, {}, {}
            for i, line in enumerate(self.lines):
                for var in line.writes():
                    if var in self.views:
                        self.root[var] = self._root(self.views[var])
                if assigning and line.operation.name == "setitem":
                    if self._is_over(i, line, last, roots):
                        self.root[line.results] = self._root(line.args[0])
                        self.over.add(line.results)
                for var in line.reads():
                    self.last[self._root(var)] = i
            for x in self.outputs:
                if isinstance(x, Var):
                    self.last[self._root(x)] = len(self.lines)
            self.returned = Counter(self._root(x) for x in self.outputs if isinstance(x, Var))
        self.own = {}  # root -> (buffer, shape, type, order of the axes in memory)
        self.idle = {}  # size -> buffers of it that nobody needs now
        self.named = {}  # (buffer, shape, type, order) -> its name in the text

    def _is_over(self, i, line, last, roots):
        """Whether an assignment may be made in the array itself, which nobody needs as it was.

        last, roots   as they are where it makes a copy
        """
        x = line.args[0]
        if not isinstance(x, Var) or last.get(roots.get(x, x)) != i:
            return False
        root = self._root(x)
        maker, value = self.made.get(root), x.value
        if maker is None or not isinstance(value, np.ndarray) or not value.flags.writeable:
            return False
        given = (v.value if isinstance(v, Var) else v for v in leaves(maker.args))
        shared = (isinstance(g, np.ndarray) and np.may_share_memory(g, value) for g in given)
        return value.dtype == line.results.value.dtype and not any(shared)

    def _root(self, var):
        return self.root.get(var, var)

    def _buffer(self, i, line, y):
        """A name for the memory the result is written into: an operand's own, or an idle buffer."""
        elementwise = line.operation.kind == "elementwise" or isinstance(line.operation, Constant)
        dying = {self._root(v) for v in line.reads() if self.last.get(self._root(v)) == i}
        size, layout = y.nbytes, _layout(y)
        place = None
        if elementwise:
            for var in line.reads():
                root = self._root(var)
                if root in dying and var is root and self.own.get(root, ())[1:] == layout:
                    place = self.own.pop(root)[0]
                    self.in_place += 1
                    break
        if place is None:
            fitting = [n for n, there in self.idle.items() if there and size <= n <= 4 * size]
            if fitting:
                place = self.idle[min(fitting)].pop()
            else:
                place = len(self.buffers)
                self.buffers.append(size)
        if (place, *layout) not in self.named:
            self.named[place, *layout] = f"b{len(self.outs)}"
            self.outs.append((f"b{len(self.outs)}", place, *layout))
        return place, self.named[place, *layout]

    def _idle(self, place):
        self.idle.setdefault(self.buffers[place], []).append(place)

    def _release(self, i, line):
        for var in line.reads():
            root = self._root(var)
            if self.last.get(root) == i and root in self.own:
                self._idle(self.own.pop(root)[0])

    # --- text ---

    def _line(self, i, line):
        results = line.writes()
        for var in results:
            self.names[var] = f"v{var.number}"
        target = ", ".join(self.names[var] for var in results)
        if len(results) == 1 and isinstance(line.results, tuple):
            target += ","
        y = line.results.value if isinstance(line.results, Var) else None
        args = [self._text(x) for x in line.args]
        if self._on_floats(line):
            self.floats = True
            return f"{target} = {self._number(line, args)}"
        if not self.views.keys().isdisjoint(results):
            return f"{target} = {self._call(line, args)}"
        if line.results in self.over:
            self.in_place += 1
            self._release(i, line)
            index = self._text(line.options["index"])
            return f"{args[0]}[{index}] = {args[1]}; {target} = {args[0]}"
        writes = self._writer(line)
        if isinstance(y, np.ndarray):
            self.total += y.nbytes
        buffered = (
            writes is not None and isinstance(y, np.ndarray) and y.ndim and y.size
            and line.results not in self.returned
        )  # fmt: skip
        if not buffered:
            self._release(i, line)
            if isinstance(y, np.ndarray) and line.results not in self.returned:
                self.fresh.add(line.operation.name)
            return f"{target} = {writes(args, '') if writes else self._call(line, args)}"
        place, out = self._buffer(i, line, y)
        self._release(i, line)
        self.own[line.results] = place, *_layout(y)
        self.written += 1
        if line.results not in self.last:
            self._idle(self.own.pop(line.results)[0])
        return f"{target} = {writes(args, out)}"

    def _chain(self, start, end):
        """Lines for operations on elements alone, all of one shape: worked through in blocks, whose
        intermediate results stay in the processor's cache.
        """
        lines, y = self.lines[start:end], self.lines[start].results.value
        out, flat, temporary, idle = [], {}, {}, {}
        last = {var: i for i, line in enumerate(lines) for var in line.reads()}

        def block_of(dtype):
            if not idle.get(dtype):
                self.buffers.append(BLOCK * dtype.itemsize)
                layout = (BLOCK,), dtype, (0,)
                self.outs.append((f"b{len(self.outs)}", len(self.buffers) - 1, *layout))
                return self.outs[-1][0]
            return idle[dtype].pop()

        def operand(x):
            value = x.value if isinstance(x, Var) else x
            if isinstance(x, Var) and x in temporary:
                return f"{temporary[x]}[:m]"
            if _is_one_number(value):
                return self._bound(value[(0,) * value.ndim + (...,)], "c")
            if isinstance(value, np.ndarray) and value.ndim:
                key = x if isinstance(x, Var) else id(x)
                if key not in flat:
                    flat[key] = f"f{len(flat)}"
                    out.append(f"{flat[key]} = {self._text(x)}.reshape(-1)")
                return f"{flat[key]}[s:e]"
            return self._text(x)

        inside = []
        for i, line in enumerate(lines):
            var = line.results
            self.names[var] = f"v{var.number}"
            self.written += 1
            self.total += var.value.nbytes
            args = [operand(x) for x in line.args]
            for x in {*line.reads()}:
                if x in temporary and last[x] == i:
                    idle.setdefault(x.value.dtype, []).append(temporary.pop(x))
            if self.last.get(var, -1) < end:  # nobody outside needs it
                temporary[var] = block_of(var.value.dtype)
                target = f"{temporary[var]}[:m]"
            elif var in self.returned:
                dtype = self._bound(var.value.dtype, "dtype")
                out.append(f"{self.names[var]} = np.empty({var.value.shape}, {dtype})")
                target = operand(var)
            else:
                place, name = self._buffer(-1, line, var.value)
                self.own[var] = place, *_layout(var.value)
                out.append(f"{self.names[var]} = {name}")
                target = operand(var)
            inside.append(f"    {self._writer(line)(args, target)}")
        for i in range(start, end):
            self._release(i, self.lines[i])
        self.chained += end - start
        loop = [f"for s in range(0, {y.size}, {BLOCK}):", f"    e = min(s + {BLOCK}, {y.size})",
                "    m = e - s"]  # fmt: skip
        return [*out, *loop, *inside]

    def _writer(self, line):
        """``(args, out) -> `` the text of a call that writes into `out`; None if none does."""
        operation, options = line.operation, line.options
        function = operation.function
        if operation.name == "copy" and not options:
            function = np.positive  # the ufunc that copies
            name = self._bound(function)
            return lambda args, out: f"{name}({args[0]}{f', out={out}' if out else ''})"
        ufunc = isinstance(function, np.ufunc) and function.nout == 1 and not options
        direct = operation.forward is function or isinstance(operation, Constant)
        if ufunc and direct and function.nin == len(line.args):
            name = self._bound(function)
            return lambda args, out: f"{name}({', '.join([*args, f'out={out}'] if out else args)})"
        if (
            operation.name in REDUCTIONS
            and set(options) <= {"axis", "keepdims"}
            and (getattr(function, "__module__", "") == "numpy" and len(line.args) == 1)
        ):
            name = self._bound(REDUCTIONS[operation.name].reduce, operation.name)
            axis, kept = options.get("axis"), bool(options.get("keepdims", False))
            if kind_of(line.args[0].value if isinstance(line.args[0], Var) else None) == "f":
                return lambda args, out: f"{name}({args[0]}, {axis}, None, {out or None}, {kept})"
        return None

    def _call(self, line, args):
        """A call of the operation's own forward."""
        operation = line.operation
        first = line.args[0].value if line.args and isinstance(line.args[0], Var) else None
        if not isinstance(first, np.ndarray):  # numbers have no methods
            pass
        elif operation.name == "transpose" and line.options.get("axes") is None:
            return f"{args[0]}.T"
        elif operation.name == "reshape" and set(line.options) <= {"shape", "newshape"}:
            (shape,) = line.options.values()
            return f"{args[0]}.reshape({self._text(shape)})"
        elif operation.name == "getitem":
            return f"{args[0]}[{self._text(line.options['index'])}]"
        inside = [*args, *(f"{k}={self._text(v)}" for k, v in line.options.items())]
        return f"{self._bound(operation.forward, operation.name)}({', '.join(inside)})"

    def _number(self, line, args):
        """A call on Python floats."""
        operation = line.operation
        if operation.name in SIGNS and len(args) == 2:
            return f"{args[0]} {SIGNS[operation.name]} {args[1]}"
        if operation.name == "negative":
            return f"-{args[0]}"
        inside = [*args, *(f"{k}={self._text(v)}" for k, v in line.options.items())]
        if operation.scalar is not None:
            return f"{self._bound(operation.scalar, operation.name)}({', '.join(inside)})"
        evaluate = self._bound(functools.partial(_evaluated, operation), operation.name)
        return f"{evaluate}({', '.join(inside)})"

    def _on_floats(self, line):
        values = [x.value if isinstance(x, Var) else x for x in line.args]
        elementwise = getattr(line.operation, "kind", None) == "elementwise"
        return elementwise and all(type(v) in (float, int) for v in values)

    def _returned(self, x):
        """A result: of views of buffers, of inputs and of constants a copy."""
        if not isinstance(x, Var):
            return f"{self._text(x)}.copy()" if isinstance(x, np.ndarray) else self._text(x)
        name = self.names[x]
        if not isinstance(x.value, np.ndarray):
            return name
        alone = x in self.made and self._root(x) is x and self.returned[x] == 1
        return name if alone else f"{name}.copy()"

    def _text(self, x):
        if isinstance(x, Var):
            return self.names[x]
        if isinstance(x, (list, tuple)) and any(isinstance(v, Var) for v in leaves(x)):
            inside = ", ".join(map(self._text, x))
            return f"[{inside}]" if isinstance(x, list) else f"({inside},)"
        if type(x) in (int, bool, str, type(None)) or (type(x) is float and math.isfinite(x)):
            return repr(x)
        if type(x) is tuple and all(type(v) is int for v in x):
            return repr(x)
        if isinstance(x, slice) and any(isinstance(v, Var) for v in leaves(x)):
            return f"slice({', '.join(self._text(v) for v in (x.start, x.stop, x.step))})"
        return self._bound(x, "c")

    def _bound(self, x, name=None):
        """The name under which the text finds an object."""
        if id(x) not in self.known:
            name = name or getattr(x, "__name__", "c")
            name = f"{name if name.isidentifier() else 'f'}_{len(self.known)}"
            self.known[id(x)] = name
            self.space[name] = x
        return self.known[id(x)]


def _in_chains(lines):
    """``(lines, chains)``: chains of operations on elements of large arrays next to one another,
    and the number of the line after each, by that of its first.
    """
    found, chains, todo = [], {}, deque(lines)
    while todo:
        line = todo.popleft()
        size = _on_elements(line)
        if not size:
            found.append(line)
            continue
        chain, rest, late = [line], deque(), set()
        for other in todo:
            if _on_elements(other) == size and late.isdisjoint(other.reads()):
                chain.append(other)
            else:
                rest.append(other)
                late.update(other.writes())
        if len(chain) > 1:
            chains[len(found)] = len(found) + len(chain)
        found += chain
        todo = rest
    return found, chains


def _on_elements(line):
    """The shape, where a line does one operation on each element of large arrays of that shape."""
    operation, y = line.operation, getattr(line.results, "value", None)
    if not isinstance(y, np.ndarray) or y.size < LARGE or line.options:
        return None
    function = operation.function
    if not (isinstance(function, np.ufunc) and function.nout == 1 and function.signature is None):
        return None
    if operation.forward is not function and not isinstance(operation, Constant):
        return None
    for x in (line.results, *line.args):
        value = x.value if isinstance(x, Var) else x
        if np.ndim(value) and (value.shape != y.shape or not value.flags.c_contiguous):
            if isinstance(x, Var) or not _is_one_number(value):
                return None
    return y.shape


def _is_one_number(x):
    """Whether a constant array is one number, broadcast."""
    return isinstance(x, np.ndarray) and x.ndim > 0 and x.size > 1 and not any(x.strides)


def _is_container(x):
    """Whether `flatten` looks into it."""
    return x is None or isinstance(x, (list, tuple, dict)) or hasattr(x, "__tree__")


def _leaves(tree):
    return flatten(tree)[0]


def _layout(y):
    """Shape, type, and the axes from the slowest to the fastest in memory: sums go along it, and
    their last bit depends on it.
    """
    return y.shape, y.dtype, tuple(sorted(range(y.ndim), key=lambda axis: -y.strides[axis]))


def _evaluated(operation, *args, **options):
    return operation.evaluate(args, options)


def _viewed(line):
    """Result -> the operand that it is a view of, as they were while tracing."""
    given = [
        x for x in leaves([*line.args, line.options])
        if isinstance(x, Var) and isinstance(x.value, np.ndarray) and x.value.size
    ]  # fmt: skip
    return {
        var: x
        for var in line.writes()
        if isinstance(var.value, np.ndarray)
        for x in given
        if np.may_share_memory(var.value, x.value)
    }
