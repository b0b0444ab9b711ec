"""Draw a recorded graph with its values and derivatives.

DOT text comes from the `graphviz` package; it is laid out and rendered by the program `dot`
where that is installed, and else by pygraphviz, whose wheels carry Graphviz (extra ``show``).
"""

import math
import shutil
from html import escape
from pathlib import Path

import graphviz
import numpy as np

from ..graph import history, recording
from ..primitive import Wrapper, differs
from ..scopes import begin
from ..sweeps import elements
from ..tensor import Tensor, handle
from ..transforms import gradients as derivatives
from .formulas import as_text, heading, in_order
from .scene import Box, Call, Group, Scene, derivative_lines, describe, is_leaf, seed_of_ones
from .values import BARS, short_name
from .view import View

FORMATS = ("svg", "png", "pdf")
TEXTS = {"dot": "source", "gv": "source", "mmd": "mermaid", "txt": "text"}
COLOURS = {  # fill and border
    "input": ("#dbeafe", "#1d4ed8"),
    "parameter": ("#ede9fe", "#6d28d9"),
    "constant": ("#f3f4f6", "#6b7280"),
    "operation": ("#fef9c3", "#a16207"),
    "output": ("#dcfce7", "#15803d"),
    "group": ("#f5f5f4", "#57534e"),
}
DERIVATIVES, PARTIAL = {"∂": "#b91c1c", "→": "#0b5c73"}, "#4b5563"
SHOWN = 20_000  # nodes up to which a notebook draws a result unasked
CROWDED = 300  # boxes from which arrows are drawn straight, which Graphviz does faster


def draw(
    y, *, values=True, gradients=True, tangents=None, partials=False, shapes=False, dtypes=False,
    names=None, direction="LR", depth=None, fold=None, backward=False, format="svg", save=None,
):  # fmt: skip
    """The graph that `y` was made by, as a `Drawing`, which shows itself in a notebook.

    y           a Tensor, or a list of them
    values      show each node's value: small ones as numbers, large ones by shape, least, mean and
                largest element, and a strip of bars (a vector's elements, else a histogram)
    gradients   show the derivative of y by each node (of the sum of y's elements), after ∂;
                worked out for the drawing, no ``.grad`` is read or written
    tangents    an input, or a dict or pairs of inputs and directions: show how fast each node
                moves when they move so, after →
    partials    show on each arrow the derivative of its target by its source
    shapes, dtypes   show them for every node
    names       the caller's variables, ``names=locals()``: Tensors, arrays, and the Modules whose
                parameters are shown; else the Tensors' names and the parameters' paths
    direction   "LR" from left to right or "TB" from top to bottom
    depth       how many levels of modules to open: 0 none, math.inf all; None as many as keep the
                picture readable (60 boxes)
    fold        show repeats of one pattern once, marked ×12; None where the picture is too large
    backward    draw the graph of the gradients by all inputs beside it
    format      "svg", "png" or "pdf": what a notebook shows
    save        also write it to this file: .svg, .png, .pdf, .dot, .mmd (Mermaid) or .txt

    >>> x = Tensor(2.0, name="x")
    >>> print(draw(x * x))
    x           = 2  ∂ 4
    v1 = x * x  = 4  ∂ 1
    """
    outputs = outputs_of(y, "draw")
    _check_format(format)
    if save is not None:
        _check_path(save)
    slopes, scopes = _slopes(outputs) if backward else ([], [])
    found = [slope for _, _, slope in slopes]
    everything = [*outputs, *found]
    scene = Scene(everything, names, gradients and not backward, tangents, partials, scopes)
    for y, x, slope in slopes:
        box, y, x = scene.boxes[slope.node], scene.boxes[y.node], scene.boxes[x.node]
        box.name = box.name or f"∂{y.name or 'y'}/∂{x.name or x.id}"
    drawing = Drawing(View(scene, depth, fold), direction, format, (values, shapes, dtypes))
    if save is not None:
        drawing.save(save)
    return drawing


def shown(tensor):
    """What a notebook shows of a Tensor: its graph beside its value, where it has a graph.

    Without Graphviz, inside transformations and of graphs of more than 20,000 nodes the value.
    """
    bundle = {"text/plain": repr(tensor)}
    if not tensor.node.inputs or len(history(tensor.node)) > SHOWN:
        return bundle
    try:
        try:
            drawing = draw(tensor)
        except RuntimeError:  # written since, by an optimizer's step
            drawing = draw(tensor, gradients=False)
        return bundle | {"image/svg+xml": drawing.render("svg").decode()}
    except (RuntimeError, TypeError, ValueError):
        return bundle


