"""A Keras model of an architecture, its forward pass in TensorFlow, and canonical arrays in and out of its weights.

The model runs in Keras's own layout (channels last); only this module knows. Imports Keras and TensorFlow: for
``keras_backend`` alone, once its worker process has asked for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backends.contract import Unsupported, chain
from backends.layouts import hwio_to_oihw, oihw_to_hwio, transposed
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.nodes import Node

POLICIES = {"float32": "float32", "float64": "float64", "bfloat16": "mixed_bfloat16"}
"""Precision to Keras dtype policy; mixed_bfloat16 computes in bfloat16 and keeps the variables in float32."""

_ORDER_FREE = (ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Softmax, Flatten)
"""Layers on features whose result for a feature does not depend on where it stands."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One variable of the model under its canonical name, with the way between the two layouts.

    ``rows`` is set for the linear layer after a flatten: native row r (H, W, C order) is canonical row ``rows[r]``.
    """

    name: str
    shape: tuple[int, ...]
    variable: tf.Variable
    trained: bool
    rows: NDArray[np.int64] | None = None

    def native(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical array in the variable's layout."""
        if len(self.shape) == 4:
            return oihw_to_hwio(array)
        if len(self.shape) == 2:
            kernel = transposed(array)
            return kernel if self.rows is None else kernel[self.rows]
        return array

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of ``native``; always a copy."""
        if len(self.shape) == 4:
            return hwio_to_oihw(array)
        if len(self.shape) == 2:
            if self.rows is not None:
                array = array[np.argsort(self.rows)]
            return transposed(array)
        return array.copy()


class Network:
    """The model, and the same layers as a function of tensors for tracing.

    Padding that TensorFlow can call SAME is given as that: the same numbers given as explicit padding take convolution
    and pooling off the oneDNN kernels and double the time of a step.
    """

    def __init__(self, architecture: Architecture, *, precision: str, seed: int, reorder: bool) -> None:
        """``reorder``: compute every ReLU that stands right before a max pool after it."""
        self.shaped = chain(architecture)
        self._computed = _pool_before_relu(self.shaped) if reorder else self.shaped
        self._policy = keras.DTypePolicy(POLICIES[precision])
        self._flattened = _flattened_into(self.shaped)
        self._stages = {s.name: self._stage(s, seed=seed + i) for i, s in enumerate(self.shaped)}
        channels, height, width = architecture.input
        images = keras.Input((height, width, channels), dtype=self._policy.variable_dtype, name="images")
        x = images
        for stage in self._stages.values():
            for part in stage:
                x = part(x)
        self.model = keras.Model(images, x, name=_identifier(architecture.name))
        self.weights = {weight.name: weight for weight in self._weights()}

    @property
    def reordered(self) -> bool:
        """Whether ``reorder`` found something to do."""
        return self._computed != self.shaped

    @property
    def trained(self) -> list[Weight]:
        """The weights that the optimizer moves, in network order."""
        return [weight for weight in self.weights.values() if weight.trained]

    @property
    def dropouts(self) -> list[Node]:
        """The dropout layers, in network order."""
        return [shaped for shaped in self.shaped if isinstance(shaped.layer, Dropout)]

    def forward(self, x: Any, *, training: bool, dropout_masks: Mapping[str, Any]) -> Any:
        """Logits [n, classes] of images [n, height, width, channels], both in the variables' dtype.

        ``dropout_masks``: bool [n, *native output shape] by dropout layer, in place of its generator. Training moves
        the running statistics of batch norms; its batch size must be static.

        TensorFlow keeps the constants of its GELU and LeakyReLU in float32: in float64 the two are written out.
        """
        for shaped in self._computed:
            match shaped.layer:
                case Dropout(p=p) if training and shaped.name in dropout_masks:
                    x = tf.cast(x, self._policy.compute_dtype)
                    x = x * tf.cast(dropout_masks[shaped.name], x.dtype) / (1 - p)
                case BatchNorm2d() if training:
                    x = self._normalise_batch(shaped.name, shaped.layer, x)
                case GELU() if self._policy.compute_dtype == "float64":
                    x = 0.5 * x * (1 + tf.math.erf(x / math.sqrt(2)))
                case LeakyReLU(negative_slope=slope) if self._policy.compute_dtype == "float64":
                    x = tf.where(x > 0, x, slope * x)
                case _:
                    for part in self._stages[shaped.name]:
                        x = part(x, training=True) if training and isinstance(shaped.layer, Dropout) else part(x)
        return tf.cast(x, self._policy.variable_dtype)

    def _normalise_batch(self, name: str, layer: BatchNorm2d, x: Any) -> Any:
        """Keras's batch norm in training, but for its biased running variance."""
        dtype = self._policy.variable_dtype
        x = tf.cast(x, dtype)
        samples = math.prod(x.shape[:-1])
        if samples < 2:
            raise RequestError(f"{name}: training needs more than one value per channel, got a batch of {samples}")
        mean, variance = tf.nn.moments(x, axes=[0, 1, 2])
        unbiased = variance * (samples / (samples - 1))
        for part, batch in (("running_mean", mean), ("running_variance", unbiased)):
            running = self.weights[f"{name}.{part}"].variable
            running.assign(running * (1 - layer.momentum) + batch * layer.momentum)
        beta, gamma = (self.weights[f"{name}.{part}"].variable for part in ("beta", "gamma"))
        y = tf.nn.batch_normalization(x, mean, variance, beta, gamma, layer.epsilon)
        return tf.cast(y, self._policy.compute_dtype)

    def _stage(self, shaped: Node, *, seed: int) -> list[Callable[..., Any]]:
        """The Keras layers (or, where Keras has no layer, the operations of keras.ops) that compute one layer."""
        layer, name = shaped.layer, shaped.name
        common = {"name": name, "dtype": self._policy}
        image = {"data_format": "channels_last"}
        match layer:
            case Conv2d():
                padding, before = self._padding(shaped, layer)
                options = {"strides": layer.stride, "padding": padding, "use_bias": layer.bias}
                return [
                    *before,
                    keras.layers.Conv2D(layer.out_channels, layer.kernel_size, **options, **image, **common),
                ]
            case Linear():
                return [keras.layers.Dense(layer.out_features, use_bias=layer.bias, **common)]
            case MaxPool2d():
                padding, before = self._padding(shaped, layer)
                pool = keras.layers.MaxPooling2D(layer.kernel_size, layer.stride, padding, **image, **common)
                return [*before, pool]
            case AvgPool2d():
                return self._average_pool(shaped, layer, **image, **common)
            case GlobalAvgPool():
                return [keras.layers.GlobalAveragePooling2D(**image, **common)]
            case BatchNorm2d():
                return [keras.layers.BatchNormalization(momentum=1 - layer.momentum, epsilon=layer.epsilon, **common)]
            case Dropout():
                return [keras.layers.Dropout(layer.p, seed=seed, **common)]
            case Flatten():
                flatten = keras.layers.Flatten(data_format="channels_last", **common)
                if _order_matters(shaped) and name not in self._flattened:
                    return [keras.layers.Permute((3, 1, 2), name=f"{name}_channels_first", dtype=self._policy), flatten]
                return [flatten]
            case ReLU():
                return [keras.layers.ReLU(**common)]
            case LeakyReLU():
                return [keras.layers.LeakyReLU(negative_slope=layer.negative_slope, **common)]
            case Tanh():
                return [keras.layers.Activation("tanh", **common)]
            case Sigmoid():
                return [keras.layers.Activation("sigmoid", **common)]
            case GELU():
                return [keras.layers.Activation("gelu", **common)]
            case Softmax():
                return [keras.layers.Softmax(axis=-1, **common)]
            case _:
                raise Unsupported(f"no {layer.kind} as yet")

    def _padding(self, shaped: Node, layer: Conv2d | MaxPool2d | AvgPool2d) -> tuple[str, list[Any]]:
        """Symmetric numeric padding in Keras's terms: "valid", "same" where that is the same, or a layer before it."""
        if layer.padding == (0, 0):
            return "valid", []
        if _is_same(shaped, layer):
            return "same", []
        if isinstance(layer, MaxPool2d):
            pads = _explicit(layer.padding)
            return "valid", [lambda x: keras.ops.pad(x, pads, constant_values=float("-inf"))]
        return "valid", [self._zero_padding(shaped.name, layer.padding)]

    def _zero_padding(self, name: str, padding: tuple[int, int]) -> Any:
        return keras.layers.ZeroPadding2D(
            padding, data_format="channels_last", name=f"{name}_padding", dtype=self._policy
        )

    def _average_pool(self, shaped: Node, layer: AvgPool2d, **options: Any) -> list[Callable[..., Any]]:
        """Keras never counts padded cells: padding made by a layer is counted, then divided out again if need be."""
        name = options.pop("name")
        if layer.count_include_pad and layer.padding != (0, 0):
            padding, before = "valid", [self._zero_padding(name, layer.padding)]
        else:
            padding, before = self._padding(shaped, layer)
        pool = keras.layers.AveragePooling2D(layer.kernel_size, layer.stride, padding, name=name, **options)
        if layer.count_include_pad or not before:
            return [*before, pool]
        return [lambda x: keras.ops.divide(pool(before[0](x)), pool(before[0](keras.ops.ones_like(x))))]

    def _weights(self) -> list[Weight]:
        rows = dict(self._flattened.values())
        weights = []
        for shaped in self.shaped:
            for name, shape in (shaped.parameters | shaped.buffers).items():
                part = name.rpartition(".")[2]
                variable = getattr(self.model.get_layer(shaped.name), _KERAS_NAMES.get(part, part)).value
                weights.append(
                    Weight(
                        name=name,
                        shape=shape,
                        variable=variable,
                        trained=name in shaped.parameters,
                        rows=rows.get(shaped.name),
                    )
                )
        return weights


