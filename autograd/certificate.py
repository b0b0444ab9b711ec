"""A certificate that a function's two derivatives belong together: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩.

Forward mode gives Jv, reverse mode Jᵀu, by different rules; for random u and v the two numbers
agree only where both are of one matrix J.  It costs two evaluations, no finite differences and no
choice of a step; but a rule that is wrong alike in both modes is not found: `check_gradients` is
for that.
"""

from dataclasses import dataclass

import numpy as np

from .attribution import differentiated, edges
from .check import of_floats
from .graph import Node, history
from .primitive import plain, telling
from .repeat import Memo
from .transforms import Recorded, called, jvp, vjp

TOLERANCE = 1e4  # in units of rounding, of sums over many numbers and operations


@dataclass(frozen=True, repr=False)
class Certificate:
    """Whether pull and push of a function belong together; true where they do.

    left, right   ⟨u, Jv⟩ and ⟨Jᵀu, v⟩
    difference    |left - right|, relative to the size of the numbers that were added up
    tolerance     of the difference
    arguments     those by which alone the two differ already; empty where they agree
    operations    names of those whose own pull and push differ, where they can be found
    """

    name: str
    left: float
    right: float
    difference: float
    tolerance: float
    arguments: tuple = ()
    operations: tuple = ()

    def __bool__(self):
        return self.difference <= self.tolerance  # nan fails

    def __repr__(self):
        verdict = "equal" if self else "NOT EQUAL"
        text = (
            f"{self.name}: ⟨u, Jv⟩ = {self.left:.10g}, ⟨Jᵀu, v⟩ = {self.right:.10g}: {verdict}, "
            f"difference {self.difference:.2g}, tolerance {self.tolerance:.2g}"
        )
        if self.arguments:
            text += f"\nby: {', '.join(self.arguments)}"
        if self.operations:
            text += f"\nits pull and its push differ: {', '.join(self.operations)}"
        return text


@telling
def certify(f, *args):
    """The `Certificate` of `f` at `args`, for one random u and v (always the same).

    f      any function of (trees of) arrays; its results may be a tree of arrays
    args   floating-point leaves are moved, a Module's parameters too; others are passed on

    Raises TypeError where there is no floating-point argument.

    >>> found = certify(lambda x: np.sin(x) * x, np.array([0.3, 1.2]))
    >>> bool(found), round(found.left, 6), round(found.right, 6)
    (True, 0.027931, 0.027931)
    """
    function, point, names = of_floats("certify", f, args)
    point, rng = plain(point), np.random.default_rng(0)
    memo = Memo()  # draws are the same in every evaluation
    with memo.first():
        ys, pull = vjp(function, *point)
    us, vs = _random(rng, ys), _random(rng, point)
    cs = pull(tuple(us))

    def both(directions):
        with memo.again():
            _, moved = jvp(function, tuple(point), tuple(directions))
        return _products(us, moved), _products(cs, directions)

    left, right = both(vs)
    rounding = [np.finfo(getattr(x, "dtype", float)).eps for x in (*point, *ys)]
    found = Certificate(
        called(f), left.value, right.value, _difference(left, right),
        TOLERANCE * float(max(rounding)),
    )  # fmt: skip
    if found:
        return found
    zeros = [v * 0 for v in vs]
    apart = [
        name
        for i, name in enumerate(names)
        if not _difference(*both([*zeros[:i], vs[i], *zeros[i + 1 :]])) <= found.tolerance
    ]
    with memo.again():
        run = Recorded(function, tuple(range(len(point))), point, {})
    operations = _suspects(run, rng, found.tolerance)
    return Certificate(
        found.name, found.left, found.right, found.difference, found.tolerance,
        tuple(apart), operations,
    )  # fmt: skip


@dataclass(frozen=True)
class _Product:
    """An inner product, and the sum of its terms' sizes."""

    value: float
    size: float


def _products(xs, ys):
    pairs = zip(plain([*xs]), plain([*ys]), strict=True)
    terms = [np.multiply(x, y, dtype=float) for x, y in pairs]
    return _Product(
        float(sum(np.sum(t) for t in terms)), float(sum(np.sum(np.abs(t)) for t in terms))
    )


def _difference(left, right):
    return abs(left.value - right.value) / (max(left.size, right.size) or 1.0)


def _random(rng, values):
    """Normal numbers in the shapes and types of values."""
    draws = [rng.standard_normal(np.shape(x)) for x in values]
    return [
        float(d) if type(x) is float else np.asarray(d, x.dtype)
        for d, x in zip(draws, values, strict=True)
    ]


def _suspects(run, rng, tolerance):
    """The operations of a recorded call whose own pull and push do not belong together."""
    suspects = []
    for node in reversed(history(*filter(None, run.nodes))):
        if not differentiated(node) or any(map(_several, node.inputs)):
            continue  # a part of several results: nothing is computed
        primitive, options, y = node.primitive, node.options or {}, node.value
        args = [s.value if isinstance(s, Node) else s for s in node.inputs]
        moving = differentiated(node)
        vs = _random(rng, [args[i] for i in moving])
        us = _random(rng, y if primitive.outputs else [y])
        moves = [None] * len(args)
        for i, v in zip(moving, vs, strict=True):
            moves[i] = v
        moved = primitive.push(moves, y, args, options)
        left = _products(us, moved if primitive.outputs else [moved])
        cs = [c for _, c in edges(node, us if primitive.outputs else us[0])]
        right = _products(cs, vs)
        if not _difference(left, right) <= tolerance:
            suspects.append(primitive.name)
    return tuple(dict.fromkeys(suspects))


def _several(source):
    return isinstance(source, Node) and isinstance(source.value, (tuple, list))
