"""The races of a comparison: one per case, after its runs, kept in the set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from backends.registry import Registration
from harness.datasets import load_dataset
from harness.planning.plan import RunPlan
from harness.planning.study import Study
from harness.planning.subjects import subject_of
from harness.racing.plans import RaceInterrupted, baseline_of, run_race, training_of
from harness.racing.race import Rules
from results.race import Race, pooled
from results.record import Row
from results.store import ResultSet


class Watcher(Protocol):
    """Hears how races go."""

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """Workers are being opened for a race of these."""

    def standing(self, race: Race) -> None:
        """The race after another round."""

    def finished(self, race: Race) -> None:
        """The race has ended."""


def cases(plans: Iterable[RunPlan]) -> list[list[RunPlan]]:
    """Plans that differ in backend and manner alone, two at the least, of the first seed and round of each case."""
    groups: dict[tuple[str, str], list[RunPlan]] = {}
    for plan in plans:
        group = groups.setdefault((plan.model, plan.dataset), [])
        if not group or (plan.seed, plan.round) == (group[0].seed, group[0].round):
            group.append(plan)
    return [group for group in groups.values() if len(group) > 1]


def rules_of(study: Study) -> Rules:
    """What the study asks of its races."""
    return Rules(target=study.precision_target / 100, budget_s=study.budget)


def race_set(study: Study, plans: Sequence[tuple[str, RunPlan]], results: ResultSet, watch: Watcher) -> None:
    """Race every case of a set on which no race was precise enough yet; those that trained well take part.

    A race that is interrupted is kept as far as it got. Raises what ``run_race`` and the set do.
    """
    rows, _ = results.rows()
    for group in cases(plan for _, plan in plans):
        dataset = load_dataset(group[0].dataset, group[0].data_dir)
        training = training_of(group[0], dataset)
        peaks = _peaks(rows, training, group)
        racing = [plan for plan in group if (plan.backend, plan.tuning) in peaks]
        if len(racing) < 2 or _decided(results, training, racing, study):
            continue
        watch.begun(racing)
        needs = {
            place: peak for place, plan in enumerate(racing) if (peak := peaks[plan.backend, plan.tuning]) is not None
        }
        try:
            race = run_race(racing, dataset, rules_of(study), watch.standing, baseline=study.baseline, needs_mb=needs)
        except RaceInterrupted as stopped:
            if stopped.race.rounds:
                results.save_race(stopped.race)
            raise
        results.save_race(race)
        watch.finished(race)


def _peaks(
    rows: Iterable[Row], training: str, plans: Sequence[RunPlan]
) -> dict[tuple[Registration | None, str], float | None]:
    """The highest resident memory of each backend and manner that trained well, but for those whose proof failed."""
    asked = [plan.backend for plan in plans]
    peaks: dict[tuple[Registration | None, str], float | None] = {}
    for row in rows:
        proved = row.proof is None or row.proof.status != "failed"
        if row.status == "ok" and proved and row.fingerprints.training == training:
            key = (subject_of(row.backend, row.framework_version, asked), row.tuning.manner)
            known = [peak for peak in (peaks.get(key), row.memory.peak_rss_mb) if peak is not None]
            peaks[key] = max(known, default=None)
    return peaks


def _decided(results: ResultSet, training: str, racing: Sequence[RunPlan], study: Study) -> bool:
    """Whether the races kept, taken together, are already as precise as the study wants it for all of these."""
    base = racing[baseline_of(racing, study.baseline)]
    asked = [plan.backend for plan in racing]
    for race in pooled(results.races()[0]):
        racers = [(subject_of(one.backend, one.framework_version, asked), one.manner) for one in race.racers]
        here = (race.training, race.device, race.precision, race.threads, racers[race.baseline])
        wanted = (training, base.device, base.precision, base.threads, (base.backend, base.tuning))
        if here == wanted and {(plan.backend, plan.tuning) for plan in racing} <= {*racers} and race.precise:
            return True
    return False
