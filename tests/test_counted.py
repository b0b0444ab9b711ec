"""Operation counts, against counts by hand.

Programs are small enough to be counted on paper; their derivatives are counted by the formulas
of the sweeps.  Every operation of the registry is counted too: with the values of the plain call,
and by shapes alone.
"""

import copy
import math
import operator
import threading
from dataclasses import replace

import numpy as np
import pytest

import nn
import optim.rules
from autograd import (
    Counts,
    Tensor,
    checkpoint,
    count_operations,
    elementwise,
    general,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    logsumexp,
    relu,
    sigmoid,
    softmax,
    softplus,
    value_and_grad,
    vjp,
    vmap,
)
from autograd.costs import cost_of
from autograd.counted import Counted, Tally
from autograd.graph import levels
from autograd.primitive import Primitive, plain, registry
from autograd.rules.random import uniform
from autograd.tree import flatten
from nn.functional import batch_norm, linear
from nn.losses import cross_entropy

from .samples import SAMPLES
from .strict import Strict
from .test_device import excepted

OPERATIONS = dict(registry)  # as it is before any test registers more


def work(counts):
    """`counts` without the bytes."""
    return replace(counts, bytes_read=0, bytes_written=0)


def counted(f, *args, **kwargs):
    return work(count_operations(f, *args, **kwargs))


def traffic(f, *args):
    counts = count_operations(f, *args)
    return counts.bytes_read, counts.bytes_written


def real(*shape):
    return np.random.default_rng(0).uniform(0.5, 1.5, shape)


# --- Speelpenning's product -----------------------------------------------------------------------


def product(ws):
    v = 1.0
    for w in ws:
        v = v * w
    return v


def product_of_elements(w):
    v = 1.0
    for i in range(len(w)):
        v = v * w[i]
    return v


NUMBERS = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
LENGTHS = pytest.mark.parametrize("n", [1, 2, 6])


@LENGTHS
def test_speelpenning_on_numbers(n):
    """The reverse sweep has two multiplications a step; one in the first, 1 being a constant.

    A direction forward has the same, and an addition in all steps but the first.
    """
    ws, v = NUMBERS[:n], [1.0] * n
    f = Counts(multiplications=n)
    reverse = Counts(multiplications=2 * n - 1)
    forward = Counts(multiplications=2 * n - 1, additions=n - 1)
    every = Counts(multiplications=n * (2 * n - 1), additions=n * (n - 1))
    assert counted(product, ws) == f
    assert counted(grad(product), ws) == f + reverse
    assert counted(value_and_grad(product), ws) == f + reverse
    assert counted(lambda ws, v: jvp(product, (ws,), (v,)), ws, v) == f + forward
    assert counted(lambda ws: jvp(product, (ws,), (v,)), ws) == f + forward
    assert counted(lambda ws: linearize(product, ws)[1](v), ws) == f + forward
    assert counted(jacobian(product, mode="forward"), ws) == f + every
    assert counted(jacobian(product, mode="reverse"), ws) == f + reverse


@LENGTHS
def test_speelpenning_on_an_array(n):
    """Reading elements is no arithmetic; in reverse their cotangents are added into an array."""
    w = np.array(NUMBERS[:n])
    f, reverse = Counts(multiplications=n), Counts(multiplications=2 * n - 1, additions=n)
    forward = Counts(multiplications=2 * n - 1, additions=n - 1)
    every = Counts(multiplications=n * (2 * n - 1), additions=n * (n - 1))
    assert counted(product_of_elements, w) == f
    assert counted(grad(product_of_elements), w) == f + reverse
    assert counted(lambda w: jvp(product_of_elements, (w,), (np.ones(n),)), w) == f + forward
    assert counted(jacobian(product_of_elements, mode="forward"), w) == f + every
    assert counted(jacobian(product_of_elements, mode="reverse"), w) == f + reverse


def test_bytes_of_speelpenning():
    """On numbers each multiplication reads 16 bytes and writes 8; an element read adds 8 and 8."""
    assert traffic(product, NUMBERS) == (6 * 16, 6 * 8)
    assert traffic(product_of_elements, np.array(NUMBERS)) == (6 * (16 + 8), 6 * (8 + 8))


# --- small programs -------------------------------------------------------------------------------

X = real(4, 3)
N = X.size


def add(n=1):
    return Counts(additions=n)


def multiply(n=1):
    return Counts(multiplications=n)


def divide(n=1):
    return Counts(divisions=n)


