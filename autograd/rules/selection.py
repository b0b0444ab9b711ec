"""Picking, ordering and placing elements: take, sort, unique, select, bincount and their kin.

Which elements are read is found from plain values and has no derivative; reading them is
``x[index]``, writing ``x[index] = v``, adding ``scatter``.  Their rules stand in `indexing`, and
so the functions here are compositions that say no more than *which* index.
"""

from functools import partial

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..batching import Mapped, everywhere, flattening, ndim, shifted
from ..families import composition, constant, refused
from ..lazy import holds, is_lazy
from ..payload import numeric
from ..primitive import Wrapper, common, telling
from .indexing import getitem, scatter, setitem


def _lexsort_batch(operation, args, mapped, options):
    keys, axis = (*args, options.get("axis", -1))[:2]
    keys = keys if isinstance(keys, (list, tuple)) else _rows(keys)
    size = next(np.shape(key.value)[0] for key in keys if type(key) is Mapped)
    keys = [k.value if type(k) is Mapped else everywhere(k, False, size) for k in keys]
    return operation.apply([keys], {"axis": shifted(axis, np.ndim(keys[0]) - 1)})


def _rows(keys):
    """The keys in an array, one in each row."""
    if type(keys) is not Mapped:
        return [*keys]
    return [Mapped(keys.value[:, i]) for i in range(np.shape(keys.value)[1])]


def _searchsorted_batch(operation, args, mapped, options):
    """Where all search in the same array as NumPy does, else by counting: NaN comes last."""
    a, v = args
    if not mapped[0]:
        return operation.apply(args, options)
    sorter = options.get("sorter")
    if sorter is not None:
        sorter = sorter.value if type(sorter) is Mapped else sorter
        a = np.take_along_axis(a, np.broadcast_to(sorter, np.shape(a)), 1)
    lines = a.reshape((a.shape[0], *(1,) * ndim(v, mapped[1]), a.shape[1]))
    v = np.expand_dims(v, -1)
    if options.get("side", "left") == "left":
        before = (lines < v) | ((lines == lines) & (v != v))
    else:
        before = (lines <= v) | (v != v)
    return np.sum(before, axis=-1)


def _digitize_batch(operation, args, mapped, options):
    """The number of edges that an element has behind it; of falling ones, before it."""
    x, edges = args
    if not mapped[1]:
        return operation.apply(args, options)
    edges = edges.reshape((edges.shape[0], *(1,) * ndim(x, mapped[0]), edges.shape[1]))
    x, right = np.expand_dims(x, -1), options.get("right", False)
    rising = np.all(edges[..., 1:] >= edges[..., :-1], axis=-1, keepdims=True)
    falling = np.all(edges[..., 1:] <= edges[..., :-1], axis=-1, keepdims=True)
    if not holds(rising | falling):
        raise ValueError("bins must be monotonically increasing or decreasing")
    above, below = (edges < x, edges >= x) if right else (edges <= x, edges > x)
    return np.sum(np.where(rising, above, below), axis=-1)


def _isin_batch(operation, args, mapped, options):
    x, among = args
    if not mapped[1]:
        return operation.apply(args, options)
    among = among.reshape((among.shape[0], *(1,) * ndim(x, mapped[0]), -1))
    found = np.any(np.expand_dims(x, -1) == among, axis=-1)
    return ~found if options.get("invert") else found


constant(np.argsort, np.argpartition, arity=1, batch=partial(flattening, default=-1))
constant(np.lexsort, batch=_lexsort_batch)
constant(np.searchsorted, arity=2, batch=_searchsorted_batch)
constant(np.digitize, arity=2, batch=_digitize_batch)
constant(np.isin, arity=2, batch=_isin_batch)
constant(np.histogram_bin_edges)


# --- what the others are made of ------------------------------------------------------------------


def array(x):
    """`x`, if a list as an array; numbers stay numbers, which do not turn float32 into float64."""
    return np.asarray(x) if isinstance(x, (list, tuple)) else x


