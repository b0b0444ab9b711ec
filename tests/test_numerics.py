"""Convolution, interpolation, polynomials, differences, grids: closed forms, kinks and errors."""

import numpy as np
import pytest

from autograd import Tensor, grad, gradients, hessian


def slopes(f, *xs, seed=None):
    """The gradients of f at xs, weighted by `seed` (ones)."""
    xs = [Tensor(np.asarray(x, float)) for x in xs]
    y = f(*xs)
    found = gradients(y, xs, seed=np.ones(y.shape) if seed is None else np.asarray(seed, float))
    return found[0] if len(found) == 1 else found


def near(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-13, atol=1e-14)


def test_convolution_pulls_back_to_windows():
    a, v = np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0])
    by_a, by_v = slopes(np.convolve, a, v)
    near(by_a, [12, 12, 12])
    near(by_v, [6, 6])
    near(slopes(lambda a: np.convolve(a, v, "valid"), a), [7, 12, 5])
    near(hessian(lambda a: np.sum(np.convolve(a, a)))(a), np.full((3, 3), 2.0))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("function", [np.convolve, np.correlate])
def test_convolution_is_linear_in_every_mode_and_length(function, mode):
    rng = np.random.default_rng(0)
    for n in range(1, 7):
        for m in range(1, 7):
            a, v = rng.normal(size=n), rng.normal(size=m)
            g = rng.normal(size=function(a, v, mode).shape)
            by_a, by_v = slopes(lambda a, v: function(a, v, mode), a, v, seed=g)
            near(by_a, [function(e, v, mode) @ g for e in np.eye(n)])
            near(by_v, [function(a, e, mode) @ g for e in np.eye(m)])


# --- interpolation ------------------------------------------------------------------------------


def test_interp_at_and_outside_the_knots():
    xp, fp = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 1.0])
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    y = np.interp(Tensor(x), xp, fp)
    np.testing.assert_array_equal(y.data, np.interp(x, xp, fp))
    np.testing.assert_array_equal(
        slopes(lambda x: np.interp(x, xp, fp), x), [0, 3, 3, -2, -2, 0, 0]
    )
    near(
        slopes(lambda fp: np.interp(x, xp, fp), fp, seed=[1, 2, 4, 8, 16, 32, 64]),
        [1 + 2 + 2, 2 + 8 + 8, 8 + 32 + 64],
    )
    # d/dxp of fp0 + s·(x - xp0), s = (fp1 - fp0)/(xp1 - xp0), at 0.5
    near(slopes(lambda xp: np.interp(0.5, xp, fp), xp), [-1.5, -1.5, 0])


def test_interp_keeps_nan_and_infinity_local():
    xp = np.arange(4.0)
    fp = np.array([0.0, 1.0, np.nan, 3.0])
    x = np.array([0.5, 1.0, 2.5, 3.0, np.nan, np.inf, -np.inf])
    y = np.interp(Tensor(x), xp, fp)
    np.testing.assert_array_equal(y.data, np.interp(x, xp, fp))
    by_fp = slopes(lambda fp: np.interp(x, xp, fp), fp, seed=[1, 2, 4, 8, 0, 16, 32])
    near(by_fp[[0, 1]], [0.5 + 32, 0.5 + 2])
    assert np.isfinite(by_fp).all()
    by_x = slopes(lambda x: np.interp(x, xp, fp), x)
    near(by_x[[0, 3, 5, 6]], [1, 0, 0, 0])


def test_interp_where_knots_coincide():
    xp, fp = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]), np.array([9.0, 1.0, 3.0, 7.0, 5.0, 8.0])
    x = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
    np.testing.assert_array_equal(np.interp(Tensor(x), xp, fp).data, np.interp(x, xp, fp))
    by_x, by_xp, by_fp = slopes(np.interp, x, xp, fp)
    near(by_x, [0, 2, 2, -2, -2, 0, 0])
    assert np.isfinite(by_xp).all() and np.sum(by_fp) == len(x)


