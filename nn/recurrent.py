"""Recurrent networks: Elman's (`RNN`), Jordan's, GRU and LSTM, and single steps of them (cells).

Shapes: T steps, N examples.  Sequences are (T, N, features), or (N, T, features) with
``batch_first=True``, or (T, features) for one example.  What the inputs contribute to all steps is
one product of matrices before the loop; the loop has only what depends on the step before.

Parameters are named and laid out as PyTorch's, so that its weights load: ``weight_ih_l0`` (gates ·
hidden_size, inputs) is layer 0's from input to hidden, ``weight_hh_l0`` from hidden to hidden, and
so the biases.  All start uniform in ±1/√hidden_size.
"""

import numpy as np

from autograd import relu, sigmoid, stop_gradient
from autograd.payload import real
from autograd.primitive import like, looked_at
from autograd.rules.random import generator_or_default

from . import functional as F
from .checks import check_dtype, check_flag, check_positive, check_probability
from .module import Module, Parameter
from .noise import zoneout

# --- kinds of units -------------------------------------------------------------------------------
# ``step(z, state, weight, bias)`` gives the next state from z, what the input and the biases
# contribute, and the state before: tuples of (..., hidden_size), the output first.


class _Elman:
    gates, parts = 1, ("h",)
    one_bias = True  # the two biases only occur as their sum, which then is in z

    def step(self, z, state, weight, bias):
        """h' = φ(z + U h), φ tanh or relu."""
        activation = np.tanh if self.nonlinearity == "tanh" else relu
        return (activation(F.linear(state[0], weight, z)),)

    def _choose(self, nonlinearity):
        if not isinstance(nonlinearity, str) or nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f'{type(self).__name__}: nonlinearity is "tanh" or "relu", not {nonlinearity!r}'
            )
        self.nonlinearity = nonlinearity

    def extra_repr(self):
        """Those of all units, and the nonlinearity."""
        return ", ".join([super().extra_repr(), *self._unusual(nonlinearity="tanh")])


class _GRU:
    gates, parts = 3, ("h",)
    one_bias = False  # the reset gate scales U h + b_hh

    def step(self, z, state, weight, bias):
        """With gates r, u and candidate n = tanh(z_n + r (U_n h + b_n)): h' = (1 - u) n + u h."""
        h = state[0]
        gates, candidate = _cut(z, 2, 1)
        hidden_gates, hidden = _cut(F.linear(h, weight, bias), 2, 1)
        r, u = _cut(sigmoid(gates + hidden_gates), 1, 1)
        n = np.tanh(candidate + r * hidden)
        return (n + u * (h - n),)


class _LSTM:
    gates, parts = 4, ("h", "c")
    one_bias = True

    def step(self, z, state, weight, bias):
        """With gates i, f, o and candidate g: c' = f c + i g, h' = o tanh c'."""
        h, c = state
        entering, g, out = _cut(F.linear(h, weight, z), 2, 1, 1)
        i, f = _cut(sigmoid(entering), 1, 1)
        c = f * c + i * np.tanh(g)
        return sigmoid(out) * np.tanh(c), c


def _cut(a, *counts):
    """The parts of a along its last axis, in these proportions."""
    unit, start, parts = a.shape[-1] // sum(counts), 0, []
    for count in counts:
        parts.append(a[..., start : start + count * unit])
        start += count * unit
    return parts


