"""Long runs: nothing grows from step to step, and what is thrown leaves nothing half-changed.

``python -m benchmarks.soak`` trains a hundred thousand steps; here are a few of each program.
"""

import gc
import sys
import tracemalloc
from collections import deque
from contextlib import ExitStack

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, graph, repeat, scopes
from autograd.primitive import registry
from benchmarks import soak

# --- growth ---------------------------------------------------------------------------------------


def growth(program, steps=600):
    """By how many objects and bytes a run has grown between a third of it and its end."""
    rows, at = [], 0

    def mark():
        nonlocal at
        at += 1
        if at in (steps // 3, steps):
            gc.collect()
            rows.append((len(gc.get_objects()), tracemalloc.get_traced_memory()[0]))

    tracemalloc.start()
    try:
        program(steps, mark)
    finally:
        tracemalloc.stop()
    (objects, size), (objects_then, size_then) = rows
    return objects_then - objects, size_then - size


@pytest.fixture
def few_calls_kept(monkeypatch):
    """The list of the latest calls, which a run fills once, is full from the beginning."""
    monkeypatch.setattr(scopes, "calls", deque(maxlen=10))


@pytest.mark.parametrize("name", soak.PROGRAMS)
def test_nothing_grows_from_step_to_step(name, few_calls_kept):
    """Four hundred steps leave less than one object in ten steps, and ten bytes a step.

    `fit` notes a few numbers for every epoch of fifty steps.
    """
    objects, size = growth(soak.PROGRAMS[name])
    assert objects < 40
    assert size < 4000 + 8 * 2000 * (name == "fit")


def test_growth_is_found(few_calls_kept):
    kept = []

    def leaking(steps, mark):
        def marked():
            kept.append([len(kept)])
            mark()

        soak.eager(steps, marked)

    objects, size = growth(leaking)
    assert objects > 300 and size > 300 * 60


def test_a_graph_that_is_kept_is_found(few_calls_kept):
    """As by a list of losses that are Tensors: the mistake that a soak is for."""

    def leaking(steps, mark):
        training, losses = soak.Training(), []
        ((x, y),) = soak.data(1)
        for _ in range(steps):
            losses.append(training.step(x, y))
            mark()

    assert growth(leaking)[0] > 400


# --- exceptions: engine ---------------------------------------------------------------------------

BREAKS = [
    (registry[np.tanh], "forward"), (registry[np.tanh], "pulls"), (nn.functional.linear, "pulls"),
    (nn.functional.softmax_cross_entropy, "forward"),
    (nn.functional.softmax_cross_entropy, "pulls"),
]  # fmt: skip
each_break = pytest.mark.parametrize(
    ("operation", "part"), BREAKS, ids=[f"{o.name}-{part}" for o, part in BREAKS]
)


def engine():
    """All that is set for the length of a block, in this thread."""
    return (
        graph.silencers, getattr(graph._thread, "silenced", None), repeat.going_on(),
        sys.gettrace(), np.geterr(),
    )  # fmt: skip


def thrown_out_of(call, operation, part):
    """Let the operation throw within the call; the engine is afterwards as it was before."""
    before = engine()
    with soak.broken(operation, part), pytest.raises(soak.Thrown):
        call()
    assert engine() == before


def same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], name)


def gradients_of(model):
    return {name: None if p.grad is None else p.grad.copy() for name, p in model.named_parameters()}


@each_break
def test_a_failing_backward_leaves_gradients_of_before(operation, part):
    """No parameter's gradient has been added to, however far the walk had come."""
    training = soak.Training()
    (x, y), (x_next, y_next) = soak.data(2)
    nn.cross_entropy(training.model(x), y).backward()
    before = gradients_of(training.model)
    thrown_out_of(
        lambda: nn.cross_entropy(training.model(x_next), y_next).backward(), operation, part
    )
    same(gradients_of(training.model), before)


