"""The ledger's `Comparison` and `Scaling` as text, as tables in notebooks, and as pictures."""

import math
import textwrap

from .numbers import between, in_bytes, plural, seconds, short
from .plotting import pyplot
from .tables import aligned, html_table

CLASSES = {
    "additions": "add", "multiplications": "multiply", "divisions": "divide",
    "comparisons": "compare", "calls": "call", "gemm": "GEMM",
}  # fmt: skip
COLORS = {
    "f": "0.55", "one": "tab:olive", "forward": "tab:orange", "reverse": "tab:blue",
    "hvp": "tab:purple", "checkpointed": "tab:cyan",
}  # fmt: skip


# --- a comparison ---------------------------------------------------------------------------------


def comparison_text(comparison, width):
    """The table in lines of at most `width` characters, counts in full where they fit."""
    rows = [row for row in comparison.rows if row.counts]
    for exact in (True, False):
        table = [_operations(comparison, row, exact) for row in rows]
        heads = ["operations", *_classes(comparison).values(), "total", "× f"]
        operations = aligned(heads, table)
        if len(operations[0]) <= width:
            break
    measured = aligned(*_measured(comparison, rows))
    notes = [line for note in _notes(comparison) for line in textwrap.wrap(note, width)]
    return "\n".join([_title(comparison), "", *operations, "", *measured, "", *notes])


def comparison_html(comparison):
    """Both tables as one for notebooks, every row's calls being told where the pointer rests."""
    rows = [row for row in comparison.rows if row.counts]
    heads, measured = _measured(comparison, rows)
    heads = ["", *_classes(comparison).values(), "total", "× f", *heads[1:]]
    lines = [
        _operations(comparison, row, True) + cells[1:]
        for row, cells in zip(rows, measured, strict=True)
    ]
    titles = [_calls(row.counts) for row in rows]
    return html_table(_title(comparison), heads, lines, titles, list(_notes(comparison)))


def comparison_plot(comparison):
    """Bars for every mode's operations, time and memory, as a matplotlib Figure."""
    plt = pyplot()
    rows = [row for row in comparison.rows if row.counts][::-1]
    panels = {
        "operations": [(row.counts.total, short(row.counts.total)) for row in rows],
        "median time": [(row.median, _typical(row)) for row in rows],
        "peak memory": [(row.peak, in_bytes(row.peak)) for row in rows],
    }
    figure, axes = plt.subplots(
        1, len(panels), figsize=(11, 0.8 + 0.42 * len(rows)), sharey=True, layout="constrained"
    )
    names, colors = [row.name for row in rows], [_color(row.name) for row in rows]
    for ax, (title, bars) in zip(axes, panels.items(), strict=True):
        lengths = [value or math.nan for value, _ in bars]
        drawn = ax.barh(names, lengths, color=colors)
        ax.bar_label(drawn, [label for _, label in bars], padding=3, fontsize=8)
        _log_axis(ax, lengths)
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(comparison), fontsize=11)
    return figure


def _title(comparison):
    inputs, outputs = plural(comparison.inputs, "number"), plural(comparison.outputs, "number")
    return f"{comparison.name}: {inputs} → {outputs}"


def _classes(comparison):
    """field -> heading of the classes of operations in which anything was counted."""
    return {
        name: head for name, head in CLASSES.items()
        if any(_in_class(row.counts, name) for row in comparison.rows if row.counts)
    }  # fmt: skip


def _operations(comparison, row, exact):
    show = "{:,}".format if exact else short
    ratio = comparison.ratio(row)
    return [
        row.name,
        *(show(_in_class(row.counts, name)) for name in _classes(comparison)),
        show(row.counts.total),
        "–" if ratio is None else f"{ratio:,.2f}" if ratio < 1000 else short(ratio),
    ]


