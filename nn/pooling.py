"""Pooling: the maximum or the mean of each window (lecture A), and averages of whole maps.

Shapes: x (N, C, *size), y (N, C, *out): N examples, C channels.  A window's k-th element, of all
windows at once, is a slice of x: pooling goes through the slices, in whatever order memory holds
the axes.
"""

import math
from functools import reduce

import numpy as np

from autograd import Counts, general, linear
from autograd.batching import size_of
from autograd.costs import size, working
from autograd.payload import numeric, real
from autograd.primitive import telling

from .convolution import (
    batched,
    interior,
    merge,
    offsets,
    out_size,
    padded_size,
    per_axis,
    positions,
    split,
)  # fmt: skip
from .module import Module

# --- slices ---------------------------------------------------------------------------------------


def _padded(x, padding, fill):
    """x with `fill` around; x itself where there is no padding."""
    if not any(map(any, padding)):
        return x
    sizes = x.shape[2:]
    board = np.full_like(x, fill, shape=(*x.shape[:2], *padded_size(sizes, padding)))
    board[(..., *interior(sizes, padding))] = x
    return board


def _read(x, kernel, stride, padding, dilation, fill=0):
    """The slices of x, one for each element of the windows."""
    out = out_size(x.shape[2:], kernel, stride, padding, dilation)
    x = _padded(x, padding, fill)
    return [x[(..., *slices)] for slices in offsets(kernel, stride, dilation, out)]


def _written(parts, like, sizes, kernel, stride, padding, dilation):
    """The transpose of `_read`: the parts, shaped as `like`, added where slices were read."""
    board = np.zeros_like(like, shape=(*like.shape[:2], *padded_size(sizes, padding)))
    for part, slices in zip(parts, offsets(kernel, stride, dilation, like.shape[2:]), strict=True):
        board[(..., *slices)] += part
    return board[(..., *interior(sizes, padding))]


def _batch(operation, args, mapped, options):
    """More examples."""
    count = size_of(args, mapped)
    args = [merge(a, m, count, 0) for a, m in zip(args, mapped, strict=True)]
    return split(operation.apply(args, options), count, 0)


def _counted(**each):
    """A cost: of each class so many operations for each element of each window."""

    def count(result, *args, kernel, **_):
        windows = min(map(size, (result, *args)))  # x has more elements, or is no smaller
        return Counts(**{name: n * windows * math.prod(kernel) for name, n in each.items()})

    return working(count)


# --- sums of windows ------------------------------------------------------------------------------

window_sum = linear(
    lambda x, **geometry: reduce(np.add, _read(x, **geometry)),
    lambda g, y, x, **geometry: window_spread.apply((g,), {"sizes": x.shape[2:], **geometry}),
    batch=_batch,
    cost=_counted(additions=1),
    name="window_sum",
    doc="The sum of each window of x.",
)

window_spread = linear(
    lambda y, sizes, kernel, **geometry: _written(
        [y] * math.prod(kernel), y, sizes, kernel, **geometry
    ),
    lambda g, x, y, sizes, **geometry: window_sum.apply((g,), geometry),
    batch=_batch,
    cost=_counted(additions=1),
    name="window_spread",
    doc="Each number added to all elements of its window: the transpose of `window_sum`.",
)

# --- maxima ---------------------------------------------------------------------------------------


def _shares(x, y, geometry):
    """Where each element of the windows is the largest, and the largest one's part of 1."""
    largest = [part == y for part in _read(x, fill=-np.inf, **geometry)]
    return largest, 1 / reduce(np.add, largest, np.zeros_like(y))


def _collected(t, x, y, **geometry):
    largest, share = _shares(x, y, geometry)
    parts = _read(t, **geometry)
    return reduce(np.add, map(np.multiply, parts, largest)) * share


def _shared(g, x, y, **geometry):
    largest, share = _shares(x, y, geometry)
    g = g * share
    return _written([g * mask for mask in largest], g, x.shape[2:], **geometry)


window_max = general(
    lambda x, **geometry: reduce(np.maximum, _read(x, fill=-np.inf, **geometry)),
    lambda g, y, x, **geometry: max_shared.apply((g, x, y), geometry),
    lambda g, y, x, **geometry: max_collected.apply((g, x, y), geometry),
    batch=_batch,
    cost=_counted(comparisons=1),
    kinks="elements that tie share equally",
    at_kink=lambda y, x, **geometry: _shares(x, y, geometry)[1] < 1,
    name="window_max",
    doc="The largest element of each window of x.",
)

max_shared = general(
    _shared,
    (lambda g, z, c, x, y, **geometry: max_collected.apply((g, x, y), geometry), None, None),
    (lambda g, z, c, x, y, **geometry: max_shared.apply((g, x, y), geometry), None, None),
    batch=_batch,
    cost=_counted(comparisons=1, multiplications=1, additions=2),
    name="max_shared",
    doc="Each window's cotangent shared among those elements of x that are its largest, y.",
)

max_collected = general(
    _collected,
    (lambda g, z, t, x, y, **geometry: max_shared.apply((g, x, y), geometry), None, None),
    (lambda g, z, t, x, y, **geometry: max_collected.apply((g, x, y), geometry), None, None),
    batch=_batch,
    cost=_counted(comparisons=1, multiplications=1, additions=2),
    name="max_collected",
    doc="The mean of t over those elements of x that are their window's largest, y.",
)


# --- as functions ---------------------------------------------------------------------------------


