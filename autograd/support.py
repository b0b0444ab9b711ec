"""The table of what can be differentiated, generated from the registry.

``python -m autograd.support`` prints it as Markdown; ``python -m autograd.support --check FILE``
compares a stored copy with it, prints the difference, and answers with exit status 1 for one.
With another NumPy than the copy was made with, which may have more functions or fewer, only the
rows of the functions that both have are compared.  SciPy is needed: its functions are in the table.

kind      how the derivative is given, see `autograd.primitive`; a composition is written in
          other operations
modes     reverse: it can be pulled back; forward: it can be pushed forward
arrays    on which kinds of arrays it runs, see `ARRAYS`
"""

import argparse
import difflib
import operator
import sys
from pathlib import Path

import numpy as np
import scipy.special

from .lazy import DASK
from .primitive import Primitive, registry
from .rules import special  # noqa: F401 - it registers

KINDS = {
    "elementwise": "On corresponding elements; one expression is both pull and push.",
    "linear": "Linear in all array arguments together: the function is its own push.",
    "bilinear": "Linear in each of two arguments.",
    "general": "Pull and push side by side.",
    "composition": "Written in other operations of this table.",
    "constant": "No derivative: plain values in, plain values out.",
    "refused": "Raises a TypeError that says what to use instead.",
}
# Where the rules run, besides on NumPy's arrays: for each kind of array the operations of which not
# every call does, and which; None where nobody has tried.  "duck array" is any that implements
# NumPy's protocols and refuses to become NumPy's, "CuPy-ready" one that has no more of NumPy than
# CuPy 14.2.  The tests hold both to stand-ins that refuse.
_NOT_LISTS = "arrays only, no lists"
_SCIPYS = (  # CuPy has them in a package of its own, where NumPy's protocols do not look
    "beta betainc betaln cosm1 entr erf erfc erfcinv erfinv exp1 exp10 expi expit gamma gammainc "
    "gammaincc gammaln huber i0 i0e i1 i1e iv ive j0 j1 jv k0 k0e k1 k1e kl_div kv kve log_expit "
    "log_ndtr loggamma logit ndtr ndtri psi rel_entr xlog1py xlogy y0 y1 yv"
)
ARRAYS = {
    "duck array": {
        "np.convolve": _NOT_LISTS, "np.correlate": _NOT_LISTS, "np.interp": _NOT_LISTS,
        "np.piecewise": "functions only, no numbers", "np.polyval": _NOT_LISTS,
        "np.polyfit": _NOT_LISTS, "np.select": _NOT_LISTS, "np.insert": _NOT_LISTS,
        "np.repeat": "repeats as a number or list",
    },
    "Dask": DASK,
    "CuPy-ready": {
        "np.convolve": _NOT_LISTS, "np.correlate": _NOT_LISTS, "np.interp": _NOT_LISTS,
        "np.piecewise": "functions only, no numbers", "np.polyval": _NOT_LISTS,
        "np.select": _NOT_LISTS, "np.repeat": "repeats as a number or list",
        "np.stack": "arrays only, no numbers", "np.lexsort": "keys as one array",
        "np.sum": "no initial, where", "np.prod": "no initial, where",
        "np.max": "no initial, where", "np.min": "no initial, where",
        "np.mean": "no where", "np.var": "no where", "np.std": "no where",
        "np.histogram": "bins as edges", "np.linalg.pinv": "no rtol",
        "np.spacing": "no", "np.einsum_path": "no",
        "np.linalg.lstsq": "no", "np.polyfit": "no", "np.histogram_bin_edges": "no",
        "np.insert": "no", "polygamma": "no",
        **{f"scipy.special.{name}": "no" for name in _SCIPYS.split()},
    },
}  # fmt: skip
NAMESPACES = {
    "np": np, "np.linalg": np.linalg, "np.lib.stride_tricks": np.lib.stride_tricks,
    "scipy.special": scipy.special,
}  # fmt: skip


def public_names():
    """The names by which NumPy and SciPy export each function: ``{np.abs: ["np.abs", ...]}``."""
    names = {}
    for prefix, namespace in NAMESPACES.items():
        exported = vars(namespace)
        # NumPy imports some names only when they are asked for
        for name in sorted(n for n in dir(namespace) if n in exported and not n.startswith("_")):
            if callable(exported[name]):
                names.setdefault(id(exported[name]), []).append(f"{prefix}.{name}")
    return names


