"""Averages of the weights over the steps, to evaluate with in their place."""

import numpy as np

from autograd.lazy import check_in_memory
from autograd.primitive import like
from autograd.repeat import deferred


class EMA:
    """An exponential moving average of parameters: a ← decay·a + (1 - decay)·w at each `update`.

    params   Tensors, such as ``model.parameters()``; the average begins at their values
    decay    in [0, 1)

        ema = EMA(model.parameters(), decay=0.999)
        for x, y in batches:
            ...
            optimizer.step()
            ema.update()
        with ema:
            ...  # the parameters hold their averages here

    The first update takes the weights as they are, as in PyTorch's ``swa_utils``.
    """

    def __init__(self, params, decay=0.999):
        if hasattr(params, "requires_grad") or not hasattr(params, "__iter__"):
            raise TypeError(f"EMA: pass a list of Tensors, not a single {type(params).__name__}")
        try:
            fine = 0 <= decay < 1
        except (TypeError, ValueError):  # no number, or many
            fine = False
        if not fine:
            raise ValueError(f"EMA: decay must be in [0, 1), not {decay!r}")
        self.params, self.decay, self.updates = list(params), decay, 0
        for p in self.params:
            if not hasattr(p, "requires_grad"):
                raise TypeError(f"EMA: params are Tensors, one of them is a {type(p).__name__}")
            check_in_memory("EMA", p)
        self.average = [np.copy(p.data) for p in self.params]
        self._outside = None  # the weights proper, while the averages are swapped in

    def update(self):
        """Take the weights of now into the average."""
        if deferred(self.update):
            return
        if self._outside is not None:
            raise RuntimeError("EMA: update inside its own with block, where weights are averages")
        for a, p in zip(self.average, self.params, strict=True):
            if a.shape != p.shape:
                raise ValueError(f"EMA: a parameter had shape {a.shape} and has {p.shape} now")
        for a, p in zip(self.average, self.params, strict=True):
            if self.updates:
                a *= self.decay
                a += (1 - self.decay) * np.asarray(p.data, like=like(p))
            else:
                a[...] = p.data
        self.updates += 1

    def __enter__(self):
        if self._outside is not None:
            raise RuntimeError("EMA: the averages are swapped in already")
        self._outside = [p.data for p in self.params]
        for a, p in zip(self.average, self.params, strict=True):
            p.data = a.item() if type(p.data) is float else a.copy()
        return self

    def __exit__(self, *problem):
        for w, p in zip(self._outside, self.params, strict=True):
            p.data = w
        self._outside = None

    def state_dict(self):
        """Copies of the averages "0", "1", … and the number of "updates"."""
        averages = {str(i): a.copy() for i, a in enumerate(self.average)}
        return {"updates": self.updates, **averages}

    def load_state_dict(self, state):
        """Take the averages from `state`; nothing changes unless all of it fits (ValueError)."""
        own = self.state_dict()
        problems = [f"missing {name}" for name in own if name not in state]
        problems += [f"unexpected {name}" for name in state if name not in own]
        new = {name: np.array(value, like=like(own.get(name))) for name, value in state.items()}
        problems += [
            f"{name} is {new[name].dtype} of shape {new[name].shape}, wanted is "
            f"{value.dtype} of shape {value.shape}"
            for name, value in own.items()
            if name != "updates"
            and name in new
            and (new[name].shape, new[name].dtype) != (value.shape, value.dtype)
        ]
        if problems:
            raise ValueError(f"load_state_dict of EMA: {'; '.join(problems)}")
        self.updates = int(new["updates"])
        self.average = [new[str(i)] for i in range(len(self.average))]
