"""A network as MindIR, and such a file run again. Imports MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from numpy.typing import NDArray

from backends.contract import Predictor
from backends.mindspore.network import Network
from specs.architecture import Architecture
from specs.shapes import infer

FILE = "model.mindir"


class PaddedMaximum(nn.Cell):
    """A padded ``nn.MaxPool2d`` that gives its output's shape back to a graph with a free batch.

    MindSpore infers none there, and compiles the checks of later layers into exceptions that it cannot read back.
    """

    def __init__(self, pool: nn.MaxPool2d, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.max_pool = pool.max_pool
        self.expand, self.reshape = ops.ExpandDims(), ops.Reshape()
        self.shape = (-1, *output_shape)

    def construct(self, x: Any) -> Any:
        return self.reshape(self.max_pool(self.expand(x, 2))[0], self.shape)


def write_mindir(cells: dict[str, nn.Cell], architecture: Architecture, directory: Path) -> None:
    """The network of these cells, one per node, in evaluation mode for float32 images, any number of them."""
    nodes = infer(architecture)
    deployed = dict(cells)
    for node in nodes:
        cell = cells[node.name]
        if isinstance(cell, nn.MaxPool2d) and cell.use_pad:
            deployed[node.name] = PaddedMaximum(cell, node.output_shape)
    network = Network(nodes, deployed)
    network.set_train(False)
    images = ms.Tensor(shape=[None, *architecture.input], dtype=ms.float32)
    ms.export(network, images, file_name=str(directory / FILE), file_format="MINDIR")


class MindIR(Predictor):
    """A graph read from MindIR; graphs run in GRAPH_MODE alone."""

    def __init__(self, directory: Path) -> None:
        ms.set_context(mode=ms.GRAPH_MODE)
        self._cell = nn.GraphCell(ms.load(str(directory / FILE)))

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float32[n, classes] of images float[n, C, H, W]."""
        logits: NDArray[Any] = self._cell(ms.Tensor(np.ascontiguousarray(images, np.float32))).asnumpy()
        return logits
