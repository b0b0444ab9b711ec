"""One's own operations: each kind, all derivatives, what rules read, and numbers."""

import functools
import math

import numpy as np
import pytest

import autograd
from autograd import (
    Tensor,
    bilinear,
    check_gradients,
    elementwise,
    general,
    grad,
    gradients,
    hessian,
    jacobian,
    linear,
    vjp,
)
from autograd.batching import broadcasting, stacked
from autograd.primitive import registry
from autograd.reads import EVERYTHING

A, B = np.array([0.5, 1.5, 2.0]), np.array([1.0, -2.0, 0.3])


@pytest.fixture(autouse=True)
def unregistered():
    """What a test registers is gone after it."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


def cube():
    return elementwise(lambda x: x**3, lambda g, y, x: g * (3 * x**2), name="cube")


def scaled_power():
    """a·b², elementwise in two arguments."""
    return elementwise(
        lambda a, b: a * b**2,
        lambda g, y, a, b: g * b**2,
        lambda g, y, a, b: g * (2 * a * b),
        name="scaled_power",
    )


def differences():
    """x[1:] - x[:-1], linear."""
    return linear(
        lambda x: x[..., 1:] - x[..., :-1],
        lambda g, y, x: np.concatenate([-g[:1], g[:-1] - g[1:], g[-1:]]),
        name="differences",
        batch=stacked,
    )


def combination():
    """2a + 3b, linear in both together, one transpose for each."""
    return linear(
        lambda a, b: 2 * a + 3 * b,
        (lambda g, y, a, b: 2 * g, lambda g, y, a, b: 3 * g),
        name="combination",
        batch=broadcasting,
    )


def total():
    """The sum of any number of arrays."""
    return linear(
        lambda *xs: sum(xs),
        lambda wanted, g, y, *xs: [g for _ in wanted],
        variadic=True,
        name="total",
        batch=broadcasting,
    )


def weighted():
    """Σ a·b: bilinear."""
    return bilinear(
        lambda a, b: np.sum(a * b), lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, name="dot"
    )


def norm():
    """√Σx²: general."""
    return general(
        lambda x: np.sqrt(np.sum(x * x)),
        lambda g, y, x: g * x / y,
        lambda g, y, x: np.sum(x * g) / y,
        name="euclid",
    )


def moments():
    """(Σx, Σx²): general, with two results."""
    return general(
        lambda x: (np.sum(x), np.sum(x * x)),
        lambda g, y, x: g[0] + g[1] * (2 * x),
        lambda g, y, x: (np.sum(g), np.sum(2 * x * g)),
        outputs=True,
        name="moments",
    )


def product_of_all():
    """The product of any number of arrays, general."""

    def others(i, xs):
        return functools.reduce(lambda a, b: a * b, xs[:i] + xs[i + 1 :])

    return general(
        lambda *xs: functools.reduce(lambda a, b: a * b, xs),
        lambda wanted, g, y, *xs: [g * others(i, xs) for i in wanted],
        lambda i, g, y, *xs: g * others(i, xs),
        variadic=True,
        name="product_of_all",
    )


# name: the operation, a number made with it from a vector, the same in plain NumPy
CASES = {
    "elementwise": (cube, lambda f, x: np.sum(f(x)), lambda x: np.sum(x**3)),
    "elementwise in two": (
        scaled_power, lambda f, x: np.sum(f(x, x[::-1])), lambda x: np.sum(x * x[::-1] ** 2),
    ),
    "elementwise, broadcast": (
        scaled_power, lambda f, x: np.sum(f(x[:, None], x)), lambda x: np.sum(x) * np.sum(x**2),
    ),
    "linear": (
        differences, lambda f, x: np.sum(f(x) ** 3), lambda x: np.sum((x[1:] - x[:-1]) ** 3)
    ),
    "linear in two": (
        combination, lambda f, x: np.sum(f(x, x**2) ** 2), lambda x: np.sum((2 * x + 3 * x**2) ** 2)
    ),
    "linear in any number": (
        total, lambda f, x: np.sum(f(x, x**2, B, x) ** 2), lambda x: np.sum((2 * x + x**2 + B) ** 2)
    ),
    "bilinear": (weighted, lambda f, x: f(x, x**2), lambda x: np.sum(x**3)),
    "general": (norm, lambda f, x: f(x) ** 3, lambda x: np.sum(x * x) ** 1.5),
    "general with two results": (
        moments, lambda f, x: f(x)[1] * f(x)[0] ** 2, lambda x: np.sum(x * x) * np.sum(x) ** 2
    ),
    "general in any number": (
        product_of_all, lambda f, x: np.sum(f(x, x, B, x)), lambda x: np.sum(x**3 * B)
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    make, ours, plain = CASES[request.param]
    operation = make()
    return (lambda x: ours(operation, x)), plain


def test_plain_values_in_plain_values_out(case):
    ours, plain = case
    value = ours(A)
    assert not isinstance(value, Tensor)
    np.testing.assert_allclose(value, plain(A))


def test_backward(case):
    ours, plain = case
    x = Tensor(A)
    y = ours(x)
    np.testing.assert_allclose(y.item(), plain(A))
    y.backward()
    np.testing.assert_allclose(x.grad, grad(plain)(A), rtol=1e-12)


def test_gradient_of_a_gradient(case):
    ours, plain = case
    direct = grad(lambda x: np.sum(grad(plain)(x) * B))(A)
    np.testing.assert_allclose(grad(lambda x: np.sum(grad(ours)(x) * B))(A), direct, rtol=1e-12)
    x = Tensor(A)
    slope = gradients(ours(x), x, record=True)
    np.testing.assert_allclose(gradients(slope, x, seed=B), direct, rtol=1e-12)


def test_hessian(case):
    ours, plain = case
    np.testing.assert_allclose(hessian(ours)(A), hessian(plain)(A), rtol=1e-12, atol=1e-12)


def test_without_a_batching_rule_many_directions_go_by_a_loop():
    """Right all the same, and said."""
    reverse = linear(lambda x: x[::-1], lambda g, y, x: g[::-1], name="reverse")
    with pytest.warns(autograd.LoopWarning, match="reverse example by example.*batch="):
        found = jacobian(reverse, mode="forward")(A)
    np.testing.assert_array_equal(found, np.eye(3)[::-1])


def test_third_derivative(case):
    ours, plain = case
    third = [jacobian(hessian(f))(A) for f in (ours, plain)]
    np.testing.assert_allclose(*third, rtol=1e-11, atol=1e-11)


def test_it_passes_the_checker(case):
    check_gradients(case[0], A, order=3)


def test_float32_stays_float32(case):
    x = Tensor(A.astype(np.float32))
    with np.errstate(all="ignore"):
        y = case[0](x)
    assert x.dtype == np.float32
    y.backward()
    assert x.grad.dtype == np.float32


def test_arguments_by_name_and_options():
    """An argument that is no array is an option, given by position or by name."""

    def shifted(x, by=0.0):
        return x * x + by

    operation = elementwise(shifted, lambda g, y, x, by=0.0: g * (2 * x))
    x = Tensor(A)
    for y in (operation(x, 2.0), operation(x, by=2.0), operation(x=x, by=2.0)):
        np.testing.assert_array_equal(y.data, A * A + 2)
        np.testing.assert_array_equal(gradients(y, x, seed=np.ones(3)), 2 * A)
    with pytest.raises(TypeError, match="shifted.*'by'.*not defined"):
        operation(x, by=Tensor(1.0))


def test_a_function_of_numpy_without_a_rule_gets_one():
    """Registered under NumPy's function, it is found by NumPy's own call."""
    del registry[np.cbrt]
    x = Tensor(A)
    with pytest.raises(TypeError, match=r"np\.cbrt.*Register.*autograd\.elementwise"):
        np.cbrt(x)
    elementwise(np.cbrt, lambda g, y, x: g / (3 * y**2))
    np.testing.assert_allclose(gradients(np.cbrt(x), x, seed=np.ones(3)), A ** (-2 / 3) / 3)
    np.testing.assert_allclose(grad(np.cbrt)(8.0), 1 / 12)


def test_none_is_a_derivative_that_is_zero_everywhere():
    operation = elementwise(
        lambda x, n: np.floor(n) * x, lambda g, y, x, n: g * np.floor(n), None, name="steps"
    )
    x, n = Tensor(A), Tensor(B + 3)
    np.sum(operation(x, n)).backward()
    np.testing.assert_array_equal(x.grad, np.floor(B + 3))
    np.testing.assert_array_equal(n.grad, np.zeros(3))


def test_a_custom_operation_inside_levels():
    operation = cube()
    assert grad(lambda x: x * grad(lambda y: x * operation(y))(2.0))(3.0) == 2 * 3.0 * 12.0
    w = Tensor(2.0)
    slope = grad(lambda x: operation(x * w))(1.0)  # 3 w³ x²
    slope.backward()
    assert w.grad == 9 * 4.0


def test_a_function_cannot_be_registered_twice():
    """The second rule would silently take the place of the first."""
    with pytest.raises(ValueError, match="tanh is registered already"):
        elementwise(np.tanh, lambda g, y, x: g)
    assert grad(np.tanh)(0.0) == 1.0 and grad(np.tanh)(1.0) < 0.5


def test_an_operation_is_described():
    operation = cube()
    assert "elementwise" in repr(operation) and "cube" in repr(operation)
    x = Tensor(A, name="x")
    y = operation(x)
    with pytest.raises(ValueError, match="cube"):
        y.backward()


# --- wrong rules ----------------------------------------------------------------------------------

WRONG = {
    "elementwise": lambda: elementwise(lambda x: x**3, lambda g, y, x: g * 3 * x, name="wrong"),
    "linear": lambda: linear(lambda x: 2 * x, lambda g, y, x: g * 2.001, name="wrong"),
    "linear, transpose forgotten": lambda: linear(
        lambda x: x[::-1] * B, lambda g, y, x: g * B, name="wrong"
    ),
    "bilinear": lambda: (
        lambda f: lambda x: f(x, B)
    )(bilinear(lambda a, b: a * b, lambda g, y, a, b: g * a, lambda g, y, a, b: g * b, name="w")),
    "general": lambda: general(lambda x: np.exp(x), lambda g, y, x: g * x, name="wrong"),
    "general with two results": lambda: general(
        lambda x: (np.sin(x), np.cos(x)),
        lambda g, y, x: g[0] * y[1] + g[1] * y[0],  # the sign
        outputs=True,
        name="wrong",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_rule_is_caught(kind):
    operation = WRONG[kind]()
    with pytest.raises(AssertionError, match=r"order 1 by args\[0\]"):
        check_gradients(lambda x: operation(x), A)


def test_a_rule_wrong_only_in_its_own_derivative_is_caught():
    """The first derivative is right; it was computed behind the engine's back."""
    operation = elementwise(
        lambda x: x**3, lambda g, y, x: g * (3 * autograd.stop_gradient(x) ** 2), name="opaque"
    )
    check_gradients(lambda x: operation(x), A, order=1)
    with pytest.raises(AssertionError, match="order 2"):
        check_gradients(lambda x: operation(x), A, order=2)


