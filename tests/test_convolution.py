"""Convolution and pooling: equal to loops over positions, and to PyTorch's numbers.

Their derivatives of all orders, and `vmap`, are tested with every operation's, on the samples in
`tests/samples/convolution.py`.  PyTorch's numbers are of version 2.13.0, in double precision, on
inputs that `wave` makes; the call stands beside them.
"""

import itertools
import tracemalloc

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, grad, vmap
from nn import convolution


def wave(*shape, step):
    """Numbers that any library can make alike: sin(step), sin(2·step), ..."""
    return np.sin(step * np.arange(1, np.prod(shape) + 1)).reshape(shape)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# --- against loops --------------------------------------------------------------------------------


def looped_conv(x, weight, stride, padding, dilation, groups):
    """The definition: for each example, filter and position the sum over the kernel."""
    axes = weight.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    out = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    ]
    per_group, filters = weight.shape[1], weight.shape[0] // groups
    y = np.zeros((x.shape[0], weight.shape[0], *out))
    for n, o, *at in itertools.product(*map(range, y.shape)):
        for c, *k in itertools.product(*map(range, weight.shape[1:])):
            place = [at[a] * stride[a] + k[a] * dilation[a] for a in range(axes)]
            channel = o // filters * per_group + c
            y[(n, o, *at)] += x[(n, channel, *place)] * weight[(o, c, *k)]
    return y


CONVOLUTIONS = [  # x, weight, stride, padding, dilation, groups
    ((2, 3, 7), (4, 3, 3), (1,), (0,), (1,), 1),
    ((2, 4, 8), (6, 2, 2), (3,), (2,), (2,), 2),
    ((9, 2, 6), (4, 1, 3), (2,), (1,), (1,), 2),
    ((2, 3, 5, 6), (4, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    ((2, 4, 6, 5), (2, 2, 2, 3), (2, 1), (1, 2), (1, 2), 2),
    ((7, 3, 5, 4), (3, 1, 2, 2), (1, 2), (0, 1), (2, 1), 3),
    ((1, 2, 3, 3), (5, 2, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    ((0, 2, 4, 4), (3, 2, 2, 2), (1, 1), (1, 1), (1, 1), 1),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution_is_the_loop(case):
    shape, weight_shape, *settings = case
    x, weight = wave(*shape, step=0.7), wave(*weight_shape, step=0.3)
    bias = wave(weight_shape[0], step=1.1)
    function = nn.conv1d if len(shape) == 3 else nn.conv2d
    column = bias.reshape(-1, *(1,) * (len(shape) - 2))
    expected = looped_conv(x, weight, *settings)
    close(function(x, weight, None, *settings), expected)
    close(function(x, weight, bias, *settings), expected + column)
    if len(x):
        close(function(x[0], weight, bias, *settings), (expected + column)[0])
    # in any order of memory
    turned = np.asfortranarray(x), np.asfortranarray(weight)
    close(function(*turned, bias, *settings), expected + column)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution_in_small_blocks_is_the_same(case, monkeypatch):
    """Also the derivatives: what a product takes at a time is no part of the result."""
    shape, weight_shape, *settings = case
    function = nn.conv1d if len(shape) == 3 else nn.conv2d

    def loss(x, weight):
        return np.sum(function(x, weight, None, *settings) ** 2)

    args = wave(*shape, step=0.7), wave(*weight_shape, step=0.3)
    expected = [function(*args, None, *settings), *grad(loss, (0, 1))(*args)]
    monkeypatch.setattr(convolution, "_BLOCK", 1)
    found = [function(*args, None, *settings), *grad(loss, (0, 1))(*args)]
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def looped_pool(x, reduce, kernel, stride, padding, fill):
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=fill)
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    y = np.zeros((*x.shape[:2], *out))
    for n, c, *at in itertools.product(*map(range, y.shape)):
        window = tuple(slice(a * s, a * s + k) for a, s, k in zip(at, stride, kernel, strict=True))
        y[(n, c, *at)] = reduce(x[(n, c, *window)])
    return y


POOLS = [  # x, kernel, stride, padding
    ((2, 3, 7), (2,), (2,), (0,)),
    ((3, 1, 6), (3,), (1,), (1,)),
    ((2, 3, 6, 5), (2, 2), (2, 2), (0, 0)),
    ((5, 2, 4, 4), (3, 2), (1, 2), (1, 1)),
]


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pooling_is_the_loop(case):
    shape, *settings = case
    x = wave(*shape, step=0.7) - 3  # where a zero of the padding would be the largest
    functions = {3: (nn.max_pool1d, nn.avg_pool1d), 4: (nn.max_pool2d, nn.avg_pool2d)}[len(shape)]
    largest, mean = functions
    close(largest(x, *settings), looped_pool(x, np.max, *settings, -np.inf))
    close(mean(x, *settings), looped_pool(x, np.mean, *settings, 0))
    close(largest(x[0], *settings), largest(x, *settings)[0])
    close(mean(np.asfortranarray(x), *settings), mean(x, *settings))


def test_padding_is_never_the_largest_nor_has_a_share():
    x = Tensor([[[0.0, -1.0, -2.0, -3.0]]])
    y = nn.max_pool1d(x, 3, stride=1, padding=1)
    close(y.data[0, 0], [0, 0, -1, -2])
    np.sum(y).backward()
    close(x.grad[0, 0], [2, 1, 1, 0])


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0)])
def test_convolution_of_no_examples_under_vmap(in_axes):
    x, weight = (
        np.zeros((0,) * (axis == 0) + shape)
        for axis, shape in zip(in_axes, ((1, 2, 5), (3, 2, 2)), strict=True)
    )
    assert vmap(nn.conv1d, in_axes)(x, weight).shape == (0, 1, 3, 4)


def test_max_pooling_with_dilation_is_that_of_every_other_element():
    x = wave(1, 1, 9, step=0.7)
    expected = [max(x[0, 0, i], x[0, 0, i + 2], x[0, 0, i + 4]) for i in range(5)]
    close(nn.max_pool1d(x, 3, stride=1, dilation=2)[0, 0], expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, int, bool])
