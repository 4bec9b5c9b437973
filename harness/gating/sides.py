"""Base and candidate, from the words that name them to the runs of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backends.registry import find
from harness.planning.choices import GateChoices
from harness.planning.finished import Planned
from harness.planning.manners import check_manner, manner
from harness.planning.plan import RunPlan
from harness.planning.study import Study, plans_of, run_name
from specs.errors import RequestError

BASE, CANDIDATE = "base", "candidate"


@dataclass(frozen=True)
class Sided:
    """A backend as it was named, BACKEND[@VERSION][:MANNER], with the study of its runs and these."""

    named: str
    study: Study
    plans: tuple[RunPlan, ...]

    @property
    def backend(self) -> str:
        """Its backend as the study names it."""
        return self.study.backends[0]


def sided(named: str, choices: GateChoices) -> Sided:
    """One side. Raises RequestError for a backend, a manner or a choice that there is not."""
    backend, colon, word = named.partition(":")
    if backend.strip() == "all":
        raise RequestError("a gate takes one backend on either side, not all: torch or torch:expert, say")
    used = manner(word) if colon else "recommended"
    check_manner(find(backend), used)
    study = Study(
        name="gate",
        backends=(backend,),
        tuning=(used,),
        models=choices.models,
        datasets=choices.datasets,
        seeds=choices.seeds,
        repeats=1,
        proof=choices.proof,
        budget=choices.budget,
        **choices.common(),
    )
    return Sided(named, study, tuple(plan for _, plan in plans_of(study)))


def runs_of(base: Sided | None, candidate: Sided) -> list[Planned]:
    """The runs of both sides under their names, those of one seed behind each other; without a base the candidate's."""
    if base is None:
        return [(_name(CANDIDATE, plan), plan) for plan in candidate.plans]
    pairs = zip(base.plans, candidate.plans, strict=True)
    return [named for old, new in pairs for named in ((_name(BASE, old), old), (_name(CANDIDATE, new), new))]


def run_ids(side: str, plans: Iterable[RunPlan]) -> list[str]:
    """The names of a side's runs."""
    return [_name(side, plan) for plan in plans]


def cases(side: Sided) -> Iterator[list[RunPlan]]:
    """The plans of each model and data set, a seed each."""
    groups: dict[tuple[str, str], list[RunPlan]] = {}
    for plan in side.plans:
        groups.setdefault((plan.model, plan.dataset), []).append(plan)
    yield from groups.values()


def _name(side: str, plan: RunPlan) -> str:
    return f"{side}-{run_name(plan)}"
