"""Operations that rearrange: shapes, axes, joining, splitting, repeating, padding, diagonals.

All are linear, and most of their results are made of elements of the arguments and zeros: the
transpose puts every cotangent back where its element came from, and adds up where one element
was used more than once.
"""

import math
from functools import partial
from itertools import accumulate

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..batching import (
    everywhere,
    flat,
    flattening,
    inquiring,
    lifted,
    reducing,
    shifted,
    shifting,
    size_of,
    stacked,
)
from ..costs import moved
from ..families import composition, constant, linear
from ..lazy import is_lazy, lacking
from ..primitive import Wrapper
from .indexing import scatter, setitem

# --- shapes -----------------------------------------------------------------------------------


def _reshape_back(g, y, x, **_):
    return np.reshape(g, x.shape)


def _ordered(function):
    """`function` for the orders "C" and "F"; the others depend on the memory behind an array."""

    def forward(x, *args, order="C", **options):
        if order == "C":  # what other packages' arrays do not have to be told
            return function(x, *args, **options)
        if order == "F":
            return function(x, *args, order=order, **options)
        raise TypeError(
            f"{function.__name__.strip('_')}: order={order!r} goes by how an array lies in "
            f"memory, which is no part of its value; use 'C' or 'F'"
        )

    return forward


def _reshape_back_in_order(g, y, x, order="C", **_):
    return np.reshape(g, x.shape) if order == "C" else np.reshape(g, x.shape, order=order)


def _reshape_batch(operation, args, mapped, options):
    (x,) = args
    n, *own = np.shape(x)
    shape = options["shape"] if "shape" in options else (-1,)
    shape = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
    if -1 in shape:
        i = shape.index(-1)
        rest = math.prod(shape[:i] + shape[i + 1 :])
        shape[i] = math.prod(own) // rest if rest else 0
    if options.get("order", "C") == "C":
        return np.reshape(x, (n, *shape))
    backwards = np.transpose(x, (0, *range(len(own), 0, -1)))  # then "F" is "C"
    y = np.reshape(backwards, (n, *reversed(shape)))
    return np.transpose(y, (0, *range(len(shape), 0, -1)))


@_ordered
def _reshape(x, shape, **options):
    if type(x) is not np.ndarray and is_lazy(x) and not np.ndim(shape):
        shape = (shape,)  # Dask's np.reshape takes no number
    return np.reshape(x, shape, **options)


def _reshape_arguments(args, options):
    """The shape under one name, and first: NumPy 2.0 calls it ``newshape``."""
    args, options = reshape.canonical(args, options)
    for name in {"shape", "newshape"} & options.keys():
        options = {"shape": options.pop(name)} | options
    return args, options


reshape = linear(
    np.reshape, _reshape_back_in_order, forward=_reshape, bind=_reshape_arguments,
    batch=_reshape_batch,
)  # fmt: skip
linear(np.ravel, _reshape_back_in_order, forward=_ordered(np.ravel), batch=_reshape_batch)


def _expand_dims_batch(operation, args, mapped, options):
    (x,), axis = args, options["axis"]
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    return np.expand_dims(x, shifted(axis, np.ndim(x) - 1 + count))


def _squeeze_batch(operation, args, mapped, options):
    (x,), axis = args, options.get("axis")
    if axis is None:
        return np.squeeze(x, tuple(i for i, n in enumerate(np.shape(x)) if i and n == 1))
    return np.squeeze(x, shifted(axis, np.ndim(x) - 1))


linear(np.expand_dims, _reshape_back, batch=_expand_dims_batch)
linear(np.squeeze, _reshape_back, batch=_squeeze_batch)
linear(  # the engine sums it up
    np.broadcast_to,
    lambda g, y, x, shape, subok=False: g,
    batch=lambda operation, args, mapped, options: _broadcast_all(*args, **options),
)
linear(np.copy, lambda g, y, x, order="K", subok=False: g, batch=stacked)


def _broadcast_all(x, shape, subok=False):
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    return np.broadcast_to(lifted(x, len(shape)), (np.shape(x)[0], *shape))


