"""Forward mode: tangents through nested transformations, whole matrices, misuse, memory."""

import sys
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest

from autograd import (
    Tensor,
    general,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    no_grad,
    relu,
    stop_gradient,
    vjp,
    vmap,
)
from autograd.primitive import registry

from .test_levels import ORDERS

close = np.testing.assert_allclose
equal = np.testing.assert_array_equal

A = np.array([1.0, 2.0, 3.0])
B = np.array([[0.3, -0.7, 1.1], [0.2, 0.9, -0.4]])


# --- perturbation confusion ----------------------------------------------------------------------

WAYS = {
    "grad": grad,
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "linearize": lambda f: lambda x: linearize(f, x)[1](1.0),
    "vjp": lambda f: lambda x: vjp(f, x)[1](1.0)[0],
    "vmap of grad": lambda f: lambda x: vmap(grad(f))(np.stack([x, x]))[1],
    "vmap of jvp": lambda f: lambda x: vmap(lambda x: jvp(f, (x,), (1.0,))[1])(np.stack([x]))[0],
    "jvp along a stack": lambda f: lambda x: (
        jvp(lambda v: f(v[1]), (np.stack([0.0 * x, x]),), (np.array([7.0, 1.0]),))[1]
    ),
    "jacobian": lambda f: jacobian(f, mode="reverse"),
    "jacobian forward": lambda f: jacobian(f, mode="forward"),
    "a column of a jacobian": lambda f: lambda x: (
        jacobian(lambda v: f(v["x"][0][0]), mode="forward")({"x": [np.stack([x])]})["x"][0][0]
    ),
}  # fmt: skip


def assigned(x, y):
    v = np.stack([y, y, 0.0 * x])
    v[2] = y
    v[0] = x
    return v[0] * v[1] * v[2]


def in_containers(x, y):
    parts = {"a": [x, (y,)], "b": y}
    (z,) = parts["a"][1]
    return np.prod(np.stack([parts["a"][0], z, parts["b"]]))


def aliased(x, y):
    """What was made of v stands for what v was then."""
    v = np.stack([x, y])
    w = v
    product = v[0] * v[1] * w[1]
    w[0] = 100.0 * y
    return product


# All are x·y·y.  "assignment" needs a Tensor to be written into, which holds no other type.
FORMS = {name: form for name, form in ORDERS.items() if name != "assignment"} | {
    "assigned": assigned,
    "containers": in_containers,
    "aliased": aliased,
    "linearized product": lambda x, y: linearize(lambda z: z * y, x)[0] * y,
    "added and taken away": lambda x, y: (x + y) * y * y - y**3,
}


@pytest.mark.parametrize("inner", WAYS)
@pytest.mark.parametrize("outer", WAYS)
def test_two_levels(outer, inner):
    """Of f = x·y²: both mixed and both pure derivatives, and those of products with them.

    Each pair of ways takes a third of the forms, another one than its neighbours.
    """
    D, d, x, y = WAYS[outer], WAYS[inner], 3.0, 2.0
    first = ([*WAYS].index(outer) + [*WAYS].index(inner)) % 3
    for form in [*FORMS][first::3]:
        for found, expected in both_levels(FORMS[form], D, d, x, y):
            close(found, expected, rtol=1e-12, err_msg=form)


def both_levels(f, D, d, x, y):
    """(what is found, what is to be found) for f = x·y²."""
    yield D(lambda x: d(lambda y: f(x, y))(y))(x), 2 * y
    yield D(lambda y: d(lambda x: f(x, y))(x))(y), 2 * y
    yield D(lambda y: d(lambda y: f(x, y))(y))(y), 2 * x
    yield D(lambda x: x * d(lambda y: f(x, y))(y))(x), 4 * x * y
    yield D(lambda x: d(lambda y: f(y, x))(y) * x)(x), 3 * x * x
    yield D(lambda x: d(lambda y: f(x, y))(x * x))(x), 6 * x**2


@pytest.mark.parametrize("way", WAYS)
def test_the_sum_that_a_confused_library_gets_wrong(way):
    """d/dx [x · d/dy (x + y)] is 1, not 2 (Siskind & Pearlmutter 2005)."""
    D = WAYS[way]
    for inner in WAYS:
        d = WAYS[inner]
        assert D(lambda x, d=d: x * d(lambda y: x + y)(1.0))(1.0) == 1.0
        assert D(lambda x, d=d: d(lambda y: y + x)(x) * x)(1.0) == 1.0
        assert D(lambda x, d=d: d(lambda y: x * x)(2.0) + x)(1.0) == 1.0


@pytest.mark.parametrize("outer", WAYS)
def test_three_levels(outer):
    """D[x · D[y · D[x y z²]_z]_y]_x: 2xyz; y·2xyz by y is 4xyz; x·4xyz by x is 8xyz."""
    x, y, z = 3.0, 5.0, 7.0
    for middle in WAYS:
        for inner in ("grad", "jvp", "linearize", "vmap of jvp", "jacobian forward"):
            D, E, F = WAYS[outer], WAYS[middle], WAYS[inner]

            def f(x, y=y, E=E, F=F):
                return x * E(lambda y: y * F(lambda z: z * x * y * z)(z))(y)

            close(D(f)(x), 8 * x * y * z, rtol=1e-12, err_msg=f"{middle}, {inner}")


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_of_any_order(way):
    f = lambda x: x**4  # noqa: E731
    for expected in (16, 32, 48, 48, 24, 0):
        close(f(2.0), expected, rtol=1e-12)
        f = WAYS[way](f)


