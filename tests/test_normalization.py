"""BatchNorm2d, LayerNorm, and what is done with batch normalization after training.

BatchNorm1d and lecture C's closed form of the gradient are in `test_nn`.  PyTorch's numbers are
of version 2.13.0, in double precision, on inputs that `wave` makes; the call stands beside them.
"""

import copy

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, vmap


def wave(*shape, step):
    """Numbers that any library can make alike: sin(step), sin(2·step), ..."""
    return np.sin(step * np.arange(1, np.prod(shape) + 1)).reshape(shape)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# --- batch norm over positions --------------------------------------------------------------------

# torch.nn.BatchNorm2d(2, eps=1e-3, momentum=0.3), weight (0.5, 2), bias (0.1, -0.2), on
# x = wave(2, 2, 1, 2, step=0.7): the result, the gradient of sum(result³) by x, the running
# statistics, and in evaluation the result on wave(1, 2, 1, 2, step=0.9)
BATCH_NORM = {
    "y": [
        0.4631020530249, 0.6915390118769, 2.418846298177, 0.9884412030882, -0.2029988829503,
        -0.5516421819515, -2.579143590401, -1.628143910865,
    ],
    "slope": [
        -0.1999194483736, 0.2610010293801, 18.93017874751, -22.93610619658, -0.3472446459567,
        0.2861630649502, 17.50007395061, -13.49414650154,
    ],
    "mean": [0.03054813128422, -0.03116413002689],
    "var": [0.9227345762106, 0.9177893597766],
    "eval": [0.4916190158738, 0.5907338415122, 0.7567600700634, -1.058302117783],
}  # fmt: skip


def test_batch_norm_of_images_is_pytorchs():
    layer = nn.BatchNorm2d(2, eps=1e-3, momentum=0.3, dtype=float)
    layer.weight.data, layer.bias.data = np.array([0.5, 2.0]), np.array([0.1, -0.2])
    x = Tensor(wave(2, 2, 1, 2, step=0.7))
    y = layer(x)
    np.sum(y**3).backward()
    close(y.data.reshape(-1), BATCH_NORM["y"])
    close(x.grad.reshape(-1), BATCH_NORM["slope"])
    close(layer.running_mean, BATCH_NORM["mean"])
    close(layer.running_var, BATCH_NORM["var"])
    layer.eval()
    close(layer(wave(1, 2, 1, 2, step=0.9)).data.reshape(-1), BATCH_NORM["eval"])


def test_batch_norm_of_images_is_that_of_their_positions():
    x = wave(3, 2, 4, 5, step=0.7)
    images, rows = nn.BatchNorm2d(2, dtype=float), nn.BatchNorm1d(2, dtype=float)
    expected = rows(np.moveaxis(x, 1, -1).reshape(-1, 2)).data.reshape(3, 4, 5, 2)
    close(images(x).data, np.moveaxis(expected, -1, 1))
    close(images.running_var, rows.running_var)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 4, 3, 3), ()])
def test_batch_norm_of_images_names_the_shape_it_wanted(shape):
    with pytest.raises(ValueError, match=r"BatchNorm2d\(3\): x of shape \(N, 3, H, W\) wanted"):
        nn.BatchNorm2d(3)(np.zeros(shape))


# --- layer norm -----------------------------------------------------------------------------------

# torch.nn.LayerNorm((2, 3), eps=1e-3), weight wave(2, 3, step=0.4), bias wave(2, 3, step=0.2), on
# wave(2, 2, 3, step=0.7): the result, and the gradients of sum(result³) by x and the weight
LAYER_NORM = {
    "y": [
        0.4172054078171, 1.156719343641, 1.391812948251, 0.8177453589955, 0.00367051058266,
        -0.2144617938334, -0.3897848547329, -0.3585652631132, 0.3984801804517, 1.392658963115,
        1.857451320373, 1.566412728499,
    ],
    "slope": [
        -3.449871541443, -0.4781272299249, 3.665889890043, 0.1554326875316, -0.7911487703627,
        0.8978249641558, 1.754093764873, -0.03778536997738, -3.365545298229, 0.2921528383801,
        3.273362880475, -1.916278815522,
    ],
    "weight": [
        -0.395718585437, 3.891293049524, 5.072630852943, 4.132402915981, 11.56469218488,
        6.678964260847,
    ],
}  # fmt: skip


def test_layer_norm_is_pytorchs():
    layer = nn.LayerNorm((2, 3), eps=1e-3, dtype=float)
    layer.weight.data, layer.bias.data = wave(2, 3, step=0.4), wave(2, 3, step=0.2)
    x = Tensor(wave(2, 2, 3, step=0.7))
    y = layer(x)
    np.sum(y**3).backward()
    close(y.data.reshape(-1), LAYER_NORM["y"])
    close(x.grad.reshape(-1), LAYER_NORM["slope"])
    close(layer.weight.grad.reshape(-1), LAYER_NORM["weight"])


