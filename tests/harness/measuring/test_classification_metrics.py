"""How well logits tell the classes apart, held against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from harness.measuring.classification_metrics import classification_metrics


def logits(predicted: np.ndarray, classes: int) -> np.ndarray:
    return 5.0 * np.eye(classes)[predicted]


@pytest.mark.parametrize("classes", [10, 3, 200])
@pytest.mark.parametrize("occurring", ["all", "some"])
def test_macro_averages_are_scikit_learns(classes: int, occurring: str) -> None:
    rng = np.random.default_rng([classes, len(occurring)])
    pool = np.arange(classes) if occurring == "all" else rng.choice(classes, max(2, classes // 3), replace=False)
    labels = rng.choice(pool, 400)
    predicted = np.where(rng.random(400) < 0.7, labels, rng.choice(pool, 400))
    found = classification_metrics(logits(predicted, classes), labels)
    expected = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    assert [getattr(found, f"macro_{name}") for name in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert np.array_equal(found.confusion_matrix, confusion_matrix(labels, predicted, labels=range(classes)))


def test_classes_that_neither_occur_nor_are_predicted_do_not_count() -> None:
    """Ten 0s and ten 9s, three and five of them taken for the other, by a network of ten classes."""
    labels = np.repeat([0, 9], 10)
    predicted = np.concatenate([np.repeat([0, 9], [7, 3]), np.repeat([9, 0], [5, 5])])
    assert classification_metrics(logits(predicted, 10), labels).macro_f1 == pytest.approx(0.596, abs=5e-4)


def test_a_class_that_is_predicted_and_never_occurs_counts_as_zero() -> None:
    found = classification_metrics(logits(np.array([0, 1, 2, 2]), 10), np.array([0, 1, 1, 0]))
    assert found.macro_precision == pytest.approx((1 + 1 + 0) / 3)
    assert found.macro_recall == pytest.approx((0.5 + 0.5 + 0) / 3)