def compare(n=1):
    return Counts(comparisons=n)


def call(name, n=1):
    return Counts(calls={name: n})


def gemm(n):
    return Counts(gemm=n)


PROGRAMS = {
    "x + x": (lambda x: x + x, add(N)),
    "x - 1": (lambda x: x - 1, add(N)),
    "-x": (lambda x: -x, add(N)),
    "x * x * x": (lambda x: x * x * x, multiply(2 * N)),
    "x / 2": (lambda x: x / 2, divide(N)),
    "square": (np.square, multiply(N)),
    "x**2": (lambda x: x**2, multiply(N)),
    "x**3": (lambda x: x**3, multiply(2 * N)),
    "x**2.5": (lambda x: x**2.5, call("power", N)),
    "mask**2": (lambda x: (x > 1) ** 2, compare(N) + call("power", N)),
    "2**x": (lambda x: 2.0**x, call("power", N)),
    "broadcast": (lambda x: x[:, :1] + x[:1, :], add(N)),
    "x > 1": (lambda x: x > 1, compare(N)),
    "masks": (lambda x: (x > 1) & ~(x < 2), compare(4 * N)),
    "maximum": (lambda x: np.maximum(x, 1), compare(N)),
    "clip": (lambda x: np.clip(x, 0, 1), compare(2 * N)),
    "where": (lambda x: np.where(x > 1, x, 0), compare(2 * N)),
    "abs, sign": (lambda x: np.abs(x) * np.sign(x), compare(2 * N) + multiply(N)),
    "exp, tanh": (lambda x: np.exp(np.tanh(x)), Counts(calls={"exp": N, "tanh": N})),
    "hypot": (lambda x: np.hypot(x, 1), call("hypot", N)),
    "sqrt": (np.sqrt, call("sqrt", N)),
    "round": (lambda x: np.round(x, 1), call("round", N)),
    "1 / x, //, %": (lambda x: np.reciprocal(x) // 2 % 3, divide(3 * N)),
    "degrees, ldexp": (lambda x: np.ldexp(np.degrees(x), 2), multiply(2 * N)),
    "modf": (lambda x: np.modf(x)[0], call("modf", N)),
    "sinc": (np.sinc, call("sinc", N)),
    "copysign": (lambda x: np.copysign(x, 1), compare(N)),
    "isclose": (lambda x: np.isclose(x, 1), add(2 * N) + multiply(N) + compare(7 * N)),
    "nonzero": (np.nonzero, compare(N)),
    "sum": (np.sum, add(N - 1)),
    "sum, axis": (lambda x: x.sum(axis=1), add(4 * 2)),
    "sum, axes": (lambda x: x.sum(axis=(0, 1), keepdims=True), add(N - 1)),
    "sum, initial": (lambda x: np.sum(x, axis=0, initial=2.0), add(N)),
    "add.reduce": (lambda x: np.add.reduce(x, 1), add(4 * 2)),
    "mean": (lambda x: np.mean(x, axis=0), add(3 * 3) + divide(3)),
    "var": (lambda x: np.var(x), add(N - 1) + divide(2) + add(N) + multiply(N) + add(N - 1)),
    "prod": (lambda x: np.prod(x, axis=1), multiply(4 * 2)),
    "max": (lambda x: np.max(x, axis=1), compare(4 * 2)),
    "argmax": (lambda x: np.argmax(x, axis=1), compare(4 * 2)),
    "any": (lambda x: np.any(x > 1), compare(N + N - 1)),
    "cumsum": (lambda x: np.cumsum(x, axis=0), add(3 * 3)),
    "cumsum, flat": (np.cumsum, add(N - 1)),
    "cumprod": (lambda x: np.cumprod(x, axis=1), multiply(4 * 2)),
    "diff": (lambda x: np.diff(x, axis=0), add(9)),
    "argsort": (lambda x: np.argsort(x), call("argsort", N)),
    "x @ x.T": (lambda x: x @ x.T, gemm(2 * 4 * 3 * 4)),
    "x @ v": (lambda x: x @ x[0], gemm(2 * 4 * 3)),
    "v @ v": (lambda x: x[0] @ x[0], gemm(2 * 3)),
    "stack": (lambda x: x.reshape(2, 2, 3) @ x.T, gemm(2 * 2 * 2 * 3 * 4)),
    "dot": (lambda x: np.dot(x, x.T), gemm(2 * 4 * 3 * 4)),
    "outer": (lambda x: np.outer(x, x), multiply(N * N)),
    "tensordot": (lambda x: np.tensordot(x, x, axes=([0], [0])), gemm(2 * 3 * 4 * 3)),
    "vecdot": (lambda x: np.vecdot(x, x), gemm(2 * 4 * 3)),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), gemm(2 * 4 * 3 * 4)),
    "einsum, sum": (lambda x: np.einsum("ij->j", x), add(N)),
    "einsum, trace": (lambda x: np.einsum("ii", x[:3]), add(3)),
    "einsum, product": (lambda x: np.einsum("ij,ij->ij", x, x), gemm(2 * N)),
    "einsum, transpose": (lambda x: np.einsum("ij->ji", x), Counts()),
    "einsum, three": (lambda x: np.einsum("ij,kj,kl->il", x, x, x), gemm(3 * 4 * 3 * 4 * 3)),
    "einsum, path": (
        lambda x: np.einsum("ij,kj,kl->il", x, x, x, optimize=["einsum_path", (1, 2), (0, 1)]),
        gemm(2 * (4 * 3 * 3) + 2 * (4 * 3 * 3)),
    ),
    "convolve": (lambda x: np.convolve(x[:, 0], x[0]), multiply(12) + add(12 - 6)),
    "convolve, same": (lambda x: np.convolve(x[:, 0], x[0], "same"), multiply(10) + add(10 - 4)),
    "correlate": (lambda x: np.correlate(x[:, 0], x[0]), multiply(2 * 3) + add(2 * 2)),
    "allclose": (
        lambda x: np.allclose(x, x), add(2 * N) + multiply(N) + compare(7 * N + N - 1),
    ),
    "array_equal": (lambda x: np.array_equal(x, x), compare(N + N - 1)),
    "reshape, transpose": (lambda x: x.reshape(3, 4).T, Counts()),
    "concatenate, roll, pad": (
        lambda x: np.pad(np.roll(np.concatenate([x, x]), 1), 1), Counts(),
    ),
    "x[0] = x[1]": (lambda x: x.__setitem__(0, x[1]), Counts()),
    "relu": (relu, compare(N)),
    "softplus": (
        softplus,
        compare(2 * N) + add(3 * N - N) + Counts(calls={"exp": N, "log1p": N}),
    ),
    "sigmoid": (sigmoid, add(2 * N) + call("exp", N) + divide(N)),
    "softmax": (softmax, compare(4 * 2) + add(N + 4 * 2) + call("exp", N) + divide(N)),
    "logsumexp": (  # the largest of three, which is then compared with -inf, and chosen
        lambda x: logsumexp(x, axis=1),
        compare(4 * 2 + 4 + 4) + add(N + 4 * 2 + 4) + Counts(calls={"exp": N, "log": 4}),
    ),
    "linear": (
        lambda x: linear(x, np.ones((5, 3)), np.ones(5)), gemm(2 * 4 * 3 * 5) + add(4 * 5),
    ),
    "batch_norm": (  # mean, centered, square, mean; var + eps, sqrt, gamma /; times, plus
        lambda x: batch_norm(x, np.ones(3), np.ones(3), axes=(0,), eps=1e-5),
        add(9) + divide(3) + add(N) + multiply(N) + add(9) + divide(3)
        + add(3) + call("sqrt", 3) + divide(3) + multiply(N) + add(N),
    ),
    "cross_entropy": (  # softmax, log, a difference; and its slopes, which are kept
        lambda x: cross_entropy(x, np.array([0, 1, 2, 0])),
        compare(4 * 2) + add(N) + call("exp", N) + add(4 * 2) + call("log", 4) + add(4)
        + divide(N) + add(4) + add(3) + divide(1),
    ),
    "norm": (lambda x: np.linalg.norm(x), multiply(N) + add(N - 1) + call("sqrt")),
    "uniform": (lambda x: uniform(x), call("uniform", N)),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_by_hand(name):
    f, expected = PROGRAMS[name]
    assert counted(f, X) == expected


