"""Elementwise operations at special values: kinks, zeros, extremes, NaN, plain numbers, errors."""

import math

import numpy as np
import pytest

import autograd
from autograd import Tensor, elementwise_grad, grad
from autograd.primitive import Primitive, plain, registry
from autograd.rules.elementwise import i0_slope, log_sigmoid, relu, sigmoid, sinc_slope, softplus

NAN, INF = math.nan, math.inf


def slopes(f, *args):
    """The derivative of f by each argument, element by element."""
    args = [np.asarray(a, float) for a in args]
    return elementwise_grad(f, tuple(range(len(args))))(*args)


def slope(f, x, order=1):
    """The order-th derivative of f at each element of x."""
    for _ in range(order):
        f = elementwise_grad(f)
    return f(np.asarray(x, float))


def both(f, x, expected, order=1):
    """On arrays and on Python floats f has this derivative."""
    np.testing.assert_allclose(slope(f, x, order), expected, rtol=1e-14, atol=0)
    for one, e in zip(x, expected, strict=True):
        g = f
        for _ in range(order):
            g = grad(g)
        np.testing.assert_allclose(g(float(one)), e, rtol=1e-14, atol=0)


# --- kinks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [relu, np.absolute, np.fabs, np.sign, np.angle, abs])
def test_zero_at_zero(f):
    both(f, [0.0], [0.0])


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_ties_share_equally(f):
    for tie in (0.0, 2.0, INF, -INF):
        a, b = slopes(f, [tie, tie], tie)
        assert a.tolist() == [0.5, 0.5] and b == 1.0
        assert grad(f, (0, 1))(tie, tie) == (0.5, 0.5)


def test_fmax_takes_the_number():
    for f in (np.fmax, np.fmin):
        a, b = slopes(f, [1.0, NAN], [NAN, 1.0])
        assert a.tolist() == [1.0, 0.0] and b.tolist() == [0.0, 1.0]
        assert f(Tensor(1.0), NAN).data == 1.0 and f(NAN, Tensor(1.0)).data == 1.0


def test_roots_at_zero():
    with np.errstate(divide="ignore"):
        both(np.sqrt, [0.0], [INF])
        both(np.cbrt, [0.0], [INF])


def test_radius_at_the_origin():
    for f in (np.hypot, np.arctan2):
        assert [g.tolist() for g in slopes(f, [0.0], [0.0])] == [[0.0], [0.0]]
        second = grad(grad(lambda t, f=f: f(t, 0.0 * t)))
        assert second(0.0) == 0.0
    with np.errstate(over="raise", under="ignore"):
        a, b = slopes(np.hypot, [3e200], [4e200])
        np.testing.assert_allclose([a, b], [[0.6], [0.8]], rtol=1e-15)
        a, b = slopes(np.arctan2, [3e200], [4e200])
        np.testing.assert_allclose([a, b], [[0.16e-200], [-0.12e-200]], rtol=1e-14)


def test_clip():
    x, low, high = [-1.0, -0.5, 0.0, 0.5, 1.0], -0.5, 0.5
    dx, dlow, dhigh = slopes(np.clip, x, low, high)
    assert dx.tolist() == [0, 1, 1, 1, 0] and (dlow, dhigh) == (1.0, 1.0)
    crossing = slopes(np.clip, x, high, low)
    assert not crossing[0].any() and (crossing[1], crossing[2]) == (0.0, 5.0)
    t = Tensor(np.array(x))
    for clipped in (
        np.clip(t, low, None), np.clip(t, a_min=low, a_max=None), t.clip(min=low),
        np.clip(t, Tensor(low), None), t.clip(low), np.clip(t, None, None).clip(a_min=low),
        np.clip(np.array(x), Tensor(low), Tensor(INF)),
    ):  # fmt: skip
        assert clipped.data.tolist() == [-0.5, -0.5, 0.0, 0.5, 1.0]
    assert grad(lambda t: np.clip(0.3, t, None))(0.7) == 1.0
    assert np.clip(Tensor(0.3), 1, 2).data == 1.0 and np.isnan(np.clip(Tensor(NAN), 0, 1).data)
    assert np.isnan(np.clip(Tensor(0.3), NAN, 1).data) and np.clip(Tensor(0.3), 2, 1).data == 1.0


