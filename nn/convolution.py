"""Convolution: weights tied over all positions of a signal or image (lecture A), as one product.

The windows of x under the kernel are gathered into a matrix, one column a position, and multiplied
by the weights (im2col).  The convolution y of x and weight is linear in each, and so are its two
derivatives, which with it are the three slopes of one trilinear form: each one's pulls are the
other two, to any order.

Shapes: x (N, C, *size), weight (O, C/groups, *kernel), y (N, O, *out): N examples, C channels, O
filters, one number an axis in size, kernel and out.
"""

import itertools
import math

import numpy as np

from autograd import Counts, bilinear
from autograd.batching import everywhere, size_of
from autograd.costs import size, working
from autograd.payload import real
from autograd.primitive import telling
from autograd.rules.random import generator_or_default

from .checks import MOST, check_dtype, check_flag, check_positive
from .module import Module, Parameter

# --- geometry -------------------------------------------------------------------------------------


def out_size(size, kernel, stride, padding, dilation):
    """The positions a kernel takes on each axis."""
    return tuple(
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def padded_size(size, padding):
    """The size of x with its padding."""
    return tuple(lo + n + hi for n, (lo, hi) in zip(size, padding, strict=True))


def offsets(kernel, stride, dilation, out):
    """For each element of the kernel, the slices of x that it meets."""
    axes = [
        [slice(i * d, i * d + (n - 1) * s + 1, s) for i in range(k)]
        for k, s, d, n in zip(kernel, stride, dilation, out, strict=True)
    ]
    return itertools.product(*axes)


def interior(size, padding):
    """The slices of a padded array where the array is."""
    return [slice(lo, lo + n) for n, (lo, _) in zip(size, padding, strict=True)]


# --- the windows as columns -----------------------------------------------------------------------

_BLOCK = 1 << 21  # bytes of windows gathered at a time: about what a core's cache holds


class _Windows:
    """How the windows of x (N, C, *sizes) under a kernel are the columns of matrices.

    In memory channels come first and the longest rows last: where there are many examples that is
    (C, *sizes, N), so that a window is read in long rows.  Results keep this order under the
    shape (N, C, *sizes), and so does what goes through an elementwise function: the next
    convolution finds it.
    """

    def __init__(self, n, channels, sizes, kernel, stride, padding, dilation, groups):
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.channels, self.groups = channels, groups
        self.out = out_size(sizes, kernel, stride, padding, dilation)
        self.last = n >= self.out[-1]  # whether the examples are the last axis
        axes = range(2, len(sizes) + 2)
        self.order = (1, *axes, 0) if self.last else (1, 0, *axes)
        self.back = sorted(range(len(sizes) + 2), key=self.order.__getitem__)
        self.board = (channels, *self._with(n, padded_size(sizes, padding)))
        self.inside = self._at(interior(sizes, padding))
        self.rest = self._with(n, self.out)
        self.height = channels // groups * math.prod(kernel)

    def _with(self, n, sizes):
        return (*sizes, n) if self.last else (n, *sizes)

    def _at(self, slices):
        return (slice(None), *slices) if self.last else (slice(None), slice(None), *slices)

    def blocks(self, board, dtype):
        """``(columns, slices, space)`` for as many columns as a product takes at a time.

        columns   their numbers, as a slice
        slices    of the board, padded and in this order, one for each element of the kernel
        space     an empty array for them, (channels, elements of the kernel, ...)
        """
        width = math.prod(self.rest[1:])
        step = max(1, _BLOCK // max(1, self.groups * self.height * width * dtype.itemsize))
        for start in range(0, self.rest[0], step):
            stop = min(start + step, self.rest[0])
            if self.last:
                part, out = board[:, start * self.stride[0] :], (stop - start, *self.out[1:])
            else:
                part, out = board[:, start:stop], self.out
            at = offsets(self.kernel, self.stride, self.dilation, out)
            slices = [part[self._at(s)] for s in at]
            shape = (self.channels, len(slices), *slices[0].shape[1:])
            space = np.empty_like(board, shape=shape, dtype=dtype, order="C")
            yield slice(start * width, stop * width), slices, space

    def gathered(self, x):
        """``(columns, matrices)``: for each group the windows, as the columns so numbered."""
        board = np.zeros_like(x, shape=self.board, order="C")
        board[self.inside] = np.transpose(x, self.order)
        for columns, slices, space in self.blocks(board, x.dtype):
            for k, part in enumerate(slices):
                space[:, k] = part
            yield columns, self.matrices(space, self.height)

    def scattered(self, weight, rows):
        """The columns ``weight @ rows``, added where `gathered` would read them: (N, C, *sizes)."""
        dtype = np.result_type(weight.dtype, rows.dtype)
        board = np.zeros_like(rows, shape=self.board, dtype=dtype, order="C")
        for columns, slices, space in self.blocks(board, dtype):
            np.matmul(weight, rows[..., columns], out=self.matrices(space, self.height))
            for k, part in enumerate(slices):
                np.add(part, space[:, k], out=part)
        return np.transpose(board[self.inside], self.back)

    def matrices(self, a, height):
        """An array as one matrix of this height for each group."""
        return a.reshape((self.groups, height, math.prod(a.shape) // max(1, self.groups * height)))

    def filters(self, weight):
        """The weights as matrices."""
        return weight.reshape((self.groups, weight.shape[0] // self.groups, self.height))

    def outputs(self, y):
        """y (N, O, *out) as matrices, a column for each position."""
        return self.matrices(np.transpose(y, self.order), y.shape[1] // self.groups)


# --- convolution and its two derivatives ----------------------------------------------------------


def _conv(x, weight, groups, **geometry):
    n, channels, *sizes = x.shape
    w = _Windows(n, channels, sizes, weight.shape[2:], groups=groups, **geometry)
    dtype = np.result_type(x.dtype, weight.dtype)
    y = np.empty_like(x, shape=(weight.shape[0], *w.rest), dtype=dtype, order="C")
    rows, filters = w.matrices(y, weight.shape[0] // groups), w.filters(weight)
    for columns, windows in w.gathered(x):
        np.matmul(filters, windows, out=rows[..., columns])
    return np.transpose(y, w.back)


def _conv_input(y, weight, sizes, groups, **geometry):
    channels = weight.shape[1] * groups
    w = _Windows(y.shape[0], channels, sizes, weight.shape[2:], groups=groups, **geometry)
    return w.scattered(np.swapaxes(w.filters(weight), 1, 2), w.outputs(y))


def _conv_weight(x, y, kernel, groups, **geometry):
    n, channels, *sizes = x.shape
    w = _Windows(n, channels, sizes, kernel, groups=groups, **geometry)
    rows, dtype = w.outputs(y), np.result_type(x.dtype, y.dtype)
    shape = (groups, y.shape[1] // groups, w.height)
    total = np.zeros_like(x, shape=shape, dtype=dtype, order="C")
    for columns, windows in w.gathered(x):
        total += rows[..., columns] @ np.swapaxes(windows, 1, 2)
    return total.reshape((y.shape[1], channels // groups, *kernel))


def merge(a, mapped, size, axis):
    """All examples' arrays as one, (size, ...): the mapped axis goes into `axis` of an example."""
    a = np.moveaxis(everywhere(a, mapped, size), 0, axis)
    shape = a.shape
    return a.reshape((*shape[:axis], size * shape[axis + 1], *shape[axis + 2 :]))


def split(a, size, axis):
    """The inverse of `merge`."""
    shape = a.shape
    a = a.reshape((*shape[:axis], size, shape[axis] // size, *shape[axis + 1 :]))
    return np.moveaxis(a, axis, 0)


def _conv_batch(weight_at):
    """One call for all: more examples where the weights are the same, else more groups.

    weight_at   which argument is the weight; 2 for the result
    """

    def rule(operation, args, mapped, options):
        examples = size_of(args, mapped)
        if not examples:
            one = [
                np.zeros_like(a, shape=a.shape[1:]) if m else a
                for a, m in zip(args, mapped, strict=True)
            ]
            return np.stack([operation.apply(one, options)])[:0]
        if weight_at < 2 and not mapped[weight_at]:
            merged = list(args)
            merged[1 - weight_at] = merge(args[1 - weight_at], True, examples, 0)
            return split(operation.apply(merged, options), examples, 0)
        merged = [
            merge(a, m, examples, 0 if i == weight_at else 1)
            for i, (a, m) in enumerate(zip(args, mapped, strict=True))
        ]
        options = options | {"groups": options["groups"] * examples}
        return split(operation.apply(merged, options), examples, 0 if weight_at == 2 else 1)

    return rule


def _products(count):
    """The cost of a product of matrices with so many multiplications and additions."""
    return working(lambda *args, **options: Counts(gemm=2 * count(*args, **options)))


def _fan_in(shape):
    return math.prod(shape[1:])


conv = bilinear(
    _conv,
    lambda g, y, x, weight, **geometry: conv_input.apply(
        (g, weight), {"sizes": x.shape[2:], **geometry}
    ),
    lambda g, y, x, weight, **geometry: conv_weight.apply(
        (x, g), {"kernel": weight.shape[2:], **geometry}
    ),
    batch=_conv_batch(1),
    cost=_products(lambda y, x, weight, **_: size(y) * _fan_in(weight.shape)),
    name="conv",
    doc="Convolution (cross-correlation, as in PyTorch) of x (N, C, *size) and weight.",
)

conv_input = bilinear(
    _conv_input,
    lambda g, x, y, weight, sizes, **geometry: conv.apply((g, weight), geometry),
    lambda g, x, y, weight, sizes, **geometry: conv_weight.apply(
        (g, y), {"kernel": weight.shape[2:], **geometry}
    ),
    batch=_conv_batch(1),
    cost=working(
        lambda x, y, weight, groups, **_: Counts(
            gemm=2 * size(y) * _fan_in(weight.shape),
            additions=size(y) // weight.shape[0] * groups * _fan_in(weight.shape),
        )
    ),
    name="conv_input",
    doc="The derivative of `conv` by x, transposed: y (N, O, *out) to (N, C, *sizes).",
)

conv_weight = bilinear(
    _conv_weight,
    lambda g, weight, x, y, kernel, **geometry: conv_input.apply(
        (y, g), {"sizes": x.shape[2:], **geometry}
    ),
    lambda g, weight, x, y, kernel, **geometry: conv.apply((x, g), geometry),
    batch=_conv_batch(2),
    cost=_products(lambda weight, x, y, **_: size(y) * _fan_in(weight.shape)),
    name="conv_weight",
    doc="The derivative of `conv` by weight, transposed: (O, C/groups, *kernel).",
)


# --- as functions ---------------------------------------------------------------------------------


def per_axis(what, name, value, axes, least=1):
    """An integer, or one for each axis, as a tuple of `axes` of them; ValueError for others."""
    values = (value,) * axes if isinstance(value, (int, np.integer)) else value
    fits = isinstance(values, (tuple, list)) and len(values) == axes
    if not fits or not all(isinstance(v, (int, np.integer)) and least <= v < MOST for v in values):
        kind = "a positive integer" if least else "an integer >= 0"
        several = f" or {axes} of them" if axes > 1 else ""
        raise ValueError(f"{what}: {name} is {kind}{several}, got {value!r}")
    return tuple(map(int, values))


def _padding_pairs(what, padding, axes, kernel, stride, dilation):
    """How many zeros come before and after, for each axis."""
    if isinstance(padding, str) and padding == "valid":
        return ((0, 0),) * axes
    if isinstance(padding, str) and padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f'{what}: padding="same" is for stride 1, got {stride}')
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        raise ValueError(f'{what}: padding is a number, "same" or "valid", got {padding!r}')
    return tuple((p, p) for p in per_axis(what, "padding", padding, axes, least=0))


def batched(what, x, axes, channels):
    """x as (N, C, *size), and whether it is a single example; ValueError for other shapes."""
    x = real(what, x)
    shape, names = tuple(np.shape(x)), ("L",) if axes == 1 else ("H", "W")
    if len(shape) not in (axes + 1, axes + 2) or channels not in (None, shape[-axes - 1]):
        wanted = ", ".join((str(channels or "C"), *names))
        raise ValueError(f"{what}: x of shape (N, {wanted}) or ({wanted}) wanted, got {shape}")
    return (x, False) if len(shape) == axes + 2 else (x[None], True)


def positions(what, size, kernel, stride, padding, dilation):
    """The positions the kernel takes on each axis; ValueError where it is larger than x."""
    out = out_size(size, kernel, stride, padding, dilation)
    if min(out) < 1:
        raise ValueError(
            f"{what}: the kernel {kernel} with dilation {dilation} reaches beyond x of size "
            f"{tuple(size)} padded by {padding}"
        )
    return out


def _convolved(what, axes, x, weight, bias, stride, padding, dilation, groups):
    """Convolution along `axes` axes; `what` is said in errors."""
    kernel = tuple(weight.shape[2:])
    stride = per_axis(what, "stride", stride, axes)
    dilation = per_axis(what, "dilation", dilation, axes)
    padding = _padding_pairs(what, padding, axes, kernel, stride, dilation)
    x, single = batched(what, x, axes, weight.shape[1] * groups)
    positions(what, x.shape[2:], kernel, stride, padding, dilation)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = conv.apply((x, weight), options)
    if bias is not None:
        y = y + bias.reshape((-1,) + (1,) * axes)
    return y[0] if single else y


def _function(what, axes, x, weight, bias, stride, padding, dilation, groups):
    x, weight = real(what, x), real(f"{what}, weight", weight)
    bias = bias if bias is None else real(f"{what}, bias", bias)
    shape = tuple(np.shape(weight))
    if len(shape) != axes + 2 or 0 in shape:
        raise ValueError(f"{what}: weight (O, C/groups, {axes} kernel sizes) wanted, got {shape}")
    check_positive(what, groups=groups)
    if shape[0] % groups:
        raise ValueError(f"{what}: {shape[0]} filters do not fall into {groups} groups")
    if bias is not None and tuple(np.shape(bias)) != shape[:1]:
        raise ValueError(f"{what}: bias of shape {shape[:1]} wanted, got {np.shape(bias)}")
    return _convolved(what, axes, x, weight, bias, stride, padding, dilation, groups)


@telling
def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide filters (O, C/groups, K) along x (N, C, L) or (C, L): (N, O, positions).

    y[n, o, i] = bias[o] + Σ x[n, c, i·stride + k·dilation - padding] · weight[o, c, k], the sum
    over the kernel and the channels of o's group: lecture A's shared weights, and what PyTorch
    calls convolution (the kernel is not turned round).

    padding     zeros on both sides; "valid" for none, "same" for as many positions as x has
    groups      into which channels and filters are divided, each filter seeing its own only

    Raises ValueError for shapes that do not fit.

    >>> conv1d(np.array([[1.0, 2.0, 4.0, 7.0]]), np.array([[[-1.0, 1.0]]]))
    array([[1., 2., 3.]])
    """
    return _function("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


@telling
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide filters (O, C/groups, KH, KW) over x (N, C, H, W) or (C, H, W): see `conv1d`.

    stride, padding and dilation are numbers, or pairs of them for (height, width).
    """
    return _function("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


# --- as modules -----------------------------------------------------------------------------------


class _Conv(Module):
    axes = None  # how many axes a kernel has

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, dtype=np.float32, generator=None,
    ):  # fmt: skip
        what, axes = type(self).__name__, self.axes
        check_positive(what, in_channels=in_channels, out_channels=out_channels, groups=groups)
        check_flag(what, bias=bias)
        dtype = check_dtype(what, dtype)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{what}: groups divides in_channels and out_channels, got {groups} for "
                f"{in_channels} and {out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(what, "kernel_size", kernel_size, axes)
        self.stride = per_axis(what, "stride", stride, axes)
        self.dilation = per_axis(what, "dilation", dilation, axes)
        self.padding = padding
        _padding_pairs(what, padding, axes, self.kernel_size, self.stride, self.dilation)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        generator = generator_or_default(generator)
        bound = 1 / math.sqrt(_fan_in(shape))
        self.weight = Parameter(generator.uniform(-bound, bound, shape).astype(dtype))
        self.bias = None
        if bias:
            self.bias = Parameter(generator.uniform(-bound, bound, out_channels).astype(dtype))

    def forward(self, x):
        """Raises ValueError for x of other shapes, or smaller than the kernel."""
        return _convolved(
            f"{type(self).__name__}({self.in_channels}, {self.out_channels})", self.axes, x,
            self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups,
        )  # fmt: skip

    def extra_repr(self):
        """Sizes, and what is not the default."""
        ones = (1,) * self.axes
        said = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        said += self._unusual(stride=ones, padding=0, dilation=ones, groups=1)
        return ", ".join(said + ["bias=False"] * (self.bias is None))


class Conv1d(_Conv):
    """Filters slid along a signal: (N, in_channels, L) to (N, out_channels, positions).

    weight (out_channels, in_channels/groups, K) and bias (out_channels,) start uniform in
    ±1/√fan_in, fan_in = in_channels/groups · K, as PyTorch's do.  Settings: see `conv1d`.
    """

    axes = 1


class Conv2d(_Conv):
    """Filters slid over images: (N, in_channels, H, W) to (N, out_channels, H', W').

    kernel_size, stride, padding and dilation are numbers, or pairs of them for (height, width);
    see `Conv1d`.
    """

    axes = 2
