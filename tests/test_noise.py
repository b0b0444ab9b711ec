"""Dropout and its family: what is drawn, how often, and what it is on average."""

import copy

import numpy as np
import pytest

import nn
from autograd import Tensor, checkpoint, grad, jvp, vmap

from .test_nn import close, wave


def seeded(n=0):
    return np.random.default_rng(n)


def layer(seed=0):
    """A Linear that draws nothing of the default generator."""
    return nn.Linear(4, 3, dtype=float, generator=seeded(seed))


X = wave(5, 4, step=1.3)
DRAWS = 4000
# What trains with noise, and in evaluation gives the expectation of that.
EXPECTED = {
    "Dropout": lambda: nn.Dropout(0.4, seeded()),
    "Dropout, test-time form": lambda: nn.Dropout(0.4, seeded(), inverted=False),
    "GaussianNoise": lambda: nn.GaussianNoise(0.5, seeded()),
    "DropConnect": lambda: nn.DropConnect(layer(), 0.4, seeded()),
    "Shakeout": lambda: nn.Shakeout(layer(), 0.4, 0.3, seeded()),
    "WeightNoise": lambda: nn.WeightNoise(layer(), 0.3, seeded()),
    "Whiteout": lambda: nn.Whiteout(layer(), 0.5, 0.2, generator=seeded()),
    "Whiteout, multiplicative": lambda: nn.Whiteout(
        layer(), 0.5, 0.2, 0.5, multiplicative=True, generator=seeded()
    ),
}


@pytest.fixture(params=EXPECTED)
def noisy(request):
    return EXPECTED[request.param]()


def plain(y):
    return y.data if isinstance(y, Tensor) else y


def test_the_mean_of_training_is_evaluation(noisy):
    draws = np.array([plain(noisy(X)) for _ in range(DRAWS)])
    error = draws.std(0) / np.sqrt(DRAWS)
    assert np.all(error > 1e-4)  # it is noisy at all
    assert np.all(np.abs(draws.mean(0) - plain(noisy.eval()(X))) < 5 * error)


def test_evaluation_draws_nothing_and_is_repeated(noisy):
    before = noisy.eval().generator.bit_generator.state
    assert np.array_equal(plain(noisy(X)), plain(noisy(X)))
    assert noisy.generator.bit_generator.state == before


def test_the_same_generator_gives_the_same(noisy):
    other = copy.deepcopy(noisy)
    assert np.array_equal(plain(noisy(X)), plain(other(X)))
    assert not np.array_equal(plain(noisy(X)), plain(noisy(X)))


def test_modes_agree_and_the_derivative_is_of_what_was_drawn(noisy):
    """Reverse mode, forward mode and a checkpoint, each with the same draws; and a difference."""
    v = wave(5, 4, step=0.5)

    def f(m, x):
        m.generator.bit_generator.state = seeded(7).bit_generator.state
        return np.sum(np.square(m(x)))

    slope = plain(grad(f, 1)(noisy, X))
    h = 1e-6
    difference = (plain(f(noisy, X + h * v)) - plain(f(noisy, X - h * v))) / (2 * h)
    close(np.sum(slope * v), difference, 1e-6)
    close(plain(jvp(lambda x: f(noisy, x), (X,), (v,))[1]), np.sum(slope * v), 1e-10)
    close(plain(grad(checkpoint(f), 1)(noisy, X)), slope, 1e-12)


@pytest.mark.parametrize("name", [n for n, make in EXPECTED.items() if make().parameters()])
def test_parameters_are_trained_through_the_noise(name):
    noisy = EXPECTED[name]()
    parameters = noisy.parameters()

    def f(m):
        m.generator.bit_generator.state = seeded(7).bit_generator.state
        return np.sum(np.square(m(X)))

    along = jvp(f, (noisy,), (noisy,))[1]
    slopes = grad(f)(noisy).parameters()
    close(along, sum(np.sum(g * p.data) for g, p in zip(slopes, parameters, strict=True)), 1e-10)
    f(noisy).backward()
    for p, g in zip(parameters, slopes, strict=True):
        close(p.grad, g, 1e-13)
        assert np.any(g)


