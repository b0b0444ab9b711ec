"""What an evaluation that is done again must find as the first one did: random draws, buffers.

`autograd.checkpoint` and the ledger evaluate functions again.  The first evaluation notes in a
`Memo` the state of the generator before every draw, and the value every buffer had before it was
assigned to; a later one gets the same draws from copies of the generators, finds the old buffers,
and what it assigns to them is its own: generators and buffers move on once.

What records a program (`autograd.program`) is an evaluation too: it is given the buffers, and what
is to be done once by every call (`deferred`), an optimizer's step, instead of having it done.
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

    def first(self):
        """A context manager: within the block, note draws and buffers."""
        return _entered(self)

    def undo(self):
        """Put generators and buffers back to where they were before."""
        for generator, state in reversed(self.draws):
            if isinstance(state, dict):  # one that says where it stands
                generator.bit_generator.state = state
        for (_, name), (buffers, before) in self.buffers.items():
            buffers[name] = before

    @contextmanager
    def again(self):
        """Within this block, repeat them."""
        with _entered(Repetition(self)):
            yield

    def read(self, buffers, name):
        """The buffer it keeps to itself; None where others have it."""
        return None

    def assign(self, buffers, name, value):
        """Keep a buffer's value, and answer True; False where it is for others."""
        key = id(buffers), name
        if key not in self.buffers:
            self.buffers[key] = buffers, read(buffers, name)
        return False

    def defer(self, act):
        """Take over what is to be done, and answer True; False where it is to be done now."""
        return False


class Repetition:
    """An evaluation that draws what a Memo says, and keeps its buffers to itself."""

    def __init__(self, memo):
        self.draws, self.buffers = iter(memo.draws), dict(memo.buffers)
        self.copies = {}

    def read(self, buffers, name):
        """What was assigned to it here, or else what the first evaluation found."""
        _, value = self.buffers.get((id(buffers), name), (None, None))
        return value

    def assign(self, buffers, name, value):
        """Keep it, for this evaluation only."""
        self.buffers[id(buffers), name] = buffers, value
        return True

    def defer(self, act):
        """What is done once has been done by the first evaluation."""
        return True

    def draw(self):
        """A copy of the generator of the first evaluation, in its state before this draw."""
        generator, state = next(self.draws, (None, None))
        if generator is None:
            raise RuntimeError(
                "the function, evaluated again for its derivative, draws more random numbers than "
                "the first time; change neither its mode (train, eval) nor what it depends on in "
                "between"
            )
        if not isinstance(state, dict):
            raise TypeError(
                f"a {type(generator).__module__} generator does not say where it stands, and what "
                f"is evaluated again has to draw the same: use one of NumPy's, "
                f"np.random.default_rng(0)"
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
        state = getattr(getattr(generator, "bit_generator", None), "state", None)
    for memo in memos:
        memo.draws.append((generator, state))
    return generator, state


def read(buffers, name):
    """The buffer `name` of a module's dict of them, as this evaluation has it."""
    for evaluation in _evaluations():
        value = evaluation.read(buffers, name)
        if value is not None:
            return value
    return buffers[name]


def assign(buffers, name, value):
    """Set the buffer `name`; while a function is evaluated again, for this evaluation only."""
    for evaluation in _evaluations():
        if evaluation.assign(buffers, name, value):
            return
    buffers[name] = value


def deferred(act):
    """Whether what records a program has taken over to ``act()``, at this point of every run."""
    for evaluation in _evaluations():
        if evaluation.defer(act):
            return True
    return False


def going_on():
    """Whether anything is noted or repeated in this thread."""
    return bool(_evaluations())


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
