"""Convolution and pooling: what looks at an image through windows."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from backends.numpy.computed import Array, Computed
from backends.windows import divisors
from specs.layers import AvgPool2d, Conv2d, MaxPool2d, Pair, Sides, both_sides
from specs.windows import Windowed, counts, extent, sides


def _pad(x: Array, around: Sides, fill: float) -> Array:
    if not any(map(any, around)):
        return x
    (top, bottom), (left, right) = around
    n, c, h, w = x.shape
    padded = np.full((n, c, top + h + bottom, left + w + right), fill, dtype=x.dtype)
    padded[:, :, top : top + h, left : left + w] = x
    return padded


def _crop(padded: Array, around: Sides) -> Array:
    (top, bottom), (left, right) = around
    return padded[:, :, top : padded.shape[2] - bottom, left : padded.shape[3] - right]


def _cells(layer: Windowed, padded: Array, windows: Pair) -> Iterator[Array]:
    """For each cell of the window in row-major order, the view [n, c, h_out, w_out] of what every window has there."""
    down, across = layer.dilation if isinstance(layer, Conv2d) else (1, 1)
    for u, v in itertools.product(*map(range, layer.kernel_size)):
        rows = slice(u * down, u * down + layer.stride[0] * (windows[0] - 1) + 1, layer.stride[0])
        columns = slice(v * across, v * across + layer.stride[1] * (windows[1] - 1) + 1, layer.stride[1])
        yield padded[:, :, rows, columns]


def conv2d(layer: Conv2d, x: Array, values: Mapping[str, Array]) -> Computed:
    """A matrix product for each group, [out, c*k_h*k_w] by [c*k_h*k_w, n*h_out*w_out], over the windows side by side.

    out and c are the output and input channels of one group.
    """
    weight, groups = values["weight"], layer.groups
    flat_weight = weight.reshape(groups, len(weight) // groups, -1)
    around, (heights, widths) = sides(layer, x.shape[1:]), counts(layer, x.shape[1:])
    padded = _pad(x, around, 0)
    n, c = x.shape[:2]
    (s_h, s_w), (d_h, d_w) = layer.stride, layer.dilation
    windows = sliding_window_view(padded, extent(layer), axis=(2, 3))[:, :, ::s_h, ::s_w, ::d_h, ::d_w]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(groups, flat_weight.shape[2], -1)
    output = (flat_weight @ columns).reshape(-1, n, heights, widths).transpose(1, 0, 2, 3)
    if layer.bias:
        output = output + values["bias"][:, None, None]

    def input_gradient(dy: Array) -> Array:
        products = flat_weight.transpose(0, 2, 1) @ by_group(dy)
        by_cell = products.reshape(c, math.prod(layer.kernel_size), n, heights, widths)
        gradient = np.zeros_like(padded)
        for position, cell in enumerate(_cells(layer, gradient, (heights, widths))):
            np.add(cell, by_cell[:, position].transpose(1, 0, 2, 3), out=cell)
        return _crop(gradient, around)

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        gradients = {"weight": (by_group(dy) @ columns.transpose(0, 2, 1)).reshape(weight.shape)}
        return gradients | ({"bias": dy.sum(axis=(0, 2, 3))} if layer.bias else {})

    def by_group(dy: Array) -> Array:
        return dy.transpose(1, 0, 2, 3).reshape(groups, len(weight) // groups, -1)

    return Computed(output=output, input_gradient=input_gradient, parameter_gradients=parameter_gradients)


def max_pool2d(layer: MaxPool2d, x: Array) -> Computed:
    """The maximum of each window of x[n, c, h, w]."""
    around, windows = sides(layer, x.shape[1:]), counts(layer, x.shape[1:])
    padded = _pad(x, around, -np.inf)
    output = np.full((*x.shape[:2], *windows), -np.inf, dtype=x.dtype)
    winner = np.empty(output.shape, dtype=np.intp)
    winner[...] = _first_real_cell(layer, windows)
    for position, cell in enumerate(_cells(layer, padded, windows)):
        # Strictly greater: the first of equals wins, and no padded cell ever does. NaN is passed on.
        better = (cell > output) | np.isnan(cell)
        np.copyto(output, cell, where=better)
        np.copyto(winner, position, where=better)

    def input_gradient(dy: Array) -> Array:
        gradient = np.zeros_like(padded)
        for position, cell in enumerate(_cells(layer, gradient, windows)):
            np.add(cell, dy * (winner == position), out=cell)
        return _crop(gradient, around)

    return Computed(output=output, input_gradient=input_gradient)


def _first_real_cell(layer: MaxPool2d, windows: Pair) -> NDArray[np.intp]:
    """Position within each window of its first cell that is not padding: the winner when all of them are -inf."""
    (top, _), (left, _) = both_sides(layer.padding)
    rows = np.maximum(top - layer.stride[0] * np.arange(windows[0]), 0)
    columns = np.maximum(left - layer.stride[1] * np.arange(windows[1]), 0)
    return rows[:, None] * layer.kernel_size[1] + columns


def avg_pool2d(layer: AvgPool2d, x: Array) -> Computed:
    """The mean of each window of x[n, c, h, w]."""
    around, windows = sides(layer, x.shape[1:]), counts(layer, x.shape[1:])
    divisor = divisors(layer, x.shape[1:]).astype(x.dtype)
    padded = _pad(x, around, 0)
    sums: Array = functools.reduce(np.add, _cells(layer, padded, windows))

    def input_gradient(dy: Array) -> Array:
        gradient = np.zeros_like(padded)
        share = dy / divisor
        for cell in _cells(layer, gradient, windows):
            np.add(cell, share, out=cell)
        return _crop(gradient, around)

    return Computed(output=sums / divisor, input_gradient=input_gradient)


def global_avg_pool(x: Array) -> Computed:
    """The mean of each channel: x[n, c, h, w] to [n, c]."""
    pixels = math.prod(x.shape[2:])
    return Computed(
        output=x.mean(axis=(2, 3)),
        input_gradient=lambda dy: np.broadcast_to((dy / pixels)[:, :, None, None], x.shape),
    )
