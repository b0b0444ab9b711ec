"""What an audit looks for, and its report: see `autograd.audit`.

Every operation is looked at behind the way forward (its value, kinks, dead units), and every edge
behind the way back.  How much a gradient shrinks along an edge is told by norms: ‖c‖/‖g‖, c being
the part of the input's cotangent that the operation's cotangent g is pulled into.  What the
numbers of elements alone explain is left out: the mean of n numbers has a ratio of 1/√n, their sum
√n, and neither is a fault.
"""

import linecache
import math
import sys
from collections import namedtuple
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from . import scopes
from .attribution import attributed, edges, norm, place
from .audit import listening, pull_back
from .batching import allocating, inquiring
from .graph import CONSTANT, Node, history
from .lazy import is_lazy
from .primitive import Wrapper, brief, leaves, plain
from .reverse import as_derivative, as_gradient
from .rules.elementwise import relu
from .scopes import line_of, path_of, user_line
from .show.numbers import plural
from .show.scene import as_variables, given_names, parameter_paths, seed_of_ones
from .show.values import value_lines
from .sweeps import elements
from .tensor import Tensor
from .trail import Trail, places, root, value_at
from .tree import flatten, paths

FAINT = 1e-6  # a gradient smaller by this along its way has vanished, one larger by 1/this exploded
STEEP = 5  # operations of such a way that are told, the steepest
ROWS = 16  # in fewer rows than these a unit may well be zero in all by chance
KINDS = (
    "nan", "inf", "gradient", "changed", "unreached", "exploding", "vanishing", "dead", "kink",
)  # fmt: skip


@dataclass
class Finding:
    """One thing found.

    kind        "nan" or "inf", in a value; "gradient": either in a derivative; "changed" between
                forward and backward; "unreached": an input; an "exploding" or "vanishing" gradient;
                "dead" units; a "kink"
    text        what it is, in a sentence
    details     lines of what goes with it: arguments with shapes and ranges, edges
    operation   the name of the operation that did it, "" where there is none
    where       ``(file, line)`` that made it, or None
    path        the Modules and scopes around it, "" for none
    times       how often it was met
    serial      of the node first met, which counts up; None where there is none
    """

    kind: str
    text: str
    details: list = field(default_factory=list)
    operation: str = ""
    where: tuple | None = None
    path: str = ""
    times: int = 1
    serial: int | None = None

    def __str__(self):
        head = f"{self.kind}: {self.text}{_at(self.where, self.path)}"
        times = f" ({self.times:,} times)" if self.times > 1 else ""
        source = linecache.getline(*self.where).strip() if self.where else ""
        lines = ([source] if source else []) + self.details
        return "\n".join([head + times, *(f"     {line}" for line in lines)])


# How most of a gradient comes to a node: the norm of that part, how many times the result's (but
# for what numbers of elements explain), by which operation, and the last edge's share in that.
# alone: all nodes up to here hold a single number each.
_Way = namedtuple("_Way", "part gain reader factor alone")


