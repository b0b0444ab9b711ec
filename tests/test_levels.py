"""Transformations inside transformations, silence inside levels, and threads."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest

import autograd
from autograd import (
    Tensor,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    stop_gradient,
    value_and_grad,
    vjp,
)

# --- perturbation confusion --------------------------------------------------------------------


def test_a_plain_inner_point():
    """d/dx [x · d/dy (x·y)] at (3, y = 2) is d/dx x² = 6."""
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6.0


def test_mixed_second_derivative():
    """d/dx d/dy x·y is 1."""
    assert grad(lambda x: grad(lambda y: x * y)(2.0))(3.0) == 1.0


def test_the_sum_that_a_confused_library_gets_wrong():
    """d/dx [x · d/dy (x + y)] is 1, not 2 (Siskind & Pearlmutter 2005)."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0


ORDERS = {
    "x·y·y": lambda x, y: x * y * y,
    "y·y·x": lambda x, y: y * y * x,
    "y·x·y": lambda x, y: y * x * y,
    "x·(y·y)": lambda x, y: x * (y * y),
    "(y·y)·x": lambda x, y: (y * y) * x,
    "np.multiply": lambda x, y: np.multiply(np.multiply(y, x), y),
    "y²·x": lambda x, y: y**2 * x,
    "x / y^-2": lambda x, y: x / y**-2,
    "y^-2 below": lambda x, y: 1 / (y**-2 / x),
    "stack": lambda x, y: np.prod(np.stack([x, y, y])),
    "stack, y first": lambda x, y: np.prod(np.stack([y, x, y])),
    "stack with numbers": lambda x, y: np.stack([1.0, x, y, y])[1:].prod(),
    "concatenate": lambda x, y: np.prod(np.concatenate([np.reshape(v, 1) for v in (x, y, y)])),
    "where": lambda x, y: np.where(True, x * y, 0.0) * np.where(False, x, y),
    "where, both": lambda x, y: np.prod(np.where([True, False, False], x, y)),
    "einsum": lambda x, y: np.einsum(",,->", x, y, y),
    "einsum, y first": lambda x, y: np.einsum(",,->", y, y, x),
    "matmul": lambda x, y: np.stack([x, x]) @ np.stack([y * y / 2, y * y / 2]),
    "matmul, y first": lambda x, y: np.stack([y, y]) @ np.stack([y, y]) * x / 2,
    "clip": lambda x, y: np.clip(x, 0.0, 100.0) * np.clip(y, -100.0, 100.0 + x) * y,
    "clip by a bound": lambda x, y: np.clip(1e9, a_min=0.0, a_max=x) * y * y,
    "maximum": lambda x, y: np.maximum(x, -y) * np.maximum(-x, y) * y,
    "average": lambda x, y: np.average(np.stack([y, y]), weights=np.stack([x, x])) * y * x,
    "indexing": lambda x, y: np.stack([x, y])[0] * np.stack([x, y])[1] * np.stack([y, x])[0],
    "assignment": lambda x, y: assigned(x, y),
    "inner closure": lambda x, y: (lambda a: a * y)(x) * y,
    "augmented": lambda x, y: augmented(x, y),
}  # fmt: skip


def assigned(x, y):
    t = Tensor(np.zeros(3)).detach()
    t[0] = x
    t[1] = y
    t[2] = y
    return t[0] * t[1] * t[2]


def augmented(x, y):
    t = 1.0
    for v in (y, x, y):
        t *= v
    return t


@pytest.mark.parametrize("form", ORDERS)
def test_every_form_of_x_y_y(form):
    """All of these are x·y²: both mixed derivatives, and both pure ones, by nesting."""
    f, x, y = ORDERS[form], 3.0, 2.0
    np.testing.assert_allclose(grad(lambda x: grad(lambda y: f(x, y))(y))(x), 2 * y)
    np.testing.assert_allclose(grad(lambda y: grad(lambda x: f(x, y))(x))(y), 2 * y)
    np.testing.assert_allclose(grad(lambda y: grad(lambda y: f(x, y))(y))(y), 2 * x)
    np.testing.assert_allclose(grad(lambda x: grad(lambda x: f(x, y))(x))(x), 0.0)
    np.testing.assert_allclose(grad(lambda x: x * grad(lambda y: f(x, y))(y))(x), 4 * x * y)
    np.testing.assert_allclose(grad(lambda x: x * grad(lambda y: f(y, x))(y))(x), 3 * x * x)


@pytest.mark.parametrize("form", ORDERS)
def test_every_form_with_the_inner_point_depending_on_the_outer(form):
    """d/dx [∂f/∂y at (x, y = x²)] for f = x·y²: 2·x·x² = 2x³, so 6x²."""
    f = ORDERS[form]
    outer = grad(lambda x: grad(lambda y: f(x, y))(x * x))
    np.testing.assert_allclose(outer(3.0), 6 * 9.0)


