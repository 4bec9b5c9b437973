"""What a driver asks of a machine and what it is answered: plain data, which both ends check.

Paths mean nothing on another machine: a data set is named by the SHA-256 of its content, an environment is the
machine's own, and what a user's files said is here whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from backends.registry import Manner, find
from harness.execution.units import Unit
from harness.planning.plan import RunPlan
from harness.racing.cases import RaceTask
from harness.racing.race import Rules
from specs.architecture import Architecture
from specs.codec import from_plain, to_plain
from specs.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class PlacedPlan:
    """A ``RunPlan`` without what belongs to the machine that planned it."""

    backend: str
    model: str
    architecture: Architecture
    recipe: Recipe
    recipe_named: str | None
    dataset: str
    seed: int
    round: int
    device: str
    precision: str
    threads: int
    tuning: Manner
    limit_train: int | None
    limit_test: int | None
    timeout_s: float | None
    stall_timeout_s: float | None
    memory_limit_mb: int | None
    proof: bool

    @classmethod
    def of(cls, plan: RunPlan) -> PlacedPlan:
        """What a machine needs to know of a run that a comparison planned."""
        same = {name: getattr(plan, name) for name in _SAME}
        return cls(backend=plan.backend.subject, **same)

    @property
    def plan(self) -> RunPlan:
        """The run as the machine that has this carries it out. Raises RequestError for what cannot be planned."""
        same = {name: getattr(self, name) for name in _SAME}
        return RunPlan(backend=find(self.backend), save=False, **same)


_SAME = tuple(name for name in PlacedPlan.__annotations__ if name != "backend")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Make what environments are missing and say what you have; ``datasets`` are digests of what will be needed."""

    kind: ClassVar[str] = "survey"
    subjects: tuple[str, ...]
    threads: int
    code: str
    numpy: str
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Keep the data set that comes with this, if its content is that of the digest."""

    kind: ClassVar[str] = "keep"
    dataset: str


@dataclass(frozen=True, kw_only=True)
class RunOrder:
    """Carry a unit out; ``datasets`` are the digests by the names that the plans have for them."""

    kind: ClassVar[str] = "run"
    names: tuple[str, ...]
    plans: tuple[PlacedPlan, ...]
    retry_noisy: int
    datasets: Mapping[str, str]

    @classmethod
    def of(cls, unit: Unit, digests: Mapping[str, str]) -> RunOrder:
        """The order of a unit."""
        plans = tuple(PlacedPlan.of(plan) for _, plan in unit.runs)
        names = tuple(name for name, _ in unit.runs)
        return cls(
            names=names,
            plans=plans,
            retry_noisy=unit.retry_noisy,
            datasets={p.dataset: digests[p.dataset] for p in plans},
        )

    @property
    def unit(self) -> Unit:
        """The unit as the machine carries it out."""
        plans = [placed.plan for placed in self.plans]
        return Unit(runs=tuple(zip(self.names, plans, strict=True)), retry_noisy=self.retry_noisy)


@dataclass(frozen=True, kw_only=True)
class RaceOrder:
    """Hold a race."""

    kind: ClassVar[str] = "race"
    plans: tuple[PlacedPlan, ...]
    target: float
    budget_s: float
    baseline: str
    needs_mb: Mapping[str, float] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: RaceTask, digests: Mapping[str, str]) -> RaceOrder:
        """The order of a race."""
        return cls(
            plans=tuple(map(PlacedPlan.of, task.plans)),
            target=task.rules.target,
            budget_s=task.rules.budget_s,
            baseline=task.baseline,
            needs_mb={str(place): needed for place, needed in task.needs_mb.items()},
            datasets={plan.dataset: digests[plan.dataset] for plan in task.plans},
        )

    @property
    def task(self) -> RaceTask:
        """The race as the machine holds it."""
        return RaceTask(
            plans=tuple(placed.plan for placed in self.plans),
            rules=Rules(target=self.target, budget_s=self.budget_s),
            baseline=self.baseline,
            needs_mb={int(place): needed for place, needed in self.needs_mb.items()},
        )


Order = Survey | Keep | RunOrder | RaceOrder


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What a machine has. ``fingerprint`` is that of its hardware and id; versions go by subject.

    ``problem`` says why it cannot take part; ``lacking`` are the digests of data sets that it does not have yet.
    """

    kind: ClassVar[str] = "surveyed"
    fingerprint: str = ""
    told: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The data set is there."""

    kind: ClassVar[str] = "kept"


@dataclass(frozen=True, kw_only=True)
class Made:
    """The outcome of a unit or of a race: records and a race as JSON, and the logs of the runs by their names."""

    kind: ClassVar[str] = "made"
    records: tuple[str, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    race: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The order was not carried out, through no fault of a run: the machine's, or of what it was sent."""

    kind: ClassVar[str] = "failed"
    reason: str


Answer = Surveyed | Kept | Made | Failed


@dataclass(frozen=True)
class _Order:
    order: Order


@dataclass(frozen=True)
class _Answer:
    answer: Answer


def order_bytes(order: Order) -> bytes:
    """An order as JSON in UTF-8, for the wire."""
    return json.dumps({"order": to_plain(order)}).encode()


def read_order(data: bytes) -> Order:
    """The inverse. Raises ValueError for anything else, RequestError for what cannot be planned."""
    return from_plain(_Order, json.loads(data)).order


def answer_bytes(answer: Answer) -> bytes:
    """An answer as JSON in UTF-8, for the wire."""
    return json.dumps({"answer": to_plain(answer)}).encode()


def read_answer(data: Any) -> Answer:
    """The inverse. Raises ValueError for anything else."""
    if not isinstance(data, bytes):
        raise ValueError(f"an answer is bytes, not {type(data).__name__}")
    return from_plain(_Answer, json.loads(data)).answer
