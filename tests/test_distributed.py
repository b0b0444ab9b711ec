"""Training on a cluster of processes gives what training in one process does."""

import os
import signal
import threading

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

import autograd
import nn
import optim
from nn.estimators import Classifier
from optim.distributed import Shards


@pytest.fixture(scope="module")
def client():
    """A client of a cluster of two processes."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def data(n=60):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 4))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def network(*between):
    autograd.seed(1)
    return nn.Sequential(
        nn.Linear(4, 8, dtype=float), nn.Tanh(), *between, nn.Linear(8, 2, dtype=float)
    )


def trained(model, **settings):
    """The history and weights of a short run."""
    autograd.seed(2)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    history = optim.fit(
        model, data(), nn.cross_entropy, optimizer, batch_size=16, progress=False,
        **{"epochs": 3, **settings},
    )  # fmt: skip
    return history, model.state_dict()


def accuracy(outputs, targets):
    return np.mean(np.argmax(outputs, axis=1) == targets)


def same(found, expected):
    """Equal to floating-point reassociation: the order in which a batch's terms are added up."""
    (history, weights), (history_here, weights_here) = found, expected
    for name in weights_here:
        np.testing.assert_allclose(weights[name], weights_here[name], rtol=1e-9, atol=1e-9)
    for name in history_here:
        np.testing.assert_allclose(history[name], history_here[name], rtol=1e-9, atol=1e-9)


def test_a_cluster_trains_as_one_process(client):
    settings = {"validation": data(20), "metrics": [accuracy], "clip_norm": 1.0}
    expected = trained(network(), **settings)
    same(trained(network(), cluster=client, **settings), expected)


class Killing(optim.Callback):
    """Kills a worker's process in the midst of an epoch."""

    def __init__(self, client):
        self.client, self.killed = client, []

    def on_step(self, run):
        if run.step == 2:
            self.killed = list(self.client.run(os.getpid).values())[:1]
            os.kill(self.killed[0], signal.SIGKILL)


def test_a_worker_lost_is_replaced(client):
    killing = Killing(client)
    found = trained(network(), cluster=client, callbacks=[killing], epochs=2)
    assert killing.killed
    same(found, trained(network(), epochs=2))
    client.wait_for_workers(2, timeout=30)
    assert killing.killed[0] not in client.run(os.getpid).values()


def test_dropout_draws_by_seed_step_and_shard(client):
    """The same seed draws the same on every run, the shards and steps draw differently."""
    first, second = (trained(network(nn.Dropout(0.5)), cluster=client)[1] for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 64, bias=False, dtype=float))
    model[1].weight.data = np.eye(64)
    shards = Shards(client, model, (np.ones((2, 64)), np.zeros((2, 64))), nn.mse)
    draws = np.concatenate([shards.of(model, (np.arange(2),))[1] for _ in range(2)])
    assert np.isin(draws, [0.0, 2.0]).all()
    assert len(np.unique(draws, axis=0)) == 4


def stopping(at):
    """A callback that ends a run by Ctrl-C, behind a step."""

    class Stopping(optim.Callback):
        def on_step(self, run):
            if run.step == at:
                raise KeyboardInterrupt

    return Stopping()


@pytest.mark.parametrize("at", [2, 6])
def test_a_resumed_run_draws_what_it_would_have(client, tmp_path, at):
    """Cut off in an epoch, dropout goes on bit by bit; so much is saved without a cluster, too."""
    settings = {"cluster": client, "epochs": 2}
    whole = trained(network(nn.Dropout(0.5)), **settings)
    settings |= {"checkpoint": tmp_path, "every": 1}
    cut, _ = trained(network(nn.Dropout(0.5)), callbacks=[stopping(at)], **settings)
    assert cut.stopped == "interrupted"
    autograd.seed(99)
    model = network(nn.Dropout(0.5)).map(np.zeros_like)
    found = trained(model, callbacks=[stopping(None)], resume=True, **settings)
    assert found[0]["loss"] == whole[0]["loss"]
    for name in whole[1]:
        np.testing.assert_array_equal(found[1][name], whole[1][name])


def test_workers_that_are_threads_here_draw_the_same(client):
    """They leave the default generator, which is theirs too, as it is."""
    expected = trained(network(nn.Dropout(0.5)), cluster=client)
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as here:
        found = trained(network(nn.Dropout(0.5)), cluster=here)
    same(found, expected)


