"""`vmap`: every operation on many examples at once is what a loop over the examples gives."""

import numpy as np
import pytest

import autograd
import nn
from autograd import LoopWarning, batching, grad, jvp, vmap
from autograd.families import Constant
from autograd.primitive import Primitive, plain, registry
from autograd.rules.indexing import getitem, setitem
from autograd.rules.random import bernoulli, normal, uniform
from autograd.tree import flatten
from nn.functional import dropout

from .samples import SAMPLES
from .strict import Strict, asarray
from .test_device import excepted
from .test_operations import OPERATIONS, weights

SIZE = 3

# What a result's shape depends on differs from example to example.
REFUSED = {
    "unique", "union1d", "intersect1d", "setdiff1d", "extract own", "nonzero", "flatnonzero",
    "argwhere", "own mask", "polymul", "polymul led by zeros", "polydiv",
}  # fmt: skip
# Draws differ from example to example, and so from a loop that seeds every call alike.
RANDOM = {
    "dropout", "dropout of a number", "uniform", "normal", "bernoulli", "draw", "draw a number",
}  # fmt: skip
# NumPy looks for array types among some of the arguments only: these have others, too.
UNDISPATCHED = {
    "full_like", "apply_along_axis", "polyval", "polyint", "quantile", "select", "interp",
    "piecewise",
}  # fmt: skip

MAPPABLE = [s for s in SAMPLES if s.inputs() and s.id not in REFUSED | RANDOM]


def each(samples):
    return pytest.mark.parametrize(
        "sample", samples, ids=[f"{s.id}-{i}" for i, s in enumerate(samples)]
    )


def numbers(result):
    """The numbers in a call's result, as a flat list."""
    return [y for y in flatten(result)[0] if isinstance(y, (float, int)) or hasattr(y, "dtype")]


def floats(result):
    """The floating-point numbers in a call's result."""
    return [y for y in numbers(result) if isinstance(y, float) or np.result_type(y).kind == "f"]


def mappable(x):
    """Whether an input is data: an infinite float is the order of a norm."""
    return not isinstance(x, float) or np.isfinite(x)


def examples(sample):
    """For each input its values for all examples, near the sample's."""
    rng = np.random.default_rng(0)
    return [
        np.stack([x * (1 + 0.05 * rng.uniform(-1, 1, np.shape(x))) for _ in range(SIZE)])
        if mappable(x)
        else x
        for x in sample.inputs()
    ]


def patterns(sample):
    """Which inputs are mapped: all of them; and each alone."""
    inputs = sample.inputs()
    everything = tuple(map(mappable, inputs))
    alone = [tuple(i == k for i in range(len(inputs))) for k, m in enumerate(everything) if m]
    if sample.id in UNDISPATCHED:
        alone = []
    return [everything, *(p for p in alone if p != everything)]


def calls(sample):
    """``(mapped, in_axes, args, the arguments of each example)`` for each pattern."""
    stacks, inputs = examples(sample), sample.inputs()
    for mapped in patterns(sample):
        args = [s if m else x for s, x, m in zip(stacks, inputs, mapped, strict=True)]
        loop = [[a[i] if m else a for a, m in zip(args, mapped, strict=True)] for i in range(SIZE)]
        yield mapped, tuple(0 if m else None for m in mapped), args, loop


def stacked(results):
    return [np.stack(parts) for parts in zip(*results, strict=True)]


def same(found, expected, tolerance=1e-12):
    assert len(found) == len(expected)
    for y, e in zip(found, expected, strict=True):
        scale = max(1.0, np.max(np.abs(e), initial=0.0, where=np.isfinite(e)))
        np.testing.assert_allclose(y, e, rtol=tolerance, atol=tolerance * scale)
        assert np.shape(y) == np.shape(e)
        assert y.dtype == e.dtype


# --- every operation ------------------------------------------------------------------------------


