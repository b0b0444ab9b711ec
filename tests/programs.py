"""Programs of NumPy calls as data, and how random ones are made.

A `Program` holds values of its inputs, and steps that are lines of Python: so it can be printed,
made smaller while it fails (`tests.fuzz`), and kept as a test.  `make` writes one at random,
evaluating it on plain arrays as it goes.
"""

import re
import warnings
from dataclasses import dataclass

import numpy as np

import autograd
import nn

from .samples import SAMPLES

SPACE = {"np": np, "autograd": autograd, "nn": nn, "nan": np.nan, "inf": np.inf}
NAMES = re.compile(r"\b[xv]\d+\b")
LARGEST = 1e3  # of the values that occur: larger ones leave few digits to compare
ELEMENTS = 60  # of the largest array made


# --- programs -------------------------------------------------------------------------------------


@dataclass
class Program:
    """A function of its inputs as data.

    inputs    name -> array or float
    steps     Python statements, each beginning with the name it gives a value to
    results   the names of what is returned
    """

    inputs: dict
    steps: list
    results: list

    def text(self):
        """The function as Python."""
        lines = [line for step in self.steps for line in step.split("\n")]
        lines += [f"return {', '.join(self.results)},"]
        head = f"def program({', '.join(self.inputs)}):\n    "
        return head + "\n    ".join(lines)

    def function(self):
        """The function, which returns a tuple."""
        space = dict(SPACE)
        exec(self.text(), space)
        return space["program"]

    def goes_by_values(self):
        """Whether shapes depend on values: parts are read by a mask."""
        return any(re.search(r"\w\[[^\[\]]*[<>]", step) for step in self.steps)

    def double(self):
        """The same program in double precision throughout."""
        return Program(
            {name: _double(x) for name, x in self.inputs.items()},
            [step.replace("float32", "float64") for step in self.steps],
            self.results,
        )

    def __repr__(self):
        inputs = "".join(f"        {k!r}: {literal(x)},\n" for k, x in self.inputs.items())
        steps = "".join(f"        {step!r},\n" for step in self.steps)
        return f"Program(\n    {{\n{inputs}    }},\n    [\n{steps}    ],\n    {self.results},\n)"


def _double(x):
    return x if type(x) is float else x.astype(np.float64)


def literal(x):
    """`x` as Python."""
    if isinstance(x, np.ndarray):
        if not x.size:
            return f"np.zeros({x.shape}, np.{x.dtype})"
        dtype = "" if x.dtype in (float, int, bool) else f", np.{x.dtype}"
        return f"np.array({x.tolist()}{dtype})"
    if isinstance(x, np.dtype):
        return f"np.{x}"
    if isinstance(x, type):
        return f"np.{x.__name__}"
    if type(x) in (list, tuple):
        inside = ", ".join(map(literal, x))
        return f"[{inside}]" if type(x) is list else f"({inside}{',' * (len(x) == 1)})"
    return repr(x)


# --- making them at random ------------------------------------------------------------------------

KINDS = {}  # function of a Maker that writes a step -> how often, relative to others


def kind(weight):
    def add(f):
        KINDS[f] = weight
        return f

    return add


class RejectedError(Exception):
    """A step that cannot be made of what there is."""


def make(seed, number):
    """Program `number` of the sequence that begins with `seed`."""
    return Maker(np.random.default_rng([seed, number])).program()


