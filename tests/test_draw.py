"""Pictures of graphs: what is shown of a graph, its derivatives, and the texts and files of it."""

import hashlib
import html
import math
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree

import numpy as np
import pygraphviz
import pytest

import nn
import optim
from autograd import Tensor, grad, gradients, jvp, no_grad, scope, vmap
from autograd.graph import history
from autograd.show import draw
from autograd.show.scene import Box, Group, Scene, partial
from autograd.show.view import LIMIT, View

from .graphs import GRAPHS, Tied, neuron, numbers, random_graph
from .strict import Strict

SIGNATURES = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}
SCALAR = [
    "neuron", "chain", "diamond", "diamonds", "speelpenning", "several_outputs", "nested_scopes",
    "gradient_of_a_gradient", "partly_silenced", "recurrent_by_hand", "random_60",
]  # fmt: skip


def read(drawing):
    """``(lines, edges)`` as Graphviz understands the DOT text: a box's id -> its lines of text."""
    graph = pygraphviz.AGraph(string=drawing.source)
    try:
        lines = {}
        for node in graph.nodes():
            text = re.sub("</?(b|font[^>]*)>", "", node.attr["label"])
            parts = [html.unescape(line) for line in text.split("<br/>")]
            lines[str(node)] = [part.replace("\\\\", "\\") for part in parts]
        return lines, sorted((str(a), str(b)) for a, b in graph.edges())
    finally:
        graph.close()


def texts(drawing):
    """All pieces of text in the rendered picture."""
    svg = ElementTree.fromstring(drawing.render("svg"))
    found = ["".join(t.itertext()) for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    return [text.replace("\xa0", " ").strip() for text in found]


def titles(drawing):
    return [lines[0] for lines in read(drawing)[0].values()]


def clusters(drawing):
    """Label -> labels of the clusters in it, as Graphviz understands the DOT text."""
    graph = pygraphviz.AGraph(string=drawing.source)
    try:
        found = {}

        def visit(part):
            inside = part.subgraphs()
            for other in inside:
                label = html.unescape(other.graph_attr["label"])
                children = [html.unescape(g.graph_attr["label"]) for g in other.subgraphs()]
                found.setdefault(label, []).append(sorted(children))
                visit(other)

        visit(graph)
        return found
    finally:
        graph.close()


def find(drawing, name):
    """The boxes with this name."""
    return [box for box in drawing.view.scene.boxes.values() if box.name == name]


# --- what is drawn --------------------------------------------------------------------------------


def test_a_graph_has_its_nodes_names_values_and_gradients():
    lines, edges = read(draw(neuron()))
    slope = 1 - np.tanh(0.8) ** 2
    assert lines == {
        "n0": ["w", "0.8", f"∂ {1.5 * slope:.4g}"],
        "n1": ["x", "1.5", f"∂ {0.8 * slope:.4g}"],
        "n2": ["b", "-0.4", f"∂ {slope:.4g}"],
        "n3": ["multiply", "1.2", f"∂ {slope:.4g}"],
        "n4": ["add", "0.8", f"∂ {slope:.4g}"],
        "n5": ["y = tanh", f"{np.tanh(0.8):.4g}", "∂ 1"],
    }
    assert edges == [("n0", "n3"), ("n1", "n3"), ("n2", "n4"), ("n3", "n4"), ("n4", "n5")]


def test_the_picture_shows_the_text():
    shown = texts(draw(neuron(), gradients=False))
    assert sorted(shown) == sorted(
        ["w", "0.8", "x", "1.5", "b", "-0.4", "multiply", "1.2", "add", "0.8", "y = tanh", "0.664"]
    )


def test_a_repeated_operand_is_two_arrows():
    x = Tensor(3.0, name="x")
    drawing = draw(x * x, partials=True)
    lines, edges = read(drawing)
    assert edges == [("n0", "n1"), ("n0", "n1")]
    assert "∂ 6" in lines["n0"] and texts(drawing).count("3") == 1 + 2  # x, and both partials


def test_a_shared_value_is_one_box():
    x = Tensor(3.0)
    y = np.exp(x)
    lines, edges = read(draw(y * np.sin(y)))
    assert len(lines) == 4
    assert edges == [("n0", "n1"), ("n1", "n2"), ("n1", "n3"), ("n2", "n3")]


def test_constants_are_boxes_of_their_own():
    lines, edges = read(draw(2.0 * Tensor(3.0) * np.array([5.0, 6.0])))
    assert lines["n1c0"] == ["constant", "2"] and lines["n2c1"] == ["constant", "[5, 6]"]
    assert edges == [("n0", "n1"), ("n1", "n2"), ("n1c0", "n1"), ("n2c1", "n2")]


def test_a_tensor_that_is_no_variable_is_a_constant():
    lines, edges = read(draw(Tensor(2.0) * Tensor(7.0).detach()))
    assert lines["n1c1"] == ["constant", "7"] and len(lines) == 3 and len(edges) == 2


def test_what_the_value_does_not_depend_on_is_not_drawn():
    x, other = Tensor(2.0), Tensor(3.0)
    np.sin(x * other)
    assert titles(draw(x + 1)) == ["constant", "input", "add"] or len(titles(draw(x + 1))) == 3


def test_an_input_alone_is_a_graph_of_one():
    lines, edges = read(draw(Tensor(2.0, name="alone")))
    assert lines == {"n0": ["alone", "2", "∂ 1"]} and not edges


def test_a_constant_alone_is_drawn_without_gradients():
    lines, edges = read(draw(Tensor(2.0).detach()))
    assert len(lines) == 1 and not edges and lines["n0"][1:] == ["2"]


@pytest.mark.parametrize("pick", [0, 1])
def test_a_tuple_of_results_is_one_box_with_a_box_for_each_part(pick):
    m = Tensor(np.array([[2.0, 0.0], [0.0, 3.0]]), name="M")
    lines, edges = read(draw(np.linalg.slogdet(m)[pick], partials=True))
    assert len(lines) == 3 and edges == [("n0", "n1"), ("n1", "n2")]
    assert lines["n1"][:3] == ["slogdet", "1", "1.792"]
    assert lines["n2"][0] == f"pick [{pick}]" and lines["n2"][1] == ["1", "1.792"][pick]
    wanted = ["∂ [[0, 0], [0, 0]]", "∂ [[0.5, 0], [0, 0.3333]]"][pick].replace("0,", "0,")
    found = lines["n0"][-1].replace("-0", "0")
    assert found == wanted and lines["n2"][-1] == "∂ 1"


def test_both_parts_of_a_tuple_are_drawn_from_one_box():
    sign, log = np.linalg.slogdet(Tensor(np.eye(2) * 2))
    drawing = draw(sign * log)
    assert titles(drawing).count("slogdet") == 1
    assert len(titles(drawing)) == 5 and len(read(drawing)[1]) == 5


def test_several_outputs_are_drawn_in_one_graph():
    a, b = Tensor(1.0, name="a"), Tensor(2.0, name="b")
    both = a * b
    drawing = draw([np.sin(both), np.exp(both), both])
    kinds = {box.title: box.kind for box in drawing.view.scene.boxes.values()}
    assert kinds == {
        "a": "input", "b": "input", "multiply": "output", "sin": "output", "exp": "output",
    }  # fmt: skip
    (box,) = find(drawing, "a")
    assert box.gradient == pytest.approx(2 * (np.cos(2) + np.exp(2) + 1))


def test_kinds_have_their_colours():
    model = nn.Linear(2, 1)
    x = Tensor(np.ones((1, 2), np.float32), name="x")
    source = draw(np.sum(model(x)) * 2.0).source
    for fill in ("#dbeafe", "#ede9fe", "#f3f4f6", "#fef9c3", "#dcfce7"):
        assert f'fillcolor="{fill}"' in source
    assert source.count('fillcolor="#ede9fe"') == 2  # weight and bias


# --- options --------------------------------------------------------------------------------------


def test_values_and_gradients_can_be_left_out():
    y = neuron()
    lines, _ = read(draw(y, values=False, gradients=False))
    assert lines == {
        "n0": ["w"], "n1": ["x"], "n2": ["b"], "n3": ["multiply"], "n4": ["add"],
        "n5": ["y = tanh"],
    }  # fmt: skip
    assert read(draw(y, values=False))[0]["n5"] == ["y = tanh", "∂ 1"]
    assert read(draw(y, gradients=False))[0]["n5"] == ["y = tanh", "0.664"]
    assert "∂" not in draw(y, gradients=False).text and "1.2" not in draw(y, values=False).text


def test_shapes_and_dtypes_are_shown_when_asked_for():
    x = Tensor(np.ones((2, 3), np.float32), name="x")
    y = np.sum(x)
    assert read(draw(y, gradients=False, shapes=True))[0]["n0"][-1] == "(2, 3)"
    assert read(draw(y, gradients=False, dtypes=True))[0]["n0"][-1] == "float32"
    lines, _ = read(draw(y, gradients=False, shapes=True, dtypes=True))
    assert lines["n0"][-1] == "(2, 3) float32" and lines["n1"][-1] == "() float32"
    drawing = draw(y, shapes=True, dtypes=True)
    for text in (drawing.text, drawing.mermaid.replace("#40;", "(")):
        assert "(2, 3) float32" in text


def test_small_arrays_are_shown_as_numbers_and_large_ones_by_shape_and_spread():
    lines, _ = read(draw(np.sum(Tensor(np.arange(1.0, 7.0)) ** 2)))
    assert lines["n0"] == ["input", "[1, 2, 3, 4, 5, 6]", "∂ [2, 4, 6, 8, 10, 12]"]
    values = np.arange(12.0).reshape(3, 4)
    lines, _ = read(draw(np.sum(Tensor(values) ** 2)))
    assert lines["n0"][1] == "3×4" and lines["n0"][2].startswith("0 … 5.5 … 11 ")
    assert lines["n0"][3].startswith("∂ 0 … 11 … 22 ")


def test_a_vectors_strip_rises_and_falls_with_it():
    lines, _ = read(draw(Tensor(np.concatenate([np.arange(12.0), np.arange(12.0)[::-1]])) + 0.0))
    bars = lines["n0"][2].split()[-1]
    assert len(bars) == 12 and bars[0] == bars[-1] == "▁" and "█" in bars[5:7]
    assert [*bars[:6]] == sorted(bars[:6]) and bars == bars[::-1]


def test_an_arrays_strip_is_its_histogram():
    values = np.concatenate([np.zeros(30), np.ones(10)]).reshape(8, 5)
    lines, _ = read(draw(Tensor(values) + 0.0))
    bars = lines["n0"][2].split()[-1]
    assert bars[0] == "█" and bars[-1] == "▃" and set(bars[1:-1]) == {"▁"}  # 30 : 0 : 10


def test_a_matrix_stands_on_one_line():
    lines, _ = read(draw(Tensor(np.arange(4.0).reshape(2, 2)) + 1))
    assert lines["n0"][1] == "[[0, 1], [2, 3]]"


@pytest.mark.parametrize(
    "value, wanted",
    [
        (np.array(2.5), ["2.5"]), (np.array(np.nan), ["nan"]), (np.float32(0.1), ["0.1"]),
        (1e-20, ["1e-20"]), (np.array([1e10, -0.0]), ["[1e+10, -0]"]), (np.inf, ["inf"]),
        (-0.0, ["-0"]), (5e-324, ["4.941e-324"]), (1.7e308, ["1.7e+308"]),
        (np.float16(3.3), ["3.301"]), (np.zeros((0, 3)), ["[]"]), (np.zeros(0), ["[]"]),
        (123456.789, ["1.235e+05"]), (np.array([np.nan, np.inf, -np.inf]), ["[nan, inf, -inf]"]),
        (np.full((3, 3), np.nan), ["3×3", "9 nan"]),
    ],
)  # fmt: skip
def test_numbers_of_every_kind_are_shown_shortly(value, wanted):
    with np.errstate(all="ignore"):
        y = Tensor(value) * 2
    lines, _ = read(draw(y, gradients=False))
    assert lines["n0"] == ["input", *wanted]


def test_what_is_not_finite_is_counted():
    value = np.array([[1.0, 2.0, np.nan, np.inf], [3.0, -np.inf, np.nan, 6.0]])
    lines, _ = read(draw(Tensor(value) + 0.0, gradients=False))
    assert lines["n0"][1] == "2×4" and lines["n0"][2].startswith("1 … 3 … 6 ")
    assert lines["n0"][3] == "2 nan, 2 inf"


@pytest.mark.parametrize(
    "value",
    [
        np.array(2.5), np.float32(0.5), np.float64(0.5), np.zeros((0,)), np.zeros((2, 0, 3)),
        np.nan, np.inf, np.full((20, 20), 6e4, np.float16), np.full((4, 4), 1.7e308),
        np.array([1e308, -1e308] * 10), np.array([5e-324] * 20), np.float32(1e-45),
        np.array([[np.inf, -np.inf, 1.0] * 5]), np.array([1e-310, 1e300] * 10),
    ],
)  # fmt: skip
def test_extreme_numbers_are_drawn_without_a_warning_or_an_error(value):
    with np.errstate(all="ignore"):
        x = Tensor(value, name="x")
        y = np.log(np.abs(x * 2.0) * 0.0)
    drawing = draw(y, tangents=x, partials=True, shapes=True, dtypes=True)
    lines, _ = read(drawing)
    assert all(any("∂" in line for line in lines[id]) for id in lines if "c" not in id)
    assert drawing.text and drawing.mermaid and "x" in texts(drawing)


def test_the_direction_is_that_of_the_picture():
    def size(direction):
        svg = ElementTree.fromstring(draw(neuron(), direction=direction).render())
        return [float(svg.get(side).removesuffix("pt")) for side in ("width", "height")]

    wide, tall = size("LR"), size("TB")
    assert wide[0] > wide[1] and tall[1] > tall[0]
    assert draw(neuron(), direction="TB").mermaid.startswith("flowchart TB")


# --- derivatives, against differences -------------------------------------------------------------


def replayed(nodes, moved):
    """The values of `nodes`, oldest first, computed again; those in `moved` are what it says."""
    values = {}
    for node in nodes:
        if node in moved:
            values[node] = moved[node]
        elif node.primitive is None:
            values[node] = node.value
        else:
            args = [values.get(source, source) for source in node.inputs]
            values[node] = node.primitive.function(*args, **(node.options or {}))
    return values


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_those_of_differences_at_every_box(seed):
    y = random_graph(30, seed)
    scene = draw(y, depth=math.inf).view.scene
    for node, box in scene.boxes.items():
        up, down = (replayed(scene.nodes, {node: node.value + h})[y.node] for h in (1e-5, -1e-5))
        assert box.gradient == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-8), box.id


