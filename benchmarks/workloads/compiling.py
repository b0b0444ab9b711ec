"""How long compiling takes: tracing, writing the program, and its first run, of value and
gradient.  A graph's nodes are the operations of the function; its derivative has about three
times as many.
"""

from __future__ import annotations

import numpy as np

from benchmarks.workload import OURS, Linear, Within, Workload
from benchmarks.workloads import arrays, pictures, scalars

NODES = 1000
SHAPES = {"scalars": (), "arrays": (8, 8)}


def values(shape, rng):
    """Three values: Python floats, or arrays in float32."""
    return [
        rng.standard_normal(shape, dtype=np.float32) if shape else rng.standard_normal()
        for _ in range(3)
    ]


# --- a graph without a pattern ----------------------------------------------------------------


def irregular(shape):
    """A data function: which earlier value each operation reads beside the last one, which
    operation it is, and the values at the start.
    """
    return lambda rng: (*pictures.operands(NODES // 2)(rng), *values(shape, rng))


def compile_irregular():
    from autograd import value_and_grad
    from autograd.program import compile

    def step(places, kinds, *start):
        def tangled(*start):
            found = [*start]
            for place, kind in zip(places, kinds, strict=True):
                x, y = found[-1], found[place]
                found.append(np.tanh([x - y, x * y, x + y][kind]))
            return np.sum(found[-1])

        return compile(value_and_grad(tangled))(*start)[1]

    return scalars.as_is, step


# --- chains, ever longer ----------------------------------------------------------------------


def chain(shape):
    """A data function: the chain's length and its three values."""
    return lambda rng, n: (n, *values(shape, rng))


def compile_chain():
    from autograd import value_and_grad
    from autograd.program import compile

    def step(n, *start):
        def total(*start):
            return np.sum(arrays.chain(np.tanh, *start, steps=n // 3))

        return compile(value_and_grad(total))(*start)[1]

    return scalars.as_is, step


# --- workloads --------------------------------------------------------------------------------

COMPILING = (
    *(
        Workload(
            name=f"compile-{kind}",
            what=f"compile value and gradient of {NODES:,} operations without a pattern, on {kind}",
            data=irregular(shape),
            sides={OURS: compile_irregular},
            bars=(Within(0.3),),
        )
        for kind, shape in SHAPES.items()
    ),
    *(
        Workload(
            name=f"growth-{kind}",
            what=f"compile value and gradient of a chain of n operations on {kind}, to n = 100,000",
            data=chain(shape),
            sides={OURS: compile_chain},
            bars=(Linear(),),
            measure="growth",
            sizes=(1000, 10_000, 100_000),
            long=True,
        )
        for kind, shape in SHAPES.items()
    ),
)
