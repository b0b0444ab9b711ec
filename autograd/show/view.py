"""What of a scene is shown: groups collapsed to single boxes, repeats folded into one of them.

Groups are stretches of the order of recording: a graph of collapsed groups is acyclic too.  Of
repeats the first one's arrows are shown, and not those from one to the next.
"""

import math
from copy import copy
from numbers import Real

import numpy as np

from ..graph import Node
from .scene import Box, Group, is_leaf
from .values import full_shape

LIMIT = 60  # more boxes than this are unreadable: unasked, no more are shown
PERIOD = 128  # operations in the longest pattern that is looked for
REPEATS = 3  # how often a pattern must occur to be folded
NESTED = 100  # levels that are opened at most: Graphviz takes minutes for more
SHARED = 8  # a result that more operations read is none of a pattern: all repeats read the one


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
        self.scene, self.readers = scene, {}
        for arrow in scene.arrows:
            self.readers.setdefault(arrow.source, []).append(arrow)
        self.looks, self.signatures = _signatures(scene, self.readers)
        self._show(depth, fold)

    def at(self, depth, fold=None):
        """Another view of the same scene; which operations look alike is not worked out anew."""
        other = copy(self)
        other._show(depth, fold)
        return other

    def _show(self, depth, fold):
        if depth is not None and not (isinstance(depth, Real) and depth >= 0):
            raise ValueError(f"depth is a number of levels to open, or math.inf, not {depth!r}")
        if depth is None:
            self._choose(fold)
        else:
            self._lay(depth, depth != math.inf if fold is None else fold)
        self._gather()

    def _choose(self, fold):
        """Lay out what shows most and is readable."""
        deepest = max(group.depth for group in self.scene.groups)
        folded = fold is None or fold
        ways = [
            (math.inf, bool(fold)),
            *((depth, folded) for depth in range(min(deepest, LIMIT), -1, -1)),
            (0, folded, False, _kind_and_readers),
            (0, False, True, _kind_and_readers),
            (0, False, True, _kind),
        ]
        for way in ways:
            self._lay(*way)
            if len({*self.stands.values()}) <= LIMIT and len(self.members) <= LIMIT:
                return

    # --- what stands for what ---

    def _lay(self, depth, fold, stretches=False, bundle=None):
        """``self.stands``: id of a box -> id of what is shown in its place.

        stretches   take many operations in a row together
        bundle      take leaves for which this says the same together
        """
        self.depth, self.copies, self.turns, self.stands = depth, {}, {}, {}
        self.members, self.times, self.collapsed = {}, {}, {}
        stack = [self.scene.whole]
        while stack:
            group = stack.pop()
            items = self._folded(group, group.items) if fold else group.items
            if stretches and group is self.scene.whole:
                items = _stretches(self.scene, items)
            self.members[group] = [*items]
            for item in items:
                if isinstance(item, Box):
                    self.stands[item.id] = item.id
                elif item.kind == "repeat" or (
                    item.depth <= min(depth, NESTED) and item.kind != "stretch"
                ):
                    stack.append(item)
                else:
                    self.collapsed[item.id] = item
                    self.stands |= {box.id: item.id for box in item.boxes()}
        for later, first in reversed(self.copies.items()):  # inside a first one may be copies
            self.copies[later] = first = self.copies.get(first, first)
            self.stands[later] = self.stands[first]
        self._place_leaves()
        if bundle is not None:
            self._bundle(bundle)

    def _folded(self, group, items):
        """`items`, repeats of a pattern left out.

        ``self.copies``: id -> the first one's; ``self.turns``: id -> the numbers of the operations
        with which the repeats begin, and this one of them, and the first one's id.
        """
        found, at = [], 0
        for start, period, end in runs([self.signatures[item] for item in items]):
            start = self._beginning(items, start, period, at)
            if start < at:
                continue  # the repeat before took some of it
            times = (end - start) // period
            found += items[at:start]
            pattern = items[start : start + period]
            at = start + period * times
            begin = turn = self._number(pattern[0])
            for i, item in enumerate(items[start + period : at]):
                turn = turn if i % period else self._number(item)
                for later, first in zip(_boxes(item), _boxes(pattern[i % period]), strict=True):
                    self.copies[later.id] = first.id
                    self.turns[later.id] = begin, turn, first.id
            if period > 1 or isinstance(pattern[0], Box):
                name = f"{group.id}r{start}"
                pattern = [Group(name, f"×{times:,}", "repeat", group, pattern)]
            self.times[pattern[0]] = times
            found += pattern
        return found + items[at:]

    def _number(self, item):
        """Which operation of the graph the first one in `item` is."""
        return self.scene.order[_boxes(item)[0].node]

    def _beginning(self, items, start, period, at):
        """Where repeats found from `start` on begin: the first may read other things from outside,
        an input where later ones read what the one before them made.
        """
        for earlier in range(max(start - period, at), start):
            if self._begins(items[earlier : earlier + 2 * period]):
                return earlier
        return start

    def _begins(self, items):
        """Whether the first half of `items` looks like the second, which reads it."""
        half = len(items) // 2
        before, pattern = (Group("", "", "", None, part) for part in (items[:half], items[half:]))
        one, other = ([*_inside(self.scene, g, self.looks)] for g in (before, pattern))
        made = {box.node for box in before.boxes()}
        return one == other and any(not made.isdisjoint(b.node.inputs) for b in pattern.boxes())

    def _place_leaves(self):
        """What stands for inputs, parameters and constants.

        Of those that only folded copies read, the first copy's; of those that one collapsed group
        alone reads, that group, but inputs are always shown, and outputs.
        """
        for box in self.scene.leaves:
            arrows = self.readers.get(box.id, [])
            firsts = {self.copies.get(arrow.target) for arrow in arrows}
            if arrows and None not in firsts and box.kind != "output":
                arrow = arrows[0]
                first = self.copies[arrow.target]
                self.stands[box.id] = self.scene.operand[first, arrow.place]
                continue
            places = {self.stands[arrow.target] for arrow in arrows}
            group = self.collapsed.get(next(iter(places))) if len(places) == 1 else None
            hidden = group is not None and (
                group.kind == "stretch" or box.kind in ("parameter", "constant")
            )
            self.stands[box.id] = group.id if hidden and box.kind != "output" else box.id
        for box in self.scene.leaves:  # what stands for a copy's may be hidden itself
            place = self.stands[box.id]
            self.stands[box.id] = self.stands.get(place, place)

    def _bundle(self, alike):
        """Let one box stand for all leaves for which `alike` says the same."""
        bundles = {}
        for box in self.scene.leaves:
            if self.stands[box.id] == box.id and box.kind != "output":
                readers = frozenset(self.stands[a.target] for a in self.readers.get(box.id, []))
                bundles.setdefault(alike(box, readers), []).append(box)
        whole, moved = self.scene.whole, {}
        for boxes in bundles.values():
            if len(boxes) > 1:
                label = f"{len(boxes):,} {boxes[0].kind}s"
                group = Group(f"{boxes[0].id}b", label, "leaves", whole, boxes)
                self.collapsed[group.id] = group
                moved |= {box.id: group.id for box in boxes}
        self.stands = {id: moved.get(place, place) for id, place in self.stands.items()}

    # --- what is drawn ---

    def _gather(self):
        scene, self.shown = self.scene, {}
        for box in scene.ordered:
            place = self.stands[box.id]
            item = self.collapsed.get(place, box)
            if place == box.id or (place in self.collapsed and is_leaf(box) == is_leaf(item)):
                self.shown.setdefault(place, item)
        self.arrows, seen = [], set()
        for arrow in scene.arrows:
            source = arrow.source
            if self._between_repeats(source, arrow.target):
                continue
            a, b = self.stands[source], self.stands[arrow.target]
            groups = a in self.collapsed or b in self.collapsed
            key = (a, b, None if groups else arrow.place)
            if source in self.copies and (a, b) in seen:
                continue  # many of a kind are read, as by a stack of all steps' results
            if a != b and key not in seen:
                seen |= {key, (a, b)}
                self.arrows.append((a, b, "" if groups else arrow.partial))
        self._settle_leaves()
        few, many = f"{len(self.shown):,}", f"{len(scene.box):,}"
        self.note = f"{many} boxes, drawn as {few}" if few != many else ""
        if self.copies:
            self.note += "; of repeats the first is shown, with its numbers"

    def _between_repeats(self, source, target):
        """Whether an arrow leads from one repeat to the next; or from a leaf to another than the
        first, whose own leaf is shown.
        """
        while target in self.turns:
            if is_leaf(self.scene.box[source]):
                return True
            begin, turn, target = self.turns[target]
            number = self._number(self.scene.box[source])
            if begin <= number < turn:
                return True
            if number >= turn:  # both in one repeat: what of the first ones?
                source = self.turns[source][2]
        return False

    def operands(self, box):
        """What a box reads, in its order: pairs of the id of what is shown for it, and the number
        of operands in a row that this stands for.
        """
        found, last = [], None
        for place in range(len(box.node.inputs)):
            source = self.scene.operand[box.id, place]
            id = self.stands[source]
            if found and found[-1][0] == id and (id in self.collapsed or source != last):
                found[-1] = id, found[-1][1] + 1
            else:
                found.append((id, 1))
            last = source
        return found

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
            if is_leaf(item):
                kind = item.kind if isinstance(item, Box) else item.items[0].kind
                groups = targets.get(id) if kind not in ("input", "output") else None
                self.members[_common(groups) if groups else self.scene.whole].append(item)


