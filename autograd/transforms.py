"""From a function to its derivatives: `grad`, `vjp`, `jvp`, `linearize`, ...

Each transformation takes a fresh level, wraps the arguments it differentiates by as variables
of that level and calls the function; so transformations nest, to any order.  Arguments and
results may be trees: nested lists, tuples, dicts, namedtuples and Modules of arrays.  ``argnums``
says which arguments to differentiate by, as an int or a tuple of ints; for a tuple the result
is a tuple.
"""

import functools
import math

import numpy as np

from . import reverse
from .dual import Dual
from .forward import push_forward
from .graph import CONSTANT, levels
from .payload import payload
from .primitive import Wrapper, like
from .reverse import describe
from .tensor import Tensor, lifted, snapshot, variable
from .tree import flatten, leaves_like, paths


def value_and_grad(f, argnums=0):
    """``value_and_grad(f)(*args)`` is ``(f(*args), gradient)``, for one evaluation of f.

    f must return a single number.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(f, updated=())
    def wrapped(*args, **kwargs):
        run = Recorded(f, argnums, args, kwargs)
        if isinstance(run.result, (list, tuple, dict)):
            raise TypeError(
                f"grad needs a function that returns one number; {called(f)} returned a "
                f"{type(run.result).__name__}: return one of its parts, or use vjp or jacobian"
            )
        (value,) = run.values
        if math.prod(np.shape(value)) != 1:
            raise ValueError(
                f"grad needs a function that returns one number; {called(f)} returned shape "
                f"{np.shape(value)}: reduce it (np.sum, np.mean), or use jacobian, vjp or "
                f"elementwise_grad"
            )
        return value, run.pull([ones(value)])

    return wrapped


def grad(f, argnums=0):
    """The gradient of `f`, a function that returns one number, as a function of its arguments.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    """
    both = value_and_grad(f, argnums)
    return named(lambda *args, **kwargs: both(*args, **kwargs)[1], f)


def elementwise_grad(f, argnums=0):
    """The derivative of each element of f's result by the corresponding element of an argument.

    For functions that work element by element; in general the gradient of the result's sum.

    >>> elementwise_grad(np.tanh)(np.zeros(3))
    array([1., 1., 1.])
    """

    def wrapped(*args, **kwargs):
        run = Recorded(f, argnums, args, kwargs)
        return run.pull([ones(value) for value in run.values])

    return named(wrapped, f)


def vjp(f, *primals):
    """``(f(*primals), pull)``; ``pull(cotangent)`` is the tuple of the primals' cotangents.

    `cotangent` has the structure and shapes of f's result.  `pull` may be called repeatedly.

    >>> y, pull = vjp(lambda a, b: a * b, 3.0, 4.0)
    >>> y, pull(1.0)
    (12.0, (4.0, 3.0))
    """
    run = Recorded(f, tuple(range(len(primals))), primals, {})

    def pull(cotangent):
        seeds, _ = flatten(cotangent)
        if len(seeds) != len(run.values):
            raise ValueError(
                f"vjp: {called(f)} returned {len(run.values)} arrays, the cotangent has "
                f"{len(seeds)}: give it the structure of the result"
            )
        return run.pull(
            [
                reverse.seed_for(value, seed, lambda: f"the result of {called(f)}")
                for value, seed in zip(run.values, seeds, strict=True)
            ]
        )

    return run.rebuild_result(run.values), pull


def jvp(f, primals, tangents):
    """``(f(*primals), tangent)``: how f's result moves when its arguments move by `tangents`.

    primals    tuple of f's arguments; tangents: the directions, of the same structure and shapes

    One evaluation of f, without a graph: it takes two to four times the operations of f, whatever
    the number of arguments, and no intermediate value is kept.

    >>> jvp(lambda a, b: a * b, (3.0, 4.0), (1.0, 0.0))
    (12.0, 4.0)
    """
    check_tuples("jvp", primals, tangents)
    directions = directions_for("jvp", primals, tangents)
    run = Moved(f, tuple(range(len(primals))), primals, {}, directions)
    return run.rebuild_result(run.values), run.rebuild_result(run.tangents)


def linearize(f, *primals):
    """``(f(*primals), push)``; ``push(*tangents)`` is the tangent of the result.

    f is evaluated once, and its graph kept: `push` may be called repeatedly and costs no
    evaluation of f.  For one direction `jvp` is faster, and keeps nothing.

    >>> y, push = linearize(lambda a, b: a * b, 3.0, 4.0)
    >>> y, push(1.0, 0.0), push(0.0, 1.0)
    (12.0, 4.0, 3.0)
    """
    run = Recorded(f, tuple(range(len(primals))), primals, {})

    def push(*tangents):
        directions = directions_for("linearize", primals, tangents)
        return run.rebuild_result(run.push(directions))

    return run.rebuild_result(run.values), push


def gradients(y, xs, seed=None, record=False):
    """Derivatives of `y` by `xs` on the graph already recorded; touches no ``.grad``.

    y        a Tensor; a single element, or give a seed of its shape
    xs       a Tensor or a tree of Tensors, inputs or intermediate results; those that y does
             not depend on get zeros
    record   True: the results are Tensors that can be differentiated again

    >>> x = Tensor(2.0)
    >>> y = x**3
    >>> (dy,) = gradients(y, [x], record=True)
    >>> gradients(dy, x)
    12.0
    """
    leaves, rebuild = flatten(xs)
    for x in (y, *leaves):
        if not isinstance(x, Tensor) or x.level == CONSTANT:
            raise TypeError(
                f"gradients: y and xs must be Tensors with a history or declared as inputs, "
                f"this is a {'constant ' * isinstance(x, Tensor)}{type(x).__name__}"
            )
    if any(x.level != y.level for x in leaves):
        raise ValueError(
            "gradients: y and xs must be of one recording, not inside and outside grad"
        )
    seed = reverse.seed_for(y.node.value, seed, lambda: describe(y.node))
    lift = (lambda node: lifted(node, y.level)) if record else None
    found = reverse.gradients(y.node, seed, [x.node for x in leaves], lift)
    if record:
        found = [snapshot(g) if isinstance(g, Wrapper) else Tensor(g).detach() for g in found]
    return rebuild(found)


def variables_of(f, argnums, args, wrap):
    """The chosen arguments' leaves wrapped, all arguments with them in their place, a rebuilder.

    wrap   ``(i, value) -> `` what stands for the value of leaf i
    """
    argnums = int(argnums) if isinstance(argnums, np.integer) else argnums
    selected = chosen(f, argnums, args)
    leaves, rebuild = flatten(selected)
    variables = []
    for i, leaf in enumerate(leaves):
        try:
            variables.append(wrap(i, primal(leaf)))
        except TypeError as error:
            path = paths(selected)[i]
            where = path if isinstance(argnums, tuple) else f"{argnums}{path}"
            raise TypeError(f"{called(f)}, argument {where}: {error}") from None
    arguments = rebuild(variables)
    args = list(args)
    if isinstance(argnums, int):
        args[argnums] = arguments
    else:
        for n, argument in zip(argnums, arguments, strict=True):
            args[n] = argument
    return variables, args, rebuild


def result_of(f, args, kwargs):
    """What `f` returns; TypeError for what is no function, and for one that returns None, where a
    ``return`` was forgotten.
    """
    if not callable(f):
        raise TypeError(f"a function is to be differentiated or mapped, f is a {called(f)}")
    result = f(*args, **kwargs)
    if result is None:
        raise TypeError(f"{called(f)} returned None; return a number, an array, or a tree of these")
    return result


def values_of(f, outputs):
    """What a function returned, as floating-point values."""
    try:
        return [primal(x) for x in outputs]
    except TypeError as error:
        raise TypeError(f"the result of {called(f)}: {error}") from None


class Moved:
    """One call of a function on Duals of a fresh level.

    directions   a tangent for each leaf of the chosen arguments, or None where it stands still

    values, tangents   the leaves of its result, and how they move
    """

    def __init__(self, f, argnums, args, kwargs, directions):
        level = next(levels)

        def wrap(i, value):
            t = directions[i]
            return snapshot(value) if t is None else Dual(snapshot(value), snapshot(t), level)

        _, args, self.rebuild = variables_of(f, argnums, args, wrap)
        outputs, self.rebuild_result = flatten(result_of(f, args, kwargs))
        moved = [type(y) is Dual and y.level == level for y in outputs]
        self.values = values_of(
            f, [y.value if m else y for y, m in zip(outputs, moved, strict=True)]
        )
        self.tangents = handed_out(
            [y.tangent if m else None for y, m in zip(outputs, moved, strict=True)],
            self.values,
            directions,
        )


def handed_out(tangents, values, directions):
    """The `tangents` of `values`, no two of them, and none of the rest, in the same memory."""
    found, taken = [], {id(x) for x in (*values, *directions)}
    for t, value in zip(tangents, values, strict=True):
        t = reverse.as_derivative(t, value)
        if isinstance(t, np.ndarray) and (t.base is not None or id(t) in taken):
            t = t.copy()
        taken.add(id(t))
        found.append(t)
    return found


def directions_for(what, primals, tangents):
    """The leaves of `tangents`, checked against those of `primals` and in their dtypes."""
    try:
        given = leaves_like(primals, tangents)
    except ValueError as error:
        raise ValueError(f"{what}: the tangents are not built like the primals: {error}") from None
    directions = []
    for i, (leaf, t) in enumerate(zip(flatten(primals)[0], given, strict=True)):
        if type(leaf) is type(t) is float:
            directions.append(t)
            continue
        value = _checked(leaf, f"{what}: the primal at", primals, i)
        t = _checked(t, f"{what}: the tangent at", primals, i)
        if np.shape(t) != np.shape(value):
            raise ValueError(
                f"{what}: the tangent at {paths(primals)[i]} has shape {np.shape(t)}, its primal "
                f"{np.shape(value)}"
            )
        t = reverse.as_derivative(t, value)
        if isinstance(t, np.ndarray) and (kind := like(value)) is not None:
            t = np.asarray(t, like=kind)  # an array like its primal, on a device or of Dask's
        directions.append(t)
    return directions


def _checked(leaf, where, tree, i):
    try:
        return primal(leaf)
    except TypeError as error:
        raise TypeError(f"{where} {paths(tree)[i]}: {error}") from None


def check_tuples(what, primals, tangents):
    """TypeError unless both are given as tuples."""
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            f"{what}: primals and tangents are tuples, one for each argument: {what}(f, (x,), (v,))"
        )


class Recorded:
    """One call of a function on variables of a fresh level.

    values    the leaves of its result, this level peeled off
    """

    def __init__(self, f, argnums, args, kwargs):
        level = next(levels)
        variables, args, self.rebuild = variables_of(
            f, argnums, args, lambda i, value: variable(value, level)
        )
        self.variables = [snapshot(x) for x in variables]  # f may assign to elements of its own
        self.result = result_of(f, args, kwargs)
        outputs, self.rebuild_result = flatten(self.result)
        self.nodes = [
            x.node if isinstance(x, Tensor) and x.level == level else None for x in outputs
        ]
        self.values = values_of(
            f,
            [
                x if node is None else node.value
                for x, node in zip(outputs, self.nodes, strict=True)
            ],
        )

    def push(self, tangents):
        """Tangents of the values, for tangents of the variables (None: stands still)."""
        moves = {
            variable.node: t
            for variable, t in zip(self.variables, tangents, strict=True)
            if t is not None
        }
        return handed_out(push_forward(self.nodes, moves), self.values, tangents)

    def pull_leaves(self, seeds):
        """Cotangents of the variables; a seed of None stands for zeros."""
        pairs = zip(self.nodes, seeds, strict=True)
        found = reverse.cotangents(pairs, [variable.node for variable in self.variables])
        return [snapshot(g) for g in found]

    def pull(self, seeds):
        """The same in the structure of the arguments."""
        return self.rebuild(self.pull_leaves(seeds))


def chosen(f, argnums, args):
    """The arguments that `argnums` names."""
    try:
        if isinstance(argnums, int):
            return args[argnums]
        places = [range(len(args))[n] for n in argnums]
    except TypeError:
        raise TypeError(f"argnums is an int or a tuple of ints, not {argnums!r}") from None
    except IndexError:
        raise IndexError(
            f"argnums={argnums}, but {called(f)} was called with {len(args)} positional arguments"
        ) from None
    if len(set(places)) != len(places):
        raise ValueError(f"argnums={argnums} names an argument of {called(f)} twice")
    return tuple(args[n] for n in places)


def primal(leaf):
    """A leaf of arguments or results as a value to differentiate; TypeError for what is none."""
    if isinstance(leaf, Tensor) and leaf.level == CONSTANT:
        return leaf.node.value
    return snapshot(leaf) if isinstance(leaf, Wrapper) else payload(leaf)


def ones(value):
    """Ones in the shape and type of `value`."""
    return 1.0 if type(value) is float else np.ones_like(value)


def called(f):
    """How an error message calls a function."""
    return getattr(f, "__name__", type(f).__name__)


def named(wrapped, f):
    """`wrapped` with the name and docstring of `f`."""
    try:
        return functools.update_wrapper(wrapped, f, updated=())
    except AttributeError:
        return wrapped
