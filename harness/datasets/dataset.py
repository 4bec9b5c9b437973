"""What a data set is once loaded, and what identifies its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Images uint8[N, C, H, W] (possibly read-only memory maps) and labels int64[N] in 0 to classes - 1.

    ``sha256`` identifies the content: equal for the same samples whatever files they came from. ``notes`` are what a
    user should know of how it was read. The training part of a data set that is a test part alone is empty.
    """

    name: str
    title: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    source: str
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One of the four arrays as it was read, and where from."""

    where: str
    array: NDArray[Any]

    @cached_property
    def sha256(self) -> str:
        """Of its content: see ``sha256_of``."""
        return sha256_of(self.array)


def sha256_of(array: NDArray[np.generic]) -> str:
    """SHA-256 of an array as an IDX file would hold it: of the header, then the elements, big-endian, row by row.

    So an uncompressed IDX file's own SHA-256 and that of the same array from elsewhere agree. Labels are taken as
    unsigned bytes where they fit.
    """
    if array.dtype != np.uint8 and array.ndim == 1:
        small = array.size == 0 or (array.min() >= 0 and array.max() <= 255)
        array = array.astype(np.uint8 if small else ">i4")
    kind = {"u1": 0x08, "i4": 0x0C}[array.dtype.str[1:]]
    header = bytes([0, 0, kind, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
