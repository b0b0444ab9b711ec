"""The two sweeps step by step, on the user's own function.

The forward sweep visits the operations in order, with a value and a tangent for each; the sweep
back visits them the other way, with a cotangent.  Beside the graph stand the two programs, line by
line as a textbook writes them, and what each has done so far and how many bytes it holds.
"""

import math

import numpy as np

from ..counted import count_operations
from ..forward import push_forward
from ..graph import BASE, Node
from ..primitive import Indexed, kind_of, plain
from ..reverse import fit, pulled
from ..sweeps import elements
from ..tensor import handle
from .derivations import cotangent_formulas, tangent_formula
from .formulas import Names, formula
from .page import page_of
from .record import recorded
from .scene import Scene, arrow_pull, directions, seed_of_ones
from .values import bytes_of, value_lines
from .view import View

MOST = 400  # operations: more are too many to step through
UNITS = 6  # up to so many input numbers, all directions are pushed


def step(y, *args, tangents=None, names=None, direction="LR", title=None, save=None):
    """A page on which both sweeps run step by step: buttons, keys and a slider move it.

    y           a function, which is run at `args`; or a Tensor
    tangents    an input, or pairs of inputs and directions: what moves in forward mode.  By
                default every input in a direction of its own, where there are up to six and all
                values are numbers; else all inputs at once, each element by 1
    names       the caller's variables, ``names=locals()``: see `draw`
    save        also write the page to this file

    Operations and bytes are counted for both modes: of forward mode for all its directions
    together, each value held until its last use; of reverse mode with every value held until the
    sweep back has ended.  Raises ValueError for several results, or more than 400 operations.

    >>> def f(x):
    ...     return x * x
    >>> page = step(f, 3.0)
    >>> print(page.programs)
    forward mode               reverse mode
    dx = 1
    y = x * x = 9              y = x * x = 9
    dy = dx * x + dx * x = 6
                               dy/dy = 1
                               dy/dx = dy/dy * x = 3
                               dy/dx += dy/dy * x = 3
    """
    outputs, names = recorded("step", y, args, names)
    if len(outputs) != 1:
        raise ValueError(f"step: shows one result, not {len(outputs)}; pass one of them")
    scene = Scene(outputs, names, partials=True)
    if len(scene.order) > MOST:
        raise ValueError(
            f"step: {len(scene.order):,} operations are too many to step through, {MOST} are "
            f"shown; take a smaller example, or explore(y)"
        )
    with np.errstate(all="ignore"):  # a derivative that is not finite is shown as it is
        sweeps = Sweeps(scene, tangents)
    timeline = {"programs": sweeps.programs, "steps": sweeps.steps}
    page = page_of(scene, [sweeps.view], 0, direction, title, save, timeline)
    page.programs = sweeps.text()
    return page


