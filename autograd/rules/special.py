"""SciPy's special functions: errors, the normal distribution, entropies, gamma, Bessel.

They are ufuncs, and so reach our arrays by themselves; the rules are registered when the first of
them does, and nothing here is imported before.  ``scipy.special.logsumexp``, ``softmax`` and
``log_softmax`` turn what they are given into NumPy arrays: `autograd` has functions of these
names, and ``scipy.special.polygamma`` is `polygamma` here.

Sources: Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), chapters 5 (exponential
integrals), 6 (gamma), 7 (error functions), 9 (Bessel), 26 (normal distribution).
"""

import math

import numpy as np
from scipy import special

from ..costs import called
from ..families import elementwise
from ..primitive import registry
from .elementwise import LN2, LN10

ROOT_PI, ROOT_2_PI = math.sqrt(math.pi), math.sqrt(2 * math.pi)
FAR = -5.0  # from here down the normal distribution's tail is a continued fraction
TERMS = 40  # of it: exact to rounding at 5 and beyond


def _unknown(name, argument):
    """The rule of an argument by which no derivative in SciPy's functions is known."""

    def rule(g, y, *args):
        raise TypeError(
            f"scipy.special.{name}: the derivative by {argument} is not among SciPy's functions; "
            f"pass its plain value (.data)"
        )

    return rule


def register(function, *rules, **settings):
    """As `elementwise`, but for functions that a user has registered before."""
    if function not in registry:
        elementwise(function, *rules, **settings)


def _ratio(a, b, x, y):
    """a/b, and 0 where x and y both are 0."""
    return a / np.where((x == 0) & (y == 0), math.inf, b)


def _log(z, x, g):
    """log z, and 0 where x is 0 and z is not positive: there x log z is 0 by convention.

    The one follows g: z may be a Python float, and two of these would make an array of float64.
    """
    return np.log(np.where((x == 0) & (z <= 0), np.ones_like(g), z))


def at(points, convention):
    """The settings of an operation that has kinks at these points of its argument."""
    return {"kinks": convention, "at_kink": lambda y, x: np.isin(x, points)}


# --- what NumPy has as well -----------------------------------------------------------------------

register(special.exp2, lambda g, y, x: g * (LN2 * y), scalar=math.exp2)
register(special.exp10, lambda g, y, x: g * (LN10 * y))
register(special.expm1, lambda g, y, x: g * np.exp(x), scalar=math.expm1)
register(special.cosm1, lambda g, y, x: -g * np.sin(x))
register(special.log1p, lambda g, y, x: g / (1 + x), scalar=math.log1p)
register(special.cbrt, lambda g, y, x: g / (3 * y * y), scalar=math.cbrt, **at(0, "inf at 0"))

# --- error functions and the normal distribution --------------------------------------------------

register(special.erf, lambda g, y, x: g * (2 / ROOT_PI * np.exp(-x * x)), scalar=math.erf)
register(special.erfc, lambda g, y, x: g * (-2 / ROOT_PI * np.exp(-x * x)), scalar=math.erfc)
register(
    special.erfinv, lambda g, y, x: g * (ROOT_PI / 2 * np.exp(y * y)), **at((-1, 1), "inf at ±1")
)
register(
    special.erfcinv,
    lambda g, y, x: g * (-ROOT_PI / 2 * np.exp(y * y)),
    **at((0, 2), "-inf at 0 and 2"),
)
register(special.ndtr, lambda g, y, x: g * (np.exp(-x * x / 2) / ROOT_2_PI))
register(
    special.ndtri, lambda g, y, x: g * (ROOT_2_PI * np.exp(y * y / 2)),
    **at((0, 1), "inf at 0 and 1"),
)  # fmt: skip


