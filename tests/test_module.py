"""What a Module can be asked: freezing, copies, updates, its state and how it prints."""

import numpy as np
import pytest

import nn
from autograd import grad, jvp, tree_map

from .test_nn import Tied, close, wave

X = wave(5, 3, step=1.3)


def model_of(dtype=float):
    return nn.MLP((3, 4, 2), nn.Tanh, dtype=dtype, generator=np.random.default_rng(0))


def loss(model, x=X):
    return np.sum(np.square(model(x)))


def trainable(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


# --- freezing ------------------------------------------------------------------------------------


def test_freeze_and_unfreeze_what_a_predicate_says():
    model = model_of()
    assert model.freeze(lambda name, p: p.ndim == 2) is model
    assert trainable(model) == ["layers.0.bias", "layers.2.bias"]
    assert model.unfreeze(lambda name, p: name == "layers.2.weight") is model
    assert trainable(model) == ["layers.0.bias", "layers.2.weight", "layers.2.bias"]
    loss(model).backward()
    assert model[0].weight.grad is None and model[0].bias.grad is not None
    assert trainable(model.freeze()) == []
    assert len(trainable(model.unfreeze())) == 4


def test_a_predicate_that_fails_freezes_nothing():
    model = model_of()
    with pytest.raises(ZeroDivisionError):
        model.freeze(lambda name, p: True if "0" in name else 1 / 0)
    assert len(trainable(model)) == 4


# --- apply and copy ------------------------------------------------------------------------------


def test_apply_goes_from_the_inside_out():
    seen = []
    model = nn.Sequential(nn.Residual(nn.Linear(2, 2)))
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert seen == ["Linear", "Residual", "Sequential"]


def test_apply_changes_parameters():
    def zero(module):
        if isinstance(module, nn.Linear):
            module.weight.data[...] = 0

    model = model_of().apply(zero)
    assert not np.any(model[0].weight.data) and not np.any(model[2].weight.data)


def test_a_copy_has_arrays_and_buffers_of_its_own():
    model = nn.MLP((3, 4, 2), batch_norm=True, dropout=0.5, generator=np.random.default_rng(0))
    model[0].freeze()
    other = model.copy()
    assert type(other) is nn.MLP
    before = model.state_dict()
    other(X)  # moves the running statistics, and the generator
    for p in other.parameters():
        p.data[...] = 7
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])
    assert not np.array_equal(other[1].running_mean, model[1].running_mean)
    assert other[3].generator is not model[3].generator
    assert trainable(other) == trainable(model)


def test_a_copy_keeps_ties():
    model = Tied()
    other = model.copy()
    assert other.same is other.there and other.weight is other.there.weight
    assert other.weight is not model.weight


# --- as a tree -----------------------------------------------------------------------------------


def test_tree_map_of_nested_containers():
    tree = {"a": (1.0, [2.0]), "b": None}
    assert tree_map(lambda x: 2 * x, tree) == {"a": (2.0, [4.0]), "b": None}
    assert tree_map(lambda x, y: x - y, tree, {"b": None, "a": (1.0, [1.0])}) == {
        "a": (0.0, [1.0]),
        "b": None,
    }
    with pytest.raises(ValueError, match="a sequence of length 1 in the place of"):
        tree_map(lambda x, y: x, tree, {"a": (1.0,), "b": None})


def test_gradient_descent_with_tree_map_is_the_plain_loop():
    model, plain = model_of(), model_of()
    for _ in range(3):
        model = tree_map(lambda p, g: p - 0.01 * g, model, grad(loss)(model))
        plain.zero_grad()
        loss(plain).backward()
        for p in plain.parameters():
            p.data = p.data - 0.01 * p.grad
    close(loss(model), loss(plain).data, 1e-13)
    for (name, a), (same, b) in zip(
        model.state_dict().items(), plain.state_dict().items(), strict=True
    ):
        assert name == same
        close(a, b, 1e-13)


def test_update_is_in_place():
    model, expected = model_of(np.float32), model_of(np.float32)
    weight, optimizer_sees = model[0].weight, model.parameters()
    slopes = grad(loss)(model)
    assert model.update(tree_map(lambda p, g: p - 0.01 * g, model, slopes)) is model
    assert model[0].weight is weight and weight.requires_grad
    for p, q, g in zip(optimizer_sees, expected.parameters(), slopes.parameters(), strict=True):
        assert p.dtype == np.float32
        close(p.data, q.data - np.float32(0.01) * g, 1e-7)


def test_update_takes_trainable_parameters_and_copies_them():
    model, other = model_of(), model_of()
    model[0].freeze()
    other[0].freeze()
    other[0].weight.data[...] = 5
    other[2].weight.data[...] = 6
    model.update(other)
    assert np.all(model[2].weight.data == 6) and not np.any(model[0].weight.data == 5)
    other[2].weight.data[...] = 7
    assert np.all(model[2].weight.data == 6)


