"""Operations on corresponding elements: arithmetic, powers, exponentials, waves, steps, choices.

Read a line as a row of a table: the function, then one rule per argument.  Such a Jacobian is
diagonal, so a rule ``(g, y, *arguments)``, the product g·∂y/∂argument, serves both modes; None
stands for a derivative that is zero everywhere.  ``scalar`` is the same function on Python
numbers, only faster; ``kinks`` says what is answered where there is no derivative, ``at_kink`` for
which elements that is.

Two habits keep the rules exact.  What is computed from ``y`` costs no second transcendental
function, but is avoided where it would cancel: (expm1 x)′ is exp x and not y + 1, which is 0 for
x = -50.  And what would be 0·inf in a branch not taken is kept finite with ``np.where``.
"""

import math
import operator

import numpy as np

from ..batching import Same, allocating, broadcasting, inquiring
from ..costs import called, each, moved, written
from ..families import Constant, composition, constant, elementwise, general, linear
from ..primitive import Wrapper, is_whole, registry
from .indexing import setitem

LN2, LN10 = math.log(2), math.log(10)  # Python floats: a np.float64 would turn float32 to float64


def _zero_to_inf(y):
    """`y`, and inf where it is 0: what is divided by it is then 0 in every derivative."""
    return np.where(y == 0, math.inf, y)


def _shared(g, chosen, tied):
    """`g` where an argument was chosen, half of it where both were."""
    return g * chosen + 0.5 * g * tied


def _at_zero(y, x):
    return x == 0


def _at_equal(y, a, b):
    return a == b


def _at_origin(y, a, b):
    return (a == 0) & (b == 0)


# --- arithmetic -----------------------------------------------------------------------------------

