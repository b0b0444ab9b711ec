"""Samples that came late: what others draw does not change with them, as their numbers go on."""

import numpy as np

from .make import real, sample

SAMPLES = [
    sample(np.linalg.vecdot, real(2, 3, 4), real(2, 3, 4)),
    sample(np.linalg.vecdot, real(2, 3, 4), real(3, 1), axis=-2),
    sample(np.triu, real(3)),
]
