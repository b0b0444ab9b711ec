"""Parameter groups, saved state, copies and blocks of optimizers."""

import copy
import pickle

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor
from optim import executor
from optim.executor import BLOCK

KINDS = (
    "SGD", "Momentum", "Nesterov", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax",
    "NAdam", "Rprop", "Quickprop",
)  # fmt: skip
EACH = pytest.mark.parametrize("kind", KINDS)


def stepped(optimizer, gradients):
    for g in gradients:
        for p in optimizer.params:
            p.grad = np.full(p.shape, g)
        optimizer.step()
    return [np.array(p.data) for p in optimizer.params]


# --- groups -------------------------------------------------------------------------------------


def test_groups_have_settings_of_their_own():
    """As two optimizers; PyTorch's list of dicts."""
    a, b, c, d = (Tensor([1.0, 2.0]) for _ in range(4))
    both = optim.SGD(
        [{"params": [a]}, {"params": b, "lr": 0.5, "weight_decay": 0.1, "momentum": 0.5}],
        lr=0.1,
    )
    moved = stepped(both, [1.0, -0.5, 2.0])
    first = stepped(optim.SGD([c], lr=0.1), [1.0, -0.5, 2.0])
    second = stepped(optim.SGD([d], lr=0.5, weight_decay=0.1, momentum=0.5), [1.0, -0.5, 2.0])
    np.testing.assert_array_equal(moved, first + second)


def test_decoupled_decay_goes_by_the_groups_own_rate():
    """Without a gradient's step, Adam's is 0: w ← w - ηλw with the η of the group."""
    p = Tensor([2.0])
    optimizer = optim.AdamW([{"params": p, "lr": 0.5}], lr=0.1, weight_decay=0.1)
    assert stepped(optimizer, [0.0])[0] == pytest.approx(2 * (1 - 0.5 * 0.1))


def test_groups_by_a_predicate_take_the_first_rule_that_holds():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    groups = optim.group_parameters(
        model.named_parameters(),
        (lambda name, p: p.ndim == 1, {"weight_decay": 0.0}),
        (lambda name, p: name.startswith("layers.0"), {"lr": 0.01}),
    )
    optimizer = optim.AdamW(groups, lr=0.1)
    assert [[p.shape for p in group["params"]] for group in optimizer.param_groups] == [
        [(3,), (1,)], [(3, 2)], [(1, 3)],
    ]  # fmt: skip
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (0.1, 0.0), (0.01, 0.01), (0.1, 0.01),
    ]  # fmt: skip
    assert "in 3 groups" in repr(optimizer)


def test_the_optimizers_rate_is_that_of_the_groups_without_one():
    a, b = Tensor([0.0]), Tensor([0.0])
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    optimizer.lr = 0.2
    assert [g["lr"] for g in optimizer.param_groups] == [0.2, 0.5]
    optimizer.param_groups[0]["lr"] = 0.3  # as in PyTorch: from now on the group's own
    optimizer.lr = 0.4
    assert np.ravel(stepped(optimizer, [-1.0])).tolist() == [0.3, 0.5]


@pytest.mark.parametrize(
    "groups, error, message",
    [
        ([{"params": [Tensor(1.0)], "beta": 1}], ValueError, "group 0 sets 'beta'; there are lr"),
        ([{"params": [Tensor(1.0)], "lr": -1}], ValueError, "lr must be a finite number >= 0"),
        ([{"params": [Tensor(1.0)]}, Tensor(1.0)], TypeError, "group 1 is no dict"),
        ([{"lr": 0.1}], TypeError, 'group 0 is no dict with the key "params"'),
        ([{"params": []}], ValueError, "no parameters"),
        ([{"params": [1.0]}], TypeError, "parameter 0 is a float"),
    ],
)
def test_bad_groups_are_refused(groups, error, message):
    with pytest.raises(error, match=f"SGD: .*{message}"):
        optim.SGD(groups)


def test_a_parameter_in_two_groups_is_refused():
    p = Tensor(1.0)
    with pytest.raises(ValueError, match="more than once"):
        optim.SGD([{"params": [p]}, {"params": [p]}])


