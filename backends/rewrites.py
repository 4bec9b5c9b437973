"""Changes of a network's nodes that leave what it computes as it is, gradients included, and make it faster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from specs.layers import MaxPool2d, ReLU
from specs.nodes import Node, consumers


def relu_after_max_pool(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes with every ReLU that only a max pooling takes moved behind it, to where fewer elements are left.

    The two commute. ReLU is monotonic, so a positive maximum has the same first place before and after it; a window
    without a positive element gives 0 and passes no gradient either way. Names stay; shapes and inputs are those of
    the new order. A ReLU that something else takes as well is needed in full and stays.
    """
    uses = consumers(nodes)
    relus = {node.name: node for node in nodes if isinstance(node.layer, ReLU) and uses[node.name] == 1}
    moved = {
        node.inputs[0]: node.name
        for node in nodes
        if isinstance(node.layer, MaxPool2d)
        and node.inputs[0] in relus
        and math.prod(node.output_shape) < math.prod(node.input_shape)
    }
    behind = {pool: relus[relu] for relu, pool in moved.items()}
    last = {pool: relu.name for pool, relu in behind.items()}  # what those that took the pooling take now
    result = []
    for node in nodes:
        if node.name in moved:
            continue
        relu = behind.get(node.name)
        inputs = relu.inputs if relu else node.inputs
        result.append(replace(node, inputs=tuple(last.get(name, name) for name in inputs)))
        if relu:
            shape = node.output_shape
            result.append(
                replace(
                    relu,
                    inputs=(node.name,),
                    input_shapes=(shape,),
                    output_shape=shape,
                    forward_flops=math.prod(shape),
                )
            )
    return tuple(result)
