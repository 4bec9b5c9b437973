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
from specs.layers import AvgPool2d, Conv2d, MaxPool2d, Pair


def _pad(x: Array, padding: Pair, fill: float) -> Array:
    if padding == (0, 0):
        return x
    rows, columns = padding
    n, c, h, w = x.shape
    padded = np.full((n, c, h + 2 * rows, w + 2 * columns), fill, dtype=x.dtype)
    padded[:, :, rows : rows + h, columns : columns + w] = x
    return padded


def _crop(padded: Array, padding: Pair) -> Array:
    rows, columns = padding
    return padded[:, :, rows : padded.shape[2] - rows, columns : padded.shape[3] - columns]


def _cells(padded: Array, kernel: Pair, stride: Pair) -> Iterator[Array]:
    """For each cell of the window in row-major order, the view [n, c, h_out, w_out] of what every window has there."""
    heights, widths = _window_counts(padded, kernel, stride)
    for u, v in itertools.product(*map(range, kernel)):
        rows = slice(u, u + stride[0] * (heights - 1) + 1, stride[0])
        columns = slice(v, v + stride[1] * (widths - 1) + 1, stride[1])
        yield padded[:, :, rows, columns]


def _window_counts(padded: Array, kernel: Pair, stride: Pair) -> Pair:
    return (
        (padded.shape[2] - kernel[0]) // stride[0] + 1,
        (padded.shape[3] - kernel[1]) // stride[1] + 1,
    )


def conv2d(layer: Conv2d, x: Array, values: Mapping[str, Array]) -> Computed:
    """One matrix product, [out, c*k_h*k_w] by [c*k_h*k_w, n*h_out*w_out], over the windows copied side by side."""
    weight = values["weight"]
    flat_weight = weight.reshape(len(weight), -1)
    padded = _pad(x, layer.padding, 0)
    n, c = x.shape[:2]
    heights, widths = _window_counts(padded, layer.kernel_size, layer.stride)
    windows = sliding_window_view(padded, layer.kernel_size, axis=(2, 3))[:, :, :: layer.stride[0], :: layer.stride[1]]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(flat_weight.shape[1], -1)
    output = (flat_weight @ columns).reshape(-1, n, heights, widths).transpose(1, 0, 2, 3)
    if layer.bias:
        output = output + values["bias"][:, None, None]

    def input_gradient(dy: Array) -> Array:
        by_cell = (flat_weight.T @ channels_first(dy)).reshape(c, math.prod(layer.kernel_size), n, heights, widths)
        gradient = np.zeros_like(padded)
        for position, cell in enumerate(_cells(gradient, layer.kernel_size, layer.stride)):
            np.add(cell, by_cell[:, position].transpose(1, 0, 2, 3), out=cell)
        return _crop(gradient, layer.padding)

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        gradients = {"weight": (channels_first(dy) @ columns.T).reshape(weight.shape)}
        return gradients | ({"bias": dy.sum(axis=(0, 2, 3))} if layer.bias else {})

    def channels_first(dy: Array) -> Array:
        return dy.transpose(1, 0, 2, 3).reshape(len(weight), -1)

    return Computed(output=output, input_gradient=input_gradient, parameter_gradients=parameter_gradients)


def max_pool2d(layer: MaxPool2d, x: Array) -> Computed:
    """The maximum of each window of x[n, c, h, w]."""
    padded = _pad(x, layer.padding, -np.inf)
    heights, widths = _window_counts(padded, layer.kernel_size, layer.stride)
    output = np.full((*x.shape[:2], heights, widths), -np.inf, dtype=x.dtype)
    winner = np.empty(output.shape, dtype=np.intp)
    winner[...] = _first_real_cell(layer, heights, widths)
    for position, cell in enumerate(_cells(padded, layer.kernel_size, layer.stride)):
        # Strictly greater: the first of equals wins, and no padded cell ever does. NaN is passed on.
        better = (cell > output) | np.isnan(cell)
        np.copyto(output, cell, where=better)
        np.copyto(winner, position, where=better)

    def input_gradient(dy: Array) -> Array:
        gradient = np.zeros_like(padded)
        for position, cell in enumerate(_cells(gradient, layer.kernel_size, layer.stride)):
            np.add(cell, dy * (winner == position), out=cell)
        return _crop(gradient, layer.padding)

    return Computed(output=output, input_gradient=input_gradient)


def _first_real_cell(layer: MaxPool2d, heights: int, widths: int) -> NDArray[np.intp]:
    """Position within each window of its first cell that is not padding: the winner when all of them are -inf."""
    rows = np.maximum(layer.padding[0] - layer.stride[0] * np.arange(heights), 0)
    columns = np.maximum(layer.padding[1] - layer.stride[1] * np.arange(widths), 0)
    return rows[:, None] * layer.kernel_size[1] + columns


def avg_pool2d(layer: AvgPool2d, x: Array) -> Computed:
    """The mean of each window of x[n, c, h, w]."""

    def window_sums(cells: Array) -> Array:
        total: Array = functools.reduce(np.add, _cells(cells, layer.kernel_size, layer.stride))
        return total

    padded = _pad(x, layer.padding, 0)
    real = np.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    counted = _pad(real, layer.padding, 1 if layer.count_include_pad else 0)
    divisor = window_sums(counted)

    def input_gradient(dy: Array) -> Array:
        gradient = np.zeros_like(padded)
        share = dy / divisor
        for cell in _cells(gradient, layer.kernel_size, layer.stride):
            np.add(cell, share, out=cell)
        return _crop(gradient, layer.padding)

    return Computed(output=window_sums(padded) / divisor, input_gradient=input_gradient)


def global_avg_pool(x: Array) -> Computed:
    """The mean of each channel: x[n, c, h, w] to [n, c]."""
    pixels = math.prod(x.shape[2:])
    return Computed(
        output=x.mean(axis=(2, 3)),
        input_gradient=lambda dy: np.broadcast_to((dy / pixels)[:, :, None, None], x.shape),
    )
