"""Where MNIST is looked for, that its content is checked, and the download, against a server of the test's own."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import download, load_dataset, mnist, packaged
from specs.errors import RequestError
from tests.harness.datasets.files import NAMES, idx_bytes, small_data, write_folder

DATA = small_data(train=30, test=20)


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of a small stand-in, no HARNESS_DATA_DIR and no mirror but those a test names."""
    sums = {part: hashlib.sha256(idx_bytes(array)).hexdigest() for part, array in DATA.items()}
    monkeypatch.setattr(mnist, "SHA256", sums)
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.setattr(download, "MNIST_MIRRORS", ("http://127.0.0.1:9/mnist/",))
    monkeypatch.setattr(packaged, "PACKAGE", "no-such-package==0")
    monkeypatch.setattr(packaged, "_PIP", ("false",))


@pytest.mark.parametrize("inner", ["", "mnist"])
@pytest.mark.parametrize("compress", [False, True])
def test_the_data_dir_is_the_folder_or_has_it(tmp_path: Path, inner: str, compress: bool) -> None:
    write_folder(tmp_path / "data" / inner, DATA, compress=compress)
    data = load_dataset("mnist", tmp_path / "data")
    assert (data.name, data.classes, data.train_images.shape) == ("mnist", 10, (30, 1, 6, 4))


def test_the_variable_then_the_cache(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(own_cache / "mnist", DATA)
    assert load_dataset("mnist").name == "mnist"
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path))
    assert load_dataset("mnist").name == "mnist", "a folder of other data does not hide the cache"
    write_folder(tmp_path / "mnist", DATA | {"train_labels": DATA["train_labels"][::-1].copy()})
    with pytest.raises(RequestError, match="not MNIST's train labels"):
        load_dataset("mnist")


def test_a_named_folder_without_it_is_an_error_and_not_a_reason_to_look_elsewhere(
    tmp_path: Path, own_cache: Path
) -> None:
    write_folder(own_cache / "mnist", DATA)
    with pytest.raises(RequestError, match=r"neither it nor its mnist/ has train-images-idx3-ubyte.gz"):
        load_dataset("mnist", tmp_path)
    with pytest.raises(RequestError, match=r"--data-dir .*nowhere: no such folder"):
        load_dataset("mnist", tmp_path / "nowhere")


def test_a_variable_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match=r"HARNESS_DATA_DIR .*nowhere: no such folder"):
        load_dataset("mnist")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, DATA)
    (tmp_path / NAMES["test_labels"]).unlink()
    with pytest.raises(RequestError, match="no t10k-labels-idx1-ubyte"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("part", DATA)
def test_other_content_under_the_right_name_is_refused(tmp_path: Path, part: str) -> None:
    changed = {name: array.copy() for name, array in DATA.items()}
    changed[part].flat[0] ^= 1
    write_folder(tmp_path, changed)
    with pytest.raises(RequestError) as caught:
        load_dataset("mnist", tmp_path)
    assert f"{tmp_path / NAMES[part]}: not MNIST's {part.replace('_', ' ')}" in str(caught.value)


def test_it_is_downloaded_once_and_kept(server, own_cache: Path, monkeypatch, capsys) -> None:
    root, address, asked = server
    write_folder(root, DATA, compress=True)
    monkeypatch.setattr(download, "MNIST_MIRRORS", (f"{address}/",))
    data = load_dataset("mnist")
    np.testing.assert_array_equal(data.train_images[:, 0], DATA["train_images"])
    assert sorted(path.name for path in (own_cache / "mnist").iterdir()) == sorted(mnist.FILES.values())
    assert len(asked) == 4
    assert load_dataset("mnist").sha256 == data.sha256
    assert len(asked) == 4
    output = capsys.readouterr()
    assert output.out == ""
    assert f"downloading {address}/train-images-idx3-ubyte.gz" in output.err


def test_mirrors_that_fail_are_passed_over(server, own_cache: Path, monkeypatch) -> None:
    """One that is not there, one without the file, one with something else, one that is torn, and a sound one."""
    root, address, asked = server
    write_folder(root / "other", {part: array + 1 for part, array in DATA.items()}, compress=True)
    write_folder(root / "torn", DATA, compress=True)
    for path in (root / "torn").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    write_folder(root / "sound", DATA, compress=True)
    monkeypatch.setattr(
        download,
        "MNIST_MIRRORS",
        ("http://127.0.0.1:9/", *(f"{address}/{name}/" for name in ("none", "other", "torn", "sound"))),
    )
    np.testing.assert_array_equal(load_dataset("mnist").test_labels, DATA["test_labels"])
    assert len(asked) >= 16
    assert all(path.is_file() for path in (own_cache / "mnist").iterdir()), "a partial download was left behind"


def test_a_server_that_unpacks_on_the_way_serves_too(server, monkeypatch) -> None:
    """Sent with Content-Encoding: gzip, a client gets the plain file under the name with .gz."""
    root, address, _ = server
    write_folder(root, DATA)
    for name in NAMES.values():
        (root / name).rename(root / f"{name}.gz")
    monkeypatch.setattr(download, "MNIST_MIRRORS", (f"{address}/",))
    np.testing.assert_array_equal(load_dataset("mnist").train_labels, DATA["train_labels"])


def test_a_download_cut_off_half_way_is_taken_up_again(server, own_cache: Path, monkeypatch) -> None:
    root, address, asked = server
    write_folder(root, DATA, compress=True)
    (root / f"{NAMES['test_images']}.gz").rename(root / "later")
    monkeypatch.setattr(download, "MNIST_MIRRORS", (f"{address}/",))
    with pytest.raises(RequestError, match=r"t10k-images-idx3-ubyte.gz could not be downloaded .*HTTP status 404"):
        load_dataset("mnist")
    (root / "later").rename(root / f"{NAMES['test_images']}.gz")
    asked.clear()
    load_dataset("mnist")
    assert sorted(asked) == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]


def test_a_server_without_end_is_cut_off(server, monkeypatch) -> None:
    root, address, _ = server
    (root / f"{NAMES['train_images']}.gz").write_bytes(bytes(300_000))
    monkeypatch.setattr(download, "MNIST_MIRRORS", (f"{address}/",))
    monkeypatch.setattr(download, "_MOST_BYTES", 100_000)
    with pytest.raises(RequestError, match="sends more than 0 MiB"):
        load_dataset("mnist")


def test_without_a_network_the_message_names_every_way_out(own_cache: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    assert "127.0.0.1:9: no connection" in message
    for way in (str(own_cache / "mnist"), "--data-dir", "HARNESS_DATA_DIR", "pip could not download it"):
        assert way in message
    assert "\n" not in message


def test_a_cache_that_cannot_be_written(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(RequestError, match="cannot keep the download"):
        load_dataset("mnist")


def test_a_hand_placed_file_in_the_cache_is_checked(own_cache: Path) -> None:
    write_folder(own_cache / "mnist", DATA, compress=True)
    (own_cache / "mnist" / mnist.FILES["test_labels"]).write_bytes(gzip.compress(idx_bytes(DATA["train_labels"])))
    with pytest.raises(RequestError, match="not MNIST's test labels"):
        load_dataset("mnist")


REAL = os.environ.get("HARNESS_DATA_DIR")


@pytest.mark.skipif(REAL is None, reason="HARNESS_DATA_DIR does not name a folder that has the real MNIST")
def test_the_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    data = load_dataset("mnist", Path(REAL))
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    np.testing.assert_array_equal(data.train_labels[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert isinstance(data.train_images, np.memmap)