class Sweeps:
    """The states of both sweeps.

    view       the whole graph
    programs   the lines of "forward" and of "reverse" mode
    rows       for each row of both side by side the number of the line in it, or None
    steps      for each state what `page.js` shows of it
    """

    def __init__(self, scene, tangents):
        self.scene, self.view = scene, View(scene, math.inf, False)
        self.called = Names(self.view)
        self.boxes = [*scene.boxes.values()]
        self.leaves = [box for box in self.boxes if box.operation is None]
        self.operations = [box for box in self.boxes if box.operation is not None]
        self.output = scene.boxes[scene.outputs[0].node]
        self.arrows = {box.id: [] for box in self.boxes}
        for number, arrow in enumerate(scene.arrows):
            self.arrows[arrow.target].append(number)
        self.programs, self.rows, self.steps = {"forward": [], "reverse": []}, [], []
        self.done = {"forward": 0, "reverse": 0}  # operations
        self.count = self._move(tangents)
        self._sweep_forward()
        self._sweep_back()

    def text(self):
        """The two programs side by side."""
        rows = [("forward mode", "reverse mode")]
        for forward, reverse in self.rows:
            rows.append((
                "" if forward is None else self.programs["forward"][forward],
                "" if reverse is None else self.programs["reverse"][reverse],
            ))  # fmt: skip
        width = max(len(left) for left, _ in rows)
        return "\n".join(f"{left:<{width}}   {right}".rstrip() for left, right in rows)

    # --- tangents ---

    def _move(self, tangents):
        """Work out every box's tangent; returns how many directions it has."""
        boxes = [box for box in self.boxes if not isinstance(box.value, (tuple, list))]
        nodes = [box.node for box in boxes]
        numbers = all(np.shape(plain(box.value)) == () for box in boxes)
        if tangents is None and numbers and 1 < len(self.leaves) <= UNITS:
            units = [{leaf.node: seed_of_ones(leaf.value)} for leaf in self.leaves]
            pushed = zip(*(push_forward(nodes, unit) for unit in units), strict=True)
            for box, moves in zip(boxes, pushed, strict=True):
                box.tangent = np.array([0.0 if t is None else plain(t) for t in moves], float)
            return len(units)
        if tangents is None:
            tangents = [(handle(leaf.node, BASE), 1.0) for leaf in self.leaves]
        pushed = push_forward(nodes, directions(tangents, self.scene.nodes))
        for box, t in zip(boxes, pushed, strict=True):
            box.tangent = t
        return 1

    # --- the sweeps ---

    def _sweep_forward(self):
        moving = [box for box in self.leaves if box.tangent is not None]
        lines = []
        for i, box in enumerate(moving, 1):
            direction = f"e{i}" if self.count > 1 else _text(box.tangent)
            lines.append(self._row(forward=f"{self._moved(box.id)} = {direction}")[0])
        given = [box.id for box in self.leaves]
        self._step(
            "forward", (self.leaves or self.operations)[0], lines,
            say=f"The inputs are {', '.join(self.called[id] for id in given)}.",
            value=[*given, *(box.id for box in self.scene.constants)],
            tangent=[box.id for box in moving],
        )  # fmt: skip
        for i, box in enumerate(self.operations, 1):
            operands = [self.called[self.scene.arrows[n].source] for n in self.arrows[box.id]]
            made = formula(box.operation, operands, box.detail)
            text = f"{self.called[box.id]} = {made} = {_text(box.value)}"
            forward, reverse = self._row(text, text)
            lines, tangent = [forward], []
            if box.tangent is not None:
                moved = f"{self._moved(box.id)} = {_text(box.tangent)}"
                if _has_rules(box):
                    rule = tangent_formula(box.node, self._namer(box))
                    moved = f"{self._moved(box.id)} = {rule} = {_text(box.tangent)}"
                lines.append(self._row(forward=moved)[0])
                tangent = [box.id]
                text = f"{text}; its tangent is {moved}"
            cost = _value_cost(box.node)
            self.done["forward"] += cost + self.count * _push_cost(box.node)
            self.done["reverse"] += cost
            self._step(
                "forward", box, lines, [reverse], f"{text}.", self.arrows[box.id], i,
                value=[box.id], tangent=tangent,
            )  # fmt: skip

    def _sweep_back(self):
        slope = f"{self._slope(self.output.id)} = 1"
        waiting = {}  # id -> how many operations have yet to hand something back to it
        for box in self.operations:
            for id in self._sources(box):
                waiting[id] = waiting.get(id, 0) + 1
        live = {self.output.id}
        self._step(
            "reverse", self.output, [], [self._row(reverse=slope)[1]],
            f"The sweep back begins with {slope}.", live=live, gradient=[self.output.id],
        )  # fmt: skip
        for box in reversed(self.operations):
            g = self._cotangent(box)
            lines = self._hand_back(box, g, live)
            self.done["reverse"] += _pull_cost(box.node, g)
            live.discard(box.id)
            complete = []
            for id in self._sources(box):
                waiting[id] -= 1
                live.add(id)
                complete += [] if waiting[id] else [id]
            said = "; ".join(self.programs["reverse"][line] for line in lines)
            self._step(
                "reverse", box, [], lines, f"Back through {self.called[box.id]}: {said}.",
                self.arrows[box.id], live=live, gradient=complete,
            )  # fmt: skip

    def _cotangent(self, box):
        """A box's gradient; of several results a tuple of theirs, zeros where one is not read."""
        if not isinstance(box.value, (tuple, list)):
            return box.gradient
        parts = {b.node.options["index"]: b.gradient
                 for b in self.operations if box.node in b.node.inputs}  # fmt: skip
        return tuple(parts.get(i, np.zeros_like(part)) for i, part in enumerate(box.value))

    def _hand_back(self, box, g, live):
        """Write what an operation with the cotangent `g` gives to those of its operands."""
        rules = {}
        if isinstance(g, tuple):  # too long to be written out
            rules = dict.fromkeys(range(len(box.node.inputs)), "…")
        elif _has_rules(box):
            rules = cotangent_formulas(box.node, self._namer(box))
        lines, begun = [], set(live)
        for number in self.arrows[box.id]:
            arrow = self.scene.arrows[number]
            source = self.scene.box[arrow.source]
            if arrow.place in rules and isinstance(box.node.inputs[arrow.place], Node):
                again = source.id in begun
                begun.add(source.id)
                self.done["reverse"] += again * elements(source.value)
                amount = _text(arrow_pull(box.node, arrow.place, g))
                sign = "+=" if again else "="
                line = f"{self._slope(source.id)} {sign} {rules[arrow.place]} = {amount}"
                lines.append(self._row(reverse=line)[1])
        return lines

    # --- what they are made of ---

    def _row(self, forward=None, reverse=None):
        """A new row, and the numbers of the lines in it."""
        numbers = []
        for mode, text in (("forward", forward), ("reverse", reverse)):
            numbers.append(None if text is None else len(self.programs[mode]))
            self.programs[mode] += [] if text is None else [text]
        self.rows.append(tuple(numbers))
        return numbers

    def _step(self, phase, box, forward, reverse=(), say="", arrows=(), made=0, live=None, **done):
        forward_bytes, reverse_bytes = self._held(made)
        if live is not None:
            forward_bytes = self.steps[-1]["counters"]["forward"]["bytes"]  # it has ended
            every = (*self.boxes, *map(self.scene.box.__getitem__, live))
            reverse_bytes = sum(bytes_of(b.value) for b in every)
        held = {"forward": forward_bytes, "reverse": reverse_bytes}
        self.steps.append({
            "phase": phase,
            "id": box.id,
            "arrows": list(arrows),
            "lines": {"forward": list(forward), "reverse": list(reverse)},
            "say": say,
            "done": {"value": [], "tangent": [], "gradient": []} | done,
            "counters": {
                mode: {"operations": self.done[mode], "bytes": held[mode]} for mode in held
            },
        })  # fmt: skip

    def _held(self, made):
        """Bytes after so many operations: the values still needed, with tangents; all values."""
        needed = {self.output.id, *(box.id for box in self.leaves)}
        for box in self.operations[made:]:
            needed |= {*self._sources(box)}
        values = [*self.leaves, *self.operations[:made]]
        forward = sum(
            bytes_of(box.value) * (1 if box.tangent is None else 1 + self.count)
            for box in values
            if box.id in needed
        )
        return forward, sum(bytes_of(box.value) for box in values)

    def _sources(self, box):
        """Ids of what a box reads, each once; constants apart."""
        nodes = dict.fromkeys(source for source in box.node.inputs if isinstance(source, Node))
        return [self.scene.boxes[node].id for node in nodes]

    def _moved(self, id):
        """What a tangent is called: dv for one direction, dv/dw for those of all inputs w."""
        return f"{self._d(id)}/d{self._all}" if self.count > 1 else self._d(id)

    def _d(self, id):
        name = self.called[id]
        return f"d{name}" if name.isidentifier() else f"d({name})"

    @property
    def _all(self):
        """One name for all inputs: w of w1, w2, w3."""
        stems = {(box.name or "x").rstrip("0123456789") for box in self.leaves}
        return stems.pop() if len(stems) == 1 else "x"

    def _slope(self, id):
        return f"{self._d(self.output.id)}/{self._d(id)}"

    def _namer(self, box):
        """What the formulas of a box call its result and operands, and their derivatives."""
        kinds = {"value": self.called.__getitem__, "tangent": self._moved, "cotangent": self._slope}
        sources = {self.scene.arrows[n].place: self.scene.arrows[n].source
                   for n in self.arrows[box.id]}  # fmt: skip
        return lambda place, what: kinds[what](box.id if place is None else sources[place])


