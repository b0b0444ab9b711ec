"""A function, or its derivative, as a straight list of NumPy calls with names: a `Program`."""

import ast
import inspect
import keyword
import linecache
import re

import numpy as np

from ..forward import push_forward
from ..graph import history
from ..primitive import kind_of, leaves, mapped_over, plain
from ..reverse import as_derivative, finish, pull_back
from ..transforms import Recorded, called, ones
from ..tree import flatten, paths
from .trace import Tape, Traced, Var

WHAT = ("value", "tangent", "gradient", "hvp")
TAKEN = {*keyword.kwlist, "np", "math", "range", "reversed", "float"}


class Program:
    """What `f` (or its derivative) does, written down.

    lines        the calls, in order
    parameters   names of the function's parameters, in order
    inputs       Var -> its path, ``(parameter, rest)``: ``("w", "[0]")``
    outputs      what is returned: a tree of Vars and constants
    names        Var -> the name it is to have
    of           Var of a derivative -> the Var it is the derivative of, and the suffix of its name
    tape         the `Tape`, with the places where values were looked at
    """

    def __init__(self, f, args, of="value", argnums=None):
        if of not in WHAT:
            raise ValueError(f"of is one of {', '.join(map(repr, WHAT))}, not {of!r}")
        self.f, self.what, self.tape = f, of, Tape()
        self.forward = None  # the Vars of the value alone; None for all
        self.parameters, self.inputs, self.names, self.of = [], {}, {}, {}
        traced, places = self._trace_arguments(f, args)
        if not places:
            raise TypeError(f"source: {called(f)} was given no floating-point argument to trace")
        if argnums is None:
            argnums = tuple(places)
        several = not isinstance(argnums, int)
        if of == "value":
            self.outputs = self._vars(f(*traced))
        elif of == "tangent":
            self.outputs = self._tangent(f, argnums, traced)
        elif of == "gradient":
            self.outputs = self._gradient(f, argnums, traced)
            if several and len(argnums) == 1:
                (self.outputs,) = self.outputs
        else:
            self.outputs = self._hvp(f, argnums, traced)
        self.lines, stands = simplified(self.tape.lines, self.output_vars())
        self.outputs = mapped_over(lambda x: stands.get(x, x) if isinstance(x, Var) else x,
                                   self.outputs)  # fmt: skip
        self._name_by_source()

    def output_vars(self):
        """The Vars that are returned."""
        return [x for x in leaves(self.outputs) if isinstance(x, Var)]

    # --- arguments ---

    def _trace_arguments(self, f, args):
        """The arguments with their arrays and floats traced; which of them hold floats."""
        traced, places = [], []
        for i, (name, arg) in enumerate(zip(_parameter_names(f, args), args, strict=True)):
            values, rebuild = flatten(arg)
            where = paths(arg) if len(values) != 1 or values[0] is not arg else [""]
            module = hasattr(arg, "named_parameters")
            if not module:
                self.parameters.append(name)
            found = []
            for value, path in zip(values, where, strict=True):
                value = plain(value)
                if kind_of(value) not in ("f", "i", "u", "b"):
                    found.append(value)
                    continue
                given = (_identifier(path), "") if module else (name, path)
                if module:
                    self.parameters.append(given[0])
                leaf = self.tape.input(value)
                self.inputs[leaf.var] = given
                found.append(leaf)
                if kind_of(value) == "f" and i not in places:
                    places.append(i)
            traced.append(rebuild(found))
        return traced, places

    def _direction(self, selected, suffix):
        """Inputs for a direction: one more parameter for each that is moved."""
        found = []
        for leaf in flatten(selected)[0]:
            direction = self.tape.input(ones(plain(leaf)))
            name, path = self.inputs[self.tape.var_of(leaf)]
            self.inputs[direction.var] = (f"{name}{suffix}", path)
            if f"{name}{suffix}" not in self.parameters:
                self.parameters.append(f"{name}{suffix}")
            found.append(direction)
        return found

    def _vars(self, tree):
        return mapped_over(self.tape.var_of, _opened(tree))

    # --- derivatives ---

    def _tangent(self, f, argnums, traced):
        run = Recorded(f, argnums, traced, {})
        moves = self._direction([v.node.value for v in run.variables], "_dot")
        starts = {v.node: t for v, t in zip(run.variables, moves, strict=True)}
        nodes = history(*filter(None, run.nodes))
        pushed = dict(zip(nodes, push_forward(nodes, starts), strict=True))
        self._note(nodes, [pushed[node] for node in nodes], "_dot")
        tangents = [
            as_derivative(pushed.get(node), value)
            for node, value in zip(run.nodes, run.values, strict=True)
        ]
        return self._vars((run.rebuild_result(run.values), run.rebuild_result(tangents)))

    def _gradient(self, f, argnums, traced):
        run = Recorded(f, argnums, traced, {})
        if len(run.values) != 1 or np.size(plain(run.values[0])) != 1:
            raise TypeError(f"source: the gradient is of one number, {called(f)} returned more")
        return self._vars(run.rebuild(self._pull(run)))

    def _pull(self, run):
        """Pull the seed back, noting which cotangent belongs to which value."""
        (output,), (value,) = run.nodes, run.values
        if output is None:
            raise TypeError(f"source: {called(self.f)} does not depend on its arguments")
        lines = {}
        for line in self.tape.lines:
            lines |= dict.fromkeys(line.writes(), line.where)
        nodes, self.forward = history(output), {*lines}

        def visiting():  # what is written down while a node is visited is due to its line
            for node in nodes:
                made = leaves(node.value) if node.primitive else ()
                made = (self.tape.var_of(x) for x in made)
                self.tape.at = next((lines.get(x) for x in made if isinstance(x, Var)), None)
                yield node

        self.names.setdefault(self.tape.var_of(value), "y")
        seed = self.tape.input(plain(ones(plain(value))))
        self.seed = seed.var
        kept = pull_back(visiting(), {output: seed}, keep=frozenset(nodes))
        self.tape.at = None
        self._note(nodes, [kept.get(node) for node in nodes], "_bar")
        return finish([v.node for v in run.variables], kept)

    def _note(self, nodes, derivatives, suffix):
        for node, d in zip(nodes, derivatives, strict=True):
            value, d = self.tape.var_of(node.value), self.tape.var_of(d)
            if isinstance(value, Var) and isinstance(d, Var):
                self.of.setdefault(d, (value, suffix))

    def _hvp(self, f, argnums, traced):
        from ..matrices import hvp

        places = argnums if isinstance(argnums, tuple) else (argnums,)
        selected = [traced[i] for i in places]
        moves = self._direction(selected, "_dot")
        values, rebuild = flatten(selected)

        def chosen(*xs):
            every, found = list(traced), iter(rebuild(list(xs)))
            for i in places:
                every[i] = next(found)
            return f(*every)

        found = hvp(chosen, tuple(values), tuple(moves))
        found = rebuild(list(found) if isinstance(found, tuple) else [found])
        return self._vars(found if len(places) > 1 else found[0])

    # --- names ---

    def _name_by_source(self):
        """Names of the user's own: the last value that a line ``name = ...`` made has that name."""
        last = {}
        for line in self.lines:
            if line.where and (self.forward is None or not self.forward.isdisjoint(line.writes())):
                last.setdefault(line.where, []).append(line)
        for where, lines in last.items():
            name = assigned(*where)
            if name:
                for run in _consecutive(lines, self.lines):
                    if isinstance(run[-1].results, Var):
                        self.names[run[-1].results] = name


