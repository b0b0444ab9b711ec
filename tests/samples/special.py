"""Samples of SciPy's special functions, in autograd/rules/special.py."""

import numpy as np
from scipy import special

from autograd.rules.special import polygamma

from .make import fixed, positive, real, sample, unit

ANYWHERE = (
    special.exp2, special.exp10, special.expm1, special.cosm1, special.cbrt, special.erf,
    special.erfc, special.ndtr, special.log_ndtr, special.expit, special.log_expit, special.j0,
    special.j1, special.i0, special.i1, special.i0e, special.i1e, special.gamma, special.gammaln,
    special.psi, special.expi,
)  # fmt: skip
POSITIVE = (
    special.log1p, special.entr, special.loggamma, special.exp1, special.y0, special.y1,
    special.k0, special.k1, special.k0e, special.k1e,
)  # fmt: skip
PROBABILITY = (special.erfinv, special.erfcinv, special.ndtri, special.logit)
BINARY = (
    special.xlogy, special.xlog1py, special.rel_entr, special.kl_div, special.beta,
    special.betaln, special.huber,
)  # fmt: skip
# Functions with an order, or the like, by which there is no derivative.
BY_ORDER = (
    special.jv, special.yv, special.iv, special.kv, special.ive, special.kve, special.gammainc,
    special.gammaincc,
)  # fmt: skip
FAR = np.array([-40.0, -8.0, -5.1])  # where log_ndtr's derivative is a continued fraction
SHARES = np.array([0.21, 0.47, 0.83])


def apart(*shape):
    """Positive numbers at which functions with poles at 0 are smooth enough to be stepped."""
    return 0.5 + positive(*shape)


SAMPLES = [
    *(sample(f, real(2, 3)) for f in ANYWHERE if f is not special.expi),
    *(sample(f, real()) for f in ANYWHERE if f is not special.expi),
    sample(special.expi, -apart(3)),
    *(sample(f, apart(2, 3)) for f in (*POSITIVE, special.expi)),
    *(sample(f, apart()) for f in (*POSITIVE, special.expi)),
    *(sample(f, SHARES) for f in PROBABILITY),
    *(sample(f, 0.37) for f in PROBABILITY),
    sample(special.erfinv, unit(3)),
    sample(special.log_ndtr, FAR),
    *(sample(f, apart(3), apart(3)) for f in BINARY),
    *(sample(f, apart(2, 1), apart(3)) for f in BINARY),
    *(sample(f, apart(), apart()) for f in BINARY),
    *(sample(f, apart(3), fixed(1.3)) for f in BINARY),
    *(sample(f, fixed(1.3), apart(3)) for f in BINARY),
    sample(special.xlogy, 0, apart(3)),
    *(sample(f, 2, apart(3)) for f in BY_ORDER),
    *(sample(f, fixed(2.5), apart(2, 3)) for f in BY_ORDER),
    *(sample(f, np.array([[1], [3]]), apart(3)) for f in BY_ORDER),
    *(sample(f, 1, apart()) for f in BY_ORDER),
    sample(special.betainc, 2, 3, SHARES),
    sample(special.betainc, fixed(2.5), fixed(0.7), 0.37),
    *(sample(polygamma, apart(3), n=n) for n in (1, 2)),
    sample(polygamma, apart(), n=1),
]
