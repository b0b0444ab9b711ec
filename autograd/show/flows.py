"""How much of an input's gradient comes by way of each arrow, and of each path.

Let x̄ be the gradient of the output by an input x, and let x move along x̄/⟨x̄, x̄⟩, so that the
output grows by 1.  With v̇ the tangent of a node and c the cotangent that an arrow u → v hands to
u, the arrow's share is ⟨c, u̇⟩.  What arrives at a node is what leaves it, and over any cut between
x and the output the shares add up to 1: an input's gradient flows through the graph.  Shares may
be negative, or above 1, where paths work against each other.
"""

import heapq

import numpy as np

from ..forward import push_forward
from ..graph import Node
from ..primitive import plain
from .scene import arrow_pull, seed_of_ones

PATHS = 20  # listed for an input
FOLLOWED = 2000  # arrows that are followed in search of the largest; a first path always ends
WORK = 100_000  # pushes through a node, over all inputs, that are worked out


def flows(scene):
    """For the inputs of a scene: ``{"id", "name", "count", "shares", "paths"}``, inputs first.

    shares   number of the arrow -> share, of those on a path to the output
    paths    ``{"share", "ids", "arrows"}`` of the largest paths
    count    of all paths; as text where it is too large for a float
    """
    inputs = [box for box in scene.boxes.values() if box.operation is None]
    inputs.sort(key=lambda box: box.kind == "parameter")
    inputs = inputs[: max(1, WORK // max(1, len(scene.nodes)))]
    outgoing = {}
    for number, arrow in enumerate(scene.arrows):
        outgoing.setdefault(arrow.source, []).append(number)
    pulled = {}
    return [Flow(scene, box, outgoing, pulled).found() for box in inputs]


class Flow:
    """The shares of one input; `pulled` keeps what arrows hand back, for all inputs."""

    def __init__(self, scene, box, outgoing, pulled):
        self.scene, self.box, self.outgoing, self.pulled = scene, box, outgoing, pulled
        self.outputs = {scene.boxes[y.node].id for y in scene.outputs}

    def found(self):
        """What `flows` tells of this input."""
        count = self._counted()
        paths = count[self.box.id]
        shown = paths if paths < 2**53 else f"{paths:.3e}" if paths < 10**300 else "1e300"
        about = {"id": self.box.id, "name": self.box.name or "input", "count": shown}
        slope = self.box.gradient
        size = None if slope is None else float(np.sum(np.square(np.asarray(slope, float))))
        if not count[self.box.id] or not size or not np.isfinite(size):
            return about | {"shares": {}, "paths": []}
        move = np.asarray(slope, float) / size
        self.start = float(move) if type(self.box.value) is float else move
        nodes = self.scene.nodes
        with np.errstate(all="ignore"):
            moves = push_forward(nodes, {self.box.node: self.start})
            self.moves = {self.scene.boxes[n].id: t for n, t in zip(nodes, moves, strict=True)}
            shares = {
                number: self._share(self.scene.arrows[number], self.moves[id])
                for id, n in count.items() if n
                for number in self.outgoing.get(id, [])
                if count.get(self.scene.arrows[number].target)
            }  # fmt: skip
            return about | {
                "shares": {n: _short(s) for n, s in shares.items() if s is not None},
                "paths": self._paths(count),
            }

    def _counted(self):
        """id -> how many paths lead from it to an output, of what the input reaches."""
        scene, reached = self.scene, {self.box.id}
        for box in scene.boxes.values():
            if any(isinstance(s, Node) and scene.boxes[s].id in reached for s in box.node.inputs):
                reached.add(box.id)
        count = {}
        for box in reversed([*scene.boxes.values()]):
            if box.id in reached:
                onwards = (scene.arrows[n].target for n in self.outgoing.get(box.id, []))
                count[box.id] = (box.id in self.outputs) + sum(count[id] for id in onwards)
        return count

    def _share(self, arrow, move):
        """⟨c, u̇⟩ of an arrow, for the tangent `move` of its source; None where it has none."""
        source, target = self.scene.box[arrow.source], self.scene.box[arrow.target]
        if move is None:
            return None
        if isinstance(source.value, (tuple, list)):
            return _product(target.gradient, self.moves.get(target.id))  # a part of several results
        if isinstance(target.value, (tuple, list)) or target.gradient is None:
            return None
        key = arrow.target, arrow.place
        if key not in self.pulled:
            self.pulled[key] = arrow_pull(target.node, arrow.place, target.gradient)
        return _product(self.pulled[key], move)

    def _paths(self, count):
        """The largest paths: those whose beginnings carry most are followed first, to the end."""
        found, followed, order = [], 0, 0
        queue = [(-1.0, 0, 1.0, self.box.id, (), self.start)]
        while queue and len(found) < PATHS and followed < FOLLOWED:
            _, _, share, id, arrows, move = heapq.heappop(queue)
            while id is not None:
                followed += 1
                if id in self.outputs:
                    found.append(self._path(arrows, share))
                onwards = []
                for number in self.outgoing.get(id, []):
                    target = self.scene.arrows[number].target
                    if count.get(target):
                        carried, moved = self._carried(number, move, share)
                        order += 1
                        size = -abs(carried) if np.isfinite(carried) else 0.0
                        onwards.append((size, order, carried, target, (*arrows, number), moved))
                id = None
                if onwards:
                    best = min(onwards)
                    _, _, share, id, arrows, move = best
                    for other in onwards:
                        if other is not best:
                            heapq.heappush(queue, other)
        return sorted(found, key=lambda path: -abs(path["share"] or 0))

    def _path(self, arrows, share):
        ids = [self.box.id, *(self.scene.arrows[number].target for number in arrows)]
        return {"share": _short(share), "ids": ids, "arrows": list(arrows)}

    def _carried(self, number, move, share):
        """What flows on over an arrow of what came by one path, and the target's tangent by it."""
        arrow = self.scene.arrows[number]
        target = self.scene.box[arrow.target]
        moved = self._pushed(target.node, arrow.place, move)
        if moved is None:
            return 0.0, seed_of_ones(target.value) * 0
        carried = _product(target.gradient, moved)
        return share if carried is None else carried, moved

    def _pushed(self, node, place, move):
        """The tangent of a node where one operand alone moves."""
        args = [s.value if isinstance(s, Node) else s for s in node.inputs]
        moves = [move if i == place else None for i in range(len(args))]
        return node.primitive.push(moves, node.value, args, node.options or {})


def _product(g, t):
    """⟨g, t⟩; None where one of them is missing or in several parts."""
    if g is None or t is None or isinstance(t, (tuple, list)):
        return None
    return float(np.sum(np.multiply(plain(g), plain(t))))


def _short(share):
    return float(f"{share:.4g}") if np.isfinite(share) else None
