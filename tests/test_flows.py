"""Shares of a gradient by arrow and by path, against sums over paths made by hand."""

import itertools
import math

import numpy as np
import pytest

from autograd import Tensor
from autograd.graph import Node
from autograd.show.flows import PATHS, flows
from autograd.show.scene import Scene


def by_hand(scene, start):
    """``(ids, product of the partial derivatives)`` of every path, of a graph of numbers."""
    nodes = {box.id: box.node for box in scene.boxes.values()}
    found, todo = [], [((start,), 1.0)]
    while todo:
        ids, product = todo.pop()
        if ids[-1] == scene.boxes[scene.outputs[0].node].id:
            found.append((ids, product))
        for arrow in scene.arrows:
            if arrow.source == ids[-1]:
                todo.append(((*ids, arrow.target), product * slope(nodes[arrow.target], arrow)))
    return found


def slope(node, arrow):
    """The partial derivative at an arrow by central differences."""
    xs = [s.value if isinstance(s, Node) else s for s in node.inputs]

    def moved(h):
        shifted = [x + h * (i == arrow.place) for i, x in enumerate(xs)]
        return float(node.primitive.apply(shifted, {}))

    return (moved(1e-6) - moved(-1e-6)) / 2e-6


def graph_of_numbers(seed):
    rng = np.random.default_rng(seed)
    values = [Tensor(float(v)) for v in rng.uniform(0.5, 2.0, 2)]
    for _ in range(7):
        a, b = rng.choice(len(values), 2)
        kind = rng.integers(4)
        a, b = values[a], values[b]
        values.append([a + b, a * b, a - 0.3 * b, np.tanh(a)][kind])
    return sum(values[3:], values[2])


@pytest.mark.parametrize("seed", range(12))
def test_paths_carry_the_products_of_their_partial_derivatives(seed):
    scene = Scene([graph_of_numbers(seed)])
    for flow in flows(scene):
        paths = by_hand(scene, flow["id"])
        total = sum(product for _, product in paths)
        assert flow["count"] == len(paths)
        wanted = sorted(((ids, p / total) for ids, p in paths), key=lambda path: -abs(path[1]))
        if len(paths) <= PATHS:
            found = sorted((tuple(p["ids"]), p["share"]) for p in flow["paths"])
            for (ids, share), (other, given) in zip(sorted(wanted), found, strict=True):
                assert ids == other
                assert given == pytest.approx(share, rel=2e-3, abs=1e-6)
        sizes = [abs(p["share"]) for p in flow["paths"]]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("seed", range(12))
def test_what_arrives_at_a_node_leaves_it(seed):
    scene = Scene([graph_of_numbers(seed)])
    output = scene.boxes[scene.outputs[0].node].id
    for flow in flows(scene):
        into, out = {}, {}
        for number, share in flow["shares"].items():
            arrow = scene.arrows[number]
            into[arrow.target] = into.get(arrow.target, 0) + share
            out[arrow.source] = out.get(arrow.source, 0) + share
        close = dict(rel=1e-2, abs=2e-3 * max(map(abs, flow["shares"].values())))
        assert out.pop(flow["id"]) == pytest.approx(1, **close)
        assert into.pop(output) == pytest.approx(1, **close)
        assert into.keys() == out.keys()
        for id, amount in into.items():
            assert amount == pytest.approx(out[id], **close)


def test_shares_of_arrays_are_shares_of_the_squared_gradient():
    x = Tensor(np.array([1.0, 2.0, -1.0]), name="x")
    y = np.sum(x * x) + 2.0 * np.sum(x[:2])
    scene = Scene([y])
    (flow,) = flows(scene)
    slope = 2 * x.data + np.array([2.0, 2.0, 0.0])
    size = slope @ slope
    by_target = {
        scene.box[scene.arrows[n].target].operation: share
        for n, share in flow["shares"].items()
        if scene.arrows[n].source == flow["id"]
    }
    assert by_target["getitem"] == pytest.approx(2 * slope[:2].sum() / size, rel=1e-3)
    assert by_target["multiply"] == pytest.approx(x.data @ slope / size, rel=1e-3)  # one of two


def test_a_path_ends_at_each_output_with_what_goes_no_further():
    """y1 = 2 x and y2 = 3 y1 together grow by 8 where x does by 1: 2 of them are y1's."""
    x = Tensor(3.0)
    y1 = x * 2.0
    (flow,) = flows(Scene([y1, y1 * 3.0]))
    assert {len(p["ids"]): p["share"] for p in flow["paths"]} == {2: 2 / 8, 3: 6 / 8}
    assert sorted(flow["shares"].values()) == [6 / 8, 1.0]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_shares_are_the_same_whatever_the_outputs_unit(scale):
    x = Tensor(np.array([2.0, 1.0]))
    (flow,) = flows(Scene([np.sum(x * scale + x * (3 * scale))]))
    assert sorted(path["share"] for path in flow["paths"]) == [0.25, 0.75]
    assert sorted(flow["shares"].values()) == [0.25, 0.25, 0.75, 0.75, 1.0]