def outputs_of(y, what):
    """The Tensors of `y` as a list; TypeError where there are none."""
    outputs = [*y] if isinstance(y, (list, tuple)) else [y]
    for output in outputs:
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            hint = "" if not isinstance(output, Wrapper) else (
                f": jvp, vmap and the like compute with a {kind}, which keeps no graph; apply the "
                f"function to Tensors, and draw the result"
            )  # fmt: skip
            raise TypeError(
                f"{what}: y is a Tensor with a history, or a list of them, not a {kind}{hint}"
            )
        if differs(output):
            raise TypeError(
                f"{what}: inside vmap a value is one for each example; {what} the result of the "
                f"function at one of them, outside of vmap"
            )
    if not outputs:
        raise TypeError(f"{what}: y is an empty list; pass a Tensor with a history")
    return outputs


def _slopes(outputs):
    """``(slopes, scopes)``: the graph's gradients by its inputs, recorded, as ``(y, x, ∂y/∂x)``;
    and the stretches in which the graph and they were recorded.
    """
    middle, after, slopes = begin(), begin(), []
    for y in outputs:
        if not y.requires_grad:
            continue
        if not recording(y.level):
            raise ValueError(
                "draw: backward=True has to record the gradient, and no_grad() is in force here: "
                "draw outside of that block"
            )
        leaves = [node for node in history(y.node)[::-1] if node.primitive is None]
        xs = [handle(node, y.level) for node in leaves]
        with np.errstate(all="ignore"):
            found = derivatives(y, xs, seed=seed_of_ones(y.node.value), record=True)
        for x, slope in zip(xs, found, strict=True):
            if slope.requires_grad:  # else it is the same whatever the inputs are
                slopes.append((y, x, slope))
    scopes = [Call(0, middle, None, "forward"), Call(after, math.inf, None, "backward")]
    return slopes, scopes


class Drawing:
    """A drawn graph: text in `source` (DOT), `mermaid` and `text`; `render` and `save` make
    pictures of it.
    """

    def __init__(self, view, direction="LR", format="svg", lines=(True, False, False)):
        if direction not in ("LR", "TB"):
            raise ValueError(f'direction is "LR" or "TB", not {direction!r}')
        self.view, self.direction, self.format, self.lines = view, direction, format, lines
        self.source = _dot(view, direction, lines)

    @property
    def note(self):
        """What is not shown, in words; "" where all is."""
        return self.view.note

    @property
    def mermaid(self):
        """The graph in Mermaid's language, which many wikis and code hosts draw."""
        return _mermaid(self.view, self.direction, self.lines)

    @property
    def text(self):
        """The graph as lines of text."""
        return as_text(self.view, *self.lines)

    def __str__(self):
        return self.text

    def __repr__(self):
        return self.text

    def render(self, format=None):
        """The picture as bytes: "svg", "png" or "pdf".

        Raises RuntimeError, saying what to install, where neither `dot` nor pygraphviz is.
        """
        return render(self.source, self.format if format is None else format)

    def save(self, path):
        """Write the picture or text, in the format that the path ends in; returns the path."""
        path, format = Path(path), _check_path(path)
        if format in TEXTS:
            path.write_text(getattr(self, TEXTS[format]), encoding="utf-8")
        else:
            path.write_bytes(self.render(format))
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        kinds = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
        try:
            picture = self.render()
        except RuntimeError as error:
            return {"text/plain": f"{self.text}\n\n({error})"}
        if self.format == "svg":
            picture = picture.decode()
        return {kinds[self.format]: picture, "text/plain": self.text}


def _check_format(format):
    if format not in FORMATS:
        raise ValueError(f"draw: format is one of {', '.join(FORMATS)}, not {format!r}")


def _check_path(path):
    """The format that a path ends in; ValueError for others than those there are."""
    format = Path(path).suffix.lstrip(".").lower()
    if format not in (*FORMATS, *TEXTS):
        endings = ", ".join(f".{ending}" for ending in (*FORMATS, *TEXTS))
        raise ValueError(f"draw: a picture is saved as one of {endings}, not {Path(path).name!r}")
    return format


def render(source, format="svg"):
    """DOT text as a picture, in bytes."""
    _check_format(format)
    if shutil.which("dot"):
        return graphviz.Source(source).pipe(format=format, quiet=True)
    try:
        import pygraphviz
    except ImportError:
        raise RuntimeError(
            "drawing needs Graphviz: pip install 'speelpenning[show]' brings it along, or "
            "install the program `dot`; .source, .mermaid and .text need none"
        ) from None
    picture = pygraphviz.AGraph(string=source)
    try:
        return picture.draw(format=format, prog="dot")
    finally:
        picture.close()


# --- DOT ------------------------------------------------------------------------------------------


