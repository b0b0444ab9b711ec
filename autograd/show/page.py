"""The explorable page: a graph as one HTML file, with nothing to fetch from anywhere.

    explore(y)          the graph of a result, to move in, to open and to search
    explore(f, *args)   the same of what f computes, with the line that computed each node

Graphviz says where everything stands, at every level of detail; ``page.js`` moves what is there.
"""

import json
import math
from html import escape
from pathlib import Path

from ..scopes import line_of
from .draw import Drawing, contents
from .flows import flows
from .formulas import heading
from .numbers import in_bytes
from .record import recorded
from .scene import Box, Scene, is_leaf
from .values import bytes_of, dtype_of, full_shape, value_lines
from .view import View

HERE = Path(__file__).parent
MOST = 2500  # boxes of a level that is laid out
WORK = 25_000_000  # boxes times ranks that arrows span: Graphviz takes some seconds for so many
DEEPEST = 10  # levels that open the groups one depth after another; then all of them


def explore(y, *args, names=None, direction="LR", title=None, save=None):
    """An interactive page of a graph: pan, zoom, search, open modules, follow the gradient.

    y           a Tensor, or a list of them; or a function, which is run at `args`
    names       the caller's variables, ``names=locals()``: see `draw`
    direction   "LR" from left to right or "TB" from top to bottom
    title       above the graph and in the browser's tab
    save        also write it to this file

    Choosing an input shows on every arrow which share of the input's gradient flows through it:
    see `autograd.show.flows`.  Raises RuntimeError, saying what to install, without Graphviz.

    >>> from autograd import Tensor
    >>> x = Tensor(2.0, name="x")
    >>> page = explore(x * x + x)
    >>> page
    <Page of y: 3 boxes>
    """
    outputs, names = recorded("explore", y, args, names)
    scene = Scene(outputs, names)
    views, start = _levels(scene)
    return page_of(scene, views, start, direction, title, save)


def page_of(scene, views, start, direction, title, save, timeline=None):
    """The `Page` of a scene: its levels are `views`, and that with the number `start` is first."""
    title = str(title or scene.boxes[scene.outputs[0].node].name or "y")
    drawings = [Drawing(view, direction, "svg", (True, False, False)) for view in views]
    svgs = [_bare(drawing.render("svg").decode()) for drawing in drawings]
    inputs = flows(scene)
    data = {
        "title": title,
        "start": start,
        "levels": [_level(view) for view in views],
        "items": _items(scene, views[-1]),
        "groups": _groups(scene, views),
        "arrows": [[a.source, a.target, a.partial] for a in scene.arrows],
        "inputs": inputs,
        "more": sum(box.operation is None for box in scene.boxes.values()) - len(inputs),
        "timeline": timeline,
    }
    page = Page(title, data, svgs)
    if save is not None:
        page.save(save)
    return page


