"""Chains of operations on elements of arrays, as loops in machine code made by Numba.

What stands between two operations of a chain stays in the processor's registers; written is what
outlives the chain alone.  A loop over many elements is shared among the processors.  Its text knows
no sizes: it is compiled once in a process for all arrays of these element types.

Values are NumPy's, but for the last bits of exponentials and logarithms (see `elements`); there are
no floating-point warnings.
"""

import functools
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..rules.elementwise import chosen, power
from .blocks import is_one_number, ufunc_of
from .trace import Var

LEAST = 1024  # elements from which a chain is a loop of its own
ALONE = 16384  # elements from which a slow operation is one by itself
SHARE = 2**22  # operations on elements that are worth a thread, which starts in about 60 µs
ABREAST = 4  # vectors in work at a time: of one a long chain waits for each result
LONGEST = 200  # operations in a loop, beyond which Numba takes many seconds

# One element, where it is no function in `elements`: {0} and {1} are the arguments, of the type
# {real} in which NumPy's loop has them
TEXTS = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.true_divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.absolute: "abs({0})",
    np.fabs: "abs({0})",
    np.square: "{0} * {0}",
    np.reciprocal: "{real}(1) / {0}",
    np.sqrt: "sqrt({0})",
    np.floor: "floor({0})",
    np.ceil: "ceil({0})",
    np.trunc: "trunc({0})",
    np.rint: "rint({0})",
    np.copysign: "copysign({0}, {1})",
    np.maximum: "{0} if ({0} >= {1}) | ({0} != {0}) else {1}",  # nan is chosen
    np.minimum: "{0} if ({0} <= {1}) | ({0} != {0}) else {1}",
    np.fmax: "{0} if ({0} >= {1}) | ({1} != {1}) else {1}",
    np.fmin: "{0} if ({0} <= {1}) | ({1} != {1}) else {1}",
    np.sign: "{real}({0} > {real}(0)) - {real}({0} < {real}(0)) if {0} == {0} else {0}",
    np.heaviside: "{1} if {0} == {real}(0) else {real}({0} > {real}(0)) if {0} == {0} else {0}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.isnan: "{0} != {0}",
    np.isinf: "abs({0}) == {real}(inf)",
    np.isfinite: "abs({0}) < {real}(inf)",
    np.logical_not: "not {0}",
    np.logical_and: "bool({0}) & bool({1})",
    np.logical_or: "bool({0}) | bool({1})",
    np.logical_xor: "bool({0}) ^ bool({1})",
}
ON_TRUTH = {  # of truth values
    np.invert: "not {0}",
    np.bitwise_and: "{0} & {1}",
    np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}",
} | {f: TEXTS[f] for f in (np.logical_not, np.logical_and, np.logical_or, np.logical_xor)}
POWERS = {  # of a by these numbers; other powers are left to NumPy
    0.5: TEXTS[np.sqrt],
    1: "{0}",
    2: TEXTS[np.square],
    3: "{0} * {0} * {0}",
    -1: TEXTS[np.reciprocal],
}
FUNCTIONS = np.exp, np.expm1, np.log, np.log1p, np.tanh, np.logaddexp
SLOW = {np.exp, np.expm1, np.log, np.log1p, np.logaddexp}  # by themselves worth a loop
TRUTH = np.dtype(bool)
TYPES = {np.dtype(np.float32): "float32", np.dtype(np.float64): "float64", TRUTH: "bool"}
READABLE = "?bBhHiIlLqQfd"  # NumPy's letters for the element types that may be read


class NoFormError(TypeError):
    """An operation has no machine code; the message says why."""