def test_interp_dtype_and_period():
    x = Tensor(np.array([0.5, 1.5], np.float32))
    knots = np.array([0.0, 1.0, 2.0], np.float32)
    assert np.interp(x, knots, knots).dtype == np.float32  # NumPy: float64
    x = np.array([-180.0, -5.0, 185.0, 365.0])
    xp, fp = np.array([190.0, -190.0, 350.0, -350.0]), np.array([5.0, 10.0, 3.0, 4.0])
    np.testing.assert_allclose(
        np.interp(Tensor(x), xp, fp, period=360).data, np.interp(x, xp, fp, period=360)
    )


def test_unwrap_has_derivative_one():
    np.testing.assert_array_equal(slopes(np.unwrap, [0.0, 6.0, 12.0, -3.0]), np.ones(4))
    assert np.unwrap(Tensor(np.array([0, 6], np.float32))).dtype == np.float32


def test_piecewise_evaluates_each_function_only_where_it_counts():
    x = np.array([-4.0, 0.0, 4.0])
    f = slopes(lambda x: np.piecewise(x, [x < 0, x > 0], [lambda x: -x, np.sqrt]), x)
    np.testing.assert_array_equal(f, [-1, 0, 0.25])
    assert grad(lambda x: np.piecewise(x, [x < 0], [np.sin, np.exp]))(1.0) == np.exp(1.0)


def test_vectorize_says_what_to_do():
    with pytest.raises(TypeError, match="would lose its derivative"):
        np.vectorize(lambda x: x * x)(Tensor(np.ones(3)))


# --- polynomials ----------------------------------------------------------------------------------


def test_polynomials_at_zero_are_exact():
    p = np.array([2.0, 3.0, 5.0])
    near(grad(lambda x: np.polyval(p, x))(0.0), 3)
    near(grad(grad(lambda x: np.polyval(p, x)))(0.0), 4)
    near(slopes(lambda p: np.polyval(p, 0.0), p), [0, 0, 1])
    h = hessian(lambda x: np.sum(np.vander(x, 4)))(np.zeros(2))
    np.testing.assert_array_equal(h, 2 * np.eye(2))


def test_polynomial_algebra():
    p, q = np.array([1.0, -3.0, 2.0]), np.array([1.0, -1.0])
    quotient, rest = np.polydiv(Tensor(p), Tensor(q))
    np.testing.assert_array_equal(quotient.data, [1, -2])
    np.testing.assert_array_equal(rest.data, [0])
    near(np.poly(Tensor(np.array([1.0, 2.0]))).data, p)
    near(slopes(np.poly, [1.0, 2.0], seed=[0, 1, 10]), [-1 + 20, -1 + 10])
    near(slopes(np.polyder, p), [2, 1, 0])
    near(slopes(lambda p, k: np.polyint(p, 1, k), p, 0.0)[0], [1 / 3, 1 / 2, 1])
    assert np.polymul(Tensor(np.array([0.0, 1.0])), [1, 2]).shape == (2,)  # led by a zero
    assert np.polymul(Tensor(np.zeros(2)), [1, 2]).data.tolist() == [0, 0]


def test_polyfit_recovers_and_follows_the_data():
    x = np.linspace(-1, 1, 7)
    y = np.polyval([2.0, -1.0, 0.5], x)
    near(np.polyfit(x, Tensor(y), 2).data, [2, -1, 0.5])
    # the constant fit is the mean
    near(slopes(lambda y: np.polyfit(x, y, 0), y), np.full(7, 1 / 7))


# --- differences and grids ----------------------------------------------------------------------


def test_gradient_is_exact_for_what_it_should_be():
    x = np.array([0.0, 0.5, 2.0, 2.5, 4.0])
    y = 3 * x**2 - x
    near(np.gradient(Tensor(y), x, edge_order=2).data, 6 * x - 1)
    near(np.gradient(Tensor(y), Tensor(x), edge_order=2).data, 6 * x - 1)
    near(slopes(lambda f: np.gradient(f, 0.5), np.zeros(4)), [-3, 1, -1, 3])
    near(slopes(lambda h: np.gradient(np.arange(3.0), h), 2.0), -3 / 4)
    assert isinstance(np.gradient(Tensor(np.eye(2))), tuple)


