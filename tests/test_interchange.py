"""Weights to and from PyTorch: its names and layouts, held to outputs it gave.

The numbers are those of torch 2.13 in double precision, of networks of these names and shapes
with the weights of `filled` and the inputs of `waves`.  ``python -m benchmarks.quality`` compares
with the PyTorch that is installed.
"""

import numpy as np
import pytest

import nn

F8 = np.float64


def waves(*shape, phase=0.0):
    """Numbers in (-1, 1), the same wherever they are made."""
    return np.sin(1.3 * np.arange(np.prod(shape)) + phase).reshape(shape)


def filled(shapes):
    """An array for each of these names and shapes; variances are positive."""
    return {
        name: waves(*shape, phase=0.7 * k) / 2 + name.endswith("running_var")
        for k, (name, shape) in enumerate(shapes.items())
    }


def same(found, expected):
    np.testing.assert_allclose(np.ravel(getattr(found, "data", found)), expected, atol=1e-13)


CONV = {
    "0.weight": (2, 1, 3, 3), "0.bias": (2,), "1.weight": (2,), "1.bias": (2,),
    "1.running_mean": (2,), "1.running_var": (2,), "2.weight": (2,), "4.weight": (2, 1, 2, 2),
    "6.0.weight": (3, 2), "6.0.bias": (3,), "6.1.weight": (3,), "6.1.bias": (3,),
    "6.1.running_mean": (3,), "6.1.running_var": (3,),
}  # fmt: skip


def conv_net():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, dtype=F8), nn.BatchNorm2d(2, dtype=F8),
        nn.PReLU(2, dtype=F8), nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 2, groups=2, bias=False, dtype=F8), nn.Flatten(),
        nn.Sequential(nn.Linear(2, 3, dtype=F8), nn.BatchNorm1d(3, dtype=F8), nn.Tanh()),
    )  # fmt: skip


def test_a_convolutional_network():
    """In evaluation and in training, where batch norm's statistics move as PyTorch's."""
    model, state = conv_net(), filled(CONV)
    model.load_state_dict(nn.from_torch(model, state))
    x = waves(2, 1, 4, 4)
    same(
        model.eval()(x),
        [0.318297954314319, 0.585062708937161, -0.420590367387831,
         0.317434201854862, 0.575275191659333, -0.424781704450716],
    )  # fmt: skip
    same(
        model.train()(x),
        [0.171229454828499, 0.571901273307976, -0.289759808691218,
         0.67246816674012, -0.233818658023581, -0.437699663145644],
    )  # fmt: skip
    moved = nn.to_torch(model)
    same(moved["1.running_mean"], [0.181230089067592, -0.32482835346595])
    same(moved["1.running_var"], [0.795364058569546, 0.505538870493367])
    same(moved["6.1.running_mean"], [0.373237955946113, -0.0567231629697438, -0.442203235427715])
    same(moved["6.1.running_var"], [1.0436375093814, 0.527542914292644, 0.557159546695358])


OUTPUTS = {
    "RNN": [
        -0.579362640772202, -0.66490562438944, -0.800150623148804, -0.431764832013289,
        -0.198852931600207, -0.769955157106285, -0.361714750260993, -0.715836816390302,
        -0.568602816478863, -0.645181526982551, -0.13813709875952, -0.816223393910054,
    ],
    "GRU": [
        0.0355869435661763, -0.236796350256831, 0.028078305119161, -0.225301080016898,
        0.115053992476292, -0.442918860207607, 0.0227605722482821, -0.361128392839835,
        0.157963016116784, -0.550630000220252, 0.0829269741906695, -0.497555091780205,
    ],
    "LSTM": [
        -0.0331672040092658, -0.205371165612922, -0.0257107614470965, -0.198853079528686,
        -0.0529205608040048, -0.3205558311272, -0.05788127133249, -0.308828507863813,
        -0.0677482449083156, -0.377131709716115, -0.0782960931171606, -0.373657094847359,
    ],
}  # fmt: skip
CELL = [
    0.640716670073064, 0.41463926219227, 0.16530851429849, 0.49531974092128,
    -0.166258605081753, -0.564631308755111, -0.188264793375309, -0.573249132834694,
]  # fmt: skip


@pytest.mark.parametrize("kind", OUTPUTS)
def test_recurrent_networks(kind):
    """Two layers of two units: the gates' order, and both biases."""
    rows = 2 * {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    shapes = {
        f"{name}_l{k}": (rows, *columns)
        for k in (0, 1)
        for name, columns in {
            "weight_ih": (3 - k,), "weight_hh": (2,), "bias_ih": (), "bias_hh": (),
        }.items()
    }  # fmt: skip
    model = getattr(nn, kind)(3, 2, num_layers=2, dtype=F8)
    model.load_state_dict(nn.from_torch(model, filled(shapes)))
    outputs, state = model(waves(3, 2, 3))
    same(outputs, OUTPUTS[kind])
    if kind == "LSTM":
        same(state[1], CELL)


class Reader(nn.Module):
    """Attention over embedded words, and the words again from the same matrix."""

    def __init__(self):
        self.embed = nn.Embedding(5, 4, dtype=F8)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, dtype=F8)
        self.norm = nn.LayerNorm(4, dtype=F8)
        self.out = nn.Linear(4, 5, bias=False, dtype=F8)
        self.out.weight = self.embed.weight

    def forward(self, words):
        x = self.embed(words)
        return self.out(self.norm(x + self.attention(x)[0]))


