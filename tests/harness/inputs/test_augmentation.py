"""What is drawn is what the recipe bounds, is the same again, and is nothing at strength 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.inputs.augmentation import IMAGES_PER_CHUNK, augmented, displacements, erased, placed, resampled
from specs.augmentation import Augmentation, Elastic, Erasing

EVERYTHING = Augmentation(
    crop_padding=2,
    horizontal_flip=0.5,
    rotation=15,
    shift=2,
    zoom=0.1,
    elastic=Elastic(alpha=20, sigma=4),
    erasing=Erasing(probability=0.5),
)


def images(count: int, channels: int = 1, height: int = 20, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def epoch(pixels: np.ndarray, augmentation: Augmentation, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return np.concatenate(list(augmented(pixels, augmentation, seed=seed, epoch=epoch)))


def grid(height: int, width: int) -> np.ndarray:
    return np.mgrid[:height, :width].astype(float)


def test_nothing_changes_at_strength_0() -> None:
    pixels = images(7, channels=3)
    np.testing.assert_array_equal(epoch(pixels, Augmentation()), pixels)
    np.testing.assert_array_equal(epoch(pixels, Augmentation(elastic=Elastic(alpha=0), erasing=Erasing())), pixels)


def test_resampling_where_nothing_moves_returns_the_image() -> None:
    pixels = images(7, channels=3)
    still = placed(7, 20, 16, Augmentation(), np.random.default_rng(0))
    np.testing.assert_allclose(still, np.broadcast_to(grid(20, 16)[:, np.newaxis], still.shape), atol=1e-12)
    np.testing.assert_array_equal(resampled(pixels, still), pixels)


def test_a_shift_of_whole_pixels_moves_pixels_and_fills_with_0() -> None:
    pixels = images(2)
    sources = np.broadcast_to(grid(20, 16)[:, np.newaxis], (2, 2, 20, 16)) - np.reshape([3, -2], (2, 1, 1, 1))
    moved = resampled(pixels, sources)
    np.testing.assert_array_equal(moved[:, :, 3:, :-2], pixels[:, :, :-3, 2:])
    assert not moved[:, :, :3].any()
    assert not moved[:, :, :, -2:].any()


def test_crops_come_from_every_place_of_black_margins_and_half_are_flipped() -> None:
    pixels = np.repeat(images(1, channels=3), 3000, axis=0)
    seen = epoch(pixels, Augmentation(crop_padding=1, horizontal_flip=0.5))
    wide = np.pad(pixels[0], ((0, 0), (1, 1), (1, 1)))
    crops = [wide[:, top : top + 20, left : left + 16] for top in range(3) for left in range(3)]
    crops += [crop[:, :, ::-1] for crop in crops]
    counts = [int((seen == crop).all(axis=(1, 2, 3)).sum()) for crop in crops]
    assert sum(counts) == 3000
    assert all(abs(count - 3000 / 18) < 60 for count in counts)  # under five standard deviations


def test_interpolation_is_linear_between_the_four_pixels_around() -> None:
    pixels = images(1)
    between = resampled(pixels, grid(20, 16)[:, np.newaxis] + np.reshape([0.25, 0.5], (2, 1, 1, 1)))
    a, b, c, d = (pixels[0, 0, 5 + y, 7 + x].astype(float) for y in (0, 1) for x in (0, 1))
    assert between[0, 0, 5, 7] == round(0.75 * (a + b) / 2 + 0.25 * (c + d) / 2)


def test_angles_shifts_and_magnifications_keep_to_their_bounds_and_fill_them() -> None:
    """Recovered from the sources themselves: the map of each image is affine."""
    bounds = Augmentation(rotation=15, shift=2, zoom=0.1)
    sources = placed(4000, 21, 21, bounds, np.random.default_rng(1))
    down = sources[:, :, -1, 10] - sources[:, :, 0, 10]
    angles = np.degrees(np.arctan2(-down[1], down[0]))
    magnifications = 20 / np.hypot(*down)
    inverse = np.radians(angles)
    offset = (sources[:, :, 10, 10] - 10) * magnifications
    shifts = np.stack(
        [
            np.sin(inverse) * offset[1] - np.cos(inverse) * offset[0],
            -np.cos(inverse) * offset[1] - np.sin(inverse) * offset[0],
        ]
    )
    for values, bound in ((angles, 15), (magnifications - 1, 0.1), (shifts[0], 2), (shifts[1], 2)):
        assert np.abs(values).max() <= bound * (1 + 1e-9)
        assert values.max() > 0.99 * bound
        assert values.min() < -0.99 * bound
        assert abs(values.mean()) < 0.05 * bound


def test_an_angle_above_0_turns_the_image_counter_clockwise() -> None:
    pixels = np.zeros((1, 1, 21, 21), np.uint8)
    pixels[0, 0, 10, 18] = 255  # to the right of the middle
    generator = type("Drawn", (), {"uniform": lambda self, low, high, size: np.ones(size) * (size == 1)})()
    sources = placed(1, 21, 21, Augmentation(rotation=90), generator)
    assert np.unravel_index(resampled(pixels, sources)[0, 0].argmax(), (21, 21)) == (2, 10)  # above it


def test_elastic_fields_have_the_strength_that_the_docstring_says_and_are_smooth() -> None:
    fields = displacements(200, 40, 40, Elastic(alpha=34, sigma=4), np.random.default_rng(2))
    assert fields.shape == (2, 200, 40, 40)
    inner = fields[:, :, 14:-14, 14:-14]
    assert inner.std() == pytest.approx(34 * math.sqrt(1 / 3) / (2 * 4 * math.sqrt(math.pi)), rel=0.05)
    assert abs(inner.mean()) < 0.05
    steps = np.diff(inner, axis=-1)
    # Of a field smoothed so, neighbours differ by sqrt(2 (1 - exp(-1 / 4 sigma**2))) standard deviations.
    assert steps.std() / inner.std() == pytest.approx(math.sqrt(2 * (1 - math.exp(-1 / 64))), rel=0.1)
    twice = displacements(200, 40, 40, Elastic(alpha=68, sigma=4), np.random.default_rng(2))
    np.testing.assert_allclose(twice, 2 * fields)


def test_erasing_takes_one_rectangle_of_the_drawn_size_and_leaves_the_rest() -> None:
    rule = Erasing(probability=0.7, area=(0.05, 0.2), ratio=0.5)
    pixels = np.full((3000, 3, 24, 24), 128, np.uint8)
    result = erased(pixels, rule, np.random.default_rng(3))
    assert (pixels == 128).all(), "the originals stay"
    changed = (result != 128).any(axis=1)
    hit = changed.any(axis=(1, 2))
    assert hit.mean() == pytest.approx(0.7, abs=0.03)
    shares = []
    for mask in changed[hit]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.99, "full, and one rectangle"
        assert 0.5 - 0.15 < tall / wide < 2 + 0.6  # sides are whole pixels
        shares.append(tall * wide / 24**2)
    assert min(shares) > 0.03
    assert max(shares) < 0.23
    assert np.mean(shares) == pytest.approx(0.125, abs=0.01)
    inside = result[hit][:, 0][changed[hit]]
    assert inside.mean() == pytest.approx(127.5, abs=1)  # random pixels, 0 to 255


def test_a_rectangle_that_no_image_of_this_shape_holds_is_left_out() -> None:
    pixels = np.zeros((5, 1, 1, 400), np.uint8)
    result = erased(pixels, Erasing(probability=1, area=(0.5, 0.5), ratio=1), np.random.default_rng(0))
    np.testing.assert_array_equal(result, pixels)


def test_an_epoch_is_the_same_again_and_unlike_another_epoch_or_seed() -> None:
    pixels = images(IMAGES_PER_CHUNK + 30)
    first = epoch(pixels, EVERYTHING)
    assert first.shape == pixels.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(epoch(pixels, EVERYTHING), first)
    assert (epoch(pixels, EVERYTHING, epoch=1) != first).any()
    assert (epoch(pixels, EVERYTHING, seed=1) != first).any()
    assert (first[:30] != first[-30:]).any(), "chunks draw for themselves"


def test_what_is_drawn_for_one_purpose_does_not_depend_on_another() -> None:
    pixels = images(40)
    moved = epoch(pixels, Augmentation(rotation=15))
    both = epoch(pixels, Augmentation(rotation=15, erasing=Erasing(probability=0.5)))
    same = (moved == both).all(axis=(1, 2, 3))
    assert 0.2 < same.mean() < 0.8


def test_channels_move_together() -> None:
    pixels = np.repeat(images(3), 3, axis=1)
    moved = epoch(pixels, Augmentation(rotation=15, elastic=Elastic(alpha=20)))
    np.testing.assert_array_equal(moved[:, 0], moved[:, 2])
