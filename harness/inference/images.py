"""Pictures from files of a user's own: PNG, JPEG, IDX and .npy, without trust in them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.checkpoints import Framing
from harness.datasets.idx import read_images
from harness.inference.framing import BLANK, NOTHING, framed, levels
from specs.errors import RequestError

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 50_000_000
MOST_IMAGES = 1_000
"""How many images one file may hold, and how many are predicted at once."""

_BITS = (8, 10, 12, 14, 16)  # what cameras have; they leave the upper bits of a file of 16 empty
_NPY = b"\x93NUMPY"
_IDX = (b"\0\0\x08", b"\x1f\x8b")  # plain and gzip


@dataclass(frozen=True, eq=False)
class Picture:
    """``pixels`` is uint8[C, H, W] as the training images were, before preprocessing; ``notes`` what was done to it.

    ``label`` is the class it is known to show.
    """

    name: str
    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    label: int | None = None


def read_pictures(
    paths: Sequence[Path], shape: tuple[int, int, int], framing: Framing, *, index: int | None = None
) -> list[Picture]:
    """The pictures of some files in the form that a network of input ``shape`` [C, H, W] was trained on.

    Of a file that holds several, all, or only the one at ``index``. Raises RequestError naming the file.
    """
    pictures = [picture for path in paths for picture in _read(path, shape, framing, index)]
    if len(pictures) > MOST_IMAGES:
        raise RequestError(f"{len(pictures):,} images, at most {MOST_IMAGES:,} are predicted at once")
    return pictures


def _read(path: Path, shape: tuple[int, int, int], framing: Framing, index: int | None) -> list[Picture]:
    try:
        if path.is_dir():
            raise RequestError(f"{path}: a folder, not an image")
        if not path.is_file():  # opening a pipe would wait for ever
            raise RequestError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            magic = file.read(8)
        if not magic:
            raise RequestError(f"{path}: the file is empty")
        if magic.startswith(_NPY):
            return _several(path, _npy(path, shape), shape, framing, index)
        if magic.startswith(_IDX):
            return _several(path, read_images(path).array, shape, framing, index)
        if index is not None:
            raise RequestError(f"{path}: --index names an image of an IDX or .npy file, or of the test set")
        image, notes = _decoded(path, shape[0])
        return [_fitted(str(path), image, shape, framing, notes)]
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from None


def _decoded(path: Path, channels: int) -> tuple[NDArray[np.float64], list[str]]:
    """A PNG or JPEG file as [C, H, W], values 0 to 255, and what was made of its numbers."""
    if path.stat().st_size > MOST_BYTES:
        raise RequestError(f"{path}: larger than {MOST_BYTES // 2**20} MiB, the most an image file may be")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own limit, which is above ours
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise RequestError(f"{path}: {width:,} x {height:,} pixels, at most {MOST_PIXELS:,} are read")
                return _pixels(ImageOps.exif_transpose(image), channels)
    except RequestError:
        raise
    except UnidentifiedImageError:
        raise RequestError(f"{path}: not an image: PNG, JPEG, IDX and .npy files are read") from None
    except Image.DecompressionBombError:  # so large that Pillow does not even say how large
        raise RequestError(f"{path}: too large: at most {MOST_PIXELS:,} pixels are read") from None
    except Exception as error:  # Pillow fails in many ways on a crafted file
        raise RequestError(f"{path}: not a sound image: {ascii(str(error)[:100])[1:-1]}") from None


def _pixels(image: Image.Image, channels: int) -> tuple[NDArray[np.float64], list[str]]:
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would cut off what is above 255
        grey = np.asarray(image, np.float64)
        bits = next((bits for bits in _BITS if grey.max() < 2**bits), _BITS[-1])
        notes = [f"brightness to {grey.max():.0f} in 16 bits: scaled as {bits} bits"] if bits not in (8, 16) else []
        return np.repeat((grey * 255 / (2**bits - 1))[np.newaxis], channels, axis=0), notes
    if "A" in image.getbands() or "transparency" in image.info:
        image = _on_paper(image.convert("RGBA"))
    converted = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float64)
    return (converted[np.newaxis] if channels == 1 else converted.transpose(2, 0, 1)), []


def _on_paper(image: Image.Image) -> Image.Image:
    """What is transparent becomes white or black, whichever the rest stands out from."""
    pixels = np.asarray(image, np.float64)
    opacity = pixels[..., 3]
    light = float((pixels[..., :3].mean(axis=2) * opacity).sum() / max(opacity.sum(), 1.0))
    paper = Image.new("RGBA", image.size, "black" if light > 127.5 else "white")
    return Image.alpha_composite(paper, image)


def _npy(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """uint8[N, H, W] or uint8[N, C, H, W] of an array of one or several images; numbers from 0 to 1 are brightness."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy evaluates the header as a literal: Python's whole tokenizer may complain
        raise RequestError(f"{path}: not a sound .npy file: {ascii(str(error)[:100])[1:-1]}") from None
    kind = array.dtype.kind
    if array.dtype != np.uint8 and kind != "f":
        raise RequestError(f"{path}: {array.dtype} numbers; images are uint8, or floating point from 0 to 1")
    if array.ndim == 2 or array.shape == shape:
        array = array[np.newaxis]
    if array.ndim not in (3, 4) or array.size == 0:
        raise RequestError(f"{path}: shape {list(array.shape)}; images are [H, W], [N, H, W] or [N, C, H, W]")
    if array.nbytes > MOST_BYTES * 16:
        raise RequestError(f"{path}: larger than {MOST_BYTES * 16 // 2**20:,} MiB, the most an array may be")
    if kind != "f":
        return array
    if not (array.min() >= 0 and array.max() <= 1):
        raise RequestError(f"{path}: floating-point images have brightness from 0 to 1; here some is outside, or NaN")
    return np.rint(np.asarray(array, np.float64) * 255).astype(np.uint8)


