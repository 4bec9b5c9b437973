"""Augmentation: how training images are varied, anew in every epoch. What stands at 0 is not done.

The rules alone; ``harness.inputs.augmentation`` draws and applies them. One image is cropped and flipped, goes through
zoom, rotation, shift and elastic distortion in a single resampling, then through random erasing. Labels stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from specs.codec import later
from specs.errors import FieldError


@dataclass(frozen=True, kw_only=True)
class Elastic:
    """Simard, Steinkraus & Platt 2003: each pixel's displacement is drawn from U(-1, 1) in both directions, both
    fields are smoothed by a Gaussian of standard deviation ``sigma`` (pixels) and multiplied by ``alpha``.

    ``alpha`` 0 is no distortion. The smoothed field's own standard deviation is about 0.163 / sigma, so that alpha 34
    with sigma 4 moves a pixel by about 1.4.
    """

    alpha: float = 0.0
    sigma: float = 4.0

    def __post_init__(self) -> None:
        _between("alpha", self.alpha, 0, 10_000)
        _between("sigma", self.sigma, 0.1, 100)


@dataclass(frozen=True, kw_only=True)
class Erasing:
    """Zhong et al. 2017, algorithm 1: with ``probability`` a rectangle of random pixels replaces a part of the image.

    Its share of the image is drawn from U(area), its height over its width from U(ratio, 1 / ratio), and its place
    so that it lies within the image.
    """

    probability: float = 0.0
    area: tuple[float, float] = (0.02, 0.4)
    ratio: float = 0.3

    def __post_init__(self) -> None:
        _between("probability", self.probability, 0, 1)
        _between("ratio", self.ratio, 0.01, 1)
        object.__setattr__(self, "area", tuple(float(share) for share in self.area))
        if len(self.area) != 2 or not 0 < self.area[0] <= self.area[1] <= 1:
            raise FieldError("area", f"must be [least, most], shares of the image above 0 and up to 1, got {self.area}")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Bounds of what is drawn for each image: an angle from U(-rotation, rotation) degrees, a shift from
    U(-shift, shift) pixels down and across, a magnification from U(1 - zoom, 1 + zoom).

    ``crop_padding`` pixels of black are put around the image, and of what then fits a crop of the image's own size is
    drawn; ``horizontal_flip`` is the probability of left and right changing places.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    elastic: Elastic = field(default_factory=Elastic)
    erasing: Erasing = field(default_factory=Erasing)
    crop_padding: int = later(0)
    horizontal_flip: float = later(0.0)

    def __post_init__(self) -> None:
        _between("rotation", self.rotation, 0, 180)
        _between("shift", self.shift, 0, 10_000)
        _between("zoom", self.zoom, 0, 0.9)
        _between("crop_padding", self.crop_padding, 0, 1_000)
        _between("horizontal_flip", self.horizontal_flip, 0, 1)

    @property
    def moves(self) -> bool:
        """Whether images are resampled at all."""
        return bool(self.rotation or self.shift or self.zoom or self.elastic.alpha)

    @property
    def frames(self) -> bool:
        """Whether images are cropped or flipped, which resamples nothing."""
        return bool(self.crop_padding or self.horizontal_flip)

    @property
    def active(self) -> bool:
        """Whether anything is done to the images."""
        return self.frames or self.moves or self.erasing.probability > 0


def _between(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise FieldError(name, f"must be from {least:g} to {most:g}, got {value:g}")
