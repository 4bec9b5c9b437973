"""The embedded data set: 1,797 scanned digits, so that everything can be tried without a network.

digits.npz beside this file holds scikit-learn's ``load_digits`` as bytes (importing scikit-learn for it would take
longer than training on it): scans uint8[1797, 8, 8] with values 0 to 16 and labels uint8[1797].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part

_SIZE = 28
_BRIGHTEST = 16
_EVERY = 5


def load_digits() -> Dataset:
    """1,442 training and 355 test images of 28x28, ten classes; every fifth sample of each class is a test sample.

    The scans are enlarged by linear interpolation between pixel centres and scaled to 0 to 255.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as embedded:
        scans, labels = embedded["scans"], embedded["labels"]
    enlarge, unit = _interpolation(scans.shape[1], _SIZE)
    brightest = _BRIGHTEST * unit * unit
    images = ((2 * 255 * (enlarge @ scans @ enlarge.T) + brightest) // (2 * brightest)).astype(np.uint8)
    test = np.zeros(len(labels), dtype=np.bool_)
    for label in range(10):
        test[np.flatnonzero(labels == label)[_EVERY - 1 :: _EVERY]] = True
    train_parts, test_parts = (
        (_part("images", images[chosen]), _part("labels", labels[chosen])) for chosen in (~test, test)
    )
    return assemble(
        name="digits",
        title="scikit-learn's scanned digits, 28x28",
        source="Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, by way of scikit-learn",
        train=train_parts,
        test=test_parts,
        classes=10,
    )


def _part(what: str, array: NDArray[np.uint8]) -> Part:
    return Part(f"digits: {what}", array)


def _interpolation(old: int, new: int) -> tuple[NDArray[np.int64], int]:
    """The matrix [new, old] of linear interpolation between pixel centres, edge pixels held beyond theirs, times unit.

    In integers, so that every machine draws the same images.
    """
    unit = 2 * new
    centres = np.clip((2 * np.arange(new) + 1) * old - new, 0, (old - 1) * unit)
    return np.maximum(0, unit - np.abs(centres[:, np.newaxis] - unit * np.arange(old))), unit
