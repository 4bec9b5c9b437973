"""Rewrites of nodes: what moves, what must not, and that inputs stay right."""

from __future__ import annotations

import numpy as np
import pytest

from backends.numpy.network import Network
from backends.rewrites import relu_after_max_pool
from specs.architecture import Architecture
from specs.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Tanh
from specs.nest import Branches, Item, Residual
from specs.nodes import Node
from specs.shapes import infer

CONV = Conv2d(out_channels=2, kernel_size=3, padding=1)
POOL = MaxPool2d(kernel_size=2)
HALVE = Conv2d(out_channels=2, kernel_size=2, stride=2)


def nodes(*layers: Item) -> tuple[Node, ...]:
    return infer(
        Architecture(name="net", input=(2, 8, 8), classes=3, layers=(*layers, Flatten(), Linear(out_features=3)))
    )


def wiring(nodes: tuple[Node, ...]) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in nodes}


def test_a_relu_moves_behind_the_pooling_that_alone_takes_it() -> None:
    before = nodes(CONV, ReLU(), POOL, CONV)
    after = relu_after_max_pool(before)
    assert wiring(after) == {
        "conv2d_1": ("input",),
        "max_pool2d_1": ("conv2d_1",),
        "relu_1": ("max_pool2d_1",),
        "conv2d_2": ("relu_1",),
        "flatten_1": ("conv2d_2",),
        "linear_1": ("flatten_1",),
    }
    relu = after[2]
    assert (relu.input_shapes, relu.output_shape, relu.forward_flops) == (((2, 4, 4),), (2, 4, 4), 32)
    assert {node.name for node in before} == {node.name for node in after}


def test_all_that_took_the_pooling_take_the_relu() -> None:
    after = wiring(relu_after_max_pool(nodes(CONV, ReLU(), POOL, Residual(layers=(CONV,)))))
    assert after["conv2d_2"] == ("relu_1",)
    assert after["add_1"] == ("conv2d_2", "relu_1")


def test_two_in_a_row_of_pooling_and_relu() -> None:
    after = wiring(relu_after_max_pool(nodes(ReLU(), POOL, ReLU(), POOL)))
    assert list(after)[:4] == ["max_pool2d_1", "relu_1", "max_pool2d_2", "relu_2"]
    assert after["max_pool2d_1"] == ("input",)
    assert after["max_pool2d_2"] == ("relu_1",)
    assert after["flatten_1"] == ("relu_2",)


@pytest.mark.parametrize(
    "layers",
    [
        (CONV, ReLU(), Residual(layers=(POOL,), shortcut=(HALVE,))),
        (CONV, ReLU(), Branches(join="concat", paths=((POOL,), (HALVE,)))),
        (CONV, ReLU(), MaxPool2d(kernel_size=3, stride=1, padding=1)),
        (CONV, ReLU(), Tanh(), POOL),
        (CONV, Tanh(), POOL),
    ],
    ids=["residual", "branches", "no fewer elements", "not in a row", "no relu"],
)
def test_what_stays(layers: tuple[Item, ...]) -> None:
    assert relu_after_max_pool(nodes(*layers)) == nodes(*layers)


@pytest.mark.parametrize(
    "layers",
    [
        (CONV, ReLU(), POOL, CONV),
        (ReLU(), POOL, ReLU(), MaxPool2d(kernel_size=3, stride=2, padding=1)),
        (CONV, Residual(layers=(CONV, ReLU(), POOL), shortcut=(ReLU(), MaxPool2d(kernel_size=3, stride=2, padding=1)))),
    ],
)
def test_values_and_gradients_stay(layers: tuple[Item, ...]) -> None:
    generator = np.random.default_rng(3)
    before = nodes(*layers)
    images = generator.normal(size=(5, 2, 8, 8))
    values = {name: generator.normal(size=shape) for node in before for name, shape in node.parameters.items()}
    logits_gradient = generator.normal(size=(5, 3))
    outcomes = []
    for each in (before, relu_after_max_pool(before)):
        network = Network(each)
        steps = list(network.steps(values, images, training=True, dropout_masks={}))
        gradients = network.gradients(steps, logits_gradient, to_images=True)
        outcomes.append({"logits": steps[-1][1].output, **gradients})
    assert outcomes[0].keys() == outcomes[1].keys()
    for name, array in outcomes[0].items():
        assert np.allclose(array, outcomes[1][name], rtol=1e-13, atol=1e-13), name
