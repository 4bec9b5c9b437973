"""Rows, races and whole gates made up, for tests of what is said of them."""

from __future__ import annotations

from typing import Any

from harness.racing.race import Rules
from results.gate.checks import GateCheck, Limits, Status
from results.gate.outcome import CaseOutcome, Gate, LayerCost, Layers, Side
from results.race import Race
from results.record import Memory, Proof, Record, RunError
from tests.harness.racing.simulated import start
from tests.results.records import record


def row(seed: int = 0, accuracy: float = 0.9, peak_mb: float = 300.0, **changes: Any) -> Record:
    """A run that went well and is proved."""
    made = record("torch", "mlp", seed=seed)
    changes = {
        "test_accuracy": accuracy,
        "memory": Memory(peak_rss_mb=peak_mb),
        "proof": Proof(status="proved"),
        **changes,
    }
    return made.model_copy(update=changes)


def failed(seed: int = 0) -> Record:
    """A run that ended in an error."""
    return row(seed, status="failed", error=RunError(kind="RuntimeError", message="no such kernel"))


def pairs(*changes: tuple[float, float]) -> list[tuple[Record, Record]]:
    """A seed for each: accuracy lost in points, per cent more memory."""
    return [
        (row(seed), row(seed, 0.9 - lost / 100, 300 * (1 + more / 100))) for seed, (lost, more) in enumerate(changes)
    ]


def race(*openings: list[float], **changes: Any) -> Race:
    """A race in which the candidate took so many times as long as the base, round by round of each opening."""
    times = [one for own in openings for one in own]
    begins = [sum(map(len, openings[:at])) for at in range(len(openings))]
    made = start(["base", "candidate"], Rules())
    racers = (
        made.racers[0].model_copy(update={"rates": tuple(1000.0 for _ in times)}),
        made.racers[1].model_copy(update={"rates": tuple(1000.0 / one for one in times)}),
    )
    return made.model_copy(update={"racers": racers, "openings": tuple(begins) or (0,), **changes})


def gate(*checks: GateCheck, layers: Layers | None = None, model: str = "lenet5", **changes: Any) -> Gate:
    """A gate of one case with these checks."""
    case = CaseOutcome(model=model, dataset="digits", checks=checks, layers=layers, more_s=90.0, budget_s=240.0)
    told = {
        "base": Side(named="torch", versions=("2.13.0",)),
        "candidate": Side(named="torch:expert", versions=("2.13.0",)),
        "limits": Limits(),
        "cases": (case,),
        "conditions": "a processor, cpu, float32, 2 threads",
        "results": "results/runs/gate",
    }
    return Gate(**{**told, **changes})


SLOWER = GateCheck(
    figure="training time", status=Status.REGRESSED, unit="%", value=20.0, low=17.0, high=23.0, limit=5.0,
    measure="samples/s", base=1200.0, candidate=1000.0, n=5, of="openings",
)  # fmt: skip
OPEN = GateCheck(
    figure="training time", status=Status.UNDECIDED, unit="%", value=4.0, low=1.0, high=7.0, limit=5.0,
    measure="samples/s", base=1040.0, candidate=1000.0, n=10, of="openings", wanted=20,
)  # fmt: skip
LESS_MEMORY = GateCheck(
    figure="peak memory", status=Status.PASSED, unit="%", value=-3.0, low=-3.5, high=-2.5, limit=10.0,
    measure="MiB", base=300.0, candidate=291.0, n=3, of="seeds",
)  # fmt: skip
ACCURATE = GateCheck(
    figure="accuracy", status=Status.PASSED, unit="points", value=0.1, low=-0.1, high=0.3, limit=0.5,
    measure="%", base=90.0, candidate=89.9, n=3, of="seeds",
)  # fmt: skip
UNPROVED = GateCheck(figure="sameness", status=Status.NOT_JUDGED, reason="there is no proof")
LAYERS = Layers(
    costs=(
        LayerCost(name="conv2d_1", base_ms=1.0, candidate_ms=2.0, slower=True),
        LayerCost(name="relu_1", base_ms=0.1, candidate_ms=0.1, slower=False),
    ),
    said="conv2d_1 takes 2.00 ms per batch against 1.00 ms",
)
