"""Multi-head self-attention in JAX's operations."""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from specs.layers import MultiHeadAttention


def attention(layer: MultiHeadAttention, x: Array, own: Mapping[str, Array]) -> Array:
    """Of tokens [n, t, d]; weights are [in, out].

    ``jax.nn.dot_product_attention`` takes its softmax in float32, in float64 too.
    """

    def mapped(name: str, value: Array) -> Array:
        y = value @ own[f"{name}_weight"].astype(x.dtype)
        return y + own[f"{name}_bias"].astype(x.dtype) if layer.bias else y

    heads = (*x.shape[:2], layer.heads, x.shape[2] // layer.heads)
    query, key, value = (mapped(name, x).reshape(heads) for name in ("query", "key", "value"))
    scores = jnp.einsum("nqhd,nkhd->nhqk", query, key) / math.sqrt(heads[-1])
    if layer.causal:
        scores = jnp.where(jnp.tri(x.shape[1], dtype=bool), scores, -jnp.inf)
    attended = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), value)
    return mapped("out", attended.reshape(x.shape))
