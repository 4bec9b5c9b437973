"""Small data sets on disk, sound ones; the tests then break them."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def idx_bytes(array: NDArray[np.generic], kind: int = 8) -> bytes:
    """The array as an IDX file; ``kind`` is IDX's number of its type, 8 for unsigned bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.tobytes()


def small_data(train: int = 12, test: int = 5, shape: tuple[int, ...] = (6, 4)) -> dict[str, NDArray[np.uint8]]:
    """Random images and labels 0 to 2, every class among the training labels."""
    generator = np.random.default_rng(0)
    return {
        "train_images": generator.integers(0, 256, (train, *shape), dtype=np.uint8),
        "train_labels": (np.arange(train) % 3).astype(np.uint8),
        "test_images": generator.integers(0, 256, (test, *shape), dtype=np.uint8),
        "test_labels": (np.arange(test) % 3).astype(np.uint8),
    }


def write_folder(folder: Path, data: dict[str, NDArray[np.uint8]], *, compress: bool = False) -> Path:
    """A folder of four IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in data.items():
        content = idx_bytes(array)
        if compress:
            (folder / f"{NAMES[part]}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / NAMES[part]).write_bytes(content)
    return folder
