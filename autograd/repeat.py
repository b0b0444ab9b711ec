"""What an evaluation that is done again must find as the first one did: random draws, buffers.

`autograd.checkpoint` and the ledger evaluate functions again.  The first evaluation notes in a
`Memo` the state of the generator before every draw, and the value every buffer had before it was
assigned to; a later one gets the same draws from copies of the generators, finds the old buffers,
and what it assigns to them is its own: generators and buffers move on once.
"""

import threading
from contextlib import contextmanager

import numpy as np

_thread = threading.local()  # .evaluations: Memos and Repetitions entered, innermost first


class Memo:
    """What one evaluation drew, and which buffers it changed."""

    def __init__(self):
        self.draws = []  # (generator, its state before), in order
        self.buffers = {}  # (id of the dict, name) -> (the dict, value before)

    @contextmanager
    def first(self):
        """Within this block, note draws and buffers."""
        with _entered(self):
            yield

    def undo(self):
        """Put generators and buffers back to where they were before."""
        for generator, state in reversed(self.draws):
            generator.bit_generator.state = state
        for (_, name), (buffers, before) in self.buffers.items():
            buffers[name] = before

    @contextmanager
    def again(self):
        """Within this block, repeat them."""
        with _entered(Repetition(self)):
            yield


class Repetition:
    """An evaluation that draws what a Memo says, and keeps its buffers to itself."""

    def __init__(self, memo):
        self.draws, self.buffers = iter(memo.draws), dict(memo.buffers)
        self.copies = {}

    def draw(self):
        """A copy of the generator of the first evaluation, in its state before this draw."""
        generator, state = next(self.draws, (None, None))
        if generator is None:
            raise RuntimeError(
                "the function, evaluated again for its derivative, draws more random numbers than "
                "the first time; change neither its mode (train, eval) nor what it depends on in "
                "between"
            )
        if id(generator) not in self.copies:
            bits = type(generator.bit_generator)()
            self.copies[id(generator)] = np.random.Generator(bits)
        copy = self.copies[id(generator)]
        copy.bit_generator.state = state
        return copy, state


def draw(generator):
    """The generator to draw from, and its state: `generator`, or what is to be repeated."""
    memos = []
    for evaluation in _evaluations():
        if type(evaluation) is Repetition:
            generator, state = evaluation.draw()
            break
        memos.append(evaluation)
    else:
        state = generator.bit_generator.state
    for memo in memos:
        memo.draws.append((generator, state))
    return generator, state


def read(buffers, name):
    """The buffer `name` of a module's dict of them, as this evaluation has it."""
    key = id(buffers), name
    for evaluation in _evaluations():
        if type(evaluation) is Repetition and key in evaluation.buffers:
            return evaluation.buffers[key][1]
    return buffers[name]


def assign(buffers, name, value):
    """Set the buffer `name`; while a function is evaluated again, for this evaluation only."""
    key, before = (id(buffers), name), read(buffers, name)
    for evaluation in _evaluations():
        if type(evaluation) is Repetition:
            evaluation.buffers[key] = buffers, value
            return
        evaluation.buffers.setdefault(key, (buffers, before))
    buffers[name] = value


@contextmanager
def _entered(evaluation):
    around = getattr(_thread, "evaluations", ())
    _thread.evaluations = (evaluation, *around)
    try:
        yield
    finally:
        _thread.evaluations = around


def _evaluations():
    """The evaluations going on in this thread, innermost first."""
    return getattr(_thread, "evaluations", ())
