"""Random programs, and what must agree about their derivatives.

`check` runs a program in every way this library has and compares:

value          Tensors give what plain arrays give, in the same dtype, and no input changes
reverse        gradients have the shapes and dtypes of the inputs
compiled       the compiled gradient, to the bit, also at other values; of Python floats, on which
               rules call NumPy, and what is traced math, to rounding
source         the printed programs of value, tangent and gradient, run: to the bit
checkpoint     the gradient through a checkpoint, to the bit
forward        tangents, with and without a graph, are the gradient along the direction
adjoint        <u, Jv> = <J'u, v> for all results together
differences    the gradient is that of finite differences, where the program is smooth
second         the Hessian by a direction: forward over reverse = reverse over reverse
vmap           all examples at once give what a loop gives, gradients too

Many programs, with a count of the operations they reach, and every failure made small:

    python -m tests.fuzz 100000 --seed 1
"""

import argparse
import functools
import re
import time
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np

import autograd
from autograd import Tensor, grad, jvp, linearize, value_and_grad, vjp, vmap
from autograd.graph import history
from autograd.primitive import registry
from autograd.program import TracingWarning, compile, source
from autograd.tree import flatten

from .programs import NAMES, SPACE, Program, literal, make

REFUSED = re.compile(  # what is not supported, and says so
    r"shape of what it returns depends on the values|\(np\.where\), or call it outside of vmap"
    r"|a mask that differs from example to example|does not depend on its arguments"
    r"|writes into an array in place, which cannot be recorded"
    r"|a NumPy array made of a value inside vmap|writes into its argument, which cannot be recorded"
    r"|cannot take a \w+ as an element"
    r"|targets are probabilities"  # other inputs than it was made with: they need not be
    r"|would lose its derivative"  # said of an array's element: NumPy raises an error of its own
)
OTHERWISE = re.compile(r"checkpoint\(|linalg\.|polyfit\(")
FEW = 6  # failures of one kind that are made small


# --- what must agree ------------------------------------------------------------------------------


class DisagreementError(Exception):
    """Two ways to compute the same differ."""


@dataclass
class Failure:
    """What failed: the check, and how."""

    check: str
    error: Exception

    @property
    def kind(self):
        """What must stay the same while a failing program is made smaller."""
        return self.check, type(self.error)

    def __str__(self):
        return f"{self.check}: {type(self.error).__name__}: {self.error}"


CHECKS = {}


def checked(f):
    CHECKS[f.__name__] = f
    return f


def check(program, only=None):
    """The first `Failure` of each check of a program, or of those named in `only`."""
    failures = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = Run(program)
            alike = [*map(np.shape, run.values)] == [*map(np.shape, run.double.values)]
        except ValueError:
            alike = False
        if not alike:  # a shape that goes by a value is another in double precision
            return []
        for name, f in CHECKS.items():
            if only is None or name in only:
                try:
                    f(run)
                except Exception as error:  # whatever is raised is a finding
                    if not REFUSED.search(f"{error} {error.__cause__}"):
                        failures.append(Failure(name, error))
    return failures


