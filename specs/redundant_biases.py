"""Biases that a norm takes away again, whose gradient is rounding and nothing else."""

from __future__ import annotations

from specs import layers as L
from specs.architecture import Architecture
from specs.nodes import Node
from specs.optimizers import SGD, Optimizer
from specs.shapes import infer


def redundant_biases(architecture: Architecture) -> dict[str, str]:
    """The biased convolution and linear layers whose output such norms alone take: that layer's name by theirs.

    Batch norm subtracts the mean over the batch, and a bias moves the mean by itself: the loss does not depend on it,
    and its gradient is a sum that is 0 but for rounding (Ioffe & Szegedy 2015, section 3.2, leave it out). So does a
    group norm whose groups are single channels, from each image alone.
    """
    nodes = infer(architecture)
    found: dict[str, str] = {}
    for node in nodes:
        if not isinstance(node.layer, L.Conv2d | L.Linear) or not node.layer.bias:
            continue
        users = [user for user in nodes if node.name in user.inputs]
        if users and all(map(_takes_a_bias_away, users)):
            found[node.name] = users[0].name
    return found


def _takes_a_bias_away(node: Node) -> bool:
    match node.layer:
        case L.BatchNorm2d() | L.BatchNorm1d():
            return True
        case L.GroupNorm(groups=groups):
            return groups == node.input_shape[0]
        case _:
            return False


def decided_by_rounding(architecture: Architecture, optimizer: Optimizer) -> frozenset[str]:
    """The redundant biases, the running means that they shift, and attention's biases of k, moved as rounding has it.

    Plain gradient descent leaves a gradient that is all rounding small; the other optimizers make whole steps of it.
    """
    if isinstance(optimizer, SGD):
        return frozenset()
    redundant = redundant_biases(architecture)
    shifted = {node.name: node.buffers for node in infer(architecture) if redundant.keys() & set(node.inputs)}
    means = {f"{name}.running_mean" for name, buffers in shifted.items() if buffers}
    keys = {name for node in infer(architecture) for name in node.parameters if name.endswith(".key_bias")}
    return frozenset(f"{name}.bias" for name in redundant) | means | keys