def test_layer_norm_normalizes_each_example_alone():
    layer, x = nn.LayerNorm(5, eps=0.0, dtype=float), 5 + 7 * wave(3, 4, 5, step=0.7)
    y = layer(x).data
    close(y.mean(-1), np.zeros((3, 4)))
    close(y.std(-1), np.ones((3, 4)))
    close(vmap(layer)(x).data, y)
    assert np.array_equal(layer.eval()(x).data, y)


def test_layer_norm_keeps_precision_and_its_settings():
    x = wave(2, 4, step=0.7).astype(np.float32)
    assert nn.LayerNorm(4)(x).dtype == np.float32
    assert [n for n, _ in nn.LayerNorm(4, bias=False).named_parameters()] == ["weight"]
    bare = nn.LayerNorm((4,), elementwise_affine=False)
    assert bare.parameters() == [] and bare(x).dtype == np.float32
    assert "elementwise_affine=False" in repr(bare)


def test_layer_norm_says_what_it_wants():
    with pytest.raises(ValueError, match=r"sizes \(2, 3\) wanted, got shape \(3, 2\)"):
        nn.LayerNorm((2, 3))(np.zeros((3, 2)))
    for shape in (0, (), (2, -1), 1.5):
        with pytest.raises(ValueError, match="LayerNorm: normalized_shape"):
            nn.LayerNorm(shape)
    with pytest.raises(ValueError, match="eps"):
        nn.LayerNorm(3, eps=-1.0)


# --- exact statistics -----------------------------------------------------------------------------


def test_exact_statistics_are_the_averages_over_minibatches():
    """Lecture C: the mean of the means, and of B/(B-1) times the variances, of the layer's input
    in the trained network, whose earlier batch norm uses its batch's statistics, too.  A batch
    counts by its examples: the means' is the mean of the data.
    """
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(3, 4, dtype=float, generator=rng), nn.BatchNorm1d(4, dtype=float), nn.Tanh(),
        nn.Dropout(0.5, rng), nn.Linear(4, 2, dtype=float, generator=rng),
        nn.BatchNorm1d(2, dtype=float),
    )  # fmt: skip
    sizes = (8, 8, 5)
    batches = [rng.normal(size=(n, 3)) for n in sizes]
    assert nn.exact_statistics(model, batches) is model
    first, second = model[1], model[5]
    inputs = [model[0](b).data for b in batches]
    close(first.running_mean, np.concatenate(inputs).mean(0))
    close(first.running_var, np.average([z.var(0, ddof=1) for z in inputs], 0, sizes))
    inputs = [
        model[4](np.tanh((z - z.mean(0)) / np.sqrt(z.var(0) + first.eps))).data for z in inputs
    ]
    close(second.running_mean, np.concatenate(inputs).mean(0))
    close(second.running_var, np.average([z.var(0, ddof=1) for z in inputs], 0, sizes))
    assert all(m.training for m in model.modules())
    assert first.momentum == 0.1


def test_exact_statistics_leave_modes_and_on_failure_everything():
    model = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), nn.Dropout(0.5))
    model[1].eval()
    before = model.state_dict()
    good, bad = np.ones((3, 2), np.float32), np.ones((3, 5), np.float32)
    for batches in ([good, bad], []):
        with pytest.raises(ValueError):
            nn.exact_statistics(model, batches)
        for name, value in model.state_dict().items():
            assert np.array_equal(value, before[name])
        assert [m.training for m in model.modules()] == [True, True, False]
        assert model[0].momentum == 0.3
    with pytest.raises(ValueError, match="no batch normalization"):
        nn.exact_statistics(nn.Linear(2, 3), [good])


# --- folding --------------------------------------------------------------------------------------


def unsettled(model):
    """Batch normalization with weights and statistics that are no ones and zeros."""
    rng = np.random.default_rng(1)
    for m in model.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.weight.data = rng.normal(size=m.num_features)
            m.bias.data = rng.normal(size=m.num_features)
            m.running_mean = rng.normal(size=m.num_features)
            m.running_var = rng.uniform(0.5, 2, m.num_features)
    return model


def norms(model):
    return sum(isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for m in model.modules())


def f64(layer, *args, **settings):
    return layer(*args, dtype=float, generator=np.random.default_rng(0), **settings)


