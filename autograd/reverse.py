"""Reverse mode: one walk over the recorded graph, from an output back to its inputs.

With V_i the derivative of the output by node i (its cotangent), the walk visits the nodes
newest first and adds V_i · ∂v_i/∂v_j to the V_j of every input j of i: when a node's turn
comes, all its uses have been visited, and its cotangent is complete.
"""

import numpy as np

from .graph import Node, history
from .lazy import is_lazy
from .payload import numeric
from .primitive import Indexed, Wrapper, check_kept, is_foreign, number, recorded, total
from .rules.indexing import gather_cotangents
from .watched import Writes, check_unwritten


def backward(output, seed):
    """Add the derivative of `output`, weighted by `seed`, to the gradient cells of its leaves."""
    nodes = history(output)
    leaves = [node for node in nodes if node.primitive is None]
    found = finish(leaves, pull_back(nodes, {output: seed}))
    for cell, gradient in zip([leaf.cell for leaf in leaves], found, strict=True):
        cell.grad = gradient if cell.grad is None else cell.grad + gradient


def cotangents(pairs, leaves):
    """Cotangents of `leaves`, given ``(output, seed)`` pairs; zeros where nothing arrives."""
    seeds = seeds_by_node(pairs)
    return finish(leaves, pull_back(history(*seeds), seeds))


def seeds_by_node(pairs):
    """Output -> seed, of ``(output, seed)`` pairs: added up where an output comes again, left out
    where either is None.
    """
    seeds = {}
    for output, seed in pairs:
        if output is not None and seed is not None:
            seeds[output] = seeds[output] + seed if output in seeds else seed
    return seeds


def gradients(output, seed, wanted, lift=None):
    """The cotangents of the nodes `wanted`, of any kind; zeros where `output` does not depend.

    `lift` turns a node into what rules are given for it (its value by default): with handles
    that record, the results can be differentiated again.
    """
    nodes = history(output)
    on_path = set(wanted)
    for node in reversed(nodes):  # oldest first: the edges towards a wanted node
        if not on_path.isdisjoint(i for i in node.inputs if isinstance(i, Node)):
            on_path.add(node)
    return finish(wanted, pull_back(nodes, {output: seed}, on_path, frozenset(wanted), lift))


def pull_back(nodes, cotangents, on_path=None, keep=(), lift=None):
    """The walk: turns the outputs' `cotangents` into those of the leaves and the nodes in `keep`.

    nodes        the outputs' history, newest first
    cotangents   node -> cotangent, of the outputs
    on_path      only these nodes are worth a visit; None for all
    keep         nodes within the graph whose cotangents are wanted besides the leaves'
    lift         what rules are given for a node instead of its value, see `gradients`
    """
    cotangents = dict(cotangents)
    take, get, latest, array = cotangents.pop, cotangents.get, Writes.latest, np.ndarray
    everything = on_path is None and lift is None
    for node in nodes:
        primitive = node.primitive
        if primitive is None:
            continue
        g = take(node, None)
        if g is None:
            continue
        if type(g) is list:
            g = gather_cotangents(g, node.value)
        if node in keep:
            cotangents[node] = g
        if node.serial < latest:
            check_unwritten(node, on_path)
        if everything and node.options is None and primitive.kind == "elementwise":
            found = pulled_simply(node, g)
        else:
            found = pulled(node, g, on_path, lift)
        for source, c in found:
            if c is None:
                continue
            value = source.value
            if type(c) is not float or type(value) is not float:
                if type(c) is Indexed:
                    collect(cotangents, source, c)
                    continue
                if not (type(c) is type(value) is array and c.shape == value.shape):
                    if type(c) is not type(value):
                        check_kept(f"the derivative of {primitive.name}", value, c)
                    c = fit(c, value)
            present = get(source)
            if present is None:
                if source.primitive is None and (type(c) is array or is_foreign(c)):
                    c = c.copy() if shares_memory(c, g, node) else c
                cotangents[source] = c
            elif type(present) is list:
                present.append(c)
            else:
                cotangents[source] = present + c
    return cotangents


def pulled(node, g, on_path=None, lift=None):
    """``(input, cotangent)`` for the inputs of `node` that are variables, before `fit`."""
    primitive, options, inputs = node.primitive, node.options or {}, node.inputs
    args, wanted = [], []
    for source in inputs:
        x = source
        if isinstance(source, Node):
            if on_path is None or source in on_path:
                wanted.append(len(args))
            x = source.value if lift is None else lift(source)
        args.append(x)
    args = primitive.arguments(args)
    y = node.value if lift is None else lift(node)
    if primitive.arity is None:
        found = primitive.pulls(wanted, g, y, *args, **options)
        return [(inputs[i], c) for i, c in zip(wanted, found, strict=True)]
    found = []
    for i in wanted:
        pull = primitive.pulls[i]
        if pull is not None:
            try:
                c = pull(g, y, *args, **options) if options else pull(g, y, *args)
            except ArithmeticError:  # Python floats: 1/0 is inf, as NumPy has it
                g, y, *args = (np.float64(v) if type(v) is float else v for v in (g, y, *args))
                c = pull(g, y, *args, **options)
            found.append((inputs[i], c))
    return found


