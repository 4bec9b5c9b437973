"""How well logits tell the classes apart: what a record and ``evaluate`` say beside accuracy and loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results.record import MISCLASSIFIED, Misclassified, finite


@dataclass(frozen=True, kw_only=True)
class ClassificationMetrics:
    """Rows of the confusion matrix are true classes, columns predicted ones; the most confident mistakes come first."""

    macro_precision: float
    macro_recall: float
    macro_f1: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    misclassified: tuple[Misclassified, ...]


def classification_metrics(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> ClassificationMetrics:
    """Of logits [n, classes] and labels [n].

    As scikit-learn's (average="macro", zero_division=0): the mean over the
    classes that occur or are predicted; one never predicted has precision 0, one that never occurs recall 0.
    """
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    seen = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    right = np.diag(confusion)[seen].astype(float)
    precision = right / np.maximum(confusion.sum(axis=0)[seen], 1)
    recall = right / np.maximum(confusion.sum(axis=1)[seen], 1)
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    confidence = probabilities(logits).max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISCLASSIFIED]
    return ClassificationMetrics(
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        confusion_matrix=tuple(tuple(int(v) for v in row) for row in confusion),
        misclassified=tuple(
            Misclassified(
                index=int(i), true=int(labels[i]), predicted=int(predicted[i]), confidence=finite(float(confidence[i]))
            )
            for i in wrong
        ),
    )


def probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of logits [n, classes]."""
    shifted: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return shares
