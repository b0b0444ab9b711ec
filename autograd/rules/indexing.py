"""Reading and writing parts of arrays: `x[i]`, `x[i] = v`, and the parts of tuple results."""

import operator

import numpy as np

from ..batching import Mapped, everywhere, lifted, ndim
from ..costs import Counts, free, moved, size, working
from ..families import linear
from ..lazy import is_lazy, lazily
from ..primitive import Indexed, kind_of, leaves, like, undifferentiated

_BY_MASKS = (
    "use np.where(mask, ..., ...), and to pick a column of each row "
    "np.sum(np.where(labels[:, None] == np.arange(n), x, 0), axis=1)"
)


def _getitem(x, index):
    if type(x) is not np.ndarray and is_lazy(x):
        _check_lazy(index)
    elif type(index) is not int and type(index) is not slice and _holds_lazy(index):
        raise TypeError(
            f"x[index] of an array in memory takes no Dask array for an index, which would be "
            f"computed at once; {_BY_MASKS}, or compute the index first: index.compute()"
        )
    # a Python float has no elements, but float[()] and float[None] are fine in NumPy
    return (x if hasattr(x, "shape") else np.float64(x))[index]


def is_basic(index):
    """Whether an index is made of integers, slices, None and Ellipsis only: a view, no repeats."""
    parts = index if type(index) is tuple else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, slice, np.integer)) for i in parts)


def kept(index):
    """An index as a node keeps it: its arrays copied, for their owner may write into them."""
    if isinstance(index, (tuple, list)):
        return type(index)(map(kept, index))
    index = undifferentiated(index)
    return index.copy() if isinstance(index, np.ndarray) else index


# --- for many examples at once --------------------------------------------------------------------


class _Everyones:
    """An index of one example, as that of the array of all examples.

    ``index`` is the new index; what it reads has its axes in another order than (examples, axes
    of an example's result), and `ordered` and `disordered` exchange the two.

    axes     how many axes an example's array has
    mapped   whether that differs from example to example: has a mapped axis to go through
    size     how many examples there are
    """

    def __init__(self, index, axes, mapped, size):
        parts = _parts(index)
        places = [k for k, part in enumerate(parts) if _is_advanced(part)]
        arrays = [parts[k] for k in places]
        width = max((ndim(_value(a), type(a) is Mapped) for a in arrays), default=0)
        adjacent = not places or places[-1] - places[0] == len(places) - 1
        own = any(type(a) is Mapped for a in arrays)
        if not own:  # an index for all: NumPy puts separated index arrays' axes first
            self.index = (slice(None), *parts)
            self.source, self.target = ([], []) if adjacent else ([width], [0])
            return
        for k, a in zip(places, arrays, strict=True):
            parts[k] = lifted(a.value, width) if type(a) is Mapped else a
        before = _axes_before(parts, places[0], axes)
        if not mapped:
            self.index = tuple(parts)
            self.source, self.target = ([before], [0]) if adjacent else ([], [])
            return
        examples = np.arange(size).reshape((size,) + (1,) * width)
        self.index = (examples, *parts)
        start = before if adjacent else 0
        self.source = list(range(1, 1 + width))
        self.target = [start + k for k in self.source]

    def ordered(self, read):
        """What was read, with the examples first."""
        return np.moveaxis(read, self.source, self.target) if self.source else read

    def disordered(self, values):
        """Values with the examples first, as they are written by ``index``."""
        return np.moveaxis(values, self.target, self.source) if self.source else values


def _parts(index):
    """The parts of an index, masks replaced by the places where they hold."""
    parts = []
    for part in index if type(index) is tuple else (index,):
        if isinstance(part, list):
            part = np.asarray(part) if part else np.zeros(0, int)
        kind = kind_of(_value(part))
        if kind == "b" and type(part) is Mapped:
            raise TypeError(
                "a mask that differs from example to example, as an index, would give examples "
                "results of different shapes; use np.where(mask, x, 0)"
            )
        parts.extend(np.nonzero(part) if kind == "b" else [part])
    return parts


def _value(part):
    return part.value if type(part) is Mapped else part


def _is_advanced(part):
    return not (part is None or part is Ellipsis or isinstance(part, slice))


