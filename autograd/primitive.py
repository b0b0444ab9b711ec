"""What an operation is: a function, its derivative rules, and a registry of all of them.

A few words used throughout:

primal      the value an operation is applied to
tangent     a direction in which an argument moves; a *push* (jvp) carries it to the result
cotangent   the sensitivity of the final output to a value; a *pull* (vjp) carries it from
            the result back to one argument
rule        a short piece of NumPy with the signature ``(g, y, *arguments, **options)``:
            ``g`` is a cotangent of the result (pull) or a tangent of one argument (push),
            ``y`` the operation's value

Rules speak only NumPy and operators, so NumPy's dispatch runs the same rule on plain arrays,
on recorded ones (giving higher derivatives) and on any other array type.  Broadcasting is
undone by the engine, never by a rule.  Most operations belong to a family in which half of
the rules, or all, follow by themselves:

elementwise   the Jacobian is diagonal: one expression per argument is both pull and push
linear        the push is the operation itself; only the transpose is written
bilinear      the pushes are the operation itself; two transposes are written
general       pull and push are written side by side
"""

import functools
import inspect
import sys
from functools import partial

import numpy as np

from .reads import EVERYTHING, reads_of

# what wrong arguments end in; RuntimeError where NumPy broadcasts more than 32 axes
MISTAKES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError)
registry = {}  # NumPy function (or, for our own operations, the primitive) -> how it is run


class Wrapper:
    """Base of the array types that stand in for an array while a program is transformed.

    A wrapper has a ``level``: each transformation takes a fresh, higher one, and an operation
    goes to the wrapper of the highest level among its arguments, which peels its own level
    off and applies the operation to what is inside.

    Every kind of wrapper has

    level                                    a number
    inside                                   the value one level down
    shape, dtype                             of the array that it stands in for
    bind(primitive, args, options)           the operation's result, this being the highest wrapper
    bind_constant(constant, args, options)   the same for an operation without a derivative
    map(f)                                   one like it with f applied to what is inside
    plain()                                  the array or number inside, of all levels
    beside(x)                                the plain x as this meets it: counted, where this is
    twin()                                   another handle on the same
    detach()                                 the same value as a constant
    carries_derivative                       whether this level differentiates
    hides_axis                               whether what is inside has an axis more than this
    records                                  whether it writes a program down
    """

    __slots__ = ()
    records = False
    carries_derivative = True  # or stands for plain values only, as Batch and Counted do
    hides_axis = False  # or it does, as a Batch

    def look(self, what):
        """Told where a program goes on by the values inside; what records programs notes it."""

    def beside(self, x):
        """The plain array or number `x` as a constant of the program that this takes part in."""
        inside = self.inside
        return inside.beside(x) if isinstance(inside, Wrapper) else x


def highest(values):
    """The wrapper of the highest level among `values`; None when all are plain."""
    top = None
    for value in values:
        if isinstance(value, Wrapper) and (top is None or value.level > top.level):
            top = value
    return top


def leaves(x):
    """`x`, or what is in it, if a list, tuple, dict or slice, to any depth."""
    if type(x) in (list, tuple):
        for part in x:
            yield from leaves(part)
    elif type(x) is dict:
        yield from leaves([*x.values()])
    elif type(x) is slice:
        yield from (x.start, x.stop, x.step)
    else:
        yield x


def mapped_over(f, x):
    """`x` with f applied to its `leaves`."""
    if type(x) in (list, tuple):
        return type(x)(mapped_over(f, part) for part in x)
    if type(x) is dict:
        return {key: mapped_over(f, value) for key, value in x.items()}
    if type(x) is slice:
        return slice(f(x.start), f(x.stop), f(x.step))
    return f(x)


def plain(x):
    """`x` with every wrapper, also inside lists, tuples, dicts, replaced by its plain value."""
    return mapped_over(lambda leaf: leaf.plain() if isinstance(leaf, Wrapper) else leaf, x)


def looked_at(x, what):
    """`plain` of x where the program goes on by its values, such as into a shape; not only where
    it checks them.
    """
    for leaf in leaves(x):
        while isinstance(leaf, Wrapper):
            leaf.look(what)
            leaf = leaf.inside
    return plain(x)


def valued(x):
    """The value of `x` as what goes on without derivatives takes it: plain, but for a value of a
    program that is being written down.
    """
    while isinstance(x, Wrapper) and not x.records:
        x = x.inside
    return x


def recorded(x):
    """Whether `x` is a value of a program that is being written down."""
    return isinstance(x, Wrapper) and x.records


def applied(function, *args):
    """``function(*args)`` of plain values; where a program is written down, one call of it.

    For what is no operation, and looks at values: norms, checks.
    """
    args = mapped_over(valued, list(args))
    for leaf in leaves(args):
        if recorded(leaf):
            return leaf.call(function, args)
    return function(*args)


