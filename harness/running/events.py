"""What a run tells while it goes on, beside what its worker tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.planning.plan import RunPlan
from harness.worker.reports import EpochReport, Phase, Progress


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run of a sweep begins."""

    run_id: str
    plan: RunPlan


@dataclass(frozen=True, kw_only=True)
class Sized:
    """How many samples an epoch has."""

    train_samples: int


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something beside the record failed, in one line."""

    text: str


RunEvent = Begun | Phase | Sized | Progress | EpochReport | Trouble
Listener = Callable[[RunEvent], None]
