"""A function, or its derivative, as a straight list of NumPy calls with names: a `Program`."""

import ast
import inspect
import keyword
import linecache
import re

import numpy as np

from ..forward import push_forward
from ..graph import history
from ..matrices import hvp
from ..primitive import Wrapper, kind_of, leaves, mapped_over, plain
from ..reverse import as_derivative, finish, pull_back
from ..transforms import Recorded, called, chosen, ones, result_of
from ..tree import flatten, paths
from .simplify import reads_late, simplified, standing, without_idle
from .trace import ON_STACK, Tape, Traced, Var

WHAT = ("value", "tangent", "gradient", "hvp")
TAKEN = {*keyword.kwlist, "np", "math", "special", "range", "reversed", "float"}


class Program:
    """What `f` (or its derivative) does, written down.

    lines        the calls, in order
    parameters   names of the function's parameters, in order
    inputs       Var -> its path, ``(parameter, rest)``: ``("w", "[0]")``
    selected     names of the arguments that are differentiated by
    directions   the Vars of a tangent's or a Hessian product's direction
    known        arrays that `f` finds around it, see `known_arrays`
    outputs      what is returned: a tree of Vars and constants
    names        Var -> the name it is to have
    of           Var of a derivative -> the Var it is the derivative of, and the suffix of its name
    tape         the `Tape`, with the places where values were looked at
    """

    def __init__(self, f, args, of="value", argnums=None):
        if not callable(f):
            raise TypeError(f"source: the first argument is a function, not {f!r}")
        if of not in WHAT:
            raise ValueError(f"source: of is one of {', '.join(map(repr, WHAT))}, not {of!r}")
        self.f, self.what, self.tape = f, of, Tape()
        self.forward = None  # the Vars of the value alone; None for all
        self.parameters, self.inputs, self.names, self.of = [], {}, {}, {}
        self.directions, self.known, self.called = [], known_arrays(f), []
        traced, places = self._trace_arguments(f, args)
        if not places:
            raise TypeError(f"source: {called(f)} was given no floating-point argument to trace")
        if argnums is None:
            argnums = tuple(places)
        chosen(f, argnums, args)  # says what is wrong with argnums
        several = not isinstance(argnums, int)
        argnums = tuple(range(len(args))[i] for i in (argnums if several else (argnums,)))
        for i in argnums:
            if i not in places:
                raise TypeError(
                    f"source: argument {self.called[i]} of {called(f)} holds no floating-point "
                    f"number: write 2.0 instead of 2, or x.astype(float)"
                )
        if of == "value":
            argnums = tuple(places)
        self.selected = [self.called[i] for i in argnums]
        derive = {"tangent": self._tangent, "gradient": self._gradient, "hvp": self._hvp}
        if of == "value":
            self.outputs = self._vars(result_of(f, traced, {}))
        else:
            self.outputs = derive[of](f, argnums, traced)
        if of in ("gradient", "hvp") and len(argnums) == 1:
            (self.outputs,) = self.outputs
        self.lines = self._standing(*without_idle(self.tape.lines))
        self.lines = self._standing(*simplified(self.lines, self.output_vars()))
        self._find_moved()
        self._name_by_source()
        self.lines = reads_late(self.lines, self.names)

    def output_vars(self):
        """The Vars that are returned."""
        return [x for x in leaves(self.outputs) if isinstance(x, Var)]

    def _standing(self, lines, stands):
        """`lines`, after what was left out of them has been replaced by what stands for it."""
        self.outputs = standing(self.outputs, stands)
        self.of = {stands.get(d, d): value for d, value in reversed(self.of.items())}
        return lines

    # --- arguments ---

    def _trace_arguments(self, f, args):
        """The arguments with their arrays and floats traced; which of them hold floats."""
        traced, places = [], []
        for i, (name, arg) in enumerate(zip(_parameter_names(f, args), args, strict=True)):
            values, rebuild = flatten(arg)
            where = paths(arg) if len(values) != 1 or values[0] is not arg else [""]
            module = hasattr(arg, "named_parameters")
            if not module:
                name = self._parameter(name)
            self.called.append(name)
            found = []
            for value, path in zip(values, where, strict=True):
                value = plain(value)
                if kind_of(value) not in ("f", "i", "u", "b"):
                    found.append(value)
                    continue
                given = (name, path)
                if module:
                    given = (self._parameter(_identifier(path)), "")
                leaf = self.tape.input(value)
                self.inputs[leaf.var] = given
                found.append(leaf)
                if kind_of(value) == "f" and i not in places:
                    places.append(i)
            traced.append(rebuild(found))
        return traced, places

    def _parameter(self, name):
        """A further parameter, called `name` where that is free."""
        while name in TAKEN or name in self.parameters:
            name += "_"
        self.parameters.append(name)
        return name

    def _directions(self, variables):
        """Inputs for a direction: one more parameter for each that is moved."""
        found, names = [], {}
        for leaf in variables:
            direction = self.tape.input(ones(plain(leaf)))
            name, path = self.inputs[self.tape.var_of(leaf)]
            if name not in names:
                names[name] = self._parameter(f"{name}_dot")
            self.inputs[direction.var] = names[name], path
            self.directions.append(direction.var)
            found.append(direction)
        return found

    def _vars(self, tree):
        return mapped_over(self.tape.var_of, _opened(tree))

    # --- derivatives ---

    def _tangent(self, f, argnums, traced):
        run = Recorded(f, argnums, traced, {})
        computed, self.tape.at = len(self.tape.lines), None
        moves = self._directions([v.node.value for v in run.variables])
        starts = {v.node: t for v, t in zip(run.variables, moves, strict=True)}
        nodes = history(*filter(None, run.nodes))
        pushed = dict(zip(nodes, push_forward(nodes, starts), strict=True))
        self._note(nodes, [pushed[node] for node in nodes], "_dot")
        tangents = [
            as_derivative(pushed.get(node), value)
            for node, value in zip(run.nodes, run.values, strict=True)
        ]
        self._interleave(computed, nodes, pushed)
        return self._vars((run.rebuild_result(run.values), run.rebuild_result(tangents)))

    def _interleave(self, computed, nodes, pushed):
        """The tangent of each value beside it, as early as what it is made of is there."""
        where, lines = self._where_made(), self.tape.lines
        self.forward = {var for line in lines[:computed] for var in line.writes()}
        ends = {}
        for node in nodes:
            made = [self.tape.var_of(x) for x in leaves(pushed[node])]
            at = self._line_of(node, where)
            ends |= dict.fromkeys([x for x in made if isinstance(x, Var)], at)
        groups = []  # the lines that make one tangent
        for line in lines[computed:]:
            if not groups or not ends.keys().isdisjoint(groups[-1][-1].writes()):
                groups.append([])
            groups[-1].append(line)
        place = {var: i for i, line in enumerate(lines[:computed]) for var in line.writes()}
        sooner = [(i, -1, line) for i, line in enumerate(lines[:computed])]
        for k, group in enumerate(groups):
            own = max((place.get(x, -1) for line in group for x in line.reads()), default=-1)
            at = next((ends[x] for x in group[-1].writes() if x in ends), None)
            for line in group:
                line.where = at
                place |= dict.fromkeys(line.writes(), own)
                sooner.append((own, k, line))
        self.tape.lines = [line for *_, line in sorted(sooner, key=lambda x: x[:2])]

    def _gradient(self, f, argnums, traced):
        run = Recorded(f, argnums, traced, {})
        if isinstance(run.result, (list, tuple, dict)) or np.size(plain(run.values[0])) != 1:
            raise TypeError(
                f"source: the gradient is of one number, {called(f)} returned more: reduce it "
                f'(np.sum, np.mean), or take of="tangent"'
            )
        return self._vars(run.rebuild(self._pull(run)))

    def _where_made(self):
        """Var -> the user's line that made it."""
        return {var: line.where for line in self.tape.lines for var in line.writes()}

    def _line_of(self, node, where):
        made = leaves(node.value) if node.primitive else ()
        made = [self.tape.var_of(x) for x in made]
        return next((where[x] for x in made if isinstance(x, Var) and where.get(x)), None)

    def _pull(self, run):
        """Pull the seed back, noting which cotangent belongs to which value."""
        (output,), (value,) = run.nodes, run.values
        if output is None:
            raise TypeError(f"source: {called(self.f)} does not depend on its arguments")
        where = self._where_made()
        nodes, self.forward = history(output), {*where}

        def visiting():  # what is written down while a node is visited is due to its line
            for node in nodes:
                self.tape.at = self._line_of(node, where)
                yield node

        self.names.setdefault(self.tape.var_of(value), "y")
        seed = self.tape.input(plain(ones(plain(value))))
        self.seed = seed.var
        kept = pull_back(visiting(), {output: seed}, keep=frozenset(nodes))
        self.tape.at = None
        self._note(nodes, [kept.get(node) for node in nodes], "_bar")
        variables = [v.node for v in run.variables]
        found = finish(variables, kept)
        self._note(variables, found, "_bar")
        return found

    def _note(self, nodes, derivatives, suffix):
        for node, d in zip(nodes, derivatives, strict=True):
            value, d = self.tape.var_of(node.value), self.tape.var_of(d)
            if isinstance(value, Var) and isinstance(d, Var):
                self.of.setdefault(d, (value, suffix))

    def _hvp(self, f, argnums, traced):
        values, rebuild = flatten([traced[i] for i in argnums])
        moves = self._directions(values)

        def of_leaves(*xs):
            every, self.tape.at = list(traced), ON_STACK
            for i, x in zip(argnums, rebuild(list(xs)), strict=True):
                every[i] = x
            y = f(*every)
            self.tape.at = None
            return y

        self.tape.at, of_leaves.__name__ = None, called(f)
        found = hvp(of_leaves, tuple(values), tuple(moves))
        for value, h in zip(values, found, strict=True):
            h = self.tape.var_of(h)
            if isinstance(h, Var):
                self.of.setdefault(h, (self.tape.var_of(value), "_hvp"))
        return self._vars(tuple(rebuild(list(found))))

    # --- names ---

    def _name_by_source(self):
        """Names of the user's own: the last value that a line ``name = ...`` made has that name."""
        last = {}
        for line in self.lines:
            if line.where and (self.forward is None or not self.forward.isdisjoint(line.writes())):
                last.setdefault(line.where, []).append(line)
        places = {id(line): i for i, line in enumerate(self.lines)}
        named = self._name_run_of_both if self.what == "hvp" else self._name_run
        for where, lines in last.items():
            name = assigned(*where)
            if name:
                for run in _consecutive(lines, places):
                    named(run, name)

    def _name_run(self, run, name):
        if isinstance(run[-1].results, Var):
            self.names[run[-1].results] = name

    def _name_run_of_both(self, run, name):
        """The same where values and their tangents are made in turn: it is those that are read
        by other lines of the user's.
        """
        inside = {id(line) for line in run}
        for moves, full in ((False, name), (True, f"{name}_dot")):
            for line in reversed(run):
                read = self.readers.get(line.results, ()) if line.results in self.readers else ()
                outside = [x for x in read if x.where and id(x) not in inside]
                if (line.results in self.moved) == moves and any(
                    moves or x.results not in self.moved for x in outside
                ):
                    self.names[line.results] = full
                    break

    def _find_moved(self):
        """Which values are of tangents, and who reads what."""
        self.moved, self.readers = {*self.directions}, {}
        for line in self.lines:
            for x in line.reads():
                self.readers.setdefault(x, []).append(line)
            if not self.moved.isdisjoint(line.reads()):
                self.moved.update(line.writes())