elementwise(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g, scalar=operator.add)
elementwise(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g, scalar=operator.sub)
elementwise(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, scalar=operator.mul)
elementwise(
    np.true_divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b,
    scalar=operator.truediv,
)  # fmt: skip
elementwise(
    np.floor_divide, None, None, scalar=operator.floordiv,
    kinks="0 at the steps", at_kink=lambda y, a, b: np.remainder(a, b) == 0,
)  # fmt: skip
elementwise(
    np.remainder, lambda g, y, a, b: g, lambda g, y, a, b: -g * (a // b),
    scalar=operator.mod, kinks="a/b integer: as between the jumps", at_kink=lambda y, a, b: y == 0,
)  # fmt: skip
elementwise(  # (a - y)/b is an integer but for rounding
    np.fmod, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.rint((a - y) / b),
    scalar=math.fmod, kinks="a/b integer: as between the jumps", at_kink=lambda y, a, b: y == 0,
)  # fmt: skip
elementwise(np.negative, lambda g, y, x: -g, scalar=operator.neg)
elementwise(np.positive, lambda g, y, x: g, scalar=operator.pos)
elementwise(np.conjugate, lambda g, y, x: g, scalar=operator.pos)
for _absolute in (np.absolute, np.fabs):
    elementwise(
        _absolute, lambda g, y, x: g * np.sign(x), scalar=abs, kinks="0 at 0", at_kink=_at_zero
    )
elementwise(np.square, lambda g, y, x: g * (2 * x), scalar=lambda x: x * x)
elementwise(np.reciprocal, lambda g, y, x: -g * y * y, scalar=lambda x: 1 / x)
elementwise(
    np.hypot,
    lambda g, y, a, b: g * (a / _zero_to_inf(y)),
    lambda g, y, a, b: g * (b / _zero_to_inf(y)),
    scalar=math.hypot, kinks="0 at the origin", at_kink=_at_origin,
)  # fmt: skip
elementwise(
    np.copysign, lambda g, y, a, b: g * (np.sign(a) * np.sign(y)), None,
    scalar=math.copysign, kinks="0 at a = 0", at_kink=lambda y, a, b: a == 0,
)  # fmt: skip
elementwise(np.nextafter, lambda g, y, a, b: g, None, scalar=math.nextafter)
elementwise(np.ldexp, lambda g, y, x, i: np.ldexp(g, i), None, scalar=math.ldexp)
elementwise(np.deg2rad, lambda g, y, x: g * (math.pi / 180), scalar=math.radians)
elementwise(np.radians, lambda g, y, x: g * (math.pi / 180), scalar=math.radians)
elementwise(np.rad2deg, lambda g, y, x: g * (180 / math.pi), scalar=math.degrees)
elementwise(np.degrees, lambda g, y, x: g * (180 / math.pi), scalar=math.degrees)
general(
    np.modf, lambda g, y, x: g[0], lambda g, y, x: (g, np.zeros_like(g)),
    outputs=True, batch=broadcasting,
    kinks="integers: as between the jumps", at_kink=lambda y, x: y[0] == 0,
)  # fmt: skip


@composition(np.divmod, kinks="a/b integer: as between the jumps")
def divmod(a, b):
    """``(a // b, a % b)``."""
    return np.floor_divide(a, b), np.remainder(a, b)


@composition(np.frexp, kinks="powers of two: as between the jumps")
def frexp(x):
    """``(mantissa, exponent)`` with ``x = mantissa * 2**exponent``; the exponents are plain."""
    exponent = _exponent(x)
    return np.ldexp(x, -exponent), exponent


_exponent = Constant(lambda x: np.frexp(x)[1], arity=1, batch=broadcasting, cost=called("frexp"))


# --- powers and roots -----------------------------------------------------------------------------


def power(a, b):
    """``a**b``; the small powers are products, a hundred times as fast as NumPy's pow."""
    if (type(b) is int or type(b) is float) and (b == 2 or b == 3):
        if type(a) is float or not is_whole(a):
            return a * a if b == 2 else a * a * a
    value = a**b
    if type(value) is complex:  # Python numbers: NumPy's answer is nan
        raise ArithmeticError("a negative number to a power that is not an integer")
    return value


def _power_by_base(a, b):
    """∂(a^b)/∂a = b·a^(b-1), and for b = 0 zero, also where a is."""
    if isinstance(b, (int, float)):  # a plain exponent, of which no derivative is asked
        if b == 0:
            return 0.0
        return b * (a if b == 2 else power(a, b - 1))
    # 0·0^-1 would be nan.  Only there may b - 1 be changed: elsewhere ∂²/∂a∂b needs it
    return b * a ** (b - 1 + ((a == 0) & (b == 0)))


def _power_by_exponent(y, a, b):
    """∂(a^b)/∂b = a^b·log a; for a = 0 its limit, 0 (also at b = 0) or -inf; for a < 0 nan.

    A negative number has a real power only at single exponents, so nothing to differentiate:
    nan, as PyTorch and JAX have it.
    """
    if isinstance(a, (int, float)) and a != 0:  # weakly typed: 2.0**t is float32 with t
        return y * (math.log(a) if a > 0 else math.nan)
    if isinstance(a, (int, float)):
        return -y * (b < 0)  # -inf for b < 0, where y is inf
    logarithm = np.log(np.where(a > 0, a, 1.0))
    logarithm = np.where((a == 0) & (b < 0), -1.0, logarithm)  # y is inf there
    return np.where(a < 0, math.nan, y * logarithm)


elementwise(
    np.power,
    lambda g, y, a, b: g * _power_by_base(a, b),
    lambda g, y, a, b: g * _power_by_exponent(y, a, b),
    forward=power, scalar=power, kinks="base 0: 0 by an exponent >= 0; base < 0: nan by it",
    at_kink=lambda y, a, b: (a == 0) & (b < 1) & (b != 0),
)  # fmt: skip
elementwise(
    np.sqrt, lambda g, y, x: g / (2 * y), scalar=math.sqrt, kinks="inf at 0", at_kink=_at_zero
)
elementwise(
    np.cbrt, lambda g, y, x: g / (3 * y * y), scalar=math.cbrt, kinks="inf at 0", at_kink=_at_zero
)


@composition(np.float_power, kinks="as power")
def float_power(a, b):
    """``a**b`` in double precision at least."""
    return np.power(_double(a), _double(b))


def _double(x):
    return astype(x, dtype=np.dtype(float)) if hasattr(x, "dtype") else np.multiply(x, 1.0)


# --- exponentials and logarithms ------------------------------------------------------------------

elementwise(np.exp, lambda g, y, x: g * y, scalar=math.exp)
elementwise(np.exp2, lambda g, y, x: g * (LN2 * y), scalar=math.exp2)
elementwise(np.expm1, lambda g, y, x: g * np.exp(x), scalar=math.expm1)
elementwise(np.log, lambda g, y, x: g / x, scalar=math.log)
elementwise(np.log2, lambda g, y, x: g / (LN2 * x), scalar=math.log2)
elementwise(np.log10, lambda g, y, x: g / (LN10 * x), scalar=math.log10)
elementwise(np.log1p, lambda g, y, x: g / (1 + x), scalar=math.log1p)


def _gap(a, b):
    with np.errstate(invalid="ignore"):
        return np.where(np.equal(a, b), 0.0, np.subtract(a, b))


gap = elementwise(
    _gap, lambda g, y, a, b: g, lambda g, y, a, b: -g,
    name="gap", doc="a - b, and 0 also for equal infinities.",
)  # fmt: skip

# e^a/(e^a + e^b) is σ(a - b), exactly; from y, as e^(a - y), it would lose the digits of a large y
elementwise(
    np.logaddexp,
    lambda g, y, a, b: g * sigmoid(gap(a, b)), lambda g, y, a, b: g * sigmoid(gap(b, a)),
    kinks="halves for equal infinities", at_kink=lambda y, a, b: (a == b) & np.isinf(a),
)  # fmt: skip
elementwise(
    np.logaddexp2,
    lambda g, y, a, b: g * sigmoid(LN2 * gap(a, b)),
    lambda g, y, a, b: g * sigmoid(LN2 * gap(b, a)),
    kinks="halves for equal infinities", at_kink=lambda y, a, b: (a == b) & np.isinf(a),
)  # fmt: skip

# --- trigonometry ---------------------------------------------------------------------------------

elementwise(np.sin, lambda g, y, x: g * np.cos(x), scalar=math.sin)
elementwise(np.cos, lambda g, y, x: -g * np.sin(x), scalar=math.cos)
elementwise(np.tan, lambda g, y, x: g * (1 + y * y), scalar=math.tan)
elementwise(  # (1 - x)(1 + x) is exact near ±1, where 1 - x² cancels
    np.arcsin, lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)), scalar=math.asin,
    kinks="inf at ±1", at_kink=lambda y, x: np.abs(x) == 1,
)  # fmt: skip
elementwise(
    np.arccos, lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)), scalar=math.acos,
    kinks="-inf at ±1", at_kink=lambda y, x: np.abs(x) == 1,
)  # fmt: skip
elementwise(np.arctan, lambda g, y, x: g / (1 + x * x), scalar=math.atan)
elementwise(
    np.arctan2,
    lambda g, y, a, b: g * _over_square(b, a, b),
    lambda g, y, a, b: -g * _over_square(a, a, b),
    scalar=math.atan2, kinks="0 at the origin", at_kink=_at_origin,
)  # fmt: skip


