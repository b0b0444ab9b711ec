"""Operations that reduce axes (sum, max, logsumexp) or run along one (cumsum, diff).

A pull starts by putting the reduced axes back, with length one (`_back`); from there on it
broadcasts against the argument, and the engine does what broadcasting is left.
"""

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..batching import arg_reducing, flattening, reducing, shifting
from ..families import composition, constant, general, linear
from ..lazy import holds
from ..primitive import plain, total
from .elementwise import astype, cast, fractional
from .indexing import getitem

# --- axes -------------------------------------------------------------------------------------


def _axes(axis, ndim):
    """The reduced axes as a tuple of non-negative integers."""
    return tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)


def _back(g, shape, axis, keepdims=False):
    """`g` of a reduction's result, with the reduced axes of `shape` back as axes of length one."""
    if keepdims or axis is None or len(shape) < 2:
        return g  # as it is, it broadcasts against the argument
    n = len(shape)
    axes = {a % n for a in axis} if type(axis) is tuple else (axis % n,)
    return np.reshape(g, [1 if i in axes else length for i, length in enumerate(shape)])


def _to_rows(x, axis):
    """`x` with the axes to reduce last, flattened into one."""
    shape, axes = x.shape, _axes(axis, x.ndim)
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    rows = tuple(shape[i] for i in kept) + (math.prod(shape[i] for i in axes),)
    return (np.transpose(x, kept + axes) if kept else x).reshape(rows)


def _from_rows(rows, shape, axis):
    """The inverse of `_to_rows`, for an array of `shape`."""
    axes = _axes(axis, len(shape))
    order = tuple(i for i in range(len(shape)) if i not in axes) + axes
    back = sorted(range(len(order)), key=order.__getitem__)
    return np.transpose(rows.reshape([shape[i] for i in order]), back)


def _without(shape, axis, keepdims):
    """The shape of a reduction's result."""
    axes = _axes(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)


def _array(x, dtype=None):
    """A composition's argument as something with a shape, in `dtype` where one is given."""
    x = x if hasattr(x, "shape") else np.asarray(x)
    return x if dtype is None else x.astype(dtype)


def _where(where, x, other=0):
    """`x` where the option `where` holds, `other` elsewhere."""
    return x if where is True else np.where(where, x, other)


def _kind(g, dtype, x_dtype):
    """Undo the option `dtype`, which converts the argument before reducing it."""
    return g if dtype is None else astype(g, dtype=x_dtype)


# --- sum, mean, product -----------------------------------------------------------------------


def _sum_pull(g, y, x, axis=None, dtype=None, keepdims=False, initial=0, where=True):
    return _kind(_where(where, _back(g, x.shape, axis, keepdims)), dtype, x.dtype)


def _mean_pull(g, y, x, axis=None, dtype=None, keepdims=False, where=True):
    g = _back(g, x.shape, axis, keepdims)
    g = g / _count(g, x.shape, axis, where, keepdims=True, least=1)
    return _kind(_where(where, g), dtype, x.dtype)


def _count(like, shape, axis, where, keepdims, less=0, least=0):
    """How many elements go into one of the result: a number, or an array of the kind of `like`."""
    if where is True:
        return max(math.prod(shape[a] for a in _axes(axis, len(shape))) - less, least)
    ones = np.where(np.broadcast_to(where, shape), np.ones_like(like, shape=()), 0)
    return np.maximum(np.sum(ones, axis=axis, keepdims=keepdims) - less, least)


linear(np.sum, _sum_pull, drop=("initial",), holds=("where",), batch=reducing)
linear(np.mean, _mean_pull, holds=("where",), batch=reducing)


def _others(x, axis, initial=1, where=True):
    """For each element the product of all others of its reduction: exact with zeros among them.

    y / x would be 0/0.  The second derivative needs the product without any two elements; it
    comes by itself, because the products from the left and from the right know no division.
    """
    rows = _to_rows(_where(where, x, 1), axis)
    left = _shifted(np.cumprod(rows, axis=-1))
    right = _shifted(np.cumprod(rows[..., ::-1], axis=-1))[..., ::-1]
    return _where(where, _from_rows(left * right, x.shape, axis)) * initial


