"""Whether a data set suits a network: its classes are the range of the labels, and who does not fit is told how to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.datasets import Dataset
from harness.datasets.assembling import assemble
from harness.datasets.dataset import Part
from harness.planning.plan import check_fit
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.loading import load_architecture

MLP = load_architecture("mlp")


def dataset(train: int, test: int, shape: tuple[int, ...] = (28, 28)) -> Dataset:
    """A sample of every class below ``train`` and ``test``."""
    parts = [
        (Part("images", np.full((count, *shape), 200, np.uint8)), Part("labels", np.arange(count)))
        for count in (train, test)
    ]
    parts[0][0].array.flat[0] = 0
    return assemble(name="mine", title="", source="", train=parts[0], test=parts[1])


@pytest.mark.parametrize(
    ("train", "test", "notes"),
    [
        (10, 10, []),
        (9, 10, ["mine: the training part has no sample of class 9"]),
        (10, 8, ["mine: the test part has no sample of class 8, 9"]),
        (9, 9, ["mine: its labels go to 8, the model's to 9"]),
        (2, 2, ["mine: its labels go to 1, the model's to 9"]),
    ],
)
def test_the_networks_classes_are_the_range(train: int, test: int, notes: list[str]) -> None:
    assert check_fit(MLP, dataset(train, test)) == notes


def test_a_label_beyond_the_networks_classes() -> None:
    with pytest.raises(RequestError) as caught:
        check_fit(MLP, dataset(10, 12))
    assert str(caught.value) == (
        "model 'mlp' has 10 classes, dataset 'mine' has 12 (labels 0 to 11); a model has as many whose file says "
        "classes: 12 and whose last layer gives as many features"
    )


def test_labels_that_count_from_1_are_told_what_to_do() -> None:
    data = dataset(10, 10)
    shifted = replace(data, train_labels=data.train_labels + 1, test_labels=data.test_labels + 1, classes=11)
    with pytest.raises(
        RequestError, match=r"\(labels 1 to 10\); take 1 off every label, which count from 0, or a model"
    ):
        check_fit(MLP, shifted)


def test_a_limit_that_leaves_classes_out_is_told() -> None:
    (note,) = check_fit(MLP, dataset(10, 10), limit_train=4)
    assert note.startswith("mine: 6 of its 10 classes are not among the first 4 training samples")
    assert check_fit(MLP, dataset(10, 10), limit_train=10) == []


def turned(architecture: Architecture, shape: tuple[int, int, int]) -> Architecture:
    return replace(architecture, input=shape)


@pytest.mark.parametrize(
    ("model", "shape", "advice"),
    [
        (MLP, (32, 32), "a model takes them whose file says input: [1, 32, 32], or bring the images to [1, 28, 28]"),
        (MLP, (3, 28, 28), "a model takes them whose file says input: [3, 28, 28], or bring"),
        (turned(MLP, (28, 28, 1)), (28, 28), "input is [channels, height, width]: write [1, 28, 28] into"),
        (turned(MLP, (32, 28, 3)), (3, 32, 28), "input is [channels, height, width]: write [3, 32, 28] into"),
    ],
)
def test_images_of_another_shape_are_told_what_would_fit(
    model: Architecture, shape: tuple[int, ...], advice: str
) -> None:
    with pytest.raises(RequestError) as caught:
        check_fit(model, dataset(10, 10, shape))
    assert advice in str(caught.value)
