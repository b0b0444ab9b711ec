"""SciPy's special functions on our arrays: registered when met, exact in the tails, as programs.

That every rule is right, in every mode, to second order, is tested by tests/samples/special.py.
"""

import math

import numpy as np
import pytest
from scipy import special

import autograd
from autograd import Tensor, elementwise_grad, grad, vmap
from autograd.program import compile, source
from autograd.rules.special import polygamma

from .samples.special import SAMPLES
from .test_imports import python

# --- when the rules are registered ----------------------------------------------------------------


def test_rules_are_registered_by_the_first_function_met():
    found = python(
        "import sys, autograd\n"
        "from autograd import grad\n"
        "def known(): return 'autograd.rules.special' in sys.modules\n"
        "print('scipy' in sys.modules, known())\n"
        "from scipy import special\n"
        "print(known())\n"
        "print(grad(special.erf)(0.0), known())\n"
    )
    assert found == ["False", "False", "False", str(2 / math.sqrt(math.pi)), "True"]


@pytest.mark.parametrize("order", ["first", "later"])
def test_a_users_own_rule_stays(order):
    """Whether it is registered before SciPy's others, or replaces ours."""
    lines = [
        "from scipy import special",
        "import autograd",
        "from autograd import elementwise, grad",
        "from autograd.primitive import registry",
    ]
    if order == "later":
        lines += ["grad(special.expit)(0.0)", "del registry[special.erf]"]
    lines += [
        "elementwise(special.erf, lambda g, y, x: 7 * g)",
        "print(grad(special.expit)(0.0), grad(special.erf)(0.3))",
    ]
    assert python("\n".join(lines)) == ["0.25", "7.0"]


def test_a_function_without_a_rule_is_named():
    with pytest.raises(TypeError, match=r"^scipy\.special\.erfcx has no derivative rule"):
        special.erfcx(Tensor(0.5))


@pytest.mark.parametrize("function", [special.logsumexp, special.softmax, special.log_softmax])
def test_functions_that_convert_their_arguments_raise(function):
    """Those of the same names that autograd has give SciPy's values."""
    x = np.array([0.3, -1.2, 2.5])
    with pytest.raises(TypeError, match="would lose its derivative"):
        function(Tensor(x))
    ours = getattr(autograd, function.__name__)
    np.testing.assert_allclose(ours(x), function(x), rtol=1e-15)


# --- values known in closed form ------------------------------------------------------------------

EULER, ZETA3 = 0.5772156649015329, 1.2020569031595942
CLOSED = [  # function, arguments, by which, order, the derivative
    (special.erf, (0.0,), 0, 3, -4 / math.sqrt(math.pi)),
    (special.erfinv, (0.0,), 0, 3, math.pi**1.5 / 4),  # of its series √π/2 (x + π x³/12 + ...)
    (special.erfcinv, (1.0,), 0, 1, -math.sqrt(math.pi) / 2),
    (special.ndtri, (0.5,), 0, 1, math.sqrt(2 * math.pi)),
    (special.ndtr, (1.0,), 0, 2, -math.exp(-0.5) / math.sqrt(2 * math.pi)),
    (special.log_ndtr, (0.0,), 0, 1, math.sqrt(2 / math.pi)),
    (special.log_ndtr, (0.0,), 0, 2, -2 / math.pi),
    (special.psi, (1.0,), 0, 1, math.pi**2 / 6),
    (special.psi, (0.5,), 0, 1, math.pi**2 / 2),
    (special.psi, (1.0,), 0, 2, -2 * ZETA3),
    (special.psi, (1.0,), 0, 3, math.pi**4 / 15),
    (special.psi, (-0.5,), 0, 1, math.pi**2 / 2 + 4),  # ψ'(x) = ψ'(x + 1) + 1/x²
    (special.gamma, (1.0,), 0, 1, -EULER),
    (special.gamma, (1.0,), 0, 2, EULER**2 + math.pi**2 / 6),
    (special.gammaln, (2.0,), 0, 1, 1 - EULER),
    (special.beta, (1.0, 2.0), 1, 1, -0.25),  # B(1, b) = 1/b
    (special.betaln, (1.0, 2.0), 1, 2, 0.25),
    (special.betaln, (2.0, 1.0), 0, 1, -0.5),
    (special.beta, (2.0, 1.0), 0, 2, 0.25),
    (special.logit, (0.5,), 0, 1, 4.0),
    (special.expit, (-800.0,), 0, 1, 0.0),
    (special.log_expit, (-800.0,), 0, 1, 1.0),
    (special.log_expit, (800.0,), 0, 1, 0.0),
    (special.entr, (1.0,), 0, 1, -1.0),
    (special.kl_div, (2.0, 2.0), 1, 2, 0.5),
    (special.gammainc, (1, 0.7), 1, 1, math.exp(-0.7)),  # 1 - e^-x
    (special.gammainc, (1, 0.0), 1, 2, -1.0),
    (special.gammaincc, (1, 0.7), 1, 2, math.exp(-0.7)),
    (special.betainc, (2, 1, 0.3), 2, 1, 0.6),  # x²
    (special.betainc, (1, 1, 0.0), 2, 1, 1.0),
    (special.exp1, (2.0,), 0, 1, -math.exp(-2) / 2),
    (special.j1, (0.0,), 0, 1, 0.5),
    (special.j0, (0.0,), 0, 2, -0.5),
    (special.jv, (2, 0.0), 1, 2, 0.25),  # x²/8 - ...
    (special.i1, (0.0,), 0, 1, 0.5),
    (special.i0, (0.0,), 0, 4, 0.375),  # 1 + x²/4 + x⁴/64 + ...
    (special.kve, (0.5, 2.0), 1, 1, -math.sqrt(math.pi) / 8),  # √(π/2x)
    (special.huber, (1.5, 4.0), 0, 1, 2.5),
    (special.huber, (1.5, -4.0), 1, 1, -1.5),
]