def _shifted(rows):
    """One place to the right along the last axis, beginning with 1."""
    return np.concatenate([np.ones_like(rows[..., :1]), rows[..., :-1]], axis=-1)


def _prod_pull(g, y, x, axis=None, dtype=None, keepdims=False, initial=1, where=True):
    g = _back(g, x.shape, axis, keepdims) * _others(x, axis, initial, where)
    return _kind(g, dtype, x.dtype)


def _prod_push(t, y, x, axis=None, dtype=None, keepdims=False, initial=1, where=True):
    return np.sum(t * _others(x, axis, initial, where), axis=axis, keepdims=keepdims, dtype=dtype)


general(np.prod, _prod_pull, _prod_push, holds=("where",), batch=reducing)


# --- running sums and products ----------------------------------------------------------------


def _cumsum_pull(g, y, x, axis=None, dtype=None):
    axis = 0 if axis is None else axis  # then the argument was flattened
    g = np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)
    return _kind(g.reshape(x.shape), dtype, x.dtype)


linear(np.cumsum, _cumsum_pull, batch=flattening)


def _recurrence(b, a):
    """h with ``h[k] = b[k] + a[k] h[k+1]`` along the last axis, and nothing after the end.

    Solved by odd-even reduction: two steps make one of the same form, so that n of them take
    log n operations on arrays, and O(n) work.  No division: exact where a is zero.
    """
    n = b.shape[-1]
    if n < 2:
        return b
    if n % 2:
        end = np.zeros_like(b[..., :1])
        return _recurrence(_beside(b, end), _beside(a, end))[..., :-1]
    here, there, factor = b[..., ::2], b[..., 1::2], a[..., ::2]
    even = _recurrence(here + factor * there, factor * a[..., 1::2])
    odd = there + a[..., 1::2] * _beside(even[..., 1:], np.zeros_like(even[..., :1]))
    return np.stack([even, odd], axis=-1).reshape(b.shape)


def _beside(a, b):
    return np.concatenate([a, b], axis=-1)


def _cumprod_pull(g, y, x, axis=None, dtype=None):
    """With h[k] the derivative by y[k], also by way of later ones: h[k] = g[k] + x[k+1] h[k+1]."""
    g, y, rows = (_last(a, axis) for a in (g, y, x))
    h = _recurrence(g, _beside(rows[..., 1:], np.zeros_like(rows[..., :1])))
    back = h * _shifted(y)
    back = back if axis is None else np.swapaxes(back, axis, -1)
    return _kind(back.reshape(x.shape), dtype, x.dtype)


def _cumprod_push(t, y, x, axis=None, dtype=None):
    """t_y[k] = y[k-1] t[k] + x[k] t_y[k-1], from the left."""
    t, before, rows = _last(t, axis), _shifted(_last(y, axis)), _last(x, axis)
    factor = _beside(np.zeros_like(rows[..., :1]), rows[..., 1:])
    t = _recurrence((t * before)[..., ::-1], factor[..., ::-1])[..., ::-1]
    return t if axis is None else np.swapaxes(t, axis, -1)


def _last(x, axis):
    """`x` with the axis last; flattened for None."""
    return np.ravel(x) if axis is None else np.swapaxes(x, axis, -1)


general(np.cumprod, _cumprod_pull, _cumprod_push, batch=flattening)


def _cumulative(running, first):
    """`np.cumulative_sum` or `np.cumulative_prod`, of NumPy 2.1, by what they are made of."""

    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        x = _array(x)
        if axis is None and x.ndim > 1:
            raise ValueError("cumulative_sum, cumulative_prod: axis= is needed for more than 1-D")
        axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
        y = running(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        start = np.full_like(y, first, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))
        return np.concatenate([start, y], axis=axis)

    return cumulative


if hasattr(np, "cumulative_sum"):
    composition(np.cumulative_sum)(_cumulative(np.cumsum, 0))
    composition(np.cumulative_prod)(_cumulative(np.cumprod, 1))


# --- largest and smallest ---------------------------------------------------------------------


