"""Files of models, optimizers and whole training runs: arrays and plain state, without pickle.

    optim.save("run.safetensors", model=model, optimizer=optimizer, schedule=schedule,
               loader=loader, generators=optim.Generators(model), note={"seconds": 12.5})
    ...
    state = optim.load("run.safetensors", model=model, optimizer=optimizer, schedule=schedule,
                       loader=loader, generators=optim.Generators(model))
    state["note"]

The format is safetensors, which many programs read and write.  What it lacks is added as text in
its metadata: an array is where it belongs in the state, had this byte order and these strides,
and has this checksum.  A file is verified as a whole before anything is changed.

part          what is saved under a name of its own: an object with ``state_dict()`` (and for
              `load` with ``load_state_dict(state)``), or plain state
plain state   None, bools, numbers, text, NumPy arrays; lists, tuples and dicts by text of these
key           an array's name in the file: the model's own are its parameters' and buffers' names,
              "layers.0.weight", as in files of other programs; other parts' begin with the part's,
              "optimizer/state.0.total".  A key is never used as a path
manifest      the text in the metadata: {"version", "state", "arrays", "sha256"}
"""

import copy
import hashlib
import json
import math
import os
import secrets
import sys
from pathlib import Path

import numpy as np

from autograd.lazy import computed
from autograd.rules.random import generator_or_default

__all__ = ["CheckpointError", "Generators", "load", "save"]

NAME, VERSION = "speelpenning", 1
MAX_HEADER = 100_000_000  # bytes, as in the safetensors package
MAX_AXES = 64  # as in NumPy
DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
DTYPES = {code: np.dtype(dtype) for code, dtype in DTYPES.items()}


class CheckpointError(ValueError):
    """A file, or what is to be written into one, is not as it must be.

    file     its path
    key      the array, part or other place the trouble is with; "" for the file as a whole
    reason   what is wrong, and what to do
    """

    def __init__(self, file, key, reason):
        super().__init__(file, key, reason)
        self.file, self.key, self.reason = file, key, reason

    def __str__(self):
        return f"{self.file}: " + (f"{self.key}: " if self.key else "") + self.reason


def save(path, **parts):
    """Write all parts into one file, which is there as a whole or not at all.

    path    of the file; one that is there is replaced at the last moment, when the new one is
            on the disk.  Whatever happens before that (a full disk, Ctrl-C, a crash) leaves the
            old one; only a killed process leaves its half of a new one, ``.name.….tmp``
    parts   by name; `load` gives the same state, bit by bit: dtypes, byte and memory order,
            signed zeros.  The arrays of ``model`` have their own names in the file

    Raises CheckpointError for what cannot be saved, and OSError.

    >>> import os, tempfile, nn, optim
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> model = nn.Linear(2, 1)
    >>> save(path, model=model, note={"epoch": 3, "losses": [0.5, 0.25]})
    >>> other = nn.Linear(2, 1)
    >>> load(path, model=other)["note"]
    {'epoch': 3, 'losses': [0.5, 0.25]}
    >>> bool((other.weight.data == model.weight.data).all())
    True
    """
    _check_path("save", path)
    _replace(path, encoded(path, parts))


def load(path, **parts):
    """Read a file, and give its state to all `parts`; returns the state, a dict by part.

    path    of a file by `save`; or one that another program wrote, such as safetensors.torch's
            ``save_file(model.state_dict(), path)``, which has the one part "model"
    parts   objects with ``load_state_dict``, which changes nothing unless all of it fits

    Raises CheckpointError, with the file, the key and the reason, and nothing has changed: for a
    file that is damaged or lacks a part, for arrays that are missing, unexpected, or of other
    shapes or dtypes than the object's.  ``load(path)["model"]`` are the arrays by name, to rename
    them for ``model.load_state_dict``.  Raises OSError, such as FileNotFoundError.
    """
    _check_path("load", path)
    state = read(path)
    restore(path, state, parts)
    return state


def _check_path(what, path):
    """TypeError but for paths: a number would be an open file's."""
    try:
        os.fspath(path)
    except TypeError as error:
        raise TypeError(f"{what}: a path wanted: {error}") from None