@pytest.mark.parametrize("outer", WAYS)
def test_the_point_and_the_tangent_may_both_belong_to_an_outer_level(outer):
    """d/dx of the derivative of sin(y)·x at y = x² along x³: x⁴ cos x²."""
    slope = WAYS[outer](lambda x: jvp(lambda y: np.sin(y) * x, (x * x,), (x**3,))[1])(0.7)
    close(slope, 4 * 0.7**3 * np.cos(0.49) - 0.7**4 * np.sin(0.49) * 1.4)


@pytest.mark.parametrize("outer", WAYS)
def test_derivative_by_the_tangent_of_an_outer_linearization(outer):
    """The push of another function, made before: linear in its tangent."""
    _, push = linearize(lambda x: x**2, 3.0)
    close(WAYS[outer](lambda t: push(t) * t)(5.0), 2 * 6.0 * 5.0)


@pytest.mark.parametrize("way", WAYS)
def test_a_leaked_inner_value_is_harmless(way):
    leaked = []

    def f(x):
        leaked.append(x * x)
        return x

    WAYS[way](f)(3.0)
    assert grad(lambda y: y * y)(2.0) == 4.0
    assert jvp(lambda y: y * y, (2.0,), (1.0,)) == (4.0, 4.0)


# --- what jvp answers -----------------------------------------------------------------------------


def test_a_jvp_is_the_jacobian_times_the_tangent():
    """Of x ↦ (sin x₀x₁, x₁²) by hand."""
    x, v = np.array([0.5, 2.0]), np.array([3.0, -1.0])
    y, t = jvp(lambda x: np.stack([np.sin(x[0] * x[1]), x[1] ** 2]), (x,), (v,))
    close(y, [np.sin(1.0), 4.0])
    close(t, [np.cos(1.0) * (2.0 * 3.0 - 0.5), -4.0])


def test_jvp_of_a_softmax_is_jaxs():
    """Figures of jax.jvp(jax.nn.softmax, ...) = s · (v - s·v), by its closed form."""
    v = np.array([1.0, -1.0, 0.5])
    s = np.exp(A) / np.sum(np.exp(A))
    found = jvp(lambda x: np.exp(x) / np.sum(np.exp(x)), (A,), (v,))[1]
    close(found, s * (v - s @ v), rtol=1e-12)


def test_trees_go_in_and_come_out():
    Point = namedtuple("Point", "x y")
    primals = ({"p": Point(2.0, A), "n": None}, [3.0])
    tangents = ({"n": None, "p": Point(1.0, 0 * A)}, (10.0,))
    value, tangent = jvp(
        lambda d, c: {"r": [d["p"].x * c[0], (d["p"].y * d["p"].x,)], "none": None},
        primals,
        tangents,
    )
    assert value["r"][0] == 6.0 and tangent["r"][0] == 3.0 + 20.0
    equal(tangent["r"][1][0], A)
    assert value["none"] is tangent["none"] is None
    assert type(tangent["r"]) is list and type(tangent["r"][1]) is tuple


def test_floats_stay_floats():
    for f in (np.sin, lambda x: x**3, lambda x: np.maximum(x, 1.0), lambda x: x + 1, lambda x: 5.0):
        for x, v in ((2.0, 1.0), (2, 1), (2.0, 3)):
            assert [*map(type, jvp(f, (x,), (v,)))] == [float, float]
            assert type(linearize(f, x)[1](v)) is float
    for mode in ("forward", "reverse"):
        assert type(jacobian(np.sin, mode=mode)(1.0)) is float
        assert type(jacobian(lambda x: np.sum(x * A), mode=mode)(1.0)) is float
        assert type(hessian(lambda x: x**3, mode=mode)(1.0)) is float
    for f in (lambda x: x**3, lambda x: 2.0 * x, lambda x: np.sum(x * A), lambda x: np.sum(x**2)):
        assert type(hvp(f, (2.0,), (1.0,))[0]) is type(hvp(f, (2,), (1,))[0]) is float
    found = hvp(lambda d: np.sum(d["a"] ** 2 * A), ({"a": 3.0},), ({"a": 1.0},))
    assert found == ({"a": 12.0},) and type(found[0]["a"]) is float


def test_float32_stays_float32():
    """Also where a tangent is given in float64, and a constant floating point number takes part."""
    x = A.astype(np.float32)
    for v in (np.ones(3, np.float32), np.ones(3)):
        for y in (*jvp(lambda x: np.tanh(x * 2.0), (x,), (v,)), linearize(np.exp, x)[1](v)):
            assert y.dtype == np.float32
    for mode in ("forward", "reverse"):
        assert jacobian(np.tanh, mode=mode)(x).dtype == np.float32
        assert hessian(lambda x: np.sum(np.tanh(x)), mode=mode)(x).dtype == np.float32
    assert hvp(lambda x: np.sum(np.tanh(x)), (x,), (np.ones(3),))[0].dtype == np.float32


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + np.ones((4, 3)), lambda x: np.ones((4, 1)) - x, lambda x: x * np.ones((2, 3)),
        lambda x: np.where([[True], [False]], x, 0.0), lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.maximum(x, np.zeros((2, 1))), lambda x: np.clip(x, np.zeros((2, 1)), 9.0),
        lambda x: np.add.outer(x, np.ones(2)), lambda x: x[None] ** np.ones((5, 1)),
    ],
)  # fmt: skip
def test_broadcasting(f):
    """The tangent has the shape of the value, and is that of the function's differences."""
    v = np.array([0.5, -1.0, 2.0])
    for y, t in (jvp(f, (A,), (v,)), (f(A), linearize(f, A)[1](v))):
        assert t.shape == y.shape
        close(t, (f(A + 1e-6 * v) - f(A - 1e-6 * v)) / 2e-6, atol=1e-8)