def _chosen(y, x, axis, keepdims, initial, where):
    """Which elements are the largest (or smallest), and how many; a NaN result chooses NaNs."""
    y = _back(y, x.shape, axis, keepdims)
    chosen = (x == y) | ((x != x) & (y != y))
    chosen = chosen if where is True else chosen & where
    count = np.sum(chosen, axis=axis, keepdims=True)
    if initial is not None:
        count = np.maximum(count + (y == initial), 1)
    return chosen, count.astype(x.dtype)


def _extreme_pull(g, y, x, axis=None, keepdims=False, initial=None, where=True):
    chosen, count = _chosen(y, x, axis, keepdims, initial, where)
    return np.where(chosen, _back(g, x.shape, axis, keepdims) / count, 0)


def _extreme_push(t, y, x, axis=None, keepdims=False, initial=None, where=True):
    chosen, count = _chosen(y, x, axis, keepdims, initial, where)
    return np.sum(np.where(chosen, t / count, 0), axis=axis, keepdims=keepdims)


def _extreme_ties(y, x, axis=None, keepdims=False, initial=None, where=True):
    return _chosen(y, x, axis, keepdims, initial, where)[1] > 1


for _extreme in (np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin):
    general(
        _extreme, _extreme_pull, _extreme_push, holds=("where",), batch=reducing,
        kinks="ties share equally", at_kink=_extreme_ties,
    )  # fmt: skip


@composition(np.ptp, kinks="ties share equally")
def ptp(a, axis=None, out=None, keepdims=False):
    """Peak to peak: the largest less the smallest."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


constant(np.all, np.any, np.count_nonzero, arity=1, batch=reducing)
constant(np.argmax, np.argmin, np.nanargmax, np.nanargmin, arity=1, batch=arg_reducing)


# --- variance, averages, covariance -----------------------------------------------------------


def _ddof(ddof, correction):
    """`ddof` by either of its two names."""
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("var, std: ddof and correction are two names of one thing; give one")
    return correction


def _root(v):
    """The root of a variance.  At zero its derivative is 0, as that of a norm is: not inf * 0."""
    constant = v == 0
    return np.where(constant, 0, np.sqrt(np.where(constant, 1, v)))


@composition(np.var)
def var(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None,
    correction=None,
):  # fmt: skip
    """Mean square of the deviations from the mean."""
    x = _array(a, dtype)
    if mean is None:
        mean = np.mean(x, axis=axis, keepdims=True, **_unless_true(where))
    d = _where(where, x - mean)
    total = np.sum(d * d, axis=axis, keepdims=keepdims)
    return total / _count(x, x.shape, axis, where, keepdims, _ddof(ddof, correction))


def _unless_true(where):
    return {} if where is True else {"where": where}


@composition(np.std, kinks="0 where all elements are equal")
def std(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None,
    correction=None,
):  # fmt: skip
    """The root of the variance."""
    options = {"where": where, "mean": mean, "correction": correction}
    return _root(var(a, axis, dtype, None, ddof, keepdims, **options))


@composition(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """Weighted mean; with ``returned`` also the sum of the weights."""
    a = _array(a)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        count = math.prod(a.shape[i] for i in _axes(axis, a.ndim)) if returned else None
        return (mean, np.full_like(mean, count)) if returned else mean
    w = _array(weights)
    if w.shape != a.shape:
        w = _along(w, a.shape, axis)
    sums = np.sum(w, axis=axis, keepdims=keepdims)
    if not holds(sums != 0):
        raise ZeroDivisionError("average: the weights sum to zero")
    mean = np.sum(a * w, axis=axis, keepdims=keepdims) / sums
    return (mean, np.broadcast_to(sums, mean.shape)) if returned else mean


def _along(w, shape, axis):
    """Weights that have only the axes averaged over, broadcastable to `shape`."""
    if axis is None:
        raise TypeError(
            f"average: weights of shape {w.shape} for an array of shape {shape} need axis="
        )
    axes = _axes(axis, len(shape))
    if w.shape != tuple(shape[i] for i in axes):
        raise ValueError(f"average: weights of shape {w.shape} for axis {axis} of shape {shape}")
    in_order = np.transpose(w, sorted(range(len(axes)), key=axes.__getitem__))
    return in_order.reshape([n if i in axes else 1 for i, n in enumerate(shape)])


@composition(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """Covariance matrix of variables in rows (or columns, for ``rowvar=False``)."""
    x = _observations(m, rowvar)
    if y is not None:
        x = np.concatenate([x, _observations(y, rowvar)], axis=0)
    x = _array(x, dtype)
    ddof = ddof if ddof is not None else (0 if bias else 1)
    weights = [_array(w) for w in (fweights, aweights) if w is not None]
    if not weights:
        d = x - np.mean(x, axis=1, keepdims=True)
        return np.squeeze(d @ d.T / max(x.shape[1] - ddof, 0))
    w = weights[0] if len(weights) == 1 else weights[0] * weights[1]
    total = np.sum(w)
    d = x - np.sum(x * w, axis=1, keepdims=True) / total
    # repeated observations count one by one, reliabilities only in proportion
    one = 1 if aweights is None else np.sum(w * aweights) / total
    degrees = total - ddof * one
    return np.squeeze(d @ (d * w).T / (degrees if ddof else total))


def _observations(m, rowvar):
    m = _array(m)
    if m.ndim > 2:
        raise ValueError(f"cov: an array of 1 or 2 dimensions is needed, not of shape {m.shape}")
    return m.reshape(1, -1) if m.ndim < 2 else m if rowvar else m.T


@composition(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """Correlation matrix: the covariances in units of the standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    s = np.sqrt(np.diagonal(c))
    c = c / s[:, None] / s[None, :]
    return np.where(c > 1, 1, np.where(c < -1, -1, c))  # by rounding only


