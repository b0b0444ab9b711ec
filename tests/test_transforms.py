"""The transformations: what they accept, and what they return in value, structure and type."""

from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest

import nn
from autograd import (
    Tensor,
    check_gradients,
    elementwise_grad,
    general,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from autograd.primitive import registry

Point = namedtuple("Point", "x y")
A, B = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 0.5, -1.0], [2.0, 0.0, 3.0]])
for shared in (A, B):
    shared.flags.writeable = False


def equal(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def affine(w, x, b=0.0):
    """Σ (w x + b)²: a function of three arguments."""
    return np.sum((w @ x + b) ** 2)


# --- argnums -----------------------------------------------------------------------------------


def test_argnums_choose_the_arguments():
    r = B @ A + 0.5
    by_w, by_x, by_b = 2 * np.outer(r, A), 2 * B.T @ r, 2 * r.sum()
    close(grad(affine)(B, A, 0.5), by_w)
    close(grad(affine, 1)(B, A, 0.5), by_x)
    close(grad(affine, argnums=2)(B, A, 0.5), by_b)
    close(grad(affine, -1)(B, A, 0.5), by_b)
    found = grad(affine, (2, 0))(B, A, 0.5)
    assert type(found) is tuple and len(found) == 2
    close(found[0], by_b)
    close(found[1], by_w)
    (only,) = grad(affine, (1,))(B, A, 0.5)
    close(only, by_x)


def test_a_numpy_integer_is_an_int():
    close(grad(affine, np.int64(1))(B, A), 2 * B.T @ (B @ A))


def test_keyword_arguments_are_passed_on():
    close(grad(affine)(B, A, b=0.5), grad(affine)(B, A, 0.5))
    assert grad(lambda x, *, power: x**power)(3.0, power=2) == 6.0


@pytest.mark.parametrize("transform", [elementwise_grad, jacobian, hessian, value_and_grad])
def test_every_transformation_takes_argnums(transform):
    single = transform(affine, 1)(B, A, 0.5)
    several = transform(affine, (1,))(B, A, 0.5)
    if transform is value_and_grad:
        assert single[0] == several[0]
        single, several = single[1], several[1]
    found = several[0][0] if transform is hessian else several[0]
    close(found, single)


# --- grad and value_and_grad -------------------------------------------------------------------


def test_value_and_grad():
    value, slope = value_and_grad(affine, 1)(B, A)
    assert value == np.sum((B @ A) ** 2)
    close(slope, 2 * B.T @ B @ A)


def test_the_function_is_called_once():
    calls = []

    def f(x):
        calls.append(x)
        return x * x

    value_and_grad(f)(2.0)
    grad(f)(2.0)
    assert len(calls) == 2


def test_float_in_float_out():
    for found in (
        grad(lambda x: x**3)(2.0), grad(lambda x: np.sum(x * A))(2.0), grad(grad(np.sin))(0.5),
        elementwise_grad(np.exp)(1.0), hessian(lambda x: x**3)(2.0), jacobian(np.cos)(1.0),
        vjp(np.sin, 1.0)[1](1.0)[0], hvp(lambda x: x**3, (2.0,), (1.0,))[0],
        grad(lambda x, y: x)(1.0, 2.0), grad(lambda x, y: y, 0)(1.0, 2.0),
        value_and_grad(np.sin)(1.0)[0],
    ):  # fmt: skip
        assert type(found) is float


def test_integers_become_floats():
    assert grad(lambda x: x**2)(3) == 6.0 and type(grad(lambda x: x**2)(3)) is float
    assert grad(lambda xs: xs[0] * xs[1])([2, 3]) == [3.0, 2.0]
    assert grad(lambda d: d["a"] ** 2)({"a": 4}) == {"a": 8.0}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_have_the_arguments_type_and_shape(dtype):
    x, w = np.ones((2, 3), dtype), np.ones(3)
    gx, gw = grad(lambda x, w: np.sum(np.exp(x) * w), (0, 1))(x, w)
    assert gx.dtype == dtype and gx.shape == (2, 3) and type(gx) is np.ndarray
    assert gw.dtype == np.float64 and gw.shape == (3,)
    assert jacobian(lambda x: x * x)(x).dtype == dtype
    assert hessian(lambda x: np.sum(x**3))(x[0]).dtype == dtype
    assert elementwise_grad(np.sin)(x).dtype == dtype


def test_an_array_without_axes_gives_one():
    found = grad(lambda x: x * x)(np.array(3.0, np.float32))
    assert found.shape == () and found.dtype == np.float32 and found == 6


def test_empty_arrays():
    assert grad(np.sum)(np.zeros((0, 3))).shape == (0, 3)
    assert jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)
    assert jacobian(lambda x: x[:0])(np.zeros(3, np.float32)).shape == (0, 3)
    assert jacobian(lambda x: x[:0])(np.zeros(3, np.float32)).dtype == np.float32


