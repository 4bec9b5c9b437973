"""Networks to export: random weights in every layer the specs know."""

from __future__ import annotations

import numpy as np

from harness.export.forms import Trained
from specs import layers as L
from specs.architecture import Architecture
from specs.initializers import HeNormal, Initializer, initial_parameters
from specs.nest import Branches, Residual
from specs.recipe import Preprocessing
from specs.shapes import infer

EVERY_LAYER = Architecture(
    name="every_layer",
    input=(3, 17, 12),
    classes=5,
    layers=(
        L.Conv2d(out_channels=6, kernel_size=(3, 5), stride=(2, 1), padding=(1, 2), bias=False),
        L.BatchNorm2d(epsilon=1e-3),
        L.LeakyReLU(negative_slope=0.2),
        L.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=True),
        L.AvgPool2d(kernel_size=2, stride=1, padding=1),
        L.Tanh(),
        L.Conv2d(out_channels=4, kernel_size=2),
        L.ReLU(),
        L.MaxPool2d(kernel_size=3, stride=2, padding=1),
        L.Conv2d(out_channels=8, kernel_size=(3, 2), groups=4, dilation=(1, 2), padding=((1, 1), (2, 1))),
        L.HardSwish(),
        L.MaxPool2d(kernel_size=2, stride=2, padding=((0, 1), (1, 0)), ceil_mode=True),
        L.ReLU6(),
        L.Dropout(p=0.3),
        L.Flatten(),
        L.Linear(out_features=20),
        L.GELU(),
        L.Linear(out_features=11, bias=False),
        L.Sigmoid(),
        L.SiLU(),
        L.ELU(alpha=0.5),
        L.Softmax(),
        L.Linear(out_features=5),
        L.Softmax(),
    ),
)
POOLED = Architecture(
    name="pooled",
    input=(1, 9, 9),
    classes=3,
    layers=(L.Conv2d(out_channels=3, kernel_size=3), L.GlobalAvgPool()),
)
GRAPH = Architecture(
    name="graph",
    input=(2, 8, 7),
    classes=4,
    layers=(
        Residual(layers=(L.Conv2d(out_channels=2, kernel_size=3, padding=1), L.Dropout(p=0.5))),
        Branches(
            join="concat",
            paths=((), (L.Conv2d(out_channels=3, kernel_size=1), Residual(layers=(L.ReLU(),))), (L.Dropout(p=0.1),)),
        ),
        Branches(join="add", paths=((L.Tanh(),), (), (L.Conv2d(out_channels=7, kernel_size=3, padding=1),))),
        L.GlobalAvgPool(),
        Residual(layers=(L.Linear(out_features=4),), shortcut=(L.Linear(out_features=4, bias=False),)),
        L.Dropout(p=0.2),
    ),
)
RECURRENT = Architecture(
    name="recurrent",
    input=(2, 5, 4),
    classes=3,
    layers=(
        L.Rows(),
        Branches(
            join="concat",
            paths=((L.LSTM(hidden=4, return_sequences=True),), (L.GRU(hidden=4, return_sequences=True),)),
        ),
        L.Softmax(),
        Branches(join="concat", paths=((L.LSTM(hidden=4),), (L.GRU(hidden=3),))),
        L.Linear(out_features=3),
    ),
)
NORMS = Architecture(
    name="norms",
    input=(2, 7, 6),
    classes=4,
    layers=(
        L.Conv2d(out_channels=6, kernel_size=3),
        L.GroupNorm(groups=2, epsilon=1e-3),
        L.ReLU(),
        L.Flatten(),
        L.LayerNorm(epsilon=1e-3),
        L.Linear(out_features=9, bias=False),
        L.BatchNorm1d(epsilon=1e-2),
        L.Linear(out_features=4),
    ),
)
TOKENS = Architecture(
    name="tokens",
    input=(2, 6, 9),
    classes=4,
    layers=(
        L.Conv2d(out_channels=6, kernel_size=3, stride=3),
        L.ToTokens(),
        L.ClassToken(),
        L.PositionEmbedding(),
        Residual(layers=(L.LayerNorm(), L.MultiHeadAttention(heads=2))),
        L.Softmax(),
        Branches(join="concat", paths=((), (L.Linear(out_features=6), L.Dropout(p=0.2)))),
        L.MultiHeadAttention(heads=3, bias=False, causal=True),
        Branches(join="add", paths=((L.TakeToken(index=-1),), (L.TakeToken(index=0),), (L.MeanTokens(),))),
        L.Linear(out_features=4, bias=False),
    ),
)


def trained(architecture: Architecture, seed: int = 0) -> Trained:
    """The network with random weights, and with running statistics unlike those it starts from."""
    parameters = initial_parameters(architecture, Initializer(weights=HeNormal()), seed)
    generator = np.random.default_rng(seed)
    for name in (name for shaped in infer(architecture) for name in shaped.buffers):
        mean = name.endswith("mean")  # around 0: far above it every relu behind would be 0
        low, high = (-0.3, 0.3) if mean else (0.5, 1.5)
        parameters[name] = generator.uniform(low, high, parameters[name].shape).astype(np.float32)
    return Trained(architecture=architecture, parameters=parameters, preprocessing=Preprocessing())


def kinds(*architectures: Architecture) -> set[type]:
    """The layers and joins these are made of; a softmax that trails no further network takes no part."""
    return {type(node.layer) for architecture in architectures for node in infer(architecture)}
