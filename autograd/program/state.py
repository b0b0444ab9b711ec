"""What a function that is compiled finds around it and changes: parameters, gradients, buffers.

While the function is traced, the Tensors around it stand on traced values, so that it is written
down how they are used; a buffer is traced when it is first read.  What is done to them, gradients
by ``backward()``, data, running statistics, and the acts that are to be done in every run (an
optimizer's step), becomes a list of deeds, which every run does after all has been computed:
a run that fails has changed nothing.
"""

import _signal  # of `signal`, which makes enums of numbers and takes ten times as long
import signal
import threading
from contextlib import contextmanager

import numpy as np

from ..graph import BASE, CONSTANT, Leaf, levels
from ..primitive import Wrapper
from ..repeat import Memo
from .around import around
from .trace import Var

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

    tensors   the Tensors found
    modules   what has a training mode
    inputs    Var -> ``(kind, owner, name)``: "data" or "grad" of a Tensor, "buffer" of a dict
    cells     of the Tensors, while traced
    deeds     ``(changes, act)`` in order: ``(kind, owner, name, value)`` of what has changed, and
              then what is to be called, or None
    until     number of lines written down before the first act
    reason    why it can't be compiled, or ""
    """

    def __init__(self, tape, f, args):
        super().__init__()
        self.tape, self.inputs, self.deeds, self.until, self.reason = tape, {}, [], None, ""
        found, self.modules = around(f, args)
        self.tensors = [t for t in found if not isinstance(t.node.value, Wrapper)]
        self._kept = {}  # (id of a dict of buffers, name) -> [the dict, name, value]
        self._known = {}  # what was last written of each: see `_changes`

    @contextmanager
    def traced(self):
        """Within this block the Tensors stand on traced values."""
        level = next(levels)
        before = [(t, t.node, t.level) for t in self.tensors]
        attributes = [(m, dict(m.__dict__)) for m in self.modules]
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
            self._known["data", id(t)], self._known["grad", id(t)] = t.node.value, cell.now
        kinds = [t.level for t in self.tensors]
        try:
            with self.first():
                yield
            self._look(attributes, kinds)
            if not self.reason:
                self.deeds.append((self._changes(), None))
        finally:
            for t, node, level in before:
                t.node, t.level = node, level
            for module, attribute in attributes:
                module.__dict__.clear()
                module.__dict__.update(attribute)

    def _input(self, kind, owner, name, value):
        traced = self.tape.input(value)
        self.inputs[traced.var] = kind, owner, name
        return traced

    def uses(self, lines, outputs):
        """Whether a program reads any of it."""
        read = {x for line in lines for x in line.reads()}
        return not self.inputs.keys().isdisjoint([*read, *(x for x in outputs if type(x) is Var)])

    def _look(self, attributes, kinds):
        """Find what can't be compiled."""
        if self.tape.unfound:
            self.reason = "it uses a Tensor that it was not given, and that is not found around it"
        for t, level in zip(self.tensors, kinds, strict=True):
            if t.node.primitive is not None or t.level != level:
                self.reason = "it assigns to elements of a Tensor, or freezes it"
        for module, before in attributes:
            changed = [k for k, v in module.__dict__.items() if before.get(k, self) is not v]
            if changed or len(before) != len(module.__dict__):
                what = ", ".join(map(repr, changed)) or "an attribute"
                self.reason = f"it sets {what} of a {type(module).__name__}"
        states = {var for var, (kind, *_) in self.inputs.items() if kind == "data"}
        for line in self.tape.lines[self.until :] if self.until is not None else ():
            if not states.isdisjoint(line.reads()):
                self.reason = "it reads a parameter after an optimizer's step"

    # --- what evaluations are asked ---

    def read(self, buffers, name):
        """The buffer, traced."""
        key = id(buffers), name
        if key not in self._kept:
            value = self._input("buffer", buffers, name, buffers[name])
            self._kept[key], self._known["buffer", key] = [buffers, name, value], value
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
        now = [("buffer", key, *kept) for key, kept in self._kept.items()]
        for t, cell in zip(self.tensors, self.cells, strict=True):
            now += ("data", id(t), t, None, t.node.value), ("grad", id(t), t, None, cell.now)
        changed = []
        for kind, key, owner, name, value in now:
            if self._known.get((kind, key), self) is not value:
                self._known[kind, key] = value
                changed.append((kind, owner, name, value))
        return changed


def value_of(kind, owner, name):
    """What is there now."""
    if kind == "buffer":
        return owner[name]
    return owner.node.value if kind == "data" else owner.node.cell.grad


def change(kind, owner, name, value):
    """Put a value there."""
    if kind == "buffer":
        owner[name] = np.asarray(value)
    elif kind == "data":
        owner.data = value
    else:
        owner.node.cell.grad = value


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
