"""Level 1: every layer alone, over its options; fixed cases, and cases drawn from the layer types themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.conformance.case import NetworkCase, described, network_case, seeded
from specs.architecture import Architecture
from specs.layer_shapes import output_shape
from specs.layers import (
    GELU,
    LAYERS,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pair,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.nodes import Shape

HEAD_CLASSES = 6

T = TypeVar("T")

Example = tuple[Layer, Shape, int]
"""A layer, the shape of its input, the batch size."""


def isolated(layer: Layer, shape: Shape) -> Architecture:
    """The smallest network around ``layer`` for an input of ``shape`` ([c, h, w], or [features]).

    A layer with parameters gives the logits itself, flattened. One without is followed by a linear layer: optimizers
    refuse a network that has nothing to train, and the gradient of that layer's weight shows what the layer gave in
    training. So is one of a single channel, whose bias would shift all logits alike and have no gradient but rounding.
    """
    image = len(shape) == 3
    layers: list[Layer] = [layer] if image or isinstance(layer, Flatten) else [Flatten(), layer]
    output = output_shape(layer, shape)
    if len(output) == 3:
        layers.append(Flatten())
    classes = math.prod(output)
    if output[0] < 2 or not isinstance(layer, Conv2d | Linear | BatchNorm2d):
        classes = HEAD_CLASSES
        layers.append(Linear(out_features=classes, bias=False))
    return Architecture(
        name=layer.kind,
        input=(shape[0], shape[1], shape[2]) if image else (shape[0], 1, 1),
        classes=classes,
        layers=tuple(layers),
    )


def layer_case(layer: Layer, shape: Shape, *, batch: int = 3, note: str = "") -> NetworkCase:
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
        case "negative":  # a padded cell that wrongly counts as 0 would win every window
            return -np.abs(images) - 1
        case "wide":  # where saturation sets in, and approximations end
            return images * 4
        case "large":  # saturated activations, and exponentials that overflow unless written with care
            return images * 30
        case "":
            return images
    raise KeyError(note)


def fixed_cases() -> dict[str, tuple[NetworkCase, ...]]:
    """The options crossed by hand, per layer kind; the first of each kind cross most."""
    cases = (
        layer_case(Conv2d(out_channels=2, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)), (3, 7, 5)),
        layer_case(Conv2d(out_channels=3, kernel_size=(5, 5), padding=(2, 2), bias=False), (2, 7, 6), batch=1),
        layer_case(Conv2d(out_channels=4, kernel_size=(3, 3)), (3, 8, 8)),
        layer_case(Conv2d(out_channels=4, kernel_size=(3, 3), padding=(1, 1)), (1, 6, 7), batch=1),
        layer_case(Conv2d(out_channels=3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 8, 8)),
        layer_case(Conv2d(out_channels=3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7)),
        layer_case(Conv2d(out_channels=2, kernel_size=(2, 2), stride=(3, 3)), (2, 9, 8)),
        layer_case(Conv2d(out_channels=3, kernel_size=(1, 4), padding=(0, 2), stride=(1, 2)), (2, 5, 9)),
        layer_case(Conv2d(out_channels=2, kernel_size=(2, 2), padding=(2, 2)), (2, 4, 3)),
        layer_case(Conv2d(out_channels=5, kernel_size=(1, 1), bias=False), (4, 3, 5)),
        layer_case(Conv2d(out_channels=7, kernel_size=(5, 3)), (3, 5, 3)),
        layer_case(Linear(out_features=7), (5,)),
        layer_case(Linear(out_features=4, bias=False), (33,)),
        layer_case(Linear(out_features=9), (1,), batch=1),
        layer_case(MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7), note="ties"),
        layer_case(MaxPool2d(kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)), (2, 6, 7), note="negative"),
        layer_case(MaxPool2d(kernel_size=(2, 2)), (3, 6, 8)),
        layer_case(MaxPool2d(kernel_size=(2, 2)), (2, 7, 5), batch=1),
        layer_case(MaxPool2d(kernel_size=(3, 3), stride=(2, 2)), (3, 9, 7)),
        layer_case(MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 8), note="negative"),
        layer_case(MaxPool2d(kernel_size=(2, 3), stride=(1, 1), padding=(1, 0)), (2, 5, 6)),
        layer_case(MaxPool2d(kernel_size=(2, 2)), (2, 6, 6), note="ties"),
        layer_case(AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 8)),
        layer_case(AvgPool2d(kernel_size=(2, 4), padding=(1, 2), count_include_pad=True), (2, 6, 7)),
        layer_case(AvgPool2d(kernel_size=(2, 2)), (3, 6, 8)),
        layer_case(AvgPool2d(kernel_size=(2, 2)), (2, 7, 5), batch=1),
        layer_case(AvgPool2d(kernel_size=(3, 3), stride=(2, 2)), (3, 9, 7)),
        layer_case(AvgPool2d(kernel_size=(3, 2), stride=(1, 2)), (2, 6, 7)),
        layer_case(AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)), (2, 7, 7)),
        layer_case(AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), count_include_pad=True), (2, 7, 8)),
        layer_case(AvgPool2d(kernel_size=(2, 3), stride=(1, 1), padding=(1, 0)), (2, 5, 6)),
        layer_case(GlobalAvgPool(), (3, 5, 4)),
        layer_case(GlobalAvgPool(), (2, 1, 7), batch=1),
        layer_case(BatchNorm2d(momentum=0.3, epsilon=1e-3), (2, 5, 4)),
        layer_case(BatchNorm2d(momentum=1.0, epsilon=0.5), (3, 2, 3), batch=4),
        layer_case(BatchNorm2d(), (3, 4, 5)),
        layer_case(BatchNorm2d(), (2, 3, 3), batch=1),
        layer_case(Dropout(p=0.3), (3, 4, 5)),
        layer_case(Dropout(p=0.8), (40,)),
        layer_case(Dropout(p=0.0), (12,), batch=1),
        layer_case(Flatten(), (3, 4, 5)),
        layer_case(ReLU(), (3, 4, 5), note="zeros"),
        layer_case(ReLU(), (30,)),
        layer_case(LeakyReLU(negative_slope=0.2), (3, 4, 5), note="zeros"),
        layer_case(LeakyReLU(), (30,)),
        layer_case(LeakyReLU(negative_slope=0.0), (30,), note="zeros"),
        layer_case(Tanh(), (30,), note="wide"),
        layer_case(Tanh(), (3, 4, 5)),
        layer_case(Tanh(), (30,), note="large"),
        layer_case(Sigmoid(), (30,), note="wide"),
        layer_case(Sigmoid(), (3, 4, 5)),
        layer_case(Sigmoid(), (30,), note="large"),
        layer_case(GELU(), (30,), note="wide"),
        layer_case(GELU(), (3, 4, 5)),
        layer_case(GELU(), (30,), note="large"),
        layer_case(Softmax(), (3, 4, 5)),
        layer_case(Softmax(), (30,), note="large"),
        layer_case(Softmax(), (30,)),
    )
    return _by_kind(cases)


def drawn_cases(per_kind: int) -> dict[str, tuple[NetworkCase, ...]]:
    """``per_kind`` cases for every kind of layer that has options, drawn by hypothesis, the same in every process."""
    cases = (
        layer_case(layer, shape, batch=batch)
        for strategy in _STRATEGIES.values()
        for layer, shape, batch in draw(strategy, per_kind)
    )
    return _by_kind(cases)


def _by_kind(cases: Iterator[NetworkCase] | tuple[NetworkCase, ...]) -> dict[str, tuple[NetworkCase, ...]]:
    grouped: dict[str, list[NetworkCase]] = {kind: [] for kind in LAYERS}
    for case in cases:
        grouped[case.architecture.name].append(case)
    return {kind: tuple(found) for kind, found in grouped.items()}


def draw(strategy: st.SearchStrategy[T], count: int, *, key: Callable[[T], str] = repr) -> list[T]:
    """``count`` examples that differ in ``key``, the same in every process: hypothesis derandomised, no database."""
    if count == 0:
        return []
    drawn: dict[str, T] = {}

    @settings(
        max_examples=12 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        drawn.setdefault(key(example), example)

    collect()
    # Neighbours differ little, for hypothesis varies what it drew before: take examples from all over the list.
    found = list(drawn.values())
    return [found[(2 * index + 1) * len(found) // (2 * count)] for index in range(count)]


def _fits(example: Example) -> bool:
    layer, shape, _ = example
    try:
        output_shape(layer, shape)
    except ValueError:
        return False
    return True


def _strides() -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def _windows(draw: st.DrawFn) -> dict[str, Pair]:
    """Kernel, stride and a padding of at most half the kernel."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.tuples(*(st.integers(0, size // 2) for size in kernel)))
    return {"kernel_size": kernel, "stride": draw(_strides()), "padding": padding}


