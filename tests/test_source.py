"""The source of functions and of their derivatives, run: it computes what the engine does."""

import warnings

import numpy as np

from autograd import Tensor, grad
from autograd.program import source
from autograd.tree import flatten

from .test_operations import DIFFERENTIABLE, each, outputs, weights


def combined(sample):
    """The results of a sample's call as one number."""

    def f(*xs):
        return sum(
            np.sum(y * weights(np.shape(y), 7 + k))
            for k, y in enumerate(outputs(sample.call([*xs])))
        )

    return f


def same(found, expected):
    """To the bit, and in the same structure."""
    found, expected = flatten(found)[0], flatten(expected)[0]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        b = b.data if isinstance(b, Tensor) else b
        assert np.shape(a) == np.shape(b)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        assert np.asarray(a).dtype == np.asarray(b).dtype


@each(DIFFERENTIABLE)
def test_samples(sample):
    f, xs = combined(sample), sample.inputs()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = f(*map(Tensor, xs))
        if not isinstance(value, Tensor) or not value.requires_grad:
            return
        text = source(f, *xs)
        if "generator" in text:
            return  # draws anew: see below
        same(text.function()(*xs), value)
        text = source(f, *xs, of="gradient")
        slopes = grad(f, argnums=tuple(range(len(xs))))(*xs)
        same(text.function()(*xs), slopes if len(xs) > 1 else slopes[0])
