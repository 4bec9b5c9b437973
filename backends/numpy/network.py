"""Forward and backward through the nodes of a network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, check_names
from backends.numpy.computed import Computed
from backends.numpy.layers import forward
from specs.layers import Add, Concat, Dropout, Join
from specs.nodes import INPUT, Node, last_uses

Array = NDArray[Any]
Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Joined:
    """The output of Add or Concat, and the map of its loss gradient to those of the inputs, in their order."""

    output: Array
    input_gradients: Callable[[Array], Sequence[Array]]


Step = Computed | Joined


class Network:
    """Nodes, to be evaluated with any values of their parameters and buffers."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._freed = last_uses(self.nodes)
        self._trained = [name for node in self.nodes for name in node.parameters]
        self._above: set[str] = set()  # nodes with parameters and all that stand above some
        for node in self.nodes:
            if node.parameters or not self._above.isdisjoint(node.inputs):
                self._above.add(node.name)

    def steps(
        self, values: Arrays, images: Array, *, training: bool, dropout_masks: Masks
    ) -> Iterator[tuple[Node, Step]]:
        """Every node with what it computes, in order; what no later node takes is let go of."""
        if training:
            check_names(self._mask_shapes(len(images)), dropout_masks)
        outputs = {INPUT: images}
        for node, freed in zip(self.nodes, self._freed, strict=True):
            names = (*node.parameters, *node.buffers)
            parts = {name.removeprefix(f"{node.name}."): values[name] for name in names}
            mask = dropout_masks.get(node.name) if training else None
            step = self.step(node, [outputs[name] for name in node.inputs], parts, training=training, mask=mask)
            outputs[node.name] = step.output
            for name in freed:
                del outputs[name]
            yield node, step

    def step(
        self, node: Node, inputs: Sequence[Array], parts: Arrays, *, training: bool, mask: NDArray[np.bool_] | None
    ) -> Step:
        """What one node computes of its inputs, with its own parameters and buffers by their last names."""
        if isinstance(node.layer, Join):
            return join(node.layer, inputs)
        return forward(node.layer, inputs[0], parts, training=training, mask=mask)

    def gradients(self, steps: Sequence[tuple[Node, Step]], logits_gradient: Array, *, to_images: bool) -> Arrays:
        """The loss gradient of every parameter, in network order, and ``to_images`` that of the images under INPUT.

        Where a value is taken more than once, its gradients add up.
        """
        pending = {self.nodes[-1].name: logits_gradient}
        found: Arrays = {}
        for node, step in reversed(steps):
            gradient = pending.pop(node.name, None)
            if gradient is None:  # nothing below it is trained
                continue
            if isinstance(step, Computed):
                found |= {f"{node.name}.{part}": g for part, g in step.parameter_gradients(gradient).items()}
            if to_images or not self._above.isdisjoint(node.inputs):
                parts = step.input_gradients(gradient) if isinstance(step, Joined) else (step.input_gradient(gradient),)
                for name, part in zip(node.inputs, parts, strict=True):
                    pending[name] = pending[name] + part if name in pending else part
        named = {name: found[name] for name in self._trained}
        return {**named, INPUT: pending[INPUT]} if to_images else named

    def draw_masks(self, generator: np.random.Generator, batch: int) -> dict[str, NDArray[np.bool_]]:
        """A mask per dropout layer, bool[batch, *output_shape], True (keep) with probability 1 - p."""
        return {
            node.name: generator.random((batch, *node.output_shape)) >= node.layer.p
            for node in self.nodes
            if isinstance(node.layer, Dropout)
        }

    def _mask_shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        return {node.name: (batch, *node.output_shape) for node in self.nodes if isinstance(node.layer, Dropout)}


def join(layer: Join, inputs: Sequence[Array]) -> Joined:
    """Add or concatenate arrays [n, ...]."""
    match layer:
        case Add():
            return Joined(sum(inputs[1:], inputs[0]), lambda dy: [dy] * len(inputs))
        case Concat():
            ends = list(itertools.accumulate(x.shape[layer.axis] for x in inputs))[:-1]
            return Joined(np.concatenate(inputs, layer.axis), lambda dy: np.split(dy, ends, layer.axis))
