"""What a function that is compiled finds around it and changes: parameters, gradients, buffers.

While the function is traced, the Tensors around it stand on traced values, so that it is written
down how they are used; a buffer is traced when it is first read.  What is done to them, gradients
by ``backward()``, data, running statistics, and the acts that are to be done in every run (an
optimizer's step), becomes a list of deeds, which every run does after all has been computed:
a run that fails has changed nothing.
"""

import _signal  # of `signal`, which makes enums of numbers and takes ten times as long
import pickle
import signal
import sys
import threading
import types
from contextlib import contextmanager

import numpy as np

from ..graph import BASE, CONSTANT, Leaf, levels
from ..primitive import Wrapper, like_tuple
from ..repeat import Memo
from ..rules import random as draws
from .around import NOTHING, Around, as_it_was, is_array
from .trace import Traced, Var

SIGINT = int(signal.SIGINT)
LOCK = threading.RLock()  # held while a function is traced, and by runs that read or change state
STALE = object()  # what a run answers that finds something else around it than was traced


class Cell:
    """Where the gradient of a traced Tensor accumulates.

    first     the gradient it begins with
    is_read   whether that was read
    """

    def __init__(self, grad):
        self.first = self._grad = grad
        self.is_read = self._is_written = False

    @property
    def grad(self):
        """The gradient, traced, or None."""
        self.is_read |= not self._is_written
        return self._grad

    @grad.setter
    def grad(self, grad):
        self._grad, self._is_written = grad, True

    @property
    def now(self):
        """The gradient, without noting."""
        return self._grad