def test_linear_algebra():
    """The leading terms of LAPACK Working Note 41, and calls for what iterates."""
    a = real(2, 6, 6) + 6 * np.eye(6)
    b = real(6, 4)
    n = 6
    assert counted(np.linalg.inv, a) == gemm(2 * 2 * n**3)
    assert counted(np.linalg.det, a) == gemm(2 * 144)
    assert counted(np.linalg.slogdet, a) == gemm(2 * 144)
    assert counted(lambda a: np.linalg.solve(a[0], b), a) == gemm(144 + 2 * n * n * 4)
    assert counted(lambda a: np.linalg.solve(a[0], b[:, 0]), a) == gemm(144 + 2 * n * n)
    assert counted(lambda a: np.linalg.solve(a, b), a) == gemm(2 * (144 + 2 * n * n * 4))
    assert counted(lambda a: np.linalg.cholesky(a + np.matrix_transpose(a)), a) == gemm(
        2 * 72
    ) + add(72)
    assert counted(np.linalg.qr, b) == gemm(2 * 6 * 16 - 42)
    assert counted(np.linalg.svdvals, b) == call("svd")
    assert counted(np.linalg.eigh, a) == call("eigh", 2)
    assert counted(np.linalg.pinv, b) == call("pinv")


class Element:
    """A number that counts what NumPy does with it, as an element of an object array."""

    done = {}

    def __init__(self, number):
        self.number = number


