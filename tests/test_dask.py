"""On Dask's arrays everything is recorded and walked without computing, or raises."""

import dask
import dask.array as da
import numpy as np

import autograd
from autograd import Tensor, support
from autograd.primitive import plain
from autograd.tree import flatten

from .samples import SAMPLES
from .test_device import excepted, in_table
from .test_operations import each, outputs, weights


def place(x):
    """An array in blocks: its rows in two."""
    first, *rest = np.shape(x) or (0,)
    chunks = (max(1, (first + 1) // 2), *rest) if np.ndim(x) else ()
    return da.from_array(np.asarray(x), chunks=chunks)


def refusing(*args, **options):
    raise AssertionError("Dask is asked to compute")


def results(sample, place):
    """The values of a call, its gradient and tangents."""
    xs = tuple(sample.inputs())
    found = [plain(y) for y in flatten(sample.call(list(map(Tensor, xs))))[0]]
    if not xs:
        return found
    ys, pull = autograd.vjp(lambda *xs: outputs(sample.call(xs)), *xs)
    us = [place(weights(np.shape(y), 7 + k)) for k, y in enumerate(ys)]
    vs = tuple(place(weights(np.shape(x), 40 + k)) for k, x in enumerate(xs))
    tangents = autograd.jvp(lambda *xs: outputs(sample.call(xs)), xs, vs)[1]
    return [*found, *pull(us), *tangents]


def runs_lazily(sample):
    """Compare with what NumPy's arrays give; nothing is computed before all is recorded."""
    with dask.config.set(scheduler=refusing):
        found = results(sample.on(place), place)
    expected = results(sample, lambda x: x)
    with dask.config.set(scheduler="synchronous"):
        computed = dask.compute(*found)
    for f, c, e in zip(found, computed, expected, strict=True):
        if isinstance(e, str) or e is None:
            assert f == e
            continue
        assert isinstance(f, da.Array) or not np.ndim(e) or not sample.inputs(), type(f)
        assert np.shape(c) == np.shape(e)
        np.testing.assert_allclose(c, e, rtol=1e-9, atol=1e-9)


# calls of what the table excepts, by another name
OTHERS = {"many reads", "own mask", "polymul led by zeros", "conv1d", "conv2d", "put_along_axis"}


def may_raise(sample):
    return sample.id in OTHERS or excepted(sample, "Dask")


@each([s for s in SAMPLES if not may_raise(s)])
def test_runs_lazily(sample):
    """Values, gradients and tangents are NumPy's numbers."""
    runs_lazily(sample)


def test_what_the_table_excepts_does_not_run():
    """Every exception of the table is one: some call of it raises, before anything is computed."""
    failed = set()
    for sample in filter(may_raise, SAMPLES):
        try:
            runs_lazily(sample)
        except (TypeError, ValueError, NotImplementedError, IndexError, AssertionError) as error:
            assert "asked to compute" not in str(error), sample.id
            failed |= in_table(sample)
    assert set(support.ARRAYS["Dask"]) <= failed
