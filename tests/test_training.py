"""`fit` against the loop it stands for, and everything it puts around it."""

import builtins
import copy
import io
import pickle
import re

import matplotlib
import numpy as np
import pytest

import autograd
import nn
import optim
from nn.data import Loader
from optim import Callback, History, evaluate, fit, lr_find, predict
from optim.metrics import accuracy, confusion_matrix, f1, predicted_classes, r2, top_k

matplotlib.use("Agg")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((37, 3)).astype(np.float32)  # 37: the last batch of 8 has 5
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
X_VAL = RNG.standard_normal((20, 3)).astype(np.float32)
Y_VAL = (X_VAL[:, 0] + X_VAL[:, 1] ** 2 > 0.5).astype(int)


def network(dropout=0.0):
    autograd.seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))


def quiet(model, data=(X, Y), loss=nn.cross_entropy, optimizer=None, epochs=3, **options):
    optimizer = optimizer or optim.Adam(model.parameters(), lr=0.05)
    return fit(
        model, data, loss, optimizer, epochs, **{"batch_size": 8, "progress": False} | options
    )


def squared(outputs, targets):
    return np.mean(np.square(outputs - targets))


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first | second)


class Recorded(Callback):
    """Notes when it is called, and with which loss."""

    def __init__(self):
        self.calls, self.losses = [], []

    def on_gradients(self, run):
        self.calls.append("gradients")

    def on_step(self, run):
        self.calls.append("step")
        self.losses.append(run.loss)

    def on_epoch(self, run):
        self.calls.append("epoch")


# --- the loop -------------------------------------------------------------------------------------


def test_fit_is_the_plain_loop():
    ours = network()
    history = quiet(ours, generator=np.random.default_rng(5))
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    loader = Loader(X, Y, batch_size=8, shuffle=True, generator=np.random.default_rng(5))
    means = []
    for _ in range(3):
        total = 0
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += len(x) * loss.item()
        means.append(total / 37)
    assert same(ours.state_dict(), model.state_dict())
    assert history["loss"] == pytest.approx(means, rel=1e-12)  # the short batch counts as 5 of 37
    assert history["lr"] == [0.05] * 3
    assert history.stopped == "epochs" and history.epochs == 3


def test_sgd_on_an_mlp_is_lecture_ds_procedure():
    """Lecture D's SGD-NEURAL-NET in NumPy, one example at a time: W (m, n), Z = Wᵀ A + W0, and
    ∂loss/∂A = W ∂loss/∂Z of the layer above, by its weights as they were on the way forward.
    """
    sizes, eta = (3, 5, 4, 2), 0.1
    activations = [
        (np.tanh, lambda a: 1 - a**2),
        (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
        (lambda z: z, lambda a: np.ones_like(a)),
    ]
    model = nn.MLP(sizes, [nn.Tanh, nn.Sigmoid, None], dtype=float)
    nn.init.apply(model, nn.init.fan_in_normal, generator=np.random.default_rng(3))
    state = [p.data.copy() for p in model.parameters()]
    W, W0 = [w.T for w in state[::2]], state[1::2]
    optimizer = optim.SGD(model.parameters(), lr=eta)
    targets = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1).astype(float)
    for i in np.random.default_rng(4).integers(len(X), size=60):
        x, y = X[i].astype(float), targets[i]
        A = [x]
        for w, w0, (f, _) in zip(W, W0, activations, strict=True):  # forward pass
            A.append(f(w.T @ A[-1] + w0))
        by_a, steps = A[-1] - y, []  # of the loss ½ ‖A - y‖²
        for layer in (2, 1, 0):  # error back-propagation
            by_z = activations[layer][1](A[layer + 1]) * by_a
            steps.append((np.outer(A[layer], by_z), by_z))
            by_a = W[layer] @ by_z
        for layer, (by_w, by_w0) in zip((2, 1, 0), steps, strict=True):  # SGD update
            W[layer] = W[layer] - eta * by_w
            W0[layer] = W0[layer] - eta * by_w0
        optimizer.zero_grad()
        nn.half_squared_error(model(x[None]), y[None]).backward()
        optimizer.step()
    for layer in range(3):
        weight, bias = model.parameters()[2 * layer : 2 * layer + 2]
        np.testing.assert_allclose(weight.data, W[layer].T, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(bias.data, W0[layer], rtol=1e-10, atol=1e-12)
        assert np.abs(weight.data - state[2 * layer]).max() > 0.01  # it has moved


def test_the_same_seeds_give_the_same_run_and_others_another():
    def run(seed):
        model = network(dropout=0.3)
        history = quiet(model, generator=np.random.default_rng(seed))
        return history["loss"], model.state_dict()

    (first, weights), (again, same_weights), (other, _) = run(0), run(0), run(1)
    assert first == again and same(weights, same_weights)
    assert first != other


def test_a_loader_or_a_list_of_batches_is_data_too():
    batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 37, 8)]
    results = []
    for data in ((X, Y), Loader(X, Y, batch_size=8), batches, [list(b) for b in batches]):
        model = network()
        quiet(model, data, shuffle=False)
        results.append(model.state_dict())
    assert all(same(results[0], other) for other in results[1:])


