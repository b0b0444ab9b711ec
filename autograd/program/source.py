"""The program a person would have written: source text of a function, or of its derivative.

>>> def f(x):
...     return x * np.sin(x)
>>> print(source(f, 2.0, of="gradient"))
import math
...
"""

import re
import textwrap
from pathlib import Path

import numpy as np

from ..families import Constant
from ..transforms import called
from .helpers import Helpers
from .latex import latex as as_latex
from .record import TAKEN, Program
from .roll import Loop, rolled, with_operands
from .trace import Var

WIDTH = 100
INLINE = 8  # elements of a constant array that is written where it is used
WRITTEN = 1000  # elements up to which a constant array is written at all
INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "**",
    "floor_divide": "//", "remainder": "%", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "bitwise_and": "&",
    "bitwise_or": "|", "bitwise_xor": "^",
}  # fmt: skip


SAME = {  # operations of ours that are one function of NumPy
    "where": "np.where", "pinv": "np.linalg.pinv", "cholesky": "np.linalg.cholesky",
    "qr": "np.linalg.qr", "svd": "np.linalg.svd", "pad": "np.pad",
}  # fmt: skip
ORDERED = {"insert"}  # functions of NumPy whose arrays do not come first
MORE = {"svd": ["full_matrices=False"]}


class Source(str):
    """Source text; it is a str.

    constants   arrays too large to be written, by the names under which the text expects them
    name        of the function
    """

    __slots__ = ("constants", "name")

    def function(self):
        """The function that the text defines, its constants in place."""
        space = dict(self.constants)
        exec(compile(self, f"<{self.name}>", "exec"), space)
        return space[self.name]

    def _repr_html_(self):
        from html import escape

        return f"<pre><code>{escape(self)}</code></pre>"

    def __repr__(self):
        return str(self)


def source(f, *args, of="value", argnums=None, loops=True, latex=False):
    """Python source of what `f` does at arguments like these, or of its derivative: a `Source`.

    of        "value"; "tangent": of ``(value, tangent)``, with a direction for each argument as a
              further parameter; "gradient": of the gradient; "hvp": of the Hessian times a
              direction
    argnums   by which arguments, an int or a tuple of ints; all that hold floats by default
    loops     write repeats of a pattern as loops
    latex     the same as equations instead, for notebooks

    The text needs NumPy (and math) and nothing of this library, and computes the same to the bit.
    It holds for these shapes and element types and for the branches taken at these values; the
    program's looking at a value, in an ``if`` or ``float()``, gives a TracingWarning with the line.

    >>> def f(x):
    ...     return x * np.sin(x)
    >>> print(source(f, 2.0, of="gradient"))
    import math
    <BLANKLINE>
    <BLANKLINE>
    def f_gradient(x):
        # written for: x a float
        ...
    """
    text = Writer(Program(f, args, of, argnums), loops).source()
    return as_latex(text, text.name) if latex else text


