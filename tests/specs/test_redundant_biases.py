"""Biases that batch norm takes away are found, others are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.contract import SessionSpec
from backends.numpy.session import NumpySession
from specs import layers as L
from specs.architecture import Architecture
from specs.initializers import Initializer, initial_parameters
from specs.optimizers import SGD, Adam
from specs.redundant_biases import decided_by_rounding, redundant_biases


def network(*layers: Any) -> Architecture:
    return Architecture(name="n", input=(1, 4, 4), classes=2, layers=layers)


HEAD = (L.GlobalAvgPool(), L.Linear(out_features=2))


def test_only_a_biased_layer_right_before_batch_norm_is_named() -> None:
    conv = L.Conv2d(out_channels=3, kernel_size=3)
    assert redundant_biases(network(conv, L.BatchNorm2d(), *HEAD)) == {"conv2d_1": "batch_norm2d_1"}
    assert not redundant_biases(network(conv, L.ReLU(), L.BatchNorm2d(), *HEAD))
    assert not redundant_biases(network(L.Conv2d(out_channels=3, kernel_size=3, bias=False), L.BatchNorm2d(), *HEAD))


def test_the_norms_that_take_a_bias_away_and_those_that_do_not() -> None:
    conv, linear = L.Conv2d(out_channels=4, kernel_size=3), L.Linear(out_features=4)
    assert redundant_biases(network(conv, L.GroupNorm(groups=4), *HEAD)) == {"conv2d_1": "group_norm_1"}
    assert not redundant_biases(network(conv, L.GroupNorm(groups=2), *HEAD))
    features = (L.Flatten(), linear)
    assert redundant_biases(network(*features, L.BatchNorm1d(), HEAD[1])) == {"linear_1": "batch_norm1d_1"}
    assert not redundant_biases(network(*features, L.LayerNorm(), HEAD[1]))


def test_its_gradient_is_rounding() -> None:
    architecture = network(L.Conv2d(out_channels=3, kernel_size=3), L.BatchNorm2d(), L.ReLU(), *HEAD)
    session = NumpySession(SessionSpec(architecture=architecture, optimizer=SGD(), precision="float64"))
    session.load_parameters(
        {n: w.astype(np.float64) for n, w in initial_parameters(architecture, Initializer(), 0).items()}
    )
    images = np.random.default_rng(0).random((8, 1, 4, 4))
    _, gradients = session.loss_and_gradients(images, np.arange(8) % 2)
    assert np.abs(gradients["conv2d_1.bias"]).max() < 1e-14
    assert np.abs(gradients["conv2d_1.weight"]).max() > 1e-3


def test_attentions_bias_of_k_is_decided_by_rounding_but_for_sgd_and_is_named_to_nobody() -> None:
    attention = (L.ToTokens(), L.Linear(out_features=4), L.MultiHeadAttention(heads=2), L.MeanTokens())
    architecture = network(*attention, L.Linear(out_features=2))
    assert decided_by_rounding(architecture, Adam()) == {"multi_head_attention_1.key_bias"}
    assert not decided_by_rounding(architecture, SGD())
    assert not redundant_biases(architecture)