@each(MAPPABLE)
def test_values(sample):
    def call(*xs):
        return numbers(sample.call(xs))

    for mapped, in_axes, args, loop in calls(sample):
        expected = stacked([call(*xs) for xs in loop])
        same(vmap(call, in_axes)(*args), expected)
        if all(mapped):  # the examples counted by the last axis, there and back
            found = vmap(call, -1, -1)(*(np.moveaxis(a, 0, -1) for a in args))
            same([np.moveaxis(y, -1, 0) for y in found], expected)


@each(MAPPABLE)
def test_derivatives(sample):
    """Gradients and tangents for each example, inside of vmap and through it."""

    def value(*xs):
        parts = floats(sample.call(xs))
        return sum(np.sum(y * weights(np.shape(y), 7 + k)) for k, y in enumerate(parts)) + 0.0

    everything = tuple(range(len(sample.inputs())))
    slope = grad(value, everything)
    for mapped, in_axes, args, loop in calls(sample):
        slopes = [slope(*xs) for xs in loop]
        same(vmap(slope, in_axes)(*args), stacked(slopes), 1e-10)

        through = grad(lambda *xs, axes=in_axes: np.sum(vmap(value, axes)(*xs)), everything)
        total = [
            s if m else np.sum(s, axis=0) for s, m in zip(stacked(slopes), mapped, strict=True)
        ]
        same([np.asarray(g) for g in through(*args)], [np.asarray(g) for g in total], 1e-10)

        moves = [weights(np.shape(a), 90 + k) for k, a in enumerate(args)]
        own = [[t[i] if m else t for t, m in zip(moves, mapped, strict=True)] for i in range(SIZE)]
        expected = stacked([jvp(value, xs, ts) for xs, ts in zip(loop, own, strict=True)])
        same(jvp(vmap(value, in_axes), args, moves), expected, 1e-10)
        if mapped != patterns(sample)[0]:
            continue
        inside = vmap(lambda xs, ts: jvp(value, xs, ts), [list(in_axes), list(in_axes)])
        same(inside(args, moves), expected, 1e-10)


@each([s for s in MAPPABLE if not excepted(s, "CuPy-ready")])
def test_device_arrays(sample):
    """No batching rule turns a duck array into a NumPy array, in values or gradients."""
    placed = sample.on(asarray)

    def value(*xs):
        call = placed.call if any(isinstance(plain(x), Strict) for x in xs) else sample.call
        return sum(np.sum(np.sin(y)) for y in floats(call(xs))) + 0.0

    everything = tuple(range(len(sample.inputs())))
    _, in_axes, args, _ = next(calls(sample))
    duck = [asarray(np.asarray(a)) for a in args]
    f = vmap(grad(value, everything), in_axes)
    for g, e in zip(f(*duck), f(*args), strict=True):
        np.testing.assert_allclose(getattr(g, "_array", g), e, rtol=1e-12, atol=1e-12)


@each([s for s in SAMPLES if s.id in REFUSED])
def test_what_depends_on_values_is_refused(sample):
    inputs = [np.stack([x, x]) for x in sample.inputs()]
    with pytest.raises(TypeError, match=r"inside vmap|example to example"):
        vmap(lambda *xs: numbers(sample.call(xs)))(*inputs)


def test_which_operations_loop():
    """None: `pick` reads a tuple of arrays, which is never a Batch."""
    differentiable = [
        op
        for op in OPERATIONS.values()
        if isinstance(op, Primitive) and not isinstance(op, Constant)
    ]
    assert {op.name for op in differentiable if op.batch in (None, batching.loop)} == {"pick"}
    refused = {
        op.name for op in OPERATIONS.values() if isinstance(op, Constant) and op.batch is None
    }
    assert refused == {
        "nonzero", "flatnonzero", "argwhere", "histogram_bin_edges", "array2string", "array_repr",
        "array_str", "may_share_memory", "shares_memory",
    }  # fmt: skip


