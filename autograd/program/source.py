"""The program a person would have written: source text of a function, or of its derivative.

`Program` has it as a list of NumPy calls, `rolled` finds the loops, `Expressions` writes a call;
here names are given, and lines written.

>>> def f(x):
...     return x * np.sin(x)
>>> print(source(f, 2.0, of="gradient"))
import math
...
"""

import builtins
import html
import re
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np

from ..repeat import Memo
from ..transforms import called
from .helpers import COLLECT, IMPORTS, Expressions, Text
from .latex import latex as as_latex
from .loops import LoopWriter
from .record import TAKEN, Program
from .roll import Loop, rolled
from .simplify import element
from .trace import Line, Var

WIDTH = 100


class Source(str):
    """Source text; it is a str.

    constants   arrays too large to be written, by the names under which the text expects them
    name        of the function
    """

    __slots__ = ("constants", "name")

    def function(self):
        """The function that the text defines, its constants in place."""
        space = dict(self.constants)
        exec(compile(self, f"<{self.name}>", "exec"), space)
        return space[self.name]

    def _repr_html_(self):
        return f"<pre><code>{html.escape(self)}</code></pre>"

    def __repr__(self):
        return str(self)


def source(f, *args, of="value", argnums=None, loops=True, latex=False):
    """Python source of what `f` does at arguments like these, or of its derivative: a `Source`.

    of        "value"; "tangent": of ``(value, tangent)``, with a direction for each argument as a
              further parameter; "gradient": of the gradient; "hvp": of the Hessian times a
              direction
    argnums   by which arguments, an int or a tuple of ints; all that hold floats by default
    loops     write repeats of a pattern as loops
    latex     the same as equations instead, for notebooks

    The text needs NumPy (and math) and nothing of this library, and computes the same to the bit.
    It holds for these shapes and element types and for the branches taken at these values; the
    program's looking at a value, in an ``if`` or ``float()``, gives a TracingWarning with the line.
    A program on floats computes as Python does: 1/0.0 raises ZeroDivisionError where NumPy has inf.

    >>> def f(x):
    ...     return x * np.sin(x)
    >>> print(source(f, 2.0, of="gradient"))
    import math
    <BLANKLINE>
    <BLANKLINE>
    def f_gradient(x):
        # written for: x a float
        ...
    """
    memo = Memo()
    try:
        with memo.first():
            program = Program(f, args, of, argnums)
    finally:
        memo.undo()  # generators and buffers are as they were
    text = Writer(program, loops).source()
    return as_latex(text, text.name) if latex else text


