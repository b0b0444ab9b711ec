"""Where an input's gradient comes from: its parts by path through the graph, and by source line.

A pull is linear in the cotangent.  So the cotangent that comes along one edge alone can be pulled
on by itself, and what arrives at the input in this way is that path's part of the gradient; all
paths' parts add up to the whole.  There may be exponentially many, such as 2ⁿ through n residual
blocks: then only the largest are followed to their end, and those that share the way from the
output to some node, and are not followed, are one part.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import reverse
from .audit import pull_back
from .graph import Node, history
from .primitive import Indexed, plain
from .rules.indexing import gather_cotangents

PARTS = 20  # that a gradient is split into, by path
STEPS = 8  # of a path that are printed


def edges(node, g, on_path=None):
    """``(input, cotangent)`` for each edge from a node of the cotangent `g` to its inputs.

    on_path   the inputs that count; None for all
    """
    for source, c in reverse.pulled(node, g, on_path):
        if type(c) is Indexed:
            yield source, gather_cotangents([c], source.value)
        elif c is not None:
            yield source, reverse.fit(c, source.value)


def norm(c):
    """The Euclidean norm of a cotangent, of several arrays taken together; safe from overflow."""
    if isinstance(c, (tuple, list)):
        return float(np.hypot.reduce([norm(part) for part in c])) if len(c) else 0.0
    c = np.asarray(plain(c), float)
    largest = float(np.max(np.abs(c), initial=0.0))
    if not largest or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.sum(np.square(c / largest))))


@dataclass(frozen=True)
class Part:
    """What comes to an input by one path, or by several that are taken together.

    gradient   in the input's shape
    paths      how many paths
    steps      the nodes' operations and lines, ``(name, (file, line) or None)``, from the input to
               the output; of several paths only those that they share, which lead to the output
    """

    gradient: object
    paths: int
    steps: list


class Attribution:
    """An input's gradient in parts.

    whole   the gradient
    parts   a `Part` for each path, or group of paths; they add up to the whole
    lines   (file, line), or None where that is not known -> part of the gradient that comes by way
            of the operations made there which read the input; these add up to the whole too
    """

    def __init__(self, name, whole, parts, lines):
        self.name, self.whole, self.lines = name, whole, lines
        self.parts = sorted(parts, key=lambda part: -norm(part.gradient))

    @property
    def paths(self):
        """How many paths there are."""
        return sum(part.paths for part in self.parts)

    def __repr__(self):
        from .show.tables import aligned

        tables = ["\n".join(aligned(*table)) for table in self._tables()]
        return "\n".join([self._head(), "\n\n".join(tables)])

    def _repr_html_(self):
        from .show.tables import html_table

        titles = [self._head(), "by line"]
        return "".join(
            html_table(title, *table) for title, table in zip(titles, self._tables(), strict=False)
        )

    def _head(self):
        from .show.numbers import plural

        size, ways = norm(self.whole), plural(self.paths, "path")
        return f"The gradient by {self.name}, {size:.4g} in norm, by {ways}"

    def _tables(self):
        size = self._product(self.whole)

        def numbers(c):
            share = f"{100 * self._product(c) / size:.4g} %" if size else "–"
            return [f"{norm(c):.4g}", share]

        heads = ["norm", "share"]
        paths = [[self._route(part), *numbers(part.gradient)] for part in self.parts]
        lines = sorted(self.lines.items(), key=lambda item: -norm(item[1]))
        lines = [[place(where), *numbers(c)] for where, c in lines]
        known = [(["read at", *heads], lines)] if any(self.lines) else []
        return [(["path", *heads], paths), *known]

    def _product(self, c):
        scale = norm(self.whole) or 1.0
        return float(np.sum(np.asarray(c, float) / scale * (np.asarray(self.whole, float) / scale)))

    def _route(self, part):
        steps = [name for name, _ in part.steps]
        if len(steps) > STEPS:
            steps = [*steps[: STEPS // 2], "…", *steps[-STEPS // 2 + 1 :]]
        first = self.name if part.paths == 1 else f"{self.name} … ({part.paths:,} paths)"
        return " → ".join([first, *steps])


def place(where):
    """``(file, line)`` in short; a dash where it is not known."""
    if where is None:
        return "–"
    file, line = where
    return f"cell line {line}" if "ipykernel_" in file else f"{Path(file).name}:{line}"


def attributed(nodes, seeds, x, name, line_of):
    """The `Attribution` of the gradient by the node `x`.

    nodes     the outputs' history, newest first; `x` is one of them
    seeds     output -> cotangent to start from
    line_of   what tells ``(file, line)`` of a node
    """
    on_path, count = {x}, {x: 1}
    for node in reversed(nodes):  # oldest first
        ways = sum(count.get(node.inputs[i], 0) for i in differentiated(node))
        if ways and node is not x:
            on_path.add(node)
            count[node] = ways
    found = pull_back(nodes, seeds, on_path, frozenset(on_path))
    lines = {}

    def arrived(where, c):
        c = reverse.as_gradient(x, c)
        lines[where] = lines[where] + c if where in lines else c

    for node in nodes:
        if node is x and x in seeds:
            arrived(None, seeds[x])
        elif node in found and node is not x and any(s is x for s in node.inputs):
            for _, c in edges(node, found[node], {x}):
                arrived(line_of(node), c)
    parts = _split(seeds, x, on_path, count, line_of)
    return Attribution(name, reverse.as_gradient(x, found.get(x)), parts, lines)


def differentiated(node):
    """The places of the inputs of a node by which it has a derivative."""
    if node.primitive is None:
        return []
    pulls, variadic = node.primitive.pulls, node.primitive.arity is None
    return [
        i
        for i, source in enumerate(node.inputs)
        if isinstance(source, Node) and (variadic or pulls[i] is not None)
    ]


def _split(seeds, x, on_path, count, line_of):
    """The parts by path: the largest that is not followed to its end is split, until there are
    as many as are wanted.
    """
    open_, done = [], []  # (size, node, its cotangent by this way, its edges, the way to it)

    def arrived(node, g):
        found = pull_back(history(node), {node: g}, on_path, frozenset([x]))
        return reverse.as_gradient(x, found.get(x))

    def follow(node, g, way):
        way = [*way]
        while node is not x:
            way.append(node)
            onwards = [*edges(node, g, on_path)]
            if len(onwards) != 1:
                size = norm(arrived(node, g)) if count[node] > PARTS else 0.0
                open_.append((size, node, g, onwards, way))
                return
            ((node, g),) = onwards
        done.append(Part(reverse.as_gradient(x, g), 1, _steps(way, line_of)))

    for output, seed in seeds.items():
        if output in on_path:
            follow(output, seed, [])
    while open_:
        largest = max(range(len(open_)), key=lambda i: open_[i][0])
        _, _, _, onwards, way = open_[largest]
        if len(open_) + len(done) - 1 + len(onwards) > PARTS:
            break
        del open_[largest]
        for source, c in onwards:
            follow(source, c, way)
    for _, node, g, _, way in open_:
        done.append(Part(arrived(node, g), count[node], _steps(way, line_of)))
    return done


def _steps(way, line_of):
    return [(node.primitive.name, line_of(node)) for node in reversed(way)]
