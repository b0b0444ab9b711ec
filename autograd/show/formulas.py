"""Operations as formulas, and a view of a graph as lines of text."""

from .scene import Box, Group, derivative_lines, describe
from .values import short_name, value_lines

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
    arguments = [*operands, *detail.split(" ")] if detail else operands
    return f"{operation}({', '.join(arguments)})"


class Names:
    """What the boxes and groups of a view are called in text: their names, or v1, v2, ..."""

    def __init__(self, view):
        self.called, count, taken = {}, 0, set()
        for id, item in view.shown.items():
            name = item.name if isinstance(item, Box) else None
            if name is None and isinstance(item, Box) and item.kind == "constant":
                name = " ".join(value_lines(item.value))
            elif name is None or name in taken:
                count += 1
                name = f"v{count}"
            taken.add(name)
            self.called[id] = short_name(_line(name))

    def __getitem__(self, id):
        return self.called[id]


def as_text(view, values=True, shapes=False, dtypes=False):
    """A view as lines of text: name, formula, value and derivatives; groups indented."""
    names = Names(view)
    operands = {}
    for a, b, _ in view.arrows:
        operands.setdefault(b, []).append(names[a])
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
            elif isinstance(item, Group):
                made = formula(heading(view, item), operands.get(item.id, []))
                rows.append((f"{indent}{names[item.id]} = {made}", "", ""))
            elif item.kind != "constant" or item.name:
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
    items = view.members[group]
    leaves = [i for i in items if isinstance(i, Box) and i.operation is None]
    return leaves + [i for i in items if not (isinstance(i, Box) and i.operation is None)]


def _row(box, indent, names, operands, options):
    left = names[box.id]
    if box.operation is not None:
        left += f" = {formula(box.operation, operands.get(box.id, []), box.detail)}"
    value = " ".join(describe(box, *options))
    return indent + left, f"= {value}" if value else "", "  ".join(derivative_lines(box))


def _line(text):
    """Any text on one line."""
    return "".join(c if c.isprintable() else " " for c in str(text))
