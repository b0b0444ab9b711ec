"""Pictures of graphs: the DOT text, read back by Graphviz, and the files made of it."""

import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pygraphviz
import pytest

import nn
from autograd import Tensor, no_grad
from autograd.show import Drawing, draw

SIGNATURES = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}


def read(drawing):
    """``(labels, edges)`` as Graphviz understands the DOT text; edges by the nodes' numbers."""
    graph = pygraphviz.AGraph(string=drawing.source)
    try:
        labels = {str(n): n.attr["label"] for n in graph.nodes()}
        return labels, sorted((str(a), str(b)) for a, b in graph.edges())
    finally:
        graph.close()


def texts(drawing):
    """All lines of text in the rendered picture."""
    svg = ElementTree.fromstring(drawing.render("svg"))
    return ["".join(t.itertext()) for t in svg.iter("{http://www.w3.org/2000/svg}text")]


def neuron():
    w, x, b = Tensor(0.8, name="w"), Tensor(1.5, name="x"), Tensor(-0.4, name="b")
    y = np.tanh(w * x + b)
    y.name = "y"
    return y


# --- what is drawn -------------------------------------------------------------------------------


def test_a_graph_has_its_nodes_names_values_and_gradients():
    labels, edges = read(draw(neuron()))
    slope = 1 - np.tanh(0.8) ** 2
    wanted = {
        "n0": ["<b>w</b>", "0.8", f"∂ {1.5 * slope:.4g}"],
        "n1": ["<b>x</b>", "1.5", f"∂ {0.8 * slope:.4g}"],
        "n2": ["<b>b</b>", "-0.4", f"∂ {slope:.4g}"],
        "n3": ["<b>multiply</b>", "1.2", f"∂ {slope:.4g}"],
        "n4": ["<b>add</b>", "0.8", f"∂ {slope:.4g}"],
        "n5": ["<b>y</b> = tanh", f"{np.tanh(0.8):.4g}", "∂ 1"],
    }
    assert list(labels) == list(wanted)
    for node, lines in wanted.items():
        found = re.sub("</?font[^>]*>", "", labels[node]).split("<br/>")
        assert found == lines
    assert edges == [("n0", "n3"), ("n1", "n3"), ("n2", "n4"), ("n3", "n4"), ("n4", "n5")]


def test_the_picture_shows_the_text():
    shown = [text.strip() for text in texts(draw(neuron(), gradients=False))]
    assert sorted(shown) == sorted(
        [
            "w",
            "0.8",
            "x",
            "1.5",
            "b",
            "-0.4",
            "multiply",
            "1.2",
            "add",
            "0.8",
            "y",
            "= tanh",
            "0.664",
        ]
    )


def test_a_repeated_operand_is_two_edges():
    x = Tensor(3.0)
    labels, edges = read(draw(x * x))
    assert edges == [("n0", "n1"), ("n0", "n1")]
    assert "∂ 6" in labels["n0"]


def test_a_shared_value_is_one_node():
    x = Tensor(3.0)
    y = np.exp(x)
    labels, edges = read(draw(y * np.sin(y)))
    assert len(labels) == 4
    assert edges == [("n0", "n1"), ("n1", "n2"), ("n1", "n3"), ("n2", "n3")]


def test_constants_are_nodes_of_their_own():
    labels, edges = read(draw(2.0 * Tensor(3.0) * np.array([5.0, 6.0])))
    assert {"2", "[5., 6.]"} < set(labels.values()) and len(labels) == 5
    assert len(edges) == 4
    assert sum(target == "n1" for _, target in edges) == 2
    assert sum(target == "n2" for _, target in edges) == 2


def test_a_tensor_that_is_no_variable_is_a_constant():
    labels, edges = read(draw(Tensor(2.0) * Tensor(7.0).detach()))
    assert "7" in labels.values()
    assert len(labels) == 3 and len(edges) == 2


def test_what_the_value_does_not_depend_on_is_not_drawn():
    x, other = Tensor(2.0), Tensor(3.0)
    np.sin(x * other)
    labels, _ = read(draw(x + 1))
    assert len(labels) == 3


def test_an_input_alone_is_a_graph_of_one():
    labels, edges = read(draw(Tensor(2.0, name="alone")))
    assert len(labels) == 1 and "<b>alone</b>" in labels["n0"] and not edges


def test_a_constant_alone_is_drawn_without_gradients():
    labels, edges = read(draw(Tensor(2.0).detach()))
    assert len(labels) == 1 and not edges and "∂" not in labels["n0"]


