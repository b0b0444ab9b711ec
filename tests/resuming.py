"""Training runs of all kinds, whole, cut off, and gone on with in a fresh process.

``python -m tests.resuming FOLDER`` goes on with every run cut off there, and prints the digests of
where it ends, as JSON.
"""

import functools
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import autograd
import nn
import optim
from autograd.rules.random import generator_or_default
from nn.data import Loader
from optim.metrics import r2

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a folder where a sync takes no time
X = np.random.default_rng(0).standard_normal((22, 3)).astype(np.float32)  # batches of 5: 5 an epoch
Y = (X[:, :1] * X[:, 1:2] - X[:, 2:]).astype(np.float32)
STEPS = 20  # in 4 epochs


class CutError(Exception):
    """What ends a run like a crash."""


class Cutting(optim.Callback):
    """A run that breaks down within a step: behind the gradients, before the weights move."""

    at = None

    def on_gradients(self, run):
        if run.step == self.at:
            raise CutError

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """Nothing to take."""


class Averaging(optim.Callback):
    """A user's callback with state: an average of the weights, and the norms of the gradients."""

    def __init__(self, model):
        self.ema, self.norms = optim.EMA(model.parameters(), 0.9), []

    def on_step(self, run):
        self.ema.update()
        self.norms.append(float(sum(np.sum(p.grad**2) for p in run.model.parameters())))

    def state_dict(self):
        return {"ema": self.ema.state_dict(), "norms": self.norms}

    def load_state_dict(self, state):
        self.ema.load_state_dict(state["ema"])
        self.norms = list(state["norms"])


class Noisy:
    """A user's data: a Loader's batches with noise, drawn from a generator of its own."""

    def __init__(self):
        self.loader = Loader(X, Y, batch_size=5, shuffle=True)
        self.rng = np.random.default_rng(5)

    def __iter__(self):
        for x, y in self.loader:
            yield x + self.rng.standard_normal(x.shape).astype(np.float32), y

    def state_dict(self):
        return {"loader": self.loader.state_dict(), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.loader.load_state_dict(state["loader"])
        self.rng.bit_generator.state = state["rng"]


class Halving:
    """A user's schedule."""

    def __init__(self, optimizer):
        self.optimizer, self.t = optimizer, 0

    def step(self):
        self.t += 1
        self.optimizer.lr *= 0.5 ** (self.t % 3 == 0)

    def state_dict(self):
        return {"t": self.t}

    def load_state_dict(self, state):
        self.t = state["t"]


def network(dtype=np.float32, *between):
    """Batch norm, dropout by the default generator, and one weight in two places."""
    first, again = nn.Linear(3, 3, dtype=dtype), nn.Linear(3, 3, dtype=dtype)
    again.weight = first.weight
    return nn.Sequential(
        first, nn.BatchNorm1d(3, dtype=dtype), *between, nn.Tanh(), nn.Dropout(0.3), again,
        nn.Linear(3, 1, dtype=dtype),
    )  # fmt: skip


class Recurrent(nn.Module):
    """An LSTM with zoneout, over the features as a sequence."""

    def __init__(self):
        self.lstm = nn.LSTM(1, 4, batch_first=True, zoneout=0.2, generator=np.random.default_rng(8))
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.lstm(x[:, :, None])[0][:, -1])


class Scaled(nn.Module):
    """Parameters of no axes: a number and an array."""

    def __init__(self):
        self.inner = nn.Linear(3, 1)
        self.factor, self.shift = nn.Parameter(1.5), nn.Parameter(np.array(0.5, np.float32))

    def forward(self, x):
        return self.inner(x) * self.factor + self.shift


def transposed():
    """Weights in Fortran order, in which BLAS adds up otherwise."""
    model = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Linear(64, 1))
    for p in model.parameters():
        p.data = np.asfortranarray(p.data)
    return model


def by(kind, model):
    return getattr(optim, kind)(model.parameters(), lr=0.01)


def grouped(model):
    named = model.named_parameters()
    groups = optim.group_parameters(named, (lambda name, p: p.ndim == 1, {"lr": 0.02}))
    return optim.SGD(groups, lr=np.float64(0.05), momentum=0.5, nesterov=True)


def noise(kind):
    """Noise of several kinds, from one generator: NumPy's of that kind."""
    rng = np.random.Generator(getattr(np.random, kind)(3))
    noisy = nn.WeightNoise(nn.Linear(3, 3), 0.1, rng)
    return network(np.float32, nn.Dropout(0.2, rng), nn.GaussianNoise(0.1, rng), noisy)


def print_nothing(run):
    """A function as a callback."""


def lambda_lr(factor, optimizer):
    return optim.LambdaLR(optimizer, factor)


def plateau(optimizer):
    return optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, cooldown=1)


FACTORS = {
    "constant": optim.constant,
    "staircase": lambda t: optim.staircase(t, 0.1, k=3),
    "inverse": lambda t: optim.inverse(t, 0.1),
    "inverse_sqrt": lambda t: optim.inverse_sqrt(t, 0.1),
    "warmup": lambda t: optim.warmup(t, 9),
    "cosine": lambda t: optim.cosine(t, STEPS),
    "one_cycle": lambda t: optim.one_cycle(t, STEPS + 1),
    "of NumPy's numbers": lambda t: np.float64(1) / (1 + t),
}
OPTIMIZERS = (
    "SGD", "Momentum", "Nesterov", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax",
    "NAdam", "Rprop", "Quickprop",
)  # fmt: skip
EARLY = {  # the best epoch is the fourth, and the sixth is the last
    "patience": 2, "validation": (X[:7], Y[:7]), "epochs": 40,
    "optimizer": lambda model: optim.Adam(model.parameters(), lr=0.1),
}  # fmt: skip