class Writer:
    """Writes a `Program` as source.

    texts      Var -> how it is written: its name, or an element of a list or array
    elements   Var -> (list, index): what is such an element of an argument
    results    Var -> (list, index): what becomes an element of a derivative
    rooms      name of such a list or array -> the text that makes it
    sums       those of them to whose elements is added
    first      Var -> (loop, place): what a loop begins with goes by the name it has there
    """

    grows = True  # whether what a loop makes is collected in lists, or in arrays

    def __init__(self, program, loops):
        self.program = program
        name = re.sub(r"\W+", "_", called(program.f)).strip("_")
        self.name = name if name.isidentifier() and name not in TAKEN else "f"
        if program.what != "value":
            self.name += f"_{program.what}"
        elif hasattr(builtins, self.name):
            self.name += "_"
        self.texts, self.out, self.last = {}, [], 0
        self.taken = {*TAKEN, *program.parameters, self.name}
        self.counter = next(c for c in "jkilmn" if c not in self.taken)
        self.taken |= {self.counter}
        self.expressions = Expressions(self.texts, self.fresh, program.known)
        self.elements, self.results, self.rooms, self.sums, self.first = {}, {}, {}, set(), {}
        lines = self._read_elements(program.lines)
        self._fill_lists(lines)
        lines = self._fill_arrays(lines)
        items = rolled(lines, self.elements) if loops else lines
        self.items = [LoopWriter(self, x) if isinstance(x, Loop) else x for x in items]
        self.readers = self._readers()
        for item in self.items:
            if isinstance(item, LoopWriter):
                item.prepare()

    # --- elements of arguments and results ---

    def _read_elements(self, lines):
        """Name the inputs; `lines` without those that only read an element of one."""
        program = self.program
        for var, (name, path) in program.inputs.items():
            self.texts[var] = name + path
            element_of = re.fullmatch(r"(.*)\[(\d+)\]", path)
            if element_of:
                self.elements[var] = name + element_of[1], int(element_of[2])
        kept = []
        for line in lines:
            index, array = element(line), line.args[0] if line.args else None
            if index is not None and array in self.texts and line.results not in program.names:
                if np.ndim(array.value):
                    index %= len(array.value)
                    self.elements[line.results] = self.texts[array], index
                    self.texts[line.results] = f"{self.texts[array]}[{index}]"
                    continue
            kept.append(line)
        return kept

    def _fill_lists(self, lines):
        """Lists of derivatives by the elements of a list get elements of their own."""
        program = self.program
        if program.what not in ("gradient", "hvp"):
            return
        made = {var for line in lines for var in line.writes()} | {getattr(program, "seed", None)}
        single = not isinstance(program.outputs, tuple) or len(program.selected) == 1
        trees = [program.outputs] if single else program.outputs
        for name, tree in zip(program.selected, trees, strict=False):
            if type(tree) is not list or name not in program.parameters:  # a Module's
                continue
            alike = all(isinstance(x, Var) and x in made for x in tree)
            if alike and len({*tree}) == len(tree) > 1:
                whole = self.fresh(name + ("_bar" if program.what == "gradient" else "_hvp"))
                self.rooms[whole] = f"[None] * {len(tree)}"
                self.results |= {var: (whole, i) for i, var in enumerate(tree)}
                tree[:] = [Text(whole)]

    def _fill_arrays(self, lines):
        """Cotangents of an array's elements are added where they belong as they are made."""
        place = {var: i for i, line in enumerate(lines) for var in line.writes()}
        times = Counter(x for line in lines for x in line.reads())
        times.update(self.program.output_vars())
        after = {}  # number of a line -> what is to be written after it
        kept = []
        for line in lines:
            if line.operation.name != "scatter" or not self._is_filled(line, place):
                kept.append(line)
                continue
            y = line.results
            whole = self.texts[y] = self.fresh(self._asked(y) or "sums")
            self.rooms[whole] = self.expressions.filled(0, y.value.shape, y.value.dtype)
            self.sums.add(whole)
            for g, i in zip(line.args, line.options["indices"], strict=True):
                target = g
                if times[g] > 1 or g in self.results:
                    target = Var(0, g.value)
                    put = Line(COLLECT, [g], {}, target, None)
                    after.setdefault(place[g], []).append(put)
                self.results[target] = whole, i
        found = []
        for line in kept:
            found.append(line)
            found += [put for var in line.writes() for put in after.pop(place[var], ())]
        return found

    def _is_filled(self, line, place):
        """Whether a call of scatter is written as sums: for arguments, and what has many parts."""
        indices, y = line.options["indices"], line.results
        if y in self.results or not all(isinstance(g, Var) and g in place for g in line.args):
            return False
        if not self.texts.keys().isdisjoint(line.args):  # sums themselves: no line makes them
            return False
        argument = self.program.of.get(y, [None])[0] in self.program.inputs
        once = all(type(i) is int for i in indices) and len({*indices}) == len(indices)
        numbers = [place[g] for g in line.args]
        same = all(np.asarray(g.value).dtype == y.value.dtype for g in line.args)
        basic = all(map(_is_basic, indices)) and (once or numbers == sorted({*numbers}))
        return same and basic and (argument or (once and len(indices) > 3))

    def _readers(self):
        """Var -> the lines and loops that read it, other than its own loop; None: an output."""
        readers = {}
        for item in self.items:
            for var in item.reads():
                readers.setdefault(var, []).append(item)
        for var in self.program.output_vars():
            readers.setdefault(var, []).append(None)
        return readers

    # --- names ---

    def fresh(self, name):
        """`name`, or with a number where that is taken."""
        found, i = name, 2
        while found in self.taken:
            found, i = f"{name}_{i}", i + 1
        self.taken.add(found)
        return found

    def numbered(self):
        """The next of v1, v2, ..."""
        self.last = next(i for i in range(self.last + 1, 10**9) if f"v{i}" not in self.taken)
        return self.fresh(f"v{self.last}")

    def _asked(self, var):
        """The name a value asks for: the user's, or that of what it is the derivative of."""
        name = self.program.names.get(var)
        if name is None and var in self.program.of:
            value, suffix = self.program.of[var]
            base = self.texts.get(value) or self._asked(value) or "v"
            return re.sub(r"\W+", "_", base).strip("_") + suffix
        return name

    def assign(self, var, line=None):
        """The target text of a value that is being computed."""
        if var in self.results:
            whole, i = self.results[var]
            self.texts[var] = f"{whole}[{self.expressions.index(i)}]"
        elif var in self.first:
            loop, r = self.first[var]
            self.texts[var] = loop.name(r)
        else:
            asked = self._asked(var)
            self.texts[var] = self._again(line) or (self.fresh(asked) if asked else self.numbered())
        return self.texts[var]

    def _again(self, line):
        """The name of a derivative that is only cast: nobody else reads it."""
        if line is None or line.operation.name != "astype":
            return None
        (before,) = line.args
        only = self.readers.get(before) == [line] and before in self.program.of
        name = self.texts[before]
        read = any(array == name for array, _ in self.elements.values())
        return name if only and not read and name.isidentifier() else None

    # --- the text ---

    def source(self):
        """The whole of it."""
        program, seed = self.program, getattr(self.program, "seed", None)
        for whole, room in self.rooms.items():
            self.line(f"{whole} = {room}")
        for item in self.items:
            if seed is not None and seed not in self.texts and seed in item.reads():
                self._write_seed(seed)
            if isinstance(item, LoopWriter):
                item.write()
            else:
                self._write(item)
        if seed in program.output_vars() and seed not in self.texts:
            self._write_seed(seed)
        outputs = self._tree(program.outputs)
        bare = re.fullmatch(r"[(]([^()]*[^,()])[)]", outputs)
        fits = bare and len(f"    return {bare[1]}") <= WIDTH  # else broken in brackets
        self.line(f"return {bare[1] if fits else outputs}")
        text = "\n".join([*self._head(), *_laid_out(self.out)])
        more = self.expressions
        hoisted = [part for x in more.hoisted.items() for part in wrapped("{} = {}".format(*x))]
        imports = dict(more.helpers.imports)
        used = "\n".join([*hoisted, text, *more.helpers.texts.values()])
        for module, line in IMPORTS.items():
            if re.search(rf"\b{module}\.", used):
                imports[line] = None
        head = "\n\n".join(filter(None, ["\n".join(sorted(imports)), "\n".join(hoisted)]))
        found = Source(
            "\n\n\n".join(filter(None, [head, *_blocks(more.helpers.texts), text])) + "\n"
        )
        found.constants, found.name = more.constants, self.name
        return found

    def _write(self, line):
        text = self.expressions.call(line, line.args, line.options)
        sign = "+=" if any(self.results.get(x, [0])[0] in self.sums for x in line.writes()) else "="
        results = [self.assign(var, line) for var in line.writes()]
        comma = "," * (isinstance(line.results, tuple) and len(results) == 1)
        self.line(f"{', '.join(results)}{comma} {sign} {text}", line.where)

    def _write_seed(self, seed):
        one = "1.0"
        if type(seed.value) is not float:
            shape, kind = np.shape(seed.value), seed.value.dtype.name
            one = f"np.ones({shape}, np.{kind})" if shape else f"np.{kind}(1.0)"
        self.line(f"{self.assign(seed)} = {one}")

    def _head(self):
        """The first line, and what the text holds for, as comments."""
        program = self.program
        parameters = [*program.parameters, *self.expressions.generators.values()]
        shapes = ", ".join(_what(name, program) for name in program.parameters)
        notes = textwrap.wrap(f"written for: {shapes}", WIDTH - 6, break_long_words=False)
        for what, where in program.tape.specialized:
            at = f" in {_place(where)}" if where else ""
            notes.append(f"and for {what} that a value had{at}")
        if self.expressions.constants:
            notes.append(f"expects as globals: {', '.join(self.expressions.constants)}")
        return [
            *wrapped(f"def {self.name}({', '.join(parameters)}):", 8),
            *(f"    # {note}" for note in dict.fromkeys(notes)),
        ]

    def line(self, text, where=None, indent=1):
        """Write a line of the function."""
        self.out.append((indent, text, where))

    def _tree(self, tree):
        if isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], Text):
            return str(tree[0])
        if isinstance(tree, tuple):
            return f"({', '.join(map(self._tree, tree))}{',' * (len(tree) == 1)})"
        if isinstance(tree, list):
            return f"[{', '.join(map(self._tree, tree))}]"
        if isinstance(tree, dict):
            return f"{{{', '.join(f'{k!r}: {self._tree(v)}' for k, v in tree.items())}}}"
        return self.expressions.text(tree)