def test_one_element_of_any_shape_is_a_number():
    equal(grad(lambda x: x[:, None][:1] * 2)(np.ones(3)), [2, 0, 0])


def test_arguments_are_not_changed():
    a = A.copy()
    grad(lambda x: np.sum(x * x))(a)
    hessian(lambda x: np.sum(x * x))(a)
    equal(a, A)


def test_the_gradients_name_and_docstring_are_the_functions():
    def loss(x):
        """How far off."""
        return x

    for made in (grad(loss), value_and_grad(loss), elementwise_grad(loss), jacobian(loss)):
        assert made.__name__ == "loss" and made.__doc__ == "How far off."


def test_any_callable_can_be_differentiated():
    class Quadratic:
        def __call__(self, x):
            return x * x

        def method(self, x):
            return x * x * x

    assert grad(Quadratic())(3.0) == 6.0
    assert grad(Quadratic().method)(2.0) == 12.0
    assert grad(partial(lambda y, x: x * y, 5.0))(3.0) == 5.0
    assert grad(np.square)(3.0) == 6.0


# --- zero gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x", [2.0, A, A.astype(np.float32), np.array(1.0), {"a": A, "b": [1.0]}], ids=repr
)
def test_what_is_not_used_has_a_zero_gradient_of_its_shape_and_type(x):
    used = grad(lambda x, y: y * y, (0, 1))(x, 3.0)
    assert used[1] == 6.0
    for found in (used[0], grad(lambda x: 1.0)(x), grad(lambda x: np.float64(2.0))(x)):
        if isinstance(x, dict):
            assert found["b"] == [0.0] and type(found["b"][0]) is float
            equal(found["a"], np.zeros(3))
        elif isinstance(x, float):
            assert found == 0.0 and type(found) is float
        else:
            assert found.shape == x.shape and found.dtype == x.dtype and not found.any()


def test_what_is_used_in_parts_has_zeros_elsewhere():
    equal(grad(lambda x: x[1] ** 2)(A), [0, 4, 0])
    assert grad(lambda p: p[0] * p[2])((2.0, 3.0, 4.0)) == (4.0, 0.0, 2.0)


def test_functions_without_a_derivative_give_zero():
    equal(grad(lambda x: np.sum(np.sign(x)))(A), np.zeros(3))
    equal(grad(lambda x: x[np.argmax(x)])(A), [0, 0, 1])
    assert grad(lambda x: float(np.argmax(A)))(2.0) == 0.0
    equal(grad(lambda x: np.sum(stop_gradient(x)))(A), np.zeros(3))


def test_the_hessian_of_a_linear_function_is_zero():
    equal(hessian(lambda x: x @ A)(A), np.zeros((3, 3)))
    assert hessian(lambda x: 3.0 * x)(2.0) == 0.0
    equal(hvp(lambda x: x @ A, (A,), (A,))[0], np.zeros(3))


def test_zero_of_a_tensor_argument():
    """A level-0 argument that is not used has a zero gradient too."""
    found = grad(lambda x: 3.0)(Tensor(A))
    equal(found, np.zeros(3))
    assert float(grad(lambda x: 3.0)(Tensor(2.0))) == 0.0


# --- containers --------------------------------------------------------------------------------

TREES = {
    "list": [A, 2.0],
    "tuple": (A, 2.0),
    "namedtuple": Point(A, 2.0),
    "dict": {"x": A, "y": 2.0},
    "ordered dict": OrderedDict(y=2.0, x=A),
    "None inside": [None, A, None, 2.0],
    "nested": {"layers": [{"w": A, "b": 2.0}, None], "point": Point((A,), [2.0])},
    "empty containers": [[], {}, (), A],
    "number keys": {0: A, 1: {2: 2.0}},
}


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [] if tree is None else [tree]


