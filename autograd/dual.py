"""Dual: the array type that carries a tangent along, and so differentiates forward.

``Dual(value, tangent)`` stands for value + ε·tangent, with ε² = 0: every operation on it computes
its value and, by the operation's push, how the value moves.
"""

import numpy as np

from . import graph
from .duck import Duck, other
from .primitive import check_kept, explained, like_tuple, origin
from .tensor import constants, not_differentiable, snapshot


class Dual(Duck):
    """A value and its tangent, of the same shape, at the level of one `jvp`."""

    __slots__ = ("value", "tangent", "level")

    def __init__(self, value, tangent, level):
        self.value, self.tangent, self.level = value, tangent, level

    @property
    def inside(self):
        """The value."""
        return self.value

    @property
    def data(self):
        """The value, as another handle where it is no plain array."""
        return snapshot(self.value)

    def map(self, f):
        """f of the value, without a tangent; a constant as in reverse mode."""
        return constants(f(self.value))

    def bind(self, primitive, args, options):
        """Apply `primitive` to the values, and push the tangents through it."""
        level = self.level
        values, tangents = [], []
        for arg in args:
            moves = type(arg) is Dual and arg.level == level
            tangents.append(arg.tangent if moves else None)
            values.append(arg.value if moves else other(arg))
        try:
            y = primitive.apply(values, options)
            kind = getattr(getattr(y, "dtype", None), "kind", "f")
            if kind not in "fb":
                raise not_differentiable(y)
            if type(y) is np.ndarray and type(values[0]) is not np.ndarray:
                check_kept(primitive.name, values, y)
            if graph.silencers and not graph.recording(level):
                return constants(y, primitive.outputs)
            t = primitive.push(tangents, y, values, options)
        except (ValueError, TypeError, IndexError) as error:
            raise explained(error, primitive.name, args) from origin(error)
        if t is None:
            return y
        if not primitive.outputs:
            return Dual(y, t, level)
        return like_tuple(y, [Dual(v, u, level) for v, u in zip(y, t, strict=True)])

    def unmoved(self, x):
        """`x`, a result without this level, standing still at this level."""
        value = x.inside if x.level == graph.CONSTANT else x
        return Dual(value, np.zeros_like(value), self.level)

    def bind_constant(self, constant, args, options):
        """An operation without a derivative: apply it to the values."""
        return self.without(constant, args, options)

    def __repr__(self):
        return f"Dual({self.value!r}, tangent={self.tangent!r})"
