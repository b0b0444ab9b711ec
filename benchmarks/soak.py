"""A hundred thousand steps: ``python -m benchmarks.soak [names…] [--steps N]``.

Each program trains a small network in a process of its own, on one thread.  The steps are taken
in ten stretches.  Behind each it is noted what memory the process has, how many objects the
garbage collector knows, and the processor time that the quickest twentieth of the steps stay
within: what else goes on on the machine makes steps slower, never quicker.  The first stretch is
for what is made once.  From the second to the last memory is to stay within `FLAT`, and the least
time of the last three stretches within `EVEN` of the least of the three behind the first.

`faults` trains two networks alike, and throws an exception out of every third step of one of them:
in the end they are the same to the last bit.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import autograd
import nn
import optim
from autograd.primitive import Primitive, registry
from autograd.program import compile

STEPS, STRETCHES = 100_000, 10
FLAT = 0.02  # of the memory: what it may change by
EVEN = 0.10  # of the time of a step: what it may grow by
BATCH, INPUTS, CLASSES = 16, 8, 3

Mark = Callable[[], None]  # called behind every step


class Training:
    """A small network with all that has a state: running statistics, draws, moments, averages."""

    def __init__(self) -> None:
        autograd.seed(0)
        self.model = nn.Sequential(
            nn.Linear(INPUTS, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.2),
            nn.Linear(16, CLASSES),
        )  # fmt: skip
        for part in self.model.modules():
            if isinstance(part, nn.Dropout):
                part.generator = np.random.default_rng(1)
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-3)
        self.average = optim.EMA(self.model.parameters(), 0.99)

    def step(self, x: np.ndarray, y: np.ndarray) -> autograd.Tensor:
        """Train on one batch."""
        self.optimizer.zero_grad()
        loss = nn.cross_entropy(self.model(x), y)
        loss.backward()
        optim.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update()
        return loss

    def state(self) -> dict[str, object]:
        """All that a step changes, but for the gradients."""
        parts = {"model": self.model, "optimizer": self.optimizer, "average": self.average}
        found = {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
        draws = [
            part.generator.bit_generator.state
            for part in self.model.modules()
            if isinstance(part, nn.Dropout)
        ]
        return found | {"draws": str(draws)}


def data(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """So many batches, the same at every call."""
    rng = np.random.default_rng(2)
    xs = rng.normal(size=(count, BATCH, INPUTS)).astype(np.float32)
    return [*zip(xs, rng.integers(0, CLASSES, (count, BATCH)), strict=True)]


# --- the programs -------------------------------------------------------------------------------


def eager(steps: int, mark: Mark) -> None:
    """Recorded, walked and freed at every step."""
    training, batches = Training(), data(64)
    for n in range(steps):
        training.step(*batches[n % 64])
        mark()


def compiled(steps: int, mark: Mark) -> None:
    """The whole step compiled."""
    training, batches = Training(), data(64)
    step = compile(training.step)
    for n in range(steps):
        step(*batches[n % 64])
        mark()


def fit(steps: int, mark: Mark) -> None:
    """`optim.fit` with callbacks, validation, clipping and a schedule, fifty steps an epoch."""

    class Marking(optim.Callback):
        def on_step(self, run: optim.Run) -> None:
            mark()

    training, batches = Training(), data(50)
    optim.fit(
        training.model, batches, nn.cross_entropy, training.optimizer, max(1, steps // 50),
        validation=batches[:2], metrics=[optim.metrics.accuracy], clip_norm=1.0, ratios=True,
        schedule=optim.LambdaLR(training.optimizer, lambda t: 0.999**t),
        callbacks=[Marking(), lambda run: training.average.update()], progress=False,
    )  # fmt: skip


def transforms(steps: int, mark: Mark) -> None:
    """Nested transformations: per-example gradients, a Hessian's product, recomputation."""
    batches = data(64)
    w = np.random.default_rng(3).normal(size=(INPUTS, CLASSES)) / 3
    each = autograd.vmap(autograd.grad(lambda w, x: np.sum(np.tanh(x @ w))), (None, 0))
    for n in range(steps):
        x, y = batches[n % 64]
        layer = autograd.checkpoint(lambda w, x=x: np.tanh(x @ w))

        def loss(w: np.ndarray, layer=layer, y=y) -> np.ndarray:
            return nn.cross_entropy(layer(w), y)

        slope = autograd.grad(loss)(w)
        curved = autograd.hvp(loss, (w,), (slope,))[0]
        w = w - 0.01 * (slope + 1e-3 * curved + 1e-3 * np.mean(each(w, x), axis=0))
        mark()