@pytest.mark.parametrize("seed", range(5))
def test_tangents_are_those_of_differences_at_every_box(seed):
    y = random_graph(30, seed)
    leaves = {box.name: box.node for box in draw(y).view.scene.boxes.values() if box.name}
    assert {"x0", "x1"} <= leaves.keys()
    a, b = handle(leaves["x0"]), handle(leaves["x1"])
    scene = draw(y, tangents=[(a, 1.0), (b, -0.5)]).view.scene
    up, down = (
        replayed(scene.nodes, {a.node: a.node.value + h, b.node: b.node.value - 0.5 * h})
        for h in (1e-5, -1e-5)
    )
    for node, box in scene.boxes.items():
        wanted = (up[node] - down[node]) / 2e-5
        assert (box.tangent or 0.0) == pytest.approx(wanted, rel=1e-6, abs=1e-8), box.id


def handle(node):
    """A Tensor on a node of a graph, as a user still has one."""
    x = Tensor(0.0)
    x.node = node
    return x


@pytest.mark.parametrize("seed", range(5))
def test_partials_are_those_of_differences_at_every_arrow(seed):
    scene = draw(random_graph(30, seed), partials=True, depth=math.inf).view.scene
    checked = 0
    for arrow in scene.arrows:
        node = scene.box[arrow.target].node
        values = [getattr(source, "value", source) for source in node.inputs]
        if not hasattr(node.inputs[arrow.place], "primitive"):
            assert arrow.partial == ""
            continue
        moved = []
        for h in (1e-6, -1e-6):
            args = [v + h * (i == arrow.place) for i, v in enumerate(values)]
            moved.append(node.primitive.function(*args))
        wanted = (moved[0] - moved[1]) / 2e-6
        assert partial(node, arrow.place) == pytest.approx(wanted, rel=1e-6, abs=1e-8)
        assert float(arrow.partial) == pytest.approx(wanted, rel=1e-3, abs=1e-8)
        checked += 1
    assert checked > 20


