"""What a line of source consists of: calls, constants, and functions that NumPy has no name for.

`conv` is one function of NumPy calls in `nn.convolution`; a program that needs it carries that
function's text along.
"""

import ast
import builtins
import inspect
import re
import sys
import textwrap
import types

import numpy as np

from ..families import Constant
from ..primitive import module_of
from .record import where_in_memory
from .simplify import layout_of
from .trace import Var

INLINE = 8  # elements of a constant array that is written where it is used
WRITTEN = 200  # elements up to which a constant array is written at all
IMPORTS = {  # what a program imports where it is used
    "math": "import math", "np": "import numpy as np", "special": "from scipy import special",
}  # fmt: skip
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
MORE = {"svd": ["full_matrices=False"]}
ORDERED = {"insert"}  # functions of NumPy whose arrays do not come first


class _Collect:
    """The operation that puts a value into an array: what is written is the value."""

    name, kind = "collect", "collect"


COLLECT = _Collect()


class Text(str):
    """What is an expression already."""

    __slots__ = ()


class Expressions:
    """Calls, values and constants as text.

    texts       Var -> its text
    fresh       ``name ->`` that name, or one like it that is free
    known       where an array is -> (it, what the user calls it)
    hoisted     name -> text of constants that stand before the function
    constants   name -> array of those too large to be written
    generators  what random numbers are drawn from -> name
    """

    def __init__(self, texts, fresh, known):
        self.texts, self.fresh, self.known = texts, fresh, known
        self.hoisted, self.constants, self.generators = {}, {}, {}
        self.helpers = Helpers(fresh)

    # --- calls ---

    def call(self, line, args, options):
        """A call as an expression."""
        name, scalar = line.operation.name, on_floats(line)
        if line.operation is COLLECT:
            return self.text(args[0])
        if name == "negative":
            return f"-{self.operand(args[0])}"
        if line.operation.function is float:
            return f"float({self.text(args[0])})"
        if scalar:
            return self._scalar(line.operation, args, options)
        if name == "power" and type(args[1]) in (int, float) and args[1] in (2, 3):
            return " * ".join([self.operand(args[0])] * int(args[1]))  # as the engine has it
        if name in INFIX and not options:
            return self._infix(name, args)
        if name in ("getitem", "pick", "transpose", "astype") and options.get("axes") is None:
            first = line.args[0].value if isinstance(line.args[0], Var) else line.args[0]
            text = self.operand(args[0])
            text = f"np.float64({text})" if type(first) is float else text  # floats have no axes
            if name == "transpose":
                return f"{text}.T"
            if name == "astype":
                return f"{text}.astype({_dtype(options['dtype'])})"
            return f"{text}[{self.index(options['index'])}]"
        return self._function(line.operation, args, options)

    def _scalar(self, operation, args, options):
        """On Python's floats: with operators and `math`."""
        if operation.name in INFIX and operation.name != "power" and len(args) == 2:
            return self._infix(operation.name, args)
        if getattr(operation.scalar, "__module__", None) == "math":
            return f"math.{operation.scalar.__name__}({', '.join(map(self.text, args))})"
        return f"float({self._function(operation, args, options)})"

    def _infix(self, name, args):
        left, right = map(self.operand, args)
        left = f"({left})" if name == "power" and left.startswith("-") else left
        return f"{left} {INFIX[name]} {right}"

    def _function(self, operation, args, options):
        name, function = operation.name, operation.function
        module = module_of(function)
        inside = shortened([self.text(arg) for arg in args])
        arrays, n = ", ".join(inside), len(inside)
        inside += [
            self.text(value)  # by position: NumPy 2.0 calls it otherwise
            if (name, key) == ("reshape", "shape")
            else f"{key}={'None' if key == 'state' else self.text(value)}"
            for key, value in options.items()
        ]
        if name in SAME:
            called, inside = SAME[name], [*inside, *MORE.get(name, ())]
        elif name in ("concatenate", "stack") and module.startswith("numpy"):
            inside = [f"[{arrays}]", *inside[n:]]
            called = f"np.{name}"
        elif module.startswith("numpy") and _takes_its_arguments(operation):
            place = "np.linalg." if "linalg" in module else "np.fft." if "fft" in module else "np."
            called = f"{place}{getattr(function, '__name__', name)}"
        elif module == "scipy.special":
            called = f"special.{function.__name__}"
        else:
            called = self.helpers.add(operation.forward, name)
        return f"{called}({', '.join(inside)})"

    # --- values ---

    def index(self, index):
        """What stands between the brackets."""
        if isinstance(index, tuple) and len(index) == 1 and type(index[0]) in (int, Text):
            return str(index[0])
        if isinstance(index, tuple) and index:
            return ", ".join(map(self.index, index)) + ("," if len(index) == 1 else "")
        if isinstance(index, slice):
            parts = [
                "" if v is None else self.text(v) for v in (index.start, index.stop, index.step)
            ]
            return ":".join(parts if parts[2] else parts[:2])
        return "..." if index is Ellipsis else self.text(index)

    def operand(self, x):
        """A value beside an operator: sums in parentheses."""
        text = self.text(x)
        sums = type(x) is Text and re.search(r"\w [+*-] ", re.sub(r"\[.*\]", "", text))
        return f"({text})" if sums else text

    def text(self, x):
        """A value, a constant or a container of these, as an expression."""
        if isinstance(x, Text):
            return str(x)
        if isinstance(x, Var):
            return self.texts[x]
        if isinstance(x, (list, tuple)):
            inside = ", ".join(map(self.text, x))
            return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' * (len(x) == 1)})"
        if isinstance(x, np.ndarray):
            return self._array(x)
        if isinstance(x, np.generic):
            return f"{_dtype(x)}({self.text(x.item())})"
        if isinstance(x, float):
            return repr(x) if np.isfinite(x) else f"float('{x}')"
        if isinstance(x, (type, np.dtype)):
            return _dtype(x)
        if isinstance(x, (int, str, bool, complex, type(None), range)):
            return repr(x)
        if isinstance(x, slice):
            return f"slice({', '.join(self.text(v) for v in (x.start, x.stop, x.step))})"
        if x is Ellipsis:
            return "..."
        if isinstance(x, np.random.Generator):
            if x not in self.generators:
                self.generators[x] = self.fresh("generator")
            return self.generators[x]
        if callable(x) and (getattr(x, "__module__", "") or "numpy").startswith("numpy"):
            return f"np.{x.__name__}"
        raise TypeError(
            f"source: cannot write {x!r} as text: pass numbers, arrays and containers of them"
        )

    def _array(self, x):
        """A constant array: written where it is used, before the function, or not at all.

        Its order in memory is kept, as sums over it depend on that in their last bits.
        """
        known = where_in_memory(x) in self.known
        if x.ndim > 1 and x.size > 1 and not x.flags.c_contiguous and not known:
            *_, order = layout_of(x)
            if x.transpose(order).flags.c_contiguous:
                back = tuple(map(int, np.argsort(order)))
                turned = "T" if back == tuple(range(x.ndim))[::-1] else f"transpose({back})"
                return f"{self.text(x.transpose(order))}.{turned}"
            if not any(x.strides):
                return f"np.broadcast_to({self.text(x.flat[0])}, {x.shape})"
        dtype, name = _dtype(x), self.known.get(where_in_memory(x), (None, None))[1]
        if not x.size or (x.ndim and x.size > 1 and _all_same(x) and not name):
            return self.filled(x.flat[0].item() if x.size else 0, x.shape, x.dtype)
        text = nested(x)
        usual = x.dtype in (np.float64, np.int64, np.bool_) and np.array(x.tolist()).dtype
        text = f"np.array({text})" if usual == x.dtype else f"np.array({text}, {dtype})"
        if x.size <= INLINE and x.ndim <= 1 and len(text) <= 60 and not name:
            return text
        for other, same in (*self.hoisted.items(), *self.constants.items()):
            if same is x or (isinstance(same, str) and same == text):
                return other
        name = name or f"const{len(self.hoisted) + len(self.constants) + 1}"
        name = self.fresh(f"{name}_" if hasattr(builtins, name) else name)
        if x.size <= WRITTEN and x.flags.c_contiguous:
            self.hoisted[name] = text
        else:
            self.constants[name] = x
        return name

    def filled(self, value, shape, dtype):
        """A new array of one number."""
        fill = {0: "zeros", 1: "ones"}.get(value)
        shape = shape[0] if len(shape) == 1 else shape
        of_type = _dtype(dtype)
        if fill:
            return f"np.{fill}({shape}{'' if dtype == np.float64 else f', {of_type}'})"
        return f"np.full({shape}, {self.text(value)}, {of_type})"


