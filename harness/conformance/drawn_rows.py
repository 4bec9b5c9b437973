"""Drawn ways from an image to features over its rows."""

from __future__ import annotations

from harness.conformance.drawing import Draw
from specs import layers as L
from specs.layer_shapes import output_shape
from specs.nest import Item, Residual
from specs.nodes import Shape


def way_over_rows(draw: Draw, shape: Shape, *, nested: bool) -> tuple[list[Item], Shape]:
    """Layers from an image of ``shape`` to features, and the features' shape; ``nested``: one in a residual."""
    hidden = draw.integer(2, 6)
    kinds: tuple[type[L.LSTM] | type[L.GRU], ...] = (L.LSTM, L.GRU)
    first, second = draw.choice(kinds), draw.choice(kinds)
    among: tuple[L.Layer, ...] = (L.Dropout(p=0.2), L.GELU(), L.Softmax())
    layers: list[L.Layer] = [L.Rows(), first(hidden=hidden, return_sequences=True), draw.choice(among)]
    ends: tuple[L.Layer, ...] = (second(hidden=draw.integer(2, 9)), L.Flatten())
    last = draw.choice(ends)
    middle: list[Item] = [Residual(layers=(second(hidden=hidden, return_sequences=True),))] if nested else []
    return [*layers, *middle, last], output_shape(last, (shape[1], hidden))
