"""IDX files, the format of MNIST (LeCun, Cortes & Burges 1998), plain or gzip, without trust in their headers.

A file is 0, 0, element type, number of axes; then each axis as a big-endian uint32; then the elements in C order.
Only unsigned bytes (type 0x08) are read. A plain file is memory-mapped; a gzip file is decoded once and then mapped
from the user's cache.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.datasets import cache
from harness.datasets.dataset import Part
from specs.errors import RequestError

MOST_BYTES = 1 << 30  # of what is decoded in memory; a plain file of any size is only mapped
_MOST_GZIP_RATIO = 1032  # deflate cannot do better
_WORTH_KEEPING = 1 << 20
_CHUNK = 1 << 20
_UNSIGNED_BYTE = 0x08


def read_images(path: Path) -> Part:
    """uint8[N, H, W] or uint8[N, C, H, W]. Raises RequestError naming the file and what is wrong with it."""
    return _read(path, (3, 4))


def read_labels(path: Path) -> Part:
    """uint8[N]. Raises RequestError naming the file and what is wrong with it."""
    return _read(path, (1,))


def _read(path: Path, axes: tuple[int, ...]) -> Part:
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        return Part(str(path), _decoded(path, axes) if compressed else _mapped(path, axes))
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from None


def _mapped(path: Path, axes: tuple[int, ...]) -> NDArray[np.uint8]:
    """A read-only memory map of a plain IDX file, whose size must be exactly what its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        shape = _shape(path, file, axes)
    offset, elements = 4 + 4 * len(shape), math.prod(shape)
    if size != offset + elements:
        raise _wrong_size(path, shape, size - offset)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=shape)


def _decoded(path: Path, axes: tuple[int, ...]) -> NDArray[np.uint8]:
    """The content of a gzip IDX file, kept for the next time under the SHA-256 of the compressed bytes."""
    with path.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()
    kept = cache.folder("decoded") / f"{key}.idx"
    if kept.is_file():
        try:
            return _mapped(kept, axes)
        except RequestError:  # damaged after it was written: decode again
            kept.unlink(missing_ok=True)
    array = _gunzip(path, axes)
    if array.nbytes < _WORTH_KEEPING or not cache.write(kept, [header(array), array.data]):
        return array
    return _mapped(kept, axes)


def _gunzip(path: Path, axes: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        with gzip.open(path) as file:
            shape = _shape(path, file, axes)
            elements = math.prod(shape)
            if elements > min(MOST_BYTES, path.stat().st_size * _MOST_GZIP_RATIO):
                raise RequestError(f"{path}: the header asks for {elements:,} bytes, more than the file can hold")
            array = np.empty(shape, dtype=np.uint8)
            count = _fill(array, file)
            trailing = file.read(1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RequestError(f"{path}: truncated or corrupt gzip: {error}") from None
    if count != elements or trailing:
        raise _wrong_size(path, shape, None if trailing else count)
    return array


def _fill(array: NDArray[np.uint8], file: gzip.GzipFile) -> int:
    """Read into the array, in chunks since gzip makes a copy of each; returns how many bytes there were."""
    flat, count = array.reshape(-1), 0
    while count < flat.size and (read := file.readinto(flat[count : count + _CHUNK].data)):
        count += read
    return count


def content_of(content: bytes, name: str) -> NDArray[np.uint8]:
    """The array of an IDX file that is in memory. Raises RequestError like the readers of files."""
    path, file = Path(name), io.BytesIO(content)
    shape = _shape(path, file, (1, 3, 4))
    elements = np.frombuffer(content, np.uint8, offset=file.tell())
    if elements.size != math.prod(shape):
        raise _wrong_size(path, shape, elements.size)
    return elements.reshape(shape)


def _shape(path: Path, file: BinaryIO | gzip.GzipFile, axes: tuple[int, ...]) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise RequestError(f"{path}: not an IDX file (starts with {magic.hex(' ') or 'nothing'})")
    if magic[2] != _UNSIGNED_BYTE:
        raise RequestError(f"{path}: element type 0x{magic[2]:02x}, only unsigned bytes (0x08) are read")
    if magic[3] not in axes:
        expected = "labels have 1" if axes == (1,) else "images have 3 or 4"
        raise RequestError(f"{path}: {magic[3]} axes, but {expected}")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise RequestError(f"{path}: truncated within its header")
    shape = tuple(int.from_bytes(sizes[start : start + 4], "big") for start in range(0, len(sizes), 4))
    if 0 in shape:
        raise RequestError(f"{path}: empty: the header announces {list(shape)}")
    return shape


def header(array: NDArray[np.uint8]) -> bytes:
    """What stands before the elements of an IDX file of unsigned bytes."""
    return bytes([0, 0, _UNSIGNED_BYTE, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)


def _wrong_size(path: Path, shape: tuple[int, ...], held: int | None) -> RequestError:
    expected = math.prod(shape)
    if held is None or held > expected:
        return RequestError(f"{path}: bytes follow after the {expected:,} that the header {list(shape)} announces")
    return RequestError(f"{path}: truncated: the header {list(shape)} announces {expected:,} bytes, {held:,} follow")
