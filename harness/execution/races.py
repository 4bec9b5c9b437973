"""The races of a comparison: one per case, after its runs, kept in the set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from backends.registry import Registration
from harness.datasets import load_dataset
from harness.execution.engine import Engine
from harness.planning.finished import Planned
from harness.planning.plan import RunPlan
from harness.planning.study import Study
from harness.planning.subjects import subject_of
from harness.racing.cases import RaceTask, Watcher, cases, rules_of
from harness.racing.plans import RaceInterrupted, baseline_of, training_of
from results.race import pooled
from results.record import Row
from results.store import ResultSet


def race_set(study: Study, plans: Sequence[Planned], results: ResultSet, watch: Watcher, engine: Engine) -> None:
    """Race every case of a set on which no race was precise enough yet; those that trained well take part.

    A race that is interrupted is kept as far as it got. Raises what the engine and the set do.
    """
    with closing(engine.race(_open(study, plans, results), watch)) as races:
        try:
            for race in races:
                results.save_race(race)
                watch.finished(race)
        except RaceInterrupted as stopped:
            if stopped.race.rounds:
                results.save_race(stopped.race)
            raise


def _open(study: Study, plans: Sequence[Planned], results: ResultSet) -> list[RaceTask]:
    """The races that are still to be held."""
    rows, _ = results.rows()
    tasks = []
    for group in cases(plan for _, plan in plans):
        training = training_of(group[0], load_dataset(group[0].dataset, group[0].data_dir))
        peaks = _peaks(rows, training, group)
        racing = [plan for plan in group if (plan.backend, plan.tuning) in peaks]
        if len(racing) < 2 or _decided(results, training, racing, study):
            continue
        needs = {
            place: peak for place, plan in enumerate(racing) if (peak := peaks[plan.backend, plan.tuning]) is not None
        }
        tasks.append(RaceTask(plans=tuple(racing), rules=rules_of(study), baseline=study.baseline, needs_mb=needs))
    return tasks


def _peaks(
    rows: Iterable[Row], training: str, plans: Sequence[RunPlan]
) -> dict[tuple[Registration | None, str], float | None]:
    """The highest resident memory of each backend and manner that trained well, but for those whose proof failed."""
    asked = [plan.backend for plan in plans]
    peaks: dict[tuple[Registration | None, str], float | None] = {}
    for row in rows:
        if row.status == "ok" and not row.disproved and row.fingerprints.training == training:
            key = (subject_of(row.backend, row.framework_version, asked), row.tuning.manner)
            known = [peak for peak in (peaks.get(key), row.memory.peak_rss_mb) if peak is not None]
            peaks[key] = max(known, default=None)
    return peaks


def _decided(results: ResultSet, training: str, racing: Sequence[RunPlan], study: Study) -> bool:
    """Whether the races kept, taken together, are already as precise as the study wants it for all of these."""
    base = racing[baseline_of(racing, study.baseline)]
    asked = [plan.backend for plan in racing]
    for kept in pooled(results.races()[0]):
        race = kept.model_copy(update={"target": rules_of(study).target})
        racers = [(subject_of(one.backend, one.framework_version, asked), one.manner) for one in race.racers]
        here = (race.training, race.device, race.precision, race.threads, racers[race.baseline])
        wanted = (training, base.device, base.precision, base.threads, (base.backend, base.tuning))
        if here == wanted and {(plan.backend, plan.tuning) for plan in racing} <= {*racers} and race.precise:
            return True
    return False
