"""Source text as equations."""

import ast
import re

NAMED = {"sin", "cos", "tan", "tanh", "sinh", "cosh", "exp", "log", "arctan", "max", "min"}
OPERATORS = {"maximum": r"\max", "minimum": r"\min", "arctan": r"\arctan", "square": None}
SIGNS = {
    ast.Add: " + ", ast.Sub: " - ", ast.Mult: r" \cdot ", ast.MatMult: r"\,", ast.Mod: r" \bmod ",
    ast.BitAnd: r" \wedge ", ast.BitOr: r" \vee ", ast.FloorDiv: r" \mathbin{//} ",
    ast.Lt: " < ", ast.LtE: r" \le ", ast.Gt: " > ", ast.GtE: r" \ge ", ast.Eq: " = ",
    ast.NotEq: r" \ne ",
}  # fmt: skip


class Latex(str):
    """Equations in LaTeX; a notebook shows them set."""

    __slots__ = ()

    def _repr_latex_(self):
        return f"$\\displaystyle {self}$"

    def __repr__(self):
        return str(self)


def latex(text, name):
    """The function `name` in source `text`, its lines as equations below one another."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            lines = ["\\begin{aligned}", *Writer().lines(node.body), "\\end{aligned}"]
            return Latex("\n".join(lines))
    raise ValueError(f"latex: there is no function {name} in the text")


class Writer:
    """Writes statements; knows how long the lists are that loops append to."""

    def __init__(self):
        self.lengths, self.last = {}, {}
        self.counter, self.first, self.step = "j", 0, 1

    def lines(self, body, indent=""):
        """The lines of statements."""
        found = []
        for node in body:
            found += self.statement(node, indent)
        return found

    def statement(self, node, indent):
        """A statement's lines: equations, or a loop's head and what is in it."""
        if isinstance(node, ast.For):
            self.counter, counted, back = node.target.id, node.iter, False
            if counted.func.id == "reversed":
                (counted,), back = counted.args, True
            ends = [a.value for a in counted.args]
            low, high = (0, ends[0]) if len(ends) == 1 else ends
            first, last = (high - 1, low) if back else (low, high - 1)
            head = rf"&\text{{for }} {self.counter} = {first}, \dots, {last}: \\"
            self.first, self.step = first, -1 if back else 1
            inside = self.lines(node.body, r"&\quad ")
            return [head, *inside]
        if isinstance(node, ast.Return):
            return [rf"{indent or '&'}\text{{return }} {self.text(node.value)}"]
        if isinstance(node, ast.Expr):  # names.append(value)
            call = node.value
            name = call.func.value.id
            start, j = self.lengths[name], self.counter
            shift = start - self.first if self.step > 0 else start + self.first
            place = f"{j}{shift:+d}" if self.step > 0 else f"{shift}-{j}"
            place = j if shift == 0 and self.step > 0 else place
            self.last[name] = place
            target = _below(_name(name), place)
            return [self.equation(target, call.args[0], indent)]
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
        value = node.value
        if isinstance(value, ast.List) and isinstance(target, ast.Name):
            self.lengths[target.id] = len(value.elts)
            if not value.elts:
                return []
            return [self.equation(_below(_name(target.id), 0), value.elts[0], indent)]
        if isinstance(value, ast.BinOp) and isinstance(value.left, ast.List):
            return []  # room for a list of results
        if isinstance(node, ast.AugAssign):
            target, sign = self.text(target), r"\mathrel{+}="
            return [self.equation(target, value, indent, sign)]
        return [self.equation(self.text(target), value, indent)]

    def equation(self, target, value, indent, sign="="):
        """``target = value``."""
        return rf"{indent or '&'}{target} {sign} {self.text(value)} \\"

    def text(self, node, strength=0):
        """An expression; in parentheses where it binds less than `strength`."""
        if isinstance(node, ast.Name):
            return _name(node.id)
        if isinstance(node, ast.Constant):
            return _number(node.value)
        if isinstance(node, ast.Subscript):
            whole = self.text(node.value, 9)
            if isinstance(node.slice, ast.UnaryOp):  # names[-1]: what was appended last
                return _below(whole, self.last.get(node.value.id, self.counter))
            return _below(whole, self.index(node.slice))
        if isinstance(node, ast.BinOp):
            return self.operation(node, strength)
        if isinstance(node, ast.UnaryOp):
            return f"-{self.text(node.operand, 2)}"
        if isinstance(node, ast.Compare):
            sign = SIGNS[type(node.ops[0])]
            return f"[{self.text(node.left)}{sign}{self.text(node.comparators[0])}]"
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return f"{self.text(node.value, 9)}^\\top"
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            return f"({', '.join(map(self.text, node.elts))})"
        if isinstance(node, ast.Starred):
            return rf"{self.text(node.value)}"
        return rf"\texttt{{{_plain(ast.unparse(node))}}}"

    def index(self, node):
        """An index, without the spaces and points of multiplication."""
        if isinstance(node, ast.Tuple):
            return ", ".join(map(self.index, node.elts))
        text = re.sub(r"np\.array\((\[.*\])\)", r"\1", ast.unparse(node))
        return _plain(text).replace(" * ", "").replace(" ", "")

    def operation(self, node, strength):
        """Two operands with a sign between them, one above the other, or as a power."""
        kind = type(node.op)
        if kind is ast.Div:
            return rf"\frac{{{self.text(node.left)}}}{{{self.text(node.right)}}}"
        if kind is ast.Pow:
            return f"{self.text(node.left, 9)}^{{{self.text(node.right)}}}"
        own = 1 if kind in (ast.Add, ast.Sub) else 2
        text = self.text(node.left, own) + SIGNS[kind] + self.text(node.right, own + (own == 1))
        return rf"\left({text}\right)" if own < strength else text

    def call(self, node):
        """A call of a function or method."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        inside = [self.text(arg) for arg in node.args]
        inside += [rf"\mathrm{{{k.arg}}}={self.text(k.value)}" for k in node.keywords]
        method = isinstance(node.func, ast.Attribute) and not (
            isinstance(node.func.value, (ast.Name, ast.Attribute))
            and ast.unparse(node.func.value) in ("np", "math", "special", "np.linalg", "np.fft")
        )
        if method:
            if name == "astype":
                return self.text(node.func.value)
            inside = [self.text(node.func.value), *inside]
        if name in ("array", "float64", "float32", "float") and not method:
            return self.text(node.args[0])
        if name == "zeros":
            return "0"
        if name == "sqrt":
            return rf"\sqrt{{{inside[0]}}}"
        if name == "square":
            return f"{self.text(node.args[0], 9)}^2"
        if name in ("absolute", "fabs"):
            return rf"\left|{inside[0]}\right|"
        if name == "sum" and len(inside) == 1:
            return rf"\textstyle\sum {self.text(node.args[0], 2)}"
        known = OPERATORS.get(name) or (rf"\{name}" if name in NAMED else None)
        known = known or rf"\operatorname{{{_plain(name)}}}"
        return rf"{known}\left({', '.join(inside)}\right)"


