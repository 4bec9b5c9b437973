"""A Keras model of an architecture, evaluated node by node, and canonical arrays in and out of its weights.

Written on Keras alone. Everything inside is in channels-last layout; only this module and ``layers`` know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from backends.keras import recurrent
from backends.keras.layers import parts
from backends.layouts import hwio_to_oihw, oihw_to_hwio, transposed
from specs import layers as L
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.nodes import INPUT, Node
from specs.shapes import infer

POLICIES = {"float32": "float32", "float64": "float64", "bfloat16": "mixed_bfloat16"}
"""Precision to Keras dtype policy; mixed_bfloat16 computes in bfloat16 and keeps the variables in float32."""

_KERAS_NAMES = {
    **{"weight": "kernel", "running_mean": "moving_mean", "running_variance": "moving_variance"},
    **{f"{name}_weight": f"{name}_dense.kernel" for name in L.ATTENTION_MAPS[:3]},
    **{f"{name}_bias": f"{name}_dense.bias" for name in L.ATTENTION_MAPS[:3]},
    **{"out_weight": "output_dense.kernel", "out_bias": "output_dense.bias"},
}

# Layers on features whose result for a feature does not depend on where it stands. Dropout is not among them: its masks
# come in canonical order.
_ORDER_FREE = L.Activation | L.Softmax | L.Flatten


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One variable of the model under its canonical name, with the way between the two layouts.

    ``layout`` is the layer's kind and the part, which decide the layout. ``rows`` is set for the linear layer after a
    flatten: native row r (H, W, C order) is canonical row ``rows[r]``.
    """

    name: str
    shape: tuple[int, ...]
    layout: tuple[str, str]
    variable: keras.Variable
    trained: bool
    rows: NDArray[np.int64] | None = None

    def native(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical array (of the variable, its gradient or its optimizer state) in the variable's layout."""
        match self.layout:
            case (L.Conv2d.kind, "weight"):  # of a depthwise one [H, W, I, O / I]
                return oihw_to_hwio(array).reshape(self.variable.shape)
            case (L.Linear.kind, "weight"):
                kernel = transposed(array)
                return kernel if self.rows is None else kernel[self.rows]
            case (L.LSTM.kind | L.GRU.kind, "weight" | "recurrent_weight"):
                return transposed(array)
            case (L.GRU.kind, "recurrent_bias"):
                return array[None]
            case (L.MultiHeadAttention.kind, _):  # split by heads on the side of q, k and v
                return (transposed(array) if array.ndim == 2 else array).reshape(self.variable.shape)
            case _:
                return array

    def canonical(self, tensor: Any) -> NDArray[Any]:
        """The inverse of ``native``, of a tensor; always a copy."""
        array: NDArray[Any] = np.array(ops.convert_to_numpy(tensor))
        match self.layout:
            case (L.Conv2d.kind, "weight"):
                _, per_group, height, width = self.shape
                return hwio_to_oihw(array.reshape(height, width, per_group, -1))
            case (L.Linear.kind, "weight"):
                return transposed(array if self.rows is None else array[np.argsort(self.rows)])
            case (L.LSTM.kind | L.GRU.kind, "weight" | "recurrent_weight"):
                return transposed(array)
            case (L.GRU.kind, "recurrent_bias"):
                return array[0]
            case (L.MultiHeadAttention.kind, _):
                merged = array.reshape(self.shape)
                return transposed(merged) if merged.ndim == 2 else merged
            case _:
                return array


class Network:
    """The Keras layers of a network, the model that they make, and their evaluation in training.

    ``nodes`` are the architecture's, ``computed`` those that training and prediction evaluate.
    """

    def __init__(self, architecture: Architecture, *, precision: str, seed: int) -> None:
        self.nodes = infer(architecture)
        self.computed = self.rewrite(self.nodes)
        self._policy = keras.DTypePolicy(POLICIES[precision])
        rows = _rows_after_flatten(self.nodes)
        self._parts = {
            node.name: parts(node, policy=self._policy, seed=seed + i, channels_first=node.name not in rows)
            for i, node in enumerate(self.nodes)
        }
        channels, height, width = architecture.input
        images = keras.Input((height, width, channels), dtype=self._policy.variable_dtype, name="images")
        logits = self._evaluate(self.nodes, images, training=False, dropout_masks={})
        self.model = keras.Model(images, logits, name=_identifier(architecture.name))
        self.weights = {weight.name: weight for weight in self._weights(dict(rows.values()))}

    @property
    def trained(self) -> list[Weight]:
        """The weights that the optimizer moves, in network order."""
        return [weight for weight in self.weights.values() if weight.trained]

    @property
    def dropouts(self) -> dict[str, tuple[int, ...]]:
        """Names and canonical output shapes of the dropout layers, in network order."""
        return {node.name: node.output_shape for node in self.nodes if isinstance(node.layer, L.Dropout)}

    def __call__(self, images: Any, *, training: bool, dropout_masks: Mapping[str, Any]) -> Any:
        """Logits [n, classes] of images [n, height, width, channels], both in the variables' dtype.

        ``dropout_masks``: bool [n, *native output shape] by dropout layer, in place of its generator. Training moves
        the running statistics of batch norms; its batch size must be static.
        """
        logits = self._evaluate(self.computed, images, training=training, dropout_masks=dropout_masks)
        return ops.cast(logits, self._policy.variable_dtype)

    def rewrite(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """The nodes to compute in place of the architecture's own; what they compute is the same."""
        return nodes

    def normalise_batch(self, layer: keras.layers.BatchNormalization, x: Any) -> Any:
        """Keras's batch norm in training, its running variance moved by the unbiased variance in place of the biased.

        x is [n, height, width, channels] or [n, features]. Raises RequestError where a channel has one value.
        """
        running = layer.moving_variance
        kept = running * layer.momentum
        more = values_per_channel(layer.name, x) - 1
        y = layer(x, training=True)
        running.assign(running + (running - kept) / more)
        return y

    def _evaluate(self, nodes: Sequence[Node], images: Any, *, training: bool, dropout_masks: Mapping[str, Any]) -> Any:
        """What the last node gives. Tensors are symbolic, of Keras or of a graph: nothing is held by their names."""
        values = {INPUT: images}
        for node in nodes:
            inputs = [values[name] for name in node.inputs]
            x = inputs[0] if len(inputs) == 1 else inputs
            *before, last = self._parts[node.name]
            for part in before:
                x = part(x)
            match node.layer:
                case L.Dropout(p=p) if training and node.name in dropout_masks:
                    x = ops.cast(x, self._policy.compute_dtype)
                    x = x * ops.cast(dropout_masks[node.name], x.dtype) / (1 - p)
                case L.Dropout() if training:
                    x = last(x, training=True)
                case L.BatchNorm2d() | L.BatchNorm1d() if training:
                    x = self.normalise_batch(last, x)
                case L.MultiHeadAttention(causal=causal):
                    x = last(x, x, use_causal_mask=causal)
                case _:
                    x = last(x)
            values[node.name] = x
        return values[nodes[-1].name]

    def _weights(self, rows: Mapping[str, NDArray[np.int64]]) -> list[Weight]:
        return [
            Weight(
                name=name,
                shape=shape,
                layout=(node.layer.kind, part := name.removeprefix(f"{node.name}.")),
                variable=self._variable(node, part),
                trained=name in node.parameters,
                rows=rows.get(node.name) if part == "weight" else None,
            )
            for node in self.nodes
            for name, shape in (node.parameters | node.buffers).items()
        ]

    def _variable(self, node: Node, part: str) -> keras.Variable:
        if isinstance(node.layer, L.LSTM | L.GRU):
            return recurrent.variable(self.model, node, part)
        variable: keras.Variable = attrgetter(_KERAS_NAMES.get(part, part))(self.model.get_layer(node.name))
        return variable


def values_per_channel(name: str, x: Any) -> int:
    """How many values of x [n, ..., channels] a batch norm takes a channel's variance of, at least 2."""
    samples = math.prod(x.shape[:-1])
    if samples < 2:
        raise RequestError(f"{name}: training needs more than one value per channel, got a batch of {samples}")
    return samples


def _rows_after_flatten(nodes: Sequence[Node]) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """Flatten to the linear layer that absorbs its order, and the canonical row of each of that layer's native rows.

    A flatten that is not in the result must give canonical order itself: something that depends on the order, or more
    than one node, takes what it gives. Where order cannot matter (one channel, or one pixel), "" absorbs it.
    """
    users: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    result: dict[str, tuple[str, NDArray[np.int64]]] = {}
    for flatten in nodes:
        if not isinstance(flatten.layer, L.Flatten):
            continue
        shape = flatten.input_shape
        if len(shape) < 3 or shape[0] == 1 or shape[1] * shape[2] == 1:
            result[flatten.name] = "", np.arange(0)
            continue
        node = flatten
        while isinstance(node.layer, _ORDER_FREE) and len(users.get(node.name, [])) == 1:
            (node,) = users[node.name]
        if isinstance(node.layer, L.Linear):
            rows = np.arange(math.prod(shape)).reshape(shape).transpose(1, 2, 0).ravel()
            result[flatten.name] = node.name, rows
    return result


def _identifier(name: str) -> str:
    """A name that Keras takes for a model."""
    return re.sub(r"\W", "_", name) or "model"
