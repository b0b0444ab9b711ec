"""Activations: values and two derivatives, also at kinks and far out; their modules."""

import math

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, no_grad, vmap
from nn.activations import normal_cdf

X = np.array([-1000.0, -20.0, -3.0, -0.7, 0.0, 0.4, 2.5, 1000.0])

# PyTorch 2.13 in float64 on X: value, first and second derivative, of
#   y = f(x); (d,) = torch.autograd.grad(y.sum(), x, create_graph=True)
#   (dd,) = torch.autograd.grad(d.sum(), x)
# Two numbers are ours: elu's second derivative at 0, the left one as its first is, where PyTorch
# has 0; and mish's at 1000, where it has nan.
FUNCTIONS = {
    "sigmoid": nn.sigmoid,
    "tanh": np.tanh,
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "elu": lambda x: nn.elu(x, 1.5),
    "softplus": nn.softplus,
    "softsign": nn.softsign,
    "log_sigmoid": nn.log_sigmoid,
    "silu": nn.silu,
    "mish": nn.mish,
    "gelu": nn.gelu,
    "gelu tanh": lambda x: nn.gelu(x, approximate="tanh"),
}
TORCH = {
    "sigmoid": (
        [0.0, 2.06115361819e-09, 0.0474258731776, 0.331812227832, 0.5, 0.598687660112,
         0.924141819979, 1.0],
        [0.0, 2.06115361394e-09, 0.0451766597309, 0.221712873293, 0.25, 0.240260745742,
         0.0701037165451, 0.0],
        [0.0, 2.06115360545e-09, 0.0408915746609, 0.0745787884403, 0.0, -0.0474215416282,
         -0.0594678358454, -0.0],
    ),
    "tanh": (
        [-1.0, -1.0, -0.995054753687, -0.604367777117, 0.0, 0.379948962255, 0.986614298151, 1.0],
        [0.0, 0.0, 0.00986603716544, 0.634739589982, 1.0, 0.855638786081, 0.0265922266832, 0.0],
        [0.0, 0.0, 0.019634494363, 0.767232310092, -0.0, -0.650198137674, -0.0524725421306, -0.0],
    ),
    "relu": (
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.4, 2.5, 1000.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ),
    "leaky_relu": (
        [-200.0, -4.0, -0.6, -0.14, 0.0, 0.4, 2.5, 1000.0],
        [0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ),
    "elu": (
        [-1.5, -1.49999999691, -1.42531939745, -0.755122044313, 0.0, 0.4, 2.5, 1000.0],
        [0.0, 3.09173043366e-09, 0.0746806025518, 0.744877955687, 1.5, 1.0, 1.0, 1.0],
        [0.0, 3.09173043366e-09, 0.0746806025518, 0.744877955687, 1.5, 0.0, 0.0, 0.0],
    ),
    "softplus": (
        [0.0, 2.06115362031e-09, 0.0485873515737, 0.403186048885, 0.69314718056, 0.9130152524,
         2.57888973429, 1000.0],
        [0.0, 2.06115361819e-09, 0.0474258731776, 0.331812227832, 0.5, 0.598687660112,
         0.924141819979, 1.0],
        [0.0, 2.06115361394e-09, 0.0451766597309, 0.221712873293, 0.25, 0.240260745742,
         0.0701037165451, 0.0],
    ),
    "softsign": (
        [-0.999000999001, -0.952380952381, -0.75, -0.411764705882, 0.0, 0.285714285714,
         0.714285714286, 0.999000999001],
        [9.98002996005e-07, 0.00226757369615, 0.0625, 0.346020761246, 1.0, 0.510204081633,
         0.0816326530612, 9.98002996005e-07],
        [1.99401198003e-09, 0.000215959399633, 0.03125, 0.407083248524, -0.0, -0.728862973761,
         -0.0466472303207, -1.99401198003e-09],
    ),
    "log_sigmoid": (
        [-1000.0, -20.0000000021, -3.04858735157, -1.10318604889, -0.69314718056, -0.5130152524,
         -0.0788897342925, 0.0],
        [1.0, 0.999999997939, 0.952574126822, 0.668187772168, 0.5, 0.401312339888, 0.0758581800212,
         0.0],
        [-0.0, -2.06115361394e-09, -0.0451766597309, -0.221712873293, -0.25, -0.240260745742,
         -0.0701037165451, 0.0],
    ),
    "silu": (
        [-0.0, -4.12230723638e-08, -0.142277619533, -0.232268559482, 0.0, 0.239475064045,
         2.31035454995, 1000.0],
        [-0.0, -3.91619186606e-08, -0.0881041060152, 0.176613216527, 0.5, 0.694791958409,
         1.09940111134, 1.0],
        [0.0, -3.7100764881e-08, -0.032321404521, 0.391220594678, 0.5, 0.461552874832,
         -0.00846215652337, 0.0],
    ),
    "mish": (
        [-0.0, -4.12230724063e-08, -0.145647461276, -0.267870234796, 0.0, 0.289030534072,
         2.47139230456, 1000.0],
        [0.0, -3.91619187435e-08, -0.0933931145323, 0.184416073257, 0.6, 0.837017502542,
         1.04112953013, 1.0],
        [0.0, -3.71007650425e-08, -0.0399287132421, 0.484319902647, 0.64, 0.519118555569,
         -0.0500110292998, 0.0],
    ),
    "gelu": (
        [-0.0, -0.0, -0.00404969409489, -0.169374556556, 0.0, 0.262168696644, 2.48447583669,
         1000.0],
        [0.0, -1.10418967243e-86, -0.0119456472042, 0.0233858988663, 0.5, 0.802729797732,
         1.03761108591, 1.0],
        [0.0, -2.19733744814e-85, -0.0310229388836, 0.471503439384, 0.797884560803, 0.677617058158,
         -0.0744952770977, 0.0],
    ),
    "gelu tanh": (
        [-0.0, -0.0, -0.00363739208177, -0.169429865295, 0.0, 0.262161169427, 2.48491573391,
         1000.0],
        [0.0, 0.0, -0.011584166631, 0.0236427813439, 0.5, 0.802658834421, 1.03795157621, 1.0],
        [0.0, -2.56790757964e-257, -0.0317676588861, 0.470862926845, 0.797884560803, 0.677147689042,
         -0.0762453920736, 0.0],
    ),
}  # fmt: skip

MODULES = {
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "elu": nn.ELU(1.5),
    "softplus": nn.Softplus(),
    "softsign": nn.Softsign(),
    "log_sigmoid": nn.LogSigmoid(),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "gelu": nn.GELU(),
    "gelu tanh": nn.GELU("tanh"),
}


def derivatives(f, x):
    """f, f' and f'' of each element."""
    first = grad(lambda x: np.sum(f(x)))
    return f(x), first(x), grad(lambda x: np.sum(first(x)))(x)


def prelu(x):
    return nn.prelu(x, np.array(0.2, x.dtype))


ALL = FUNCTIONS | {"step": nn.step, "sinc": nn.sinc, "prelu": prelu}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_two_derivatives_are_pytorchs(name):
    for found, expected in zip(derivatives(FUNCTIONS[name], X), TORCH[name], strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-11, atol=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_single_precision_is_kept_and_exact(name):
    """Against double precision, at 0 and far out."""
    x = np.array([-1e12, -1000, -90, -20, -1, 0, 0.5, 9, 20, 90, 1000, 1e12], np.float32)
    doubles = derivatives(ALL[name], x.astype(float))
    for found, expected in zip(derivatives(ALL[name], x), doubles, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ALL)
def test_numbers_and_examples_under_vmap_have_the_same_values(name):
    whole, slopes = ALL[name](X), grad(lambda x: np.sum(ALL[name](x)))(X)
    np.testing.assert_array_equal(vmap(ALL[name])(X), whole)
    np.testing.assert_allclose(vmap(grad(ALL[name]))(X), slopes, rtol=1e-13)
    np.testing.assert_allclose(ALL[name](Tensor(0.4)).data, whole[5], rtol=1e-15)


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_their_functions(name):
    np.testing.assert_array_equal(MODULES[name](X), FUNCTIONS[name](X))
    assert MODULES[name].parameters() == []


def test_sinc_and_its_derivatives_are_the_closed_forms():
    x = np.array([-1000.0, -3.0, 0.4, 2.5, 50.0])
    value = np.sin(x) / x
    first = (np.cos(x) - value) / x
    second = -(np.sin(x) + 2 * first) / x
    for found, expected in zip(derivatives(nn.sinc, x), (value, first, second), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    found = derivatives(nn.Sinc(), np.array([0.0, 1e-9]))  # 1 - x²/6 + ...
    expected = [1, 1], [0, -1e-9 / 3], [-1 / 3, -1 / 3]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-16)


def test_identities():
    """Lecture E: tanh t = 2σ(2t) - 1; lecture A: σ' = o(1 - o); softplus' = σ."""
    np.testing.assert_allclose(np.tanh(X), 2 * nn.sigmoid(2 * X) - 1, rtol=1e-14)
    o, slope, _ = derivatives(nn.sigmoid, X)
    np.testing.assert_allclose(slope, o * (1 - o), rtol=1e-14, atol=1e-17)
    np.testing.assert_allclose(derivatives(nn.softplus, X)[1], o, rtol=1e-15)
    np.testing.assert_allclose(nn.log_sigmoid(X), -nn.softplus(-X), rtol=1e-15)
    np.testing.assert_allclose(nn.gelu(X) - nn.gelu(-X), X, rtol=1e-15)  # Φ(x) + Φ(-x) = 1
    np.testing.assert_array_equal(nn.elu(X, 0.0), nn.relu(X))


def test_step_is_one_from_zero_on_and_flat():
    value, first, second = derivatives(nn.Step(), np.array([-2.0, -0.0, 0.0, 3.0]))
    assert value.tolist() == [0, 1, 1, 1]
    assert not first.any() and not second.any()


def test_identity_is_its_argument():
    assert nn.Identity()(X) is X


def test_softsigns_slope_is_exact_far_out():
    """Composed of a quotient it would cancel: 1/1001 - 1000/1001²."""
    slope = grad(nn.softsign)(np.float32(1e6))
    np.testing.assert_allclose(slope, 1 / (1 + 1e6) ** 2, rtol=1e-6)


# --- with settings, or parameters -----------------------------------------------------------------


def test_prelu_learns_a_slope_for_each_channel():
    """torch.nn.PReLU(3) with slopes .1, .2, .3: by the slopes, Σ of the channel's negative x."""
    layer = nn.PReLU(3, dtype=float)
    assert layer.weight.data.tolist() == [0.25] * 3
    layer.weight.data = np.array([0.1, 0.2, 0.3])
    x = np.arange(-6.0, 6).reshape(2, 3, 2)
    y = layer(x)
    np.testing.assert_allclose(y.data[0], [[-0.6, -0.5], [-0.8, -0.6], [-0.6, -0.3]])
    np.testing.assert_array_equal(y.data[1], x[1])
    np.sum(y).backward()
    assert layer.weight.grad.tolist() == [-11, -7, -3]


def test_a_number_as_slope_keeps_the_precision():
    assert nn.prelu(np.array([-1.0, 2.0], np.float32), 0.25).dtype == np.float32


def test_prelu_with_one_slope_takes_any_shape():
    layer = nn.PReLU()
    assert layer.weight.dtype == np.float32
    for shape in [(), (4,), (2, 3)]:
        np.testing.assert_array_equal(layer(np.full(shape, -2.0)).data, np.full(shape, -0.5))


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 4, 3)])
def test_prelu_says_what_shape_it_wants(shape):
    with pytest.raises(ValueError, match=r"prelu.*3 slopes.*\(N, 3, \.\.\.\)") as error:
        nn.PReLU(3)(np.zeros(shape))
    assert str(shape) in str(error.value)


