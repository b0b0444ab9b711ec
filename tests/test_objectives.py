"""ADBench's objectives: against loops over single numbers, and densities as SciPy has them."""

import math

import numpy as np
import pytest
from scipy import stats

from autograd import check_gradients, value_and_grad
from autograd.program import compile
from benchmarks import objectives

GAMMA, M = 0.7, 2  # of the prior: where 1 and 0 would leave terms out


def mixture(k, d, n):
    rng = np.random.default_rng(1)
    shapes = (k,), (k, d), (k, d * (d + 1) // 2), (n, d)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def lstm(layers, b, c):
    rng = np.random.default_rng(2)
    main, extra = rng.standard_normal((layers, 2, 4, b)), rng.standard_normal((3, b))
    state = rng.standard_normal((layers, 2, b))
    return main, extra, state, rng.integers(0, 2, (c, b)).astype(float)


CASES = {
    "gmm": (objectives.gmm(np, GAMMA, M), mixture(3, 4, 5), 3),
    "gmm of one component and dimension": (objectives.gmm(np), mixture(1, 1, 2), 3),
    "lstm": (objectives.lstm(np), lstm(2, 3, 5), 2),
    "lstm of one layer and two characters": (objectives.lstm(np), lstm(1, 2, 2), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    f, args, count = CASES[name]
    check_gradients(lambda *xs: f(*xs, *args[count:]), *args[:count])


@pytest.mark.parametrize("name", CASES)
def test_compiled(name):
    f, args, count = CASES[name]
    f = value_and_grad(f, argnums=tuple(range(count)))
    (value, slopes), (found, found_slopes) = f(*args), compile(f)(*args)
    assert found == value
    for slope, other in zip(slopes, found_slopes, strict=True):
        np.testing.assert_allclose(other, slope, rtol=1e-12, atol=1e-14)


# --- the mixture of Gaussians -------------------------------------------------------------------


def factor(row, d):
    """Q of one component, entry by entry."""
    q, rest = np.zeros((d, d)), iter(row[d:])
    for column in range(d):
        q[column, column] = math.exp(row[column])
        for i in range(column + 1, d):
            q[i, column] = next(rest)
    return q


def gmm_by_loops(alphas, means, icf, x, gamma, m):
    """Point by point, component by component, number by number."""
    (k, d), n, total = means.shape, len(x), 0.0
    qs = [factor(row, d) for row in icf]
    sums = [sum(row[i] for i in range(d)) for row in icf]
    for point in x:
        inside = 0.0
        for c in range(k):
            squares = 0.0
            for i in range(d):
                squares += sum(qs[c][i, j] * (point[j] - means[c, j]) for j in range(d)) ** 2
            inside += math.exp(alphas[c] + sums[c] - squares / 2)
        total += math.log(inside)
    total -= n * math.log(sum(math.exp(a) for a in alphas))
    total -= n * d / 2 * math.log(2 * math.pi)
    freedom = d + m + 1
    constant = freedom * d * math.log(gamma / math.sqrt(2)) - d * (d - 1) / 4 * math.log(math.pi)
    for j in range(1, d + 1):
        constant -= math.lgamma(freedom / 2 + (1 - j) / 2)
    for c in range(k):
        squares = sum(qs[c][i, j] ** 2 for i in range(d) for j in range(d))
        total += gamma**2 / 2 * squares - m * sums[c] - constant
    return total


@pytest.mark.parametrize(("k", "d", "n"), [(3, 4, 5), (1, 1, 2), (4, 2, 1)])
def test_gmm_by_loops(k, d, n):
    args = mixture(k, d, n)
    found = objectives.gmm(np, GAMMA, M)(*args)
    np.testing.assert_allclose(found, gmm_by_loops(*args, GAMMA, M), rtol=1e-12)


def test_gmm_of_densities():
    """The likelihood's logarithm, less that of the prior of every inverse covariance matrix."""
    alphas, means, icf, x = mixture(3, 4, 5)
    precisions = [q.T @ q for q in (factor(row, 4) for row in icf)]
    weights = np.exp(alphas) / np.sum(np.exp(alphas))
    density = sum(
        weight * stats.multivariate_normal.pdf(x, mean, np.linalg.inv(precision))
        for weight, mean, precision in zip(weights, means, precisions, strict=True)
    )
    prior = stats.wishart(df=4 + M + 1, scale=np.eye(4) / GAMMA**2)
    expected = np.sum(np.log(density)) - sum(prior.logpdf(p) for p in precisions)
    found = objectives.gmm(np, GAMMA, M)(alphas, means, icf, x)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_gmm_far_away():
    """A point in whose neighbourhood every density is 0 in float64."""
    alphas, means, icf, x = mixture(3, 2, 1)
    f = objectives.gmm(np)
    moved = np.array([[1e3, 0.0]])
    value, slopes = value_and_grad(f, argnums=(0, 1, 2))(alphas, means, icf, moved)
    nearest = max(
        a + sum(row[:2]) - np.sum((factor(row, 2) @ (moved[0] - mean)) ** 2) / 2
        for a, mean, row in zip(alphas, means, icf, strict=True)
    )
    there = math.log(sum(math.exp(a) for a in alphas)) + math.log(2 * math.pi)
    prior = gmm_by_loops(alphas, means, icf, np.zeros((0, 2)), 1.0, 0)
    np.testing.assert_allclose(value, nearest - there + prior, rtol=1e-12)
    assert all(np.isfinite(slope).all() for slope in slopes)


# --- the LSTM -----------------------------------------------------------------------------------


def lstm_by_loops(main, extra, state, sequence):
    """Character by character, layer by layer, bit by bit, by lists of numbers."""

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    hidden = [list(layer[0]) for layer in state]
    cells = [list(layer[1]) for layer in state]
    total, count = 0.0, 0
    for t in range(len(sequence) - 1):
        b = len(sequence[t])
        x = [sequence[t][i] * extra[0][i] for i in range(b)]
        for layer, (w, biases) in enumerate(main):
            for i in range(b):
                before = hidden[layer][i]
                forget = sigmoid(w[0][i] * x[i] + biases[0][i])
                into = sigmoid(w[1][i] * before + biases[1][i])
                out = sigmoid(w[2][i] * x[i] + biases[2][i])
                change = math.tanh(w[3][i] * before + biases[3][i])
                cells[layer][i] = cells[layer][i] * forget + into * change
                hidden[layer][i] = out * math.tanh(cells[layer][i])
            x = list(hidden[layer])
        y = [x[i] * extra[1][i] + extra[2][i] for i in range(b)]
        norm = math.log(2 + sum(math.exp(yi) for yi in y))
        for i in range(b):
            total += sequence[t + 1][i] * (y[i] - norm)
            count += 1
    return -total / count


@pytest.mark.parametrize(("layers", "b", "c"), [(2, 3, 5), (1, 2, 2), (3, 1, 4)])
def test_lstm_by_loops(layers, b, c):
    args = lstm(layers, b, c)
    np.testing.assert_allclose(objectives.lstm(np)(*args), lstm_by_loops(*args), rtol=1e-13)


def test_lstm_leaves_its_state():
    """Two calls with one state are two calls from the same start."""
    args = lstm(2, 3, 5)
    kept = args[2].copy()
    first = objectives.lstm(np)(*args)
    assert objectives.lstm(np)(*args) == first
    np.testing.assert_array_equal(args[2], kept)
