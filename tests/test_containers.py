"""Sequential by name, MLP, Residual, and `summary` of models."""

import numpy as np
import pytest

import autograd
import nn
from autograd.rules.random import uniform

from .test_nn import close, wave

X = wave(5, 3, step=1.3)


# --- Sequential (by number: see test_nn) ---------------------------------------------------------


def test_sequential_by_names():
    parts = {"hidden": nn.Linear(3, 4, dtype=float), "act": np.tanh, "out": nn.Linear(4, 2)}
    model, other = nn.Sequential(parts), nn.Sequential(*parts.values())
    close(model(X).data, other(X).data)
    assert list(model) == list(parts.values()) and len(model) == 3
    assert model["out"] is model[2] is model[-1] is parts["out"]
    assert [name for name, _ in model.named_parameters()] == [
        "layers.hidden.weight", "layers.hidden.bias", "layers.out.weight", "layers.out.bias",
    ]  # fmt: skip
    with pytest.raises(KeyError):
        model["nothing"]


def test_a_slice_keeps_modules_and_names():
    model = nn.Sequential({"a": nn.Linear(3, 4), "b": nn.Tanh(), "c": nn.Linear(4, 2)})
    part = model[1:]
    assert type(part) is nn.Sequential and list(part.layers) == ["b", "c"]
    assert part["c"] is model["c"]


def test_a_wrong_layer_is_named():
    with pytest.raises(TypeError, match="Sequential: layer act is a str"):
        nn.Sequential({"act": "tanh"})


# --- MLP -----------------------------------------------------------------------------------------


def test_a_class_in_the_place_of_a_module_is_named():
    with pytest.raises(TypeError, match=r"layer 1 is the class ReLU; .*: ReLU\(\.\.\.\)"):
        nn.Sequential(nn.Linear(2, 2), nn.ReLU)
    assert nn.Sequential(np.sin, np.float32)(0.0) == 0  # other classes are functions


def test_a_recurrent_layers_state_is_not_passed_on():
    model = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1))
    with pytest.raises(TypeError, match=r"Linear\(3, 1\): x is a tuple of 2; .* the outputs"):
        model(np.zeros((4, 5, 2), np.float32))


def test_mlp_is_its_formula():
    model = nn.MLP((3, 5, 4, 2), nn.Tanh, dtype=float)
    a, b, c, d, e, f = (p.data for p in model.parameters())
    hidden = np.tanh(np.tanh(X @ a.T + b) @ c.T + d)
    close(model(X).data, hidden @ e.T + f, 1e-13)


def kinds(model):
    return [type(layer).__name__ for layer in model]


def test_mlp_puts_normalization_before_and_dropout_behind_hidden_activations():
    model = nn.MLP((3, 5, 4, 2), batch_norm=True, dropout=0.3)
    hidden = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(model) == [*hidden, *hidden, "Linear"]
    assert model[3].p == 0.3 and model[1].num_features == 5


def test_mlp_with_an_activation_for_each_layer():
    model = nn.MLP((3, 5, 4, 2), [nn.Tanh, np.sin, nn.Sigmoid], dtype=float)
    assert kinds(model)[::2] == ["Linear"] * 3
    assert kinds(model)[1] == "Tanh" and model[3] is np.sin and kinds(model)[5] == "Sigmoid"
    assert kinds(nn.MLP((3, 5, 2), [None, nn.Tanh])) == ["Linear", "Linear", "Tanh"]


def test_mlp_gives_each_layer_an_activation_of_its_own():
    model = nn.MLP((3, 4, 4, 2), nn.PReLU())
    assert kinds(model) == ["Linear", "PReLU", "Linear", "PReLU", "Linear"]
    assert model[1] is not model[3]
    assert model[1].parameters()[0] is not model[3].parameters()[0]


def test_mlp_without_hidden_units_is_linear():
    assert kinds(nn.MLP((3, 2))) == ["Linear"]