def random_arrays(seed):
    """A random graph on vectors of three and matrices."""
    rng = np.random.default_rng(seed)
    known = [Tensor(rng.uniform(0.5, 1.5, 3), name=f"x{i}") for i in range(3)]
    matrix = Tensor(rng.normal(size=(3, 3)), name="A")
    for _ in range(15):
        a, b = (known[int(i)] for i in rng.integers(max(0, len(known) - 6), len(known), 2))
        kind = rng.integers(6)
        ways = [np.tanh, np.multiply, np.subtract, np.matmul, np.cumsum, lambda u, v: u * np.sum(v)]
        args = {0: [a], 3: [matrix, a], 4: [a]}.get(kind, [a, b])
        known.append(0.5 * ways[kind](*args))
    return np.sum(np.stack(known[-4:]))


@pytest.mark.parametrize("make", [random_graph, random_arrays])
@pytest.mark.parametrize("seed", range(4))
def test_a_boxs_gradient_is_the_sum_over_arrows_of_partial_times_gradient(make, seed):
    y = random_graph(60, seed) if make is random_graph else random_arrays(seed)
    scene = Scene([y], partials=True)
    totals, skipped = {}, set()
    for arrow in scene.arrows:
        target, source = scene.box[arrow.target], scene.box[arrow.source]
        if source.kind == "constant":
            continue
        found, g = partial(target.node, arrow.place), np.ravel(target.gradient)
        if found is None:
            skipped.add(source.id)
            continue
        found, n = np.asarray(found), np.size(source.value)
        elementwise = target.node.primitive.kind == "elementwise" and found.size == n
        part = np.ravel(found) * g if elementwise else g @ found.reshape(g.size, n)
        totals[source.id] = totals.get(source.id, 0) + part
    compared = totals.keys() - skipped
    assert len(compared) > len(scene.boxes) // 2
    for id in compared:
        np.testing.assert_allclose(totals[id], np.ravel(scene.box[id].gradient), atol=1e-12)


def test_partials_of_arrays_are_small_matrices_diagonals_or_shapes():
    x, m = Tensor([1.0, 2.0], name="x"), Tensor(np.eye(10), name="m")
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    drawing = draw(np.sum(a @ np.square(x)) + np.sum(m @ m), partials=True)
    found = {(a, b, p) for a, b, p in drawing.view.arrows}
    by = {(find_title(drawing, a), find_title(drawing, b), p) for a, b, p in found}
    assert ("x", "square", "[2, 4]") in by
    assert ("square", "matmul", "[[1, 2], [3, 4]]") in by
    assert ("m", "matmul", "(10, 10) by (10, 10)") in by
    assert "(10, 10) by (10, 10)" in texts(drawing)


def find_title(drawing, id):
    return drawing.view.scene.box[id].title


def test_gradients_of_an_array_are_of_its_sum():
    x = Tensor(np.array([1.0, 2.0]))
    lines, _ = read(draw(x * x))
    assert lines["n0"][-1] == "∂ [2, 4]" and lines["n1"][-1] == "∂ [1, 1]"


def test_tangents_of_arrays_follow_their_directions():
    x = Tensor([1.0, 2.0], name="x")
    y = np.sum(x * x)
    for given, wanted in ((x, 6.0), ({x: [1.0, 0.0]}, 2.0), ([(x, np.array([0.0, 3.0]))], 12.0)):
        boxes = draw(y, tangents=given).view.scene.boxes.values()
        assert [box.tangent for box in boxes if box.operation == "sum"] == [wanted]


def test_what_stands_still_has_no_tangent():
    x, w = Tensor(2.0, name="x"), Tensor(3.0, name="w")
    lines, _ = read(draw(x * w, tangents=x, gradients=False))
    assert lines == {"n0": ["x", "2", "→ 1"], "n1": ["w", "3"], "n2": ["multiply", "6", "→ 3"]}


@pytest.mark.parametrize("value", [0.0, [0.0, 1.0], np.float32(0.0)])
def test_an_input_of_zeros_is_an_input_to_move(value):
    x = Tensor(value, name="x")
    assert "→ " in draw(np.sin(x), tangents=x).text


# --- what drawing does not do ---------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"backward": True}, {"partials": True}])
def test_drawing_touches_no_gradient_and_no_graph(options):
    x = Tensor([1.0, 2.0])
    y = np.sum(x * x)
    nodes = history(y.node)
    kept = [(n, n.value, n.inputs, n.options, n.primitive, n.serial) for n in nodes]
    draw(y, **options)
    assert x.grad is None
    y.backward()
    draw(y, tangents=x, **options)
    assert x.grad.tolist() == [2, 4] and x.name is None
    again = [(n, n.value, n.inputs, n.options, n.primitive, n.serial) for n in history(y.node)]
    assert all(
        a is b for one, two in zip(kept, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert kept[-1][1].tolist() == [1, 2]


def test_drawing_draws_no_random_number():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    y = np.sum(model(np.ones((2, 3), np.float32)))
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first = draw(y, partials=True).source
    assert (np.random.get_state()[1] == before).all()
    assert draw(y, partials=True).source == first
    mask = np.random.default_rng(0).random()
    assert mask == np.random.default_rng(0).random()


def test_gradients_are_the_same_before_and_after_backward():
    y = neuron()
    before = draw(y).source
    y.backward()
    assert draw(y).source == before


def test_drawing_inside_no_grad_is_the_same():
    y = neuron()
    with no_grad():
        inside = draw(y, partials=True).source
    assert inside == draw(y, partials=True).source


def test_a_graph_whose_arrays_were_written_says_how_to_draw_it():
    x = Tensor([1.0, 2.0], name="x")
    y = np.sum(x * x)
    x.data[...] = 0.0
    with pytest.raises(RuntimeError, match=r"'x'.*written since.*gradients=False"):
        draw(y)
    with pytest.raises(RuntimeError, match=r"'x'.*written since.*without tangents="):
        draw(y, gradients=False, tangents=handle(x.node))
    with pytest.raises(RuntimeError, match=r"'x'.*written since.*partials=False"):
        draw(y, gradients=False, partials=True)
    assert "x" in draw(y, gradients=False).source


def test_after_an_optimizers_step_the_message_says_how_to_draw_it():
    model = nn.Linear(2, 2)
    loss = np.sum(model(np.ones((1, 2), np.float32)) ** 2)
    hidden = np.sum(model.weight * model.weight)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"weight.*written since.*gradients=False"):
        draw(hidden)
    assert "weight" in titles(draw(hidden, gradients=False))


# --- names ----------------------------------------------------------------------------------------


def test_the_callers_variables_give_names():
    a, b = Tensor(2.0), Tensor(3.0)
    scale = np.array([1.0, 2.0])
    product = a * b
    total = product * scale
    assert sorted(titles(draw(total, names=locals()))) == [
        "a", "b", "product = multiply", "scale", "total = multiply",
    ]  # fmt: skip
    assert "total = product * scale" in re.sub(" +", " ", draw(total, names=locals()).text)


def test_names_come_from_containers_too_but_a_variable_of_its_own_comes_first():
    xs = [Tensor(1.0), Tensor(2.0)]
    table = {"w": Tensor(3.0), "deep": {"list": (Tensor(4.0),)}}
    Out = {7: table["w"]}
    w = table["w"]
    y = xs[0] * xs[1] * w * table["deep"]["list"][0]
    wanted = ["table['deep']['list'][0]", "w", "xs[0]", "xs[1]"]
    found = titles(draw(y, names={"Out": Out, "xs": xs, "table": table, "w": w}))
    assert sorted(t for t in found if t != "multiply") == wanted


def test_names_that_begin_with_an_underscore_are_left_out():
    x = Tensor(2.0)
    assert "input" in titles(draw(x + 1.0, names={"_x": x, "_": x}))


def test_a_containers_loop_and_odd_variables_do_no_harm():
    x = Tensor(2.0)
    endless = [x]
    endless.append(endless)
    names = {"endless": endless, "many": [[0.0] * 1000] * 1000, "f": len, "cls": nn.Linear, 3: x}
    assert "endless[0]" in titles(draw(x + 1.0, names=names)) or "3" in titles(
        draw(x + 1.0, names=names)
    )


def test_the_tensors_own_names_are_shown():
    assert {"w", "x", "b", "y = tanh"} < {*titles(draw(neuron()))}


def test_parameters_are_called_by_their_paths():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    loss = nn.cross_entropy(model(np.eye(3, dtype=np.float32)), [0, 1, 1])
    paths = [name for name, _ in model.named_parameters()]
    found = {box.name for box in draw(loss).view.scene.boxes.values() if box.kind == "parameter"}
    assert found == {*paths}
    found = {
        box.name
        for box in draw(loss, names=locals()).view.scene.boxes.values()
        if box.kind == "parameter"
    }
    assert found == {f"model.{path}" for path in paths}


def test_parameters_of_a_named_module_that_was_not_called_have_their_paths():
    model = nn.Sequential(nn.Linear(3, 1))
    y = np.sum(model[0].weight * 2.0)
    assert "model.layers.0.weight" in titles(draw(y, names={"model": model}))
    assert "weight" in titles(draw(y))


def test_a_parameter_keeps_its_path_after_a_step():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    np.sum(model(np.ones((1, 2), np.float32))).backward()
    optimizer.step()
    y = np.sum(model(np.ones((1, 2), np.float32)))
    assert {"model.weight", "model.bias"} < {*titles(draw(y, names=locals()))}


def test_modules_collected_before_drawing_leave_their_groups_and_names():
    def run():
        model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        return np.sum(model(np.ones((1, 2), np.float32)))

    drawing = draw(run())
    assert clusters(drawing) == {"Sequential": [["Linear", "Tanh"]], "Linear": [[]], "Tanh": [[]]}
    assert {"weight", "bias"} < {*titles(drawing)}


# --- groups ---------------------------------------------------------------------------------------


def boxes_of(drawing, label):
    (group,) = (g for g in drawing.view.scene.groups if g.label == label)
    return [box.operation for box in group.boxes()]


def test_modules_are_clusters_nested_as_they_are_called():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), nn.Linear(3, 1))
    drawing = draw(np.sum(model(np.ones((4, 2), np.float32))), names=locals())
    assert clusters(drawing) == {
        "model: Sequential": [["layers.0: Sequential", "layers.1: Linear"]],
        "layers.0: Sequential": [["layers.0.layers.0: Linear", "layers.0.layers.1: Tanh"]],
        "layers.0.layers.0: Linear": [[]],
        "layers.0.layers.1: Tanh": [[]],
        "layers.1: Linear": [[]],
    }
    assert boxes_of(drawing, "layers.0: Sequential") == ["linear", "tanh"]
    assert boxes_of(drawing, "model: Sequential") == ["linear", "tanh", "linear"]


