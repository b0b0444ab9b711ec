"""Linear algebra where it is delicate: singular matrices, ties, zeros, NaN, errors, float32."""

import gc
import weakref

import numpy as np
import pytest

from autograd import Tensor, grad, gradients, hessian, jacobian
from autograd.primitive import registry
from autograd.rules import linalg

rng = np.random.default_rng(5)


def third_differences(f, a, u, v, w, h=1e-2):
    """The third derivative of a polynomial f of low degree at a along u, v and w."""
    signs = [(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)]
    steps = [i * j * k * f(a + h * (i * u + j * v + k * w)) for i, j, k in signs]
    return sum(steps) / (8 * h**3)


# --- products -----------------------------------------------------------------------------------


def test_matrix_products_pull_by_one_product_each(monkeypatch):
    """The weight gradient of a stack of inputs is one 2-d product, not a stack of them."""
    x, w = rng.normal(size=(5, 4, 3)), rng.normal(size=(3, 2))
    g = rng.normal(size=(5, 4, 2))
    pull = registry[np.matmul].pulls
    np.testing.assert_allclose(pull[1](g, None, x, w), np.einsum("bij,bik->jk", x, g))
    np.testing.assert_allclose(pull[0](g, None, x, w), g @ w.T)
    a, b, g = rng.normal(size=(3, 4)), rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 3, 2))
    assert pull[0](g, None, a, b).shape == a.shape


def test_matmul_reads_only_the_other_operand():
    assert registry[np.matmul].reads(0) == {2}
    assert registry[np.matmul].reads(1) == {1}


@pytest.mark.parametrize("shapes", [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((4, 0, 3), (3, 2))])
def test_empty_products(shapes):
    a, b = (Tensor(np.ones(s)) for s in shapes)
    np.sum(a @ b).backward()
    assert a.grad.shape == shapes[0] and b.grad.shape == shapes[1]


def test_cross_in_the_plane_warns_as_numpy_does():
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 5.0])
    with pytest.warns(DeprecationWarning, match="plane"):
        y = np.cross(a, b)
    y.backward()
    np.testing.assert_array_equal(a.grad, [5.0, -3.0])
    np.testing.assert_array_equal(b.grad, [-2.0, 1.0])
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 5.0, 7.0])
    with pytest.warns(DeprecationWarning):
        y = np.cross(a, b)
    np.testing.assert_array_equal(y.data, [14.0, -7.0, -1.0])
    y.backward(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_array_equal(a.grad, [5 * 100 - 7 * 10, 7 - 3 * 100.0])


def test_multi_dot_takes_the_cheapest_order():
    """(10×100)(100×5)(5×50): 7,500 multiplications from the left, 75,000 from the right."""
    arrays = [Tensor(rng.normal(size=s)) for s in [(10, 100), (100, 5), (5, 50)]]
    y = np.linalg.multi_dot(arrays)
    assert y.node.inputs[0].value.shape == (10, 5)


@pytest.mark.parametrize("subscripts", ["ii->i", "ii->", "ij->i", "ij->"])
def test_einsum_keeps_nan_where_it_is(subscripts):
    """A NaN in the cotangent of one element reaches no other: 0 · NaN off the diagonal is 0."""
    x = Tensor(rng.normal(size=(3, 3)))
    y = np.einsum(subscripts, x)
    if y.ndim:
        y.backward(np.array([1.0, np.nan, 3.0]))
        expected = np.eye(3) if subscripts == "ii->i" else np.ones((3, 3))
        np.testing.assert_array_equal(
            np.isnan(x.grad), np.isnan([[1], [np.nan], [1]]) & (expected > 0)
        )
    else:
        y.backward()
        np.testing.assert_array_equal(
            x.grad, np.eye(3) if subscripts == "ii->" else np.ones((3, 3))
        )


@pytest.mark.parametrize(
    "args, options, error, message",
    [
        (("ij,jk->ik", 1), {}, ValueError, "describes 2 arrays, not 1"),
        (("i...->i", 2), {}, ValueError, "no '...'"),
        (("ij->ji", 2), {"dtype": np.float32}, TypeError, "dtype"),
        (("ijk->i", 2), {}, ValueError, "einstein sum"),
    ],
)
def test_einsum_errors(args, options, error, message):
    subscripts, count = args
    count = 1 if subscripts != "ij,jk->ik" else count
    with pytest.raises(error, match=message):
        np.einsum(subscripts, *[Tensor(np.ones((2, 2)))] * count, **options)


def test_multi_dot_leaves_no_cycle():
    gc.collect()
    gc.disable()
    try:
        x = Tensor(rng.normal(size=(2, 2)))
        y = np.linalg.multi_dot([x, x, x])
        alive = weakref.ref(y)
        del y
        assert alive() is None and gc.collect() == 0
    finally:
        gc.enable()


def test_matrix_power_takes_integers_only():
    with pytest.raises(TypeError, match="integer"):
        np.linalg.matrix_power(Tensor(np.eye(2)), 2.5)
    x = Tensor(np.array([[np.nan, 1.0], [0.0, 2.0]]))
    y = np.linalg.matrix_power(x, 0)
    np.testing.assert_array_equal(y.data, np.eye(2))
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, np.zeros((2, 2)))


