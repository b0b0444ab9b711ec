"""Optimizers: PyTorch's trajectories, the pure formulas of `optim.rules`, and bad input."""

import gc
import tracemalloc

import numpy as np
import pytest

import nn
import optim
from autograd import Tensor
from optim.optimizers import BLOCK

CURVATURE = np.array([[1.0, 2.0, 0.5], [0.25, 3.0, 1.5]])

# 50 steps of torch.optim in double precision (PyTorch 2.13.0, CPU) on
#     sum(CURVATURE (w - 1)²) / 2 + sum(cos(w + b[:, None])) + sum(b²)
# from w = [[1, -2, 3], [-0.5, 0.25, 2]], b = [0.5, -1]: w and b, flat, after 1, 10, 50 steps
TORCH = [
    ("SGD", {"lr": 0.05}, {
        1: [1.04987474933, -1.74987474933, 2.93246083862, -0.53112474933, 0.328418061999,
            1.96707354924, 0.432460838616, -0.941883138091],
        10: [1.40002985346, -0.210000049758, 2.56761120121, -0.783142726022, 0.845438928775,
            1.79015582511, 0.358029979839, -0.388401125047],
        50: [1.6195505087, 1.38077324159, 1.90153438117, -0.904525572069, 1.30980836494,
            1.56092799381, 0.866553368398, 0.673868815689],
    }),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {
        1: [1.04987474933, -1.74987474933, 2.93246083862, -0.53112474933, 0.328418061999,
            1.96707354924, 0.432460838616, -0.941883138091],
        10: [2.17391505659, 2.92891609157, 1.78001740502, -1.46563673012, 1.73092404496,
            1.40047208718, 0.932769390082, 1.11720635874],
        50: [1.63504770427, 1.34658556792, 1.79385694783, -2.44975256248, 1.29520926509,
            1.59127417175, 0.923603323186, 0.4416941884],
    }),
    ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}, {
        1: [1.03590981952, -1.81990981952, 2.9513718038, -0.522409819518, 0.306461004639,
            1.97629295545, 0.451371803803, -0.958155859426],
        10: [1.56832334154, 0.550652008769, 2.4003189642, -0.903069825726, 1.08999956589,
            1.70076572104, 0.364212167616, -0.123727234382],
        50: [1.59887294117, 1.38266506615, 1.82135121567, -0.913381658951, 1.30655623315,
            1.53905277736, 0.89148343878, 0.696022818812],
    }),
    ("SGD", {"lr": 0.05, "weight_decay": 0.3}, {
        1: [1.03487474933, -1.71987474933, 2.88746083862, -0.52362474933, 0.324668061999,
            1.93707354924, 0.424960838616, -0.926883138091],
        10: [1.2617448894, -0.0991109046147, 2.28381067266, -0.685995637775, 0.805412595802,
            1.59109233073, 0.403811228868, -0.315641674047],
        50: [1.35193082719, 1.22499518303, 1.50728981605, 0.449002020225, 1.16696786565,
            1.28905232665, 0.948903476886, 1.02652573648],
    }),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {
        1: [1.03410480949, -1.80230480949, 2.93727023735, -0.521754809491, 0.308647727119,
            1.96737589742, 0.446770237348, -0.952031184949],
        10: [1.64077499765, 1.3244833499, 2.06570006344, -0.956176450347, 1.29277448423,
            1.50051186457, 0.464324992138, 0.200236799786],
        50: [1.5354449236, 1.34763521214, 1.69787871502, 2.13392041766, 1.2112792136,
            1.33556513664, 0.902994812212, 0.845231627647],
    }),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}, {
        1: [1.01794989973, -1.89594989973, 2.96698433545, -0.511449899732, 0.2808672248,
            1.9828294197, 0.471984335446, -0.974753255236],
        10: [1.60873280726, 1.20688662285, 2.08202939887, -0.925146576602, 1.24610126851,
            1.49631340114, 0.245034559494, 0.056253354985],
        50: [1.56271282943, 1.37456893451, 1.68245368282, 1.95645170644, 1.0896139268,
            1.25376459712, 0.839653782724, 1.01212640106],
    }),
    ("Adam", {"lr": 0.05}, {
        1: [1.0499999995, -1.9500000001, 2.95000000037, -0.549999999197, 0.299999999681,
            1.95000000076, 0.45000000037, -0.95000000043],
        10: [1.48772069816, -1.50378557904, 2.53122391709, -0.996178970307, 0.741544098873,
            1.55020530237, 0.0827988763904, -0.501337476991],
        50: [1.61907193598, 0.25696484291, 1.93913020815, -2.53087754791, 1.28657318772,
            1.51563835285, 0.862579181791, 0.49898820736],
    }),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.8)}, {
        1: [1.099999999, -1.9000000002, 2.90000000074, -0.599999998394, 0.349999999362,
            1.90000000152, 0.40000000074, -0.90000000086],
        10: [1.82312948592, -1.03866362558, 2.30212572881, -1.4561632871, 1.15587619264,
            1.65601670766, 0.296886633928, -0.00438897014584],
        50: [1.59072980651, 1.37946116161, 1.81328026941, -2.53272118159, 1.30152381044,
            1.58988156144, 0.878788921336, 0.486245323018],
    }),
    ("Adam", {"lr": 0.1, "eps": 0.1}, {
        1: [1.09088834107, -1.90195982169, 2.90689282851, -0.586159073509, 0.344006094268,
            1.91318341131, 0.406892828514, -0.907921813361],
        10: [1.83361209213, -1.03793308118, 2.25309108403, -1.33846361026, 1.14247777447,
            1.43058550782, 0.0428074402781, -0.0820741454163],
        50: [1.59101030565, 1.56319327559, 1.73255569111, -2.55617107191, 1.37977241145,
            1.59879829001, 0.89216899916, 0.528100126058],
    }),
    ("Adam", {"lr": 0.05, "weight_decay": 0.2}, {
        1: [1.04999999937, -1.95000000009, 2.95000000026, -0.549999999043, 0.299999999671,
            1.95000000047, 0.450000000345, -0.950000000367],
        10: [1.47698784942, -1.50386970447, 2.51911976193, -0.990018555784, 0.739081378851,
            1.52606351193, 0.0793023148623, -0.502624641871],
        50: [1.3746600501, 0.242625234697, 1.62267775885, -1.56390947869, 1.19509941534,
            1.43730442084, 1.00093367121, 0.541874879364],
    }),
    ("Adam", {"lr": 0.03, "betas": (0.0, 0.99), "eps": 0.0001, "weight_decay": 0.01}, {
        1: [1.02999696232, -1.9700005973, 2.97000217252, -0.529995142448, 0.279998084244,
            1.97000442068, 0.47000221258, -0.970002558772],
        10: [1.27839782885, -1.70814165627, 2.73819132593, -0.79129634849, 0.53313884476,
            1.75287926404, 0.270066206809, -0.704271252187],
        50: [1.78639561384, -0.677233100884, 2.22207730591, -1.74672341027, 1.27188919113,
            1.62733262694, 0.430634254147, 0.291097369938],
    }),
    ("Adam", {"lr": 0.03, "betas": (0.8, 0.0)}, {
        1: [1.0299999997, -1.97000000006, 2.97000000022, -0.529999999518, 0.279999999809,
            1.97000000046, 0.470000000222, -0.970000000258],
        10: [1.31984852369, -1.69368986835, 2.63932248929, -0.806314018536, 0.56443553633,
            1.62442485765, 0.010845491096, -0.695860905434],
        50: [1.60993030054, -0.413730214329, 3.622384197, -1.36085256987, 1.08295824936,
            2.18382068058, -0.298887480906, 3.37794332207],
    }),
]  # fmt: skip


