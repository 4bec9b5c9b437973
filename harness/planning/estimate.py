"""How long a sweep will take, from runs that were made before, else from FLOPs at an assumed rate."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from harness.planning.plan import RunPlan
from results.record import Row
from specs.shapes import forward_flops, train_flops

# For runs of which nothing is known: a start-up and a rate that CPU frameworks reach on small networks.
ASSUMED_START_S = 10.0
ASSUMED_FLOPS = 20e9


class Estimator:
    """Seconds of a planned run, learnt from rows of finished ones."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._start: dict[str, list[float]] = {}
        self._rate: dict[tuple[str, str, str, int], list[float]] = {}
        for row in rows:
            self.learn(row)

    def learn(self, row: Row) -> None:
        """Take a finished run into account."""
        rate = row.throughput.train_samples_per_second
        phases = row.phases
        if row.status != "ok" or not rate or phases.total_s is None:
            return
        self._rate.setdefault((row.backend, row.model, row.tuning.manner, row.threads), []).append(rate)
        self._start.setdefault(row.backend, []).append(max(0.0, phases.total_s - (phases.train_s or 0)))

    def known(self, plan: RunPlan) -> bool:
        """Whether a run like it was seen."""
        return self._key(plan) in self._rate

    def seconds(self, plan: RunPlan, train_samples: int, test_samples: int) -> float:
        """The whole run, its start included."""
        start = median(self._start.get(plan.backend.name, [ASSUMED_START_S]))
        samples = train_samples * plan.recipe.epochs
        if self.known(plan):
            return start + samples / median(self._rate[self._key(plan)])
        flops = samples * train_flops(plan.architecture)
        flops += test_samples * (plan.recipe.epochs + 1) * forward_flops(plan.architecture)
        return start + flops / ASSUMED_FLOPS

    @staticmethod
    def _key(plan: RunPlan) -> tuple[str, str, str, int]:
        return plan.backend.name, plan.architecture.name, plan.tuning, plan.threads
