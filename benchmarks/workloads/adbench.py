"""ADBench's mixture of Gaussians and its LSTM, float64: the gradient, and beside it the objective
alone, whose cost the gradient's is a multiple of.  Every side runs the same formulas.
"""

from __future__ import annotations

import numpy as np

from benchmarks import objectives
from benchmarks.workload import Workload
from benchmarks.workloads.modes import jax_data
from benchmarks.workloads.scalars import as_is

LAYERS, BITS = 2, 14  # as in ADBench's data: the text's characters need 14 bits


def mixture(d, k=25, n=1000):
    """A data function: alphas, means, icf and x, all normally distributed, as in ADBench's data."""
    shapes = (k,), (k, d), (k, d * (d + 1) // 2), (n, d)
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def text(characters):
    """A data function: the LSTM's numbers, uniform as in ADBench's data, and random characters."""
    shapes = (LAYERS, 2, 4, BITS), (3, BITS), (LAYERS, 2, BITS)

    def data(rng):
        numbers = tuple(rng.random(shape) for shape in shapes)
        return *numbers, rng.integers(0, 2, (characters, BITS)).astype(float)

    return data


# --- sides ------------------------------------------------------------------------------------


def ours(make, count, gradient, compiled):
    def setup():
        f = make(np)
        if gradient:
            from autograd import grad

            f = grad(f, argnums=tuple(range(count)))
        if compiled:
            from autograd.program import compile

            f = compile(f)
        return as_is, largest(f) if gradient else alone(f)

    return setup


def torch_(make, count, gradient):
    def setup():
        import torch

        f = make(torch)

        def prepare(*data):
            return tuple(
                torch.from_numpy(x).requires_grad_(gradient and i < count)
                for i, x in enumerate(data)
            )

        def gradients(*data):
            f(*data).backward()
            return [x.grad for x in data[:count]]

        return prepare, largest(gradients) if gradient else alone(f)

    return setup


def jax_(make, count, gradient, jit):
    """With JAX's own loop: a Python loop of a thousand steps takes minutes to compile."""

    def setup():
        import jax

        jax.config.update("jax_enable_x64", True)
        f = make(jax.numpy, jax.lax.scan) if make is objectives.lstm else make(jax.numpy)
        f = jax.grad(f, argnums=tuple(range(count))) if gradient else f
        f = jax.jit(f) if jit else f

        def waited(*data):
            return jax.block_until_ready(f(*data))

        return jax_data(jax), largest(waited) if gradient else alone(waited)

    return setup


def largest(f):
    """Of f's gradients the largest array, for the sides to be compared by."""
    return lambda *data: max(f(*data), key=lambda g: g.shape[0] * g.shape[-1])


def alone(f):
    """f, whose result is not to be compared with gradients."""

    def step(*data):
        f(*data)

    return step


# --- workloads --------------------------------------------------------------------------------


def adbench(name, what, data, make, count, long=False):
    """A workload; `count` arguments of the objective come first that it is differentiated by."""
    sides = {}
    for suffix, gradient in ("", True), ("-f", False):
        sides |= {
            f"ours{suffix}": ours(make, count, gradient, compiled=False),
            f"compiled{suffix}": ours(make, count, gradient, compiled=True),
            f"torch{suffix}": torch_(make, count, gradient),
            f"jax{suffix}": jax_(make, count, gradient, jit=False),
            f"jax-jit{suffix}": jax_(make, count, gradient, jit=True),
        }
    return Workload(name=name, what=what, data=data, sides=sides, long=long)


ADBENCH = (
    *(
        adbench(
            f"gmm-{d}",
            f"ADBench's mixture of 25 Gaussians in {d} dimensions at 1,000 points: its gradient",
            *(mixture(d), objectives.gmm, 3),
        )
        for d in (10, 64)
    ),
    *(
        adbench(
            f"lstm-{characters}",
            f"ADBench's LSTM of two layers over {characters:,} characters: its gradient",
            *(text(characters), objectives.lstm, 2),
            long=characters > 100,
        )
        for characters in (64, 1024)
    ),
)
