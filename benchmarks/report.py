"""The table on the screen, and the JSON file."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.workload import BYTES, THREADS

HEADER = ("workload", "side", "median", "peer/ours", "(quartiles)", "bar", "reached")
WIDTHS = (19, 10, 10, 10, 16, 32, 7)


def header() -> str:
    return line(HEADER) + "\n" + line(tuple("─" * width for width in WIDTHS))


def line(cells: tuple[str, ...]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def table(result: dict[str, Any]) -> str:
    """One line per side of one workload."""
    bars = {bar["peer"]: bar for bar in result["bars"]}
    lines = []
    for name, side in result["sides"].items():
        bar = bars.get(name, {})
        says = bar.get("says", "")
        if "least" in bar:
            says = f"≥ {bar['least']:.2f} ({says})"
        reached = {True: "yes", False: "NO", None: "?"}[bar["reached"]] if bar else ""
        label = "" if lines else result["name"]
        cells = (label, name, cost(result, side), *ratios(side), says, reached)
        lines.append(line(cells))
        if "slope" in side:
            lines.append(f"{'':<{WIDTHS[0]}}   {growth(side)}")
        if "over function" in side:
            times = f"{side['over function']:.2f} times the function alone"
            lines.append(f"{'':<{WIDTHS[0]}}   {times}")
    return "\n".join(lines)


def cost(result: dict[str, Any], side: dict[str, Any]) -> str:
    if "problem" in side:
        return "missing" if side["missing"] else "FAILED"
    if result["measure"] in BYTES:
        return f"{side['median'] / 2**20:.1f} MiB"
    return seconds(side["median"])


def seconds(t: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if t >= scale:
            return f"{t / scale:.3g} {unit}" if t < 100 * scale else f"{t / scale:.0f} {unit}"
    return f"{t / 1e-6:.3g} µs"


def ratios(side: dict[str, Any]) -> tuple[str, str]:
    if "ratio" not in side:
        return "", ""
    low, high = side["quartiles"]
    return f"{side['ratio']:.2f}", f"({low:.2f}–{high:.2f})"


def growth(side: dict[str, Any]) -> str:
    each = (f"n={n}: {seconds(t)}" for n, t in zip(side["sizes"], side["medians"], strict=True))
    return f"slope {side['slope']:.2f}, t/n grows {side['worst']:.2f}×; " + ", ".join(each)


def problems(results: list[dict[str, Any]]) -> str:
    """Why sides are missing or failed, once each; of a traceback, the last line."""
    said: dict[str, None] = {}
    for result in results:
        for name, side in result["sides"].items():
            if "problem" in side:
                where = name if side["missing"] else f"{result['name']}, {name}"
                said[f"{where}: {side['problem'].splitlines()[-1]}"] = None
    return "\n".join(said)


def failed(results: list[dict[str, Any]]) -> bool:
    """Whether a side that is installed could not do its work."""
    sides = (side for result in results for side in result["sides"].values())
    return any("problem" in side and not side["missing"] for side in sides)


def write(path: Path, results: list[dict[str, Any]], *, quick: bool, load: float) -> None:
    """Everything needed to read the numbers later: samples, versions, machine, date."""
    versions = {
        name: {key: side[key] for key in ("version", "numpy", "python")}
        for result in results
        for name, side in result["sides"].items()
        if "version" in side
    }
    document = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load before": load,
        },
        "threads": THREADS,
        "quick": quick,
        "versions": versions,
        "workloads": results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [text.split(":", 1)[1].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.machine()
