import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from specs.codec import from_plain, to_plain
from specs.errors import RequestError
from specs.initializers import HeNormal, Initializer
from specs.loading import architecture_names, load_architecture, load_recipe
from specs.optimizers import Adadelta
from specs.recipe import Preprocessing, Recipe
from specs.schedule import Cosine
from specs.shapes import parameter_shapes

RECIPE = Recipe(
    name="mine",
    epochs=3,
    batch_size=32,
    optimizer=Adadelta(rho=0.95),
    learning_rate_schedule=Cosine(warmup_epochs=0.5),
    initializer=Initializer(weights=HeNormal()),
    preprocessing=Preprocessing(scale=(-1.0, 1.0), mean=(0.1,), std=(0.3,)),
    targets={"test_accuracy": 0.99},
)
EVERY_PIXEL = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def test_plain_data_and_back() -> None:
    assert from_plain(Recipe, json.loads(json.dumps(to_plain(RECIPE)))) == RECIPE


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0}, "epochs must be from 1 to"),
        ({"epochs": 10**9}, "epochs must be from 1 to"),
        ({"batch_size": -1}, "batch_size must be from 1 to"),
        ({"epochs": 1, "learning_rate_schedule": Cosine(warmup_epochs=2)}, "warmup_epochs 2 exceeds epochs 1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be in [0, 1)"),
        ({"targets": {"test_acuracy": 0.9}}, "did you mean 'test_accuracy'"),
        ({"targets": {"test_accuracy": 99.0}}, "must be in (0, 1]"),
        ({"targets": {"test_accuracy": math.nan}}, "must be in (0, 1]"),
    ],
)
def test_the_users_own_values_are_checked_when_replaced(changes: dict, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        replace(RECIPE, **changes)
    assert said in str(caught.value)


ATTENTION = {
    "multi_head_attention_1.key_weight": 0.1,
    "multi_head_attention_1.key_bias": 0,
    "class_token_1.token": 0,
    "position_embedding_1.embedding": 0,
}


def test_weights_alone_decay_where_the_recipe_says_so() -> None:
    spared = Adadelta(weight_decay=0.1, decay="weights")
    for name, decay in {"conv2d_1.weight": 0.1, "linear_1.bias": 0, "batch_norm2d_1.gamma": 0, **ATTENTION}.items():
        assert spared.weight_decay_of(name) == decay
        assert Adadelta(weight_decay=0.1).weight_decay_of(name) == 0.1


@pytest.mark.parametrize("model", architecture_names())
def test_the_matrices_and_kernels_of_every_model_are_weights(model: str) -> None:
    spared = Adadelta(weight_decay=0.1, decay="weights")
    for name, shape in parameter_shapes(load_architecture(model)).items():
        assert (spared.weight_decay_of(name) > 0) == (len(shape) > 1 and not name.endswith(".embedding")), name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gradient_clip: 1.0", "mine.yaml:5: unknown field of a recipe 'gradient_clip': clip_norm of the optimizer"),
        ("clip_norm: 1.0", "{sgd: {clip_norm: 1.0}}"),
        ("decay: weights", "{sgd: {weight_decay: 5.0e-4, decay: weights}}"),
        ("loss: {cross_entropy: {label_smoothing: 0.1}}", "'loss': it is softmax cross-entropy; label_smoothing"),
        ("optimizer: {sgd: {decay: biases}}", "decay must be 'all' or 'weights', got 'biases'"),
        ("optimizer: {sgd: {clip_norm: 0}}", "clip_norm must be positive"),
    ],
)
def test_what_is_looked_for_elsewhere_is_explained(line: str, said: str, tmp_path: Path) -> None:
    own = "" if line.startswith("optimizer") else "optimizer: sgd\n"
    (tmp_path / "mine.yaml").write_text(f"name: mine\nepochs: 1\nbatch_size: 2\n{own}{line}\n")
    with pytest.raises(RequestError) as caught:
        load_recipe(tmp_path / "mine.yaml")
    assert said in str(caught.value)


def test_pixels_fill_the_scale_exactly() -> None:
    pixels = Preprocessing().apply(EVERY_PIXEL)
    assert pixels.dtype == np.float32
    assert pixels.shape == EVERY_PIXEL.shape
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    np.testing.assert_allclose(pixels, EVERY_PIXEL / 255.0, rtol=2e-7)
    symmetric = Preprocessing(scale=(-1.0, 1.0)).apply(EVERY_PIXEL)
    assert (symmetric.min(), symmetric.max()) == (-1.0, 1.0)


def test_mean_and_std_are_per_channel_in_units_of_the_scaled_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    expected = (images / 255.0 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(Preprocessing(mean=mean, std=std).apply(images), expected, rtol=1e-5, atol=1e-6)


def test_chunks_and_an_out_array_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 1, 3, 3), dtype=np.uint8)
    preprocessing = Preprocessing(mean=(0.13,), std=(0.31,))
    whole = preprocessing.apply(images)
    monkeypatch.setattr("specs.recipe._IMAGES_PER_CHUNK", 4)
    out = np.full(images.shape, np.nan, np.float32)
    assert preprocessing.apply(images, out=out) is out
    np.testing.assert_array_equal(out, whole)


def test_channels_that_do_not_fit_are_named() -> None:
    with pytest.raises(RequestError, match="mean and std have 3 channels, the images have 1"):
        Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3).apply(EVERY_PIXEL)


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": (1.0, 0.0)},
        {"scale": (0.0, math.inf)},
        {"scale": (0.0, 0.5, 1.0)},
        {"mean": (0.5,)},
        {"mean": (0.5,), "std": (0.5, 0.5)},
        {"mean": (0.5,), "std": (0.0,)},
        {"mean": (), "std": ()},
        {"mean": (math.nan,), "std": (1.0,)},
    ],
)
def test_wrong_preprocessing_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"scale|mean|std"):
        Preprocessing(**fields)


def test_a_data_set_named_by_a_path_is_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    text = "name: mine\nepochs: 1\nbatch_size: 2\noptimizer: sgd\ndataset: "
    (tmp_path / "mine.yaml").write_text(f"{text}data.npz\n")
    assert load_recipe(tmp_path / "mine.yaml").dataset == "data.npz"
    (tmp_path / "data.npz").write_bytes(b"")
    assert load_recipe(tmp_path / "mine.yaml").dataset == str(tmp_path / "data.npz")
    (tmp_path / "digits").mkdir()
    (tmp_path / "mine.yaml").write_text(f"{text}digits\n")
    assert load_recipe(tmp_path / "mine.yaml").dataset == "digits"
