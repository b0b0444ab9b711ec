"""Training on a cluster of processes gives what training in one process does."""

import os
import signal

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