class Report:
    """What an audit found; prints as text, and as a table in a notebook.

    findings     a list of `Finding`, the gravest first; a report with none is false
    operations   how many were looked at
    sweeps       how many sweeps back were
    """

    def __init__(self, inputs=None, names=None):
        self.operations = self.sweeps = 0
        self._given = _named_leaves(inputs)  # (name, Tensor or array)
        variables = {**(inputs if isinstance(inputs, dict) else {}), **as_variables(names)}
        self._names, self._modules = given_names(variables)
        self._modules += [m for m in leaves(inputs) if hasattr(type(m), "named_parameters")]
        self._paths = None  # gradient cell -> path of the parameter
        self._fresh, self._merged, self._last = [], {}, None
        self._trail, self._open = Trail(), ExitStack()
        for _, x in self._given:
            if isinstance(x, Tensor) and x.requires_grad:
                self._trail.reads(x)

    # --- using it ---

    def __enter__(self):
        self._open.enter_context(listening(self))
        return self

    def __exit__(self, *error):
        self._open.close()
        if error[0] is None:
            self._look_for_unreached()
        self._settle()

    def of_graph(self, y):
        """Look at the graph of the Tensors in `y`; returns itself."""
        outputs = [x for x in flatten(y)[0] if isinstance(x, Tensor) and x.requires_grad]
        if not outputs:
            what = brief(y) if isinstance(y, Wrapper) else type(y).__name__
            raise TypeError(
                f"audit: y is a Tensor with a history, or a tree that holds one, not {what}; to "
                f"look at all that a block of a program does, write `with audit() as report:`"
            )
        nodes = history(*(out.node for out in outputs))
        for node in reversed(nodes):
            self._trail.takes(node, outputs[0].level)
            if node.primitive is not None:
                self._look(node, line_of(node.serial))
                self._evaluate_again(node)
        seeds = {out.node: seed_of_ones(out.node.value) for out in outputs}
        try:
            with np.errstate(all="ignore"):
                found = pull_back(nodes, seeds, keep={*nodes})
        except RuntimeError as error:  # written since, and noticed
            self._add("changed", str(error))
        else:
            self.swept(nodes, seeds, found, None)
        self._look_for_unreached()
        return self

    @property
    def findings(self):
        """All of them, the gravest first; of nan and inf in values what came first."""
        self._settle()
        not_finite = [f for f in self._merged.values() if f.kind in ("nan", "inf")]
        rest = [f for f in self._merged.values() if f.kind not in ("nan", "inf")]
        rest.sort(key=lambda finding: KINDS.index(finding.kind))
        return sorted(not_finite, key=lambda finding: finding.serial) + rest

    def of(self, *kinds):
        """The findings of some kinds alone: ``report.of("nan", "inf")``."""
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"audit: {unknown[0]!r} is no kind of finding; {', '.join(KINDS)} are")
        return [finding for finding in self.findings if finding.kind in kinds]

    def __bool__(self):
        return bool(self.findings)

    def why(self, x):
        """The gradient of the last sweep by the Tensor `x`, split by path and by source line.

        An `Attribution`, whose parts add up to the whole; of more than 20 paths the smaller ones
        are taken together.  Raises ValueError, saying why, where the sweep did not come to `x`, and
        RuntimeError where values that it read have been written since.

        >>> from autograd import audit
        >>> x = Tensor(2.0, name="x")
        >>> audit(x * x + np.sin(x)).why(x)
        The gradient by 'x', 3.584 in norm, by 3 paths
        path                    norm     share
        ──────────────────────────────────────
        'x' → multiply → add       2   55.81 %
        'x' → multiply → add       2   55.81 %
        'x' → sin → add       0.4161  -11.61 %
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"why: x is a Tensor of the graph, not a {type(x).__name__}")
        if self._last is None:
            raise ValueError("why: nothing was swept back: call backward(), or audit(result)")
        nodes, seeds = self._last
        cell = getattr(x.node, "cell", None)
        for node in nodes:
            if node is x.node or (cell is not None and getattr(node, "cell", None) is cell):
                return attributed(nodes, seeds, node, self._called(node), self._trail.line)
        why, where = self._trail.why_unreached(x.node.serial)
        name = self._called(x.node)
        raise ValueError(f"why: the last sweep did not come to {name}: it {why}{_at(where)}")

    # --- told by the audit ---

    def recorded(self, primitive, args, result):
        """An operation on Tensors has been done."""
        where = user_line(sys._getframe(1))
        first = result[0] if isinstance(result, (tuple, list)) else result
        if type(first) is not Tensor or first.level == CONSTANT:
            self._trail.recorded(None, args, where)
            return
        node = first.node
        if primitive.outputs:
            (node,) = node.inputs
        self._trail.recorded(node, args, where)
        for part in result if primitive.outputs else ():
            self._trail.recorded(part.node, (), where)
        self._look(node, where)

    def asked(self, constant, args):
        """An operation without a derivative has been done on Tensors."""
        where = user_line(sys._getframe(1))
        variables = [x for x in leaves([*args]) if isinstance(x, Tensor) and x.level != CONSTANT]
        for x in variables:
            self._trail.takes(x.node, x.level)
            if constant.batch not in (inquiring, allocating):
                how = f"{constant.name}, which has no derivative"
                self._trail.cut(x.node.serial, how, where)
        values = [x.inside if isinstance(x, Tensor) else x for x in args]
        _check_present(*values)
        if variables and constant.at_kink and not any(isinstance(x, Wrapper) for x in values):
            at = constant.at_kink(None, *values)
            self._look_for_kink(constant, at, values, where, variables[0].node.serial)

    def sweeping(self, nodes):
        """A sweep back is about to begin."""
        for node, position in self._trail.changed(nodes):
            source = node if position == 0 else node.inputs[position - 1]
            array = value_at(node, position)
            name = self._names.get(id(root(array))) or getattr(source, "name", None)
            text = (
                f"the array {f'{name!r} ' if name else ''}that {node.primitive.name} read, "
                f"{array.dtype} {array.shape}, has been written since; the sweep back reads the "
                f"new values, and the derivative is wrong"
            )
            self._add("changed", text, node, self._trail.line(node))

    def swept(self, nodes, seeds, found, on_path):
        """A sweep back has been done."""
        self.sweeps += 1
        self._last, self._paths = (nodes, dict(seeds)), None
        self._trail.swept(nodes, found, on_path)
        if not any(map(_is_wrapped, nodes)):
            with np.errstate(all="ignore"):
                cotangents = {
                    node: plain(g) if node.primitive else as_gradient(node, g)
                    for node, g in found.items()
                }
                self._look_back(nodes, seeds, cotangents, on_path)
        self._settle(self._fresh)

    # --- values ---

    def _look(self, node, where):
        """At an operation's value."""
        _check_present(node.value)
        self.operations += 1
        if type(node.value) is Tensor:
            return  # looked at where it was recorded, a level below
        with np.errstate(all="ignore"):
            self._look_for_not_finite(node, where)
            if any(map(_is_wrapped, (node, *node.inputs))):
                return
            primitive = node.primitive
            if primitive.at_kink is not None:
                values = primitive.arguments([value_at(node, i) for i in places(node)])
                at = primitive.at_kink(*values, **(node.options or {}))
                self._look_for_kink(primitive, at, node.inputs, where, node.serial)
            self._look_for_dead(node, where)

    def _look_for_not_finite(self, node, where):
        """The first nan, and the first inf; an infinite constant, such as a mask's, is meant."""
        for kind, is_so in (("nan", np.isnan), ("inf", np.isinf)):
            count, size = _count(is_so, plain(node.value))
            if not count or self._has(kind):
                continue
            came = [s for s in node.inputs if _count(is_so, _value(s))[0]]
            if any(_is_result(s) or (kind == "inf" and not isinstance(s, Node)) for s in came):
                continue
            text = f"{node.primitive.name} gives {_share(kind, count, size)}"
            if came:
                text += f", which came in with {self._called(came[0])}"
            self._add(kind, text, node, where, self._arguments(node))

    def _look_for_kink(self, primitive, at, inputs, where, serial):
        count, size = int(np.count_nonzero(at)), int(np.size(at))
        if count:
            place = f", {count:,} of {plural(size, 'element')}" if size > 1 else ""
            text = f"{primitive.name}{place}; derivative there: {primitive.kinks}"
            details = [self._described(i, source) for i, source in enumerate(inputs)]
            self._fresh.append(Finding("kink", text, details, primitive.name, where, serial=serial))

    def _look_for_dead(self, node, where):
        value = node.value
        if not _is_rectified(node) or np.ndim(value) < 2 or len(value) < ROWS:
            return
        # (rows, units), (rows, channels, ...), or, of three axes, (rows, steps, units) too
        for axis in (1, 2) if value.ndim == 3 else (1,):
            live = np.any(value, axis=tuple(i for i in range(value.ndim) if i != axis))
            dead = np.flatnonzero(~live)
            if len(dead):
                units = f"{len(dead):,} of {plural(len(live), 'unit')}"
                which = ", ".join(map(str, dead[:8])) + ", …" * (len(dead) > 8)
                rows = plural(len(value), "row")
                text = f"{units} of {node.primitive.name} 0 in all {rows}: {which}"
                self._add("dead", text, node, where, self._arguments(node))
                return

    def _evaluate_again(self, node):
        """An operation whose arguments now give another value than they did: they were written."""
        options = node.options or {}
        simple = (int, float, str, type(None), np.ndarray, np.generic, type(...), np.dtype)
        arrays = (float, np.ndarray, np.generic, tuple, list)
        if not all(isinstance(x, simple) for x in leaves(options)):
            return  # draws and checkpoints are not to be done twice
        values = [value_at(node, i) for i in places(node)]
        if not isinstance(values[0], arrays) or any(map(_is_wrapped, (node, *node.inputs))):
            return
        options = {name: dict(x) if type(x) is dict else x for name, x in options.items()}
        with np.errstate(all="ignore"):
            again = node.primitive.evaluate(values[1:], options)
        if not _same(again, values[0]):
            text = (
                f"{node.primitive.name} of its arguments is not what it was: an array that it "
                f"read has been written since, and the derivative is wrong"
            )
            self._add("changed", text, node, line_of(node.serial), self._arguments(node))

    # --- gradients ---

    def _look_back(self, nodes, seeds, cotangents, on_path):
        """At every edge, newest first, as the sweep went."""
        ways = {y: _Way(0.0, 1.0, None, 1.0, elements(y.value) == 1) for y in seeds}
        for node in nodes:
            g = cotangents.get(node)
            if g is None or node.primitive is None:
                continue
            size, way, finite = norm(g), ways[node], _all_finite(g)
            for source, c in edges(node, g, on_path):
                if source.primitive is None:
                    c = as_derivative(c, source.value)  # where c is float64, float32 may overflow
                if finite and not _all_finite(c):
                    self._add_gradient(node, source, g, c)
                    return
                part, alone = norm(c), way.alone and elements(source.value) == 1
                if source not in ways or part > ways[source].part:
                    factor = _factor(size, part, elements(node.value), elements(source.value))
                    # a loss may be scaled: what counts begins with the first array
                    gain = factor if way.alone and not alone else way.gain * factor
                    ways[source] = _Way(part, gain, node, factor, alone)
        ends = [node for node in nodes if node.primitive is None and node in ways]
        for end in ends:
            if not _all_finite(cotangents[end]) and all(map(_all_finite, seeds.values())):
                text = f"the parts of the gradient by {self._called(end)} add up to inf or nan"
                self._add("gradient", text, ways[end].reader)
                return
        large = [end for end in ends if ways[end].gain > 1 / FAINT]
        small = [end for end in ends if ways[end].gain < FAINT]
        if large:
            self._add_way("exploding", max(large, key=lambda end: ways[end].gain), large, ways)
        if small:
            self._add_way("vanishing", min(small, key=lambda end: ways[end].gain), small, ways)

    def _add_way(self, kind, end, ends, ways):
        """The way by which most of the gradient comes to an input, with its steepest edges."""
        by_operation, node = {}, end
        while (way := ways[node]).reader is not None:
            by_operation.setdefault(way.reader.primitive.name, []).append((way.factor, way.reader))
            node = way.reader
        sign = 1 if kind == "vanishing" else -1
        steepest = {
            name: (math.prod(f for f, _ in factors), *min(factors, key=lambda f: sign * f[0]))
            for name, factors in by_operation.items()
        }
        order = sorted(steepest, key=lambda name: sign * steepest[name][0])[:STEEP]
        details = []
        for name in order:
            together, factor, reader = steepest[name]
            if sign * together >= sign:
                continue
            n = len(by_operation[name])
            several = f"{name}, {n} times: ×{together:.2g}, the steepest " if n > 1 else f"{name} "
            at = _at(self._trail.line(reader), path_of(reader.serial))
            details.append(f"{several}×{factor:.2g}{at}")
        more = f" (and {plural(len(ends) - 1, 'input')} more)" if len(ends) > 1 else ""
        verb = "shrinks" if sign == 1 else "grows"
        text = f"the gradient by {self._called(end)}{more} {verb} ×{ways[end].gain:.2g} on its way"
        reader = steepest[order[0]][2]
        self._add(kind, text, reader, self._trail.line(reader), details)

    def _add_gradient(self, node, source, g, c):
        """The edge at which a finite derivative becomes none; what comes of it is no finding."""
        operation = node.primitive.name
        text = f"{operation} pulls a finite derivative into {_bad(c)} by {self._called(source)}"
        details = [*self._arguments(node), f"result: {_range(node.value)}", f"∂: {_range(g)}"]
        self._add("gradient", text, node, self._trail.line(node), details)

    # --- inputs that do not arrive ---

    def _look_for_unreached(self):
        self._paths = None
        told = set(self._trail.reached)
        for taken, why, where in self._trail.unreached():
            told.add(taken.cell)
            name = self._names.get(id(taken.cell)) or self._path(taken.cell) or taken.name
            called = repr(name) if name else f"an input of shape {taken.shape}"
            self._fresh.append(Finding("unreached", f"{called} {why}", where=where))
        for name, x in self._given:
            if isinstance(x, Tensor) and x.requires_grad:
                if x.node.primitive is None and x.node.cell not in told and self.sweeps:
                    why, where = self._trail.why_unreached(x.node.serial)
                    self._add("unreached", f"{name!r} {why}", where=where)
            else:
                self._add("unreached", f"{name!r} {_constant_because(x)}")

    # --- putting together ---

    def _has(self, kind):
        return any(finding.kind == kind for finding in (*self._fresh, *self._merged.values()))

    def _add(self, kind, text, node=None, where=None, details=()):
        name, serial = (node.primitive.name, node.serial) if node is not None else ("", None)
        self._fresh.append(Finding(kind, text, [*details], name, where, serial=serial))

    def _settle(self, fresh=None):
        """Find the Modules around what was found, and count what is met again.

        fresh   by default all findings: a scope that was open then may have been closed since
        """
        if fresh is None:
            fresh, self._merged = [*self._merged.values(), *self._fresh], {}
        self._fresh = []
        for finding in fresh:
            around = "" if finding.serial is None else path_of(finding.serial)
            finding.path = max(finding.path, around, key=len)  # old calls are forgotten
            subject = finding.text if finding.kind in ("unreached", "changed") else ""
            key = finding.kind, finding.operation, finding.where, finding.path, subject
            if key in self._merged:
                self._merged[key].times += finding.times
            else:
                self._merged[key] = finding

    # --- names ---

    def _path(self, cell):
        """The path of a parameter in the Modules that were given, or called."""
        if self._paths is None:
            owners = [call[2] and call[2]() for call in sorted([*scopes.calls], key=lambda c: c[0])]
            called = [m for m in owners if hasattr(type(m), "named_parameters")]
            self._paths = parameter_paths([*self._modules, *called], self._names)
        return self._paths.get(cell)

    def _name(self, source):
        cell = getattr(source, "cell", None)
        name = self._names.get(id(source)) or self._names.get(id(cell)) or (
            self._path(cell) if cell is not None else None
        )  # fmt: skip
        return name or getattr(source, "name", None)

    def _called(self, source):
        """How a node, or a constant, is called in a sentence."""
        if name := self._name(source):
            return repr(name)
        if _is_result(source):
            return f"the result of {source.primitive.name}"
        value = _value(source)
        what = "an input" if isinstance(source, Node) else "a constant"
        return f"{what} of shape {np.shape(value)}" if np.ndim(value) else f"{what}, {value}"

    def _described(self, i, source):
        name = self._name(source)
        kind = "argument" if isinstance(source, Node) else "constant"
        return f"{kind} {repr(name) if name else i + 1}: {_range(_value(source))}"

    def _arguments(self, node):
        return [self._described(i, source) for i, source in enumerate(node.inputs)]

    # --- shown ---

    def __repr__(self):
        found = [f"{i}. {finding}" for i, finding in enumerate(self.findings, 1)]
        return "\n".join([self._head(), *found])

    def _repr_html_(self):
        from .show.tables import html_table

        found = self.findings
        lines = [[f.kind, f.text, place(f.where), f.path or "–", f"{f.times:,}"] for f in found]
        tips = ["\n".join(f.details) for f in found]
        heads = ["finding", "what", "line", "inside", "times"]
        return html_table(self._head(), heads, lines, tips)

    def _head(self):
        found = len(self.findings)
        return (
            f"Audit of {plural(self.operations, 'operation')} and "
            f"{plural(self.sweeps, 'sweep')} back: "
            f"{plural(found, 'finding') if found else 'nothing found'}"
        )


