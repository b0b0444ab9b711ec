"""How much of an input's gradient comes by way of each arrow, and of each path.

Let x̄ be the gradient of the output by an input x, and let x move along x̄/⟨x̄, x̄⟩, so that the
output grows by 1.  With v̄ the gradient of a node v and v̇ its tangent where u alone moves, the share
of the arrow u → v is ⟨v̄, v̇⟩.  What arrives at a node is what leaves it, and over any cut between
x and the output the shares add up to 1: an input's gradient flows through the graph.  Shares may
be negative, or above 1, where paths work against each other.  Of gradients that are computed later,
as Dask's are, there are none: looking at them would compute them.
"""

import heapq

import numpy as np

from ..forward import push_forward
from ..graph import Node
from ..lazy import is_lazy
from ..primitive import plain
from .scene import seed_of_ones

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
    return [Flow(scene, box, outgoing).found() for box in inputs]


class Flow:
    """The shares of one input."""

    def __init__(self, scene, box, outgoing):
        self.scene, self.box, self.outgoing = scene, box, outgoing
        self.outputs = {scene.boxes[y.node].id for y in scene.outputs}

    def found(self):
        """What `flows` tells of this input."""
        count = self._counted()
        paths = count[self.box.id]
        shown = paths if paths < 2**53 else f"{paths:.3e}" if paths < 10**300 else "1e300"
        about = {"id": self.box.id, "name": self.box.name or "input", "count": shown}
        slope = self.box.gradient
        slope = np.asarray(0.0 if slope is None or is_lazy(slope) else slope, float)
        self.growth = float(np.max(np.abs(slope), initial=0.0))  # apart: its square may overflow
        if not count[self.box.id] or not self.growth or not np.isfinite(self.growth):
            return about | {"shares": {}, "paths": []}
        slope = slope / self.growth
        move = slope / np.sum(np.square(slope))
        self.start = float(move) if type(self.box.value) is float else move
        nodes = self.scene.nodes
        with np.errstate(all="ignore"):
            moves = push_forward(nodes, {self.box.node: self.start})
            shares = {
                number: self._over(number, move)[0]
                for node, move in zip(nodes, moves, strict=True)
                for number in self.outgoing.get(self.scene.boxes[node].id, [])
                if count.get(self.scene.arrows[number].target)
            }
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

    def _over(self, number, move):
        """``(share, tangent)`` over an arrow whose source moves so: what of the output's growth
        comes this way, and how the target moves; None for either where it does not.
        """
        if move is None:
            return None, None
        arrow = self.scene.arrows[number]
        target = self.scene.box[arrow.target]
        args = [s.value if isinstance(s, Node) else s for s in target.node.inputs]
        moves = [move if i == arrow.place else None for i in range(len(args))]
        moved = target.node.primitive.push(moves, target.value, args, target.node.options or {})
        return self._flow(target, moved), moved

    def _flow(self, box, moved):
        """⟨ȳ, ẏ⟩ of a box that moves so; of one with several results their sum."""
        if moved is None or not isinstance(box.value, (tuple, list)):
            return self._product(box.gradient, moved)
        parts = (self.scene.box[self.scene.arrows[n].target] for n in self.outgoing[box.id])
        flows = (self._product(b.gradient, moved[b.node.options["index"]]) for b in parts)
        return sum(flow for flow in flows if flow is not None)

    def _product(self, g, t):
        if g is None or t is None:
            return None
        return float(np.sum(np.multiply(plain(g), plain(t)))) / self.growth

    def _paths(self, count):
        """The largest paths: those whose beginnings carry most are followed first, to the end."""
        found, followed, order = [], 0, 0
        queue = [(-1.0, 0, self.box.id, (), self.start)]
        while queue and len(found) < PATHS and followed < FOLLOWED:
            _, _, id, arrows, move = heapq.heappop(queue)
            while id is not None:
                followed += 1
                if id in self.outputs:  # where more follows, not all of what arrives ends here
                    ends = self._product(seed_of_ones(self.scene.box[id].value), move)
                    ids = [self.box.id, *(self.scene.arrows[number].target for number in arrows)]
                    share = _short(0.0 if ends is None else ends)
                    found.append({"share": share, "ids": ids, "arrows": list(arrows)})
                onwards = []
                for number in self.outgoing.get(id, []):
                    target = self.scene.arrows[number].target
                    if count.get(target):
                        share, moved = self._over(number, move)
                        order += 1
                        size = -abs(share) if share is not None and np.isfinite(share) else 0.0
                        onwards.append((size, order, target, (*arrows, number), moved))
                id = None
                if onwards:
                    best = min(onwards)
                    _, _, id, arrows, move = best
                    for other in onwards:
                        if other is not best:
                            heapq.heappush(queue, other)
        return sorted(found, key=lambda path: -abs(path["share"] or 0))


def _short(share):
    return float(f"{share:.4g}") if np.isfinite(share) else None
