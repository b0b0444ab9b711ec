"""Numbers as people read them: three digits and a unit."""


def plural(n, what):
    """``plural(1234, "number")`` is "1,234 numbers"."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def short(n):
    """Three digits and a unit: 1,234,567 is 1.23M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= 0.9995 * size:
            return f"{_three(n / size)}{unit}"
    return f"{n:,.0f}" if n == int(n) else _three(n)


def _three(x):
    return f"{x:.2f}" if x < 9.995 else f"{x:.1f}" if x < 99.95 else f"{x:,.0f}"


def seconds(t):
    """A time: 0.0123 is 12.3 ms."""
    unit, size = _unit(t)
    return f"{_three(t / size)} {unit}"


def between(low, high):
    """From one time to another, in the unit of the longer."""
    unit, size = _unit(high)
    return f"{_three(low / size)}–{_three(high / size)} {unit}"


def _unit(t):
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
    return next(((u, size) for u, size in units if t >= 0.9995 * size), units[-1])


def in_bytes(n):
    """A size in memory; a dash for None."""
    if n is None:
        return "–"
    return f"{n} B" if n < 1000 else f"{short(n)[:-1]} {short(n)[-1]}B"
