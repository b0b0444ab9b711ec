"""Which stretch of a recorded graph is whose: calls of modules, blocks named by a user, lines.

Nodes take serials from one counter.  So the serials at which a call began and ended tell which
nodes it made, and nothing has to be written on the nodes: a call costs half a microsecond, an
operation nothing.  Pictures draw these stretches as boxes around their nodes.  Two threads that
record at the same time find each other's nodes in their stretches.
"""

import contextlib
import os
import sys
from bisect import bisect_right
from collections import deque
from weakref import ref

import numpy as np

from .graph import serials

KEPT = 20_000  # the latest calls (lines) are remembered, older ones forgotten

calls = deque(maxlen=KEPT)  # (first serial, last serial, owner, its name), by the time of ending
_lines = deque(maxlen=KEPT)  # (serial, (file, line) or None): what makes the nodes from here on


def begin():
    """The serial at which a call begins, for `end`."""
    return next(serials)


def end(first, owner):
    """Note that the call begun at the serial `first` has ended.

    owner   the object called, which is not kept alive, or a name
    """
    if type(owner) is str:
        calls.append((first, next(serials), None, owner))
    else:
        calls.append((first, next(serials), ref(owner), type(owner).__name__))


@contextlib.contextmanager
def scope(name):
    """Within this block what is recorded belongs together under `name`, in pictures.

    >>> from autograd import Tensor
    >>> from autograd.show import draw
    >>> x = Tensor(0.5, name="x")
    >>> with scope("bump"):
    ...     y = np.exp(-x * x)
    >>> print("bump" in draw(y).source)
    True
    """
    first = begin()
    try:
        yield
    finally:
        end(first, str(name))


def path_of(serial):
    """The calls and scopes in which the node with this serial was made, outermost first, in words.

    Modules inside the outermost one go by their path in it: ``MLP › layers.2: Linear``.
    """
    around = sorted(call for call in [*calls] if call[0] < serial < call[1])
    names, paths, until = [], None, None
    for _, last, owner, name in around:
        if until is not None and last > until:
            continue  # another thread's
        until = last
        module = owner and owner()
        if paths is None and hasattr(module, "named_modules"):
            paths = {id(part): path for path, part in module.named_modules()}
        path = paths and module is not None and paths.get(id(module))
        names.append(f"{path}: {name}" if path else name)
    return " › ".join(names)


# --- lines ------------------------------------------------------------------------------------

_HERE = os.path.dirname(__file__)  # pathlib takes a tenth of NumPy's time to import
_LIBRARY = tuple(
    f"{folder}{os.sep}"  # and not a user's file beside it whose name begins like it
    for folder in (
        *(os.path.join(os.path.dirname(_HERE), name) for name in ("autograd", "nn", "optim")),
        os.path.dirname(np.__file__),
    )
)


@contextlib.contextmanager
def source_lines():
    """Within this block it is noted which line of the caller's program makes each node.

    Lines inside this library and inside NumPy do not count: noted is the line that called them.
    Python's tracing is used for it: the block runs some times slower, and breakpoints do not hold.
    """
    before, frame = sys.gettrace(), sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename == contextlib.__file__:
        frame = frame.f_back  # the block's own: an ExitStack, or a decorated function's call
    traced, frame.f_trace = frame.f_trace, _note
    sys.settrace(_entered)
    try:
        yield
    finally:
        sys.settrace(before)
        frame.f_trace = traced
        _lines.append((next(serials), None))


def line_of(serial):
    """``(file, line)`` of the line that made the node with this serial; None where not noted."""
    at = bisect_right(_lines, serial, key=lambda entry: entry[0])
    return _lines[at - 1][1] if at else None


def _entered(frame, event, arg):
    if frame.f_code.co_filename.startswith(_LIBRARY):
        return None
    return _note(frame, "line", arg)  # a generator goes on in the midst of its line


def _note(frame, event, arg):
    if event == "return":  # goes on in the line that called
        frame = frame.f_back
        while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
            frame = frame.f_back
    if frame is not None and event in ("line", "return"):
        _lines.append((next(serials), (frame.f_code.co_filename, frame.f_lineno)))
    return _note


def user_line(frame):
    """``(file, line)`` of the innermost frame, from this one outwards, outside of the library."""
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)
