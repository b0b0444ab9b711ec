"""Activations, each as a function and as a module: what stands between linear maps.

relu, sigmoid, softplus, log_sigmoid, softmax and log_softmax are autograd's own, tanh is NumPy's.
Values, first and second derivatives are finite and exact far out too, where eˣ overflows; which
value a derivative takes at a kink is told with each.
"""

import math

import numpy as np

from autograd import elementwise, log_sigmoid, log_softmax, relu, sigmoid, softmax, softplus
from autograd.payload import real
from autograd.primitive import telling

from .checks import check_dtype, check_number, check_positive
from .layers import Linear
from .module import Module, Parameter

# --- functions ------------------------------------------------------------------------------------


@telling
def step(x):
    """1 where x >= 0, else 0 (lectures D, E); its derivative is 0 everywhere, at the step too.

    >>> step(np.array([-1.0, 0.0, 2.0]))
    array([0., 1., 1.])
    """
    return np.heaviside(real("step", x), 1.0)


@telling
def leaky_relu(x, negative_slope=0.01):
    """x where x > 0, else a x, a = negative_slope, which is the derivative at 0 too.

    For a <= 1 it is max(a x, x) (lectures B, E; B has a = 0.01, and 0.1 in its table).

    >>> leaky_relu(np.array([-1.0, 0.0, 2.0]))
    array([-0.01,  0.  ,  2.  ])
    """
    x = real("leaky_relu", x)
    return np.where(x > 0, x, negative_slope * x)


@telling
def prelu(x, weight):
    """`leaky_relu` with slopes to be learned (He et al. 2015; lecture B): one for all, or one a
    channel (axis 1 of x).

    >>> prelu(np.array([[-1.0, -1.0, 2.0]]), np.array([0.5, 0.1, 0.3]))
    array([[-0.5, -0.1,  2. ]])
    """
    x = real("prelu", x)
    weight = weight if type(weight) is float else real("prelu, weight", weight)
    if np.ndim(weight) > 1:
        raise ValueError(f"prelu: weight is one number or a row of them, got {np.shape(weight)}")
    slopes = math.prod(np.shape(weight))
    if slopes > 1:
        shape = np.shape(x)
        if len(shape) < 2 or shape[1] != slopes:
            raise ValueError(
                f"prelu: for {slopes} slopes x must have so many channels, as "
                f"(N, {slopes}, ...); it has shape {shape}"
            )
        weight = np.reshape(weight, (-1, *(1,) * (len(shape) - 2)))
    elif np.ndim(weight):
        weight = weight[0]
    return leaky_relu(x, weight)


@telling
def elu(x, alpha=1.0):
    """x where x > 0, else alpha (eˣ - 1) (Clevert et al. 2015; lectures B, E).

    The derivative at 0 is that of the left side, alpha.

    >>> elu(np.array([-1000.0, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    x = real("elu", x)
    positive = x > 0
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0.0, x)))


softsign = elementwise(  # composed, the slope 1/(1 + |x|)² would be a difference that cancels
    lambda x: x / (1 + np.abs(x)),
    lambda g, y, x: g / np.square(1 + np.abs(x)),
    name="softsign",
    doc="x / (1 + |x|) (lecture E): tanh's shape, with tails that go as 1/x.",
)


@telling
def silu(x):
    """x·σ(x), called swish too (lecture E: x/(1 + e⁻ˣ)).

    >>> silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = real("silu", x)
    return x * sigmoid(x)


@telling
def sinc(x):
    """sin(x)/x, and 1 at 0 (lecture E); np.sinc is sin(πx)/(πx).

    >>> sinc(np.array([0.0, np.pi / 2])).round(4)
    array([1.    , 0.6366])
    """
    return np.sinc(real("sinc", x) / math.pi)


@telling
def mish(x):
    """x·tanh(softplus(x)) (lecture E).

    >>> mish(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = real("mish", x)
    return x * np.tanh(softplus(x))


# erfc z = (2z/π) e^-z² ∫₀^∞ e^-t²/(z² + t²) dt: by the midpoint rule of step h, and the residue at
# the pole t = iz, 2σ(-2πz/h), exact to rounding (Matta & Reichel 1971); NumPy has no erf
_STEP = 0.5
_MIDPOINTS = tuple((t * t, math.exp(-t * t)) for t in (_STEP * (k + 0.5) for k in range(13)))


def _normal_cdf(x):
    z = np.abs(x) * math.sqrt(0.5)
    square = z * z
    integral = sum(w / (square + t) for t, w in _MIDPOINTS)
    tail = (_STEP / math.pi) * z * np.exp(-square) * integral + sigmoid(-2 * math.pi / _STEP * z)
    return np.where(x > 0, 1 - tail, tail)


normal_cdf = elementwise(
    _normal_cdf,
    lambda g, y, x: g * (np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))),
    name="normal_cdf",
    doc="Φ(x): the probability that a standard normal number is below x.",
)


@telling
def gelu(x, approximate="none"):
    """x·Φ(x), Φ the normal distribution's (Hendrycks & Gimpel 2016).

    approximate   "tanh": Φ(x) as (1 + tanh(√(2/π) (x + 0.044715 x³)))/2, which is quicker

    >>> gelu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = real("gelu", x)
    if approximate == "none":
        return x * normal_cdf(x)
    if approximate != "tanh":
        raise ValueError(f'gelu: approximate is "none" or "tanh", not {approximate!r}')
    return x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * (x * x * x)))