def _over_square(x, a, b):
    """x/(a² + b²) without overflow; 0 at the origin."""
    radius = _zero_to_inf(np.hypot(a, b))
    return x / radius / radius


# --- hyperbolic functions -------------------------------------------------------------------------

elementwise(np.sinh, lambda g, y, x: g * np.cosh(x), scalar=math.sinh)
elementwise(np.cosh, lambda g, y, x: g * np.sinh(x), scalar=math.cosh)
elementwise(np.tanh, lambda g, y, x: g * (1 - y * y), scalar=math.tanh)
elementwise(np.arcsinh, lambda g, y, x: g / np.hypot(1, x), scalar=math.asinh)
elementwise(
    np.arccosh, lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)), scalar=math.acosh,
    kinks="inf at 1", at_kink=lambda y, x: x == 1,
)  # fmt: skip
elementwise(np.arctanh, lambda g, y, x: g / ((1 - x) * (1 + x)), scalar=math.atanh)

# --- sinc and the Bessel function I₀, with their derivatives of every order ---------------------
# Both are means of simple waves, sinc x = ∫₀¹ cos(πxt) dt and I₀(x) = (2/π) ∫₀^½π cosh(x cos t) dt,
# which can be differentiated under the integral; the sums below are exact to rounding.

_LEGENDRE = np.polynomial.legendre.leggauss(20)
_UNIT = tuple((float(t + 1) / 2, float(w) / 2) for t, w in zip(*_LEGENDRE, strict=True))
_QUARTER = tuple(math.cos(math.pi * (k + 0.5) / 128) for k in range(64))
_SINES = (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))  # the sine's derivatives


def _sinc_slope(x, order):
    wave = _SINES[(order + 1) % 4]
    inside = sum(w * (math.pi * t) ** order * wave(math.pi * t * x) for t, w in _UNIT)
    near = np.abs(x) < 1
    x = np.where(near, 1.0, x)
    outside = np.sin(math.pi * x) / (math.pi * x)
    for n in range(1, order + 1):  # Leibniz on x · sinc x = sin(πx)/π; cancels for small x
        outside = (math.pi ** (n - 1) * _SINES[n % 4](math.pi * x) - n * outside) / x
    return np.where(near, inside, outside)


