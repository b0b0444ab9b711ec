"""Counted: the array type that counts the operations of any program, derivative programs too.

`count_operations` gives a program Counted arrays in the place of arrays.  Transformations inside
the program wrap these in their turn, so that what a derivative does is counted like all else.
"""

import threading

import numpy as np

from .costs import Counts, cost_of
from .duck import Duck
from .graph import levels
from .primitive import explained, kind_of, like_tuple, mapped_over, origin, telling
from .tensor import stop_gradient
from .transforms import called, primal
from .tree import flatten


@telling
def count_operations(f, *args, **kwargs):
    """The `Counts` of what ``f(*args, **kwargs)`` executes, by the shapes met; no estimate.

    Arguments may be trees, and `f` a Module: every floating-point array and number in them (of a
    Module the trainable parameters) is counted with.  Counted is each operation that such a one,
    or what was made of it, takes part in, and only that: what a program computes of its own
    constants alone (``np.ones(3) * 2``) is not, so pass those as arguments; nor are integers,
    which are places, labels and sizes.

    Each addition, multiplication, division, comparison, call of another function (by name), and
    flop of a product of matrices (2mnk) is one operation.  Linear algebra by a direct method
    (solve, inv, det, cholesky, qr) has the leading terms of its flops; eigh and svd, which
    iterate, are one call a matrix: see `autograd.costs`.

    >>> count_operations(lambda x: np.sum(x * x), np.ones(3))
    additions         2
    multiplications   3
    bytes read       72
    bytes written    32
    total             5
    """
    level, tally = next(levels), Tally()

    def wrapped(leaf):
        if kind_of(leaf) != "f":
            return leaf
        return Counted(primal(stop_gradient(leaf)), tally, level)  # nobody asks for a derivative

    values, rebuild = flatten((f, args, kwargs))
    if (args or kwargs) and not any(kind_of(leaf) == "f" for leaf in values):
        raise TypeError(
            f"count_operations: {called(f)} was given no floating-point argument to count with; "
            f"write 2.0 instead of 2, or x.astype(float)"
        )
    f, args, kwargs = rebuild([wrapped(leaf) for leaf in values])
    f(*args, **kwargs)
    return tally.counts


class Tally:
    """Counts that are added to, by any thread."""

    def __init__(self):
        self.counts, self._lock = Counts(), threading.Lock()

    def add(self, counts):
        """Add to what is counted."""
        with self._lock:
            self.counts = self.counts + counts


class Counted(Duck):
    """An array, or number, every operation on which is added to a tally."""

    __slots__ = ("value", "tally", "level")
    carries_derivative = False

    def __init__(self, value, tally, level):
        self.value, self.tally, self.level = value, tally, level

    @property
    def inside(self):
        """The value."""
        return self.value

    def map(self, f):
        """A Counted of f of what is inside."""
        return Counted(f(self.value), self.tally, self.level)

    def beside(self, x):
        """`x` as a Counted, whatever else is inside."""
        return self._counting(super().beside(x))

    def bind(self, primitive, args, options):
        """Apply `primitive` to the values, and add what it costs to the tally."""
        args = [np.asarray(arg) if type(arg) in (list, tuple) else arg for arg in args]
        cost = cost_of(primitive)
        if cost is None:
            # its forward is a program like any other; all it is given counts
            y = primitive.forward(*map(self._counting, args), **options)
        else:
            args = [self.peeled(arg) for arg in args]
            held = {
                name: mapped_over(self.peeled, options[name])
                for name in primitive.holds
                if name in options
            }
            options = options | held
            try:
                y = primitive.apply(args, options)
            except (ValueError, TypeError, IndexError) as error:
                raise explained(error, primitive.name, args) from origin(error)
            self.tally.add(cost(y, *args, **options))
        return like_tuple(y, map(self._counting, y)) if primitive.outputs else self._counting(y)

    def bind_constant(self, constant, args, options):
        """The same for an operation without a derivative.

        Results count on where they are masks, or floating-point as those of `np.ones_like`.
        """
        cost = cost_of(constant)
        if cost is None:
            return constant.forward(*args, **options)
        args, options = mapped_over(self.peeled, [list(args), options])
        y = constant.apply(args, options)
        self.tally.add(cost(y, *args, **options))
        return self._counting(y)

    def _counting(self, x):
        ours = type(x) is Counted and x.level == self.level
        return Counted(x, self.tally, self.level) if not ours and kind_of(x) in ("f", "b") else x

    def __array__(self, dtype=None, copy=None):
        if self.dtype.kind != "b":  # a mask may index a plain array
            raise TypeError(
                "turning a Counted into a NumPy array: what is done with that would not be "
                "counted; call NumPy's functions on it directly, and register a function that "
                "needs plain arrays as an operation with cost="
            )
        return np.array(self.plain(), dtype, copy=copy)

    def _no_conversion(self, what, instead):
        return TypeError(f"{what} of a Counted would go on uncounted; use {instead}")

    def __repr__(self):
        return f"Counted({self.value!r})"