FOLDABLE = {  # the model, the shape of x, how many batch norms stay
    "linear": (
        lambda: nn.Sequential(
            f64(nn.Linear, 3, 4), nn.BatchNorm1d(4, dtype=float), nn.ReLU(),
            f64(nn.Linear, 4, 2, bias=False), nn.BatchNorm1d(2, dtype=float),
        ),
        (5, 3),
        0,
    ),
    "images": (
        lambda: nn.Sequential(
            f64(nn.Conv2d, 2, 4, 3, groups=2), nn.BatchNorm2d(4, dtype=float), nn.Tanh(),
            f64(nn.Conv2d, 4, 3, 2, bias=False), nn.BatchNorm2d(3, dtype=float),
        ),
        (2, 2, 5, 6),
        0,
    ),
    "signals": (
        lambda: nn.Sequential(f64(nn.Conv1d, 2, 3, 2), nn.BatchNorm1d(3, dtype=float)),
        (2, 2, 5),
        0,
    ),
    "nested and named": (
        lambda: nn.Sequential(
            {"in": nn.Sequential(f64(nn.Linear, 3, 4), nn.BatchNorm1d(4, dtype=float)),
             "out": f64(nn.Linear, 4, 2), "norm": nn.BatchNorm1d(2, dtype=float)},
        ),
        (5, 3),
        0,
    ),
    "two in a row": (
        lambda: nn.Sequential(
            f64(nn.Linear, 3, 4), nn.BatchNorm1d(4, dtype=float), nn.BatchNorm1d(4, dtype=float)
        ),
        (5, 3),
        0,
    ),
    "after an activation": (
        lambda: nn.Sequential(f64(nn.Linear, 3, 4), nn.Tanh(), nn.BatchNorm1d(4, dtype=float)),
        (5, 3),
        1,
    ),
    "first": (
        lambda: nn.Sequential(nn.BatchNorm1d(3, dtype=float), f64(nn.Linear, 3, 4)), (5, 3), 1
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDABLE)
def test_folding_changes_nothing_but_rounding(name):
    make, shape, stay = FOLDABLE[name]
    model, x = unsettled(make()), wave(*shape, step=0.7)
    before = model.state_dict()
    folded = nn.fold_batch_norm(model)
    close(folded(x).data, copy.deepcopy(model).eval()(x).data, 1e-12)
    assert norms(folded) == stay
    assert model.training and not folded.training
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])


def test_a_layer_used_twice_is_not_folded():
    shared = f64(nn.Linear, 3, 3)
    model = nn.Sequential(shared, nn.BatchNorm1d(3, dtype=float), nn.Tanh(), shared)
    model, x = unsettled(model), wave(4, 3, step=0.7)
    folded = nn.fold_batch_norm(model)
    assert norms(folded) == 1
    close(folded(x).data, model.eval()(x).data)


def test_weights_tied_elsewhere_are_not_folded():
    model = nn.Sequential(f64(nn.Linear, 3, 3), nn.BatchNorm1d(3, dtype=float), nn.Tanh(),
                          f64(nn.Linear, 3, 3))  # fmt: skip
    model[3].weight = model[0].weight
    model, x = unsettled(model), wave(4, 3, step=0.7)
    folded = nn.fold_batch_norm(model)
    assert norms(folded) == 1
    close(folded(x).data, model.eval()(x).data)


def test_folded_weights_keep_their_precision_and_are_trainable():
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4))
    folded = nn.fold_batch_norm(model)
    x = wave(2, 3, step=0.7).astype(np.float32)
    assert folded(x).dtype == np.float32
    slopes = grad(lambda model: np.sum(model(x)))(folded)
    assert (slopes[0].weight.shape, slopes[0].bias.shape) == ((4, 3), (4,))


def test_only_modules_are_folded():
    with pytest.raises(TypeError, match="a Module is wanted, not list"):
        nn.fold_batch_norm([nn.Linear(2, 3)])


# --- what stays as it is --------------------------------------------------------------------------


@pytest.mark.parametrize("make, shape", [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm2d, (2, 3, 2, 2))])
def test_running_statistics_keep_their_dtype_whatever_the_data(make, shape):
    """Double data in a single-precision model: its state fits another such model afterwards."""
    layer, x = make(3), wave(*shape, step=0.7)
    layer(x)
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float32
    make(3).load_state_dict(layer.state_dict())
    exact = make(3, dtype=float)
    exact(x)
    close(layer.running_mean, exact.running_mean, 1e-6)
    close(layer.running_var, exact.running_var, 1e-6)


def test_layer_norm_of_no_examples():
    x = Tensor(np.zeros((0, 3)))
    y = nn.LayerNorm(3, dtype=float)(x)
    np.sum(y).backward()
    assert y.shape == x.grad.shape == (0, 3)
