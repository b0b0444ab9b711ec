"""Recurrent networks against PyTorch's numbers, plain loops and their own parts.

PyTorch's numbers were computed in double precision with PyTorch 2.13.0 (CPU), on inputs that
`wave` makes.
"""

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor, check_gradients, grad, jvp, sigmoid, stop_gradient, vmap

from .test_nn import close, wave

T, N, D, H = 4, 2, 3, 2  # steps, examples, inputs, hidden units
KINDS = {
    "RNN": lambda **k: nn.RNN(D, H, dtype=float, **k),
    "RNN, relu": lambda **k: nn.RNN(D, H, nonlinearity="relu", dtype=float, **k),
    "GRU": lambda **k: nn.GRU(D, H, dtype=float, **k),
    "LSTM": lambda **k: nn.LSTM(D, H, dtype=float, **k),
}
CELLS = {
    "RNN": lambda **k: nn.RNNCell(D, H, dtype=float, **k),
    "RNN, relu": lambda **k: nn.RNNCell(D, H, nonlinearity="relu", dtype=float, **k),
    "GRU": lambda **k: nn.GRUCell(D, H, dtype=float, **k),
    "LSTM": lambda **k: nn.LSTMCell(D, H, dtype=float, **k),
}
ALL = KINDS | {"Jordan": lambda **k: nn.Jordan(D, H, 2, np.tanh, dtype=float, **k)}
X = wave(T, N, D, step=1.3)


def waved(model):
    """The model with parameters that any library can make alike."""
    for k, p in enumerate(model.parameters()):
        p.data = wave(*p.shape, step=0.7 + 0.1 * k)
    return model


def parts(state):
    """The arrays of a state: h, or h and c."""
    return state if isinstance(state, tuple) else (state,)


def total(outputs, last):
    """A number in which no two elements count alike."""
    return np.sum(outputs * wave(*outputs.shape, step=0.4)) + sum(
        np.sum(s * wave(*s.shape, step=0.6)) for s in parts(last)
    )


