"""Tensor, sentence by sentence: construction, operators, indexing, assignment, writing, copies."""

import copy
import gc
import math
import operator
import pickle
import re
import threading
import weakref

import numpy as np
import pytest

import autograd
import optim
from autograd import Tensor, grad, gradients, no_grad, stop_gradient
from autograd.graph import history
from autograd.rules.random import normal, uniform


def equal(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def vector(*values, name=None):
    return Tensor(np.array(values, float), name)


def chain(error):
    """What a traceback shows: the messages of an exception and of those it came from."""
    seen = []
    while error is not None:
        seen.append(str(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(seen)


# --- construction ------------------------------------------------------------------------------

GIVEN = {
    "float": (2.5, (), np.float64),
    "int": (2, (), np.float64),
    "NumPy float64": (np.float64(2.5), (), np.float64),
    "NumPy float32": (np.float32(2.5), (), np.float32),
    "list of floats": ([1.0, 2.0], (2,), np.float64),
    "list of ints": ([[1, 2], [3, 4]], (2, 2), np.float64),
    "tuple": ((1, 2.5), (2,), np.float64),
    "empty list": ([], (0,), np.float64),
    "float64 array": (np.ones((2, 3)), (2, 3), np.float64),
    "float32 array": (np.ones((2, 3), np.float32), (2, 3), np.float32),
    "float16 array": (np.ones(2, np.float16), (2,), np.float16),
    "array without axes": (np.array(1.5, np.float32), (), np.float32),
    "list of float32": ([np.float32(1), np.float32(2)], (2,), np.float32),
}


@pytest.mark.parametrize("case", GIVEN)
def test_construction(case):
    data, shape, dtype = GIVEN[case]
    t = Tensor(data)
    assert t.shape == shape and t.ndim == len(shape) and t.size == math.prod(shape)
    assert t.dtype == dtype
    equal(t.data, data)
    assert t.grad is None and t.name is None and t.requires_grad


REFUSED = {
    "int array": (np.arange(3), r"array of int64.*astype\(float\)"),
    "unsigned array": (np.arange(3, dtype=np.uint8), r"array of uint8.*astype\(float\)"),
    "int scalar": (np.int64(3), r"int64.*astype\(float\)"),
    "bool array": (np.array([True]), r"bool.*astype\(float\)"),
    "list of bools": ([True, False], r"bool.*astype\(float\)"),
    "bool": (True, "bool"),
    "complex array": (np.array([1j]), "complex128.*real and imaginary"),
    "complex number": (1j, "complex.*real and imaginary"),
    "list of complex": ([1j], "complex.*real and imaginary"),
    "string": ("1.0", "a str"),
    "None": (None, "a NoneType"),
    "objects": (np.array([object()]), "object"),
    "Tensor": (Tensor(1.0), "Tensor already"),
    "list of Tensors": ([Tensor(1.0), Tensor(2.0)], r"np\.stack"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_data_is_refused_with_advice(case):
    data, message = REFUSED[case]
    with pytest.raises(TypeError, match=f"(?s){message}"):
        Tensor(data, name="weights")


def test_refusal_names_the_tensor():
    with pytest.raises(TypeError, match="weights"):
        Tensor(np.arange(3), name="weights")


def test_arrays_are_kept_without_a_copy():
    a = np.ones(3)
    assert np.shares_memory(Tensor(a).data, a)


def test_tensor_is_final():
    with pytest.raises(TypeError, match="final"):
        type("Own", (Tensor,), {})


def test_name_is_kept_and_can_be_set():
    t = Tensor(1.0, name="w")
    assert t.name == "w"
    t.name = "v"
    assert t.name == "v" and (t * 2).name is None
    y = t * 2
    y.name = "twice"
    assert y.name == "twice"


def test_transpose():
    a = np.arange(6.0).reshape(2, 3)
    t = Tensor(a)
    equal(t.T.data, a.T)
    weight = np.arange(6.0).reshape(3, 2)
    t.T.backward(weight)
    equal(t.grad, weight.T)


def test_item_is_a_python_float():
    for t in (Tensor(2.5), vector(2.5), Tensor(np.float32(2.5)), Tensor(np.array([[2.5]]))):
        assert type(t.item()) is float and t.item() == 2.5
    with pytest.raises(ValueError):
        vector(1, 2).item()


def test_python_numbers_stay_python_numbers():
    """They are weakly typed then, and fast."""
    x = Tensor(2.0)
    for y in (x * 3, x / 2, 1 - x, x**2, -x, x * x, np.sin(x), np.exp(x) + 1, abs(x)):
        assert type(y.data) is float
    assert (x * np.ones(2, np.float32)).dtype == np.float32


# --- operators ---------------------------------------------------------------------------------

X = np.array([0.7, 1.9, 2.3])
OTHERS = {
    "Tensor": (Tensor([1.3, 0.4, 1.1]), np.array([1.3, 0.4, 1.1])),
    "one-number Tensor": (Tensor(1.3), 1.3),
    "float": (1.3, 1.3),
    "int": (2, 2),
    "ndarray": (np.array([1.3, 0.4, 1.1]), np.array([1.3, 0.4, 1.1])),
    "column": (np.array([[1.3], [0.4]]), np.array([[1.3], [0.4]])),
    "array without axes": (np.array(1.3), np.array(1.3)),
    "int array": (np.array([2, 1, 3]), np.array([2, 1, 3])),
    "NumPy float": (np.float64(1.3), np.float64(1.3)),
    "NumPy int": (np.int64(2), np.int64(2)),
    "list": ([1.3, 0.4, 1.1], np.array([1.3, 0.4, 1.1])),
    "list of ints": ([2, 1, 3], np.array([2, 1, 3])),
}
OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow,
}  # fmt: skip


def slope_of_sum(f, x):
    """The gradient of the sum of f's elements, by central differences."""
    h, g = 1e-6, np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        g[i] = (np.sum(f(x + step)) - np.sum(f(x - step))) / (2 * h)
    return g


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_operator(symbol, kind, side):
    """Value and gradient with any operand on either side."""
    other, array = OTHERS[kind]
    compute = OPERATORS[symbol]
    f = (lambda t, o: compute(t, o)) if side == "left" else (lambda t, o: compute(o, t))
    t = Tensor(X)
    y = f(t, other)
    assert type(y) is Tensor
    np.testing.assert_allclose(y.data, f(X, array), rtol=1e-15)
    assert y.dtype == np.float64
    found = gradients(y, t, seed=np.ones(y.shape))
    np.testing.assert_allclose(found, slope_of_sum(lambda x: f(x, array), X), atol=1e-7)
    if isinstance(other, Tensor):
        np.testing.assert_allclose(
            gradients(y, other, seed=np.ones(y.shape)),
            slope_of_sum(lambda a: f(X, a), np.asarray(array)),
            atol=1e-7,
        )


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operator_on_one_number(symbol):
    a, b = 2.3, 0.7
    s, t = Tensor(a), Tensor(b)
    y = OPERATORS[symbol](s, t)
    assert y.data == OPERATORS[symbol](a, b)
    y.backward()
    h = 1e-6
    f = OPERATORS[symbol]
    np.testing.assert_allclose(s.grad, (f(a + h, b) - f(a - h, b)) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(t.grad, (f(a, b + h) - f(a, b - h)) / (2 * h), atol=1e-8)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 2))],
)
@pytest.mark.parametrize("kinds", ["Tensor @ Tensor", "Tensor @ ndarray", "ndarray @ Tensor"])
def test_matmul(left, right, kinds):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=left), rng.normal(size=right)
    s = Tensor(a) if kinds.startswith("T") else a
    t = Tensor(b) if kinds.endswith("Tensor") else b
    y = s @ t
    np.testing.assert_allclose(y.data, a @ b)
    y.backward(np.ones(y.shape))
    if isinstance(s, Tensor):
        np.testing.assert_allclose(s.grad, slope_of_sum(lambda a: a @ b, a), atol=1e-7)
    if isinstance(t, Tensor):
        np.testing.assert_allclose(t.grad, slope_of_sum(lambda b: a @ b, b), atol=1e-7)


