"""Optimizers in place: the formulas of `optim.rules`, what a step touches, and bad input."""

import gc
import tracemalloc

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor
from optim.executor import BLOCK

# --- the executor in place is the pure function --------------------------------------------------

KINDS = (
    "SGD", "Momentum", "Nesterov", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax",
    "NAdam", "Rprop", "Quickprop",
)  # fmt: skip
RULES = {kind: getattr(optim, kind.lower()) for kind in KINDS}
EACH = pytest.mark.parametrize("kind", KINDS)
HYPER = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.3}),
    ("Momentum", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3}),
    ("Nesterov", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.7, "eps": 1e-3, "weight_decay": 0.3}),
    ("Adagrad", {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.3}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.3}),
    ("Adadelta", {"lr": 1.0}),
    ("AdamW", {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.3}),
    ("NAdam", {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.3, "momentum_decay": 0.1}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (0.03, 0.2)}),
    ("Quickprop", {"lr": 0.1, "mu": 1.5, "weight_decay": 0.3}),
]
ARRAYS = {
    "a matrix": lambda: np.ones((3, 4)),
    "one block": lambda: np.ones(BLOCK),
    "one more than a block": lambda: np.ones(BLOCK + 1),
    "several blocks": lambda: np.ones((3, BLOCK)),
    "transposed": lambda: np.ones((5, 4)).T,
    "strided": lambda: np.ones((6, 8))[::2, ::-2],
    "large and transposed": lambda: np.ones((200, 170)).T,
    "0-d": lambda: np.array(1.0),
    "a number": lambda: 1.0,
    "one element": lambda: np.ones(1),
    "more than two threads' worth": lambda: np.ones((5, BLOCK + 7)),
    "nothing": lambda: np.ones((0, 3)),
    "float32": lambda: np.ones((3, 4), np.float32),
    "0-d float32": lambda: np.array(1.0, np.float32),
    "float32 transposed": lambda: np.ones((5, 4), np.float32).T,
}


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("kind, hyper", HYPER, ids=lambda x: str(x)[:50])
def test_in_place_is_the_pure_formula(kind, hyper, array):
    rng = np.random.default_rng(0)
    w = ARRAYS[array]()
    if isinstance(w, np.ndarray):
        w[...] = rng.normal(size=w.shape)
    p = Tensor(w)
    optimizer = getattr(optim, kind)([p], **hyper)
    expected, state = np.array(w), {}
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-12
    for _ in range(5):
        g = np.asarray(rng.normal(size=np.shape(w)), expected.dtype)
        p.grad = float(g) if type(w) is float else g
        optimizer.step()
        step, state = RULES[kind](g, state, expected, **hyper)
        expected = expected + step
        np.testing.assert_allclose(p.data, expected, rtol=tolerance, atol=tolerance)
    assert type(p.data) is float if type(w) is float else p.data.dtype == w.dtype
    assert np.shape(p.data) == np.shape(w)


@pytest.mark.parametrize(
    "kind, name, values",
    [
        *((kind, "betas", [(0.9, 0.99), (0.5, 0.99), (0.0, 0.6), (0.95, 0.0), (0.8, 0.999)])
          for kind in ("Adam", "AdamW", "Adamax", "NAdam")),
        ("RMSprop", "alpha", [0.9, 0.99, 0.0, 0.5, 0.5]),
        ("Adadelta", "rho", [0.9, 0.99, 0.0, 0.5, 0.5]),
    ],
)  # fmt: skip
def test_in_place_is_the_pure_formula_when_the_decay_of_an_average_changes(kind, name, values):
    """What has been averaged so far stays, whatever β the next step has."""
    rng = np.random.default_rng(0)
    expected, state = rng.normal(size=4), {}
    p = Tensor(expected.copy())
    optimizer = getattr(optim, kind)([p], lr=0.1)
    for value in values:
        optimizer.param_groups[0][name] = value
        p.grad = rng.normal(size=4)
        optimizer.step()
        step, state = RULES[kind](p.grad, state, expected, lr=0.1, **{name: value})
        expected = expected + step
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind, hyper", HYPER, ids=lambda x: str(x)[:50])
def test_a_gradients_memory_order_does_not_matter(kind, hyper):
    g = np.arange(12.0).reshape(3, 4)
    results = []
    for order in "CF":
        p = Tensor(np.ones((3, 4)))
        p.grad = np.array(g, order=order)
        getattr(optim, kind)([p], **hyper).step()
        results.append(p.data)
    assert np.array_equal(*results)


