"""Losses: how far outputs are from targets, and penalties on parameters.

A loss compares outputs o with targets y of the same shape, or scores of classes with labels.
Its `reduction` says what becomes of the single losses:

"mean"   their mean (the default)
"sum"    their sum
"none"   each by itself

Shapes: N examples, C classes; ``...`` any further axes, such as an image's or a sequence's.  A
shape that does not fit raises ValueError: nothing is broadcast, as (N, 1) against (N,) would
silently be (N, N).
"""

import numpy as np

from autograd import elementwise, log_softmax, relu, softplus, take
from autograd.lazy import holds, is_lazy
from autograd.payload import base_array, real
from autograd.primitive import Wrapper, like, plain, telling, undifferentiated

from .checks import check_not_negative, check_probability
from .functional import softmax_cross_entropy
from .module import check_module

# --- outputs against targets ----------------------------------------------------------------------


@telling
def mse(o, y, reduction="mean"):
    """(o - y)², elementwise.

    >>> mse(np.array([1.0, 3.0]), [1.0, 1.0])
    np.float64(2.0)
    """
    o, y = _pair("mse", o, y)
    return _reduced("mse", np.square(o - y), reduction)


@telling
def half_squared_error(o, y, reduction="mean"):
    """½Σ(y - o)² of each example (lectures A, D): the derivative by o is o - y.

    o, y        (N, ...), the sum being over ``...``
    reduction   "sum" is the lectures' loss over all examples

    >>> half_squared_error(np.array([[1.0, 3.0], [0.0, 0.0]]), [[1.0, 1.0], [0.0, 0.0]], "sum")
    np.float64(2.0)
    """
    o, y = _pair("half_squared_error", o, y)
    losses = np.square(o - y)
    if losses.ndim > 1:
        losses = np.sum(losses, axis=tuple(range(1, losses.ndim)))
    return _reduced("half_squared_error", 0.5 * losses, reduction)


@telling
def mae(o, y, reduction="mean"):
    """|o - y|, elementwise; its derivative at 0 is 0.

    >>> mae(np.array([1.0, 3.0]), [1.0, 1.0])
    np.float64(1.0)
    """
    o, y = _pair("mae", o, y)
    return _reduced("mae", np.abs(o - y), reduction)


@telling
def huber(o, y, reduction="mean", *, delta=1.0):
    """½r² where |r| <= delta, else delta (|r| - ½delta), r = o - y, elementwise.

    >>> huber(np.array([0.5, 3.0]), [0.0, 0.0], "none")
    array([0.125, 2.5  ])
    """
    check_not_negative("huber", delta=delta)
    if not delta:
        raise ValueError("huber: delta is positive, got 0")
    o, y = _pair("huber", o, y)
    r = o - y
    near = np.clip(r, -delta, delta)
    return _reduced("huber", near * (r - 0.5 * near), reduction)


@telling
def hinge(scores, y, reduction="mean", *, margin=1.0):
    """max(0, margin - y·score), elementwise, for y of -1 and 1; its derivative at the kink is 0.

    >>> hinge(np.array([2.0, 0.5, -1.0]), [1, 1, 1], "none")
    array([0. , 0.5, 2. ])
    """
    scores, y = _pair("hinge", scores, y)
    if not holds(np.abs(y) == 1):
        raise ValueError("hinge: y is -1 or 1; for class numbers use multi_margin")
    return _reduced("hinge", relu(margin - y * scores), reduction)


# --- probabilities --------------------------------------------------------------------------------


def _clamped_log(x):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100)


clamped_log = elementwise(
    _clamped_log, lambda g, y, x: g / np.maximum(x, 1e-12), name="clamped_log",
    doc="log x, at least -100; and 1/x, at most 1e12.",
)  # fmt: skip


def _binary(p, y):
    return -(y * clamped_log(p) + (1 - y) * clamped_log(1 - p))


