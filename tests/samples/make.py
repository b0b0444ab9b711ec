"""How a sample call of an operation is written, and the arrays that samples use.

``sample(np.clip, real(5), -0.5, 0.5)`` stands for that call.  Float arrays and Python floats
among the arguments, also inside lists and tuples, are differentiated; everything else, and what
is wrapped ``fixed(...)``, is passed as it is.
"""

import sys
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

_calls = Counter()


def _rng():
    """A generator seeded by the module of samples that asks, and how often it has asked."""
    here, frame = __name__, sys._getframe(1)
    while frame.f_globals["__name__"] == here:
        frame = frame.f_back
    module = frame.f_globals["__name__"]
    _calls[module] += 1
    return np.random.default_rng([zlib.crc32(module.encode()), _calls[module]])


def real(*shape):
    """Seeded numbers of both signs, no two equal, none near zero or another integer."""
    size = int(np.prod(shape, dtype=int))
    rng = _rng()
    steps = 0.2 + 0.6 * (rng.permutation(size) + rng.uniform(0.3, 0.7, size)) / max(size, 1)
    signed = (rng.integers(0, 2, size) + steps) * rng.choice([-1.0, 1.0], size)
    return signed.reshape(shape) if shape else float(signed[0])


def positive(*shape):
    """Like `real`, in (0.2, 1.8)."""
    return np.abs(real(*shape)) if shape else abs(real())


def unit(*shape):
    """Like `real`, in (-0.9, 0.9)."""
    return real(*shape) / 2


def integers(low, high, *shape):
    """Seeded integers in [low, high)."""
    return _rng().integers(low, high, shape)


def spd(n):
    """A well-conditioned symmetric positive definite matrix."""
    a = real(n, n)
    return a @ a.T + n * np.eye(n)


@dataclass
class fixed:  # noqa: N801 - reads as a word in a sample
    """An argument that is not differentiated."""

    value: Any


@dataclass
class Sample:
    """One call: ``function(*args, **options)``.

    order       how many derivatives are compared with finite differences
    tolerance   relative, of the comparison with finite differences
    """

    function: Any
    args: tuple
    options: dict
    name: str = ""
    order: int = 2
    tolerance: float = 1e-6
    covers: tuple = field(default_factory=tuple)

    @property
    def id(self):
        return self.name or self.function.__name__

    def inputs(self):
        """The arguments that are differentiated."""
        found = []
        self._map(found.append)
        return found

    def call(self, inputs):
        """Call the function with these in their place."""
        source = iter(inputs)
        args, options = self._map(lambda _: next(source))
        return self.function(*args, **options)

    def on(self, place):
        """The same call with ``place(array)`` for each array and each number differentiated."""

        def placed(x, whole=True):
            if isinstance(x, fixed):
                return fixed(placed(x.value, whole=False))
            if isinstance(x, dict):
                return {key: placed(value, whole) for key, value in x.items()}
            if type(x) in (list, tuple):
                return type(x)(placed(part, whole) for part in x)
            return place(x) if isinstance(x, np.ndarray) or whole and type(x) is float else x

        return replace(self, args=placed(self.args), options=placed(self.options))

    def _map(self, at_input):
        def visit(x):
            if isinstance(x, fixed):
                return x.value
            if isinstance(x, float) or getattr(getattr(x, "dtype", None), "kind", "") == "f":
                return at_input(x)
            return type(x)(map(visit, x)) if type(x) in (list, tuple) else x

        return visit(self.args), {k: visit(v) for k, v in self.options.items()}


def sample(function, *args, **options):
    """A sample call; ``.but(order=1, ...)`` changes how it is tested."""
    return _Changeable(function, args, options)


class _Changeable(Sample):
    def but(self, **changes):
        """Set the test's settings: name, order, tolerance, covers."""
        for name, value in changes.items():
            assert name in self.__dataclass_fields__, name
            setattr(self, name, value)
        return self
