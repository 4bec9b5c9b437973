"""How a symbol sits in the images a network was trained on, and bringing a scan of any size into that form.

The networks here take images such as MNIST's: one light symbol on black, scaled to a box of 20 of the 28 pixels and
centred by its mass (LeCun et al. 1998, section III). A photograph of ink on paper is none of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from harness.checkpoints import Framing
from specs.errors import RequestError

Grey = NDArray[np.float64]
"""Brightness 0 to 255, [height, width]."""

_SAMPLES = 500  # training images looked at
_LEAST_CONTRAST = 16.0  # of 255: below it nothing is drawn
_GRAIN = 0.15  # of the ink's contrast: paper, shadows, JPEG blocks
_INK = 0.3
_SPECK = 0.02  # of the largest spot's area
_OVERVIEW = 256  # pixels of the longer side at which ink is looked for


def framing_of(images: NDArray[np.uint8]) -> Framing:
    """What the first images uint8[N, C, H, W] of a training set have in common: the medians."""
    light, shares = [], []
    for image in images[:_SAMPLES]:
        grey = image.mean(axis=0)
        background, dark_ink, contrast = levels(grey)
        if contrast < _LEAST_CONTRAST:
            continue
        top, bottom, left, right = _box(ink(grey, background, dark_ink, contrast))
        light.append(dark_ink)
        shares.append(max((bottom - top) / grey.shape[0], (right - left) / grey.shape[1]))
    if not shares:
        return Framing()
    return Framing(background="light" if np.mean(light) > 0.5 else "dark", symbol=float(np.median(shares)))


def levels(grey: Grey) -> tuple[float, bool, float]:
    """The background's brightness (the median along the border), whether ink is darker than it, and the contrast."""
    edge = max(1, min(grey.shape) // 20)
    border = (grey[:edge], grey[-edge:], grey[edge:-edge, :edge], grey[edge:-edge, -edge:])
    background = float(np.median(np.concatenate([part.ravel() for part in border])))
    low, high = np.quantile(grey, [0.001, 0.999])
    dark_ink = bool(background - low > high - background)
    return background, dark_ink, float(background - low if dark_ink else high - background)


def ink(grey: Grey, background: float, dark_ink: bool, contrast: float) -> Grey:
    """How much ink there is, 0 to 1; the grain of the paper is none."""
    share = (background - grey if dark_ink else grey - background) / contrast
    return np.where(share < _GRAIN, 0.0, np.minimum(share, 1.0))


def framed(grey: Grey, size: tuple[int, int], framing: Framing) -> tuple[NDArray[np.uint8], list[str]]:
    """A scan as uint8[height, width] in the form of the training images, and what was done to it, in words.

    A scan of the right size already is taken as it is, but for being inverted where its background is the wrong one.
    Raises RequestError for a blank one.
    """
    overview = _reduced(grey)
    background, dark_ink, contrast = levels(overview)
    wanted = framing.background == "light"
    words = []
    if dark_ink != wanted and contrast >= _LEAST_CONTRAST:
        names = ("dark on light", "light on dark")
        found, other = names if dark_ink else names[::-1]
        words.append(f"{found}, and the model was trained on {other}: inverted")
    if grey.shape == size:
        pixels = np.rint(255 - grey if words else grey)
        return pixels.astype(np.uint8), words
    if contrast < _LEAST_CONTRAST:
        raise RequestError("nothing is drawn on it: its brightness hardly varies")
    top, bottom, left, right = _box(ink(overview, background, dark_ink, contrast))
    down, across = grey.shape[0] / overview.shape[0], grey.shape[1] / overview.shape[1]
    top, bottom = int(top * down), min(grey.shape[0], int(np.ceil(bottom * down)))
    left, right = int(left * across), min(grey.shape[1], int(np.ceil(right * across)))
    symbol = ink(grey[top:bottom, left:right], background, dark_ink, contrast)
    placed = _placed(symbol, size, framing.symbol)
    words.append(
        f"{grey.shape[1]}x{grey.shape[0]}, the symbol of {right - left}x{bottom - top} at ({left}, {top}) "
        f"scaled and centred to {size[1]}x{size[0]}"
    )
    return np.rint(255 * (1 - placed if wanted else placed)).astype(np.uint8), words


def _placed(symbol: Grey, size: tuple[int, int], share: float) -> Grey:
    """The symbol, its longer side scaled to a share of the image, its centre of mass at the middle.

    That is pixel (14, 14) of 28 x 28, counted from 0, as measured on MNIST.
    """
    factor = min(share * size[0] / symbol.shape[0], share * size[1] / symbol.shape[1])
    height, width = (max(1, min(whole, round(factor * side))) for side, whole in zip(symbol.shape, size, strict=True))
    scaled = _resized(symbol, height, width)
    scaled /= scaled.max()  # thin strokes fade when they are scaled down
    result = np.zeros(size)
    mass: Any = ndimage.center_of_mass(scaled)
    corner = [
        int(np.clip(round(whole / 2 - centre), 0, whole - side))
        for whole, side, centre in zip(size, scaled.shape, mass, strict=True)
    ]
    result[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = scaled
    return result


def _box(share: Grey) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) around all spots of ink but specks; top and left are within, the others beyond."""
    spots, _ = ndimage.label(share > _INK, structure=np.ones((3, 3)))
    areas = np.bincount(spots.ravel())[1:]
    kept = 1 + np.flatnonzero(areas >= _SPECK * areas.max(initial=0))
    rows, columns = np.nonzero(np.isin(spots, kept))
    if not rows.size:
        return 0, share.shape[0], 0, share.shape[1]
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def _reduced(grey: Grey) -> Grey:
    longest = max(grey.shape)
    if longest <= _OVERVIEW:
        return grey
    height, width = (max(1, round(side * _OVERVIEW / longest)) for side in grey.shape)
    return _resized(grey, height, width)


def _resized(grey: Grey, height: int, width: int) -> Grey:
    """Area-averaged when it shrinks, interpolated when it grows."""
    image = Image.fromarray(grey.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float64)
