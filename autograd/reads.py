"""Which values a derivative rule reads: found in its bytecode.

A value that no rule reads need not be kept, and may be written into between recording and the
backward walk.
"""

import dis
import inspect

EVERYTHING = "everything"  # what `reads` answers for a rule that takes *args
OTHERS = "others"  # declared: all arguments but the one whose pull it is
_METADATA = {"shape", "dtype", "ndim", "size"}


def reads_of(rule):
    """Positions (0 for y, 1 for the first argument, ...) whose values a rule reads."""
    code = getattr(rule, "__code__", None)
    if not inspect.isfunction(rule) or code.co_flags & inspect.CO_VARARGS:
        return EVERYTHING
    names = code.co_varnames[: code.co_argcount]
    position = {name: i - 1 for i, name in enumerate(names) if i >= 1}
    read = set()
    instructions = list(dis.get_instructions(code))
    for here, after in zip(instructions, [*instructions[1:], None], strict=True):
        if not any(load in here.opname for load in ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE")):
            continue
        loaded = here.argval if isinstance(here.argval, tuple) else (here.argval,)
        if after is not None and after.opname == "LOAD_ATTR" and after.argval in _METADATA:
            loaded = loaded[:-1]
        read.update(position[name] for name in loaded if name in position)
    return frozenset(read)
