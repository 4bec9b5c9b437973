"""A folder of four IDX files under the names of MNIST's, gzip or not."""

from __future__ import annotations

from pathlib import Path

from harness.datasets import idx
from harness.datasets.dataset import Dataset, Part, assemble
from specs.errors import RequestError

# What each part's file name starts with; the first is the one to name in messages.
PARTS = {
    "train_images": ("train-images-idx3-ubyte", "train-images"),
    "train_labels": ("train-labels-idx1-ubyte", "train-labels"),
    "test_images": ("t10k-images-idx3-ubyte", "t10k-images", "test-images"),
    "test_labels": ("t10k-labels-idx1-ubyte", "t10k-labels", "test-labels"),
}


def find_parts(folder: Path) -> dict[str, Path]:
    """Those of the four parts that the folder holds; of a plain and a gzip file side by side the plain one.

    Raises RequestError when two files claim to be the same part.
    """
    found = {}
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for part, prefixes in PARTS.items():
        plain: dict[str, str] = {}
        for name in names:
            if name.startswith(prefixes) and not name.endswith(".npy"):
                plain.setdefault(name.removesuffix(".gz"), name)
        if len(plain) > 1:
            raise RequestError(f"{folder}: both {' and '.join(plain.values())} could be the {part.replace('_', ' ')}")
        if plain:
            found[part] = folder / next(iter(plain.values()))
    return found


def read_parts(folder: Path) -> dict[str, Part]:
    """The four parts, read and checked each for itself. Raises RequestError naming a missing file."""
    paths = find_parts(folder)
    for part, prefixes in PARTS.items():
        if part not in paths:
            raise RequestError(f"{folder}: no {prefixes[0]} (or {prefixes[0]}.gz) among its files")
    return {part: read_part(part, path) for part, path in paths.items()}


def read_part(part: str, path: Path) -> Part:
    """One of the four parts from its file."""
    return idx.read_images(path) if part.endswith("images") else idx.read_labels(path)


def load_folder(folder: Path) -> Dataset:
    """Anyone's own data as a folder of IDX files; the folder's name is the data set's."""
    parts = read_parts(folder)
    return assemble(
        name=folder.resolve().name,
        title=f"{folder.resolve().name} (IDX files)",
        source=str(folder),
        train=(parts["train_images"], parts["train_labels"]),
        test=(parts["test_images"], parts["test_labels"]),
    )
