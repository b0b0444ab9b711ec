"""One side of one workload, in a process of its own: ``worker.py SIDE WORKLOAD``.

Requests come as JSON lines on standard input, one answer each goes to standard output:

``{"do": "start"}``
    import the library, run the setup; answers versions.
``{"do": "check"}``
    run the first repetition; answers a checksum of its result, or null.
``{"do": "run", "count": k, "n": n}``
    run 1 + k repetitions, each on another data set; answers the times of the last k.
``{"do": "memory"}``
    answers the bytes one step needs at its peak.
``{"do": "footprint"}``
    answers the bytes that the first steps need at their peak, with what they leave.

An answer with the key "missing" says that the library is not installed, one with "failed" holds
a traceback.

The file is run by its path and loads ``benchmarks`` by its path too, so that the repository root,
where our own ``autograd`` lies, is on ``sys.path`` for our side only: HIPS's package bears the
same name.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).resolve().parent
POOL = 16  # data sets through which repetitions cycle


def load_benchmarks() -> None:
    """Make ``import benchmarks`` work without its parent folder on ``sys.path``."""
    spec = importlib.util.spec_from_file_location(
        "benchmarks", HERE / "__init__.py", submodule_search_locations=[str(HERE)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)


class Worker:
    """The state of one side between requests."""

    def __init__(self, side: str, workload: str) -> None:
        from benchmarks.workload import LIBRARIES, OURS
        from benchmarks.workloads import WORKLOADS

        if LIBRARIES[side] == LIBRARIES[OURS]:
            sys.path.insert(0, str(HERE.parent))
        self.side, self.library = side, LIBRARIES[side]
        self.workload = WORKLOADS[workload]
        self.pools: dict[int | None, list[tuple[Any, ...]]] = {}
        self.repetition = 0

    def start(self) -> dict[str, Any]:
        if self.library.distribution == "torch":
            import torch

            from benchmarks.workload import THREADS

            torch.set_num_threads(THREADS)
        self.prepare, self.step = self.workload.sides[self.side]()
        return {
            "python": platform.python_version(),
            "version": version(self.library.distribution),
            "numpy": version("numpy"),
        }

    def check(self) -> dict[str, Any]:
        n = self.workload.sizes[0] if self.workload.sizes else None
        return {"checksum": checksum(self.step(*self.prepare(*self.pool(n)[0])))}

    def pool(self, n: int | None) -> list[tuple[Any, ...]]:
        if n not in self.pools:
            self.pools = {n: self.workload.pool(POOL, n)}
        return self.pools[n]

    def run(self, count: int, n: int | None = None) -> dict[str, Any]:
        """The first repetition is not counted: it refills the caches another process has used.

        What a step allocates and drops is freed on its own time.
        """
        pool, prepare, step = self.pool(n), self.prepare, self.step
        times = []
        for _ in range(1 + count):
            arguments = prepare(*pool[self.repetition % POOL])
            self.repetition += 1
            start = perf_counter()
            step(*arguments)
            times.append(perf_counter() - start)
        return {"times": times[1:]}

    def memory(self) -> dict[str, Any]:
        """Peak resident memory of a step, less what was resident before it.

        Where the kernel's high-water mark can be reset (Linux), two steps come first, so that
        thread pools, work buffers and the optimizer's moments are in place. Elsewhere it has to
        be the first step of the process, against the mark that the import and setup left.
        """
        first, second, third = self.pool(None)[:3]
        if reset_high_water():
            self.step(*self.prepare(*first))
            self.step(*self.prepare(*second))
        return self.peak_of(third)

    def footprint(self) -> dict[str, Any]:
        """Peak resident memory of the first steps, less what was resident before them: libraries,
        data, parameters.  Gradients, moments and buffers kept from step to step count.
        """
        return self.peak_of(*self.pool(None)[:3])

    def peak_of(self, *data: tuple[Any, ...]) -> dict[str, Any]:
        """The bytes by which steps on such data exceed, at their peak, what is resident now."""
        arguments = [self.prepare(*each) for each in data]
        gc.collect()
        reset_high_water()
        before = high_water()
        for prepared in arguments:
            self.step(*prepared)
        return {"bytes": high_water() - before}


def reset_high_water() -> bool:
    """Let the high-water mark be what is resident now; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def high_water() -> int:
    """The most bytes that were ever resident (since the last reset of the mark)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed, run from its folder"


def checksum(result: Any) -> float | None:
    """The sum of absolute values: the same whichever way round a side keeps its matrices."""
    import numpy as np

    return None if result is None else float(np.abs(np.asarray(result, dtype=float)).sum())


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not disturb the answers
    load_benchmarks()
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except ModuleNotFoundError as error:
            answer = {"missing": f"{error.name} is not installed"}
        except Exception:
            answer = {"failed": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
