"""On arrays of another kind, as on a GPU, everything stays there: rules, layers, optimizers."""

from functools import partial

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, support
from autograd.primitive import plain, registry
from autograd.rules.random import bernoulli, uniform
from autograd.rules.random import normal as normal_draw
from autograd.tree import flatten

from .samples import SAMPLES
from .strict import Device, Generator, Strict, asarray, asnumpy
from .test_operations import each, outputs, weights

# --- every operation ------------------------------------------------------------------------------


def results(sample, place):
    """The values of a call, its gradient, tangents, and Hessian times a vector."""
    xs = tuple(sample.inputs())
    found = [plain(y) for y in flatten(sample.call(list(map(Tensor, xs))))[0]]
    if not xs:
        return found
    vs = tuple(place(weights(np.shape(x), 40 + k)) for k, x in enumerate(xs))

    def f(*xs):
        return outputs(sample.call(xs))

    def combined(*xs):
        ys = enumerate(f(*xs))
        return sum(np.sum(y * place(weights(np.shape(y), 7 + k))) for k, y in ys) + 0.0

    everything = tuple(range(len(xs)))
    found += autograd.grad(combined, everything)(*xs)
    found += autograd.jvp(f, xs, vs)[1]
    return [*found, *autograd.hvp(combined, xs, vs)]


def runs_on(kind, sample, place=None):
    """Compare with what NumPy's arrays give; ``place(array)`` makes an array of the kind."""
    place = place or (lambda x: kind(np.asarray(x)))
    for f, e in zip(results(sample.on(place), place), results(sample, lambda x: x), strict=True):
        if isinstance(e, str) or e is None:
            assert f == e
            continue
        assert isinstance(f, kind) or not np.ndim(e) or not sample.inputs(), type(f)
        np.testing.assert_allclose(asnumpy(f), e, rtol=1e-9, atol=1e-9)


def in_table(sample):
    """How the support table calls what a sample is of."""
    names = support.public_names()
    found = set()
    for function in (sample.function, *sample.covers):
        operation = registry.get(getattr(function, "function", function))
        if operation is not None:
            own = support.own_name(operation.function, operation)
            found.add((support.numpy_names(operation.function, names) or [own])[0])
    return found


def excepted(sample, column):
    """Whether the support table says of what a sample is of that not all its calls run."""
    return not in_table(sample).isdisjoint(support.ARRAYS[column])


@each([s for s in SAMPLES if not excepted(s, "CuPy-ready")])
def test_runs_where_its_arrays_are(sample):
    """Values, gradients, tangents and second derivatives are the same numbers, on the device."""
    runs_on(Device, sample)


@each([s for s in SAMPLES if excepted(s, "CuPy-ready") and not excepted(s, "duck array")])
def test_runs_on_duck_arrays(sample):
    """What CuPy lacks runs on any array that has it."""
    runs_on(Strict, sample)


@pytest.mark.parametrize(("column", "kind"), [("CuPy-ready", Device), ("duck array", Strict)])
def test_what_the_table_excepts_does_not_run(column, kind):
    """Every exception of the table is one: some call of it raises, and says so."""
    failed = set()
    for sample in SAMPLES:
        if excepted(sample, column):
            try:
                runs_on(kind, sample)
            except TypeError:
                failed |= in_table(sample)
    assert set(support.ARRAYS[column]) <= failed


# --- a rule that leaves the device is told of ----------------------------------------------------


def left_behind(operation, order):
    """An operation whose value, pull or push is NumPy's wherever its argument is."""
    host = [asnumpy if i == order else lambda x: x for i in range(3)]
    return autograd.general(
        lambda x: host[0](x * 2.0),
        lambda g, y, x: host[1](g * 2.0),
        lambda g, y, x: host[2](g * 2.0),
        name=operation,
    )


@pytest.mark.parametrize("order", range(3))
def test_an_answer_on_the_host_raises(order):
    left = left_behind("left_behind", order)
    try:
        with pytest.raises(TypeError, match=r"left_behind.*Device.*NumPy array of shape \(3,\)"):
            if order == 2:
                autograd.jvp(left, (asarray(np.ones(3)),), (asarray(np.ones(3)),))
            else:
                left(Tensor(asarray(np.ones(3)))).backward(asarray(np.ones(3)))
        x = Tensor(np.ones(3))  # of NumPy's arrays nothing is asked
        left(x).backward(np.ones(3))
        assert x.grad.tolist() == [2.0] * 3
    finally:
        del registry[left.function]


