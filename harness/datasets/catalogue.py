"""From what a user types to a data set."""

from __future__ import annotations

from pathlib import Path

from harness.datasets.dataset import Dataset
from harness.datasets.digits import load_digits
from harness.datasets.folder import FORMS, find_parts, load_folder
from harness.datasets.mnist import load_mnist
from harness.datasets.npz import load_npz
from harness.datasets.pictures import TEST, TRAIN, load_pictures, part_folder
from harness.datasets.published import PUBLISHED, load_published
from harness.datasets.table import load_tables, tables
from specs.errors import RequestError, unknown
from specs.form import MNIST, Form

NAMES = {
    "mnist": "MNIST: 60,000 + 10,000 handwritten digits, 28x28 (a folder of yours, or a download of 11 MB)",
    "digits": "1,442 + 355 scanned digits, enlarged to 28x28 (embedded, no network)",
    "fashion_mnist": "60,000 + 10,000 pictures of clothes, 28x28 (31 MB)",
    "kmnist": "60,000 + 10,000 cursive Japanese characters, 28x28 (21 MB)",
    "emnist": "124,800 + 20,800 handwritten letters of 26 classes, 28x28 (536 MB)",
    "cifar10": "50,000 + 10,000 colour photographs of 10 classes, 32x32 (170 MB)",
    "cifar100": "50,000 + 10,000 colour photographs of 100 classes, 32x32 (169 MB)",
}


def load_dataset(name_or_path: str | Path, data_dir: Path | None = None, *, training: bool = True) -> Dataset:
    """A data set by name, or from a folder of IDX files or an .npz file (anything with a slash or that exists).

    ``data_dir`` is where to look for mnist. Where its ``training`` part is not needed, a test part alone will do.
    Raises RequestError of one line naming the file and the problem, or the nearest name.
    """
    try:
        return _load(name_or_path, data_dir, training)
    except OSError as error:  # a folder that may not be listed, a name too long
        raise RequestError(f"{error.filename or name_or_path}: {error.strerror or error}") from None


def form_of(name_or_path: str | Path) -> Form:
    """Image shape and classes of a data set; those of the named ones are known without it. Raises RequestError."""
    if name_or_path in PUBLISHED:
        return PUBLISHED[str(name_or_path)].form
    if name_or_path in NAMES:
        return MNIST
    data = load_dataset(name_or_path)
    channels, height, width = data.test_images.shape[1:]
    return Form((channels, height, width), data.classes)


def _load_folder(path: Path, *, training: bool) -> Dataset:
    """By what it holds: IDX files, pictures in folders, or tables."""
    if not find_parts(path):
        if part_folder(path, (*TRAIN, *TEST)):
            return load_pictures(path, training=training)
        if tables(path):
            return load_tables(path, training=training)
    return load_folder(path, training=training)


def _load(name_or_path: str | Path, data_dir: Path | None, training: bool) -> Dataset:
    text = str(name_or_path)
    if text == "mnist":
        return load_mnist(data_dir)
    if text == "digits":
        return load_digits()
    if text in PUBLISHED:
        return load_published(text, data_dir)
    if "\0" in text:
        raise RequestError("a data set's name may not hold a NUL character")
    path = Path(text)
    if path.is_dir():
        return _load_folder(path, training=training)
    if path.is_file():
        if path.suffix != ".npz":
            raise RequestError(f"{path}: not a data set: {FORMS}")
        return load_npz(path, training=training)
    if "/" in text or path.suffix == ".npz" or isinstance(name_or_path, Path):
        raise RequestError(f"{path}: no such file or folder")
    raise unknown("data set", text, NAMES)
