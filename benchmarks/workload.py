"""What a workload is. Nothing here, or in ``workloads/``, imports a library at the top level.

A workload names its data, one setup per side, and its bars. A *setup* runs once in the side's own
process, imports its library there and returns a pair:

``prepare(*data)``
    untimed: turns one data set into what the library works on, as a tuple (new leaves, its own
    arrays). Called anew before every repetition, so no gradient is left over from the last.
``step(*prepared)``
    timed: the work itself. It returns a gradient (or another array that the sides must agree
    on, up to its layout), or None where there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

THREADS = 2
OURS = "ours"
BYTES = ("memory", "footprint")  # measures that are of bytes

Data = tuple[Any, ...]
Setup = Callable[[], tuple[Callable[..., Data], Callable[..., Any]]]


@dataclass(frozen=True)
class Library:
    """Where a side's code comes from: the distribution whose version is reported, and the
    environment variable that names another interpreter, if it needs one.
    """

    distribution: str
    interpreter: str | None = None


LIBRARIES = {
    OURS: Library("speelpenning"),
    "torch": Library("torch"),
    "micrograd": Library("micrograd"),
    "mygrad": Library("mygrad"),
    "jax": Library("jax"),
    "jax-jit": Library("jax"),
    "hips": Library("autograd", interpreter="HIPS_PYTHON"),  # its import name is ours
    "gemms": Library("numpy"),
    "function": Library("numpy"),  # what is differentiated, alone
    "gradient": Library("speelpenning"),  # ours too, beside a second derivative
    "compiled": Library("speelpenning"),  # ours too, beside what runs without being compiled
    # ways to a Jacobian, ours too, beside the one that the planner picks
    **dict.fromkeys(("reverse", "forward", "mixed", "columns", "rows"), Library("speelpenning")),
}
# Beside a side that takes a gradient, the function alone: "torch-f" is what "torch" differentiates.
ALONE = "-f"
LIBRARIES |= {
    f"{side}{ALONE}": LIBRARIES[side] for side in (OURS, "compiled", "torch", "jax", "jax-jit")
}


@dataclass(frozen=True)
class Bar:
    """Our side must reach ``peer's cost / our cost >= least``."""

    peer: str
    least: float
    says: str


def faster(peer: str, times: float) -> Bar:
    """At least `times` as fast as `peer`."""
    return Bar(peer, times, f"{times:g}× faster")


def at_most(peer: str, times: float) -> Bar:
    """At most `times` the cost of `peer`."""
    return Bar(peer, 1 / times, f"at most {times:g}×")


def no_slower(peer: str) -> Bar:
    """As fast as `peer`, give or take 5%."""
    return Bar(peer, 0.95, "no slower, ±5%")


@dataclass(frozen=True)
class Linear:
    """Our time must grow linearly with n: the slope of log t over log n stays below `slope`, and
    the time per element grows by less than `worst` between any two sizes.
    """

    slope: float = 1.1
    worst: float = 2.0

    @property
    def says(self) -> str:
        return f"slope ≤ {self.slope:g}, t/n grows ≤ {self.worst:g}×"


@dataclass(frozen=True)
class Within:
    """Our time must stay below so many seconds."""

    seconds: float

    @property
    def says(self) -> str:
        return f"under {self.seconds:g} s"


@dataclass(frozen=True)
class Workload:
    """One row group of the table.

    `data(rng)` makes one data set, a tuple; with `sizes` it is `data(rng, n)`. `measure` is

    - ``"time"``: seconds per step;
    - ``"growth"``: seconds per step at each of `sizes`, and how they grow;
    - ``"memory"``: bytes by which one step's peak exceeds the resting state between two steps;
    - ``"footprint"``: bytes by which the peak of the first steps exceeds what was there before
      them: also what a step keeps for the next one.

    `long` says that a step takes many seconds: it is measured in as few rounds as with --quick,
    and not at all with --quick unless asked for by name.
    """

    name: str
    what: str
    data: Callable[..., Data]
    sides: Mapping[str, Setup]
    bars: tuple[Bar | Linear | Within, ...] = ()
    measure: str = "time"
    sizes: tuple[int, ...] = ()
    long: bool = False
    seed: int = 1980

    def pool(self, count: int, n: int | None = None) -> list[Data]:
        """`count` data sets, the same in every process."""
        size = () if n is None else (n,)
        return [self.data(np.random.default_rng([self.seed, i]), *size) for i in range(count)]
