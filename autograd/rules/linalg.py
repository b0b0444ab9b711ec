"""Linear algebra: np.linalg.

The rules are those of Giles, "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008), unless a source is named.  Everything works on stacks of
matrices, in the last two axes, where NumPy's function does.

Conventions
symmetric arguments   ``cholesky``, ``eigh`` and ``eigvalsh`` read one triangle of their argument,
                      so only that triangle has a gradient, an off-diagonal element that of both
                      the elements it stands for; (ḡ + ḡᵀ) / 2 is the gradient as a symmetric matrix
repeated eigenvalues  (and singular values) have vectors that turn arbitrarily: in ``eigh`` and
                      ``svd`` the turning of equal ones into each other counts as zero, and of
                      nearly equal ones it is ill-conditioned; gradients of the values are right
"""

import math
import operator

import numpy as np

from ..batching import broadcasting, lifted, ndim, shifting, stacked
from ..costs import by_matrix, called_by_matrix
from ..families import composition, constant, general
from ..lazy import is_lazy
from ..primitive import like, looked_at
from .elementwise import cast
from .products import _column, _diagonal, _row, _t


def _rank_batch(operation, args, mapped, options):
    (x,) = args
    if np.ndim(x) > 2:
        return operation.apply(args, options)
    return np.any(x != 0, axis=tuple(range(1, np.ndim(x)))).astype(int)  # of vectors and numbers


constant(np.linalg.matrix_rank, arity=1, batch=_rank_batch)


# --- inverses and linear equations --------------------------------------------------------------

general(
    np.linalg.inv,
    lambda g, y, a: -(_t(y) @ g @ _t(y)),
    lambda g, y, a: -(y @ g @ y),
    batch=stacked,
)


def _solved(a, g, b):
    """a⁻¹ g for g shaped like the right-hand side: NumPy reads b as a vector only if it is 1-d."""
    return np.linalg.solve(a, _column(g))[..., 0] if b.ndim == 1 else np.linalg.solve(a, g)


def _solve_left(g, y, a, b):
    c = _solved(_t(a), g, b)
    return -(_column(c) * _row(y)) if b.ndim == 1 else -(c @ _t(y))


def _solve_left_push(g, y, a, b):
    moved = (g @ _column(y))[..., 0] if b.ndim == 1 else g @ y
    return -_solved(a, moved, b)


def _solve_batch(operation, args, mapped, options):
    (a, b), (a_axes, b_axes) = args, (ndim(x, m) for x, m in zip(args, mapped, strict=True))
    if not mapped[0] and a_axes == 2 and b_axes <= 2:  # one factorization for all
        columns = np.moveaxis(b, 0, -1)
        solved = np.linalg.solve(
            a, columns.reshape((columns.shape[0], math.prod(columns.shape[1:])))
        )
        return np.moveaxis(solved.reshape(columns.shape), -1, 0)
    if b_axes == 1:
        return _solve_batch(operation, (a, _column(b)), mapped, options)[..., 0]
    axes = max(a_axes, b_axes)
    a, b = (lifted(x, axes) if m else x for x, m in zip((a, b), mapped, strict=True))
    return np.linalg.solve(a, b)


general(
    np.linalg.solve,
    (_solve_left, lambda g, y, a, b: _solved(_t(a), g, b)),
    (_solve_left_push, lambda g, y, a, b: _solved(a, g, b)),
    batch=_solve_batch,
)


