"""What of a scene is shown: groups collapsed to single boxes, repeats folded into one of them.

Groups are stretches of the order of recording: a graph of collapsed groups is acyclic too, and an
arrow that goes back in that order is one that folding made, from a repeat's end to its beginning.
"""

import math

import numpy as np

from ..graph import Node
from .scene import Box, Group

LIMIT = 60  # more boxes than this are unreadable: unasked, no more are shown
PERIOD = 128  # operations in the longest pattern that is looked for
REPEATS = 3  # how often a pattern must occur to be folded


class View:
    """What is shown of a scene.

    depth   how many levels of groups are open: 0 only the graph itself, math.inf all; None for
            the most that show no more than LIMIT boxes
    fold    show repeats of one pattern once; None where otherwise more than LIMIT were shown

    shown     id -> Box, or the Group that is collapsed to one, in the order of drawing
    members   open group -> what it holds of `shown`, and the open groups in it
    times     group -> of how many alike it is the first, where that is not one
    arrows    ``(source id, target id, partial)``
    note      what is not shown, in words; "" where all is
    """

    def __init__(self, scene, depth=None, fold=None):
        if depth is not None and not (isinstance(depth, (int, float)) and depth >= 0):
            raise ValueError(f"depth is a number of levels to open, or math.inf, not {depth!r}")
        self.scene = scene
        if depth is None:
            self._choose(fold)
        else:
            self._lay(depth, depth != math.inf if fold is None else fold)
        self._place_leaves()
        self._gather()

    def _choose(self, fold):
        deepest = max(group.depth for group in self.scene.groups)
        self._lay(math.inf, bool(fold))
        if len({*self.stands.values()}) + self._leaves() <= LIMIT:
            return
        for depth in range(deepest, -1, -1):
            self._lay(depth, fold is None or fold)
            if len({*self.stands.values()}) <= LIMIT:
                return
        self._lay(0, fold is None or fold, stretches=True)

    def _leaves(self):
        return len(self.scene.box) - len(self.stands)

    # --- what stands for what ---

    def _lay(self, depth, fold, stretches=False):
        """``self.stands``: id of an operation's box -> id of what is shown in its place."""
        self.depth, self.copies, self.stands = depth, {}, {}
        self.members, self.times, self.collapsed = {}, {}, {}
        stack = [self.scene.whole]
        while stack:
            group = stack.pop()
            items = self._folded(group, group.items) if fold else group.items
            if stretches and group.kind in ("graph", "repeat"):
                items = _stretches(group, items)
            self.members[group] = [*items]
            for item in items:
                if isinstance(item, Box):
                    self.stands[item.id] = item.id
                elif item.kind == "repeat" or (item.depth <= depth and item.kind != "stretch"):
                    stack.append(item)
                else:
                    self.collapsed[item.id] = item
                    self.stands |= {box.id: item.id for box in item.boxes()}
        self.stands |= {copy: self.stands[first] for copy, first in self.copies.items()}

    def _folded(self, group, items):
        """`items`, repeats of a pattern left out; ``self.copies``: id -> the first one's."""
        found, at = [], 0
        for start, period, times in _runs(self._signatures(items)):
            found += items[at:start]
            pattern = items[start : start + period]
            at = start + period * times
            for i, item in enumerate(items[start + period : at]):
                for copy, first in zip(_boxes(item), _boxes(pattern[i % period]), strict=True):
                    self.copies[copy.id] = first.id
            if period > 1 or isinstance(pattern[0], Box):
                name = f"{group.id}r{start}"
                pattern = [Group(name, f"×{times:,}", "repeat", group, pattern)]
            self.times[pattern[0]] = times
            found += pattern
        return found + items[at:]

    def _signatures(self, items):
        """A number for each item: the same for those that look alike, operands' places included."""
        numbers = {}
        return [numbers.setdefault(self._signature(item), len(numbers)) for item in items]

    def _signature(self, item):
        if isinstance(item, Group):
            return (item.kind, *map(self._signature, item.items))
        order, inputs = self.scene.order, []
        for source in item.node.inputs:
            at = order.get(source) if isinstance(source, Node) else None
            back = None if at is None else order[item.node] - at
            inputs.append("leaf" if back is None else back if back <= PERIOD else "far")
        options = tuple(item.node.options or ())
        return item.kind, item.operation, np.shape(item.value), options, tuple(inputs)

    def _place_leaves(self):
        """What stands for inputs, parameters and constants.

        Of those that only folded copies read, the first copy's; of those that one collapsed group
        alone reads, that group, but inputs are always shown.
        """
        readers = {}
        for arrow in self.scene.arrows:
            readers.setdefault(arrow.source, []).append(arrow)
        for box in self.scene.leaves:
            arrows = readers.get(box.id, [])
            firsts = {self.copies.get(arrow.target) for arrow in arrows}
            if arrows and None not in firsts:
                arrow = arrows[0]
                first = self.scene.box[self.copies[arrow.target]]
                self.stands[box.id] = self.scene.operand[first.id, arrow.place]
                continue
            places = {self.stands[arrow.target] for arrow in arrows}
            group = self.collapsed.get(next(iter(places))) if len(places) == 1 else None
            hidden = group is not None and (box.kind != "input" or group.kind == "stretch")
            self.stands[box.id] = group.id if hidden else box.id
        for box in self.scene.leaves:  # what stands for a copy's may be hidden itself
            place = self.stands[box.id]
            self.stands[box.id] = self.stands.get(place, place)

    # --- what is drawn ---

    def _gather(self):
        scene, self.shown = self.scene, {}
        for box in scene.ordered:
            place = self.stands[box.id]
            if place == box.id or (box.operation is not None and place in self.collapsed):
                self.shown.setdefault(place, self.collapsed.get(place) or box)
        rank = {
            id: -1 if self._is_leaf(item) else i for i, (id, item) in enumerate(self.shown.items())
        }
        self.arrows, seen = [], set()
        for arrow in scene.arrows:
            a, b = self.stands[arrow.source], self.stands[arrow.target]
            groups = a in self.collapsed or b in self.collapsed
            key = (a, b, None if groups else arrow.place)
            if rank[a] < rank[b] and key not in seen:
                seen.add(key)
                self.arrows.append((a, b, "" if groups else arrow.partial))
        self._settle_leaves()
        hidden = len(scene.box) - len(self.shown)
        self.note = f"{len(scene.box):,} boxes, {len(self.shown):,} of them shown" if hidden else ""

    def _is_leaf(self, item):
        return isinstance(item, Box) and item.operation is None

    def _settle_leaves(self):
        """Leaves stand in the innermost group that holds all their readers; inputs outside."""
        home = {}
        for group, items in self.members.items():
            for item in items:
                home[item.id] = group
        targets = {}
        for a, b, _ in self.arrows:
            targets.setdefault(a, []).append(home.get(b))
        for id, item in self.shown.items():
            if self._is_leaf(item):
                groups = targets.get(id) if item.kind != "input" else None
                self.members[_common(groups) if groups else self.scene.whole].append(item)


