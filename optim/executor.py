"""The base of the optimizers: groups of parameters, their state, and how a step is worked through.

    group     a dict: parameters, and what it sets otherwise than the optimizer's ``hyper``
    slot      an array of state shaped like its parameter

Arrays of more than BLOCK elements are worked through in blocks, which stay in the processor's
cache; small ones are put together (`Pack`) and worked through at once.  After the first step
nothing is allocated.  (A second thread, over the other half of the
elements, was slower: the two wait for the interpreter's lock at every one of some hundred calls.)
"""

from operator import is_

import numpy as np

from autograd.lazy import check_in_memory, compute_gradients, is_lazy
from autograd.primitive import is_foreign, like, telling
from autograd.repeat import deferred
from autograd.watched import Writes

BLOCK = 65536  # elements worked on at a time: few enough for the cache, enough for few calls
SMALL = 8192  # elements of arrays that are put together: copying them costs less than calls do
PLAIN = {float, int, bool}
SCRATCH = 4  # arrays for intermediate results: three for `update`, one for the decayed gradient


class Group(dict):
    """A group's own settings and its "params"; what it does not set is read from `hyper`."""

    def __init__(self, own, hyper):
        super().__init__(own)
        self.hyper = hyper

    def __missing__(self, name):
        return self.hyper[name]

    def own(self):
        """What the group sets for itself."""
        return {name: value for name, value in self.items() if name != "params"}


