"""Tokens from the rows of an image, and the layers that carry a state from token to token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from backends.numpy.activations import sigmoid, tanh
from backends.numpy.computed import Array, Computed
from specs.layers import GRU, LSTM


def rows(x: Array) -> Computed:
    """x[n, c, h, w] to tokens [n, h, c*w]."""
    n, c, h, w = x.shape
    return Computed(
        output=x.transpose(0, 2, 1, 3).reshape(n, h, c * w),
        input_gradient=lambda dy: dy.reshape(n, h, c, w).transpose(0, 2, 1, 3),
    )


class _LSTMStep(NamedTuple):
    """One token's gates and the state before and after it."""

    i: Computed
    f: Computed
    g: Computed
    o: Computed
    squashed: Computed
    state_before: Array


def lstm(layer: LSTM, x: Array, values: Mapping[str, Array]) -> Computed:
    """Of tokens x[n, T, features] the last hidden state [n, hidden], or all of them [n, T, hidden]."""
    recurrent_weight = values["recurrent_weight"]
    from_tokens = x @ values["weight"].T + values["bias"]
    hidden = np.zeros((len(x), x.shape[1] + 1, layer.hidden), x.dtype)  # hidden[:, t] is what token t finds
    state = np.zeros((len(x), layer.hidden), x.dtype)
    steps = []
    for t in range(x.shape[1]):
        a_i, a_f, a_g, a_o = np.split(from_tokens[:, t] + hidden[:, t] @ recurrent_weight.T, 4, axis=1)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
        before, state = state, f.output * state + i.output * g.output
        squashed = tanh(state)
        hidden[:, t + 1] = o.output * squashed.output
        steps.append(_LSTMStep(i, f, g, o, squashed, before))

    def pre_activations(dy: Array) -> Array:
        """The gradient [n, T, 4 * hidden] of what the gates are taken of."""
        of_hidden = _per_token(layer, dy, x.shape[1])
        result = np.empty_like(from_tokens)
        carried, of_state = np.zeros_like(state), np.zeros_like(state)
        for t, (i, f, g, o, squashed, before) in reversed(list(enumerate(steps))):
            of_h = of_hidden[:, t] + carried
            of_state = of_state + squashed.input_gradient(of_h * o.output)
            gates = (
                i.input_gradient(of_state * g.output),
                f.input_gradient(of_state * before),
                g.input_gradient(of_state * i.output),
                o.input_gradient(of_h * squashed.output),
            )
            result[:, t] = np.concatenate(gates, axis=1)
            carried, of_state = result[:, t] @ recurrent_weight, of_state * f.output
        return result

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        of_gates = pre_activations(dy)
        return {
            "weight": _product(of_gates, x),
            "recurrent_weight": _product(of_gates, hidden[:, :-1]),
            "bias": of_gates.sum(axis=(0, 1)),
        }

    return Computed(
        output=hidden[:, 1:] if layer.return_sequences else hidden[:, -1],
        input_gradient=lambda dy: pre_activations(dy) @ values["weight"],
        parameter_gradients=parameter_gradients,
    )


class _GRUStep(NamedTuple):
    """One token's gates, and what the reset gate multiplies."""

    r: Computed
    z: Computed
    n: Computed
    reset: Array


def gru(layer: GRU, x: Array, values: Mapping[str, Array]) -> Computed:
    """Of tokens x[n, T, features] the last hidden state [n, hidden], or all of them [n, T, hidden]."""
    recurrent_weight = values["recurrent_weight"]
    from_tokens = x @ values["weight"].T + values["bias"]
    hidden = np.zeros((len(x), x.shape[1] + 1, layer.hidden), x.dtype)  # hidden[:, t] is what token t finds
    steps = []
    for t in range(x.shape[1]):
        x_r, x_z, x_n = np.split(from_tokens[:, t], 3, axis=1)
        h_r, h_z, h_n = np.split(hidden[:, t] @ recurrent_weight.T, 3, axis=1)
        r, z, reset = sigmoid(x_r + h_r), sigmoid(x_z + h_z), h_n + values["recurrent_bias"]
        n = tanh(x_n + r.output * reset)
        hidden[:, t + 1] = (1 - z.output) * n.output + z.output * hidden[:, t]
        steps.append(_GRUStep(r, z, n, reset))

    def pre_activations(dy: Array) -> tuple[Array, Array]:
        """The gradients [n, T, 3 * hidden] of what comes from the token, and of what comes from the state."""
        of_hidden = _per_token(layer, dy, x.shape[1])
        of_tokens, of_states = np.empty_like(from_tokens), np.empty_like(from_tokens)
        carried = np.zeros_like(hidden[:, 0])
        for t, (r, z, n, reset) in reversed(list(enumerate(steps))):
            of_h = of_hidden[:, t] + carried
            of_n = n.input_gradient(of_h * (1 - z.output))
            of_z = z.input_gradient(of_h * (hidden[:, t] - n.output))
            of_r = r.input_gradient(of_n * reset)
            of_tokens[:, t] = np.concatenate((of_r, of_z, of_n), axis=1)
            of_states[:, t] = np.concatenate((of_r, of_z, of_n * r.output), axis=1)
            carried = of_states[:, t] @ recurrent_weight + of_h * z.output
        return of_tokens, of_states

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        of_tokens, of_states = pre_activations(dy)
        return {
            "weight": _product(of_tokens, x),
            "recurrent_weight": _product(of_states, hidden[:, :-1]),
            "bias": of_tokens.sum(axis=(0, 1)),
            "recurrent_bias": of_states[..., -layer.hidden :].sum(axis=(0, 1)),
        }

    return Computed(
        output=hidden[:, 1:] if layer.return_sequences else hidden[:, -1],
        input_gradient=lambda dy: pre_activations(dy)[0] @ values["weight"],
        parameter_gradients=parameter_gradients,
    )


def _per_token(layer: LSTM | GRU, dy: Array, tokens: int) -> Array:
    """The gradient of every hidden state [n, T, hidden] from that of what the layer gave."""
    if layer.return_sequences:
        return dy
    every = np.zeros((len(dy), tokens, layer.hidden), dy.dtype)
    every[:, -1] = dy
    return every


def _product(gradient: Array, inputs: Array) -> Array:
    """The gradient of a weight [rows, columns] over all samples and tokens."""
    result: Array = np.einsum("ntr,ntc->rc", gradient, inputs, optimize=True)
    return result
