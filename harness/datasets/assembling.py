"""From the arrays that a source holds to a data set: the checks that every source shares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.datasets.dataset import Dataset, Part
from harness.datasets.meaning import images_meant, labels_meant, missing_classes
from specs.errors import RequestError

MOST_CLASSES = 65_536


def assemble(
    *,
    name: str,
    title: str,
    source: str,
    train: tuple[Part, Part] | None,
    test: tuple[Part, Part],
    classes: int | None = None,
    channels_last: bool | None = None,
    notes: Sequence[str] = (),
) -> Dataset:
    """A Dataset from (images, labels) pairs in any form that ``harness.datasets.meaning`` knows, once they fit.

    Without ``train`` its part is empty. Without ``classes`` there are as many as the labels name. ``notes`` are what
    the source has to say. Raises RequestError naming the file and the problem: counts that differ, an empty part, train
    and test images of different shapes, labels out of range, arrays that could mean two things.
    """
    pairs = [test] if train is None else [train, test]
    images, inferred = images_meant([pair[0] for pair in pairs], channels_last)
    labels, named = [], []
    for pair in pairs:
        part, more, count = labels_meant(pair[1])
        labels.append(part)
        named.append(count)
        inferred += more
    for pixels, part in zip(images, labels, strict=True):
        if len(pixels.array) != len(part.array):
            raise RequestError(
                f"{part.where}: {len(part.array)} labels for the {len(pixels.array)} images of {pixels.where}"
            )
        if pixels.array.size == 0:
            raise RequestError(f"{pixels.where}: holds no image")
    if images[0].array.shape[1:] != images[-1].array.shape[1:]:
        raise RequestError(
            f"{images[-1].where}: images of shape {list(images[-1].array.shape[1:])}, "
            f"but {images[0].where} has {list(images[0].array.shape[1:])}"
        )
    for part, count in zip(labels, named, strict=True):
        if count > (classes or MOST_CLASSES):
            most = (classes or MOST_CLASSES) - 1
            raise RequestError(f"{part.where}: a label of {count - 1}; at most {most} is allowed")
    if train is None:
        empty = images[0].array[:0], labels[0].array[:0]
        images.insert(0, Part("no training images", empty[0]))
        labels.insert(0, Part("no training labels", empty[1]))
    count = classes or max(2, *named)
    inferred += missing_classes(labels[0].array, labels[1].array, count)
    digests = [part.sha256 for pair in zip(images, labels, strict=True) for part in pair]
    return Dataset(
        name=name,
        title=title,
        train_images=_nchw(images[0].array),
        train_labels=labels[0].array.astype(np.int64),
        test_images=_nchw(images[1].array),
        test_labels=labels[1].array.astype(np.int64),
        classes=count,
        source=source,
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
        notes=tuple(dict.fromkeys([*notes, *inferred])),
    )


def _nchw(images: NDArray[Any]) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], images[:, np.newaxis] if images.ndim == 3 else images)
