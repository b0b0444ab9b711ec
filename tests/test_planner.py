"""The planner: every way to a Jacobian gives the same one; patterns miss nothing; good picks."""

import operator
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autograd
import nn
from autograd import Tensor, grad, jacobian, jvp, plan, planner, vmap
from autograd.colouring import coloured
from autograd.graph import history
from autograd.planner import Plan
from autograd.primitive import registry
from autograd.rules.indexing import scatter, setitem
from autograd.show.numbers import seconds
from autograd.sparsity import DENSE, pattern_of
from autograd.transforms import Recorded
from autograd.tree import flatten
from benchmarks.workloads import plans

from .test_operations import DIFFERENTIABLE, each, floating

COMPRESSED = ["compressed columns", "compressed rows"]


@pytest.fixture
def thorough(monkeypatch):
    """Nothing takes time, so that sparsity is always looked at."""
    for rate in ("STEP", "KEY"):
        monkeypatch.setattr(planner, rate, 0.0)


def same(found, expected):
    """Whether two trees of derivatives are the same, types and shapes included."""
    a, b = flatten(found)[0], flatten(expected)[0]
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert type(x) is type(y)
        assert np.shape(x) == np.shape(y)
        assert getattr(x, "dtype", float) == getattr(y, "dtype", float)
        single = getattr(x, "dtype", None) == np.float32
        np.testing.assert_allclose(x, y, *((2e-5, 1e-6) if single else (1e-11, 1e-12)))


def whole(jacobian, values, arguments):
    """A tree of a Jacobian's blocks as one matrix."""
    blocks = iter(flatten(jacobian)[0])
    rows = [
        np.concatenate(
            [np.reshape(next(blocks), (np.size(y), np.size(x))) for x in arguments], axis=1
        )
        for y in values
    ]
    return np.concatenate(rows) if rows else np.zeros((0, sum(map(np.size, arguments))))


def cuts(choice):
    """The Jacobian by way of every cut of the graph, in either mode before and after it."""
    graph = choice._graph
    for at, nodes in graph.frontiers(np.inf):
        for ways in product([False, True], repeat=2):
            yield graph.dense(graph.by_way_of(nodes, at, ways))


# --- every candidate gives the same matrix --------------------------------------------------------


def two_heads(x):
    """A cut of two nodes, one made of the other."""
    s = np.sum(np.sin(x))
    t = s * s
    return np.stack([s * t, s + t, np.exp(t * 0.1), s, t])


def across(x):
    """An output made before the cut, and an argument used again after it."""
    s = np.sum(x)
    return np.concatenate([np.stack([s, s * s]), x * np.tanh(s)])


