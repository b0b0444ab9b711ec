"""Reading and writing parts of arrays: `x[i]`, `x[i] = v`, and the parts of tuple results."""

import operator

import numpy as np

from ..families import linear
from ..primitive import Indexed


def _getitem(x, index):
    # a Python float has no elements, but float[()] and float[None] are fine in NumPy
    return (x if hasattr(x, "shape") else np.float64(x))[index]


getitem = linear(
    operator.getitem,
    lambda g, y, x, index: Indexed(g, index),
    forward=_getitem,
    doc="``x[index]`` for every kind of NumPy index.",
)


def is_basic(index):
    """Whether an index is made of integers, slices, None and Ellipsis only: a view, no repeats."""
    parts = index if type(index) is tuple else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, slice, np.integer)) for i in parts)


def kept(index):
    """An index as a node keeps it: its arrays copied, for their owner may write into them."""
    if isinstance(index, (tuple, list)):
        return type(index)(map(kept, index))
    return index.copy() if isinstance(index, np.ndarray) else index


def _scatter(*gs, indices, shape):
    dtype = max((np.asarray(g).dtype if type(g) is float else g.dtype for g in gs), key=_width)
    out = np.zeros_like(gs[0], shape=shape, dtype=dtype)
    for g, index in zip(gs, indices, strict=True):
        if is_basic(index):
            out[index] += g
        else:
            np.add.at(out, index, g)
    return out


def _width(dtype):
    return dtype.itemsize


scatter = linear(
    _scatter,
    lambda wanted, g, y, *gs, indices, shape: [g[indices[i]] for i in wanted],
    variadic=True,
    reads=frozenset(),
    name="scatter",
    doc="Zeros of a shape with each array added at its index: the transpose of reading elements.",
)


def _setitem(x, v, index):
    out = x.copy() if hasattr(x, "copy") else np.array(x)
    out = np.array(out) if isinstance(out, np.generic) else out
    out[index] = v
    return out


def _setitem_pull(g, y, x, v, index):
    g = getitem(g, index=index)
    if is_basic(index):
        return g
    # of elements assigned more than once, the last assignment counts
    count = np.cumsum(np.ones_like(g, dtype=int)).reshape(g.shape)
    winner = np.zeros_like(g, shape=y.shape, dtype=int)
    winner[index] = count
    return g * (winner[index] == count)


setitem = linear(
    _setitem,
    (lambda g, y, x, v, index: setitem(g, 0.0, index=index), _setitem_pull),
    name="setitem",
    doc="A copy of x with ``x[index] = v``.",
)

pick = linear(
    lambda x, index: x[index],
    lambda g, y, x, index: Indexed(g, index),
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