def test_prelu_refuses_a_matrix_of_slopes():
    with pytest.raises(ValueError, match=r"prelu: weight.*\(2, 2\)"):
        nn.prelu(np.zeros((2, 2)), np.zeros((2, 2)))


def test_maxout_is_the_largest_of_affine_maps():
    rng = np.random.default_rng(0)
    layer = nn.Maxout(4, 3, pieces=5, dtype=float, generator=rng)
    x = rng.standard_normal((2, 6, 4))
    w, b = layer.weight.data.reshape(3, 5, 4), layer.bias.data.reshape(3, 5)
    y = layer(x)
    assert y.shape == (2, 6, 3)
    for place in np.ndindex(2, 6):
        for unit in range(3):
            maps = [w[unit, k] @ x[place] + b[unit, k] for k in range(5)]
            np.testing.assert_allclose(y.data[(*place, unit)], max(maps), rtol=1e-12)


def test_maxouts_derivative_goes_to_the_largest():
    x = np.array([[1.0, 5.0, 2.0], [2.0, 2.0, -1.0]])
    assert grad(lambda x: np.sum(nn.maxout(x, 3)))(x).tolist() == [[0, 1, 0], [0.5, 0.5, 0]]
    np.testing.assert_array_equal(nn.maxout(x.T, 3, axis=0), [[5, 2]])
    zero = np.zeros(5)
    pairs = np.stack([zero, X[:5]], axis=1).reshape(-1)
    np.testing.assert_array_equal(nn.maxout(pairs, 2), nn.relu(X[:5]))