def test_steps_have_zero_gradient():
    for f in (np.floor, np.ceil, np.trunc, np.rint, np.fix, np.round, np.around, np.sign):
        x = Tensor([-1.5, 0.0, 0.5, 2.0])
        np.sum(f(x)).backward()
        assert x.grad.tolist() == [0, 0, 0, 0]
        for one in (2.5, -0.5, 0.0, INF, NAN):
            np.testing.assert_equal(f(Tensor(one)).data, float(f(one)))
    assert slopes(np.heaviside, [-1.0, 0.0, 1.0], 0.3)[1] == 1.0


# --- powers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", ["number", "float", "array", "variable"])
@pytest.mark.parametrize(
    "n, first, second, third",
    [(0, 0, 0, 0), (1, 1, 0, 0), (2, 0, 2, 0), (3, 0, 0, 6), (4, 0, 0, 0)],
)
def test_powers_of_zero(exponent, n, first, second, third):
    def f(x):
        b = {"number": n, "float": float(n), "array": np.array([n]), "variable": Tensor(float(n))}
        return x ** b[exponent]

    for order, expected in enumerate((first, second, third), 1):
        assert plain(slope(f, [0.0], order)) == expected
    for x in (-2.0, 1.5):
        for order in (1, 2, 3):
            expected = math.perm(n, order) * x ** max(n - order, 0)
            np.testing.assert_allclose(plain(slope(f, [x], order)), expected, rtol=1e-14)


def test_numbers_to_small_powers():
    for n in (-2, -1, 0, 1, 2, 3, 4, 5, 0.5, 2.5):
        x = np.array([0.3, 1.7, 2.2])
        np.testing.assert_allclose(np.power(Tensor(x), n).data, x**n, rtol=1e-15)
        both(lambda x, n=n: np.power(x, n), x, n * x ** (n - 1.0))


def test_power_by_its_exponent():
    base, exponent = [0.0, 0.0, 2.0, 1.0, -2.0], [2.0, 0.0, 3.0, 5.0, 2.0]
    by_base, by_exponent = slopes(np.power, base, exponent)
    np.testing.assert_allclose(by_base, [0, 0, 12, 5, -4], rtol=1e-15)
    np.testing.assert_allclose(by_exponent, [0, 0, 8 * math.log(2), 0, NAN], rtol=1e-15)
    for a, b, expected in zip(base, exponent, by_exponent, strict=True):
        np.testing.assert_allclose(grad(np.power, 1)(a, b), expected, rtol=1e-15)
        np.testing.assert_allclose(
            grad(lambda b, a=a: np.sum(np.power(a, b)))(np.array([b])), [expected], rtol=1e-15
        )
    with np.errstate(divide="ignore"):
        assert slopes(np.power, [0.0], [-1.0])[1] == -INF
        assert grad(np.power, 1)(0.0, -1.0) == -INF
        assert grad(np.power)(0.0, 0.5) == INF


def test_power_mixed_second_derivative():
    """∂²(a^b)/∂a∂b = a^(b-1)(1 + b log a), also at b = 0, in either order."""
    for a, b in [(2.0, 0.0), (0.5, 0.0), (2.0, 3.0), (0.7, -1.0)]:
        expected = a ** (b - 1) * (1 + b * math.log(a))
        one = grad(lambda b, a=a: grad(np.power)(a, b))(b)
        other = grad(lambda a, b=b: grad(np.power, 1)(a, b))(a)
        np.testing.assert_allclose([one, other], expected, rtol=1e-14)


