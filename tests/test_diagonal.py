"""The unit vectors that sweep out a Jacobian: a diagonal matrix kept as its entries."""

import numpy as np
import pytest

from autograd import grad, jacobian
from autograd.diagonal import Diagonal

RNG = np.random.default_rng(11)
X = RNG.uniform(0.5, 2.0, 7)
W = RNG.standard_normal((7, 7))
C = RNG.standard_normal(7)

# functions of a vector and their Jacobians, in closed form
FUNCTIONS = {
    "itself": (lambda x: x, lambda x: np.eye(7)),
    "scaled": (lambda x: 3.0 * x / C, lambda x: np.diag(3 / C)),
    "negative": (lambda x: C - x, lambda x: -np.eye(7)),
    "elementwise": (lambda x: np.sin(x) * C, lambda x: np.diag(np.cos(x) * C)),
    "product": (lambda x: W @ x, lambda x: W),
    "from the left": (lambda x: x @ W, lambda x: W.T),
    "a layer": (lambda x: np.tanh(W @ x + C), lambda x: (1 - np.tanh(W @ x + C) ** 2)[:, None] * W),
    "scaled rows": (lambda x: W @ (x * x), lambda x: W * (2 * x)),
    "a sum": (lambda x: np.sum(x * C), lambda x: C),
    "twice": (lambda x: x * x[::-1], lambda x: np.diag(x[::-1]) + np.diag(x)[:, ::-1]),
    "reshaped": (lambda x: x[:, None] * C, lambda x: np.eye(7)[:, None] * C[:, None]),
}  # fmt: skip


@pytest.mark.parametrize("chunk_size", [None, 1, 3, 100])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobians_in_closed_form(name, mode, chunk_size):
    f, expected = FUNCTIONS[name]
    found = jacobian(f, mode=mode, chunk_size=chunk_size)(X)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_an_infinite_slope_stays_in_its_element(mode):
    with np.errstate(divide="ignore"):
        found = jacobian(np.sqrt, mode=mode)(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(found, [[np.inf, 0], [0, 0.25]])


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_result_shares_no_memory_with_the_matrix(mode):
    assert not np.shares_memory(jacobian(lambda x: W @ x, mode=mode)(X), W)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_float32_stays_float32(mode):
    w, x = W.astype(np.float32), X.astype(np.float32)
    assert jacobian(lambda x: np.tanh(w @ x), mode=mode)(x).dtype == np.float32


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_jacobian_can_be_differentiated(mode):
    total = grad(lambda x: np.sum(jacobian(lambda y: W @ (x * y**3), mode=mode)(x)))
    np.testing.assert_allclose(total(X), 9 * X**2 * np.sum(W, 0), rtol=1e-12)


def rows():
    return Diagonal(np.array([2.0, 3.0]), 1, 4, level=10**9)


DENSE = np.array([[0, 2.0, 0, 0], [0, 0, 3.0, 0]])
ROW = np.array([5.0, 6.0, 7.0, 8.0])


@pytest.mark.parametrize(
    "f",
    [
        lambda d: d * ROW, lambda d: d / ROW, lambda d: d * ROW[None], lambda d: d * 2.0,
        lambda d: -d,
    ],
)  # fmt: skip
def test_scaled_it_stays_diagonal(f):
    found = f(rows())
    assert type(found) is Diagonal
    np.testing.assert_array_equal(found.inside, f(DENSE))


@pytest.mark.parametrize(
    "f",
    [
        lambda d: d + ROW, lambda d: d * DENSE, lambda d: d * ROW[:2, None], lambda d: ROW * d,
        lambda d: 2.0 / (d + 1.0), lambda d: d @ ROW, lambda d: d @ np.diag(ROW), lambda d: d * d,
        lambda d: np.sum(d, 1), lambda d: d[1:], lambda d: d.T, np.exp, np.shape, lambda d: d > 0,
    ],
)  # fmt: skip
def test_everything_else_gives_plain_arrays(f):
    found = f(rows())
    assert not isinstance(found, Diagonal)
    np.testing.assert_array_equal(found, f(DENSE))
