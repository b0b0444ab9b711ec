"""Every finding of an audit by a program that plants it, and programs in which there is none."""

import gc
import importlib
import itertools
import math
import re
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import (
    Tensor,
    audit,
    certify,
    checkpoint,
    elementwise,
    general,
    grad,
    gradients,
    graph,
    hessian,
    jvp,
    no_grad,
    reverse,
    scope,
    scopes,
    source_lines,
    stop_gradient,
    vmap,
)
from autograd.attribution import PARTS, place
from autograd.findings import FAINT, ROWS
from autograd.primitive import Primitive, registry
from autograd.tree import flatten

from .samples import SAMPLES
from .samples.convolution import PAIRS

HERE = str(Path(__file__))
OPERATIONS = list({id(op): op for op in registry.values()}.values())  # before tests register more
RNG = np.random.default_rng(0)
X = RNG.standard_normal((64, 8)).astype(np.float32)
Y = RNG.integers(0, 3, 64)


def mark():
    """The number of the line that calls this."""
    return sys._getframe(1).f_lineno


def kinds(report):
    return [finding.kind for finding in report.findings]


def only(report, kind):
    """The one finding of a kind."""
    (finding,) = report.of(kind)
    return finding


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


# --- nan and inf ----------------------------------------------------------------------------------


class Log(nn.Module):
    def forward(self, x):
        return np.log(x)


def test_the_first_nan_is_told_with_operation_arguments_line_and_module():
    model = nn.Sequential(nn.Linear(8, 4), Log(), nn.Linear(4, 1))
    with audit() as report:
        y, line = np.sum(model(X)), mark()
        y.backward()
    found = report.of("nan")[0]
    assert found.operation == "log"
    assert found.where == (HERE, Log.forward.__code__.co_firstlineno + 1)
    assert found.path == "Sequential › layers.1: Log"
    values = model.layers[0](X).data
    assert f"nan ({np.count_nonzero(values < 0)} of 256 elements)" in found.text
    (argument,) = found.details
    assert "float32 (64, 4)" in argument and f"{values.min():.3g} … " in argument
    assert report.findings[0] is found and line != found.where[1]


def test_what_is_made_of_a_nan_is_no_finding_of_its_own():
    x = Tensor([-1.0, 1.0])
    with audit() as report:
        np.sum(np.sqrt(np.log(x) * 2.0)).backward()
    assert report.of("nan")[0].operation == "log" and len(report.of("nan")) == 1