def start():
    w = Tensor(np.array([[1.0, -2.0, 3.0], [-0.5, 0.25, 2.0]]), name="w")
    return w, Tensor(np.array([0.5, -1.0]), name="b")


def objective(w, b):
    bowl = np.sum(CURVATURE * (w - 1) ** 2) / 2
    return bowl + np.sum(np.cos(w + b[:, None])) + np.sum(b**2)


@pytest.mark.parametrize("kind, hyper, expected", TORCH, ids=lambda x: str(x)[:70])
def test_trajectory_is_pytorchs(kind, hyper, expected):
    w, b = start()
    optimizer = getattr(optim, kind)([w, b], **hyper)
    for step in range(1, 51):
        optimizer.zero_grad()
        objective(w, b).backward()
        optimizer.step()
        if step in expected:
            found = np.concatenate([np.ravel(w.data), b.data])
            np.testing.assert_allclose(found, expected[step], rtol=1e-10, atol=1e-10)


# --- the executor in place is the pure function --------------------------------------------------

RULES = {"SGD": optim.sgd, "Adam": optim.adam}
HYPER = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.3}),
]
ARRAYS = {
    "a matrix": lambda: np.ones((3, 4)),
    "one block": lambda: np.ones(BLOCK),
    "one more than a block": lambda: np.ones(BLOCK + 1),
    "several blocks": lambda: np.ones((3, BLOCK)),
    "transposed": lambda: np.ones((5, 4)).T,
    "strided": lambda: np.ones((6, 8))[::2, ::-2],
    "large and transposed": lambda: np.ones((200, 170)).T,
    "0-d": lambda: np.array(1.0),
    "a number": lambda: 1.0,
    "one element": lambda: np.ones(1),
    "nothing": lambda: np.ones((0, 3)),
    "float32": lambda: np.ones((3, 4), np.float32),
    "0-d float32": lambda: np.array(1.0, np.float32),
    "float32 transposed": lambda: np.ones((5, 4), np.float32).T,
}


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("kind, hyper", HYPER, ids=lambda x: str(x)[:50])
def test_in_place_is_the_pure_formula(kind, hyper, array):
    rng = np.random.default_rng(0)
    w = ARRAYS[array]()
    if isinstance(w, np.ndarray):
        w[...] = rng.normal(size=w.shape)
    p = Tensor(w)
    optimizer = getattr(optim, kind)([p], **hyper)
    expected, state = np.array(w), {}
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-12
    for _ in range(5):
        g = np.asarray(rng.normal(size=np.shape(w)), expected.dtype)
        p.grad = float(g) if type(w) is float else g
        optimizer.step()
        step, state = RULES[kind](g, state, expected, **hyper)
        expected = expected + step
        np.testing.assert_allclose(p.data, expected, rtol=tolerance, atol=tolerance)
    assert type(p.data) is float if type(w) is float else p.data.dtype == w.dtype
    assert np.shape(p.data) == np.shape(w)


