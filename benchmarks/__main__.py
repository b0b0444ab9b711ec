"""``python -m benchmarks [names…] [--json PATH] [--quick]``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.harness import FULL, QUICK, measure
from benchmarks.workloads import WORKLOADS


def main() -> int:
    """Run the workloads, print the table as it grows; 1 if an installed side failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Speed and memory against other libraries.",
        epilog="workloads: " + "; ".join(f"{w.name}: {w.what}" for w in WORKLOADS.values()),
    )
    parser.add_argument("names", nargs="*", metavar="name", help="workloads to run (default: all)")
    parser.add_argument("--json", type=Path, default=Path("out/benchmarks.json"), metavar="PATH")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few, short rounds, none long: numbers are rough",
    )
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload named {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")

    load = os.getloadavg()[0]
    if load > 1:
        print(f"The machine is busy (load {load:.1f}): thread pools suffer most, ratios mislead.\n")
    print(report.header(), flush=True)
    results = []
    fitting = [w.name for w in WORKLOADS.values() if not (arguments.quick and w.long)]
    for name in arguments.names or fitting:
        results.append(measure(WORKLOADS[name], QUICK if arguments.quick else FULL))
        print(report.table(results[-1]), flush=True)
    if said := report.problems(results):
        print(f"\n{said}\n(tracebacks are in the JSON file)")
    report.write(arguments.json, results, quick=arguments.quick, load=load)
    print(f"\nwritten to {arguments.json}")
    return int(report.failed(results))


if __name__ == "__main__":
    sys.exit(main())