def test_an_inf_is_told_and_the_nan_that_comes_of_it_after_it():
    x = Tensor([0.0, 1.0], name="x")
    found = audit(np.sum(np.log(x) * 0.0)).of("nan", "inf")
    assert [(f.kind, f.operation) for f in found] == [("inf", "log"), ("nan", "multiply")]
    assert found[0].text == "log gives inf (1 of 2 elements)"
    assert found[0].details == ["argument 'x': float64 (2,), [0, 1]"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_came_in_with_an_input_is_told_as_such(bad):
    x = Tensor([bad, 1.0], name="x")
    found = audit(np.sum(np.tanh(x) * x)).of("nan" if np.isnan(bad) else "inf")[0]
    assert "which came in with 'x'" in found.text


def test_a_nan_in_the_data_is_told():
    x = X.copy()
    x[3, 1] = np.nan
    with audit() as report:
        nn.Linear(8, 2)(x)
    found = only(report, "nan")
    assert "came in with a constant of shape (64, 8)" in found.text and "1 nan" in found.details[0]


def test_only_the_first_of_several_is_told():
    with audit() as report:
        for value in (-1.0, -2.0):
            np.log(Tensor(value))
            np.sqrt(Tensor(value))
    assert only(report, "nan").operation == "log"


def test_infinite_constants_are_meant():
    x, mask = Tensor(numbers(3, 3)), np.where(np.tri(3) > 0, 0.0, -np.inf)
    report = audit(np.sum(autograd.softmax(x + mask, axis=1) * numbers(3, 3, seed=1)))
    assert not report


def test_numbers_have_no_count_of_elements():
    assert audit(np.log(Tensor(0.0)) * 1.0).of("inf")[0].text == "log gives inf"


def test_a_finite_derivative_that_is_pulled_into_inf_is_told():
    x = Tensor([0.0, 4.0], name="x")
    with audit() as report:
        y, line = np.sqrt(x), mark()
        np.sum(3.0 * y).backward()
    found = only(report, "gradient")
    assert found.operation == "sqrt" and found.where == (HERE, line)
    assert "into inf (1 of 2 elements) by 'x'" in found.text
    assert found.details[-1] == "∂: float64 (2,), [3, 3]"


def test_zero_times_inf_in_the_branch_not_taken():
    """The trap of np.where: values are finite in the end, the gradient is nan."""
    x = Tensor([0.0, 1.0], name="x")
    report = audit(np.sum(np.where(x.data > 0, x * np.log(x), 0.0)))
    assert np.isnan(np.asarray(report.why(x).whole)[0])
    assert only(report, "gradient").operation in ("multiply", "log")
    assert only(report, "inf").operation == "log"


def test_overflow_in_the_parts_and_in_their_sum():
    w = Tensor(np.ones(1, np.float32), name="w")
    found = only(audit(np.sum(w * np.float64(1e200))), "gradient")
    assert "into inf by 'w'" in found.text
    x = Tensor(0.5, name="x")
    found = only(audit(x * 1e308 + x * 1e308), "gradient")
    assert "parts of the gradient by 'x' add up to inf" in found.text


def test_a_nan_inside_grad_is_found_too():
    with audit() as report:
        grad(lambda x: np.sum(np.log(x) ** 2))(np.array([-1.0, 1.0]))
        grad(grad(lambda x: np.arcsin(x) * x))(0.5)
    assert only(report, "nan").operation == "log"


# --- vanishing and exploding ----------------------------------------------------------------------


def test_a_chain_of_numbers_against_the_product_of_its_slopes():
    x = Tensor(0.3, name="x")
    y, slope = x, 1.0
    for _ in range(15):
        y = autograd.sigmoid(y)
        s = float(y.item())
        slope *= s * (1 - s)
    assert slope < FAINT
    found = only(audit(y), "vanishing")
    assert found.text == f"the gradient by 'x' shrinks ×{slope:.2g} on its way"
    assert found.details[0].startswith(f"sigmoid, 15 times: ×{slope:.2g}, the steepest ×")


@pytest.mark.parametrize("gain, kind", [(0.1, "vanishing"), (10.0, "exploding")])
def test_matrices_that_turn_and_stretch(gain, kind):
    """Of orthogonal matrices times a number the norms' ratio is that number."""
    turn = np.linalg.qr(numbers(5, 5))[0]
    x = Tensor(numbers(5, seed=1), name="x")
    h = x
    for _ in range(8):
        h = gain * (turn @ h)
    found = only(audit(np.sum(h)), kind)
    verb = {"vanishing": "shrinks", "exploding": "grows"}[kind]
    assert found.text == f"the gradient by 'x' {verb} ×{gain**8:.2g} on its way"
    assert found.details[0].startswith(
        f"multiply, 8 times: ×{gain**8:.2g}, the steepest ×{gain:.2g}"
    )


def test_a_saturated_layer_is_the_steepest_edge():
    w = Tensor(np.full((4, 4), 0.1), name="w")
    with audit() as report, scope("first"):
        h = np.tanh(w @ np.full(4, 30.0))
        with scope("second"):
            np.sum(h * numbers(4)).backward()
    slope = 1 - np.tanh(12.0) ** 2
    found = only(report, "vanishing")
    assert slope < FAINT and f"tanh ×{slope:.2g}" in found.details[0]
    assert found.operation == "tanh" and found.path == "first"


def deep(layers, activation, initialize, size=32, **settings):
    g = np.random.default_rng(3)
    parts = [m for _ in range(layers) for m in (nn.Linear(size, size, generator=g), activation())]
    return nn.init.apply(nn.Sequential(*parts), initialize, generator=g, **settings)


@pytest.mark.parametrize(
    "model, kind",
    [
        (deep(20, nn.Sigmoid, nn.init.fan_in_normal), "vanishing"),
        (deep(10, nn.Tanh, nn.init.normal, std=0.02), "vanishing"),
        (deep(20, nn.ReLU, nn.init.normal, std=1.0), "exploding"),
        (deep(20, nn.ReLU, nn.init.he_normal), None),
        (deep(20, nn.Tanh, nn.init.fan_in_normal), None),
    ],
)
def test_deep_networks_by_their_initial_weights(model, kind):
    x = numbers(200, 32).astype(np.float32)
    with audit() as report:
        nn.mse(model(x), np.zeros((200, 32), np.float32)).backward()
    found = report.of("vanishing", "exploding")
    assert [f.kind for f in found] == ([kind] if kind else [])
    if kind:
        assert re.match(
            r"the gradient by 'layers\.\d+\.\w+' \(and \d+ inputs more\) ", found[0].text
        )


def test_sizes_alone_are_no_finding():
    x = Tensor(numbers(1000, 1000), name="x")
    assert not audit(np.mean(np.mean(x * x, axis=0)))
    assert not audit(np.sum(x * x) / x.size)
    assert not audit(np.sum(np.broadcast_to(Tensor(2.0), (3000, 3000)) * 1.0))
    total = np.sum(x * x) * 1e-9  # a loss scaled once, before the first array
    assert not audit(total)


def test_a_gradient_that_is_zero_from_a_saturated_unit_on():
    x = Tensor(40.0, name="x")
    found = only(audit(np.tanh(x) * 2.0), "vanishing")
    assert "×0 on its way" in found.text and "tanh ×0" in found.details[0]


# --- kinks ----------------------------------------------------------------------------------------

HALF, UNIT = 0.5, np.eye(2)
# operation -> arguments at a kink, and off it
KINKS = {
    "floor_divide": ((4.0, 2.0), (4.5, 2.0)),
    "remainder": ((4.0, 2.0), (4.5, 2.0)),
    "fmod": ((4.0, 2.0), (4.5, 2.0)),
    "absolute": ((0.0,), (0.1,)),
    "fabs": ((0.0,), (0.1,)),
    "hypot": ((0.0, 0.0), (0.0, 1.0)),
    "copysign": ((0.0, 1.0), (1.0, 1.0)),
    "modf": (([2.0],), ([2.5],)),
    "power": ((0.0, 0.5), (0.0, 2)),
    "sqrt": ((0.0,), (0.1,)),
    "cbrt": ((0.0,), (0.1,)),
    "logaddexp": (([np.inf], [np.inf]), ([1.0], [1.0])),
    "logaddexp2": (([np.inf], [np.inf]), ([1.0], [1.0])),
    "arcsin": ((-1.0,), (0.0,)),
    "arccos": ((1.0,), (0.0,)),
    "arctan2": ((0.0, 0.0), (0.0, 1.0)),
    "arccosh": ((1.0,), (2.0,)),
    "floor": ((2.0,), (2.5,)),
    "ceil": ((2.0,), (2.5,)),
    "trunc": ((2.0,), (0.0,)),
    "fix": ((2.0,), (0.0,)),
    "rint": ((2.5,), (2.0,)),
    "round": ((2.5,), (2.0,)),
    "around": ((2.5,), (2.0,)),
    "sign": ((0.0,), (0.1,)),
    "heaviside": ((0.0, 0.5), (0.1, 0.5)),
    "spacing": ((2.0,), (2.5,)),
    "angle": ((0.0,), (0.1,)),
    "maximum": ((1.0, 1.0), (1.0, 2.0)),
    "minimum": ((1.0, 1.0), (1.0, 2.0)),
    "fmax": ((1.0, 1.0), (1.0, 2.0)),
    "fmin": ((1.0, 1.0), (1.0, 2.0)),
    "clip": ((1.0, 0.0, 1.0), (0.5, 0.0, 1.0)),
    "nan_to_num": (([np.nan],), ([1.0],)),
    "less": ((1.0, 1.0), (1.0, 2.0)),
    "less_equal": ((1.0, 1.0), (1.0, 2.0)),
    "greater": ((1.0, 1.0), (1.0, 2.0)),
    "greater_equal": ((1.0, 1.0), (1.0, 2.0)),
    "relu": ((0.0,), (0.1,)),
    "max": (([1.0, 1.0, 0.0],), ([1.0, 0.0, 0.0],)),
    "min": (([1.0, 0.0, 0.0],), ([1.0, 1.0, 0.0],)),
    "amax": (([1.0, 1.0, 0.0],), ([1.0, 0.0, 0.0],)),
    "amin": (([1.0, 0.0, 0.0],), ([1.0, 1.0, 0.0],)),
    "nanmax": (([1.0, 1.0, 0.0],), ([1.0, 0.0, 0.0],)),
    "nanmin": (([1.0, 0.0, 0.0],), ([1.0, 1.0, 0.0],)),
    "unwrap": (([0.0, np.pi],), ([0.0, 1.0],)),
    "pinv": ((np.diag([1.0, 0.0]),), (np.diag([1.0, 2.0]),)),
    "eigh": ((UNIT,), (np.diag([1.0, 2.0]),)),
    "svd": ((UNIT,), (np.diag([1.0, 2.0]),)),
    "euclid": (([0.0, 0.0],), ([0.0, 1.0],)),
    "erfinv": ((1.0,), (0.5,)),
    "erfcinv": ((2.0,), (0.5,)),
    "ndtri": ((0.0,), (0.5,)),
    "logit": ((1.0,), (0.5,)),
    "xlogy": ((0.0, 0.0), (0.0, 1.0)),
    "xlog1py": ((0.0, -1.0), (0.0, 1.0)),
    "entr": ((0.0,), (0.5,)),
    "rel_entr": ((0.0, 1.0), (0.5, 1.0)),
    "kl_div": ((0.0, 1.0), (0.5, 1.0)),
    "exp1": ((0.0,), (0.5,)),
    "expi": ((0.0,), (0.5,)),
    "i0e": ((0.0,), (0.5,)),
    "window_max": ((np.ones((1, 1, 4)),), (np.arange(4.0).reshape(1, 1, 4),)),
}
OPTIONS = {"euclid": {"axis": (0,)}, "window_max": PAIRS}


def with_kinks():
    return [op for op in OPERATIONS if isinstance(op, Primitive) and op.kinks]


def test_every_operation_with_kinks_tells_where_they_are_and_has_a_test():
    assert [op.name for op in with_kinks() if op.at_kink is None] == []
    assert sorted({op.name for op in with_kinks()} - {*KINKS}) == []


def called_at(operation, arguments):
    """The report of an operation's call, and its first argument, the variable."""
    first, *rest = arguments
    x = Tensor(first, name="x")
    with audit() as report:
        operation(x, *map(np.asarray, rest), **OPTIONS.get(operation.name, {}))
    return report


@pytest.mark.parametrize("operation", with_kinks(), ids=lambda op: op.name)
def test_a_kink_is_told_with_the_convention_and_other_points_are_not(operation):
    at, off = KINKS[operation.name]
    found = only(called_at(operation, at), "kink")
    assert found.operation == operation.name and operation.kinks in found.text
    assert "'x'" in found.details[0] or "constant 1" in found.details[0]
    assert found.where[0] == HERE
    assert not called_at(operation, off).of("kink")


CONTINUOUS = [
    "absolute", "hypot", "sqrt", "cbrt", "maximum", "minimum", "clip", "relu", "max", "min",
    "euclid", "window_max", "power", "arcsin", "arccos", "arccosh", "erfinv", "entr", "i0e",
]  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_at_a_kink_one_sided_slopes_differ_or_are_infinite(name):
    """What is told as a kink is one, by differences; and what is not is none."""
    operation = next(op for op in OPERATIONS if op.name == name)
    for arguments, kink in zip(KINKS[name], (True, False), strict=True):
        x, rest = np.asarray(arguments[0], float), arguments[1:]
        direction = 1.0 + np.arange(x.size).reshape(x.shape)

        def slope(h, x=x, rest=rest, direction=direction):
            ends = [
                np.sum(operation(x + t * direction, *rest, **OPTIONS.get(name, {})))
                for t in (h, 0.0)
            ]
            return (ends[0] - ends[1]) / h

        right, left = slope(1e-10), slope(-1e-10)
        # nan, outside of the domain, is not smooth; nor is an infinite slope, to both sides
        smooth = abs(right - left) < 1e-3 and abs(right) < 1e4
        assert smooth != kink


def test_kinks_are_counted_and_met_again():
    x = Tensor([0.0, 0.0, 1.0], name="x")
    with audit() as report:
        for _ in range(5):
            y, line = np.abs(x), mark()
            np.sum(y).backward()
    found = only(report, "kink")
    assert found.times == 5 and found.where == (HERE, line) and "2 of 3 elements" in found.text
    assert "(5 times)" in str(found)


def test_ties_along_an_axis_are_counted_by_their_maxima():
    x = Tensor([[1.0, 1.0], [1.0, 2.0], [3.0, 3.0]])
    assert "2 of 3 elements" in only(audit(np.sum(np.max(x, axis=1))), "kink").text


def test_a_branch_at_equality_is_a_kink():
    """leaky_relu and a program's own `if` choose by comparison."""
    x = Tensor([0.0, 1.0], name="x")
    with audit() as report:
        nn.leaky_relu(x)
        if Tensor(2.0) > 2.0:
            raise AssertionError
    assert [f.operation for f in report.of("kink")] == ["greater", "greater"]
    assert "branch taken" in report.of("kink")[0].text


def test_constants_stand_at_no_kink():
    with audit() as report:
        np.abs(Tensor(1.0).detach() * 0.0)
        np.maximum(np.zeros(3), 0.0)
    assert not report


def test_the_users_operations_may_tell_their_kinks():
    hinge = elementwise(
        lambda x: np.maximum(1 - x, 0), lambda g, y, x: -g * (x < 1), name="hinge_of_test",
        kinks="0 at 1", at_kink=lambda y, x: x == 1,
    )  # fmt: skip
    try:
        assert "derivative there: 0 at 1" in only(audit(hinge(Tensor(1.0))), "kink").text
    finally:
        del registry[hinge.function]


# --- dead units -----------------------------------------------------------------------------------


def test_units_that_are_zero_in_all_rows_are_told_by_their_numbers():
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))
    model.layers[0].bias.data[...] = [9, -99, 9, 9, -99, 9]
    with audit() as report:
        np.mean(model(X)).backward()
    found = only(report, "dead")
    assert found.text == "2 of 6 units of relu 0 in all 64 rows: 1, 4"
    assert found.path == "Sequential › layers.1: ReLU"


