"""The view of a Tensor's array that a user gets as ``tensor.data``: writes through it are noticed.

An optimizer, or a user, may write into a variable's array between recording and `backward()`.
A graph that has to read the old values would then give a silently wrong gradient.  So writes are
logged, by the memory they went to; and a walk over a graph recorded before the latest write asks
of every value it reads whether that has been `written` since.
"""

import inspect
import weakref
from typing import ClassVar

import numpy as np

from .graph import Node, serials
from .primitive import Wrapper
from .reads import EVERYTHING, OTHERS

WHOLE = "all of a block"  # the part that makes all others of its block superfluous


class Writes:
    """The log: for each block of memory which parts of it were written, when last, and whose."""

    latest = 0  # serial of the last write of all; nodes with larger serials need not ask
    blocks: ClassVar[dict] = {}  # id of the memory's owner -> (weak reference to it, parts)
    PARTS = 100  # more parts of one block than this are taken for all of it

    @classmethod
    def note(cls, array, name):
        """Note that `array`, of the Tensor called `name`, has been written just now."""
        cls.note_all([cls.place(array)], [name])

    @classmethod
    def note_all(cls, places, names):
        """Note that the arrays of these places have been written just now."""
        serial = next(serials)
        cls.latest = max(cls.latest, serial)  # another thread may have come in between
        for (parts, part), name in zip(places, names, strict=True):
            if part is WHOLE or len(parts) >= cls.PARTS:
                parts.clear()
                part = WHOLE
            parts[part] = serial, name

    @classmethod
    def place(cls, array):
        """Where writes of an array are noted, for as long as it lives: its block's parts, and which
        of them it is.
        """
        root = _root(array)
        key = id(root)
        if key not in cls.blocks:
            cls.blocks[key] = weakref.ref(root, lambda _: cls.blocks.pop(key, None)), {}
        parts = cls.blocks[key][1]
        if array is root or _alike(array, root):
            return parts, WHOLE
        return parts, (_address(array) - _address(root), array.shape, array.strides, array.dtype)


def written(array, since):
    """``(True, name)`` if memory of `array` was written after the serial `since`."""
    root = _root(array)
    parts = list(_parts(root).items())  # a copy: another thread may write
    for part, (serial, name) in parts:
        if serial > since:
            if part is WHOLE:
                return True, name
            offset, *layout = part
            part = np.asarray(_Part(_address(root) + offset, *layout))
            if np.may_share_memory(array, part, max_work=10_000):
                return True, name
    return False, None


class _Part:
    """Where a written part lay, as an array to compare addresses with; its memory is not read."""

    def __init__(self, address, shape, strides, dtype):
        self.__array_interface__ = {
            "data": (address, True), "shape": shape, "strides": strides, "typestr": dtype.str,
            "version": 3,
        }  # fmt: skip


def _parts(root):
    return Writes.blocks[id(root)][1] if id(root) in Writes.blocks else {}


def _root(array):
    """The array that owns the memory; the same one for all views of it.

    Memory of another kind (a buffer, a mapped file) has one for each array made on it: a write by
    way of another of them is not noticed.
    """
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _alike(view, owner):
    """Whether a view is laid out as the owner of its memory, and so starts where that does."""
    return view.shape == owner.shape and view.strides == owner.strides and view.dtype == owner.dtype


def same_memory(a, b):
    """Whether two arrays are the same memory, read the same way."""
    if a is b or (a.base is b and _alike(a, b)):
        return True  # as the next line says, in a tenth of the time
    return a.__array_interface__ == b.__array_interface__


def _address(array):
    return array.__array_interface__["data"][0]


