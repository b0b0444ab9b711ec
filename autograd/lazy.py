"""Arrays that are computed later: Dask's, whose values are not there while a program is recorded.

A Tensor over a Dask array records a graph over Dask's graph, and walking it gives a Dask array:
nothing is computed before the scheduler is asked to, by ``dask.compute(value, *gradients)``.

What Dask does not have it would compute as NumPy, in one piece, with a mere warning.  That may
be more than fits into memory; so the operations in `DASK` marked "no" raise before anything is.
"""

import math

import numpy as np

from .primitive import Wrapper, leaves, plain

_SORTED = "no: needs all elements at once"
_MASK = "no: use np.where"
_NORM = "of vectors; Frobenius, 1 and inf of matrices"
_PLAIN = "no initial, where"
_MATRIX = "no: needs the whole matrix at once"

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
    "np.convolve": "no: use sums of slices", "np.correlate": "no: use sums of slices",
    "np.poly": "no", "np.polydiv": "no", "np.polymul": "no", "np.unwrap": "no",
    "np.bincount": "no: use sums by masks", "np.histogram": "no: use sums by masks",
    "np.array_equal": "no: use np.all(a == b)", "np.array_equiv": "no: use np.all(a == b)",
    "np.common_type": "no: use x.dtype", "np.min_scalar_type": "no: use x.dtype",
    "np.isrealobj": "no: use x.dtype", "np.copy": "no: nothing writes into a Dask array",
    "np.diag_indices_from": "no", "np.einsum_path": "no",
    "np.matrix_transpose": "no: use np.swapaxes(x, -1, -2)", "np.size": "no: use x.size",
    "np.block": "no: use np.concatenate", "np.diagonal": "no", "np.trace": "no",
    "np.corrcoef": "no",
    "np.insert": "no", "np.put_along_axis": "no: use np.where", "np.resize": "no",
    "conv": "no", "conv_input": "no", "conv_weight": "no",
    "np.array_repr": "no", "np.array_str": "no", "np.array2string": "no",
    "np.may_share_memory": "no", "np.shares_memory": "no", "np.lexsort": _SORTED,
    "np.digitize": "no", "np.histogram_bin_edges": "no", "np.trim_zeros": "no",
    "np.compress": _MASK, "np.extract": _MASK, "np.piecewise": "no: use np.where",
    "np.delete": "no: use np.concatenate of slices", "np.linalg.matrix_power": _MATRIX,
    "np.linalg.tensorinv": _MATRIX, "np.linalg.tensorsolve": _MATRIX,
    "np.linalg.inv": _MATRIX, "np.linalg.solve": _MATRIX,
    "np.linalg.norm": _NORM, "np.linalg.vector_norm": _NORM, "np.linalg.matrix_norm": _NORM,
    "x[index]": "slices, numbers; forward, one list of indices",
    "np.take": "forward, one list of indices",
    "setitem": "slices, numbers; a number by a mask of everything",
    "scatter": "slices, numbers", "np.pad": "mode 'constant', one number",
    "np.sum": _PLAIN, "np.mean": _PLAIN, "np.prod": _PLAIN, "np.max": _PLAIN, "np.min": _PLAIN,
    "np.var": _PLAIN, "np.std": _PLAIN, "np.cumsum": "along an axis",
    "np.cumprod": "along an axis", "np.nan_to_num": "no nan, posinf, neginf",
    "np.reshape": "order 'C'; axes merged or split evenly", "np.ravel": "order 'C'",
    "np.repeat": "repeats as a number, along an axis", "np.concatenate": "no dtype",
    "np.diag": "forward", "np.tril": "of matrices", "np.triu": "of matrices",
    "np.ix_": "no", "np.einsum": "no letter twice in one array",
    "np.linalg.diagonal": "no", "np.linalg.trace": "no",
    "np.lib.stride_tricks.sliding_window_view": "no: use slices, and np.stack",
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


def check_known(values):
    """ValueError for a lazy array that does not know its shape, as one read by a mask.

    Sums over it would be divided by, and gradients spread to, nobody knows how many elements.
    """
    for value in values:
        if is_lazy(value) and any(map(math.isnan, np.shape(value))):
            raise ValueError(
                f"the shape {np.shape(value)} of a Dask array is not known before it is computed: "
                f"call x.compute_chunk_sizes() first"
            )


def check_in_memory(what, parameter):
    """TypeError for a parameter on Dask, into which nothing can be written in place."""
    if is_lazy(parameter):
        raise TypeError(
            f"{what}: a parameter is a Dask array, which cannot be written into; only the data "
            f"needs to be Dask's: p.data = p.data.compute()"
        )


def compute_gradients(parameters):
    """Have the lazy gradients of parameters in memory computed, all in one go through the data."""
    waiting = [p for p in parameters if is_lazy(p.grad) and not is_lazy(p)]
    for p, gradient in zip(waiting, computed(*(p.grad for p in waiting)), strict=True):
        p.grad = gradient


def refusing(operation):
    """Let an operation marked "no" in `DASK` raise TypeError for lazy arrays, and no other."""
    function = operation.function
    module = (getattr(function, "__module__", None) or "").replace("numpy", "np", 1)
    name = f"{module}.{operation.name}" if module.startswith("np") else operation.name
    calls, _, instead = DASK.get(name, "").partition(": ")
    if calls != "no":
        return
    part = "body" if operation.kind == "composition" else "evaluate"
    run = getattr(operation, part)

    def checked(*args, **options):
        if any(map(is_lazy, leaves([args, options]))):
            raise lacking(name, instead)
        return run(*args, **options)

    setattr(operation, part, checked)


def lazily(operation, function):
    """Have `function` run in the place of an operation of which an argument is lazy."""
    run = operation.evaluate

    def evaluate(values, options):
        for value in values:
            if type(value) is not np.ndarray and is_lazy(value):
                return function(*values, **options)
        return run(values, options)

    operation.evaluate = evaluate


def lacking(name, instead=""):
    """The error for an operation that Dask does not have, and what to use instead."""
    return TypeError(
        f"{name} does not run on Dask's arrays{f' ({instead})' if instead else ''}; where the "
        f"array fits into memory, compute it first: x.compute()"
    )
