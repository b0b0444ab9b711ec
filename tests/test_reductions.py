"""Reductions where it matters: zeros, ties, NaN, infinities, rows of -inf, ±1000, errors."""

import numpy as np
import pytest

from autograd import Tensor, grad, gradients, hessian
from autograd.graph import history
from autograd.rules.reductions import log_softmax, logsumexp, softmax

NAN, INF = np.nan, np.inf


def gradient(f, x):
    """The gradient of the sum of f's result."""
    x = Tensor(np.asarray(x, float))
    np.sum(f(x)).backward()
    return x.grad


def equal(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-13, atol=0)


# --- products with zeros ------------------------------------------------------------------------


def product_hessian(x):
    n = len(x)
    return [
        [0 if i == j else np.prod([x[k] for k in range(n) if k not in (i, j)]) for j in range(n)]
        for i in range(n)
    ]


@pytest.mark.parametrize(
    "x", [[2, 3, 4, 5], [2, 0, 4, 5], [2, 0, 0, 5], [0, 0, 0, 5], [0, 3], [0], [7, 0, 1, 1, 2]]
)
def test_prod_is_exact_with_zeros(x):
    x = np.array(x, float)
    equal(gradient(np.prod, x), [np.prod(np.delete(x, i)) for i in range(len(x))])
    equal(hessian(np.prod)(x), product_hessian(x))


def test_third_derivative_of_prod_with_zeros():
    x, u = np.array([0.0, 0.0, 0.0, 2.0]), np.ones(4)

    def along(f):
        return lambda x: np.sum(grad(f)(x) * u)

    # e₃ of the elements is what three derivatives along ones leave: 3! (xyz + ...) by each of them
    equal(grad(along(along(np.prod)))(x), [4, 4, 4, 0])


@pytest.mark.parametrize("x", [[2, 0, 3, 0, 5.0], [0, 0, 0.0], [1, 2, 3, 4, 5, 6, 0.0]])
def test_cumprod_is_exact_with_zeros(x):
    x = np.array(x)
    n = len(x)

    def without(k, *left_out):
        return np.prod([x[m] for m in range(k + 1) if m not in left_out])

    equal(gradient(np.cumprod, x), [sum(without(k, i) for k in range(i, n)) for i in range(n)])
    equal(
        hessian(lambda x: np.sum(np.cumprod(x)))(x),
        [
            [0 if i == j else sum(without(k, i, j) for k in range(max(i, j), n)) for j in range(n)]
            for i in range(n)
        ],
    )


def test_long_products_take_few_nodes():
    x = Tensor(np.linspace(0.5, 1.5, 900))
    g = gradients(np.cumprod(x), x, seed=np.ones(900), record=True)
    assert len(history(g.node)) < 200


# --- ties and NaN -------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.max, np.amax, np.nanmax])
def test_ties_share(f):
    equal(gradient(f, [1, 3, 3, 2, 3]), [0, 1 / 3, 1 / 3, 0, 1 / 3])
    equal(gradient(lambda x: f(x, axis=0), [[1, 5], [1, 4]]), [[0.5, 1], [0.5, 0]])
    equal(hessian(f)(np.array([1.0, 3, 3])), np.zeros((3, 3)))


@pytest.mark.parametrize("f", [np.min, np.amin, np.nanmin])
def test_ties_share_at_the_bottom(f):
    equal(gradient(f, [1, 3, 1, 2]), [0.5, 0, 0.5, 0])


def test_ptp_of_equal_elements():
    equal(gradient(np.ptp, [2, 2.0]), [0, 0])


def test_initial_takes_part_in_a_tie():
    equal(gradient(lambda x: np.max(x, initial=3), [1, 3.0]), [0, 0.5])
    equal(gradient(lambda x: np.max(x, initial=4), [1, 3.0]), [0, 0])
    equal(gradient(lambda x: np.max(x, axis=1, initial=0), np.zeros((2, 0))), np.zeros((2, 0)))


