"""Normalization: over the batch (BatchNorm1d, BatchNorm2d), and within an example (LayerNorm)."""

import numpy as np

from autograd.payload import real
from autograd.primitive import like

from . import functional as F
from .checks import (
    check_dtype,
    check_flag,
    check_not_negative,
    check_positive,
    check_probability,
)
from .module import Module, Parameter, buffer_value


class _BatchNorm(Module):
    shapes = {}  # number of axes of x -> what its shape is called

    def __init__(self, num_features, eps=1e-5, momentum=0.1, dtype=np.float32):
        what = type(self).__name__
        check_positive(what, num_features=num_features)
        check_not_negative(what, eps=eps)
        check_probability(what, momentum=momentum)
        dtype = check_dtype(what, dtype)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, dtype))
        self.bias = Parameter(np.zeros(num_features, dtype))
        self.register_buffer("running_mean", np.zeros(num_features, dtype))
        self.register_buffer("running_var", np.ones(num_features, dtype))

    def forward(self, x):
        """Raises ValueError for other shapes, and for one value a feature while training."""
        what = f"{type(self).__name__}({self.num_features})"
        x = real(what, x)
        shape = np.shape(x)
        if len(shape) not in self.shapes or shape[1] != self.num_features:
            wanted = " or ".join(s.format(self.num_features) for s in self.shapes.values())
            raise ValueError(f"{what}: x of shape {wanted} wanted, got {shape}")
        tail = (1,) * (len(shape) - 2)  # features stand on axis 1

        def column(a):
            return a.reshape(-1, *tail) if tail else a

        if not self.training:
            scale = self.weight / np.sqrt(self.running_var + self.eps)
            return (x - column(self.running_mean)) * column(scale) + column(self.bias)
        axes = (0, *range(2, len(shape)))
        count = int(np.prod([shape[axis] for axis in axes]))
        if count < 2:
            raise ValueError(
                f"{what}: while training it needs more than one value for each feature, x has "
                f"shape {shape}; use a larger batch, or .eval()"
            )
        y, mean, var = F.batch_norm(
            x, column(self.weight), column(self.bias), axes=axes, eps=self.eps
        )
        keep, rate = 1 - self.momentum, self.momentum
        for name, value, factor in (
            ("running_mean", mean, rate), ("running_var", var, rate * count / (count - 1)),
        ):  # fmt: skip
            old = getattr(self, name)
            new = keep * old + factor * buffer_value(name, value).reshape(-1)
            setattr(self, name, new.astype(old.dtype, copy=False))  # also where x is more precise
        return y

    def extra_repr(self):
        """Sizes and constants."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Normalize each feature over the batch (Ioffe & Szegedy 2015): (N, C) or (N, C, L).

    ``weight * (x - mean) / sqrt(var + eps) + bias``.  While training, mean and biased variance
    are the batch's, and the running statistics move towards them by `momentum` (the variance
    towards the unbiased one, m/(m-1) of the batch's); in evaluation the running ones are used.
    Lecture C's averages over all minibatches are `exact_statistics`.
    """

    shapes = {2: "(N, {})", 3: "(N, {}, L)"}


class BatchNorm2d(_BatchNorm):
    """Normalize each channel over the batch and all positions: (N, C, H, W); see `BatchNorm1d`.

    A filter's results at all positions are one unit's, with one mean and variance (lecture A).
    """

    shapes = {4: "(N, {}, H, W)"}


class LayerNorm(Module):
    """Normalize each example by itself, over its last axes (Ba, Kiros & Hinton 2016).

    ``weight * (x - mean) / sqrt(var + eps) + bias``, mean and biased variance over the axes that
    `normalized_shape`, a number or a tuple of them, describes; nothing differs in evaluation.
    """

    def __init__(
        self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, dtype=np.float32
    ):
        shape = normalized_shape
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if not shape:
            raise ValueError("LayerNorm: normalized_shape names at least one axis")
        for n in shape:
            check_positive("LayerNorm", normalized_shape=n)
        check_not_negative("LayerNorm", eps=eps)
        check_flag("LayerNorm", elementwise_affine=elementwise_affine, bias=bias)
        dtype = check_dtype("LayerNorm", dtype)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if elementwise_affine and bias else None

    def forward(self, x):
        """Raises ValueError unless the last axes of x have the normalized shape."""
        x = real("LayerNorm", x)
        axes = len(self.normalized_shape)
        if tuple(x.shape[-axes:]) != self.normalized_shape:
            raise ValueError(
                f"LayerNorm: x whose last axes have the sizes {self.normalized_shape} wanted, got "
                f"shape {tuple(x.shape)}"
            )
        place = like(x)
        one, zero = np.ones((), x.dtype, like=place), np.zeros((), x.dtype, like=place)
        y = F.batch_norm(x, one, zero, axes=tuple(range(-axes, 0)), eps=self.eps)[0]
        if self.weight is not None:
            y = y * self.weight
        return y if self.bias is None else y + self.bias

    def extra_repr(self):
        """Sizes and constants."""
        bare = ", elementwise_affine=False" if self.weight is None else ", bias=False"
        return f"{self.normalized_shape}, eps={self.eps}" + bare * (self.bias is None)