class Page:
    """One self-contained HTML page; it shows itself in a notebook."""

    def __init__(self, title, data, svgs):
        self.title, self.data = title, data
        self.html = _html(title, data, svgs)
        self.svg = svgs[data["start"]]

    def save(self, path):
        """Write the page; returns the path.  ValueError for another ending than .html."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a page is saved as .html, not {path.name!r}")
        path.write_text(self.html, encoding="utf-8")
        return path

    def __repr__(self):
        count = len(self.data["items"])
        return f"<Page of {self.title}: {count:,} box{'es' * (count != 1)}>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        # in a frame of its own, neither the notebook's style nor its script meets the page's
        frame = (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self.title)}" '
            f'sandbox="allow-scripts"'
            f' style="width: 100%; height: 620px; border: 1px solid #d1d5db; border-radius: 6px">'
            f"</iframe>"
        )
        return {"text/html": frame, "image/svg+xml": self.svg, "text/plain": repr(self)}


# --- the data -------------------------------------------------------------------------------------


def _levels(scene):
    """``(views, start)``: views of a scene from the coarsest to the finest, no two showing the
    same, and which of them is readable as a whole.
    """
    first = View(scene)
    deepest = max(group.depth for group in scene.groups)
    others = [first.at(depth) for depth in (*range(min(deepest, DEEPEST) + 1), math.inf)]
    others = [v for v in others if len(v.shown) <= MOST and _work(v) <= WORK]
    different = {frozenset(view.shown): view for view in (*others, first)}
    views = sorted(different.values(), key=lambda view: len(view.shown))
    return views, views.index(first)


def _work(view):
    """What laying a view out takes: its boxes times the ranks that its arrows span, all together.

    Leaves stand just before a reader.
    """
    rank, leaves = dict.fromkeys(view.shown, 0), {}
    for a, b, _ in view.arrows:
        rank[b] = max(rank[b], rank[a] + 1)
    for a, b, _ in view.arrows:
        if is_leaf(view.shown[a]):
            leaves[a] = min(leaves.get(a, math.inf), rank[b] - 1)
    rank |= leaves
    return len(view.shown) * sum(rank[b] - rank[a] for a, b, _ in view.arrows)


def _level(view):
    stands = {id: place for id, place in view.stands.items() if place != id}
    return {
        "label": "all" if not view.note else f"{len(view.shown):,} boxes",
        "note": view.note,
        "stands": stands,
        "arrows": [[a, b] for a, b, _ in view.arrows],
    }


def _items(scene, finest):
    home = {item.id: group for group, items in finest.members.items() for item in items}
    found = {}
    for box in scene.ordered:
        group = home.get(finest.stands[box.id])
        inside = group is not None and group is not scene.whole
        found[box.id] = {
            "title": box.title,
            "kind": box.kind,
            "group": group.id if inside else None,
            "facts": _facts(box),
        }
    return found


def _facts(box):
    facts = [["value", "  ".join(value_lines(box.value))]]
    facts += [["shape", full_shape(box.value)], ["type", dtype_of(box.value)]]
    facts.append(["memory", in_bytes(bytes_of(box.value))])
    for label, d in (("gradient", box.gradient), ("tangent", box.tangent)):
        if d is not None:
            facts.append([label, "  ".join(value_lines(d))])
    if box.operation:
        facts.insert(0, ["operation", f"{box.operation} {box.detail}".strip()])
        line = line_of(box.node.serial)
        if line:
            facts.append(["line", f"{Path(line[0]).name}:{line[1]}"])
    return facts


def _groups(scene, views):
    found = {}
    for view in views:
        for group in [*view.members, *(g for g in view.shown.values() if not isinstance(g, Box))]:
            if group is not scene.whole:
                found[group.id] = {
                    "label": heading(view, group),
                    "parent": None if group.parent is scene.whole else group.parent.id,
                    "facts": [["holds", contents(view, group)]],
                }
    return found


# --- the page -------------------------------------------------------------------------------------


def _bare(svg):
    """An SVG document as an element of a page."""
    return svg[svg.index("<svg") :]


def _html(title, data, svgs):
    parts = {
        "/*STYLE*/": (HERE / "page.css").read_text(encoding="utf-8"),
        "/*SCRIPT*/": (HERE / "page.js").read_text(encoding="utf-8"),
        "<!--TITLE-->": escape(title),
        "<!--STAGE-->": svgs[data["start"]],
        "<!--LEVELS-->": "".join(f'<template class="level">{svg}</template>' for svg in svgs),
        "/*DATA*/": _json(data),
    }
    html = (HERE / "page.html").read_text(encoding="utf-8")
    pieces = []
    while html:  # by hand: what is filled in is not searched for further marks
        at, mark = min(((html.find(m), m) for m in parts if m in html), default=(len(html), ""))
        pieces += [html[:at], parts.get(mark, "")]
        html = html[at + len(mark) :]
    return "".join(pieces)


def _json(data):
    """JSON that no HTML parser takes for markup."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