def test_matmul_with_a_list():
    t = vector(1, 2)
    equal((t @ [[1.0, 2.0], [3.0, 4.0]]).data, [7, 10])
    equal(([[1.0, 2.0], [3.0, 4.0]] @ t).data, [5, 11])


def test_unary_operators():
    t = vector(-2, 3)
    for y, slope in ((-t, [-1, -1]), (+t, [1, 1]), (abs(t), [-1, 1])):
        equal(gradients(y, t, seed=np.ones(2)), slope)
    equal((-t).data, [2, -3])
    equal((+t).data, [-2, 3])
    equal(abs(t).data, [2, 3])


def test_divmod():
    t = vector(7.5, -7.5)
    quotient, remainder = divmod(t, 2.0)
    equal(quotient.data if isinstance(quotient, Tensor) else quotient, [3, -4])
    equal(remainder.data, [1.5, 0.5])
    remainder.backward(np.ones(2))
    equal(t.grad, [1, 1])
    _, remainder = divmod(7.5, vector(2.0))
    equal(remainder.data, [1.5])


def test_numpys_answer_where_python_would_raise():
    """1/0 is inf and (-8)**0.5 is nan for one number too, in values and in derivatives."""
    with np.errstate(all="ignore"):
        assert (1 / Tensor(0.0)).data == np.inf
        assert (Tensor(10.0) ** 400).data == np.inf
        assert np.isnan((Tensor(-8.0) ** 0.5).data)
        assert np.isnan((Tensor(0.0) / 0.0).data)
        assert np.isnan((Tensor(0.0) % 0.0).data)
        assert grad(lambda x: 1 / x)(0.0) == -np.inf
        assert grad(np.sqrt)(0.0) == np.inf


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_comparisons_give_plain_results(name):
    compare = getattr(operator, name)
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    for left, right in (
        (Tensor(a), Tensor(b)), (Tensor(a), b), (a, Tensor(b)), (Tensor(a), 2.0),
        (Tensor(a), np.float64(2)), (Tensor(a), [2.0, 2.0, 2.0]),
    ):  # fmt: skip
        result = compare(left, right)
        assert type(result) is np.ndarray and result.dtype == bool
        equal(result, compare(a, b))
    equal(compare(2.0, Tensor(a)), compare(2.0, a))
    equal(compare(np.float64(2.0), Tensor(a)), compare(2.0, a))
    assert compare(Tensor(1.0), 2.0) == compare(1.0, 2.0)


def test_comparison_with_something_else():
    t = vector(1, 2)
    assert (t == None) is False  # noqa: E711 - the operator is what is tested
    assert (t != "a") is True
    with pytest.raises(TypeError):
        _ = t < "a"


def test_tensors_can_be_keys():
    s, t = vector(1, 2), vector(1, 2)
    assert {s: 1, t: 2}[s] == 1
    assert hash(s) != hash(t)


def test_arithmetic_with_something_else_raises():
    for other in ("a", None, {}):
        with pytest.raises(TypeError):
            Tensor(1.0) * other
        with pytest.raises(TypeError):
            other * Tensor(1.0)


def test_a_plain_array_is_not_written_by_an_operator():
    """`A += t` would lose the derivative; `A = A + t` is what to write."""
    a = np.zeros(3)
    with pytest.raises(TypeError, match=r"a = a \+ t"):
        a += vector(1, 2, 3)
    with pytest.raises(TypeError, match="returned value"):
        np.multiply(vector(1, 2, 3), 2.0, out=a)
    equal(a, np.zeros(3))


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "//", "%", "**"])
def test_augmented_assignment_outside_no_grad_makes_a_new_value(symbol):
    a = np.array([2.0, 3.0])
    x = t = Tensor(a)
    t = getattr(operator, f"i{OPERATORS[symbol].__name__}")(t, 2.0)
    equal(t.data, OPERATORS[symbol](np.array([2.0, 3.0]), 2.0))
    assert t is not x
    equal(x.data, [2, 3])
    equal(a, [2, 3])


# --- indexing ----------------------------------------------------------------------------------

CUBE = np.arange(24.0).reshape(2, 3, 4)
INDICES = {
    "int": 1,
    "negative int": -1,
    "NumPy int": np.int64(1),
    "ints": (1, 2, 3),
    "slice": slice(0, 1),
    "negative step": (slice(None), slice(None, None, -2)),
    "empty slice": slice(2, 2),
    "None": None,
    "None inside": (0, None, slice(1, 3)),
    "Ellipsis": (..., 2),
    "only Ellipsis": ...,
    "empty tuple": (),
    "mask": CUBE % 5 < 2,
    "mask of leading axes": np.array([[True, False, True], [False, True, True]]),
    "mask of one axis": (slice(None), np.array([True, False, True])),
    "empty mask": np.zeros(CUBE.shape, bool),
    "list of bools": [True, False],
    "True": True,
    "integer array": np.array([1, 0, 1]),
    "integer list": [0, 0, 1],
    "negative integers": [-1, 0, -1],
    "empty list": [],
    "matrix of integers": np.array([[0, 1], [1, 1]]),
    "repeats": (0, [1, 1, 1], 2),
    "two lists": ([0, 1, 0], [2, 2, 2]),
    "lists that broadcast": (np.array([[0], [1]]), np.array([2, 0, 2])),
    "slice and list": (slice(None), [0, 0, 2]),
    "lists apart": ([0, 1], slice(None), [3, 3]),
    "list and None": ([0, 1, 1], None, slice(None), 0),
    "ix_": np.ix_([0, 1], [2, 2], [0, 3]),
    "mask and list": (np.array([True, True]), [0, 2], slice(1, 3)),
    "int array without axes": np.array(1),
}


@pytest.mark.parametrize("case", INDICES)
def test_indexing(case):
    """Value as NumPy's; elements read several times get several contributions."""
    index = INDICES[case]
    t = Tensor(CUBE)
    y = t[index]
    equal(y.data, CUBE[index])
    assert y.shape == CUBE[index].shape
    seed = np.random.default_rng(0).normal(size=y.shape)
    y.backward(seed)
    expected = np.zeros_like(CUBE)
    np.add.at(expected, index, seed)
    np.testing.assert_allclose(t.grad, expected, atol=1e-15)


