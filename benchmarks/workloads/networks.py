"""Multilayer perceptrons with ReLU and cross-entropy, float32: every side from the same weights.

Weights have shape (outputs, inputs), as in PyTorch; biases start at zero.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.workload import Workload, at_most, faster, no_slower

SMALL_SIZES, SMALL_BATCH = (64, 32, 10), 32
LARGE_SIZES, LARGE_BATCH = (784, 512, 512, 10), 128
MEMORY_BATCH = 1024


def batches(sizes, rows):
    """A data function: inputs (rows, sizes[0]) in float32, labels (rows,)."""

    def data(rng):
        x = rng.standard_normal((rows, sizes[0]), dtype=np.float32)
        return x, rng.integers(0, sizes[-1], rows)

    return data


def weights(sizes):
    """He-initialized matrices, (outputs, inputs) each."""
    rng = np.random.default_rng(3)
    return [
        rng.standard_normal((fan_out, fan_in), dtype=np.float32) * np.float32((2 / fan_in) ** 0.5)
        for fan_in, fan_out in pairwise(sizes)
    ]


def as_is(*data):
    """Data that a step takes as it comes."""
    return data


# --- ours -------------------------------------------------------------------------------------


def ours_model(sizes):
    """Our network with the common weights, whichever way round it keeps them."""
    import nn

    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    parameters = list(model.parameters())
    matrices = [p for p in parameters if p.ndim == 2]
    common = weights(sizes)
    turned = matrices[0].shape != common[0].shape
    for p, w in zip(matrices, common, strict=True):
        p.data[...] = w.T if turned else w
    for p in parameters:
        if p.ndim == 1:
            p.data[...] = 0
    return model, parameters


def ours(sizes):
    def setup():
        import nn

        model, parameters = ours_model(sizes)

        def step(x, labels):
            for p in parameters:
                p.grad = None
            nn.cross_entropy(model(x), labels).backward()
            return parameters[0].grad

        return as_is, step

    return setup


def ours_step(sizes, kind, **settings):
    """A training step with the optimizer of that name; compared is the last bias after it."""

    def setup():
        import nn
        import optim

        model, parameters = ours_model(sizes)
        optimizer = getattr(optim, kind)(parameters, **settings)

        def step(x, labels):
            optimizer.zero_grad()
            nn.cross_entropy(model(x), labels).backward()
            optimizer.step()
            return parameters[-1].data

        return as_is, step

    return setup


def ours_memory():
    import nn
    import optim

    layers = []
    for fan_in, fan_out in pairwise(LARGE_SIZES[:-1]):
        layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU(), nn.Dropout(0.5)]
    model = nn.Sequential(*layers, nn.Linear(*LARGE_SIZES[-2:]))
    parameters = list(model.parameters())
    optimizer = optim.Adam(parameters, lr=1e-3)

    def step(x, labels):
        nn.cross_entropy(model(x), labels).backward()
        optimizer.step()
        for p in parameters:
            p.grad = None

    return as_is, step


# --- PyTorch ----------------------------------------------------------------------------------


def from_numpy(x, labels):
    """Torch's tensors on the same memory."""
    import torch

    return torch.from_numpy(x), torch.from_numpy(labels)


def torch_model(sizes):
    import torch

    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    parameters = list(model.parameters())
    with torch.no_grad():
        for p, w in zip(parameters[::2], weights(sizes), strict=True):
            p.copy_(torch.from_numpy(w))
        for p in parameters[1::2]:
            p.zero_()
    return model, parameters


def torch_(sizes):
    def setup():
        from torch.nn.functional import cross_entropy

        model, parameters = torch_model(sizes)

        def step(x, labels):
            for p in parameters:
                p.grad = None
            cross_entropy(model(x), labels).backward()
            return parameters[0].grad

        return from_numpy, step

    return setup


def torch_step(sizes, kind, **settings):
    def setup():
        import torch
        from torch.nn.functional import cross_entropy

        model, parameters = torch_model(sizes)
        optimizer = getattr(torch.optim, kind)(parameters, **settings)

        def step(x, labels):
            optimizer.zero_grad()
            cross_entropy(model(x), labels).backward()
            optimizer.step()
            return parameters[-1].detach()

        return from_numpy, step

    return setup


