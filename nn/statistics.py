"""What goes through a model: mean, spread and histogram of every layer's values and gradients."""

from dataclasses import dataclass

import numpy as np

from autograd import Tensor, gradients
from autograd.payload import numeric
from autograd.primitive import kind_of, plain, telling
from autograd.rules.random import generator_or_default

from .module import Module, calls_noted

BINS = 60


@dataclass(frozen=True, repr=False)
class Spread:
    """Mean, standard deviation and histogram of the numbers of an array."""

    mean: float
    std: float
    counts: np.ndarray  # in each bin, of the finite numbers
    edges: np.ndarray

    @classmethod
    def of(cls, array):
        """Of an array of any shape; computed in double precision."""
        values = np.asarray(plain(array), float).reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):  # inf and nan are shown as such
            mean, std = float(np.mean(values)), float(np.std(values))
        return cls(mean, std, *np.histogram(values[np.isfinite(values)], BINS))


@dataclass(frozen=True)
class Row:
    """One call of a layer."""

    name: str  # as in named_modules
    kind: str  # its class
    shape: tuple  # of its result
    values: Spread  # of its result
    gradients: Spread | None  # of the derivative by its result; None if there is none


class ActivationStatistics:
    """A `Row` for each call of a layer, in order; prints as a table and plots itself.

    Arrays for whole columns: ``means``, ``stds``, ``gradient_means``, ``gradient_stds``.
    """

    def __init__(self, rows):
        self.rows = list(rows)

    def of(self, *kinds):
        """Those of modules of some classes only: ``.of(nn.Tanh)``."""
        names = [kind.__name__ for kind in kinds]
        return ActivationStatistics(row for row in self.rows if row.kind in names)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]

    @property
    def means(self):
        """Of each layer's values."""
        return np.array([row.values.mean for row in self.rows])

    @property
    def stds(self):
        """Of each layer's values."""
        return np.array([row.values.std for row in self.rows])

    @property
    def gradient_means(self):
        """Of the derivatives by each layer's values; nan where there are none."""
        return np.array([row.gradients.mean if row.gradients else np.nan for row in self.rows])

    @property
    def gradient_stds(self):
        """Of the derivatives by each layer's values; nan where there are none."""
        return np.array([row.gradients.std if row.gradients else np.nan for row in self.rows])

    def __repr__(self):
        from autograd.show.tables import aligned

        return "\n".join(aligned(*self._table()))

    def _repr_html_(self):
        from autograd.show.tables import html_table

        return html_table("activation statistics", *self._table())

    def _table(self):
        heads = ["layer", "output shape", "mean", "std", "gradient mean", "gradient std"]
        lines = [
            [f"{row.name}: {row.kind}", str(row.shape)]
            + [number for spread in (row.values, row.gradients) for number in _numbers(spread)]
            for row in self.rows
        ]
        return heads, lines

    def plot(self):
        """Histograms of every layer's values, below them of its gradients: a matplotlib Figure."""
        from autograd.show.plotting import pyplot

        width = min(18, 1 + 1.7 * max(len(self.rows), 1))
        figure, axes = pyplot().subplots(
            2, max(len(self.rows), 1), figsize=(width, 4), squeeze=False, layout="constrained"
        )
        for row, (top, bottom) in zip(self.rows, axes.T, strict=False):
            top.set_title(f"{row.name}\n{row.kind}", fontsize=8)
            for ax, spread, color in (
                (top, row.values, "tab:blue"), (bottom, row.gradients, "tab:orange"),
            ):  # fmt: skip
                if spread is not None:
                    ax.stairs(spread.counts, spread.edges, fill=True, color=color)
                    ax.set_xlabel(f"std {spread.std:.2g}", fontsize=8)
        for ax in axes.flat:
            ax.set_yticks([])
            ax.tick_params(axis="x", labelsize=7)
            ax.locator_params(axis="x", nbins=3)
            ax.xaxis.set_major_formatter("{x:g}")  # no factor 1e-6 apart, where the label stands
            ax.spines[["top", "right", "left"]].set_visible(False)
        axes[0, 0].set_ylabel("values")
        axes[1, 0].set_ylabel("gradients")
        return figure


def _numbers(spread):
    return ["–", "–"] if spread is None else [f"{spread.mean:.3g}", f"{spread.std:.3g}"]


@telling
def activation_statistics(model, x, loss=None, generator=None):
    """How values spread on their way through a model, and derivatives on their way back.

    model   its innermost modules are what is told of; it runs in its mode, on a copy: buffers
            stay as they are
    loss    loss(output), a number, of which the derivatives are.  By default the derivative by
            the output is unit normal noise, as x is in lecture B's experiment: then the standard
            deviations tell how each layer scales what comes back
    generator   what the noise is drawn from

    >>> import nn
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(50, 100, generator=rng), nn.Tanh())
    >>> activation_statistics(model, rng.standard_normal((200, 50)), generator=rng)
    layer             output shape     mean    std  gradient mean  gradient std
    ───────────────────────────────────────────────────────────────────────────
    layers.0: Linear    (200, 100)   0.0103  0.579        0.00134         0.813
    layers.1: Tanh      (200, 100)  0.00742  0.462        0.00361         0.999
    """
    if not isinstance(model, Module):
        raise TypeError(f"activation_statistics: a Module wanted, not a {type(model).__name__}")
    if not np.size(x):
        raise ValueError(f"activation_statistics: x has no elements, its shape is {np.shape(x)}")
    twin, x = model.copy(), numeric("activation_statistics", plain(x))
    innermost = {m: name for name, m in twin.named_modules() if len(m.modules()) == 1}
    with calls_noted(twin) as calls:
        output = twin(Tensor(x) if x.dtype.kind == "f" else x)
    found = [(m, y) for m, _, _, y in calls if m in innermost and kind_of(y) == "f"]
    slopes = _slopes(output, [y for _, y in found], loss, generator)
    return ActivationStatistics(
        Row(
            innermost[m],
            type(m).__name__,
            y.shape,
            Spread.of(y),
            None if g is None else Spread.of(g),
        )
        for (m, y), g in zip(found, slopes, strict=True)
    )


def _slopes(output, values, loss, generator):
    """The derivative by each of the values, None by those without a history."""
    if loss is not None:
        y, seed = loss(output), None
    else:
        y, seed = output, generator_or_default(generator).standard_normal(np.shape(output))
        seed = seed.astype(getattr(output, "dtype", float))
    if not getattr(y, "requires_grad", False):
        return [None] * len(values)
    live = [v for v in values if getattr(v, "requires_grad", False)]
    found = iter(gradients(y, live, seed=seed))
    return [next(found) if getattr(v, "requires_grad", False) else None for v in values]
