"""How operations run on many examples at once: what `autograd.batch.Batch` asks them.

An array that differs from example to example has one axis more than a function under `vmap`
sees: the *mapped axis*, always the first.  A batching rule

    rule(operation, args, mapped, options)

is given the array arguments with their mapped axes (``mapped[i]`` says whether argument i has
one), and answers with the operation's value for all examples, mapped axis first, or with
`Same(value)` where the value is the same for all.  Most operations share the few rules here:

broadcasting   on corresponding elements: only the number of axes has to be made equal
stacked        acts on the last axes, and NumPy's function takes stacks already
reducing       acts on the axes that are named, all by default
flattening     acts along one axis, or along all elements in order
shifting       has options that name axes
loop           one example after the other: slow, and reported by a `LoopWarning`
"""

import math
import warnings

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .primitive import mapped_over


class Mapped:
    """In the options of a call: an array that differs from example to example."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Same:
    """A result that is the same for all examples."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class LoopWarning(UserWarning):
    """An operation under `vmap` ran example by example, for want of a batching rule."""


# --- what rules are made of -----------------------------------------------------------------------


def ndim(x, mapped):
    """The number of axes an example has."""
    return np.ndim(x) - bool(mapped)


def size_of(args, mapped):
    """The number of examples."""
    return next(np.shape(a)[0] for a, m in zip(args, mapped, strict=True) if m)


def lifted(x, axes):
    """A mapped `x` whose examples get axes of length one in front, to have `axes` of them."""
    shape = np.shape(x)
    missing = axes - (len(shape) - 1)
    return np.reshape(x, (shape[0], *(1,) * missing, *shape[1:])) if missing > 0 else x


def flat(x):
    """A mapped `x` with the elements of each example in one axis."""
    shape = np.shape(x)
    return np.reshape(x, (shape[0], math.prod(shape[1:])))


def everywhere(x, mapped, size):
    """`x` with a mapped axis: its own, or that of a view repeating it."""
    return x if mapped else np.broadcast_to(x, (size, *np.shape(x)))


# --- rules ----------------------------------------------------------------------------------------


def broadcasting(operation, args, mapped, options):
    """On corresponding elements: examples get the same number of axes, the rest is broadcasting."""
    axes = max(ndim(a, m) for a, m in zip(args, mapped, strict=True))
    return operation.apply(
        [lifted(a, axes) if m else a for a, m in zip(args, mapped, strict=True)], options
    )


def stacked(operation, args, mapped, options):
    """NumPy's function takes stacks, and acts on the last axes of its only argument."""
    return operation.apply(args, options)


def reducing(operation, args, mapped, options):
    """Acts on the axes the option ``axis`` names, all of them by default; knows ``where``."""
    (x,) = args
    where = options.get("where", True)
    if isinstance(where, Mapped):
        x = everywhere(x, mapped[0], np.shape(where.value)[0])
        options = options | {"where": lifted(where.value, np.ndim(x) - 1)}
    axes = np.ndim(x) - 1
    axis = options.get("axis")
    chosen = range(axes) if axis is None else normalize_axis_tuple(axis, axes)
    return operation.apply([x], options | {"axis": tuple(a + 1 for a in chosen)})


def flattening(operation, args, mapped, options, default=None):
    """Acts along the option ``axis``, `default` if absent; along all elements where it is None."""
    (x,) = args
    axis = options.get("axis", default)
    x, axis = (flat(x), 1) if axis is None else (x, shifted(axis, np.ndim(x) - 1))
    return operation.apply([x], options | {"axis": axis})


def arg_reducing(operation, args, mapped, options):
    """Finds one place along the option ``axis``, or among all elements where that is None."""
    if options.get("axis") is not None:
        return shifting("axis")(operation, args, mapped, options)
    (x,) = args
    found = operation.apply([flat(x)], {"axis": 1})
    ones = (1,) * (np.ndim(x) - 1)
    return np.reshape(found, (np.shape(x)[0], *ones)) if options.get("keepdims") else found


def shifting(*names, defaults=None):
    """The rule of operations with one array argument whose options `names` are axes of it.

    defaults   what an option stands for where it is left out, an axis or a tuple
    """

    def rule(operation, args, mapped, options):
        (x,) = args
        axes = np.ndim(x) - 1
        given = (defaults or {}) | options
        moved = {name: shifted(given[name], axes) for name in names if given.get(name) is not None}
        return operation.apply([x], options | moved)

    return rule


def shifted(axis, axes):
    """An axis of an example (or a tuple of some) as the axis of all examples' array."""
    if isinstance(axis, (tuple, list)):
        return tuple(normalize_axis_index(a, axes) + 1 for a in axis)
    return normalize_axis_index(axis, axes) + 1


def loop(operation, args, mapped, options):
    """One example after the other."""
    warnings.warn(
        f"vmap runs {operation.name} example by example: it has no batching rule (batch=...), and "
        f"is as slow as a loop",
        LoopWarning,
        stacklevel=2,
    )
    return one_by_one(operation, args, mapped, options)


def one_by_one(operation, args, mapped, options):
    """The same without the warning."""
    size = next(
        np.shape(x)[0]
        for x in (
            *(a for a, m in zip(args, mapped, strict=True) if m),
            *(o.value for o in options.values() if isinstance(o, Mapped)),
        )
    )
    if not size:
        raise ValueError(f"vmap over no examples: {operation.name} goes example by example")
    results = [
        operation.apply(
            [a[i] if m else a for a, m in zip(args, mapped, strict=True)],
            {k: o.value[i] if isinstance(o, Mapped) else o for k, o in options.items()},
        )
        for i in range(size)
    ]
    if operation.outputs:
        return [np.stack(parts) for parts in zip(*results, strict=True)]
    return np.stack(results)


# --- of operations without a derivative -----------------------------------------------------------


def inquiring(operation, args, mapped, options):
    """Asks for shapes and element types only: one example answers for all."""
    if mapped is None:
        args = mapped_over(lambda a: _stand_in(a.value) if type(a) is Mapped else a, args)
    else:
        args = [_stand_in(a) if m else a for a, m in zip(args, mapped, strict=True)]
    return Same(operation.apply(args, options))


def _stand_in(x):
    return np.broadcast_to(np.zeros((), x.dtype), x.shape[1:])


def allocating(operation, args, mapped, options):
    """Makes an array by the shape of its argument."""
    (x,) = args
    return Same(operation.apply([x], {"shape": x.shape[1:]} | options))
