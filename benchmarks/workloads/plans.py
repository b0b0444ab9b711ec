"""The planner: a suite of functions with Jacobians of many shapes, which the tests use too."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload, at_most, faster
from benchmarks.workloads.networks import as_is


def _random(*shape):
    return np.random.default_rng(shape).standard_normal(shape) / shape[-1] ** 0.5


def _mlp(*sizes):
    """Layers with tanh, of these sizes, and a point."""
    weights = [_random(n, m) for m, n in zip(sizes, sizes[1:], strict=False)]

    def mlp(x):
        for w in weights:
            x = np.tanh(w @ x)
        return x

    return mlp, _random(sizes[0])


_TIMES = np.linspace(0, 3, 2000)
_BLOCK = _random(5, 5)
_DENSE, _LEFT, _RIGHT = _random(200, 200), _random(5, 1000), _random(1000, 5)


def decays(p):
    """2,000 residuals of a curve of 4 parameters."""
    return p[0] * np.exp(-p[1] * _TIMES) + p[2] * np.sin(p[3] * _TIMES)


def moments(x):
    """4 numbers of 3,000."""
    return np.stack([np.mean(x**k) for k in (1, 2, 3, 4)])


def square(x):
    """As many results as arguments, all of all."""
    return np.sin(_DENSE @ np.cos(x))


def features(x):
    """1,000 numbers by way of 5 features."""
    return np.tanh(_RIGHT @ np.tanh(_LEFT @ np.sin(x)))


def tridiagonal(x):
    """Heat with a source: three neighbours."""
    return np.diff(x, 2) + np.exp(-(x[1:-1] ** 2))


def pentadiagonal(x):
    """A beam: five neighbours."""
    return np.diff(x, 4) + x[2:-2] ** 3


def arrow(x):
    """Everything with the first, and each with itself."""
    return np.concatenate([np.sum(x * x)[None], x[0] * np.sin(x[1:])])


def blocks(x):
    """300 blocks of five."""
    return np.tanh(x.reshape(-1, 5) @ _BLOCK).ravel()


def elementwise(x):
    """Each by itself."""
    return np.exp(-x * x) * np.sin(x)


def five_points(x):
    """The Laplacian on a grid, of points with four neighbours."""
    u = np.pad(x.reshape(40, 40), 1)
    middle = u[1:-1, 1:-1]
    around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
    return (around - 4 * middle - middle**3).ravel()


def filtered(x):
    """A moving average, and a saturation."""
    return np.tanh(np.convolve(x, np.full(7, 1 / 7), "same"))


def recurrence(x):
    """300 steps of a pendulum from 2 numbers, one by one: a graph of scalars."""
    angle, speed, path = x[0], x[1], []
    for _ in range(300):
        speed = speed - 0.01 * np.sin(angle)
        angle = angle + 0.01 * speed
        path.append(angle)
    return np.stack(path)


def rosenbrock_slope(x):
    """The gradient of a chain of valleys: its Jacobian, the Hessian, has three diagonals."""
    from autograd import grad

    return grad(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))(x)


def _line(n):
    return np.linspace(0.1, 1.0, n)


_EITHER, _COMPRESSED = ("forward", "reverse"), ("compressed columns", "compressed rows")

# name: function, point, the picks that are right
FUNCTIONS = {
    "tall": (decays, np.array([1.0, 0.7, 0.3, 2.0]), ("forward",)),
    "wide": (moments, _line(3000), ("reverse",)),
    "square": (square, _line(200), _EITHER),
    "hour-glass": (*_mlp(1000, 1000, 1000, 4, 1000, 1000, 1000), ("mixed",)),
    "features": (features, _line(1000), ("mixed",)),
    "tridiagonal": (tridiagonal, _line(2000), _COMPRESSED),
    "pentadiagonal": (pentadiagonal, _line(2000), _COMPRESSED),
    "arrow": (arrow, _line(1500), _COMPRESSED),
    "block-diagonal": (blocks, _line(1500), _COMPRESSED),
    "elementwise": (elementwise, _line(1500), _COMPRESSED),
    "five-points": (five_points, _line(1600), _COMPRESSED),
    "filter": (filtered, _line(1500), _COMPRESSED),
    "recurrence": (recurrence, np.array([1.0, 0.0]), ("forward",)),
    "Rosenbrock": (rosenbrock_slope, _line(1500), _COMPRESSED),
    "MLP-widening": (*_mlp(8, 64, 512), ("forward",)),
    "MLP-narrowing": (*_mlp(512, 64, 8), ("reverse",)),
}


def _by_mode(name, mode):
    def setup():
        from autograd import jacobian

        return as_is, jacobian(FUNCTIONS[name][0], mode=mode)

    return setup


def _by_candidate(name, candidate):
    """One way alone, of a plan made before; the pick for None."""

    def setup():
        from autograd import plan

        f, x, _ = FUNCTIONS[name]
        choice = plan(f, x)
        ways = {way.name.removeprefix("compressed "): way for way in choice.candidates}
        way = ways[candidate] if candidate else choice.best
        return as_is, lambda x: way.run()

    return setup


def _auto(name):
    """Recorded, planned and run anew each time, beside always going by rows."""
    return Workload(
        name=f"auto-{name}",
        what=f"Jacobian, mode='auto', of the {name} function of the planner's suite",
        data=lambda rng: (FUNCTIONS[name][1] * rng.uniform(0.9, 1.1),),
        sides={"ours": _by_mode(name, "auto"), "reverse": _by_mode(name, "reverse")},
        bars=(faster("reverse", 10),),
    )


def _pick(name):
    """The pick beside every other way."""
    picks = FUNCTIONS[name][2]
    others = ["reverse", "forward"]
    others += ["mixed"] if "mixed" in picks else ["columns", "rows"] if picks == _COMPRESSED else []
    return Workload(
        name=f"pick-{name}",
        what=f"the planner's pick for its {name} function, without planning, beside other ways",
        data=lambda rng: (FUNCTIONS[name][1],),
        sides={"ours": _by_candidate(name, None)}
        | {other: _by_candidate(name, other) for other in others},
        bars=tuple(at_most(other, 1.5) for other in others),
    )


AUTO = tuple(map(_auto, ("tall", "tridiagonal", "pentadiagonal", "hour-glass")))
PICKS = tuple(map(_pick, FUNCTIONS))