def _counting(name, function):
    def method(*operands):
        Element.done[name] = Element.done.get(name, 0) + 1
        result = function(*(getattr(x, "number", x) for x in operands))
        return result if isinstance(result, bool) else Element(result)

    return method


for _method, _name, _function in [
    ("__add__", "additions", operator.add), ("__sub__", "additions", operator.sub),
    ("__radd__", "additions", operator.add), ("__neg__", "additions", operator.neg),
    ("__mul__", "multiplications", operator.mul), ("__truediv__", "divisions", operator.truediv),
    ("__lt__", "comparisons", operator.lt), ("__le__", "comparisons", operator.le),
    ("__gt__", "comparisons", operator.gt), ("__ge__", "comparisons", operator.ge),
    ("tanh", "tanh", math.tanh), ("exp", "exp", math.exp),
]:  # fmt: skip
    setattr(Element, _method, _counting(_name, _function))

EXECUTED = [
    np.sum, np.prod, np.max, np.min, np.mean, np.cumsum, np.cumprod, np.argmin, np.negative,
    np.square, np.tanh, np.trace,
    lambda x: x + x[0], lambda x: x - x[:, :1], lambda x: x * x * x, lambda x: x / x[0],
    lambda x: x.sum(axis=0), lambda x: np.mean(x, axis=1), lambda x: np.prod(x, axis=1),
    lambda x: np.cumsum(x, axis=1), lambda x: np.cumprod(x, axis=0), lambda x: np.max(x, axis=0),
    lambda x: np.argmax(x, axis=1), lambda x: np.maximum(x, x[0]), lambda x: x < x[0],
    lambda x: np.diff(x, axis=0), lambda x: np.tile(x, 2) + np.roll(np.tile(x, 2), 1),
    lambda x: np.convolve(x[:, 0], x[0]), lambda x: np.convolve(x[:, 0], x[0], "same"),
    lambda x: np.convolve(x[0], x[:, 0], "valid"), lambda x: np.correlate(x[0], x[:, 0], "same"),
    lambda x: np.einsum("ij->j", x), lambda x: np.einsum("ij->ji", x),
    lambda x: np.exp(x - np.max(x, axis=1, keepdims=True)),
]  # fmt: skip


@pytest.mark.parametrize("f", EXECUTED)
def test_what_numpy_executes(f):
    """The counts are those of elements that count themselves."""
    Element.done = {}
    f(np.vectorize(Element, otypes=[object])(X))
    found = counted(f, X).to_dict()
    found |= found.pop("calls")
    assert {name: n for name, n in found.items() if n and name != "total"} == Element.done


@pytest.mark.parametrize("f", [
    lambda x: x @ x.T, lambda x: x @ x[0], lambda x: np.tensordot(x, x, axes=([0], [0])),
    lambda x: np.einsum("ij,kj->ik", x, x), lambda x: np.einsum("ij,ij->ij", x, x),
    lambda x: x.reshape(2, 2, 3) @ x.T,
])  # fmt: skip
def test_products_count_one_addition_for_each_multiplication(f):
    Element.done = {}
    f(np.vectorize(Element, otypes=[object])(X))
    assert counted(f, X) == gemm(2 * Element.done["multiplications"])