def test_examples_of_a_vmap_have_draws_of_their_own():
    x = np.ones((6, 50))
    for make in (nn.Dropout(0.5, seeded()), nn.GaussianNoise(0.5, seeded())):
        rows = vmap(make)(x)
        assert len({row.tobytes() for row in rows}) == 6


@pytest.mark.parametrize("name", EXPECTED)
def test_single_precision_stays(name):
    model = EXPECTED[name]()
    for p in model.parameters():
        p.data = p.data.astype(np.float32)
    x = Tensor(X.astype(np.float32))
    for mode in (True, False):
        y = model.train(mode)(x)
        assert y.dtype == np.float32
        np.sum(y).backward()
    assert all(p.grad.dtype == np.float32 for p in [x, *model.parameters()])


# --- each one's draws ----------------------------------------------------------------------------


def test_dropout_in_test_time_form_keeps_values_and_scales_in_evaluation():
    x = np.full(20000, 3.0)
    model = nn.Dropout(0.3, seeded(), inverted=False)
    y = model(x)
    assert set(y) == {0.0, 3.0}
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.015)
    close(model.eval()(x), 0.7 * x, 1e-15)


def test_both_forms_of_dropout_differ_by_the_factor():
    inverted, other = nn.Dropout(0.3, seeded()), nn.Dropout(0.3, seeded(), inverted=False)
    close(0.7 * inverted(X), other(X), 1e-14)


def test_scaling_activations_is_scaling_the_weights_that_follow():
    """Lecture C: "push the α to all outgoing weights"."""
    after = layer()
    y = after(nn.Dropout(0.3, inverted=False).eval()(X)).data
    after.weight.data = 0.7 * after.weight.data
    close(after(X).data, y, 1e-14)


def test_gaussian_noise_has_its_standard_deviation():
    noise = nn.GaussianNoise(0.7, seeded())(np.full(20000, 3.0)) - 3.0
    assert np.std(noise) == pytest.approx(0.7, rel=0.02)
    assert np.mean(noise) == pytest.approx(0.0, abs=0.02)


def weights_drawn(model, times=4000):
    """The weights of a module from its outputs at the unit vectors."""
    bias = model.module.bias.data
    return np.array([model(np.eye(4)).data - bias for _ in range(times)]).swapaxes(1, 2)


def test_noise_on_integers_is_not_rounded():
    """Of pixels in 0..255, say: rounded to integers, noise of std 0.1 would be none."""
    pixels = np.full((100, 100), 7, np.uint8)
    noisy = nn.GaussianNoise(0.1, seeded(0))(pixels)
    assert abs(np.std(noisy - 7.0) - 0.1) < 0.005


def test_drop_connect_drops_single_weights_and_no_bias():
    model = nn.DropConnect(layer(), 0.3, seeded())
    w, drawn = model.module.weight.data, weights_drawn(model)
    assert np.mean(abs(drawn) < 1e-12) == pytest.approx(0.3, abs=0.01)
    kept = abs(drawn) > 1e-12
    close(drawn[kept], np.broadcast_to(w / 0.7, drawn.shape)[kept], 1e-12)
    assert len({k.tobytes() for k in kept}) > 1000  # no pattern of whole units


def test_shakeout_has_its_two_values():
    p, c = 0.3, 0.2
    model = nn.Shakeout(layer(), p, c, seeded())
    w, drawn = model.module.weight.data, weights_drawn(model)
    a, s = 1 / (1 - p), np.sign(w)
    small, large = abs(drawn + c * s) < 1e-12, abs(drawn - (a * w + (a - 1) * c * s)) < 1e-12
    assert np.all(small ^ large)
    assert np.mean(small) == pytest.approx(p, abs=0.01)


def test_shakeout_without_constant_is_drop_connect():
    a, b = nn.Shakeout(layer(), 0.3, 0.0, seeded()), nn.DropConnect(layer(), 0.3, seeded())
    close(a(X).data, b(X).data, 1e-14)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("multiplicative", [False, True])
