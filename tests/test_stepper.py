"""The two sweeps in words and numbers: counts by hand, and formulas that are evaluated."""

import re

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, compare_modes, grad, jvp
from autograd.show import derivations, draw, explore, step
from autograd.show.derivations import cotangent_formulas, tangent_formula
from autograd.show.scene import arrow_pull


def product(w):
    v = 1.0
    for w_j in w:
        v = v * w_j
    return v


def steps(page):
    return page.data["timeline"]["steps"]


# --- the programs -------------------------------------------------------------------------------


def test_speelpennings_product_reads_as_in_the_lecture():
    """p = w1 w2 w3 w4: two lines a step forward; values, and then two lines a step back."""
    p = step(product, [2.0, 3.0, 4.0, 5.0]).programs
    left, right = zip(*((line[:55].rstrip(), line[55:]) for line in p.splitlines()), strict=True)
    assert [line for line in left if line] == [
        "forward mode",
        "dw1/dw = e1",
        "dw2/dw = e2",
        "dw3/dw = e3",
        "dw4/dw = e4",
        "v1 = 1 * w1 = 2",
        "dv1/dw = dw1/dw * 1 = [1, 0, 0, 0]",
        "v2 = v1 * w2 = 6",
        "dv2/dw = dv1/dw * w2 + dw2/dw * v1 = [3, 2, 0, 0]",
        "v3 = v2 * w3 = 24",
        "dv3/dw = dv2/dw * w3 + dw3/dw * v2 = [12, 8, 6, 0]",
        "y = v3 * w4 = 120",
        "dy/dw = dv3/dw * w4 + dw4/dw * v3 = [60, 40, 30, 24]",
    ]
    assert [line for line in right if line] == [
        "reverse mode",
        "v1 = 1 * w1 = 2",
        "v2 = v1 * w2 = 6",
        "v3 = v2 * w3 = 24",
        "y = v3 * w4 = 120",
        "dy/dy = 1",
        "dy/dv3 = dy/dy * w4 = 5",
        "dy/dw4 = dy/dy * v3 = 24",
        "dy/dv2 = dy/dv3 * w3 = 20",
        "dy/dw3 = dy/dv3 * v2 = 30",
        "dy/dv1 = dy/dv2 * w2 = 60",
        "dy/dw2 = dy/dv2 * v1 = 40",
        "dy/dw1 = dy/dv1 * 1 = 60",
    ]
    both = [(a, b) for a, b in zip(left, right, strict=True) if a and b]
    assert all(a == b for a, b in both[1:])  # the values stand beside each other


NAMES = {"value": "abcdef", "tangent": ["ta", "tb", "tc"], "cotangent": ["?"]}


def named(place, what):
    if place is None:
        return {"value": "y", "tangent": "ty", "cotangent": "g"}[what]
    return NAMES[what][place]


def evaluated(text, **values):
    names = re.findall(r"([a-z_0-9]+)\(", text)
    functions = {n: getattr(np, n) if hasattr(np, n) else getattr(autograd, n) for n in names}
    return eval(text, functions | {"inf": np.inf, "nan": np.nan} | values)


SCALARS = [
    lambda a, b: a * b,
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a / b,
    lambda a, b: np.hypot(a, b),
    lambda a, b: np.arctan2(a, b),
]
FUNCTIONS = (
    "exp log sin cos tan tanh sqrt square cbrt log1p expm1 arctan sinh cosh negative".split()
)


