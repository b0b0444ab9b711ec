"""A duck array like one on another device: never turns into a NumPy array by itself."""

import numpy as np


class Strict:
    """Wraps an ndarray and implements NumPy's protocols; refuses `__array__` and ndarrays.

    Only integer and boolean index arrays and zero-dimensional values may come from NumPy.
    """

    def __init__(self, array):
        self._array = array

    def __array__(self, *args, **options):
        raise TypeError("a Strict array does not become a NumPy array")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(hasattr(x, "level") for x in inputs):
            return NotImplemented
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(_inside(x) for x in out)
        if method == "at":
            target, index, *values = inputs
            index = index if isinstance(index, tuple) else (index,)
            index = tuple(_index(i) for i in index)
            return ufunc.at(_inside(target), index, *map(_inside, values))
        result = getattr(ufunc, method)(*map(_inside, inputs), **options)
        return out[0] if out is not None else _outside(result)

    def __array_function__(self, function, types, args, options):
        if any(hasattr(t, "bind") for t in types):
            return NotImplemented
        options = {name: _inside(value) for name, value in options.items()}
        return _outside(function(*map(_inside, args), **options))

    def __getitem__(self, index):
        return _outside(self._array[_index(index)])

    def __setitem__(self, index, value):
        self._array[_index(index)] = _inside(value)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self._array)

    def __float__(self):
        raise TypeError("a Strict array does not become a float")

    def __repr__(self):
        return f"Strict({self._array!r})"

    def __getattr__(self, name):
        if name.startswith("__") or name == "base":
            raise AttributeError(name)
        value = getattr(self._array, name)
        if name in ("shape", "ndim", "size", "dtype"):
            return value
        if not callable(value):
            return _outside(value)
        return lambda *args, **options: _outside(
            value(*map(_inside, args), **{k: _inside(v) for k, v in options.items()})
        )


def _operator(ufunc, reflected=False):
    if reflected:
        return lambda self, other: ufunc(other, self)
    return lambda self, *others: ufunc(self, *others)


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "pow": np.power, "matmul": np.matmul, "mod": np.remainder, "floordiv": np.floor_divide,
    "and": np.logical_and, "or": np.logical_or,
}.items():  # fmt: skip
    setattr(Strict, f"__{_name}__", _operator(_ufunc))
    setattr(Strict, f"__r{_name}__", _operator(_ufunc, reflected=True))
for _name, _ufunc in {
    "neg": np.negative, "abs": np.absolute, "invert": np.logical_not, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}.items():  # fmt: skip
    setattr(Strict, f"__{_name}__", _operator(_ufunc))
Strict.__hash__ = object.__hash__


def _inside(x):
    if isinstance(x, Strict):
        return x._array
    if isinstance(x, np.ndarray) and x.ndim and x.dtype.kind == "f":
        raise TypeError(f"a NumPy array of shape {x.shape} meets a Strict array")
    return type(x)(map(_inside, x)) if type(x) in (list, tuple) else x


def _index(i):
    return type(i)(map(_index, i)) if type(i) in (list, tuple) else getattr(i, "_array", i)


def _outside(x):
    if isinstance(x, np.ndarray):
        return Strict(x)
    if isinstance(x, np.generic):
        return Strict(np.asarray(x)) if x.dtype.kind == "f" else x
    if isinstance(x, (list, tuple)):
        return type(x)(*map(_outside, x)) if hasattr(x, "_fields") else type(x)(map(_outside, x))
    return x
