"""What is left out of a list of calls: what nobody needs, what is there already, what does nothing.

Each function answers with the lines that are left, and which Var stands for which that was left
out, for `standing`.
"""

import pickle

import numpy as np

from ..primitive import mapped_over
from .trace import Var


def standing(x, stands):
    """`x`, or what is in it, with Vars that were left out replaced by what stands for them."""
    return mapped_over(lambda v: stands.get(v, v) if isinstance(v, Var) else v, x)


def _replace(line, stands):
    """Have a line read what stands for what it read."""
    if not stands.keys().isdisjoint(line.reads()):
        line.args, line.options = standing([line.args, line.options], stands)
        line.views = {var: stands.get(x, x) for var, x in line.views.items()}


def simplified(lines, outputs):
    """`lines` without those nothing depends on, and without a second computation of the same;
    and which Var stands for which that was left out.
    """
    same, stands, kept = {}, {}, []
    for line in lines:
        _replace(line, stands)
        key = _key(line)
        first = same.get(key) if key else None
        if first is None:
            same[key] = line
            kept.append(line)
        else:
            stands |= dict(zip(line.writes(), first.writes(), strict=True))
    needed, found = {stands.get(var, var) for var in outputs}, []
    for line in reversed(kept):
        if not needed.isdisjoint(line.writes()):
            needed |= {*line.reads()}
            found.append(line)
    return found[::-1], stands


def element(line):
    """The int at which a call reads an array, a number or a row; None if it does not."""
    if line.operation.name not in ("getitem", "pick") or not isinstance(line.args[0], Var):
        return None
    index = line.options["index"]
    (index,) = index if type(index) is tuple and len(index) == 1 else (index,)
    return index if type(index) is int else None


def reads_late(lines, names):
    """`lines` with elements read just before they are used, but for those a user has named."""
    late, found = {}, []
    for line in lines:
        if element(line) is not None and line.results not in names:
            late[line.results] = line
            continue
        for x in line.reads():
            found += _with_what_it_reads(late, x)
        found.append(line)
    return found + [line for x in [*late] for line in _with_what_it_reads(late, x)]


def _with_what_it_reads(late, x):
    line = late.pop(x, None)
    return [] if line is None else [*_with_what_it_reads(late, line.args[0]), line]


def without_idle(lines):
    """`lines` without casts and reshapes to what is there; and which Var stands for which."""
    read = {x for line in lines for x in line.reads()}
    kept, stands = [], {}
    for line in lines:
        _replace(line, stands)
        if _changes_nothing(line, read):
            stands[line.results] = line.args[0]
        else:
            kept.append(line)
    return kept, stands


def _changes_nothing(line, read):
    """Whether a call gives the shape and type to what has them."""
    if line.operation.name not in ("reshape", "astype") or not isinstance(line.args[0], Var):
        return False
    before, after = line.args[0].value, line.results.value
    if type(before) is float and line.results in read:  # a float is weakly typed, its array not
        return False
    dtype = getattr(before, "dtype", np.float64)
    return (
        np.shape(before) == np.shape(after) and dtype == after.dtype and _lie_alike(before, after)
    )


def without_repeats(lines, noted):
    """`lines` without draws that repeat others, as `checkpoint` has them from copies of generators;
    and which Var stands for which.

    noted   ``(generator, state)`` of the draws that are made first
    """
    own = {id(generator) for generator, _ in noted}
    first, stands, kept = {}, {}, []
    for line in lines:
        _replace(line, stands)
        if "generator" in line.options:
            options = {k: v for k, v in line.options.items() if k != "generator"}
            key = line.operation, pickle.dumps(options.pop("state")), _frozen(options)
            if id(line.options["generator"]) not in own and key in first:
                stands[line.results] = first[key]
                continue
            first[key] = line.results
        kept.append(line)
    return kept, stands


def without_ones(lines):
    """`lines` without multiplications by a constant 1; and which Var stands for which."""
    kept, stands = [], {}
    for line in lines:
        _replace(line, stands)
        same = _factor_of_one(line)
        if same is None:
            kept.append(line)
        else:
            stands[line.results] = same
    return kept, stands


def _factor_of_one(line):
    """The Var that is multiplied by 1, if its type and shape are the result's; else None."""
    if line.operation.name != "multiply":
        return None
    for x, other in (line.args, line.args[::-1]):
        if isinstance(x, Var) and not isinstance(other, Var):
            before, after = x.value, line.results.value
            alike = type(before) is type(after) and np.shape(before) == np.shape(after)
            alike = alike and getattr(before, "dtype", None) == getattr(after, "dtype", None)
            alike = alike and _lie_alike(before, after)
            if alike and np.ndim(other) <= np.ndim(after) and np.all(np.equal(other, 1)):
                return x
    return None


def _lie_alike(x, y):
    """Whether arrays have their elements in the same order in memory, as far from each other: sums
    and products of matrices depend on it in their last bits.
    """
    return getattr(x, "strides", ()) == getattr(y, "strides", ())


def layout_of(y):
    """Shape, type, and the axes from the slowest to the fastest in memory: sums go along it, and
    their last bit depends on it.
    """
    return y.shape, y.dtype, tuple(sorted(range(y.ndim), key=lambda axis: -y.strides[axis]))


def _key(line):
    """What makes two calls the same; None for draws, and for what holds other things."""
    if "generator" in line.options:
        return None
    try:
        return line.operation, _frozen(line.args), _frozen(line.options)
    except TypeError:
        return None


def _frozen(x):
    """A value, or a container of values, as something to compare."""
    if isinstance(x, (list, tuple)):
        return type(x), *map(_frozen, x)
    if isinstance(x, dict):
        return dict, *((key, _frozen(value)) for key, value in x.items())
    if isinstance(x, slice):
        return slice, *map(_frozen, (x.start, x.stop, x.step))
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype.str, x.tobytes()
    if isinstance(x, (float, np.generic)):
        return type(x), repr(x)
    hash(x)
    return type(x), x
