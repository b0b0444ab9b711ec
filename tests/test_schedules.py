"""Learning-rate schedules: the lectures' formulas, PyTorch's values, and their state."""

import math

import numpy as np
import pytest

import optim
from autograd import Tensor


def sgd(lr=1.0):
    return optim.SGD([Tensor(1.0)], lr=lr)


# --- the factors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0, 1, 2, 3, 4, 9, 10, 100])
def test_the_lectures_formulas(t):
    """Lecture E, with η0 = 1."""
    assert optim.constant(t) == 1
    assert optim.staircase(t, 0.3, k=3) == pytest.approx(math.exp(-0.3 * -(-t // 3)))
    assert optim.staircase(t, 0.3) == pytest.approx(math.exp(-0.3 * t))
    assert optim.inverse(t, 0.7) == pytest.approx(1 / (1 + 0.7 * t))
    assert optim.inverse_sqrt(t, 0.7) == pytest.approx((1 + 0.7 * t) ** -0.5)


# PyTorch 2.13.0: the rates of lr_scheduler.CosineAnnealingLR(T_max=6, eta_min=0.1), of
# OneCycleLR(max_lr=1, total_steps=11) and of OneCycleLR(max_lr=1, total_steps=8, pct_start=0.5,
# div_factor=10, final_div_factor=100), from lr = 1
COSINE = [1.0, 0.9397114317, 0.775, 0.55, 0.325, 0.1602885683, 0.1]
CYCLE = [0.04, 0.4223411137, 0.9602614247, 0.9797465678, 0.8844757248, 0.7260870493,
         0.5305827081, 0.330058029, 0.1574325128, 0.04104554321, 4e-06]  # fmt: skip
SHORT = [0.1, 0.325, 0.775, 1.0, 0.8536998372, 0.5005, 0.1473001628, 0.001]


@pytest.mark.parametrize(
    "factor, expected",
    [
        (lambda t: optim.cosine(t, 6, least=0.1), COSINE),
        (lambda t: optim.one_cycle(t, 11), CYCLE),
        (lambda t: optim.one_cycle(t, 8, 0.5, 10, 100), SHORT),
    ],
)
def test_factors_are_pytorchs(factor, expected):
    found = [factor(t) for t in range(len(expected))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_after_the_end_the_least_rate_stays():
    assert optim.cosine(50, 6, least=0.1) == pytest.approx(0.1)
    assert optim.one_cycle(50, 11) == pytest.approx(4e-6)


def test_a_cycle_may_begin_at_its_peak():
    assert optim.one_cycle(0, 10, pct_start=0.1) == 1
    assert optim.one_cycle(9, 10, pct_start=0.1) == pytest.approx(4e-6)


# --- what sets the rate ---------------------------------------------------------------------------


def test_the_rate_follows_the_factor_from_the_start():
    optimizer = sgd(0.4)
    schedule = optim.LambdaLR(optimizer, lambda t: optim.warmup(t, 2) * optim.inverse(t, 1))
    found = [optimizer.lr]
    for _ in range(3):
        schedule.step()
        found.append(optimizer.lr)
    np.testing.assert_allclose(found, [0.2, 0.2, 0.4 / 3, 0.1])


def test_groups_keep_their_proportion():
    optimizer = optim.SGD([{"params": [Tensor(1.0)]}, {"params": [Tensor(1.0)], "lr": 0.3}], lr=0.1)
    schedule = optim.LambdaLR(optimizer, lambda t: optim.inverse(t, 1))
    schedule.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.15]
    plateau = optim.ReduceLROnPlateau(optimizer, patience=0)
    for error in (1.0, 1.0):
        plateau.step(error)
    np.testing.assert_allclose([g["lr"] for g in optimizer.param_groups], [0.005, 0.015])


def test_a_schedule_goes_on_from_its_state():
    def make():
        optimizer = sgd(0.4)
        return optimizer, optim.LambdaLR(optimizer, lambda t: optim.cosine(t, 10))

    (a, first), (b, second) = make(), make()
    for _ in range(3):
        first.step()
    assert first.state_dict()["t"] == 3
    b.load_state_dict(a.state_dict())
    second.load_state_dict(first.state_dict())
    assert b.lr == a.lr
    first.step()
    second.step()
    assert a.lr == b.lr == pytest.approx(0.4 * optim.cosine(4, 10))


ERRORS = [5, 4, 4, 4.1, 3.9999, 4, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2]
# PyTorch 2.13.0: the rates of ReduceLROnPlateau after each of these errors, from lr = 1
PLATEAUS = [
    ({"patience": 2}, [1] * 4 + [0.1] * 5 + [0.01] * 3 + [1e-3] * 5 + [1e-4] * 3),
    (
        {"patience": 1, "cooldown": 3, "factor": 0.5},
        [1] * 3 + [0.5] * 5 + [0.25] * 5 + [0.125] * 5 + [0.0625] * 2,
    ),
    ({"patience": 0, "factor": 0.5, "min_lr": 0.2}, [1, 1, 0.5, 0.25] + [0.2] * 16),
    ({"mode": "max", "patience": 3}, [1] * 4 + [0.1] * 4 + [0.01] * 4 + [1e-3] * 4 + [1e-4] * 4),
]


@pytest.mark.parametrize("settings, expected", PLATEAUS, ids=str)
@pytest.mark.parametrize("resumed", [False, True])
def test_a_plateau_divides_the_rate_as_in_pytorch(settings, expected, resumed):
    optimizer = sgd()
    plateau = optim.ReduceLROnPlateau(optimizer, **settings)
    found = []
    for error in ERRORS:
        plateau.step(error)
        found.append(optimizer.lr)
        if resumed:
            state, plateau = plateau.state_dict(), optim.ReduceLROnPlateau(optimizer, **settings)
            plateau.load_state_dict({name: np.array(value) for name, value in state.items()})
    np.testing.assert_allclose(found, expected)


def test_a_rate_below_the_least_is_not_raised():
    optimizer = sgd(0.01)
    plateau = optim.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.1)
    for _ in range(3):
        plateau.step(1.0)
    assert optimizer.lr == 0.01


@pytest.mark.parametrize("mode, sign", [("min", -1), ("max", 1)])
def test_a_new_best_exceeds_the_threshold(mode, sign):
    for change, better in ((0.05, False), (0.15, True)):
        plateau = optim.ReduceLROnPlateau(sgd(), mode, threshold=0.1)
        plateau.step(1.0)
        plateau.step(1.0 + sign * change)
        assert (plateau.best, plateau.bad) == ((1.0 + sign * change, 0) if better else (1.0, 1))


def test_a_nan_error_is_no_improvement():
    optimizer = sgd()
    plateau = optim.ReduceLROnPlateau(optimizer, patience=1)
    for error in (1.0, np.nan, Tensor(np.nan).item()):
        plateau.step(error)
    assert optimizer.lr == 0.1 and plateau.best == 1


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: optim.cosine(0, 0), "cosine: total is a number >= 1, got 0"),
        (lambda: optim.one_cycle(0, 0), "one_cycle: total is a number >= 1, got 0"),
        (lambda: optim.one_cycle(0, 9, pct_start=1.5), r"pct_start lies in \[0, 1\], got 1.5"),
        (lambda: optim.warmup(0, 0), "warmup: steps is a number >= 1, got 0"),
        (lambda: optim.warmup(0, -3), "warmup: steps is a number >= 1, got -3"),
        (lambda: optim.staircase(1, 0.5, k=0), "staircase: k is a number >= 1, got 0"),
        (lambda: optim.inverse(2, -0.5), "inverse: c is a number >= 0, got -0.5"),
        (lambda: optim.inverse_sqrt(2, np.nan), "inverse_sqrt: c is a number >= 0, got nan"),
    ],
)
def test_schedules_over_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_cycle_that_only_rises_ends_at_its_least_rate():
    assert optim.one_cycle(2, 3, pct_start=1.0) == 1
    assert optim.one_cycle(3, 3, pct_start=1.0) == pytest.approx(1 / 25e4)
    assert optim.one_cycle(0, 1) == pytest.approx(1 / 25e4)


