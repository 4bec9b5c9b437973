"""A folder of four IDX files under the names of MNIST's, gzip or not."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

from harness.datasets import idx
from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from specs.errors import RequestError

# What each part's file name starts with; the first is the one to name in messages.
PARTS = {
    "train_images": ("train-images-idx3-ubyte", "train-images"),
    "train_labels": ("train-labels-idx1-ubyte", "train-labels"),
    "test_images": ("t10k-images-idx3-ubyte", "t10k-images", "test-images"),
    "test_labels": ("t10k-labels-idx1-ubyte", "t10k-labels", "test-labels"),
}

EMNIST_ARCHIVE = "gzip.zip"

FORMS = (
    "a data set is a folder of four IDX files, .gz or not (train-images-idx3-ubyte, train-labels-idx1-ubyte, "
    "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte), of pictures (train/CLASS/*.png or *.jpg, and test/ alike), or of "
    "two CSV files (train.csv and test.csv: the label, then the pixels), or an .npz file of x_train, y_train, x_test "
    "and y_test, as np.savez writes it"
)
"""What someone's own data may be."""


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


def read_parts(folder: Path, *, training: bool = True) -> dict[str, Part]:
    """The four parts, read and checked each for itself; the test part's two where ``training`` is not needed or there.

    Raises RequestError naming a missing file, and what a data set may be where there is none of them.
    """
    paths = find_parts(folder)
    if not paths:
        raise RequestError(f"{folder}: {_instead(folder)}; {FORMS}")
    wanted = list(PARTS) if training or len(paths) == len(PARTS) else list(PARTS)[2:]
    for part in wanted:
        if part not in paths:
            name = PARTS[part][0]
            raise RequestError(f"{folder}: no {name} (or {name}.gz) among its files")
    return {part: read_part(part, paths[part]) for part in wanted}


def read_part(part: str, path: Path) -> Part:
    """One of the four parts from its file."""
    return idx.read_images(path) if part.endswith("images") else idx.read_labels(path)


def load_folder(folder: Path, *, training: bool = True) -> Dataset:
    """Anyone's own data as a folder of IDX files; the folder's name is the data set's."""
    parts = read_parts(folder, training=training)
    return assemble(
        name=folder.resolve().name,
        title=f"{folder.resolve().name} (IDX files)",
        source=str(folder),
        train=(parts["train_images"], parts["train_labels"]) if "train_images" in parts else None,
        test=(parts["test_images"], parts["test_labels"]),
    )


def _instead(folder: Path) -> str:
    """What a folder holds that is no data set."""
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        if len(find_parts(below)) == len(PARTS):
            return f"the IDX files are in {below}: name that folder"
    if any(folder.glob("emnist-*ubyte*")):
        return f"EMNIST's images lie on their side: --dataset emnist reads its letters from DIR/emnist/{EMNIST_ARCHIVE}"
    kinds = Counter(path.suffix.lower() for path in islice(folder.rglob("*"), 2_000) if path.is_file())
    found = ", ".join(suffix for suffix, _ in kinds.most_common(3) if suffix)
    return f"holds no IDX files{f' but {found} files' if found else ''}"