def number(x):
    """A number as a Python float, weakly typed, where it is no wrapper that would lose by it."""
    if not isinstance(x, Wrapper):
        return float(x.item() if hasattr(x, "item") else x)
    return x.call(float, [x]) if recorded(x) and type(x.inside) is not float else x


def undifferentiated(x):
    """`x` without its outer levels that carry derivatives: what may differ between examples."""
    while isinstance(x, Wrapper) and x.carries_derivative:
        x = x.inside
    return x


def differs(x):
    """Whether `x`, or what is in it, differs from example to example: a `vmap` hides its axis."""
    for leaf in leaves(x):
        while isinstance(leaf, Wrapper):
            if leaf.hides_axis:
                return True
            leaf = leaf.inside
    return False


def common(x, name):
    """`plain` of x where a result's shape depends on its values: not under `vmap`, TypeError."""
    if differs(x):
        raise TypeError(
            f"np.{name} inside vmap: the shape of what it returns depends on the values, and they "
            f"differ from example to example; use masks (np.where), or call it outside of vmap"
        )
    return looked_at(x, f"the values (for np.{name})")


def kind_of(x):
    """The letter NumPy has for the type of the elements of `x`; none if it is no array."""
    return "f" if type(x) is float else getattr(getattr(x, "dtype", None), "kind", "")


def is_whole(x):
    """Whether `x` is of integers: 2**2.0 is no integer, and 2 * 2 is one, which may overflow."""
    return type(x) is int or kind_of(x) in ("i", "u", "b")


def module_of(function):
    """The name of the module that `function` is from; of a ufunc, which does not say so, NumPy's
    or ``scipy.special``; none for one of another package.
    """
    module = getattr(function, "__module__", None)
    if module is None:
        for name in ("numpy", "scipy.special"):
            if getattr(sys.modules.get(name), getattr(function, "__name__", ""), None) is function:
                return name
    return module or ""


def like_tuple(example, parts):
    """`parts` in the type of `example`: a list, a tuple or a namedtuple."""
    return type(example)(*parts) if hasattr(example, "_fields") else type(example)(parts)


def like(x):
    """What NumPy's ``like=`` takes for a constant that meets `x`: on a GPU, it is made there."""
    x = plain(x)
    return x if is_foreign(x) else None


def is_foreign(x):
    """Whether `x` is an array of another kind than NumPy's, such as one on a GPU."""
    return hasattr(x, "__array_function__") and not isinstance(x, (np.ndarray, Wrapper))


def check_kept(name, given, found):
    """TypeError where the operation `name`, given arrays of another kind, found one of NumPy's.

    Computing with it would go on in another place than the program was to run in, unnoticed.
    """
    arrays = [x for x in leaves(found) if isinstance(x, np.ndarray)]
    kinds = {type(x).__name__ for x in leaves(given) if is_foreign(x)}
    if arrays and kinds:
        raise TypeError(
            f"{name}: of arrays of the kind {', '.join(sorted(kinds))} came a NumPy array of shape "
            f"{arrays[0].shape}: their package does not have this operation; see SUPPORT.md for "
            f"those it has"
        )


def total(x, axis, keepdims=False):
    """The sum along `axis`: of NumPy's arrays without np.sum's own share of the time."""
    if type(x) is np.ndarray:
        return np.add.reduce(x, axis=axis, keepdims=keepdims)
    return np.sum(x, axis=axis, keepdims=keepdims)  # not all packages' ufuncs reduce


class Indexed:
    """A cotangent that is zero except at ``index``: what pulling through ``x[index]`` gives.

    The walk collects these per array and adds them up once, so that reading an array element
    by element in a loop stays linear in its length.
    """

    __slots__ = ("g", "index")

    def __init__(self, g, index):
        self.g, self.index = g, index