class Surroundings(Memo):
    """What is around a function that is being traced.

    tensors    the Tensors found
    modules    what has a training mode
    inputs     Var -> its place, ``(kind, owner, name)``: "data" or "grad" of a Tensor, "item" of a
               dict or list, "attribute" of a closure's cell or of an object with slots
    cells      of the Tensors, while traced
    deeds      ``(changes, act)`` in order: ``(kind, owner, name, value)`` of what has changed, and
               then what is to be called, or None; the kind "data into" is of a value to be
               written into the array that is there, and so on
    until      number of lines written down before the first act
    unchanged  a function that tells whether a run finds what was traced; None if all is well
    reason     why it can't be compiled, or ""
    """

    def __init__(self, tape, f, args):
        super().__init__()
        self.tape, self.inputs, self.deeds, self.until, self.reason = tape, {}, [], None, ""
        self.found = Around(f, args)
        self.modules = self.found.modules
        self.tensors = [t for t in self.found.tensors if not isinstance(t.node.value, Wrapper)]
        self.unchanged = as_it_was(self.found.watched)
        self._kept = {}  # (id of a dict of buffers, name) -> [the dict, name, value]
        self._known = {}  # Var (or value) last written of each place: see `_changes`
        self._places = []  # (key, kind, owner, name, holder) of the arrays found
        if self.found.iterators:
            kind = type(self.found.iterators[0]).__name__
            self.reason = f"it may take the next of a {kind}, which is another in every call"
        if self.found.lazy:
            self.reason = "it computes with Dask's arrays, whose graph is Dask's to run"
        if self.found.settings and any(h.inside for h in self.found.holders):
            self.reason = "it uses an optimizer's settings (param_groups), which change by steps"

    @contextmanager
    def traced(self):
        """Within this block the Tensors, and the arrays, stand on traced values."""
        level = next(levels)
        before = [(t, t.node, t.level) for t in self.tensors]
        kept = [(holder, holder.items()) for holder in self.found.holders]
        random = Randomness(self.found.generators)
        self.cells, cells = [], {}
        for t in self.tensors:
            node = t.node
            if id(node.cell) not in cells:
                grad = node.cell.grad
                grad = None if grad is None else self._input("grad", t, None, grad)
                cells[id(node.cell)] = Cell(grad)
            cell = cells[id(node.cell)]
            self.cells.append(cell)
            t.node = Leaf(self._input("data", t, None, node.value), node.name, cell)
            t.level = level if t.level == BASE else CONSTANT
            self._note("data", id(t), t.node.value)
            self._note("grad", id(t), cell.now)
        kinds = [t.level for t in self.tensors]
        standing = self._put_arrays()
        try:
            with self.first():
                yield
            self._look(kept, standing, kinds)
            self.reason = self.reason or random.reason(self.draws, self.tape.lines)
            if not self.reason:
                self.deeds.append((self._changes(), None))
                self._look_at_writes()
        finally:
            for t, node, level in before:
                t.node, t.level = node, level
            for holder, items in kept:
                if not _same(holder.items(), items):
                    holder.restore(items)
            random.restore()

    def _put_arrays(self):
        """Put traced values in the places of arrays; what stands there now, by holder and name."""
        standing, self._arrays, self._stateful = {}, {}, set()
        for holder in self.found.holders:
            owner = holder.owner
            kind = "item" if isinstance(owner, (dict, list)) else "attribute"
            for name, value in holder.arrays():
                if is_array(value):
                    new = self._put(kind, owner, name, value, holder.inside)
                    self._note(kind, (id(owner), name), new)
                    self._places.append((kind, (id(owner), name), owner, name, holder))
                else:
                    new = self._put_in(value, holder.inside)
                if new is not value:
                    holder.put(name, new)
                    standing[id(holder), name] = new
        return standing

    def _put(self, kind, owner, name, array, inside):
        """The traced value of an array, the same wherever it is found."""
        if id(array) not in self._arrays:
            traced = self._input(kind, owner, name, array.view(np.ndarray))
            self._arrays[id(array)] = array, traced
            if inside:
                self._stateful.add(traced.var)
        return self._arrays[id(array)][1]

    def _put_in(self, value, inside):
        """A tuple with traced values in the places of arrays: itself, if it has none."""
        if not isinstance(value, tuple):
            return self._put("array", value, None, value, inside) if is_array(value) else value
        parts = [self._put_in(part, inside) for part in value]
        same = all(part is old for part, old in zip(parts, value, strict=True))
        return value if same else like_tuple(value, parts)

    def _input(self, kind, owner, name, value):
        traced = self.tape.input(value)
        self.inputs[traced.var] = kind, owner, name
        return traced

    def _note(self, kind, key, value):
        self._known[kind, key] = _var(value)

    def uses(self, lines, outputs):
        """Whether a program reads any of it."""
        read = {x for line in lines for x in line.reads()}
        return not self.inputs.keys().isdisjoint([*read, *(x for x in outputs if type(x) is Var)])

    def _look(self, kept, standing, kinds):
        """Find what can't be compiled."""
        if self.tape.unfound:
            self.reason = "it uses a Tensor that it was not given, and that is not found around it"
        for t, level in zip(self.tensors, kinds, strict=True):
            if t.node.primitive is not None or t.level != level:
                self.reason = "it assigns to elements of a Tensor, or freezes it"
        for holder, before in kept:
            now = holder.items()
            for name in [*before, *(name for name in now if name not in before)]:
                place, value = (id(holder), name), now.get(name, NOTHING)
                was = standing.get(place, before.get(name, NOTHING))
                if value is not was and not (place in standing and _is_array(value)):
                    self.reason = f"it sets {_called(holder, name)}"
        states = {var for var, (kind, *_) in self.inputs.items() if kind == "data"}
        states |= self._stateful
        for line in self.tape.lines[self.until :] if self.until is not None else ():
            if not states.isdisjoint(line.reads()):
                self.reason = "it reads a parameter after an optimizer's step"

    def _look_at_writes(self):
        """Find what is written under one name, and found under another."""
        tape, changed = self.tape, [x for made, _ in self.deeds for *_, x in made]
        into = {_var(x) for made, _ in self.deeds for kind, *_, x in made if kind.endswith("into")}
        results = [_var(x) for x in [*changed, *self.results]]
        for write in tape.writes:
            root = tape.memory[write.after]
            latest = self._latest(root)
            given = root in self.arguments or root in self.inputs and latest not in into
            late = [var for line in tape.lines[write.until :] for var in line.reads()]
            shared = any(_shares(var, write.before.value) for var in [*late, *results])
            if given or shared:
                at = f" at {write.where[0]}:{write.where[1]}" if write.where else ""
                what = "was given" if root in self.arguments else "finds under more than one name"
                self.reason = f"it writes into an array that it {what}{at}"
        values = [var.value for var in self.inputs if isinstance(var.value, np.ndarray)]
        for made, _ in self.deeds:
            for kind, _, _, x in made:
                if not kind.endswith("into") and any(_shares(_var(x), v) for v in values):
                    self.reason = "it puts one array in two places, where writes are seen in both"

    def _latest(self, root):
        """The Var of what was last written into the memory of an array; None before that."""
        found = None
        for write in self.tape.writes:
            found = write.after if self.tape.memory[write.after] is root else found
        return found

    # --- what evaluations are asked ---

    def read(self, buffers, name):
        """The buffer, traced."""
        key = id(buffers), name
        if key not in self._kept:
            value = self._input("item", buffers, name, buffers[name])
            self._kept[key] = [buffers, name, value]
            self._note("item", key, value)
        return self._kept[key][2]

    def assign(self, buffers, name, value):
        """Keep what is assigned until a run."""
        self._kept[id(buffers), name] = [buffers, name, value]
        return True

    def defer(self, act):
        """Have it done by every run."""
        self.deeds.append((self._changes(), act))
        if self.until is None:
            self.until = len(self.tape.lines)
        return True

    def _changes(self):
        """``(kind, owner, name, value)`` of what has changed since this was last asked."""
        now = [("item", key, *kept) for key, kept in self._kept.items()]
        for t, cell in zip(self.tensors, self.cells, strict=True):
            now += ("data", id(t), t, None, t.node.value), ("grad", id(t), t, None, cell.now)
        for kind, key, owner, name, holder in self._places:
            now.append((kind, key, owner, name, holder.items().get(name)))
        for array, traced in self._arrays.values():
            if self.inputs[root := self.tape.memory.get(traced.var, traced.var)][0] == "array":
                self._known.setdefault(("array", id(array)), root)
                now.append(("array", id(array), array, None, traced))
        changed = []
        for kind, key, owner, name, value in now:
            known, var = self._known.get((kind, key), self), _var(value)
            if known is var and isinstance(var, Var):  # `t.data[i] = v` has left the handle alone
                root = self.tape.memory.get(var, var)
                var = self._latest(root) if root is var and self._latest(root) else var
                value = value if var is known else Traced(var, self.tape)
            if known is not var:
                self._known[kind, key] = var
                root = self.tape.memory.get(var) if isinstance(var, Var) else None
                own = root is not None and self.inputs.get(root, ())[1:] == (owner, name)
                changed.append((f"{kind} into" if own else kind, owner, name, value))
        return changed