W = np.linspace(-1, 1, 6).reshape(2, 3)
X = np.linspace(0, 1, 8).reshape(4, 2)
TRANSFORMS = {
    "grad": lambda f: autograd.grad(f)(W),
    "grad of grad": lambda f: autograd.grad(lambda w: np.sum(autograd.grad(f)(w) ** 2))(W),
    "vjp": lambda f: autograd.vjp(f, W)[1](1.0),
    "hvp": lambda f: autograd.hvp(f, (W,), (W,)),
    "jacobian": lambda f: autograd.jacobian(f)(W),
    "hessian": lambda f: autograd.hessian(f)(W),
    "vmap": lambda f: autograd.vmap(autograd.grad(f))(np.stack([W, W])),
    "checkpoint": lambda f: autograd.grad(autograd.checkpoint(f))(W),
    "no_grad": lambda f: silently(f),
    "audit": lambda f: audited(f),
}


def silently(f):
    with autograd.no_grad():
        return autograd.grad(f)(W)


def audited(f):
    with autograd.audit():
        f(Tensor(W)).backward()


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("part", ["forward", "pulls"])
def test_a_failing_rule_leaves_the_engine_as_it_was(name, part):
    call, tanh = TRANSFORMS[name], registry[np.tanh]

    def f(w):
        return np.sum(np.tanh(X @ w))

    expected = call(f)
    thrown_out_of(lambda: call(f), tanh, part)
    found = call(f)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)


# --- exceptions: fit ------------------------------------------------------------------------------


class Thrower(optim.Callback):
    """Throws at the step, in the hook, that it was made for; and notes the state of every step."""

    def __init__(self, training, hook=None, step=None):
        self.training, self.hook, self.step = training, hook, step
        self.states = [training.state()]

    def _at(self, hook, run):
        if hook == self.hook and run.step == self.step:
            raise soak.Thrown

    def on_gradients(self, run):
        self._at("on_gradients", run)

    def on_step(self, run):
        self.states.append(self.training.state())
        self._at("on_step", run)

    def on_epoch(self, run):
        self._at("on_epoch", run)


def fitted(*callbacks, batches=None):
    training = callbacks[0].training
    optim.fit(
        training.model, batches or soak.data(4), nn.cross_entropy, training.optimizer, 3,
        clip_norm=1.0, callbacks=callbacks, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def states():
    """The first, and those behind each of the twelve steps, where nothing is thrown."""
    whole = Thrower(soak.Training())
    fitted(whole)
    assert len(whole.states) == 13
    return whole.states


@pytest.mark.parametrize(
    ("hook", "step", "taken"),
    [("on_gradients", 1, 0), ("on_gradients", 6, 5), ("on_step", 6, 6), ("on_epoch", 8, 8)],
)
def test_a_callback_that_throws_leaves_whole_steps(states, hook, step, taken):
    """Weights, statistics, moments and draws are those of so many steps, not of one begun."""
    training = soak.Training()
    modes = [part.training for part in training.model.modules()]
    before = engine()
    with pytest.raises(soak.Thrown):
        fitted(Thrower(training, hook, step))
    same(training.state(), states[taken])
    assert [part.training for part in training.model.modules()] == modes
    assert engine() == before


class Breaking(optim.Callback):
    """Breaks an operation behind the fifth step."""

    def __init__(self, blocks, operation, part):
        self.blocks, self.what = blocks, (operation, part)

    def on_step(self, run):
        if run.step == 5:
            self.blocks.enter_context(soak.broken(*self.what))


@each_break
def test_a_rule_that_throws_in_fit_leaves_whole_steps(states, operation, part):
    """Running statistics moved, and masks were drawn, before it threw: they are put back."""
    training = soak.Training()
    with ExitStack() as blocks, pytest.raises(soak.Thrown):
        fitted(Thrower(training), Breaking(blocks, operation, part))
    same(training.state(), states[5])


def test_a_loss_that_is_no_number_leaves_whole_steps(states):
    training, batches = soak.Training(), soak.data(4)
    batches[1][0][0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="array 0 of the batch"):
        fitted(Thrower(training), batches=batches)
    same(training.state(), states[1])
