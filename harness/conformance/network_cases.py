"""Level 2: the bundled architectures, corners of the vocabulary, and networks drawn from all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from harness.conformance.case import NetworkCase, network_case
from harness.conformance.layer_cases import draw
from specs.architecture import Architecture
from specs.layer_shapes import output_shape
from specs.layers import (
    GELU,
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
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.loading import architecture_names, load_architecture
from specs.nodes import Shape

# Few samples: the large networks pass some hundred thousand kinks per sample, and float32 rounding may flip one.
BUNDLED_BATCH = 3
DRAWN_BATCH = 4


def bundled_cases() -> tuple[NetworkCase, ...]:
    """Every architecture that comes with the project."""
    return tuple(network_case(name, load_architecture(name), batch=BUNDLED_BATCH) for name in architecture_names())


def corner_cases() -> tuple[NetworkCase, ...]:
    """Networks that a user may write and that single layers do not show."""
    large = network_case(
        "logits up to several hundred", _network(Flatten(), Linear(out_features=7), classes=7, shape=(2, 3, 3)), batch=4
    )
    return (
        network_case(
            "softmax at the end, which the loss must not see",
            _network(Flatten(), Linear(out_features=5), Softmax(), classes=5, shape=(1, 4, 4)),
            batch=4,
        ),
        network_case(
            "convolution with a bias in front of batch norm",
            _network(
                Conv2d(out_channels=4, kernel_size=(3, 3), padding=(1, 1)),
                BatchNorm2d(),
                ReLU(),
                GlobalAvgPool(),
                Linear(out_features=3),
                classes=3,
                shape=(2, 6, 5),
            ),
            batch=4,
        ),
        replace(large, images=large.images * np.float32(150)),
    )


def drawn_cases(count: int) -> tuple[NetworkCase, ...]:
    """``count`` networks of different layers, drawn by hypothesis, the same in every process."""
    return tuple(
        network_case(f"drawn {number}: {_summary(architecture)}", architecture, batch=DRAWN_BATCH)
        for number, architecture in enumerate(draw(_networks(), count, key=_summary), start=1)
    )


def _network(*layers: Layer, classes: int, shape: tuple[int, int, int]) -> Architecture:
    return Architecture(name="corner", input=shape, classes=classes, layers=layers)


def _summary(architecture: Architecture) -> str:
    return " ".join(layer.kind for layer in architecture.layers)


_activations: st.SearchStrategy[Layer] = st.sampled_from(
    (ReLU(), LeakyReLU(negative_slope=0.1), Tanh(), Sigmoid(), GELU(), Dropout(p=0.3))
)
_image_kinds = st.sampled_from(("conv2d", "conv2d", "batch_norm2d", "max_pool2d", "avg_pool2d", "activation"))


@st.composite
def _networks(draw: st.DrawFn) -> Architecture:
    """An image part, the way from an image to features, a part on features, the logits."""
    start = (draw(st.integers(1, 3)), draw(st.integers(6, 12)), draw(st.integers(6, 12)))
    shape: Shape = start
    layers: list[Layer] = []
    for kind in draw(st.lists(_image_kinds, min_size=2, max_size=5)):
        layer = draw(_image_layer(kind, shape))
        layers.append(layer)
        shape = output_shape(layer, shape)
    bridges: tuple[Layer, ...] = (Flatten(), Flatten(), GlobalAvgPool())
    layers.append(draw(st.sampled_from(bridges)))
    features = st.one_of(_activations, st.builds(Linear, out_features=st.integers(4, 20), bias=st.booleans()))
    layers += draw(st.lists(features, max_size=3))
    classes = draw(st.integers(2, 10))
    layers.append(Linear(out_features=classes, bias=draw(st.booleans())))
    return Architecture(name="drawn", input=start, classes=classes, layers=tuple(layers))


@st.composite
def _image_layer(draw: st.DrawFn, kind: str, shape: Shape) -> Layer:
    """A layer of the kind, or an activation where the image has become too small for it."""
    smallest = min(shape[1:])
    match kind:
        case "conv2d" if smallest >= 3:
            return Conv2d(
                out_channels=draw(st.integers(2, 6)),
                kernel_size=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
                padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
                stride=draw(st.sampled_from(((1, 1), (2, 1), (2, 2)))),
                bias=draw(st.booleans()),
            )
        case "batch_norm2d" if smallest >= 3:
            return BatchNorm2d()
        case "max_pool2d" if smallest >= 4:
            return MaxPool2d(kernel_size=draw(st.sampled_from(((2, 2), (2, 1), (1, 2), (3, 3)))), stride=(2, 2))
        case "avg_pool2d" if smallest >= 4:
            padding = draw(st.sampled_from(((0, 0), (1, 1), (0, 1))))
            return AvgPool2d(kernel_size=(2, 2), padding=padding, count_include_pad=draw(st.booleans()))
        case _:
            return draw(_activations)
