"""What a recorded graph looks like, before anything is drawn: boxes, arrows, and nested groups.

    scene = Scene([y], ...)     every node as a box, every operand as an arrow, module calls as
                                groups: what there is to say about each, as text
    scene.view(depth, fold)     what of it is shown: see `autograd.show.view`

Pictures, Mermaid, plain text, the page and the stepper are all written from a View.
"""

import operator
from bisect import bisect_left
from contextlib import contextmanager

import numpy as np

from .. import scopes
from ..forward import push_forward
from ..graph import Leaf, Node, history
from ..primitive import like, plain
from ..reverse import as_derivative, gradients
from ..tensor import Tensor
from .values import dtype_of, full_shape, number, short_name, value_lines

KINDS = ("input", "parameter", "constant", "operation", "output", "group")
JACOBIAN = 36  # elements of a partial derivative that are worked out and shown


class Box:
    """One node or constant.

    id         "n3" for the third node of the graph, "n3c0" for a constant operand of it
    kind       one of KINDS
    name       as the caller, or a module, calls it; None
    operation  the operation's name; None for inputs and constants
    detail     the operation's options, as text
    value      what it holds
    place      which node of the graph it is, oldest first; of a constant its reader's
    gradient, tangent   where they were asked for; None
    """

    __slots__ = (
        "id", "kind", "name", "operation", "detail", "value", "node", "place", "gradient",
        "tangent",
    )  # fmt: skip

    def __init__(self, id, kind, value, node, place):
        self.id, self.kind, self.value, self.node, self.place = id, kind, value, node, place
        self.name = self.operation = self.gradient = self.tangent = None
        self.detail = ""

    @property
    def title(self):
        """The first line: name and operation."""
        if self.operation is None:
            return short_name(self.name) if self.name else self.kind
        made = self.operation + (f" {self.detail}" if self.detail else "")
        return f"{short_name(self.name)} = {made}" if self.name else made


class Arrow:
    """An operand: from a box to the box that reads it.

    place     which operand it is
    partial   the derivative of the target by the source there, as text
    """

    __slots__ = ("source", "target", "place", "partial")

    def __init__(self, source, target, place):
        self.source, self.target, self.place, self.partial = source, target, place, ""


class Group:
    """Boxes that belong together: a module's call, a named scope, or repeats of one pattern.

    label     what stands above them
    kind      the module's class name; "scope", "repeat", "stretch", or "leaves"
    depth     0 for the whole graph, 1 for the groups in it, ...
    items     its operations and the groups inside it, in the order they were recorded; of the
              kind "leaves" inputs, parameters or constants
    """

    def __init__(self, id, label, kind, parent=None, items=()):
        self.id, self.label, self.kind, self.parent = id, label, kind, parent
        self.depth = 0 if parent is None else parent.depth + 1
        self.items = [*items]

    def boxes(self):
        """Its boxes, at any depth, in order."""
        stack = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Group):
                stack += item.items[::-1]
            else:
                yield item


def is_leaf(item):
    """Whether this is an input, parameter or constant, or a group of these."""
    return item.kind == "leaves" if isinstance(item, Group) else item.operation is None


