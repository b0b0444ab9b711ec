"""Programs on numbers, compiled to machine code where Numba is installed."""

import re
import sys

import numpy as np
import pytest

import nn
from autograd import value_and_grad
from autograd.program import compile

pytest.importorskip("numba", reason="without Numba programs run as NumPy's, as test_compile has it")


def product(x):
    p = x[0]
    for i in range(1, len(x)):
        p = p * x[i]
    return p


def recurrence(x, y):
    h = 0.0
    for _ in range(50):
        h = np.tanh(h * x + y) + np.maximum(x, 0.1)
    return h


NUMBERS = np.random.default_rng(0).uniform(0.9, 1.1, 300)


@pytest.mark.parametrize("x", [NUMBERS, NUMBERS.tolist()], ids=["array", "list"])
def test_the_product_to_the_bit_and_by_its_formula(x):
    fast = compile(value_and_grad(product), jit=True)
    value, slopes = fast(x)
    expected, by_engine = value_and_grad(product)(x)
    assert "machine code" in fast.explain() and fast.source.count("\n") < 30
    assert value == expected and type(value) is type(expected)
    assert type(slopes) is type(by_engine)
    np.testing.assert_array_equal(slopes, by_engine)
    np.testing.assert_allclose(slopes, np.prod(NUMBERS) / NUMBERS, rtol=1e-12)
    first = np.array(slopes)
    twice = [2 * v for v in x] if type(x) is list else 2 * x
    np.testing.assert_allclose(np.asarray(fast(twice)[1]) / 2.0**299, slopes, rtol=1e-12)
    np.testing.assert_array_equal(first, slopes)  # the next call leaves results alone


@pytest.mark.parametrize("x", [0.3, 0.1, -1.0])
def test_functions_and_comparisons(x):
    f = value_and_grad(recurrence, argnums=(0, 1))
    fast = compile(f, jit=True)
    value, slopes = fast(x, 0.2)
    expected, by_engine = f(x, 0.2)
    assert "machine code" in fast.explain()
    np.testing.assert_allclose([value, *slopes], [expected, *by_engine], rtol=1e-13)
    assert {type(v) for v in (value, *slopes)} == {float}


def test_division_by_zero_is_numpys():
    fast = compile(lambda x: [x / 0.0, 1.0 / (x - x), np.sqrt(-x)], jit=True)
    with np.errstate(all="ignore"):
        found = fast(2.0)
    np.testing.assert_array_equal(found, [np.inf, np.inf, np.nan])


@pytest.mark.parametrize(
    ("f", "args", "reason"),
    [
        (lambda a: a @ a, (np.eye(2),), "matmul is not on single numbers"),
        (lambda a: a[0] * a[1], (np.ones(2, np.float32),), "float32|no float"),
        (lambda a: a * model.bias[0], (1.0,), "reads or changes what is around it"),
        (lambda a: sum(np.sin(a * k) ** k for k in range(2, 400)), (0.1,), "lines, after"),
    ],
    ids=["matrix", "float32", "parameter", "long"],
)
def test_what_is_not_compiled_runs_as_numpys(f, args, reason):
    fast = compile(f, jit=True)
    np.testing.assert_array_equal(
        fast(*args), f(*args).item() if reason[:5] == "reads" else f(*args)
    )

    assert re.search(f"No machine code: .*({reason})", fast.explain())


model = nn.Linear(2, 2)


def test_without_numba_everything_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    fast = compile(value_and_grad(product), jit=True)
    x = NUMBERS[:5].tolist()
    assert fast(x) == value_and_grad(product)(x)
    assert "pip install 'speelpenning[jit]'" in fast.explain()


def test_as_a_decorator():
    @compile(jit=True)
    def f(x):
        return x * x

    assert f(3.0) == 9.0 and "machine code" in f.explain()
