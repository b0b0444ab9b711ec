"""The source of functions and of their derivatives, run: it computes what the engine does."""

import ast
import functools
import re
import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, hvp, jvp, relu, stop_gradient
from autograd.program import TracingWarning, source
from autograd.tree import flatten

from .test_operations import DIFFERENTIABLE, each, outputs, weights


def body(text):
    """The function's lines without comments."""
    lines = text[text.index("def ") :].splitlines()
    lines = [line.partition("  #")[0] for line in lines if not line.lstrip().startswith("#")]
    return "\n".join(lines)


def same(found, expected):
    """To the bit, and in the same structure."""
    found, expected = flatten(found)[0], flatten(expected)[0]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b.data if isinstance(b, Tensor) else b)
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def leaves_of(args):
    """What the text takes: a Module's parameters one by one."""
    return [p for a in args for p in (flatten(a)[0] if isinstance(a, nn.Module) else [a])]


def directions(args, seed=1):
    rng = np.random.default_rng(seed)
    found = []
    for arg in args:
        values, rebuild = flatten(arg)
        values = [v.data if isinstance(v, Tensor) else v for v in values]
        moves = [
            float(rng.normal()) if type(v) is float else rng.normal(size=v.shape).astype(v.dtype)
            for v in values
        ]
        found.append(rebuild(moves))
    return tuple(found)


def of_engine(f, of, args, moves):
    if of == "value":  # plain NumPy is no reference: its tanh of a float is not math.tanh
        return jvp(f, tuple(args), moves)[0]
    if of == "gradient":
        return grad(f, tuple(range(len(args))))(*args)
    return (jvp if of == "tangent" else hvp)(f, tuple(args), moves)


def agrees(f, *args, of, loops=True):
    """The text of a function of floats, run, and the engine; the text."""
    text = source(f, *args, of=of, loops=loops)
    moves = directions(args)
    given = leaves_of([*args, *(moves if of in ("tangent", "hvp") else ())])
    same(text.function()(*given), of_engine(f, of, args, moves))
    return text


OF = ("value", "tangent", "gradient", "hvp")
every = pytest.mark.parametrize("of", OF)


# --- every operation ------------------------------------------------------------------------------


def combined(sample):
    """The results of a sample's call as one number."""

    def f(*xs):
        return sum(
            np.sum(y * weights(np.shape(y), 7 + k))
            for k, y in enumerate(outputs(sample.call([*xs])))
        )

    return f


LOOKING = {
    "norm", "vector_norm", "cond",  # their order, a float, decides between formulas
    "unique", "intersect1d", "setdiff1d", "union1d",  # the result's shape goes by the values
    "polymul", "polymul led by zeros", "polydiv",  # leading zeros go
    "polyfit", "lstsq",  # the rank decides
}  # fmt: skip


@each(DIFFERENTIABLE)
def test_samples(sample):
    f, xs = combined(sample), sample.inputs()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = f(*map(Tensor, xs))
        if sample.id not in LOOKING:
            warnings.simplefilter("error", TracingWarning)
        if not isinstance(value, Tensor) or not value.requires_grad:
            return
        text = source(f, *xs)
        if "generator" in text:
            return  # draws anew: see below
        for of in OF:
            text = agrees(f, *xs, of=of)
            assert not re.search(r"\b(autograd|nn|optim)\b", re.sub("#.*", "", text))


# --- how it reads ---------------------------------------------------------------------------------


def product(w):
    v = 1.0
    for x in w:
        v = v * x
    return v


FACTORS = [1.5, 2.0, 3.0, 4.0, 5.0]