def same_structure(a, b):
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same_structure, a.values(), b.values()))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same_structure, a, b))
    return (a is None) == (b is None)


def squares(tree):
    return sum(np.sum(leaf * leaf) for leaf in leaves(tree))


@pytest.mark.parametrize("case", TREES)
def test_gradients_have_the_structure_of_the_arguments(case):
    tree = TREES[case]
    found = grad(squares)(tree)
    assert same_structure(tree, found)
    for g, x in zip(leaves(found), leaves(tree), strict=True):
        equal(g, 2 * x)
        assert type(g) is type(x)


@pytest.mark.parametrize("case", TREES)
def test_results_may_be_containers(case):
    """vjp and jacobian of x ↦ tree of x·leaf."""
    tree = TREES[case]

    def scaled(x, t=tree):
        if isinstance(t, dict):
            return {k: scaled(x, v) for k, v in t.items()}
        if isinstance(t, tuple) and hasattr(t, "_fields"):
            return type(t)(*(scaled(x, v) for v in t))
        if isinstance(t, (list, tuple)):
            return type(t)(scaled(x, v) for v in t)
        return None if t is None else x * t

    value, pull = vjp(scaled, 3.0)
    assert same_structure(tree, value)
    for v, leaf in zip(leaves(value), leaves(tree), strict=True):
        equal(v, 3.0 * leaf)
    (found,) = pull(tree)
    close(found, squares(tree))
    blocks = jacobian(scaled)(3.0)
    assert same_structure(tree, blocks)
    for block, leaf in zip(leaves(blocks), leaves(tree), strict=True):
        equal(block, leaf)


def test_jacobian_of_containers_by_containers():
    """The tree of the results' trees of the arguments' blocks."""
    found = jacobian(lambda p: {"s": p["a"] @ A, "v": [p["b"] * A]})({"a": A, "b": 2.0})
    assert list(found) == ["s", "v"] and list(found["s"]) == ["a", "b"]
    equal(found["s"]["a"], A)
    equal(found["s"]["b"], 0)
    equal(found["v"][0]["a"], np.zeros((3, 3)))
    equal(found["v"][0]["b"], A)


def test_hessian_of_several_arguments():
    """f = a² b + Σ c a: blocks by every pair."""
    found = hessian(lambda a, b, c: a * a * b + np.sum(c) * a, (0, 1, 2))(2.0, 5.0, A)
    assert found[0][0] == 10.0 and found[0][1] == 4.0 == found[1][0] and found[1][1] == 0.0
    equal(found[0][2], [1, 1, 1])
    equal(found[2][0], [1, 1, 1])
    equal(found[2][2], np.zeros((3, 3)))


def test_elementwise_grad_of_containers():
    found = elementwise_grad(lambda p: [p["x"] ** 2, p["y"] * 3.0])({"x": A, "y": 1.0})
    equal(found["x"], 2 * A)
    assert found["y"] == 3.0


def test_hvp_of_containers():
    p, v = {"x": A, "y": 2.0}, {"x": np.ones(3), "y": -1.0}
    (found,) = hvp(lambda p: np.sum(p["x"] ** 3) * p["y"], (p,), (v,))
    close(found["x"], 6 * A * 2.0 * 1 + 3 * A**2 * -1.0)
    close(found["y"], np.sum(3 * A**2))


# --- modules -----------------------------------------------------------------------------------


class Net(nn.Module):
    """y = factor · (W x) + a frozen shift."""

    def __init__(self):
        self.inner = nn.Linear(3, 2, bias=False, dtype=np.float64)
        self.factor = nn.Parameter(2.0)
        self.frozen = nn.Parameter(np.ones(2))
        self.frozen.requires_grad = False
        self.note = "kept"

    def forward(self, x):
        return self.factor * self.inner(x) + self.frozen


def test_grad_by_a_module_has_its_shape():
    net, x = Net(), A
    found = grad(lambda net, x: np.sum(net(x)), (0, 1))(net, x)
    assert isinstance(found[0], Net) and found[0].note == "kept"
    w = net.inner.weight.data
    close(found[0].inner.weight, 2.0 * np.outer(np.ones(2), x))
    close(found[0].factor, np.sum(w @ x))
    close(found[1], 2.0 * w.sum(axis=0))


