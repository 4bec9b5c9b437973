"""A gate carried out: both sides trained in turn, then raced, then what became slower profiled."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.datasets import load_dataset
from harness.gating.layers import layers_of
from harness.gating.rules import more_time, rules_of
from harness.gating.sides import BASE, CANDIDATE, Sided, cases, run_ids
from harness.planning.plan import RunPlan
from harness.racing.cases import Watcher
from harness.racing.plans import RaceInterrupted, run_race
from results.gate.checks import (
    GateCheck,
    Limits,
    Status,
    accuracy_check,
    memory_check,
    runs_check,
    sameness_check,
    time_check,
)
from results.gate.outcome import CaseOutcome
from results.race import Race
from results.record import Row
from results.store import ResultSet

Stored = Mapping[tuple[str, str], Sequence[Row]]
NEVER_STORED = "held against nothing that was measured before: only in one session on one machine is it comparable"


class Watch(Watcher, Protocol):
    """Hears how races go, and profiles."""

    def profiling(self, what: str, done: int, of: int) -> None:
        """See ``harness.measuring.profiling.Progress``."""


@dataclass(frozen=True, kw_only=True)
class GateTrial:
    """What is judged, by what limits, and how many seconds of turns a race may take."""

    base: Sided
    candidate: Sided
    limits: Limits
    budget_s: float

    def judge(self, results: ResultSet, watch: Watch) -> tuple[CaseOutcome, ...]:
        """Every case, from the runs in ``results`` and a race that is kept there.

        Raises what ``run_race`` does; a race that is interrupted is kept as far as it got.
        """
        rows = {row.run_id: row for row in results.rows()[0]}

        def of(side: str, plans: Sequence[RunPlan]) -> list[Row]:
            return [rows[run_id] for run_id in run_ids(side, plans)]

        return tuple(
            self._case(old[0], new[0], of(BASE, old), of(CANDIDATE, new), results, watch)
            for old, new in zip(cases(self.base), cases(self.candidate), strict=True)
        )

    def judge_against(self, stored: Stored, results: ResultSet) -> tuple[CaseOutcome, ...]:
        """Accuracies and sameness alone, the base's runs being ``stored``, by model and data set."""
        rows = {row.run_id: row for row in results.rows()[0]}
        found = []
        for plans in cases(self.candidate):
            plan = plans[0]
            base = stored[plan.model, plan.dataset]
            candidate = [rows[run_id] for run_id in run_ids(CANDIDATE, plans)]
            checks = [*self._trained(base, candidate), *(
                GateCheck(figure=figure, status=Status.NOT_JUDGED, reason=NEVER_STORED)
                for figure in ("peak memory", "training time")
            )]  # fmt: skip
            found.append(CaseOutcome(model=plan.model, dataset=plan.dataset, checks=tuple(checks)))
        return tuple(found)

    def _trained(self, base: Sequence[Row], candidate: Sequence[Row]) -> list[GateCheck]:
        """What training says but for its time and memory."""
        found = [runs_check(base, candidate), sameness_check(base, candidate)]
        if pairs := paired(base, candidate):
            found.append(accuracy_check(pairs, self.limits.accuracy_loss))
        return found

    def _case(
        self,
        old: RunPlan,
        new: RunPlan,
        base: Sequence[Row],
        candidate: Sequence[Row],
        results: ResultSet,
        watch: Watch,
    ) -> CaseOutcome:
        checks = self._trained(base, candidate)
        pairs = paired(base, candidate)
        if not pairs:  # what does not train is not timed
            return CaseOutcome(model=old.model, dataset=old.dataset, checks=tuple(checks))
        checks.append(memory_check(pairs, self.limits.memory))
        begun = time.monotonic()
        race = self._race(old, new, pairs, results, watch)
        wall_s = time.monotonic() - begun
        timed = time_check(race, self.limits.slowdown)
        regressed = timed.status is Status.REGRESSED
        layers = layers_of(self.base, self.candidate, old, watch.profiling) if regressed else None
        undecided = timed.status is Status.UNDECIDED and timed.wanted is not None
        more_s, budget_s = more_time(race, timed.wanted or 0, wall_s) if undecided else (None, None)
        return CaseOutcome(
            model=old.model,
            dataset=old.dataset,
            checks=(*checks, timed),
            layers=layers,
            more_s=more_s,
            budget_s=budget_s,
        )

    def _race(
        self,
        old: RunPlan,
        new: RunPlan,
        pairs: Sequence[tuple[Row, Row]],
        results: ResultSet,
        watch: Watch,
    ) -> Race:
        needs = {
            place: max(peaks)
            for place in (0, 1)
            if (peaks := [peak for pair in pairs if (peak := pair[place].memory.peak_rss_mb) is not None])
        }
        plans = [old, new]
        watch.begun(plans)
        rules = rules_of(self.budget_s, self.limits.slowdown)
        dataset = load_dataset(old.dataset, old.data_dir)
        try:
            race = run_race(plans, dataset, rules, watch.standing, baseline=old.backend.subject, needs_mb=needs)
        except RaceInterrupted as stopped:
            if stopped.race.rounds:
                results.save_race(stopped.race)
            raise
        results.save_race(race)
        watch.finished(race)
        return race


def paired(base: Sequence[Row], candidate: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Runs that went well on both sides, by their seeds."""
    good = {row.seed: row for row in candidate if row.status == "ok"}
    return [(row, good[row.seed]) for row in base if row.status == "ok" and row.seed in good]
