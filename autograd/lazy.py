"""Arrays that are computed later: Dask's, whose values are not there while a program is recorded.

A Tensor over a Dask array records a graph over Dask's graph, and walking it gives a Dask array:
nothing is computed before the scheduler is asked to, by ``dask.compute(value, *gradients)``.

What Dask does not have it would compute as NumPy, in one piece, with a mere warning.  That may
be more than fits into memory; so the operations in `DASK` marked "no" raise before anything is.
"""

import numpy as np

from .primitive import Wrapper, leaves, plain

_SORTED = "no: sorting needs all elements at once"
_MATRIX = "no: factors of a matrix need all of it at once"
_READ = "pulled back for slices, not for indices and masks"

# The operations of which Dask's arrays do not run every call, and which calls: the support
# table's column.  Of all others the tests run every sample.
DASK = {
    "np.argpartition": _SORTED, "np.argsort": _SORTED, "np.partition": _SORTED, "np.sort": _SORTED,
    "np.median": _SORTED, "np.nanmedian": _SORTED, "np.quantile": _SORTED,
    "np.nanquantile": _SORTED, "np.percentile": _SORTED, "np.nanpercentile": _SORTED,
    "np.unique": _SORTED, "np.union1d": _SORTED, "np.intersect1d": _SORTED,
    "np.setdiff1d": _SORTED, "np.interp": _SORTED,
    "np.linalg.cholesky": _MATRIX, "np.linalg.cond": _MATRIX, "np.linalg.det": _MATRIX,
    "np.linalg.eigh": _MATRIX, "np.linalg.eigvalsh": _MATRIX, "np.linalg.lstsq": _MATRIX,
    "np.linalg.matrix_rank": _MATRIX, "np.linalg.pinv": _MATRIX, "np.linalg.qr": _MATRIX,
    "np.linalg.slogdet": _MATRIX, "np.linalg.svd": _MATRIX, "np.linalg.svdvals": _MATRIX,
    "np.polyfit": _MATRIX, "cofactors": _MATRIX, "cofactors_along": _MATRIX,
    "np.convolve": "no: sums of shifted slices", "np.correlate": "no: sums of shifted slices",
    "np.poly": "no", "np.polydiv": "no", "np.polymul": "no", "np.unwrap": "no",
    "np.bincount": "no: sums by masks", "np.histogram": "no: sums by masks",
    "np.array_equal": "no: np.all(a == b)", "np.array_equiv": "no: np.all(a == b)",
    "np.common_type": "no: x.dtype", "np.min_scalar_type": "no: x.dtype",
    "np.isrealobj": "no: x.dtype", "np.copy": "no: nothing writes into a Dask array",
    "np.diag_indices_from": "no", "np.einsum_path": "no",
    "np.matrix_transpose": "no: np.swapaxes(x, -1, -2)", "np.size": "no: x.size",
    "np.block": "np.concatenate", "np.diagonal": "no", "np.trace": "no", "np.corrcoef": "no",
    "np.insert": "no", "np.put_along_axis": "no: np.where", "np.resize": "no",
    "conv": "no", "conv_input": "no", "conv_weight": "no",
    "np.lib.stride_tricks.sliding_window_view": "no: slices, and np.stack",
}  # fmt: skip


def is_lazy(x):
    """Whether the values of `x`, or of what it wraps, are computed later."""
    return hasattr(plain(x) if isinstance(x, Wrapper) else x, "__dask_graph__")


def holds(condition):
    """Whether a condition, an array, holds everywhere; taken for granted where it is lazy.

    A check of the values of what is computed later would compute it, and once more in the end.
    """
    condition = plain(condition)
    return is_lazy(condition) or bool(np.all(condition))


def computed(*values):
    """The values as a tuple, those that are lazy computed, all in one go through the data."""
    if not any(map(is_lazy, values)):
        return values
    import dask

    return dask.compute(*values)


def without(run, name, instead=""):
    """`run`, which a lazy array among its arguments makes raise TypeError: `name` has no way."""

    def checked(*args, **options):
        if any(map(is_lazy, leaves([args, options]))):
            raise lacking(name, instead)
        return run(*args, **options)

    return checked


def lacking(name, instead=""):
    """The error for an operation that Dask does not have, and what to use instead."""
    instead = f"use {instead}, or " if instead else ""
    return TypeError(
        f"{name}: Dask's arrays have no such operation, and as NumPy's the whole array would have "
        f"to be in memory: {instead}where it fits, compute it first, x.compute()"
    )