@composition(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    """All arrays in the shape they broadcast to together."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _ndim_1(x):
    return x if np.ndim(x) >= 1 else np.reshape(x, (1,))


def _ndim_2(x):
    return x if np.ndim(x) >= 2 else np.reshape(x, (1, -1))


def _ndim_3(x):
    shape = np.shape(x)
    return x if len(shape) >= 3 else np.reshape(x, (*(1,) * (2 - len(shape)), *shape, 1))


def _each(at_least):
    """`at_least` of one array, or of each of several as a tuple."""
    return lambda *arys: at_least(*arys) if len(arys) == 1 else tuple(map(at_least, arys))


composition(np.atleast_1d)(_each(_ndim_1))
composition(np.atleast_2d)(_each(_ndim_2))
composition(np.atleast_3d)(_each(_ndim_3))


@composition(np.resize)
def resize(a, new_shape):
    """The elements in a new shape: as many as fit, from the start again when they run out."""
    size = math.prod(np.shape(a))
    if size == 0:
        return np.zeros_like(a, shape=new_shape)
    return np.ravel(a)[np.resize(np.arange(size), new_shape)]


constant(np.nonzero, np.flatnonzero, np.argwhere)
constant(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, arity=1, batch=inquiring)


# --- the order of axes ------------------------------------------------------------------------


def _transpose_pull(g, y, x, axes=None):
    if axes is None:
        return g if x.ndim < 2 else g.T
    n = len(axes)
    return np.transpose(g, sorted(range(n), key=[a % n for a in axes].__getitem__))


def _transpose_batch(operation, args, mapped, options):
    (x,) = args
    n = np.ndim(x) - 1
    axes = options.get("axes")
    axes = range(n)[::-1] if axes is None else [normalize_axis_index(a, n) for a in axes]
    return np.transpose(x, (0, *(a + 1 for a in axes)))


linear(np.transpose, _transpose_pull, batch=_transpose_batch)
linear(np.matrix_transpose, lambda g, y, x: np.matrix_transpose(g), batch=stacked)
linear(
    np.swapaxes,
    lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2),
    batch=shifting("axis1", "axis2"),
)
linear(
    np.moveaxis,
    lambda g, y, x, source, destination: np.moveaxis(g, destination, source),
    batch=shifting("source", "destination"),
)


@composition(np.rollaxis)
def rollaxis(a, axis, start=0):
    """The axis moved to just before the axis `start`."""
    n = np.ndim(a)
    axis = normalize_axis_index(axis, n)
    start = n if start == n else normalize_axis_index(start, n)
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


# --- the order of elements --------------------------------------------------------------------


def _roll_batch(operation, args, mapped, options):
    (x,), shift = args, options["shift"]
    if options.get("axis") is None:
        return np.reshape(np.roll(flat(x), shift, axis=1), np.shape(x))
    return np.roll(x, shift, shifted(options["axis"], np.ndim(x) - 1))


def _backwards(shift):
    return tuple(-s for s in shift) if np.ndim(shift) else -shift


linear(np.flip, lambda g, y, x, axis=None: np.flip(g, axis), batch=reducing)
linear(
    np.roll,
    lambda g, y, x, shift, axis=None: np.roll(g, _backwards(shift), axis),
    batch=_roll_batch,
)
linear(
    np.rot90,
    lambda g, y, x, k=1, axes=(0, 1): np.rot90(g, -k, axes),
    batch=shifting("axes", defaults={"axes": (0, 1)}),
)


@composition(np.flipud)
def flipud(m):
    """The first axis reversed."""
    return np.flip(m, 0)


@composition(np.fliplr)
def fliplr(m):
    """The second axis reversed."""
    return np.flip(m, 1)


# --- repeating --------------------------------------------------------------------------------


def _repeat_pull(g, y, x, repeats, axis=None):
    shape = x.shape if axis is not None else (math.prod(x.shape),)
    axis = 0 if axis is None else axis % len(shape)
    if isinstance(repeats, (int, np.integer)):
        blocks = (*shape[: axis + 1], repeats, *shape[axis + 1 :])
        return g.reshape(blocks).sum(axis=axis + 1).reshape(x.shape)
    sources = np.repeat(np.arange(shape[axis]), repeats)
    index = (slice(None),) * axis + (sources,)
    return scatter(g, indices=(index,), shape=shape).reshape(x.shape)


def _tile_pull(g, y, x, reps):
    reps = tuple(reps) if np.ndim(reps) else (reps,)
    n = max(len(reps), x.ndim)
    reps, shape = (1,) * (n - len(reps)) + reps, (1,) * (n - x.ndim) + x.shape
    blocks = [length for pair in zip(reps, shape, strict=True) for length in pair]
    return g.reshape(blocks).sum(axis=tuple(range(0, 2 * n, 2))).reshape(x.shape)


def _tile_batch(operation, args, mapped, options):
    (x,), reps = args, options["reps"]
    reps = tuple(reps) if np.ndim(reps) else (reps,)
    n = max(len(reps), np.ndim(x) - 1)
    return np.tile(lifted(x, n), (*(1,) * (n + 1 - len(reps)), *reps))


linear(np.repeat, _repeat_pull, batch=flattening)
linear(np.tile, _tile_pull, batch=_tile_batch)


# --- joining ----------------------------------------------------------------------------------


def _several(arrays, axis=0, out=None, **options):
    """The call of a function that joins a sequence: the arrays by position, the rest by name."""
    if out is not None:
        raise TypeError("joining arrays: out= cannot be recorded; use the returned value")
    if not isinstance(arrays, (list, tuple)) and not hasattr(arrays, "shape"):
        raise TypeError(f"arrays to join must be a sequence, not a {type(arrays).__name__}")
    return tuple(arrays), {"axis": axis, **options}


def _concatenate_pull(wanted, g, y, *arrays, axis=0, **_):
    if axis is None:
        ends = list(accumulate(math.prod(a.shape) for a in arrays))
        parts = (g[ends[i] - math.prod(arrays[i].shape) : ends[i]] for i in wanted)
        return [part.reshape(arrays[i].shape) for i, part in zip(wanted, parts, strict=True)]
    axis = axis % y.ndim
    ends = list(accumulate(a.shape[axis] for a in arrays))
    before = (slice(None),) * axis
    return [g[(*before, slice(ends[i] - arrays[i].shape[axis], ends[i]))] for i in wanted]


def _stack_pull(wanted, g, y, *arrays, axis=0, **_):
    before = (slice(None),) * (axis % y.ndim)
    return [g[(*before, i)] for i in wanted]


def _concatenate_batch(operation, arrays, mapped, options):
    size, axis = size_of(arrays, mapped), options["axis"]
    arrays = [everywhere(a, m, size) for a, m in zip(arrays, mapped, strict=True)]
    if axis is None:
        arrays, axis = map(flat, arrays), 0
    else:
        axis = normalize_axis_index(axis, np.ndim(arrays[0]) - 1)
    return operation.apply([*arrays], options | {"axis": axis + 1})


def _stack_batch(operation, arrays, mapped, options):
    size = size_of(arrays, mapped)
    arrays = [everywhere(a, m, size) for a, m in zip(arrays, mapped, strict=True)]
    return operation.apply(
        arrays, options | {"axis": normalize_axis_index(options["axis"], np.ndim(arrays[0])) + 1}
    )


linear(
    np.concatenate,
    _concatenate_pull,
    forward=lambda *arrays, **options: np.concatenate(arrays, **options),
    variadic=True,
    reads=frozenset(),  # shapes only
    batch=_concatenate_batch,
    bind=lambda args, options: _several(*args, **options),
)
linear(
    np.stack,
    _stack_pull,
    forward=lambda *arrays, **options: np.stack(arrays, **options),
    variadic=True,
    reads=frozenset(),  # shapes only
    batch=_stack_batch,
    bind=lambda args, options: _several(*args, **options),
)


@composition(np.hstack)
def hstack(tup, **options):
    """Joined along the second axis; one-dimensional arrays and numbers along the first."""
    if all(np.ndim(a) == 0 for a in tup):
        return np.stack(tup, **options)
    arrays = [_ndim_1(a) for a in tup]
    return np.concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1, **options)


@composition(np.vstack)
def vstack(tup, **options):
    """Joined along the first axis, one-dimensional arrays being rows."""
    return np.concatenate([_ndim_2(a) for a in tup], axis=0, **options)


@composition(np.dstack)
def dstack(tup):
    """Joined along the third axis."""
    return np.concatenate([_ndim_3(a) for a in tup], axis=2)


@composition(np.column_stack)
def column_stack(tup):
    """Joined along the second axis, one-dimensional arrays being columns."""
    return np.concatenate([a if np.ndim(a) >= 2 else np.reshape(a, (-1, 1)) for a in tup], axis=1)


@composition(np.block)
def block(arrays):
    """A matrix (or array of more axes) from nested lists of its blocks."""
    depth = _depth(arrays)
    ndim = max(depth, *(np.ndim(a) for a in _leaves(arrays)))

    def joined(part, axis):
        if isinstance(part, list):
            return np.concatenate([joined(p, axis + 1) for p in part], axis=axis)
        return np.reshape(part, (1,) * (ndim - np.ndim(part)) + np.shape(part))

    return joined(arrays, -depth) if depth else np.copy(arrays)


def _depth(arrays):
    if isinstance(arrays, tuple):
        raise TypeError("block: nested lists are needed, not tuples")
    if not isinstance(arrays, list):
        return 0
    depths = {_depth(part) for part in arrays}
    if len(depths) != 1:
        raise ValueError("block: lists must not be empty, and nested equally deep everywhere")
    return depths.pop() + 1


def _leaves(arrays):
    return [a for part in arrays for a in _leaves(part)] if isinstance(arrays, list) else [arrays]


@composition(np.append)
def append(arr, values, axis=None):
    """Values after an array, along an axis or all flattened."""
    return np.concatenate([arr, values], axis=axis)


@composition(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """Coordinate arrays of a grid from the coordinates along each axis."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    n = len(xi)
    axes = list(range(n))
    if indexing == "xy" and n > 1:
        axes[:2] = 1, 0
    grids = [
        np.reshape(x, [-1 if i == axis else 1 for i in range(n)])
        for x, axis in zip(xi, axes, strict=True)
    ]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


@composition(np.ix_)
def ix_(*args):
    """One-dimensional arrays along an axis each, so that together they index a grid."""
    n = len(args)
    if any(np.ndim(a) != 1 for a in args):
        raise ValueError("Cross index must be 1 dimensional")
    args = [np.flatnonzero(a) if getattr(a, "dtype", None) == np.bool_ else a for a in args]
    return tuple(
        np.reshape(a, [-1 if i == axis else 1 for i in range(n)]) for axis, a in enumerate(args)
    )


# --- splitting and leaving out ----------------------------------------------------------------


def _along(axis, part):
    """The index that takes `part` along an axis that is not negative."""
    return (slice(None),) * axis + (part,)


@composition(np.array_split)
def array_split(ary, indices_or_sections, axis=0):
    """Parts of nearly equal length, or between indices, as a list."""
    ary = ary if hasattr(ary, "shape") else np.asarray(ary)
    axis = normalize_axis_index(axis, ary.ndim)
    n = ary.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [0, *indices_or_sections, n]
    else:
        if indices_or_sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, longer = divmod(n, int(indices_or_sections))
        cuts = [i * each + min(i, longer) for i in range(int(indices_or_sections) + 1)]
    return [ary[_along(axis, slice(a, b))] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


@composition(np.split)
def split(ary, indices_or_sections, axis=0):
    """Parts of equal length, or between indices, as a list."""
    if not np.ndim(indices_or_sections) and np.shape(ary)[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


def _split_along(axis, needed):
    """Split along one axis, of arrays that have `needed` axes."""

    def split_along(ary, indices_or_sections):
        ndim = np.ndim(ary)
        if ndim < needed:
            raise ValueError(f"this split only works on arrays of {needed} or more dimensions")
        return split(ary, indices_or_sections, axis=min(axis, ndim - 1))

    return split_along


composition(np.vsplit)(_split_along(0, 2))
composition(np.hsplit)(_split_along(1, 1))
composition(np.dsplit)(_split_along(2, 3))


def unstack(x, /, *, axis=0):
    """The parts along an axis, without it, as a tuple."""
    axis = normalize_axis_index(axis, x.ndim)
    return tuple(x[_along(axis, i)] for i in range(x.shape[axis]))


if hasattr(np, "unstack"):  # NumPy 2.1
    composition(np.unstack)(unstack)


@composition(np.delete)
def delete(arr, obj, axis=None):
    """An array without some elements, rows or columns."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, np.ndim(arr))
    return arr[_along(axis, np.delete(np.arange(np.shape(arr)[axis]), obj))]


@composition(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None):
    """An array without zeros at the front (f), the back (b) or both."""
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"trim_zeros: trim is made of 'f' and 'b', not {trim!r}")
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    index = [slice(None)] * filt.ndim
    for i, places in enumerate(np.nonzero(filt)):
        if i in axes:
            first, last = (int(places.min()), int(places.max())) if places.shape[0] else (0, -1)
            none = last < first  # nothing but zeros: nothing remains
            index[i] = slice(
                first if "f" in trim or none else None, last + 1 if "b" in trim or none else None
            )
    return filt[tuple(index)]


# --- rearrangements, in general ---------------------------------------------------------------


def _give_back(g, rearrange, shapes, position=0):
    """The transpose of any rearrangement: where did each element of the result come from?

    `rearrange`, which takes arrays of these shapes, is run on the numbers 1, 2, ... in the
    place of the argument asked for, and on zeros elsewhere; cotangents are added up there.
    """
    numbers = [np.zeros(shape, int) for shape in shapes]
    size = math.prod(shapes[position])
    numbers[position] = np.arange(1, size + 1).reshape(shapes[position])
    origin = np.ravel(rearrange(*numbers))
    found = np.flatnonzero(origin)
    g = g.reshape(-1)[found]
    return scatter(g, indices=(origin[found] - 1,), shape=(size,)).reshape(shapes[position])


def _insert(arr, values, *, obj, axis):
    return np.insert(arr, obj, values, axis)


def _insert_arguments(arr, obj, values, axis=None):
    arr, values = (a if hasattr(a, "shape") else np.asarray(a) for a in (arr, values))
    return (arr, values), {"obj": obj, "axis": axis}


def _insert_batch(operation, args, mapped, options):
    """By what happens to numbered elements, as `_give_back`: np.insert moves the axes of values."""
    size = size_of(args, mapped)
    shapes = [np.shape(a)[m:] for a, m in zip(args, mapped, strict=True)]
    numbers = np.arange(math.prod(shapes[0]) + math.prod(shapes[1]))
    parts = np.split(numbers, [math.prod(shapes[0])])
    origin = _insert(*(p.reshape(s) for p, s in zip(parts, shapes, strict=True)), **options)
    both = [flat(everywhere(a, m, size)) for a, m in zip(args, mapped, strict=True)]
    return np.concatenate(both, axis=1)[:, origin].astype(args[0].dtype)


linear(
    np.insert,
    (
        lambda g, y, a, v, **at: _give_back(g, partial(_insert, **at), (a.shape, v.shape), 0),
        lambda g, y, a, v, **at: _give_back(g, partial(_insert, **at), (a.shape, v.shape), 1),
    ),
    forward=_insert,
    bind=lambda args, options: _insert_arguments(*args, **options),
    batch=_insert_batch,
)


# --- diagonals and triangles ------------------------------------------------------------------


def _diag_pull(g, y, x, k=0):
    if x.ndim == 1:
        return np.diagonal(g, k)
    return _give_back(g, lambda numbers: np.diag(numbers, k), (x.shape,))


def _diag_batch(operation, args, mapped, options):
    (x,), k = args, options.get("k", 0)
    if np.ndim(x) > 2:
        return np.diagonal(x, k, 1, 2)
    size, n = np.shape(x)[0], np.shape(x)[-1] + abs(k)
    zeros = np.zeros_like(x, shape=(size, n, n))
    return setitem(zeros, x, index=(slice(None), *_diagonal_index((n, n), k)))


def _triangle_batch(operation, args, mapped, options):
    (x,) = args
    if np.ndim(x) == 2:  # NumPy takes a vector for a square matrix of equal rows
        size, n = np.shape(x)
        x = np.broadcast_to(x[:, None], (size, n, n))
    return operation.apply([x], options)


linear(np.diag, _diag_pull, batch=_diag_batch)
linear(np.tril, lambda g, y, x, k=0: np.tril(g, k), batch=_triangle_batch)
linear(np.triu, lambda g, y, x, k=0: np.triu(g, k), batch=_triangle_batch)


@composition(np.diagflat)
def diagflat(v, k=0):
    """A matrix with the flattened elements on a diagonal."""
    return np.diag(np.ravel(v), k)


def _diagonal_index(shape, offset):
    """Rows and columns of the diagonal of a matrix."""
    rows = np.arange(max(0, -offset), min(shape[-2], shape[-1] - offset))
    return rows, rows + offset


@composition(np.diagonal)
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonal of two axes, as a last axis."""
    a = a if hasattr(a, "shape") else np.asarray(a)
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    if a.ndim > 2 or (axis1, axis2) != (0, 1):
        a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    return a[(..., *_diagonal_index(a.shape, offset))]


@composition(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """The sum along the diagonal of two axes."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


# --- padding ----------------------------------------------------------------------------------


def _pad_pull(g, y, x, *, pad_width, mode="constant", **options):
    if mode == "constant":
        widths = _pairs(pad_width, x.ndim)
        return g[tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))]
    return _give_back(g, lambda numbers: np.pad(numbers, pad_width, mode, **options), (x.shape,))


def _pad_batch(operation, args, mapped, options):
    (x,) = args
    pairs = {
        name: [(0, 0), *_pairs(options[name], np.ndim(x) - 1)]
        for name in ("pad_width", "constant_values")
        if name in options
    }
    return operation.apply([x], options | pairs)


def _padded(x, *, pad_width, mode="constant", **options):
    if mode != "constant" and is_lazy(x):  # what Dask makes of the other modes has other shapes
        raise lacking(f"pad in the mode {mode!r}", "use np.concatenate of slices")
    return np.pad(x, pad_width, mode, **options)


_pad = linear(
    _padded,
    _pad_pull,
    batch=_pad_batch,
    drop=("constant_values",),
    cost=moved,
    name="pad",
    doc="np.pad in the modes that repeat elements or add constants.",
)

_STATISTICS = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}


def _pairs(given, ndim):
    """What np.pad takes for both sides of every axis, as (before, after) for each axis."""
    if isinstance(given, dict):
        pairs = [(0, 0)] * ndim
        for axis, width in given.items():
            pairs[axis] = width if isinstance(width, tuple) else (width, width)
        return pairs
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(given), (ndim, 2)).tolist()]


@composition(np.pad, kinks="as those of max and min, in these modes")
def pad(array, pad_width, mode="constant", **options):
    """An array with more elements around it."""
    if callable(mode) or mode == "empty":
        raise TypeError(
            f"pad: mode {mode!r} has no derivative; use 'constant', 'edge', 'reflect', "
            f"'symmetric', 'wrap', 'linear_ramp', 'mean', 'median', 'maximum' or 'minimum'"
        )
    for name, value in options.items():
        if isinstance(value, Wrapper):
            raise TypeError(f"pad: no derivative by {name!r}; pass its plain value (.data)")
    odd = options.get("reflect_type") == "odd"
    if mode in ("constant", "edge", "wrap") or (mode in ("reflect", "symmetric") and not odd):
        return _pad(array, pad_width=pad_width, mode=mode, **options)
    ndim = np.ndim(array)
    np.pad(np.zeros(np.shape(array)), pad_width, mode, **options)  # raises what is to be raised
    for axis, widths in enumerate(_pairs(pad_width, ndim)):
        if mode in ("reflect", "symmetric"):
            array = _reflected(array, axis, widths, mode == "symmetric")
            continue
        if mode == "linear_ramp":
            ends = _pairs(options.get("end_values", 0), ndim)[axis]
            sides = _ramps(array, axis, widths, ends)
        else:
            lengths = _pairs(options.get("stat_length"), ndim)[axis]
            sides = _statistics(array, axis, widths, lengths, _STATISTICS[mode])
        before, after = sides
        array = np.concatenate([before, array, after], axis=axis)
    return array


def _statistics(array, axis, widths, lengths, statistic):
    """Mean, median, ... of the elements nearest to each side, as broad as the padding."""
    n = array.shape[axis]
    first, last = (n if length is None else min(length, n) for length in lengths)
    for part, width in zip((slice(0, first), slice(n - last, n)), widths, strict=True):
        value = statistic(array[_along(axis, part)], axis=axis, keepdims=True)
        yield np.repeat(value, width, axis=axis)


def _ramps(array, axis, widths, ends):
    """From an end value in equal steps up to just before the edge."""
    n = array.shape[axis]
    for edge, width, end, back in zip((0, n - 1), widths, ends, (False, True), strict=True):
        edge = array[_along(axis, slice(edge, edge + 1))]
        ones = np.ones_like(edge, shape=[width if i == axis else 1 for i in range(array.ndim)])
        ramp = end + (edge - end) / max(width, 1) * (np.cumsum(ones, axis=axis) - 1)
        yield np.flip(ramp, axis) if back else ramp


def _reflected(array, axis, widths, include_edge):
    """Reflected in the points at the ends: as often as it takes, if the padding is longer.

    As in NumPy, an axis of length one repeats its element.
    """
    period = array.shape[axis]
    before, after = widths
    if period == 1 and (before or after):
        first = array[_along(axis, slice(0, 1))]
        return np.repeat(first, before + 1 + after, axis=axis)
    skip = 0 if include_edge else 1  # elements at the edge that are not reflected
    while before or after:
        n = array.shape[axis]
        longest = (n - skip) // (period - skip) * (period - skip)
        left, right = min(longest, before), min(longest, after)
        first, last = (array[_along(axis, slice(i, i + 1))] for i in (0, n - 1))
        start = np.flip(array[_along(axis, slice(skip, skip + left))], axis)
        end = np.flip(array[_along(axis, slice(n - skip - right, n - skip))], axis)
        array = np.concatenate([2 * first - start, array, 2 * last - end], axis=axis)
        before, after = before - left, after - right
    return array