def test_a_float_parameter_has_a_float_gradient():
    assert type(grad(lambda net: np.sum(net(A)))(Net()).factor) is float


def test_grad_by_a_module_leaves_the_module_alone():
    net = Net()
    before = net.state_dict()
    grad(lambda net: np.sum(net(A)))(net)
    assert all(p.grad is None for p in net.parameters())
    for name, value in net.state_dict().items():
        equal(value, before[name])
    assert isinstance(net.inner.weight, Tensor)


def test_grad_by_a_module_agrees_with_backward():
    net = Net()
    np.sum(net(A) ** 2).backward()
    found = grad(lambda net: np.sum(net(A) ** 2))(net)
    close(found.inner.weight, net.inner.weight.grad)
    close(found.factor, net.factor.grad)
    assert net.frozen.grad is None


def test_a_tied_parameter_gets_one_gradient():
    class Tied(nn.Module):
        def __init__(self):
            self.a = nn.Parameter(A.copy())
            self.b = self.a

        def forward(self):
            return np.sum(self.a * 2.0 + self.b * 3.0)

    found = grad(lambda m: m())(Tied())
    equal(found.a, [5, 5, 5])
    equal(found.b, [5, 5, 5])


def test_running_statistics_reach_the_module_itself():
    norm = nn.BatchNorm1d(3, dtype=np.float64)
    x = np.arange(12.0).reshape(4, 3)
    grad(lambda m: np.sum(m(x)))(norm)
    close(norm.running_mean, 0.1 * x.mean(axis=0))


def test_hvp_and_nested_grad_by_a_module():
    net = Net()
    f = lambda net: np.sum(net(A) ** 2)  # noqa: E731
    (found,) = hvp(f, (net,), (net,))

    def along(s):
        parameters = {"inner.weight": s * net.inner.weight.data, "factor": s * 2.0}
        return np.sum(nn.functional_call(net, parameters, A) ** 2)

    inner = sum(
        np.sum(np.asarray(v) * np.asarray(p))
        for v, p in ((found.inner.weight, net.inner.weight.data), (found.factor, 2.0))
    )
    close(inner, grad(grad(along))(1.0))


def test_functional_call_uses_the_given_values():
    net = Net()
    w = np.ones((2, 3))
    y = nn.functional_call(net, {"inner.weight": w, "factor": 3.0}, A)
    close(y.data if isinstance(y, Tensor) else y, 3.0 * w @ A + 1)
    found = grad(lambda p: np.sum(nn.functional_call(net, p, A)))({"factor": 3.0})
    close(found["factor"].item(), np.sum(net.inner.weight.data @ A))


def test_functional_call_reaches_a_tied_parameter_by_its_name():
    net = nn.Sequential(nn.Linear(3, 3, bias=False, dtype=np.float64))
    net.layers.append(net.layers[0])
    y = nn.functional_call(net, {"layers.0.weight": 2 * np.eye(3)}, A)
    close(y.data if isinstance(y, Tensor) else y, 4 * A)


# --- vjp ---------------------------------------------------------------------------------------


def test_vjp_pulls_repeatedly():
    y, pull = vjp(lambda w, x: w @ x, B, A)
    close(y, B @ A)
    for seed in np.eye(2):
        gw, gx = pull(seed)
        close(gw, np.outer(seed, A))
        close(gx, seed @ B)


def test_vjp_results_are_plain():
    y, pull = vjp(np.sin, A)
    assert type(y) is np.ndarray and type(pull(np.ones(3))[0]) is np.ndarray
    y, _ = vjp(lambda x: (x, 1.0, None), A)
    equal(y[0], A)
    assert y[1:] == (1.0, None)


def test_vjp_of_a_result_used_twice():
    _, pull = vjp(lambda x: (x, x), A)
    equal(pull((A, A))[0], 2 * A)


# --- jacobian, hessian, hvp --------------------------------------------------------------------


def test_jacobian_of_a_matrix_by_a_matrix():
    found = jacobian(lambda x: x @ x.T)(B)
    assert found.shape == (2, 2, 2, 3)
    expected = np.einsum("ik,jl->ijkl", np.eye(2), B) + np.einsum("jk,il->ijkl", np.eye(2), B)
    close(found, expected)


def test_jacobian_by_a_number_has_the_results_shape():
    equal(jacobian(lambda s: s * B)(2.0), B)


