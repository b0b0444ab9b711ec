"""What is done to gradients between ``backward()`` and ``step()``: a ceiling, or noise.

Parameters without a gradient are passed over.
"""

import math

import numpy as np

from autograd.lazy import compute_gradients
from autograd.primitive import applied, is_foreign, number, recorded, telling
from autograd.rules.random import beside, generator_or_default


@telling
def clip_grad_value_(parameters, clip_value=5.0):
    """Hold every component of the gradients between -clip_value and clip_value, in place.

    Lecture C: a ceiling on the derivative, typically 5.  A component that is NaN stays.
    """
    _positive("clip_value", clip_value)
    for p in _with_gradient(parameters):
        out = p.grad if isinstance(p.grad, np.ndarray) or is_foreign(p.grad) else None
        p.grad = np.clip(p.grad, -clip_value, clip_value, out=out)


@telling
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Shrink all gradients by one factor, so that their norm together is at most `max_norm`.

    norm_type            of the vector of all components: a number > 0, or inf for the largest
    error_if_nonfinite   raise ValueError, changing nothing, where the norm is inf or NaN

    Returns the norm as it was.  The direction stays, where `clip_grad_value_` turns it.

    >>> from autograd import Tensor
    >>> a, b = Tensor([0.0]), Tensor([0.0])
    >>> a.grad, b.grad = np.array([3.0]), np.array([4.0])
    >>> clip_grad_norm_([a, b], max_norm=1.0)
    5.0
    >>> b.grad.round(4)
    array([0.8])
    """
    _positive("max_norm", max_norm)
    _positive("norm_type", norm_type)
    found = _with_gradient(parameters)
    norm = applied(_norm, [p.grad for p in found], norm_type, error_if_nonfinite)
    factor = applied(_factor, norm, max_norm)
    if recorded(factor) or factor != 1:
        with np.errstate(invalid="ignore"):  # inf times the factor 0, as in PyTorch
            for p in found:
                p.grad *= factor
    return norm


@telling
def add_gradient_noise_(parameters, step, eta=0.3, gamma=0.55, generator=None):
    """Add noise that dies away to the gradients, in place (Neelakantan et al. 2015).

    Normal with variance eta/(1 + step)^gamma, step = 0, 1, 2, …
    """
    if not (0 <= eta < math.inf and 0 <= gamma < math.inf and step >= 0):
        raise ValueError(
            f"add_gradient_noise_: eta, gamma and step must be numbers >= 0, not {eta!r}, "
            f"{gamma!r} and {step!r}"
        )
    generator = generator_or_default(generator)
    scale = math.sqrt(eta / float(1 + step) ** gamma)
    for p in _with_gradient(parameters):
        if isinstance(p.grad, float):
            p.grad += scale * generator.standard_normal()
        else:
            noise = generator.standard_normal(p.grad.shape, _drawn(p.grad.dtype))
            p.grad += scale * beside(noise, p.grad)


def _factor(norm, most):
    """What shrinks a norm to `most`; 1 for less.  PyTorch's 1e-6 is for a norm of 0."""
    factor = most / (norm + 1e-6)
    return 1.0 if factor >= 1 else factor


def _norm(gradients, order, finite):
    """The norm of all components, also where their squares or powers would overflow.

    finite   whether to raise ValueError for another
    """
    norm = _power_norm(gradients, order)
    if finite and not math.isfinite(norm):
        raise ValueError(f"clip_grad_norm_: the gradients' norm is {norm}")
    return norm


def _power_norm(gradients, order):
    if order == 2:
        total = summed(np.vdot(g, g) for g in gradients)
        if 1e-30 < total < math.inf:
            return math.sqrt(total)
    parts = [number(np.max(np.abs(g))) for g in gradients if math.prod(np.shape(g))]
    largest = float(np.max(parts, initial=0.0))
    if order == math.inf or largest == 0 or not math.isfinite(largest):
        return largest
    total = summed(np.sum((np.abs(g) / largest) ** order, dtype=float) for g in gradients)
    return largest * total ** (1 / order)


def summed(parts):
    """The sum of numbers in double precision; what is on a device is waited for once."""
    return number(sum(x.astype(float) if is_foreign(x) else float(x) for x in parts))


def _drawn(dtype):
    return dtype if dtype in (np.float32, np.float64) else np.float64


def _with_gradient(parameters):
    parameters = [parameters] if hasattr(parameters, "requires_grad") else list(parameters)
    for p in parameters:
        if not hasattr(p, "grad"):
            raise TypeError(f"parameters are Tensors, one of them is a {type(p).__name__}")
    compute_gradients(parameters)
    return [p for p in parameters if p.grad is not None]


def _positive(name, value):
    if not value > 0:
        raise ValueError(f"{name} must be a number > 0, not {value!r}")