def known_arrays(f):
    """Where an array is that `f` finds around it -> (the array, what it is called there)."""
    while hasattr(f, "func"):
        f = f.func
    f = getattr(f, "__wrapped__", f)
    code = getattr(f, "__code__", None)
    cells = zip(
        code.co_freevars if code else (), getattr(f, "__closure__", None) or (), strict=True
    )
    around = {name: cell.cell_contents for name, cell in cells if _filled(cell)}
    space = getattr(f, "__globals__", {})
    around |= {name: space[name] for name in (code.co_names if code else ()) if name in space}
    if hasattr(f, "__self__"):
        around["self"] = f.__self__
    found = {}
    for name, value in around.items():
        if hasattr(value, "named_parameters"):
            pairs = [*value.named_parameters(), *value.named_buffers()]
            pairs = [(f"{name}_{path}", part) for path, part in pairs]
        elif isinstance(value, (list, tuple, dict, np.ndarray, Wrapper)):
            pairs = zip([f"{name}{path}" for path in paths(value)], flatten(value)[0], strict=True)
        else:
            continue
        for path, part in pairs:
            part = plain(part)
            if isinstance(part, np.ndarray):
                found[where_in_memory(part)] = part, _identifier(path)
    return found


def where_in_memory(x):
    """What tells an array from others, but for another view of the same."""
    return x.__array_interface__["data"][0], x.dtype, x.shape, x.strides


def _filled(cell):
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _consecutive(lines, places):
    """Runs of `lines` that follow one another."""
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
    return [*names, *(f"x{i}" for i in range(len(names), len(args)))][: len(args)]


def _identifier(path):
    """A path as a name: ``layers.0.weight`` as layers_0_weight."""
    name = re.sub(r"\W+", "_", path).strip("_")
    return name if name.isidentifier() else f"p_{name}"


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
