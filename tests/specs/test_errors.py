"""A hint is given where a name is likely meant, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from specs.errors import RequestError, nearest, unknown
from specs.foreign import EXPLAINED, FOREIGN
from specs.initializers import DISTRIBUTIONS
from specs.loading import load_architecture
from specs.nest import ITEMS
from specs.optimizers import OPTIMIZERS
from specs.schedule import SCHEDULES

LAYERS = (
    *("avg_pool2d", "batch_norm2d", "conv2d", "dropout", "flatten", "gelu", "global_avg_pool", "leaky_relu"),
    *("linear", "max_pool2d", "relu", "residual", "sigmoid", "softmax", "tanh"),
)
OTHERS = (
    *("conv_transpose2d", "depthwise_conv2d", "separable_conv2d", "conv1d", "conv3d", "batch_norm3d", "instance_norm"),
    *("max_pool3d", "prelu", "selu", "celu", "relu6", "softplus", "hardtanh", "dropout2d", "bilinear", "lstm"),
    *("embedding", "attention", "x", ""),
)
FIELDS = ("bias", "kernel_size", "out_channels", "padding", "stride")


@pytest.mark.parametrize(
    ("name", "choices", "meant"),
    [
        ("rellu", LAYERS, "relu"),
        ("relu_", LAYERS, "relu"),
        ("ReLU", LAYERS, "relu"),
        ("flaten", LAYERS, "flatten"),
        ("Conv2D", LAYERS, "conv2d"),
        ("conv", LAYERS, "conv2d"),
        ("maxpool", LAYERS, "max_pool2d"),
        ("LeakyReLU", LAYERS, "leaky_relu"),
        ("sigmiod", LAYERS, "sigmoid"),
        ("batch_norm", LAYERS, "batch_norm2d"),
        ("kernel", FIELDS, "kernel_size"),
        ("channels", FIELDS, "out_channels"),
        ("use_bias", FIELDS, "bias"),
        ("strides", FIELDS, "stride"),
        ("sdg", ("adam", "sgd"), "sgd"),
        ("onix", ("mnist", "onnx"), "onnx"),
        ("float23", ("bfloat16", "float32", "float64"), "float32"),
        ("cuda0", ("cpu", "cuda", "cuda:0"), "cuda:0"),
        ("lenet", ("alexnet", "lenet5"), "lenet5"),
        ("nmist", ("digits", "mnist"), "mnist"),
    ],
)
def test_slips_and_short_forms(name: str, choices: tuple[str, ...], meant: str) -> None:
    assert nearest(name, choices) == meant


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        *((name, LAYERS) for name in OTHERS),
        ("gpu", ("cpu", "cuda", "cuda:0")),
        ("float16", ("bfloat16", "float32", "float64")),
        ("cifar10", ("digits", "mnist")),
        ("in_channels", FIELDS),
        ("dilation", FIELDS),
        ("my", ("keras", "ms", "torch")),
    ],
)
def test_another_thing_gets_no_hint(name: str, choices: tuple[str, ...]) -> None:
    assert nearest(name, choices) is None
    assert str(unknown("thing", name, choices)) == f"unknown thing {name!r} (known: {', '.join(sorted(choices))})"


def test_names_of_others() -> None:
    choices = {
        *ITEMS,
        *OPTIMIZERS,
        *SCHEDULES,
        *DISTRIBUTIONS,
        *FIELDS,
        "out_features",
        "p",
        "learning_rate",
        "epsilon",
        "dilation",
        "groups",
    }
    assert set(FOREIGN.values()) <= {*choices, "batch_size"}
    assert not FOREIGN.keys() & choices
    assert not EXPLAINED.keys() & choices
    assert "did you mean 'linear'?" in str(unknown("layer", "Dense", LAYERS, meant=FOREIGN))
    assert "did you mean" not in str(unknown("layer", "Dense", ["relu"], meant=FOREIGN))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("conv2d: {out_channels: 4, kernel_size: 3, bias: no}", "bias must be true or false, got 'no'"),
        ("conv2d: {out_channels: x, kernel_size: 3}", "out_channels must be a whole number, got 'x'"),
        ("conv2d: {out_channels: 1.5, kernel_size: 3}", "out_channels must be a whole number, got 1.5"),
        ("dropout: {p: half}", "p must be a number, got 'half'"),
        ("Dense: {units: 3}", "unknown layer 'Dense'; did you mean 'linear'?"),
        ("linear: {units: 3}", "(linear) 'units'; did you mean 'out_features'?"),
        ("conv_transpose2d: {out_channels: 4, kernel_size: 3}", "unknown layer 'conv_transpose2d' (known: "),
    ],
)
def test_in_a_networks_file(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"name: net\ninput: [1, 28, 28]\nclasses: 10\nlayers:\n  - {line}\n  - flatten\n")
    with pytest.raises(RequestError) as caught:
        load_architecture(path)
    assert str(caught.value).startswith(f"{path}:5: ")
    assert said in str(caught.value)