def index_array(indices, name):
    """`indices` as integers; a TypeError names the function, `name`, for anything else."""
    if isinstance(indices, Wrapper) and indices.carries_derivative:
        raise TypeError(
            f"np.{name}: the indices are a {type(indices).__name__}, and have no derivative; "
            f"pass an array of integers"
        )
    indices = indices if hasattr(indices, "dtype") else np.asarray(indices)
    if indices.dtype.kind == "b":
        return indices.astype(int)  # as an index, True would be a mask and not a one
    if indices.dtype.kind not in "iu":
        raise TypeError(f"np.{name}: indices are integers, these are {indices.dtype}")
    return indices


def within(indices, n, mode, name):
    """`indices` into an axis of length n, as `mode` has those that are out of range."""
    if mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"np.{name}: mode is 'raise', 'wrap' or 'clip', not {mode!r}")
    return indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)


def along(indices, axis, x):
    """The index of x that follows `indices` on `axis` and counts through the other axes.

    >>> x = np.array([[5, 6], [7, 8]])
    >>> x[along(np.array([[1], [0]]), 1, x)]
    array([[6],
           [7]])
    """
    if np.ndim(indices) != x.ndim:
        raise ValueError(
            f"an index along an axis of an array of shape {x.shape} needs as many axes, "
            f"this has shape {np.shape(indices)}"
        )
    index = [np.arange(n).reshape((-1,) + (1,) * (x.ndim - 1 - i)) for i, n in enumerate(x.shape)]
    index[normalize_axis_index(axis, x.ndim)] = indices
    return tuple(index)


def flat_if_none(x, axis):
    """NumPy's ``axis=None``: x as one axis, and the number of that axis."""
    return (np.ravel(x), 0) if axis is None else (array(x), axis)


def no_out(name, out):
    """Raise where `out` was given by position."""
    if out is not None:
        raise TypeError(f"np.{name}: out= cannot be recorded; use the returned value")


# --- reading ----------------------------------------------------------------------------------


@composition(np.take)
@telling
def take(a, indices, axis=None, out=None, mode="raise"):
    """``a[:, indices]``, the colons standing for the axes before `axis`.

    NumPy's function does not look at the type of `indices`.  Where they alone are of ours, as
    under `vmap`, call this one, ``autograd.take``.

    >>> from autograd import vmap
    >>> vmap(lambda i: take(np.array([2.0, 3.0, 5.0]), i))(np.array([2, 0]))
    array([5., 2.])
    """
    no_out("take", out)
    a = numeric("take", a)
    a, axis = flat_if_none(a, axis)
    axis = normalize_axis_index(axis, a.ndim)
    indices = within(index_array(indices, "take"), a.shape[axis], mode, "take")
    if is_lazy(indices) and a.ndim == indices.ndim == 1:
        return picked(a, indices, 0)
    return getitem(a, index=(slice(None),) * axis + (indices,))


