"""Tables as text and for notebooks: names to the left, the rest to the right."""

import html


def aligned(heads, lines):
    """The lines of a table as text, its heads and a rule first; cells are strings."""
    table = [heads, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    first, *rest = widths

    def line(cells):
        cells = [f"{c:>{w}}" for c, w in zip(cells[1:], rest, strict=True)]
        return "  ".join([f"{{:<{first}}}", *cells])

    text = [line(cells).format(cells[0]) for cells in table]
    return [text[0], "─" * len(text[0]), *text[1:]]


def html_table(title, heads, lines, titles=None, notes=()):
    """The same as HTML; `titles` are what is told of each line where the pointer rests."""
    right, left = "text-align: right", "text-align: left"

    def row(tag, cells, tip=""):
        tip = f' title="{html.escape(tip)}"' if tip else ""
        inside = "".join(
            f'<{tag} style="{right if i else left}; white-space: pre">{html.escape(c)}</{tag}>'
            for i, c in enumerate(cells)
        )
        return f"<tr{tip}>{inside}</tr>"

    body = "".join(
        row("td", line, tip) for line, tip in zip(lines, titles or [""] * len(lines), strict=True)
    )
    below = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
    return (
        f"<div><b>{html.escape(title)}</b><table><thead>{row('th', heads)}</thead>"
        f"<tbody>{body}</tbody></table><small>{below}</small></div>"
    )