# --- what a rule reads ----------------------------------------------------------------------------


def outer_rule(scale):
    return lambda g, y, a, b: g * b * scale


def in_a_comprehension(g, y, a, b):
    return g * sum(b * 1.0 for _ in range(1))


def in_an_inner_function(g, y, a, b):
    def inner():
        return b

    return g * inner()


def under_another_name(g, y, a, b):
    c = b
    return g * c


def through_a_helper(g, y, a, b):
    return helper(g, b)


def helper(g, b):
    return g * b


def with_options(g, y, a, b, *, scale=1.0):
    return g * b * scale


READS = {
    "nothing": (lambda g, y, a, b: g, set()),
    "the result": (lambda g, y, a, b: g * y, {0}),
    "the first": (lambda g, y, a, b: g * a, {1}),
    "the second": (lambda g, y, a, b: g * b, {2}),
    "all": (lambda g, y, a, b: g * a * b / y, {0, 1, 2}),
    "only the shape": (lambda g, y, a, b: g.reshape(a.shape), set()),
    "only metadata": (lambda g, y, a, b: g * a.ndim * b.size + y.shape[0], set()),
    "only the dtype": (lambda g, y, a, b: g.astype(b.dtype), set()),
    "shape and value": (lambda g, y, a, b: (g * b).reshape(b.shape), {2}),
    "value, then a shape": (lambda g, y, a, b: np.add(a, b.shape), {1}),
    "closure": (outer_rule(2.0), {2}),
    "comprehension": (in_a_comprehension, {2}),
    "inner function": (in_an_inner_function, {2}),
    "another name": (under_another_name, {2}),
    "helper": (through_a_helper, {2}),
    "options": (with_options, {2}),
    "conditional": (lambda g, y, a, b: g * (a if a.ndim else b), {1, 2}),
    "attribute that is a value": (lambda g, y, a, b: g @ a.T, {1}),
    "indexed": (lambda g, y, a, b: g * b[0], {2}),
}