# --- ignoring NaN -----------------------------------------------------------------------------


def _filled(a, fill):
    a = _array(a)
    return np.where(np.isnan(a), fill, a)


def _ignoring(reduction, fill):
    """`reduction` with every NaN replaced by the value that changes nothing."""
    return lambda a, *args, **options: reduction(_filled(a, fill), *args, **options)


composition(np.nansum)(_ignoring(np.sum, 0))
composition(np.nanprod)(_ignoring(np.prod, 1))
composition(np.nancumsum)(_ignoring(np.cumsum, 0))
composition(np.nancumprod)(_ignoring(np.cumprod, 1))


@composition(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    """Mean of the elements that are numbers."""
    x = _array(a, dtype)
    present = ~np.isnan(x) & where
    n = np.sum(present, axis=axis, keepdims=keepdims).astype(x.dtype)
    return np.sum(np.where(present, x, 0), axis=axis, keepdims=keepdims) / n


@composition(np.nanvar)
def nanvar(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None,
    correction=None,
):  # fmt: skip
    """Variance of the elements that are numbers; NaN without degrees of freedom."""
    x = _array(a, dtype)
    present = ~np.isnan(x) & where
    if mean is None:
        mean = nanmean(x, axis, keepdims=True, where=where)
    d = np.where(present, np.where(present, x, 0) - mean, 0)
    n = np.sum(present, axis=axis, keepdims=keepdims).astype(x.dtype) - _ddof(ddof, correction)
    total = np.sum(d * d, axis=axis, keepdims=keepdims)
    return np.where(n > 0, total / np.where(n > 0, n, 1), np.nan)


@composition(np.nanstd, kinks="0 where all elements are equal")
def nanstd(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None,
    correction=None,
):  # fmt: skip
    """The root of the variance of the elements that are numbers."""
    options = {"where": where, "mean": mean, "correction": correction}
    return _root(nanvar(a, axis, dtype, None, ddof, keepdims, **options))


# --- order statistics -------------------------------------------------------------------------


@composition(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle element, or the mean of the two in the middle; NaN if there is a NaN."""
    a = _array(a)
    rows = _to_rows(a, axis)
    order, n = np.argsort(rows, axis=-1, kind="stable"), rows.shape[-1]  # NaNs come last
    middle = np.take_along_axis(rows, order[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    last = np.take_along_axis(rows, order[..., -1:], axis=-1)
    middle = np.mean(np.where(np.isnan(last), last, middle), axis=-1)
    return middle.reshape(_without(a.shape, axis, keepdims))


# Where quantile q of n ordered elements lies, counted from 0: Hyndman and Fan, Sample quantiles
# in statistical packages, The American Statistician 50 (1996); and NumPy's five own.
_POSITIONS = {
    "inverted_cdf": lambda n, q: np.ceil(n * q) - 1,
    "averaged_inverted_cdf": lambda n, q: (np.ceil(n * q) - 1 + np.floor(n * q)) / 2,
    "closest_observation": lambda n, q: np.rint(n * q) - 1,
    "interpolated_inverted_cdf": lambda n, q: n * q - 1,
    "hazen": lambda n, q: n * q - 0.5,
    "weibull": lambda n, q: (n + 1) * q - 1,
    "linear": lambda n, q: (n - 1) * q,
    "median_unbiased": lambda n, q: n * q + (1 + q) / 3 - 1,
    "normal_unbiased": lambda n, q: n * q + (3 + 2 * q) / 8 - 1,
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "midpoint": lambda n, q: (np.floor((n - 1) * q) + np.ceil((n - 1) * q)) / 2,
    "nearest": lambda n, q: np.rint((n - 1) * q),
}


def _quantiles(a, q, axis, method, keepdims, ignore_nan):
    """Quantiles of `a`, differentiable by `a` and (a slope between elements) by `q`."""
    if method not in _POSITIONS:
        raise ValueError(f"quantile: no method {method!r}; there are {', '.join(_POSITIONS)}")
    a = _array(a)
    if isinstance(plain(q), (int, float)):  # takes the dtype of the array
        q = q * np.ones_like(a, shape=())
    q = np.stack(q) if isinstance(q, (list, tuple)) else q
    if not holds((q >= 0) & (q <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1], percentiles in [0, 100]")
    rows = _to_rows(a, axis)
    order, n = np.argsort(rows, axis=-1, kind="stable"), rows.shape[-1]  # NaNs come last
    if ignore_nan:
        n = np.sum(~np.isnan(rows), axis=-1, keepdims=True).astype(q.dtype)
    position = np.minimum(np.maximum(_POSITIONS[method](n, q.reshape(-1)), 0), n - 1)
    below = np.floor(position)
    low, high = (_at(rows, order, place) for place in (below, np.minimum(below + 1, n - 1)))
    value = low + (position - below) * (high - low)
    if not ignore_nan:
        last = np.take_along_axis(rows, order[..., -1:], axis=-1)
        value = np.where(np.isnan(last), last, value)
    return np.moveaxis(value, -1, 0).reshape(q.shape + _without(a.shape, axis, keepdims))


def _at(rows, order, place):
    """Elements of each row by their place in its order, given for each row or for all."""
    place = cast.apply([place], {"dtype": int})
    if place.ndim == 1:
        return np.take_along_axis(rows, getitem(order, index=(..., place)), axis=-1)
    return np.take_along_axis(rows, np.take_along_axis(order, place, axis=-1), axis=-1)


@composition(np.quantile, kinks="the slope between two elements, by q")
def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """Quantiles q in [0, 1] of the elements; NaN where there is a NaN."""
    return _quantiles(a, q, axis, method, keepdims, ignore_nan=False)


@composition(np.percentile, kinks="the slope between two elements, by q")
def percentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """Percentiles q in [0, 100] of the elements; NaN where there is a NaN."""
    return _quantiles(a, _hundredth(q), axis, method, keepdims, ignore_nan=False)


@composition(np.nanquantile, kinks="the slope between two elements, by q")
def nanquantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
    """Quantiles q in [0, 1] of the elements that are numbers."""
    return _quantiles(a, q, axis, method, keepdims, ignore_nan=True)


@composition(np.nanpercentile, kinks="the slope between two elements, by q")
def nanpercentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False
):
    """Percentiles q in [0, 100] of the elements that are numbers."""
    return _quantiles(a, _hundredth(q), axis, method, keepdims, ignore_nan=True)


@composition(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The median of the elements that are numbers."""
    return _quantiles(a, 0.5, axis, "linear", keepdims, ignore_nan=True)


def _hundredth(q):
    return (np.stack(q) if isinstance(q, (list, tuple)) else q) / 100


# --- differences and integrals ----------------------------------------------------------------


def _part(x, axis, start, stop):
    """``x[start:stop]`` along an axis that is not negative."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


@composition(np.diff)
def diff(a, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along an axis, n times over."""
    a = _array(a)
    if n < 0:
        raise ValueError(f"diff: order must be non-negative but got {n}")
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    if n == 0:
        return a
    axis = normalize_axis_index(axis, a.ndim)
    one = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
    ends = [
        [] if end is None else [end if np.ndim(end) else np.broadcast_to(end, one)]
        for end in (prepend, append)
    ]
    if any(ends):
        a = np.concatenate([*ends[0], a, *ends[1]], axis=axis)
    for _ in range(n):
        a = _part(a, axis, 1, None) - _part(a, axis, None, -1)
    return a


@composition(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    """Differences of neighbours in the flattened array, with something before and after."""
    flat = np.ravel(ary)
    parts = [to_begin, flat[1:] - flat[:-1], to_end]
    return np.concatenate([np.ravel(p) for p in parts if p is not None])


@composition(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of y, sampled at x or at steps dx, by the trapezoidal rule."""
    y = _array(y)
    axis = normalize_axis_index(axis, y.ndim)
    if x is not None:
        x = _array(x)
        dx = np.diff(x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            dx = dx.reshape([-1 if i == axis else 1 for i in range(y.ndim)])
    return np.sum(dx * (_part(y, axis, 1, None) + _part(y, axis, None, -1)) / 2, axis=axis)


# --- softmax and its relatives ----------------------------------------------------------------


def _finite(m):
    """`m` with -inf (of rows without anything but -inf) replaced by 0: -inf less it is -inf."""
    return np.where(m == -np.inf, 0, m)


def _logsumexp(x, axis=None, keepdims=False):
    x = fractional(_array(x))  # of uint8 the differences would be large
    largest = _finite(np.max(x, axis=axis, keepdims=True)) if math.prod(np.shape(x)) else 0.0
    with np.errstate(divide="ignore"):  # log 0 is -inf: the value of a row of -inf
        y = np.log(np.sum(np.exp(x - largest), axis=axis, keepdims=True)) + largest
    return y if keepdims else y.reshape(_without(np.shape(x), axis, False))


def _shares(y, x, axis, keepdims):
    """The derivative of logsumexp, softmax(x), by what is known already: all 0 if y is -inf."""
    return np.exp(x - _finite(_back(y, x.shape, axis, keepdims)))


logsumexp = general(
    _logsumexp,
    lambda g, y, x, axis=None, keepdims=False: (
        _back(g, x.shape, axis, keepdims) * _shares(y, x, axis, keepdims)
    ),
    lambda t, y, x, axis=None, keepdims=False: np.sum(
        t * _shares(y, x, axis, keepdims), axis=axis, keepdims=keepdims
    ),
    batch=reducing,
    name="logsumexp",
    doc="log(sum(exp(x))) over an axis, tuple of axes or all: ``logsumexp(x, axis, keepdims)``.",
)


def _below(x, axis):
    """x less its largest along an axis; x itself where there is nothing."""
    x = fractional(_array(x))
    return x - x.max(axis=axis, keepdims=True) if x.size else x


def _softmax(x, axis=-1):
    # without np.max's and np.sum's own share, a third of a small batch's time
    e = np.exp(_below(x, axis))
    return e / total(e, axis, keepdims=True)


def _softmax_rule(g, y, x, axis=-1):
    return y * (g - np.sum(g * y, axis=axis, keepdims=True))  # its Jacobian is symmetric


softmax = general(
    _softmax,
    _softmax_rule,
    _softmax_rule,
    batch=shifting("axis", defaults={"axis": -1}),
    name="softmax",
    doc="exp(x) divided by its sum along an axis: ``softmax(x, axis=-1)``.",
)


def _log_softmax(x, axis=-1):
    x = _below(x, axis)
    if not x.size:
        return x  # and no logarithm of empty sums
    return x - np.log(total(np.exp(x), axis, keepdims=True))


log_softmax = general(
    _log_softmax,
    lambda g, y, x, axis=-1: g - np.exp(y) * total(g, axis, keepdims=True),
    lambda t, y, x, axis=-1: t - np.sum(np.exp(y) * t, axis=axis, keepdims=True),
    batch=shifting("axis", defaults={"axis": -1}),
    name="log_softmax",
    doc="The logarithm of softmax, exact where softmax underflows: ``log_softmax(x, axis=-1)``.",
)