def test_three_levels_with_closures_over_all_outer_variables():
    """∂³/∂x∂y∂z of x²y³z⁴, every factor mentioned at the innermost level."""

    def at(x, y, z):
        return grad(
            lambda x: grad(lambda y: grad(lambda z: (z**2 * x) * (y**3 * z) * (x * z))(z))(y)
        )(x)

    x, y, z = 1.5, 0.7, 1.2
    np.testing.assert_allclose(at(x, y, z), 2 * x * 3 * y**2 * 4 * z**3)


def test_three_levels_each_multiplied_by_its_own_variable():
    """D[x · D[y · D[x y z]_z]_y]_x: d/dz gives xy; d/dy(y·xy) = 2xy; d/dx(x·2xy) = 4xy."""

    def f(x, y, z):
        return grad(lambda x: x * grad(lambda y: y * grad(lambda z: x * y * z)(z))(y))(x)

    np.testing.assert_allclose(f(3.0, 5.0, 7.0), 4 * 3.0 * 5.0)


def test_an_inner_variable_that_shadows_nothing():
    """The inner derivative ignores the outer variable where it does not occur."""
    assert grad(lambda x: grad(lambda y: y * y)(2.0) * x)(3.0) == 4.0
    assert grad(lambda x: grad(lambda y: x * x)(2.0) + x)(3.0) == 1.0


@pytest.mark.parametrize(("order", "expected"), list(enumerate([16, 32, 48, 48, 24, 0])))
def test_derivatives_of_any_order(order, expected):
    f = lambda x: x**4  # noqa: E731
    for _ in range(order):
        f = grad(f)
    assert f(2.0) == expected


def test_sixth_derivative_of_a_composition():
    """d⁶/dx⁶ e^(2x) = 64 e^(2x)."""
    f = lambda x: np.exp(2.0 * x)  # noqa: E731
    for _ in range(6):
        f = grad(f)
    np.testing.assert_allclose(f(0.3), 64 * np.exp(0.6), rtol=1e-12)


def test_each_transformation_in_each():
    """All ways to the matrix of second derivatives of Σ x³ + x₀x₁ agree."""
    x = np.array([1.0, 2.0])
    f = lambda x: np.sum(x**3) + x[0] * x[1]  # noqa: E731
    expected = np.array([[6.0, 1.0], [1.0, 12.0]])

    def rows(x):
        _, pull = vjp(grad(f), x)
        return np.stack([pull(row)[0] for row in np.eye(2)])

    for found in (
        hessian(f)(x), jacobian(grad(f))(x), rows(x),
        np.stack([hvp(f, (x,), (row,))[0] for row in np.eye(2)]),
        np.stack([grad(lambda x, row=row: grad(f)(x) @ row)(x) for row in np.eye(2)]),
        jacobian(lambda x: value_and_grad(f)(x)[1])(x), jacobian(lambda x: vjp(f, x)[1](1.0)[0])(x),
    ):  # fmt: skip
        np.testing.assert_allclose(found, expected)


def test_a_pull_of_an_outer_vjp_inside_a_grad():
    """The cotangent may belong to a level that did not exist when the function was recorded."""
    _, pull = vjp(lambda x: x**2, 3.0)
    assert grad(lambda c: pull(c)[0] * c)(5.0) == 2 * 6.0 * 5.0


def test_derivative_by_the_seed_of_an_outer_graph():
    x = Tensor(3.0)
    y = x**2
    assert grad(lambda c: gradients(y, x, seed=c))(1.0) == 6.0


def test_gradients_with_a_record_inside_a_transformation():
    """d/dx of [d(x³)/dx]² on the inner graph is 2·3x²·6x."""

    def f(x):
        (slope,) = gradients(x**3, [x], record=True)
        return slope * slope

    assert grad(f)(2.0) == 2 * 12.0 * 12.0


def test_jacobian_of_a_jacobian():
    x = np.array([1.0, 2.0])
    found = jacobian(jacobian(lambda x: x**3))(x)
    expected = np.zeros((2, 2, 2))
    expected[[0, 1], [0, 1], [0, 1]] = 6 * x
    np.testing.assert_allclose(found, expected)


# --- a user's Tensors inside transformations ---------------------------------------------------


def test_a_captured_tensor_is_differentiated_by_backward():
    """w belongs to level 0: grad(f)'s result depends on it, and backward finds that."""
    w = Tensor(5.0, name="w")
    slope = grad(lambda x: w * w * x**2)(3.0)
    assert isinstance(slope, Tensor) and slope.item() == 150.0
    slope.backward()
    assert w.grad == 2 * 5.0 * 6.0