def simplified(lines, outputs):
    """`lines` without those nothing depends on, and without a second computation of the same;
    and which Var stands for which that was left out.
    """
    same, stands = {}, {}
    kept = []

    def current(x):
        return stands.get(x, x) if isinstance(x, Var) else x

    for line in lines:
        line.args, line.options = mapped_over(current, [line.args, line.options])
        key = _key(line)
        first = same.get(key) if key else None
        if first is None:
            same[key] = line
            kept.append(line)
        else:
            stands |= dict(zip(line.writes(), first.writes(), strict=True))
    needed, found = {stands.get(var, var) for var in outputs}, []
    for line in reversed(kept):
        if not needed.isdisjoint(line.writes()):
            needed |= {*line.reads()}
            found.append(line)
    return found[::-1], stands


def _key(line):
    """What makes two calls the same; None for draws, and for what holds other things."""
    if "generator" in line.options:
        return None
    try:
        return line.operation, _frozen(line.args), _frozen(line.options)
    except TypeError:
        return None


def _frozen(x):
    """A value, or a container of values, as something to compare."""
    if isinstance(x, (list, tuple)):
        return type(x), *map(_frozen, x)
    if isinstance(x, dict):
        return dict, *((key, _frozen(value)) for key, value in x.items())
    if isinstance(x, slice):
        return slice, *map(_frozen, (x.start, x.stop, x.step))
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype.str, x.tobytes()
    if isinstance(x, (float, np.generic)):
        return type(x), repr(x)
    hash(x)
    return type(x), x


def _consecutive(lines, every):
    """Runs of `lines` that follow one another in `every`."""
    places = {id(line): i for i, line in enumerate(every)}
    runs = []
    for line in lines:
        if runs and places[id(line)] == places[id(runs[-1][-1])] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs


def assigned(file, number):
    """The name to which line `number` of a file assigns; None if it does not, or to several."""
    text = linecache.getline(file, number).strip()
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        target = statement.target
    else:
        return None
    name = target.id if isinstance(target, ast.Name) else None
    return None if name is None or name in TAKEN else name


def _parameter_names(f, args):
    try:
        names = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        names = []
    names += [f"x{i}" for i in range(len(names), len(args))]
    return names[: len(args)]


def _identifier(path):
    return re.sub(r"\W+", "_", path).strip("_")


def _opened(tree):
    """A result with its containers as lists and tuples; TypeError for other things."""
    if isinstance(tree, (Traced, float, int, np.ndarray, np.generic)) or tree is None:
        return tree
    if type(tree) in (list, tuple):
        return type(tree)(map(_opened, tree))
    if type(tree) is dict:
        return {key: _opened(value) for key, value in tree.items()}
    if hasattr(tree, "named_parameters"):
        return flatten(tree)[0]
    values, _ = flatten(tree)
    return tuple(map(_opened, values)) if len(values) != 1 or values[0] is not tree else tree
