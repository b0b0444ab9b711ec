"""Networks as scikit-learn estimators: for its pipelines, searches and cross-validation.

    search = GridSearchCV(
        make_pipeline(StandardScaler(), nn.Classifier((100,), random_state=0)),
        {"classifier__lr": [1e-3, 1e-2], "classifier__module": [(50,), (100, 100)]}, n_jobs=2,
    ).fit(x, y)
    nn.plot_search(search)

They train with `optim.fit` and pass scikit-learn's own ``check_estimator``.
"""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from autograd import softmax
from autograd.payload import base_array, numeric
from autograd.rules.random import drawing_from
from autograd.show.plotting import pyplot
from optim import Adam
from optim.checkpoint import Generators, check_names
from optim.history import History
from optim.metrics import accuracy
from optim.training import fit, predict

from .containers import MLP
from .losses import cross_entropy, mse
from .module import Module

__all__ = ["Classifier", "Regressor", "plot_search"]


class _Network(BaseEstimator):
    """What classifier and regressor share; the arguments are explained there."""

    def __init__(
        self,
        module=(100,),
        *,
        loss=None,
        optimizer=Adam,
        lr=1e-3,
        weight_decay=0.0,
        schedule=None,
        epochs=50,
        batch_size=32,
        patience=None,
        validation_fraction=0.1,
        callbacks=(),
        dtype=np.float32,
        random_state=None,
        verbose=False,
    ):
        self.module = module
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y):
        """Train a new network on X (n, features) and y; returns self."""
        X, y = self._examples(X, y)
        self._begin(X)
        return self._train(X, y, self.epochs, self.patience)

    def _begin(self, X):
        """Module and optimizer, new.

        Weights, dropout and the order of batches follow random_state, whatever the module is.
        """
        seed = check_random_state(self.random_state).randint(2**31)
        self._generator, self._shape = np.random.default_rng(seed), X.shape[1:]
        n_outputs = self._n_outputs()
        with drawing_from(self._generator):
            self.module_ = _built(self.module, X.shape[1:], n_outputs, self.dtype)
        found = predict(self.module_, X[:1]).shape
        if found != (1, n_outputs):
            raise ValueError(
                f"{type(self).__name__}: the module must give {n_outputs} numbers for each "
                f"example, (n, {n_outputs}); for one example it gives {found}"
            )
        decay = {"weight_decay": self.weight_decay} if self.weight_decay else {}
        self.optimizer_ = self.optimizer(self.module_.parameters(), lr=self.lr, **decay)
        self.schedule_ = self.schedule and self.schedule(self.optimizer_)

    def _train(self, X, y, epochs, patience=None):
        with drawing_from(self._generator):
            parts, held_out = (X, y), None
            if patience is not None:
                X, X_val, y, y_val = self._split(X, y)
                parts, held_out = (X, y), (X_val, y_val)
            self.history_ = fit(
                self.module_, parts, self.loss or self._loss, self.optimizer_, epochs,
                batch_size=self.batch_size, validation=held_out, metrics=self._metrics,
                schedule=self.schedule_, patience=patience, callbacks=self.callbacks,
                progress=bool(self.verbose),
            )  # fmt: skip
        if self.history_.stopped == "interrupted":
            raise KeyboardInterrupt  # the network is fitted, but a search must end too
        return self

    def _split(self, X, y, stratify=None):
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction lies in (0, 1), got "
                f"{self.validation_fraction!r}"
            )
        seed = int(self._generator.integers(2**31))
        return train_test_split(
            X, y, test_size=self.validation_fraction, stratify=stratify, random_state=seed
        )

    def _outputs(self, X):
        """Outputs (n, k), in the precision of X: the rows do not depend on those beside them."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32), allow_nd=True)
        return predict(self.module_, X)

    # --- state ---

    def state_dict(self):
        """What has been fitted, for `optim.save`, {} before; the arguments are not in it."""
        if not hasattr(self, "module_"):
            return {}
        names = getattr(self, "feature_names_in_", None)
        with drawing_from(self._generator):  # the default generator's state is this one's here
            generators = Generators(self.module_).state_dict()
        return {
            "shape": self._shape, "features": None if names is None else _listed(names),
            "targets": self._targets(), "module": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "schedule": self.schedule_ and self.schedule_.state_dict(),
            "history": self.history_.state_dict(), "stopped": self.history_.stopped,
            "generators": generators,
        }  # fmt: skip

    def load_state_dict(self, state):
        """Become fitted as the estimator of the same arguments that `state` is of, bit by bit.

        `partial_fit` goes on as it would have there.  Nothing changes unless all of it fits.
        """
        wanted = (
            "shape", "features", "targets", "module", "optimizer", "schedule", "history", "stopped",
            "generators",
        )  # fmt: skip
        new = clone(self)
        if state:
            check_names(type(self).__name__, wanted, state)
            new._take_state(state)
        arguments = self.get_params(deep=False)
        for name in self.__dict__.keys() - arguments.keys():
            del self.__dict__[name]
        self.__dict__.update({k: v for k, v in new.__dict__.items() if k not in arguments})

    def _take_state(self, state):
        self._take_targets(state["targets"])
        self._begin(np.zeros((1, *state["shape"]), self.dtype))
        self.n_features_in_ = state["shape"][0]
        if state["features"] is not None:
            self.feature_names_in_ = _unlisted(state["features"])
        self.module_.load_state_dict(state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        if (self.schedule_ is None) != (state["schedule"] is None):
            raise ValueError(f"load_state_dict of {type(self).__name__}: only one has a schedule")
        if self.schedule_:
            self.schedule_.load_state_dict(state["schedule"])
        self.history_ = History(state["history"]["monitor"])
        self.history_.load_state_dict(state["history"])
        self.history_.stopped = state["stopped"]
        with drawing_from(self._generator):
            Generators(self.module_).load_state_dict(state["generators"])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class Classifier(ClassifierMixin, _Network):
    """A network that tells classes apart, as a scikit-learn classifier.

    module         sizes of the hidden layers of an MLP with ReLU; or a function of (n_features,
                   n_outputs) that makes a Module (for more than two axes, n_features is the shape
                   of an example); or a Module, of which each `fit` trains a copy
    loss           loss(outputs, labels), of class numbers 0, 1 …; cross-entropy if None
    optimizer      called with (parameters, lr=lr), and weight_decay= where that is not 0
    schedule       called with the optimizer for a schedule that steps every epoch, such as
                   ``functools.partial(optim.ReduceLROnPlateau, patience=3)``
    epochs, batch_size, callbacks   as in `optim.fit`
    patience       early stopping: end after so many epochs in which the loss on held-out data did
                   not fall, and keep the best epoch's weights; None trains all epochs on all data
    validation_fraction   the share of the data held out, stratified, where there is a patience
    dtype          of the data and, for hidden sizes, of the weights while training
    random_state   an int gives the same network every time; weights, order and dropout all follow
    verbose        whether to show the progress

    Fitted: ``module_``, ``optimizer_``, ``history_``, ``classes_``, ``n_features_in_``.  Scale the
    inputs, as by a StandardScaler before it in a pipeline.

    >>> from nn.data import xor
    >>> x, y = xor()
    >>> classifier = Classifier((8,), lr=0.1, random_state=0).fit(x, y)
    >>> classifier.score(x, y)
    1.0
    """

    _loss = staticmethod(cross_entropy)
    _metrics = {"accuracy": accuracy}

    def partial_fit(self, X, y, classes=None):
        """Train one more epoch, on X and y; the first call needs all `classes` there will be."""
        fresh = not hasattr(self, "module_")
        if fresh and classes is None:
            raise ValueError("Classifier: the first call of partial_fit needs classes=")
        classes = self.classes_ if classes is None else np.unique(classes)
        if not fresh and not np.array_equal(classes, self.classes_):
            raise ValueError(f"Classifier: classes are {self.classes_} since the first call")
        X, y = self._examples(X, y, classes, fresh)
        if fresh:
            self._begin(X)
        return self._train(X, y, 1)

    def predict_proba(self, X):
        """Probabilities (n, classes), in the order of ``classes_``."""
        return softmax(self._outputs(X), axis=1)

    def predict(self, X):
        """The likeliest class of each example."""
        best = np.argmax(self._outputs(X), axis=1)
        return self.classes_[best]

    def _examples(self, X, y, classes=None, reset=True):
        X = base_array(X) if isinstance(X, np.ndarray) else X
        y = y if y is None else numeric("Classifier, y", y, kinds="iubfcSUO")
        X, y = validate_data(self, X, y, reset=reset, dtype=self.dtype, allow_nd=True)
        check_classification_targets(y)
        found, numbers = np.unique(column_or_1d(y), return_inverse=True)
        if classes is not None:
            unknown = np.setdiff1d(found, classes)
            if unknown.size:
                raise ValueError(f"Classifier: y has classes {unknown} that are not in {classes}")
            numbers = np.searchsorted(classes, found)[numbers]
        self.classes_ = found if classes is None else classes
        return X, numbers

    def _n_outputs(self):
        return len(self.classes_)

    def _targets(self):
        return _listed(self.classes_)

    def _take_targets(self, targets):
        self.classes_ = _unlisted(targets)

    def _split(self, X, y):
        counts = np.bincount(y, minlength=1)
        counts = counts[counts > 0]
        each = counts.min() >= 2 and len(y) * self.validation_fraction >= len(counts)
        return super()._split(X, y, y if each else None)


class Regressor(RegressorMixin, _Network):
    """A network that predicts one or several numbers, as a scikit-learn regressor.

    The arguments are `Classifier`'s; the loss is the mean squared error if None, of outputs and
    targets (n, outputs).  Scale the targets too, as by a TransformedTargetRegressor.

    >>> x = np.linspace(-2, 2, 64)[:, None]
    >>> regressor = Regressor((16,), lr=0.01, epochs=200, random_state=0).fit(x, np.abs(x[:, 0]))
    >>> bool(regressor.score(x, np.abs(x[:, 0])) > 0.98)
    True
    """

    _loss = staticmethod(mse)
    _metrics = None

    def partial_fit(self, X, y):
        """Train one more epoch, on X and y."""
        fresh = not hasattr(self, "module_")
        X, y = self._examples(X, y, fresh)
        if fresh:
            self._begin(X)
        return self._train(X, y, 1)

    def predict(self, X):
        """(n,) numbers, or (n, outputs) where y had two axes."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._single else outputs

    def _examples(self, X, y, reset=True):
        X = base_array(X) if isinstance(X, np.ndarray) else X
        y = y if y is None else numeric("Regressor, y", y, kinds="iubfcO")
        X, y = validate_data(
            self, X, y, reset=reset, dtype=self.dtype, allow_nd=True, multi_output=True,
            y_numeric=True,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = 1 if y.ndim == 1 else y.shape[1]
        if not reset and columns != self._columns:
            raise ValueError(f"Regressor: y had {self._columns} columns and has {columns} now")
        self._single, self._columns = y.ndim == 1, columns
        return X, y.reshape(len(y), columns).astype(X.dtype, copy=False)

    def _n_outputs(self):
        return self._columns

    def _targets(self):
        return [self._single, self._columns]

    def _take_targets(self, targets):
        self._single, self._columns = targets

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _built(module, shape, n_outputs, dtype):
    """A new Module of what the estimators take as `module`."""
    n_features = shape[0] if len(shape) == 1 else shape
    if isinstance(module, Module):
        return copy.deepcopy(module)
    if callable(module):
        made = module(n_features, n_outputs)
        if not isinstance(made, Module):
            raise TypeError(f"the factory made a {type(made).__name__}; a Module is wanted")
        return made
    sizes = [module] if isinstance(module, (int, np.integer)) else module
    if not isinstance(sizes, (tuple, list)) or len(shape) != 1:
        raise TypeError(
            f"module is a Module, a function that makes one, or (for X of two axes) a tuple of "
            f"hidden sizes; got {module!r} for examples of shape {shape}"
        )
    return MLP((n_features, *sizes, n_outputs), dtype=dtype)


def _listed(labels):
    """Labels, numbers or text, as plain state."""
    return {"labels": labels.tolist(), "dtype": labels.dtype.str}


def _unlisted(state):
    return np.array(state["labels"], dtype=state["dtype"])


# --- searches -------------------------------------------------------------------------------------


def plot_search(search, score="score"):
    """What a search found, as a matplotlib Figure: the mean test score by each parameter.

    One parameter gives points with the standard deviation over the folds; two, each value tried
    with each, a map; more of them, or random ones, a panel for each.

    search   a fitted GridSearchCV, RandomizedSearchCV or the like, or its ``cv_results_``
    score    which, where the search has several
    """
    table = getattr(search, "cv_results_", search)
    if not isinstance(table, dict) or f"mean_test_{score}" not in table:
        raise ValueError(
            f"plot_search: a fitted search with mean_test_{score} wanted, not "
            f"{type(search).__name__}"
        )
    mean = np.asarray(table[f"mean_test_{score}"], dtype=float)
    std = np.asarray(table[f"std_test_{score}"], dtype=float)
    if not np.isfinite(mean).any():
        raise ValueError(f"plot_search: no mean_test_{score} is a number: every fit has failed")
    columns = {
        name.removeprefix("param_"): list(values)
        for name, values in table.items()
        if name.startswith("param_") and len(set(map(_text, values))) > 1
    }
    if len(columns) == 2:
        levels = [_levels(values) for values in columns.values()]
        if len(levels[0]) * len(levels[1]) == len(mean):
            return _map(columns, levels, mean, score)
    figure, axes = pyplot().subplots(
        1, max(1, len(columns)), figsize=(4.5 * max(1, len(columns)), 3.5), layout="constrained",
        squeeze=False, sharey=True,
    )  # fmt: skip
    for ax, (name, values) in zip(axes[0], columns.items(), strict=False):
        numbers = _numbers(values)
        if numbers is None:
            levels = _levels(values)
            numbers = np.array([levels.index(_text(v)) for v in values])
            ax.set_xticks(range(len(levels)), levels, rotation=30, ha="right")
        elif min(numbers) > 0 and max(numbers) >= 20 * min(numbers):
            ax.set_xscale("log")
        ax.errorbar(numbers, mean, std, fmt="o", markersize=4, capsize=2, alpha=0.7)
        best = np.nanargmax(mean)
        ax.plot(
            numbers[best], mean[best], "o", color="C1", zorder=3, label=f"best: {mean[best]:.4g}"
        )
        ax.set_xlabel(name)
        ax.legend(fontsize=8, frameon=False)
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel(f"mean test {score}")
    return figure


def _map(columns, levels, mean, score):
    (row, rows), (column, tried) = columns.items()
    grid = np.full((len(levels[0]), len(levels[1])), np.nan)
    for r, c, value in zip(rows, tried, mean, strict=True):
        grid[levels[0].index(_text(r)), levels[1].index(_text(c))] = value
    figure, ax = pyplot().subplots(
        figsize=(2.5 + 0.8 * grid.shape[1], 1.8 + 0.5 * grid.shape[0]), layout="constrained"
    )
    image = ax.imshow(grid, aspect="auto")
    middle = (np.nanmax(grid) + np.nanmin(grid)) / 2
    for (i, j), value in np.ndenumerate(grid):
        color = "white" if value < middle else "black"
        ax.text(j, i, f"{value:.3g}", ha="center", va="center", color=color)
    ax.set_yticks(range(len(levels[0])), levels[0])
    ax.set_xticks(range(len(levels[1])), levels[1], rotation=30, ha="right")
    ax.set(xlabel=column, ylabel=row)
    figure.colorbar(image, label=f"mean test {score}")
    return figure


def _text(value):
    return getattr(value, "__name__", None) or (
        f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
    )


def _levels(values):
    """The different values as text, numbers first and in their order."""
    numbers = sorted(filter(_is_number, values))
    return list(dict.fromkeys(map(_text, [*numbers, *values])))


def _numbers(values):
    return np.array(values, dtype=float) if all(map(_is_number, values)) else None


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