def test_a_rule_that_takes_nothing_is_refused():
    named = nn.Linear(2, 1).named_parameters()
    with pytest.raises(ValueError, match="rule 0 takes no parameter"):
        optim.group_parameters(named, (lambda name, p: name == "wieght", {"lr": 1.0}))


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, None])
def test_a_bad_rate_is_refused_when_set(value):
    optimizer = optim.SGD([Tensor(1.0)], lr=0.1)
    with pytest.raises(ValueError, match="SGD: lr must be"):
        optimizer.lr = value
    assert optimizer.lr == 0.1


SETTINGS = [
    ("RMSprop", "alpha", 1.0), ("Adadelta", "rho", -0.1), ("NAdam", "momentum_decay", -1.0),
    ("Rprop", "etas", (0.5, 0.9)), ("Rprop", "etas", (0.0, 1.2)), ("Rprop", "etas", 0.5),
    ("Rprop", "step_sizes", (1.0, 0.1)), ("Rprop", "step_sizes", (0.0, 0.1)),
    ("Quickprop", "mu", 0.0), ("SGD", "nesterov", "yes"), ("Momentum", "momentum", 1.0),
    ("AdamW", "weight_decay", np.inf), ("Adamax", "betas", (1.0, 0.5)), ("Adagrad", "eps", 1e-40),
]  # fmt: skip


@pytest.mark.parametrize("kind, name, value", SETTINGS, ids=str)
def test_settings_outside_their_range_are_refused(kind, name, value):
    momentum = {"momentum": 0.5} if name == "nesterov" else {}
    with pytest.raises(ValueError, match=f"{kind}: {name} must be .*, not"):
        getattr(optim, kind)([Tensor([1.0])], **{name: value}, **momentum)


# --- state --------------------------------------------------------------------------------------

GRADIENTS = [1.0, -0.5, 0.25, 2.0]


def two(kind, lr=0.05, **hyper):
    ps = [Tensor(np.arange(3.0)), Tensor(2.0)]
    return getattr(optim, kind)([{"params": ps[:1]}, {"params": ps[1:], "lr": lr / 2}], lr, **hyper)


@EACH
def test_a_loaded_optimizer_goes_on_as_the_saved_one(kind):
    """Through a file: what is saved are numbers and arrays, by name."""
    saved = two(kind)
    stepped(saved, GRADIENTS[:2])
    state = saved.state_dict()
    assert all(isinstance(v, (int, float, np.ndarray)) for v in state.values())
    loaded = two(kind, lr=0.7)
    for p, q in zip(loaded.params, saved.params, strict=True):
        p.data = copy.copy(q.data)
    loaded.load_state_dict({name: np.array(value) for name, value in state.items()})
    assert [g["lr"] for g in loaded.param_groups] == [0.05, 0.025]
    for p, q in zip(stepped(loaded, GRADIENTS[2:]), stepped(saved, GRADIENTS[2:]), strict=True):
        np.testing.assert_array_equal(p, q)


def test_what_a_group_of_the_state_does_not_set_is_the_optimizers():
    plain = optim.SGD([{"params": Tensor([1.0])}], lr=0.1)
    other = optim.SGD([{"params": Tensor([1.0]), "lr": 0.5}], lr=0.2)
    other.load_state_dict(plain.state_dict())
    assert stepped(other, [1.0]) == stepped(plain, [1.0]) == [pytest.approx([0.9])]


@EACH
def test_the_state_is_a_copy(kind):
    optimizer = two(kind)
    stepped(optimizer, GRADIENTS[:1])
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    other = two(kind)
    other.load_state_dict(state)
    stepped(optimizer, GRADIENTS[1:])
    stepped(other, GRADIENTS[1:])
    assert all(np.array_equal(state[name], before[name]) for name in state)