def numpy_names(function, names):
    """How NumPy or SciPy calls `function`, its own name for it first; empty for what is ours."""
    found = names.get(id(function), [])
    own = getattr(function, "__name__", "")
    return sorted(found, key=lambda name: (name.rpartition(".")[2] != own, name))


def rows():
    """``(kind, name, other names, modes, kinks, whether NumPy's)`` of every operation, sorted."""
    names = public_names()
    table = []
    for function, operation in registry.items():
        if isinstance(function, str):
            continue  # a second key
        found = numpy_names(function, names)
        name = found[0] if found else own_name(function, operation)
        table.append(
            (
                operation.kind, name, ", ".join(f"`{n}`" for n in found[1:]), modes(operation),
                operation.kinks, name.startswith("np."),
            )
        )  # fmt: skip
    return sorted(table)


def own_name(function, operation):
    """The name of an operation of ours: with ``autograd.`` where it is exported under it."""
    if function is operator.getitem:
        return "x[index]"
    exported = getattr(sys.modules[__package__], operation.name, None)
    return f"{__package__}.{operation.name}" if exported is operation else operation.name


def modes(operation):
    """In which modes an operation can be differentiated."""
    if operation.kind in ("constant", "refused"):
        return ""
    forward = not isinstance(operation, Primitive) or (
        operation.kind == "linear" or operation.pushes is not None
    )
    return "reverse, forward" if forward else "reverse"


def runs_on(column, name):
    """Whether an operation runs on a kind of array: "yes", "untried", or what of it does not."""
    excepted = ARRAYS[column]
    return "untried" if excepted is None else excepted.get(name, "yes")


def differentiable(table):
    """How many of NumPy's functions in the table have a derivative."""
    return sum(row[5] and bool(row[3]) for row in table)


def markdown():
    """The whole table."""
    table = rows()
    lines = [
        "# What can be differentiated",
        "",
        f"{differentiable(table)} functions of NumPy, to any order, SciPy's special functions "
        "(`scipy.special.`), our own (`autograd.`), and the operations that these are made of "
        "(without a prefix).",
        "Under `vmap` they run on all examples at once, but for those whose result's shape depends "
        "on values (`np.nonzero`, `np.unique`, `np.extract`, `np.polydiv`, `x[mask]`): they raise.",
        "In every mode they run where their arrays are; the last columns say what of them does not "
        "on a `duck array`, one that refuses to become NumPy's, and, `CuPy-ready`, on one that "
        "refuses besides what CuPy 14.2 lacks.",
        f"Generated by `python -m autograd.support` with {numpy_version()}; do not edit.",
    ]
    for kind, meaning in KINDS.items():
        chosen = [row for row in table if row[0] == kind]
        if not chosen:
            continue
        lines += ["", f"## {kind} ({len(chosen)})", "", meaning, ""]
        if kind == "refused":
            lines += [", ".join(f"`{name}`" for _, name, *_ in chosen)]
            continue
        columns = ["function", "also", "modes", "at kinks", "NumPy", *ARRAYS]
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [
            f"| `{name}` | {also} | {modes} | {kinks.replace('|', chr(92) + '|')} | yes | "
            f"{' | '.join(runs_on(column, name) for column in ARRAYS)} |"
            for _, name, also, modes, kinks, _ in chosen
        ]
    return "\n".join(lines) + "\n"


def numpy_version():
    """The NumPy that the table is of, for example ``NumPy 2.4``."""
    return "NumPy " + ".".join(np.__version__.split(".")[:2])


def difference(old, new):
    """What is different between two tables, as the lines of a diff."""
    old, new = old.splitlines(), new.splitlines()
    if not any(numpy_version() in line for line in old[:8]):
        old, new = common_rows(old, new), common_rows(new, old)
    return list(difflib.unified_diff(old, new, "stored", "registry", lineterm="", n=0))


def common_rows(table, other):
    """The rows of `table` whose functions `other` has as well, without their other names."""
    names = {line.split(" | ")[0] for line in other if line.startswith("| `")}
    cells = [line.split(" | ") for line in table]
    return [" | ".join([row[0], *row[2:]]) for row in cells if row[0] in names]


def main(argv=None):
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m autograd.support", description=__doc__)
    parser.add_argument("--check", metavar="FILE", type=Path, help="compare FILE with the table")
    stored = parser.parse_args(argv).check
    if stored is None:
        print(markdown(), end="")
        return 0
    lines = difference(stored.read_text(), markdown()) if stored.exists() else ["it is absent"]
    print(*([f"{stored}:", *lines] if lines else [f"{stored} is what the registry says"]), sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
