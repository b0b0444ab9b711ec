"""The recorded graph: nodes, the walk from an output to its inputs, and what is recorded when.

An operation on a recorded array makes one `Node`.  A node is data, not code: which primitive,
which inputs, which value.  An input that is a node is a variable; anything else in ``inputs``
is a constant.  Nodes point only backwards, to their inputs, so there are no reference cycles
and a graph is freed by reference counting the moment its output is dropped.
"""

import itertools
import os
import threading
from contextlib import contextmanager
from operator import attrgetter

serials = itertools.count(1)  # every node, and every write into a Tensor's array, takes the next
levels = itertools.count(1)  # every transformation takes the next; see primitive.Wrapper

CONSTANT = -1  # the level of a Tensor that is not differentiated
BASE = 0  # the level of the variables a user makes with Tensor(...)


class Node:
    """One value of the graph and how it came about: ``value = primitive(*inputs, **options)``.

    serial   counts up, so that inputs always have smaller serials than what is made of them
    name     set only where somebody named it

    All nodes of a graph are of one level, that of the transformation recording it; values of
    other levels take part as constants.
    """

    __slots__ = ("primitive", "inputs", "options", "value", "serial", "name")


class Leaf(Node):
    """A node without inputs.

    cell   holds the gradient that ``backward()`` accumulates; shared by the later leaves of the
           same Tensor, so that a gradient finds its Tensor by way of any of them
    """

    __slots__ = ("cell",)

    def __init__(self, value, name=None, cell=None):
        self.primitive, self.inputs, self.options = None, (), None
        self.value, self.name = value, name
        self.serial = next(serials)
        self.cell = Cell() if cell is None else cell


class Cell:
    """Where a leaf's gradient accumulates; None before the first."""

    __slots__ = ("grad",)

    def __init__(self):
        self.grad = None


def history(*outputs):
    """All nodes the outputs were made from, themselves included, newest first."""
    seen = set(outputs)
    stack = [*outputs]
    add, push = seen.add, stack.append
    while stack:
        for node in stack.pop().inputs:
            if isinstance(node, Node) and node not in seen:
                add(node)
                if node.inputs:
                    push(node)
    return sorted(seen, key=attrgetter("serial"), reverse=True)


# --- no_grad ----------------------------------------------------------------------------------

_thread = threading.local()
_lock = threading.Lock()
silencers = 0  # no_grad blocks and audits now open: 0 lets the fast path skip asking its thread


@contextmanager
def no_grad():
    """Within this block (in this thread) nothing is recorded: results have no history.

    A transformation started inside the block (`grad`, `vjp`, ...) still records for itself:
    only what existed when the block was entered is silenced.  Blocks close in the order opposite
    to their opening; do not keep one open across a generator's ``yield``.

    >>> from autograd import Tensor
    >>> w = Tensor(3.0)
    >>> with no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    before = getattr(_thread, "silenced", CONSTANT)
    _thread.silenced = next(levels)
    count_silencers(1)
    try:
        yield
    finally:
        _thread.silenced = before
        count_silencers(-1)


def _begin_forked():
    """In the child of a fork: no lock that another thread of the parent's has."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_forked)


def count_silencers(n):
    """So many more blocks are open, in any thread, for which operations go the general way."""
    global silencers
    with _lock:
        silencers += n


def recording(level):
    """Whether operations at `level` are recorded in this thread."""
    return not silencers or level > getattr(_thread, "silenced", CONSTANT)