class Maker:
    """Writes one program.

    known    name -> its value on plain arrays
    varies   the names of what depends on an input
    """

    def __init__(self, rng):
        self.rng, self.known, self.varies = rng, {}, set()
        self.steps, self.floats = [], rng.random() < 0.15
        self.mixed = not self.floats and rng.random() < 0.4

    def program(self):
        rng = self.rng
        for i in range(rng.integers(1, 4)):
            self.known[f"x{i}"] = self.input(i)
            self.varies.add(f"x{i}")
        inputs = dict(self.known)
        kinds, weights = list(KINDS), np.array(list(KINDS.values()), float)
        wanted = rng.integers(2, 12)
        for _ in range(200):
            if len(self.steps) == wanted:
                break
            step = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
            try:
                self.take(step(self))
            except RejectedError:
                pass
        unused = [
            name for name in self.known if not any(name in NAMES.findall(s[3:]) for s in self.steps)
        ]
        results = [n for n in unused if n in self.varies and n not in inputs] or [*inputs][:1]
        results = [str(n) for n in rng.permutation(results)[:3]]
        return Program(inputs, self.steps, results)

    def input(self, i):
        if self.floats and i == 0 or self.rng.random() < 0.05 and not self.mixed:
            return round(float(self.rng.normal()), 2)
        x = self.numbers(self.shape())
        return x.astype(np.float32) if self.mixed and self.rng.random() < 0.6 else x

    def numbers(self, shape):
        """Random numbers that are short in print; few of them equal, or zero."""
        return np.asarray(np.round(self.rng.normal(size=shape), 2)) + 0.0

    def shape(self, most=3):
        axes = self.rng.choice(
            most + 1, p=np.array([1, 3, 4, 2])[: most + 1] / 10 if most == 3 else None
        )
        zero = 0 if self.rng.random() < 0.06 else 1
        return tuple(int(n) for n in self.rng.integers(zero, 5, axes))

    def take(self, text):
        """Add a step, if it gives something finite, and not large, on plain arrays."""
        name = f"v{len(self.steps)}"
        text = text.replace("$", name)
        if "\n" not in text and not text.startswith(f"{name} ="):
            text = f"{name} = {text}"
        space = SPACE | {k: x if type(x) is float else x.copy() for k, x in self.known.items()}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                exec(text, space)
            except Exception as error:  # as NumPy has it: this is how it is found out
                raise RejectedError from error
        y = space[name]
        if not isinstance(y, (np.ndarray, np.floating, float)) or np.asarray(y).dtype.kind != "f":
            raise RejectedError
        if np.size(y) > ELEMENTS or not np.all(np.abs(y) < LARGEST):
            raise RejectedError
        self.known[name] = y
        if self.varies & {*NAMES.findall(text)}:
            self.varies.add(name)
        self.steps.append(text)

    # --- what steps are made of ---

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def any(self, wanted=lambda x: True):
        """The name of something known, the latest more often."""
        names = [n for n, x in self.known.items() if wanted(x)]
        if not names:
            raise RejectedError
        return names[-1 - min(int(self.rng.exponential(2.0)), len(names) - 1)]

    def array(self):
        """The name of something with at least one axis."""
        return self.any(lambda x: np.ndim(x) > 0)

    def full(self):
        return self.any(lambda x: np.ndim(x) > 0 and np.size(x) > 0)

    def beside(self, name):
        """Something that broadcasts with what is called `name`: known, or a constant."""
        x = self.known[name]
        fitting = []
        for other, y in self.known.items():
            try:
                np.broadcast_shapes(np.shape(x), np.shape(y))
            except ValueError:
                continue
            fitting.append(other)
        if self.rng.random() < 0.7:
            return self.one(fitting)
        if self.rng.random() < 0.5:
            return self.one(["0.5", "2.0", "3", "-1.5", "np.float32(0.25)" if self.mixed else "1"])
        shape = [int(n) if self.rng.random() < 0.7 else 1 for n in np.shape(x)]
        return self.constant(shape[self.rng.integers(len(shape) + 1) :])

    def constant(self, shape):
        x = self.numbers(shape)
        if self.mixed and self.rng.random() < 0.5:
            x = x.astype(np.float32)
        if self.rng.random() < 0.15:
            x = np.round(x).astype(int)
        return literal(x)

    def axis(self, name):
        axes = np.ndim(self.known[name])
        return int(self.rng.integers(-axes, axes)) if axes else 0

    def index(self, name, repeats=True):
        """An index for what is called `name`, as Python."""
        shape, rng = np.shape(self.known[name]), self.rng
        if rng.random() < 0.05:
            return f"{name} > {self.one(['0', '0.3', '-0.5'])}"
        parts, array = [], rng.random() < 0.35
        for n in shape[: rng.integers(1, len(shape) + 1)]:
            choice = rng.integers(7 if array and n else 5)
            if choice == 0 and n:
                parts.append(str(rng.integers(-n, n)))
            elif choice == 1:
                parts.append(self.one(["::2", "::-1", "1:", ":-1", "-2:", "3:0:-1", "1:1"]))
            elif choice >= 5:
                count = int(rng.integers(1, 4))
                chosen = rng.integers(-n, n, count) if repeats else rng.permutation(n)[:count]
                parts.append(str(chosen.tolist()))
            else:
                parts.append(":")
        if rng.random() < 0.15:
            parts.insert(rng.integers(len(parts) + 1), "None")
        if rng.random() < 0.15:
            parts.insert(rng.integers(len(parts) + 1), "...")
        return ", ".join(parts)


