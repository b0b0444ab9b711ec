"""Programs on numbers, compiled to machine code by Numba (the extra `jit`).

The text is the one that `source` writes, with arrays in the place of lists: loops first, as the
time that Numba takes goes with the length of the text.  Its numbers are those of C's library of
mathematical functions, which may differ from NumPy's in the last bit.
"""

import numpy as np

from ..families import Constant
from ..primitive import leaves
from .helpers import on_floats
from .simplify import element
from .source import Writer
from .trace import Var

LONGEST = 300  # lines of text beyond which Numba takes seconds


class Numbers:
    """What `Writer` wants to know of a program that is a list of lines on numbers.

    args      of the function: numbers, arrays of float64, lists of floats
    inputs    their Vars, flat
    """

    what, selected, names, of, known, forward = "native", (), {}, {}, {}, None

    def __init__(self, tape, lines, args, inputs, outputs, f):
        self.tape, self.lines, self.outputs, self.f = tape, lines, outputs, f
        self.parameters = [f"x{i}" for i in range(len(args))]
        self.inputs, left = {}, iter(inputs)
        for name, arg in zip(self.parameters, args, strict=True):
            if isinstance(arg, (list, tuple)):
                self.inputs |= {next(left): (name, f"[{i}]") for i in range(len(arg))}
            else:
                self.inputs[next(left)] = name, ""

    def output_vars(self):
        """The Vars that are returned."""
        return [x for x in leaves(self.outputs) if isinstance(x, Var)]


class NativeWriter(Writer):
    """Writes it as Numba takes it."""

    grows = False

    def _fill_lists(self, lines):
        """Lists of results are filled as arrays."""
        made = {var for line in lines for var in line.writes()}

        def filled(tree):
            if not isinstance(tree, (list, tuple)):
                return tree
            if (
                len(tree) > 3
                and len({*map(id, tree)}) == len(tree)
                and made.issuperset(x if isinstance(x, Var) else None for x in tree)
            ):
                whole = self.fresh("made")
                self.rooms[whole] = f"np.empty({len(tree)})"
                self.results |= {var: (whole, i) for i, var in enumerate(tree)}
                return Room(whole, tree)
            return tuple(map(filled, tree))

        self.program.outputs = filled(self.program.outputs)

    def _tree(self, tree):
        return str(tree) if isinstance(tree, Room) else super()._tree(tree)


class Room:
    """An array that is a list of results: its name, and the list."""

    def __init__(self, name, tree):
        self.name, self.kind = name, type(tree)

    def __str__(self):
        return self.name


def native(tape, lines, args, inputs, tree, f):
    """``(function of the arguments, text)``, or ``(None, why not)``.

    tree   the results: a tuple or list, nested, of Vars and numbers
    """
    try:
        import numba
    except ImportError:
        return None, "Numba is not installed: pip install 'speelpenning[jit]'"
    for arg in args:
        of_floats = type(arg) is list and {*map(type, arg)} == {float}
        if not (of_floats or type(arg) is float or getattr(arg, "dtype", None) == np.float64):
            return None, "an argument is no float, list of floats or array of float64"
    for line in lines:
        if not (_on_numbers(line) or line.operation.name == "scatter"):
            return None, f"{line.operation.name} is not on single numbers"
    try:
        program = Numbers(tape, lines, args, inputs, tree, f)
        text = NativeWriter(program, True).source()
    except TypeError as error:
        return None, str(error)
    if text.count("\n") > LONGEST:
        return None, f"its text has {text.count(chr(10))} lines, after what repeats was rolled"
    space = dict(text.constants)
    exec(compile(text, f"<{text.name}>", "exec"), space)
    for name, helper in [*space.items()]:
        if callable(helper) and getattr(helper, "__module__", 1) is None:
            space[name] = numba.njit(helper, error_model="numpy")
    run = space[text.name]
    lists = [type(arg) is list for arg in args]
    result = _result(program.outputs)

    def function(args):
        if any(lists):
            args = [np.array(arg) if a else arg for arg, a in zip(args, lists, strict=True)]
        return result(run(*args))

    try:
        function(args)
    except numba.core.errors.NumbaError as error:
        return None, f"Numba: {str(error).strip().splitlines()[0]}"
    return function, text


def _on_numbers(line):
    """Whether a line reads an element, or computes with single numbers."""
    if on_floats(line) or element(line) is not None or line.operation.function is float:
        return True
    values = [x.value if isinstance(x, Var) else x for x in line.args]
    operation, y = line.operation, line.results
    single = isinstance(y, Var) and not any(map(np.ndim, [y.value, *values]))
    constant = isinstance(operation, Constant) and isinstance(operation.function, np.ufunc)
    return single and (constant or getattr(operation, "kind", None) == "elementwise")


def _result(tree):
    """What makes of the function's result what the program returns: lists, NumPy's numbers."""
    if isinstance(tree, Room):
        return lambda array: tree.kind(array.tolist())
    if isinstance(tree, (list, tuple)):
        parts = [_result(part) for part in tree]
        return lambda result: type(tree)(f(x) for f, x in zip(parts, result, strict=True))
    if isinstance(tree, Var) and type(tree.value) is not float and not np.ndim(tree.value):
        return np.asarray if isinstance(tree.value, np.ndarray) else type(tree.value)
    return lambda x: x