def test_a_negative_number_to_a_broken_power_is_nan():
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.power(Tensor(-8.0), 0.5).data)
        assert np.isnan(grad(lambda x: np.power(x, 0.5))(-8.0))


def test_float_power_is_double():
    x = Tensor(np.array([2.0, 3.0], np.float32))
    y = np.float_power(x, 2)
    assert y.dtype == np.float64
    np.sum(y).backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [4.0, 6.0]


# --- exactness and extremes ------------------------------------------------------------------

FAR = np.array([-1000.0, -800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0, 1000.0])


def logistic(x):
    return math.exp(min(x, 0.0)) / (1 + math.exp(-abs(x)))


def test_sigmoid_and_kin_far_out():
    s, r = np.array([logistic(x) for x in FAR]), np.array([logistic(-x) for x in FAR])
    both(sigmoid, FAR, s * r)
    both(sigmoid, FAR, s * r * (r - s), order=2)
    both(softplus, FAR, s)
    both(softplus, FAR, s * r, order=2)
    both(log_sigmoid, FAR, r)
    both(log_sigmoid, FAR, -s * r, order=2)
    np.testing.assert_allclose(sigmoid(FAR), s, rtol=1e-15)
    np.testing.assert_allclose(softplus(FAR), -log_sigmoid(-FAR), rtol=0)
    expected = [math.log1p(math.exp(-abs(x))) + max(x, 0) for x in FAR]
    np.testing.assert_allclose(softplus(FAR), expected, rtol=1e-15)


def test_own_functions_on_float32_and_numbers():
    x = FAR.astype(np.float32)
    for f in (relu, sigmoid, softplus, log_sigmoid):
        assert f(x).dtype == np.float32
        np.testing.assert_allclose(f(x), f(FAR), rtol=1e-6, atol=1e-38)
        for one in (*FAR.tolist(), INF, -INF, NAN):
            found = f(Tensor(one)).data
            assert type(found) is float
            np.testing.assert_allclose(found, f(np.array(one)), rtol=1e-15)


def test_relu_of_nan_is_nan():
    assert np.isnan(relu(Tensor([NAN])).data).all() and np.isnan(relu(Tensor(NAN)).data)


def test_logaddexp():
    a, b = slopes(np.logaddexp, [1000.0, 0.0, -INF, -INF, 1e8], [0.0, 1000.0, -INF, 0.0, 1e8 + 1])
    np.testing.assert_allclose(a, [1, 0, 0.5, 0, logistic(-1)], rtol=1e-15)
    np.testing.assert_allclose(b, [0, 1, 0.5, 1, logistic(1)], rtol=1e-15)
    a, b = slopes(np.logaddexp2, [1.0, -INF, 3000.0], [0.0, -INF, 0.0])
    np.testing.assert_allclose(a, [2 / 3, 0.5, 1], rtol=1e-15)
    second = elementwise_grad(elementwise_grad(np.logaddexp))
    np.testing.assert_allclose(
        second(np.array([0.0, 2.0]), 0.0), [0.25, logistic(2) * logistic(-2)]
    )


def test_no_cancellation():
    tiny = np.array([1e-12, -1e-12])
    both(np.expm1, [-50.0], [math.exp(-50)])
    both(np.log1p, [-1 + 2**-40], [2.0**40])
    both(np.arcsinh, [1e200], [1e-200])
    both(np.arccosh, [1e200], [1e-200])
    near = 1 - 2.0**-50
    expected = 1 / math.sqrt(2.0**-50 * (2 - 2.0**-50))
    both(np.arcsin, [near], [expected])
    both(np.arccos, [near], [-expected])
    both(np.arctanh, [near], [1 / (2.0**-50 * (2 - 2.0**-50))])
    np.testing.assert_allclose(slope(np.sinc, tiny), -(math.pi**2) * tiny / 3, rtol=1e-14)
    np.testing.assert_allclose(slope(np.sinc, tiny, 3), math.pi**4 * tiny / 5, rtol=1e-13)
    np.testing.assert_allclose(slope(np.i0, tiny), tiny / 2, rtol=1e-14)
    assert slope(np.sinc, [0.0]) == 0 and slope(np.i0, [0.0]) == 0
    np.testing.assert_allclose(slope(np.sinc, [0.0], 2), -(math.pi**2) / 3, rtol=1e-14)


