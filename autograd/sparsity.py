"""Sparsity patterns: which result may depend on which argument, propagated through a graph.

A *pattern* lists, for each element of an array, the numbers of the arguments that its value was
made of, in the compressed-row form: those of element i are ``columns[start[i]:start[i + 1]]``.
It may list too many, never too few: what an operation without a rule here returns counts as made
of all elements of its arguments.  A pattern with so many that nothing would be gained by knowing
them is `DENSE`.

It holds for the graph it was found in: indices, masks and other constants are those met there.
"""

import math
import string
from dataclasses import dataclass

import numpy as np

from .graph import Node
from .primitive import differs, plain
from .rules.indexing import pick
from .rules.numerics import convolution_start, correlation_start, part_of_full
from .rules.products import paired_axes

DENSE = "dense"  # a pattern that is dense, or nearly so


class Pattern:
    """For each of some elements, the arguments it depends on: in order, none twice."""

    __slots__ = ("start", "columns")

    def __init__(self, start, columns):
        self.start, self.columns = start, columns

    def __len__(self):
        return len(self.start) - 1


@dataclass
class Applied:
    """An operation in the graph: its arguments' values and patterns (None: of a constant), its
    value y, and the number n of arguments of the whole.

    A rule yields ``(i, targets, sources)``: element ``targets[k]`` of the result depends on
    element ``sources[k]`` of argument i (or of a pattern, given in its place).  None for either
    stands for all elements in order; a negative source for none.
    """

    primitive: object
    patterns: list
    values: list
    y: object
    options: dict
    n: int

    def constant(self, i):
        """Argument i, where its zeros are zeros for good: a plain array that is no variable."""
        x = self.values[i]
        return x if self.patterns[i] is None and type(x) is np.ndarray else None


def pattern_of(nodes, inputs, outputs, n):
    """``(rows, columns)`` of the Jacobian's elements that may not be zero; or `DENSE`.

    nodes            of the graph, oldest first; inputs: the arguments' nodes, of n elements in
                     all; outputs: ``(node, value)`` of each result, the node being None for one
                     that depends on nothing
    """
    found, first = {}, 0
    for node in inputs:
        size = math.prod(np.shape(node.value))
        found[node] = Pattern(np.arange(size + 1), np.arange(first, first + size))
        first += size
    for node in nodes:
        found[node] = _of_node(node, found, n)
    rows, columns, first = [np.zeros(0, int)], [np.zeros(0, int)], 0
    for node, value in outputs:
        pattern = found.get(node)
        if pattern is DENSE:
            return DENSE
        if pattern is not None:
            rows.append(first + np.repeat(np.arange(len(pattern)), np.diff(pattern.start)))
            columns.append(pattern.columns)
        first += math.prod(np.shape(value))
    return np.concatenate(rows), np.concatenate(columns)


def _of_node(node, found, n):
    """The pattern of a node's value; a list of patterns where that is a tuple of arrays."""
    primitive, options = node.primitive, node.options or {}
    patterns = [found.get(s) if isinstance(s, Node) else None for s in node.inputs]
    if primitive is pick:
        return patterns[0][options["index"]]
    if DENSE in patterns:
        return [DENSE] * len(node.value) if primitive.outputs else DENSE
    values = [s.value if isinstance(s, Node) else s for s in node.inputs]
    rule = _rule_for(primitive, options)
    results = node.value if primitive.outputs else [node.value]
    united = []
    for y in results:
        pairs = rule(Applied(primitive, patterns, values, y, options, n))
        united.append(_united(pairs, patterns, math.prod(np.shape(y)), n))
    return united if primitive.outputs else united[0]


def _rule_for(primitive, options):
    if differs(options):
        return _all_of_all  # an index that differs from example to example
    if primitive.kind == "elementwise":
        return _elementwise
    return _RULES.get(known(primitive), _all_of_all)


def known(primitive):
    """The name of an operation, if it is NumPy's or the library's: one registered by a user may
    bear the name of another.
    """
    forward, name = primitive.forward, primitive.name
    module = getattr(forward, "__module__", None) or ""
    if module.startswith("autograd.rules.") or module == "nn.functional":
        return name
    return name if any(getattr(m, name, None) is forward for m in (np, np.linalg)) else None


