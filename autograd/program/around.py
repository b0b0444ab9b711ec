"""What a function finds around it: what it uses without being given it.

A training step finds its model and its optimizer in its closure, among the globals that it
names, or as attributes of what it is a method of.  What it writes down are the arrays it meets;
that they are a parameter's, to be read anew in every run and to be written, is known only by
having looked beforehand.  The same holds for settings: that one has another value by now is seen
only where it is known what there was.
"""

import functools
import operator
import sys
import types
from collections import deque

import numpy as np

from ..lazy import is_lazy
from ..primitive import Primitive, Wrapper
from ..tensor import Tensor
from ..watched import Watched

MOST = 100_000  # objects looked at: a step with a data set in its closure is no reason to stop
SCALARS = str, bytes, int, float, complex, bool, type(None), np.generic
ATOMS = (*SCALARS, np.ndarray, types.ModuleType)
FIXED = types.ModuleType, type, Primitive  # what names of globals keep standing for
NAMESPACES = "SimpleNamespace", "Namespace"  # of types and argparse: objects that users fill
DYNAMIC = {"getattr", "vars", "__dict__"}  # with these a function may read any attribute
OURS = "numpy", "autograd"
NOTHING = object()  # where a name has no value


class Holder:
    """What keeps values under names: a dict, list, deque, set, a closure's cell, an object.

    what     what a message calls it
    names    those that matter, of globals and slots; None for all
    inside   whether it belongs to an optimizer or the like, whose acts every run repeats
    """

    def __init__(self, owner, what, names=None, inside=False):
        self.owner, self.what, self.names, self.inside = owner, what, names, inside

    def items(self):
        """Name -> value, now."""
        owner = self.owner
        if isinstance(owner, types.CellType):
            return {"cell_contents": getattr(owner, "cell_contents", NOTHING)}
        if isinstance(owner, dict):
            if self.names is None:
                return dict(owner)
            return {name: owner.get(name, NOTHING) for name in self.names}
        if self.names is not None:
            return {name: getattr(owner, name, NOTHING) for name in self.names}
        return dict(enumerate(owner))

    def values(self):
        """The values alone."""
        owner = self.owner
        if type(owner) is types.CellType:
            return (getattr(owner, "cell_contents", NOTHING),)
        if self.names is None:
            return owner.values() if isinstance(owner, dict) else owner
        return self.items().values()

    def restore(self, items):
        """Have it keep what it kept."""
        owner = self.owner
        if self.names is not None or isinstance(owner, types.CellType):
            for name, value in items.items():
                self.put(name, value)
            return
        owner.clear()
        if isinstance(owner, (list, deque)):
            owner.extend(items.values())
        else:
            owner.update(items if isinstance(owner, dict) else items.values())

    def put(self, name, value):
        """Keep a value under a name."""
        owner = self.owner
        if isinstance(owner, (dict, list)):
            if value is NOTHING:
                owner.pop(name, None)
            else:
                owner[name] = value
        elif isinstance(owner, functools.partial):
            owner.__setstate__((owner.func, value, owner.keywords, owner.__dict__))
        elif value is not NOTHING:
            setattr(owner, name, value)
        elif hasattr(owner, name):
            delattr(owner, name)

    def arrays(self):
        """``(name, value)`` of arrays, and of tuples, that can be put in another's place."""
        if isinstance(self.owner, (deque, set)):
            return []
        return [(n, x) for n, x in self.items().items() if is_array(x) or isinstance(x, tuple)]


