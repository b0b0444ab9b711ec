"""`fit` with a checkpoint: a run that was cut off ends as one that was not, bit by bit.

The reference is the run that was not cut off, and saved nothing; both end with the SHA-256 of
every parameter, buffer, state, generator, cursor and history (`tests.resuming`).
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import autograd
import nn
import optim
from nn.data import Loader
from optim import CheckpointError

from . import resuming
from .resuming import CASES, MEMORY, CutError, Cutting, Halving, X, Y, cut_at, network, trained

ROOT = Path(optim.__file__).parents[1]


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def step(n):
    return f"step-{n:09}.safetensors"


# --- cut off, and gone on with in a fresh process -------------------------------------------------


@pytest.fixture(scope="module")
def ends():
    """case -> the digests of the whole run, those of the resumed one, and the file it went by."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield begun_and_ended(Path(folder))


def begun_and_ended(folder):
    whole, last = {}, {}
    for name in CASES:
        whole[name] = trained(name)
        at, _ = cut_at(name)
        try:
            trained(name, at=at, checkpoint=folder / name, **{"every": 4} | every(name))
        except CutError:
            pass
        last[name] = [file for file in files(folder / name) if file.startswith("step")][-1:]
    done = subprocess.run(
        [sys.executable, "-m", "tests.resuming", str(folder)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "4711"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return whole, json.loads(done.stdout), last


def every(name):
    return {k: v for k, v in CASES[name].items() if k == "every"}


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_ends_as_the_whole_one(ends, name):
    whole, resumed, last = ends
    _, saved = cut_at(name)
    assert last[name] == ([step(saved)] if saved else [])
    different = [part for part in whole[name] if resumed[name][part] != whole[name][part]]
    assert different == []


def test_the_cases_have_every_optimizer_and_schedule():
    import optim.optimizers
    import optim.schedules

    kinds = {
        name for name, value in vars(optim.optimizers).items()
        if isinstance(value, type) and issubclass(value, optim.Optimizer)
    } - {"Optimizer"}  # fmt: skip
    factors = {
        name for name, value in vars(optim.schedules).items()
        if getattr(value, "__module__", "") == "optim.schedules" and not isinstance(value, type)
        and not name.startswith("_")
    }  # fmt: skip
    assert kinds == set(resuming.OPTIMIZERS) and factors <= set(resuming.FACTORS)
    assert len(optim.schedules._Schedule.__subclasses__()) == 2  # LambdaLR, ReduceLROnPlateau


def test_the_digests_tell_runs_apart():
    """One more draw, another weight or epoch, and the digests differ where they are to."""
    one, two = trained("Adam"), trained("Adam", seed=12)
    assert one == trained("Adam")
    same = {part for part in one if one[part] == two[part]}
    assert same <= {"generators", "schedule", "data", "generator", "callbacks", "ratios", "end"}
    longer = trained("Adam", epochs=5)
    assert one["optimizer"] != longer["optimizer"] and one["history"] != longer["history"]
    flipped = np.array([0.5, 1.0])
    flipped.view("u8")[0] ^= 1
    assert resuming.exact(flipped) != resuming.exact(np.array([0.5, 1.0]))


def test_the_file_of_a_resumed_run_is_that_of_the_whole_one(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    trained("metrics", checkpoint=a, every=3, keep=9)
    with pytest.raises(CutError):
        trained("metrics", at=12, checkpoint=b, every=3, keep=9)
    trained("metrics", seed=99, checkpoint=b, every=3, keep=9, resume=True)
    assert files(a) == files(b) and step(18) in files(a)
    assert all((a / name).read_bytes() == (b / name).read_bytes() for name in files(a))


def test_a_run_can_be_cut_off_again_and_again(tmp_path):
    for at in (4, 7, 8, 13, 14, 19):
        with pytest.raises(CutError):
            trained("callbacks", at=at, checkpoint=tmp_path, every=2, resume=True)
    assert trained("callbacks", checkpoint=tmp_path, resume=True, every=2) == trained("callbacks")


def test_a_run_that_is_over_can_be_made_longer(tmp_path):
    trained("cosine each step", checkpoint=tmp_path, every=50)
    longer = trained("cosine each step", epochs=6, checkpoint=tmp_path, resume=True, every=50)
    assert longer == trained("cosine each step", epochs=6)


def test_a_run_that_a_callback_has_ended_stays_ended(tmp_path):
    def quick(**options):
        autograd.seed(0)
        model = nn.Linear(3, 1)
        optimizer = optim.SGD(model.parameters())
        stop = lambda run: run.epoch == 2 and run.stop()  # noqa: E731
        return optim.fit(
            model, (X, Y), nn.mse, optimizer, checkpoint=tmp_path, progress=False,
            callbacks=[stop], **options,
        )  # fmt: skip

    history = quick()
    again = quick(resume=True)
    assert again.stopped == history.stopped == "callback" and again == history
    assert again.epochs == 2


# --- what is kept ---------------------------------------------------------------------------------


def test_the_last_files_and_the_best_weights_are_kept(tmp_path):
    model, weights = network(), []
    optimizer = optim.Adam(model.parameters(), lr=0.3)
    history = optim.fit(
        model, (X, Y), nn.mse, optimizer, 9, validation=(X[:5], Y[:5]), progress=False,
        checkpoint=tmp_path, keep=2, callbacks=[lambda run: weights.append(run.model.state_dict())],
    )  # fmt: skip
    assert files(tmp_path) == ["best.safetensors", step(8), step(9)]
    assert 1 < history.best < 9
    best = load_file(tmp_path / "best.safetensors")
    assert best.keys() == weights[0].keys()
    for name, value in weights[history.best - 1].items():
        np.testing.assert_array_equal(best[name], value)
    other = network()
    optim.load(tmp_path / "best.safetensors", model=other)
    optim.load(tmp_path / step(8), model=other)
    np.testing.assert_array_equal(other.layers[0].bias.data, weights[7]["layers.0.bias"])


@pytest.mark.parametrize("options, steps", [
    ({"every": 3, "keep": 99}, [3, 6, 9, 10]),
    ({"every": 5, "keep": 1}, [10]),
    ({"every": "epoch", "keep": 99}, [5, 10]),
    ({"every": 99}, [10]),
])  # fmt: skip
def test_how_often_is_saved(tmp_path, options, steps):
    trained("SGD", epochs=2, checkpoint=tmp_path / "deep" / "er", **options)
    assert files(tmp_path / "deep" / "er") == ["best.safetensors", *map(step, steps)]


def test_saving_does_not_change_a_run(tmp_path):
    for name in ("PCG64", "early stopping", "a user's data"):
        assert trained(name, checkpoint=tmp_path / name, every=1) == trained(name)


def test_halves_of_files_by_a_killed_process_are_removed(tmp_path):
    half = tmp_path / f".{step(5)}.0123456789abcdef.tmp"
    half.write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    trained("SGD", epochs=1, checkpoint=tmp_path)
    assert files(tmp_path) == ["best.safetensors", "notes.txt", step(5)]


# --- signals --------------------------------------------------------------------------------------


class Signalling(Cutting):
    """Sends this process a signal in the midst of a step, or behind an epoch."""

    def __init__(self, number, step=None, epoch=None, times=1):
        self.number, self.step, self.epoch, self.times = number, step, epoch, times

    def on_gradients(self, run):
        if run.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(self.number)

    def on_epoch(self, run):
        if run.epoch == self.epoch:
            signal.raise_signal(self.number)


def measured(**options):
    """The case "metrics": its digests without those of callbacks."""
    found = trained("metrics", **options)
    return {name: digest for name, digest in found.items() if name != "callbacks"}


def signalled(folder, **options):
    return measured(checkpoint=folder, every=100, **options)


@pytest.mark.parametrize("place, saved", [({"step": 7}, 7), ({"epoch": 2}, 10), ({"epoch": 4}, 20)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(tmp_path, number, place, saved):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    callbacks = {"callbacks": lambda model: [Signalling(number, **place)]}
    if number == signal.SIGTERM:
        with pytest.raises(SystemExit) as ended:
            signalled(tmp_path, **callbacks)
        assert ended.value.code == 128 + signal.SIGTERM
    else:
        interrupted = signalled(tmp_path, **callbacks)  # returns the history so far
        assert interrupted["end"] != measured()["end"]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert step(saved) in files(tmp_path)
    callbacks = {"callbacks": lambda model: [Signalling(number)]}
    resumed = signalled(tmp_path, **callbacks, seed=99, resume=True)
    assert resumed == measured()


def test_ctrl_c_leaves_the_best_weights_as_without_a_checkpoint(tmp_path):
    def run(at, **options):
        autograd.seed(3)
        model, weights = network(), []
        signalling = Signalling(signal.SIGINT, step=at)
        optim.fit(
            model, (X, Y), nn.mse, optim.Adam(model.parameters(), lr=0.3), 9, batch_size=5,
            callbacks=[signalling, lambda run: weights.append(run.model.state_dict())],
            progress=False, **options,
        )  # fmt: skip
        return model.state_dict(), weights

    (saved, weights), (plain, _) = run(23, checkpoint=tmp_path), run(23)
    assert all(np.array_equal(saved[name], plain[name]) for name in plain)
    assert any(all(np.array_equal(saved[name], w[name]) for name in w) for w in weights)


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    """It may come in the midst of a step: then nothing is saved."""
    callbacks = {"callbacks": lambda model: [Signalling(signal.SIGINT, step=7, times=2)]}
    signalled(tmp_path, **callbacks)
    assert files(tmp_path) == []


def test_a_programs_own_handler_is_left_in_place(tmp_path):
    got = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        callbacks = {"callbacks": lambda model: [Signalling(signal.SIGTERM, step=7)]}
        signalled(tmp_path, **callbacks)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM] and step(20) in files(tmp_path)


def test_a_thread_saves_without_handlers(tmp_path):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(trained("SGD", checkpoint=tmp_path, every=6))
    )
    thread.start()
    thread.join()
    assert found == [trained("SGD")]


LONG = """
import sys
from tests.resuming import trained
trained("PCG64", epochs=100_000, checkpoint=sys.argv[1], every=7)
"""


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_process_that_is_ended_can_be_gone_on_with(tmp_path, number, code):
    """Wherever the signal comes."""
    process = subprocess.Popen([sys.executable, "-c", LONG, str(tmp_path)], cwd=ROOT)
    try:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("step-*")) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == code
    finally:
        process.kill()
    last = max(int(path.stem[5:]) for path in tmp_path.glob("step-*"))
    epochs = last // 5 + 2
    resumed = trained("PCG64", epochs=epochs, seed=99, checkpoint=tmp_path, every=7, resume=True)
    assert resumed == trained("PCG64", epochs=epochs)


# --- what is refused, before anything is changed --------------------------------------------------


class Counting(optim.Callback):
    def __init__(self):
        self.count = 0

    def count_up(self, run):
        self.count += 1


class Unsaved(Halving):
    state_dict = None

    def __getattribute__(self, name):
        if name == "state_dict":
            raise AttributeError(name)
        return super().__getattribute__(name)


def with_attributes():
    def function(run):
        function.count += 1

    function.count = 0
    return function


REFUSED = {
    "a callback": ({"callbacks": [Counting()]}, "callbacks/0.Counting: it has count, and needs"),
    "a method": (
        {"callbacks": [print, Counting().count_up]}, "callbacks/1.Counting: it has count, and",
    ),
    "a function's attributes": (
        {"callbacks": [with_attributes()]}, "callbacks/0.function: it has count, and needs",
    ),
    "data": ({"data": type("Mine", (), {"__iter__": lambda self: iter([(X, Y)])})()},
             "data: a Mine cannot be saved: it needs state_dict"),
    "validation": ({"validation": type("Mine", (), {"__iter__": lambda self: iter([(X, Y)])})()},
                   "validation: a Mine cannot be saved"),
    "a state": (
        {"callbacks": [type("C", (), {
            "__call__": lambda self, run: None, "state_dict": lambda self: {"f": print},
            "load_state_dict": lambda self, state: None,
        })()]},
        "callbacks/0.C.f: a builtin_function_or_method cannot be saved",
    ),
}  # fmt: skip


def fitted(model=None, data=(X, Y), **options):
    model = model or network()
    optimizer = options.pop("optimizer", None) or optim.Adam(model.parameters())
    return optim.fit(model, data, nn.mse, optimizer, 2, **{"progress": False} | options)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_saved_is_refused_before_training(tmp_path, case):
    options, message = REFUSED[case]
    model = network()
    before = model.state_dict()
    with pytest.raises(CheckpointError, match=message):
        fitted(model, checkpoint=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())
    fitted(model, **options)  # without a checkpoint it is fine


def test_a_schedule_without_state_is_refused(tmp_path):
    model = network()
    optimizer = optim.SGD(model.parameters())
    with pytest.raises(CheckpointError, match="schedule: a Unsaved cannot be saved"):
        fitted(model, optimizer=optimizer, schedule=Unsaved(optimizer), checkpoint=tmp_path)


def test_without_the_package_training_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    calls = []
    with pytest.raises(ImportError, match="pip install safetensors"):
        fitted(checkpoint=tmp_path, callbacks=[lambda run: calls.append(1)])
    assert not calls


def test_another_run_is_not_written_over(tmp_path):
    fitted(checkpoint=tmp_path)
    before = files(tmp_path)
    with pytest.raises(CheckpointError, match="is of another run; resume=True goes on with it"):
        fitted(checkpoint=tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("options, message", [
    ({"every": 0}, 'every is a positive whole number or "epoch", not 0'),
    ({"every": "step"}, "not 'step'"), ({"every": True}, "not True"),
    ({"keep": 0}, "keep is a positive whole number, not 0"),
])  # fmt: skip
def test_bad_settings_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        fitted(checkpoint=tmp_path, **options)


def scheduled(model):
    optimizer = optim.Adam(model.parameters())
    return {"optimizer": optimizer, "schedule": optim.LambdaLR(optimizer, optim.constant)}


OTHERS = {
    "monitor": ({"monitor": "val_loss"}, "same: the run has .*'monitor': 'loss'"),
    "metrics": ({"metrics": {"r2": lambda o, t: 0.0}}, "same: the run has .*'recorded'"),
    "batch size": ({"batch_size": 7}, "data: .*batch_size is 32, the loader's 7"),
    "data": ({"data": (X[:9], Y[:9])}, "data: .*examples is 22, the loader's 9"),
    "kind of data": ({"data": [(X, Y)]}, "data: .*missing given"),
    "model": ({"model": nn.Linear(3, 1)}, "model: .*missing weight"),
    "optimizer": ({"optimizer": optim.SGD}, "optimizer: .*missing momentum"),
    "schedule": (scheduled, "the run has the parts model, .*and fit is given .*schedule"),
    "callbacks": ({"ratios": True}, "callbacks: .*missing 0.Ratios"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_run_of_other_arguments_is_refused_and_nothing_changes(tmp_path, case):
    fitted(checkpoint=tmp_path, validation=(X, Y), monitor="loss")
    options, message = OTHERS[case]
    model = options["model"] if isinstance(options, dict) and "model" in options else network()
    options = dict(options(model) if callable(options) else options)
    options.pop("model", None)
    optimizer = options.pop("optimizer", optim.Adam)
    optimizer = optimizer(model.parameters()) if isinstance(optimizer, type) else optimizer
    before = {**model.state_dict(), **optimizer.state_dict()}
    with pytest.raises(CheckpointError, match=message):
        fitted(
            model, optimizer=optimizer, checkpoint=tmp_path, resume=True,
            **{"validation": (X, Y), "monitor": "loss"} | options,
        )  # fmt: skip
    after = {**model.state_dict(), **optimizer.state_dict()}
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_damaged_checkpoint_is_named_and_an_older_one_can_take_its_place(tmp_path):
    trained("SGD", checkpoint=tmp_path, every=5)
    newest = tmp_path / step(20)
    data = bytearray(newest.read_bytes())
    data[-100] ^= 4
    newest.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged") as raised:
        trained("SGD", checkpoint=tmp_path, resume=True)
    assert raised.value.file == newest
    newest.unlink()
    assert trained("SGD", checkpoint=tmp_path, resume=True) == trained("SGD")


def test_a_loader_that_is_shared_stands_where_it_stood(tmp_path):
    """A Loader of the user's, in an epoch broken off, is put where the file says."""
    loader = Loader(X, Y, batch_size=5, shuffle=True, generator=np.random.default_rng(0))
    fitted(data=loader, checkpoint=tmp_path)
    state = loader.state_dict()
    other = Loader(X, Y, batch_size=5, shuffle=True, generator=np.random.default_rng(1))
    next(iter(other))
    fitted(data=other, checkpoint=tmp_path, resume=True)
    assert other.state_dict() == state