ELEMENTWISE = [
    "np.sin({})", "np.cos({})", "np.tanh({})", "np.exp(-np.abs({}))", "np.exp(np.tanh({}))",
    "np.log(np.abs({}) + 0.5)", "np.sqrt(np.abs({}) + 0.1)", "np.square({})", "{} ** 2", "{} ** 3",
    "np.abs({})", "np.negative({})", "-{}", "1 / (np.abs({}) + 0.5)", "np.arctan({})",
    "np.arcsin(0.9 * np.tanh({}))", "np.maximum({}, 0.2)", "np.clip({}, -0.6, 0.8)",
    "np.expm1(np.tanh({}))", "np.log1p(np.abs({}))", "np.sign({})", "np.floor({})", "np.cbrt({})",
    "np.sinh(np.tanh({}))", "np.sinc({})", "np.exp2(np.tanh({}))", "2.0 ** np.tanh({})",
    "np.reciprocal(np.abs({}) + 1)", "np.deg2rad({})", "autograd.relu({})", "autograd.sigmoid({})",
    "autograd.softplus({})", "autograd.log_sigmoid({})", "np.nan_to_num({})", "np.i0(np.tanh({}))",
    "np.modf({})[0]", "np.copy({})", "+{}", "abs({})", "np.float_power(np.abs({}) + 0.5, 1.5)",
    "np.power({}, 2)", "nn.gelu({})", "nn.elu({})", "nn.leaky_relu({})",
]  # fmt: skip
BINARY = [
    "{} + {}", "{} - {}", "{} * {}", "{} * {}", "{} / (1.0 + np.square({}))", "np.maximum({}, {})",
    "np.minimum({}, {})", "np.hypot({}, np.abs({}) + 0.1)", "np.arctan2({}, np.abs({}) + 0.3)",
    "np.logaddexp({}, {})", "(np.abs({}) + 0.5) ** np.tanh({})",
    "np.where({0} > {1}, {0}, 0.5 * {1})", "np.copysign({}, {})", "np.fmax({}, {})",
    "{} % (np.abs({}) + 0.7)", "np.true_divide({}, 2 + np.cos({}))", "np.multiply({}, {})",
    "np.add({}, {})", "{} // (np.abs({}) + 0.7)", "np.heaviside({}, {})",
]  # fmt: skip
REDUCTIONS = [
    "np.sum({x}, axis={a})", "np.mean({x}, axis={a})", "np.max({x}, axis={a})",
    "np.min({x}, axis={a})", "np.prod({x}, axis={a})", "np.var({x}, axis={a})",
    "{x}.sum(axis={a}, keepdims=True)", "np.sum({x}, axis={a}, keepdims=True)", "np.sum({x})",
    "np.mean({x})", "{x}.mean()", "np.max({x})", "np.cumsum({x}, axis={a})",
    "np.cumprod(np.tanh({x}), axis={a})", "autograd.logsumexp({x}, axis={a})",
    "autograd.softmax({x}, axis={a})", "autograd.log_softmax({x}, axis={a})",
    "np.std({x} + np.arange(1.0 * {x}.shape[{a}]).reshape({ones}), axis={a})",
    "np.linalg.norm({x}, axis={a})", "np.median({x}, axis={a})", "np.sort({x}, axis={a})",
    "np.ptp({x}, axis={a})", "np.diff({x}, axis={a})", "np.average({x}, axis={a})",
    "np.nansum({x}, axis={a})", "np.quantile({x}, 0.3, axis={a})",
    "np.sum({x}, axis={a}, where={x} > 0)", "np.max({x}, axis={a}, initial=-0.3, where={x} < 1)",
    "np.prod({x})", "np.linalg.norm({x})", "np.trapezoid({x}, axis={a})",
    "np.add.reduce({x}, axis={a})", "np.add.accumulate({x}, axis={a})",
    "np.take({x}, np.argsort({x}, axis={a}).ravel()[:2], axis={a})",
    "np.take_along_axis({x}, np.argsort(-{x}, axis={a}), axis={a})",
]  # fmt: skip
SHAPES = [
    "{x}.T", "np.transpose({x})", "np.flip({x}, axis={a})", "np.roll({x}, 1, axis={a})",
    "np.reshape({x}, -1)", "{x}.reshape(-1, 1)", "np.ravel({x})", "np.expand_dims({x}, {a})",
    "np.repeat({x}, 2, axis={a})", "np.tile({x}, 2)", "np.swapaxes({x}, 0, {a})",
    "np.moveaxis({x}, {a}, 0)", "np.concatenate([{x}, {x}], axis={a})",
    "np.stack([{x}, 2 * {x}], axis={a})", "np.pad({x}, 1)", "np.pad({x}, 1, mode='edge')",
    "np.tril({x})", "np.triu({x}, 1)", "np.squeeze({x})", "np.broadcast_to({x}, (2,) + {x}.shape)",
    "np.atleast_2d({x})", "np.resize({x}, (2, 3))", "np.split({x}, [1], axis={a})[1]",
    "np.array_split({x}, 2, axis={a})[0]", "np.hstack([{x}, {x}])", "np.vstack([{x}, {x}])",
    "np.delete({x}, 0, axis={a})", "np.insert({x}, 0, 0.5, axis={a})", "np.diagonal({x})",
    "np.diag({x})", "np.trace({x})", "np.rot90({x})", "np.append({x}, {x})",
    "np.meshgrid({x}, {x})[0]", "{x}.reshape({x}.shape + (1,))", "np.rollaxis({x}, {a})",
    "np.reshape({x}, -1, order='F')", "np.pad({x}, 2, mode='reflect')",
    "np.pad({x}, 2, mode='wrap')", "np.asarray([0.5, 2.0])[:, None, None] * {x}",
]  # fmt: skip