def test_padding_is_never_the_largest_of_integers_either(dtype):
    x = np.array([[[-5, -7, 0]]]).astype(dtype)
    y = nn.max_pool1d(x, 2, padding=1)
    assert np.array_equal(y, nn.max_pool1d(x.astype(float), 2, padding=1))


def test_elements_that_tie_share_the_derivative():
    x = Tensor(np.array([[[1.0, 1.0, 0.0, 2.0, 3.0, 3.0]]]))
    np.sum(nn.max_pool1d(x, 3) * np.array([4.0, 6.0])).backward()
    close(x.grad, [[[2, 2, 0, 0, 3, 3]]])


def test_overlapping_windows_add_up():
    x = Tensor(np.array([[[1.0, 5.0, 2.0]]]))
    np.sum(nn.max_pool1d(x, 2, stride=1)).backward()
    close(x.grad, [[[0, 2, 0]]])
    x.grad = None
    np.sum(nn.avg_pool1d(x, 2, stride=1)).backward()
    close(x.grad, [[[0.5, 1, 0.5]]])


# --- against PyTorch ------------------------------------------------------------------------------

# F.conv1d(wave(1, 2, 5, step=0.7), wave(1, 2, 4, step=0.3), padding="same") and
# F.conv2d(wave(1, 1, 3, 4, step=0.7), wave(1, 1, 2, 3, step=0.3), padding="same", dilation=(1, 2))
SAME1 = [-0.1830148405933, -0.6245064248139, -0.4223783682572, 0.1232722628322, 0.5575052821744]
SAME2 = [
    [-0.2667358663942, -0.6653179778019, -0.6291512186675, -0.961659147237],
    [0.01144839669798, 0.5009731159987, 0.3429660665269, 0.8507871071733],
    [0.7835526111918, 1.040392859732, 0.5629306030526, 0.6766956566508],
]


