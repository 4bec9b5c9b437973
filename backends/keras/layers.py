"""The Keras layers, or operations of ``keras.ops``, that compute one node. Channels last."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from backends.keras import recurrent, tokens
from backends.windows import divisors
from specs import layers as L
from specs.nodes import Node
from specs.windows import Windowed, sides

Part = Callable[..., Any]
"""A Keras layer or a function of tensors; takes what the part before it gives, the first one the node's input."""

IMAGE = {"data_format": "channels_last"}


def parts(node: Node, *, policy: keras.DTypePolicy, seed: int, channels_first: bool) -> list[Part]:
    """What computes ``node``, one part after another; the last bears the node's name and its weights.

    ``seed`` is for dropout. ``channels_first``: a flatten gives the canonical C, H, W order, not its own H, W, C.
    """
    layer = node.layer
    common = {"name": node.name, "dtype": policy}
    match layer:
        case L.Conv2d():
            return _convolution(node, layer, policy)
        case L.Linear():
            return [keras.layers.Dense(layer.out_features, use_bias=layer.bias, **common)]
        case L.MaxPool2d():
            padding, before = _padding(node, layer, policy)
            return [*before, keras.layers.MaxPooling2D(layer.kernel_size, layer.stride, padding, **IMAGE, **common)]
        case L.AvgPool2d():
            return _average_pool(node, layer, policy)
        case L.GlobalAvgPool():
            return [keras.layers.GlobalAveragePooling2D(**IMAGE, **common)]
        case L.BatchNorm2d():
            return [keras.layers.BatchNormalization(momentum=1 - layer.momentum, epsilon=layer.epsilon, **common)]
        case L.Dropout():
            # Of bfloat16 values TensorFlow decides by seven random bits.
            drawn_in = "float32" if policy.compute_dtype == "bfloat16" else policy
            return [keras.layers.Dropout(layer.p, seed=seed, **{**common, "dtype": drawn_in})]
        case L.Flatten():
            flatten = keras.layers.Flatten(**IMAGE, **common)
            permute = keras.layers.Permute((3, 1, 2), name=f"{node.name}_channels_first", dtype=policy)
            return [permute, flatten] if channels_first else [flatten]
        case L.Add():
            # Operations that are written out are called add_1 by Keras itself.
            return [keras.layers.Add(**{**common, "name": f"{node.name}_sum"})]
        case L.Concat():  # of images or features: channels, or the features, stand last; of tokens: tokens
            axis = 1 if len(node.output_shape) == 2 else -1
            return [keras.layers.Concatenate(axis=axis, **common)]
        case L.Softmax():
            return [keras.layers.Softmax(axis=-1, **common)]
        case L.Rows():
            return recurrent.rows(node, policy)
        case L.LSTM():
            return [keras.layers.LSTM(layer.hidden, return_sequences=layer.return_sequences, **common)]
        case L.GRU():
            return [recurrent.gru(node, layer, policy)]
        case L.BatchNorm1d():
            return [keras.layers.BatchNormalization(momentum=1 - layer.momentum, epsilon=layer.epsilon, **common)]
        case L.LayerNorm():
            return [keras.layers.LayerNormalization(axis=-1, epsilon=layer.epsilon, **common)]
        case L.GroupNorm():
            return _group_norm(node, layer, common)
        case L.ToTokens():
            return [keras.layers.Reshape(node.output_shape, **common)]  # whose channels are last already
        case L.ClassToken():  # Keras saves the arguments of a layer of one's own as they are: a name, not a policy
            return [tokens.ClassToken(**common | {"dtype": policy.name})]
        case L.PositionEmbedding():
            return [tokens.PositionEmbedding(**common | {"dtype": policy.name})]
        case L.MultiHeadAttention():
            double = policy.compute_dtype == "float64"
            attention = tokens.DoubleAttention if double else keras.layers.MultiHeadAttention
            return [attention(layer.heads, node.input_shape[-1] // layer.heads, use_bias=layer.bias, **common)]
        case L.TakeToken():
            return [lambda x: x[:, layer.index]]
        case L.MeanTokens():
            return [keras.layers.GlobalAveragePooling1D(**common)]
        case _:
            return [_activation(layer, policy, common)]


def _group_norm(node: Node, layer: L.GroupNorm, common: dict[str, Any]) -> list[Part]:
    """Keras computes x * s - mean * s: of a single element rounding remains, so what it is given there is 0 already."""
    single = math.prod(node.input_shape) == layer.groups
    norm = keras.layers.GroupNormalization(layer.groups, axis=-1, epsilon=layer.epsilon, **common)
    return [lambda x: x - x, norm] if single else [norm]


def _activation(layer: L.Operation, policy: keras.DTypePolicy, common: dict[str, Any]) -> Part:
    """An activation, written out where TensorFlow's own operation is wrong.

    Of a convolution, its bias, a sum and a leaky ReLU a TensorFlow graph makes one operation whose slope is 0.2, given
    what it may (2.21, when predicting). In float64 GELU and leaky ReLU keep their constants in float32. ELU takes 1
    from exp(x), which leaves nothing of an x near 0.
    """
    match layer:
        case L.ReLU():
            return keras.layers.ReLU(**common)
        case L.LeakyReLU(negative_slope=slope):
            return lambda x: ops.where(x > 0, x, slope * x)
        case L.GELU() if policy.compute_dtype == "float64":
            return lambda x: 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))
        case L.ELU(alpha=alpha):
            return lambda x: ops.where(x > 0, x, alpha * ops.expm1(ops.where(x > 0, ops.zeros_like(x), x)))
        case L.HardSwish():
            return keras.layers.Activation("hard_silu", **common)
        case L.GELU() | L.Tanh() | L.Sigmoid() | L.ReLU6() | L.SiLU():
            return keras.layers.Activation(layer.kind, **common)
        case _:
            raise NotImplementedError(layer.kind)


