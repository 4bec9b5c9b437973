"""Modules between images and tokens [n, t, d], and among tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from specs.layers import MultiHeadAttention as Attention


class ToTokens(nn.Module):
    """[n, C, H, W] to [n, H * W, C]."""

    def forward(self, x: Tensor) -> Tensor:
        """A token per pixel, row by row."""
        return x.flatten(2).transpose(1, 2)


class ClassToken(nn.Module):
    """A trained token ahead of the others."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] to [n, t + 1, d]."""
        return torch.cat([self.token.expand(x.shape[0], 1, -1), x], dim=1)


class PositionEmbedding(nn.Module):
    """A trained vector for every place, added to the token there."""

    def __init__(self, tokens: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(tokens, features))

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] to the same shape."""
        return x + self.embedding


class MultiHeadAttention(nn.Module):
    """Self-attention by ``scaled_dot_product_attention``, between linear maps that are modules of their own."""

    def __init__(self, features: int, layer: Attention) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(features, features, layer.bias) for _ in range(4))
        self.heads, self.causal = layer.heads, layer.causal

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] to the same shape."""
        query, key, value = (self._split(linear(x)) for linear in (self.query, self.key, self.value))
        attended = scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """[n, t, d] to [n, heads, t, d / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TakeToken(nn.Module):
    """The token at ``index``."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] to [n, d]."""
        return x[:, self.index]


class MeanTokens(nn.Module):
    """The mean of all tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] to [n, d]."""
        return x.mean(1)
