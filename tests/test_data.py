"""Data: the loader's order and cursor, toy sets, IDX files byte by byte."""

import gzip
import json
import struct

import numpy as np
import pytest

from nn.data import Loader, read_idx, rings, spirals, write_idx, xor


def seeded(n=0):
    return np.random.default_rng(n)


# --- loader ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, size, sizes", [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2])])
def test_an_epoch_has_every_example_once_in_batches_the_last_one_short(n, size, sizes):
    x = np.arange(n)
    for shuffle in (False, True):
        loader = Loader(x, 10 * x, batch_size=size, shuffle=shuffle, generator=seeded())
        batches = list(loader)
        assert [len(a) for a, _ in batches] == sizes and len(loader) == len(sizes)
        assert all((b == 10 * a).all() for a, b in batches)
        assert sorted(np.concatenate([a for a, _ in batches])) == list(x)


def test_an_epoch_in_order_and_epochs_in_orders_of_their_own():
    x = np.arange(50)
    assert (np.concatenate(list(Loader(x, batch_size=7))) == x).all()
    loader = Loader(x, batch_size=7, shuffle=True, generator=seeded())
    first, second = (np.concatenate(list(loader)) for _ in range(2))
    assert (first != x).any() and (first != second).any()
    again = Loader(x, batch_size=7, shuffle=True, generator=seeded())
    assert (np.concatenate(list(again)) == first).all()
    other = Loader(x, batch_size=7, shuffle=True, generator=seeded(1))
    assert (np.concatenate(list(other)) != first).any()


def test_a_broken_off_epoch_is_not_gone_on_with():
    loader = Loader(np.arange(6), batch_size=2, shuffle=True, generator=seeded())
    next(iter(loader))
    assert len(list(loader)) == 3 and loader.epoch == 2


def test_two_iterators_at_once_have_an_epoch_each():
    loader = Loader(np.arange(6), batch_size=2, shuffle=True, generator=seeded())
    ones, twos = zip(*zip(loader, loader, strict=True), strict=True)
    assert sorted(np.concatenate(ones)) == sorted(np.concatenate(twos)) == list(range(6))


@pytest.mark.parametrize("stop", range(12))
def test_the_continuation_is_the_same_wherever_the_state_is_taken(stop):
    """Also inside the last batch's turn, and when others draw from the generator meanwhile."""

    def run(loader, epochs):
        for epoch in range(epochs):
            for i, batch in enumerate(loader):
                yield epoch, i, batch.tolist()

    generator = seeded()
    loader = Loader(np.arange(10), batch_size=3, shuffle=True, generator=generator)
    going = run(loader, 4)
    for _ in range(stop + 1):
        next(going)
        generator.random()
    state = json.loads(json.dumps(loader.state_dict()))
    rest = [batch for *_, batch in going]
    other = Loader(np.arange(10), batch_size=3, shuffle=True, generator=seeded(5))
    list(other)  # it has been used before
    other.load_state_dict(state)
    epochs_left = 4 - state["epoch"]
    assert [batch for *_, batch in run(other, epochs_left)] == rest


def test_a_state_that_does_not_fit_changes_nothing():
    loader = Loader(np.arange(10), batch_size=3, shuffle=True, generator=seeded())
    own = loader.state_dict()
    for wrong, match in [
        (own | {"examples": 11}, "examples is 11, the loader's 10"),
        (own | {"batch_size": 2}, "batch_size is 2"),
        (own | {"shuffle": False}, "shuffle is False"),
        (own | {"batch": 5}, "batch is 5 of 4"),
        (own | {"epoch": -1}, "epoch is -1"),
        (own | {"more": 1}, "unexpected more"),
        ({k: v for k, v in own.items() if k != "seed"}, "missing seed"),
    ]:
        with pytest.raises(ValueError, match=match):
            loader.load_state_dict(wrong)
        assert loader.state_dict() == own


class Labelled:
    """A column whose rows have labels and are found by them, as those of pandas' tables are."""

    def __init__(self, values, labels):
        self.values, self.labels, self.shape = values, list(labels), values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)

    def __getitem__(self, rows):
        return self.values[[self.labels.index(row) for row in rows]]


def test_examples_are_taken_by_place_also_of_columns_with_labels():
    """As a split leaves them: the n-th target belongs to the n-th row, whatever it is called."""
    y = Labelled(np.arange(6), [5, 4, 3, 2, 1, 0])
    for a, b in Loader(np.arange(6), y, batch_size=4, shuffle=True, generator=seeded(0)):
        assert np.array_equal(a, b)


def test_what_a_loader_cannot_take():
    with pytest.raises(ValueError, match=r"same number.*\(3,\), \(4,\)"):
        Loader(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="at least one"):
        Loader(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="first"):
        Loader(np.float64(1))
    with pytest.raises(TypeError, match="one or more arrays"):
        Loader()
    with pytest.raises(TypeError, match=r"generator is a .*default_rng\(0\), or None; got 3"):
        Loader([1, 2], shuffle=True, generator=3)
    for size in (0, 1.5, "all"):
        with pytest.raises(ValueError, match="batch_size"):
            Loader([1, 2], batch_size=size)


# --- toy sets -------------------------------------------------------------------------------------


def test_xor_repeats_its_corners_and_adds_noise():
    x, y = xor(9)
    assert x.dtype == np.float32 and y.tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0]
    assert ((x[:, 0] != x[:, 1]) == y).all()
    noisy, _ = xor(4000, noise=0.1, dtype=float, generator=seeded())
    assert abs((noisy - xor(4000, dtype=float)[0]).std() - 0.1) < 0.005