class _Unit(Module):
    """Base of layers and cells: the parameters, and what a state is."""

    def _start(self, inputs, bias, dtype, generator, **sizes):
        """Keep the sizes, and draw the parameters: `inputs` has the inputs by layer suffix."""
        check_positive(type(self).__name__, **sizes)
        check_flag(type(self).__name__, bias=bias)
        self.__dict__.update(sizes)
        self.bias, rows = bias, self.gates * self.hidden_size
        for suffix, n in inputs.items():
            shapes = {"weight_ih": (rows, n), "weight_hh": (rows, self.hidden_size)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            _draw(self, {k + suffix: s for k, s in shapes.items()}, dtype, generator)

    def _weights(self, suffix=""):
        """(weight_ih, weight_hh, what is added to W x, what is added to U h) of a layer."""
        w, u = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        if not self.bias:
            return w, u, None, None
        b, c = getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")
        return (w, u, b + c, None) if self.one_bias else (w, u, b, c)

    def _parts(self, state, shape, x, weight):
        """The parts of a state, each of this shape; zeros for None."""
        if state is None:
            dtype = np.result_type(x.dtype, weight.dtype)
            return tuple(np.zeros(shape, dtype, like=like(x)) for _ in self.parts)
        state = (state,) if len(self.parts) == 1 else tuple(state)
        state = tuple(real(f"{type(self).__name__}, the state", part) for part in state)
        found = [np.shape(part) for part in state]
        if found != [shape] * len(self.parts):
            raise ValueError(
                f"{type(self).__name__}: the state is {' and '.join(self.parts)} of shape {shape}"
                f"{' each' * (len(self.parts) > 1)}, got {', '.join(map(str, found))}"
            )
        return state

    def _given(self, state):
        """A state as it is given back: a tuple only where it has several parts."""
        return state if len(self.parts) > 1 else state[0]


def _draw(module, shapes, dtype, generator):
    """Set parameters of these shapes by name, uniform in ±1/√hidden_size."""
    generator, bound = generator_or_default(generator), 1 / np.sqrt(module.hidden_size)
    dtype = check_dtype(type(module).__name__, dtype)
    for name, shape in shapes.items():
        setattr(module, name, Parameter(generator.uniform(-bound, bound, shape).astype(dtype)))


# --- going through the steps ----------------------------------------------------------------------


class _Steps:
    """What is the same in all loops over time: the time axis, lengths, truncation, zoneout."""

    def _keep(self, batch_first, zoneout, truncate, generator):
        name = type(self).__name__
        check_probability(name, zoneout=zoneout)
        check_flag(name, batch_first=batch_first)
        if truncate is not None:
            check_positive(name, truncate=truncate)
        self.batch_first, self.zoneout, self.truncate = batch_first, zoneout, truncate
        self.generator = generator

    def _time_first(self, x, lengths):
        """x as (T, ..., input_size); lengths checked, or None where all have T steps."""
        x = real(type(self).__name__, x)
        name, shape, size = type(self).__name__, x.shape, self.input_size
        if len(shape) not in (2, 3) or shape[-1] != size:
            batch = f"(N, T, {size})" if self.batch_first else f"(T, N, {size})"
            raise ValueError(f"{name}: x of shape {batch} or (T, {size}) wanted, got {shape}")
        x = np.swapaxes(x, 0, 1) if self.batch_first and len(shape) == 3 else x
        steps, *batch = np.shape(x)[:-1]
        if not steps:
            raise ValueError(f"{name}: at least one step wanted, x has shape {shape}")
        if lengths is None:
            return x, None
        lengths = _array(lengths)
        values = looked_at(lengths, "the lengths")
        if np.shape(lengths) != tuple(batch) or values.dtype.kind not in "iu":
            raise ValueError(
                f"{name}: lengths are integers of shape {tuple(batch)}, got {values.dtype} of "
                f"shape {np.shape(lengths)}"
            )
        if np.any((values < 0) | (values > steps)):
            raise ValueError(f"{name}: lengths are between 0 and the {steps} steps of x")
        return x, None if np.all(values == steps) else lengths

    def _back(self, y):
        return np.swapaxes(y, 0, 1) if self.batch_first and np.ndim(y) == 3 else y

    def _scan(self, step, z, state, lengths):
        """(outputs (T, ...), last state) of ``step(z[t], state)`` for t = 0, 1, ..., T - 1."""
        ends = () if lengths is None else looked_at(lengths, "the lengths")
        shortest = np.min(ends, initial=z.shape[0])
        outputs = []
        for t in range(z.shape[0]):
            if self.truncate and t and t % self.truncate == 0:
                state = stop_gradient(state)
            new = step(z[t], state)
            if self.zoneout:
                new = tuple(
                    zoneout(n, s, self.zoneout, self.training, self.generator)
                    for n, s in zip(new, state, strict=True)
                )
            output = new[0]
            if t >= shortest:
                going = (t < lengths)[..., None]
                output = np.where(going, output, 0.0)
                new = tuple(np.where(going, n, s) for n, s in zip(new, state, strict=True))
            outputs.append(output)
            state = new
        return np.stack(outputs), state


def _array(x):
    return x if hasattr(x, "dtype") else np.asarray(x)


def _every_step(x, weight, bias):
    """x W^T + b for all steps and examples at once: one matrix times one matrix."""
    y = F.linear(x.reshape((-1, x.shape[-1])), weight, bias)
    return y.reshape((*x.shape[:-1], y.shape[-1]))


class _Layers(_Steps, _Unit):
    """Layers of units, each over all steps; the first axis of a state goes over the layers."""

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, zoneout=0.0,
        truncate=None, dtype=np.float32, generator=None,
    ):  # fmt: skip
        self._keep(batch_first, zoneout, truncate, generator)
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        check_positive(type(self).__name__, **sizes)
        inputs = {f"_l{k}": hidden_size if k else input_size for k in range(num_layers)}
        self._start(inputs, bias, dtype, generator, **sizes)

    def forward(self, x, state=None, lengths=None):
        """``(outputs, last state)``: of the last layer at every step, of all layers at the end.

        x         (T, N, input_size), or as the module's head says
        state     to begin with; zeros if None
        lengths   (N,) how many steps of each example count; later ones leave its state as it is
                  and have output 0

        Raises ValueError for other shapes and lengths beyond T.
        """
        x, lengths = self._time_first(x, lengths)
        weights = [self._weights(f"_l{k}") for k in range(self.num_layers)]
        shape = (self.num_layers, *np.shape(x)[1:-1], self.hidden_size)
        state = self._parts(state, shape, x, weights[0][0])
        last = []
        for k, (w, u, b, c) in enumerate(weights):
            x, end = self._scan(
                lambda z, s, u=u, c=c: self.step(z, s, u, c),
                _every_step(x, w, b),
                tuple(part[k] for part in state),
                lengths,
            )
            last.append(end)
        return self._back(x), self._given(tuple(map(np.stack, zip(*last, strict=True))))

    def extra_repr(self):
        """Sizes, and settings that are not the usual ones."""
        other = self._unusual(num_layers=1, bias=True, batch_first=False, zoneout=0, truncate=None)
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *other])


