"""Losses against PyTorch's, their formulas and the lectures' derivatives; penalties."""

import numpy as np
import pytest
from sklearn.metrics import hinge_loss

import autograd
import nn
from autograd import Tensor, check_gradients, grad, vmap

Z = 3 * np.sin(1.3 * np.arange(12.0)).reshape(4, 3)
Z3 = 2 * np.sin(1.7 * np.arange(24.0)).reshape(2, 3, 4)
P = np.abs(np.cos(0.9 * np.arange(12.0))).reshape(4, 3) + 0.1
P /= P.sum(1, keepdims=True)
P3 = np.exp(Z3[::-1]) / np.exp(Z3[::-1]).sum(1, keepdims=True)
Y, Y3 = np.array([2, 0, 1, 1]), np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
W = [0.5, 2.0, 1.25]
X, T = np.array([-1.5, -0.2, 0.0, 0.3, 0.9, 2.5]), np.array([0.5, -0.2, 0.4, 0.3, 1.9, -1.0])
PR, T01 = np.array([0.02, 0.3, 0.5, 0.8, 0.97]), np.array([0.0, 1.0, 0.25, 0.9, 1.0])

CASES = {
    "weights": (Z, lambda x, r: nn.cross_entropy(x, Y, r, weight=W)),
    "ignored": (Z, lambda x, r: nn.cross_entropy(x, Y, r, ignore_index=1)),
    "smoothed": (Z, lambda x, r: nn.cross_entropy(x, Y, r, label_smoothing=0.1)),
    "weights, ignored, smoothed": (
        Z,
        lambda x, r: nn.cross_entropy(x, Y, r, weight=W, ignore_index=0, label_smoothing=0.2),
    ),
    "probabilities": (Z, lambda x, r: nn.cross_entropy(x, P, r)),
    "probabilities, weights, smoothed": (
        Z,
        lambda x, r: nn.cross_entropy(x, P, r, weight=W, label_smoothing=0.2),
    ),
    "places, weights, ignored": (
        Z3,
        lambda x, r: nn.cross_entropy(x, Y3, r, weight=W, ignore_index=2),
    ),
    "places": (Z3, lambda x, r: nn.cross_entropy(x, Y3, r)),
    "places, probabilities, weights": (Z3, lambda x, r: nn.cross_entropy(x, P3, r, weight=W)),
    "nll": (Z, lambda x, r: nn.nll(x, Y, r)),
    "nll, places, weights, ignored": (Z3, lambda x, r: nn.nll(x, Y3, r, weight=W, ignore_index=1)),
    "multi_margin": (Z, lambda x, r: nn.multi_margin(x, Y, r, margin=1.5)),
    "mse": (X, lambda x, r: nn.mse(x, T, r)),
    "mae": (X, lambda x, r: nn.mae(x, T, r)),
    "huber": (X, lambda x, r: nn.huber(x, T, r, delta=0.7)),
    "binary_cross_entropy": (PR, lambda x, r: nn.binary_cross_entropy(x, T01, r)),
    "binary_cross_entropy_with_logits": (
        Z3[0],
        lambda x, r: nn.binary_cross_entropy_with_logits(x, P3[0], r, pos_weight=[1, 3, 0.5, 2]),
    ),
    "binary_cross_entropy, weights": (
        PR,
        lambda x, r: nn.binary_cross_entropy(x, T01, r, weight=[0.5, 1, 2, 0, 1.5]),
    ),
    "logits, both weights": (
        Z3[0],
        lambda x, r: nn.binary_cross_entropy_with_logits(
            x, P3[0], r, weight=[[0.5], [1], [2]], pos_weight=[1, 3, 0.5, 2]
        ),
    ),
    "kl_div": (Z, lambda x, r: nn.kl_div(x, P, r)),
    "kl_div batchmean": (Z, lambda x, r: nn.kl_div(x, P, "batchmean")),
    "kl_div of logarithms": (Z, lambda x, r: nn.kl_div(x, np.log(P), r, log_target=True)),
}

