"""What happened while training: a dict of lists that prints as a table and plots itself."""

import numpy as np

from autograd.show.plotting import pyplot
from autograd.show.tables import aligned, html_table

from .checkpoint import check_names

__all__ = ["History", "LearningRates"]

ROWS = 10  # of a printed history, at most


class History(dict):
    """Name -> one number an epoch: "loss", "val_loss", "accuracy", "val_accuracy", "lr" ...

    monitor   the name that "best" goes by: losses are to fall, everything else is to rise
    best      the number of the best epoch, from 1; None before one has finished
    stopped   why training ended: "epochs", "patience", "callback", "interrupted" or "not finite";
              None while it runs
    ratios    parameter's name -> ‖Δw‖ / ‖w‖ of one step in every epoch, where `fit` was asked for
              ratios; about 1e-3 is usual

    >>> history = History("loss")
    >>> for loss in (2.0, 1.0, 1.5):
    ...     history.append({"loss": loss})
    >>> history
    History of 3 epochs, best loss 1 in epoch 2
    epoch  loss
    ─────────────────
        1     2
        2     1  best
        3   1.5
    >>> history["loss"]
    [2.0, 1.0, 1.5]
    """

    def __init__(self, monitor="loss"):
        super().__init__()
        self.monitor, self.best, self.stopped, self.ratios = monitor, None, None, {}

    @property
    def epochs(self):
        """How many epochs have finished."""
        return min(map(len, self.values()), default=0)

    def append(self, row):
        """Add an epoch, a dict of numbers."""
        for name, value in row.items():
            self.setdefault(name, []).append(value)
        value = self[self.monitor][-1]
        if np.isfinite(value) and (self.best is None or self._above(value)):
            self.best = self.epochs

    def _above(self, value):
        best = self[self.monitor][self.best - 1]
        return value < best if self.monitor.endswith("loss") else value > best

    def cut(self):
        """Drop what an interrupted `append` left of an epoch."""
        for values in self.values():
            del values[self.epochs :]

    # --- state ---

    def state_dict(self):
        """All but why training ended, as plain state of its own."""
        return {
            "monitor": self.monitor, "best": self.best,
            "epochs": {name: list(values) for name, values in self.items()},
            "ratios": {name: list(values) for name, values in self.ratios.items()},
        }  # fmt: skip

    def load_state_dict(self, state):
        """Go on from `state`; ValueError for one by another monitor, or of another kind."""
        check_names("History", self.state_dict(), state)
        if state["monitor"] != self.monitor:
            raise ValueError(
                f"load_state_dict of History: its monitor is {state['monitor']!r}, this one's "
                f"{self.monitor!r}"
            )
        epochs, ratios = (
            {name: list(values) for name, values in state[key].items()}
            for key in ("epochs", "ratios")
        )
        self.clear()
        self.update(epochs)
        self.best, self.ratios = state["best"], ratios

    # --- shown ---

    def __repr__(self):
        return "\n".join([self._head(), *(aligned(*self._table()) if self.epochs else [])])

    def _repr_html_(self):
        return html_table(self._head(), *self._table())

    def _head(self):
        head = f"History of {self.epochs} epoch{'s' * (self.epochs != 1)}"
        if self.best:
            value = self[self.monitor][self.best - 1]
            head += f", best {self.monitor} {value:.4g} in epoch {self.best}"
        return head + (f"; stopped: {self.stopped}" if self.stopped not in (None, "epochs") else "")

    def _table(self):
        """Some epochs' rows, among them the first, the best and the last."""
        n = self.epochs
        shown = (
            {round(i) for i in np.linspace(1, n, ROWS - 1)} if n > ROWS else set(range(1, n + 1))
        )
        shown |= {self.best} if self.best else set()
        rows = [
            [f"{i:>5}", *(f"{self[name][i - 1]:.4g}" for name in self), "best" * (i == self.best)]
            for i in sorted(shown)
        ]
        return ["epoch", *self, ""], rows

    def plot(self):
        """Curves over the epochs, training beside validation, as a matplotlib Figure."""
        panels = {}
        for name in self:
            panels.setdefault(name.removeprefix("val_"), []).append(name)
        if len(set(self.get("lr", []))) < 2:
            panels.pop("lr", None)
        count = max(1, len(panels) + bool(self.ratios))
        figure, axes = pyplot().subplots(
            1, count, figsize=(4.5 * count, 3.5), layout="constrained", squeeze=False
        )
        axes = axes[0]
        for ax, (title, names) in zip(axes, panels.items(), strict=False):
            self._panel(ax, title, names)
        if self.ratios:
            for name, values in self.ratios.items():
                axes[-1].plot(range(1, len(values) + 1), values, label=name, linewidth=1)
            axes[-1].axhline(1e-3, color="black", linestyle=":", linewidth=1)
            axes[-1].set(title="update / weight", xlabel="epoch", yscale="log")
            axes[-1].legend(  # one line a parameter: too many to leave room beside the curves
                fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1)
            )
        for ax in axes:
            ax.xaxis.get_major_locator().set_params(integer=True)  # epochs are whole
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
        return figure

    def _panel(self, ax, title, names):
        for name in names:
            marker = {"marker": "o", "markersize": 3} if self.epochs < 2 else {}
            label = "validation" if name.startswith("val_") else "training"
            ax.plot(range(1, len(self[name]) + 1), self[name], label=label, **marker)
        ax.set(title=title, xlabel="epoch")
        if title in ("loss", "lr") and all(v > 0 for name in names for v in self[name]):
            ax.set_yscale("log")
        if self.best and self.monitor in names:
            ax.axvline(self.best, color="gray", linestyle=":", label="best epoch")
        if title != "lr":
            ax.legend(fontsize=8, frameon=False)


class LearningRates:
    """What `lr_find` found: the loss while the learning rate rose; see `plot`.

    lrs, losses   of every step
    smooth        the running average of the losses
    """

    def __init__(self, smoothing):
        self.smoothing, self._average = smoothing, 0.0
        self.lrs, self.losses, self.smooth = [], [], []

    def append(self, lr, loss):
        """Add a step."""
        self._average += (1 - self.smoothing) * (loss - self._average)
        self.lrs.append(lr)
        self.losses.append(loss)
        self.smooth.append(self._average / (1 - self.smoothing ** len(self.lrs)))

    @property
    def suggestion(self):
        """A tenth of the rate where the average is least; None where it does not fall."""
        if not self.lrs:
            return None
        least = int(np.argmin(self.smooth))
        falls = self.smooth[0] - self.smooth[least] > 0.01 * abs(self.smooth[0])
        return self.lrs[least] / 10 if falls else None

    def __repr__(self):
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        reached = f" from {self.lrs[0]:.2g} to {self.lrs[-1]:.2g}" if self.lrs else ""
        return f"LearningRates: {len(self.lrs)} steps{reached}, suggestion {found}"

    def plot(self):
        """The loss over the learning rate, as a matplotlib Figure."""
        figure, ax = pyplot().subplots(figsize=(5.5, 3.5), layout="constrained")
        ax.plot(self.lrs, self.losses, alpha=0.3, label="loss")
        ax.plot(self.lrs, self.smooth, label="running average")
        if self.suggestion is not None:
            ax.axvline(
                self.suggestion, color="gray", linestyle=":", label=f"lr={self.suggestion:.2g}"
            )
        start = max(self.smooth[0], min(self.smooth))
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        ax.set_ylim(top=start + 2 * (start - min(self.smooth)) or None)
        ax.legend(fontsize=8, frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
        return figure