def test_the_arrow_into_an_operation_with_several_results_carries_what_they_all_do():
    """Of log |det A| + sum A the first part's gradient is A⁻ᵀ, the second's all ones."""
    A = np.array([[2.0, 1.0], [0.5, 3.0]])
    x = Tensor(A)
    scene = Scene([np.linalg.slogdet(x)[1] + np.sum(x)])
    (flow,) = flows(scene)
    one, two = np.linalg.inv(A).T, np.ones((2, 2))
    size = np.sum((one + two) ** 2)
    by_target = {
        scene.box[scene.arrows[n].target].operation: share
        for n, share in flow["shares"].items()
        if scene.arrows[n].source == flow["id"]
    }
    assert by_target["slogdet"] == pytest.approx(np.sum(one * (one + two)) / size, rel=1e-3)
    assert by_target["sum"] == pytest.approx(np.sum(two * (one + two)) / size, rel=1e-3)


def test_paths_that_work_against_each_other():
    x = Tensor(1.5)
    (flow,) = flows(Scene([3.0 * x - x]))
    assert [path["share"] for path in flow["paths"]] == [1.5, -0.5]


def test_a_gradient_of_zero_has_paths_and_no_shares():
    x = Tensor(1.5)
    (flow,) = flows(Scene([x - x]))
    assert (flow["count"], flow["shares"], flow["paths"]) == (2, {}, [])


def test_so_many_paths_are_counted_and_the_largest_found():
    x = Tensor(1.01)
    y = x
    for _ in range(60):
        y = 0.5 * y + 0.5 * np.sin(y)
    scene = Scene([y])
    (flow,) = flows(scene)
    assert flow["count"] == f"{2**60:.3e}"
    assert 0 < len(flow["paths"]) <= PATHS
    assert math.isfinite(flow["paths"][0]["share"])
    for path in flow["paths"]:
        arrows = [scene.arrows[n] for n in path["arrows"]]
        assert [a.source for a in arrows] == path["ids"][:-1]
        assert [a.target for a in arrows] == path["ids"][1:]


def test_an_input_nothing_depends_on_is_not_there_and_the_output_itself_may_be_one():
    x = Tensor(1.0, name="x")
    (flow,) = flows(Scene([x]))
    assert flow["count"] == 1
    assert flow["paths"] == [{"share": 1.0, "ids": ["n0"], "arrows": []}]


def test_operations_with_several_results_let_the_flow_through():
    A = Tensor(np.array([[2.0, 1.0], [0.5, 3.0]]))
    s = np.linalg.svd(2.0 * A, full_matrices=False)[1]
    scene = Scene([np.sum(s) + A[0, 1]])
    (flow,) = flows(scene)
    totals = [p["share"] for p in flow["paths"]]
    assert sum(totals) == pytest.approx(1, rel=1e-3)
    assert len(totals) == 2


def test_parameters_come_after_inputs():
    import nn

    x = Tensor(np.ones((2, 3)), name="x")
    layer = nn.Linear(3, 2)
    found = flows(Scene([np.sum(layer(x))], {"layer": layer}))
    assert [flow["name"] for flow in found] == ["x", "layer.weight", "layer.bias"]
    assert all(flow["paths"][0]["share"] == pytest.approx(1, rel=1e-3) for flow in found)


def test_not_a_number_has_no_share():
    x = Tensor(0.0)
    with np.errstate(all="ignore"):
        y = np.log(x) * 1.0
        (flow,) = flows(Scene([y]))
    assert (flow["count"], flow["shares"], flow["paths"]) == (1, {}, [])


def test_all_pairs_are_summed_over():
    """Of every cut through a ladder of three rungs the shares add up to 1."""
    a = Tensor(0.7)
    left, right = a * 2.0, np.exp(a)
    for _ in range(3):
        left, right = left + 0.5 * right, right * left
    scene = Scene([left * right])
    (flow,) = flows(scene)
    places = {box.id: box.place for box in scene.boxes.values()}
    for cut in range(len(places) - 1):
        crossing = [
            share
            for n, share in flow["shares"].items()
            if places[scene.arrows[n].source] <= cut < places[scene.arrows[n].target]
        ]
        reachable = [p for p in itertools.islice(places, cut + 1)]
        assert reachable and sum(crossing) == pytest.approx(1, rel=5e-3)
