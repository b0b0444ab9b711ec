"""Products of vectors, matrices and tensors.

They are bilinear: ``matmul`` and ``einsum`` are written out, the others are made of them.
"""

import math
import string
import warnings

import numpy as np

from ..batching import broadcasting, inquiring, lifted, ndim
from ..families import bilinear, composition, constant, general
from ..primitive import is_foreign, like
from ..reads import OTHERS

_LETTERS = string.ascii_uppercase + string.ascii_lowercase


def _t(x):
    """The matrices of a stack, transposed."""
    return np.swapaxes(x, -1, -2)


def _diagonal(x):
    return np.diagonal(x, axis1=-2, axis2=-1)


def _column(x):
    return np.expand_dims(x, -1)


def _row(x):
    return np.expand_dims(x, -2)


def _matrix(x):
    """One matrix of all rows of a stack, for one large product instead of many small ones."""
    return x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


# --- products -----------------------------------------------------------------------------------


def _matmul_left(g, y, a, b):
    if a.ndim == b.ndim == 2:  # the hottest line of any network
        return g @ b.T
    if b.ndim == 1:
        return g * b if a.ndim == 1 else _column(g) * b
    if b.ndim == 2:
        return g @ b.T if a.ndim == 1 else (_matrix(g) @ b.T).reshape(a.shape)
    if a.ndim == 1:
        return (b @ _column(g))[..., 0]
    if a.ndim == 2:  # one product, not a stack of them to add up
        rest = (*range(b.ndim - 2), b.ndim - 1)
        return np.tensordot(g, b, axes=(rest, rest))
    return g @ _t(b)


def _matmul_right(g, y, a, b):
    if a.ndim == b.ndim == 2:
        return a.T @ g
    if a.ndim == 1:
        return a * g if b.ndim == 1 else _column(a) * _row(g)
    if b.ndim == 1:
        return g @ a if a.ndim == 2 else g.reshape(math.prod(g.shape)) @ _matrix(a)
    if b.ndim == 2:
        return _matrix(a).T @ _matrix(g)
    return _t(a) @ g


def _matmul_batch(operation, args, mapped, options):
    """One product of large matrices where only one side differs, else a stack of products."""
    (a, b), (a_axes, b_axes) = args, (ndim(x, m) for x, m in zip(args, mapped, strict=True))
    if not mapped[1] and b_axes <= 2:
        return (_matrix(a) @ b).reshape(a.shape[:-1] + b.shape[1:]) if a_axes > 1 else a @ b
    if not mapped[0] and a_axes <= 2:
        if b_axes == 1:
            return b @ a.T  # (of vectors a, too)
        if b_axes == 2:  # as the transposed product: the examples' columns are rows of one matrix
            turned = _t(b)
            y = (_matrix(turned) @ a.T).reshape(turned.shape[:-1] + a.shape[:-1])
            return _t(y) if a_axes == 2 else y
    if a_axes == b_axes == 1:
        return vecdot(a, b) if all(mapped) else a @ b
    if a_axes == 1:
        a = _row(a)
    if b_axes == 1:
        b = _column(b)
    axes = max(a_axes, b_axes, 2)
    a, b = (lifted(x, axes) if m else x for x, m in zip((a, b), mapped, strict=True))
    y = np.matmul(a, b)
    if a_axes == 1:
        y = y[..., 0, :]
    return y[..., 0] if b_axes == 1 else y


bilinear(np.matmul, _matmul_left, _matmul_right, batch=_matmul_batch)


def _vecdot(a, b):
    """np.vecdot, of arrays whose package does not have it by a product of matrices."""
    if is_foreign(a) or is_foreign(b):
        return np.matmul(a[..., None, :], b[..., None])[..., 0, 0]
    return np.vecdot(a, b)


vecdot = bilinear(
    np.vecdot,
    lambda g, y, a, b: _column(g) * b,
    lambda g, y, a, b: _column(g) * a,
    forward=_vecdot,
    batch=broadcasting,
)