class Optimizer:
    """Base: holds parameters and their state; a subclass updates one block of one array.

    params   Tensors that are variables, or dicts ``{"params": [...], "lr": ...}`` of groups with
             settings of their own (see `group_parameters`); ValueError for none, TypeError for
             others
    lr       learning rate η >= 0
    """

    decoupled = False  # whether weight decay is a step of its own, w ← w - ηλw
    numbers = ()  # names of the numbers in the state, besides "step"

    def __init__(self, params, lr, **hyper):
        self.hyper = {"lr": lr, **hyper}
        self._check(self.hyper)
        self.param_groups = [Group(group, self.hyper) for group in self._groups(params)]
        for group in self.param_groups:
            self._check(group.own())
        self._places = [
            (p, i) for i, group in enumerate(self.param_groups) for p in group["params"]
        ]
        self._check_parameters()
        self.state = [{} for _ in self._places]
        self._scratch, self._plan = {}, None

    @property
    def params(self):
        """All parameters, group by group."""
        return [p for p, _ in self._places]

    @property
    def lr(self):
        """The learning rate of all groups that set none of their own."""
        return self.hyper["lr"]

    @lr.setter
    def lr(self, value):
        self._check({"lr": value})
        self.hyper["lr"] = value

    # --- what a subclass says ---

    def slots(self, hyper):
        """Names of the state arrays, each with the number it is filled with at first."""
        return {}

    def constants(self, hyper, state):
        """What is the same for all elements in a step, by `update`'s names.

        Numbers of the state may change here: it is called once for each parameter and step.
        """
        return {}

    def update(self, w, g, scratch, *slots, **constants):
        """Update the weights `w` and the state `slots` in place.

        scratch   three arrays like w, and one of booleans
        """
        raise TypeError(f"{type(self).__name__} does not say how to update")

    # --- a step ---

    def zero_grad(self):
        """Forget the parameters' gradients."""
        for p, _ in self._places:
            p.grad = None

    def step(self):
        """Update every parameter that has a gradient, in place.

        Gradients that are computed later, as Dask's are, are computed here, all in one go.  Raises,
        before anything changes, ValueError where a parameter has got another shape, and TypeError
        where it is a Dask array.
        """
        if deferred(self.step):
            return
        packs, alone = self._plan or self._planned()
        if not all([pack.collect(self.state) for pack in packs]):
            packs, alone = self._planned()
        ready = [place for n in alone if (place := self._ready(n))]
        groups = [self._prepared(group) for group in self.param_groups]
        for pack in packs:
            hyper, fill, decay, shrink = groups[pack.group]
            constants = decay, shrink, self.constants(hyper, pack.counted())
            scratch = self._buffers(pack.w.dtype, pack.w.shape)
            pack.gather()
            self._move(pack.w, pack.g, [pack.slots[name] for name in fill], constants, scratch)
            pack.scatter(self.numbers)
        for p, g, i, state in ready:
            hyper, fill, decay, shrink = groups[i]
            self._begin(p, state, fill)
            state["step"] += 1
            constants = decay, shrink, self.constants(hyper, state)
            slots = [state[name] for name in fill]
            w = p.data
            if is_foreign(w):  # on a device one call for all is best, and memory is pooled
                self._move(w, g, slots, constants, self._scratch_like(w))
                p.data = w
            elif type(w) is float or not w.ndim:
                p.data = self._single(w, g, slots, constants)
            else:
                self._array(np.asarray(w), g, slots, constants)
                p.data = w  # says that it was written: graphs recorded before must not read it

    def _ready(self, n):
        """``(parameter, gradient, group, state)`` of parameter n; None where it has no gradient."""
        (p, i), state = self._places[n], self.state[n]
        g = p.grad
        if g is None or not p.requires_grad:
            return None
        if type(g) is not np.ndarray and is_lazy(g):
            compute_gradients(self.params)
            g = p.grad
        check_in_memory(type(self).__name__, p)
        if state and state["shape"] != p.shape:
            raise ValueError(
                f"{type(self).__name__}: a parameter had shape {state['shape']} and has "
                f"{p.shape} now; make a new optimizer for it"
            )
        return p, g, i, state

    def _begin(self, p, state, fill):
        """The state of a parameter's first step."""
        if not state:
            state |= {"step": 0, "shape": p.shape}
        for name in fill:
            if name not in state:
                state[name] = np.full(p.shape, fill[name], p.dtype, like=like(p))

    def _planned(self):
        """``(packs, numbers of other parameters)``, by what has a gradient now."""
        together, alone = {}, []
        for n in range(len(self._places)):
            place = self._ready(n)
            w = place[0].node.value if place else None
            if type(w) is np.ndarray and w.ndim and w.size <= SMALL:
                p, _, i, state = place
                numbers = [state.get(name) for name in ("step", *self.numbers)]
                packs = together.setdefault((i, p.dtype, *numbers), [[]])
                if sum(self._places[m][0].size for m in packs[-1]) + w.size > BLOCK:
                    packs.append([])
                packs[-1].append(n)
            else:
                alone.append(n)
        parts = [part for packs in together.values() for part in packs]
        alone += [n for part in parts if len(part) == 1 for n in part]
        packs = []
        for part in parts:
            if len(part) > 1:
                places = [(n, self._places[n][0], self.state[n]) for n in part]
                group = self._places[part[0]][1]
                fill = self.slots({**self.hyper, **self.param_groups[group]})
                for _, p, state in places:
                    self._begin(p, state, fill)
                packs.append(Pack(places, group, fill))
                packs[-1].collect(self.state)
        self._plan = packs, sorted(alone)
        return self._plan

    def _prepared(self, group):
        """A group's settings, slots, decay to add to the gradient, and factor of the weights."""
        # plain numbers: one of np.float64 would have float32 steps computed in float64
        hyper = {name: _plain(group.get(name, value)) for name, value in self.hyper.items()}
        decay, shrink = hyper.get("weight_decay", 0), 1
        if self.decoupled:
            decay, shrink = 0, 1 - hyper["lr"] * decay
        return hyper, self.slots(hyper), decay, shrink

    def _single(self, w, g, slots, constants):
        """One number's step: on an array of one element."""
        one = np.array([w])
        slots = [slot.reshape(1) for slot in slots]
        self._move(one, np.array([g], one.dtype), slots, constants, self._buffers(one.dtype, (1,)))
        return float(one[0]) if type(w) is float else one.reshape(())

    def _move(self, w, g, slots, constants, scratch):
        decay, shrink, constants = constants
        *scratch, decayed, mask = scratch
        if decay:
            np.multiply(w, decay, out=decayed)
            g = np.add(decayed, g, out=decayed)
        if shrink != 1:
            w *= shrink
        self.update(w, g, (*scratch, mask), *slots, **constants)

    def _array(self, w, g, slots, constants):
        """An array's step: whole, or block by block."""
        if w.size <= BLOCK:
            self._move(w, g, slots, constants, self._buffers(w.dtype, w.shape))
            return
        flat = w.ravel()  # a copy where w is not contiguous
        g, *slots = (a.reshape(-1) for a in (g, *slots))
        scratch = self._buffers(w.dtype, (BLOCK,))
        for start in range(0, w.size, BLOCK):
            part = slice(start, start + BLOCK)
            n = min(BLOCK, w.size - start)
            self._move(
                flat[part], g[part], [s[part] for s in slots], constants, [s[:n] for s in scratch]
            )
        if not np.may_share_memory(flat, w):
            w[...] = flat.reshape(w.shape)

    def _buffers(self, dtype, shape):
        """Scratch arrays of a shape, all in the same memory for each dtype."""
        key = dtype, shape
        if key not in self._scratch:
            if dtype not in self._scratch:
                arrays = np.empty((SCRATCH, BLOCK), dtype)
                self._scratch[dtype] = [*arrays, np.empty(BLOCK, bool)]
            size = int(np.prod(shape))
            self._scratch[key] = [a[:size].reshape(shape) for a in self._scratch[dtype]]
        return self._scratch[key]

    def _scratch_like(self, w):
        """Scratch arrays for all of `w` at once."""
        return [np.empty_like(w) for _ in range(SCRATCH)] + [np.empty_like(w, dtype=bool)]

    def __getstate__(self):
        """What a copy or pickle takes along: all but the scratch arrays."""
        return {**self.__dict__, "_scratch": {}, "_plan": None}

    # --- state ---

    def state_dict(self):
        """Settings and state as a flat dict of numbers and copied arrays, by name.

        "lr", "betas" and so on; "groups.1.lr" what group 1 sets for itself; "state.0.total" the
        arrays of parameter 0, in the order of `params`.

        >>> from autograd import Tensor
        >>> from optim import SGD
        >>> p = Tensor([1.0, 2.0])
        >>> p.grad = np.array([0.5, 0.0])
        >>> optimizer = SGD([p], momentum=0.9)
        >>> optimizer.step()
        >>> optimizer.state_dict()["state.0.velocity"]
        array([0.5, 0. ])
        """
        found = {name: _kept(value) for name, value in self.hyper.items()}
        for i, group in enumerate(self.param_groups):
            found |= {f"groups.{i}.{name}": _kept(value) for name, value in group.own().items()}
        for i, state in enumerate(self.state):
            found |= {
                f"state.{i}.{name}": value.copy() if hasattr(value, "copy") else value
                for name, value in state.items()
                if name != "shape"
            }
        return found

    def load_state_dict(self, state):
        """Take settings and state from `state`; nothing changes unless all of it fits.

        Raises ValueError naming what is missing, unexpected, or of another shape or dtype.
        """
        problems, rest = [], dict(state)
        hyper = self._settings(rest, "", problems)
        problems += [f"missing {name}" for name in self.hyper if name not in hyper]
        owns = [
            self._settings(rest, f"groups.{i}.", problems) for i in range(len(self.param_groups))
        ]
        states = [
            self._state_of(i, p, {**hyper, **owns[group]}, rest, problems)
            for i, (p, group) in enumerate(self._places)
        ]
        problems += [f"unexpected {name}" for name in rest]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: {'; '.join(problems)}")
        self.hyper.update(hyper)
        for group, own in zip(self.param_groups, owns, strict=True):
            params = group["params"]
            group.clear()
            group.update(own, params=params)
        self.state = states

    def _settings(self, rest, prefix, problems):
        """The settings under a prefix, taken out of `rest`."""
        found = {}
        for name in self.hyper:
            if prefix + name in rest:
                value = rest.pop(prefix + name)
                found[name] = _plain(value)
                try:
                    self._check({name: found[name]})
                except ValueError as error:
                    problems.append(f"{prefix}{name}: {error}")
        return found

    def _state_of(self, i, p, hyper, rest, problems):
        """The state of parameter number i, taken out of `rest`; {} where it has none."""
        prefix = f"state.{i}."
        given = {name[len(prefix) :]: name for name in rest if name.startswith(prefix)}
        if not given or len(hyper) < len(self.hyper):
            return {}
        given = {name: rest.pop(whole) for name, whole in given.items()}
        slots = list(self.slots(hyper))
        found = {"shape": p.shape}
        for name in ("step", *slots, *self.numbers):
            if name not in given:
                problems.append(f"missing {prefix}{name}")
                continue
            value = np.array(given.pop(name), like=like(p) if name in slots else None)
            wanted = (p.shape, p.dtype) if name in slots else ((), value.dtype)
            if (value.shape, value.dtype) != wanted or value.dtype.kind not in "fiu":
                problems.append(
                    f"{prefix}{name} is {value.dtype} of shape {value.shape}, wanted is "
                    + (f"{p.dtype} of shape {p.shape}" if name in slots else "a number")
                )
            found[name] = value if name in slots else value.item()
        problems += [f"unexpected {prefix}{name}" for name in given]
        return found

    # --- what is passed in ---

    def _groups(self, params):
        """`params` as a list of dicts with the key "params"."""
        kind = type(self).__name__
        if hasattr(params, "requires_grad") or not hasattr(params, "__iter__"):
            raise TypeError(
                f"{kind}: pass a list of Tensors, such as model.parameters(), not "
                f"a single {type(params).__name__}"
            )
        params = list(params)
        if not any(isinstance(p, dict) for p in params):
            return [{"params": params}]
        for i, group in enumerate(params):
            if not isinstance(group, dict) or "params" not in group:
                raise TypeError(f'{kind}: group {i} is no dict with the key "params"')
            unknown = [name for name in group if name not in ("params", *self.hyper)]
            if unknown:
                raise ValueError(
                    f"{kind}: group {i} sets {', '.join(map(repr, unknown))}; there are "
                    f"{', '.join(self.hyper)}"
                )
        return [{**group, "params": _listed(group["params"])} for group in params]

    def _check_parameters(self):
        kind, params = type(self).__name__, self.params
        if not params:
            raise ValueError(f"{kind}: no parameters to optimize; pass model.parameters()")
        for i, p in enumerate(params):
            if not getattr(p, "is_leaf", False):
                result = "the result of an operation, not an input Tensor"
                what = result if hasattr(p, "is_leaf") else f"a {type(p).__name__}, not a Tensor"
                raise TypeError(f"{kind}: parameter {i} is {what}")
        if len({id(p) for p in params}) != len(params):
            raise ValueError(f"{kind}: a parameter is given more than once")

    def _check(self, settings):
        """Raise ValueError for a setting outside its range."""
        for name, value in settings.items():
            if name in RANGES:
                wanted, holds = RANGES[name]
                try:
                    fine = holds(value)
                except (TypeError, ValueError):  # no number, or many
                    fine = False
                if not fine:
                    raise ValueError(
                        f"{type(self).__name__}: {name} must be {wanted}, not {value!r}"
                    )

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in self.hyper.items())
        params = self.params
        size = sum(p.size for p in params)
        groups = f" in {len(self.param_groups)} groups" if len(self.param_groups) > 1 else ""
        return (
            f"{type(self).__name__}({settings}; {size:,} numbers in {len(params)} arrays{groups})"
        )


