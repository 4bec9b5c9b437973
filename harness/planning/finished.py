"""Which runs of a sweep have their record: a record is told by what was computed from what, never by a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.datasets import Dataset
from harness.inputs.prepare import PreparedData, run_inputs, training_sha256
from harness.planning.plan import RunPlan
from harness.planning.subjects import subject_of
from harness.planning.trainable import prepared_data
from results.record import Row

Planned = tuple[str, RunPlan]


def remaining(planned: Sequence[Planned], rows: Iterable[Row], dataset_of: Callable[[str], Dataset]) -> list[Planned]:
    """The runs that have no record among ``rows``, in order, under names that no record has yet.

    A run that failed has a record: it is not tried again. One that ended before its inputs were prepared is known by
    nothing but its name.
    """
    found = list(rows)
    names = {row.run_id for row in found}
    by_name = {row.run_id for row in found if row.fingerprints.architecture is None}
    finished = [row for row in found if row.fingerprints.architecture is not None]
    contents = _Contents(dataset_of)
    asked = list(dict.fromkeys(plan.backend for _, plan in planned))
    subjects = {row.run_id: subject_of(row.backend, row.framework_version, asked) for row in finished}
    left = []
    for run_id, plan in planned:
        same = (row for row in finished if subjects[row.run_id] == plan.backend and _same_place(row, plan))
        if run_id in by_name or any(contents.agree(row, plan) for row in same):
            continue
        free = _free(run_id, names)
        names.add(free)
        left.append((free, plan))
    return left


def _same_place(row: Row, plan: RunPlan) -> bool:
    ours = (plan.tuning, plan.device, plan.precision, plan.threads, plan.seed, plan.round)
    theirs = (row.tuning.manner, row.device, row.precision, row.threads, row.seed, row.round)
    return ours == theirs


class _Contents:
    """What plans would compute, each worked out once."""

    def __init__(self, dataset_of: Callable[[str], Dataset]) -> None:
        self._dataset_of = dataset_of
        self._data: dict[object, PreparedData] = {}

    def agree(self, row: Row, plan: RunPlan) -> bool:
        """Whether the record is of this very training."""
        data = self._prepared(plan)
        if row.fingerprints.training is not None:
            return row.fingerprints.training == training_sha256(
                plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs
            )
        inputs = run_inputs(plan.architecture, plan.recipe, seed=plan.seed, samples=data.train_samples)
        ours = inputs.fingerprints()
        if not plan.recipe.augmentation.active:  # else the data's is of the augmented epochs too, not made for this
            ours = ours.model_copy(update={"data": data.fingerprint})
        return all(getattr(row.fingerprints, name) == value for name, value in ours if value is not None)

    def _prepared(self, plan: RunPlan) -> PreparedData:
        key = (plan.dataset, plan.recipe.preprocessing, plan.recipe.validation, plan.limit_train, plan.limit_test)
        if key not in self._data:
            self._data[key] = prepared_data(plan, self._dataset_of(plan.dataset))
        return self._data[key]


def _free(run_id: str, taken: set[str]) -> str:
    name, number = run_id, 2
    while name in taken:
        name, number = f"{run_id}-{number}", number + 1
    return name
