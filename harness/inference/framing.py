"""How a symbol sits in the images a network was trained on, and bringing a scan of any size into that form.

The networks here take images such as MNIST's: one light symbol on black, scaled to a box of 20 of the 28 pixels and
centred by its mass (LeCun et al. 1998, section III). A photograph of ink on paper is none of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from harness.checkpoints import Framing
from specs.errors import RequestError

Grey = NDArray[np.float64]
"""Brightness 0 to 255, [height, width]."""

_SAMPLES = 500  # training images looked at
BLANK = 16 / 255  # of the training images' contrast: below it nothing is drawn
_FAINT = 64 / 255  # below it there is something, and hardly any contrast
NOTHING = "nothing is drawn on it: its brightness hardly varies"
_GRAIN = 0.15  # of the ink's contrast: paper, shadows, JPEG blocks
_INK = 0.3
_SPECK = 0.02  # of the largest spot's area
_OVERVIEW = 256  # pixels of the longer side at which ink is looked for


def framing_of(images: NDArray[np.uint8]) -> Framing:
    """What the first images uint8[N, C, H, W] of a training set have in common: the medians."""
    found = [(grey, *levels(grey)) for grey in (image.mean(axis=0) for image in images[:_SAMPLES])]
    drawn = [contrast for *_, contrast in found if contrast > 0]
    if not drawn:
        return Framing()
    usual = float(np.median(drawn))
    light, shares = [], []
    for grey, background, dark_ink, contrast in found:
        if contrast < BLANK * usual:
            continue
        top, bottom, left, right = spots(ink(grey, background, dark_ink, contrast)).box()
        light.append(dark_ink)
        shares.append(max((bottom - top) / grey.shape[0], (right - left) / grey.shape[1]))
    background_side: Literal["light", "dark"] = "light" if np.mean(light) > 0.5 else "dark"
    return Framing(background=background_side, symbol=float(np.median(shares)), contrast=usual)


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
    words = []
    if grey.shape != size and (inside := _without_border(grey)) is not None:
        grey = inside
        words.append("the frame around it was left out")
    overview = _reduced(grey)
    background, dark_ink, contrast = levels(overview)
    if contrast < BLANK * framing.contrast:
        raise RequestError(NOTHING)
    found = spots(ink(overview, background, dark_ink, contrast))
    if found.frame() is not None:
        words.append("there is a frame around it, which may be taken for a part of the symbol: cut it off")
    elif (count := found.symbols()) > 1:
        words.append(f"{count} symbols seem to be on it, and the model takes one: cut them apart")
    wanted = framing.background == "light"
    inverted = dark_ink != wanted
    if inverted:
        names = ("dark on light", "light on dark")
        drawn, other = names if dark_ink else names[::-1]
        words.append(f"{drawn}, and the model was trained on {other}: inverted")
    if grey.shape == size:
        if contrast < _FAINT * framing.contrast:
            words.append(f"hardly any contrast ({contrast:.0f}, where the training images have {framing.contrast:.0f})")
        return np.rint(255 - grey if inverted else grey).astype(np.uint8), words
    top, bottom, left, right = found.box()
    down, across = grey.shape[0] / overview.shape[0], grey.shape[1] / overview.shape[1]
    top, bottom = int(top * down), min(grey.shape[0], int(np.ceil(bottom * down)))
    left, right = int(left * across), min(grey.shape[1], int(np.ceil(right * across)))
    symbol = ink(grey[top:bottom, left:right], background, dark_ink, contrast)
    placed = _placed(symbol, size, framing.symbol)
    words.append(
        f"{grey.shape[1]}x{grey.shape[0]}, the symbol of {right - left}x{bottom - top} at ({left}, {top}) "
        f"scaled and centred to {size[1]}x{size[0]}"
    )
    strokes = framing.contrast * placed
    return np.rint(255 - strokes if wanted else strokes).astype(np.uint8), words


def _without_border(grey: Grey) -> Grey | None:
    """What a broad border surrounds, a photograph's or a scanner's lid; None where there is none.

    Seen from the border, what it surrounds is one block that fills the picture, and something is drawn on that.
    """
    overview = _reduced(grey)
    background, dark_ink, contrast = levels(overview)
    if contrast < BLANK * 255:
        return None
    found = spots(ink(overview, background, dark_ink, contrast))
    top, bottom, left, right = found.box()
    area = (bottom - top) * (right - left)
    if area < 0.4 * overview.size or found.areas.max(initial=0) < 0.6 * area:
        return None
    down, across = grey.shape[0] / overview.shape[0], grey.shape[1] / overview.shape[1]
    rows = slice(int(np.ceil((top + 2) * down)), int((bottom - 2) * down))
    columns = slice(int(np.ceil((left + 2) * across)), int((right - 2) * across))
    inside = grey[rows, columns]
    return inside if min(inside.shape, default=0) >= 8 and levels(_reduced(inside))[2] >= _FAINT * 255 else None


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


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots of ink, specks apart: ``where`` int[height, width] holds each one's number from 1, and 0 elsewhere.

    ``areas`` int[n] are in pixels; ``boxes`` int[n, 4] are (top, bottom, left, right), top and left within, the others
    beyond.
    """

    where: NDArray[np.intp]
    areas: NDArray[np.intp]
    boxes: NDArray[np.intp]

    def box(self) -> tuple[int, int, int, int]:
        """Around all of them; the whole image where there is none."""
        if not len(self.boxes):
            return 0, self.where.shape[0], 0, self.where.shape[1]
        (top, _, left, _), (_, bottom, _, right) = self.boxes.min(axis=0), self.boxes.max(axis=0)
        return int(top), int(bottom), int(left), int(right)

    def frame(self) -> int | None:
        """Which spot is the lines of a rectangle around another one."""
        for index, (top, bottom, left, right) in enumerate(self.boxes):
            inner = self.boxes[:, [0, 2]] > (top, left)
            within = inner.all(axis=1) & (self.boxes[:, [1, 3]] < (bottom, right)).all(axis=1)
            if not within.any():
                continue
            rows, columns = np.nonzero(self.where == index + 1)
            edge = 0.08 * np.array([bottom - top, right - left])
            near = (rows < top + edge[0]) | (rows >= bottom - edge[0])
            near |= (columns < left + edge[1]) | (columns >= right - edge[1])
            if near.mean() > 0.9:
                return index
        return None

    def symbols(self) -> int:
        """How many there seem to be, side by side or one above the other, with clear space between them."""
        large = self.boxes[self.areas >= 0.2 * self.areas.max(initial=0)]
        if not len(large):
            return 0
        top, bottom, left, right = self.box()
        space = 0.15 * min(bottom - top, right - left)
        return max(_groups(large[:, 2:], space), _groups(large[:, :2], space))


def _groups(intervals: NDArray[np.intp], space: float) -> int:
    """How many groups of intervals [n, (begin, end)] lie further apart than ``space``."""
    count, reached = 0, -np.inf
    for begin, end in sorted(map(tuple, intervals)):
        count += begin - reached > space
        reached = max(reached, end)
    return count


def spots(share: Grey) -> Spots:
    """The spots of ink of at least a fiftieth of the largest one's area."""
    where, _ = ndimage.label(share > _INK, structure=np.ones((3, 3)))
    areas = np.bincount(where.ravel())[1:]
    kept = areas >= _SPECK * areas.max(initial=0)
    renumbered = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)])[where]
    slices = ndimage.find_objects(renumbered)
    boxes = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in slices]
    return Spots(renumbered, areas[kept], np.array(boxes, np.intp).reshape(-1, 4))


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
