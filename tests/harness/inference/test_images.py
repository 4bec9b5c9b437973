"""Scans of any kind reach the network in the form it was trained on; what is no image is refused with one line."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from PIL import Image

from harness.checkpoints import Framing
from harness.datasets import load_dataset
from harness.inference.framing import framed, framing_of
from harness.inference.images import Picture, read_pictures
from specs.errors import RequestError
from tests.fuzz import accepts_or_refuses, fuzz
from tests.reliability.test_fuzz import mutated

SHAPE = (1, 28, 28)
MNIST = Framing()
DIGITS = load_dataset("digits")


def one(path: Path, shape: tuple[int, int, int] = SHAPE, framing: Framing = MNIST) -> Picture:
    (picture,) = read_pictures([path], shape, framing)
    return picture


def seven(height: int, width: int, top: int, left: int, size: int) -> NDArray[np.uint8]:
    """A seven in light strokes on black, ``size`` pixels high, half as wide."""
    image = np.zeros((height, width), np.uint8)
    stroke = max(1, size // 8)
    image[top : top + stroke, left : left + size // 2] = 255
    for row in range(size):
        right = left + size // 2 - round(row / size * size / 3)
        image[top + row, right - stroke : right] = 255
    return image


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The correlation of two images."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


REFERENCE = seven(28, 28, 4, 9, 20)


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.array(DIGITS.test_images[3, 0])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", pixels)
    np.save(tmp_path / "b.npy", (pixels / 255).astype(np.float32))
    for name in ("a.png", "a.npy", "b.npy"):
        picture = one(tmp_path / name)
        assert np.array_equal(picture.pixels[0], pixels)
        assert picture.notes == ()


def test_dark_on_light_is_inverted_aloud(tmp_path: Path) -> None:
    Image.fromarray(255 - REFERENCE).save(tmp_path / "paper.png")
    picture = one(tmp_path / "paper.png")
    assert np.array_equal(picture.pixels[0], REFERENCE)
    assert picture.notes == ("dark on light, and the model was trained on light on dark: inverted",)
    trained_on_paper = one(tmp_path / "paper.png", framing=Framing(background="light"))
    assert np.array_equal(trained_on_paper.pixels[0], 255 - REFERENCE)
    assert trained_on_paper.notes == ()


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "top", "left", "size"),
    [(100, 100, 20, 30, 60), (600, 400, 310, 150, 120), (40, 300, 5, 200, 30), (3000, 2000, 100, 100, 1500)],
)
def test_a_scan_of_any_size_is_scaled_and_centred(
    tmp_path: Path, height: int, width: int, top: int, left: int, size: int, invert: bool
) -> None:
    """MNIST's own form: the longer side of the symbol's box takes 20 pixels, its mass lies in the centre."""
    image = seven(height, width, top, left, size)
    Image.fromarray(255 - image if invert else image).save(tmp_path / "scan.png")
    picture = one(tmp_path / "scan.png")
    got = picture.pixels[0]
    rows = np.flatnonzero(got.max(axis=1) > 64)
    assert 18 <= rows[-1] - rows[0] + 1 <= 20
    mass = [float((axis * got).sum() / got.sum()) for axis in np.indices(got.shape)]
    assert mass == pytest.approx([14, 14], abs=0.6)
    assert got.max() == 255
    assert got[0].max() == got[:, 0].max() == 0
    assert any("inverted" in note for note in picture.notes) == invert
    assert f"{width}x{height}, the symbol of" in picture.notes[-1]


def test_paper_grain_shadow_specks_and_colour_do_not_matter(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    clean = seven(300, 200, 60, 50, 160)
    Image.fromarray(clean).save(tmp_path / "clean.png")
    reference = one(tmp_path / "clean.png").pixels[0]
    scan = np.stack([np.where(clean > 0, ink, 235) for ink in (30, 40, 140)], axis=-1).astype(float)  # a blue pen
    scan += generator.normal(0, 5, scan.shape) - np.linspace(0, 15, 200)[:, np.newaxis]
    scan[280:284, 180:184] = 0  # a crumb
    Image.fromarray(np.clip(scan, 0, 255).astype(np.uint8)).save(tmp_path / "photo.jpg", quality=70)
    assert alike(one(tmp_path / "photo.jpg").pixels[0], reference) > 0.97


def test_every_kind_of_png_means_the_same(tmp_path: Path) -> None:
    image = seven(120, 90, 20, 20, 80)
    paper = 255 - image
    Image.fromarray(paper).save(tmp_path / "grey.png")
    reference = one(tmp_path / "grey.png").pixels[0]
    ink = np.zeros((*image.shape, 4), np.uint8)
    ink[..., 3] = image  # black ink on nothing
    chalk = ink.copy()
    chalk[..., :3] = 255  # white ink on nothing
    kinds = {
        "rgb": Image.fromarray(paper).convert("RGB"),
        "palette": Image.fromarray(paper).convert("P"),
        "bits": Image.fromarray(paper).convert("1"),
        "deep": Image.fromarray(paper.astype(np.uint16) * 257),
        "ink": Image.fromarray(ink),
        "chalk": Image.fromarray(chalk),
        "grey_alpha": Image.fromarray(np.stack([paper, np.full_like(paper, 255)], axis=-1)),
    }
    for name, picture in kinds.items():
        picture.save(tmp_path / f"{name}.png")
        assert alike(one(tmp_path / f"{name}.png").pixels[0], reference) > 0.99, name
    turned = Image.fromarray(np.rot90(paper))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned clockwise, as phones write it
    turned.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    assert alike(one(tmp_path / "phone.jpg").pixels[0], reference) > 0.99


def test_a_colour_network_gets_colour(tmp_path: Path) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = 195
    image[5:15, 5:30, 0] = 255
    Image.fromarray(image).save(tmp_path / "red.png")
    picture = one(tmp_path / "red.png", (3, 32, 32))
    assert picture.pixels.shape == (3, 32, 32)
    assert picture.pixels[0].min() > 190
    assert picture.pixels[1:].max() == 0
    assert "cropped in the middle" in picture.notes[0]
    grey = Image.fromarray(image).convert("L")
    grey.save(tmp_path / "grey.png")
    assert one(tmp_path / "grey.png", (3, 32, 32)).pixels.shape == (3, 32, 32)


def idx(images: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, images.ndim]) + b"".join(n.to_bytes(4, "big") for n in images.shape) + images.tobytes()


def test_files_of_several_images(tmp_path: Path) -> None:
    images = np.array(DIGITS.test_images[:5, 0])
    (tmp_path / "images.idx").write_bytes(idx(images))
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(images)))
    np.save(tmp_path / "three.npy", images)
    np.save(tmp_path / "four.npy", images[:, np.newaxis])
    for name in ("images.idx", "images.gz", "three.npy", "four.npy"):
        pictures = read_pictures([tmp_path / name], SHAPE, MNIST)
        assert [picture.name for picture in pictures] == [f"{tmp_path / name}:{i}" for i in range(5)]
        assert np.array_equal(np.stack([picture.pixels[0] for picture in pictures]), images)
        (third,) = read_pictures([tmp_path / name], SHAPE, MNIST, index=2)
        assert np.array_equal(third.pixels[0], images[2])
        with pytest.raises(RequestError, match="--index must be from 0 to 4, got 5"):
            read_pictures([tmp_path / name], SHAPE, MNIST, index=5)


def test_what_the_training_images_look_like_is_found() -> None:
    """Digits fill their frame; on paper they would be dark on light; MNIST's framing is what is drawn here."""
    found = framing_of(np.array(DIGITS.train_images))
    assert found.background == "dark"
    assert found.symbol > 0.95
    assert framing_of(255 - np.array(DIGITS.train_images)).background == "light"
    mnist_like = framing_of(REFERENCE[np.newaxis, np.newaxis])
    assert (mnist_like.background, round(mnist_like.symbol * 28)) == ("dark", 20)
    assert framing_of(np.zeros((3, 1, 28, 28), np.uint8)) == Framing()


