"""Level 1: the layers of a family side by side in one network, all that the quick scope has of most layers.

Frameworks that compile take their time for each network. The options are the first of each kind, on one image for all.
Behind each is a linear layer, whose gradient shows what it gave; their sum is the logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.conformance import join_cases
from harness.conformance.case import NetworkCase, network_case, seeded
from harness.conformance.layer_cases import FAMILIES, HEAD, HEAD_CLASSES, fixed_cases, from_image
from specs.architecture import Architecture
from specs.layers import Flatten, Join, Linear, Rows
from specs.nest import Branches, Item
from specs.nodes import Shape
from specs.shapes import infer

BATCH = 4
IMAGE: Shape = (4, 8, 6)
JOINED_IMAGE: Shape = (3, 8, 6)
"""What is added to the image has the channels that ``join_cases`` give it."""


FIRST, FURTHER = "side by side", "side by side, further options"
"""The first case of each kind, which most engines made for speed can compute, and the two behind it."""


def family_cases(which: str) -> dict[str, tuple[NetworkCase]]:
    """A network for each family of layers and one for the joins, of the cases that are FIRST or FURTHER."""

    def case(family: str, shape: Shape, paths: Sequence[Path]) -> NetworkCase:
        architecture = Architecture(
            name=family, input=(shape[0], shape[1], shape[2]), classes=HEAD_CLASSES, layers=_side_by_side(paths)
        )
        images = _images(family, which, (BATCH, *shape))
        name = f"{family} {which}"
        return network_case(name, architecture, batch=BATCH, images=images, evaluated_after=True)

    singles = single_cases(which)
    joined = [one.architecture.layers for one in singles["joins"]]
    layers = {family: case(family, IMAGE, [_path(one) for one in singles[family]]) for family in FAMILIES}
    return {name: (one,) for name, one in (layers | {"joins": case("joins", JOINED_IMAGE, joined)}).items()}


def single_cases(which: str) -> dict[str, tuple[NetworkCase, ...]]:
    """The cases by family of which ``family_cases`` makes one each."""
    by_family = {name: fixed_cases([name]) for name in FAMILIES} | {"joins": join_cases.fixed_cases()}
    return {
        name: tuple(case for own in kinds.values() for case in own[_chosen(name, which)])
        for name, kinds in by_family.items()
    }


def _chosen(family: str, which: str) -> slice:
    if which == FIRST:
        return slice(1)
    return slice(1, 2 if family == "recurrent" else 3)  # a third recurrent layer differs in its sizes alone


Path = tuple[Item, ...]


def _path(case: NetworkCase) -> Path:
    """The layer on the image, or behind a linear layer, whose gradient shows that of this layer's input alone."""
    node = next(node for node in infer(case.architecture) if node.layer.kind == case.architecture.name)
    assert not isinstance(node.layer, Join)
    shape = node.input_shape
    first, *others = from_image(node.layer, shape)
    shown = [] if len(shape) == 3 else [Linear(out_features=shape[-1], bias=False)]
    return (first, *shown, *others, HEAD)


def _side_by_side(paths: Sequence[Path]) -> Path:
    """The sum of what the paths give; those that begin by flattening or by rows do so once for all."""
    if len(paths) == 1:
        return paths[0]
    begun = (Flatten(), Rows())
    parts = [path for path in paths if path[0] not in begun]
    for first in begun:
        if behind := [path[1:] for path in paths if path[0] == first]:
            parts.append((first, *_side_by_side(behind)))
    return parts[0] if len(parts) == 1 else (Branches(join="add", paths=tuple(parts)),)


def _images(family: str, which: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    images = seeded(f"images of {family} {which}").standard_normal(shape, dtype=np.float32)
    match family:
        case "activations":  # exactly at the kinks at 0, 3 and 6, and where saturation sets in
            return np.round(images * 4)
        case "poolings":  # equal maxima in many windows, and none that a padded cell of 0 would not win
            return -np.abs(np.round(images * 2)) - 1
        case _:
            return images
