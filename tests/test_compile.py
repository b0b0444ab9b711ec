"""Compiled functions: they compute what the function does, whatever is done with their results."""

import gc
import threading
import tracemalloc
import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, hessian, jacobian, seed, value_and_grad, vmap
from autograd.program import compile
from autograd.program.compile import MOST, RetracingWarning
from autograd.program.trace import TracingWarning
from autograd.tree import flatten

from .test_operations import DIFFERENTIABLE, each
from .test_source import combined


def arrays(result):
    """The leaves of a result as plain arrays."""
    return [np.asarray(x.data if isinstance(x, Tensor) else x) for x in flatten(result)[0]]


def same(found, expected, rtol=0.0):
    for a, b in zip(arrays(found), arrays(expected), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(a, b)


@each(DIFFERENTIABLE)
def test_samples(sample):
    """Value and gradient to the bit, the second time too, and on other values of the same kind."""
    f, xs = combined(sample), sample.inputs()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = f(*map(Tensor, xs))
        if not isinstance(value, Tensor) or not value.requires_grad:
            return
        eager = value_and_grad(f, argnums=tuple(range(len(xs))))
        fast = compile(eager)
        first = fast(*xs)
        if "uniform" in fast.source or "bernoulli" in fast.source or "normal" in fast.source:
            return  # draws anew
        expected = eager(*xs)
        same(first, expected)
        kept = [a.copy() for a in arrays(first)]
        fast(*[x * 0.5 for x in xs])
        same(fast(*xs), expected)
        same(first, kept)  # results are not overwritten by the next call


# --- networks -----------------------------------------------------------------------------------


def cross_entropy(model, x, labels):
    return nn.cross_entropy(model(x), labels)


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 4),
    )  # fmt: skip