@kind(6)
def elementwise(m):
    return m.one(ELEMENTWISE).format(m.any())


@kind(6)
def binary(m):
    a = m.any()
    pair = [a, m.beside(a)]
    if m.rng.random() < 0.4:
        pair.reverse()
    return m.one(BINARY).format(*pair)


@kind(5)
def reduction(m):
    x = m.array()
    a = m.axis(x)
    ones = tuple(-1 if i == a % np.ndim(m.known[x]) else 1 for i in range(np.ndim(m.known[x])))
    return m.one(REDUCTIONS).format(x=x, a=a, ones=ones)


@kind(5)
def shape(m):
    x = m.array()
    return m.one(SHAPES).format(x=x, a=m.axis(x))


@kind(4)
def indexing(m):
    x = m.array()
    return f"{x}[{m.index(x)}]"


@kind(3)
def reshape(m):
    x = m.full()
    n, shape = np.size(m.known[x]), []
    while n > 1 and len(shape) < 3:
        divisors = [d for d in range(2, n + 1) if n % d == 0]
        shape.append(m.one(divisors))
        n //= shape[-1]
    if n == 1 and shape:
        return f"{x}.reshape({tuple(shape)})"
    raise RejectedError


@kind(3)
def assignment(m):
    """Into a copy, once or twice."""
    x = m.any(lambda v: np.ndim(v) > 0)
    if x not in m.varies:
        raise RejectedError
    lines = [f"$ = {m.one(['np.copy({})', '{} + 0.0', '1.0 * {}']).format(x)}"]
    for _ in range(m.rng.integers(1, 3)):
        index = m.index(x, repeats=False).replace(x, "$")
        new = m.one(
            [
                m.any(lambda v: np.ndim(v) == 0),
                m.any(),
                "0.5",
                f"0.5 * {x}[{index}]".replace("$", x),
            ]
        )
        lines.append(f"$[{index}] {m.one(['=', '=', '+=', '*='])} {new}")
    return "\n".join(lines)


@kind(2)
def augmented(m):
    x = m.any()
    y = m.beside(x)
    if x not in m.varies or np.result_type(m.known[x]) != np.result_type(
        m.known[x], m.known.get(y, 0)
    ):
        raise RejectedError
    if "np." in y:
        raise RejectedError
    return f"$ = np.copy({x})\n$ {m.one(['+=', '-=', '*='])} {y}"


