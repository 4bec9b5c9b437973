"""What is told of networks that are valid and may not be what was meant."""

from __future__ import annotations

from harness.planning.notices import notices
from specs import layers as L
from specs.architecture import Architecture
from specs.optimizers import SGD, Adam

BIASED = Architecture(
    name="biased",
    input=(1, 4, 4),
    classes=2,
    layers=(
        L.Conv2d(out_channels=3, kernel_size=3),
        L.BatchNorm2d(),
        L.Flatten(),
        L.Linear(out_features=2),
        L.Softmax(),
    ),
)


def test_a_bias_before_batch_norm_is_told_where_the_optimizer_makes_steps_of_rounding() -> None:
    softmax, bias = notices(BIASED)
    assert "softmax" in softmax
    assert bias.startswith("biased: the bias of conv2d_1 goes straight into batch_norm2d_1") and "bias: false" in bias
    assert notices(BIASED, Adam()) == [softmax, bias]
    assert notices(BIASED, SGD()) == [softmax]
