"""From what a worker sent to the run record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.measuring.machine import machine
from harness.measuring.peak import remembered
from harness.measuring.quality import quality
from harness.planning.plan import RunPlan
from harness.processes.launcher import WorkerFailed
from harness.running.advice import advice
from harness.worker.training import TrainingResult
from results.record import (
    SPANS,
    STEP_SAMPLES,
    Environment,
    Epoch,
    Fingerprints,
    LearningCurve,
    Memory,
    Noise,
    Phases,
    Record,
    RunError,
    Span,
    Specs,
    Status,
    StepTime,
    Throughput,
    Tuning,
    bounded,
    finite,
    thinned,
)
from specs.shapes import parameter_count, train_flops

# Accuracies whose time is recorded for every run, beside the recipe's own target.
ACCURACIES = (0.9, 0.95, 0.97, 0.98, 0.99)
# A run is called noisy above these shares of the machine's CPU time.
NOISY_OTHER_CPU = 0.10
NOISY_STEAL = 0.05


@dataclass
class RunNotes:
    """What is learnt of a run as it goes, kept whatever happens to it."""

    started_at: datetime
    load_before: float
    fingerprints: dict[str, str] = field(default_factory=dict)
    samples: tuple[int, int] | tuple[None, None] = (None, None)  # to train and to test on
    description: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    variables_for_speed: tuple[str, ...] = ()
    epochs: list[dict[str, Any]] = field(default_factory=list)
    augment_s: float | None = None
    total_s: float = 0.0


def record_of(
    plan: RunPlan,
    run_id: str,
    notes: RunNotes,
    *,
    status: Status = "ok",
    error: RunError | None = None,
    result: TrainingResult | None = None,
    test_labels: NDArray[np.int64] | None = None,
) -> Record:
    """The record of a run that ended in any way; figures it did not come to are absent."""
    fields: dict[str, Any] = result.fields if result else {}
    epochs = fields.get("epochs", notes.epochs)
    last = epochs[-1] if epochs else {}
    measures = quality(result.arrays["logits"], test_labels) if result and test_labels is not None else {}
    initial = {} if plan.resumed else fields.get("initial", {})
    return Record(
        run_id=run_id,
        status=status,
        error=error,
        started_at=notes.started_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=plan.command(),
        backend=plan.backend.name,
        framework_version=notes.description.get("framework_version"),
        model=plan.architecture.name,
        dataset=plan.dataset,
        recipe=plan.recipe.name,
        seed=plan.seed,
        repeat=plan.repeat,
        resumed_from=plan.resumed.manifest.run_id if plan.resumed else None,
        round=plan.round,
        device=plan.device,
        threads=plan.threads,
        precision=plan.precision,
        tuning=Tuning(manner=plan.tuning, applied=(*fields.get("tuning", ()), *notes.variables_for_speed)),  # type: ignore[arg-type]
        fingerprints=Fingerprints(**notes.fingerprints),
        specs=Specs.of(plan.architecture.to_dict(), plan.recipe.to_dict()),
        train_samples=notes.samples[0],
        test_samples=notes.samples[1],
        parameters=parameter_count(plan.architecture),
        train_flops_per_sample=train_flops(plan.architecture),
        initial_test_accuracy=initial.get("test_accuracy"),
        initial_test_loss=finite(initial.get("test_loss")),
        epochs=tuple(_epoch(epoch) for epoch in epochs),
        curve=LearningCurve.of(result.arrays["losses"].tolist()) if result else None,
        test_accuracy=last.get("test_accuracy") if result else None,
        test_loss=finite(last.get("test_loss")) if result else None,
        **measures,
        time_to_accuracy={} if plan.resumed else _time_to_accuracy(epochs, plan.recipe.targets.get("test_accuracy")),
        throughput=_throughput(fields, epochs, test_samples=None if test_labels is None else len(test_labels)),
        phases=Phases(
            augment_s=notes.augment_s,
            import_s=notes.description.get("import_s"),
            total_s=notes.total_s or None,
            **fields.get("phases", {}),
        ),
        memory=Memory(
            after_import_rss_mb=notes.description.get("after_import_rss_mb"),
            **fields.get("memory", {}),
        ),
        busy_threads=fields.get("busy_threads"),
        wanted_threads=fields.get("wanted_threads"),
        noise=_noise(notes.load_before, fields.get("disturbance", {})),
        environment=Environment(
            **machine(),
            matmul_peak_gflops=peak.matmul_gflops if (peak := remembered(plan.threads)) else None,
            python=notes.description.get("python"),
            packages=notes.description.get("packages", {}),
            framework_build=notes.description.get("build"),
            variables={k: v for k, v in notes.variables.items() if k not in _PERSONAL},
        ),
    )


# Variables that tell of the user's machine and not of the measurement.
_PERSONAL = frozenset({"PATH", "HOME", "USER", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"})


def run_error(failure: WorkerFailed, backend: str) -> RunError:
    """The failure of a worker as it stands in the record."""
    return RunError(
        kind=bounded(failure.kind, 200),
        message=bounded(str(failure)),
        traceback=bounded(failure.traceback) if failure.traceback else None,
        exit_code=failure.exit_code,
        signal=failure.signal_name,
        log_tail=bounded(failure.log_tail) or None,
        advice=advice(failure, backend=backend),
        step=failure.step,
    )


def check_event(event: dict[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError unless a worker's event has the fields of its kind."""
    match event["event"]:
        case "phase":
            if not isinstance(event["phase"], str):
                raise TypeError("phase is no text")
        case "progress":
            if not all(type(event[key]) is int for key in ("epoch", "samples")):
                raise TypeError("epoch and samples are no integers")
            float(event["loss"])
        case "epoch":
            _epoch(event)
        case other:
            raise ValueError(f"no event is called {str(other)[:80]!r}")