def test_results_that_do_not_depend_stand_still():
    c = np.ones(2)
    for f in (
        lambda x: (c, 3.0, np.sign(x), stop_gradient(x), np.floor(x)),
        lambda x: (c, 3, x > 1, 0.0, x)[:2] + (np.round(x), np.zeros_like(x), np.float32(1)),
    ):
        values, tangents = jvp(f, (A,), (A,))
        for y, t, u in zip(values, tangents, linearize(f, A)[1](A), strict=True):
            assert np.shape(t) == np.shape(u) == np.shape(y)
            assert not np.any(t) and not np.any(u)
            assert getattr(t, "dtype", float) == getattr(y, "dtype", float)


# value at a kink by the public table, and the derivative along v = (1, 10, 100)
KINKS = {
    "relu": (lambda x: np.sum(relu(x)), [0.0, -1.0, 2.0], 100),
    "abs": (lambda x: np.sum(np.abs(x)), [0.0, -1.0, 2.0], -10 + 100),
    "max of ties": (np.max, [2.0, 2.0, 1.0], 5.5),
    "min of three": (np.min, [2.0, 2.0, 2.0], 37),
    "maximum of ties": (lambda x: np.maximum(x[0], x[1]), [2.0, 2.0, 0.0], 5.5),
    "minimum of ties": (lambda x: np.minimum(x[2], x[1]), [1.0, 2.0, 2.0], 55),
    "norm at zero": (np.linalg.norm, [0.0, 0.0, 0.0], 0),
    "0 to a power": (lambda x: x[0] ** x[1], [0.0, 2.0, 0.0], 0),
    "square root at zero": (lambda x: np.sqrt(x[0]), [0.0, 0.0, 0.0], np.inf),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_alike_in_both_modes(name):
    f, x, expected = KINKS[name]
    x, v = np.array(x), np.array([1.0, 10.0, 100.0])
    with np.errstate(all="ignore"):
        close(jvp(f, (x,), (v,))[1], expected, rtol=1e-15)
        close(linearize(f, x)[1](v), expected, rtol=1e-15)
        moved = v
        close(np.sum(grad(f)(x) * v, where=moved != 0), expected, rtol=1e-15)


def test_division_by_zero_of_floats_is_numpys():
    with np.errstate(all="ignore"):
        assert jvp(lambda x: 1.0 / x, (0.0,), (1.0,)) == (np.inf, -np.inf)
        assert jvp(np.log, (0.0,), (1.0,)) == (-np.inf, np.inf)


# --- memory --------------------------------------------------------------------------------------

SHARING = {
    "x itself": lambda x: x,
    "twice": lambda x: (x, x),
    "a view": lambda x: (x.T, x[::-1], x.reshape(-1), np.swapaxes(x, 0, 1)),
    "plus a constant": lambda x: (x + 1.0, x - 2.0),
    "broadcast": lambda x: np.broadcast_to(x[0], (4, 3)),
    "its exponential": lambda x: np.exp(x),
    "parts": lambda x: np.split(x, 2),
    "a real part": lambda x: (np.real(x), +x, x.astype(float), np.squeeze(x)),
    "nothing": lambda x: np.ones(3),
}


@pytest.mark.parametrize("name", SHARING)
def test_tangents_are_writable_and_share_no_memory(name):
    x, v = B.copy(), np.ones((2, 3))
    _, push = linearize(SHARING[name], x)
    for values, tangents in (jvp(SHARING[name], (x,), (v,)), ((), push(v))):
        tangents = [tangents] if isinstance(tangents, np.ndarray) else tangents
        values = [values] if isinstance(values, np.ndarray) else values
        for k, t in enumerate(tangents):
            assert not any(np.shares_memory(t, o) for o in (x, v, *values, *tangents[:k]))
            t[...] = 7.0
    equal(v, np.ones((2, 3)))
    equal(x, B)
    again = push(v)
    assert not np.any((again if isinstance(again, np.ndarray) else again[0]) == 7.0)


def test_jvp_keeps_no_graph():
    """200 layers of 1 MB: a jvp has a few arrays at a time, a linearization all of them."""
    x = np.linspace(0.0, 1.0, 131_072)

    def f(x):
        for _ in range(200):
            x = x * x
        return x

    def peak(call):
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(lambda: jvp(f, (x,), (x,))) < 10 * x.nbytes
    assert peak(lambda: linearize(f, x)) > 150 * x.nbytes


# --- linearize -----------------------------------------------------------------------------------


def test_many_pushes_for_one_evaluation():
    calls = []

    def f(x, p):
        calls.append(1)
        return np.tanh(x * p["w"]) @ p["v"]

    p = {"w": 0.3, "v": B[0]}
    _, push = linearize(f, A, p)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        t, u = rng.normal(size=3), {"v": rng.normal(size=3), "w": float(rng.normal())}
        close(push(t, u), jvp(f, (A, p), (t, u))[1], rtol=1e-12)
    assert len(calls) == 1 + 5


def test_pushes_for_all_directions_at_once():
    """vmap over push gives the columns, over pull the rows."""
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[2]), x[0], x[1] ** 2])  # noqa: E731
    expected = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, np.cos(3.0)], [1.0, 0.0, 0.0], [0, 4.0, 0]])
    _, push = linearize(f, A)
    _, pull = vjp(f, A)
    close(vmap(push)(np.eye(3)).T, expected)
    close(vmap(push, out_axes=1)(np.eye(3)), expected)
    close(vmap(lambda t: jvp(f, (A,), (t,))[1])(np.eye(3)).T, expected)
    close(vmap(pull)(np.eye(4))[0], expected)


