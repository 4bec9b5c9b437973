"""An architecture as a ``torch.nn.Sequential`` whose modules carry the canonical layer names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from backends.contract import Unsupported
from specs.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.nodes import Node

# Layers that oneDNN computes in its own layout, forward and backward.
_BLOCKED = Conv2d | ReLU | MaxPool2d

# What torch calls the parameters and buffers whose canonical names differ.
_TORCH_NAMES = {"gamma": "weight", "beta": "bias", "running_variance": "running_var"}


class Blocked(nn.Module):  # type: ignore[misc]
    """Into oneDNN's own blocked layout, an opaque tensor that only some layers take."""

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, C, H, W] on a CPU to the same values blocked."""
        return x.to_mkldnn()


class Dense(nn.Module):  # type: ignore[misc]
    """Back from ``Blocked``."""

    def forward(self, x: Tensor) -> Tensor:
        """Blocked to contiguous float32[N, C, H, W]."""
        return x.to_dense()


def can_be_blocked(layers: Sequence[Node]) -> bool:
    """Whether all layers up to the last convolution are among those that oneDNN computes in its own layout."""
    last = max((i for i, shaped in enumerate(layers) if isinstance(shaped.layer, Conv2d)), default=-1)
    return last >= 0 and all(isinstance(shaped.layer, _BLOCKED) for shaped in layers[:last])


def sequential(layers: Sequence[Node], *, tuned: bool, blocked: bool) -> nn.Sequential:
    """The network of ``layers``; plain modules in their order, or with ``tuned`` arranged for speed.

    With ``blocked`` the convolutional part computes in oneDNN's layout.

    Tuned networks compute the very same values: ReLU works in place where its input serves nothing else, and after a
    max pooling instead of before it, where there are fewer elements. The two commute, in the gradient too: ReLU is
    monotonic, so a positive maximum has the same first place before and after it, and where no element of a window is
    positive no gradient passes either way.
    """
    ordered = _relu_after_pooling(layers) if tuned else list(layers)
    modules = {shaped.name: _module(shaped) for shaped in ordered}
    if tuned:
        for before, after in pairwise(ordered):
            if isinstance(after.layer, ReLU) and isinstance(before.layer, Conv2d | Linear | BatchNorm2d | MaxPool2d):
                modules[after.name] = nn.ReLU(inplace=True)
    if blocked:
        end = next(i for i, shaped in enumerate(ordered) if not isinstance(shaped.layer, _BLOCKED))
        names = list(modules)
        modules = {
            "blocked": Blocked(),
            **{name: modules[name] for name in names[:end]},
            "dense": Dense(),
            **{name: modules[name] for name in names[end:]},
        }
    return nn.Sequential(OrderedDict(modules))


def torch_name(canonical: str) -> str:
    """The state_dict key of a canonical name: ``batch_norm2d_1.gamma`` is ``batch_norm2d_1.weight``."""
    layer, _, part = canonical.partition(".")
    return f"{layer}.{_TORCH_NAMES.get(part, part)}"


def _relu_after_pooling(layers: Sequence[Node]) -> list[Node]:
    ordered = list(layers)
    for i, (before, after) in enumerate(pairwise(layers)):
        if isinstance(before.layer, ReLU) and isinstance(after.layer, MaxPool2d):
            ordered[i : i + 2] = [after, before]
    return ordered


def _module(shaped: Node) -> nn.Module:
    layer = shaped.layer
    channels = shaped.input_shape[0]
    match layer:
        case Conv2d():
            return nn.Conv2d(
                channels,
                layer.out_channels,
                kernel_size=layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                bias=layer.bias,
            )
        case Linear():
            return nn.Linear(channels, layer.out_features, bias=layer.bias)
        case MaxPool2d():
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case AvgPool2d():
            return nn.AvgPool2d(
                layer.kernel_size, layer.stride, layer.padding, count_include_pad=layer.count_include_pad
            )
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case BatchNorm2d():
            return nn.BatchNorm2d(channels, eps=layer.epsilon, momentum=layer.momentum)
        case Dropout():
            return nn.Dropout(layer.p)
        case Flatten():
            return nn.Flatten()
        case ReLU():
            return nn.ReLU()
        case LeakyReLU():
            return nn.LeakyReLU(layer.negative_slope)
        case Tanh():
            return nn.Tanh()
        case Sigmoid():
            return nn.Sigmoid()
        case GELU():
            return nn.GELU(approximate="none")
        case Softmax():
            return nn.Softmax(dim=1)
        case _:
            raise Unsupported(f"no {layer.kind} as yet")
