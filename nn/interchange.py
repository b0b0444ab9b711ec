"""Weights to and from PyTorch, by the names that its ``state_dict`` has, and safetensors files.

Layers here have PyTorch's parameters, in its layouts: (out, in) for Linear, (out, in/groups,
*kernel) for convolutions, gates in the order i, f, g, o (LSTM) and r, z, n (GRU), queries, keys and
values one below the other.  So no array is changed.  What differs are three habits of naming:

Sequential           PyTorch names its parts ``0.weight``, we ``layers.0.weight``
tied parameters      PyTorch has all their names, we the first; safetensors' ``save_model`` has one
batch normalization  PyTorch also counts the batches, in ``num_batches_tracked``
"""

import numpy as np

from autograd import Tensor
from autograd.payload import numeric

from .containers import Sequential
from .module import Module, check_module, children
from .normalization import BatchNorm1d, BatchNorm2d

COUNTER = "num_batches_tracked"


def to_torch(model):
    """The values of the model's parameters and buffers, by PyTorch's names for them.

    >>> import nn
    >>> sorted(to_torch(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))))
    ['0.bias', '0.weight', '1.bias', '1.num_batches_tracked', '1.running_mean', '1.running_var',
     '1.weight']

    In PyTorch: ``{name: torch.from_numpy(array) for name, array in to_torch(model).items()}``
    for ``load_state_dict``; in a file: ``safetensors.numpy.save_file(to_torch(model), path)``.
    """
    check_module("to_torch", model)
    own = model.state_dict()
    return {
        theirs: np.zeros((), np.int64) if ours is None else own[ours].copy()
        for theirs, ours in _names(model).items()
    }


def from_torch(model, state):
    """`state`, by PyTorch's names, as what ``model.load_state_dict`` takes; `model` stays as it is.

    state   dict of arrays, or of PyTorch's tensors on the CPU: ``torch_model.state_dict()``, or
            ``safetensors.numpy.load_file(path)``

    Raises ValueError naming what is missing or unexpected, and values that differ where the model
    has one parameter for several names.

    >>> import nn
    >>> model = nn.Sequential(nn.Linear(2, 1))
    >>> state = {"0.weight": np.ones((1, 2), np.float32), "0.bias": np.zeros(1, np.float32)}
    >>> model.load_state_dict(from_torch(model, state))
    >>> model(np.array([3.0, 4.0], np.float32)).data
    array([7.], dtype=float32)
    """
    check_module("from_torch", model)
    if not hasattr(state, "keys"):
        raise TypeError(f"from_torch: state is a dict of arrays, not a {type(state).__name__}")
    names, found, problems = _names(model), {}, []
    for theirs, ours in names.items():
        if theirs not in state or ours is None:
            continue
        given = state[theirs]
        given = np.asanyarray(given) if hasattr(given, "dtype") else given
        value = numeric(f"from_torch, {theirs}", given)
        if ours in found and not np.array_equal(found[ours], value, equal_nan=True):
            problems.append(f"{theirs} differs from another name of the same parameter")
        found[ours] = value
    missing = [t for t, ours in names.items() if ours is not None and ours not in found]
    problems += [f"missing {name}" for name in missing]
    problems += [f"unexpected {name}" for name in state if name not in names]
    if problems:
        raise ValueError(f"from_torch for {type(model).__name__}: {'; '.join(problems)}")
    return found


def _names(model):
    """PyTorch's name -> ours (None for a counter of batches), wherever a value stands."""
    first, names = {}, {}
    for theirs, ours, x in _places(model):
        if isinstance(x, Tensor) and x.is_leaf:
            names[theirs] = first.setdefault(id(x), ours)
        if isinstance(x, Module):
            for key in x.__dict__.get("_buffers", ()):
                names[_path(theirs, key)] = first.setdefault((id(x), key), _path(ours, key))
        if isinstance(x, (BatchNorm1d, BatchNorm2d)):
            names[_path(theirs, COUNTER)] = None
    return names


def _places(x, theirs="", ours="", around=()):
    """``(PyTorch's name, ours, value)`` of `x` and of everything inside."""
    yield theirs, ours, x
    around = (*around, id(x))
    for key, value in children(x):
        if id(value) not in around:
            kept = isinstance(x, Sequential) and key == "layers"
            yield from _places(
                value, theirs if kept else _path(theirs, key), _path(ours, key), around
            )


def _path(name, key):
    return f"{name}.{key}" if name else str(key)