def _i0_slope(x, order):
    wave = np.sinh if order % 2 else np.cosh
    return sum(c**order * wave(c * x) for c in _QUARTER) / len(_QUARTER)


sinc_slope = elementwise(
    _sinc_slope, lambda g, y, x, order: g * sinc_slope(x, order=order + 1),
    name="sinc_slope", arity=1, doc="The derivative of np.sinc of an order.",
)  # fmt: skip
i0_slope = elementwise(
    _i0_slope, lambda g, y, x, order: g * i0_slope(x, order=order + 1),
    name="i0_slope", arity=1, doc="The derivative of np.i0 of an order: for 1, I₁.",
)  # fmt: skip
elementwise(np.sinc, lambda g, y, x: g * sinc_slope(x, order=1))
elementwise(np.i0, lambda g, y, x: g * i0_slope(x, order=1))

# --- steps: the derivative is zero wherever there is one ------------------------------------------


def _signed(rounded):
    return lambda x: math.copysign(rounded(x), x)  # -0.5 to -0.0, as NumPy does


def _step(function, at_kink, **settings):
    elementwise(function, None, kinks="0 at the steps", at_kink=at_kink, **settings)


def _at_half(y, x, decimals=0, **options):
    x = x * 10.0**decimals
    return np.abs(x - np.rint(x)) == 0.5


_step(np.floor, lambda y, x: x == y, scalar=_signed(math.floor))
_step(np.ceil, lambda y, x: x == y, scalar=_signed(math.ceil))
_step(np.trunc, lambda y, x: (x == y) & (x != 0), scalar=_signed(math.trunc))
_step(np.fix, lambda y, x: (x == y) & (x != 0), forward=np.trunc, scalar=_signed(math.trunc))
_step(np.rint, _at_half, scalar=_signed(round))
_step(np.round, _at_half)
_step(np.around, _at_half)
_step(np.spacing, lambda y, x: np.abs(np.frexp(x)[0]) == 0.5)
elementwise(
    np.sign, None, scalar=lambda x: 1.0 if x > 0 else -1.0 if x < 0 else x,
    kinks="0 at 0", at_kink=_at_zero,
)  # fmt: skip
elementwise(
    np.heaviside, None, lambda g, y, x, h: g * (x == 0),
    kinks="0 at 0", at_kink=lambda y, x, h: x == 0,
)  # fmt: skip
elementwise(np.angle, None, kinks="0 at 0", at_kink=lambda y, x, deg=False: x == 0)

# --- parts of complex numbers, of real ones ---------------------------------------------------

elementwise(np.real, lambda g, y, x: g, forward=np.positive, scalar=operator.pos)
elementwise(np.imag, None, forward=np.zeros_like, scalar=lambda x: 0.0)
elementwise(np.real_if_close, lambda g, y, x, tol=100: g, forward=lambda x, tol=100: np.positive(x))

# --- choices ----------------------------------------------------------------------------------

elementwise(
    np.maximum,
    lambda g, y, a, b: _shared(g, a > b, a == b), lambda g, y, a, b: _shared(g, b > a, a == b),
    scalar=lambda a, b: float(a if a >= b or a != a else b), kinks="ties share equally",
    at_kink=_at_equal,
)  # fmt: skip
elementwise(
    np.minimum,
    lambda g, y, a, b: _shared(g, a < b, a == b), lambda g, y, a, b: _shared(g, b < a, a == b),
    scalar=lambda a, b: float(a if a <= b or a != a else b), kinks="ties share equally",
    at_kink=_at_equal,
)  # fmt: skip
elementwise(  # a number is chosen before a nan
    np.fmax,
    lambda g, y, a, b: _shared(g, (a > b) | (b != b), a == b),
    lambda g, y, a, b: _shared(g, (b > a) | (a != a), a == b),
    scalar=lambda a, b: float(a if a >= b or b != b else b), kinks="ties share equally",
    at_kink=_at_equal,
)  # fmt: skip
elementwise(
    np.fmin,
    lambda g, y, a, b: _shared(g, (a < b) | (b != b), a == b),
    lambda g, y, a, b: _shared(g, (b < a) | (a != a), a == b),
    scalar=lambda a, b: float(a if a <= b or b != b else b), kinks="ties share equally",
    at_kink=_at_equal,
)  # fmt: skip


