"""What the arrays of someone's own data set mean: where the channels are, how bright 1 is, how labels are written.

What is certain is read as it is meant. What is inferred comes with a note. What could mean two things is refused, with
what to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.dataset import Part
from specs.errors import RequestError

_COLOURS = (1, 3)  # grey and RGB: how many channels images nearly always have
_MOST_CHANNELS = 4  # RGBA: a last axis of so many may well be channels
_DARK = 64  # of 255

Meant = tuple[list[Part], list[str]]
"""The parts as they are meant, and what was inferred of them."""


def images_meant(parts: Sequence[Part], channels_last: bool | None = None) -> Meant:
    """Images of any form as uint8[N, H, W] or uint8[N, C, H, W], C of 2 or more, channels first.

    Numbers may be uint8, other integers from 0 to 255, booleans, and floating point from 0 to 1 or to 255.
    ``channels_last`` says where they are in arrays of four axes. Raises RequestError naming the array.
    """
    ordered, notes = [], []
    for part in parts:
        array, note = _channels_first(part, channels_last)
        ordered.append(part if array is part.array else replace(part, array=array))
        notes += note
    levels, more = _levels(ordered)
    return levels, list(dict.fromkeys([*notes, *more]))


def labels_meant(part: Part) -> tuple[Part, list[str], int]:
    """Labels of any form as integers [N], what was inferred, and the number of classes they name at the least.

    They may be [N], [N, 1] or one-hot [N, classes]; whole floating-point numbers and booleans will do.
    """
    array = part.array
    if array.dtype.kind not in "iubf" or array.ndim not in (1, 2):
        raise RequestError(f"{part.where}: labels must be integers [N], got {_kind(array)}")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise RequestError(f"{part.where}: labels must be integers [N], got {_kind(array)} that are not whole numbers")
    array = array.astype(np.int64) if array.dtype.kind in "bf" else array
    notes, classes = [], 0
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
        notes.append("labels of shape [N, 1] are taken as [N]")
    elif array.ndim == 2:
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all() and array.size):
            raise RequestError(
                f"{part.where}: labels must be integers [N], got {_kind(array)}, "
                "which is not one-hot either: a row has a single 1 and zeros else"
            )
        classes = array.shape[1]
        array = array.argmax(axis=1)
        notes.append(f"one-hot labels of {classes} columns are taken as their classes")
    if array.size and array.min() < 0:
        raise RequestError(f"{part.where}: label {int(array.min())} is below 0: labels count from 0")
    if array is not part.array:
        part = replace(part, array=array)
    return part, notes, max(classes, int(array.max()) + 1 if array.size else 0)


def missing_classes(train: NDArray[Any], test: NDArray[Any], classes: int) -> list[str]:
    """A note for each part in which some of the classes do not occur."""
    notes = []
    for name, labels in (("training", train), ("test", test)):
        absent = np.setdiff1d(np.arange(classes), labels)
        if labels.size and absent.size:
            listed = ", ".join(map(str, absent[:5])) + (f" and {absent.size - 5} more" if absent.size > 5 else "")
            shift = " (labels count from 0)" if name == "training" and absent.tolist() == [0] else ""
            notes.append(f"the {name} part has no sample of class {listed}{shift}")
    return notes


def _channels_first(part: Part, channels_last: bool | None) -> tuple[NDArray[Any], list[str]]:
    array = part.array
    if array.ndim not in (3, 4) or array.dtype.kind not in "uibf":
        raise RequestError(
            f"{part.where}: images must be uint8 [N, H, W] or [N, C, H, W], got {_kind(array)}{_flat(array)}"
        )
    if array.ndim == 3:
        return array, []
    first, height, last = array.shape[1:]
    smallest = last < first and last < height
    notes = []
    if channels_last is None and smallest and last <= _MOST_CHANNELS:
        if last not in _COLOURS or first <= _MOST_CHANNELS:
            raise RequestError(
                f"{part.where}: images {[first, height, last]} could have their channels first or last: put "
                f"channels_last=True or channels_last=False into the .npz beside the arrays, "
                f"or give images [N, C, H, W] by np.moveaxis(images, -1, 1)"
            )
        channels_last = True
        notes.append(f"images {[first, height, last]} have their channels last: read as {[last, first, height]}")
    elif channels_last is None and smallest:
        notes.append(
            f"images {[first, height, last]} are read as {first} channels of {height} x {last}; if the channels are "
            "last, put channels_last=True into the .npz beside the arrays"
        )
    if channels_last:
        array = np.moveaxis(array, -1, 1)
    return array[:, 0] if array.shape[1] == 1 else array, notes


def _levels(parts: Sequence[Part]) -> Meant:
    """Brightness as uint8, the same way in every part."""
    names = {_NAMES.get(part.array.dtype.kind, "integers") for part in parts}
    if len(names) > 1:
        raise RequestError(f"{parts[1].where}: {' in one part and '.join(sorted(names))} in the other: give both alike")
    held = [part for part in parts if part.array.size]
    low = min((float(part.array.min()) for part in held), default=0.0)
    high = max((float(part.array.max()) for part in held), default=0.0)
    kind = parts[0].array.dtype.kind
    factor, notes = 1, []
    if kind == "b" or (kind == "f" and low >= 0 and high <= 1):
        factor = 255
        notes.append(f"images of {names.pop()} from 0 to 1 are taken times 255")
    elif not (low >= 0 and high <= 255):
        raise RequestError(
            f"{parts[0].where}: brightness from {low:g} to {high:g}; images are uint8, or floating point from 0 to 1"
        )
    elif all(part.array.dtype == np.uint8 for part in parts):
        return list(parts), _dark(low, high)
    else:
        notes.append(f"images of {parts[0].array.dtype} from {low:g} to {high:g} are taken as uint8")
    made = [replace(part, array=np.rint(part.array * np.float64(factor)).astype(np.uint8)) for part in parts]
    return made, notes + _dark(low * factor, high * factor)


_NAMES = {"b": "booleans", "f": "floating-point numbers"}


def _dark(low: float, high: float) -> list[str]:
    if low == high:
        return [f"every pixel of every image is {low:g}: there is nothing to tell them apart by"]
    if high >= _DARK:
        return []
    factor = int(255 // high)
    return [
        f"the brightest of all pixels is {high:g} of 255, so that the images are nearly black; "
        f"if {high:g} means white, multiply them by {factor}"
    ]


def _flat(array: NDArray[Any]) -> str:
    """What to do about images whose pixels are all in one axis."""
    if array.ndim != 2 or array.shape[1] < 4 or (side := math.isqrt(array.shape[1])) ** 2 != array.shape[1]:
        return ""
    return f"; reshape(-1, {side}, {side}) makes squares of them"


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype}{list(array.shape)}"