class Scene:
    """The graph of one or more results.

    outputs     Tensors of the graph
    names       variables by name, as `locals()` has them: Tensors, arrays, Modules, containers
    gradients   work out the derivative of the (sum of the elements of the) outputs by each node
    tangents    Tensors and the directions they move in, ``{x: 1.0}``: work out every node's
                tangent
    partials    work out the derivative at every arrow
    scopes      further `Call`s to group operations by
    """

    def __init__(
        self, outputs, names=None, gradients=True, tangents=None, partials=False, scopes=()
    ):
        self.outputs = outputs
        self.nodes = history(*(y.node for y in outputs))[::-1]  # oldest first
        self.given, modules = given_names(as_variables(names))
        self.whole = Group("g0", "", "graph")
        calls = _calls(self.nodes, self.given, scopes)
        called = [call.module for call in calls if call.module is not None]
        paths = parameter_paths([*called, *modules], self.given)
        self._make_boxes(paths)
        self._make_arrows()
        self._make_groups(calls)
        with np.errstate(all="ignore"):  # a derivative that is not finite is shown as it is
            if gradients:
                with _advice("draw(y, gradients=False)"):
                    self._work_out_gradients()
            if tangents is not None:
                with _advice("draw(y) without tangents="):
                    self._work_out_tangents(tangents)
            if partials:
                with _advice("draw(y, partials=False)"):
                    for arrow in self.arrows:
                        node = self.box[arrow.target].node
                        arrow.partial = partial_text(node, arrow.place)

    def _make_boxes(self, paths):
        outputs = {y.node for y in self.outputs}
        self.boxes = {}  # node -> its box
        for i, node in enumerate(self.nodes):
            box = Box(f"n{i}", "operation", node.value, node, i)
            box.name = self.given.get(id(node))
            if node.primitive is None:
                path = paths.get(getattr(node, "cell", None))
                box.kind = "input" if path is None else "parameter"
                box.name = box.name or self.given.get(id(getattr(node, "cell", None))) or path
            else:
                box.operation = node.primitive.name
                box.detail = options_text(node)
            if node in outputs:
                box.kind = "output"
            box.name = box.name or getattr(node, "name", None)
            self.boxes[node] = box

    def _make_arrows(self):
        self.arrows, self.constants = [], []
        for node, box in self.boxes.items():
            for place, source in enumerate(node.inputs):
                if isinstance(source, Node):
                    other = self.boxes[source]
                else:
                    other = Box(f"{box.id}c{place}", "constant", source, None, box.place)
                    other.name = self.given.get(id(source))
                    self.constants.append(other)
                self.arrows.append(Arrow(other.id, box.id, place))
        self.leaves = [*(b for b in self.boxes.values() if b.operation is None), *self.constants]
        every = [*self.constants, *self.boxes.values()]
        self.ordered = sorted(every, key=operator.attrgetter("place"))  # constants just before
        self.box = {box.id: box for box in self.ordered}
        self.operand = {(arrow.target, arrow.place): arrow.source for arrow in self.arrows}

    def _make_groups(self, calls):
        """Operations go to the innermost call they were made in.

        Calls are stretches of serials, one inside another.
        """
        self.groups = [self.whole]
        self.order = {}  # node of an operation -> which one it is
        stack = [(float("inf"), self.whole)]  # (last serial, group)
        todo = calls[::-1]

        def close(serial):
            while stack[-1][0] < serial:
                stack.pop()

        for node in self.nodes:
            if node.primitive is None:
                continue
            while todo and todo[-1].first < node.serial:
                call = todo.pop()
                close(call.first)
                if call.last > stack[-1][0]:
                    continue  # another thread's
                parent = stack[-1][1]
                group = Group(f"g{len(self.groups)}", call.label, call.kind, parent)
                self.groups.append(group)
                parent.items.append(group)
                stack.append((call.last, group))
            close(node.serial)
            self.order[node] = len(self.order)
            stack[-1][1].items.append(self.boxes[node])

    # --- derivatives, for the picture alone ---

    def _work_out_gradients(self):
        wanted = [node for node in self.nodes if not isinstance(node.value, (tuple, list))]
        outputs = [y.node for y in self.outputs if y.requires_grad]
        totals = {}
        for output in outputs:
            found = gradients(output, seed_of_ones(output.value), wanted)
            for node, g in zip(wanted, found, strict=True):
                totals[node] = totals[node] + g if node in totals else g
        for node, g in totals.items():
            self.boxes[node].gradient = g

    def _work_out_tangents(self, tangents):
        moves = directions(tangents, self.nodes)
        for node, t in zip(self.nodes, push_forward(self.nodes, moves), strict=True):
            if t is not None and not isinstance(node.value, (tuple, list)):
                self.boxes[node].tangent = t


@contextmanager
def _advice(way):
    """An error of arrays written since, by an optimizer's step, says how to draw all the same."""
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(f"{error}; or use {way}") from error


