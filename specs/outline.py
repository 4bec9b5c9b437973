"""A network's nest beside its nodes, as lines for people to read."""

from __future__ import annotations

from collections.abc import Iterator

from specs import nest
from specs.architecture import Architecture
from specs.nodes import Node
from specs.shapes import infer

Line = tuple[int, str, Node | None]
"""How deep it stands, its text, and the node whose name that is; None where it names a residual, a path, a round."""


def outline(architecture: Architecture) -> Iterator[Line]:
    """Every node in its place in the nest, in order; joins end what they join. No trailing softmax."""
    yield from _sequence(architecture.layers, iter(infer(architecture)), 0)


def _sequence(items: nest.Sequence, nodes: Iterator[Node], depth: int) -> Iterator[Line]:
    for item in items:
        match item:
            case nest.Residual():
                yield depth, "residual", None
                yield from _sequence(item.layers, nodes, depth + 1)
                yield from _path("shortcut", item.shortcut, nodes, depth + 1)
                yield from _next(nodes, depth + 1)
            case nest.Branches():
                yield depth, "branches", None
                for number, path in enumerate(item.paths, start=1):
                    yield from _path(f"path {number}", path, nodes, depth + 1)
                yield from _next(nodes, depth + 1)
            case nest.Repeat():
                for number in range(1, item.times + 1):
                    yield depth, f"repeat, round {number} of {item.times}", None
                    yield from _sequence(item.layers, nodes, depth + 1)
            case _:
                yield from _next(nodes, depth)


def _path(title: str, items: nest.Sequence, nodes: Iterator[Node], depth: int) -> Iterator[Line]:
    yield depth, title if items else f"{title}: identity", None
    yield from _sequence(items, nodes, depth + 1)


def _next(nodes: Iterator[Node], depth: int) -> Iterator[Line]:
    for node in nodes:  # none is left for a trailing softmax
        yield depth, node.name, node
        return
