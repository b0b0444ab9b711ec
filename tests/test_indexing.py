"""Reading, writing, picking and ordering: repeats, ties, NaN, places, types and errors."""

import numpy as np
import pytest

from autograd import Tensor, grad, gradients, hessian
from autograd.graph import history
from autograd.rules.selection import put_along_axis

windows = np.lib.stride_tricks.sliding_window_view


def equal(a, b):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def slope(f, x, seed=None):
    """The gradient of f, weighted by `seed` (ones)."""
    x = Tensor(np.asarray(x, float))
    y = f(x)
    return gradients(y, x, seed=np.ones(y.shape) if seed is None else np.asarray(seed, float))


# --- reading ----------------------------------------------------------------------------------


def test_repeats_add_up():
    equal(slope(lambda x: x[[0, 2, 0, 0]], np.arange(3.0), [1, 10, 100, 1000]), [1101, 0, 10])
    equal(slope(lambda x: np.take(x, [1, 1, -1]), np.zeros((2, 2)), [1, 2, 4]), [[0, 3], [0, 4]])
    index = np.array([[0, 0]])
    equal(
        slope(lambda x: np.take_along_axis(x, index, 1), np.zeros((1, 2)), [[1, 2]]), [[3.0, 0.0]]
    )


def test_reads_of_one_array_are_added_up_once():
    """A gradient by way of n reads of an array of length n allocates one array, not n."""
    x = Tensor(np.arange(1.0, 401.0))
    y = 0.0
    for i in range(400):
        y = y + x[i] * x[i]
    slopes = gradients(y, x, record=True)
    equal(slopes.data, 2 * x.data)
    scatters = [n for n in history(slopes.node) if n.primitive and n.primitive.name == "scatter"]
    assert len(scatters) == 1 and len(scatters[0].inputs) == 800