DERIVATIVES = {
    "x + x": (lambda x: x + x, 2.0, add(2)),
    "x * x * x": (lambda x: x * x * x, 2.0, multiply(2 + 4) + add(2)),
    # g·(1 - y·y) for one g
    "tanh": (
        lambda x: np.sum(np.tanh(x)), X,
        call("tanh", N) + add(N - 1) + multiply(2 * N) + add(N),
    ),
    "sum": (np.sum, X, add(N - 1)),
    # the mean's cotangent is divided, and multiplied by 2x
    "mean of squares": (
        lambda x: np.mean(x**2), X, multiply(N) + add(N - 1) + divide(2) + multiply(2 * N),
    ),
    # y·(g - Σ g·y), and here g·y is first selected
    "softmax": (
        lambda x: softmax(x)[0, 0], X[:1],
        compare(2) + add(3 + 2) + call("exp", 3) + divide(3)
        + add(1) + multiply(3) + add(2) + add(3) + multiply(3),
    ),
    # the two products with g, each as large as the first, and the sum of both
    "x @ x": (lambda x: np.sum(x @ x), X[:3], gemm(3 * 2 * 27) + add(8) + add(9)),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVATIVES)
def test_gradients_by_hand(name):
    f, x, expected = DERIVATIVES[name]
    assert counted(grad(f), x) == expected


# --- bytes ----------------------------------------------------------------------------------------


