"""Layers, losses and modules: fused operations against their composed forms, PyTorch's numbers.

PyTorch's numbers were computed in double precision with PyTorch 2.13.0 (CPU), on inputs that
`wave` makes.
"""

import collections
import copy
import pickle
import warnings

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, grad, gradients, hvp, jvp, no_grad, tree_map, value_and_grad, vmap
from autograd.rules.random import bernoulli, normal, uniform
from nn import functional as F


def wave(*shape, step):
    """Numbers that any library can make alike: sin(step), sin(2·step), ..."""
    return np.sin(step * np.arange(1, np.prod(shape) + 1)).reshape(shape)


def set_parameters(model, arrays):
    for p, array in zip(model.parameters(), arrays, strict=True):
        p.data = array


def double(model):
    """The same model in double precision."""
    for p in model.parameters():
        p.data = np.asarray(p.data, float)
    for module in model.modules():
        for name in module.__dict__.get("_buffers", {}):
            setattr(module, name, np.asarray(getattr(module, name), float))
    return model


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# --- fused operations are their composed forms ---------------------------------------------------


def composed_linear(x, weight, bias):
    y = np.einsum("...i,oi->...o", x, weight)
    return y if bias is None else y + bias


def composed_batch_norm(x, gamma, beta, axes, eps):
    mean = np.mean(x, axis=axes, keepdims=True)
    var = np.var(x, axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var


def composed_cross_entropy(logits, labels, reduction):
    chances = np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True)
    losses = -np.log(chances[np.arange(len(labels)), labels])
    return {"mean": np.mean, "sum": np.sum, "none": np.positive}[reduction](losses)


LABELS = np.array([2, 0, 1, 1])
MASK = np.random.default_rng(3).random((4, 3), np.float32) < 1 - 0.3
FUSED = {
    "linear of one row": (F.linear, composed_linear, (4,), (2, 4), (2,)),
    "linear": (F.linear, composed_linear, (3, 4), (2, 4), (2,)),
    "linear of a stack": (F.linear, composed_linear, (2, 3, 4), (2, 4), (2,)),
    "linear without bias": (
        lambda x, w: F.linear(x, w, None),
        lambda x, w: composed_linear(x, w, None),
        (3, 4), (2, 4),
    ),
    "batch norm": (
        lambda *a: F.batch_norm(*a, axes=(0,), eps=1e-3),
        lambda *a: composed_batch_norm(*a, axes=(0,), eps=1e-3),
        (5, 3), (3,), (3,),
    ),
    "batch norm of sequences": (
        lambda *a: F.batch_norm(*a, axes=(0, 2), eps=1e-3),
        lambda *a: composed_batch_norm(*a, axes=(0, 2), eps=1e-3),
        (3, 2, 4), (2, 1), (2, 1),
    ),
    "batch norm, value only": (
        lambda *a: F.batch_norm(*a, axes=(0,), eps=1e-3)[0],
        lambda *a: composed_batch_norm(*a, axes=(0,), eps=1e-3)[0],
        (5, 3), (3,), (3,),
    ),
    "dropout": (
        lambda x: F.dropout(x * x, 0.3, np.random.default_rng(3)),
        lambda x: x * x * MASK / 0.7,
        (4, 3),
    ),
    **{
        f"cross entropy, {reduction}": (
            lambda z, r=reduction: nn.cross_entropy(z, LABELS, r),
            lambda z, r=reduction: composed_cross_entropy(z, LABELS, r),
            (4, 3),
        )
        for reduction in ("mean", "sum", "none")
    },
}  # fmt: skip


