"""A checkpoint at work: its network in any backend, and what it makes of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import SessionSpec
from harness.checkpoints import Checkpoint
from harness.datasets import Dataset
from harness.measuring.classification_metrics import ClassificationMetrics, classification_metrics
from harness.processes.remote import open_worker
from harness.worker.evaluation import EVAL_BATCH, loss_and_accuracy
from specs.recipe import Preprocessing

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Logits [n, classes] of preprocessed images float32[n, C, H, W]."""


@dataclass(frozen=True)
class Model:
    """A loaded network: how to ask it, and the version of what runs it."""

    predict: Predict
    version: str


@dataclass(frozen=True, kw_only=True)
class DatasetEvaluation(ClassificationMetrics):
    """What a network makes of a test part; its fields are named as in a record."""

    samples: int
    test_accuracy: float
    test_loss: float


@contextmanager
def opened(
    checkpoint: Checkpoint, backend: str, *, device: str = "cpu", threads: int = 1, python: Path | None = None
) -> Iterator[Model]:
    """The checkpoint's network in a worker of ``backend``, in the precision it was trained in.

    Raises RequestError for what the backend does not have, Unsupported for what it cannot compute, WorkerFailed else.
    """
    spec = SessionSpec(
        architecture=checkpoint.architecture,
        optimizer=checkpoint.recipe.optimizer,
        device=device,
        precision=checkpoint.manifest.precision,
        threads=threads,
    )
    with open_worker(backend, python=python, threads=threads, architecture=checkpoint.architecture) as worker:
        session = worker.open(spec)
        session.load_parameters(checkpoint.parameters)

        def predict(images: NDArray[np.float32]) -> NDArray[Any]:
            return session.predict(images.astype(spec.dtype, copy=False))

        yield Model(predict, worker.loaded.framework.framework_version)


def logits_of(predict: Predict, images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float64]:
    """float64[n, classes] of images uint8[n, C, H, W], a batch at a time."""
    batches = [
        predict(preprocessing.apply(images[start : start + EVAL_BATCH])) for start in range(0, len(images), EVAL_BATCH)
    ]
    return np.concatenate(batches).astype(np.float64)


def evaluation(predict: Predict, dataset: Dataset, preprocessing: Preprocessing, *, limit: int) -> DatasetEvaluation:
    """Figures of the first ``limit`` test images."""
    labels = dataset.test_labels[:limit]
    logits = logits_of(predict, dataset.test_images[:limit], preprocessing)
    loss, accuracy = loss_and_accuracy(logits, labels)
    metrics = classification_metrics(logits, labels)
    return DatasetEvaluation(samples=len(labels), test_accuracy=accuracy, test_loss=loss, **vars(metrics))