@telling
def binary_cross_entropy(p, y, reduction="mean", *, weight=None):
    """-y log p - (1 - y) log(1 - p) of probabilities p, elementwise (lecture A).

    Finite at p = 0 and 1: logarithms are at least -100 and their derivatives at most 1e12, as
    PyTorch has it.  By the logit z of p = σ(z) the derivative is p - y, which
    `binary_cross_entropy_with_logits` has exactly.

    y        probabilities, or 0 and 1
    weight   of each loss: a number, or an array that broadcasts; the mean stays that of all losses

    >>> binary_cross_entropy(np.array([0.0, 0.5]), [1, 1], "none").round(4)
    array([100.    ,   0.6931])
    """
    name = "binary_cross_entropy"
    p, y = _pair(name, p, y)
    _check_probabilities(name, "p", p)
    _check_probabilities(name, "targets", y)
    return _reduced(name, _rescaled(name, "weight", weight, _binary(p, y)), reduction)


@telling
def binary_cross_entropy_with_logits(logits, y, reduction="mean", *, weight=None, pos_weight=None):
    """Negative log-likelihood of targets in [0, 1] under sigmoid(logits), elementwise.

    Lecture A's loss of a sigmoid unit, -y log σ(z) - (1 - y) log(1 - σ(z)), as
    y·softplus(-z) + (1 - y)·softplus(z): exact for every z.  Its derivative by z is σ(z) - y.

    weight       as for `binary_cross_entropy`
    pos_weight   by which the first term is multiplied: a number, or an array that broadcasts

    >>> binary_cross_entropy_with_logits(np.array([1000.0, -1000.0]), np.array([1, 1]))
    np.float64(500.0)
    """
    name = "binary_cross_entropy_with_logits"
    z, y = _pair(name, logits, y)
    _check_probabilities(name, "targets", y)
    losses = _rescaled(name, "pos_weight", pos_weight, y * softplus(-z)) + (1 - y) * softplus(z)
    return _reduced(name, _rescaled(name, "weight", weight, losses), reduction)


def _rescaled(name, what, weight, losses):
    """Each loss times its weight."""
    if weight is None:
        return losses
    weight, shape = _weights(name, what, weight, losses.dtype), losses.shape
    try:
        fits = np.broadcast_shapes(weight.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: {what} of shape {weight.shape} does not broadcast to the targets' {shape}"
        )
    return weight * losses


@telling
def kl_div(log_q, p, reduction="mean", *, log_target=False):
    """p (log p - log q), elementwise, given log q: PyTorch's kl_div.

    log_q        logarithms of the output's probabilities, as from log_softmax
    p            the target distribution; 0 contributes 0
    reduction    as for the others, or "batchmean": the sum divided by N.  "mean" divides by the
                 number of all elements and is no divergence
    log_target   p is given by its logarithm too

    >>> p = np.array([[0.5, 0.5]])
    >>> kl_div(np.log([[0.25, 0.75]]), p, "batchmean").round(4)
    np.float64(0.1438)
    """
    log_q, p = _pair("kl_div", log_q, p)
    if log_target:
        counts = p > -np.inf
        losses = np.exp(p) * (np.where(counts, p, 0.0) - np.where(counts, log_q, 0.0))
    else:
        losses = _entropy_terms(p) - p * np.where(p > 0, log_q, 0.0)
    if reduction != "batchmean":
        return _reduced("kl_div", losses, reduction, '"mean", "sum", "none" or "batchmean"')
    if not losses.ndim or not losses.shape[0]:
        raise _of_nothing("kl_div")
    return np.sum(losses) / losses.shape[0]


@telling
def kl_divergence(p, q, reduction="mean"):
    """KL(p ‖ q) = Σ p log(p/q) over the last axis: of target p and output q (lecture C).

    p, q   probabilities (..., C); where p is 0 the term is 0, where q alone is, it is inf

    The derivative by q is -p/q; by the logits of a softmax it is q - p, which
    `cross_entropy` of the logits has exactly.

    >>> kl_divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])).round(4)
    np.float64(0.1438)
    """
    q, p = _pair("kl_divergence", q, p)
    if not q.ndim:
        raise ValueError("kl_divergence: distributions (..., C) wanted, got a single number")
    terms = _entropy_terms(p) - p * np.log(np.where(p > 0, q, 1.0))
    return _reduced("kl_divergence", np.sum(terms, axis=-1), reduction)