# For two layers, PyTorch's
#     o, last = model(x, state)           with packed sequences where there are lengths
#     (total of them as above).backward()
# where x is X and the state wave(2, N, H, step=0.9), with c wave(2, N, H, step=1.1): of outputs,
# last state (h and c stacked) and all gradients v the numbers (v * wave(*v.shape, step=0.31)).sum()
# and (v * v).sum().
TORCH = {
    "RNN": {
        "outputs": (1.2199167330917013, 10.5959646381929),
        "last": (3.649133575814259, 6.140768783105151),
        "x": (0.22415660294680592, 0.17977219581627543),
        "h": (-0.9712410030875696, 0.436987829999881),
        "weight_ih_l0": (0.20360667891074496, 0.04810618692387511),
        "weight_hh_l0": (0.7237315897567771, 0.29373805620716176),
        "bias_ih_l0": (0.10580407294889882, 0.02609226473469525),
        "bias_hh_l0": (0.10580407294889883, 0.026092264734695253),
        "weight_ih_l1": (-1.2878513242005694, 1.1023629590670823),
        "weight_hh_l1": (-0.5765136869702575, 3.809704542137538),
        "bias_ih_l1": (-0.4130591786168995, 0.5165448062902707),
        "bias_hh_l1": (-0.41305917861689945, 0.5165448062902706),
    },
    "RNN, relu": {
        "outputs": (-45.63662260718711, 6933.128018401061),
        "last": (114.23047549568096, 5129.641377628713),
        "x": (-7.381368364993547, 74.04416381406745),
        "h": (-11.865331224143464, 77.87193504749325),
        "weight_ih_l0": (-7.970945029815257, 30.352936449155834),
        "weight_hh_l0": (-56.64124209226942, 2424.074285596198),
        "bias_ih_l0": (-11.688852676059298, 379.9470726257633),
        "bias_hh_l0": (-11.688852676059298, 379.9470726257633),
        "weight_ih_l1": (-41.40554270911506, 5456.054457922342),
        "weight_hh_l1": (-34.395780421839774, 12455.769983587132),
        "bias_ih_l1": (-2.1399126245992712, 49.20683504774643),
        "bias_hh_l1": (-2.139912624599271, 49.206835047746424),
    },
    "GRU": {
        "outputs": (0.3069872988163166, 7.993013761598164),
        "last": (1.2367719643038866, 2.9499511793215474),
        "x": (3.064115012393636, 4.868995571275124),
        "h": (-0.3161369471227323, 0.8999215240393843),
        "weight_ih_l0": (2.0365556867568415, 1.8258172312203311),
        "weight_hh_l0": (0.7929939859479935, 1.8386436816700231),
        "bias_ih_l0": (1.4456968881063155, 1.0910601762700305),
        "bias_hh_l0": (1.1631434531292206, 0.9542986826758366),
        "weight_ih_l1": (0.3020842738211785, 0.7609799359742662),
        "weight_hh_l1": (0.03138522400114177, 0.8581794868785685),
        "bias_ih_l1": (0.19421166940867501, 0.24551440384912604),
        "bias_hh_l1": (0.1980638597969905, 0.23090885559507088),
    },
    "LSTM": {
        "outputs": (0.27321632389018335, 0.5691236743511987),
        "last": (-3.5207736159721463, 9.367279813535315),
        "x": (-0.7448964599423402, 4.538936415288395),
        "h": (0.42719030500697786, 0.29198091213320626),
        "c": (0.4194878924422161, 0.15795920522723947),
        "weight_ih_l0": (1.1884944688348376, 3.744486625372911),
        "weight_hh_l0": (2.0027940859064945, 3.011511460923338),
        "bias_ih_l0": (0.844381684302125, 5.598143927576658),
        "bias_hh_l0": (0.8443816843021255, 5.598143927576658),
        "weight_ih_l1": (0.3280721196437728, 0.2799023414708083),
        "weight_hh_l1": (-0.035622705521627815, 0.07960119888729489),
        "bias_ih_l1": (-0.8361763615477678, 0.30552265079504604),
        "bias_hh_l1": (-0.8361763615477678, 0.30552265079504604),
    },
    "RNN, lengths": {
        "outputs": (2.063887829895332, 8.233278218315798),
        "last": (3.713206887132009, 6.169798028827549),
        "x": (0.34805572288035047, 0.3509976203903057),
        "h": (-1.6808609533674086, 1.7072198336982198),
        "weight_ih_l0": (0.3377435756837087, 0.18092964971254596),
        "weight_hh_l0": (0.7601754980477851, 0.42258440126000335),
        "bias_ih_l0": (-0.03156229062780298, 0.0027633360271547705),
        "bias_hh_l0": (-0.03156229062780301, 0.002763336027154775),
        "weight_ih_l1": (-0.6323987582835265, 0.27540015410316754),
        "weight_hh_l1": (-0.03125419805921603, 5.850889448270633),
        "bias_ih_l1": (-0.13878434718929863, 0.06130997680490996),
        "bias_hh_l1": (-0.13878434718929863, 0.06130997680490996),
    },
    "RNN, relu, lengths": {
        "outputs": (5.790744959476267, 4232.290350325673),
        "last": (79.0502608642079, 3181.90913427336),
        "x": (-0.8364178984680908, 8.435677012389608),
        "h": (1.3386889745057449, 7.7149597045397105),
        "weight_ih_l0": (4.58803351988749, 18.714906166458594),
        "weight_hh_l0": (-22.20314217384572, 346.24413079330475),
        "bias_ih_l0": (-1.7469742216999846, 8.896039353766767),
        "bias_hh_l0": (-1.7469742216999844, 8.896039353766765),
        "weight_ih_l1": (-15.057252032491247, 806.7450813379908),
        "weight_hh_l1": (-14.36850927866544, 2245.2285591629866),
        "bias_ih_l1": (-0.5728870466053327, 3.5267230464891006),
        "bias_hh_l1": (-0.5728870466053327, 3.5267230464891006),
    },
    "GRU, lengths": {
        "outputs": (2.403226889228154, 5.420389212522241),
        "last": (1.2062755780764842, 3.152325751724761),
        "x": (2.7430693782474616, 1.7120629553389557),
        "h": (-0.059990429695466196, 0.7846721951619555),
        "weight_ih_l0": (0.1046450279835835, 1.724614376401254),
        "weight_hh_l0": (0.12230808108160979, 0.41673845652337355),
        "bias_ih_l0": (0.5802770622454058, 0.6808369181951437),
        "bias_hh_l0": (0.47117989680425004, 0.6845910713788913),
        "weight_ih_l1": (0.03522659791586198, 0.4656695719655205),
        "weight_hh_l1": (0.4246824450967352, 0.4775387005963817),
        "bias_ih_l1": (0.9205608566489227, 0.5350652533318849),
        "bias_hh_l1": (0.8661989741245382, 0.4806211962538236),
    },
    "LSTM, lengths": {
        "outputs": (0.8165810979458417, 0.41276246310781284),
        "last": (-3.7271345770424245, 9.666293779861494),
        "x": (-0.4559424005537821, 2.3310642930536862),
        "h": (0.7232850466254442, 0.4600816040737369),
        "c": (0.6536428638251003, 0.36635880784351194),
        "weight_ih_l0": (-0.8144059167955515, 3.854193588526851),
        "weight_hh_l0": (0.8369434192936259, 0.6837236005888488),
        "bias_ih_l0": (0.8306113143869811, 3.006270558827565),
        "bias_hh_l0": (0.8306113143869809, 3.0062705588275644),
        "weight_ih_l1": (0.509705497928308, 0.22285446498024136),
        "weight_hh_l1": (-0.09155552024105898, 0.07359509830684895),
        "bias_ih_l1": (-0.5131138282443153, 0.2015187404769492),
        "bias_hh_l1": (-0.5131138282443153, 0.20151874047694923),
    },
}  # fmt: skip
LENGTHS = np.array([4, 2])


