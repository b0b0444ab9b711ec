"""Every public function called with what it does not expect.

One argument after the other of every good call in `tests.hostile` is replaced by every hostile
input, and the outcome must be one of

right      the answer for the plain array that the input stands for
refused    an exception that tells of a wrong argument, with a message that names the function or
           the argument
answered   where there is nothing to compare with; NaN among the numbers gives NaN, though

and what was passed is as it was.  The outcomes are written as a table, out/hostile.md.
"""

import re
import resource
import signal
import warnings
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd.tree import flatten

from .hostile import ANY, CALLS, DATA, LAYOUTS, MASKS, OBJECTS, SAME, SETTINGS, Call

ROOT = Path(__file__).parents[1]
REFUSALS = (
    TypeError, ValueError, IndexError, KeyError, ArithmeticError, MemoryError, OSError, RuntimeError
)  # fmt: skip
UNNAMED = (MemoryError, OverflowError)  # for numbers that are too large for anything
SECONDS, MEMORY = 20, 4 << 30
TOLERANCE = {"float32": 1e-4, "float16": 0.05, "NumPy's": 1e-6, "0-d array": 1e-6}


# --- outcomes -------------------------------------------------------------------------------------


class Defect(Exception):  # noqa: N818 - not an error of the program
    """An outcome that may not be."""


class Endless(Exception):  # noqa: N818 - not an error of the program
    """A call takes more memory or time than any good one."""


@contextmanager
def limited():
    """Within this block, a time and an amount of memory that only what never ends would need."""

    def stop(number, frame):
        raise Endless

    before = resource.getrlimit(resource.RLIMIT_AS)
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def kinds_of(x):
    """The hostile inputs for an argument that is `x` in the good call."""
    if isinstance(x, np.ndarray):
        return MASKS if x.dtype == bool else DATA
    return SETTINGS if isinstance(x, (int, float, str, tuple)) or x is None else OBJECTS


def outcome(make, argument, kind):
    """ "right", "refused" or "answered"; raises Defect."""
    call = make()
    good = call.arguments[argument]
    hostile, reference = kinds_of(good)[kind]
    given = hostile(good)
    if given is None and call.optional(argument):
        reference = ANY
    arguments = call.arguments | {argument: given}
    before = [state(x) for x in arguments.values()]
    try:
        with limited():
            found = call.run(arguments)
    except Endless as error:
        if kind == "10**30":
            return "answered"  # in its time
        raise Defect("does not end") from error
    except REFUSALS as error:
        changed(before, arguments)
        others = callable(given) or numpy_refuses(make, argument, hostile)
        if not (others or isinstance(error, UNNAMED) or names(error, call, argument)):
            raise Defect(f"{type(error).__name__} without a name: {error}") from error
        if kind in LAYOUTS:
            raise Defect(f"refused: {error}") from error
        return "refused"
    except Exception as error:
        if isinstance(error, call.raises):
            return "refused"
        raise Defect(f"{type(error).__name__}: {error}") from error
    changed(before, arguments)
    if call.as_numpy is not None:
        call = make()  # what is given anew: a generator has been gone through
        try:
            expected = call.as_numpy(**call.arguments | {argument: hostile(good)})
        except Exception as error:
            if not callable(reference):
                raise Defect(f"answered: {brief(found)}, where NumPy says {error}") from error
        else:
            compare(found, expected, TOLERANCE.get(kind, 1e-9))
            return "right"
    if all(any(y is x for x in flatten(given)[0]) for y in flatten(found)[0]):
        return "right"  # handed on as it is
    if reference is ANY:
        numbers = arrays(found)
        nan = kind == "nan" and isinstance(good, np.ndarray) and not call.loses_nan
        if nan and numbers and not any(np.isnan(y).any() for y in numbers):
            raise Defect(f"NaN is gone: {brief(found)}")
        return "answered"
    if reference is None:
        masked = [isinstance(y, np.ma.MaskedArray) for y in flatten(found)[0]]
        if isinstance(given, np.ma.MaskedArray) and any(masked):
            return "right"
        raise Defect(f"answered: {brief(found)}")
    call = make()
    expected = good if reference is SAME else reference(good)
    compare(found, call.run(call.arguments | {argument: expected}), TOLERANCE.get(kind, 1e-9))
    return "right"


def numpy_refuses(make, argument, hostile):
    call = make()
    if call.as_numpy is None:
        return False
    try:
        call.as_numpy(**call.arguments | {argument: hostile(call.arguments[argument])})
    except Exception:
        return True
    return False


def arrays(found):
    """The numbers in an answer."""
    leaves = [y.plain() if hasattr(y, "plain") else y for y in flatten(found)[0]]
    leaves = [np.asarray(y) for y in leaves if isinstance(y, (int, float, np.ndarray, np.generic))]
    return [y for y in leaves if y.dtype.kind in "fiub"]