def test_jacobian_of_a_number_is_the_gradient():
    equal(jacobian(lambda x: np.sum(x * x))(A), 2 * A)


def test_hessian_of_rosenbrock():
    """Closed form at (x, y): [[1200x² - 400y + 2, -400x], [-400x, 200]]."""
    x, y = -1.2, 1.0
    found = hessian(lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2)(np.array([x, y]))
    close(found, [[1200 * x * x - 400 * y + 2, -400 * x], [-400 * x, 200]])


def test_hvp_is_the_hessian_times_the_vector():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=4), rng.normal(size=4)
    f = lambda x: np.sum(np.sin(x) * x[::-1] ** 2)  # noqa: E731
    close(hvp(f, (x,), (v,))[0], hessian(f)(x) @ v)


def test_elementwise_grad_is_the_derivative_of_each_element():
    close(elementwise_grad(np.tanh)(B), 1 - np.tanh(B) ** 2)
    close(elementwise_grad(elementwise_grad(lambda x: x**3))(A), 6 * A)
    assert elementwise_grad(np.square, 0)(3.0) == 6.0


# --- gradients ---------------------------------------------------------------------------------


def test_gradients_touches_no_grad():
    x = Tensor(A)
    y = np.sum(x * x)
    equal(gradients(y, x), 2 * A)
    assert x.grad is None


def test_gradients_of_containers_and_interior_results():
    x, w = Tensor(A), Tensor(2.0)
    h = x * w
    y = np.sum(h * h)
    found = gradients(y, {"in": [x, w], "mid": h, "out": y})
    close(found["in"][0], 2 * A * 4)
    close(found["in"][1], 2 * 2.0 * np.sum(A * A))
    close(found["mid"], 2 * h.data)
    assert found["out"] == 1.0


def test_gradients_with_a_seed():
    x = Tensor(A)
    equal(gradients(x * x, x, seed=[1.0, 0.0, 10.0]), [2, 0, 60])


def test_gradients_of_what_y_does_not_depend_on_are_zeros():
    x, z = Tensor(A), Tensor(B.astype(np.float32))
    later = x * 2
    gx, gz, gl = gradients(np.sum(x * x), [x, z, later])
    equal(gx, 2 * A)
    assert gz.shape == z.shape and gz.dtype == np.float32 and not gz.any()
    assert gl.shape == (3,) and not gl.any()


def test_gradients_without_record_are_plain():
    x, s = Tensor(A), Tensor(2.0)
    gx, gs = gradients(np.sum(x * s), [x, s])
    assert type(gx) is np.ndarray and type(gs) is float


def test_recorded_gradients_can_be_differentiated():
    x, w = Tensor(A), Tensor(2.0)
    slope = gradients(np.sum(w * x**3), x, record=True)
    equal(slope.data, 6 * A**2)
    second = gradients(slope, x, seed=np.ones(3), record=True)
    equal(second.data, 12 * A)
    equal(gradients(second, x, seed=np.ones(3)), [12, 12, 12])
    np.sum(slope).backward()
    assert w.grad == np.sum(3 * A**2)
    equal(x.grad, 12 * A)


def test_recorded_zeros_are_tensors_without_history():
    x, z = Tensor(A), Tensor(B)
    found = gradients(np.sum(x), [x, z], record=True)
    assert all(isinstance(g, Tensor) for g in found)
    equal(found[1].data, np.zeros_like(B))


def test_recorded_gradients_through_several_results():
    """The batch statistics are results of one node; slogdet's too."""
    x = np.random.default_rng(0).normal(size=(4, 3))
    norm = nn.BatchNorm1d(3, dtype=np.float64)
    t = Tensor(x)
    slope = gradients(np.sum(norm(t) ** 3), t, record=True)
    v = np.random.default_rng(1).normal(size=(4, 3))
    found = gradients(np.sum(slope * v), t)
    f = lambda x: np.sum(grad(lambda x: np.sum(norm(x) ** 3))(x) * v)  # noqa: E731
    np.testing.assert_allclose(found, slope_by_differences(f, x), rtol=1e-6, atol=1e-7)


def slope_by_differences(f, x):
    h, g = 1e-5, np.zeros_like(x)
    value = lambda x: f(x).item()  # noqa: E731
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        g[i] = (value(x + step) - value(x - step)) / (2 * h)
    return g


