"""audit: find what went wrong in a computation.  Here is what listens; `autograd.findings` judges.

While an audit is open, `Tensor.bind`, through which every operation goes, and the sweep back stand
replaced by ones that tell the thread's listeners.  Otherwise both are as they were written: with
no audit open, no operation asks whether anybody listens.
"""

import importlib
import threading
from contextlib import contextmanager

from . import graph, reverse
from .tensor import Tensor

_thread = threading.local()  # .listeners: those of the audits open in it
_lock = threading.Lock()
_audits = 0  # open in all threads
bind, bind_constant, pull_back = Tensor.bind, Tensor.bind_constant, reverse.pull_back  # as written


def audit(y=None, inputs=None, names=None):
    """A `Report` of what went wrong: of the results `y`, or of all that is done in a block.

    y        a Tensor with a history, or a tree of them; its graph is swept back from ones
    inputs   what is meant to reach the result: Tensors, a Module, or a tree of them; what does not
             is a finding, and so is one that takes part and gets no derivative, given or not
    names    the caller's variables, ``names=locals()``, for inputs and arrays without a name

    The findings: the first nan or inf, in a value or a gradient, with the operation that made it
    and its arguments; gradients that vanish or explode on their way; every kink met, and the
    derivative taken there; units that are zero in all rows; inputs that cannot reach the result,
    and why; and arrays written between the way forward and the way back.  Each tells the line that
    made it, and the Modules and scopes around.  `Report.why` splits an input's gradient.

    ``with audit() as report:`` listens to what this thread records and sweeps back, in `grad` and
    the like too; operations take some times as long, in other threads a little longer.  Of an
    existing graph, ``audit(y)``, lines are known if it was recorded in a `source_lines` block.
    Forward mode is not listened to; inside `vmap` only values are looked at.  The last sweep's
    graph is kept with the report.  Raises TypeError where `y` holds no Tensor with a history.

    >>> import numpy as np
    >>> x = Tensor([1.0, 0.0], name="x")
    >>> audit(np.sum(np.sqrt(x)))
    Audit of 2 operations and 1 sweep back: 2 findings
    1. gradient: sqrt pulls a finite derivative into inf (1 of 2 elements) by 'x'
         argument 'x': float64 (2,), [1, 0]
         result: float64 (2,), [1, 0]
         ∂: float64 (2,), [1, 1]
    2. kink: sqrt, 1 of 2 elements; derivative there: inf at 0
         argument 'x': float64 (2,), [1, 0]
    """
    report = importlib.import_module(".findings", __package__).Report(inputs, names)
    return report if y is None else report.of_graph(y)


@contextmanager
def listening(listener):
    """Within this block, in this thread, `listener` is told what is recorded and swept back.

    It has the methods ``recorded(primitive, args, result)``, behind every operation on Tensors,
    ``asked(constant, args)``, behind one without a derivative, ``sweeping(nodes)``, before a sweep,
    and ``swept(nodes, seeds, cotangents, on_path)``, behind one.
    """
    before = getattr(_thread, "listeners", ())
    _count(1)
    _thread.listeners = (*before, listener)
    try:
        yield
    finally:
        _thread.listeners = before
        _count(-1)


def _count(n):
    global _audits
    with _lock:
        _audits += n
        on = _audits > 0
        Tensor.bind = _told_bind if on else bind
        Tensor.bind_constant = _told_bind_constant if on else bind_constant
        reverse.pull_back = _told_pull_back if on else pull_back
    graph.count_silencers(n)  # operators leave their shortcuts, and go by way of bind


def _tell(what, *about):
    listeners = getattr(_thread, "listeners", ())
    _thread.listeners = ()  # what a listener computes is no part of what it listens to
    try:
        for listener in listeners:
            getattr(listener, what)(*about)
    finally:
        _thread.listeners = listeners


def _told_bind(self, primitive, args, options):
    result = bind(self, primitive, args, options)
    _tell("recorded", primitive, args, result)
    return result


def _told_bind_constant(self, constant, args, options):
    result = bind_constant(self, constant, args, options)
    _tell("asked", constant, args)
    return result


def _told_pull_back(nodes, cotangents, on_path=None, keep=(), lift=None):
    if not getattr(_thread, "listeners", ()):
        return pull_back(nodes, cotangents, on_path, keep, lift)
    _tell("sweeping", nodes)
    found = pull_back(nodes, cotangents, on_path, {*nodes, *keep}, lift)
    _tell("swept", nodes, cotangents, found, on_path)
    return found
