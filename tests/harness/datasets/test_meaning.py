"""Arrays in other people's forms: read as they are meant, said where it was inferred, refused where it is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.datasets import Dataset, load_dataset
from specs.errors import RequestError

GENERATOR = np.random.default_rng(0)
LABELS = np.arange(12) % 3


def saved(place: Path, images: np.ndarray, labels: np.ndarray = LABELS, **more: object) -> Path:
    """An archive whose test part are the first five samples of its training part."""
    path = place / "mine.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:5], y_test=labels[:5], **more)
    return path


def read(place: Path, images: np.ndarray, labels: np.ndarray = LABELS, **more: object) -> Dataset:
    return load_dataset(saved(place, images, labels, **more))


def pixels(*shape: int, most: int = 256) -> np.ndarray:
    images = GENERATOR.integers(0, most, (12, *shape), dtype=np.uint8)
    images.flat[0] = most - 1
    return images


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 30, 3), (5, 9, 3), (6, 5, 1)])
def test_channels_last(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Keras's own form, grey and in colour: the same content as channels first, under the same fingerprint."""
    images = pixels(*shape)
    data = read(tmp_path, images)
    np.testing.assert_array_equal(data.train_images, np.moveaxis(images, -1, 1))
    *size, channels = shape
    assert data.notes == (f"images {list(shape)} have their channels last: read as {[channels, *size]}",)
    first = read(tmp_path, np.moveaxis(images, -1, 1))
    assert first.notes == ()
    assert first.sha256 == data.sha256


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (6, 28, 28), (1, 28, 1), (1, 3, 3), (3, 3, 3), (1, 28, 3)])
def test_channels_first_needs_no_words(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    images = pixels(*shape)
    data = read(tmp_path, images)
    np.testing.assert_array_equal(data.train_images, images)
    assert data.notes == ()


def test_grey_with_and_without_an_axis_of_channels_is_one_content(tmp_path: Path) -> None:
    images = pixels(6, 5)
    assert read(tmp_path, images).sha256 == read(tmp_path, images[:, np.newaxis]).sha256


@pytest.mark.parametrize("shape", [(28, 28, 4), (28, 28, 2), (3, 28, 1), (4, 9, 3)])
def test_what_could_be_either_is_refused_and_may_be_said(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    images = pixels(*shape)
    with pytest.raises(RequestError, match="could have their channels first or last: put channels_last=True or"):
        read(tmp_path, images)
    first = read(tmp_path, images, channels_last=False)
    np.testing.assert_array_equal(first.train_images, images)
    last = read(tmp_path, images, channels_last=True)
    np.testing.assert_array_equal(last.train_images, np.moveaxis(images, -1, 1))
    assert first.notes == last.notes == ()


def test_many_channels_are_read_as_documented_and_it_is_said(tmp_path: Path) -> None:
    images = pixels(16, 20, 6)
    data = read(tmp_path, images)
    np.testing.assert_array_equal(data.train_images, images)
    (note,) = data.notes
    assert note.startswith("images [16, 20, 6] are read as 16 channels of 20 x 6; if the channels are last, put")


def test_a_word_on_channels_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="channels_last must be True or False"):
        read(tmp_path, pixels(28, 28, 4), channels_last=3)


@pytest.mark.parametrize(("most", "factor"), [(2, 255), (17, 15), (5, 63)])
def test_nearly_black_images_are_told(tmp_path: Path, most: int, factor: int) -> None:
    """0 and 1, as many archives have them; 0 to 16, as scikit-learn's digits."""
    images = pixels(6, 5, most=most)
    data = read(tmp_path, images)
    np.testing.assert_array_equal(data.train_images[:, 0], images)
    (note,) = data.notes
    assert note.startswith(f"the brightest of all pixels is {most - 1} of 255, so that the images are nearly black")
    assert note.endswith(f"if {most - 1} means white, multiply them by {factor}")
    assert read(tmp_path, images * factor).notes == ()


def test_images_that_are_all_alike_are_told(tmp_path: Path) -> None:
    assert read(tmp_path, np.zeros((12, 6, 5), np.uint8)).notes[0].startswith("every pixel of every image is 0")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.bool_])
def test_brightness_from_0_to_1(tmp_path: Path, dtype: type) -> None:
    images = pixels(6, 5, most=2).astype(dtype)
    data = read(tmp_path, images)
    np.testing.assert_array_equal(data.train_images[:, 0], images.astype(np.uint8) * 255)
    assert data.notes[0].endswith("from 0 to 1 are taken times 255")


def test_brightness_of_fractions_is_rounded(tmp_path: Path) -> None:
    images = pixels(6, 5)
    data = read(tmp_path, (images / 255).astype(np.float32))
    np.testing.assert_array_equal(data.train_images[:, 0], images)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float32])
def test_numbers_to_255_of_other_types(tmp_path: Path, dtype: type) -> None:
    images = pixels(6, 5)
    data = read(tmp_path, images.astype(dtype))
    np.testing.assert_array_equal(data.train_images[:, 0], images)
    assert f"images of {np.dtype(dtype)} from 0 to 255 are taken as uint8" in data.notes


@pytest.mark.parametrize("images", [pixels(6, 5) * 257.0, pixels(6, 5) / 128 - 1, np.full((12, 6, 5), np.nan)])
def test_brightness_that_could_mean_anything_is_refused(tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(RequestError, match=r"brightness from .*; images are uint8, or floating point from 0 to 1"):
        read(tmp_path, images)


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (LABELS[:, np.newaxis], "labels of shape [N, 1] are taken as [N]"),
        (np.eye(3, dtype=np.uint8)[LABELS], "one-hot labels of 3 columns are taken as their classes"),
        (np.eye(3, dtype=np.float32)[LABELS], "one-hot labels of 3 columns are taken as their classes"),
        (np.eye(3, dtype=np.bool_)[LABELS], "one-hot labels of 3 columns are taken as their classes"),
        (LABELS.astype(np.float64), None),
    ],
)
def test_labels_in_other_forms(tmp_path: Path, labels: np.ndarray, note: str | None) -> None:
    data = read(tmp_path, pixels(6, 5), labels)
    np.testing.assert_array_equal(data.train_labels, LABELS)
    assert data.classes == 3
    assert data.notes == (() if note is None else (note,))


@pytest.mark.parametrize("labels", [np.zeros((12, 3), int), np.ones((12, 3), int), np.full((12, 3), 0.3)])
def test_two_axes_that_are_not_one_hot(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(RequestError, match=r"labels must be integers \[N\]"):
        read(tmp_path, pixels(6, 5), labels)


def test_columns_count_as_classes(tmp_path: Path) -> None:
    data = read(tmp_path, pixels(6, 5), np.eye(5, dtype=np.uint8)[LABELS])
    assert data.classes == 5
    assert "the training part has no sample of class 3, 4" in data.notes


def test_labels_from_1_are_told(tmp_path: Path) -> None:
    data = read(tmp_path, pixels(6, 5), LABELS + 1)
    assert "the training part has no sample of class 0 (labels count from 0)" in data.notes