def test_sinc_and_bessel_slopes_are_those_of_their_values():
    x = np.array([-700.0, -30.5, -2.5, -1.01, -0.99, 0.3, 1.0, 6.25, 45.0])
    np.testing.assert_allclose(sinc_slope(x, order=0), np.sinc(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(i0_slope(x, order=0), np.i0(x), rtol=1e-12)
    s = np.sinc(x)
    first = (np.cos(np.pi * x) - s) / x
    np.testing.assert_allclose(sinc_slope(x, order=1), first, rtol=1e-12, atol=1e-14)
    # Bessel's equation: I0'' = I0 - I0'/x
    expected = i0_slope(x, order=0) - i0_slope(x, order=1) / x
    np.testing.assert_allclose(i0_slope(x, order=2), expected, rtol=1e-11)


def test_remainders_count_whole_steps():
    for f, whole in ((np.remainder, np.floor), (np.fmod, np.trunc)):
        for a, b in [(7.3, 2.0), (-7.3, 2.0), (7.3, -2.0), (0.3, 0.1), (1e15 + 0.5, 3.0)]:
            first, second = slopes(f, [a], [b])
            exact = round((a - float(f(a, b))) / b)
            assert first == 1 and second == -exact
            assert abs(exact - whole(a / b)) <= 1
            assert grad(f, (0, 1))(a, b) == (1.0, -float(exact))


def test_infinite_parts():
    assert [float(p.data) for p in np.modf(Tensor(INF))] == [0.0, INF]
    mantissa, exponent = np.frexp(Tensor([8.0, 5e-324, INF]))
    expected = np.frexp([8.0, 5e-324, INF])
    assert mantissa.data.tolist() == expected[0].tolist()
    assert exponent.tolist() == expected[1].tolist()


# --- NaN stays local -------------------------------------------------------------------------


def test_where_keeps_the_branch_not_taken_out():
    def f(x):
        return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)

    np.testing.assert_allclose(slope(f, [4.0, 0.0, -1.0]), [0.25, 0, 0])
    with np.errstate(all="ignore"):
        x = Tensor(np.array([4.0, 0.0, -1.0]))
        y = np.sqrt(np.where(x.data > 0, x, 0.0))  # its cotangent is inf where x is not chosen
        y.backward(np.ones(3))
        np.testing.assert_allclose(x.grad, [0.25, 0, 0])


@pytest.mark.parametrize(
    "f", [f for f, op in registry.items() if isinstance(f, np.ufunc) and f.nin == 1]
)
def test_nan_stays_local(f):
    op = registry[f]
    if not isinstance(op, Primitive) or op.kind == "constant" or op.outputs:
        return
    good = 1.5 if f is np.arccosh else 0.5
    for bad in (NAN, INF, 0.0, -1.0):
        with np.errstate(all="ignore"):
            alone = slope(f, [good])
            assert slope(f, [good, bad])[0] == alone[0]
            assert slope(f, [good, bad], 2)[0] == slope(f, [good], 2)[0]


def test_nan_to_num():
    x = [NAN, 1.0, INF, -INF]
    assert slope(np.nan_to_num, x).tolist() == [0, 1, 0, 0]
    y = np.nan_to_num(Tensor(x), nan=5, posinf=6, neginf=7)
    assert y.data.tolist() == [5, 1, 6, 7]
    with pytest.raises(TypeError, match="nan_to_num: copy=False"):
        np.nan_to_num(Tensor(x), copy=False)


# --- plain numbers, constants and types --------------------------------------------------------

POINTS = (-INF, -1e300, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 1e300, INF, NAN)


@pytest.mark.parametrize(
    "op",
    [op for op in registry.values() if isinstance(op, Primitive) and op.scalar is not None],
    ids=lambda op: op.name,
)
def test_scalars_are_numpys(op):
    """The function on Python floats gives NumPy's numbers, as Python floats."""
    if op.arity == 1:
        calls = [(x,) for x in POINTS]
    elif op.name == "ldexp":
        calls = [(x, i) for x in POINTS for i in (-3, 0, 5)]
    elif op.arity == 2:
        calls = [(a, b) for a in POINTS for b in POINTS]
    else:
        calls = [(a, b, c) for a in (-0.5, 0.5, NAN, 2.5) for b in (0.0, 1.0) for c in (1, 2.0)]
    for args in calls:
        with np.errstate(all="ignore"):
            found = op.evaluate(args, {})
            expected = op.forward(*(np.float64(x) if type(x) is float else x for x in args))
        assert type(found) is float
        np.testing.assert_allclose(found, float(expected), rtol=1e-14, err_msg=str(args))


def test_integers_beside_numbers_give_floats():
    t = Tensor(2.5)
    for value in (
        np.maximum(t, 3), np.minimum(1, t), np.fmax(t, 3), np.clip(t, 3, 4), np.where(True, 1, t),
        np.power(2, t), t // 2, 7 % t,
    ):  # fmt: skip
        assert type(value.data) is float


def test_where():
    a, b = Tensor([1.0, 2.0]), Tensor(3.0)
    np.where(np.array([True, False]), a, b).backward(np.array([10.0, 20.0]))
    assert a.grad.tolist() == [10.0, 0.0] and b.grad == 20.0
    assert np.where(Tensor([0.0, 2.0]))[0].tolist() == [1]
    assert type(np.where(b > 0, b, 0).data) is float
    assert grad(lambda x: np.where(x > 0, x * x, 0))(3.0) == 6.0


def test_full_like_and_astype():
    x = Tensor(np.ones((2, 3), np.float32))
    v = Tensor([1.0, 2.0, 3.0])
    y = np.full_like(x, v)
    assert y.dtype == np.float32
    np.sum(y * y).backward()
    assert v.grad.tolist() == [4.0, 8.0, 12.0] and v.grad.dtype == np.float64
    z = Tensor([1.0, 2.0])
    w = z.astype(np.float32) * np.array([3.0, 4.0], np.float32)
    assert w.dtype == np.float32
    w.backward(np.ones(2))
    assert z.grad.dtype == np.float64 and z.grad.tolist() == [3.0, 4.0]
    assert Tensor(2.0).astype(np.float32).dtype == np.float32
    with pytest.raises(TypeError, match=r"astype: int64 .* np.round"):
        z.astype(int)


def test_constants_are_plain():
    t = Tensor([1.0, NAN])
    for value in (np.isnan(t), t > 0, np.zeros_like(t), np.logical_not(t), np.signbit(t)):
        assert type(value) is np.ndarray
    assert np.shape(t) == (2,) and np.array_equal(t, t.data, equal_nan=True)


def test_bad_input():
    t = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="clip does not take dtype"):
        np.clip(t, 0, 1, dtype=float)
    with pytest.raises(TypeError, match="clip: give a_min or min, not both"):
        t.clip(0, min=0)
    with pytest.raises(TypeError, match="clip does not take out"):
        np.clip(t, 0, 1, out=np.zeros(2))
    with pytest.raises(TypeError, match="np.exp on a Tensor does not take where"):
        np.exp(t, where=np.array([True, False]))
    with pytest.raises(TypeError, match="argument 'nan' is a Tensor"):
        np.nan_to_num(t, nan=Tensor(1.0))


def test_check_gradients_over_everything_at_once():
    autograd.check_gradients(
        lambda a, b: softplus(a) * np.hypot(a, b) ** 1.5 / np.arctan2(sigmoid(b), a),
        np.array([0.7, 1.3]),
        np.array([0.4, -0.8]),
    )