@pytest.mark.parametrize(
    "shape, dead",
    [((ROWS, 3), (slice(None), 1)), ((ROWS, 3, 4, 4), (slice(None), 2)),
     ((ROWS, 5, 3), (..., 2)), ((ROWS, 3, 5), (slice(None), 2))],
)  # fmt: skip
@pytest.mark.parametrize("function", [autograd.relu, lambda x: np.maximum(x, 0)])
def test_units_channels_and_features(shape, dead, function):
    x = np.abs(numbers(*shape)) + 0.1
    assert not audit(np.sum(function(Tensor(x))))
    x[dead] = -1.0
    text = only(audit(np.sum(function(Tensor(x)))), "dead").text
    assert text.endswith(f"rows: {dead[-1]}") and "1 of 3 units" in text


def test_a_few_rows_prove_nothing_and_maxima_of_other_things_are_no_units():
    x = Tensor(-np.ones((ROWS - 1, 3)))
    assert not audit(np.sum(autograd.relu(x))).of("dead")
    x = Tensor(-np.ones((ROWS, 3)))
    assert not audit(np.sum(np.maximum(x, -2.0))).of("dead")


# --- inputs that do not arrive --------------------------------------------------------------------


def cut(f, x=2.0):
    """The finding of a program in which `x` takes part, and `w` reaches the result."""
    x, w = Tensor(x, name="x"), Tensor(3.0, name="w")
    with audit() as report:
        (f(x, w) * w).backward()
    found = only(report, "unreached")
    assert found.text.startswith("'x' ")
    return found