def test_update_changes_nothing_unless_all_fits():
    model = model_of()
    before = model.state_dict()
    with pytest.raises(ValueError, match="other shapes of layers.2.weight, layers.2.bias"):
        model.update(nn.MLP((3, 4, 5), nn.Tanh))
    with pytest.raises(ValueError, match="in the place of"):
        model.update(nn.Linear(3, 2))
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_holds_arrays_says_that_it_is_not_the_module():
    slopes = grad(loss)(model_of())
    for change in (
        lambda: slopes.update(model_of()),
        lambda: slopes.load_state_dict(model_of().state_dict()),
    ):
        with pytest.raises(TypeError, match="MLP has plain arrays for parameters"):
            change()


def test_parameters_of_a_gradient_are_all_listed_though_two_are_one_array():
    """The two biases of a recurrent net have one and the same gradient."""
    model = nn.RNN(3, 2)
    slopes = grad(lambda m: np.sum(m(wave(4, 1, 3, step=0.3))[0]))(model)
    assert [n for n, _ in slopes.named_parameters()] == [n for n, _ in model.named_parameters()]
    assert len(slopes.state_dict()) == 4


def test_functional_call_under_forward_mode():
    """Inside jvp the parameters are no Tensors; the derivative of loss(2w) by w is found."""
    layer = nn.Linear(3, 2, bias=False, dtype=float)

    def f(m):
        return np.sum(np.square(nn.functional_call(m, {"weight": 2 * m.weight}, X)))

    value, along = jvp(f, (layer,), (layer,))
    close(value, 4 * loss(layer).data, 1e-13)
    close(along, 2 * value, 1e-13)


# --- state ---------------------------------------------------------------------------------------


def test_load_state_dict_names_another_dtype():
    model = model_of(np.float32)
    state = model.state_dict() | {"layers.0.bias": np.zeros(4)}
    with pytest.raises(
        ValueError, match="layers.0.bias has dtype float64, the module's has float32"
    ):
        model.load_state_dict(state)


def test_load_state_dict_not_strict_takes_what_both_have():
    model = nn.BatchNorm1d(2)
    model.load_state_dict(
        {"weight": [5, 6], "running_var": np.full(2, 7, np.float32), "other": 1.0}, strict=False
    )
    assert model.weight.data.tolist() == [5, 6] and model.running_var.tolist() == [7, 7]
    assert model.bias.data.tolist() == [0, 0] and model.running_mean.tolist() == [0, 0]
    with pytest.raises(ValueError, match="weight has shape"):
        model.load_state_dict({"weight": [5]}, strict=False)


# --- how it prints -------------------------------------------------------------------------------


def test_repr_counts_ties_once_and_frozen_ones():
    assert repr(Tied()).splitlines()[0] == "Tied(  # 6 parameters"
    layer = nn.Linear(2, 3).freeze(lambda name, p: name == "bias")
    assert repr(layer) == "Linear(2, 3)  # weight (3, 2), bias (3,): 9 parameters, 3 frozen"
    assert repr(nn.Tanh()) == "Tanh()"


def test_repr_shortens_many_parameters():
    assert repr(nn.RNN(2, 3, 2)) == (
        "RNN(2, 3, num_layers=2)  # weight_ih_l0 (3, 2), weight_hh_l0 (3, 3), bias_ih_l0 (3,), "
        "bias_hh_l0 (3,), ...: 45 parameters"
    )


def test_repr_of_one_parameter_and_of_own_ones_beside_parts():
    class Scaled(nn.Module):
        def __init__(self):
            self.inner, self.scale = nn.Linear(1, 1), nn.Parameter(2.0)

    assert repr(Scaled()).splitlines()[0] == "Scaled(  # scale (): 3 parameters"
    assert repr(Scaled().inner.freeze()).endswith("2 parameters, 2 frozen")
    part = nn.Linear(1, 1, bias=False)
    assert repr(part).endswith("# weight (1, 1): 1 parameter")


def test_a_gradient_prints_like_its_model():
    assert repr(grad(loss)(model_of())) == repr(model_of())


def test_freezing_nothing_by_a_predicate_is_an_error():
    model = model_of()
    for change, name in ((model.freeze, "freeze"), (model.unfreeze, "unfreeze")):
        with pytest.raises(ValueError, match=rf"{name}: no parameter of MLP .* layers\.0\.weight"):
            change(lambda name, p: name == "head")
    assert nn.ReLU().freeze().parameters() == []  # all of none


def test_a_part_that_knows_its_whole_prints():
    model = model_of()
    model.layers[1].whole = model
    assert "    (whole): ...\n" in repr(model)


def test_another_shape_of_weights_is_not_blamed_on_x():
    with pytest.raises(ValueError, match=r"linear: .*float64 \(5, 3\), float64 \(2, 4\)"):
        nn.functional_call(nn.Linear(3, 2), {"weight": np.ones((2, 4))}, np.ones((5, 3)))
