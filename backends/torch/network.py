"""A network as a ``torch.nn.Module`` whose parts carry the canonical names of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from backends.contract import Unsupported
from specs import layers as L
from specs.nodes import INPUT, Node

# What torch calls the parameters and buffers whose canonical names differ.
_TORCH_NAMES = {"gamma": "weight", "beta": "bias", "running_variance": "running_var"}

Masks = Mapping[str, Tensor]
"""Dropout layer to bool[batch, *output_shape], True keeps; empty: torch's generator draws."""


class Part(NamedTuple):
    """A module of a network: its name, and the names of the values that it takes, INPUT for the images."""

    name: str
    module: nn.Module
    inputs: tuple[str, ...]


class Network(nn.Module):
    """Computes ``parts`` in their order, each after its inputs; the last one gives the logits."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = tuple(parts)
        for part in parts:
            self.add_module(part.name, part.module)
        last_user = {name: part.name for part in parts for name in part.inputs}
        self.freed = {part.name: [name for name in part.inputs if last_user[name] == part.name] for part in parts}

    def forward(self, images: Tensor, dropout_masks: Masks | None = None) -> Tensor:
        """Logits float[n, classes] of images float[n, C, H, W].

        The masks, where there are some, take the place of torch's generator.
        """
        values = {INPUT: images}
        for name, module, inputs in self.parts:
            if dropout_masks and name in dropout_masks:
                values[name] = values[inputs[0]] * dropout_masks[name] / (1 - module.p)
            else:
                values[name] = module(*(values[source] for source in inputs))
            for source in self.freed[name]:
                del values[source]
        return values[name]


class Sum(nn.Module):
    """x_1 + x_2 + ..., from the first to the last."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Tensors of one shape to their sum."""
        for other in others:
            first = first + other
        return first


class Concatenation(nn.Module):
    """The inputs one behind the other along ``axis``, the batch being axis 0."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *values: Tensor) -> Tensor:
        """Tensors of one shape but for ``axis``."""
        return torch.cat(values, dim=self.axis)


def parts(nodes: Sequence[Node]) -> list[Part]:
    """A freshly made module for each node, in the order of the nodes."""
    return [Part(node.name, _module(node), node.inputs) for node in nodes]


def torch_name(canonical: str) -> str:
    """The state_dict key of a canonical name: ``batch_norm2d_1.gamma`` is ``batch_norm2d_1.weight``."""
    layer, _, part = canonical.partition(".")
    return f"{layer}.{_TORCH_NAMES.get(part, part)}"


def _module(node: Node) -> nn.Module:
    channels = node.input_shapes[0][0]
    match node.layer:
        case L.Conv2d() as layer:
            return nn.Conv2d(
                channels,
                layer.out_channels,
                kernel_size=layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                bias=layer.bias,
            )
        case L.Linear() as layer:
            return nn.Linear(channels, layer.out_features, bias=layer.bias)
        case L.MaxPool2d() as layer:
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case L.AvgPool2d() as layer:
            return nn.AvgPool2d(
                layer.kernel_size, layer.stride, layer.padding, count_include_pad=layer.count_include_pad
            )
        case L.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case L.BatchNorm2d() as layer:
            return nn.BatchNorm2d(channels, eps=layer.epsilon, momentum=layer.momentum)
        case L.Dropout() as layer:
            return nn.Dropout(layer.p)
        case L.Flatten():
            return nn.Flatten()
        case L.ReLU():
            return nn.ReLU()
        case L.LeakyReLU() as layer:
            return nn.LeakyReLU(layer.negative_slope)
        case L.Tanh():
            return nn.Tanh()
        case L.Sigmoid():
            return nn.Sigmoid()
        case L.GELU():
            return nn.GELU(approximate="none")
        case L.Softmax():
            return nn.Softmax(dim=1)
        case L.Add():
            return Sum()
        case L.Concat() as layer:
            return Concatenation(layer.axis)
        case _:
            raise Unsupported(f"no {node.layer.kind} in PyTorch's adapter")