class Primitive:
    """One differentiable operation.

    forward     computes the value from plain arrays
    kind        its family: "elementwise", "linear", "bilinear" or "general"
    function    what users call and the registry is keyed by: NumPy's function, or `forward`
    name        how it is called in pictures, programs and error messages
    pulls       one rule per array argument; None where the derivative is zero everywhere
    pushes      likewise; for ``kind == "linear"`` unused, the operation pushes itself
    arity       number of array arguments; None for any number: then ``pulls`` is one rule for
                all, ``(wanted, g, y, *arrays, **options)``, answering with the list of the
                cotangents of the arguments numbered in `wanted`, and ``pushes`` is one rule
                ``(i, g, y, *arrays, **options)`` for the push of argument i
    reads       positions of the values that pulls read, where a rule cannot tell (see `reads`)
    scalar      the same function on Python floats, for speed (``math.tanh`` for ``np.tanh``)
    drop        options that make a linear operation affine: left out when pushing
    kinks       the value chosen where the derivative does not exist, in words
    at_kink     which elements stand there, ``(y, *args, **options) -> mask``
    outputs     whether the value is a tuple (or list) of arrays
    bind        ``(args, options) -> (arrays, options)``: turns a call as NumPy's users write it
                into array arguments by position and the rest by name, where signatures do not do
    holds       names of options that may hold arrays which differ from example to example
                (indices, masks): wrappers that carry no derivative are allowed there
    batch       how it runs on many examples at once, see `autograd.batching`
    cost        what it costs, ``(y, *args, **options) -> Counts``, where running `forward` does not
                tell: see `autograd.costs`
    doc         its docstring, `forward`'s by default
    """

    def __init__(
        self, forward, kind, pulls, pushes, *, function=None, name=None, arity=1, scalar=None,
        drop=(), kinks="", at_kink=None, outputs=False, bind=None, reads=None, holds=(), batch=None,
        cost=None, doc=None,
    ):  # fmt: skip
        self.forward, self.kind, self.pulls, self.pushes = forward, kind, pulls, pushes
        self.function = function if function is not None else forward
        self.name = self.__name__ = name or self.function.__name__
        self.arity, self.scalar, self.drop = arity, scalar, drop
        self.kinks, self.at_kink, self.outputs, self._bind = kinks, at_kink, outputs, bind
        self.holds, self.batch, self.cost = holds, batch, cost
        self._names, self._declared, self._reads = None, reads, {}
        self.__doc__ = doc or forward.__doc__

    def __repr__(self):
        return f"<{self.kind} operation {self.name}>"

    def __call__(self, *args, **options):
        """Apply to arguments as a NumPy user writes them: `sum(x, 1)`, `clip(x, a_max=t)`."""
        if options or len(args) != self.arity or self._bind is not None:
            args, options = (self._bind or self.canonical)(args, options)
        try:
            y = self.apply(args, options)
            if type(y) is np.ndarray:
                kinds = {kind_of(x) for x in (y, *args)}
                if not kinds.isdisjoint("cmMO"):
                    raise TypeError("real numbers are wanted")
        except MISTAKES as error:
            raise explained(error, self.name, args) from origin(error)
        return y

    def apply(self, args, options):
        """Apply to array arguments by position: the highest wrapper among them decides how."""
        top = highest(args)
        if self.holds:
            held = leaves([options[name] for name in self.holds if name in options])
            top = highest([top, *held])
        if top is None:
            return self.evaluate(args, options)
        return top.bind(self, args, options)

    def canonical(self, args, options):
        """Array arguments by position, everything else by name."""
        arity = self.arity
        if arity is not None and len(args) != arity:
            if self._names is None:
                parameters = inspect.signature(self.function).parameters.values()
                self._names = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
            names = self._names
            if len(args) > len(names):
                raise TypeError(f"{self.name}() takes at most {len(names)} arguments")
            options = dict(zip(names[arity:], args[arity:], strict=False)) | options
            args = [*args[:arity], *(options.pop(n, None) for n in names[len(args) : arity])]
        no_out(self.name, options)
        for name, value in options.items():
            if not isinstance(value, Wrapper) or self.kind == "constant":
                continue
            if name not in self.holds or value.carries_derivative:
                raise TypeError(
                    f"{self.name}: argument {name!r} is a {type(value).__name__}, but the "
                    f"derivative by {name!r} is not defined; pass its plain value (.data)"
                )
        return args, options

    def evaluate(self, values, options):
        """The operation's value on plain arrays and numbers.

        Python floats stay Python floats, so that they stay weakly typed (NEP 50).
        """
        if self.kind == "elementwise":
            for value in values:
                if type(value) is not float and type(value) is not int:
                    break
            else:
                return self.on_floats(values, options)
        return self.forward(*values, **options)

    def on_floats(self, values, options):
        """The value on Python floats: fast where it is defined, else as NumPy has it."""
        if self.scalar is not None:
            try:
                return self.scalar(*values, **options)
            except (ArithmeticError, ValueError):  # 1/0 is inf, log(-1) nan: NumPy knows
                pass
        values = [np.float64(v) if type(v) is float else v for v in values]
        return float(self.forward(*values, **options))

    def arguments(self, values):
        """`values` as rules take them: Python floats become NumPy's, which have shape and dtype,
        but for elementwise rules, which do not ask.
        """
        if self.kind == "elementwise":
            return values
        return [np.float64(x) if type(x) is float else x for x in values]

    def push(self, tangents, y, args, options):
        """The tangent of the result `y`, in its shape; None where it stands still.

        ``tangents[i]`` is None where argument i stands still.
        """
        args = self.arguments(args)
        if self.kind == "linear":
            options = {name: v for name, v in options.items() if name not in self.drop}
            moved = [_still(x) if t is None else t for t, x in zip(tangents, args, strict=True)]
            return self.apply(moved, options)
        if self.pushes is None:
            raise TypeError(
                f"{self.name} has no rule to push tangents forward: register it with one, "
                f"general(function, pull, push)"
            )
        total = None
        for i, t in enumerate(tangents):
            if t is None:
                continue
            rule = self.pushes[i] if self.arity is not None else partial(self.pushes, i)
            if rule is None:
                continue
            try:
                part = rule(t, y, *args, **options)
            except ArithmeticError:  # Python floats: 1/0 is inf, as NumPy has it
                t, u, *xs = (np.float64(v) if type(v) is float else v for v in (t, y, *args))
                part = rule(t, u, *xs, **options)
            if total is None:
                total = part
            elif self.outputs:
                total = tuple(a + b for a, b in zip(total, part, strict=True))
            else:
                total = total + part
        if total is None:
            return None
        if type(total) is not type(y) or self.outputs:
            check_kept(self.name, y, total)
        if self.outputs:
            return tuple(map(_like, total, y))
        return _like(total, y)

    def reads(self, i, pushing=False):
        """Positions of the values the pull (or the push) of argument i reads: 0 for the result,
        1 for the first argument, ...

        Found in the rule's bytecode, once; reading only a shape or dtype does not count.
        A rule that takes ``*args`` is taken to read everything, unless ``reads`` declares it.
        """
        if self._declared is not None:
            return self._declared
        if self.arity is None:
            return EVERYTHING
        if (i, pushing) not in self._reads:
            rules = self.pushes if pushing else self.pulls
            rule = rules[i] if rules else None
            self._reads[i, pushing] = frozenset() if rule is None else reads_of(rule)
        return self._reads[i, pushing]


