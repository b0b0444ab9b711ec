"""An operation's derivative rules as formulas, read off the rules themselves.

A rule is a piece of NumPy: run on Tensors it records a small graph, and that graph, written as an
expression, is the rule's formula with the caller's names in it.
"""

import numpy as np

from ..graph import BASE, Leaf, Node
from ..lazy import is_lazy
from ..primitive import Indexed, kind_of, plain
from ..reverse import pulled
from ..sweeps import elements
from ..tensor import Tensor, handle
from .formulas import INFIX, formula
from .scene import index_text, options_text
from .values import shape_of

LONG = 70  # characters after which an expression is cut
ATOM = 9  # binds more strongly than any operator


def tangent_formula(node, called):
    """The rule that pushes tangents through `node`, as text; "0" where nothing moves.

    called   (operand's place, or None for the result, "value" or "tangent") -> its name
    """
    twin, values = _twin(node)
    texts = _value_names(twin, values, called)
    tangents = []
    for place, source in enumerate(node.inputs):
        if not isinstance(source, Node) or kind_of(source.value) != "f":  # a mask stands still
            tangents.append(None)
            continue
        t = _like(source.value)
        texts[t.node] = called(place, "tangent")
        tangents.append(t)
    args = [values.get(place, source) for place, source in enumerate(node.inputs)]
    moved = node.primitive.push(tangents, values[None], args, node.options or {})
    return "0" if moved is None else expression(moved, texts)


def cotangent_formulas(node, called):
    """Operand's place -> the rule that pulls the result's cotangent back to it, as text.

    called   as in `tangent_formula`, with "cotangent" for that of the result
    """
    twin, values = _twin(node)
    texts = _value_names(twin, values, called)
    g = _like(node.value)
    texts[g.node] = called(None, "cotangent")
    places = {twin.inputs[place]: place for place in values if place is not None}
    handles = {source: values[place] for source, place in places.items()}
    found = {}
    for source, c in pulled(twin, g, lift={**handles, twin: values[None]}.__getitem__):
        if c is not None:
            place = places[source]
            found[place] = _cotangent(c, texts, node.inputs[place].value)
    return found


def expression(x, texts):
    """The graph that made `x` as one expression; `texts` has the nodes at which it ends."""
    if not isinstance(x, Tensor) or not isinstance(x.node, Node):
        return _constant(x)
    text, _ = _written(x.node, texts)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _written(node, texts):
    """``(text, strength)`` of a node's expression."""
    if not isinstance(node, Node):
        return _constant(node), ATOM
    if node in texts:
        text = texts[node]
        return text, ATOM
    if node.primitive is None:
        return _constant(node.value), ATOM
    name = node.primitive.name
    parts = [_written(source, texts) for source in node.inputs]
    if name in INFIX and len(parts) == 2 and not node.options:
        strength = INFIX[name][1]
        (a, p), (b, q) = parts
        a = f"({a})" if p < strength else a
        b = f"({b})" if q <= strength and not (p >= q == strength and name in "add multiply") else b
        return formula(name, [a, b]), strength
    if name == "transpose" and not node.options:
        text, strength = parts[0]
        return f"{text}.T" if strength == ATOM else f"({text}).T", ATOM
    if name == "negative":
        return formula(name, [f"({t})" if s < 3 else t for t, s in parts]), 3
    return formula(name, [t for t, _ in parts], options_text(node)), ATOM


def _twin(node):
    """A copy of a node with inputs of its own, and handles on all: place -> Tensor, None: result.

    Same operands become different ones, so that each keeps its own formula.
    """
    twin = object.__new__(Node)
    twin.primitive, twin.options, twin.serial = node.primitive, node.options, node.serial
    twin.value = plain(node.value)
    twin.inputs = tuple(
        Leaf(plain(source.value)) if isinstance(source, Node) else source for source in node.inputs
    )
    values = {
        place: handle(source, BASE)
        for place, source in enumerate(twin.inputs)
        if isinstance(source, Node)
    }
    values[None] = handle(twin, BASE)
    return twin, values


def _value_names(twin, values, called):
    return {tensor.node: called(place, "value") for place, tensor in values.items()}


def _like(value):
    value = plain(value)
    return Tensor(1.0 if type(value) is float else np.ones_like(value))


def _cotangent(c, texts, value):
    """What a pull gave as an expression; says so where it is still summed or broadcast."""
    if isinstance(c, Indexed):
        return f"{expression(c.g, texts)} at [{index_text(c.index)}]"
    text, value = expression(c, texts), plain(value)
    if np.shape(c) == np.shape(value):
        return text
    return f"sum({text})" if elements(c) > elements(value) else f"broadcast({text})"


def _constant(x):
    x = plain(x.node.value if isinstance(x, Tensor) else x)
    if np.shape(x) == ():
        return f"{x:.4g}" if isinstance(x, (int, float, np.number, np.ndarray)) else str(x)
    if elements(x) and not is_lazy(x) and np.all(x == (first := np.ravel(x)[0])):
        return f"{first:.4g}"  # an array of one number throughout, as zeros_like makes it
    return f"[{shape_of(x)}]"
