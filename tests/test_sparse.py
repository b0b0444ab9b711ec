"""Sparse Jacobians, to SciPy's matrices and into its solvers, on problems in one dimension."""

import tracemalloc

import numpy as np
import pytest
import scipy.optimize
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array, issparse

import optim
from autograd import grad, hessian, jacobian, planner

MODES = ["forward", "reverse", "auto"]


def brusselator(n):
    """Two substances on n places that react and diffuse: ``(f(t, y), start, matrix(y))``.

    u' = 1 + u²v - 4u + c u_xx and v' = 3u - u²v + c v_xx, c = 1/50, u = 1 and v = 3 at both ends
    (Hairer and Wanner, "Solving Ordinary Differential Equations II" (1996), IV.1); y has u and v in
    turn.  The matrix is written by hand, element by element.
    """
    c = (n + 1) ** 2 / 50

    def f(t, y):
        u, v = y[::2], y[1::2]
        reaction = u * u * v
        u_around, v_around = np.pad(u, 1, constant_values=1), np.pad(v, 1, constant_values=3)
        du = 1 + reaction - 4 * u + c * (u_around[:-2] - 2 * u + u_around[2:])
        dv = 3 * u - reaction + c * (v_around[:-2] - 2 * v + v_around[2:])
        return np.stack([du, dv], axis=1).reshape(-1)

    def matrix(y):
        found = np.zeros((2 * n, 2 * n))
        for i in range(n):
            u, v = y[2 * i], y[2 * i + 1]
            found[2 * i, 2 * i : 2 * i + 2] = 2 * u * v - 4 - 2 * c, u * u
            found[2 * i + 1, 2 * i : 2 * i + 2] = 3 - 2 * u * v, -u * u - 2 * c
            for row in (2 * i, 2 * i + 1):
                for column in (row - 2, row + 2):
                    if 0 <= column < 2 * n:
                        found[row, column] = c
        return found

    x = np.arange(1, n + 1) / (n + 1)
    start = np.stack([1 + np.sin(2 * np.pi * x), np.full(n, 3.0)], axis=1).reshape(-1)
    return f, start, matrix


def noted(f):
    """`f`, and a list that gets an entry each time it is called."""
    calls = []

    def noting(*args):
        calls.append(args)
        return f(*args)

    return noting, calls


# --- the matrix -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_matrix_is_the_one_by_hand(mode):
    """Of n = 500: four diagonals and a half, with nothing stored beside them."""
    f, y, matrix = brusselator(500)
    found = jacobian(f, 1, mode=mode, sparse=True)(0.0, y)
    assert isinstance(found, csr_array) and found.shape == (1000, 1000)
    np.testing.assert_allclose(found.toarray(), matrix(y), rtol=1e-13)
    assert found.nnz == np.count_nonzero(matrix(y))


@pytest.mark.parametrize("mode", MODES)
def test_the_sweeps_are_as_few_as_a_row_has_elements(mode, monkeypatch):
    """Four, where all columns or rows were a thousand; the function is run once."""
    f, y, _ = brusselator(500)
    f, calls = noted(f)
    swept = []
    sums = planner.Graph.sums

    def noting(graph, seeds, by_rows):
        swept.append((len(seeds), by_rows))
        return sums(graph, seeds, by_rows)

    monkeypatch.setattr(planner.Graph, "sums", noting)
    jacobian(f, 1, mode=mode, sparse=True)(0.0, y)
    ((seeds, by_rows),) = swept
    assert seeds <= 6 and len(calls) == 1
    assert mode == "auto" or by_rows == (mode == "reverse")


@pytest.mark.parametrize("mode", MODES)
def test_the_dense_matrix_is_never_made(mode):
    """10,000 places, where it took 3.2 GB: a hundredth of one per cent of each row is kept.

    At most 2 KB a row are in memory at any time: graph, pattern, sweeps and result.
    """
    f, y, _ = brusselator(10_000)
    found = jacobian(f, 1, mode=mode, sparse=True)
    found(0.0, y[:20])
    tracemalloc.start()
    try:
        matrix = found(0.0, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert matrix.shape == (20_000, 20_000) and matrix.nnz == 4 * 20_000 - 4
    assert peak < 2_000 * 20_000


def test_a_dense_row_and_a_dense_column_are_swept_apart():
    x = np.linspace(0.5, 1.5, 300)

    def f(x):
        return np.concatenate([x[1:] * x[0], np.sum(x**2)[None]])

    expected = np.zeros((300, 300))
    expected[np.arange(299), np.arange(1, 300)] = x[0]
    expected[:299, 0] = x[1:]
    expected[299] = 2 * x
    for mode in MODES:
        found = jacobian(f, mode=mode, sparse=True)(x)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-14)
        assert found.nnz == np.count_nonzero(expected)


@pytest.mark.parametrize("mode", MODES)
def test_a_dense_one_is_sparse_in_name(mode):
    a = np.arange(1.0, 3601.0).reshape(60, 60)
    found = jacobian(lambda x: a @ x, mode=mode, sparse=True)(np.ones(60))
    assert isinstance(found, csr_array)
    np.testing.assert_array_equal(found.toarray(), a)