def test_a_model_of_several_arguments():
    class Scaled(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.zeros(1))

        def forward(self, x, scale):
            return x * self.w * scale

    model, x, scale = Scaled(), np.linspace(-1, 1, 8)[:, None], np.linspace(1, 2, 8)[:, None]
    quiet(model, (x, scale, 3 * x * scale), squared, optim.SGD(model.parameters(), lr=0.5), 50)
    assert model.w.data == pytest.approx(3, abs=1e-3)
    assert predict(model, (x, scale)).shape == (8, 1)


def test_a_model_with_a_loss_of_its_own():
    autograd.seed(0)
    model = nn.Autoencoder(nn.Linear(3, 2), nn.Linear(2, 3))
    before = evaluate(model, (X,))["loss"]
    history = quiet(model, (X,), None, optim.Adam(model.parameters(), lr=0.05), 10)
    again = quiet(model, Loader(X, batch_size=8), None, optim.Adam(model.parameters(), lr=0.05), 1)
    assert again["loss"][0] < history["loss"][-1] < before
    with pytest.raises(ValueError, match="metrics need a loss"):
        quiet(model, (X,), None, metrics=[accuracy])


def test_fit_pretrains_a_stack():
    autograd.seed(0)
    parts = [nn.Autoencoder(nn.MLP((i, o)), nn.MLP((o, i))) for i, o in ((3, 3), (3, 2))]

    def train(autoencoder, x):
        histories.append(
            quiet(autoencoder, (x,), None, optim.Adam(autoencoder.parameters(), lr=0.05), 20)
        )

    histories = []
    stack = nn.pretrain_stack(parts, X, train)
    assert all(h["loss"][-1] < h["loss"][0] / 2 for h in histories)
    assert predict(stack, X).shape == (37, 2)


def test_modes_are_left_as_they_were():
    model = network(dropout=0.5)
    model.eval()
    model.layers[2].training = True
    quiet(model, validation=(X_VAL, Y_VAL))
    assert [m.training for m in model.modules()] == [False, False, False, True, False]
    predict(model, X)
    assert [m.training for m in model.modules()] == [False, False, False, True, False]


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = network(dropout=0.5)
    modes = []

    def loss(outputs, targets):
        modes.append((model.layers[2].training, getattr(outputs, "requires_grad", False)))
        return nn.cross_entropy(outputs, targets)

    model.eval()
    quiet(model, loss=loss, epochs=2, validation=(X_VAL, Y_VAL))
    assert modes == ([(True, True)] * 5 + [(False, False)]) * 2
    assert np.array_equal(predict(model, X), predict(model, X))


# --- evaluation and metrics -----------------------------------------------------------------------


def test_evaluate_is_the_mean_over_examples_whatever_the_batches():
    model = network()
    logits = predict(model, X)
    whole = nn.cross_entropy(logits, Y)
    for size in (1, 8, 37, 100):
        found = evaluate(model, (X, Y), nn.cross_entropy, [accuracy, f1], batch_size=size)
        assert found["loss"] == pytest.approx(float(whole), rel=1e-6)
        assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == Y))
        assert found["f1"] == f1(logits, Y)


