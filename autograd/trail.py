"""What an audit remembers of the operations it was told of: where each was, what it read, and
where values went on without a derivative.

Nodes are remembered by their serials, so no graph is kept alive.
"""

import zlib
from dataclasses import dataclass
from weakref import ref

import numpy as np

from .graph import CONSTANT, Node
from .primitive import plain
from .reads import EVERYTHING, OTHERS
from .scopes import line_of
from .tensor import Tensor

KEPT = 100_000  # the latest operations are remembered, older ones forgotten


@dataclass(frozen=True)
class Made:
    """An operation: its name and line, and of what it read the variables' serials and checksums."""

    operation: str
    where: tuple | None
    sources: tuple
    checksums: list  # (position, CRC-32): 0 for the value, 1 for the first argument, ...


@dataclass(frozen=True)
class Taken:
    """An input that took part; all handles on it share the gradient cell."""

    name: str | None
    shape: tuple
    level: int
    cell: object


class Trail:
    """The operations and inputs of an audit."""

    def __init__(self):
        self.made = {}  # serial -> Made
        self.inputs = {}  # serial -> Taken
        self.cuts = {}  # serial -> (how its value went on without a derivative, where)
        self.values = {}  # address of a value -> (a weak reference to it, serial)
        self.swept_levels = set()
        self.reached = set()  # cells
        self.flat = {}  # serial -> operations that read it, and have a derivative of 0

    # --- on the way forward ---

    def recorded(self, node, args, where):
        """An operation has made `node`; None where nothing was recorded."""
        for arg in args:
            if isinstance(arg, Tensor) and arg.level != CONSTANT:
                self.reads(arg)
                if node is None:
                    self.cut(arg.node.serial, "no_grad()", where)
            elif isinstance(arg, (Tensor, np.ndarray)):
                self._constant(arg.node.value if isinstance(arg, Tensor) else arg, where)
        if node is not None:
            sources = tuple(s.serial for s in node.inputs if isinstance(s, Node))
            made = Made(node.primitive.name, where, sources, _checksums(node))
            _remember(self.made, node.serial, made)
            self._value(node)

    def reads(self, x):
        """A variable is read."""
        self.takes(x.node, x.level)
        self._value(x.node)

    def takes(self, node, level):
        """An input takes part."""
        if node.primitive is None and node.serial not in self.inputs:
            shape = np.shape(plain(node.value))
            _remember(self.inputs, node.serial, Taken(node.name, shape, level, node.cell))

    def cut(self, serial, how, where):
        """The value of a variable goes on as a constant."""
        if serial not in self.cuts:
            _remember(self.cuts, serial, (how, where))

    def _value(self, node):
        value = plain(node.value)
        address = _address(value)
        if address is not None:
            kept = ref(value) if isinstance(value, np.ndarray) else lambda: value
            _remember(self.values, address, (kept, node.serial))

    def _constant(self, value, where):
        """A constant may be a variable's value, in the same memory."""
        kept, serial = self.values.get(_address(plain(value)), (None, None))
        if kept is not None and kept() is not None:
            self.cut(serial, "stop_gradient, .detach() or .data", where)

    # --- on the way back ---

    def changed(self, nodes):
        """``(node, position)`` of what was read on the way forward, and is another array now."""
        for node in nodes:
            made = self.made.get(node.serial)
            for position, checksum in made.checksums if made else ():
                if zlib.crc32(value_at(node, position).tobytes()) != checksum:
                    yield node, position

    def swept(self, nodes, found, on_path):
        """A sweep back came to the nodes in `found`."""
        for node in nodes:
            taken = self.inputs.get(node.serial)
            if taken is not None:
                self.swept_levels.add(taken.level)
                if node in found or (on_path is not None and node not in on_path):
                    self.reached.add(taken.cell)
                else:
                    self.flat[node.serial] = sorted({
                        n.primitive.name for n in nodes if any(s is node for s in n.inputs)
                    })  # fmt: skip

    # --- asked ---

    def line(self, node):
        """``(file, line)`` of the line that made a node, or None."""
        made = self.made.get(node.serial)
        return made.where if made else line_of(node.serial)

    def unreached(self):
        """``(Taken, why, where)`` of the inputs that took part, and no sweep came to."""
        told = set(self.reached)
        for serial, taken in self.inputs.items():
            if taken.level in self.swept_levels and taken.cell not in told:
                told.add(taken.cell)
                yield taken, *self.why_unreached(serial)

    def why_unreached(self, serial):
        """``(why, where)``, in words and as a line."""
        if serial in self.flat:
            names = ", ".join(self.flat[serial])
            return f"is read only by {names}, with a derivative of 0 everywhere", None
        readers = {}
        for reader, made in self.made.items():
            for source in made.sources:
                readers.setdefault(source, []).append(reader)
        seen, todo, last = {serial}, [serial], None
        for at in todo:
            if at in self.cuts:
                how, where = self.cuts[at]
                return f"is cut off by {how}", where
            for reader in readers.get(at, ()):
                if reader not in seen:
                    seen.add(reader)
                    todo.append(reader)
                    last = self.made[reader]
        if last is None:
            return "is not used", None
        return f"is used, but not what {last.operation} makes of it", last.where


def value_at(node, position):
    """0 for the node's value, 1 for its first argument, ..."""
    source = node if position == 0 else node.inputs[position - 1]
    return source.value if isinstance(source, Node) else source


def places(node):
    """The positions of a node's value and arguments."""
    return range(len(node.inputs) + 1)


def root(array):
    """The array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _remember(table, key, value):
    table[key] = value
    if len(table) > KEPT:
        del table[next(iter(table))]


def _address(value):
    """What two handles on one value have in common; None where nothing can be told."""
    if isinstance(value, np.ndarray) and value.size:
        return value.__array_interface__["data"][0]
    return ("float", id(value)) if type(value) is float else None


def _checksums(node):
    """Of the plain arrays that pulls of this node read."""
    read = set()
    for i, source in enumerate(node.inputs):
        if isinstance(source, Node):
            reads = node.primitive.reads(i)
            if reads is EVERYTHING:
                read |= {*places(node)}
            elif reads is OTHERS:
                read |= {*places(node)} - {0, i + 1}
            else:
                read |= reads
    values = [(i, value_at(node, i)) for i in places(node) if i in read]
    return [(i, zlib.crc32(x.tobytes())) for i, x in values if type(x) is np.ndarray]
