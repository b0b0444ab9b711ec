"""Programs traced once and run by what was generated of them, beside eager peers and jax.jit."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.workload import Workload, at_most, faster
from benchmarks.workloads import arrays, modes, networks, scalars

# --- how to compile ---------------------------------------------------------------------------


def as_calls():
    """`compile`, whose programs are calls of NumPy."""
    from autograd.program import compile

    return compile


def natively():
    """`compile` with Numba, to machine code; without Numba there is nothing to measure."""
    import numba  # noqa: F401 - compile itself would go on without it

    return partial(as_calls(), jit=True)


# --- numbers ----------------------------------------------------------------------------------


def product_compiled(compiler):
    def setup():
        from autograd import value_and_grad

        def product(w):
            p = w[0]
            for i in range(1, len(w)):
                p = p * w[i]
            return p

        fast = compiler()(value_and_grad(product))
        # machine code takes an array as it is, Python is faster with floats
        prepare = scalars.as_is if compiler is as_calls else lambda w: (np.array(w),)
        return prepare, lambda w: fast(w)[1]

    return setup


def mapped_compiled():
    """The network of scalars, written for one point, mapped over all of them and compiled."""
    from autograd import relu, value_and_grad, vmap
    from autograd.program import compile

    sizes = scalars.SIZES

    def score(parameters, x):
        unused = iter(parameters)
        for fan_in, neurons in zip(sizes, sizes[1:], strict=False):
            last = neurons == sizes[-1]
            layer = [([next(unused) for _ in range(fan_in)], next(unused)) for _ in range(neurons)]
            x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
            x = x if last else [relu(activation) for activation in x]
        return x[0]

    def loss(parameters, points, labels):
        scores = vmap(lambda x, y: score(parameters, [x[0], x[1]]))(points, labels)
        data_loss = np.mean(relu(1 - labels * scores))
        return data_loss + scalars.PENALTY * sum(p * p for p in parameters)

    fast = compile(value_and_grad(loss))
    parameters = scalars.initial_weights()

    def prepare(points, labels):
        return np.array(points), np.array(labels, float)

    return prepare, lambda points, labels: fast(parameters, points, labels)[1]


# --- arrays -----------------------------------------------------------------------------------


def chain_compiled():
    from autograd import value_and_grad
    from autograd.program import compile

    def total(h, w, b):
        return np.sum(arrays.chain(np.tanh, h, w, b))

    fast = compile(value_and_grad(total, argnums=(0, 1, 2)))
    return scalars.as_is, lambda h, w, b: fast(h, w, b)[1][2]


def network_compiled(sizes):
    def setup():
        import nn
        from autograd import value_and_grad
        from autograd.program import compile

        model, _ = networks.ours_model(sizes)
        fast = compile(value_and_grad(lambda model, x, y: nn.cross_entropy(model(x), y)))

        def step(x, labels):
            _, slopes = fast(model, x, labels)
            return slopes[0].weight

        return networks.as_is, step

    return setup


def step_compiled(sizes, kind, **settings):
    """A whole training step, the parameters' update included; compared is the last bias."""

    def setup():
        import nn
        import optim
        from autograd import value_and_grad
        from autograd.program import compile

        model, parameters = networks.ours_model(sizes)
        optimizer = getattr(optim, kind)(parameters, **settings)
        loss = value_and_grad(lambda model, x, y: nn.cross_entropy(model(x), y))

        @compile
        def train(x, labels):
            value, slopes = loss(model, x, labels)
            for p, g in zip(parameters, slopes.parameters(), strict=True):
                p.grad = g
            optimizer.step()
            return value

        def step(x, labels):
            train(x, labels)
            return parameters[-1].data

        return networks.as_is, step

    return setup


def many(rng):
    return (rng.standard_normal(2_000_000, dtype=np.float32),)


def mish_compiled(compiler):
    def setup():
        from autograd import value_and_grad

        def mish(x):
            return np.sum(x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)))

        fast = compiler()(value_and_grad(mish))
        return scalars.as_is, lambda x: fast(x)[1]

    return setup


def mish_torch():
    import torch

    def step(x):
        torch.nn.functional.mish(x).sum().backward()
        return x.grad

    return lambda x: (torch.tensor(x, requires_grad=True),), step


def mish_jax():
    import jax

    def mish(x):
        return jax.numpy.sum(jax.nn.mish(x))

    fast = modes.jax_step(jax, jax.value_and_grad(mish))
    return modes.jax_data(jax), lambda x: fast(x)[1]


