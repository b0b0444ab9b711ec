"""Samples of picking, ordering and placing elements."""

import numpy as np

from autograd.rules.selection import put_along_axis

from .make import fixed, integers, positive, real, sample

I = np.array([2, 0, 0, -1])  # noqa: E741
ALONG = integers(0, 3, 2, 4)  # along axis 0 of (3, 4)
windows = np.lib.stride_tricks.sliding_window_view
EQUAL = np.array([2.0, -1.0, 2.0, 0.5, -1.0])

SAMPLES = [
    sample(np.take, real(5), 2),
    sample(np.take, real(5), -1),
    sample(np.take, real(5), [0, 0, 4]),
    sample(np.take, real(3, 4), I),
    sample(np.take, real(3, 4), I.reshape(2, 2), axis=0),
    sample(np.take, real(3, 4), I, axis=1),
    sample(np.take, real(3, 4), I.reshape(2, 2), axis=-1),
    sample(np.take, real(3, 4), 1, axis=1),
    sample(np.take, real(2, 3, 4), I[:, None], 1),
    sample(np.take, real(3, 4), [True, False, True], axis=1),
    sample(np.take, real(3, 4), [-7, 5, 2, 100], axis=1, mode="wrap"),
    sample(np.take, real(3, 4), [-7, 5, 2, 100], axis=1, mode="clip"),
    sample(np.take, real(3, 4), np.zeros((0, 2), int), axis=1),
    sample(np.take, 0.4, [0, 0]),
    sample(np.take_along_axis, real(3, 4), ALONG, 0),
    sample(np.take_along_axis, real(3, 4), ALONG[:1], axis=0),
    sample(np.take_along_axis, real(3, 4), integers(0, 4, 3, 5), axis=1),
    sample(np.take_along_axis, real(2, 3, 4), integers(0, 3, 2, 2, 4), axis=-2),
    sample(np.take_along_axis, real(2, 3, 4), integers(0, 4, 1, 3, 2), axis=-1),
    sample(np.take_along_axis, real(3, 4), I, axis=None),
    sample(np.take_along_axis, real(4), I, axis=0),
    sample(put_along_axis, real(3, 4), np.array([[2], [0], [3]]), real(3, 1), axis=1),
    sample(put_along_axis, real(3, 4), ALONG[:1], real(4), axis=0),
    sample(put_along_axis, real(3, 4), ALONG, real(2, 4), axis=0),
    sample(put_along_axis, real(3, 4), integers(0, 4, 3, 6), real(3, 6), axis=-1),
    sample(put_along_axis, real(3, 4), I, real(4), axis=None),
    sample(put_along_axis, real(2, 3, 4), integers(0, 3, 2, 1, 4), 0.5, axis=1).but(
        covers=(np.put_along_axis, np.put, np.place, np.putmask, np.copyto, np.fill_diagonal)
    ),
    # --- ordering
    sample(np.sort, real(6)),
    sample(np.sort, real(3, 4)),
    sample(np.sort, real(3, 4), axis=0),
    sample(np.sort, real(2, 3, 4), axis=-2),
    sample(np.sort, real(3, 4), axis=None),
    sample(np.sort, real(5), kind="quicksort"),
    sample(np.sort, real(0)),
    sample(np.partition, real(3), 1),
    sample(np.partition, real(5), (1, 3)),
    sample(np.partition, real(5, 3), (1, -2), axis=0),
    sample(np.partition, real(2, 3), (1, 3), axis=None).but(
        covers=(np.argpartition,), name="partition flat"
    ),
    sample(np.argsort, fixed(real(3, 4)), axis=0),
    sample(np.argpartition, fixed(real(3)), 1),
    sample(np.lexsort, (fixed(real(4)), fixed(real(4)))),
    sample(np.searchsorted, fixed(np.sort(real(5))), fixed(real(3))),
    sample(np.digitize, fixed(real(5)), fixed(np.array([-1.0, 0.0, 1.0]))),
    sample(np.isin, fixed(EQUAL), fixed([2.0])),
    sample(np.histogram_bin_edges, fixed(real(9)), 4),
    sample(np.unique, real(3, 4)),
    sample(np.unique, real(4, 2), axis=0),
    sample(np.unique, real(5), return_index=True, return_inverse=True, return_counts=True),
    sample(np.unique, real(5), return_counts=True),
    sample(np.union1d, real(2, 2), real(3)),
    sample(np.intersect1d, real(4), fixed(EQUAL)),
    sample(lambda x: np.intersect1d(x, [x[2], 0.0]), real(4)).but(
        name="intersect1d", covers=(np.intersect1d,)
    ),
    sample(np.setdiff1d, real(5), fixed(EQUAL)),
    sample(np.setdiff1d, real(2, 3), fixed(EQUAL), assume_unique=True),
    # --- choosing
    sample(np.select, [np.array([True, False, False]), np.array([True, True, False])],
           [real(3), real(3)], 0.5),
    sample(np.select, [I > 0, I == 0], [real(4), real(3, 1)]),
    sample(np.select, [np.array([[True], [False]])], [real(3)], default=real(2, 1)),
    sample(np.select, [[True, False]], [real(2)]),
    sample(np.select, [I > 0], [0.25], 0.75),
    sample(np.select, [I > 0, I < 0], [real(4), [1, 2, 3, 4]], 9),
    sample(np.choose, np.array([0, 2, 1, 0]), [real(4), real(4), real(4)]),
    sample(np.choose, np.array([[0], [1]]), [real(3), 0.5]),
    sample(np.choose, np.array([0, 1, 1]), real(2, 3)),
    sample(np.choose, 1, [real(3), real(3)]),
    sample(np.choose, np.array([-1, 5, 0]), [real(3), real(3)], mode="wrap"),
    sample(np.choose, np.array([-1, 5, 0]), [real(3), real(3)], mode="clip"),
    sample(np.compress, [True, False, True], real(3, 4), axis=0),
    sample(np.compress, np.array([0, 1, 2]), real(3, 4), axis=1),
    sample(np.compress, [False, True, True], real(3, 4)),
    sample(np.extract, I > 0, real(4)),
    sample(np.extract, np.eye(3), real(3, 3)).but(name="extract own"),
    sample(windows, real(6), 3),
    sample(windows, real(3, 4), (2, 3)),
    sample(windows, real(3, 4), 2, axis=0),
    sample(windows, real(3, 4), (2, 2), axis=(-1, 0)),
    sample(windows, real(2, 5), (2, 2), axis=(1, 1)),
    # --- adding up
    sample(np.bincount, integers(0, 4, 7), real(7)),
    sample(np.bincount, [1, 1, 5], weights=real(3), minlength=8),
    sample(np.bincount, integers(0, 4, 7)),
    sample(np.histogram, fixed(real(9)), weights=positive(9)),
    sample(np.histogram, fixed(EQUAL), [-1, 0, 1, 2], weights=real(5)),
    sample(np.histogram, fixed(EQUAL), 4, fixed((-0.5, 1.0)), weights=real(5)),
    sample(np.histogram, fixed(EQUAL), [-1, 0, 2], density=True, weights=positive(5)),
    sample(np.histogram, fixed(EQUAL), 3),
]  # fmt: skip