@pytest.mark.parametrize("name", READS)
def test_what_a_rule_reads(name):
    """0 stands for the result, 1 and 2 for the arguments."""
    rule, expected = READS[name]
    operation = elementwise(lambda a, b: a * b, rule, None, name="reader")
    assert operation.reads(0) == expected
    assert operation.reads(1) == set()


class Rules:
    def pull(self, g, y, a, b):
        return g * b

    def __call__(self, g, y, a, b):
        return g * b


@pytest.mark.parametrize(
    "rule",
    [
        Rules().pull,
        Rules(),
        functools.partial(lambda scale, g, y, a, b: g * b * scale, 2.0),
        lambda g, *values: g * values[2],
        np.vectorize(lambda g, y, a, b: g * b),
    ],
    ids=["method", "object", "partial", "any number", "vectorized"],
)
def test_a_rule_that_is_no_plain_function_reads_at_least_what_it_reads(rule):
    """Reading too much is a false alarm at worst; too little, a wrong gradient."""
    operation = elementwise(lambda a, b: a * b, rule, None, name="reader")
    read = operation.reads(0)
    assert read is EVERYTHING or 2 in read


def test_an_operation_of_any_number_of_arrays_reads_everything_or_what_it_declares():
    assert product_of_all().reads(0) is EVERYTHING
    declared = linear(
        lambda *xs: sum(xs),
        lambda wanted, g, y, *xs: [g for _ in wanted],
        variadic=True,
        reads=frozenset(),
        name="declared",
    )
    assert declared.reads(1) == set()
    x, w = Tensor(A.copy()), Tensor(B.copy())
    y = declared(x, w)
    x.data[...] = 7.0
    y.backward(np.ones(3))
    np.testing.assert_array_equal(w.grad, np.ones(3))