@composition(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    """Elements of `arr` at the positions `indices` on `axis`."""
    arr, axis = flat_if_none(arr, axis)
    indices = index_array(indices, "take_along_axis")
    if is_lazy(arr) or is_lazy(indices):
        return picked(arr, indices, normalize_axis_index(axis, arr.ndim))
    return getitem(arr, index=along(indices, axis, arr))


def picked(x, indices, axis):
    """`take_along_axis` by masks: work for every element of x, and none is read by its number."""
    n = x.shape[axis]
    numbers = np.arange(n).reshape((n,) + (1,) * (x.ndim - axis))
    chosen = numbers == np.expand_dims(indices % n, axis)
    return np.sum(np.where(chosen, np.expand_dims(x, axis + 1), 0), axis=axis)


@composition(np.compress)
def compress(condition, a, axis=None, out=None):
    """The slices of `a` along `axis` where `condition`, of one axis, holds."""
    no_out("compress", out)
    if np.ndim(condition) != 1:
        raise ValueError(f"np.compress: condition has one axis, not {np.ndim(condition)}")
    return np.take(a, np.flatnonzero(condition), axis)


@composition(np.extract)
def extract(condition, arr):
    """The elements of `arr` where `condition` holds, as one axis."""
    return np.take(arr, np.flatnonzero(condition))


@composition(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """Every window of `window_shape`; the windows' own axes come last.  A copy, not a view."""
    sizes = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    axes = normalize_axis_tuple(
        range(x.ndim) if axis is None else axis, x.ndim, allow_duplicate=True
    )
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view: {len(sizes)} window sizes for {len(axes)} axes")
    for size, i in zip(sizes, axes, strict=True):
        if not 0 <= size <= x.shape[i]:
            raise ValueError(
                f"sliding_window_view: a window of {size} on axis {i} of an array of {x.shape}"
            )
        starts = np.arange(x.shape[i] - size + 1)[:, None]
        x = np.moveaxis(np.take(x, starts + np.arange(size), axis=i), i + 1, -1)
    return x


# --- ordering ---------------------------------------------------------------------------------


@composition(np.sort, kinks="equal elements: each keeps its own, in order of position")
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """The elements along `axis` in ascending order; NaN last, as in NumPy."""
    if order is not None:
        raise TypeError("np.sort: order= is for structured arrays, which have no derivative")
    a, axis = flat_if_none(a, axis)
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis)


@composition(np.partition, kinks="equal elements: each keeps its own")
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """The elements along `axis`, those in the places `kth` being where sorting puts them."""
    if order is not None:
        raise TypeError("np.partition: order= is for structured arrays, which have no derivative")
    a, axis = flat_if_none(a, axis)
    if kind != "introselect":
        raise ValueError(f"np.partition: kind is 'introselect', not {kind!r}")
    return np.take_along_axis(a, np.argpartition(a, kth, axis=axis), axis)


@composition(np.unique, kinks="equal elements: the first has the derivative")
def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, **options):
    """The sorted elements of `ar` without repeats (or its slices along `axis`)."""
    ar_values = common(ar, "unique")
    _, first, *others = np.unique(ar_values, True, return_inverse, return_counts, axis, **options)
    values = np.take(ar, first, axis)
    found = (values, *([first] if return_index else []), *others)
    return found if len(found) > 1 else values


@composition(np.union1d, kinks="equal elements: the first has the derivative")
def union1d(ar1, ar2):
    """The elements of either, sorted, without repeats."""
    return np.unique(np.concatenate([np.ravel(ar1), np.ravel(ar2)]))


@composition(np.intersect1d, kinks="the derivative goes to the first array")
def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """The elements in both, sorted, without repeats."""
    if return_indices:
        raise TypeError("np.intersect1d: return_indices= on plain arrays only (tensor.data)")
    ar1 = np.unique(ar1)
    return ar1[np.isin(ar1, ar2)]


@composition(np.setdiff1d, kinks="equal elements: the first has the derivative")
def setdiff1d(ar1, ar2, assume_unique=False):
    """The elements of the first that are not in the second, sorted unless `assume_unique`."""
    ar1 = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return ar1[np.isin(ar1, ar2, invert=True)]


# --- choosing between arrays --------------------------------------------------------------------


