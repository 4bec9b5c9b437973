"""Rows of images as tokens, and the layers that carry a state from token to token, as MindSpore cells."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from specs import layers as L


class Rows(nn.Cell):
    """[n, c, h, w] to tokens [n, h, c*w]."""

    def __init__(self, tokens: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = (-1, *tokens)
        self.transpose, self.reshape = ops.Transpose(), ops.Reshape()

    def construct(self, x: Any) -> Any:
        return self.reshape(self.transpose(x, (0, 2, 1, 3)), self.shape)


class LSTM(nn.Cell):
    """``nn.LSTM``, [n, T, features] to [n, T, hidden] or [n, hidden], with the second of its biases held at 0.

    Both would be trained, and what they add up to would move twice as fast.
    """

    def __init__(self, features: int, layer: L.LSTM, dtype: Any) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            features,
            layer.hidden,
            num_layers=1,
            has_bias=True,
            batch_first=True,
            dropout=0.0,
            bidirectional=False,
            dtype=dtype,
        )
        (second,) = self.lstm.b_hh_list
        second.set_data(ms.Tensor(np.zeros(second.shape), dtype))
        second.requires_grad = False
        self.return_sequences = layer.return_sequences

    @property
    def weight(self) -> ms.Parameter:
        """Of the tokens, [4 * hidden, features]."""
        return self.lstm.w_ih_list[0]

    @property
    def recurrent_weight(self) -> ms.Parameter:
        """Of the hidden state, [4 * hidden, hidden]."""
        return self.lstm.w_hh_list[0]

    @property
    def bias(self) -> ms.Parameter:
        """[4 * hidden]."""
        return self.lstm.b_ih_list[0]

    def construct(self, x: Any) -> Any:
        states, (last, _) = self.lstm(x)
        return states if self.return_sequences else last[0]


class GRU(nn.Cell):
    """[n, T, features] to [n, T, hidden] or [n, hidden], token by token: on a CPU ``nn.GRU`` is written so as well.

    That one has two biases per gate, of which this has the second for the new state alone. Its tanh is computed in
    float64, as ``PreciseTanh`` says.
    """

    def __init__(self, shape: tuple[int, ...], layer: L.GRU, dtype: Any) -> None:
        super().__init__()
        self.tokens, self.features = shape
        self.hidden, rows = layer.hidden, layer.gates * layer.hidden
        self.projected = (-1, self.tokens, rows)
        self.weight = _parameter((rows, self.features), dtype)
        self.recurrent_weight = _parameter((rows, layer.hidden), dtype)
        self.bias, self.recurrent_bias = _parameter((rows,), dtype), _parameter((layer.hidden,), dtype)
        self.return_sequences = layer.return_sequences
        self.product, self.stack, self.reshape = ops.MatMul(transpose_b=True), ops.Stack(axis=1), ops.Reshape()
        self.split = ops.Split(axis=1, output_num=layer.gates)
        self.sigmoid, self.tanh, self.cast = ops.Sigmoid(), ops.Tanh(), ops.Cast()

    def construct(self, x: Any) -> Any:
        from_tokens = self.product(self.reshape(x, (-1, self.features)), self.weight) + self.bias
        from_tokens = self.reshape(from_tokens, self.projected)
        hidden = ops.zeros_like(from_tokens[:, 0, : self.hidden])
        states: Any = ()
        for t in range(self.tokens):
            x_r, x_z, x_n = self.split(from_tokens[:, t])
            h_r, h_z, h_n = self.split(self.product(hidden, self.recurrent_weight))
            reset = self.sigmoid(x_r + h_r) * (h_n + self.recurrent_bias)
            update = self.sigmoid(x_z + h_z)
            new = self.cast(self.tanh(self.cast(x_n + reset, ms.float64)), x.dtype)
            hidden = (1 - update) * new + update * hidden
            states += (hidden,)
        return self.stack(states) if self.return_sequences else hidden


def _parameter(shape: tuple[int, ...], dtype: Any) -> ms.Parameter:
    return ms.Parameter(ms.Tensor(np.zeros(shape), dtype))