@EACH
def test_the_pure_formulas_change_nothing_in_place(kind):
    g, w = np.ones(3), np.ones(3)
    _, state = RULES[kind](g, {}, w, lr=0.1)
    before = {name: np.array(value) for name, value in state.items()}
    RULES[kind](g, state, w, lr=0.1)
    assert all(np.array_equal(state[name], before[name]) for name in state)
    assert np.all(g == 1) and np.all(w == 1)


@EACH
def test_float32_is_kept(kind):
    w = np.ones(3, np.float32)
    g = np.array([1, -2, 0], np.float32)
    state, p = {}, Tensor(w)
    optimizer = getattr(optim, kind)([p], lr=0.1)
    for _ in range(3):
        step, state = RULES[kind](g, state, w, lr=0.1)
        assert step.dtype == np.float32
        p.grad = g
        optimizer.step()
    for found in (state, optimizer.state[0]):
        assert all(v.dtype == np.float32 for v in found.values() if hasattr(v, "dtype"))
    assert p.dtype == np.float32


def test_adams_first_step_is_the_learning_rate_whatever_the_gradients_size():
    p = Tensor(np.zeros(3))
    p.grad = np.array([1e-3, 1.0, -1e6])
    optim.Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.data, [-0.1, -0.1, 0.1], rtol=1e-4)


def test_sgd_is_gradient_descent():
    p = Tensor([1.0, 2.0])
    p.grad = np.array([0.5, -1.0])
    optim.SGD([p], lr=0.1).step()
    assert p.data.tolist() == [1.0 - 0.05, 2.0 + 0.1]


def test_a_learning_rate_set_between_steps_counts():
    for kind in (optim.SGD, optim.Adam):
        p = Tensor([1.0])
        optimizer = kind([p], lr=0.1)
        p.grad = np.array([1.0])
        optimizer.step()
        before = p.data.copy()
        optimizer.lr = 0.0
        optimizer.step()
        assert p.data == before


# --- what a step touches -------------------------------------------------------------------------

MAKERS = [
    lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda ps: optim.Adam(ps, lr=0.1, weight_decay=0.1),
]
BOTH = pytest.mark.parametrize("make", MAKERS, ids=["SGD", "Adam"])


@BOTH
def test_a_step_writes_into_the_same_array(make):
    array = np.ones(3)
    p = Tensor(array)
    optimizer = make([p])
    p.grad = np.ones(3)
    optimizer.step()
    assert np.shares_memory(p.data, array)
    assert np.all(array < 1)


@BOTH
def test_a_step_leaves_the_gradient(make):
    p = Tensor(np.ones(3))
    p.grad = g = np.array([1.0, 2.0, 3.0])
    make([p]).step()
    assert p.grad is g and g.tolist() == [1, 2, 3]