@pytest.mark.parametrize("case", TORCH)
def test_values_and_gradients_are_pytorchs(case):
    kind, with_lengths, _ = case.partition(", lengths")
    model = waved(KINDS[kind](num_layers=2))
    x, *state = (Tensor(wave(*s, step=k)) for s, k in STATES[: 3 if kind == "LSTM" else 2])
    outputs, last = model(
        x, tuple(state) if kind == "LSTM" else state[0], LENGTHS if with_lengths else None
    )
    total(outputs, last).backward()
    found = {"outputs": outputs.data, "x": x.grad, "h": state[0].grad}
    found["last"] = np.stack([s.data for s in last]) if kind == "LSTM" else last.data
    if kind == "LSTM":
        found["c"] = state[1].grad
    found |= {name: p.grad for name, p in model.named_parameters()}
    assert found.keys() == TORCH[case].keys()
    for name, numbers in TORCH[case].items():
        v = found[name]
        sums = np.sum(v * wave(*v.shape, step=0.31)), np.sum(v * v)
        np.testing.assert_allclose(sums, numbers, rtol=1e-11, atol=1e-13, err_msg=name)


STATES = [((T, N, D), 1.3), ((2, N, H), 0.9), ((2, N, H), 1.1)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_its_cell_step_by_step(kind):
    layer, cell = waved(KINDS[kind]()), waved(CELLS[kind]())
    assert [n.removesuffix("_l0") for n, _ in layer.named_parameters()] == [
        n for n, _ in cell.named_parameters()
    ]
    outputs, last = layer(X)
    state = None
    for t in range(T):
        state = cell(X[t], state)
        close(outputs[t].data, parts(state)[0].data, 1e-13)
    for a, b in zip(parts(last), parts(state), strict=True):
        close(a.data, b.data[None], 1e-13)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_without_biases_they_are_zero(kind):
    bare, full = KINDS[kind](bias=False), KINDS[kind]()
    assert [n for n, _ in bare.named_parameters()] == ["weight_ih_l0", "weight_hh_l0"]
    for name, p in full.named_parameters():
        p.data = getattr(bare, name).data if "weight" in name else 0 * p.data
    close(bare(X)[0].data, full(X)[0].data, 1e-14)


def test_jordan_is_its_formula():
    model = waved(nn.Jordan(D, 5, 2, sigmoid, dtype=float))
    w, u, v, b, c = (p.data for p in model.parameters())
    y = wave(N, 2, step=0.9)
    outputs, last = model(X, y)
    for t in range(T):
        y = sigmoid(np.tanh(X[t] @ w.T + y @ u.T + b) @ v.T + c)
        close(outputs[t].data, y, 1e-13)
    close(last.data, y, 1e-13)


@pytest.mark.parametrize("kind", ALL)
def test_derivatives_are_finite_differences(kind):
    model = waved(ALL[kind]())
    check_gradients(lambda m, x: total(*m(x, lengths=LENGTHS)), model, X, order=2)


@pytest.mark.parametrize("kind", ALL)
def test_lengths_are_shorter_sequences(kind):
    """The second example of two steps is as if alone, and outputs beyond are 0."""
    model = waved(ALL[kind]())
    outputs, last = model(X, lengths=LENGTHS)
    for i, n in enumerate(LENGTHS):
        alone, end = model(X[:n, i])
        close(outputs[:n, i].data, alone.data, 1e-13)
        assert not np.any(outputs[n:, i].data)
        for a, b in zip(parts(last), parts(end), strict=True):
            close(a[..., i, :].data, b.data, 1e-13)


@pytest.mark.parametrize("kind", ALL)
def test_beyond_its_length_an_example_does_not_count(kind):
    model = waved(ALL[kind]())
    slope = grad(lambda x: total(*model(x, lengths=LENGTHS)))(X)
    assert not np.any(slope[2:, 1])
    assert np.any(slope[1, 1]) and np.any(slope[3, 0])


def test_a_length_of_zero_leaves_the_state():
    h = wave(1, N, H, step=0.9)
    outputs, last = KINDS["GRU"]()(X, h, lengths=[0, 4])
    assert np.array_equal(last.data[:, 0], h[:, 0]) and not np.any(outputs.data[:, 0])
    assert np.all(last.data[:, 1] != h[:, 1])


@pytest.mark.parametrize("kind", ALL)
def test_batch_first_swaps_axes_of_sequences_only(kind):
    model, other = waved(ALL[kind]()), waved(ALL[kind](batch_first=True))
    outputs, last = model(X, lengths=LENGTHS)
    swapped, same = other(X.swapaxes(0, 1), lengths=LENGTHS)
    close(np.swapaxes(swapped.data, 0, 1), outputs.data, 1e-15)
    for a, b in zip(parts(last), parts(same), strict=True):
        close(a.data, b.data, 1e-15)
    one, _ = other(X[:, 0])  # a single example has no axis to swap
    close(one.data, model(X[:, 0])[0].data, 1e-15)


@pytest.mark.parametrize("kind", ALL)
def test_vmap_over_examples_is_the_batch(kind):
    model = waved(ALL[kind]())
    outputs, _ = model(X, lengths=LENGTHS)
    each = vmap(lambda x, n: model(x, lengths=n)[0], in_axes=(1, 0), out_axes=1)(X, LENGTHS)
    close(each.data, outputs.data, 1e-13)


@pytest.mark.parametrize("kind", ALL)
def test_forward_mode_agrees_with_reverse(kind):
    model, v = waved(ALL[kind]()), wave(T, N, D, step=0.5)

    def f(x):
        return total(*model(x))

    _, along = jvp(f, (X,), (v,))
    close(along.data, np.sum(grad(f)(X).data * v), 1e-12)


# --- truncated backpropagation -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_truncation_changes_derivatives_only(kind):
    """Every two steps the state goes on as a constant: as pieces fed one after the other."""
    whole, model = waved(ALL[kind]()), waved(ALL[kind](truncate=2))
    outputs, last = model(X)
    full, _ = whole(X)
    assert np.array_equal(outputs.data, full.data)

    def in_pieces(m):
        first, state = m(X[:2])
        state = stop_gradient(state)
        second, _ = m(X[2:], state)
        return np.sum(np.concatenate([first, second]) ** 2)

    found = grad(lambda m: np.sum(m(X)[0] ** 2))(model)
    expected = grad(in_pieces)(whole)
    changed = grad(lambda m: np.sum(m(X)[0] ** 2))(whole)
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        close(a, b, 1e-12)
    assert np.any(abs(found.parameters()[0] - changed.parameters()[0]) > 1e-6)


def test_truncation_reaches_back_to_the_last_cut():
    model = waved(KINDS["RNN"](truncate=3))
    slope = grad(lambda x: np.sum(model(x)[1]))(X)
    assert not np.any(slope[:3]) and np.all(slope[3] != 0)


# --- zoneout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_zoneout_of_everything_keeps_the_first_state(kind):
    model = ALL[kind](zoneout=1.0)
    for mode in (True, False):
        outputs, _ = model.train(mode)(X)
        assert not np.any(outputs.data)


def test_zoneout_keeps_units_with_its_probability():
    model = nn.RNN(D, 500, zoneout=0.3, generator=np.random.default_rng(0))
    outputs, _ = model(np.ones((3, 4, D), np.float32))
    stayed = np.mean(outputs.data[1:] == outputs.data[:-1])
    assert stayed == pytest.approx(0.3, abs=0.03)


def test_zoneout_in_evaluation_is_the_expected_step():
    model, plain = waved(KINDS["RNN"](zoneout=0.25)), waved(KINDS["RNN"]())
    h = wave(1, N, H, step=0.9)
    found = model.eval()(X[:1], h)[1]
    close(found.data, 0.25 * h + 0.75 * plain(X[:1], h)[1].data, 1e-14)


# --- parameters, precision, errors ---------------------------------------------------------------


@pytest.mark.parametrize("kind, gates", [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_parameters_have_pytorchs_names_and_shapes(kind, gates):
    model = kind(3, 5, num_layers=2)
    assert {name: p.shape for name, p in model.named_parameters()} == {
        "weight_ih_l0": (5 * gates, 3), "weight_hh_l0": (5 * gates, 5),
        "bias_ih_l0": (5 * gates,), "bias_hh_l0": (5 * gates,),
        "weight_ih_l1": (5 * gates, 5), "weight_hh_l1": (5 * gates, 5),
        "bias_ih_l1": (5 * gates,), "bias_hh_l1": (5 * gates,),
    }  # fmt: skip


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.LSTMCell])
def test_parameters_start_within_one_over_the_root_of_hidden(make):
    first, second = (make(7, 100, generator=np.random.default_rng(0)) for _ in range(2))
    for p, same in zip(first.parameters(), second.parameters(), strict=True):
        assert p.dtype == np.float32 and np.array_equal(p.data, same.data)
        assert 0.085 < np.abs(p.data).max() <= 0.1
        assert np.std(p.data) == pytest.approx(0.1 / np.sqrt(3), rel=0.15)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM, lambda *n: nn.Jordan(*n, 2)])
