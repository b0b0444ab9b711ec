"""Data-parallel training on a cluster of dask.distributed: ``fit(..., cluster=client)``.

shard    a worker's part of the examples, put there once
step     every worker takes the batch's examples that are in its shard, and computes their part of
         the gradient by the ordinary engine; the parts are added up in a tree, and the optimizer
         steps here, once all have come (synchronous, as in lecture A's gradient descent)

The gradient of a mean over B examples is Σ_k B_k/B · (that of the mean over shard k's B_k), so a
run equals the one without a cluster but for the order of additions: in double precision to 1e-9.

What a step costs beside computing is what `overhead` says.
"""

import threading

import numpy as np

import autograd
from autograd.rules.random import generator_or_default

__all__ = ["Shards", "overhead"]

ATTEMPTS = 5  # of a step, while workers are lost
_alone = threading.Lock()  # in a worker: its threads share the model and the default generator


class Shards:
    """The examples on the workers of a cluster, and the loss of a batch of them.

    client   a dask.distributed.Client
    arrays   (x, y), examples on the first axis, the same number in each
    loss     loss(model(x), y), the mean over the examples; for None model.loss(*arrays)

    A worker that is lost takes its shard with it: the examples are put on the workers there are,
    and the step is done again.
    """

    def __init__(self, client, model, arrays, loss):
        if not hasattr(client, "scatter") or not hasattr(client, "ncores"):
            raise TypeError(
                f"fit: cluster is a client of dask.distributed, such as Client(LocalCluster()), "
                f"not a {type(client).__name__}"
            )
        if not isinstance(arrays, tuple):
            raise TypeError(
                f"fit: with a cluster, data is a tuple of arrays, such as (x, y), which are put on "
                f"the workers, not a {type(arrays).__name__}"
            )
        _check_model(model)
        self.client, self.loss = client, loss
        self.arrays = tuple(
            a if hasattr(a, "__array_function__") else np.asarray(a) for a in arrays
        )
        self.entropy = generator_or_default().bit_generator.seed_seq.entropy
        self.steps = 0
        self.model = model
        self._scatter()

    @property
    def numbered(self):
        """What a Loader goes through instead of the data: the examples' numbers, and targets."""
        numbers = np.arange(len(self.arrays[0]))
        return (numbers, *self.arrays[-1:]) if len(self.arrays) > 1 else (numbers,)

    def _scatter(self):
        """Put the examples, in as many parts as there are workers, and the model on the workers."""
        workers = sorted(self.client.ncores())
        if not workers:
            self.client.wait_for_workers(1, timeout=60)
            workers = sorted(self.client.ncores())
        self.ends = np.linspace(0, len(self.arrays[0]), len(workers) + 1).astype(int)
        self.shards = [
            self.client.scatter(
                [tuple(a[start:end] for a in self.arrays)], workers=[worker], hash=False
            )[0]
            for worker, start, end in zip(workers, self.ends, self.ends[1:], strict=False)
        ]
        self.held = self.client.scatter([(self.model, self.loss)], broadcast=True, hash=False)[0]

    def of(self, model, batch):
        """``(loss, outputs)`` of a batch as `numbered` has them, as fit's own loss would have it.

        The loss has its gradient already: `backward` hands it out.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        self.steps += 1
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    self._scatter()
                return self._step(model, batch[0])
            except (CancelledError, KilledWorker, CommClosedError, TimeoutError) as error:
                lost = error
        raise RuntimeError(
            f"fit: workers were lost in {ATTEMPTS} attempts at step {self.steps}; see the "
            f"cluster's log for why (memory limits?)"
        ) from lost

    def _step(self, model, numbers):
        parameters = [p for p in model.parameters() if p.requires_grad]
        values = self.client.scatter([[p.data for p in parameters]], broadcast=True, hash=False)[0]
        owner = np.searchsorted(self.ends, numbers, side="right") - 1
        parts, outputs, places = [], [], []
        for k in range(len(self.shards)):
            (mine,) = np.nonzero(owner == k)
            if not len(mine):
                continue
            rows = numbers[mine] - self.ends[k]
            part = self.client.submit(
                _part, self.shards[k], self.held, values, rows, len(numbers),
                (self.entropy, self.steps, k), pure=False,
            )  # fmt: skip
            parts.append(self.client.submit(_first, part, pure=False))
            outputs.append(self.client.submit(_second, part, pure=False))
            places.append(mine)
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [
                self.client.submit(_added, *pair, pure=False) if len(pair) == 2 else pair[0]
                for pair in pairs
            ]
        (loss, gradients), *outputs = self.client.gather([parts[0], *outputs])
        return Gathered(loss, parameters, gradients), _in_order(outputs, places)


class Gathered:
    """The loss of a batch, whose gradient the workers have computed."""

    def __init__(self, loss, parameters, gradients):
        self.loss, self.parameters, self.gradients = loss, parameters, gradients

    def item(self):
        """The loss."""
        return self.loss

    def backward(self):
        """Add the gradient to the parameters' `.grad`, as that of a loss computed here."""
        for p, gradient in zip(self.parameters, self.gradients, strict=True):
            if gradient is not None:
                p.grad = gradient if p.grad is None else p.grad + gradient