def test_values_and_gradients_can_be_left_out():
    y = neuron()
    labels, _ = read(draw(y, values=False, gradients=False))
    assert list(labels.values()) == [
        "<b>w</b>", "<b>x</b>", "<b>b</b>", "<b>multiply</b>", "<b>add</b>", "<b>y</b> = tanh",
    ]  # fmt: skip
    assert "∂" in draw(y, values=False).source and "1.2" not in draw(y, values=False).source
    assert "∂" not in draw(y, gradients=False).source and "1.2" in draw(y).source


def test_small_arrays_are_shown_as_numbers_and_large_ones_by_their_shape():
    x = Tensor(np.arange(1.0, 7.0))
    labels, _ = read(draw(np.sum(x**2)))
    assert "[1., 2., 3., 4., 5., 6.]" in labels["n0"]
    assert "∂ [ 2.,  4.,  6.,  8., 10., 12.]" in labels["n0"]
    labels, _ = read(draw(np.sum(Tensor(np.ones((3, 4))) ** 2)))
    assert "3×4" in labels["n0"] and "1." not in labels["n0"]


def test_a_matrix_stands_on_one_line():
    labels, _ = read(draw(Tensor(np.arange(4.0).reshape(2, 2)) + 1))
    assert "[[0., 1.],  [2., 3.]]" in labels["n0"]


def test_gradients_of_an_array_are_of_its_sum():
    x = Tensor(np.array([1.0, 2.0]))
    labels, _ = read(draw(x * x))
    assert "∂ [2., 4.]" in labels["n0"] and "∂ [1., 1.]" in labels["n1"]


@pytest.mark.parametrize(
    "value, text",
    [
        (np.array(2.5), "2.5"), (np.array(np.nan), "nan"), (np.float32(0.1), "0.1"),
        (1e-20, "1e-20"), (np.array([1e10, -0.0]), "[ 1.e+10, -0.e+00]"), (np.inf, "inf"),
        (np.zeros((0, 3)), "[]"), (123456.789, "1.235e+05"),
    ],
)  # fmt: skip
def test_numbers_of_every_kind_are_shown_shortly(value, text):
    labels, _ = read(draw(Tensor(value) * 2, gradients=False))
    assert labels["n0"] == f"<b>input</b><br/>{text}"


@pytest.mark.parametrize("value", [np.array(2.5), np.float32(0.5), np.float64(0.5), np.zeros((0,))])
def test_gradients_of_every_kind_of_number_are_drawn(value):
    labels, _ = read(draw(Tensor(value) * 2.0))
    assert all("∂" in label for node, label in labels.items() if "c" not in node)


@pytest.mark.parametrize("pick", [0, 1])
def test_a_tuple_of_results_is_one_node_with_a_node_for_each_part(pick):
    m = Tensor(np.array([[2.0, 0.0], [0.0, 3.0]]), name="M")
    labels, edges = read(draw(np.linalg.slogdet(m)[pick]))
    assert len(labels) == 3 and edges == [("n0", "n1"), ("n1", "n2")]
    assert "<b>slogdet</b>" in labels["n1"]
    assert "1 1.792" in labels["n1"]
    assert ["1", "1.792"][pick] in labels["n2"].split("<br/>")
    assert "∂ " in labels["n0"] and "∂ 1" in labels["n2"]


def test_both_parts_of_a_tuple_are_drawn_from_one_node():
    sign, log = np.linalg.slogdet(Tensor(np.eye(2) * 2))
    labels, edges = read(draw(sign * log))
    assert sum("<b>slogdet</b>" in label for label in labels.values()) == 1
    assert len(labels) == 5 and len(edges) == 5


def test_a_networks_graph_names_its_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    loss = nn.cross_entropy(model(np.eye(3, dtype=np.float32)), [0, 1, 1])
    labels, _ = read(draw(loss))
    assert sum("<b>weight</b>" in label for label in labels.values()) == 3
    assert sum("<b>bias</b>" in label for label in labels.values()) == 3
    assert any("<b>batch_norm</b>" in label for label in labels.values())


# --- what drawing does not do --------------------------------------------------------------------


def test_drawing_touches_no_gradient():
    x = Tensor([1.0, 2.0])
    y = np.sum(x * x)
    draw(y)
    assert x.grad is None
    y.backward()
    draw(y)
    assert x.grad.tolist() == [2, 4]


def test_drawing_the_same_graph_gives_the_same_bytes():
    drawings = [draw(neuron()), draw(neuron())]
    assert drawings[0].source == drawings[1].source
    assert drawings[0].render("svg") == drawings[1].render("svg")


def test_drawing_inside_no_grad_is_the_same():
    y = neuron()
    with no_grad():
        inside = draw(y).source
    assert inside == draw(y).source