def test_rings_have_their_radii_and_spirals_their_turns():
    x, y = rings(60, classes=3, dtype=float)
    np.testing.assert_allclose(np.hypot(*x.T), (y + 1) / 3)
    assert np.bincount(y).tolist() == [20, 20, 20]
    x, y = spirals(60, classes=3, turns=2, dtype=float)
    radius = np.hypot(*x.T)
    for k in range(3):
        r, points = radius[y == k], x[y == k]
        np.testing.assert_allclose(r, np.arange(1, 21) / 20)
        angle = np.unwrap(np.arctan2(points[:, 1], points[:, 0]))
        np.testing.assert_allclose(np.diff(angle), 2 * np.pi * 2 / 20)
        assert abs((angle[-1] - 2 * np.pi * k / 3 + np.pi) % (2 * np.pi) - np.pi) < 1e-9


@pytest.mark.parametrize("make", [rings, spirals])
def test_every_curve_is_gone_all_along_also_with_fewer_points(make):
    x, y = make(62, classes=3, dtype=float)
    assert np.bincount(y).tolist() == [21, 21, 20]
    for k in range(3):
        alone, _ = make(3 * np.sum(y == k), classes=3, dtype=float)
        np.testing.assert_allclose(x[y == k], alone[k::3])


@pytest.mark.parametrize("make", [xor, rings, spirals])
def test_toy_sets_are_seeded_and_check_their_settings(make):
    a, b, c = (make(20, noise=0.1, generator=seeded(s))[0] for s in (0, 0, 1))
    assert (a == b).all() and (a != c).any()
    with pytest.raises(ValueError, match="positive integer"):
        make(0)
    with pytest.raises(ValueError, match="noise"):
        make(20, noise=-1)
    if make is not xor:
        with pytest.raises(ValueError, match="too few"):
            make(2, classes=3)


# --- IDX files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4, 2), (0, 7)])
def test_what_is_written_is_read(tmp_path, dtype, shape, suffix):
    array = (100 * seeded().standard_normal(shape)).astype(dtype)
    path = tmp_path / f"some-idx{suffix}"
    write_idx(path, array)
    got = read_idx(path)
    assert got.dtype == array.dtype and got.dtype.isnative and got.shape == shape
    assert (got == array).all() and got.flags.writeable


def test_a_file_as_the_format_says_it(tmp_path):
    """Bytes written out by hand: two images of 1 by 3 pixels, and two of their labels."""
    images, labels = tmp_path / "images", tmp_path / "labels.gz"
    images.write_bytes(
        bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 2, 253, 254, 255])
    )
    labels.write_bytes(gzip.compress(bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 0, 0xFF, 0xFE])))
    assert read_idx(str(images)).tolist() == [[[0, 1, 2]], [[253, 254, 255]]]
    assert read_idx(labels).tolist() == [256, -2]
    write_idx(tmp_path / "again", read_idx(images))
    assert (tmp_path / "again").read_bytes() == images.read_bytes()


def test_what_zips_to_a_thousandth_is_read(tmp_path):
    write_idx(tmp_path / "zeros.gz", np.zeros((1024, 1024), np.uint8))
    assert (tmp_path / "zeros.gz").stat().st_size < 1100
    assert read_idx(tmp_path / "zeros.gz").shape == (1024, 1024)


HEAD = struct.pack(">2x2B2I", 8, 2, 2, 3)
MALFORMED = {
    "empty": (b"", "not an IDX file: it begins with nothing"),
    "short": (b"\0\0\x08", "not an IDX file: it begins with 00 00 08"),
    "magic": (b"PNG" + HEAD, "not an IDX file: it begins with 50 4e 47"),
    "dtype": (b"\0\0\x0a" + HEAD[3:] + bytes(6), "dtype is 0x0a; known are 0x08"),
    "sizes": (HEAD[:9], "truncated: the sizes of 2 axes"),
    "elements": (HEAD + bytes(5), "truncated: 6 bytes of elements wanted, 5"),
    "trailing": (HEAD + bytes(7), "more behind the 6 bytes"),
    "absurd": (struct.pack(">2x2B3I", 14, 3, *[2**32 - 1] * 3), r"shape \(4294967295, .* takes"),
    "axes": (struct.pack(">2x2B65I", 8, 65, *[1] * 65) + b"\0", "none of an array"),
    "no array": (struct.pack(">2x2B4I", 8, 4, *[2**32 - 1] * 3, 0), "none of an array"),
}  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_named_with_what_is_wrong(tmp_path, case, zipped):
    content, match = MALFORMED[case]
    path = tmp_path / "bad-idx"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(ValueError, match=match) as error:
        read_idx(path)
    assert str(error.value).startswith(str(path))


def test_broken_gzip(tmp_path):
    path = tmp_path / "bad.gz"
    whole = gzip.compress(HEAD + bytes(range(6)))
    broken = bytearray(whole)
    broken[-6] ^= 1  # the checksum
    for content in (whole[:-9], whole[:12], bytes(broken), b"\x1f\x8b\x08"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.gz: the gzip data is broken or cut short"):
            read_idx(path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(TypeError, match="hold uint8, int8.*convert the int64"):
        write_idx(tmp_path / "a", np.zeros(3, np.int64))
    huge = np.broadcast_to(np.uint8(0), (2**32, 0))
    with pytest.raises(ValueError, match="less than 2"):
        write_idx(tmp_path / "a", huge)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")
