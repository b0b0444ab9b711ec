"""How a `Loop` is written: what its results are called, and what they are kept in."""

import re

from .helpers import Text
from .roll import in_order, progression, with_operands
from .trace import Var


class LoopWriter:
    """Writes a `Loop`.

    The result of a line in it goes by one name in all copies.  It is

    an element   of a list or array of results: ``w_bar[j] = ...``
    a list       where others read it than the next copy: ``h.append(...)``
    a name       else, which every copy assigns anew
    """

    def __init__(self, writer, loop):
        self.writer, self.loop = writer, loop
        self.start, self.step = self._counted()
        self.elements, self.lists, self.names = {}, set(), {}
        self.read = [x for lines in loop.copies for line in lines for x in line.reads()]
        self.read = dict.fromkeys(x for x in self.read if x not in loop.place)

    def reads(self):
        """What it reads of others."""
        return self.read

    def _every(self, r):
        return [copy[r].results for copy in self.loop.copies]

    def _counted(self):
        """What j counts: the index of the first list that is gone through; ``(start, step)``."""
        counted = [
            (kind != "item", rest[-2:])
            for operands in self.loop.operands
            for kind, *rest in operands
            if kind in ("item", "made") and abs(rest[-1]) == 1
        ]
        return min(counted, key=lambda x: x[0])[1] if counted else (0, 1)

    def prepare(self):
        """Find out which of the results are elements, which lists."""
        writer, loop = self.writer, self.loop
        for r in range(len(loop.pattern)):
            every = self._every(r)
            places = [writer.results.get(var) for var in every]
            numbers = [p[1] for p in places if p and type(p[1]) is int]
            if len({p and p[0] for p in places}) == 1 and len(numbers) == len(places):
                steps = progression(numbers)
                if steps:
                    self.elements[r] = (places[0][0], *steps)
                    continue
            if any(places[:-1]) or any(var in writer.readers for var in every[:-1]):
                self.lists.add(r)
        for r, x in loop.carried.items():
            begins = [i for ops in loop.operands for i in ops if i == ("before", r)]
            reads = [x for line in loop.pattern for x in line.reads()].count(x)
            alone = {id(i) for i in writer.readers.get(x, ())} == {id(self)}
            plain = r not in self.lists and r not in self.elements
            later = [y for copy in loop.copies[1:] for line in copy for y in line.reads() if y is x]
            own = isinstance(x, Var) and writer.program.names.get(x)
            named = own and own not in map(writer.program.names.get, self._every(r))
            plain = plain and not named
            if isinstance(x, Var) and alone and plain and reads == len(begins) and not later:
                if x not in writer.texts and x not in writer.results:
                    writer.first[x] = self, r

    def name(self, r):
        """What the results of line r are called."""
        if r not in self.names:
            writer = self.writer
            asked = next((n for var in self._every(r) if (n := writer._asked(var))), None)
            if asked:
                asked = re.sub(r"_?\d+(?=(_bar|_dot)*$)", "", asked) or asked
            short = next((c for c in "abcdefghpqrstu" if c not in writer.taken), None)
            name = asked or short
            self.names[r] = writer.fresh(name) if name else writer.numbered()
        return self.names[r]

    def write(self):
        """Write it: what stands before the loop, and the loop."""
        writer, loop = self.writer, self.loop
        for r in range(len(loop.pattern)):
            self._begin(r)
        low, high = self.start, self.start + loop.times
        if self.step < 0:
            low, high = self.start - loop.times + 1, self.start + 1
        counted = f"range({low}, {high})" if low else f"range({high})"
        if self.step < 0:
            counted = (
                f"reversed({counted})" if writer.grows else f"range({high - 1}, {low - 1}, -1)"
            )
        writer.line(f"for {writer.counter} in {counted}:")
        overwritten = [r for r in loop.carried if r not in self.lists and r not in self.elements]
        order, late = in_order(loop, overwritten)
        current = {}
        for r in order:
            line = loop.pattern[r]
            values = [self._operand(x, current) for x in loop.operands[r]]
            text = writer.expressions.call(line, *with_operands(line, values))
            if r in self.elements:
                whole, start, step = self.elements[r]
                current[r] = f"{whole}[{self._index(start, step)}]"
                sign = "+=" if whole in writer.sums else "="
                writer.line(f"{current[r]} {sign} {text}", line.where, 2)
            elif r in self.lists and writer.grows:
                current[r] = f"{self.name(r)}[-1]"
                writer.line(f"{self.name(r)}.append({text})", line.where, 2)
            elif r in self.lists:
                current[r] = f"{self.name(r)}[{self._index(int(r in loop.carried), 1)}]"
                writer.line(f"{current[r]} = {text}", line.where, 2)
            else:
                current[r] = writer.fresh(f"{self.name(r)}_next") if r in late else self.name(r)
                writer.line(f"{current[r]} = {text}", line.where, 2)
        for r in late:
            writer.line(f"{self.name(r)} = {current[r]}", None, 2)
        self._end()

    def _begin(self, r):
        """What a result is before the first copy; and how others call what the copies make."""
        writer, every, carried = self.writer, self._every(r), r in self.loop.carried
        if r in self.elements:
            whole, start, step = self.elements[r]
            writer.texts |= {var: f"{whole}[{start + c * step}]" for c, var in enumerate(every)}
            return
        name = self.name(r)
        first = writer.expressions.text(self.loop.carried[r]) if carried else ""
        if r in self.lists:
            if writer.grows:
                writer.line(f"{name} = [{first}]")
            else:
                writer.line(f"{name} = np.empty({self.loop.times + carried})")
                if carried:
                    writer.line(f"{name}[0] = {first}")
            writer.texts |= {var: f"{name}[{c + carried}]" for c, var in enumerate(every)}
        else:
            if carried and first != name:
                writer.line(f"{name} = {first}")
            writer.texts[every[-1]] = name

    def _end(self):
        """Results that belong in a list of results, and were collected otherwise."""
        writer = self.writer
        for r in range(len(self.loop.pattern)):
            for var in self._every(r):
                if var in writer.results and r not in self.elements:
                    whole, i = writer.results[var]
                    sign = "+=" if whole in writer.sums else "="
                    target = f"{whole}[{writer.expressions.index(i)}]"
                    writer.line(f"{target} {sign} {writer.texts[var]}")

    def _index(self, start, slope):
        """start + slope * copy, in terms of j, which is self.start + self.step * copy."""
        slope *= self.step
        rest, j = start - slope * self.start, self.writer.counter
        if not slope:
            return str(rest)
        if slope == -1:
            return f"{rest} - {j}" if rest else f"-{j}"
        j = j if slope == 1 else f"{slope} * {j}"
        return f"{j} + {rest}" if rest > 0 else f"{j} - {-rest}" if rest else j

    def _operand(self, what, current):
        """The text of an operand, see `Loop`; `current`: what this copy has made."""
        kind, *rest = what
        if kind == "same":
            return rest[0]
        if kind == "int":
            return Text(self._index(*rest))
        if kind == "this":
            return Text(current[rest[0]])
        if kind == "item":
            whole, start, step = rest
        elif kind == "before":
            (r,) = rest
            if r not in self.lists and r not in self.elements:
                return Text(self.name(r))
            if r in self.lists:
                whole, start, step = self.name(r), 0, 1
            else:
                whole, start, step = self.elements[r]
                start -= step
        else:
            loop, r, start, step = rest
            other = next(x for x in self.writer.items if getattr(x, "loop", None) is loop)
            if r in other.elements:
                whole, first, each = other.elements[r]
                start, step = first + each * start, each * step
            else:
                whole = other.name(r)
        return Text(f"{whole}[{self._index(start, step)}]")
