"""The families of operations, and how one is registered: one line each.

Most operations belong to a family in which half of the rules, or all, follow by themselves; see
`autograd.primitive` for what a rule is.
"""

from .batching import broadcasting
from .lazy import refusing
from .primitive import Primitive, highest, leaves, no_out, registry, retold


def _register(function, operation):
    if function in registry:
        raise ValueError(
            f"{operation.name} is registered already: {registry[function]!r}; to replace it, "
            f"delete it from autograd.primitive.registry first"
        )
    registry[function] = operation
    refusing(operation)
    return operation


def elementwise(function, *rules, forward=None, **settings):
    """Register an operation on corresponding elements: one rule per argument, or None.

    >>> cube = elementwise(lambda x: x**3, lambda g, y, x: g * (3 * x**2), name="cube")
    >>> cube(2.0)
    8.0
    """
    settings.setdefault("arity", len(rules))
    settings.setdefault("batch", broadcasting)
    return _register(
        function,
        Primitive(forward or function, "elementwise", rules, rules, function=function, **settings),
    )


def linear(function, transpose, *, forward=None, variadic=False, **settings):
    """Register an operation linear in all its array arguments together.

    `transpose` pulls: ``(g, y, x, **options)``, or one for each argument as a tuple; with
    ``variadic=True`` the operation takes any number of arrays, see `Primitive`'s arity.

    >>> double = linear(lambda x: x + x, lambda g, y, x: g + g, name="double")
    >>> double(2.0)
    4.0
    """
    if variadic:
        pulls, settings["arity"] = transpose, None
    else:
        pulls = transpose if isinstance(transpose, tuple) else (transpose,)
        settings["arity"] = len(pulls)
    return _register(
        function,
        Primitive(forward or function, "linear", pulls, None, function=function, **settings),
    )


def bilinear(function, left, right, *, forward=None, **settings):
    """Register an operation linear in each of two arguments: the two transposes are written.

    >>> scale = bilinear(
    ...     lambda a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, name="scale"
    ... )
    >>> scale(2.0, 3.0)
    6.0
    """
    primitive = Primitive(
        forward or function, "bilinear", (left, right), None, function=function, arity=2, **settings
    )
    primitive.pushes = (
        lambda g, y, a, b, **options: primitive(g, b, **options),
        lambda g, y, a, b, **options: primitive(a, g, **options),
    )
    return _register(function, primitive)


def general(function, pulls, pushes=None, *, forward=None, variadic=False, **settings):
    """Register any other operation: its pull and its push (or a tuple of each, one an argument).

    >>> import numpy as np
    >>> norm = general(
    ...     lambda x: np.sqrt(x @ x),
    ...     lambda g, y, x: g * x / y,
    ...     lambda g, y, x: (x @ g) / y,
    ...     name="euclid",
    ... )
    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    """
    if variadic:
        settings["arity"] = None
    else:
        pulls = pulls if isinstance(pulls, tuple) else (pulls,)
        pushes = pushes if isinstance(pushes, tuple) or pushes is None else (pushes,)
        settings["arity"] = len(pulls)
    return _register(
        function,
        Primitive(forward or function, "general", pulls, pushes, function=function, **settings),
    )


class Composition:
    """An operation defined by others: it needs no rule of its own."""

    kind = "composition"

    def __init__(self, function, body, kinks=""):
        self.name, self.function, self.body, self.kinks = function.__name__, function, body, kinks

    def __call__(self, *args, **options):
        """Run the defining program on the arguments as they are."""
        no_out(self.name, options)
        try:
            return self.body(*args, **options)
        except (ValueError, TypeError, IndexError) as error:
            if not getattr(error, "explained", False):
                raise
            # the part that failed has its name
            raise retold(error, f"in np.{self.name}, {error}") from error


def composition(function, kinks=""):
    """Decorator: what `function` does, written in other operations of NumPy or ours."""

    def register(body):
        _register(function, Composition(function, body, kinks))
        return body

    return register


class Constant(Primitive):
    """An operation without a derivative: argmax, comparisons, shape."""

    def __init__(self, function, forward=None, **settings):
        settings.setdefault("arity", None)
        super().__init__(forward or function, "constant", None, None, function=function, **settings)

    def __call__(self, *args, **options):
        """Apply to arguments as a NumPy user writes them."""
        if self.arity is not None and (options or len(args) != self.arity):
            args, options = self.canonical(args, options)
        return self.apply(args, options)

    def apply(self, args, options):
        """Apply: the highest wrapper, also inside lists and options, decides how."""
        top = highest(leaves([args, options]))
        if top is None:
            return self.evaluate(args, options)
        return top.bind_constant(self, args, options)


def constant(*functions, forward=None, **settings):
    """Register functions that have no derivative.

    settings   `Primitive`'s arity, batch, cost and kinks; without an arity, arguments are left as
               they are called
    """
    for function in functions:
        _register(function, Constant(function, forward, **settings))
    return registry[functions[0]]


class Refusal:
    """What stands in the registry for a function that cannot be recorded, and why."""

    kind, kinks = "refused", ""

    def __init__(self, function, reason):
        self.name, self.function, self.reason = function.__name__, function, reason

    def __call__(self, *args, **options):
        """Raise a TypeError that says what to use instead."""
        raise TypeError(f"np.{self.name} {self.reason}")


def refused(function, reason):
    """Register a function that raises, for the `reason` that its message goes on with."""
    _register(function, Refusal(function, reason))
