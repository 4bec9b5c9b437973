"""What a worker is given of a training: what to load, the job with the prepared inputs that it names, what follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, SessionSpec
from harness.worker.batches import Batches
from specs.recipe import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Load:
    """A framework to import: ``adapter`` is "module:Class"; without ``cpus`` the worker runs on any."""

    adapter: str
    threads: int
    cpus: tuple[int, ...]
    memory_limit_mb: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training. ``data`` and ``inputs`` are folders written by ``harness.inputs.prepare``.

    ``inputs`` may hold dropout_masks.npz besides: bool[epochs, N, *output_shape] by the name of each dropout layer, in
    the order of an epoch's samples; else the framework draws its own.
    ``start_epoch`` above 0 continues a run: ``inputs`` then holds the weights and optimizer state to start from.
    ``augmented`` is the folder of ``harness.inputs.augmented_epochs`` whose images, once through ``preprocessing``,
    take the place of the training images epoch by epoch. With ``patience`` the training ends when the evaluated loss
    has not fallen for so many epochs. ``keep`` has the worker keep what was trained for a request to save it.
    """

    spec: SessionSpec
    data: Path
    inputs: Path
    epochs: int
    batch_size: int
    start_epoch: int = 0
    augmented: Path | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    patience: int | None = None
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class Save:
    """Where the framework shall write what was trained last."""

    directory: Path


@dataclass(frozen=True, kw_only=True)
class TakeTurn:
    """A turn of the training that is held open: ``seconds`` that count, after ``settle_s`` that do not."""

    settle_s: float
    seconds: float


@dataclass(frozen=True)
class Labelled:
    """Images float32[N, C, H, W] with their labels int64[N]."""

    images: NDArray[Any]
    labels: NDArray[np.int64]


class Inputs:
    """The prepared inputs, memory-mapped: images float32[N, C, H, W], labels int64[N], order int32[epochs, N]."""

    def __init__(self, job: TrainingJob) -> None:
        self.augmented = job.augmented
        self._preprocessing = job.preprocessing
        self.dtype = job.spec.dtype
        self.train_images = np.load(job.data / "train_images.npy", mmap_mode="r")
        self.train_labels = np.load(job.data / "train_labels.npy")
        self.test = _labelled(job.data, "test")
        self.validation = _labelled(job.data, "validation") if (job.data / "validation_labels.npy").exists() else None
        self.order = np.load(job.inputs / "order.npy", mmap_mode="r")
        self.learning_rates = np.load(job.inputs / "learning_rates.npy")
        self.batches = Batches(self.order.shape[1], job.batch_size)
        with np.load(job.inputs / "initial_weights.npz") as weights:
            self.initial_weights: Arrays = dict(weights)
        self.optimizer_state = _arrays(job.inputs / "optimizer_state.npz")
        self._dropout_masks = _arrays(job.inputs / "dropout_masks.npz")

    def dropout_masks_of(self, epoch: int, begin: int, shape: tuple[int, int]) -> Arrays | None:
        """bool[K, batch, *output_shape] by layer, ``shape`` [K, batch]: from sample ``begin`` of an epoch on."""
        if self._dropout_masks is None:
            return None
        end = begin + shape[0] * shape[1]
        return {
            name: mask[epoch, begin:end].reshape(*shape, *mask.shape[2:]) for name, mask in self._dropout_masks.items()
        }

    @property
    def judged_by(self) -> Labelled:
        """What is evaluated before the first epoch and after each."""
        return self.test if self.validation is None else self.validation

    def images_of(self, epoch: int) -> NDArray[Any]:
        """The training images of an epoch (counted from 0), float[N, C, H, W] of the session's dtype."""
        if self.augmented is None:
            return np.asarray(self.train_images, self.dtype)
        pixels = np.load(epoch_file(self.augmented, epoch), mmap_mode="r")
        return self._preprocessing.apply(pixels).astype(self.dtype, copy=False)


def _arrays(file: Path) -> Arrays | None:
    """What a file holds that need not be there."""
    if not file.exists():
        return None
    with np.load(file) as arrays:
        return dict(arrays)


def _labelled(data: Path, part: str) -> Labelled:
    return Labelled(np.load(data / f"{part}_images.npy", mmap_mode="r"), np.load(data / f"{part}_labels.npy"))


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where the augmented images uint8[N, C, H, W] of an epoch (counted from 0) lie."""
    return folder / f"epoch-{epoch:05}.npy"
