"""Ensembles: several models, one averaged prediction (lectures B and C)."""

import numpy as np

from autograd.primitive import telling
from autograd.rules.random import generator_or_default

from .checks import check_positive
from .module import Module


class Ensemble(Module):
    """The average of its models' predictions.

    models   modules (or functions) with results of one shape
    output   applied to each result before averaging: softmax, where the models of a classifier
             return logits, so that probabilities are averaged

    >>> Ensemble([np.sin, np.cos])(np.zeros(1))
    array([0.5])
    """

    def __init__(self, models, output=None):
        self.models = list(models) if hasattr(models, "__iter__") else []
        if not self.models or not all(map(callable, self.models)):
            raise TypeError("Ensemble: one or more modules or functions wanted")
        if output is not None and not callable(output):
            raise TypeError(f"Ensemble: output is a function or None, not {output!r}")
        self.output = output

    def forward(self, *args):
        """Each model gets all the arguments."""
        results = [model(*args) for model in self.models]
        if self.output is not None:
            results = [self.output(result) for result in results]
        shapes = [np.shape(result) for result in results]
        if len(set(shapes)) > 1:
            raise ValueError(f"Ensemble: results of one shape wanted, got {shapes}")
        return sum(results[1:], start=results[0]) / len(results)

    def __len__(self):
        return len(self.models)

    def __getitem__(self, i):
        return self.models[i]


@telling
def bagging(make_model, k, data, fit, output=None, generator=None):
    """An Ensemble of k models, each trained on a bootstrap sample of the data (lecture C).

    make_model   called without arguments for each of the k models
    data         array, or tuple of arrays such as (x, y), of n examples each; a sample has n of
                 them drawn with replacement, the same for all arrays
    fit          fit(model, *sample) trains a model in place
    output       as in `Ensemble`
    """
    check_positive("bagging", k=k)
    arrays = [np.asarray(a) for a in (data if isinstance(data, (tuple, list)) else (data,))]
    shapes = [a.shape for a in arrays]
    if not arrays or not all(shapes) or len({s[0] for s in shapes}) != 1 or not shapes[0][0]:
        raise ValueError(
            f"bagging: arrays with the same number of examples, at least one, wanted; got {shapes}"
        )
    generator, n = generator_or_default(generator), shapes[0][0]
    models = []
    for _ in range(k):
        sample = generator.integers(n, size=n)
        model = make_model()
        fit(model, *(a[sample] for a in arrays))
        models.append(model)
    return Ensemble(models, output)