@pytest.mark.parametrize("kind, hyper", HYPER, ids=lambda x: str(x)[:50])
def test_a_gradients_memory_order_does_not_matter(kind, hyper):
    g = np.arange(12.0).reshape(3, 4)
    results = []
    for order in "CF":
        p = Tensor(np.ones((3, 4)))
        p.grad = np.array(g, order=order)
        getattr(optim, kind)([p], **hyper).step()
        results.append(p.data)
    assert np.array_equal(*results)


def test_the_pure_formulas_change_nothing_in_place():
    g, w = np.ones(3), np.ones(3)
    for rule, hyper in [(optim.sgd, {"momentum": 0.9, "nesterov": True}), (optim.adam, {})]:
        _, state = rule(g, {}, w, lr=0.1, weight_decay=0.5, **hyper)
        before = {name: np.array(value) for name, value in state.items()}
        rule(g, state, w, lr=0.1, weight_decay=0.5, **hyper)
        assert all(np.array_equal(state[name], before[name]) for name in state)
    assert np.all(g == 1) and np.all(w == 1)


def test_the_pure_formulas_keep_float32():
    g = w = np.ones(3, np.float32)
    for rule, hyper in [(optim.sgd, {"momentum": 0.9}), (optim.adam, {})]:
        state = {}
        for _ in range(2):
            step, state = rule(g, state, w, lr=0.1, weight_decay=0.5, **hyper)
            assert step.dtype == np.float32
            assert all(v.dtype == np.float32 for v in state.values() if hasattr(v, "dtype"))


