"""The optimizers' paths: PyTorch's, the lectures', and what the formulas promise."""

import numpy as np
import pytest

import optim
from autograd import Tensor

CURVATURE = np.array([[1.0, 2.0, 0.5], [0.25, 3.0, 1.5]])

# 50 steps of torch.optim in double precision (PyTorch 2.13.0, CPU), settings left out being the
# defaults, on
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
    ("RMSprop", {}, {
        1: [1.09999998997, -1.900000002, 2.9000000074, -0.599999983936, 0.349999993624,
            1.90000001519, 0.400000007403, -0.900000008603],
        10: [1.45027794624, -1.51377265339, 2.59695175144, -0.98552033931, 0.717926103402,
            1.65738757704, 0.202800825322, -0.49735263746],
        50: [1.79627886747, -0.782614758168, 2.23693006818, -1.67644124631, 1.2515189903,
            1.64621613472, 0.403957952363, 0.219856243883],
    }),
    ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 0.001, "weight_decay": 0.2}, {
        1: [1.15748939607, -1.84197861251, 2.84214200949, -0.657162692881, 0.407785265018,
            1.84235706368, 0.342230008835, -0.842252283361],
        10: [1.58111751707, -1.18742654104, 2.32441203464, -1.21933586927, 0.983594931447,
            1.47039916821, 0.250729257872, -0.163915434841],
        50: [1.39164890495, 0.617768898618, 1.52472515022, 0.222280897427, 1.18150547098,
            1.29548015035, 1.01563606043, 1.07279903896],
    }),
    ("Adagrad", {"lr": 0.3}, {
        1: [1.29999999997, -1.70000000001, 2.70000000002, -0.799999999952, 0.549999999981,
            1.70000000005, 0.200000000022, -0.700000000026],
        10: [1.81317246372, -0.651617525614, 2.22945592992, -1.79317688984, 1.29379257786,
            1.63266769288, 0.422780172969, 0.31409265325],
        50: [1.57130776702, 0.962857018073, 1.77860081254, -2.53021837073, 1.32428320143,
            1.58628134501, 0.958221681891, 0.480971743307],
    }),
    ("Adagrad", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.2}, {
        1: [1.09876160222, -1.90018475733, 2.90051000028, -0.598122048047, 0.349345704423,
            1.90093586602, 0.400684564267, -0.900728683863],
        10: [1.41077589681, -1.51898547046, 2.5713625445, -0.949402186554, 0.702669835136,
            1.60141019581, 0.201449820945, -0.512760493439],
        50: [1.59976979432, -0.841162175939, 2.11376960051, -1.38462806097, 1.17092654558,
            1.47018143396, 0.41389656216, 0.156040832773],
    }),
    ("Adadelta", {}, {
        1: [1.00316226177, -1.99683772297, 2.99683773101, -0.503162236857, 0.253162271232,
            1.9968377588, 0.496837731005, -0.996837734043],
        10: [1.03340224764, -1.96638775898, 2.96686321355, -0.533611089933, 0.283417637232,
            1.96704664761, 0.467254924752, -0.966398767219],
        50: [1.17399416884, -1.81835443693, 2.83537168689, -0.681588887232, 0.425668175692,
            1.84246808339, 0.349299254069, -0.81707928298],
    }),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 0.001, "weight_decay": 0.2}, {
        1: [1.03521717739, -1.96464768889, 2.96466786422, -0.535035953924, 0.285317061955,
            1.96472328201, 0.464686580532, -0.964692188919],
        10: [1.33434753159, -1.61274997002, 2.65485539323, -0.861873086175, 0.612374229226,
            1.67302960254, 0.234510266868, -0.609320016399],
        50: [1.43995572934, 0.0640341552021, 1.69145826138, -0.959050193199, 1.24160194098,
            1.42067895705, 0.907057242214, 0.585853289761],
    }),
    ("AdamW", {"lr": 0.05}, {
        1: [1.0494999995, -1.9490000001, 2.94850000037, -0.549749999197, 0.299874999681,
            1.94900000076, 0.44975000037, -0.94950000043],
        10: [1.48181210579, -1.49500638541, 2.51841651231, -0.992574415195, 0.739335769255,
            1.54287457106, 0.0831315274682, -0.497596605862],
        50: [1.60928670712, 0.276567588459, 1.92412182054, -2.50189283967, 1.28546340852,
            1.51489315437, 0.872827512655, 0.494916686106],
    }),
    ("AdamW", {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.001, "weight_decay": 0.5}, {
        1: [1.04989984927, -1.80001998599, 2.75007397636, -0.574839613787, 0.337436279808,
            1.80015162335, 0.375073976358, -0.850085959597],
        10: [1.36125877242, -0.447051193477, 1.82263505386, -1.03485537205, 0.930200687702,
            1.44604984177, 0.550021813453, 0.180023775403],
        50: [1.56250810749, 1.26726783386, 1.75991859605, 1.39535976844, 1.2423910959,
            1.4173292178, 0.946686223277, 1.02452838898],
    }),
    ("Adamax", {"lr": 0.05}, {
        1: [1.0499999995, -1.9500000001, 2.95000000037, -0.549999999197, 0.299999999681,
            1.95000000076, 0.45000000037, -0.95000000043],
        10: [1.44087151271, -1.52298848507, 2.60232985566, -0.976701198035, 0.702308458904,
            1.63349874509, 0.163407082278, -0.512112746643],
        50: [1.87774226621, -0.100490377512, 2.19349634605, -2.24411608874, 1.37938427531,
            1.58452737585, 0.547509822058, 0.523741367759],
    }),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.001, "weight_decay": 0.2}, {
        1: [1.0998747644, -1.90001850651, 2.9000512352, -0.599808976203, 0.349934182868,
            1.90009438156, 0.400068880807, -0.900073349423],
        10: [1.59879988991, -0.967138035882, 1.89140168323, -1.60891015906, 1.28522188079,
            1.42428092179, 0.461269744092, 0.0183013561811],
        50: [1.3924909014, 1.28742371405, 1.53596657517, 1.70526852137, 1.22254194101,
            1.32131651202, 0.935129025151, 0.945526163488],
    }),
    ("NAdam", {"lr": 0.05}, {
        1: [1.05282258839, -1.94717741119, 2.94717741147, -0.552822588069, 0.302822588581,
            1.94717741188, 0.447177411473, -0.947177411537],
        10: [1.37452669686, -1.60699618053, 2.65227867612, -0.892810318292, 0.632138682773,
            1.67771072795, 0.204401882137, -0.599984468705],
        50: [1.71856737017, 0.0205627648353, 1.99226256646, -2.30583883321, 1.34473486454,
            1.58517456267, 0.773796493371, 0.475669454378],
    }),
    ("NAdam", {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.001, "weight_decay": 0.2,
               "momentum_decay": 0.1}, {
        1: [1.11331064138, -1.88656827155, 2.88660540314, -0.613236002885, 0.363378053257,
            1.88665435386, 0.386625422565, -0.886630492332],
        10: [1.6239951003, -1.05170785829, 2.21813957216, -1.32762322866, 1.09130757646,
            1.44228253713, 0.306422098101, -0.0282574105708],
        50: [1.45637344069, 1.27548338227, 1.59898628932, 1.61543573912, 1.23135671458,
            1.35904258582, 0.989095034905, 1.00218765635],
    }),
    ("Rprop", {}, {
        1: [1.01, -1.99, 2.99, -0.51, 0.26,
            1.99, 0.49, -0.99],
        10: [1.25958682112, -1.74041317888, 2.74041317888, -0.75958682112, 0.50958682112,
            1.74041317888, 0.24041317888, -0.74041317888],
        50: [1.60316178352, 1.38178614745, 1.82333188531, -2.53858567201, 1.32425672925,
            1.58573150856, 0.891045712542, 0.483124827466],
    }),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.02, 0.4)}, {
        1: [1.1, -1.9, 2.9, -0.6, 0.35,
            1.9, 0.4, -0.9],
        10: [1.2425, 1.2125, 2.14446875, -2.7925, 1.2165,
            1.54946875, 0.91515625, 0.5285],
        50: [1.5951921875, 1.3865, 1.84937552734, -2.53855, 1.3327303125,
            1.599971875, 0.896826855469, 0.5075],
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


def path(optimizer, w, gradient, steps):
    """The weights after each step, where `gradient` gives the gradient at the weights."""
    found = []
    for _ in range(steps):
        w.grad = gradient(w.data)
        optimizer.step()
        found.append(w.data.copy())
    return np.array(found)


HESSIAN = np.array([[3.0, 1.0], [1.0, 2.0]])


def slope(w):
    """The gradient of a bowl that is no sum over the coordinates."""
    return HESSIAN @ w - 1 + 0.1 * np.sin(w)


# --- momentum (lectures A, C, E) ------------------------------------------------------------------


@pytest.mark.parametrize("kind, nesterov", [("Momentum", False), ("Nesterov", True)])
def test_the_lectures_momentum_is_pytorchs_for_a_constant_rate(kind, nesterov):
    here, there = Tensor([1.0, -2.0]), Tensor([1.0, -2.0])
    ours = path(getattr(optim, kind)([here], lr=0.05, momentum=0.8), here, slope, 30)
    torchs = optim.SGD([there], lr=0.05, momentum=0.8, nesterov=nesterov)
    np.testing.assert_allclose(ours, path(torchs, there, slope, 30), rtol=1e-12, atol=1e-12)


def test_a_falling_rate_shrinks_pytorchs_velocity_and_not_the_lectures():
    """With the rate set to 0 the lecture's step goes on, PyTorch's stops."""
    for make, moves in ((optim.Momentum, True), (optim.SGD, False)):
        w = Tensor([1.0])
        optimizer = make([w], lr=0.1, momentum=0.9)
        path(optimizer, w, np.ones_like, 1)
        before = w.data.copy()
        optimizer.lr = 0.0
        path(optimizer, w, np.ones_like, 1)
        assert (w.data != before) == moves


def test_momentum_has_two_interpretations_with_the_same_iterates():
    """Lecture E: a step that goes on, and a step along an average of gradients, with
    α ← αβ + η and γ = η/α.
    """
    eta, beta = 0.05, 0.8
    w = Tensor([1.0, -2.0])
    found = path(optim.Momentum([w], lr=eta, momentum=beta), w, slope, 20)
    z, v, alpha, averaged = np.array([1.0, -2.0]), np.zeros(2), 0.0, []
    for _ in range(20):
        alpha = alpha * beta + eta
        gamma = eta / alpha
        v = (1 - gamma) * v + gamma * slope(z)
        z = z - alpha * v
        averaged.append(z)
    np.testing.assert_allclose(found, averaged, rtol=1e-12)


def test_nesterovs_momentum_is_the_gradient_at_the_point_looked_ahead_to():
    """Lecture E's w, and the point z looked ahead to, which is what the optimizer holds."""
    eta, beta = 0.05, 0.8
    z = Tensor([1.0, -2.0])
    found = path(optim.Nesterov([z], lr=eta, momentum=beta), z, slope, 20)
    w, ahead, expected = np.array([1.0, -2.0]), np.array([1.0, -2.0]), []
    for _ in range(20):
        new = ahead - eta * slope(ahead)
        ahead, w = new + beta * (new - w), new
        expected.append(ahead)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- second moments (lectures C, E) ---------------------------------------------------------------


def test_the_lectures_oscillating_steps_become_comparable():
    """Lecture C: mean squares 3.2 and 5.55; divided by the root, both have the size 1."""
    steps = np.array([[1, 2.5], [1, -3], [3, 2.5], [1, -2], [2, 1.5]])
    w = Tensor(np.zeros(2))
    optimizer = optim.Adagrad([w], lr=1.0)
    for g in steps:
        before = w.data.copy()
        w.grad = g
        optimizer.step()
    mean = optimizer.state[0]["total"] / 5
    np.testing.assert_allclose(mean, [3.2, 5.55])
    np.testing.assert_allclose(before - w.data, steps[-1] / np.sqrt(5 * mean))
    np.testing.assert_allclose(np.mean((steps / np.sqrt(mean)) ** 2, axis=0), 1)


BETAS = [(0.9, 0.99), (0.5, 0.99), (0.5, 0.6), (0.0, 0.9), (0.95, 0.0), (0.8, 0.999), (0.9, 0.9)]


def corrected(rates, values):
    """Lecture E's average, λ varying: Σ λₖ xₖ Π(1-λₗ) / Σ λₖ Π(1-λₗ), l > k."""
    weights = [rate * np.prod(1 - rates[k + 1 :]) for k, rate in enumerate(rates)]
    return np.average(values, axis=0, weights=weights)


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_the_bias_correction_is_the_lectures_for_betas_that_vary(kind):
    w, g = Tensor([1.0, -2.0]), np.random.default_rng(0).normal(size=(len(BETAS), 2))
    optimizer = getattr(optim, kind)([w], lr=0.1, eps=1e-3, weight_decay=0.0)
    for t, betas in enumerate(BETAS, 1):
        optimizer.param_groups[0]["betas"] = betas
        before = w.data.copy()
        w.grad = g[t - 1]
        optimizer.step()
        first, second = 1 - np.array(BETAS[:t]).T
        m, v = corrected(first, g[:t]), corrected(second, g[:t] ** 2)
        np.testing.assert_allclose(before - w.data, 0.1 * m / (np.sqrt(v) + 1e-3), rtol=1e-12)


def test_a_constant_gradient_stays_itself_while_betas_vary():
    """What the lecture has the correction for: every step of Adam is then η."""
    w = Tensor([0.0])
    optimizer = optim.Adam([w], lr=0.1)
    for t, betas in enumerate(BETAS, 1):
        optimizer.param_groups[0]["betas"] = betas
        path(optimizer, w, lambda w: np.full(1, 2.5), 1)
        np.testing.assert_allclose(w.data, -0.1 * t, rtol=1e-6)


@pytest.mark.parametrize("kind", ["Adam", "Adamax", "NAdam"])
def test_a_constant_gradient_is_what_the_corrected_averages_give(kind):
    """Every step is then η, from the first one on; NAdam's μ stands still for ψ = 0."""
    w = Tensor([0.0])
    hyper = {"momentum_decay": 0.0} if kind == "NAdam" else {}
    optimizer = getattr(optim, kind)([w], lr=0.1, **hyper)
    found = path(optimizer, w, lambda w: np.full(1, 2.5), 5)[:, 0]
    np.testing.assert_allclose(np.diff(found, prepend=0.0)[:1], -0.1, rtol=0.15)
    if kind != "NAdam":
        np.testing.assert_allclose(found, -0.1 * np.arange(1, 6), rtol=1e-6)


def test_decoupled_decay_shrinks_all_weights_alike():
    """Without a gradient AdamW multiplies by 1 - ηλ; Adam's penalty moves by η all the same."""
    for make, expected in (
        (optim.AdamW, [0.95, 9.5]),
        (optim.Adam, [0.9, 9.9]),
    ):
        w = Tensor([1.0, 10.0])
        path(make([w], lr=0.1, weight_decay=0.5), w, np.zeros_like, 1)
        np.testing.assert_allclose(w.data, expected, rtol=1e-6)


def test_weight_decay_is_half_of_the_lectures():
    """Lecture D: W ← W(1 - 2λη) - η∇."""
    eta, decay = 0.1, 0.3
    w = Tensor([1.0, -2.0])
    g = np.array([0.5, 4.0])
    path(optim.SGD([w], lr=eta, weight_decay=2 * decay), w, lambda w: g, 1)
    np.testing.assert_allclose(w.data, np.array([1, -2]) * (1 - 2 * decay * eta) - eta * g)


# --- one weight at a time -------------------------------------------------------------------------


def test_rprop_grows_shrinks_waits_and_stays_in_its_bounds():
    """Signs + + - (waits) - - : steps 0.1, 0.12, 0, 0.06, 0.072."""
    w = Tensor([0.0])
    optimizer = optim.Rprop([w], lr=0.1, step_sizes=(0.06, 0.13))
    signs = iter([3.0, 0.2, -5.0, -1.0, -1e-3, -7.0, -1.0, -1.0, -1.0, -1.0])
    found = path(optimizer, w, lambda w: np.array([next(signs)]), 10)[:, 0]
    steps = np.diff(found, prepend=0.0)
    np.testing.assert_allclose(steps[:7], [-0.1, -0.12, 0, 0.06, 0.072, 0.0864, 0.10368])
    np.testing.assert_allclose(steps[-1], 0.13)


def test_quickprop_jumps_to_the_minimum_of_a_parabola():
    """Overshot in both coordinates, the second step lands on the minimum of each."""
    w = Tensor([1.0, -2.0])
    bowl = lambda w: np.array([3.0, 5.0]) * (w - np.array([0.25, 0.5]))  # noqa: E731
    found = path(optim.Quickprop([w], lr=0.5), w, bowl, 2)
    np.testing.assert_allclose(found[1], [0.25, 0.5], rtol=1e-12)


def quickprop_of_one(w, gradients, lr, mu):
    """Fahlman's rule for one weight, branch by branch."""
    found, step, before = [], 0.0, 0.0
    for g in gradients:
        if step == 0:
            step = -lr * g
        elif g * before > 0:
            far = abs(g) >= mu / (1 + mu) * abs(before)
            factor = mu if far else min(max(g / (before - g), -mu), mu)
            step = factor * step - lr * g
        else:
            factor = 0.0 if g == before else min(max(g / (before - g), -mu), mu)
            step = factor * step
        before = g
        w = w + step
        found.append(w)
    return found


def test_quickprop_is_fahlmans_rule():
    rng = np.random.default_rng(0)
    g = rng.normal(size=(30, 40))
    g[rng.random(g.shape) < 0.2] = 0
    g[5:8, :9] = g[5, :9]  # the same slope again
    w = Tensor(np.ones(40))
    gradients = iter(g)
    found = path(optim.Quickprop([w], lr=0.1, mu=1.5), w, lambda w: next(gradients), 30)
    expected = [quickprop_of_one(1.0, column, 0.1, 1.5) for column in g.T]
    np.testing.assert_allclose(found.T, expected, rtol=1e-12, atol=1e-12)


ALL = {
    "SGD": {"lr": 0.02},
    "Momentum": {"lr": 0.01},
    "Nesterov": {"lr": 0.01},
    "RMSprop": {"lr": 0.01},
    "Adagrad": {"lr": 0.5},
    "Adadelta": {"lr": 0.3, "eps": 1e-3},
    "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1, "weight_decay": 0.0},
    "Adamax": {"lr": 0.1},
    "NAdam": {"lr": 0.1},
    "Rprop": {},
    "Quickprop": {"lr": 0.02},
}


@pytest.mark.parametrize("kind", ALL)
def test_every_optimizer_finds_the_bottom_of_a_bowl(kind):
    w = Tensor([3.0, -2.0])
    path(getattr(optim, kind)([w], **ALL[kind]), w, slope, 600)
    assert np.linalg.norm(slope(w.data)) < 0.05
