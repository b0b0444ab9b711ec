"""Every operation of the registry, against NumPy and against finite differences.

The tests run over `tests/samples`; an operation without a sample fails.  Each sample's call is
recorded, and besides the call as a whole every node it recorded is tested by itself, so that
the rules of operations are held to their definition also where they are used inside others.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import autograd
from autograd import Tensor, gradients, reverse
from autograd.dual import Dual
from autograd.graph import Node, history, levels
from autograd.primitive import Indexed, Primitive, registry
from autograd.reads import EVERYTHING
from autograd.reverse import fit
from autograd.rules.indexing import gather_cotangents
from autograd.tree import flatten

from .samples import SAMPLES
from .samples.special import BY_ORDER


def each(samples):
    return pytest.mark.parametrize(
        "sample", samples, ids=[f"{s.id}-{i}" for i, s in enumerate(samples)]
    )


OPERATIONS = dict(registry)  # as it is before any test registers more
DIFFERENTIABLE = [s for s in SAMPLES if s.inputs()]


def outputs(result):
    """The floating-point results of a call, as a flat list."""
    return [
        y
        for y in flatten(result)[0]
        if isinstance(y, (Tensor, float)) or getattr(getattr(y, "dtype", 0), "kind", "") == "f"
    ]


def recorded(sample, convert=lambda x: x):
    """The inputs as Tensors, and the Tensors the call gives."""
    xs = [Tensor(convert(x)) for x in sample.inputs()]
    ys = outputs(sample.call(xs))
    return xs, [y for y in ys if isinstance(y, Tensor) and y.requires_grad]


def weights(shape, seed):
    """A random cotangent or tangent."""
    value = np.random.default_rng(seed).normal(size=shape)
    return value if np.shape(value) else float(value)


def derivative(f, x, v):
    """The derivative of f at x along v, to sixth order in the step."""
    h = 2e-3
    slope = 0.0
    for k, c in ((1, 45), (2, -9), (3, 1)):
        slope = slope + c * (f(x + k * h * v) - f(x - k * h * v)) / (60 * h)
    return slope


def close(a, b, tolerance):
    scale = max(1.0, np.max(np.abs(b), initial=0.0))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


# --- what must have a sample --------------------------------------------------------------------


def without_sample(operations):
    reached = {s.function for s in SAMPLES} | {f for s in SAMPLES for f in s.covers}
    reached |= {getattr(f, "function", f) for f in reached}
    for s in DIFFERENTIABLE:
        for y in recorded(s)[1]:
            reached |= {n.primitive.function for n in history(y.node) if n.primitive}
    return [op.name for f, op in operations.items() if f not in reached and f != "astype"]


def test_every_operation_has_a_sample():
    assert not without_sample(OPERATIONS)


# --- the call as a whole -------------------------------------------------------------------------


@each(SAMPLES)
def test_value_is_numpys(sample):
    """On Tensors the call gives what it gives on plain arrays."""
    expected = flatten(sample.call(sample.inputs()))[0]
    found = flatten(sample.call([Tensor(x) for x in sample.inputs()]))[0]
    assert len(found) == len(expected)
    for y, e in zip(found, expected, strict=True):
        y = y.data if isinstance(y, Tensor) else y
        if isinstance(e, str) or e is None:
            assert y == e
            continue
        np.testing.assert_allclose(y, e, rtol=1e-12, atol=1e-14)
        assert np.shape(y) == np.shape(e)
        assert np.asarray(y).dtype == np.asarray(e).dtype


@each(DIFFERENTIABLE)
def test_reverse_is_finite_differences(sample):
    """Gradients of a random combination of the results, at orders one and two."""
    inputs = sample.inputs()

    def combined(xs):
        return sum(
            np.sum(y * weights(np.shape(y), 7 + k)) for k, y in enumerate(outputs(sample.call(xs)))
        )

    check(combined, inputs, sample.order, sample.tolerance)


def check(f, inputs, order, tolerance):
    xs = [Tensor(x) for x in inputs]
    y = f(xs)
    if not isinstance(y, Tensor) or not y.requires_grad:
        for k, x in enumerate(inputs):
            slope = derivative(lambda x, k=k: f([*inputs[:k], x, *inputs[k + 1 :]]), x, 1.0)
            close(slope, 0.0, tolerance)
        return
    slopes = gradients(y, xs)
    for k, (x, g) in enumerate(zip(inputs, slopes, strict=True)):
        assert np.shape(g) == np.shape(x)
        assert type(g) is float if isinstance(x, float) else g.dtype == x.dtype
        v = weights(np.shape(x), 70 + k)

        def at(x, k=k):
            return f([*inputs[:k], x, *inputs[k + 1 :]])

        close(np.sum(g * v), derivative(at, x, v), tolerance)
    if order > 1:
        vs = [weights(np.shape(x), 700 + k) for k, x in enumerate(inputs)]

        def slope(xs):
            if not any(isinstance(x, Tensor) for x in xs):
                gs = autograd.grad(lambda *xs: f(list(xs)), tuple(range(len(xs))))(*xs)
            else:
                gs = gradients(f(xs), xs, record=True)
            return sum(np.sum(g * v) for g, v in zip(gs, vs, strict=True))

        check(slope, inputs, order - 1, tolerance * 10)


@each(DIFFERENTIABLE)
def test_nested_is_recorded_twice(sample):
    """grad of grad, one level in another, gives what walking a recorded gradient gives."""
    inputs = sample.inputs()
    vs = [weights(np.shape(x), 700 + k) for k, x in enumerate(inputs)]

    def combined(xs):
        parts = outputs(sample.call(xs))
        return sum(np.sum(y * weights(np.shape(y), 7 + k)) for k, y in enumerate(parts))

    everything = tuple(range(len(inputs)))

    def slope(*xs):
        gs = autograd.grad(lambda *xs: combined(list(xs)), everything)(*xs)
        return sum(np.sum(g * v) for g, v in zip(gs, vs, strict=True))

    xs = [Tensor(x) for x in inputs]
    y = combined(xs)
    if not isinstance(y, Tensor) or not y.requires_grad:
        return
    y = slope_at = sum(
        np.sum(g * v) for g, v in zip(gradients(y, xs, record=True), vs, strict=True)
    )
    nested = autograd.grad(slope, everything)(*inputs)
    if slope_at.requires_grad:
        for a, b in zip(nested, gradients(y, xs), strict=True):
            close(a, b, 1e-9)
    else:
        assert all(np.all(np.equal(a, 0)) for a in nested)


@each(DIFFERENTIABLE)
def test_float32_stays_float32(sample):
    """Every pull and push of every node answers in float32, and so do the gradients."""
    xs, ys = recorded(sample, single)
    for x, y in ((x, y) for y in ys for x in xs):
        if y.dtype == np.float32:
            gradients(y, x, seed=single(weights(y.shape, 3)))
    for node in nodes(ys):
        if dtype(node.value) != np.float32:
            continue
        for i, source in enumerate(node.inputs):
            if isinstance(source, Node) and has_pull(node, i):
                g = single(weights(np.shape(node.value), 5))
                assert dtype(pulled(node, i, g)) == np.float32, f"pull {i} of {node.primitive}"
                if not isinstance(source.value, (tuple, list)):
                    t = single(weights(np.shape(source.value), 6))
                    assert dtype(pushed(node, i, t)) == np.float32, f"push {i} of {node.primitive}"


# --- each node by itself -------------------------------------------------------------------------


def nodes(ys):
    return [n for n in history(*[y.node for y in ys]) if n.primitive is not None]


def single(x):
    return np.float32(x) if np.ndim(x) == 0 else np.asarray(x, np.float32)


def dtype(x):
    return np.asarray(x).dtype if type(x) is float else getattr(x, "dtype", None)


def values(node):
    return node.primitive.arguments([i.value if isinstance(i, Node) else i for i in node.inputs])


def pulled(node, i, g):
    source = node.inputs[i]
    cotangents = [c for s, c in reverse.pulled(node, g) if s is source]
    occurrences = [k for k, s in enumerate(node.inputs) if s is source and has_pull(node, k)]
    c = cotangents[occurrences.index(i)]
    if type(c) is Indexed:
        if isinstance(source.value, (tuple, list)):
            return c.g
        c = gather_cotangents([c], source.value)
    return fit(c, source.value)


def has_pull(node, i):
    return node.primitive.arity is None or node.primitive.pulls[i] is not None


def pushed(node, i, t):
    args = values(node)
    tangents = [None] * len(args)
    tangents[i] = t
    return node.primitive.push(tangents, node.value, args, node.options or {})


@each(DIFFERENTIABLE)
def test_push_is_finite_differences_and_pull_is_its_adjoint(sample):
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for every node and argument, and J v is the derivative along v."""
    for node in nodes(recorded(sample)[1]):
        primitive, args = node.primitive, values(node)
        for i, source in enumerate(node.inputs):
            if not isinstance(source, Node) or not has_pull(node, i):
                continue
            if isinstance(source.value, (tuple, list)):
                continue  # `pick`: its source is tested as the node it is
            x = args[i]
            v = weights(np.shape(x), 31 + i)

            def value(x, k, i=i, args=args, primitive=primitive, node=node):
                y = primitive.evaluate([*args[:i], x, *args[i + 1 :]], node.options or {})
                return y[k] if primitive.outputs else y

            push = pushed(node, i, v)
            many = primitive.outputs
            pushes = push if many else [push]
            ys = node.value if many else [node.value]
            us = [weights(np.shape(y), 50 + k) for k, y in enumerate(ys)]
            for k, (p, u) in enumerate(zip(pushes, us, strict=True)):
                p = np.broadcast_to(p, np.shape(u))
                along = derivative(partial(value, k=k), x, v)
                close(p, along, sample.tolerance * 10)
            c = pulled(node, i, us if many else us[0])
            left = sum(np.sum(u * p) for u, p in zip(us, pushes, strict=True))
            close(np.sum(c * v), left, 1e-9)


