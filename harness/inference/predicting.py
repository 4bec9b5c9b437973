"""From images to labels and probabilities, and a picture of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checkpoints import Checkpoint
from harness.datasets import load_dataset
from harness.inference.images import Picture, read_pictures
from harness.inference.network import Predict, logits_of
from harness.measuring.classification_metrics import probabilities
from harness.planning.plan import check_fit
from results.files import write_atomic
from specs.errors import RequestError
from specs.recipe import Preprocessing


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one picture: ``probabilities`` float64[classes], the softmax of ``logits``."""

    picture: Picture
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @property
    def name(self) -> str:
        """The picture's."""
        return self.picture.name

    def ranking(self) -> list[int]:
        """The classes, the most probable first, the lower one of two alike."""
        return [int(number) for number in np.argsort(-self.probabilities, kind="stable")]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``true`` is the label of a test image."""
        label = self.ranking()[0]
        return {
            "image": self.name,
            "label": label,
            "probability": float(self.probabilities[label]),
            "true": self.picture.label,
            "probabilities": self.probabilities.tolist(),
            "logits": self.logits.tolist(),
            "notes": list(self.picture.notes),
        }


def chosen_images(
    checkpoint: Checkpoint,
    files: Sequence[Path],
    *,
    index: int | None,
    random: bool,
    dataset: str | None,
    data_dir: Path | None,
) -> list[Picture]:
    """The pictures that the user asked for: files, or one image of a test set. Raises RequestError."""
    if random and (index is not None or files):
        raise RequestError("--random chooses an image of the test set by itself: leave out --index and the files")
    if files:
        if dataset is not None:
            raise RequestError("--dataset and image files were both given: choose one")
        return read_pictures(files, checkpoint.architecture.input, checkpoint.manifest.framing, index=index)
    if index is None and not random:
        raise RequestError("nothing to predict: name an image file, or give --index N or --random for the test set")
    data = load_dataset(dataset or checkpoint.dataset(), data_dir, training=False)
    notes = check_fit(checkpoint.architecture, data)
    count = len(data.test_labels)
    number = int(np.random.default_rng().integers(count)) if index is None else index
    if not 0 <= number < count:
        raise RequestError(f"--index must be from 0 to {count - 1} (the test images of {data.name}), got {number}")
    pixels, label = np.array(data.test_images[number]), int(data.test_labels[number])
    return [Picture(f"{data.name} test image {number}", pixels, tuple(notes), label=label)]


def predictions(predict: Predict, pictures: Sequence[Picture], preprocessing: Preprocessing) -> list[Prediction]:
    """A prediction for each picture. Raises RequestError where the model says something that is no number."""
    logits = logits_of(predict, np.stack([picture.pixels for picture in pictures]), preprocessing)
    if not np.isfinite(logits).all():
        raise RequestError("the model answers with NaN or infinity: its training must have diverged")
    shares = probabilities(logits)
    return [Prediction(*each) for each in zip(pictures, logits, shares, strict=True)]


def picture(answers: Sequence[Prediction], path: Path, title: str, *, backend: str) -> list[str]:
    """Write a PNG of the answers; returns what is to be told of it. Raises RequestError where it cannot be written."""
    from results.palette import look
    from results.plots.predictions import MOST_ROWS, Shown, draw
    from results.plots.style import styled

    rows = [Shown(one.name, one.picture.pixels, one.probabilities, one.picture.label) for one in answers]
    buffer = io.BytesIO()
    with styled():
        draw(rows, title, colour=look(backend).colour).savefig(buffer, format="png")
    if path.is_dir():
        raise RequestError(f"{path}: a folder; --out names the PNG to write")
    write_atomic(path, buffer.getvalue())
    return [f"{path} shows the first {MOST_ROWS} of {len(rows)} images"] if len(rows) > MOST_ROWS else []
