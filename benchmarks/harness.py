"""The parent: starts the workers of a workload, lets them take turns, and compares them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import median, median_low, quantiles
from typing import Any

import numpy as np

from benchmarks.workload import (
    ALONE,
    BYTES,
    LIBRARIES,
    OURS,
    THREADS,
    Bar,
    Linear,
    Within,
    Workload,
)

WORKER = Path(__file__).resolve().with_name("worker.py")
SETTLE = 0.05  # seconds between turns: idle BLAS threads go on spinning for tens of milliseconds
PATIENCE = 600  # seconds to wait for one answer
AGREEMENT = 1e-3  # by how much, relatively, the checksums of two sides may differ


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, and the seconds that a side's turn should take."""

    rounds: int
    turn: float


FULL = Effort(rounds=15, turn=0.15)
QUICK = Effort(rounds=3, turn=0.03)


@dataclass
class Outcome:
    """What one side did. `samples` holds one number per round (seconds or bytes), or for growth
    one list per size; `problem` is empty, or says why there are none.
    """

    problem: str = ""
    missing: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    samples: list[Any] = field(default_factory=list)


class SideError(Exception):
    """A side that cannot go on; `missing` if its library is simply not there."""

    def __init__(self, why: str, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


class Side:
    """A worker process, and the questions one can ask it."""

    def __init__(self, name: str, workload: Workload) -> None:
        variable = LIBRARIES[name].interpreter
        python = sys.executable if variable is None else os.environ.get(variable, "")
        if not python:
            raise SideError(f"{variable} names no interpreter", missing=True)
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                # -P: the worker's own folder stays off sys.path
                [python, "-P", str(WORKER), name, workload.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment(workload.measure in BYTES),
                preexec_fn=two_cores if name.startswith("jax") else None,
            )
        except OSError as error:
            raise SideError(f"{python}: {error.strerror}", missing=True) from error

    def ask(self, **request: Any) -> dict[str, Any]:
        """The worker's answer; raises SideError when there is none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the end of its output, read below, tells the same
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise SideError(f"no answer within {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip()
            raise SideError(f"ended with status {self.process.wait()}\n{said[-2000:]}".strip())
        answer = json.loads(line)
        if "missing" in answer:
            raise SideError(answer["missing"], missing=True)
        if "failed" in answer:
            raise SideError(answer["failed"].strip())
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def environment(memory: bool) -> dict[str, str]:
    """Two threads for whichever pool a library brings; no search path from outside.

    Where memory is measured, freed blocks go back to the system at once, so that what is resident
    is what is in use (glibc otherwise learns to keep blocks of up to 32 MiB).
    """
    pools = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS")
    ours = {f"{pool}_NUM_THREADS".replace("MAXIMUM_NUM", "MAXIMUM"): str(THREADS) for pool in pools}
    ours["JAX_PLATFORMS"] = "cpu"
    if memory:
        ours |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ours


def two_cores() -> None:
    """XLA takes its thread count from the cores it may use, and from nothing else."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


class Match:
    """The sides of one workload. A side that fails drops out, and the others go on."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.outcomes = {name: Outcome() for name in workload.sides}
        self.sides: dict[str, Side] = {}

    def start(self) -> None:
        """A new process for every side that has not dropped out."""
        for name, outcome in self.outcomes.items():
            if outcome.problem:
                continue
            try:
                self.sides[name] = Side(name, self.workload)
                outcome.about = self.sides[name].ask(do="start")
            except SideError as gone:
                self.drop(name, gone)

    def stop(self) -> None:
        for side in self.sides.values():
            side.close()
        self.sides.clear()

    def ask(self, name: str, **request: Any) -> dict[str, Any] | None:
        try:
            return self.sides[name].ask(**request)
        except SideError as gone:
            self.drop(name, gone)
            return None

    def drop(self, name: str, gone: SideError) -> None:
        if name in self.sides:
            self.sides.pop(name).close()
        self.outcomes[name] = Outcome(problem=str(gone), missing=gone.missing)

    def compare_checksums(self) -> None:
        """Sides that compute something else than most do drop out: no time of theirs counts."""
        answers = {name: self.ask(name, do="check") for name in list(self.sides)}
        sums = {name: answer["checksum"] for name, answer in answers.items() if answer}
        sums = {name: value for name, value in sums.items() if value is not None}
        usual = median_low(sums.values()) if sums else 0.0
        for name, value in sums.items():
            if not np.isclose(value, usual, rtol=AGREEMENT):
                self.drop(name, SideError(f"the result's checksum is {value:.8g}, not {usual:.8g}"))

    def rounds(self, effort: Effort, n: int | None = None) -> dict[str, list[float]]:
        """Median seconds per step, one number per side and round."""
        counts = {}
        for name in list(self.sides):
            counts[name] = 1 if self.workload.long else self.warm_up(name, effort, n)
        medians: dict[str, list[float]] = {name: [] for name in self.sides}
        for turn in range(effort.rounds):
            order = list(self.sides)
            for name in reversed(order) if turn % 2 else order:
                time.sleep(SETTLE)
                answer = self.ask(name, do="run", count=counts[name], n=n)
                if answer is not None:
                    medians[name].append(median(answer["times"]))
        return {name: values for name, values in medians.items() if name in self.sides}

    def warm_up(self, name: str, effort: Effort, n: int | None) -> int:
        """How many repetitions fill a turn, found by running for about two turns."""
        spent, count = 0.0, 1
        while spent < 2 * effort.turn:
            answer = self.ask(name, do="run", count=count, n=n)
            if answer is None:
                return 0
            spent += sum(answer["times"])
            count = max(1, min(2 * count, round(effort.turn / median(answer["times"]))))
        return count


def measure(workload: Workload, effort: Effort) -> dict[str, Any]:
    """Run one workload; returns what `report` prints and writes."""
    match = Match(workload)
    effort = QUICK if workload.long else effort
    try:
        if workload.measure in BYTES:
            for _ in range(min(5, effort.rounds)):
                match.start()
                for name in list(match.sides):
                    answer = match.ask(name, do=workload.measure)
                    if answer is not None:
                        match.outcomes[name].samples.append(answer["bytes"])
                match.stop()
        else:
            match.start()
            match.compare_checksums()
            for n in workload.sizes or (None,):
                for name, samples in match.rounds(effort, n).items():
                    kept = match.outcomes[name].samples
                    kept.append(samples) if n else kept.extend(samples)
    finally:
        match.stop()
    return result(workload, match.outcomes)


def result(workload: Workload, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Medians, ratios to our side, growth and bars, as plain data for JSON."""
    sides = {}
    ours = outcomes.get(OURS, Outcome()).samples
    for name, outcome in outcomes.items():
        entry: dict[str, Any] = {**outcome.about, "samples": outcome.samples}
        if outcome.problem:
            entry |= {"problem": outcome.problem, "missing": outcome.missing}
        elif workload.measure == "growth":
            entry |= growth(workload.sizes, [median(samples) for samples in outcome.samples])
        else:
            entry["median"] = median(outcome.samples)
        if name != OURS and ours and outcome.samples:
            entry |= ratio(outcome.samples, ours)
        alone = outcomes.get(name + ALONE, Outcome()).samples
        if alone and outcome.samples:
            entry["over function"] = ratio(outcome.samples, alone)["ratio"]
        sides[name] = entry
    return {
        "name": workload.name,
        "what": workload.what,
        "measure": workload.measure,
        "sides": sides,
        "bars": [judge(bar, sides) for bar in workload.bars],
    }


def ratio(peer: list[Any], ours: list[Any]) -> dict[str, Any]:
    """Peer's cost over ours, round by round (for growth: at the largest size)."""
    if isinstance(peer[0], list):
        peer, ours = peer[-1], ours[-1]
    ratios = [theirs / own for theirs, own in zip(peer, ours, strict=True)]
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return {"ratio": middle, "quartiles": [low, high]}


def growth(sizes: tuple[int, ...], seconds: list[float]) -> dict[str, Any]:
    """Slope of log t over log n, and the worst growth of t/n from a size to a larger one."""
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    per_element = [t / n for t, n in zip(seconds, sizes, strict=True)]
    worst = max(later / earlier for earlier, later in combinations(per_element, 2))
    return {"sizes": list(sizes), "median": seconds[-1], "medians": seconds} | {
        "slope": slope,
        "worst": worst,
    }


def judge(bar: Bar | Linear | Within, sides: dict[str, Any]) -> dict[str, Any]:
    """Whether a bar is reached; None where it could not be measured."""
    if isinstance(bar, Bar):
        found = sides[bar.peer].get("ratio")
        reached = None if found is None else found >= bar.least
        return {"peer": bar.peer, "says": bar.says, "least": bar.least, "reached": reached}
    own = sides[OURS]
    if isinstance(bar, Within):
        reached = own["median"] < bar.seconds if "median" in own else None
        return {"peer": OURS, "says": bar.says, "reached": reached}
    measured = "slope" in own
    reached = own["slope"] <= bar.slope and own["worst"] <= bar.worst if measured else None
    return {"peer": OURS, "says": bar.says, "reached": reached}