def test_several_reads_of_one_array_add_up():
    t = vector(1, 2, 3)
    y = t[0] * t[1] + t[[0, 0]].sum() + t[1:].sum() + np.sum(t)
    y.backward()
    equal(t.grad, [2 + 2 + 1, 1 + 1 + 1, 1 + 1])


def test_iteration_gives_the_rows():
    t = Tensor(np.arange(6.0).reshape(3, 2))
    rows = list(t)
    assert all(type(row) is Tensor and row.shape == (2,) for row in rows) and len(rows) == 3
    a, b, c = t
    (a[0] * c[1] + b.sum()).backward()
    equal(t.grad, [[5, 0], [1, 1], [0, 0]])


def test_unpacking_a_vector_gives_numbers():
    x, y = vector(2, 5)
    assert x.shape == () and (x * y).item() == 10


def test_len():
    assert len(Tensor(np.ones((4, 2)))) == 4
    assert len(Tensor([])) == 0


def test_a_number_has_no_length_and_no_elements():
    for t in (Tensor(1.0), Tensor(np.array(1.0))):
        with pytest.raises(TypeError, match="len"):
            len(t)
        with pytest.raises(TypeError, match="iteration"):
            iter(t)
        with pytest.raises(IndexError):
            t[0]


def test_bool_of_one_element():
    assert Tensor(1.0) and vector(2.0) and not Tensor(0.0) and not Tensor(np.zeros((1, 1)))


@pytest.mark.parametrize("t", [Tensor([1.0, 2.0]), Tensor([])], ids=["two", "none"])
def test_bool_of_other_sizes_is_ambiguous(t):
    with pytest.raises(ValueError, match=r"shape \(\d,\).*\.any\(\) or \.all\(\)"):
        bool(t)


# --- item assignment ---------------------------------------------------------------------------


def test_assignment_is_recorded():
    x, v = vector(1, 2, 3), Tensor(5.0)
    t = x * 1.0
    t[1] = v * v
    equal(t.data, [1, 25, 3])
    np.sum(t * t).backward()
    equal(x.grad, [2, 0, 6])
    assert v.grad == 2 * 25 * 2 * 5


@pytest.mark.parametrize("case", INDICES)
def test_assignment_at_every_kind_of_index(case):
    index = INDICES[case]
    x, v = Tensor(CUBE), Tensor(3.0)
    t = x * 1.0
    t[index] = v
    expected = CUBE.copy()
    expected[index] = 3.0
    equal(t.data, expected)
    written = np.zeros(CUBE.shape, bool)
    written[index] = True
    t.backward(np.ones(CUBE.shape))
    equal(x.grad, ~written)
    assert v.grad == written.sum()


def test_earlier_results_keep_the_value_they_were_made_from():
    x = vector(1, 2, 3)
    t = x * 1.0
    before = t * t
    t[0] = 10.0
    equal(before.data, [1, 4, 9])
    np.sum(before).backward()
    equal(x.grad, [2, 4, 6])


def test_assignment_leaves_the_array_given_alone():
    a = np.ones(3)
    x = Tensor(a)
    x[0] = 5.0
    equal(a, np.ones(3))
    equal(x.data, [5, 1, 1])


def test_an_assigned_input_keeps_its_gradient_and_name():
    """The gradient is that of the values x was given; those overwritten do not count."""
    x = vector(1, 2, 3, name="x")
    x[0] = 5.0
    assert x.name == "x"
    np.sum(x * x).backward()
    equal(x.grad, [0, 4, 6])


def test_assigned_values_broadcast():
    x, row = Tensor(np.zeros((2, 3))), vector(1, 2, 3)
    x[:] = row
    np.sum(x).backward()
    equal(row.grad, [2, 2, 2])


def test_augmented_item_assignment():
    x = vector(1, 2, 3)
    t = x * 1.0
    t[0] += x[1] * 10
    t[1:] *= 2
    equal(t.data, [21, 4, 6])
    np.sum(t).backward()
    equal(x.grad, [1, 12, 2])


def test_a_constant_assigned_a_variable_becomes_one():
    c, v = Tensor(np.zeros(2)).detach(), Tensor(3.0)
    c[0] = v
    assert c.requires_grad and c.grad is None
    np.sum(c * c).backward()
    assert v.grad == 6 and c.grad is None


def test_a_constant_assigned_a_constant_stays_one():
    a = np.zeros(2)
    c = Tensor(a).detach()
    c[0] = 3.0
    assert not c.requires_grad
    equal(c.data, [3, 0])


def test_float32_stays_float32_when_assigned():
    x = Tensor(np.ones(3, np.float32))
    x[0] = Tensor(2.0)
    assert x.dtype == np.float32
    np.sum(x * x).backward()
    assert x.grad.dtype == np.float32


def test_a_failed_assignment_changes_nothing():
    x = vector(1, 2, 3)
    node = x.node
    for index, value, error in (
        (7, 1.0, IndexError), (slice(2), np.ones(3), ValueError), (0, "a", (TypeError, ValueError)),
    ):  # fmt: skip
        with pytest.raises(error):
            x[index] = value
    assert x.node is node
    equal(x.data, [1, 2, 3])


# --- no silent loss of derivatives -------------------------------------------------------------

LOSSES = {
    "float": (lambda t: float(t), r"\.item\(\)"),
    "int": (lambda t: int(t), r"\.item\(\)"),
    "complex": (lambda t: complex(t), r"\.item\(\)"),
    "math.sin": (lambda t: math.sin(t), r"np\.sin.*\.item\(\)"),
    "np.array of a list": (lambda t: np.array([t, t]), r"np\.stack"),
    "np.array": (lambda t: np.array(t), r"np\.stack.*\.data"),
    "np.asarray": (lambda t: np.asarray(t, np.float32), r"\.data"),
    "writing an element": (lambda t: np.zeros(3).__setitem__(0, t), r"np\.stack|\.item\(\)"),
    "writing a part": (lambda t: np.zeros(3).__setitem__(slice(2), t * np.ones(2)), r"np\.stack"),
    "np.float64": (lambda t: np.float64(t), r"\.item\(\)|\.data"),
}


@pytest.mark.parametrize("case", LOSSES)
@pytest.mark.parametrize("make", [lambda: Tensor(2.0), lambda: Tensor(np.array(2.0)) * 1.5])
def test_losing_a_derivative_raises_and_names_the_way(case, make):
    call, way = LOSSES[case]
    with pytest.raises((TypeError, ValueError)) as caught:
        call(make())
    assert re.search(way, chain(caught.value), re.DOTALL), chain(caught.value)


def test_constants_convert_freely():
    """There is no derivative to lose."""
    c = (Tensor(2.0) * 1.5).detach()
    assert float(c) == 3.0 and type(float(c)) is float
    assert int(c) == 3
    assert math.sin(c) == math.sin(3.0)
    equal(np.array([c, c]), [3, 3])
    equal(np.asarray(vector(1, 2).detach()), [1, 2])
    assert np.array(vector(1, 2).detach(), np.float32).dtype == np.float32
    a = np.zeros(2)
    a[0] = c
    equal(a, [3, 0])