def test_the_history_has_validation_and_metrics():
    model = network()
    history = quiet(
        model, validation=(X_VAL, Y_VAL), metrics={"right": accuracy}, shuffle=False, epochs=4
    )
    assert list(history) == ["loss", "right", "val_loss", "val_right", "lr"]
    assert all(len(values) == 4 for values in history.values())
    found = evaluate(model, (X_VAL, Y_VAL), nn.cross_entropy, accuracy)
    assert (
        history["val_loss"][-1] == found["loss"] and history["val_right"][-1] == found["accuracy"]
    )


def test_metrics_against_their_definitions():
    scores = np.array([[3.0, 1, 0], [0, 2, 1], [1, 2, 3], [2, 1, 0], [0, 1, 2]])
    labels = np.array([0, 2, 2, 1, 0])  # taken for 0 1 2 0 2
    assert accuracy(scores, labels) == 2 / 5
    assert top_k(2)(scores, labels) == 4 / 5 and top_k(2).__name__ == "top_2"
    assert top_k(1)(scores, labels) == 2 / 5 and top_k(3)(scores, labels) == 1
    assert confusion_matrix(scores, labels).tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 1]]
    assert f1(scores, labels) == pytest.approx((2 / 4 + 0 + 2 / 4) / 3)
    one_hot = np.eye(3, dtype=np.float32)[labels]  # targets that cross_entropy takes too
    for metric in (accuracy, top_k(2), f1):
        assert metric(scores, one_hot) == metric(scores, labels)
    assert np.array_equal(confusion_matrix(scores, one_hot), confusion_matrix(scores, labels))
    outputs, targets = np.array([1.0, 2, 4]), np.array([1.0, 3, 5])
    assert r2(outputs, targets) == pytest.approx(1 - 2 / 8)


def test_outputs_of_one_sigmoid_and_class_numbers():
    logits, labels = np.array([-1.0, 2.0, 0.5, -3.0]), np.array([0, 1, 0, 0])
    assert predicted_classes(logits).tolist() == [0, 1, 1, 0]
    assert predicted_classes(np.zeros(1)).tolist() == [0]
    for outputs, targets in (
        (logits, labels), (logits[:, None], labels[:, None]), (predicted_classes(logits), labels),
    ):  # fmt: skip
        assert accuracy(outputs, targets) == 3 / 4
    assert confusion_matrix(logits, labels).tolist() == [[2, 1], [0, 1]]
    assert top_k(1)(np.array([[1.0, 2.0], [2.0, 1.0]]), [1, 1]) == 1 / 2


def test_metrics_say_what_they_want():
    with pytest.raises(ValueError, match="scores .N, C."):
        accuracy(np.zeros((2, 3, 4)), np.zeros(2))
    with pytest.raises(ValueError, match="a target for each output"):
        r2(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="C >= k = 5"):
        top_k()(np.zeros((2, 3)), [0, 1])


# --- how training ends ----------------------------------------------------------------------------


def test_early_stopping_restores_the_best_weights():
    model, states = network(), []
    optimizer = optim.SGD(model.parameters(), lr=2.0, momentum=0.9)  # too fast: it gets worse again
    history = quiet(
        model, optimizer=optimizer, epochs=40, validation=(X_VAL, Y_VAL), patience=4,
        callbacks=[lambda run: states.append(run.model.state_dict())],
    )  # fmt: skip
    best = int(np.argmin(history["val_loss"]))
    assert history.stopped == "patience" and history.best == best + 1
    assert history.epochs == len(states) == best + 1 + 4 < 40
    assert same(model.state_dict(), states[best]) and not same(states[best], states[-1])
    found = evaluate(model, (X_VAL, Y_VAL), nn.cross_entropy)
    assert found["loss"] == min(history["val_loss"])


def test_patience_that_does_not_run_out_ends_at_the_best_weights_too():
    model, states = network(), []
    history = quiet(
        model, optimizer=optim.SGD(model.parameters(), lr=2.0, momentum=0.9), epochs=20,
        validation=(X_VAL, Y_VAL), patience=20,
        callbacks=[lambda run: states.append(run.model.state_dict())],
    )  # fmt: skip
    assert history.stopped == "epochs" and history.best < 20
    assert same(model.state_dict(), states[history.best - 1])


