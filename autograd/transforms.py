"""From a function to its derivatives: `grad`, `vjp`, `jacobian`, `hessian`, `hvp`, ...

Each transformation takes a fresh level, wraps the arguments it differentiates by as variables
of that level and calls the function; so transformations nest, to any order.  Arguments and
results may be trees: nested lists, tuples, dicts, namedtuples and Modules of arrays.  ``argnums``
says which arguments to differentiate by, as an int or a tuple of ints; for a tuple the result
is a tuple.
"""

import functools

import numpy as np

from . import reverse
from .graph import CONSTANT, levels
from .payload import payload
from .primitive import Wrapper
from .reverse import describe
from .tensor import Tensor, lifted, snapshot, variable
from .tree import flatten, paths


def value_and_grad(f, argnums=0):
    """``value_and_grad(f)(*args)`` is ``(f(*args), gradient)``, for one evaluation of f.

    f must return a single number.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(f, updated=())
    def wrapped(*args, **kwargs):
        run = _Run(f, argnums, args, kwargs)
        if isinstance(run.result, (list, tuple, dict)) or run.result is None:
            raise TypeError(
                f"grad needs a function that returns one number; {_called(f)} returned a "
                f"{type(run.result).__name__}: return one of its parts, or use vjp or jacobian"
            )
        (value,) = run.values
        if np.size(value) != 1:
            raise ValueError(
                f"grad needs a function that returns one number; {_called(f)} returned shape "
                f"{np.shape(value)}: reduce it (np.sum, np.mean), or use jacobian, vjp or "
                f"elementwise_grad"
            )
        return value, run.pull([_ones(value)])

    return wrapped


def grad(f, argnums=0):
    """The gradient of `f`, a function that returns one number, as a function of its arguments.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    """
    both = value_and_grad(f, argnums)
    return _named(lambda *args, **kwargs: both(*args, **kwargs)[1], f)


def elementwise_grad(f, argnums=0):
    """The derivative of each element of f's result by the corresponding element of an argument.

    For functions that work element by element; in general the gradient of the result's sum.

    >>> elementwise_grad(np.tanh)(np.zeros(3))
    array([1., 1., 1.])
    """

    def wrapped(*args, **kwargs):
        run = _Run(f, argnums, args, kwargs)
        return run.pull([_ones(value) for value in run.values])

    return _named(wrapped, f)


def vjp(f, *primals):
    """``(f(*primals), pull)``; ``pull(cotangent)`` is the tuple of the primals' cotangents.

    `cotangent` has the structure and shapes of f's result.  `pull` may be called repeatedly.

    >>> y, pull = vjp(lambda a, b: a * b, 3.0, 4.0)
    >>> y, pull(1.0)
    (12.0, (4.0, 3.0))
    """
    run = _Run(f, tuple(range(len(primals))), primals, {})

    def pull(cotangent):
        seeds, _ = flatten(cotangent)
        if len(seeds) != len(run.values):
            raise ValueError(
                f"vjp: {_called(f)} returned {len(run.values)} arrays, the cotangent has "
                f"{len(seeds)}: give it the structure of the result"
            )
        return run.pull(
            [
                reverse.seed_for(value, seed, lambda: f"the result of {_called(f)}")
                for value, seed in zip(run.values, seeds, strict=True)
            ]
        )

    return run.rebuild_result(run.values), pull


def jacobian(f, argnums=0):
    """The Jacobian of `f`: an array of shape ``result.shape + argument.shape``.

    For trees of arguments or results, the tree of the results' trees of the arguments' blocks.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def wrapped(*args, **kwargs):
        run = _Run(f, argnums, args, kwargs)
        return run.rebuild_result([_block(run, i) for i in range(len(run.values))])

    return _named(wrapped, f)


def _block(run, i):
    """The derivatives of result number i: one pull for each of its elements."""
    value = run.values[i]
    shape = np.shape(value)
    seeds = [None] * len(run.values)
    rows = []
    for index in np.ndindex(shape):
        one = np.zeros(shape, getattr(value, "dtype", float))
        one[index] = 1
        seeds[i] = float(one) if type(value) is float else one
        rows.append(run.pull_leaves(seeds))
    if shape == ():
        return run.rebuild(rows[0])
    leaves = [np.shape(variable.node.value) for variable in run.variables]
    if not rows:
        dtypes = [getattr(variable.node.value, "dtype", float) for variable in run.variables]
        return run.rebuild(
            [np.zeros(shape + leaf, t) for leaf, t in zip(leaves, dtypes, strict=True)]
        )
    return run.rebuild(
        [
            np.reshape(np.stack(column), shape + leaf)
            for column, leaf in zip(zip(*rows, strict=True), leaves, strict=True)
        ]
    )