def test_speelpennings_product_reads_like_the_lectures_algorithms():
    assert body(source(product, FACTORS)) == (
        "def product(w):\n    v = 1.0\n    for j in range(5):\n        v = v * w[j]\n    return v"
    )
    # "Reverse-mode differentiation", lines 1 to 7
    assert body(source(product, FACTORS, of="gradient")) == (
        "def product_gradient(w):\n"
        "    w_bar = [None] * 5\n"
        "    v = [1.0]\n"
        "    for j in range(4):\n"
        "        v.append(v[j] * w[j])\n"
        "    v_bar = 1.0\n"
        "    for j in reversed(range(1, 5)):\n"
        "        w_bar[j] = v_bar * v[j]\n"
        "        v_bar = v_bar * w[j]\n"
        "    w_bar[0] = v_bar * 1.0\n"
        "    return w_bar"
    )
    # "Forward-mode differentiation": starts with the tangent of v_2, then j = 2, ..., d
    assert body(source(product, FACTORS, of="tangent")) == (
        "def product_tangent(w, w_dot):\n"
        "    v_dot = w_dot[0] * 1.0\n"
        "    v = 1.0 * w[0]\n"
        "    for j in range(1, 5):\n"
        "        a = v_dot * w[j]\n"
        "        b = w_dot[j] * v\n"
        "        v_dot = a + b\n"
        "        v = v * w[j]\n"
        "    return v, v_dot"
    )


def test_the_product_of_an_arrays_elements():
    text = source(product, np.array(FACTORS), of="gradient")
    assert "w_bar = np.zeros(5)" in text
    assert "        w_bar[j] += v_bar * v[j]\n" in text
    assert "scatter" not in text


def network(x, t, W1, b1, W2, b2, W3, b3):
    z1 = W1 @ x + b1
    h1 = np.tanh(z1)
    z2 = W2 @ h1 + b2
    h2 = np.tanh(z2)
    y = W3 @ h2 + b3
    return np.sum((y - t) ** 2)


def test_backpropagation_reads_like_the_lectures():
    rng = np.random.default_rng(0)
    shapes = [(4,), (2,), (3, 4), (3,), (3, 3), (3,), (2, 3), (2,)]
    args = [rng.normal(size=shape) for shape in shapes]
    text = source(network, *args, of="gradient", argnums=(2, 3, 4, 5, 6, 7))
    same(text.function()(*args), grad(network, (2, 3, 4, 5, 6, 7))(*args))
    lines = [line.strip() for line in body(text).splitlines()]
    for line in (
        "h1 = np.tanh(z1)",
        "h2_bar = v4_bar @ W3",  # v4 = y - t
        "h1_bar = z2_bar @ W2",
        "return W1_bar, z1_bar, W2_bar, z2_bar, W3_bar, v4_bar",
    ):
        assert line in lines, text
    names = [line.partition(" = ")[0] for line in lines]
    order = ["h1", "h2", "y", "y_bar", "W3_bar", "h2_bar", "z2_bar", "W2_bar", "h1_bar", "z1_bar"]
    assert [name for name in names if name in order] == order


def layers(W, b, x):
    h = x
    for k in range(len(W)):
        z = W[k] @ h + b[k]
        h = np.tanh(z)
    return np.sum(h * h)


def layered(n=6):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, 3)) for _ in range(n)], [rng.normal(size=3) for _ in range(n)]


def test_backpropagation_of_many_layers_is_a_loop():
    text = agrees(layers, *layered(), np.ones(3), of="gradient")
    forward, backward = re.findall(r"    for j in (.*):\n((?: {8}.*\n)*)", text)
    assert (forward[0], backward[0]) == ("range(6)", "reversed(range(1, 6))")
    assert "h.append(np.tanh(z))" in forward[1]
    assert re.findall(r"^ +(\w+)\[j\] = ", backward[1], re.M) == ["b_bar", "W_bar"]
    assert "h_bar = b_bar[j] @ W[j]" in backward[1]
    agrees(layers, *layered(), np.ones(3), of="hvp")


@every
def test_loops_stay_short(of):
    n = 1000
    short = source(product, [1.0 + i / n for i in range(n)], of=of)
    assert len(short.splitlines()) < 50
    agrees(product, [1.0 + (-1) ** i / 100 for i in range(n)], of=of)