def _measured(comparison, rows):
    heads = ["time and memory", "median", "quartiles", "peak", "saved", "moved"]
    lines = []
    for row in rows:
        low, _, high = row.quartiles
        lines.append(
            [row.name, _typical(row), between(low, high)]
            + [in_bytes(row.peak), in_bytes(row.saved or None), in_bytes(row.moved)]
        )
    return heads, lines


def _notes(comparison):
    f = comparison.rows[0].counts.total
    if comparison.bound_holds is not None:
        gradient = comparison["reverse gradient"].counts.total
        verdict, than = ("holds", "at most") if comparison.bound_holds else ("fails", "more than")
        yield (
            f"The cheap-gradient bound {verdict}: value and reverse gradient together take "
            f"{gradient:,} operations, {than} {comparison.bound} times the {f:,} of f."
        )
    if comparison.rows[0].counts.calls:
        yield f"Calls by f: {_calls(comparison.rows[0].counts)}."
    runs = [len(row.times) for row in comparison.rows if row.counts]
    most = f"{max(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
    yield f"Times: median and quartiles of {most} run{'s' * (max(runs) > 1)}."
    for row in comparison.rows:
        if row.problem:
            yield f"No {row.name}: {row.problem}."
        elif not row.whole:
            yield f"~ {row.name}: a part of its sweeps was run; the time is multiplied."


# --- a scaling ------------------------------------------------------------------------------------


def scaling_text(scaling):
    """The table of exponents."""
    return "\n".join([_growth(scaling), "", *aligned(*_table(scaling))])


def scaling_html(scaling):
    """The same for notebooks."""
    heads, lines = _table(scaling)
    return html_table(_growth(scaling), heads, lines)


def scaling_plot(scaling):
    """Operations, time and memory over size, both logarithmic, as a matplotlib Figure."""
    plt = pyplot()
    shown = {"operations": "operations", "time": "time in s", "peak": "peak memory in bytes"}
    figure, axes = plt.subplots(1, len(shown), figsize=(12, 5.6), layout="constrained")
    for ax, (what, title) in zip(axes, shown.items(), strict=True):
        for name, marker in zip(scaling.modes, "osv^Dx", strict=False):
            power = scaling.exponents[name][what]
            label = f"{name}: {_power(power)}"
            points = scaling.points(name, what)
            ax.loglog(*points, marker=marker, markersize=4, color=_color(name), label=label)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("size")
        ax.set_xticks(scaling.sizes, [f"{n:,}" for n in scaling.sizes])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.legend(
            fontsize=8, title="mode: exponent", title_fontsize=8, frameon=False,
            loc="upper center", bbox_to_anchor=(0.5, -0.13),
        )  # fmt: skip
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_growth(scaling), fontsize=11)
    return figure


def _growth(scaling):
    sizes = ", ".join(map(str, scaling.sizes))
    return f"{scaling.comparisons[0].name}: growth over sizes {sizes}"


def _table(scaling):
    heads = ["cost grows as size to the power", *scaling.exponents["f"]]
    lines = [
        [name, *(_power(p) for p in found.values())] for name, found in scaling.exponents.items()
    ]
    return heads, lines


# --- what they are made of ------------------------------------------------------------------------


def _color(name):
    return COLORS[name.split()[0]]


def _in_class(counts, name):
    value = getattr(counts, name)
    return sum(value.values()) if isinstance(value, dict) else value


def _calls(counts):
    """What a row's calls were, in words."""
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.calls.items()))


def _log_axis(ax, lengths):
    """A logarithmic axis with room for the numbers beside the bars."""
    known = [x for x in lengths if x > 0]
    ax.set_xscale("log")
    if known:
        low, high = min(known) / 2, max(known)
        ax.set_xlim(low, high * (high / low) ** 0.35)
    ax.tick_params(axis="x", labelsize=8)
    ax.minorticks_off()


def _power(p):
    return "–" if p is None else f"{round(p, 2) + 0.0:.2f}"  # no "-0.00"


def _typical(row):
    return ("" if row.whole else "~") + seconds(row.median)