class Around:
    """What is within reach of the function `f` and of `args`, each once.

    tensors      inputs (or constants)
    modules      what has a ``training`` mode
    generators   NumPy's
    iterators    what may give something else whenever it is asked, where `f` may ask
    holders      what keeps what it finds
    names        all that its text uses, and that of what it may call
    watched      the holders that it may read itself: of an object only attributes that it names
    settings     whether it names an optimizer's settings
    lazy         whether there are arrays that are computed later
    """

    def __init__(self, f, args):
        self.names, self._named, self.settings, self._again = set(), {}, False, False
        self.lazy = False
        self._walk(f, args, _every)
        self._walk_names()
        holders, self._again = self.holders, True
        tensors, modules, generators = self.tensors, self.modules, self.generators
        self._walk(f, args, _every if self.names & {"*"} else self.names.__contains__)
        self.watched = [h for h in self.holders if not h.inside]
        self.tensors, self.modules, self.generators = tensors, modules, generators
        self.holders = holders

    def _walk(self, f, args, follows):
        """Open all there is, and of objects other than modules the attributes with these names."""
        self.tensors, self.modules, self.generators, self.iterators = [], [], [], []
        self.holders, self._follows, self._seen = [], follows, set()
        self._todo = [*((x, False, True) for x in args), (f, False, False)]
        while self._todo and len(self._seen) < MOST:
            x, inside, given = self._todo.pop()
            if not isinstance(x, ATOMS) and id(x) not in self._seen:
                self._seen.add(id(x))
                self._open(x, inside, given)

    def _open(self, x, inside, given):
        """What is in an object.

        given   whether it is an argument, or a list or the like in one
        """
        if type(x) is Tensor:
            if x.node.primitive is None:
                self.tensors.append(x)
        elif isinstance(x, (Wrapper, Primitive)):
            pass
        elif isinstance(x, np.random.Generator):
            self.generators.append(x)
        elif isinstance(x, (list, dict, set, deque)):
            values = x.values() if isinstance(x, dict) else x
            self._todo += [(value, inside, given) for value in values]
            if not given:
                self.holders.append(Holder(x, f"a {type(x).__name__}", None, inside))
        elif isinstance(x, (tuple, frozenset)):
            self._todo += [(value, inside, given) for value in x]
        elif isinstance(x, types.FunctionType):
            self._function(x, inside)
        elif isinstance(x, types.MethodType):
            self._todo += (x.__func__, inside, False), (x.__self__, inside, False)
        elif isinstance(x, functools.partial):
            self._todo += [(part, inside, False) for part in (x.func, *x.args, x.keywords)]
            self.holders.append(Holder(x, "a partial function", ["args"], inside))
        elif isinstance(x, type):
            self._class(x, inside)
        elif is_lazy(x):
            self.lazy = True
        elif hasattr(type(x), "__next__"):
            self.iterators.append(x)
        elif _is_library(type(x).__module__) and type(x).__name__ not in NAMESPACES:
            self._todo.append((getattr(x, "__wrapped__", None), inside, False))
        else:
            self._object(x, inside or _top(type(x).__module__) == "optim")

    def _object(self, x, inside):
        """Attributes; of a module all, which looks for its parameters among them."""
        is_module = isinstance(getattr(x, "training", None), bool)
        if is_module:
            self.modules.append(x)
        found, what = {}, f"a {type(x).__name__}"
        if hasattr(x, "__dict__"):
            found = x.__dict__
            self._seen.add(id(found.get("_buffers")))  # read and assigned by `repeat`
            names = None if self._follows is _every else [*filter(self._follows, found)]
            self.holders.append(Holder(found, what, None if is_module else names, inside))
            if inside and self._again:  # what is loaded takes others' places
                names = [n for n, value in found.items() if isinstance(value, (list, dict))]
                self.holders.append(Holder(found, what, names))
        slots = [s for kind in type(x).__mro__ for s in _slots(kind) if hasattr(x, s)]
        if slots:
            self.holders.append(Holder(x, what, slots, inside))
            found = found | {name: getattr(x, name) for name in slots}
        self._todo += [
            (value, inside, False)
            for name, value in found.items()
            if is_module or inside or self._follows(name)
        ]
        self._todo.append((type(x), inside, False))

    def _class(self, x, inside):
        """Methods, which are called where their names are used."""
        for kind in x.__mro__:
            if _is_library(kind.__module__):
                continue
            for name, method in vars(kind).items():
                method = getattr(method, "fget", None) or getattr(method, "__func__", method)
                if isinstance(method, types.FunctionType):
                    is_special = name.startswith("__") and name != "__init__"
                    self._named.setdefault(None if is_special else name, []).append(method)
                    self._todo += [(value, inside, False) for _, value in _used(method)[1]]
            settings = [n for n, x in vars(kind).items() if self._follows(n) and _is_setting(x)]
            if settings and _top(kind.__module__) not in ("nn", "optim"):
                self.holders.append(Holder(kind, f"the class {kind.__name__}", settings, inside))
                self._todo += [(vars(kind)[name], inside, False) for name in settings]

    def _function(self, f, inside):
        """What its text can mean: cells of its closure, defaults, globals that it names."""
        self._named.setdefault(None, []).append(f)
        found = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
        found.append(getattr(f, "__wrapped__", None))
        ours = _is_library(_module(f)) and not _is_typed_in(f)
        mine = not ours and _top(_module(f)) not in ("nn", "optim")
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            value = getattr(cell, "cell_contents", NOTHING)  # it may not be filled yet
            if not (ours and hasattr(type(value), "__next__")):  # of ours, a counter of levels
                found.append(value)
            if not ours and id(cell) not in self._seen:
                self._seen.add(id(cell))
                self.holders.append(Holder(cell, f"{name!r}", None, inside))
        space, named = _used(f)
        found += [value for _, value in named]
        names = [name for name, value in named if not _is_fixed(value)]
        if names and mine:
            self.holders.append(Holder(space, "the globals", names, inside))
        if f.__defaults__ and mine:
            self.holders.append(Holder(f, f"{f.__name__}", ["__defaults__"], inside))
        if f.__dict__.keys() - {"__wrapped__"} and mine:
            found.append(f.__dict__)
        self._todo += [(value, inside, False) for value in found]

    def _walk_names(self):
        """Names used by functions that are found themselves, and by methods whose names are."""
        ready = self._named.pop(None, [])
        while ready:
            for f in ready:
                names = _names(f.__code__)
                self.names |= names
                mine = _top(_module(f)) not in ("nn", "optim", *OURS)
                if mine and names & DYNAMIC:
                    self.names.add("*")
                self.settings |= "param_groups" in names and _top(_module(f)) != "optim"
            ready = [f for n in [*self._named] if n in self.names for f in self._named.pop(n)]


