"""Module: the container of parameters, and the functions that treat it as one argument."""

import math
from contextlib import contextmanager
from copy import deepcopy
from reprlib import recursive_repr

import numpy as np

from autograd import Tensor, no_grad, repeat, scopes, tree_map
from autograd.lazy import is_lazy
from autograd.primitive import (
    MISTAKES,
    Wrapper,
    differs,
    like,
    plain,
    recorded,
    telling,
    told,
    valued,
)


def Parameter(data, name=None):
    """A trainable Tensor, for a Module's attribute; the module names it after the attribute.

    data   number, array or nested list of floats; kept without a copy
    """
    return Tensor(data, name)


class Module:
    """A layer or network: Tensors in its attributes are parameters, Modules its parts.

    Parameters and parts are also found inside attributes that are lists, tuples and dicts.
    Write a ``forward`` method; calling the module runs it.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(2.0)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(3.0)
    Tensor(6.0)
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training = True

    def forward(self, *args, **kwargs):
        """The value for the given arguments; written by each kind of module."""
        raise TypeError(f"{type(self).__name__} has no forward method: write one")

    def __call__(self, *args, **kwargs):
        first = scopes.begin()
        try:
            result = self.forward(*args, **kwargs)
        except MISTAKES as error:
            told(error, f"{type(self).__name__}({self.extra_repr()})", args)
            raise
        scopes.end(first, self)
        return result

    # --- parameters, buffers, parts ---

    def named_parameters(self):
        """``(name, Tensor)`` of every parameter once, however often it is used.

        Under `jvp`, `vmap` and the like, what stands in its place.
        """
        seen = set()
        for _, name, value in self._parameter_places():
            if name not in seen:
                seen.add(name)
                yield name, value

    def _parameter_places(self):
        """``(path, name, value)`` wherever a parameter stands; its name is the first path.

        In a copy by a transformation a parameter may be a plain array, one array may stand for
        two, and what a forward keeps there (``self.kept = x``) may be a wrapper: only the place
        tells them apart.
        """
        known, names = self.__dict__.get("_places"), {}
        for path, value in _walk(self):
            if known is not None:
                if path in known:
                    yield path, known[path], value
            elif isinstance(value, Wrapper) and getattr(value, "is_leaf", True):
                yield path, names.setdefault(id(value), path), value

    def parameters(self):
        """Every parameter once."""
        return [p for _, p in self.named_parameters()]

    def modules(self):
        """This module and every module inside it, once."""
        return [module for _, module in self.named_modules()]

    def named_modules(self):
        """``(name, module)`` of this module, called "", and of every module inside it, once."""
        seen = set()
        for name, value in _walk(self):
            if isinstance(value, Module) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def register_buffer(self, name, value):
        """Declare an array that is state but not trained, such as running statistics.

        It reads and assigns like an attribute; assigning takes the plain value.  Raises
        ValueError for the name of an attribute that is something else.
        """
        if name in self.__dict__:
            raise ValueError(f"{type(self).__name__}: {name!r} is an attribute already")
        self.__dict__.setdefault("_buffers", {})[name] = buffer_value(name, value)

    def named_buffers(self):
        """``(name, array)`` of every buffer once."""
        for name, buffers, key in self._buffer_places():
            yield name, buffers[key]

    def _buffer_places(self):
        for path, module in self.named_modules():
            buffers = module.__dict__.get("_buffers", {})
            for key in buffers:
                yield f"{path}.{key}" if path else key, buffers, key

    def named_generators(self):
        """``(name, numpy.random.Generator)`` of every generator inside once, such as dropout's."""
        seen = set()
        for name, value in _walk(self):
            if isinstance(value, np.random.Generator) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def __setattr__(self, name, value):
        if name in self.__dict__.get("_buffers", ()):
            repeat.assign(self._buffers, name, buffer_value(name, value))
            return
        if isinstance(value, Tensor) and value.name is None:
            value.name = name
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        buffers = self.__dict__.get("_buffers", {})
        if name in buffers:
            return repeat.read(buffers, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # --- modes ---

    def train(self, mode=True):
        """Switch this module and all inside to training (dropout drops, batch norm adapts)."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Switch this module and all inside to evaluation."""
        return self.train(False)

    def requires_grad_(self, flag=True, where=None):
        """Thaw (True) or freeze (False) the parameters for which ``where(name, parameter)``.

        All if None; raises ValueError where it holds for none.
        """
        named = [*self.named_parameters()]
        chosen = [p for name, p in named if where is None or where(name, p)]
        if where is not None and not chosen:
            raise ValueError(
                f"{'unfreeze' if flag else 'freeze'}: no parameter of {type(self).__name__} is "
                f"chosen; it has {', '.join(name for name, _ in named)}"
            )
        for p in chosen:
            p.requires_grad = flag
        return self

    def freeze(self, where=None):
        """Make constants of the parameters for which ``where(name, parameter)``; all if None.

        They get no gradient, and optimizers leave them alone.  Raises ValueError where it holds
        for none.

        >>> import nn
        >>> model = nn.MLP((2, 3, 1)).freeze(lambda name, p: name.endswith("bias"))
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['layers.0.weight', 'layers.2.weight']
        """
        return self.requires_grad_(False, where)

    def unfreeze(self, where=None):
        """Train the parameters for which ``where(name, parameter)`` again; all if None."""
        return self.requires_grad_(True, where)

    def apply(self, f):
        """Call ``f(module)`` on every module inside, then on this one; returns this one."""
        for module in reversed(self.modules()):
            f(module)
        return self

    def map(self, f):
        """Put ``f(array)`` in the place of every parameter's and buffer's array; returns self.

        ``model.map(cupy.asarray)`` moves a model to the GPU, ``model.map(cupy.asnumpy)`` back,
        ``model.map(lambda a: a.astype(float))`` doubles the precision.  Gradients are forgotten;
        an optimizer is made after it, for its state is of the arrays as they were.  Parameters
        that are single numbers stay.  Raises ValueError, and changes nothing, where f changes a
        shape.

        >>> import nn
        >>> model = nn.Linear(2, 3).map(lambda a: a.astype(np.float64))
        >>> model.weight.dtype
        dtype('float64')
        """
        places = list(self._buffer_places())
        own = {name: p for name, p in self.named_parameters() if type(p.data) is not float}
        arrays = {name: f(plain(p)) for name, p in own.items()}
        buffers = [f(buffers[key]) for _, buffers, key in places]
        for name, a in arrays.items():
            if np.shape(a) != own[name].shape:
                raise ValueError(f"map: {name} of shape {own[name].shape} became {np.shape(a)}")
        for (name, old, key), a in zip(places, buffers, strict=True):
            if np.shape(a) != np.shape(old[key]):
                raise ValueError(f"map: {name} of shape {np.shape(old[key])} became {np.shape(a)}")
        self.zero_grad()
        self._assign(arrays)
        for (_, old, key), a in zip(places, buffers, strict=True):
            old[key] = a
        return self

    def copy(self):
        """A module with arrays, buffers and generators of its own; what was tied stays tied."""
        return deepcopy(self)

    def zero_grad(self):
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    # --- state ---

    def state_dict(self):
        """Copies of all parameters' and buffers' values, by name."""
        entries = [
            (name, p.data if isinstance(p, Wrapper) else p) for name, p in self.named_parameters()
        ]
        entries += self.named_buffers()
        return {name: x.copy() if is_lazy(x) else np.copy(x) for name, x in entries}

    def load_state_dict(self, state, strict=True):
        """Take all values from `state`, by name; nothing changes unless all of it fits.

        strict   False to take the names that both have, and leave the rest

        Raises ValueError naming what is missing, unexpected, or an array of another shape or
        dtype.  Lists and numbers take the module's dtype.
        """
        own, new, problems = self.state_dict(), {}, []
        for name, value in own.items():
            if name not in state:
                problems += [f"missing {name}"] * strict
                continue
            dtype = getattr(state[name], "dtype", value.dtype)
            if dtype != value.dtype:
                problems.append(f"{name} has dtype {dtype}, the module's has {value.dtype}")
            try:
                new[name] = np.array(state[name], dtype=value.dtype, like=like(value))
            except (TypeError, ValueError) as error:
                problems.append(f"{name} is no array of {value.dtype}: {error}")
                continue
            if new[name].shape != value.shape:
                problems.append(
                    f"{name} has shape {new[name].shape}, the module's has {value.shape}"
                )
        problems += [f"unexpected {name}" for name in state if strict and name not in own]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: {'; '.join(problems)}")
        self._assign({name: new[name] for name, _ in self.named_parameters() if name in new})
        for name, buffers, key in list(self._buffer_places()):
            buffers[key] = new.get(name, buffers[key])

    def update(self, other):
        """Take the trainable parameters' values from another module like this one; returns self.

        After ``slopes = grad(loss)(model, x)`` one step of gradient descent in place is

            model.update(tree_map(lambda p, g: p - lr * g, model, slopes))

        Raises ValueError, and changes nothing, for other structures or shapes.
        """
        names = self.leaf_names()
        values, _ = tree_map(lambda p, value: value, self, other).__tree__()
        own = dict(self.named_parameters())
        wrong = [n for n, v in zip(names, values, strict=True) if np.shape(v) != own[n].shape]
        if wrong:
            raise ValueError(f"update of {type(self).__name__}: other shapes of {', '.join(wrong)}")
        self._assign(
            {name: _own(value, own[name].dtype) for name, value in zip(names, values, strict=True)}
        )
        return self

    def _assign(self, arrays):
        """Set parameters, by name, to arrays of their shape and dtype."""
        own = dict(self.named_parameters())
        if not all(isinstance(own[name], Tensor) for name in arrays):
            raise TypeError(
                f"this {type(self).__name__} has plain arrays for parameters, as derivatives and "
                f"results of tree_map do; change the module itself"
            )
        for name, array in arrays.items():
            number = type(valued(own[name])) is float and not recorded(array)
            own[name].data = array.item() if number else array

    # --- as one argument of grad and its like ---

    def __tree__(self, by_value=True):
        """The trainable parameters as leaves, and a function giving a copy with others there.

        Parameters are taken by value, unless `by_value` is False: derivatives are plain arrays.
        The copy shares the buffers, so that running statistics reach the module itself.
        """
        places = self._leaf_places()
        leaves = [value for value, _ in places.values()]

        make = None

        def rebuild(values):
            nonlocal make
            if make is None:
                at = {path: i for i, (_, paths) in enumerate(places.values()) for path in paths}
                make = _maker(self, at, places)
            return make(list(values))

        return [_by_value(leaf) if by_value else leaf for leaf in leaves], rebuild

    def leaf_names(self):
        """The names of the leaves of `__tree__`."""
        return list(self._leaf_places())

    def _leaf_places(self):
        """name -> (value, all paths where it stands), of trainable parameters."""
        standing = self.__dict__.get("_leaves")  # of a copy with other values: path -> name
        places, names = {}, {}
        for path, value in _walk(self):
            if standing is not None:
                name = standing.get(path)
            else:
                name = names.setdefault(id(value), path) if _trainable(value) else None
            if name is not None:
                places.setdefault(name, (value, []))[1].append(path)
        return places

    @recursive_repr(fillvalue="...")  # for a reference back to what this is inside of
    def __repr__(self):
        inside = [f"({path}): {part!r}".replace("\n", "\n  ") for path, part in _parts(self)]
        head, note = f"{type(self).__name__}({self.extra_repr()}", self._size_note()
        note = f"  # {note}" if note else ""
        return "\n  ".join([head + note, *inside]) + "\n)" if inside else f"{head}){note}"

    def _size_note(self):
        """``weight (3, 2), bias (3,): 9 parameters``: the shapes of its own, the number of all."""
        parameters = dict(self.named_parameters())
        if not parameters:
            return ""
        parts = tuple(f"{path}." for path, _ in _parts(self))
        own = [f"{n} {np.shape(p)}" for n, p in parameters.items() if not n.startswith(parts)]
        sizes = {name: math.prod(np.shape(p)) for name, p in parameters.items()}
        total = sum(sizes.values())
        frozen = sum(n for k, n in sizes.items() if not getattr(parameters[k], "requires_grad", 1))
        shapes = ", ".join(own[:4] + ["..."] * (len(own) > 4))
        return (
            f"{shapes}{': ' * bool(own)}{total:,} parameter{'s' * (total != 1)}"
            + f", {frozen:,} frozen" * bool(frozen)
        )

    def extra_repr(self):
        """What `repr` says between the parentheses."""
        return ""

    def _unusual(self, **defaults):
        """``name=value`` of settings that are not these, for `extra_repr`."""
        found = {name: getattr(self, name) for name in defaults}
        return [f"{name}={v!r}" for name, v in found.items() if v != defaults[name]]


@contextmanager
def modes_kept(*modules):
    """Within this block modules may change between training and evaluation; after it they are in
    the mode, each of them, that they were in.
    """
    for module in modules:
        check_module("model", module)
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def evaluating(*modules):
    """Within this block modules evaluate, without dropout and the like, and nothing is recorded."""
    with modes_kept(*modules), no_grad():
        for module in modules:
            module.eval()
        yield


@contextmanager
def calls_noted(model):
    """``(module, args, kwargs, result)`` of each call of a module inside, while in this block."""
    calls, modules = [], model.modules()

    def noting(module, forward):
        def noted(*args, **kwargs):
            result = forward(*args, **kwargs)
            calls.append((module, args, kwargs, result))
            return result

        return noted

    for module in modules:
        module.__dict__["forward"] = noting(module, module.forward)
    try:
        yield calls
    finally:
        for module in modules:
            del module.__dict__["forward"]


@telling
def functional_call(module, parameters, *args, **kwargs):
    """``module(*args)`` with other values for some or all of its parameters.

    parameters   dict from names, as in `named_parameters`, to arrays or Tensors

    >>> from autograd import grad
    >>> import nn
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> loss = lambda weights, x: np.sum(functional_call(layer, weights, x))
    >>> grad(loss)({"weight": np.ones((1, 2))}, np.array([[3.0, 4.0]]))
    {'weight': array([[3., 4.]])}
    """
    check_module("functional_call", module)
    if not isinstance(parameters, dict):
        raise TypeError(f"functional_call: parameters by name, not a {type(parameters).__name__}")
    places = list(module._parameter_places())
    names = list(dict.fromkeys(name for _, name, _ in places))
    unknown = [name for name in parameters if name not in names]
    if unknown:
        raise ValueError(
            f"functional_call: {type(module).__name__} has no parameter {', '.join(unknown)}; "
            f"it has {', '.join(names)}"
        )
    order = {name: i for i, name in enumerate(parameters)}
    at = {path: order[name] for path, name, _ in places if name in order}
    return _maker(module, at, module._leaf_places())([*parameters.values()])(*args, **kwargs)


# --- walking the attributes -------------------------------------------------------------------


_OWN = "_buffers", "_leaves", "_places"  # what a Module keeps for itself


def children(x):
    """``(key, value)`` of a module's attributes, or of what is in a list, tuple or dict."""
    if isinstance(x, Module):
        return [(k, v) for k, v in x.__dict__.items() if k not in _OWN]
    if isinstance(x, dict):
        return list(x.items())
    if isinstance(x, (list, tuple)):
        return list(enumerate(x))
    return []


def _walk(x, path="", around=()):
    """``(path, value)`` of `x` and of everything inside its attributes and containers.

    A reference back to something that `x` is inside of is not followed.
    """
    yield path, x
    around = (*around, id(x))
    for key, value in children(x):
        if id(value) not in around:
            yield from _walk(value, f"{path}.{key}" if path else str(key), around)


def _parts(x, path=""):
    """``(path, module)`` of the modules directly inside, also in containers."""
    for key, value in children(x):
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Module):
            yield here, value
        else:
            yield from _parts(value, here)


