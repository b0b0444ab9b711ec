"""Ceilings and noise on gradients, and averages of weights."""

import math

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor, seed


def three():
    """Parameters with the gradients (3, -4), 12 and none."""
    ps = [Tensor([0.0, 0.0]), Tensor(0.0), Tensor([1.0])]
    ps[0].grad, ps[1].grad = np.array([3.0, -4.0]), 12.0
    return ps


def flat(ps):
    return np.concatenate([np.ravel(p.grad) for p in ps if p.grad is not None])


# --- ceilings -------------------------------------------------------------------------------------


def test_the_lectures_ceiling_is_five():
    ps = three()
    optim.clip_grad_value_(ps)
    assert flat(ps).tolist() == [3, -4, 5] and ps[2].grad is None
    optim.clip_grad_value_(ps[0], 3.5)
    assert flat(ps).tolist() == [3, -3.5, 5]


# PyTorch 2.13.0, torch.nn.utils.clip_grad_norm_(parameters, 2.0, norm_type), double precision
NORMS = [
    (1.0, 19.0, [0.31578945706, -0.42105260942, 1.2631578283]),
    (2.0, 13.0, [0.46153842604, -0.61538456805, 1.8461537041]),
    (3.0, 12.207054953820636, [0.49151900529, -0.65535867373, 1.9660760212]),
    (math.inf, 12.0, [0.49999995833, -0.66666661111, 1.9999998333]),
]


@pytest.mark.parametrize("order, norm, expected", NORMS)
def test_the_norm_is_clipped_as_in_pytorch(order, norm, expected):
    ps = three()
    assert optim.clip_grad_norm_(ps, 2.0, norm_type=order) == pytest.approx(norm, rel=1e-14)
    np.testing.assert_allclose(flat(ps), expected, rtol=1e-10)


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_a_small_norm_is_left_alone(order):
    ps = three()
    optim.clip_grad_norm_(ps, 100.0, norm_type=order)
    assert flat(ps).tolist() == [3, -4, 12]


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
@pytest.mark.parametrize("order", [2.0, 3.0])
def test_the_norm_neither_overflows_nor_vanishes(scale, order):
    ps = three()
    for p in ps[:2]:
        p.grad *= scale
    expected = np.linalg.norm([3, 4, 12], order) * scale
    assert optim.clip_grad_norm_(ps, 1.0, norm_type=order) == pytest.approx(expected)
    if scale > 1:
        assert np.linalg.norm(flat(ps), order) == pytest.approx(1.0)


def test_float32_is_kept():
    p = Tensor(np.zeros(3, np.float32))
    p.grad = np.array([3e30, -4e30, 0], np.float32)
    assert optim.clip_grad_norm_([p], 1.0) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(p.grad, [0.6, -0.8, 0], rtol=1e-5)
    optim.clip_grad_value_([p], 0.5)
    optim.add_gradient_noise_([p], 0, generator=np.random.default_rng(0))
    assert p.grad.dtype == np.float32


def test_no_gradients_have_the_norm_zero():
    assert optim.clip_grad_norm_([Tensor(1.0)], 1.0) == 0
    p = Tensor(np.zeros((0, 2)))
    p.grad = np.zeros((0, 2))
    assert optim.clip_grad_norm_([p], 1.0, norm_type=math.inf) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_no_number_can_raise_before_anything_changes(bad):
    ps = three()
    ps[0].grad[1] = bad
    with pytest.raises(ValueError, match=f"the gradients' norm is {bad}"):
        optim.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    assert flat(ps)[[0, 2]].tolist() == [3, 12]
    norm = optim.clip_grad_norm_(ps, 1.0)
    assert not math.isfinite(norm) and np.isnan(flat(ps)[1])


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_ceiling_must_be_positive(bad):
    ps = three()
    for call in (
        lambda: optim.clip_grad_value_(ps, bad),
        lambda: optim.clip_grad_norm_(ps, bad),
        lambda: optim.clip_grad_norm_(ps, 1.0, norm_type=bad),
    ):
        with pytest.raises(ValueError, match="must be a number > 0"):
            call()
    assert flat(ps).tolist() == [3, -4, 12]


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 9, 999])
def test_noise_dies_away(step):
    p = Tensor(np.zeros(20_000))
    p.grad = np.full(20_000, 7.0)
    optim.add_gradient_noise_([p], step, eta=0.5, generator=np.random.default_rng(0))
    noise = p.grad - 7
    assert np.mean(noise) == pytest.approx(0, abs=0.03)
    assert np.var(noise) == pytest.approx(0.5 / (1 + step) ** 0.55, rel=0.05)