def test_a_stopped_gradient_is_told():
    found = cut(lambda x, w: stop_gradient(np.sin(x)) + w)
    assert "cut off by stop_gradient" in found.text and found.where[0] == HERE
    assert "cut off by" in cut(lambda x, w: np.sin(x).detach() * 2.0).text


def test_data_that_goes_on_is_told():
    x, w = Tensor(2.0, name="x"), Tensor(3.0)
    with audit(inputs=x) as report:
        (w * x.detach()).backward()
    assert "'x' is cut off by stop_gradient" in only(report, "unreached").text
    assert "or .data" in cut(lambda x, w: np.sum(w * (x * 2.0).data), np.ones(3)).text


def test_an_operation_without_a_derivative_is_told():
    found = cut(lambda x, w: w * float(np.argmax(np.stack([x, x]))))
    assert "cut off by argmax, which has no derivative" in found.text


def test_no_grad_is_told():
    def f(x, w):
        with no_grad():
            return np.sin(x)

    assert "cut off by no_grad()" in cut(f).text


def test_a_derivative_that_is_zero_everywhere_is_told():
    assert "is read only by floor" in cut(lambda x, w: np.floor(x) + w).text
    x = Tensor(2.5, name="x")
    assert "read only by floor" in only(audit(np.floor(x) * 1.0 + Tensor(1.0)), "unreached").text


def test_results_that_are_dropped_are_told():
    found = cut(lambda x, w: [np.cos(np.sin(x)), w][1])
    assert "is used, but not what cos makes of it" in found.text and found.where[0] == HERE


def test_inputs_of_which_no_derivative_is_asked_are_no_finding():
    x, w = Tensor(2.0), Tensor(3.0)
    with audit() as report:
        gradients(x * w, [x])
    assert not report


def test_given_inputs_that_take_no_part_are_told():
    x, frozen = Tensor(2.0, name="x"), Tensor(1.0, name="frozen")
    frozen.requires_grad = False
    given = [x, Tensor(1.0, name="idle"), frozen, np.arange(3), np.ones(2)]
    texts = [f.text for f in audit(x * x, inputs=given).of("unreached")]
    assert texts == [
        "'idle' is not used",
        "'frozen' is a constant: requires_grad is False",
        "'3' is an array of int64, a constant: derivatives need floating-point numbers",
        "'4' is a plain array, a constant: make a Tensor of it",
    ]


