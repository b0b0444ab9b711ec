"""IDX files, the format of MNIST: an array, its type and its shape, plain or gzipped.

A file is two zero bytes, a byte for the type, a byte for the number of axes, the size of each
axis as a big-endian 32-bit integer, and the elements, big-endian, the last axis running fastest.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from autograd.payload import numeric
from autograd.primitive import telling

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CODES = {np.dtype(t).newbyteorder("="): code for code, t in TYPES.items()}

# deflate cannot make more than this many bytes of one
EXPANSION = 1032


@telling
def read_idx(path):
    """The array in an IDX file; a gzipped one is known by its content.

    Its dtype is the file's, in the machine's byte order.  Raises ValueError, naming the file and
    what is wrong with it, for a file of another kind, cut short, too long, or broken.  Memory is
    taken for no more than a file of this size can hold.
    """
    path = Path(path)
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        most = path.stat().st_size * (EXPANSION if zipped else 1)
        if not zipped:
            return _read(path, file, most)
        try:
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _read(path, unzipped, most)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data is broken or cut short: {error}") from error


def _read(path, file, most):
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file: it begins with {head.hex(' ') or 'nothing'}")
    code, ndim = head[2], head[3]
    if code not in TYPES:
        known = ", ".join(f"0x{c:02x}" for c in TYPES)
        raise ValueError(f"{path}: the code of the dtype is 0x{code:02x}; known are {known}")
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"{path}: truncated: the sizes of {ndim} axes are not all there")
    shape = struct.unpack(f">{ndim}I", sizes)
    dtype = np.dtype(TYPES[code])
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > most:
        raise ValueError(
            f"{path}: truncated, or no such array: shape {shape} takes {wanted} bytes, and the "
            f"file can hold {most} at most"
        )
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:
        raise ValueError(f"{path}: shape {shape} is none of an array: {error}") from error
    got = _fill(file, array)
    if got < wanted:
        raise ValueError(f"{path}: truncated: {wanted} bytes of elements wanted, {got} there")
    if file.read(1):
        raise ValueError(f"{path}: there is more behind the {wanted} bytes of elements")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(file, array):
    """Read the elements into `array`; returns how many bytes there were."""
    if not array.size:
        return 0
    view, got = memoryview(array.reshape(-1).view(np.uint8)), 0
    while got < len(view) and (n := file.readinto(view[got:])):
        got += n
    return got


@telling
def write_idx(path, array):
    """Write an array as an IDX file, gzipped if the name ends in ``.gz``.

    Raises TypeError for a dtype that the format lacks, ValueError for a shape it cannot say.
    """
    path, array = Path(path), np.asarray(numeric("write_idx", array))
    code = CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(map(str, CODES))
        raise TypeError(f"{path}: IDX files hold {known}; convert the {array.dtype}")
    if any(size >= 2**32 for size in array.shape):
        raise ValueError(
            f"{path}: an axis of an IDX file has less than 2**32 elements, got {array.shape}"
        )
    head = struct.pack(f">2x2B{array.ndim}I", code, array.ndim, *array.shape)
    content = head + array.astype(TYPES[code]).tobytes()
    # no time in the gzip header: the same array gives the same file
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
