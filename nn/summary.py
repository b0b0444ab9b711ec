"""`summary`: what a model is made of, layer by layer."""

import math
from dataclasses import dataclass

import numpy as np

from autograd import count_operations, no_grad
from autograd.primitive import kind_of, telling

from .module import Module, calls_noted


@dataclass(frozen=True)
class Row:
    """One module of a summary."""

    name: str  # as in named_modules; "" for the model itself
    kind: str  # its class
    shape: tuple | None  # of its result; a tuple of shapes for several; None if it was not called
    parameters: int  # of it and all inside, tied ones once
    trainable: int  # those of them that are not frozen
    flops: int | None  # operations of its calls, all inside included; None if it was not called


@dataclass(frozen=True, repr=False)
class Summary:
    """The rows of a model's modules, the model itself first; prints as a table."""

    rows: list

    @property
    def parameters(self):
        """All parameters, tied ones counted once."""
        return self.rows[0].parameters

    @property
    def flops(self):
        """All operations of one call."""
        return self.rows[0].flops

    def __repr__(self):
        from autograd.show.tables import aligned

        return "\n".join([*aligned(*self._table()), self._note()])

    def _repr_html_(self):
        from autograd.show.tables import html_table

        return html_table(self.rows[0].kind, *self._table(), notes=[self._note()])

    def _table(self):
        lines = []
        for row in self.rows:
            called = row.shape is not None
            lines.append([
                f"  {row.name}: {row.kind}" if row.name else row.kind,
                str(row.shape) if called else "–",
                f"{row.parameters:,}" if row.parameters else "",
                f"{row.flops:,}" if called else "–",
            ])  # fmt: skip
        return ["layer", "output shape", "parameters", "flops"], lines

    def _note(self):
        frozen = self.parameters - self.rows[0].trainable
        return f"{self.parameters:,} parameters, {frozen:,} of them frozen"


@telling
def summary(model, *args, **kwargs):
    """The `Summary` of a model called as ``model(*args, **kwargs)``: shapes, parameters, flops.

    The call is made in evaluation mode on a copy, so that the model, its running statistics and
    the random generators stay as they are.  Flops are the operations that `count_operations`
    counts, of every call of a module with all that is inside it; sizes include the batch's.

    >>> import nn
    >>> summary(nn.MLP((64, 32, 10)), np.zeros((1, 64), np.float32))
    layer               output shape  parameters  flops
    ───────────────────────────────────────────────────
    MLP                      (1, 10)       2,410  4,810
      layers.0: Linear       (1, 32)       2,080  4,128
      layers.1: ReLU         (1, 32)                 32
      layers.2: Linear       (1, 10)         330    650
    2,410 parameters, 0 of them frozen
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: a Module wanted, not a {type(model).__name__}")
    twin = model.copy().eval()
    with calls_noted(twin) as calls, no_grad():
        twin(*args, **kwargs)
    return Summary(
        [
            _row(name, module, [call[1:] for call in calls if call[0] is module])
            for name, module in twin.named_modules()
        ]
    )


def _row(name, module, calls):
    sizes = [(math.prod(np.shape(p)), p.requires_grad) for p in module.parameters()]
    return Row(
        name,
        type(module).__name__,
        _shape(calls[-1][2]) if calls else None,
        sum(n for n, _ in sizes),
        sum(n for n, trainable in sizes if trainable),
        sum(_flops(module, args, kwargs) for args, kwargs, _ in calls) if calls else None,
    )


def _shape(result):
    return tuple(map(_shape, result)) if isinstance(result, (tuple, list)) else np.shape(result)


def _flops(module, args, kwargs):
    values = [*module.parameters(), *args, *kwargs.values()]
    if not any(kind_of(value) == "f" for value in values):
        return 0  # integers are places and labels: nothing that counts
    return count_operations(module, *args, **kwargs).total


def _shown(module):
    """What a notebook shows of a Module: its layers and their parameters."""
    from autograd.show.tables import html_table

    rows = [_row(name, part, []) for name, part in module.named_modules()]
    lines = [[f"  {r.name}: {r.kind}" if r.name else r.kind, f"{r.parameters:,}"] for r in rows]
    return html_table(type(module).__name__, ["layer", "parameters"], lines)


Module._repr_html_ = _shown
