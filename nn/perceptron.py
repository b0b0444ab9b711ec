"""Single units and their training rules: threshold perceptron, Adaline, sigmoid unit.

A unit's net input is w0 + Σ w_i x_i; it learns by Δw_i = η δ x_i, where δ is what kind of unit
it is.  For Adaline and the sigmoid unit, -δ x_i is the gradient of the squared error; the
perceptron's output has no slope, and its rule is the first one's.
"""

import warnings

import numpy as np

from autograd import sigmoid
from autograd.payload import real
from autograd.primitive import plain
from autograd.rules.random import generator_or_default

from .checks import check_dtype, check_positive
from .losses import half_squared_error
from .module import Module, Parameter


class Unit(Module):
    """Base: one output from n inputs; a subclass says its output and its δ.

    Weights and bias start uniform in [-0.01, 0.01] (lecture A's typical range).
    """

    def __init__(self, in_features, dtype=np.float32, generator=None):
        check_positive(type(self).__name__, in_features=in_features)
        dtype = check_dtype(type(self).__name__, dtype)
        self.in_features = int(in_features)
        start = generator_or_default(generator).uniform(-0.01, 0.01, in_features + 1)
        self.weight = Parameter(start[1:].astype(dtype))
        self.bias = Parameter(start[:1].astype(dtype).reshape(()))

    def net(self, x):
        """w0 + Σ w_i x_i: (..., in_features) to (...)."""
        x = real(type(self).__name__, x)
        if not np.ndim(x) or np.shape(x)[-1] != self.in_features:
            raise ValueError(
                f"{type(self).__name__}({self.in_features}): the last axis of x must have "
                f"{self.in_features} elements, x has shape {np.shape(x)}"
            )
        return x @ self.weight + self.bias

    def forward(self, x):
        """(..., in_features) to (...)."""
        return self.output(self.net(x))

    def loss(self, x, y):
        """½Σ(y - o)² over the examples: what Adaline and the sigmoid unit descend."""
        return half_squared_error(self(x), y, "sum")

    def fit(self, x, y, lr=0.1, epochs=100, batch=False):
        """Learn by the unit's rule, ``w += lr * δ * x``; the list of each epoch's loss.

        x, y    (n, in_features) and (n,), gone through in the order given
        lr      η
        batch   one step an epoch, by the sum over all examples; else one after each example

        The loss of an epoch sums what each example's output was when its turn came.
        """
        x, y = self._examples(x, y, lr, epochs)
        return [self._epoch(x, y, lr, batch)[0] for _ in range(epochs)]

    def _examples(self, x, y, lr, epochs):
        if not 0 < lr < np.inf or not isinstance(epochs, (int, np.integer)) or epochs < 1:
            raise ValueError(
                f"{type(self).__name__}: lr > 0 and a positive number of epochs wanted, "
                f"got {lr} and {epochs}"
            )
        dtype = self.weight.dtype
        x, y = np.asarray(plain(x), dtype), np.asarray(plain(y), dtype)
        if x.ndim != 2 or x.shape[1] != self.in_features or y.shape != x.shape[:1]:
            raise ValueError(
                f"{type(self).__name__}: x of shape (n, {self.in_features}) and y of shape (n,) "
                f"wanted, got {x.shape} and {y.shape}"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError(f"{type(self).__name__}: x or y holds nan or inf; clean the data")
        return x, y

    def _epoch(self, x, y, lr, batch):
        """(loss, how many examples asked for a change) of one pass; moves the weights."""
        w, w0 = np.array(self.weight.data), np.array(self.bias.data)
        loss, changes, n = 0.0, 0, len(x)
        for rows in [slice(n)] if batch else (slice(i, i + 1) for i in range(n)):
            o = self.output(x[rows] @ w + w0)
            step = lr * self.delta(y[rows], o)
            loss += float(np.sum(np.square(y[rows] - o))) / 2
            changes += int(np.count_nonzero(step))
            w += step @ x[rows]
            w0 += step.sum()
        self.weight.data, self.bias.data = w, w0
        return loss, changes

    def extra_repr(self):
        """The number of inputs."""
        return str(self.in_features)


class Adaline(Unit):
    """Linear unit with the delta rule (Widrow & Hoff 1960; lecture B): o = net, δ = y - o."""

    def output(self, net):
        """The net input itself."""
        return net

    def delta(self, y, o):
        """-∂/∂net of ½(y - o)²."""
        return y - o


class SigmoidUnit(Unit):
    """o = sigmoid(net), δ = (y - o)·o(1 - o) (lecture A), of squared error and y in [0, 1]."""

    def output(self, net):
        """In (0, 1)."""
        return sigmoid(net)

    def delta(self, y, o):
        """-∂/∂net of ½(y - o)²."""
        return (y - o) * o * (1 - o)


class Perceptron(Unit):
    """Threshold unit (Rosenblatt 1959; lecture A): 1 if w0 + Σ w_i x_i > 0, else 0.

    >>> from nn.data import xor
    >>> x, _ = xor()
    >>> unit = Perceptron(2)
    >>> unit.fit(x, x.min(axis=1))  # AND: an epoch without mistakes ends the training
    True
    >>> unit(x).data
    array([0., 0., 0., 1.], dtype=float32)

    After `fit`, ``converged`` says whether it did, and ``mistakes`` how many of each epoch's
    examples were put on the wrong side when their turn came.
    """

    converged, mistakes = False, ()

    def output(self, net):
        """0 or 1; 0 at 0."""
        return np.heaviside(net, 0)

    def delta(self, y, o):
        """The perceptron training rule's y - o: -1, 0 or 1."""
        return y - o

    def fit(self, x, y, lr=0.1, epochs=1000):
        """Apply Δw_i = lr (y - o) x_i example by example, till an epoch changes nothing.

        y   0 or 1

        Returns whether that came about.  If not, it warns, and stops as soon as the weights
        return to those after an earlier epoch: then they go round forever, as they do where no
        hyperplane separates the classes (exclusive or).
        """
        x, y = self._examples(x, y, lr, epochs)
        if not np.isin(y, (0, 1)).all():
            raise ValueError("Perceptron: y is 0 or 1")
        self.converged, self.mistakes, seen = False, [], {}
        for epoch in range(1, epochs + 1):
            self.mistakes.append(self._epoch(x, y, lr, batch=False)[1])
            if not self.mistakes[-1]:
                self.converged = True
                return True
            place = (self.weight.data.tobytes(), self.bias.data.tobytes())
            if place in seen:
                return self._failed(
                    f"the weights after epoch {epoch} are those after epoch {seen[place]}, and so "
                    f"go round forever: no hyperplane separates the classes"
                )
            seen[place] = epoch
        return self._failed(f"{epochs} epochs were too few, or no hyperplane separates the classes")

    def _failed(self, why):
        warnings.warn(f"Perceptron did not converge: {why}", RuntimeWarning, stacklevel=3)
        return False