def test_adams_first_step_is_the_learning_rate_whatever_the_gradients_size():
    p = Tensor(np.zeros(3))
    p.grad = np.array([1e-3, 1.0, -1e6])
    optim.Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.data, [-0.1, -0.1, 0.1], rtol=1e-4)


def test_sgd_is_gradient_descent():
    p = Tensor([1.0, 2.0])
    p.grad = np.array([0.5, -1.0])
    optim.SGD([p], lr=0.1).step()
    assert p.data.tolist() == [1.0 - 0.05, 2.0 + 0.1]


def test_a_learning_rate_set_between_steps_counts():
    for kind in (optim.SGD, optim.Adam):
        p = Tensor([1.0])
        optimizer = kind([p], lr=0.1)
        p.grad = np.array([1.0])
        optimizer.step()
        before = p.data.copy()
        optimizer.lr = 0.0
        optimizer.step()
        assert p.data == before


# --- what a step touches -------------------------------------------------------------------------

BOTH = pytest.mark.parametrize(
    "make",
    [
        lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda ps: optim.Adam(ps, lr=0.1, weight_decay=0.1),
    ],
    ids=["SGD", "Adam"],
)


@BOTH
def test_a_step_writes_into_the_same_array(make):
    array = np.ones(3)
    p = Tensor(array)
    optimizer = make([p])
    p.grad = np.ones(3)
    optimizer.step()
    assert np.shares_memory(p.data, array)
    assert np.all(array < 1)


@BOTH
def test_a_step_leaves_the_gradient(make):
    p = Tensor(np.ones(3))
    p.grad = g = np.array([1.0, 2.0, 3.0])
    make([p]).step()
    assert p.grad is g and g.tolist() == [1, 2, 3]