def hessian(f, argnums=0):
    """The matrix of second derivatives of `f`, a function that returns one number.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f, primals, tangents):
    """Hessian times vector, without the Hessian: a tuple like `primals`.

    f         returns one number
    primals   tuple of its arguments; tangents: the vector, of the same structure and shapes

    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (array([6., 0.]),)
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError("hvp: primals and tangents are tuples, one for each: hvp(f, (x,), (v,))")
    vector, _ = flatten(tangents)
    leaves, _ = flatten(primals)
    shapes, wanted = [np.shape(v) for v in vector], [np.shape(x) for x in leaves]
    if shapes != wanted:
        raise ValueError(f"hvp: tangents of shapes {shapes} for primals of shapes {wanted}")
    everything = tuple(range(len(primals)))

    def slope(*args):
        gradient, _ = flatten(grad(f, everything)(*args))
        return sum(np.sum(g * v) for g, v in zip(gradient, vector, strict=True))

    return grad(slope, everything)(*primals)


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


class _Run:
    """One call of a function on variables of a fresh level.

    values    the leaves of its result, this level peeled off
    """

    def __init__(self, f, argnums, args, kwargs):
        level = next(levels)
        argnums = int(argnums) if isinstance(argnums, np.integer) else argnums
        chosen = _chosen(f, argnums, args)
        leaves, self.rebuild = flatten(chosen)
        self.variables = []
        for i, leaf in enumerate(leaves):
            try:
                self.variables.append(variable(_primal(leaf), level))
            except TypeError as error:
                path = paths(chosen)[i]
                where = path if isinstance(argnums, tuple) else f"{argnums}{path}"
                raise TypeError(f"{_called(f)}, argument {where}: {error}") from None
        arguments = self.rebuild(self.variables)
        args = list(args)
        if isinstance(argnums, int):
            args[argnums] = arguments
        else:
            for n, argument in zip(argnums, arguments, strict=True):
                args[n] = argument
        self.result = f(*args, **kwargs)
        outputs, self.rebuild_result = flatten(self.result)
        self.nodes = [
            x.node if isinstance(x, Tensor) and x.level == level else None for x in outputs
        ]
        self.values = [
            x if node is None else node.value for x, node in zip(outputs, self.nodes, strict=True)
        ]
        try:
            self.values = [_primal(x) for x in self.values]
        except TypeError as error:
            raise TypeError(f"the result of {_called(f)}: {error}") from None

    def pull_leaves(self, seeds):
        """Cotangents of the variables; a seed of None stands for zeros."""
        pairs = [(n, s) for n, s in zip(self.nodes, seeds, strict=True) if n and s is not None]
        found = reverse.cotangents(pairs, [variable.node for variable in self.variables])
        return [snapshot(g) for g in found]

    def pull(self, seeds):
        """The same in the structure of the arguments."""
        return self.rebuild(self.pull_leaves(seeds))


def _chosen(f, argnums, args):
    try:
        if isinstance(argnums, int):
            return args[argnums]
        places = [range(len(args))[n] for n in argnums]
    except TypeError:
        raise TypeError(f"argnums is an int or a tuple of ints, not {argnums!r}") from None
    except IndexError:
        raise IndexError(
            f"argnums={argnums}, but {_called(f)} was called with {len(args)} positional arguments"
        ) from None
    if len(set(places)) != len(places):
        raise ValueError(f"argnums={argnums} names an argument of {_called(f)} twice")
    return tuple(args[n] for n in places)


def _primal(leaf):
    if isinstance(leaf, Tensor) and leaf.level == CONSTANT:
        return leaf.node.value
    return snapshot(leaf) if isinstance(leaf, Wrapper) else payload(leaf, "a value")


def _ones(value):
    return 1.0 if type(value) is float else np.ones_like(value)


def _called(f):
    return getattr(f, "__name__", type(f).__name__)


def _named(wrapped, f):
    try:
        return functools.update_wrapper(wrapped, f, updated=())
    except AttributeError:
        return wrapped
