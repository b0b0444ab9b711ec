"""Every number its own node: what an engine costs per operation when NumPy has nothing to do."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.workload import Workload, faster

DEEP = 1_000_000  # recursion limit for libraries that walk the graph recursively

# --- a multilayer perceptron of scalars -------------------------------------------------------

SIZES = (2, 16, 16, 1)
POINTS = 100
PENALTY = 1e-4


def moons(rng):
    """Two half circles with noise, as in micrograd's demo: lists of points and of labels ±1."""
    angle = rng.uniform(0, np.pi, POINTS)
    label = np.where(np.arange(POINTS) % 2, 1, -1)
    x = np.where(label < 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label < 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], axis=1) + 0.1 * rng.standard_normal((POINTS, 2))
    return points.tolist(), label.tolist()


def initial_weights():
    """One flat list in micrograd's order: a neuron's weights, then its bias."""
    rng = np.random.default_rng(2)
    flat = []
    for fan_in, neurons in zip(SIZES, SIZES[1:], strict=False):
        for _ in range(neurons):
            flat += [*rng.uniform(-1, 1, fan_in).tolist(), 0.0]
    return flat


def mlp_ours():
    """micrograd's Neuron, Layer and MLP, written the same way with scalar Tensors."""
    from autograd import Tensor, relu

    parameters = [Tensor(value) for value in initial_weights()]
    unused = iter(parameters)
    layers = [
        [([next(unused) for _ in range(fan_in)], next(unused)) for _ in range(neurons)]
        for fan_in, neurons in zip(SIZES, SIZES[1:], strict=False)
    ]

    def model(x):
        for layer in layers:
            x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
            x = x if layer is layers[-1] else [relu(activation) for activation in x]
        return x[0]

    def step(points, labels):
        inputs = [[Tensor(x) for x in point] for point in points]
        scores = [model(x) for x in inputs]
        losses = [relu(1 + -yi * score) for yi, score in zip(labels, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        total = data_loss + PENALTY * sum(p * p for p in parameters)
        for p in parameters:
            p.grad = None
        total.backward()
        return [p.grad for p in parameters]

    return as_is, step


def mlp_micrograd():
    """The loss of micrograd's demo notebook, without its accuracy."""
    from micrograd.engine import Value
    from micrograd.nn import MLP as Perceptron

    sys.setrecursionlimit(DEEP)
    model = Perceptron(SIZES[0], list(SIZES[1:]))
    parameters = model.parameters()
    for p, value in zip(parameters, initial_weights(), strict=True):
        p.data = value

    def step(points, labels):
        inputs = [list(map(Value, point)) for point in points]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(labels, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        total = data_loss + PENALTY * sum(p * p for p in parameters)
        model.zero_grad()
        total.backward()
        return [p.grad for p in parameters]

    return as_is, step


def as_is(*data):
    """Data that a step takes as it comes."""
    return data


MLP = Workload(
    name="scalar-mlp",
    what="MLP 2-16-16-1 of scalars, hinge loss on 100 points, forward and backward",
    data=moons,
    sides={"ours": mlp_ours, "micrograd": mlp_micrograd},
    bars=(faster("micrograd", 5),),
)

# --- Speelpenning's product -------------------------------------------------------------------


def factors(rng):
    """900 numbers whose product stays of a moderate size."""
    return (rng.uniform(0.9, 1.1, 900).tolist(),)


def product(*w):
    """w₁·w₂·…, one multiplication after the other; the gradient with respect to each."""
    p = w[0]
    for wi in w[1:]:
        p = p * wi
    p.backward()
    return [wi.grad for wi in w]


def product_ours():
    from autograd import Tensor

    return lambda w: tuple(Tensor(x) for x in w), product


def product_micrograd():
    from micrograd.engine import Value

    sys.setrecursionlimit(DEEP)
    return lambda w: tuple(Value(x) for x in w), product


def product_torch():
    import torch

    def leaves(w):
        return tuple(torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in w)

    return leaves, product


def product_mygrad():
    import mygrad

    sys.setrecursionlimit(DEEP)
    return lambda w: tuple(mygrad.tensor(x) for x in w), product


PRODUCT = Workload(
    name="product",
    what="Speelpenning's product of 900 scalars, forward and backward",
    data=factors,
    sides={
        "ours": product_ours,
        "micrograd": product_micrograd,
        "torch": product_torch,
        "mygrad": product_mygrad,
    },
    bars=(faster("micrograd", 1.3), faster("torch", 4)),
)
