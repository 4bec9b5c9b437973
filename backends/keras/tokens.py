"""Layers with weights of their own among tokens [n, t, d], which Keras has not, as its guide makes new layers."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="framework_harness")
class ClassToken(keras.layers.Layer):
    """A trained token ahead of the others."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the token, at 0."""
        self.token = self.add_weight(name="token", shape=input_shape[-1:], initializer="zeros")

    def call(self, x: Any) -> Any:
        """[n, t, d] to [n, t + 1, d]."""
        first = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([first, x], axis=1)


@keras.saving.register_keras_serializable(package="framework_harness")
class PositionEmbedding(keras.layers.Layer):
    """A trained vector for every place, added to the token there."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vectors, at 0."""
        self.embedding = self.add_weight(name="embedding", shape=input_shape[1:], initializer="zeros")

    def call(self, x: Any) -> Any:
        """[n, t, d] to the same shape."""
        return x + self.embedding


@keras.saving.register_keras_serializable(package="framework_harness")
class DoubleAttention(keras.layers.MultiHeadAttention):
    """Keras's layer and weights in float64, where its own takes 1 / sqrt(d / heads) from a float32."""

    def call(self, query: Any, value: Any, key: Any = None, use_causal_mask: bool = False) -> Any:
        """[n, t, d], given twice, to the same shape."""
        q, k, v = self.query_dense(query), self.key_dense(value if key is None else key), self.value_dense(value)
        scores = ops.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(self.key_dim)
        if use_causal_mask:
            scores = ops.where(ops.tri(query.shape[1], dtype="bool"), scores, -math.inf)
        return self.output_dense(ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores), v))
