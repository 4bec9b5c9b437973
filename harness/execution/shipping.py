"""Data sets on their way to other machines: known by content, checked on arrival, kept in the user's cache there."""

from __future__ import annotations

import io
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from harness.datasets import Dataset
from harness.datasets.cache import folder, write
from harness.inputs.prepare import sha256_of
from specs.errors import RequestError

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_WORDS = ("name", "title", "classes", "source", "sha256", "notes")


def digest_of(dataset: Dataset) -> str:
    """SHA-256 of all that a data set is."""
    return sha256_of({name: getattr(dataset, name) for name in _ARRAYS}, _words(dataset))


def packed(dataset: Dataset) -> bytes:
    """An .npz file of the arrays and of the words about them."""
    file = io.BytesIO()
    words = np.frombuffer(json.dumps(_words(dataset)).encode(), np.uint8)
    np.savez(file, words=words, **{name: getattr(dataset, name) for name in _ARRAYS})
    return file.getvalue()


def keep(digest: str, data: bytes) -> None:
    """Keep what arrived as the data set of this digest. Raises RequestError where it is another's, or damaged."""
    _unpacked(data, digest)
    if not write(_file(digest), [data]):
        raise RequestError(f"{_file(digest)} cannot be written: XDG_CACHE_HOME names another place for the cache")


def kept(digest: str) -> Dataset | None:
    """The data set of this digest, if it is here and whole; a damaged file counts as none."""
    try:
        return _unpacked(_file(digest).read_bytes(), digest)
    except (OSError, RequestError):
        return None


def _words(dataset: Dataset) -> dict[str, object]:
    return {name: list(value) if isinstance(value := getattr(dataset, name), tuple) else value for name in _WORDS}


def _unpacked(data: bytes, digest: str) -> Dataset:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            words = json.loads(bytes(file["words"]))
            arrays = {name: file[name] for name in _ARRAYS}
        dataset = Dataset(**arrays, **{**words, "notes": tuple(words["notes"])})
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RequestError(f"data set {digest[:12]}: damaged on the way: {type(error).__name__}") from None
    if digest_of(dataset) != digest:
        raise RequestError(f"data set {digest[:12]}: what arrived has another content")
    return dataset


def _file(digest: str) -> Path:
    if not digest.isalnum():
        raise RequestError(f"{digest[:80]!r} is no digest")
    return folder("cluster") / f"{digest}.npz"