def _examples(layers: st.SearchStrategy[Layer], *, least_size: int = 1) -> st.SearchStrategy[Example]:
    """Layers on images of every size up to 4x9x9 that they fit."""
    sizes = st.integers(least_size, 9)
    shapes = st.tuples(st.integers(1, 4), sizes, sizes)
    return st.tuples(layers, shapes, st.integers(1, 4)).filter(_fits)


_STRATEGIES: dict[str, st.SearchStrategy[Example]] = {
    "conv2d": _examples(
        st.builds(
            Conv2d,
            out_channels=st.integers(1, 5),
            kernel_size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
            stride=_strides(),
            padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
            bias=st.booleans(),
        )
    ),
    "linear": st.tuples(
        st.builds(Linear, out_features=st.integers(1, 40), bias=st.booleans()),
        st.tuples(st.integers(1, 60)),
        st.integers(1, 9),
    ),
    "max_pool2d": _examples(st.builds(lambda window: MaxPool2d(**window), _windows())),
    "avg_pool2d": _examples(
        st.builds(lambda window, counted: AvgPool2d(count_include_pad=counted, **window), _windows(), st.booleans())
    ),
    # Of two or three values per channel batch norm leaves almost nothing: their gradient is all cancellation.
    "batch_norm2d": _examples(
        st.builds(BatchNorm2d, momentum=st.sampled_from((0.01, 0.1, 0.5)), epsilon=st.sampled_from((1e-5, 1e-3))),
        least_size=3,
    ),
    "leaky_relu": _examples(st.builds(LeakyReLU, negative_slope=st.sampled_from((0.05, 0.3, 0.9)))),
    "dropout": _examples(st.builds(Dropout, p=st.sampled_from((0.1, 0.5, 0.9)))),
}