def test_depth_collapses_modules_and_says_what_they_hold():
    model = nn.Sequential(nn.MLP((3, 4, 2)), nn.Linear(2, 1))
    y = np.sum(model(np.ones((4, 3), np.float32)))
    lines, edges = read(draw(y, depth=0))
    numbers_of_model = 3 * 4 + 4 + 4 * 2 + 2 + 2 + 1
    assert [*lines.values()][0] == ["Sequential", f"4 operations, {numbers_of_model} parameters"]
    assert len(lines) == 2 and len(edges) == 1
    lines, edges = read(draw(y, depth=1))
    wanted = {
        ("layers.0: MLP", f"3 operations, {3 * 4 + 4 + 4 * 2 + 2} parameters"),
        ("layers.1: Linear", "1 operation, 3 parameters"),
    }
    assert wanted < {tuple(text) for text in lines.values()} and len(edges) == 2
    assert "drawn as 3" in draw(y, depth=1).note
    assert all(isinstance(i, Box) for i in draw(y, depth=math.inf).view.shown.values())


def test_inputs_stay_outside_of_collapsed_modules():
    model, x = nn.MLP((3, 4, 1)), Tensor(np.ones((2, 3), np.float32), name="x")
    lines, edges = read(draw(np.sum(model(x)), depth=0))
    assert sorted(text[0] for text in lines.values()) == ["MLP", "sum", "x"]
    assert len(edges) == 2


def test_a_module_called_several_times_has_a_group_for_each_call():
    layer = nn.Linear(2, 2)
    y = layer(np.tanh(layer(np.ones((1, 2), np.float32))))
    drawing = draw(np.sum(y), names=locals())
    assert clusters(drawing) == {"layer: Linear": [[], []]}
    assert titles(drawing).count("layer.weight") == 1  # tied: one box, two arrows
    (weight,) = find(drawing, "layer.weight")
    assert sum(a == weight.id for a, _, _ in drawing.view.arrows) == 2


def homes(view):
    """Name of a leaf -> label of the group that it stands in."""
    return {
        item.name: group.label
        for group, items in view.members.items()
        for item in items
        if isinstance(item, Box) and item.operation is None
    }


def test_parameters_stand_in_the_innermost_group_that_holds_all_their_readers():
    class Model(nn.Module):
        def __init__(self):
            self.a, self.b, self.c, self.d = (nn.Parameter(float(i)) for i in range(1, 5))

        def forward(self, x):
            with scope("outer"):
                with scope("left"):
                    with scope("deep"):
                        y = x * self.a * self.b * self.c
                    y = y * self.a
                with scope("right"):
                    with scope("deeper"):
                        y = y * self.b
            return y * self.c + self.d

    model = Model()
    view = draw(model(Tensor(0.5, name="x"))).view
    wanted = {"x": "", "a": "left", "b": "outer", "c": "Model", "d": "Model"}
    assert homes(view) == wanted


def test_inputs_and_outputs_stand_outside_of_all_groups():
    model, x = nn.MLP((3, 4, 1)), Tensor(np.ones((2, 3), np.float32), name="x")
    view = draw([np.sum(model(x)), x]).view
    assert homes(view)["x"] == "" and homes(view)["layers.0.weight"] == "layers.0: Linear"
    assert homes(draw(np.sum(model(Tensor(x.data, name="z")))).view)["z"] == ""


def test_a_tied_weight_is_one_box_outside_of_the_modules_that_share_it():
    model = Tied()
    drawing = draw(np.sum(model(np.ones((2, 3), np.float32))))
    found = homes(drawing.view)
    assert found["inner.weight"] == found["inner.bias"] == "Tied"
    (weight,) = find(drawing, "inner.weight")
    assert sum(a == weight.id for a, _, _ in drawing.view.arrows) == 3


def test_scopes_are_groups_and_functions_applied_inside_belong_to_them():
    def smooth(x):
        return np.log(1.0 + np.exp(x))

    x = Tensor(0.5, name="x")
    with scope("first"):
        y = smooth(x)
        with scope("inner"):
            y = smooth(y) * y
    y = smooth(y)
    drawing = draw(y)
    assert clusters(drawing) == {"first": [["inner"]], "inner": [[]]}
    assert boxes_of(drawing, "first") == ["exp", "add", "log", "exp", "add", "log", "multiply"]
    assert boxes_of(drawing, "inner") == ["exp", "add", "log", "multiply"]
    assert len(drawing.view.scene.whole.items) == 4


def test_calls_of_another_graph_make_no_groups():
    x = Tensor(0.5)
    with scope("mine"):
        y = np.sin(x)
        with scope("other"):
            np.cos(x)
    assert clusters(draw(y)) == {"mine": [[]]}


# --- folding --------------------------------------------------------------------------------------


def shown_times(drawing):
    return {group.label: times for group, times in drawing.view.times.items()}


