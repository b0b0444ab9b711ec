"""Random programs, in every way this library runs them; and those that once failed."""

import numpy as np
import pytest
from scipy import special

from autograd import Tensor, grad, jvp, tree_map, value_and_grad, vjp, vmap
from autograd.primitive import registry
from autograd.program import source
from autograd.tree import flatten

from . import fuzz
from .fuzz import CHECKS, check, reached, shrunk
from .programs import Program, make

SEED, COUNT, AT_ONCE = 3, 500, 50


@pytest.mark.parametrize("first", range(0, COUNT, AT_ONCE))
def test_random_programs(first):
    for number in range(first, first + AT_ONCE):
        program = make(SEED, number)
        for failure in check(program):
            program, failure = shrunk(program, failure)
            pytest.fail(f"program {number} of seed {SEED}: {failure}\n{program.text()}\n{program}")


def test_programs_call_most_operations():
    scipys = {id(function) for function in vars(special).values()}
    names = {op.name for function, op in registry.items() if id(function) not in scipys}
    called = set().union(*(reached(make(SEED, number)) for number in range(COUNT)))
    assert len(names & called) > 0.6 * len(names), sorted(names - called)


def test_programs_are_data():
    """What is printed is the program: evaluated, it is the same one."""
    for number in range(20):
        program = make(SEED, number)
        again = eval(repr(program), {"Program": Program, "np": np})
        assert again.text() == program.text()
        for x, y in zip(program.inputs.values(), again.inputs.values(), strict=True):
            assert type(x) is type(y) and np.asarray(x).dtype == np.asarray(y).dtype
            np.testing.assert_array_equal(x, y)


# --- the tester tested ----------------------------------------------------------------------------


def wrong(g, y, x):
    return 0.9 * g * (1 - y * y)