def _still(x):
    """The tangent of what stands still; of a number a number, which any kind of array meets."""
    return x.dtype.type(0) if isinstance(x, np.generic) else np.zeros_like(x)


def _like(t, y):
    """A tangent in the shape and dtype of its value: a rule may answer with what broadcasts to it,
    as that of a + b does.
    """
    if type(y) is float:
        return t if isinstance(t, Wrapper) else number(t)
    if type(t) in (float, int):
        if isinstance(y, Wrapper) and not y.shape:
            return float(t)
        t = y.dtype.type(t)
    if t.shape != y.shape:
        t = np.broadcast_to(t, y.shape)
    return t if t.dtype == y.dtype else t.astype(y.dtype)


def explained(error, operation, args):
    """`error`, raised inside an operation, with the operation's name and its arguments."""
    if getattr(error, "explained", False):  # already, by a lower level
        return error
    said = str(error).removeprefix(f"{operation}: ")
    return retold(error, f"{operation}: {said} (arguments: {', '.join(map(brief, args))})")


def origin(error):
    """What an error told by `explained` comes from: not from itself where it had been told before,
    for who follows the causes of an error that is its own cause, as Dask does, never ends.
    """
    return error.__cause__ if getattr(error, "explained", False) else error


def retold(error, message):
    """An error like `error` that says `message`, and is not told anew by what is around it."""
    try:
        new = (TypeError if isinstance(error, AttributeError) else type(error))(message)
    except TypeError:  # one of NumPy's errors that take no message
        new = next(t for t in MISTAKES if isinstance(error, t))(message)
    new.explained = True
    return new


def told(error, what, arguments):
    """Add to an error what was called, and with what: the path to where it was raised."""
    error.add_note(f"in {what}, given {', '.join(map(brief, arguments)) or 'nothing'}")


def telling(f):
    """Decorator: errors in `f` that may be due to its arguments are told its name and theirs."""

    @functools.wraps(f)
    def wrapped(*args, **options):
        try:
            return f(*args, **options)
        except MISTAKES as error:
            told(error, f.__name__, [*args, *options.values()])
            raise

    return wrapped


def brief(x):
    """An argument as an error message describes it: name, dtype, shape; or the number."""
    value = plain(x)
    if not (hasattr(value, "shape") and hasattr(value, "dtype")) or isinstance(value, type):
        return repr(value) if isinstance(value, (int, float)) else type(value).__name__
    name = getattr(x, "name", None) if isinstance(x, Wrapper) else None
    return f"{f'{name!r} ' if name else ''}{value.dtype} {tuple(x.shape)}"


def no_out(name, options):
    """Drop ``out=None`` from `options`; TypeError for an array to write into."""
    if options.pop("out", None) is not None:
        raise TypeError(
            f"{name}: out= writes into an array in place, which cannot be recorded; "
            f"use the returned value (for `a += t` write `a = a + t`)"
        )
