"""Duck arrays like those on a GPU: they never turn into NumPy arrays by themselves.

Strict    computes with NumPy what it holds, and refuses to become a NumPy array or a number
          unasked, and to meet NumPy's arrays
Device    refuses besides every function, parameter and method of NumPy's that CuPy does not have
          (see `gaps`): what runs on it is ready for CuPy
"""

import inspect

import numpy as np

from . import gaps

LACKING = gaps.stored()
WHOLE = frozenset()  # in LACKING: all of the function is
ADDED_AT = ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")
JOINING = (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack)


class Strict:
    """Wraps an ndarray and implements NumPy's protocols; results are of the same class."""

    transfers = 0  # how many values were asked for, by `item` and `bool`: each waits for a GPU

    def __init__(self, array):
        self._array = array

    def __array__(self, *args, **options):
        raise TypeError("a Strict array does not become a NumPy array")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(hasattr(x, "level") for x in inputs):
            return NotImplemented
        self._check_ufunc(ufunc, method, options)
        out = options.pop("out", None)
        options = {name: _inside(value) for name, value in options.items()}
        if out is not None:
            options["out"] = tuple(map(_inside, out))
        if method == "at":
            target, index, *values = inputs
            return ufunc.at(_inside(target), _index(index), *map(_inside, values))
        result = getattr(ufunc, method)(*map(_inside, inputs), **options)
        return out[0] if out is not None else self._outside(result)

    def __array_function__(self, function, types, args, options):
        if any(not issubclass(t, (Strict, np.ndarray)) for t in types):
            return NotImplemented
        self._check_function(function, args, options)
        if function in (np.asarray, np.array):  # asked for, by like=
            return type(self)(function(getattr(args[0], "_array", args[0]), *args[1:], **options))
        out = options.get("out")
        args, options = _inside(list(args)), {k: _inside(v) for k, v in options.items()}
        result = function(*args, **options)
        return self._outside(result) if out is None else out

    def _check_ufunc(self, ufunc, method, options):
        """Raises for what there is not."""

    def _check_function(self, function, args, options):
        """Raises for what there is not."""

    def _check_method(self, name, options):
        """Raises for what there is not."""

    def _outside(self, x):
        """A result: arrays, also those without axes, stay what they were."""
        if isinstance(x, (np.ndarray, np.generic)):
            return type(self)(np.asarray(x))
        if isinstance(x, (list, tuple)):
            parts = map(self._outside, x)
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        return x

    def __getitem__(self, index):
        return self._outside(self._array[_index(index)])

    def __setitem__(self, index, value):
        self._array[_index(index)] = _inside(value)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self.get())

    def __float__(self):
        raise TypeError("a Strict array does not become a float")

    def __repr__(self):
        return f"{type(self).__name__}({self._array!r})"

    def __deepcopy__(self, memo):
        return type(self)(self._array.copy())

    def get(self):
        """The values as a NumPy array, asked for: CuPy's name for it."""
        Strict.transfers += 1
        return self._array.copy()

    def item(self):
        """The only element, asked for."""
        return self.get().item()

    def tolist(self):
        """The elements, asked for."""
        return self.get().tolist()

    def __getattr__(self, name):
        if name.startswith("_") or name in ("flags", "data", "flat", "ctypes"):
            raise AttributeError(name)
        value = getattr(self._array, name)
        if name in ("shape", "ndim", "size", "dtype", "strides", "nbytes", "itemsize"):
            return value
        if not callable(value):
            return self._outside(value)

        def method(*args, **options):
            self._check_method(name, options)
            args, options = _inside(list(args)), {k: _inside(v) for k, v in options.items()}
            return self._outside(value(*args, **options))

        return method


