from pathlib import Path

import numpy as np
from PIL import Image

from tests.harness.cli.commands import assert_one_line, harness


def test_a_picture_of_the_embedded_digits(tmp_path: Path) -> None:
    outcome = harness("data", "show", "--dataset", "digits", "--count", "30", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "digits-samples.png\n"
    assert "1,442 training and 355 test images of 1 x 28 x 28, 10 classes" in outcome.stderr
    with Image.open(tmp_path / "digits-samples.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (962, 404)
        pixels = np.array(picture)
    assert (pixels == 0).mean() > 0.1, "the samples are mostly black"
    assert (pixels == 255).mean() > 0.2, "the page is mostly white"


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such.png"
    assert_one_line(harness("data", "show", "--dataset", "digits", "--out", str(path)), f"{path}: cannot be written")


def test_mistakes(tmp_path: Path) -> None:
    assert_one_line(harness("data", "show", "--dataset", "mnst"), "unknown data set 'mnst'; did you mean 'mnist'?")
    assert_one_line(harness("data", "show", "--dataset", "digits", "--count", "0"), "--count must be from 1 to 1000")
    assert_one_line(harness("data", "fetch", "digts"), "unknown data set 'digts'; did you mean 'digits'?")
    assert_one_line(harness("data", "show", "--data-dir", str(tmp_path)), f"--data-dir {tmp_path}: neither it nor")


def test_a_picture_of_augmented_digits(tmp_path: Path) -> None:
    outcome = harness("data", "show", "--dataset", "digits", "--augment", "--count", "3", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "digits-augmented.png\n"
    with Image.open(tmp_path / "digits-augmented.png") as picture:
        pixels = np.array(picture.convert("L"))
    rows = [pixels[50 + row * 116 : 134 + row * 116] for row in range(3)]
    for row in rows:
        cells = [row[:, 16 + column * 94 : 100 + column * 94] for column in range(10)]
        assert all((cells[0] != other).any() for other in cells[1:]), "every epoch varies the original"
        assert len({cell.tobytes() for cell in cells}) == 10


def test_augmentation_that_is_not_there(tmp_path: Path) -> None:
    words = ("data", "show", "--dataset", "digits", "--recipe")
    assert_one_line(harness(*words, "lenet5", "--augment"), "recipe 'lenet5' has no augmentation")
    assert_one_line(harness(*words, "lenet5"), "--augment")
    assert_one_line(harness(*words, "lenet", "--augment"), "did you mean 'lenet5'?")


def test_digits_need_no_fetching() -> None:
    outcome = harness("data", "fetch", "digits")
    assert (outcome.returncode, outcome.stdout) == (0, "")
    assert "embedded" in outcome.stderr