def _below(text, index):
    """A subscript; one more where there is one."""
    found = re.fullmatch(r"(.*)_\{([^{}]*)\}", text)
    return rf"{found[1]}_{{{found[2]},\,{index}}}" if found else f"{text}_{{{index}}}"


def _name(name):
    """A name: bars and dots above, numbers below, words upright."""
    for suffix, accent in (("_bar", r"\bar"), ("_dot", r"\dot")):
        found = re.fullmatch(rf"(.+){suffix}(?:_(\d+))?", name)
        if found:
            base, again = found[1], "'" * (int(found[2]) - 1) if found[2] else ""
            plain = _name(base)
            at = plain.find("_{") if re.fullmatch(r"[A-Za-z]_?\d+", base) else -1
            body, below = (plain[:at], plain[at:]) if at > 0 else (plain, "")
            return f"{accent}{{{body}}}{below}{again}"
    numbered = re.fullmatch(r"([A-Za-z])_?(\d+)", name)
    if numbered:
        return f"{numbered[1]}_{{{numbered[2]}}}"
    return name if len(name) == 1 else rf"\mathrm{{{_plain(name)}}}"


def _number(value):
    if isinstance(value, float) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = f"{value:.6g}"
        mantissa, _, exponent = text.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else text
    return rf"\mathrm{{{_plain(value)}}}"


def _plain(text):
    return re.sub(r"([_#%&{}$])", r"\\\1", str(text))
