"""Layers between images and tokens [n, t, d], and among tokens."""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn.functional import scaled_dot_product_attention

from specs.layers import MultiHeadAttention as Attention


class ToTokens(nn.Layer):  # type: ignore[misc]  # Paddle is untyped here
    """[n, C, H, W] to [n, H * W, C]."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """A token per pixel, row by row."""
        return x.flatten(2).transpose([0, 2, 1])


class ClassToken(nn.Layer):  # type: ignore[misc]
    """A trained token ahead of the others."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.token = self.create_parameter([features], default_initializer=nn.initializer.Constant(0.0))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[n, t, d] to [n, t + 1, d]."""
        first = paddle.expand(self.token, [x.shape[0], 1, x.shape[2]])
        return paddle.concat([first, x], axis=1)


class PositionEmbedding(nn.Layer):  # type: ignore[misc]
    """A trained vector for every place, added to the token there."""

    def __init__(self, tokens: int, features: int) -> None:
        super().__init__()
        self.embedding = self.create_parameter([tokens, features], default_initializer=nn.initializer.Constant(0.0))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[n, t, d] to the same shape."""
        return x + self.embedding


class MultiHeadAttention(nn.Layer):  # type: ignore[misc]
    """Self-attention by ``scaled_dot_product_attention``, between linear maps that are layers of their own."""

    def __init__(self, features: int, layer: Attention) -> None:
        super().__init__()
        bias = None if layer.bias else False
        self.query, self.key, self.value, self.out = (nn.Linear(features, features, bias_attr=bias) for _ in range(4))
        self._heads, self._causal = layer.heads, layer.causal

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[n, t, d] to the same shape; Paddle has the heads behind the tokens."""
        heads = [0, 0, self._heads, x.shape[2] // self._heads]
        query, key, value = (linear(x).reshape(heads) for linear in (self.query, self.key, self.value))
        return self.out(scaled_dot_product_attention(query, key, value, is_causal=self._causal).flatten(2))


class TakeToken(nn.Layer):  # type: ignore[misc]
    """The token at ``index``."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[n, t, d] to [n, d]."""
        return x[:, self._index]


class MeanTokens(nn.Layer):  # type: ignore[misc]
    """The mean of all tokens."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[n, t, d] to [n, d]."""
        return x.mean(1)