def test_same_padding_is_pytorchs():
    y = nn.conv1d(wave(1, 2, 5, step=0.7), wave(1, 2, 4, step=0.3), padding="same")
    close(y, [[SAME1]])
    x, weight = wave(1, 1, 3, 4, step=0.7), wave(1, 1, 2, 3, step=0.3)
    close(nn.conv2d(x, weight, padding="same", dilation=(1, 2)), [[SAME2]])


def test_valid_padding_is_none():
    x, weight = wave(1, 1, 5, step=0.7), wave(1, 1, 2, step=0.3)
    assert np.array_equal(nn.conv1d(x, weight, padding="valid"), nn.conv1d(x, weight))


def test_conv2d_and_its_gradients_are_pytorchs():
    """y = F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2) and the
    gradients of sum(y²); of y the sums over positions, of w's gradient its first rows, of x's the
    sums over positions.
    """
    x, weight, bias = (
        Tensor(a)
        for a in (wave(2, 4, 5, 6, step=0.7), wave(2, 2, 2, 3, step=0.3), wave(2, step=0.5))
    )
    y = nn.conv2d(x, weight, bias, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
    np.sum(y**2).backward()
    close(
        np.sum(y.data, (2, 3)), [[11.59566530987, 16.16137274663], [3.202194797642, 9.784366898459]]
    )
    close(bias.grad, [29.59572021503, 51.89147929017])
    close(
        weight.grad[:, :, 0],
        [
            [
                [3.537949133493, -5.490500483851, -7.780221020114],
                [-7.228248511832, -4.509826958596, 2.884607463114],
            ],
            [
                [-4.602637374758, 5.845575053524, 16.41233079779],
                [13.98309654881, 10.80014296475, -3.631391162868],
            ],
        ],
    )
    close(
        np.sum(x.grad, (2, 3)),
        [
            [62.63650853907, 0.7808579322584, -115.4105391839, 27.66291895399],
            [33.75946294129, 24.24293594584, -83.86709586326, 11.20994278341],
        ],
    )


# --- modules --------------------------------------------------------------------------------------


def test_conv_modules_are_their_functions():
    generator = np.random.default_rng(0)
    layer = nn.Conv1d(4, 6, 3, 2, 1, 2, 2, dtype=float, generator=generator)
    x = wave(2, 4, 9, step=0.7)
    close(layer(x).data, nn.conv1d(x, layer.weight.data, layer.bias.data, 2, 1, 2, 2))
    layer = nn.Conv2d(2, 3, (3, 2), padding="same", bias=False, dtype=float, generator=generator)
    x = wave(2, 2, 5, 4, step=0.7)
    assert layer(x).shape == (2, 3, 5, 4)
    close(layer(x).data, nn.conv2d(x, layer.weight.data, padding="same"))
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_conv_starts_uniform_within_one_over_the_root_of_fan_in():
    layer = nn.Conv2d(8, 64, 3, groups=2, generator=np.random.default_rng(0))
    bound = 1 / np.sqrt(8 // 2 * 9)
    for p in layer.parameters():
        assert p.dtype == np.float32
        assert np.max(np.abs(p.data)) <= bound
    # a uniform distribution's standard deviation is its bound over √3; 2304 draws know it to 1%
    assert abs(layer.weight.data.std() / (bound / np.sqrt(3)) - 1) < 0.04
    again = nn.Conv2d(8, 64, 3, groups=2, generator=np.random.default_rng(0))
    assert np.array_equal(layer.weight.data, again.weight.data)


def test_pool_modules_are_their_functions():
    line, plane = wave(2, 3, 7, step=0.7), wave(2, 3, 6, 5, step=0.7)
    assert np.array_equal(nn.MaxPool1d(3, 1, 1)(line), nn.max_pool1d(line, 3, 1, 1))
    assert np.array_equal(nn.MaxPool1d(2, dilation=3)(line), nn.max_pool1d(line, 2, dilation=3))
    assert np.array_equal(nn.MaxPool2d((2, 3))(plane), nn.max_pool2d(plane, (2, 3)))
    assert np.array_equal(nn.AvgPool1d(2)(line), nn.avg_pool1d(line, 2))
    assert np.array_equal(nn.AvgPool2d(2, (1, 2), 1)(plane), nn.avg_pool2d(plane, 2, (1, 2), 1))
    close(nn.GlobalAvgPool()(plane), plane.mean((2, 3)))
    close(nn.GlobalAvgPool()(line), line.mean(2))


def test_flatten_is_channel_by_channel():
    """Also of what a convolution gives, whose memory is in another order."""
    x = wave(6, 2, 3, 4, step=0.7)
    close(nn.Flatten()(x), x.reshape(6, 24))
    y = nn.Conv2d(2, 3, 2, dtype=float)(x)
    expected = np.array([[example[c, i, j] for c in range(3) for i in range(2) for j in range(3)]
                         for example in y.data])  # fmt: skip
    assert np.array_equal(nn.Flatten()(y).data, expected)
    assert nn.Flatten(0, 1)(x).shape == (12, 3, 4)
    assert nn.Flatten(2)(x).shape == (6, 2, 12)


def test_repr_shows_settings():
    assert repr(nn.Conv1d(2, 4, 3)).startswith("Conv1d(2, 4, kernel_size=(3,))")
    layer = nn.Conv2d(2, 4, (3, 1), 2, "valid", (1, 2), 2, bias=False)
    assert repr(layer).startswith(
        "Conv2d(2, 4, kernel_size=(3, 1), stride=(2, 2), padding='valid', dilation=(1, 2), "
        "groups=2, bias=False)"
    )
    assert repr(nn.MaxPool2d(2)) == (
        "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1))"
    )
    assert repr(nn.AvgPool1d(3, 1)) == "AvgPool1d(kernel_size=(3,), stride=(1,), padding=(0,))"
    assert repr(nn.Flatten()) == "Flatten(1, -1)"


def test_precision_is_kept():
    x = wave(2, 1, 6, 6, step=0.7).astype(np.float32)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten())
    y = model(x)
    assert y.dtype == np.float32
    np.sum(y).backward()
    assert all(p.grad.dtype == np.float32 for p in model.parameters())


def test_per_example_gradients_are_those_of_single_examples():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, dtype=float), nn.MaxPool2d(2), nn.Flatten())

    def loss(model, x):
        return np.sum(model(x[None]) ** 2)

    x = wave(3, 1, 6, 6, step=0.7)
    slopes = vmap(grad(loss), (None, 0))(model, x)
    for i in range(3):
        single = grad(loss)(model, x[i])
        close(slopes[0].weight[i], single[0].weight)
        close(slopes[0].bias[i], single[0].bias)


