"""Layers: Linear, activations, Dropout, BatchNorm1d, Sequential."""

import numpy as np

from autograd import relu
from autograd.rules.random import generator_or_default

from . import functional as F
from .module import Module, Parameter, buffer_value


def _positive(what, **sizes):
    for name, n in sizes.items():
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{what}: {name} is a positive integer, got {n!r}")


class Linear(Module):
    """``x @ weight.T + bias``: (..., in_features) to (..., out_features).

    weight (out_features, in_features) and bias (out_features,) start uniform in
    ±1/√in_features, as PyTorch's do.
    """

    def __init__(self, in_features, out_features, bias=True, dtype=np.float32, generator=None):
        _positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        generator = generator_or_default(generator)
        bound = 1 / np.sqrt(in_features)

        def uniform(*shape):
            return generator.uniform(-bound, bound, shape).astype(dtype)

        self.weight = Parameter(uniform(out_features, in_features))
        self.bias = Parameter(uniform(out_features)) if bias else None

    def forward(self, x):
        """Raises ValueError unless the last axis of x has in_features elements."""
        try:
            return F.linear(x, self.weight, self.bias)
        except ValueError as error:  # the product of the matrices fails: say it in our terms
            raise ValueError(
                f"Linear({self.in_features}, {self.out_features}): the last axis of x must have "
                f"{self.in_features} elements, x has shape {np.shape(x)}"
            ) from error

    def extra_repr(self):
        """Sizes."""
        return f"{self.in_features}, {self.out_features}" + (", bias=False" * (self.bias is None))


class ReLU(Module):
    """max(x, 0), elementwise; the derivative at 0 is 0."""

    def forward(self, x):
        """Any shape."""
        return relu(x)


class Tanh(Module):
    """tanh x, elementwise."""

    def forward(self, x):
        """Any shape."""
        return np.tanh(x)


class Dropout(Module):
    """While training, zero each element with probability p and divide the rest by 1 - p.

    p           probability of dropping, in [0, 1]
    generator   a numpy.random.Generator of its own; the default one if None
    """

    def __init__(self, p=0.5, generator=None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is the probability of dropping, in [0, 1]; got {p}")
        self.p, self.generator = p, generator

    def forward(self, x):
        """Any shape; x itself in evaluation."""
        return F.dropout(x, self.p, self.generator) if self.training else x

    def extra_repr(self):
        """The probability."""
        return f"p={self.p}"


class BatchNorm1d(Module):
    """Normalize each feature over the batch (Ioffe & Szegedy 2015): (N, C) or (N, C, L).

    ``weight * (x - mean) / sqrt(var + eps) + bias``.  While training, mean and biased variance
    are the batch's, and the running statistics move towards them by `momentum` (the variance
    towards the unbiased one, m/(m-1) of the batch's); in evaluation the running ones are used.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, dtype=np.float32):
        _positive("BatchNorm1d", num_features=num_features)
        if not eps >= 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchNorm1d: eps >= 0 and momentum in [0, 1] wanted, got {eps} and {momentum}"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, dtype))
        self.bias = Parameter(np.zeros(num_features, dtype))
        self.register_buffer("running_mean", np.zeros(num_features, dtype))
        self.register_buffer("running_var", np.ones(num_features, dtype))

    def forward(self, x):
        """Raises ValueError for other shapes, and for one value a feature while training."""
        shape = np.shape(x)
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm1d({self.num_features}): x of shape (N, {self.num_features}) or "
                f"(N, {self.num_features}, L) wanted, got {shape}"
            )
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
                f"BatchNorm1d({self.num_features}): while training it needs more than one value "
                f"for each feature, x has shape {shape}; use a larger batch, or .eval()"
            )
        y, mean, var = F.batch_norm(
            x, column(self.weight), column(self.bias), axes=axes, eps=self.eps
        )
        keep, rate = 1 - self.momentum, self.momentum
        mean = buffer_value("running_mean", mean).reshape(-1)
        var = buffer_value("running_var", var).reshape(-1)
        self.running_mean = keep * self.running_mean + rate * mean
        self.running_var = keep * self.running_var + (rate * count / (count - 1)) * var
        return y

    def extra_repr(self):
        """Sizes and constants."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class Sequential(Module):
    """Modules (or functions) applied one after the other."""

    def __init__(self, *layers):
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"Sequential: layer {i} is a {type(layer).__name__}; give modules or "
                    f"functions, one argument each"
                )
        self.layers = list(layers)

    def forward(self, x):
        """The last layer's result."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, i):
        return Sequential(*self.layers[i]) if isinstance(i, slice) else self.layers[i]
