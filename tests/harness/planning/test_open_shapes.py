"""A bundled model and a file that leaves input and classes open take the data set's; one that says them keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.planning.choices import Choices
from harness.planning.resolve import resolve_model
from harness.planning.study import Study, plans_of
from specs.errors import RequestError
from specs.shapes import parameter_count


@pytest.fixture
def colours(tmp_path: Path) -> str:
    """A data set of [3, 32, 32] images in a hundred classes."""
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    path = tmp_path / "colours.npz"
    labels = np.arange(100)
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    return str(path)


def test_a_bundled_model_on_other_images_and_classes(colours: str) -> None:
    architecture, recipe = resolve_model("resnet20", Choices(), colours)
    assert (architecture.input, architecture.classes, recipe.dataset) == ((3, 32, 32), 100, colours)
    assert parameter_count(architecture) == 272_474 + 90 * 65
    architecture, recipe = resolve_model("resnet20", Choices(), None)
    assert (architecture.input, architecture.classes, recipe.dataset) == ((1, 28, 28), 10, "mnist")


def test_a_study_resolves_every_model_on_every_data_set(colours: str) -> None:
    study = Study(name="s", backends=("numpy",), models=("mlp", "lenet5"), datasets=("digits", colours), repeats=1)
    found = {(plan.model, plan.dataset): plan.architecture.input for _, plan in plans_of(study)}
    shapes = {"digits": (1, 28, 28), colours: (3, 32, 32)}
    assert found == {(model, name): shape for model in ("mlp", "lenet5") for name, shape in shapes.items()}


def test_a_file_that_says_its_input_keeps_it(colours: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ninput: [1, 4, 4]\nlayers: [flatten, {linear: {out_features: classes}}]\n")
    architecture, _ = resolve_model(str(path), Choices(), colours)
    assert (architecture.input, architecture.classes) == ((1, 4, 4), 100)


def test_a_model_too_deep_for_the_images_is_told_where(tmp_path: Path) -> None:
    images = np.zeros((2, 1, 4, 4), np.uint8)
    images[0] = 255
    np.savez(tmp_path / "tiny.npz", train_images=images, train_labels=[0, 1], test_images=images, test_labels=[0, 1])
    with pytest.raises(RequestError, match=r"lenet5.yaml:\d+: lenet5: layers\[3\] \(conv2d\): kernel \[5, 5\]"):
        resolve_model("lenet5", Choices(), str(tmp_path / "tiny.npz"))
