"""Samples of convolution, pooling and their derivatives' operations."""

from nn.convolution import conv, conv1d, conv2d, conv_input, conv_weight
from nn.pooling import (
    avg_pool1d,
    avg_pool2d,
    max_collected,
    max_pool1d,
    max_pool2d,
    max_shared,
    window_max,
    window_spread,
    window_sum,
)

from .make import fixed, real, sample

# where examples are few and where they are many, memory is in another order
LINE = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
PLANE = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2), "groups": 2}
PAIRS = {"kernel": (2,), "stride": (2,), "padding": ((0, 0),), "dilation": (1,)}

SAMPLES = [
    sample(conv1d, real(2, 2, 5), real(3, 2, 2), real(3)),
    sample(conv1d, real(2, 5), real(3, 2, 2), real(3), padding="same"),
    sample(conv1d, real(5, 1, 4), real(2, 1, 3), None, stride=2, padding=1),
    sample(conv1d, fixed(real(2, 2, 5)), real(3, 2, 2), real(3)),
    sample(conv1d, real(2, 2, 5), fixed(real(3, 2, 2)), real(3)),
    sample(conv1d, real(2, 1, 7), real(1, 1, 2), None, dilation=3),
    sample(conv2d, real(2, 2, 4, 3), real(2, 2, 2, 2), real(2)),
    sample(conv2d, real(3, 2, 3, 3), real(4, 1, 2, 2), real(4), groups=2, padding=(1, 0)),
    sample(conv2d, real(2, 2, 5, 4), real(2, 1, 2, 2), None, groups=2, stride=(2, 1)),
    sample(conv2d, real(1, 3, 3), real(1, 1, 3, 3), real(1)),
    sample(conv, real(2, 2, 4, 4), real(2, 1, 2, 2), **PLANE),
    sample(conv_input, real(2, 2, 2, 4), real(2, 1, 2, 2), sizes=(4, 4), **PLANE),
    sample(conv_weight, real(2, 2, 4, 4), real(2, 2, 2, 4), kernel=(2, 2), **PLANE),
    sample(conv, real(4, 1, 4), real(2, 1, 2), **LINE),
    sample(conv_input, real(4, 2, 3), real(2, 1, 2), sizes=(4,), **LINE),
    sample(conv_weight, real(4, 1, 4), real(4, 2, 3), kernel=(2,), **LINE),
    sample(conv, real(0, 1, 4), real(2, 1, 2), **LINE),
    sample(max_pool1d, real(2, 2, 6), 2),
    sample(max_pool1d, real(2, 5), 3, stride=1, padding=1, dilation=2),
    sample(max_pool2d, real(2, 1, 2, 4), 2),
    sample(max_pool2d, real(1, 1, 4, 3), (3, 2), stride=(2, 1), padding=1),
    sample(avg_pool1d, real(2, 2, 6), 2),
    sample(avg_pool1d, real(2, 5), 3, stride=1, padding=1),
    sample(avg_pool2d, real(2, 1, 5, 4), (3, 2), stride=(2, 1), padding=1),
    sample(window_max, real(2, 2, 4), **PAIRS),
    sample(window_sum, real(2, 2, 5), **PAIRS),
    sample(window_spread, real(2, 2, 2), sizes=(5,), **PAIRS),
]
_X = real(2, 1, 5)
_Y = window_max(_X, **PAIRS)
SAMPLES += [
    sample(max_shared, real(2, 1, 2), fixed(_X), fixed(_Y), **PAIRS),
    sample(max_collected, real(2, 1, 5), fixed(_X), fixed(_Y), **PAIRS),
]
