"""Containers: modules made of modules (Sequential, MLP, Residual)."""

import numpy as np

from .activations import ReLU
from .checks import check_flag, check_positive, check_probability
from .layers import Linear
from .module import Module
from .noise import Dropout
from .normalization import BatchNorm1d


class Sequential(Module):
    """Modules (or functions) applied one after the other.

    layers   the modules in order, or one dict of them, by names that then are their names

    A module is found by number or name, a slice is a Sequential of the same modules.

    >>> import nn
    >>> model = Sequential({"hidden": nn.Linear(2, 3), "act": nn.Tanh(), "out": nn.Linear(3, 1)})
    >>> [name for name, _ in model.named_parameters()][:2]
    ['layers.hidden.weight', 'layers.hidden.bias']
    >>> model["act"], len(model[:2])
    (Tanh(), 2)
    """

    def __init__(self, *layers):
        named = len(layers) == 1 and isinstance(layers[0], dict)
        self.layers = dict(layers[0]) if named else list(layers)
        for name, layer in self.layers.items() if named else enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"{type(self).__name__}: layer {name} is a {type(layer).__name__}; give "
                    f"modules or functions, one argument each"
                )
            if isinstance(layer, type) and issubclass(layer, Module):
                raise TypeError(
                    f"{type(self).__name__}: layer {name} is the class {layer.__name__}; make a "
                    f"module of it: {layer.__name__}(...)"
                )

    def forward(self, x):
        """The last layer's result."""
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self):
        return iter(self.layers.values() if isinstance(self.layers, dict) else self.layers)

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, i):
        if isinstance(i, str):
            return self.layers[i]
        if not isinstance(i, slice):
            return list(self)[i]
        if isinstance(self.layers, dict):
            return Sequential(dict(list(self.layers.items())[i]))
        return Sequential(*self.layers[i])


class MLP(Sequential):
    """Multilayer perceptron: Linear layers of these sizes, with activations in between.

    sizes        (inputs, hidden units, ..., outputs): at least two
    activation   what follows each hidden layer: a kind of module (``nn.Tanh``), a module, of
                 which each layer gets a copy, or a function (``np.sin``); or a list with one for
                 every layer, the last one too, None for none
    dropout      probability of dropping hidden units, after their activation
    batch_norm   normalize before each hidden activation

    >>> MLP((64, 32, 10), dropout=0.2)
    MLP(  # 2,410 parameters
      (layers.0): Linear(64, 32)  # weight (32, 64), bias (32,): 2,080 parameters
      (layers.1): ReLU()
      (layers.2): Dropout(p=0.2)
      (layers.3): Linear(32, 10)  # weight (10, 32), bias (10,): 330 parameters
    )
    """

    def __init__(
        self, sizes, activation=ReLU, dropout=0.0, batch_norm=False, dtype=np.float32,
        generator=None,
    ):  # fmt: skip
        sizes = tuple(sizes) if hasattr(sizes, "__iter__") else (sizes,)
        last = len(sizes) - 2  # the number of the last Linear
        if last < 0:
            raise ValueError(f"MLP: sizes of inputs and outputs at least wanted, got {sizes}")
        check_positive("MLP", **{f"sizes[{i}]": n for i, n in enumerate(sizes)})
        if not isinstance(activation, (list, tuple)):
            activation = [activation] * last + [None]
        if len(activation) != last + 1:
            raise ValueError(
                f"MLP: {last + 1} activations wanted, one for each layer, got {len(activation)}"
            )
        check_probability("MLP", dropout=dropout)
        check_flag("MLP", batch_norm=batch_norm)
        layers = []
        for k, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            layers.append(Linear(inputs, outputs, dtype=dtype, generator=generator))
            if batch_norm and k < last:
                layers.append(BatchNorm1d(outputs, dtype=dtype))
            if activation[k] is not None:
                layers.append(_own(activation[k]))
            if dropout and k < last:
                layers.append(Dropout(dropout, generator))
        super().__init__(*layers)


def _own(activation):
    if isinstance(activation, type):
        return activation()
    return activation.copy() if isinstance(activation, Module) else activation


class Residual(Module):
    """``x + module(x)`` (He et al. 2016): the module learns what to change in x.

    shortcut   a module or function for x where the module changes its shape; None for x itself
    """

    def __init__(self, module, shortcut=None):
        for what, part in (("module", module), ("shortcut", shortcut)):
            if not callable(part) and (part is not None or what == "module"):
                raise TypeError(
                    f"Residual: {what} is a module or function, not a {type(part).__name__}"
                )
        self.module, self.shortcut = module, shortcut

    def forward(self, x):
        """Raises ValueError where the two parts of the sum have different shapes."""
        y, straight = self.module(x), x if self.shortcut is None else self.shortcut(x)
        if np.shape(y) != np.shape(straight):
            raise ValueError(
                f"Residual: the module gives shape {np.shape(y)} and the other way has "
                f"{np.shape(straight)}; a shortcut makes them equal"
            )
        return straight + y
