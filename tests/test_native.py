"""Programs on numbers, and chains on elements of arrays, as machine code where Numba is."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nn
from autograd import value_and_grad
from autograd.primitive import registry
from autograd.program import compile, native

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


# --- chains on elements of arrays ---------------------------------------------------------------
# The reference of functions is NumPy's in long double; where that is a double it may be off by one

UNSURE = np.finfo(np.longdouble).nmant == 52
BOUNDS = {np.exp: 1.5, np.log: 1.5, np.log1p: 2.0, np.expm1: 2.0, np.tanh: 3.0}  # in the last place
REALS = pytest.mark.parametrize("real", [np.float32, np.float64], ids=["single", "double"])
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, -2.0, 0.5, 1.5, -2.5, 1e-45, -1e-45,
         88.72, 88.73, -87.3, -103.9, -104.1, 709.78, 709.79, -708.4, -745.1, -745.2]  # fmt: skip


def wide(real, n=20_000):
    """Numbers of all kinds: any bits, where functions bend, where they overflow, edges."""
    rng, about = np.random.default_rng(0), np.finfo(real)
    letter = f"u{about.bits // 8}"
    any_bits = rng.integers(0, 2**about.bits, n, dtype=letter).view(real)
    scaled = [rng.normal(size=n) * scale for scale in (1e-3, 1, 100)]
    near_one = 1 + rng.normal(size=n) * 1e-2
    limits = [about.tiny, about.max, -about.max, about.eps, -about.eps, about.smallest_subnormal]
    with np.errstate(all="ignore"):
        rest = [*scaled, near_one, rng.uniform(-750, 720, n), EDGES, limits]
        return np.concatenate([any_bits, *(np.asarray(part).astype(real) for part in rest)])


def off_by(found, exact):
    """Distance from the exact values, in units in the last place of these."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(found.dtype)
        away = np.abs(found - exact) / np.spacing(np.abs(rounded)).astype(exact.dtype)
    away[(found == rounded) | (np.isnan(found) & np.isnan(rounded))] = 0
    return np.where(np.isnan(away), np.inf, away)


@REALS
def test_functions_to_the_last_bits(real):
    x = wide(real)
    fast = compile(lambda x: [f(x) for f in BOUNDS], jit=True)
    with np.errstate(all="ignore"):  # NumPy's warnings, while it is traced
        found = fast(x)
    assert "5 on elements are machine code, made by Numba, in 1 loop" in fast.explain()
    with np.errstate(all="ignore"):
        for (f, bound), y in zip(BOUNDS.items(), found, strict=True):
            exact = f(x.astype(np.longdouble))
            assert y.dtype == real and np.max(off_by(y, exact)) <= bound + UNSURE, f.__name__
            zero = y == 0
            np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(exact[zero]))


@REALS
def test_logaddexp(real):
    a = wide(real)
    b = np.roll(a, 7)
    alike = np.isinf(a) | (np.arange(a.size) % 5 == 0)
    b[alike] = a[alike]
    with np.errstate(all="ignore"):
        found = compile(lambda a, b: (np.logaddexp(a, b), a + b), jit=True)(a, b)[0]
        exact = np.logaddexp(a.astype(np.longdouble), b.astype(np.longdouble))
        larger = np.maximum(np.abs(exact), np.maximum(np.abs(a), np.abs(b)) * np.isfinite(exact))
        unit = np.spacing(larger.astype(real)).astype(np.longdouble)
        wrong = ~(np.abs(found - exact) <= 3 * unit) & ~(found == exact.astype(real))
    assert not np.any(wrong & ~(np.isnan(found) & np.isnan(exact)))


def everything(a, b):
    c, d = a > 0, b <= a
    on_numbers = [f(*(a, b)[: f.nin]) for f in native.TEXTS]
    on_truth = [f(*(c, d)[: f.nin]) for f in native.ON_TRUTH]
    powers = [power(a, p) for p in native.POWERS]
    return [*on_numbers, *on_truth, *powers, np.where(c, a, b), np.where(d, 0.0, b), a * c, 0.1 * b]


def power(a, p):
    """The engine's on plain arrays too, where a³ is a product."""
    return registry[np.power].forward(a, p) if isinstance(a, np.ndarray) else a**p


