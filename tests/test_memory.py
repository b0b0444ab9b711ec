"""What is kept and what is shared: freeing, depth, and memory of gradients."""

import gc
import time
import weakref
from contextlib import contextmanager

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, general, grad, gradients, no_grad
from autograd.graph import Leaf, Node, history
from autograd.primitive import registry


def alive():
    """How many nodes of graphs there are."""
    return sum(type(x) in (Node, Leaf) for x in gc.get_objects())


@contextmanager
def counting_alone():
    """Reference counting only: the garbage collector is off within."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# --- graphs die by reference counting ----------------------------------------------------------

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(3, 3)) + 3 * np.eye(3), RNG.normal(size=(3, 3))


def train():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.2))
    optimizer = optim.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        nn.cross_entropy(model(np.ones((5, 3), np.float32)), np.zeros(5, int)).backward()
        optimizer.step()


def assign():
    x = Tensor(A)
    x[0] = x[1] * 2
    np.sum(x * x).backward()


def second_order():
    x = Tensor(A)
    slopes = gradients(np.sum(np.exp(x) @ x), x, record=True)
    gradients(np.sum(slopes * slopes), x)


def nested():
    autograd.hessian(lambda x: np.sum(np.linalg.inv(x) ** 2))(A)


def containers():
    grad(lambda p: np.sum(p["w"] @ p["b"][0]))({"w": A, "b": [B[0]]})


def module_as_argument():
    grad(lambda m: np.sum(m(A.astype(np.float32))))(nn.Sequential(nn.Linear(3, 2), nn.Tanh()))


def pulled_repeatedly():
    _, pull = autograd.vjp(lambda a, b: (a @ b, a + b), A, B)
    pull((A, B))
    pull((B, A))


def tuples():
    x = Tensor(A)
    sign, log = np.linalg.slogdet(x)
    first, second = np.split(x, [1])
    (log + np.sum(first) + np.sum(second)).backward()


def failures():
    x = Tensor(A, name="x")
    y = np.sum(x * x)
    x.data[...] = 0
    for call in (lambda: y.backward(), lambda: (x * 2).backward(), lambda: x @ np.ones(7)):
        with pytest.raises((RuntimeError, ValueError)):
            call()


def many_reads():
    x = Tensor(A)
    np.sum(np.stack([row @ row for row in x])).backward()


PROGRAMS = [
    train, assign, second_order, nested, containers, module_as_argument, pulled_repeatedly,
    tuples, failures, many_reads,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_nothing_of_a_graph_is_left_without_the_collector(program):
    program()  # what is made once, on first use, stays
    with counting_alone():
        before = alive()
        program()
        assert alive() == before


def test_the_collector_finds_no_cycles():
    """Recording, walking and differentiating makes no garbage for it, nodes or anything else."""

    def program():
        x, w = Tensor(A, name="x"), Tensor(B)
        y = np.sum(np.tanh(x @ w) * x[0])
        y.backward()
        gradients(y, [x, w], record=True)
        with no_grad():
            x -= 0.1 * x.grad
        autograd.jacobian(np.sin)(A[0])
        grad(grad(lambda x: x**3))(2.0)

    program()
    with counting_alone():
        program()
        assert gc.collect() == 0


def test_intermediates_die_as_soon_as_they_are_not_needed():
    x = Tensor(np.ones(1000))
    with counting_alone():
        y = np.exp(x)
        value = weakref.ref(y.node.value)
        z = y * 2.0
        del y
        assert value() is not None  # the derivative of exp reads it
        del z
        assert value() is None


def test_values_without_history_die_at_once():
    x = Tensor(np.ones(10))
    with counting_alone(), no_grad():
        before = alive()
        y = x
        for _ in range(100):
            y = y * 1.01 + 1.0
        assert alive() - before <= 2


def test_a_walk_leaves_nothing_in_the_graph():
    """Cotangents belong to the call: after backward the graph holds what it held before."""
    x = Tensor(np.ones(100))
    y = x
    for _ in range(50):
        y = np.sin(y)
    y = np.sum(y)
    with counting_alone():
        before = len(gc.get_objects())
        y.backward()
        x.grad = None
        assert len(gc.get_objects()) - before < 10


# --- depth -------------------------------------------------------------------------------------


def deep(n, step):
    """CPU seconds to record a chain of n steps, to walk it and to free it."""
    x = Tensor(1.0)
    start = time.process_time()
    y = x
    for _ in range(n):
        y = step(y)
    y.backward()
    assert x.grad == 1.0
    del y
    return time.process_time() - start


def test_a_million_steps_in_linear_time():
    with counting_alone():
        before = alive()
        small = min(deep(200_000, lambda y: y + 1.0) for _ in range(2))
        large = deep(1_000_000, lambda y: y + 1.0)
        assert alive() == before
    assert large < 5 * small * 2.5


def test_a_deep_chain_of_arrays_is_freed_without_recursion():
    x = Tensor(np.ones(2))
    y = x
    for _ in range(100_000):
        y = np.negative(y)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [1, 1])
    del y


def test_a_deep_chain_is_differentiated_twice():
    """A recorded gradient is as deep, and is walked and freed alike."""
    x = Tensor(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0 + x * 0.0
    slope = gradients(y * y, x, record=True)
    assert gradients(slope, x) == 2.0


def test_writes_do_not_make_an_older_graph_slow_to_walk():
    """A graph recorded before many writes is walked in the time of its nodes."""
    x, others = Tensor(1.0), [Tensor(np.ones(2)) for _ in range(900)]
    y = x
    for _ in range(10_000):
        y = y * 1.0 + x
    start = time.process_time()
    gradients(y, x)
    before = time.process_time() - start
    for other in others:
        other.data[...] = 0.0
    start = time.process_time()
    gradients(y, x)
    assert time.process_time() - start < 5 * before + 0.1


def test_writes_do_not_make_an_older_graph_of_arrays_slow_to_walk():
    x, others = Tensor(np.ones(2)), [Tensor(np.ones(2)) for _ in range(900)]
    y = x
    for _ in range(3000):
        y = y * x
    start = time.process_time()
    gradients(y, x, seed=np.ones(2))
    before = time.process_time() - start
    for other in others:
        other.data[...] = 0.0
    start = time.process_time()
    gradients(y, x, seed=np.ones(2))
    assert time.process_time() - start < 10 * before + 0.1


def test_a_deep_chain_of_assignments():
    x = Tensor(np.ones(2))
    t = x * 1.0
    for _ in range(20_000):
        t[0] = t[1]
    np.sum(t).backward()
    np.testing.assert_array_equal(x.grad, [0, 2])


def test_an_assigned_input_finds_its_gradient_at_any_depth():
    x = Tensor(np.ones(2))
    for _ in range(20_000):
        x[0] = 1.0
    np.sum(x).backward()
    np.testing.assert_array_equal(x.grad, [0, 1])


def test_a_graph_that_doubles_its_paths_is_walked_once():
    """2^200 paths, 200 nodes."""
    x = Tensor(1.0)
    y = x
    for _ in range(200):
        y = y + y
    y.backward()
    assert x.grad == 2.0**200


def test_a_gradient_by_way_of_many_reads_is_linear():
    """Reading x element by element makes one scatter, not one array a read."""
    n = 2000
    x = Tensor(np.ones(n))
    total = 0.0
    for i in range(n):
        total = total + x[i] * 2.0
    slope = gradients(total * total, x, record=True)
    names = [node.primitive.name for node in history(slope.node) if node.primitive]
    assert names.count("scatter") == 1
    np.testing.assert_allclose(slope.data, 2 * 2 * n * 2)


# --- gradients: doubled exactly, shared with nothing -------------------------------------------

VECTOR, MATRIX = np.array([1.0, 2.0, 3.0]), np.arange(6.0).reshape(2, 3) + 1


def both(f, *arrays):
    """A case: a function of several Tensors, and their values."""
    return f, arrays


SHAPES = {
    "identity": both(lambda x: x, VECTOR),
    "sum of two": both(lambda x, z: x + z, VECTOR, VECTOR),
    "difference": both(lambda x, z: x - z, VECTOR, VECTOR),
    "x + x": both(lambda x: x + x, VECTOR),
    "three at once": both(lambda x, y, z: x + y + z, VECTOR, VECTOR, VECTOR),
    "positive": both(lambda x: +x, VECTOR),
    "product": both(lambda x, z: x * z, VECTOR, VECTOR),
    "square": both(lambda x: x * x, VECTOR),
    "times one": both(lambda x: x * 1.0, VECTOR),
    "reshape": both(lambda x: x.reshape(3, 2), MATRIX),
    "ravel": both(lambda x: np.ravel(x), MATRIX),
    "transpose": both(lambda x: x.T, MATRIX),
    "two transposes": both(lambda x: x.T.T, MATRIX),
    "swapaxes": both(lambda x: np.swapaxes(x, 0, 1), MATRIX),
    "moveaxis": both(lambda x: np.moveaxis(x, 0, 1), MATRIX),
    "expand_dims": both(lambda x: np.expand_dims(x, 0), VECTOR),
    "squeeze": both(lambda x: np.squeeze(x), MATRIX[:1]),
    "flip": both(lambda x: np.flip(x), VECTOR),
    "broadcast_to": both(lambda x: np.broadcast_to(x, (2, 3)), VECTOR),
    "broadcast": both(lambda x, z: x + z, VECTOR, MATRIX),
    "broadcast number": both(lambda x, z: x + z, np.array(2.0), VECTOR),
    "sum": both(lambda x: np.sum(x), MATRIX),
    "sum of an axis": both(lambda x: x.sum(axis=0), MATRIX),
    "mean": both(lambda x: np.mean(x, axis=1), MATRIX),
    "diagonal": both(lambda x: np.diagonal(x), np.eye(3)),
    "all of it by index": both(lambda x: x[...], VECTOR),
    "slice": both(lambda x: x[1:], VECTOR),
    "None": both(lambda x: x[None], VECTOR),
    "split": both(lambda x: np.split(x, 1)[0], VECTOR),
    "split and joined": both(lambda x: np.concatenate(np.split(x, 3)), VECTOR),
    "concatenate": both(lambda x, z: np.concatenate([x, z]), VECTOR, VECTOR),
    "stack": both(lambda x, z: np.stack([x, z]), VECTOR, VECTOR),
    "stack of one": both(lambda x: np.stack([x]), VECTOR),
    "where": both(lambda x, z: np.where([True, False, True], x, z), VECTOR, VECTOR),
    "where all": both(lambda x: np.where(True, x, 0.0), VECTOR),
    "maximum": both(lambda x, z: np.maximum(x, z), VECTOR, 2 * VECTOR),
    "dot": both(lambda x, z: x @ z, VECTOR, VECTOR),
    "matrix product": both(lambda x, z: x @ z, MATRIX, MATRIX.T),
    "outer": both(lambda x, z: np.outer(x, z), VECTOR, VECTOR),
    "einsum": both(lambda x, z: np.einsum("ij->ji", x) + np.einsum("i->i", z)[0], MATRIX, VECTOR),
    "assignment": both(lambda x, z: assigned(x, z), MATRIX, VECTOR),
    "astype": both(lambda x: x.astype(np.float64), VECTOR),
    "copy": both(lambda x: np.copy(x), VECTOR),
    "linear": both(lambda x, b: nn.functional.linear(x, np.eye(3), b), VECTOR, VECTOR),
    "exp": both(lambda x: np.exp(x), VECTOR),
    "clip": both(lambda x: np.clip(x, -9.0, 9.0), VECTOR),
    "meshgrid": both(lambda x, z: np.add(*np.meshgrid(x, z)), VECTOR, VECTOR),
    "atleast_2d": both(lambda x: np.atleast_2d(x), VECTOR),
}  # fmt: skip


def assigned(x, z):
    t = x * 1.0
    t[0] = z
    return t


def unshared(arrays):
    """Assert that no two of these share memory."""
    arrays = [np.asarray(a) for a in arrays]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)


def recorded(case):
    f, arrays = SHAPES[case]
    xs = [Tensor(a.copy()) for a in arrays]
    y = f(*xs)
    return xs, y, np.random.default_rng(0).normal(size=y.shape)


@pytest.mark.parametrize("case", SHAPES)
def test_gradients_share_memory_with_nothing(case):
    xs, y, seed = recorded(case)
    y.backward(seed)
    unshared([seed, *(x.grad for x in xs), *(x.data for x in xs)])
    for x in xs:
        assert x.grad.flags.writeable and type(x.grad) is np.ndarray
        assert not np.shares_memory(x.grad, y.data)
        x.grad *= 2  # as a user may


@pytest.mark.parametrize("case", SHAPES)
def test_two_backward_calls_exactly_double(case):
    xs, y, seed = recorded(case)
    y.backward(seed)
    first = [x.grad.copy() for x in xs]
    y.backward(seed)
    for x, g in zip(xs, first, strict=True):
        np.testing.assert_array_equal(x.grad, 2 * g)


@pytest.mark.parametrize("case", SHAPES)
def test_gradients_of_everything_in_a_graph_share_memory_with_nothing(case):
    """Also of interior results and of the output itself."""
    xs, y, seed = recorded(case)
    inner = [x * 1.0 for x in xs]
    y = SHAPES[case][0](*inner)
    z = y + 0.0
    wanted = [*xs, *inner, y, z]
    found = gradients(z, wanted, seed=seed)
    values = [x.node.value for x in xs]
    unshared([seed, *found])
    for g in found:
        assert not any(np.shares_memory(g, v) for v in values)


def test_gradients_asked_for_twice_share_nothing():
    x, z = Tensor(VECTOR.copy()), Tensor(VECTOR.copy())
    unshared(gradients(x * z, [x, z, x], seed=np.ones(3)))


@pytest.mark.parametrize("case", SHAPES)
def test_results_of_vjp_share_memory_with_nothing(case):
    f, arrays = SHAPES[case]
    arrays = [a.copy() for a in arrays]
    y, pull = autograd.vjp(f, *arrays)
    seed = np.ones(np.shape(y))
    first, second = pull(seed), pull(seed)
    unshared([seed, *first, *second, *arrays])


@pytest.mark.parametrize("case", ["reshape", "transpose", "sum of two", "identity", "flip"])
def test_a_tensors_data_as_seed_is_not_shared(case):
    xs, y, seed = recorded(case)
    seed = Tensor(seed)
    y.backward(seed.data)
    unshared([seed.data, *(x.grad for x in xs)])
    assert all(type(x.grad) is np.ndarray for x in xs)


def test_the_data_as_seed_is_not_shared():
    x = Tensor(VECTOR.copy())
    (x + 0.0).backward(x.node.value)
    unshared([x.grad, x.data])
    (x.T.T).backward(x.data)
    np.testing.assert_array_equal(x.grad, 2 * VECTOR)


def test_an_operation_of_several_results_gives_each_argument_a_gradient_of_its_own():
    operation = general(
        lambda a, b: (a + b, a - b),
        (lambda g, y, a, b: g[0], lambda g, y, a, b: g[0]),
        outputs=True,
        name="shares_its_cotangent",
    )
    try:
        a, b = Tensor(VECTOR.copy()), Tensor(VECTOR.copy())
        first, _ = operation(a, b)
        (first * 2.0).backward(np.ones(3))
        unshared([a.grad, b.grad])
    finally:
        del registry[operation.function]


def test_one_array_answered_for_several_arguments_is_not_shared():
    operation = general(
        lambda *xs: 2.0 * sum(xs),
        lambda wanted, g, y, *xs: [2.0 * g] * len(wanted),
        variadic=True,
        name="answers_with_one_array",
    )
    try:
        a, b = Tensor(VECTOR.copy()), Tensor(VECTOR.copy())
        y = operation(a, b)
        unshared(gradients(y, [a, b], seed=np.ones(3)))
        y.backward(np.ones(3))
        unshared([a.grad, b.grad])
    finally:
        del registry[operation.function]


def test_an_argument_answered_as_its_gradient_is_not_shared():
    """A rule may answer with an argument itself, as one that spares the factor 1 would."""
    operation = general(
        lambda a, b: a * b,
        (lambda g, y, a, b: b, lambda g, y, a, b: a),
        name="answers_with_its_arguments",
    )
    try:
        a, b = Tensor(VECTOR.copy()), Tensor(VECTOR.copy())
        operation(a, b).backward(np.ones(3))
        unshared([a.grad, b.grad, a.data, b.data])
    finally:
        del registry[operation.function]


def test_accumulated_gradients_do_not_share():
    x, z = Tensor(VECTOR.copy()), Tensor(VECTOR.copy())
    seed = np.ones(3)
    for _ in range(3):
        (x + z).backward(seed)
        unshared([x.grad, z.grad, seed])
    np.testing.assert_array_equal(x.grad, [3, 3, 3])


def test_an_earlier_gradient_is_not_written():
    """What a user took from .grad stays what it was."""
    x = Tensor(VECTOR.copy())
    np.sum(x * x).backward()
    taken = x.grad
    np.sum(x * x).backward()
    np.testing.assert_array_equal(taken, 2 * VECTOR)


def test_gradients_of_a_module_share_memory_with_nothing():
    class Sums(nn.Module):
        def __init__(self):
            self.a = nn.Parameter(MATRIX.copy())
            self.b = nn.Parameter(MATRIX.copy())
            self.c = nn.Parameter(MATRIX.T.copy())
            self.parts = [nn.Parameter(MATRIX.copy())]

        def forward(self):
            return self.a + self.b + self.c.T + self.parts[0]

    model = Sums()
    found, _ = autograd.tree.flatten(grad(lambda m: np.sum(m()))(model))
    unshared([*found, *(p.data for p in model.parameters())])
    model().backward(np.ones((2, 3)))
    unshared([p.grad for p in model.parameters()] + [p.data for p in model.parameters()])


def test_deepcopies_and_states_share_nothing():
    model = nn.Linear(2, 2)
    state = model.state_dict()
    unshared([*state.values(), *(p.data for p in model.parameters())])