def test_second_derivative_of_reads():
    h = hessian(lambda x: x[0] * x[1] + np.sum(x[[2, 2]] ** 2))(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(h, [[0, 1, 0], [1, 0, 0], [0, 0, 4]])


def test_nan_stays_in_its_place():
    x = np.array([1.0, np.nan, 3.0])
    equal(slope(lambda x: x[x > 2] * 2, x), [0, 0, 2])
    equal(slope(lambda x: np.sort(x), x, [1, 2, 4]), [1, 4, 2])
    equal(slope(lambda x: np.select([x > 2, x < 2], [x * x, 3 * x], 0.0), x)[[0, 2]], [3, 6])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    x = Tensor(np.arange(1, 7, dtype=dtype).reshape(2, 3))
    for y in (
        x[0], x[x > 2], x[[0, 0]], np.take(x, [0, 1], axis=1), np.sort(x), np.unique(x),
        np.select([x.data > 2], [x]), np.choose(np.zeros((2, 3), int), [x, 0.5]),
        windows(x, (1, 2)),
        put_along_axis(x, np.zeros((2, 1), int), 0.5, axis=1), np.bincount([0, 1], x[:, 0]),
    ):  # fmt: skip
        assert y.dtype == dtype
        (slopes,) = gradients(y, [x], seed=np.ones(y.shape, dtype))
        assert slopes.dtype == dtype and slopes.shape == (2, 3)


def test_names_and_constants_of_results():
    x = Tensor(np.array([3.0, 1.0, 2.0]))
    for plain in (
        np.argsort(x), np.argpartition(x, 1), np.lexsort((x, x)), np.searchsorted(x, 1.5),
        np.digitize(x, [1.5]), np.isin(x, [1.0]),
    ):  # fmt: skip
        assert isinstance(plain, (np.ndarray, np.integer))
    equal(np.argsort(x), [1, 2, 0])


# --- writing ----------------------------------------------------------------------------------


def test_the_last_of_repeated_assignments_counts():
    x, v = Tensor(np.zeros(3)), Tensor(np.array([1.0, 2.0, 3.0]))
    y = x * 1.0
    y[[1, 1, 0]] = v
    equal(y.data, [3, 2, 0])
    y.backward(np.array([1.0, 10.0, 100.0]))
    equal(v.grad, [0, 10, 1])
    equal(x.grad, [0, 0, 100])


def test_put_along_axis_returns_a_new_array():
    a, v = np.arange(6.0).reshape(2, 3), np.array([[7.0], [8.0]])
    index = np.array([[0], [2]])
    expected = a.copy()
    np.put_along_axis(expected, index, v, axis=1)
    x, u = Tensor(a), Tensor(v)
    y = np.put_along_axis(x, index, u, axis=1)
    equal(y.data, expected)
    equal(x.data, np.arange(6.0).reshape(2, 3))
    y.backward(np.arange(6.0).reshape(2, 3) + 1)
    equal(x.grad, [[0, 2, 3], [4, 5, 0]])
    equal(u.grad, [[1], [6]])
    equal(put_along_axis(a, index, v, axis=1), expected)  # plain arrays as well
    equal(put_along_axis(a, index, u, axis=1).data, expected)
    flat = put_along_axis(x, np.array([5, 0]), [1.0, 2.0], axis=None)
    equal(flat.data, [[2, 1, 2], [3, 4, 1]])


def test_in_place_functions_say_what_to_use():
    x = Tensor(np.eye(2))
    for call, advice in [
        (lambda: np.put(x, [0], 1.0), r"t\[\.\.\.\] = v"),
        (lambda: np.place(x, x.data > 0, 1.0), r"np\.where\(mask"),
        (lambda: np.putmask(x, x.data > 0, 1.0), r"np\.where\(mask"),
        (lambda: np.copyto(x, 1.0), r"np\.where"),
        (lambda: np.fill_diagonal(x, 1.0), r"np\.eye"),
        (lambda: np.put_along_axis(np.eye(2), np.array([[0]]), x, 1), "autograd.put_along_axis"),
    ]:
        with pytest.raises(TypeError, match=advice):
            call()
    equal(x.data, np.eye(2))
    filled = np.where(np.eye(*x.shape, dtype=bool), 5.0, x)  # what the last one advises
    equal(filled.data, [[5, 0], [0, 5]])


# --- ordering ---------------------------------------------------------------------------------


def test_ties_keep_their_order():
    x = np.array([2.0, 1.0, 2.0, 1.0])
    equal(slope(np.sort, x, [1, 2, 3, 4]), [3, 1, 4, 2])
    equal(slope(np.unique, x, [1, 2]), [2, 1, 0, 0])
    assert np.sum(slope(lambda x: np.partition(x, 2), x, [1, 2, 3, 4])) == 10


def test_sorting_is_linear():
    x = np.array([3.0, 1.0, 2.0])
    equal(hessian(lambda x: np.sum(np.sort(x) * np.arange(3)))(x), np.zeros((3, 3)))
    equal(hessian(lambda x: np.sum(np.sort(x) ** 2))(x), 2 * np.eye(3))
    assert grad(lambda x: np.sort(x)[0] * np.sort(x)[2])(x).tolist() == [1.0, 3.0, 0.0]


def test_sets():
    x = np.array([3.0, 1.0, 3.0, 2.0])
    equal(slope(lambda x: np.setdiff1d(x, [1.0]), x, [1, 2]), [2, 0, 0, 1])
    equal(slope(lambda x: np.intersect1d(x, [3.0, 1.0]), x, [1, 2]), [2, 1, 0, 0])
    equal(slope(lambda x: np.union1d(x, [9.0]), x, [1, 2, 3, 4]), [3, 1, 0, 2])
    values, counts = np.unique(Tensor(x), return_counts=True)
    equal(counts, [1, 1, 2])
    assert isinstance(values, Tensor) and isinstance(counts, np.ndarray)


# --- choosing and adding up ---------------------------------------------------------------------


def test_a_branch_not_chosen_keeps_its_nan_out():
    x = np.array([-1.0, 4.0])
    with np.errstate(invalid="ignore"):
        slopes = slope(lambda x: np.choose(np.array([1, 0]), [x * x, 2 * x]), x)
    equal(slopes, [2, 8])
    equal(slope(lambda x: np.piecewise(x, [x > 0, x <= 0], [np.sqrt, lambda x: -x]), x), [-1, 0.25])


def test_select_takes_the_first_that_holds():
    x = np.array([1.0, 5.0])
    conditions = [np.array([True, False]), np.array([True, True])]
    equal(slope(lambda x: np.select(conditions, [2 * x, 3 * x]), x), [2, 3])


def test_bincount_pulls_back_by_reading():
    equal(slope(lambda w: np.bincount([0, 2, 0], w), np.ones(3), [1, 10, 100]), [1, 100, 1])
    assert np.bincount(np.zeros(0, int), Tensor(np.zeros(0)), 3).shape == (3,)
    with pytest.raises(TypeError):
        np.bincount(Tensor(np.ones(2)))


def test_histogram_agrees_with_numpy_at_every_edge():
    a = np.array([-1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.0, np.nan, -5.0])
    w = np.arange(1.0, 10.0)
    for density in (False, True):
        for bins in ([0, 1, 2], [-1, 2, 3]):
            found, edges = np.histogram(a, bins, density=density, weights=Tensor(w))
            expected, e = np.histogram(a, bins, density=density, weights=w)
            np.testing.assert_allclose(found.data, expected)
            equal(edges, e)
    counts, edges = np.histogram(Tensor(w), 3)
    assert isinstance(counts, np.ndarray) and counts.tolist() == [3, 3, 3]


# --- errors -----------------------------------------------------------------------------------


X = Tensor(np.arange(6.0).reshape(2, 3), name="x")
BAD = {
    "row 2 of 2": (IndexError, r"out of bounds .* size 2", lambda: X[2]),
    "too many indices": (IndexError, "too many indices", lambda: X[0, 0, 0]),
    "fractional": (IndexError, "only integers", lambda: X[0.5]),
    "mask": (IndexError, r"boolean (index|dimension)", lambda: X[np.array([True, False, True])]),
    "take far": (IndexError, r"out of bounds .* size 3", lambda: np.take(X, [3], axis=1)),
    "take axis": (np.exceptions.AxisError, "axis 2", lambda: np.take(X, [0], axis=2)),
    "take float": (TypeError, r"np\.take: indices .* float64", lambda: np.take(X, [0.5])),
    "take Tensor": (TypeError, r"np\.take: .* Tensor", lambda: np.take(X, X)),
    "take mode": (ValueError, "'raise', 'wrap' or 'clip'", lambda: np.take(X, 0, mode="no")),
    "take out": (TypeError, "out=", lambda: np.take(X, 0, 1, np.zeros(2))),
    "compress out": (TypeError, "out=", lambda: np.compress([1], X, 1, np.zeros(2))),
    "compress": (ValueError, "one axis", lambda: np.compress([[True]], X)),
    "along axes": (ValueError, "as many axes", lambda: np.take_along_axis(X, np.zeros(1, int), 0)),
    "along float": (TypeError, "indices are integers", lambda: np.take_along_axis(X, np.eye(2), 0)),
    "sort axis": (np.exceptions.AxisError, "axis 2", lambda: np.sort(X, axis=2)),
    "sort order": (TypeError, r"np\.sort: order=", lambda: np.sort(X, order="f")),
    "partition": (ValueError, "kth", lambda: np.partition(X, 3)),
    "window": (ValueError, r"window of 4 .*\(2, 3\)", lambda: windows(X, 4, axis=1)),
    "windows": (ValueError, "1 window sizes for 2", lambda: windows(X, 2)),
    "select": (ValueError, "1 conditions for 2", lambda: np.select([X > 0], [X, X])),
    "select float": (TypeError, "condition 0 is not boolean", lambda: np.select([X], [X])),
    "choose": (ValueError, r"not in 0\.\.1", lambda: np.choose([2, 0, 0], [X, X])),
    "choose Tensor": (TypeError, r"np\.choose: .* are a Tensor", lambda: np.choose(X, [X])),
    "bincount": (ValueError, "negative", lambda: np.bincount([-1, 0, 0], X[0])),
    "bincount lengths": (ValueError, r"\(2,\) and \(3,\)", lambda: np.bincount([1, 0], X[0])),
    "histogram": (ValueError, r"\(3,\) weights", lambda: np.histogram(np.ones(2), weights=X[0])),
    "assignment": (ValueError, "broadcast", lambda: X.__setitem__(0, np.ones(2))),
    "intersect1d": (TypeError, "return_indices", lambda: np.intersect1d(X, X, False, True)),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    error, message, call = BAD[case]
    with pytest.raises(error, match=message):
        call()
    equal(X.data, np.arange(6.0).reshape(2, 3))
