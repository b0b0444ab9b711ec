"""vmap: a function written for one example, run on many at once."""

import numpy as np

from .batch import Batch
from .graph import levels
from .payload import base_array
from .primitive import brief
from .tensor import snapshot
from .transforms import called, named, result_of
from .tree import flatten, paths


def vmap(f, in_axes=0, out_axes=0):
    """`f`, written for one example, as a function of many: every operation runs on all at once.

    in_axes    which axis of each argument counts the examples; None: the argument is the same for
               all.  One for all arguments, or a tuple with one for each; in the place of an
               argument that is a container may stand a container like it
    out_axes   likewise, which axis of each result is to count them; None: only where all
               examples have the same

    Keyword arguments are the same for all.  Random operations draw for each example anew where
    the array they are to be shaped ``like`` differs from example to example; what NumPy's own
    generators draw inside f is drawn once, the same for all.  Raises ValueError where axes are
    missing or of different lengths.

    >>> from autograd import grad
    >>> vmap(lambda x, w: x @ w, in_axes=(0, None))(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    >>> vmap(grad(lambda w, x: np.sum((x * w) ** 2)), (None, 0))(1.0, np.array([1.0, 2.0]))
    array([2., 8.])
    """

    def wrapped(*args, **kwargs):
        axes = [in_axes] * len(args) if _is_axis(in_axes) else in_axes
        if not isinstance(axes, (tuple, list)) or len(axes) != len(args):
            raise ValueError(
                f"vmap: in_axes={in_axes!r} for {len(args)} positional argument"
                f"{'s' * (len(args) != 1)} of {called(f)}: give one axis (or None) for all, or a "
                f"tuple with one for each; the arguments go to the function made, vmap(f)(x)"
            )
        leaves, rebuild = flatten(args)
        axes = _spread(tuple(axes), args, "in_axes")
        size = _size(f, args, leaves, axes)
        level = next(levels)
        mapped = [
            leaf if axis is None else Batch(_examples_first(leaf, axis), level)
            for leaf, axis in zip(leaves, axes, strict=True)
        ]
        result = result_of(f, rebuild(mapped), kwargs)
        outputs, rebuild_result = flatten(result)
        axes = _spread(out_axes, result, "out_axes")
        return rebuild_result(
            [_unmapped(y, axis, level, size, f) for y, axis in zip(outputs, axes, strict=True)]
        )

    return named(wrapped, f)


def _is_axis(x):
    return x is None or isinstance(x, (int, np.integer))


def _spread(axes, tree, what):
    """One axis for each leaf of `tree`, from a tree whose leaves may stand for whole subtrees."""
    if _is_axis(axes):
        return [axes] * len(flatten(tree)[0])
    pairs = None
    if isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        pairs = [(axes[key], tree[key]) for key in tree]
    elif isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)):
        pairs = list(zip(axes, tree, strict=True)) if len(axes) == len(tree) else None
    if pairs is None:
        raise ValueError(
            f"vmap: {what} has {axes!r} in the place of a {type(tree).__name__}: give an axis (or "
            f"None) for all of it, or a container like it"
        )
    return [axis for pair in pairs for axis in _spread(*pair, what)]


def _size(f, args, leaves, axes):
    """The number of examples; ValueError where there is none, or not one."""
    size = None
    for leaf, axis, path in zip(leaves, axes, paths(args), strict=True):
        if axis is None:
            continue
        inside = path.count("[") > 1
        path = f"argument {path[1:].replace(']', '', 1)}"
        if not -np.ndim(leaf) <= axis < np.ndim(leaf):
            container = "; a list or tuple is many arguments, np.array makes it one" * inside
            raise ValueError(
                f"vmap: {path} of {called(f)} has no axis {axis}: it is {brief(leaf)}; name "
                f"another in in_axes, or None for what is the same for all{container}"
            )
        n = np.shape(leaf)[axis]
        if size is None:
            size, first = n, path
        elif n != size:
            raise ValueError(
                f"vmap: {path} of {called(f)} has {n} examples along axis {axis} (shape "
                f"{tuple(np.shape(leaf))}), but {first} has {size}"
            )
    if size is None:
        raise ValueError(f"vmap: no argument of {called(f)} has an axis to map over")
    return size


def _examples_first(x, axis):
    if isinstance(x, np.ndarray):
        try:
            x = base_array(x)
        except TypeError as error:
            raise TypeError(f"vmap: {error}") from None
    return np.moveaxis(x, axis, 0) if axis % np.ndim(x) else snapshot(x)


def _unmapped(y, axis, level, size, f):
    """A result of f as an array with the mapped axis at `axis`."""
    mapped = type(y) is Batch and y.level == level
    if axis is None:
        if mapped:
            raise ValueError(
                f"vmap: a result of {called(f)} differs from example to example, and out_axes has "
                f"None for it; give it an axis"
            )
        return y
    if mapped:
        y = y.value
    elif isinstance(y, (int, float)) or hasattr(y, "dtype"):
        y = np.copy(np.broadcast_to(y, (size, *np.shape(y))))
    else:
        raise TypeError(f"vmap: {called(f)} returned a {type(y).__name__}, not arrays")
    if not -np.ndim(y) <= axis < np.ndim(y):
        raise ValueError(
            f"vmap: out_axes has {axis!r} for a result of {called(f)} that has {np.ndim(y)} axes, "
            f"the mapped one included"
        )
    return np.moveaxis(y, 0, axis) if axis % np.ndim(y) else y