@every
def test_an_arrays_elements_in_a_loop(of):
    text = agrees(product, 1 + np.arange(40) / 100, of=of)
    assert len(text.splitlines()) < 50


def test_names_of_the_user_are_kept():
    def f(x):
        first = x * 2
        first += 1

        def inner(z):
            squared = z * z
            return squared

        second: object = inner(first)
        for _ in range(3):
            second = np.sin(second)
        return second + first

    text = agrees(f, np.ones(3), of="value")
    names = re.findall(r"^ +(\w+) = ", text, re.M)
    assert names[:3] == ["first", "first_2", "squared"]
    assert "        second = np.sin(second)" in text


def test_lines_of_the_user_and_what_the_text_holds_for():
    def f(x, w):
        y = x @ w
        return np.sum(y)

    line = f.__code__.co_firstlineno
    text = source(f, np.ones((2, 3), np.float32), [1.0, 2.0, 3.0][0] * np.ones(3))
    assert f"y = x @ w  # test_source.py:{line + 1}\n" in text
    assert f"np.sum(y)  # test_source.py:{line + 2}\n" in text
    assert "# written for: x float32[2, 3], w float64[3]" in text
    assert "w with 5 floats" in source(product, FACTORS)


def test_it_is_laid_out_as_python_is():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    labels = np.array([0, 1])
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    text = source(lambda m: nn.cross_entropy(m(x), labels), model, of="gradient")
    assert max(map(len, text.splitlines())) <= 100
    assert '"""' not in text
    for definition in re.findall(r"(\n+)def ", text):
        assert len(definition) == 3
    assert ast.parse(text)
    assert "reshape(" not in body(source(lambda x: x.reshape(3), np.ones(3)))


def test_the_same_is_computed_once_and_nothing_in_vain():
    def f(x):
        np.exp(x)  # for nothing
        return np.sin(x) * np.sin(x)

    text = source(f, np.ones(2))
    assert text.count("np.sin") == 1
    assert "exp" not in text


# --- networks -------------------------------------------------------------------------------------

LABELS = np.array([0, 2, 1, 2, 0])


def labelled(model, x):
    return nn.cross_entropy(model(x), LABELS)


def squared(model, x):
    return np.sum(model(x)[0] ** 2)


def own_loss(model, x):
    return model.loss(x)


def drawn(*shape):
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


NETWORKS = {
    "mlp": lambda: (
        labelled,
        nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)),
        drawn(5, 4),
    ),
    "convolution": lambda: (
        labelled,
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(3, 2, 2, stride=2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3),
        ),
        drawn(5, 1, 8, 8),
    ),
    "elman": lambda: (squared, nn.RNN(3, 4), drawn(6, 2, 3)),
    "gru": lambda: (squared, nn.GRU(3, 4), drawn(6, 2, 3)),
    "lstm": lambda: (squared, nn.LSTM(3, 4, num_layers=2), drawn(6, 2, 3)),
    "attention": lambda: (squared, nn.MultiheadAttention(4, 2), drawn(2, 5, 4)),
    "layer_norm": lambda: (
        labelled,
        nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)),
        drawn(5, 4),
    ),
    "contractive": lambda: (
        own_loss,
        nn.ContractiveAutoencoder(nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()), nn.Linear(3, 6)),
        drawn(4, 6),
    ),
}  # fmt: skip


@every
@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, of, loops):
    agrees(*NETWORKS[name](), of=of, loops=loops)


def test_steps_of_a_network_are_loops():
    f, model, x = NETWORKS["elman"]()
    rolled = source(f, model, x, of="gradient")
    assert rolled.count("for j in") == 2
    longer = source(f, model, np.concatenate([x] * 5), of="gradient")
    assert len(longer.splitlines()) == len(rolled.splitlines())


@every
def test_embeddings(of):
    tokens = np.array([1, 3, 3, 0, 2])
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    agrees(lambda m: nn.cross_entropy(m(tokens), LABELS), model, of=of)