def test_without_patience_the_last_weights_stay():
    model, states = network(), []
    history = quiet(
        model, optimizer=optim.SGD(model.parameters(), lr=2.0, momentum=0.9), epochs=20,
        validation=(X_VAL, Y_VAL), callbacks=[lambda run: states.append(run.model.state_dict())],
    )  # fmt: skip
    assert history.best < 20 and same(model.state_dict(), states[-1])


def test_a_metric_that_is_monitored_is_to_rise():
    history = quiet(network(), validation=(X_VAL, Y_VAL), metrics=accuracy, monitor="val_accuracy")
    assert history.best == int(np.argmax(history["val_accuracy"])) + 1
    with pytest.raises(ValueError, match="monitor='val_acc' is not recorded; loss, val_loss are"):
        quiet(network(), validation=(X_VAL, Y_VAL), monitor="val_acc")


@pytest.mark.parametrize("validation", [None, (X_VAL, Y_VAL)])
def test_ctrl_c_leaves_the_best_weights_and_the_history(validation):
    class Interrupt(Callback):
        states = []

        def on_step(self, run):
            if run.step == 5 * 6 + 3:
                raise KeyboardInterrupt

        def on_epoch(self, run):
            self.states.append(run.model.state_dict())

    interrupt = Interrupt()
    interrupt.states = []
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
    history = quiet(
        model, optimizer=optimizer, epochs=99, validation=validation, callbacks=[interrupt]
    )
    assert history.stopped == "interrupted" and history.epochs == 6
    assert all(len(values) == 6 for values in history.values())
    assert same(model.state_dict(), interrupt.states[history.best - 1])
    assert model.training


def test_an_interrupt_within_the_first_epoch_changes_no_more():
    def interrupt(outputs, targets):
        raise KeyboardInterrupt

    model = network()
    before = model.state_dict()
    history = quiet(model, loss=interrupt)
    assert history.stopped == "interrupted" and history.epochs == 0 and history.best is None
    assert same(model.state_dict(), before)
    assert repr(history) == "History of 0 epochs; stopped: interrupted"


def test_an_interrupt_before_the_best_weights_are_copied_leaves_them(monkeypatch):
    model, states = network(), []
    state_dict = type(model).state_dict

    def interrupted(self):
        states.append(state_dict(self))
        if len(states) == 2:
            raise KeyboardInterrupt
        return states[-1]

    monkeypatch.setattr(type(model), "state_dict", interrupted)
    history = quiet(model)
    assert history.best == history.epochs == 2
    assert same(state_dict(model), states[1]) and not same(states[0], states[1])


def test_a_half_written_epoch_is_dropped(monkeypatch):
    append = History.append

    def interrupted(self, row):
        append(self, row)
        if self.epochs == 2:
            del self["lr"][1]  # as if the interrupt had come before this one
            raise KeyboardInterrupt

    monkeypatch.setattr(History, "append", interrupted)
    history = quiet(network())
    assert history.epochs == 1 and all(len(values) == 1 for values in history.values())


def test_a_loss_that_is_no_number_stops_before_the_step():
    model, calls = network(), Recorded()

    def loss(outputs, targets):
        return nn.cross_entropy(outputs, targets) * (np.nan if len(calls.losses) == 12 else 1)

    states = []
    with pytest.raises(FloatingPointError) as raised:
        quiet(
            model, loss=loss, epochs=9,
            callbacks=[calls, lambda run: states.append(run.model.state_dict())],
        )  # fmt: skip
    message = str(raised.value)
    assert "the loss is nan in epoch 3, batch 3 (step 13)" in message
    assert "smaller learning rate (it is 0.05)" in message and "clip_norm" in message
    history = raised.value.history
    assert history.stopped == "not finite" and history.epochs == 2
    assert same(model.state_dict(), states[history.best - 1])


