"""Anyone's own data as an .npz archive, without trust in it: no pickles, no archive bombs.

It holds train_images, train_labels, test_images, test_labels, or the same as x_train, y_train, x_test, y_test.
Images are uint8[N, H, W] or uint8[N, C, H, W]; labels integers [N].
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.dataset import Dataset, Part, assemble, sha256_of
from specs.errors import RequestError

MOST_BYTES = 1 << 30
_MOST_DEFLATE_RATIO = 1032
_NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


def load_npz(path: Path) -> Dataset:
    """The data set of an .npz file; the file's name is its name. Raises RequestError naming file and problem."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            names = next((names for names in _NAMES if members >= {f"{name}.npy" for name in names}), None)
            if names is None:
                wanted = " or ".join(", ".join(names) for names in _NAMES)
                held = ", ".join(sorted(member.removesuffix(".npy") for member in members)[:8])
                raise RequestError(f"{path}: needs the arrays {wanted}; it holds {held[:200]!a}")
            parts = [_part(path, archive, name, labels=bool(index % 2)) for index, name in enumerate(names)]
    except RequestError:
        raise
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile fails in many ways on a crafted archive
        raise RequestError(f"{path}: not a sound .npz archive: {_brief(error)}") from None
    return assemble(
        name=path.stem,
        title=f"{path.stem} (.npz)",
        source=str(path),
        train=(parts[0], parts[1]),
        test=(parts[2], parts[3]),
    )


def _part(path: Path, archive: zipfile.ZipFile, name: str, *, labels: bool) -> Part:
    where = f"{path}: {name}"
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RequestError(f"{where}: compressed in a way that NumPy does not write")
    if info.file_size > min(MOST_BYTES, max(info.compress_size, 1) * _MOST_DEFLATE_RATIO):
        raise RequestError(f"{where}: announces {info.file_size:,} bytes, more than it can hold")
    with archive.open(info) as member:
        shape, fortran_order, dtype = _header(where, member)
        if labels and not (np.issubdtype(dtype, np.integer) and len(shape) == 1):
            raise RequestError(f"{where}: labels must be integers [N], got {dtype}{list(shape)}")
        if not labels and not (dtype == np.uint8 and len(shape) in (3, 4)):
            raise RequestError(f"{where}: images must be uint8 [N, H, W] or [N, C, H, W], got {dtype}{list(shape)}")
        content = member.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise RequestError(f"{where}: {len(content):,} bytes for an array {dtype}{list(shape)}")
    array: NDArray[Any] = np.frombuffer(content, dtype=dtype)
    array = np.ascontiguousarray(array.reshape(shape, order="F" if fortran_order else "C"))
    return Part(where, array, sha256_of(array))


def _header(where: str, member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype from the head of an .npy; NumPy's reader bounds the header's length itself."""
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(member)
    except (zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # NumPy evaluates the header as a literal: Python's whole tokenizer may complain
        raise RequestError(f"{where}: not an .npy array: {_brief(error)}") from None


def _brief(error: Exception) -> str:
    """A library's complaint, which may quote the file, cut and made printable."""
    text = str(error) or type(error).__name__
    return ascii(text[:100])[1:-1]
