"""From what was learnt of a run to its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from harness.measuring.classification_metrics import classification_metrics
from harness.measuring.machine import machine
from harness.measuring.peak import remembered
from harness.planning.plan import RunPlan
from harness.processes.launcher import WorkerFailed
from harness.running.advice import advice
from harness.running.figures import noise, throughput, time_to_accuracy
from harness.worker.reports import EpochReport, Figures, Loaded, TrainingReport
from results.record import (
    SPANS,
    Epoch,
    Fingerprints,
    LearningCurve,
    MachineRecord,
    Memory,
    Phases,
    Proof,
    Record,
    RunError,
    Span,
    Specs,
    Status,
    Tuning,
    bounded,
    finite,
    thinned,
)
from specs.codec import to_plain
from specs.shapes import parameter_count, train_flops

# Variables that tell of the user's machine and not of the measurement.
_PERSONAL = frozenset({"PATH", "HOME", "USER", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"})


@dataclass
class RunNotes:
    """What is learnt of a run as it goes, kept whatever happens to it."""

    started_at: datetime
    load_before: float
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    train_samples: int | None = None
    test_samples: int | None = None
    evaluated_samples: int | None = None  # after each epoch
    loaded: Loaded | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    variables_for_speed: tuple[str, ...] = ()
    epochs: list[EpochReport] = field(default_factory=list)
    augment_s: float | None = None
    total_s: float | None = None
    proof: Proof | None = None


def record_of(
    plan: RunPlan,
    run_id: str,
    notes: RunNotes,
    *,
    status: Status = "ok",
    error: RunError | None = None,
    report: TrainingReport | None = None,
    test_labels: NDArray[np.int64] | None = None,
) -> Record:
    """The record of a run that ended in any way; figures it did not come to are absent."""
    figures = report.figures if report else None
    metrics = classification_metrics(report.logits, test_labels) if report and test_labels is not None else None
    initial = None if plan.resumed else figures
    return Record(
        run_id=run_id,
        status=status,
        error=error,
        started_at=notes.started_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=plan.command(notes.fingerprints.training),
        backend=plan.backend.name,
        framework_version=notes.loaded.framework.framework_version if notes.loaded else plan.backend.version,
        model=plan.architecture.name,
        dataset=plan.dataset,
        recipe=plan.recipe.name,
        seed=plan.seed,
        resumed_from=plan.resumed.manifest.run_id if plan.resumed else None,
        round=plan.round,
        device=plan.device,
        threads=plan.threads,
        precision=plan.precision,
        tuning=Tuning(manner=plan.tuning, applied=(*(figures.tuning if figures else ()), *notes.variables_for_speed)),
        proof=notes.proof,
        fingerprints=notes.fingerprints,
        specs=Specs.of(to_plain(plan.architecture), to_plain(plan.recipe)),
        train_samples=notes.train_samples,
        test_samples=notes.test_samples,
        parameters=parameter_count(plan.architecture),
        train_flops_per_sample=train_flops(plan.architecture),
        initial_test_accuracy=initial.initial_test_accuracy if initial else None,
        initial_test_loss=finite(initial.initial_test_loss) if initial else None,
        epochs=tuple(_epoch(epoch) for epoch in notes.epochs),
        curve=LearningCurve.of(report.losses.tolist()) if report else None,
        test_accuracy=figures.test_accuracy if figures else None,
        test_loss=finite(figures.test_loss) if figures else None,
        macro_precision=metrics.macro_precision if metrics else None,
        macro_recall=metrics.macro_recall if metrics else None,
        macro_f1=metrics.macro_f1 if metrics else None,
        confusion_matrix=metrics.confusion_matrix if metrics else None,
        misclassified=metrics.misclassified if metrics else (),
        time_to_accuracy=time_to_accuracy(
            () if plan.resumed else notes.epochs, plan.recipe.targets.get("test_accuracy")
        ),
        throughput=throughput(notes.epochs, report, notes.evaluated_samples),
        phases=_phases(notes, figures),
        memory=_memory(notes, figures),
        busy_threads=figures.busy_threads if figures else None,
        wanted_threads=figures.wanted_threads if figures else None,
        noise=noise(notes.load_before, figures.disturbance if figures else None),
        environment=_environment(plan, notes),
    )


def run_error(failure: WorkerFailed, backend: str, *, named: bool = False) -> RunError:
    """The failure of a worker as it stands in the record; ``named``: its interpreter was given with --python."""
    return RunError(
        kind=bounded(failure.kind, 200),
        message=bounded(str(failure)),
        traceback=bounded(failure.traceback) if failure.traceback else None,
        exit_code=failure.exit_code,
        signal=failure.signal_name,
        log_tail=bounded(failure.log_tail) or None,
        advice=advice(failure, backend=backend, named=named),
        step=failure.step,
    )


def _phases(notes: RunNotes, figures: Figures | None) -> Phases:
    return Phases(
        augment_s=notes.augment_s,
        import_s=notes.loaded.import_s if notes.loaded else None,
        build_s=figures.build_s if figures else None,
        first_step_s=figures.first_step_s if figures else None,
        place_s=figures.place_s if figures else None,
        train_s=sum(epoch.train_seconds for epoch in notes.epochs) if figures else None,
        eval_s=sum(epoch.eval_seconds for epoch in notes.epochs) if figures else None,
        total_s=notes.total_s,
    )


def _memory(notes: RunNotes, figures: Figures | None) -> Memory:
    return Memory(
        after_import_rss_mb=notes.loaded.after_import_rss_mb if notes.loaded else None,
        after_build_rss_mb=figures.after_build_rss_mb if figures else None,
        peak_rss_mb=figures.peak_rss_mb if figures else None,
        device_peak_mb=figures.device_peak_mb if figures else None,
    )


def _environment(plan: RunPlan, notes: RunNotes) -> MachineRecord:
    peak = remembered(plan.threads)
    loaded = notes.loaded
    return machine().model_copy(
        update={
            "matmul_peak_gflops": peak.matmul_gflops if peak else None,
            "python": loaded.python if loaded else None,
            "packages": loaded.framework.packages if loaded else {},
            "framework_build": loaded.framework.build if loaded else None,
            "variables": {name: value for name, value in notes.variables.items() if name not in _PERSONAL},
        }
    )


def _epoch(epoch: EpochReport) -> Epoch:
    return Epoch(
        epoch=epoch.epoch,
        train_seconds=epoch.train_seconds,
        eval_seconds=epoch.eval_seconds,
        samples_per_second=epoch.samples_per_second,
        test_accuracy=epoch.test_accuracy,
        train_loss=finite(epoch.train_loss),
        test_loss=finite(epoch.test_loss),
        validation_loss=finite(epoch.validation_loss),
        validation_accuracy=epoch.validation_accuracy,
        spans=tuple(
            Span(steps=span.steps, samples=span.samples, seconds=span.seconds) for span in thinned(epoch.spans, SPANS)
        ),
    )