def _clip_arguments(args, options):
    """NumPy's two spellings of the bounds as one: ``(a, low, high)``, infinite where None."""
    names = ("a", "a_min", "a_max", "out")
    given = dict(zip(names, args, strict=False)) | options
    for name, new in (("a_min", "min"), ("a_max", "max")):
        if new in given and given.get(name) is not None:
            raise TypeError(f"clip: give {name} or {new}, not both")
        given[name] = given.pop(new, given.get(name))
    a, low, high = (given.pop(name) for name in names[:3])
    unknown = [name for name, value in given.items() if value is not None]
    if unknown:
        raise TypeError(f"clip does not take {', '.join(unknown)} where derivatives are recorded")
    return (a, -math.inf if low is None else low, math.inf if high is None else high), {}


def _clip_number(x, low, high):
    if not low <= high:
        raise ValueError  # nan, or bounds that cross: as NumPy has it
    return float(low if x < low else high if x > high else x)


elementwise(  # bounds that cross give the higher one's place to `high`, as NumPy does
    np.clip,
    lambda g, y, x, low, high: g * ((low <= x) & (x <= high)),
    lambda g, y, x, low, high: g * ((x < low) & (low <= high)),
    lambda g, y, x, low, high: g * ((x > high) | (low > high)),
    bind=_clip_arguments, scalar=_clip_number,
    kinks="at a bound all goes to x", at_kink=lambda y, x, low, high: (x == low) | (x == high),
)  # fmt: skip

chosen = elementwise(  # np.where and not a product: the branch not taken may be inf or nan
    lambda c, a, b: np.where(c, a, b), None,
    lambda g, y, c, a, b: np.where(c, g, 0.0), lambda g, y, c, a, b: np.where(c, 0.0, g),
    scalar=lambda c, a, b: float(a if c else b), cost=each(comparisons=1), name="where",
)  # fmt: skip


@composition(np.where)
def where(condition, *choices):
    """Elements of the first choice where the condition holds, else of the second.

    With a condition alone the plain indices where it holds.
    """
    if not choices:
        return np.nonzero(condition)
    a, b = choices
    if isinstance(condition, (bool, np.bool)):
        condition = int(condition)  # a number like the others: floats stay Python floats
    return chosen(condition, a, b)


def _nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy:
        raise TypeError("nan_to_num: copy=False writes in place, which cannot be recorded")
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


elementwise(
    np.nan_to_num, lambda g, y, x, **options: np.where(np.isfinite(x), g, 0.0),
    forward=_nan_to_num, kinks="0 where replaced", at_kink=lambda y, x, **options: ~np.isfinite(x),
)  # fmt: skip

# --- element types and filling ----------------------------------------------------------------


def _astype(x, dtype):
    if np.dtype(dtype).kind != "f":
        raise TypeError(
            f"astype: {np.dtype(dtype)} has no derivatives; use np.floor, np.round or np.trunc to "
            f"stay differentiable, or take plain values with .data.astype(...)"
        )
    return (x if hasattr(x, "astype") else np.float64(x)).astype(dtype)


astype = linear(
    _astype, lambda g, y, x, dtype: astype(g, dtype=x.dtype),
    batch=broadcasting, cost=moved, name="astype",
    doc="``x.astype(dtype)``, to another floating-point type.",
)  # fmt: skip
registry["astype"] = astype

# to integers and truth values, without a derivative
cast = Constant(lambda x, dtype: x.astype(dtype), arity=1, batch=broadcasting, cost=moved)

if hasattr(np, "astype"):  # NumPy 2.1

    @composition(np.astype)
    def array_astype(x, dtype, /, *, copy=True, device=None):
        """The array API's spelling of ``x.astype(dtype)``."""
        if device not in (None, "cpu"):
            raise TypeError(f"astype: device {device!r} is not known, NumPy has 'cpu' only")
        return astype(x, dtype=np.dtype(dtype))


@composition(np.full_like)
def full_like(a, fill_value, *args, **options):
    """An array like `a`, of which only shape and dtype count, filled with values.

    NumPy dispatches on `a` alone: where only `fill_value` is a variable, broadcast that.
    """
    if not isinstance(fill_value, Wrapper):
        return _filled(a, fill_value, *args, **options)
    return setitem(np.zeros_like(a, *args, **options), fill_value, index=...)


_filled = Constant(np.full_like, arity=1, batch=allocating, cost=written)


# --- no derivative ----------------------------------------------------------------------------

