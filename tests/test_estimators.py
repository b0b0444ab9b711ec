"""`nn.Classifier` and `nn.Regressor` held to scikit-learn's own checks, and used by its tools."""

import copy
import functools
import io
import pickle
import threading

import matplotlib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import autograd
import nn
import optim
from autograd.rules.random import uniform
from nn.estimators import plot_search

matplotlib.use("Agg")

X, Y = make_blobs(90, 2, centers=3, cluster_std=1.5, random_state=0)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["ant", "bee", "cow"])[Y]
QUICK = {"epochs": 5, "random_state": 0}


def same(first, second):
    first, second = first.module_.state_dict(), second.module_.state_dict()
    return all(np.array_equal(first[name], second[name]) for name in first | second)


def with_dropout(n_features, n_outputs, hidden=8):
    return nn.MLP((n_features, hidden, n_outputs), dropout=0.3)


SMALL = {"module": (20,), "lr": 0.02, "epochs": 10}


@pytest.mark.parametrize("estimator", [nn.Classifier(**SMALL), nn.Regressor(**SMALL)], ids=repr)
def test_scikit_learn_finds_nothing_wrong(estimator):
    results = check_estimator(estimator, on_skip=None)
    assert len(results) > 45
    unchecked = [r["check_name"] for r in results if r["status"] != "passed"]
    # these two want pandas, and an array API that has to be switched on
    assert sorted(unchecked) == sorted(UNCHECKED[type(estimator)])


UNCHECKED = {
    nn.Classifier: ["check_array_api_input", "check_classifier_data_not_an_array"],
    nn.Regressor: ["check_array_api_input", "check_regressor_data_not_an_array"],
}


# --- what a module may be -------------------------------------------------------------------------


def test_hidden_sizes_make_an_mlp():
    fitted = nn.Classifier((5, 4), **QUICK).fit(X, NAMES)
    assert [tuple(p.shape) for p in fitted.module_.parameters()] == [
        (5, 2), (5,), (4, 5), (4,), (3, 4), (3,),
    ]  # fmt: skip
    assert len(nn.Regressor((), **QUICK).fit(X, Y).module_.parameters()) == 2  # a linear model
    assert nn.Regressor(7, **QUICK).fit(X, Y).module_.parameters()[0].shape == (7, 2)


def test_a_factory_gets_the_sizes():
    seen = []

    def factory(n_features, n_outputs):
        seen.append((n_features, n_outputs))
        return nn.Linear(n_features, n_outputs)

    nn.Classifier(factory, **QUICK).fit(X, NAMES)
    nn.Regressor(factory, **QUICK).fit(X, np.stack([Y, Y], axis=1))
    assert seen == [(2, 3), (2, 2)]


def test_of_a_module_every_fit_trains_a_copy():
    autograd.seed(0)
    module = nn.MLP((2, 8, 3))
    before = module.state_dict()
    estimator = nn.Classifier(module, **QUICK)
    first, second = clone(estimator).fit(X, NAMES), estimator.fit(X, NAMES)
    assert estimator.module is module and estimator.module_ is not module
    assert same(first, second)
    assert all(np.array_equal(before[name], value) for name, value in module.state_dict().items())


def test_examples_may_be_images():
    shapes = []

    def convolutional(shape, n_outputs):
        shapes.append(shape)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, n_outputs)
        )

    x, y = load_digits(n_class=3, return_X_y=True)
    x = x.reshape(-1, 1, 8, 8) / 16
    fitted = nn.Classifier(convolutional, lr=0.01, epochs=10, random_state=0).fit(x[:200], y[:200])
    assert shapes == [(1, 8, 8)]
    assert fitted.score(x[200:], y[200:]) > 0.95