@EACH
def test_settings_of_numpys_types_act_as_plain_numbers(kind):
    """A factor of np.float64 would otherwise have float32 weights computed in float64."""
    rng, ends = np.random.default_rng(0), []
    start, g = rng.standard_normal((2, 99)).astype("f")
    for number in (float, np.float64):
        p = Tensor(start.copy())
        optimizer = getattr(optim, kind)([p], lr=number(0.1))
        for name, value in optimizer.hyper.items():
            if type(value) is float:
                optimizer.param_groups[0][name] = number(value)
        p.grad = g
        optimizer.step()
        optimizer.step()
        assert all(type(v) is not np.float64 for v in optimizer.state_dict().values())
        ends.append(p.data)
    np.testing.assert_array_equal(*ends)


def test_an_optimizer_before_its_first_step_has_settings_only():
    state = two("Adam").state_dict()
    assert sorted(state) == ["betas", "eps", "groups.1.lr", "lr", "weight_decay"]
    optimizer = two("Adam")
    stepped(optimizer, GRADIENTS)
    optimizer.load_state_dict(state)
    assert optimizer.state == [{}, {}]


WRONG = {
    "missing": (lambda s: s.pop("state.0.total"), "missing state.0.total"),
    "missing setting": (lambda s: s.pop("betas"), "missing betas"),
    "unexpected": (lambda s: s.update(gamma=1.0), "unexpected gamma"),
    "unexpected slot": (lambda s: s.update({"state.0.peak": 1.0}), "unexpected state.0.peak"),
    "unexpected parameter": (lambda s: s.update({"state.2.step": 1}), "unexpected state.2.step"),
    "shape": (
        lambda s: s.update({"state.0.total": np.ones(4)}),
        r"state.0.total is float64 of shape \(4,\), wanted is float64 of shape \(3,\)",
    ),
    "dtype": (
        lambda s: s.update({"state.0.squares": np.ones(3, np.float32)}),
        "state.0.squares is float32 of shape .* wanted is float64",
    ),
    "step": (lambda s: s.update({"state.0.step": "two"}), "state.0.step is .* wanted is a number"),
    "range": (lambda s: s.update(betas=np.array([0.9, 1.5])), "betas must be two numbers"),
    "group": (lambda s: s.update({"groups.1.lr": -1.0}), "groups.1.lr: .*lr must be"),
    "no such group": (lambda s: s.update({"groups.2.lr": 1.0}), "unexpected groups.2.lr"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_state_that_does_not_fit_changes_nothing(case):
    optimizer = two("Adam")
    stepped(optimizer, GRADIENTS[:2])
    state = two("Adam", lr=0.3)
    stepped(state, GRADIENTS)
    state = state.state_dict()
    change, message = WRONG[case]
    change(state)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=f"load_state_dict of Adam: .*{message}"):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert list(after) == list(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)


@EACH
def test_a_copied_optimizer_moves_its_own_parameters(kind):
    optimizer = two(kind)
    stepped(optimizer, GRADIENTS[:2])
    twin = copy.deepcopy(optimizer)
    assert len(pickle.dumps(twin)) < 10_000  # no scratch arrays
    there = stepped(twin, GRADIENTS[2:])
    here = stepped(optimizer, GRADIENTS[2:])
    for p, q in zip(here, there, strict=True):
        np.testing.assert_array_equal(p, q)


# --- blocks -------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 3, 2 * BLOCK])
def test_blocks_give_the_bits_of_the_whole(kind, n, monkeypatch):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=n).astype("f"), rng.normal(size=(3, n)).astype("f")
    results = []
    for block in (BLOCK, 3 * BLOCK):
        monkeypatch.setattr(executor, "BLOCK", block)
        p = Tensor(start.copy())
        optimizer = getattr(optim, kind)([p], lr=0.01)
        for p.grad in grads:
            optimizer.step()
        results.append(p.data)
    np.testing.assert_array_equal(*results)


def test_a_transposed_parameter_moves_in_blocks_too():
    n = BLOCK // 100
    weights, g = np.ones((101, n)), np.random.default_rng(0).normal(size=(n, 101))
    p = Tensor(weights.T)
    p.grad = g
    optim.SGD([p], lr=0.5).step()
    np.testing.assert_array_equal(weights.T, 1 - 0.5 * g)
    assert np.shares_memory(p.data, weights)