class Pack:
    """Small parameters of one group, type and number of steps, in arrays of all their elements.

    places   ``(number, parameter, state)`` of each
    w, g     all weights, and all gradients
    slots    name -> all of that state; each parameter's own is a view of its part
    """

    def __init__(self, places, group, fill):
        self.group, self.step = group, places[0][2]["step"]
        dtype, size = places[0][1].dtype, sum(p.size for _, p, _ in places)
        self.w, self.g = np.empty(size, dtype), np.empty(size, dtype)
        self.slots = {name: np.empty(size, dtype) for name in fill}
        self.places, self.parts, start = [], [], 0
        self.written = self.logs = ()  # arrays of weights, and where their writes are noted
        for n, p, state in places:
            part = slice(start, start + p.size)
            views = {name: whole[part].reshape(p.shape) for name, whole in self.slots.items()}
            for name, view in views.items():
                view[...] = state[name]
            state |= views
            self.places.append((n, p, state, [*views.items()]))
            self.parts.append(self.w[part].reshape(p.shape))
            start += p.size

    def collect(self, states):
        """Look up weights and gradients; whether all are there, and the state is still here."""
        self.weights, self.gradients = [], []
        dtype, step = self.w.dtype, self.step
        for (n, p, state, views), part in zip(self.places, self.parts, strict=True):
            w, g = p.node.value, p.grad
            if g is None or not p.requires_grad or type(w) is not np.ndarray or w.dtype != dtype:
                return False
            if w.shape != part.shape or states[n] is not state or state["step"] != step:
                return False
            if type(g) is not np.ndarray and is_lazy(g):
                return False
            for name, view in views:
                if state[name] is not view:
                    return False
            self.weights.append(w)
            self.gradients.append(g)
        return True

    def counted(self):
        """The state of all, a step on: numbers of the first one's."""
        self.step += 1
        state = self.places[0][2]
        state["step"] = self.step
        return state

    def gather(self):
        """Read weights and gradients."""
        np.concatenate(self.weights, axis=None, out=self.w)
        np.concatenate(self.gradients, axis=None, out=self.g)

    def scatter(self, numbers):
        """Write the weights back, and what state has changed."""
        first = self.places[0][2]
        now = {name: first[name] for name in ("step", *numbers)}
        if len(self.written) != len(self.weights) or not all(map(is_, self.written, self.weights)):
            self.written, self.logs = self.weights, [*map(Writes.place, self.weights)]
        for (_, _, state, _), w, part in zip(self.places, self.weights, self.parts, strict=True):
            w[...] = part
            state |= now
        # graphs recorded before must not read them
        Writes.note_all(self.logs, [p.node.name for _, p, *_ in self.places])
        self.weights = self.gradients = None