@composition(np.select)
def select(condlist, choicelist, default=0):
    """Of `choicelist` the element whose condition is the first to hold, else `default`."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"np.select: {len(condlist)} conditions for {len(choicelist)} choices, not as many"
        )
    for i, condition in enumerate(condlist):
        condition = array(condition)
        if np.dtype(getattr(condition, "dtype", type(condition))).kind != "b":
            raise TypeError(f"np.select: condition {i} is not boolean; compare: x > 0, x != 0")
    choicelist = [array(choice) for choice in choicelist]
    # np.where(c, 0.5, 0) would be float64 also where the other choices are float32
    number = np.result_type(*choicelist, default).type
    chosen, *choices = (
        number(c) if isinstance(c, (float, int)) else c for c in (default, *reversed(choicelist))
    )
    for condition, choice in zip(reversed(condlist), choices, strict=True):
        chosen = np.where(condition, choice, chosen)
    return chosen


@composition(np.choose)
def choose(a, choices, out=None, mode="raise"):
    """Of `choices` the element whose number stands in `a`."""
    no_out("choose", out)
    number = within(index_array(a, "choose"), len(choices), mode, "choose")
    if mode == "raise" and not holds((number >= 0) & (number < len(choices))):
        raise ValueError(f"np.choose: a number in the index array is not in 0..{len(choices) - 1}")
    return np.select([number == k for k in range(len(choices))], [*choices])


# --- placing and adding -------------------------------------------------------------------------


@telling
def put_along_axis(arr, indices, values, axis):
    """A copy of `arr` with `values` at the positions `indices` on `axis`; recorded.

    The function of what NumPy's procedure of this name does in place; of values that go to the
    same place the last one stays.

    >>> put_along_axis(np.zeros((2, 3)), np.array([[2], [0]]), 1.0, axis=1)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    arr = numeric("put_along_axis", arr)
    x, along_axis = flat_if_none(arr, axis)
    index = along(index_array(indices, "put_along_axis"), along_axis, x)
    return np.reshape(setitem(x, values, index=index), np.shape(arr))


@composition(np.put_along_axis)
def _put_along_axis(arr, indices, values, axis):
    """The new array: a recorded one is not written into."""
    if not isinstance(arr, Wrapper):
        raise TypeError(
            f"np.put_along_axis: a plain array cannot take a {type(values).__name__}, its "
            f"derivative would be lost; autograd.put_along_axis(arr, indices, values, axis) "
            f"returns a new array"
        )
    return put_along_axis(arr, indices, values, axis)


@composition(np.bincount)
def bincount(x, weights=None, minlength=0):
    """For each number 0, 1, ... the sum of the weights at the places where `x` has it."""
    if weights is None:
        return np.bincount(common(x, "bincount"), minlength=minlength)
    x = index_array(common(x, "bincount"), "bincount")
    if x.ndim != 1 or np.shape(weights) != x.shape:
        raise ValueError(
            f"np.bincount: x and weights have one axis and the same length, not the shapes "
            f"{x.shape} and {np.shape(weights)}"
        )
    if not holds(x >= 0):
        raise ValueError("np.bincount: x has a negative number")
    return scatter(
        weights, indices=(x,), shape=(max(int(x.max().item()) + 1 if x.size else 0, minlength),)
    )


@composition(np.histogram)
def histogram(a, bins=10, range=None, density=None, weights=None):
    """Counts, which have no derivative; with weights their sums, which follow the weights."""
    a, bins = array(common(a, "histogram")), common(bins, "histogram")
    if weights is None:
        return np.histogram(a, bins, range, density)
    if np.shape(weights) != a.shape:
        raise ValueError(f"np.histogram: {np.shape(weights)} weights for {a.shape} values")
    edges = np.histogram_bin_edges(a, bins, range)
    n = len(edges) - 1
    place = np.where(a == edges[-1], n - 1, np.searchsorted(edges, a, side="right") - 1)
    inside = (place >= 0) & (place < n)  # NaN is placed behind all
    sums = np.bincount(place[inside], weights[inside], n)
    return (sums / np.diff(edges) / np.sum(sums) if density else sums), edges


# --- refusals -----------------------------------------------------------------------------------


for _function, _instead in {
    np.put: "t[...] = v with an index of each axis, or np.where",
    np.place: "t[mask] = v, or np.where(mask, v, t)",
    np.putmask: "t[mask] = v, or np.where(mask, v, t)",
    np.copyto: "t[...] = v, or np.where",
    np.fill_diagonal: "np.where(np.eye(*t.shape, dtype=bool), v, t)",
}.items():
    refused(_function, f"writes into its argument, which cannot be recorded; use {_instead}")
