"""Which layer takes the time that a candidate lost: its profile beside the base's."""

from __future__ import annotations

from harness.gating.sides import BASE, CANDIDATE, Sided
from harness.measuring.profile import BackendProfile, LayerTime, milliseconds
from harness.measuring.profiling import Profiled, ProfilePlan, Progress, profile
from harness.planning.plan import RunPlan
from harness.processes.environments import find_python
from results.gate.outcome import LayerCost, Layers


def layers_of(base: Sided, candidate: Sided, plan: RunPlan, progress: Progress) -> Layers:
    """The layers of a plan's network in both; where one cannot be profiled, why."""
    outcome = profile(
        ProfilePlan(
            architecture=plan.architecture,
            recipe=plan.recipe,
            backends={BASE: _profiled(base), CANDIDATE: _profiled(candidate)},
            threads=plan.threads,
            device=plan.device,
        ),
        progress,
    )
    if outcome.failed:
        return Layers(said="; ".join(f"no profile of the {side}: {why}" for side, why in outcome.failed.items()))
    return compared(outcome.profiles[BASE], outcome.profiles[CANDIDATE])


def _profiled(side: Sided) -> Profiled:
    return Profiled(side.backend, find_python(side.backend), side.plans[0].tuning)


def compared(base: BackendProfile, candidate: BackendProfile) -> Layers:
    """Each layer in both, and a sentence that names the one that lost most of those slower beyond doubt."""
    both = list(zip(base.layers, candidate.layers, strict=True))
    costs = tuple(
        LayerCost(
            name=new.name,
            base_ms=1000 * max(0.0, old.both.median),
            candidate_ms=1000 * max(0.0, new.both.median),
            slower=_slower(old, new),
        )
        for old, new in both
    )
    order = sorted(both, key=lambda pair: pair[0].both.median - pair[1].both.median)
    sure = [pair for pair in order if _slower(*pair)]
    if sure:
        return Layers(costs=costs, said="; ".join(_said(*pair) for pair in sure[:3]))
    said = f"no layer is slower beyond doubt; the largest difference: {_said(*order[0])}"
    return Layers(costs=costs, said=said)


def _slower(base: LayerTime, candidate: LayerTime) -> bool:
    return candidate.both.told_apart and candidate.both.low > base.both.most


def _said(base: LayerTime, candidate: LayerTime) -> str:
    old, new = (max(0.0, layer.both.median) for layer in (base, candidate))
    return f"{candidate.name} takes {milliseconds(new)} per batch against {milliseconds(old)}"