def _several(
    path: Path, array: NDArray[Any], shape: tuple[int, int, int], framing: Framing, index: int | None
) -> list[Picture]:
    if index is not None and not 0 <= index < len(array):
        raise RequestError(f"{path}: --index must be from 0 to {len(array) - 1}, got {index}")
    if index is None and len(array) > MOST_IMAGES:
        raise RequestError(f"{path}: holds {len(array):,} images, more than {MOST_IMAGES:,}: --index names one of them")
    if math.prod(array.shape[1:]) > MOST_PIXELS:
        raise RequestError(f"{path}: images of {math.prod(array.shape[1:]):,} pixels, at most {MOST_PIXELS:,} are read")
    chosen = range(len(array)) if index is None else [index]
    images = array[:, np.newaxis] if array.ndim == 3 else array
    names = {number: str(path) if len(array) == 1 else f"{path}:{number}" for number in chosen}
    return [_fitted(name, np.asarray(images[number], np.float64), shape, framing) for number, name in names.items()]


def _fitted(
    name: str, image: NDArray[np.float64], shape: tuple[int, int, int], framing: Framing, notes: Sequence[str] = ()
) -> Picture:
    """An image [C, H, W] of any size in the input's shape."""
    channels, size = shape[0], (shape[1], shape[2])
    if len(image) not in (1, channels):
        raise RequestError(f"{name}: {len(image)} channels, the model takes {channels}")
    try:
        if channels == 1:
            pixels, done = framed(image[0], size, framing)
            return Picture(name, pixels[np.newaxis], (*notes, *done))
        if max(levels(plane)[2] for plane in image) < BLANK * framing.contrast:
            raise RequestError(NOTHING)
        pixels, done = _cropped(np.broadcast_to(image, (channels, *image.shape[1:])), size)
        return Picture(name, pixels, (*notes, *done))
    except RequestError as error:
        raise RequestError(f"{name}: {error}") from None


def _cropped(image: NDArray[np.float64], size: tuple[int, int]) -> tuple[NDArray[np.uint8], list[str]]:
    """The middle of a photograph, scaled so that its shorter side fits."""
    pixels = image.astype(np.uint8)
    if pixels.shape[1:] == size:
        return pixels, []
    planes = [ImageOps.fit(Image.fromarray(plane), size[::-1]) for plane in pixels]
    notes = [f"{pixels.shape[2]}x{pixels.shape[1]}, cropped in the middle and scaled to {size[1]}x{size[0]}"]
    return np.stack([np.asarray(plane) for plane in planes]), notes
