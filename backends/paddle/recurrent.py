"""Rows of images as tokens, and Paddle's recurrent layers with one bias per gate in place of two that are added up.

Both would be trained, and what they add up to would move twice as fast. (Paddle's ``bias_hh_attr=False``, which is to
do without the second, ends in a segmentation fault.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from specs import layers as L

RECURRENT_PARTS = {
    "weight": "weight_ih_l0",
    "recurrent_weight": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}
"""What Paddle calls the parts of an LSTM or GRU. Of the second bias of a GRU the last third is the canonical one."""


class Rows(nn.Layer):  # type: ignore[misc]  # Paddle is untyped here
    """Tokens from the rows of images."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[N, C, H, W] to [N, H, C*W]."""
        return x.transpose([0, 2, 1, 3]).flatten(2)


class LSTM(nn.LSTM):  # type: ignore[misc]
    """Paddle's LSTM with its second bias held at 0."""

    def __init__(self, features: int, layer: L.LSTM) -> None:
        super().__init__(features, layer.hidden)
        self._return_sequences = layer.return_sequences
        _hold_at_zero(self.bias_hh_l0, but=0)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[N, T, features] to [N, T, hidden] or [N, hidden]."""
        states, _ = super().forward(x)
        return states if self._return_sequences else states[:, -1]


class GRU(nn.GRU):  # type: ignore[misc]
    """Paddle's GRU with its second bias held at 0 but for the part that the reset gate multiplies."""

    def __init__(self, features: int, layer: L.GRU) -> None:
        super().__init__(features, layer.hidden)
        self._return_sequences = layer.return_sequences
        _hold_at_zero(self.bias_hh_l0, but=layer.hidden)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """[N, T, features] to [N, T, hidden] or [N, hidden]."""
        states, _ = super().forward(x)
        return states if self._return_sequences else states[:, -1]


def _hold_at_zero(bias: Any, *, but: int) -> None:
    """Set ``bias`` to 0, and the gradient of all but its last ``but`` elements in every backward pass.

    A weight that takes no gradient at all is refused by Paddle's backward pass.
    """
    moves = np.arange(bias.shape[0]) >= bias.shape[0] - but
    factors = paddle.to_tensor(moves.astype(paddle.get_default_dtype()), place=bias.place)
    bias.set_value(paddle.zeros_like(bias))
    bias.register_hook(lambda gradient: gradient * factors)
