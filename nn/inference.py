"""What is done with a network's batch normalization after training."""

import copy
from collections import Counter

import numpy as np

from autograd.primitive import telling

from .containers import Sequential
from .convolution import Conv1d, Conv2d
from .layers import Linear
from .module import Parameter, _walk, check_module, evaluating
from .normalization import BatchNorm1d, BatchNorm2d


def _batch_norms(model):
    return [m for m in model.modules() if isinstance(m, (BatchNorm1d, BatchNorm2d))]


@telling
def exact_statistics(model, batches):
    """Set the running statistics to lecture C's averages over all minibatches; gives the model.

    The mean of the batches' means and of their unbiased variances, B/(B-1) of the biased ones, with
    the weights as they are now, where running averages still hold what earlier weights gave.  A
    batch counts by its examples: the lecture's are of one size, and a short last one is not to
    weigh as much.  All else in the model runs as in evaluation, and each module is left in the mode
    it was in.

    batches   the model's inputs, one minibatch after the other, examples on the first axis

    Raises ValueError where there are no batches, or no batch normalization; whatever is raised,
    the statistics are as before.

    >>> import nn
    >>> model = nn.Sequential(nn.BatchNorm1d(1, dtype=float))
    >>> exact_statistics(model, [np.array([[1.0], [3.0]]), np.array([[4.0], [8.0]])])[0].running_var
    array([5.])
    """
    check_module("exact_statistics", model)
    norms = _batch_norms(model)
    if not norms:
        raise ValueError("exact_statistics: the model has no batch normalization")
    kept = [(m, m.momentum, m.running_mean, m.running_var) for m in norms]
    seen = 0
    try:
        with evaluating(model):
            for norm in norms:
                norm.training = True
            for batch in batches:
                n = np.shape(batch)[0]
                seen += n
                for norm in norms:
                    norm.momentum = n / max(seen, 1)  # the average of all so far
                model(batch)
        if not seen:
            raise ValueError("exact_statistics: at least one batch is wanted")
    except BaseException:
        for norm, _, mean, var in kept:
            norm.running_mean, norm.running_var = mean, var
        raise
    finally:
        for norm, momentum, _, _ in kept:
            norm.momentum = momentum
    return model


@telling
def fold_batch_norm(model):
    """A copy of the model, for evaluation, with batch normalization folded into what precedes it.

    In each Sequential a Linear, Conv1d or Conv2d directly followed by batch normalization becomes
    one layer (lecture A): with s = γ/√(σ² + ε), the weights s·W and the bias s·(b - μ) + β.
    Results change by rounding only.  Where anything else precedes it, or a layer that stands in
    several places, batch normalization stays.  After a Linear, (N, C) is what it normalizes.
    """
    check_module("fold_batch_norm", model)
    model = copy.deepcopy(model).eval()
    uses = Counter(id(value) for _, value in _walk(model))  # a weight of two layers has two
    for part in model.modules():
        if isinstance(part, Sequential):
            _fold(part, uses)
    return model


def _fold(sequential, uses):
    named = isinstance(sequential.layers, dict)
    items = list(sequential.layers.items()) if named else list(enumerate(sequential.layers))
    left, previous = [], None
    for name, layer in items:
        if _pairs(previous, layer) and _alone(previous, uses):
            _absorb(previous, layer)  # which stays `previous`: another one may follow
        else:
            left.append((name, layer))
            previous = layer
    sequential.layers = dict(left) if named else [layer for _, layer in left]


def _alone(layer, uses):
    """Whether the layer's weights stand in one place only."""
    return all(uses[id(p)] == 1 for p in (layer.weight, layer.bias) if p is not None)


def _pairs(layer, norm):
    """Whether what the layer gives is what the batch normalization takes."""
    kinds = {BatchNorm1d: (Linear, Conv1d), BatchNorm2d: (Conv2d,)}
    if not isinstance(layer, kinds.get(type(norm), ())):
        return False
    return layer.weight.shape[0] == norm.num_features


def _absorb(layer, norm):
    dtype, weight = layer.weight.dtype, np.asarray(layer.weight.data, float)
    scale = norm.weight.data / np.sqrt(norm.running_var.astype(float) + norm.eps)
    bias = 0.0 if layer.bias is None else layer.bias.data
    layer.weight.data = (weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(dtype)
    folded = (scale * (bias - norm.running_mean) + norm.bias.data).astype(dtype)
    if layer.bias is None:
        layer.bias = Parameter(folded)
    else:
        layer.bias.data = folded
