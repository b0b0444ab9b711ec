"""Gradient checking: derivatives of any function against finite differences."""

import numpy as np

from .lazy import computed
from .primitive import kind_of, telling
from .transforms import grad
from .tree import flatten, paths

EXHAUSTIVE = 200  # up to so many inputs are checked one by one, more along random directions
DIRECTIONS = 20
_STENCIL = ((1, 45), (2, -9), (3, 1))  # sixth-order central differences, Fornberg (1988), over 60 h


@telling
def check_gradients(f, *args, order=2, step=2e-3, tolerance=1e-6):
    """Compare derivatives of `f` at `args`, up to `order`, with finite differences.

    f          any function of (trees of) arrays; its results may be a tree of arrays
    args       floating-point leaves are checked, in double precision; others are passed on
    order      1 for gradients, 2 for gradients of gradients too, ...
    step       of the differences, relative to inputs larger than 1: the function must be smooth
               over three steps either side
    tolerance  relative to the largest derivative compared, and to 1

    Raises AssertionError naming the argument, the position and both numbers.

    >>> check_gradients(lambda x: np.sin(x) * x, np.array([0.3, 1.2]))
    """
    function, point, names = of_floats("check_gradients", f, args)
    point = [_double(leaf) for leaf in computed(*point)]
    weights = np.random.default_rng(0)

    def scalar(*values):
        outputs = function(*values)
        rng = np.random.default_rng(1)
        return sum(np.sum(y * rng.normal(size=np.shape(y))) for y in outputs)

    everything = tuple(range(len(point)))
    for n in range(1, order + 1):
        slopes = computed(*grad(scalar, everything)(*point))
        _compare(scalar, point, slopes, names, f"derivative of order {n}", step, tolerance)
        vectors = [weights.normal(size=np.shape(x)) for x in point]
        scalar = _directional(scalar, everything, vectors)


def of_floats(what, f, args):
    """``(function, point, names)``: `f` as a function of the floating-point leaves of `args` that
    gives the tuple of its results' leaves; those leaves; and how each is written.

    Raises TypeError, in the name of `what`, where there are none.
    """
    leaves, rebuild = flatten(args)
    floating = [i for i, leaf in enumerate(leaves) if kind_of(leaf) == "f"]
    if not floating:
        raise TypeError(f"{what}: no floating-point argument to differentiate by")

    def function(*values):
        full = list(leaves)
        for i, value in zip(floating, values, strict=True):
            full[i] = value
        return tuple(flatten(f(*rebuild(full)))[0])

    where = paths(args, "args")
    return function, [leaves[i] for i in floating], [where[i] for i in floating]


def _directional(f, everything, vectors):
    """The derivative of f along `vectors`, as a function of the point."""

    def slope(*values):
        gradient = grad(f, everything)(*values)
        return sum(np.sum(g * v) for g, v in zip(gradient, vectors, strict=True))

    return slope


def _compare(f, point, slopes, names, what, step, tolerance):
    scale = max([1.0, *(np.max(np.abs(s), initial=0.0) for s in slopes)])
    exhaustive = sum(np.size(x) for x in point) <= EXHAUSTIVE
    rng = np.random.default_rng(2)
    for k, (x, slope, name) in enumerate(zip(point, slopes, names, strict=True)):
        indices = np.ndindex(np.shape(x)) if exhaustive else range(DIRECTIONS if np.size(x) else 0)
        for index in indices:
            if exhaustive:
                direction = np.zeros(np.shape(x))
                direction[index] = 1.0
            else:
                direction = rng.normal(size=np.shape(x)) / np.sqrt(np.size(x))
            h = step * max(1.0, np.max(np.abs(x * direction)))

            def at(steps, k=k, x=x, move=h * direction):
                return computed(f(*point[:k], x + steps * move, *point[k + 1 :]))[0]

            numeric = sum(c * (at(j) - at(-j)) for j, c in _STENCIL) / (60 * h)
            ours = np.sum(slope * direction)
            if not abs(ours - numeric) <= tolerance * scale:  # NaN fails too
                place = f"{name}{list(index) if index else ''}" if exhaustive else (
                    f"{name} along a random direction"
                )  # fmt: skip
                raise AssertionError(
                    f"{what} by {place}: {float(ours):.10g} by the rules, {float(numeric):.10g} "
                    f"by finite differences (step {h:.2g}); a wrong rule, or a kink nearby"
                )


def _double(leaf):
    value = getattr(leaf, "data", leaf) if hasattr(leaf, "requires_grad") else leaf
    return float(value) if np.ndim(value) == 0 else np.array(value, float)