class Randomness:
    """Where all generators stand that a function may draw from without saying so."""

    def __init__(self, generators):
        self.generators = generators
        self.default, self.before = draws.generator_or_default(), self._now()

    def _now(self):
        states = [g.bit_generator.state for g in self.generators]
        python, numpy = sys.modules.get("random"), sys.modules.get("numpy.random")
        return states, python and python.getstate(), numpy and numpy.get_state()

    def restore(self):
        """Put them back there."""
        states, python, numpy = self.before
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
        if python:
            sys.modules["random"].setstate(python)
        if numpy:
            sys.modules["numpy.random"].set_state(numpy)
        draws._default = self.default

    def reason(self, noted, lines):
        """Why draws can't be repeated, or ""; `noted`: those that our operations made first."""
        if draws._default is not self.default:
            return "it calls seed"
        lines = [line for line in lines if is_draw(line, noted)]
        if len(lines) < len(noted):
            return (
                "it draws for an array that is not made from its arguments; draw like one that is"
            )
        states, *others = self._now()
        own = all(
            _state(state) == _state(_drawn(generator, before, lines))
            for generator, before, state in zip(
                self.generators, self.before[0], states, strict=True
            )
        )
        if own and _state(others) == _state([*self.before[1:]]):
            return ""
        return (
            "it draws random numbers by itself; draw with autograd.normal(x, generator=...) and "
            "the like, or outside and pass them"
        )


