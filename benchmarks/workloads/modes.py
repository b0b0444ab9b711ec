"""Forward mode, reverse mode and both at once: whole matrices of derivatives, gradients of every
example, products with a Hessian, and what one of these costs beside the function itself.
"""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload, at_most, faster, no_slower
from benchmarks.workloads.networks import (
    LARGE_BATCH,
    LARGE_SIZES,
    as_is,
    batches,
    from_numpy,
    ours_model,
    torch_model,
    weights,
)

# --- the Jacobian of a network ----------------------------------------------------------------

WIDTH = 300


def point(rng):
    """x, in float64."""
    return (rng.standard_normal(WIDTH),)


def tanh_mlp(tanh, w, b, v, c):
    """ℝ³⁰⁰ → ℝ³⁰⁰: two layers with tanh."""
    return lambda x: tanh(v @ tanh(w @ x + b) + c)


def mlp_weights():
    """w, b, v, c: two matrices, each followed by a vector; the same on every side."""
    rng = np.random.default_rng(4)
    shapes = (WIDTH, WIDTH), (WIDTH,)
    return [rng.standard_normal(shape) / WIDTH**0.5 for shape in shapes * 2]


def jacobian_ours(mode):
    def setup():
        from autograd import jacobian

        return as_is, jacobian(tanh_mlp(np.tanh, *mlp_weights()), mode=mode)

    return setup


def jacobian_torch(transform):
    def setup():
        import torch

        f = tanh_mlp(torch.tanh, *map(torch.from_numpy, mlp_weights()))
        return lambda x: (torch.from_numpy(x),), getattr(torch.func, transform)(f)

    return setup


def jacobian_hips():
    from autograd import jacobian
    from autograd import numpy as anp

    return as_is, jacobian(tanh_mlp(anp.tanh, *mlp_weights()))


def jacobian_jax(transform):
    def setup():
        import jax

        jax.config.update("jax_enable_x64", True)
        f = tanh_mlp(jax.numpy.tanh, *jax.device_put(mlp_weights()))
        return jax_data(jax), jax_step(jax, getattr(jax, transform)(f))

    return setup


def jax_data(jax):
    """JAX's arrays of the data."""
    return lambda *data: jax.block_until_ready(jax.device_put(data))


def jax_step(jax, f):
    """`f` compiled, its result waited for."""
    f = jax.jit(f)
    return lambda *data: jax.block_until_ready(f(*data))


JACOBIAN_REVERSE = Workload(
    name="jacobian-reverse",
    what="Jacobian of a two-layer tanh MLP, 300 to 300, float64, by rows",
    data=point,
    sides={
        "ours": jacobian_ours("reverse"),
        "torch": jacobian_torch("jacrev"),
        "hips": jacobian_hips,
        "jax-jit": jacobian_jax("jacrev"),
    },
    bars=(no_slower("torch"), faster("hips", 10)),
)

JACOBIAN_FORWARD = Workload(
    name="jacobian-forward",
    what="the same by columns; HIPS has no such mode, and goes by rows",
    data=point,
    sides={
        "ours": jacobian_ours("forward"),
        "torch": jacobian_torch("jacfwd"),
        "hips": jacobian_hips,
        "jax-jit": jacobian_jax("jacfwd"),
    },
    bars=(no_slower("torch"), faster("hips", 10)),
)

# --- the Hessian of logistic regression -------------------------------------------------------

ROWS, PARAMETERS = 1000, 100


def regression(rng):
    """w; the rows x, each with a label ±1."""
    x = rng.standard_normal((ROWS, PARAMETERS))
    return rng.standard_normal(PARAMETERS) / 10, x, np.where(rng.random(ROWS) < 0.5, -1.0, 1.0)


def logistic(np_):
    """-log of the labels' probability, mean over the rows."""
    return lambda w, x, label: np_.mean(np_.logaddexp(0.0, -label * (x @ w)))


def hessian_ours():
    from autograd import hessian

    return as_is, hessian(logistic(np))


def hessian_torch():
    import torch

    def loss(w, x, label):
        return torch.nn.functional.softplus(-label * (x @ w)).mean()

    return lambda *data: tuple(map(torch.from_numpy, data)), torch.func.hessian(loss)


def hessian_hips():
    from autograd import hessian
    from autograd import numpy as anp

    return as_is, hessian(logistic(anp))


def hessian_jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax_data(jax), jax_step(jax, jax.hessian(logistic(jax.numpy)))


HESSIAN = Workload(
    name="hessian",
    what="Hessian of a logistic loss, 100 parameters, 1000 rows, float64",
    data=regression,
    sides={
        "ours": hessian_ours,
        "torch": hessian_torch,
        "hips": hessian_hips,
        "jax-jit": hessian_jax,
    },
    bars=(faster("torch", 5), faster("hips", 7)),
)

# --- a gradient for every example -------------------------------------------------------------

EXAMPLE_SIZES, EXAMPLES = (784, 100, 10), 256


def example_parameters():
    """The weights in pairs with biases."""
    return [(w, np.full(len(w), 0.1, np.float32)) for w in weights(EXAMPLE_SIZES)]


