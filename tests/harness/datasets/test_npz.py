import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import load_dataset
from specs.errors import RequestError
from tests.harness.datasets.files import small_data, write_folder


@pytest.fixture
def archive(tmp_path: Path):
    def write(compressed: bool = True, **changes: object) -> Path:
        path = tmp_path / "mine.npz"
        arrays = {name: value for name, value in {**small_data(), **changes}.items() if value is not None}
        (np.savez_compressed if compressed else np.savez)(path, **arrays)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("compressed", [True, False])
def test_an_archive_holds_what_a_folder_holds(tmp_path: Path, archive, compressed: bool) -> None:
    data = load_dataset(archive(compressed))
    assert (data.name, data.classes) == ("mine", 3)
    assert data.train_images.shape == (12, 1, 6, 4)
    np.testing.assert_array_equal(data.test_images[:, 0], small_data()["test_images"])
    assert data.train_labels.dtype == np.int64
    assert data.sha256 == load_dataset(write_folder(tmp_path / "folder", small_data())).sha256


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    names = ("trainX", "trainy", "testX", "testy")
    np.savez(path, x_val=np.zeros(3), **dict(zip(names, small_data().values(), strict=True)))
    assert load_dataset(path).notes == ("arrays that are not read: 'x_val'",)


def test_keras_names_wide_labels_and_fortran_order(tmp_path: Path) -> None:
    data = small_data()
    path = tmp_path / "mnist.npz"
    np.savez(
        path,
        x_train=np.asfortranarray(data["train_images"]),
        y_train=data["train_labels"].astype(">i8"),
        x_test=data["test_images"],
        y_test=data["test_labels"].astype(np.int32),
    )
    loaded = load_dataset(path)
    np.testing.assert_array_equal(loaded.train_images[:, 0], data["train_images"])
    np.testing.assert_array_equal(loaded.train_labels, data["train_labels"])
    assert loaded.sha256 == load_dataset(write_folder(tmp_path / "folder", data)).sha256


def test_channels(archive) -> None:
    images = np.zeros((12, 3, 6, 4), np.uint8), np.zeros((5, 3, 6, 4), np.uint8)
    assert load_dataset(archive(train_images=images[0], test_images=images[1])).train_images.shape == (12, 3, 6, 4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_labels": None}, "needs the arrays train_images, train_labels, test_images, test_labels or x_train"),
        (
            {"train_images": np.zeros((12, 24), np.uint8)},
            "train_images: images must be uint8 [N, H, W] or [N, C, H, W], got uint8[12, 24]",
        ),
        (
            {"train_images": np.zeros((12, 784), np.uint8)},
            "train_images: images must be uint8 [N, H, W] or [N, C, H, W], got uint8[12, 784]; reshape(-1, 28, 28)",
        ),
        (
            {"train_images": np.zeros((12, 6, 4))},
            "test_images: floating-point numbers in one part and integers in the other",
        ),
        ({"train_images": np.zeros((12, 6), np.uint8)}, "train_images: images must be uint8"),
        ({"train_labels": np.full(12, 0.5)}, "train_labels: labels must be integers [N], got float64[12] that are not"),
        ({"train_labels": np.full(12, np.nan)}, "train_labels: labels must be integers [N], got float64[12] that are"),
        ({"train_labels": np.array(["a"] * 12)}, "train_labels: <U1[12] holds no numbers"),
        ({"train_labels": np.zeros((12, 3), int)}, "train_labels: labels must be integers [N], got int64[12, 3]"),
        ({"train_labels": np.array([{}] * 12, object)}, "train_labels: object[12] holds no numbers"),
        ({"train_labels": np.zeros(11, int)}, "train_labels: 11 labels for the 12 images of"),
        ({"train_labels": np.full(12, -1)}, "train_labels: label -1 is below 0: labels count from 0"),
        ({"train_labels": np.full(12, 2**40)}, "train_labels: a label of 1099511627776; at most 65535 is allowed"),
        ({"test_images": np.zeros((5, 6, 5), np.uint8)}, "test_images: images of shape [6, 5], but"),
        (
            {"test_images": np.zeros((0, 6, 4), np.uint8), "test_labels": np.zeros(0, int)},
            "test_images: holds no image",
        ),
    ],
)
def test_wrong_arrays(archive, changes: dict, said: str) -> None:
    assert refusal(archive(**changes)).startswith(said)


def replace_member(path: Path, name: str, content: bytes) -> Path:
    """The archive with another file in place of one member."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member, held in (members | {name: content}).items():
            new.writestr(member, held)
    return path


def npy(header: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "train_images: not an .npy array"),
        (b"PK\3\4", "train_images: not an .npy array"),
        (npy("{'descr': '|u1', 'fortran_order': False}"), "train_images: not an .npy array"),
        (npy("(" * 5000), "train_images: not an .npy array"),
        (npy("__import__('os').system('true')"), "train_images: not an .npy array"),
        (
            npy("{'descr': '|u1', 'fortran_order': False, 'shape': (12, 6, 4)}", bytes(287)),
            "train_images: 287 bytes for",
        ),
        (
            npy("{'descr': '|u1', 'fortran_order': False, 'shape': (12, 6, 4)}", bytes(289)),
            "train_images: 289 bytes for",
        ),
        (npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**11}, 6, 4)}}"), "train_images: 0 bytes for"),
        (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 6, 4)}"), "train_images: "),
    ],
)
def test_malformed_members(archive, content: bytes, said: str) -> None:
    assert refusal(replace_member(archive(), "train_images.npy", content)).startswith(said)


class Payload:
    """Unpickling it would leave a file behind."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("was-executed"),)


def test_no_pickle_is_ever_loaded(archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    held = io.BytesIO()
    np.lib.format.write_array(held, np.array([Payload()], object), allow_pickle=True)
    assert pickle.dumps(Payload()) in held.getvalue() or b"was-executed" in held.getvalue()
    refusal(replace_member(archive(), "train_images.npy", held.getvalue()))
    assert not (tmp_path / "was-executed").exists()


def test_a_zip_bomb_is_not_unpacked(archive, tmp_path: Path) -> None:
    """The directory lies about a member's size: nothing near that size is allocated."""
    path = archive()
    with zipfile.ZipFile(path) as held:
        info = held.getinfo("train_images.npy")
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"train_images.npy"))
    lie = content[: entry + 24] + struct.pack("<I", 0xFFFFFF00) + content[entry + 28 :]
    assert struct.unpack("<I", content[entry + 24 : entry + 28])[0] == info.file_size
    path.write_bytes(lie)
    assert "announces 4,294,967,040 bytes, more than it can hold" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6" + bytes(18), b"not an archive at all"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    refusal(path)


def test_a_truncated_archive(archive) -> None:
    path = archive()
    path.write_bytes(path.read_bytes()[:-30])
    assert refusal(path).startswith("not a sound .npz archive")


def test_a_flipped_bit_is_found(archive) -> None:
    path = archive(compressed=False)
    content = bytearray(path.read_bytes())
    content[content.index(small_data()["train_images"].tobytes()) + 9] ^= 4
    path.write_bytes(bytes(content))
    assert refusal(path).startswith("not a sound .npz archive: Bad CRC-32")


def test_other_compressions_are_refused(archive) -> None:
    path = archive()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as held:
        for name, array in small_data().items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            held.writestr(f"{name}.npy", buffer.getvalue())
    assert "compressed in a way that NumPy does not write" in refusal(path)
