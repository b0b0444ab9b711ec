"""Pictures of large graphs: all of one with a thousand operations, and one with ten thousand."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.workload import OURS, Within, Workload

SPAN = 5  # how far back an operation reaches for an operand


def operands(n):
    """Which earlier value each of n operations reads beside the last one, and what it does."""

    def data(rng):
        return np.maximum(0, np.arange(n) - rng.integers(0, SPAN, n)), rng.integers(0, 3, n)

    return data


def drawing(**options):
    def setup():
        from autograd import Tensor
        from autograd.show import draw

        def prepare(places, kinds):
            values = [Tensor(0.5)]
            for place, kind in zip(places.tolist(), kinds.tolist(), strict=True):
                x, y = values[-1], values[place]
                values.append([x - y, x * y, np.hypot(x, y)][kind])
            return (values[-1],)

        def step(y):
            draw(y, **options).render("svg")

        return prepare, step

    return setup


ALL = Workload(
    name="draw-all",
    what="draw and lay out every one of 1,000 operations, gradients included, as SVG",
    data=operands(1000),
    sides={OURS: drawing(depth=math.inf)},
    bars=(Within(2),),
)
COLLAPSED = Workload(
    name="draw-collapsed",
    what="draw a graph of 10,000 operations, collapsed to what can be read, as SVG",
    data=operands(10_000),
    sides={OURS: drawing()},
    bars=(Within(5),),
)
