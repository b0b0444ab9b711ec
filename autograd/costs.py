"""What operations cost, exactly, by the shapes they meet: what `count_operations` adds up.

A cost is a function ``(y, *args, **options) -> Counts`` of an operation's value, arguments and
options, of which it looks at shapes and element types only.  `COSTS` has those of NumPy's
functions, by class:

a operation on elements    one addition, multiplication, division or comparison an element of
                           the result; any other is one call by its name
a reduction                n - 1 for n elements to one
a product of matrices      2mnk, one multiplication and one addition for each triple of indices
a factorization            the leading terms of its polynomial, rounded down, where it is direct
                           (Anderson et al., LAPACK Working Note 41, 1994); what iterates, eigh
                           and svd, is one call a matrix
a rearrangement            no arithmetic; a view moves no bytes either

An operation of our own, or a user's, needs no entry where its ``forward`` is a program in NumPy:
that is run, and what it does is counted.  Where it is not (it writes in place, or is written in
another language), ``cost=`` says it.  Masks do not change what is counted: a reduction with
``where=`` counts as one over all elements.
"""

import math
from dataclasses import asdict, dataclass, field

import numpy as np

from .primitive import is_whole, plain

_NUMBERS = ("additions", "multiplications", "divisions", "comparisons", "gemm")


@dataclass(repr=False, slots=True)
class Counts:
    """How many operations of each class a program executed, and how many bytes it moved.

    additions         also subtractions and changes of sign
    multiplications   also squares
    divisions         also reciprocals and remainders
    comparisons       also choices, signs, absolute values and logic
    calls             of other functions, by name: ``{"exp": 5}``
    gemm              multiplications and additions in products of matrices and in linear algebra
    bytes_read        of every operation's array arguments, 8 for a Python number
    bytes_written     of every operation's result; a view reads and writes nothing

    >>> Counts(additions=2, calls={"exp": 1}) + Counts(additions=1)
    additions  3
    exp        1
    total      4
    """

    additions: int = 0
    multiplications: int = 0
    divisions: int = 0
    comparisons: int = 0
    calls: dict = field(default_factory=dict)
    gemm: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def total(self):
        """All operations, each as one; bytes are none."""
        return sum(getattr(self, name) for name in _NUMBERS) + sum(self.calls.values())

    def __add__(self, other):
        return self._combined(other, 1)

    def __sub__(self, other):
        return self._combined(other, -1)

    def _combined(self, other, sign):
        if not isinstance(other, Counts):
            return NotImplemented
        calls = dict(self.calls)
        for name, n in other.calls.items():
            calls[name] = calls.get(name, 0) + sign * n
        return Counts(
            self.additions + sign * other.additions,
            self.multiplications + sign * other.multiplications,
            self.divisions + sign * other.divisions,
            self.comparisons + sign * other.comparisons,
            {name: n for name, n in calls.items() if n},
            self.gemm + sign * other.gemm,
            self.bytes_read + sign * other.bytes_read,
            self.bytes_written + sign * other.bytes_written,
        )

    def to_dict(self):
        """All of it, and the total, as a dict of numbers; ``calls`` is a dict in it."""
        return asdict(self) | {"total": self.total}

    def _rows(self):
        rows = {name: getattr(self, name) for name in _NUMBERS[:-1]} | self.calls
        rows |= {"gemm": self.gemm, "bytes read": self.bytes_read}
        rows |= {"bytes written": self.bytes_written}
        return [(name, n) for name, n in rows.items() if n] + [("total", self.total)]

    def __repr__(self):
        rows = [(name, f"{n:,}") for name, n in self._rows()]
        left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{name:<{left}}  {n:>{right}}" for name, n in rows)

    def _repr_html_(self):
        cell = '<td style="text-align: right">'
        rows = "".join(f"<tr><th>{name}</th>{cell}{n:,}</td></tr>" for name, n in self._rows())
        return f"<table>{rows}</table>"


def cost_of(operation):
    """The cost of an operation; None where its ``forward`` is to be run, and counted."""
    cost = operation.cost or COSTS.get(operation.function)
    if cost is None and isinstance(operation.forward, (np.ufunc, type(np.sum))):
        return called(operation.name)
    return cost


# --- sizes ----------------------------------------------------------------------------------------


def size(x):
    """The number of elements; of the first part of a result that has several."""
    x = x[0] if isinstance(x, tuple) else x
    return math.prod(x.shape) if hasattr(x, "shape") else np.size(x)


def nbytes(x):
    """The bytes of a number, an array, or all of a list or tuple; 0 for anything else."""
    if isinstance(x, (list, tuple)):
        return sum(map(nbytes, x))
    if hasattr(x, "dtype"):
        return math.prod(x.shape) * x.dtype.itemsize
    return 8 if isinstance(x, (float, int)) else 0


