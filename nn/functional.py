"""The operations of networks that are worth an operation of their own, and losses.

Each is defined by a formula that could be written in plain NumPy; it is one operation because
its derivative then needs fewer passes and keeps fewer arrays.  The tests hold each to its
composed form.  Shapes: N examples, C classes or features.
"""

import numpy as np

from autograd import elementwise, general, softmax, softplus
from autograd.batching import broadcasting, everywhere, lifted, shifted, size_of
from autograd.primitive import Wrapper, plain, registry, undifferentiated
from autograd.rules.random import bernoulli


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
    count = x.size // mean.size
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
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is the probability of dropping, in [0, 1]; got {p}")
    if p == 0:
        return x
    mask = bernoulli(x, p=1 - p, generator=generator)
    return _dropout(x, mask, 1 / (1 - p) if p < 1 else 0.0)


def _cross_entropy(logits, labels, mean, kept):
    n, classes = logits.shape
    places = np.arange(0, n * classes, classes) + labels  # of the labels' scores, row after row
    shifted = logits - np.maximum.reduce(logits, 1, keepdims=True)
    slopes = np.exp(shifted)
    total = np.add.reduce(slopes, 1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted.reshape(-1)[places]
    slopes /= total
    entries = slopes.reshape(-1)  # a copy, if logits is not in C order
    entries[places] -= 1
    kept["logits"], kept["slopes"] = logits, entries.reshape(logits.shape)
    return np.add.reduce(losses) / n if mean else losses


def _cross_entropy_slopes(logits, labels, kept):
    """softmax - one-hot: what the forward kept, if for this very array, or else computed."""
    if kept.get("logits") is logits:
        return kept["slopes"]
    return softmax(logits, axis=1) - (labels[:, None] == np.arange(logits.shape[1]))


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


_softmax_cross_entropy = general(
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
)


def cross_entropy(logits, labels, reduction="mean"):
    """Negative log-likelihood of the labels under softmax(logits): (N, C) and N ints -> number.

    One example, of logits (C,) and an int, has its one loss whatever the reduction.

    Lecture A's multi-class loss in its stable form, log Σ exp(z - max z) - (z_label - max z);
    its derivative by the logits is (softmax - one-hot).

    labels      integers in [0, C)
    reduction   "mean", "sum" or "none" (one loss for each example)

    Raises TypeError for fractional labels, ValueError for shapes, IndexError for labels out of
    range.
    """
    labels = undifferentiated(labels)
    if not isinstance(labels, Wrapper):
        labels = np.array(labels)  # a copy: a loader may refill its array before backward()
    logits = logits if hasattr(logits, "shape") else np.asarray(logits)
    shape = logits.shape
    if len(shape) not in (1, 2) or labels.shape != shape[:-1]:
        raise ValueError(
            f"cross_entropy: logits (N, C) and N labels wanted, or (C,) and one label; got logits "
            f"of shape {shape} and labels of shape {labels.shape}"
        )
    _check_labels(plain(labels), shape[-1])
    _check_reduction("cross_entropy", reduction)
    if not shape[0] and reduction == "mean":
        raise ValueError("cross_entropy: the mean over no examples is not defined (N = 0)")
    if labels.dtype != int:  # also of unsigned integers: they add to signed ones
        labels = labels.astype(int)
    if len(shape) == 1:
        logits, labels, reduction = logits[None], labels[None], "mean"
    options = {"mean": reduction == "mean", "kept": {}}
    losses = _softmax_cross_entropy.apply((logits, labels), options)
    return np.sum(losses) if reduction == "sum" else losses


def _check_labels(labels, classes):
    """TypeError for labels that are no whole numbers, IndexError for those out of range."""
    if labels.dtype.kind not in "iu":
        if labels.dtype.kind != "f" or np.any(labels != np.floor(labels)):
            raise TypeError(
                f"cross_entropy: labels are class numbers 0..{classes - 1}, integers; got "
                f"{labels.dtype} with fractions or no numbers at all"
            )
    labels = labels.astype(int, copy=False)
    # as unsigned numbers the negative ones are too large: one pass finds both
    if labels.size and np.maximum.reduce(labels.view(np.uint), axis=None) >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise IndexError(f"cross_entropy: label {wrong} is not in 0..{classes - 1}")


def binary_cross_entropy_with_logits(logits, targets, reduction="mean"):
    """Negative log-likelihood of targets in [0, 1] under sigmoid(logits), elementwise, any shape.

    Lecture A's loss of a sigmoid unit, -t log σ(z) - (1 - t) log(1 - σ(z)), as
    t·softplus(-z) + (1 - t)·softplus(z): exact for every z.  Its derivative by z is σ(z) - t.

    reduction   "mean", "sum" or "none" (one loss for each element)

    Raises ValueError for targets of another shape or outside [0, 1].

    >>> binary_cross_entropy_with_logits(np.array([1000.0, -1000.0]), np.array([1, 1]))
    np.float64(500.0)
    """
    name = "binary_cross_entropy_with_logits"
    _check_reduction(name, reduction)
    logits = logits if hasattr(logits, "shape") else np.asarray(logits)
    targets = np.asarray(plain(targets))
    if targets.shape != logits.shape:
        raise ValueError(
            f"{name}: logits of shape {logits.shape} and targets of shape {targets.shape}; "
            f"a target for each logit is wanted"
        )
    if not np.all((targets >= 0) & (targets <= 1)):
        raise ValueError(f"{name}: targets are probabilities or 0 and 1, in [0, 1]")
    if not targets.size and reduction == "mean":
        raise ValueError(f"{name}: the mean over no elements is not defined")
    targets = targets.astype(logits.dtype)
    losses = targets * softplus(-logits) + (1 - targets) * softplus(logits)
    return losses if reduction == "none" else getattr(np, reduction)(losses)


def _check_reduction(name, reduction):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{name}: reduction is "mean", "sum" or "none", not {reduction!r}')
