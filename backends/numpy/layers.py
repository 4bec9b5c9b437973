"""Every layer of ``specs.layers`` in NumPy, forward and backward, and the loss.

The dtype of the input is kept throughout; in float64 this is the reference that all other backends are judged by, so
formulas are written for accuracy first (no clipping; derivatives without cancellation) and for speed second.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from specs.errors import RequestError
from specs.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pair,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

Array = NDArray[Any]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _none(_: Array) -> dict[str, Array]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A layer's output and its backward half, computed only when asked for.

    ``input_gradient`` maps the loss gradient of the output to that of the input; ``parameter_gradients`` maps it to
    {part: gradient} ("weight", "bias", "gamma", "beta"). ``buffers`` holds the buffers' new values in training.
    """

    output: Array
    input_gradient: Callable[[Array], Array]
    parameter_gradients: Callable[[Array], dict[str, Array]] = _none
    buffers: dict[str, Array] = field(default_factory=dict)


def forward(
    layer: Layer,
    x: Array,
    values: Mapping[str, Array] | None = None,
    *,
    training: bool = False,
    mask: NDArray[np.bool_] | None = None,
) -> Computed:
    """Compute ``layer`` on x[n, ...].

    ``values`` maps the layer's parts to its parameters and buffers. ``mask`` (True keeps, the shape of x) is what
    dropout multiplies by; without one dropout is the identity. ``training`` makes batch norm use the batch.
    """
    values = values or {}
    match layer:
        case Conv2d():
            return _conv2d(layer, x, values)
        case Linear():
            return _linear(x, values)
        case MaxPool2d():
            return _max_pool2d(layer, x)
        case AvgPool2d():
            return _avg_pool2d(layer, x)
        case GlobalAvgPool():
            return _global_avg_pool(x)
        case BatchNorm2d():
            return _batch_norm2d(layer, x, values) if training else _batch_norm2d_evaluation(layer, x, values)
        case Dropout():
            return _dropout(layer, x, mask)
        case Flatten():
            return Computed(output=x.reshape(len(x), -1), input_gradient=lambda dy: dy.reshape(x.shape))
        case ReLU():
            return Computed(output=np.maximum(x, 0), input_gradient=lambda dy: dy * (x > 0))
        case LeakyReLU():
            return _leaky_relu(layer, x)
        case Tanh():
            return _tanh(x)
        case Sigmoid():
            return _sigmoid(x)
        case GELU():
            return _gelu(x)
        case Softmax():
            return _softmax(x)


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """Mean over the batch of softmax cross-entropy, and its gradient (softmax - onehot) / n with respect to logits.

    logits float[n, classes], labels int64[n].
    """
    samples = np.arange(len(logits))
    log_probabilities = _log_softmax(logits)
    loss = -float(np.mean(log_probabilities[samples, labels]))
    gradient = np.exp(log_probabilities)
    gradient[samples, labels] -= 1
    return loss, gradient / len(logits)


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


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


def _conv2d(layer: Conv2d, x: Array, values: Mapping[str, Array]) -> Computed:
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


def _linear(x: Array, values: Mapping[str, Array]) -> Computed:
    weight, bias = values["weight"], values.get("bias")
    output = x @ weight.T

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        return {"weight": dy.T @ x} | ({} if bias is None else {"bias": dy.sum(axis=0)})

    return Computed(
        output=output if bias is None else output + bias,
        input_gradient=lambda dy: dy @ weight,
        parameter_gradients=parameter_gradients,
    )


def _max_pool2d(layer: MaxPool2d, x: Array) -> Computed:
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


def _avg_pool2d(layer: AvgPool2d, x: Array) -> Computed:
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


def _global_avg_pool(x: Array) -> Computed:
    pixels = math.prod(x.shape[2:])
    return Computed(
        output=x.mean(axis=(2, 3)),
        input_gradient=lambda dy: np.broadcast_to((dy / pixels)[:, :, None, None], x.shape),
    )


