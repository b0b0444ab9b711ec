"""Learning-rate schedules: pure functions of the step, and what sets an optimizer's rate by them.

    schedule = LambdaLR(optimizer, lambda t: cosine(t, total=1000))
    for x, y in batches:
        ...
        optimizer.step()
        schedule.step()

A function gives the *factor* ηₜ/η₀ at step t = 0, 1, 2, …, so that groups with rates of their own
keep them in proportion; t counts whatever `step` is called for, minibatches or epochs.  Products
of functions are schedules too: ``lambda t: warmup(t, 100) * cosine(t, 1000)``.
"""

import math

import numpy as np

from autograd.primitive import number, telling
from autograd.repeat import deferred


@telling
def constant(t):
    """1: the rate the optimizer was made with."""
    return 1.0


@telling
def staircase(t, c, k=1):
    """exp(-c⌈t/k⌉): down every k steps (lecture E).

    >>> [round(staircase(t, 0.5, k=2), 3) for t in range(5)]
    [1.0, 0.607, 0.607, 0.368, 0.368]
    """
    _at_least(1, "staircase", k=k)
    return math.exp(-c * math.ceil(t / k))


@telling
def inverse(t, c):
    """1/(1 + ct) (lecture E).

    >>> [inverse(t, 0.5) for t in (0, 2, 6)]
    [1.0, 0.5, 0.25]
    """
    _at_least(0, "inverse", c=c)
    return 1 / (1 + c * t)


@telling
def inverse_sqrt(t, c):
    """1/√(1 + ct) (lecture E).

    >>> [inverse_sqrt(t, 1) for t in (0, 3, 15)]
    [1.0, 0.5, 0.25]
    """
    _at_least(0, "inverse_sqrt", c=c)
    return 1 / math.sqrt(1 + c * t)