@REALS
def test_every_operation_is_numpys_to_the_bit(real):
    a = wide(real, 1000)
    b = np.roll(a, 7)
    b[::5] = a[::5]
    fast = compile(everything, jit=True)
    with np.errstate(all="ignore"):
        found = fast(a, b)
    assert re.search(r"\d\d on elements are machine code, made by Numba, in 1 loop", fast.explain())
    assert "Not in machine code" not in fast.explain()
    with np.errstate(all="ignore"):
        for y, expected in zip(found, everything(a, b), strict=True):
            assert y.dtype == expected.dtype
            np.testing.assert_array_equal(y, expected)


def squared(f):
    return value_and_grad(lambda x: np.sum(f(x) * f(x)))


ACTIVATIONS = {
    "mish": nn.mish, "gelu": nn.gelu, "gelu, tanh": lambda x: nn.gelu(x, "tanh"),
    "softplus": nn.softplus, "silu": nn.silu, "elu": nn.elu, "sigmoid": nn.sigmoid,
    "relu": nn.relu, "leaky_relu": nn.leaky_relu, "log_sigmoid": nn.log_sigmoid,
    "softsign": nn.softsign, "tanh": np.tanh,
}  # fmt: skip


@REALS
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, real):
    x = (3 * np.random.default_rng(0).normal(size=(2**9, 2**10))).astype(real)
    x[0, :4] = 0.0, -0.0, 50.0, -50.0
    fast, f = compile(squared(ACTIVATIONS[name]), jit=True), squared(ACTIVATIONS[name])
    fast(x[::-1].copy())
    (value, slopes), (expected, by_engine) = fast(x), f(x)
    assert "in 1 loop" in fast.explain() and "Not in machine code" not in fast.explain()
    assert slopes.dtype == real and type(value) is type(expected)
    unit = np.finfo(real).eps
    np.testing.assert_allclose(value, expected, rtol=10 * unit)
    np.testing.assert_allclose(slopes, by_engine, rtol=20 * unit, atol=50 * unit)


def near(found, expected, real):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    unit = np.finfo(real).eps
    np.testing.assert_allclose(found, expected, rtol=10 * unit, atol=10 * unit)


@REALS
def test_strided_broadcast_and_other_types(real):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2, (60, 80)).astype(real)
    row, whole = x[0], rng.integers(-5, 5, (60, 80), dtype=np.int16)
    for f, *args in [
        (lambda x: np.exp(x) * 2 + x, x.T),
        (lambda x: np.exp(x) * 2 + x, x[:, ::2]),
        (lambda x, row: np.exp(x + row) * row + np.log(x) * x, x, row),
        (lambda x, whole: np.exp(x) * whole + x, x, whole),  # int16 makes float32 float32
        (lambda x, whole: np.exp(x) + whole * whole, x, whole),
        (lambda x, wide: np.exp(x) + wide, x, whole.astype(np.int64)),  # and int64 float64
        (lambda x, truth: np.exp(x) * truth + (truth & (x > 1)), x, whole > 0),
        (lambda x, number: np.exp(x) * number + x, x, 3.0),
        (lambda x, number: np.exp(x) * number + x, x, np.float64(3)),
        (lambda x, number: np.exp(x) * number + x, x, np.array(3, np.float32)),
        (lambda x, number: np.exp(x) * number + x, x, 3),
    ]:
        near(compile(f, jit=True)(*args), f(*args), real)


def test_numbers_are_those_of_the_call():
    """An exponent that is an argument is no constant, whatever it was when traced."""
    fast = compile(lambda x, p: 2 * x**p + x * p, jit=True)
    x = np.linspace(1, 2, 3000)
    for p in (2.0, 3.0, 2.5):
        np.testing.assert_allclose(fast(x, p), 2 * x**p + x * p, rtol=1e-14)
    assert "Not in machine code: power" in fast.explain()


