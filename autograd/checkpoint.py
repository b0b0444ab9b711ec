"""checkpoint: give up the memory of a function's inside for one more evaluation of it.

The graph of a function of many steps keeps every intermediate value until the sweep back has
used it.  A checkpointed function is one node instead, which keeps its arguments and its results:
its pull evaluates the function again, recorded for as long as that one pull takes, and its push
is a jvp.  Both are transformations like any others, so derivatives of any order follow.
"""

import numpy as np

from .batch import Batch
from .batching import Same
from .graph import BASE, CONSTANT, Leaf, history, levels
from .primitive import Primitive, Wrapper, brief, highest, kind_of, plain
from .repeat import Memo
from .tensor import Tensor, handle
from .transforms import called, jvp, named, vjp
from .tree import flatten


def checkpoint(f):
    """`f`, evaluated again whenever a derivative is taken instead of keeping what is inside.

    Value and derivatives are those of f.  Of a long computation cut into checkpointed segments
    only the segments' arguments are kept, and the inside of one segment at a time.

    f   takes and returns trees of arrays; a Module, or a method of one, counts as an argument
        itself.  A Tensor that f uses and that is neither an argument nor in a Module that is one
        raises TypeError, unless only a transformation around this one differentiates by it: then
        it is right, and what depends on it is kept after all.

    Evaluated again, random operations draw as they did the first time (`autograd.rules.random`,
    dropout), from copies of their generators, and buffers of Modules are as they were: so both
    move on once.  Generators that f calls itself (``rng.normal(size=3)``) are not repeated.
    Raises RuntimeError where the second evaluation has another result.

    >>> x = Tensor([1.0, 2.0])
    >>> np.sum(checkpoint(lambda x: np.exp(np.sin(x)))(x)).backward()
    >>> x.grad.round(3)
    array([ 1.253, -1.033])
    """

    def wrapped(*args, **kwargs):
        owner = getattr(f, "__self__", None)
        method = f.__func__ if hasattr(owner, "__tree__") else None
        leaves, rebuild = flatten((owner if method else f, args, kwargs), by_value=False)
        program = _Program(called(f), method, leaves, rebuild)
        arrays = [leaves[place] for place in program.places]
        if highest(arrays) is None:  # no derivative to come, so nothing to evaluate again
            outputs, rebuild = flatten(f(*args, **kwargs))
            _check_closed(outputs, BASE, (), program.name)
            return rebuild(outputs)
        segment = Segment(program, program.run, Memo())
        return program.result(recomputed.apply(arrays, {"segment": segment}))

    return named(wrapped, f)


class _Program:
    """One call of a checkpointed function, as a function from arrays to arrays.

    places   which leaves of the function and its arguments are the arrays: the wrappers and the
             floating-point arrays; the others are constants
    kinds    of each array, the type of its plain value; None where it is plain itself
    lowest   the lowest level at which the function is differentiated
    """

    def __init__(self, name, method, leaves, rebuild):
        self.name, self.method = name, method
        self.places = [i for i, x in enumerate(leaves) if _takes_part(x)]
        arrays = [leaves[i] for i in self.places]
        self.kinds = [type(plain(x)) if isinstance(x, Wrapper) else None for x in arrays]
        self.lowest = _lowest(arrays)
        # no wrapper is kept here: a node would hold the graphs of all higher levels
        self.leaves = [0 if _takes_part(x) else x for x in leaves]
        _, self.rebuild = flatten(rebuild(self.leaves))
        self.moving = None

    def run(self, arrays):
        """Those of the results that may depend on the arrays.

        Wherever f takes a derivative of its own, results that depend on them come out plain.
        """
        leaves = list(self.leaves)
        for place, x, kind in zip(self.places, arrays, self.kinds, strict=True):
            leaves[place] = x if kind is None else _constant(x)
        f, args, kwargs = self.rebuild(leaves)
        try:
            result = self.method(f, *args, **kwargs) if self.method else f(*args, **kwargs)
        except (ValueError, TypeError, IndexError) as error:
            error.explained = True  # by f itself: it is not told what the operation was
            raise
        outputs, rebuild = flatten(result)
        if self.moving is None:
            self.moving = [i for i, y in enumerate(outputs) if _may_move(y)]
            self.constants = [None if _may_move(y) else y for y in outputs]
            self.rebuild_result = rebuild
        return [outputs[i] for i in self.moving]

    def as_given(self, arrays):
        """Arrays as rules are given them, Python floats being again what they were."""
        return [
            float(x) if kind is float and type(x) is np.float64 else x
            for x, kind in zip(arrays, self.kinds, strict=True)
        ]

    def result(self, values):
        """The results as f returned them, with `values` for those that depend on the arrays."""
        outputs = list(self.constants)
        for place, y in zip(self.moving, values, strict=True):
            outputs[place] = y
        return self.rebuild_result(outputs)


