"""Drawn ways from an image to features over tokens."""

from __future__ import annotations

from harness.conformance.drawing import Draw
from specs import layers as L
from specs.layer_shapes import output_shape
from specs.nest import Item, Residual
from specs.nodes import Shape


def way_over_tokens(draw: Draw, shape: Shape, *, nested: bool) -> tuple[list[Item], Shape]:
    """Layers from an image of ``shape`` to features, and the features' shape; ``nested``: attention in a residual."""
    heads = draw.integer(1, 3)
    attention = L.MultiHeadAttention(heads=heads, bias=draw.flag(), causal=draw.flag())
    layers: list[L.Layer] = [L.ToTokens(), L.Linear(out_features=heads * draw.integer(2, 4), bias=draw.flag())]
    if draw.flag():
        layers.append(L.ClassToken())
    if draw.flag():
        layers.append(L.PositionEmbedding())
    among: tuple[L.Layer, ...] = (L.LayerNorm(), L.ELU(alpha=0.8), L.LeakyReLU(negative_slope=0.1))
    layers.append(draw.choice(among))
    tokens = shape
    for layer in layers:
        tokens = output_shape(layer, tokens)
    index = draw.choice((0, -1, draw.integer(0, tokens[0] - 1)))
    ends: tuple[L.Layer, ...] = (L.TakeToken(index=index), L.MeanTokens(), L.MeanTokens(), L.Flatten())
    last = draw.choice(ends)
    middle: list[Item] = [Residual(layers=(L.LayerNorm(), attention))] if nested else [attention]
    return [*layers, *middle, last], output_shape(last, tokens)
