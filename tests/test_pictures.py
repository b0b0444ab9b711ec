"""Where things stand in rendered pictures, read from the SVG: boxes, arrows, groups' rectangles."""

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from autograd.show import draw
from autograd.show.scene import Box

from .graphs import GRAPHS

SVG = "{http://www.w3.org/2000/svg}"
SMALL = sorted(GRAPHS.keys() - {"random_500"})
NEAR = 4  # points between an arrow's end and the border of its box: Graphviz leaves one or two


class Picture:
    """The rectangles and arrows of a drawing: (left, top, right, bottom), in points."""

    def __init__(self, drawing):
        root = ElementTree.fromstring(drawing.render("svg"))
        groups = [g for g in root.iter(f"{SVG}g") if g.get("class") in ("node", "edge", "cluster")]
        named = {kind: {} for kind in ("node", "edge", "cluster")}
        for g in groups:
            assert g.get("id") not in named[g.get("class")]
            named[g.get("class")][g.get("id")] = g
        self.boxes = {id: rectangle(g) for id, g in named["node"].items()}
        self.clusters = {id: rectangle(g) for id, g in named["cluster"].items()}
        self.arrows = {id: ends(g) for id, g in named["edge"].items()}
        self.texts = {id: [*g.iter(f"{SVG}text")] for id, g in named["node"].items()}


def points(text):
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]
    return [*zip(numbers[::2], numbers[1::2], strict=True)]


def corners(element):
    found = []
    for part in element.iter():
        found += points(part.get("d", "")) + points(part.get("points", ""))
    return found


def rectangle(element):
    xs, ys = zip(*corners(element), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def ends(edge):
    """Where an arrow begins, and the tip of its head, the point furthest from the line's end."""
    (line,) = [points(p.get("d")) for p in edge.iter(f"{SVG}path")]
    (head,) = [points(p.get("points")) for p in edge.iter(f"{SVG}polygon")]
    return line[0], max(head, key=lambda p: math.dist(p, line[-1]))


def from_border(point, box):
    """How far a point is from the border of a rectangle."""
    (x, y), (left, top, right, bottom) = point, box
    outside = math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))
    return outside or min(x - left, right - x, y - top, bottom - y)


def overlapping(boxes):
    """Pairs of boxes that have more than half a point of both directions in common."""
    ids, sides = [*boxes], np.array([*boxes.values()])
    low, high = sides[:, :2] + 0.5, sides[:, 2:]
    meet = (low[:, None] < high[None, :]).all(axis=2)
    meet &= meet.T
    return [(ids[i], ids[j]) for i, j in np.argwhere(meet) if i < j]


def holds(outer, inner):
    return (
        outer[0] <= inner[0] + 1
        and outer[1] <= inner[1] + 1
        and inner[2] <= outer[2] + 1
        and inner[3] <= outer[3] + 1
    )


def apart(a, b):
    return a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1


def members(view, group):
    """The ids of all boxes and open groups inside an open group, at any depth."""
    found = set()
    for item in view.members[group]:
        found.add(item.id)
        if item in view.members:
            found |= members(view, item)
    return found


def check(drawing):
    view, picture = drawing.view, Picture(drawing)
    assert picture.boxes.keys() == view.shown.keys()
    assert overlapping(picture.boxes) == []
    assert picture.arrows.keys() == {f"e{i}" for i in range(len(view.arrows))}
    for i, (source, target, _) in enumerate(view.arrows):
        start, tip = picture.arrows[f"e{i}"]
        assert from_border(start, picture.boxes[source]) < NEAR, (i, source)
        assert from_border(tip, picture.boxes[target]) < NEAR, (i, target)
    whole = view.scene.whole
    assert picture.clusters.keys() == {g.id for g in view.members if g is not whole}
    rectangles = picture.boxes | picture.clusters
    for group in view.members:
        if group is whole:
            continue
        inside = members(view, group)
        for id, box in rectangles.items():
            outer = picture.clusters[group.id]
            if id in inside:
                assert holds(outer, box), (group.id, id)
            elif id in picture.boxes:
                assert apart(outer, box), (group.id, id)
    for id, texts in picture.texts.items():
        left, top, right, bottom = picture.boxes[id]
        for text in texts:
            x, y = float(text.get("x")), float(text.get("y"))
            assert left < x < right and top < y < bottom, (id, "".join(text.itertext()))


def test_there_are_thirty_graphs():
    assert len(GRAPHS) >= 30


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_boxes_are_apart_and_arrows_meet_them(name, direction):
    check(draw(GRAPHS[name](), direction=direction))


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("name", SMALL)
def test_the_same_with_everything_shown(name, direction):
    drawing = draw(
        GRAPHS[name](), direction=direction, depth=math.inf, shapes=True, dtypes=True, partials=True
    )
    assert all(isinstance(item, Box) for item in drawing.view.shown.values())
    check(drawing)


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_the_same_with_five_hundred_operations_shown(direction):
    drawing = draw(GRAPHS["random_500"](), direction=direction, depth=math.inf)
    assert len(drawing.view.shown) > 1000
    check(drawing)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize(
    "name", ["mlp", "convolution", "recurrent", "autoencoder", "residual_blocks", "nested_scopes"]
)
def test_the_same_with_modules_collapsed(name, depth):
    check(draw(GRAPHS[name](), depth=depth))


@pytest.mark.parametrize("name", ["neuron", "diamond", "mlp", "broadcasting", "several_outputs"])
def test_the_same_with_the_backward_graph(name):
    check(draw(GRAPHS[name](), backward=True))


def test_arrows_run_in_the_direction_asked_for():
    for direction, axis in (("LR", 0), ("TB", 1)):
        drawing = draw(GRAPHS["chain"](), direction=direction)
        picture = Picture(drawing)
        for source, target, _ in drawing.view.arrows:
            assert picture.boxes[source][axis + 2] <= picture.boxes[target][axis] + 1


def test_overlaps_and_loose_arrows_would_be_found():
    boxes = {"a": (0, 0, 10, 10), "b": (8, 8, 20, 20), "c": (10, 0, 20, 8)}
    assert overlapping(boxes) == [("a", "b")]
    assert from_border((15, 5), boxes["a"]) == 5 and from_border((5, 5), boxes["a"]) == 5
    assert from_border((10, 3), boxes["a"]) == 0
    assert holds((0, 0, 9, 9), (1, 1, 8, 8)) and not holds((0, 0, 9, 9), (1, 1, 12, 8))
    assert apart(boxes["a"], boxes["c"]) and not apart(boxes["a"], boxes["b"])