@pytest.mark.parametrize("f", SCALARS)
def test_formulas_of_two_numbers_evaluate_to_the_derivatives(f, monkeypatch):
    monkeypatch.setattr(derivations, "LONG", 1000)
    a, b = Tensor(0.7), Tensor(1.9)
    y = f(a, b)
    values = dict(a=0.7, b=1.9, y=float(y.data))
    pulls = cotangent_formulas(y.node, named)
    h = 1e-6
    slopes = [
        (f(0.7 + h, 1.9) - f(0.7 - h, 1.9)) / (2 * h),
        (f(0.7, 1.9 + h) - f(0.7, 1.9 - h)) / (2 * h),
    ]
    for place, slope in enumerate(slopes):
        assert evaluated(pulls[place], g=3.0, **values) == pytest.approx(3 * slope, rel=1e-6)
    pushed = evaluated(tangent_formula(y.node, named), ta=2.0, tb=-5.0, **values)
    assert pushed == pytest.approx(2 * slopes[0] - 5 * slopes[1], rel=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_formulas_of_functions_evaluate_to_the_derivatives(name):
    f, h = getattr(np, name), 1e-6
    y = f(Tensor(0.7))
    values, slope = dict(a=0.7, y=float(y.data)), (f(0.7 + h) - f(0.7 - h)) / (2 * h)
    assert evaluated(cotangent_formulas(y.node, named)[0], g=3.0, **values) == pytest.approx(
        3 * slope, rel=1e-6
    )
    assert evaluated(tangent_formula(y.node, named), ta=2.0, **values) == pytest.approx(
        2 * slope, rel=1e-6
    )


def test_formulas_of_products_of_matrices():
    rng = np.random.default_rng(0)
    A, B, g = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    y = Tensor(A) @ Tensor(B)
    pulls = cotangent_formulas(y.node, named)
    values = dict(a=A, b=B, g=g, y=y.data)
    np.testing.assert_allclose(evaluated(pulls[0], **values), g @ B.T)
    np.testing.assert_allclose(evaluated(pulls[1], **values), A.T @ g)
    assert pulls == {0: "g @ b.T", 1: "a.T @ g"}
    assert tangent_formula(y.node, named) == "ta @ b + a @ tb"


def test_parentheses_stand_where_they_must():
    a, b = Tensor(0.7), Tensor(1.9)
    for f in (lambda: np.tanh(a), lambda: a / b, lambda: (a - b) ** 3):
        y = f()
        source = y.node.inputs[0].value
        other = y.node.inputs[1] if len(y.node.inputs) > 1 else None
        other = getattr(other, "value", other)
        found = evaluated(
            cotangent_formulas(y.node, named)[0], a=source, b=other, y=float(y.data), g=1.0
        )
        assert found == pytest.approx(float(arrow_pull(y.node, 0, 1.0)), rel=1e-12)


# --- the counters -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_counters_of_the_product_are_those_counted_by_hand(n):
    last = steps(step(product, [1.0 + j for j in range(n)]))[-1]["counters"]
    pushed = (2 * n - 1) + (n - 1)
    assert last["forward"]["operations"] == n + n * pushed
    assert last["reverse"]["operations"] == n + (2 * n - 1)
    # forward: the inputs and the result, each with n tangents; reverse: all values, and the
    # cotangents of the inputs
    assert last["forward"]["bytes"] == 8 * (n + 1) * (1 + n)
    assert last["reverse"]["bytes"] == 8 * (2 * n + n)


def test_counters_are_those_of_the_ledger():
    W, x = np.array([[0.5, -0.3], [0.1, 0.8], [1.0, 0.2]]), np.array([1.0, 2.0])

    def layer(W, x):
        h = np.tanh(W @ x)
        return 0.5 * np.sum(h * h)

    rows = {row.name: row.counts.total for row in compare_modes(layer, W, x, repeats=1).rows}
    last = steps(step(layer, W, x))[-1]["counters"]
    assert last["forward"]["operations"] == rows["one direction (jvp)"]
    assert last["reverse"]["operations"] == rows["reverse gradient"]


@pytest.mark.parametrize(
    "f",
    [
        lambda A: np.linalg.slogdet(A)[1],
        lambda A: np.sum(np.linalg.svd(A, full_matrices=False)[1] ** 2),
        lambda A: np.sum(np.linalg.eigh(A @ A.T)[1] * A),
    ],
    ids=["slogdet", "svd", "eigh"],
)
def test_operations_with_several_results_are_counted_and_hand_back(f):
    A = np.array([[2.0, 1.0], [0.5, 3.0]])
    page = step(f, A)
    counted = {row.name: row.counts.total for row in compare_modes(f, A).rows}
    last = steps(page)[-1]["counters"]
    assert last["forward"]["operations"] == counted["one direction (jvp)"]
    assert last["reverse"]["operations"] == counted["reverse gradient"]
    assert "dy/dA" in page.programs


def test_what_several_results_hand_back_is_their_derivative():
    """Of log |det A| it is A⁻ᵀ."""
    A = np.array([[2.0, 1.0], [0.5, 3.0]])
    line = step(lambda A: np.linalg.slogdet(A)[1], A).programs.splitlines()[-1]
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", line)]
    np.testing.assert_allclose(numbers, np.linalg.inv(A).T.ravel(), rtol=1e-3)


def test_counters_never_fall_and_forward_mode_rests_while_reverse_goes_back():
    found = steps(step(lambda x: np.sin(x) * np.exp(x), 0.5))
    for before, after in zip(found, found[1:], strict=False):
        for mode in ("forward", "reverse"):
            assert after["counters"][mode]["operations"] >= before["counters"][mode]["operations"]
        if after["phase"] == "reverse":
            assert after["counters"]["forward"] == before["counters"]["forward"]


# --- the states ---------------------------------------------------------------------------------


def nested(x, y):
    a = x * y
    b = a + np.sin(a)
    return b * a - x


def test_every_box_gets_its_value_tangent_and_gradient_once_and_in_order():
    page = step(nested, 0.5, 2.0)
    found = steps(page)
    done = {what: [id for s in found for id in s["done"][what]] for what in found[0]["done"]}
    items = page.data["items"]
    variables = [id for id, item in items.items() if item["kind"] != "constant"]
    assert sorted(done["value"]) == sorted(items)
    assert sorted(done["tangent"]) == sorted(done["gradient"]) == sorted(variables)
    reads = [(a, b) for a, b, _ in page.data["arrows"]]
    assert all(done["value"].index(a) < done["value"].index(b) for a, b in reads)
    for a, b in reads:
        if a in done["gradient"]:
            assert done["gradient"].index(b) < done["gradient"].index(a)
    phases = [s["phase"] for s in found]
    assert phases == sorted(phases)  # forward comes first
    assert all(s["say"].endswith(".") for s in found)


def test_lines_are_all_pointed_at_once():
    page = step(nested, 0.5, 2.0)
    programs = page.data["timeline"]["programs"]
    for mode in ("forward", "reverse"):
        lines = [n for s in steps(page) for n in s["lines"][mode]]
        assert lines == [*range(len(programs[mode]))]


def test_the_last_lines_are_the_gradient():
    page = step(nested, 0.5, 2.0)
    slopes = grad(nested, argnums=(0, 1))(0.5, 2.0)
    facts = [dict(page.data["items"][id]["facts"]) for id in ("n0", "n1")]
    assert [f["gradient"] for f in facts] == [f"{s:.4g}" for s in slopes]


def test_tangents_in_a_direction_of_ones_choice():
    x = np.array([1.0, 2.0, 3.0])
    t = np.array([0.5, 0.0, -1.0])

    def f(x):
        return np.sum(x**3)

    y = f(v := Tensor(x, name="x"))
    page = step(y, tangents=[(v, t)])
    _, moved = jvp(f, (x,), (t,))
    assert dict(page.data["items"]["n2"]["facts"])["tangent"] == f"{moved:.4g}"


def test_a_value_read_twice_is_added_up():
    assert step(lambda x: x * x, 3.0).programs.splitlines()[-2:] == [
        " " * 27 + "dy/dx = dy/dy * x = 3",
        " " * 27 + "dy/dx += dy/dy * x = 3",
    ]


@pytest.mark.parametrize(
    "f, args",
    [
        (lambda x: np.sum(np.linalg.svd(x, full_matrices=False)[1]), (np.eye(2),)),
        (lambda x: np.sum(np.concatenate([x, x[:1] * 2.0])), (np.ones(3),)),
        (lambda x, i: x[i] * 2.0, (np.ones(3), 1)),
        (lambda p: p["a"] * p["b"][0], ({"a": 2.0, "b": [3.0]},)),
        (lambda x: nn.Dropout(0.5)(x).sum(), (np.ones(8),)),
        (lambda x: nn.softmax(x)[0], (np.ones(3),)),
        (lambda x: x, (2.0,)),
        (lambda x: np.where(x > 0, x, 0.0).max(), (np.array([1.0, -1.0]),)),
    ],
    ids=["svd", "concatenate", "index", "dict", "dropout", "softmax", "identity", "where"],
)
def test_it_steps_through_all_kinds_of_functions(f, args):
    page = step(f, *args)
    assert steps(page)[-1]["counters"]["reverse"]["operations"] >= 0
    assert page.programs.startswith("forward mode")


def test_a_modules_parameters_are_inputs():
    model = nn.MLP((3, 4, 2))
    page = step(lambda x: nn.mse(model(x), np.zeros((5, 2))), np.ones((5, 3)), names={"m": model})
    assert "dy/d(m.layers.0.weight) = dy/dv1.T @ x = 4×3" in page.programs
    page = step(lambda m, x: m(x).sum(), model, np.ones((5, 3)))
    assert "layers.0.weight" in page.programs


# --- what is refused ----------------------------------------------------------------------------


def test_too_many_operations():
    with pytest.raises(ValueError, match=r"500 operations are too many.*explore"):
        step(product, [1.0] * 500)


def test_hundreds_of_operations_are_stepped_through_each_in_its_place():
    """So many boxes are collapsed elsewhere; here all are shown."""
    page = step(product, [1.0] * 100)
    shown = [s["id"] for s in steps(page)]
    assert len({*shown}) == 101 and all(f'id="{id}" class="node"' in page.svg for id in shown)


def test_slopes_that_are_not_finite_are_shown_without_a_warning_or_an_error():
    with np.errstate(all="ignore"):
        y = np.sqrt(Tensor(0.0, name="x"))
    with np.errstate(all="raise"):
        assert "dy = dx / (2 * y) = inf" in step(y).programs


def test_several_results():
    with pytest.raises(ValueError, match="one result, not 2"):
        step(lambda x: (x, x * x), 2.0)


@pytest.mark.parametrize("what", [step, explore])
def test_a_function_of_nothing_that_moves(what):
    with pytest.raises(TypeError, match=rf"{what.__name__}: <lambda> returned 3.*floats"):
        what(lambda n: n + 1, 2)


@pytest.mark.parametrize("what", [step, explore])
def test_the_callers_name_of_a_result_comes_first(what):
    """Only a result without one is called y, and not where that is something else."""
    y = Tensor(2.0)
    loss = y * 3.0
    for names, wanted in (({"loss": loss, "y": y}, "loss = multiply"), ({}, "y = multiply"),
                          ({"y": y}, "multiply")):  # fmt: skip
        items = what(loss, names=names).data["items"]
        assert items["n1"]["title"] == wanted
        assert items["n0"]["title"] == ("y" if names else "input")


@pytest.mark.parametrize("what", [step, explore])
def test_options_that_are_none(what):
    y = Tensor(2.0) * 2.0
    with pytest.raises(ValueError, match='direction is "LR" or "TB", not \'RL\''):
        what(y, direction="RL")
    with pytest.raises(TypeError, match="names: pass a dict.*not a list"):
        what(y, names=["y"])


@pytest.mark.parametrize("what", [step, explore])
def test_after_an_optimizers_step_the_message_says_what_can_be_drawn(what):
    p = nn.Parameter(np.ones(2))
    y = np.sum(p * p)
    p.data -= 0.1
    with pytest.raises(RuntimeError, match=r"written since.*draw\(y, gradients=False\)"):
        what(y)
    assert "sum" in draw(y, gradients=False).text


@pytest.mark.parametrize("what", [step, explore])
def test_arguments_without_a_function(what):
    with pytest.raises(TypeError, match=rf"{what.__name__}: arguments only go with a function"):
        what(Tensor(2.0) * 2.0, 3.0)


def test_neither_gradients_nor_draws_are_touched():
    x = Tensor(2.0, name="x")
    y = x * x
    step(y)
    explore(y)
    assert x.grad is None


# --- source lines -------------------------------------------------------------------------------


def test_boxes_of_a_function_know_their_lines():
    def f(x):
        a = x * 2.0
        return np.sin(a)

    page = explore(f, 3.0)
    first = f.__code__.co_firstlineno
    lines = {item["title"]: dict(item["facts"]).get("line") for item in page.data["items"].values()}
    assert lines["multiply"] == f"test_stepper.py:{first + 1}"
    assert lines["y = sin"] == f"test_stepper.py:{first + 2}"
    assert lines["x"] is None