def total(outputs):
    """All outputs, weighted so that no two elements count alike."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return sum(np.sum(y * wave(*y.shape, step=0.9 + k)) for k, y in enumerate(outputs))


@pytest.fixture(params=FUSED)
def fused(request):
    """(fused, composed, arguments)"""
    ours, composed, *shapes = FUSED[request.param]
    return ours, composed, [0.2 + wave(*s, step=1.3 + k) for k, s in enumerate(shapes)]


def test_fused_value_is_the_composed_ones(fused):
    ours, composed, args = fused
    for found in (ours(*args), ours(*map(Tensor, args))):
        expected = composed(*args)
        pairs = zip(found, expected, strict=True) if type(found) is tuple else [(found, expected)]
        for a, b in pairs:
            close(a.data if isinstance(a, Tensor) else a, b)
            assert np.shape(a) == np.shape(b)


def test_fused_gradient_is_the_composed_ones(fused):
    ours, composed, args = fused
    everything = tuple(range(len(args)))
    found = grad(lambda *a: total(ours(*a)), everything)(*args)
    expected = grad(lambda *a: total(composed(*a)), everything)(*args)
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def test_fused_second_derivative_is_the_composed_ones(fused):
    ours, composed, args = fused
    vectors = tuple(wave(*a.shape, step=0.7) for a in args)
    found = hvp(lambda *a: total(ours(*a)), tuple(args), vectors)
    expected = hvp(lambda *a: total(composed(*a)), tuple(args), vectors)
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def test_fused_recorded_gradient_is_differentiated_again(fused):
    ours, composed, args = fused
    second = []
    for f in (ours, composed):
        xs = [Tensor(a) for a in args]
        slopes = gradients(total(f(*xs)), xs, record=True)
        again = sum(np.sum(g * g) for g in slopes)
        second.append(gradients(again, xs) if again.requires_grad else [0.0] * len(xs))
    for a, b in zip(*second, strict=True):
        close(a, b)


# --- linear --------------------------------------------------------------------------------------


def test_linear_starts_uniform_within_one_over_the_root_of_fan_in():
    layer = nn.Linear(400, 300, generator=np.random.default_rng(0))
    for p in layer.parameters():
        assert np.abs(p.data).max() <= 1 / 20
        assert np.abs(p.data).max() > 0.99 / 20
        assert np.std(p.data) == pytest.approx(1 / 20 / np.sqrt(3), rel=0.05)
        assert abs(np.mean(p.data)) < 0.005


def test_linear_is_the_same_for_the_same_seed():
    autograd.seed(4)
    first = nn.Linear(3, 2)
    autograd.seed(4)
    second = nn.Linear(3, 2)
    third = nn.Linear(3, 2)
    assert np.array_equal(first.weight.data, second.weight.data)
    assert np.array_equal(first.bias.data, second.bias.data)
    assert not np.array_equal(second.weight.data, third.weight.data)


def test_linear_draws_from_its_own_generator_only():
    autograd.seed(4)
    expected = uniform(np.zeros(3))
    autograd.seed(4)
    first = nn.Linear(3, 2, generator=np.random.default_rng(1))
    second = nn.Linear(3, 2, generator=np.random.default_rng(1))
    assert np.array_equal(first.weight.data, second.weight.data)
    assert np.array_equal(uniform(np.zeros(3)), expected)


def test_linear_without_bias_has_one_parameter():
    layer = nn.Linear(3, 2, bias=False)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer.bias is None
    close(layer(np.eye(3, dtype=np.float32)).data, layer.weight.data.T)


@pytest.mark.parametrize("shape", [(), (4,), (2, 4), (3, 2)])
def test_linear_names_the_shape_it_wanted(shape):
    with pytest.raises(ValueError, match=r"Linear\(3, 2\).*must have 3 elements") as caught:
        nn.Linear(3, 2)(np.zeros(shape, np.float32))
    assert f"shape {shape}" in str(caught.value)


# --- batch norm ----------------------------------------------------------------------------------


def test_batch_norm_gradient_is_the_lectures_closed_form():
    """Lecture C, for one unit: with u = (z - μ)/√(σ² + ε), ẑ = γu + β and the cotangent g of ẑ,

    ∂D/∂z_i = ∂D/∂u_i · 1/√(σ²+ε) + ∂D/∂σ² · 2(z_i - μ)/B + ∂D/∂μ · 1/B,
    ∂D/∂σ² = -½(σ²+ε)^(-3/2) Σ ∂D/∂u_i (z_i - μ),  ∂D/∂μ = -1/√(σ²+ε) Σ ∂D/∂u_i.
    """
    b, eps = 6, 1e-3
    z, g = wave(b, 3, step=1.7), wave(b, 3, step=0.9)
    gamma, beta = np.array([0.5, 1.0, -2.0]), np.array([0.1, 0.2, 0.3])
    mu, var = z.mean(0), z.var(0)
    root = np.sqrt(var + eps)
    du = g * gamma
    dvar = -0.5 * (var + eps) ** -1.5 * (du * (z - mu)).sum(0)
    dmu = -du.sum(0) / root
    expected = du / root + dvar * 2 * (z - mu) / b + dmu / b

    def divergence(z, gamma, beta):
        return np.sum(g * F.batch_norm(z, gamma, beta, axes=(0,), eps=eps)[0])

    by_z, by_gamma, by_beta = grad(divergence, (0, 1, 2))(z, gamma, beta)
    close(by_z, expected, 1e-12)
    close(by_gamma, (g * (z - mu) / root).sum(0), 1e-12)
    close(by_beta, g.sum(0), 1e-12)


def test_batch_norm_normalizes():
    layer = nn.BatchNorm1d(3, eps=0.0, dtype=float)
    y = layer(5 + 7 * wave(20, 3, step=1.7)).data
    close(y.mean(0), np.zeros(3))
    close(y.std(0), np.ones(3))


# torch.nn.BatchNorm1d(3, eps=1e-3, momentum=0.3), weight (0.5, 1, 2), bias (0.1, -0.2, 0.3),
# called on wave(*shape, step=0.7 * k) for k = 1..4 while training, and then once on
# wave(*shape, step=0.9) in evaluation: the running statistics after 1 and 4 calls, the fourth
# result, the result in evaluation
TORCH_BATCH_NORM = {
    (5, 3): {
        "mean": {
            1: [0.05837029115024429, 0.03750533814309552, -0.000998961429825163],
            4: [0.16927947703632004, -0.12123676473279116, 0.005364809087594426],
        },
        "var": {
            1: [0.8377464215449427, 0.8893970333521108, 0.925690444643291],
            4: [0.575020736919871, 0.5862857543192334, 0.654416548330365],
        },
        "y": [
            [0.432340113709268, -1.1384480163307005, 2.5267250953755913],
            [-0.5050602394305863, 1.0125714617213188, -1.945108657017552],
            [0.6798392560534986, -0.8284875521409965, 0.5056312198863214],
            [0.38662988064641296, -1.0674249152771111, 2.432182147744464],
            [-0.4937490109785932, 1.021789022027489, -2.0194298059888247],
        ],
        "eval": [
            [0.504531984494213, 1.2289691645909298, 1.3425556718376188],
            [-0.30305133243532506, -1.3173721423559728, -1.6223083892131271],
            [-0.00044371000657779304, 0.9938536500245605, 2.6827845969581854],
            [0.259981364122265, -0.6388347486336335, -2.1365806171721187],
            [-0.5135123675117113, 0.002075654628470264, 2.272434061259161],
        ],
    },
    (2, 3, 4): {
        "mean": {
            1: [0.03456040042520131, -0.06601556991466082, 0.08984228918593314],
            4: [0.04083055015176283, -0.06983017184898925, 0.062229005608489936],
        },
        "var": {
            1: [0.8759752283920899, 0.8573659340249856, 0.8355217111397445],
            4: [0.7380568431302588, 0.6344048661330699, 0.654405074227098],
        },
        "y": [
            [
                [
                    0.3460884080183829,
                    -0.23860201373733236,
                    0.6605100667449143,
                    -0.44912648949026884,
                ],
                [1.487751672675659, -1.6133059497263016, 0.978149361816404, -0.8042471945416272],
                [0.32238407568826816, 0.8692161255963737, -1.4089295462240927, 2.337277898441512],
            ],
            [
                [-0.43953095504863987, 0.7470156892994018, -0.4112126085075397, 0.5848579027210818],
                [-0.9045842898590554, 0.07359079360495645, 0.19162172841529856, -1.008976122385334],
                [2.2284723402930875, -2.38983296565048, 2.8264799153884392, -2.385067843533108],
            ],
        ],
        "eval": [
            [
                [0.5318425300610166, 0.6426510872262687, 0.32482055105818913, -0.1811212651128394],
                [-1.338720243329999, -1.0818393553028176, -0.09130399358808586, 0.883268427917665],
                [2.54232561473983, 1.1643825292259415, -0.9840503201272295, -2.2770817852494956],
            ],
            [
                [-0.36692388777592766, 0.09580805176852109, 0.5437408050552853, 0.6378877946267895],
                [
                    0.38531847963937854,
                    -0.7050561599563234,
                    -1.3469183363489572,
                    -1.0545195509563816,
                ],
                [0.2708331475043099, 2.1564024806142768, 2.5207411281210343, 1.0881248652439641],
            ],
        ],
    },
}


@pytest.mark.parametrize("shape", TORCH_BATCH_NORM)
def test_batch_norm_is_pytorchs_over_several_steps(shape):
    numbers = TORCH_BATCH_NORM[shape]
    layer = nn.BatchNorm1d(3, eps=1e-3, momentum=0.3, dtype=float)
    layer.weight.data, layer.bias.data = np.array([0.5, 1.0, 2.0]), np.array([0.1, -0.2, 0.3])
    for k in range(1, 5):
        y = layer(wave(*shape, step=0.7 * k))
        if k in numbers["mean"]:
            close(layer.running_mean, numbers["mean"][k], 1e-12)
            close(layer.running_var, numbers["var"][k], 1e-12)
    close(y.data, numbers["y"], 1e-12)
    layer.eval()
    close(layer(wave(*shape, step=0.9)).data, numbers["eval"], 1e-12)


def test_batch_norm_in_evaluation_leaves_the_statistics():
    layer = nn.BatchNorm1d(3).eval()
    before = layer.state_dict()
    layer(wave(4, 3, step=1.0))
    for name, value in layer.state_dict().items():
        assert np.array_equal(value, before[name])


def test_batch_norm_in_evaluation_takes_one_row_and_its_derivative_is_the_scale():
    layer = nn.BatchNorm1d(2, eps=0.0, dtype=float).eval()
    layer.running_var = np.array([4.0, 9.0])
    layer.weight.data = np.array([3.0, 5.0])
    x = Tensor(np.ones((1, 2)))
    np.sum(layer(x)).backward()
    close(x.grad, [[3 / 2, 5 / 3]])


def test_batch_norm_takes_any_strides_and_keeps_its_input():
    x = np.asfortranarray(wave(6, 3, step=1.0))
    before = x.copy()
    a = nn.BatchNorm1d(3, dtype=float)(x[::2]).data
    b = nn.BatchNorm1d(3, dtype=float)(np.ascontiguousarray(x[::2])).data
    close(a, b)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("shape", [(), (3,), (4, 2), (4, 2, 3), (4, 3, 2, 2)])
def test_batch_norm_names_the_shape_it_wanted(shape):
    with pytest.raises(ValueError, match=r"BatchNorm1d\(3\).*\(N, 3\) or \(N, 3, L\)") as caught:
        nn.BatchNorm1d(3)(np.zeros(shape))
    assert f"got {shape}" in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (1, 3, 1), (4, 3, 0)])
def test_batch_norm_refuses_one_value_a_feature_while_training(shape):
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"more than one value.*eval\(\)") as caught:
        layer(np.zeros(shape))
    assert f"{shape}" in str(caught.value)
    assert np.array_equal(layer.running_mean, np.zeros(3))
    assert np.array_equal(layer.running_var, np.ones(3))


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 3, 1)])
def test_batch_norm_counts_positions_as_values(shape):
    assert nn.BatchNorm1d(3)(wave(*shape, step=1.0)).shape == shape


def test_batch_norm_far_from_zero_is_exact():
    """The variance is of centred values: E[x²] - E[x]² would lose everything at 1e8."""
    x = wave(6, 2, step=1.0)
    near, far = (nn.BatchNorm1d(2, dtype=float)(x + shift).data for shift in (0.0, 1e8))
    close(far, near, 1e-6)


# --- dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expectation(p):
    """While training the mean of many draws is x, as the value in evaluation is."""
    x = np.array([1.0, -2.0, 3.0])
    layer = nn.Dropout(p, np.random.default_rng(0))
    draws = np.array([layer(x) for _ in range(4000)])
    error = np.abs(x) * np.sqrt(p / (1 - p) / len(draws))  # the mean's standard deviation
    assert np.all(np.abs(draws.mean(0) - x) < 4 * error)
    assert np.array_equal(layer.eval()(x), x)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_drops_with_probability_p_and_divides_the_rest(p):
    y = F.dropout(np.ones(20000), p, np.random.default_rng(0))
    assert np.mean(y == 0) == pytest.approx(p, abs=0.015)
    close(y[y != 0], 1 / (1 - p))


def test_dropout_of_nothing_is_the_input():
    x = Tensor([1.0, 2.0])
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0) is x


def test_dropout_of_everything_is_zero_and_so_is_its_derivative():
    x = wave(5, step=1.0)
    assert np.array_equal(F.dropout(x, 1), np.zeros(5))
    assert np.array_equal(grad(lambda x: np.sum(F.dropout(x, 1.0)))(x), np.zeros(5))


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan, np.inf])
@pytest.mark.parametrize("make", [nn.Dropout, lambda p: F.dropout(np.ones(3), p)])
def test_dropout_refuses_p_outside_its_range(make, p):
    with pytest.raises(ValueError, match=r"probability.*\[0, 1\]"):
        make(p)


def test_dropout_repeats_with_the_seed():
    autograd.seed(1)
    first = F.dropout(np.ones(50))
    again = F.dropout(np.ones(50))
    autograd.seed(1)
    assert np.array_equal(F.dropout(np.ones(50)), first)
    assert not np.array_equal(first, again)


def test_dropout_draws_from_its_own_generator_only():
    autograd.seed(1)
    expected = F.dropout(np.ones(50))
    autograd.seed(1)
    first = nn.Dropout(0.5, np.random.default_rng(5))(np.ones(50))
    second = nn.Dropout(0.5, np.random.default_rng(5))(np.ones(50))
    assert np.array_equal(first, second)
    assert np.array_equal(F.dropout(np.ones(50)), expected)


def test_dropout_in_evaluation_draws_nothing():
    generator = np.random.default_rng(5)
    before = generator.bit_generator.state
    x = Tensor(np.ones(3))
    assert nn.Dropout(0.5, generator).eval()(x) is x
    assert generator.bit_generator.state == before


def test_dropouts_derivative_uses_the_same_mask():
    x = Tensor(np.ones(200))
    y = F.dropout(x, 0.4)
    np.sum(y).backward()
    assert np.array_equal(x.grad, y.data)
    np.sum(y).backward()
    assert np.array_equal(x.grad, 2 * y.data)


def test_dropout_spares_infinities_it_keeps_and_float32():
    x = np.full(100, 3.0, np.float32)
    y = F.dropout(Tensor(x), 0.5)
    assert y.dtype == np.float32
    (y * y).sum().backward()


def test_a_draw_is_made_for_the_shape_and_dtype_it_is_like():
    like = np.zeros((2, 3), np.float32)
    generator = np.random.default_rng(0)
    for draw in (uniform(like, generator=generator), normal(like, generator=generator)):
        assert draw.shape == (2, 3) and draw.dtype == np.float32
    mask = bernoulli(like, p=0.5, generator=generator)
    assert mask.shape == (2, 3) and mask.dtype == bool


def test_draws_have_the_moments_they_are_asked_for():
    like, generator = np.zeros(40000), np.random.default_rng(0)
    flat = uniform(like, low=-1.0, high=3.0, generator=generator)
    assert flat.min() >= -1 and flat.max() < 3
    assert np.mean(flat) == pytest.approx(1, abs=0.03)
    bell = normal(like, mean=2.0, std=3.0, generator=generator)
    assert np.mean(bell) == pytest.approx(2, abs=0.06)
    assert np.std(bell) == pytest.approx(3, rel=0.02)
    assert np.mean(bernoulli(like, p=0.3, generator=generator)) == pytest.approx(0.3, abs=0.01)


# --- cross entropy -------------------------------------------------------------------------------

# torch.nn.functional.cross_entropy of 3 * wave(4, 3, step=1.3) and labels 2, 0, 1, 1
TORCH_CROSS_ENTROPY = {
    "mean": 3.6668884981714385,
    "sum": 14.667553992685754,
    "none": [5.191265024468215, 5.740280973755781, 3.509439031578312, 0.22656896288344558],
}
TORCH_CROSS_ENTROPY_GRADIENT = [
    [0.19719023588945522, 0.051418523473922895, -0.24860875936337815],
    [-0.2491965337158311, 0.021691139854450342, 0.22750539386138074],
    [0.2334099572282881, -0.2425215774083063, 0.00911162018001816],
    [0.036418510391839985, -0.05068391030798802, 0.014265399916147989],
]


@pytest.mark.parametrize("reduction", TORCH_CROSS_ENTROPY)
def test_cross_entropy_is_pytorchs(reduction):
    logits = Tensor(3 * wave(4, 3, step=1.3))
    loss = nn.cross_entropy(logits, LABELS, reduction)
    close(loss.data, TORCH_CROSS_ENTROPY[reduction], 1e-13)
    np.sum(loss).backward()
    scale = 1 if reduction == "mean" else 4
    close(logits.grad, scale * np.array(TORCH_CROSS_ENTROPY_GRADIENT), 1e-13)


def test_cross_entropys_derivative_is_softmax_minus_one_hot():
    logits = wave(4, 3, step=1.3)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = grad(lambda z: nn.cross_entropy(z, LABELS, "sum"))(logits)
    close(found, softmax - np.eye(3)[LABELS], 1e-14)


def test_cross_entropy_is_the_mean_of_the_losses():
    logits = wave(4, 3, step=1.3)
    losses = nn.cross_entropy(logits, LABELS, "none")
    close(nn.cross_entropy(logits, LABELS), losses.mean(), 1e-14)
    close(nn.cross_entropy(logits, LABELS, "sum"), losses.sum(), 1e-14)


def test_cross_entropy_is_exact_at_a_thousand():
    """Right, wrong, and undecided by 1000 and 2000: no overflow, no NaN, no warning."""
    logits = np.array([[1000.0, -1000.0], [-1000.0, 1000.0], [1000.0, 1000.0], [-1000.0, -1000.0]])
    labels = np.array([0, 0, 1, 1])
    losses = nn.cross_entropy(logits, labels, "none")
    assert losses.tolist() == [0.0, 2000.0, np.log(2), np.log(2)]
    slope = grad(lambda z: nn.cross_entropy(z, labels, "sum"))(logits)
    assert slope.tolist() == [[0, 0], [-1, 1], [0.5, -0.5], [0.5, -0.5]]
    hessian = autograd.hessian(lambda z: nn.cross_entropy(z, labels, "sum"))(logits)
    expected = np.zeros((4, 2, 4, 2))
    expected[2, :, 2] = expected[3, :, 3] = [[0.25, -0.25], [-0.25, 0.25]]
    close(hessian, expected, 1e-15)


def test_cross_entropys_small_losses_are_exact():
    """log(1 + e⁻³⁰) = e⁻³⁰: the largest logit's own 1 does not swallow the rest."""
    loss = nn.cross_entropy(np.array([[30.0, 0.0]]), [0])
    assert loss == pytest.approx(np.log1p(np.exp(-30.0)), rel=1e-3)


