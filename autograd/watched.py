"""The view of a variable's array that a user gets as ``tensor.data``: writing bumps its version.

An optimizer, or a user, may write into a variable's array between recording and `backward()`.
A graph that has to read the old values would then give a silently wrong gradient; with the
version it raises instead.
"""

import numpy as np


class Watched(np.ndarray):
    """An ndarray whose writes are noted in a `Version`, shared by its views.

    Only views stay watched; the results of operations are plain arrays.
    """

    version = None

    def __array_finalize__(self, parent):
        # also called for fresh results, which own their memory: those are not watched
        if self.base is not None:
            self.version = getattr(parent, "version", None)

    def __setitem__(self, index, value):
        super().__setitem__(index, value)
        self._written()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        inputs = [_bare(x) for x in inputs]
        if out is not None:
            options["out"] = tuple(_bare(x) for x in out)
        result = getattr(ufunc, method)(*inputs, **options)
        for target in out or (self,) if method == "at" or out else ():
            if isinstance(target, Watched):
                target._written()
        return out[0] if out is not None and len(out) == 1 else result

    def __array_function__(self, function, types, args, options):
        targets = [x for x in (*args[:1], options.get("out"), options.get("dst")) if x is not None]
        if function in _VIEWS:
            return super().__array_function__(function, types, args, options)
        result = function(
            *(_bare(x) for x in args), **{name: _bare(x) for name, x in options.items()}
        )
        for target in targets:
            if isinstance(target, Watched) and (
                target is options.get("out") or function in _WRITES
            ):
                target._written()
        return result

    def _written(self):
        if self.version is not None:
            self.version.bump()

    def __reduce__(self):
        return np.asarray(self).__reduce__()


def _bare(x):
    if isinstance(x, Watched):
        return x.view(np.ndarray)
    return type(x)(map(_bare, x)) if type(x) in (list, tuple) else x


def _writer(name):
    method = getattr(np.ndarray, name)

    def write(self, *args, **options):
        result = method(self, *args, **options)
        self._written()
        return result

    write.__name__, write.__doc__ = name, f"ndarray.{name}, noted as a write."
    return write


for _name in ("fill", "sort", "partition", "put", "resize", "itemset", "setfield", "byteswap"):
    if hasattr(np.ndarray, _name):
        setattr(Watched, _name, _writer(_name))

_WRITES = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}
_VIEWS = {
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze,
    np.expand_dims, np.diagonal, np.broadcast_to, np.atleast_1d, np.atleast_2d, np.atleast_3d,
    np.flip, np.flipud, np.fliplr, np.rot90, np.split, np.array_split,
}  # fmt: skip


def watched(array, version):
    """`array` as a watched view of itself."""
    view = array.view(Watched)
    view.version = version
    return view
