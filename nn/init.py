"""Starting values of parameters: functions from a shape to an array, and `apply` for a model.

fan_in    how many numbers a unit is summed from: for a weight (out, in, *kernel), in · kernel
fan_out   how many units a number goes to: out · kernel

    nn.init.apply(model, nn.init.he_normal, generator=np.random.default_rng(0))

All take a `generator` and a `dtype`, also those that draw nothing, so that each can stand for
another.  Xavier's is also called Glorot's, He's Kaiming's.
"""

import math

import numpy as np

from autograd.primitive import telling
from autograd.rules.random import generator_or_default

from .module import Module

# --- values ---------------------------------------------------------------------------------------


@telling
def constant(shape, value, generator=None, dtype=np.float32):
    """`value` everywhere."""
    return np.full(shape, value, dtype)


@telling
def zeros(shape, generator=None, dtype=np.float32):
    """0 everywhere: right for biases; the units of a layer of such weights stay equal forever."""
    return np.zeros(shape, dtype)


@telling
def ones(shape, generator=None, dtype=np.float32):
    """1 everywhere."""
    return np.ones(shape, dtype)


@telling
def uniform(shape, low=-0.01, high=0.01, generator=None, dtype=np.float32):
    """Uniform in [low, high); by default lecture A's range."""
    shape = _sizes(shape)
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f"uniform: low <= high wanted, got {low} and {high}")
    return generator_or_default(generator).uniform(low, high, shape).astype(dtype)


@telling
def normal(shape, mean=0.0, std=0.01, generator=None, dtype=np.float32):
    """Normal with a mean and a standard deviation; by default lecture B's small numbers."""
    shape = _sizes(shape)
    if not 0 <= std < np.inf:
        raise ValueError(f"normal: std is 0 or more, got {std}")
    return (mean + std * generator_or_default(generator).standard_normal(shape)).astype(dtype)


@telling
def fan_in_normal(shape, gain=1.0, generator=None, dtype=np.float32):
    """Normal with variance gain²/fan_in (LeCun et al. 1998; "Xavier" in lecture B's listing)."""
    return normal(shape, 0.0, gain / math.sqrt(_fans(shape)[0]), generator, dtype)


@telling
def xavier_uniform(shape, gain=1.0, generator=None, dtype=np.float32):
    """Uniform with variance 2·gain²/(fan_in + fan_out) (Glorot & Bengio 2010).

    The variance between what would keep the activations' and what would keep the gradients'.
    """
    bound = gain * math.sqrt(6 / sum(_fans(shape)))
    return uniform(shape, -bound, bound, generator, dtype)


@telling
def xavier_normal(shape, gain=1.0, generator=None, dtype=np.float32):
    """Normal with the variance of `xavier_uniform`."""
    return normal(shape, 0.0, gain * math.sqrt(2 / sum(_fans(shape))), generator, dtype)


@telling
def he_uniform(shape, mode="fan_in", gain=2**0.5, generator=None, dtype=np.float32):
    """Uniform with variance gain²/fan, which for a relu keeps the activations' (He et al. 2015).

    mode   "fan_in", or "fan_out" to keep the gradients' variance
    gain   √2, as a relu lets half of the variance pass; √(2/(1 + a²)) for slope a below 0
    """
    bound = gain * math.sqrt(3 / _fan("he_uniform", shape, mode))
    return uniform(shape, -bound, bound, generator, dtype)


@telling
def he_normal(shape, mode="fan_in", gain=2**0.5, generator=None, dtype=np.float32):
    """Normal with the variance of `he_uniform`: lecture B's randn/√(fan_in/2)."""
    return normal(shape, 0.0, gain / math.sqrt(_fan("he_normal", shape, mode)), generator, dtype)


@telling
def orthogonal(shape, gain=1.0, generator=None, dtype=np.float32):
    """A random matrix (out, the rest) whose rows, or columns if fewer, are orthonormal, times gain.

    Uniform over all such matrices (Saxe et al. 2014): QR of a normal one, with R's diagonal
    positive.
    """
    _fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    draw = generator_or_default(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draw)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    q = q if rows >= columns else q.T
    return (gain * q).reshape(shape).astype(dtype)


def _sizes(shape):
    """A shape; TypeError for None, which generators take for a single number."""
    if shape is None:
        raise TypeError("shape is a tuple of sizes, not None")
    return shape


def _fans(shape):
    """(fan_in, fan_out) of a weight (out, in, *kernel)."""
    if np.ndim(shape) != 1 or len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"fan_in and fan_out are those of a weight (out, in, ...); got the shape {shape}"
        )
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _fan(name, shape, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: mode is "fan_in" or "fan_out", not {mode!r}')
    return _fans(shape)[mode == "fan_out"]


# --- of a model -----------------------------------------------------------------------------------


@telling
def apply(module, initializer, where=None, generator=None, **settings):
    """Give the parameters of a module new values, ``initializer(shape, ...)``; returns the module.

    initializer   a function of this file, or any with its arguments shape, generator and dtype
    where         where(name, parameter) says which; by default those of two axes or more: weights,
                  and neither biases nor the scales of a normalization
    settings      handed to the initializer

    Nothing changes unless all goes well.

    >>> import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> apply(model, he_normal, generator=np.random.default_rng(0)).layers[0].weight.data.round(2)
    array([[ 0.13, -0.13],
           [ 0.64,  0.1 ],
           [-0.54,  0.36]], dtype=float32)
    >>> model = apply(model, zeros, where=lambda name, p: name.endswith("bias"))
    """
    if not isinstance(module, Module):
        raise TypeError(f"init.apply: a Module wanted, not a {type(module).__name__}")
    chosen = [
        (name, p)
        for name, p in module.named_parameters()
        if (p.ndim >= 2 if where is None else where(name, p))
    ]
    if not chosen:
        raise ValueError(f"init.apply: no parameter of {type(module).__name__} is chosen")
    generator, new = generator_or_default(generator), {}
    for name, p in chosen:
        value = np.asarray(initializer(p.shape, generator=generator, dtype=p.dtype, **settings))
        if value.shape != p.shape:
            raise ValueError(
                f"init.apply: the initializer gave shape {value.shape} for {name} of {p.shape}"
            )
        new[name] = value.astype(p.dtype, copy=False)
    module._assign(new)
    return module
