"""Samples of the operations in autograd/rules/elementwise.py."""

import numpy as np

from autograd import Tensor
from autograd.primitive import registry
from autograd.rules.elementwise import (
    gap,
    i0_slope,
    log_sigmoid,
    relu,
    sigmoid,
    sinc_slope,
    softplus,
)

from .make import fixed, integers, positive, real, sample, unit

ANYWHERE = (
    np.negative, np.positive, np.conjugate, np.absolute, np.fabs, np.square, np.reciprocal,
    np.deg2rad, np.radians, np.rad2deg, np.degrees, np.exp, np.exp2, np.expm1, np.sin, np.cos,
    np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.sinc, np.floor, np.ceil, np.trunc,
    np.rint, np.fix, np.round, np.around, np.sign, np.angle, np.real, np.imag, np.real_if_close,
    np.nan_to_num, np.modf, np.cbrt, np.i0, relu, sigmoid, softplus, log_sigmoid,
)  # fmt: skip
POSITIVE = (np.sqrt, np.log, np.log2, np.log10, np.log1p)
UNIT = (np.tan, np.arcsin, np.arccos, np.arctanh)
BINARY = (
    np.add, np.subtract, np.multiply, np.true_divide, np.hypot, np.copysign, np.arctan2,
    np.logaddexp, np.logaddexp2, np.heaviside,
)  # fmt: skip
CHOICES = (np.maximum, np.minimum, np.fmax, np.fmin)
ROW, COLUMN = np.array([0.52, -1.31, 1.74]), np.array([[0.93], [-0.68]])
QUOTIENTS = (np.floor_divide, np.remainder, np.fmod, np.divmod)
BETWEEN_STEPS = np.array([[0.37, -1.42], [2.61, -0.58]])
DIVISORS = np.array([0.83, -0.77])
PLAIN = (
    np.isnan, np.isinf, np.isfinite, np.isneginf, np.isposinf, np.signbit, np.isreal,
    np.iscomplex, np.isrealobj, np.iscomplexobj, np.shape, np.ndim, np.size, np.zeros_like,
    np.ones_like, np.logical_not,
)  # fmt: skip
PLAIN_BINARY = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.isclose, np.allclose, np.array_equal,
    np.array_equiv,
)  # fmt: skip
BITS = np.array([[0b00, 0b01], [0b10, 0b11]])