def check_view(view):
    """No cycles; every box shown leads to an output; no arrow from or to what is not shown."""
    after = {id: [] for id in view.shown}
    for a, b, _ in view.arrows:
        assert a in view.shown and b in view.shown and a != b
        after[a].append(b)
    state = {}

    def acyclic(start):
        stack = [(start, iter(after[start]))]
        state[start] = "open"
        while stack:
            id, rest = stack[-1]
            for other in rest:
                assert state.get(other) != "open", "a cycle"
                if other not in state:
                    state[other] = "open"
                    stack.append((other, iter(after[other])))
                    break
            else:
                state[id] = "done"
                stack.pop()

    for id in view.shown:
        if id not in state:
            acyclic(id)
    before = {id: [] for id in view.shown}
    for a, b, _ in view.arrows:
        before[b].append(a)
    reached = {view.stands[view.scene.boxes[y.node].id] for y in view.scene.outputs}
    todo = [*reached]
    while todo:
        for other in before[todo.pop()]:
            if other not in reached:
                reached.add(other)
                todo.append(other)
    assert reached == view.shown.keys()
    assert {*view.stands.values()} == view.shown.keys()
    held = [item.id for items in view.members.values() for item in items]
    groups = {g.id for g in view.members if g is not view.scene.whole}
    assert sorted(held) == sorted([*view.shown, *groups])  # each in one place


@pytest.mark.parametrize("fold", [None, True, False])
@pytest.mark.parametrize("depth", [None, 0, 1, 2, math.inf])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_views_have_no_cycles_and_nothing_loose(name, depth, fold):
    check_view(draw(GRAPHS[name](), depth=depth, fold=fold).view)


