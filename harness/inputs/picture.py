"""Pictures of samples with their labels, as they are and as a recipe varies them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from harness.datasets.dataset import Dataset
from harness.inputs.augmentation import augmented
from specs.augmentation import Augmentation
from specs.errors import RequestError

MOST_SAMPLES = 1_000
_COLUMNS = 10
_CELL = 84  # pixels that an image's longer side is enlarged to, by a whole factor
_GAP = 10
_LABEL_HEIGHT = 22
_TITLE_HEIGHT = 34
_MARGIN = 16
_BACKGROUND, _INK, _MUTED = (255, 255, 255), (20, 20, 20), (110, 110, 110)


def sample_grid(dataset: Dataset, *, count: int, seed: int) -> Image.Image:
    """``count`` training samples drawn without replacement, ten to a row, each over its label.

    Images of three channels are shown in colour, others by their first channel. Raises RequestError for a count that
    cannot be had.
    """
    chosen = _chosen(dataset, count, seed)
    cells = [(dataset.train_images[index], str(dataset.train_labels[index])) for index in chosen]
    return _grid(cells, f"{dataset.title}: {count} of {len(dataset.train_labels):,} training samples, seed {seed}")


def augmentation_grid(dataset: Dataset, augmentation: Augmentation, *, count: int, seed: int) -> Image.Image:
    """``count`` training samples, a row for each: as it is, then varied as for epochs 1 to 9. Errors as above."""
    chosen = _chosen(dataset, count, seed)
    originals = dataset.train_images[chosen]
    epochs = [
        np.concatenate(list(augmented(originals, augmentation, seed=seed, epoch=epoch)))
        for epoch in range(_COLUMNS - 1)
    ]
    cells = []
    for row, index in enumerate(chosen):
        cells.append((originals[row], str(dataset.train_labels[index])))
        cells += [(images[row], f"epoch {epoch}") for epoch, images in enumerate(epochs, 1)]
    return _grid(cells, f"{dataset.title}: {count} training samples, and as nine epochs vary them, seed {seed}")


def _chosen(dataset: Dataset, count: int, seed: int) -> NDArray[np.int64]:
    most = min(MOST_SAMPLES, len(dataset.train_labels))
    if not 1 <= count <= most:
        raise RequestError(f"--count must be from 1 to {most}, got {count}")
    if seed < 0:
        raise RequestError(f"--seed must not be negative, got {seed}")
    return np.random.default_rng(seed).choice(len(dataset.train_labels), size=count, replace=False)


def _grid(cells: list[tuple[NDArray[np.uint8], str]], title: str) -> Image.Image:
    """Images uint8[C, H, W] of one size over their captions, ten to a row, under a title."""
    height, width = cells[0][0].shape[1:]
    factor = max(1, _CELL // max(height, width))
    cell_width, cell_height = width * factor, height * factor
    columns = min(_COLUMNS, len(cells))
    rows = math.ceil(len(cells) / columns)
    title_font, label_font = ImageFont.load_default(size=16), ImageFont.load_default(size=14)
    grid_width = columns * (cell_width + _GAP) - _GAP
    picture = Image.new(
        "RGB",
        (
            2 * _MARGIN + max(grid_width, math.ceil(title_font.getlength(title))),
            2 * _MARGIN + _TITLE_HEIGHT + rows * (cell_height + _LABEL_HEIGHT + _GAP) - _GAP,
        ),
        _BACKGROUND,
    )
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=title_font)
    for position, (pixels, caption) in enumerate(cells):
        row, column = divmod(position, columns)
        left = _MARGIN + column * (cell_width + _GAP)
        top = _MARGIN + _TITLE_HEIGHT + row * (cell_height + _LABEL_HEIGHT + _GAP)
        image = _image(pixels).resize((cell_width, cell_height), Image.Resampling.NEAREST)
        picture.paste(image, (left, top))
        draw.text((left + cell_width / 2, top + cell_height + 4), caption, fill=_MUTED, font=label_font, anchor="ma")
    return picture


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    """An image uint8[C, H, W] as a picture."""
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)) if len(pixels) == 3 else np.array(pixels[0]))