def _axes_before(parts, first, axes):
    """How many axes of a result come before those of the index arrays, the first of them given."""
    used = sum(part is not None and part is not Ellipsis for part in parts)
    return sum(
        axes - used if part is Ellipsis else not _is_advanced(part) for part in parts[:first]
    )


def _size(args, mapped, *indices):
    """The number of examples, by whatever has a mapped axis."""
    found = [a for a, m in zip(args, mapped, strict=True) if m]
    found += [part.value for part in leaves(list(indices)) if type(part) is Mapped]
    return np.shape(found[0])[0]


def _getitem_batch(operation, args, mapped, options):
    (x,), index = args, options["index"]
    at = _Everyones(index, ndim(x, mapped[0]), mapped[0], _size(args, mapped, index))
    return at.ordered(getitem.apply([x], {"index": at.index}))


def _setitem_batch(operation, args, mapped, options):
    (x, v), index = args, options["index"]
    size = _size(args, mapped, index)
    if type(index) is Mapped and kind_of(index.value) == "b" and not ndim(v, mapped[1]):
        x = everywhere(x, mapped[0], size)
        v = lifted(v, x.ndim - 1) if mapped[1] else v
        return np.where(_over_all_axes(index.value, x), v, x)
    at = _Everyones(index, ndim(x, mapped[0]), True, size)
    if mapped[1] or at.source:
        v, axes = everywhere(v, mapped[1], size), _axes_read(at, x, mapped[0], size)
        while np.ndim(v) - 1 > axes and np.shape(v)[1] == 1:  # x[0] = [[5.0]] is fine in NumPy
            v = v[:, 0]
        v = at.disordered(lifted(v, axes))
    return setitem.apply([everywhere(x, mapped[0], size), v], {"index": at.index})


def _over_all_axes(mask, x):
    """A mask of the first axes of `x`, with an axis of length one for each of the others."""
    return np.reshape(mask, mask.shape + (1,) * (x.ndim - mask.ndim))


def _axes_read(at, x, mapped, size):
    """How many axes an example's ``x[index]`` has."""
    shape = np.shape(x)[1:] if mapped else np.shape(x)
    return np.broadcast_to(np.zeros((), like=like(x)), (size, *shape))[at.index].ndim - 1


def _scatter_batch(operation, args, mapped, options):
    indices, shape = options["indices"], options["shape"]
    size = _size(args, mapped, indices)
    ats = [_Everyones(index, len(shape), True, size) for index in indices]
    gs = [at.disordered(everywhere(g, m, size)) for at, g, m in zip(ats, args, mapped, strict=True)]
    return scatter.apply(gs, {"indices": tuple(at.index for at in ats), "shape": (size, *shape)})


# --- the operations -------------------------------------------------------------------------------


def _getitem_cost(y, x, index):
    """Of a view nothing; else the elements read are written."""
    return Counts() if np.ndim(y) and is_basic(index) else moved(y, y)


getitem = linear(
    operator.getitem,
    lambda g, y, x, index: Indexed(g, index),
    forward=_getitem,
    holds=("index",),
    batch=_getitem_batch,
    cost=_getitem_cost,
    doc="``x[index]`` for every kind of NumPy index.",
)


def _scatter(*gs, indices, shape):
    dtype = max((np.asarray(g).dtype if type(g) is float else g.dtype for g in gs), key=_width)
    out = np.zeros_like(gs[0], shape=shape, dtype=dtype)
    for g, index in zip(gs, indices, strict=True):
        if is_basic(index):
            out[index] += g
        else:
            np.add.at(out, index, g)
    return out


def _scatter_lazily(*gs, indices, shape):
    """The same by slices alone: all that Dask writes to reliably."""
    out = np.zeros_like(gs[0], shape=shape, dtype=max((g.dtype for g in gs), key=_width))
    for g, index in zip(gs, indices, strict=True):
        if not is_basic(index):
            raise TypeError(
                "x[index] of a Dask array, by a list of indices, cannot be pulled back: Dask adds "
                f"nothing up at numbered places; {_BY_MASKS}"
            )
        index = _slices(index, out.shape)
        part = out[index]
        if part.size:
            out[index] = part + g.reshape(part.shape)
    return out