# --- how costs are made ---------------------------------------------------------------------------


def working(count):
    """The cost of what reads its arguments, does ``count(y, *args, **options)`` and writes y."""

    def cost(y, *args, **options):
        return count(y, *args, **options) + moved(y, *args)

    return cost


def moved(y, *args, **options):
    """The cost of a copy, however rearranged."""
    return Counts(bytes_read=nbytes(args), bytes_written=nbytes(y))


def written(y, *args, **options):
    """The cost of filling an array."""
    return Counts(bytes_written=nbytes(y))


def free(y, *args, **options):
    """The cost of asking for shapes and types."""
    return Counts()


def view(y, x, **options):
    """The cost of another look at the same memory, or of a copy where that cannot be."""
    array, source = plain(y), plain(x)
    if isinstance(array, np.ndarray) and isinstance(source, np.ndarray):
        return Counts() if np.may_share_memory(array, source) else moved(y, x)
    return Counts()


def each(**work):
    """The cost of what does the same `work` for each element of its result."""
    return working(lambda y, *_, **__: Counts(**{name: n * size(y) for name, n in work.items()}))


def called(name):
    """The cost of what counts as calls, one for each element of its result."""
    return working(lambda y, *_, **__: Counts(calls={name: size(y)}))


def drawn(name):
    """The cost of random draws: one call each, and nothing is read."""
    return lambda y, like, **_: Counts(calls={name: size(y)}, bytes_written=nbytes(y))


def called_by_matrix(name):
    """The cost of what counts as one call for each matrix of its argument."""

    return working(lambda y, a, *_, **__: Counts(calls={name: math.prod(a.shape[:-2])}))


def reducing(name, divisions=0):
    """The cost of a reduction by operations of the class `name`."""

    def count(y, x, initial=None, **_):
        steps = max(size(x) - size(y), 0) + (0 if initial is None else size(y))
        return Counts(**{name: steps}) + Counts(divisions=divisions * size(y))

    return working(count)