def random_program(seed):
    """Operations in random loops and scopes, on what was made before."""
    rng = np.random.default_rng(seed)
    known = [Tensor(float(i) / 4, name=f"x{i}") for i in range(1, 4)]

    def block(depth):
        for _ in range(rng.integers(1, 4)):
            kind = rng.integers(5) if depth else 4
            if kind < 2:
                steps, state = rng.integers(3, 7), rng.bit_generator.state
                for _ in range(steps):  # the same steps again, or nearly
                    rng.bit_generator.state = state
                    block(depth - 1)
            elif kind < 4:
                with scope(f"scope {kind}"):
                    block(depth - 1)
            else:
                a, b = (known[-int(i)] for i in rng.integers(1, 4, 2))
                ways = [lambda a, b: a * b, lambda a, b: np.tanh(a) + 0.1, lambda a, b: a - b * 0.5]
                known.append(np.sin(ways[rng.integers(3)](a, b)))

    block(3)
    return [np.sum(np.stack(known[-3:])), known[len(known) // 2]]


@pytest.mark.parametrize("seed", range(25))
def test_views_of_random_programs_have_no_cycles_and_nothing_loose(seed):
    scene = Scene(random_program(seed), gradients=False)
    for depth in (None, 0, 1, 2, math.inf):
        for fold in (None, True, False):
            check_view(View(scene, depth, fold))


def test_twelve_blocks_fold_into_one_with_the_right_arrows():
    drawing = draw(GRAPHS["residual_blocks"]())
    assert shown_times(drawing) == {"Residual": 12}
    assert "Residual ×12" in texts(drawing) and "Residual ×12" in drawing.text
    view = drawing.view
    operations = [i.title for i in view.shown.values() if isinstance(i, Box) and i.operation]
    assert operations == ["linear", "tanh", "linear", "add", "sum"]
    names = {id: item.title for id, item in view.shown.items()}
    between = [(names[a], names[b]) for a, b, _ in view.arrows if view.shown[a].operation]
    assert between == [("linear", "tanh"), ("tanh", "linear"), ("linear", "add"), ("add", "sum")]


def test_a_cell_called_twenty_times_folds():
    drawing = draw(GRAPHS["recurrent"]())
    assert shown_times(drawing) == {"RNNCell": 20}
    assert len(drawing.view.shown) < 15 and "106 boxes, drawn as" in drawing.note


def test_steps_that_read_one_sequence_fold():
    x = Tensor(numbers(30, 2), name="x")
    rows, h = np.tanh(x), np.zeros(2)
    for t in range(30):
        h = np.tanh(h * 0.5 + rows[t])
    drawing = draw(np.sum(h))
    assert [*shown_times(drawing).values()] in ([30], [29])
    check_view(drawing.view)


def test_results_of_all_steps_are_read_by_one_arrow_from_the_fold():
    h, found = Tensor(0.1, name="h"), []
    for _ in range(40):
        h = np.tanh(h * 0.5)
        found.append(h)
    drawing = draw(np.sum(np.stack(found)))
    view = drawing.view
    (stack,) = (id for id, item in view.shown.items() if getattr(item, "operation", 0) == "stack")
    assert sum(b == stack for _, b, _ in view.arrows) <= 2
    assert re.search(r"stack\(v\d+ ×40, axis=0\)", drawing.text)
    check_view(view)


def test_what_looks_alike_but_has_other_options_is_not_folded():
    y = Tensor(np.ones((3, 3)), name="x")
    for i in range(40):
        y = np.cumsum(y * 0.1, axis=i % 2)
    drawing = draw(np.sum(y), fold=True)
    kept = {item.title for item in drawing.view.shown.values()}
    assert {"cumsum axis=0", "cumsum axis=1"} < kept
    assert [*shown_times(drawing).values()] == [20]


def test_a_fold_shows_the_arrows_of_its_first_repeat_alone():
    u, v = Tensor(0.5, name="u"), Tensor(0.6, name="v")
    for _ in range(30):
        u, v = np.sin(v), np.cos(v) * u  # the product reads what the step before made
    drawing = draw(u + v)
    assert [*drawing.view.times.values()] == [30] and check_view(drawing.view) is None
    names = {id: item.title for id, item in drawing.view.shown.items()}
    assert sorted((names[a], names[b]) for a, b, _ in drawing.view.arrows) == [
        ("cos", "multiply"), ("multiply", "add"), ("sin", "add"), ("u", "multiply"), ("v", "cos"),
        ("v", "sin"),
    ]  # fmt: skip


def test_an_input_that_is_an_output_is_shown_even_where_its_readers_are_folded():
    h, xs = Tensor(0.0, name="h"), [Tensor(float(i), name=f"x{i}") for i in range(40)]
    for x in xs:
        h = np.tanh(h + x)
    assert "x20" not in titles(draw(h)) and "x20" in titles(draw([h, xs[20]]))


def test_what_only_later_repeats_read_keeps_its_arrow():
    early, h = np.exp(Tensor(0.1, name="e")), Tensor(0.1, name="h")
    for _ in range(300):
        h = np.sin(h)
    for t in range(30):
        h = np.tanh(h) * (early if t else 2.0)
    check_view(draw(np.cos(h)).view)


def test_blocks_of_other_shapes_are_not_folded():
    g = np.random.default_rng(0)
    layers = [nn.Linear(2 + i % 2, 3 - i % 2, generator=g) for i in range(6)]
    y = np.sum(nn.Sequential(*layers)(np.ones((1, 2), np.float32)))
    drawing = draw(y, fold=True)
    assert shown_times(drawing) == {"×3": 3} or [*shown_times(drawing).values()] == [3]
    assert sum(getattr(i, "operation", None) == "linear" for i in drawing.view.shown.values()) == 2


def test_an_output_is_not_folded_away():
    y = Tensor(0.5, name="x")
    for _ in range(100):
        y = np.sin(y)
    y.name = "last"
    drawing = draw(y)
    assert "last = sin" in titles(drawing) and "99 times" in drawing.text


def test_repeats_inside_repeats_fold():
    x = Tensor(numbers(4), name="x")
    for _ in range(10):
        for _ in range(5):
            x = np.sin(x) * 0.9
        x = np.cumsum(x)
    drawing = draw(np.sum(x))
    assert sorted(drawing.view.times.values()) == [5, 10] and len(drawing.view.shown) < 10
    check_view(drawing.view)


def test_folding_can_be_asked_for_and_refused():
    y = Tensor(0.5, name="x")
    for _ in range(10):
        y = np.sin(y)
    y = y + 1.0
    assert len(draw(y).view.shown) == 13 and draw(y).note == ""
    assert len(draw(y, fold=True).view.shown) == 4
    for _ in range(100):
        y = np.sin(y)
    assert not draw(y, fold=False).view.times and draw(y).view.times


# --- large graphs ---------------------------------------------------------------------------------


def inputs_in_a_row(count):
    y = 0.0
    for i in range(count):
        y = y + Tensor(float(i), name=f"x{i}")
    return y


def inputs_at_random(count):
    rng = np.random.default_rng(0)
    xs = [Tensor(float(i), name=f"x{i}") for i in range(count)]
    y = Tensor(0.0, name="start")
    for i in rng.integers(0, count, count):
        y = np.sin(y * xs[i]) if i % 2 else y + xs[i] * xs[(7 * i) % count]
    return y


def nest(depth, times=1):
    def inside(k, y):
        with scope(f"level {k}"):
            for _ in range(times):
                y = inside(k - 1, np.exp(-y)) if k else np.sin(y)
            return y * 1.5

    return inside(depth, Tensor(0.5, name="x"))


LARGE = {
    "scalars without structure": lambda: random_graph(10_000, seed=3),
    "inputs in a row": lambda: inputs_in_a_row(3000),
    "inputs at random": lambda: inputs_at_random(3000),
    "500 operands": lambda: np.sum(np.stack([Tensor(float(i)) for i in range(500)])),
    "500 operands of two kinds": lambda: np.sum(
        np.stack([Tensor(float(i)) if i % 2 else float(i) for i in range(500)])
    ),
    "constants": lambda: sum((Tensor(1.0, name="x") * float(i) ** i for i in range(50)), 0.0),
    "many outputs": lambda: [np.sin(x) for x in [Tensor(0.1)] for _ in range(1)] * 100,
    "deep": lambda: nest(150),
    "a tree of scopes": lambda: nest(7, 2),
    "outputs of one input": lambda: np.sum(
        np.stack([np.sin(x * 1.0 * k) for x in [Tensor(0.3)] for k in range(200)])
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_unasked_no_more_than_sixty_boxes_are_shown(name):
    drawing = draw(LARGE[name]())
    view = drawing.view
    assert len(view.shown) <= LIMIT + 4 and len(view.members) <= LIMIT
    check_view(view)
    total = len(view.scene.box)
    if total > len(view.shown):
        note = f"{total:,} boxes, drawn as {len(view.shown):,}"
        note += "; of repeats the first is shown, with its numbers" * bool(view.times)
        assert drawing.note == note and f"({note})" in drawing.text and note in texts(drawing)


def test_the_rest_is_collapsed_and_counted():
    drawing = draw(random_graph(1000, seed=4))
    groups = [g for g in drawing.view.shown.values() if isinstance(g, Group)]
    assert all(g.kind == "stretch" for g in groups) and len(groups) > 20
    held = sum(len(g.items) for g in groups)
    operations = sum(box.operation is not None for box in drawing.view.scene.boxes.values())
    assert held == operations
    found = re.findall(r"operations ([\d,]+)–([\d,]+)", drawing.text)
    spans = sorted((int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in {*found})
    assert spans[0][0] == 1 and spans[-1][1] == operations
    assert all(b + 1 == c for (_, b), (c, _) in zip(spans, spans[1:], strict=False))


def test_many_operands_are_one_box_of_their_kind():
    drawing = draw(LARGE["500 operands of two kinds"]())
    assert {"250 inputs", "250 constants"} < {*titles(drawing)}
    assert "stack(250 constants, 250 inputs, axis=0)" in drawing.text


def test_depth_inf_shows_all():
    y = random_graph(200, seed=5)
    view = draw(y, depth=math.inf).view
    assert view.shown.keys() == view.scene.box.keys() and view.note == ""
    count = sum(len(node.inputs) for node in history(y.node))
    assert len(view.arrows) == count


def test_deep_graphs_are_written_without_recursion():
    y = Tensor(1.0)
    for _ in range(3000):
        y = y + 0.5
    assert draw(y, depth=math.inf).source.count("<b>add</b>") == 3000
    assert draw(y, depth=math.inf).text.count("\n") == 3000
    assert "2,999 times" in draw(y).text


def test_very_deep_nests_are_opened_as_far_as_graphviz_can():
    drawing = draw(nest(150), depth=math.inf, gradients=False)
    assert drawing.source.count("subgraph") == 100 and "drawn as" in drawing.note
    check_view(drawing.view)


# --- the backward graph ---------------------------------------------------------------------------


def test_forward_and_backward_stand_beside_each_other():
    drawing = draw(neuron(), backward=True)
    assert clusters(drawing) == {"forward": [[]], "backward": [[]]}
    assert boxes_of(drawing, "forward") == ["multiply", "add", "tanh"]
    slope = 1 - np.tanh(0.8) ** 2
    for name, wanted in (("w", 1.5 * slope), ("x", 0.8 * slope), ("b", slope)):
        (box,) = find(drawing, f"∂y/∂{name}")
        assert box.value == pytest.approx(wanted) and box.kind == "output"
    assert {find(drawing, name)[0].kind for name in "wxb"} == {"input"}
    check_view(drawing.view)


def test_the_backward_graph_of_a_network_names_parameters_and_keeps_the_modules():
    model = nn.MLP((3, 4, 2))
    y = model(np.ones((2, 3), np.float32))
    drawing = draw(y, backward=True, names=locals())
    assert clusters(drawing)["forward"] == [["model: MLP"]]
    constant = "layers.2.bias"  # its gradient is the number of examples, whatever they are
    assert not find(drawing, f"∂y/∂model.{constant}")
    for name, p in model.named_parameters():
        if name == constant:
            continue
        wanted = gradients(y, p, seed=np.ones((2, 2), np.float32))
        (box,) = find(drawing, f"∂y/∂model.{name}")
        np.testing.assert_allclose(box.value, wanted, rtol=1e-5, atol=1e-7)


def test_backward_of_what_has_no_slope_draws_the_graph_alone():
    assert len(draw(Tensor(2.0).detach(), backward=True).view.shown) == 1
    assert titles(draw(Tensor(2.0, name="x") + 1.0, backward=True)).count("add") == 1


def test_backward_inside_no_grad_says_why_not():
    y = neuron()
    with no_grad(), pytest.raises(ValueError, match="backward=True has to record.*no_grad"):
        draw(y, backward=True)


def test_a_recorded_gradient_is_a_graph_like_any_other():
    x = Tensor(0.6, name="x")
    (slope,) = gradients(np.sin(x) * x, [x], record=True)
    (box,) = find(draw(slope), "x")
    assert box.gradient == pytest.approx(2 * np.cos(0.6) - 0.6 * np.sin(0.6))


# --- inside transformations -----------------------------------------------------------------------


def drawn_inside(transformed):
    """What `draw` gives inside the function that is transformed, or the error's message."""
    found = []

    def f(x):
        y = np.sum(np.sin(x) * x)
        try:
            found.append(draw(y, partials=True))
        except TypeError as error:
            found.append(str(error))
        return y

    transformed(f)
    return found[0]


def test_a_tensor_of_grad_is_drawn():
    at = np.array([0.3, 0.4])
    for transformed in (
        lambda f: grad(f)(at),
        lambda f: grad(lambda x: np.sum(grad(f)(x)))(at),
        lambda f: jvp(grad(f), (at,), (np.ones(2),)),
    ):
        (leaf,) = (
            b for b in drawn_inside(transformed).view.scene.boxes.values() if not b.operation
        )
        slope = leaf.gradient.plain() if hasattr(leaf.gradient, "plain") else leaf.gradient
        np.testing.assert_allclose(slope, np.cos(at) * at + np.sin(at))


def test_duals_and_batches_have_no_graph_and_the_message_says_so():
    message = drawn_inside(lambda f: jvp(f, (np.ones(2),), (np.ones(2),)))
    assert re.match(
        r"draw: y is a Tensor.*not a Dual: jvp, vmap.*no graph; apply.*to Tensors", message
    )
    message = drawn_inside(lambda f: vmap(f)(np.ones((3, 2))))
    assert re.match(r"draw: y is a Tensor.*not a Batch: jvp, vmap.*no graph", message)
    message = drawn_inside(lambda f: vmap(grad(f))(np.ones((3, 2))))
    assert re.match(
        r"draw: inside vmap a value is one for each example; .*outside of vmap", message
    )


def test_duck_arrays_are_drawn_without_being_converted():
    x = Tensor(Strict(np.ones(3)), name="x")
    y = np.sum(np.tanh(x * 2.0))
    drawing = draw(y, tangents=x, partials=True, shapes=True, dtypes=True)
    lines, _ = read(drawing)
    assert lines["n0"][:3] == ["x", "3 numbers (Strict)", "(3,) float64"]
    assert "∂ 3 numbers (Strict)" in lines["n0"] and drawing.text and drawing.mermaid
    assert "backward" in draw(y, backward=True).source


def test_drawing_beside_other_threads_that_record():
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            with scope("busy"):
                np.sin(Tensor(1.0))

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(30):
            check_view(draw(neuron()).view)
    finally:
        stop.set()
        thread.join()


# --- same graph, same bytes -----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - {"random_500"}))
def test_drawing_the_same_graph_gives_the_same_bytes(name):
    one, two = (draw(GRAPHS[name](), partials=True) for _ in range(2))
    assert one.source == two.source and one.mermaid == two.mermaid and one.text == two.text
    assert one.render("svg") == two.render("svg")


PROCESS = """
import hashlib
from autograd.show import draw
from tests.graphs import GRAPHS
found = hashlib.sha256()
for name in sorted(GRAPHS):
    drawing = draw(GRAPHS[name](), partials=True)
    for text in (drawing.source, drawing.mermaid, drawing.text):
        found.update(text.encode())
    if name in ("neuron", "mlp", "nested_scopes"):
        found.update(draw(GRAPHS[name](), backward=True).source.encode())
        found.update(drawing.render("svg"))
print(found.hexdigest())
"""


def test_two_processes_give_the_same_bytes(pytestconfig):
    def run(seed):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS],
            env={"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": "1", "PATH": ""},
            cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    first, second = run("1"), run("2")
    assert len(first) == len(hashlib.sha256().hexdigest()) and first == second


# --- DOT, Mermaid and text ------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_dot_reads_back_as_the_view(name):
    drawing = draw(GRAPHS[name]())
    lines, edges = read(drawing)
    assert lines.keys() == drawing.view.shown.keys()
    assert edges == sorted((a, b) for a, b, _ in drawing.view.arrows)


def read_mermaid(text):
    """``(labels, arrows, parents)`` of Mermaid text, checked line by line."""
    head, *rest = text.split("\n")
    assert re.fullmatch("flowchart (LR|TB)", head)
    labels, parents, arrows, classes, used, stack = {}, {}, [], set(), set(), []
    quoted = r'"((?:[^"#<>;`]|#\d+;|<br/>)*)"'
    for line in rest:
        line = line.strip()
        if m := re.fullmatch(rf"subgraph (\w+)\[{quoted}\]", line):
            assert m[1] not in labels
            labels[m[1]], parents[m[1]] = m[2], stack[-1] if stack else None
            stack.append(m[1])
        elif line == "end":
            stack.pop()
        elif m := re.fullmatch(rf"(\w+)\[{quoted}\]:::(\w+)", line):
            assert m[1] not in labels
            labels[m[1]], parents[m[1]] = m[2], stack[-1] if stack else None
            used.add(m[3])
        elif m := re.fullmatch(rf"(\w+) -->(?:\|{quoted}\|)? (\w+)", line):
            arrows.append((m[1], m[3]))
        else:
            m = re.fullmatch(r"classDef (\w+) fill:#\w{6},stroke:#\w{6},color:#\w{6}", line)
            assert m, line
            classes.add(m[1])
    assert not stack and used <= classes
    decoded = {
        id: re.sub(r"#(\d+);", lambda m: chr(int(m[1])), label).split("<br/>")
        for id, label in labels.items()
    }
    return decoded, arrows, parents


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_mermaid_is_well_formed_and_says_the_same_as_dot(name, direction):
    drawing = draw(GRAPHS[name](), partials=True, direction=direction)
    labels, arrows, parents = read_mermaid(drawing.mermaid)
    lines, edges = read(drawing)
    assert sorted(arrows) == edges
    view = drawing.view
    groups = {group.id for group in view.members if group is not view.scene.whole}
    assert labels.keys() == lines.keys() | groups
    for id, text in lines.items():
        if all(len(line) < 60 for line in text):
            assert labels[id] == text
    for group, items in view.members.items():
        parent = None if group is view.scene.whole else group.id
        assert all(parents[item.id] == parent for item in items)


@pytest.mark.parametrize("name", SCALAR)
def test_text_is_a_program_that_computes_the_values(name):
    drawing = draw(GRAPHS[name](), depth=math.inf)
    boxes = drawing.view.scene.boxes.values()
    known = {box.name: box.value for box in boxes if box.operation is None}
    scopes = {"np": np} | {f: getattr(np, f) for f in ("sin", "cos", "exp", "tanh", "log", "sqrt")}
    operations = [box for box in boxes if box.operation is not None]
    rows = [re.fullmatch(r" *(\w+) = (.*?) +=.*", line) for line in drawing.text.split("\n")]
    rows = [row for row in rows if row and not re.fullmatch(r"[-\d.e+]+.*∂.*|[-\d.e+]+", row[2])]
    assert len(rows) == len(operations)
    scopes |= {"square": np.square}
    for row, box in zip(rows, operations, strict=True):
        known[row[1]] = eval(row[2], scopes, known)  # a formula of our own, written by `draw`
        assert known[row[1]] == pytest.approx(box.value, rel=1e-3)


def test_text_has_every_operation_with_its_operands_in_order():
    a, b = Tensor(np.array([[1.0, 2.0]]), name="a"), Tensor(np.array([[3.0], [4.0]]), name="b")
    y = np.stack([b[0, 0], (a @ b)[0, 0], np.sum(a - b, axis=(0, 1)), np.max(b / a)])
    rows = [re.sub(" +", " ", line) for line in draw(y, gradients=False).text.split("\n")]
    for wanted in (
        "v1 = b[0, 0] = 3", "v2 = a @ b = [[11]]", "v3 = v2[0, 0] = 11",
        "v5 = sum(v4, axis=(0, 1)) = -8", "v4 = a - b = [[-2, -1], [-3, -2]]",
        "v6 = b / a = [[3, 1.5], [4, 2]]", "v8 = stack(v1, v3, v5, v7, axis=0) = [3, 11, -8, 4]",
    ):  # fmt: skip
        assert wanted in rows, rows


def test_text_calls_no_two_things_the_same():
    a, b, c = Tensor(1.0, name="x"), Tensor(2.0, name="x"), Tensor(3.0, name="v1")
    d = Tensor(4.0, name="x_2")
    text = draw(np.sin(a * b) - c * d).text
    names = [line.split(" = ")[0].strip() for line in text.split("\n")]
    assert len({*names}) == len(names) == 8 and {"x", "v1", "x_2"} < {*names}


def test_long_names_that_begin_alike_stay_apart_in_text():
    a, b = Tensor(1.0, name="x" * 100 + "a"), Tensor(2.0, name="x" * 100 + "b")
    first, second, product = draw(a - b).text.split("\n")
    assert first.split()[0] != second.split()[0]
    assert f"{first.split()[0]} - {second.split()[0]}" in product


def test_large_constants_have_a_line_of_their_own():
    x = Tensor(numbers(20), name="x")
    drawing = draw(x * np.arange(20.0) + 2.0, gradients=False)
    assert re.search(r"^c1 += 20 numbers", drawing.text, re.M)
    assert "x * c1" in drawing.text and "v1 + 2" in drawing.text


# --- hostile names --------------------------------------------------------------------------------

NAMES = [
    "<b>bold</b>", "a & b &amp; c", '"quoted"', "'single'", "]]>", "<!-- -->",
    "<script>alert(1)</script>", "{|}", "%s", "\\n", "é∂𝒙", "->", "n0", "a\\N b", "\\G", "\\\\",
    "\\L \\E \\T \\H", "</svg>", "&#60;", "end", "subgraph", "`tick`", "%%{init: {}}%%", "#35;",
    "日本語", "🙂", "עברית", "1. one", "- one", "v1",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name):
    x = Tensor(2.0, name=name)
    with scope(name):
        y = x * 3.0
    y.name = name
    drawing = draw(np.sin(y))
    shown = texts(drawing)
    assert shown.count(name) == 2 and f"{name} = multiply" in shown  # the input, and the scope
    assert f"{name} " in drawing.text
    labels, _, _ = read_mermaid(drawing.mermaid)
    assert [name] in labels.values() and labels["n0"][0] == name
    collapsed = draw(np.sin(y), depth=0)
    assert name in texts(collapsed) and name in [text[0] for text in read(collapsed)[0].values()]


@pytest.mark.parametrize("name", NAMES)
def test_a_variables_name_is_shown_as_it_is(name):
    x = Tensor(2.0)
    assert (name in texts(draw(np.sin(x), names={name: x}))) == (not name.startswith("_"))


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x01", "\x1b", "\t", "\r", "\n", "\ud800", "\ufffe", "\u202e", "\u2028", "\x85"],
)
def test_characters_that_cannot_be_drawn_do_not_spoil_the_picture(character):
    y = Tensor(2.0, name=f"a{character}b") * 3.0
    drawing = draw(y)
    shown = texts(drawing)
    assert re.fullmatch("a.b", shown[0]) and "multiply" in shown
    for text in (drawing.source, drawing.mermaid, drawing.text):
        text.encode()
        assert character in "\n\t" or character not in text
    assert re.search("^a b ", drawing.text, re.M)
    labels, _, _ = read_mermaid(drawing.mermaid)
    assert re.fullmatch("a.b", labels["n0"][0])


@pytest.mark.parametrize("name", ["", " ", "\t", "\n", "\x01"])
def test_a_blank_name_still_gives_a_picture(name):
    y = Tensor(2.0, name=name) * 3.0
    with scope(name):
        y = np.sin(y)
    shown = texts(draw(y))
    assert "multiply" in shown and "2" in shown
    assert "v1" in draw(y).text and read_mermaid(draw(y).mermaid)


def test_a_very_long_name_is_cut():
    y = Tensor(2.0, name="x" * 10_000) * 3.0
    with scope("y" * 10_000):
        y = np.sin(y)
    drawing = draw(y, names={"z" * 10_000: y})
    assert "x" * 59 + "…" in texts(drawing) and "y" * 59 + "…" in texts(drawing)
    assert all(len(t) < 2000 for t in (drawing.text, drawing.mermaid))
    assert len(drawing.source) < 4000


def test_a_name_that_is_no_string_is_shown_as_one():
    assert "7" in texts(draw(Tensor(2.0, name=7) * 3.0))


# --- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def without_dot(monkeypatch):
    """As on a machine where no program `dot` is installed."""
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)


@pytest.mark.parametrize("format", SIGNATURES)
def test_pictures_are_made_without_the_program_dot(without_dot, format):
    assert draw(neuron()).render(format).startswith(SIGNATURES[format])


@pytest.mark.parametrize("format", SIGNATURES)
def test_the_format_is_the_paths_ending(tmp_path, format):
    path = draw(neuron()).save(tmp_path / f"neuron.{format.upper()}")
    assert path.read_bytes().startswith(SIGNATURES[format])


def test_save_takes_a_string_and_returns_the_path(tmp_path):
    path = draw(neuron()).save(str(tmp_path / "neuron.svg"))
    assert path == tmp_path / "neuron.svg" and path.stat().st_size > 1000


@pytest.mark.parametrize(
    "ending, kind", [("dot", "source"), ("gv", "source"), ("mmd", "mermaid"), ("txt", "text")]
)
def test_texts_are_saved_as_they_are(tmp_path, ending, kind):
    drawing = draw(neuron(), save=tmp_path / f"neuron.{ending}")
    saved = (tmp_path / f"neuron.{ending}").read_text(encoding="utf-8")
    assert saved == getattr(drawing, kind)


def test_draw_saves_where_it_is_asked_to(tmp_path):
    draw(neuron(), save=tmp_path / "neuron.svg")
    assert (tmp_path / "neuron.svg").read_bytes().startswith(SIGNATURES["svg"])


@pytest.mark.parametrize(
    "format, kind", [("svg", "image/svg+xml"), ("png", "image/png"), ("pdf", "application/pdf")]
)
def test_a_notebook_shows_the_picture_and_the_text(format, kind):
    drawing = draw(neuron(), format=format)
    bundle = drawing._repr_mimebundle_()
    assert bundle.keys() == {kind, "text/plain"} and bundle["text/plain"] == str(drawing)
    start = bundle[kind].encode() if format == "svg" else bundle[kind]
    assert start.startswith(SIGNATURES[format])


def test_an_installed_dot_is_used_first(monkeypatch):
    import graphviz

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        graphviz.Source, "pipe", lambda self, format, quiet: f"{format} by dot".encode()
    )
    assert draw(neuron()).render("png") == b"png by dot"


@pytest.fixture
def without_graphviz(without_dot, monkeypatch):
    """As on a machine with neither `dot` nor pygraphviz."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


def test_without_graphviz_the_error_says_what_to_install(without_graphviz, tmp_path):
    drawing = draw(neuron())
    with pytest.raises(RuntimeError, match=r"pip install 'speelpenning\[show\]'.*dot.*\.source"):
        drawing.save(tmp_path / "neuron.svg")
    assert not (tmp_path / "neuron.svg").exists()


def test_without_graphviz_the_texts_are_still_there(without_graphviz, tmp_path):
    drawing = draw(neuron(), save=tmp_path / "neuron.dot")
    assert drawing.source.startswith("digraph") and drawing.mermaid.startswith("flowchart")
    bundle = drawing._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "pip install" in bundle["text/plain"] and drawing.text in bundle["text/plain"]


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [1.0, np.ones(2), None, "x", {}])
def test_only_tensors_are_drawn(y):
    for given in (y, [y], [Tensor(1.0), y]):
        with pytest.raises(TypeError, match=f"draw: y is a Tensor.*not a {type(y).__name__}"):
            draw(given)


def test_an_empty_list_is_refused():
    with pytest.raises(TypeError, match="draw: y is an empty list"):
        draw([])


@pytest.mark.parametrize("direction", ["lr", "RL", "", None])
def test_an_unknown_direction_is_refused(direction):
    with pytest.raises(ValueError, match=f'"LR" or "TB", not {direction!r}'):
        draw(neuron(), direction=direction)


@pytest.mark.parametrize("depth", [-1, "all", math.nan, [1]])
def test_an_unknown_depth_is_refused(depth):
    with pytest.raises(ValueError, match="depth is a number of levels to open, or math.inf"):
        draw(neuron(), depth=depth)


def test_depth_may_be_any_number():
    assert len(draw(neuron(), depth=np.int64(1)).view.shown) == 6


@pytest.mark.parametrize("format", ["gif", "SVG", "", 3])
def test_an_unknown_format_is_refused(format):
    with pytest.raises(ValueError, match=f"format is one of svg, png, pdf, not {format!r}"):
        draw(neuron(), format=format)
    with pytest.raises(ValueError, match=f"format is one of svg, png, pdf, not {format!r}"):
        draw(neuron()).render(format)


@pytest.mark.parametrize("name", ["neuron.gif", "neuron", "neuron.svg.html", ".svg"])
def test_a_path_of_an_unknown_format_is_refused_and_nothing_written(tmp_path, name):
    for save in (draw(neuron()).save, lambda path: draw(neuron(), save=path)):
        with pytest.raises(ValueError, match=rf"saved as one of \.svg, .*\.txt, not '{name}'"):
            save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [["x"], "x", 3])
def test_names_that_are_no_dict_are_refused(names):
    with pytest.raises(TypeError, match=r"names: pass a dict .* not a (list|str|int)"):
        draw(neuron(), names=names)


def test_tangents_that_do_not_fit_are_refused():
    x, other = Tensor([1.0, 2.0], name="x"), Tensor(1.0, name="other")
    y = np.sum(x)
    with pytest.raises(TypeError, match=r"tangents: pass an input, or pairs.*not a float"):
        draw(y, tangents=1.0)
    with pytest.raises(TypeError, match=r"tangents: pairs of an input.*not Tensor"):
        draw(y, tangents=[x])
    with pytest.raises(TypeError, match=r"tangents: pairs of an input.*'x'"):
        draw(y, tangents={"x": 1.0})
    with pytest.raises(ValueError, match="does not depend on the input 'other'"):
        draw(y, tangents=other)
    with pytest.raises(ValueError, match=r"direction has shape \(3,\), its input \(2,\)"):
        draw(y, tangents={x: [1.0, 2.0, 3.0]})
