"""Small parameters are put together by optimizers: the steps are those of each by itself."""

import copy

import numpy as np
import pytest

import optim
from autograd import Tensor
from optim import executor

from .test_compiled_steps import OPTIMIZERS

SHAPES = [(3, 4), (5,), (), (2, 1, 3), (0,), (200, 60), (7,)]


def training(optimizer, settings, dtype=np.float64):
    rng = np.random.default_rng(0)
    params = [Tensor(rng.normal(size=shape).astype(dtype)) for shape in SHAPES]
    params[3].data = np.asfortranarray(params[3].data)
    params.append(Tensor(0.5))
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.02}]
    return params, optimizer(groups, **settings)


def gradients(params, i):
    rng = np.random.default_rng(100 + i)
    for k, p in enumerate(params):
        p.grad = rng.normal(size=p.shape)
        if (i, k) in ((2, 0), (3, 4), (4, 6)):
            p.grad = None  # what has no gradient is left alone, and is a step behind from then on


def run(optimizer, settings, dtype, between=lambda i, params, optimizer: optimizer):
    params, trained = training(optimizer, settings, dtype)
    for i in range(8):
        gradients(params, i)
        trained = between(i, params, trained)
        trained.step()
    state = trained.state_dict()
    return [*(np.array(p.data) for p in params), *state.values()], list(state)


def same(a, b):
    assert a[1] == b[1]
    for x, y in zip(a[0], b[0], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_are_those_of_each_by_itself(optimizer, settings, dtype, monkeypatch):
    together = run(optimizer, settings, dtype)
    monkeypatch.setattr(executor, "SMALL", -1)
    same(together, run(optimizer, settings, dtype))


def test_packs_are_made():
    params, trained = training(optim.Adam, {})
    gradients(params, 0)
    trained.step()
    packs, alone = trained._plan
    assert [len(p.places) for p in packs] == [2, 3] and alone == [2, 5, 7]


def test_many_small_ones_make_several_packs():
    params = [Tensor(np.ones(8000)) for _ in range(20)]
    trained = optim.SGD(params, lr=0.5)
    for p in params:
        p.grad = np.ones(8000)
    trained.step()
    packs, alone = trained._plan
    assert [len(p.places) for p in packs] == [8, 8, 4] and not alone
    assert all((p.data == 0.5).all() for p in params)


def between_steps(i, params, trained):
    """What may happen to parameters, state and optimizer between two steps."""
    if i == 3:
        params[1].data = params[1].data * 2
    if i == 4:
        params[0].requires_grad = False
    if i == 5:
        params[0].requires_grad = True
        trained.load_state_dict(trained.state_dict())
    if i == 6:
        memo = {id(p): p for p in params}
        trained = copy.deepcopy(trained, memo)
    if i == 7:
        trained.param_groups[1]["lr"] = 0.5
    return trained


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
def test_what_happens_between_steps(optimizer, settings, monkeypatch):
    together = run(optimizer, settings, np.float64, between_steps)
    monkeypatch.setattr(executor, "SMALL", -1)
    same(together, run(optimizer, settings, np.float64, between_steps))


def test_the_users_arrays_are_written_in_place():
    arrays = [np.ones(3), np.ones((2, 2))]
    params = [Tensor(a) for a in arrays]
    for p in params:
        p.grad = np.full(p.shape, 2.0)
    loss = np.sum(params[0] * params[0])
    optim.SGD(params, lr=0.25).step()
    assert all((a == 0.5).all() for a in arrays)
    with pytest.raises(RuntimeError, match="written since"):
        loss.backward()


def test_a_parameter_of_another_shape_changes_nothing():
    params, trained = training(optim.Adam, {})
    for i in range(2):
        gradients(params, i)
        trained.step()
    before, state = [np.array(p.data) for p in params[:6]], trained.state_dict()
    gradients(params, 1)
    params[6].data = np.ones(9)
    params[6].grad = np.ones(9)
    with pytest.raises(ValueError, match="had shape"):
        trained.step()
    for p, w in zip(params, before, strict=False):
        np.testing.assert_array_equal(p.data, w)
    after = trained.state_dict()
    for name, value in state.items():
        np.testing.assert_array_equal(after[name], value)
