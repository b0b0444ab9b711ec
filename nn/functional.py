"""The operations of networks that are worth an operation of their own.

Each is defined by a formula that could be written in plain NumPy; it is one operation because
its derivative then needs fewer passes and keeps fewer arrays.  The tests hold each to its
composed form.  Shapes: N examples, C classes or features.
"""

import math

import numpy as np

from autograd import elementwise, general, log_softmax, softmax
from autograd.batching import broadcasting, everywhere, lifted, shifted, size_of
from autograd.lazy import lazily
from autograd.primitive import like, registry
from autograd.rules.random import bernoulli

from .checks import check_probability


def _rows(a):
    """All leading axes folded into one: a stack of matrices becomes one matrix."""
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])


def _linear(x, weight, bias):
    # np.dot and not @, for two matrices: small ones take a fifth less time
    y = np.dot(x, weight.T) if np.ndim(x) == 2 else x @ weight.T
    return y if bias is None else _plus(y, bias)


def _plus(y, b):
    """``y + b``, written into y, an array of our own, where that keeps NumPy's promotion."""
    if y.dtype is not b.dtype or not y.ndim:
        return y + b
    y += b
    return y


def _linear_pull_weight(g, y, x, weight, bias):
    if x.ndim == 1:  # an outer product: for one example, or for each of many under vmap
        return g[:, None] * x
    return np.dot(_rows(g).T, _rows(x))


def _linear_batch(operation, args, mapped, options):
    """One product where all examples have the same weights, else a stack of products."""
    x, weight, bias = args
    if not mapped[1] and not mapped[2]:
        return operation.apply(args, options)
    if mapped[1]:
        matmul = registry[np.matmul]
        y = matmul.batch(matmul, (x, np.swapaxes(weight, -1, -2)), mapped[:2], {})
    else:
        y = operation.apply([x, weight, None], options)
    if bias is None:
        return y
    return broadcasting(registry[np.add], (y, bias), (mapped[0] or mapped[1], mapped[2]), {})


linear = general(
    _linear,
    (
        lambda g, y, x, weight, bias: np.dot(g, weight) if g.ndim == 2 else g @ weight,
        _linear_pull_weight,
        lambda g, y, x, weight, bias: g,
    ),
    (
        lambda g, y, x, weight, bias: g @ weight.T,
        lambda g, y, x, weight, bias: x @ g.T,
        lambda g, y, x, weight, bias: g,
    ),
    batch=_linear_batch,
    name="linear",
    doc="``x @ weight.T + bias``: x (..., in), weight (out, in), bias (out,) or None.",
)


def _batch_norm(x, gamma, beta, axes, eps):
    mean = np.mean(x, axes, keepdims=True)
    centered = x - mean
    var = np.mean(np.square(centered), axes, keepdims=True)
    return _plus(centered * (gamma / np.sqrt(var + eps)), beta), mean, var


def _batch_norm_pull_x(g, y, x, gamma, beta, axes, eps):
    # Lecture C's closed form (Ioffe & Szegedy 2015, section 3), and what arrives by way of the
    # statistics; gathered by power of x, so that the array is passed over once for each
    gy, gmean, gvar = g
    _, mean, var = y
    count = math.prod(x.shape[axis] for axis in axes)
    inverse = 1 / (var + eps)
    scale = gamma * np.sqrt(inverse)
    centered = x - mean
    by_mean = np.mean(gy, axes, keepdims=True)
    by_var = np.mean(gy * centered, axes, keepdims=True)
    slope = gvar * (2 / count) - scale * inverse * by_var
    return gy * scale + centered * slope + (gmean / count - scale * by_mean)


def _batch_norm_pull_gamma(g, y, x, gamma, beta, axes, eps):
    _, mean, var = y
    return np.sum(g[0] * (x - mean), axes, keepdims=True) / np.sqrt(var + eps)


def _batch_norm_push_x(g, y, x, gamma, beta, axes, eps):
    _, mean, var = y
    inverse = 1 / (var + eps)
    scale = gamma * np.sqrt(inverse)
    centered = x - mean
    dmean = np.mean(g, axes, keepdims=True)
    dvar = 2 * np.mean(centered * g, axes, keepdims=True)
    return (g - dmean) * scale - centered * (scale * inverse * dvar / 2), dmean, dvar


def _batch_norm_push_gamma(g, y, x, gamma, beta, axes, eps):
    _, mean, var = y
    return (x - mean) * (g / np.sqrt(var + eps)), np.zeros_like(mean), np.zeros_like(var)


def _batch_norm_push_beta(g, y, x, gamma, beta, axes, eps):
    return np.broadcast_to(g, x.shape), np.zeros_like(y[1]), np.zeros_like(y[2])