@every
@pytest.mark.parametrize(
    "options",
    [
        {"weight": np.array([1.0, 2.0, 0.5])},
        {"label_smoothing": 0.1},
        {"ignore_index": 2},
        {"reduction": "sum"},
        {"weight": np.array([1.0, 2.0, 0.5]), "label_smoothing": 0.2, "ignore_index": 0},
    ],
    ids=lambda options: "-".join(options),
)
def test_cross_entropy(options, of):
    agrees(lambda z: nn.cross_entropy(z, LABELS, **options), drawn(5, 3).astype(float), of=of)


@every
def test_dropout_draws_what_the_engine_draws(of):
    rng = np.random.default_rng
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.4, rng(3)), nn.Linear(8, 3))
    args = model, drawn(5, 4)
    text = source(labelled, *args, of=of)  # and draws nothing itself
    moves = directions(args)
    expected = of_engine(labelled, of, args, moves)
    given = leaves_of([*args, *(moves if of in ("tangent", "hvp") else ())])
    same(text.function()(*given, rng(3)), expected)
    assert re.search(r"generator\):\n", text)


def test_writing_the_source_changes_no_state():
    model = nn.BatchNorm1d(3)
    before = {name: value.copy() for name, value in model.named_buffers()}
    source(lambda m, x: np.sum(m(x)), model, drawn(4, 3), of="gradient")
    for name, value in model.named_buffers():
        assert type(value) is np.ndarray
        np.testing.assert_array_equal(value, before[name])


def test_what_a_function_finds_around_it_is_a_constant_with_its_name():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    scale = np.array([[0.5], [2.0]])
    text = agrees(lambda x: np.sum(model(x) * scale), drawn(2, 2), of="gradient")
    names = {*re.findall(r"^(\w+) = ", text, re.M)}
    assert names == {"model_layers_0_weight", "model_layers_0_bias", "scale"}


def test_large_constants_are_expected_as_globals():
    data = np.random.default_rng(0).normal(size=(50, 50))
    text = agrees(lambda x: data @ x, np.ones(50), of="value")
    assert {*text.constants} == {"data"}
    assert text.constants["data"] is data
    assert "# expects as globals: data" in text
    assert "data = " not in text


def test_a_constants_order_in_memory_is_kept():
    data = np.asfortranarray(np.random.default_rng(0).normal(size=(13, 7)))
    spread = np.broadcast_to(0.1, (30, 40))
    agrees(lambda x: np.sum(data * x), 1.1, of="value")
    agrees(lambda x: np.sum(np.exp(spread * x), axis=0), 1.1, of="value")
    for axes in ((2, 1, 0), (0, 2, 1), (1, 2, 0)):
        turned = np.zeros((2, 4, 3)).transpose(axes)
        text = source(lambda x, c=turned: x * np.ones_like(c), 1.1)
        assert text.function()(1.1).strides == turned.strides


# --- kinds of values ------------------------------------------------------------------------------


def halves(x):
    return np.sum(x[::2] * x[1::2]) + np.sum(x[np.array([0, 0, 3])] ** 3)


def choice(x):
    keep = x > 0
    return np.sum(np.where(keep, x, 0.1 * x) * (x < 1)) + np.sum(x[np.array([True, False] * 2)])


def trees(p, q):
    parts = [np.sum(p["w"] * k) for k in q]
    return parts[0] * p["b"] + parts[1] ** 2


def repeated(x):
    return np.sum(x * x + np.multiply(x, x) + np.where(x > 0, x, x))


def two_lists(w):
    h, s = [w[0]], 0.0
    for i in range(len(w)):
        h.append(np.sin(h[-1]) * w[i])
    for i in range(len(w)):
        s = s + h[i] * h[i + 1]
    return s


def nested(w):
    total = 0.0
    for _ in range(4):
        v = 1.0
        for x in w:
            v = np.tanh(v * x)
        total = total + v
    return total


