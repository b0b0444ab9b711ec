"""Derivative rules, one definition per operation, by subject."""

from . import indexing, linalg, numerics, products, random, shapes  # noqa: F401 - they register
from .elementwise import log_sigmoid, relu, sigmoid, softplus
from .reductions import log_softmax, logsumexp, softmax
from .selection import put_along_axis, take

__all__ = [
    "log_sigmoid", "log_softmax", "logsumexp", "put_along_axis", "relu", "sigmoid", "softmax",
    "softplus", "take",
]  # fmt: skip
