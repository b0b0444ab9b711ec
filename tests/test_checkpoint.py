"""checkpoint: values and derivatives are those of the function, its inside is not kept."""

import gc
import threading
import tracemalloc

import numpy as np
import pytest

import nn
import optim
from autograd import (
    Tensor,
    checkpoint,
    count_operations,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    no_grad,
    seed,
    stop_gradient,
    vjp,
    vmap,
)
from autograd.graph import Leaf, Node, history
from autograd.rules.random import normal, uniform
from autograd.tree import flatten

RNG = np.random.default_rng(0)
X, V = RNG.normal(size=4), RNG.normal(size=4)
W = RNG.normal(size=(4, 3))


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def equal(a, b):
    np.testing.assert_array_equal(a, b, strict=True)


class Called:
    """A function that counts its calls."""

    def __init__(self, f):
        self.f, self.count = f, 0

    def __call__(self, *args):
        self.count += 1
        return self.f(*args)


# --- value and derivatives ----------------------------------------------------------------------


def energy(x):
    return np.sum(np.sin(x) * x**2) * np.exp(x[0])


def in_parts(x):
    """The same, what is inside checkpointed twice over."""
    inner = checkpoint(lambda x: np.sin(x) * x**2)
    return checkpoint(lambda x: np.sum(inner(x)) * np.exp(x[0]))(x)