def test_a_models_parameters_are_told_by_their_paths():
    class Partly(nn.Module):
        def __init__(self):
            self.used, self.idle = nn.Linear(8, 1), nn.Linear(8, 1, bias=False)

        def forward(self, x):
            return self.used(x)

    model = Partly()
    with audit(inputs=model) as report:
        np.mean(model(X)).backward()
    assert [f.text for f in report.findings] == ["'idle.weight' is not used"]


def test_inputs_of_a_transformation_are_told():
    with audit() as report:
        grad(lambda a, b: np.sum(a * stop_gradient(np.sin(b))), (0, 1))(np.ones(2), np.ones(2))
    assert "an input of shape (2,) is cut off by stop_gradient" in only(report, "unreached").text


def test_inputs_are_tensors_and_arrays():
    with pytest.raises(TypeError, match="audit: inputs are Tensors, arrays, Modules"):
        audit(inputs=["weights"])


def test_without_a_sweep_nothing_is_said_of_inputs():
    with audit() as report:
        np.sin(Tensor(1.0))
    assert not report


# --- arrays written in between --------------------------------------------------------------------


def test_a_constant_written_before_the_sweep_is_named():
    x, c = Tensor(np.ones(3), name="x"), np.arange(3.0)
    with audit(names={"c": c, "x": x}) as report:
        y, line = x * c, mark()
        c[0] = 7.0
        np.sum(y).backward()
    found = only(report, "changed")
    assert "the array 'c' that multiply read, float64 (3,)" in found.text
    assert found.where == (HERE, line)
    assert x.grad.tolist() == [7.0, 1.0, 2.0]  # wrong, as it says


def test_a_tensors_array_written_behind_its_back_is_named():
    array = np.ones(3)
    x = Tensor(array, name="x")
    with audit() as report:
        y = np.sum(np.sin(x))
        array += 1.0
        y.backward()
    assert "the array 'x' that sin read" in only(report, "changed").text


def test_views_of_a_constant_are_watched():
    x, c = Tensor(np.ones(2)), np.ones((4, 2))
    with audit(names={"c": c}) as report:
        y = x * c[1]
        c[1, 0] = 2.0
        np.sum(y).backward()
    assert "'c'" in only(report, "changed").text


def test_constants_of_operations_with_any_number_of_arguments_are_watched():
    x, c = Tensor(np.ones(3)), np.ones(3)
    with audit() as report:
        y = np.einsum("i,i", x, c)
        c[0] = 2.0
        y.backward()
    assert only(report, "changed").operation == y.node.primitive.name


def test_arrays_that_no_derivative_reads_may_be_written():
    x, c = Tensor(np.ones(3)), np.ones(3)
    with audit() as report:
        y = np.sum(x + c)
        c[...] = 5.0
        y.backward()
    assert not report


def test_writing_after_the_sweep_is_fine():
    model, c = nn.Linear(8, 1), X.copy()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with audit() as report:
        for _ in range(3):
            optimizer.zero_grad()
            np.mean(model(c) ** 2).backward()
            optimizer.step()
            c[...] = c[::-1]
    assert not report


def test_of_an_existing_graph_values_are_computed_again():
    x, c = Tensor(np.ones(3), name="x"), np.arange(3.0)
    y = np.sum(np.sin(x * c))
    assert not audit(y)
    c[1] = 5.0
    assert "multiply of its arguments is not what it was" in only(audit(y), "changed").text


def test_writes_that_are_noticed_anyway_are_told_too():
    x = Tensor(np.ones(3), name="x")
    y = np.sum(np.sin(x))
    x.data[...] = 0.0
    texts = [f.text for f in audit(y).of("changed")]
    assert any("the array of 'x'" in text for text in texts)


def test_draws_are_not_drawn_again_to_be_compared():
    generator = np.random.default_rng(0)
    y = np.sum(nn.functional.dropout(Tensor(np.ones(9)), 0.5, generator) * 2.0)
    state = generator.bit_generator.state
    assert not audit(y) and generator.bit_generator.state == state


# --- why ------------------------------------------------------------------------------------------


def brute_force(node, x, g=1.0):
    """The product of the partial derivatives along every path, of a graph of numbers."""
    if node is x:
        return [g]
    found = []
    args = [getattr(s, "value", s) for s in node.inputs]
    for i, source in enumerate(node.inputs):
        if isinstance(source, graph.Node):
            ends = [
                float(node.primitive.apply([a + h * (i == k) for k, a in enumerate(args)], {}))
                for h in (1e-6, -1e-6)
            ]
            found += brute_force(source, x, g * (ends[0] - ends[1]) / 2e-6)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_paths_are_the_products_of_their_partial_derivatives(seed):
    rng = np.random.default_rng(seed)
    x = Tensor(1.2, name="x")
    values = [x, Tensor(0.7)]
    for _ in range(6):
        a, b = (values[i] for i in rng.choice(len(values), 2))
        values.append([a + b, a * b, a - 0.3 * b, np.tanh(a)][rng.integers(4)])
    y = sum(values[2:], values[0])
    wanted = brute_force(y.node, x.node)
    found = audit(y).why(x)
    assert found.paths == len(wanted) and all(part.paths for part in found.parts)
    y.backward()
    assert math.isclose(found.whole, x.grad) and math.isclose(sum(wanted), x.grad, rel_tol=1e-6)
    total = sum(part.gradient for part in found.parts)
    assert math.isclose(total, x.grad, rel_tol=1e-12)
    if len(wanted) <= PARTS:
        np.testing.assert_allclose(
            sorted(part.gradient for part in found.parts), sorted(wanted), rtol=1e-5, atol=1e-8
        )


