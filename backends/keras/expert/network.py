"""The network with its nodes ordered for speed, and TensorFlow's fused kernel for batch norm."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from backends.keras.network import Network, values_per_channel
from backends.rewrites import relu_after_max_pool
from specs.nodes import Node


class ExpertNetwork(Network):
    """Max pooling before the ReLU that it commutes with; batch norm in one operation, in float32."""

    def rewrite(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """ReLUs behind the max poolings that alone take them."""
        return relu_after_max_pool(nodes)

    def normalise_batch(self, layer: keras.layers.BatchNormalization, x: Any) -> Any:
        """As in ``Network``; the kernel gives the unbiased variance, and exists for images in float32 alone.

        ``tf.compat.v1.nn.fused_batch_norm`` would raise an epsilon of 1e-5 to cuDNN's least of 1.001e-5.
        """
        if x.dtype != tf.float32 or len(x.shape) != 4:
            return super().normalise_batch(layer, x)
        values_per_channel(layer.name, x)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=layer.gamma.value, offset=layer.beta.value, mean=[], variance=[], epsilon=layer.epsilon
        )
        for running, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            running.assign(running * layer.momentum + batch * (1 - layer.momentum))
        return y
