"""A network arranged for speed: the same values, computed where fewer elements are left and in oneDNN's own layout."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from backends.torch.network import Part, parts
from backends.windows import is_symmetric
from specs import layers as L
from specs.layers import both_sides
from specs.nodes import INPUT, Node, consumers, is_chain

# What ReLU may overwrite the output of: their backward passes do not look at it.
_FORGETS = L.Conv2d | L.Linear | L.BatchNorm | L.MaxPool2d | L.Add | L.Concat


class Blocked(nn.Module):
    """Into oneDNN's own blocked layout, an opaque tensor that only some layers take."""

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, C, H, W] on a CPU to the same values blocked."""
        return x.to_mkldnn()


class Dense(nn.Module):
    """Back from ``Blocked``."""

    def forward(self, x: Tensor) -> Tensor:
        """Blocked to contiguous float32[N, C, H, W]."""
        return x.to_dense()


def blocked_length(nodes: Sequence[Node]) -> int:
    """How many nodes from the first on can compute in oneDNN's layout.

    Either all up to the last convolution, in a chain, or none: every change of layout is a copy.
    """
    end = next((i for i, node in enumerate(nodes) if not _may_be_blocked(node.layer)), len(nodes))
    inside = {INPUT, *(node.name for node in nodes[: end - 1])}
    all_convolutions = all(not isinstance(node.layer, L.Conv2d) for node in nodes[end:])
    leaves_once = all(consumers(nodes)[name] == 1 for name in inside)
    return end if end and all_convolutions and is_chain(nodes[:end]) and leaves_once else 0


def _may_be_blocked(layer: L.Operation) -> bool:
    """Of convolutions and poolings those that oneDNN's own layout is used for by torch: without further options."""
    match layer:
        case L.Conv2d(groups=1, dilation=(1, 1)) | L.MaxPool2d(ceil_mode=False):
            return is_symmetric(both_sides(layer.padding))
        case _:
            return isinstance(layer, L.ReLU)


def arranged(nodes: Sequence[Node], *, blocked: int) -> list[Part]:
    """The network's parts, the first ``blocked`` of them in oneDNN's layout, and every ReLU in place that can be."""
    uses = consumers(nodes)
    layers = {node.name: node.layer for node in nodes}
    made = []
    for part, node in zip(parts(nodes), nodes, strict=True):
        source = node.inputs[0]
        in_place = isinstance(node.layer, L.ReLU) and isinstance(layers.get(source), _FORGETS) and uses[source] == 1
        made.append(part._replace(module=nn.ReLU(inplace=True)) if in_place else part)
    if not blocked:
        return made
    first, last = made[0]._replace(inputs=("blocked",)), made[blocked - 1].name
    after = [
        part._replace(inputs=tuple("dense" if name == last else name for name in part.inputs))
        for part in made[blocked:]
    ]
    return [
        Part("blocked", Blocked(), (INPUT,)),
        first,
        *made[1:blocked],
        Part("dense", Dense(), (last,)),
        *after,
    ]