DERIVATIVES = {
    "grad": grad,
    "hessian": hessian,
    "hessian, reverse": lambda f: hessian(f, mode="reverse"),
    "jacobian, forward": lambda f: jacobian(f, mode="forward"),
    "jvp": lambda f: lambda x: jvp(f, (x,), (V,))[1],
    "linearize": lambda f: lambda x: linearize(f, x)[1](V),
    "hvp": lambda f: lambda x: hvp(f, (x,), (V,))[0],
    "reverse over forward": lambda f: grad(lambda x: jvp(f, (x,), (V,))[1]),
    "forward over forward": lambda f: lambda x: jvp(lambda x: jvp(f, (x,), (V,))[1], (x,), (V,))[1],
    "third order": lambda f: grad(lambda x: np.sum(hvp(f, (x,), (V,))[0] * V)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("checkpointed", [checkpoint(energy), in_parts], ids=["one", "nested"])
def test_value_and_derivatives_are_the_functions(checkpointed, name):
    close(checkpointed(X), energy(X))
    derivative = DERIVATIVES[name]
    close(derivative(checkpointed)(X), derivative(energy)(X))


@pytest.mark.parametrize("name", DERIVATIVES)
def test_under_vmap(name):
    derivative, rows = DERIVATIVES[name], np.stack([X, V, X + V])
    expected = [derivative(energy)(row) for row in rows]
    close(vmap(derivative(in_parts))(rows), expected)


def test_vmap_within_a_derivative():
    def total(f):
        return lambda rows, w: np.sum(vmap(f, (0, None))(rows, w) ** 2)

    def f(x, w):
        return {"y": np.tanh(x @ w), "same": np.exp(w[0])}

    def checkpointed(x, w):
        result = checkpoint(f)(x, w)
        return result["y"] * result["same"]

    def unchecked(x, w):
        return f(x, w)["y"] * f(x, w)["same"]

    rows = RNG.normal(size=(5, 4))
    for a, b in zip(
        grad(total(checkpointed), (0, 1))(rows, W),
        grad(total(unchecked), (0, 1))(rows, W),
        strict=True,
    ):
        close(a, b)


def test_derivative_recorded_on_the_same_graph():
    """By hand: f = Σ x³, so the derivative of 3x²·v is 6x·v."""
    x = Tensor(X)
    (slope,) = gradients(checkpoint(lambda x: np.sum(x**3))(x), [x], record=True)
    close(gradients(np.sum(slope * V), x), 6 * X * V)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_element_types_are_kept(dtype):
    x = Tensor(X.astype(dtype))
    y = checkpoint(lambda x: 2.0 * np.sin(x) * x)(x)
    assert y.dtype == dtype
    y.backward(np.ones(4, dtype))
    assert x.grad.dtype == dtype
    close(x.grad, 2 * (np.cos(X) * X + np.sin(X)), 1e-5)


def test_python_floats_stay_weakly_typed():
    scale, x = Tensor(0.5), Tensor(X.astype(np.float32))
    f = checkpoint(lambda s, x: np.sum(np.sin(s) * x))
    y = f(scale, x)
    assert y.dtype == np.float32
    y.backward()
    assert type(scale.grad) is float
    assert scale.grad == pytest.approx(np.cos(0.5) * np.sum(X), rel=1e-5)
    assert type(checkpoint(lambda s: s * 2.0)(scale).data) is float


def test_python_floats_stay_so_when_evaluated_again():
    """In float32 throughout: in double precision the last bits would be others."""

    def f(s, x):
        return np.sum(np.tanh(np.sin(s) * x) ** 3)

    x = Tensor(RNG.normal(size=100).astype(np.float32))
    slopes = []
    for each in (f, checkpoint(f)):
        x.grad = None
        each(Tensor(0.7), x).backward()
        slopes.append(x.grad)
    equal(*slopes)


def test_trees_keywords_and_constants():
    @checkpoint
    def f(tree, labels, *, scale, how):
        assert how == "sum"
        a, (b,) = tree["a"], tree["b"]
        y = a[labels] * b * scale
        return {"loss": np.sum(y), "parts": [y, labels], "how": how, "nothing": None, "n": 3}

    a, b = Tensor(X), Tensor(2.0)
    labels = np.array([0, 0, 3])
    result = f({"a": a, "b": (b,)}, labels, scale=np.array([1.0, 2.0, 3.0]), how="sum")
    assert result["how"] == "sum" and result["nothing"] is None and result["n"] == 3
    equal(result["parts"][1], labels)
    (result["loss"] + np.sum(result["parts"][0][0])).backward()
    close(a.grad, [2 * (1 + 2 + 1), 0, 0, 6])
    close(b.grad, X[[0, 0, 3, 0]] @ [1, 2, 3, 1])


def test_results_that_do_not_depend_and_stopped_ones():
    x = Tensor(X)
    y, still = checkpoint(lambda x: (x * stop_gradient(x), stop_gradient(x) * 2))(x)
    np.sum(y * still).backward()
    close(x.grad, 2 * X**2)


def test_plain_arguments_give_plain_results():
    assert type(checkpoint(lambda x, a: x * 2 + a)(X, 1.0)) is np.ndarray
    equal(checkpoint(energy)(X), energy(X))


def test_one_array_as_two_arguments():
    x = Tensor(X)
    np.sum(checkpoint(lambda a, b: a * b**2)(x, x)).backward()
    close(x.grad, 3 * X**2)


# --- how often, and what is kept ----------------------------------------------------------------


def test_evaluated_once_and_once_more_for_each_sweep():
    f, x = Called(np.exp), Tensor(X)
    y = np.sum(checkpoint(f)(x))
    assert f.count == 1
    y.backward()
    assert f.count == 2
    y.backward()
    assert f.count == 3
    jvp(checkpoint(f), (X,), (V,))
    assert f.count == 5  # the value, and the value with its tangent


def test_many_rows_of_a_jacobian_share_one_evaluation():
    f = Called(lambda x: np.sin(x) @ W)
    close(jacobian(checkpoint(f))(X), (np.cos(X)[:, None] * W).T)
    assert f.count == 2


def deep(segment, x, segments):
    for _ in range(segments):
        x = segment(x)
    return np.sum(x)


def ten_steps(x):
    for _ in range(10):
        x = np.tanh(x * 1.01)
    return x


def kept_bytes(y):
    arrays = {}
    for node in history(y.node):
        values = node.value if isinstance(node.value, tuple) else [node.value]
        arrays |= {id(v): v for v in values if isinstance(v, np.ndarray)}
    return sum(v.nbytes for v in arrays.values())


def test_the_graph_keeps_arguments_and_results_only():
    x = Tensor(RNG.normal(size=1000))
    full, less = deep(ten_steps, x, 50), deep(checkpoint(ten_steps), x, 50)
    assert kept_bytes(full) == 8000 * (1 + 50 * 20)
    assert kept_bytes(less) == 8000 * (1 + 50)


def test_peak_memory_of_value_and_gradient():
    """Kept are 50 results, and one segment's inside: 20 arrays and what the sweep needs."""

    def peak(segment):
        x = Tensor(np.linspace(-1, 1, 10_000))
        tracemalloc.start()
        try:
            deep(segment, x, 50).backward()
            return tracemalloc.get_traced_memory()[1] / 80_000, x.grad
        finally:
            tracemalloc.stop()

    (full, expected), (less, found) = peak(ten_steps), peak(checkpoint(ten_steps))
    equal(found, expected)
    assert full > 1000
    assert less < 90


def test_the_graph_of_an_inner_derivative_is_not_held_by_the_outer():
    def alive():
        return sum(type(x) in (Node, Leaf) for x in gc.get_objects())

    slope = grad(lambda z, x: np.sum(np.exp(checkpoint(lambda z, x: z * x)(z * 2, x))))
    gc.collect()
    before, x = alive(), Tensor(X)
    y = slope(V, x)
    gc.collect()
    assert alive() - before == len(history(y.node))
    y.backward(X)
    close(x.grad, X * 2 * np.exp(2 * V * X) * (1 + 2 * V * X))


def test_deep_nesting():
    def nested(x, depth):
        return np.sin(x) if depth == 0 else checkpoint(lambda x: nested(x, depth - 1))(x) * 1.5

    x = Tensor(X)
    np.sum(nested(x, 12)).backward()
    close(x.grad, np.cos(X) * 1.5**12)


# --- closures -----------------------------------------------------------------------------------


def test_a_variable_that_is_not_given_is_an_error():
    w = Tensor(W, name="w")
    for x in (Tensor(X), X):
        with pytest.raises(TypeError, match=r"<lambda> uses a Tensor .*'w' float64 \(4, 3\).*pass"):
            checkpoint(lambda x: np.sum(x @ w))(x)
    with pytest.raises(TypeError, match="not given"):
        grad(lambda v: grad(lambda x: checkpoint(lambda x: x * v)(x * v))(3.0))(2.0)
    with pytest.raises(TypeError, match="uses a Batch"):
        vmap(lambda w: checkpoint(lambda x: x * w)(np.ones(3)))(X)
    with no_grad():
        equal(checkpoint(lambda x: x @ w)(Tensor(X)).data, X @ W)


def test_a_variable_of_a_transformation_around_may_be_used():
    """d/dw d/dx x²w = 2x, and so for a Dual or a Batch w."""

    def slope(w):
        return grad(lambda x: checkpoint(lambda x: x**2 * w)(x) ** 2 / 2)(3.0)  # 2x³w²

    assert grad(slope)(5.0) == pytest.approx(4 * 27 * 5)
    assert jvp(slope, (5.0,), (1.0,))[1] == pytest.approx(4 * 27 * 5)
    assert type(vmap(slope)(X)) is np.ndarray
    close(vmap(slope)(X), 54 * X**2)
    close(vmap(grad(slope))(X), 108 * X)
    w = Tensor(5.0)
    slope(w).backward()
    assert w.grad == pytest.approx(4 * 27 * 5)


def test_errors_of_the_function_are_its_own():
    class TwoPartsError(ValueError):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def f(x):
        raise TwoPartsError(1, 2)

    with pytest.raises(TwoPartsError, match="^1 and 2$"):
        checkpoint(f)(Tensor(X))


# --- what changes in between --------------------------------------------------------------------


def test_an_argument_written_in_between_is_noticed():
    x, frozen = Tensor(X.copy(), name="x"), Tensor(V.copy(), name="frozen")
    frozen.requires_grad = False
    for written in (x, frozen):
        y = np.sum(checkpoint(lambda a, b: a * b)(x, frozen))
        written.data[0] += 1
        with pytest.raises(RuntimeError, match=f"{written.name}.*written since"):
            y.backward()
    y = np.sum(checkpoint(lambda a, b: a * b)(x, frozen.data))
    frozen.data[0] += 1e-14  # no result would show it
    with pytest.raises(RuntimeError, match="written since"):
        y.backward()


def test_an_array_assigned_in_between_leaves_the_old_one():
    x = Tensor(X)
    y = np.sum(checkpoint(np.square)(x))
    x.data = V
    y.backward()
    close(x.grad, 2 * X)


@pytest.mark.parametrize(
    "differentiate", [lambda f: grad(f)(X), lambda f: jvp(f, (X,), (V,))], ids=["pull", "push"]
)
def test_a_function_that_changes_is_noticed(differentiate):
    rng = np.random.default_rng(1)
    with pytest.raises(RuntimeError, match="another result than the first time"):
        differentiate(checkpoint(lambda x: np.sum(x * rng.normal(size=4))))


def test_a_mode_switched_in_between_is_noticed():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh())
    x = Tensor(RNG.normal(size=(8, 4)).astype(np.float32))
    y = np.sum(checkpoint(model)(x))
    model.eval()
    with pytest.raises(RuntimeError, match="train, eval|another result"):
        y.backward()
    y = np.sum(checkpoint(model)(x))
    model.train()
    with pytest.raises(RuntimeError, match="draws more random numbers"):
        y.backward()


def test_not_a_number_is_the_same_again():
    x = Tensor(np.array([-1.0, 4.0, np.inf]))
    with np.errstate(invalid="ignore"):
        np.sum(checkpoint(np.sqrt)(x)).backward()
    assert x.grad[1] == 0.25


# --- no_grad ------------------------------------------------------------------------------------


def test_no_grad_around_and_inside():
    x = Tensor(X)
    with no_grad():
        assert not checkpoint(np.sin)(x).requires_grad
    y = np.sum(checkpoint(np.sin)(x))
    with no_grad():
        y.backward()
    close(x.grad, np.cos(X))

    def half(x):
        with no_grad():
            a = np.exp(x)
        return np.sum(a * x)

    close(grad(checkpoint(half))(X), np.exp(X))


# --- Modules, random draws and buffers ----------------------------------------------------------


def network():
    generator = np.random.default_rng(3)
    return nn.Sequential(
        nn.Linear(4, 6, generator=generator),
        nn.BatchNorm1d(6),
        nn.Tanh(),
        nn.Dropout(0.4),
        nn.Linear(6, 6, generator=generator),
        nn.Dropout(0.2, np.random.default_rng(5)),
        nn.BatchNorm1d(6),
    )


BATCH = RNG.normal(size=(8, 4)).astype(np.float32)


class Halves(nn.Module):
    """The network as two segments: a Module called, and a method of one."""

    def __init__(self, model):
        self.first, self.second = model[:4], model[4:]

    def tail(self, x):
        return self.second(x)

    def forward(self, x):
        return checkpoint(self.tail)(checkpoint(self.first)(x))


WAYS = {
    "the function": checkpoint,
    "an argument": lambda model: lambda x: checkpoint(lambda m, x: m(x))(model, x),
    "halves": Halves,
    "nested": lambda model: checkpoint(Halves(model)),
}


@pytest.mark.parametrize("way", WAYS)
def test_training_is_that_of_the_module_bit_for_bit(way):
    def train(wrap):
        seed(7)
        model = network()
        run, optimizer = wrap(model), optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.cross_entropy(run(BATCH), np.arange(8) % 6)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        after = [uniform(np.zeros(3)), model.layers[5].generator.random()]
        return losses, model.state_dict(), after

    (expected, state, after), (losses, found, later) = train(lambda model: model), train(WAYS[way])
    assert losses == expected
    assert len(set(losses)) == 5
    for name, value in state.items():
        equal(found[name], value)
    equal(later[0], after[0])
    assert later[1] == after[1]


def test_a_module_under_grad():
    def loss(run):
        return lambda model, x: nn.cross_entropy(run(model)(x), np.arange(8) % 6)

    def slopes(run):
        seed(1)
        return grad(loss(run))(network(), BATCH)

    expected, found = slopes(lambda model: model), slopes(checkpoint)
    for a, b in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        equal(a, b)


def test_frozen_parameters_get_no_gradient():
    model = nn.Linear(4, 2)
    model.bias.requires_grad = False
    np.sum(checkpoint(model)(BATCH)).backward()
    assert model.bias.grad is None
    close(model.weight.grad, np.tile(BATCH.sum(0), (2, 1)), 1e-5)


def test_draws_are_repeated_at_every_order_and_under_vmap():
    def noisy(x):
        return np.sum(np.sin(x * normal(x, generator=generator)) * uniform(x, generator=generator))

    def inner(x):
        return checkpoint(noisy)(x) * checkpoint(noisy)(x)

    def unchecked(x):
        return noisy(x) * noisy(x)

    def of_rows(derivative):
        return lambda f: lambda x: vmap(derivative(f))(np.stack([x, V]))

    for derivative in (*DERIVATIVES.values(), of_rows(grad), of_rows(hessian)):
        generator = np.random.default_rng(2)
        expected = derivative(unchecked)(X)
        state = generator.bit_generator.state
        for f in (inner, checkpoint(unchecked), checkpoint(inner)):
            generator = np.random.default_rng(2)
            close(derivative(f)(X), expected)
            assert generator.bit_generator.state == state


class Centered(nn.Module):
    """Reads its running mean before it moves it on."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(4))
        self.register_buffer("mean", np.zeros(4))

    def forward(self, x):
        y = (x - self.mean) ** 2 * self.scale
        for half in (x[:2], x[2:]):
            self.mean = self.mean + np.sum(stop_gradient(half), 0) / len(x)
        return y + self.mean


@pytest.mark.parametrize("run", [checkpoint, lambda m: checkpoint(lambda x: checkpoint(m)(x))])
def test_buffers_are_found_as_they_were_and_move_on_once(run):
    x, model = RNG.normal(size=(3, 4)), Centered()
    model.scale.requires_grad = False
    mean = np.zeros(4)
    for _ in range(3):
        given = Tensor(x)
        y = np.sum(run(model)(given))
        y.backward()
        y.backward()
        close(given.grad, 2 * 2 * (x - mean))
        mean = mean + x.mean(0)
        close(model.mean, mean)


def test_another_thread_goes_on_while_this_one_evaluates_again():
    model, generator = Centered(), np.random.default_rng(4)

    def elsewhere():
        model.mean = model.mean + 1
        uniform(np.zeros(2), generator=generator)

    def f(x):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return np.sum(x * 2)

    grad(checkpoint(f))(X)
    close(model.mean, 2)
    assert generator.random() == np.random.default_rng(4).random(5)[-1]


def test_counts_are_those_of_one_more_evaluation():
    once, unchecked = count_operations(energy, X), count_operations(grad(energy), X)
    found = count_operations(grad(checkpoint(energy)), X)
    assert found.to_dict() == (once + unchecked).to_dict()


def test_one_node_stands_for_the_function():
    y = checkpoint(ten_steps)(Tensor(X))
    names = [node.primitive.name for node in history(y.node) if type(node) is Node]
    assert names == ["pick", "checkpoint"]


def test_vjp_of_several_results():
    """y = (x², Σx): pulled is 2x·u + s."""
    _, pull = vjp(checkpoint(lambda x: (x**2, np.sum(x))), X)
    close(pull((V, 3.0))[0], 2 * X * V + 3)