def running(name):
    """The cost of a running sum or product."""

    def count(y, x, axis=None, **_):
        length = size(x) if axis is None else x.shape[axis]
        return Counts(**{name: size(x) - size(x) // length if length else 0})

    return working(count)


def by_matrix(flops):
    """The cost of linear algebra that takes ``flops(rows, columns)`` for each matrix."""
    return working(
        lambda y, a, **_: Counts(gemm=math.prod(a.shape[:-2]) * flops(a.shape[-2], a.shape[-1]))
    )


# --- those that are no pattern --------------------------------------------------------------------


def _matmul(y, a, b):
    return Counts(gemm=2 * size(y) * a.shape[-1])


def _tensordot(y, a, b, axes=2):
    # (m, k) and (k, n) to (m, n): the product of the three sizes is (mnk)²
    return Counts(gemm=2 * math.isqrt(size(a) * size(b) * size(y)))


def _einsum(y, *operands, subscripts, optimize=False):
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    lengths = {}
    for term, x in zip(terms, operands, strict=True):
        for letter, n in zip(term, np.shape(x), strict=True):
            lengths[letter] = max(n, lengths.get(letter, 1))  # an axis of length 1 is stretched
    steps = [tuple(range(len(terms)))]
    if optimize is not False and len(terms) > 2:
        stand_ins = [np.broadcast_to(0.0, np.shape(x)) for x in operands]
        steps = np.einsum_path(subscripts, *stand_ins, optimize=optimize)[0][1:]
    total = Counts()
    for step in steps:
        chosen = [terms.pop(i) for i in sorted(step, reverse=True)]
        kept = set(output).union(*terms) if terms else set(output)
        letters = set().union(*chosen)
        terms.append("".join(letters & kept))
        total = total + _contraction(letters, letters & kept, len(chosen), lengths)
    return total


def _contraction(letters, kept, operands, lengths):
    """One step of einsum: for each combination of indices the product of the operands, added up."""
    combinations = math.prod(lengths[c] for c in letters)
    if operands == 1:
        return Counts(additions=0 if letters == kept else combinations)
    return Counts(gemm=operands * combinations)


def _solve(y, a, b):
    n, columns = a.shape[-1], 1 if len(b.shape) == 1 else b.shape[-1]
    matrices = size(y) // (n * columns) if n * columns else 0
    return Counts(gemm=matrices * (2 * n**3 // 3 + 2 * n * n * columns))


def _convolve(y, a, v, mode="full"):
    long, short = max(size(a), size(v)), min(size(a), size(v))
    start = {"f": 0, "s": (short - 1) // 2, "v": short - 1}[mode[0]]
    # result number k is a sum over the places where the one, shifted by k, overlaps the other
    pairs = sum(min(k + 1, short, long + short - 1 - k) for k in range(start, start + y.shape[0]))
    return Counts(multiplications=pairs, additions=pairs - y.shape[0])


def _power(y, a, b):
    if type(b) in (int, float) and b in (2, 3) and not is_whole(a):  # is executed as products
        return Counts(multiplications=int(b - 1) * size(y))
    return Counts(calls={"power": size(y)})


def _compared(y, *arrays, **_):
    """Compared element by element, and the answers with each other."""
    n = max(map(size, arrays))
    return Counts(comparisons=n + max(n - 1, 0))


_close = {"additions": 2, "multiplications": 1, "comparisons": 7}  # |a - b| <= atol + rtol |b|, ...
_closeness = each(**_close)


def _all_close(y, *arrays, **_):
    n = max(map(size, arrays))
    return Counts(**{name: k * n for name, k in _close.items()}) + Counts(comparisons=max(n - 1, 0))


# --- the table ------------------------------------------------------------------------------------

power, einsum = working(_power), working(_einsum)

COSTS = {
    function: cost
    for cost, functions in [
        (each(additions=1), [np.add, np.subtract, np.negative]),
        (
            each(multiplications=1),
            [np.multiply, np.square, np.ldexp, np.deg2rad, np.radians, np.rad2deg, np.degrees],
        ),
        (
            each(divisions=1),
            [np.true_divide, np.reciprocal, np.floor_divide, np.remainder, np.fmod],
        ),
        (
            each(comparisons=1),
            [
                np.absolute, np.fabs, np.sign, np.copysign, np.maximum, np.minimum, np.fmax,
                np.fmin, np.heaviside, np.equal, np.not_equal, np.less, np.less_equal,
                np.greater, np.greater_equal, np.logical_and, np.logical_or, np.logical_xor,
                np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.logical_not, np.invert,
                np.isnan, np.isinf, np.isfinite, np.isneginf, np.isposinf, np.signbit, np.isreal,
                np.iscomplex,
            ],
        ),
        (each(comparisons=2), [np.clip]),
        (called("nan_to_num"), [np.nan_to_num]),
        (power, [np.power]),
        (_closeness, [np.isclose]),
        (working(_all_close), [np.allclose]),
        (working(_compared), [np.array_equal, np.array_equiv]),
        (reducing("additions"), [np.sum]),
        (reducing("additions", divisions=1), [np.mean]),
        (reducing("multiplications"), [np.prod]),
        (
            reducing("comparisons"),
            [
                np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin, np.all, np.any,
                np.argmax, np.argmin, np.nanargmax, np.nanargmin,
            ],
        ),
        (
            working(lambda y, x, **_: Counts(comparisons=size(x))),
            [np.count_nonzero, np.nonzero, np.flatnonzero, np.argwhere],
        ),
        (running("additions"), [np.cumsum]),
        (running("multiplications"), [np.cumprod]),
        (working(_matmul), [np.matmul, np.vecdot]),
        (working(_tensordot), [np.tensordot]),
        (einsum, [np.einsum]),
        (working(_convolve), [np.convolve]),
        (
            working(lambda y, a, v, mode="valid": _convolve(y, a, v, mode)),
            [np.correlate],
        ),
        (by_matrix(lambda n, _: 2 * n**3), [np.linalg.inv]),
        (by_matrix(lambda n, _: 2 * n**3 // 3), [np.linalg.det, np.linalg.slogdet]),
        (working(_solve), [np.linalg.solve]),
        (called_by_matrix("eigh"), [np.linalg.eigh]),
        (called_by_matrix("svd"), [np.linalg.matrix_rank]),
        (
            view,
            [
                np.reshape, np.ravel, np.expand_dims, np.squeeze, np.broadcast_to, np.transpose,
                np.matrix_transpose, np.swapaxes, np.moveaxis, np.flip, np.rot90,
            ],
        ),
        (
            moved,
            [
                np.positive, np.conjugate, np.real, np.real_if_close, np.copy, np.roll, np.repeat,
                np.tile, np.concatenate, np.stack, np.insert, np.diag, np.tril, np.triu,
            ],
        ),
        (written, [np.imag, np.zeros_like, np.ones_like]),
        (
            free,
            [
                np.empty_like, np.shape, np.ndim, np.size, np.isrealobj, np.iscomplexobj,
                np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
                np.tril_indices_from, np.triu_indices_from, np.diag_indices_from,
                np.array2string, np.array_repr, np.array_str, np.may_share_memory,
                np.shares_memory, np.einsum_path,
            ],
        ),
    ]
    for function in functions
}  # fmt: skip