# name -> functions that make the model, optimizer, schedule, data, generator and callbacks, where
# they are not the usual ones; what else `fit` is told; "at" which step the run is cut, 14 if not
# said; and the step "saved" last, where that says more than `every` does
CASES = {
    **{
        kind: {"optimizer": functools.partial(by, kind), "at": 6 + i}
        for i, kind in enumerate(OPTIMIZERS)
    },
    **{
        f"{name} each step": {
            "schedule": functools.partial(lambda_lr, factor), "schedule_every": "step", "at": 8 + i,
        }
        for i, (name, factor) in enumerate(FACTORS.items())
    },
    "cosine each epoch": {"schedule": functools.partial(lambda_lr, FACTORS["cosine"])},
    "plateau each step": {"schedule": plateau, "schedule_every": "step"},
    "plateau each epoch": {"schedule": plateau, "validation": (X, Y)},
    "a user's schedule": {"schedule": Halving, "schedule_every": "step", "at": 12},
    **{
        kind: {"model": functools.partial(noise, kind)}
        for kind in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    },
    "float64": {"model": functools.partial(network, np.float64)},
    "Fortran order": {"model": transposed},
    "no axes": {"model": Scaled},
    "recurrent": {"model": Recurrent},
    "groups": {"optimizer": grouped, "schedule": functools.partial(lambda_lr, FACTORS["inverse"])},
    "a loss of its own": {
        "model": lambda: nn.DenoisingAutoencoder(
            nn.Linear(3, 2), nn.Linear(2, 3), generator=np.random.default_rng(1)
        ),
        "data": lambda: (X,), "loss": None,
    },
    "a list": {"data": lambda: [(X[:9], Y[:9]), (X[9:15], Y[9:15]), (X[15:], Y[15:])] * 2},
    "a Loader": {"data": lambda: Loader(X, Y, batch_size=4, shuffle=True), "at": 13},
    "a user's data": {"data": Noisy, "at": 14},
    "a generator": {"generator": np.random.default_rng},
    "clipped": {"clip_norm": 0.1, "clip_value": 0.05},
    "metrics": {"metrics": [r2], "validation": (X[:8], Y[:8]), "monitor": "val_r2", "at": 13},
    "ratios": {"ratios": True, "at": 12},
    "callbacks": {"callbacks": lambda model: [Averaging(model), print_nothing], "at": 17},
    "early stopping": {**EARLY, "at": 27},
    "early stopping, by epochs": {**EARLY, "every": "epoch", "at": 27, "saved": 25},
    "by epochs": {"every": "epoch", "at": 12, "saved": 10},
    "at the last batch": {"at": 11, "every": 5, "saved": 10},
    "one step before": {"at": 10, "every": 3, "saved": 9},
    "after the first step": {"at": 2, "every": 1, "saved": 1},
    "before anything is saved": {"at": 2, "every": 5, "saved": 0},
    "of a run that is over": {"at": None, "every": 7, "saved": 20},
}  # fmt: skip


def trained(name, seed=11, at=None, **options):
    """The case's run, cut at a step if one is given; the digests of all it ends with."""
    case = {k: v for k, v in CASES[name].items() if k not in ("at", "saved")} | options
    autograd.seed(seed)
    model = case.pop("model", network)()
    optimizer = case.pop("optimizer", functools.partial(by, "Adam"))(model)
    schedule = case.pop("schedule", lambda optimizer: None)(optimizer)
    data = case.pop("data", lambda: (X, Y))()
    generator = case.pop("generator", lambda seed: None)(seed)
    cutting = Cutting()
    cutting.at = at
    callbacks = [*case.pop("callbacks", lambda model: [])(model), cutting]
    settings = {"loss": nn.mse, "epochs": 4, "batch_size": 5, "progress": False} | case
    history = optim.fit(
        model, data, optimizer=optimizer, schedule=schedule, generator=generator,
        callbacks=callbacks, **settings,
    )  # fmt: skip
    ended = {
        "parameters": {name: p.data for name, p in model.named_parameters()},
        "buffers": dict(model.named_buffers()),
        "generators": {name: rng.bit_generator.state for name, rng in model.named_generators()},
        "default": generator_or_default().bit_generator.state,
        "optimizer": optimizer.state_dict(), "schedule": schedule and schedule.state_dict(),
        "data": data.state_dict() if hasattr(data, "state_dict") else None,
        "generator": generator and generator.bit_generator.state,
        "callbacks": [c.state_dict() for c in callbacks if hasattr(c, "state_dict")],
        "history": dict(history), "ratios": history.ratios,
        "end": [history.best, history.stopped],
    }  # fmt: skip
    return {k: hashlib.sha256(exact(value).encode()).hexdigest() for k, value in ended.items()}


def exact(value):
    """Text that is the same for states that are, to the last bit and the order in memory."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{exact(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(exact, value)) + "]"
    if isinstance(value, np.ndarray):
        order = [i for i in np.argsort(value.strides, kind="stable") if value.shape[i] > 1]
        return f"{value.dtype.str}{value.shape}{order}{value.tobytes().hex()}"
    return f"{type(value).__name__} {value!r}"


def cut_at(name):
    """The step at which the case is cut, and the last one saved before."""
    case = {"at": 14, "every": 4} | CASES[name]
    if "saved" in case:
        return case["at"], case["saved"]
    return case["at"], (case["at"] - 1) // case["every"] * case["every"]


def main(folder):
    """Go on with all runs, from other weights, orders and draws wherever there is a file."""
    found = {
        name: trained(
            name, seed=99 if cut_at(name)[1] else 11, checkpoint=Path(folder, name), resume=True,
            **({} if "every" in CASES[name] else {"every": 4}),
        )
        for name in CASES
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