class Generators:
    """The state of all a run draws from: the default generator, and those of `owners`.

    owners   Modules, with the generators inside; objects with a ``generator``, such as an
             `nn.data.augmentation.Augmentation`; generators

    >>> rng = np.random.default_rng(0)
    >>> generators = Generators(rng)
    >>> state = generators.state_dict()
    >>> first = rng.random()
    >>> generators.load_state_dict(state)
    >>> rng.random() == first
    True
    """

    def __init__(self, *owners):
        self.owners = owners
        self._named()

    def _named(self):
        """name -> generator, each once; looked up anew, as `autograd.seed` makes a new one."""
        found = {"default": generator_or_default()}
        for i, owner in enumerate(self.owners):
            if hasattr(owner, "named_generators"):
                found |= {f"{i}.{name}": g for name, g in owner.named_generators()}
            elif isinstance(owner, np.random.Generator):
                found[str(i)] = owner
            elif getattr(owner, "generator", None) is not None:
                found[f"{i}.generator"] = owner.generator
            elif not hasattr(owner, "generator"):
                raise TypeError(f"Generators: a {type(owner).__name__} has no generator")
        names = {}
        for name, generator in found.items():
            names.setdefault(id(generator), name)
        return {name: found[name] for name in names.values()}

    def state_dict(self):
        """name -> the state that NumPy gives of a bit generator."""
        return {name: g.bit_generator.state for name, g in self._named().items()}

    def load_state_dict(self, state):
        """Go on from `state`; nothing changes unless all of it fits (ValueError)."""
        named = self._named()
        check_names("Generators", named, state)
        for name, generator in named.items():
            try:
                copy.deepcopy(generator.bit_generator).state = state[name]
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                kind = type(generator.bit_generator).__name__
                raise ValueError(
                    f"load_state_dict of Generators: {name} is no state of a {kind}: {error}"
                ) from error
        for name, generator in named.items():
            generator.bit_generator.state = state[name]


def check_names(what, own, state):
    """Raise ValueError where `state` lacks one of the names `own`, or has another."""
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in own]
    if problems:
        raise ValueError(f"load_state_dict of {what}: {'; '.join(problems)}")


# --- parts and their state ------------------------------------------------------------------------


def restore(path, state, parts):
    """Give each part its state; where one refuses, those before it get their own back."""
    for name in parts:
        if name not in state:
            has = ", ".join(state) or "nothing"
            raise CheckpointError(path, name, f"the file has no such part; it has {has}")
        if not (hasattr(parts[name], "load_state_dict") and hasattr(parts[name], "state_dict")):
            kind = type(parts[name]).__name__
            raise TypeError(f"load: {name} is a {kind}, which has no load_state_dict")
    before = {name: part.state_dict() for name, part in parts.items()}
    changed = []
    try:
        for name, part in parts.items():
            changed.append(name)
            part.load_state_dict(state[name])
    except BaseException as error:
        for done in changed:
            parts[done].load_state_dict(before[done])
        if isinstance(error, Exception):
            raise CheckpointError(path, name, str(error) or type(error).__name__) from error
        raise