class Writer:
    """Writes a `Program` as source."""

    def __init__(self, program, loops):
        self.program = program
        self.texts, self.taken = {}, {*TAKEN, *program.parameters}
        self.constants, self.hoisted, self.helpers = {}, {}, Helpers(self.taken)
        self.name = _identifier(called(program.f))
        if program.what != "value":
            self.name += f"_{program.what}"
        self.generators = {}
        self.elements = {}  # Var -> (list, index), of elements of lists that are arguments
        for var, (name, path) in program.inputs.items():
            self.texts[var] = name + path
            number = re.fullmatch(r"\[(\d+)\]", path)
            if number:
                self.elements[var] = name, int(number[1])
        self.results = {}  # Var -> the element of a list of results that it is
        self.lists = {}  # name of such a list -> its length
        if program.what in ("gradient", "hvp"):
            self._find_result_lists()
        self.items = rolled(program.lines, self.elements) if loops else list(program.lines)
        self.out = []

    def _find_result_lists(self):
        """Lists of derivatives by the elements of a list get elements of their own."""
        suffix = {"gradient": "_bar", "hvp": "_hvp"}[self.program.what]
        names = {}
        for var, (name, _) in self.elements.items():
            names.setdefault(name, []).append(var)
        outputs = self.program.outputs
        trees = outputs if isinstance(outputs, tuple) else [outputs]
        for tree in trees:
            for name, elements in names.items():
                alike = isinstance(tree, list) and len(tree) == len(elements)
                if alike and all(isinstance(x, Var) for x in tree) and len({*tree}) == len(tree):
                    whole = self._fresh(f"{name}{suffix}")
                    self.lists[whole] = len(tree)
                    self.results |= {var: (whole, i) for i, var in enumerate(tree)}
                    tree[:] = [_Whole(whole)]
                    break

    # --- names ---

    def _fresh(self, name):
        """`name`, or with a number where that is taken."""
        found, i = name, 2
        while found in self.taken:
            found, i = f"{name}_{i}", i + 1
        self.taken.add(found)
        return found

    def _called(self, var):
        """The name a value asks for: the user's, or that of what it is the derivative of."""
        name = self.program.names.get(var)
        if name is None and var in self.program.of:
            value, suffix = self.program.of[var]
            base = self.texts.get(value) or self._called(value)
            return re.sub(r"\W+", "_", base or "v").strip("_") + suffix
        return name

    def _assign(self, var):
        """The target text of a value that is being computed."""
        if var in self.results:
            whole, i = self.results[var]
            self.texts[var] = f"{whole}[{i}]"
        else:
            name = self._called(var)
            self.texts[var] = self._fresh(name) if name else self._numbered()
        return self.texts[var]

    def _numbered(self):
        i = 1
        while f"v{i}" in self.taken:
            i += 1
        return self._fresh(f"v{i}")

    # --- the text ---

    def source(self):
        """The whole of it."""
        program = self.program
        for whole, n in self.lists.items():
            self._line(f"{whole} = [None] * {n}")
        if program.what == "gradient":
            self.seed = program.seed
        uses = self._uses()
        for item in self.items:
            if program.what == "gradient" and program.seed not in self.texts:
                reads = item.reads() if not isinstance(item, Loop) else _loop_reads(item)
                if program.seed in reads:
                    self._write_seed()
            if isinstance(item, Loop):
                self._write_loop(item, uses)
            else:
                text = self.call(item, item.args, item.options)
                results = [self._assign(var) for var in item.writes()]
                self._line(f"{', '.join(results)} = {text}", item.where)
        if program.what == "gradient" and any(x is program.seed for x in program.output_vars()):
            self._write_seed()
        self._line(f"return {self._tree(program.outputs)}")
        body = _commented(self.out)
        head = [*_definition(self.name, program.parameters), *self._notes()]
        text = "\n".join([*head, *(f"    {line}" if line else "" for line in body)])
        hoisted = [f"{name} = {value}" for name, value in self.hoisted.items()]
        used = "\n".join([*hoisted, text])
        imports = dict(self.helpers.imports)
        for module, line in (("math.", "import math"), ("np.", "import numpy as np")):
            if re.search(rf"\b{re.escape(module)}", used):
                imports[line] = None
        blocks = [
            "\n".join(sorted(imports)), "\n".join(hoisted), *self.helpers.texts.values(), text
        ]  # fmt: skip
        found = Source("\n\n\n".join(filter(None, blocks)) + "\n")
        found.constants, found.name = self.constants, self.name
        return found

    def _write_seed(self):
        program = self.program
        value = program.seed.value
        shape = np.shape(value)
        one = "1.0" if type(value) is float else f"np.ones({shape}, {_dtype(value)})"
        if type(value) is np.ndarray and not shape:
            one = f"np.array(1.0, {_dtype(value)})"
        self._line(f"{self._assign(program.seed)} = {one}")

    def _notes(self):
        """What the text holds for, as comments."""
        program = self.program
        shapes = ", ".join(_what(name, program) for name in program.parameters)
        notes = textwrap.wrap(f"written for: {shapes}", WIDTH - 6, break_long_words=False)
        notes = [f"    # {line}" for line in notes]
        for what, where in program.tape.specialized:
            at = f" in {Path(where[0]).name}:{where[1]}" if where else ""
            notes.append(f"    # and for {what} that a value had{at}")
        if self.constants:
            notes.append(f"    # expects as globals: {', '.join(self.constants)}")
        return notes

    def _line(self, text, where=None, indent=0):
        self.out.append((indent, text, where))

    def _tree(self, tree):
        if isinstance(tree, _Whole):
            return tree.name
        if isinstance(tree, Var):
            return self.texts[tree]
        if isinstance(tree, tuple):
            return f"({', '.join(map(self._tree, tree))}{',' * (len(tree) == 1)})"
        if isinstance(tree, list):
            if len(tree) == 1 and isinstance(tree[0], _Whole):
                return tree[0].name
            return f"[{', '.join(map(self._tree, tree))}]"
        if isinstance(tree, dict):
            return f"{{{', '.join(f'{k!r}: {self._tree(v)}' for k, v in tree.items())}}}"
        return self.text(tree)

    # --- loops ---

    def _uses(self):
        """Var -> how many calls outside of the loop it is made in read it, outputs too."""
        uses = {}
        for item in self.items:
            if isinstance(item, Loop):
                for var in _loop_reads(item):
                    if var not in item.place:
                        uses.setdefault(var, []).append(item)
            else:
                for var in item.reads():
                    uses.setdefault(var, []).append(item)
        for var in self.program.output_vars():
            uses.setdefault(var, []).append(None)
        return uses

    def _write_loop(self, loop, uses):
        n = loop.times
        wanted = {}  # place -> copies whose results are read from outside
        for var, (c, r) in loop.place.items():
            if var in uses:
                wanted.setdefault(r, set()).add(c)
        first, step = self._counter(loop)
        low, high = (first, first + n) if step > 0 else (first - n + 1, first + 1)
        counted = f"range({low}, {high})" if low else f"range({high})"
        header = f"for j in {counted if step > 0 else f'reversed({counted})'}:"

        def index(start, slope):
            """start + slope * copy, in terms of j = first + step * copy."""
            slope *= step
            rest = start - slope * first
            return _affine(slope, rest)

        names, stored = {}, {}
        for r in range(len(loop.pattern)):
            every = [copy[r].results for copy in loop.copies]
            places = [self.results.get(var) for var in every]
            if all(places) and len({whole for whole, _ in places}) == 1:
                numbers = [i for _, i in places]
                slope = numbers[1] - numbers[0]
                if all(b - a == slope for a, b in zip(numbers, numbers[1:], strict=False)):
                    stored[r] = f"{places[0][0]}[{index(numbers[0], slope)}]"
                    for var, (whole, i) in zip(every, places, strict=True):
                        self.texts[var] = f"{whole}[{i}]"
                    continue
            inside = r in loop.carried or any(
                operand[0] == "this" and operand[1] == r for ops in loop.operands for operand in ops
            )
            listed = wanted.get(r, set()) - ({n - 1} if r in loop.carried else set())
            asked = next((name for var in every if (name := self._called(var))), None)
            base = self._fresh(
                re.sub(r"_?\d+(?=(_bar|_dot)*$)", "", asked) if asked else self._short()
            )
            if listed or (not inside and r in wanted):
                stored[r] = None
                if r in loop.carried:
                    self._line(f"{base} = [{self.text(loop.carried[r])}]")
                else:
                    self._line(f"{base} = []")
                shift = r in loop.carried
                for c, var in enumerate(every):
                    self.texts[var] = f"{base}[{c + shift}]"
            else:
                if r in loop.carried:
                    self._line(f"{base} = {self.text(loop.carried[r])}")
                self.texts[every[-1]] = base
            names[r] = base
        self._line(header)
        loop.names, loop.stored = names, stored
        current = {}

        def operand(what):
            kind, *rest = what
            if kind == "same":
                return _Text(self.text(rest[0]))
            if kind == "this":
                return _Text(current[rest[0]])
            if kind == "before":
                r = rest[0]
                if r in stored and stored[r] is None:
                    return _Text(f"{names[r]}[{index(0, 1)}]")
                if r in stored:
                    return _Text(self._before(loop, r, index))
                return _Text(names[r])
            if kind == "item":
                return _Text(f"{rest[0]}[{index(rest[1], rest[2])}]")
            if kind == "made":
                other, r, start, slope = rest
                whole = other.names.get(r)
                if whole is None:
                    whole, places = self._whole(other, r)
                    start, slope = places(start), places(start + slope) - places(start)
                return _Text(f"{whole}[{index(start, slope)}]")
            return _Number(index(*rest))

        order, late = _in_order(loop, [r for r in loop.carried if r not in stored])
        for r in order:
            line = loop.pattern[r]
            args, options = with_operands(line, [operand(x) for x in loop.operands[r]])
            text = self.call(line, args, options)
            if r in stored and stored[r] is None:
                self._line(f"{names[r]}.append({text})", line.where, 1)
                current[r] = f"{names[r]}[-1]"
            else:
                current[r] = stored.get(r) or f"{names[r]}{'_next' * (r in late)}"
                self._line(f"{current[r]} = {text}", line.where, 1)
        for r in late:
            self._line(f"{names[r]} = {current[r]}", None, 1)

    def _short(self):
        return next(name for name in "abcdefghklmnopqrstu" if name not in self.taken)

    def _whole(self, loop, r):
        every = [self.results[copy[r].results] for copy in loop.copies]
        return every[0][0], lambda c: every[c][1]

    def _before(self, loop, r, index):
        whole, places = self._whole(loop, r)
        return f"{whole}[{index(places(0) - (places(1) - places(0)), places(1) - places(0))}]"

    def _counter(self, loop):
        """What j counts: the index of the first list that is gone through, and which way."""
        best = None
        for operands in loop.operands:
            for kind, *rest in operands:
                if kind in ("item", "made") and abs(rest[-1]) == 1:
                    if best is None or (kind == "item" and best[2] != "item"):
                        best = rest[-2], rest[-1], kind
        return best[:2] if best else (0, 1)

    # --- calls ---

    def call(self, line, args, options):
        """A call as an expression."""
        name, scalar = line.operation.name, _on_floats(line)
        if scalar and name in INFIX and name != "power" and len(args) == 2:
            return f"{self.text(args[0])} {INFIX[name]} {self.text(args[1])}"
        if name == "negative":
            return f"-{self.text(args[0])}"
        if scalar:
            module = getattr(line.operation.scalar, "__module__", None)
            inside = ", ".join(map(self.text, args))
            if module == "math":
                return f"math.{line.operation.scalar.__name__}({inside})"
            return f"float({self._numpy(line.operation, args, options)})"
        if name == "power" and type(args[1]) in (int, float) and args[1] in (2, 3):
            return " * ".join([self.text(args[0])] * int(args[1]))  # as the engine has it
        if name in INFIX and not options:
            return f"{self.text(args[0])} {INFIX[name]} {self.text(args[1])}"
        if name in ("getitem", "pick", "transpose", "astype") and options.get("axes") is None:
            first = line.args[0].value if isinstance(line.args[0], Var) else line.args[0]
            text = self.text(args[0])
            text = f"np.float64({text})" if type(first) is float else text  # floats have no axes
            if name == "transpose":
                return f"{text}.T"
            if name == "astype":
                return f"{text}.astype(np.{np.dtype(options['dtype']).name})"
            return f"{text}[{self._index(options['index'])}]"
        return self._numpy(line.operation, args, options)

    def _numpy(self, operation, args, options):
        name, function = operation.name, operation.function
        module = getattr(function, "__module__", None) or "numpy"
        inside = [self.text(arg) for arg in args]
        inside += [
            f"{key}={'None' if key == 'state' else self.text(value)}"
            for key, value in options.items()
        ]
        if name in SAME:
            called, inside = SAME[name], [*inside, *MORE.get(name, ())]
        elif name in ("concatenate", "stack") and module.startswith("numpy"):
            inside = [f"[{', '.join(inside[: len(args)])}]", *inside[len(args) :]]
            called = f"np.{name}"
        elif module.startswith("numpy") and _takes_its_arguments(operation):
            place = "np.linalg." if "linalg" in module else "np.fft." if "fft" in module else "np."
            called = f"{place}{getattr(function, '__name__', name)}"
        else:
            called = self.helpers.add(operation.forward, name)
        return f"{called}({', '.join(inside)})"

    def _index(self, index):
        if isinstance(index, tuple) and index:
            return ", ".join(map(self._index, index)) + ("," if len(index) == 1 else "")
        if isinstance(index, slice):
            parts = [
                "" if v is None else self.text(v) for v in (index.start, index.stop, index.step)
            ]
            return ":".join(parts if parts[2] else parts[:2])
        return "..." if index is Ellipsis else self.text(index)

    def text(self, x):
        """A value, a constant or a container of these, as an expression."""
        if isinstance(x, (_Text, _Number)):
            return str(x)
        if isinstance(x, Var):
            return self.texts[x]
        if isinstance(x, (list, tuple)):
            inside = ", ".join(map(self.text, x))
            return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' * (len(x) == 1)})"
        if isinstance(x, np.ndarray):
            return self._array(x)
        if isinstance(x, np.generic):
            return f"np.{x.dtype.name}({x.item()!r})".replace("(nan)", "(np.nan)")
        if isinstance(x, float):
            return repr(x) if np.isfinite(x) else f"float('{x}')"
        if isinstance(x, (type, np.dtype)):
            return f"np.{np.dtype(x).name}"
        if isinstance(x, (int, str, bool, type(None), range)):
            return repr(x)
        if isinstance(x, slice):
            return f"slice({', '.join(self.text(v) for v in (x.start, x.stop, x.step))})"
        if x is Ellipsis:
            return "..."
        if isinstance(x, np.random.Generator):
            return self._generator(x)
        if callable(x) and (getattr(x, "__module__", "") or "numpy").startswith("numpy"):
            return f"np.{x.__name__}"
        raise TypeError(f"source: cannot write {x!r} as text")

    def _generator(self, x):
        """A generator is a parameter: draws are made anew."""
        if x not in self.generators:
            self.generators[x] = self._fresh("generator")
            self.program.parameters.append(self.generators[x])
        return self.generators[x]

    def _array(self, x):
        written = np.array2string(
            x, separator=", ", threshold=x.size + 1, max_line_width=80, floatmode="unique"
        )
        text = f"np.array({written}, {_dtype(x)})".replace("nan", "np.nan").replace("inf", "np.inf")
        if not x.size:
            return f"np.zeros({x.shape}, {_dtype(x)})"
        same = np.all(x == x.flat[0])
        if same and x.ndim and x.size > 1:
            value = x.flat[0].item()
            fill = {0: "zeros", 1: "ones"}.get(value)
            shape = str(x.shape)
            if fill:
                return f"np.{fill}({shape}, {_dtype(x)})"
            return f"np.full({shape}, {self.text(value)}, {_dtype(x)})"
        if x.size <= INLINE and "\n" not in text:
            return text
        for name, known in {**self.hoisted, **self.constants}.items():
            if (known is x) or (isinstance(known, str) and known == text):
                return name
        i = len(self.hoisted) + len(self.constants) + 1
        name = self._fresh(f"const{i}")
        if x.size <= WRITTEN:
            self.hoisted[name] = text
        else:
            self.constants[name] = x
        return name


