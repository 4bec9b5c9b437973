"""Chains and graphs drawn from the layer and nest types of the specs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness.conformance.drawing import Draw
from harness.conformance.drawn_rows import way_over_rows
from harness.conformance.drawn_tokens import way_over_tokens
from specs import layers as L
from specs.architecture import Architecture
from specs.layer_shapes import output_shape
from specs.nest import Branches, Item, Repeat, Residual, Sequence
from specs.nodes import Shape

DEEPEST = 3
"""Nests within one another in a drawn graph."""

ACTIVATIONS: tuple[L.Layer, ...] = (
    *(L.ReLU(), L.LeakyReLU(negative_slope=0.1), L.Tanh(), L.Sigmoid(), L.GELU(), L.Dropout(p=0.3)),
    *(L.ReLU6(), L.SiLU(), L.ELU(alpha=0.8), L.HardSwish()),
)


def chain(draw: Draw) -> Architecture:
    """An image part, the way from an image to features, a part on features, the logits."""
    start = (draw.integer(1, 3), draw.integer(6, 12), draw.integer(6, 12))
    shape: Shape = start
    layers: list[Item] = []
    for _ in range(draw.integer(2, 5)):
        layer = _image_layer(draw, shape)
        # Between two batch norms the first's beta has a gradient of 0: rounding alone would be left to compare.
        while isinstance(layer, L.BatchNorm2d) and layers and isinstance(layers[-1], L.BatchNorm2d):
            layer = _image_layer(draw, shape)
        layers.append(layer)
        shape = output_shape(layer, shape)
    way, shape = _way_to_features(draw, shape, nested=False)
    layers += way
    for _ in range(draw.integer(0, 3)):
        layer = _feature_layer(draw, shape)
        layers.append(layer)
        shape = output_shape(layer, shape)
    return _ended(draw, "drawn", start, tuple(layers))


def _way_to_features(draw: Draw, shape: Shape, *, nested: bool) -> tuple[list[Item], Shape]:
    """From an image to features, and their shape."""
    match draw.choice(("flatten", "flatten", "mean", "rows", "tokens")):
        case "rows":
            return way_over_rows(draw, shape, nested=nested)
        case "tokens":
            return way_over_tokens(draw, shape, nested=nested)
        case kind:
            layer: L.Layer = L.Flatten() if kind == "flatten" else L.GlobalAvgPool()
            return [layer], output_shape(layer, shape)


def _feature_layer(draw: Draw, shape: Shape) -> L.Layer:
    """A linear layer, an activation or, of features enough, a norm."""
    linear = L.Linear(out_features=draw.integer(4, 20), bias=draw.flag())
    return draw.choice((linear, draw.choice(ACTIVATIONS), *_feature_norms(shape)))


def _feature_norms(shape: Shape) -> tuple[L.Layer, ...]:
    return (L.BatchNorm1d(), L.LayerNorm()) if shape[0] >= 4 else ()


def _group_norm(draw: Draw, shape: Shape) -> L.Layer:
    return L.GroupNorm(groups=draw.choice([groups for groups in (1, 2, 3) if shape[0] % groups == 0]))


def _image_layer(draw: Draw, shape: Shape) -> L.Layer:
    """A layer of any kind, or an activation where the image has become too small for it."""
    smallest = min(shape[1:])
    match draw.choice(("conv2d", "conv2d", "batch_norm2d", "max_pool2d", "avg_pool2d", "activation", "group_norm")):
        case "conv2d" if smallest >= 3:
            return L.Conv2d(
                out_channels=draw.integer(2, 6),
                kernel_size=draw.pair(1, 3),
                padding=draw.pair(0, 2),
                stride=draw.choice(((1, 1), (2, 1), (2, 2))),
                bias=draw.flag(),
            )
        case "batch_norm2d" if smallest >= 3:
            return L.BatchNorm2d()
        case "group_norm" if smallest >= 3:
            return _group_norm(draw, shape)
        case "max_pool2d" if smallest >= 4:
            return L.MaxPool2d(kernel_size=draw.choice(((2, 2), (2, 1), (1, 2), (3, 3))), stride=(2, 2))
        case "avg_pool2d" if smallest >= 4:
            padding = draw.choice(((0, 0), (1, 1), (0, 1)))
            return L.AvgPool2d(kernel_size=(2, 2), padding=padding, count_include_pad=draw.flag())
        case _:
            return draw.choice(ACTIVATIONS)


def graph(draw: Draw) -> Architecture:
    """Two nests on images, the first of DEEPEST levels, the way to features, now and then a nest on these."""
    start = (draw.integer(1, 3), draw.integer(6, 9), draw.integer(6, 9))
    shape: Shape = start
    items: list[Item] = []
    for depth in (DEEPEST, draw.integer(1, DEEPEST)):
        target = _target(draw, shape)
        items += [_nest(draw, shape, target, depth), *_sometimes(draw, lambda: draw.choice(ACTIVATIONS))]
        shape = target
    way, features = _way_to_features(draw, shape, nested=True)
    items += way
    items += _sometimes(draw, lambda: _nest(draw, features, (draw.integer(3, 9),), draw.integer(1, 2)))
    return _ended(draw, "graph", start, tuple(items))


def _ended(draw: Draw, name: str, start: tuple[int, int, int], items: Sequence) -> Architecture:
    classes = draw.integer(2, 10)
    logits = L.Linear(out_features=classes, bias=draw.flag())
    return Architecture(name=name, input=start, classes=classes, layers=(*items, logits))


def _sometimes(draw: Draw, make: Callable[[], Item]) -> list[Item]:
    return [make()] if draw.flag() else []


def _target(draw: Draw, shape: Shape) -> Shape:
    """The shape itself, or other channels, half the size or both."""
    channels = shape[0] if draw.flag() else draw.integer(2, 6)
    halve = min(shape[1:]) >= 5 and draw.flag()
    return (channels, *((size + 1) // 2 if halve else size for size in shape[1:]))


def _nest(draw: Draw, shape: Shape, target: Shape, depth: int) -> Item:
    """A nest of ``depth`` levels, at least, that turns ``shape`` into ``target``."""
    path = partial(_path, draw, shape)
    deepest, other = depth - 1, draw.integer(0, depth - 1)
    kinds = ["residual", "add", *(["repeat"] if shape == target else []), *(["concat"] if target[0] > 1 else [])]
    match draw.choice(kinds):
        case "residual":
            shortcut = () if shape == target and draw.flag() else path(target, other)
            return Residual(layers=path(target, deepest), shortcut=shortcut)
        case "add":
            more = [path(target, 0)] if draw.flag() else []
            last = () if shape == target and draw.flag() else path(target, other)
            return Branches(join="add", paths=(path(target, deepest), *more, last))
        case "repeat":
            return Repeat(times=2, layers=path(target, deepest))
        case _:
            first = draw.integer(1, target[0] - 1)
            parts = [(first, *target[1:]), (target[0] - first, *target[1:])]
            identity = parts[1] == shape and draw.flag()
            return Branches(join="concat", paths=(path(parts[0], deepest), () if identity else path(parts[1], other)))


def _path(draw: Draw, shape: Shape, target: Shape, depth: int) -> Sequence:
    """Layers, and where ``depth`` is not 0 a nest, that turn ``shape`` into ``target``."""
    items: list[Item] = _sometimes(draw, lambda: _keeping(draw, shape))
    if depth:
        items.append(_nest(draw, shape, target, depth))
    elif shape != target or not items:
        items.append(_turning(draw, shape, target))
    return (*items, *_sometimes(draw, lambda: _keeping(draw, target)))


def _keeping(draw: Draw, shape: Shape) -> L.Layer:
    """A layer that leaves the shape as it is."""
    activation = draw.choice(ACTIVATIONS)
    if len(shape) == 1:
        linear = L.Linear(out_features=shape[0], bias=draw.flag())
        return draw.choice((activation, linear, *_feature_norms(shape)))
    layers: list[L.Layer] = [
        activation,
        L.Conv2d(out_channels=shape[0], kernel_size=(3, 3), padding=(1, 1), bias=draw.flag()),
        draw.choice(_pools((1, 1))),
    ]
    return draw.choice([*layers, L.BatchNorm2d(), _group_norm(draw, shape)] if min(shape[1:]) >= 3 else layers)


def _turning(draw: Draw, shape: Shape, target: Shape) -> L.Layer:
    """A layer from one shape to the other."""
    if len(shape) == 1:
        return L.Linear(out_features=target[0], bias=draw.flag())
    stride = (1, 1) if shape[1:] == target[1:] else (2, 2)
    kernel, padding = draw.choice((((1, 1), (0, 0)), ((3, 3), (1, 1))))
    conv = L.Conv2d(out_channels=target[0], kernel_size=kernel, stride=stride, padding=padding, bias=draw.flag())
    return draw.choice((conv, *_pools(stride))) if shape[0] == target[0] else conv


def _pools(stride: L.Pair) -> tuple[L.Layer, ...]:
    """Which give what a convolution of kernel 3, padding 1 and this stride gives."""
    return (
        L.MaxPool2d(kernel_size=(3, 3), stride=stride, padding=(1, 1)),
        L.AvgPool2d(kernel_size=(3, 3), stride=stride, padding=(1, 1)),
        L.AvgPool2d(kernel_size=(3, 3), stride=stride, padding=(1, 1), count_include_pad=True),
    )
