"""Shapes, parameters and FLOPs: known counts, errors that name the layer, torch's own counter."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from specs import layers as L
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.errors import RequestError
from specs.loading import load_architecture
from specs.nest import Branches
from specs.shapes import (
    backward_flops,
    buffer_shapes,
    forward_flops,
    infer,
    parameter_count,
    parameter_shapes,
    train_flops,
)

PARAMETERS = {"mlp": 203_530, "cnn": 83_466, "cnn_dropout": 225_034, "lenet5": 61_706, "alexnet": 3_868_170}


def network(*layers: L.Layer, image: tuple[int, int, int] = (2, 11, 9), classes: int = 3) -> Architecture:
    return Architecture(name="net", input=image, classes=classes, layers=layers)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_of_the_five(name: str) -> None:
    assert parameter_count(load_architecture(name)) == PARAMETERS[name]


def test_lenet5_layer_by_layer() -> None:
    layers = infer(load_architecture("lenet5"))
    assert [(layer.name, layer.output_shape) for layer in layers] == [
        ("conv2d_1", (6, 28, 28)),
        ("relu_1", (6, 28, 28)),
        ("max_pool2d_1", (6, 14, 14)),
        ("conv2d_2", (16, 10, 10)),
        ("relu_2", (16, 10, 10)),
        ("max_pool2d_2", (16, 5, 5)),
        ("flatten_1", (400,)),
        ("linear_1", (120,)),
        ("relu_3", (120,)),
        ("linear_2", (84,)),
        ("relu_4", (84,)),
        ("linear_3", (10,)),
    ]
    assert layers[3].parameters == {"conv2d_2.weight": (16, 6, 5, 5), "conv2d_2.bias": (16,)}
    assert layers[3].input_shape == (6, 14, 14)


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        # floor((11 + 2p - k) / s) + 1 and floor((9 + 2p - k) / s) + 1
        (L.Conv2d(out_channels=4, kernel_size=3), (4, 9, 7)),
        (L.Conv2d(out_channels=4, kernel_size=(3, 2), stride=(2, 3), padding=(1, 0)), (4, 6, 3)),
        (L.Conv2d(out_channels=4, kernel_size=(11, 9)), (4, 1, 1)),
        (L.Conv2d(out_channels=4, kernel_size=13, padding=(1, 2)), (4, 1, 1)),
        (L.Conv2d(out_channels=4, kernel_size=3, groups=2, dilation=2), (4, 7, 5)),
        (L.Conv2d(out_channels=4, kernel_size=(4, 3), padding="same", dilation=(1, 2)), (4, 11, 9)),  # type: ignore[arg-type]
        (L.Conv2d(out_channels=4, kernel_size=4, padding=((1, 2), (2, 1))), (4, 11, 9)),
        (L.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True), (2, 5, 4)),
        (L.MaxPool2d(kernel_size=2, ceil_mode=True), (2, 6, 5)),
        (L.MaxPool2d(kernel_size=2, padding=1, ceil_mode=True), (2, 6, 5)),  # a further window would begin behind
        (L.AvgPool2d(kernel_size=2, stride=4, padding=((0, 0), (1, 1)), ceil_mode=True), (2, 3, 3)),
        (L.MaxPool2d(kernel_size=2), (2, 5, 4)),
        (L.MaxPool2d(kernel_size=3, stride=1, padding=1), (2, 11, 9)),
        (L.AvgPool2d(kernel_size=(4, 3), stride=(5, 4), padding=(2, 1)), (2, 3, 3)),
        (L.GlobalAvgPool(), (2,)),
        (L.BatchNorm2d(), (2, 11, 9)),
        (L.Flatten(), (198,)),
        (L.Dropout(p=0.1), (2, 11, 9)),
        (L.Rows(), (11, 18)),
    ],
)
def test_output_shapes(layer: L.Layer, output: tuple[int, ...]) -> None:
    tail = (L.Linear(out_features=3),) if len(output) == 1 else (L.Flatten(), L.Linear(out_features=3))
    assert infer(network(layer, *tail))[0].output_shape == output


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        (L.Conv2d(out_channels=8, kernel_size=3, groups=4), (8, 26, 26)),
        (L.Conv2d(out_channels=4, kernel_size=3, dilation=2), (4, 24, 24)),
        (L.Conv2d(out_channels=4, kernel_size=3, padding="same"), (4, 28, 28)),  # type: ignore[arg-type]
        (L.Conv2d(out_channels=4, kernel_size=4, padding=((1, 2), (1, 2))), (4, 28, 28)),
        (L.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True), (4, 14, 14)),
    ],
)
def test_output_shapes_are_those_of_torch(layer: L.Layer, output: tuple[int, ...]) -> None:
    """Of four channels of 28 x 28, as torch 2 gives them."""
    net = network(layer, L.Flatten(), L.Linear(out_features=3), image=(4, 28, 28))
    assert infer(net)[0].output_shape == output


def test_parameters_and_buffers_have_canonical_names() -> None:
    net = network(
        L.Conv2d(out_channels=4, kernel_size=(3, 2), bias=False),
        L.BatchNorm2d(),
        L.BatchNorm2d(),
        L.GlobalAvgPool(),
        L.Linear(out_features=3, bias=False),
    )
    assert parameter_shapes(net) == {
        "conv2d_1.weight": (4, 2, 3, 2),
        "batch_norm2d_1.gamma": (4,),
        "batch_norm2d_1.beta": (4,),
        "batch_norm2d_2.gamma": (4,),
        "batch_norm2d_2.beta": (4,),
        "linear_1.weight": (3, 4),
    }
    assert list(buffer_shapes(net)) == [
        f"batch_norm2d_{i}.running_{estimate}" for i in (1, 2) for estimate in ("mean", "variance")
    ]
    assert parameter_count(net) == 48 + 4 * 4 + 12


def test_trailing_softmax_takes_no_part() -> None:
    with_softmax = network(L.Flatten(), L.Linear(out_features=3), L.Softmax())
    assert [layer.name for layer in infer(with_softmax)] == ["flatten_1", "linear_1"]
    inside = network(L.Flatten(), L.Softmax(), L.Linear(out_features=3))
    assert [layer.name for layer in infer(inside)] == ["flatten_1", "softmax_1", "linear_1"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            (L.Linear(out_features=3),),
            r"layers\[0\] \(linear\): needs features, got shape \[2, 11, 9\]; put a flatten before",
        ),
        (
            (L.Flatten(), L.Conv2d(out_channels=1, kernel_size=1)),
            r"layers\[1\] \(conv2d\): needs an image .* got shape \[198\]",
        ),
        ((L.Flatten(), L.MaxPool2d(kernel_size=1)), r"layers\[1\] \(max_pool2d\): needs an image"),
        (
            (L.Flatten(), L.MultiHeadAttention(heads=1)),
            r"layers\[1\] \(multi_head_attention\): needs tokens \[tokens, features\], got shape \[198\]; put a to_tok",
        ),
        (
            (L.ToTokens(), L.MultiHeadAttention(heads=3)),
            r"layers\[1\] \(multi_head_attention\): 2 features do not divide among 3 heads",
        ),
        (
            (L.ToTokens(), L.TakeToken(index=99)),
            r"layers\[1\] \(take_token\): there is no token 99 among 99: 0 to 98, or -1 for the last",
        ),
        (
            (L.ToTokens(), L.GlobalAvgPool()),
            r"layers\[1\] \(global_avg_pool\): needs an image .* \[99, 2\]",
        ),
        ((L.BatchNorm1d(),), r"layers\[0\] \(batch_norm1d\): needs features, .* of images it is batch_norm2d"),
        ((L.LayerNorm(),), r"layers\[0\] \(layer_norm\): needs features or tokens, .* group_norm is for images"),
        ((L.GroupNorm(groups=3),), r"layers\[0\] \(group_norm\): 2 channels do not make 3 groups of one size"),
        ((L.Flatten(), L.BatchNorm2d()), r"layers\[1\] \(batch_norm2d\): needs an image"),
        ((L.GlobalAvgPool(), L.GlobalAvgPool()), r"layers\[1\] \(global_avg_pool\): needs an image"),
        (
            (L.ReLU(), L.Conv2d(out_channels=1, kernel_size=(12, 1))),
            r"layers\[1\] \(conv2d\): kernel \[12, 1\] with padding \[0, 0\] does not fit input .* \(height 11\)",
        ),
        ((L.AvgPool2d(kernel_size=(1, 10)),), r"layers\[0\] \(avg_pool2d\): kernel \[1, 10\] .* \(width 9\)"),
        (
            (L.Conv2d(out_channels=4, kernel_size=6, dilation=2),),
            r"layers\[0\] \(conv2d\): kernel \[6, 6\], dilation \[2, 2\] with padding \[0, 0\] does .* \(width 9\)",
        ),
        (
            (L.Conv2d(out_channels=3, kernel_size=1, groups=3),),
            r"layers\[0\] \(conv2d\): groups 3 must divide the 2 input channels",
        ),
        ((L.Flatten(), L.Linear(out_features=4)), r"the last layer gives shape \[4\], but 3 classes need \[3\]"),
        ((L.ReLU(),), r"the last layer gives shape \[2, 11, 9\]"),
        ((L.LSTM(hidden=3),), r"layers\[0\] \(lstm\): needs tokens .* got shape \[2, 11, 9\]; put rows before it"),
        ((L.Flatten(), L.Rows()), r"layers\[1\] \(rows\): needs an image"),
        ((L.Rows(), L.GRU(hidden=3), L.GRU(hidden=3)), r"layers\[2\] \(gru\): needs tokens .* got shape \[3\]"),
        ((L.Rows(), L.GRU(hidden=3, return_sequences=True)), r"the last layer gives shape \[11, 3\]"),
        ((L.Softmax(),), r"the last layer gives shape \[2, 11, 9\]"),
    ],
)
def test_a_misfit_is_named(layers: tuple[L.Layer, ...], message: str) -> None:
    with pytest.raises(RequestError, match=f"^net: {message}") as error:
        infer(network(*layers))
    assert "\n" not in str(error.value)


COUNTED = {name: load_architecture(name) for name in PARAMETERS} | {
    "strides, padding, no bias": network(
        L.Conv2d(out_channels=4, kernel_size=(3, 2), stride=(2, 3), padding=(1, 0)),
        L.ReLU(),
        L.Conv2d(out_channels=5, kernel_size=2, stride=2, bias=False),
        L.AvgPool2d(kernel_size=1),
        L.Flatten(),
        L.Linear(out_features=3, bias=False),
    ),
    "trained batch norm below the first convolution": network(
        L.BatchNorm2d(), L.Conv2d(out_channels=4, kernel_size=3), L.GlobalAvgPool(), L.Linear(out_features=3)
    ),
    "dilation": network(
        L.Conv2d(out_channels=4, kernel_size=2, dilation=(3, 2), stride=2), L.Flatten(), L.Linear(out_features=3)
    ),
    "groups": network(
        L.Conv2d(out_channels=4, kernel_size=(3, 2), groups=2, padding=(0, 1)), L.Flatten(), L.Linear(out_features=3)
    ),
    "one linear layer": network(L.Flatten(), L.Linear(out_features=3)),
    "attention above trained layers": network(
        L.Conv2d(out_channels=6, kernel_size=3, stride=3),
        L.ToTokens(),
        L.MultiHeadAttention(heads=2),
        L.Linear(out_features=5),
        L.MeanTokens(),
        L.Linear(out_features=3),
    ),
    "attention first": network(L.ToTokens(), L.MultiHeadAttention(heads=2), L.MeanTokens(), L.Linear(out_features=3)),
}


@pytest.fixture(scope="module")
def torch_counts(backend_python: Callable[[str], Path]) -> dict[str, dict[str, int]]:
    script = Path(__file__).parent / "scripts" / "torch_flops.py"
    data = json.dumps([to_plain(architecture) for architecture in COUNTED.values()])
    done = subprocess.run([backend_python("torch"), script], input=data, stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(COUNTED, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_those_of_torch(name: str, torch_counts: dict[str, dict[str, int]]) -> None:
    architecture, theirs = COUNTED[name], torch_counts[name]
    assert parameter_count(architecture) == theirs["parameters"]
    assert sum(layer.product_flops for layer in infer(architecture)) == theirs["forward"]
    if name != "groups":  # torch 2.13 counts a grouped weight's gradient as that of a weight for all channels
        assert train_flops(architecture) == theirs["train"]


def test_forward_flops_by_hand() -> None:
    net = network(
        L.Conv2d(out_channels=4, kernel_size=(3, 2)),
        L.BatchNorm2d(),
        L.ReLU(),
        L.MaxPool2d(kernel_size=2),
        L.Flatten(),
        L.Dropout(p=0.5),
        L.Linear(out_features=3),
    )
    # 4 * 9 * 8 outputs: 12 products, 12 sums; then 4 each for batch norm, 1 for relu.
    convolved = 4 * 9 * 8
    pooled = 4 * 4 * 4
    assert [layer.forward_flops for layer in infer(net)] == [
        convolved * (2 * 12 + 1),
        convolved * 4,
        convolved,
        pooled * 4,
        0,
        pooled * 2,
        3 * (2 * pooled + 1),
    ]
    assert forward_flops(net) == sum(layer.forward_flops for layer in infer(net))


def test_recurrent_layers_by_hand() -> None:
    """Eleven tokens of 18 features; per token an LSTM of 5 makes 20 sums of 18 + 5 products, a GRU of 3 makes 9."""
    net = network(L.Rows(), L.LSTM(hidden=5, return_sequences=True), L.GRU(hidden=3))
    _, lstm, gru = infer(net)
    assert (lstm.output_shape, gru.output_shape) == ((11, 5), (3,))
    assert parameter_shapes(net) == {
        "lstm_1.weight": (20, 18),
        "lstm_1.recurrent_weight": (20, 5),
        "lstm_1.bias": (20,),
        "gru_1.weight": (9, 5),
        "gru_1.recurrent_weight": (9, 3),
        "gru_1.bias": (9,),
        "gru_1.recurrent_bias": (3,),
    }
    products = 11 * 2 * 20 * (18 + 5), 11 * 2 * 9 * (5 + 3)
    assert (lstm.product_flops, gru.product_flops) == products
    # An LSTM: 4 biases, 3 sigmoids of 3, 2 tanh, 4 for the states. A GRU: 4 biases, 2 sigmoids of 3, a tanh, the reset
    # and its sum, 4 for the state.
    assert [node.forward_flops for node in infer(net)] == [0, products[0] + 11 * 5 * 19, products[1] + 11 * 3 * 17]
    # Backward: weights of both, what goes through the states of both, and the GRU's tokens; no gradient for the rows.
    carried = 11 * 2 * 20 * 5
    assert backward_flops(net) == (0, products[0] + carried, 2 * products[1])


def test_tokens_are_joined_one_behind_the_other() -> None:
    tokens = L.LSTM(hidden=18, return_sequences=True)
    net = network(L.Rows(), Branches(join="concat", paths=((tokens,), ())), L.Flatten(), L.Linear(out_features=3))
    assert infer(net)[2].output_shape == (22, 18)
