"""SciPy's minimizers with exact derivatives, on containers and Modules."""

import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

import nn
import optim
from autograd import Tensor


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def beale(p):
    x, y = p["x"], p["y"]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


FIRST = ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"]
SECOND = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"]


@pytest.mark.parametrize("method", [*FIRST, *SECOND])
def test_rosenbrocks_valley_leads_to_ones(method):
    x0 = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
    found = optim.minimize(rosenbrock, x0, method=method)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=2e-3)
    assert x0.tolist() == [1.3, 0.7, 0.8, 1.9, 1.2]


def test_dogleg_goes_down_where_the_hessian_is_definite():
    found = optim.minimize(rosenbrock, np.array([1.3, 1.5]), method="dogleg")
    np.testing.assert_allclose(found.x, 1, atol=1e-5)


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "trust-exact", "Nelder-Mead", "Powell"])
def test_beales_function_in_a_dict(method):
    found = optim.minimize(beale, {"x": 1.0, "y": np.array(0.1)}, method=method)
    assert type(found.x["x"]) is float and found.x["y"].shape == ()
    np.testing.assert_allclose([found.x["x"], found.x["y"]], [3, 0.5], atol=2e-3)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-krylov"])
def test_second_derivatives_are_exact(method):
    """A quadratic bowl: as many Hessian products as SciPy needs with the matrix given."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a, b = a @ a.T + np.eye(6), rng.normal(size=6)
    ours = optim.minimize(lambda x: x @ a @ x / 2 - b @ x, np.zeros(6), method=method)
    scipys = scipy.optimize.minimize(
        lambda x: x @ a @ x / 2 - b @ x, np.zeros(6), jac=lambda x: a @ x - b,
        hessp=lambda x, v: a @ v, method=method,
    )  # fmt: skip
    assert (ours.nit, ours.nfev, ours.nhev) == (scipys.nit, scipys.nfev, scipys.nhev)
    np.testing.assert_allclose(ours.x, np.linalg.solve(a, b), atol=1e-4)


@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-ncg"])
def test_logistic_regression_as_a_module(method):
    """scikit-learn's weights, for its loss: C Σ NLL + ‖w‖²/2."""
    x, y = load_breast_cancer(return_X_y=True)
    x = scale(x[:, :6])
    model = nn.Linear(6, 1, dtype=np.float64)
    before = model.state_dict()

    def loss(m):
        logits = np.reshape(m(x), -1)
        nll = np.sum(np.logaddexp(0, logits) - y * logits)
        return nll + np.sum(m.weight**2) / 2

    found = optim.minimize(loss, model, method=method, tol=1e-12)
    known = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(found.x.weight.data, known.coef_, atol=1e-4)
    np.testing.assert_allclose(found.x.bias.data, known.intercept_, atol=1e-4)
    assert found.fun == pytest.approx(loss(found.x).item())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    loss(found.x).backward()  # a Module as any other, at a minimum
    assert np.max(np.abs(found.x.weight.grad)) < 1e-3


def test_dtypes_and_structure_stay():
    """The work is done in double precision: the answer is right to float32."""
    x0 = [np.zeros((2, 2), np.float32), (Tensor([0.0]), 0.5), nn.Linear(1, 1)]
    target = np.array([[1.0, 2.0], [3.0, 4.0]])

    def f(x):
        matrix, (vector, number), layer = x
        assert matrix.shape == (2, 2) and vector.shape == (1,)
        return (
            np.sum((matrix - target) ** 2)
            + np.sum((vector - 7) ** 2)
            + (number + 1) ** 2
            + np.sum((layer.weight - 3) ** 2) + np.sum((layer(np.ones((1, 1))) - 5) ** 2)
        )  # fmt: skip

    found = optim.minimize(f, x0).x
    assert isinstance(found, list) and isinstance(found[1], tuple)
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(found[0], target, rtol=1e-5)
    assert isinstance(found[1][0], Tensor) and found[1][0].data == pytest.approx(7)
    assert found[1][1] == pytest.approx(-1)
    assert found[2].weight.dtype == np.float32
    assert found[2].weight.data.item() == pytest.approx(3, rel=1e-4)
    assert found[2].bias.data.item() == pytest.approx(2, rel=1e-4)
    assert x0[1][0].data == 0 and len(found[2].parameters()) == 2


def test_scipys_settings_pass_through():
    seen = []
    found = optim.minimize(
        lambda x: np.sum((x[0] - 3) ** 2) + (x[1] - 3) ** 2,
        [np.zeros(2), 0.0],
        bounds=[(None, 1.0), (None, 9.0), (None, 2.0)],
        callback=lambda x: seen.append(x.copy()),
    )
    np.testing.assert_allclose(found.x[0], [1, 3], atol=1e-6)
    assert found.x[1] == pytest.approx(2) and seen


# --- least squares --------------------------------------------------------------------------------

TIMES = np.linspace(0, 4, 25)
DECAY = 2.0 * np.exp(-0.7 * TIMES) + 0.3


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_a_decay_is_fitted(method):
    found = optim.least_squares(
        lambda p: p["size"] * np.exp(-p["rate"] * TIMES) + p["rest"] - DECAY,
        {"size": 1.0, "rate": np.array(1.0), "rest": 0.0},
        method=method,
    )
    assert found.success and found.cost < 1e-15
    x = found.x
    np.testing.assert_allclose([x["size"], x["rate"], x["rest"]], [2, 0.7, 0.3], rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 2), (1, 2)])
def test_residuals_may_have_any_shape_and_number(shape):
    """The Jacobian is SciPy's by differences, whether taken by rows or by columns."""
    a = np.random.default_rng(0).normal(size=(*shape, 3))
    f = lambda x: np.sin(a @ x) - 0.5  # noqa: E731
    ours = optim.least_squares(f, np.ones(3), max_nfev=1)
    theirs = scipy.optimize.least_squares(lambda x: f(x).ravel(), np.ones(3), max_nfev=1)
    assert ours.jac.shape == (shape[0] * shape[1], 3)
    np.testing.assert_allclose(ours.jac, theirs.jac, atol=1e-6)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [optim.minimize, optim.least_squares])
@pytest.mark.parametrize(
    "x0, error, message",
    [
        ({"n": np.array([1, 2])}, TypeError, r"x0\['n'\] is int64: floats are wanted"),
        ([1.0, 2], TypeError, r"x0\[1\] is int64"),
        (np.array([1j]), TypeError, "x0 is complex128"),
        ([], ValueError, "x0 has no numbers to vary"),
        (np.zeros(0), ValueError, "x0 has no numbers to vary"),
    ],
)
def test_a_start_that_cannot_be_varied_is_refused(call, x0, error, message):
    with pytest.raises(error, match=f"{call.__name__}: {message}"):
        call(lambda x: x, x0)


def test_a_function_of_several_numbers_is_refused():
    with pytest.raises(ValueError, match="one number; pair returned shape"):

        def pair(x):
            return x * 2

        optim.minimize(pair, np.ones(2))
