"""What a Tensor, or a function of numbers, accepts as its data, and what it says of the rest."""

import numpy as np

from .primitive import Wrapper


def base_array(array):
    """An array of a subclass as a plain one; TypeError where that would mean something else."""
    if isinstance(array, (np.ma.MaskedArray, np.matrix)):
        way = "np.asarray(m)" if isinstance(array, np.matrix) else "np.where(~m.mask, m.data, 0)"
        raise TypeError(
            f"a {type(array).__name__} computes otherwise than an array, and derivatives would be "
            f"wrong: make an array of it first, such as {way}"
        )
    return np.asarray(array)


def payload(data, name=None):
    """`data` as a Tensor keeps it: a Python float, or a floating-point (duck) array."""
    prefix = f"{name}: " if name else ""
    if type(data) is float:
        return data
    if isinstance(data, (int, float)) and not isinstance(data, (bool, np.generic)):
        return float(data)
    if type(data) is complex:
        data = np.complex128(data)
    if isinstance(data, Wrapper):
        raise TypeError(
            f"{prefix}the data is a {type(data).__name__} already; use it as it is, or its "
            f".data (or .detach()) for a new input"
        )
    if isinstance(data, (list, tuple)):
        try:
            data = np.array(data)
        except ValueError as error:  # ragged
            raise ValueError(f"{prefix}{error}") from None
        if data.dtype.kind in "iu":
            data = data.astype(float)
    elif isinstance(data, np.ndarray) and type(data) is not np.ndarray:
        try:
            data = data.view(np.ndarray) if isinstance(data, np.matrix) else base_array(data)
        except TypeError as error:
            raise TypeError(f"{prefix}{error}") from None
    kind = getattr(getattr(data, "dtype", None), "kind", None)
    if kind == "f":
        return data
    advice = "give numbers, nested lists of numbers or a floating-point array"
    if kind == "c":
        advice = "complex numbers are not supported: differentiate by real and imaginary part"
    elif kind in ("i", "u", "b"):
        advice = "convert it first: x.astype(float)"
    what = f"an array of {data.dtype}" if kind else f"a {type(data).__name__}"
    raise TypeError(f"{prefix}derivatives need floating-point data, this is {what}; {advice}")


def numeric(what, x, kinds="iubf"):
    """`x` as an array of real numbers; of ours, and of other kinds of arrays, as it is.

    what    whose it is, for errors: TypeError for what holds no numbers, and for arrays of
            subclasses that compute otherwise
    kinds   NumPy's letters for the types of numbers that are fine
    """
    if isinstance(x, Wrapper):
        return x
    try:
        if isinstance(x, np.ndarray):
            x = x if type(x) is np.ndarray else base_array(x)
        elif not hasattr(x, "dtype"):
            x = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what}: an array of numbers wanted: {error}") from error
    if getattr(x.dtype, "kind", "") not in kinds:
        raise TypeError(f"{what}: an array of real numbers wanted, got one of {x.dtype}")
    return x


def real(what, x):
    """`numeric`, integers and booleans made floats."""
    x = numeric(what, x)
    return x if isinstance(x, Wrapper) or x.dtype.kind == "f" else x.astype(float)
