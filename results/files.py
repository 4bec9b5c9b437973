"""Writing so that nothing is lost: atomic files, and storage errors that say what is safe."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from specs.errors import RequestError

TEMPORARY = ".tmp-"
"""Prefix of what is being written; what a killed process left behind may be deleted."""


class StoreError(RequestError):
    """The storage would not take or give what was asked; the message says what failed, where, and what is safe."""


@contextmanager
def explained(action: str, path: Path, *, safe: str = "") -> Iterator[None]:
    """Turn an OSError into a StoreError: "cannot ACTION PATH: REASON; SAFE"."""
    try:
        yield
    except OSError as error:
        raise StoreError("; ".join(filter(None, [f"cannot {action} {path}: {_reason(error, path)}", safe]))) from error


def _reason(error: OSError, path: Path) -> str:
    if isinstance(error, TimeoutError):
        return "another process has held its lock for too long"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | None:  # NumPy tells of a short write without a number
            return "no space left; free some, or choose another place with --out"
        case errno.EROFS:
            return "the file system is read-only; choose another place with --out"
        case errno.EACCES | errno.EPERM:
            return "permission denied; choose another place with --out"
        case errno.ENOENT if not path.parent.exists():
            return f"the folder {path.parent} is not there (any more)"
        case _:
            return error.strerror or str(error)


def write_atomic(path: Path, content: bytes | str, *, safe: str = "") -> None:
    """Write a whole file or nothing: a temporary file beside it, fsync, rename. Makes the folder. Raises StoreError."""
    data = content.encode() if isinstance(content, str) else content
    with explained("write", path, safe=safe):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _temporary(path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def _temporary(folder: Path) -> tuple[Path, int]:
    """A new file and its descriptor, locked until that is closed: ``remove_temporary`` then knows its writer lives."""
    while True:
        temporary = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # swept in the moment between the two calls


def remove_temporary(folder: Path) -> None:
    """Delete the files anywhere below ``folder`` that killed writers left half written; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY):
                with suppress(OSError):  # still being written, gone meanwhile, or not ours to delete: no harm in it
                    _remove_unlocked(Path(place, name))


def _remove_unlocked(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make a creation or rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(partial: Path, folder: Path) -> None:
    """Make ``partial`` appear as ``folder`` once all of it has reached the disk, in place of what was there before."""
    for path in (*partial.rglob("*"), partial):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as opened:
                os.fsync(opened.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    sync_folder(folder.parent)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file of at most ``limit`` bytes. Raises StoreError where it is larger or cannot be read."""
    with explained("read", path), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise StoreError(f"{path}: larger than {limit} bytes")
    return data
