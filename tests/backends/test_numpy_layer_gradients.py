"""The reference's gradients are the derivatives of its outputs: finite differences on every layer and option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from backends.numpy.layers import cross_entropy, forward
from specs import layers as L
from specs.layer_shapes import output_shape
from tests.backends.numerics import finite_difference, parameter_values, relative_error, separated
from tests.backends.strategies import windowed

# The stencil's own error is about 3e-14 * f''''' + 2e-13 * |f| (see numerics), f being a sum of up to 300 terms whose
# gradient has a norm of the same size: 1e-10 leaves two digits. A wrong term in a formula is wrong in the first digits.
TOLERANCE = 1e-10

CASES: dict[str, tuple[L.Layer, tuple[int, ...]]] = {
    "conv2d": (L.Conv2d(out_channels=3, kernel_size=3), (2, 2, 5, 5)),
    "conv2d kernel 1": (L.Conv2d(out_channels=3, kernel_size=1), (2, 2, 3, 3)),
    "conv2d kernel = image": (L.Conv2d(out_channels=3, kernel_size=(4, 3)), (2, 2, 4, 3)),
    "conv2d padding": (L.Conv2d(out_channels=2, kernel_size=3, padding=1), (2, 3, 4, 4)),
    "conv2d padding beyond kernel": (L.Conv2d(out_channels=2, kernel_size=2, padding=3), (2, 2, 3, 3)),
    "conv2d padding on one axis": (L.Conv2d(out_channels=2, kernel_size=3, padding=(0, 2)), (2, 2, 4, 3)),
    "conv2d stride": (L.Conv2d(out_channels=2, kernel_size=2, stride=2), (2, 2, 6, 6)),
    "conv2d stride, rest left over": (L.Conv2d(out_channels=2, kernel_size=3, stride=2), (2, 2, 6, 8)),
    "conv2d stride beyond kernel": (L.Conv2d(out_channels=2, kernel_size=2, stride=3), (2, 2, 7, 8)),
    "conv2d unequal strides, padding": (
        L.Conv2d(out_channels=2, kernel_size=3, stride=(1, 2), padding=1),
        (2, 2, 5, 7),
    ),
    "conv2d rectangular": (L.Conv2d(out_channels=2, kernel_size=(1, 4), padding=(0, 1)), (2, 2, 3, 5)),
    "conv2d rectangular all": (
        L.Conv2d(out_channels=2, kernel_size=(4, 2), stride=(2, 3), padding=(2, 1)),
        (3, 2, 5, 7),
    ),
    "conv2d no bias": (L.Conv2d(out_channels=2, kernel_size=3, bias=False), (2, 2, 4, 4)),
    "conv2d batch 1": (L.Conv2d(out_channels=2, kernel_size=3, padding=1), (1, 2, 5, 3)),
    "conv2d one channel to one": (L.Conv2d(out_channels=1, kernel_size=3), (1, 1, 3, 3)),
    "conv2d depthwise": (L.Conv2d(out_channels=6, kernel_size=3, padding=1, groups=3), (2, 3, 4, 4)),
    "conv2d groups, dilation, one-sided": (
        L.Conv2d(out_channels=4, kernel_size=(3, 2), groups=2, dilation=(2, 1), padding=((2, 1), (0, 1))),
        (2, 4, 5, 4),
    ),
    "conv2d dilation and stride": (L.Conv2d(out_channels=2, kernel_size=2, stride=2, dilation=(2, 3)), (2, 2, 7, 7)),
    "linear": (L.Linear(out_features=4), (3, 5)),
    "linear no bias": (L.Linear(out_features=4, bias=False), (3, 5)),
    "linear batch 1": (L.Linear(out_features=2), (1, 7)),
    "linear one to one": (L.Linear(out_features=1), (2, 1)),
    "max_pool2d": (L.MaxPool2d(kernel_size=2), (2, 3, 4, 4)),
    "max_pool2d, rest left over": (L.MaxPool2d(kernel_size=2), (2, 2, 5, 7)),
    "max_pool2d overlapping": (L.MaxPool2d(kernel_size=3, stride=2), (2, 2, 7, 7)),
    "max_pool2d overlapping, padding": (L.MaxPool2d(kernel_size=3, stride=1, padding=1), (2, 2, 4, 5)),
    "max_pool2d stride beyond kernel": (L.MaxPool2d(kernel_size=2, stride=3), (2, 2, 8, 7)),
    "max_pool2d rectangular all": (L.MaxPool2d(kernel_size=(2, 4), stride=(1, 3), padding=(1, 2)), (2, 2, 4, 6)),
    "max_pool2d batch 1": (L.MaxPool2d(kernel_size=(3, 1)), (1, 1, 5, 3)),
    "max_pool2d ceil": (L.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True), (2, 2, 6, 4)),
    "max_pool2d one-sided": (L.MaxPool2d(kernel_size=3, stride=2, padding=((0, 1), (1, 0))), (2, 2, 6, 5)),
    "avg_pool2d ceil, counted": (
        L.AvgPool2d(kernel_size=3, stride=2, padding=((1, 0), (0, 1)), ceil_mode=True, count_include_pad=True),
        (2, 2, 6, 6),
    ),
    "avg_pool2d": (L.AvgPool2d(kernel_size=2), (2, 3, 4, 4)),
    "avg_pool2d, rest left over": (L.AvgPool2d(kernel_size=2), (2, 2, 5, 7)),
    "avg_pool2d overlapping": (L.AvgPool2d(kernel_size=3, stride=2), (2, 2, 7, 7)),
    "avg_pool2d padding excluded": (L.AvgPool2d(kernel_size=3, stride=2, padding=1), (2, 2, 5, 6)),
    "avg_pool2d padding counted": (
        L.AvgPool2d(kernel_size=3, stride=2, padding=1, count_include_pad=True),
        (2, 2, 5, 6),
    ),
    "avg_pool2d rectangular all": (L.AvgPool2d(kernel_size=(2, 4), stride=(1, 3), padding=(1, 2)), (2, 2, 4, 6)),
    "avg_pool2d batch 1": (L.AvgPool2d(kernel_size=(3, 1)), (1, 1, 5, 3)),
    "global_avg_pool": (L.GlobalAvgPool(), (2, 3, 4, 5)),
    "global_avg_pool one pixel, batch 1": (L.GlobalAvgPool(), (1, 3, 1, 1)),
    "batch_norm2d": (L.BatchNorm2d(), (3, 2, 3, 4)),
    "batch_norm2d large epsilon": (L.BatchNorm2d(epsilon=0.3, momentum=0.7), (3, 2, 3, 4)),
    "batch_norm2d batch 1": (L.BatchNorm2d(), (1, 2, 3, 3)),
    "batch_norm2d one pixel": (L.BatchNorm2d(epsilon=0.1), (4, 3, 1, 1)),
    "batch_norm2d two values": (L.BatchNorm2d(epsilon=0.2), (2, 2, 1, 1)),
    "dropout": (L.Dropout(p=0.3), (4, 12)),
    "dropout on an image": (L.Dropout(p=0.5), (2, 3, 4, 4)),
    "dropout p 0": (L.Dropout(p=0.0), (2, 5)),
    "flatten": (L.Flatten(), (2, 3, 4, 5)),
    "flatten batch 1": (L.Flatten(), (1, 2, 1, 3)),
    "relu": (L.ReLU(), (3, 2, 4, 4)),
    "leaky_relu": (L.LeakyReLU(), (3, 2, 4, 4)),
    "leaky_relu slope": (L.LeakyReLU(negative_slope=0.3), (5, 7)),
    "tanh": (L.Tanh(), (5, 7)),
    "sigmoid": (L.Sigmoid(), (5, 7)),
    "gelu": (L.GELU(), (3, 2, 4, 4)),
    "relu6": (L.ReLU6(), (2, 3, 5, 6)),
    "silu": (L.SiLU(), (3, 2, 4, 4)),
    "elu": (L.ELU(), (3, 2, 4, 4)),
    "elu alpha": (L.ELU(alpha=0.4), (5, 7)),
    "hard_swish": (L.HardSwish(), (2, 3, 5, 6)),
    "softmax": (L.Softmax(), (5, 7)),
    "softmax on an image": (L.Softmax(), (2, 4, 3, 3)),
    "rows": (L.Rows(), (2, 3, 4, 5)),
    "lstm": (L.LSTM(hidden=4), (3, 5, 2)),
    "lstm every state": (L.LSTM(hidden=3, return_sequences=True), (2, 4, 5)),
    "lstm one token": (L.LSTM(hidden=2), (1, 1, 3)),
    "gru": (L.GRU(hidden=4), (3, 5, 2)),
    "gru every state": (L.GRU(hidden=3, return_sequences=True), (2, 4, 5)),
    "gru one token": (L.GRU(hidden=2, return_sequences=True), (1, 1, 3)),
    "batch_norm1d": (L.BatchNorm1d(), (6, 5)),
    "batch_norm1d large epsilon": (L.BatchNorm1d(epsilon=0.3, momentum=0.7), (4, 3)),
    "layer_norm": (L.LayerNorm(), (3, 7)),
    "layer_norm large epsilon, batch 1": (L.LayerNorm(epsilon=0.3), (1, 4)),
    "layer_norm on tokens": (L.LayerNorm(), (2, 3, 5)),
    "linear on tokens": (L.Linear(out_features=4), (2, 3, 5)),
    "softmax on tokens": (L.Softmax(), (2, 3, 4)),
    "flatten of tokens": (L.Flatten(), (2, 3, 4)),
    "to_tokens": (L.ToTokens(), (2, 3, 2, 4)),
    "class_token": (L.ClassToken(), (2, 3, 4)),
    "position_embedding": (L.PositionEmbedding(), (2, 3, 4)),
    "multi_head_attention": (L.MultiHeadAttention(heads=2), (2, 5, 6)),
    "multi_head_attention causal": (L.MultiHeadAttention(heads=3, causal=True), (2, 4, 6)),
    "multi_head_attention no bias, one head": (L.MultiHeadAttention(heads=1, bias=False), (1, 3, 4)),
    "multi_head_attention of one token": (L.MultiHeadAttention(heads=2, bias=False), (2, 1, 4)),
    "take_token": (L.TakeToken(index=0), (2, 3, 4)),
    "take_token from the end": (L.TakeToken(index=-2), (2, 3, 4)),
    "mean_tokens": (L.MeanTokens(), (2, 3, 4)),
    "group_norm": (L.GroupNorm(groups=2), (2, 4, 3, 2)),
    "group_norm one group": (L.GroupNorm(groups=1, epsilon=0.2), (2, 3, 2, 2)),
    "group_norm of single channels, batch 1": (L.GroupNorm(groups=3), (1, 3, 3, 3)),
}

KINKED = (L.MaxPool2d, L.ReLU, L.LeakyReLU, L.ELU)
"""Not differentiable where values tie or are 0: they get data that stays away from there."""

WIDE = (L.ReLU6, L.HardSwish)
"""With kinks at whole numbers up to 6: they get data on both sides that stays away from those too."""


def test_every_layer_has_a_case() -> None:
    assert {layer.kind for layer, _ in CASES.values()} == set(L.LAYERS)


def check_gradients(layer: L.Layer, shape: tuple[int, ...], *, training: bool, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    x = separated(generator, shape) if isinstance(layer, (*KINKED, *WIDE)) else generator.normal(size=shape)
    if isinstance(layer, WIDE):
        x *= 10
    values = parameter_values(layer, shape[1:], generator)
    mask = generator.random(shape) >= layer.p if isinstance(layer, L.Dropout) and training else None
    computed = forward(layer, x, values, training=training, mask=mask)
    assert computed.output.shape == (shape[0], *output_shape(layer, shape[1:]))
    cotangent = generator.normal(size=computed.output.shape)

    def loss(x: Any = x, **changed: Any) -> float:
        return float(np.sum(forward(layer, x, values | changed, training=training, mask=mask).output * cotangent))

    expected = finite_difference(loss, x)
    assert relative_error(computed.input_gradient(cotangent), expected) < TOLERANCE, "input"
    gradients = computed.parameter_gradients(cotangent)
    assert set(gradients) == {part for part in values if not part.startswith("running_")}
    for part, gradient in gradients.items():
        if part == "key_bias":  # 0 in theory: see MultiHeadAttention
            assert np.abs(gradient).max() < 1e-12
            continue
        expected = finite_difference(lambda value, part=part: loss(**{part: value}), values[part])
        assert relative_error(gradient, expected) < TOLERANCE, part


@pytest.mark.parametrize("case", CASES)
def test_training_gradients_are_the_derivatives(case: str) -> None:
    layer, shape = CASES[case]
    check_gradients(layer, shape, training=True)


@pytest.mark.parametrize(
    "case", [case for case, (layer, _) in CASES.items() if isinstance(layer, L.BatchNorm | L.Dropout)]
)
def test_evaluation_gradients_are_the_derivatives(case: str) -> None:
    layer, shape = CASES[case]
    check_gradients(layer, shape, training=False)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(windowed())
def test_gradients_of_any_window_are_the_derivatives(case: tuple[L.Layer, tuple[int, ...]]) -> None:
    check_gradients(*case, training=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("batch", [1, 5])
def test_gradient_of_the_loss_is_its_derivative(batch: int, smoothing: float) -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(batch, 10)) * 3, generator.integers(0, 10, batch)
    _, gradient = cross_entropy(logits, labels, smoothing)
    expected = finite_difference(lambda logits: cross_entropy(logits, labels, smoothing)[0], logits)
    assert relative_error(gradient, expected) < TOLERANCE