@kind(2)
def matmul(m):
    a = m.array()
    n = np.shape(m.known[a])[-1]

    def fits(x):
        return np.ndim(x) > 0 and np.shape(x)[max(-2, -np.ndim(x))] == n

    b = m.any(fits) if m.rng.random() < 0.7 else m.constant((n, 2))
    return m.one(["{} @ {}", "np.matmul({}, {})", "np.dot({}, {})", "{} @ {} * 0.5"]).format(a, b)


@kind(1)
def products(m):
    x = m.array()
    axes = np.ndim(m.known[x])
    letters = "ijkl"[:axes]
    return m.one(
        [
            f"np.einsum('{letters},{letters}->{letters[:1]}', {x}, {x})",
            f"np.einsum('{letters}->{letters[::-1]}', {x})",
            f"np.einsum('...{letters[-1]},...{letters[-1]}', {x}, {x})",
            f"np.tensordot({x}, {x}, axes=([{m.axis(x)}], [{m.axis(x)}]))",
            f"np.outer({x}, {m.any()})",
            f"np.inner({x}, {x})",
            f"np.vdot({x}, {x})",
            f"np.kron({x}, {m.any()})",
            f"np.einsum('i,j->ij', np.ravel({x}), np.ravel({m.any()}))",
        ]
    )


@kind(2)
def joining(m):
    x = m.array()
    same = [n for n, v in m.known.items() if np.shape(v) == np.shape(m.known[x])]
    parts = [x, *(m.one(same) for _ in range(m.rng.integers(1, 3)))]
    way = m.one(
        [
            "np.stack([{}], axis={})",
            "np.concatenate([{}], axis={})",
            "np.concatenate(({}), axis={})",
        ]
    )
    return way.format(", ".join(parts), m.axis(x))


@kind(1)
def stacking_numbers(m):
    parts = [m.any(lambda v: np.ndim(v) == 0) for _ in range(3)]
    if not m.varies & {*parts}:
        raise RejectedError
    return f"np.stack([{', '.join(parts)}])"


@kind(3)
def loops(m):
    x = m.any()
    y = m.beside(x)
    times = m.rng.integers(1, 5)
    return m.one(
        [
            f"$ = {x}\nfor k in range({times}):\n    $ = np.tanh(0.7 * $ + {y})",
            f"$ = {x}\nfor k in range({times}):\n    $ = $ * np.cos({y}) + 0.1 * k",
            f"$ = 0.0\nfor k in range({times}):\n    $ = $ + np.sin((k + 1.0) * {x})",
            f"$ = {x}\nk = 0\nwhile k < {times}:\n    $ = 0.5 * $ - {y} * $\n    k += 1",
            f"$ = {x}\nfor k in range({times}):\n    $ = np.sin($) if k % 2 else np.cos($) * {y}",
        ]
    )


@kind(3)
def elements(m):
    """Loops over what an array consists of."""
    x = m.full()
    return m.one(
        [
            f"$ = 0.0\nfor row in {x}:\n    $ = $ + np.sin(row) * np.sum(row)",
            f"$ = np.stack([np.sin(row) * k for k, row in enumerate({x})])",
            f"$ = 1.0\nfor i in range(len({x})):\n    $ = $ * np.cos({x}[i])",
            f"$ = sum({x}[i] * {x}[i - 1] for i in range(len({x})))",
            f"rows = []\nfor row in {x}:\n    rows.append(np.ravel(row - np.mean({x})))\n"
            f"$ = np.concatenate(rows)",
            f"$ = np.copy({x})\nfor i in range(1, len({x})):\n    $[i] = 0.5 * $[i - 1] + {x}[i]",
            f"$ = np.zeros_like({x}) + {x}\nfor i in range(len({x})):\n    $[i] += {x}[-1 - i]",
            f"$ = {x}[0]\nfor row in {x}[1:]:\n    $ = np.maximum($, row) * 0.9",
        ]
    )


@kind(2)
def branches(m):
    x, y = m.any(), m.any()
    return m.one(
        [
            f"if np.ndim({x}) and {x}.shape[0] > 2:\n    $ = np.sin({x})\nelse:\n    $ = {x} * 2.0",
            f"if np.size({x}) > np.size({y}):\n    $ = np.sum({x}) * {y}\n"
            f"else:\n    $ = {x} * np.mean({y})",
            f"$ = {x} if np.shape({x}) == np.shape({y}) else {x} - 0.5\n$ = $ * $",
            f"$ = np.where(np.abs({x}) > 0.4, np.sin({x}), {x} * 3.0)",
            f"$ = np.where({x} > 0, np.sqrt(np.where({x} > 0, {x}, 1.0)), 0.0)",
            f"$ = np.select([{x} > 0.5, {x} < -0.5], [{x}, {x} * 2.0], 0.25)",
            f"$ = np.where(np.isfinite({x}) & ({x} < 0.3), {x}, {y})",
        ]
    )