def test_cross_entropy_in_float32_is_stable():
    logits = Tensor(np.array([[1000.0, -1000.0, 0.0]], np.float32))
    loss = nn.cross_entropy(logits, [1])
    loss.backward()
    assert loss.dtype == np.float32 and loss.item() == 2000.0
    assert logits.grad.dtype == np.float32 and logits.grad.tolist() == [[1, -1, 0]]


def test_cross_entropys_nan_stays_in_its_row():
    logits = np.array([[0.0, np.nan], [0.0, 0.0]])
    losses = nn.cross_entropy(logits, [0, 0], "none")
    assert np.isnan(losses[0]) and losses[1] == np.log(2)
    slope = grad(lambda z: nn.cross_entropy(z, [0, 0], "sum"))(logits)
    assert np.isnan(slope[0]).all() and slope[1].tolist() == [-0.5, 0.5]


@pytest.mark.parametrize(
    "labels", [[2, 0, 1, 1], (2, 0, 1, 1), np.array([2, 0, 1, 1], np.uint8), [2.0, 0.0, 1.0, 1.0]]
)
def test_cross_entropy_takes_labels_of_many_kinds(labels):
    logits = wave(4, 3, step=1.3)
    assert nn.cross_entropy(logits, labels) == nn.cross_entropy(logits, LABELS)