def test_a_write_is_noticed_by_what_the_rule_reads():
    reads = elementwise(lambda x: x * x, lambda g, y, x: g * (2 * x), name="reads_x")
    result = elementwise(lambda x: np.exp(x), lambda g, y, x: g * y, name="reads_y")
    shape = linear(lambda x: x * 1.0, lambda g, y, x: g.reshape(x.shape), name="reads_shape")
    for operation, raises in ((reads, True), (result, False), (shape, False)):
        x = Tensor(A.copy(), name="x")
        y = operation(x)
        x.data[...] = 7.0
        if raises:
            with pytest.raises(RuntimeError, match="reads_x.*'x'"):
                y.backward(np.ones(3))
        else:
            y.backward(np.ones(3))
            np.testing.assert_allclose(x.grad, np.exp(A) if operation is result else np.ones(3))


# --- numbers --------------------------------------------------------------------------------------


def test_scalar_is_used_for_python_floats_only():
    calls = []

    def number(x):
        calls.append(x)
        return math.tanh(x)

    operation = elementwise(
        lambda x: np.tanh(x), lambda g, y, x: g * (1 - y * y), scalar=number, name="own_tanh"
    )
    y = operation(Tensor(0.5))
    assert calls == [0.5] and type(y.data) is float and y.data == math.tanh(0.5)
    operation(Tensor(A))
    operation(Tensor(np.float32(0.5)))
    assert calls == [0.5]


@pytest.mark.parametrize(("x", "expected"), [(0.0, -np.inf), (-1.0, np.nan), (1.0, 0.0)])
def test_scalar_falls_back_to_numpy_where_it_is_not_defined(x, expected):
    """math.log raises at 0 and below: NumPy's answers are -inf and nan."""
    operation = elementwise(
        lambda x: np.log(x), lambda g, y, x: g / x, scalar=math.log, name="own_log"
    )
    with np.errstate(all="ignore"):
        y = operation(Tensor(x))
    assert type(y.data) is float
    np.testing.assert_equal(y.data, expected)


def test_scalar_overflow_is_infinite():
    operation = elementwise(
        lambda x: np.exp(x), lambda g, y, x: g * y, scalar=math.exp, name="own_exp"
    )
    with np.errstate(all="ignore"):
        assert operation(Tensor(1000.0)).data == np.inf


def test_without_scalar_numbers_stay_python_floats():
    x = Tensor(2.0)
    y = cube()(x)
    assert type(y.data) is float and y.data == 8.0
    y.backward()
    assert x.grad == 12.0 and type(x.grad) is float


def test_a_pull_of_a_number_that_divides_by_zero_is_infinite():
    operation = elementwise(lambda x: np.sqrt(x), lambda g, y, x: g / (2 * y), name="own_sqrt")
    with np.errstate(all="ignore"):
        x = Tensor(0.0)
        operation(x).backward()
    assert x.grad == np.inf


def test_vjp_of_a_custom_operation_with_two_results():
    operation = moments()
    (total_, squares), pull = vjp(lambda x: tuple(operation(x)), A)
    np.testing.assert_allclose([total_, squares], [A.sum(), (A * A).sum()])
    np.testing.assert_allclose(pull((1.0, 0.0))[0], np.ones(3))
    np.testing.assert_allclose(pull((0.0, 1.0))[0], 2 * A)


def test_only_one_of_two_results_used():
    x = Tensor(A)
    _, squares = moments()(x)
    squares.backward()
    np.testing.assert_allclose(x.grad, 2 * A)


def test_an_operation_registered_without_a_push_says_so():
    operation = general(lambda x: x * 2, lambda g, y, x: g * 2, name="pull_only")
    try:
        assert autograd.grad(operation)(1.0) == 2.0
        with pytest.raises(TypeError, match=r"pull_only has no rule to push.*general\("):
            operation.push([1.0], 2.0, [1.0], {})
    finally:
        del registry[operation.function]