def per_example_ours():
    from autograd import grad, logsumexp, relu, vmap

    def loss(parameters, x, label):
        (w, b), (v, c) = parameters
        logits = v @ relu(w @ x + b) + c
        return logsumexp(logits) - logits[label]

    gradients = vmap(grad(loss), (None, 0, 0))
    parameters = example_parameters()
    return as_is, lambda x, labels: gradients(parameters, x, labels)[0][0]


def per_example_torch():
    import torch
    from torch.nn.functional import cross_entropy, linear, relu

    def loss(parameters, x, label):
        first, second = parameters
        return cross_entropy(linear(relu(linear(x, *first)), *second), label)

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))
    parameters = [tuple(map(torch.from_numpy, pair)) for pair in example_parameters()]
    return from_numpy, lambda x, labels: gradients(parameters, x, labels)[0][0]


def per_example_jax():
    import jax

    def loss(parameters, x, label):
        (w, b), (v, c) = parameters
        logits = v @ jax.nn.relu(w @ x + b) + c
        return jax.nn.logsumexp(logits) - logits[label]

    gradients = jax_step(jax, jax.vmap(jax.grad(loss), (None, 0, 0)))
    parameters = jax.device_put(example_parameters())
    return jax_data(jax), lambda x, labels: gradients(parameters, x, labels)[0][0]


PER_EXAMPLE = Workload(
    name="per-example",
    what="the gradient of each of 256 examples, MLP 784-100-10, float32",
    data=batches(EXAMPLE_SIZES, EXAMPLES),
    sides={"ours": per_example_ours, "torch": per_example_torch, "jax-jit": per_example_jax},
    bars=(no_slower("torch"),),
)

# --- a Hessian times a vector -----------------------------------------------------------------


def directions():
    """A tangent for every weight matrix and bias."""
    rng = np.random.default_rng(5)
    shapes = [shape for w in weights(LARGE_SIZES) for shape in (w.shape, w.shape[:1])]
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def ours_loss():
    """The loss by the parameters, and the parameters."""
    import nn

    model, _ = ours_model(LARGE_SIZES)

    def loss(parameters, x, labels):
        return nn.cross_entropy(nn.functional_call(model, parameters, x), labels)

    return loss, {name: p.data for name, p in model.named_parameters()}


def hvp_ours():
    from autograd import hvp

    loss, parameters = ours_loss()
    tangents = dict(zip(parameters, directions(), strict=True))

    def step(x, labels):
        (found,) = hvp(lambda p: loss(p, x, labels), (parameters,), (tangents,))
        return next(iter(found.values()))

    return as_is, step


def hvp_gradient():
    """What is to be compared with: the gradient alone."""
    from autograd import grad

    loss, parameters = ours_loss()
    gradients = grad(loss)

    def step(x, labels):
        gradients(parameters, x, labels)

    return as_is, step


def hvp_torch():
    import torch

    model, _ = torch_model(LARGE_SIZES)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    tangents = dict(zip(parameters, map(torch.from_numpy, directions()), strict=True))

    def step(x, labels):
        def loss(p):
            logits = torch.func.functional_call(model, p, x)
            return torch.nn.functional.cross_entropy(logits, labels)

        found = torch.func.jvp(torch.func.grad(loss), (parameters,), (tangents,))[1]
        return next(iter(found.values()))

    return from_numpy, step


HVP = Workload(
    name="hvp",
    what="Hessian times vector of the MLP 784-512-512-10, batch 128, float32",
    data=batches(LARGE_SIZES, LARGE_BATCH),
    sides={"ours": hvp_ours, "gradient": hvp_gradient, "torch": hvp_torch},
    bars=(at_most("gradient", 4),),
)

# --- one direction ----------------------------------------------------------------------------

SIDE = 1000


def squares(rng):
    """x and the direction it moves in."""
    return tuple(rng.standard_normal((SIDE, SIDE)) for _ in range(2))


def mix(np_, w):
    """A product of matrices among operations element by element."""
    return lambda x: np_.sum(np_.exp(-np_.square(np_.tanh(x @ w) * x + np_.sin(x))), 1)


def mix_weights():
    return np.random.default_rng(6).standard_normal((SIDE, SIDE)) / SIDE**0.5


def jvp_ours():
    from autograd import jvp

    f = mix(np, mix_weights())
    return as_is, lambda x, v: jvp(f, (x,), (v,))[1]


def jvp_function():
    """What is to be compared with: the function alone."""
    f = mix(np, mix_weights())

    def step(x, v):
        f(x)

    return as_is, step


def jvp_torch():
    import torch

    f = mix(torch, torch.from_numpy(mix_weights()))
    return lambda *data: tuple(map(torch.from_numpy, data)), lambda x, v: torch.func.jvp(
        f, (x,), (v,)
    )[1]


JVP = Workload(
    name="jvp",
    what="one directional derivative, a product and six ufuncs on 1000×1000 float64",
    data=squares,
    sides={"ours": jvp_ours, "function": jvp_function, "torch": jvp_torch},
    bars=(at_most("function", 2.5),),
)