def test_cross_entropy_of_no_examples():
    assert nn.cross_entropy(np.zeros((0, 3)), [], "sum") == 0
    assert nn.cross_entropy(np.zeros((0, 3)), [], "none").shape == (0,)
    with pytest.raises(ValueError, match="mean over no examples"):
        nn.cross_entropy(np.zeros((0, 3)), [])


@pytest.mark.parametrize(
    "shape, labels, error, message",
    [
        ((2, 3), [0, 3], IndexError, r"label 3 is not in 0\.\.2"),
        ((2, 3), [0, -1], IndexError, r"label -1 is not in 0\.\.2"),
        ((2, 3), [0.5, 1.0], TypeError, r"0\.\.2.*integers.*fractions"),
        ((2, 3), [0.0, np.nan], TypeError, r"0\.\.2.*integers"),
        ((2, 3), ["a", "b"], TypeError, "integers"),
        ((2, 3), [True, False], TypeError, "integers"),
        ((2, 3), [0], ValueError, r"\(2, 3\).*\(1,\)"),
        ((2, 3), [[0], [1]], ValueError, r"\(2, 3\).*\(2, 1\)"),
        ((2, 3), np.eye(3, dtype=int)[:2], ValueError, r"\(2, 3\).*\(2, 3\)"),
        ((3,), [0, 1, 2], ValueError, r"\(N, C\).*\(3,\)"),
        ((2, 3, 4), [0, 1], ValueError, r"\(N, C\).*\(2, 3, 4\)"),
    ],
)
def test_cross_entropy_says_what_it_wants(shape, labels, error, message):
    with pytest.raises(error, match=message):
        nn.cross_entropy(np.zeros(shape), labels)


def test_cross_entropy_refuses_an_unknown_reduction():
    with pytest.raises(ValueError, match='"mean", "sum" or "none", not \'average\''):
        nn.cross_entropy(np.zeros((2, 3)), [0, 1], "average")


# --- whole models --------------------------------------------------------------------------------


def small_model():
    """Weights as PyTorch's below have them."""
    model = nn.Sequential(
        nn.Linear(3, 4, dtype=float), nn.BatchNorm1d(4, dtype=float), nn.Tanh(),
        nn.Linear(4, 3, dtype=float), nn.ReLU(), nn.Linear(3, 2, dtype=float),
    )  # fmt: skip
    parameters = model.parameters()
    set_parameters(model, [wave(*p.shape, step=1.1 + 0.3 * k) for k, p in enumerate(parameters)])
    return model


X, Y = wave(6, 3, step=0.8), np.array([0, 1, 1, 0, 1, 0])
VECTORS = [(4, 3), (4,), (4,), (4,), (3, 4), (3,), (2, 3), (2,)]
VECTORS = [wave(*shape, step=0.4 + 0.2 * k) for k, shape in enumerate(VECTORS)]

# the model in PyTorch: parameter number k is wave(shape, step=1.1 + 0.3 k), x = wave((6, 3),
# step=0.8), cross entropy of labels 0 1 1 0 1 0; its derivatives, and the Hessian of the loss
# by the parameters times the vectors wave(shape, step=0.4 + 0.2 k)
TORCH_LOSS = 2.660772342430374
TORCH_GRADIENTS = [
    [[0.010484021793888704, -0.01869447325682519, -0.03653315168537114],
     [0.0036967954062339264, -0.0172076350191879, -0.027674144945964818],
     [0.0033166477493061924, 0.09108093158840717, 0.12359674451316069],
     [-0.013663381427755857, -0.05795178585246599, -0.06708741461637052]],
    [0.0, 0.0, 0.0, 0.0],
    [-0.9206771202397767, -0.44960650304044425, -0.20832476822639265, 0.06595751623830104],
    [1.0274486301298678, -0.5195514367557924, 0.2990512895349239, 0.1616664887198421],
    [[-0.006293054260652568, -0.3968477529910507, 0.21900910609854438, 0.45039829984116636],
     [0.0, 0.0, 0.0, 0.0],
     [-0.009809977633906173, -0.6186292727920051, 0.3414040851168052, 0.7021069682200758]],
    [0.5253011999915099, 0.0, 0.8188699492393086],
    [[0.8356426225389748, 0.0, 1.1034850716475726],
     [-0.8356426225389749, 0.0, -1.1034850716475728]],
    [0.49459760722900703, -0.49459760722900703],
]  # fmt: skip
TORCH_GRADIENT_BY_X = [
    [0.028773798573498113, 0.015670254361954915, -0.014557865372828136],
    [-0.0747039302009436, -0.01628601417615923, 0.05992938447336797],
    [0.08182201960797804, 0.07287072243463508, -0.015714265484317504],
    [0.010383145968036378, 0.006263759891677855, -0.0047007115832240366],
    [-0.04706377058567006, -0.05639521627040481, -0.004097532148754397],
    [0.000788736637101127, -0.022123506241703818, -0.02085900988424392],
]
TORCH_HVP = [
    [[-0.02457792370852345, 0.11750423950632265, 0.18830990779010592],
     [-0.0101495281874867, -0.06567419518580661, -0.08136177664636689],
     [0.04408715600837526, 0.09190989854373767, 0.08398132993330337],
     [0.1366014556211526, 0.22688445956529615, 0.1795423948303424]],
    [0.0, 0.0, 0.0, 0.0],
    [0.517926671031338, -1.305153678283845, -0.30113182593333243, 0.4057088674154697],
    [-0.5459075698146171, -1.5046724485441922, 0.3981182831527535, 0.036741393469545365],
    [[0.06547266205807685, 0.08497051391136395, -0.004931965088146029, 0.37646710561282093],
     [0.0, 0.0, 0.0, 0.0],
     [0.1150882900099279, 0.9538743131172348, -0.4610053520005583, -0.3454004871421661]],
    [0.4319977280548264, 0.0, -0.4138742863373914],
    [[-0.7265013082638255, 0.0, 0.007623917215860863],
     [0.7265013082638254, 0.0, -0.007623917215860886]],
    [-0.0044667404408509385, 0.004466740440850903],
]  # fmt: skip


def loss_of(model, x, y):
    return nn.cross_entropy(model(x), y)


def test_a_model_is_pytorchs():
    model, x = small_model(), Tensor(X)
    loss = loss_of(model, x, Y)
    loss.backward()
    close(loss.item(), TORCH_LOSS, 1e-12)
    close(x.grad, TORCH_GRADIENT_BY_X, 1e-12)
    for p, expected in zip(model.parameters(), TORCH_GRADIENTS, strict=True):
        close(p.grad, expected, 1e-12)


def test_grad_by_a_model_is_in_its_shape():
    model = small_model()
    loss, slope = value_and_grad(loss_of)(model, X, Y)
    close(loss, TORCH_LOSS, 1e-12)
    assert type(slope) is nn.Sequential
    close(slope[0].weight, TORCH_GRADIENTS[0], 1e-12)
    close(slope[5].bias, TORCH_GRADIENTS[-1], 1e-12)
    leaves, _ = autograd.tree.flatten(slope)
    for g, expected in zip(leaves, TORCH_GRADIENTS, strict=True):
        assert type(g) is np.ndarray
        close(g, expected, 1e-12)


