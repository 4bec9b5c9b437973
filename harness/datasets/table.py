"""Two CSV files, as MNIST is often passed on: a row for each image, its label first, then its pixels row by row."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from specs.errors import RequestError

_MOST_BYTES = 1 << 30


def tables(folder: Path, word: str = "") -> list[Path]:
    """The .csv files of a folder that have a word in their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and word in path.stem.lower())


def load_tables(folder: Path, *, training: bool = True) -> Dataset:
    """The data set of the folder's two tables. Raises RequestError naming file and problem."""
    train, test = tables(folder, "train"), tables(folder, "test")
    for word, found in (("train", train), ("test", test)):
        if len(found) != 1 and (word == "test" or training):
            held = " and ".join(path.name for path in found) or f"no .csv file with {word!r} in its name"
            raise RequestError(f"{folder}: {held}; CSV data is one train and one test table")
    return assemble(
        name=folder.resolve().name,
        title=f"{folder.resolve().name} (CSV)",
        source=str(folder),
        train=_read(train[0]) if len(train) == 1 else None,
        test=_read(test[0]),
    )


def _read(path: Path) -> tuple[Part, Part]:
    """Images [N, side, side] and labels [N]; a first line that is no numbers is a header."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{path}: larger than 1 GiB")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(1 << 20)
        skip = 0 if _numbers(first) else 1
        rows = np.loadtxt(path, np.float32, delimiter=",", skiprows=skip, ndmin=2, encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise RequestError(f"{path}: not a table of numbers: {ascii(str(error)[:120])[1:-1]}") from None
    if not rows.size:
        raise RequestError(f"{path}: holds no rows")
    pixels = rows.shape[1] - 1
    side = math.isqrt(max(pixels, 0))
    if side < 2 or side * side != pixels:
        raise RequestError(
            f"{path}: {rows.shape[1]} columns; a label and the pixels of a square image are wanted, 785 for 28 x 28"
        )
    images = rows[:, 1:].reshape(-1, side, side)
    if (images == np.rint(images)).all():
        images = images.astype(np.int32)
        images = images.astype(np.uint8) if images.min() >= 0 and images.max() <= 255 else images
    return Part(f"{path}: pixels", np.ascontiguousarray(images)), Part(f"{path}: labels", rows[:, 0])


def _numbers(line: str) -> bool:
    try:
        return bool([float(cell) for cell in line.split(",")])
    except ValueError:
        return False
