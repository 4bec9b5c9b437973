"""``evaluate`` and ``predict`` as a user calls them, on a checkpoint that ``run`` left."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets import load_dataset
from results.record import Record
from tests.harness.checkpoints.test_checkpoints import without_digests, write
from tests.harness.cli.commands import ROOT, assert_one_line, harness

DIGITS = load_dataset("digits")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """The checkpoint of a short run in NumPy, and the run's record."""
    folder = tmp_path_factory.mktemp("trained")
    words = "run --backend numpy --model mlp --dataset digits --epochs 3 --json --out set"
    done = harness(*words.split(), cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    (place,) = (folder / "set" / "checkpoints").iterdir()
    return place, Record.from_json(done.stdout)


def test_evaluate_says_what_the_record_says(trained: tuple[Path, Record]) -> None:
    place, record = trained
    done = harness("evaluate", "--checkpoint", str(place), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["backend"], said["model"], said["dataset"], said["samples"]) == ("numpy", "mlp", "digits", 355)
    for figure in ("test_accuracy", "test_loss", "macro_precision", "macro_recall", "macro_f1"):
        assert said[figure] == pytest.approx(getattr(record, figure), rel=1e-6), figure
    assert said["confusion_matrix"] == [list(row) for row in record.confusion_matrix or ()]
    assert [one["index"] for one in said["misclassified"]] == [one.index for one in record.misclassified]


def test_evaluate_prints_tables(trained: tuple[Path, Record]) -> None:
    done = harness("evaluate", "--checkpoint", str(trained[0]), "--limit-test", "50")
    assert done.returncode == 0, done.stderr
    assert "mlp on digits in numpy" in done.stdout
    assert "macro F1" in done.stdout
    assert "Confusion" in done.stdout


def test_a_test_image_by_its_number(trained: tuple[Path, Record], tmp_path: Path) -> None:
    """The picture shows it; the same image from a file, and dark on light, gives the same answer."""
    place = ["--checkpoint", str(trained[0])]
    picture = tmp_path / "p.png"
    done = harness("predict", *place, "--index", "5", "--out", str(picture), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (first,) = said["predictions"]
    assert first["true"] == DIGITS.test_labels[5]
    assert first["label"] == int(np.argmax(first["probabilities"]))
    assert math.isclose(sum(first["probabilities"]), 1, rel_tol=1e-9)
    assert said["picture"] == str(picture)
    with Image.open(picture) as opened:
        assert opened.width > 1000
        assert len(np.unique(np.asarray(opened.convert("L")))) > 20
    pixels = np.array(DIGITS.test_images[5, 0])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(255 - pixels).save(tmp_path / "b.png")
    done = harness("predict", *place, str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for prediction in json.loads(done.stdout)["predictions"]:
        np.testing.assert_allclose(prediction["logits"], first["logits"], atol=1e-5)
    (line,) = done.stderr.splitlines()
    assert line == f"note: {tmp_path / 'b.png'}: dark on light, and the model was trained on light on dark: inverted"


def test_a_random_image_for_people(trained: tuple[Path, Record], tmp_path: Path) -> None:
    done = harness("predict", "--checkpoint", str(trained[0]), "--random", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "digits test image" in done.stdout
    assert "Probabilities" in done.stdout
    assert (tmp_path / "prediction.png").is_file()


def test_more_images_than_a_picture_has_room_for(trained: tuple[Path, Record], tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", DIGITS.test_images[:25, 0])
    done = harness("predict", "--checkpoint", str(trained[0]), str(tmp_path / "many.npy"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shows the first 20 of 25 images" in done.stderr
    assert "many.npy:24" in done.stdout


WRONG = [
    ([], "nothing to predict"),
    (["--random", "--index", "3"], "--random chooses an image of the test set by itself"),
    (["--index", "355"], "--index must be from 0 to 354"),
    (["--index", "0", "--dataset", "digit"], "did you mean 'digits'?"),
    (["--index", "0", "--backend", "torhc"], "did you mean 'torch'?"),
    (["--index", "0", "--device", "cdua"], "did you mean 'cuda'?"),
    (["nothing.png"], "nothing.png: no such file"),
    (["{folder}"], "a folder, not an image"),
    (["{folder}/empty.png"], "empty.png: the file is empty"),
    (["{folder}/text.png"], "not an image: PNG, JPEG, IDX and .npy files are read"),
    (["--index", "0", "--out", "{folder}"], "a folder; --out names the PNG to write"),
    (["{folder}/text.png", "--dataset", "digits"], "--dataset and image files were both given"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_request(words: list[str], said: str, trained: tuple[Path, Record], tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    given = [word.format(folder=tmp_path) for word in words]
    assert_one_line(harness("predict", "--checkpoint", str(trained[0]), *given), said)


def test_data_that_does_not_suit_is_refused(trained: tuple[Path, Record], tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez(tmp_path / "small.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    words = ["evaluate", "--checkpoint", str(trained[0])]
    assert_one_line(harness(*words, "--dataset", str(tmp_path / "small.npz")), "model 'mlp' takes images [1, 28, 28]")
    assert_one_line(harness(*words, "--limit-test", "0"), "--limit-test must be from 1 to 355")


def test_a_checkpoint_whose_values_are_broken_is_told(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    write(tmp_path / "one")
    tensors = load_file(tmp_path / "one" / "model.safetensors")
    tensors["linear_1.bias"][:] = np.nan
    save_file(tensors, tmp_path / "one" / "model.safetensors")
    without_digests(tmp_path / "one")
    np.save(tmp_path / "a.npy", np.eye(4, dtype=np.uint8) * 255)
    done = harness("predict", "--checkpoint", str(tmp_path / "one"), str(tmp_path / "a.npy"), cwd=tmp_path)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("note: ")
    assert "not finite" in first
    assert "the model answers with NaN or infinity" in second


def test_a_framework_that_fails_is_one_line_and_status_1(trained: tuple[Path, Record]) -> None:
    words = ["evaluate", "--checkpoint", str(trained[0]), "--backend", "fake"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.cli_with_fakes", '{"predict": "segfault"}', *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: fake: ")
    assert "SIGSEGV" in line


def test_a_test_part_alone_that_lacks_a_class(trained: tuple[Path, Record], tmp_path: Path) -> None:
    """The network has ten classes; what is evaluated are labels 0 to 8, in Keras's own form."""
    chosen = DIGITS.test_labels < 9
    images = np.moveaxis(DIGITS.test_images[chosen], 1, -1)
    np.savez(tmp_path / "only.npz", x_test=images, y_test=DIGITS.test_labels[chosen])
    words = ("--checkpoint", str(trained[0]), "--dataset", str(tmp_path / "only.npz"), "--json")
    done = harness("evaluate", *words)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["samples"] == chosen.sum()
    assert np.shape(said["confusion_matrix"]) == (10, 10)
    assert done.stderr.splitlines() == [
        "note: only: images [28, 28, 1] have their channels last: read as [1, 28, 28]",
        "note: only: its labels go to 8, the model's to 9",
    ]
    done = harness("predict", *words, "--index", "3")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["true"] == DIGITS.test_labels[chosen][3]
    assert_one_line(
        harness("run", "--backend", "numpy", "--model", "mlp", "--dataset", str(tmp_path / "only.npz")),
        "needs the arrays train_images",
        "a test part alone is for evaluate and predict",
    )


def test_a_data_set_that_was_named_by_a_relative_path(tmp_path: Path) -> None:
    """The checkpoint is evaluated from any folder; the path is as long as paths may be."""
    folder = tmp_path / ("long" * 40) / ("way" * 40)
    folder.mkdir(parents=True)
    images, labels = DIGITS.test_images[:50], DIGITS.test_labels[:50]
    np.savez(folder / "mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    words = "run --backend numpy --model mlp --epochs 1 -q --out set --dataset"
    done = harness(*words.split(), f"{folder.relative_to(tmp_path)}/mine.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (place,) = (tmp_path / "set" / "checkpoints").iterdir()
    for words in (["evaluate"], ["predict", "--index", "0"]):
        done = harness(*words, "--checkpoint", str(place), "--json")
        assert done.returncode == 0, done.stderr
    (folder / "mine.npz").unlink()
    assert_one_line(harness("evaluate", "--checkpoint", str(place)), f"is neither {folder}/mine.npz nor long")
