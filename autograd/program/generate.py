"""The function that a compiled program runs as: NumPy calls that write into buffers of its own.

A buffer is given to the next result once nothing needs the one before, in place where that is
safe; transposes and reshapes stay views.  What the function returns is always memory of its own.
"""

import builtins
import functools
import math
from collections import Counter

import numpy as np

from ..families import Constant
from ..primitive import kind_of, leaves
from ..rules.random import generator_or_default
from ..tree import flatten
from .blocks import BLOCK, in_chains, is_one_number, on_elements, ufunc_of
from .native import Machine
from .simplify import layout_of
from .state import LOCK, STALE, Undisturbed, value_of
from .trace import Var

ROW = 256  # elements of a row from which a row of numbers is faster than the number
REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


class Generator:
    """Writes the function of a list of lines.

    buffers      bytes of each
    changes      ``(kind, owner, name)`` of all that the function changes around it
    generators   what it draws from; None for the default one
    machine      what is machine code; None where none is asked for
    """

    def __init__(self, kernel, lines):
        self.machine = Machine() if kernel.jit else None
        self.lines, self.chains = in_chains(lines, self.machine)
        deeds = kernel.around.deeds
        changed = [place for made, _ in deeds for *place, _ in made]
        self.changes = [*{(k, id(x), n): (k, x, n) for k, x, n in changed}.values()]
        self.outputs = [*kernel.outputs, *kernel.values]
        self.generators = self._generators()
        self.names, self.space, self.known = {}, {"np": np, "math": math}, {}
        self.floats, self.buffers, self.outs, self.fresh = False, [], [], set()
        self.written = self.in_place = self.total = self.chained = 0
        self.rows = {}  # (number, shape, type) -> an array of it
        inputs, self.parameters = iter(kernel.inputs), []
        taken = [
            line
            for i, arg in enumerate(kernel.args)
            for line in self._take(f"args[{i}]", arg, inputs)
        ]
        taken += self._around(kernel)
        self._find_lives()
        body, i = [], 0
        while i < len(lines):
            end = self.chains.get(i, i + 1)
            body += self._together(i, end)
            i = end
        body += self._deeds(deeds, iter(kernel.values))
        body.append(f"return {self._result(kernel.result, iter(kernel.outputs))}")
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
                self.parameters += leaves_
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

    # --- what is around the function ---

    def _generators(self):
        found = [line.options["generator"] for line in self.lines if "generator" in line.options]
        default = generator_or_default()
        return [*{id(g): None if g is default else g for g in found}.values()]

    def _around(self, kernel):
        """Lines that read what is around the function, and see that it is as it was traced."""
        around = kernel.around
        read = {x for line in self.lines for x in line.reads()}
        read |= {x for x in self.outputs if isinstance(x, Var)}
        lines = []
        checks = [f"{self._bound(m, 'm')}.training is {m.training}" for m in around.modules]
        checks += [f"{self._bound(p, 'p')}.level == {p.level}" for p in self.parameters]
        for var, (kind, owner, name) in around.inputs.items():
            if var not in read:
                continue
            x, place = self._input(var), self._place(kind, owner, name)
            if kind == "data":
                lines.append(f"{x} = {self._bound(owner, 'p')}.node.value")
                checks.append(f"{self._bound(owner, 'p')}.level == {owner.level}")
            elif kind == "grad":
                lines.append(f"{x} = {place}")
            elif type(value_of(kind, owner, name)) is np.ndarray:
                lines.append(f"{x} = {place}")
            else:  # a Tensor's, which notes writes
                lines.append(f"{x} = np.asarray({place})")
            if isinstance(var.value, np.ndarray):
                dtype = self._bound(var.value.dtype, "dtype")
                checks.append(f"type({x}) is {self._bound(np.ndarray)}")
                checks.append(f"{x}.shape == {var.value.shape} and {x}.dtype == {dtype}")
            else:
                checks.append(f"type({x}) is {self._bound(type(var.value))}")
        for owner, cell in zip(around.tensors, around.cells, strict=True):
            if cell.is_read and any(x is owner and k == "grad" for k, x, _ in self.changes):
                had = "is" if cell.first is None else "is not"
                checks.append(f"{self._bound(owner, 'p')}.node.cell.grad {had} None")
        if lines:
            lines = [f"with {self._bound(LOCK, 'lock')}:", *(f"    {line}" for line in lines)]
        if checks:
            lines += [f"if not ({' and '.join(dict.fromkeys(checks))}):",
                      f"    return {self._bound(STALE, 'stale')}"]  # fmt: skip
        return lines

    def _place(self, kind, owner, name):
        """The text of where something is kept around the function."""
        if kind == "data":
            return f"{self._bound(owner, 'p')}.data"
        if kind == "grad":
            return f"{self._bound(owner, 'p')}.node.cell.grad"
        if kind == "array":
            return self._bound(owner, "c")
        if kind == "attribute":
            return f"{self._bound(owner, 'o')}.{name}"
        index = repr(name) if type(name) in (str, int) else self._bound(name, "key")
        return f"{self._bound(owner, 'kept')}[{index}]"

    def _deeds(self, deeds, values):
        """Lines that change what is around the function, after all has been computed."""
        lines = []
        for changes, act in deeds:
            for kind, owner, name, _ in changes:
                kind, _, into = kind.partition(" ")
                place, value = self._place(kind, owner, name), self._returned(next(values))
                value = value if kind in ("data", "grad") or into else f"np.asarray({value})"
                lines.append(f"{place}{'[...]' if into else ''} = {value}")
            if act is not None:
                lines.append(f"{self._bound(act, act.__name__)}()")
        if lines:
            held = f"with {self._bound(Undisturbed, 'undisturbed')}():"
            lines = [held, *(f"    {line}" for line in lines)]
        return lines

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
            self.views |= line.views
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
        return layout_of(value) == layout_of(line.results.value) and not any(shared)

    def _root(self, var):
        return self.root.get(var, var)

    def _buffer(self, i, line, y):
        """A name for the memory the result is written into: an operand's own, or an idle buffer."""
        elementwise = line.operation.kind == "elementwise" or isinstance(line.operation, Constant)
        dying = {self._root(v) for v in line.reads() if self.last.get(self._root(v)) == i}
        size, layout = y.nbytes, layout_of(y)
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
        args = [self._text(x) for x in self._beside(line, np.shape(y)[-1:])]
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
        self.own[line.results] = place, *layout_of(y)
        self.written += 1
        if line.results not in self.last:
            self._idle(self.own.pop(line.results)[0])
        return f"{target} = {writes(args, out)}"

    def _together(self, start, end):
        """Lines of text for a chain, or for what is none."""
        lines, chained = self.lines[start:end], start in self.chains
        if chained and self.machine and self.machine.takes(lines[0]):
            loop = self.machine.loop(lines, self._outliving(start, end))
            if loop is not None:
                return self._loop(start, end, loop)
        if chained and all(map(on_elements, lines)):
            return self._chain(start, end)
        return [self._line(i, self.lines[i]) for i in range(start, end)]

    def _outliving(self, start, end):
        """What is read after a chain."""
        made = [line.results for line in self.lines[start:end]]
        return [var for var in made if self.last.get(var, -1) >= end]

    def _room(self, line):
        """Text that makes room for a result which outlives its chain."""
        var = line.results
        if var in self.returned:
            dtype = self._bound(var.value.dtype, "dtype")
            return f"{self.names[var]} = np.empty({var.value.shape}, {dtype})"
        place, name = self._buffer(-1, line, var.value)
        self.own[var] = place, *layout_of(var.value)
        return f"{self.names[var]} = {name}"

    def _loop(self, start, end, loop):
        """Lines of text for a chain in machine code."""
        out, lines = [], self.lines[start:end]
        for line in lines:
            self.names[line.results] = f"v{line.results.number}"
            self.written += 1
            self.total += line.results.value.nbytes
            if line.results in loop.kept:
                out.append(self._room(line))
        given = [f"{self._text(x)}.reshape(-1)" for x in loop.arrays]
        given += [f"float({self._text(x)})" for x in loop.numbers]
        given += [f"{self.names[var]}.reshape(-1)" for var in loop.kept]
        for i in range(start, end):
            self._release(i, self.lines[i])
        return [*out, f"{self._bound(loop.run, 'loop')}({', '.join(given)})"]

    def _chain(self, start, end):
        """Lines for operations on elements alone, all of one shape: worked through in blocks, whose
        intermediate results stay in the processor's cache.
        """
        lines, y = self.lines[start:end], self.lines[start].results.value
        outliving = self._outliving(start, end)
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
            if is_one_number(value):
                return self._bound(value[(0,) * value.ndim + (...,)], "c")
            if np.shape(value) == (BLOCK,):  # a row of a number: arrays of chains are larger
                return f"{self._bound(value, 'row')}[:m]"
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
            args = [operand(x) for x in self._beside(line, (BLOCK,))]
            for x in {*line.reads()}:
                if x in temporary and last[x] == i:
                    idle.setdefault(x.value.dtype, []).append(temporary.pop(x))
            if var in outliving:
                out.append(self._room(line))
                target = operand(var)
            else:
                temporary[var] = block_of(var.value.dtype)
                target = f"{temporary[var]}[:m]"
            inside.append(f"    {self._writer(line)(args, target)}")
        for i in range(start, end):
            self._release(i, self.lines[i])
        self.chained += end - start
        loop = [f"for s in range(0, {y.size}, {BLOCK}):", f"    e = min(s + {BLOCK}, {y.size})",
                "    m = e - s"]  # fmt: skip
        return [*out, *loop, *inside]

    def _beside(self, line, shape):
        """The arguments; for a number beside an array, an array of no axes in its place, which
        NumPy need not convert.  For that of a maximum, a row of it: NumPy takes four times as long
        with one number.
        """
        args = line.args
        number = [i for i, x in enumerate(args) if type(x) in (int, float)]
        kinds = {np.shape(x.value) and x.value.dtype for x in line.reads()}
        if ufunc_of(line) is None or not (len(number) == len(kinds) == 1) or () in kinds:
            return args
        (i,), (dtype,) = number, kinds
        if dtype.kind != "f" and not (dtype.kind in "iu" and type(args[i]) is int):
            return args  # which type comes of it depends on the number
        y, large = line.results.value, line.operation.name in ("maximum", "minimum")
        large = large and np.size(y) >= ROW and shape[0] >= ROW
        key = repr(args[i]), shape if large else (), dtype
        if key not in self.rows:
            try:
                self.rows[key] = np.full(key[1], args[i], dtype)
            except OverflowError:  # NumPy is to say so when it is called
                return args
        return [*args[:i], self.rows[key], *args[i + 1 :]]

    def _writer(self, line):
        """``(args, out) -> `` the text of a call that writes into `out`; None if none does."""
        operation, options = line.operation, line.options
        function = operation.function
        if operation.name == "copy" and not options:
            function = np.positive  # the ufunc that copies
            name = self._bound(function)
            return lambda args, out: f"{name}({args[0]}{f', out={out}' if out else ''})"
        if ufunc_of(line) is not None:
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
        elif operation.name == "reshape" and set(line.options) == {"shape"}:
            return f"{args[0]}.reshape({self._text(line.options['shape'])})"
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
        if isinstance(x, np.random.Generator) and x is generator_or_default():
            return f"{self._bound(generator_or_default)}()"  # seed() makes another
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


def _is_container(x):
    """Whether `flatten` looks into it."""
    return x is None or isinstance(x, (list, tuple, dict)) or hasattr(x, "__tree__")


def _leaves(tree):
    return flatten(tree)[0]


def _evaluated(operation, *args, **options):
    return operation.evaluate(args, options)
