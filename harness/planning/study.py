"""A study: the choices of a comparison, from flags or a YAML file, and the sweep of runs they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from backends.registry import MANNERS, Manner, Registration, find, frameworks
from harness.planning.choices import ComparisonChoices
from harness.planning.manners import manners, manners_of
from harness.planning.plan import RunPlan
from harness.planning.resolve import resolve_model, resolve_threads
from results.record import utf8
from specs.codec import from_fields, to_plain
from specs.document import beside
from specs.errors import FieldError, RequestError, unknown
from specs.loading import architecture_names, load_dataclass

MOST_RUNS = 100_000
MOST_BUDGET_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Study(ComparisonChoices):
    """What to compare. "all" stands for every backend but NumPy, or for every bundled model.

    ``repeats`` is the number of rounds; ``seeds`` are run within each. ``tuning`` holds manners of using a framework,
    or "all" for those that each backend has.
    """

    def __post_init__(self) -> None:
        backends = [n for given in self.backends for n in (frameworks() if given == "all" else [find(given).subject])]
        models = [name for given in self.models for name in (architecture_names() if given == "all" else [given])]
        # The pinned version before others of its framework: where no baseline is named, ratios are to it.
        names = [find(backend).name for backend in backends]
        backends.sort(key=lambda backend: (names.index(find(backend).name), find(backend).version is not None))
        for field, values in (("backends", backends), ("models", models)):
            object.__setattr__(self, field, tuple(dict.fromkeys(values)))
        for field in ("backends", "models", "datasets", "seeds", "tuning"):
            values = getattr(self, field)
            if not values:
                raise FieldError(field, "at least one is needed", joint=": ")
            object.__setattr__(self, field, tuple(dict.fromkeys(values)))
        object.__setattr__(self, "data_dir", None if self.data_dir is None else Path(self.data_dir))
        object.__setattr__(self, "precision", self.precision or "float32")
        object.__setattr__(self, "baseline", find(self.baseline).subject)
        object.__setattr__(self, "tuning", manners(self.tuning))
        if not 1 <= self.repeats <= 1000:
            raise FieldError("repeats", f"must be from 1 to 1000, got {self.repeats}")
        if not 0 <= self.retry_noisy <= 10:
            raise FieldError("retry_noisy", f"must be from 0 to 10, got {self.retry_noisy}")
        if not 1 <= self.budget <= MOST_BUDGET_S:
            raise FieldError("budget", f"must be from 1 to {MOST_BUDGET_S:g} seconds, got {self.budget:g}")
        if not 0.1 <= self.precision_target <= 50:
            raise FieldError(
                "precision_target", f"must be from 0.1 to 50 per cent (5 or 5%), got {self.precision_target:g}"
            )
        if self.runs > MOST_RUNS:
            raise RequestError(f"the study asks for {self.runs:,} runs, more than {MOST_RUNS:,}")

    @property
    def runs(self) -> int:
        """How many runs the sweep has."""
        total = self.repeats * sum(len(manners_of(find(backend), self.tuning)) for backend in self.backends)
        for choices in (self.models, self.datasets, self.seeds):
            total *= len(choices)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain data, every choice written out."""
        plain = {field.name: to_plain(getattr(self, field.name)) for field in fields(self)}
        return {name: [*map(utf8, value)] if isinstance(value, list) else utf8(value) for name, value in plain.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Study:
        """The inverse of ``to_dict``. Raises RequestError for fields that no study has."""
        known = {field.name for field in fields(cls)}
        for name in data:
            if name not in known:
                raise unknown("field of a study", name, known)
        if isinstance(data.get("tuning"), str):  # a set made before there were three manners
            data = data | {"tuning": _BEFORE_MANNERS.get(data["tuning"], [data["tuning"]])}
        study: Study = from_fields(cls, data, "study")
        return study


_BEFORE_MANNERS = {"on": ["expert"], "off": ["default"], "both": ["expert", "default"]}


def load_study(path: Path) -> Study:
    """A study from a YAML file of its fields; paths in it are looked for beside it, then from the current folder.

    Raises RequestError with file and line, and for a path that is in neither place.
    """
    study = load_dataclass(path, Study)
    if study.baseline not in (Study.baseline, *study.backends):
        raise unknown("baseline", study.baseline, study.backends, where=f"{path}: baseline")

    def found(name: str) -> str:
        place = beside(path, name)
        relative = name.endswith((".yaml", ".yml", ".npz")) and not name.startswith("/")
        if place == name and relative and not Path(name).exists():
            raise RequestError(f"{path}: {name}: no such file in {path.parent.absolute()} or in {Path.cwd()}")
        return place

    return replace(
        study,
        models=tuple(map(found, study.models)),
        datasets=tuple(map(found, study.datasets)),
        recipe=None if study.recipe is None else found(study.recipe),
        data_dir=None if study.data_dir is None else Path(found(str(study.data_dir))),
    )


def plans_of(study: Study) -> list[tuple[str, RunPlan]]:
    """Every run under its name, in the order of running: one round of all, then the next.

    Within a round the backends of one comparison follow each other, so that drift of the machine falls on all alike.
    The name says what the run is and is the same whenever the study is planned again. Raises RequestError.
    """
    planned: dict[str, RunPlan] = {}
    for plan in _plans(study):
        run_id = run_name(plan)
        if run_id in planned:
            raise RequestError(f"two runs would both be called {run_id}: give each model and dataset its own name")
        planned[run_id] = plan
    return list(planned.items())


def _plans(study: Study) -> Iterator[RunPlan]:
    threads = resolve_threads(study.threads)
    cases = [(model, resolve_model(model, study, dataset)) for model in study.models for dataset in study.datasets]
    for round_number in range(study.repeats):
        for model, (architecture, recipe) in cases:
            for seed in study.seeds:
                for tuning, backend in _manners(study):
                    yield RunPlan(
                        backend=backend,
                        model=model,
                        architecture=architecture,
                        recipe=recipe,
                        recipe_named=study.recipe or recipe.name,
                        dataset=recipe.dataset,
                        seed=seed,
                        round=round_number,
                        device=study.device,
                        precision=study.precision or "float32",
                        threads=threads,
                        tuning=tuning,
                        data_dir=study.data_dir,
                        limit_train=study.limit_train,
                        limit_test=study.limit_test,
                        timeout_s=study.timeout,
                        stall_timeout_s=study.stall_timeout,
                        memory_limit_mb=study.memory_limit,
                        save=False,
                        proof=study.proof,
                    )


def _manners(study: Study) -> Iterator[tuple[Manner, Registration]]:
    """Every manner with the backends that run in it, those of one manner behind each other."""
    for manner in MANNERS:
        for backend in map(find, study.backends):
            if manner in manners_of(backend, study.tuning):
                yield manner, backend


def run_name(plan: RunPlan) -> str:
    """backend-model-dataset-sSEED-rROUND, the parts reduced to what a folder name may hold."""
    dataset = re.sub(r"[^A-Za-z0-9._]", "_", Path(plan.dataset).name)[:40] or "data"
    parts = [plan.backend.subject.replace("@", "-"), plan.architecture.name, dataset, f"s{plan.seed}", f"r{plan.round}"]
    return "-".join(parts if plan.tuning == "recommended" else [*parts, plan.tuning])
