"""Single units by their rules, and what no single unit can do: exclusive or."""

import numpy as np
import pytest

import nn
from autograd import check_gradients, grad, no_grad
from nn.data import xor

CORNERS, XOR = xor(dtype=float)
AND, OR = CORNERS.min(axis=1), CORNERS.max(axis=1)


def seeded(n=0):
    return np.random.default_rng(n)


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# --- the perceptron training rule ----------------------------------------------------------------


@pytest.mark.parametrize("target", [AND, OR, 1 - AND, CORNERS[:, 0]])
@pytest.mark.parametrize("dtype", [np.float32, float])
def test_a_perceptron_learns_what_a_line_separates(target, dtype):
    unit = nn.Perceptron(2, dtype=dtype, generator=seeded())
    assert unit.fit(CORNERS, target) is True and unit.converged
    o = unit(CORNERS.astype(dtype))
    assert (o.data == target).all() and o.dtype == dtype
    assert unit.mistakes[-1] == 0 and all(unit.mistakes[:-1])
    assert unit.weight.dtype == dtype and unit.bias.dtype == dtype


def test_each_mistake_moves_the_weights_as_the_rule_says():
    """Δw_i = η(y - o)x_i, by hand: from zero, OR's first mistake is at (0, 1)."""
    unit = nn.Perceptron(2, dtype=float)
    unit.load_state_dict({"weight": [0.0, 0.0], "bias": 0.0})
    with pytest.warns(RuntimeWarning, match="1 epochs were too few"):
        assert unit.fit(CORNERS, OR, lr=0.5, epochs=1) is False
    # (0,0): right; (0,1): 0 for 1; (1,0): 0.5 > 0, right; (1,1): right
    close(unit.weight.data, [0.0, 0.5])
    close(unit.bias.data, 0.5)
    assert unit.mistakes == [1]


@pytest.mark.parametrize("dtype", [np.float32, float])
@pytest.mark.parametrize("seed", range(3))
def test_exclusive_or_is_reported_not_to_converge(dtype, seed):
    unit = nn.Perceptron(2, dtype=dtype, generator=seeded(seed))
    with pytest.warns(RuntimeWarning, match="go round forever: no hyperplane separates"):
        assert unit.fit(CORNERS, XOR) is False
    assert unit.converged is False and all(unit.mistakes) and len(unit.mistakes) < 1000


def test_a_second_fit_reports_anew():
    unit = nn.Perceptron(2, generator=seeded())
    with pytest.warns(RuntimeWarning, match="did not converge"):
        unit.fit(CORNERS, XOR)
    assert unit.fit(CORNERS, AND) and unit.converged


def test_separable_points_of_more_inputs():
    """Novikoff 1962: at most (R/γ)² mistakes from zero weights, for a margin γ within radius R."""
    x = seeded().standard_normal((200, 10))
    normal = np.ones(11) / np.sqrt(11)
    inputs = np.column_stack([np.ones(200), x])
    keep = np.abs(inputs @ normal) > 0.3
    x, inputs = x[keep], inputs[keep]
    y = (inputs @ normal > 0).astype(float)
    unit = nn.Perceptron(10, dtype=float)
    unit.load_state_dict({"weight": np.zeros(10), "bias": 0.0})
    assert unit.fit(x, y, lr=1.0)
    margin = np.abs(inputs @ normal).min()
    bound = (np.linalg.norm(inputs, axis=1).max() / margin) ** 2
    assert 0 < sum(unit.mistakes) <= bound


def test_a_threshold_has_no_slope():
    unit = nn.Perceptron(2, dtype=float, generator=seeded())
    slopes = grad(lambda u: u.loss(CORNERS, AND))(unit)
    close(slopes.weight, 0)
    assert unit(np.array([0.3, 0.4])).shape == ()


# --- the delta rule -------------------------------------------------------------------------------

# ∂E/∂net of one example, lectures A and B
CLOSED = {
    nn.Adaline: lambda y, o: -(y - o),
    nn.SigmoidUnit: lambda y, o: -(y - o) * o * (1 - o),
}


@pytest.mark.parametrize("kind", CLOSED)
def test_the_gradient_is_the_closed_form(kind):
    x, y = seeded(1).standard_normal((6, 3)), seeded(2).random(6)
    unit = kind(3, dtype=float, generator=seeded())
    unit.load_state_dict({"weight": [0.5, -1.0, 2.0], "bias": 0.3})
    with no_grad():
        o = unit(x)
    each = CLOSED[kind](y, o.data)
    slopes = grad(lambda u: u.loss(x, y))(unit)
    close(slopes.weight, sum(d * row for d, row in zip(each, x, strict=True)))
    close(slopes.bias, each.sum())
    check_gradients(lambda u: u.loss(x, y), unit)