def test_gradients_along_only_one_path():
    """Wanted: the middle; what lies below is not walked."""
    x = Tensor(A.copy())
    h = np.exp(x)
    y = np.sum(h * h)
    x.data[...] = 0.0  # exp does not read it, and is not asked
    close(gradients(y, h), 2 * np.exp(A))


# --- check_gradients ---------------------------------------------------------------------------


def test_right_rules_pass():
    check_gradients(lambda x, w: np.tanh(w @ x), A, B)
    check_gradients(lambda p: [np.sum(p["x"] ** 3), p["y"] * p["x"]], {"x": A, "y": 2.0}, order=3)
    check_gradients(lambda x: x**2, 3.0)
    check_gradients(lambda x: np.sin(x), Tensor(A))
    check_gradients(lambda x, n: x[n] * x, A, 1)
    check_gradients(lambda x: np.sum(x**2), np.linspace(0.1, 1, 300))  # random directions
    check_gradients(lambda net: net(A) ** 2, Net())


def wrong(name, pull):
    return general(lambda x: np.sin(x), pull, name=name)


@pytest.mark.parametrize(
    ("pull", "order"),
    [
        (lambda g, y, x: g * np.cos(x) * (1 + 1e-4), 1),
        (lambda g, y, x: -g * np.cos(x), 1),
        (lambda g, y, x: g * np.cos(x) + 1e-3, 1),
        (lambda g, y, x: g * np.cos(x) * np.nan, 1),
        (lambda g, y, x: g * stop_gradient(np.cos(x)), 2),
    ],
    ids=["scaled", "sign", "shifted", "nan", "second order"],
)
@pytest.mark.parametrize("n", [3, 300])
def test_a_wrong_rule_is_caught(pull, order, n):
    operation = wrong("wrong_sine", pull)
    x = np.linspace(0.1, 1.0, n)
    try:
        with pytest.raises(AssertionError, match=rf"order {order} by args\[0\]"):
            check_gradients(lambda x: operation(x), x)
        if order == 2:
            check_gradients(lambda x: operation(x), x, order=1)
    finally:
        del registry[operation.function]


def test_a_wrong_rule_is_named_with_its_place():
    operation = wrong("wrong_sine", lambda g, y, x: g * np.cos(x) * np.array([1.0, 2.0, 1.0]))
    try:
        with pytest.raises(AssertionError, match=r"args\[1\]\['w'\]\[1\].*finite differences"):
            check_gradients(lambda a, p: a * operation(p["w"]), 2.0, {"w": A})
    finally:
        del registry[operation.function]


def test_the_check_changes_nothing():
    a, t = A.copy(), Tensor(A.copy())
    check_gradients(lambda a, t: np.sum(a * t), a, t)
    equal(a, A)
    equal(t.data, A)
    assert t.grad is None


# --- misuse ------------------------------------------------------------------------------------


def named_loss(x):
    return x * x