def _pooled(what, axes, operation, x, kernel_size, stride, padding, dilation=1):
    """The operation on each window of x, and how many elements a window has."""
    kernel = per_axis(what, "kernel_size", kernel_size, axes)
    stride = kernel if stride is None else per_axis(what, "stride", stride, axes)
    dilation = per_axis(what, "dilation", dilation, axes)
    padding = per_axis(what, "padding", padding, axes, least=0)
    _check_padding(what, padding, kernel)
    pairs = tuple((p, p) for p in padding)
    x, single = batched(what, x, axes, None)
    x = x if x.dtype.kind == "f" else x.astype(float)  # integers have no -inf for the padding
    positions(what, x.shape[2:], kernel, stride, pairs, dilation)
    options = {"kernel": kernel, "stride": stride, "padding": pairs, "dilation": dilation}
    y = operation.apply((x,), options)
    return y[0] if single else y


def _check_padding(what, padding, kernel):
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{what}: padding is at most half the kernel, got {padding} for {kernel}")


@telling
def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1):
    """The largest element of each window: (N, C, L) or (C, L) to (N, C, positions).

    stride      from window to window; kernel_size if None
    padding     positions added on both sides, which are never the largest

    Where several elements are largest they share the derivative equally, as those of np.max do
    (PyTorch gives all of it to one).  Raises ValueError for shapes that do not fit.

    >>> max_pool1d(np.array([[1.0, 5.0, 2.0, 3.0, 9.0]]), 2)
    array([[5., 3.]])
    """
    return _pooled("max_pool1d", 1, window_max, x, kernel_size, stride, padding, dilation)


@telling
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    """The largest element of each window of (N, C, H, W) or (C, H, W): see `max_pool1d`."""
    return _pooled("max_pool2d", 2, window_max, x, kernel_size, stride, padding, dilation)


@telling
def avg_pool1d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, padding counted as zeros: (N, C, L) or (C, L); see `max_pool1d`.

    >>> avg_pool1d(np.array([[1.0, 5.0, 2.0, 3.0, 9.0]]), 2)
    array([[3. , 2.5]])
    """
    total = _pooled("avg_pool1d", 1, window_sum, x, kernel_size, stride, padding)
    return total * (1 / math.prod(per_axis("avg_pool1d", "kernel_size", kernel_size, 1)))


@telling
def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window of (N, C, H, W) or (C, H, W): see `avg_pool1d`."""
    total = _pooled("avg_pool2d", 2, window_sum, x, kernel_size, stride, padding)
    return total * (1 / math.prod(per_axis("avg_pool2d", "kernel_size", kernel_size, 2)))


# --- as modules -----------------------------------------------------------------------------------


class _Pool(Module):
    axes, function = None, None  # how many axes a window has; what is done

    def __init__(self, kernel_size, stride=None, padding=0):
        what = type(self).__name__
        self.kernel_size = per_axis(what, "kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size
        if stride is not None:
            self.stride = per_axis(what, "stride", stride, self.axes)
        self.padding = per_axis(what, "padding", padding, self.axes, least=0)
        _check_padding(what, self.padding, self.kernel_size)

    def forward(self, x):
        """Raises ValueError for x of other shapes, or smaller than the window."""
        return type(self).function(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self):
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1):
        super().__init__(kernel_size, stride, padding)
        self.dilation = per_axis(type(self).__name__, "dilation", dilation, self.axes)

    def forward(self, x):
        """Raises ValueError for x of other shapes, or smaller than the window."""
        settings = self.kernel_size, self.stride, self.padding, self.dilation
        return type(self).function(x, *settings)

    def extra_repr(self):
        """Sizes."""
        return f"{super().extra_repr()}, dilation={self.dilation}"


class MaxPool1d(_MaxPool):
    """The largest element of each window of a signal (N, C, L): see `max_pool1d`."""

    axes, function = 1, max_pool1d


class MaxPool2d(_MaxPool):
    """The largest element of each window of images (N, C, H, W): see `max_pool1d`."""

    axes, function = 2, max_pool2d


class AvgPool1d(_Pool):
    """The mean of each window of a signal (N, C, L): see `avg_pool1d`."""

    axes, function = 1, avg_pool1d


class AvgPool2d(_Pool):
    """The mean of each window of images (N, C, H, W): see `avg_pool1d`."""

    axes, function = 2, avg_pool2d


class GlobalAvgPool(Module):
    """The mean of each channel over all positions: (N, C, *size) to (N, C).

    PyTorch's AdaptiveAvgPool1d(1) or AdaptiveAvgPool2d(1), and flattened.
    """

    def forward(self, x):
        """Raises ValueError for x without positions."""
        x = real("GlobalAvgPool", x)
        shape = np.shape(x)
        if len(shape) < 3 or 0 in shape[2:]:
            raise ValueError(f"GlobalAvgPool: x of shape (N, C, *size) wanted, got {shape}")
        return np.mean(x, axis=tuple(range(2, len(shape))))


class Flatten(Module):
    """All axes from `start_dim` to `end_dim` as one: by default (N, ...) to (N, rest).

    What comes out of a convolution is flattened channel by channel, as in PyTorch.
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        """Raises ValueError where x has no such axes."""
        x = numeric("Flatten", x)
        shape = np.shape(x)
        first, last = (d + len(shape) if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < len(shape):
            raise ValueError(
                f"Flatten({self.start_dim}, {self.end_dim}): x with these axes wanted, got "
                f"shape {shape}"
            )
        middle = math.prod(shape[first : last + 1])
        return np.reshape(x, (*shape[:first], middle, *shape[last + 1 :]))

    def extra_repr(self):
        """The axes."""
        return f"{self.start_dim}, {self.end_dim}"
