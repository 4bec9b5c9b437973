"""From an architecture to its nodes, shapes resolved, and what the whole network owns and costs.

Shapes leave the batch axis out. FLOPs are per sample, a multiply-add counting as two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from specs import flops, layer_shapes, nest
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import JOINS, Operation, Softmax
from specs.nodes import INPUT, Node, Place, Shape, place_text

Value = tuple[str, Shape]
"""The name of a node and the shape of what it gives."""


class ShapeMismatch(RequestError):
    """A layer does not suit the shape it is given. ``place`` leads to it within the architecture."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


def infer(architecture: Architecture) -> tuple[Node, ...]:
    """The nodes that training computes, each after its inputs; the last gives the logits.

    A residual's layers come before its shortcut, branches in their order, each followed by the join. A trailing
    softmax is left out: the loss takes logits, and softmax is applied at prediction only.
    Raises ShapeMismatch, a RequestError naming the layer and the shapes, when one does not fit.
    """
    lowering = _Lowering(architecture.name)
    lowering.sequence(architecture.layers, (INPUT, architecture.input), ("layers",))
    nodes = lowering.nodes[:-1] if has_trailing_softmax(architecture) else lowering.nodes
    shape = nodes[-1].output_shape if nodes else architecture.input
    if shape != (architecture.classes,):
        raise ShapeMismatch(
            f"{architecture.name}: the last layer gives shape {list(shape)}, "
            f"but {architecture.classes} classes need [{architecture.classes}]",
            ("layers", len(architecture.layers) - 1),
        )
    return tuple(nodes)


class _Lowering:
    """Makes nodes of sequences, one after another; ``rounds`` says in which round of which repeats it is."""

    def __init__(self, network: str) -> None:
        self.nodes: list[Node] = []
        self._network = network
        self._ordinals: Counter[str] = Counter()
        self._rounds: tuple[str, ...] = ()

    def sequence(self, items: nest.Sequence, value: Value, place: Place) -> Value:
        for index, item in enumerate(items):
            value = self._item(item, value, (*place, index))
        return value

    def _item(self, item: nest.Item, value: Value, place: Place) -> Value:
        inner = (*place, item.kind)
        match item:
            case nest.Residual():
                summands = {
                    "layers": self.sequence(item.layers, value, (*inner, "layers")),
                    f"shortcut{'' if item.shortcut else ' (the identity)'}": self.sequence(
                        item.shortcut, value, (*inner, "shortcut")
                    ),
                }
                return self._join("add", summands, inner)
            case nest.Branches():
                paths = {
                    f"paths[{index}]": self.sequence(path, value, (*inner, "paths", index))
                    for index, path in enumerate(item.paths)
                }
                return self._join(item.join, paths, inner)
            case nest.Repeat():
                around = self._rounds
                for number in range(1, item.times + 1):
                    self._rounds = (*around, f"round {number} of {item.times}")
                    value = self.sequence(item.layers, value, (*inner, "layers"))
                self._rounds = around
                return value
            case _:
                with_place = ", ".join((item.kind, *self._rounds))
                try:
                    output = layer_shapes.output_shape(item, value[1])
                except ValueError as error:
                    raise self._mismatch(place, with_place, str(error)) from None
                return self._node(item, (value,), output, place)

    def _join(self, kind: str, values: dict[str, Value], place: Place) -> Value:
        join = JOINS[kind]()
        try:
            output = layer_shapes.joined_shape(join, {label: shape for label, (_, shape) in values.items()})
        except ValueError as error:
            raise self._mismatch(place, ", ".join((kind, *self._rounds)), str(error)) from None
        return self._node(join, tuple(values.values()), output, place)

    def _mismatch(self, place: Place, what: str, problem: str) -> ShapeMismatch:
        return ShapeMismatch(f"{self._network}: {place_text(place)} ({what}): {problem}", place)

    def _node(self, layer: Operation, inputs: tuple[Value, ...], output: Shape, place: Place) -> Value:
        self._ordinals[layer.kind] += 1
        name = f"{layer.kind}_{self._ordinals[layer.kind]}"
        shapes = tuple(shape for _, shape in inputs)
        self.nodes.append(
            Node(
                name=name,
                layer=layer,
                inputs=tuple(source for source, _ in inputs),
                input_shapes=shapes,
                output_shape=output,
                parameters={f"{name}.{part}": s for part, s in layer_shapes.parameters(layer, shapes[0]).items()},
                buffers={f"{name}.{part}": s for part, s in layer_shapes.buffers(layer, shapes[0]).items()},
                forward_flops=flops.forward_flops(layer, shapes, output),
                product_flops=flops.product_flops(layer, shapes[0], output),
                place=place,
            )
        )
        return name, output


def top_level(architecture: Architecture) -> tuple[tuple[nest.Item, tuple[Node, ...]], ...]:
    """The items of the outermost sequence, its repeats written out, each with its nodes; no trailing softmax."""
    items = nest.unrolled(architecture.layers)
    nodes = infer(replace(architecture, layers=items))
    return tuple(
        (item, tuple(node for node in nodes if node.place[1] == index))
        for index, item in enumerate(items[:-1] if has_trailing_softmax(architecture) else items)
    )


def has_trailing_softmax(architecture: Architecture) -> bool:
    """Whether the last layer is a softmax, which is applied at prediction only."""
    last = architecture.layers[-1]
    while isinstance(last, nest.Repeat):
        last = last.layers[-1]
    return isinstance(last, Softmax)


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Canonical name to shape of every trained parameter, in network order."""
    return {name: shape for node in infer(architecture) for name, shape in node.parameters.items()}


def buffer_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Canonical name to shape of every buffer (running mean and variance), in network order."""
    return {name: shape for node in infer(architecture) for name, shape in node.buffers.items()}


def parameter_count(architecture: Architecture) -> int:
    """Number of trained scalars of the whole network."""
    return sum(node.parameter_count for node in infer(architecture))


def forward_flops(architecture: Architecture) -> int:
    """FLOPs of one forward pass of one sample."""
    return sum(node.forward_flops for node in infer(architecture))


def train_flops(architecture: Architecture) -> int:
    """FLOPs of forward and backward of one sample, matrix products alone: what torch.utils.flop_counter counts.

    Biases, element-wise work, pooling and the optimizer are left out: they are bound by memory.
    """
    forward = sum(node.product_flops for node in infer(architecture))
    return forward + sum(backward_flops(architecture))


def backward_flops(architecture: Architecture) -> tuple[int, ...]:
    """FLOPs of the backward pass of one sample, node by node, matrix products alone.

    A layer costs its product once for the weight gradient and, where a node below has parameters to train, once more
    for the input gradient; recurrent layers and attention as ``flops.backward_product_flops`` has it.
    """
    costs = []
    trained: set[str] = set()  # nodes that have parameters, or stand above some
    for node in infer(architecture):
        trained_below = not trained.isdisjoint(node.inputs)
        shape = node.input_shapes[0]
        costs.append(flops.backward_product_flops(node.layer, shape, node.output_shape, to_input=trained_below))
        if trained_below or node.parameters:
            trained.add(node.name)
    return tuple(costs)
