"""What a function finds around it: the Tensors and modules that it uses without being given them.

A training step finds its model and its optimizer in its closure, among the globals that it
names, or as attributes of what it is a method of.  What it writes down are the arrays it meets;
that they are a parameter's, to be read anew in every run and to be written, is known only by
having looked for the parameter beforehand.
"""

import functools
import sys
import types

import numpy as np

from ..primitive import Primitive, Wrapper
from ..tensor import Tensor

MOST = 100_000  # objects looked at: a step with a data set in its closure is no reason to stop
ATOMS = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    np.ndarray,
    np.generic,
    types.ModuleType,
)


def around(f, args):
    """``(Tensors, modules)`` within reach of the function `f` and of `args`, each once.

    A Tensor is an input (or constant); a module is what has a ``training`` mode.
    """
    tensors, modules, seen = [], [], set()
    todo = [f, *args]
    while todo and len(seen) < MOST:
        x = todo.pop()
        if isinstance(x, ATOMS) or id(x) in seen:
            continue
        seen.add(id(x))
        if type(x) is Tensor:
            if x.node.primitive is None:
                tensors.append(x)
        elif isinstance(x, (Wrapper, Primitive)):
            pass
        elif isinstance(x, (list, tuple, set, frozenset)):
            todo += x
        elif isinstance(x, dict):
            todo += x.values()
        elif isinstance(x, types.FunctionType):
            todo += _of_function(x)
        elif isinstance(x, types.MethodType):
            todo += x.__func__, x.__self__
        elif isinstance(x, functools.partial):
            todo += x.func, *x.args, *x.keywords.values()
        elif isinstance(x, type):
            if not _is_library(x.__module__):
                todo += [m for m in vars(x).values() if isinstance(m, types.FunctionType)]
        elif _is_library(type(x).__module__):
            todo.append(getattr(x, "__wrapped__", None))
        else:
            if isinstance(getattr(x, "training", None), bool):
                modules.append(x)
            todo += [*getattr(x, "__dict__", {}).values(), type(x)]
            todo += [getattr(x, slot, None) for slot in getattr(type(x), "__slots__", ())]
    return tensors, modules


def _of_function(f):
    """What a function's text can mean: cells of its closure, defaults, globals that it names."""
    found = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    for cell in f.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not filled yet
            pass
    if hasattr(f, "__wrapped__"):
        found.append(f.__wrapped__)
    typed_in = f.__code__.co_filename.startswith("<")  # as in a docstring's example
    if typed_in or not _is_library(f.__module__ or ""):
        names = _names(f.__code__)
        found += [f.__globals__[name] for name in names if name in f.__globals__]
    return found


def _names(code):
    """The names that a function's text uses, functions inside it included."""
    inside = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return {*code.co_names, *(name for c in inside for name in _names(c))}


def _is_library(module):
    """Whether a module of this name belongs to what no user's parameter is kept in."""
    top = module.partition(".")[0]
    return top in ("numpy", "autograd") or top in sys.stdlib_module_names and top != "__main__"