def test_formatting():
    loss = Tensor(0.123456) * 2
    assert f"{loss:.3f}" == "0.247"
    assert f"{vector(2.5):8.2e}" == "2.50e+00"
    assert "{:>6.1f}".format(Tensor(np.float32(2.5))) == "   2.5"  # noqa: UP032 - tested
    assert f"{loss}" == str(loss) == repr(loss)
    with pytest.raises(TypeError, match=r"shape \(2,\)"):
        f"{vector(1, 2):.3f}"


def test_repr():
    assert repr(Tensor(2.0)) == "Tensor(2.0)"
    assert repr(vector(1, 2, name="w")) == "Tensor([1., 2.], name='w')"
    assert repr(Tensor(np.ones(1, np.float32))) == "Tensor([1.], dtype=float32)"
    assert repr(vector(1).detach()) == "Tensor([1.], constant)"


# --- constants ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [lambda t: t.detach(), stop_gradient], ids=["detach", "stop"])
def test_no_gradient_flows_through_a_detached_tensor(cut):
    x = vector(2, 3)
    y = np.sum(x * cut(x * x))
    assert y.item() == 8 + 27
    y.backward()
    equal(x.grad, [4, 9])


def test_detach_shares_memory_and_name():
    x = vector(1, 2, name="w")
    d = x.detach()
    assert np.shares_memory(d.data, x.data) and d.name == "w"
    assert not d.requires_grad and x.requires_grad
    assert not (d * 2).requires_grad


def test_stop_gradient_of_plain_values_is_the_value():
    a = np.ones(2)
    assert stop_gradient(a) is a and stop_gradient(2.0) == 2.0


def test_stop_gradient_goes_into_containers():
    x = vector(2, 3)
    h, rest = stop_gradient((x * x, {"c": [x * 3, None]}))
    assert isinstance(rest["c"], list) and rest["c"][1] is None
    np.sum(x * h + x * rest["c"][0]).backward()
    equal(x.grad, [4 + 6, 9 + 9])


def test_a_detached_result_does_not_let_the_graph_be_changed():
    """Writing its data either is refused or is noticed: exp's derivative needs its value."""
    x = vector(0, 0)
    y = np.exp(x)
    d = y.detach()
    with pytest.raises((ValueError, RuntimeError)):
        d.data[...] = 7.0
        y.backward(np.ones(2))


def test_no_grad_records_nothing():
    x = vector(1, 2)
    with no_grad():
        y = np.sum(x * x)
        z = x[0]
    assert not y.requires_grad and not z.requires_grad and y.item() == 5
    assert not history(y.node)[1:]
    assert (x * x).requires_grad


def test_no_grad_nests():
    x = Tensor(1.0)
    with no_grad():
        with no_grad():
            assert not (x * x).requires_grad
        assert not (x * x).requires_grad
    assert (x * x).requires_grad


def test_no_grad_survives_exceptions():
    x = Tensor(1.0)
    with pytest.raises(KeyError), no_grad(), no_grad():
        raise KeyError
    assert (x * x).requires_grad
    with no_grad():
        assert not (x * x).requires_grad


def test_no_grad_as_a_decorator():
    @no_grad()
    def square(x):
        return x * x

    x = Tensor(3.0)
    assert not square(x).requires_grad and not square(x).requires_grad
    assert (x * x).requires_grad


def in_another_thread(f):
    result = []
    thread = threading.Thread(target=lambda: result.append(f()))
    thread.start()
    thread.join()
    return result[0]


def test_no_grad_is_of_its_own_thread():
    x = Tensor(3.0)
    with no_grad():
        assert in_another_thread(lambda: (x * x).requires_grad)
        assert not (x * x).requires_grad


def test_assignment_does_not_depend_on_other_threads_no_grad():
    """A constant assigned a variable is recorded, whatever block is open elsewhere."""

    def assigned():
        c, v = Tensor(np.zeros(2)).detach(), Tensor(3.0)
        c[0] = v
        return c.requires_grad

    with no_grad():
        assert in_another_thread(assigned)


def test_transformations_inside_no_grad_record():
    x = Tensor(3.0)
    with no_grad():
        assert grad(lambda t: t * t * x)(2.0).item() == 12
        assert grad(grad(lambda t: t**3))(2.0) == 12
        assert not grad(lambda t: t * x)(x).requires_grad


@pytest.mark.parametrize("buffer", ["input", "constant"])
def test_assignment_in_a_transformation_inside_no_grad_is_recorded(buffer):
    def f(t):
        acc = Tensor(np.zeros(2))
        acc = acc if buffer == "input" else acc.detach()
        acc[0] = t * t
        return np.sum(acc)

    with no_grad():
        assert grad(f)(3.0) == 6


@pytest.mark.parametrize("name", ["iadd", "isub"])
def test_augmented_assignment_in_a_transformation_inside_no_grad_is_recorded(name):
    def f(t):
        return getattr(operator, name)(Tensor(0.0), t * t)

    with no_grad():
        assert abs(grad(f)(3.0)) == 6


def test_backward_inside_no_grad():
    x = Tensor(3.0)
    y = x * x
    with no_grad():
        y.backward()
    assert x.grad == 6


# --- in-place updates ----------------------------------------------------------------------------

