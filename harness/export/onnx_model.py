"""A network as an ONNX model, written from its architecture and canonical weights: no framework has a part in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from specs import layers as L
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layer_shapes import feature_axis
from specs.nodes import INPUT, Node
from specs.recipe import Preprocessing
from specs.shapes import has_trailing_softmax, infer
from specs.windows import Windowed

OPSET = 17  # every operator used has its present meaning since then, and runtimes of 2022 have it
IR_VERSION = 8
MOST_BYTES = 2**31 - 2**20  # a protobuf message ends at 2 GiB


def onnx_model(
    architecture: Architecture, parameters: Mapping[str, NDArray[Any]], preprocessing: Preprocessing
) -> onnx.ModelProto:
    """The network in evaluation mode: "images" float32[batch, C, H, W] to "logits" float32[batch, classes].

    An architecture that ends in a softmax, which is applied at prediction only, has "probabilities" as well. The
    metadata say how pixels become images. Equal weights give equal bytes. Raises RequestError beyond 2 GiB.
    """
    weights = {name: np.asarray(array, np.float32) for name, array in parameters.items()}
    if sum(array.nbytes for array in weights.values()) > MOST_BYTES:
        raise RequestError(f"{architecture.name}: its weights take more than 2 GiB, which an ONNX file does not hold")
    nodes = infer(architecture)
    last = [node for node in nodes if not isinstance(node.layer, L.Dropout)][-1]
    graph = _Graph(weights)
    values = {INPUT: "images"}
    for node in nodes:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node.layer, L.Dropout):
            values[node.name] = inputs[0]
        else:
            values[node.name] = graph.add(node, inputs, "logits" if node is last else node.name)
    outputs = ["logits"]
    if has_trailing_softmax(architecture):
        graph.node("Softmax", ["logits"], "probabilities", axis=1)
        outputs.append("probabilities")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *architecture.input])
    scores = [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["batch", architecture.classes]) for o in outputs]
    model = helper.make_model(
        helper.make_graph(graph.nodes, architecture.name, [images], scores, initializer=graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="framework-harness",
        doc_string=architecture.title,
    )
    helper.set_model_props(model, {"preprocessing": json.dumps(asdict(preprocessing))})
    return model


class _Graph:
    """Nodes and initializers as they gather."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append one node, named after its output; returns that name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Append an initializer; returns its name."""
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, shaped: Node, inputs: list[str], output: str) -> str:
        """Append the operators of one node of ``inputs``; returns ``output``, the name of what it gives."""
        value = inputs[0]
        match shaped.layer:
            case L.Add():
                return self.node("Add" if len(inputs) == 2 else "Sum", inputs, output)
            case L.Concat() as join:
                return self.node("Concat", inputs, output, axis=join.axis)
            case L.Conv2d() as layer:
                attributes = _window(layer) | {"group": layer.groups, "dilations": layer.dilation}
                return self.node("Conv", [value, *self._owned(shaped, "weight", "bias")], output, **attributes)
            case L.Linear() if len(shaped.output_shape) == 2:
                return self._linear_map(shaped, "", value, output)
            case L.Linear():
                return self.node("Gemm", [value, *self._owned(shaped, "weight", "bias")], output, transB=1)
            case L.MaxPool2d() as layer:
                return self.node("MaxPool", [value], output, **_window(layer), ceil_mode=int(layer.ceil_mode))
            case L.AvgPool2d() as layer:
                options = {"ceil_mode": int(layer.ceil_mode), "count_include_pad": int(layer.count_include_pad)}
                return self.node("AveragePool", [value], output, **_window(layer), **options)
            case L.GlobalAvgPool():
                mean = self.node("GlobalAveragePool", [value], f"{shaped.name}.mean")
                return self.node("Flatten", [mean], output, axis=1)
            case L.BatchNorm2d() as layer:
                owned = self._owned(shaped, "gamma", "beta", "running_mean", "running_variance")
                return self.node("BatchNormalization", [value, *owned], output, epsilon=layer.epsilon)
            case L.Flatten():
                return self.node("Flatten", [value], output, axis=1)
            case L.ReLU():
                return self.node("Relu", [value], output)
            case L.LeakyReLU() as layer:
                return self.node("LeakyRelu", [value], output, alpha=layer.negative_slope)
            case L.Tanh():
                return self.node("Tanh", [value], output)
            case L.Sigmoid():
                return self.node("Sigmoid", [value], output)
            case L.GELU():
                return self._gelu(shaped.name, value, output)
            case L.Softmax():
                return self.node("Softmax", [value], output, axis=feature_axis(shaped.output_shape))
            case L.ReLU6():
                limits = [self._scalar(f"{shaped.name}.least", 0.0), self._scalar(f"{shaped.name}.most", 6.0)]
                return self.node("Clip", [value, *limits], output)
            case L.SiLU():
                return self.node("Mul", [value, self.node("Sigmoid", [value], f"{shaped.name}.gate")], output)
            case L.ELU() as layer:
                return self.node("Elu", [value], output, alpha=layer.alpha)
            case L.HardSwish():
                return self.node("HardSwish", [value], output)
            case L.Rows():
                swapped = self.node("Transpose", [value], f"{shaped.name}.swapped", perm=(0, 2, 1, 3))
                shape = self.constant(f"{shaped.name}.shape", np.array((0, *shaped.output_shape), np.int64))
                return self.node("Reshape", [swapped, shape], output)
            case L.LSTM() | L.GRU() as layer:
                return self._recurrent(shaped, layer, value, output)
            case L.BatchNorm1d() as layer:
                owned = self._owned(shaped, "gamma", "beta", "running_mean", "running_variance")
                return self.node("BatchNormalization", [value, *owned], output, epsilon=layer.epsilon)
            case L.LayerNorm() as layer:
                owned = self._owned(shaped, "gamma", "beta")
                return self.node("LayerNormalization", [value, *owned], output, axis=-1, epsilon=layer.epsilon)
            case L.GroupNorm() as layer:
                return self._group_norm(shaped, layer, value, output)
            case L.ToTokens():
                channels = self._reshaped(value, (0, shaped.output_shape[1], -1), f"{shaped.name}.pixels")
                return self.node("Transpose", [channels], output, perm=[0, 2, 1])
            case L.ClassToken():
                return self._class_token(shaped, value, output)
            case L.PositionEmbedding():
                return self.node("Add", [value, *self._owned(shaped, "embedding")], output)
            case L.MultiHeadAttention() as layer:
                return self._attention(shaped, layer, value, output)
            case L.TakeToken() as layer:
                index = self._integers(f"{shaped.name}.index", layer.index)
                return self.node("Gather", [value, index], output, axis=1)
            case L.MeanTokens():
                return self.node("ReduceMean", [value], output, axes=[1], keepdims=0)
        raise AssertionError(f"{shaped.name} has no operator")

    def _gelu(self, name: str, value: str, output: str) -> str:
        """x * (1 + erf(x / sqrt(2))) / 2; ONNX has the whole only from opset 20 on."""
        scaled = self.node("Mul", [value, self._scalar(f"{name}.scale", math.sqrt(0.5))], f"{name}.scaled")
        erf = self.node("Erf", [scaled], f"{name}.erf")
        shifted = self.node("Add", [erf, self._scalar(f"{name}.one", 1.0)], f"{name}.shifted")
        gate = self.node("Mul", [shifted, self._scalar(f"{name}.half", 0.5)], f"{name}.gate")
        return self.node("Mul", [value, gate], output)

    def _recurrent(self, shaped: Node, layer: L.LSTM | L.GRU, value: str, output: str) -> str:
        """ONNX has the tokens first, gates in another order, two biases, and all of it once per direction."""
        lstm, hidden = isinstance(layer, L.LSTM), layer.hidden
        order = (0, 3, 1, 2) if lstm else (1, 0, 2)  # i, o, f, g of i, f, g, o; z, r, n of r, z, n
        of_gates = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in order])
        weight, recurrent_weight, bias = (
            self._weights[f"{shaped.name}.{part}"][of_gates] for part in ("weight", "recurrent_weight", "bias")
        )
        second = np.zeros_like(bias)
        if not lstm:
            second[-hidden:] = self._weights[f"{shaped.name}.recurrent_bias"]
        arrays = {"weight": weight, "recurrent_weight": recurrent_weight, "biases": np.concatenate((bias, second))}
        inputs = [self.constant(f"{shaped.name}.{part}", array[None]) for part, array in arrays.items()]
        tokens_first = self.node("Transpose", [value], f"{shaped.name}.tokens_first", perm=(1, 0, 2))
        states = f"{shaped.name}.states"
        outputs = [states] if layer.return_sequences else ["", states]  # every hidden state, or the last
        options: dict[str, Any] = {"hidden_size": hidden} | ({} if lstm else {"linear_before_reset": 1})
        operator = "LSTM" if lstm else "GRU"
        self.nodes.append(helper.make_node(operator, [tokens_first, *inputs], outputs, name=states, **options))
        direction = self.constant(f"{shaped.name}.direction", np.array([1 if layer.return_sequences else 0], np.int64))
        if not layer.return_sequences:
            return self.node("Squeeze", [states, direction], output)
        every = self.node("Squeeze", [states, direction], f"{shaped.name}.every")
        return self.node("Transpose", [every], output, perm=(1, 0, 2))

    def _group_norm(self, shaped: Node, layer: L.GroupNorm, value: str, output: str) -> str:
        """Every group as one channel, normalised; ONNX has the whole in this meaning only from opset 21 on."""
        name, channels = shaped.name, (shaped.input_shape[0], 1, 1)
        ones, zeros = (np.full(layer.groups, fill, np.float32) for fill in (1, 0))
        unit = [self.constant(f"{name}.ones", ones), self.constant(f"{name}.zeros", zeros)]
        grouped = self._reshaped(value, (0, layer.groups, -1), f"{name}.groups")
        normed = self.node("InstanceNormalization", [grouped, *unit], f"{name}.normed", epsilon=layer.epsilon)
        image = self._reshaped(normed, (0, *shaped.input_shape), f"{name}.image")
        gamma, beta = (self.constant(part, self._weights[part].reshape(channels)) for part in shaped.parameters)
        return self.node("Add", [self.node("Mul", [image, gamma], f"{name}.scaled"), beta], output)

    def _reshaped(self, value: str, shape: tuple[int, ...], output: str) -> str:
        """Reshaped; 0 keeps an axis, the batch, and -1 takes what is left."""
        return self.node("Reshape", [value, self._integers(f"{output}.shape", shape)], output)

    def _integers(self, name: str, values: int | tuple[int, ...]) -> str:
        self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _class_token(self, shaped: Node, value: str, output: str) -> str:
        """The token as often as there are images, ahead of the others."""
        name = shaped.name
        batch = self.node("Shape", [value], f"{name}.batch", start=0, end=1)
        one = self._integers(f"{name}.one", (1, shaped.input_shape[1]))
        shape = self.node("Concat", [batch, one], f"{name}.shape", axis=0)
        tokens = self.node("Expand", [*self._owned(shaped, "token"), shape], f"{name}.tokens")
        return self.node("Concat", [tokens, value], output, axis=1)

    def _linear_map(self, shaped: Node, prefix: str, value: str, output: str) -> str:
        """Of tokens: Gemm takes vectors alone."""
        name = f"{shaped.name}.{prefix}weight"
        product = [value, self.constant(name, self._weights[name].T)]
        if f"{shaped.name}.{prefix}bias" not in shaped.parameters:
            return self.node("MatMul", product, output)
        product = [self.node("MatMul", product, f"{output}.product")]
        return self.node("Add", [*product, *self._owned(shaped, f"{prefix}bias")], output)

    def _attention(self, shaped: Node, layer: L.MultiHeadAttention, value: str, output: str) -> str:
        """Of every head softmax(q k^T / sqrt(d / heads)) v, between linear maps."""
        (tokens, features), name = shaped.input_shape, shaped.name
        width = features // layer.heads
        split = {}
        for part, axes in {"query": (0, 2, 1, 3), "key": (0, 2, 3, 1), "value": (0, 2, 1, 3)}.items():
            mapped = self._linear_map(shaped, f"{part}_", value, f"{name}.{part}")
            heads = self._reshaped(mapped, (0, tokens, layer.heads, width), f"{name}.{part}.heads")
            split[part] = self.node("Transpose", [heads], f"{name}.{part}.split", perm=axes)
        products = self.node("MatMul", [split["query"], split["key"]], f"{name}.products")
        scores = self.node("Mul", [products, self._scalar(f"{name}.scale", width**-0.5)], f"{name}.scores")
        if layer.causal:
            hidden = np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1)
            scores = self.node("Add", [scores, self.constant(f"{name}.hidden", hidden)], f"{name}.seen")
        shares = self.node("Softmax", [scores], f"{name}.shares", axis=-1)
        attended = self.node("MatMul", [shares, split["value"]], f"{name}.attended")
        merged = self.node("Transpose", [attended], f"{name}.merged", perm=[0, 2, 1, 3])
        return self._linear_map(shaped, "out_", self._reshaped(merged, (0, tokens, features), f"{name}.all"), output)

    def _scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.full((), value, np.float32))

    def _owned(self, shaped: Node, *parts: str) -> Iterator[str]:
        """The layer's own arrays among ``parts``, as initializers."""
        for name in (f"{shaped.name}.{part}" for part in parts):
            if name in shaped.parameters or name in shaped.buffers:
                yield self.constant(name, self._weights[name])


def _window(layer: Windowed) -> dict[str, Any]:
    """Kernel, stride and padding; of the last ONNX has top, left, bottom, right."""
    (top, bottom), (left, right) = L.both_sides(layer.padding)
    return {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": [top, left, bottom, right]}
