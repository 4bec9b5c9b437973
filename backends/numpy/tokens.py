"""From images to tokens [n, t, d], among them, and back to features."""

from __future__ import annotations

import numpy as np

from backends.numpy.computed import Array, Computed
from specs.layers import TakeToken


def to_tokens(x: Array) -> Computed:
    """x[n, c, h, w] to [n, h * w, c]."""
    n, channels = x.shape[:2]
    return Computed(
        output=x.reshape(n, channels, -1).swapaxes(1, 2),
        input_gradient=lambda dy: dy.swapaxes(1, 2).reshape(x.shape),
    )


def class_token(x: Array, token: Array) -> Computed:
    """``token`` [d] ahead of those of x[n, t, d]."""
    first = np.broadcast_to(token, (len(x), 1, len(token)))
    return Computed(
        output=np.concatenate([first, x], axis=1),
        input_gradient=lambda dy: dy[:, 1:],
        parameter_gradients=lambda dy: {"token": dy[:, 0].sum(axis=0)},
    )


def position_embedding(x: Array, embedding: Array) -> Computed:
    """x[n, t, d] + embedding[t, d]."""
    return Computed(
        output=x + embedding,
        input_gradient=lambda dy: dy,
        parameter_gradients=lambda dy: {"embedding": dy.sum(axis=0)},
    )


def take_token(layer: TakeToken, x: Array) -> Computed:
    """One token of x[n, t, d]."""

    def input_gradient(dy: Array) -> Array:
        gradient = np.zeros_like(x)
        gradient[:, layer.index] = dy
        return gradient

    return Computed(output=x[:, layer.index], input_gradient=input_gradient)


def mean_tokens(x: Array) -> Computed:
    """The mean over t of x[n, t, d]."""
    return Computed(
        output=x.mean(axis=1),
        input_gradient=lambda dy: np.repeat(dy[:, None] / x.shape[1], x.shape[1], axis=1),
    )
