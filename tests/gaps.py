"""What CuPy lacks of NumPy: the functions, and the parameters of functions, in ``gaps.txt``.

CuPy runs a NumPy function on its arrays where it has one of the same name, and that takes the
arguments: NumPy's are passed on as they are.  ``python -m tests.gaps > tests/gaps.txt`` compares
the two packages.  It needs CuPy, and no GPU.
"""

import functools
import inspect
from pathlib import Path

import numpy as np

STORED = Path(__file__).with_suffix(".txt")
NAMESPACES = {
    "np": np, "np.linalg": np.linalg, "np.lib.stride_tricks": np.lib.stride_tricks,
}  # fmt: skip


def dispatches(function):
    """Whether NumPy asks its arguments for an implementation of `function`."""
    return isinstance(function, np.ufunc) or hasattr(function, "_implementation")


def counterpart(cupy, function):
    """CuPy's function of the same name, found as CuPy finds it; None where there is none."""
    path = [] if isinstance(function, np.ufunc) else function.__module__.split(".")[1:]
    found = functools.reduce(lambda m, name: getattr(m, name, None), path, cupy)
    found = getattr(found, function.__name__, None)
    return None if found is function else found


def lacking(function, other):
    """The parameters of a NumPy function that its counterpart does not take."""
    try:
        wanted = inspect.signature(function).parameters.values()
        given = inspect.signature(other).parameters.values()
    except ValueError:  # a function in C that does not say
        return []
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in given):
        return []
    names = {p.name for p in given}
    places = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in given)
    return [
        p.name
        for i, p in enumerate(wanted)
        if p.name not in names and (p.kind is p.KEYWORD_ONLY or i >= places)
    ]


def lines(cupy):
    """The lines of the list."""
    yield f"# CuPy {cupy.__version__} beside NumPy {np.__version__}: what is not there"
    seen = set()
    for prefix, namespace in NAMESPACES.items():
        for name in sorted(n for n in dir(namespace) if not n.startswith("_")):
            function = vars(namespace).get(name)
            if not callable(function) or not dispatches(function) or function in seen:
                continue
            seen.add(function)
            other = counterpart(cupy, function)
            if other is None:
                yield f"{prefix}.{function.__name__}"
            elif not isinstance(function, np.ufunc) and (missing := lacking(function, other)):
                yield f"{prefix}.{function.__name__} {' '.join(missing)}"
    for name in sorted(set(dir(np.ndarray)) - set(dir(cupy.ndarray))):
        if not name.startswith("_"):
            yield f"ndarray.{name}"


def stored():
    """``{name: parameters}`` of the list; no parameters: all of it is missing."""
    rows = [line.split() for line in STORED.read_text().splitlines() if line[0] != "#"]
    return {name: frozenset(parameters) for name, *parameters in rows}


if __name__ == "__main__":
    import cupy

    print(*lines(cupy), sep="\n")
