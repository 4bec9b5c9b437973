"""Data sets by name, against a server of the test's own: the files are made, in the form of the published ones.

The real files were not at hand: that the sums are theirs is the word of who published them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import form_of, load_dataset, published
from harness.datasets.published import PUBLISHED
from specs.errors import RequestError
from tests.harness.datasets.files import idx_bytes, small_data, write_folder

GENERATOR = np.random.default_rng(0)
LETTERS = {
    "images": GENERATOR.integers(0, 256, (30, 28, 28), dtype=np.uint8),
    "labels": (np.arange(30) % 26 + 1).astype(np.uint8),
}


def records(count: int, labels: int, classes: int) -> tuple[np.ndarray, bytes]:
    images = GENERATOR.integers(0, 256, (count, 3072), dtype=np.uint8)
    named = np.tile((np.arange(count) % classes).astype(np.uint8), (labels, 1)).T
    named[:, : labels - 1] = 7  # the coarse ones
    return images.reshape(-1, 3, 32, 32), np.hstack([named, images]).tobytes()


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def write(name: str, folder: Path) -> None:
    """Small files in the form of the published ones."""
    folder.mkdir(parents=True, exist_ok=True)
    match name:
        case "fashion_mnist" | "kmnist":
            write_folder(folder, small_data(train=30, test=20, shape=(28, 28)), compress=True)
        case "emnist":
            with zipfile.ZipFile(folder / "gzip.zip", "w") as made:
                for part in ("train", "test"):
                    for kind, axes in (("images", 3), ("labels", 1)):
                        content = gzip.compress(idx_bytes(LETTERS[kind]))
                        made.writestr(f"gzip/emnist-letters-{part}-{kind}-idx{axes}-ubyte.gz", content)
        case "cifar10":
            names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
            members = {f"cifar-10-batches-bin/{one}": records(10, 1, 10)[1] for one in names}
            (folder / "cifar-10-binary.tar.gz").write_bytes(archive(members))
        case "cifar100":
            members = {f"cifar-100-binary/{part}.bin": records(100, 2, 100)[1] for part in ("train", "test")}
            (folder / "cifar-100-binary.tar.gz").write_bytes(archive(members))


@pytest.fixture(params=PUBLISHED)
def served(request: pytest.FixtureRequest, server, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path, list[str]]:
    """A name, the folder served at its second mirror, and what was asked for; the first mirror is not there."""
    name, (root, address, asked) = request.param, server
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    write(name, root / name)
    files = {file: hashlib.md5((root / name / file).read_bytes()).hexdigest() for file in PUBLISHED[name].files}
    mirrors = ("http://127.0.0.1:9/", f"{address}/{name}/")
    monkeypatch.setitem(published.PUBLISHED, name, replace(PUBLISHED[name], files=files, mirrors=mirrors))
    return name, root / name, asked


def test_it_is_downloaded_once_from_the_mirror_that_answers(served, own_cache: Path, capsys) -> None:
    name, _, asked = served
    data = load_dataset(name)
    form = form_of(name)
    assert data.train_images.shape[1:] == form.input
    assert (data.name, data.classes) == (name, form.classes)
    assert set(np.unique(data.train_labels)) <= set(range(form.classes))
    assert sorted(path.name for path in (own_cache / name).iterdir()) == sorted(PUBLISHED[name].files)
    count = len(asked)
    assert load_dataset(name).sha256 == data.sha256
    assert len(asked) == count == len(PUBLISHED[name].files)
    assert "downloading http://127.0.0.1" in capsys.readouterr().err


def test_it_is_found_in_a_named_folder(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, root, asked = served
    assert load_dataset(name, root.parent).name == name
    monkeypatch.setenv("HARNESS_DATA_DIR", str(root.parent))
    assert load_dataset(name).name == name
    assert asked == []
    with pytest.raises(RequestError, match=f"its {name}/ has no"):
        load_dataset(name, tmp_path)


def test_another_file_is_refused(served, own_cache: Path) -> None:
    name, root, _ = served
    file = root / next(iter(PUBLISHED[name].files))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RequestError, match="its MD5 is"):
        load_dataset(name, root.parent)
    with pytest.raises(RequestError, match=r"could not be downloaded .*no connection.*its MD5 is") as failure:
        load_dataset(name)
    assert ".incoming-" not in str(failure.value), "named a file that is gone"


def test_letters_are_turned_upright_and_count_from_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("emnist", tmp_path / "emnist")
    monkeypatch.setattr(published, "_check", lambda *_: None)
    data = load_dataset("emnist", tmp_path)
    np.testing.assert_array_equal(data.train_images[:, 0], LETTERS["images"].transpose(0, 2, 1))
    np.testing.assert_array_equal(data.train_labels, LETTERS["labels"] - 1)
    assert "labels 1 to 26 are classes 0 to 25" in data.notes[0]


def test_records_of_cifar_100_have_their_fine_label_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, content = records(100, 2, 100)
    members = {"cifar-100-binary/train.bin": content, "cifar-100-binary/test.bin": content}
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "cifar-100-binary.tar.gz").write_bytes(archive(members))
    monkeypatch.setattr(published, "_check", lambda *_: None)
    data = load_dataset("cifar100", tmp_path)
    np.testing.assert_array_equal(data.train_images, images)
    np.testing.assert_array_equal(data.test_labels, np.arange(100))


@pytest.mark.parametrize("name", ["emnist", "cifar10"])
def test_a_sound_file_of_another_form_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = PUBLISHED[name].files
    (tmp_path / name).mkdir()
    (tmp_path / name / file).write_bytes(b"something else")
    monkeypatch.setattr(published, "_check", lambda *_: None)
    with pytest.raises(RequestError, match=f"{name}: not {PUBLISHED[name].title}"):
        load_dataset(name, tmp_path)