# PyTorch 2.13 in float64 for the same calls, F.cross_entropy(x, torch.tensor(Y), ...) and so on:
# the losses with reduction="none", with "mean", and torch.autograd.grad of the mean by x
TORCH = {
    "weights": (
        [2.02373894929, 1.40364851527, 4.3289101621, 3.74414592772],
        2.00007713989,
        [[0.00917244334481, 0.16515398099, -0.174326424335], [-0.0817071352368,
         0.00291842977531, 0.0787887054615], [0.306611806265, -0.307891310939,
         0.00127950467371], [0.00154215035772, -0.294328869581, 0.292786719224]],
    ),
    "ignored": (
        [1.61899115943, 2.80729703054, 0.0, 0.0],
        2.21314409499,
        [[0.0210966196931, 0.379854156277, -0.40095077597], [-0.469816027612, 0.016780971208,
         0.453035056404], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "smoothed": (
        [1.62573561525, 2.73657726547, 2.21120306589, 1.93362753319],
        2.12678586995,
        [[0.00221497651319, 0.181593744805, -0.183808721318], [-0.218241347139,
         5.71522706844e-05, 0.218184194869], [0.21204390242, -0.204630213071, -0.0074136893491],
         [-0.00722491276372, -0.194882208345, 0.202107121109]],
    ),
    "weights, ignored, smoothed": (
        [1.89606636103, 0.0, 4.2230286095, 3.43989881336],
        1.82076072074,
        [[0.00369680302844, 0.155486106164, -0.159182909192], [0.0, 0.0, 0.0], [0.304277754522,
         -0.289700998741, -0.014576755781], [-0.00478686116538, -0.275960953985,
         0.28074781515]],
    ),
    "probabilities": (
        [1.95926649132, 2.69625953643, 2.53400399195, 1.67450235815],
        2.21600809446,
        [[-0.117429378263, 0.105972554996, 0.0114568232665], [-0.0934973775927,
         -0.0994079063137, 0.192905283906], [0.148147492231, -0.0794271064182,
         -0.0687203858127], [-0.035534482333, -0.0693974516944, 0.104931934027]],
    ),
    "probabilities, weights, smoothed": (
        [1.31944491383, 3.39719179046, 3.83374461681, 2.12712425058],
        2.66937639292,
        [[-0.0474535092318, 0.0496814186901, -0.0022279094583], [-0.0329327457131,
         -0.195338581328, 0.228271327041], [0.257234272127, -0.167989701569, -0.0892445705579],
         [-0.021415546782, -0.15125609796, 0.172671644742]],
    ),
    "places, weights, ignored": (
        [[1.11294061856, 0.0, 2.78485047156, 2.82003211742], [0.0, 0.0, 0.93598512273,
         2.17414601681]],
        1.40399347815,
        [[[-0.0637162694597, 0.0, 0.172644444558, 0.037698530375], [0.0207188396532, 0.0,
         -0.214722294228, -0.215960182126], [0.0429974298065, 0.0, 0.0420778496703,
         0.178261651751]], [[0.0, 0.0, -0.0604414071916, 0.042071907219], [0.0, 0.0,
         0.0178785748417, -0.18937084623], [0.0, 0.0, 0.0425628323499, 0.147298939011]]],
    ),
    "places": (
        [[2.22588123711, 1.87486083001, 1.39242523578, 1.41001605871], [1.71885536301,
         2.06370241307, 1.87197024546, 1.0870730084]],
        1.70559804894,
        [[[-0.111503471555, 0.0630105001745, 0.0755319444942, 0.016493107039], [0.0362579693931,
         0.0428174609829, -0.0939410037249, -0.0944825796801], [0.0752455021614,
         -0.105827961157, 0.0184090592308, 0.077989472641]], [[0.0574479202354, 0.0787809705371,
         -0.105772462585, 0.0184064594083], [0.0451431758898, 0.030346160071, 0.031287505973,
         -0.0828497452257], [-0.102591096125, -0.109127130608, 0.0744849566123,
         0.0644432858174]]],
    ),
    "places, probabilities, weights": (
        [[1.51917358912, 1.03364831985, 2.16252994159, 1.40404491176], [1.9261771811,
         1.48183540316, 1.34919547061, 1.17387444439]],
        1.5063099077,
        [[[-0.0128497275533, 0.0210612301497, 0.0902666391649, 0.0137628078456],
         [-0.0476407603014, -0.0196136275575, -0.0215038434911, -0.0418061378497],
         [0.0604904878547, -0.0014476025922, -0.0687627956738, 0.0280433300042]],
         [[0.0729072207355, 0.0574259997304, -0.0188621821337, 0.0163103484597],
         [-0.00992182653077, -0.0513789090749, -0.0313572958821, -0.00480025190498],
         [-0.0629853942047, -0.00604709065559, 0.0502194780158, -0.0115100965547]]],
    ),
    "nll": (
        [-1.54650411546, 2.06329847755, -0.957295087048, -1.26050111048],
        -0.42525045886,
        [[0.0, 0.0, -0.25], [-0.25, 0.0, 0.0], [0.0, -0.25, 0.0], [0.0, -0.25, 0.0]],
    ),
    "nll, places, weights, ignored": (
        [[-0.0, -0.991851432827, 0.0, 0.0], [-1.3227067153, 2.27416667958, 0.971798445744,
         0.0]],
        0.196085679411,
        [[[-0.105263157895, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, -0.263157894737, 0.0,
         0.0]], [[0.0, 0.0, -0.105263157895, 0.0], [0.0, 0.0, 0.0, 0.0], [-0.263157894737,
         -0.263157894737, 0.0, 0.0]]],
    ),
    "multi_margin": (
        [0.948056813596, 1.70719765074, 1.17944498303, 1.06660492745],
        1.2253260937,
        [[0.0, 0.0833333333333, -0.0833333333333], [-0.166666666667, 0.0833333333333,
         0.0833333333333], [0.0833333333333, -0.0833333333333, 0.0], [0.0, -0.0833333333333,
         0.0833333333333]],
    ),
    "mse": (
        [4.0, 0.0, 0.16, 0.0, 1.0, 12.25],
        2.90166666667,
        [-0.666666666667, 0.0, -0.133333333333, 0.0, -0.333333333333, 1.16666666667],
    ),
    "mae": (
        [2.0, 0.0, 0.4, 0.0, 1.0, 3.5],
        1.15,
        [-0.166666666667, 0.0, -0.166666666667, 0.0, -0.166666666667, 0.166666666667],
    ),
    "huber": (
        [1.155, 0.0, 0.08, 0.0, 0.455, 2.205],
        0.649166666667,
        [-0.116666666667, 0.0, -0.0666666666667, 0.0, -0.116666666667, 0.116666666667],
    ),
    "binary_cross_entropy": (
        [0.0202027073175, 1.20397280433, 0.69314718056, 0.361772987426, 0.0304592074847],
        0.461910977423,
        [0.204081632653, -0.666666666667, 0.2, -0.125, -0.20618556701],
    ),
    "binary_cross_entropy_with_logits": (
        [[0.69314718056, 1.02478584251, 0.473074178206, 0.712596614521], [0.947774833427,
         1.48322559599, 0.368054210894, 1.17473778599], [1.5752551358, 1.16061013285,
         0.668673439206, 1.14870651323]],
        0.952553455266,
        [[0.00336805317643, 0.00802607276552, 0.022432752922, -0.0115701906535],
         [0.0306326761227, 0.0422548913943, 0.00399534935174, -0.0311183099499],
         [0.0557201293526, 0.0402087385958, -0.0173659917922, -0.0321165584831]],
    ),
    "binary_cross_entropy, weights": (
        [0.0101013536588, 1.20397280433, 1.38629436112, 0.0, 0.0456888112271],
        0.529211466066,
        [0.102040816327, -0.666666666667, 0.4, 0.0, -0.309278350515],
    ),
    "logits, both weights": (
        [[0.34657359028, 0.512392921254, 0.236537089103, 0.356298307261], [0.947774833427,
         1.48322559599, 0.368054210894, 1.17473778599], [3.15051027161, 2.3212202657,
         1.33734687841, 2.29741302646]],
        1.2110070647,
        [[0.00168402658822, 0.00401303638276, 0.011216376461, -0.00578509532673],
         [0.0306326761227, 0.0422548913943, 0.00399534935174, -0.0311183099499],
         [0.111440258705, 0.0804174771917, -0.0347319835844, -0.0642331169663]],
    ),
    "kl_div": (
        [[-0.342777989548, -1.33718070161, -0.522076356442], [0.534003843299, 0.780100651665,
         -0.356549338978], [-1.22421875432, -0.776556557278, 0.335764677104], [0.0536026451973,
         -0.906460321203, -1.61343000537]],
        -0.44798151729,
        [[-0.0426592293698, -0.0279848410473, -0.0126892629162], [-0.0361964545956,
         -0.0359327973059, -0.0112040814318], [-0.024076581174, -0.0360434088937,
         -0.0232133432656], [-0.0122143009675, -0.0359495255609, -0.0351695068049]],
    ),
    "kl_div batchmean": (
        -1.34394455187,
        -1.34394455187,
        [[-0.12797768811, -0.0839545231419, -0.0380677887486], [-0.108589363787,
         -0.107798391918, -0.0336122442955], [-0.0722297435221, -0.108130226681,
         -0.0696400297969], [-0.0366429029026, -0.107848576683, -0.105508520415]],
    ),
    "kl_div of logarithms": (
        [[-0.342777989548, -1.33718070161, -0.522076356442], [0.534003843299, 0.780100651665,
         -0.356549338978], [-1.22421875432, -0.776556557278, 0.335764677104], [0.0536026451973,
         -0.906460321203, -1.61343000537]],
        -0.44798151729,
        [[-0.0426592293698, -0.0279848410473, -0.0126892629162], [-0.0361964545956,
         -0.0359327973059, -0.0112040814318], [-0.024076581174, -0.0360434088937,
         -0.0232133432656], [-0.0122143009675, -0.0359495255609, -0.0351695068049]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name):
    x, loss = CASES[name]
    none, mean, slope = TORCH[name]
    np.testing.assert_allclose(loss(x, "none"), none, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(loss(x, "mean"), mean, rtol=1e-11)
    np.testing.assert_allclose(loss(x, "sum"), np.sum(none), rtol=1e-11)
    found = grad(lambda x: loss(x, "mean"))(x)
    np.testing.assert_allclose(found, slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_finite_differences_also_of_the_sum(name):
    x, loss = CASES[name]
    check_gradients(lambda x: loss(x, "sum"), x + 0.01)  # off the kinks at equal values


@pytest.mark.parametrize("name", CASES)
def test_single_precision_is_kept(name):
    x, loss = CASES[name]
    for reduction in ("none", "mean", "sum"):
        found = loss(Tensor(x.astype(np.float32)), reduction)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.data, loss(x, reduction), rtol=2e-5, atol=1e-6)


# --- the lectures' derivatives at the pre-activation ---------------------------------------------


def test_half_squared_errors_derivative_is_o_minus_y():
    """For a linear output (lectures A, D)."""
    found = grad(lambda z: nn.half_squared_error(z, P, "sum"))(Z)
    np.testing.assert_allclose(found, Z - P, rtol=1e-15)


def test_cross_entropys_derivative_by_the_logits_is_o_minus_y():
    o = autograd.softmax(Z, axis=1)
    onehot = np.eye(3)[Y]
    found = grad(lambda z: nn.cross_entropy(z, Y, "sum"))(Z)
    np.testing.assert_allclose(found, o - onehot, rtol=1e-13, atol=1e-15)
    found = grad(lambda z: nn.cross_entropy(z, P, "sum"))(Z)
    np.testing.assert_allclose(found, o - P, rtol=1e-13, atol=1e-14)
    found = grad(lambda z: nn.nll(nn.log_softmax(z), Y, "sum"))(Z)
    np.testing.assert_allclose(found, o - onehot, rtol=1e-13, atol=1e-14)
    found = grad(lambda z: nn.kl_divergence(P, nn.softmax(z), "sum"))(Z)
    np.testing.assert_allclose(found, o - P, rtol=1e-12, atol=1e-14)


def test_binary_cross_entropys_derivative_by_the_logits_is_o_minus_y():
    o = autograd.sigmoid(X)
    y = autograd.sigmoid(T)
    found = grad(lambda z: nn.binary_cross_entropy_with_logits(z, y, "sum"))(X)
    np.testing.assert_allclose(found, o - y, rtol=1e-13, atol=1e-15)
    found = grad(lambda z: nn.binary_cross_entropy(nn.sigmoid(z), y, "sum"))(X)
    np.testing.assert_allclose(found, o - y, rtol=1e-12, atol=1e-14)


# --- formulas -------------------------------------------------------------------------------------


def test_half_squared_error_is_half_the_squared_distance_of_each_example():
    each = [0.5 * np.sum((Z3[n] - P3[n]) ** 2) for n in range(2)]
    np.testing.assert_allclose(nn.half_squared_error(Z3, P3, "none"), each)
    np.testing.assert_allclose(nn.half_squared_error(Z3, P3), np.mean(each))
    np.testing.assert_allclose(nn.half_squared_error(X, T, "none"), 0.5 * (X - T) ** 2)
    assert nn.half_squared_error(3.0, 1.0) == 2


def test_huber_has_second_derivative_one_where_it_is_a_square():
    """At r = 0 too, where a form by |r| has 0."""
    r = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    slope = grad(lambda r: nn.huber(r, np.zeros(5), "sum"))
    assert slope(r).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert grad(lambda r: np.sum(slope(r)))(r).tolist() == [0, 1, 1, 1, 0]


def test_hinge_is_scikit_learns():
    scores, y = np.array([2.0, 0.5, -1.0, -0.3]), np.array([1, 1, 1, -1])
    np.testing.assert_allclose(nn.hinge(scores, y), hinge_loss(y, scores))
    found = grad(lambda s: nn.hinge(s, y, "sum"))(scores)
    assert found.tolist() == [0, -1, -1, 1]
    assert nn.hinge(scores, y, "none", margin=0.2).tolist() == [0, 0, 1.2, 0]
    assert grad(nn.hinge)(np.array([1.0]), [1]).tolist() == [0]  # at the kink


def test_multi_margin_is_the_loop():
    expected = [
        sum(max(0, 1 - row[y] + row[c]) for c in range(3) if c != y) / 3
        for row, y in zip(Z, Y, strict=True)
    ]
    np.testing.assert_allclose(nn.multi_margin(Z, Y, "none"), expected)
    np.testing.assert_allclose(nn.multi_margin(Z[0], 2), expected[0])


def test_kl_divergence_is_the_lectures_sum():
    """Lecture C: Σ d log d - Σ d log y; and -d/y its derivative by y."""
    each = np.sum(P * np.log(P), axis=1) - np.sum(P * np.log(P[::-1]), axis=1)
    np.testing.assert_allclose(nn.kl_divergence(P, P[::-1], "none"), each)
    np.testing.assert_allclose(nn.kl_div(np.log(P[::-1]), P, "batchmean"), each.mean())
    np.testing.assert_allclose(nn.kl_divergence(P, P, "none"), 0, atol=1e-16)
    found = grad(lambda q: nn.kl_divergence(P, q, "sum"))(P[::-1])
    np.testing.assert_allclose(found, -P / P[::-1])


def test_kl_of_a_one_hot_target_is_minus_the_logarithm():
    """0 log 0 is 0, also where the output is 0."""
    p, q = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.25, 0.75])
    np.testing.assert_allclose(nn.kl_divergence(p, q), np.log(4))
    assert grad(lambda q: nn.kl_divergence(p, q))(q).tolist() == [0, -4, 0]
    found = nn.kl_div(np.array([-9.0, np.log(0.25), -1.0]), p, "sum")
    np.testing.assert_allclose(found, np.log(4))


def test_a_target_of_0_contributes_0_where_the_output_is_0_too():
    """As masked logits of -inf make it; 0·∞ would be no number."""
    log_q, p = np.array([[-np.inf, np.log(0.25), np.log(0.75)]]), np.array([[0.0, 0.5, 0.5]])
    expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    np.testing.assert_allclose(nn.kl_div(log_q, p, "sum"), expected)
    np.testing.assert_allclose(grad(lambda q: nn.kl_div(q, p, "sum"))(log_q), -p)
    log_p = np.array([[-np.inf, np.log(0.5), np.log(0.5)]])
    np.testing.assert_allclose(nn.kl_div(log_q, log_p, "sum", log_target=True), expected)
    slope = grad(lambda q: nn.kl_div(q, log_p, "sum", log_target=True))(log_q)
    np.testing.assert_allclose(slope, -p)


@pytest.mark.parametrize(
    "labels, found",
    [
        ([0.0, np.inf, 1.0, 2.0], "float64 with fractions, inf or nan"),
        ([0.5, 0.0, 1.0, 2.0], "float64 with fractions, inf or nan"),
        ([True, False, True, True], r"bool\b"),
        (list("abca"), r"<U1\b"),
    ],
)
def test_labels_that_are_no_class_numbers_are_named(labels, found):
    with pytest.raises(TypeError, match=rf"class numbers 0\.\.2, integers; got {found}"):
        nn.cross_entropy(Z, labels)


def test_sparsity_kl_is_the_sum_over_units():
    code = autograd.sigmoid(Z)
    s, mean = 0.1, code.mean(0)
    expected = np.sum(s * np.log(s / mean) + (1 - s) * np.log((1 - s) / (1 - mean)))
    np.testing.assert_allclose(nn.sparsity_kl(code), expected)
    slope = (-s / mean + (1 - s) / (1 - mean)) / 4
    np.testing.assert_allclose(grad(nn.sparsity_kl)(code), np.broadcast_to(slope, (4, 3)))
    np.testing.assert_allclose(nn.sparsity_kl(np.full((2, 3), 0.3), 0.3), 0, atol=1e-15)


def test_sparsity_kl_is_finite_for_units_that_are_always_off_or_on():
    code = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    value, slope = autograd.value_and_grad(nn.sparsity_kl)(code)
    assert np.isfinite(value) and np.isfinite(slope).all()
    assert (slope[:, 0] < 0).all() and (slope[:, 1] > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_finite_at_zero_and_one(dtype):
    """PyTorch's values, and its gradients where the output is wrong."""
    p, y = np.array([0, 0, 1, 1], dtype), np.array([0, 1, 0, 1])
    assert nn.binary_cross_entropy(p, y, "none").tolist() == [0, 100, 100, 0]
    slope = grad(lambda p: nn.binary_cross_entropy(p, y, "sum"))(p)
    np.testing.assert_allclose(slope, [1, -1e12, 1e12, -1], rtol=1e-6)


# --- cross entropy --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(70, 63), (3, 64), (70, 100), (1, 5)])
def test_few_and_many_classes_have_the_same_formula(shape):
    """The two ways the scores are laid out in memory."""
    draws = np.random.default_rng(0)
    z, y = 9 * draws.standard_normal(shape), draws.integers(0, shape[1], shape[0])
    places = np.arange(len(y)), y
    expected = np.log(np.sum(np.exp(z), axis=1)) - z[places]
    np.testing.assert_allclose(nn.cross_entropy(z, y, "none"), expected, rtol=1e-12, atol=1e-14)
    slope = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    slope[places] -= 1
    found = grad(nn.cross_entropy)(z, y)
    np.testing.assert_allclose(found, slope / len(y), rtol=1e-10, atol=1e-15)


def test_labels_as_probabilities_have_the_same_loss():
    for r in ("none", "mean", "sum"):
        np.testing.assert_allclose(
            nn.cross_entropy(Z, np.eye(3)[Y], r), nn.cross_entropy(Z, Y, r), rtol=1e-13
        )


def test_one_example_has_its_one_loss_whatever_the_options():
    whole = nn.cross_entropy(Z, Y, "none", label_smoothing=0.1)
    soft = nn.cross_entropy(Z, P, "none")
    for r in ("none", "mean", "sum"):
        found = nn.cross_entropy(Z[0], 2, r, label_smoothing=0.1)
        assert found.shape == ()
        np.testing.assert_allclose(found, whole[0])
        np.testing.assert_allclose(nn.cross_entropy(Z[0], P[0], r), soft[0])
        np.testing.assert_allclose(nn.nll(Z[0], 2, r), -Z[0, 2])


def test_minus_a_hundred_is_ignored_by_default():
    labels = [2, -100, 1, -100]
    expected = nn.cross_entropy(Z[::2], [2, 1])
    np.testing.assert_allclose(nn.cross_entropy(Z, labels), expected)
    slope = grad(lambda z: nn.cross_entropy(z, labels))(Z)
    assert not slope[1::2].any() and slope[::2].all()
    with pytest.raises(ValueError, match="cross_entropy: the mean over no examples"):
        nn.cross_entropy(Z, [-100] * 4)
    assert nn.cross_entropy(Z, [-100] * 4, "sum") == 0
    with pytest.raises(IndexError, match=r"label -100 is not in 0\.\.2"):
        nn.multi_margin(Z, labels)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll])
@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf])
def test_what_is_ignored_may_hold_anything(loss, bad):
    scores, labels = autograd.log_softmax(Z, axis=1), [2, -100, 1, 0]
    spoilt = np.where(np.arange(4)[:, None] == 1, bad, scores)
    for settings in ({}, {"weight": W}):
        expected = loss(scores, labels, **settings)
        np.testing.assert_allclose(loss(spoilt, labels, **settings), expected)
        slope = grad(lambda z, s=settings: loss(z, labels, **s))(spoilt)
        assert not slope[1].any() and np.isfinite(slope).all()


