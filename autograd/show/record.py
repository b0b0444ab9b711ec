"""What `explore` and `step` are given: results, or a function that is run here to get them."""

import inspect

from ..primitive import kind_of
from ..scopes import source_lines
from ..tensor import Tensor
from ..transforms import called
from ..tree import flatten
from .draw import outputs_of
from .scene import as_variables


def recorded(what, y, args, names):
    """``(outputs, names)`` of results `y`, or of the function `y` at the arguments `args`; the
    results are called y, y1, ... where neither they nor `names` have a name for them.

    A function's floating-point arguments become named inputs, and its lines are noted; Tensors
    and Modules are passed on as they are.
    """
    names = as_variables(names)
    if not callable(y):
        if args:
            raise TypeError(f"{what}: arguments only go with a function; {what}(y) takes a result")
        return _named(outputs_of(y, what), names)
    inputs = [_as_input(name, arg) for name, arg in zip(_names(y, args), args, strict=True)]
    with source_lines():
        result = y(*inputs)
    leaves, _ = flatten(result)
    outputs = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not outputs or len(outputs) < len(leaves):
        raise TypeError(
            f"{what}: {called(y)} returned {result!r}, which does not depend on its arguments "
            f"by operations; pass floats, or arrays of floats"
        )
    return _named(outputs, names)


def _named(outputs, names):
    called = {f"y{i}" if i else "y": out for i, out in enumerate(outputs) if not out.name}
    return outputs, {**names, **{name: y for name, y in called.items() if name not in names}}


def _names(f, args):
    """The names of a function's parameters, for `args`."""
    try:
        parameters = [*inspect.signature(f).parameters.values()]
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return [names[i] if i < len(names) else f"{rest}{i - len(names) + 1}" for i in range(len(args))]


def _as_input(name, arg):
    """An argument with its floating-point numbers and arrays as named Tensors."""
    if hasattr(arg, "named_parameters"):
        return arg
    leaves, rebuild = flatten(arg)
    several = len(leaves) > 1 or leaves[:1] != [arg] if isinstance(arg, (list, tuple, dict)) else 0
    return rebuild([
        Tensor(leaf, f"{name}{i}" if several else name)
        if kind_of(leaf) == "f" and not isinstance(leaf, Tensor) else leaf
        for i, leaf in enumerate(leaves, 1)
    ])  # fmt: skip
