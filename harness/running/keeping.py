"""Putting a finished run into its result set: the record and the images that the report's gallery shows."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from harness.datasets import Dataset
from results.record import Record
from results.store import ResultSet


def keep(results: ResultSet, record: Record, dataset: Dataset) -> None:
    """Keep the test images that the run misread as PNG files, then append the record. Raises StoreError.

    In this order a kill in between loses nothing: the run has no record yet, and --resume repeats it.
    """
    misread = {m.index: png(dataset.test_images[m.index]) for m in record.misread}
    results.save_images(dataset.name, misread)
    results.append(record)


def png(image: NDArray[np.uint8]) -> bytes:
    """A uint8[C, H, W] image as PNG; grey for one channel, colour for three."""
    from PIL import Image

    buffer = io.BytesIO()
    pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