def _boxes(item):
    return [item] if isinstance(item, Box) else [*item.boxes()]


def _runs(signatures):
    """``(start, period, times)`` of the repeats, in order; those that cover most come first."""
    found, todo = [], [(0, np.array(signatures, int))]
    while todo:
        offset, s = todo.pop()
        best, covered = None, 0
        for period in range(1, min(PERIOD, len(s) // REPEATS) + 1):
            same = np.concatenate([[False], s[period:] == s[:-period], [False]])
            edges = np.flatnonzero(same[1:] != same[:-1])
            if edges.size:
                lengths = edges[1::2] - edges[::2]
                longest = int(np.argmax(lengths))
                times = (int(lengths[longest]) + period) // period
                if times >= REPEATS and times * period > covered:
                    covered = times * period
                    best = int(edges[2 * longest]), period, times
        if best:
            start, period, times = best
            found.append((offset + start, period, times))
            todo += [(offset, s[:start]), (offset + start + covered, s[start + covered :])]
    return sorted(found)


def _stretches(group, items):
    """`items` as groups of consecutive ones, about as many as half of LIMIT."""
    if len(items) <= LIMIT:
        return items
    size = math.ceil(len(items) / (LIMIT // 2))
    found = []
    for start in range(0, len(items), size):
        part = items[start : start + size]
        label = f"operations {start + 1:,}–{start + len(part):,}"
        found.append(Group(f"{group.id}s{start}", label, "stretch", group, part))
    return found


def _common(groups):
    """The innermost group that holds all of these."""
    first, *rest = groups
    for group in rest:
        while first is not group:
            if first.depth >= group.depth:
                first = first.parent
            else:
                group = group.parent
    return first
