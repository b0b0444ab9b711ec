"""Operations as formulas, and a view of a graph as lines of text."""

from .scene import Box, Group, derivative_lines, describe, is_leaf
from .values import short_name, value_lines

SHORT = 24  # characters of a constant that is written out where it is read
INFIX = {  # name of an operation -> sign, and how strongly it binds
    "add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2),
    "true_divide": ("/", 2), "matmul": ("@", 2), "power": ("**", 4),
}  # fmt: skip


def formula(operation, operands, detail=""):
    """An operation on named operands.

    >>> formula("multiply", ["x", "y"]), formula("tanh", ["v1"]), formula("sum", ["x"], "axis=0")
    ('x * y', 'tanh(v1)', 'sum(x, axis=0)')
    """
    if operation in INFIX and len(operands) == 2 and not detail:
        return f" {INFIX[operation][0]} ".join(operands)
    if operation == "negative" and len(operands) == 1:
        return f"-{operands[0]}"
    if operation in ("getitem", "pick") and detail.startswith("["):
        return f"{operands[0]}{detail}"
    arguments = [*operands, detail] if detail else operands
    return f"{operation}({', '.join(arguments)})"


class Names:
    """What the boxes and groups of a view are called in text: their names, or v1, v2, ...

    inline   the ids of what is not called anything but written out where it is read
    """

    def __init__(self, view):
        self.called, self.inline = {}, set()
        owners, counts = {}, {}  # name -> who has it: the first that asks for it
        for id, item in view.shown.items():
            name = _own_name(item)
            if name:
                owners.setdefault(name, id)
        for id, item in view.shown.items():
            name = _own_name(item)
            text = _written_out(item)
            if not name and text:
                self.called[id] = text
                self.inline.add(id)
                continue
            base = f"{name}_" if name else "c" if item.kind == "constant" else "v"
            while owners.get(name) != id:
                counts[base] = counts.get(base, 1 if name else 0) + 1
                name = f"{base}{counts[base]}"
                owners.setdefault(name, id)
            self.called[id] = name

    def __getitem__(self, id):
        return self.called[id]


def _own_name(item):
    """The name of a box on one line; "" for none."""
    return short_name(_line(item.name or "").strip()) if isinstance(item, Box) else ""


def _written_out(item):
    """A short constant, or several leaves, as text; "" for others."""
    if isinstance(item, Group):
        return item.label if is_leaf(item) else ""
    text = " ".join(value_lines(item.value)) if item.kind == "constant" else ""
    return text if len(text) <= SHORT else ""


def as_text(view, values=True, shapes=False, dtypes=False):
    """A view as lines of text: name, formula, value and derivatives; groups indented."""
    names = Names(view)
    operands = {}
    for a, b, _ in view.arrows:
        operands.setdefault(b, []).append(names[a])
    for id, item in view.shown.items():
        if isinstance(item, Box) and item.operation is not None:
            operands[id] = _operands(view, item, names)
    rows = []

    def add(group, indent):
        for item in in_order(view, group):
            if item in view.members:
                if item.kind != "repeat":
                    rows.append((indent + _line(heading(view, item)), "", ""))
                    add(item, indent + "  ")
                else:
                    rows.append((f"{indent}{view.times[item]:,} times", "", ""))
                    add(item, indent + "  ")
            elif item.id in names.inline:
                continue
            elif isinstance(item, Group):
                made = formula(heading(view, item), operands.get(item.id, []))
                rows.append((f"{indent}{names[item.id]} = {made}", "", ""))
            else:
                rows.append(_row(item, indent, names, operands, (values, shapes, dtypes)))

    add(view.scene.whole, "")
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    lines = [
        f"{left:<{widths[0]}}  {middle:<{widths[1]}}  {right}".rstrip()
        for left, middle, right in rows
    ]
    return "\n".join(lines + [f"({view.note})"] * bool(view.note))


def heading(view, group):
    """A group's label, and of how many alike it is the first."""
    times = view.times.get(group, 1)
    label = short_name(group.label)
    return label if times == 1 or group.kind == "repeat" else f"{label} ×{times:,}"


def in_order(view, group):
    """A group's items, leaves first."""
    return sorted(view.members[group], key=is_leaf, reverse=True)


def _operands(view, box, names):
    """What an operation reads, in the order in which it takes it; a group once."""
    found, groups = [], set()
    for id, times in view.operands(box):
        group = isinstance(view.shown[id], Group)
        if id not in groups:
            found.append(names[id] if times == 1 or group else f"{names[id]} ×{times:,}")
        if group:
            groups.add(id)
    return found


def _row(box, indent, names, operands, options):
    left = names[box.id]
    if box.operation is not None:
        left += f" = {formula(box.operation, operands.get(box.id, []), box.detail)}"
    value = " ".join(describe(box, *options))
    return indent + left, f"= {value}" if value else "", "  ".join(derivative_lines(box))


def _line(text):
    """Any text on one line."""
    return "".join(c if c.isprintable() else " " for c in str(text))