MODELS = {
    "mlp": (lambda: nn.MLP((8, 6, 4)), (5, 8)),
    "tanh": (lambda: nn.MLP((8, 6, 6, 4), activation=nn.Tanh), (5, 8)),
    "normalized": (
        lambda: nn.Sequential(
            nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)
        ).eval(),
        (5, 8),
    ),
    "convolutional": (lambda: convolutional().eval(), (5, 1, 8, 8)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_networks(name, dtype):
    """Fused operations are taken apart while tracing, so the last bits may differ."""
    make, shape = MODELS[name]
    model, rng = make(), np.random.default_rng(0)
    x, labels = rng.normal(size=shape).astype(dtype), rng.integers(0, 4, len(range(shape[0])))
    fast = compile(value_and_grad(cross_entropy))
    for _ in range(3):
        same(fast(model, x, labels), value_and_grad(cross_entropy)(model, x, labels), 2e-6)
        for p in model.parameters():  # an optimizer's step is seen by the next call
            p.data -= 0.1 * rng.normal(size=p.shape).astype(p.dtype)
    assert fast.explain().startswith("cross_entropy: ")


def test_training_by_a_compiled_gradient_is_training():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20, 8)), rng.integers(0, 3, 20)
    losses = []
    for gradient in (value_and_grad(cross_entropy), compile(value_and_grad(cross_entropy))):
        model = nn.MLP((8, 6, 3), generator=np.random.default_rng(1))
        for _ in range(30):
            loss, slopes = gradient(model, x, labels)
            for p, g in zip(model.parameters(), flatten(slopes)[0], strict=True):
                p.data -= 0.3 * np.asarray(g)
        losses.append(float(np.asarray(loss)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and losses[0] < 0.8


def test_a_mode_of_the_model_is_another_kind():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    f = compile(lambda m, x: m(x))
    x = np.random.default_rng(0).normal(size=(6, 4))
    model.eval()
    before = arrays(f(model, x))[0]
    np.testing.assert_allclose(before, model(x).data, rtol=1e-6)


# --- all transformations ------------------------------------------------------------------------


def f(x):
    return np.sum(np.sin(x) * x**2)


@pytest.mark.parametrize(
    "transformed",
    [
        grad(f),
        value_and_grad(f),
        hessian(f),
        jacobian(np.tanh),
        vmap(np.tanh),
        grad(lambda x: f(x)),
    ],
    ids=["grad", "value_and_grad", "hessian", "jacobian", "vmap", "lambda"],
)
def test_transformations(transformed):
    fast, x = compile(transformed), np.random.default_rng(0).normal(size=7)
    for _ in range(2):
        same(fast(x), transformed(x))


def test_one_point_of_a_network_mapped_over_many():
    """A program of numbers becomes one of arrays."""

    def neuron(w, x):
        total = 0.0
        for w_i, x_i in zip(w, x, strict=True):
            total = total + w_i * x_i
        return np.tanh(total)

    rng = np.random.default_rng(0)
    w, xs = rng.normal(size=3).tolist(), rng.normal(size=(50, 3))
    per_example = vmap(grad(neuron), in_axes=(None, 0))

    def loss(w, xs):
        return per_example(w, [xs[:, i] for i in range(3)])

    mapped = vmap(grad(lambda w, x: neuron(w, [x[i] for i in range(3)])), in_axes=(None, 0))
    same(compile(mapped)(w, xs), mapped(w, xs))


def test_a_compiled_function_is_differentiated_as_it_is():
    fast = compile(f)
    x = np.random.default_rng(0).normal(size=4)
    same(grad(fast)(x), grad(f)(x))
    assert "inside a transformation" in fast.explain()


# --- numbers ------------------------------------------------------------------------------------


def product(w):
    v = 1.0
    for w_j in w:
        v = v * w_j
    return v


def test_numbers_stay_numbers():
    w = np.random.default_rng(0).uniform(0.5, 1.5, 50).tolist()
    fast = compile(value_and_grad(product))
    assert fast(w) == value_and_grad(product)(w)
    value, slopes = fast(w)
    assert type(value) is float and {*map(type, slopes)} == {float}
    assert "np." not in fast.source


def test_what_python_refuses_is_as_without_compiling():
    fast = compile(value_and_grad(lambda a, b: a / b))
    with np.errstate(all="ignore"):
        for args in ((1.0, 2.0), (1.0, 0.0), (-1.0, 0.0)):
            assert fast(*args) == value_and_grad(lambda a, b: a / b)(*args)
    plain = compile(lambda a, b: a / b)
    assert plain(1.0, 2.0) == 0.5
    with pytest.raises(ZeroDivisionError):
        plain(1.0, 0.0)


# --- kinds of arguments -------------------------------------------------------------------------


def test_other_shapes_types_and_structures_are_traced_anew():
    fast = compile(lambda x: [2.0 * part for part in x])
    for x in ([1.0], [1.0, 2.0], [np.ones(3)], [np.ones(4)], [np.ones(4, np.float32)], (1.0, 2.0)):
        for _ in range(2):
            same(fast(x), [2.0 * part for part in x])
    assert repr(fast).endswith("for 6 kinds of arguments>")


def test_other_settings_are_traced_anew():
    fast = compile(lambda x, n, up: x**n if up else -x)
    for args in ((2.0, 2, True), (2.0, 3, True), (2.0, 3, False), (2.0, 2, True)):
        assert fast(*args) == (args[0] ** args[1] if args[2] else -args[0])


def test_too_many_kinds_are_warned_of_and_forgotten():
    fast = compile(lambda x: x * 2.0)
    with pytest.warns(RetracingWarning, match=f"more than {MOST} kinds"):
        for n in range(1, MOST + 3):
            assert fast(np.ones(n)).sum() == 2 * n
    assert f"for {MOST} kinds" in repr(fast)


# --- what cannot be compiled, and what is refused -----------------------------------------------


def test_a_function_that_looks_at_values_is_run_as_it_is():
    def absolute(x):
        return x if x > 0 else -x

    fast = compile(absolute)
    with pytest.warns(TracingWarning, match="test_compile.py"):
        assert fast(2.0) == 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fast(-3.0) == 3.0
    assert "looks at" in fast.explain() and fast.source == ""


def test_not_a_function():
    with pytest.raises(TypeError, match="a function wanted, not a int"):
        compile(3)


def test_errors_are_the_functions_own_and_nothing_is_kept():
    fast = compile(lambda a, b: a @ b)
    with pytest.raises(ValueError):
        fast(np.ones((2, 3)), np.ones((2, 3)))
    assert fast(np.ones((2, 3)), np.ones((3, 2))).tolist() == [[3, 3], [3, 3]]


# --- memory -------------------------------------------------------------------------------------


def deep(x):
    for _ in range(50):
        x = np.tanh(x) + 0.1
    return np.sum(x)


def test_buffers_are_shared():
    fast = compile(deep)
    x = np.random.default_rng(0).normal(size=1000)
    same(fast(x), deep(x))
    kernel = fast._latest.writer
    assert len(kernel.buffers) == 1 and kernel.in_place >= 90


def test_arguments_are_not_written_and_results_are_ones_own():
    x = np.random.default_rng(0).normal(size=(3, 4))
    before = x.copy()
    fast = compile(lambda x: (x.T, x, x[0], np.tanh(x).T, np.ones(3)))
    first = fast(x)
    second = fast(x)
    for a, b in zip(first, second, strict=True):
        assert not np.shares_memory(a, b) and not np.shares_memory(a, x)
        a += 1.0
    np.testing.assert_array_equal(x, before)
    same(fast(x), second)


def test_results_that_are_views_of_one_another_are_apart():
    a, b = compile(lambda x: ((y := x * 2.0), y[1:]))(np.ones(4))
    a[:] = 0
    assert b.tolist() == [2, 2, 2]


def test_several_threads_at_once():
    fast = compile(value_and_grad(deep))
    xs = [np.random.default_rng(i).normal(size=2000) for i in range(4)]
    wanted = [value_and_grad(deep)(x) for x in xs]
    problems = []

    def work(i):
        for _ in range(30):
            try:
                same(fast(xs[i]), wanted[i])
            except AssertionError as error:
                problems.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_memory_does_not_grow():
    fast = compile(value_and_grad(deep))
    x = np.ones(100)
    fast(x)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        fast(x)
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_draws_are_those_of_the_function():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    f = value_and_grad(cross_entropy)
    found = []
    for gradient in (f, compile(f)):
        seed(3)
        found.append([arrays(gradient(model, x, labels)) for _ in range(3)])
    for a, b in zip(*found, strict=True):
        same(b, a, 1e-6)
    assert not np.array_equal(found[0][0][1], found[0][1][1])


def test_a_module_among_the_arguments_is_its_arrays():
    """Over Tensors nothing would be written into buffers."""
    model = nn.MLP((4, 8, 3), dtype=float)
    fast = compile(value_and_grad(lambda model, x: np.sum(model(x) ** 2)))
    x = np.ones((5, 4))
    _, slopes = fast(model, x)
    _, expected = value_and_grad(lambda model, x: np.sum(model(x) ** 2))(model, x)
    same(slopes, expected)
    assert fast._latest.writer.in_place >= 3


def test_buffers_change_once_a_call():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    twin = model.copy()
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    fast = compile(value_and_grad(cross_entropy))
    for _ in range(3):
        same(fast(model, x, labels), value_and_grad(cross_entropy)(twin, x, labels))
    for (_, a), (_, b) in zip(model.named_buffers(), twin.named_buffers(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "running_mean" in fast.source


def test_views_of_every_kind_keep_their_memory():
    """What looks into a buffer by another shape, order or part lives as long as its views."""

    def f(x):
        y = x * 2.0
        views = [
            np.flip(y), np.rot90(y), y[::-1], np.real(y), np.split(y, 2)[1], np.moveaxis(y, 0, 1),
            np.broadcast_to(y[0], (3, 4)), np.diagonal(y), y.T[1:], np.reshape(y, (2, 8)),
        ]  # fmt: skip
        noise = np.exp(np.sin(x + 1.0)) * 3.0  # may take y's buffer, if nobody needs that
        return [v + 0.0 for v in views], noise

    x = np.random.default_rng(0).normal(size=(4, 4))
    fast = compile(f)
    for _ in range(2):
        same(fast(x), f(x))


@pytest.mark.parametrize(
    "f, first, second",
    [
        (np.unique, [1.0, 1.0, 2.0], [1.0, 2.0, 3.0]),
        (lambda x: np.polymul(x, [1.0, 2.0]), [1.0, 2.0], [0.0, 2.0]),
        (lambda x: np.histogram(x, bins=2)[0], [1.0, 2.0, 5.0], [1.0, 4.0, 5.0]),
        (lambda x: sorted([x[0], x[1]], key=float), [2.0, 1.0], [1.0, 2.0]),
    ],
    ids=["unique", "polymul", "histogram", "sorted"],
)
def test_what_goes_by_values_is_not_compiled(f, first, second):
    def run(x):
        return [np.asarray(part) for part in flatten(f(x))[0]]

    fast = compile(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TracingWarning)
        for x in (np.array(first), np.array(second)):
            try:
                expected = run(x)
            except TypeError:
                continue
            same(fast(x), expected)


def test_lengths_of_sequences_are_looked_at():
    rnn = nn.GRU(2, 3)
    x = np.random.default_rng(0).normal(size=(5, 2, 2))
    fast = compile(lambda x, lengths: rnn(x, lengths=lengths)[0])
    with pytest.warns(TracingWarning, match="the lengths"):
        fast(x, np.array([5, 3]))
    same(fast(x, np.array([2, 4])), rnn(x, lengths=np.array([2, 4]))[0])


def test_nothing_of_what_was_traced_is_kept():
    x = np.random.default_rng(0).normal(size=200_000)
    fast = compile(deep)  # whose values need but one buffer
    tracemalloc.start()
    try:
        fast(x)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most > 50 * x.nbytes  # every value, while it was traced
    assert kept < 5 * x.nbytes + 1_000_000
