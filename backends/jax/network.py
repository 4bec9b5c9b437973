"""A network as a pure function of its parameters, images [n, height, width, channels] inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from backends.contract import Unsupported, check_names
from backends.jax.attention import attention
from backends.jax.recurrent import gru, lstm, rows
from backends.layouts import hwio_to_oihw, oihw_to_hwio, transposed
from backends.windows import divisors
from specs import layers as L
from specs.errors import RequestError
from specs.layers import Sides, both_sides
from specs.nodes import INPUT, Node, last_uses
from specs.windows import sides

Values = Mapping[str, Array]
"""Canonical name to array, of parameters and buffers or of dropout masks."""

MaxPool = Callable[[L.MaxPool2d, Sides, Array], Array]

_SPATIAL = (1, 2)


def forward(
    nodes: Sequence[Node],
    values: Values,
    images: Array,
    *,
    training: bool,
    dropout_masks: Values | None = None,
    key: Array | None = None,
    max_pool: MaxPool | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Logits [n, classes] of images [n, height, width, channels], and the buffers as training moves them.

    What is computed has the dtype of the images, batch norm at least float32. In training dropout takes
    ``dropout_masks`` (bool [n, *native output shape] by layer), or draws with ``key``, another for each layer.
    ``max_pool`` takes the place of XLA's own.
    """
    known = {INPUT: images}
    moved: dict[str, Array] = {}
    for position, (node, unused) in enumerate(zip(nodes, last_uses(nodes), strict=True)):
        inputs = [known[name] for name in node.inputs]
        own = {name.removeprefix(f"{node.name}."): values[name] for name in (*node.parameters, *node.buffers)}
        match node.layer:
            case L.BatchNorm2d() | L.BatchNorm1d() as layer if training:
                known[node.name], buffers = _normalise_batch(node.name, layer, inputs[0], own)
                moved |= {f"{node.name}.{name}": value for name, value in buffers.items()}
            case L.Dropout(p=p) if training:
                if dropout_masks:
                    kept = dropout_masks[node.name]
                else:
                    kept = jax.random.bernoulli(jax.random.fold_in(key, position), 1 - p, inputs[0].shape)
                known[node.name] = inputs[0] * kept / (1 - p)
            case L.MaxPool2d() as layer if max_pool:
                known[node.name] = max_pool(layer, sides(layer, node.input_shape), inputs[0])
            case _:
                known[node.name] = _apply(node, own, inputs)
        for name in unused:
            del known[name]
    return known[nodes[-1].name], moved


def native(node: Node, part: str, array: NDArray[Any]) -> NDArray[Any]:
    """A canonical array of a node's parameter (or of its gradient or optimizer state) in JAX's layout: a copy."""
    match node.layer:
        case L.Conv2d() if part == "weight":
            array = oihw_to_hwio(array)
        case L.Linear() | L.MultiHeadAttention() if part.endswith("weight"):
            array = transposed(array)
    return np.array(array, order="C")


def canonical(node: Node, part: str, value: Array) -> NDArray[Any]:
    """The inverse of ``native``; always a copy, since NumPy sees JAX's own memory."""
    array: NDArray[Any] = np.array(value)
    match node.layer:
        case L.Conv2d() if part == "weight":
            return hwio_to_oihw(array)
        case L.Linear() | L.MultiHeadAttention() if part.endswith("weight"):
            return transposed(array)
    return array


def native_masks(
    nodes: Sequence[Node], dropout_masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]
) -> dict[str, NDArray[np.bool_]]:
    """Masks bool[*leading, *output_shape] by dropout layer with channels moved last; none for None.

    Raises KeyError or ValueError for a wrong name or shape.
    """
    if dropout_masks is None:
        return {}
    shapes = {node.name: node.output_shape for node in nodes if isinstance(node.layer, L.Dropout)}
    check_names({name: (*leading, *shape) for name, shape in shapes.items()}, dropout_masks)
    return {name: np.moveaxis(mask, -3, -1) if len(shapes[name]) == 3 else mask for name, mask in dropout_masks.items()}