def test_gradients_that_are_no_numbers_are_named():
    class Root(nn.Module):
        def __init__(self):
            self.inside = [nn.Linear(2, 1, bias=False)]
            self.inside[0].weight.data[...] = 0

        def forward(self, x):
            return np.sqrt(self.inside[0](x))

    model = Root()
    with pytest.raises(
        FloatingPointError, match="the gradient of inside.0.weight is not finite in epoch 1"
    ):
        with np.errstate(all="ignore"):
            quiet(model, (np.ones((4, 2)), np.ones((4, 1))), squared)
    assert np.array_equal(model.inside[0].weight.data, [[0, 0]])


def test_bad_data_and_bad_weights_are_told_apart_from_a_large_rate():
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(FloatingPointError, match="array 0 of the batch holds nan or inf"):
        quiet(network(), (x, Y))
    model = network()
    model.layers[3].weight.data[0, 0] = np.inf
    with pytest.raises(FloatingPointError, match="layers.3.weight holds nan or inf"):
        with np.errstate(all="ignore"):
            quiet(model)


def test_large_finite_gradients_are_no_alarm():
    class Steep(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return x * self.w * np.float32(1e25)  # the sum of the gradients' squares overflows

    model = Steep()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    assert quiet(model, (X, X), lambda o, y: np.mean(o), optimizer, 1).stopped == "epochs"


def test_a_callback_can_stop_training():
    history = quiet(network(), epochs=9, callbacks=[lambda run: run.epoch == 4 and run.stop()])
    assert history.epochs == 4 and history.stopped == "callback"


# --- on the way -----------------------------------------------------------------------------------


def test_callbacks_are_called_in_order():
    recorded = Recorded()
    history = quiet(network(), epochs=2, callbacks=[recorded])
    assert recorded.calls == (["gradients", "step"] * 5 + ["epoch"]) * 2
    assert np.average(recorded.losses[5:], weights=[8, 8, 8, 8, 5]) == pytest.approx(
        history["loss"][1]
    )


def test_an_average_of_the_weights_is_a_callback():
    class Averaging(Callback):
        def __init__(self, model):
            self.ema = optim.EMA(model.parameters(), decay=0.5)

        def on_step(self, run):
            self.ema.update()

    model = network()
    averaging = Averaging(model)
    quiet(model, callbacks=[averaging])
    assert averaging.ema.updates == 15


def test_schedules_step_with_epochs_or_steps():
    for every, wanted in (
        ("epoch", [0.8, 0.4, 0.2]),
        ("step", [0.8 / 2**4, 0.8 / 2**9, 0.8 / 2**14]),
    ):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.8)
        schedule = optim.LambdaLR(optimizer, lambda t: 0.5**t)
        history = quiet(model, optimizer=optimizer, schedule=schedule, schedule_every=every)
        assert history["lr"] == pytest.approx(wanted)


def test_a_plateau_reads_what_is_monitored():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=1e-30)  # nothing moves: every epoch is a plateau
    schedule = optim.ReduceLROnPlateau(optimizer, patience=1)
    history = quiet(
        model, optimizer=optimizer, schedule=schedule, validation=(X_VAL, Y_VAL), epochs=6
    )
    assert history["lr"] == pytest.approx([1e-30] * 3 + [1e-31] * 2 + [1e-32])
    assert schedule.best == pytest.approx(evaluate(model, (X_VAL, Y_VAL), nn.cross_entropy)["loss"])


def test_a_schedule_of_another_optimizer_is_refused():
    other = optim.SGD(network().parameters())
    with pytest.raises(ValueError, match="another optimizer"):
        quiet(network(), schedule=optim.LambdaLR(other, lambda t: 1.0))


def test_gradients_are_clipped():
    class Norms(Callback):
        def __init__(self):
            self.largest, self.norms = [], []

        def on_gradients(self, run):
            grads = np.concatenate([np.ravel(p.grad) for p in run.optimizer.params])
            self.largest.append(abs(grads).max())
            self.norms.append(np.linalg.norm(grads))

    free, by_norm, by_value = Norms(), Norms(), Norms()
    quiet(network(), callbacks=[free])
    quiet(network(), callbacks=[by_norm], clip_norm=0.01)
    quiet(network(), callbacks=[by_value], clip_value=0.01)
    assert min(free.norms) > 0.02 and min(free.largest) > 0.01
    assert by_norm.norms == pytest.approx([0.01] * 15, rel=1e-3)
    assert max(by_value.largest) <= 0.0101