def test_numpy_arrays_do_not_meet_the_device():
    x = Tensor(asarray(np.ones(3)))
    with pytest.raises(TypeError, match="meets a Strict array"):
        x * np.ones(3)
    with pytest.raises(TypeError, match="does not become"):
        np.sum(x.data * 2.0).__float__()
    assert isinstance((x * [1.0, 2.0, 3.0]).data, Device)  # a list is put there


# --- layers and losses ---------------------------------------------------------------------------


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


class Last(nn.Module):
    """The outputs of a recurrent layer, of whose state no more is asked."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Attending(nn.Module):
    """Attention of a sequence to itself, with masks of both kinds."""

    def __init__(self):
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.3)

    def forward(self, x):
        seen = nn.scaled_dot_product_attention(x, x, x, is_causal=True)
        return self.attention(x, x, x)[0] + (seen[0] if isinstance(seen, tuple) else seen)


IMAGES, ROWS, SEQUENCES = (4, 2, 6, 6), (5, 4), (3, 2, 4)
LAYERS = {
    **{name: (lambda name=name: getattr(nn, name)(), ROWS) for name in (
        "ELU", "GELU", "Identity", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU",
        "ReLU", "SiLU", "Sigmoid", "Sinc", "Softmax", "Softplus", "Softsign", "Tanh", "Dropout",
        "GaussianNoise", "Step", "Flatten",
    )},
    "Maxout": (lambda: nn.Maxout(4, 3), ROWS),
    "Linear": (lambda: nn.Linear(4, 3), ROWS),
    "MLP": (lambda: nn.MLP((4, 6, 2)), ROWS),
    "Residual": (lambda: nn.Residual(nn.Linear(4, 4)), ROWS),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), ROWS),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), IMAGES),
    "LayerNorm": (lambda: nn.LayerNorm(4), ROWS),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1), (4, 2, 6)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3, stride=2), IMAGES),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (4, 2, 6)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, stride=2), IMAGES),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (4, 2, 6)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGES),
    "GlobalAvgPool": (lambda: nn.GlobalAvgPool(), IMAGES),
    "RNN": (lambda: Last(nn.RNN(4, 3)), SEQUENCES),
    "LSTM": (lambda: Last(nn.LSTM(4, 3)), SEQUENCES),
    "GRU": (lambda: Last(nn.GRU(4, 3)), SEQUENCES),
    "Jordan": (lambda: Last(nn.Jordan(4, 3, 2)), SEQUENCES),
    "Zoneout": (lambda: Last(nn.RNN(4, 3)), SEQUENCES),
    "Attention": (Attending, SEQUENCES),
    "DropConnect": (lambda: nn.DropConnect(nn.Linear(4, 3)), ROWS),
    "Shakeout": (lambda: nn.Shakeout(nn.Linear(4, 3)), ROWS),
    "WeightNoise": (lambda: nn.WeightNoise(nn.Linear(4, 3)), ROWS),
    "Whiteout": (lambda: nn.Whiteout(nn.Linear(4, 3)), ROWS),
    "Autoencoder": (lambda: nn.Autoencoder(nn.Linear(4, 2), nn.Linear(2, 4)), ROWS),
}  # fmt: skip


def trained(model, x, place):
    """Outputs in training and evaluation, gradients and buffers."""
    model.map(place)
    autograd.seed(3)
    x = Tensor(place(x))
    y = model(x)
    loss = np.sum(np.sin(y))
    if loss.requires_grad:
        loss.backward()
    gradients = [x.grad, *(p.grad for p in model.parameters())]
    model.eval()
    return [y.data, model(x).data, *gradients, *(b for _, b in model.named_buffers())]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_stay_on_the_device(name):
    make, shape = LAYERS[name]
    autograd.seed(1)
    model = make().map(lambda a: a.astype(float))
    x, twin = normal(*shape), model.copy()
    for found, expected in zip(
        trained(model, x, asarray), trained(twin, x, lambda a: a), strict=True
    ):
        if expected is None:
            assert found is None
            continue
        assert isinstance(found, Device) or type(found) is float
        np.testing.assert_allclose(asnumpy(found), expected, rtol=1e-10, atol=1e-10)


def test_embedding_stays_on_the_device():
    layer = nn.Embedding(5, 3).map(asarray)
    y = layer(asarray(np.array([[0, 4], [2, 0]])))
    np.sum(y * y).backward()
    assert isinstance(layer.weight.grad, Device) and isinstance(y.data, Device)


LABELS = np.array([0, 2, 1, 2, 0])
LOSSES = {
    "cross_entropy": LABELS, "nll": LABELS, "multi_margin": LABELS,
    "mse": normal(5, 3, seed=1), "mae": normal(5, 3, seed=1), "huber": normal(5, 3, seed=1),
    "half_squared_error": normal(5, 3, seed=1), "hinge": np.sign(normal(5, 3, seed=1)),
    "binary_cross_entropy_with_logits": (normal(5, 3, seed=1) > 0).astype(float),
    "binary_cross_entropy": (normal(5, 3, seed=1) > 0).astype(float),
    "kl_div": np.abs(normal(5, 3, seed=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses_stay_on_the_device(name):
    loss, y = getattr(nn, name), LOSSES[name]
    x = normal(5, 3)
    if name == "binary_cross_entropy":
        x = 1 / (1 + np.exp(-x))
    here, there = Tensor(x), Tensor(asarray(x))
    expected, found = loss(here, y), loss(there, asarray(y))
    expected.backward()
    found.backward()
    np.testing.assert_allclose(asnumpy(found.data), expected.data, rtol=1e-12)
    np.testing.assert_allclose(asnumpy(there.grad), here.grad, rtol=1e-10, atol=1e-12)


def test_weighted_and_masked_losses_stay_on_the_device():
    x, weight = Tensor(asarray(normal(5, 3))), asarray(np.array([1.0, 2.0, 0.5]))
    for options in ({"weight": weight}, {"ignore_index": 2}, {"label_smoothing": 0.1}):
        assert isinstance(nn.cross_entropy(x, asarray(LABELS), **options).data, Device), options


# --- models moved, drawn on, trained --------------------------------------------------------------


def test_a_model_moves_there_and_back():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = model.state_dict()
    np.sum(model(np.ones((2, 3), np.float32))).backward()
    assert model.map(asarray) is model
    assert all(isinstance(p.data, Device) and p.grad is None for p in model.parameters())
    assert all(isinstance(b, Device) for _, b in model.named_buffers())
    assert all(isinstance(a, Device) for a in model.state_dict().values())
    model.load_state_dict(before)  # NumPy's arrays, as they are read from a file
    assert all(isinstance(p.data, Device) for p in model.parameters())
    model.map(asnumpy)
    for name, a in model.state_dict().items():
        assert type(a) is np.ndarray
        np.testing.assert_array_equal(a, before[name])
    with pytest.raises(ValueError, match=r"0\.weight of shape \(4, 3\) became \(12,\)"):
        model.map(np.ravel)
    assert model.layers[0].weight.shape == (4, 3) if hasattr(model, "layers") else True


def test_draws_are_the_same_numbers_on_the_device():
    x = np.zeros((3, 4))
    for draw in (uniform, normal_draw, partial(bernoulli, p=0.5)):
        here = draw(x, generator=np.random.default_rng(1))
        there = draw(asarray(x), generator=np.random.default_rng(1))
        assert isinstance(there, Device)
        np.testing.assert_array_equal(asnumpy(there), here)


def test_a_generator_of_the_device_draws_there():
    x = asarray(np.ones((50, 40)))
    kept = asnumpy(nn.functional.dropout(x, 0.25, Generator(0)))
    assert set(np.unique(kept)) == {0.0, 1 / 0.75} and abs(np.mean(kept > 0) - 0.75) < 0.05
    with pytest.raises(TypeError, match="does not say where it stands"):
        y = autograd.checkpoint(lambda x: nn.functional.dropout(x, 0.25, Generator(0)))(Tensor(x))
        np.sum(y).backward()


def test_gradients_share_no_memory():
    """An optimizer may write into one, and clipping does."""
    x, y = Tensor(asarray(np.ones(3))), Tensor(asarray(np.ones(3)))
    (x + y).backward(asarray(np.ones(3)))
    x.grad *= 5.0
    assert asnumpy(y.grad).tolist() == [1.0, 1.0, 1.0]


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True}, "Momentum": {}, "Nesterov": {}, "RMSprop": {},
    "Adagrad": {}, "Adadelta": {}, "Adam": {"weight_decay": 0.1}, "AdamW": {}, "Adamax": {},
    "NAdam": {}, "Rprop": {}, "Quickprop": {},
}  # fmt: skip


def steps(name, place):
    """Weights after some steps, with all that goes round them."""
    params = [Tensor(place(normal(4, 3))), Tensor(place(np.array(0.7)))]
    optimizer = getattr(optim, name)(params, lr=0.05, **OPTIMIZERS[name])
    ema, schedule = optim.EMA(params, 0.9), optim.LambdaLR(optimizer, lambda t: optim.cosine(t, 10))
    for i in range(5):
        optimizer.zero_grad()
        (np.sum((params[0] - 1.0) ** 2) * params[1] ** 2).backward()
        if i == 2:
            params[0].grad[0] = 0.0  # nothing moves there
        optim.add_gradient_noise_(params, i, generator=np.random.default_rng(i))
        optim.clip_grad_norm_(params, 3.0)
        optim.clip_grad_norm_(params, 2.9, norm_type=np.inf)
        optim.clip_grad_value_(params, 1.0)
        optimizer.step()
        schedule.step()
        ema.update()
    optimizer.load_state_dict(optimizer.state_dict())
    ema.load_state_dict(ema.state_dict())
    optimizer.step()
    slots = [state[n] for state in optimizer.state for n in sorted(state) if n != "shape"]
    return [*(p.data for p in params), *ema.average, *slots]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_stay_on_the_device(name):
    found, expected = steps(name, asarray), steps(name, lambda a: a)
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, Device) or np.isscalar(e), type(f)
        np.testing.assert_allclose(asnumpy(f), e, rtol=1e-12, atol=1e-12)


def test_every_optimizer_is_tested():
    kinds = {n for n in optim.__all__ if isinstance(getattr(optim, n), type)}
    assert set(OPTIMIZERS) == {
        n for n in kinds if issubclass(getattr(optim, n), optim.Optimizer) and n != "Optimizer"
    }


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n != "Momentum"])
def test_formulas_stay_on_the_device(name):
    update = getattr(optim, name.lower())
    w, state = asarray(normal(4, 3)), {}
    for i in range(3):
        step, state = update(asarray(normal(4, 3, seed=i)), state, w, lr=0.1)
        w = w + step
    assert isinstance(w, Device)


def fitted(place):
    """A network trained by `fit`: the history, the weights, and what it predicts."""
    autograd.seed(5)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2),
                          nn.Linear(8, 3)).map(lambda a: place(a.astype(float)))  # fmt: skip
    x, y = normal(30, 4), np.random.default_rng(0).integers(0, 3, 30)
    data = place(x), place(y)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    history = optim.fit(
        model, data, nn.cross_entropy, optimizer, epochs=3, batch_size=10, validation=data,
        metrics=[lambda o, t: np.mean(np.argmax(o, axis=1) == t)], clip_norm=1.0, progress=False,
        generator=np.random.default_rng(1),
    )  # fmt: skip
    return history, [*model.state_dict().values(), optim.predict(model, data[0])]


def test_fit_stays_on_the_device():
    (here, expected), (there, found) = fitted(lambda a: a), fitted(asarray)
    np.testing.assert_allclose(there["loss"], here["loss"], rtol=1e-9)
    np.testing.assert_allclose(there["val_loss"], here["val_loss"], rtol=1e-9)
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, Device)
        np.testing.assert_allclose(asnumpy(f), e, rtol=1e-9, atol=1e-12)


def each_gradient(place):
    """Gradients of a network's loss for every example by itself."""
    autograd.seed(2)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    model.map(lambda a: place(a.astype(float)))

    def loss(model, x, y):
        return nn.cross_entropy(model(x), y)

    x, y = place(normal(5, 4)), place(LABELS)
    return flatten(autograd.vmap(autograd.grad(loss), (None, 0, 0))(model, x, y))[0]


def test_gradients_of_each_example_stay_on_the_device():
    for found, expected in zip(each_gradient(asarray), each_gradient(lambda a: a), strict=True):
        assert isinstance(found, Device)
        np.testing.assert_allclose(asnumpy(found), expected, rtol=1e-10, atol=1e-12)


def test_a_step_asks_for_no_values():
    """Forward, backward and an optimizer's step: nothing is waited for but the labels' check."""
    model = nn.MLP((4, 8, 3)).map(asarray)
    optimizer = optim.AdamW(model.parameters())
    x, y = asarray(normal(6, 4).astype(np.float32)), asarray(LABELS.repeat(2)[:6])
    targets = asarray(normal(6, 3).astype(np.float32))
    for loss, target, expected in ((nn.mse, targets, 0), (nn.cross_entropy, y, 1)):
        before = Strict.transfers
        optimizer.zero_grad()
        loss(model(x), target).backward()
        optimizer.step()
        assert Strict.transfers - before == expected
