"""Rows of images as tokens, and the GRU, whose second bias Keras has for every gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from specs import layers as L
from specs.nodes import Node


def rows(node: Node, policy: keras.DTypePolicy) -> list[Any]:
    """[n, h, w, c] to tokens [n, h, c*w], channel by channel."""
    swap = keras.layers.Permute((1, 3, 2), name=f"{node.name}_channels_before_columns", dtype=policy)
    return [swap, keras.layers.Reshape(node.output_shape, name=node.name, dtype=policy)]


def gru(node: Node, layer: L.GRU, policy: keras.DTypePolicy) -> Callable[[Any], Any]:
    """Tokens [n, T, features] to [n, T, hidden] or [n, hidden], of Keras's layers and operations, token by token.

    ``keras.layers.GRU`` keeps two biases per gate in one variable and trains both, so that what they add up to moves
    twice as fast. Layers of one's own would make a model that Keras alone does not load.
    """
    rows = layer.gates * layer.hidden
    from_tokens = keras.layers.Dense(rows, name=node.name, dtype=policy)
    from_state = keras.layers.Dense(rows, use_bias=False, name=f"{node.name}_recurrent", dtype=policy)
    second_bias = keras.layers.Dense(layer.hidden, use_bias=False, name=f"{node.name}_recurrent_bias", dtype=policy)
    sigmoid, tanh = (
        keras.layers.Activation(kind, name=f"{node.name}_{kind}", dtype=policy) for kind in ("sigmoid", "tanh")
    )

    def of_tokens(x: Any) -> Any:
        projected = from_tokens(x)
        bias = second_bias(ops.ones_like(projected[:, 0, :1]))
        hidden = ops.zeros_like(projected[:, 0, : layer.hidden])
        states = []
        for t in range(node.input_shape[0]):
            x_r, x_z, x_n = ops.split(projected[:, t], 3, axis=1)
            h_r, h_z, h_n = ops.split(from_state(hidden), 3, axis=1)
            update = sigmoid(x_z + h_z)
            new = tanh(x_n + sigmoid(x_r + h_r) * (h_n + bias))
            hidden = (1 - update) * new + update * hidden
            states.append(hidden)
        return ops.stack(states, axis=1) if layer.return_sequences else hidden

    return of_tokens


def variable(model: keras.Model, node: Node, part: str) -> keras.Variable:
    """Where ``model`` has a part of an LSTM or GRU."""
    if isinstance(node.layer, L.LSTM):
        cell = model.get_layer(node.name).cell
        return {"weight": cell.kernel, "recurrent_weight": cell.recurrent_kernel, "bias": cell.bias}[part]
    if part in ("weight", "bias"):
        dense = model.get_layer(node.name)
        return dense.kernel if part == "weight" else dense.bias
    return model.get_layer(f"{node.name}_{part.removesuffix('_weight')}").kernel
