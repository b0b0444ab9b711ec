"""What settings and arrays must be: each check names the module or function, and what it got."""

import math

import numpy as np

MOST = 2**62  # no axis is as long


def check_positive(what, **settings):
    """ValueError but for positive integers, NumPy's too."""
    for name, value in settings.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not 1 <= value < MOST:
            raise ValueError(f"{what}: {name} is a positive integer, got {value!r}")


def check_number(what, **settings):
    """ValueError but for finite numbers."""
    _check(what, settings, "a finite number,", lambda value: -math.inf < value < math.inf)


def check_not_negative(what, **settings):
    """ValueError but for finite numbers, 0 or more."""
    _check(what, settings, "0 or more,", lambda value: 0 <= value < math.inf)


def check_probability(what, **settings):
    """ValueError but for numbers in [0, 1]."""
    _check(what, settings, "a probability, in [0, 1];", lambda value: 0 <= value <= 1)


def _check(what, settings, wanted, holds):
    for name, value in settings.items():
        try:
            fine = holds(value)
            fine = bool(fine) and not np.ndim(value)
        except (TypeError, ValueError):  # no number, or many
            fine = False
        if not fine:
            raise ValueError(f"{what}: {name} is {wanted} got {value!r}")


def check_flag(what, **settings):
    """ValueError but for True and False, NumPy's too."""
    for name, value in settings.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{what}: {name} is True or False, got {value!r}")


def check_dtype(what, dtype):
    """`dtype` as NumPy's; TypeError but for floating-point types."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or found.kind != "f":
        raise TypeError(f"{what}: dtype is a floating-point type, np.float32 say; got {dtype!r}")
    return found