def _dot(view, direction, lines):
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": direction, "bgcolor": "transparent", "fontname": "Helvetica",
            "fontcolor": "#6b7280", "labeljust": "l",
        },
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": "Helvetica"},
        edge_attr={"color": "#6b7280", "fontname": "Helvetica", "fontsize": "11"},
    )  # fmt: skip
    if len(view.shown) > CROWDED:
        graph.attr(splines="line", nslimit="1", nslimit1="1")
    if view.note:
        graph.attr(label=f"<{_text(view.note)}>")
    _fill(graph, view, view.scene.whole, lines)
    for i, (a, b, partial) in enumerate(view.arrows):
        extra = {"label": f"<{_text(partial)}>", "fontcolor": PARTIAL} if partial else {}
        graph.edge(a, b, id=f"e{i}", **extra)
    return graph.source


def _fill(graph, view, group, lines):
    for item in in_order(view, group):
        if item in view.members:
            with graph.subgraph(name=f"cluster_{item.id}") as inner:
                label = f"<{_text(heading(view, item))}>"
                inner.attr(label=label, id=item.id, style="rounded", color="#9ca3af")
                _fill(inner, view, item, lines)
        elif isinstance(item, Box):
            rows = [_with_strip(line) for line in describe(item, *lines)]
            rows += [
                f'<font color="{DERIVATIVES[line[0]]}">{_with_strip(line)}</font>'
                for line in derivative_lines(item)
            ]
            _box(graph, item, [f"<b>{_text(item.title)}</b>", *rows])
        else:
            size = _text(contents(view, item))
            _box(graph, item, [f"<b>{_text(heading(view, item))}</b>", size])


def contents(view, group):
    """What a collapsed group holds, in words."""
    boxes = [*group.boxes()]
    if is_leaf(group):
        count = sum(elements(box.value) for box in boxes)
        return f"{count:,} number{'s' * (count != 1)}"
    inside = {box.id for box in boxes}
    numbers = {}
    for arrow in view.scene.arrows:
        if arrow.target in inside:
            source = view.scene.box[arrow.source]
            if source.kind == "parameter":
                numbers[source.id] = elements(source.value)
    words = f"{len(boxes):,} operation{'s' * (len(boxes) != 1)}"
    return f"{words}, {sum(numbers.values()):,} parameters" if numbers else words


def kind_of(item):
    """Which of COLOURS an item has."""
    if isinstance(item, Box):
        return item.kind
    return item.items[0].kind if is_leaf(item) else "group"


def _box(graph, item, lines):
    fill, border = COLOURS[kind_of(item)]
    label = f"<{'<br/>'.join(lines)}>"
    extra = {"peripheries": "2"} if isinstance(item, Group) else {}
    graph.node(item.id, label=label, id=item.id, fillcolor=fill, color=border, **extra)


def _with_strip(line):
    """A line of text; a strip of bars at its end is set smaller, as bars fill a line's height."""
    words = line.rstrip(BARS)
    bars = line[len(words) :]
    return _text(words) + (f'<font point-size="8">{bars}</font>' if bars else "")


def _text(text):
    """Any text as Graphviz shows it letter for letter: without markup, escapes or controls."""
    text = _printable(text)
    return escape(text).replace("\\", "&#92;&#92;") if text.strip() else "&#160;"


def _printable(text):
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(text))


# --- Mermaid --------------------------------------------------------------------------------------


def _mermaid(view, direction, lines):
    out = [f"flowchart {direction}"]

    def fill(group, indent):
        for item in in_order(view, group):
            if item in view.members:
                out.append(f"{indent}subgraph {item.id}[{_quoted([heading(view, item)])}]")
                fill(item, indent + "  ")
                out.append(f"{indent}end")
                continue
            if isinstance(item, Group):
                rows = [heading(view, item), contents(view, item)]
            else:
                rows = [item.title, *describe(item, *lines), *derivative_lines(item)]
            out.append(f"{indent}{item.id}[{_quoted(rows)}]:::{kind_of(item)}")

    fill(view.scene.whole, "  ")
    for a, b, partial in view.arrows:
        out.append(f"  {a} -->{f'|{_quoted([partial])}|' if partial else ''} {b}")
    for kind, (inside, border) in COLOURS.items():
        out.append(f"  classDef {kind} fill:{inside},stroke:{border},color:#111827")
    return "\n".join(out)


def _quoted(lines):
    """Lines of any text between Mermaid's quotes, letters with a meaning there as their codes."""
    coded = (
        "".join(
            c if c.isalnum() or c in " .,=()+-" or ord(c) > 127 else f"#{ord(c)};"
            for c in _printable(short_name(line))
        )
        for line in lines
    )
    return f'"{"<br/>".join(coded)}"'
