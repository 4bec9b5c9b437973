"""Rows of images as tokens, LSTM and GRU: a ``lax.scan`` over the tokens. Weights are in canonical layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from specs import layers as L


def rows(x: Array) -> Array:
    """[n, h, w, c] to tokens [n, h, c*w], channel by channel."""
    return jnp.swapaxes(x, 2, 3).reshape(*x.shape[:2], -1)


def lstm(layer: L.LSTM, x: Array, own: Mapping[str, Array]) -> Array:
    """Tokens [n, T, features] to [n, T, hidden] or [n, hidden]."""
    own = {part: value.astype(x.dtype) for part, value in own.items()}

    def step(carried: tuple[Array, Array], from_token: Array) -> tuple[tuple[Array, Array], Array]:
        hidden, state = carried
        i, f, g, o = jnp.split(from_token + hidden @ own["recurrent_weight"].T, 4, axis=1)
        state = jax.nn.sigmoid(f) * state + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(state)
        return (hidden, state), hidden

    start = jnp.zeros((x.shape[0], layer.hidden), x.dtype)
    return _carried(layer, step, (start, start), x @ own["weight"].T + own["bias"])


def gru(layer: L.GRU, x: Array, own: Mapping[str, Array]) -> Array:
    """Tokens [n, T, features] to [n, T, hidden] or [n, hidden]."""
    own = {part: value.astype(x.dtype) for part, value in own.items()}

    def step(hidden: Array, from_token: Array) -> tuple[Array, Array]:
        x_r, x_z, x_n = jnp.split(from_token, 3, axis=1)
        h_r, h_z, h_n = jnp.split(hidden @ own["recurrent_weight"].T, 3, axis=1)
        z = jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * (h_n + own["recurrent_bias"]))
        hidden = (1 - z) * n + z * hidden
        return hidden, hidden

    start = jnp.zeros((x.shape[0], layer.hidden), x.dtype)
    return _carried(layer, step, start, x @ own["weight"].T + own["bias"])


def _carried(layer: L.LSTM | L.GRU, step: Callable[..., Any], start: Any, from_tokens: Array) -> Array:
    _, states = lax.scan(step, start, jnp.swapaxes(from_tokens, 0, 1))
    return jnp.swapaxes(states, 0, 1) if layer.return_sequences else states[-1]
