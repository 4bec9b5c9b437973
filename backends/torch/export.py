"""A network as a ``torch.export`` program, and such a program run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backends.contract import Predictor

FILE = "model.pt2"


def write_program(network: nn.Module, image: tuple[int, ...], directory: Path) -> None:
    """``network`` in evaluation mode for float32[batch, *image], any batch from 1 on."""
    example = torch.zeros(2, *image)  # a batch of 1 in the example would be taken for a constant
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network.eval(), (example,), dynamic_shapes=({0: batch},))
    torch.export.save(program, directory / FILE)


class Program(Predictor):
    """An exported program on the CPU."""

    def __init__(self, directory: Path) -> None:
        self._module = torch.export.load(directory / FILE).module()

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float32[n, classes] of images float[n, C, H, W], dropout off, running statistics."""
        with torch.inference_mode():
            logits: NDArray[Any] = self._module(torch.from_numpy(np.ascontiguousarray(images, np.float32))).numpy()
        return logits
