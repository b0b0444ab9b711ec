"""Batch: the array type that hides a mapped axis, and with it runs a function on many examples.

`vmap` wraps arrays so that a function written for one example sees arrays without the mapped
axis, while every operation runs on all examples at once, by its batching rule (`batching`).
"""

import numpy as np

from .batching import Mapped, Same, loop
from .duck import Duck, other
from .primitive import explained, like_tuple, mapped_over, origin


class Batch(Duck):
    """An array for each of many examples; the first axis of ``value`` counts the examples."""

    __slots__ = ("value", "level")
    carries_derivative = False
    hides_axis = True

    def __init__(self, value, level):
        self.value, self.level = value, level

    @property
    def inside(self):
        """All examples' arrays in one."""
        return self.value

    @property
    def shape(self):
        """Lengths of the axes of one example."""
        return np.shape(self.value)[1:]

    def map(self, f):
        """A Batch of f of what is inside."""
        return Batch(f(self.value), self.level)

    def bind(self, primitive, args, options):
        """Apply `primitive` to all examples, by its batching rule."""
        values, mapped = self._peel(args)
        if primitive.holds:
            options = options | {
                name: mapped_over(self._marked, options[name])
                for name in primitive.holds
                if name in options
            }
        try:
            found = (primitive.batch or loop)(primitive, values, mapped, options)
        except (ValueError, TypeError, IndexError) as error:
            raise explained(error, primitive.name, args) from origin(error)
        if not primitive.outputs:
            return self._wrapped(found)
        return like_tuple(found, map(self._wrapped, found))

    def bind_constant(self, constant, args, options):
        """The same for an operation without a derivative."""
        if constant.batch is None:
            raise TypeError(
                f"np.{constant.name} inside vmap: what it returns has another shape, or another "
                f"meaning, for every example; use masks (np.where), or call it outside of vmap"
            )
        if constant.arity is None:  # the arrays are anywhere in the call: tell apart only mapped
            args, options = mapped_over(self._marked, [list(args), options])
            return self._wrapped(constant.batch(constant, args, None, options))
        values, mapped = self._peel(args)
        options = mapped_over(self._marked, options)
        return self._wrapped(constant.batch(constant, values, mapped, options))

    def _peel(self, args):
        mapped = [type(a) is Batch and a.level == self.level for a in args]
        values = [a.value if m else other(a) for a, m in zip(args, mapped, strict=True)]
        return values, mapped

    def _marked(self, x):
        return Mapped(x.value) if type(x) is Batch and x.level == self.level else x

    def _wrapped(self, found):
        return found.value if type(found) is Same else Batch(found, self.level)

    def _differs(self, what):
        return TypeError(
            f"{what} of a value inside vmap: it differs from example to example; use np.where "
            f"instead of if, autograd.take(a, i) instead of a[i] for an index i that is mapped, "
            f"and np.stack instead of writing into plain arrays"
        )

    def _no_conversion(self, what, instead):
        return self._differs(what)

    def __bool__(self):
        raise self._differs("the truth")

    def __index__(self):
        raise self._differs("an index made")

    def __array__(self, dtype=None, copy=None):
        raise self._differs("a NumPy array made")

    def item(self):
        """Raises TypeError: it is no single number."""
        raise self._differs("the .item()")

    def __format__(self, spec):
        if spec:
            raise TypeError(
                f"the format {spec!r} of a value inside vmap: it is an array of all examples'; "
                f"print it without a format"
            )
        return str(self)

    def tolist(self):
        """Raises TypeError: it is no single list."""
        raise self._differs("the .tolist()")

    def __repr__(self):
        return f"Batch({len(self.value)} examples of shape {self.shape}: {self.value!r})"