# --- workloads --------------------------------------------------------------------------------


def three_first(setup):
    """`setup` whose first repetition, the one that is compared, takes three steps: a program that
    trains while it is traced and never again would go unnoticed after one.
    """

    def setup_three():
        prepare, step = setup()
        more = [None, None]

        def steps(*batch):
            while more:
                step(*batch)
                more.pop()
            return step(*batch)

        return prepare, steps

    return setup_three


def training(name, what, sizes, rows, bars, kind, settings):
    """A whole training step, compiled, another batch each time."""
    case = sizes, kind
    return Workload(
        name=name,
        what=what,
        data=networks.batches(sizes, rows),
        sides={
            "ours": three_first(step_compiled(*case, **settings)),
            "torch": three_first(networks.torch_step(*case, **settings)),
            "jax-jit": three_first(networks.jax_step(*case, **settings)),
        },
        bars=bars,
    )


SMALL = networks.SMALL_SIZES, networks.SMALL_BATCH, (faster("torch", 6), faster("jax-jit", 1.3))
LARGE = networks.LARGE_SIZES, networks.LARGE_BATCH, (faster("torch", 1), faster("jax-jit", 1))
MOMENTUM = "SGD", {"lr": 0.1, "momentum": 0.9}
ADAM = "Adam", {"lr": 1e-3}

STEPS = (
    training(
        "compiled-sgd",
        "MLP 64-32-10, batch 32, a whole step of SGD with momentum, compiled",
        *SMALL,
        *MOMENTUM,
    ),
    training("compiled-adam", "the same with Adam", *SMALL, *ADAM),
    training("compiled-large-adam", "the same, MLP 784-512-512-10, batch 128", *LARGE, *ADAM),
)

COMPILED = (
    *(
        Workload(
            name=f"{how}-product",
            what=f"Speelpenning's product of 900 numbers, value and gradient, {how}",
            data=scalars.factors,
            sides={"ours": product_compiled(compiler), "micrograd": scalars.product_micrograd},
            bars=(faster("micrograd", least),),
        )
        for how, compiler, least in (("compiled", as_calls, 25), ("native", natively, 300))
    ),
    Workload(
        name="compiled-scalar-mlp",
        what="MLP 2-16-16-1 written for one point, mapped over 100 points and compiled",
        data=scalars.moons,
        sides={"ours": mapped_compiled, "micrograd": scalars.mlp_micrograd},
        bars=(faster("micrograd", 100),),
    ),
    Workload(
        name="compiled-tanh-chain",
        what="1000 × tanh(h·w + b) on 8×8 arrays, forward and backward, compiled",
        data=arrays.squares,
        sides={"ours": chain_compiled, "torch": arrays.chain_torch},
        bars=(faster("torch", 4),),
    ),
    Workload(
        name="compiled-small-mlp",
        what="MLP 64-32-10, batch 32, forward and backward, compiled",
        data=networks.batches(networks.SMALL_SIZES, networks.SMALL_BATCH),
        sides={
            "ours": network_compiled(networks.SMALL_SIZES),
            "torch": networks.torch_(networks.SMALL_SIZES),
            "jax-jit": networks.jax_(networks.SMALL_SIZES, jit=True),
        },
        bars=(faster("torch", 5), faster("jax-jit", 1.5)),
    ),
    Workload(
        name="compiled-large-mlp",
        what="MLP 784-512-512-10, batch 128, forward and backward, compiled",
        data=networks.batches(networks.LARGE_SIZES, networks.LARGE_BATCH),
        sides={
            "ours": network_compiled(networks.LARGE_SIZES),
            "torch": networks.torch_(networks.LARGE_SIZES),
            "gemms": networks.gemms(networks.LARGE_SIZES, networks.LARGE_BATCH),
        },
        bars=(faster("torch", 1.05), at_most("gemms", 1.1)),
    ),
    *(
        Workload(
            name=f"{how}-mish",
            what=f"mish of 2M float32 numbers, value and gradient, {how}",
            data=many,
            sides={"ours": mish_compiled(compiler), "torch": mish_torch, "jax-jit": mish_jax},
            bars=(faster(peer, 1),),
        )
        for how, compiler, peer in (
            ("compiled", as_calls, "torch"),
            ("native", natively, "jax-jit"),
        )
    ),
    *STEPS,
    networks.footprint("compiled-memory", "the same, compiled: its buffers count", step_compiled),
)