def _convolution(node: Node, layer: L.Conv2d, policy: keras.DTypePolicy) -> list[Part]:
    """A group per channel is ``DepthwiseConv2D``, which is 50 times faster than ``Conv2D`` with groups on a CPU.

    Keras takes no dilation together with a stride: then every place is computed, and those between left out.
    """
    dilated = layer.dilation != (1, 1)
    padding, before = ("valid", _outside(node, layer, policy)) if dilated else _padding(node, layer, policy)
    strides = (1, 1) if dilated else layer.stride
    common = {"strides": strides, "padding": padding, "dilation_rate": layer.dilation, "use_bias": layer.bias}
    common |= {"name": node.name, "dtype": policy, **IMAGE}
    channels = node.input_shape[0]
    convolution: keras.layers.Layer
    if layer.groups == channels > 1 and strides[0] == strides[1]:  # the only strides that TensorFlow's kernel takes
        multiplier = layer.out_channels // channels
        convolution = keras.layers.DepthwiseConv2D(layer.kernel_size, depth_multiplier=multiplier, **common)
    else:
        convolution = keras.layers.Conv2D(layer.out_channels, layer.kernel_size, groups=layer.groups, **common)
    if not dilated or layer.stride == (1, 1):
        return [*before, convolution]
    down, across = layer.stride
    return [*before, convolution, lambda x: x[:, ::down, ::across]]


def _padding(node: Node, layer: Windowed, policy: keras.DTypePolicy) -> tuple[str, list[Part]]:
    """Numeric padding in Keras's terms: "valid", "same" where that is the same, or a part before it.

    "same" takes TensorFlow to oneDNN's kernels; the same numbers as padding of its own double the time of a step.
    """
    if any(map(any, sides(layer, node.input_shape))) and _is_same(node, layer):
        return "same", []
    return "valid", _outside(node, layer, policy)


def _outside(node: Node, layer: Windowed, policy: keras.DTypePolicy) -> list[Part]:
    """A part that puts around the image what the windows reach of its outside, zeros or what never is a maximum."""
    around = sides(layer, node.input_shape)
    if not any(map(any, around)):
        return []
    if isinstance(layer, L.MaxPool2d):
        return [lambda x: ops.pad(x, ((0, 0), *around, (0, 0)), constant_values=float("-inf"))]
    return [keras.layers.ZeroPadding2D(around, name=f"{node.name}_padding", dtype=policy, **IMAGE)]


def _average_pool(node: Node, layer: L.AvgPool2d, policy: keras.DTypePolicy) -> list[Part]:
    """Keras never counts padded cells: where they are padded here it does, and their share is set right."""
    padding, before = _padding(node, layer, policy)
    if layer.count_include_pad:
        padding, before = "valid", _outside(node, layer, policy)
    pool = keras.layers.AveragePooling2D(
        layer.kernel_size, layer.stride, padding, name=node.name, dtype=policy, **IMAGE
    )
    factors = math.prod(layer.kernel_size) / divisors(layer, node.input_shape)[..., None]
    if not before or np.all(factors == 1):
        return [*before, pool]
    return [*before, pool, lambda x: x * ops.cast(factors, x.dtype)]


def _is_same(node: Node, layer: Windowed) -> bool:
    """Whether "same", whose padding depends on the input's size, pads just like the layer's numbers."""
    for size, out, kernel, stride, (before, after) in zip(
        node.input_shape[1:],
        node.output_shape[1:],
        layer.kernel_size,
        layer.stride,
        sides(layer, node.input_shape),
        strict=True,
    ):
        total = max((out - 1) * stride + kernel - size, 0)
        if out != -(-size // stride) or (total // 2, total - total // 2) != (before, after):
            return False
    return True