class Device(Strict):
    """A Strict array that has of NumPy what CuPy has."""

    def _check_ufunc(self, ufunc, method, options):
        name = f"np.{ufunc.__name__}"
        taken = {
            "reduce": ("axis", "dtype", "out", "keepdims"),
            "accumulate": ("axis", "dtype", "out"),
            "at": (),
            "outer": ("out", "dtype"),
        }.get(method, ("out", "dtype", "casting", "axes", "axis", "keepdims", "order"))
        if (
            LACKING.get(name) == WHOLE
            or not hasattr(np, ufunc.__name__)  # SciPy's: CuPy has them in a package of its own
            or (method == "at" and ufunc.__name__ not in ADDED_AT)
            or (method in ("reduce", "accumulate") and ufunc not in (np.add, np.multiply))
            or not set(options) <= set(taken)
        ):
            raise TypeError(f"CuPy has no {name} ({method}, {', '.join(options)})")

    def _check_function(self, function, args, options):
        name = f"{function.__module__.replace('numpy', 'np', 1)}.{function.__name__}"
        lacking = LACKING.get(name)
        if lacking == WHOLE:
            raise TypeError(f"CuPy has no {name}")
        if lacking:
            given = inspect.signature(function).bind(*args, **options).arguments
            if refused := sorted(lacking.intersection(given)):
                raise TypeError(f"CuPy's {name} does not take {', '.join(refused)}")
        if function in JOINING and any(not isinstance(x, Strict) for x in args[0]):
            raise TypeError(f"{name} of CuPy's arrays takes no others")
        if function is np.repeat and isinstance([*args, *options.values()][1], Strict):
            raise TypeError("CuPy's np.repeat takes numbers of repeats, not an array of them")
        if function is np.lexsort and not isinstance(args[0], Strict):
            raise TypeError("CuPy's np.lexsort takes an array, not a list")

    def _check_method(self, name, options):
        if f"ndarray.{name}" in LACKING:
            raise AttributeError(name)
        if refused := LACKING.get(f"np.{name}", WHOLE).intersection(options):
            raise TypeError(f"CuPy's ndarray.{name} does not take {', '.join(sorted(refused))}")


def asarray(array):
    """An array put on the device: a copy."""
    return array if isinstance(array, Strict) else Device(np.array(array))


def asnumpy(array):
    """An array, or one that is on the device, as NumPy's."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


class Generator:
    """Draws on the device, as cupy.random's generators do; of their methods it has what is used."""

    def __init__(self, seed=None):
        self._generator = np.random.default_rng(seed)

    def __getattr__(self, name):
        if name not in ("integers", "random", "standard_normal", "uniform"):
            raise AttributeError(name)
        method = getattr(self._generator, name)
        return lambda *args, **options: asarray(method(*args, **options))


def _operator(ufunc, reflected=False):
    if reflected:
        return lambda self, other: ufunc(other, self)
    return lambda self, *others: ufunc(self, *others)


def _inplace(ufunc):
    return lambda self, other: ufunc(self, other, out=(self,))


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "pow": np.power, "matmul": np.matmul, "mod": np.remainder, "floordiv": np.floor_divide,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}.items():  # fmt: skip
    setattr(Strict, f"__{_name}__", _operator(_ufunc))
    setattr(Strict, f"__r{_name}__", _operator(_ufunc, reflected=True))
    setattr(Strict, f"__i{_name}__", _inplace(_ufunc))
for _name, _ufunc in {
    "neg": np.negative, "abs": np.absolute, "invert": np.invert, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}.items():  # fmt: skip
    setattr(Strict, f"__{_name}__", _operator(_ufunc))
Strict.__hash__ = object.__hash__


def _inside(x):
    """What NumPy computes with; TypeError for an array of NumPy's."""
    if isinstance(x, Strict):
        return x._array
    if isinstance(x, np.ndarray):
        raise TypeError(f"a NumPy array of shape {x.shape} meets a Strict array")
    return type(x)(map(_inside, x)) if type(x) in (list, tuple) else x


def _index(i):
    """An index as NumPy takes it: arrays of NumPy's are copied to the device there."""
    return type(i)(map(_index, i)) if type(i) in (list, tuple) else getattr(i, "_array", i)