@pytest.mark.parametrize("kind", CLOSED)
def test_batch_and_online_steps_descend_that_gradient(kind):
    x, y = seeded(1).standard_normal((6, 3)), seeded(2).random(6)
    start = {"weight": [0.5, -1.0, 2.0], "bias": 0.3}
    for batch in (True, False):
        unit, by_engine = kind(3, dtype=float), kind(3, dtype=float)
        unit.load_state_dict(start)
        by_engine.load_state_dict(start)
        losses = unit.fit(x, y, lr=0.05, epochs=3, batch=batch)
        expected = []
        for _ in range(3):
            turns = [slice(None)] if batch else [slice(i, i + 1) for i in range(6)]
            expected.append(0.0)
            for rows in turns:
                by_engine.zero_grad()
                loss = by_engine.loss(x[rows], y[rows])
                loss.backward()
                expected[-1] += loss.item()
                for p in by_engine.parameters():
                    p.data = p.data - 0.05 * p.grad
        close(losses, expected)
        close(unit.weight.data, by_engine.weight.data)
        close(unit.bias.data, by_engine.bias.data)


def test_adaline_finds_the_least_squares_line():
    x = seeded(1).standard_normal((30, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.7 + 0.1 * seeded(2).standard_normal(30)
    best = np.linalg.lstsq(np.column_stack([np.ones(30), x]), y)[0]
    unit = nn.Adaline(3, dtype=float, generator=seeded())
    losses = unit.fit(x, y, lr=0.02, epochs=500, batch=True)
    close([unit.bias.data, *unit.weight.data], best, 1e-8)
    assert losses[-1] < losses[0]


def test_a_sigmoid_unit_learns_or_online():
    unit = nn.SigmoidUnit(2, generator=seeded())
    unit.fit(CORNERS, OR, lr=2.0, epochs=300)
    assert (np.round(unit(CORNERS).data) == OR).all()


@pytest.mark.parametrize("kind", [nn.Perceptron, nn.Adaline, nn.SigmoidUnit])
def test_weights_start_small_and_seeded_and_wrong_shapes_are_named(kind):
    a, b = (kind(50, generator=seeded(3)) for _ in range(2))
    assert (a.weight.data == b.weight.data).all() and a.weight.dtype == np.float32
    assert 0.005 < np.abs(a.weight.data).max() <= 0.01
    with pytest.raises(ValueError, match=r"50 elements, x has shape \(2, 3\)"):
        a(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\(n, 50\) and y of shape \(n,\) wanted, got"):
        a.fit(np.zeros((2, 50)), np.zeros(3))
    with pytest.raises(ValueError, match="in_features is a positive integer"):
        kind(0)
    with pytest.raises(ValueError, match="x or y holds nan or inf"):
        a.fit(np.full((2, 50), np.nan), np.zeros(2))
    for wrong in ({"lr": 0.0}, {"lr": np.nan}, {"epochs": 0}, {"epochs": 1.5}):
        with pytest.raises(ValueError, match="lr > 0 and a positive number of epochs"):
            a.fit(np.zeros((2, 50)), np.zeros(2), **wrong)
    assert (a.weight.data == b.weight.data).all()


def test_labels_of_a_perceptron_are_0_and_1():
    unit = nn.Perceptron(2)
    before = unit.state_dict()
    with pytest.raises(ValueError, match="y is 0 or 1"):
        unit.fit(CORNERS, 2 * AND - 1)
    assert all((before[k] == v).all() for k, v in unit.state_dict().items())


# --- from one unit to two layers ------------------------------------------------------------------


def test_exclusive_or_by_hand():
    """Lecture E: U = [[1,1],[1,1]], c = (0,-1), w = (2,-4), b = -1, ReLU."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    model.load_state_dict(
        {
            "layers.0.weight": [[1, 1], [1, 1]], "layers.0.bias": [0, -1],
            "layers.2.weight": [[2, -4]], "layers.2.bias": [-1],
        }
    )  # fmt: skip
    x = CORNERS.astype(np.float32)
    hidden = model[:2](x)
    assert hidden.data.tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]
    assert model(x).data[:, 0].tolist() == [-1, 1, 1, -1]


def test_layers_without_activation_collapse_into_one():
    """Lectures B and D: W_total = W_L … W_1, and the biases are carried along."""
    sizes = [5, 7, 4, 6, 3]
    layers = [
        nn.Linear(a, b, dtype=float, generator=seeded(a))
        for a, b in zip(sizes, sizes[1:], strict=False)
    ]
    deep, total, shift = nn.Sequential(*layers), np.eye(5), np.zeros(5)
    for layer in layers:
        total, shift = layer.weight.data @ total, layer.weight.data @ shift + layer.bias.data
    one = nn.Linear(5, 3, dtype=float)
    one.load_state_dict({"weight": total, "bias": shift})
    x = seeded(1).standard_normal((20, 5))
    close(deep(x).data, one(x).data)
    with_tanh = nn.Sequential(layers[0], nn.Tanh(), *layers[1:])
    assert np.abs(with_tanh(x).data - one(x).data).max() > 0.01