def _united(pairs, patterns, size, n):
    """The pattern made of a rule's pairs, of `size` elements."""
    limit = max(size * n // 8, 16 * n)
    pairs = [(patterns[i] if isinstance(i, int) else i, t, s) for i, t, s in pairs]
    if any(pattern is DENSE for pattern, _, _ in pairs):
        return DENSE
    if pairs and all(p is pairs[0][0] and t is None and s is None for p, t, s in pairs):
        return pairs[0][0]
    if len(pairs) == 1 and pairs[0][1] is None:
        return _gathered(pairs[0][0], pairs[0][2], limit)
    keys = [np.zeros(0, int)]
    for pattern, targets, sources in pairs:
        gathered = _gathered(pattern, sources, max(4 * limit, len(pattern.columns)))
        if gathered is DENSE:
            return DENSE
        counts = np.diff(gathered.start)
        targets = np.arange(len(counts)) if targets is None else targets
        keys.append(np.repeat(targets * n, counts) + gathered.columns)
    keys = np.sort(np.concatenate(keys), kind="stable")  # merges what is in order already
    keys = keys[np.diff(keys, prepend=-1) > 0]
    if len(keys) > limit:
        return DENSE
    rows, columns = np.divmod(keys, max(n, 1))
    return Pattern(_starts(np.bincount(rows, minlength=size)), columns)


def _gathered(pattern, elements, limit):
    """The pattern of the elements numbered so, or of all; none for a negative number."""
    if elements is None:
        return pattern
    if not len(pattern):
        return Pattern(np.zeros(len(elements) + 1, int), pattern.columns)
    first = pattern.start[elements]
    counts = np.where(elements < 0, 0, pattern.start[elements + 1] - first)
    start = _starts(counts)
    if start[-1] > limit:
        return DENSE
    return Pattern(
        start, pattern.columns[np.arange(start[-1]) + np.repeat(first - start[:-1], counts)]
    )


def _starts(counts):
    start = np.zeros(len(counts) + 1, int)
    np.cumsum(counts, out=start[1:])
    return start


# --- element by element, and elements moved -------------------------------------------------------


def _numbers(shape, first=0):
    return np.arange(first, first + math.prod(shape)).reshape(shape)


def _elementwise(op):
    pulls = op.primitive.pulls if op.primitive.arity is not None else [True] * len(op.values)
    shape = np.shape(op.y)
    for i, (x, pull) in enumerate(zip(op.values, pulls, strict=True)):
        if pull is None or op.patterns[i] is None:
            continue
        kept = _not_masked(op, i)
        if kept is None and np.shape(x) == shape:
            yield i, None, None
            continue
        sources = np.broadcast_to(_numbers(np.shape(x)), shape)
        yield i, None, (sources if kept is None else np.where(kept, sources, -1)).ravel()


def _not_masked(op, i):
    """Where argument i counts, if a constant factor or condition says."""
    name = known(op.primitive)
    if name == "multiply" and op.constant(1 - i) is not None:
        return op.constant(1 - i) != 0
    if name == "where" and i and op.constant(0) is not None:
        return (op.constant(0) != 0) == (i == 1)
    return None


def _moved(op):
    """Run the operation on the elements' numbers, 0 standing for none."""
    left_out = (*op.primitive.drop, "dtype", "casting")
    options = {k: v for k, v in plain(op.options).items() if k not in left_out}
    numbers, ends = [], [1]
    for x, pattern in zip(op.values, op.patterns, strict=True):
        size = 0 if pattern is None else len(pattern)
        numbers.append(_numbers(np.shape(x), ends[-1]) if size else np.zeros(np.shape(x), int))
        ends.append(ends[-1] + size)
    origin = np.ravel(op.primitive.forward(*numbers, **options))
    for i, pattern in enumerate(op.patterns):
        if pattern is not None:
            inside = (origin >= ends[i]) & (origin < ends[i + 1])
            yield i, None, np.where(inside, origin - ends[i], -1)


def _kept(op):
    """Elements in their places: conversions, and shifts by constants."""
    yield 0, None, None


def _added(op):
    """`scatter`: the elements of an array are added where the index of it says."""
    places = _numbers(op.options["shape"])
    for i, (g, index) in enumerate(zip(op.values, plain(op.options["indices"]), strict=True)):
        if op.patterns[i] is not None:
            targets = places[index]
            sources = np.broadcast_to(_numbers(np.shape(g)), np.shape(targets))
            yield i, np.ravel(targets), np.ravel(sources)


# --- along axes -----------------------------------------------------------------------------------


def _reduced(op):
    """The elements along some axes are put together into one."""
    yield 0, _lines(op, None), None


def _in_lines(op):
    """Every element depends on its whole line along an axis, or several."""
    lines = _lines(op, -1)
    together = _united([(0, lines, None)], op.patterns, lines.max(initial=-1) + 1, op.n)
    yield together, None, lines


def _lines(op, default):
    """For each element of the argument the number of its line along the axes of the options."""
    shape, axis = np.shape(op.values[0]), op.options.get("axis", default)
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = {a % len(shape) for a in axes} if shape else ()
    kept = [1 if i in axes else length for i, length in enumerate(shape)]
    return np.broadcast_to(_numbers(kept), shape).ravel()


def _running(op):
    """Every element depends on those before it in its line, and on itself."""
    numbers, axis = _numbers(np.shape(op.values[0])), op.options.get("axis")
    lines = numbers.reshape(1, -1) if axis is None else np.moveaxis(numbers, axis, -1)
    length = lines.shape[-1]
    later, earlier = np.tril_indices(length)
    lines = lines.reshape(math.prod(lines.shape[:-1]), length)
    yield 0, lines[:, later].ravel(), lines[:, earlier].ravel()


def _all_of_all(op):
    """Every element depends on every element of every argument: by way of one that has them all."""
    for i, pattern in enumerate(op.patterns):
        if pattern is not None:
            one = _united([(i, np.zeros(len(pattern), int), None)], op.patterns, 1, op.n)
            yield one, None, np.zeros(math.prod(np.shape(op.y)), int)


# --- products -------------------------------------------------------------------------------------


def _summed(op, terms, output):
    """What einsum's subscripts say: a term for each array, with a letter for each axis.

    An element depends on those with the same letters' numbers, and on all along the other
    letters; where the other factor is a constant with many zeros, on those it does not multiply
    by zero.
    """
    shapes = [np.shape(x) for x in op.values[: len(terms)]]
    sizes = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, length in zip(term, shape, strict=True):
            sizes[letter] = length if sizes.get(letter, 1) == 1 else sizes[letter]
    for i, term in enumerate(terms):
        if op.patterns[i] is None:
            continue
        factor = op.constant(1 - i) if len(terms) == 2 else None
        if factor is not None and 2 * np.count_nonzero(factor) <= factor.size:
            yield _where_not_zero(i, terms, output, factor, shapes[i], np.shape(op.y), sizes)
            continue
        # first all that differ only in letters the result does not have are put together
        kept = [c for c, length in zip(term, shapes[i], strict=True) if length == sizes[c]]
        kept = {c: sizes[c] for c in output if c in kept}
        steps = dict(zip(kept, _strides(kept.values()), strict=True))
        first = {c: k for k, c in reversed([*enumerate(term)])}
        targets = _numbered(
            [steps.get(c, 0) * (first[c] == k) for k, c in enumerate(term)], shapes[i]
        )
        on = [np.ravel(on) for on in _diagonals(term, shapes[i])]
        sources = np.flatnonzero(np.logical_and.reduce(on)) if on else np.arange(targets.size)
        pairs = [(i, targets.ravel()[sources], sources)]
        together = _united(pairs, op.patterns, math.prod(kept.values()), op.n)
        yield together, None, _numbered([steps.get(c, 0) for c in output], np.shape(op.y)).ravel()


def _where_not_zero(i, terms, output, factor, shape, result, sizes):
    """The pairs for factor i, the other being a constant: one for each of its other elements."""
    at, other = np.nonzero(factor), terms[1 - i]
    known = {}
    for c, length, places in zip(other, factor.shape, at, strict=True):
        if length == sizes[c]:
            keep = places == known[c] if c in known else np.ones(len(places), bool)
            known = {k: v[keep] for k, v in known.items()} | {c: places[keep]}
            at = tuple(v[keep] for v in at)
    free = [c for c in dict.fromkeys(terms[i] + output) if c not in known]
    grid = dict(zip(free, np.ogrid[tuple(slice(sizes[c]) for c in free)], strict=True))
    count = len(at[0]) if at else 1
    at = {c: v.reshape(-1, *[1] * len(free)) for c, v in known.items()} | grid
    whole = (count, *(sizes[c] for c in free))
    targets, sources = (
        np.broadcast_to(
            sum(at[c] * step for c, step, n in zip(term, _strides(s), s, strict=True) if n > 1),
            whole,
        ).ravel()
        for term, s in ((output, result), (terms[i], shape))
    )
    return i, targets, sources


def _diagonals(term, shape):
    """For each letter that comes again, which elements have the same number on both axes."""
    numbers = np.indices(shape, sparse=True)
    for k, c in enumerate(term):
        if c in term[:k]:
            yield np.broadcast_to(numbers[k] == numbers[term.index(c)], shape)


def _strides(shape):
    """How far apart neighbours along each axis are among all elements."""
    shape = [*shape]
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def _numbered(steps, shape):
    """The array of the sums of places times steps, of each axis."""
    total = np.zeros(shape, int)
    for step, places in zip(steps, np.indices(shape, sparse=True), strict=True):
        total += step * places
    return total


def _axes(count):
    return string.ascii_lowercase[:count]


def _matmul(op):
    a, b = (np.ndim(x) for x in op.values)
    stack = _axes(max(a, b, 2) - 2)
    terms = [
        "K" if axes == 1 else stack[len(stack) - axes + 2 :] + matrix
        for axes, matrix in ((a, "IK"), (b, "KJ"))
    ]
    yield from _summed(op, terms, stack + "I" * (a > 1) + "J" * (b > 1))


def _vecdot(op):
    stack = _axes(np.ndim(op.y))
    terms = [stack[len(stack) + 1 - np.ndim(x) :] + "K" for x in op.values]
    yield from _summed(op, terms, stack)


def _tensordot(op):
    a, b = (np.ndim(x) for x in op.values)
    left, right = [*string.ascii_lowercase[:a]], [*string.ascii_uppercase[:b]]
    for i, j in zip(*paired_axes(*op.values, op.options.get("axes", 2)), strict=True):
        left[i] = right[j]
    summed = {*left} & {*right}
    output = "".join(c for c in left + right if c not in summed)
    yield from _summed(op, ["".join(left), "".join(right)], output)


def _einsum(op):
    inputs, output = op.options["subscripts"].split("->")
    yield from _summed(op, inputs.split(","), output)


def _linear(op):
    """`nn`'s linear: ``x @ weight.T + bias``."""
    x, weight, bias = op.values
    stack = _axes(np.ndim(x) - 1)
    yield from _summed(op, [stack + "K", "JK"], stack + "J")
    if op.patterns[2] is not None:
        yield 2, None, np.broadcast_to(_numbers(np.shape(bias)), np.shape(op.y)).ravel()


def _by_matrix(op):
    """Of a stack of matrices each by itself: elements depend on all of their own matrix."""
    stack = _axes(np.ndim(op.values[0]) - 2)
    yield from _summed(op, [stack + "MN"], stack + "IJ"[: np.ndim(op.y) - len(stack)])


def _solve(op):
    a, b = (np.ndim(x) for x in op.values)
    stack = _axes(max(a, b, 2) - 2)
    right = "M" if b == 1 else stack[len(stack) - b + 2 :] + "MJ"
    output = stack + ("I" if b == 1 else "IJ")
    yield from _summed(op, [stack[len(stack) - a + 2 :] + "MN", right], output)


def _convolved(op):
    """Element k of the full convolution is the sum of ``a[i] v[k - i]``; the other modes cut off
    its ends; correlation turns v round.
    """
    a, b = (np.size(x) for x in op.values)
    i, j = np.indices((a, b)).reshape(2, -1)
    if op.primitive.name == "convolve":
        targets, same, default = i + j, convolution_start(a, b), "full"
    else:
        targets, same, default = i + b - 1 - j, correlation_start(a, b), "valid"
    start, _ = part_of_full(a, b, op.options.get("mode", default), same)
    targets = targets - start
    inside = (targets >= 0) & (targets < np.size(op.y))
    for k, sources in enumerate((i, j)):
        if op.patterns[k] is not None:
            yield k, targets[inside], sources[inside]


_MOVING = (
    "reshape", "ravel", "expand_dims", "squeeze", "broadcast_to", "copy", "transpose",
    "matrix_transpose", "swapaxes", "moveaxis", "flip", "roll", "rot90", "repeat", "tile",
    "concatenate", "stack", "insert", "diag", "tril", "triu", "pad", "getitem", "setitem",
)  # fmt: skip
_REDUCING = (
    "sum", "mean", "prod", "max", "min", "amax", "amin", "nanmax", "nanmin", "logsumexp", "euclid",
)  # fmt: skip
_BY_MATRIX = ("inv", "pinv", "det", "slogdet", "cholesky", "qr", "eigh", "svd", "cofactors")
_RULES = {
    **dict.fromkeys(_MOVING, _moved),
    **dict.fromkeys(_REDUCING, _reduced),
    **dict.fromkeys(("astype", "unwrap", "modf"), _kept),
    **dict.fromkeys(("softmax", "log_softmax"), _in_lines),
    **dict.fromkeys(("cumsum", "cumprod"), _running),
    **dict.fromkeys(_BY_MATRIX, _by_matrix),
    **dict.fromkeys(("convolve", "correlate"), _convolved),
    "scatter": _added, "matmul": _matmul, "vecdot": _vecdot, "tensordot": _tensordot,
    "einsum": _einsum, "linear": _linear, "solve": _solve,
}  # fmt: skip