def test_single_precision_stays(kind):
    model = kind(D, H)
    x = Tensor(X.astype(np.float32))
    outputs, last = model(x, lengths=LENGTHS)
    loss = np.sum(outputs * outputs)
    loss.backward()
    assert {loss.dtype, x.grad.dtype, *(s.dtype for s in parts(last))} == {np.dtype(np.float32)}
    assert all(p.grad.dtype == np.float32 for p in model.parameters())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("shape", [(3,), (T, N, 2), (T, 1, N, D), (0, N, D)])
def test_sequences_of_another_shape(kind, shape):
    with pytest.raises(ValueError, match=r"wanted.*shape|wanted, got") as caught:
        ALL[kind]()(np.zeros(shape))
    assert str(shape) in str(caught.value)


def test_batch_first_says_its_own_shape():
    with pytest.raises(ValueError, match=r"LSTM: x of shape \(N, T, 3\) or \(T, 3\) wanted"):
        nn.LSTM(3, 2, batch_first=True)(np.zeros((4, 2)))


@pytest.mark.parametrize(
    "make, state, message",
    [
        (KINDS["RNN"], np.zeros((N, H)), r"RNN: the state is h of shape \(1, 2, 2\), got \(2, 2\)"),
        (KINDS["LSTM"], np.zeros((2, N, H)), r"h and c of shape \(1, 2, 2\) each, got \(2, 2\), "),
        (KINDS["LSTM"], (np.zeros((1, N, H)),), r"h and c of shape \(1, 2, 2\) each, got"),
        (ALL["Jordan"], np.zeros((N, 3)), r"Jordan: a state of shape \(2, 2\) wanted"),
    ],
)
def test_a_state_of_another_shape(make, state, message):
    with pytest.raises(ValueError, match=message):
        make()(X, state)


