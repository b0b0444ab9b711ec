"""Whole training steps, compiled: they leave everything as the eager step does, to the bit."""

import ctypes
import signal
import threading
import warnings

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor, no_grad, seed, tree_map, value_and_grad
from autograd.program import TracingWarning, compile
from autograd.rules.random import uniform

OPTIMIZERS = [
    (optim.SGD, {}), (optim.SGD, {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    (optim.Momentum, {}), (optim.Nesterov, {}), (optim.RMSprop, {}), (optim.Adagrad, {}),
    (optim.Adadelta, {}), (optim.Adam, {}), (optim.AdamW, {}), (optim.Adamax, {}),
    (optim.NAdam, {}), (optim.Rprop, {}), (optim.Quickprop, {}),
]  # fmt: skip


class Training:
    """A model, what trains it, and a step over both."""

    def __init__(self, optimizer=optim.Adam, dtype=np.float64, **settings):
        seed(0)
        self.model = nn.Sequential(
            nn.Linear(5, 8, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.ReLU(),
            nn.Dropout(0.4), nn.Linear(8, 3, dtype=dtype),
        )  # fmt: skip
        self.optimizer = optimizer(self.model.parameters(), **settings)
        self.average = optim.EMA(self.model.parameters(), 0.9)
        self.schedule = optim.LambdaLR(self.optimizer, lambda t: 0.9**t)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.cross_entropy(self.model(x), y)
        loss.backward()
        norm = optim.clip_grad_norm_(self.model.parameters(), 0.5)
        optim.clip_grad_value_(self.model.parameters(), 0.2)
        self.optimizer.step()
        self.average.update()
        self.schedule.step()
        return loss, norm

    def state(self):
        """All that a step changes."""
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        found |= {f"optimizer.{k}": v for k, v in self.optimizer.state_dict().items()}
        found |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        grads = {f"grad.{k}": p.grad for k, p in self.model.named_parameters()}
        return found | {k: None if g is None else np.array(g) for k, g in grads.items()}


def same(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        np.testing.assert_array_equal(value, b[key], key)
        assert np.asarray(value).dtype == np.asarray(b[key]).dtype, key


def batches(n, dtype=np.float64, size=12):
    rng = np.random.default_rng(1)
    for _ in range(n):
        yield rng.normal(size=(size, 5)).astype(dtype), rng.integers(0, 3, size)


def losses(step, data):
    seed(7)
    found = [step(x, y) for x, y in data]
    return [loss.item() for loss, _ in found], [float(norm) for _, norm in found]


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_is_the_eager_one(optimizer, settings, dtype):
    eager, fast = Training(optimizer, dtype, **settings), Training(optimizer, dtype, **settings)
    step = compile(fast.step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert losses(step, batches(5, dtype)) == losses(eager.step, batches(5, dtype))
    same(fast.state(), eager.state())
    assert "step" in step.source


def test_what_happens_between_steps_is_seen():
    """Settings, modes, freezing, loaded weights and seeds between steps, and steps by hand."""
    eager, fast = Training(lr=0.01), Training(lr=0.01)
    kept = fast.model.state_dict()
    for t, step in ((eager, eager.step), (fast, compile(fast.step))):
        seed(3)
        for i, (x, y) in enumerate(batches(10)):
            if i == 1:
                t.optimizer.param_groups[0]["betas"] = (0.8, 0.99)
            if i == 2:
                t.model.eval()
            if i == 3:
                t.model.train()
                t.model.layers[0].freeze()
            if i == 4:
                t.model.unfreeze()
            if i == 5:
                t.model.load_state_dict(kept)
            if i == 6:
                seed(11)
                t.model.layers[4].bias.data = t.model.layers[4].bias.data * 2
            if i == 7:
                t.model.layers[4].bias.data[...] = 0.5
            if i == 8:
                nn.cross_entropy(t.model(x), y).backward()  # forgotten by the next step
            step(x, y)
    same(fast.state(), eager.state())


def test_modes_are_compiled_once_each():
    t = Training()
    step = compile(t.step)
    data = [*batches(1)] * 6
    for i, (x, y) in enumerate(data):
        t.model.train(i % 2 == 0)
        step(x, y)
    assert "for 2 kinds" in repr(step)


def test_gradients_add_up_over_calls():
    def accumulate(t):
        def add(x, y):
            loss = nn.cross_entropy(t.model(x), y)
            loss.backward()
            return loss

        return add

    eager, fast = Training(), Training()
    for t, add in ((eager, accumulate(eager)), (fast, compile(accumulate(fast)))):
        seed(2)
        for x, y in batches(4):
            add(x, y)
        t.optimizer.step()
        t.optimizer.zero_grad()
        for x, y in batches(3):
            add(x, y)
    same(fast.state(), eager.state())


def test_gradient_descent_by_hand():
    def training():
        w, b = Tensor(np.ones((3, 2))), Tensor(0.5)

        def step(x):
            w.grad = b.grad = None
            loss = np.mean((np.tanh(x @ w) + b) ** 2)
            loss.backward()
            w.data = w.data - 0.1 * w.grad
            b.data = b.data - 0.1 * b.grad
            return loss

        return w, b, step

    w1, b1, eager = training()
    w2, b2, step = training()
    fast, rng = compile(step), np.random.default_rng(0)
    for _ in range(4):
        x = rng.normal(size=(5, 3))
        before = w2.data.copy(), w2.data
        assert eager(x).item() == fast(x).item()
        np.testing.assert_array_equal(*before)  # who holds the old array keeps it
    np.testing.assert_array_equal(w1.data, w2.data)
    assert type(b2.data) is float and b1.data == b2.data and b1.grad == b2.grad


def test_model_update_by_a_function():
    models = [nn.Linear(3, 2, generator=np.random.default_rng(0)) for _ in range(2)]

    def step_of(model):
        def step(x):
            loss, slopes = value_and_grad(lambda m: np.sum(np.square(m(x))))(model)
            model.update(tree_map(lambda p, g: p - 0.1 * g, model, slopes))
            return loss

        return step

    eager, fast = step_of(models[0]), compile(step_of(models[1]))
    for x in np.random.default_rng(1).normal(size=(3, 4, 3)):
        assert eager(x).item() == fast(x).item()
    same(models[0].state_dict(), models[1].state_dict())


def test_a_call_that_raises_changes_nothing():
    t = Training()

    def step(x, y, most):
        t.optimizer.zero_grad()
        loss = nn.cross_entropy(t.model(x), y)
        loss.backward()
        optim.clip_grad_norm_(t.model.parameters(), 0.5, error_if_nonfinite=True)
        t.optimizer.step()
        return loss

    fast = compile(step)
    (x, y), _ = batches(2)
    for _ in range(2):
        fast(x, y, 1.0)
    before = t.state()
    seed(5)
    first = np.random.default_rng(5).random()
    with pytest.raises(ValueError, match="norm is nan"), np.errstate(all="ignore"):
        fast(np.full_like(x, np.nan), y, 1.0)
    same(t.state(), before)
    assert float(uniform(np.zeros(()))) == first  # and nothing was drawn


def test_interrupts_leave_a_step_whole_or_undone():
    """A KeyboardInterrupt at any moment: weights and averages are of the same number of steps."""
    w = Tensor(np.zeros(200_000))
    optimizer = optim.SGD([w], lr=1.0, momentum=0.5)
    average = optim.EMA([w], 0.5)

    @compile
    def step(x):
        optimizer.zero_grad()
        np.sum(w * x).backward()
        optimizer.step()
        average.update()

    x = np.ones(200_000)
    step(x)
    main, stop, rng = threading.main_thread().ident, threading.Event(), np.random.default_rng(0)
    running, caught = [], 0

    def on_signal(*_):
        if running:
            running.clear()  # one at a time
            raise KeyboardInterrupt

    def interrupt():
        while not stop.wait(rng.uniform(0.0005, 0.005)):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, on_signal)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        while caught < 30:
            try:
                running.append(True)
                step(x)
                running.clear()
            except KeyboardInterrupt:
                caught += 1
    finally:
        stop.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    velocity = optimizer.state_dict()["state.0.velocity"]
    for array in (w.data, velocity, average.average[0]):
        assert len(np.unique(array)) == 1
    assert optimizer.state_dict()["state.0.step"] == average.updates


def test_threads_take_turns():
    t, alone = Training(optim.SGD, lr=0.1), Training(optim.SGD, lr=0.1)
    for training in (t, alone):
        training.model.eval()
    step, (x, y) = compile(t.step), next(batches(1))
    threads = [threading.Thread(target=lambda: [step(x, y) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):
        alone.step(x, y)
    same(t.state(), alone.state())


# --- what is run as it is -----------------------------------------------------------------------


def refused(step, *args):
    fast = compile(step)
    with pytest.warns(TracingWarning, match="is not compiled"):
        fast(*args)
    return fast.explain()


def test_two_steps_in_one_are_run_as_they_are():
    eager, fast = Training(), Training()

    def twice(t):
        return lambda x, y: (t.step(x, y), t.step(x, y))

    data = [*batches(2)]
    seed(1)
    for x, y in data:
        twice(eager)(x, y)
    step = compile(twice(fast))
    seed(1)
    with pytest.warns(TracingWarning, match="after an optimizer's step"):
        for x, y in data:
            step(x, y)
    same(fast.state(), eager.state())


def test_what_a_module_keeps_is_run_as_it_is():
    class Keeping(nn.Module):
        def forward(self, x):
            self.last = x * 2
            return self.last

    model = Keeping()
    assert "sets 'last' of a Keeping" in refused(lambda x: np.sum(model(x)), np.ones(3))
    np.testing.assert_array_equal(model.last, 2 * np.ones(3))


def test_a_tensor_that_is_not_found_is_run_as_it_is():
    hidden = {"w": Tensor(np.ones(3))}
    key = ctypes.py_object(hidden)  # not a place that is looked into

    def step(x):
        loss = np.sum(key.value["w"] * x)
        return loss

    assert "not found around it" in refused(step, np.ones(3))


def test_no_grad_inside_a_step():
    w = Tensor(np.ones(3))

    @compile
    def step(x):
        with no_grad():
            before = np.sum(w * x)
        loss = np.sum(w * w * x)
        w.grad = None
        loss.backward()
        return before, loss

    for scale in (1.0, 2.0):
        before, loss = step(np.full(3, scale))
        assert float(before) == float(loss) == 3 * scale
        np.testing.assert_array_equal(w.grad, np.full(3, 2 * scale))
