"""Noise while training: dropout and its variations (lecture C), and noise on inputs and weights.

All of these are in effect while a module trains, and in evaluation give what is expected of them
then; each draws from a ``generator`` of its own, or the default one.  Dropout's family draws what
an element, weight or state becomes; p is the probability that it is dropped.
"""

import numpy as np

from autograd.payload import real
from autograd.primitive import telling
from autograd.rules.random import bernoulli, normal

from . import functional as F
from .checks import check_flag, check_not_negative, check_probability
from .layers import Linear
from .module import Module, functional_call

TINY = 1e-30  # keeps derivatives at 0 finite where a root or power has none; far below rounding


class Dropout(Module):
    """While training, zero each element with probability p and divide the rest by 1 - p.

    p           probability of dropping, in [0, 1]
    generator   a numpy.random.Generator of its own; the default one if None
    inverted    False for lecture C's form: the rest is kept as it is while training, and in
                evaluation everything is multiplied by 1 - p, as if the weights that follow were

    In both forms evaluation gives the expectation of what training gives.
    """

    def __init__(self, p=0.5, generator=None, *, inverted=True):
        check_probability("Dropout", p=p)
        check_flag("Dropout", inverted=inverted)
        self.p, self.generator, self.inverted = p, generator, inverted

    def forward(self, x):
        """Any shape; x itself in evaluation, if inverted."""
        if self.inverted:
            return F.dropout(x, self.p, self.generator) if self.training else x
        keep = bernoulli(x, p=1 - self.p, generator=self.generator) if self.training else 1 - self.p
        return x * keep

    def extra_repr(self):
        """The probability, and which form."""
        return f"p={self.p}" + ", inverted=False" * (not self.inverted)


class GaussianNoise(Module):
    """While training, x + std · N(0, 1), as lecture D perturbs data; in evaluation x itself."""

    def __init__(self, std=0.1, generator=None):
        check_not_negative("GaussianNoise", std=std)
        self.std, self.generator = std, generator

    def forward(self, x):
        """Any shape."""
        x = real("GaussianNoise", x)
        return x + normal(x, std=self.std, generator=self.generator) if self.training else x

    def extra_repr(self):
        """The standard deviation."""
        return f"std={self.std}"


# --- states ---------------------------------------------------------------------------------------


@telling
def zoneout(new, old, p, training=True, generator=None):
    """Each element of a state stays as it was, with probability p; see `Zoneout`."""
    check_probability("zoneout", p=p)
    new, old = real("zoneout", new), real("zoneout", old)
    if not training:
        return p * old + (1 - p) * new
    return np.where(bernoulli(new, p=p, generator=generator), old, new)


class Zoneout(Module):
    """A recurrent cell some of whose units stay unchanged at a step (Krueger et al. 2016).

    Lecture C: "randomly chosen units remain unchanged across a time transition".  In evaluation
    the state is the expectation, p · before + (1 - p) · after.  Every part of a state, such as
    an LSTM's h and c, draws its own.

    cell   a module from x and a state to the next state, such as `RNNCell`
    p      probability of staying

    Layers over whole sequences have it as their setting ``zoneout``.
    """

    def __init__(self, cell, p=0.1, generator=None):
        check_probability("Zoneout", p=p)
        self.cell, self.p, self.generator = cell, p, generator

    def forward(self, x, state=None):
        """The next state; zeros stand for a state of None."""
        after = self.cell(x, state)
        several = isinstance(after, tuple)
        afters = after if several else (after,)
        if state is None:
            before = [np.zeros_like(part) for part in afters]
        else:
            before = state if several else (state,)
        states = tuple(
            zoneout(new, old, self.p, self.training, self.generator)
            for new, old in zip(afters, before, strict=True)
        )
        return states if several else states[0]

    def extra_repr(self):
        """The probability."""
        return f"p={self.p}"


# --- weights --------------------------------------------------------------------------------------


class _NoisyWeights(Module):
    """Base: runs a module with other weights while training; a subclass says which.

    Weights are the parameters of two axes or more: biases and the scales of normalizations are
    left alone.  They are drawn once a call, the same for all examples of a batch.
    """

    def __init__(self, module, generator):
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: a module with weights wanted, not {type(module).__name__}"
            )
        if not any(np.ndim(p) >= 2 for p in module.parameters()):
            raise ValueError(
                f"{type(self).__name__}: {type(module).__name__} has no weights: no parameter of "
                f"two axes or more"
            )
        self.module, self.generator = module, generator

    def forward(self, *args):
        """What the module gives."""
        if not self.training:
            return self.module(*args)
        weights = {
            name: self.noisy(p) for name, p in self.module.named_parameters() if np.ndim(p) >= 2
        }
        return functional_call(self.module, weights, *args)