@BOTH
def test_parameters_without_a_gradient_are_skipped(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad = np.array([1.0])
    optimizer.step()
    assert a.data[0] < 1 and b.data[0] == 1


@BOTH
def test_a_late_gradient_begins_its_own_count(make):
    """A parameter whose first gradient comes at step 3 moves as at its step 1."""
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad = np.array([1.0])
    optimizer.step()
    after_one = a.data[0]
    optimizer.step()
    b.grad = np.array([1.0])
    optimizer.step()
    assert b.data[0] == after_one


@BOTH
def test_frozen_parameters_stay(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    optimizer = make([a, b])
    a.grad, b.grad = np.array([1.0]), np.array([1.0])
    b.requires_grad = False
    optimizer.step()
    assert a.data[0] < 1 and b.data[0] == 1
    b.requires_grad = True
    optimizer.step()
    assert b.data[0] < 1


@pytest.mark.parametrize("hyper", [{}, {"betas": (0.0, 0.0)}, {"eps": 1e-30}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_gradients_never_give_nan(hyper, dtype):
    p = Tensor(np.array([1.0, 2.0], dtype))
    optimizer = optim.Adam([p], lr=0.1, **hyper)
    for _ in range(3):
        p.grad = np.array([0.0, 1.0], dtype)
        optimizer.step()
    assert p.data[0] == 1 and p.data[1] < 2


def test_adam_needs_an_eps_that_zero_gradients_can_be_divided_by():
    with pytest.raises(ValueError, match="Adam: eps must be a number > 0, not 0"):
        optim.Adam([Tensor(1.0)], eps=0.0)


def test_sgd_with_zero_gradients_stands_still():
    p = Tensor([1.0])
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    p.grad = np.zeros(1)
    optimizer.step()
    assert p.data[0] == 1


@BOTH
def test_a_learning_rate_of_zero_is_allowed(make):
    p = Tensor([1.0])
    p.grad = np.ones(1)
    optimizer = make([p])
    optimizer.lr = 0.0
    optimizer.step()
    assert p.data[0] == 1
    assert type(optimizer)([p], lr=0).lr == 0


def test_zero_grad_forgets_all_gradients():
    a, b = Tensor([1.0]), Tensor(2.0)
    optimizer = optim.SGD([a, b])
    (np.sum(a) * b).backward()
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


@BOTH
def test_a_generator_of_parameters_will_do(make):
    layer = nn.Linear(2, 1)
    optimizer = make(p for p in layer.parameters())
    assert len(optimizer.params) == 2


@BOTH
def test_data_replaced_between_steps_is_what_the_next_step_moves(make):
    p = Tensor([1.0])
    optimizer = make([p])
    p.grad = np.ones(1)
    optimizer.step()
    p.data = np.array([10.0])
    p.grad = np.ones(1)
    optimizer.step()
    assert 9 < p.data[0] < 10


@BOTH
def test_a_graph_recorded_before_the_step_refuses_backward(make):
    w = Tensor([1.0, 2.0], name="weights")
    x = Tensor([3.0, 4.0])
    y = np.sum(w * x)
    w.grad = np.ones(2)
    make([w]).step()
    with pytest.raises(RuntimeError, match="weights.*written"):
        y.backward()
    assert x.grad is None and w.grad.tolist() == [1, 1]
    np.sum(w * x).backward()


@BOTH
def test_a_graph_that_does_not_read_the_weights_is_walked_after_the_step(make):
    w, x = Tensor([1.0, 2.0]), np.array([3.0, 4.0])
    y = np.sum(w * x + 1)
    w.grad = np.zeros(2)
    make([w]).step()
    y.backward()
    assert w.grad.tolist() == [3, 4]


@BOTH
@pytest.mark.parametrize("data", [2.0, np.array(2.0)], ids=["a number", "0-d"])
def test_a_graph_recorded_before_the_step_of_one_number_keeps_the_old_number(make, data):
    w, x = Tensor(data), Tensor(3.0)
    y = w * x
    w.grad = 1.0
    make([w]).step()
    assert w.data < 2
    y.backward()
    assert x.grad == 2.0


@BOTH
def test_two_optimizers_share_nothing(make):
    a, b = Tensor([1.0]), Tensor([1.0])
    first, second = make([a]), make([b])
    a.grad = b.grad = np.ones(1)
    first.step()
    first.step()
    second.step()
    first_of_b = b.data[0]
    c = Tensor([1.0])
    c.grad = np.ones(1)
    make([c]).step()
    assert first_of_b == c.data[0]


@BOTH
def test_steps_allocate_nothing_in_the_steady_state(make):
    """Three arrays of 800 kB: the peak above the start stays below a twentieth of one."""
    ps = [Tensor(np.ones(100_000)) for _ in range(3)]
    for p in ps:
        p.grad = np.ones(100_000)
    optimizer = make(ps)
    optimizer.step()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            optimizer.step()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 40_000
    assert after - before < 40_000


def test_training_a_model_lowers_the_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    for make in (lambda p: optim.SGD(p, lr=0.3, momentum=0.9), lambda p: optim.Adam(p, lr=0.03)):
        model = nn.Sequential(
            nn.Linear(2, 16, generator=rng), nn.Tanh(), nn.Linear(16, 2, generator=rng)
        )
        optimizer = make(model.parameters())
        for _ in range(150):
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.15
        assert all(p.dtype == np.float32 for p in model.parameters())


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
@pytest.mark.parametrize(
    "params, error, message",
    [
        ([], ValueError, r"no parameters to optimize; pass model.parameters\(\)"),
        ([np.ones(2)], TypeError, "parameter 0 is (an? )?ndarray"),
        ([Tensor(1.0), "w"], TypeError, "parameter 1 is (an? )?str"),
        ([Tensor(1.0), None], TypeError, "parameter 1 is (an? )?NoneType"),
    ],
)
def test_parameters_must_be_tensors(kind, params, error, message):
    with pytest.raises(error, match=f"{kind.__name__}: {message}"):
        kind(params)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_one_tensor_instead_of_a_list_is_refused(kind):
    """Iterating over it would optimize its rows, which are results and not variables."""
    with pytest.raises(TypeError, match=rf"{kind.__name__}.*list"):
        kind(Tensor(np.ones((2, 2))))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_module_instead_of_its_parameters_is_refused(kind):
    with pytest.raises(TypeError, match=rf"{kind.__name__}.*parameters\(\)"):
        kind(nn.Linear(2, 1))


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_results_are_no_parameters(kind):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}: parameter 1"):
        kind([Tensor(1.0), Tensor(1.0) * 2])


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_parameter_given_twice_is_refused(kind):
    p = Tensor(1.0)
    with pytest.raises(ValueError, match=f"{kind.__name__}: a parameter is given more than once"):
        kind([p, p])


BAD = {
    ("SGD", "lr"): [-0.1, np.nan, "0.1", None],
    ("SGD", "momentum"): [-0.1, 1.0, 1.5, np.nan, "0.9"],
    ("SGD", "weight_decay"): [-0.1, np.nan, "0.1", None],
    ("Adam", "lr"): [-0.1, np.nan, "0.1", None],
    ("Adam", "betas"): [(0.9, 1.0), (-0.1, 0.9), (0.9,), (0.9, 0.9, 0.9), ("a", "b"), 0.9],
    ("Adam", "eps"): [-0.1, np.nan, "0.1", None],
    ("Adam", "weight_decay"): [-0.1, np.nan, "0.1", None],
}
RANGE = {
    "lr": "a finite number >= 0",
    "momentum": "in [0, 1)",
    "betas": "two numbers in [0, 1)",
    "eps": "a number >",
    "weight_decay": "a number >= 0",
}


@pytest.mark.parametrize(
    "kind, name, value", [(*setting, value) for setting in BAD for value in BAD[setting]], ids=str
)
def test_settings_outside_their_range_are_refused(kind, name, value):
    p = Tensor([1.0])
    with pytest.raises(ValueError) as caught:
        getattr(optim, kind)([p], **{name: value})
    assert str(caught.value).startswith(f"{kind}: {name} must be {RANGE[name]}")
    assert str(caught.value).endswith(f", not {value!r}")
    assert p.data.tolist() == [1.0] and p.grad is None and p.requires_grad


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValueError, match="SGD: nesterov=True needs a momentum"):
        optim.SGD([Tensor(1.0)], nesterov=True)


@BOTH
def test_a_gradient_of_another_shape_is_refused(make):
    p = Tensor(np.ones(3))
    optimizer = make([p])
    with pytest.raises(ValueError, match=r"\(4,\)"):
        p.grad = np.ones(4)
    optimizer.step()
    assert np.all(p.data == 1)


def test_repr_shows_settings_and_sizes():
    model = nn.Linear(1000, 2)
    assert repr(optim.SGD(model.parameters(), lr=0.5)) == (
        "SGD(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0; 2,002 numbers in 2 arrays)"
    )


@BOTH
def test_a_parameter_of_another_shape_stops_the_step_before_anything_changes(make):
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    optimizer = make([a, b])
    for p in (a, b):
        p.grad = np.ones(2)
    optimizer.step()
    b.data = np.ones(3)
    a.grad, b.grad = np.ones(2), np.ones(3)
    before, steps = a.data.copy(), [s["step"] for s in optimizer.state]
    with pytest.raises(ValueError, match=r"had shape \(2,\) and has \(3,\) now"):
        optimizer.step()
    np.testing.assert_array_equal(a.data, before)
    assert [s["step"] for s in optimizer.state] == steps
