"""Against PyTorch on one GPU: ``python -m benchmarks.cuda [names…]``, with CuPy and torch of CUDA.

Each workload is written once for either library, on the same numbers in float32.  Before anything
is timed, the two losses are compared, and so are the numbers of copies between host and GPU in
one step, which the profiler of the driver's activity sees for both libraries alike.

A GPU works behind the program's back: a step is over for the host long before it is on the GPU.
So the clock is read after the GPU is waited for, before the first and after the last of many
steps; the first steps, in which kernels are compiled and memory is taken, are not timed.  The two
sides take turns, and a ratio is the median over the rounds.  Neither computes in TF32.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter

import numpy as np

import autograd
import nn
import optim

ROUNDS, WARMUP, SECONDS = 7, 5, 0.5  # rounds; steps before; how long a side's turn takes at least


def data(*shape, classes=None, seed=0):
    """Seeded numbers, or labels."""
    rng = np.random.default_rng([seed, *shape])
    if classes is not None:
        return rng.integers(0, classes, shape)
    return rng.standard_normal(shape).astype(np.float32)


# --- networks -------------------------------------------------------------------------------------


def mlp_ours():
    """784-1024-1024-10."""
    return nn.Sequential(
        nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


def mlp_theirs(torch):
    """The same."""
    layers = torch.nn
    return layers.Sequential(
        layers.Linear(784, 1024), layers.ReLU(), layers.Linear(1024, 1024), layers.ReLU(),
        layers.Linear(1024, 10),
    )  # fmt: skip


def conv_ours():
    """Two convolutions with pooling, and a linear layer, for images of 28 times 28."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    )  # fmt: skip


def conv_theirs(torch):
    """The same."""
    layers = torch.nn
    return layers.Sequential(
        layers.Conv2d(1, 32, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2),
        layers.Conv2d(32, 64, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2),
        layers.Flatten(), layers.Linear(64 * 7 * 7, 10),
    )  # fmt: skip


def paired(make_ours, make_theirs, cupy, torch):
    """Our network on the GPU and PyTorch's, with the same weights."""
    autograd.seed(0)
    ours, theirs = make_ours(), make_theirs(torch)
    with torch.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            q.copy_(torch.from_numpy(np.array(p.data)).reshape(q.shape))
    return ours.map(cupy.asarray), theirs.cuda()


# --- workloads: (cupy, torch) -> our step and theirs, which return the loss -----------------------


def training(make_ours, make_theirs, x, y, cupy, torch):
    """One step of Adam on a batch: forward, backward, update."""
    ours, theirs = paired(make_ours, make_theirs, cupy, torch)
    optimizer = optim.Adam(ours.parameters(), lr=1e-3)
    peer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    x_ours, y_ours = cupy.asarray(x), cupy.asarray(y)
    x_theirs, y_theirs = torch.from_numpy(x).cuda(), torch.from_numpy(y).cuda()

    def our_step():
        optimizer.zero_grad()
        loss = nn.cross_entropy(ours(x_ours), y_ours)
        loss.backward()
        optimizer.step()
        return loss.data

    def their_step():
        peer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(x_theirs), y_theirs)
        loss.backward()
        peer.step()
        return loss.detach()

    return our_step, their_step


def mlp(cupy, torch):
    """A step of the MLP on 512 examples."""
    return training(mlp_ours, mlp_theirs, data(512, 784), data(512, classes=10), cupy, torch)


def conv(cupy, torch):
    """A step of the convolutional network on 128 images."""
    x = data(128, 1, 28, 28)
    return training(conv_ours, conv_theirs, x, data(128, classes=10), cupy, torch)


def elementwise(cupy, torch):
    """A chain of operations on 10 million numbers, and its gradient."""
    x = data(10_000_000)
    there = torch.from_numpy(x).cuda().requires_grad_()
    here = autograd.Tensor(cupy.asarray(x))

    def our_step():
        here.grad = None
        y = np.sum(np.tanh(here) * np.exp(-here * here) + np.sin(here))
        y.backward()
        return y.data

    def their_step():
        there.grad = None
        y = (torch.tanh(there) * torch.exp(-there * there) + torch.sin(there)).sum()
        y.backward()
        return y.detach()

    return our_step, their_step