def _written_lazily(x, v, index):
    """A copy of `x` with ``x[index] = v``, by slices alone or by one mask of everything."""
    if kind_of(index) == "b" and np.shape(index) == x.shape and not np.ndim(v):
        return np.where(index, v, x)
    if not is_basic(index):
        raise TypeError(f"x[index] = v of a Dask array takes slices and numbers; {_BY_MASKS}")
    read = x[index].shape
    index = _slices(index, x.shape)
    out = x.copy()
    part = out[index]
    if part.size:
        v = np.broadcast_to(v, read) if np.ndim(v) <= len(read) else np.reshape(v, read)
        out[index] = np.reshape(v, part.shape)
    return out


def _check_lazy(index):
    """TypeError for the indices that a Dask array does not read by, or not in NumPy's shape."""
    parts = index if type(index) is tuple else (index,)
    arrays = [np.asarray(part) for part in parts if not is_basic(part) and not is_lazy(part)]
    if (
        any(is_lazy(part) or type(part) is bool for part in parts)
        or len(arrays) > 1
        or any(a.ndim != 1 or a.dtype.kind not in "iu" or not a.size for a in arrays)
    ):
        raise TypeError(
            "x[index] of a Dask array takes slices, numbers and one list of indices, not masks "
            f"(the shape of what they read is not known before it is); {_BY_MASKS}"
        )


def _holds_lazy(index):
    return any(map(is_lazy, index if type(index) is tuple else (index,)))


def _slices(index, shape):
    """A basic index as slices alone: what it reads keeps every axis of `shape`, and has no more."""
    parts = [part for part in (index if type(index) is tuple else (index,)) if part is not None]
    rest = [slice(None)] * (len(shape) - sum(part is not Ellipsis for part in parts))
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts[at : at + 1] = rest
    return tuple(p if isinstance(p, slice) else slice(p, p + 1 or None) for p in parts)


def _width(dtype):
    return dtype.itemsize


scatter = linear(
    _scatter,
    lambda wanted, g, y, *gs, indices, shape: [getitem(g, index=indices[i]) for i in wanted],
    variadic=True,
    reads=frozenset(),
    holds=("indices",),
    batch=_scatter_batch,
    cost=working(lambda y, *gs, **_: Counts(additions=sum(map(size, gs)))),
    name="scatter",
    doc="Zeros of a shape with each array added at its index: the transpose of reading elements.",
)
lazily(scatter, _scatter_lazily)


def _setitem(x, v, index):
    out = x.copy() if hasattr(x, "copy") else np.array(x)
    out = np.array(out) if isinstance(out, np.generic) else out
    out[index] = v
    return out


def _setitem_pull(g, y, x, v, index):
    if kind_of(index) == "b" and not np.ndim(v):  # also where it differs between examples
        return np.where(_over_all_axes(index, g), g, 0.0)
    g = getitem(g, index=index)
    if is_basic(index):
        return g
    # of elements assigned more than once, the last assignment counts
    count = np.cumsum(np.ones_like(g, dtype=int)).reshape(g.shape)
    winner = setitem(np.zeros_like(g, shape=y.shape, dtype=int), count, index=index)
    return g * (getitem(winner, index=index) == count)


setitem = linear(
    _setitem,
    (lambda g, y, x, v, index: setitem(g, 0.0, index=index), _setitem_pull),
    holds=("index",),
    batch=_setitem_batch,
    cost=moved,
    name="setitem",
    doc="A copy of x with ``x[index] = v``.",
)
lazily(setitem, _written_lazily)

pick = linear(
    lambda x, index: x[index],
    lambda g, y, x, index: Indexed(g, index),
    cost=free,
    name="pick",
    doc="One of the arrays of an operation whose value is a tuple of arrays.",
)


def gather_cotangents(parts, value):
    """Add up what arrived for one value: dense cotangents and `Indexed` ones.

    For a tuple value the result is a list, zeros where nothing arrived.
    """
    if isinstance(value, (tuple, list)):
        total = [None] * len(value)
        for part in parts:
            i = part.index
            total[i] = part.g if total[i] is None else total[i] + part.g
        return [np.zeros_like(v) if c is None else c for c, v in zip(total, value, strict=True)]
    indexed = [part for part in parts if type(part) is Indexed]
    options = {"indices": tuple(part.index for part in indexed), "shape": np.shape(value)}
    total = scatter.apply([part.g for part in indexed], options)
    for part in parts:
        if type(part) is not Indexed:
            total = total + part
    return total