def test_a_scan_of_a_digit_finds_its_way_back(tmp_path: Path) -> None:
    """Test digits enlarged, dark on light, with a wide margin, come back; these were not centred by mass."""
    framing = framing_of(np.array(DIGITS.train_images))
    for number in range(20):
        original = np.array(DIGITS.test_images[number, 0])
        page = np.full((400, 500), 245, np.uint8)
        large = np.asarray(Image.fromarray(original).resize((168, 168), Image.Resampling.BILINEAR))
        page[90:258, 200:368] -= (large * 0.9).astype(np.uint8)
        Image.fromarray(page).save(tmp_path / f"{number}.png")
        found = one(tmp_path / f"{number}.png", framing=framing).pixels[0]
        assert max(alike(np.roll(found, shift, axis=1), original) for shift in range(-4, 5)) > 0.95, number


def bomb(side: int) -> bytes:
    """A PNG of so many pixels in a kilobyte: what follows the header is never read."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(side + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


BAD: list[tuple[bytes, str]] = [
    (b"", "the file is empty"),
    (b"not an image at all", "not an image: PNG, JPEG, IDX and .npy files are read"),
    (b"GIF89a" + bytes(50), "not an image: PNG, JPEG"),
    (png(REFERENCE)[:60], "not a sound image"),
    (bomb(30_000), "too large: at most 50,000,000 pixels are read"),
    (bomb(8_000), "8,000 x 8,000 pixels, at most 50,000,000 are read"),
    (bomb(12_000), "12,000 x 12,000 pixels, at most 50,000,000 are read"),
    (png(np.full((50, 50), 128, np.uint8)), "nothing is drawn on it"),
    (npy(np.array([{}], object)), "not a sound .npy file"),
    (npy(np.zeros((2, 2), np.int64)), "int64 numbers; images are uint8"),
    (npy(np.full((28, 28), np.nan)), "brightness from 0 to 1"),
    (npy(np.full((28, 28), 7.0)), "brightness from 0 to 1"),
    (npy(np.zeros(5, np.uint8)), "shape [5]; images are"),
    (npy(np.zeros((2, 3, 28, 28), np.uint8)), "3 channels, the model takes 1"),
    (npy(np.zeros((1001, 28, 28), np.uint8)), "holds 1,001 images, more than 1,000"),
    (idx(np.zeros((2, 4, 4), np.uint8))[:-3], "truncated"),
]


@pytest.mark.parametrize(("content", "said"), BAD, ids=[said for _, said in BAD])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "it.png").write_bytes(content)
    with pytest.raises(RequestError) as refused:
        one(tmp_path / "it.png")
    assert said in str(refused.value)
    assert str(tmp_path / "it.png") in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "a folder, not an image"),
        (lambda path: None, "no such file"),
        (os.mkfifo, "not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a file"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(RequestError, match=said):
        one(tmp_path / "it")


def test_an_index_is_for_files_of_several_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(REFERENCE))
    with pytest.raises(RequestError, match="--index names an image of an IDX"):
        read_pictures([tmp_path / "a.png"], SHAPE, MNIST, index=0)


@pytest.mark.parametrize("sound", [png(seven(40, 40, 5, 10, 30)), npy(REFERENCE), idx(REFERENCE[np.newaxis])], ids=len)
def test_no_mutation_does_more_than_being_refused(sound: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it"

        @fuzz
        @given(mutated(sound))
        def check(content: bytes) -> None:
            path.write_bytes(content)
            accepts_or_refuses(lambda: read_pictures([path], SHAPE, MNIST))

        check()


@pytest.mark.parametrize("size", [(28, 28), (300, 300), (64, 20)])
@pytest.mark.parametrize("value", [0, 128, 240, 255])
def test_a_blank_picture_is_refused_at_any_size(tmp_path: Path, size: tuple[int, int], value: int) -> None:
    grain = np.random.default_rng(0).integers(-3, 4, size)
    for number, pixels in enumerate((np.full(size, value), np.clip(value + grain, 0, 255))):
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        for shape in (SHAPE, (3, 28, 28)):
            with pytest.raises(RequestError) as refused:
                one(path, shape)
            assert str(refused.value) == f"{path}: nothing is drawn on it: its brightness hardly varies"


@pytest.mark.parametrize(("bits", "most"), [(10, 1000), (12, 4080), (14, 16383)])
def test_a_cameras_bits_in_a_file_of_16(tmp_path: Path, bits: int, most: int) -> None:
    Image.fromarray((REFERENCE.astype(np.float64) / 255 * most).astype(np.uint16)).save(tmp_path / "raw.png")
    picture = one(tmp_path / "raw.png")
    assert abs(int(picture.pixels.max()) - round(255 * most / (2**bits - 1))) <= 1
    assert alike(picture.pixels[0], REFERENCE) > 0.99
    assert picture.notes == (f"brightness to {most} in 16 bits: scaled as {bits} bits",)


def test_hardly_any_contrast_is_said(tmp_path: Path) -> None:
    Image.fromarray(REFERENCE // 6).save(tmp_path / "faint.png")
    (note,) = one(tmp_path / "faint.png").notes
    assert note == "hardly any contrast (42, where the training images have 255)"
    assert one(tmp_path / "faint.png", framing=Framing(contrast=42)).notes == ()


def test_a_network_that_was_trained_on_dark_images_gets_dark_ones(tmp_path: Path) -> None:
    """Pixels of 0 and 1, say: what is blank to others is drawn to it, and a scan is brought to its brightness."""
    framing = framing_of(np.stack([REFERENCE[np.newaxis] // 255] * 3))
    assert framing.contrast == 1
    np.save(tmp_path / "own.npy", REFERENCE // 255)
    assert np.array_equal(one(tmp_path / "own.npy", framing=framing).pixels[0], REFERENCE // 255)
    Image.fromarray(255 - seven(300, 300, 60, 100, 160)).save(tmp_path / "scan.png")
    assert one(tmp_path / "scan.png", framing=framing).pixels.max() == 1


def page(*sevens: tuple[int, int, int], size: int = 300) -> NDArray[np.uint8]:
    """Dark sevens on light paper, each (top, left, size)."""
    return 255 - np.max([seven(size, size, *each) for each in sevens], axis=0)


@pytest.mark.parametrize(
    ("pixels", "count"),
    [
        (page((60, 100, 160)), 1),
        (page((80, 40, 120), (80, 160, 120)), 2),
        (page((20, 100, 100), (160, 100, 100)), 2),
        (page((100, 20, 80), (100, 110, 80), (100, 200, 80)), 3),
    ],
)
def test_several_symbols_are_said(tmp_path: Path, pixels: NDArray[np.uint8], count: int) -> None:
    Image.fromarray(pixels).save(tmp_path / "page.png")
    said = [note for note in one(tmp_path / "page.png").notes if "symbols" in note]
    assert said == ([f"{count} symbols seem to be on it, and the model takes one: cut them apart"] if count > 1 else [])


def test_a_drawn_frame_is_said(tmp_path: Path) -> None:
    pixels = page((80, 110, 130))
    for edge in (20, 277):
        pixels[20:280, edge : edge + 3] = pixels[edge : edge + 3, 20:280] = 0
    Image.fromarray(pixels).save(tmp_path / "page.png")
    said = [note for note in one(tmp_path / "page.png").notes if "frame" in note]
    assert said == ["there is a frame around it, which may be taken for a part of the symbol: cut it off"]


@pytest.mark.parametrize("border", [20, 60])
def test_a_broad_border_is_left_out_and_said(tmp_path: Path, border: int) -> None:
    """A photograph of a sheet on a dark desk."""
    pixels = np.pad(page((60, 100, 160)), border, constant_values=10)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    picture = one(tmp_path / "photo.png")
    assert picture.notes[0] == "the frame around it was left out"
    Image.fromarray(page((60, 100, 160))).save(tmp_path / "page.png")
    assert alike(picture.pixels[0], one(tmp_path / "page.png").pixels[0]) > 0.98


def test_few_images_of_a_data_set_are_taken_for_several_symbols() -> None:
    notes = [framed(np.array(image[0], np.float64), (28, 28), MNIST)[1] for image in DIGITS.train_images]
    assert sum(any("symbols" in note or "frame" in note for note in each) for each in notes) <= 3
