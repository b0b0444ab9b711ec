"""Shapes where it matters: whose element is whose, options, many arrays, writing, errors."""

import numpy as np
import pytest

from autograd import Tensor, gradients
from autograd.graph import history


def pulled(f, x, seed):
    """The cotangent of x for the cotangent `seed` of f's result."""
    return gradients(f(x), x, seed=seed)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [(0, 0), (1, 2), (5, 0), (11, 13)])
@pytest.mark.parametrize("kind", ["even", "odd"])
def test_pad_is_numpys_however_wide(mode, width, kind):
    """Also where the padding is longer than the array and folds back more than once."""
    options = {"reflect_type": kind} if mode in ("reflect", "symmetric") else {}
    for n in (1, 2, 3, 4):
        x = np.random.default_rng(n).normal(size=(n, 2))
        widths = (width, (1, 0))
        found = np.pad(Tensor(x), widths, mode, **options)
        np.testing.assert_allclose(found.data, np.pad(x, widths, mode, **options), rtol=1e-13)


def test_pad_counts_every_use():
    x = Tensor(np.array([1.0, 2.0, 3.0]))
    ones = np.ones(7)
    assert pulled(lambda x: np.pad(x, 2), x, ones).tolist() == [1, 1, 1]
    assert pulled(lambda x: np.pad(x, 2, "edge"), x, ones).tolist() == [3, 1, 3]
    assert pulled(lambda x: np.pad(x, 2, "reflect"), x, ones).tolist() == [2, 3, 2]
    assert pulled(lambda x: np.pad(x, 2, "wrap"), x, ones).tolist() == [2, 3, 2]
    assert pulled(lambda x: np.pad(x, 2, "maximum"), x, ones).tolist() == [1, 1, 5]
    assert pulled(lambda x: np.pad(x, 2, constant_values=np.inf), x, ones).tolist() == [1, 1, 1]


def test_repeat_and_tile_add_up():
    x = Tensor(np.array([1.0, 2.0]))
    seed = np.array([1.0, 2, 4, 8, 16])
    assert pulled(lambda x: np.repeat(x, [2, 3]), x, seed).tolist() == [3, 28]
    assert pulled(lambda x: np.tile(x, 2), x, seed[:4]).tolist() == [5, 10]
    assert pulled(lambda x: np.resize(x, 5), x, seed).tolist() == [21, 10]


def test_insert_keeps_apart_what_came_from_where():
    a, v = Tensor(np.array([1.0, 2.0])), Tensor(np.array([7.0, 8.0, 9.0]))
    y = np.insert(a, [0, 1, 1], v)
    assert y.tolist() == [7, 1, 8, 9, 2]
    one, other = gradients(y, (a, v), seed=np.array([1.0, 2, 3, 4, 5]))
    assert (one.tolist(), other.tolist()) == ([2, 5], [1, 3, 4])
    (spread,) = gradients(np.insert(a, [0, 2], Tensor(5.0)), (a,), seed=np.ones(4))
    assert spread.tolist() == [1, 1]


def test_many_numbers_are_joined_by_one_node():
    xs = [Tensor(float(i)) for i in range(50)] + [2.5]
    for join in (np.stack, np.hstack):
        y = join(xs)
        assert len(history(y.node)) == 51
        grads = gradients(y, xs[:50], seed=np.arange(51.0))
        assert grads == list(map(float, range(50))) and type(grads[0]) is float


def test_an_array_joined_with_itself():
    x = Tensor(np.ones(2))
    assert pulled(lambda x: np.concatenate([x, x]), x, np.arange(4.0)).tolist() == [2, 4]
    assert pulled(lambda x: np.stack([x, x], axis=1), x, np.eye(2)).tolist() == [1, 1]


def test_unstacked_and_split_parts_that_nobody_uses():
    x = Tensor(np.arange(6.0))
    part = np.split(x, 3)[1]
    assert pulled(lambda _: part, x, np.ones(2)).tolist() == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("trim", ["fb", "f", "b"])