@pytest.mark.parametrize(
    "lengths, message",
    [
        ([4], r"integers of shape \(2,\), got int64 of shape \(1,\)"),
        ([4.0, 2.0], r"integers of shape \(2,\), got float64"),
        ([5, 2], "between 0 and the 4 steps"),
        ([4, -1], "between 0 and the 4 steps"),
    ],
)
def test_lengths_that_do_not_fit(lengths, message):
    with pytest.raises(ValueError, match=f"GRU: lengths are .*{message}"):
        KINDS["GRU"]()(X, lengths=lengths)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("shape", [(), (2,), (N, 2), (T, N, D)])
def test_cells_say_the_shape_they_want(kind, shape):
    with pytest.raises(ValueError, match=r"Cell: x of shape \(N, 3\) or \(3,\) wanted"):
        CELLS[kind]()(np.zeros(shape))


def test_a_cell_says_the_state_it_wants():
    with pytest.raises(ValueError, match=r"GRUCell: the state is h of shape \(2, 2\), got \(2,\)"):
        CELLS["GRU"]()(X[0], np.zeros(2))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.RNN(0, 2), "RNN: input_size is a positive integer, got 0"),
        (lambda: nn.GRU(2, 1.5), "GRU: hidden_size is a positive integer, got 1.5"),
        (lambda: nn.LSTM(2, 2, num_layers=0), "LSTM: num_layers is a positive integer"),
        (lambda: nn.LSTM(2, 2, truncate=0), "LSTM: truncate is a positive integer"),
        (lambda: nn.RNN(2, 2, zoneout=1.1), r"RNN: zoneout is a probability.*\[0, 1\]; got 1.1"),
        (lambda: nn.RNN(2, 2, nonlinearity="sin"), '"tanh" or "relu", not \'sin\''),
        (lambda: nn.RNNCell(2, 2, nonlinearity="sin"), "RNNCell: nonlinearity"),
        (lambda: nn.LSTMCell(2, -1), "LSTMCell: hidden_size is a positive integer"),
        (lambda: nn.Jordan(2, 2, 0), "Jordan: output_size is a positive integer"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_jordans_output_is_called():
    with pytest.raises(TypeError, match="output is a function or module"):
        nn.Jordan(2, 2, 2, output="tanh")


# --- learning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda g: nn.RNN(1, 8, generator=g),
        lambda g: nn.Jordan(1, 8, 8, np.tanh, generator=g),
    ],
    ids=["RNN", "Jordan"],
)
def test_the_input_of_three_steps_ago_is_learned(make):
    """No input of a step tells it: only backpropagation through time can bring it about."""
    generator = np.random.default_rng(0)
    net, out = make(generator), nn.Linear(8, 1, generator=generator)
    optimizer = optim.Adam([*net.parameters(), *out.parameters()], lr=0.02)
    x = generator.choice([-1.0, 1.0], (15, 32, 1)).astype(np.float32)
    for _ in range(200):
        optimizer.zero_grad()
        found = out(net(x)[0])[3:]
        np.mean(np.square(found - x[:-3])).backward()
        optimizer.step()
    fresh = generator.choice([-1.0, 1.0], (15, 200, 1)).astype(np.float32)
    assert np.mean(np.sign(out(net(fresh)[0]).data[3:]) == fresh[:-3]) > 0.97
