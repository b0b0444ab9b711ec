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

import importlib

import numpy as np

from . import matrices, operators, rules  # noqa: F401 - operators installs Tensor's
from .audit import audit
from .batching import LoopWarning
from .check import check_gradients
from .checkpoint import checkpoint
from .costs import Counts
from .counted import count_operations
from .families import bilinear, composition, constant, elementwise, general, linear
from .graph import no_grad
from .mapping import vmap
from .matrices import hessian, hvp, jacobian
from .rules import *  # noqa: F403 - its __all__ lists our own functions
from .rules.random import seed
from .scopes import scope, source_lines
from .tensor import Tensor, stop_gradient
from .transforms import (
    elementwise_grad,
    grad,
    gradients,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)
from .tree import tree_map

# Freed arrays of megabytes go back to the operating system, which hands memory out again page by
# page: up to half the time of a training step, or of a Hessian.  glibc keeps freed memory for the
# arrays to come once a block of this size was freed; this one's memory is never touched.
np.empty(31 << 20, np.uint8)

# What stands around the core is imported when it is first asked for.
_AROUND = {
    "certify": "certificate", "compare_modes": "ledger", "plan": "planner", "scaling": "ledger",
}  # fmt: skip

__all__ = [
    "Counts", "LoopWarning", "Tensor", "audit", "bilinear", "check_gradients", "checkpoint",
    "composition", "constant", "count_operations", "elementwise", "elementwise_grad", "general",
    "grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "linear", "linearize", "no_grad",
    "seed", "scope", "source_lines", "stop_gradient", "tree_map", "value_and_grad", "vjp", "vmap",
    *_AROUND, *rules.__all__,
]  # fmt: skip


def __getattr__(name):
    if name not in _AROUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_AROUND[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})


def _planned(*call):
    return importlib.import_module(".planner", __name__).planned(*call)


def _compressed(*call):
    return importlib.import_module(".planner", __name__).compressed(*call)


def _shown(tensor, include=None, exclude=None):
    return importlib.import_module(".show.draw", __name__).shown(tensor)


matrices.modes["auto"], matrices.compressed = _planned, _compressed
Tensor._repr_mimebundle_ = _shown  # what notebooks ask a result for