def test_nan_stays_in_its_row():
    x = [[1, NAN, 3], [4, 5, 6.0]]
    equal(gradient(lambda x: np.max(x, axis=1), x), [[0, 1, 0], [0, 0, 1]])
    equal(gradient(lambda x: np.median(x, axis=1), x)[1], [0, 1, 0])
    equal(gradient(lambda x: np.quantile(x, 0.75, axis=1), x)[1], [0, 0.5, 0.5])
    equal(gradient(lambda x: np.prod(x, axis=1), x)[1], [30, 24, 20])
    equal(gradient(lambda x: np.std(x, axis=1), x)[1], np.array([-1, 0, 1]) / 3 / np.sqrt(2 / 3))
    equal(gradient(lambda x: logsumexp(x, axis=1), x)[1], softmax(np.array([4, 5, 6.0])))


def test_where_shields_from_nan_and_infinity():
    x, mask = np.array([1, NAN, INF, 2.0]), np.array([True, False, False, True])
    equal(gradient(lambda x: np.sum(x, where=mask), x), [1, 0, 0, 1])
    equal(gradient(lambda x: np.mean(x, where=mask), x), [0.5, 0, 0, 0.5])
    equal(gradient(lambda x: np.prod(x, where=mask), x), [2, 0, 0, 1])
    equal(gradient(lambda x: np.max(x, where=mask, initial=0), x), [0, 0, 0, 1])


HOLES = np.array([[0.4, NAN, -1.3, 2.2], [0.9, 1.7, -0.6, -2.4], [NAN, 1.1, NAN, 0.3]])


@pytest.mark.parametrize(
    "ignoring, whole",
    [
        (np.nansum, np.sum), (np.nanprod, np.prod), (np.nanmean, np.mean), (np.nanvar, np.var),
        (np.nanstd, np.std), (np.nanmax, np.max), (np.nanmin, np.min), (np.nanmedian, np.median),
        (lambda x: np.nanquantile(x, 0.3), lambda x: np.quantile(x, 0.3)),
        (lambda x: np.nanpercentile(x, 70), lambda x: np.percentile(x, 70)),
    ],
)  # fmt: skip
def test_ignoring_nan_is_leaving_it_out(ignoring, whole):
    """Value, gradient and second derivative are those of the numbers alone; zero at a NaN."""
    for row in HOLES:
        numbers = ~np.isnan(row)
        equal(ignoring(Tensor(row)).data, whole(row[numbers]))
        for order in (lambda f: f, lambda f: lambda x: np.sum(grad(f)(x) ** 2)):
            g = grad(order(ignoring))(row)
            expected = grad(order(whole))(row[numbers])
            np.testing.assert_allclose(g[numbers], expected, rtol=1e-12, atol=1e-15)
            equal(g[~numbers], 0)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_quantiles_of_rows_with_different_numbers_of_nan(axis):
    for f in (np.nanmedian, lambda x, **o: np.nanquantile(x, [0.2, 0.9], **o)):
        for keepdims in (False, True):
            found = f(Tensor(HOLES), axis=axis, keepdims=keepdims)
            equal(found.data, f(HOLES, axis=axis, keepdims=keepdims))


def test_all_nan():
    row = np.full((1, 3), NAN)
    with np.errstate(invalid="ignore"):
        for f in (np.nanmedian, np.nanmean, np.nanvar, np.nanstd):
            assert np.isnan(f(Tensor(row), axis=1).data).all()
    equal(np.nansum(Tensor(row)).data, 0)
    equal(gradient(np.nansum, row), np.zeros((1, 3)))


# --- constant rows ------------------------------------------------------------------------------


def test_std_of_equal_elements():
    """A norm of deviations: its derivative at zero is 0, and no NaN reaches the other rows."""
    x = np.array([[2, 2, 2.0], [1, 2, 3.0]])
    equal(gradient(lambda x: np.std(x, axis=1), x)[0], [0, 0, 0])
    assert np.isfinite(gradient(lambda x: np.std(x, axis=1), x)).all()
    equal(hessian(np.std)(x[0]), np.zeros((3, 3)))
    equal(gradient(lambda x: np.nanstd(x, axis=1), x)[0], [0, 0, 0])


# --- softmax and its relatives ------------------------------------------------------------------


