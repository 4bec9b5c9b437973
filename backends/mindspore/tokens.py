"""Cells between images and tokens [n, t, d], and among tokens."""

from __future__ import annotations

import math
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from specs.layers import MultiHeadAttention as Attention
from specs.nodes import Shape


def dense(inputs: int, outputs: int, *, bias: bool, dtype: Any) -> nn.Cell:
    """A linear map of the last axis, weights at 0, every argument written out."""
    return nn.Dense(
        inputs, outputs, weight_init="zeros", bias_init="zeros", has_bias=bias, activation=None, dtype=dtype
    )


class ToTokens(nn.Cell):
    """[n, C, H, W] to [n, H * W, C]: a token per pixel, row by row."""

    def __init__(self, tokens: Shape) -> None:
        super().__init__()
        self.shape = (-1, tokens[1], tokens[0])
        self.reshape, self.transpose = ops.Reshape(), ops.Transpose()

    def construct(self, x: Any) -> Any:
        return self.transpose(self.reshape(x, self.shape), (0, 2, 1))


class ClassToken(nn.Cell):
    """A trained token ahead of the others: [n, t, d] to [n, t + 1, d]."""

    def __init__(self, features: int, dtype: Any) -> None:
        super().__init__()
        self.token = ms.Parameter(ops.zeros((features,), dtype), name="token")
        self.tile = ops.Tile()
        self.shape = (1, 1, features)

    def construct(self, x: Any) -> Any:
        first = self.tile(self.token.reshape(self.shape), (x.shape[0], 1, 1))
        return ops.cat((first, x), axis=1)


class PositionEmbedding(nn.Cell):
    """A trained vector for every place, added to the token there."""

    def __init__(self, tokens: Shape, dtype: Any) -> None:
        super().__init__()
        self.embedding = ms.Parameter(ops.zeros(tokens, dtype), name="embedding")

    def construct(self, x: Any) -> Any:
        return x + self.embedding


class MultiHeadAttention(nn.Cell):
    """Self-attention between linear maps that are cells of their own.

    ``nn.MultiheadAttention`` packs the maps of q, k and v into one weight.
    """

    def __init__(self, layer: Attention, tokens: Shape, dtype: Any) -> None:
        super().__init__()
        count, features = tokens
        self.query, self.key, self.value, self.out = (
            dense(features, features, bias=layer.bias, dtype=dtype) for _ in range(4)
        )
        width = features // layer.heads
        self.scale = ms.Tensor(1 / math.sqrt(width), dtype)
        self.heads, self.merged = (-1, count, layer.heads, width), (-1, count, features)
        self.causal = layer.causal
        self.seen = ms.Tensor(np.tri(count, dtype=bool))
        self.never = ms.Tensor(-np.inf, dtype)
        self.reshape, self.transpose, self.softmax = ops.Reshape(), ops.Transpose(), ops.Softmax(axis=-1)
        self.score, self.attend = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()

    def construct(self, x: Any) -> Any:
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = self.score(query, key) * self.scale
        if self.causal:
            scores = ops.select(self.seen.broadcast_to(scores.shape), scores, self.never.broadcast_to(scores.shape))
        attended = self.attend(self.softmax(scores), value)
        return self.out(self.reshape(self.transpose(attended, (0, 2, 1, 3)), self.merged))

    def split(self, x: Any) -> Any:
        """[n, t, d] to [n, heads, t, d / heads]."""
        return self.transpose(self.reshape(x, self.heads), (0, 2, 1, 3))


class TakeToken(nn.Cell):
    """The token at ``index``: [n, t, d] to [n, d]."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def construct(self, x: Any) -> Any:
        return x[:, self.index]


class MeanTokens(nn.Cell):
    """The mean of all tokens: [n, t, d] to [n, d]."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, x: Any) -> Any:
        return self.mean(x, 1)
