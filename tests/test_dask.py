"""On Dask's arrays everything is recorded and walked without computing, or raises."""

import dask
import dask.array as da
import numpy as np

from .samples import SAMPLES
from .test_device import excepted, results
from .test_operations import each


def place(x):
    """An array in blocks: its rows in two."""
    first, *rest = np.shape(x) or (0,)
    chunks = (max(1, (first + 1) // 2), *rest) if np.ndim(x) else ()
    return da.from_array(np.asarray(x), chunks=chunks)


def refusing(*args, **options):
    raise AssertionError("Dask is asked to compute")


def runs_on_dask(sample):
    """Compare with what NumPy's arrays give; nothing is computed before all is recorded."""
    with dask.config.set(scheduler=refusing):
        found = results(sample.on(lambda x: place(x)), place)
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


@each([s for s in SAMPLES if not excepted(s, "Dask")])
def test_runs_lazily(sample):
    """Values, gradients, tangents and second derivatives are NumPy's numbers."""
    runs_on_dask(sample)