def _apply(node: Node, own: Values, inputs: list[Array]) -> Array:
    """What a node gives whose result is the same in training and evaluation, or in evaluation."""
    x = inputs[0]
    match node.layer:
        case L.Conv2d() as layer:
            y = lax.conv_general_dilated(
                x,
                own["weight"].astype(x.dtype),
                layer.stride,
                both_sides(layer.padding),
                rhs_dilation=layer.dilation,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=layer.groups,
            )
            return y + own["bias"].astype(x.dtype) if layer.bias else y
        case L.Linear() as layer:
            y = x @ own["weight"].astype(x.dtype)
            return y + own["bias"].astype(x.dtype) if layer.bias else y
        case L.MaxPool2d() as layer:
            return _pool(layer, node, x, -jnp.inf, lax.max)
        case L.AvgPool2d() as layer:
            counted = divisors(layer, node.input_shape)[..., None].astype(x.dtype)
            return _pool(layer, node, x, 0.0, lax.add) / counted
        case L.GlobalAvgPool():
            return x.mean(_SPATIAL)
        case L.BatchNorm2d() as layer:
            return _normalise(layer, x, own["running_mean"], own["running_variance"], own)
        case L.Dropout():
            return x
        case L.Flatten():
            return (x.transpose(0, 3, 1, 2) if x.ndim == 4 else x).reshape(x.shape[0], -1)
        case L.ReLU():
            return jax.nn.relu(x)
        case L.LeakyReLU() as layer:  # jax.nn.leaky_relu has slope 1 at 0
            return jnp.where(x > 0, x, layer.negative_slope * x)
        case L.Tanh():
            return jnp.tanh(x)
        case L.Sigmoid():
            return jax.nn.sigmoid(x)
        case L.GELU():
            return jax.nn.gelu(x, approximate=False)
        case L.Softmax():
            return jax.nn.softmax(x)
        case L.ReLU6():
            return jax.nn.relu6(x)
        case L.SiLU():
            return jax.nn.silu(x)
        case L.ELU() as layer:
            return jax.nn.elu(x, layer.alpha)
        case L.HardSwish():
            return jax.nn.hard_swish(x)
        case L.Rows():
            return rows(x)
        case L.LSTM() as layer:
            return lstm(layer, x, own)
        case L.GRU() as layer:
            return gru(layer, x, own)
        case L.Add():
            return sum(inputs[1:], start=x)
        case L.Concat():  # channels of images, features of vectors: the last axis of both; tokens
            return jnp.concatenate(inputs, axis=1 if len(node.output_shape) == 2 else -1)
        case L.BatchNorm1d() as layer:
            return _normalise(layer, x, own["running_mean"], own["running_variance"], own)
        case L.LayerNorm() as layer:
            wide = x.astype(own["gamma"].dtype)
            return _normalise(layer, x, wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True), own)
        case L.GroupNorm() as layer:
            return _group_norm(layer, x, own)
        case L.ToTokens():
            return x.reshape(x.shape[0], -1, x.shape[-1])
        case L.ClassToken():
            first = jnp.broadcast_to(own["token"].astype(x.dtype), (x.shape[0], 1, x.shape[-1]))
            return jnp.concatenate([first, x], axis=1)
        case L.PositionEmbedding():
            return x + own["embedding"].astype(x.dtype)
        case L.MultiHeadAttention() as layer:
            return attention(layer, x, own)
        case L.TakeToken() as layer:
            return x[:, layer.index]
        case L.MeanTokens():
            return x.mean(1)
        case _:
            raise Unsupported(f"no {node.layer.kind} in JAX's adapter")


def _pool(layer: L.MaxPool2d | L.AvgPool2d, node: Node, x: Array, start: float, combine: Any) -> Array:
    window, stride = (1, *layer.kernel_size, 1), (1, *layer.stride, 1)
    around = ((0, 0), *sides(layer, node.input_shape), (0, 0))
    return lax.reduce_window(x, np.array(start, x.dtype), combine, window, stride, around)


def _group_norm(layer: L.GroupNorm, x: Array, own: Values) -> Array:
    """Of images [n, height, width, channels]."""
    grouped = x.astype(own["gamma"].dtype).reshape(*x.shape[:3], layer.groups, -1)
    over = (*_SPATIAL, 4)
    statistics = [grouped.mean(over), grouped.var(over)]  # [n, groups], which all channels of a group share
    mean, variance = (jnp.repeat(s, grouped.shape[-1], axis=1)[:, None, None] for s in statistics)
    return _normalise(layer, x, mean, variance, own)


def _normalise_batch(name: str, layer: L.BatchNorm, x: Array, own: Values) -> tuple[Array, dict[str, Array]]:
    """Batch norm by the batch's own statistics, and the running ones moved. Raises RequestError for a single value."""
    count = math.prod(x.shape[:-1])
    if count < 2:
        raise RequestError(f"{name}: training needs more than one value per channel, got a batch of {count}")
    wide = x.astype(own["gamma"].dtype)
    over = tuple(range(x.ndim - 1))
    mean, variance = wide.mean(over), wide.var(over)
    batch = {"running_mean": mean, "running_variance": variance * (count / (count - 1))}
    moved = {part: (1 - layer.momentum) * own[part] + layer.momentum * batch[part] for part in batch}
    return _normalise(layer, x, mean, variance, own), moved


def _normalise(
    layer: L.BatchNorm | L.LayerNorm | L.GroupNorm, x: Array, mean: Array, variance: Array, own: Values
) -> Array:
    """``x`` normalised by statistics that go with it element by element, channels or features last."""
    scaled = (x.astype(mean.dtype) - mean) * lax.rsqrt(variance + layer.epsilon)
    return (scaled * own["gamma"] + own["beta"]).astype(x.dtype)


def cross_entropy(logits: Array, labels: Array, smoothing: float) -> Array:
    """The mean of the cross-entropy of logits [n, classes] against labels int[n], smoothed: see ``SessionSpec``."""
    log_shares = jax.nn.log_softmax(logits)
    of_label = labels[:, None] == jnp.arange(logits.shape[1])  # a gather and its gradient take XLA longer to compile
    at_label = jnp.where(of_label, log_shares, 0).sum(axis=1)
    if not smoothing:
        return -at_label.mean()
    return -((1 - smoothing) * at_label + smoothing * log_shares.mean(axis=1)).mean()
