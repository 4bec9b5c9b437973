"""Layers and losses computed wrongly: what ``planting.computing`` puts in the place of the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.numpy.computed import Computed
from backends.numpy.layers import cross_entropy, forward
from backends.numpy.network import Joined, join
from specs import layers as L
from specs.windows import sides
from tests.conformance.planting import Array


def unscaled_dropout(layer: L.Dropout, x: Array, values: Any, *, mask: Any = None, **_: Any) -> Computed:
    """Survivors keep their size."""
    if mask is None:
        return forward(layer, x, values)
    return Computed(output=x * mask, input_gradient=lambda dy: dy * mask)


def channels_last_flatten(layer: L.Flatten, x: Array, values: Any, **_: Any) -> Computed:
    """H, W, C order."""
    if x.ndim != 4:
        return forward(layer, x, values)
    n, c, h, w = x.shape
    return Computed(
        output=x.transpose(0, 2, 3, 1).reshape(n, -1),
        input_gradient=lambda dy: dy.reshape(n, h, w, c).transpose(0, 3, 1, 2),
    )


def columns_first(layer: L.ToTokens, x: Array, values: Any, **_: Any) -> Computed:
    """A token per pixel, column by column."""
    right = forward(layer, x.swapaxes(2, 3), values)
    return replace(right, input_gradient=lambda dy: right.input_gradient(dy).swapaxes(2, 3))


def flipped_convolution(layer: L.Conv2d, x: Array, values: Any, **_: Any) -> Computed:
    """Convolution in the mathematical sense, the kernel upside down."""
    right = forward(layer, x, {**values, "weight": values["weight"][:, :, ::-1, ::-1]})

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        gradients = right.parameter_gradients(dy)
        return {**gradients, "weight": gradients["weight"][:, :, ::-1, ::-1]}

    return replace(right, parameter_gradients=parameter_gradients)


def one_sided_convolution(layer: L.Conv2d, x: Array, values: Any, **_: Any) -> Computed:
    """All padding below and to the right, as "same" puts the odd cell."""
    (rows, columns), (h, w) = map(sum, L.both_sides(layer.padding)), x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (0, rows), (0, columns)))
    right = forward(replace(layer, padding=(0, 0)), padded, values)
    return replace(right, input_gradient=lambda dy: right.input_gradient(dy)[:, :, :h, :w])


def padding_counted(layer: L.AvgPool2d) -> L.AvgPool2d:
    """Padded cells in the divisor."""
    return replace(layer, count_include_pad=True)


def biased_running_variance(
    layer: L.BatchNorm2d, x: Array, values: Any, *, training: bool = False, **_: Any
) -> Computed:
    """The running statistic moved by the variance that normalises."""
    right = forward(layer, x, values, training=training)
    if not training:
        return right
    count = x.size // x.shape[1]
    kept = (1 - layer.momentum) * values["running_variance"]
    moved = right.buffers["running_variance"] - kept
    return replace(right, buffers={**right.buffers, "running_variance": kept + moved * (count - 1) / count})


def every_winner_pooling(layer: L.MaxPool2d, x: Array, values: Any, **_: Any) -> Computed:
    """The gradient of a tie handed to all that are equal."""
    right = forward(layer, x, values)
    around, (k_h, k_w), (s_h, s_w) = sides(layer, x.shape[1:]), layer.kernel_size, layer.stride
    (top, _), (left, _) = around

    def input_gradient(dy: Array) -> Array:
        padded = np.pad(x, ((0, 0), (0, 0), *around), constant_values=-np.inf)
        gradient = np.zeros_like(padded)
        for i, j in np.ndindex(*dy.shape[2:]):
            window = np.s_[:, :, i * s_h : i * s_h + k_h, j * s_w : j * s_w + k_w]
            winners = padded[window] == right.output[:, :, i, j, None, None]
            gradient[window] += winners * dy[:, :, i, j, None, None]
        return gradient[:, :, top : top + x.shape[2], left : left + x.shape[3]]

    return replace(right, input_gradient=input_gradient)


def hiding_relu(layer: L.ReLU, x: Array, values: Any, **_: Any) -> Computed:
    """0 for what is not above 0, NaN among it."""
    return replace(forward(layer, x, values), output=np.where(x > 0, x, 0))


def without_nan(layer: Any, x: Array, values: Any, **_: Any) -> Computed:
    """0 for NaN."""
    right = forward(layer, x, values)
    return replace(right, output=np.nan_to_num(right.output, posinf=np.inf, neginf=-np.inf))


def lost_denormals(layer: Any, x: Array, values: Any, **_: Any) -> Computed:
    """NaN of the smallest numbers."""
    right = forward(layer, x, values)
    return replace(right, output=np.where(np.abs(x) < np.finfo(np.float32).tiny, np.nan, right.output))


def steep_leaky_relu(layer: L.LeakyReLU, x: Array, values: Any, **_: Any) -> Computed:
    """Derivative 1 at 0."""
    right = forward(layer, x, values)
    return replace(right, input_gradient=lambda dy: np.where(x == 0, dy, right.input_gradient(dy)))


def clamped_tanh(layer: L.Tanh, x: Array, values: Any, **_: Any) -> Computed:
    """An approximation that is flat from 5 on."""
    output = np.where(np.abs(x) > 5, np.sign(x), np.tanh(x))
    return Computed(output=output, input_gradient=lambda dy: dy * (1 - output * output))


def update_gate_first(layer: L.GRU, x: Array, values: Any, **_: Any) -> Computed:
    """The update gate's rows taken for the reset gate's, and the other way round: Keras has them so."""
    h = layer.hidden
    order = np.r_[h : 2 * h, :h, 2 * h : 3 * h]
    swapped = {part: array if part == "recurrent_bias" else array[order] for part, array in values.items()}
    return forward(layer, x, swapped)


def reset_before_the_product(layer: L.GRU, x: Array, values: Any, **_: Any) -> Computed:
    """n = tanh(W x + b + U (r * h) + u): the formula of the paper."""
    weight, recurrent_weight, bias = values["weight"], values["recurrent_weight"], values["bias"]
    hidden = np.zeros((len(x), layer.hidden), x.dtype)
    states = []
    for token in x.swapaxes(0, 1):
        x_r, x_z, x_n = np.split(token @ weight.T + bias, 3, axis=1)
        u_r, u_z, u_n = np.split(recurrent_weight, 3)
        r, z = 1 / (1 + np.exp(-x_r - hidden @ u_r.T)), 1 / (1 + np.exp(-x_z - hidden @ u_z.T))
        n = np.tanh(x_n + (r * hidden) @ u_n.T + values["recurrent_bias"])
        hidden = (1 - z) * n + z * hidden
        states.append(hidden)
    output = np.stack(states, axis=1) if layer.return_sequences else hidden
    return replace(forward(layer, x, values), output=output)


def summed_loss(logits: Array, labels: NDArray[np.int64], smoothing: float) -> tuple[float, Array]:
    """Sum over the batch."""
    loss, gradient = cross_entropy(logits, labels, smoothing)
    return loss * len(logits), gradient * len(logits)


def loss_of_probabilities(logits: Array, labels: NDArray[np.int64], smoothing: float) -> tuple[float, Array]:
    """Softmax before a loss that applies it too."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    loss, gradient = cross_entropy(probabilities, labels, smoothing)
    inner = (gradient * probabilities).sum(axis=1, keepdims=True)
    return loss, probabilities * (gradient - inner)


