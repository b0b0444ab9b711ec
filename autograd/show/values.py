"""Values as a picture shows them: small ones as numbers, large ones by their shape and spread."""

import numpy as np

from ..primitive import plain
from ..tree import flatten

SMALL = 6  # arrays of up to so many elements are shown as numbers
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 12  # bars in a strip
LONG = 60  # characters of a name that are shown


def short_name(name):
    """A name as it is shown: cut where it is very long."""
    name = str(name)
    return name if len(name) <= LONG else f"{name[: LONG - 1]}…"


def number(x):
    """A number, to four digits."""
    return f"{x:.4g}"


def value_lines(value, shape=True):
    """A value in one line or two: numbers; or shape, and least, mean and largest with a strip.

    >>> value_lines(np.array([1.0, 2.5]))
    ['[1, 2.5]']
    >>> value_lines(np.linspace(0, 1, 100))
    ['100 numbers', '0 … 0.5 … 1 ▁▂▂▃▄▄▅▅▆▇▇█']
    """
    value = plain(value)
    if isinstance(value, (tuple, list)):
        return [" ".join(value_lines(part, shape)) for part in flatten(value)[0]]
    if isinstance(value, (int, float)) or not hasattr(value, "shape"):
        return [number(value) if isinstance(value, (int, float)) else short_name(repr(value))]
    if not isinstance(value, (np.ndarray, np.generic)):
        return [f"{shape_of(value)} ({type(value).__name__})"]  # its numbers may be far away
    if not np.shape(value):
        return [number(value)] if value.dtype.kind in "fiu" else [str(value)]
    if value.size <= SMALL:
        return [_elements(value)]
    spread = _spread(value)
    return [shape_of(value), *spread] if shape or not spread else spread


def shape_of(value):
    """``3×4`` or ``5 numbers``; "a number" for one."""
    shape = np.shape(value)
    if len(shape) == 1:
        return f"{shape[0]} number{'s' * (shape[0] != 1)}"
    return "×".join(map(str, shape)) or "a number"


def full_shape(value):
    """The shape, or several, as Python writes them."""
    if isinstance(value, (tuple, list)):
        return ", ".join(map(full_shape, value))
    return str(np.shape(plain(value)))


def dtype_of(value):
    """The name of the element type; of a tuple of arrays the first's."""
    value = plain(value)
    if isinstance(value, (tuple, list)):
        return dtype_of(value[0])
    return str(value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype)


def bytes_of(value):
    """Bytes of an array, a number or a tuple of these."""
    value = plain(value)
    if isinstance(value, (tuple, list)):
        return sum(map(bytes_of, value))
    return int(getattr(value, "nbytes", 8))


@np.errstate(all="ignore")
def strip(value):
    """A strip of bars: a vector's elements in their order, other arrays' distribution.

    >>> strip(np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]))
    '▁▃▆█▆▃▁'
    """
    value = np.asarray(value, float)
    heights = np.ravel(value)
    heights = heights[np.isfinite(heights)]
    if not heights.size:
        return ""
    if value.ndim == 1:
        places = np.linspace(0, heights.size, min(WIDTH, heights.size) + 1)[:-1].astype(int)
        sizes = np.diff(np.append(places, heights.size))
        heights = np.add.reduceat(heights / np.repeat(sizes, sizes), places)
        low = heights.min()
    else:
        low, high = heights.min(), heights.max()
        scale = max(abs(low), abs(high), 1e-300)  # the range of the largest numbers is infinite
        heights = np.histogram(heights / scale, WIDTH)[0] if high > low else [1]
        low = 0
    scale = max(np.max(np.abs(heights)), 1e-300)  # the range of the largest numbers is infinite
    heights = heights / scale - low / scale
    top = np.max(heights)
    if not top > 0:
        return BARS[3] * len(heights)
    return "".join(BARS[round(h)] for h in heights / top * (len(BARS) - 1))


def _elements(value):
    if value.dtype.kind == "f":
        return np.array2string(
            value, separator=", ", formatter={"float_kind": number}, max_line_width=10**6
        ).replace("\n", "")
    return np.array2string(value, separator=", ", max_line_width=10**6).replace("\n", "")


@np.errstate(all="ignore")
def _spread(value):
    """Least, mean and largest with a strip, and how many elements are no finite numbers."""
    if value.dtype.kind not in "fiu" or not value.size:
        return []
    finite = np.isfinite(value)
    odd = value.size - int(np.count_nonzero(finite))
    found = []
    if odd < value.size:
        these = value[finite] if odd else value
        low, high = these.min(), these.max()
        scale = max(abs(float(low)), abs(float(high))) or 1.0  # sums of the largest overflow
        mean = scale * np.mean(np.asarray(these, float) / scale)
        found.append(f"{low:.3g} … {mean:.3g} … {high:.3g} {strip(value)}")
    if odd:
        nan = int(np.count_nonzero(np.isnan(value)))
        found.append(", ".join(f"{n:,} {w}" for n, w in ((nan, "nan"), (odd - nan, "inf")) if n))
    return found
