"""A folder of pictures, as torchvision's ImageFolder and Keras take them: train/CLASS/*.png and test/CLASS/*.png."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from specs.errors import RequestError

_VALIDATION = ("val", "valid", "validation")
TRAIN, TEST = ("train", "training"), ("test", "testing", *_VALIDATION)
_SUFFIXES = (".png", ".jpg", ".jpeg")
_OTHER_SUFFIXES = (".bmp", ".gif", ".tif", ".tiff", ".webp")
_MOST_PIXELS = 1 << 24  # of one picture
_MOST_BYTES = 1 << 30  # of all


def part_folder(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The part of a data set that is called one of ``names`` and has a folder for each class."""
    places = (folder / name for name in names)
    return next((place for place in places if place.is_dir() and any(one.is_dir() for one in place.iterdir())), None)


def load_pictures(folder: Path, *, training: bool = True) -> Dataset:
    """The classes are the folders of both parts in the order of their names, of their numbers where all are numbers.

    All pictures have one size; where one of them has colours, all are read as RGB. Raises RequestError naming the file.
    """
    train, test = (part_folder(folder, names) for names in (TRAIN, TEST))
    if test is None or (train is None and training):
        wanted = "test" if test is None else "train"
        raise RequestError(f"{folder}: pictures need {wanted}/CLASS/*.png or *.jpg, a folder for each class")
    parts = [part for part in (train, test) if part is not None]
    named = {one.name for part in parts for one in part.iterdir() if one.is_dir() and not one.name.startswith(".")}
    classes = sorted(named, key=int) if all(name.isdecimal() for name in named) else sorted(named)
    files = [[(path, label) for label, name in enumerate(classes) for path in _files(part / name)] for part in parts]
    everything = [path for pairs in files for path, _ in pairs]
    if not everything:
        raise RequestError(f"{folder}: no .png or .jpg files in the folders of its classes")
    grey = all(_is_grey(path) for path in everything)
    size = _pixels(everything[0], grey).shape
    if len(everything) * int(np.prod(size)) > _MOST_BYTES:
        raise RequestError(f"{folder}: {len(everything):,} pictures of {size[1]} x {size[0]} are more than 1 GiB")
    pairs = []
    for part, found in zip(parts, files, strict=True):
        images = np.empty((len(found), *size), np.uint8)
        for place, (path, _) in enumerate(found):
            images[place] = _fitting(path, grey, size, everything[0])
        channels_first = images if grey else np.ascontiguousarray(np.moveaxis(images, -1, 1))
        labels = np.array([label for _, label in found], np.int64)
        pairs.append((Part(str(part), channels_first), Part(str(part), labels)))
    listed = ", ".join(f"{name} = {label}" for label, name in enumerate(classes[:10]))
    note = f"classes are the folders: {listed}{', ...' if len(classes) > 10 else ''}"
    return assemble(
        name=folder.resolve().name,
        title=f"{folder.resolve().name} (pictures)",
        source=str(folder),
        train=pairs[0] if train is not None else None,
        test=pairs[-1],
        classes=max(2, len(classes)),
        channels_last=False,
        notes=(note, *_unsaid(folder, test, parts)),
    )


def _unsaid(folder: Path, test: Path, parts: list[Path]) -> Iterator[str]:
    """What the folder holds that is taken for something else, or for nothing."""
    validation = part_folder(folder, _VALIDATION)
    if validation == test:
        yield f"{test.name}/ is taken as the test part, for there is no test/"
    elif validation is not None:
        yield f"{validation.name}/ is not read: a recipe's validation takes its share of the training part"
    if left := sum(len(_files(one, _OTHER_SUFFIXES)) for part in parts for one in part.iterdir() if one.is_dir()):
        yield f"{left:,} files that are pictures, but neither .png nor .jpg, are not read"


def _files(folder: Path, suffixes: tuple[str, ...] = _SUFFIXES) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in suffixes)


def _is_grey(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            return image.mode in ("1", "L", "LA")
    except Exception:
        return True  # what is no picture is named when it is read


def _fitting(path: Path, grey: bool, size: tuple[int, ...], first: Path) -> NDArray[np.uint8]:
    pixels = _pixels(path, grey)
    if pixels.shape != size:
        raise RequestError(
            f"{path}: {pixels.shape[1]} x {pixels.shape[0]} pixels, but {first} has {size[1]} x {size[0]}: "
            "give all pictures one size"
        )
    return pixels


def _pixels(path: Path, grey: bool) -> NDArray[np.uint8]:
    """uint8[H, W], or uint8[H, W, 3]. Raises RequestError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own limit, which is above ours
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise RequestError(f"{path}: {image.width:,} x {image.height:,} pixels are too many")
                if image.mode.startswith(("I", "F")):
                    raise RequestError(f"{path}: more than 8 bits a pixel: write it in 8")
                return np.asarray(image.convert("L" if grey else "RGB"))
    except RequestError:
        raise
    except Exception as error:  # Pillow fails in many ways on a crafted file
        raise RequestError(f"{path}: not a sound PNG or JPEG: {ascii(str(error)[:100])[1:-1]}") from None
