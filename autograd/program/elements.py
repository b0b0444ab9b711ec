"""Exponentials and logarithms of one number, in arithmetic alone: for loops in machine code.

Numba calls C's library for these, one number at a time.  Of what is written here, sums, products
and choices without a branch, LLVM makes vector code: 8 or 16 numbers at a time.

Each is the textbook's: an argument reduced by powers of two to where few terms of a Taylor series
are exact to rounding (J.-M. Muller, "Elementary Functions", 3rd ed. 2016, chapters 5 and 11).
Products are contracted with sums (fma) where the processor can, here and nowhere else.  Measured
errors, in units in the last place: exp, log 1.1, log1p 1.5, expm1 1.9, tanh 2.6.
"""

import functools
import math
from decimal import Context, Decimal

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

LN2 = Context(prec=50).ln(Decimal(2))


def _number(f):
    """`f` as machine code that becomes part of what calls it."""
    return numba.njit(f, error_model="numpy", fastmath={"contract"}, forceinline=True)


def _polynomial(real, coefficients):
    """A function of r by Horner's scheme, the highest power's coefficient first."""
    names = {f"c{n}": real(c) for n, c in enumerate(coefficients)}
    text = functools.reduce(lambda inside, name: f"({inside}) * r + {name}", names)
    exec(f"def polynomial(r):\n    return {text}\n", names)
    return _number(names["polynomial"])


@functools.cache
def functions(real):
    """`{name in NumPy: function of numbers}`, for np.float32 or np.float64.

    >>> float(functions(np.float64)["expm1"](1e-10)) == math.expm1(1e-10)
    True
    """
    about = np.finfo(real)
    digits, single = about.nmant, real is np.float32
    integer = ir.IntType(about.bits)
    zero, half, one, two = map(real, (0, 0.5, 1, 2))
    inf, nan, smallest = real(math.inf), real(math.nan), about.smallest_normal
    # the sum of a whole number k and this has k in its last bits, whatever the sign of k is
    magic = real(1.5 * 2.0**digits)
    # ln 2 in two parts: k times the first is exact, for all k that there are
    short = 2 ** (digits - 11)
    high = real(int(LN2 * short) / short)
    low = real(float(LN2 - Decimal(float(high))))
    per_ln2 = real(1 / math.log(2))

    def bits(x):
        return integer(int(x.view(f"u{x.itemsize}")))

    @intrinsic
    def power_of_two(typing, t):
        """2^k, for ``t = k + magic``."""

        def generate(context, builder, signature, args):
            exponent = builder.shl(builder.bitcast(args[0], integer), integer(digits))
            return builder.bitcast(builder.add(exponent, bits(one)), args[0].type)

        return t(t), generate

    @intrinsic
    def parts(typing, x):
        """`(m, k + magic)`, for x = m·2^k > 0 with m from √½ up to √2."""

        def generate(context, builder, signature, args):
            x = builder.bitcast(args[0], integer)
            k = builder.ashr(builder.sub(x, bits(real(math.sqrt(0.5)))), integer(digits))
            m = builder.sub(x, builder.shl(k, integer(digits)))
            both = [builder.bitcast(i, args[0].type) for i in (m, builder.add(k, bits(magic)))]
            return context.make_tuple(builder, signature.return_type, both)

        return numba.types.UniTuple(x, 2)(x), generate

    # e^r = 1 + r + r²(1/2! + r/3! + ...) for |r| <= ln(2)/2 = 0.347: what is left out after r^n is
    # 0.347^(n+1)/(n+1)!, 5e-9 after r^7 (half a unit in the last place is 6e-8), 4e-18 after r^13
    # (1e-16)
    last = 7 if single else 13
    rest_of_exp = _polynomial(real, [1 / math.factorial(n) for n in range(last, 1, -1)])
    lowest = real(math.log(about.smallest_subnormal) - 1)
    highest = real(math.log(about.max) + 1)

    @_number
    def reduced(x):
        """e^x as (1 + p)·a·b with powers of two a, b, and 1/a: one power alone may overflow."""
        x = lowest if x < lowest else highest if x > highest else x  # nan stays
        k = (x * per_ln2 + magic) - magic  # rounds
        r = (x - k * high) - k * low
        p = r + r * r * rest_of_exp(r)
        t = k * half + magic
        a = t - magic
        return p, power_of_two(t), power_of_two((k - a) + magic), power_of_two(magic - a)

    @_number
    def exp(x):
        p, a, b, _ = reduced(x)
        return (one + p) * a * b

    @_number
    def expm1(x):
        p, a, b, inverse = reduced(x)
        y = (p * b + (b - inverse)) * a  # p·2^k + (2^k - 1)
        return x if x == zero else y  # -0.0 stays

    # with m = 1 + f and s = f/(2 + f), log m = 2·artanh s = 2s + s·R, R = 2s²/3 + 2s⁴/5 + ...;
    # 2s is f - s·f, and s·f is f²/2 - s·f²/2: so log m = f - (f²/2 - s(f²/2 + R)), whose first term
    # is exact (fdlibm's e_log.c).  s² <= 0.0295: after 4 terms 2e-9 is left out, after 9 2e-17
    rest_of_log = _polynomial(real, [2 / (2 * n + 1) for n in range(4 if single else 9, 0, -1)])
    up = digits + 2
    factor, down = real(2.0**up), real(-up)

    @_number
    def normal_log(x, more):
        """log(x·2^more) for finite x > 0 that are not subnormal."""
        m, t = parts(x)
        k = (t - magic) + more
        f = m - one
        s = f / (two + f)
        square, z = half * f * f, s * s
        return k * high + (f - (square - (s * (square + z * rest_of_log(z)) + k * low)))

    @_number
    def log(x):
        small = x < smallest
        y = normal_log(x * factor if small else x, down if small else zero)
        y = y if x > zero else -inf if x == zero else nan
        return y if x < inf else x  # inf and nan stay

    @_number
    def log1p(x):
        u = one + x
        y = normal_log(u, zero) + (x - (u - one)) / u  # what 1 + x has lost, by the slope there
        y = y if u > zero else -inf if u == zero else nan
        return y if (x < inf) & (x != zero) else x

    far = real(10 if single else 20)  # from here on tanh is 1 to rounding

    @_number
    def tanh(x):
        a = abs(x)
        e = expm1(two * (far if a > far else a))
        y = e / (e + two)  # (e^2a - 1)/(e^2a + 1)
        return y if x > zero else -y if x < zero else x

    @_number
    def logaddexp(a, b):
        gap = zero if a == b else a - b  # of equal infinities too
        return (a if (a >= b) | (a != a) else b) + log1p(exp(-abs(gap)))

    found = exp, expm1, log, log1p, tanh, logaddexp
    return {f.__name__: f for f in found}