def _at(where, path=""):
    return (f", at {place(where)}" if where else "") + (f", in {path}" if path else "")


def _named_leaves(inputs):
    """``(name, Tensor or array)`` of all that an audit is given as inputs."""
    found = []
    for path, leaf in zip(paths(inputs), flatten(inputs, by_value=False)[0], strict=True):
        if not isinstance(leaf, (Tensor, np.ndarray)):
            raise TypeError(
                f"audit: inputs are Tensors, arrays, Modules, or a tree of them, not "
                f"{type(leaf).__name__}{f' at {path}' if path else ''}"
            )
        name = path.removeprefix(".") if hasattr(inputs, "__tree__") else getattr(leaf, "name", 0)
        found.append((name or path.strip("[]'.") or "the input", leaf))
    return found


def _constant_because(x):
    if isinstance(x, Tensor):
        return "is a constant: requires_grad is False"
    if x.dtype.kind != "f":
        return f"is an array of {x.dtype}, a constant: derivatives need floating-point numbers"
    return "is a plain array, a constant: make a Tensor of it"


def _value(source):
    return plain(source.value if isinstance(source, Node) else source)


def _is_result(source):
    return isinstance(source, Node) and source.primitive is not None


def _is_wrapped(x):
    return isinstance(x.value if isinstance(x, Node) else x, Wrapper)