def test_trees_are_numbered_through():
    """Results by arguments, in the order of their leaves; float32 stays float32."""

    def f(p):
        return {"product": p["a"] * p["b"], "shift": p["b"][1:] - p["c"]}

    p = {"a": np.array([2.0, 3.0]), "b": np.array([5.0, 7.0]), "c": 1.5}
    expected = [[5, 0, 2, 0, 0], [0, 7, 0, 3, 0], [0, 0, 0, 1, -1]]
    for mode in MODES:
        assert jacobian(f, mode=mode, sparse=True)(p).toarray().tolist() == expected
    single = jacobian(np.sin, sparse=True)(np.zeros(3, np.float32))
    assert single.dtype == np.float32 and single.toarray().tolist() == np.eye(3).tolist()
    two = jacobian(np.multiply, (0, 1), sparse=True)(np.array([2.0, 3.0]), np.array([5.0, 7.0]))
    assert two.toarray().tolist() == [[5, 0, 2, 0], [0, 7, 0, 3]]


def test_another_point_has_another_pattern():
    """The pattern is found at each point anew: which elements are chosen may change."""
    f = jacobian(lambda x: np.sort(x), sparse=True)
    assert f(np.array([1.0, 2.0, 3.0])).toarray().tolist() == np.eye(3).tolist()
    assert f(np.array([3.0, 1.0, 2.0])).toarray().tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_a_sparse_hessian_is_the_jacobian_of_a_gradient():
    def chained(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = np.linspace(-1, 1, 60)
    found = jacobian(grad(chained), sparse=True)(x)
    np.testing.assert_allclose(found.toarray(), hessian(chained)(x), rtol=1e-12)
    assert found.nnz == 3 * 60 - 2


def test_inside_another_transformation_it_says_what_to_use():
    def total(x):
        return np.sum(jacobian(np.sin, sparse=True)(x))

    with pytest.raises(TypeError, match=r"sparse=True, inside another transformation.*'coo'"):
        grad(total)(np.ones(3))
    with pytest.raises(ValueError, match="mode is 'auto' or 'forward' or 'reverse', not 'rows'"):
        jacobian(np.sin, mode="rows", sparse=True)


# --- into SciPy's solvers -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["BDF", "Radau"])
def test_a_stiff_system(method):
    """The same steps as with the dense Jacobian and with the one by hand; far fewer evaluations
    than by finite differences, which take one for each of the 2n columns.
    """
    f, start, matrix = brusselator(500 if method == "BDF" else 60)
    settings = {"method": method, "rtol": 1e-5, "atol": 1e-7}
    span = (0, 1)
    counted, calls = noted(f)
    sparse = solve_ivp(counted, span, start, jac=jacobian(f, 1, "auto", sparse=True), **settings)
    by_hand = solve_ivp(f, span, start, jac=lambda t, y: matrix(y), **settings)
    assert sparse.success and sparse.nfev == by_hand.nfev and sparse.njev == by_hand.njev
    np.testing.assert_allclose(sparse.y, by_hand.y, rtol=1e-9)
    evaluations = len(calls) + sparse.njev
    calls.clear()
    differences = solve_ivp(counted, span, start, **settings)
    np.testing.assert_allclose(sparse.y[:, -1], differences.y[:, -1], rtol=1e-4)
    assert len(calls) >= evaluations + start.size - 1


def tridiagonal(x):
    """Broyden's function (Moré, Garbow and Hillstrom, "Testing unconstrained optimization
    software" (1981), no. 30), which has a root near -0.6.
    """
    around = np.pad(x, 1)
    return (3 - 2 * x) * x - around[:-2] - 2 * around[2:] + 1


def test_least_squares_of_many_variables():
    """500 of them: the root, in fewer evaluations than by differences along a known sparsity."""
    n = 500
    f, calls = noted(tridiagonal)
    found = optim.least_squares(f, np.full(n, -1.0), sparse=True, gtol=1e-12)
    assert issparse(found.jac) and found.jac.nnz == 3 * n - 2
    assert np.max(np.abs(tridiagonal(found.x))) < 1e-9
    evaluations = len(calls)
    calls.clear()
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1
    theirs = scipy.optimize.least_squares(
        f, np.full(n, -1.0), jac_sparsity=csr_array(band), gtol=1e-12
    )
    np.testing.assert_allclose(found.x, theirs.x, atol=1e-9)
    assert evaluations < len(calls) / 2


def test_least_squares_sparse_and_dense_agree():
    """Also for variables in containers."""

    def residuals(p):
        return np.concatenate([tridiagonal(p["x"]), p["a"] - p["x"][:1]])

    start = {"x": np.full(100, -1.0), "a": 0.5}
    dense = optim.least_squares(residuals, start, gtol=1e-12)
    sparse = optim.least_squares(residuals, start, sparse=True, gtol=1e-12)
    np.testing.assert_allclose(sparse.x["x"], dense.x["x"], atol=1e-9)
    np.testing.assert_allclose(sparse.x["a"], dense.x["x"][0], atol=1e-9)
    assert type(sparse.x["a"]) is float and not issparse(dense.jac)