def test_a_captured_array_is_differentiated_by_backward():
    w = Tensor(np.array([1.0, 2.0]))
    slope = grad(lambda x: np.sum(w * np.sin(x)) + x @ w)(np.array([0.1, 0.2]))
    np.sum(slope * slope).backward()
    scale = np.cos([0.1, 0.2]) + 1
    np.testing.assert_allclose(w.grad, 2 * w.data * scale**2)


def test_a_tensor_as_argument_is_differentiated_by_backward():
    x = Tensor(2.0)
    slope = grad(lambda t: t**3)(x)
    slope.backward()
    assert slope.item() == 12.0 and x.grad == 12.0


def test_gradient_penalty():
    """‖∂f/∂x‖² trained by backward, as for Wasserstein critics."""
    w, x = Tensor(np.array([1.0, -2.0])), np.array([0.3, 0.4])
    penalty = np.sum(grad(lambda x: np.sum(np.tanh(w * x)))(x) ** 2)
    penalty.backward()
    h, numeric = 1e-6, []
    for e in np.eye(2):
        f = [np.sum((v * (1 - np.tanh(v * x) ** 2)) ** 2) for v in (w.data + h * e, w.data - h * e)]
        numeric.append((f[0] - f[1]) / (2 * h))
    np.testing.assert_allclose(w.grad, numeric, rtol=1e-7)


def test_a_transformation_leaves_gradients_of_captured_tensors_alone():
    w = Tensor(5.0)
    grad(lambda x: w * x)(3.0)
    hessian(lambda x: w * x**2)(3.0)
    assert w.grad is None


def test_backward_inside_a_transformation_is_refused_with_the_way():
    def f(x):
        (x * x).backward()
        return x

    with pytest.raises(ValueError, match="return the value instead"):
        grad(f)(3.0)


def test_backward_of_the_users_own_graph_inside_a_transformation():
    w = Tensor(5.0)

    def f(x):
        (w * w).backward()
        return x * x

    assert grad(f)(3.0) == 6.0 and w.grad == 10.0


def test_a_constant_tensor_inside_a_transformation_is_plain():
    c = Tensor(np.array([1.0, 2.0])).detach()
    slope = grad(lambda x: np.sum(c * x * x))(np.array([3.0, 4.0]))
    assert type(slope) is np.ndarray
    np.testing.assert_array_equal(slope, [6, 16])


def test_detach_inside_levels_cuts_all_of_them():
    assert grad(lambda x: x * grad(lambda y: y * stop_gradient(x * y))(x))(3.0) == 9.0


def test_a_leaked_inner_value_is_harmless():
    """A Tensor of a finished level is not taken for one of the current level."""
    leaked = []

    def f(x):
        leaked.append(x * x)
        return x

    grad(f)(3.0)
    assert grad(lambda y: y * y)(2.0) == 4.0
    assert grad(lambda y: y * stop_gradient(leaked[0]))(2.0) == 9.0


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_that_would_lose_the_derivative_is_refused(duplicate):
    with pytest.raises(TypeError, match="lose its derivative; use np.copy"):
        grad(lambda x: duplicate(x) ** 2)(3.0)
    with pytest.raises(TypeError, match="lose its derivative; use np.copy"):
        jvp(lambda x: duplicate(x) ** 2, (3.0,), (1.0,))
    assert grad(lambda x: x.copy() ** 2)(3.0) == 6.0
    assert jvp(lambda x: x.copy() ** 2, (3.0,), (1.0,)) == (9.0, 6.0)


def test_a_function_that_assigns_to_elements_of_its_argument():
    """x ↦ Σ (10 x₁, x₁)²: the derivative is by what the argument was when f was called."""
    x = np.array([1.0, 2.0])

    def f(x):
        x[0] = 10.0 * x[1]
        return np.sum(x * x)

    np.testing.assert_allclose(grad(f)(x), [0.0, 404.0])
    np.testing.assert_allclose(vjp(f, x)[1](2.0)[0], [0.0, 808.0])
    np.testing.assert_allclose(hessian(f)(x), [[0.0, 0.0], [0.0, 202.0]])
    np.testing.assert_array_equal(x, [1.0, 2.0])


# --- a handle's new node does not reach what was recorded with the old one ------------------------


def assign_element(t):
    t[0] = 100.0


def assign_data(t):
    t.data = np.array([100.0, 100.0])


@pytest.mark.parametrize("change", [assign_element, assign_data])
def test_a_captured_tensor_changed_after_its_use(change):
    """The derivative of x * w by x is the w that was multiplied, whatever w becomes."""
    w = Tensor([1.0, 2.0])

    def f(x):
        y = x * w
        change(w)
        return np.sum(y)

    assert grad(f)(np.ones(2)).data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("change", [assign_element, assign_data])