INFINITE = float("inf")
RANGES = {
    "lr": ("a finite number >= 0", lambda v: 0 <= v < INFINITE),
    "momentum": ("in [0, 1)", lambda v: 0 <= v < 1),
    "alpha": ("in [0, 1)", lambda v: 0 <= v < 1),
    "rho": ("in [0, 1)", lambda v: 0 <= v < 1),
    "betas": ("two numbers in [0, 1)", lambda v: len(v) == 2 and all(0 <= b < 1 for b in v)),
    # a smaller one vanishes in float32, and 0/0 would follow
    "eps": ("a number > 0, at least 1e-30", lambda v: 1e-30 <= v < INFINITE),
    "weight_decay": ("a finite number >= 0", lambda v: 0 <= v < INFINITE),
    "momentum_decay": ("a finite number >= 0", lambda v: 0 <= v < INFINITE),
    "etas": (
        "two numbers, one in (0, 1) and one above 1",
        lambda v: len(v) == 2 and 0 < v[0] < 1 < v[1] < INFINITE,
    ),
    "step_sizes": (
        "two numbers with 0 < least <= most",
        lambda v: len(v) == 2 and 0 < v[0] <= v[1] < INFINITE,
    ),
    "mu": ("a finite number > 0", lambda v: 0 < v < INFINITE),
    "nesterov": ("True or False", lambda v: v in (True, False)),
}


