"""Whole matrices of derivatives: `jacobian`, `hessian`; and `hvp`, a Hessian times a vector.

A Jacobian is swept out by seeds, one for each row (reverse mode) or column (forward mode).  The
function is recorded once, and many seeds go through the graph together, as one array with a mapped
axis: see `autograd.batch`.
"""

import math
from itertools import accumulate, pairwise

import numpy as np

from .batch import Batch
from .diagonal import Diagonal
from .graph import history, levels
from .lazy import is_lazy
from .primitive import Wrapper, number
from .transforms import (
    Moved,
    Recorded,
    check_tuples,
    directions_for,
    grad,
    jvp,
    named,
    variables_of,
)
from .tree import flatten

CACHED = 2**16  # elements of an array that stays in a core's cache
FEWEST = 16  # seeds at a time: fewer make thin products, and one walk over the graph each


def jacobian(f, argnums=0, mode="reverse", chunk_size=None, sparse=False):
    """The Jacobian of `f`: an array of shape ``result.shape + argument.shape``.

    mode         "reverse": all rows in one sweep back over the graph, for few results;
                 "forward": all columns in one sweep on from the arguments, for few arguments;
                 "auto": whichever `autograd.plan` finds the cheapest
    chunk_size   how many rows or columns at a time: memory grows with it; by default as many as
                 leave the arrays in the cache, sixteen at least
    sparse       True: a scipy.sparse.csr_array of all results by all arguments, numbered through.
                 What can differ from zero is found from the graph, and rows ("reverse") or
                 columns ("forward") that do not overlap are swept out together ("auto": in the
                 cheaper way): memory is that of these few sweeps, and of the elements found

    For trees of arguments or results, the tree of the results' trees of the arguments' blocks.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])

    Sparse ones are what SciPy's solvers take; that of a gradient is a sparse Hessian:

    >>> jacobian(lambda t, y: y * np.roll(y, 1), argnums=1, sparse=True)(0.0, np.ones(1000)).nnz
    2000
    """
    _check("jacobian", mode, chunk_size)

    def wrapped(*args, **kwargs):
        if sparse:
            return compressed(f, argnums, args, kwargs, chunk_size, mode)
        return modes[mode](f, argnums, args, kwargs, chunk_size)

    return named(wrapped, f)


def hessian(f, argnums=0, mode="forward", chunk_size=None):
    """The matrix of second derivatives of `f`, a function that returns one number.

    mode, chunk_size   as for `jacobian`, of the gradient; forward over reverse is the cheapest

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    _check("hessian", mode, chunk_size)
    slope = grad(f, argnums)
    found = jacobian(slope, argnums, mode, chunk_size)
    if mode != "forward":
        return found
    # of the gradient's graph: pushed while f runs, the value would be pushed too
    return named(lambda *args, **kwargs: _replayed(slope, argnums, args, kwargs, chunk_size), f)


def hvp(f, primals, tangents):
    """Hessian times vector, without the Hessian, forward over reverse: a tuple like `primals`.

    f         returns one number
    primals   tuple of its arguments; tangents: the vector, of the same structure and shapes

    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (array([6., 0.]),)
    """
    check_tuples("hvp", primals, tangents)
    directions = directions_for("hvp", primals, tangents)
    found = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)[1]
    leaves, rebuild = flatten(found)
    return rebuild([_block(h, 0.0, v) for h, v in zip(leaves, directions, strict=True)])


def _reverse(f, argnums, args, kwargs, chunk_size):
    run = Recorded(f, argnums, args, kwargs)
    variables = [variable.node.value for variable in run.variables]
    columns = swept(run.pull_leaves, run.values, variables, chunk_size or at_once(run))
    ranges = block_ranges(run.values)
    return _assembled(run, variables, lambda k, i: columns[i][slice(*ranges[k])])


def _forward(f, argnums, args, kwargs, chunk_size):
    variables, _, _ = variables_of(f, argnums, args, lambda i, value: value)
    count = sum(math.prod(np.shape(x)) for x in variables)
    if count > (chunk_size or FEWEST):
        return _replayed(f, argnums, args, kwargs, chunk_size)
    level = next(levels)  # all at once, while f runs: no graph is kept
    seeds = [Batch(block, level) for block in units(variables, 0, count)]
    run = Moved(f, argnums, args, kwargs, seeds)
    pairs = zip(run.tangents, run.values, strict=True)
    return _by_columns(run, variables, _apart([all_seeds(t, level, count, y) for t, y in pairs]))


def _replayed(f, argnums, args, kwargs, chunk_size):
    """Forward mode on a recorded graph: what the results do not need is not pushed."""
    run = Recorded(f, argnums, args, kwargs)
    variables = [variable.node.value for variable in run.variables]
    rows = swept(run.push, variables, run.values, chunk_size or at_once(run))
    return _by_columns(run, variables, rows)


def _by_columns(run, variables, rows):
    """The Jacobian from the tangents of each result, the arguments' elements first."""
    ranges = block_ranges(variables)
    return _assembled(run, variables, lambda k, i: np.moveaxis(rows[k][slice(*ranges[i])], 0, -1))


