"""Networks on the differentiable NumPy: modules, layers and losses, named as in PyTorch.

>>> import numpy as np
>>> model = Sequential(Linear(2, 8), Tanh(), Linear(8, 1))
>>> model(np.zeros((5, 2), np.float32)).shape
(5, 1)
"""

from .functional import binary_cross_entropy_with_logits, cross_entropy
from .layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential, Tanh
from .module import Module, Parameter, functional_call

__all__ = [
    "BatchNorm1d", "Dropout", "Linear", "Module", "Parameter", "ReLU", "Sequential", "Tanh",
    "binary_cross_entropy_with_logits", "cross_entropy", "functional_call",
]  # fmt: skip