@pytest.mark.parametrize("case", CLOSED, ids=[f"{c[0].__name__}-{i}" for i, c in enumerate(CLOSED)])
def test_derivatives_in_closed_form(case):
    f, args, by, order, expected = case
    for _ in range(order):
        f = grad(f, by)
    np.testing.assert_allclose(f(*args), expected, rtol=1e-13, atol=1e-15)


def test_the_normal_distributions_tail():
    """Its hazard r is between x and x + 1/x (Gordon 1941), r' = r (r - x); and where the two
    formulas meet nothing jumps.
    """
    x = np.array([6.0, 50.0, 1e4, 1e8])
    slope = elementwise_grad(special.log_ndtr)
    hazard = slope(-x)
    assert np.all((x <= hazard) & (hazard <= x + 1 / x))
    # r - x = 1/x - 2/x³ + 10/x⁵ - 74/x⁷ ..., which gives -r (r - x), the second derivative
    second = elementwise_grad(slope)(-x[1:])
    series = -1 + x[1:] ** -2 - 6 * x[1:] ** -4 + 50 * x[1:] ** -6
    np.testing.assert_allclose(second, series, rtol=5e-11)
    third = elementwise_grad(elementwise_grad(slope))(-x[1:])
    np.testing.assert_allclose(third, 2 * x[1:] ** -3 - 24 * x[1:] ** -5, rtol=1e-3)
    left, right = np.nextafter(-5.0, -9), -5.0
    for f in (slope, elementwise_grad(slope), elementwise_grad(elementwise_grad(slope))):
        np.testing.assert_allclose(f(left), f(right), rtol=1e-10)


def test_small_differences_do_not_cancel():
    """The derivative of kl_div(1, b) at b = 1 + ε is ε/(1 + ε)."""
    e = 2.0**-40
    assert grad(special.kl_div, 1)(1.0, 1 + e) == e / (1 + e)


# --- zeros and kinks ------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [special.xlogy, special.rel_entr, special.kl_div])
def test_nothing_times_the_logarithm_of_nothing(function):
    """A share of nothing, predicted as nothing, leaves the prediction's gradient a number."""
    shares, predicted = np.array([0.0, 0.4]), np.array([0.0, 0.5])
    slope = grad(lambda q: np.sum(function(shares, q)))(predicted)
    sign = 1 if function is special.xlogy else -1
    expected = sign * 0.4 / 0.5 + (function is special.kl_div)
    np.testing.assert_allclose(slope, [0, expected], rtol=1e-15)


def test_xlogy_at_the_origin():
    assert grad(special.xlogy, (0, 1))(0.0, 0.0) == (0.0, 0.0)
    assert grad(special.xlogy, (0, 1))(0.0, 2.0) == (math.log(2), 0.0)
    assert grad(special.xlog1py, (0, 1))(0.0, -1.0) == (0.0, 0.0)
    assert grad(special.xlog1py, (0, 1))(0.0, 1.0) == (math.log(2), 0.0)


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        (special.jv, (1.5, 2.0), "jv: the derivative by the order"),
        (special.gammainc, (1.5, 2.0), "gammainc: the derivative by a "),
        (special.betainc, (1.5, 2.0, 0.5), "betainc: the derivative by a "),
    ],
)
def test_what_has_no_derivative_by_an_argument_says_so(function, args, said):
    """It is not zero: nothing is answered, in either mode."""
    with pytest.raises(TypeError, match=said):
        grad(function)(*args)
    with pytest.raises(TypeError, match=said):
        autograd.jvp(lambda v: function(v, *args[1:]), (args[0],), (1.0,))


# --- as programs ----------------------------------------------------------------------------------

PROGRAMS = [s for s in SAMPLES if s.inputs() and all(np.shape(x) for x in s.inputs())]


@pytest.mark.parametrize("sample", PROGRAMS, ids=lambda s: s.id)
def test_source_and_compiled_programs_compute_the_same(sample):
    """Of the gradient; the source names SciPy's functions and imports them."""
    inputs = sample.inputs()

    def f(*xs):
        return np.sum(np.cos(sample.call(xs)))

    everything = tuple(range(len(inputs)))
    slope = grad(f, everything)
    expected = slope(*inputs)
    for found, wanted in zip(compile(slope)(*inputs), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)
    text = source(slope, *inputs)
    assert "from scipy import special\n" in text
    space = {}
    exec(text, space)
    found = space[text.name](*inputs)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


def test_per_example_gradients_of_a_likelihood():
    """Beta-distributed data: vmap of grad is the loop."""
    data = np.array([0.2, 0.5, 0.9])

    def loss(p, x):
        a, b = np.exp(p[0]), np.exp(p[1])
        return special.betaln(a, b) - special.xlogy(a - 1, x) - special.xlog1py(b - 1, -x)

    p = np.array([0.3, -0.2])
    found = vmap(grad(loss), (None, 0))(p, data)
    np.testing.assert_allclose(found, [grad(loss)(p, x) for x in data], rtol=1e-14)


def test_polygamma_is_scipys():
    x = np.array([-0.7, 0.4, 3.0])
    for n in (1, 2, 3):
        np.testing.assert_allclose(polygamma(x, n=n), special.polygamma(n, x), rtol=1e-14)