def _hazard(y, x):
    """φ(x)/Φ(x), the normal density over its distribution function, of which y is the logarithm.

    As e^(-x²/2 - y)/√2π it loses digits far to the left, and its derivatives do.  There Laplace's
    continued fraction has it, t + 1/(t + 2/(t + 3/...)) for t = -x (A&S 26.2.14).
    """
    far = x < FAR
    t = np.where(far, -x, -FAR)
    fraction = t
    for k in range(TERMS, 0, -1):
        fraction = t + k / fraction
    return np.where(far, fraction, np.exp(-x * x / 2 - y) / ROOT_2_PI)


register(special.log_ndtr, lambda g, y, x: g * _hazard(y, x))

# --- logistic functions ---------------------------------------------------------------------------

register(  # 1 - y is expit(-x), which does not cancel
    special.expit, lambda g, y, x: g * (y * special.expit(-x))
)
register(special.log_expit, lambda g, y, x: g * special.expit(-x))
register(special.logit, lambda g, y, x: g / (x * (1 - x)), **at((0, 1), "inf at 0 and 1"))

# --- entropies ------------------------------------------------------------------------------------

register(
    special.xlogy,
    lambda g, y, a, b: g * _log(b, a, g), lambda g, y, a, b: g * _ratio(a, b, a, b),
    kinks="0 at the origin", at_kink=lambda y, a, b: (a == 0) & (b == 0),
)  # fmt: skip
register(
    special.xlog1py,
    lambda g, y, a, b: g * _log(1 + b, a, g), lambda g, y, a, b: g * _ratio(a, 1 + b, a, 1 + b),
    kinks="0 at (0, -1)", at_kink=lambda y, a, b: (a == 0) & (b == -1),
)  # fmt: skip
register(special.entr, lambda g, y, x: g * (-1 - np.log(x)), **at(0, "inf at 0"))
register(
    special.rel_entr,
    lambda g, y, a, b: g * (1 + np.log(a / b)), lambda g, y, a, b: -g * _ratio(a, b, a, b),
    kinks="-inf by a at a = 0; 0 by b at the origin", at_kink=lambda y, a, b: a == 0,
)  # fmt: skip
register(  # (b - a)/b and not 1 - a/b, which cancels at the minimum
    special.kl_div,
    lambda g, y, a, b: g * np.log(a / b), lambda g, y, a, b: g * _ratio(b - a, b, a, b),
    kinks="-inf by a at a = 0; 0 by b at the origin", at_kink=lambda y, a, b: a == 0,
)  # fmt: skip
register(
    special.huber,
    lambda g, y, d, r: g * np.maximum(abs(r) - d, 0), lambda g, y, d, r: g * np.clip(r, -d, d),
)  # fmt: skip

# --- gamma and beta -------------------------------------------------------------------------------


def _polygamma(x, n):
    return (-1.0) ** (n + 1) * math.factorial(n) * special.zeta(n + 1.0, x)


polygamma = elementwise(  # A&S 6.4.10
    _polygamma, lambda g, y, x, n: g * polygamma(x, n=n + 1),
    name="polygamma", arity=1, cost=called("polygamma"),
    doc="The derivative of `scipy.special.digamma` of order n >= 1: (-1)ⁿ⁺¹ n! ζ(n + 1, x).",
)  # fmt: skip

register(special.gamma, lambda g, y, x: g * (y * special.psi(x)), scalar=math.gamma)
register(special.gammaln, lambda g, y, x: g * special.psi(x))
register(special.loggamma, lambda g, y, x: g * special.psi(x))
register(special.psi, lambda g, y, x: g * polygamma(x, n=1))
register(
    special.beta,
    lambda g, y, a, b: g * (y * (special.psi(a) - special.psi(a + b))),
    lambda g, y, a, b: g * (y * (special.psi(b) - special.psi(a + b))),
)
register(
    special.betaln,
    lambda g, y, a, b: g * (special.psi(a) - special.psi(a + b)),
    lambda g, y, a, b: g * (special.psi(b) - special.psi(a + b)),
)


