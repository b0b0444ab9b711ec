"""Numerical recipes: convolution, interpolation, polynomials, differences, grids.

Nearly all are compositions; each says in its docstring where it departs from NumPy.
"""

import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..batching import flat, shifting
from ..families import bilinear, composition, constant, general
from ..lazy import holds
from ..primitive import Wrapper, common, leaves
from .indexing import getitem, setitem
from .selection import array

constant(np.array2string, np.array_repr, np.array_str, np.may_share_memory, np.shares_memory)


# --- convolution ----------------------------------------------------------------------------------


def in_full(g, a, v, mode, before):
    """The cotangent of a convolution as that of the full one; `before` is cut off by 'same'."""
    start, stop = part_of_full(np.size(a), np.size(v), mode, before)
    return np.pad(g, (start, np.size(a) + np.size(v) - 1 - stop))


def part_of_full(m, n, mode, before):
    """Where in the full convolution of m with n elements that of a mode starts and stops."""
    short, long = sorted((m, n))
    start, length = {
        "f": (0, m + n - 1), "s": (before, long), "v": (short - 1, long - short + 1),
    }[mode[0]]  # fmt: skip
    return start, start + length


def convolved(g, a, v, mode):
    """The cotangent of ``np.convolve(a, v, "full")``."""
    return in_full(g, a, v, mode, convolution_start(np.size(a), np.size(v)))


def correlated(g, a, v, mode):
    """The cotangent of ``np.correlate(a, v, "full")``, which reverses when v is the longer."""
    return in_full(g, a, v, mode, correlation_start(np.size(a), np.size(v)))


def convolution_start(m, n):
    """How much of the full convolution 'same' cuts off in front."""
    return (min(m, n) - 1) // 2


def correlation_start(m, n):
    """The same for a correlation."""
    return m // 2 if n > m else (n - 1) // 2


def _convolve_batch(operation, args, mapped, options):
    return _all_convolved(args, mapped, options.get("mode", "full"), convolution_start)


def _correlate_batch(operation, args, mapped, options):
    a, v = args
    v = np.flip(v, -1)
    return _all_convolved((a, v), mapped, options.get("mode", "valid"), correlation_start)


def _all_convolved(args, mapped, mode, same_start):
    """Convolutions as products of all windows of one with the other reversed."""
    a, v = (flat(x) if m else np.ravel(x) for x, m in zip(args, mapped, strict=True))
    m, n = a.shape[-1], v.shape[-1]
    start, stop = part_of_full(m, n, mode, same_start(m, n))
    if m < n:
        a, v, n = v, a, m
    padded = np.pad(a, [(0, 0)] * (np.ndim(a) - 1) + [(n - 1, n - 1)])
    windows = padded[..., np.arange(start, stop)[:, None] + np.arange(n)]
    return np.matmul(windows, np.flip(v, -1)[..., None])[..., 0]


bilinear(
    np.convolve,
    lambda g, y, a, v, mode="full": np.correlate(convolved(g, a, v, mode), np.ravel(v), "valid"),
    lambda g, y, a, v, mode="full": np.correlate(convolved(g, a, v, mode), np.ravel(a), "valid"),
    batch=_convolve_batch,
)
bilinear(
    np.correlate,
    lambda g, y, a, v, mode="valid": np.convolve(correlated(g, a, v, mode), v, "valid"),
    lambda g, y, a, v, mode="valid": np.correlate(correlated(g, a, v, mode), a, "valid")[::-1],
    batch=_correlate_batch,
)


# --- functions given by points or pieces ----------------------------------------------------------

general(
    np.unwrap,
    lambda g, y, p, **options: g,
    lambda g, y, p, **options: g,
    batch=shifting("axis", defaults={"axis": -1}),
    kinks="jumps of half a period: 1, as everywhere",
    at_kink=lambda y, p, discont=None, axis=-1, *, period=2 * np.pi: (
        np.abs(np.diff(p, axis=axis)) % period == period / 2
    ),
)


