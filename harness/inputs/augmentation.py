"""Images drawn anew for an epoch, as a recipe's ``augmentation`` says. In the parent alone: it takes SciPy.

Each draw comes from a generator of its own seed, epoch, chunk and purpose, so an image of an epoch is the same in
whatever order and on however many threads the epochs are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.augmentation import Augmentation, Elastic, Erasing

IMAGES_PER_CHUNK = 500
_STREAM = 3  # of a run's seed; harness.inputs.prepare has the others
_PLACEMENT, _ELASTIC, _ERASING, _FRAMING = range(4)
_ERASING_TRIES = 20

Pixels = NDArray[np.uint8]
Coordinates = NDArray[np.float64]


def augmented(images: Pixels, augmentation: Augmentation, *, seed: int, epoch: int) -> Iterator[Pixels]:
    """The images uint8[N, C, H, W] of one epoch (counted from 0), augmented, in chunks of IMAGES_PER_CHUNK."""
    for chunk, start in enumerate(range(0, len(images), IMAGES_PER_CHUNK)):
        yield _augmented(images[start : start + IMAGES_PER_CHUNK], augmentation, [_STREAM, seed, epoch, chunk])


def _augmented(images: Pixels, augmentation: Augmentation, key: list[int]) -> Pixels:
    result = images
    if augmentation.frames:
        result = framed(images, augmentation, np.random.default_rng([*key, _FRAMING]))
    if augmentation.moves:
        result = resampled(result, _sources(images.shape, augmentation, key))
    if augmentation.erasing.probability:
        result = erased(result, augmentation.erasing, np.random.default_rng([*key, _ERASING]))
    return result


def framed(images: Pixels, augmentation: Augmentation, generator: np.random.Generator) -> Pixels:
    """Copies of the images, cropped at places of their own from black margins, flipped where the draw says so."""
    height, width = images.shape[2:]
    margin = augmentation.crop_padding
    places = generator.integers(0, 2 * margin + 1, (len(images), 2))
    flipped = generator.random(len(images)) < augmentation.horizontal_flip
    wide = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    result = np.empty_like(images)
    for index, (top, left) in enumerate(places):
        crop = wide[index, :, top : top + height, left : left + width]
        result[index] = crop[..., ::-1] if flipped[index] else crop
    return result


def _sources(shape: tuple[int, ...], augmentation: Augmentation, key: list[int]) -> Coordinates:
    count, _, height, width = shape
    sources = placed(count, height, width, augmentation, np.random.default_rng([*key, _PLACEMENT]))
    if augmentation.elastic.alpha:
        sources += displacements(count, height, width, augmentation.elastic, np.random.default_rng([*key, _ELASTIC]))
    return sources


def placed(
    count: int, height: int, width: int, augmentation: Augmentation, generator: np.random.Generator
) -> Coordinates:
    """Where each pixel comes from, float64[2 (row, column), count, height, width], after zoom, rotation and shift.

    A pixel p comes from c + R(-angle) (p - c - shift) / magnification, c being the middle of the image; an angle
    above 0 turns the image counter-clockwise as it is seen.
    """
    angle = np.radians(generator.uniform(-1, 1, count) * augmentation.rotation)
    shift = generator.uniform(-1, 1, (2, count, 1, 1)) * augmentation.shift
    magnification = 1 + generator.uniform(-1, 1, count) * augmentation.zoom
    middle = np.reshape([(height - 1) / 2, (width - 1) / 2], (2, 1, 1, 1))
    down, across = np.mgrid[:height, :width][:, np.newaxis] - middle - shift
    cosine, sine = ((f(angle) / magnification).reshape(-1, 1, 1) for f in (np.cos, np.sin))
    sources: Coordinates = middle + np.stack([cosine * down + sine * across, cosine * across - sine * down])
    return sources


def displacements(count: int, height: int, width: int, elastic: Elastic, generator: np.random.Generator) -> Coordinates:
    """Smooth random displacements in pixels, float64[2, count, height, width]; nothing moves beyond the edges."""
    from scipy.ndimage import gaussian_filter

    noise = 2 * generator.random((2, count, height, width), np.float32) - 1
    smooth: NDArray[np.float32] = gaussian_filter(noise, (0, 0, elastic.sigma, elastic.sigma), mode="constant")
    return smooth.astype(np.float64) * elastic.alpha


def resampled(images: Pixels, sources: Coordinates) -> Pixels:
    """Each pixel interpolated linearly between the four around its source; beyond the edges all is 0."""
    from scipy.ndimage import map_coordinates

    result = np.empty(images.shape, np.uint8)
    pixels = np.empty(images.shape[2:], np.float32)
    for index, image in enumerate(images):
        for channel, plane in enumerate(image.astype(np.float32)):
            map_coordinates(plane, sources[:, index], output=pixels, order=1, mode="grid-constant", prefilter=False)
            result[index, channel] = np.rint(pixels, out=pixels)  # linear interpolation stays within 0 and 255
    return result


def erased(images: Pixels, erasing: Erasing, generator: np.random.Generator) -> Pixels:
    """Copies of the images, rectangles of random pixels in those that the draw picks."""
    result = images.copy()
    height, width = images.shape[2:]
    for index in np.flatnonzero(generator.random(len(images)) < erasing.probability):
        rectangle = _rectangle(height, width, erasing, generator)
        if rectangle is not None:
            part = result[index][:, rectangle[0], rectangle[1]]
            part[...] = generator.integers(0, 256, part.shape, dtype=np.uint8)
    return result


def _rectangle(height: int, width: int, erasing: Erasing, generator: Any) -> tuple[slice, slice] | None:
    """Rows and columns to erase, drawn again while they do not fit; None for a shape of image that nothing fits."""
    for _ in range(_ERASING_TRIES):
        area = generator.uniform(*erasing.area) * height * width
        ratio = generator.uniform(erasing.ratio, 1 / erasing.ratio)
        tall, wide = max(1, round(math.sqrt(area * ratio))), max(1, round(math.sqrt(area / ratio)))
        if tall <= height and wide <= width:
            top, left = generator.integers(height - tall + 1), generator.integers(width - wide + 1)
            return slice(top, top + tall), slice(left, left + wide)
    return None
