"""Tensor: the array type that records what is done with it.

A Tensor is a handle on a `Node` of the graph and nothing more; the value, the history and the
name live in the node.  A variable is a Tensor declared as input, ``Tensor(data)``, or made
from one; `detach`, `stop_gradient`, `no_grad` and freezing give Tensors without history, and
plain arrays and numbers take part as constants without any wrapping.
"""

import numpy as np

from . import graph, reverse
from .duck import Duck
from .graph import BASE, CONSTANT, Leaf, Node, serials
from .lazy import check_known, is_lazy
from .payload import base_array, numeric, payload
from .primitive import (
    Primitive,
    Wrapper,
    check_kept,
    explained,
    like,
    like_tuple,
    looked_at,
    origin,
    plain,
    recorded,
    registry,
    valued,
)
from .reverse import describe
from .rules.indexing import kept, pick, setitem
from .tree import tree_map
from .watched import Writes, same_memory, watched

_new = object.__new__


class Tensor(Duck):
    """A float array (or number) whose operations are recorded, to be differentiated.

    data   number, array or nested list; Python ints and lists of ints become float64; arrays
           are kept as they are, without a copy, and so are constants beside Tensors: write into
           them only by ``tensor.data``, where it is noticed, or after `backward`.  Raises
           TypeError for integer, complex, boolean and object arrays.
    name   used in pictures, printed programs and error messages

    >>> x = Tensor([1.0, 2.0, 3.0], name="x")
    >>> y = np.sum(x * x)
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("node", "level", "__weakref__")

    def __init__(self, data, name=None):
        self.node = Leaf(payload(data, name or "Tensor"), name)
        self.level = BASE

    def __init_subclass__(cls):
        raise TypeError("Tensor is final: write functions, or a nn.Module that holds Tensors")

    # --- recording ---

    def bind(self, primitive, args, options):
        """Apply `primitive`, this Tensor being the highest of `args`; record what it did."""
        level = self.level
        evaluate = primitive.evaluate if level == BASE else primitive.apply
        try:
            if len(args) == 1:
                inputs = (self.node,)
                values = (self.node.value,)
            else:
                inputs, values = self._peel(args, level)
            value = evaluate(values, options)
            if type(value) is type(values[0]) is np.ndarray:
                if value.dtype.kind not in "fb":
                    raise not_differentiable(value)
            elif type(value) is not float:
                check_result(primitive, values, value)
        except (ValueError, TypeError, IndexError) as error:
            raise explained(error, primitive.name, args) from origin(error)
        if level == CONSTANT or (graph.silencers and not graph.recording(level)):
            return constants(value, primitive.outputs)
        node = record(primitive, inputs, options or None, value)
        return parts(node, level) if primitive.outputs else handle(node, level)

    def _peel(self, args, level):
        """What a node at `level` keeps of the arguments, and the values inside that level."""
        inputs, values = [], []
        for arg in args:
            source = arg
            if type(arg) is Tensor:
                if arg.level == level:
                    source = arg.node
                    arg = source.value
                elif arg.level == CONSTANT:
                    source = arg = arg.node.value
                else:
                    source = arg = snapshot(arg)
            elif type(arg) in (list, tuple):
                source = arg = np.asarray(arg, like=like(self))
            elif isinstance(arg, np.ndarray):
                if type(arg) is not np.ndarray:
                    source = arg = base_array(arg)
            elif isinstance(arg, Wrapper):
                source = arg = snapshot(arg)
            inputs.append(source)
            values.append(arg)
        return tuple(inputs), values

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method == "__call__" and not options and len(inputs) == 1:
            operation = registry.get(ufunc)  # one argument, and that is this Tensor
            if type(operation) is Primitive:
                return self.bind(operation, inputs, options)
        return super().__array_ufunc__(ufunc, method, *inputs, **options)

    def bind_constant(self, constant, args, options):
        """An operation without a derivative: apply it to the values."""
        return self.without(constant, args, options)

    @property
    def inside(self):
        """The value, which may be a wrapper of a lower level."""
        return self.node.value

    # --- value and gradient ---

    @property
    def data(self):
        """The value, an array or a Python float.

        Of an input or a constant: the array itself; writing into it is allowed and noticed: a
        graph recorded before the write refuses to read it.  Of a result: a read-only view.  What
        is written into a Dask array is not noticed: set it anew.
        """
        node = self.node
        value = node.value
        if type(value) is not np.ndarray:
            return snapshot(value)
        if node.primitive is None:
            return watched(value, node.name)
        value = value.view()
        value.flags.writeable = False
        return value

    @data.setter
    def data(self, data):
        node = self.node
        if node.primitive is not None:
            raise TypeError(
                f"{describe(node)} is the result of an operation; only the data of an input "
                f"can be set (use .detach() for a Tensor of its own)"
            )
        arrays = isinstance(data, np.ndarray) and type(node.value) is np.ndarray
        if arrays and same_memory(data, node.value):
            Writes.note(node.value, node.name)  # `t.data -= step` wrote into the same array
            return
        if not recorded(data):
            data = payload(data, node.name or "data")
        same = np.shape(data) == np.shape(node.value)
        self.node = Leaf(data, node.name, node.cell if same else None)

    @property
    def grad(self):
        """What `backward()` accumulated: an array or float like the data, or None."""
        node = self.node
        while isinstance(node, Node) and node.primitive is setitem:
            node = node.inputs[0]  # `t[i] = v` made this of the input t was before
        return node.cell.grad if isinstance(node, Leaf) else None

    @grad.setter
    def grad(self, grad):
        node = self.node
        if node.primitive is not None:
            raise TypeError(f"{describe(node)} is not an input: it keeps no gradient")
        if grad is not None:
            grad = numeric(f"grad for {describe(node)}", valued(grad))
            value = node.value
            shape = np.shape(grad)
            if shape != self.shape:
                raise ValueError(f"grad of shape {shape} for {describe(node)} of {self.shape}")
            if is_lazy(grad):
                grad = grad.astype(self.dtype)
            elif type(value) is float:
                grad = float(grad)
            elif recorded(grad):
                grad = grad.astype(value.dtype)
            elif isinstance(value, (np.ndarray, np.generic)):
                grad = np.asarray(grad, value.dtype)
        node.cell.grad = grad

    @property
    def name(self):
        """Its name, or None."""
        return getattr(self.node, "name", None)

    @name.setter
    def name(self, name):
        self.node.name = name

    @property
    def is_leaf(self):
        """Whether this is an input or a constant, and not the result of a recorded operation."""
        return self.node.primitive is None

    @property
    def requires_grad(self):
        """Whether this is a variable; set it False to freeze an input, True to thaw it."""
        return self.level != CONSTANT

    @requires_grad.setter
    def requires_grad(self, flag):
        node = self.node
        if node.primitive is not None:
            raise TypeError(f"{describe(node)} is a result: use .detach() to cut its history")
        if bool(flag) != self.requires_grad:
            # a new leaf: graphs recorded before keep the old one, and still reach the cell
            self.node = Leaf(node.value, node.name, node.cell)
            self.level = BASE if flag else CONSTANT

    def backward(self, seed=None):
        """Add d(self)/d(input) to the `.grad` of every input Tensor this was made from.

        seed   cotangent of this Tensor, of its shape; may be left out for a single element

        Raises ValueError for a seed of the wrong shape, a missing seed or a Tensor without
        history.  May be called any number of times on one graph: gradients add up.
        """
        node = self.node
        if self.level != BASE and not recorded(node.value):
            raise ValueError(
                "backward() needs a result made from variables, and this Tensor has none in its "
                "history: use Tensor(data) for inputs, and no .detach() or no_grad() on the way"
                if self.level == CONSTANT
                else "backward() inside grad() and the like: return the value instead"
            )
        reverse.backward(node, reverse.seed_for(node.value, plain(seed), lambda: describe(node)))

    @property
    def shape(self):
        """Lengths of the axes."""
        value = self.node.value
        return value.shape if type(value) is np.ndarray else np.shape(value)

    def detach(self):
        """The same value (sharing memory) as a constant: gradients do not flow through it."""
        return stop_gradient(self)

    # --- assignment, conversions and copies ---

    def __setitem__(self, index, new):
        """Give this handle a new value, a copy with elements replaced; recorded.

        Earlier results keep the value they were computed from.  Each assignment copies the
        array: in a loop collect the parts and use ``np.stack``.  Inside ``no_grad()`` an
        input's array is written in place.
        """
        if updates_input(self, new):
            index = plain(index)
            value = self.node.value
            if type(value) is float:
                raise IndexError(f"{describe(self.node)} is a single number: set .data instead")
            if is_lazy(value):  # its graph is Dask's, and graphs recorded before keep the old one
                self.data = setitem.evaluate((value, plain(new)), {"index": index})
                return
            self.data[index] = plain(new)
            return
        name = self.name
        changed = setitem.apply((self, new), {"index": kept(index)})
        if changed.level < self.level and type(changed) is not Tensor:  # in no_grad
            changed = variable(changed, self.level)
        if type(changed) is not Tensor:
            raise TypeError(
                f"a Tensor cannot take a {type(changed).__name__} as an element: collect the "
                f"elements, and use np.stack"
            )
        self.node, self.level = changed.node, changed.level
        self.node.name = name

    def __bool__(self):
        value = looked_at(self, "the truth")
        if type(value) is not float and self.size != 1:
            raise ValueError(
                f"the truth value of a Tensor of shape {self.shape} is ambiguous: "
                f"use .any() or .all()"
            )
        return bool(value)

    def __float__(self):
        if self.level == CONSTANT:
            return float(self.node.value)
        return super().__float__()

    def __int__(self):
        if self.level == CONSTANT:
            return int(self.node.value)
        return super().__int__()

    def __array__(self, dtype=None, copy=None):
        if self.level == CONSTANT:
            return np.array(self.node.value, dtype, copy=copy)
        return super().__array__()

    def __repr__(self):
        value = self.node.value
        text = repr(value)
        if type(value) is not float and not is_lazy(value):  # to print is not to compute
            text = np.array2string(value, separator=", ", prefix="Tensor(")
        name = f", name={self.name!r}" if self.name else ""
        constant = "" if self.requires_grad else ", constant"
        dtype = "" if self.dtype == float or is_lazy(value) else f", dtype={self.dtype}"
        return f"Tensor({text}{dtype}{name}{constant})"

    def __reduce__(self):
        """Pickle and copy take the handle with its value and gradient, not its graph.

        Raises TypeError inside grad() and the like, where that would lose the derivative.
        """
        if self.level > BASE:
            raise self._no_conversion("copy or pickle", "np.copy (x.copy())")
        return _restore, (self.plain(), self.name, self.requires_grad, self.grad)


def _restore(value, name, requires_grad, grad):
    tensor = Tensor(value, name)
    tensor.requires_grad = requires_grad
    tensor.grad = grad
    return tensor


def check_result(primitive, values, value):
    """TypeError for a result that is not of fractions, or not of the arguments' kind of array."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "fb":
        raise not_differentiable(value)
    if type(value) is np.ndarray or primitive.outputs:
        check_kept(primitive.name, values, value)
    if is_lazy(value):
        check_known((*values, value))