@telling
def warmup(t, steps):
    """Up in equal steps, from 1/steps at t = 0 to 1 at t = steps - 1; then 1.

    >>> [warmup(t, 4) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    _at_least(1, "warmup", steps=steps)
    return min(1.0, (t + 1) / steps)


@telling
def cosine(t, total, least=0.0):
    """Half a cosine from 1 at t = 0 to `least` at t = total, and there from then on.

    >>> [round(cosine(t, 4), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    _at_least(1, "cosine", total=total)
    return _falling(t, total, least)


@telling
def one_cycle(t, total, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """Up from 1/div_factor to 1 in the first `pct_start` of the steps, then down, by cosines.

    The last of the `total` steps, t = total - 1, has 1/(div_factor final_div_factor).  As
    PyTorch's OneCycleLR, whose ``max_lr`` is the optimizer's rate here; momentum stays.

    >>> [round(one_cycle(t, 8, pct_start=0.5, div_factor=10), 3) for t in range(8)]
    [0.1, 0.325, 0.775, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _at_least(1, "one_cycle", total=total)
    if not 0 <= pct_start <= 1:
        raise ValueError(f"one_cycle: pct_start lies in [0, 1], got {pct_start!r}")
    _at_least(1e-30, "one_cycle", div_factor=div_factor, final_div_factor=final_div_factor)
    first, last = 1 / div_factor, 1 / (div_factor * final_div_factor)
    peak = pct_start * total - 1
    if t <= peak:
        return 1 + (first - 1) * (1 + math.cos(math.pi * t / peak)) / 2 if peak else 1.0
    return _falling(t - peak, total - 1 - peak, last)


def _falling(t, total, least):
    """Half a cosine from 1 at t = 0 to `least` at t = total and from then on."""
    return least + (1 - least) * (1 + math.cos(math.pi * (t / total if t < total else 1))) / 2


def _at_least(least, what, **numbers):
    for name, value in numbers.items():
        if not value >= least:
            raise ValueError(f"{what}: {name} is a number >= {least}, got {value!r}")


class _Schedule:
    """Base: the dicts of an optimizer that hold a rate, and a schedule's own state."""

    kept = ()  # names of the attributes that are the state: numbers and lists of numbers

    def __init__(self, optimizer):
        if not hasattr(optimizer, "param_groups"):
            kind = type(optimizer).__name__
            raise TypeError(f"{type(self).__name__}: pass an optimizer, not a {kind}")
        self.optimizer = optimizer

    def _places(self):
        """The optimizer's settings, and the groups with a rate of their own."""
        groups = [group for group in self.optimizer.param_groups if "lr" in group]
        return [self.optimizer.hyper, *groups]

    def state_dict(self):
        """Numbers and arrays, by name."""
        found = {name: getattr(self, name) for name in self.kept}
        return {k: np.array(v) if isinstance(v, list) else v for k, v in found.items()}

    def load_state_dict(self, state):
        """Go on from `state`; nothing changes unless all of it fits (ValueError).

        The rates themselves are in the optimizer's own state.
        """
        own, new = self.state_dict(), {k: np.array(v) for k, v in state.items()}
        problems = [f"missing {name}" for name in own if name not in new]
        problems += [f"unexpected {name}" for name in new if name not in own]
        problems += [
            f"{name} must be {np.size(value) if np.ndim(value) else 'a'} number(s), not {new[name]}"
            for name, value in own.items()
            if name in new
            and (new[name].shape != np.shape(value) or new[name].dtype.kind not in "fiu")
        ]
        if problems:
            raise ValueError(f"load_state_dict of {type(self).__name__}: {'; '.join(problems)}")
        for name, value in new.items():
            setattr(self, name, value.tolist())


class LambdaLR(_Schedule):
    """Sets every rate to what it was at first times ``lr_lambda(t)``, from t = 0 on.

    lr_lambda   a function of the step, such as `cosine`; must give finite numbers >= 0

    >>> from autograd import Tensor
    >>> from optim import SGD
    >>> optimizer = SGD([Tensor(1.0)], lr=0.5)
    >>> schedule = LambdaLR(optimizer, lambda t: inverse(t, c=1))
    >>> schedule.step()
    >>> optimizer.lr
    0.25
    """

    kept = ("t", "base")

    def __init__(self, optimizer, lr_lambda):
        super().__init__(optimizer)
        if not callable(lr_lambda):
            raise TypeError(
                f"LambdaLR: lr_lambda must be a function of the step, not {lr_lambda!r}"
            )
        self.lr_lambda, self.t = lr_lambda, 0
        self.base = [place["lr"] for place in self._places()]
        self._scale(self._at(0))

    def step(self):
        """Go to the next step's rate."""
        if deferred(self.step):
            return
        factor = self._at(self.t + 1)
        self.t += 1
        self._scale(factor)

    def _at(self, t):
        factor = self.lr_lambda(t)
        if not 0 <= factor < math.inf:
            raise ValueError(
                f"LambdaLR: lr_lambda({t}) must be a finite number >= 0, not {factor!r}"
            )
        return factor

    def _scale(self, factor):
        for place, base in zip(self._places(), self.base, strict=True):
            place["lr"] = base * factor


class ReduceLROnPlateau(_Schedule):
    """Divides the rate by 10 when the error has stopped falling (lecture C).

    factor      what the rate is multiplied by
    patience    how many steps without a new best error are waited for; one more, and it happens
    threshold   a new best is below (1 - threshold) times the last; above (1 + threshold), "max"
    mode        "min" for an error, "max" for a score
    cooldown    steps after a reduction in which none is counted
    min_lr      no rate goes below this one
    """

    kept = ("best", "bad", "cooling")

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        cooldown=0,
        min_lr=0.0,
    ):
        super().__init__(optimizer)
        if not isinstance(mode, str) or mode not in ("min", "max"):
            raise ValueError(f'ReduceLROnPlateau: mode must be "min" or "max", not {mode!r}')
        for name, value, wanted, most in (
            ("factor", factor, "in (0, 1)", 1),
            ("patience", patience, "a number >= 0", math.inf),
            ("threshold", threshold, "a number >= 0", math.inf),
            ("cooldown", cooldown, "a number >= 0", math.inf),
            ("min_lr", min_lr, "a number >= 0", math.inf),
        ):
            try:
                fine = bool(0 <= value <= most) and not np.ndim(value)
            except (TypeError, ValueError):
                fine = False
            if not fine or name == "factor" and value in (0, 1):
                raise ValueError(f"ReduceLROnPlateau: {name} must be {wanted}, not {value!r}")
        self.mode, self.patience, self.threshold = mode, patience, threshold
        self.factor, self.cooldown, self.min_lr = factor, cooldown, min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = self.cooling = 0

    def step(self, error):
        """Take note of this step's error, a number, and lower the rate if it is time."""
        error = number(error)
        if self.mode == "min":
            better = error < self.best * (1 - self.threshold)
        else:
            better = error > self.best * (1 + self.threshold)
        if better:
            self.best, self.bad = error, 0
        else:
            self.bad += 1
        if self.cooling:
            self.cooling -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.bad, self.cooling = 0, self.cooldown
            for place in self._places():
                place["lr"] = max(place["lr"] * self.factor, min(self.min_lr, place["lr"]))
