"""Where the windows of a convolution or pooling lie on an image of a given shape."""

from __future__ import annotations

from specs.layers import AvgPool2d, Conv2d, MaxPool2d, Pair, Sides, both_sides
from specs.nodes import Shape

Windowed = Conv2d | MaxPool2d | AvgPool2d


def sides(layer: Windowed, shape: Shape) -> Sides:
    """What is put around an image [channels, height, width]: the padding, and in ceil mode as much as is missing.

    That is below and on the right, for the last windows. It never wins a maximum, and no mean counts it.
    """
    (top, bottom), (left, right) = both_sides(layer.padding)
    more = [
        max(_reach(count, kernel, stride) - (size + sum(padding)), 0) if count else 0
        for count, size, kernel, stride, padding in zip(
            counts(layer, shape), shape[1:], extent(layer), layer.stride, both_sides(layer.padding), strict=True
        )
    ]
    return (top, bottom + more[0]), (left, right + more[1])


def counts(layer: Windowed, shape: Shape) -> Pair:
    """How many windows there are, downwards and across: floor((size + padding - extent) / stride) + 1.

    In ceil mode the ceiling, less one where the last window would begin behind the image. 0 or less where none fits.
    """
    found = []
    for size, kernel, stride, (before, after) in zip(
        shape[1:], extent(layer), layer.stride, both_sides(layer.padding), strict=True
    ):
        room = size + before + after - kernel
        count = room // stride + 1
        if room > 0 and room % stride and getattr(layer, "ceil_mode", False) and count * stride < size + before:
            count += 1
        found.append(count)
    return found[0], found[1]


def extent(layer: Windowed) -> Pair:
    """Height and width from a window's first cell to its last: dilation * (kernel_size - 1) + 1."""
    if not isinstance(layer, Conv2d):
        return layer.kernel_size
    (rows, columns), (down, across) = layer.kernel_size, layer.dilation
    return down * (rows - 1) + 1, across * (columns - 1) + 1


def _reach(count: int, kernel: int, stride: int) -> int:
    """The length that ``count`` windows need."""
    return (count - 1) * stride + kernel