_KERAS_NAMES = {"weight": "kernel", "running_mean": "moving_mean", "running_variance": "moving_variance"}


def _explicit(padding: tuple[int, int]) -> list[list[int]]:
    """Rows and columns on both sides of a channels-last image, as TensorFlow takes them."""
    return [[0, 0], [padding[0]] * 2, [padding[1]] * 2, [0, 0]]


def _is_same(shaped: Node, layer: Conv2d | MaxPool2d | AvgPool2d) -> bool:
    """Whether TensorFlow's SAME, which depends on the input's size, pads just like the layer's numbers."""
    for size, out, kernel, stride, padding in zip(
        shaped.input_shape[1:], shaped.output_shape[1:], layer.kernel_size, layer.stride, layer.padding, strict=True
    ):
        total = max((out - 1) * stride + kernel - size, 0)
        if out != -(-size // stride) or total // 2 != padding:
            return False
    return True


def _order_matters(shaped: Node) -> bool:
    """Whether a flatten gives another order in H, W, C than in C, H, W."""
    shape = shaped.input_shape
    return isinstance(shaped.layer, Flatten) and len(shape) == 3 and shape[0] > 1 and shape[1] * shape[2] > 1


def _flattened_into(layers: Sequence[Node]) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """Flatten to the linear layer that may absorb its order, and the canonical row of each of its native rows.

    Only layers that no order can disturb may stand between them; dropout is not among them, because its masks come in
    canonical order.
    """
    result = {}
    for position, flatten in enumerate(layers):
        if not _order_matters(flatten):
            continue
        for later in layers[position + 1 :]:
            if isinstance(later.layer, Linear):
                rows = np.arange(later.input_shape[0]).reshape(flatten.input_shape).transpose(1, 2, 0).ravel()
                result[flatten.name] = (later.name, rows)
            if not isinstance(later.layer, _ORDER_FREE):
                break
    return result


def _pool_before_relu(layers: Sequence[Node]) -> tuple[Node, ...]:
    """The layers with every ReLU right before a max pool moved behind it, where it has a fraction of the cells left.

    Neither values nor gradients change: a positive maximum stands in the same place before and after the ReLU, and a
    window without one gives 0 and takes no gradient either way.
    """
    ordered = list(layers)
    for i in range(len(ordered) - 1):
        if isinstance(ordered[i].layer, ReLU) and isinstance(ordered[i + 1].layer, MaxPool2d):
            ordered[i], ordered[i + 1] = ordered[i + 1], ordered[i]
    return tuple(ordered)


def _identifier(name: str) -> str:
    """A name that Keras takes for a model."""
    return re.sub(r"\W", "_", name) or "model"