class Run:
    """A program and what several checks need of it.

    f         the function; of one number: `total`
    xs, vs    its inputs, a direction for each
    double    the same in double precision
    """

    def __init__(self, program):
        self.program, self.f = program, program.function()
        self.xs = tuple(program.inputs.values())
        rng = np.random.default_rng(len(program.steps))
        self.vs = tuple(_direction(x, rng) for x in self.xs)
        self.values = self.f(*(x if type(x) is float else x.copy() for x in self.xs))
        self.us = tuple(_direction(y, rng) for y in self.values)
        self.on_floats = any(type(x) is float for x in self.xs)
        self.every = tuple(range(len(self.xs)))
        self.eager = value_and_grad(self.total, self.every)
        self.single = (
            any(
                np.float32 in (getattr(x, "dtype", None) for x in (*self.xs, *self.values))
                for _ in (0,)
            )
            or "float32" in program.text()
        )
        self.double = Run(program.double()) if self.single else self

    def total(self, *xs):
        return sum(np.sum(y * u) for y, u in zip(self.f(*xs), self.us, strict=True))

    @functools.cached_property
    def answer(self):
        """Value and gradient."""
        return self.eager(*self.xs)

    @property
    def gradient(self):
        return self.answer[1]

    @property
    def finite(self):
        """Whether no derivative is infinite: zero times it is NaN, in one mode only."""
        tangents = jvp(self.f, self.xs, self.vs)[1]
        return all(np.all(np.isfinite(d)) for d in (*self.gradient, *tangents))

    @property
    def is_rounded_otherwise(self):
        """Whether it computes on Python floats, or what is traced goes through a checkpoint, or a
        value without a derivative to NumPy, which has a formula of its own.
        """
        return self.on_floats or OTHERWISE.search(self.program.text())

    @property
    def halved(self):
        """Other inputs of the same kind."""
        return tuple(
            x * type(x)(0.5) if type(x) is float else x * x.dtype.type(0.5) for x in self.xs
        )


def _direction(x, rng):
    if type(x) is float:
        return float(rng.normal())
    return np.asarray(rng.normal(size=np.shape(x)), np.asarray(x).dtype)


def same(found, expected, what="", run=None):
    """To the bit, but for the sign of zeros; to rounding where `run` may be rounded otherwise."""
    try:
        to_the_bit(found, expected, what)
    except DisagreementError:
        if run is None or not run.is_rounded_otherwise:
            raise
        close(found, expected, what, 1e-5 if run.single else 1e-12)


def to_the_bit(found, expected, what=""):
    found, expected = _plain(found), _plain(expected)
    if len(found) != len(expected):
        raise DisagreementError(f"{what}: {len(found)} arrays, not {len(expected)}")
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise DisagreementError(f"{what} {i}: {a.dtype}{a.shape}, not {b.dtype}{b.shape}")
        if not np.array_equal(a, b, equal_nan=True):
            raise DisagreementError(f"{what} {i}: {a.tolist()}, not {b.tolist()}")