READER = {
    "embed.weight": (5, 4), "attention.in_proj_weight": (12, 4), "attention.in_proj_bias": (12,),
    "attention.out_proj.weight": (4, 4), "attention.out_proj.bias": (4,), "norm.weight": (4,),
    "norm.bias": (4,), "out.weight": (5, 4),
}  # fmt: skip
READ = [
    [0.514718194858088, 0.595842031253919, 0.0436056553497947, -0.554982078265205,
     -0.563642367230153],
    [0.730263295703481, 0.642138179163138, -0.128558411270684, -0.76260169699555,
     -0.586024805938063],
    [0.605258583683707, 0.611224005768076, -0.0325213104810251, -0.641697558033868,
     -0.568770697262191],
    [0.676439625924087, 0.67363283216805, -0.0452232015120463, -0.716008479843991,
     -0.625700617686653],
    [0.676439625924087, 0.67363283216805, -0.0452232015120463, -0.716008479843991,
     -0.625700617686653],
    [0.688119183195622, 0.633379061396087, -0.0946218841623189, -0.722042921795887,
     -0.581956408349295],
]  # fmt: skip
WORDS = np.array([[0, 3, 1], [4, 4, 2]])


def reader_state():
    """PyTorch's, in which the tied matrix stands under both names; it was filled by the latter."""
    state = filled(READER)
    state["embed.weight"] = state["out.weight"]
    return state


def test_attention_with_a_tied_matrix():
    model = Reader()
    model.load_state_dict(nn.from_torch(model, reader_state()))
    same(model(WORDS), np.ravel(READ))
    assert model.out.weight is model.embed.weight


@pytest.mark.parametrize("kept", ["embed.weight", "out.weight"])
def test_a_tied_matrix_may_be_in_a_file_once(kept):
    """As safetensors writes what shares memory, under whichever name."""
    state = reader_state()
    del state["out.weight" if kept == "embed.weight" else "embed.weight"]
    model = Reader()
    model.load_state_dict(nn.from_torch(model, state))
    same(model(WORDS), np.ravel(READ))


# --- and back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "shapes"), [(conv_net, CONV), (Reader, READER)])
def test_to_torch_has_pytorchs_names_and_shapes(make, shapes):
    model = make()
    state = nn.to_torch(model)
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    assert {name: state[name].shape for name in state if name not in counters} == shapes
    expected = {"1.num_batches_tracked", "6.1.num_batches_tracked"} if make is conv_net else set()
    assert counters == expected
    assert all(state[name].shape == () and state[name].dtype == np.int64 for name in counters)
    other = make()
    other.load_state_dict(nn.from_torch(other, state))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value)


def test_to_torch_gives_copies():
    model = nn.Sequential(nn.Linear(2, 1))
    nn.to_torch(model)["0.weight"][...] = 7
    assert not np.any(model[0].weight.data == 7)


def test_a_part_used_twice_has_both_names():
    """A normalization's buffers, too, as in PyTorch."""
    norm = nn.BatchNorm1d(3)
    model = nn.Sequential(norm, nn.Sequential({"again": norm}))
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    state = nn.to_torch(model)
    assert {*state} == {f"{place}.{kind}" for place in ("0", "1.again") for kind in kinds}
    state["1.again.running_var"] = state["0.running_var"] = np.full(3, 5, np.float32)
    model.load_state_dict(nn.from_torch(model, state))
    assert norm.running_var.tolist() == [5, 5, 5]


def test_an_attribute_called_layers_is_no_sequential():
    """Only what PyTorch does not name is left out: a ModuleList of that name is named."""

    class Stack(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1, bias=False))]

    assert [*nn.to_torch(Stack())] == ["layers.0.weight", "layers.0.bias", "layers.1.0.weight"]


def test_what_does_not_fit_is_named_and_nothing_changes():
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    before = model.state_dict()
    state = nn.to_torch(model)
    del state["0.bias"], state["1.num_batches_tracked"]
    with pytest.raises(ValueError, match=r"^from_torch for Sequential: missing 0\.bias$"):
        nn.from_torch(model, state)
    state |= {"0.bias": np.zeros(1, np.float32), "2.weight": np.zeros(1)}
    with pytest.raises(ValueError, match=r"unexpected 2\.weight$"):
        nn.from_torch(model, state)
    tied = reader_state()
    tied["out.weight"] = tied["out.weight"] + 1
    with pytest.raises(ValueError, match=r"out\.weight differs from another name of the same"):
        nn.from_torch(Reader(), tied)
    del state["2.weight"]
    state["0.weight"] = np.zeros((2, 1), np.float32)
    with pytest.raises(ValueError, match=r"weight has shape \(2, 1\), the module's has \(1, 2\)"):
        model.load_state_dict(nn.from_torch(model, state))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