def test_components_are_clipped_before_the_norm():
    class Steep(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.zeros(2))

        def forward(self, x):
            return x @ self.w  # the gradient is x

    model, seen = Steep(), []

    class Seen(Callback):
        def on_gradients(self, run):
            seen.append(run.model.w.grad.copy())

    quiet(
        model, (np.array([[30.0, 0.5]]), np.zeros(1)), lambda o, y: np.mean(o), epochs=1,
        callbacks=[Seen()], clip_value=1.0, clip_norm=1.0,
    )  # fmt: skip
    np.testing.assert_allclose(seen[0], np.array([1.0, 0.5]) / np.sqrt(1.25), rtol=1e-5)


def test_a_parameter_of_zeros_has_no_ratio():
    model = network()
    model.layers[0].bias.data[...] = 0
    history = quiet(model, ratios=True, epochs=2)
    first, second = history.ratios["layers.0.bias"]
    assert np.isnan(first) and second > 0


def test_ratios_of_updates_to_weights():
    model = network()
    before = {name: np.array(p.data) for name, p in model.named_parameters()}
    first = []

    class First(Callback):
        def on_step(self, run):
            first.append(run.model.state_dict())

    history = quiet(model, epochs=2, ratios=True, callbacks=[First()])
    for name, w in before.items():
        wanted = np.linalg.norm(first[0][name] - w) / np.linalg.norm(w)
        assert history.ratios[name][0] == pytest.approx(wanted, rel=1e-5)
        later = np.linalg.norm(first[5][name] - first[4][name]) / np.linalg.norm(first[4][name])
        assert history.ratios[name][1] == pytest.approx(later, rel=1e-5)
    assert all(len(values) == 2 for values in history.ratios.values())


# --- progress -------------------------------------------------------------------------------------


def test_progress_by_tqdm(capsys):
    quiet(network(), progress=True, validation=(X_VAL, Y_VAL))
    shown = capsys.readouterr().err
    assert "3/3" in shown and re.search(r"loss=\S+, val_loss=", shown)


