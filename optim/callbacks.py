"""What is called while `fit` trains: the base, the run it is shown, and what `fit` has built in."""

import numpy as np

from autograd.primitive import number
from autograd.show.plotting import pyplot

from .checkpoint import check_names
from .clipping import clip_grad_norm_, clip_grad_value_
from .schedules import ReduceLROnPlateau

__all__ = ["Callback", "LivePlot", "Run"]


class Callback:
    """What `fit` calls on the way; a subclass overrides what it needs, each gets the `Run`.

    A plain function given as a callback is called as ``on_epoch``.
    """

    def on_gradients(self, run):
        """Between ``backward()`` (and clipping) and the optimizer's step."""

    def on_step(self, run):
        """Behind every step."""

    def on_epoch(self, run):
        """Behind every epoch, its validation included."""


class Run:
    """Where training stands: what callbacks are given.

    model, optimizer, history   those of `fit`
    epoch, step                 numbers from 1 of the epoch and of the step in the whole run
    loss, lr                    of the last step
    kept                        the best epoch so far, and the weights it ended with
    totals                      of the batches of this epoch so far
    """

    _numbers = ("epoch", "step", "loss", "lr", "stopping")

    def __init__(self, model, optimizer, history, totals):
        self.model, self.optimizer, self.history = model, optimizer, history
        self.totals = totals
        self.epoch = self.step = 0
        self.loss = self.lr = None
        self.kept = None, None
        self.stopping = False

    def stop(self):
        """End training behind this epoch."""
        self.stopping = True

    def state_dict(self):
        """The numbers, what is kept of the best epoch, and the totals of a part of an epoch."""
        state = {name: getattr(self, name) for name in self._numbers}
        return state | {"kept": self.kept, "totals": self.totals.state_dict()}

    def load_state_dict(self, state):
        """Go on from `state`; nothing changes unless all of it fits (ValueError)."""
        check_names("Run", self.state_dict(), state)
        self.totals.load_state_dict(state["totals"])
        self.kept = state["kept"]
        for name in self._numbers:
            setattr(self, name, state[name])


class LivePlot:
    """A callback of `fit`: the history's plot in a notebook, drawn anew while training.

    every   how many epochs pass between two drawings
    """

    def __init__(self, every=1):
        if not every >= 1:
            raise ValueError(f"LivePlot: every is a number of epochs >= 1, not {every!r}")
        try:
            from IPython.display import display
        except ImportError:
            raise ImportError("LivePlot needs a notebook: pip install jupyterlab") from None
        self.every, self.display, self.handle = every, display, None

    def __call__(self, run):
        """Draw the history of the run so far."""
        if run.epoch % self.every:
            return
        figure = run.history.plot()
        if self.handle is None:
            self.handle = self.display(figure, display_id=True)
        else:
            self.handle.update(figure)
        pyplot().close(figure)

    def state_dict(self):
        """Nothing: the picture is the history's."""
        return {}

    def load_state_dict(self, state):
        """Nothing to take."""


# --- what fit's own arguments become --------------------------------------------------------------


class Behind(Callback):
    """A plain function."""

    def __init__(self, function):
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"fit: a callback is a function of the run or a Callback, not {function!r}"
            )
        self.on_epoch = function


class Clipping(Callback):
    """Ceilings on the gradient: on each component first, then on the norm."""

    def __init__(self, norm, value):
        for name, ceiling in (("clip_norm", norm), ("clip_value", value)):
            if ceiling is not None and not ceiling > 0:
                raise ValueError(f"fit: {name} is a number > 0, not {ceiling!r}")
        self.norm, self.value = norm, value

    def on_gradients(self, run):
        if self.value is not None:
            clip_grad_value_(run.optimizer.params, self.value)
        if self.norm is not None:
            clip_grad_norm_(run.optimizer.params, self.norm)


class Stepping(Callback):
    """A schedule's steps, with epochs or with the optimizer's."""

    def __init__(self, schedule, every, optimizer):
        if not hasattr(schedule, "optimizer"):
            raise TypeError(
                f"fit: the schedule is one such as optim.LambdaLR(optimizer, factor), not "
                f"{schedule!r}"
            )
        if schedule.optimizer is not optimizer:
            raise ValueError("fit: the schedule is of another optimizer")
        self.schedule, self.every = schedule, every

    def on_step(self, run):
        if self.every == "step":
            self._step(run.loss)

    def on_epoch(self, run):
        if self.every == "epoch":
            self._step(run.history[run.history.monitor][-1])

    def _step(self, value):
        self.schedule.step(*([value] if isinstance(self.schedule, ReduceLROnPlateau) else []))


class Ratios(Callback):
    """‖Δw‖ / ‖w‖ of the first step of every epoch."""

    def __init__(self):
        self.epoch, self.before = 0, None

    def on_gradients(self, run):
        if run.epoch != self.epoch:
            self.epoch = run.epoch
            self.before = {n: np.copy(p.data) for n, p in run.model.named_parameters()}

    def on_step(self, run):
        if self.before is None:
            return
        for name, p in run.model.named_parameters():
            w = self.before[name]
            size = np.linalg.norm(w)
            ratio = np.linalg.norm(p.data - w) / size if size else np.nan
            run.history.ratios.setdefault(name, []).append(number(ratio))
        self.before = None

    def state_dict(self):
        """The epoch whose ratios are noted; behind a step, nothing waits for the next."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        """Go on from `state` (ValueError)."""
        check_names("Ratios", self.state_dict(), state)
        self.epoch, self.before = state["epoch"], None