def test_logsumexp_is_stable():
    for shift in (-1000, 0, 1000):
        x = np.array([0.0, 1.0, 2.0]) + shift
        e = np.exp([-2, -1, 0.0])
        equal(logsumexp(x), shift + 2 + np.log(e.sum()))
        np.testing.assert_allclose(grad(logsumexp)(x), e / e.sum(), rtol=1e-12)
        p = e / e.sum()
        np.testing.assert_allclose(hessian(logsumexp)(x), np.diag(p) - np.outer(p, p), atol=1e-13)
    x = np.array([1000.0, -1000.0])
    equal(logsumexp(x), 1000)
    equal(grad(logsumexp)(x), [1, 0])
    equal(hessian(logsumexp)(x), np.zeros((2, 2)))


def test_logsumexp_of_minus_infinity():
    x = np.array([[-INF, -INF], [-INF, 3.0], [0.0, 0.0]])
    equal(logsumexp(x, axis=1), [-INF, 3, np.log(2)])
    equal(gradient(lambda x: logsumexp(x, axis=1), x), [[0, 0], [0, 1], [0.5, 0.5]])
    assert logsumexp(np.zeros((2, 0)), axis=1).tolist() == [-INF, -INF]
    curved = grad(lambda x: np.sum(grad(lambda x: np.sum(logsumexp(x, axis=1)))(x) ** 2))(x)
    equal(curved, np.zeros((3, 2)))


def test_softmax_is_stable():
    x = np.array([1000.0, -1000.0, 999.0])
    p = np.array([1, 0, np.exp(-1)]) / (1 + np.exp(-1))
    np.testing.assert_allclose(softmax(x), p, rtol=1e-13)
    np.testing.assert_allclose(
        log_softmax(x)[:2], np.log1p(np.exp(-1)) * -1 - [0, 2000], rtol=1e-13
    )
    for i in range(3):
        e = np.eye(3)[i]
        np.testing.assert_allclose(
            grad(lambda x, i=i: softmax(x)[i])(x), p[i] * (e - p), atol=1e-15
        )
        np.testing.assert_allclose(grad(lambda x, i=i: log_softmax(x)[i])(x), e - p, atol=1e-15)
        np.testing.assert_allclose(
            hessian(lambda x, i=i: log_softmax(x)[i])(x), np.outer(p, p) - np.diag(p), atol=1e-15
        )
        np.testing.assert_allclose(
            hessian(lambda x, i=i: softmax(x)[i])(x),
            p[i] * (np.outer(e - p, e - p) - np.diag(p) + np.outer(p, p)),
            atol=1e-15,
        )


def test_softmax_of_masked_positions():
    x = np.array([-INF, 0.0, 0.0])
    equal(softmax(x), [0, 0.5, 0.5])
    equal(grad(lambda x: softmax(x)[1])(x), [0, 0.25, -0.25])
    equal(grad(lambda x: log_softmax(x)[1])(x), [0, 0.5, -0.5])


# --- what a pull reads --------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.sum, np.mean, np.cumsum])
def test_writing_after_a_linear_reduction_is_no_alarm(f):
    x = Tensor(np.ones(3))
    y = np.sum(f(x))
    x.data[...] = 7
    y.backward()
    assert x.grad.shape == (3,)


# --- errors -------------------------------------------------------------------------------------


def raises(error, match, f, *args, **options):
    with pytest.raises(error, match=match):
        f(*args, **options)


def test_messages():
    x = Tensor(np.ones((2, 3)))
    raises(
        ValueError, "no method 'spline'; there are .*linear", np.quantile, x, 0.5, method="spline"
    )
    raises(ValueError, r"range \[0, 1\]", np.quantile, x, 1.5)
    raises(TypeError, "weights", np.quantile, x, 0.5, weights=np.ones(3))
    raises(ValueError, "ddof and correction", np.var, x, ddof=1, correction=1)
    raises(TypeError, "out=", np.sum, x, out=np.zeros(()))
    raises(TypeError, "axis=", np.average, x, weights=np.ones(3))
    raises(ZeroDivisionError, "sum to zero", np.average, x, weights=np.zeros((2, 3)))
    raises(TypeError, "initial", np.max, x, initial=Tensor(2.0))
    raises(ValueError, "non-negative", np.diff, x, n=-1)
    if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
        raises(ValueError, "axis", np.cumulative_sum, x)
    for f in (np.sum, np.mean, np.max, np.median, np.var, np.diff, np.cumsum):
        raises(np.exceptions.AxisError, "axis 2 is out of bounds", f, x, axis=2)