class DropConnect(_NoisyWeights):
    """Dropout of single connections instead of units (Wan et al. 2013; lecture C).

    Each weight of the module is zeroed with probability p, the rest is divided by 1 - p: on
    average the weights are what they are in evaluation.
    """

    def __init__(self, module, p=0.5, generator=None):
        super().__init__(module, generator)
        check_probability("DropConnect", p=p)
        self.p = p

    def noisy(self, weight):
        """The weight with some elements dropped."""
        return F.dropout(weight, self.p, self.generator)

    def extra_repr(self):
        """The probability."""
        return f"p={self.p}"


class Shakeout(_NoisyWeights):
    """Weights shaken between two values (Kang et al. 2016; lecture C).

    With probability p a weight w becomes -c s, s its sign, and otherwise a w + (a - 1) c s with
    a = 1/(1 - p): larger.  On average it is w.  c = 0 is `DropConnect`.

    p   probability of becoming the constant, in [0, 1)
    c   its size

    Lecture C prints the second value as a w + (1 - a) c, whose average is not w; the sign here is
    the paper's.  The paper draws for units, which all connections of a unit share; here, as in
    the lecture, each weight has its own.
    """

    def __init__(self, module, p=0.5, c=0.1, generator=None):
        super().__init__(module, generator)
        check_probability("Shakeout", p=p)
        if p == 1:
            raise ValueError("Shakeout: p is a probability in [0, 1), got 1")
        check_not_negative("Shakeout", c=c)
        self.p, self.c = p, c

    def noisy(self, weight):
        """Each weight at one of its two values."""
        constant = self.c * np.sign(weight)
        keep = bernoulli(weight, p=1 - self.p, generator=self.generator)
        return keep * ((weight + constant) / (1 - self.p)) - constant

    def extra_repr(self):
        """The probability and the constant."""
        return f"p={self.p}, c={self.c}"


class WeightNoise(_NoisyWeights):
    """While training, weights + std · N(0, 1); in evaluation the weights themselves."""

    def __init__(self, module, std=0.1, generator=None):
        super().__init__(module, generator)
        check_not_negative("WeightNoise", std=std)
        self.std = std

    def noisy(self, weight):
        """The weight with noise added."""
        return weight + normal(weight, std=self.std, generator=self.generator)

    def extra_repr(self):
        """The standard deviation."""
        return f"std={self.std}"


class Whiteout(Module):
    """A Linear with weight-dependent Gaussian noise on the signal of each connection (lecture C).

    Li & Liu (2016): connection ij carries x_j + e_ij, or with ``multiplicative=True`` x_j times
    1 + e_ij, where e_ij is normal with variance sigma² |w_ij|^-gamma + lam.  What unit i gets has
    then the variance Σ_j sigma² |w_ij|^(2 - gamma) + lam w_ij² (times x_j²), and that is what is
    drawn, once for each example and unit: the distribution is the same.

    gamma   in [0, 2]; 1 acts like an L1 penalty, 2 like a constant noise whatever the weights
    """

    def __init__(
        self, module, sigma=0.1, lam=0.0, gamma=1.0, multiplicative=False, generator=None
    ):  # fmt: skip
        if not isinstance(module, Linear):
            raise TypeError(f"Whiteout: a Linear wanted, not {type(module).__name__}")
        check_not_negative("Whiteout", sigma=sigma, lam=lam)
        check_not_negative("Whiteout", gamma=gamma)
        if gamma > 2:
            raise ValueError(f"Whiteout: gamma lies in [0, 2], got {gamma}")
        check_flag("Whiteout", multiplicative=multiplicative)
        self.module, self.generator = module, generator
        self.sigma, self.lam, self.gamma = sigma, lam, gamma
        self.multiplicative = multiplicative

    def forward(self, x):
        """(..., in_features) to (..., out_features)."""
        y = self.module(x)
        if not self.training:
            return y
        weight = self.module.weight
        size = np.maximum(np.abs(weight), TINY)
        each = self.sigma**2 * size ** (2 - self.gamma) + self.lam * np.square(weight)
        variance = F.linear(np.square(x), each, None) if self.multiplicative else np.sum(each, -1)
        return y + np.sqrt(variance + TINY) * normal(y, generator=self.generator)

    def extra_repr(self):
        """The settings."""
        kind = ", multiplicative=True" * self.multiplicative
        return f"sigma={self.sigma}, lam={self.lam}, gamma={self.gamma}{kind}"
