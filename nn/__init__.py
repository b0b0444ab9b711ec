"""Networks on the differentiable NumPy: modules, layers and losses, named as in PyTorch.

>>> import numpy as np
>>> model = Sequential(Linear(2, 8), Tanh(), Linear(8, 1))
>>> model(np.zeros((5, 2), np.float32)).shape
(5, 1)
"""

import importlib

from . import data, init
from .activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Maxout,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Sinc,
    Softmax,
    Softplus,
    Softsign,
    Step,
    Tanh,
    elu,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    maxout,
    mish,
    prelu,
    relu,
    sigmoid,
    silu,
    sinc,
    softmax,
    softplus,
    softsign,
    step,
)
from .attention import MultiheadAttention, scaled_dot_product_attention
from .autoencoder import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    pretrain_stack,
)
from .containers import MLP, Residual, Sequential
from .convolution import Conv1d, Conv2d, conv1d, conv2d
from .ensemble import Ensemble, bagging
from .inference import exact_statistics, fold_batch_norm
from .layers import Embedding, Linear
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    half_squared_error,
    hinge,
    huber,
    kl_div,
    kl_divergence,
    l1_penalty,
    l2_penalty,
    mae,
    mse,
    multi_margin,
    nll,
    sparsity_kl,
)
from .module import Module, Parameter, functional_call
from .noise import (
    DropConnect,
    Dropout,
    GaussianNoise,
    Shakeout,
    WeightNoise,
    Whiteout,
    Zoneout,
    zoneout,
)
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from .perceptron import Adaline, Perceptron, SigmoidUnit
from .pooling import (
    AvgPool1d,
    AvgPool2d,
    Flatten,
    GlobalAvgPool,
    MaxPool1d,
    MaxPool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .recurrent import GRU, LSTM, RNN, GRUCell, Jordan, LSTMCell, RNNCell
from .statistics import ActivationStatistics, activation_statistics
from .summary import Summary, summary

# Imported when first asked for: the estimators stand on scikit-learn, and few exchange weights.
_LATER = {
    "Classifier": "estimators", "Regressor": "estimators", "plot_search": "estimators",
    "from_torch": "interchange", "to_torch": "interchange",
}  # fmt: skip

__all__ = [
    "ActivationStatistics", "Adaline", "Autoencoder", "AvgPool1d", "AvgPool2d", "BatchNorm1d",
    "BatchNorm2d", "ContractiveAutoencoder", "Conv1d", "Conv2d", "DenoisingAutoencoder",
    "DropConnect", "Dropout", "ELU", "Embedding", "Ensemble", "Flatten", "GELU", "GRU", "GRUCell",
    "GaussianNoise", "GlobalAvgPool", "Identity", "Jordan", "LSTM", "LSTMCell", "LayerNorm",
    "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MLP", "MaxPool1d", "MaxPool2d", "Maxout",
    "Mish", "Module", "MultiheadAttention", "PReLU", "Parameter", "Perceptron", "RNN", "RNNCell",
    "ReLU", "Residual", "Sequential", "Shakeout", "SiLU", "Sigmoid", "SigmoidUnit", "Sinc",
    "Softmax", "Softplus", "Softsign", "SparseAutoencoder", "Step", "Summary", "Tanh",
    "WeightNoise", "Whiteout", "Zoneout", "activation_statistics", "avg_pool1d", "avg_pool2d",
    "bagging", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv1d", "conv2d",
    "cross_entropy", "data", "elu", "exact_statistics", "fold_batch_norm", "functional_call",
    "gelu", "half_squared_error", "hinge", "huber", "init", "kl_div", "kl_divergence", "l1_penalty",
    "l2_penalty", "leaky_relu", "log_sigmoid", "log_softmax", "mae", "max_pool1d", "max_pool2d",
    "maxout", "mish", "mse", "multi_margin", "nll", "prelu", "pretrain_stack", "relu",
    "scaled_dot_product_attention", "sigmoid", "silu", "sinc", "softmax", "softplus", "softsign",
    "sparsity_kl", "step", "summary", "zoneout",
    *_LATER,
]  # fmt: skip


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
