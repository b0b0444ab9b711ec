"""A differentiable NumPy: record operations on arrays, and differentiate what was recorded.

>>> from autograd import Tensor, grad
>>> import numpy as np
>>> x = Tensor([1.0, 2.0])
>>> np.sum(np.sin(x) * x).backward()
>>> x.grad.round(3)
array([1.382, 0.077])
>>> grad(grad(np.exp))(0.0)
1.0
"""

from . import operators, rules  # noqa: F401 - operators installs Tensor's
from .check import check_gradients
from .families import bilinear, composition, constant, elementwise, general, linear
from .graph import no_grad
from .rules import *  # noqa: F403 - its __all__ lists our own functions
from .rules.random import seed
from .tensor import Tensor, stop_gradient
from .transforms import (
    elementwise_grad,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    value_and_grad,
    vjp,
)

__all__ = [
    "Tensor", "bilinear", "check_gradients", "composition", "constant", "elementwise",
    "elementwise_grad", "general", "grad", "gradients", "hessian", "hvp", "jacobian", "linear",
    "no_grad", "seed", "stop_gradient", "value_and_grad", "vjp", *rules.__all__,
]  # fmt: skip