def matvec(x1, x2):
    """Matrices times vectors, of either one or a stack."""
    return x1 @ x2 if np.ndim(x2) == 1 else (x1 @ _column(x2))[..., 0]


def vecmat(x1, x2):
    """Vectors times matrices, of either one or a stack."""
    return x1 @ x2 if np.ndim(x1) == 1 else (_row(x1) @ x2)[..., 0, :]


for _body in (matvec, vecmat):
    if hasattr(np, _body.__name__):  # since NumPy 2.2
        composition(getattr(np, _body.__name__))(_body)


@composition(np.dot)
def dot(a, b):
    """The sum over the last axis of a and the last but one of b."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.matmul(a, b) if np.ndim(b) <= 2 else np.tensordot(a, b, axes=(-1, -2))


@composition(np.inner)
def inner(a, b):
    """The sum over the last axes."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.matmul(a, np.transpose(b)) if np.ndim(b) <= 2 else np.tensordot(a, b, axes=(-1, -1))


@composition(np.vdot)
def vdot(a, b):
    """The sum over all elements."""
    return np.matmul(np.ravel(a), np.ravel(b))


@composition(np.outer)
def outer(a, b):
    """All products of an element of a with one of b."""
    return _column(np.ravel(a)) * np.ravel(b)


@composition(np.kron)
def kron(a, b):
    """Blocks of b, each multiplied by an element of a."""
    ndim = max(np.ndim(a), np.ndim(b))
    m, n = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    a = np.reshape(a, [k for i in m for k in (i, 1)])
    b = np.reshape(b, [k for j in n for k in (1, j)])
    return np.reshape(a * b, [i * j for i, j in zip(m, n, strict=True)])


@composition(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The vector product; of two vectors in the plane its only component."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    lengths = {a.shape[-1], b.shape[-1]}
    if not lengths <= {2, 3}:
        raise ValueError(f"cross: vectors have 2 or 3 components, not {a.shape} and {b.shape}")
    if 2 in lengths:
        warnings.warn(
            "np.cross of vectors in the plane is deprecated since NumPy 2.0; use 3 components",
            DeprecationWarning,
            stacklevel=3,
        )
    if lengths == {2}:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (
        x if x.shape[-1] == 3 else np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)]) for x in (a, b)
    )
    turned = a * np.roll(b, -1, axis=-1) - np.roll(a, -1, axis=-1) * b
    return np.moveaxis(np.roll(turned, -1, axis=-1), -1, axisc)


@composition(np.linalg.cross)
def cross3(x1, x2, /, *, axis=-1):
    """The vector product of vectors with three components."""
    if np.shape(x1)[axis] != 3 or np.shape(x2)[axis] != 3:
        raise ValueError(
            f"linalg.cross: both arrays need 3 components along axis {axis}, their shapes are "
            f"{np.shape(x1)} and {np.shape(x2)}"
        )
    return np.cross(x1, x2, axis=axis)