@telling
def sparsity_kl(code, target=0.1):
    """Σ_j KL(s ‖ ŝ_j) of units that are on with probability s and ŝ_j (lecture A): a number.

    code     outputs of units in [0, 1], (N, units...); ŝ_j is unit j's mean over the batch
    target   s, in (0, 1)

    Finite where a mean is 0 or 1, as `binary_cross_entropy` is.

    >>> sparsity_kl(np.array([[0.0, 0.3], [0.2, 0.7]]), 0.1).round(4)
    np.float64(0.3681)
    """
    check_probability("sparsity_kl", target=target)
    if target in (0, 1):
        raise ValueError(f"sparsity_kl: target lies in (0, 1), got {target}")
    code = real("sparsity_kl, code", code)
    if not np.ndim(code) or not np.shape(code)[0]:
        raise ValueError(f"sparsity_kl: code (N, ...) of a batch wanted, got {np.shape(code)}")
    means, entropy = np.mean(code, axis=0), float(_binary(target, target))
    _check_probabilities("sparsity_kl", "the units' means", means)
    return np.sum(_binary(means, target) - entropy)


def _entropy_terms(p):
    return p * np.log(np.where(p > 0, p, 1.0))


# --- classes --------------------------------------------------------------------------------------


@telling
def cross_entropy(
    logits, labels, reduction="mean", *, weight=None, ignore_index=-100, label_smoothing=0.0
):
    """Negative log-likelihood of the labels under softmax(logits): (N, C) and N ints -> number.

    Lecture A's multi-class loss in its stable form, log Σ exp(z - max z) - (z_label - max z);
    its derivative by the logits is (softmax - one-hot).

    logits            (N, C), (N, C, ...), or (C,) for one example
    labels            whole numbers in [0, C): (N,), (N, ...), or one; or target probabilities,
                      floats of the shape of the logits
    weight            of each class, (C,): the mean is then the weighted one; with probabilities,
                      as in PyTorch, the sum is divided by the number of examples all the same
    ignore_index      a label whose examples do not count
    label_smoothing   how much of each target is spread evenly over all classes

    One example has its one loss whatever the reduction.  Raises TypeError for fractional labels,
    ValueError for shapes, IndexError for labels out of range.
    """
    name = "cross_entropy"
    logits = _floats(name, "logits", logits)
    shape = logits.shape
    if not hasattr(labels, "shape"):
        labels = np.asarray(labels)
    if np.shape(labels) == shape and labels.dtype.kind == "f" and shape:
        return _soft_cross_entropy(logits, labels, reduction, weight, label_smoothing)
    labels, counted = _checked_labels(name, shape, labels, ignore_index)
    if weight is None and counted is None and not label_smoothing and len(shape) <= 2:
        _check_reduction(name, reduction)
        if not shape[0] and reduction == "mean":
            raise _of_nothing(name)
        if len(shape) == 1:
            logits, labels, reduction = logits[None], labels[None], "mean"
        losses = softmax_cross_entropy.apply(
            (logits, labels), {"mean": reduction == "mean", "kept": {}}
        )
        return np.sum(losses) if reduction == "sum" else losses
    rows, flat = _by_row(logits, counted), labels.reshape(-1)
    weight = _class_weights(name, weight, rows)
    losses = softmax_cross_entropy.apply((rows, flat), {"mean": False, "kept": {}})
    spread = 0.0
    if label_smoothing:
        spread = _check_smoothing(label_smoothing) / shape[_classes(shape)]
        evenly = -np.sum(weight * log_softmax(rows, axis=1), axis=1)
        spread = spread * (evenly if counted is None else evenly * counted.reshape(-1))
    return _weighted(
        name, (1 - label_smoothing) * losses, spread, weight, flat, counted, labels.shape, reduction
    )


def _soft_cross_entropy(logits, targets, reduction, weight, label_smoothing):
    """Of target probabilities, in the shape of the logits."""
    name, axis = "cross_entropy", _classes(logits.shape)
    _check_probabilities(name, "targets", targets)
    targets = _in(name, "targets", targets, logits.dtype)
    if label_smoothing:
        even = _check_smoothing(label_smoothing) / logits.shape[axis]
        targets = (1 - label_smoothing) * targets + even
    losses = targets * log_softmax(logits, axis=axis)
    if weight is not None:
        rows = _by_row(losses)
        losses = rows * _class_weights(name, weight, rows)
        losses = -np.sum(losses, axis=1).reshape(_without(logits.shape, axis))
    else:
        losses = -np.sum(losses, axis=axis)
    return _reduced(name, losses, reduction)