def test_what_outlives_a_chain_and_what_is_returned_twice():
    w = np.random.default_rng(0).normal(size=(40, 40)) / 6

    def f(x):
        h = np.tanh(x) * 2
        y = np.exp(h @ w) - h
        return h, y, y, np.sum(y * h), h.T

    fast = compile(f, jit=True)
    x = np.random.default_rng(1).normal(size=(50, 40))
    kept = fast(x)
    fast(x + 1)  # another call leaves results alone
    for found, expected in zip(kept, f(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert "in 2 loops" in fast.explain()


def test_one_slow_operation_is_a_loop_where_there_are_many_elements():
    many, few = np.linspace(-1, 1, native.ALONE), np.linspace(-1, 1, 5000)
    fast = compile(np.exp, jit=True)
    np.testing.assert_allclose(fast(many), np.exp(many), rtol=4e-16)
    assert "1 on elements are machine code" in fast.explain()
    np.testing.assert_array_equal(fast(few), np.exp(few))
    assert "made by Numba" not in fast.explain()


def test_parts_on_threads_are_the_whole(monkeypatch):
    x = np.random.default_rng(0).normal(size=10_001)
    value, slopes = compile(squared(nn.mish), jit=True)(x)
    with ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr(native, "_pool", lambda: (3, threads))
        monkeypatch.setattr(native, "SHARE", 1)
        fast = compile(squared(nn.mish), jit=True)
        again = fast(x)
    assert again[0] == value
    np.testing.assert_array_equal(again[1], slopes)
    np.testing.assert_array_equal(fast(x)[1], slopes)  # no thread takes work: the caller does it


def test_several_threads_call_at_the_same_time():
    fast, f = compile(squared(nn.mish), jit=True), squared(nn.mish)
    xs = [np.random.default_rng(i).normal(size=2**19) for i in range(4)]
    wanted = [*map(f, xs)]
    with ThreadPoolExecutor(4) as callers:
        for found, expected in zip(callers.map(fast, xs * 3), wanted * 3, strict=True):
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-13)


FORKED = """
import os
import numpy as np
from autograd.program import compile, native
native.SHARE = 1
fast, x = compile(lambda x: np.exp(x) * x, jit=True), np.linspace(0, 1, 5000)
expected = fast(x)
child = os.fork()
if not child:
    os._exit(int(not np.array_equal(fast(x), expected)))
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_has_threads_of_its_own():
    if hasattr(os, "fork"):
        subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=60)


def test_an_array_of_another_size_is_not_read_beyond_its_end(monkeypatch):
    calls = []

    def noted(loop, size, parts, *args):
        calls.append((loop, args))
        loop(0, size, *args)

    monkeypatch.setattr(native, "shared", noted)
    compile(lambda x: np.exp(x) * x, jit=True)(np.ones(2000))
    [(loop, (x, y))] = calls
    with pytest.raises(ValueError, match="another size than when it was traced"):
        loop(0, 2000, x[:10], y)


@pytest.mark.parametrize("activation", [nn.silu, nn.elu])
@pytest.mark.parametrize("size", [2000, 2**18])
def test_what_numba_cannot_do_numpy_does(size, activation, monkeypatch):
    def broken(*args):
        raise RuntimeError("LLVM ERROR: out of registers\nand more")

    monkeypatch.setattr(native, "compiled", broken)
    fast, f = compile(squared(activation), jit=True), squared(activation)
    x = np.random.default_rng(0).normal(size=size)
    np.testing.assert_array_equal(fast(x)[1], f(x)[1])
    assert re.search(
        "Not in machine code: .*exp.*: RuntimeError: LLVM ERROR: out of registers.", fast.explain()
    )


def test_long_chains_are_several_loops(monkeypatch):
    monkeypatch.setattr(native.Machine, "longest", 11)
    fast, f = compile(squared(nn.mish), jit=True), squared(nn.mish)
    x = np.random.default_rng(0).normal(size=3000)
    np.testing.assert_allclose(fast(x)[1], f(x)[1], rtol=1e-12, atol=1e-13)
    assert "22 on elements are machine code, made by Numba, in 2 loops" in fast.explain()


def test_a_loop_is_compiled_once_for_all_sizes():
    for n in (2000, 3000):
        compile(squared(nn.softsign), jit=True)(np.ones(n))
        misses = native.compiled.cache_info().misses
    compile(squared(nn.softsign), jit=True)(np.ones((40, 50)))
    assert native.compiled.cache_info().misses == misses


def test_chains_without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    fast, f = compile(squared(nn.mish), jit=True), squared(nn.mish)
    x = np.random.default_rng(0).normal(size=2**18)
    np.testing.assert_array_equal(fast(x)[1], f(x)[1])
    assert "No machine code: Numba is not installed" in fast.explain()