def test_a_second_run_draws_anew(client):
    model = network(nn.Dropout(0.5))
    frozen = optim.SGD(model.parameters(), lr=0.0)
    first, second = (
        optim.fit(
            model, data(), nn.cross_entropy, frozen, epochs=1, batch_size=60, shuffle=False,
            cluster=client, progress=False,
        )["loss"]
        for _ in range(2)
    )  # fmt: skip
    assert first != second


def test_a_penalty_reads_the_weights_that_are_trained(client):
    """The loss may hold the model: on the workers both are still one."""

    def penalized(**settings):
        model = network()

        def loss(outputs, labels):
            return nn.cross_entropy(outputs, labels) + 0.1 * np.sum(model[0].weight ** 2)

        optimizer = optim.SGD(model.parameters(), lr=0.1)
        history = optim.fit(model, data(), loss, optimizer, epochs=2, progress=False, **settings)
        return history, model.state_dict()

    autograd.seed(2)
    found = penalized(cluster=client)
    autograd.seed(2)
    same(found, penalized())


def test_a_loss_that_is_no_mean_is_refused(client):
    """Its parts' mean is another number: of a sum, and of a mean with weights of classes."""
    weights = np.array([1.0, 3.0])
    for loss in (
        lambda outputs, labels: np.sum(outputs**2),
        lambda outputs, labels: nn.cross_entropy(outputs, labels, weight=weights),
    ):
        model = network()
        before = model.state_dict()
        with pytest.raises(ValueError, match="a mean over the examples, all of one weight"):
            optim.fit(
                model, data(), loss, optim.SGD(model.parameters(), lr=0.1), cluster=client,
                progress=False,
            )  # fmt: skip
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def mistaken():
    """A mistake in shapes within an operation, as a model of the wrong size makes it."""
    return autograd.grad(lambda x: np.sum(x @ np.ones(4)))(np.ones((2, 3)))


def test_an_error_on_a_worker_comes_home(client):
    with pytest.raises(ValueError, match=r"matmul.*\(2, 3\)"):
        client.submit(mistaken, pure=False).result(timeout=20)
    x, y = data()
    model = network()
    with pytest.raises(ValueError, match="Linear.*must have 4 elements"):
        optim.fit(
            model, (x[:, :3], y), nn.cross_entropy, optim.SGD(model.parameters(), lr=0.1),
            cluster=client, progress=False,
        )  # fmt: skip


def test_batch_norm_is_refused(client):
    with pytest.raises(ValueError, match=r"buffer 'layers.1.running_mean'.*shard"):
        trained(nn.Sequential(nn.Linear(4, 3, dtype=float), nn.BatchNorm1d(3)), cluster=client)


def test_what_cannot_be_shared_is_refused(client):
    with pytest.raises(ValueError, match="draws from a generator of its own"):
        trained(network(nn.Dropout(0.5, np.random.default_rng(0))), cluster=client)
    with pytest.raises(TypeError, match="dask.distributed"):
        trained(network(), cluster="tcp://somewhere")
    model = network()
    with pytest.raises(TypeError, match="tuple of arrays"):
        optim.fit(
            model, [data()], nn.cross_entropy, optim.SGD(model.parameters(), lr=0.1),
            cluster=client, progress=False,
        )  # fmt: skip


def test_what_cannot_work_says_so_at_once(client):
    x, y = data()

    def run(loss=nn.cross_entropy, arrays=(x, y), cluster=client):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        optim.fit(model, arrays, loss, optimizer, cluster=cluster, progress=False)

    lock = threading.Lock()
    with pytest.raises(TypeError, match="model and loss go to the workers.*lock"):
        run(lambda outputs, labels: lock and nn.cross_entropy(outputs, labels))
    with pytest.raises(TypeError, match="the loss is a float, which has no derivative"):
        run(lambda outputs, labels: float(np.mean(outputs.data)))
    for arrays in ((x, x[:10], y), (np.float64(1), np.float64(2)), (x[:0], y[:0])):
        with pytest.raises(ValueError, match="the same number of examples"):
            run(arrays=arrays)
    closed = Client(client.scheduler.address)
    closed.close()
    with pytest.raises(ValueError, match="this one is closed"):
        run(cluster=closed)


def test_hyperparameters_are_searched_on_the_cluster(client):
    x, y = data()
    settings = {"lr": [0.01, 0.1], "epochs": [2, 4]}

    def search():
        return GridSearchCV(Classifier((4,), random_state=0), settings, cv=2, n_jobs=2)

    here = search().set_params(n_jobs=1).fit(x, y)
    with joblib.parallel_backend("dask", client=client):
        there = search().fit(x, y)
    np.testing.assert_array_equal(
        there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )
    assert there.best_params_ == here.best_params_
