"""A picture of samples with their labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from harness.datasets.dataset import Dataset
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
    most = min(MOST_SAMPLES, len(dataset.train_labels))
    if not 1 <= count <= most:
        raise RequestError(f"--count must be from 1 to {most}, got {count}")
    if seed < 0:
        raise RequestError(f"--seed must not be negative, got {seed}")
    chosen = np.random.default_rng(seed).choice(len(dataset.train_labels), size=count, replace=False)
    height, width = dataset.train_images.shape[2:]
    factor = max(1, _CELL // max(height, width))
    cell_width, cell_height = width * factor, height * factor
    columns = min(_COLUMNS, count)
    rows = math.ceil(count / columns)
    title = f"{dataset.title}: {count} of {len(dataset.train_labels):,} training samples, seed {seed}"
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
    for position, index in enumerate(chosen):
        row, column = divmod(position, columns)
        left = _MARGIN + column * (cell_width + _GAP)
        top = _MARGIN + _TITLE_HEIGHT + row * (cell_height + _LABEL_HEIGHT + _GAP)
        image = _image(dataset.train_images[index]).resize((cell_width, cell_height), Image.Resampling.NEAREST)
        picture.paste(image, (left, top))
        draw.text(
            (left + cell_width / 2, top + cell_height + 4),
            str(dataset.train_labels[index]),
            fill=_MUTED,
            font=label_font,
            anchor="ma",
        )
    return picture


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    """An image uint8[C, H, W] as a picture."""
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)) if len(pixels) == 3 else np.array(pixels[0]))
