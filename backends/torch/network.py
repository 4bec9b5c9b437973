"""A network as a ``torch.nn.Module`` whose parts carry the canonical names of its nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from backends.contract import Unsupported
from backends.torch import tokens
from backends.torch.recurrent import GRU, LSTM, RECURRENT_NAMES, Rows
from backends.windows import divisors, is_symmetric
from specs import layers as L
from specs.layer_shapes import feature_axis
from specs.layers import Sides, both_sides
from specs.nodes import INPUT, Node
from specs.windows import sides

# What torch calls the parameters and buffers whose canonical names differ.
_TORCH_NAMES = {"gamma": "weight", "beta": "bias", "running_variance": "running_var"} | {
    f"{name}_{kind}": f"{name}.{kind}" for name in L.ATTENTION_MAPS for kind in ("weight", "bias")
}

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


class PaddedConv2d(nn.Conv2d):
    """A convolution with other padding on one side than on the other, which ``nn.Conv2d`` has not."""

    def __init__(self, *arguments: Any, around: Sides, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.around = _as_pad(around)

    def forward(self, x: Tensor) -> Tensor:
        """float[N, C, H, W] to the maps of the output channels."""
        return super().forward(pad(x, self.around))


class PaddedAvgPool2d(nn.Module):
    """Average pooling with other padding on one side than on the other; ``divisors`` [H_out, W_out] counts cells."""

    def __init__(self, layer: L.AvgPool2d, around: Sides, divisors: Tensor) -> None:
        super().__init__()
        self.around = _as_pad(around)
        self.pool = nn.AvgPool2d(layer.kernel_size, layer.stride)
        self.register_buffer("factors", math.prod(layer.kernel_size) / divisors, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """float[N, C, H, W] to the pooled size."""
        return self.pool(pad(x, self.around)) * self.factors


def _as_pad(around: Sides) -> tuple[int, int, int, int]:
    """As torch's padding functions have it: the last axis first."""
    rows, columns = around
    return (*columns, *rows)


class BatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, whose gradients are wrong for one image in another layout than the gradient of its output."""

    def forward(self, input: Tensor) -> Tensor:
        """float[n, C, H, W] to the same shape."""
        if not self.training or len(input) > 1:
            return super().forward(input)
        output = super().forward(input.contiguous())
        if output.requires_grad:
            output.register_hook(Tensor.contiguous)
        return output


class LayerNorm(nn.LayerNorm):
    """``nn.LayerNorm``; of a single element, where its gradients are rounding, what the formula says."""

    def forward(self, input: Tensor) -> Tensor:
        """float[..., features] to the same shape."""
        if self.normalized_shape == (1,):
            return (input - input) * self.weight + self.bias
        return super().forward(input)


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``; of groups of a single element, which it refuses in a batch of one, as ``LayerNorm``.

    In channels_last, which an image of one channel may pass for, its variance is the mean of squares less the square of
    the mean, and its backward pass ends the process (SIGSEGV) for an input that needs no gradient: pixels go in a row.
    """

    def forward(self, input: Tensor) -> Tensor:
        """float[n, C, H, W] to the same shape."""
        if input[0].numel() == self.num_groups:
            return (input - input) * self.weight[:, None, None] + self.bias[:, None, None]
        return super().forward(input.flatten(2).contiguous()).view(input.shape)


def parts(nodes: Sequence[Node]) -> list[Part]:
    """A freshly made module for each node, in the order of the nodes."""
    return [Part(node.name, _module(node), node.inputs) for node in nodes]


def torch_name(canonical: str) -> str:
    """The state_dict key of a canonical name: ``batch_norm2d_1.gamma`` is ``batch_norm2d_1.weight``."""
    layer, _, part = canonical.partition(".")
    names = RECURRENT_NAMES if layer.startswith((f"{L.LSTM.kind}_", f"{L.GRU.kind}_")) else _TORCH_NAMES
    return f"{layer}.{names.get(part, part)}"


def _module(node: Node) -> nn.Module:
    channels = node.input_shapes[0][0]
    match node.layer:
        case L.Conv2d() as layer:
            around = sides(layer, node.input_shape)
            options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups, "bias": layer.bias}
            if not is_symmetric(around):
                return PaddedConv2d(channels, layer.out_channels, layer.kernel_size, around=around, **options)
            return nn.Conv2d(channels, layer.out_channels, layer.kernel_size, padding=layer.padding, **options)
        case L.Linear() as layer:
            return nn.Linear(node.input_shape[-1], layer.out_features, bias=layer.bias)
        case L.MaxPool2d() | L.AvgPool2d() as layer:
            return _pool(layer, node)
        case L.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case L.BatchNorm2d() as layer:
            return BatchNorm2d(channels, eps=layer.epsilon, momentum=layer.momentum)
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
            return nn.Softmax(dim=feature_axis(node.output_shape))
        case L.ReLU6():
            return nn.ReLU6()
        case L.SiLU():
            return nn.SiLU()
        case L.ELU() as layer:
            return nn.ELU(layer.alpha)
        case L.HardSwish():
            return nn.Hardswish()
        case L.Rows():
            return Rows()
        case L.LSTM() as layer:
            return LSTM(node.input_shape[1], layer)
        case L.GRU() as layer:
            return GRU(node.input_shape[1], layer)
        case L.Add():
            return Sum()
        case L.Concat() as layer:
            return Concatenation(layer.axis)
        case L.BatchNorm1d() as layer:
            return nn.BatchNorm1d(channels, eps=layer.epsilon, momentum=layer.momentum)
        case L.LayerNorm() as layer:
            return LayerNorm(node.input_shape[-1], eps=layer.epsilon)
        case L.GroupNorm() as layer:
            return GroupNorm(layer.groups, channels, eps=layer.epsilon)
        case L.ToTokens():
            return tokens.ToTokens()
        case L.ClassToken():
            return tokens.ClassToken(node.input_shape[-1])
        case L.PositionEmbedding():
            return tokens.PositionEmbedding(*node.input_shape)
        case L.MultiHeadAttention() as layer:
            return tokens.MultiHeadAttention(node.input_shape[-1], layer)
        case L.TakeToken() as layer:
            return tokens.TakeToken(layer.index)
        case L.MeanTokens():
            return tokens.MeanTokens()
        case _:
            raise Unsupported(f"no {node.layer.kind} in PyTorch's adapter")


def _pool(layer: L.MaxPool2d | L.AvgPool2d, node: Node) -> nn.Module:
    around = sides(layer, node.input_shape)
    match layer:
        case L.MaxPool2d() if is_symmetric(both_sides(layer.padding)):
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
        case L.MaxPool2d():
            outside = nn.ConstantPad2d(_as_pad(around), -math.inf)
            return nn.Sequential(outside, nn.MaxPool2d(layer.kernel_size, layer.stride))
        case L.AvgPool2d() if is_symmetric(both_sides(layer.padding)):
            options = {"ceil_mode": layer.ceil_mode, "count_include_pad": layer.count_include_pad}
            return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, **options)
        case L.AvgPool2d():
            return PaddedAvgPool2d(layer, around, torch.from_numpy(divisors(layer, node.input_shape)))
