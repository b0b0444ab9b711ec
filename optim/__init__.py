"""Optimizers for the parameters of `nn`, named as in PyTorch."""

from .optimizers import SGD, Adam
from .rules import adam, sgd

__all__ = ["SGD", "Adam", "adam", "sgd"]