def _batch_norm_batch(operation, args, mapped, options):
    """Statistics of each example's rows: gamma and beta, where they differ, get x's axes."""
    size = size_of(args, mapped)
    x = everywhere(args[0], mapped[0], size)
    axes = np.ndim(x) - 1
    rest = [lifted(a, axes) if m else a for a, m in zip(args[1:], mapped[1:], strict=True)]
    return operation.apply([x, *rest], options | {"axes": shifted(options["axes"], axes)})


batch_norm = general(
    _batch_norm,
    (_batch_norm_pull_x, _batch_norm_pull_gamma, lambda g, y, x, gamma, beta, axes, eps: g[0]),
    (_batch_norm_push_x, _batch_norm_push_gamma, _batch_norm_push_beta),
    outputs=True,
    batch=_batch_norm_batch,
    name="batch_norm",
    doc="""``(gamma * (x - mean) / sqrt(var + eps) + beta, mean, var)``, statistics over `axes`.

    The variance is the biased one; mean and var keep their axes.
    """,
)


_dropout = elementwise(
    lambda x, mask, scale: np.multiply(x, mask) * scale,
    lambda g, y, x, mask, scale: g * mask * scale,
    None,
    None,
    name="dropout",
)


def dropout(x, p=0.5, generator=None):
    """Zero each element with probability p and divide the rest by 1 - p (inverted dropout).

    The expectation is x.  Raises ValueError for p outside [0, 1].
    """
    check_probability("dropout", p=p)
    if p == 0:
        return x
    mask = bernoulli(x, p=1 - p, generator=generator)
    return _dropout(x, mask, 1 / (1 - p) if p < 1 else 0.0)


def _cross_entropy(logits, labels, mean, kept):
    n, classes = logits.shape
    # NumPy is quick at reducing over the first axis and over a long last one: few classes are
    # laid out one after the other, where (1024, 10) takes a sixth of the time
    across = classes < 64
    z = logits.T.copy() if across else logits.copy()
    axis = 0 if across else 1
    z -= z.max(axis, keepdims=True)
    # where the labels' scores stand in memory
    rows = np.arange(n, like=like(labels))
    places = rows + labels * n if across else rows * classes + labels
    slopes = np.exp(z)
    total = np.add.reduce(slopes, axis, keepdims=True)
    losses = np.log(total).reshape(-1) - z.reshape(-1)[places]
    slopes /= total
    entries = slopes.reshape(-1)
    entries[places] -= 1
    slopes = entries.reshape(z.shape)
    kept["logits"], kept["slopes"] = logits, slopes.T if across else slopes
    return np.add.reduce(losses) / n if mean else losses


def _cross_entropy_lazily(logits, labels, mean, kept):
    """The same by masks: no element is read or written by its number."""
    hits = _hits(logits, labels)
    losses = -np.sum(np.where(hits, log_softmax(logits, axis=1), 0), axis=1)
    losses = np.where(np.any(hits, axis=1), losses, np.nan)  # labels out of range
    return np.sum(losses) / logits.shape[0] if mean else losses


def _cross_entropy_slopes(logits, labels, kept):
    """softmax - one-hot: what the forward kept, if for this very array, or else computed."""
    if kept.get("logits") is logits:
        return kept["slopes"]
    return softmax(logits, axis=1) - _hits(logits, labels)


def _hits(logits, labels):
    """Where the labels' scores stand, (N, C)."""
    return labels[:, None] == np.arange(logits.shape[1], like=like(labels))


def _cross_entropy_batch(operation, args, mapped, options):
    """The rows of all examples are rows of one matrix."""
    size = size_of(args, mapped)
    logits, labels = (everywhere(a, m, size) for a, m in zip(args, mapped, strict=True))
    _, n, classes = logits.shape
    folded = [logits.reshape((size * n, classes)), labels.reshape((size * n,))]
    losses = operation.apply(folded, {"mean": False, "kept": {}}).reshape((size, n))
    if not options["mean"]:
        return losses
    return losses[:, 0] if n == 1 else np.sum(losses, axis=1) / n


def _cross_entropy_push(t, y, logits, labels, mean, kept):
    losses = np.sum(_cross_entropy_slopes(logits, labels, kept) * t, axis=1)
    return np.sum(losses) / logits.shape[0] if mean else losses


softmax_cross_entropy = general(
    _cross_entropy,
    (
        lambda g, y, logits, labels, mean, kept: (
            _cross_entropy_slopes(logits, labels, kept)
            * (g / logits.shape[0] if mean else g[:, None])
        ),
        None,
    ),
    (_cross_entropy_push, None),
    batch=_cross_entropy_batch,
    name="cross_entropy",
    doc="""The loss -log softmax(logits)[label] of each row, or with `mean` the mean of all.

    logits (N, C), labels N integers in [0, C); `kept` is a dict in which the forward leaves the
    slopes for the pull.
    """,
)
lazily(softmax_cross_entropy, _cross_entropy_lazily)