def test_noise_follows_the_seed():
    found = []
    for _ in range(2):
        seed(3)
        ps = three()
        optim.add_gradient_noise_(ps, 0)
        found.append(flat(ps))
    np.testing.assert_array_equal(*found)
    assert np.all(found[0] != [3, -4, 12])


@pytest.mark.parametrize("bad", [{"eta": -1.0}, {"gamma": math.nan}, {"step": -1}], ids=str)
def test_bad_noise_is_refused(bad):
    ps = three()
    with pytest.raises(ValueError, match="must be numbers >= 0"):
        optim.add_gradient_noise_(ps, **{"step": 0, **bad})
    assert flat(ps).tolist() == [3, -4, 12]


# --- averages of the weights ----------------------------------------------------------------------


def test_the_average_is_the_weighted_sum():
    """After the first update, which takes the weights as they are: a ← 0.9 a + 0.1 w."""
    w, b = Tensor(np.zeros(2, np.float32)), Tensor(0.0)
    ema = optim.EMA([w, b], decay=0.9)
    for value in (1.0, 2.0, 4.0):
        w.data[...] = value
        b.data = value
        ema.update()
    expected = 0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 4
    np.testing.assert_allclose(ema.average[0], expected, rtol=1e-6)
    with ema:
        np.testing.assert_allclose([*w.data, b.data], expected, rtol=1e-6)
        assert w.dtype == np.float32 and type(b.data) is float
    assert [*w.data, b.data] == [4, 4, 4]


def test_the_weights_come_back_after_an_error():
    model = nn.Linear(2, 1)
    ema = optim.EMA(model.parameters())
    for p in model.parameters():
        p.data += 1
    arrays = [p.data for p in model.parameters()]
    with pytest.raises(KeyError), ema:
        np.testing.assert_allclose(model.weight.data, arrays[0] - 1, rtol=1e-5)
        raise KeyError
    for p, array in zip(model.parameters(), arrays, strict=True):
        assert np.shares_memory(p.data, array)


def test_an_average_swapped_in_is_not_changed_by_training_on_it():
    p = Tensor([1.0])
    ema = optim.EMA([p])
    with ema:
        p.data += 5
        with pytest.raises(RuntimeError, match="update inside its own with block"):
            ema.update()
        with pytest.raises(RuntimeError, match="swapped in already"), ema:
            pass
    assert ema.average[0] == 1 and p.data == 1


def test_an_average_goes_on_from_its_state():
    p, q = Tensor([1.0, 2.0]), Tensor([0.0, 0.0])
    first, second = optim.EMA([p], 0.5), optim.EMA([q], 0.5)
    first.update()
    second.load_state_dict({name: np.array(v) for name, v in first.state_dict().items()})
    p.data[...] = q.data[...] = 5.0
    first.update()
    second.update()
    np.testing.assert_array_equal(first.average, second.average)
    np.testing.assert_array_equal(first.average[0], [3, 3.5])


@pytest.mark.parametrize(
    "state, message",
    [
        ({"updates": 1}, "missing 0"),
        ({"updates": 1, "0": np.ones(3)}, r"0 is float64 of shape \(3,\)"),
        ({"updates": 1, "0": np.ones(2, np.float32)}, "0 is float32"),
        ({"updates": 1, "0": np.ones(2), "1": 1.0}, "unexpected 1"),
    ],
)
def test_an_average_that_does_not_fit_changes_nothing(state, message):
    ema = optim.EMA([Tensor([1.0, 2.0])])
    with pytest.raises(ValueError, match=f"load_state_dict of EMA: {message}"):
        ema.load_state_dict(state)
    assert ema.updates == 0 and ema.average[0].tolist() == [1, 2]


def test_bad_averages_are_refused():
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\), not 1.0"):
        optim.EMA([Tensor(1.0)], decay=1.0)
    with pytest.raises(TypeError, match="pass a list of Tensors, not a single Tensor"):
        optim.EMA(Tensor([1.0]))
    p = Tensor([1.0])
    ema = optim.EMA([p])
    p.data = np.ones(2)
    with pytest.raises(ValueError, match=r"had shape \(1,\) and has \(2,\) now"):
        ema.update()