def seed_of_ones(value):
    """1 for every element of a node's value."""
    value = plain(value)
    return 1.0 if type(value) is float else np.ones_like(value)


def directions(tangents, nodes):
    """node -> tangent, of what a caller passes as ``tangents=``; raises where that does not fit."""
    if isinstance(tangents, Tensor):
        tangents = {tangents: 1.0}
    if not isinstance(tangents, (dict, list, tuple)):
        raise TypeError(
            f"tangents: pass an input, or pairs of inputs and directions such as [(x, 1.0)], "
            f"not a {type(tangents).__name__}"
        )
    pairs = tangents.items() if isinstance(tangents, dict) else tangents
    moves, there = {}, set(nodes)
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], Tensor):
            raise TypeError(
                f"tangents: pairs of an input, a Tensor, and its direction are wanted, such as "
                f"[(x, 1.0)], not {short_name(repr(pair))}"
            )
        x, t = pair
        if x.node not in there:
            called = f" {short_name(repr(x.name))}" if x.name else ""
            raise ValueError(f"tangents: the graph does not depend on the input{called} given")
        shape = np.shape(plain(x.node.value))
        if np.shape(t) not in ((), shape):
            raise ValueError(f"tangents: a direction has shape {np.shape(t)}, its input {shape}")
        if not hasattr(t, "shape"):
            t = float(t) if np.ndim(t) == 0 else np.asarray(t, float, like=like(x.node.value))
        moves[x.node] = as_derivative(seed_of_ones(x.node.value) * t, x.node.value)
    return moves


# --- names and calls ------------------------------------------------------------------------------


def as_variables(names):
    """What a caller passes as ``names=`` as a dict; TypeError for what is none."""
    if names is not None and not hasattr(names, "items"):
        raise TypeError(
            f"names: pass a dict from names to variables, such as names=locals(), "
            f"not a {type(names).__name__}"
        )
    return names or {}


def given_names(variables):
    """``(names, modules)``: id of a node, cell, array or Module -> the name the caller has for it.

    A variable of its own comes before a place in a list or dict (such as a notebook's ``Out``).
    """
    found, modules = {}, []
    todo = [(str(n), value, 0) for n, value in variables.items() if not str(n).startswith("_")]
    for name, value, depth in todo:
        if isinstance(value, Tensor):
            found.setdefault(id(value.node), name)
            if isinstance(value.node, Leaf):
                found.setdefault(id(value.node.cell), name)
        elif isinstance(value, np.ndarray):
            found.setdefault(id(value), name)
        elif hasattr(type(value), "named_parameters"):
            if id(value) not in found:
                modules.append(value)
            found.setdefault(id(value), name)
        elif (
            isinstance(value, (list, tuple, dict))
            and depth < 3
            and len(value) <= 1000 > len(todo) / 100
        ):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            todo += [(f"{name}[{key!r}]", part, depth + 1) for key, part in items]
    return found, modules


class Call:
    """A stretch of serials: of a module, which may be gone by now, or of a scope."""

    def __init__(self, first, last, owner, label):
        self.first, self.last, self.label = first, last, label
        self.module = owner and owner()
        self.kind = "scope" if owner is None else label


def _calls(nodes, given, further):
    """The calls that made these nodes, in the order in which they began."""
    serials = [node.serial for node in nodes if node.primitive is not None]
    found = [*further]
    for first, last, *whose in list(scopes.calls):  # a copy: another thread may record
        at = bisect_left(serials, first)
        if at < len(serials) and serials[at] < last:
            found.append(Call(first, last, *whose))
    found.sort(key=lambda call: (call.first, -call.last))
    root, until, paths = None, 0, {}
    for call in found:
        if call.module is None:
            continue
        if call.first > until:
            root, until = call.module, call.last
            paths = {id(module): path for path, module in root.named_modules()}
        path = paths.get(id(call.module)) or given.get(id(call.module))
        if path:
            call.label = f"{path}: {call.kind}"
    return found