class Machine:
    """What a program has in machine code.

    missing      why there is none at all, or ""
    forms        line -> its `form`, or None
    refused      reason -> names of the operations that NumPy does for it
    operations   number of them in machine code
    loops        number of loops that these are in
    """

    longest = LONGEST

    def __init__(self):
        self.refused, self.forms, self.operations, self.loops = {}, {}, 0, 0
        self.missing = ""
        try:
            import numba  # noqa: F401
        except ImportError:
            self.missing = "Numba is not installed: pip install 'speelpenning[jit]'"

    def takes(self, line):
        """Whether a line may be part of a loop; if not, why is noted."""
        if line not in self.forms:
            try:
                self.forms[line] = None if self.missing else form(line)
            except NoFormError as error:
                self.forms[line] = None
                self._refuse(str(error), [line])
        return self.forms[line] is not None

    def worth(self, line):
        """Whether an operation is worth a loop by itself: NumPy takes long for it."""
        return line.results.value.size >= ALONE and line.operation.function in SLOW

    def loop(self, lines, kept):
        """The `Loop` of a chain; None where Numba makes none, and why is noted."""
        try:
            loop = Loop(lines, kept, self.forms)
        except Exception as error:  # whatever Numba or LLVM says: NumPy can do it
            why = str(error).strip().splitlines() or [""]
            self._refuse(f"{type(error).__name__}: {why[0]}", lines)
            return None
        self.operations += len(lines)
        self.loops += 1
        return loop

    def _refuse(self, reason, lines):
        self.refused.setdefault(reason, set()).update(line.operation.name for line in lines)

    def explanation(self):
        """What is in machine code, and why the rest on elements of arrays is not."""
        if self.missing:
            return f"No machine code: {self.missing}."
        found = [f"Not in machine code: {', '.join(sorted(names))}: {why}."
                 for why, names in self.refused.items()]  # fmt: skip
        if self.loops:
            loops = "1 loop" if self.loops == 1 else f"{self.loops} loops"
            made = f"{self.operations} on elements are machine code, made by Numba, in {loops}."
            found.insert(0, made)
        return "\n".join(found)


def form(line):
    """``(text, types)``: the text of one element, and the types in which NumPy's loop has the
    arguments.  None for what is not on the elements of an array of many; raises NoFormError.
    """
    operation, result, function = line.operation, line.results, line.operation.function
    y, values = _value(result), [*map(_value, line.args)]
    if not (isinstance(y, np.ndarray) and y.ndim and y.size >= LEAST):
        return None
    ufunc = ufunc_of(line)
    if operation.kind != "elementwise" and (ufunc is None or ufunc.signature):
        return None
    if not all(readable(x, y) for x in (result, *line.args)):
        raise NoFormError("a loop reads arrays of one shape, contiguous, and numbers")
    if operation is chosen:
        types = np.asarray(values[0]).dtype, y.dtype, y.dtype, y.dtype
        text = "{1} if {0} else {2}" if types[0] is TRUTH else None
    else:
        types = _types(line, values)
        if function is np.power:
            text = POWERS.get(line.args[1]) if type(line.args[1]) in (int, float) else None
        elif function in FUNCTIONS:
            text = f"{function.__name__}_{{real}}({', '.join(('{0}', '{1}')[: len(values)])})"
        else:
            text = (ON_TRUTH if types and types[0] is TRUTH else TEXTS).get(function)
    if text is None or line.options or not types or types[-1] != y.dtype:
        raise NoFormError("no form of it is written")
    if not {*types} <= {*TYPES}:
        raise NoFormError("loops compute with float32, float64 and truth values")
    return text, types[:-1]


def readable(x, y):
    """Whether a loop over the elements of y can read `x`, a Var or constant."""
    value = _value(x)
    if not np.ndim(value):
        kind = type(value) if isinstance(value, (int, float)) else getattr(value, "dtype", object)
        return np.dtype(kind).char in READABLE
    if type(value) is not np.ndarray or value.dtype.char not in READABLE:
        return False
    alike = value.shape == y.shape and value.flags.c_contiguous and value.dtype.isnative
    return alike or (is_one_number(value) and not isinstance(x, Var))


def _types(line, values):
    """Of the arguments and of the result in NumPy's loop; () where it is not one that is run."""
    function, operation = line.operation.function, line.operation
    if ufunc_of(line) is None and not (function is np.power and operation.forward is power):
        return ()
    kinds = [type(v) if type(v) in (int, float) else np.asarray(v).dtype for v in values]
    try:
        return function.resolve_dtypes((*kinds, None))
    except TypeError:
        return ()


