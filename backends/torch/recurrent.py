"""Rows of images as tokens, and torch's recurrent layers with one bias per gate in place of two that are added up.

Both would be trained, and what they add up to would move twice as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from specs import layers as L

RECURRENT_NAMES = {
    "weight": "weight_ih_l0",
    "recurrent_weight": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "parametrizations.bias_hh_l0.original",
}
"""Canonical part of an LSTM or GRU to its key in the modules below."""


class Rows(nn.Module):
    """Tokens from the rows of images."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] to [n, h, c*w]."""
        return x.transpose(1, 2).flatten(2)


class LSTM(nn.LSTM):
    """torch's LSTM with its second bias held at 0."""

    def __init__(self, features: int, layer: L.LSTM) -> None:
        super().__init__(features, layer.hidden, batch_first=True)
        self.return_sequences = layer.return_sequences
        nn.init.zeros_(self.bias_hh_l0)
        self.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[n, T, features] to [n, T, hidden] or [n, hidden]."""
        states, _ = super().forward(x)
        return states if self.return_sequences else states[:, -1]


class GRU(nn.GRU):
    """torch's GRU with its second bias held at 0 but for the part that the reset gate multiplies."""

    def __init__(self, features: int, layer: L.GRU) -> None:
        super().__init__(features, layer.hidden, batch_first=True)
        self.return_sequences = layer.return_sequences
        parametrize.register_parametrization(self, "bias_hh_l0", _OfTheNewStateAlone())

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[n, T, features] to [n, T, hidden] or [n, hidden]."""
        states, _ = super().forward(x)
        return states if self.return_sequences else states[:, -1]

    def flatten_parameters(self) -> None:
        """Nothing: the second bias is made anew in every pass, and memory of one piece would be too."""


class _OfTheNewStateAlone(nn.Module):
    """[hidden] behind zeros for the reset and the update gate."""

    def forward(self, bias: Tensor) -> Tensor:
        return torch.cat((bias.new_zeros(2 * len(bias)), bias))

    def right_inverse(self, biases: Tensor) -> Tensor:
        return biases[2 * len(biases) // 3 :]