def _text(value):
    """A small value as numbers, a large one by its shape."""
    return value_lines(value)[0]


def _has_rules(box):
    """Whether the formulas of a box's rules can be written: of tuples and masks they cannot."""
    operands = (source.value for source in box.node.inputs if isinstance(source, Node))
    tuples = (isinstance(value, (tuple, list)) for value in (box.value, *operands))
    return not any(tuples) and kind_of(box.value) == "f"


# --- what one operation costs ---------------------------------------------------------------------


def _value_cost(node):
    return _cost(node, lambda y, args: node.primitive.apply(args, node.options or {}))


def _push_cost(node):
    def push(y, args):
        moves = [
            x if isinstance(source, Node) else None
            for x, source in zip(args, node.inputs, strict=True)
        ]
        node.primitive.push(moves, y, args, node.options or {})

    return _cost(node, push)


def _pull_cost(node, g):
    def pull(y, args, g):
        values = {s: x for s, x in zip(node.inputs, args, strict=True) if isinstance(s, Node)}
        for source, c in pulled(node, g, lift=lambda n: values.get(n, y)):
            if c is not None and not isinstance(c, Indexed):
                fit(c, source.value)

    return 0 if g is None else _cost(node, pull, g)


def _cost(node, run, *more):
    """Operations of a piece of work on a node's value and operands, counted."""
    values = [plain(s.value) for s in node.inputs if isinstance(s, Node)]

    def counted(y, *rest):
        rest = iter(rest)
        args = [next(rest) if isinstance(s, Node) else s for s in node.inputs]
        run(y, args, *rest)

    return count_operations(counted, plain(node.value), *values, *map(plain, more)).total