@each(DIFFERENTIABLE)
def test_rules_read_what_they_say(sample):
    """A pull gives the same when everything it is said not to read is replaced by NaN."""
    for node in nodes(recorded(sample)[1]):
        for i, source in enumerate(node.inputs):
            read = node.primitive.reads(i)
            if not isinstance(source, Node) or not has_pull(node, i):
                continue
            if node.primitive.arity is None:
                continue
            if read is EVERYTHING or node.primitive.outputs or node.primitive.name == "pick":
                continue
            g = weights(np.shape(node.value), 5)
            hidden = [node.value, *values(node)]
            for k, x in enumerate(hidden):
                if k not in read and hasattr(x, "dtype") and x.dtype.kind == "f":
                    hidden[k] = x * np.nan
            y, *args = hidden
            c = node.primitive.pulls[i](g, y, *args, **(node.options or {}))
            if type(c) is Indexed:
                c = gather_cotangents([c], source.value)
            close(fit(c, source.value), pulled(node, i, g), 1e-12)


# --- forward mode --------------------------------------------------------------------------------


def floating(sample):
    """The call as a function of its inputs that returns its floating-point results."""
    return lambda *xs: outputs(sample.call(xs))


def paired(us, vs):
    return sum(np.sum(u * v) for u, v in zip(us, vs, strict=True))


