"""Diagonal: the array type of unit vectors, as long as operations leave them apart.

The seeds of a Jacobian are the rows of the unit matrix.  Going through operations on corresponding
elements they stay rows of a diagonal matrix, and a product of that with a matrix scales its rows:
as plain arrays they would take a matrix product for it.
"""

import numpy as np

from .duck import Duck
from .primitive import registry


class Diagonal(Duck):
    """Rows number start, start + 1, ... of a diagonal matrix: element i of `entries` stands in row
    i, column start + i, and all others are zero.
    """

    __slots__ = ("entries", "start", "columns", "level")
    carries_derivative = False

    def __init__(self, entries, start, columns, level):
        self.entries, self.start, self.columns, self.level = entries, start, columns, level

    @property
    def shape(self):
        """Lengths of the axes."""
        return len(self.entries), self.columns

    @property
    def dtype(self):
        """The element type."""
        return self.entries.dtype

    @property
    def inside(self):
        """The rows, written out."""
        full = np.zeros(self.shape, self.dtype)
        rows = np.arange(len(self.entries))
        full[rows, rows + self.start] = self.entries
        return full

    def map(self, f):
        """f of the rows, written out."""
        return f(self.inside)

    def bind(self, primitive, args, options):
        """Apply `primitive`: to the entries alone, where that is all it takes."""
        first, *others = args
        rows = slice(self.start, self.start + len(self.entries))
        if first is self and primitive in SCALING and all(map(self._is_row, others)):
            others = [x if type(x) is float else x.reshape(-1)[rows] for x in others]
            entries = primitive.apply([self.entries, *others], options)
            return Diagonal(entries, self.start, self.columns, self.level)
        if first is self and primitive is MATMUL:
            (other,) = others
            if type(other) is np.ndarray and other.ndim == 2:
                return self.entries[:, None] * other[rows]
        return self.without(primitive, args, options)

    def _is_row(self, x):
        """Whether `x` is the same for all rows."""
        one_row = (self.columns,), (1, self.columns)
        return type(x) is float or (type(x) is np.ndarray and x.shape in one_row)

    def bind_constant(self, constant, args, options):
        """An operation without a derivative: apply it to the rows, written out."""
        return self.without(constant, args, options)

    def __repr__(self):
        return f"Diagonal({self.entries!r}, from row {self.start} of {self.columns})"


SCALING = {registry[f] for f in (np.multiply, np.true_divide, np.negative)}
MATMUL = registry[np.matmul]