def test_maxout_names_the_shape_it_wanted():
    with pytest.raises(ValueError, match=r"Maxout\(4, 3\).*4 elements.*\(2, 5\)"):
        nn.Maxout(4, 3)(np.zeros((2, 5)))


@pytest.mark.parametrize("pieces", [0, 3])
def test_maxout_says_what_it_wants(pieces):
    with pytest.raises(ValueError, match=rf"maxout: groups of {pieces}.*\(2, 4\), has 4"):
        nn.maxout(np.zeros((2, 4)), pieces)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_modules_go_along_an_axis(dim):
    x = np.array([[1000.0, 0.0, 999.0], [-1000.0, 2.0, 3.0]])
    shifted = np.exp(x - x.max(dim, keepdims=True))
    expected = shifted / shifted.sum(dim, keepdims=True)
    np.testing.assert_allclose(nn.Softmax(dim)(x), expected, rtol=1e-14)
    with np.errstate(divide="ignore"):
        logarithms = np.maximum(np.log(expected), -3000)
    finite = logarithms > -700
    found = nn.LogSoftmax(dim=dim)(x)
    np.testing.assert_allclose(found[finite], logarithms[finite], rtol=1e-13, atol=1e-13)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.PReLU(0), "PReLU: num_parameters is a positive integer"),
        (lambda: nn.Maxout(0, 1), "Maxout: in_features is a positive integer"),
        (lambda: nn.Maxout(1, 1, pieces=0), "Maxout: pieces is a positive integer"),
        (lambda: nn.GELU("erf"), "GELU: approximate is .*not 'erf'"),
        (lambda: nn.gelu(X, "erf"), "gelu: approximate is .*not 'erf'"),
    ],
)
def test_bad_settings_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_shows_the_settings():
    modules = (
        nn.LeakyReLU(0.2), nn.PReLU(3), nn.ELU(), nn.GELU(), nn.Softmax(1), nn.LogSoftmax(),
        nn.Mish(), nn.Maxout(2, 3, 4, bias=False),
    )  # fmt: skip
    assert [repr(m).partition("  #")[0] for m in modules] == [
        "LeakyReLU(negative_slope=0.2)", "PReLU(3)", "ELU(alpha=1.0)", "GELU(approximate='none')",
        "Softmax(dim=1)", "LogSoftmax(dim=-1)", "Mish()", "Maxout(2, 3, bias=False, pieces=4)",
    ]  # fmt: skip