class Segment:
    """A function of arrays that is to be evaluated again, and what all evaluations share.

    run   from a list of arrays to the list of results: the program, or many examples of it
    """

    def __init__(self, program, run, memo):
        self.program, self.run, self.memo = program, run, memo

    def __repr__(self):
        return self.program.name

    def first(self, arrays):
        """Evaluate for the first time: plain results of plain arrays."""
        with self.memo.first():
            outputs = self.run(arrays)
        outputs = tuple(map(_stripped, outputs))
        _check_closed(outputs, self.program.lowest, arrays, self.program.name)
        return outputs

    def again(self, arrays, places):
        """The function of the arrays at `places` alone, which evaluates as the first time."""

        def f(*moving):
            full = list(arrays)
            for place, x in zip(places, moving, strict=True):
                full[place] = x
            with self.memo.again():
                return self.run(full)

        return f

    def batched(self, mapped):
        """The same of all examples, and a list which then says what results have a mapped axis."""
        which = []

        def run(arrays):
            level = next(levels)
            outputs = self.run(
                [Batch(a, level) if m else a for a, m in zip(arrays, mapped, strict=True)]
            )
            which[:] = [type(y) is Batch and y.level == level for y in outputs]
            return [y.value if m else y for y, m in zip(outputs, which, strict=True)]

        return Segment(self.program, run, self.memo), which


class _Recomputed(Primitive):
    """The operation of which a node of a graph stands for a whole checkpointed function."""

    def push(self, tangents, y, args, options):
        """All tangents in one jvp."""
        segment = options["segment"]
        args = segment.program.as_given(args)
        places = [i for i, t in enumerate(tangents) if t is not None]
        values, moved = jvp(
            segment.again(args, places), [args[i] for i in places], [tangents[i] for i in places]
        )
        _check_same(values, y, segment.program.name)
        return tuple(moved)


def _forward(*arrays, segment):
    return segment.first(arrays)


def _pull(wanted, g, y, *arrays, segment):
    arrays = segment.program.as_given(arrays)
    values, pull = vjp(segment.again(arrays, wanted), *(arrays[i] for i in wanted))
    _check_same(values, y, segment.program.name)
    return pull(list(g))


def _on_all_examples(operation, args, mapped, options):
    segment, which = options["segment"].batched(mapped)
    values = operation.apply(args, {"segment": segment})
    return [y if m else Same(y) for y, m in zip(values, which, strict=True)]


recomputed = _Recomputed(
    _forward, "general", _pull, None, name="checkpoint", arity=None, outputs=True,
    batch=_on_all_examples,
)  # fmt: skip


def _takes_part(x):
    return isinstance(x, Wrapper) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def _may_move(y):
    return isinstance(y, Wrapper) or kind_of(y) == "f"


def _constant(x):
    """What f is given for a Tensor of which all levels are peeled off.

    A Tensor without history and not its value: Python floats stay weakly typed in it, and it has a
    Tensor's methods, so that f does in every evaluation what it does outside.
    """
    is_float = getattr(x, "dtype", np.dtype(float)).kind == "f"
    return handle(Leaf(x), CONSTANT) if is_float and not isinstance(x, Wrapper) else x


def _stripped(y):
    return y.node.value if type(y) is Tensor and y.level == CONSTANT else y


def _lowest(arrays):
    """The lowest level of the wrappers among `arrays` and inside them; infinite for none."""
    found = float("inf")
    for x in arrays:
        while isinstance(x, Wrapper):
            if x.level > CONSTANT:
                found = min(found, x.level)
            x = x.inside
    return found


def _check_closed(outputs, lowest, arrays, name):
    """Raise if f used a variable that it was not given: its derivative would be lost."""
    given = {x.level for x in arrays if isinstance(x, Wrapper)}
    for y in outputs:
        if isinstance(y, Wrapper) and y.level >= lowest and y.level not in given:
            used = [x for x in history(y.node) if not x.inputs] if type(y) is Tensor else []
            what = ", ".join(brief(handle(x, y.level)) for x in used[:3])
            raise TypeError(
                f"checkpoint: {name} uses a {type(y).__name__} that it is not given"
                f"{f' ({what})' * bool(what)}, and evaluated again could not be differentiated by "
                f"it: pass it as an argument, checkpoint(lambda x, w: x @ w)(x, w); a Module can "
                f"be an argument, or the function itself"
            )


def _check_same(values, first, name):
    """Raise if a function evaluated again has other results than `first`."""
    for a, b in zip(map(plain, first), map(plain, values), strict=True):
        if isinstance(a, (float, np.ndarray, np.generic)) and not _close(a, b):
            raise RuntimeError(
                f"checkpoint: {name}, evaluated again for its derivative, has another result "
                f"than the first time, and the derivative would be wrong. Change nothing that it "
                f"depends on in between (arrays, a Module's train or eval mode), and draw from "
                f"autograd's random operations, not from NumPy's generators"
            )


def _close(a, b):
    """Whether a and b are the same but for rounding."""
    if np.array_equal(a, b):
        return True
    tolerance = np.sqrt(np.finfo(getattr(a, "dtype", float)).eps)
    size = np.max(np.abs(a), where=np.isfinite(a), initial=0)
    return np.shape(a) == np.shape(b) and np.allclose(a, b, tolerance, tolerance * size, True)
