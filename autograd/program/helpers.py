"""The text of functions that have no name in NumPy: taken from our own source, with what they use.

`conv` is one function of NumPy calls in `nn.convolution`; a program that needs it carries that
function's text along.
"""

import ast
import builtins
import inspect
import re
import sys
import textwrap
import types


class Helpers:
    """Functions whose text a program carries along.

    texts     name -> text, in the order in which they must stand
    imports   lines that these texts need
    """

    def __init__(self, taken):
        self.taken, self.texts, self.imports = taken, {}, {}
        self.names = {}  # function -> its name in the text

    def add(self, function, name):
        """Take along `function`; returns its name.  TypeError where it has no text of its own."""
        if function in self.names:
            return self.names[function]
        found = re.sub(r"\W+", "", name).lstrip("_")
        found = found if found.isidentifier() and found != "lambda" else "helper"
        while found in self.taken:
            found += "_"
        self.taken.add(found)
        self.names[function] = found
        if getattr(function, "__closure__", None):
            raise TypeError(f"source: {name} has no text in NumPy: it is made by another function")
        tree = _tree(function)
        uses = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - _own_names(tree)
        renamed = {used: self._use(used, function) for used in sorted(uses)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = renamed.get(node.id, node.id)
        tree.name = found
        self.texts[found] = ast.unparse(ast.fix_missing_locations(tree))
        return found

    def _use(self, name, function):
        """What `function` calls `name`, and what it is called in the text."""
        space = vars(sys.modules[function.__module__])
        if name not in space:
            if hasattr(builtins, name):
                return name
            raise TypeError(f"source: {function.__name__} uses {name}, which is not there")
        value = space[name]
        module = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType):
            plain = value.__name__ if value.__name__ != "numpy" else "numpy as np"
            self.imports[f"import {plain}"] = None
            return name if value.__name__ != "numpy" else "np"
        if isinstance(value, (types.FunctionType, type)) and not module.startswith("numpy"):
            if module.partition(".")[0] in ("autograd", "nn", "optim"):
                return self.add(value, name)
        if isinstance(value, (int, float, str, tuple, type(None))):
            self.texts[name] = f"{name} = {value!r}"
            return name
        if module and not module.startswith(("autograd", "nn", "optim")):
            owner = {"_functools": "functools", "_operator": "operator"}.get(module, module)
            self.imports[f"from {owner} import {value.__name__}"] = None
            return value.__name__
        raise TypeError(f"source: {function.__name__} uses {name}, which is no function of NumPy")


def _tree(function):
    """The definition of a function, lambda or class, without decorators or docstrings."""
    if function.__name__ != "<lambda>":
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        tree.decorator_list = []
        for part in ast.walk(tree):
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                first = part.body[0]
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    part.body = part.body[1:] or [ast.Pass()]
        return tree
    whole = ast.parse(inspect.getsource(inspect.getmodule(function)))
    line = function.__code__.co_firstlineno
    columns = [c for _, _, c, _ in function.__code__.co_positions() if c]
    for node in ast.walk(whole):
        if isinstance(node, ast.Lambda) and node.lineno == line:
            body = node.body
            one_line = node.lineno == node.end_lineno
            if (
                not one_line
                or not columns
                or node.col_offset <= max(columns) <= node.end_col_offset
            ):
                value = ast.Return(body)
                return ast.FunctionDef("helper", node.args, [value], [], None, lineno=1)
    raise TypeError("source: a lambda's text was not found")


def _own_names(tree):
    """Names that a definition binds itself."""
    found = {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    return found | {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