def clipped_loss(logits: Array, labels: NDArray[np.int64], smoothing: float) -> tuple[float, Array]:
    """No sample's loss above 64, for its logarithm is taken of a probability that was kept from 0."""
    _, gradient = cross_entropy(logits, labels, smoothing)
    each = [min(cross_entropy(logits[i : i + 1], labels[i : i + 1], smoothing)[0], 64.0) for i in range(len(logits))]
    return float(np.mean(each)), gradient


def smoothed_over_the_others(logits: Array, labels: NDArray[np.int64], smoothing: float) -> tuple[float, Array]:
    """1 - e for the label and e / (K - 1) for each other class."""
    classes = logits.shape[1]
    return cross_entropy(logits, labels, smoothing * classes / (classes - 1))


# Joins: what ``planting.patched`` puts in the place of ``backends.numpy.network.join``.


def reversed_concat(layer: L.Join, inputs: Sequence[Array]) -> Joined:
    """The last path first."""
    if isinstance(layer, L.Add):
        return join(layer, inputs)
    joined = join(layer, inputs[::-1])
    return Joined(joined.output, lambda dy: joined.input_gradients(dy)[::-1])


def lost_shortcut(layer: L.Join, inputs: Sequence[Array]) -> Joined:
    """What is added last gets no gradient."""
    joined = join(layer, inputs)
    if not isinstance(layer, L.Add):
        return joined
    return Joined(joined.output, lambda dy: [*joined.input_gradients(dy)[:-1], np.zeros_like(dy)])


def hiding_sum(layer: L.Join, inputs: Sequence[Array]) -> Joined:
    """What is NaN is left out of a sum."""
    return join(layer, [np.where(np.isnan(x), 0, x) for x in inputs] if isinstance(layer, L.Add) else inputs)


def averaged_sum(layer: L.Join, inputs: Sequence[Array]) -> Joined:
    """The mean of what is to be added."""
    joined = join(layer, inputs)
    if not isinstance(layer, L.Add):
        return joined
    share = 1 / len(inputs)
    return Joined(joined.output * share, lambda dy: [dy * share] * len(inputs))