def check_unwritten(node, on_path, pushing=False):
    """Raise if a pull (or push) of `node` would read a value written after it was recorded.

    on_path   the inputs whose pulls count; None for all
    """
    values = (node, *node.inputs)
    for position, source in enumerate(node.inputs):
        if not isinstance(source, Node) or (on_path is not None and source not in on_path):
            continue
        read = node.primitive.reads(position, pushing)
        for i, value in enumerate(values):
            if read is OTHERS:
                if i in (0, position + 1):
                    continue
            elif read is not EVERYTHING and i not in read:
                continue
            for array in arrays(value):
                is_written, name = written(array, node.serial)
                if is_written:
                    name = getattr(value, "name", None) or name
                    raise RuntimeError(
                        f"{node.primitive.name}: its derivative needs the value that the array "
                        f"{f'of {name!r}' if name else f'of shape {array.shape}'} had when it was "
                        f"recorded, but the array has been written since; compute the result "
                        f"again after writing, or write after backward()"
                    )


def arrays(x):
    """The plain arrays that a node, a constant or a wrapper holds."""
    while isinstance(x, (Node, Wrapper)):
        x = x.value if isinstance(x, Node) else x.plain()
    if isinstance(x, (list, tuple)):
        return [array for part in x for array in arrays(part)]
    return [x] if isinstance(x, np.ndarray) else []


class Watched(np.ndarray):
    """An ndarray whose writes are noted; so are those of its views.

    The results of operations are plain arrays.
    """

    name = None

    def __array_finalize__(self, parent):
        self.name = getattr(parent, "name", None)

    def __setitem__(self, index, value):
        super().__setitem__(index, value)
        self._written()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        targets = out or (inputs[:1] if method == "at" else ())
        if out is not None:
            options["out"] = tuple(map(_bare, out))
        result = getattr(ufunc, method)(*map(_bare, inputs), **options)
        _note(targets)
        return out[0] if out is not None and len(out) == 1 else result

    def __array_function__(self, function, types, args, options):
        bare_args, bare_options = _bare(args), {key: _bare(v) for key, v in options.items()}
        result = function(*bare_args, **bare_options)
        given = [*zip(args, bare_args, strict=True)]
        given += [(options[key], bare_options[key]) for key in options]
        first = args[0] if args else next(iter(options.values()))
        _note([first] if function in _WRITES else [])
        _note([x for x, bare in given if bare is result and _takes_out(function)])
        return _watch_views(result, [x for x, _ in given if isinstance(x, Watched)])

    @property
    def flat(self):
        """An iterator over the elements, which may be written through it: noted as a write."""
        self._written()
        return self.view(np.ndarray).flat

    @flat.setter
    def flat(self, values):
        self.view(np.ndarray).flat = values
        self._written()

    def _written(self):
        Writes.note(self, self.name)

    def __reduce__(self):
        return self.view(np.ndarray).__reduce__()

    def __repr__(self):
        return repr(self.view(np.ndarray))


def watched(array, name):
    """`array` as a watched view of itself; `name` is for error messages."""
    view = array.view(Watched)
    view.name = name
    return view


def _bare(x):
    if isinstance(x, Watched):
        return x.view(np.ndarray)
    return type(x)(map(_bare, x)) if type(x) in (list, tuple) else x


def _note(targets):
    for target in targets:
        if isinstance(target, Watched):
            target._written()


def _takes_out(function):
    """Whether a function that returned its argument wrote into it (np.real and its like do not)."""
    try:
        return not {"out", "copy"}.isdisjoint(inspect.signature(function).parameters)
    except ValueError:  # NumPy's functions in C tell their parameters only since 2.4
        return True


def _watch_views(result, sources):
    """`result`, watched wherever it is a view of one of the `sources`."""
    if isinstance(result, np.ndarray):
        for source in sources:
            if np.may_share_memory(result, source):
                return watched(result, source.name)
    elif type(result) in (list, tuple):
        return type(result)(_watch_views(part, sources) for part in result)
    return result


def _writer(name):
    method = getattr(np.ndarray, name)

    def write(self, *args, **options):
        result = method(self, *args, **options)
        self._written()
        return result

    write.__name__, write.__doc__ = name, f"ndarray.{name}, noted as a write."
    return write


for _name in ("fill", "sort", "partition", "put", "resize", "setfield", "byteswap"):
    setattr(Watched, _name, _writer(_name))

_WRITES = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}