def _like(a, x):
    """`a` in the kind and type of array of x: SciPy's value for plain numbers is a float64."""
    return a + np.zeros_like(x)


def _gamma_density(a, x):
    a = _like(a, x)
    return np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a))


def _beta_density(a, b, x):
    a, b = _like(a, x), _like(b, x)
    logarithm = special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x)
    return np.exp(logarithm - special.betaln(a, b))


register(special.gammainc, _unknown("gammainc", "a"), lambda g, y, a, x: g * _gamma_density(a, x))
register(
    special.gammaincc, _unknown("gammaincc", "a"), lambda g, y, a, x: -g * _gamma_density(a, x)
)
register(
    special.betainc, _unknown("betainc", "a"), _unknown("betainc", "b"),
    lambda g, y, a, b, x: g * _beta_density(a, b, x),
)  # fmt: skip

# --- exponential integrals ------------------------------------------------------------------------

register(special.exp1, lambda g, y, x: -g * (np.exp(-x) / x), **at(0, "-inf at 0"))
register(special.expi, lambda g, y, x: g * (np.exp(x) / x), **at(0, "-inf at 0"))

# --- Bessel functions (A&S 9.1.27, 9.6.26) --------------------------------------------------------
# Those of order 1 by the neighbours' mean or difference: J₁' = J₀ - J₁/x would be nan at 0.
# The scaled ones differ from these by e^-|x| (I) and e^x (K).

register(special.j0, lambda g, y, x: -g * special.j1(x))
register(special.j1, lambda g, y, x: g * ((special.j0(x) - special.jv(2.0, x)) / 2))
register(special.y0, lambda g, y, x: -g * special.y1(x))
register(special.y1, lambda g, y, x: g * ((special.y0(x) - special.yv(2.0, x)) / 2))
register(special.i0, lambda g, y, x: g * special.i1(x))
register(special.i1, lambda g, y, x: g * ((special.i0(x) + special.iv(2.0, x)) / 2))
register(special.k0, lambda g, y, x: -g * special.k1(x))
register(special.k1, lambda g, y, x: -g * ((special.k0(x) + special.kv(2.0, x)) / 2))
register(special.i0e, lambda g, y, x: g * (special.i1e(x) - np.sign(x) * y), **at(0, "0 at 0"))
register(
    special.i1e,
    lambda g, y, x: g * ((special.i0e(x) + special.ive(2.0, x)) / 2 - np.sign(x) * y),
)
register(special.k0e, lambda g, y, x: g * (y - special.k1e(x)))
register(special.k1e, lambda g, y, x: g * (y - (special.k0e(x) + special.kve(2.0, x)) / 2))
register(
    special.jv, _unknown("jv", "the order"),
    lambda g, y, v, x: g * ((special.jv(v - 1, x) - special.jv(v + 1, x)) / 2),
)  # fmt: skip
register(
    special.yv, _unknown("yv", "the order"),
    lambda g, y, v, x: g * ((special.yv(v - 1, x) - special.yv(v + 1, x)) / 2),
)  # fmt: skip
register(
    special.iv, _unknown("iv", "the order"),
    lambda g, y, v, x: g * ((special.iv(v - 1, x) + special.iv(v + 1, x)) / 2),
)  # fmt: skip
register(
    special.kv, _unknown("kv", "the order"),
    lambda g, y, v, x: -g * ((special.kv(v - 1, x) + special.kv(v + 1, x)) / 2),
)  # fmt: skip
register(
    special.ive, _unknown("ive", "the order"),
    lambda g, y, v, x: g * (
        (special.ive(v - 1, x) + special.ive(v + 1, x)) / 2 - np.sign(x) * y
    ),
)  # fmt: skip
register(
    special.kve, _unknown("kve", "the order"),
    lambda g, y, v, x: g * (y - (special.kve(v - 1, x) + special.kve(v + 1, x)) / 2),
)  # fmt: skip