@pytest.mark.parametrize("f", [np.exp, lambda x: x * x, lambda x: x @ x, np.linalg.norm])
def test_a_push_that_needs_a_value_written_since_raises(f):
    x = Tensor(A.copy(), name="x")
    _, push = linearize(f, x)
    before = push(np.ones(3))
    x.data[0] = 100.0
    if f is np.exp:  # reads its result alone
        equal(push(np.ones(3)).data, before.data)
    else:
        with pytest.raises(RuntimeError, match=r"(?s)'x' had when it was recorded.*written since"):
            push(np.ones(3))


def test_a_push_that_needs_no_value_goes_on_after_a_write():
    x = Tensor(A.copy())
    _, push = linearize(lambda x: np.sum(3.0 * x[::-1] + 1.0), x)
    x.data[0] = 100.0
    assert push(np.ones(3)).item() == 9.0


def test_what_a_push_reads_is_not_what_the_pull_reads():
    """A push of its own rule raises for what it reads; the pull here reads nothing."""
    triple = general(
        lambda x: 3.0 * x, lambda g, y, x: 3.0 * g, lambda g, y, x: g * (3.0 * x / x), name="triple"
    )
    try:
        x = Tensor(A.copy())
        _, push = linearize(triple, x)
        _, pull = vjp(triple, x)
        x.data[0] = 100.0
        equal(pull(A)[0].data, 3 * A)
        with pytest.raises(RuntimeError, match="triple.*written since"):
            push(A)
    finally:
        del registry[triple.function]


def test_a_rule_without_a_push_says_so():
    half = general(lambda x: 0.5 * x, lambda g, y, x: 0.5 * g, name="half")
    try:
        for call in (lambda: jvp(half, (A,), (A,)), lambda: linearize(half, A)[1](A)):
            with pytest.raises(TypeError, match="half has no rule to push"):
                call()
        close(vjp(half, A)[1](A)[0], A / 2)
    finally:
        del registry[half.function]


# --- whole matrices ------------------------------------------------------------------------------


def rows(f, x):
    """The Jacobian of an array by an array, one pull for each row."""
    y, pull = vjp(f, x)
    found = np.zeros(y.shape + x.shape)
    for index in np.ndindex(y.shape):
        seed = np.zeros(y.shape)
        seed[index] = 1.0
        found[index] = pull(seed)[0]
    return found