@composition(np.interp, kinks="at a knot, the derivative by x is the slope to its right")
def interp(x, xp, fp, left=None, right=None, period=None):
    """Straight lines between the points (xp, fp), differentiable by x, xp and fp.

    In the arguments' dtype, where NumPy always answers in float64.
    """
    x, xp, fp = array(x), array(xp), array(fp)
    if np.ndim(xp) != 1 or np.ndim(fp) != 1 or np.shape(xp) != np.shape(fp) or not np.size(xp):
        raise ValueError(
            f"np.interp: xp and fp have one axis and the same length, at least 1, not the shapes "
            f"{np.shape(xp)} and {np.shape(fp)}"
        )
    if period is not None:
        if period == 0:
            raise ValueError("np.interp: the period must not be zero")
        period, left, right = abs(period), None, None
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = getitem(xp, index=order), getitem(fp, index=order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    before, behind, last = x < xp[0], x > xp[-1], x == xp[-1]
    inside = (x >= xp[0]) & (x < xp[-1])
    j = np.searchsorted(xp[1:-1], x, side="right")  # the piece x lies in
    k = np.minimum(j + 1, xp.shape[0] - 1)
    # Outside, and where knots coincide, no piece is meant: what is put there keeps NaN out.
    (x_j, x_k), (f_j, f_k) = ([getitem(p, index=i) for i in (j, k)] for p in (xp, fp))
    run = np.where(x_k > x_j, x_k - x_j, 1.0)
    way = np.where(inside, x - x_j, 0.0)
    slope = (f_k - f_j) / run
    rise = np.where((way == 0) & ~np.isfinite(slope), 0.0, slope) * way
    return np.select(
        [inside, before, behind, last],
        [f_j + rise, fp[0] if left is None else left, fp[-1] if right is None else right, fp[-1]],
        x,  # NaN
    )


@composition(np.piecewise)
def piecewise(x, condlist, funclist, *args, **options):
    """Each function on the elements where its condition holds; the last condition counts."""
    x = array(x)
    if not np.iterable(condlist) or (np.ndim(condlist[0]) == 0 and x.ndim != 0):
        condlist = [condlist]
    condlist, funclist = [array(c) != 0 for c in condlist], list(funclist)
    if len(funclist) == len(condlist) + 1:
        otherwise = np.logical_not(sum(condlist[1:], condlist[0]))
        condlist, funclist = [otherwise, *condlist], [funclist[-1], *funclist[:-1]]
    if len(condlist) != len(funclist):
        raise ValueError(
            f"np.piecewise: {len(funclist)} functions for {len(condlist)} conditions; "
            f"as many, or one more for everything else"
        )
    y = np.zeros_like(x)
    for condition, f in zip(condlist, funclist, strict=True):
        if callable(f):
            part = x[condition]
            f = f(part, *args, **options) if part.size else 0.0
        y = setitem(y, f, index=condition)
    return y


@composition(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **options):
    """`func1d` of each line of `arr` along `axis`; its result's axes take that one's place."""
    arr = array(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    lines = np.moveaxis(arr, axis, -1)
    others, n = lines.shape[:-1], lines.shape[-1]
    count = int(np.prod(others, dtype=int))
    if not count:
        raise ValueError(f"np.apply_along_axis: no line along axis {axis} in shape {arr.shape}")
    lines = np.reshape(lines, (count, n))
    parts = np.stack([func1d(lines[i], *args, **options) for i in range(count)])
    own = range(len(others), len(others) + parts.ndim - 1)
    parts = np.reshape(parts, others + parts.shape[1:])
    return np.moveaxis(parts, tuple(own), tuple(range(axis, axis + len(own))))


@composition(np.apply_over_axes)
def apply_over_axes(func, a, axes):
    """``func(a, axis)`` for one axis after the other, each axis kept with length 1."""
    for axis in axes if np.iterable(axes) else (axes,):
        axis = normalize_axis_index(axis, a.ndim)
        reduced = func(a, axis)
        a = reduced if reduced.ndim == a.ndim else np.expand_dims(reduced, axis)
    return a


# --- polynomials: coefficients from the highest power down, as in NumPy ---------------------------


def counting(like, n):
    """0.0, 1.0, ..., n - 1, in the dtype and kind of array of `like`."""
    return np.cumsum(np.ones_like(like, shape=(n,))) - 1


def line(p):
    """`p` with one axis at least."""
    return np.atleast_1d(array(p))


def led(p):
    """`p` with zeros in front of it left out, as NumPy's polynomials are; one number stays."""
    p = line(p)
    nonzero = np.flatnonzero(common(p, "polymul"))
    return p[int(nonzero[0].item()) if len(nonzero) else -1 :]


def shifted(p, before, behind):
    """`p` with zeros before and behind."""
    return np.pad(p, (before, behind))


@composition(np.polyval)
def polyval(p, x):
    """Σ p[i] x^(n-1-i), by Horner's scheme."""
    x = array(x)
    y = np.zeros_like(x)
    p = p if any(isinstance(part, Wrapper) for part in leaves(p)) else array(p)
    for i, coefficient in enumerate(p):
        y = y + coefficient if i == 0 else y * x + coefficient
    return y


@composition(np.polyadd)
def polyadd(a1, a2):
    """The sum; zeros in front stay."""
    a1, a2 = line(a1), line(a2)
    n = max(a1.shape[0], a2.shape[0])
    return shifted(a1, n - a1.shape[0], 0) + shifted(a2, n - a2.shape[0], 0)


@composition(np.polysub)
def polysub(a1, a2):
    """The difference; zeros in front stay."""
    return np.polyadd(a1, -line(a2))


@composition(np.polymul)
def polymul(a1, a2):
    """The product, without zeros in front."""
    return np.convolve(led(a1), led(a2))


@composition(np.polydiv)
def polydiv(u, v):
    """Quotient and remainder; the remainder's vanishing front, up to rounding, is left out."""
    u, v = line(u), line(v)
    rest, quotient, scale = u / 1.0, [], 1.0 / v[0]  # as NumPy rounds: lengths depend on it
    n = v.shape[0] - 1
    for k in range(u.shape[0] - n):
        quotient.append(scale * rest[k])
        rest = rest - shifted(quotient[-1] * v, k, u.shape[0] - n - 1 - k)
    while rest.shape[0] > 1 and np.allclose(common(rest[0], "polydiv"), 0, rtol=1e-14):
        rest = rest[1:]
    return (np.stack(quotient) if quotient else np.zeros_like(rest, shape=(1,))), rest


@composition(np.polyder)
def polyder(p, m=1):
    """The coefficients of the m-th derivative."""
    m, p = operator.index(m), line(p)
    if m < 0:
        raise ValueError(f"np.polyder: the order is 0 or more, not {m}")
    for _ in range(m):
        p = p[:-1] * counting(p, p.shape[0])[:0:-1]
    return p


@composition(np.polyint)
def polyint(p, m=1, k=None):
    """The coefficients of the m-th antiderivative, with integration constants `k` (or zeros)."""
    m, p = operator.index(m), line(p)
    if m < 0:
        raise ValueError(f"np.polyint: the order is 0 or more, not {m}")
    k = [0.0] if k is None else k if isinstance(k, (list, tuple)) else line(k)
    if len(k) != 1 and len(k) < m:
        raise ValueError(f"np.polyint: {m} integration constants, or one, not {len(k)}")
    for i in range(m):
        p = shifted(p / counting(p, p.shape[0] + 1)[:0:-1], 0, 1)
        p = setitem(p, k[i if len(k) > 1 else 0], index=-1)
    return p


@composition(np.poly)
def poly(seq_of_zeros):
    """The coefficients of the polynomial with these (real) roots, the first coefficient 1."""
    roots = line(seq_of_zeros)
    if roots.ndim != 1:
        raise TypeError(
            "np.poly of a matrix needs its eigenvalues, which may be complex; pass real roots"
        )
    p = one = np.ones_like(roots, shape=(1,))
    for i in range(roots.shape[0]):
        p = np.convolve(p, np.concatenate([one, -roots[i : i + 1]]))
    return p


@composition(np.vander)
def vander(x, N=None, increasing=False):
    """Columns of powers of x, made by multiplying: exact at x = 0 in every derivative."""
    x = array(x)
    if x.ndim != 1:
        raise ValueError(f"np.vander: x has one axis, not shape {x.shape}")
    columns = [np.ones_like(x)]
    for _ in range((x.shape[0] if N is None else N) - 1):
        columns.append(columns[-1] * x)
    if N == 0 or (N is None and not x.shape[0]):
        return np.zeros_like(x, shape=(x.shape[0], 0))
    return np.stack(columns if increasing else columns[::-1], axis=1)


@composition(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial of degree `deg` nearest to the points (x, y), in least squares."""
    if full or cov:
        raise TypeError("np.polyfit: full= and cov= on plain arrays only (tensor.data)")
    deg = operator.index(deg)
    x, y = array(x) + 0.0, array(y) + 0.0  # floats, as integers have no precision
    if deg < 0:
        raise ValueError(f"np.polyfit: the degree is 0 or more, not {deg}")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or y.shape[0] != x.shape[0]:
        raise ValueError(
            f"np.polyfit: x has one axis, y one or two, and both the same length, not the shapes "
            f"{x.shape} and {y.shape}"
        )
    rcond = len(x) * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    powers = np.vander(x, deg + 1)
    if w is not None:
        w = array(w)
        powers, y = powers * w[:, None], y * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    found = np.linalg.lstsq(powers / scale, y, rcond)[0]
    return found / (scale[:, None] if y.ndim == 2 else scale)


# --- differences ----------------------------------------------------------------------------------


@composition(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """Central differences along each axis, one-sided at the ends; by f and by the spacing."""
    f = array(f)
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient: edge_order is 1 or 2, not {edge_order}")
    if len(varargs) == 1 and np.ndim(varargs[0]) == 0:
        varargs *= len(axes)
    if len(varargs) not in (0, len(axes)):
        raise TypeError(
            f"np.gradient: one number, or as many spacings as axes ({len(axes)}), "
            f"not {len(varargs)}"
        )
    spacings = varargs or (1.0,) * len(axes)
    parts = [_gradient(f, h, i, edge_order) for h, i in zip(spacings, axes, strict=True)]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _gradient(f, spacing, axis, edge_order):
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            f"np.gradient: axis {axis} of shape {f.shape} has fewer than edge_order + 1 elements"
        )
    f = np.moveaxis(f, axis, 0)
    if np.ndim(spacing) == 0:
        h = spacing
        inner = (f[2:] - f[:-2]) / (2 * h)
        first, second, penultimate, last = h, h, h, h
    else:
        if np.shape(spacing) != (n,):
            raise ValueError(
                f"np.gradient: coordinates of shape {np.shape(spacing)} for axis {axis} of "
                f"length {n}"
            )
        h = np.diff(array(spacing))
        a, b = (np.reshape(d, (-1,) + (1,) * (f.ndim - 1)) for d in (h[:-1], h[1:]))
        slopes = (f[1:-1] - f[:-2]) / a, (f[2:] - f[1:-1]) / b
        inner = (slopes[0] * b + slopes[1] * a) / (a + b)
        first, second, penultimate, last = h[0], h[min(1, n - 2)], h[max(n - 3, 0)], h[n - 2]
    start, stop = (f[1] - f[0]) / first, (f[-1] - f[-2]) / last
    if edge_order == 2:  # the parabola through three points
        start = start + (start - (f[2] - f[1]) / second) * first / (first + second)
        stop = stop + (stop - (f[-2] - f[-3]) / penultimate) * last / (last + penultimate)
    return np.moveaxis(np.concatenate([start[None], inner, stop[None]]), 0, axis)


# --- grids ----------------------------------------------------------------------------------------


@composition(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` numbers from start to stop, evenly spaced; differentiable by both."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"np.linspace: the number of samples is 0 or more, not {num}")
    start, stop = array(start), array(stop)
    intervals = num - 1 if endpoint else num
    step = (stop - start) / max(intervals, 1)
    k = np.reshape(counting(step, num), (num,) + (1,) * step.ndim)
    y = start + k * step
    if endpoint and num > 1:
        y = np.where(k == intervals, stop, y)
    y = np.moveaxis(in_dtype(y, dtype, "linspace"), 0, axis)
    return (y, step if intervals else step * np.nan) if retstep else y


@composition(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """``base ** np.linspace(start, stop)``; differentiable by all three."""
    exponents = np.linspace(start, stop, num, endpoint)
    if np.ndim(base) >= exponents.ndim:
        exponents = np.reshape(
            exponents, (num,) + (1,) * (np.ndim(base) + 1 - exponents.ndim) + exponents.shape[1:]
        )
    return np.moveaxis(in_dtype(base**exponents, dtype, "logspace"), 0, axis)


@composition(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """``start * (stop / start) ** np.linspace(0, 1)``; differentiable by both."""
    num, start, stop = operator.index(num), array(start), array(stop)
    if num < 0:
        raise ValueError(f"np.geomspace: the number of samples is 0 or more, not {num}")
    if not holds(start != 0) or not holds(stop != 0):
        raise ValueError("np.geomspace: a geometric sequence cannot include zero")
    ratio = stop / start
    k = np.reshape(counting(ratio, num), (num,) + (1,) * ratio.ndim)
    intervals = max(num - 1 if endpoint else num, 1)
    y = start * ratio ** (k / intervals)
    if endpoint and num > 1:
        y = np.where(k == intervals, stop, y)
    dtype = np.result_type(y.dtype, float) if dtype is None else dtype  # as NumPy has it
    return np.moveaxis(in_dtype(y, dtype, "geomspace"), 0, axis)


def in_dtype(y, dtype, name):
    """`y` in another floating-point type, if one is given."""
    if dtype is None:
        return y
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"np.{name}: dtype={np.dtype(dtype)} has no derivative; use a float type")
    return y if y.dtype == dtype else y.astype(dtype)
