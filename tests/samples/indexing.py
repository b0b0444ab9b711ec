"""Samples of reading and writing parts of arrays: every kind of NumPy index."""

import operator

import numpy as np

from autograd.rules.indexing import scatter, setitem

from .make import fixed, integers, real, sample

MASK = np.array([[True, False, True, True], [False, True, False, False], [True, True, False, True]])
ROWS, COLUMNS = np.array([0, 2, 2, -1]), np.array([1, 1, 1, 3])

BASIC = [
    1, -1, np.int64(2), slice(None), slice(1, 3), slice(None, None, -1), slice(3, 0, -2),
    slice(1, 1), None, Ellipsis, (), (1, 2), (0, -1), (slice(None), 1), (Ellipsis, 0),
    (slice(0, 2), slice(1, 4, 2)), (0, Ellipsis), (None, 1), (1, None), (slice(None), None, 2),
    (Ellipsis, None), (None, Ellipsis, None, slice(2, None)),
]  # fmt: skip
ADVANCED = [
    ROWS, ROWS.reshape(2, 2), [0, 0, 1], [], np.array(1), MASK, MASK[:, 0], ~MASK & MASK,
    True, False, (ROWS, COLUMNS), ([0, 1], [2, 2]), (ROWS[:, None], COLUMNS), (ROWS, 1), (1, ROWS),
    (slice(None), COLUMNS), (ROWS, slice(1, 3)), (Ellipsis, COLUMNS), (None, ROWS), (ROWS, None),
    (ROWS, slice(None, None, -2)), (MASK[:, 0], 2), (MASK[:, 0], slice(None)),
    (slice(None), MASK[0]), np.nonzero(MASK), np.ix_([0, 2, 0], [1, 3]), np.ix_(MASK[:, 0], [0, 0]),
]  # fmt: skip
SEPARATED = [  # index arrays with a slice between them: their axes come first
    (ROWS, slice(None), COLUMNS), (ROWS, slice(0, 2), 1), (0, slice(None), COLUMNS),
    (slice(None), ROWS, None, COLUMNS), (ROWS, Ellipsis, COLUMNS), (ROWS, None, COLUMNS),
    (slice(1, 3), ROWS, COLUMNS), (ROWS, COLUMNS), (MASK, slice(1, 3)), (MASK, 0),
    (MASK[:, 0], slice(None), [1, 2]), (None, ROWS, slice(None), COLUMNS),
]  # fmt: skip

SAMPLES = [
    *(sample(operator.getitem, real(3, 4), index) for index in BASIC + ADVANCED),
    *(sample(operator.getitem, real(3, 4, 4), index) for index in BASIC + SEPARATED),
    sample(operator.getitem, real(5), 3),
    sample(operator.getitem, real(5), integers(0, 5, 2, 3)),
    sample(operator.getitem, np.array(0.3), ()),
    sample(operator.getitem, np.array(0.3), None),
    sample(operator.getitem, np.array(0.3), Ellipsis),
    sample(operator.getitem, real(0, 3), slice(None)),
    sample(lambda x: x[1] * x[ROWS] + x[1, 0] * x[-1] + x, real(4, 4)).but(name="many reads"),
    sample(lambda x: sum(x[i] * x[i - 1] for i in range(6)), real(6)).but(name="reads in a loop"),
    *(
        sample(setitem, real(3, 4), np.asarray(real(*np.shape(np.zeros((3, 4))[i]))), index=i)
        for i in BASIC + ADVANCED
    ),
    sample(setitem, real(3, 4), 0.7, index=(slice(None), 1)),
    sample(setitem, real(3, 4), real(4), index=slice(1, 3)),
    sample(setitem, real(3, 4), real(4), index=ROWS),
    sample(setitem, real(3, 4), real(2, 1), index=np.ix_([0, 2], [1, 3])),
    sample(setitem, fixed(np.ones((3, 4))), real(4), index=1),
    sample(setitem, real(3, 4), fixed(2.0), index=MASK),
    sample(setitem, real(3), 0.5, index=[0, 0, 2]),
    sample(setitem, 0.3, 0.5, index=()),
    sample(lambda x: setitem(x, x[0, 0] * x[x > 0], index=x > 0), real(3, 4)).but(name="own mask"),
    sample(scatter, real(2), indices=(slice(0, 2),), shape=(4,)),
    sample(scatter, real(4), real(2, 4), 0.5, indices=(1, ROWS[:2], (0, 0)), shape=(3, 4)),
    sample(scatter, real(4), real(4), indices=((ROWS, COLUMNS), 0), shape=(3, 4)),
    sample(scatter, real(7), indices=(MASK,), shape=(3, 4)),
]