def each_gradient(cupy, torch):
    """The gradient of every one of 64 examples by the weights of the MLP."""
    ours, theirs = paired(mlp_ours, mlp_theirs, cupy, torch)
    x, y = data(64, 784), data(64, classes=10)
    x_ours, y_ours = cupy.asarray(x), cupy.asarray(y)
    x_theirs, y_theirs = torch.from_numpy(x).cuda(), torch.from_numpy(y).cuda()
    weights = {name: p.detach() for name, p in theirs.named_parameters()}

    def our_loss(model, x, y):
        return nn.cross_entropy(model(x), y)

    def their_loss(weights, x, y):
        logits = torch.func.functional_call(theirs, weights, (x[None],))
        return torch.nn.functional.cross_entropy(logits, y[None])

    ours_each = autograd.vmap(autograd.grad(our_loss), (None, 0, 0))
    theirs_each = torch.func.vmap(torch.func.grad(their_loss), (None, 0, 0))

    def our_step():
        slopes = ours_each(ours, x_ours, y_ours)
        return sum((g * g).sum() for g in autograd.tree.flatten(slopes)[0])

    def their_step():
        slopes = theirs_each(weights, x_theirs, y_theirs)
        return sum((g * g).sum() for g in slopes.values())

    return our_step, their_step


WORKLOADS = {f.__name__: f for f in (mlp, conv, elementwise, each_gradient)}


# --- measuring ------------------------------------------------------------------------------------


def copies(step, torch):
    """How often one step copies between host and GPU, each way, and how many kernels it runs."""
    torch.cuda.synchronize()
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA]) as profile:
        step()
        torch.cuda.synchronize()
    found = Counter()
    for event in profile.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            way = next((w for w in ("HtoD", "DtoH") if f"Memcpy {w}" in event.name), None)
            found[way or ("kernels" if "Mem" not in event.name else "other")] += 1
    return found


def seconds(step, n, wait):
    """Seconds a step takes, over n of them: from an idle GPU to an idle GPU."""
    wait()
    start = time.perf_counter()
    for _ in range(n):
        step()
    wait()
    return (time.perf_counter() - start) / n


def measure(name, cupy, torch):
    """Compare the sides on one workload, and print a row."""
    sides = WORKLOADS[name](cupy, torch)
    waits = (cupy.cuda.Device().synchronize, torch.cuda.synchronize)
    ours, theirs = (float(step()) for step in sides)
    if not abs(ours - theirs) <= 1e-3 * abs(theirs):
        raise SystemExit(f"{name}: the sides differ: ours {ours}, theirs {theirs}")
    counts, n = [], []
    for step, wait in zip(sides, waits, strict=True):
        seconds(step, WARMUP, wait)
        n.append(max(1, round(SECONDS / seconds(step, WARMUP, wait))))
        counts.append(copies(step, torch))
    rounds = []
    for i in range(ROUNDS):
        order = (0, 1) if i % 2 else (1, 0)
        times = {k: seconds(sides[k], n[k], waits[k]) for k in order}
        rounds.append((times[0], times[1]))
    mine, peer = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(a / b for a, b in rounds)
    print(
        f"{name:14} {mine * 1e3:9.3f} {peer * 1e3:9.3f} {ratio:8.2f}", *map(told, counts), sep="  "
    )


def told(count):
    """The counts of one side, as text."""
    return f"{count['kernels']:5} kernels, {count['HtoD']} to, {count['DtoH']} from"


def main(names):
    """The command: all workloads, or those named."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise SystemExit(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    try:
        import cupy
        import torch
    except ImportError as error:
        raise SystemExit(f"{error}: CuPy (extra cuda) and torch of CUDA are needed") from None
    if not cupy.is_available() or not torch.cuda.is_available():
        raise SystemExit("no GPU here, or CuPy or torch does not find it")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    print(
        f"{properties['name'].decode()}; CuPy {cupy.__version__}, torch {torch.__version__}, "
        f"NumPy {np.__version__}; medians of {ROUNDS} rounds, float32"
    )
    print(f"{'workload':14} {'ours ms':>9} {'torch ms':>9} {'ratio':>8}  copies: ours, torch")
    for name in names or WORKLOADS:
        measure(name, cupy, torch)


if __name__ == "__main__":
    main(sys.argv[1:])
