"""Files by `optim.save`: exact, whole or not there, and never taken for what they are not.

The references are the state that was saved, compared by bytes, the package that others read such
files with, and a file that PyTorch wrote.
"""

import errno
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import autograd
import nn
import optim
from nn.data import Loader
from optim import CheckpointError, Generators

from .resuming import MEMORY

ROOT = Path(optim.__file__).parents[1]
X = np.array([[1.0, -2.0]], np.float32)


def identical(a, b):
    """Whether two states are the same, to types, byte and memory order, and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[name], b[name]) for name in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        layout = a.dtype.str, a.shape, a.strides if a.size else None
        other = b.dtype.str, b.shape, b.strides if b.size else None
        return layout == other and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return a.hex() == b.hex()
    return a == b


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder, "some.safetensors")


def there_and_back(path, **parts):
    optim.save(path, **parts)
    return optim.load(path)


class Keeps:
    """The smallest object that takes part."""

    def __init__(self, state=None):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


# --- what comes back ------------------------------------------------------------------------------

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
SHAPES = ((), (1,), (5,), (0,), (3, 0, 2), (2, 3), (2, 3, 4), (1, 4, 1, 2))
ORDERS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "rotated": lambda a: np.ascontiguousarray(a.transpose(*range(1, a.ndim), 0)).transpose(
        -1, *range(a.ndim - 1)
    ) if a.ndim else a,
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_exactly(path, dtype, endian, order):
    """All bits at random: NaNs with their payloads, denormal numbers, both zeros."""
    rng, arrays = np.random.default_rng(0), {}
    for shape in SHAPES:
        bits = rng.integers(0, 2 if dtype == "?" else 256, (*shape, np.dtype(dtype).itemsize), "u1")
        a = bits.view(dtype).reshape(shape)
        arrays[str(shape)] = ORDERS[order](a.astype(np.dtype(dtype).newbyteorder(endian)))
    found = there_and_back(path, model=arrays)["model"]
    assert identical(found, arrays)
    assert all(a.flags.writeable and a.flags.aligned for a in found.values())


@pytest.mark.parametrize("view", [np.s_[::2], np.s_[::-1], np.s_[:, ::-2], np.s_[1, :]], ids=str)
def test_views_come_back_as_arrays_of_their_values(path, view):
    a = np.arange(20.0).reshape(4, 5)[view]
    found = there_and_back(path, a=a)["a"]
    np.testing.assert_array_equal(found, a)
    assert found.base is None or found.base.size == a.size


def test_other_programs_find_the_values_by_plain_names(path):
    """Through the package itself: of a transposed array too, which it would scramble alone."""
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model.layers[0].weight.data = np.asfortranarray(model.layers[0].weight.data)
    optim.save(path, optimizer=optim.SGD(model.parameters()), model=model, big=np.ones(2, ">f8"))
    found = load_file(path)
    state = model.state_dict()
    assert set(found) == {*state, "big"} - {"big"} | {"big/"}
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(found["big/"], [1, 1])


plain_state = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from([np.float32(0.1), np.int64(3), np.bool_(True), np.arange(3.0), np.ones(())]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)  # fmt: skip


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), plain_state))
def test_plain_state_comes_back_with_its_types(state):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        try:
            found = there_and_back(Path(folder, "state"), **state)
        except CheckpointError as error:  # of a lone surrogate as an array's name
            assert "Unicode" in error.reason
            return
    assert found.keys() == state.keys() and all(identical(found[k], state[k]) for k in state)


def test_keys_that_coincide_are_kept_apart(path):
    a, b, c, d = np.arange(4.0).reshape(4, 1)
    state = {
        "model": {"x/a.b": a, "__metadata__": d},
        "x": {"a.b": b, "a": {"b": c}},
        "../up": {"/etc/passwd": a},
    }
    assert identical(there_and_back(path, **state), state)
    assert os.listdir(path.parent) == [path.name]  # names are no paths


def test_a_file_of_the_same_state_is_the_same_file(path):
    first, second = path, path.with_name("other")
    for each in (first, second):
        optim.save(each, model=nn.init.apply(nn.Linear(2, 2), nn.init.ones) or nn.Linear(2, 2))
        state = optim.load(each)
        optim.save(each, **state)
    optim.save(second, **optim.load(first))
    assert first.read_bytes() == second.read_bytes()


class Unsavable:
    def __init__(self):
        self.calls = 3


UNSAVABLE = {
    "an object": ({"a": {"b": [1, Unsavable()]}}, "a/b.1", "a Unsavable cannot be saved"),
    "a Tensor": ({"a": autograd.Tensor([1.0])}, "a", "a Tensor cannot be saved"),
    "a generator": ({"rng": np.random.default_rng()}, "rng", "a Generator cannot be saved"),
    "complex": ({"a": np.ones(2, complex)}, "a", "an array of complex128 cannot be saved"),
    "objects": ({"model": {"w": np.array([None])}}, "w", "an array of object cannot be saved"),
    "long double": ({"a": np.longdouble(1)}, "a", "cannot be saved"),
    "dates": ({"a": np.array(["2020-01-01"], "M8[D]")}, "a", "cannot be saved"),
    "text": ({"a": np.array(["x"])}, "a", "cannot be saved; bool, uint8"),
    "masked": ({"a": np.ma.masked_array([1.0], [True])}, "a", "MaskedArray cannot be saved"),
    "bytes": ({"a": b"x"}, "a", "a bytes cannot be saved"),
    "a set": ({"a": {1}}, "a", "a set cannot be saved"),
    "a number for a key": ({"a": {1: 2}}, "a", "the dict's key 1 is a int, no str"),
    "an enormous number": ({"a": 10**5000}, "", "cannot be written as text"),
}


@pytest.mark.parametrize("case", UNSAVABLE)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(path, case):
    parts, key, reason = UNSAVABLE[case]
    optim.save(path, a=1)
    with pytest.raises(CheckpointError) as raised:
        optim.save(path, **parts)
    error = raised.value
    assert (error.file, error.key) == (path, key) and reason in error.reason
    assert str(path) in str(error) and key in str(error)
    assert optim.load(path) == {"a": 1} and os.listdir(path.parent) == [path.name]


def test_a_state_inside_itself_is_refused(path):
    state = {}
    state["self"] = state
    with pytest.raises(CheckpointError, match="cannot be written as text"):
        optim.save(path, a=state)


def test_without_the_package_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: optim.save(path, a=1), lambda: optim.load(path)):
        with pytest.raises(ImportError, match=r"pip install 'speelpenning\[files\]'"):
            call()
    assert not path.exists()


# --- into objects ---------------------------------------------------------------------------------


def trained(steps=3, lr=0.1):
    autograd.seed(steps)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    optimizer = optim.Adam(model.parameters(), lr=lr)
    schedule = optim.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    for _ in range(steps):
        optimizer.zero_grad()
        np.mean(model(np.array([[1, 2], [3, 4], [0, 1]], np.float32)) ** 2).backward()
        optimizer.step()
        schedule.step()
    return {"model": model, "optimizer": optimizer, "schedule": schedule}


def states(parts):
    return {name: part.state_dict() for name, part in parts.items()}


def test_all_parts_get_their_states(path):
    saved, other = trained(3), trained(1, lr=0.5)
    optim.save(path, **saved, note=[1, None, "x"])
    found = optim.load(path, **other)
    assert identical(states(other), states(saved)) and found["note"] == [1, None, "x"]
    assert identical(found["model"], saved["model"].state_dict())


def test_one_part_can_be_taken_alone(path):
    saved, other = trained(3), trained(1)
    optim.save(path, **saved)
    optimizer = other["optimizer"].state_dict()
    optim.load(path, model=other["model"])
    assert identical(other["model"].state_dict(), saved["model"].state_dict())
    assert identical(other["optimizer"].state_dict(), optimizer)


def test_where_one_part_does_not_fit_none_is_changed(path):
    saved, other = trained(3), trained(1)
    other["schedule"] = optim.ReduceLROnPlateau(other["optimizer"])
    before = states(other)
    optim.save(path, **saved)
    with pytest.raises(CheckpointError, match="schedule: .*missing best") as raised:
        optim.load(path, **other)
    assert raised.value.key == "schedule" and identical(states(other), before)


def test_an_interrupt_while_loading_changes_nothing(path):
    class Interrupted(Keeps):
        def load_state_dict(self, state):
            self.state = state
            if state == 1:
                raise KeyboardInterrupt

    saved, other = trained(3), {**trained(1), "last": Interrupted(0)}
    before = states(other)
    optim.save(path, **saved, last=1)
    with pytest.raises(KeyboardInterrupt):
        optim.load(path, **other)
    assert identical(states(other), before)


def test_a_part_that_is_not_there_is_named(path):
    optim.save(path, model=nn.Linear(2, 1))
    with pytest.raises(CheckpointError, match="optimizer: the file has no such part; it has model"):
        optim.load(path, **trained(1))
    with pytest.raises(TypeError, match="model is a dict, which has no load_state_dict"):
        optim.load(path, model={})
    with pytest.raises(FileNotFoundError):
        optim.load(path.with_name("none"))


def test_tied_weights_are_saved_once_and_stay_tied(path):
    def tied():
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        second.weight = first.weight
        return nn.Sequential(first, second)

    model, other = tied(), tied()
    optim.save(path, model=model)
    assert "layers.1.weight" not in load_file(path)
    optim.load(path, model=other)
    assert other.layers[0].weight is other.layers[1].weight
    assert identical(other.state_dict(), model.state_dict())


def test_numbers_as_parameters_stay_numbers(path):
    optim.save(path, model=Single(0.1))
    other = Single(2.0)
    optim.load(path, model=other)
    assert type(other.w.data) is float and other.w.data == 0.1


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_generators_go_on_where_they_were(path, kind):
    def draws(model, rng):
        one = autograd.rules.random.uniform(np.zeros(3))
        return [*one, *rng.random(2), *rng.integers(5, size=3, dtype=np.uint8), *model(np.ones(9))]

    def made(seed):
        autograd.seed(seed)
        own = np.random.Generator(getattr(np.random, kind)(seed))
        rng = np.random.Generator(getattr(np.random, kind)(seed + 1))
        return nn.Sequential(nn.Dropout(0.5, own), nn.GaussianNoise(1.0, own)), rng

    model, rng = made(0)
    draws(model, rng)
    optim.save(path, generators=Generators(model, rng))
    expected = np.array(draws(model, rng), float)
    model, rng = made(5)
    optim.load(path, generators=Generators(model, rng))
    np.testing.assert_array_equal(np.array(draws(model, rng), float), expected)


def test_generators_refuse_the_state_of_others(path):
    optim.save(path, generators=Generators(np.random.default_rng(0)))
    rng = np.random.Generator(np.random.MT19937(1))
    before = rng.bit_generator.state["state"]["key"].tolist()
    with pytest.raises(CheckpointError, match="generators: .*0 is no state of a MT19937"):
        optim.load(path, generators=Generators(rng))
    with pytest.raises(CheckpointError, match="generators: .*unexpected 0"):
        optim.load(path, generators=Generators())
    assert rng.bit_generator.state["state"]["key"].tolist() == before
    with pytest.raises(TypeError, match="Generators: a int has no generator"):
        Generators(3)


def test_generators_are_found_once_and_where_they_are():
    rng, own = np.random.default_rng(0), np.random.default_rng(1)
    model = nn.Sequential(nn.Dropout(0.5, rng), nn.Dropout(0.5, rng), nn.Dropout())
    assert [name for name, _ in model.named_generators()] == ["layers.0.generator"]
    found = Generators(model, rng, own, nn.Dropout(generator=own), nn.Dropout())
    assert list(found.state_dict()) == ["default", "0.layers.0.generator", "2"]


def test_an_own_loop_goes_on_bit_by_bit(path):
    """The loop of `optim.training`'s head, without fit."""

    def made():
        autograd.seed(0)
        model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.3), nn.Linear(4, 1))
        optimizer = optim.RMSprop(model.parameters())
        rng = np.random.default_rng(7)
        x = rng.standard_normal((20, 2)).astype(np.float32)
        loader = Loader(x, x[:, :1] ** 2, batch_size=6, shuffle=True, generator=rng)
        return dict(
            model=model, optimizer=optimizer, loader=loader, generators=Generators(model, rng)
        )

    def run(parts, steps):
        while True:
            for x, y in parts["loader"]:
                parts["optimizer"].zero_grad()
                nn.mse(parts["model"](x), y).backward()
                parts["optimizer"].step()
                steps -= 1
                if not steps:
                    return parts

    whole = run(made(), 11)
    optim.save(path, **run(made(), 5))
    rest = made()
    optim.load(path, **rest)
    assert identical(states(run(rest, 6)), states(whole))