UPDATES = {
    "+": 2.0, "-": 2.0, "*": 2.0, "/": 2.0, "//": 2.0, "%": 2.0, "**": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("symbol", UPDATES)
def test_update_inside_no_grad_is_in_place(symbol):
    """The handle, the array and the name stay; the Tensor still is an input."""
    a = np.array([5.0, 7.0])
    w = handle = Tensor(a, name="w")
    w.grad = np.ones(2)
    with no_grad():
        w = getattr(operator, f"i{OPERATORS[symbol].__name__}")(w, UPDATES[symbol])
    assert w is handle and w.requires_grad and w.name == "w"
    equal(a, OPERATORS[symbol](np.array([5.0, 7.0]), UPDATES[symbol]))
    equal(w.data, a)
    equal(w.grad, [1, 1])


def test_gradient_descent_by_hand():
    w, lr = vector(1, -2), 0.1
    for _ in range(3):
        w.grad = None
        np.sum(w * w).backward()
        with no_grad():
            w -= lr * w.grad
    np.testing.assert_allclose(w.data, 0.8**3 * np.array([1, -2]))


def test_gradient_descent_on_one_number():
    w = Tensor(1.0)
    for _ in range(3):
        w.grad = None
        (w * w).backward()
        with no_grad():
            w -= 0.1 * w.grad
    assert type(w.data) is float and w.requires_grad
    np.testing.assert_allclose(w.data, 0.8**3)


def test_an_update_keeps_the_dtype():
    w = Tensor(np.ones(2, np.float32))
    with no_grad():
        w -= 0.1 * np.ones(2)
    assert w.dtype == np.float32


def test_item_assignment_inside_no_grad_is_in_place():
    a = np.ones(3)
    w = Tensor(a)
    with no_grad():
        w[0] = 5.0
        w[1:] *= 3.0
    equal(a, [5, 3, 3])
    assert w.requires_grad and w.data.base is not None and np.shares_memory(w.data, a)


def test_a_failed_update_changes_nothing():
    a = np.ones(3)
    w = Tensor(a)
    with no_grad():
        with pytest.raises(ValueError):
            w -= np.ones(4)
        with pytest.raises(IndexError):
            w[3] = 1.0
    equal(a, np.ones(3))


def test_setting_data():
    w = vector(1, 2, name="w")
    w.grad = np.ones(2)
    w.data = np.array([3.0, 4.0])
    equal(w.data, [3, 4])
    equal(w.grad, [1, 1])
    assert w.name == "w" and w.requires_grad
    np.sum(w * w).backward()
    equal(w.grad, [7, 9])
    w.data = [5, 6]
    assert w.dtype == np.float64
    with pytest.raises(TypeError, match=r"w.*astype"):
        w.data = np.array([1, 2])
    equal(w.data, [5, 6])


def test_the_gradient_has_the_shape_of_the_data_after_setting_data():
    w = vector(1, 2, 3)
    np.sum(w * w).backward()
    try:
        w.data = np.ones(1)
    except ValueError:
        pass
    np.sum(w * w).backward()
    assert w.grad.shape == w.shape


def test_results_have_no_data_to_set_or_write():
    y = vector(1, 2) * 2
    with pytest.raises(TypeError, match="multiply.*input"):
        y.data = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 1.0


def test_freeze_and_thaw():
    w, x = vector(1, 2), vector(3, 4)
    w.requires_grad = False
    np.sum(w * x).backward()
    assert w.grad is None and not w.requires_grad
    equal(x.grad, [1, 2])
    w.requires_grad = True
    np.sum(w * x).backward()
    equal(w.grad, [3, 4])


def test_freezing_keeps_gradient_name_and_array():
    a = np.ones(2)
    w = Tensor(a, name="w")
    np.sum(w * w).backward()
    w.requires_grad = False
    equal(w.grad, [2, 2])
    assert w.name == "w" and np.shares_memory(w.data, a)
    w.requires_grad = True
    np.sum(w * w).backward()
    equal(w.grad, [4, 4])


def test_a_result_cannot_be_frozen():
    with pytest.raises(TypeError, match=r"\.detach\(\)"):
        (Tensor(1.0) * 2).requires_grad = False


def test_grad_can_be_set_and_forgotten():
    w = vector(1, 2, name="w")
    w.grad = np.array([3.0, 4.0])
    np.sum(w).backward()
    equal(w.grad, [4, 5])
    w.grad = None
    assert w.grad is None
    with pytest.raises(ValueError, match=r"\(3,\).*'w'.*\(2,\)"):
        w.grad = np.ones(3)
    assert w.grad is None


def test_results_keep_no_gradient():
    x = Tensor(2.0)
    y = x * x
    (y * y).backward()
    assert y.grad is None and x.grad == 32
    with pytest.raises(TypeError, match="not an input"):
        y.grad = 1.0


# --- a graph does not read what was written since ----------------------------------------------


def descend(x):
    with no_grad():
        x -= 0.5


def assign(x):
    with no_grad():
        x[0] = 9.0


def subtract(x):
    x.data -= 0.5


def multiply_part(x):
    x.data[1:] *= 3


def iterate(x):
    for row in x.data:
        row[...] = 9.0


def set_flat(x):
    x.data.flat = 9.0


def through_a_second_handle(x):
    Tensor(x.data).data[...] = 9.0


def through_detach(x):
    x.detach().data[...] = 9.0


def through_a_view(x):
    x[0].detach().data[...] = 9.0


def through_a_silent_reshape(x):
    with no_grad():
        rows = x.reshape(-1)
    rows.data[0] = 9.0


def through_a_copied_handle(x):
    copy.copy(x).data[...] = 9.0


def through_a_tensor_given_the_data(x):
    other = Tensor(np.zeros((2, 3)))
    other.data = x.data
    other.data[...] = 9.0


def optimizer_step(x):
    x.grad = np.ones(x.shape)
    optim.SGD([x], lr=0.1).step()
    x.grad = None


WRITES = {
    "all": lambda x: x.data.__setitem__(..., 9.0),
    "element": lambda x: x.data.__setitem__((0, 0), 9.0),
    "mask": lambda x: x.data.__setitem__(x.data > 2, 9.0),
    "view": lambda x: x.data[0].__setitem__(0, 9.0),
    "transpose": lambda x: x.data.T.__setitem__(0, 9.0),
    "reshape": lambda x: x.data.reshape(-1).__setitem__(0, 9.0),
    "np.reshape": lambda x: np.reshape(x.data, 6).__setitem__(0, 9.0),
    "ravel": lambda x: x.data.ravel().__setitem__(0, 9.0),
    "np.split": lambda x: np.split(x.data, 2)[0].__setitem__(0, 9.0),
    "np.hsplit": lambda x: np.hsplit(x.data, 3)[0].__setitem__(0, 9.0),
    "np.diagonal by einsum": lambda x: np.einsum("ii->i", x.data[:, :2]).__setitem__(0, 9.0),
    "np.matrix_transpose": lambda x: np.matrix_transpose(x.data).__setitem__(0, 9.0),
    "-=": subtract,
    "*= of a part": multiply_part,
    "rows": iterate,
    "set flat": set_flat,
    "no_grad and -=": descend,
    "no_grad and assignment": assign,
    "np.copyto": lambda x: np.copyto(x.data, 9.0),
    "np.copyto by name": lambda x: np.copyto(dst=x.data, src=9.0),
    "fill": lambda x: x.data.fill(9.0),
    "sort": lambda x: x.data.sort(axis=0),
    "partition": lambda x: x.data.partition(1),
    "put": lambda x: x.data.put([0], 9.0),
    "np.put": lambda x: np.put(x.data, [0], 9.0),
    "np.put by name": lambda x: np.put(a=x.data, ind=[0], v=9.0),
    "np.place": lambda x: np.place(x.data, x.data > 2, 9.0),
    "np.putmask": lambda x: np.putmask(x.data, x.data > 2, 9.0),
    "np.fill_diagonal": lambda x: np.fill_diagonal(x.data, 9.0),
    "np.put_along_axis": lambda x: np.put_along_axis(x.data, np.array([[0], [1]]), 9.0, 1),
    "np.nan_to_num": lambda x: np.nan_to_num(x.data, copy=False),
    "out=": lambda x: np.multiply(x.data, 2.0, out=x.data),
    "out= by position": lambda x: np.multiply(2.0, 2.0, x.data),
    "out= of np.clip": lambda x: np.clip(x.data, 0.0, 1.0, out=x.data),
    "out= of np.clip by position": lambda x: np.clip(x.data, 0.0, 1.0, x.data),
    "out= of clip": lambda x: x.data.clip(0.0, 1.0, out=x.data),
    "out= of np.dot": lambda x: np.dot(np.ones((2, 2)), np.ones((2, 3)), out=x.data),
    "out= of np.dot by position": lambda x: np.dot(np.ones((2, 2)), np.ones((2, 3)), x.data),
    "out= of np.matmul": lambda x: np.matmul(np.ones((2, 2)), np.ones((2, 3)), out=x.data),
    "out= of np.cumsum": lambda x: np.cumsum(x.data, axis=0, out=x.data),
    "out= of np.concatenate": lambda x: np.concatenate([np.ones((2, 3))], out=x.data),
    "out= of np.stack": lambda x: np.stack([np.ones(3), np.ones(3)], out=x.data),
    "out= of a reduction": lambda x: np.sum(np.ones((2, 2, 3)), axis=0, out=x.data),
    "ufunc.at": lambda x: np.add.at(x.data, (0, [0, 0]), 1.0),
    "ufunc.at from its own values": lambda x: np.add.at(x.data, ..., x.data),
    "second handle": through_a_second_handle,
    "detach": through_detach,
    "view of the variable": through_a_view,
    "reshape made in no_grad": through_a_silent_reshape,
    "copied handle": through_a_copied_handle,
    "Tensor given the data": through_a_tensor_given_the_data,
    "optimizer": optimizer_step,
}


@pytest.mark.parametrize("case", WRITES)
def test_a_write_is_noticed_where_the_value_is_read(case):
    x = Tensor(np.arange(6.0).reshape(2, 3) - 1, name="weight")
    y = np.sum(np.sin(x))
    WRITES[case](x)
    with pytest.raises(RuntimeError, match="sin.*'weight'.*written"):
        y.backward()
    assert x.grad is None


def test_a_write_through_the_flat_iterator_is_refused_or_noticed():
    x = vector(1, 2, 3)
    y = np.sum(np.sin(x))
    with pytest.raises((ValueError, RuntimeError)):
        x.data.flat[0] = 9.0
        y.backward()


def test_assigning_a_view_inside_no_grad_writes_and_is_noticed_or_does_not_write():
    x = vector(1, 2, 3)
    y = np.sum(np.sin(x))
    with no_grad():
        x[:2][0] = 9.0
    if x.data[0] == 1.0:
        y.backward()
        equal(x.grad, np.cos([1, 2, 3]))
    else:
        with pytest.raises(RuntimeError, match="sin"):
            y.backward()


LAYOUTS = {
    "Fortran order": lambda a: np.asfortranarray(a),
    "transposed": lambda a: a.T,
    "flipped": lambda a: a[::-1, ::-1],
    "every second": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "part of a larger one": lambda a: np.pad(a, 3)[3:-3, 3:-3],
    "part of a larger one in Fortran order": lambda a: np.asfortranarray(np.pad(a, 3))[3:-3, 3:-3],
    "in someone else's memory": lambda a: np.frombuffer(bytearray(a.tobytes())).reshape(a.shape),
    "misaligned": lambda a: np.frombuffer(bytearray(b"x" + a.tobytes()), offset=1).reshape(a.shape),
    "broadcast before": lambda a: np.broadcast_to(a, (2, *a.shape)).copy()[1],
    "float32": lambda a: a.astype(np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_write_is_noticed_in_memory_of_any_layout(layout):
    """In the whole, in one element, and by way of a view of the variable."""
    for write in (
        lambda d: d.fill(9.0),
        lambda d: d.__setitem__((1, 1), 9.0),
        lambda d: d.T[::-1].__setitem__((0, 0), 9.0),  # d[0, -1]
    ):
        x = Tensor(LAYOUTS[layout](np.arange(6.0).reshape(2, 3)), name="x")
        y, z = np.sum(np.sin(x)), np.sum(x.T * x.T)
        write(x.data)
        for result in (y, z):
            with pytest.raises(RuntimeError, match="'x'"):
                result.backward()
        np.sum(np.sin(x)).backward()
        np.testing.assert_allclose(x.grad, np.cos(x.data))


def test_a_write_into_a_number_without_axes_is_noticed():
    x = Tensor(np.array(2.0), name="x")
    y = x * x
    x.data[...] = 3.0
    with pytest.raises(RuntimeError, match="'x'"):
        y.backward()


def test_a_write_into_overlapping_windows_is_noticed():
    """Overlap that is hard to decide is taken for one."""
    a = np.lib.stride_tricks.as_strided(np.arange(4000.0), (9, 8, 7, 6), (808, 1016, 24, 136))
    x = Tensor(a, name="x")
    y = np.sum(np.sin(x))
    x.data[::2, ::3, ::2] = 0.0
    with pytest.raises(RuntimeError, match="'x'"):
        y.backward()


@pytest.mark.parametrize("case", ["all", "-=", "no_grad and -=", "no_grad and assignment"])
def test_recorded_again_after_the_write(case):
    x = Tensor(np.arange(6.0).reshape(2, 3), name="weight")
    np.sum(x * x).backward()
    x.grad = None
    WRITES[case](x)
    np.sum(x * x).backward()
    equal(x.grad, 2 * x.data)


NO_WRITES = {
    "copy": lambda x: x.data.copy().fill(9.0),
    "np.copy": lambda x: np.copy(x.data).fill(9.0),
    "np.array": lambda x: np.array(x.data).fill(9.0),
    "astype": lambda x: x.data.astype(np.float32).fill(9.0),
    "flatten": lambda x: x.data.flatten().fill(9.0),
    "integer index": lambda x: x.data[[0, 1]].__imul__(3),
    "integer index of an axis": lambda x: x.data[:, [0, 1]].fill(9.0),
    "mask": lambda x: x.data[x.data > 1].fill(9.0),
    "take": lambda x: x.data.take([0, 1]).fill(9.0),
    "arithmetic": lambda x: (x.data * 2).fill(9.0),
    "reduction": lambda x: x.data.sum(axis=0).fill(9.0),
    "read as a source": lambda x: np.copyto(np.zeros((2, 3)), x.data),
    "read by ufunc.at": lambda x: np.add.at(np.zeros(3), slice(None), x.data[0]),
    "read with out=": lambda x: np.multiply(x.data, 2.0, out=np.zeros((2, 3))),
    "another Tensor": lambda x: Tensor(np.ones((2, 3))).data.fill(9.0),
    "recorded assignment": lambda x: (x * 1.0).__setitem__(0, 9.0),
    "deepcopy": lambda x: copy.deepcopy(x).data.fill(9.0),
    "new data": lambda x: setattr(x, "data", np.ones((2, 3))),
}


@pytest.mark.parametrize("case", NO_WRITES)
def test_what_writes_elsewhere_raises_no_alarm(case):
    a = np.arange(6.0).reshape(2, 3)
    x = Tensor(a.copy())
    y = np.sum(np.sin(x))
    NO_WRITES[case](x)
    y.backward()
    equal(x.grad, np.cos(a))


def test_many_writes_elsewhere_raise_no_alarm():
    """However many other arrays are written while a graph waits, made before it and after."""
    others = [vector(1, 2, 3) for _ in range(3000)]
    x = Tensor(np.linspace(0, 1, 7), name="x")
    y = np.sum(np.sin(x))
    for other in others:
        other.data[...] = 0.0
        vector(4, 5, 6).data[...] = 0.0
    y.backward()
    equal(x.grad, np.cos(np.linspace(0, 1, 7)))


def test_a_write_is_noticed_among_many():
    x = Tensor(np.linspace(0, 1, 7), name="x")
    y = np.sum(np.sin(x))
    x.data[...] = 0.0
    others = [vector(1, 2, 3) for _ in range(3000)]
    for other in others:
        other.data[...] = 0.0
    with pytest.raises(RuntimeError, match="sin"):
        y.backward()


def test_views_written_side_by_side_raise_no_alarm():
    """The even columns are not the odd ones, though they lie between them."""
    a = np.arange(6.0)
    even, odd = Tensor(a[::2]), Tensor(a[1::2])
    y = np.sum(np.sin(even))
    odd.data[...] = 7.0
    y.backward()
    equal(even.grad, np.cos([0.0, 2.0, 4.0]))


def test_memory_used_again_raises_no_alarm():
    """An array that happens to lie where a written one was, before it was freed, is another."""
    for _ in range(50):
        vector(1, 2, 3).data[...] = 0.0
        x = vector(1, 2, 3)
        y = np.sum(x * x)
        vector(1, 2, 3).data[...] = 0.0
        y.backward()
        equal(x.grad, [2, 4, 6])


NOT_READ = {
    "add": lambda x, w: x + w,
    "subtract": lambda x, w: w - x,
    "negative": lambda x, w: -x,
    "times a number": lambda x, w: 2.0 * x,
    "over a number": lambda x, w: x / 4.0,
    "sum": lambda x, w: np.sum(x),
    "sum of an axis": lambda x, w: x.sum(axis=0),
    "mean": lambda x, w: np.mean(x),
    "reshape": lambda x, w: x.reshape(3),
    "index": lambda x, w: x[[0, 0]],
    "concatenate": lambda x, w: np.concatenate([x, w]),
    "stack": lambda x, w: np.stack([x, w]),
    "where": lambda x, w: np.where([True, False, True], x, w),
    "exp reads its result": lambda x, w: np.exp(x),
    "tanh reads its result": lambda x, w: np.tanh(x),
    "sqrt reads its result": lambda x, w: np.sqrt(x),
    "cumsum": lambda x, w: np.cumsum(x),
    "times a constant": lambda x, w: x * np.array([1.0, 2.0, 3.0]),
    "matrix product with a constant": lambda x, w: x @ np.ones((3, 2)),
}


@pytest.mark.parametrize("case", NOT_READ)
def test_no_alarm_where_the_value_is_not_read(case):
    f = NOT_READ[case]
    x, w = vector(1, 2, 3), vector(4, 5, 6)
    y = f(x, w)
    x.data[...] = 7.0
    y.backward(np.ones(y.shape))
    fresh = vector(1, 2, 3)
    z = f(fresh, w)
    equal(x.grad, gradients(z, fresh, seed=np.ones(z.shape)))


READ = {
    "multiply": lambda x, w: x * w,
    "multiply by itself": lambda x, w: x * x,
    "divide": lambda x, w: w / x,
    "power": lambda x, w: x**2,
    "log": lambda x, w: np.log(x),
    "absolute": lambda x, w: abs(x),
    "maximum": lambda x, w: np.maximum(x, w),
    "matmul": lambda x, w: x @ w,
    "max": lambda x, w: np.max(x),
    "prod": lambda x, w: np.prod(x),
    "by way of a view": lambda x, w: x[1:] * x[:2],
    "by way of views of views": lambda x, w: x.reshape(3, 1).T[0] * w,
    "by way of a transpose": lambda x, w: x.reshape(1, 3).T @ w.reshape(1, 3),
}


@pytest.mark.parametrize("case", READ)
def test_alarm_where_the_value_is_read(case):
    x, w = vector(1, 2, 3, name="x"), vector(4, 5, 6, name="w")
    y = READ[case](x, w)
    x.data[...] = 7.0
    with pytest.raises(RuntimeError, match="'x'"):
        y.backward(np.ones(y.shape))
    assert x.grad is None and w.grad is None


def test_only_what_the_wanted_derivative_reads_counts():
    """d(x w)/dx reads w alone."""
    x, w = vector(1, 2, name="x"), vector(3, 4, name="w")
    y = np.sum(x * w)
    x.data[...] = 0.0
    equal(gradients(y, x), [3, 4])
    with pytest.raises(RuntimeError, match="'x'"):
        gradients(y, w)


def test_a_write_into_a_detached_constant_is_noticed():
    """x * z.detach() reads z's array, and writing z changes it."""
    x, z = vector(1, 2), vector(3, 4, name="z")
    y = np.sum(x * z.detach())
    z.data[...] = 0.0
    with pytest.raises(RuntimeError, match="'z'"):
        y.backward()
    assert x.grad is None


def test_a_write_into_a_frozen_tensor_is_noticed():
    x, z = vector(1, 2), vector(3, 4, name="z")
    z.requires_grad = False
    y = np.sum(x * z)
    z.data[...] = 0.0
    with pytest.raises(RuntimeError, match="'z'"):
        y.backward()


def test_a_write_is_noticed_in_the_derivative_of_a_derivative():
    x = vector(1, 2, name="x")
    (dy,) = gradients(np.sum(x**3), [x], record=True)
    x.data[...] = 0.0
    with pytest.raises(RuntimeError, match="'x'"):
        gradients(dy, x, seed=np.ones(2))


def test_a_variable_captured_by_a_transformation_is_noticed():
    w = vector(3, 4, name="w")
    _, pull = autograd.vjp(lambda x: x * w, np.ones(2))
    w.data[...] = 0.0
    with pytest.raises(RuntimeError, match="'w'"):
        pull(np.ones(2))


def test_a_tensor_without_a_name_is_described():
    x = Tensor(np.ones((4, 5)))
    y = np.sum(x * x)
    x.data[...] = 0.0
    with pytest.raises(RuntimeError, match=r"\(4, 5\)"):
        y.backward()


def test_data_is_an_ordinary_array_to_numpy():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    d = x.data
    assert isinstance(d, np.ndarray)
    for result in (d * 2, d + d, np.exp(d), d @ d.T, np.concatenate([d, d]), d.sum(axis=0), -d):
        assert type(result) is np.ndarray
    assert isinstance(d.sum(), np.float64) and d[0, 1] == 1.0
    np.testing.assert_allclose(d.mean(axis=0), [1.5, 2.5, 3.5])
    np.testing.assert_allclose(d.std(), np.arange(6.0).std())
    assert type(pickle.loads(pickle.dumps(d))) is np.ndarray
    equal((d * x).data, d**2)


# --- copies ------------------------------------------------------------------------------------

COPIES = {
    **{f"pickle {p}": lambda t, p=p: pickle.loads(pickle.dumps(t, p)) for p in (2, 4, 5)},
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_has_value_gradient_and_name(how):
    x = vector(1, 2, name="w")
    np.sum(x * x).backward()
    c = COPIES[how](x)
    assert type(c) is Tensor and c.name == "w" and c.requires_grad
    equal(c.data, [1, 2])
    equal(c.grad, [2, 4])
    assert not np.shares_memory(c.data, x.data) and not np.shares_memory(c.grad, x.grad)
    np.sum(c * c).backward()
    equal(c.grad, [4, 8])
    equal(x.grad, [2, 4])


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("data", [2.5, np.float32(2.5), np.array(2.5), np.ones((2, 2), np.float32)])
def test_a_copy_has_the_same_type_of_data(how, data):
    t = Tensor(data)
    c = COPIES[how](t)
    assert c.dtype == t.dtype and c.shape == t.shape
    assert (type(c.data) is float) == (type(data) is float)
    equal(c.data, data)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_constant_is_constant(how):
    assert not COPIES[how](vector(1, 2).detach()).requires_grad


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_result_is_an_input(how):
    """Handles are copied with their values, not graphs."""
    x = vector(1, 2)
    y = x
    for _ in range(20000):
        y = y + 1.0
    c = COPIES[how](y)
    equal(c.data, [20001, 20002])
    assert len(history(c.node)) == 1
    np.sum(c * c).backward()
    assert x.grad is None


@pytest.mark.parametrize("how", COPIES)
def test_an_assigned_constant_can_be_copied(how):
    c = Tensor(np.zeros(2)).detach()
    c[0] = Tensor(3.0)
    equal(COPIES[how](c).data, [3, 0])


def test_pickles_do_not_grow_with_the_graph():
    x = vector(1, 2)
    y = x
    for _ in range(100):
        y = y * x
    assert len(pickle.dumps(y)) == len(pickle.dumps(Tensor(y.data)))


def test_deepcopy_keeps_ties():
    w = vector(1, 2)
    first, second = copy.deepcopy([w, w])
    assert first is second and first is not w


def test_shallow_copy_shares_the_array_and_nothing_more():
    x = vector(1, 2, name="w")
    c = copy.copy(x)
    assert c is not x and np.shares_memory(c.data, x.data) and c.name == "w"
    np.sum(c * c).backward()
    assert x.grad is None
    equal(c.grad, [2, 4])


# --- randomness --------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [uniform, normal])
def test_seed_repeats_the_draws(draw):
    like = np.zeros(5)
    autograd.seed(3)
    first, second = draw(like), draw(like)
    autograd.seed(3)
    equal(draw(like), first)
    equal(draw(like), second)
    assert not np.array_equal(first, second)
    autograd.seed(4)
    assert not np.array_equal(draw(like), first)


def test_seed_leaves_numpys_global_generator_alone():
    state = np.random.get_state()[1].copy()
    autograd.seed(5)
    uniform(np.zeros(3))
    equal(np.random.get_state()[1], state)


def test_an_own_generator_does_not_move_the_default_one():
    like = np.zeros(3)
    autograd.seed(6)
    first = uniform(like)
    autograd.seed(6)
    uniform(like, generator=np.random.default_rng(0))
    equal(uniform(like), first)


# --- backward ----------------------------------------------------------------------------------


def test_backward_adds_up():
    x = Tensor(3.0)
    for expected in (6.0, 12.0):
        (x * x).backward()
        assert x.grad == expected


def test_backward_with_a_seed():
    for seed in (np.array([1.0, 10.0]), [1.0, 10.0], np.array([1, 10]), (1, 10)):
        x = vector(2, 3)
        (x * x).backward(seed)
        equal(x.grad, [4, 60])


def test_backward_with_a_tensor_as_seed_gives_plain_gradients():
    for seed in (vector(1, 10), vector(1, 10).detach()):
        x = vector(2, 3)
        (x * x).backward(seed)
        assert type(x.grad) is np.ndarray
        equal(x.grad, [4, 60])


def test_backward_of_an_input():
    x = Tensor(3.0)
    x.backward()
    assert x.grad == 1.0 and type(x.grad) is float


def test_backward_of_one_element_of_any_shape():
    x = Tensor(np.full((1, 1), 3.0))
    (x * x).backward()
    equal(x.grad, [[6.0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_have_the_leafs_dtype_and_shape(dtype):
    x = Tensor(np.ones((2, 1), dtype))
    w = Tensor(np.ones(3))
    np.sum(np.exp(x * w) + x).backward()
    assert x.grad.dtype == dtype and x.grad.shape == (2, 1) and type(x.grad) is np.ndarray
    assert w.grad.dtype == np.float64 and w.grad.shape == (3,)


def test_a_gradient_without_axes_has_the_leafs_dtype():
    x = Tensor(np.array(2.0, np.float32))
    (x * x * 1.5).backward()
    assert x.grad.dtype == np.float32 and x.grad.shape == ()


def test_a_dropped_tensor_is_gone():
    x = vector(1, 2)
    gone = weakref.ref(x)
    gc.disable()
    try:
        del x
        assert gone() is None
    finally:
        gc.enable()


def test_an_index_array_may_be_used_again_before_backward():
    x, i = vector(1, 2, 3), np.array([0, 1])
    y = np.sum(x[i])
    x[i] = 5.0
    i[:] = 2
    y.backward()
    equal(x.grad, [1, 1, 0])


def test_a_sum_by_einsum_does_not_read_its_argument():
    x = vector(1, 2, 3)
    y = np.einsum("i->", x)
    x.data[0] = 7.0
    y.backward()
    equal(x.grad, [1, 1, 1])


def test_the_gradient_is_kept_as_an_array_of_the_data_s_type():
    x = Tensor(np.ones(2, np.float32))
    x.grad = [1, 2]
    assert type(x.grad) is np.ndarray and x.grad.dtype == np.float32
    x.grad = Tensor([3.0, 4.0])
    assert type(x.grad) is np.ndarray
    equal(x.grad, [3, 4])


# --- what a hostile user found -----------------------------------------------------------------


@pytest.mark.parametrize("base", [2, np.uint8(20), np.arange(1, 4)])
@pytest.mark.parametrize("exponent", [2.0, 3.0, 2.5])
def test_an_integer_to_the_power_of_a_tensor(base, exponent):
    t = Tensor(exponent)
    y = np.sum(base**t)
    y.backward()
    expected = np.asarray(base, float) ** exponent
    equal(y.data, np.sum(expected))
    equal(t.grad, np.sum(expected * np.log(np.asarray(base, float))))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "make", [lambda: np.matrix("1 2"), lambda: np.ma.masked_array([1.0, 2.0], [True, False])]
)
def test_arrays_that_compute_otherwise_are_refused(make):
    other = make()
    with pytest.raises(TypeError, match=f"{type(other).__name__} computes otherwise"):
        vector(1, 2) * other


@pytest.mark.parametrize("make", [lambda: Tensor(2.0) * np.complex128(1j),
                                  lambda: np.sum(vector(1, 2), dtype=int)])  # fmt: skip
def test_results_that_are_not_floating_point_are_refused(make):
    with pytest.raises(TypeError, match="only floating-point results can be differentiated"):
        make()


def test_python_s_round_and_tuples_work_as_with_arrays():
    assert round(Tensor(2.345), 1).data == 2.3
    equal((vector(1, 2) + (1.0, 2.0)).data, [2, 4])


def test_comparisons_take_lists():
    assert (Tensor(2.0) < [1, 3]).tolist() == [False, True]


def test_rows_of_a_matrix_are_aligned():
    assert repr(Tensor(np.eye(2))) == "Tensor([[1., 0.],\n        [0., 1.]])"
