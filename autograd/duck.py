"""What every array type of ours shares: NumPy's two protocols, operators and methods.

``np.tanh(t)``, ``t * 2`` and ``t.sum(axis=0)`` all end in the registry: the operation is looked
up by the NumPy function and applied.  A subclass says how with ``bind(primitive, args,
options)`` and `bind_constant`, gives its ``level``, and the value ``inside``.
"""

import importlib

import numpy as np

from .graph import CONSTANT
from .lazy import computed
from .primitive import (
    Wrapper,
    looked_at,
    mapped_over,
    module_of,
    no_out,
    plain,
    registry,
    valued,
)
from .rules.elementwise import cast
from .rules.indexing import getitem, kept, setitem

REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
ACCUMULATIONS = {np.add: np.cumsum, np.multiply: np.cumprod}

BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "divmod": np.divmod, "pow": np.power,
    "matmul": np.matmul,
}  # fmt: skip
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}
LOGIC = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
COMPARISONS = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
METHODS = {
    "sum": np.sum, "mean": np.mean, "var": np.var, "std": np.std, "max": np.max, "min": np.min,
    "prod": np.prod, "cumsum": np.cumsum, "cumprod": np.cumprod, "ravel": np.ravel,
    "flatten": np.ravel, "swapaxes": np.swapaxes, "squeeze": np.squeeze, "repeat": np.repeat,
    "take": np.take, "clip": np.clip, "round": np.round, "dot": np.dot, "trace": np.trace,
    "diagonal": np.diagonal, "argmax": np.argmax, "argmin": np.argmin, "argsort": np.argsort,
    "nonzero": np.nonzero, "all": np.all, "any": np.any, "copy": np.copy,
}  # fmt: skip


_FLOAT = np.dtype(float)


def unsupported(function):
    """The error for a function that has no rule here."""
    name, module = getattr(function, "__name__", str(function)), module_of(function)
    name = f"{module.replace('numpy', 'np')}.{name}" if module else name
    return TypeError(
        f"{name} has no derivative rule in the registry. Register "
        f"one (autograd.elementwise, linear, bilinear or general; see README, 'Your own "
        f"operations'), or pass it plain arrays (tensor.data) where no gradient is needed"
    )


def operation_of(ufunc):
    """The operation of a ufunc.

    Not to make everybody import SciPy, the rules of its functions are registered by the first of
    them that is met.
    """
    if ufunc not in registry and module_of(ufunc) == "scipy.special":
        importlib.import_module(".rules.special", __package__)
    if ufunc not in registry:
        raise unsupported(ufunc)
    return registry[ufunc]


