"""Metrics of a network's outputs: scikit-learn's, on logits.

Each takes (outputs, targets), in the order of the losses, and returns a number; higher is better.
`fit` and `evaluate` call them on the outputs of the whole data, not batch by batch, as F1 and R²
have to be.  Outputs of a classifier are scores (N, C), logits or probabilities; or N logits of a
sigmoid, of which those above 0 mean class 1; or N class numbers, integers.  Labels are N class
numbers, or probabilities (N, C), one-hot ones for instance, of which the largest counts.
"""

import numpy as np
from sklearn import metrics

from autograd.payload import numeric
from autograd.primitive import telling

__all__ = ["accuracy", "confusion_matrix", "f1", "predicted_classes", "r2", "top_k"]


@telling
def accuracy(outputs, labels):
    """The share of examples whose largest score is their label's.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), [0, 0])
    0.5
    """
    return float(metrics.accuracy_score(_labels(labels), predicted_classes(outputs)))


def top_k(k=5):
    """The metric: the share of examples whose label is among the k largest scores.

    >>> top_k(2)(np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 3.0]]), [1, 0])
    0.5
    """

    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"top_k: k is a positive integer, got {k!r}")

    def metric(outputs, labels):
        outputs = _array(outputs)
        if outputs.ndim != 2 or not 0 < k <= outputs.shape[1]:
            raise ValueError(f"top_k: scores (N, C) with C >= k = {k} wanted, got {outputs.shape}")
        known = np.arange(outputs.shape[1])
        if k == len(known):
            return 1.0  # scikit-learn says so too, but warns
        if len(known) == 2:  # it takes two classes' scores as one column
            return accuracy(outputs, labels)
        return float(metrics.top_k_accuracy_score(_labels(labels), outputs, k=k, labels=known))

    metric.__name__ = f"top_{k}"
    return metric


@telling
def confusion_matrix(outputs, labels):
    """How many examples of class i (row) were taken for class j (column): (C, C) ints."""
    outputs = _array(outputs)
    known = np.arange(outputs.shape[1]) if outputs.ndim == 2 and outputs.shape[1] > 1 else None
    return metrics.confusion_matrix(_labels(labels), predicted_classes(outputs), labels=known)


@telling
def f1(outputs, labels):
    """F1, the harmonic mean of precision and recall: the mean over the classes ("macro")."""
    return float(
        metrics.f1_score(
            _labels(labels), predicted_classes(outputs), average="macro", zero_division=0
        )
    )


@telling
def r2(outputs, targets):
    """R² = 1 - Σ(y-o)² / Σ(y-ȳ)²; the mean over the outputs, where there are several."""
    outputs, targets = _array(outputs), _array(targets)
    if outputs.shape != targets.shape:
        raise ValueError(
            f"r2: outputs of shape {outputs.shape} and targets of shape {targets.shape}; a target "
            f"for each output is wanted"
        )
    return float(metrics.r2_score(targets, outputs))


@telling
def predicted_classes(outputs):
    """The class numbers that outputs stand for, N integers."""
    outputs = _array(outputs)
    if outputs.dtype.kind == "f" and np.isnan(outputs).any():
        raise ValueError("a classifier's outputs hold nan, which stands for no class")
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return np.argmax(outputs, axis=1)
    if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
        outputs = outputs.reshape(-1)
        return outputs if outputs.dtype.kind in "iub" else (outputs > 0).astype(int)
    raise ValueError(
        f"a classifier's outputs are scores (N, C), N logits or N class numbers; got shape "
        f"{outputs.shape}"
    )


def _labels(labels):
    labels = _array(labels)
    if labels.ndim != 2:
        return labels
    return labels.reshape(-1) if labels.shape[1] == 1 else np.argmax(labels, axis=1)


def _array(x):
    return np.asarray(numeric("a metric", x))
