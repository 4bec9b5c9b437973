"""From a name or path to a data set: names, folders, and mistakes."""

from pathlib import Path

import numpy as np
import pytest

from harness.datasets import load_dataset
from specs.errors import RequestError
from tests.harness.datasets.files import NAMES, idx_bytes, small_data, write_folder


@pytest.mark.parametrize("compress", [False, True])
def test_a_folder_of_idx_files(tmp_path: Path, compress: bool) -> None:
    data = load_dataset(str(write_folder(tmp_path / "shapes", small_data(), compress=compress)))
    assert (data.name, data.classes, data.source) == ("shapes", 3, str(tmp_path / "shapes"))
    assert data.train_images.shape == (12, 1, 6, 4)
    np.testing.assert_array_equal(data.train_labels, np.arange(12) % 3)


def test_plain_wins_over_gzip_and_other_spellings_are_known(tmp_path: Path) -> None:
    folder = write_folder(write_folder(tmp_path / "both", small_data()), small_data(), compress=True)
    (folder / NAMES["test_images"]).rename(folder / "test-images.idx3-ubyte")
    (folder / f"{NAMES['test_images']}.gz").unlink()
    np.testing.assert_array_equal(load_dataset(folder).test_images[:, 0], small_data()["test_images"])


def test_two_candidates_are_not_guessed_between(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "two", small_data())
    (folder / "train-images-old").write_bytes(b"")
    with pytest.raises(
        RequestError, match="both train-images-idx3-ubyte and train-images-old could be the train images"
    ):
        load_dataset(folder)


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_folder(tmp_path / "three", small_data())
    (folder / NAMES[missing]).unlink()
    with pytest.raises(RequestError) as caught:
        load_dataset(folder)
    assert str(caught.value) == f"{folder}: no {NAMES[missing]} (or {NAMES[missing]}.gz) among its files"


def test_labels_that_do_not_belong_to_the_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "odd", small_data())
    (folder / NAMES["test_labels"]).write_bytes(idx_bytes(np.zeros(4, np.uint8)))
    with pytest.raises(
        RequestError, match=r"t10k-labels-idx1-ubyte: 4 labels for the 5 images of .*t10k-images-idx3-ubyte"
    ):
        load_dataset(folder)


def test_a_test_label_that_training_lacks_is_a_class_and_is_noted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "odd", small_data() | {"test_labels": np.array([0, 1, 2, 77, 0], np.uint8)})
    data = load_dataset(folder)
    assert data.classes == 78
    assert data.notes[0] == "the training part has no sample of class 3, 4, 5, 6, 7 and 70 more"


def test_a_test_part_alone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "part", small_data())
    for part in ("train_images", "train_labels"):
        (folder / NAMES[part]).unlink()
    data = load_dataset(folder, training=False)
    assert (data.train_images.shape, len(data.train_labels)) == ((0, 1, 6, 4), 0)
    np.testing.assert_array_equal(data.test_images[:, 0], small_data()["test_images"])
    assert data.notes == ()
    with pytest.raises(RequestError, match="no train-images-idx3-ubyte"):
        load_dataset(folder)


@pytest.mark.parametrize("name", ["pictures/0.png", "data.txt"])
def test_a_folder_of_other_files_is_told_what_there_is(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    with pytest.raises(RequestError) as caught:
        load_dataset(tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}: holds no IDX files but {file.suffix} files; a data set is a folder of four")
    assert ".npz file of x_train, y_train, x_test and y_test" in said


def test_a_folder_around_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "MNIST" / "raw", small_data())
    with pytest.raises(RequestError, match=f"the IDX files are in {folder}: name that folder"):
        load_dataset(tmp_path / "MNIST")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "mnst",
            "unknown data set 'mnst'; did you mean 'mnist'? (known: cifar10, cifar100, digits, ",
        ),
        ("imagenet", "unknown data set 'imagenet' (known: cifar10, cifar100,"),
        ("./nowhere", "nowhere: no such file or folder"),
        ("nowhere.npz", "nowhere.npz: no such file or folder"),
        ("~nobody/at/all", "~nobody/at/all: no such file or folder"),
        ("a\0b", "a data set's name may not hold a NUL character"),
        ("x" * 300 + "/y", "File name too long"),
    ],
)
def test_mistaken_names(name: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_dataset(name)
    assert said in str(caught.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1,2")
    with pytest.raises(RequestError, match=r"data.csv: not a data set: a data set is a folder of four IDX"):
        load_dataset(path)


def test_the_content_decides_the_fingerprint(tmp_path: Path) -> None:
    first = load_dataset(write_folder(tmp_path / "a", small_data()))
    same = load_dataset(write_folder(tmp_path / "b", small_data(), compress=True))
    data = small_data()
    data["test_images"][4, 5, 3] ^= 1
    other = load_dataset(write_folder(tmp_path / "c", data))
    assert first.sha256 == same.sha256 != other.sha256