class Duck(Wrapper):
    """Base of the array types: behaves like an ndarray, and sends every operation to `bind`."""

    __slots__ = ()
    __hash__ = object.__hash__  # __eq__ compares elements, as NumPy's does

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        no_out(f"np.{ufunc.__name__}", options)
        if method == "__call__":
            operation = registry.get(ufunc) or operation_of(ufunc)
            if options:
                raise TypeError(
                    f"np.{ufunc.__name__} on a {type(self).__name__} does not take "
                    f"{', '.join(options)}; use np.where or .astype around it"
                )
            return operation(*inputs)
        if method == "outer":
            a, b = inputs
            return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
        table = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}.get(method, {})
        if ufunc not in table:
            raise TypeError(f"np.{ufunc.__name__}.{method} has no derivative rule")
        options.setdefault("axis", 0)
        return registry[table[ufunc]](*inputs, **options)

    def __array_function__(self, function, types, args, options):
        operation = registry.get(function)
        if operation is None:
            raise unsupported(function)
        return operation(*args, **options)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            f"turning a {type(self).__name__} into a NumPy array would lose its derivative: "
            f"build arrays of variables with np.stack([...]) or np.concatenate, call NumPy's "
            f"functions on it directly, or take its plain value with .data"
        )

    # --- what an array knows of itself ---

    def plain(self):
        """The array or number inside, of all levels."""
        return plain(self.inside)

    def peeled(self, x):
        """What is inside of `x`, if that is of this kind and level; else `x`."""
        return x.inside if type(x) is type(self) and x.level == self.level else x

    def without(self, constant, args, options):
        """`constant` of the arguments without this level: their values take its place."""
        args, options = mapped_over(self.peeled, [list(args), options])
        return constant.apply(args, options)

    def twin(self):
        """Another handle on the same, which does not change when `self[i] = v` does."""
        twin = object.__new__(type(self))
        for slot in type(self).__slots__:
            setattr(twin, slot, getattr(self, slot))
        return twin

    def detach(self):
        """The same value as a constant: see `autograd.stop_gradient`."""
        return self.map(lambda x: x.detach() if isinstance(x, Wrapper) else x)

    @property
    def shape(self):
        """Lengths of the axes."""
        return np.shape(self.inside)

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of elements."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def dtype(self):
        """The element type; a Python float counts as float64."""
        return getattr(self.inside, "dtype", _FLOAT)

    @property
    def T(self):
        """The transpose."""
        return registry[np.transpose](self)

    def __len__(self):
        if not self.shape:
            raise TypeError(f"len() of a {type(self).__name__} without axes")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError(f"iteration over a {type(self).__name__} without axes")
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(looked_at(self, "the truth"))

    def item(self):
        """The only element, as a Python float, without history."""
        (value,) = computed(valued(self))
        return value if type(value) is float else value.item()

    def tolist(self):
        """The elements as nested lists of Python floats, without history."""
        (value,) = computed(looked_at(self, "the elements"))
        return value if type(value) is float else value.tolist()

    def __format__(self, spec):
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(f"format {spec!r} needs one element, this has shape {self.shape}")
        return format(self.item(), spec)

    def __round__(self, decimals=None):
        return registry[np.round](self, decimals or 0)

    def _no_conversion(self, what, instead):
        return TypeError(
            f"{what} of a {type(self).__name__} would lose its derivative; use {instead}, or "
            f".item() for its plain value"
        )

    def __float__(self):
        raise self._no_conversion("float() (also called by math.sin and the like)", "np.sin etc.")

    def __int__(self):
        raise self._no_conversion("int()", "np.floor etc.")

    def __reduce__(self):
        """Raises TypeError: pickle and copy would lose what it carries."""
        raise self._no_conversion("copy or pickle", "np.copy (x.copy())")

    # --- methods whose arguments differ from the function's ---

    def reshape(self, *shape, order="C"):
        """The same elements in another shape: ``reshape(2, 3)`` or ``reshape((2, 3))``."""
        shape = shape[0] if len(shape) == 1 else shape
        options = {} if order == "C" else {"order": order}
        return registry[np.reshape](self, shape, **options)

    def transpose(self, *axes):
        """Axes in another order: ``transpose(1, 0)``, ``transpose((1, 0))`` or all reversed."""
        axes = axes[0] if len(axes) == 1 else axes or None
        return registry[np.transpose](self, axes=axes)

    def astype(self, dtype, copy=True):
        """The same values in another floating-point type; whether copied, nobody can tell."""
        dtype = np.dtype(dtype)
        if dtype.kind != "f" and not self.carries_derivative:
            return cast.apply([self], {"dtype": dtype})
        return registry["astype"](self, dtype=dtype)

    def __getitem__(self, index):
        return getitem.apply((self,), {"index": kept(index)})

    def __setitem__(self, index, new):
        """Change what this stands for, into a copy with elements replaced: see `Tensor`."""
        changed = setitem.apply((self, new), {"index": kept(index)})
        if changed.level < self.level:  # in no_grad
            changed = self.unmoved(changed)
        if type(changed) is not type(self) or changed.level != self.level:
            raise TypeError(
                f"a {type(self).__name__} cannot take a {type(changed).__name__} as an element: "
                f"collect the elements, and use np.stack"
            )
        for slot in type(self).__slots__:
            setattr(self, slot, getattr(changed, slot))


def _install(namespace):
    """Write out the operators and methods that go straight to a NumPy function's operation."""

    def define(name, method, doc):
        method.__name__, method.__qualname__, method.__doc__ = name, f"Duck.{name}", doc
        setattr(namespace, name, method)

    for name, function in BINARY.items():
        define(f"__{name}__", _binary(function), f"np.{function.__name__}")
        define(f"__r{name}__", _reflected(function), f"np.{function.__name__}, reflected")
    for name, function in LOGIC.items():
        define(f"__{name}__", _binary(function), f"np.{function.__name__}")
        define(f"__r{name}__", _reflected(function), f"np.{function.__name__}")
    for name, function in UNARY.items():
        define(f"__{name}__", _method(function), f"np.{function.__name__}")
    for name, function in COMPARISONS.items():
        define(f"__{name}__", _binary(function), "Elementwise, with a plain result")
    for name, function in METHODS.items():
        define(name, _method(function), f"np.{function.__name__} of this array.")


def _binary(function):
    def method(a, b):
        return registry[function](a, b) if operand(b) else NotImplemented

    return method


def _reflected(function):
    def method(a, b):
        return registry[function](b, a) if operand(b) else NotImplemented

    return method


def _method(function):
    return lambda a, *args, **options: registry[function](a, *args, **options)


def other(x):
    """An argument that is not of a wrapper's own level, as the levels below take it."""
    if isinstance(x, Wrapper) and x.level == CONSTANT:
        return x.inside
    return np.asarray(x) if type(x) in (list, tuple) else x


def operand(x):
    """Whether `x` can stand beside an array in an expression."""
    return isinstance(x, (Wrapper, float, int, list, tuple)) or hasattr(x, "__array_ufunc__")


_install(Duck)
