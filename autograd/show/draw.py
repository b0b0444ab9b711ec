"""Draw a recorded graph with its values and gradients.

DOT text comes from the `graphviz` package; it is laid out and rendered by the program `dot`
where that is installed, and else by pygraphviz, whose wheels carry Graphviz (extra ``show``).
"""

import shutil
from html import escape
from pathlib import Path

import graphviz
import numpy as np

from ..graph import Node, history
from ..primitive import plain
from ..reverse import gradients
from ..tensor import Tensor
from ..tree import flatten

FORMATS = ("svg", "png", "pdf")
SMALL = 6  # arrays of up to so many elements are shown as numbers
COLOURS = {  # fill and border
    "input": ("#dbeafe", "#1d4ed8"),
    "operation": ("#fef9c3", "#a16207"),
    "output": ("#dcfce7", "#15803d"),
    "constant": ("#f3f4f6", "#6b7280"),
}


def draw(y, *, values=True, gradients=True, direction="LR", save=None):
    """The graph that `y` was made by, as a `Drawing`.

    y           a Tensor with a history
    values      show each node's value (large arrays: their shape)
    gradients   show the derivative of y by each node, of the sum of y's elements where y has
                several; computed for the drawing, no ``.grad`` is touched
    direction   "LR" from left to right or "TB" from top to bottom
    save        also write it to this file: .svg, .png, .pdf or .dot

    >>> x = Tensor(2.0, name="x")
    >>> print(draw(x * x).source)
    digraph {
    ...
    """
    if not isinstance(y, Tensor):
        raise TypeError(f"draw: y is a Tensor with a history, not a {type(y).__name__}")
    if direction not in ("LR", "TB"):
        raise ValueError(f'draw: direction is "LR" or "TB", not {direction!r}')
    drawing = Drawing(_dot(y, values, gradients, direction))
    if save is not None:
        drawing.save(save)
    return drawing


class Drawing:
    """A drawn graph: DOT text in ``source``; `render` and `save` make pictures of it."""

    def __init__(self, source):
        self.source = source

    def render(self, format="svg"):
        """The picture as bytes: "svg", "png" or "pdf".

        Raises RuntimeError, saying what to install, where neither `dot` nor pygraphviz is.
        """
        if format not in FORMATS:
            raise ValueError(f"draw: format is one of {', '.join(FORMATS)}, not {format!r}")
        if shutil.which("dot"):
            return graphviz.Source(self.source).pipe(format=format)
        try:
            import pygraphviz
        except ImportError:
            raise RuntimeError(
                "drawing needs Graphviz: pip install 'speelpenning[show]' brings it along, or "
                "install the program `dot`; the DOT text is in .source"
            ) from None
        picture = pygraphviz.AGraph(string=self.source)
        try:
            return picture.draw(format=format, prog="dot")
        finally:
            picture.close()

    def save(self, path):
        """Write the picture, in the format that the path ends in; returns the path."""
        path = Path(path)
        format = path.suffix.lstrip(".").lower()
        if format == "dot":
            path.write_text(self.source, encoding="utf-8")
        else:
            path.write_bytes(self.render(format))
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            return {"image/svg+xml": self.render("svg").decode(), "text/plain": self.source}
        except RuntimeError as error:
            return {"text/plain": f"{error}\n\n{self.source}"}


def _dot(y, values, with_gradients, direction):
    nodes = history(y.node)[::-1]  # oldest first: inputs get the first numbers
    slopes = _slopes(y, nodes) if with_gradients and y.requires_grad else {}
    graph = graphviz.Digraph(
        graph_attr={"rankdir": direction, "bgcolor": "transparent"},
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": "Helvetica"},
        edge_attr={"color": "#6b7280"},
    )
    ids = {node: f"n{i}" for i, node in enumerate(nodes)}
    for node in nodes:
        kind = "input" if node.primitive is None else "operation"
        if node is y.node:
            kind = "output"
        name = getattr(node, "name", None)
        title = name or "input" if node.primitive is None else node.primitive.name
        lines = [f"<b>{_text(title)}</b>"]
        if name and node.primitive is not None:
            lines[0] = f"<b>{_text(name)}</b> = {_text(title)}"
        if values:
            lines.append(_text(_value(node.value)))
        if node in slopes:
            lines.append(f'<font color="#b91c1c">∂ {_text(_value(slopes[node]))}</font>')
        _box(graph, ids[node], lines, kind)
    for node in nodes:
        for i, source in enumerate(node.inputs):
            if isinstance(source, Node):
                graph.edge(ids[source], ids[node])
            else:
                constant = f"{ids[node]}c{i}"
                _box(graph, constant, [_text(_value(source))], "constant")
                graph.edge(constant, ids[node])
    return graph.source


def _slopes(y, nodes):
    """The derivative of the sum of y's elements by every node that holds one array."""
    wanted = [node for node in nodes if not isinstance(node.value, (tuple, list))]
    value = y.node.value
    seed = 1.0 if type(value) is float else np.ones_like(value)
    try:
        found = gradients(y.node, seed, wanted)
    except RuntimeError as error:  # arrays were written since, by an optimizer's step
        raise RuntimeError(f"{error}; or draw(y, gradients=False)") from error
    return dict(zip(wanted, found, strict=True))


def _box(graph, name, lines, kind):
    fill, border = COLOURS[kind]
    graph.node(name, label=f"<{'<br/>'.join(lines)}>", fillcolor=fill, color=border)


def _text(text):
    """Any text as Graphviz shows it letter for letter: without markup, escapes or controls."""
    text = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(text))
    return escape(text).replace("\\", "&#92;&#92;") if text.strip() else "&#160;"


def _value(value):
    """A value, short: numbers, or the shape of a larger array."""
    value = plain(value)
    if isinstance(value, (tuple, list)):
        return " ".join(_value(part) for part in flatten(value)[0])
    if isinstance(value, (int, float)):
        return f"{value:.4g}"
    if np.size(value) > SMALL:
        return f"{type(value).__name__} {'×'.join(map(str, np.shape(value)))}"
    return np.array2string(value, precision=4, separator=", ") if np.ndim(value) else f"{value:.4g}"