def test_bytes():
    x, n = real(4, 3), 8 * 12
    assert traffic(np.exp, x) == (n, n)
    assert traffic(lambda x: x + 1, x) == (n + 8, n)
    assert traffic(lambda x: x + x[0], x) == (n + 24, n)
    assert traffic(np.sum, x) == (n, 8)
    assert traffic(np.exp, x.astype(np.float32)) == (n // 2, n // 2)
    assert traffic(lambda x: x > 1, x) == (n + 8, 12)
    assert traffic(lambda x: x @ x.T, x) == (2 * n, 8 * 16)
    assert traffic(lambda x: np.concatenate([x, x]), x) == (2 * n, 2 * n)
    assert traffic(np.ones_like, x) == (0, n)
    assert traffic(uniform, x) == (0, n)


def test_views_move_no_bytes_and_copies_do():
    x, n = real(4, 3), 8 * 12
    for view in (
        lambda x: x.T, lambda x: x.reshape(12), lambda x: x[1:], lambda x: x[..., None],
        lambda x: np.flip(x), lambda x: np.broadcast_to(x, (5, 4, 3)), np.squeeze,
        lambda x: np.moveaxis(x, 0, 1), lambda x: x[2],
    ):  # fmt: skip
        assert traffic(view, x) == (0, 0)
    assert traffic(lambda x: x.T.reshape(12), x) == (n, n)
    assert traffic(lambda x: x[[0, 1]], x) == (n // 2, n // 2)
    assert traffic(lambda x: x[2, 1], x) == (8, 8)
    assert traffic(lambda x: np.copy(x), x) == (n, n)


# --- derivative programs --------------------------------------------------------------------------


def network(parameters, x):
    for weight, bias in parameters[:-1]:
        x = np.tanh(linear(x, weight, bias))
    weight, bias = parameters[-1]
    return np.sum(linear(x, weight, bias))


def test_an_mlp():
    """Forward 2·N·in·out flops a layer; in reverse as many for the weights and for the inputs.

    The first layer's input is no variable, so that its share is not executed.
    """
    rows, sizes = 7, [5, 4, 3, 2]
    layers = list(zip(sizes, sizes[1:], strict=False))
    parameters = [(real(b, a), real(b)) for a, b in layers]
    x = real(rows, sizes[0])
    flops = [2 * rows * a * b for a, b in layers]
    assert counted(network, parameters, x).gemm == sum(flops)
    assert counted(grad(network), parameters, x).gemm == 3 * sum(flops) - flops[0]
    assert counted(grad(network, (0, 1)), parameters, x).gemm == 3 * sum(flops)
    vs = parameters
    moved = counted(lambda p, x: jvp(lambda p: network(p, x), (p,), (vs,)), parameters, x)
    assert moved.gemm == 3 * sum(flops) - flops[0]


def test_a_module():
    """The parameters of a module are counted with, be it the function or an argument."""
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    x = np.ones((7, 5), np.float32)
    flops = 2 * 7 * (5 * 4 + 4 * 3)
    expected = gemm(flops) + add(7 * (4 + 3)) + call("tanh", 28)
    assert counted(model, x) == expected
    assert counted(lambda m, x: m(x), model, x) == expected

    def penalty(m):
        return sum(np.sum(p**2) for p in m.parameters())

    n = 5 * 4 + 4 + 4 * 3 + 3
    # Σ starts from a zero, to which the first is added
    assert counted(penalty, model) == multiply(n) + add(n - 4 + 4)

    def loss(m, x):
        return np.sum(m(x))

    backward = 2 * flops - 2 * 7 * 5 * 4
    assert counted(grad(loss), model, x).gemm == flops + backward


@pytest.mark.parametrize("n", [5, 20])
def test_second_derivatives(n):
    """Of Σ x³, forward over reverse: a product with the Hessian, and all its n columns."""
    x = real(n)

    def f(x):
        return np.sum(x * x * x)

    gradient = multiply(2 * n + 4 * n) + add(n - 1 + 2 * n)
    assert counted(grad(f), x) == gradient
    # of u = x·x a direction moves both factors, of g·x and g·u one each, of the two products
    # with x that pull through u both again; then two sums of three parts
    push = multiply((2 + 1 + 1 + 4) * n) + add((1 + 2 + 2) * n)
    value = multiply(2 * n) + add(n + n - 1)  # of f itself, which a Hessian does not push
    assert counted(lambda x, v: hvp(f, (x,), (v,)), x, np.ones(n)) == gradient + push + value
    every = multiply(n * push.multiplications) + add(n * push.additions)
    assert counted(hessian(f), x) == gradient + every


def test_vmap_counts_every_example():
    x, w = real(6, 5), real(5)
    one = counted(grad(lambda w, x: np.tanh(w @ x)), w, x[0])
    many = counted(vmap(grad(lambda w, x: np.tanh(w @ x)), (None, 0)), w, x)
    for name in ("multiplications", "additions", "gemm"):
        assert getattr(many, name) == 6 * getattr(one, name)
    assert many.calls == {"tanh": 6}


def test_jacobians_push_and_pull_plain_seeds_counted():
    """Seeds, directions and cotangents meet the program as arrays that count."""
    n = 4
    x = real(n)
    assert counted(jacobian(lambda x: 1 - x), x) == add(n + n * n)
    assert counted(jacobian(lambda x: 1 - x, mode="forward"), x) == add(n + n * n)
    assert counted(lambda x: jvp(np.negative, (x,), (np.ones(n),)), x) == add(2 * n)
    assert counted(lambda x: vjp(np.negative, x)[1](np.ones(n)), x) == add(2 * n)
    assert counted(lambda x: jvp(np.negative, (x,), (1.0,)), 2.0) == add(2)
    assert counted(lambda x: vjp(np.negative, x)[1](1.0), 2.0) == add(2)
    tall = counted(jacobian(lambda x: -x, chunk_size=1), x)
    assert tall == add(n + n * n)


def test_checkpoint_evaluates_again():
    """In reverse a checkpointed function costs itself once more."""

    def f(x):
        return np.sum(np.tanh(x) * x)

    assert counted(grad(checkpoint(f)), X) == counted(grad(f), X) + counted(f, X)


def test_the_optimizers_formulas():
    g = w = real(3)
    assert counted(optim.rules.sgd, g, {}, w, lr=0.1) == add() + multiply(3)
    state = {"velocity": g}
    assert counted(optim.rules.sgd, g, state, w, lr=0.1, momentum=0.9) == (
        multiply(3) + add(3) + add() + multiply(3)
    )


def test_a_recorded_program_on_tensors():
    """A Tensor that the program closes over takes part as an array."""
    t = Tensor(real(3))
    assert counted(lambda x: np.sum(x * t), real(3)) == multiply(3) + add(2)
    assert counted(lambda t: np.sum(t * t), t) == multiply(3) + add(2)
    assert t.grad is None


# --- what is not counted --------------------------------------------------------------------------


def test_constants_alone_and_integers_escape():
    x = real(3)
    assert counted(lambda x: np.sum(np.ones(3) * 2), x) == Counts()
    assert counted(lambda x, n: x * (n + 1), x, 2) == multiply(3)
    assert counted(lambda x, i: x[i + 1], x, np.array([0, 1])) == Counts()
    assert counted(lambda x: x[np.argmax(x) + 1 - 1], x) == compare(2)
    # as an argument the same counts
    assert counted(lambda x, c: np.sum(c * 2), x, np.ones(3)) == multiply(3) + add(2)


def test_places_are_plain_and_masks_count():
    x = real(6)

    def f(x):
        order = np.argsort(x)
        assert type(order) is np.ndarray and type(np.shape(x)) is tuple
        assert type(np.argmax(x)) is np.intp and type(np.allclose(x, x)) is bool
        mask = x > 1
        assert isinstance(mask, Counted) and isinstance(np.ones_like(x), Counted)
        return x[order][: np.sum(mask)], np.arange(6)[mask], x[mask]

    count_operations(f, x)


# --- results and arguments of any kind --------------------------------------------------------


def test_any_result_and_any_argument():
    def f(tree, name, n, flags, *, scale, nothing=None):
        assert (name, n, nothing) == ("name", 3, None) and type(n) is int
        assert type(flags) is np.ndarray
        a, (b, _) = tree["a"], tree["b"]
        return {"result": [a * scale, name, object()], "n": n + b}

    tree = {"a": real(3), "b": (2.0, [np.float32(1.0)])}
    found = counted(f, tree, "name", 3, np.array([True]), scale=2.0)
    assert found == multiply(3) + add(1)
    assert counted(lambda: None) == Counts()


@pytest.mark.parametrize("x", [3, np.arange(3), [1, 2], "text"])
def test_without_a_floating_point_argument_nothing_could_be_counted(x):
    with pytest.raises(TypeError, match=r"count_operations: <lambda>.*write 2\.0 instead of 2"):
        count_operations(lambda x: x, x)


def test_branches_on_values():
    assert counted(lambda x: x * 2 if x > 0 else x, 1.0) == compare() + multiply()
    assert counted(lambda x: x * 2 if x > 0 else x, -1.0) == compare()


def test_arguments_are_left_alone():
    x, tree = real(3), {"a": [real(2)]}
    before = copy.deepcopy((x, tree))

    def f(x, tree):
        x[0] = 7.0
        return x * tree["a"][0][0]

    assert counted(f, x, tree) == multiply(3)
    np.testing.assert_array_equal(x, before[0])
    assert type(tree["a"][0]) is np.ndarray


def test_counts_inside_counts():
    """Both count what is done inside."""
    inner = []

    def f(x):
        inner.append(work(count_operations(lambda y: np.sum(y * y), x)))
        return x + 1

    assert counted(f, real(3)) == multiply(3) + add(2) + add(3)
    assert inner == [multiply(3) + add(2)]


def test_inside_other_transformations():
    """A function that is differentiated, or mapped, counts what it would: for one example."""
    found = []

    def f(x):
        found.append(work(count_operations(lambda y: y * y, x)))
        return x * x

    assert grad(f)(3.0) == 6.0
    assert jvp(f, (3.0,), (1.0,)) == (9.0, 6.0)
    np.testing.assert_allclose(vmap(grad(f))(np.array([1.0, 2.0])), [2.0, 4.0])
    assert found == [multiply()] * 3


def test_threads():
    """Threads count their own; threads of one program count together."""
    found = {}

    def one(n):
        found[n] = counted(lambda x: product(x), [1.5] * n)

    def together(x):
        threads = [threading.Thread(target=product, args=([x] * 50,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: multiply(n) for n in range(1, 30)}
    assert counted(together, 1.5) == multiply(400)


def test_what_leaves_numpy_raises():
    for leave in (np.asarray, float, math.sin, lambda x: np.array([x, x])):
        with pytest.raises(TypeError, match="counted"):
            count_operations(leave, 2.0)
    with pytest.raises(TypeError, match="rule in the registry"):
        count_operations(np.fft.fft, real(4))


def test_errors_name_the_operation():
    with pytest.raises(ValueError, match=r"add: .*float64 \(3,\).*float64 \(2,\)"):
        count_operations(lambda x: x + np.ones(2), real(3))


# --- costs of users' own operations ---------------------------------------------------------------


@pytest.fixture
def own():
    before = set(registry)
    yield
    for function in set(registry) - before:
        del registry[function]


def test_own_operations_are_counted_by_running_them(own):
    cube = elementwise(lambda x: x * x * x, lambda g, y, x: g * (3 * x * x), name="cube")
    assert counted(cube, real(4)) == multiply(8)
    assert counted(cube, 2.0) == multiply(2)
    scaled = general(
        lambda x, a: x * (a * a), (lambda g, y, x, a: g * a, None), name="scaled"
    )  # a is a constant, and what is done with it counts
    assert counted(lambda x: scaled(x, 3.0), real(4)) == multiply(4 + 1)
    assert counted(lambda x: scaled(x, np.ones(4)), real(4)) == multiply(4 + 4)


def test_own_operations_may_say_what_they_cost(own):
    def filled(x):
        y = np.array(x)
        y[...] = y + y
        return y

    pull = (lambda g, y, x: 2 * g,)
    silent = general(lambda x: filled(x), pull, name="silent")
    said = general(
        filled, pull, name="said", cost=lambda y, x: Counts(additions=y.size, bytes_read=x.nbytes)
    )
    with pytest.raises(TypeError, match="cost="):
        count_operations(silent, real(3))
    assert count_operations(said, real(3)) == Counts(additions=3, bytes_read=24)


# --- every operation ------------------------------------------------------------------------------


def each(samples):
    return pytest.mark.parametrize(
        "sample", samples, ids=[f"{s.id}-{i}" for i, s in enumerate(samples)]
    )


def run(f, inputs):
    """What f of Counted inputs gives, and the counts."""
    tally, level = Tally(), next(levels)
    result = f([Counted(x, tally, level) for x in inputs])
    return flatten(result)[0], tally.counts


def gradient_of(sample):
    """The gradient of the sum of all floating-point results, as a function of the inputs."""

    def total(*xs):
        return sum(np.sum(y) for y in flatten(sample.call(list(xs)))[0] if floating(y))

    return lambda xs: grad(total, tuple(range(len(xs))))(*xs)


def floating(y):
    return type(y) is float or getattr(getattr(y, "dtype", None), "kind", "") == "f"


def same(found, expected):
    assert len(found) == len(expected)
    for y, e in zip(found, expected, strict=True):
        y = plain(y)
        if isinstance(e, str) or e is None:
            assert y == e
            continue
        np.testing.assert_allclose(y, e, rtol=1e-12, atol=1e-14)
        assert np.shape(y) == np.shape(e) and np.asarray(y).dtype == np.asarray(e).dtype


@each(SAMPLES)
def test_every_operation_counts(sample):
    """The results are those of plain arrays, also the gradient's."""
    inputs = sample.inputs()
    same(run(sample.call, inputs)[0], flatten(sample.call(inputs))[0])
    if inputs:
        gradient = gradient_of(sample)
        same(run(gradient, inputs)[0], gradient(inputs))


@each([s for s in SAMPLES if s.inputs()])
def test_counts_are_of_shapes_and_not_of_values(sample):
    """Nearby values cost the same, and the arithmetic on another kind of array does."""
    inputs = sample.inputs()
    found = run(sample.call, inputs)[1]
    assert run(sample.call, [0.999 * x for x in inputs])[1] == found
    if not any(type(x) is float for x in inputs) and not excepted(sample, "duck array"):
        # its copies cannot be told from its views: compared without the bytes
        placed = sample.on(Strict)
        assert work(run(placed.call, placed.inputs())[1]) == work(found)


def test_every_operation_has_a_cost_or_a_program():
    """Without a cost of its own an operation's forward must be a program of this library's."""
    for operation in OPERATIONS.values():
        if isinstance(operation, Primitive) and cost_of(operation) is None:
            assert operation.forward.__module__.partition(".")[0] in ("autograd", "nn")
            assert operation.forward is operation.function


# --- Counts ---------------------------------------------------------------------------------------


def test_counts_add_up():
    a = Counts(additions=1, calls={"exp": 2}, gemm=6, bytes_read=8)
    b = Counts(additions=2, divisions=1, calls={"exp": 1, "log": 1}, bytes_read=16)
    assert a + b == Counts(
        additions=3, divisions=1, calls={"exp": 3, "log": 1}, gemm=6, bytes_read=24
    )
    assert (a + b) - b == a and a != b and a - a == Counts()
    assert a.calls == {"exp": 2}
    assert a.total == 9 and (a + b).total == 14
    assert a.to_dict() == {
        "additions": 1, "multiplications": 0, "divisions": 0, "comparisons": 0,
        "calls": {"exp": 2}, "gemm": 6, "bytes_read": 8, "bytes_written": 0, "total": 9,
    }  # fmt: skip
    with pytest.raises(TypeError):
        a + 1


def test_counts_are_shown_as_a_table():
    counts = Counts(additions=1200, calls={"exp": 2}, bytes_written=8)
    assert repr(counts).splitlines() == [
        "additions      1,200",
        "exp                2",
        "bytes written      8",
        "total          1,202",
    ]
    html = counts._repr_html_()
    assert html.count("<tr>") == 4 and "<th>exp</th>" in html and "1,202" in html
    assert repr(Counts()) == "total  0"