def test_weights_are_differentiated_and_mapped_too():
    check = autograd.check_gradients
    check(lambda w: nn.cross_entropy(Z, Y, weight=w, label_smoothing=0.1), np.array(W))
    check(lambda w: nn.cross_entropy(Z, P, weight=w), np.array(W))
    check(lambda w: nn.nll(Z, Y, weight=w), np.array(W))
    check(lambda w: nn.binary_cross_entropy_with_logits(X[:5], T01, pos_weight=w), np.array([2.0]))
    weights = np.array([W, W[::-1]])
    found = vmap(lambda w: nn.cross_entropy(Z, Y, weight=w))(weights)
    np.testing.assert_allclose(found, [nn.cross_entropy(Z, Y, weight=w) for w in weights])


def test_examples_under_vmap_have_their_own_labels_weights_and_places():
    expected = [
        nn.cross_entropy(z, y, weight=W, label_smoothing=0.1)
        for z, y in zip(Z3.transpose(0, 2, 1), Y3, strict=True)
    ]
    found = vmap(lambda z, y: nn.cross_entropy(z.T, y, weight=W, label_smoothing=0.1))(Z3, Y3)
    np.testing.assert_allclose(found, expected)
    found = vmap(lambda z, y: nn.cross_entropy(z.T, y, ignore_index=1))(Z3, Y3)
    expected = [nn.cross_entropy(z.T, y, ignore_index=1) for z, y in zip(Z3, Y3, strict=True)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(vmap(nn.nll)(Z, Y), nn.nll(Z, Y, "none"))
    np.testing.assert_allclose(vmap(nn.cross_entropy)(Z, P), nn.cross_entropy(Z, P, "none"))
    np.testing.assert_allclose(vmap(nn.multi_margin)(Z, Y), nn.multi_margin(Z, Y, "none"))
    for f in (nn.mse, nn.mae, nn.huber):
        np.testing.assert_allclose(vmap(f)(X, T), f(X, T, "none"))
    slopes = vmap(grad(nn.binary_cross_entropy_with_logits))(X, T * 0 + 0.5)
    np.testing.assert_allclose(slopes, autograd.sigmoid(X) - 0.5)


def test_probabilities_as_targets_are_differentiated_too():
    """∂/∂p of -Σ p log q is -log q: what a teacher network learns by."""
    found = grad(lambda p: nn.cross_entropy(Z, p, "sum"))(P)
    np.testing.assert_allclose(found, -autograd.log_softmax(Z, axis=1))


# --- penalties ------------------------------------------------------------------------------------


def test_penalties_are_of_the_parameters_chosen():
    model = nn.Sequential(nn.Linear(3, 4, dtype=float), nn.ReLU(), nn.Linear(4, 2, dtype=float))
    arrays = [p.data for p in model.parameters()]
    assert nn.l1_penalty(model).item() == pytest.approx(sum(np.abs(a).sum() for a in arrays))
    nn.l2_penalty(model, lambda name, p: name.endswith("weight")).backward()
    for name, p in model.named_parameters():
        if name.endswith("weight"):
            np.testing.assert_allclose(p.grad, 2 * p.data)  # lecture D: 2λW
        else:
            assert p.grad is None
    slopes = grad(nn.l1_penalty)(model)
    np.testing.assert_array_equal(slopes.layers[0].bias, np.sign(arrays[1]))
    with pytest.raises(ValueError, match="l1_penalty: no parameter of Sequential"):
        nn.l1_penalty(model, lambda name, p: False)


# --- what they want -------------------------------------------------------------------------------

PAIRS = (
    nn.mse, nn.half_squared_error, nn.mae, nn.huber, nn.hinge, nn.binary_cross_entropy,
    nn.binary_cross_entropy_with_logits, nn.kl_div, nn.kl_divergence,
)  # fmt: skip


@pytest.mark.parametrize("loss", PAIRS)
def test_outputs_and_targets_of_other_shapes_are_not_broadcast(loss):
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: .*\(4, 1\).*target") as error:
        loss(np.ones((4, 1)), np.ones(4))
    assert "(4,)" in str(error.value)


@pytest.mark.parametrize("loss", PAIRS)
def test_an_unknown_reduction_is_named(loss):
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: reduction is .*not 'average'"):
        loss(np.ones((4, 1)), np.ones((4, 1)), "average")


@pytest.mark.parametrize("loss", PAIRS)
def test_the_mean_over_nothing_is_not_defined(loss):
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: the mean over no examples"):
        loss(np.ones((0, 2)), np.ones((0, 2)))
    assert loss(np.ones((0, 2)), np.ones((0, 2)), "sum") == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: nn.huber(X, T, delta=0), "huber: delta is positive"),
        (lambda: nn.hinge(X, T), "hinge: y is -1 or 1; .*multi_margin"),
        (lambda: nn.binary_cross_entropy(X, T01[:1].repeat(6)), r"p are .*in \[0, 1\]"),
        (lambda: nn.binary_cross_entropy(PR, PR + 1), r"targets are .*in \[0, 1\]"),
        (
            lambda: nn.binary_cross_entropy_with_logits(X, abs(X) / 3, pos_weight=[[1.0]] * 2),
            r"pos_weight of shape \(2, 1\) does not broadcast to the targets' \(6,\)",
        ),
        (
            lambda: nn.binary_cross_entropy_with_logits(X, abs(X) / 3, pos_weight=[1.0, 2.0]),
            r"pos_weight of shape \(2,\) does not broadcast to the targets' \(6,\)",
        ),
        (
            lambda: nn.binary_cross_entropy(PR, T01, weight=[1.0, 2.0]),
            r"binary_cross_entropy: weight of shape \(2,\) does not broadcast to .* \(5,\)",
        ),
        (lambda: nn.binary_cross_entropy(PR, T01, weight=-1.0), "weight is 0 or more"),
        (lambda: nn.kl_div(Z, P, "batch"), "\"batchmean\", not 'batch'"),
        (lambda: nn.kl_div(np.ones(()), np.ones(()), "batchmean"), "the mean over no examples"),
        (lambda: nn.kl_divergence(0.5, 0.5), r"kl_divergence: distributions \(\.\.\., C\)"),
        (lambda: nn.sparsity_kl(P, 1.0), r"sparsity_kl: target lies in \(0, 1\), got 1.0"),
        (lambda: nn.sparsity_kl(-P), r"sparsity_kl: the units' means are .* \[0, 1\]"),
        (lambda: nn.cross_entropy(Z, [0] * 4, weight=[0.0, 1.0, 1.0]), "of classes of weight 0"),
        (lambda: nn.sparsity_kl(P[:0]), r"sparsity_kl: code \(N, \.\.\.\) .*\(0, 3\)"),
        (lambda: nn.cross_entropy(Z, Y, weight=[1.0, 2.0]), r"weight of shape \(3,\).*\(2,\)"),
        (lambda: nn.cross_entropy(Z, P, weight=[1.0, 2.0]), r"weight of shape \(3,\).*\(2,\)"),
        (lambda: nn.nll(Z, Y, weight=[1.0, -2.0, 1.0]), "nll: weight is 0 or more"),
        (lambda: nn.cross_entropy(Z, Y, label_smoothing=1.5), r"label_smoothing .*\[0, 1\]"),
        (lambda: nn.cross_entropy(Z, P, label_smoothing=-1.0), r"label_smoothing .*\[0, 1\]"),
        (lambda: nn.cross_entropy(Z, Z), r"cross_entropy: targets are probabilities"),
        (lambda: nn.cross_entropy(Z, Y, "most", weight=W), "cross_entropy: reduction is"),
        (lambda: nn.nll(Z, Y[:2]), r"nll: scores \(N, C\) and N labels.*\(4, 3\).*\(2,\)"),
        (lambda: nn.nll(Z3, Y), r"nll: .*\(2, 3, 4\).*\(4,\)"),
        (lambda: nn.multi_margin(np.float64(1.0), 0), r"multi_margin: .*\(\) and labels"),
        (lambda: nn.cross_entropy(1.0, 0.5), r"cross_entropy: .*\(\) and labels"),
    ],
)
def test_bad_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
