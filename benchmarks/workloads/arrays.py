"""Long programs on small arrays: what an engine costs per operation when NumPy has a little to
do, and how that grows with the length of the program.
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.workload import Linear, Workload, faster

# --- a chain of tanh --------------------------------------------------------------------------

STEPS = 1000


def squares(rng):
    """h, w and b: 8×8, float32."""
    return tuple(rng.standard_normal((8, 8), dtype=np.float32) for _ in range(3))


def chain(tanh, h, w, b, steps=STEPS):
    """h ← tanh(h·w + b), elementwise, so many times over."""
    for _ in range(steps):
        h = tanh(h * w + b)
    return h


def chain_ours():
    from autograd import Tensor

    def step(h, w, b):
        np.sum(chain(np.tanh, h, w, b)).backward()
        return b.grad

    return lambda *arrays: tuple(Tensor(a) for a in arrays), step


def chain_torch():
    import torch

    def leaves(*arrays):
        return tuple(torch.tensor(a, requires_grad=True) for a in arrays)

    def step(h, w, b):
        chain(torch.tanh, h, w, b).sum().backward()
        return b.grad

    return leaves, step


def chain_mygrad():
    import mygrad

    sys.setrecursionlimit(1_000_000)

    def step(h, w, b):
        mygrad.sum(chain(mygrad.tanh, h, w, b)).backward()
        return b.grad

    return lambda *arrays: tuple(mygrad.tensor(a) for a in arrays), step


def chain_hips():
    from autograd import grad
    from autograd import numpy as anp

    gradients = grad(lambda h, w, b: anp.sum(chain(anp.tanh, h, w, b)), (0, 1, 2))
    return lambda *arrays: arrays, lambda *arrays: gradients(*arrays)[2]


TANH_CHAIN = Workload(
    name="tanh-chain",
    what="1000 × tanh(h*w+b) on 8×8 float32, then its sum, forward and backward",
    data=squares,
    sides={
        "ours": chain_ours,
        "torch": chain_torch,
        "mygrad": chain_mygrad,
        "hips": chain_hips,
    },
    bars=(faster("torch", 1.4),),
)

# --- Speelpenning's product, by index ---------------------------------------------------------


def vector(rng, n):
    """n factors whose product stays of a moderate size, as one array."""
    return (rng.uniform(0.9, 1.1, n),)


def product(w):
    """w[0]·w[1]·…: an engine that spreads each element's gradient over a new array of n zeros
    takes time quadratic in n.
    """
    p = w[0]
    for i in range(1, len(w)):
        p = p * w[i]
    return p


def backward(w):
    product(w).backward()
    return w.grad


def by_index_ours():
    from autograd import Tensor

    return lambda w: (Tensor(w),), backward


def by_index_torch():
    import torch

    return lambda w: (torch.tensor(w, requires_grad=True),), backward


def by_index_hips():
    from autograd import grad

    return lambda w: (w,), grad(product)


PRODUCT_BY_INDEX = Workload(
    name="product-by-index",
    what="gradient of Speelpenning's product written with w[i], n = 100 to 10,000",
    data=vector,
    sides={"ours": by_index_ours, "torch": by_index_torch, "hips": by_index_hips},
    bars=(Linear(),),
    measure="growth",
    sizes=(100, 300, 1000, 3000, 10_000),
)