@composition(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    """The inverse of a as a map from its last axes to its first `ind`."""
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, not {ind}")
    shape = np.shape(a)
    square = np.reshape(a, (math.prod(shape[:ind]), -1))
    return np.reshape(np.linalg.inv(square), shape[ind:] + shape[:ind])


@composition(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """x with tensordot(a, x, x.ndim) = b; `axes` of a are first moved to its end."""
    axes = [int(i) % np.ndim(a) for i in axes or ()]
    a = np.transpose(a, [*(i for i in range(np.ndim(a)) if i not in axes), *axes])
    shape = a.shape[np.ndim(b) :]
    square = np.reshape(a, (-1, math.prod(shape)))
    return np.reshape(np.linalg.solve(square, np.ravel(b)), shape)


def _identity(a):
    """Where the diagonal is, of matrices as large as those in `a`."""
    return np.identity(np.shape(a)[-1], dtype=bool, like=like(a))


@composition(np.linalg.matrix_power)
def matrix_power(a, n):
    """aⁿ by repeated squaring."""
    n = operator.index(n)
    if n == 0:  # the identity, without a derivative but recorded
        identity = np.where(_identity(a), np.ones_like(a), 0)
        return np.where(np.zeros_like(a, dtype=bool), a, identity)
    square, n = (np.linalg.inv(a), -n) if n < 0 else (a, n)
    power = None
    while n:
        if n % 2:
            power = square if power is None else power @ square
        n //= 2
        square = square @ square if n else None
    return power


# Golub and Pereyra (1973); the rank must not change nearby.
def _pinv_pull(g, y, a, **options):
    left, right = _t(g) @ (y @ _t(y)), _t(y) @ (y @ _t(g))
    return left - a @ (y @ left) + right - (right @ y) @ a - _t(y) @ g @ _t(y)


def _pinv_push(g, y, a, **options):
    left, right = (y @ _t(y)) @ _t(g), _t(g) @ (_t(y) @ y)
    return left - (left @ a) @ y + right - y @ (a @ right) - y @ g @ y


_pinv = general(
    lambda a, **options: np.linalg.pinv(a, **options),
    _pinv_pull,
    _pinv_push,
    batch=stacked,
    cost=called_by_matrix("pinv"),
    name="pinv",
    kinks="changes of rank: as if the rank stayed",
    at_kink=lambda y, a, **options: np.linalg.matrix_rank(a) < min(a.shape[-2:]),
    doc="The pseudoinverse of matrices that need not be symmetric.",
)


@composition(np.linalg.pinv, kinks=_pinv.kinks)
def pinv(a, rcond=None, hermitian=False, **tolerance):
    """The Moore-Penrose inverse; with hermitian=True of the lower triangle, mirrored."""
    return _pinv(_mirrored(a) if hermitian else a, rcond=rcond, **tolerance)


@composition(np.linalg.lstsq, kinks=_pinv.kinks)
def lstsq(a, b, rcond=None):
    """The least-squares solution, its squared residuals, the rank (plain) and singular values."""
    if np.ndim(a) != 2:
        raise ValueError(f"lstsq: a must be one matrix, its shape is {np.shape(a)}")
    m, n = np.shape(a)
    if rcond is None or rcond < 0:
        dtype = np.result_type(*(getattr(x, "dtype", float) for x in (a, b)))
        rcond = np.finfo(dtype).eps * (max(m, n) if rcond is None else 1)
    x = np.linalg.pinv(a, rcond=rcond) @ b
    rank = cast.apply([np.linalg.matrix_rank(a, rtol=rcond)], {"dtype": np.intc})
    residuals = np.reshape((b - a @ x) ** 2, (m, -1)).sum(axis=0)
    full = np.all(looked_at(rank, "the rank") == n) and n < m
    return x, residuals if full else residuals[:0], rank, np.linalg.svdvals(a)


# --- determinants -------------------------------------------------------------------------------
# The gradient of det is the matrix of cofactors.  det(a) a⁻ᵀ is not defined where a is singular;
# in the basis of the singular vectors cofactors are products of singular values, and exact.


def _decomposed(a):
    """``(rotation, u, s, vh, whole)``: an SVD, det(u vh), and which matrices are finite.

    LAPACK would refuse a whole stack for one NaN in it.
    """
    whole = np.all(np.isfinite(a), axis=(-2, -1), keepdims=True)
    u, s, vh = np.linalg.svd(np.where(whole, a, 0))
    rotation = np.linalg.det(u) * np.linalg.det(vh)
    return _column(_column(rotation)), u, s, vh, whole


def _cofactors(a):
    rotation, u, s, vh, whole = _decomposed(a)
    others = np.prod(np.where(_identity(a), 1, _row(s)), axis=-1)
    return np.where(whole, rotation * ((u * _row(others)) @ vh), np.nan)


def _cofactors_along(a, h):
    rotation, u, s, vh, whole = _decomposed(a)
    h = _t(u) @ h @ _t(vh)
    same = _identity(a)
    # minors[i, j]: the product of all singular values but the i-th and j-th; none for i = j
    either = same[:, None, :] | same[None, :, :]
    minors = np.where(same, 0, np.prod(np.where(either, 1, _row(_row(s))), axis=-1))
    inner = np.where(same, minors @ _column(_diagonal(h)), -minors * _t(h))
    return np.where(whole, rotation * (u @ inner @ vh), np.nan)


def _third_slope(g, y, a, h):
    """The third derivative of det along g and h; here a must be regular."""
    b = np.linalg.inv(a)
    bg, bh = b @ g, b @ h
    tg, th = (_column(_column(np.trace(x, axis1=-2, axis2=-1))) for x in (bg, bh))
    mixed = _column(_column(np.trace(bg @ bh, axis1=-2, axis2=-1)))
    inner = (th * tg - mixed) * b + (bh @ bg + bg @ bh - tg * bh - th * bg) @ b
    return _column(_column(np.linalg.det(a))) * _t(inner)


def _second_slope(g, y, a):
    return cofactors_along(a, g)


# All derivatives of det are symmetric, so their pulls are their pushes.
_slopes = (_third_slope, lambda g, y, a, h: cofactors_along(a, g))
cofactors_along = general(
    _cofactors_along,
    _slopes,
    _slopes,
    batch=broadcasting,
    name="cofactors_along",
    doc="The derivative of the cofactors of a along h; works on n³ numbers for n rows.",
)
cofactors = general(
    _cofactors,
    _second_slope,
    _second_slope,
    batch=stacked,
    name="cofactors",
    doc="The matrix of cofactors, the gradient of det(a).",
)
general(
    np.linalg.det,
    lambda g, y, a: _column(_column(g)) * cofactors(a),
    lambda g, y, a: np.sum(cofactors(a) * g, axis=(-2, -1)),
    batch=stacked,
)


def _slogdet_push(g, y, a):
    slope = np.trace(np.linalg.solve(a, g), axis1=-2, axis2=-1)
    return np.zeros_like(slope), slope


general(
    np.linalg.slogdet,
    lambda g, y, a: _column(_column(g[1])) * _t(np.linalg.inv(a)),
    _slogdet_push,
    outputs=True,
    batch=stacked,
)


# --- factorizations -----------------------------------------------------------------------------


def _mirrored(x, upper=False):
    """The symmetric matrix that one triangle of x stands for."""
    return np.triu(x) + _t(np.triu(x, 1)) if upper else np.tril(x) + _t(np.tril(x, -1))


def _folded(x, upper=False):
    """The transpose of `_mirrored`."""
    return np.triu(x) + np.triu(_t(x), 1) if upper else np.tril(x) + np.tril(_t(x), -1)


def _half_lower(x):
    """The lower triangle with half the diagonal: of a symmetric x = l + lᵀ, the part l."""
    return np.tril(x) - np.where(_identity(x), x / 2, 0)


def _cholesky_pull(g, y, a):
    inverse = np.linalg.inv(y)
    return _folded(_t(inverse) @ _half_lower(_t(y) @ g) @ inverse)


def _cholesky_push(g, y, a):
    inverse = np.linalg.inv(y)
    return y @ _half_lower(inverse @ _mirrored(g) @ _t(inverse))


_cholesky = general(
    lambda a: np.linalg.cholesky(a),
    _cholesky_pull,
    _cholesky_push,
    batch=stacked,
    cost=by_matrix(lambda n, _: n**3 // 3),
    name="cholesky",
    doc="The lower Cholesky factor of the symmetric matrix of which a is the lower triangle.",
)


@composition(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """The lower factor of the lower triangle, or the upper one of the upper triangle."""
    return _t(_cholesky(_t(a))) if upper else _cholesky(a)


# Walter, Lehmann and Lamour (2012).
def _qr_pull(g, y, a):
    (gq, gr), (q, r) = g, y
    m = r @ _t(gr) - _t(gq) @ q
    return (gq + q @ _mirrored(m)) @ _t(np.linalg.inv(r))


def _qr_push(g, y, a):
    q, r = y
    moved = g @ np.linalg.inv(r)
    c = _t(q) @ moved
    c = np.triu(c) + _t(np.tril(c, -1))  # less the turning of q
    return moved - q @ c, c @ r


_qr = general(
    lambda a: np.linalg.qr(a),
    _qr_pull,
    _qr_push,
    outputs=True,
    batch=stacked,
    cost=by_matrix(lambda m, n: 2 * m * n * n - 2 * n**3 // 3),
    name="qr",
    doc="The reduced QR factors of matrices with no fewer rows than columns, of full rank.",
)


@composition(np.linalg.qr)
def qr(a, mode="reduced"):
    """QR factors, for the modes "reduced" and "r", and "complete" where that is the same."""
    m, n = np.shape(a)[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise TypeError(
            f"linalg.qr: mode={mode!r} is not differentiable for shape {np.shape(a)}: the columns "
            f"of q beyond the rank are arbitrary; use mode='reduced' or 'r'"
        )
    factors = _qr(a if m >= n else a[..., :m])
    if m < n:
        q, r = factors
        factors = type(factors)(q, np.concatenate([r, _t(q) @ a[..., m:]], axis=-1))
    return factors[1] if mode == "r" else factors


def _inverse(x):
    """1/x, and 0 for 0."""
    zero = x == 0
    return np.where(zero, 0, 1 / np.where(zero, 1, x))


def _inverse_gaps(x):
    """1 / (x_j - x_i) at (i, j), and 0 where they are equal."""
    return _inverse(_row(x) - _column(x))


def _eigh_pull(g, y, a, UPLO="L"):
    (gw, gv), (w, v) = g, y
    turned = v @ (_inverse_gaps(w) * (_t(v) @ gv))
    return _folded((turned + v * _row(gw)) @ _t(v), UPLO in "Uu")


def _eigh_push(g, y, a, UPLO="L"):
    w, v = y
    inner = _t(v) @ _mirrored(g, UPLO in "Uu") @ v
    return _diagonal(inner), v @ (_inverse_gaps(w) * inner)


general(
    np.linalg.eigh,
    _eigh_pull,
    _eigh_push,
    outputs=True,
    batch=stacked,
    kinks="equal eigenvalues: their vectors do not turn into each other",
    at_kink=lambda y, a, **options: np.diff(y[0], axis=-1) == 0,
)


@composition(np.linalg.eigvalsh, kinks="equal eigenvalues: second derivatives as for eigh")
def eigvalsh(a, UPLO="L"):
    """The eigenvalues of symmetric matrices, ascending."""
    return np.linalg.eigh(a, UPLO)[0]


# Townsend, "Differentiating the singular value decomposition" (2016).
def _svd_pull(g, y, a):
    (gu, gs, gv), (u, s, vh) = g, y
    v, gv, along = _t(vh), _t(gv), _row(s)
    ratio = _inverse_gaps(s) * _inverse(along + _column(s))  # 1 / (s_j² - s_i²)
    turn_u, turn_v = _t(u) @ gu, vh @ gv
    left = (ratio * (turn_u - _t(turn_u))) * along
    right = _column(s) * (ratio * (turn_v - _t(turn_v)))
    total = (u @ (left + right) + u * _row(gs)) @ vh
    # a square u or v cannot move out of its own span
    if a.shape[-2] > a.shape[-1]:
        total = total + ((gu - u @ turn_u) * _inverse(along)) @ vh
    if a.shape[-2] < a.shape[-1]:
        total = total + (u * _inverse(along)) @ _t(gv - v @ turn_v)
    return total


def _svd_push(g, y, a):
    u, s, vh = y
    v, along = _t(vh), _row(s)
    ratio = _inverse_gaps(s) * _inverse(along + _column(s))
    inner = _t(u) @ g @ v
    du = u @ (ratio * (inner * along + _column(s) * _t(inner)))
    dv = v @ (ratio * (_column(s) * inner + _t(inner) * along))
    if a.shape[-2] > a.shape[-1]:
        du = du + (g @ v - u @ inner) * _inverse(along)
    if a.shape[-2] < a.shape[-1]:
        dv = dv + (_t(g) @ u - v @ _t(inner)) * _inverse(along)
    return du, _diagonal(inner), _t(dv)


_SVD_KINKS = "equal or zero singular values: their vectors do not turn into each other"
_svd = general(
    lambda a: np.linalg.svd(a, full_matrices=False),
    _svd_pull,
    _svd_push,
    outputs=True,
    batch=stacked,
    cost=called_by_matrix("svd"),
    name="svd",
    kinks=_SVD_KINKS,
    at_kink=lambda y, a: np.diff(y[1], axis=-1, append=0) == 0,
    doc="The reduced singular value decomposition of matrices that need not be symmetric.",
)


_SVDResult = type(np.linalg.svd(np.eye(1)))  # NumPy keeps it private


@composition(np.linalg.svd, kinks=_SVD_KINKS)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """Singular values and vectors, reduced; with hermitian=True of the lower triangle, mirrored."""
    m, n = np.shape(a)[-2:]
    if compute_uv and full_matrices and m != n:
        raise TypeError(
            f"linalg.svd: the full matrices of shape {np.shape(a)} are not differentiable: the "
            f"vectors beyond the singular values are arbitrary; use full_matrices=False"
        )
    if not hermitian:
        factors = _svd(a)
        return factors if compute_uv else factors[1]
    w, v = np.linalg.eigh(a)
    order = np.flip(np.argsort(np.abs(w), axis=-1), axis=-1)
    w = np.take_along_axis(w, order, axis=-1)
    if not compute_uv:
        return np.abs(w)
    u = np.take_along_axis(v, _row(order), axis=-1)
    return _SVDResult(u, np.abs(w), _t(u * _row(np.copysign(1, w))))


@composition(np.linalg.svdvals, kinks=_SVD_KINKS)
def svdvals(x, /):
    """The singular values, descending."""
    return np.linalg.svd(x, compute_uv=False)


# --- norms --------------------------------------------------------------------------------------


euclid = general(
    lambda x, axis: np.sqrt(np.sum(x * x, axis=axis, keepdims=True)),
    lambda g, y, x, axis: g * (x * _inverse(y)),
    lambda g, y, x, axis: np.sum(x * g, axis=axis, keepdims=True) * _inverse(y),
    batch=shifting("axis"),
    name="euclid",
    kinks="0: zero",
    at_kink=lambda y, x, axis: y == 0,
    doc="The Euclidean norm along `axis`, a tuple; the axes are kept.",
)


def _check_order(ord):
    if is_lazy(ord):
        raise TypeError("norm: the order is a number, not an array that is computed later")


def _vector_norm(x, ord, axis):
    """Along a tuple of axes, which are kept."""
    _check_order(ord)
    if ord is None or ord == 2:
        return euclid(x, axis=axis)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order {ord!r} for vectors")
    size = np.abs(x)
    if abs(ord) == math.inf:
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=True)
    if ord == 0:
        return np.sum(np.sign(size), axis=axis, keepdims=True)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=True)
    total = np.sum(size ** float(ord), axis=axis, keepdims=True)
    zero = total == 0
    return np.where(zero, 0, np.where(zero, 1, total) ** (1 / float(ord)))


def _matrix_norm(x, ord, axis):
    """Of the matrices in two axes, which are kept."""
    _check_order(ord)
    rows, columns = axis
    if ord in (None, "fro", "f"):
        return euclid(x, axis=axis)
    if ord in (2, -2, "nuc"):
        s = np.linalg.svdvals(np.moveaxis(x, axis, (-2, -1)))
        y = {2: np.max, -2: np.min, "nuc": np.sum}[ord](s, axis=-1)
        return np.expand_dims(y, axis)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"Invalid norm order {ord!r} for matrices")
    first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = np.sum(np.abs(x), axis=first, keepdims=True)
    return (np.max if ord > 0 else np.min)(sums, axis=second, keepdims=True)


@composition(np.linalg.norm, kinks="0: zero; ties of largest or smallest: shared")
def norm(x, ord=None, axis=None, keepdims=False):
    """Norms of vectors (one axis), matrices (two) or, with neither ord nor axis, of everything."""
    ndim = np.ndim(x)
    everything = axis is None and ord is None
    if axis is None:
        axis = range(ndim)
    elif isinstance(axis, (int, np.integer)):
        axis = (axis,)
    if any(not -ndim <= i < ndim for i in axis):
        raise np.exceptions.AxisError(f"norm: axis {tuple(axis)} for an array of {ndim} axes")
    axis = tuple(int(i) % ndim for i in axis)
    if len(set(axis)) < len(axis):
        raise ValueError(f"norm: axis {axis} names an axis twice")
    if everything or len(axis) == 1:
        y = _vector_norm(x, ord, axis)
    elif len(axis) == 2:
        y = _matrix_norm(x, ord, axis)
    else:
        raise ValueError(
            f"norm: order {ord!r} is defined along one axis or two, not {len(axis)}: give axis="
        )
    return y if keepdims else np.squeeze(y, axis)


@composition(np.linalg.vector_norm, kinks="0: zero; ties of largest or smallest: shared")
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm along any number of axes, by default all, taken as one vector."""
    axis = range(np.ndim(x)) if axis is None else (axis,) if isinstance(axis, int) else axis
    y = _vector_norm(x, ord, tuple(axis))
    return y if keepdims else np.squeeze(y, tuple(axis))


@composition(np.linalg.matrix_norm, kinks="0: zero; ties of largest or smallest: shared")
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of the matrices in the last two axes."""
    return np.linalg.norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@composition(np.linalg.cond)
def cond(x, p=None):
    """The condition number: how much solving with x may magnify a relative error."""
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        with np.errstate(divide="ignore", invalid="ignore"):  # of a singular matrix: infinite
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.matrix_norm(x, ord=p) * np.linalg.matrix_norm(np.linalg.inv(x), ord=p)
