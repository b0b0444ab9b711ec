"""One step of every optimizer that torch has, on the parameters of the large network, float32."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload, faster
from benchmarks.workloads.networks import LARGE_SIZES, as_is, weights

# The settings besides lr, and how many times as fast as torch's default implementation to be.
CASES = [
    ("SGD", {"momentum": 0.9}, 0.6),
    ("RMSprop", {}, 1),
    ("Adagrad", {}, 1),
    ("Adadelta", {}, 1),
    ("Adam", {}, 1),
    ("AdamW", {}, 1),
    ("Adamax", {}, 1),
    ("NAdam", {}, 1),
    ("Rprop", {}, 1),
]


def parameters():
    """Weights and biases, 669,706 numbers in six arrays."""
    return [
        a
        for w in weights(LARGE_SIZES)
        for a in (np.ascontiguousarray(w), np.zeros(len(w), dtype=np.float32))
    ]


def gradients(rng):
    return tuple(rng.standard_normal(p.shape, dtype=np.float32) for p in parameters())


def ours(kind, settings):
    def setup():
        import optim
        from autograd import Tensor

        tensors = [Tensor(p) for p in parameters()]
        optimizer = getattr(optim, kind)(tensors, lr=1e-3, **settings)

        def step(*grads):
            for p, g in zip(tensors, grads, strict=True):
                p.grad = g
            optimizer.step()
            return tensors[0].data

        return as_is, step

    return setup


def torch_(kind, settings):
    def setup():
        import torch

        tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in parameters()]
        optimizer = getattr(torch.optim, kind)(tensors, lr=1e-3, **settings)

        def step(*grads):
            for p, g in zip(tensors, grads, strict=True):
                p.grad = g
            optimizer.step()
            return tensors[0].detach()

        return lambda *grads: tuple(map(torch.from_numpy, grads)), step

    return setup


STEPS = tuple(
    Workload(
        name=f"step-{kind.lower()}",
        what=f"one step of {kind}{' with momentum' if settings else ''}, 670k float32 parameters",
        data=gradients,
        sides={"ours": ours(kind, settings), "torch": torch_(kind, settings)},
        bars=(faster("torch", least),),
    )
    for kind, settings, least in CASES
)
