"""A network as MindIR, and such a file run again. Imports MindSpore: for ``mindspore_backend`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from numpy.typing import NDArray

from backends.contract import Predictor
from specs.architecture import Architecture
from specs.nodes import Node
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


class Deployed(nn.Cell):
    """The cells of a network one after another, each in the form that MindIR carries."""

    def __init__(self, network: nn.SequentialCell, layers: Sequence[Node]) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.cells = tuple(
            PaddedMaximum(cell, shaped.output_shape) if isinstance(cell, nn.MaxPool2d) and cell.use_pad else cell
            for cell, shaped in zip(network, layers, strict=True)
        )

    def construct(self, x: Any) -> Any:
        for cell in self.cells:
            x = cell(x)
        return x


def write_mindir(network: nn.SequentialCell, architecture: Architecture, directory: Path) -> None:
    """``network`` in evaluation mode for float32 images, any number of them."""
    network.set_train(False)
    images = ms.Tensor(shape=[None, *architecture.input], dtype=ms.float32)
    ms.export(Deployed(network, infer(architecture)), images, file_name=str(directory / FILE), file_format="MINDIR")


class MindIR(Predictor):
    """A graph read from MindIR; graphs run in GRAPH_MODE alone."""

    def __init__(self, directory: Path) -> None:
        ms.set_context(mode=ms.GRAPH_MODE)
        self._cell = nn.GraphCell(ms.load(str(directory / FILE)))

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """As the contract says."""
        logits: NDArray[Any] = self._cell(ms.Tensor(np.ascontiguousarray(images, np.float32))).asnumpy()
        return logits
