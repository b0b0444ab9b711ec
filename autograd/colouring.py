"""Colouring of sparse matrices: lines that share no element across can be swept out together.

A *line* is a column (or a row), and what it is met by *across* a row (or a column).  The sum of
lines of one colour still shows every element of each.  Some lines across may be nearly full, and
would keep all colours apart: they are left out, to be swept out by themselves.
"""

import numpy as np


def coloured(lines, across, count, width):
    """``(colours, dense)`` for a matrix with elements at (lines, across) of ``count × width``.

    colours   for each line its colour, -1 for one without any element: no two of one colour have
              an element in the same place across, but for those in `dense`
    dense     the places across that are left out
    """
    meeting = np.bincount(across, minlength=width)
    dense = _worth_apart(meeting)
    if len(dense):
        kept = ~np.isin(across, dense)
        lines, across = lines[kept], across[kept]
        meeting[dense] = 0
    fewest = int(meeting.max(initial=0))
    in_turn = lines % max(fewest, 1)  # the best there is, for bands and blocks
    if np.bincount(across * fewest + in_turn, minlength=1).max() <= 1:
        colours = np.full(count, -1)
        colours[lines] = in_turn
        return colours, dense
    return _greedy(lines, across, count, width), dense


def _greedy(lines, across, count, width):
    """Line by line the first colour that none of those it meets has."""
    met = across[np.argsort(lines, kind="stable")].tolist()
    ends = np.cumsum(np.bincount(lines, minlength=count)).tolist()
    colours, taken, start = [-1] * count, [0] * width, 0  # taken: a bit for each colour
    for line, end in enumerate(ends):
        if end == start:
            continue
        used = 0
        for i in met[start:end]:
            used |= taken[i]
        free = ~used & (used + 1)  # the lowest bit that is not set
        colours[line] = free.bit_length() - 1
        for i in met[start:end]:
            taken[i] |= free
        start = end
    return np.array(colours, int)


def _worth_apart(meeting):
    """Which places across to leave out, so that the number of sweeps is the least.

    There are at least as many colours as lines meet in the fullest place.  Without the k fullest
    there are (about) as many as meet in the next: with theirs, that makes k sweeps more.
    """
    fullest = np.argsort(-meeting, kind="stable")
    sweeps = np.arange(len(meeting)) + meeting[fullest]
    return fullest[: int(np.argmin(sweeps))] if len(meeting) else fullest