class RNN(_Elman, _Layers):
    """Elman's network (1990; lecture A: hidden units fed back): h_t = tanh(W x_t + U h_{t-1} + b).

    num_layers     layer k takes the outputs of layer k - 1 as its inputs
    nonlinearity   "tanh" or "relu"
    batch_first    sequences are (N, T, features); states are (num_layers, N, hidden_size) always
    zoneout        probability with which a unit stays as it was, while training (see `Zoneout`)
    truncate       truncated backpropagation through time: every so many steps the state goes on
                   as a constant, and derivatives do not pass.  (To go on with a next piece of a
                   long sequence: ``rnn(x, stop_gradient(h))``.)

    >>> rnn = RNN(3, 5, num_layers=2)
    >>> outputs, h = rnn(np.zeros((7, 4, 3), np.float32))
    >>> outputs.shape, h.shape
    ((7, 4, 5), (2, 4, 5))
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True,
        batch_first=False, zoneout=0.0, truncate=None, dtype=np.float32, generator=None,
    ):  # fmt: skip
        self._choose(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, zoneout, truncate, dtype,
            generator,
        )  # fmt: skip


class GRU(_GRU, _Layers):
    """Gated recurrent unit (Cho et al. 2014), gates in PyTorch's order r, u, n; see `RNN`.

    h' = (1 - u) n + u h with n = tanh(W_n x + b_n + r (U_n h + c_n)): as in PyTorch, and unlike
    the paper, the reset gate r acts after the product U_n h.
    """


class LSTM(_LSTM, _Layers):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), gates in PyTorch's order i, f, g, o.

    c' = f c + i g and h' = o tanh c'; a state is the tuple (h, c).  The rest is as in `RNN`.
    """