constant(
    np.less, np.less_equal, np.greater, np.greater_equal, arity=2, batch=broadcasting,
    kinks="equal numbers: the derivative of the branch taken", at_kink=_at_equal,
)  # fmt: skip
constant(
    np.equal, np.not_equal, np.logical_and, np.logical_or, np.logical_xor,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, arity=2, batch=broadcasting,
)  # fmt: skip
constant(
    np.logical_not, np.invert, np.isnan, np.isinf, np.isfinite, np.isneginf, np.isposinf,
    np.signbit, np.isreal, np.iscomplex, arity=1, batch=broadcasting,
)  # fmt: skip
constant(np.isclose, arity=2, batch=broadcasting)


def _equal_batch(operation, args, mapped, options):
    """Whether all elements are equal; also the shapes, for np.array_equal."""
    a, b = args
    shapes = [np.shape(x)[m:] for x, m in zip(args, mapped, strict=True)]
    try:
        fit = np.broadcast_shapes(*shapes)
    except ValueError:
        return Same(False)
    if operation.function is np.array_equal and shapes[0] != shapes[1]:
        return Same(False)
    equal = broadcasting(registry[np.equal], args, mapped, {})
    if options.get("equal_nan"):
        both = [x != x for x in args]
        equal = equal | broadcasting(registry[np.logical_and], both, mapped, {})
    return np.all(equal, axis=tuple(range(1, len(fit) + 1)))


def _close_batch(operation, args, mapped, options):
    close = broadcasting(registry[np.isclose], args, mapped, options)
    return np.all(close, axis=tuple(range(1, np.ndim(close))))


constant(np.allclose, arity=2, batch=_close_batch)
constant(np.array_equal, np.array_equiv, arity=2, batch=_equal_batch)
constant(np.shape, np.ndim, np.size, np.isrealobj, np.iscomplexobj, arity=1, batch=inquiring)
constant(np.result_type, np.can_cast, np.min_scalar_type, np.common_type, batch=inquiring)
constant(np.empty_like, arity=1, batch=allocating)


def _filled_like(function, number):
    """`function`, which for a Python float answers with one: it stays weakly typed."""

    def forward(x, *args, **options):
        if type(x) is float and not args and not options:
            return number
        return function(x, *args, **options)

    return forward


for _function, _number in ((np.zeros_like, 0.0), (np.ones_like, 1.0)):
    constant(_function, arity=1, batch=allocating, forward=_filled_like(_function, _number))

# --- our own: what neural networks are made of --------------------------------------------------


def fractional(x):
    """x, as floats where it is of integers: -x of unsigned ones would wrap round."""
    return x.astype(float) if getattr(getattr(x, "dtype", None), "kind", "f") in "biu" else x


def relu(x):
    """The positive part, max(x, 0); its derivative at 0 is 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


def sigmoid(x):
    """The logistic function σ(x) = 1/(1 + e⁻ˣ); exact in both tails.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    with np.errstate(over="ignore"):  # e^1000 is inf, and 1/inf the 0 that is wanted
        return 1 / (1 + np.exp(np.negative(fractional(x))))


def softplus(x):
    """A smooth `relu`, log(1 + eˣ) = max(x, 0) + log(1 + e^-|x|); its derivative is `sigmoid`.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    x = fractional(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def log_sigmoid(x):
    """log σ(x) = -softplus(-x) = min(x, 0) - log(1 + e^-|x|).

    >>> log_sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.00000000e+03, -6.93147181e-01,  0.00000000e+00])
    """
    x = fractional(x)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


__test__ = {f.__name__: f.__doc__ for f in (relu, sigmoid, softplus, log_sigmoid)}

relu = elementwise(
    relu, lambda g, y, x: g * (y > 0), scalar=lambda x: x if x > 0 or x != x else 0.0,
    kinks="0 at 0", at_kink=_at_zero,
)  # fmt: skip
sigmoid = elementwise(  # 1 - y is σ(-x), which does not cancel
    sigmoid, lambda g, y, x: g * (y * sigmoid(-x)), scalar=lambda x: 1 / (1 + math.exp(-x))
)
softplus = elementwise(
    softplus, lambda g, y, x: g * sigmoid(x),
    scalar=lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
)  # fmt: skip
log_sigmoid = elementwise(
    log_sigmoid, lambda g, y, x: g * sigmoid(-x),
    scalar=lambda x: min(x, 0.0) - math.log1p(math.exp(-abs(x))),
)  # fmt: skip