def alike(t, y):
    """Whether a tangent t is of the type, shape and dtype of its value y."""
    if type(y) is float or type(t) is float:
        return type(y) is type(t)
    return t.shape == y.shape and t.dtype == y.dtype


@each(DIFFERENTIABLE)
def test_tangents_are_like_their_values(sample):
    """While the call runs on Duals: shape, dtype, and floats beside floats."""
    for convert in (lambda x: x, single):
        level = next(levels)
        duals = [
            Dual(convert(x), convert(weights(np.shape(x), 40 + k)), level)
            for k, x in enumerate(sample.inputs())
        ]
        for y in outputs(sample.call(duals)):
            if isinstance(y, Dual):
                assert y.level == level
                assert alike(y.tangent, y.value), (y.value, y.tangent)


@each(DIFFERENTIABLE)
def test_forward_modes_agree(sample):
    """Dual = replay = the pull's own derivative, ⟨u, J v⟩ = ⟨Jᵀ u, v⟩, for the call as a whole."""
    f, xs = floating(sample), sample.inputs()
    vs = [weights(np.shape(x), 40 + k) for k, x in enumerate(xs)]
    ys, dual = autograd.jvp(f, tuple(xs), tuple(vs))
    _, push = autograd.linearize(f, *xs)
    _, pull = autograd.vjp(f, *xs)
    us = [weights(np.shape(y), 50 + k) for k, y in enumerate(ys)]
    _, pull_of_pull = autograd.vjp(lambda us: pull(us), us)
    for y, a, b, c in zip(ys, dual, push(*vs), pull_of_pull(tuple(vs))[0], strict=True):
        assert alike(a, y) and alike(b, y) and np.shape(c) == np.shape(y)
        close(b, a, 1e-12)
        close(c, a, 1e-9)
    close(paired(us, dual), paired(pull(us), vs), 1e-9)