def jacobian_blocks(run, variables, matrix):
    """The Jacobian from the matrix of all results by all arguments."""
    rows, columns = block_ranges(run.values), block_ranges(variables)
    return _assembled(run, variables, lambda k, i: matrix[slice(*rows[k]), slice(*columns[i])])


def _assembled(run, variables, entries):
    """The Jacobian in the structure of results and arguments.

    entries   ``(k, i)`` -> the derivatives of result k by argument i, in any shape
    """
    blocks = [
        run.rebuild([_block(entries(k, i), y, x) for i, x in enumerate(variables)])
        for k, y in enumerate(run.values)
    ]
    return run.rebuild_result(blocks)


def _block(entries, y, x):
    """The derivatives of y by x in the shape of both and the type of x, as a gradient is; of a
    single number by a float, a float.
    """
    block = np.reshape(entries, np.shape(y) + np.shape(x))
    dtype = getattr(x, "dtype", np.dtype(float))
    block = block if block.dtype == dtype else block.astype(dtype)
    if type(x) is float and not np.ndim(block) and not isinstance(block, Wrapper):
        return block if is_lazy(block) else number(block)
    return block


modes = {"reverse": _reverse, "forward": _forward}  # the planner adds "auto"
compressed = None  # the planner's, which stands above this module: the package sets it


def swept(sweep, seeded, reached, chunk_size):
    """The derivatives of every value `reached` by every element `seeded`, the elements first.

    sweep   from a seed for each value of `seeded`, with a mapped axis, to what it gives for each
            of `reached`
    """
    total = sum(math.prod(np.shape(value)) for value in seeded)
    rounds = -(-total // min(chunk_size or total, total)) if total else 1
    parts = [[] for _ in reached]
    for i in range(rounds):
        start, stop = i * total // rounds, (i + 1) * total // rounds
        blocks = units(seeded, start, stop)
        level = next(levels)  # above that of the blocks
        found = sweep([Batch(block, level) for block in blocks])
        for part, c, x in zip(parts, found, reached, strict=True):
            c = all_seeds(c, level, stop - start, x)
            if rounds == 1 or type(c) is not np.ndarray:
                part.append(c)
                continue
            if not part:  # put into their places at once, they are not kept twice
                part.append(np.empty((total, *c.shape[1:]), c.dtype))
            part[0][start:stop] = c
    whole = [part[0] if len(part) == 1 else np.concatenate(part) for part in parts]
    return _apart(whole)


def _apart(arrays):
    """`arrays` that can be written into, no two of them in the same memory."""
    return [x.copy() if _shared(x, arrays[:k]) else x for k, x in enumerate(arrays)]


def _shared(x, others):
    return type(x) is np.ndarray and (
        not x.flags.writeable
        or any(type(o) is np.ndarray and np.may_share_memory(x, o) for o in others)
    )


def at_once(run):
    """How many seeds to take at a time by default: so many that arrays stay in the cache."""
    values = [node.value for node in history(*filter(None, run.nodes))]
    arrays = [x for v in values for x in (v if isinstance(v, (tuple, list)) else [v])]
    largest = max((math.prod(np.shape(x)) for x in arrays), default=1)
    return max(FEWEST, CACHED // max(largest, 1))


def units(values, start, stop):
    """The same as `basis`; those of a single vector as a `Diagonal`."""
    if len(values) == 1 and type(values[0]) is np.ndarray and values[0].ndim == 1:
        (x,) = values
        return [Diagonal(np.ones(stop - start, x.dtype), start, x.size, next(levels))]
    return basis(values, start, stop)


def basis(values, start, stop):
    """The unit vectors number start ... stop - 1 of all elements together, a block a value."""
    blocks = []
    for (first, last), value in zip(block_ranges(values), values, strict=True):
        shape, dtype = np.shape(value), getattr(value, "dtype", float)
        block = np.zeros((stop - start, last - first), dtype)
        rows = np.arange(max(first, start), min(last, stop))
        block[rows - start, rows - first] = 1
        block = block.reshape(stop - start, *shape)
        blocks.append(value.beside(block) if isinstance(value, Wrapper) else block)
    return blocks


def block_ranges(values):
    """``(start, stop)`` for each value: where its elements stand among those of all values."""
    sizes = [math.prod(np.shape(value)) for value in values]
    return list(pairwise(accumulate(sizes, initial=0)))


def all_seeds(c, level, count, value):
    """What came for all seeds, as an array; zeros where nothing depends on them."""
    if type(c) is Batch and c.level == level:
        return c.value.inside if type(c.value) is Diagonal else c.value
    return np.zeros((count, *np.shape(value)), getattr(value, "dtype", float))


def _check(what, mode, chunk_size):
    if not isinstance(mode, str) or mode not in modes:
        raise ValueError(f"{what}: mode is {' or '.join(map(repr, sorted(modes)))}, not {mode!r}")
    if chunk_size is None:
        return
    if not isinstance(chunk_size, (int, np.integer)) or chunk_size < 1:
        raise ValueError(
            f"{what}: chunk_size is a positive whole number or None, not {chunk_size!r}"
        )