def test_mlp_repeats_with_its_generator():
    first, second = (nn.MLP((3, 4, 2), generator=np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first(X).data, second(X).data)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.MLP((3,)), r"sizes of inputs and outputs at least wanted, got \(3,\)"),
        (lambda: nn.MLP((3, 0, 2)), r"MLP: sizes\[1\] is a positive integer, got 0"),
        (lambda: nn.MLP((3, 4, 2), [nn.Tanh]), "2 activations wanted.*got 1"),
        (lambda: nn.MLP((3, 4, 2), dropout=2), "probability"),
    ],
)
def test_mlp_says_what_it_wants(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- Residual ------------------------------------------------------------------------------------


def test_residual_adds_what_goes_in():
    inner = nn.Linear(3, 3, dtype=float)
    close(nn.Residual(inner)(X).data, X + inner(X).data, 1e-15)


def test_residual_with_a_shortcut():
    inner, way = nn.Linear(3, 2, dtype=float), nn.Linear(3, 2, dtype=float)
    model = nn.Residual(inner, way)
    close(model(X).data, way(X).data + inner(X).data, 1e-15)
    assert [n for n, _ in model.named_modules()] == ["", "module", "shortcut"]


def test_residual_names_shapes_that_differ():
    with pytest.raises(ValueError, match=r"gives shape \(5, 2\) and the other way has \(5, 3\)"):
        nn.Residual(nn.Linear(3, 2))(X)
    with pytest.raises(ValueError, match=r"gives shape \(5, 1\)"):  # no broadcasting by accident
        nn.Residual(nn.Linear(3, 1))(X)


@pytest.mark.parametrize("parts", [(3,), (None,), (np.tanh, 3)])
def test_residual_refuses_what_cannot_be_called(parts):
    with pytest.raises(TypeError, match="Residual: (module|shortcut) is a module or function"):
        nn.Residual(*parts)


# --- summary -------------------------------------------------------------------------------------


def test_summary_counts_by_hand():
    """Linear: 2·5·3·4 in the product, 5·4 additions; tanh: 5·4 calls."""
    model = nn.MLP((3, 4, 2), nn.Tanh)
    model[0].freeze()
    found = nn.summary(model, X)
    rows = [(r.name, r.kind, r.shape, r.parameters, r.trainable, r.flops) for r in found.rows]
    assert rows == [
        ("", "MLP", (5, 2), 26, 10, 140 + 20 + 90),
        ("layers.0", "Linear", (5, 4), 16, 0, 140),
        ("layers.1", "Tanh", (5, 4), 0, 0, 20),
        ("layers.2", "Linear", (5, 2), 10, 10, 90),
    ]
    assert (found.parameters, found.flops) == (26, 250)
    assert found.flops == autograd.count_operations(model, X).total
    assert "26 parameters, 16 of them frozen" in repr(found)


def test_summary_adds_up_all_calls_and_counts_ties_once():
    layer = nn.Linear(3, 3)
    found = nn.summary(nn.Sequential(layer, layer), X)
    assert [r.name for r in found.rows] == ["", "layers.0"]
    assert found.parameters == found.rows[1].parameters == 12
    assert found.flops == found.rows[1].flops == 2 * (2 * 5 * 9 + 15)


def test_summary_of_several_results_and_other_arguments():
    found = nn.summary(nn.LSTM(3, 4, 2), wave(6, 5, 3, step=0.3), lengths=[6, 5, 4, 3, 2])
    assert found.rows[0].shape == ((6, 5, 4), ((2, 5, 4), (2, 5, 4)))


def test_summary_of_a_part_that_is_not_called():
    class Half(nn.Module):
        def __init__(self):
            self.used, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    row = nn.summary(Half(), X).rows[2]
    assert (row.name, row.shape, row.parameters, row.flops) == ("other", None, 8, None)
    assert "–" in repr(nn.summary(Half(), X)).splitlines()[4]


def test_summary_of_integers():
    """Class numbers are no operands: a module without parameters does nothing with them."""

    class Codes(nn.Module):
        def forward(self, labels):
            return np.eye(4)[labels]

    found = nn.summary(nn.Sequential(Codes(), nn.Linear(4, 2)), np.array([1, 3]))
    assert found.rows[1].flops == 0 and found.rows[1].shape == (2, 4)


def test_summary_changes_nothing():
    model = nn.MLP((3, 4, 2), batch_norm=True, dropout=0.5)
    model.dropped = nn.Dropout(0.5, np.random.default_rng(0))
    before, drawn = model.state_dict(), model.dropped.generator.bit_generator.state
    autograd.seed(0)
    first = uniform(np.zeros(2))
    autograd.seed(0)
    nn.summary(model, X)
    assert np.array_equal(uniform(np.zeros(2)), first)
    assert model.dropped.generator.bit_generator.state == drawn
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])
    assert all(m.training and "forward" not in m.__dict__ for m in model.modules())


def test_summary_in_notebooks_is_a_table():
    html = nn.summary(nn.MLP((3, 4, 2)), X)._repr_html_()
    assert html.count("<tr>") == 5 and "layers.2: Linear" in html and "26 parameters" in html


def test_summary_wants_a_module():
    with pytest.raises(TypeError, match="summary: a Module wanted, not a function"):
        nn.summary(lambda x: x, X)
