"""An outside witness: the reference gives what the ONNX project's own operator tests expect."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.backends.numerics import relative_error
from tests.backends.onnx_cases import OnnxCase, OutsideVocabulary, cases, compare

# Their expected values are float32: a half unit in the last place is 6e-8, and their longest sums have 144 products.
TOLERANCE = 5e-7
# Expected values of this one are written with four digits.
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 2e-4}

COMPARED = {
    "Adagrad": 2,
    "Adam": 2,
    "Attention": 9,
    "AveragePool": 9,
    "BatchNormalization": 9,
    "Conv": 17,
    "Dropout": 12,
    "Elu": 1,
    "Flatten": 4,
    "Gelu": 2,
    "Gemm": 11,
    "GRU": 3,
    "GlobalAveragePool": 2,
    "HardSwish": 1,
    "LSTM": 4,
    "LeakyRelu": 5,
    "MaxPool": 13,
    "Momentum": 3,
    "Relu": 3,
    "Sigmoid": 3,
    "Softmax": 10,
    "SoftmaxCrossEntropyLoss": 10,
    "Swish": 1,
    "Tanh": 3,
    "LayerNormalization": 19,
    "GroupNormalization": 2,
    "InstanceNormalization": 2,
}
"""Cases that could be told in our vocabulary with onnx 1.23: fewer would mean that the check has lost its material."""


@pytest.fixture(scope="module")
def by_operator() -> dict[str, list[OnnxCase]]:
    found: dict[str, list[OnnxCase]] = defaultdict(list)
    for case in cases():
        found[case.operator].append(case)
    return found


@pytest.mark.parametrize("operator", COMPARED)
def test_reference_agrees_with_onnx(operator: str, by_operator: dict[str, list[OnnxCase]]) -> None:
    compared, outside = 0, []
    for case in by_operator[operator]:
        try:
            comparison = compare(case)
        except OutsideVocabulary as reason:
            outside.append(f"{case.name}: {reason}")
            continue
        for name, (ours, theirs) in comparison.items():
            assert relative_error(ours, theirs) <= ROUNDED.get(case.name, TOLERANCE), f"{case.name} {name}"
        compared += 1
    print(f"{operator}: {compared} compared, {len(outside)} outside our vocabulary", *outside, sep="\n  ")
    assert compared >= COMPARED[operator]
