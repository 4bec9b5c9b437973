import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import idx
from specs.errors import RequestError
from tests.harness.datasets.files import idx_bytes

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
LABELS = np.arange(7, dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path):
    def write(content: bytes, name: str = "file-idx") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_plain_and_gzip_hold_the_same(file) -> None:
    plain = idx.read_images(file(idx_bytes(IMAGES)))
    packed = idx.read_images(file(gzip.compress(idx_bytes(IMAGES)), "file-idx.gz"))
    for part in (plain, packed):
        np.testing.assert_array_equal(part.array, IMAGES)
        assert part.array.dtype == np.uint8
        assert part.sha256 == hashlib.sha256(idx_bytes(IMAGES)).hexdigest()
    np.testing.assert_array_equal(idx.read_labels(file(idx_bytes(LABELS))).array, LABELS)


def test_four_axes_are_channels_first(file) -> None:
    images = IMAGES.reshape(7, 1, 5, 3)
    assert idx.read_images(file(idx_bytes(images))).array.shape == (7, 1, 5, 3)


def test_a_plain_file_is_mapped_and_not_read(file) -> None:
    part = idx.read_images(file(idx_bytes(IMAGES)))
    assert isinstance(part.array, np.memmap)
    assert not part.array.flags.writeable


def test_a_large_gzip_file_is_decoded_once(file, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 4, (400, 64, 64), dtype=np.uint8)
    path = file(gzip.compress(idx_bytes(images), compresslevel=1))
    first = idx.read_images(path)
    kept = list((own_cache / "decoded").iterdir())
    assert [entry.suffix for entry in kept] == [".idx"]
    monkeypatch.setattr(idx, "_gunzip", lambda *args: pytest.fail("decoded again"))
    second = idx.read_images(path)
    assert isinstance(second.array, np.memmap)
    assert first.sha256 == second.sha256 == hashlib.sha256(idx_bytes(images)).hexdigest()


def test_a_damaged_cache_is_decoded_again(file, own_cache: Path) -> None:
    images = np.random.default_rng(0).integers(0, 4, (400, 64, 64), dtype=np.uint8)
    path = file(gzip.compress(idx_bytes(images), compresslevel=1))
    idx.read_images(path)
    (kept,) = (own_cache / "decoded").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    np.testing.assert_array_equal(idx.read_images(path).array, images)
    assert kept.stat().st_size == 16 + images.size


def test_a_cache_that_cannot_be_written_does_no_harm(file, own_cache: Path) -> None:
    images = np.zeros((400, 64, 64), dtype=np.uint8)
    own_cache.write_text("a file where the folder should be")
    np.testing.assert_array_equal(idx.read_images(file(gzip.compress(idx_bytes(images)))).array, images)


HUGE = bytes([0, 0, 8, 3]) + (100_000_000).to_bytes(4, "big") + (32).to_bytes(4, "big") * 2  # 102 GB announced


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an IDX file (starts with nothing)"),
        (b"\0\0\x08", "not an IDX file (starts with 00 00 08)"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file (starts with 89 50 4e 47)"),
        (b"\0\0\x07\x03" + bytes(12), "element type 0x07, which IDX does not have"),
        (b"\0\0\x08\x02" + bytes(12), "2 axes, but images have 3 or 4"),
        (b"\0\0\x08\xff" + bytes(12), "255 axes, but images have 3 or 4"),
        (b"\0\0\x08\x03\0\0", "truncated within its header"),
        (idx_bytes(IMAGES)[:-1], "truncated: the header [7, 5, 3] announces 105 bytes, 104 follow"),
        (idx_bytes(IMAGES) + b"x", "bytes follow after the 105 that the header [7, 5, 3] announces"),
        (b"\0\0\x08\x03" + bytes(4) + b"\xff" * 8, "empty: the header announces [0, 4294967295, 4294967295]"),
        (HUGE, "102,400,000,000 bytes"),
        (HUGE + bytes(1000), "102,400,000,000 bytes"),
    ],
)
def test_malformed_files(file, content: bytes, said: str, compress: bool) -> None:
    path = file(gzip.compress(content) if compress else content)
    with pytest.raises(RequestError) as caught:
        idx.read_images(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(("kind", "dtype"), [(9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_other_types_of_numbers(file, kind: int, dtype: str, compress: bool) -> None:
    labels = np.array([0, 3, 100], dtype)
    content = idx_bytes(labels, kind)
    part = idx.read_labels(file(gzip.compress(content) if compress else content))
    assert part.array.dtype == labels.dtype
    np.testing.assert_array_equal(part.array, labels)
    with pytest.raises(RequestError, match="truncated"):
        idx.read_labels(file(gzip.compress(content[:-1]) if compress else content[:-1]))


def test_labels_have_one_axis(file) -> None:
    with pytest.raises(RequestError, match="3 axes, but labels have 1"):
        idx.read_labels(file(idx_bytes(IMAGES)))


def test_a_gzip_bomb_is_not_unpacked_beyond_its_header(file) -> None:
    """200 MB of zeros behind a header that announces 105 bytes: refused without unpacking them."""
    path = file(gzip.compress(idx_bytes(IMAGES) + bytes(200 << 20), compresslevel=1))
    with pytest.raises(RequestError, match="bytes follow after the 105"):
        idx.read_images(path)


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_torn_gzip_file(file, cut: int) -> None:
    path = file(gzip.compress(idx_bytes(IMAGES))[:-cut])
    with pytest.raises(RequestError, match="truncated or corrupt gzip"):
        idx.read_images(path)


def test_a_flipped_bit_within_gzip_is_found(file) -> None:
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    content[-6] ^= 1  # the checksum
    with pytest.raises(RequestError, match="truncated or corrupt gzip"):
        idx.read_images(file(bytes(content)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        idx.read_images(tmp_path / "none")