@pytest.mark.parametrize("kind", [optim.LambdaLR, optim.ReduceLROnPlateau])
def test_something_else_than_an_optimizer_is_refused(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__}: pass an optimizer, not a float"):
        kind(0.1, lambda t: 1.0)


def test_a_factor_must_be_a_function():
    with pytest.raises(TypeError, match="lr_lambda must be a function of the step, not 0.9"):
        optim.LambdaLR(sgd(), 0.9)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_a_bad_factor_changes_nothing(bad):
    optimizer = sgd(0.5)
    schedule = optim.LambdaLR(optimizer, lambda t: 1.0 if t < 1 else bad)
    with pytest.raises(ValueError, match=r"lr_lambda\(1\) must be a finite number >= 0"):
        schedule.step()
    assert schedule.t == 0 and optimizer.lr == 0.5


@pytest.mark.parametrize(
    "settings",
    [{"mode": "up"}, {"factor": 1.0}, {"factor": 0.0}, {"patience": -1}, {"threshold": -0.1},
     {"cooldown": -1}, {"min_lr": -0.1}],
    ids=str,
)  # fmt: skip
def test_a_plateaus_bad_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"ReduceLROnPlateau: {name} must be"):
        optim.ReduceLROnPlateau(sgd(), **settings)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"t": "three"}, "t must be"),
        ({"t": np.ones(2)}, "t must be"),
        ({"base": np.ones(2)}, "base must be"),
        ({"u": 1}, "unexpected u"),
        ({"t": None}, "missing t"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    schedule = optim.LambdaLR(sgd(), lambda t: 1.0)
    state = {"t": 3, "base": np.array([0.5])} | change
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(ValueError, match=f"load_state_dict of LambdaLR: .*{message}"):
        schedule.load_state_dict(state)
    assert schedule.t == 0 and schedule.base == [1.0]