def encoded(path, parts):
    """The bytes of a file with these parts; CheckpointError for what cannot be saved."""
    package = _package()
    packed = _Packed(path)
    # the model first: where keys coincide, its arrays keep their names
    ordered = sorted(parts, key=lambda name: name != "model")
    states = {
        name: parts[name].state_dict() if hasattr(parts[name], "state_dict") else parts[name]
        for name in ordered
    }
    try:
        state = {
            name: packed.value(value, "" if name == "model" else f"{name}/")
            for name, value in states.items()
        }
        manifest = {"version": VERSION, "state": state, "arrays": packed.entries}
        manifest["sha256"] = _digest(_text(manifest))
        text = _text(manifest)
    except (RecursionError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(path, "", f"the state cannot be written as text: {error}") from error
    data = package.numpy.save(packed.arrays, metadata={NAME: text})
    header = int.from_bytes(data[:8], "little")
    if header > MAX_HEADER:
        reason = f"{header:,} bytes of names and plain state; {MAX_HEADER:,} are possible"
        raise CheckpointError(path, "", reason)
    return data


class _Packed:
    """State as JSON, and the arrays of it by their keys.

    What JSON has stands for itself, except dicts: {"dict": {...}}, {"tuple": [...]},
    {"array": key} and {"scalar": key}, a NumPy scalar, tell apart what it has not.
    """

    def __init__(self, path):
        self.path, self.arrays, self.entries = path, {}, {}

    def value(self, x, key):
        if x is None or type(x) in (bool, int, float, str):
            return x
        if type(x) is list or type(x) is tuple:
            items = [self.value(item, _joined(key, str(i))) for i, item in enumerate(x)]
            return items if type(x) is list else {"tuple": items}
        if isinstance(x, dict):
            for name in x:
                if type(name) is not str:
                    self._refuse(key, f"the dict's key {name!r} is a {type(name).__name__}, no str")
            items = {name: self.value(item, _joined(key, name)) for name, item in x.items()}
            return {"dict": items}
        (x,) = computed(x)
        if isinstance(x, np.generic):
            return {"scalar": self._array(np.asarray(x), key)}
        if type(x) is np.ndarray:
            return {"array": self._array(x, key)}
        self._refuse(
            key,
            f"a {type(x).__name__} cannot be saved; what can: objects with state_dict, as parts; "
            f"None, bools, numbers, text, arrays; lists, tuples and dicts of these",
        )

    def _array(self, x, key):
        plain = x.dtype.newbyteorder("<")
        if plain not in DTYPES.values():
            self._refuse(key, f"an array of {x.dtype} cannot be saved; {_dtypes()} can")
        try:
            key.encode()
        except UnicodeEncodeError as error:
            self._refuse(key.encode("ascii", "replace").decode(), f"no text by Unicode: {error}")
        while key in self.arrays or key == "__metadata__":  # which the format has taken
            key += "'"
        # the package takes memory as it is, of a transposed array too
        data = self.arrays[key] = np.asarray(x, plain, order="C")
        entry = {"dtype": x.dtype.str, "shape": list(x.shape), "sha256": _digest(data)}
        if not x.flags.c_contiguous:  # BLAS adds in another order where memory has another
            entry["axes"] = sorted(range(x.ndim), key=lambda i: (-abs(x.strides[i]), -i))
        self.entries[key] = entry
        return key

    def _refuse(self, key, reason):
        raise CheckpointError(self.path, key.rstrip("/") or "model", reason)


def _joined(key, name):
    return f"{key}.{name}" if key and not key.endswith("/") else key + name


# --- writing --------------------------------------------------------------------------------------


def _replace(path, data):
    """Write the file so that, at any moment, either the old one is there or the new one."""
    path = Path(os.path.realpath(path))  # the file that a link names, not the link
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# --- reading --------------------------------------------------------------------------------------


def read(path):
    """The state in a file, verified: a dict by part."""
    package = _package()
    with open(path, "rb") as file:
        metadata, shapes = _header(path, file)
        file.seek(0)
        data = file.read()
    try:
        found = dict(package.deserialize(data))
    except package.SafetensorError as error:
        raise CheckpointError(path, "", f"no valid safetensors file: {error}") from error
    del data
    arrays = {  # each in memory of its own, which may be written
        key: np.frombuffer(bytearray(found.pop(key)["data"]), DTYPES[code]).reshape(shape)
        for key, (code, shape) in shapes.items()
    }
    text = metadata.get(NAME)
    if text is not None:
        return _opened(path, text, arrays)
    if any(value.startswith('{"version":') for value in metadata.values()):
        raise CheckpointError(path, "", "the name of the manifest is damaged")
    return {"model": arrays}


def _header(path, file):
    """The metadata, and key -> (code of the dtype, shape); nothing large is allocated for it.

    The package takes the last of two entries with one name, and an entry's word for its size.
    """

    def refuse(key, reason):
        raise CheckpointError(path, key, reason)

    def once(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            refuse(next(n for n in names if names.count(n) > 1), "there is more than one")
        return found

    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, MAX_HEADER):
        refuse("", f"no valid safetensors file: {size} bytes, with a header of {length}")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=once)
    except (RecursionError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        refuse("", f"the header is no JSON: {error}")
    if not isinstance(header, dict):
        refuse("", "the header is no JSON object")
    metadata, shapes = header.pop("__metadata__", {}), {}
    if not isinstance(metadata, dict) or not all(type(v) is str for v in metadata.values()):
        refuse("__metadata__", "it is no object of texts")
    for key, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            refuse(key, "its entry must have a dtype, a shape and data_offsets, and no more")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(code, str) or code not in DTYPES:
            refuse(key, f"NumPy has no dtype {code!r}; write the file with one of {_dtypes()}")
        if not _naturals(shape) or len(shape) > MAX_AXES:
            refuse(key, f"its shape is no list of natural numbers, {MAX_AXES} at most")
        if math.prod(n for n in shape if n) * DTYPES[code].itemsize > sys.maxsize:
            refuse(key, f"no array has the shape {shape}, be it empty")
        if not _naturals(offsets) or len(offsets) != 2:
            refuse(key, "its data_offsets are not two natural numbers")
        start, stop = offsets
        if stop - start != math.prod(shape) * DTYPES[code].itemsize:
            refuse(key, f"shape {shape} of {code} does not have the {stop - start} bytes given")
        if stop > size - 8 - length:
            refuse(key, f"it ends at byte {stop} of the data, which has {size - 8 - length}")
        shapes[key] = code, shape
    return metadata, shapes


def _opened(path, text, arrays):
    """The state that a manifest describes, of arrays that are as it says."""
    try:
        manifest = json.loads(text)
        version, claimed = manifest["version"], manifest.pop("sha256")
        if version != VERSION:
            reason = f"version {version!r} of the format, and this library reads {VERSION}"
            raise CheckpointError(path, "", reason)
        if _digest(_text(manifest)) != claimed:
            raise CheckpointError(path, "", "the manifest does not have its checksum")
        entries = manifest["arrays"]
        for names, reason in (
            (entries.keys() - arrays.keys(), "it is in the manifest, and missing in the file"),
            (arrays.keys() - entries.keys(), "it is in the file, and unexpected by the manifest"),
        ):
            if names:
                raise CheckpointError(path, min(names), reason)
        whole = {key: _verified(path, key, arrays[key], entry) for key, entry in entries.items()}
        state = {name: _unpacked(value, whole) for name, value in manifest["state"].items()}
        for key in whole:
            raise CheckpointError(path, key, "it is in the file, and nowhere in the state")
    except CheckpointError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"the manifest is malformed: {type(error).__name__}: {error}"
        raise CheckpointError(path, "", reason) from error
    return state


def _verified(path, key, array, entry):
    """The array in its own byte and memory order."""
    dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
    if (array.dtype, array.shape) != (dtype.newbyteorder("<"), shape):
        reason = f"{array.dtype} of shape {array.shape}, and by the manifest {dtype} of {shape}"
        raise CheckpointError(path, key, reason)
    if _digest(array) != entry["sha256"]:
        raise CheckpointError(path, key, "the data do not have their checksum: they are damaged")
    if array.dtype == dtype and "axes" not in entry:
        return array
    axes = entry.get("axes", list(range(array.ndim)))
    if sorted(axes) != list(range(array.ndim)):
        raise CheckpointError(path, key, f"{axes} is no order of {array.ndim} axes")
    whole = np.empty([shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
    whole[...] = array
    return whole


def _unpacked(value, arrays):
    """The state of its JSON; see `_Packed`."""
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "dict":
        return {name: _unpacked(item, arrays) for name, item in inside.items()}
    if kind == "tuple":
        return tuple(_unpacked(item, arrays) for item in inside)
    if kind not in ("array", "scalar"):
        raise ValueError(f"unknown kind {kind!r}")
    array = arrays.pop(inside)  # each is somewhere once
    return array if kind == "array" else array[()]


# --- small things ---------------------------------------------------------------------------------


def _package():
    """The safetensors package, imported when a file is first read or written."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            "saving and loading needs safetensors: pip install safetensors, or "
            "pip install 'speelpenning[files]'"
        ) from None
    return safetensors


def _text(manifest):
    """One text for one manifest; NaN and inf as Python writes them, floats to the last bit."""
    return json.dumps(manifest, separators=(",", ":"))


def _digest(data):
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _naturals(value):
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _dtypes():
    return ", ".join(dtype.name for dtype in DTYPES.values())
