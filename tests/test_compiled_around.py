"""What compiled functions find around them and others change: seen by the next call, or refused."""

import functools
import itertools
import random
import types
import warnings
from collections import deque

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor, checkpoint, seed, value_and_grad
from autograd.program import TracingWarning, compile
from autograd.rules.random import normal

FACTOR = 1.0


def batches(n=5):
    return np.random.default_rng(3).normal(size=(n, 4, 3))


def weights(shape=3):
    return Tensor(np.random.default_rng(4).normal(size=shape))


def observed(scenario, wrapped):
    """All that a scenario yields, as plain arrays; it makes its function by `wrapped`."""
    seed(0)
    np.random.seed(0)
    random.seed(0)
    return [np.array(getattr(x, "data", x)) for x in scenario(wrapped)]


def same_as_eager(scenario):
    expected = observed(scenario, lambda f: f)
    for a, b in zip(observed(scenario, compile), expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


# --- seen by the next call ----------------------------------------------------------------------


def array_in_a_closure(wrapped):
    """Written, replaced, and computed with before it meets an argument."""
    scale = np.ones(3)
    f = wrapped(lambda x: x @ np.sin(scale * 2))
    for i, x in enumerate(batches()):
        scale[i % 3] = i
        yield f(x)
        scale = scale * 2


def array_of_an_object(wrapped):
    of = types.SimpleNamespace(scale=np.ones(3), inside={"shift": np.zeros(3)})
    f = wrapped(lambda x: x @ of.scale + np.sum(np.cos(of.inside["shift"])))
    for i, x in enumerate(batches()):
        of.scale, of.inside["shift"] = np.full(3, float(i)), np.full(3, i / 2)
        yield f(x)


def array_in_a_tuple(wrapped):
    pair = np.ones(3), 2.0
    f = wrapped(lambda x: x @ np.sin(pair[0]) * pair[1])
    for i, x in enumerate(batches()):
        pair[0][...] = i
        yield f(x)


def array_of_a_partial_function_and_a_default(wrapped):
    a, b = np.ones(3), np.ones(3)

    def f(a, x, b=b):
        return x @ np.sin(a) + np.sum(np.sin(b))

    f = wrapped(functools.partial(f, a))
    for i, x in enumerate(batches()):
        a[...], b[0] = i, i
        yield f(x)


def array_written_inside(wrapped):
    count, w = np.zeros(3), weights()

    def step(x):
        count[:] = count + 1
        return np.sum(x @ (w * count))

    f = wrapped(step)
    for x in batches():
        yield f(x)
        yield count


def momentum_by_hand(wrapped):
    """`velocity` is set anew; the weights and `average` are written: who holds them sees it."""
    w, velocity, average = weights(), np.zeros(3), [np.zeros(3)]
    held = w.data

    def step(x):
        nonlocal velocity
        w.grad = None
        loss = np.sum((x @ w) ** 2)
        loss.backward()
        velocity = 0.9 * velocity + w.grad
        w.data -= 0.01 * velocity
        average[0] *= 0.5
        average[0] += w.data
        return loss

    f = wrapped(step)
    for x in batches():
        yield f(x)
        yield from (w, w.grad, velocity, average[0], held)


def elements_of_a_parameter(wrapped):
    w = weights()

    def step(x):
        w.grad = None
        loss = np.sum((x @ w) ** 2)
        loss.backward()
        w.data[...] = w.data - 0.01 * w.grad
        return loss

    f = wrapped(step)
    for x in batches():
        yield f(x)
        yield w


def hidden_state(wrapped):
    class Recurrent:
        hidden = None

        def __init__(self):
            self.hidden, self.w = np.zeros((4, 3)), weights((3, 3))

        def step(self, x):
            h = np.tanh(x + self.hidden @ self.w)
            loss = np.sum(h**2)
            self.w.grad = None
            loss.backward()
            self.hidden = h.data
            return loss

    trainer = Recurrent()
    f = wrapped(trainer.step)
    for x in batches():
        yield f(x)
        yield from (trainer.hidden, trainer.w.grad)


def numbers(wrapped):
    """In a closure, among globals, of an object, of its class, of an argument."""
    global FACTOR

    class Settings:
        power = 1.0

        def __init__(self):
            self.inside = types.SimpleNamespace(decay=1.0)

        def penalty(self, x):
            return self.inside.decay * np.sum(x**self.power)

    s, given, rate, FACTOR = Settings(), types.SimpleNamespace(shift=0.0), 1.0, 1.0
    f = wrapped(lambda x, s2: x * rate * FACTOR + s.penalty(x) + s2.shift)
    for i, x in enumerate(batches()):
        yield f(x, given)
        match i:
            case 0:
                rate = 2.0
            case 1:
                FACTOR = 3.0
            case 2:
                s.inside.decay = 0.0
            case 3:
                given.shift = Settings.power = 2.0


def functions(wrapped):
    activation = np.tanh
    f = wrapped(lambda x: activation(x))
    for x in batches(2):
        yield f(x)
        activation = np.sin


def settings_and_layers(wrapped):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    f = wrapped(lambda x: model(x))
    for i, x in enumerate(batches(6)):
        match i:
            case 1:
                model.layers[2].p = 0.1
            case 2:
                model.layers[1].momentum = 0.5
            case 3:
                model.layers[2].generator = np.random.default_rng(5)
            case 4:
                model.layers[0] = nn.Linear(3, 3)
            case 5:
                model.layers.pop()
        yield f(x)
        yield from (b for _, b in model.named_buffers())


def parameters_of_an_argument(wrapped):
    model = nn.Linear(3, 2)
    f = wrapped(value_and_grad(lambda model, x: np.sum(model(x))))
    for i, x in enumerate(batches(3)):
        if i == 1:
            model.weight = Tensor(np.ones((2, 3)))
        if i == 2:
            model.freeze(lambda name, p: name == "weight")
        loss, slopes = f(model, x)
        yield from (loss, len(slopes.__tree__()[0]), slopes.bias)


def average_swapped_in(wrapped):
    model = nn.Linear(3, 1)
    average = optim.EMA(model.parameters(), 0.9)

    def evaluate(x):
        with average:
            return np.mean(model(x) ** 2)

    f = wrapped(evaluate)
    for i, x in enumerate(batches()):
        for p in model.parameters():
            p.data = p.data * 1.1
        average.update()
        if i == 2:
            average.load_state_dict({k: v * 2 for k, v in average.state_dict().items()})
        yield f(x)


def dropout_evaluated_again(wrapped):
    """The second evaluation of a checkpoint drops what the first did, in every call."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = np.mean(checkpoint(model)(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    f = wrapped(step)
    for x in batches():
        yield f(x)
        yield from (p.grad for p in model.parameters())


def method(wrapped):
    class Scale:
        def __init__(self, factor):
            self.factor = Tensor(factor)

        @wrapped
        def f(self, x):
            return x * self.factor

    for scale in (Scale(1.0), Scale(2.0)):
        yield from (scale.f(x) for x in batches(2))


SEEN = [
    array_in_a_closure, array_of_an_object, array_in_a_tuple,
    array_of_a_partial_function_and_a_default, array_written_inside, momentum_by_hand,
    elements_of_a_parameter, hidden_state, numbers, functions, settings_and_layers,
    parameters_of_an_argument, average_swapped_in, dropout_evaluated_again, method,
]  # fmt: skip


@pytest.mark.parametrize("scenario", SEEN, ids=lambda f: f.__name__)
def test_changes_are_seen(scenario):
    same_as_eager(scenario)


def test_what_a_function_does_not_read_is_nothing_to_it():
    """What a trainer keeps beside its step does not have that traced again."""

    class Trainer:
        def __init__(self):
            self.w, self.losses, self.epoch = weights(), [], 0

        def step(self, x):
            self.w.grad = None
            loss = np.sum((x @ self.w) ** 2)
            loss.backward()
            return loss

    trainer = Trainer()
    f = compile(trainer.step)
    for x in batches():
        trainer.losses.append(f(x))
        trainer.epoch += 1
    assert repr(f).endswith("for 1 kinds of arguments>")


# --- refused ------------------------------------------------------------------------------------


def step_with(act):
    """A scenario: calls of a function that does `act(x, of)`, and what it did to `of`."""

    def scenario(wrapped):
        of = types.SimpleNamespace(
            n=0, kept=[], last=deque(maxlen=2), w=weights(), v=weights(), h=Tensor(np.zeros(3)),
            generator=np.random.default_rng(2), pair=np.ones(4), batches=iter(batches()),
            count=itertools.count(),
        )  # fmt: skip
        of.view = of.pair[1:]
        f = wrapped(lambda x: act(x, of))
        for x in batches():
            x = x.copy()
            yield f(x)
            yield from (x, of.n, len(of.kept), len(of.last), of.w, of.v, of.h, of.pair, of.view)
            yield of.generator.bit_generator.state["state"]["state"]

    return scenario


def count(x, of):
    of.n += 1
    return x * of.n


def append(x, of):
    of.kept.append(1)
    return x * len(of.kept)


def keep_last(x, of):
    of.last.append(2.0)
    return x * len(of.last)


def keep_tensor(x, of):
    of.h = (of.h + np.sum(x, axis=0) * of.w).detach()
    return of.h


def write_argument(x, of):
    x += 1
    return x * 2


def write_elements_of_argument(x, of):
    x[0] = 5.0
    return x * 2


def write_by_two_names(x, of):
    of.pair += 1
    return np.sum(x) * of.view


def write_view(x, of):
    y = x * 2
    z = y[1:]
    y += 1
    return z


def fill(x, of):
    of.w.data.fill(0.5)
    return x @ of.w


def share(x, of):
    of.v.data = of.w.data
    return x @ of.v


def draw_oneself(x, of):
    return x + of.generator.normal(size=3)


def draw_both_ways(x, of):
    return normal(x, generator=of.generator) + of.generator.normal()


def draw_from_numpy(x, of):
    return x + np.random.rand()


def draw_from_python(x, of):
    return x + random.random()


def draw_for_a_plain_array(x, of):
    return x + normal(np.zeros(3), generator=of.generator)


def seed_inside(x, of):
    seed(3)
    return normal(x)


def take_next(x, of):
    return x * next(of.count)


REFUSED = {
    count: "sets 'n' of a SimpleNamespace",
    append: "sets elements of a list",
    keep_last: "sets elements of a deque",
    keep_tensor: "sets 'h'",
    write_argument: "writes into an array that it was given at .*test_compiled_around.py",
    write_elements_of_argument: "writes into an array that it was given",
    write_by_two_names: "finds under more than one name",
    write_view: "finds under more than one name",
    fill: "no attribute 'fill'",
    share: "puts one array in two places",
    draw_oneself: "draws random numbers by itself",
    draw_both_ways: "draws random numbers by itself",
    draw_from_numpy: "draws random numbers by itself",
    draw_from_python: "draws random numbers by itself",
    draw_for_a_plain_array: "draws for an array that is not made from its arguments",
    seed_inside: "calls seed",
    take_next: "may take the next of a",
}


@pytest.mark.parametrize("act", REFUSED, ids=lambda f: f.__name__)
def test_what_cannot_be_done_by_every_run_is_run_as_it_is(act):
    with pytest.warns(TracingWarning, match=f"is run as it is: .*{REFUSED[act]}"):
        same_as_eager(step_with(act))


def test_containers_that_are_given_and_changed():
    def double(xs):
        xs.append(xs[0] * 2)
        return xs[1]

    given = [np.ones(3)]
    with pytest.warns(TracingWarning, match="changes a list or dict that it was given"):
        compile(double)(given)
    assert given[1].tolist() == [2.0] * 3


def test_backward_by_the_parameters_of_an_argument():
    model = nn.Linear(3, 1, dtype=float)

    def step(model, x):
        loss = np.sum(model(x) ** 2)
        loss.backward()
        return loss.item()

    with pytest.warns(TracingWarning, match=r"value_and_grad's; for backward\(\) let it find"):
        compile(step)(model, np.ones((2, 3)))
    assert np.any(model.weight.grad)


def test_settings_of_an_optimizer_are_not_those_of_the_first_call():
    def scenario(wrapped):
        w = weights()
        optimizer = optim.SGD([w], lr=0.1)
        schedule = optim.LambdaLR(optimizer, lambda t: 0.9**t)

        def step(x):
            optimizer.zero_grad()
            np.sum((x @ w) ** 2).backward()
            optimizer.step()
            schedule.step()
            return optimizer.param_groups[0]["lr"]

        f = wrapped(step)
        for x in batches():
            yield f(x)
            yield w

    with pytest.warns(TracingWarning, match="param_groups"):
        same_as_eager(scenario)


def test_tracing_that_raises_leaves_what_is_around_as_it_was():
    kept, array = [], np.ones(3)

    def f(x):
        kept.append(x)
        return x @ (array * 2)

    with pytest.raises(ValueError):
        compile(f)(np.ones(4))
    assert kept == [] and type(array) is np.ndarray


def test_warnings_are_once_for_each_kind():
    fast = compile(lambda x: x + random.random())
    with pytest.warns(TracingWarning, match="by itself; draw with autograd.normal"):
        fast(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(2.0)
