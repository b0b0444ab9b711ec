"""Ensembles: averages of predictions, and bootstrap samples."""

import numpy as np
import pytest

import nn
import optim
from autograd import softmax
from nn.data import spirals


def seeded(n=0):
    return np.random.default_rng(n)


def close(a, b, tolerance=1e-6):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_the_average_of_predictions():
    models = [nn.Linear(3, 2, generator=seeded(i)) for i in range(3)]
    ensemble, x = nn.Ensemble(models), seeded().random((5, 3)).astype(np.float32)
    close(ensemble(x).data, sum(m(x).data for m in models) / 3)
    assert ensemble(x).dtype == np.float32
    assert len(ensemble) == 3 and ensemble[1] is models[1] and len(ensemble.parameters()) == 6
    assert not ensemble.eval()[0].training


def test_classifiers_average_their_probabilities_and_not_their_logits():
    models = [nn.Linear(3, 4, generator=seeded(i)) for i in range(2)]
    x = 10 * seeded().random((5, 3))
    ensemble = nn.Ensemble(models, output=softmax)
    chances = ensemble(x).data
    close(
        chances,
        sum(np.exp(m(x).data) / np.exp(m(x).data).sum(1, keepdims=True) for m in models) / 2,
    )
    close(chances.sum(axis=1), 1)


def test_each_model_is_trained_on_a_bootstrap_sample_of_its_own():
    n, k = 500, 6
    x, y, samples, made = np.arange(n), 10 * np.arange(n), [], []

    def make():
        made.append(nn.Linear(1, 1))
        return made[-1]

    def fit(model, x, y):
        assert model is made[-1]
        assert (y == 10 * x).all() and len(x) == n
        samples.append(x)

    ensemble = nn.bagging(make, k, (x, y), fit, generator=seeded())
    assert list(ensemble.models) == made and len(made) == k
    shares = [len(np.unique(sample)) / n for sample in samples]
    assert np.allclose(shares, 1 - np.exp(-1), atol=0.06)  # each is left out with chance 1/e
    assert len({sample.tobytes() for sample in samples}) == k
    first, samples = samples, []
    nn.bagging(make, k, (x, y), fit, generator=seeded())
    assert all((a == b).all() for a, b in zip(first, samples, strict=True))
    nn.bagging(make, 1, x, lambda model, x: samples.append(x), generator=seeded())
    assert (samples[-1] == first[0]).all()


def test_bagging_is_better_than_its_models_on_average():
    """The squared error of an average is at most the average of the squared errors (Jensen)."""
    x, y = spirals(120, noise=0.05, generator=seeded())
    test_x, test_y = spirals(200, noise=0.05, generator=seeded(1))
    generator = seeded(2)

    def make():
        return nn.Sequential(
            nn.Linear(2, 16, generator=generator), nn.Tanh(), nn.Linear(16, 2, generator=generator)
        )

    def fit(model, x, y):
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        for _ in range(150):
            optimizer.zero_grad()
            nn.cross_entropy(model(x), y).backward()
            optimizer.step()

    ensemble = nn.bagging(make, 5, (x, y), fit, output=softmax, generator=generator)

    def error(predict):
        return np.mean((predict(test_x).data[:, 1] - test_y) ** 2)

    each = [error(lambda x, m=m: softmax(m(x))) for m in ensemble.models]
    assert error(ensemble) < np.mean(each) and error(ensemble) < 0.15


def test_what_cannot_be_averaged():
    with pytest.raises(ValueError, match=r"one shape wanted, got \[\(5, 2\), \(5, 1\)\]"):
        nn.Ensemble([nn.Linear(3, 2), nn.Linear(3, 1)])(np.zeros((5, 3)))
    with pytest.raises(TypeError, match="one or more modules"):
        nn.Ensemble([])
    with pytest.raises(TypeError, match="output is a function"):
        nn.Ensemble([np.sin], output="softmax")
    for k in (0, 2.5):
        with pytest.raises(ValueError, match="positive integer"):
            nn.bagging(nn.Module, k, np.zeros(3), print)
    with pytest.raises(ValueError, match=r"same number.*\(3,\), \(4,\)"):
        nn.bagging(nn.Module, 2, (np.zeros(3), np.zeros(4)), print)