MAPS = {
    "square": lambda x: np.tanh(x) * np.sum(x),
    "tall": lambda x: np.stack([x * k for k in range(5)]),
    "wide": lambda x: np.sum(x**2, axis=-1),
    "scalar": lambda x: np.sum(np.sin(x)),
    "one": lambda x: np.sum(np.sin(x), keepdims=True),
    "linear": lambda x: x @ np.arange(12.0).reshape(3, 4),
    "constant": lambda x: np.ones((2, 2)),
    "itself": lambda x: x,
    "a view": lambda x: x.T[::-1],
    "indices": lambda x: x[..., [0, 0, 2]] * x[..., :1],
    "sorted": lambda x: np.sort(x, axis=-1),
    "empty result": lambda x: x[..., :0],
    "loop": lambda x: np.stack([x[0] * t for t in x]),
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", [name for name in SHARING if name != "parts"])
def test_jacobians_are_writable_and_share_no_memory(name, mode):
    x = B.copy()
    for size in (None, 2):
        blocks = jacobian(SHARING[name], mode=mode, chunk_size=size)(x)
        blocks = [blocks] if isinstance(blocks, np.ndarray) else [*blocks]
        for k, block in enumerate(blocks):
            assert not any(np.shares_memory(block, o) for o in (x, *blocks[:k]))
            block[...] = 7.0
    for found in jacobian(lambda a, b: np.sum(a) + b, (0, 1), mode=mode)(x, x):
        found[...] = 7.0
    equal(x, B)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("x", [A[:3], B], ids=["vector", "matrix"])
def test_jacobians_of_both_modes(name, x):
    f = MAPS[name]
    expected = rows(f, x)
    for mode in ("forward", "reverse"):
        for size in (None, 1, 2, x.size, 1000):
            found = jacobian(f, mode=mode, chunk_size=size)(x)
            assert found.shape == expected.shape and found.dtype == float
            close(found, expected, rtol=1e-12, atol=1e-12)
        assert jacobian(f, mode=mode)(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
@pytest.mark.parametrize("x", [A, A.astype(np.float32), 2.0], ids=["float64", "float32", "float"])
@pytest.mark.parametrize("weight", [A / 3, (A / 3).astype(np.float32)], ids=["64", "32"])
def test_a_jacobian_is_of_the_type_of_the_argument(mode, x, weight):
    """As a gradient is, whatever the result's type: a Python float counts as float64."""
    found = jacobian(lambda x: np.float32(0.5) * weight * x, mode=mode)(x)
    assert found.dtype == getattr(x, "dtype", float)
    close(found, np.diag(A / 6) if np.ndim(x) else A / 6, rtol=1e-6)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("size", [None, 1, 3, 100])
def test_jacobians_of_trees(mode, size):
    """Blocks of results in the structure of the results, then of the arguments."""
    w, c = np.array([[1.0, 2.0], [3.0, 4.0]]), 5.0

    def f(p, x):
        return {"y": p["w"] @ x * p["c"], "s": [np.sum(p["w"] ** 2), p["c"] * 2.0, 1.0]}

    x = np.array([0.5, -1.0])
    found = jacobian(f, (0, 1), mode=mode, chunk_size=size)({"w": w, "c": c}, x)
    by_p, by_x = found["y"]
    expected = np.zeros((2, 2, 2))
    expected[0, 0] = expected[1, 1] = x * c
    close(by_p["w"], expected)
    close(by_p["c"], w @ x)
    close(by_x, w * c)
    (squares, to_x), (double, _), (nothing, zeros) = found["s"]
    close(squares["w"], 2 * w)
    assert squares["c"] == 0.0 and double["c"] == 2.0 and nothing["c"] == 0.0
    assert type(double["c"]) is float
    equal(to_x, np.zeros(2))
    equal(zeros, np.zeros(2))
    equal(nothing["w"], np.zeros((2, 2)))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_without_elements(mode):
    def j(f, x):
        return jacobian(f, mode=mode)(x)

    assert j(np.sin, np.zeros(0)).shape == (0, 0)
    assert j(np.sum, np.zeros((0, 3))).shape == (0, 3)
    assert j(lambda x: x[:0], A).shape == (0, 3)
    assert j(lambda x: np.ones(2) * np.sum(x), np.zeros((3, 0))).shape == (2, 3, 0)
    assert j(lambda d: A, {}) == {}
    assert j(lambda x: [], A) == []
    parts = j(lambda t: t[0] * np.sum(t[1]), (A, np.zeros(0)))
    assert parts[0].shape == (3, 3) and parts[1].shape == (3, 0)


@pytest.mark.parametrize("outer", ["forward", "reverse"])
@pytest.mark.parametrize("inner", ["forward", "reverse"])
def test_hessians_of_all_four_combinations(outer, inner):
    """Of Σ x³ + x₀x₁, and third derivatives on top."""
    f = lambda x: np.sum(x**3) + x[0] * x[1]  # noqa: E731
    expected = np.diag(6 * A)
    expected[0, 1] = expected[1, 0] = 1.0
    second = jacobian(jacobian(f, mode=inner), mode=outer, chunk_size=2)
    close(second(A), expected)
    close(jacobian(grad(f), mode=outer)(A), expected)
    third = np.zeros((3, 3, 3))
    third[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = 6.0
    for mode in ("forward", "reverse"):
        close(jacobian(second, mode=mode)(A), third, atol=1e-12)


@pytest.mark.parametrize("size", [None, 1, 2, 7])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_hessians_and_their_products(mode, size):
    """Of trees: symmetric, and times a vector what hvp gives."""
    rng = np.random.default_rng(3)

    def f(p):
        return np.sum(np.tanh(p["w"] @ A) * p["b"]) ** 2 + p["b"][0] ** 3

    p = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}
    v = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}
    h = hessian(f, mode=mode, chunk_size=size)(p)
    close(h["w"]["b"], np.moveaxis(h["b"]["w"], 0, -1), atol=1e-12)
    (found,) = hvp(f, (p,), (v,))
    for k in p:
        expected = np.tensordot(h[k]["w"], v["w"], 2) + np.tensordot(h[k]["b"], v["b"], 1)
        close(found[k], expected, rtol=1e-10)
        e = 1e-5
        ahead, behind = (grad(f)({k: p[k] + s * v[k] for k in p})[k] for s in (e, -e))
        close(found[k], (ahead - behind) / (2 * e), rtol=1e-5, atol=1e-7)


def test_a_jacobian_is_differentiated_by_what_it_captures():
    """d/dw of the trace of ∂(w x²)/∂x is 2 Σ x, by grad, by jvp and by backward."""
    for mode in ("forward", "reverse"):
        f = lambda w, mode=mode: np.trace(jacobian(lambda x: w * x**2, mode=mode)(A))  # noqa: E731
        close(grad(f)(3.0), 2 * np.sum(A))
        close(jvp(f, (3.0,), (1.0,))[1], 2 * np.sum(A))
        w = Tensor(3.0)
        f(w).backward()
        close(w.grad, 2 * np.sum(A))


# --- misuse --------------------------------------------------------------------------------------


def square(x):
    return x * x


def total(x):
    return np.sum(x * x)


FOR_TANGENTS = {
    "jvp": lambda x, v: jvp(square, (x,), (v,)),
    "linearize": lambda x, v: linearize(square, x)[1](v),
    "hvp": lambda x, v: hvp(total, (x,), (v,)),
}
TANGENTS = {
    "longer": (np.ones(4), ValueError, r"tangent at \[0\] has shape \(4,\), its primal \(3,\)"),
    "a number": (1.0, ValueError, r"tangent at \[0\] has shape \(\), its primal \(3,\)"),
    "a matrix": (np.ones((1, 3)), ValueError, r"shape \(1, 3\), its primal \(3,\)"),
    "a list": (
        [1.0, 1.0, 1.0],
        ValueError,
        r"not built .* \[0\] is a sequence of length 3 in the place of an",
    ),
    "nothing": (None, ValueError, r"not built .* \[0\] is None in the place of an array"),
    "integers": (np.arange(3), TypeError, r"tangent at \[0\].*int64.*astype\(float\)"),
    "truth": (A > 1, TypeError, r"tangent at \[0\].*bool.*astype\(float\)"),
    "complex": (A * 1j, TypeError, r"tangent at \[0\].*complex128.*real and imaginary"),
    "objects": (np.array([1, 2.0, "x"], object), TypeError, r"tangent at \[0\].*object"),
    "text": ("v", TypeError, r"tangent at \[0\].*a str"),
}


@pytest.mark.parametrize("what", FOR_TANGENTS)
@pytest.mark.parametrize("case", TANGENTS)
def test_unfit_tangents(what, case):
    tangent, error, message = TANGENTS[case]
    with pytest.raises(error, match=rf"(?s)^{what}: .*{message}"):
        FOR_TANGENTS[what](A, tangent)


@pytest.mark.parametrize("what", [*FOR_TANGENTS, "jacobian", "hessian"])
@pytest.mark.parametrize(
    "primal", [np.arange(3), A > 1, A * 1j, np.array([1, "x", 2.0], object), "x"]
)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_unfit_primals(what, primal, mode):
    kind = getattr(primal, "dtype", "a str")
    with pytest.raises(TypeError, match=rf"(0|argument 0).*derivatives need floating.*{kind}"):
        if what == "jacobian":
            jacobian(square, mode=mode)(primal)
        elif what == "hessian":
            hessian(total, mode=mode)(primal)
        else:
            FOR_TANGENTS[what](primal, np.ones(3))


def product(p):
    return p["a"] * p["b"][0]


P = {"a": 2.0, "b": [3.0, 4.0]}
STRUCTURES = {
    "a key is missing": (
        {"a": 1.0},
        r"\[0\] is a dict with the keys 'a' in the place of .*'a', 'b'",
    ),
    "a key too many": (P | {"c": 1.0}, r"'a', 'b', 'c' in the place of .* 'a', 'b'"),
    "too many": ({"a": 1.0, "b": [1.0] * 3}, r"\[0\]\['b'\] is a sequence of length 3 .* length 2"),
    "a number for a list": (
        {"a": 1.0, "b": 1.0},
        r"\[0\]\['b'\] is an array or number .* length 2",
    ),
    "a list for a dict": ([1.0, [1.0, 1.0]], r"\[0\] is a sequence of length 2 .* a dict with"),
    "deeper": ({"a": 1.0, "b": [1.0, [1.0]]}, r"\[0\]\['b'\]\[1\] is a sequence .* or number"),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_tangents_in_another_structure(case):
    tangents, message = STRUCTURES[case]
    for what, call in {
        "jvp": lambda: jvp(product, (P,), (tangents,)),
        "hvp": lambda: hvp(product, (P,), (tangents,)),
        "linearize": lambda: linearize(product, P)[1](tangents),
    }.items():
        with pytest.raises(
            ValueError, match=rf"^{what}: the tangents are not built like .*{message}"
        ):
            call()


def test_the_same_structure_written_otherwise():
    """Tuples for lists, and another order of keys: paired by key, not by place."""
    tangents = {"b": (10.0, 0.0), "a": 1.0}
    assert jvp(product, (P,), [tangents]) == (6.0, 3.0 + 20.0)
    assert linearize(product, P)[1](tangents) == 23.0
    assert hvp(product, (P,), (tangents,)) == ({"a": 10.0, "b": [1.0, 0.0]},)


MISUSES = {
    "too few tangents": (
        ValueError,
        "length 0 in the place of.*length 1",
        lambda: linearize(square, A)[1](),
    ),
    "too many tangents": (
        ValueError,
        "length 2 in the place of.*length 1",
        lambda: jvp(square, (A,), (A, A)),
    ),
    "no tuple": (
        TypeError,
        r"jvp: primals and tangents are tuples.*jvp\(f, \(x,\)",
        lambda: jvp(square, A, A),
    ),
    "no tuple, hvp": (TypeError, r"hvp: primals and tangents are tuples", lambda: hvp(total, A, A)),
    "froward": (
        ValueError,
        "'forward' or 'reverse', not 'froward'",
        lambda: jacobian(square, mode="froward"),
    ),
    "froward, hessian": (
        ValueError,
        "^hessian: .*not 'froward'",
        lambda: hessian(total, mode="froward"),
    ),
    "no mode": (ValueError, "^jacobian: mode is .*not None", lambda: jacobian(square, mode=None)),
    "a list of modes": (ValueError, "mode is .*not ", lambda: jacobian(square, mode=["forward"])),
    "an integer result": (
        TypeError,
        "result of <lambda>.*int64",
        lambda: jvp(lambda x: np.argmax(x), (A,), (A,)),
    ),
    "a truth as result": (
        TypeError,
        "result of <lambda>.*bool",
        lambda: jvp(lambda x: x > 1, (A,), (A,)),
    ),
    "text as result": (TypeError, "result of <lambda>.*str", lambda: linearize(lambda x: "a", A)),
    "hvp of a vector": (
        ValueError,
        r"square returned shape \(3,\)",
        lambda: hvp(square, (A,), (A,)),
    ),
    "float()": (TypeError, "lose its derivative", lambda: jvp(float, (2.0,), (1.0,))),
    "an array of it": (
        TypeError,
        r"np\.stack",
        lambda: jvp(lambda x: np.array([x, x]), (2.0,), (1.0,)),
    ),
    "to integers": (
        TypeError,
        "int64 has no derivatives",
        lambda: jvp(lambda x: x.astype(int), (A,), (A,)),
    ),
    "shapes inside": (
        ValueError,
        r"add: .*\(3,\).*\(2,\)",
        lambda: jvp(lambda x: x + np.ones(2), (A,), (A,)),
    ),
}


@pytest.mark.parametrize("case", MISUSES)
def test_misuse_is_named(case):
    error, message, call = MISUSES[case]
    with pytest.raises(error, match=f"(?s){message}"):
        call()
    equal(A, [1, 2, 3])


@pytest.mark.parametrize("size", [0, -1, 2.5, "2", np.float64(2)])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_chunk_size_that_is_none(size, mode):
    for call in (jacobian, hessian):
        with pytest.raises(ValueError, match="chunk_size is a positive whole number or None, not"):
            call(total, mode=mode, chunk_size=size)


def test_after_an_error_all_is_as_before():
    x, v = A.copy(), np.ones(3)
    for bad in (np.ones(2), np.arange(3), {"a": v}):
        with pytest.raises((ValueError, TypeError)):
            jvp(square, (x,), (bad,))
    with pytest.raises(ZeroDivisionError):
        jvp(lambda x: x * (1 // 0), (x,), (v,))
    equal(x, A)
    equal(jvp(square, (x,), (v,))[1], 2 * A)


# --- silence, constants, assignment ------------------------------------------------------------


def test_no_grad_around_and_inside():
    def f(x):
        with no_grad():
            c = x * x
        return x * c

    assert jvp(f, (3.0,), (1.0,)) == (27.0, 9.0)
    assert linearize(f, 3.0)[1](1.0) == 9.0
    with no_grad():
        assert jvp(lambda x: x**3, (2.0,), (1.0,)) == (8.0, 12.0)
        assert linearize(lambda x: x**3, 2.0)[1](1.0) == 12.0
        close(jacobian(np.sin, mode="forward")(A), np.diag(np.cos(A)))
        close(hvp(total, (A,), (A,))[0], 2 * A)
        assert grad(lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0) == 6.0


def test_no_grad_in_an_inner_level_cuts_the_outer_too():
    """c = 6 is a constant: d/dy (6·y·x) = 6x, and of that d/dx = 6."""
    for D in (grad, WAYS["jvp"], WAYS["linearize"]):
        for d in (grad, WAYS["jvp"], WAYS["linearize"]):

            def f(x, d=d):
                def inner(y):
                    with no_grad():
                        c = x * y
                    return c * y * x

                return d(inner)(2.0)

            assert D(f)(3.0) == 6.0


def test_a_level_started_inside_no_grad_records():
    def f(x):
        with no_grad():
            c = jvp(lambda y: y**3 * x, (2.0,), (1.0,))[1]  # 12 x, standing still
        return c * x

    assert jvp(f, (3.0,), (1.0,)) == (108.0, 36.0)


def test_stop_gradient_and_detach():
    for stop in (stop_gradient, lambda x: x.detach()):
        assert jvp(lambda x, stop=stop: x * stop(x), (3.0,), (1.0,)) == (9.0, 3.0)
        f = lambda x, stop=stop: x * jvp(lambda y: y * stop(x * y), (x,), (1.0,))[1]  # noqa: E731
        assert jvp(f, (3.0,), (1.0,))[1] == 9.0
        assert grad(f)(3.0) == 9.0
        close(vmap(lambda x, stop=stop: jvp(lambda x: x * stop(x), (x,), (1.0,))[1])(A), A)


def silenced_view(x):
    with no_grad():
        return x[:]


@pytest.mark.parametrize("stop", [stop_gradient, lambda x: x.detach(), silenced_view])
def test_writing_into_a_constant_leaves_the_argument_alone(stop):
    """c = (100, x₁, x₂) stands still: the value of Σ c·x and its derivative, c."""

    def f(x):
        c = stop(x)
        c[0] = 100.0
        return np.sum(c * x)

    x, v = A.copy(), np.array([1.0, 1.0, 0.0])
    assert jvp(f, (x,), (v,)) == (100 + 4 + 9, 100 + 2)
    equal(x, A)
    equal(hvp(f, (x,), (v,))[0], np.zeros(3))
    equal(x, A)


def test_a_constant_has_the_methods_of_an_array():
    assert jvp(lambda x: x * stop_gradient(x).reshape(1)[0], (3.0,), (1.0,)) == (9.0, 3.0)
    assert jvp(lambda x: x * x.detach().detach(), (3.0,), (1.0,)) == (9.0, 3.0)


@pytest.mark.parametrize(
    "gradient",
    [grad, lambda f: lambda x: np.stack([jvp(f, (x,), (v,))[1] for v in np.eye(3)])],
    ids=["grad", "jvp"],
)
def test_what_is_assigned_to_in_no_grad_stands_still(gradient):
    """With c = (7, x₁, x₂) standing still, Σ c·x has the derivative c, whatever is around it."""

    def f(x):
        c = x * 1.0
        with no_grad():
            c[0] = 7.0
        return np.sum(c * x)

    slope = gradient(f)
    equal(slope(A), [7.0, 2.0, 3.0])
    equal(vmap(slope)(np.stack([A, B[0]])), [[7.0, 2.0, 3.0], [7.0, *B[0, 1:]]])
    equal(jvp(slope, (A,), (A,))[1], np.zeros(3))
    equal(jacobian(slope)(A), np.zeros((3, 3)))


def test_the_plain_value_is_data():
    """As the error messages say: the value without this level's tangent."""
    assert jvp(lambda x: x * x.data, (3.0,), (1.0,)) == (9.0, 3.0)
    assert grad(lambda x: jvp(lambda y: y * y.data, (x,), (1.0,))[1])(3.0) == 1.0


def replaced(x):
    x[0] = 10.0 * x[1]
    return x * x


def replaced_view(x):
    y = x
    z = x * 1.0
    y[0] = 10.0 * z[1]
    return x * x  # one handle by two names


@pytest.mark.parametrize("f", [replaced, replaced_view])
def test_assignment_under_jvp(f):
    """x ↦ (10 x₁, x₁, x₂)², and the argument stays what it was."""
    x, v = A.copy(), np.array([1.0, 1.0, 0.0])
    y, t = jvp(f, (x,), (v,))
    equal(x, A)
    equal(v, [1, 1, 0])
    close(y, [400, 4, 9])
    close(t, [2 * 20 * 10, 4, 0])
    close(linearize(f, x)[1](v), t)
    close(jacobian(f, mode="forward")(x) @ v, t)
    close(jacobian(f)(x) @ v, t)
    close(vmap(f)(np.stack([A, 2 * A])), [[400, 4, 9], [1600, 16, 36]])
    equal(x, A)


@pytest.mark.parametrize("outer", [grad, WAYS["jvp"], WAYS["linearize"], WAYS["vmap of jvp"]])
@pytest.mark.parametrize("inner", ["jvp", "grad", "linearize", "jacobian forward"])
def test_assignment_does_not_reach_what_another_level_recorded(outer, inner):
    """d/dy of y·v₀ is v₀ as it was multiplied, whatever v becomes; and d/ds of that, s² at 3."""

    def f(s):
        v = np.stack([s * s, s])

        def g(y):
            z = y * v[0] + y * v[1] * 0.0
            w = y * v
            v[0] = 100.0 * s
            return z + np.sum(w) - w[0] - w[1]

        return WAYS[inner](g)(5.0)

    close(outer(f)(3.0), 6.0)


def test_a_captured_handle_changed_after_its_use():
    w = Tensor([1.0, 2.0])

    def f(x):
        y = x * w
        w[0] = 100.0
        return np.sum(y)

    value, tangent = jvp(f, (np.ones(2),), (np.ones(2),))
    assert value.item() == 3.0 and tangent.item() == 3.0


def test_the_point_of_a_linearization_changed_before_its_push():
    x = Tensor([1.0, 2.0])
    _, push = linearize(lambda x: x * x, x)
    x[0] = 100.0
    equal(push(np.ones(2)).data, [2.0, 4.0])


def test_tensors_as_primals_and_tangents():
    """backward goes on through the tangent: d/dx (2xv) = 2v, d/dv = 2x."""
    x, v = Tensor(A.copy()), Tensor(np.array([1.0, 0.5, -1.0]))
    for t in (jvp(square, (x,), (v,))[1], linearize(square, x)[1](v)):
        x.grad = v.grad = None
        np.sum(t * A).backward()
        close(x.grad, 2 * v.data * A)
        close(v.grad, 2 * A * A)
    s = Tensor(2.0)
    assert jvp(square, (s,), (1.0,))[1].item() == 4.0
    assert jvp(square, (Tensor(2.0).detach(),), (1.0,)) == (4.0, 4.0)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_jacobian_of_many_numbers_takes_work_in_proportion_to_its_blocks(mode):
    def calls(n):
        found = 0

        def count(frame, event, arg):
            nonlocal found
            found += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            jacobian(lambda xs: [x * x for x in xs], mode=mode)([1.0] * n)
        finally:
            sys.setprofile(before)
        return found

    assert calls(80) < 5 * calls(40)  # 4 for the square of n, 8 for its cube
