"""Norms as MindSpore cells, every argument written out: defaults change between versions."""

from __future__ import annotations

import math
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from specs import layers as L
from specs.nodes import Shape


class ExactLayerNorm(nn.Cell):
    """Layer norm in elementary operations: ``nn.LayerNorm`` computes float64 in float32."""

    def __init__(self, features: int, epsilon: float, dtype: Any) -> None:
        super().__init__()
        self.gamma = ms.Parameter(ops.ones((features,), dtype), name="gamma")
        self.beta = ms.Parameter(ops.zeros((features,), dtype), name="beta")
        self.epsilon = ms.Tensor(epsilon, dtype)
        self.mean = ops.ReduceMean(keep_dims=True)

    def construct(self, x: Any) -> Any:
        centred = x - self.mean(x, -1)
        variance = self.mean(centred * centred, -1)
        return centred / ops.sqrt(variance + self.epsilon) * self.gamma + self.beta


class ExactGroupNorm(nn.Cell):
    """Group norm in elementary operations: ``nn.GroupNorm`` takes float64's epsilon from a float32."""

    def __init__(self, layer: L.GroupNorm, image: Shape, dtype: Any) -> None:
        super().__init__()
        self.gamma = ms.Parameter(ops.ones((image[0],), dtype), name="gamma")
        self.beta = ms.Parameter(ops.zeros((image[0],), dtype), name="beta")
        self.epsilon = ms.Tensor(layer.epsilon, dtype)
        self.mean, self.reshape = ops.ReduceMean(keep_dims=True), ops.Reshape()
        self.grouped, self.image = (-1, layer.groups, math.prod(image) // layer.groups), (-1, *image)
        self.channels = (image[0], 1, 1)

    def construct(self, x: Any) -> Any:
        groups = self.reshape(x, self.grouped)
        centred = groups - self.mean(groups, -1)
        variance = self.mean(centred * centred, -1)
        normed = self.reshape(centred / ops.sqrt(variance + self.epsilon), self.image)
        return normed * self.reshape(self.gamma, self.channels) + self.reshape(self.beta, self.channels)


def batch_norm(layer: L.BatchNorm, channels: int, dtype: Any) -> nn.Cell:
    """The cell of a batch norm of features or images."""
    images = {"data_format": "NCHW"} if isinstance(layer, L.BatchNorm2d) else {}
    return (nn.BatchNorm2d if images else nn.BatchNorm1d)(
        channels,
        eps=layer.epsilon,
        momentum=1.0 - layer.momentum,  # MindSpore's momentum is the weight of the old value
        affine=True,
        gamma_init="ones",
        beta_init="zeros",
        moving_mean_init="zeros",
        moving_var_init="ones",
        use_batch_statistics=None,
        dtype=dtype,
        **images,
    )


def layer_norm(layer: L.LayerNorm, features: int, dtype: Any) -> nn.Cell:
    """The cell of a layer norm over the last axis."""
    if dtype == ms.float64:
        return ExactLayerNorm(features, layer.epsilon, dtype)
    return nn.LayerNorm(
        (features,),
        begin_norm_axis=-1,
        begin_params_axis=-1,
        gamma_init="ones",
        beta_init="zeros",
        epsilon=layer.epsilon,
        dtype=dtype,
    )


def group_norm(layer: L.GroupNorm, image: Shape, dtype: Any) -> nn.Cell:
    """The cell of a group norm of images [n, C, H, W], each of shape ``image``."""
    if dtype == ms.float64:
        return ExactGroupNorm(layer, image, dtype)
    return nn.GroupNorm(
        layer.groups, image[0], eps=layer.epsilon, affine=True, gamma_init="ones", beta_init="zeros", dtype=dtype
    )