def test_grad_by_a_model_leaves_the_model():
    model = small_model()
    before = model.state_dict()
    grad(loss_of)(model, X, Y)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    for name, p in model.named_parameters():
        assert np.array_equal(p.data, before[name])


def test_grad_by_model_and_input():
    by_model, by_x = grad(loss_of, (0, 1))(small_model(), X, Y)
    close(by_model[0].weight, TORCH_GRADIENTS[0], 1e-12)
    close(by_x, TORCH_GRADIENT_BY_X, 1e-12)


def test_hvp_with_a_model_is_pytorchs():
    model = small_model()
    _, rebuild = autograd.tree.flatten(model)
    found, *_ = hvp(lambda m: loss_of(m, X, Y), (model,), (rebuild(VECTORS),))
    leaves, _ = autograd.tree.flatten(found)
    for h, expected in zip(leaves, TORCH_HVP, strict=True):
        close(h, expected, 1e-11)


def test_grad_of_grad_through_a_model():
    def slope(model):
        leaves, _ = autograd.tree.flatten(grad(loss_of)(model, X, Y))
        return sum(np.sum(g * v) for g, v in zip(leaves, VECTORS, strict=True))

    leaves, _ = autograd.tree.flatten(grad(slope)(small_model()))
    for h, expected in zip(leaves, TORCH_HVP, strict=True):
        close(h, expected, 1e-11)


def test_gradients_by_all_parameters_are_differentiated_again():
    model = small_model()
    parameters = model.parameters()
    slopes = gradients(loss_of(model, X, Y), parameters, record=True)
    combined = sum(np.sum(g * v) for g, v in zip(slopes, VECTORS, strict=True))
    for h, expected in zip(gradients(combined, parameters), TORCH_HVP, strict=True):
        close(h, expected, 1e-11)


def test_derivative_by_the_input_inside_the_loss():
    """A penalty on the input's gradient, d/dw of |dy/dx|², for y = tanh(wx): by hand."""
    layer = nn.Linear(1, 1, bias=False, dtype=float)
    layer.weight.data = np.array([[0.7]])
    x, w = 0.4, 0.7

    def penalty(layer):
        return np.sum(grad(lambda x: np.sum(np.tanh(layer(x))))(np.array([[x]])) ** 2)

    t = np.tanh(w * x)
    sech2 = 1 - t * t
    by_hand = 2 * (w * sech2) * (sech2 - 2 * w * x * t * sech2)
    close(grad(penalty)(layer).weight, [[by_hand]], 1e-13)


def test_a_penalty_on_the_input_gradient_is_walked_back_to_the_models_parameters():
    """The gradient by x alone, of a loss that reads the model's variables, can go on to them."""
    model = small_model()
    slope = grad(lambda x: loss_of(model, x, Y))(X)
    close(slope.data, TORCH_GRADIENT_BY_X, 1e-12)
    np.sum(slope**2).backward()

    def penalty(model):
        return np.sum(grad(loss_of, 1)(model, X, Y) ** 2)

    leaves, _ = autograd.tree.flatten(grad(penalty)(small_model()))
    for p, expected in zip(model.parameters(), leaves, strict=True):
        close(p.grad, expected)
    assert np.any(model[0].weight.grad)


