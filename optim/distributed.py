"""Data-parallel training on a cluster of dask.distributed: ``fit(..., cluster=client)``.

shard    a worker's part of the examples, put there once
step     every worker takes the batch's examples that are in its shard, and computes their part of
         the gradient by the ordinary engine; the parts are added up in a tree, and the optimizer
         steps here, once all have come

The gradient of a mean over B examples is Σ_k B_k/B · (that of the mean over shard k's B_k), so a
run equals the one without a cluster but for the order of additions: in double precision to 1e-9.
Of a loss that is another mean, by weights of classes, or a sum, the parts give another number, and
the step raises.  A step's random numbers follow from one draw of the default generator's and the
shard, wherever that is.

What a step costs beside computing is what `overhead` says.
"""

from functools import partial
from operator import itemgetter

import numpy as np

import autograd
from autograd import repeat
from autograd.primitive import number
from autograd.rules.random import drawing_from, generator_or_default
from nn.data import Loader

__all__ = ["Shards", "overhead"]


class Shards:
    """The examples on the workers of a cluster, and the loss of a batch of them.

    client   a dask.distributed.Client
    model    a Module without statistics of batches and generators of its own
    arrays   (x, y), examples on the first axis, the same number in each
    loss     loss(model(x), y), the mean over the examples; for None model.loss(*arrays)

    Shards, parameters and sums are tasks of Dask's: when a worker is lost, the scheduler, which
    keeps what the shards are made of, makes them anew on another one, and what was under way.
    """

    def __init__(self, client, model, arrays, loss):
        from .training import _loss

        if not hasattr(client, "submit") or not hasattr(client, "ncores"):
            raise TypeError(
                f"fit: cluster is a client of dask.distributed, such as Client(LocalCluster()), "
                f"not a {type(client).__name__}"
            )
        if not isinstance(arrays, tuple):
            raise TypeError(
                f"fit: with a cluster, data is a tuple of arrays, such as (x, y), which are put on "
                f"the workers, not a {type(arrays).__name__}"
            )
        if client.status != "running" or client.asynchronous:
            raise ValueError(
                f"fit: cluster is a client at work that waits for its results; this one is "
                f"{'asynchronous' if client.asynchronous else client.status}"
            )
        _check_model(model)
        arrays = Loader(*map(np.asarray, arrays)).arrays  # as many examples in each, or it raises
        self.client, self.loss = client, loss
        workers = sorted(client.ncores())
        if not workers:
            raise ValueError("fit: the cluster has no workers; see client.wait_for_workers(1)")
        numbers = np.arange(len(arrays[0]))
        self.numbered = (numbers, *arrays[1:][-1:])
        self.ends = np.linspace(0, len(numbers), len(workers) + 1).astype(int)
        self.shards = [
            self._held(tuple(a[start:end] for a in arrays), workers=[worker])
            for worker, start, end in zip(workers, self.ends[:-1], self.ends[1:], strict=True)
        ]
        try:
            # one object: of a tuple each part would be pickled by itself, and a loss that reads the
            # model's weights, as a penalty does, would read those of a copy
            self.held = self._held(partial(_loss, model, loss))
        except TypeError as error:
            raise TypeError(
                f"fit: model and loss go to the workers, and cannot be pickled: "
                f"{error.__cause__ or error}"
            ) from error

    def _held(self, value, workers=None):
        """`value` on a worker, one of `workers` while they are there."""
        import dask

        # what is large here is meant to be
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"}):
            return self.client.submit(
                _itself, value, workers=workers, allow_other_workers=bool(workers), pure=False
            )

    def of(self, model, batch):
        """``(loss, outputs)`` of a batch as `numbered` has them, as fit's own loss would have it.

        The loss has its gradient already: `backward` hands it out.
        """
        numbers = batch[0]
        generator, _ = repeat.draw(generator_or_default())  # its state is saved with a run
        seed = int(generator.integers(2**63))
        submit = partial(self.client.submit, pure=False)
        parameters = [p for p in model.parameters() if p.requires_grad]
        values = self._held([p.data for p in parameters])
        owner = np.searchsorted(self.ends, numbers, side="right") - 1
        places = [(k, np.flatnonzero(owner == k)) for k in np.unique(owner).tolist()]
        parts = [
            submit(
                _part, self.shards[k], self.held, values, numbers[mine] - self.ends[k],
                len(numbers), [seed, k],
            )
            for k, mine in places
        ]  # fmt: skip
        sums, outputs = ([submit(itemgetter(i), part) for part in parts] for i in (0, 1))
        while len(sums) > 1:
            rest = sums[len(sums) // 2 * 2 :]
            sums = [submit(_added, a, b) for a, b in zip(sums[::2], sums[1::2], strict=False)]
            sums += rest
        (loss, gradients), *outputs = self.client.gather([*sums, *outputs])
        outputs = _in_order(outputs, [m for _, m in places])
        if len(batch) > 1 and outputs is not None:
            _check_mean(self.loss, outputs, batch[-1], loss)
        return Gathered(loss, parameters, gradients), outputs


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
    from .training import _array, _differentiable

    (model, _), share = held.args, len(rows) / size
    with drawing_from(np.random.default_rng(seed)):  # alone: a worker's threads share the model
        parameters = [p for p in model.parameters() if p.requires_grad]
        for p, value in zip(parameters, values, strict=True):
            p.data = value
            p.grad = None
        model.train()
        before = {name: np.array(buffer) for name, buffer in model.named_buffers()}
        value, outputs = held(tuple(a[rows] for a in shard))
        _check_buffers(before, model)
        _differentiable(value).backward()
        gradients = [None if p.grad is None else p.grad * share for p in parameters]
        outputs = None if outputs is None else _array(outputs)
    return (float(value.item()) * share, gradients), outputs


def _itself(value):
    return value


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


def _check_mean(loss, outputs, targets, found):
    """ValueError where a batch's loss is not the mean `found` of its parts' losses."""
    with autograd.no_grad():
        whole = number(loss(autograd.Tensor(outputs).detach(), targets))
    apart = abs(whole - found)
    if apart > np.sqrt(np.finfo(outputs.dtype).eps) * max(1.0, abs(whole)):
        raise ValueError(
            f"fit: the loss of the batch is {whole:.6g}, and the mean of its parts on the workers "
            f"{found:.6g}: with a cluster the loss has to be a mean over the examples, all of one "
            f"weight, neither a sum nor one with weights of classes; or leave cluster=None"
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