@pytest.mark.parametrize("kind", [nn.Classifier, nn.Regressor])
def test_an_estimator_goes_on_as_the_saved_one(path, kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    y = np.where(x[:, 0] > 0, "yes", "no") if kind is nn.Classifier else x[:, 0]

    def made():
        return kind(
            lambda n, k: nn.Sequential(nn.Linear(n, 4), nn.Dropout(0.5), nn.Linear(4, k)),
            epochs=2, random_state=0, schedule=optim.ReduceLROnPlateau,
        )  # fmt: skip

    saved, other = made().fit(x, y), made()
    optim.save(path, model=saved)
    autograd.seed(3)
    before = Generators().state_dict()
    optim.load(path, model=other)
    assert Generators().state_dict() == before  # the network draws from its own
    np.testing.assert_array_equal(other.predict(x), saved.predict(x))
    assert identical(other.state_dict(), saved.state_dict())
    saved.partial_fit(x, y)
    other.partial_fit(x, y)
    assert identical(other.state_dict(), saved.state_dict())
    with pytest.raises(CheckpointError, match="only one has a schedule"):
        optim.load(path, model=kind(made().module))
    other.load_state_dict({})
    assert not hasattr(other, "module_") and other.state_dict() == {}


# --- files of others ------------------------------------------------------------------------------

# hidden = Linear(2, 3), out = Linear(3, 1, bias=False), by PyTorch 2.13 after manual_seed(0) and
# safetensors.torch.save_file(model.state_dict(), path, metadata={"format": "pt"});
# out(tanh(hidden([1, -2]))) is -0.16421499848365784 there
BY_PYTORCH = (
    b'\xe8\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{"format":"pt"},"hidden.bias":{"dtype":"F32"'
    b',"shape":[3],"data_offsets":[0,12]},"hidden.weight":{"dtype":"F32","shape":[3,2],"data_offse'
    b'ts":[12,36]},"out.weight":{"dtype":"F32","shape":[1,3],"data_offsets":[36,48]}} W\x8ae\xbc@'
    b'\x87\x0f?\xde\x83\x80\xbd"y\xad\xbb\x9c6\xc2>\xb1\xfc\x14\xbf\x1d8\x05\xbf\xd6p\x8b\xbe\xab'
    b"*B>\xd2p\x1c>\x9e\xab2\xbe\xeak\xe8\xbd"
)


class Two(nn.Module):
    def __init__(self, width=3, bias=False):
        self.hidden, self.out = nn.Linear(2, width), nn.Linear(width, 1, bias)

    def forward(self, x):
        return self.out(np.tanh(self.hidden(x)))


def test_weights_by_pytorch_load_into_layers_of_their_names(path):
    path.write_bytes(BY_PYTORCH)
    model = Two()
    optim.load(path, model=model)
    assert model(X).item() == pytest.approx(-0.16421499848365784, rel=1e-6)


def test_what_does_not_fit_is_reported_all_at_once(path):
    path.write_bytes(BY_PYTORCH)
    model = Two(4, bias=True)
    before = model.state_dict()
    with pytest.raises(CheckpointError) as raised:
        optim.load(path, model=model)
    for part in (
        "hidden.weight has shape (3, 2), the module's has (4, 2)", "missing out.bias",
        "out.weight has shape (1, 3), the module's has (1, 4)",
    ):  # fmt: skip
        assert part in raised.value.reason
    with pytest.raises(CheckpointError, match="missing weight; .*unexpected hidden.bias"):
        optim.load(path, model=nn.Linear(2, 3))
    assert identical(model.state_dict(), before)


def test_arrays_of_others_can_be_renamed(path):
    path.write_bytes(BY_PYTORCH)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    names = {"hidden": "layers.0", "out": "layers.2"}
    arrays = {
        f"{names[layer]}.{name}": array
        for layer, name, array in (
            (*key.split("."), array) for key, array in optim.load(path)["model"].items()
        )
    }
    model.load_state_dict(arrays)
    assert model(X).item() == pytest.approx(-0.16421499848365784, rel=1e-6)


# --- hostile files --------------------------------------------------------------------------------


def raw(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


HOSTILE = {
    "nothing": (b"", "", "no valid safetensors file: 0 bytes"),
    "a pickle": (b"\x80\x04K\x01.        ", "", "no valid safetensors file: 13 bytes"),
    "a header beyond the file": (b"\xff" * 8 + b"{}", "", "a header of 18446744073709551615"),
    "no text": (raw(b"\xff\xfe"), "", "the header is no JSON"),
    "no JSON": (raw(b"{]"), "", "the header is no JSON"),
    "deep": (raw(b"[" * 100_000), "", "the header is no JSON"),
    "a list": (raw([]), "", "no JSON object"),
    "metadata of numbers": (raw({"__metadata__": {"a": 1}}), "__metadata__", "no object of texts"),
    "no metadata": (raw({"__metadata__": []}), "__metadata__", "no object of texts"),
    "an array twice": (
        raw(b'{"w":%b,"w":%b}' % ((json.dumps(entry()).encode(),) * 2), bytes(4)), "w",
        "more than one",
    ),
    "a field twice": (raw(b'{"w":{"dtype":"F32","dtype":"F32"}}'), "dtype", "more than one"),
    "bfloat16": (raw({"w": entry("BF16", (2,))}, bytes(4)), "w", "no dtype 'BF16'; write the file"),
    "no dtype": (raw({"w": entry("Q9")}, bytes(4)), "w", "no dtype 'Q9'"),
    "a dtype of another type": (raw({"w": entry(["F32"])}, bytes(4)), "w", r"no dtype \['F32'\]"),
    "no entry": (raw({"w": 3}), "w", "its entry must have"),
    "a field missing": (raw({"w": {"dtype": "F32", "shape": [1]}}), "w", "its entry must have"),
    "a field too many": (raw({"w": entry(x=1)}, bytes(4)), "w", "and no more"),
    "a negative size": (raw({"w": entry(shape=[-1])}, bytes(4)), "w", "list of natural numbers"),
    "a size that is true": (raw({"w": entry(shape=[True])}, bytes(4)), "w", "natural numbers"),
    "a fraction": (raw({"w": entry(shape=[1.0])}, bytes(4)), "w", "natural numbers"),
    "too many axes": (raw({"w": entry(shape=[1] * 65)}, bytes(4)), "w", "64 at most"),
    "an enormous shape": (raw({"w": entry(shape=[2**40] * 3)}, bytes(4)), "w", "no array has"),
    "enormous, and empty": (
        raw({"w": entry(shape=[0, 2**62, 2**62], offsets=[0, 0])}), "w", "no array has",
    ),
    "more than there is": (
        raw({"w": entry(shape=[10**9], offsets=[0, 4 * 10**9])}, bytes(4)), "w",
        "ends at byte 4000000000 of the data, which has 4",
    ),
    "less than there is": (raw({"w": entry(offsets=[0, 2])}, bytes(4)), "w", "the 2 bytes given"),
    "backwards": (raw({"w": entry(offsets=[4, 0])}, bytes(4)), "w", "the -4 bytes given"),
    "three offsets": (raw({"w": entry(offsets=[0, 4, 4])}, bytes(4)), "w", "two natural numbers"),
    "a hole": (raw({"w": entry(offsets=[4, 8])}, bytes(8)), "", "no valid safetensors file"),
    "overlapping": (raw({"v": entry(), "w": entry()}, bytes(4)), "", "no valid safetensors file"),
    "something behind": (raw({"w": entry()}, bytes(5)), "", "no valid safetensors file"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused(path, case):
    data, key, reason = HOSTILE[case]
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=reason) as raised:
        optim.load(path)
    assert (raised.value.file, raised.value.key) == (path, key)


def manifest(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["speelpenning"])


def forged(path, change, arrays=lambda arrays: None, sign=True):
    """The file with another manifest, and with a checksum that fits it."""
    written, found = manifest(path), load_file(path)
    arrays(found)
    written = change(written) or written
    if sign:
        del written["sha256"]
        text = json.dumps(written, separators=(",", ":"))
        written["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    text = json.dumps(written, separators=(",", ":"))
    save_file(found, path, metadata={"speelpenning": text})


def into(*keys, value):
    def change(manifest):
        place = manifest
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


FORGED = {
    "missing": (None, lambda a: a.pop("w"), "w", "in the manifest, and missing in the file"),
    "unexpected": (None, lambda a: a.update(v=np.ones(1)), "v", "unexpected by the manifest"),
    "other data": (None, lambda a: a.update(w=a["w"] + 1), "w", "do not have their checksum"),
    "other dtype": (None, lambda a: a.update(w=a["w"].view("f4")), "w", "float32 of shape .4,"),
    "other shape": (None, lambda a: a.update(w=a["w"][None]), "w", r"of shape \(1, 2\), and by"),
    "version": (into("version", value=2), None, "", "version 2 of the format, .* reads 1"),
    "no version": (lambda m: m.pop("version") and None, None, "", "malformed: KeyError"),
    "axes": (into("arrays", "w", "axes", value=[7]), None, "w", "no order of 1 axes"),
    "axes of text": (into("arrays", "w", "axes", value="x"), None, "w", "no order of 1 axes"),
    "a dtype of objects": (into("arrays", "w", "dtype", value="|O"), None, "w", "by the manifest"),
    "no dtype": (into("arrays", "w", "dtype", value="?!"), None, "", "malformed: TypeError"),
    "no sum": (lambda m: m["arrays"]["w"].pop("sha256") and None, None, "", "malformed: KeyError"),
    "a list": (lambda m: [m], None, "", "malformed: TypeError"),
    "unused": (into("state", "model", value={"dict": {}}), None, "w", "nowhere in the state"),
    "twice": (
        into("state", "again", value={"array": "w"}), None, "", "malformed: KeyError: 'w'",
    ),
    "a kind": (into("state", "more", value={"pickle": "gASVBQ=="}), None, "", "unknown kind"),
    "two kinds": (into("state", "more", value={"dict": {}, "list": []}), None, "", "malformed"),
    "no dict": (into("state", "more", value={"dict": 3}), None, "", "malformed: AttributeError"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_what_a_manifest_does_not_say_is_refused(path, case):
    """Also of a manifest whose checksum is right."""
    change, arrays, key, reason = FORGED[case]
    optim.save(path, model={"w": np.arange(2.0)})
    forged(path, change or (lambda m: None), arrays or (lambda a: None), sign=case != "a list")
    with pytest.raises(CheckpointError, match=reason) as raised:
        optim.load(path)
    assert (raised.value.file, raised.value.key) == (path, key)


def test_a_manifest_goes_by_its_checksum(path):
    optim.save(path, model={"w": np.arange(2.0)}, note=1)
    forged(path, into("state", "note", value=2), sign=False)
    with pytest.raises(CheckpointError, match="the manifest does not have its checksum"):
        optim.load(path)
    forged(path, lambda m: None)  # that the forger forges well
    assert optim.load(path)["note"] == 2


# --- damage ---------------------------------------------------------------------------------------


class Single(nn.Module):
    def __init__(self, w):
        self.w = nn.Parameter(w)


def small(path):
    """A model and some plain state, as small as they come; a twin to load into."""
    model = Single(np.array([0.5, -2.0]))
    optim.save(path, model=model, note=[0.5, True])
    return model, Single(np.zeros(2))


def test_every_truncation_is_an_error(path):
    _, other = small(path)
    before, data = other.state_dict(), path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            optim.load(path, model=other)
    assert identical(other.state_dict(), before)


def flips(data):
    for i in range(len(data)):
        for bit in range(8):
            yield data[:i] + bytes([data[i] ^ (1 << bit)]) + data[i + 1 :]


def test_every_flipped_bit_is_an_error_or_changes_nothing(path):
    model, other = small(path)
    right, before, data = model.state_dict(), other.state_dict(), path.read_bytes()
    errors = 0
    for flipped in flips(data):
        path.write_bytes(flipped)
        try:
            found = optim.load(path, model=other)
        except CheckpointError:
            errors += 1
            continue
        assert identical(found, {"model": right, "note": [0.5, True]})
        assert identical(other.state_dict(), right)
        other.load_state_dict(before)
    assert identical(other.state_dict(), before)
    assert errors > 0.9 * 8 * len(data)


def test_the_format_alone_lets_flipped_bits_through(path):
    """What the checksums are for; the same count finds what would slip through ours."""
    save_file({"w": np.arange(4.0)}, path)
    right, silent = path.read_bytes(), 0
    for flipped in flips(right):
        path.write_bytes(flipped)
        try:
            found = load_file(path)
        except Exception:
            continue
        silent += not identical(found, {"w": np.arange(4.0)})
    assert silent > 200


def test_a_damaged_byte_is_found_in_a_large_array(path):
    optim.save(path, model={"w": np.zeros(100_000)})
    data = bytearray(path.read_bytes())
    data[-12345] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged") as raised:
        optim.load(path)
    assert raised.value.key == "w"


# --- a full disk, a killed process ----------------------------------------------------------------


@pytest.fixture
def full_disk(tmp_path):
    """A folder where 64 KiB have room; by what it is made so.

    As root a tmpfs of that size is mounted, and writing more is ENOSPC.  Where that is not
    allowed, the size of a file is limited for this process (RLIMIT_FSIZE), and it is EFBIG.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode:
        yield folder, errno.ENOSPC
        subprocess.run(["umount", str(folder)], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    try:
        yield folder, errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_file_before(full_disk):
    folder, error = full_disk
    path = folder / "state"
    optim.save(path, w=np.arange(1000.0))
    with pytest.raises(OSError) as raised:
        optim.save(path, w=np.arange(9000.0))
    assert raised.value.errno == error
    assert os.listdir(folder) == ["state"]
    np.testing.assert_array_equal(optim.load(path)["w"], np.arange(1000.0))
    optim.save(path, w=np.arange(2000.0))  # there is room for this one


def test_a_full_disk_leaves_a_runs_last_checkpoint(full_disk):
    folder, error = full_disk
    x, y = np.random.default_rng(0).standard_normal((2, 64, 1)).astype(np.float32)

    class Log(Keeps):
        """What a run's state grows by: too much for the disk, in epoch 3."""

        def __call__(self, run):
            self.state = np.zeros(10_000 if run.epoch == 3 and self.grows else 10)

    def run(name, grows, resume=False):
        autograd.seed(0)
        model, log = nn.Linear(1, 1), Log(None)
        log.grows = grows
        optimizer = optim.Adam(model.parameters())
        optim.fit(
            model, (x, y), nn.mse, optimizer, 5, callbacks=[log], progress=False,
            checkpoint=folder / name, resume=resume, keep=2,
        )  # fmt: skip
        return model.state_dict()

    with pytest.raises(OSError) as raised:
        run("run", grows=True)
    assert raised.value.errno == error
    assert sorted(os.listdir(folder / "run")) == [
        "best.safetensors", "step-000000002.safetensors", "step-000000004.safetensors",
    ]  # fmt: skip
    resumed = run("run", grows=False, resume=True)
    shutil.rmtree(folder / "run")
    assert identical(resumed, run("whole", grows=False))


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "no"), KeyboardInterrupt()], ids=repr)
def test_an_exception_on_the_way_leaves_the_file_before(path, monkeypatch, call, error):
    def fail(*args):
        raise error

    optim.save(path, a=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(type(error)):
            optim.save(path, a=2)
    assert optim.load(path) == {"a": 1} and os.listdir(path.parent) == [path.name]


def test_a_file_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    """In this order: the data synced, the name given, the folder synced."""
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*args, name=name, real=real):
            folder = name == "fsync" and os.path.isdir(f"/proc/self/fd/{args[0]}")
            calls.append("folder" if folder else name)
            return real(*args)

        monkeypatch.setattr(os, name, noted)
    optim.save(path, a=1)
    assert calls == ["fsync", "replace", "folder"]


def test_a_link_stays_one_and_permissions_are_the_usual_ones(path):
    path.with_name("elsewhere").mkdir()
    target = path.with_name("elsewhere") / "file"
    path.symlink_to(target)
    optim.save(path, a=1)
    assert path.is_symlink() and optim.load(target) == {"a": 1}
    with open(path.with_name("usual"), "w"):
        pass
    assert target.stat().st_mode == path.with_name("usual").stat().st_mode


KILLED = """
    import os, random, signal, sys, time
    import numpy as np
    import optim

    # Saves number after number; reports each to the parent behind its save, and is killed at any
    # time: the file has the last one reported, or the next one, as a whole.
    path, total, kills = sys.argv[1], int(sys.argv[2]), 0
    moments = random.Random(0)
    last = 0
    optim.save(path, n=0, w=np.zeros(500))
    while last < total:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            for n in range(last + 1, total + 1):
                optim.save(path, n=n, w=np.full(500, float(n)))
                os.write(writing, n.to_bytes(4, "little"))
            os._exit(0)
        os.close(writing)
        time.sleep(moments.uniform(0.0005, 0.01))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        reported = b""
        while more := os.read(reading, 65536):
            reported += more
        os.close(reading)
        known = int.from_bytes(reported[-4:], "little") if reported else last
        state = optim.load(path)
        assert state["n"] in (known, known + 1), (state["n"], known)
        assert (state["w"] == state["n"]).all() and len(state["w"]) == 500
        last = state["n"]
    print(kills)
"""


def test_a_process_killed_at_any_time_leaves_an_old_file_or_a_new_one():
    """1,000 saves, SIGKILL at random moments of them."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:  # the moments lie all over a save
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), f"{folder}/state", "1000"],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
