"""Tensor's and Dual's operators, by the shortest way.

`Duck` defines them all already, by way of the registry.  Here the commonest are written out
again: for Tensors of one level, and Tensors with Python numbers or plain arrays; and for Duals of
one level whose values are Python numbers.  A number's operation so takes a third of the time.
"""

import operator

import numpy as np

from . import graph
from .dual import Dual
from .duck import BINARY, Duck
from .graph import CONSTANT, Node, serials
from .primitive import explained, origin, plain, registry
from .rules.elementwise import power
from .tensor import Tensor, updates_input

_new = object.__new__


def _fast(name, compute, reflected=False):
    """A binary operator's method; anything unusual goes the general way, by `Duck`'s method."""
    primitive = registry[BINARY[name]]
    slow = getattr(Duck, f"__{'r' if reflected else ''}{name}__")

    def method(a, b):
        x = a.node
        level = a.level
        if type(b) is Tensor:
            if b.level != level:
                return slow(a, b)
            y = b.node
            v = y.value
        elif type(b) is float or type(b) is int:
            v = y = b
        elif type(b) is np.ndarray and b.dtype.kind in "fiub":
            v = y = b
        else:
            return slow(a, b)
        if level == CONSTANT or graph.silencers:
            return slow(a, b)
        if reflected:
            x, y = y, x
            u, v = v, y.value
        else:
            u = x.value
        try:
            v = compute(u, v)
        except ArithmeticError:
            v = primitive.apply((u, v), {})
        except (ValueError, TypeError) as error:
            args = (b, a) if reflected else (a, b)
            raise explained(error, primitive.name, args) from origin(error)
        node = _new(Node)
        node.primitive = primitive
        node.inputs = (x, y)
        node.options = None
        node.value = v
        node.serial = next(serials)
        tensor = _new(Tensor)
        tensor.node = node
        tensor.level = level
        return tensor

    return method


def _fast_on_numbers(name, compute, reflected=False):
    """A binary operator's method for Duals; anything but numbers goes the general way."""
    primitive = registry[BINARY[name]]
    slow = getattr(Duck, f"__{'r' if reflected else ''}{name}__")
    push, other = reversed(primitive.pushes) if reflected else primitive.pushes

    def method(a, b):
        u, level = a.value, a.level
        if type(u) is not float or graph.silencers:
            return slow(a, b)
        s = None
        if type(b) is Dual:
            if b.level != level or type(b.value) is not float:
                return slow(a, b)
            v, s = b.value, b.tangent
        elif type(b) is float or type(b) is int:
            v = b
        else:
            return slow(a, b)
        if reflected:
            u, v = v, u
        try:
            y = compute(u, v)
            t = push(a.tangent, y, u, v)
            if s is not None:
                t = t + other(s, y, u, v)
        except ArithmeticError:
            return slow(a, b)
        return Dual(y, t, level)

    return method


def _inplace(name):
    """``t += x``: inside no_grad() writes into an input's array, else it is ``t = t + x``."""
    operate = getattr(operator, name)
    update = getattr(operator, f"i{name}")

    def method(a, b):
        if not updates_input(a, b):
            return operate(a, b)
        a.data = update(a.data, plain(b))
        return a

    return method


for _name, _compute in {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "truediv": operator.truediv, "pow": power, "matmul": operator.matmul,
}.items():  # fmt: skip
    setattr(Tensor, f"__{_name}__", _fast(_name, _compute))
    setattr(Tensor, f"__r{_name}__", _fast(_name, _compute, reflected=True))
    if _name != "matmul":
        setattr(Dual, f"__{_name}__", _fast_on_numbers(_name, _compute))
        setattr(Dual, f"__r{_name}__", _fast_on_numbers(_name, _compute, reflected=True))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Tensor, f"__i{_name}__", _inplace(_name))