class Jordan(_Steps, Module):
    """Jordan's network (1986; lecture A: output units fed back).

    h_t = tanh(W_ih x_t + W_oh y_{t-1} + b_h),  y_t = output(W_ho h_t + b_o)

    output   a function or module applied to the output units; None for linear ones

    Other settings are those of `RNN`; the state is the last output, (N, output_size).

    >>> outputs, y = Jordan(3, 5, 2)(np.zeros((7, 4, 3), np.float32))
    >>> outputs.shape, y.shape
    ((7, 4, 2), (4, 2))
    """

    def __init__(
        self, input_size, hidden_size, output_size, output=None, batch_first=False, zoneout=0.0,
        truncate=None, dtype=np.float32, generator=None,
    ):  # fmt: skip
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "output_size": output_size}
        check_positive("Jordan", **sizes)
        if output is not None and not callable(output):
            raise TypeError(f"Jordan: output is a function or module, not {output!r}")
        self._keep(batch_first, zoneout, truncate, generator)
        self.__dict__.update(sizes)
        self.output = output
        shapes = {
            "weight_ih": (hidden_size, input_size), "weight_oh": (hidden_size, output_size),
            "weight_ho": (output_size, hidden_size), "bias_h": (hidden_size,),
            "bias_o": (output_size,),
        }  # fmt: skip
        _draw(self, shapes, dtype, generator)

    def forward(self, x, state=None, lengths=None):
        """``(outputs, last output)``: (T, N, output_size) and (N, output_size); see `RNN`."""
        x, lengths = self._time_first(x, lengths)
        shape = (*np.shape(x)[1:-1], self.output_size)
        if state is None:
            dtype = np.result_type(x.dtype, self.weight_ih.dtype)
            state = np.zeros(shape, dtype, like=like(x))
        else:
            state = real("Jordan, the state", state)
            if np.shape(state) != shape:
                raise ValueError(f"Jordan: a state of shape {shape} wanted, got {np.shape(state)}")
        z = _every_step(x, self.weight_ih, self.bias_h)
        outputs, (last,) = self._scan(self.step, z, (state,), lengths)
        return self._back(outputs), last

    def step(self, z, state):
        """The next output from z, what the input contributes, and the output before."""
        h = np.tanh(F.linear(state[0], self.weight_oh, z))
        y = F.linear(h, self.weight_ho, self.bias_o)
        return (y if self.output is None else self.output(y),)

    def extra_repr(self):
        """Sizes, and settings that are not the usual ones."""
        sizes = f"{self.input_size}, {self.hidden_size}, {self.output_size}"
        return ", ".join([sizes, *self._unusual(batch_first=False, zoneout=0, truncate=None)])


# --- cells: one step ------------------------------------------------------------------------------


class _Cell(_Unit):
    def __init__(self, input_size, hidden_size, bias=True, dtype=np.float32, generator=None):
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self._start({"": input_size}, bias, dtype, generator, **sizes)

    def forward(self, x, state=None):
        """The next state: x (N, input_size) or (input_size,), the state before or None for zeros.

        Raises ValueError for other shapes.
        """
        x = real(type(self).__name__, x)
        shape = np.shape(x)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: x of shape (N, {self.input_size}) or "
                f"({self.input_size},) wanted, got {shape}"
            )
        w, u, b, c = self._weights()
        shape = (*shape[:-1], self.hidden_size)
        state = self._parts(state, shape, x, w)
        return self._given(self.step(F.linear(x, w, b), state, u, c))

    def extra_repr(self):
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ", bias=False" * (not self.bias)


class RNNCell(_Elman, _Cell):
    """One step of `RNN`: x (N, input_size) and h (N, hidden_size) to the next h.

    >>> RNNCell(3, 5)(np.zeros((4, 3), np.float32)).shape
    (4, 5)
    """

    def __init__(
        self, input_size, hidden_size, bias=True, nonlinearity="tanh", dtype=np.float32,
        generator=None,
    ):  # fmt: skip
        self._choose(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype, generator)


class GRUCell(_GRU, _Cell):
    """One step of `GRU`: x (N, input_size) and h (N, hidden_size) to the next h."""


class LSTMCell(_LSTM, _Cell):
    """One step of `LSTM`: x (N, input_size) and (h, c), each (N, hidden_size), to the next two."""
