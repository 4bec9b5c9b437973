"""Disagreements that are known, each with its reason: what a hunt finds beside them is news."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.hunting.judging import Disagreement
from harness.hunting.trial import Trial
from specs.shapes import infer
from specs.versioned import Versioned

Applies = Callable[[Trial, Disagreement], bool]


@dataclass(frozen=True, kw_only=True)
class Known:
    """A difference of some backends, and when a disagreement is an instance of it."""

    name: str
    reason: str
    backends: tuple[str, ...]
    applies: Applies


def kinds_of(trial: Trial) -> set[str]:
    """The kinds of layers that the trial's network has."""
    return {node.layer.kind for node in infer(trial.architecture)}


KNOWN: tuple[Known, ...] = (
    Known(
        name="softmax hides NaN",
        reason="of eight or more float32 logits (docs/upstream/paddle_softmax_hides_nan.py)",
        backends=("paddle",),
        applies=lambda trial, found: (
            not trial.finite and found.precision == "float32" and trial.architecture.classes >= 8
        ),
    ),
    Known(
        name="denormals are 0",
        reason="the framework's threads flush float32 denormals to 0, which is a setting of the processor",
        backends=("keras", "mindspore"),
        applies=lambda trial, found: trial.values == "denormal" and found.precision == "float32",
    ),
    Known(
        name="relu hides NaN",
        reason="relu of NaN is 0 (docs/upstream/paddle_relu_hides_nan.py, mindspore_relu_hides_nan.py)",
        backends=("paddle", "mindspore"),
        applies=lambda trial, _: not trial.finite and "relu" in kinds_of(trial),
    ),
    Known(
        name="max pooling hides NaN",
        reason="the largest of the others of a window (docs/upstream/tensorflow_max_pool_hides_nan.py and others)",
        backends=("keras", "paddle", "mindspore"),
        applies=lambda trial, _: not trial.finite and "max_pool2d" in kinds_of(trial),
    ),
)


def known(backend: str, trial: Trial, found: Disagreement) -> Known | None:
    """The known difference that a disagreement of a shrunk trial is an instance of."""
    name = Versioned.parse(backend).name
    return next((one for one in KNOWN if name in one.backends and one.applies(trial, found)), None)