def shortened(texts):
    """Texts of arguments; elements of a list that follow one another as a stretch of it."""
    found = []
    for text in texts:
        match = re.fullmatch(r"(\w+)\[(\d+)\]", text)
        name, number = match.groups() if match else ("", "")
        last = found[-1] if found else ("", 0, 0)
        if name and last[0] == name and last[2] and last[2] == int(number):
            found[-1] = name, last[1], last[2] + 1
        else:
            found.append((name, int(number), int(number) + 1) if name else (text, 0, 0))
    out = []
    for name, low, high in found:
        if high - low > 3:
            out.append(f"*{name}[{low or ''}:{high}]")
        else:
            out += [f"{name}[{i}]" for i in range(low, high)] if high else [name]
    return out


def nested(x):
    """The elements of an array in brackets, to the last bit."""
    if x.ndim:
        return f"[{', '.join(map(nested, x))}]"
    if x.dtype.kind != "f":
        return repr(x.item())
    short = str(x[()])  # of a float32 its own few digits
    exact = np.array(float(short), x.dtype).tobytes() == x.tobytes()
    text = short if exact else repr(x.item())
    return re.sub("nan|inf", r"np.\g<0>", text)


def _all_same(x):
    """Whether all elements are one number, to the bit: 0.0 is not -0.0."""
    flat = np.ascontiguousarray(x).reshape(-1)
    return flat.tobytes() == flat[:1].tobytes() * flat.size and not (
        x.dtype.kind == "f" and flat[0] == 0 and np.signbit(flat[0])
    )