X = Tensor(A, name="x")
MISUSES = {
    "grad of a vector": (
        ValueError, r"named_loss returned shape \(3,\).*np\.sum.*jacobian",
        lambda: grad(named_loss)(A),
    ),
    "hessian of a vector": (
        ValueError, r"named_loss returned shape \(3,\)", lambda: hessian(named_loss)(A)
    ),
    "hvp of a vector": (
        ValueError, r"named_loss returned shape \(3,\)", lambda: hvp(named_loss, (A,), (A,))
    ),
    "grad of a tuple": (
        TypeError, r"returned a tuple.*vjp or jacobian", lambda: grad(lambda x: (x, x))(2.0)
    ),
    "grad of nothing": (
        TypeError, r"<lambda> returned None; return a", lambda: grad(lambda x: None)(2.0)
    ),
    "jacobian of nothing": (
        TypeError, r"<lambda> returned None; return a", lambda: jacobian(lambda x: None)(2.0)
    ),
    "jvp of nothing": (
        TypeError, r"<lambda> returned None; return a",
        lambda: jvp(lambda x: None, (2.0,), (1.0,)),
    ),
    "a result that is no number": (
        TypeError, r"<lambda>.*a str", lambda: grad(lambda x: "a")(2.0)
    ),
    "argnums too large": (
        IndexError, r"argnums=2.*named_loss.*1 positional", lambda: grad(named_loss, 2)(A)
    ),
    "argnums twice": (
        ValueError, r"argnums=\(0, -1\).*named_loss.*twice", lambda: grad(named_loss, (0, -1))(A)
    ),
    "argnums too large in a tuple": (
        IndexError, r"argnums=\(0, 1\).*named_loss", lambda: grad(named_loss, (0, 1))(A)
    ),
    "argnums for a keyword argument": (
        IndexError, r"argnums=0.*0 positional", lambda: grad(named_loss)(x=2.0)
    ),
    "argnums by name": (
        TypeError, r"argnums.*'x'", lambda: grad(named_loss, "x")(2.0)
    ),
    "fractional argnums": (
        TypeError, r"argnums.*1\.5", lambda: grad(named_loss, 1.5)(2.0)
    ),
    "integer array": (
        TypeError, r"named_loss, argument 0.*int64.*astype\(float\)",
        lambda: grad(named_loss)(np.arange(3)),
    ),
    "integer array inside": (
        TypeError, r"argument 1\['w'\]\[0\].*int64",
        lambda: grad(lambda x, p: x, 1)(1.0, {"w": [np.arange(3)]}),
    ),
    "integer array of several": (
        TypeError, r"argument \[1\]\['w'\]",
        lambda: grad(lambda x, p: x, (0, 1))(1.0, {"w": np.arange(3)}),
    ),
    "complex": (
        TypeError, r"argument 0.*real and imaginary", lambda: grad(named_loss)(np.array([1j]))
    ),
    "string": (TypeError, r"argument 0.*a str", lambda: grad(named_loss)("2.0")),
    "vjp, wrong cotangent shape": (
        ValueError, r"seed has shape \(2,\).*named_loss.*\(3,\)",
        lambda: vjp(named_loss, A)[1](np.ones(2)),
    ),
    "vjp, wrong cotangent structure": (
        ValueError, r"named_loss returned 1 arrays, the cotangent has 2",
        lambda: vjp(named_loss, A)[1]((A, A)),
    ),
    "vjp, too few cotangents": (
        ValueError, r"returned 2 arrays, the cotangent has 1",
        lambda: vjp(lambda x: (x, x), A)[1]((A,)),
    ),
    "hvp, wrong tangent shape": (
        ValueError, r"hvp: the tangent at \[0\].*\(2,\).*\(3,\)",
        lambda: hvp(lambda x: np.sum(x), (A,), (np.ones(2),)),
    ),
    "hvp, too many tangents": (
        ValueError, r"hvp: the tangents.*length 2 in the place of.*length 1",
        lambda: hvp(lambda x: np.sum(x), (A,), (A, A)),
    ),
    "gradients of an array": (
        TypeError, r"gradients: .*ndarray", lambda: gradients(A, X)
    ),
    "gradients by an array": (
        TypeError, r"gradients: .*ndarray", lambda: gradients(np.sum(X), [A])
    ),
    "gradients of a constant": (
        TypeError, r"gradients: .*constant Tensor", lambda: gradients(X.detach(), X)
    ),
    "gradients by a constant": (
        TypeError, r"gradients: .*constant Tensor", lambda: gradients(np.sum(X), X.detach())
    ),
    "gradients of a vector without a seed": (
        ValueError, r"\(3,\).*seed", lambda: gradients(X * X, X)
    ),
    "gradients with a wrong seed": (
        ValueError, r"seed has shape \(4,\).*\(3,\)", lambda: gradients(X * X, X, seed=np.ones(4))
    ),
    "check without floats": (
        TypeError, r"no floating-point argument", lambda: check_gradients(lambda n: n, 1)
    ),
    "functional_call, unknown name": (
        ValueError, r"Net has no parameter weight.*inner\.weight, factor",
        lambda: nn.functional_call(Net(), {"weight": A}, A),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISUSES)
def test_misuse_is_named(case):
    error, message, call = MISUSES[case]
    with pytest.raises(error, match=f"(?s){message}"):
        call()
    assert X.grad is None
    equal(X.data, A)


def test_a_gradient_of_nothing_is_of_the_argument_s_type():
    found = grad(lambda x, y: y * 1.0, argnums=(0, 1))(np.float32(2.0), np.float64(3.0))
    assert [type(g) for g in found] == [np.float32, np.float64]
    assert found == (0, 1)
