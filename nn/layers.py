"""Layers: Linear, Embedding."""

import numpy as np

from autograd import stop_gradient
from autograd.payload import numeric, real
from autograd.primitive import plain
from autograd.rules.random import generator_or_default

from . import functional as F
from .checks import check_dtype, check_flag, check_number, check_positive
from .module import Module, Parameter


class Linear(Module):
    """``x @ weight.T + bias``: (..., in_features) to (..., out_features).

    weight (out_features, in_features) and bias (out_features,) start uniform in
    ±1/√in_features, as PyTorch's do.  Lecture D writes Wᵀx + W0: its W is our weight's transpose.
    """

    def __init__(self, in_features, out_features, bias=True, dtype=np.float32, generator=None):
        check_positive("Linear", in_features=in_features, out_features=out_features)
        check_flag("Linear", bias=bias)
        dtype = check_dtype("Linear", dtype)
        self.in_features, self.out_features = in_features, out_features
        generator = generator_or_default(generator)
        bound = 1 / np.sqrt(in_features)

        def uniform(*shape):
            return generator.uniform(-bound, bound, shape).astype(dtype)

        self.weight = Parameter(uniform(out_features, in_features))
        self.bias = Parameter(uniform(out_features)) if bias else None

    def forward(self, x):
        """Raises ValueError unless the last axis of x has in_features elements."""
        x = x if isinstance(x, tuple) else real("Linear", x)
        try:
            return F.linear(x, self.weight, self.bias)
        except (TypeError, ValueError) as error:  # say it in our terms
            if isinstance(x, tuple):
                raise TypeError(
                    f"{type(self).__name__}({self.in_features}, {self.out_features}): x is a tuple "
                    f"of {len(x)}; of a recurrent layer's (outputs, state) pass on the outputs"
                ) from error
            if isinstance(error, TypeError) or np.shape(x)[-1:] == (self.in_features,):
                raise  # x is not to blame for its shape
            raise ValueError(
                f"{type(self).__name__}({self.in_features}, {self.out_features}): the last axis of "
                f"x must have {self.in_features} elements, x has shape {np.shape(x)}"
            ) from error

    def extra_repr(self):
        """Sizes."""
        return f"{self.in_features}, {self.out_features}" + (", bias=False" * (self.bias is None))


class Embedding(Module):
    """A row of weights for each of `num_embeddings` things: integers (...) to (..., embedding_dim).

    weight (num_embeddings, embedding_dim) starts standard normal, as PyTorch's does.  The
    derivative by a row is the sum of the cotangents of all places where it is read.

    padding_idx   the number of a row that starts as zeros and gets no derivative
    """

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, dtype=np.float32, generator=None
    ):
        check_positive("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            check_number("Embedding", padding_idx=padding_idx)
            if not -num_embeddings <= padding_idx < num_embeddings or padding_idx % 1:
                raise ValueError(
                    f"Embedding: padding_idx is one of the {num_embeddings} rows, got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        shape = num_embeddings, embedding_dim
        dtype = check_dtype("Embedding", dtype)
        weight = generator_or_default(generator).standard_normal(shape).astype(dtype)
        if padding_idx is not None:
            weight[padding_idx] = 0
        self.weight = Parameter(weight)

    def forward(self, x):
        """Raises TypeError unless x is of integers, IndexError for one that is no row's number."""
        x = numeric("Embedding", x)
        numbers = plain(x)
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"Embedding: x is of integers, the rows' numbers; got {numbers.dtype}")
        outside = (numbers < 0) | (numbers >= self.num_embeddings)
        if np.any(outside):
            raise IndexError(
                f"Embedding: {numbers[outside].flat[0]} is not in 0..{self.num_embeddings - 1}"
            )
        rows = self.weight[x]
        if self.padding_idx is None:
            return rows
        padding = np.expand_dims(x == self.padding_idx, -1)
        return np.where(padding, stop_gradient(rows), rows)

    def extra_repr(self):
        """Sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