# --- text -----------------------------------------------------------------------------------------


def _is_basic(index):
    parts = index if type(index) is tuple else (index,)
    return all(i is None or i is Ellipsis or type(i) is int or type(i) is slice for i in parts)


def _what(name, program):
    """Shape and type of a parameter, for the head."""
    found = [(v.value, path) for v, (n, path) in program.inputs.items() if n == name]
    if not found:
        return f"{name} as it was"
    kinds = {_kind(value) for value, _ in found}
    if len(found) == 1 and not found[0][1]:
        return f"{name} {'a ' * (kinds == {'float'})}{kinds.pop()}"
    if len(kinds) == 1:
        kind = kinds.pop()
        return f"{name} with {len(found)} {kind}{'s' * (kind == 'float' and len(found) > 1)}"
    return f"{name} with {len(found)} arrays"


def _kind(value):
    return "float" if type(value) is float else f"{np.asarray(value).dtype}{[*np.shape(value)]}"


def wrapped(text, indent=4):
    """A line as lines that are not too long, broken at commas between brackets."""
    if len(text) <= WIDTH:
        return [text]
    held = re.sub(r"'[^']*'", lambda m: m[0].replace(" ", "\0"), text)
    margin = " " * (len(text) - len(text.lstrip()) + indent)
    pieces = re.sub(r"(?<!,) ", "\0", held.lstrip())  # to be broken after commas alone
    lines = textwrap.wrap(
        pieces, WIDTH, initial_indent=margin[indent:], subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def _place(where):
    """A line of the user's; of a notebook's cell its number alone."""
    file, line = Path(where[0]), where[1]
    return f"line {line}" if "ipykernel" in file.parent.name else f"{file.name}:{line}"


def _laid_out(lines):
    """Lines with the place in the user's program they are due to, where that changes."""
    last, found = None, []
    for indent, text, where in lines:
        text = "    " * indent + text
        note = f"# {_place(where)}" if where and where != last else ""
        last = where or last
        if note and len(text) + len(note) + 2 > WIDTH:
            found += ["    " * indent + note, *wrapped(text)]
        else:
            found += [f"{text}  {note}"] if note else wrapped(text)
    return found


def _blocks(texts):
    """Definitions, each by itself; constants that follow one another together."""
    found = []
    for text in texts.values():
        alike = found and "\n" not in text and found[-1].partition("\n")[0].find("def ") < 0
        if alike and "def " not in text:
            found[-1] += f"\n{text}"
        else:
            found.append(text)
    return found
