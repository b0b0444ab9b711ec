"""Autoencoders: networks that learn a code by reconstructing their input (lecture A).

Each has a ``loss(x)``, for a plain loop:

    for x in batches:
        optimizer.zero_grad()
        autoencoder.loss(x).backward()
        optimizer.step()

What makes the code worth having differs: few units (`Autoencoder` with a bottleneck), few of them
active (`SparseAutoencoder`), a corrupted input to mend (`DenoisingAutoencoder`), or a code that
hardly changes with its input (`ContractiveAutoencoder`).
"""

import numpy as np

from autograd import jacobian, vmap
from autograd.primitive import telling
from autograd.rules.random import bernoulli

from .checks import check_not_negative, check_probability
from .containers import Sequential
from .losses import mse, sparsity_kl
from .module import Module, buffer_value, evaluating


class Autoencoder(Module):
    """decoder(encoder(x)), trained to be x; a bottleneck where the code is smaller than x.

    encoder, decoder   modules or functions: x to code, code to reconstruction
    reconstruction     loss(o, y) of the reconstruction o of y: a number

    >>> import nn
    >>> model = Autoencoder(nn.Linear(8, 3), nn.Linear(3, 8))
    >>> model.encoder(np.eye(8, dtype=np.float32)).shape, model.loss(np.eye(8)).shape
    ((8, 3), ())
    """

    def __init__(self, encoder, decoder, reconstruction=mse):
        for what, part in (
            ("encoder", encoder), ("decoder", decoder), ("reconstruction", reconstruction),
        ):  # fmt: skip
            if not callable(part):
                raise TypeError(
                    f"{type(self).__name__}: {what} is a module or function, "
                    f"not a {type(part).__name__}"
                )
        self.encoder, self.decoder, self.reconstruction = encoder, decoder, reconstruction

    def forward(self, x):
        """The reconstruction, of the shape of x."""
        return self._decoded(self.encoder(x), x)

    def loss(self, x):
        """The loss of the reconstruction of a batch x (N, ...)."""
        return self.reconstruction(self(x), x)

    def _decoded(self, code, x):
        o = self.decoder(code)
        if np.shape(o) != np.shape(x):
            raise ValueError(
                f"{type(self).__name__}: the decoder must give the shape of x, {np.shape(x)}; "
                f"it gives {np.shape(o)}"
            )
        return o


class SparseAutoencoder(Autoencoder):
    """Loss + weight · Σ_j KL(s ‖ ŝ_j), ŝ_j the mean of code unit j over the batch (lecture A).

    The code's units lie between 0 and 1, as sigmoid's do.

    target   s, the activity wanted; in (0, 1)
    """

    def __init__(self, encoder, decoder, reconstruction=mse, target=0.1, weight=1.0):
        super().__init__(encoder, decoder, reconstruction)
        check_probability("SparseAutoencoder", target=target)
        if target in (0, 1):
            raise ValueError(f"SparseAutoencoder: target lies in (0, 1), got {target}")
        check_not_negative("SparseAutoencoder", weight=weight)
        self.target, self.weight = target, weight

    def loss(self, x):
        """Of a batch x (N, ...)."""
        code = self.encoder(x)
        rebuilt = self.reconstruction(self._decoded(code, x), x)
        return rebuilt + self.weight * sparsity_kl(code, self.target)

    def extra_repr(self):
        """The penalty's settings."""
        return f"target={self.target}, weight={self.weight}"


class DenoisingAutoencoder(Autoencoder):
    """Reconstructs x from a corrupted x (Vincent et al. 2008; lecture A).

    corruption   probability with which each element is set to 0, or a module or function from x
                 to what stands in its place
    generator    what the zeros are drawn from
    """

    def __init__(self, encoder, decoder, reconstruction=mse, corruption=0.3, generator=None):
        super().__init__(encoder, decoder, reconstruction)
        if not callable(corruption):
            check_probability("DenoisingAutoencoder", corruption=corruption)
        self.corruption, self.generator = corruption, generator

    def loss(self, x):
        """Of a batch x (N, ...): the reconstruction of its corruption, held to x itself."""
        if callable(self.corruption):
            corrupted = self.corruption(x)
        else:
            corrupted = x * bernoulli(x, p=1 - self.corruption, generator=self.generator)
        return self.reconstruction(self(corrupted), x)

    def extra_repr(self):
        """The probability, where it is one."""
        return "" if callable(self.corruption) else f"corruption={self.corruption}"


class ContractiveAutoencoder(Autoencoder):
    """Loss + weight · mean over the batch of ‖∂code/∂x‖² (Frobenius; Rifai et al. 2011).

    The penalty is a derivative that training differentiates once more; any encoder will do whose
    examples do not mix (no batch norm in training).
    """

    def __init__(self, encoder, decoder, reconstruction=mse, weight=0.1):
        super().__init__(encoder, decoder, reconstruction)
        check_not_negative("ContractiveAutoencoder", weight=weight)
        self.weight = weight

    def loss(self, x):
        """Of a batch x (N, ...)."""
        return super().loss(x) + self.weight * self.penalty(x)

    def penalty(self, x):
        """Mean over the examples of Σ_ij (∂code_j/∂x_i)²."""
        slopes = vmap(jacobian(self.encoder))(x)
        return np.sum(np.square(slopes)) / np.shape(x)[0]

    def extra_repr(self):
        """The penalty's weight."""
        return f"weight={self.weight}"


@telling
def pretrain_stack(autoencoders, x, fit):
    """Greedy layer-wise training (Bengio et al. 2006; lecture A): the trained encoders, stacked.

    The first autoencoder learns to represent x, the next one the first's codes, and so on; the
    decoders are then discarded.  For the supervised task put a layer behind the stack, train that
    layer, and then fine-tune all: the parameters in the stack are the encoders' own.

        stack = nn.pretrain_stack([a, b], x, fit)
        model = nn.Sequential(stack, nn.Linear(codes, classes))

    autoencoders   each takes what the one before has as code
    fit            fit(autoencoder, x) trains one of them in place
    """
    autoencoders = list(autoencoders)
    if not autoencoders or not all(hasattr(a, "encoder") for a in autoencoders):
        raise ValueError("pretrain_stack: one or more autoencoders wanted")
    stack = Sequential(*(a.encoder for a in autoencoders))
    _encoded(stack, x[:1])  # parts that do not fit each other are found before any training
    for autoencoder in autoencoders:
        fit(autoencoder, x)
        x = _encoded(autoencoder.encoder, x)
    return stack


def _encoded(encoder, x):
    """The codes of x as a plain array, without what only training does, such as dropout."""
    with evaluating(*([encoder] if isinstance(encoder, Module) else [])):
        return buffer_value("code", encoder(x))
