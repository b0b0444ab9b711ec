"""The same on a GPU: runs where CuPy is installed and finds one, and is skipped elsewhere.

`test_device` runs the same programs on arrays that refuse what a GPU's refuse; here are a GPU's.
"""

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor
from autograd.rules.random import bernoulli

from . import gaps
from .samples import SAMPLES
from .test_device import (
    LAYERS,
    OPTIMIZERS,
    each_gradient,
    excepted,
    fitted,
    normal,
    runs_on,
    steps,
    trained,
)
from .test_operations import each

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install speelpenning[cuda]")
if not cupy.is_available():
    pytest.skip("CuPy finds no GPU here", allow_module_level=True)


def same(found, expected, tolerance):
    for f, e in zip(found, expected, strict=True):
        if e is None:
            assert f is None
            continue
        assert isinstance(f, cupy.ndarray) or np.isscalar(e), type(f)
        np.testing.assert_allclose(cupy.asnumpy(f), e, rtol=tolerance, atol=tolerance)


@each([s for s in SAMPLES if not excepted(s, "CuPy-ready")])
def test_operations(sample):
    runs_on(cupy.ndarray, sample, cupy.asarray)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, shape = LAYERS[name]
    autograd.seed(1)
    model = make().map(lambda a: a.astype(float))
    twin, x = model.copy(), normal(*shape)
    same(trained(model, x, cupy.asarray), trained(twin, x, lambda a: a), 1e-8)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    same(steps(name, cupy.asarray), steps(name, lambda a: a), 1e-10)


def test_gradients_of_each_example():
    same(each_gradient(cupy.asarray), each_gradient(lambda a: a), 1e-10)


def test_fit():
    (here, expected), (there, found) = fitted(lambda a: a), fitted(cupy.asarray)
    np.testing.assert_allclose(there["loss"], here["loss"], rtol=1e-7)
    same(found, expected, 1e-7)


def test_a_step_waits_for_nothing():
    """Forward, backward and the optimizer's step copy nothing back: CuPy raises if they do."""
    import cupyx

    model = nn.MLP((4, 8, 3)).map(cupy.asarray)
    optimizer = optim.AdamW(model.parameters())
    x, y = (cupy.asarray(normal(6, n).astype(np.float32)) for n in (4, 3))

    def step():
        optimizer.zero_grad()
        nn.mse(model(x), y).backward()
        optimizer.step()

    step()  # kernels are compiled in the first
    with cupyx.allow_synchronize(False):
        step()


def test_a_generator_of_cupys_draws_there():
    kept = bernoulli(cupy.ones((200, 100)), p=0.75, generator=cupy.random.default_rng(0))
    assert isinstance(kept, cupy.ndarray)
    assert abs(float(kept.mean()) - 0.75) < 0.02


def test_numpy_arrays_do_not_meet_the_gpus():
    with pytest.raises(TypeError):
        Tensor(cupy.ones(3)) * np.ones(3)


def test_gaps_are_cupys():
    """What the stand-in of `test_device` lacks is what this CuPy lacks, if it is the one listed."""
    lines = list(gaps.lines(cupy))
    stored = gaps.STORED.read_text().splitlines()
    assert lines[0] != stored[0] or lines == stored
