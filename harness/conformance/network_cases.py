"""Level 2: the bundled architectures, corners of the vocabulary, and chains drawn from all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from backends.numpy.session import NumpySession
from harness.conformance import drawn_networks
from harness.conformance.case import NetworkCase, network_case, seeded
from harness.conformance.drawing import distinct
from harness.conformance.judge import told_by_float32
from harness.conformance.kinks import DRAWS, margin
from specs import layers as L
from specs.architecture import Architecture
from specs.loading import load_architecture
from specs.nest import Branches, Item, Residual
from specs.shapes import infer

# Few samples: the large networks pass some hundred thousand kinks per sample, and few batches keep clear of them all.
BUNDLED_BATCH = 3
DRAWN_BATCH = 4


def bundled_cases(names: Sequence[str]) -> tuple[NetworkCase, ...]:
    """Architectures that come with the project."""
    return tuple(_clear_case(name, load_architecture(name)) for name in names)


def _clear_case(name: str, architecture: Architecture) -> NetworkCase:
    """Of DRAWS draws of its images those that the reference passes farthest from any kink.

    A value close to one falls on either side by the order in which a kernel adds: with the same samples in another
    order PyTorch's channels_last convolutions took a value of resnet20 over one that is 4.3e-6 away.
    """
    case = network_case(name, architecture, batch=BUNDLED_BATCH)
    session = NumpySession(case.spec("float64"))
    session.load_parameters(case.parameters)
    generator = seeded(f"{name}, other images")
    draws = generator.standard_normal((DRAWS, *case.images.shape), dtype=np.float32)

    def distance(images: NDArray[np.float32]) -> float:
        return margin(session, architecture, images, dropout_masks=case.dropout_masks)

    return replace(case, images=max(draws, key=distance))


def corner_cases() -> tuple[NetworkCase, ...]:
    """Networks that a user may write and that single layers do not show."""
    large = network_case(
        "logits up to several hundred",
        _network(L.Flatten(), L.Linear(out_features=7), classes=7, shape=(2, 3, 3)),
        batch=4,
    )
    return (
        network_case(
            "softmax at the end, which the loss must not see",
            _network(L.Flatten(), L.Linear(out_features=5), L.Softmax(), classes=5, shape=(1, 4, 4)),
            batch=4,
        ),
        network_case(
            "convolution with a bias in front of batch norm",
            _network(
                L.Conv2d(out_channels=4, kernel_size=(3, 3), padding=(1, 1)),
                L.BatchNorm2d(),
                L.ReLU(),
                L.GlobalAvgPool(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 6, 5),
            ),
            batch=4,
        ),
        network_case(
            "batch norm of one image whose pixels become tokens",
            _network(
                L.BatchNorm2d(),
                L.ToTokens(),
                L.LayerNorm(),
                L.Linear(out_features=3),
                L.MeanTokens(),
                classes=3,
                shape=(4, 5, 6),
            ),
            batch=1,
        ),
        network_case(
            "two max poolings with outputs of one shape",
            _network(
                L.MaxPool2d(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)),
                L.BatchNorm2d(),
                L.MaxPool2d(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)),
                L.Flatten(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 6, 5),
            ),
            batch=4,
        ),
        network_case(
            "a flattened image that a linear layer and a sum take",
            _network(
                L.Flatten(),
                Residual(layers=(L.Linear(out_features=18),)),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 3, 3),
            ),
            batch=4,
        ),
        network_case(
            "a relu that max pooling and average pooling take",
            _network(
                L.Conv2d(out_channels=3, kernel_size=(3, 3), padding=(1, 1)),
                L.ReLU(),
                Branches(join="add", paths=((L.MaxPool2d(kernel_size=(2, 2)),), (L.AvgPool2d(kernel_size=(2, 2)),))),
                L.Flatten(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 6, 4),
            ),
            batch=4,
        ),
        network_case(
            "two relus whose gradient is the same sum's",
            _network(
                Branches(
                    join="add",
                    paths=(
                        (L.Conv2d(out_channels=3, kernel_size=(3, 3)), L.ReLU()),
                        (L.Conv2d(out_channels=3, kernel_size=(3, 3)), L.ReLU()),
                    ),
                ),
                L.GlobalAvgPool(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 6, 4),
            ),
            batch=4,
        ),
        network_case(
            "a leaky relu behind a sum with a convolution",
            _network(
                Residual(layers=(L.Conv2d(out_channels=2, kernel_size=(3, 3), padding=(1, 1)),)),
                L.LeakyReLU(negative_slope=0.01),
                L.GlobalAvgPool(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 6, 4),
            ),
            batch=4,
        ),
        network_case(
            "tokens through all that takes them",
            _network(
                L.Rows(),
                Branches(join="concat", paths=((L.LSTM(hidden=8, return_sequences=True),), ())),
                L.Dropout(p=0.3),
                Residual(layers=(L.GRU(hidden=8, return_sequences=True), L.Softmax())),
                L.Tanh(),
                L.Flatten(),
                L.Linear(out_features=3),
                classes=3,
                shape=(2, 5, 4),
            ),
            batch=4,
        ),
        replace(large, images=large.images * np.float32(150)),
        replace(
            network_case(
                "labels smoothed by a fifth",
                _network(L.Flatten(), L.Linear(out_features=5), classes=5, shape=(2, 3, 3)),
                batch=4,
            ),
            label_smoothing=0.2,
        ),
    )


def drawn_cases(count: int) -> tuple[NetworkCase, ...]:
    """``count`` chains of different layers, the same in every process, of those that float32 can tell.

    (A step may be smaller than the rounding of the parameters that it is taken off.)
    """
    made = enumerate(distinct("chains", drawn_networks.chain, key=_summary), start=1)
    cases = (
        network_case(f"drawn {number}: {_summary(architecture)}", architecture, batch=DRAWN_BATCH)
        for number, architecture in made
    )
    return tuple(islice((case for case in cases if told_by_float32(case, but={"step"})), count))


def _summary(architecture: Architecture) -> str:
    return " ".join(node.layer.kind for node in infer(architecture))


def _network(*layers: Item, classes: int, shape: tuple[int, int, int]) -> Architecture:
    return Architecture(name="corner", input=shape, classes=classes, layers=layers)
