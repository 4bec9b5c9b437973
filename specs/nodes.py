"""A network as the nodes that are computed, in an order in which every node comes after its inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from specs.layers import Operation

INPUT = "input"
"""The name under which nodes refer to the images."""

Shape = tuple[int, ...]
"""Without the batch axis: [channels, height, width] of images, [features] of vectors, [tokens, features] of tokens."""

Place = tuple[str | int, ...]
"""Keys and positions that lead to something in an architecture: ("layers", 4, "residual", "layers", 2)."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation: its name within the network, where its inputs come from, and all that follows from their shapes.

    ``name`` is the kind and its ordinal among nodes of that kind, from 1: conv2d_1, linear_2, add_1. ``inputs`` are
    names of nodes that stand before it, or INPUT for the images: one of a layer, two or more of Add and Concat, each
    another. ``parameters`` (trained) and ``buffers`` (batch norm's running statistics) map full canonical names such as
    ``conv2d_1.weight`` to shapes. FLOPs are of one sample's forward pass, a multiply-add counting as two;
    ``product_flops`` is the share of ``forward_flops`` that is a matrix product, without biases. ``place`` is where
    the architecture has it.
    """

    name: str
    layer: Operation
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    parameters: dict[str, Shape]
    buffers: dict[str, Shape]
    forward_flops: int
    product_flops: int
    place: Place = ()

    @property
    def input_shape(self) -> Shape:
        """The shape of a layer's one input. Raises ValueError for Add and Concat, which have several."""
        (shape,) = self.input_shapes
        return shape

    @property
    def parameter_count(self) -> int:
        """Number of trained scalars."""
        return sum(math.prod(shape) for shape in self.parameters.values())


def consumers(nodes: Iterable[Node]) -> Counter[str]:
    """How many inputs each value is, by name (INPUT among them); 0 for what nobody takes: the logits."""
    return Counter(name for node in nodes for name in node.inputs)


def last_uses(nodes: Sequence[Node]) -> tuple[tuple[str, ...], ...]:
    """For each node the names of the values that no later node takes: an evaluator frees them after it."""
    user = {name: position for position, node in enumerate(nodes) for name in node.inputs}
    freed: list[list[str]] = [[] for _ in nodes]
    for name, position in user.items():
        freed[position].append(name)
    return tuple(map(tuple, freed))


def is_chain(nodes: Sequence[Node]) -> bool:
    """Whether every node takes the one before it and nothing else."""
    names = [INPUT, *(node.name for node in nodes)]
    return all(node.inputs == (before,) for before, node in zip(names, nodes, strict=False))


def place_text(place: Place) -> str:
    """A place as errors have it: layers[4].residual.layers[2]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
