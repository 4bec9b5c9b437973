"""IDX files, the format of MNIST (LeCun, Cortes & Burges 1998), plain or gzip, without trust in their headers.

A file is 0, 0, element type, number of axes; then each axis as a big-endian uint32; then the elements in C order.
Unsigned bytes (type 0x08) are the usual type; the other whole numbers and floating point are read too. A plain file is
memory-mapped; a gzip file is decoded once and then mapped from the user's cache.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.datasets import cache
from harness.datasets.dataset import Part
from specs.errors import FileError

MOST_BYTES = 1 << 30  # of what is decoded in memory; a plain file of any size is only mapped
_MOST_GZIP_RATIO = 1032  # deflate cannot do better
_WORTH_KEEPING = 1 << 20
_CHUNK = 1 << 20
_UNSIGNED_BYTE = 0x08
_TYPES = {_UNSIGNED_BYTE: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_ArrayForm = tuple[tuple[int, ...], np.dtype[Any]]
"""The shape and the type of the elements."""


def read_images(path: Path) -> Part:
    """[N, H, W] or [N, C, H, W], as a rule uint8. Raises FileError naming the file and what is wrong with it."""
    return _read(path, (3, 4))


def read_labels(path: Path) -> Part:
    """[N], as a rule uint8. Raises FileError naming the file and what is wrong with it."""
    return _read(path, (1,))


def _read(path: Path, axes: tuple[int, ...]) -> Part:
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        return Part(str(path), _decoded(path, axes) if compressed else _mapped(path, axes))
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from None


def _mapped(path: Path, axes: tuple[int, ...]) -> NDArray[Any]:
    """A read-only memory map of a plain IDX file, whose size must be exactly what its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        shape, dtype = _form(path, file, axes)
    offset, expected = 4 + 4 * len(shape), math.prod(shape) * dtype.itemsize
    if size != offset + expected:
        raise _wrong_size(path, shape, expected, size - offset)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def _decoded(path: Path, axes: tuple[int, ...]) -> NDArray[Any]:
    """The content of a gzip IDX file, kept for the next time under the SHA-256 of the compressed bytes."""
    with path.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()
    kept = cache.folder("decoded") / f"{key}.idx"
    if kept.is_file():
        try:
            return _mapped(kept, axes)
        except FileError:  # damaged after it was written: decode again
            kept.unlink(missing_ok=True)
    array = _gunzip(path, axes)
    if array.nbytes < _WORTH_KEEPING or not cache.write(kept, [header(array), array.data]):
        return array
    return _mapped(kept, axes)


def _gunzip(path: Path, axes: tuple[int, ...]) -> NDArray[Any]:
    try:
        with gzip.open(path) as file:
            shape, dtype = _form(path, file, axes)
            expected = math.prod(shape) * dtype.itemsize
            if expected > min(MOST_BYTES, path.stat().st_size * _MOST_GZIP_RATIO):
                raise FileError(path, f"the header asks for {expected:,} bytes, more than the file can hold")
            array = np.empty(shape, dtype)
            count = _fill(array.reshape(-1).view(np.uint8), file)
            trailing = file.read(1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(path, f"truncated or corrupt gzip: {error}") from None
    if count != expected or trailing:
        raise _wrong_size(path, shape, expected, None if trailing else count)
    return array


def _fill(flat: NDArray[np.uint8], file: gzip.GzipFile) -> int:
    """Read into the bytes of an array, in chunks since gzip makes a copy of each; returns how many bytes there were."""
    count = 0
    while count < flat.size and (read := file.readinto(flat[count : count + _CHUNK].data)):
        count += read
    return count


def content_of(content: bytes, name: str) -> NDArray[Any]:
    """The array of an IDX file that is in memory. Raises FileError like the readers of files."""
    path, file = Path(name), io.BytesIO(content)
    shape, dtype = _form(path, file, (1, 3, 4))
    held, expected = len(content) - file.tell(), math.prod(shape) * dtype.itemsize
    if held != expected:
        raise _wrong_size(path, shape, expected, held)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)


def _form(path: Path, file: BinaryIO | gzip.GzipFile, axes: tuple[int, ...]) -> _ArrayForm:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise FileError(path, f"not an IDX file (starts with {magic.hex(' ') or 'nothing'})")
    if magic[2] not in _TYPES:
        raise FileError(path, f"element type 0x{magic[2]:02x}, which IDX does not have")
    if magic[3] not in axes:
        expected = "labels have 1" if axes == (1,) else "images have 3 or 4"
        raise FileError(path, f"{magic[3]} axes, but {expected}")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise FileError(path, "truncated within its header")
    shape = tuple(int.from_bytes(sizes[start : start + 4], "big") for start in range(0, len(sizes), 4))
    if 0 in shape:
        raise FileError(path, f"empty: the header announces {list(shape)}")
    return shape, np.dtype(_TYPES[magic[2]])


def header(array: NDArray[Any]) -> bytes:
    """What stands before the elements of an array in an IDX file."""
    kind = next(code for code, name in _TYPES.items() if np.dtype(name) == array.dtype)
    return bytes([0, 0, kind, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)


def _wrong_size(path: Path, shape: tuple[int, ...], expected: int, held: int | None) -> FileError:
    if held is None or held > expected:
        return FileError(path, f"bytes follow after the {expected:,} that the header {list(shape)} announces")
    return FileError(path, f"truncated: the header {list(shape)} announces {expected:,} bytes, {held:,} follow")