def test_the_point_of_a_vjp_changed_before_its_pull(change):
    w = Tensor([1.0, 2.0])
    _, pull = vjp(lambda x: x * x, w)
    change(w)
    assert pull(np.ones(2))[0].data.tolist() == [2.0, 4.0]


def test_the_result_of_a_vjp_changed_before_its_pull():
    y, pull = vjp(np.exp, Tensor([0.0, 0.0]))
    y[0] = 100.0
    assert pull(np.ones(2))[0].data.tolist() == [1.0, 1.0]


def test_the_data_of_a_result_changed():
    def f(x):
        y = np.exp(x)
        y.data[0] = 100.0
        return np.sum(y)

    assert grad(f)(Tensor([0.0, 0.0])).data.tolist() == [1.0, 1.0]


def test_cotangents_that_are_tensors_have_handles_of_their_own():
    c = Tensor([1.0, 2.0])
    _, pull = vjp(lambda a, b: a + b, np.ones(2), np.ones(2))
    a, b = pull(c)
    a[0] = 100.0
    assert b.data.tolist() == c.data.tolist() == [1.0, 2.0]


# --- silence -----------------------------------------------------------------------------------


def test_no_grad_in_a_level_cuts_that_level():
    def f(x):
        with no_grad():
            c = x * x
        return x * c

    assert grad(f)(3.0) == 9.0


def test_no_grad_in_an_inner_level_cuts_the_outer_too():
    def f(x):
        def inner(y):
            with no_grad():
                c = x * y
            return c * y * x

        return grad(inner)(2.0)

    # c = 6 is a constant: d/dy (6·y·x) = 6x, d/dx = 6
    assert grad(f)(3.0) == 6.0


def test_a_level_started_inside_no_grad_records():
    def f(x):
        with no_grad():
            c = grad(lambda y: y**3 * x)(2.0)  # 12 x, without history for x
        return c * x

    assert grad(f)(3.0) == 36.0


def test_an_inner_transformation_inside_no_grad_nests():
    with no_grad():
        assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6.0
        np.testing.assert_allclose(hessian(lambda x: np.sum(x**3))(np.ones(2)), 6 * np.eye(2))


def test_no_grad_silences_a_captured_tensor_not_the_level():
    w = Tensor(5.0)
    with no_grad():
        slope = grad(lambda x: w * x * x)(3.0)
    assert not (isinstance(slope, Tensor) and slope.requires_grad)
    assert float(slope) == 30.0


# --- threads -----------------------------------------------------------------------------------


def work(seed):
    """A training loop, second derivatives and silence, from a seed."""
    rng = np.random.default_rng(seed)
    w, x = Tensor(rng.normal(size=(4, 3))), rng.normal(size=(5, 4))
    for _ in range(30):
        w.grad = None
        np.mean(np.tanh(x @ w) ** 2).backward()
        with no_grad():
            w -= 0.1 * w.grad
    a = rng.normal(size=3)
    second = hessian(lambda a: np.sum(np.sin(a) * a[0]))(a)
    with no_grad():
        silent = w * 2.0
        nested = grad(lambda s: s * grad(lambda t: s * t * t)(2.0))(float(a[0]))
    return w.data.copy(), second, nested, silent.requires_grad, (w * 2.0).requires_grad


def test_eight_threads_give_the_serial_results():
    expected = [work(seed) for seed in range(8)]
    found, errors = [None] * 8, []
    barrier = threading.Barrier(8)

    def run(seed):
        try:
            barrier.wait()
            found[seed] = work(seed)
        except BaseException as error:  # noqa: B036 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for mine, theirs in zip(expected, found, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
        assert theirs[3:] == (False, True)


def test_threads_share_a_graph():
    """Walking writes nothing into the graph: several threads may walk one."""
    x = Tensor(np.linspace(0.1, 1, 50))
    y = x
    for _ in range(100):
        y = np.sin(y) * x
    y = np.sum(y)
    expected = gradients(y, x)
    found = [None] * 8

    def run(i):
        found[i] = gradients(y, x)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for g in found:
        np.testing.assert_array_equal(g, expected)


def test_threads_write_their_own_arrays_while_others_walk():
    """Writes are noticed across the process; walks are not disturbed by those of other threads."""
    errors, switch = [], sys.getswitchinterval()

    def walk():
        try:
            for _ in range(300):
                x = Tensor(np.linspace(0, 1, 5))
                y = np.sum(np.sin(x) * x)
                Tensor(np.ones(3)).data[...] = 0.0
                y.backward()
                np.testing.assert_allclose(x.grad, np.sin(x.data) + x.data * np.cos(x.data))
        except BaseException as error:  # noqa: B036 - shown by the assertion
            errors.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=walk) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not errors


def test_the_count_of_silences_comes_back_to_zero():
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert autograd.graph.silencers == 0