def test_whiteouts_variance_is_that_of_noise_on_each_connection(gamma, multiplicative):
    """Against noise drawn for every connection as the paper has it."""
    sigma, lam, x = 0.5, 0.2, X[:1]
    model = nn.Whiteout(layer(), sigma, lam, gamma, multiplicative, seeded())
    w, b = model.module.weight.data, model.module.bias.data
    e = seeded(1).normal(size=(DRAWS, *w.shape)) * np.sqrt(sigma**2 * abs(w) ** -gamma + lam)
    signal = x * (1 + e) if multiplicative else x + e
    expected = np.sum(w * signal, axis=-1) + b
    found = np.array([model(x).data[0] for _ in range(DRAWS)])
    np.testing.assert_allclose(found.std(0), expected.std(0), rtol=0.06)
    np.testing.assert_allclose(found.mean(0), expected.mean(0), atol=0.06)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("multiplicative", [False, True])
def test_whiteouts_derivatives_are_finite_at_zero(gamma, multiplicative):
    model = nn.Whiteout(nn.Linear(2, 2), 0.1, 0.0, gamma, multiplicative, seeded())
    model.module.weight.data[0] = 0
    x = Tensor(np.zeros((3, 2), np.float32))
    np.sum(model(x)).backward()
    assert all(np.all(np.isfinite(p.grad)) for p in [x, *model.parameters()])


# --- zoneout -------------------------------------------------------------------------------------


def test_zoneout_keeps_or_takes_each_unit():
    cell = nn.GRUCell(3, 400, dtype=float)
    x, h = wave(2, 3, step=1.3), wave(2, 400, step=0.9)
    after, found = cell(x, h).data, nn.Zoneout(cell, 0.3, seeded())(x, h).data
    stayed = found == h
    assert np.all(stayed ^ (found == after))
    assert np.mean(stayed) == pytest.approx(0.3, abs=0.05)


def test_zoneout_in_evaluation_is_the_expectation():
    cell = nn.LSTMCell(3, 4, dtype=float)
    x, state = wave(2, 3, step=1.3), (wave(2, 4, step=0.9), wave(2, 4, step=0.8))
    found = nn.Zoneout(cell, 0.3).eval()(x, state)
    for new, old, y in zip(cell(x, state), state, found, strict=True):
        close(y.data, 0.3 * old + 0.7 * new.data, 1e-15)


def test_zoneout_draws_for_each_part_of_a_state():
    cell = nn.LSTMCell(3, 400, dtype=float)
    h, c = nn.Zoneout(cell, 0.5, seeded())(wave(1, 3, step=1.3))  # from zeros
    assert not np.array_equal(h.data == 0, c.data == 0)
    assert np.mean(h.data == 0) == pytest.approx(0.5, abs=0.1)


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: nn.Zoneout(nn.RNNCell(1, 1), -0.1), ValueError, r"Zoneout: p .*\[0, 1\]"),
        (lambda: nn.DropConnect(layer(), 1.1), ValueError, r"DropConnect: p .*\[0, 1\]"),
        (lambda: nn.Shakeout(layer(), 1.0), ValueError, r"Shakeout: p .* in \[0, 1\)"),
        (lambda: nn.Shakeout(layer(), c=-1), ValueError, "Shakeout: c is 0 or more"),
        (lambda: nn.GaussianNoise(-1), ValueError, "GaussianNoise: std is 0 or more, got -1"),
        (lambda: nn.GaussianNoise(np.nan), ValueError, "GaussianNoise: std is 0 or more"),
        (lambda: nn.GaussianNoise(np.inf), ValueError, "GaussianNoise: std is 0 or more, got inf"),
        (lambda: nn.WeightNoise(layer(), -1), ValueError, "WeightNoise: std is 0 or more"),
        (lambda: nn.Whiteout(layer(), lam=-1), ValueError, "Whiteout: lam is 0 or more"),
        (lambda: nn.Whiteout(layer(), gamma=3), ValueError, r"gamma lies in \[0, 2\], got 3"),
        (lambda: nn.Whiteout(nn.Tanh()), TypeError, "Whiteout: a Linear wanted, not Tanh"),
        (lambda: nn.DropConnect(np.tanh), TypeError, "DropConnect: a module with weights"),
        (lambda: nn.DropConnect(nn.ReLU()), ValueError, "DropConnect: ReLU has no weights"),
        (lambda: nn.DropConnect(nn.BatchNorm1d(3)), ValueError, "BatchNorm1d has no weights"),
    ],
)
def test_settings_that_make_no_sense(make, error, message):
    with pytest.raises(error, match=message):
        make()