@telling
def nll(log_probabilities, labels, reduction="mean", *, weight=None, ignore_index=-100):
    """-log p of the labels, given logarithms of probabilities, as from `log_softmax`.

    Shapes and options are `cross_entropy`'s, which of logits is the same in one step.

    >>> nll(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1], "none").round(4)
    array([0.6931, 0.2231])
    """
    name, scores = "nll", _floats("nll", "log_probabilities", log_probabilities)
    labels, counted = _checked_labels(name, scores.shape, labels, ignore_index)
    rows, flat = _by_row(scores, counted), labels.reshape(-1)
    losses = -np.take_along_axis(rows, flat[:, None], axis=1)[:, 0]
    weight = _class_weights(name, weight, rows)
    return _weighted(name, losses, 0.0, weight, flat, counted, labels.shape, reduction)


@telling
def multi_margin(scores, labels, reduction="mean", *, margin=1.0):
    """Σ_(c ≠ label) max(0, margin - score_label + score_c) / C: the hinge of several classes.

    Shapes are `cross_entropy`'s.  As in PyTorch the sum is divided by C.

    >>> multi_margin(np.array([[1.0, 2.0, 0.5]]), [1]).round(4)
    np.float64(0.0)
    """
    name, scores = "multi_margin", _floats("multi_margin", "scores", scores)
    labels, _ = _checked_labels(name, scores.shape, labels, None)
    rows, flat = _by_row(scores), labels.reshape(-1)
    own = np.take_along_axis(rows, flat[:, None], axis=1)
    # the label's own term is the margin, whatever its score
    losses = (np.sum(relu(margin - own + rows), axis=1) - margin) / rows.shape[1]
    losses = losses.reshape(labels.shape) if labels.shape else losses[0]
    return _reduced(name, losses, reduction)


def _checked_labels(name, shape, labels, ignore_index):
    """Labels as integers in 0..C-1, and where they count: None if everywhere, else a mask.

    The labels are a copy: a loader may refill its array before backward().
    """
    labels = undifferentiated(labels)
    if isinstance(labels, np.ndarray):
        labels = base_array(labels)
    labels = labels if isinstance(labels, Wrapper) or is_lazy(labels) else np.copy(labels)
    axis = _classes(shape)
    if axis is None or labels.shape != _without(shape, axis):
        raise ValueError(
            f"{name}: scores (N, C) and N labels wanted, (N, C, ...) and (N, ...), or (C,) and "
            f"one label; got scores of shape {shape} and labels of shape {labels.shape}"
        )
    classes = shape[axis]
    numbers = labels if type(labels) is np.ndarray else plain(labels)
    if numbers.dtype is not INT:
        kind = numbers.dtype.kind
        whole = kind in "iu" or (
            kind == "f" and holds(np.isfinite(numbers) & (numbers == np.floor(numbers)))
        )
        if not whole:
            raise TypeError(
                f"{name}: labels are class numbers 0..{classes - 1}, integers; got "
                f"{numbers.dtype}{' with fractions, inf or nan' * (kind == 'f')}"
            )
        labels = labels.astype(int)
        numbers = plain(labels)
    if is_lazy(numbers):  # their values are not there yet; the loss is nan for those out of range
        counted = None if ignore_index in (None, -100) else labels != ignore_index
        return (labels, None) if counted is None else (labels * counted, counted)
    # as unsigned numbers the negative ones are too large: one pass finds both
    inside = not numbers.size or numbers.view(np.uint).max() < classes
    if inside and (ignore_index is None or not 0 <= ignore_index < classes):
        return labels, None
    wrong = numbers[(numbers != ignore_index) & ((numbers < 0) | (numbers >= classes))]
    if wrong.size:
        raise IndexError(f"{name}: label {wrong[0]} is not in 0..{classes - 1}")
    counted = labels != ignore_index
    return labels * counted, counted


INT = np.dtype(int)


def _classes(shape):
    """The axis of the classes; None where there is none."""
    return min(len(shape), 2) - 1 if shape else None


def _without(shape, axis):
    return shape[:axis] + shape[axis + 1 :]


