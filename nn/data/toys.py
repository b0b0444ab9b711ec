"""The toy sets that the lectures draw; moons, blobs and many more are scikit-learn's.

Each gives ``(x, y)``: points (n, 2) of `dtype`, and their classes as integers (n,).
"""

import numpy as np

from autograd.primitive import telling
from autograd.rules.random import generator_or_default

from ..checks import check_not_negative, check_positive


@telling
def xor(n=4, noise=0.0, dtype=np.float32, generator=None):
    """Exclusive or: the corners (0,0), (0,1), (1,0), (1,1) in turn, and whether they differ.

    noise   standard deviation of what is added to each coordinate

    >>> x, y = xor()
    >>> x.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    _check("xor", n, 1, noise)
    corner = np.arange(n) % 4
    x = np.stack([corner // 2, corner % 2], axis=1)
    return _noisy(x, noise, dtype, generator), x[:, 0] ^ x[:, 1]


@telling
def spirals(n=200, classes=2, turns=1.0, noise=0.0, dtype=np.float32, generator=None):
    """Spirals from the origin out to radius 1, one a class, wound into each other.

    turns   how often each goes round
    noise   standard deviation of what is added to each coordinate
    """
    _check("spirals", n, classes, noise)
    y, t = _along(n, classes)
    angle = 2 * np.pi * (turns * t + y / classes)
    x = t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _noisy(x, noise, dtype, generator), y


@telling
def rings(n=200, classes=2, noise=0.0, dtype=np.float32, generator=None):
    """Rings around the origin, one a class, of radius 1/classes, 2/classes, ..., 1.

    noise   standard deviation of what is added to each coordinate
    """
    _check("rings", n, classes, noise)
    y, t = _along(n, classes)
    x = ((y + 1) / classes)[:, None] * np.stack([np.cos(a := 2 * np.pi * t), np.sin(a)], axis=1)
    return _noisy(x, noise, dtype, generator), y


def _along(n, classes):
    """Class of each point, and how far along its curve it is: (0, 1], evenly."""
    y = np.arange(n) % classes
    step = np.arange(n) // classes + 1
    return y, step / np.bincount(y)[y]


def _noisy(x, noise, dtype, generator):
    if noise:
        x = x + noise * generator_or_default(generator).standard_normal(x.shape)
    return x.astype(dtype)


def _check(name, n, classes, noise):
    check_positive(name, n=n, classes=classes)
    if n < classes:
        raise ValueError(f"{name}: {n} points are too few for {classes} classes")
    check_not_negative(name, noise=noise)