def _batch_norm2d(layer: BatchNorm2d, x: Array, values: Mapping[str, Array]) -> Computed:
    count = x.size // x.shape[1]
    if count < 2:
        raise RequestError(f"batch_norm2d: training needs more than one value per channel, got a batch of {x.shape}")
    over = (0, 2, 3)
    mean = x.mean(axis=over)
    centred = x - mean[:, None, None]
    variance = np.square(centred).mean(axis=over)
    inverse_deviation = 1 / np.sqrt(variance + layer.epsilon)[:, None, None]
    normalised = centred * inverse_deviation
    gamma, beta = values["gamma"][:, None, None], values["beta"][:, None, None]

    def input_gradient(dy: Array) -> Array:
        # The batch's mean and variance depend on x too: their share is what is taken away.
        through_mean = dy.mean(axis=over, keepdims=True)
        through_variance = normalised * (dy * normalised).mean(axis=over, keepdims=True)
        result: Array = gamma * inverse_deviation * (dy - through_mean - through_variance)
        return result

    def moved(name: str, batch: Array) -> Array:
        return (1 - layer.momentum) * values[name] + layer.momentum * batch

    return Computed(
        output=gamma * normalised + beta,
        input_gradient=input_gradient,
        parameter_gradients=lambda dy: {"gamma": (dy * normalised).sum(axis=over), "beta": dy.sum(axis=over)},
        buffers={
            "running_mean": moved("running_mean", mean),
            "running_variance": moved("running_variance", variance * (count / (count - 1))),
        },
    )


def _batch_norm2d_evaluation(layer: BatchNorm2d, x: Array, values: Mapping[str, Array]) -> Computed:
    inverse_deviation = 1 / np.sqrt(values["running_variance"] + layer.epsilon)[:, None, None]
    normalised = (x - values["running_mean"][:, None, None]) * inverse_deviation
    gamma, beta = values["gamma"][:, None, None], values["beta"][:, None, None]
    over = (0, 2, 3)
    return Computed(
        output=gamma * normalised + beta,
        input_gradient=lambda dy: dy * gamma * inverse_deviation,
        parameter_gradients=lambda dy: {"gamma": (dy * normalised).sum(axis=over), "beta": dy.sum(axis=over)},
    )


def _dropout(layer: Dropout, x: Array, mask: NDArray[np.bool_] | None) -> Computed:
    if mask is None:
        return Computed(output=x, input_gradient=lambda dy: dy)
    return Computed(output=x * mask / (1 - layer.p), input_gradient=lambda dy: dy * mask / (1 - layer.p))


def _leaky_relu(layer: LeakyReLU, x: Array) -> Computed:
    positive = x > 0
    return Computed(
        output=np.where(positive, x, layer.negative_slope * x),
        input_gradient=lambda dy: np.where(positive, dy, layer.negative_slope * dy),
    )


def _tanh(x: Array) -> Computed:
    def input_gradient(dy: Array) -> Array:
        # 1 / cosh(x)^2 and not 1 - tanh(x)^2, which cancels where tanh is near 1; an infinite cosh rightly gives 0.
        with np.errstate(over="ignore"):
            return dy / np.square(np.cosh(x))

    return Computed(output=np.tanh(x), input_gradient=input_gradient)


def _sigmoid(x: Array) -> Computed:
    output = _logistic(x)
    # s(-x) and not 1 - s(x), which cancels where s is near 1.
    return Computed(output=output, input_gradient=lambda dy: dy * output * _logistic(-x))


def _logistic(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) = inf rightly gives 0
        result: Array = 1 / (1 + np.exp(-x))
    return result


def _gelu(x: Array) -> Computed:
    # Phi(x) = erfc(-x / sqrt(2)) / 2 is the docstring's formula without its cancellation for negative x.
    distribution = _erfc(-x / math.sqrt(2)).astype(x.dtype) / 2

    def input_gradient(dy: Array) -> Array:
        density = np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi)
        result: Array = dy * (distribution + x * density)
        return result

    return Computed(output=x * distribution, input_gradient=input_gradient)


def _softmax(x: Array) -> Computed:
    output = np.exp(_log_softmax(x))
    return Computed(
        output=output,
        input_gradient=lambda dy: output * (dy - (dy * output).sum(axis=1, keepdims=True)),
    )
