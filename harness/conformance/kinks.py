"""How close a network comes to a kink: where float32's rounding may decide which way a gradient goes.

A relu's derivative jumps at 0 and a max pooling's where two cells of a window are equal. A value within rounding of
such a point may fall on either side of it, in any correct backend; training then amplifies the difference. Data that
keep away from kinks make float32 trajectories comparable step by step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from backends.contract import Arrays
from backends.numpy.network import Masks
from backends.numpy.session import NumpySession
from specs.architecture import Architecture
from specs.layers import ELU, HardSwish, LeakyReLU, MaxPool2d, ReLU, ReLU6
from specs.nodes import INPUT
from specs.shapes import infer
from specs.windows import sides

CLEARANCE = 4e-6
"""No value of the reference may come closer to a kink (``margin``) where float32 is to be compared: some ten times what
float32 has gathered in errors by the thirtieth step of a training."""

DRAWS = 40
"""So many batches are tried until one keeps clear."""


def kinks_per_sample(architecture: Architecture) -> int:
    """The number of relu inputs and pooling windows that one sample passes."""
    return sum(
        math.prod(shaped.output_shape)
        for shaped in infer(architecture)
        if isinstance(shaped.layer, ReLU | LeakyReLU | ELU | ReLU6 | HardSwish | MaxPool2d)
    )


def margin(
    session: NumpySession, architecture: Architecture, images: NDArray[Any], *, dropout_masks: Masks | None = None
) -> float:
    """The smallest distance to a kink in training mode, relative to the root mean square of the layer's input.

    inf for a network without kinks. Exact ties do not count: every precision sees them as ties.
    """
    activations: Arrays = {INPUT: images, **session.activations(images, training=True, dropout_masks=dropout_masks)}
    smallest = math.inf
    for shaped in infer(architecture):
        x = activations[shaped.inputs[0]]
        match shaped.layer:
            case ReLU() | LeakyReLU() | ELU():
                distances = np.abs(x)
            case ReLU6():
                distances = np.minimum(np.abs(x), np.abs(x - 6))
            case HardSwish():
                distances = np.minimum(np.abs(x + 3), np.abs(x - 3))
            case MaxPool2d():
                distances = _gaps(shaped.layer, x)
            case _:
                continue
        distances = distances[distances > 0]
        if distances.size:
            smallest = min(smallest, float(distances.min() / np.sqrt(np.mean(np.square(x)))))
    return smallest


def _gaps(layer: MaxPool2d, x: NDArray[Any]) -> NDArray[Any]:
    """The winner's lead over the runner-up in every window; 0 where there is no other cell."""
    padded = np.pad(x, ((0, 0), (0, 0), *sides(layer, x.shape[1:])), constant_values=-np.inf)
    windows = sliding_window_view(padded, layer.kernel_size, axis=(2, 3))[:, :, :: layer.stride[0], :: layer.stride[1]]
    cells = windows.reshape(*windows.shape[:4], -1)
    if cells.shape[-1] < 2:
        return np.zeros(0)
    top_two = np.partition(cells, -2, axis=-1)[..., -2:]
    gaps: NDArray[Any] = top_two[..., 1] - top_two[..., 0]
    return np.where(np.isfinite(gaps), gaps, 0)