def torch_memory():
    import torch
    from torch import nn

    layers = []
    for fan_in, fan_out in pairwise(LARGE_SIZES[:-1]):
        layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU(), nn.Dropout(0.5)]
    model = nn.Sequential(*layers, nn.Linear(*LARGE_SIZES[-2:]))
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def step(x, labels):
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        for p in parameters:
            p.grad = None

    return from_numpy, step


# --- other peers ------------------------------------------------------------------------------


def composed_loss(np_):
    """Network and loss in a NumPy-like module `np_`, for libraries without layers of their own."""

    def loss(parameters, x, labels):
        *hidden, (w, b) = parameters
        for v, c in hidden:
            x = np_.maximum(x @ v.T + c, 0)
        logits = x @ w.T + b
        logits = logits - np_.max(logits, axis=1, keepdims=True)
        picked = logits[np.arange(len(labels)), labels]
        return np_.mean(np_.log(np_.sum(np_.exp(logits), axis=1)) - picked)

    return loss


def pairs(sizes):
    return [(w, np.zeros(len(w), dtype=np.float32)) for w in weights(sizes)]


def hips(sizes):
    def setup():
        from autograd import grad
        from autograd import numpy as anp

        gradients = grad(composed_loss(anp))
        parameters = pairs(sizes)
        return as_is, lambda x, labels: gradients(parameters, x, labels)[0][0]

    return setup


def jax_(sizes, jit):
    def setup():
        import jax

        gradients = jax.grad(composed_loss(jax.numpy))
        gradients = jax.jit(gradients) if jit else gradients
        parameters = jax.device_put(pairs(sizes))

        def step(x, labels):
            return jax.block_until_ready(gradients(parameters, x, labels))[0][0]

        return lambda *data: jax.block_until_ready(jax.device_put(data)), step

    return setup


def jax_step(sizes, kind, **settings):
    """A training step as one compiled function; the arrays it updates, it may reuse."""

    def setup():
        import jax

        start, rule = {"SGD": momentum, "Adam": adam}[kind](jax.numpy, **settings)
        loss = composed_loss(jax.numpy)

        def update(t, parameters, state, x, labels):
            value, slopes = jax.value_and_grad(loss)(parameters, x, labels)
            leaves, tree = jax.tree.flatten(parameters)
            moved = [
                rule(t, *each) for each in zip(leaves, jax.tree.leaves(slopes), state, strict=True)
            ]
            ws, state = zip(*moved, strict=True)
            return value, t + 1, jax.tree.unflatten(tree, ws), state

        update = jax.jit(update, donate_argnums=(0, 1, 2))
        parameters = jax.device_put(pairs(sizes))
        kept = [jax.numpy.float32(1), parameters, tuple(map(start, jax.tree.leaves(parameters)))]

        def step(x, labels):
            _, *kept[:] = jax.block_until_ready(update(*kept, x, labels))
            return kept[1][-1][1]

        return lambda *data: jax.block_until_ready(jax.device_put(data)), step

    return setup


def momentum(np_, lr, momentum):
    """SGD with momentum: the state at the start, and step t of an array."""

    def rule(t, w, g, v):
        v = momentum * v + g
        return w - lr * v, v

    return np_.zeros_like, rule


def adam(np_, lr, b1=0.9, b2=0.999, eps=1e-8):
    """Adam: the state at the start, and step t of an array."""

    def rule(t, w, g, state):
        m, v = state
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        return w - lr * (m / (1 - b1**t)) / (np_.sqrt(v / (1 - b2**t)) + eps), (m, v)

    return lambda w: (np_.zeros_like(w), np_.zeros_like(w)), rule


def mygrad_(sizes):
    def setup():
        import mygrad
        from mygrad.nnet.activations import relu
        from mygrad.nnet.losses import softmax_crossentropy

        parameters = [tuple(map(mygrad.tensor, pair)) for pair in pairs(sizes)]
        *hidden, (w, b) = parameters

        def step(x, labels):
            for v, c in hidden:
                x = relu(x @ v.T + c)
            softmax_crossentropy(x @ w.T + b, labels).backward()
            return parameters[0][0].grad

        return as_is, step

    return setup