@pytest.mark.parametrize(
    "module, message",
    [
        ("mlp", "a Module, a function that makes one"),
        ((8, -1), "positive integer"),
        (lambda n, m: np.tanh, "the factory made a ufunc"),
        (lambda n, m: nn.Linear(n, m + 1), "must give 3 numbers for each example"),
        (nn.Linear(5, 3), "last axis of x must have 5"),
    ],
)
def test_modules_that_do_not_fit_are_refused(module, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.Classifier(module, **QUICK).fit(X, NAMES)


# --- training -------------------------------------------------------------------------------------


def test_the_loss_and_optimizer_are_what_is_asked_for():
    seen = []

    def loss(outputs, targets):
        seen.append((outputs.shape, targets.shape, outputs.dtype, targets.dtype))
        return nn.mae(outputs, targets)

    fitted = nn.Regressor(
        (4,), loss=loss, optimizer=optim.RMSprop, lr=0.02, weight_decay=0.1, batch_size=90, **QUICK
    ).fit(X, Y)
    assert seen == [((90, 1), (90, 1), np.float32, np.float32)] * 5
    assert isinstance(fitted.optimizer_, optim.RMSprop)
    assert fitted.optimizer_.hyper["lr"] == 0.02 and fitted.optimizer_.hyper["weight_decay"] == 0.1
    assert fitted.history_.epochs == 5


def test_a_schedule_is_made_for_every_fit_and_steps_with_its_epochs():
    halving = functools.partial(optim.LambdaLR, lr_lambda=functools.partial(optim.inverse, c=1))
    estimator = nn.Regressor((4,), lr=0.06, schedule=halving, epochs=3, random_state=0)
    for _ in range(2):
        assert estimator.fit(X, Y).history_["lr"] == pytest.approx([0.06, 0.03, 0.02])
    assert estimator.partial_fit(X, Y).history_["lr"] == pytest.approx([0.06 / 4])
    other = pickle.loads(pickle.dumps(estimator)).partial_fit(X, Y)
    assert other.history_["lr"] == pytest.approx([0.06 / 5])
    plateau = functools.partial(optim.ReduceLROnPlateau, patience=0, threshold=0.999)
    estimator = nn.Classifier((4,), lr=1.0, schedule=plateau, patience=9, **QUICK).fit(X, Y)
    assert estimator.schedule_.best == estimator.history_["val_loss"][0]  # it reads held-out data
    assert estimator.history_["lr"] == pytest.approx([1, 1, 0.1, 0.01, 0.001])


def test_probabilities_are_the_softmax_of_the_outputs():
    fitted = nn.Classifier((8,), **QUICK).fit(X, NAMES)
    logits = optim.predict(fitted.module_, X)
    assert fitted.classes_.tolist() == ["ant", "bee", "cow"]
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(fitted.predict_proba(X), wanted, rtol=1e-12)
    assert np.array_equal(fitted.predict(X), fitted.classes_[logits.argmax(1)])


def test_weights_are_float32_and_predictions_as_precise_as_the_data():
    fitted = nn.Regressor((8,), **QUICK).fit(X, Y)
    assert all(p.dtype == np.float32 for p in fitted.module_.parameters())
    assert fitted.predict(X).dtype == np.float64
    assert fitted.predict(X.astype(np.float32)).dtype == np.float32
    double = nn.Regressor((8,), dtype=np.float64, **QUICK).fit(X, Y)
    assert all(p.dtype == np.float64 for p in double.module_.parameters())


def test_early_stopping_keeps_the_best_epoch():
    x, y = make_regression(80, 20, noise=60, random_state=0)
    estimator = nn.Regressor(
        (50,), lr=0.02, epochs=300, patience=5, validation_fraction=0.25, random_state=0
    )
    estimator.fit(x, y / y.std())
    history = estimator.history_
    assert history.stopped == "patience" and history.epochs == history.best + 5 < 300
    assert history.best == int(np.argmin(history["val_loss"])) + 1


def test_held_out_data_is_stratified_where_that_can_be():
    y = np.array([0] * 80 + [1] * 10)
    parts = []

    class Spy(nn.Classifier):
        def _split(self, X, y):
            parts.append(super()._split(X, y))
            return parts[-1]

    Spy((4,), patience=2, validation_fraction=0.2, **QUICK).fit(X, y)
    assert np.bincount(parts[0][3]).tolist() == [16, 2]
    y[81:] = 0  # one example of class 1 cannot be on both sides
    Spy((4,), patience=2, validation_fraction=0.2, **QUICK).fit(X, y)
    assert len(parts[1][3]) == 18


def test_partial_fit_goes_on():
    whole = nn.Classifier((8,), lr=0.02, random_state=0)
    for _ in range(30):
        whole.partial_fit(X[:60], NAMES[:60], classes=["cow", "bee", "ant"])
        whole.partial_fit(X[60:61], NAMES[60:61])  # one class alone: the others stay known
    assert whole.classes_.tolist() == ["ant", "bee", "cow"]
    assert whole.score(X, NAMES) > 0.7
    with pytest.raises(ValueError, match="first call of partial_fit needs classes"):
        nn.Classifier().partial_fit(X, NAMES)
    with pytest.raises(ValueError, match=r"classes \['dog'\] that are not in"):
        whole.partial_fit(X[:1], ["dog"])
    with pytest.raises(ValueError, match="since the first call"):
        whole.partial_fit(X, NAMES, classes=["ant", "bee"])
    regressor = nn.Regressor((8,), lr=0.05, random_state=0)
    losses = [regressor.partial_fit(X, Y).history_["loss"][0] for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    with pytest.raises(ValueError, match="y had 1 columns and has 2 now"):
        regressor.partial_fit(X, np.stack([Y, Y], 1))


def test_every_partial_fit_goes_through_the_data_in_an_order_of_its_own():
    seen = []

    def loss(outputs, targets):
        seen.append(targets[:, 0].tolist())
        return nn.mse(outputs, targets)

    regressor = nn.Regressor((4,), loss=loss, batch_size=90, random_state=0)
    for _ in range(3):
        regressor.partial_fit(X, np.arange(90.0))
    assert len(set(map(tuple, seen))) == 3 and all(sorted(s) == list(range(90)) for s in seen)


def test_ctrl_c_ends_a_search_and_leaves_the_network():
    def interrupt(run):
        if run.epoch == 3:
            raise KeyboardInterrupt

    estimator = nn.Classifier((8,), callbacks=[interrupt], **QUICK)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, NAMES)
    assert estimator.history_.epochs == 3 and estimator.predict(X).shape == (90,)


def test_predictions_need_a_fit():
    with pytest.raises(NotFittedError):
        nn.Regressor().predict(X)


# --- reproducible ---------------------------------------------------------------------------------


def test_a_random_state_gives_one_network_and_no_random_state_others():
    first, second = (nn.Classifier(with_dropout, **QUICK).fit(X, Y) for _ in range(2))
    other = nn.Classifier(with_dropout, epochs=5, random_state=1).fit(X, Y)
    free = [nn.Classifier(with_dropout, epochs=1).fit(X, Y) for _ in range(2)]
    assert same(first, second) and not same(first, other) and not same(*free)
    np.random.seed(3)
    free = [nn.Classifier(with_dropout, epochs=1).fit(X, Y)]
    np.random.seed(3)
    assert same(free[0], nn.Classifier(with_dropout, epochs=1).fit(X, Y))


def test_the_default_generator_is_left_alone():
    autograd.seed(7)
    wanted = uniform(np.zeros(3))
    autograd.seed(7)
    nn.Classifier(with_dropout, **QUICK).fit(X, Y)
    with pytest.raises(ValueError):
        nn.Classifier((-1,), **QUICK).fit(X, Y)
    assert np.array_equal(uniform(np.zeros(3)), wanted)


def test_threads_do_not_disturb_each_other():
    alone = nn.Classifier(with_dropout, **QUICK).fit(X, Y)
    estimators = [nn.Classifier(with_dropout, **QUICK) for _ in range(4)]
    threads = [threading.Thread(target=e.fit, args=(X, Y)) for e in estimators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(alone, e) for e in estimators)


def test_fitted_estimators_survive_pickling_and_go_on_alike():
    fitted = nn.Classifier(with_dropout, **QUICK).fit(X, Y)
    other = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(other.predict_proba(X), fitted.predict_proba(X))
    assert same(fitted.partial_fit(X, Y), other.partial_fit(X, Y))
    assert same(copy.deepcopy(fitted).partial_fit(X, Y), fitted.partial_fit(X, Y))


# --- scikit-learn's tools -------------------------------------------------------------------------


def test_searches_in_processes_find_what_one_process_finds():
    pipeline = make_pipeline(StandardScaler(), nn.Classifier(with_dropout, **QUICK))
    grid = {
        "classifier__lr": [1e-3, 1e-1],
        "classifier__module": [with_dropout, functools.partial(with_dropout, hidden=16), (4,)],
    }
    alone, parallel = (GridSearchCV(pipeline, grid, cv=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    scores = alone.cv_results_["mean_test_score"]
    assert np.array_equal(scores, parallel.cv_results_["mean_test_score"])
    assert alone.best_params_["classifier__lr"] == 0.1 and alone.best_score_ > 0.75
    assert parallel.predict(X).tolist() == alone.predict(X).tolist()
    random = RandomizedSearchCV(pipeline, grid, n_iter=2, cv=2, random_state=0).fit(X, Y)
    assert len(random.cv_results_["params"]) == 2
    assert (
        cross_val_score(nn.Regressor((8,), lr=0.05, random_state=0), X, X[:, 0], cv=3).min() > 0.9
    )


def test_digits():
    """One of the five seeds of the project's measure, with a third of the epochs."""
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    estimator = nn.Classifier((256, 128), epochs=15, random_state=0)
    assert make_pipeline(StandardScaler(), estimator).fit(x, y).score(x_test, y_test) > 0.96


def test_the_estimators_are_names_of_nn_though_imported_later():
    assert {"Classifier", "Regressor", "plot_search"} <= set(dir(nn))
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        nn.Clasifier  # noqa: B018


# --- plots of searches ----------------------------------------------------------------------------


def table(**columns):
    n = len(next(iter(columns.values())))
    return {
        **{f"param_{name}": values for name, values in columns.items()},
        "mean_test_score": np.linspace(0.5, 0.9, n), "std_test_score": np.full(n, 0.1),
    }  # fmt: skip


def drawn(results, **options):
    figure = plot_search(results, **options)
    figure.savefig(io.BytesIO())
    matplotlib.pyplot.close(figure)
    return figure


def test_one_parameter_gives_points_with_their_spread():
    (ax,) = drawn(table(lr=[1e-3, 1e-2, 1e-1], epochs=[5, 5, 5])).axes
    assert ax.get_xlabel() == "lr" and ax.get_xscale() == "log"
    assert list(ax.lines[0].get_xdata()) == [1e-3, 1e-2, 1e-1]
    assert list(ax.lines[0].get_ydata()) == [0.5, 0.7, 0.9]
    best = [line for line in ax.lines if line.get_label() == "best: 0.9"]
    assert [line.get_xdata()[0] for line in best] == [0.1]


def test_two_parameters_of_a_grid_give_a_map():
    figure = drawn(table(lr=[0.1, 0.1, 0.01, 0.01], module=[(8,), (4,), (8,), (4,)]))
    ax = figure.axes[0]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("lr", "module")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0.01", "0.1"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["(8,)", "(4,)"]
    wanted = np.linspace(0.5, 0.9, 4).reshape(2, 2)[::-1]
    assert np.allclose(ax.images[0].get_array(), wanted)


def test_numbers_stand_in_their_order_also_beside_what_is_none():
    (ax,) = drawn(table(patience=[20, None, 3, 100, None])).axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["3", "20", "100", "None"]
    assert list(ax.lines[0].get_xdata()) == [1, 3, 0, 2, 3]


def test_other_searches_give_a_panel_for_each_parameter():
    axes = drawn(
        table(
            lr=[0.1, 0.2, 0.3],
            optimizer=[optim.Adam, optim.SGD, optim.Adam],
            flag=[True, False, True],
        )
    ).axes
    assert [ax.get_xlabel() for ax in axes] == ["lr", "optimizer", "flag"]
    assert axes[0].get_xscale() == "linear"
    assert [t.get_text() for t in axes[1].get_xticklabels()] == ["Adam", "SGD"]
    assert list(axes[1].lines[0].get_xdata()) == [0, 1, 0]
    assert [t.get_text() for t in axes[2].get_xticklabels()] == ["True", "False"]


@pytest.mark.parametrize("share", [0.0, 1.0, 5])
def test_a_share_of_held_out_data_is_between_0_and_1(share):
    for kind in (nn.Classifier, nn.Regressor):
        with pytest.raises(ValueError, match=r"validation_fraction lies in \(0, 1\), got"):
            kind((4,), patience=1, validation_fraction=share, **QUICK).fit(X, Y)


def test_a_fitted_search_is_plotted_by_any_of_its_scores():
    search = GridSearchCV(
        nn.Classifier((4,), **QUICK), {"lr": [1e-3, 1e-1]}, cv=2, refit=False,
        scoring=["accuracy", "neg_log_loss"],
    ).fit(X, Y)  # fmt: skip
    (ax,) = drawn(search, score="neg_log_loss").axes
    assert ax.get_ylabel() == "mean test neg_log_loss"
    assert list(ax.lines[0].get_ydata()) == list(search.cv_results_["mean_test_neg_log_loss"])
    for wrong in (search, {}, nn.Classifier()):
        with pytest.raises(ValueError, match="a fitted search with mean_test_score wanted"):
            plot_search(wrong)
    failed = table(lr=[0.1, 0.2]) | {"mean_test_score": [np.nan, np.nan]}
    with pytest.raises(ValueError, match="every fit has failed"):
        plot_search(failed)
    half = table(lr=[0.1, 0.2]) | {"mean_test_score": [np.nan, 0.5]}
    assert [line.get_label() for line in drawn(half).axes[0].lines][-1] == "best: 0.5"