def fibonacci(a, b):
    for _ in range(8):
        a, b = b, a * 0.5 + b
    return a * b


def numbered(x):
    for i in range(6):
        x = x * (i + 2) - i
    return x


def powers(x):
    total = 0.0
    for i in range(6):
        total = total + x**i
    return total


def backwards(w):
    v = 0.0
    for i in reversed(range(len(w))):
        v = np.cos(v + w[i])
    return v


def signs(x):
    return -(2.0**x) + (-2.0) * x - (-x) / -3.0


def independent(w):
    return sum([np.sin(x) * np.cos(x) for x in w])


CASES = {
    "halves": (halves, np.array([0.5, -1.0, 2.0, 0.3])),
    "float32": (halves, np.array([0.5, -1.0, 2.0, 0.3], np.float32)),
    "choice": (choice, np.array([0.5, -1.0, 2.0, 0.3])),
    "trees": (trees, {"w": np.array([1.0, 2.0]), "b": 3.0}, [0.5, 2.0]),
    "repeated": (repeated, np.array([0.5, -1.0])),
    "two_lists": (two_lists, [0.5, 1.1, 0.3, 0.7, 0.9]),
    "nested": (nested, [0.5, 1.1, 0.3, 0.7]),
    "fibonacci": (fibonacci, 0.5, 1.5),
    "numbered": (numbered, 1.5),
    "powers": (powers, 1.5),
    "powers_of_an_array": (lambda x: np.sum(powers(x)), np.array([1.5, 0.3])),
    "backwards": (backwards, [0.5, 1.1, 0.3, 0.7]),
    "backwards_in_an_array": (backwards, np.array([0.5, 1.1, 0.3, 0.7])),
    "signs": (signs, 1.5),
    "independent": (independent, [0.5, 1.1, 0.3, 0.7]),
    "strides": (lambda x: np.sum(x[..., ::-1, None] * x[1:, :, None].T), np.ones((2, 3))),
    "rows": (lambda W, x: sum([np.sum(np.tanh(w * x)) for w in W]), np.ones((5, 3)), np.ones(3)),
}


@every
@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_cases(name, of, loops):
    f, *args = CASES[name]
    agrees(f, *args, of=of, loops=loops)


def test_integers_and_masks_are_inputs_too():
    def f(x, places, keep):
        return np.sum(np.where(keep, x, 0.0)[places])

    text = source(f, np.ones(3), np.array([0, 2, 2]), np.array([True, False, True]), of="gradient")
    other = np.array([1, 1, 0]), np.array([True, True, False])
    same(text.function()(np.ones(3), *other), grad(f)(np.ones(3), *other))


def test_several_results_and_containers():
    def f(x):
        parts = {"a": x * 2, "b": [x, (np.sum(x), 1.0)]}
        return parts

    found = source(f, np.ones(2)).function()(np.array([1.0, 2.0]))
    assert [*found] == ["a", "b"]
    assert found["b"][1][0] == 3.0
    assert type(found["b"][1]) is tuple
    pair = source(lambda x: (x, x * 2), 2.0).function()(3.0)
    assert pair == (3.0, 6.0)


def test_scalars_need_no_numpy():
    for of in OF[:3]:
        text = agrees(lambda x, y: np.exp(np.sin(x) * y) + np.sqrt(y) / x, 0.5, 2.0, of=of)
        assert "numpy" not in text
        assert text.startswith("import math\n")


def test_results_with_one_part():
    agrees(lambda x: np.sum(x[np.nonzero(x > 0)]), np.array([0.5, -1.0, 2.0]), of="value")


def test_infinities_and_nan_among_the_constants():
    far = np.array([np.inf, -np.inf, np.nan, 0.1, -0.0])
    agrees(lambda x: np.where(far > 0, x, far), np.ones(5), of="value")
    agrees(lambda x: np.minimum(x, np.inf), 2.0, of="value")
    agrees(lambda x: np.minimum(x, np.float32(np.inf)), np.ones(2, np.float32), of="value")


