"""Sample graphs of every shape, for tests of what is made of graphs: name -> a function of no
arguments that records one and returns its result, or a list of results.
"""

import numpy as np

import nn
from autograd import Tensor, gradients, no_grad, scope

GRAPHS = {}


def graph(f):
    GRAPHS[f.__name__] = f
    return f


def numbers(*shape, seed=0, dtype=float):
    """Random numbers, the same at every call."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def neuron():
    w, x, b = Tensor(0.8, name="w"), Tensor(1.5, name="x"), Tensor(-0.4, name="b")
    y = np.tanh(w * x + b)
    y.name = "y"
    return y


def random_graph(count, seed=0, inputs=4):
    """`count` operations on numbers, each on random ones of the twenty before it."""
    rng = np.random.default_rng(seed)
    known = [Tensor(float(v), name=f"x{i}") for i, v in enumerate(rng.uniform(0.5, 1.5, inputs))]
    used = set()
    for _ in range(count):
        a, b = (int(i) for i in rng.integers(max(0, len(known) - 20), len(known), 2))
        used |= {a, b}
        kind = rng.integers(6)
        if kind == 0:
            known.append(np.tanh(known[a]))
        elif kind == 1:
            known.append(np.sin(known[a]) if a != b else np.exp(-known[a] * known[a]))
        elif kind == 2:
            known.append(known[a] - 0.5 * known[b])
        elif kind == 3:
            known.append(0.5 * (known[a] + known[b]))
        else:
            known.append(known[a] * known[b] / (1.0 + known[b] * known[b]))
    ends = [t for i, t in enumerate(known) if i not in used]
    total = ends[0]
    for t in ends[1:]:
        total = total + t
    return total


class Network(nn.Module):
    """A convolutional network, modules within modules."""

    def __init__(self):
        g = np.random.default_rng(0)
        self.features = nn.Sequential(
            nn.Conv2d(1, 2, 3, generator=g), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        self.head = nn.MLP((18, 5, 3), generator=g)

    def forward(self, x):
        return self.head(self.features(x))


class Tied(nn.Module):
    """One layer, and its weight, used on the way in and out."""

    def __init__(self):
        self.inner = nn.Linear(3, 3, generator=np.random.default_rng(0))

    def forward(self, x):
        return np.tanh(self.inner(np.tanh(self.inner(x)))) @ self.inner.weight


graph(neuron)


@graph
def input_alone():
    return Tensor(2.0, name="alone")


@graph
def chain():
    y = Tensor(0.5, name="x")
    for f in (np.sin, np.exp, np.tanh, np.sqrt, np.log, np.cos, np.square):
        y = f(y + 1.0)
    return y


@graph
def diamond():
    x = Tensor(0.7, name="x")
    return np.sin(x) * np.cos(x)


@graph
def diamonds():
    y = Tensor(0.7, name="x")
    for _ in range(6):
        y = np.sin(y) * np.exp(-y)
    return y


@graph
def repeated_operands():
    x = Tensor(1.5, name="x")
    y = x * x
    return np.stack([y, y, x, y]) @ np.stack([x, y, y, y])


@graph
def speelpenning():
    xs = [Tensor(float(i), name=f"x{i}") for i in (1, 2, 3, 4)]
    y = xs[0] * xs[1]
    for x in xs[2:]:
        y = y * x
    return y


@graph
def fan_in():
    return np.sum(np.stack([Tensor(float(i), name=f"x{i}") for i in range(20)]) ** 2)


@graph
def fan_out():
    x = Tensor(1.2, name="x")
    return np.sum(np.stack([np.sin(x * float(k)) for k in range(1, 11)]))


@graph
def constants():
    x = Tensor(numbers(3), name="x")
    return np.sum(2.0 * x * np.array([5.0, 6.0, 7.0]) + np.ones(3)) - 1.0


@graph
def broadcasting():
    column, row = Tensor(numbers(4, 1), name="column"), Tensor(numbers(3), name="row")
    return np.mean((column * row + 1.0) ** 2)


@graph
def several_outputs():
    a, b = Tensor(1.0, name="a"), Tensor(2.0, name="b")
    both = a * b
    return [np.sin(both), np.exp(both), both]


@graph
def tuple_result():
    sign, log = np.linalg.slogdet(Tensor(np.array([[2.0, 1.0], [0.0, 3.0]]), name="M"))
    return sign * log


@graph
def indexing():
    x = Tensor(numbers(3, 4), name="x")
    return np.sum(x[1:, ::2] * x[0, 1]) + np.sum(x[[0, 2], [1, 1]]) + x[..., -1].sum()


@graph
def stack_and_split():
    x = Tensor(numbers(6), name="x")
    first, second, third = np.split(x, 3)
    return np.sum(np.concatenate([third, first * second]))


@graph
def mlp():
    model = nn.MLP((3, 4, 4, 2), generator=np.random.default_rng(0))
    return nn.cross_entropy(model(numbers(5, 3, dtype=np.float32)), [0, 1, 1, 0, 1])


@graph
def mlp_of_a_variable():
    model = nn.MLP((3, 4, 1), nn.Tanh, generator=np.random.default_rng(0))
    return np.sum(model(Tensor(numbers(2, 3, dtype=np.float32), name="x")))


@graph
def convolution():
    return nn.cross_entropy(Network()(numbers(2, 1, 8, 8, dtype=np.float32)), [0, 2])


@graph
def recurrent():
    cell = nn.RNNCell(2, 3, generator=np.random.default_rng(0))
    h = np.zeros(3, np.float32)
    for x in numbers(20, 2, dtype=np.float32):
        h = cell(x, h)
    return np.sum(h)


@graph
def recurrent_by_hand():
    w, u, h = Tensor(0.5, name="w"), Tensor(0.9, name="u"), Tensor(0.0, name="h")
    for t in range(20):
        h = np.tanh(u * h + w * Tensor(float(t), name=f"x{t}"))
    return h


@graph
def attention():
    layer = nn.MultiheadAttention(4, 2, generator=np.random.default_rng(0))
    x = Tensor(numbers(3, 2, 4, dtype=np.float32), name="x")
    found = layer(x, x, x)
    return np.sum(found[0] if isinstance(found, tuple) else found)


@graph
def batch_norm():
    layer = nn.BatchNorm1d(3)
    return np.sum(layer(Tensor(numbers(5, 3, dtype=np.float32), name="x")) ** 2)


@graph
def autoencoder():
    g = np.random.default_rng(0)
    model = nn.SparseAutoencoder(
        nn.Sequential(nn.Linear(4, 2, generator=g), nn.Sigmoid()), nn.Linear(2, 4, generator=g)
    )
    return model.loss(numbers(6, 4, dtype=np.float32))


@graph
def residual_blocks():
    g = np.random.default_rng(0)
    blocks = [nn.Residual(nn.MLP((3, 3, 3), nn.Tanh, generator=g)) for _ in range(12)]
    return np.sum(nn.Sequential(*blocks)(numbers(2, 3, dtype=np.float32)))


@graph
def tied_weights():
    return np.sum(Tied()(numbers(2, 3, dtype=np.float32)))


@graph
def nested_scopes():
    x, w = Tensor(0.3, name="x"), Tensor(1.1, name="w")
    with scope("outer"):
        y = x * w
        with scope("left"):
            a = np.sin(y) * w
        with scope("right"):
            with scope("deep"):
                b = np.cos(y) + 1.0
            b = b * w
        y = a + b
    with scope("after"):
        return np.exp(y - x)


@graph
def gradient_of_a_gradient():
    x = Tensor(0.6, name="x")
    (slope,) = gradients(np.sin(x) * x, [x], record=True)
    return gradients(slope, [x], record=True)[0]


@graph
def partly_silenced():
    x = Tensor(1.3, name="x")
    with no_grad():
        fixed = np.exp(x)
    return x * fixed + np.sin(x)


@graph
def random_60():
    return random_graph(60, seed=1)


@graph
def random_500():
    return random_graph(500, seed=2)
