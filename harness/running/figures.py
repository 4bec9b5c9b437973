"""What the figures of a worker come to: throughput, time to accuracy, and whether the machine was quiet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from harness.worker.reports import Disturbance, EpochReport, TrainingReport
from results.record import STEP_SAMPLES, Noise, StepTime, Throughput, thinned

# Accuracies whose time is recorded for every run, beside the recipe's own target.
ACCURACIES = (0.9, 0.95, 0.97, 0.98, 0.99)
# A run is called noisy above these shares of the machine's CPU time.
NOISY_OTHER_CPU = 0.10
NOISY_STEAL = 0.05


def time_to_accuracy(epochs: Sequence[EpochReport], target: float | None) -> dict[str, float | None]:
    """Training seconds (evaluation apart) until the test accuracy first reached each level; None when it never did."""
    levels = sorted({*ACCURACIES, *([target] if target is not None else [])})
    times: dict[str, float | None] = {f"{level:g}": None for level in levels}
    trained = 0.0
    for epoch in epochs:
        trained += epoch.train_seconds
        for level in levels:
            if times[f"{level:g}"] is None and (epoch.test_accuracy or 0.0) >= level:
                times[f"{level:g}"] = trained
    return times if epochs else {}


def throughput(
    epochs: Sequence[EpochReport], report: TrainingReport | None, evaluated_samples: int | None
) -> Throughput:
    """Samples per second while training and in evaluation, and single steps where the run came so far."""
    train_s = sum(epoch.train_seconds for epoch in epochs)
    samples = sum(span.samples for epoch in epochs for span in epoch.spans)
    eval_s = sum(epoch.eval_seconds for epoch in epochs)
    steps = np.empty(0) if report is None else report.step_s * 1000
    quantiles = None
    if steps.size:
        p50, p90, p99 = (float(q) for q in np.percentile(steps, [50, 90, 99]))
        quantiles = StepTime(p50=p50, p90=p90, p99=p99)
    return Throughput(
        train_samples_per_second=samples / train_s if train_s else None,
        inference_samples_per_second=evaluated_samples * len(epochs) / eval_s if evaluated_samples and eval_s else None,
        step_ms=quantiles,
        step_ms_samples=tuple(thinned(steps.tolist(), STEP_SAMPLES)),
    )


def noise(load_before: float, disturbance: Disturbance | None) -> Noise:
    """What else the machine did, and the verdict; there is none where the run came to no figures."""
    if disturbance is None:
        return Noise(load_before=load_before)
    reasons = []
    for share, most, text in (
        (
            disturbance.other_cpu,
            NOISY_OTHER_CPU,
            "other processes used {:.0%} of the machine's CPU time (more than {:.0%})",
        ),
        (disturbance.steal, NOISY_STEAL, "the hypervisor took {:.0%} of the CPU time (more than {:.0%})"),
    ):
        if share is not None and share > most:
            reasons.append(text.format(share, most))
    if throttles := disturbance.thermal_throttles:
        reasons.append(f"the processor slowed down because of heat ({throttles} times)")
    return Noise(load_before=load_before, noisy=bool(reasons), reasons=tuple(reasons), **asdict(disturbance))
