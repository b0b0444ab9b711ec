"""Samples of convolution, interpolation, polynomials, differences and grids."""

import numpy as np

from .make import fixed, positive, real, sample

KNOTS = np.array([-1.0, -0.35, 0.1, 0.55, 1.0])
COORDINATES = np.array([0.0, 0.4, 1.5, 1.9, 3.1])
INSIDE = np.array([[-0.9, -0.1, 0.3], [0.8, -0.6, 0.4]])
ANYWHERE = np.array([-2.0, -0.8, 0.2, 0.9, 1.7])
ANGLES = np.array([0.3, 2.5, 6.5, 1.1, 1.9, 8.0])  # no step near half a turn


def _cubed(x):
    return x**3


SAMPLES = [
    *(
        sample(f, real(n), real(m), mode)
        for f in (np.convolve, np.correlate)
        for mode in ("full", "same", "valid")
        for n, m in [(5, 3), (3, 5), (5, 2), (2, 5), (4, 4), (4, 1)]
    ),
    sample(np.convolve, real(4), real(3)),
    sample(np.correlate, real(4), real(3)),
    sample(np.convolve, fixed(np.array([0.5, 0.25])), real(3)),
    sample(np.convolve, real(3), 0.5),
    sample(np.convolve, real(3), 2),
    sample(np.correlate, [1, 2], real(3)),
    sample(np.unwrap, ANGLES),
    sample(np.unwrap, ANGLES.reshape(3, 2), axis=0),
    sample(np.unwrap, ANGLES.reshape(2, 3), period=4),
    sample(np.unwrap, ANGLES, 5),
    # --- interpolation
    sample(np.interp, INSIDE, KNOTS, real(5)),
    sample(np.interp, ANYWHERE, KNOTS, real(5)),
    sample(np.interp, ANYWHERE, KNOTS, real(5), left=0.3, right=-0.4),
    sample(np.interp, 0.3, KNOTS, real(5)),
    sample(np.interp, fixed(INSIDE), fixed(KNOTS), real(5)),
    sample(np.interp, INSIDE, fixed(KNOTS), fixed(real(5))),
    sample(np.interp, ANYWHERE, fixed([0.5]), real(1)),
    sample(np.interp, 2.9 * ANYWHERE, KNOTS, real(5), period=fixed(3.0)),
    sample(np.interp, fixed(ANYWHERE), fixed(KNOTS), real(5), period=fixed(1.3)),
    sample(np.piecewise, real(5), fixed([ANYWHERE < 0, ANYWHERE > 1]), [np.sin, np.exp]),
    sample(np.piecewise, real(5), fixed([ANYWHERE < 0, ANYWHERE > 1]), [np.sin, 2, _cubed]),
    sample(np.piecewise, real(5), ANYWHERE < 0, [np.sin, 0.5]),
    sample(np.piecewise, 0.4, fixed([False, True]), [np.sin, np.cos]),
    sample(np.apply_along_axis, np.cumsum, 0, real(3, 4)),
    sample(np.apply_along_axis, np.sum, 1, real(2, 3, 2)),
    sample(np.apply_along_axis, lambda x: x[:, None] * x, -1, real(2, 3)),
    sample(np.apply_along_axis, lambda x, c, power: c * x**power, 0, real(2, 3), 0.5, power=2),
    sample(np.apply_over_axes, np.sum, real(2, 3, 4), [0, 2]),
    sample(np.apply_over_axes, np.cumsum, real(3, 4), 1),
    # --- polynomials
    sample(np.polyval, real(4), real(2, 3)),
    sample(np.polyval, real(3), 0.7),
    sample(np.polyval, real(1), real(3)),
    sample(np.polyval, [0.5, 0.25], real(3)),
    sample(np.polyval, fixed([3, 0, 1]), 0.7),
    sample(np.polyval, real(3), fixed([1.0, 2.0])),
    sample(np.polyadd, real(4), real(2)),
    sample(np.polyadd, real(2), real(3)),
    sample(np.polyadd, real(2), 0.5),
    sample(np.polysub, real(2), real(3)),
    sample(np.polymul, real(3), real(2)),
    sample(lambda p, q: np.polymul(np.pad(p, (2, 0)), q), real(3), real(2)).but(
        name="polymul led by zeros"
    ),
    sample(np.polydiv, real(5), np.array([1.5, 0.3, -0.4])),
    sample(np.polydiv, real(2), real(3)),
    sample(np.polydiv, real(3), 1.5),
    sample(np.polyder, real(5)),
    sample(np.polyder, real(5), 3),
    sample(np.polyder, real(2), 0),
    sample(np.polyder, real(2), m=3),
    sample(np.polyint, real(4)),
    sample(np.polyint, real(4), 2),
    sample(np.polyint, real(4), 2, (0.5, 0.7)),
    sample(np.polyint, real(4), 3, real(3)),
    sample(np.polyint, real(4), 2, k=0.5),
    sample(np.polyint, real(4), 0),
    sample(np.poly, real(4)),
    sample(np.poly, real(1)),
    sample(np.vander, real(4)),
    sample(np.vander, real(3), 5),
    sample(np.vander, real(3), N=2, increasing=True),
    sample(np.vander, real(3), 1),
    sample(np.vander, real(3), 0),
    sample(np.polyfit, KNOTS, real(5), 2),
    sample(np.polyfit, [0, 1, 3], real(3), 1),
    sample(np.polyfit, fixed(KNOTS), real(5, 2), 1),
    sample(np.polyfit, KNOTS, real(5), 1, w=positive(5)),
    sample(np.polyfit, fixed(KNOTS), real(5, 2), 1, w=positive(5)),
    # --- differences
    sample(np.gradient, real(5)),
    sample(np.gradient, real(2)),
    sample(np.gradient, real(5), 0.5),
    sample(np.gradient, real(5), edge_order=2),
    sample(np.gradient, real(3), 0.5, edge_order=2),
    sample(np.gradient, real(3, 4)),
    sample(np.gradient, real(3, 4), 2, edge_order=2),
    sample(np.gradient, real(3, 4), 0.5, axis=1),
    sample(np.gradient, real(3, 4), 0.5, 2, axis=(1, 0)),
    sample(np.gradient, real(3, 4), axis=(-1,), edge_order=2),
    sample(np.gradient, real(5), COORDINATES),
    sample(np.gradient, real(5), COORDINATES, edge_order=2),
    sample(np.gradient, real(5), np.array([0.0, 0.5, 1.0, 1.5, 2.0]), edge_order=2),
    sample(np.gradient, real(2), COORDINATES[:2]),
    sample(np.gradient, real(5, 3), COORDINATES, 0.5),
    sample(np.gradient, real(3, 5), COORDINATES, axis=-1, edge_order=2),
    sample(np.gradient, real(3, 3, 2), COORDINATES[:3], COORDINATES[1:4], axis=(0, 1)),
    # --- grids
    sample(np.linspace, 0.3, 1.7, 5),
    sample(np.linspace, 0.3, 1.7, 5, endpoint=False),
    sample(np.linspace, real(3), real(3), 4),
    sample(np.linspace, real(2, 1), real(3), 4, axis=1),
    sample(np.linspace, real(2), 1.5, 4, axis=-1),
    sample(np.linspace, fixed(0), 1.5, num=4),
    sample(np.linspace, 0.3, 1.7, 5, retstep=True),
    sample(np.linspace, 0.3, 1.7, 1),
    sample(np.linspace, 0.3, 1.7, 0),
    sample(np.logspace, 0.3, 1.7, 5),
    sample(np.logspace, real(3), real(3), 4, endpoint=False, base=2, axis=1),
    sample(np.logspace, 0.3, 1.2, 4, base=1.5),
    sample(np.logspace, real(2), real(2), 4, base=positive(3, 1)),
    sample(np.logspace, 0.3, 0.7, 4, base=positive(3), axis=-1),
    sample(np.geomspace, 0.3, 1.7, 5),
    sample(np.geomspace, -0.3, -1.7, 5, endpoint=False),
    sample(np.geomspace, positive(3), positive(3), 4, axis=1),
    # --- what answers without a derivative
    sample(np.array_repr, fixed(real(2))),
    sample(np.array_str, fixed(real(2))),
    sample(np.array2string, fixed(real(2)), precision=2),
    sample(np.may_share_memory, fixed(KNOTS), fixed(KNOTS)),
    sample(np.shares_memory, fixed(KNOTS), fixed(KNOTS)),
]
