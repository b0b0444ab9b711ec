"""Chains of operations on elements of large arrays, which are worked through in blocks, or become
loops in machine code.
"""

from collections import deque

import numpy as np

from ..families import Constant
from .trace import Var

BLOCK = 65536  # elements of large arrays that are worked on at a time
LARGE = 4 * BLOCK  # elements from which that pays


def in_chains(lines, machine=None):
    """``(lines, chains)``: chains of operations on elements of large arrays next to one another,
    and the number of the line after each, by that of its first.

    machine   a `native.Machine`, which takes what it can into chains of its own
    """
    found, chains, todo = [], {}, deque(lines)
    kinds = {line: _kind(line, machine) for line in lines}
    while todo:
        line = todo.popleft()
        if not kinds[line]:
            found.append(line)
            continue
        chain, rest, late = [line], deque(), set()
        longest = machine.longest if kinds[line][0] is machine else len(lines)
        for other in todo:
            fits = kinds[other] == kinds[line] and len(chain) < longest
            if fits and late.isdisjoint(other.reads()):
                chain.append(other)
            else:
                rest.append(other)
                late.update(other.writes())
        if len(chain) > 1 or (kinds[line][0] is machine and machine.worth(line)):
            chains[len(found)] = len(found) + len(chain)
        found += chain
        todo = rest
    return found, chains


def _kind(line, machine):
    """What the operations of a chain have in common: who does them, and the shape."""
    if machine is not None and machine.takes(line):
        return machine, line.results.value.shape
    shape = on_elements(line)
    return shape and (np, shape)


def on_elements(line):
    """The shape, where a line does one operation on each element of large arrays of that shape."""
    y, ufunc = getattr(line.results, "value", None), ufunc_of(line)
    if not isinstance(y, np.ndarray) or y.size < LARGE or ufunc is None or ufunc.signature:
        return None
    for x in (line.results, *line.args):
        value = x.value if isinstance(x, Var) else x
        if np.ndim(value) and (value.shape != y.shape or not value.flags.c_contiguous):
            if isinstance(x, Var) or not is_one_number(value):
                return None
    return y.shape


def ufunc_of(line):
    """The ufunc of one result that a line calls and nothing more; else None."""
    operation, ufunc = line.operation, line.operation.function
    if not isinstance(ufunc, np.ufunc) or ufunc.nout != 1 or line.options:
        return None
    plain = operation.forward is ufunc or isinstance(operation, Constant)
    return ufunc if plain and ufunc.nin == len(line.args) else None


def is_one_number(x):
    """Whether a constant array is one number, broadcast."""
    return isinstance(x, np.ndarray) and x.ndim > 0 and x.size > 1 and not any(x.strides)