def test_which_arguments():
    def f(a, b):
        return a * b

    assert source(f, 2.0, 3.0, of="gradient", argnums=1).function()(2.0, 3.0) == 2.0
    assert source(f, 2.0, 3.0, of="gradient", argnums=-1).function()(2.0, 3.0) == 2.0
    assert source(f, 2.0, 3.0, of="gradient", argnums=(1, 0)).function()(2.0, 3.0) == (2.0, 3.0)
    text = source(f, 2.0, 3.0, of="tangent", argnums=0)
    assert text.function()(2.0, 3.0, 1.0) == (6.0, 3.0)
    bound = functools.partial(f, 2.0)
    assert source(bound, 3.0).function()(3.0) == 6.0


# --- names ----------------------------------------------------------------------------------------


def test_names_do_not_clash():
    def sum(j, range, float, np_):
        math = j * range
        v = math
        for _ in range_of(5):
            v = v * float
        return v + np_

    range_of = range
    agrees(sum, 1.0, 2.0, 3.0, 4.0, of="value")
    agrees(sum, 1.0, 2.0, 3.0, 4.0, of="gradient")

    def moved(w, w_dot):
        return w * w_dot

    text = source(moved, 2.0, 3.0, of="tangent")
    assert text.function()(2.0, 3.0, 1.0, 10.0) == (6.0, 23.0)

    def names(reversed, list, v1, y_bar):
        return np.sum(reversed * list) * v1 * y_bar

    agrees(names, np.ones(2), np.ones(2), 2.0, 3.0, of="gradient")


def test_two_modules_with_the_same_names():
    pair = nn.Linear(2, 2), nn.Linear(2, 2)
    f, x = lambda a, b: np.sum(a(b(x))), drawn(3, 2)
    text = source(f, *pair, of="gradient")
    same(text.function()(*leaves_of(pair)), grad(f, (0, 1))(*pair))


# --- what it says ---------------------------------------------------------------------------------