# --- determinants -------------------------------------------------------------------------------


def adjugate(a):
    n = len(a)
    minor = [
        [np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)
    ]
    return np.array([[(-1) ** (i + j) * minor[i][j] for j in range(n)] for i in range(n)])


SINGULAR = [
    np.zeros((2, 2)),
    np.zeros((3, 3)),
    np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]),  # rank 1: the gradient is 0, not so the Hessian
    np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
    np.eye(3),
    np.diag([2.0, 0.0, 3.0, 0.5]),
    rng.normal(size=(4, 4)),
]


@pytest.mark.parametrize("a", SINGULAR)
def test_derivatives_of_det_are_exact_also_where_it_is_zero(a):
    np.testing.assert_allclose(grad(np.linalg.det)(a), adjugate(a), atol=1e-12)
    slopes = jacobian(lambda a: grad(np.linalg.det)(a))(a)
    n = len(a)
    for i in range(n):
        for j in range(n):
            e = np.zeros((n, n))
            e[i, j] = 1
            # det is linear in each element, so its cofactors are: the difference is exact
            expected = (adjugate(a + e) - adjugate(a - e)) / 2
            np.testing.assert_allclose(slopes[:, :, i, j], expected, atol=1e-11)


@pytest.mark.parametrize("a", [np.eye(3), np.eye(2), rng.normal(size=(3, 3)), 2 * np.eye(4)])
def test_third_derivative_of_det(a):
    """Right also for equal singular values, where singular vectors have no derivative."""
    u, v, w = rng.normal(size=(3, *a.shape))
    first = lambda a: np.sum(grad(np.linalg.det)(a) * u)  # noqa: E731
    second = lambda a: np.sum(grad(first)(a) * v)  # noqa: E731
    third = np.sum(grad(second)(a) * w)
    np.testing.assert_allclose(third, third_differences(np.linalg.det, a, u, v, w), atol=1e-8)


def test_det_of_a_stack_keeps_nan_in_its_matrix():
    a = np.stack([np.full((2, 2), np.nan), np.eye(2), np.full((2, 2), np.inf)])
    with np.errstate(invalid="ignore"):
        slope = grad(lambda a: np.sum(np.linalg.det(a)))(a)
    assert np.all(np.isnan(slope[[0, 2]]))
    np.testing.assert_allclose(slope[1], np.eye(2))


def test_det_of_no_rows():
    x = Tensor(np.zeros((0, 0)))
    np.linalg.det(x).backward()
    assert x.grad.shape == (0, 0)


def test_slogdet_does_not_overflow():
    a = Tensor(1e200 * np.eye(4))
    sign, logarithm = np.linalg.slogdet(a)
    logarithm.backward()
    np.testing.assert_allclose(a.grad, 1e-200 * np.eye(4))
    assert type(np.linalg.slogdet(a)) is type(np.linalg.slogdet(np.eye(1)))
    b = Tensor(np.eye(2))
    np.linalg.slogdet(b).sign.backward()
    np.testing.assert_array_equal(b.grad, np.zeros((2, 2)))


# --- factorizations -----------------------------------------------------------------------------