def parameter_paths(modules, given):
    """Gradient cell -> path of the parameter, in the first of the modules that has it."""
    found, seen = {}, set()
    for module in modules:
        if id(module) in seen:
            continue
        seen.add(id(module))
        prefix = f"{given[id(module)]}." if id(module) in given else ""
        for path, p in module.named_parameters():
            cell = getattr(getattr(p, "node", None), "cell", None)
            if cell is not None:
                found.setdefault(cell, prefix + path)
    return found


def options_text(node):
    """An operation's options, short: ``axis=0``; of indexing the index."""
    shown = []
    for name, value in (node.options or {}).items():
        if name == "index":
            shown.append(f"[{index_text(value)}]")
        elif isinstance(value, (bool, int, float, str)) or _plain_tuple(value):
            shown.append(f"{name}={short_name(repr(value))}")
    return ", ".join(shown)


def _plain_tuple(value):
    return isinstance(value, tuple) and all(isinstance(v, (int, float, str)) for v in value)


def index_text(index):
    """An index as it is written; an array in it only as such."""
    if isinstance(index, tuple):
        return ", ".join(map(index_text, index))
    if isinstance(index, slice):
        parts = ["" if v is None else str(v) for v in (index.start, index.stop, index.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if index is Ellipsis:
        return "…"
    return str(index) if isinstance(index, (int, np.integer, type(None))) else "array"


# --- partial derivatives --------------------------------------------------------------------------


def partial(node, place):
    """∂ node / ∂ its operand number `place`: a number, an array, or None where it is too large.

    Of elementwise operations on operands of the result's shape the diagonal; else the matrix,
    result's elements by operand's.
    """
    source = node.inputs[place]
    if not isinstance(source, Node):
        return None
    y, x = plain(node.value), plain(source.value)
    if isinstance(y, (tuple, list)) or isinstance(x, (tuple, list)):
        return None
    if np.shape(y) == np.shape(x) and (not np.shape(y) or node.primitive.kind == "elementwise"):
        return arrow_pull(node, place, seed_of_ones(y))
    known = all(isinstance(v, (float, np.ndarray, np.generic)) for v in (y, x))
    if not known or np.size(y) * np.size(x) > JACOBIAN or not np.size(y):
        return None
    rows = []
    for i in range(np.size(y)):
        unit = np.zeros(np.size(y), y.dtype if hasattr(y, "dtype") else float)
        unit[i] = 1
        unit = unit.reshape(np.shape(y))
        rows.append(np.ravel(arrow_pull(node, place, unit if np.shape(y) else float(unit))))
    return np.squeeze(np.array(rows))


def arrow_pull(node, place, g):
    """What one operand gets of the cotangent `g`; of an operand that occurs twice its share."""
    twin = _apart(node)
    return gradients(twin, g, [twin.inputs[place]])[0]


def _apart(node):
    """A copy of a node, the same operand twice made two."""
    twin = object.__new__(Node)
    twin.primitive, twin.options = node.primitive, node.options
    twin.value, twin.serial = node.value, node.serial
    twin.inputs = tuple(
        Leaf(source.value) if isinstance(source, Node) else source for source in node.inputs
    )
    return twin


def partial_text(node, place):
    """The derivative at an arrow, as text; "" for that of a constant."""
    source = node.inputs[place]
    if not isinstance(source, Node):
        return ""
    found = partial(node, place)
    if found is None:
        return f"{full_shape(node.value)} by {full_shape(source.value)}"
    if not np.shape(found):
        return number(float(found))
    return " ".join(value_lines(found))


def describe(box, values=True, shapes=False, dtypes=False):
    """The lines below a box's title."""
    lines = []
    if values:
        lines += value_lines(box.value)
    marks = [full_shape(box.value)] * shapes + [dtype_of(box.value)] * dtypes
    if marks:
        lines.append(" ".join(marks))
    return lines


def derivative_lines(box):
    """Gradient and tangent of a box, each a line, where they were worked out."""
    marked = (("∂", box.gradient), ("→", box.tangent))
    return [
        f"{mark} {' '.join(value_lines(d, shape=False))}" for mark, d in marked if d is not None
    ]
