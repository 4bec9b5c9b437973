"""Putting a finished run into its result set: the record first, then the images that the report's gallery shows."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from harness.datasets import Dataset
from results.record import Record
from results.store import ResultSet


def keep(results: ResultSet, record: Record, dataset: Dataset) -> list[str]:
    """Append the record, then keep its images; returns what of these failed. Raises StoreError for the record alone."""
    results.append(record)
    return keep_images(results, record, dataset)


def keep_images(results: ResultSet, record: Record, dataset: Dataset) -> list[str]:
    """Keep the test images that the run misclassified as PNG files; returns one line where that failed."""
    try:
        images = {m.index: png(dataset.test_images[m.index]) for m in record.misclassified}
        results.save_images(dataset.name, images)
    except Exception as error:  # whatever it was: the record is safe, and the gallery shows what there is
        return [f"{record.run_id}: no images for the gallery: {' '.join(str(error).split()) or type(error).__name__}"]
    return []


def complete_last(results: ResultSet, datasets: dict[str, Dataset]) -> list[str]:
    """Keep the images of the last record, which a kill may have come between."""
    rows, _ = results.rows()
    last = rows[-1] if rows else None
    if last is None or last.dataset not in datasets:
        return []
    records, _ = results.records({last.run_id})
    return [line for record in records for line in keep_images(results, record, datasets[last.dataset])]


def png(image: NDArray[np.uint8]) -> bytes:
    """A uint8[C, H, W] image as PNG: colour for three channels, else the first channel in grey."""
    from PIL import Image

    buffer = io.BytesIO()
    pixels = image.transpose(1, 2, 0) if image.shape[0] == 3 else image[0]
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return buffer.getvalue()