@BOTH
def test_parameters_without_a_gradient_are_skipped(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad = np.array([1.0])
    optimizer.step()
    assert a.data[0] < 1 and b.data[0] == 1


@BOTH
def test_a_late_gradient_begins_its_own_count(make):
    """A parameter whose first gradient comes at step 3 moves as at its step 1."""
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad = np.array([1.0])
    optimizer.step()
    after_one = a.data[0]
    optimizer.step()
    b.grad = np.array([1.0])
    optimizer.step()
    assert b.data[0] == after_one


@BOTH
def test_frozen_parameters_stay(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad, b.grad = np.array([1.0]), np.array([1.0])
    b.requires_grad = False
    optimizer.step()
    assert a.data[0] < 1 and b.data[0] == 1
    b.requires_grad = True
    optimizer.step()
    assert b.data[0] < 1


@pytest.mark.parametrize("hyper", [{}, {"betas": (0.0, 0.0)}, {"eps": 1e-30}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_gradients_never_give_nan(hyper, dtype):
    p = Tensor(np.array([1.0, 2.0], dtype))
    optimizer = optim.Adam([p], lr=0.1, **hyper)
    for _ in range(3):
        p.grad = np.array([0.0, 1.0], dtype)
        optimizer.step()
    assert p.data[0] == 1 and p.data[1] < 2


def test_adam_needs_an_eps_that_zero_gradients_can_be_divided_by():
    with pytest.raises(ValueError, match="Adam: eps must be a number > 0, at least 1e-30, not 0"):
        optim.Adam([Tensor(1.0)], eps=0.0)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_gradients_stand_still(kind, dtype):
    """Each with its smallest denominator; AdamW's decay is no gradient's."""
    hyper = {"eps": 1e-30} if "eps" in getattr(optim, kind)([Tensor(1.0)]).hyper else {}
    p = Tensor(np.array([1.0, 2.0], dtype))
    optimizer = getattr(optim, kind)([p], lr=0.1, **hyper)
    for first in (0.0, 0.0, 1.0, 0.0, 0.0, 0.0):
        p.grad = np.array([0.0, first], dtype)
        optimizer.step()
    assert p.data[0] == (pytest.approx(0.999**6) if kind == "AdamW" else 1)
    assert np.isfinite(p.data[1])


@BOTH
def test_a_learning_rate_of_zero_is_allowed(make):
    p = Tensor([1.0])
    p.grad = np.ones(1)
    optimizer = make([p])
    optimizer.lr = 0.0
    optimizer.step()
    assert p.data[0] == 1
    assert type(optimizer)([p], lr=0).lr == 0


def test_zero_grad_forgets_all_gradients():
    a, b = Tensor([1.0]), Tensor(2.0)
    optimizer = optim.SGD([a, b])
    (np.sum(a) * b).backward()
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


@BOTH
def test_a_generator_of_parameters_will_do(make):
    layer = nn.Linear(2, 1)
    optimizer = make(p for p in layer.parameters())
    assert len(optimizer.params) == 2


@BOTH
def test_data_replaced_between_steps_is_what_the_next_step_moves(make):
    p = Tensor([1.0])
    optimizer = make([p])
    p.grad = np.ones(1)
    optimizer.step()
    p.data = np.array([10.0])
    p.grad = np.ones(1)
    optimizer.step()
    assert 9 < p.data[0] < 10


@BOTH
def test_a_graph_recorded_before_the_step_refuses_backward(make):
    w = Tensor([1.0, 2.0], name="weights")
    x = Tensor([3.0, 4.0])
    y = np.sum(w * x)
    w.grad = np.ones(2)
    make([w]).step()
    with pytest.raises(RuntimeError, match="weights.*written"):
        y.backward()
    assert x.grad is None and w.grad.tolist() == [1, 1]
    np.sum(w * x).backward()


@BOTH
def test_a_graph_that_does_not_read_the_weights_is_walked_after_the_step(make):
    w, x = Tensor([1.0, 2.0]), np.array([3.0, 4.0])
    y = np.sum(w * x + 1)
    w.grad = np.zeros(2)
    make([w]).step()
    y.backward()
    assert w.grad.tolist() == [3, 4]


@BOTH
@pytest.mark.parametrize("data", [2.0, np.array(2.0)], ids=["a number", "0-d"])
def test_a_graph_recorded_before_the_step_of_one_number_keeps_the_old_number(make, data):
    w, x = Tensor(data), Tensor(3.0)
    y = w * x
    w.grad = 1.0
    make([w]).step()
    assert w.data < 2
    y.backward()
    assert x.grad == 2.0


@BOTH
def test_two_optimizers_share_nothing(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    first, second = make([a]), make([b])
    a.grad = b.grad = np.ones(1)
    first.step()
    first.step()
    second.step()
    first_of_b = b.data[0]
    c = Tensor([1.0])
    c.grad = np.ones(1)
    make([c]).step()
    assert first_of_b == c.data[0]


@EACH
def test_steps_allocate_nothing_in_the_steady_state(kind):
    """Three arrays of 800 kB: the peak above the start stays below a twentieth of one."""
    ps = [Tensor(np.ones(100_000)) for _ in range(3)]
    for p in ps:
        p.grad = np.ones(100_000)
    optimizer = getattr(optim, kind)(ps, lr=0.1)
    optimizer.step()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            optimizer.step()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 40_000
    assert after - before < 40_000


def test_training_a_model_lowers_the_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    for make in (lambda p: optim.SGD(p, lr=0.3, momentum=0.9), lambda p: optim.Adam(p, lr=0.03)):
        model = nn.Sequential(
            nn.Linear(2, 16, generator=rng), nn.Tanh(), nn.Linear(16, 2, generator=rng)
        )
        optimizer = make(model.parameters())
        for _ in range(150):
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.15
        assert all(p.dtype == np.float32 for p in model.parameters())


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
@pytest.mark.parametrize(
    "params, error, message",
    [
        ([], ValueError, r"no parameters to optimize; pass model.parameters\(\)"),
        ([np.ones(2)], TypeError, "parameter 0 is (an? )?ndarray"),
        ([Tensor(1.0), "w"], TypeError, "parameter 1 is (an? )?str"),
        ([Tensor(1.0), None], TypeError, "parameter 1 is (an? )?NoneType"),
    ],
)
def test_parameters_must_be_tensors(kind, params, error, message):
    with pytest.raises(error, match=f"{kind.__name__}: {message}"):
        kind(params)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_one_tensor_instead_of_a_list_is_refused(kind):
    """Iterating over it would optimize its rows, which are results and not variables."""
    with pytest.raises(TypeError, match=rf"{kind.__name__}.*list"):
        kind(Tensor(np.ones((2, 2))))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_module_instead_of_its_parameters_is_refused(kind):
    with pytest.raises(TypeError, match=rf"{kind.__name__}.*parameters\(\)"):
        kind(nn.Linear(2, 1))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_results_are_no_parameters(kind):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}: parameter 1"):
        kind([Tensor(1.0), Tensor(1.0) * 2])


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_parameter_given_twice_is_refused(kind):
    p = Tensor(1.0)
    with pytest.raises(ValueError, match=f"{kind.__name__}: a parameter is given more than once"):
        kind([p, p])


BAD = {
    ("SGD", "lr"): [-0.1, np.nan, "0.1", None],
    ("SGD", "momentum"): [-0.1, 1.0, 1.5, np.nan, "0.9"],
    ("SGD", "weight_decay"): [-0.1, np.nan, "0.1", None],
    ("Adam", "lr"): [-0.1, np.nan, "0.1", None],
    ("Adam", "betas"): [(0.9, 1.0), (-0.1, 0.9), (0.9,), (0.9, 0.9, 0.9), ("a", "b"), 0.9],
    ("Adam", "eps"): [-0.1, np.nan, "0.1", None],
    ("Adam", "weight_decay"): [-0.1, np.nan, "0.1", None],
}
RANGE = {
    "lr": "a finite number >= 0",
    "momentum": "in [0, 1)",
    "betas": "two numbers in [0, 1)",
    "eps": "a number > 0, at least 1e-30",
    "weight_decay": "a finite number >= 0",
}


@pytest.mark.parametrize(
    "kind, name, value", [(*setting, value) for setting in BAD for value in BAD[setting]], ids=str
)
def test_settings_outside_their_range_are_refused(kind, name, value):
    p = Tensor([1.0])
    with pytest.raises(ValueError) as caught:
        getattr(optim, kind)([p], **{name: value})
    assert str(caught.value).startswith(f"{kind}: {name} must be {RANGE[name]}")
    assert str(caught.value).endswith(f", not {value!r}")
    assert p.data.tolist() == [1.0] and p.grad is None and p.requires_grad


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValueError, match="SGD: nesterov=True needs a momentum"):
        optim.SGD([Tensor(1.0)], nesterov=True)


@BOTH
def test_a_gradient_of_another_shape_is_refused(make):
    p = Tensor(np.ones(3))
    optimizer = make([p])
    with pytest.raises(ValueError, match=r"\(4,\)"):
        p.grad = np.ones(4)
    optimizer.step()
    assert np.all(p.data == 1)


def test_repr_shows_settings_and_sizes():
    model = nn.Linear(1000, 2)
    assert repr(optim.SGD(model.parameters(), lr=0.5)) == (
        "SGD(lr=0.5, momentum=0.0, weight_decay=0.0, nesterov=False; 2,002 numbers in 2 arrays)"
    )


@BOTH
def test_a_parameter_of_another_shape_stops_the_step_before_anything_changes(make):
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    optimizer = make([a, b])
    for p in (a, b):
        p.grad = np.ones(2)
    optimizer.step()
    b.data = np.ones(3)
    a.grad, b.grad = np.ones(2), np.ones(3)
    before, steps = a.data.copy(), [s["step"] for s in optimizer.state]
    with pytest.raises(ValueError, match=r"had shape \(2,\) and has \(3,\) now"):
        optimizer.step()
    np.testing.assert_array_equal(a.data, before)
    assert [s["step"] for s in optimizer.state] == steps