@telling
def maxout(x, pieces, axis=-1):
    """The largest of each `pieces` features in a row: (..., units·pieces) to (..., units).

    Of affine maps it is a convex function of their input, in as many linear pieces (Goodfellow
    et al. 2013; lecture B); relu is maxout of 0 and x.  Ties share the derivative equally.

    >>> maxout(np.array([1.0, 5.0, 2.0, -1.0]), 2)
    array([5., 2.])
    """
    x = real("maxout", x)
    shape = np.shape(x)
    axis = range(len(shape))[axis]
    if pieces < 1 or shape[axis] % pieces:
        raise ValueError(
            f"maxout: groups of {pieces} features wanted, axis {axis} of x, of shape {shape}, has "
            f"{shape[axis]}"
        )
    groups = (*shape[:axis], shape[axis] // pieces, pieces, *shape[axis + 1 :])
    return np.max(np.reshape(x, groups), axis=axis + 1)


# --- modules --------------------------------------------------------------------------------------


class _Activation(Module):
    function = None  # of each element

    def forward(self, x):
        """Any shape."""
        return self.function(real(type(self).__name__, x))


class Identity(Module):
    """x as it is."""

    def forward(self, x):
        """Any shape."""
        return x


class Step(_Activation):
    """1 where x >= 0, else 0; its derivative is 0, so nothing before it learns by it."""

    function = staticmethod(step)


class Sigmoid(_Activation):
    """σ(x) = 1/(1 + e⁻ˣ); its derivative is o(1 - o), o its value."""

    function = staticmethod(sigmoid)


class Tanh(_Activation):
    """tanh x = 2σ(2x) - 1."""

    function = staticmethod(np.tanh)


class ReLU(_Activation):
    """max(x, 0); the derivative at 0 is 0."""

    function = staticmethod(relu)


class Softplus(_Activation):
    """log(1 + eˣ), a smooth ReLU; its derivative is σ(x)."""

    function = staticmethod(softplus)


class Softsign(_Activation):
    """x / (1 + |x|)."""

    function = staticmethod(softsign)


class LogSigmoid(_Activation):
    """log σ(x), exact where σ underflows."""

    function = staticmethod(log_sigmoid)


class SiLU(_Activation):
    """x·σ(x), called swish too."""

    function = staticmethod(silu)


class Sinc(_Activation):
    """sin(x)/x, and 1 at 0."""

    function = staticmethod(sinc)


class Mish(_Activation):
    """x·tanh(softplus(x))."""

    function = staticmethod(mish)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope * x."""

    def __init__(self, negative_slope=0.01):
        check_number("LeakyReLU", negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def forward(self, x):
        """Any shape."""
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self):
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class PReLU(Module):
    """LeakyReLU whose slope is learned (He et al. 2015): one for all, or one a channel (axis 1).

    num_parameters   1, or the number of channels
    init             the slopes at the start
    """

    def __init__(self, num_parameters=1, init=0.25, dtype=np.float32):
        check_positive("PReLU", num_parameters=num_parameters)
        check_number("PReLU", init=init)
        self.weight = Parameter(np.full(num_parameters, init, check_dtype("PReLU", dtype)))

    def forward(self, x):
        """(N, channels, ...); any shape for one slope."""
        return prelu(x, self.weight)

    def extra_repr(self):
        """The number of slopes."""
        return f"{self.weight.size}"


class ELU(Module):
    """x where x > 0, else alpha (eˣ - 1)."""

    def __init__(self, alpha=1.0):
        check_number("ELU", alpha=alpha)
        self.alpha = alpha

    def forward(self, x):
        """Any shape."""
        return elu(x, self.alpha)

    def extra_repr(self):
        """The constant."""
        return f"alpha={self.alpha}"


class GELU(Module):
    """x·Φ(x), Φ the normal distribution's; approximate="tanh" is quicker."""

    def __init__(self, approximate="none"):
        if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is "none" or "tanh", not {approximate!r}')
        self.approximate = approximate

    def forward(self, x):
        """Any shape."""
        return gelu(x, self.approximate)

    def extra_repr(self):
        """How Φ is computed."""
        return f"approximate={self.approximate!r}"


class Maxout(Linear):
    """max of `pieces` affine maps, each out_features wide (lecture B).

    weight (out_features * pieces, in_features) and bias start as Linear's.
    """

    def __init__(
        self, in_features, out_features, pieces=2, bias=True, dtype=np.float32, generator=None
    ):
        check_positive("Maxout", in_features=in_features, out_features=out_features, pieces=pieces)
        super().__init__(in_features, out_features * pieces, bias, dtype, generator)
        self.out_features, self.pieces = out_features, pieces

    def forward(self, x):
        """(..., in_features) to (..., out_features)."""
        return maxout(super().forward(x), self.pieces)

    def extra_repr(self):
        """Sizes."""
        return f"{super().extra_repr()}, pieces={self.pieces}"


class _AlongAxis(Module):
    function = None  # (x, axis=)

    def __init__(self, dim=-1):
        check_number(type(self).__name__, dim=dim)
        self.dim = dim

    def forward(self, x):
        """Any shape with the axis `dim`."""
        return self.function(real(type(self).__name__, x), axis=self.dim)

    def extra_repr(self):
        """The axis."""
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """eˣ divided by its sum along an axis.

    dim   the axis; PyTorch's default, by the number of axes, is deprecated there: here the last
    """

    function = staticmethod(softmax)


class LogSoftmax(_AlongAxis):
    """The logarithm of Softmax, exact where that underflows; for `nll`."""

    function = staticmethod(log_softmax)