@kind(2)
def transforms(m):
    """Derivatives and maps inside the program."""
    x = m.any()
    y = m.beside(x)
    return m.one(
        [
            f"autograd.grad(lambda t: np.sum(np.sin(t) * {y}))({x})",
            f"autograd.elementwise_grad(lambda t: np.tanh(t) ** 2)({x})",
            f"autograd.jvp(lambda t: np.sin(t) * t, ({x},), ({x} * 0.5,))[1]",
            f"autograd.vjp(lambda t: np.cos(t) * t, {x})[1](np.ones_like({x}))[0]",
            f"autograd.vmap(lambda t: np.sin(t) * np.sum(t))({x})",
            f"autograd.vmap(autograd.grad(lambda t: np.sum(t ** 3)))({x})",
            f"autograd.checkpoint(lambda t, u: np.sin(t) * np.cos(u))({x}, {y})",
            f"autograd.hvp(lambda t: np.sum(np.sin(t) * t), ({x},), ({x},))",
            f"autograd.jacobian(lambda t: np.sin(np.ravel(t)[:2]))({x})",
        ]
    )


@kind(1)
def stopped(m):
    x = m.any()
    return m.one(
        [
            f"{x} * autograd.stop_gradient({m.any()})",
            f"$ = 0.0\nwith autograd.no_grad():\n    $ = np.sin({x})\n$ = $ * {x}",
        ]
    )


@kind(1)
def types(m):
    if not m.mixed:
        raise RejectedError
    return f"{m.any(lambda x: type(x) is not float)}.astype(np.{m.one(['float32', 'float64'])})"


def _named(f):
    """How a program calls a function of the registry or of ours; None if it cannot."""
    name = getattr(f, "__name__", "")
    for place, module in (
        ("np", np), ("np.linalg", np.linalg), ("autograd", autograd), ("nn", nn),
        ("nn.functional", nn.functional), ("np.lib.stride_tricks", np.lib.stride_tricks),
    ):  # fmt: skip
        if getattr(module, name, None) is f:
            return f"{place}.{name}"
    return None


SAMPLED = [
    s for s in SAMPLES if s.inputs() and _named(s.function) and s.function not in (np.linspace,)
]
SYMMETRIC = {"cholesky", "eigh", "eigvalsh", "svd", "pinv"}


@kind(14)
def sampled(m):
    """A sample call of a registered operation, its inputs moved a little by what is known."""
    sample = m.one(SAMPLED)

    def moved(x):
        v = m.full() if m.rng.random() < 0.9 else m.any()
        if v not in m.varies:
            raise RejectedError
        if isinstance(x, float) and not np.isfinite(x):
            return literal(x)
        if isinstance(x, float):
            return f"({round(x, 3)} + 0.05 * np.tanh(np.mean({v})))"
        x = np.round(x, 3)
        if sample.id in SYMMETRIC or m.rng.random() < 0.4:
            return f"({literal(x)} * (1 + 0.05 * np.tanh(np.mean({v}))))"
        return f"({literal(x)} + 0.05 * np.tanh(np.resize({v}, {x.shape})))"

    def visit(x):
        if hasattr(x, "value") and type(x).__name__ == "fixed":
            return literal(x.value)
        if isinstance(x, float) or getattr(getattr(x, "dtype", None), "kind", "") == "f":
            return moved(x)
        if type(x) in (list, tuple):
            inside = ", ".join(map(visit, x))
            return f"[{inside}]" if type(x) is list else f"({inside}{',' * (len(x) == 1)})"
        return literal(x)

    args = [visit(x) for x in sample.args]
    args += [f"{name}={visit(x)}" for name, x in sample.options.items()]
    call = f"{_named(sample.function)}({', '.join(args)})"
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = sample.call(sample.inputs())
    if isinstance(y, (tuple, list)):
        call += f"[{m.rng.integers(len(y))}]"
    return call