def _in_order(loop, overwritten):
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


def _takes_its_arguments(operation):
    """Whether a function of NumPy is called with an operation's arguments as they are."""
    constant = isinstance(operation, Constant)
    return constant or (operation.arity is not None and operation.name not in ORDERED)


class _Text(str):
    __slots__ = ()


class _Number(str):
    __slots__ = ()


class _Whole:
    def __init__(self, name):
        self.name = name


def _on_floats(line):
    """Whether an elementwise call is of Python floats alone."""
    operation = line.operation
    if getattr(operation, "kind", None) != "elementwise":
        return False
    values = [x.value if isinstance(x, Var) else x for x in line.args]
    return all(type(v) in (float, int) for v in values)


def _loop_reads(loop):
    return [x for lines in loop.copies for line in lines for x in line.reads()]


def _affine(slope, rest):
    if not slope:
        return str(rest)
    j = "j" if slope == 1 else "-j" if slope == -1 else f"{slope} * j"
    if slope == -1 and rest:
        return f"{rest} - j"
    return f"{j} + {rest}" if rest > 0 else f"{j} - {-rest}" if rest else j


def _dtype(x):
    return f"np.{np.asarray(x).dtype.name}"


def _what(name, program):
    """Shape and type of a parameter, for the head."""
    found = [v.value for v, (n, _) in program.inputs.items() if n == name]
    paths = [p for n, p in program.inputs.values() if n == name]
    if len(found) == 1 and not paths[0]:
        return f"{name} {_kind(found[0])}"
    kinds = {_kind(v) for v in found}
    if len(kinds) == 1:
        kind = kinds.pop().removeprefix("a ")
        return (
            f"{name} of {len(found)} times {kind}" if len(found) != 1 else f"{name} of one {kind}"
        )
    return f"{name} of {len(found)} arrays"


def _kind(value):
    return (
        "a float" if type(value) is float else f"{np.asarray(value).dtype}{list(np.shape(value))}"
    )


def _identifier(name):
    name = re.sub(r"\W+", "_", name).strip("_")
    return name if name.isidentifier() and name not in TAKEN else "f"


def _definition(name, parameters):
    """The line, or lines, that begin a function."""
    line = f"def {name}({', '.join(parameters)}):"
    if len(line) <= WIDTH:
        return [line]
    inside = textwrap.fill(", ".join(parameters), WIDTH - 4, break_long_words=False)
    return [f"def {name}(", *(f"    {part}" for part in inside.splitlines()), "):"]


def _commented(lines):
    """Lines with the place in the user's program they are due to, where that changes."""
    last, found = None, []
    for indent, text, where in lines:
        text = "    " * indent + text
        if where is not None and where != last:
            text += f"  # {Path(where[0]).name}:{where[1]}"
        last = where or last
        found.append(text)
    return found