def test_results_keep_their_names():
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    for f in (np.linalg.eigh, np.linalg.svd, np.linalg.qr, np.linalg.slogdet):
        result, expected = f(Tensor(a)), f(a)
        assert type(result) is type(expected)
        for y, e in zip(result, expected, strict=True):
            np.testing.assert_allclose(y.data, e)
    wide = np.linalg.qr(Tensor(rng.normal(size=(2, 3))))
    assert type(wide) is type(np.linalg.qr(a))
    assert type(np.linalg.svd(Tensor(a), hermitian=True)) is type(np.linalg.svd(a))


def test_a_symmetric_argument_has_a_gradient_in_the_triangle_that_is_read():
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    for f, lower in [
        (np.linalg.cholesky, True),
        (lambda a: np.linalg.cholesky(a, upper=True), False),
        (np.linalg.eigvalsh, True),
        (lambda a: np.linalg.eigvalsh(a, "U"), False),
    ]:
        slope = grad(lambda a, f=f: np.sum(f(a) * np.arange(1, f(a).size + 1).reshape(f(a).shape)))(
            a
        )
        assert np.all((np.triu(slope, 1) == 0) if lower else (np.tril(slope, -1) == 0))
    # of a symmetric product both conventions give the same
    x = rng.normal(size=(3, 3))
    logdet = lambda x: 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(x @ x.T))))  # noqa: E731
    np.testing.assert_allclose(grad(logdet)(x), 2 * np.linalg.inv(x).T)


@pytest.mark.parametrize("a", [np.eye(3), np.diag([1.0, 2.0, 2.0]), np.zeros((2, 2))])
def test_equal_eigenvalues_have_finite_right_gradients(a):
    """Of functions that do not tell equal eigenvalues apart: the sum of their squares."""
    slope = grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(a)
    np.testing.assert_allclose(slope, 2 * a, atol=1e-14)
    second = hessian(lambda a: np.sum(np.linalg.eigvalsh(a)))(a)
    np.testing.assert_array_equal(second, np.zeros_like(second))
    w, v = np.linalg.eigh(Tensor(a))
    assert w.shape == (len(a),)
    np.testing.assert_allclose(
        grad(lambda a: np.sum(np.linalg.eigh(a)[0]))(a), np.eye(len(a)), atol=1e-15
    )


@pytest.mark.parametrize("a", [np.eye(3), np.diag([2.0, 2.0, 1.0]), np.eye(3, 2), np.eye(2, 3)])
def test_equal_singular_values_have_finite_right_gradients(a):
    slope = grad(lambda a: np.sum(np.linalg.svdvals(a) ** 2))(a)
    np.testing.assert_allclose(slope, 2 * a, atol=1e-14)
    slope = grad(lambda a: np.linalg.norm(a, "nuc"))(a)
    np.testing.assert_allclose(slope, np.eye(*a.shape), atol=1e-14)
    for y in np.linalg.svd(Tensor(a), full_matrices=False):
        assert np.all(np.isfinite(gradients(np.sum(y), y)))


@pytest.mark.parametrize("p", [None, 2, -2])
def test_the_condition_number_of_a_singular_matrix_is_what_numpy_says(p):
    """Infinity, or 0 for p = -2: by singular values, without an inverse that does not exist."""
    a = np.diag([2.0, 1.0, 0.0])
    assert np.linalg.cond(Tensor(a), p).item() == np.linalg.cond(a, p)


def test_a_zero_singular_value_gives_no_infinity():
    a = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    slope = grad(lambda a: np.sum(np.linalg.svdvals(a) ** 2))(a)
    np.testing.assert_allclose(slope, 2 * a, atol=1e-14)
    assert np.all(np.isfinite(grad(lambda a: np.linalg.norm(a, 2))(np.zeros((3, 2)))))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a: np.linalg.qr(a, "complete"), "reduced"),
        (lambda a: np.linalg.qr(a, "raw"), "raw"),
        (lambda a: np.linalg.svd(a), "full_matrices=False"),
        (lambda a: np.linalg.eig(a[:2]), "no derivative rule"),
        (lambda a: np.linalg.trace(a, dtype=np.float32), "dtype"),
        (lambda a: np.dot(a, a.T, out=np.zeros((3, 3))), "out="),
    ],
)
def test_what_is_not_differentiable_says_so(call, message):
    with pytest.raises(TypeError, match=message):
        call(Tensor(rng.normal(size=(3, 2))))


