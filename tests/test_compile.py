"""Compiled functions: they compute what the function does, whatever is done with their results."""

import warnings

import numpy as np

from autograd import Tensor, value_and_grad
from autograd.program import compile
from autograd.tree import flatten

from .test_operations import DIFFERENTIABLE, each
from .test_source import combined


def arrays(result):
    """The leaves of a result as plain arrays."""
    return [np.asarray(x.data if isinstance(x, Tensor) else x) for x in flatten(result)[0]]


def same(found, expected, rtol=0.0):
    for a, b in zip(arrays(found), arrays(expected), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(a, b)


@each(DIFFERENTIABLE)
def test_samples(sample):
    """Value and gradient to the bit, the second time too, and on other values of the same kind."""
    f, xs = combined(sample), sample.inputs()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = f(*map(Tensor, xs))
        if not isinstance(value, Tensor) or not value.requires_grad:
            return
        eager = value_and_grad(f, argnums=tuple(range(len(xs))))
        fast = compile(eager)
        first = fast(*xs)
        if "uniform" in fast.source or "bernoulli" in fast.source or "normal" in fast.source:
            return  # draws anew
        expected = eager(*xs)
        same(first, expected)
        kept = [a.copy() for a in arrays(first)]
        fast(*[x * 0.5 for x in xs])
        same(fast(*xs), expected)
        same(first, kept)  # results are not overwritten by the next call
