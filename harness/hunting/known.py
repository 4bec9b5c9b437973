"""Whether a disagreement is known: what a hunt finds beside those is news."""

from __future__ import annotations

import math

from harness.conformance.special_values import Difference, known_difference
from harness.hunting.judging import Disagreement
from harness.hunting.trial import Trial
from specs.shapes import infer


def known(subject: str, trial: Trial, found: Disagreement) -> Difference | None:
    """The known difference that a disagreement of a shrunk trial is an instance of.

    ``subject`` is the backend and its manner: "torch, expert".
    """
    nodes = {node.name: node for node in infer(trial.architecture)}
    kinds = {node.layer.kind for node in nodes.values()}
    rows = {
        f"{nodes[source].layer.kind}, {node.layer.kind}"
        for node in nodes.values()
        for source in node.inputs
        if source in nodes
    }
    return known_difference(
        subject,
        trial.values,
        found.precision,
        kinds | rows,
        trial.architecture.classes,
        found.quantity,
        severity=math.inf if found.severity is None else found.severity,
    )