def _every(name):
    return True


def as_it_was(holders):
    """A function that tells whether they keep what they keep now: the same objects, numbers of
    the same value, arrays of the same shape and type.
    """
    kept = [[holder, holder.items()] for holder in holders]
    fast = [[holder, tuple(items.values())] for holder, items in kept]

    def unchanged():
        for i, (holder, then) in enumerate(fast):
            now = holder.values()
            if len(now) == len(then) and all(map(operator.is_, now, then)):
                continue
            before, items = kept[i][1], holder.items()
            if before.keys() != items.keys():
                return False
            if not all(map(_alike, before.values(), items.values())):
                return False
            kept[i][1], fast[i][1] = items, tuple(items.values())
        return True

    return unchanged if kept else None


def _alike(a, b):
    """Whether a program that found `a` may find `b`."""
    if a is b:
        return True
    if is_array(a):
        return type(a) is type(b) and a.shape == b.shape and a.dtype == b.dtype
    return type(a) is type(b) and isinstance(a, SCALARS) and repr(a) == repr(b)


def is_array(x):
    """Whether it is an array of numbers of the kind that is computed with."""
    return type(x) in (np.ndarray, Watched) and x.dtype.kind in "fiub"


def _used(f):
    """A function's globals, and ``(name, value)`` of those that its text names."""
    space = f.__globals__
    if _is_library(_module(f)) and not _is_typed_in(f):
        return space, []
    return space, [(name, space[name]) for name in sorted(_names(f.__code__)) if name in space]


def _is_fixed(value):
    """Whether a global is one that nobody gives another value: what is imported."""
    return isinstance(value, FIXED) or (
        callable(value) and _is_library(getattr(value, "__module__", None) or "numpy")
    )


def _is_setting(x):
    """Whether an attribute of a class is a value, for its objects to read."""
    return isinstance(x, (*SCALARS, np.ndarray, tuple, list, dict)) and not isinstance(x, str)


def _module(f):
    """The module that a function's text is from; `functools.wraps` has it say another's."""
    return f.__globals__.get("__name__", "")


def _is_typed_in(f):
    return f.__code__.co_filename.startswith("<")  # as in a docstring's example


def _names(code):
    """The names that a function's text uses, functions inside it and words in it included."""
    inside = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    words = [c for c in code.co_consts if isinstance(c, str) and c.isidentifier()]
    return {*code.co_names, *words, *(name for c in inside for name in _names(c))}


def _slots(kind):
    slots = vars(kind).get("__slots__", ())
    return [s for s in ((slots,) if isinstance(slots, str) else slots) if not s.startswith("__")]


def _top(module):
    return module.partition(".")[0]


def _is_library(module):
    """Whether a module of this name belongs to what no user's parameter is kept in."""
    top = _top(module)
    return top in OURS or top in sys.stdlib_module_names and top != "__main__"
