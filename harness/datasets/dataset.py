"""What a data set is once loaded, and the checks that every source shares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from specs.errors import RequestError

MOST_CLASSES = 65_536


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Images uint8[N, C, H, W] (possibly read-only memory maps) and labels int64[N] in 0 to classes - 1.

    ``sha256`` identifies the content: equal for the same samples whatever files they came from.
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


@dataclass(frozen=True)
class Part:
    """One of the four arrays as it was read: where from, and the SHA-256 of its content.

    ``array`` is uint8[N, H, W] or uint8[N, C, H, W] for images, an integer array [N] for labels.
    """

    where: str
    array: NDArray[np.generic]
    sha256: str


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


def assemble(
    *, name: str, title: str, source: str, train: tuple[Part, Part], test: tuple[Part, Part], classes: int | None = None
) -> Dataset:
    """A Dataset from (images, labels) pairs, once they are known to belong together.

    Without ``classes`` there are as many as the training labels name. Raises RequestError naming the file and the
    problem: counts that differ, an empty part, train and test images of different shapes, labels out of range.
    """
    for images, labels in (train, test):
        if len(images.array) != len(labels.array):
            raise RequestError(
                f"{labels.where}: {len(labels.array)} labels for the {len(images.array)} images of {images.where}"
            )
        if images.array.size == 0:
            raise RequestError(f"{images.where}: holds no image")
    if train[0].array.shape[1:] != test[0].array.shape[1:]:
        raise RequestError(
            f"{test[0].where}: images of shape {list(test[0].array.shape[1:])}, "
            f"but {train[0].where} has {list(train[0].array.shape[1:])}"
        )
    count = classes or max(2, int(train[1].array.max()) + 1)
    if count > MOST_CLASSES:
        raise RequestError(f"{train[1].where}: a label of {count - 1}; at most {MOST_CLASSES - 1} is allowed")
    for labels in (train[1], test[1]):
        for extreme in (int(labels.array.min()), int(labels.array.max())):
            if not 0 <= extreme < count:
                raise RequestError(f"{labels.where}: label {extreme} is out of range 0 to {count - 1}")
    digests = [part.sha256 for part in (*train, *test)]
    return Dataset(
        name=name,
        title=title,
        train_images=_nchw(train[0].array),
        train_labels=train[1].array.astype(np.int64),
        test_images=_nchw(test[0].array),
        test_labels=test[1].array.astype(np.int64),
        classes=count,
        source=source,
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
    )


def _nchw(images: NDArray[np.generic]) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], images[:, np.newaxis] if images.ndim == 3 else images)