def test_exponentially_many_paths_are_grouped_and_add_up():
    x, w = Tensor(numbers(4), name="x"), numbers(4, 4, seed=1) / 4
    h = x
    for _ in range(40):
        h = h + np.tanh(w @ h)
    y = np.sum(h * h)
    found = audit(y).why(x)
    assert found.paths == 2**41 and len(found.parts) <= PARTS
    assert any(part.paths > 1 for part in found.parts)
    np.testing.assert_allclose(
        sum(part.gradient for part in found.parts), found.whole, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(found.whole, grad(lambda x: loss_of(x, w))(x.data), rtol=1e-12)
    assert "paths)" in repr(found)


def loss_of(x, w):
    for _ in range(40):
        x = x + np.tanh(w @ x)
    return np.sum(x * x)


def test_lines_are_where_the_input_is_read_and_add_up():
    x = Tensor(np.array([0.5, 1.0]), name="x")
    with audit() as report:
        start = mark()
        a = np.sin(x)
        b = a * x
        c = np.sum(b + x * 3.0)
        c.backward()
    found = report.why(x)
    v = x.data
    wanted = {start + 1: np.cos(v) * v, start + 2: np.sin(v), start + 3: np.full(2, 3.0)}
    assert {where[1] for where in found.lines} == {*wanted}
    for (file, line), part in found.lines.items():
        assert file == HERE
        np.testing.assert_allclose(part, wanted[line])
    np.testing.assert_allclose(sum(found.lines.values()), x.grad)
    assert f"test_audit.py:{start + 1}" in repr(found)
    assert [name for name, _ in found.parts[0].steps][-1] == "sum"


def test_an_input_read_twice_in_a_line():
    x = Tensor(2.0, name="x")
    with audit() as report:
        (np.sin(x) * x).backward()
    ((_, part),) = report.why(x).lines.items()
    assert part == pytest.approx(np.cos(2.0) * 2.0 + np.sin(2.0))


def test_the_largest_group_is_the_next_to_be_split():
    """Of two chains of choices, that of the small numbers stays one part."""
    x = Tensor(1.0, name="x")
    for order in (0, 1):
        chains = []
        for size in (1e-3, 1.0) if order else (1.0, 1e-3):
            h = x * size
            for _ in range(12):
                h = h + 0.5 * h
            chains.append(h)
        groups = [part for part in audit(chains[0] + chains[1]).why(x).parts if part.paths > 1]
        assert sum(part.paths == 2**12 for part in groups) == 1


def test_why_of_a_value_inside_and_of_the_result_itself():
    x = Tensor(2.0, name="x")
    h = np.sin(x)
    y = h * h
    report = audit(y)
    assert report.why(h).whole == pytest.approx(2 * np.sin(2.0)) and report.why(h).paths == 2
    assert report.why(y).whole == 1.0 and report.why(y).parts[0].steps == []


def test_why_of_parts_of_arrays_and_of_operations_with_several_results():
    x = Tensor(np.array([[2.0, 0.3], [0.3, 1.0]]), name="x")
    values, vectors = np.linalg.eigh(x)
    y = values[0] * 2.0 + np.sum(vectors[:, 0] * numbers(2)) + x[0, 1]
    found = audit(y).why(x)
    y.backward()
    np.testing.assert_allclose(found.whole, x.grad)
    np.testing.assert_allclose(sum(p.gradient for p in found.parts), x.grad, atol=1e-12)


def test_why_says_why_not():
    x, w = Tensor(1.0, name="x"), Tensor(2.0, name="w")
    with audit() as report:
        (w * stop_gradient(np.sin(x))).backward()
    with pytest.raises(ValueError, match="did not come to 'x': it is cut off by stop_gradient"):
        report.why(x)
    with pytest.raises(TypeError, match="why: x is a Tensor"):
        report.why(1.0)
    with pytest.raises(ValueError, match="nothing was swept back"):
        with audit() as empty:
            pass
        empty.why(x)


def test_why_after_the_values_were_written_raises():
    model = nn.MLP((8, 4, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with audit() as report:
        np.mean(model(X) ** 2).backward()
        optimizer.step()
    with pytest.raises(RuntimeError, match="has been written since"):
        report.why(model.layers[0].weight)


# --- the certificate ------------------------------------------------------------------------------


def test_right_functions_are_certified():
    assert certify(
        lambda x, w: np.linalg.solve(w, x) * np.sum(x), numbers(3), numbers(3, 3, seed=1)
    )
    assert certify(lambda t: {"a": np.sin(t["x"]), "b": [t["x"] * t["y"]]}, {"x": 1.0, "y": 2.0})
    assert certify(lambda model, x: nn.cross_entropy(model(x), Y), nn.MLP((8, 16, 3)), X)


def test_both_sides_are_the_inner_products():
    found = certify(lambda x: np.sin(x) * x, np.array([0.3, 1.2]))
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal(2), rng.standard_normal(2)
    x = np.array([0.3, 1.2])
    assert found.left == pytest.approx(np.sum(u * (np.cos(x) * x + np.sin(x)) * v))
    assert found.right == pytest.approx(found.left) and "equal" in repr(found)


def test_a_wrong_rule_is_found_and_named():
    wrong = general(
        lambda x: np.sin(x), lambda g, y, x: g * np.sin(x), lambda g, y, x: g * np.cos(x),
        name="wrong_of_test",
    )  # fmt: skip
    try:
        found = certify(lambda a, b: wrong(a) * b + np.exp(b), numbers(3), 2.0)
        assert not found
        assert found.arguments == ("args[0]",) and found.operations == ("wrong_of_test",)
        assert "NOT EQUAL" in repr(found) and "wrong_of_test" in repr(found)
    finally:
        del registry[wrong.function]


def test_draws_are_the_same_in_every_evaluation():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Tanh())
    before = model.state_dict()
    assert certify(lambda x: model(x), X)
    assert {*before} == {*model.state_dict()}


def test_nothing_to_certify_and_nothing_certified_of_a_nan():
    with pytest.raises(TypeError, match="certify: no floating-point argument"):
        certify(lambda n: n, 3)
    assert not certify(lambda x: np.sqrt(x), -1.0)


# --- audits themselves ----------------------------------------------------------------------------


def is_off():
    return (
        Tensor.bind.__name__ == Tensor.bind_constant.__name__[:4] == "bind"
        and reverse.pull_back.__name__ == "pull_back"
        and graph.silencers == 0
    )


def test_with_no_audit_open_nothing_is_replaced():
    assert is_off()
    with audit():
        assert not is_off()
    assert is_off()
    with pytest.raises(KeyError), audit():
        raise KeyError
    assert is_off()


def test_audits_nest_and_each_listens():
    x = Tensor(2.0)
    with audit() as outer:
        y = x * x
        with audit() as inner:
            np.sin(y).backward()
    assert (outer.operations, inner.operations) == (2, 1) and outer.sweeps == inner.sweeps == 1


def test_other_threads_are_not_listened_to():
    def work():
        with np.errstate(all="ignore"):
            for _ in range(50):
                np.log(Tensor(-1.0) * 2.0).backward()

    with audit() as report:
        thread = threading.Thread(target=work)
        thread.start()
        (Tensor(2.0) * 3.0).backward()
        thread.join()
    assert report.operations == 1 and report.sweeps == 1 and not report


def test_audits_in_threads_do_not_disturb_each_other():
    reports, wrong = {}, []

    def work(n):
        with audit() as reports[n]:
            for i in range(1, 30):
                x = Tensor(float(i))
                (x * x * float(n)).backward()
                if x.grad != 2.0 * i * n:
                    wrong.append((n, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and is_off()
    assert [(reports[n].operations, reports[n].sweeps) for n in range(4)] == [(58, 29)] * 4


def test_earlier_graphs_are_freed():
    model, kept = nn.MLP((8, 4, 1)), []
    with audit() as report:
        for _ in range(3):
            y = model(X)
            kept.append(weakref.ref(y.node.value))
            np.mean(y).backward()
            del y
        gc.collect()
        assert [k() is None for k in kept] == [True, True, False]
    assert report.sweeps == 3


def training_step(generator):
    model = nn.Sequential(
        nn.Linear(8, 16, generator=generator), nn.BatchNorm1d(16), nn.ReLU(),
        nn.Dropout(0.3, generator=generator), nn.Linear(16, 3, generator=generator),
    )  # fmt: skip
    nn.cross_entropy(model(X), Y).backward()
    return [p.grad for p in model.parameters()], model.state_dict()


def test_results_are_bit_for_bit_those_without_an_audit():
    plain, state = training_step(np.random.default_rng(5))
    with audit():
        audited, other = training_step(np.random.default_rng(5))
    assert all(np.array_equal(a, b) for a, b in zip(plain, audited, strict=True))
    assert all(np.array_equal(state[name], other[name]) for name in state)


def test_what_an_audit_computes_is_no_part_of_it():
    x = Tensor(numbers(3))
    with audit() as report:
        np.sum(checkpoint(np.sin)(x)).backward()
    assert report.sweeps == 2  # ours, and that of the checkpoint's second evaluation


def test_another_threads_call_is_not_around():
    first = scopes.begin()
    y = np.sin(Tensor(1.0))
    other = scopes.begin()
    z = np.cos(y)
    scopes.end(first, "first")
    scopes.end(other, "other")  # began in the first, ended after it
    assert scopes.path_of(y.node.serial) == scopes.path_of(z.node.serial) == "first"


def test_transformations_inside_give_what_they_give():
    def f(x):
        return np.sum(np.tanh(x) * np.max(x) + x[0] ** 2)

    x = numbers(3)
    tasks = [
        lambda: grad(f)(x), lambda: hessian(f)(x), lambda: jvp(f, (x,), (x,)),
        lambda: vmap(grad(f))(numbers(4, 3)), lambda: grad(lambda x: np.sum(vmap(f)(x)))(x[None]),
        lambda: grad(checkpoint(f))(x), lambda: grad(grad(lambda t: np.sin(t) * t))(0.5),
    ]  # fmt: skip
    for task in tasks:
        wanted = flatten(task())[0]
        with audit() as report:
            found = flatten(task())[0]
        assert not report and is_off()
        for a, b in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.inputs()], ids=lambda s: s.id)
def test_every_operation_can_be_audited(sample):
    """With an audit open the same gradients; and an existing graph of it can be looked at."""

    def gradients():
        xs = [Tensor(x) for x in sample.inputs()]
        ys = [y for y in flatten(sample.call(xs))[0] if isinstance(y, Tensor) and y.requires_grad]
        for y in ys:
            y.backward(np.ones(np.shape(y)) if np.shape(y) else 1.0)
        return ys, [x.grad for x in xs]

    ys, wanted = gradients()
    with audit() as report:
        _, found = gradients()
    assert report.sweeps == len(ys)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(np.asarray(a, object), np.asarray(b, object))
    if ys:
        report = audit(ys)
        assert not report.of("nan", "inf", "gradient", "changed")
        assert repr(report) and report._repr_html_()


def test_programs_without_a_fault_have_no_finding():
    autograd.seed(0)
    x = numbers(32, 1, 8, 8).astype(np.float32)
    image = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.AvgPool2d(2),
                          nn.Flatten(), nn.Linear(36, 3))  # fmt: skip
    text = nn.LSTM(8, 8)
    optimizer = optim.Adam(image.parameters(), lr=0.01)
    with audit() as report:
        for _ in range(5):
            optimizer.zero_grad()
            nn.cross_entropy(image(x), Y[:32]).backward()
            optimizer.step()
        output, _ = text(numbers(12, 4, 8).astype(np.float32))
        np.mean(output**2).backward()
        grad(lambda w: np.sum(np.exp(-(w**2)) / (1.0 + w)))(np.array([0.2, 0.4]))
    assert not report, report
    assert repr(report).endswith("nothing found")


def test_lines_of_an_existing_graph_are_those_of_source_lines():
    with source_lines():
        y, line = np.log(Tensor(-1.0)), mark()
    assert only(audit(y * 1.0), "nan").where == (HERE, line)
    assert only(audit(np.log(Tensor(-1.0))), "nan").where is None


def test_the_function_and_not_the_module_is_what_autograd_has():
    assert importlib.import_module("autograd.audit").audit is autograd.audit is audit


def test_a_line_of_a_notebook_is_one_of_its_cell():
    assert place(("/tmp/ipykernel_7/42.py", 3)) == "cell line 3"


def test_errors_say_what_is_wanted():
    for y in (3.0, Tensor(1.0), [np.ones(3)]):
        if isinstance(y, Tensor):
            y.requires_grad = False
        with pytest.raises(TypeError, match="audit: y is a Tensor with a history"):
            audit(y)
    with pytest.raises(ValueError, match="'nans' is no kind of finding; nan, inf"):
        audit(Tensor(1.0) * 2.0).of("nans")


def test_text_and_table_hold_all_findings():
    x = Tensor([0.0, 1.0], name="x<1>")
    report = audit(np.sum(np.sqrt(x) + np.log(x)))
    text, table = repr(report), report._repr_html_()
    assert text.startswith(
        f"Audit of 4 operations and 1 sweep back: {len(report.findings)} findings"
    )
    for i, finding in enumerate(report.findings, 1):
        assert f"{i}. {finding.kind}: {finding.text}" in text
        assert finding.kind in table
    assert "x&lt;1&gt;" in table and "x<1>" not in table
    assert str(report.why(x)._repr_html_()).count("<table") == 1


# --- training that stops --------------------------------------------------------------------------


def failing(model, loss=nn.cross_entropy):
    """The error that stops the training of a model."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(FloatingPointError) as raised:
        optim.fit(model, (X, Y), loss, optimizer, 2, shuffle=False, progress=False)
    return raised.value


def test_the_error_that_stops_training_tells_where_it_began():
    autograd.seed(0)
    model = nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5), nn.ReLU(), Log(), nn.Linear(4, 3))
    error = failing(model)
    first, began, finding, source, argument = str(error).split("\n")
    assert source.strip() == "return np.log(x)"
    assert first.startswith("fit: the loss is nan in epoch 1, batch 1 (step 1); try")
    assert began.startswith("It began here") and "run again under audit" in began
    assert finding.startswith("inf: log gives inf (") and finding.endswith(
        f"at test_audit.py:{Log.forward.__code__.co_firstlineno + 1}, in Sequential › layers.3: Log"
    )
    assert "argument 1: float32 (32, 4), 0 … " in argument
    assert error.report.of("nan") and error.history.stopped == "not finite"


def test_gradients_that_stop_training_are_told_too():
    class Root(nn.Module):
        def __init__(self):
            self.inside = nn.Linear(8, 1, bias=False)
            self.inside.weight.data[...] = 0

        def forward(self, x):
            return np.sqrt(self.inside(x))

    error = failing(Root(), loss=lambda o, y: np.mean(o[:, 0] - y))
    assert "gradient of inside.weight is not finite" in str(error)
    assert "gradient: sqrt pulls a finite derivative into inf" in str(error)


def test_the_step_is_run_again_with_the_same_draws_and_changes_nothing(monkeypatch):
    def run():
        generator = np.random.default_rng(4)
        model = nn.Sequential(
            nn.Linear(8, 8, generator=np.random.default_rng(1)), nn.BatchNorm1d(8),
            nn.Dropout(0.02, generator=generator), nn.Softplus(),
            nn.Linear(8, 3, generator=np.random.default_rng(2)),
        )  # fmt: skip
        drawn = []

        def loss(outputs, targets):
            h = nn.functional.dropout(outputs - outputs + 1.0, 0.01, generator)
            drawn.append(np.array(h.data))
            return np.mean(np.log(h)) + nn.cross_entropy(outputs, targets)

        error = failing(model, loss=loss)
        buffers = {k: v for k, v in model.state_dict().items() if "running" in k}
        return (
            error,
            drawn,
            generator.bit_generator.state,
            buffers,
            [p.grad for p in model.parameters()],
        )

    error, drawn, state, buffers, gradients = run()
    np.testing.assert_array_equal(drawn[-1], drawn[-2])  # the step, and the step again
    assert "inf: log gives inf" in str(error)
    monkeypatch.setattr("optim.training._audited", lambda *_: audit())
    error, plainly, other_state, other_buffers, other = run()
    assert len(plainly) == len(drawn) - 1 and state == other_state and "began" not in str(error)
    assert buffers and all(np.array_equal(buffers[k], other_buffers[k]) for k in buffers)
    assert [g is None for g in gradients] == [g is None for g in other]


def test_a_step_that_fails_otherwise_when_run_again_hides_nothing():
    calls = itertools.count()

    def loss(outputs, targets):
        if next(calls):
            raise KeyError("again")
        return nn.cross_entropy(outputs, targets) * np.nan

    error = failing(nn.Linear(8, 3), loss=loss)
    assert "the loss is nan" in str(error) and is_off()
