"""Chains of operations on elements of large arrays, which are worked through in blocks."""

from collections import deque

import numpy as np

from ..families import Constant
from .trace import Var

BLOCK = 65536  # elements of large arrays that are worked on at a time
LARGE = 4 * BLOCK  # elements from which that pays


def in_chains(lines):
    """``(lines, chains)``: chains of operations on elements of large arrays next to one another,
    and the number of the line after each, by that of its first.
    """
    found, chains, todo = [], {}, deque(lines)
    while todo:
        line = todo.popleft()
        size = on_elements(line)
        if not size:
            found.append(line)
            continue
        chain, rest, late = [line], deque(), set()
        for other in todo:
            if on_elements(other) == size and late.isdisjoint(other.reads()):
                chain.append(other)
            else:
                rest.append(other)
                late.update(other.writes())
        if len(chain) > 1:
            chains[len(found)] = len(found) + len(chain)
        found += chain
        todo = rest
    return found, chains


def on_elements(line):
    """The shape, where a line does one operation on each element of large arrays of that shape."""
    operation, y = line.operation, getattr(line.results, "value", None)
    if not isinstance(y, np.ndarray) or y.size < LARGE or line.options:
        return None
    function = operation.function
    if not (isinstance(function, np.ufunc) and function.nout == 1 and function.signature is None):
        return None
    if operation.forward is not function and not isinstance(operation, Constant):
        return None
    for x in (line.results, *line.args):
        value = x.value if isinstance(x, Var) else x
        if np.ndim(value) and (value.shape != y.shape or not value.flags.c_contiguous):
            if isinstance(x, Var) or not is_one_number(value):
                return None
    return y.shape


def is_one_number(x):
    """Whether a constant array is one number, broadcast."""
    return isinstance(x, np.ndarray) and x.ndim > 0 and x.size > 1 and not any(x.strides)