def _maker(module, at, places):
    """A function of a list of values, which gives a copy of the structure of `module` with them.

    at       where the values stand: path -> number in the list; the rest is shared
    places   the module's leaves: they are the copy's too, whatever values stand there
    """
    changed = {""}  # the paths of what holds something new
    for path in at:
        while (path := path.rpartition(".")[0]) not in changed:
            changed.add(path)
    make = _copier(module, "", at, changed)
    leaves = {p: name for name, (_, paths) in places.items() for p in paths}

    def made(values):
        copy = make(values)
        copy.__dict__["_leaves"] = leaves
        return copy

    return made


def _copier(x, path, at, changed):
    """The same for what stands at a path; None where nothing inside changes: it is shared, and
    what a forward keeps in it stays.
    """
    if path in at:
        number = at[path]
        return lambda values: values[number]
    if path not in changed:
        return None
    parts = [
        (key, make)
        for key, value in children(x)
        if (make := _copier(value, f"{path}.{key}" if path else str(key), at, changed))
    ]
    if isinstance(x, Module):
        places = {path: name for path, name, _ in x._parameter_places()}

        def copied(values):
            copy = object.__new__(type(x))
            inside = copy.__dict__
            inside.update(x.__dict__)
            for key, make in parts:
                inside[key] = make(values)
            inside["_places"] = places
            return copy

        return copied

    def put(values):
        copy = dict(x) if isinstance(x, dict) else list(x)
        for key, make in parts:
            copy[key] = make(values)
        if isinstance(x, tuple):
            return type(x)(*copy) if hasattr(x, "_fields") else type(x)(copy)
        return copy if isinstance(x, dict) or type(x) is list else type(x)(copy)

    return put


def _trainable(value):
    return isinstance(value, Tensor) and value.requires_grad and value.is_leaf


def _own(value, dtype):
    """A value as an array of its own."""
    value = valued(value)
    return value.astype(dtype) if recorded(value) else np.array(value, dtype, like=like(value))


def _by_value(leaf):
    return leaf.node.value if _is_input(leaf) else leaf


def _is_input(leaf):
    return isinstance(leaf, Tensor) and leaf.level == 0 and leaf.node.primitive is None


def check_module(what, module):
    """TypeError but for Modules."""
    if not isinstance(module, Module):
        raise TypeError(f"{what}: a Module is wanted, not {type(module).__name__}")


def buffer_value(name, value):
    """The plain array to keep as buffer `name`: derivatives end here."""
    if differs(value):
        raise TypeError(
            f"buffer {name!r}: one value for all examples is wanted, not one each; "
            f"switch the module to eval() inside vmap"
        )
    value = valued(value)
    try:
        return value if recorded(value) else np.asarray(value, like=like(value))
    except ValueError as error:  # ragged
        raise ValueError(f"buffer {name!r}: {error}") from None