def not_differentiable(y):
    """The error for a result of integers or the like."""
    return TypeError(
        f"the result is an array of {y.dtype}, and only floating-point results "
        f"can be differentiated"
    )


# --- nodes and handles ------------------------------------------------------------------------


def record(primitive, inputs, options, value):
    """A new node of the graph."""
    node = _new(Node)
    node.primitive, node.inputs, node.options = primitive, inputs, options
    node.value, node.serial = value, next(serials)
    return node


def handle(node, level):
    """A Tensor for a node."""
    tensor = _new(Tensor)
    tensor.node, tensor.level = node, level
    return tensor


def parts(node, level):
    """The arrays of a node whose value is a tuple of arrays, each a node of its own."""
    picked = [record(pick, (node,), {"index": i}, part) for i, part in enumerate(node.value)]
    return like_tuple(node.value, [handle(part, level) for part in picked])


def lifted(node, level):
    """What a rule is given for a node so that the derivative is recorded in its turn."""
    several = node.primitive is not None and node.primitive.outputs
    return parts(node, level) if several else handle(node, level)


def variable(value, level):
    """A new input at `level`; its value may be a wrapper of a lower level."""
    return handle(Leaf(snapshot(value)), level)


def snapshot(x):
    """`x`; of a Tensor, another handle on the same node, and likewise of other wrappers.

    `t[i] = v`, `t.data = ...` and freezing give the handle `t` another node.  What a graph of a
    higher level holds, and what it hands out, must not change with it.
    """
    if type(x) is Tensor:
        return handle(x.node, x.level)
    return x.twin() if isinstance(x, Wrapper) else x


def stop_gradient(x):
    """`x` as a constant: every derivative of what is made of it ignores how it came about.

    x   an array, or a list, tuple, dict or Module of arrays, such as an LSTM's state (h, c)

    >>> from autograd import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    3.0
    """
    if type(x) is not Tensor:
        if isinstance(x, (tuple, list, dict)) or hasattr(x, "__tree__"):
            return tree_map(stop_gradient, x)
        return x.map(stop_gradient) if isinstance(x, Wrapper) else x
    node = x.node
    if isinstance(node.value, Wrapper):
        return stop_gradient(node.value)
    return handle(Leaf(node.value, getattr(node, "name", None)), CONSTANT)


def constants(value, several=False):
    """What is not differentiated, as a Tensor: assigned to, it is not the array it came from."""
    if several:
        return like_tuple(value, [constants(v) for v in value])
    return value if isinstance(value, Wrapper) else handle(Leaf(value), CONSTANT)


def updates_input(tensor, other):
    """Whether writing into a Tensor writes its array: without history, in this thread's no_grad."""
    if tensor.node.primitive is not None or tensor.level > BASE or graph.recording(BASE):
        return False
    return not isinstance(other, Wrapper) or not graph.recording(other.level)