PLANTED = {  # what is broken of tanh -> the checks that are to notice
    "pulls": {"differences", "forward", "adjoint", "second"},
    "pushes": {"forward", "adjoint", "second"},
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_wrong_rule_is_found_and_the_program_made_small(what, monkeypatch):
    monkeypatch.setattr(registry[np.tanh], what, [wrong])
    found = {}
    for number in range(60):
        program = make(SEED, number)
        if "tanh" in reached(program):
            for failure in check(program):
                found.setdefault(failure.check, (program, failure))
    assert PLANTED[what] <= found.keys()
    for name in PLANTED[what]:
        program, failure = shrunk(*found[name])
        assert failure.check == name
        assert len(program.steps) == 1 and "tanh" in program.text(), program.text()


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_can_fail(name, monkeypatch):
    """Each is given a program of which one way to run it is off by a little."""
    program = Program({"x0": np.array([0.5, 2.0])}, ["v0 = np.tanh(x0) * x0"], ["v0"])
    assert not check(program, [name])
    places = {
        "value": "Tensor", "reverse": "value_and_grad", "compiled": "compile", "printed": "source",
        "checkpoint": "grad", "forward": "jvp", "adjoint": "vjp", "second": "jvp",
        "differences": "value_and_grad", "mapped": "vmap",
    }  # fmt: skip
    planted = in_single if name == "reverse" else OFF[places[name]]
    monkeypatch.setattr(fuzz, places[name], planted)
    assert [failure.check for failure in check(program, [name])] == [name]


def off(x):
    """A result with its last array a little larger."""
    leaves, rebuild = flatten(x)
    return rebuild([*leaves[:-1], leaves[-1] * (1 + 1e-3)])


def later(transformation):
    """A transformation whose function's results are off."""
    return lambda f, *rest: lambda *args: off(transformation(f, *rest)(*args))


def in_single(f, *rest):
    return lambda *args: tree_map(np.float32, value_and_grad(f, *rest)(*args))


class Printed:
    """A text whose function is off."""

    def __init__(self, *args, **options):
        self.text = source(*args, **options)

    def function(self):
        return lambda *args: self.text.function()(*args) * (1 + 1e-3)


OFF = {
    "Tensor": lambda x: Tensor(x * (1 + 1e-3)),
    "value_and_grad": later(value_and_grad),
    "compile": later(lambda f: f),
    "source": Printed,
    "grad": later(grad),
    "jvp": lambda *args: off(jvp(*args)),
    "vjp": lambda f, *xs: (f(*xs), lambda u: off(vjp(f, *xs)[1](u))),
    "vmap": later(vmap),
}


# --- kept -----------------------------------------------------------------------------------------

KEPT = {
    "a checkpoint of a derivative had the derivative 0": Program(
        {"x0": np.array(1.0)},
        ["v0 = autograd.vjp(lambda t: np.cos(t) * t, x0)[1](np.ones_like(x0))[0]"],
        ["v0"],
    ),
    "a compiled program took the value it stops at for a constant": Program(
        {"x0": np.array([1.0, 2.0])},
        ["v0 = x0 * autograd.stop_gradient(np.prod(x0))"],
        ["v0"],
    ),
    "under vmap an assigned value had no axis too many": Program(
        {"x0": np.array([1.0]), "x1": np.array([[0.5]])},
        ["v0 = 1.0 * x0\nv0[:] = x1\nv0[::-1] *= 0.5"],
        ["v0"],
    ),
    "a value assigned with axes too many had no derivative": Program(
        {"x0": np.array([1.0, 2.0]), "x1": np.array([[[0.5]]])},
        ["v0 = 1.0 * x0\nv0[:] = x1 * x1", "v1 = 1.0 * x0\nv1[1:1, None] = x1"],
        ["v0", "v1"],
    ),
    "a remainder was longer than NumPy's, as it was rounded otherwise": Program(
        {"x0": np.array(0.3)},
        [
            "v0 = np.polydiv((np.array([-1.514, 0.318, 0.684]) + 0.05 * np.tanh(x0)), "
            "(1.5 + 0.05 * np.tanh(x0)))[1]"
        ],
        ["v0"],
    ),
    "a view of what a cast that is left out gave was not known to be one": Program(
        {"x0": np.array([0.5, 2.0])},
        [
            "v0 = np.sinh(x0)",
            "v1 = v0.astype(np.float64)",
            "v2 = v1[::-1]",
            "v3 = np.sin(v0) * np.cos(v0)",
        ],
        ["v2", "v3"],
    ),
    "the sums of an array of one element were kept from call to call": Program(
        {"x0": np.array([[1.0]])}, ["v0 = x0[:, 0]"], ["v0"]
    ),
    "sums that are a part of other sums were not added there": Program(
        {"x0": np.ones((4, 1))},
        ["v0 = x0[:, :]", "v1 = np.stack([np.sin(row) * k for k, row in enumerate(v0)])"],
        ["v1"],
    ),
    "elements of a direction were read after its cast, under the same name": Program(
        {"x0": np.array([0.7], np.float32)},
        ["v0 = x0[0] * x0[-1]", "v1 = x0.astype(np.float64)"],
        ["v1", "v0"],
    ),
    "a factor of 1 that was left out had put the elements in another order": Program(
        {"x0": np.array([[1.0]]), "x2": np.ones((2, 3, 1)), "x1": np.ones((3, 4))},
        ["v0 = 1.0 * x1\nv0[..., :, [3, 1]] = x0"],
        ["v0"],
    ),
    "an array and its first element were taken for one argument": Program(
        {"x0": np.array([1.0])}, ["v0 = np.maximum(x0, x0[0])"], ["v0"]
    ),
    "a polynomial of whole coefficients at a float32 was not as wide as NumPy's": Program(
        {"x0": np.array([0.5], np.float32)}, ["v0 = np.polyval([3, 0, 1], x0)"], ["v0"]
    ),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_failed_once(what):
    assert not check(KEPT[what])
