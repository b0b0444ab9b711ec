"""Programs on numbers: as Python with loops, or as machine code made by Numba (the extra `jit`).

The text is the one that `source` writes, what repeats rolled into loops: short text is compiled
soon, and Python runs it faster than the same calls written out one by one.  For Numba arrays take
the place of lists; the numbers are then those of C's library of mathematical functions, which may
differ from NumPy's in the last bit.
"""

import numpy as np

from ..families import Constant
from ..primitive import leaves
from ..tree import paths
from .helpers import on_floats
from .simplify import element
from .source import Writer
from .trace import Var

LONGEST = 300  # lines of text beyond which Numba takes seconds


class Numbers:
    """What `Writer` wants to know of a program that is a list of lines on numbers.

    args      of the function: numbers, arrays, containers of these
    inputs    their Vars, flat
    """

    what, selected, names, of, known, forward = "scalars", (), {}, {}, {}, None

    def __init__(self, tape, lines, args, inputs, outputs, f):
        self.tape, self.lines, self.outputs, self.f = tape, lines, outputs, f
        self.parameters = [f"x{i}" for i in range(len(args))]
        self.inputs, left = {}, iter(inputs)
        for name, arg in zip(self.parameters, args, strict=True):
            self.inputs |= {next(left): (name, path) for path in paths(arg)}

    def output_vars(self):
        """The Vars that are returned."""
        return [x for x in leaves(self.outputs) if isinstance(x, Var)]


class ScalarWriter(Writer):
    """Writes it.

    grows   whether lists hold what a loop makes, and results; else arrays, as Numba wants them
    """

    def __init__(self, program, grows):
        self.grows = grows
        super().__init__(program, True)

    def _fill_lists(self, lines):
        """Lists of results are made at first, and filled."""
        made = {var for line in lines for var in line.writes()}
        self.program.outputs = self._filled(self.program.outputs, made)

    def _filled(self, tree, made):
        if isinstance(tree, dict):
            return {key: self._filled(part, made) for key, part in tree.items()}
        if not isinstance(tree, (list, tuple)):
            return tree
        alike = len(tree) > 3 and all(isinstance(x, Var) and x in made for x in tree)
        if alike and len({*tree}) == len(tree) and (type(tree) is list or not self.grows):
            name = self.fresh("made")
            self.rooms[name] = f"[None] * {len(tree)}" if self.grows else f"np.empty({len(tree)})"
            self.results |= {var: (name, i) for i, var in enumerate(tree)}
            return Room(name, type(tree))
        parts = [self._filled(part, made) for part in tree]
        return parts if type(tree) is list and self.grows else tuple(parts)

    def _tree(self, tree):
        return tree.name if isinstance(tree, Room) else super()._tree(tree)


class Room:
    """A list of results that is filled: its name, and what it is to be in the end."""

    def __init__(self, name, kind):
        self.name, self.kind = name, kind


def on_scalars(tape, lines, args, inputs, tree, f):
    """``(function of the arguments, text)`` in Python; ``(None, "")`` where it is not on floats.

    tree   the results: a tuple, list or dict, nested, of Vars and numbers
    """
    plain = all(map(_is_plain, [*args, tree]))
    if not (plain and lines and all(map(_on_floats, lines))):
        return None, ""
    try:
        text = ScalarWriter(Numbers(tape, lines, args, inputs, tree, f), True).source()
    except TypeError:  # a function that has no text
        return None, ""
    run = text.function()
    return lambda args: run(*args), text


def native(tape, lines, args, inputs, tree, f):
    """The same as machine code; ``(None, why not)`` where it is not."""
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
        text = ScalarWriter(program, False).source()
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


def _is_plain(tree):
    """Whether it is made of lists, tuples, dicts and floats (or their Vars) alone."""
    if type(tree) in (list, tuple):
        return all(map(_is_plain, tree))
    if type(tree) is dict:
        return all(map(_is_plain, tree.values()))
    return type(tree.value if type(tree) is Var else tree) is float


def _on_floats(line):
    """Whether a line computes with Python's floats."""
    if line.operation.function is float:
        return type(line.args[0].value) is float
    return on_floats(line) and type(getattr(line.results, "value", None)) is float


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
