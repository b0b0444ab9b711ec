"""Optimizers for the parameters of `nn`, named as in PyTorch."""

import importlib

from .averaging import EMA
from .clipping import add_gradient_noise_, clip_grad_norm_, clip_grad_value_
from .executor import Optimizer, group_parameters
from .optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Momentum,
    NAdam,
    Nesterov,
    Quickprop,
    RMSprop,
    Rprop,
)
from .rules import (
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    momentum,
    nadam,
    nesterov,
    quickprop,
    rmsprop,
    rprop,
    sgd,
)
from .schedules import (
    LambdaLR,
    ReduceLROnPlateau,
    constant,
    cosine,
    inverse,
    inverse_sqrt,
    one_cycle,
    staircase,
    warmup,
)

# Imported when first asked for: training stands on `nn`, minimizers on SciPy, metrics on
# scikit-learn, checkpoints on safetensors.
_LATER = {
    "Callback": "callbacks", "CheckpointError": "checkpoint", "Generators": "checkpoint",
    "History": "history", "LearningRates": "history",
    "LivePlot": "callbacks", "Run": "callbacks",
    "evaluate": "training", "fit": "training", "least_squares": "minimizers", "load": "checkpoint",
    "lr_find": "training", "minimize": "minimizers", "predict": "training",
    "save": "checkpoint",
}  # fmt: skip

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "EMA", "LambdaLR", "Momentum", "NAdam",
    "Nesterov", "Optimizer", "Quickprop", "RMSprop", "ReduceLROnPlateau", "Rprop", "SGD",
    "adadelta", "adagrad", "adam", "adamax", "adamw", "add_gradient_noise_", "clip_grad_norm_",
    "clip_grad_value_", "constant", "cosine", "group_parameters", "inverse", "inverse_sqrt",
    "momentum", "nadam", "nesterov", "one_cycle", "quickprop", "rmsprop", "rprop", "sgd",
    "staircase", "warmup",
    *_LATER, "metrics",
]  # fmt: skip


def __getattr__(name):
    if name == "metrics":
        return importlib.import_module(".metrics", __name__)
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