def test_deep_graphs_are_written_without_recursion():
    y = Tensor(1.0)
    for _ in range(3000):
        y = y + 0.5
    assert draw(y).source.count("<b>add</b>") == 3000


# --- hostile names -------------------------------------------------------------------------------

NAMES = [
    "<b>bold</b>", "a & b &amp; c", '"quoted"', "]]>", "<!-- -->", "<script>alert(1)</script>",
    "{|}", "%s", "\\n", "é∂𝒙", "->", "n0", "a\\N b", "\\G", "\\\\", "\\L \\E \\T \\H",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name):
    y = Tensor(2.0, name=name) * 3.0
    assert texts(draw(y))[0] == name


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_result_is_shown_as_it_is(name):
    y = Tensor(2.0) * 3.0
    y.name = name
    assert name in texts(draw(y))


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x1b", "\t", "\r", "\ud800", "\ufffe"])
def test_characters_that_cannot_be_drawn_do_not_spoil_the_picture(character):
    y = Tensor(2.0, name=f"a{character}b") * 3.0
    shown = texts(draw(y))
    assert shown[0].startswith("a") and shown[0].endswith("b")
    assert "multiply" in shown


@pytest.mark.parametrize("name", [" ", "\t", "\n", "\x01"])
def test_a_blank_name_still_gives_a_picture(name):
    assert "multiply" in texts(draw(Tensor(2.0, name=name) * 3.0))
    assert "2" in texts(draw(Tensor(2.0, name=name) * 3.0))


def test_lines_of_a_name_become_one():
    assert texts(draw(Tensor(2.0, name="two\nlines") * 3.0))[0] == "two lines"


# --- pictures ------------------------------------------------------------------------------------


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


def test_dot_text_is_saved_as_it_is(tmp_path):
    drawing = draw(neuron(), save=tmp_path / "neuron.dot")
    assert (tmp_path / "neuron.dot").read_text(encoding="utf-8") == drawing.source


def test_draw_saves_where_it_is_asked_to(tmp_path):
    draw(neuron(), save=tmp_path / "neuron.svg")
    assert (tmp_path / "neuron.svg").read_bytes().startswith(SIGNATURES["svg"])


def test_the_direction_is_that_of_the_picture():
    def size(direction):
        svg = ElementTree.fromstring(draw(neuron(), direction=direction).render())
        return [float(svg.get(side).removesuffix("pt")) for side in ("width", "height")]

    wide, tall = size("LR"), size("TB")
    assert wide[0] > wide[1] and tall[1] > tall[0]


def test_a_notebook_shows_the_picture():
    bundle = draw(neuron())._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml")


def test_an_installed_dot_is_used_first(monkeypatch):
    import graphviz

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(graphviz.Source, "pipe", lambda self, format: f"{format} by dot".encode())
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


def test_without_graphviz_the_text_is_still_there(without_graphviz, tmp_path):
    drawing = draw(neuron(), save=tmp_path / "neuron.dot")
    assert drawing.source.startswith("digraph")
    bundle = drawing._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "pip install" in bundle["text/plain"] and drawing.source in bundle["text/plain"]


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [1.0, np.ones(2), None, "x", [Tensor(1.0)]])
def test_only_tensors_are_drawn(y):
    with pytest.raises(TypeError, match=f"draw: y is a Tensor.*not a {type(y).__name__}"):
        draw(y)


@pytest.mark.parametrize("direction", ["lr", "RL", "", None])
def test_an_unknown_direction_is_refused(direction):
    with pytest.raises(ValueError, match=f'"LR" or "TB", not {direction!r}'):
        draw(neuron(), direction=direction)


@pytest.mark.parametrize("format", ["gif", "SVG", "", None])
def test_an_unknown_format_is_refused(format):
    with pytest.raises(ValueError, match=f"format is one of svg, png, pdf, not {format!r}"):
        draw(neuron()).render(format)


@pytest.mark.parametrize("name", ["neuron.gif", "neuron", "neuron.svg.txt"])
def test_a_path_of_an_unknown_format_is_refused_and_nothing_written(tmp_path, name):
    with pytest.raises(ValueError, match="format is one of svg, png, pdf"):
        draw(neuron(), save=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_drawing_of_broken_text_fails():
    with pytest.raises(Exception, match=r"(?i)invalid|syntax"):
        Drawing("digraph {").render("svg")


def test_a_graph_whose_arrays_were_written_says_how_to_draw_it():
    x = Tensor([1.0, 2.0], name="x")
    y = np.sum(x * x)
    x.data[...] = 0.0
    with pytest.raises(RuntimeError, match=r"'x'.*written since.*gradients=False"):
        draw(y)
    assert "x" in draw(y, gradients=False).source
