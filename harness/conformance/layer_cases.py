"""Level 1: every layer alone, over its options crossed by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.conformance.case import NetworkCase, described, network_case, seeded
from specs import layers as L
from specs.architecture import Architecture
from specs.layer_shapes import feature_axis, output_shape, parameters
from specs.nodes import Shape

HEAD_CLASSES = 6
HEAD = L.Linear(out_features=HEAD_CLASSES, bias=False)


def isolated(layer: L.Layer, shape: Shape) -> Architecture:
    """The smallest network around ``layer`` for an input of ``shape``: [c, h, w], [tokens, features] or [features].

    A layer with parameters gives the logits itself, flattened. One without is followed by a linear layer: optimizers
    refuse a network that has nothing to train, and the gradient of that layer's weight shows what the layer gave in
    training. So is one of a single channel or feature, whose bias would shift all logits alike and have no gradient but
    rounding.
    """
    image = {1: (*shape, 1, 1), 2: (1, *shape)}.get(len(shape), shape)
    output = output_shape(layer, shape)
    headed = output[feature_axis(output) - 1] < 2 or not parameters(layer, shape)
    return Architecture(
        name=layer.kind,
        input=(image[0], image[1], image[2]),
        classes=HEAD_CLASSES if headed else math.prod(output),
        layers=(*from_image(layer, shape), *([HEAD] if headed else [])),
    )


def from_image(layer: L.Layer, shape: Shape) -> tuple[L.Layer, ...]:
    """``layer`` behind what makes of an image as many axes as its input of ``shape`` has; its output flattened."""
    before: dict[int, tuple[L.Layer, ...]] = {1: (L.Flatten(),), 2: (L.Rows(),), 3: ()}
    behind = (L.Flatten(),) if len(output_shape(layer, shape)) > 1 else ()
    return (*before[len(shape)], layer, *behind)


def layer_case(layer: L.Layer, shape: Shape, *, batch: int = 3, note: str = "") -> NetworkCase:
    """A layer in isolation. ``note`` asks for special data: see ``_images``."""
    architecture = isolated(layer, shape)
    size = "x".join(map(str, (batch, *shape)))
    name = f"{described(layer)} on {size}{f', {note}' if note else ''}"
    return network_case(name, architecture, batch=batch, images=_images(name, (batch, *architecture.input), note))


def _images(name: str, shape: Shape, note: str) -> NDArray[np.float32]:
    images = seeded(f"images of {name}").standard_normal(shape, dtype=np.float32)
    match note:
        case "ties" | "zeros":  # few distinct values: equal maxima in most windows, exact zeros for the activations
            return np.round(images)
        case "six":  # exactly at the kinks of what is cut off at 3 and 6, among other places
            return np.round(images * 4)
        case "negative":  # a padded cell that wrongly counts as 0 would win every window
            return -np.abs(images) - 1
        case "wide":  # where saturation sets in, and approximations end
            return images * 4
        case "large":  # saturated activations, and exponentials that overflow unless written with care
            return images * 30
        case "far":  # where a mean that is rounded leaves something of what it should take away
            return images * 1e4
        case "shifted":  # where a variance as the difference of two means of squares has lost its digits
            return images + 30
        case "":
            return images
    raise KeyError(note)


def fixed_cases(families: Iterable[str] | None = None) -> dict[str, tuple[NetworkCase, ...]]:
    """The options crossed by hand, per layer kind; the first three of each kind cross most, and take tokens too.

    The first is evaluated after its step. Of some FAMILIES, or of all.
    """
    made = by_kind(case for name in families or FAMILIES for case in FAMILIES[name]())
    found = {kind: cases for kind, cases in made.items() if cases}
    return {kind: (replace(first, evaluated_after=True), *others) for kind, (first, *others) in found.items()}


def _convolutions() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.Conv2d(out_channels=2, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)), (3, 7, 5)),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(5, 5), padding=(2, 2), bias=False), (2, 7, 6), batch=1),
        layer_case(
            L.Conv2d(out_channels=6, kernel_size=(3, 2), padding=((2, 1), (0, 1)), groups=2, dilation=(2, 1)), (4, 7, 6)
        ),
        layer_case(L.Conv2d(out_channels=4, kernel_size=(3, 3)), (3, 8, 8)),
        layer_case(L.Conv2d(out_channels=4, kernel_size=(3, 3), padding=(1, 1)), (1, 6, 7), batch=1),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 8, 8)),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7)),
        layer_case(L.Conv2d(out_channels=2, kernel_size=(2, 2), stride=(3, 3)), (2, 9, 8)),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(1, 4), padding=(0, 2), stride=(1, 2)), (2, 5, 9)),
        layer_case(L.Conv2d(out_channels=2, kernel_size=(2, 2), padding=(2, 2)), (2, 4, 3)),
        layer_case(L.Conv2d(out_channels=5, kernel_size=(1, 1), bias=False), (4, 3, 5)),
        layer_case(L.Conv2d(out_channels=7, kernel_size=(5, 3)), (3, 5, 3)),
        layer_case(L.Conv2d(out_channels=4, kernel_size=(3, 3), padding=(1, 1), groups=4, bias=False), (4, 6, 5)),
        layer_case(L.Conv2d(out_channels=6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=3), (3, 7, 8)),
        layer_case(L.Conv2d(out_channels=6, kernel_size=(3, 2), stride=(2, 1), groups=3), (3, 7, 6)),
        layer_case(L.Conv2d(out_channels=4, kernel_size=(2, 3), padding=(1, 1), groups=4, dilation=(2, 2)), (4, 7, 6)),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(3, 3), stride=(2, 1), dilation=(2, 3)), (2, 9, 8)),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(3, 3), dilation=(2, 2), padding=(2, 2)), (2, 6, 7), batch=1),
        layer_case(L.Conv2d(out_channels=3, kernel_size=(4, 3), padding=((1, 2), (0, 1))), (2, 6, 7)),
    )


def _poolings() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7), note="ties"),
        layer_case(L.MaxPool2d(kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)), (2, 6, 7), note="negative"),
        layer_case(
            L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=((0, 1), (1, 0)), ceil_mode=True),
            (2, 6, 7),
            note="negative",
        ),
        layer_case(L.MaxPool2d(kernel_size=(2, 2)), (3, 6, 8)),
        layer_case(L.MaxPool2d(kernel_size=(2, 2)), (2, 7, 5), batch=1),
        layer_case(L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2)), (3, 9, 7)),
        layer_case(L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 8), note="negative"),
        layer_case(L.MaxPool2d(kernel_size=(2, 3), stride=(1, 1), padding=(1, 0)), (2, 5, 6)),
        layer_case(L.MaxPool2d(kernel_size=(2, 2)), (2, 6, 6), note="ties"),
        layer_case(L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2), ceil_mode=True), (2, 6, 8), note="negative"),
        layer_case(L.MaxPool2d(kernel_size=(2, 2), padding=(1, 1), ceil_mode=True), (2, 5, 6)),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 8)),
        layer_case(L.AvgPool2d(kernel_size=(2, 4), padding=(1, 2), count_include_pad=True), (2, 6, 7)),
        layer_case(
            L.AvgPool2d(
                kernel_size=(3, 2), stride=(2, 2), padding=((0, 1), (1, 0)), count_include_pad=True, ceil_mode=True
            ),
            (2, 7, 7),
        ),
        layer_case(L.AvgPool2d(kernel_size=(2, 2)), (3, 6, 8)),
        layer_case(L.AvgPool2d(kernel_size=(2, 2)), (2, 7, 5), batch=1),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2)), (3, 9, 7)),
        layer_case(L.AvgPool2d(kernel_size=(3, 2), stride=(1, 2)), (2, 6, 7)),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7)),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), count_include_pad=True), (2, 7, 8)),
        layer_case(L.AvgPool2d(kernel_size=(2, 3), stride=(1, 1), padding=(1, 0)), (2, 5, 6)),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2), ceil_mode=True), (2, 6, 8)),
        layer_case(L.AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=((1, 0), (0, 1))), (2, 6, 7)),
        layer_case(L.AvgPool2d(kernel_size=(3, 2), padding=(1, 1), count_include_pad=True, ceil_mode=True), (2, 6, 6)),
        layer_case(L.AvgPool2d(kernel_size=(2, 2), padding=((0, 1), (0, 1)), count_include_pad=True), (2, 5, 6)),
        layer_case(L.GlobalAvgPool(), (3, 5, 4)),
        layer_case(L.GlobalAvgPool(), (2, 1, 7), batch=1),
    )


def _norms() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.BatchNorm2d(momentum=0.3, epsilon=1e-3), (2, 5, 4)),
        layer_case(L.BatchNorm2d(momentum=1.0, epsilon=0.5), (3, 2, 3), batch=4),
        layer_case(L.BatchNorm2d(), (3, 4, 5)),
        layer_case(L.BatchNorm2d(), (2, 3, 3), batch=1),
        layer_case(L.BatchNorm1d(momentum=0.3, epsilon=1e-3), (5,), batch=7),
        layer_case(L.BatchNorm1d(), (20,), batch=5),
        layer_case(L.BatchNorm1d(momentum=1.0, epsilon=0.5), (3,), batch=4),
        layer_case(L.BatchNorm1d(), (1,), batch=9),
        layer_case(L.LayerNorm(), (12,)),
        layer_case(L.LayerNorm(epsilon=0.3), (7,), batch=1),
        layer_case(L.LayerNorm(), (5, 6)),
        layer_case(L.LayerNorm(), (1,), note="far"),
        layer_case(L.LayerNorm(epsilon=1e-3), (33,), note="shifted"),
        layer_case(L.LayerNorm(), (7, 1), note="far"),
        layer_case(L.GroupNorm(groups=2), (6, 5, 4)),
        layer_case(L.GroupNorm(groups=4), (4, 3, 5), batch=1),
        layer_case(L.GroupNorm(groups=1, epsilon=0.3), (3, 4, 2)),
        layer_case(L.GroupNorm(groups=2, epsilon=1e-3), (4, 4, 5), note="shifted"),
        layer_case(L.GroupNorm(groups=3), (3, 1, 1), batch=1, note="far"),
    )


def _activations() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.ReLU(), (3, 4, 5), note="zeros"),
        layer_case(L.ReLU(), (30,)),
        layer_case(L.LeakyReLU(negative_slope=0.2), (3, 4, 5), note="zeros"),
        layer_case(L.LeakyReLU(), (30,)),
        layer_case(L.LeakyReLU(negative_slope=0.0), (30,), note="zeros"),
        layer_case(L.Tanh(), (30,), note="wide"),
        layer_case(L.Tanh(), (3, 4, 5)),
        layer_case(L.Tanh(), (30,), note="large"),
        layer_case(L.Sigmoid(), (30,), note="wide"),
        layer_case(L.Sigmoid(), (3, 4, 5)),
        layer_case(L.Sigmoid(), (30,), note="large"),
        layer_case(L.GELU(), (30,), note="wide"),
        layer_case(L.GELU(), (3, 4, 5)),
        layer_case(L.GELU(), (3, 5)),
        layer_case(L.GELU(), (30,), note="large"),
        layer_case(L.ReLU6(), (30,), note="six"),
        layer_case(L.ReLU6(), (3, 4, 5), note="wide"),
        layer_case(L.SiLU(), (30,), note="wide"),
        layer_case(L.SiLU(), (3, 4, 5)),
        layer_case(L.SiLU(), (30,), note="large"),
        layer_case(L.ELU(alpha=0.7), (3, 4, 5), note="zeros"),
        layer_case(L.ELU(), (30,), note="wide"),
        layer_case(L.ELU(alpha=1.5), (30,), note="large"),
        layer_case(L.HardSwish(), (30,), note="six"),
        layer_case(L.HardSwish(), (3, 4, 5)),
        layer_case(L.Softmax(), (3, 4, 5)),
        layer_case(L.Softmax(), (30,), note="large"),
        layer_case(L.Softmax(), (4, 7)),
        layer_case(L.Softmax(), (30,)),
    )


def _features() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.Linear(out_features=7), (5,)),
        layer_case(L.Linear(out_features=4, bias=False), (33,)),
        layer_case(L.Linear(out_features=3), (4, 5)),
        layer_case(L.Linear(out_features=9), (1,), batch=1),
        layer_case(L.Linear(out_features=6, bias=False), (3, 7), batch=1),
        layer_case(L.Dropout(p=0.3), (3, 4, 5)),
        layer_case(L.Dropout(p=0.8), (40,)),
        layer_case(L.Dropout(p=0.4), (5, 6)),
        layer_case(L.Dropout(p=0.0), (12,), batch=1),
        layer_case(L.Flatten(), (3, 4, 5)),
        layer_case(L.Flatten(), (4, 6)),
    )


def _recurrent() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.Rows(), (3, 4, 5)),
        layer_case(L.Rows(), (1, 5, 3), batch=1),
        layer_case(L.LSTM(hidden=5), (4, 3)),
        layer_case(L.LSTM(hidden=3, return_sequences=True), (5, 4), note="wide"),
        layer_case(L.LSTM(hidden=4), (1, 6), batch=1),
        layer_case(L.LSTM(hidden=1, return_sequences=True), (3, 1)),
        layer_case(L.LSTM(hidden=6), (12, 2), note="large"),
        layer_case(L.GRU(hidden=5), (4, 3)),
        layer_case(L.GRU(hidden=3, return_sequences=True), (5, 4), note="wide"),
        layer_case(L.GRU(hidden=4), (1, 6), batch=1),
        layer_case(L.GRU(hidden=1, return_sequences=True), (3, 1)),
        layer_case(L.GRU(hidden=6), (12, 2), note="wide"),
    )


def _tokens() -> tuple[NetworkCase, ...]:
    return (
        layer_case(L.ToTokens(), (3, 4, 5)),
        layer_case(L.ToTokens(), (5, 1, 3), batch=1),
        layer_case(L.ClassToken(), (4, 6)),
        layer_case(L.ClassToken(), (1, 3), batch=1),
        layer_case(L.PositionEmbedding(), (4, 6)),
        layer_case(L.PositionEmbedding(), (1, 5), batch=1),
        layer_case(L.MultiHeadAttention(heads=2), (5, 8)),
        layer_case(L.MultiHeadAttention(heads=4, causal=True), (6, 8), note="wide"),
        layer_case(L.MultiHeadAttention(heads=1, bias=False), (7, 6), batch=1),
        layer_case(L.MultiHeadAttention(heads=3, bias=False, causal=True), (4, 12)),
        layer_case(L.MultiHeadAttention(heads=2), (9, 10), note="wide"),
        layer_case(L.TakeToken(index=0), (4, 6)),
        layer_case(L.TakeToken(index=-1), (5, 3), batch=1),
        layer_case(L.TakeToken(index=2), (5, 4)),
        layer_case(L.MeanTokens(), (4, 6)),
        layer_case(L.MeanTokens(), (1, 7), batch=1),
    )


FAMILIES = {
    "convolutions": _convolutions,
    "poolings": _poolings,
    "norms": _norms,
    "activations": _activations,
    "features": _features,
    "recurrent": _recurrent,
    "tokens": _tokens,
}
"""What makes the cases of kinds that belong together, by name."""


def by_kind(cases: Iterable[NetworkCase]) -> dict[str, tuple[NetworkCase, ...]]:
    grouped: dict[str, list[NetworkCase]] = {kind: [] for kind in L.LAYERS}
    for case in cases:
        grouped[case.architecture.name].append(case)
    return {kind: tuple(found) for kind, found in grouped.items()}