def is_draw(line, noted):
    """Whether a line draws from a generator itself, and not again from a copy."""
    return "generator" in line.options and any(line.options["generator"] is g for g, _ in noted)


def _drawn(generator, state, lines):
    """The state of a generator after the draws of these lines."""
    bits = type(generator.bit_generator)()
    bits.state, copy = state, np.random.Generator(bits)
    for line in lines:
        if line.options["generator"] is generator:
            if _state(bits.state) != _state(line.options["state"]):
                return None
            options = {k: v.value if isinstance(v, Var) else v for k, v in line.options.items()}
            args = [v.value if isinstance(v, Var) else v for v in line.args]
            line.operation.forward(*args, **options | {"generator": copy})
    return bits.state


def _state(state):
    """A generator's state as something to compare."""
    return pickle.dumps(state)


def _var(x):
    """The Var of a traced value; of another, itself."""
    return x.var if isinstance(x, Traced) else x


def _is_array(x):
    return isinstance(x, Traced) and isinstance(x.var.value, np.ndarray)


def _shares(var, array):
    """Whether a Var's value shares memory with an array."""
    value = var.value if isinstance(var, Var) else var
    arrays = isinstance(value, np.ndarray) and isinstance(array, np.ndarray)
    return arrays and np.may_share_memory(value, array)


def _same(items, before):
    """Whether two dicts have the same values, in the same order."""
    return len(items) == len(before) and all(
        a == b and items[a] is before[b] for a, b in zip(items, before, strict=True)
    )


def _called(holder, name):
    """What a message calls what is kept there."""
    if isinstance(holder.owner, types.CellType):
        return f"{holder.what}, which is around it"
    if isinstance(name, int) and not isinstance(holder.owner, dict):
        return f"elements of {holder.what} around it"
    return f"{name!r} of {holder.what}"


def value_of(kind, owner, name):
    """What is there now; of what is to be written into an array, this and a copy."""
    kind, _, into = kind.partition(" ")
    if kind == "data":
        value = owner.node.value
    elif kind == "grad":
        value = owner.node.cell.grad
    elif kind == "array":
        value = owner
    else:
        value = owner[name] if kind == "item" else getattr(owner, name)
    return (value, value.copy()) if into else value


def change(kind, owner, name, value):
    """Put a value there."""
    kind, _, into = kind.partition(" ")
    if into:
        array, before = value
        array[...] = before
    elif kind == "data":
        owner.data = value
    elif kind == "grad":
        owner.node.cell.grad = value
    elif kind == "item":
        owner[name] = value
    else:
        setattr(owner, name, value)


class Undisturbed:
    """A context manager: Ctrl-C within its block comes when that ends; what it does is done whole.

    Without effect outside the main thread, which is the one that Ctrl-C goes to.
    """

    __slots__ = ("before", "came")

    def __enter__(self):
        self.came = self.before = None
        if threading.current_thread() is threading.main_thread():
            self.before = _signal.signal(SIGINT, self._note)

    def _note(self, *_):
        self.came = True

    def __exit__(self, *problem):
        if self.before is not None:
            _signal.signal(SIGINT, self.before)
            if self.came:
                signal.raise_signal(SIGINT)
