"""What windows on an image need where a framework has no option of its own for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.layers import AvgPool2d, Sides, both_sides
from specs.nodes import Shape
from specs.windows import counts


def divisors(layer: AvgPool2d, shape: Shape) -> NDArray[Any]:
    """How many cells the mean of each window is of: float64[h_out, w_out] for images [channels, height, width]."""
    along = []
    for count, size, kernel, stride, (before, after) in zip(
        counts(layer, shape), shape[1:], layer.kernel_size, layer.stride, both_sides(layer.padding), strict=True
    ):
        first = np.arange(count) * stride - before
        least, most = (-before, size + after) if layer.count_include_pad else (0, size)
        along.append(np.minimum(first + kernel, most) - np.maximum(first, least))
    return np.multiply.outer(*along).astype(np.float64)


def is_symmetric(around: Sides) -> bool:
    """Whether as much stands above as below, and on the left as on the right."""
    return all(before == after for before, after in around)
