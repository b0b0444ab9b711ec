"""What settings must be: each raises ValueError, naming the module, the setting and its value."""

import numpy as np


def check_positive(what, **settings):
    """Positive integers, NumPy's too."""
    for name, value in settings.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{what}: {name} is a positive integer, got {value!r}")


def check_not_negative(what, **settings):
    """Finite numbers, 0 or more."""
    for name, value in settings.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{what}: {name} is 0 or more, got {value}")


def check_probability(what, **settings):
    """Numbers in [0, 1]."""
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{what}: {name} is a probability, in [0, 1]; got {value}")