SAMPLES = [
    *(sample(f, real(2, 3)) for f in ANYWHERE),
    *(sample(f, real()) for f in ANYWHERE),
    *(sample(f, positive(2, 3)) for f in POSITIVE),
    *(sample(f, positive()) for f in POSITIVE),
    *(sample(f, unit(2, 3)) for f in UNIT),
    *(sample(f, unit()) for f in UNIT),
    *(sample(f, BITS, BITS[:1]) for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)),
    sample(np.invert, BITS),
    sample(np.arccosh, 1 + positive(3)),
    sample(np.arccosh, 1 + positive()),
    *(sample(f, real(3), real(3)) for f in BINARY),
    *(sample(f, real(2, 1), real(3)) for f in BINARY),
    *(sample(f, real(), real(2, 2)) for f in BINARY),
    *(sample(f, real(), real()) for f in BINARY),
    *(sample(f, ROW, ROW[::-1] + 0.2) for f in CHOICES),
    *(sample(f, ROW, COLUMN) for f in CHOICES),
    *(sample(f, 0.1, ROW) for f in CHOICES),
    *(sample(f, 0.4, -0.7) for f in CHOICES),
    *(sample(f, BETWEEN_STEPS, DIVISORS) for f in QUOTIENTS),
    *(sample(f, BETWEEN_STEPS, -0.79) for f in QUOTIENTS),
    *(sample(f, -1.27, 0.83) for f in QUOTIENTS),
    # a plain Python number beside an array does not change its type
    *(sample(f, real(3), fixed(0.1)) for f in BINARY),
    *(sample(f, fixed(0.1), real(3)) for f in BINARY),
    *(sample(f, ROW, fixed(0.1)) for f in CHOICES),
    *(sample(f, BETWEEN_STEPS, fixed(-0.79)) for f in QUOTIENTS),
    *(sample(f, fixed(1.27), DIVISORS) for f in QUOTIENTS),
    sample(np.where, np.array([True, False, True]), real(3), fixed(0.5)),
    sample(np.power, fixed(2.5), real(3)),
    sample(np.add, real(0, 3), real(3)),
    sample(np.multiply, real(2, 3), integers(-3, 4, 3)),
    sample(np.minimum, np.array([0, 2, -1]), ROW),
    sample(np.nextafter, real(3), real(3)).but(order=1),
    sample(np.spacing, real(3)).but(order=1),
    sample(np.ldexp, real(3), np.array([1, -2, 3])),
    sample(np.ldexp, real(), 3),
    sample(np.frexp, real(2, 2)),
    # powers: bases and exponents, plain and differentiated
    sample(np.power, positive(3), real(3)),
    sample(np.power, positive(2, 1), real(3)),
    sample(np.power, positive(), real()),
    sample(np.power, positive(3), 2.5),
    sample(np.power, 2.5, real(3)),
    sample(np.power, 2, real(3)),
    *(sample(np.power, real(4), n) for n in (-2, -1, 0, 1, 2, 3, 4, 5)),
    *(sample(np.power, real(), n) for n in (-1, 0, 1, 2, 3, 4)),
    sample(np.power, real(4), np.array([0, 1, 2, 3])),
    sample(np.power, real(4, 1), np.array([2.0, 1.0, 0.0, -1.0]).astype(int)),
    sample(np.power, positive(3), fixed(0.5)),
    sample(np.power, fixed(np.array([1.5, 2.5])), real(2)),
    sample(np.float_power, positive(3), real(3)),
    sample(np.float_power, positive(), real()),
    sample(np.float_power, real(3), 2),
    # steps and replacements with options
    sample(np.round, np.array([0.37, -1.42, 2.61]), 1),
    sample(np.around, np.array([37.2, -14.2, 26.1]), decimals=-1),
    sample(np.angle, real(3), deg=True),
    sample(np.real_if_close, real(3), tol=10),
    sample(np.nan_to_num, real(3), nan=2, posinf=3),
    # choices
    sample(np.clip, ROW, -0.5, 0.9),
    sample(np.clip, ROW, a_min=-0.5, a_max=None),
    sample(np.clip, COLUMN, None, ROW),
    # NumPy 2.0's function lacks the names min and max; our method has them
    sample(
        lambda x: (
            Tensor.clip(x, min=-0.5, max=0.9) if isinstance(x, Tensor) else np.clip(x, -0.5, 0.9)
        ),
        ROW,
    ).but(name="clip by name"),
    sample(
        lambda x: Tensor.clip(x, max=0.9) if isinstance(x, Tensor) else np.clip(x, None, 0.9), ROW
    ).but(name="clip by name"),
    sample(np.clip, ROW, COLUMN - 1, COLUMN + 0.4),
    sample(np.clip, 0.3, -0.5, 0.9),
    sample(np.clip, -0.8, -0.5, 0.9),
    sample(np.clip, ROW, 0.9, -0.5),
    sample(np.where, np.array([True, False, True]), real(3), real(3)),
    sample(np.where, np.array([[True], [False]]), real(3), real()),
    sample(np.where, True, real(), real()),
    sample(np.where, False, real(2, 1), fixed(0.3)),
    sample(np.where, integers(0, 2, 4)),
    # derivatives of higher orders as operations
    *(sample(sinc_slope, 2 * real(3), order=n) for n in range(4)),
    *(sample(i0_slope, 2 * real(3), order=n) for n in range(4)),
    # element types and filling
    sample(registry["astype"], real(3), dtype=np.dtype(float)),
    sample(np.full_like, real(2, 3), real()),
    sample(np.full_like, real(2, 3), real(3)),
    sample(np.full_like, real(3), real(), shape=(2, 2)),
    sample(np.full_like, real(3), 2),
    *([sample(np.astype, real(3), np.float64)] if hasattr(np, "astype") else []),
    # no derivative
    *(sample(f, real(2, 3)) for f in PLAIN),
    *(sample(f, real(3), real(3)) for f in PLAIN_BINARY),
    sample(np.zeros_like, real(2, 3), shape=(4,)),
    sample(lambda x: str(np.result_type(x, np.float32)), real(3)).but(covers=(np.result_type,)),
    sample(lambda x: str(np.min_scalar_type(x)), real(3)).but(covers=(np.min_scalar_type,)),
    sample(lambda x: np.common_type(x).__name__, real(3)).but(covers=(np.common_type,)),
    sample(lambda x: np.can_cast(x.dtype, np.float32), real(3)).but(covers=(np.can_cast,)),
    sample(np.empty_like, real(0, 3)),
]
SAMPLES += [sample(gap, real(3), real(3)), sample(gap, real(), real(2, 1))]
