"""Level 1: layers alone, drawn from all their options."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from harness.conformance.case import NetworkCase
from harness.conformance.drawing import Draw, distinct
from harness.conformance.layer_cases import by_kind, layer_case
from specs import layers as L
from specs.layer_shapes import output_shape
from specs.nodes import Shape

Example = tuple[L.Layer, Shape, int]
"""A layer, the shape of its input, the batch size."""


def drawn_cases(per_kind: int) -> dict[str, tuple[NetworkCase, ...]]:
    """``per_kind`` cases for every kind of layer that has options, the same in every process."""
    cases = (
        layer_case(layer, shape, batch=batch)
        for kind, make in _DRAWN.items()
        for layer, shape, batch in islice(distinct(f"layers of kind {kind}", make), per_kind)
    )
    return by_kind(cases)


def example(draw: Draw) -> Example:
    """A layer of any kind that has options."""
    return _DRAWN[draw.choice(tuple(_DRAWN))](draw)


_SIZES = 9


def _image(draw: Draw, least_size: int = 1) -> Shape:
    """Up to 4 channels of up to 9 by 9."""
    return (draw.integer(1, 4), draw.integer(least_size, _SIZES), draw.integer(least_size, _SIZES))


def _fitting(draw: Draw, make: Callable[[], L.Layer], *, least_size: int = 1) -> Example:
    """A layer on an image that it fits."""
    while True:
        layer, shape = make(), _image(draw, least_size)
        with suppress(ValueError):
            output_shape(layer, shape)
            return layer, shape, draw.integer(1, 4)


def _window(draw: Draw) -> dict[str, Any]:
    """Kernel, stride, a padding of at most half the kernel, which may differ on each side, and whether in ceil mode."""
    kernel = draw.pair(1, 4)
    padding = _padding(draw, kernel[0] // 2, kernel[1] // 2)
    return {"kernel_size": kernel, "stride": draw.pair(1, 3), "padding": padding, "ceil_mode": draw.flag()}


def _padding(draw: Draw, rows: int, columns: int) -> L.Padding:
    """At most so many rows and columns on each side; half the time the same on both."""
    if draw.flag():
        return draw.integer(0, rows), draw.integer(0, columns)
    return (draw.integer(0, rows), draw.integer(0, rows)), (draw.integer(0, columns), draw.integer(0, columns))


def _conv2d(draw: Draw) -> Example:
    def layer() -> L.Layer:
        groups = draw.choice((1, 1, 2, 3))
        return L.Conv2d(
            out_channels=groups * draw.integer(1, 5 // groups),
            kernel_size=draw.pair(1, 5),
            stride=draw.pair(1, 3),
            padding=_padding(draw, 3, 3),
            bias=draw.flag(),
            groups=groups,
            dilation=draw.choice(((1, 1), (1, 1), (2, 1), (2, 2))),
        )

    return _fitting(draw, layer)


def _linear(draw: Draw) -> Example:
    layer = L.Linear(out_features=draw.integer(1, 40), bias=draw.flag())
    features = draw.integer(1, 60)
    return layer, draw.choice(((features,), (draw.integer(1, 6), features))), draw.integer(1, 9)


def _max_pool2d(draw: Draw) -> Example:
    return _fitting(draw, lambda: L.MaxPool2d(**_window(draw)))


def _avg_pool2d(draw: Draw) -> Example:
    return _fitting(draw, lambda: L.AvgPool2d(count_include_pad=draw.flag(), **_window(draw)))


def _batch_norm2d(draw: Draw) -> Example:
    """Of two or three values per channel batch norm leaves almost nothing: their gradient is all cancellation."""
    layer = L.BatchNorm2d(momentum=draw.choice((0.01, 0.1, 0.5)), epsilon=draw.choice((1e-5, 1e-3)))
    return _fitting(draw, lambda: layer, least_size=3)


def _leaky_relu(draw: Draw) -> Example:
    return _fitting(draw, lambda: L.LeakyReLU(negative_slope=draw.choice((0.05, 0.3, 0.9))))


def _elu(draw: Draw) -> Example:
    return _fitting(draw, lambda: L.ELU(alpha=draw.choice((0.3, 1.0, 2.0))))


def _dropout(draw: Draw) -> Example:
    return _fitting(draw, lambda: L.Dropout(p=draw.choice((0.1, 0.5, 0.9))))


def _rows(draw: Draw) -> Example:
    return L.Rows(), _image(draw), draw.integer(1, 4)


def _lstm(draw: Draw) -> Example:
    return L.LSTM(hidden=draw.integer(1, 12), return_sequences=draw.flag()), *_tokens(draw)


def _gru(draw: Draw) -> Example:
    return L.GRU(hidden=draw.integer(1, 12), return_sequences=draw.flag()), *_tokens(draw)


def _tokens(draw: Draw) -> tuple[Shape, int]:
    """Up to 9 tokens of up to 20 features, and a batch size."""
    return (draw.integer(1, _SIZES), draw.integer(1, 20)), draw.integer(1, 4)


def _batch_norm1d(draw: Draw) -> Example:
    layer = L.BatchNorm1d(momentum=draw.choice((0.01, 0.1, 0.5)), epsilon=draw.choice((1e-5, 1e-3)))
    return layer, (draw.integer(1, 40),), draw.integer(6, 9)


def _layer_norm(draw: Draw) -> Example:
    """Of two or three features layer norm leaves almost nothing either."""
    features = draw.integer(4, 40)
    shape = draw.choice(((features,), (draw.integer(1, 6), features)))
    return L.LayerNorm(epsilon=draw.choice((1e-5, 1e-3, 0.1))), shape, draw.integer(1, 9)


def _group_norm(draw: Draw) -> Example:
    groups = draw.integer(1, 3)
    shape = (groups * draw.integer(1, 3), draw.integer(3, _SIZES), draw.integer(3, _SIZES))
    return L.GroupNorm(groups=groups, epsilon=draw.choice((1e-5, 1e-3, 0.1))), shape, draw.integer(1, 4)


def _multi_head_attention(draw: Draw) -> Example:
    heads = draw.integer(1, 4)
    layer = L.MultiHeadAttention(heads=heads, bias=draw.flag(), causal=draw.flag())
    return layer, (draw.integer(1, 8), heads * draw.integer(1, 5)), draw.integer(1, 5)


def _take_token(draw: Draw) -> Example:
    tokens = draw.integer(1, 8)
    return L.TakeToken(index=draw.integer(-tokens, tokens - 1)), (tokens, draw.integer(1, 9)), draw.integer(1, 5)


_DRAWN: dict[str, Callable[[Draw], Example]] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "batch_norm2d": _batch_norm2d,
    "leaky_relu": _leaky_relu,
    "dropout": _dropout,
    "elu": _elu,
    "rows": _rows,
    "lstm": _lstm,
    "gru": _gru,
    "batch_norm1d": _batch_norm1d,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "multi_head_attention": _multi_head_attention,
    "take_token": _take_token,
}