class Thrown(Exception):  # noqa: N818 - no error: what the programs throw at the engine
    """What a fault throws."""


@contextlib.contextmanager
def broken(operation: Primitive, part: str):
    """Within this block an operation's ``forward`` or ``pulls`` throw."""
    whole = getattr(operation, part)

    def throw(*args: object, **options: object) -> None:
        raise Thrown

    setattr(operation, part, throw if part == "forward" else (throw,) * len(whole))
    try:
        yield
    finally:
        setattr(operation, part, whole)


FAULTS = [
    (registry[np.tanh], "pulls"), (registry[np.tanh], "forward"), (nn.functional.linear, "pulls"),
    (nn.functional.softmax_cross_entropy, "forward"),
]  # fmt: skip


def faults(steps: int, mark: Mark) -> None:
    """An exception out of every third step, which `autograd.repeat.Memo` undoes the draws of."""
    whole, disturbed = Training(), Training()
    batches = data(64)
    for n in range(steps):
        x, y = batches[n % 64]
        whole.step(x, y)
        if n % 3 == 0:
            memo = autograd.repeat.Memo()
            with broken(*FAULTS[n // 3 % len(FAULTS)]), contextlib.suppress(Thrown), memo.first():
                disturbed.step(x, y)
            memo.undo()
        disturbed.step(x, y)
        mark()
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, disturbed.state()[name], name)


PROGRAMS = {f.__name__: f for f in (eager, compiled, fit, transforms, faults)}


# --- measuring ----------------------------------------------------------------------------------


class Meter:
    """Notes, behind every stretch of so many steps, memory, objects and the time of a step."""

    def __init__(self, stretch: int) -> None:
        self.times, self.at = np.zeros(stretch), 0
        self.rows: list[dict[str, float]] = []
        self.last = time.process_time()

    def mark(self) -> None:
        """A step has ended."""
        now = time.process_time()
        self.times[self.at] = now - self.last
        self.at += 1
        if self.at == len(self.times):
            self.at = 0
            gc.collect()
            self.rows.append(
                {
                    "bytes": resident(),
                    "objects": len(gc.get_objects()),
                    "seconds": float(np.quantile(self.times, 0.05)),
                }
            )
        self.last = time.process_time()


def resident() -> int:
    """The bytes of memory that this process has, as Linux counts them."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def judged(rows: list[dict[str, float]]) -> tuple[float, float]:
    """By what share memory and the time of a step have grown behind the first stretch."""
    first, *rest = (row["seconds"] for row in rows[1:])
    early, late = min(first, *rest[:2]), min(rest[-3:])
    return rows[-1]["bytes"] / rows[1]["bytes"] - 1, late / early - 1


def main() -> int:
    """Print a line for each program; 1 if one grows."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Whether memory or time per step grow in a long run.",
        epilog="programs: " + "; ".join(f"{n}: {f.__doc__}" for n, f in PROGRAMS.items()),
    )
    parser.add_argument("names", nargs="*", metavar="name", help="programs to run (default: all)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N")
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)  # in the child
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in PROGRAMS]:
        parser.error(f"no program named {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
    if arguments.steps < 1000:
        parser.error("--steps is at least 1000")
    if arguments.rows:
        meter = Meter(arguments.steps // STRETCHES)
        PROGRAMS[arguments.names[0]](arguments.steps, meter.mark)
        print(json.dumps(meter.rows))
        return 0

    print(f"{arguments.steps:,} steps; from the second to the last tenth of them\n")
    print(f"{'program':<12}{'memory, MiB':>18}{'objects':>18}{'step, µs':>16}  holds")
    grown = False
    for name in arguments.names or PROGRAMS:
        command = [sys.executable, "-m", "benchmarks.soak", name, "--rows"]
        done = subprocess.run(
            [*command, "--steps", str(arguments.steps)], check=True, stdout=subprocess.PIPE,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        rows = json.loads(done.stdout)
        memory, seconds = judged(rows)
        holds = abs(memory) <= FLAT and seconds <= EVEN
        grown |= not holds
        a, b = rows[1], rows[-1]
        print(
            f"{name:<12}{a['bytes'] / 2**20:>10.2f} {memory:>+7.2%}"
            f"{a['objects']:>11,} {b['objects'] - a['objects']:>+6,}"
            f"{a['seconds'] * 1e6:>8.0f} {seconds:>+7.1%}  {'yes' if holds else 'NO'}",
            flush=True,
        )
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