x3, x5, x12 = np.array([0.3, -0.7, 1.1]), np.linspace(0.2, 1.4, 5), np.linspace(0.1, 1, 12)
m23 = np.linspace(-1, 1, 6).reshape(2, 3)
CASES = {
    "array": (np.sin, x5),
    "matrix": (lambda x: np.tanh(x).T @ x, m23),
    "float": (lambda x: x * x, 0.5),
    "float to array": (lambda x: x * x5, 0.5),
    "array to float": (lambda x: np.sum(x * x), x5),
    "0-d": (lambda x: x * x, np.array(0.5)),
    "float32": (lambda x: np.cumsum(x * x), x5.astype(np.float32)),
    "float32 and float64": (
        lambda t: {"a": t[0] * 2, "b": t[1] * t[0]}, [np.full(2, 0.5, np.float32), np.ones(2)],
    ),
    "empty argument": (np.sin, np.zeros(0)),
    "empty result": (lambda x: x[:0] * 2, x5),
    "trees": (
        lambda t: {"s": t["a"] * t["b"][0], "t": (t["b"][0], [np.sum(t["a"])])},
        {"a": x3, "b": [0.4]},
    ),
    "one does not depend": (lambda t: (np.sin(t[0]), t[0] * 2), (x3, x5)),
    "no result depends": (lambda x: (np.ones(3), 2.0), x5),
    "derivative zero": (lambda x: np.floor(x), x5),
    "an argument itself": (lambda x: (x, x * 2), x5),
    "identity": (lambda x: x, x5),
    "twice the same": (lambda x: [np.sin(x)] * 2 + [x, x], x5),
    "two heads": (two_heads, x5),
    "across": (across, x5),
    "slogdet": (lambda x: np.linalg.slogdet(x.T @ x + np.eye(3))[1] * x, m23),
    "svd": (lambda x: np.linalg.svd(x, full_matrices=False)[1], m23),
    "qr": (lambda x: np.linalg.qr(x.T), m23),
    "modf": (lambda x: np.modf(x * 3)[0], x5),
    "banded": (lambda x: x[1:] * x[:-1], x12),
    "arrow": (lambda x: np.concatenate([np.sum(x * x)[None], x[0] * x[1:]]), x12),
    "in parts": (lambda t: (t[0][1:] * t[1][:-1], t[1] * t[2]), (x12, x12 + 2, 0.7)),
    "floats": (lambda t: [t[i] * t[i - 1] for i in range(10)], [0.1 * i for i in range(1, 11)]),
    "empty among them": (lambda t: (t[0] * 2, t[1][:0], t[1] * t[1]), (np.zeros(0), x12)),
    "no results": (lambda x: (), x5),
    "no arguments": (lambda t: x5, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_candidate_is_the_jacobian(case, thorough):
    """Also by way of every cut, in either mode on either side."""
    f, x = CASES[case]
    expected = jacobian(f)(x)
    choice = plan(f, x)
    for candidate in choice.candidates:
        same(candidate.run(), expected)
    for found in cuts(choice):
        same(found, expected)
    same(jacobian(f, mode="auto")(x), expected)


def test_the_cases_meet_every_kind_of_candidate_and_of_cut(thorough):
    names = {c.name for f, x in CASES.values() for c in plan(f, x).candidates}
    assert names == {"forward", "reverse", "mixed", *COMPRESSED}
    widths = [len(nodes) for f, x in CASES.values() for _, nodes in plan(f, x)._graph.frontiers(99)]
    assert {1, 2, 3} <= {*widths}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_chunks_give_the_same(size, thorough):
    for case in ("trees", "banded", "arrow", "two heads", "float32", "empty argument"):
        f, x = CASES[case]
        choice = Plan(f, 0, (x,), {}, size)
        for candidate in choice.candidates:
            same(candidate.run(), jacobian(f)(x))
        same(jacobian(f, mode="auto", chunk_size=size)(x), jacobian(f)(x))


def test_argnums_and_keywords():
    def f(a, b, scale=1.0):
        return a * b[::-1] * scale

    a, b = x5, x5 + 1
    for argnums in (0, 1, (1, 0), (0,), -1):
        expected = jacobian(f, argnums)(a, b, scale=3.0)
        same(jacobian(f, argnums, mode="auto")(a, b, scale=3.0), expected)
    same(plan(f, a, b, argnums=(0, 1)).run(), jacobian(f, (0, 1))(a, b))


@each(DIFFERENTIABLE)
def test_every_candidate_of_every_operation(sample, thorough):
    f, xs = floating(sample), sample.inputs()
    argnums = tuple(range(len(xs)))
    choice = Plan(f, argnums, xs, {}, None)
    expected = whole(jacobian(f, argnums)(*xs), choice._graph.values, xs)
    for candidate in choice.candidates:
        found = candidate.run()
        np.testing.assert_allclose(
            whole(found, choice._graph.values, xs), expected, rtol=1e-9, atol=1e-11
        )


# --- inside other transformations -----------------------------------------------------------------


def banded(x):
    return x[1:] * np.sin(x[:-1])


def hourglass(x):
    return np.sin(np.sum(x * x * x) * np.linspace(0, 1, 9))


@pytest.mark.parametrize("name", ["forward", "reverse", "mixed", *COMPRESSED])
def test_transforms_of_each_candidate(name, thorough, monkeypatch):
    """Second derivatives and vmap go through whatever way was picked."""
    f = hourglass if name == "mixed" else banded
    x, v = np.linspace(0.3, 1.2, 9), np.linspace(-1, 1, 9)

    def pick(choice):
        """That of the name, or the first where a Jacobian of a Jacobian has no such candidate."""
        choice.best = max(choice.candidates, key=lambda candidate: candidate.name == name)
        used.add(choice.best.name)

    used = set()
    monkeypatch.setattr(Plan, "_sort", pick)

    def weighted(mode):
        def loss(x):
            j = jacobian(f, mode=mode)(x)
            return np.sum(j * np.cos(np.arange(j.size).reshape(j.shape)))

        return loss

    np.testing.assert_allclose(grad(weighted("auto"))(x), grad(weighted("reverse"))(x), rtol=1e-9)
    along = [jvp(jacobian(f, mode=mode), (x,), (v,))[1] for mode in ("auto", "reverse")]
    np.testing.assert_allclose(*along, rtol=1e-9, atol=1e-12)
    many = np.stack([x, x + 1, x * x])
    each_one = np.stack([jacobian(f)(x) for x in many])
    np.testing.assert_allclose(vmap(jacobian(f, mode="auto"))(many), each_one, rtol=1e-9)
    twice = [jacobian(jacobian(f, mode=mode), mode=mode)(x) for mode in ("auto", "reverse")]
    np.testing.assert_allclose(*twice, rtol=1e-9, atol=1e-12)
    assert name in used


def test_an_index_that_differs_from_example_to_example(thorough):
    """Its pattern is not that of any one example."""
    rng = np.random.default_rng(3)
    xs, at = rng.normal(size=(4, 10)), np.stack([rng.permutation(10) for _ in range(4)])

    def f(x, i):
        return np.take(x, i) * 2.0

    found = vmap(jacobian(f, mode="auto"), (0, 0))(xs, at)
    np.testing.assert_array_equal(found, 2 * np.eye(10)[at])
    ordered = vmap(jacobian(np.sort, mode="auto"))(xs)
    np.testing.assert_array_equal(ordered, np.eye(10)[np.argsort(xs, axis=1)])


def test_operations_are_counted():
    """Compressed, two sweeps: 2 multiplications an element each, whatever the length."""

    def f(x):
        return x[1:] * x[:-1]

    found = [
        autograd.count_operations(jacobian(f, mode="auto"), np.linspace(0, 1, n)).multiplications
        for n in (1000, 2000)
    ]
    assert found == [999 + 2 * 2 * 999, 1999 + 2 * 2 * 1999]


def test_a_checkpoint_in_between():
    f = autograd.checkpoint(lambda x: (x[1:] * x[:-1], np.sum(x)))
    x = np.linspace(0, 1, 200)
    same(jacobian(lambda x: f(x * 2), mode="auto")(x), jacobian(lambda x: f(x * 2))(x))


def test_parameters_of_a_module():
    model = nn.Linear(3, 2)
    x = np.linspace(-1, 1, 12).reshape(4, 3)
    f = lambda p: nn.functional_call(model, p, x)  # noqa: E731
    parameters = {name: p.data for name, p in model.named_parameters()}
    same(jacobian(f, mode="auto")(parameters), jacobian(f)(parameters))


# --- sparsity patterns ----------------------------------------------------------------------------


def pattern(f, *xs):
    """The propagated pattern of f's Jacobian as a matrix of booleans; None if it is DENSE."""
    run = Recorded(f, tuple(range(len(xs))), xs, {})
    nodes = [n for n in reversed(history(*filter(None, run.nodes))) if n.primitive]
    shape = sum(map(np.size, run.values)), sum(map(np.size, xs))
    outputs = [*zip(run.nodes, run.values, strict=True)]
    found = pattern_of(nodes, [v.node for v in run.variables], outputs, shape[1])
    if found is DENSE:
        return None
    keys = found[0] * shape[1] + found[1]
    assert len(np.unique(keys)) == len(keys)
    dense = np.zeros(shape, bool)
    dense[found] = True
    return dense


def filled(f, *xs):
    """Which elements of the Jacobian are not zero, computed densely."""
    values = flatten(f(*xs))[0]
    return whole(jacobian(f, tuple(range(len(xs))))(*xs), values, xs) != 0


@each(DIFFERENTIABLE)
def test_patterns_of_operations_miss_nothing(sample):
    f, xs = floating(sample), sample.inputs()
    rng = np.random.default_rng(2)
    for noise in (0, 0.01, 0.01):
        moved = [x + noise * rng.uniform(-1, 1, np.shape(x)) if noise else x for x in xs]
        moved = [float(x) if isinstance(y, float) else x for x, y in zip(moved, xs, strict=True)]
        with np.errstate(all="ignore"):
            found = pattern(f, *moved)
            assert found is None or not np.any(filled(f, *moved) & ~found)


rng = np.random.default_rng(9)
m34, m45, s234, v4 = (rng.uniform(0.5, 1.5, s) for s in ((3, 4), (4, 5), (2, 3, 4), 4))
tall = rng.uniform(0.5, 1.5, (40, 3))
v3, m88, s322 = np.ones(3), rng.normal(size=(8, 8)), rng.normal(size=(3, 2, 2))
ROWS = np.array([0, 2, 2, 1])
bands = np.eye(8) + np.diag(np.ones(7), 1)
EXACT = {
    "reshape": (lambda x: x.reshape(4, 3).T.reshape(2, 6), m34),
    "repeated index": (lambda x: x[ROWS] * 2, m34),
    "separated indices": (lambda x: x[[0, 1], :, [1, 2]], s234),
    "mask": (lambda x: x[m34 > 1], m34),
    "reversed": (lambda x: x[::-1, ::2], m34),
    "assigned": (lambda x, v: setitem(x, v, index=(slice(None), 1)), m34, v3),
    "assigned twice": (lambda x, v: setitem(x, v, index=[0, 0, 2]), v3, v3),
    "added": (lambda x: scatter(x, indices=([1, 1, 3, 0],), shape=(5,)), v4),
    "joined": (lambda x, y: np.concatenate([x, y[:, :4].T[:, :4] * 2]), m34, m45),
    "joined in float32": (lambda x: np.concatenate([x, x], dtype=np.float32), m34),
    "stacked": (lambda x, y: np.stack([x, y * y], 1), v4, v4),
    "broadcast": (lambda x, y: x * y, m34, v4),
    "broadcast column": (lambda x, y: x[:, :1] + y, m34, v4),
    "a number": (lambda x, y: x * y, 0.5, v4),
    "masked": (lambda x: x * bands, m88),
    "where": (lambda x, y: np.where(bands > 0, x, y[:, None]), m88, np.ones(8)),
    "where of numbers": (lambda x, y: np.where(np.array([1.0, 0.0, 2.0]), x, y), v3, v3),
    "padded": (lambda x: np.pad(x, 2, constant_values=5), m34),
    "wrapped": (lambda x: np.pad(x, 2, mode="wrap"), m34),
    "rolled": (lambda x: np.roll(x, 1, 0) + np.flip(x), m34),
    "repeated": (lambda x: np.repeat(np.tile(x, (2, 1)), 2, 1), m34),
    "triangle": (lambda x: np.tril(x) + np.triu(x, 2), m34),
    "diagonal": (lambda x: np.diag(x), v4),
    "cast": (lambda x: x.astype(np.float32), m34),
    "sum": (lambda x: np.sum(x, 1), s234),
    "sum of some": (lambda x: np.sum(x, (0, 2), keepdims=True), s234),
    "mean of all": (np.mean, s234),
    "product": (lambda x: np.prod(x, -1), s234),
    "logsumexp": (lambda x: autograd.logsumexp(x, axis=0), m34),
    "norm": (lambda x: np.linalg.norm(x, axis=1), m34),
    "softmax": (lambda x: autograd.softmax(x, axis=0), m34),
    "log_softmax": (lambda x: autograd.log_softmax(x), m34),
    "running sum": (lambda x: np.cumsum(x, 0), m34),
    "running sum of all": (np.cumsum, m34),
    "running product": (lambda x: np.cumprod(x, 1), m34),
    "difference": (lambda x: np.diff(x), m34),
    "matmul": (operator.matmul, m34, m45),
    "matmul, left": (lambda x: x @ m45, m34),
    "matmul, vector": (lambda x: m34 @ x, v4),
    "vector, matmul": (lambda x: x @ m45, v4),
    "dot": (operator.matmul, v4, v4),
    "stack by matrix": (lambda x: x @ m45, s234),
    "matrix by stack": (lambda x: m34.T[:3, :3] @ x, s234),
    "stack by vector": (lambda x, v: x @ v, s234, v4),
    "vector by stack": (lambda x, v: v @ x, s234, v4[:3]),
    "stack by stack": (lambda x: x @ np.swapaxes(x[:1], 1, 2), s234),
    "sparse constant": (lambda x: bands @ x, np.ones((8, 2))),
    "sparse constant, right": (lambda x: x @ bands, np.ones((2, 8))),
    "sparse constant, vector": (lambda x: bands @ np.sin(x), np.ones(8)),
    "sparse constant, stack": (lambda x: np.stack([bands, bands.T]) @ x, np.ones((8, 1))),
    "sparse vector": (lambda x: x @ np.array([0.0, 1, 0, 0]), s234),
    "sparse to tensordot": (lambda x: np.tensordot(x, bands, axes=(0, 0)), np.ones((8, 2))),
    "sparse to einsum": (lambda x: np.einsum("ij,kj->kj", bands, x), np.ones((3, 8))),
    "vecdot": (lambda x, y: np.vecdot(x, y), s234, v4),
    "tensordot": (lambda x, y: np.tensordot(x, y, axes=([2, 0], [1, 0])), s234, np.ones((2, 4, 2))),
    "outer": (np.outer, v4, v4[:3]),
    "einsum": (lambda x, y: np.einsum("bij,jk->kb", x, y), s234, m45),
    "einsum, diagonal": (lambda x: np.einsum("ii->i", x), np.ones((3, 3))),
    "einsum, trace": (lambda x, y: np.einsum("ii,j->j", x, y), np.ones((3, 3)), v4),
    "einsum of three": (lambda x, y, z: np.einsum("ij,jk,k->ik", x, y, z), m34, m45, np.ones(5)),
    "einsum, broadcast": (lambda x, y: np.einsum("...i,...i->...", x, y), s234, s234[:1]),
    "einsum, one": (lambda x: np.einsum("bij->jb", x), s234),
    "linear": (lambda x, w, b: nn.functional.linear(x, w, b), s234, m34[:2], np.ones(2)),
    "linear, sparse": (lambda x, b: nn.functional.linear(x, bands, b), np.ones((2, 8)), np.ones(8)),
    "convolution": (lambda x: np.convolve(x, m34[0]), rng.uniform(1, 2, 7)),
    "convolution, same": (lambda x, v: np.convolve(x, v, "same"), rng.uniform(1, 2, 7), v4),
    "convolution, valid": (lambda x, v: np.convolve(x, v, "valid"), v4, rng.uniform(1, 2, 7)),
    "correlation": (lambda x, v: np.correlate(x, v), rng.uniform(1, 2, 7), v4),
    "correlation, same": (lambda x, v: np.correlate(x, v, "same"), rng.uniform(1, 2, 7), v4),
    "correlation, longer": (lambda x, v: np.correlate(x, v, "same"), v4, rng.uniform(1, 2, 7)),
    "correlation, full": (lambda x, v: np.correlate(x, v, "full"), v4, rng.uniform(1, 2, 6)),
    "sort": (np.sort, rng.normal(size=9)),
    "inverses": (np.linalg.inv, s322),
    "solutions": (np.linalg.solve, s322, s322[:, ::-1] + 1),
    "tall": (lambda x: np.sin(x) @ np.ones(3), tall),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_patterns_of_moving_summing_and_multiplying_are_exact(case):
    f, *xs = EXACT[case]
    np.testing.assert_array_equal(pattern(f, *xs), filled(f, *xs))


def test_a_pattern_does_not_depend_on_the_arguments_values():
    """Derivatives that happen to be zero are in it: what multiplies them is no constant."""
    zeros = np.zeros((8, 8))
    assert pattern(lambda x: x * x, zeros).sum() == 64
    assert pattern(operator.matmul, zeros, zeros).sum() == 8 * 8 * 8 * 2
    assert pattern(lambda x: np.sin(x) * x[::-1], zeros).sum() == 128
    assert pattern(lambda x: np.prod(x, 1), zeros).sum() == 64
    assert pattern(np.maximum, np.zeros(8), np.ones(8)).sum() == 16


def test_zeros_of_a_tensor_of_another_level_are_no_constants():
    """w is what the outer derivative is taken by: at 0, x·w has a derivative by x and then w."""

    def slope(w):
        return np.sum(jacobian(lambda x: x * w @ np.diag(w), mode="auto")(np.ones(20)))

    with_zeros = np.array([0.0] * 15 + [1.0] * 5)
    expected = 2 * with_zeros
    np.testing.assert_allclose(grad(slope)(with_zeros), expected)
    assert pattern(lambda x: x * Tensor(np.zeros(8)), np.ones(8)).sum() == 8


def test_an_operation_of_the_users_is_not_taken_for_numpys_of_the_same_name(thorough):
    turned = autograd.linear(lambda x: x[::-1] + x[0], lambda g, y, x: g[::-1] + g, name="copy")
    try:
        assert pattern(turned, np.ones(9)).all()
    finally:
        del registry[turned.function]


def test_a_pattern_is_everything_once_it_is_no_use():
    x = np.linspace(0, 1, 200)
    dense = np.ones((200, 200))
    assert pattern(lambda x: dense @ x, x) is None
    assert pattern(lambda x: np.sin(dense @ x)[:3], x) is None
    assert pattern(lambda x: np.linalg.svd(np.outer(x, x))[1], x) is None


# --- random programs --------------------------------------------------------------------------

SPARSE = {n: rng.random((n, n)) * (np.eye(n) + np.eye(n, k=2)) for n in range(1, 40)}


def shift(v, k):
    return np.concatenate([v[k:], v[:k]])


STEPS = {
    "sin": lambda v, k: np.sin(v),
    "square": lambda v, k: v * v,
    "product with another": lambda v, k: v * shift(v, k % len(v)),
    "reversed": lambda v, k: v[::-1] + v,
    "some": lambda v, k: v[k % len(v) :],
    "picked": lambda v, k: v[np.array([k % len(v), 0, len(v) // 2, 0])],
    "sorted": lambda v, k: np.sort(v),
    "difference": lambda v, k: np.diff(v) if len(v) > 1 else v,
    "joined": lambda v, k: np.concatenate([v[: k % 7 + 1], np.cos(v)]),
    "sparse": lambda v, k: SPARSE[len(v)] @ v if len(v) in SPARSE else v,
    "sparse from the left": lambda v, k: v @ SPARSE[len(v)] if len(v) in SPARSE else v,
    "sum beside it": lambda v, k: np.concatenate([v, np.sum(v)[None]]),
    "folded": lambda v, k: v[: len(v) // 2 * 2].reshape(-1, 2).sum(1) if len(v) > 1 else v,
    "windows": lambda v, k: np.convolve(v, [1.0, -2.0, 1.0], "same" if len(v) > 3 else "full"),
    "kept": lambda v, k: np.where(v > 0.3, v, 0.5 * shift(v, 1 % len(v))),
    "larger": lambda v, k: np.maximum(v, shift(v, k % len(v))),
    "masked": lambda v, k: v * (np.arange(len(v)) % 3 > 0),
    "replaced": lambda v, k: setitem(v, v[-1] * 2, index=k % len(v)),
    "added up": lambda v, k: scatter(v, indices=(np.arange(len(v)) % (k + 1),), shape=(k + 1,)),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 11)), min_size=1, max_size=7),
    st.integers(1, 14),
    st.integers(0, 2**31),
)
def test_random_programs(steps, n, seed):
    """Compressed or not, all candidates give what forward mode gives; patterns miss nothing."""

    def f(x):
        for name, k in steps:
            x = STEPS[name](x, k)
        return x

    x = np.random.default_rng(seed).uniform(-1, 1, n)
    expected = jacobian(f, mode="forward")(x)
    found = pattern(f, x)
    assert found is None or not np.any((expected != 0) & ~found)
    choice = plan(f, x)
    if choice._graph.pattern is not None:
        choice.candidates += choice._graph.compressed(*choice._graph.pattern)
    for candidate in choice.candidates:
        scale = max(1.0, np.abs(expected).max(initial=0))
        dense = candidate.run()
        np.testing.assert_allclose(dense, expected, rtol=1e-9, atol=1e-11 * scale)


# --- colours --------------------------------------------------------------------------------------


def band(width, n=60):
    i, j = np.indices((n, n))
    return np.abs(i - j) <= width // 2


ARROW = np.eye(60, dtype=bool) | (np.arange(60) == 0) | (np.arange(60) == 0)[:, None]
MATRICES = {
    "diagonal": (band(1), 1, 0),
    "tridiagonal": (band(3), 3, 0),
    "pentadiagonal": (band(5), 5, 0),
    "blocks of 4": (np.kron(np.eye(15), np.ones((4, 4))) > 0, 4, 0),
    "first differences": (band(3)[1:] & ~np.tri(60, k=-1, dtype=bool)[1:], 2, 0),
    "arrow": (ARROW, 2, 1),
    "one dense row": (np.vstack([np.eye(60), np.ones(60)]) > 0, 1, 1),
    "nothing": (np.zeros((60, 60), bool), 0, 0),
    "everything": (np.ones((60, 60), bool), 60, 0),
    "no columns": (np.zeros((60, 0), bool), 0, 0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_known_colours(name):
    matrix, count, apart = MATRICES[name]
    rows, columns = np.nonzero(matrix)
    m, n = matrix.shape
    for call in [(columns, rows, n, m), (rows, columns, m, n)][: 2 if m == n else 1]:
        colours, dense = coloured(*call)
        assert colours.max(initial=-1) + 1 == count
        assert len(dense) == apart


@pytest.mark.parametrize("seed", range(20))
def test_no_two_lines_of_a_colour_meet(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((30, 40)) < rng.choice([0.02, 0.1, 0.3])
    matrix[: seed % 3] = True
    rows, columns = np.nonzero(matrix)
    colours, dense = coloured(columns, rows, 40, 30)
    kept = np.delete(matrix, dense, axis=0)
    for colour in range(colours.max() + 1):
        assert kept[:, colours == colour].sum(1).max(initial=0) <= 1
    assert not kept[:, colours < 0].any()


# --- picks, and what is said of them --------------------------------------------------------------


@pytest.mark.parametrize("name", plans.FUNCTIONS)
def test_the_pick(name):
    f, x, picks = plans.FUNCTIONS[name]
    choice = plan(f, x)
    assert choice.best.name in picks
    np.testing.assert_allclose(choice.run(), jacobian(f)(x), rtol=1e-9, atol=1e-10)


def said(choice):
    """The text of a plan, as if on one line."""
    return " ".join(choice.text().split())


def test_text(capsys):
    x = np.linspace(0.1, 1, 400)
    choice = plan(banded, x)
    choice.explain()
    printed = capsys.readouterr().out
    assert repr(choice) == printed.rstrip("\n")
    assert max(map(len, printed.splitlines())) <= 88  # a notebook breaks longer ones inside words
    assert said(choice).startswith(
        "The Jacobian of banded: 399 results by 400 arguments, 4 operations. At most 798 elements "
        f"of it, 0.50%, can differ from zero. -> {choice.best.name}: "
    )
    names = re.findall(r"^(?:->|  ) (\S.*?):", printed, re.MULTILINE)
    assert names == [candidate.name for candidate in choice.candidates] and len(names) == 4
    assert "400 columns in 2 colours, one seed for each colour; predicted " in said(choice)
    assert "measured" not in printed
    choice.explain(measure=True)
    assert capsys.readouterr().out.count("measured ") == 4


def test_text_of_one(thorough):
    assert "1 result by 1 argument, 1 operation. " in said(plan(np.sin, 0.5))
    text = said(plan(lambda x: np.concatenate([x, np.sum(x)[None]]), np.ones(20)))
    assert "20 columns in 1 colour, one seed for each colour, and 1 dense row apart" in text
    text = said(plan(lambda x: np.outer(np.sum(x), np.ones(9)).ravel(), np.ones(9)))
    assert "cut where 1 number carries everything" in text
    assert "1 cotangent before the cut, 1 tangent after it, and a product of the two" in text


def test_text_says_why_nothing_is_compressed():
    assert "was not looked at" in said(plan(np.sin, 0.5))
    dense = np.ones((400, 400))
    assert "is dense, or nearly so" in said(plan(lambda x: np.sin(dense @ x), np.ones(400)))


def test_durations():
    assert [seconds(s) for s in (2.5, 0.0123, 4.56e-6)] == ["2.50 s", "12.3 ms", "4.56 µs"]


# --- sparse results -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["banded", "arrow", "two heads", "no result depends", "matrix"])
def test_sparse_results(case, thorough):
    f, x = CASES[case]
    values = flatten(f(x))[0]
    expected = whole(jacobian(f)(x), values, [x])
    found, (rows, columns), shape = plan(f, x).run(format="coo")
    dense = np.zeros(shape)
    dense[rows, columns] = found
    np.testing.assert_allclose(dense, expected, rtol=1e-12)
    assert len({*zip(rows.tolist(), columns.tolist(), strict=True)}) == len(found)
    np.testing.assert_allclose(plan(f, x).run(format="scipy").toarray(), expected, rtol=1e-12)


def test_sparse_results_leave_zeros_out_whatever_was_picked():
    """Also of a Jacobian so small that its sparsity was not looked at to compute it."""
    choice = plan(np.sin, x5)
    assert choice.best.name in ("forward", "reverse")
    values, (rows, columns), shape = choice.run(format="coo")
    np.testing.assert_allclose(values, np.cos(x5))
    assert rows.tolist() == columns.tolist() == [*range(5)] and shape == (5, 5)


def test_sparse_results_can_be_differentiated():
    def total(x):
        return np.sum(plan(lambda x: x[1:] * x[:-1] ** 2, x).run(format="coo")[0])

    x = np.linspace(0.1, 1, 500)
    expected = np.zeros(500)  # Σ x[i]² + 2 x[i] x[i+1]
    expected[:-1] += 2 * x[:-1] + 2 * x[1:]
    expected[1:] += 2 * x[:-1]
    np.testing.assert_allclose(grad(total)(x), expected)


# --- bad input ------------------------------------------------------------------------------------


def said_by(call):
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        call()
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "f, argnums, args",
    [
        (lambda x: np.arange(3), 0, (x5,)), (lambda x: "a", 0, (x5,)), (np.sin, 1, (x5,)),
        (np.sin, "x", (x5,)), (np.multiply, (0, 0), (x5, x5)), (np.sin, 0, (np.arange(3),)),
        (np.sin, 0, ("a",)),
    ],
)  # fmt: skip
def test_errors_are_those_of_jacobian(f, argnums, args):
    expected = said_by(lambda: jacobian(f, argnums)(*args))
    assert said_by(lambda: jacobian(f, argnums, mode="auto")(*args)) == expected
    assert said_by(lambda: plan(f, *args, argnums=argnums)) == expected


def test_bad_settings():
    with pytest.raises(ValueError, match="format is 'dense', 'coo' or 'scipy', not 'csr'"):
        plan(np.sin, x5).run(format="csr")
    with pytest.raises(ValueError, match="chunk_size is a positive whole number"):
        jacobian(np.sin, mode="auto", chunk_size=0)
    with pytest.raises(ValueError, match="'auto' or 'forward' or 'reverse', not 'atuo'"):
        jacobian(np.sin, mode="atuo")