def test_the_rank_is_plain():
    a, b = Tensor(rng.normal(size=(4, 2))), rng.normal(size=4)
    assert np.linalg.matrix_rank(a) == 2
    x, residuals, rank, s = np.linalg.lstsq(a, b)
    assert type(rank) is np.intc and rank == 2
    assert residuals.shape == (1,)
    deficient = Tensor(np.ones((4, 2)))
    assert np.linalg.lstsq(deficient, b)[1].shape == (0,)
    np.testing.assert_allclose(
        np.linalg.lstsq(deficient, b)[0].data, np.linalg.lstsq(deficient.data, b)[0]
    )


def test_least_squares_by_normal_equations():
    a, b = rng.normal(size=(6, 3)), rng.normal(size=6)

    def normal(a, b):
        return np.sum(np.linalg.solve(a.T @ a, a.T @ b) ** 3)

    def direct(a, b):
        return np.sum(np.linalg.lstsq(a, b)[0] ** 3)

    for expected, found in zip(grad(normal, (0, 1))(a, b), grad(direct, (0, 1))(a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# --- norms --------------------------------------------------------------------------------------

ORDERS = [None, 1, 2, 3, 2.5, np.inf]


@pytest.mark.parametrize("ord", ORDERS)
def test_a_norm_at_zero_has_gradient_zero(ord):
    zero = np.zeros(3)
    f = lambda x: np.linalg.norm(x, ord)  # noqa: E731
    np.testing.assert_array_equal(grad(f)(zero), zero)
    np.testing.assert_array_equal(hessian(f)(zero), np.zeros((3, 3)))
    rows = np.array([[0.0, 0.0], [3.0, 4.0]])
    slope = grad(lambda x: np.sum(np.linalg.norm(x, ord, axis=1)))(rows)
    np.testing.assert_array_equal(slope[0], [0.0, 0.0])
    assert np.all(np.isfinite(slope))


def test_norms_in_closed_form():
    x = np.array([3.0, -4.0])
    np.testing.assert_allclose(grad(np.linalg.norm)(x), x / 5)
    np.testing.assert_allclose(hessian(np.linalg.norm)(x), (np.eye(2) - np.outer(x, x) / 25) / 5)
    np.testing.assert_array_equal(grad(lambda x: np.linalg.norm(x, 1))(x), [1.0, -1.0])
    np.testing.assert_array_equal(grad(lambda x: np.linalg.norm(x, np.inf))(x), [0.0, -1.0])
    ties = np.array([2.0, -2.0, 1.0])
    np.testing.assert_array_equal(grad(lambda x: np.linalg.norm(x, np.inf))(ties), [0.5, -0.5, 0])
    np.testing.assert_array_equal(grad(lambda x: np.linalg.norm(x, 0))(x), [0.0, 0.0])


def test_norms_of_a_stack_keep_nan_in_their_row():
    x = np.array([[np.nan, 1.0], [3.0, 4.0]])
    slope = grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(x)
    assert np.all(np.isnan(slope[0]))
    np.testing.assert_allclose(slope[1], [0.6, 0.8])


@pytest.mark.parametrize(
    "args, error, message",
    [
        ((np.ones((2, 2)), "cube"), ValueError, "'cube'"),
        ((np.ones((2, 2)), 3), ValueError, "order 3 for matrices"),
        ((np.ones(2), "fro"), ValueError, "'fro' for vectors"),
        ((np.ones((2, 2, 2)), 2), ValueError, "one axis or two, not 3"),
        ((np.ones((2, 2)), None, 2), np.exceptions.AxisError, "axis"),
        ((np.ones((2, 2)), None, (0, -2)), ValueError, "twice"),
    ],
)
def test_norm_errors(args, error, message):
    x, *rest = args
    with pytest.raises(error, match=message):
        np.linalg.norm(Tensor(x), *rest)


# --- float32, for the operations with several results -------------------------------------------


@pytest.mark.parametrize("f", ["eigh", "qr", "svd", "slogdet"])
def test_pushes_and_pulls_of_several_results_stay_in_float32(f):
    a = np.float32([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    operation = {"qr": linalg._qr, "svd": linalg._svd}.get(f) or registry[getattr(np.linalg, f)]
    y = operation.forward(a)
    g = [np.ones_like(part) for part in y]
    assert operation.pulls[0](g, y, a).dtype == np.float32
    assert {part.dtype for part in operation.pushes[0](a, y, a)} == {np.dtype(np.float32)}