def brief(found):
    return re.sub(r"\s+", " ", repr(found))[:100]


def compare(found, expected, tolerance):
    a, b = arrays(found), arrays(expected)
    if [x.shape for x in a] != [x.shape for x in b]:
        raise Defect(f"shapes {[x.shape for x in a]}, not {[x.shape for x in b]}")
    for x, y in zip(a, b, strict=True):
        scale = max(1.0, np.max(np.abs(y.astype(float)), initial=0.0))
        if not np.allclose(x.astype(float), y.astype(float), tolerance, tolerance * scale, True):
            raise Defect(f"wrong: {brief(x)}, not {brief(y)}")


def names(error, call, argument):
    """Whether an error says whose it is."""
    said = "\n".join([str(error), *getattr(error, "__notes__", ())]).lower().replace("_", "")
    own = getattr(call.f, "__name__", type(call.f).__name__)
    known = {argument, own, type(call.f).__name__, *call.arguments, *call.says} - {
        "function",
        "type",
    }
    known = {name.lower().replace("_", "") for name in known} - {"", "<lambda>"}
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said) for name in known)


def state(x):
    """What must not change: the bytes of arrays, also in lists."""
    if isinstance(x, np.ndarray) and x.dtype.kind != "O":
        return x.shape, x.strides, x.dtype, x.size < 1e5 and x.tobytes(), x.flags.writeable
    if type(x) in (list, tuple):
        return [state(part) for part in x]
    return repr(x) if isinstance(x, np.ndarray) else None


def changed(before, arguments):
    for was, (name, x) in zip(before, arguments.items(), strict=True):
        if state(x) != was:
            raise Defect(f"changed its argument {name}")


# --- the tests ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """Outcomes by call and argument, written as Markdown at the end."""
    found = {}
    yield found
    lines = ["# What functions make of hostile input", ""]
    for name, outcomes in found.items():
        lines.append(f"- **{name}**")
        for result, kinds in outcomes.items():
            lines.append(f"  - {result}: {', '.join(kinds)}")
    (ROOT / "out").mkdir(exist_ok=True)
    (ROOT / "out" / "hostile.md").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", CALLS)
def test_hostile_input(name, table):
    make, defects = CALLS[name], []
    for argument, good in make().arguments.items():
        outcomes = table[f"{name}: {argument}"] = defaultdict(list)
        for kind in kinds_of(good):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    outcomes[outcome(make, argument, kind)].append(kind)
                except Defect as defect:
                    outcomes["defect"].append(kind)
                    defects.append(f"{argument} = {kind}: {defect}")
    assert not defects, "\n".join(defects)


# what is no function of numbers, or is called only by what is
NOT_CALLED = {
    "autograd": {
        "Counts", "LoopWarning", "no_grad", "source_lines",
        # whose argument is a function and its rules
        "bilinear", "composition", "constant", "elementwise", "general", "linear",
    },
    "nn": {
        "ActivationStatistics", "Summary", "data", "init", "plot_search",
        "log_sigmoid", "log_softmax", "relu", "sigmoid", "softmax", "softplus",  # autograd's
    },
    "optim": {"Callback", "CheckpointError", "LivePlot", "Run", "metrics"},
}  # fmt: skip


@pytest.mark.parametrize("package", [autograd, nn, optim])
def test_every_public_name_is_called(package):
    called = " ".join(CALLS)
    missing = [
        name
        for name in sorted({*package.__all__} - NOT_CALLED.get(package.__name__, set()))
        if not re.search(rf"(?<!\w){name}(?!\w)", called)
    ]
    assert not missing


def test_a_wrong_outcome_is_noticed():
    """A function that takes everything for numbers, changes them, or breaks inside."""

    def careless(x):
        x = np.asarray(x)
        return x.astype(float) if x.dtype.kind in "iufb" else np.zeros(3)

    def writing(x):
        if isinstance(x, np.ndarray) and x.flags.writeable and x.dtype.kind == "f":
            x *= 2
        return careless(x)

    x = np.random.default_rng(0).normal(size=(4, 3))
    for f, kind, said in (
        (careless, "text", "answered"),
        (careless, "masked array", "answered"),
        (writing, "Fortran order", "changed"),
        (lambda x: x.shape, "list", "AttributeError"),
        (lambda x: np.negative(x), "text", "without a name"),
        (lambda x: np.abs(-np.asarray(x)), "uint8", "wrong"),
        (lambda x: np.nan_to_num(np.asarray(x)), "nan", "NaN is gone"),
        (lambda x: next(iter(())), "read-only", "StopIteration"),
    ):
        with pytest.raises(Defect, match=said):
            outcome(lambda f=f: Call(f, x=x.copy()), "x", kind)
    assert outcome(lambda: Call(careless, x=x.copy()), "x", "float32") == "right"