def test_models_derivatives_are_finite_differences():
    model = nn.Sequential(nn.Linear(3, 4, dtype=float), nn.Tanh(), nn.Linear(4, 2, dtype=float))
    autograd.check_gradients(lambda m, x: loss_of(m, x, Y), model, X, order=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_keeps_its_precision(dtype):
    model = nn.Sequential(
        nn.Linear(3, 4, dtype=dtype), nn.BatchNorm1d(4, dtype=dtype), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(4, 4, dtype=dtype), nn.Tanh(), nn.Linear(4, 2, dtype=dtype),
    )  # fmt: skip
    x = Tensor(X.astype(dtype))
    for mode in (True, False):
        model.train(mode)
        loss = loss_of(model, x, Y)
        loss.backward()
        assert loss.dtype == dtype and x.grad.dtype == dtype
        assert all(p.grad.dtype == dtype and p.grad.shape == p.shape for p in model.parameters())
        assert all(b.dtype == dtype for _, b in model.named_buffers())
        model.zero_grad()


def test_double_precision_input_to_a_single_precision_model_promotes():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    loss = loss_of(model, X, Y)
    loss.backward()
    assert loss.dtype == np.float64
    assert all(p.grad.dtype == np.float32 for p in model.parameters())


def test_layers_run_on_plain_arrays_in_no_grad():
    model = small_model()
    with no_grad():
        y = model(X)
    assert not y.requires_grad
    close(y.data, small_model()(X).data, 0)


# --- Module: what it finds -----------------------------------------------------------------------


Weights = collections.namedtuple("Weights", "a b")


class Branches(nn.Module):
    """Parts in lists, tuples and dicts, nested."""

    def __init__(self):
        self.scale = nn.Parameter(2.0)
        self.heads = [nn.Linear(2, 2), {"deep": (nn.Linear(2, 1, bias=False), nn.Tanh())}]
        self.table = {"a": nn.Parameter(np.ones(3))}
        self.label = "a string is no part"
        self.sizes = [1, 2, 3]

    def forward(self, x):
        return np.sum(self.heads[0](x)) * self.scale + np.sum(self.table["a"])


def test_parameters_are_found_in_containers():
    names = [name for name, _ in Branches().named_parameters()]
    assert names == [
        "scale", "heads.0.weight", "heads.0.bias", "heads.1.deep.0.weight", "table.a",
    ]  # fmt: skip


def test_parameters_are_in_the_order_of_their_names():
    model = Branches()
    named = [p for _, p in model.named_parameters()]
    assert len(named) == len(model.parameters())
    assert all(a is b for a, b in zip(named, model.parameters(), strict=True))


def test_modules_are_found_in_containers():
    kinds = [type(m).__name__ for m in Branches().modules()]
    assert kinds == ["Branches", "Linear", "Linear", "Tanh"]


def test_grad_by_containers_of_parts():
    slope = grad(lambda m: m(np.ones((1, 2))))(Branches())
    assert slope.heads[0].bias.tolist() == [2, 2]
    assert slope.table["a"].tolist() == [1, 1, 1]
    assert np.all(slope.heads[1]["deep"][0].weight == 0)


def test_parameters_are_found_in_namedtuples_and_private_attributes():
    class Pair(nn.Module):
        def __init__(self):
            self.pair = Weights(nn.Parameter(2.0), nn.Parameter(3.0))
            self._hidden = nn.Linear(1, 1, bias=False)

        def forward(self, x):
            return self.pair.a * self.pair.b * x

    model = Pair()
    assert [n for n, _ in model.named_parameters()] == ["pair.0", "pair.1", "_hidden.weight"]
    slope = grad(lambda m: m(5.0))(model)
    assert slope.pair == Weights(15.0, 10.0)


def test_a_result_kept_in_an_attribute_is_no_parameter():
    class Keeps(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 1, bias=False)

        def forward(self, x):
            self.last = self.layer(x)
            return np.sum(self.last)

    model = Keeps()
    model(np.ones((3, 2)))
    assert [name for name, _ in model.named_parameters()] == ["layer.weight"]
    assert list(model.state_dict()) == ["layer.weight"]
    close(grad(lambda m: m(np.ones((3, 2))))(model).layer.weight, [[3, 3]])


class Tied(nn.Module):
    """One Linear there and back, x Wᵀ W, and the same module under two names."""

    def __init__(self):
        self.there = nn.Linear(3, 2, bias=False, dtype=float)
        self.same = self.there
        self.weight = self.there.weight

    def forward(self, x):
        return self.same(self.there(x) @ self.weight)


def test_a_shared_parameter_counts_once():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["there.weight"]
    assert len(model.modules()) == 2
    assert list(model.state_dict()) == ["there.weight"]


def test_a_shared_parameters_gradient_is_the_sum_of_its_uses():
    model, x = Tied(), wave(4, 3, step=1.0)
    np.sum(model(x)).backward()
    w = model.weight.data
    expected = grad(lambda w: np.sum(x @ w.T @ w @ w.T))(np.array(w))
    close(model.weight.grad, expected)
    slope = grad(lambda m: np.sum(m(x)))(model)
    close(slope.there.weight, expected)
    close(slope.weight, expected)


def test_a_parameter_is_named_after_its_attribute():
    layer = nn.Linear(2, 1)
    assert (layer.weight.name, layer.bias.name) == ("weight", "bias")


def test_a_parameter_keeps_the_name_it_has():
    class Named(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(1.0, name="width")

    assert Named().w.name == "width"


def test_a_missing_attribute_is_named():
    with pytest.raises(AttributeError, match="Linear has no attribute 'wieght'"):
        nn.Linear(2, 1).wieght  # noqa: B018 - reading it is the test


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(TypeError, match="Empty has no forward"):
        Empty()(1.0)


# --- Module: modes -------------------------------------------------------------------------------


def test_modes_reach_every_part_and_return_the_module():
    model = Branches()
    assert all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert model.train() is model
    assert all(m.training for m in model.modules())


def test_grad_runs_the_model_in_its_mode():
    layer = nn.Dropout(1.0)
    model = nn.Sequential(nn.Linear(2, 1), layer).eval()
    assert np.any(grad(lambda m: np.sum(m(np.ones((1, 2)))))(model)[0].weight != 0)


def test_frozen_parameters_get_no_gradient():
    model = small_model()
    assert model[0].requires_grad_(False) is model[0]
    loss_of(model, X, Y).backward()
    assert model[0].weight.grad is None and model[0].bias.grad is None
    close(model[3].weight.grad, TORCH_GRADIENTS[4], 1e-12)


def test_frozen_parameters_stay_as_they_are_in_the_shape_of_the_gradient():
    model = small_model()
    model[0].requires_grad_(False)
    leaves, _ = autograd.tree.flatten(grad(loss_of)(model, X, Y))
    assert len(leaves) == len(model.parameters()) - 2
    close(leaves[2], TORCH_GRADIENTS[4], 1e-12)


def test_frozen_parameters_thaw():
    model = small_model()
    model.requires_grad_(False)
    assert not loss_of(model, X, Y).requires_grad
    model.requires_grad_()
    loss_of(model, X, Y).backward()
    close(model[0].weight.grad, TORCH_GRADIENTS[0], 1e-12)


def test_zero_grad_forgets():
    model = small_model()
    loss_of(model, X, Y).backward()
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


# --- Module: buffers -----------------------------------------------------------------------------


def test_buffers_are_listed_with_their_paths():
    names = [name for name, _ in small_model().named_buffers()]
    assert [name.split(".")[-1] for name in names] == ["running_mean", "running_var"]
    assert [name for name, _ in nn.BatchNorm1d(2).named_buffers()] == [
        "running_mean", "running_var",
    ]  # fmt: skip


def test_a_shared_modules_buffers_count_once():
    class Shared(nn.Module):
        def __init__(self):
            self.a = self.b = nn.BatchNorm1d(2)

    assert [n for n, _ in Shared().named_buffers()] == ["a.running_mean", "a.running_var"]
    assert list(Shared().state_dict()) == ["a.weight", "a.bias", "a.running_mean", "a.running_var"]


def test_a_buffer_is_no_parameter():
    layer = nn.BatchNorm1d(2)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_a_buffer_takes_the_plain_value_of_a_tensor():
    layer = nn.BatchNorm1d(2)
    layer.running_mean = Tensor([1.0, 2.0]) * 3.0
    assert type(layer.running_mean) is np.ndarray
    assert layer.running_mean.tolist() == [3.0, 6.0]


def test_running_statistics_inside_grad_of_grad_reach_the_model_as_plain_arrays():
    layer = nn.BatchNorm1d(3, dtype=float)
    x = wave(5, 3, step=1.0)

    def slope(x):
        return np.sum(grad(lambda x: np.sum(layer(x) ** 3))(x) ** 2)

    grad(slope)(x)
    assert type(layer.running_mean) is np.ndarray
    close(layer.running_mean, 0.1 * x.mean(0))
    close(layer.running_var, 0.9 + 0.1 * x.var(0, ddof=1))


def test_running_statistics_move_in_the_model_that_grad_is_given():
    model = small_model()
    grad(loss_of)(model, X, Y)
    expected = small_model()
    expected(X)
    assert not np.allclose(model[1].running_mean, 0)
    close(model[1].running_mean, expected[1].running_mean)


def test_a_buffer_does_not_alias_a_gradient_or_input():
    layer = nn.BatchNorm1d(2, momentum=1.0, dtype=float)
    x = wave(3, 2, step=1.0)
    layer(x)
    mean = layer.running_mean.copy()
    x[...] = 100
    assert np.array_equal(layer.running_mean, mean)


# --- Module: state -------------------------------------------------------------------------------


def test_state_dict_holds_copies_of_parameters_and_buffers():
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    assert list(state) == ["weight", "bias", "running_mean", "running_var"]
    for value in state.values():
        assert type(value) is np.ndarray
        value[...] = 7
    assert layer.weight.data.tolist() == [1, 1]
    assert layer.running_mean.tolist() == [0, 0]


def test_load_state_dict_gives_the_same_model():
    model, other = small_model(), small_model()
    for _ in range(3):
        model(X)
    set_parameters(model, [p.data * 2 for p in model.parameters()])
    other.load_state_dict(model.state_dict())
    for name, value in other.state_dict().items():
        assert np.array_equal(value, model.state_dict()[name])
    assert np.array_equal(model.eval()(X).data, other.eval()(X).data)


def test_load_state_dict_takes_copies():
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    layer.load_state_dict(state)
    for value in state.values():
        value[...] = 7
    assert layer.weight.data.tolist() == [1, 1]
    assert layer.running_mean.tolist() == [0, 0]


def test_load_state_dict_keeps_the_handles_and_the_dtype():
    layer = nn.Linear(2, 1)
    weight = layer.weight
    layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]})
    assert layer.weight is weight
    assert weight.dtype == np.float32 and weight.data.tolist() == [[1, 2]]
    assert weight.requires_grad and weight.name == "weight"


def test_load_state_dict_takes_numbers():
    model = Branches()
    state = model.state_dict()
    state["scale"] = np.array(5.0)
    model.load_state_dict(state)
    assert model.scale.data == 5.0 and type(model.scale.data) is float


def test_load_state_dict_reaches_buffers_under_any_key():
    class Keyed(nn.Module):
        def __init__(self):
            self.table = {"a.b": nn.BatchNorm1d(2), 3: [nn.BatchNorm1d(2)]}

    model = Keyed()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    assert len(state) == 8
    model.load_state_dict(state)
    for name, value in model.state_dict().items():
        assert np.array_equal(value, state[name])


def test_load_state_dict_reaches_shared_parameters():
    model = Tied()
    model.load_state_dict({"there.weight": np.ones((2, 3))})
    assert model.same.weight is model.weight
    assert np.all(model.weight.data == 1)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("weight"), "missing weight"),
        (lambda s: s.update(wieght=np.ones(2)), "unexpected wieght"),
        (lambda s: s.update(weight=np.ones(3)), r"weight has shape \(3,\), the module's has \(2,"),
        (lambda s: s.update(running_var=np.ones(3)), r"running_var has shape \(3,\)"),
        (lambda s: s.update(running_mean="abc"), "running_mean"),
        (lambda s: s.update(running_var=["a", "b"]), "running_var"),
    ],
)
def test_load_state_dict_changes_nothing_unless_all_fits(change, message):
    layer = nn.BatchNorm1d(2)
    before = layer.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    change(state)
    with pytest.raises(ValueError, match=f"(?s)load_state_dict of BatchNorm1d.*{message}"):
        layer.load_state_dict(state)
    for name, value in layer.state_dict().items():
        assert np.array_equal(value, before[name]), name