def _by_row(scores, counted=None):
    """(N, C, ...) as (examples and places, C), zeros where they do not count."""
    shape = scores.shape
    if len(shape) == 1:
        rows = scores[None]
    else:
        rows = scores if len(shape) == 2 else np.moveaxis(scores, 1, -1).reshape((-1, shape[1]))
    # an inf or nan in what does not count would be nan times the factor 0
    return rows if counted is None else np.where(counted.reshape((-1, 1)), rows, 0.0)


def _class_weights(name, weight, rows):
    classes = rows.shape[1]
    if weight is None:
        return np.ones_like(rows, shape=(classes,))
    weight = _weights(name, "weight", weight, rows.dtype)
    if weight.shape != (classes,):
        raise ValueError(f"{name}: weight of shape ({classes},) wanted, got {weight.shape}")
    return weight


def _weighted(name, losses, spread, weight, labels, counted, shape, reduction):
    """Losses by the labels' weights, 0 where they do not count; the mean is the weighted one.

    spread   what is added to each, weighted already
    """
    _check_reduction(name, reduction)
    share = take(weight, labels)
    if counted is not None:
        share = share * counted.reshape(-1)
    losses = losses * share + spread
    if reduction == "none":
        return losses.reshape(shape) if shape else losses[0]
    if reduction == "sum":
        return np.sum(losses)
    total = np.sum(share)
    if not holds(total != 0):
        raise ValueError(
            f"{name}: the mean over no examples is not defined: all labels are ignored, or of "
            f"classes of weight 0"
        )
    return np.sum(losses) / total


# --- penalties ------------------------------------------------------------------------------------


@telling
def l1_penalty(module, where=None):
    """Σ|w| over the parameters of a module: of those for which where(name, w) holds, or all.

    >>> import nn
    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.data = np.array([[3.0, -4.0]])
    >>> l1_penalty(layer, lambda name, w: name == "weight").data
    np.float64(7.0)
    """
    return _penalty("l1_penalty", np.abs, module, where)


@telling
def l2_penalty(module, where=None):
    """Σw² over the parameters of a module: its derivative is lecture D's weight decay, 2w.

    where   as for `l1_penalty`
    """
    return _penalty("l2_penalty", np.square, module, where)


def _penalty(name, of_each, module, where):
    check_module(name, module)
    chosen = [p for path, p in module.named_parameters() if where is None or where(path, p)]
    if not chosen:
        raise ValueError(f"{name}: no parameter of {type(module).__name__} is chosen")
    return sum((np.sum(of_each(p)) for p in chosen[1:]), np.sum(of_each(chosen[0])))


# --- shapes, values, reductions -------------------------------------------------------------------


def _floats(name, what, x):
    """An array of any type, of floats."""
    return real(f"{name}, {what}", x)


def _in(name, what, y, dtype):
    """Constants in the precision of what they are compared with."""
    y = real(f"{name}, {what}", y)
    return y if isinstance(y, Wrapper) else np.asarray(y, dtype, like=like(y))[()]


def _pair(name, o, y):
    """Outputs and targets as arrays of one shape."""
    o = _floats(name, "outputs", o)
    y = _in(name, "targets", y, o.dtype)
    if o.shape != y.shape:
        raise ValueError(
            f"{name}: outputs of shape {o.shape} and targets of shape {y.shape}; a target for "
            f"each output is wanted"
        )
    return o, y


def _weights(name, what, weight, dtype):
    weight = _in(name, what, weight, dtype)
    if not holds(weight >= 0):
        raise ValueError(f"{name}: {what} is 0 or more")
    return weight


def _check_probabilities(name, what, x):
    if not holds((x >= 0) & (x <= 1)):
        raise ValueError(f"{name}: {what} are probabilities or 0 and 1, in [0, 1]")


def _check_smoothing(amount):
    check_probability("cross_entropy", label_smoothing=amount)
    return amount


def _reduced(name, losses, reduction, known='"mean", "sum" or "none"'):
    _check_reduction(name, reduction, known)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return np.sum(losses)
    if not losses.size:
        raise _of_nothing(name)
    return np.mean(losses)


def _check_reduction(name, reduction, known='"mean", "sum" or "none"'):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction is {known}, not {reduction!r}")


def _of_nothing(name):
    return ValueError(f"{name}: the mean over no examples is not defined (N = 0)")