def test_a_plain_array_stays_plain():
    with no_grad():
        for f in ALL.values():
            assert type(f(X)) is np.ndarray


def test_normal_cdf_is_the_standard_librarys():
    x = np.concatenate([np.linspace(-8, 8, 4001), [-40.0, 40.0, -1e-9]])
    expected = [0.5 * math.erfc(-t / math.sqrt(2)) for t in x]
    np.testing.assert_allclose(normal_cdf(x), expected, rtol=1e-13, atol=1e-18)


@pytest.mark.parametrize(
    "f", [nn.sigmoid, nn.softplus, nn.log_sigmoid, nn.silu, nn.mish, nn.softmax, nn.log_softmax]
)
@pytest.mark.parametrize("x", [np.uint8([0, 1, 200]), np.int8([-128, 3]), np.array([True, False])])
def test_small_integers_do_not_wrap_round(f, x):
    """-x of uint8 is 256 - x, and |-128| of int8 is -128: pixels are such numbers."""
    np.testing.assert_allclose(f(x), f(x.astype(float)), rtol=1e-12)


@pytest.mark.parametrize("f", [nn.softmax, nn.log_softmax])
@pytest.mark.parametrize("shape, axis", [((0, 3), 0), ((0, 3), 1), ((3, 0), 1), ((0, 2, 2), 0)])
def test_softmax_of_nothing_is_nothing(f, shape, axis):
    x = Tensor(np.zeros(shape))
    y = f(x, axis=axis)
    np.sum(y).backward()
    assert y.shape == x.grad.shape == shape
