"""A network of the specs as a ``paddle.nn.Sequential`` whose layers carry canonical names.

Built under ``paddle.enable_static`` the same layers write the operations of a static program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from backends.contract import chain
from backends.layouts import transposed
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

# What Paddle calls the parts of a layer, where the canonical name differs.
_PARTS = {"gamma": "weight", "beta": "bias", "running_mean": "_mean", "running_variance": "_variance"}


class BatchNorm2D(nn.BatchNorm2D):  # type: ignore[misc]  # Paddle is untyped here
    """Paddle's batch norm, but with the unbiased variance of the batch in the running statistic.

    Paddle's kernel moves the estimate by the biased variance. Here it is given momentum 0, so that it hands out the
    batch's own mean and variance, and the running statistics are moved beside it.
    """

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """Images to the same shape. Raises RequestError for a batch of one value per channel."""
        if not self.training:
            return super().forward(input)
        count = math.prod(input.shape) // self._num_features
        if count < 2:
            raise RequestError(f"batch_norm2d: training needs more than one value per channel, got {input.shape}")
        mean, variance = paddle.zeros_like(self._mean), paddle.zeros_like(self._variance)
        output = nn.functional.batch_norm(
            input,
            mean,
            variance,
            self.weight,
            self.bias,
            training=True,
            momentum=0.0,
            epsilon=self._epsilon,
            data_format=self._data_format,
        )
        with paddle.no_grad():
            old, new = self._momentum, 1 - self._momentum
            paddle.assign(self._mean * old + mean * new, self._mean)
            paddle.assign(self._variance * old + variance * (new * count / (count - 1)), self._variance)
        return output


class GlobalAvgPool2D(nn.Layer):  # type: ignore[misc]
    """Mean over height and width of images in ``data_format``."""

    def __init__(self, data_format: str) -> None:
        super().__init__()
        self._axes = (2, 3) if data_format == "NCHW" else (1, 2)

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """Images to float[N, C]."""
        return input.mean(self._axes)


class FlattenNHWC(nn.Layer):  # type: ignore[misc]
    """Flatten in C, H, W order."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, H, W, C] to [N, C * H * W]."""
        return paddle.flatten(paddle.transpose(input, [0, 3, 1, 2]), 1)


class CanonicalLeakyReLU(nn.Layer):  # type: ignore[misc]
    """Leaky ReLU whose derivative at 0 is the slope; that of Paddle's own is 1 there."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """x where x > 0, else slope * x."""
        return paddle.where(x > 0, x, self.slope * x)


class AvgPool2D64(nn.AvgPool2D):  # type: ignore[misc]
    """Average pooling for float64: the gradient of Paddle's kernel divides by a window size in single precision."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """float64[N, C, H, W] to the pooled size."""
        kernel, stride, padding = self.ksize, self.stride, self.padding

        def sums(image: paddle.Tensor) -> paddle.Tensor:
            n, c, height, width = image.shape
            sizes = [
                (size + 2 * p - k) // s + 1
                for size, k, s, p in zip((height, width), kernel, stride, padding, strict=True)
            ]
            windows = nn.functional.unfold(image, list(kernel), list(stride), list(padding))
            return windows.reshape([n, c, math.prod(kernel), *sizes]).sum(2)

        return sums(x) / (sums(paddle.ones_like(x)) if self.exclusive else math.prod(kernel))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a canonical array lives: ``tensor`` in the network, stored [in, out] when ``transposed``."""

    tensor: Any
    transposed: bool

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical copy of an array shaped like the tensor (its value, a gradient, an optimizer's slot)."""
        return transposed(array) if self.transposed else np.array(array)

    def native(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of ``canonical``, in the tensor's dtype."""
        dtype = np.float64 if self.tensor.dtype == paddle.float64 else np.float32
        return (transposed(array) if self.transposed else np.ascontiguousarray(array)).astype(dtype, copy=False)


def build(architecture: Architecture, dtype: str, data_format: str = "NCHW") -> nn.Sequential:
    """The network in ``dtype``, its sublayers under canonical names, in training mode.

    ``data_format``, "NCHW" or "NHWC", is that of the images; weights are the same in both.
    """
    default = paddle.get_default_dtype()
    paddle.set_default_dtype(dtype)
    try:
        return nn.Sequential(*((shaped.name, _layer(shaped, data_format)) for shaped in chain(architecture)))
    finally:
        paddle.set_default_dtype(default)


def entries(network: nn.Sequential, architecture: Architecture) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Parameters and buffers of a network by canonical name, in network order."""

    def of(shaped: Node, names: Mapping[str, Any]) -> dict[str, Entry]:
        layer, linear = getattr(network, shaped.name), isinstance(shaped.layer, Linear)
        parts = {name: name.rpartition(".")[2] for name in names}
        return {
            name: Entry(tensor=getattr(layer, _PARTS.get(part, part)), transposed=linear and part == "weight")
            for name, part in parts.items()
        }

    layers = chain(architecture)
    parameters = {name: entry for shaped in layers for name, entry in of(shaped, shaped.parameters).items()}
    buffers = {name: entry for shaped in layers for name, entry in of(shaped, shaped.buffers).items()}
    return parameters, buffers


def _layer(shaped: Node, data_format: str) -> nn.Layer:
    match shaped.layer:
        case Conv2d() as layer:
            return nn.Conv2D(
                shaped.input_shape[0],
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                bias_attr=None if layer.bias else False,
                data_format=data_format,
            )
        case Linear() as layer:
            bias = None if layer.bias else False
            return nn.Linear(shaped.input_shape[0], layer.out_features, bias_attr=bias)
        case MaxPool2d() as layer:
            return nn.MaxPool2D(layer.kernel_size, layer.stride, layer.padding, data_format=data_format)
        case AvgPool2d() as layer:
            pool = AvgPool2D64 if paddle.get_default_dtype() == "float64" else nn.AvgPool2D
            exclusive = not layer.count_include_pad
            return pool(layer.kernel_size, layer.stride, layer.padding, exclusive=exclusive, data_format=data_format)
        case GlobalAvgPool():
            return GlobalAvgPool2D(data_format)
        case BatchNorm2d() as layer:
            # Paddle's momentum is the weight of the old value.
            momentum = 1 - layer.momentum
            return BatchNorm2D(shaped.input_shape[0], momentum, layer.epsilon, data_format=data_format)
        case Dropout() as layer:
            return nn.Dropout(layer.p, mode="upscale_in_train")
        case Flatten():
            return FlattenNHWC() if data_format == "NHWC" and len(shaped.input_shape) == 3 else nn.Flatten()
        case ReLU():
            return nn.ReLU()
        case LeakyReLU() as layer:
            return CanonicalLeakyReLU(layer.negative_slope)
        case Tanh():
            return nn.Tanh()
        case Sigmoid():
            return nn.Sigmoid()
        case GELU():
            return nn.GELU(approximate=False)
        case Softmax():
            return nn.Softmax(axis=-1 if data_format == "NHWC" else 1)
