"""Whether a disagreement is known: what a hunt finds beside those is news."""

from __future__ import annotations

from harness.conformance.special_values import Difference, known_difference
from harness.hunting.judging import Disagreement
from harness.hunting.trial import Trial
from specs.shapes import infer


def known(subject: str, trial: Trial, found: Disagreement) -> Difference | None:
    """The known difference that a disagreement of a shrunk trial is an instance of.

    ``subject`` is the backend and its manner: "torch, expert".
    """
    kinds = {node.layer.kind for node in infer(trial.architecture)}
    classes = trial.architecture.classes
    return known_difference(subject, trial.values, found.precision, kinds, classes, found.quantity)
