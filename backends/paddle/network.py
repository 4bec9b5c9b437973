"""A network of the specs as one ``paddle.nn.Layer`` whose sublayers carry canonical names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from backends.layouts import transposed
from backends.paddle import layers
from backends.paddle.recurrent import RECURRENT_PARTS
from specs.architecture import Architecture
from specs.layers import ATTENTION_MAPS, GRU, LSTM, Dropout, Linear, MultiHeadAttention
from specs.nodes import INPUT, Node, last_uses
from specs.shapes import infer

# What Paddle calls the parts of a layer, where the canonical name differs.
_PARTS = {"gamma": "weight", "beta": "bias", "running_mean": "_mean", "running_variance": "_variance"} | {
    f"{name}_{kind}": f"{name}.{kind}" for name in ATTENTION_MAPS for kind in ("weight", "bias")
}


class Network(nn.Layer):  # type: ignore[misc]  # Paddle is untyped here
    """The nodes of an architecture, computed one after another in ``dtype``; in training mode when made."""

    def __init__(self, architecture: Architecture, dtype: str) -> None:
        super().__init__()
        self._nodes = infer(architecture)
        self._steps = tuple(zip(self._nodes, last_uses(self._nodes), strict=True))
        default = paddle.get_default_dtype()
        paddle.set_default_dtype(dtype)
        try:
            for node in self._nodes:
                self.add_sublayer(node.name, layers.create(node))
        finally:
            paddle.set_default_dtype(default)

    def forward(self, images: paddle.Tensor, kept: Mapping[str, paddle.Tensor] | None = None) -> paddle.Tensor:
        """Logits float[N, classes] of images float[N, C, H, W].

        ``kept`` maps dropout layers to tensors of the shape of their input, 1 where an element is kept, 0 elsewhere.
        """
        values = {INPUT: images}
        for node, unused in self._steps:
            inputs = [values[name] for name in node.inputs]
            if kept is not None and isinstance(node.layer, Dropout):
                values[node.name] = inputs[0] * kept[node.name] / (1 - node.layer.p)
            else:
                values[node.name] = getattr(self, node.name)(*inputs)
            for name in unused:
                del values[name]
        return values[self._nodes[-1].name]

    def entries(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        """Parameters, and buffers, by canonical name in network order."""
        parameters = {name: self._entry(node, name) for node in self._nodes for name in node.parameters}
        buffers = {name: self._entry(node, name) for node in self._nodes for name in node.buffers}
        return parameters, buffers

    def _entry(self, node: Node, name: str) -> Entry:
        part = name.removeprefix(f"{node.name}.")
        names = RECURRENT_PARTS if isinstance(node.layer, LSTM | GRU) else _PARTS
        tensor = attrgetter(names.get(part, part))(getattr(self, node.name))
        shape = (node.parameters | node.buffers)[name]
        linear = isinstance(node.layer, Linear | MultiHeadAttention)
        return Entry(tensor=tensor, shape=shape, transposed=linear and part.endswith("weight"))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where an array of canonical ``shape`` lives: in ``tensor``, which stores it [in, out] when ``transposed``.

    A tensor that is longer has it at its end, behind zeros.
    """

    tensor: Any
    shape: tuple[int, ...]
    transposed: bool

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical copy of an array shaped like the tensor (its value, a gradient, an optimizer's slot)."""
        return np.array(array.T if self.transposed else array[len(array) - self.shape[0] :], order="C")

    def native(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of ``canonical``, in the tensor's dtype."""
        dtype = np.float64 if self.tensor.dtype == paddle.float64 else np.float32
        if not self.transposed:
            behind = self.tensor.shape[0] - len(array), *array.shape[1:]
            return np.concatenate((np.zeros(behind), array)).astype(dtype)
        return transposed(array).astype(dtype, copy=False)