@composition(np.linalg.multi_dot)
def multi_dot(arrays):
    """The product of all, in the order with the fewest multiplications."""
    first, *rest = (np.shape(x) for x in arrays)
    if not rest:
        raise ValueError("multi_dot needs at least two arrays")
    sizes = [first[0] if len(first) > 1 else 1, *(s[0] for s in rest)]
    sizes.append(rest[-1][1] if len(rest[-1]) > 1 else 1)
    count = len(arrays)
    cost, split = {(i, i): 0 for i in range(count)}, {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return _multiplied(arrays, split, 0, count - 1)


def _multiplied(arrays, split, i, j):
    """The product of the arrays i to j, the last multiplication after ``split[i, j]``."""
    if i == j:
        return arrays[i]
    k = split[i, j]
    return np.matmul(_multiplied(arrays, split, i, k), _multiplied(arrays, split, k + 1, j))


# --- tensordot and einsum -----------------------------------------------------------------------


def paired_axes(a, b, axes):
    """The axes that tensordot sums over, as non-negative numbers, for a and for b."""
    if isinstance(axes, (int, np.integer)):
        return tuple(range(np.ndim(a) - axes, np.ndim(a))), tuple(range(axes))
    pairs = []
    for x, own in zip((a, b), axes, strict=True):
        own = (own,) if isinstance(own, (int, np.integer)) else own
        pairs.append(tuple(int(i) % max(np.ndim(x), 1) for i in own))
    return tuple(pairs)


def _tensordot_pull(g, theirs, kept, mine, others, g_axes):
    """Pull of tensordot to the operand with the axes `kept` and, summed over, `mine`."""
    free = [i for i in range(np.ndim(theirs)) if i not in others]
    c = np.tensordot(g, theirs, axes=(g_axes, free))
    # its axes are now the kept ones, then the summed ones in the other operand's order
    order = [*kept, *(mine[others.index(i)] for i in sorted(others))]
    return np.transpose(c, sorted(range(len(order)), key=order.__getitem__))


def _tensordot_left(g, y, a, b, axes=2):
    mine, others = paired_axes(a, b, axes)
    kept = [i for i in range(a.ndim) if i not in mine]
    return _tensordot_pull(g, b, kept, mine, others, range(len(kept), y.ndim))


def _tensordot_right(g, y, a, b, axes=2):
    others, mine = paired_axes(a, b, axes)
    kept = [i for i in range(b.ndim) if i not in mine]
    return _tensordot_pull(g, a, kept, mine, others, range(y.ndim - len(kept)))


def _tensordot_batch(operation, args, mapped, options):
    """One large product where one side differs, else a stack of products."""
    a, b = args
    own = [
        np.broadcast_to(np.zeros(()), np.shape(x)[m:]) for x, m in zip(args, mapped, strict=True)
    ]
    mine, others = paired_axes(*own, options.get("axes", 2))
    if not mapped[0]:
        y = np.tensordot(a, b, axes=(mine, [i + 1 for i in others]))
        return np.moveaxis(y, np.ndim(a) - len(mine), 0)
    mine = [i + 1 for i in mine]
    if not mapped[1]:
        return np.tensordot(a, b, axes=(mine, others))
    others = [i + 1 for i in others]
    left = [i for i in range(1, a.ndim) if i not in mine]
    right = [i for i in range(1, b.ndim) if i not in others]
    rows, columns = [a.shape[i] for i in left], [b.shape[i] for i in right]
    size, inner = a.shape[0], math.prod(a.shape[i] for i in mine)
    a = np.transpose(a, [0, *left, *mine]).reshape((size, math.prod(rows), inner))
    b = np.transpose(b, [0, *others, *right]).reshape((size, inner, math.prod(columns)))
    return np.matmul(a, b).reshape((size, *rows, *columns))


bilinear(np.tensordot, _tensordot_left, _tensordot_right, batch=_tensordot_batch)


def _einsum_call(args, options):
    """The operands; and the subscripts with a letter for every axis, and the result's."""
    given = options.keys() - {"optimize"} - ({"out"} if options.get("out") is None else set())
    if given:
        raise TypeError(f"einsum: the options {', '.join(sorted(given))} are not differentiable")
    if isinstance(args[0], str):
        text, *operands = args
    else:  # einsum(a, [0, 1], b, [1, 2], [0, 2])
        spelled = ["".join("..." if i is Ellipsis else _LETTERS[i] for i in s) for s in args[1::2]]
        operands = args[: len(args) // 2 * 2 : 2]
        text = ",".join(spelled)
        if len(args) % 2:
            text += "->" + "".join("..." if i is Ellipsis else _LETTERS[i] for i in args[-1])
    inputs, arrow, output = text.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {text!r} describes {len(terms)} arrays, not {len(operands)}")
    width = [
        np.ndim(x) - len(t) + 3 if "..." in t else 0 for t, x in zip(terms, operands, strict=True)
    ]
    spare = "".join(c for c in _LETTERS if c not in text)[: max(width)]
    if not arrow:
        output = "..." + "".join(c for c in _LETTERS if inputs.count(c) == 1)
    elif spare and "..." not in output:
        raise ValueError(f"einsum: the result of {text!r} has no '...' for the operands' axes")
    terms = [t.replace("...", spare[len(spare) - w :]) for t, w in zip(terms, width, strict=True)]
    subscripts = ",".join(terms) + "->" + output.replace("...", spare)
    return operands, {"subscripts": subscripts, "optimize": options.get("optimize", False)}


def _einsum_pull(i, g, y, *operands, subscripts, optimize=False):
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    mine = terms.pop(i)
    others = [x for k, x in enumerate(operands) if k != i]
    known = [c for c in dict.fromkeys(mine) if c in output or any(c in t for t in terms)]
    back = ",".join([output, *terms]) + "->" + "".join(known)
    c = np.einsum(back, g, *others, optimize=bool(optimize))
    # length 1, to be broadcast, where this operand alone is summed, and for repeated letters
    lacking = [k for k, s in enumerate(mine) if s not in known or mine.index(s) < k]
    c = np.expand_dims(c, tuple(lacking))
    for k in (k for k in lacking if mine.index(mine[k]) < k):  # "ii": on the diagonal only
        numbers = np.arange(operands[i].shape[k], like=like(operands[i]))
        first = numbers.reshape([-1 if n == mine.index(mine[k]) else 1 for n in range(len(mine))])
        second = numbers.reshape([-1 if n == k else 1 for n in range(len(mine))])
        c = np.where(first == second, c, 0)
    return c


def _einsum_push(i, g, y, *operands, subscripts, optimize=False):
    return np.einsum(subscripts, *operands[:i], g, *operands[i + 1 :], optimize=optimize)


def _einsum_batch(operation, args, mapped, options):
    """A letter of its own for the mapped axis, and by way of matrix products, as all grow."""
    inputs, output = options["subscripts"].split("->")
    letter = next(c for c in _LETTERS if c not in inputs)
    terms = [letter * m + t for t, m in zip(inputs.split(","), mapped, strict=True)]
    subscripts = f"{','.join(terms)}->{letter}{output}"
    optimize = options.get("optimize") or True
    return operation.apply(args, {"subscripts": subscripts, "optimize": optimize})


general(
    np.einsum,
    lambda wanted, g, y, *xs, **options: [_einsum_pull(i, g, y, *xs, **options) for i in wanted],
    _einsum_push,
    variadic=True,
    reads=OTHERS,
    bind=_einsum_call,
    batch=_einsum_batch,
    forward=lambda *operands, subscripts, optimize=False: np.einsum(
        subscripts, *operands, optimize=optimize
    ),
)

constant(np.einsum_path, batch=inquiring)


# --- NumPy's second names, in np.linalg ---------------------------------------------------------


@composition(np.linalg.matmul)
def linalg_matmul(x1, x2, /):
    """np.matmul."""
    return np.matmul(x1, x2)


@composition(np.linalg.tensordot)
def linalg_tensordot(x1, x2, /, *, axes=2):
    """np.tensordot."""
    return np.tensordot(x1, x2, axes=axes)


@composition(np.linalg.vecdot)
def linalg_vecdot(x1, x2, /, *, axis=-1):
    """np.vecdot along any axis."""
    return np.vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


@composition(np.linalg.outer)
def linalg_outer(x1, x2, /):
    """np.outer of vectors."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"linalg.outer takes vectors, not {np.shape(x1)} and {np.shape(x2)}")
    return np.outer(x1, x2)


@composition(np.linalg.matrix_transpose)
def linalg_matrix_transpose(x, /):
    """The last two axes exchanged."""
    return _t(x)


@composition(np.linalg.diagonal)
def linalg_diagonal(x, /, *, offset=0):
    """Diagonals in the last two axes."""
    return np.diagonal(x, offset, axis1=-2, axis2=-1)


@composition(np.linalg.trace)
def linalg_trace(x, /, *, offset=0, dtype=None):
    """Traces in the last two axes."""
    if dtype is not None:
        raise TypeError("linalg.trace: dtype= is not differentiable; use .astype() on the result")
    return np.trace(x, offset, axis1=-2, axis2=-1)