def _kind_and_readers(box, readers):
    return box.kind, readers


def _kind(box, readers):
    return box.kind


def _signatures(scene, readers):
    """``(looks, signatures)``: of each operation what it is, without its operands; and of each
    operation and group a number, the same for those that look alike, operands' places included.
    """
    numbers, looks, found = {}, {}, {}

    def note(item, signature):
        found[item] = numbers.setdefault(signature, len(numbers))

    for node, at in scene.order.items():
        box, inputs = scene.boxes[node], []
        for source in node.inputs:
            back = at - scene.order.get(source, math.inf) if isinstance(source, Node) else -math.inf
            if back > 0 and len(readers[scene.boxes[source].id]) > SHARED:
                inputs.append(("the one", at - back))
            else:
                inputs.append("leaf" if back < 0 else back if back <= PERIOD else "far")
        what = box.operation, "" if box.detail.startswith("[") else box.detail
        looks[box] = box.kind, *what, full_shape(node.value), tuple(node.options or ())
        note(box, (*looks[box], *inputs))
    for group in scene.groups:
        if group is not scene.whole:
            note(group, tuple(_inside(scene, group, looks)))
    return looks, found


def _inside(scene, group, looks):
    """What a group looks like: its operations, and which of them reads which.

    Where it reads what is outside does not matter: the first of many layers reads an input.
    """
    order = scene.order
    first = order[next(group.boxes()).node]
    stack = [group]
    while stack:
        item = stack.pop()
        if isinstance(item, Group):
            yield item.kind, len(item.items)
            stack += item.items[::-1]
        else:
            yield looks[item]
            at = [order.get(s, -1) if isinstance(s, Node) else -1 for s in item.node.inputs]
            yield tuple(max(i - first, -1) for i in at)


def _boxes(item):
    return [item] if isinstance(item, Box) else [*item.boxes()]


def runs(signatures):
    """``(start, period, end)`` of the repeats, in order; those that cover most come first."""
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
                length = int(lengths[longest]) + period
                if length >= REPEATS * period and length - length % period > covered:
                    covered = length - length % period
                    best = int(edges[2 * longest]), period, length
        if best:
            start, period, length = best
            found.append((offset + start, period, offset + start + length))
            todo += [(offset, s[:start]), (offset + start + covered, s[start + covered :])]
    return sorted(found)


def _stretches(scene, items):
    """`items` as groups of consecutive ones, about as many as half of LIMIT."""
    if len(items) <= LIMIT:
        return items
    size = math.ceil(len(items) / (LIMIT // 2))
    found = []
    for start in range(0, len(items), size):
        part = Group(f"g0s{start}", "", "stretch", scene.whole, items[start : start + size])
        numbers = [scene.order[box.node] + 1 for box in part.boxes()]
        part.label = f"operations {numbers[0]:,}–{numbers[-1]:,}"
        found.append(part)
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