def pulled_simply(node, g):
    """The same for elementwise operations without options: numbers are walked twice as fast."""
    inputs, pulls, y = node.inputs, node.primitive.pulls, node.value
    try:
        if len(inputs) == 2:
            (a, b), (p, q) = inputs, pulls
            u = a.value if isinstance(a, Node) else a
            v = b.value if isinstance(b, Node) else b
            return (
                (a, None if p is None or u is a else p(g, y, u, v)),
                (b, None if q is None or v is b else q(g, y, u, v)),
            )
        if len(inputs) == 1:
            return ((inputs[0], pulls[0](g, y, inputs[0].value)),) if pulls[0] else ()
    except ArithmeticError:
        pass
    return pulled(node, g)


def shares_memory(c, g, node):
    """Whether a leaf's cotangent, an array, must be copied: a gradient shares memory with none."""
    if getattr(c, "base", None) is not None or c is g or c is node.value:
        return True
    if type(g) is list and any(c is part for part in g):
        return True
    for source in node.inputs:
        if c is (source.value if isinstance(source, Node) else source):
            return True
    return False


def collect(cotangents, source, part):
    """Put a cotangent of an element or a part among those of its array, to be added up later."""
    present = cotangents.get(source)
    if type(present) is list:
        present.append(part)
    else:
        cotangents[source] = [part] if present is None else [present, part]


def fit(c, value):
    """The cotangent `c` in the shape of the `value` it belongs to: undoes broadcasting."""
    shape = c.shape if isinstance(c, (np.ndarray, Wrapper)) else np.shape(c)
    wanted = value.shape if isinstance(value, (np.ndarray, Wrapper)) else np.shape(value)
    extra = len(shape) - len(wanted)
    if extra > 0:
        c = total(c, 0 if extra == 1 else tuple(range(extra)))
        shape = shape[extra:]
    if shape != wanted:
        stretched = tuple(
            i + min(extra, 0)
            for i, n in enumerate(wanted)
            if n == 1 and i >= -extra and shape[i + min(extra, 0)] != 1
        )
        if stretched:
            c = total(c, stretched, keepdims=True)
        if np.shape(c) != wanted:
            c = np.broadcast_to(c, wanted)
    if type(value) is float or (recorded(value) and type(value.inside) is float):
        return c if is_lazy(c) else number(c)
    return c


def finish(nodes, cotangents):
    """The gradients of `nodes`, no two of them in the same memory."""
    found, given = [], set()
    for node in nodes:
        c, value = cotangents.get(node), node.value
        if not type(c) is type(value) is float:
            if not (type(c) is type(value) is np.ndarray and c.dtype is value.dtype):
                c = as_gradient(node, c)
            # shares_memory() saw to the leaves' one by one, but a rule for any number of
            # arguments may answer with one array for several
            if (isinstance(c, np.ndarray) or is_foreign(c)) and (node.primitive or id(c) in given):
                c = c.copy()
            given.add(id(c))
        found.append(c)
    return found


def as_gradient(node, c):
    """A cotangent as a gradient: added up, in the node's dtype; zeros where there is none."""
    value = node.value
    return as_derivative(gather_cotangents(c, value) if type(c) is list else c, value)


def as_derivative(d, value):
    """A tangent or cotangent in the type of the value it belongs to; zeros for None."""
    if type(value) is float or (recorded(value) and type(value.inside) is float):
        return 0.0 if d is None else d if is_lazy(d) else number(d)
    if d is None:
        return value.dtype.type(0) if isinstance(value, np.generic) else np.zeros_like(value)
    if isinstance(value, Wrapper) and not isinstance(d, Wrapper):
        d = value.beside(d)
    if type(d) is float:
        return d if isinstance(value, Wrapper) else np.asarray(d, value.dtype)
    if d.dtype != value.dtype:
        return d.astype(value.dtype)
    if isinstance(d, np.generic) and isinstance(value, np.ndarray):
        return np.asarray(d)
    return d


def seed_for(value, seed, what):
    """The cotangent to start from, checked; ones for a single element.

    `what` says, when called, what the value is: only an error needs it.
    """
    if seed is None:
        if type(value) is float:
            return 1.0
        if value.size != 1:
            raise ValueError(
                f"{what()} has shape {np.shape(value)}, not a single element: reduce it (np.sum, "
                f"np.mean), or pass a seed of its shape"
            )
        return type(value)(1) if isinstance(value, np.generic) else np.ones_like(value)
    shape, seed = np.shape(value), numeric("the seed", seed)
    if np.shape(seed) != shape:
        raise ValueError(f"the seed has shape {np.shape(seed)}, but {what()} has {shape}")
    if isinstance(seed, Wrapper):
        return seed
    if type(value) is float:
        return number(seed)
    seed = seed.astype(value.dtype) if hasattr(seed, "astype") else np.asarray(seed, value.dtype)
    return value.beside(seed) if isinstance(value, Wrapper) else seed


def describe(node):
    """How an error message calls a node."""
    name = f" {node.name!r}" if getattr(node, "name", None) else ""
    what = "input" if node.primitive is None else f"result of {node.primitive.name}"
    return f"the {what}{name}"