# --- on a worker ----------------------------------------------------------------------------------


def _part(shard, held, values, rows, size, seed):
    """((loss, gradients), outputs) of these rows of a shard: their part of a batch of this size."""
    from .training import _array, _loss

    model, loss = held
    share = len(rows) / size
    with _alone:
        autograd.seed(list(seed))
        parameters = [p for p in model.parameters() if p.requires_grad]
        for p, value in zip(parameters, values, strict=True):
            p.data = value
            p.grad = None
        model.train()
        before = {name: np.array(buffer) for name, buffer in model.named_buffers()}
        value, outputs = _loss(model, loss, tuple(a[rows] for a in shard))
        _check_buffers(before, model)
        value.backward()
        gradients = [None if p.grad is None else p.grad * share for p in parameters]
        outputs = None if outputs is None else _array(outputs)
    return (float(value.item()) * share, gradients), outputs


def _first(pair):
    return pair[0]


def _second(pair):
    return pair[1]


def _added(a, b):
    """Two parts' losses and gradients, added."""
    sums = [g if h is None else h if g is None else g + h for g, h in zip(a[1], b[1], strict=True)]
    return a[0] + b[0], sums


def _in_order(outputs, places):
    """The parts' outputs, in the order of the batch."""
    if outputs[0] is None:
        return None
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(outputs)[order]


# --- what does not run ----------------------------------------------------------------------------


def _check_model(model):
    """ValueError where a module draws from a generator of its own: each worker has a copy."""
    for name, module in model.named_modules():
        if getattr(module, "generator", None) is not None:
            raise ValueError(
                f"fit: {name or 'the model'} draws from a generator of its own, which on a cluster "
                f"every worker would have a copy of; leave generator=None: workers draw from "
                f"generators seeded by autograd.seed, the step and the shard"
            )


def _check_buffers(before, model):
    """ValueError where the forward pass has changed a buffer: each worker has its own."""
    for name, buffer in model.named_buffers():
        if not np.array_equal(before[name], buffer):
            raise ValueError(
                f"fit: training changes the buffer {name!r}, and on a cluster it would be that of "
                f"one worker's shard: batch norm's statistics would not be the batch's; use "
                f"LayerNorm, or leave cluster=None"
            )


# --- what it costs --------------------------------------------------------------------------------


def overhead(workers, batch, parameters, *, example, task, latency, bandwidth, width=8):
    """Seconds of a step by its parts, ``(computing, network, scheduling)``: a calculation.

    computing    ⌈batch / workers⌉ · example
    network      2·(⌈log₂ workers⌉ + 1)·(latency + width·parameters / bandwidth): through trees of
                 that depth parameters go out, and sums come back
    scheduling   4·workers · task: so many tasks a step has, and one scheduler sees to all

    workers      how many, a number or an array of numbers
    example      seconds for the gradient of one example on one worker
    task         seconds the scheduler takes for a task
    latency, bandwidth   of a link, in seconds and bytes a second
    width        bytes of a number

    All links together carry 2·workers·width·parameters bytes a step.  Computing falls with the
    workers and scheduling grows: the least of the two is at √(batch·example / (4·task)) of them.

    >>> parts = overhead(
    ...     8, 4096, 10**6, example=1e-3, task=1e-3, latency=1e-4, bandwidth=1e9, width=4
    ... )
    >>> [round(float(seconds), 4) for seconds in parts]
    [0.512, 0.0328, 0.032]
    """
    workers = np.asarray(workers)
    hops = 2 * (np.ceil(np.log2(workers)) + 1)
    return (
        np.ceil(batch / workers) * example,
        hops * (latency + width * parameters / bandwidth),
        4 * workers * task,
    )
