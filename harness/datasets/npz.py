"""Anyone's own data as an .npz archive, without trust in it: no pickles, no archive bombs.

It holds train_images, train_labels, test_images, test_labels, or the same as x_train, y_train, x_test, y_test, in
capitals or not; ``_NAMES`` has what else they are called.
Images are best uint8[N, H, W] or uint8[N, C, H, W], labels integers [N]; ``harness.datasets.meaning`` has what else is
understood. A boolean ``channels_last`` may say where the channels are.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from specs.errors import RequestError

MOST_BYTES = 1 << 30
_MOST_DEFLATE_RATIO = 1032
_NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("training_images", "training_labels", "test_images", "test_labels"),
    ("train_data", "train_labels", "test_data", "test_labels"),
    ("trainx", "trainy", "testx", "testy"),
)
_TOLD = 2  # of these, where none is there


def load_npz(path: Path, *, training: bool = True) -> Dataset:
    """The data set of an .npz file; the file's name is its name. Without ``training`` a test part alone will do.

    Raises RequestError naming file and problem.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = _names(path, archive, training=training)
            parts = [_part(path, archive, name) for name in names]
            channels_last = _channels_last(path, archive)
            notes = _left_out(archive, names)
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
        train=(parts[0], parts[1]) if len(parts) == 4 else None,
        test=(parts[-2], parts[-1]),
        channels_last=channels_last,
        notes=notes,
    )


def _names(path: Path, archive: zipfile.ZipFile, *, training: bool) -> tuple[str, ...]:
    """Which of the arrays to read: all four, or the test part's two."""
    held = _held(archive)
    members = {name.lower(): name for name in reversed(held)}
    for names in _NAMES:
        if members.keys() >= set(names):
            return tuple(members[name] for name in names)
    for names in _NAMES if not training else ():
        if members.keys() >= set(names[2:]):
            return tuple(members[name] for name in names[2:])
    wanted = " or ".join(", ".join(names) for names in _NAMES[:_TOLD])
    alone = any(members.keys() >= set(names[2:]) for names in _NAMES)
    listed = ", ".join(sorted(held)[:8])
    hint = "; a test part alone is for evaluate and predict" if alone else ""
    raise RequestError(f"{path}: needs the arrays {wanted}; it holds {listed[:200]!a}{hint}")


def _held(archive: zipfile.ZipFile) -> list[str]:
    return [member.removesuffix(".npy") for member in archive.namelist()]


def _left_out(archive: zipfile.ZipFile, names: tuple[str, ...]) -> tuple[str, ...]:
    """What to say of the arrays that are not read; a training part need not be."""
    known = {name for row in _NAMES for name in row} if len(names) == 2 else set()
    others = sorted(name for name in set(_held(archive)) - {*names, "channels_last"} if name.lower() not in known)
    listed = ", ".join(others[:8])
    return (f"arrays that are not read: {listed[:200]!a}{', ...' if len(others) > 8 else ''}",) if others else ()


def _channels_last(path: Path, archive: zipfile.ZipFile) -> bool | None:
    if "channels_last.npy" not in archive.namelist():
        return None
    said = _part(path, archive, "channels_last").array
    if said.size != 1 or said.dtype.kind != "b":
        raise RequestError(f"{path}: channels_last must be True or False")
    return bool(said.item())


def _part(path: Path, archive: zipfile.ZipFile, name: str) -> Part:
    where = f"{path}: {name}"
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RequestError(f"{where}: compressed in a way that NumPy does not write")
    if info.file_size > min(MOST_BYTES, max(info.compress_size, 1) * _MOST_DEFLATE_RATIO):
        raise RequestError(f"{where}: announces {info.file_size:,} bytes, more than it can hold")
    with archive.open(info) as member:
        shape, fortran_order, dtype = _header(where, member)
        if dtype.hasobject or dtype.kind not in "iubf":
            raise RequestError(f"{where}: {dtype}{list(shape)} holds no numbers")
        content = member.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise RequestError(f"{where}: {len(content):,} bytes for an array {dtype}{list(shape)}")
    array: NDArray[Any] = np.frombuffer(content, dtype=dtype)
    return Part(where, np.ascontiguousarray(array.reshape(shape, order="F" if fortran_order else "C")))


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