def close(found, expected, what="", tolerance=1e-9, scale=None):
    found, expected = _plain(found), _plain(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape:
            raise DisagreementError(f"{what} {i}: shape {a.shape}, not {b.shape}")
        size = (
            max(1.0, np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
            if scale is None
            else scale
        )
        if not np.allclose(a, b, rtol=tolerance, atol=tolerance * size, equal_nan=True):
            raise DisagreementError(f"{what} {i}: {a.tolist()}, not {b.tolist()}")


def _plain(x):
    return [np.asarray(y.plain() if hasattr(y, "plain") else y) for y in flatten(x)[0]]


def inner(a, b):
    """The inner product of two lists of arrays in double precision, and its terms' magnitude."""
    products = [np.asarray(x, float) * np.asarray(y, float) for x, y in zip(a, b, strict=True)]
    return sum(p.sum() for p in products), 1.0 + sum(np.abs(p).sum() for p in products)


@checked
def value(run):
    before = [np.array(x) for x in run.xs]
    found = run.f(*map(Tensor, run.xs))
    close(found, run.values, "value", 1e-5 if run.single else 1e-12)
    for a, b in zip(_plain(found), _plain(run.values), strict=True):
        if a.dtype != b.dtype:
            raise DisagreementError(f"value: {a.dtype}, not {b.dtype}")
    run.gradient, jvp(run.f, run.xs, run.vs)
    same(run.xs, before, "changed input")


@checked
def reverse(run):
    for g, x in zip(run.gradient, run.xs, strict=True):
        if type(x) is float:
            if type(g) is not float:
                raise DisagreementError(f"gradient by a float: {type(g).__name__}")
        elif g.shape != x.shape or g.dtype != x.dtype:
            raise DisagreementError(f"gradient {g.dtype}{g.shape} by {x.dtype}{x.shape}")
    if run.single and run.double.finite:
        scale = [np.max(np.abs(g), initial=1.0) for g in run.double.gradient]
        try:
            close(run.gradient, run.double.gradient, "single precision", 1e-2, max(scale))
        except DisagreementError:
            if stable(run.double, [run.xs], 1e-5, 1e-2):
                raise


@checked
def compiled(run):
    fast = compile(run.eager)
    expected = run.answer
    first = fast(*run.xs)
    same(first, expected, "compiled", run)
    if run.program.goes_by_values():
        return
    same(fast(*run.halved), run.eager(*run.halved), "compiled, other values", run)
    same(fast(*run.xs), expected, "compiled, again", run)
    same(first, expected, "compiled, first result later", run)


@checked
def printed(run):
    tangent = jvp(run.total, run.xs, run.vs)
    kinds = [
        ("gradient", run.gradient, ()),
        ("value", tangent[0], ()),
        ("tangent", tangent, run.vs),
    ]
    for of, expected, more in kinds if len(run.program.steps) < 5 else kinds[:1]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", TracingWarning)
            looks = False
            try:
                text = source(run.total, *run.xs, of=of, argnums=run.every)
            except TracingWarning:
                looks = True
        if looks:
            text = source(run.total, *run.xs, of=of, argnums=run.every)
        function = text.function()

        def of_text(*xs, function=function, more=more, of=of):
            found = function(*xs, *more)
            return found if of != "gradient" or len(xs) > 1 else (found,)

        try:
            same(of_text(*run.xs), expected, of, run)
            if of == "gradient" and not looks and not run.program.goes_by_values():
                same(of_text(*run.halved), run.eager(*run.halved)[1], "gradient, other values", run)
        except (ArithmeticError, ValueError):  # of Python's floats, where NumPy has inf or nan
            if not run.on_floats:
                raise


@checked
def checkpoint(run):
    same(grad(autograd.checkpoint(run.total), run.every)(*run.xs), run.gradient, "checkpoint")


@checked
def forward(run):
    run = run.double
    if not run.finite:
        return
    moved = jvp(run.total, run.xs, run.vs)[1]
    expected, scale = inner(run.gradient, run.vs)
    close(moved, expected, "jvp", 1e-8, scale)
    pushed = linearize(run.total, *run.xs)[1](*run.vs)
    close(pushed, moved, "linearize", 1e-8, scale)


@checked
def adjoint(run):
    run = run.double
    if not run.finite:
        return
    _, pull = vjp(run.f, *run.xs)
    tangents = jvp(run.f, run.xs, run.vs)[1]
    expected, scale = inner(run.us, tangents)
    found, other = inner(pull(tuple(u if np.shape(u) else float(u) for u in run.us)), run.vs)
    close(found, expected, "<J'u, v>, <u, Jv>", 1e-8, scale + other)


@checked
def second(run):
    run = run.double

    def slope(*xs):
        return sum(
            np.sum(g * v) for g, v in zip(grad(run.total, run.every)(*xs), run.vs, strict=True)
        )

    moved = jvp(grad(run.total, run.every), run.xs, run.vs)[1]
    scale = max(np.max(np.abs(h), initial=1.0) for h in moved)
    if not np.isfinite(scale):
        return
    close(grad(slope, run.every)(*run.xs), moved, "hvp", 1e-7, scale)


@checked
def differences(run):
    """Compared where two steps, and both sides, give the same derivative."""
    run = run.double
    stopped = re.search("stop_gradient|no_grad", run.program.text())
    if stopped or run.program.goes_by_values() or not run.finite:
        return

    shapes = [*map(np.shape, run.values)]

    def at(t):
        with np.errstate(all="ignore"):
            xs = [x + t * v for x, v in zip(run.xs, run.vs, strict=True)]
            alike = [*map(np.shape, run.f(*xs))] == shapes  # not where a value says how many
            return float(run.total(*xs)) if alike else np.nan

    def central(h):
        return sum(c * (at(k * h) - at(-k * h)) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)

    def one_sided(h):
        return (4 * at(h / 2) - at(h) - 3 * at(0)) / h

    numeric, finer = central(1e-3), central(2.5e-4)
    expected, scale = inner(run.gradient, run.vs)
    kink = abs(one_sided(1e-4) - one_sided(-1e-4))
    if not abs(numeric - finer) < 1e-6 * scale or not kink < 1e-5 * scale:
        return
    try:
        close(finer, expected, "differences", 1e-5, scale)
    except DisagreementError:
        if not meets_a_kink(run):  # where the derivative is a convention
            raise


def meets_a_kink(run):
    with autograd.audit() as report:
        run.total(*map(Tensor, run.xs)).backward()
    return bool(report.of("kink"))


@checked
def mapped(run):
    run = run.double
    if run.program.goes_by_values():
        return
    many = [run.xs, run.halved, tuple(x + 0.01 * v for x, v in zip(run.xs, run.vs, strict=True))]
    stacked = [np.stack([np.asarray(xs[i]) for xs in many]) for i in run.every]
    for f, what in ((run.f, "vmap"), (run.eager, "vmap of the gradient")):
        expected = [f(*xs) for xs in many]
        found = vmap(f)(*stacked)
        leaves = [flatten(e)[0] for e in expected]
        expected = [
            np.stack([np.asarray(each[i]) for each in leaves]) for i in range(len(leaves[0]))
        ]
        try:
            close(flatten(found)[0], expected, what, 1e-8)
        except DisagreementError:
            if stable(run, many):
                raise


def stable(run, many, step=1e-12, change=1e-8):
    """Whether gradients hardly change with the inputs: no kink, and no jump, is near."""
    rng = np.random.default_rng(0)
    for xs in many:
        for _ in range(5):
            near = tuple(x * (1 + step * rng.normal(size=np.shape(x))) for x in xs)
            near = tuple(float(n) if type(x) is float else n for n, x in zip(near, xs, strict=True))
            try:
                close(run.eager(*near), run.eager(*xs), "", change)
            except DisagreementError:
                return False
    return True


# --- making failures small ------------------------------------------------------------------------


def shrunk(program, failure, seconds=30):
    """A smaller program that fails in the same way, and how; the smallest, given the time."""
    before, end = None, time.perf_counter() + seconds
    while repr(program) != before and time.perf_counter() < end:
        before = repr(program)
        for smaller in (alone, sliced, promoted, replaced, simplified):
            program, failure = _smallest(program, failure, smaller, end)
    return program, failure


def _smallest(program, failure, smaller, end):
    while time.perf_counter() < end:
        for candidate in smaller(program):
            found = _fails(candidate, failure.check)
            if found is not None and found.kind == failure.kind:
                program, failure = candidate, found
                break
        else:
            break
    return program, failure


def _fails(program, check_name):
    """The failure of one check of what may be no program; None if it does not fail."""
    try:
        return next(iter(check(program, [check_name])), None)
    except Exception:  # it does not run on plain arrays
        return None


def alone(program):
    """One step, all that it reads being inputs."""
    if len(program.steps) > 1:
        values = program.inputs | _values(program)
        for step in program.steps:
            name = _target(step)
            read = [n for n in dict.fromkeys(NAMES.findall(step)) if n != name]
            yield Program({n: values[n] for n in read} or program.inputs, [step], [name])


def sliced(program):
    """What one step is made of."""
    for name in map(_target, program.steps):
        steps, needed = [], {name}
        for step in reversed(program.steps):
            if _target(step) in needed:
                steps.insert(0, step)
                needed |= {*NAMES.findall(step)}
        inputs = {k: x for k, x in program.inputs.items() if k in needed} or program.inputs
        if len(steps) + len(inputs) < len(program.steps) + len(program.inputs):
            yield Program(inputs, steps, [name])


def promoted(program):
    """Without a step, what it gives being an input."""
    values, inputs = _values(program), program.inputs
    for i, step in enumerate(program.steps):
        name = _target(step)
        free = next(f"x{k}" for k in range(100) if f"x{k}" not in inputs)
        more = inputs | {free: values[name]}
        yield _renamed(Program(more, _without(program.steps, i), program.results), name, free)


def replaced(program):
    """Without a step, something that it reads in the place of what it gives."""
    for i, step in enumerate(program.steps):
        name = _target(step)
        for other in dict.fromkeys(NAMES.findall(step)):
            if other != name:
                smaller = Program(program.inputs, _without(program.steps, i), program.results)
                yield _renamed(smaller, name, other)
    for name in program.inputs:
        for other in program.inputs:
            if other < name:
                inputs = {k: x for k, x in program.inputs.items() if k != name}
                yield _renamed(Program(inputs, program.steps, program.results), name, other)


def simplified(program):
    """Simpler values of the inputs."""
    for name, x in program.inputs.items():
        for y in _simpler(x):
            yield Program(program.inputs | {name: y}, program.steps, program.results)


def _without(steps, i):
    return steps[:i] + steps[i + 1 :]


def _target(step):
    """The name that a step gives a value to."""
    found = [m for m in NAMES.findall(step) if m.startswith("v") and re.search(rf"\b{m} = ", step)]
    return found[0]


def _renamed(program, old, new):
    def rename(text):
        return re.sub(rf"\b{old}\b", new, text)

    return Program(program.inputs, [*map(rename, program.steps)], [*map(rename, program.results)])


def _values(program):
    """What the steps give on plain arrays."""
    space = SPACE | program.inputs
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in program.steps:
            exec(step, space)
    return {
        name: float(x) if type(x) is float else np.array(x)
        for name, x in space.items()
        if NAMES.fullmatch(name) and name not in program.inputs
    }


def _simpler(x):
    if type(x) is float:
        found = [1.0, 0.5, round(x, 1)]
    else:
        found = [x[:1] if x.ndim else x, np.ones_like(x), np.round(x, 1)]
        found += [x.reshape(x.shape[1:])] if x.ndim and x.shape[0] == 1 else []
        found += [x.astype(float)] if x.dtype != float else []
    return [y for y in found if literal(y) != literal(x) and len(literal(y)) <= len(literal(x))]


# --- many of them ---------------------------------------------------------------------------------


def reached(program):
    """The names of the registered operations that a program calls, and of those they record."""
    called = {*re.findall(r"\.(\w+)\(", program.text())} & {op.name for op in registry.values()}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ys = program.function()(*map(Tensor, program.inputs.values()))
        except TypeError:  # refused
            return called
    nodes = [y.node for y in ys if isinstance(y, Tensor)]
    return called | {n.primitive.name for n in history(*nodes) if n.primitive}


def search(count, seed=0, first=0, report=print, every=1000):
    """Check `count` programs: how often each kind of failure came, and each operation.

    Of each kind a few are made small and reported.
    """
    failed, seen, small, start = Counter(), Counter(), set(), time.perf_counter()
    for number in range(first, first + count):
        program = make(seed, number)
        failures = check(program)
        for failure in failures:
            kind = f"{failure.check}: {_without_numbers(failure.error)}"
            failed[kind] += 1
            if failed[kind] > FEW:
                continue
            smaller, failure = shrunk(program, failure)
            same = str(failure), NAMES.sub("v", str(smaller.steps))
            if same not in small:
                small.add(same)
                report(
                    f"--- program {number} of seed {seed}: {failure}\n{smaller.text()}\n{smaller}"
                )
        if not failures:
            seen.update(reached(program))
        if (number + 1 - first) % every == 0:
            report(
                f"{number + 1 - first} programs, {failed.total()} failures, "
                f"{len(seen)} operations, {time.perf_counter() - start:.0f} s"
            )
    return failed, seen


def _without_numbers(error):
    return f"{type(error).__name__} " + re.sub(r"[-\d.e+]+", "#", str(error))[:50]


def _say(text):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description="check random programs")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--every", type=int, default=1000, help="programs between reports")
    options = parser.parse_args()
    failed, seen = search(options.count, options.seed, options.first, _say, options.every)
    names = {op.name for op in registry.values()}
    print(f"{len(names & {*seen})} of {len(names)} names of operations called")
    print("not called:", *sorted(names - {*seen}))
    for kind, times in failed.most_common():
        print(f"{times} times: {kind}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