def test_progress_without_tqdm(capsys, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **options):
        if name == "tqdm":
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    history = quiet(network(), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[2] == f"epoch 3/3  loss {history['loss'][2]:.3g}"


def test_no_progress_is_silent(capsys):
    quiet(network())
    assert capsys.readouterr() == ("", "")


# --- what is refused ------------------------------------------------------------------------------

REFUSED = [
    (dict(epochs=0), ValueError, "epochs is a positive whole number"),
    (dict(epochs=1.5), ValueError, "epochs is a positive whole number"),
    (dict(patience=0), ValueError, "patience is a positive whole number"),
    (dict(schedule_every="batch"), ValueError, "schedule_every"),
    (dict(loss="mse"), TypeError, "loss is a function"),
    (dict(loss=None), TypeError, "Sequential has none"),
    (dict(data=X), TypeError, "a tuple of arrays"),
    (dict(data=3), TypeError, "a tuple of arrays"),
    (dict(data=(X,)), ValueError, "give .x, y."),
    (dict(data=iter([(X, Y)])), TypeError, "once only"),
    (dict(data=[]), ValueError, "no batches in epoch 1"),
    (dict(data=(X, Y[:5])), ValueError, "same number of examples"),
    (dict(validation=[]), ValueError, "no batches"),
    (dict(callbacks=["print"]), TypeError, "a callback is a function"),
    (dict(clip_norm=0), ValueError, "clip_norm is a number > 0"),
    (dict(clip_value=-1.0), ValueError, "clip_value is a number > 0"),
    (dict(loss=lambda o, y: nn.cross_entropy(o, y, "none")), ValueError, "the loss is one number"),
    (dict(loss=lambda o, y: nn.cross_entropy(o, y).item()), TypeError, "a float, .* no derivative"),
    (dict(metrics=["accuracy"]), TypeError, "a metric is a function .* not 'accuracy'"),
    (dict(metrics={"loss": accuracy}), ValueError, "'loss' cannot be a metric's name"),
    (dict(metrics={"lr": accuracy}), ValueError, "'lr' cannot be a metric's name"),
    (dict(metrics={"val_loss": accuracy}), ValueError, "'val_loss' cannot be a metric's name"),
    (dict(metrics=[top_k(1), top_k(1)]), ValueError, "names of their own, .* top_1, top_1"),
    (dict(callbacks=[Callback]), TypeError, "a callback is a function .* not <class"),
    (dict(schedule=np.sin), TypeError, "the schedule is one such as optim.LambdaLR"),
]


@pytest.mark.parametrize("options, error, message", REFUSED)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        quiet(network(), **options)


def test_an_optimizer_of_another_model_and_a_model_that_is_none():
    with pytest.raises(ValueError, match="none of the model's parameters"):
        quiet(network(), optimizer=optim.SGD(network().parameters()))
    for wrong in (optim.SGD, None):
        with pytest.raises(TypeError, match="one such as optim.Adam"):
            fit(network(), (X, Y), nn.cross_entropy, wrong)
    with pytest.raises(TypeError, match="the model is a Module, not a function"):
        quiet(squared, optimizer=optim.SGD(network().parameters()))


def test_an_optimizer_made_before_a_layer_was_replaced_is_refused():
    """It would go on with the old layer's weights, and the new layer's stay as they began."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model.layers[3] = nn.Linear(8, 2)
    before = model.state_dict()
    for train in (fit, lr_find):
        with pytest.raises(
            ValueError, match=r"not the model's, and lacks layers\.3\.weight, layer"
        ):
            train(model, (X, Y), nn.cross_entropy, optimizer)
    assert same(model.state_dict(), before)
    model.layers[3].freeze()  # said so: the rest is trained
    quiet(model, optimizer=optimizer, epochs=1)
    part = optim.SGD(model.layers[0].parameters(), lr=0.1)
    quiet(model.unfreeze(), optimizer=part, epochs=1)  # some of the parameters, on purpose


def test_evaluate_wants_a_loss_and_predict_one_array():
    with pytest.raises(TypeError, match="evaluate: loss=None wants .* Sequential has none"):
        evaluate(network(), (X, Y))
    number = evaluate(network(), (X, Y), lambda o, y: float(np.mean(o.data)), batch_size=50)
    assert number["loss"] == pytest.approx(np.mean(network()(X).data))
    with pytest.raises(TypeError, match=r"gives a tuple of 2, .* \(outputs, state\)"):
        predict(nn.GRU(3, 2, batch_first=True), np.zeros((5, 4, 3)))


# --- histories ------------------------------------------------------------------------------------


def test_a_history_prints_ten_epochs_or_so_and_the_best():
    history = History("val_loss")
    for i in range(100):
        history.append({"loss": 1.0 / (i + 1), "val_loss": abs(i - 41) + 0.25})
    lines = repr(history).splitlines()
    assert lines[0] == "History of 100 epochs, best val_loss 0.25 in epoch 42"
    assert lines[1].split() == ["epoch", "loss", "val_loss"]
    assert 9 <= len(lines[3:]) <= 11
    assert lines[3].split() == ["1", "1", "41.25"] and lines[-1].split()[0] == "100"
    assert [line for line in lines if "best" in line][1].split() == [
        "42",
        "0.02381",
        "0.25",
        "best",
    ]
    shown = history._repr_html_()
    assert shown.count("<tr>") == len(lines) - 2 and "<th" in shown


def test_a_history_survives_pickling_and_copying():
    history = quiet(network(), ratios=True)
    for other in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        assert other == history and repr(other) == repr(history)
        assert other.ratios == history.ratios and other.best == history.best


def test_a_value_that_is_no_number_is_never_best():
    history = History("loss")
    for value in (np.nan, 2.0, np.nan, 1.0, -np.inf, 1.0):
        history.append({"loss": value})
    assert history.best == 4  # of equals the first


def test_plots_show_what_was_recorded():
    history = quiet(network(), validation=(X_VAL, Y_VAL), metrics=[accuracy], ratios=True)
    figure = history.plot()
    loss, right, ratios = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["loss", "accuracy", "update / weight"]
    curves = {line.get_label(): line.get_ydata() for line in loss.lines}
    assert list(curves["training"]) == history["loss"]
    assert list(curves["validation"]) == history["val_loss"]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert loss.get_yscale() == "log" and right.get_yscale() == "linear"
    assert len(ratios.lines) == 4 + 1
    figure.savefig(io.BytesIO())
    matplotlib.pyplot.close(figure)


def test_the_rate_is_plotted_where_it_changes():
    history = History("loss")
    for lr in (0.1, 0.01):
        history.append({"loss": 1.0, "lr": lr})
    figure = history.plot()
    assert [ax.get_title() for ax in figure.axes] == ["loss", "lr"]
    matplotlib.pyplot.close(figure)


def test_live_plots_draw_and_then_redraw(monkeypatch):
    shown = []

    class Handle:
        def update(self, figure):
            shown.append(("update", len(figure.axes[0].lines[0].get_ydata())))

    def display(figure, display_id):
        shown.append(("display", len(figure.axes[0].lines[0].get_ydata())))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    quiet(network(), epochs=6, callbacks=[optim.LivePlot(every=2)])
    assert shown == [("display", 2), ("update", 4), ("update", 6)]
    assert matplotlib.pyplot.get_fignums() == []
    with pytest.raises(ValueError, match="every is a number of epochs"):
        optim.LivePlot(0)


# --- learning rates -------------------------------------------------------------------------------


def test_lr_find_leaves_everything_as_it_was_and_finds_a_rate_that_learns():
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.5)
    quiet(model, optimizer=optimizer, epochs=1)
    weights, state = model.state_dict(), optimizer.state_dict()
    found = lr_find(
        model, (X, Y), nn.cross_entropy, optimizer, high=100.0, batch_size=8,
        generator=np.random.default_rng(0),
    )  # fmt: skip
    assert same(model.state_dict(), weights) and same(optimizer.state_dict(), state)
    assert optimizer.params[0] is model.parameters()[0]
    assert np.allclose(np.diff(np.log(found.lrs)), np.log(1e8) / 99)
    assert 1e-4 < found.suggestion < 1
    assert found.lrs[-1] < 100 and found.smooth[-1] > 4 * min(found.smooth)  # it ended early
    assert f"suggestion {found.suggestion:.2g}" in repr(found)
    figure = found.plot()
    assert figure.axes[0].get_xscale() == "log"
    assert list(figure.axes[0].lines[1].get_ydata()) == found.smooth
    figure.savefig(io.BytesIO())
    matplotlib.pyplot.close(figure)


def test_lr_find_says_where_the_first_loss_is_no_number():
    model = network()
    with pytest.raises(FloatingPointError, match="lr_find: the loss is nan in the first step"):
        lr_find(model, (X * np.nan, Y), nn.cross_entropy, optim.SGD(model.parameters()))


def test_the_running_average_of_lr_find_is_bias_corrected():
    class Still(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.ones(1))

        def forward(self, x):
            return x + 0 * self.w

    model = Still()
    found = lr_find(
        model, (np.ones((4, 1)), np.zeros((4, 1))), squared, optim.SGD(model.parameters()), steps=9
    )
    assert found.smooth == pytest.approx([1.0] * 9) and found.suggestion is None
    assert found.lrs[0] == pytest.approx(1e-6) and found.lrs[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(low=0.0), "0 < low < high"),
        (dict(low=1.0, high=0.1), "0 < low < high"),
        (dict(steps=2), "at least 3 steps"),
        (dict(smoothing=1.0), "smoothing"),
        (dict(data=[]), "no batches"),
        (dict(optimizer=optim.SGD(network().parameters())), "lr_find: .*none of the model's"),
    ],
)
def test_what_lr_find_refuses(options, message):
    model = network()
    optimizer = options.pop("optimizer", None) or optim.SGD(model.parameters())
    with pytest.raises(ValueError, match=message):
        lr_find(model, options.pop("data", (X, Y)), nn.cross_entropy, optimizer, **options)