def test_load_state_dict_names_all_problems_at_once():
    with pytest.raises(ValueError) as caught:
        nn.Linear(2, 1).load_state_dict({"weight": np.ones(2), "extra": 1.0})
    for problem in ("missing bias", "unexpected extra", "weight has shape (2,)"):
        assert problem in str(caught.value)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_models_are_copied_and_pickled_by_value(copied):
    model = small_model()
    loss_of(model, X, Y).backward()
    other = copied(model)
    assert np.array_equal(other.eval()(X).data, model.eval()(X).data)
    close(other[0].weight.grad, TORCH_GRADIENTS[0], 1e-12)
    other[0].weight.data[...] = 0
    assert np.any(model[0].weight.data != 0)


def test_copies_keep_weights_tied():
    model = copy.deepcopy(Tied())
    assert model.same is model.there
    assert [name for name, _ in model.named_parameters()] == ["there.weight"]
    assert model.weight is model.there.weight


def test_the_bias_takes_part_in_the_dtype_of_linear_and_batch_norm():
    x, bias = np.ones((2, 3), np.float32), np.full(3, 1e-10)
    y = F.linear(x, np.ones((3, 3), np.float32), bias)
    assert y.dtype == float and np.array_equal(y, np.full((2, 3), 3 + 1e-10))
    one = np.ones(3, np.float32)
    assert F.batch_norm(x, one, bias, axes=(0,), eps=1e-5)[0].dtype == float


def test_a_buffer_has_one_value_for_all_examples():
    class Keeps(nn.Module):
        def __init__(self):
            self.register_buffer("last", np.zeros(3))

        def forward(self, x):
            self.last = x
            return x

    model = Keeps()
    with pytest.raises(TypeError, match="buffer 'last': one value for all examples"):
        vmap(model)(np.ones((4, 3)))
    assert model.last.shape == (3,)
    vmap(lambda x: x * model(np.ones(3)))(np.ones((4, 3)))
    close(model.last, np.ones(3))


def test_a_buffer_takes_no_attributes_name():
    layer = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="Linear: 'weight' is an attribute already"):
        layer.register_buffer("weight", np.zeros(3))
    assert layer.weight.shape == (1, 2) and list(layer.state_dict()) == ["weight", "bias"]


# --- functional_call -----------------------------------------------------------------------------


def test_functional_call_takes_other_parameters():
    model = small_model()
    others = {name: p.data * 0.5 for name, p in model.named_parameters()}
    expected = small_model()
    set_parameters(expected, others.values())
    close(nn.functional_call(model, others, X), expected(X).data)
    close(model(X).data, small_model()(X).data)


def test_functional_call_with_some_parameters_keeps_the_rest():
    layer = nn.Linear(2, 1, dtype=float)
    y = nn.functional_call(layer, {"weight": np.zeros((1, 2))}, np.ones((1, 2)))
    close(y.data, [layer.bias.data])


def test_functional_call_is_differentiated_by_a_dict():
    model = small_model()
    values = {name: np.array(p.data) for name, p in model.named_parameters()}
    slope = grad(lambda values: nn.cross_entropy(nn.functional_call(model, values, X), Y))(values)
    assert list(slope) == list(values)
    for g, expected in zip(slope.values(), TORCH_GRADIENTS, strict=True):
        close(g, expected, 1e-12)


def test_functional_call_puts_one_value_in_all_places_of_a_shared_parameter():
    y = nn.functional_call(Tied(), {"there.weight": np.ones((2, 3))}, np.ones((1, 3)))
    assert y.tolist() == [[18.0, 18.0]]


def test_a_forward_may_differentiate_by_the_parameters_it_was_called_with():
    """What is a leaf is told by the module, not by what a transformation puts in its place."""

    class Slope(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.array([1.0, 2.0]))
            self.factor = nn.Parameter(np.array(3.0))

        def forward(self, x):  # 3 factor w² x
            return grad(lambda m: np.sum(m.w**3 * m.factor * x))(self).w

    model, w, x = Slope(), np.array([1.0, 2.0]), np.array([1.0, 2.0])

    def of(w):
        return nn.functional_call(model, {"w": w}, x)

    close(of(w), [9, 72])
    close(jvp(of, (w,), (np.ones(2),))[1], [18, 72])
    close(grad(lambda w: np.sum(of(w)))(w), [18, 72])
    close(vmap(of)(np.stack([w, 2 * w])), [[9, 72], [36, 288]])
    ones = tree_map(np.ones_like, model)
    value, slope = jvp(
        lambda m: np.sum(nn.functional_call(m, {"factor": np.array(2.0)}, x)), (model,), (ones,)
    )
    assert (value, slope) == (6 * 1 + 6 * 4 * 2, 12 * 1 + 12 * 2 * 2)


def test_functional_call_names_unknown_parameters():
    with pytest.raises(ValueError, match="Linear has no parameter wieght.*weight, bias"):
        nn.functional_call(nn.Linear(2, 1), {"wieght": 1.0}, np.ones((1, 2)))


# --- layers' own behaviour -----------------------------------------------------------------------


def test_activations_are_their_functions():
    x = np.array([-2.0, 0.0, 3.0])
    assert nn.ReLU()(x).tolist() == [0, 0, 3]
    assert nn.Tanh()(x).tolist() == np.tanh(x).tolist()
    assert grad(lambda x: np.sum(nn.ReLU()(x)))(x).tolist() == [0, 0, 1]
    close(grad(lambda x: np.sum(nn.Tanh()(x)))(x), 1 - np.tanh(x) ** 2)


def test_sequential_applies_layers_and_functions_in_order():
    model = nn.Sequential(np.exp, lambda x: x + 1, nn.Tanh())
    close(model(0.5), np.tanh(np.exp(0.5) + 1))
    assert len(model) == 3


def test_sequential_without_layers_is_the_identity():
    assert nn.Sequential()(3.0) == 3.0


@pytest.mark.parametrize("wrong", [5, None, [nn.Tanh()]])
def test_sequential_refuses_what_cannot_be_called(wrong):
    with pytest.raises(TypeError, match=f"Sequential.*1.*{type(wrong).__name__}"):
        nn.Sequential(nn.Tanh(), wrong)


def test_sequential_is_indexed_and_sliced():
    model = small_model()
    assert model[0] is model.layers[0]
    assert model[-1] is model.layers[-1]
    assert type(model[1:3]) is nn.Sequential
    assert list(model[1:3]) == [model[1], model[2]]
    with pytest.raises(IndexError):
        model[6]


def test_repr_shows_layers_with_their_sizes():
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 2, bias=False)
    )
    lines = [line.strip() for line in repr(model).splitlines()]
    assert lines[0] == "Sequential(  # 32 parameters" and lines[-1] == ")"
    shown = [line.split(": ", 1)[1] for line in lines[1:-1]]
    assert shown == [
        "Linear(3, 4)  # weight (4, 3), bias (4,): 16 parameters",
        "BatchNorm1d(4, eps=1e-05, momentum=0.1)  # weight (4,), bias (4,): 8 parameters",
        "Dropout(p=0.3)",
        "Linear(4, 2, bias=False)  # weight (2, 4): 8 parameters",
    ]


def test_reprs_tell_what_is_not_the_default():
    for made, said in (
        (nn.RNN(3, 5, nonlinearity="relu", truncate=4), "3, 5, truncate=4, nonlinearity='relu'"),
        (nn.RNNCell(3, 5, nonlinearity="relu"), "3, 5, nonlinearity='relu'"),
        (nn.RNN(3, 5), "3, 5"),
        (nn.GRU(3, 5, num_layers=2, bias=False), "3, 5, num_layers=2, bias=False"),
        (nn.LSTM(3, 5, batch_first=True, zoneout=0.1), "3, 5, batch_first=True, zoneout=0.1"),
        (nn.Jordan(3, 5, 2, batch_first=True, truncate=3), "3, 5, 2, batch_first=True, truncate=3"),
        (nn.LSTMCell(3, 5, bias=False), "3, 5, bias=False"),
        (nn.LayerNorm(3), "(3,), eps=1e-05"),
        (nn.LayerNorm(3, bias=False), "(3,), eps=1e-05, bias=False"),
        (nn.LayerNorm(3, elementwise_affine=False), "(3,), eps=1e-05, elementwise_affine=False"),
        (nn.MultiheadAttention(4, 2, bias=False), "4, 2, bias=False"),
    ):
        assert made.extra_repr() == said
        assert repr(made).startswith(f"{type(made).__name__}({said}")


