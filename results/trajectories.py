"""Where runs that started alike are, step by step, and how far apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backends.registry import REFERENCE
from results.record import LearningCurve
from results.summary import Subject

Points = NDArray[np.float64]
Followed = tuple[Subject, LearningCurve]


def points(curve: LearningCurve) -> tuple[Points, Points]:
    """Steps from 1 and losses; a mean of several steps stands at their middle. Losses that were not finite are NaN."""
    head = len(curve.first)
    middles = head + curve.steps_per_mean * (np.arange(len(curve.means)) + 0.5) + 0.5
    steps = np.concatenate([np.arange(1, head + 1), middles])
    losses = [np.nan if value is None else value for value in (*curve.first, *curve.means)]
    return steps, np.asarray(losses, dtype=np.float64)


def gaps(curve: LearningCurve, reference: LearningCurve) -> tuple[Points, Points]:
    """Steps and the differences of the losses there, without sign, as far as both go."""
    steps, losses = points(curve)
    _, expected = points(reference)
    shared = min(len(losses), len(expected))
    return steps[:shared], np.abs(losses[:shared] - expected[:shared])


def reference_of(runs: list[Followed], baseline: str | None) -> Followed:
    """The run that the others are held against: the reference where it ran, else the baseline, else the first."""
    return next((run for name in (REFERENCE, baseline) for run in runs if name in run[0].key.spellings), runs[0])
