"""Anyone's own data: pictures in folders, CSV tables, IDX files of wide numbers, .npz under other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets import load_dataset
from specs.errors import RequestError
from tests.harness.datasets.files import idx_bytes, small_data, write_folder

DATA = small_data(shape=(6, 6))


def draw(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pictures(folder: Path, names: tuple[str, ...] = ("cat", "dog", "emu"), *, suffix: str = "png") -> Path:
    for part in ("train", "test"):
        for number, (image, label) in enumerate(zip(DATA[f"{part}_images"], DATA[f"{part}_labels"], strict=True)):
            draw(folder / part / names[label] / f"{number:02}.{suffix}", image)
    return folder


def by_class(part: str) -> np.ndarray:
    return DATA[f"{part}_images"][np.argsort(DATA[f"{part}_labels"], kind="stable")]


def test_pictures_are_read_class_after_class(tmp_path: Path) -> None:
    data = load_dataset(pictures(tmp_path / "zoo"))
    assert (data.name, data.classes, data.notes) == ("zoo", 3, ("classes are the folders: cat = 0, dog = 1, emu = 2",))
    np.testing.assert_array_equal(data.train_images[:, 0], by_class("train"))
    np.testing.assert_array_equal(data.train_labels, np.sort(DATA["train_labels"]))
    np.testing.assert_array_equal(data.test_images[:, 0], by_class("test"))


def test_numbers_as_names_count_as_numbers(tmp_path: Path) -> None:
    assert "2 = 0, 10 = 1, 30 = 2" in load_dataset(pictures(tmp_path, ("2", "10", "30"))).notes[0]


def test_one_picture_in_colour_makes_all_of_three_channels(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    draw(pictures(tmp_path) / "test" / "dog" / "zz.png", colour)
    data = load_dataset(tmp_path)
    assert data.train_images.shape[1:] == (3, 6, 6)
    place = np.flatnonzero(data.test_labels == 1)[-1]
    np.testing.assert_array_equal(data.test_images[place], colour.transpose(2, 0, 1))


def test_a_class_that_one_part_lacks_keeps_its_number(tmp_path: Path) -> None:
    pictures(tmp_path, suffix="jpg")
    for path in (tmp_path / "train" / "cat").iterdir():
        path.unlink()
    (tmp_path / "train" / "cat").rmdir()
    data = load_dataset(tmp_path)
    assert set(data.train_labels) == {1, 2}
    assert any("the training part has no sample of class 0" in note for note in data.notes)


def test_what_is_read_as_something_else_or_not_at_all_is_said(tmp_path: Path) -> None:
    pictures(tmp_path)
    draw(tmp_path / "val" / "dog" / "0.png", np.zeros((6, 6), np.uint8))
    draw(tmp_path / "train" / "dog" / "zz.bmp", np.zeros((6, 6), np.uint8))
    assert load_dataset(tmp_path).notes[1:] == (
        "val/ is not read: a recipe's validation takes its share of the training part",
        "1 files that are pictures, but neither .png nor .jpg, are not read",
    )
    (tmp_path / "test").rename(tmp_path / "put aside")
    assert "val/ is taken as the test part, for there is no test/" in load_dataset(tmp_path).notes


def test_pictures_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    odd = pictures(tmp_path) / "train" / "dog" / "zz.png"
    draw(odd, np.zeros((5, 6), np.uint8))
    with pytest.raises(RequestError, match=r"zz\.png: 6 x 5 pixels, but .* has 6 x 6: give all pictures one size"):
        load_dataset(tmp_path)
    odd.write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"zz\.png: not a sound PNG or JPEG"):
        load_dataset(tmp_path)
    odd.unlink()
    (tmp_path / "test").rename(tmp_path / "tests")
    with pytest.raises(RequestError, match=r"pictures need test/CLASS/"):
        load_dataset(tmp_path)


def tables(folder: Path, *, header: bool = False, scale: float = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for part in ("train", "test"):
        rows = np.column_stack([DATA[f"{part}_labels"], DATA[f"{part}_images"].reshape(-1, 36) * scale])
        names = "label," + ",".join(f"pixel{number}" for number in range(36))
        np.savetxt(folder / f"mnist_{part}.csv", rows, "%.9g", ",", header=names if header else "", comments="")
        if not header:
            text = (folder / f"mnist_{part}.csv").read_text().lstrip("\n")
            (folder / f"mnist_{part}.csv").write_text(text)
    return folder


@pytest.mark.parametrize("header", [False, True])
def test_two_tables(tmp_path: Path, header: bool) -> None:
    data = load_dataset(tables(tmp_path / "mine", header=header))
    np.testing.assert_array_equal(data.train_images[:, 0], DATA["train_images"])
    np.testing.assert_array_equal(data.test_labels, DATA["test_labels"])
    assert (data.classes, data.notes) == (3, ())
    assert data.sha256 == load_dataset(write_folder(tmp_path / "idx", DATA)).sha256


def test_emnists_own_files_are_told_where_letters_are_read(tmp_path: Path) -> None:
    (tmp_path / "emnist-letters-train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(RequestError, match=r"EMNIST's images lie on their side: --dataset emnist reads"):
        load_dataset(tmp_path)


def test_a_table_of_shares_is_scaled_and_says_so(tmp_path: Path) -> None:
    data = load_dataset(tables(tmp_path, scale=1 / 255))
    np.testing.assert_array_equal(data.train_images[:, 0], DATA["train_images"])
    assert data.notes == ("images of floating-point numbers from 0 to 1 are taken times 255",)


def test_tables_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    tables(tmp_path)
    (tmp_path / "mnist_test.csv").write_text("1,2,3\n")
    with pytest.raises(RequestError, match=r"mnist_test\.csv: 3 columns; a label and the pixels of a square"):
        load_dataset(tmp_path)
    (tmp_path / "mnist_test.csv").write_text("label,a,b,c,d\n1,2,3,4,five\n")
    with pytest.raises(RequestError, match=r"mnist_test\.csv: not a table of numbers"):
        load_dataset(tmp_path)
    (tmp_path / "mnist_test.csv").unlink()
    with pytest.raises(RequestError, match=r"no \.csv file with 'test' in its name; CSV data is one train and one"):
        load_dataset(tmp_path)


def test_idx_labels_of_32_bits(tmp_path: Path) -> None:
    write_folder(tmp_path / "bytes", DATA)
    write_folder(tmp_path / "wide", DATA)
    for name, part in (("train-labels-idx1-ubyte", "train_labels"), ("t10k-labels-idx1-ubyte", "test_labels")):
        (tmp_path / "wide" / name).write_bytes(idx_bytes(DATA[part].astype(">i4"), 12))
    assert load_dataset(tmp_path / "wide").sha256 == load_dataset(tmp_path / "bytes").sha256


@pytest.mark.parametrize(
    "names",
    [
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_x", "train_y", "test_x", "test_y"),
        ("training_images", "training_labels", "test_images", "test_labels"),
        ("train_data", "train_labels", "test_data", "test_labels"),
    ],
)
def test_other_names_in_an_npz(names: tuple[str, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **dict(zip(names, DATA.values(), strict=True)))
    data = load_dataset(tmp_path / "mine.npz")
    np.testing.assert_array_equal(data.test_images[:, 0], DATA["test_images"])