def if_positive(x):
    if x > 0:
        return x * 2
    return -x


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (if_positive, 1.5),
        (lambda x: x * float(x), 1.5),
        (lambda x: x * x.tolist()[0], np.array([1.5])),
        (lambda x: np.unique(x), np.array([2.0, 1.0, 2.0])),
    ],
    ids=["if", "float", "tolist", "unique"],
)
def test_looking_at_a_value_warns_with_the_line(f, x):
    with pytest.warns(TracingWarning, match=r"test_source\.py:\d+") as told:
        text = source(f, x)
    assert len(told) == 1
    line = re.search(r"test_source\.py:(\d+)", str(told[0].message))[1]
    first = f.__code__.co_firstlineno
    assert first <= int(line) <= first + 1
    assert f"in test_source.py:{line}" in text.partition("\n    v")[0]
    same(text.function()(x), f(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: source(3, 2.0), "a function, not 3"),
        (lambda: source(lambda n: n * 2, 2), "no floating-point argument"),
        (lambda: source(lambda: 3.0), "no floating-point argument"),
        (lambda: source(np.tanh, np.ones(2), of="gradient"), "gradient is of one number"),
        (lambda: source(np.tanh, np.ones(2), of="hvp"), "returns one number"),
        (lambda: source(np.tanh, 1.0, of="grad"), "of is one of 'value'"),
        (lambda: source(np.tanh, 1.0, of="gradient", argnums=4), "argnums=4"),
        (lambda: source(np.tanh, 1.0, of="gradient", argnums="x"), "int or a tuple"),
        (lambda: source(lambda x, n: x * n, 1.0, 2, of="gradient", argnums=1), "argument n of"),
        (lambda: source(lambda x: 3.0, 1.0, of="gradient"), "does not depend"),
        (lambda: source(lambda x: None, 1.0), "returned None"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises((TypeError, ValueError, IndexError), match=message):
        call()


# --- random programs ------------------------------------------------------------------------------


def random_program(seed):
    """A function of a list, an array and a float: loops, elements, and operations by chance."""
    rng = np.random.default_rng(seed)
    unary = [np.sin, np.tanh, np.exp, relu, np.negative, np.square]
    binary = [np.add, np.multiply, np.subtract, np.maximum]
    steps = []
    for _ in range(rng.integers(2, 6)):
        kind = ["unary", "binary", "element", "list", "constant", "window"][rng.integers(6)]
        picked = [rng.integers(8), rng.integers(8), rng.integers(4)]
        steps.append((kind, unary[rng.integers(6)], binary[rng.integers(4)], picked))
    times, blocks = int(rng.integers(1, 9)), rng.integers(1, 3)
    matrix = rng.normal(size=(3, 3))

    def f(w, x, s):
        values = [s, w[0], x[1], np.sum(x)]
        for _ in range(blocks):
            for i in range(times):
                for kind, one, two, (a, b, c) in steps:
                    u, v = values[-1 - a % len(values)], values[-1 - b % len(values)]
                    if kind == "unary":
                        y = one(np.tanh(u))
                    elif kind == "binary":
                        y = two(u, v)
                    elif kind == "element":
                        y = two(u, x[i % 5])
                    elif kind == "list":
                        y = two(u, w[(i + c) % 4])
                    elif kind == "constant":
                        y = u * (i + c) + 0.5 * c
                    else:
                        y = np.sum(matrix @ x[c % 3 : c % 3 + 3] * u)
                    values.append(np.tanh(y))
        return values[-1] * values[-2] + values[len(values) // 2]

    args = [*map(float, rng.normal(size=4))], rng.normal(size=5), float(rng.normal())
    return f, args


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    f, args = random_program(seed)
    for of in OF:
        for loops in (True, False):
            agrees(f, *args, of=of, loops=loops)


# --- as equations ---------------------------------------------------------------------------------


def test_the_product_as_equations():
    assert source(product, FACTORS, of="gradient", latex=True).splitlines() == [
        r"\begin{aligned}",
        r"&v_{0} = 1 \\",
        r"&\text{for } j = 0, \dots, 3: \\",
        r"&\quad v_{j+1} = v_{j} \cdot w_{j} \\",
        r"&\bar{v} = 1 \\",
        r"&\text{for } j = 4, \dots, 1: \\",
        r"&\quad \bar{w}_{j} = \bar{v} \cdot v_{j} \\",
        r"&\quad \bar{v} = \bar{v} \cdot w_{j} \\",
        r"&\bar{w}_{0} = \bar{v} \cdot 1 \\",
        r"&\text{return } \bar{w}",
        r"\end{aligned}",
    ]


@pytest.mark.parametrize("name", [*NETWORKS, *CASES])
def test_equations_are_well_formed(name):
    f, *args = NETWORKS[name]() if name in NETWORKS else CASES[name]
    text = source(f, *args, of="gradient", latex=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert not re.search(r"_\{[^{}]*\}_", text), "two subscripts"
    for line in text.splitlines()[1:-1]:
        assert line.startswith("&")
        assert line.count("&") == 1 + line.count(r"\&")
    assert text._repr_latex_().startswith("$")


def test_what_is_a_constant_of_the_derivative_is_a_value_of_the_program():
    def f(x):
        return np.sum(stop_gradient(x) * x) + np.sum(x).item()

    x = np.array([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = source(f, x, of="gradient")
        value = source(f, x)
    for other in (x, np.array([3.0, 4.0])):
        np.testing.assert_array_equal(text.function()(other), other)
        assert value.function()(other) == np.sum(other * other) + np.sum(other)


def test_a_long_result_is_broken_inside_of_brackets():
    def f(a, b):
        return [v * 2.0 for v in a], [v * 3.0 for v in b]

    a = [float(i) for i in range(40)]
    text = source(f, a, a, loops=False)
    assert text.function()(a, a) == f(a, a) and max(map(len, text.splitlines())) <= 100
