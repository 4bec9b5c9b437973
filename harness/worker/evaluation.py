"""The test or the validation part through a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session
from harness.worker.job import Labelled

EVAL_BATCH = 1000


@dataclass(frozen=True)
class Evaluation:
    """Mean softmax cross-entropy and accuracy over a part, computed in float64 from the logits."""

    logits: NDArray[Any]
    loss: float
    accuracy: float


def evaluate(session: Session, part: Labelled, dtype: np.dtype[Any]) -> Evaluation:
    """All of a part, EVAL_BATCH images at a time in the session's dtype."""
    batches = [
        session.predict(np.asarray(part.images[start : start + EVAL_BATCH], dtype))
        for start in range(0, len(part.images), EVAL_BATCH)
    ]
    logits = np.concatenate(batches)
    loss, accuracy = loss_and_accuracy(logits, part.labels)
    return Evaluation(logits, loss, accuracy)


def loss_and_accuracy(logits: NDArray[Any], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of logsumexp(z) - z[label], and the share of labels that are the first largest logit; float64."""
    z = logits.astype(np.float64)
    top = z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    loss = float((log_sum - z[np.arange(len(z)), labels]).mean())
    return loss, float((z.argmax(axis=1) == labels).mean())