@each(DIFFERENTIABLE)
def test_second_order_in_any_mix_of_modes(sample):
    """Forward over reverse, reverse over forward, replay over reverse: all the Hessian times v;
    and forward over forward vᵀ H v.
    """
    f, xs = floating(sample), tuple(sample.inputs())
    vs = tuple(weights(np.shape(x), 700 + k) for k, x in enumerate(xs))
    us = [weights(np.shape(y), 7 + k) for k, y in enumerate(f(*xs))]
    everything = tuple(range(len(xs)))

    def combined(*xs):
        return paired(f(*xs), us)

    slope = autograd.grad(combined, everything)

    def along(*xs):
        return autograd.jvp(combined, xs, vs)[1]

    expected = autograd.grad(lambda *xs: paired(slope(*xs), vs), everything)(*xs)
    for found in (
        autograd.grad(along, everything)(*xs), autograd.linearize(slope, *xs)[1](*vs),
        autograd.hvp(combined, xs, vs),
    ):  # fmt: skip
        for h, e in zip(found, expected, strict=True):
            assert np.shape(h) == np.shape(e)
            close(h, e, 1e-9)
    assert all(map(alike, found, xs))
    close(autograd.jvp(along, xs, vs)[1], paired(expected, vs), 1e-9)


# --- broadcasting, shapes and dtypes -------------------------------------------------------------

UFUNCS = sorted(
    (
        f
        for f, op in registry.items()
        if isinstance(f, np.ufunc) and f.nin == 2 and f.nout == 1 and not f.signature
        and isinstance(op, Primitive) and op.kind != "constant"
    ),
    key=lambda f: f.__name__,
)  # fmt: skip


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
    dtypes=st.tuples(*[st.sampled_from([np.float32, np.float64])] * 2),
)
def test_broadcasting(ufunc, shapes, dtypes):
    """Gradients have the argument's exact shape and dtype, and are the unbroadcast ones summed."""
    rng = np.random.default_rng(0)
    a, b = (
        np.asarray(rng.uniform(0.2, 0.8, s), t)
        for s, t in zip(shapes.input_shapes, dtypes, strict=True)
    )
    if registry[ufunc].pulls[1] is None and registry[ufunc].name == "ldexp":
        b = np.ones(b.shape, int)
    if ufunc in BY_ORDER:
        a = np.ones(a.shape, int)
    xs = [Tensor(x) if x.dtype.kind == "f" else x for x in (a, b)]
    y = ufunc(*xs)
    expected = ufunc(a, b)
    assert y.shape == expected.shape and y.dtype == expected.dtype
    full = [
        Tensor(np.array(np.broadcast_to(x, y.shape))) if x.dtype.kind == "f" else x for x in (a, b)
    ]
    seed = np.asarray(rng.normal(size=y.shape), y.dtype)
    y.backward(seed)
    whole = ufunc(*full)
    whole.backward(seed)
    for x, f in zip(xs, full, strict=True):
        if isinstance(x, Tensor):
            assert np.shape(x.grad) == x.shape and x.grad.dtype == x.dtype
            np.testing.assert_allclose(x.grad, fit(f.grad, x.data), rtol=1e-4, atol=1e-5)


# --- the tests test ------------------------------------------------------------------------------


def test_a_wrong_rule_is_caught():
    """A rule off by one part in a thousand, a wrong push, a wrong second derivative: all fail."""
    from .samples.make import real, sample

    wrong = autograd.elementwise(
        lambda x: np.sin(x), lambda g, y, x: g * np.cos(x) * 1.001, name="wrong_pull"
    )
    push = autograd.general(
        lambda x: np.sin(x),
        lambda g, y, x: g * np.cos(x),
        lambda g, y, x: g * np.sin(x),
        name="wrong_push",
    )
    second = autograd.elementwise(
        lambda x: np.sin(x),
        lambda g, y, x: g * autograd.stop_gradient(np.cos(x)),
        name="wrong_second",
    )
    one_mode = autograd.general(
        lambda x: np.sin(x),
        lambda g, y, x: g * autograd.stop_gradient(np.cos(x)),
        lambda g, y, x: g * np.cos(x),
        name="wrong_second_in_one_mode",
    )
    thin = autograd.general(
        lambda x: x + np.zeros((2, 1)),
        lambda g, y, x: g,
        lambda g, y, x: g.astype(np.float32),
        name="wrong_dtype",
    )
    try:
        for operation, test in [
            (wrong, test_reverse_is_finite_differences),
            (push, test_push_is_finite_differences_and_pull_is_its_adjoint),
            (push, test_forward_modes_agree),
            (second, test_reverse_is_finite_differences),
            (one_mode, test_second_order_in_any_mix_of_modes),
            (thin, test_forward_modes_agree),
        ]:
            with pytest.raises(AssertionError):
                test(sample(operation, real(3)))
    finally:
        for operation in (wrong, push, second, one_mode, thin):
            del registry[operation.function]


def test_an_operation_without_a_sample_is_caught():
    new = autograd.elementwise(lambda x: x + 1, lambda g, y, x: g, name="without_sample")
    try:
        assert without_sample(registry) == ["without_sample"]
    finally:
        del registry[new.function]