@pytest.mark.parametrize("x", [[0, 0, 1, 0, 2, 0], [0, 0.0], [1.0], []])
def test_trim_zeros(trim, x):
    x = np.array(x, float)
    assert np.trim_zeros(Tensor(x), trim).tolist() == np.trim_zeros(x, trim).tolist()


def test_diagonals_of_every_offset():
    x = np.arange(12.0).reshape(3, 4)
    for k in range(-4, 6):
        for f in (np.diag, np.diagonal, np.trace):
            np.testing.assert_array_equal(f(Tensor(x), k).data, f(x, k))
        g = pulled(lambda x, k=k: np.diag(x, k), Tensor(x), np.ones(len(np.diag(x, k))))
        np.testing.assert_array_equal(g, np.eye(3, 4, k))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.reshape(x, (3, 2)), np.ravel, np.transpose, lambda x: np.pad(x, 1),
        lambda x: np.pad(x, 1, "edge"), np.flip, np.tril, np.diag, lambda x: np.repeat(x, 2),
        lambda x: np.tile(x, 2), lambda x: np.insert(x, 1, 5), lambda x: np.roll(x, 1),
    ],
)  # fmt: skip
def test_writing_after_rearranging_is_no_alarm(f):
    """No transpose reads a value, so that writing into the array afterwards is harmless."""
    x = Tensor(np.ones((2, 3)))
    y = np.sum(f(x) * 2.0)
    x.data[...] = 7
    y.backward()
    assert x.grad.shape == (2, 3)


def test_gradients_do_not_alias():
    x = Tensor(np.ones((2, 3)))
    for f in (np.transpose, np.ravel, np.copy, lambda x: np.broadcast_to(x, (2, 3))):
        seed = np.ones(np.shape(f(x)))
        x.grad = None
        f(x).backward(seed)
        assert not np.shares_memory(x.grad, seed)


def test_messages():
    x = Tensor(np.ones((2, 3)))

    def raises(error, match, f, *args, **options):
        with pytest.raises(error, match=match):
            f(*args, **options)

    raises(TypeError, "reshape: order='A'", np.reshape, x, -1, order="A")
    raises(TypeError, "ravel: order='K'", np.ravel, x, order="K")
    raises(TypeError, "pad: mode 'empty'", np.pad, x, 1, "empty")
    raises(TypeError, "pad: mode <function", np.pad, x, 1, lambda *_: None)
    raises(ValueError, "stretch", np.pad, x, 1, "stretch")
    raises(ValueError, "stat_length", np.pad, x, 1, "edge", stat_length=2)
    raises(
        ValueError, "empty axis", np.pad, Tensor(np.ones((0, 2))), 1, "reflect", reflect_type="odd"
    )
    raises(TypeError, "end_values", np.pad, x, 1, "linear_ramp", end_values=Tensor(1.0))
    raises(TypeError, "sequence", np.stack, (t for t in (x, x)))
    raises(TypeError, "out=", np.concatenate, [x, x], out=np.zeros((4, 3)))
    raises(ValueError, "must match exactly", np.concatenate, [x, Tensor(np.ones((2, 4)))])
    raises(ValueError, "same shape", np.stack, [x, Tensor(np.ones((2, 4)))])
    raises(ValueError, "cannot reshape", np.reshape, x, (4, 2))
    raises(ValueError, "equal division", np.split, x, 2, axis=1)
    raises(ValueError, "larger than 0", np.array_split, x, 0)
    raises(ValueError, "indexing", np.meshgrid, x, x, indexing="ji")
    raises(ValueError, "equally deep", np.block, [x, [x]])
    raises(ValueError, "1 dimensional", np.ix_, x)
    raises(ValueError, "3 or more", np.dsplit, x, 1)
    for f in (np.expand_dims, np.flip, np.repeat):
        raises(
            np.exceptions.AxisError,
            "out of bounds",
            f,
            x,
            5,
            **({"axis": 5} if f is np.repeat else {}),
        )