def _is_rectified(node):
    """Whether an operation is max(x, 0)."""
    if node.primitive.function is np.maximum:
        return any(not isinstance(s, Node) and not np.any(s) for s in node.inputs)
    return node.primitive is relu


def _factor(size, part, n, m):
    """‖part‖/‖g‖, but for what their numbers of elements explain: g has n, the part m.

    1 where there is no g.  Where a part has fewer numbers they are sums, and may cancel: the
    gradient by a bias before a batch norm is 0 that way.
    """
    if not size:
        return 1.0
    ratio, root = part / size, math.sqrt(max(n, m, 1) / max(min(n, m), 1))
    return ratio / min(max(ratio, 0.0 if m < n else 1 / root), root) if ratio else float(m < n)


def _check_present(*values):
    """TypeError for values that are computed later: each look would go through all the data."""
    if any(map(is_lazy, leaves([*values]))):
        raise TypeError(
            "audit looks at the values of every operation, and those of Dask's arrays are not "
            "there yet: audit the same program on a part that fits into memory, such as "
            "x[:1000].compute()"
        )


def _not_finite(x):
    return ~np.isfinite(x)


def _count(is_so, value):
    """How many of the numbers of a value are so, and how many there are."""
    if isinstance(value, (tuple, list)):
        counts = [_count(is_so, part) for part in value]
        return sum(n for n, _ in counts), sum(size for _, size in counts)
    value = np.asarray(value) if isinstance(value, (int, float)) else value
    if getattr(getattr(value, "dtype", None), "kind", "") != "f":
        return 0, int(np.size(value))
    return int(np.count_nonzero(is_so(value))), int(np.size(value))


def _share(kind, count, size):
    return f"{kind} ({count:,} of {plural(size, 'element')})" if size > 1 else kind


def _bad(c):
    """Which numbers that are none a value holds, and how many."""
    counts = [(kind, *_count(so, c)) for kind, so in (("nan", np.isnan), ("inf", np.isinf))]
    return " and ".join(_share(*count) for count in counts if count[1])


def _all_finite(c):
    return not _count(_not_finite, c)[0]


def _same(a, b):
    if isinstance(b, (tuple, list)):
        return all(map(_same, a, b))
    tolerance = 1e3 * np.finfo(getattr(b, "dtype", float)).eps  # sums may come in another order
    return np.shape(a) == np.shape(b) and np.allclose(a, b, tolerance, tolerance, equal_nan=True)


def _range(value):
    """An array's dtype, shape and spread; a number."""
    value = plain(value)
    if isinstance(value, (tuple, list)):
        return "; ".join(map(_range, value))
    spread = ", ".join(value_lines(value, shape=False))
    return f"{value.dtype} {value.shape}, {spread}" if np.ndim(value) else spread
