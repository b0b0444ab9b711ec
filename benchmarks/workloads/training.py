"""Training, float32: a step of several networks, and digits learnt from import to 97 %.

Our names are PyTorch's: a network is described once, for both libraries.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from inspect import getsource
from pathlib import Path

import numpy as np

from benchmarks.workload import OURS, Workload, at_most, faster, no_slower
from benchmarks.workloads.networks import (
    LARGE_BATCH,
    LARGE_SIZES,
    SMALL_BATCH,
    SMALL_SIZES,
    as_is,
    batches,
    from_numpy,
)

LENET_BATCH = 64
ROOT = Path(__file__).resolve().parents[2]

# --- networks ---------------------------------------------------------------------------------


def small(nn):
    """A hidden layer of ReLU."""
    inputs, hidden, outputs = SMALL_SIZES
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def normalized(nn):
    """Two hidden layers with batch norm and dropout."""
    inputs, first, second, outputs = LARGE_SIZES
    return nn.Sequential(
        nn.Linear(inputs, first), nn.BatchNorm1d(first), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(first, second), nn.BatchNorm1d(second), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(second, outputs),
    )  # fmt: skip


def lenet(nn):
    """LeNet-5 with ReLU and max pooling: 28² -> 6·14² -> 16·5² -> 120 -> 84 -> 10."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def images(rng):
    """Images (N, 1, 28, 28) and labels (N,)."""
    x = rng.standard_normal((LENET_BATCH, 1, 28, 28), dtype=np.float32)
    return x, rng.integers(0, 10, LENET_BATCH)


def start(model):
    """Give a network of either library the common weights: He's, and biases of zero.

    The scales of batch norm, vectors that are no biases, stay at one.
    """
    rng = np.random.default_rng(3)
    for name, p in model.named_parameters():
        value = np.asarray(p.data)  # torch's on the same memory
        if value.ndim > 1:
            fan_in = value[0].size
            value[...] = rng.standard_normal(value.shape) * (2 / fan_in) ** 0.5
        elif name.endswith("bias"):
            value[...] = 0


# --- one step ---------------------------------------------------------------------------------


def trainer(library, network, watched, kind, settings):
    """The setup of one library's side.

    watched   the place of a bias among the parameters: what the sides compare is its gradient and
              its value after the first step, which is as large as the step.  Before a batch norm
              a bias has no gradient: there it is batch norm's.

    The first repetition, the one compared, goes without dropout: the libraries' masks differ.
    """

    def setup():
        if library == OURS:
            import nn
            import optim
            from nn import cross_entropy
        else:
            from torch import nn, optim
            from torch.nn.functional import cross_entropy
        model = network(nn)
        start(model)
        optimizer = getattr(optim, kind)(model.parameters(), **settings)
        bias = list(model.parameters())[watched]
        dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        convert = as_is if library == OURS else from_numpy
        compared = iter([True])

        def prepare(x, labels):
            first = next(compared, False)
            for dropout in dropouts:
                dropout.train(not first)
            return convert(x, labels)

        def step(x, labels):
            optimizer.zero_grad()
            cross_entropy(model(x), labels).backward()
            optimizer.step()
            return bias.data, bias.grad

        return prepare, step

    return setup


def training(name, what, data, bar, *case):
    """A workload of two sides."""
    sides = {library: trainer(library, *case) for library in (OURS, "torch")}
    return Workload(name=name, what=what, data=data, sides=sides, bars=(bar,))


STEPS = (
    training(
        "small-mlp-sgd",
        "MLP 64-32-10, batch 32, a training step with SGD, another batch each time",
        batches(SMALL_SIZES, SMALL_BATCH),
        faster("torch", 2.5),
        *(small, 1, "SGD", {"lr": 0.1}),
    ),
    training(
        "small-mlp-adam",
        "the same with Adam",
        batches(SMALL_SIZES, SMALL_BATCH),
        faster("torch", 2.5),
        *(small, 1, "Adam", {"lr": 1e-3}),
    ),
    training(
        "large-mlp-norm",
        "MLP 784-512-512-10 with batch norm and dropout, batch 128, a training step with Adam",
        batches(LARGE_SIZES, LARGE_BATCH),
        no_slower("torch"),
        *(normalized, 3, "Adam", {"lr": 1e-3}),
    ),
    training(
        "lenet",
        "LeNet-5 with ReLU and max pooling, batch 64, a training step with Adam",
        images,
        at_most("torch", 1.5),
        *(lenet, 1, "Adam", {"lr": 1e-3}),
    ),
)

# --- from import to 97 % ----------------------------------------------------------------------


def digits(_):
    """scikit-learn's digits in [0, 1], a stratified fifth for the test: the same for every seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    return tuple(train_test_split(x, y, test_size=0.2, stratify=y, random_state=0))


def learn(ours):
    """The program of a fresh process: arrays come by standard input, the mean loss of the first
    epoch goes to standard output.  Fails unless 97 % of the test are right within 100 epochs.
    """
    import io
    import sys

    import numpy as np

    if ours:
        import nn
        import optim
        from autograd import no_grad
        from nn import cross_entropy

        tensor = np.asarray
    else:
        from torch import from_numpy as tensor
        from torch import nn, no_grad, optim
        from torch.nn.functional import cross_entropy

    arrays = np.load(io.BytesIO(sys.stdin.buffer.read()))
    x, x_test, y, y_test = (arrays[name] for name in arrays.files)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    rng = np.random.default_rng(0)
    for p in model.parameters():  # PyTorch's own distribution of weights, from one generator
        value = np.asarray(p.data)
        value[...] = rng.uniform(-1, 1, value.shape) / (64 if len(value) == 128 else 128) ** 0.5
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(100):
        order = rng.permutation(len(x))
        for k in range(0, len(x), 32):
            rows = order[k : k + 32]
            optimizer.zero_grad()
            loss = cross_entropy(model(tensor(x[rows])), tensor(y[rows]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with no_grad():
            guesses = np.asarray(model(tensor(x_test))).argmax(axis=1)
        if np.mean(guesses == y_test) >= 0.97:
            print(np.mean(losses[: -(-len(x) // 32)]))
            return
    sys.exit("97 % not reached")


def fresh(library):
    """The setup of one library's side: a step is a process from its start to its end.

    The process runs `learn` from its source, so that nothing is imported but what it asks for.
    """

    def setup():
        ours = library == OURS
        command = [sys.executable, "-P", "-c", f"{getsource(learn)}\nlearn({ours})"]
        env = os.environ | ({"PYTHONPATH": str(ROOT)} if ours else {})

        def prepare(*arrays):
            file = io.BytesIO()
            np.savez(file, *arrays)
            return (file.getvalue(),)

        def step(arrays):
            ended = subprocess.run(command, input=arrays, env=env, capture_output=True)
            if ended.returncode:
                raise RuntimeError(ended.stderr.decode(errors="replace"))
            return float(ended.stdout)

        return prepare, step

    return setup


DIGITS = Workload(
    name="digits",
    what="a fresh process, from import to 97 % of scikit-learn's digits: MLP 64-128-10 with Adam",
    data=digits,
    sides={library: fresh(library) for library in (OURS, "torch")},
    bars=(faster("torch", 2),),
)