@telling
def group_parameters(named, *rules):
    """Groups for an optimizer: each parameter goes to the first rule whose predicate holds.

    named   pairs of name and Tensor, such as ``model.named_parameters()``
    rules   pairs ``(predicate(name, parameter), settings)``

    What no rule takes forms the last group, with the optimizer's settings.  Raises ValueError
    for a rule that takes nothing.

    >>> import nn, optim
    >>> model = nn.Linear(3, 2)
    >>> groups = group_parameters(
    ...     model.named_parameters(), (lambda name, p: p.ndim == 1, {"weight_decay": 0.0})
    ... )
    >>> [[p.name for p in group["params"]] for group in groups]
    [['bias'], ['weight']]
    >>> [group["weight_decay"] for group in optim.AdamW(groups).param_groups]
    [0.0, 0.01]
    """
    if not all(isinstance(rule, tuple) and len(rule) == 2 and callable(rule[0]) for rule in rules):
        raise TypeError("group_parameters: rules are pairs (predicate(name, parameter), settings)")
    named = list(named)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in named):
        raise TypeError("group_parameters: pairs (name, parameter) wanted")
    taken = [[] for _ in rules]
    rest = []
    for name, p in named:
        for (predicate, _), group in zip(rules, taken, strict=True):
            if predicate(name, p):
                group.append(p)
                break
        else:
            rest.append(p)
    for i, group in enumerate(taken):
        if not group:
            raise ValueError(f"group_parameters: rule {i} takes no parameter")
    groups = [
        {**settings, "params": group} for (_, settings), group in zip(rules, taken, strict=True)
    ]
    return [*groups, {"params": rest}] if rest else groups


def _listed(params):
    return [params] if hasattr(params, "requires_grad") else list(params)


def _kept(value):
    """A setting as a Python number, or as an array of several."""
    value = _plain(value)
    return np.array(value) if isinstance(value, tuple) else value


def _plain(value):
    """A setting as a Python number, or as a tuple of them."""
    if type(value) in PLAIN or (type(value) is tuple and {*map(type, value)} <= PLAIN):
        return value
    if np.ndim(value):
        return tuple(np.ravel(value).tolist())
    return value.item() if hasattr(value, "item") else value