def _takes_its_arguments(operation):
    """Whether a function of NumPy is called with an operation's arguments as they are."""
    constant = isinstance(operation, Constant)
    return constant or (operation.arity is not None and operation.name not in ORDERED)


def on_floats(line):
    """Whether an elementwise call is of Python floats alone."""
    if getattr(line.operation, "kind", None) != "elementwise":
        return False
    values = [x.value if isinstance(x, Var) else x for x in line.args]
    return all(type(v) in (float, int) for v in values)


def _dtype(x):
    dtype = np.dtype(x) if isinstance(x, (type, str, np.dtype)) else np.asarray(x).dtype
    return f"np.{dtype.name}"


# --- functions carried along ----------------------------------------------------------------------


class Helpers:
    """Functions whose text a program carries along.

    texts     name -> text, in the order in which they must stand
    imports   lines that these texts need
    """

    def __init__(self, fresh):
        self.fresh, self.texts, self.imports = fresh, {}, {}
        self.names = {}  # function -> its name in the text

    def add(self, function, name):
        """Take along `function`; returns its name.  TypeError where it has no text of its own."""
        if function in self.names:
            return self.names[function]
        found = re.sub(r"\W+", "", name).lstrip("_")
        found = found if found.isidentifier() and not hasattr(builtins, found) else "helper"
        found = self.names[function] = self.fresh(found)
        if getattr(function, "__closure__", None):
            raise TypeError(f"source: {name} has no text in NumPy: it is made by another function")
        text, tree = _definition(function)
        uses = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - _own_names(tree)
        renamed = {used: self._use(used, function) for used in sorted(uses)}
        self.texts[found] = _renamed(text, tree, found, renamed)
        return found

    def _use(self, name, function):
        """What `function` calls `name`, and what it is called in the text."""
        space = vars(sys.modules[function.__module__])
        if name not in space:
            if hasattr(builtins, name):
                return name
            raise TypeError(f"source: {function.__name__} uses {name}, which is not there")
        value = space[name]
        module = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType):
            if value.__name__ == "numpy":
                name = "np"
            if name not in IMPORTS:
                self.imports[f"import {value.__name__}"] = None
            return name
        if isinstance(value, (types.FunctionType, type)) and not module.startswith("numpy"):
            if module.partition(".")[0] in ("autograd", "nn", "optim"):
                return self.add(value, name)
        if isinstance(value, (int, float, str, tuple, type(None))):
            self.texts[name] = f"{name} = {value!r}"
            return name
        if module and not module.startswith(("autograd", "nn", "optim")):
            owner = {"_functools": "functools", "_operator": "operator"}.get(module, module)
            self.imports[f"from {owner} import {value.__name__}"] = None
            return value.__name__
        raise TypeError(f"source: {function.__name__} uses {name}, which is no function of NumPy")


def _definition(function):
    """Text and tree of a function, lambda or class, without decorators and docstrings."""
    if function.__name__ == "<lambda>":
        text = f"def helper({_lambda(function)}"
        return text, ast.parse(text).body[0]
    text = textwrap.dedent(inspect.getsource(function))
    (tree,) = ast.parse(text).body
    lines = text.splitlines()
    for part in ast.walk(tree):
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            first = part.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                blank = " " * first.col_offset + "pass" * (len(part.body) == 1)
                lines[first.lineno - 1 : first.end_lineno] = [
                    blank, *[""] * (first.end_lineno - first.lineno)
                ]  # fmt: skip
    text = "\n".join(line for line in lines[tree.lineno - 1 :] if line.strip())
    return text, ast.parse(text).body[0]


def _lambda(function):
    """Arguments and body of a lambda, as the rest of a definition."""
    whole = ast.parse(inspect.getsource(inspect.getmodule(function)))
    line = function.__code__.co_firstlineno
    columns = [c for _, _, c, _ in function.__code__.co_positions() if c]
    for node in ast.walk(whole):
        if isinstance(node, ast.Lambda) and node.lineno == line:
            several = node.lineno != node.end_lineno or not columns
            if several or node.col_offset <= max(columns) <= node.end_col_offset:
                return f"{ast.unparse(node.args)}):\n    return {ast.unparse(node.body)}"
    raise TypeError("source: a lambda's text was not found")


def _renamed(text, tree, name, names):
    """The text of a definition with another name of its own, and others for what it uses."""
    lines = text.splitlines()
    found = {
        (n.lineno - 1, n.col_offset): (n.id, names[n.id])
        for n in ast.walk(tree)
        if isinstance(n, ast.Name) and names.get(n.id, n.id) != n.id
    }
    at = lines[0].index(tree.name)
    found[0, at] = tree.name, name
    for (row, column), (old, new) in sorted(found.items(), reverse=True):
        line = lines[row]
        lines[row] = line[:column] + new + line[column + len(old) :]
    return "\n".join(lines)


def _own_names(tree):
    """Names that a definition binds itself."""
    found = {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    return found | {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