def test_gradient_keeps_nan_where_numpy_has_it():
    f = np.array([0.0, 1.0, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(np.gradient(Tensor(f)).data, np.gradient(f))


def test_grids_end_where_they_should():
    for n in (2, 3, 7, 50):
        grid = np.linspace(Tensor(0.1), 0.7, n)
        assert grid[0].item() == 0.1 and grid[-1].item() == 0.7
        grid = np.geomspace(Tensor(0.1), 0.7, n)
        assert grid[0].item() == 0.1 and grid[-1].item() == 0.7
    np.testing.assert_array_equal(
        slopes(lambda a, b: np.linspace(a, b, 3), 1.0, 2.0, seed=[1, 2, 4]), [2, 5]
    )
    assert np.all(np.linspace(Tensor(0.3), 0.3, 9).data == 0.3)
    grid, step = np.linspace(Tensor(0.0), 1.0, 5, retstep=True)
    assert step.item() == 0.25
    assert np.linspace(Tensor(np.ones(2, np.float32)), 3.0, 4).dtype == np.float32
    assert np.linspace(Tensor(1.0), 3.0, 4, dtype=np.float32).dtype == np.float32


# --- errors -----------------------------------------------------------------------------------


T = Tensor(np.arange(4.0), name="t")
BAD = {
    "interp lengths": (ValueError, r"\(4,\) and \(2,\)", lambda: np.interp(T, T, [1.0, 2.0])),
    "interp period": (ValueError, "period must not be zero", lambda: np.interp(T, T, T, period=0)),
    "piecewise": (ValueError, "3 functions for 1", lambda: np.piecewise(T, [T > 0], [1, 2, 3])),
    "lines": (ValueError, "no line", lambda: np.apply_along_axis(np.sum, 1, T[None][:0])),
    "polyder": (ValueError, "order is 0 or more", lambda: np.polyder(T, -1)),
    "polyint": (ValueError, "order is 0 or more", lambda: np.polyint(T, -1)),
    "polyint k": (ValueError, "3 integration constants", lambda: np.polyint(T, 3, [1.0, 2.0])),
    "poly": (TypeError, "eigenvalues", lambda: np.poly(Tensor(np.eye(2)))),
    "vander": (ValueError, "one axis", lambda: np.vander(Tensor(np.eye(2)))),
    "polyfit degree": (ValueError, "degree", lambda: np.polyfit(T, T, -1)),
    "polyfit lengths": (ValueError, r"\(4,\) and \(2,\)", lambda: np.polyfit(T, [1.0, 2.0], 1)),
    "polyfit cov": (TypeError, "cov=", lambda: np.polyfit(T, T, 1, cov=True)),
    "gradient short": (ValueError, "fewer than", lambda: np.gradient(T[:2], edge_order=2)),
    "gradient order": (ValueError, "edge_order is 1 or 2", lambda: np.gradient(T, edge_order=3)),
    "gradient many": (TypeError, "spacings", lambda: np.gradient(T, 1.0, 1.0)),
    "gradient length": (ValueError, r"\(3,\) .* length 4", lambda: np.gradient(T, np.arange(3.0))),
    "linspace": (ValueError, "0 or more, not -1", lambda: np.linspace(T[0], 1.0, -1)),
    "linspace int": (TypeError, "dtype=int64", lambda: np.linspace(T[0], 1.0, 3, dtype=int)),
    "geomspace": (ValueError, "include zero", lambda: np.geomspace(T[0], 1.0)),
    "geomspace of some": (ValueError, "include zero", lambda: np.geomspace(T, 1.0 + T)),
    "geomspace to some": (ValueError, "include zero", lambda: np.geomspace(1.0 + T, T)),
    "roots": (TypeError, "roots has no derivative rule", lambda: np.roots(T)),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    error, message, call = BAD[case]
    with pytest.raises(error, match=message):
        call()