# --- operations without a derivative --------------------------------------------------------------

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=(2, SIZE, 4, 3)).round(1)
WHOLE = RNG.integers(0, 4, (SIZE, 4, 3))
LINE = np.sort(RNG.normal(size=(SIZE, 6)).round(1))
HOLES = np.where(WHOLE == 1, np.nan, A)
LAST = np.array([[-1.0, 0.5, np.nan], [0.0, np.nan, np.nan], [-2.0, 0.1, 3.0]])  # sorted
SORTERS = np.stack([RNG.permutation(6) for _ in range(SIZE)])
FALLING = np.stack([LINE[0], LINE[1, ::-1], LINE[2]])
FLAWED = np.stack([np.ones((3, 3)), np.eye(3), np.diag([1.0, 0.0, 0.0])])

CONSTANTS = {
    **{f"{f.__name__} {axis}": (lambda a, f=f, axis=axis: f(a, axis=axis), A)
       for f in (np.argmax, np.argmin, np.argsort, np.any, np.all, np.count_nonzero)
       for axis in (None, 0, -1)},
    "argsort default": (np.argsort, A),
    "argsort of a method": (lambda a: a.argsort(), A),
    "argsort stable": (lambda a: np.argsort(a, 0, stable=True), WHOLE),
    "argmax keepdims": (lambda a: np.argmax(a, keepdims=True), A),
    "argmin axis keepdims": (lambda a: np.argmin(a, 1, keepdims=True), A),
    "nanargmax": (np.nanargmax, HOLES),
    "nanargmin axis": (lambda a: np.nanargmin(a, axis=0), HOLES),
    "any axes": (lambda a: np.any(a > 0, axis=(0, 1), keepdims=True), A),
    "all where": (lambda a, b: np.all(a > 0, axis=0, where=b > 0), A, B),
    "argpartition": (lambda a: np.sort(np.take_along_axis(a, np.argpartition(a, 1), -1)[:, :1]), A),
    "lexsort": (lambda a, b: np.lexsort((a, b)), WHOLE, A),
    "lexsort axis": (lambda a, b: np.lexsort((a, b), axis=0), A, WHOLE),
    "lexsort array": (np.lexsort, WHOLE),
    "searchsorted": (np.searchsorted, LINE, A),
    "searchsorted right": (lambda a, v: np.searchsorted(a, v, side="right"), LINE, LINE),
    "searchsorted nan": (np.searchsorted, LAST, HOLES),
    "searchsorted nan right": (lambda a, v: np.searchsorted(a, v, "right"), LAST, HOLES),
    "searchsorted number": (np.searchsorted, LINE, A[:, 0, 0]),
    "searchsorted sorter": (
        lambda a, v: np.searchsorted(a, v, sorter=np.argsort(a)),
        np.take_along_axis(LINE, SORTERS, 1), A,
    ),
    "digitize": (np.digitize, A, LINE),
    "digitize right": (lambda x, bins: np.digitize(x, bins, right=True), LINE, LINE),
    "digitize falling": (np.digitize, A, FALLING),
    "digitize falling right": (lambda x, bins: np.digitize(x, bins, True), LINE, FALLING),
    "isin": (np.isin, WHOLE, WHOLE[:, 0, :2]),
    "isin inverted": (lambda a, b: np.isin(a, b, invert=True), WHOLE[:, 0], WHOLE[:, 1:, :1]),
    "allclose": (lambda a, b: np.allclose(a, b, atol=4.0), A, B),
    "array_equal": (lambda a, b: np.array_equal(a, b), WHOLE // 4, WHOLE * 0),
    "array_equal other shapes": (lambda a, b: np.array_equal(a, b[:1]), WHOLE, WHOLE),
    "array_equal nan": (lambda a, b: np.array_equal(a, b, equal_nan=True), HOLES, HOLES),
    "array_equal nan unequal": (np.array_equal, HOLES, HOLES),
    "array_equiv": (np.array_equiv, WHOLE * 0, WHOLE[:, 0] * 0),
    "array_equiv unfit": (lambda a, b: np.array_equiv(a, b[:, :2]), A, B),
    "matrix_rank": (np.linalg.matrix_rank, FLAWED),
    "matrix_rank of a vector": (np.linalg.matrix_rank, FLAWED[:, 2]),
    "bitwise": (lambda a, b: (a & b) | (a ^ b), WHOLE, WHOLE[::-1]),
    "invert": (lambda a: ~(a > 0), A),
    "isclose": (np.isclose, A, B),
    "isnan": (np.isnan, HOLES),
    "shapes": (lambda a: np.shape(a) + (np.ndim(a), np.size(a)), A),
    "tril_indices_from": (np.tril_indices_from, A),
    "types": (lambda a: np.isrealobj(a) + np.can_cast(np.result_type(a, np.float32), "f8"), A),
    "zeros_like": (lambda a: np.zeros_like(a, shape=(2,), dtype=int), A),
    "full_like": (lambda a: np.full_like(a, 7.0), A),
    "frexp": (lambda a: np.frexp(a), A),
    "astype": (lambda a: a.astype(int), A),
    "einsum_path": (lambda a, b: len(np.einsum_path("ij,ik", a, b)[0]), A, B),
    "choose": (lambda i, a: np.choose(i % 2, [a, 0.5]), WHOLE, A),
    "bincount": (lambda w: np.bincount([0, 2, 2, 0], w, minlength=4), A[:, :, 0]),
    "histogram": (lambda w: np.histogram([0.1, 0.2, 0.9], 2, weights=w)[0], A[:, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    f, *arrays = CONSTANTS[name]

    def call(*xs):
        return [np.asarray(y) if isinstance(y, bool) else y for y in numbers(f(*xs))]

    count = len(arrays)
    chosen = {(True,) * count} | {tuple(i == k for i in range(count)) for k in range(count)}
    for mapped in chosen:
        args = [a if m else a[0] for a, m in zip(arrays, mapped, strict=True)]
        loops = [[a[i] if m else a for a, m in zip(args, mapped, strict=True)] for i in range(SIZE)]
        found = vmap(call, tuple(0 if m else None for m in mapped))(*args)
        for y, e in zip(found, stacked([call(*xs) for xs in loops]), strict=True):
            np.testing.assert_array_equal(y, e)


@pytest.mark.parametrize("order", [[1, 5, 3, 2, 0, 4], [5, 0, 1, 2, 3, 4], [0, 2, 1, 3, 4, 5]])
def test_edges_must_be_ordered_in_every_example(order):
    with pytest.raises(ValueError, match="monotonically"):
        vmap(np.digitize)(A[:, 0], np.stack([LINE[0], LINE[1], LINE[2, order]]))


# --- nesting, axes, errors ------------------------------------------------------------------------


def test_nested():
    """All pairs: one vmap counts the rows of the result, another its columns."""
    xs, ys = A[0], B[1]
    pairs = vmap(vmap(lambda x, y: np.dot(x, y) / np.max(x), (None, 0)), (0, None))(xs, ys)
    same([pairs], [np.array([[x @ y / x.max() for y in ys] for x in xs])])


@pytest.mark.parametrize("outer", [0, 1])
def test_gradients_between_two_vmaps(outer):
    """vmap of grad of (a sum over) vmap: levels alternate."""
    w, x = A[:, 0], B

    def loss(w, rows):
        return np.sum(vmap(lambda row: np.tanh(row @ w) * row[0])(rows))

    expected = np.stack([grad(loss)(w[i], x[i]) for i in range(SIZE)])
    found = vmap(grad(loss), (outer, outer))(np.moveaxis(w, 0, outer), np.moveaxis(x, 0, outer))
    same([found], [expected])


def test_axes_of_containers():
    bias = B[0]
    tree = {"w": A, "b": (bias, 2.0)}
    f = vmap(
        lambda p, s: {"y": p["w"] @ p["b"][0].T * p["b"][1] + s, "n": (p["b"][0], p["w"])},
        ({"w": 0, "b": None}, None),
        {"y": -1, "n": (None, 1)},
    )
    found = f(tree, 0.5)
    same([found["y"]], [np.stack([a @ B[0].T * 2.0 + 0.5 for a in A], axis=-1)])
    assert found["n"][0] is bias
    same([found["n"][1]], [np.moveaxis(A, 0, 1)])


def test_results_that_are_the_same_for_all_are_repeated():
    y, c = vmap(lambda x: (x.shape[0] * 1.0, np.arange(2)))(A)
    same([y, c], [np.full(SIZE, 4.0), np.tile(np.arange(2), (SIZE, 1))])
    c[0, 0] = 9
    assert c[1, 0] == 0


ERRORS = {
    "sizes": (lambda: vmap(np.dot)(np.ones((3, 2)), np.ones((4, 2))), ValueError,
              r"argument 1 of dot has 4 examples along axis 0 \(shape \(4, 2\)\), but .* has 3"),
    "no axis": (lambda: vmap(np.sin)(2.0), ValueError, "no axis 0.*name another in in_axes"),
    "axis too large": (lambda: vmap(np.sin, 2)(np.ones((3, 2))), ValueError, "no axis 2"),
    "nothing mapped": (lambda: vmap(np.sin, None)(np.ones(3)), ValueError, "to map over"),
    "count of axes": (lambda: vmap(np.sin, (0, 0))(np.ones(3)), ValueError,
                      r"for 1 positional argument of sin: give one axis"),
    "arguments to vmap itself": (lambda: vmap(np.sin, A)(A), ValueError, r"vmap\(f\)\(x\)"),
    "a list for an array": (lambda: vmap(np.sin)([1.0, 2.0]), ValueError,
                            "argument 0.0. of sin has no axis 0.*np.array makes it one"),
    "nothing": (lambda: vmap(lambda x: None)(np.ones(3)), TypeError, "returned None; return a"),
    "format": (lambda: vmap(lambda x: f"{x:.2f}")(np.ones(3)), TypeError,
               "format '.2f' of a value inside vmap.*without a format"),
    "container": (lambda: vmap(np.stack, ([0, 0, 0],))([np.ones(3)] * 2), ValueError,
                  "in the place of a list"),
    "keys": (lambda: vmap(lambda p: p["a"], ({"b": 0},))({"a": np.ones(3)}), ValueError,
             "in the place of a dict"),
    "out_axes": (lambda: vmap(np.sin, 0, 2)(np.ones((3, 2))), ValueError, "out_axes has 2"),
    "out_axes None": (lambda: vmap(np.sin, 0, None)(np.ones(3)), ValueError, "out_axes has None"),
    "result": (lambda: vmap(lambda x: "sin")(np.ones(3)), TypeError, "returned a str"),
    "bool": (lambda: vmap(lambda x: x if x > 0 else -x)(np.ones(3)), TypeError,
             "the truth of a value inside vmap.*np.where"),
    "float": (lambda: vmap(lambda x: float(x))(np.ones(3)), TypeError, "float.*inside vmap"),
    "item": (lambda: vmap(lambda x: x.item())(np.ones(3)), TypeError, "item.*inside vmap"),
    "index": (lambda: vmap(lambda i: [1, 2][i])(np.array([0, 1])), TypeError, "autograd.take"),
    "plain index": (lambda: vmap(lambda i: np.ones(3)[i])(np.array([0, 1])), TypeError,
                    "autograd.take"),
    "mask": (lambda: vmap(lambda x: x[x > 0])(A), TypeError, "np.where"),
    "shape": (lambda: vmap(np.matmul)(np.ones((3, 2, 4)), np.ones((3, 3, 2))), ValueError,
              r"matmul: .*float64 \(2, 4\), float64 \(3, 2\)"),
    "index that carries a derivative": (
        lambda: grad(lambda i: autograd.take(np.ones(3), i))(1.0), TypeError, "have no derivative"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        call()


def test_an_operation_without_a_rule_loops_and_says_so():
    swapped = autograd.linear(lambda x: x[::-1].copy(), lambda g, y, x: g[::-1], name="swapped")
    try:
        with pytest.warns(LoopWarning, match="swapped example by example"):
            found = vmap(swapped)(A)
        same([found], [A[:, ::-1]])
        with pytest.warns(LoopWarning), pytest.raises(ValueError, match="no examples"):
            vmap(swapped)(A[:0])
    finally:
        del registry[swapped.function]


# --- draws ----------------------------------------------------------------------------------------

DRAWS = {
    "uniform": (lambda like, g: uniform(like, low=-1.0, high=3.0, generator=g), 1.0, 4 / 12**0.5),
    "normal": (lambda like, g: normal(like, mean=2.0, std=0.5, generator=g), 2.0, 0.5),
    "bernoulli": (lambda like, g: bernoulli(like, p=0.3, generator=g), 0.3, 0.21**0.5),
    "dropout": (lambda like, g: dropout(like * 0 + 1, 0.2, generator=g), 1.0, 0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_differ_and_have_their_distribution(name):
    draw, mean, std = DRAWS[name]
    n = 4000
    found = vmap(lambda x: draw(x, np.random.default_rng(3)) * 1.0)(np.zeros((20, n)))
    assert len({row.tobytes() for row in found}) == 20
    assert abs(found.mean() - mean) < 5 * std / (20 * n) ** 0.5
    assert np.all(np.abs(found.mean(axis=1) - mean) < 5 * std / n**0.5)
    assert abs(found.std() - std) < 0.02
    crossed = np.corrcoef(found)[np.triu_indices(20, 1)]
    assert np.all(np.abs(crossed) < 5 / n**0.5)


def test_a_draw_like_what_is_the_same_for_all_is_the_same_for_all():
    like = np.zeros(5)
    found = vmap(lambda x: x + uniform(like, generator=np.random.default_rng(3)))(np.zeros((3, 5)))
    assert np.all(found == found[0])


def test_dropouts_gradient_follows_the_draw_of_each_example():
    def both(x):
        generator = np.random.default_rng(3)
        return np.sum(dropout(x, 0.5, generator)), dropout(x, 0.5, np.random.default_rng(3))

    x = np.ones((6, 50))
    slopes = vmap(grad(lambda x: both(x)[0]))(x)
    same([slopes], [vmap(lambda x: both(x)[1])(x)])


# --- indices --------------------------------------------------------------------------------------

CUBE = RNG.normal(size=(SIZE, 3, 4, 2, 5))
INDICES = {
    "integer": np.s_[1],
    "negative step": np.s_[::-1, 3:0:-2],
    "ellipsis": np.s_[..., -1],
    "ellipsis between": np.s_[1, ..., 2:],
    "new axis": np.s_[:, None, 2, None],
    "list": np.s_[[2, 0]],
    "lists side by side": np.s_[:, [0, 1], [1, 0]],
    "lists apart": np.s_[:, [0, 1], :, [0, 1]],
    "list and integer apart": np.s_[[0, 1], :, 1],
    "list after a new axis": np.s_[None, [0, 1], ..., [2, 4]],
    "ellipsis between lists": np.s_[[0, 1], ..., [[0], [3]]],
    "repeats": np.s_[:, [1, 1, 3]],
    "mask": np.s_[np.array([True, False, True])],
    "mask of two axes": np.s_[:, np.arange(8).reshape(4, 2) % 3 == 0],
    "nothing": np.s_[:0, []],
}


@pytest.mark.parametrize("name", INDICES)
def test_indices_that_are_the_same_for_all(name):
    index = INDICES[name]
    expected = np.stack([x[index] for x in CUBE])
    same([vmap(lambda x: x[index])(CUBE)], [expected])
    v = RNG.normal(size=expected.shape)
    for mapped in ((0, 0), (0, None), (None, 0)):
        x, new = (a if m == 0 else a[0] for a, m in zip((CUBE, v), mapped, strict=True))

        def put(x, new, index=index):
            y = x * 1.0
            return setitem(y, new, index=index)

        loops = [
            [a[i] if m == 0 else a for a, m in zip((x, new), mapped, strict=True)]
            for i in range(SIZE)
        ]
        same([vmap(put, mapped)(x, new)], [np.stack([put(*p) for p in loops])])


MAPPED = {
    "integer": (lambda x, i: at(x, i[0]), "i"),
    "array": (lambda x, i: at(x, (slice(None), i)), "i"),
    "beside a slice apart": (lambda x, i: at(x, (i, slice(None), i[0] % 2)), "i"),
    "beside a list": (lambda x, i: at(x, ([0, 1, 2], i)), "i"),
    "beside a list apart": (lambda x, i: at(x, (slice(None), i, slice(None), [0, 1, 4])), "i"),
    "after an ellipsis": (lambda x, i: at(x, (..., i)), "i"),
    "columns": (lambda x, i: at(x, (i[:, None], i)), "i"),
}


def at(x, index):
    return getitem(x, index=index)


@pytest.mark.parametrize("name", MAPPED)
def test_indices_that_differ(name):
    """Of mapped arrays and of plain ones; in values, gradients and tangents."""
    f, _ = MAPPED[name]
    i = np.array([[0, 2, 1], [2, 2, 0], [1, 0, 1]])
    for x, axis in ((CUBE, 0), (CUBE[0], None)):
        xs = x if axis == 0 else [x] * SIZE
        same([vmap(f, (axis, 0))(x, i)], [np.stack([f(a, k) for a, k in zip(xs, i, strict=True)])])

        def value(x, k):
            y = f(x, k)
            return np.sum(y * y * weights(y.shape, 4))

        slopes = np.stack([grad(value)(a, k) for a, k in zip(xs, i, strict=True)])
        same([vmap(grad(value), (axis, 0))(x, i)], [slopes])
        total = grad(lambda x, axis=axis: np.sum(vmap(value, (axis, 0))(x, i)))(x)
        same([total], [slopes if axis == 0 else slopes.sum(axis=0)])
        t = RNG.normal(size=x.shape)
        moved = jvp(lambda x, axis=axis: vmap(f, (axis, 0))(x, i), (x,), (t,))[1]
        ts = t if axis == 0 else [t] * SIZE
        same([moved], [np.stack([f(a, k) for a, k in zip(ts, i, strict=True)])])


def test_assignment():
    def f(x, v, i):
        y = x * 2.0
        y[0] = v
        y[:, 1] = y[:, 0] + 1.0
        y[i] = 3.0 * v
        return y

    v, i = B[:, 0], np.array([3, 1, 3])
    loops = [f(*p) for p in zip(A, v, i, strict=True)]
    same([vmap(f)(A, v, i)], [np.stack(loops)])
    slope = vmap(grad(lambda *p: np.sum(f(*p) ** 2), (0, 1)))(A, v, i)
    each_one = [grad(lambda *p: np.sum(f(*p) ** 2), (0, 1))(*p) for p in zip(A, v, i, strict=True)]
    same(slope, stacked(each_one))
    t = RNG.normal(size=A.shape), RNG.normal(size=v.shape)
    found = jvp(lambda x, v: vmap(f)(x, v, i), (A, v), t)[1]
    step = 1e-3  # f is linear in x and v
    moved = [f(a + step * s, b + step * u, k) for a, b, k, s, u in zip(A, v, i, *t, strict=True)]
    np.testing.assert_allclose(found, (np.stack(moved) - np.stack(loops)) / step, atol=1e-10)


def test_taking_from_plain_arrays():
    table, i = A[0], np.array([3, 0, 3])
    same([vmap(lambda i: autograd.take(table, i, axis=0))(i)], [table[i]])
    same([vmap(lambda i: autograd.take(table, i, axis=1, mode="wrap"))(i)], [table[:, i % 3].T])
    same([vmap(lambda i: np.take_along_axis(table[:, 0], i[None], 0))(i)], [table[i, :1]])


# --- no examples ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda x: np.sum(np.tanh(x @ x.T)), ()),
        (lambda x: np.concatenate([x, x * 2]).reshape(-1), (18,)),
        (lambda x: np.sort(x)[:, [0, 2]], (3, 2)),
        (np.linalg.inv, (3, 3)),
        (lambda x: np.max(x, axis=0), (3,)),
    ],
)
def test_no_examples(f, shape):
    x = np.ones((0, 3, 3))
    assert vmap(f)(x).shape == (0, *shape)
    assert vmap(grad(lambda x: np.sum(f(x) ** 2)))(x).shape == x.shape


# --- networks -------------------------------------------------------------------------------------


def perceptron():
    rng = np.random.default_rng(1)
    return nn.Sequential(nn.Linear(6, 5, generator=rng), nn.ReLU(), nn.Linear(5, 4, generator=rng))


def test_gradients_of_each_example():
    """By vmap, by a loop, and (their mean) by the loss of all examples."""
    model = perceptron()
    x, labels = RNG.normal(size=(7, 6)), RNG.integers(0, 4, 7)

    def loss(model, x, label):
        return nn.cross_entropy(model(x), label)

    found = flatten(vmap(grad(loss), (None, 0, 0))(model, x, labels))[0]
    loops = [flatten(grad(loss)(model, x[i], labels[i]))[0] for i in range(7)]
    same(found, stacked(loops), 1e-6)
    same([g.mean(axis=0) for g in found], flatten(grad(loss)(model, x, labels))[0], 1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_many_batches(reduction):
    z, labels = RNG.normal(size=(3, 5, 4)), RNG.integers(0, 4, (3, 5))
    for mapped in ((0, 0), (0, None), (None, 0)):
        args = [a if m == 0 else a[0] for a, m in zip((z, labels), mapped, strict=True)]
        loops = [
            [a[i] if m == 0 else a for a, m in zip(args, mapped, strict=True)] for i in range(3)
        ]

        def loss(z, labels):
            return np.sum(nn.cross_entropy(z, labels, reduction) ** 2)

        same([vmap(loss, mapped)(*args)], [np.stack([loss(*p) for p in loops])])
        same([vmap(grad(loss), mapped)(*args)], [np.stack([grad(loss)(*p) for p in loops])])


def test_cross_entropy_of_one_example():
    z = RNG.normal(size=4)
    expected = np.log(np.sum(np.exp(z))) - z[2]
    for reduction in ("mean", "sum", "none"):
        assert nn.cross_entropy(z, 2, reduction) == pytest.approx(expected, rel=1e-14)
    one_hot = np.arange(4) == 2
    same([grad(nn.cross_entropy)(z, 2)], [np.exp(z) / np.sum(np.exp(z)) - one_hot])
    with pytest.raises(IndexError, match="label 4 is not in 0..3"):
        vmap(nn.cross_entropy)(A[:, :, 0], np.array([0, 4, 1]))
    with pytest.raises(ValueError, match="one label"):
        nn.cross_entropy(z, [1, 2])


def test_a_mapped_mask_is_assigned_one_value():
    """``y[y > 0] = v`` is np.where(y > 0, v, y): elements, whole rows, and with a mapped value."""
    x, v = np.random.default_rng(3).normal(size=(2, 4, 3)), np.array([5.0, 7.0])

    def elements(x, v):
        y = x * 1.0
        y[y > 0] = v
        return y * x

    def rows(x, v):
        y = x * 1.0
        y[x[:, 0] > 0] = v * v
        return y

    for f in (elements, rows):
        for axes, values in (((0, None), [2.0, 2.0]), ((0, 0), v)):
            given = values[0] if axes[1] is None else values
            loop = np.stack([f(a, b) for a, b in zip(x, values, strict=True)])
            np.testing.assert_array_equal(vmap(f, axes)(x, given), loop)
            slopes = vmap(grad(lambda a, b, f=f: np.sum(f(a, b)), (0, 1)), axes)(x, given)
            each = [
                grad(lambda a, b, f=f: np.sum(f(a, b)), (0, 1))(a, float(b))
                for a, b in zip(x, values, strict=True)
            ]
            for found, expected in zip(slopes, zip(*each, strict=True), strict=True):
                np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12)