class Loop:
    """A chain as one loop: ``run(*arrays, *numbers, *results)``, of flat arrays and floats.

    arrays    Vars, and constant arrays, that it reads
    numbers   Vars that are numbers
    kept      Vars of the results
    """

    def __init__(self, lines, kept, forms):
        self.arrays, self.numbers, self.kept, self._made = [], [], kept, {}
        inside = []
        for line in lines:
            (text, types), var = forms[line], line.results
            given = [self._operand(x, t) for x, t in zip(line.args, types, strict=True)]
            self._made[var] = name = f"v{len(self._made)}"
            inside.append(f"{name} = {text.format(*given, real=TYPES[types[-1]])}")
            if var in kept:
                inside.append(f"r{kept.index(var)}[i] = {name}")
        read = [f"a{i}" for i in range(len(self.arrays))]
        numbers = [f"n{i}" for i in range(len(self.numbers))]
        written = [f"r{i}" for i in range(len(kept))]
        text = [f"def loop(start, stop, {', '.join([*read, *numbers, *written])}):"]
        for a in read:  # beyond its end is other memory, and a parameter may have become smaller
            text += [f"    if {a}.size != r0.size:", "        raise ValueError(MESSAGE)"]
        text += [f"    {a} = {a}[start:stop]" for a in (*read, *written)]
        text += ["    for i in range(stop - start):", *(f"        e{a} = {a}[i]" for a in read)]
        text += [f"        {line}" for line in inside]
        arrays = [_value(x).dtype.char for x in self.arrays]
        results = [var.value.dtype.char for var in kept]
        code = compiled("\n".join(text), *map("".join, (arrays, "d" * len(numbers), results)))
        size = kept[0].value.size
        self.run = functools.partial(shared, code, size, size * len(lines) // SHARE)

    def _operand(self, x, wanted):
        """The text of an argument's element, in the type that is wanted."""
        value = _value(x)
        if isinstance(x, Var) and x in self._made:
            text, kind = self._made[x], value.dtype
        elif np.ndim(value) and not is_one_number(value):
            text, kind = f"ea{_place(self.arrays, x)}", value.dtype
        elif isinstance(x, Var):
            text, kind = f"n{_place(self.numbers, x)}", np.dtype(float)
        else:
            text, kind = repr(float(np.ravel(value)[0])), None
        return text if kind == wanted else f"{TYPES[wanted]}({text})"


def _value(x):
    return x.value if isinstance(x, Var) else x


def _place(found, x):
    """The place of `x` itself in a list, at the end of which it is put where it has none."""
    for i, other in enumerate(found):
        if other is x:
            return i
    found.append(x)
    return len(found) - 1


@functools.lru_cache(256)
def compiled(text, arrays, numbers, results):
    """The machine code of a loop's text; element types of its parameters by NumPy's letters."""
    import numba
    from llvmlite.binding import set_option
    from numba.core.compiler_lock import global_compiler_lock

    from .elements import functions

    space = {"float32": numba.float32, "float64": numba.float64, "inf": math.inf, "nan": math.nan}
    space |= {"sqrt": math.sqrt, "copysign": math.copysign, "floor": np.floor, "ceil": np.ceil}
    space |= {"trunc": np.trunc, "rint": np.rint}
    space["MESSAGE"] = "an array is of another size than when it was traced; compile anew"
    for real in (np.float32, np.float64):
        space |= {f"{name}_{real.__name__}": f for name, f in functions(real).items()}
    exec(compile(text, "<loop>", "exec"), space)

    def array(letter, **settings):
        return numba.types.Array(numba.from_dtype(np.dtype(letter)), 1, "C", **settings)

    def apart(flags):
        flags.noalias = True  # what is written is memory of its own: else LLVM doubts, and asks
        return flags

    loop = numba.njit(space["loop"], error_model="numpy", nogil=True)
    loop._compiler._customize_flags = apart
    read = [array(letter, readonly=True, aligned=False) for letter in arrays]
    number, n = [numba.float64] * len(numbers), numba.intp
    with global_compiler_lock:  # a setting of LLVM's in the process
        set_option("", f"-force-vector-interleave={ABREAST}")
        try:
            loop.compile((n, n, *read, *number, *map(array, results)))
        finally:
            set_option("", "-force-vector-interleave=0")  # LLVM's own choice
    loop.disable_compile()
    return loop


# --- processors -----------------------------------------------------------------------------------


@functools.cache
def _pool():
    """``(number of processors, threads that help)``: made once in a process."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return count, ThreadPoolExecutor(max(count - 1, 1), "speelpenning")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay with the parent


def shared(loop, size, parts, *args):
    """Run a loop over `size` elements, in `parts`, or fewer, on as many processors."""
    if parts < 2:
        return loop(0, size, *args)
    count, threads = _pool()
    parts = min(parts, count)
    ends = [size * i // parts for i in range(parts + 1)]
    try:
        tasks = [threads.submit(loop, *ends[i : i + 2], *args) for i in range(1, parts)]
    except RuntimeError:  # the interpreter is shutting down
        return loop(0, size, *args)
    try:
        loop(0, ends[1], *args)
    finally:  # nobody writes into what is returned
        for task in tasks:
            task.result()