def test_a_small_net_learns_where_a_bar_is():
    """Which way a bar in noise runs, wherever it is: what weights shared over places are for."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (120, 1, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 2, 120)
    for image, label in zip(x, labels, strict=True):
        where = rng.integers(0, 8)
        image[0, where if label else slice(None), slice(None) if label else where] += 1
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, generator=rng), nn.ReLU(), nn.MaxPool2d(6), nn.Flatten(),
        nn.Linear(4, 2, generator=rng),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        nn.cross_entropy(model(x[:80]), labels[:80]).backward()
        optimizer.step()
    assert np.mean(np.argmax(model(x[80:]).data, 1) == labels[80:]) > 0.95


def test_windows_are_not_gathered_all_at_once():
    """A 5x5 kernel's windows are 25 times the image: 40 MB here, which are never there."""
    x = np.zeros((64, 1, 80, 80), np.float32)
    weight = np.zeros((1, 1, 5, 5), np.float32)
    nn.conv2d(x[:1], weight)
    tracemalloc.start()
    nn.conv2d(x, weight, padding=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.nbytes


def test_convolution_is_counted():
    """Each of 2·3·4 results is a sum of 2·2 products; its weights' gradient likewise."""
    x, weight = wave(2, 2, 5, step=0.7), wave(3, 2, 2, step=0.3)
    assert autograd.count_operations(nn.conv1d, x, weight).gemm == 2 * (2 * 3 * 4) * (2 * 2)
    slope = grad(lambda weight, x: np.sum(nn.conv1d(x, weight)))
    assert autograd.count_operations(slope, weight, x).gemm == 2 * 2 * (2 * 3 * 4) * (2 * 2)


# --- what does not fit ----------------------------------------------------------------------------

X1, X2 = np.zeros((2, 3, 6)), np.zeros((2, 3, 6, 5))
W2 = np.zeros((4, 3, 2, 2))
WRONG = {
    "axes": (lambda: nn.conv2d(X1[0], W2), r"conv2d: x of shape \(N, 3, H, W\) or \(3, H, W\)"),
    "channels": (lambda: nn.conv2d(X2[:, :2], W2), r"got \(2, 2, 6, 5\)"),
    "weight": (lambda: nn.conv2d(X2, W2[0]), r"conv2d: weight \(O, C/groups, 2 kernel sizes\)"),
    "bias": (lambda: nn.conv2d(X2, W2, np.zeros(3)), r"bias of shape \(4,\) wanted, got \(3,\)"),
    "groups": (lambda: nn.conv2d(X2, W2, groups=3), "4 filters do not fall into 3 groups"),
    "no groups": (lambda: nn.conv2d(X2, W2, groups=0), "groups is a positive integer, got 0"),
    "kernel": (lambda: nn.conv2d(X2[..., :1], W2), r"kernel \(2, 2\).*size \(6, 1\)"),
    "stride": (lambda: nn.conv2d(X2, W2, stride=0), "stride is a positive integer or 2 of them"),
    "strides": (lambda: nn.conv2d(X2, W2, stride=(1, 2, 3)), r"got \(1, 2, 3\)"),
    "padding": (lambda: nn.conv2d(X2, W2, padding=-1), "padding is an integer >= 0"),
    "padding word": (lambda: nn.Conv1d(1, 1, 2, padding="full"), '"same" or "valid"'),
    "same": (lambda: nn.Conv2d(1, 1, 2, 2, "same"), r'padding="same" is for stride 1'),
    "module": (lambda: nn.Conv2d(3, 4, 2)(X1), r"Conv2d\(3, 4\): x of shape.*got \(2, 3, 6\)"),
    "sizes": (lambda: nn.Conv1d(0, 4, 2), "Conv1d: in_channels is a positive integer"),
    "kernel size": (lambda: nn.Conv1d(1, 4, 2.5), "Conv1d: kernel_size is a positive integer"),
    "module groups": (lambda: nn.Conv1d(4, 6, 2, groups=4), "groups divides in_channels and"),
    "pool axes": (lambda: nn.max_pool2d(X1[0], 2), r"max_pool2d: x of shape \(N, C, H, W\)"),
    "pool window": (lambda: nn.max_pool1d(X1, 7), r"max_pool1d: the kernel \(7,\)"),
    "pool padding": (lambda: nn.MaxPool1d(2, padding=2), "at most half the kernel"),
    "avg padding": (lambda: nn.avg_pool2d(X2, 2, padding=2), "avg_pool2d: padding is at most"),
    "pool size": (lambda: nn.AvgPool2d((2, 0)), "AvgPool2d: kernel_size is a positive integer"),
    "global": (lambda: nn.GlobalAvgPool()(np.zeros((2, 3))), r"\(N, C, \*size\) wanted"),
    "flatten": (lambda: nn.Flatten(2)(np.zeros((2, 3))), r"Flatten\(2, -1\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes_and_settings_are_named(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()