def _epoch(fields: Mapping[str, Any]) -> Epoch:
    return Epoch(
        **{key: fields[key] for key in ("epoch", "train_seconds", "eval_seconds", "samples_per_second")},
        test_accuracy=fields["test_accuracy"],
        train_loss=finite(fields["train_loss"]),
        test_loss=finite(fields["test_loss"]),
        spans=tuple(Span(**span) for span in thinned(fields["spans"], SPANS)),
    )


def _time_to_accuracy(epochs: list[dict[str, Any]], target: float | None) -> dict[str, float | None]:
    """Training seconds (evaluation apart) until the test accuracy first reached each level; None when it never did."""
    levels = sorted({*ACCURACIES, *([target] if target is not None else [])})
    times: dict[str, float | None] = {f"{level:g}": None for level in levels}
    trained = 0.0
    for epoch in epochs:
        trained += epoch["train_seconds"]
        for level in levels:
            if times[f"{level:g}"] is None and epoch["test_accuracy"] >= level:
                times[f"{level:g}"] = trained
    return times if epochs else {}


def _throughput(fields: dict[str, Any], epochs: list[dict[str, Any]], test_samples: int | None) -> Throughput:
    train_s = sum(epoch["train_seconds"] for epoch in epochs)
    samples = sum(span["samples"] for epoch in epochs for span in epoch["spans"])
    eval_s = sum(epoch["eval_seconds"] for epoch in epochs)
    steps = np.asarray(fields.get("step_s", [])) * 1000
    quantiles = None
    if steps.size:
        p50, p90, p99 = (float(q) for q in np.percentile(steps, [50, 90, 99]))
        quantiles = StepTime(p50=p50, p90=p90, p99=p99)
    return Throughput(
        train_samples_per_second=samples / train_s if train_s else None,
        inference_samples_per_second=test_samples * len(epochs) / eval_s if test_samples and eval_s else None,
        step_ms=quantiles,
        step_ms_samples=tuple(thinned(steps.tolist(), STEP_SAMPLES)),
    )


def _noise(load_before: float, disturbance: dict[str, Any]) -> Noise:
    reasons = []
    for key, most, text in (
        ("other_cpu", NOISY_OTHER_CPU, "other processes used {:.0%} of the machine's CPU time (more than {:.0%})"),
        ("steal", NOISY_STEAL, "the hypervisor took {:.0%} of the CPU time (more than {:.0%})"),
    ):
        share = disturbance.get(key)
        if share is not None and share > most:
            reasons.append(text.format(share, most))
    if throttles := disturbance.get("thermal_throttles"):
        reasons.append(f"the processor slowed down because of heat ({throttles} times)")
    return Noise(
        load_before=load_before,
        noisy=bool(reasons) if disturbance else None,
        reasons=tuple(reasons),
        **disturbance,
    )