def gemms(sizes, rows):
    """The matrix products alone, into arrays made beforehand: a floor for any engine."""

    def setup():
        ws = weights(sizes)
        u = [np.empty((rows, n), dtype=np.float32) for n in sizes]  # activations
        g = [np.ones((rows, n), dtype=np.float32) for n in sizes]  # their cotangents
        dws = [np.empty_like(w) for w in ws]

        def step(x):
            u[0] = x
            for i, w in enumerate(ws):
                np.matmul(u[i], w.T, out=u[i + 1])
            for i in reversed(range(len(ws))):
                np.matmul(g[i + 1].T, u[i], out=dws[i])
                if i:
                    np.matmul(g[i + 1], ws[i], out=g[i])

        return lambda x, labels: (x,), step

    return setup


# --- workloads --------------------------------------------------------------------------------

SMALL = Workload(
    name="small-mlp",
    what="MLP 64-32-10, batch 32, forward and backward",
    data=batches(SMALL_SIZES, SMALL_BATCH),
    sides={
        "ours": ours(SMALL_SIZES),
        "torch": torch_(SMALL_SIZES),
        "hips": hips(SMALL_SIZES),
        "mygrad": mygrad_(SMALL_SIZES),
        "jax": jax_(SMALL_SIZES, jit=False),
        "jax-jit": jax_(SMALL_SIZES, jit=True),
    },
    bars=(faster("torch", 2.5), faster("hips", 6)),
)

LARGE = Workload(
    name="large-mlp",
    what="MLP 784-512-512-10, batch 128, forward and backward",
    data=batches(LARGE_SIZES, LARGE_BATCH),
    sides={
        "ours": ours(LARGE_SIZES),
        "torch": torch_(LARGE_SIZES),
        "gemms": gemms(LARGE_SIZES, LARGE_BATCH),
        "hips": hips(LARGE_SIZES),
        "mygrad": mygrad_(LARGE_SIZES),
        "jax-jit": jax_(LARGE_SIZES, jit=True),
    },
    bars=(no_slower("torch"), at_most("gemms", 1.25)),
)

LARGE_ADAM = Workload(
    name="large-mlp-adam",
    what="the same and a step of Adam, another batch each time",
    data=batches(LARGE_SIZES, LARGE_BATCH),
    sides={
        "ours": ours_step(LARGE_SIZES, "Adam", lr=1e-3),
        "torch": torch_step(LARGE_SIZES, "Adam", lr=1e-3),
    },
    bars=(no_slower("torch"),),
)


def warmed(step):
    """`step` for the large network and Adam, after one for the small one: what a library loads
    only when first needed is there.
    """

    def setup():
        prepare, first = step(SMALL_SIZES, "Adam", lr=1e-3)()
        first(*prepare(*batches(SMALL_SIZES, SMALL_BATCH)(np.random.default_rng(0))))
        return step(LARGE_SIZES, "Adam", lr=1e-3)()

    return setup


def footprint(name, what, step):
    """The peak memory of training steps, beside torch's."""
    return Workload(
        name=name,
        what=what,
        data=batches(LARGE_SIZES, LARGE_BATCH),
        sides={"ours": warmed(step), "torch": warmed(torch_step)},
        bars=(at_most("torch", 1),),
        measure="footprint",
    )


FOOTPRINT = footprint(
    "mlp-memory",
    "peak memory of training steps of 784-512-512-10 with Adam, batch 128: gradients, moments and "
    "what else is kept between them count, parameters do not",
    ours_step,
)

MEMORY = Workload(
    name="step-memory",
    what="peak memory of a training step, 784-512-512-10 with batch norm, dropout and Adam, "
    "batch 1024",
    data=batches(LARGE_SIZES, MEMORY_BATCH),
    sides={"ours": ours_memory, "torch": torch_memory},
    bars=(at_most("torch", 1.5),),
    measure="memory",
)