def test_repr_indents_what_is_nested():
    text = repr(nn.Sequential(nn.Sequential(nn.Tanh())))
    assert [len(line) - len(line.lstrip()) for line in text.splitlines()] == [0, 2, 4, 2, 0]


@pytest.mark.parametrize("size", [0, -1, 2.0, "3", None])
@pytest.mark.parametrize(
    "make, name",
    [
        (lambda n: nn.Linear(n, 2), "Linear: in_features"),
        (lambda n: nn.Linear(2, n), "Linear: out_features"),
        (nn.BatchNorm1d, "BatchNorm1d: num_features"),
    ],
)
def test_sizes_are_positive_integers(make, name, size):
    with pytest.raises(ValueError, match=f"{name} is a positive integer, got {size!r}"):
        make(size)


def test_a_numpy_integer_is_a_size():
    assert nn.Linear(np.int64(2), 1)(np.zeros((1, 2))).shape == (1, 1)


def test_labels_and_logits_that_disagree_leave_a_model_alone():
    model = small_model()
    with pytest.raises(ValueError, match="labels"):
        loss_of(model, X, Y[:-1]).backward()
    assert all(p.grad is None for p in model.parameters())


def test_no_warning_where_relu_and_batch_norm_meet_constants():
    """A feature of one value only: variance 0, and everything stays finite."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.ReLU())
    x = Tensor(np.ones((4, 2), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.sum(model(x) ** 2).backward()
    assert np.all(np.isfinite(x.grad))


def test_a_reference_back_to_the_parent_is_not_followed():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model.layers[0].parent = model
    assert [name for name, _ in model.named_parameters()] == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
    ]  # fmt: skip
    x = np.ones((3, 2), np.float32)
    slopes = autograd.grad(lambda m: np.sum(m(x)))(model)
    assert slopes.layers[1].weight.shape == (1, 2)


def test_labels_may_be_used_again_before_backward():
    logits, labels = Tensor(np.zeros((2, 3))), np.array([0, 1])
    loss = nn.cross_entropy(logits, labels)
    labels[:] = 2
    (recorded,) = autograd.gradients(loss, [logits], record=True)
    loss.backward()
    np.testing.assert_allclose(logits.grad, (np.full((2, 3), 1 / 3) - np.eye(3)[:2]) / 2)
    np.testing.assert_allclose(recorded.data, logits.grad)


def test_draws_name_their_argument_like():
    draws = uniform(like=np.zeros(3), generator=np.random.default_rng(0))
    assert draws.shape == (3,)


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, np.int32])
def test_labels_of_any_integer_type(kind):
    logits = [[1.0, 2.0], [3.0, 1.0]]  # a list is fine
    loss = nn.cross_entropy(logits, np.array([0, 1], kind))
    np.testing.assert_allclose(loss, (np.log1p(np.e) + np.log1p(np.exp(2.0))) / 2)


# --- binary cross-entropy ----------------------------------------------------------------------

Z, T = np.array([-3.0, -0.5, 0.0, 0.7, 2.5]), np.array([0.0, 1.0, 0.25, 0.9, 1.0])
LOSS = 0.4535774598983603
SLOPES = [0.009485174635513356, -0.12449186624037092, 0.05, -0.046362445566366775,
          -0.01517163600424869]  # fmt: skip


def test_binary_cross_entropy_is_pytorchs():
    """torch.nn.functional.binary_cross_entropy_with_logits(Z, T) and its gradient, float64."""
    z = Tensor(Z)
    loss = nn.binary_cross_entropy_with_logits(z, T)
    loss.backward()
    np.testing.assert_allclose(loss.data, LOSS, rtol=1e-14)
    np.testing.assert_allclose(z.grad, SLOPES, rtol=1e-13)
    for reduction, reduced in (("sum", np.sum), ("none", lambda x: x)):
        found = nn.binary_cross_entropy_with_logits(Z, T, reduction)
        each = -T * np.log(1 / (1 + np.exp(-Z))) - (1 - T) * np.log(1 / (1 + np.exp(Z)))
        np.testing.assert_allclose(found, reduced(each), rtol=1e-13)


@pytest.mark.parametrize("z", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_binary_cross_entropy_is_exact_far_out(z, t):
    """Value log(1 + e^(±z)), slope σ(z) - t and curvature σ(1 - σ): no warning, no cancellation."""

    def f(z):
        return nn.binary_cross_entropy_with_logits(z, np.array(t))

    wrong = z if t == 0 else -z  # how far the logit points the wrong way
    value = wrong if wrong > 700 else np.log1p(np.exp(wrong))
    small = np.exp(-abs(z)) / (1 + np.exp(-abs(z)))  # σ(-|z|)
    slope = (1 - small if wrong > 0 else small) * (1 if t == 0 else -1)
    z = np.array(z)
    np.testing.assert_allclose(f(z), value, rtol=1e-14)
    np.testing.assert_allclose(grad(f)(z), slope, rtol=1e-14)
    np.testing.assert_allclose(grad(grad(f))(z), small * (1 - small), rtol=1e-14)


@pytest.mark.parametrize(
    "targets, message",
    [
        ([0.0, 1.0], r"\(5,\) and targets of shape \(2,\)"),
        ([0.0, 1.0, 2.0, 0.0, 0.0], r"in \[0, 1\]"),
        ([0.0, 1.0, np.nan, 0.0, 0.0], r"in \[0, 1\]"),
    ],
)
def test_binary_cross_entropy_says_what_it_wants(targets, message):
    with pytest.raises(ValueError, match=f"binary_cross_entropy_with_logits.*{message}"):
        nn.binary_cross_entropy_with_logits(Tensor(Z), targets)


def test_parameters_under_other_transformations():
    """A module's parameters are found whatever stands in their place: d Σp²·p = 2 Σp²."""
    model = nn.Linear(3, 2, dtype=np.float64)

    def penalty(m):
        return sum(np.sum(p * p) for p in m.parameters())

    value = sum(np.sum(p.data**2) for p in model.parameters())
    found = autograd.jvp(penalty, (model,), (model,))
    np.testing.assert_allclose(found, (value, 2 * value))


def test_what_a_forward_keeps_is_no_parameter():
    """d Σp²·p = 2 Σp², in a module that keeps its activation, also after a call outside."""

    class Keeping(nn.Module):
        def __init__(self):
            self.inner = nn.Sequential(nn.Linear(3, 2, dtype=np.float64))

        def forward(self, x):
            self.kept = self.inner.kept = self.inner(x)
            return self.kept

    model, x = Keeping(), np.ones((4, 3))

    def penalty(m):
        m(x)
        return sum(np.sum(p * p) for part in (m, m.inner) for p in part.parameters()) / 2

    value = sum(np.sum(p.data**2) for p in model.parameters())
    for _ in range(2):
        np.testing.assert_allclose(autograd.jvp(penalty, (model,), (model,)), (value, 2 * value))
        for f in (penalty, autograd.checkpoint(penalty)):
            found, slope = autograd.value_and_grad(f)(model)
            np.testing.assert_allclose(found, value)
            assert slope.leaf_names() == ["inner.layers.0.weight", "inner.layers.0.bias"]
        by_example = autograd.vmap(lambda m, x: penalty(m), (None, 0))(model, x)
        np.testing.assert_allclose(by_example, np.full(4, value))  # parameters are plain there
        model(x)
    weights = {"inner.layers.0.bias": np.zeros(2)}
    expected = x @ model.inner.layers[0].weight.data.T
    np.testing.assert_allclose(nn.functional_call(model, weights, x).data, expected)


def test_cross_entropy_of_logits_in_any_memory_order():
    logits, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 2, 1])
    e = np.exp(logits)
    expected = (e / e.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 4
    slope = grad(lambda z: nn.cross_entropy(z, labels))
    np.testing.assert_allclose(slope(np.asfortranarray(logits)), expected)
