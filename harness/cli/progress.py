"""What a person sees while a run goes on, and after it. All of it on stderr."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.planning.plan import RunPlan
from harness.running.events import RunEvent, Sized, Trouble
from harness.worker.reports import EpochReport, Phase
from harness.worker.reports import Progress as Advance
from results.formatting import cell, plain
from results.record import Proof, Record
from results.threads import exceeded
from results.words import Words
from specs.program import PROGRAM


def shown(text: str) -> str:
    """A text that came from a file or a worker, as rich markup: no escape sequence reaches the terminal."""
    return escape(plain(text))


# Tables in a log file or pipe get room for their columns.
console = Console(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else 120)


class RunDisplay:
    """A bar for the run under way and a line for each epoch; called with the run's events."""

    def __init__(self, plan: RunPlan, *, quiet: bool) -> None:
        self._plan = plan
        self._quiet = quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=quiet,
            transient=True,
        )
        self._samples: int | None = None
        title = f"{plan.backend.subject} {plan.architecture.name}"
        self._task = self._progress.add_task(shown(title), total=None, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Trouble():
                console.print(f"[yellow]warning[/] {shown(event.text)}")
            case Phase():
                self._progress.update(self._task, note=shown(event.phase))
            case Sized():
                self._samples = event.train_samples
                self._progress.update(self._task, total=self._samples * len(self._plan.epochs))
            case Advance() if self._samples:
                done = (event.epoch - 1 - self._plan.epochs.start) * self._samples + event.samples
                note = f"epoch {event.epoch}/{self._plan.recipe.epochs}  loss {event.loss:.4f}"
                self._progress.update(self._task, completed=done, note=note)
            case EpochReport() if not self._quiet:
                console.print(
                    f"epoch {event.epoch:>3}/{self._plan.recipe.epochs}  "
                    f"train loss {event.train_loss:.4f}  {_evaluated(event)}  "
                    f"{event.train_seconds:.2f} s  {event.samples_per_second:,.0f} samples/s"
                )


def _evaluated(epoch: EpochReport) -> str:
    if epoch.test_loss is not None:
        return f"test loss {epoch.test_loss:.4f}  test accuracy {epoch.test_accuracy:.4f}"
    return f"validation loss {epoch.validation_loss:.4f}  validation accuracy {epoch.validation_accuracy:.4f}"


def summary(record: Record, folder: Path, checkpoint: Path | None = None) -> None:
    """A few lines on how the run went and where its record lies, and its checkpoint if it has one."""
    title = f"{record.backend} {record.framework_version or ''}".strip()
    console.print()
    if record.status != "ok":
        assert record.error is not None
        console.print(f"[bold red]{record.status}[/] {shown(title)} {shown(record.model)}: ", end="")
        console.print(shown(record.error.message.splitlines()[0] if record.error.message else record.error.kind))
        if record.error.advice:
            console.print(shown(record.error.advice))
    else:
        console.print(f"[bold]{shown(title)}[/] {shown(record.model)} on {shown(record.dataset)}")
        planned = record.specs.recipe["epochs"] if record.specs else None
        if planned != record.epochs[-1].epoch:
            console.print(f"  epochs         {record.epochs[-1].epoch} of {planned}")
        console.print(f"  test accuracy  {record.test_accuracy:.4f}")
        console.print(f"  macro F1       {record.macro_f1:.4f}")
        if record.throughput.train_samples_per_second:
            console.print(f"  training       {record.throughput.train_samples_per_second:,.0f} samples/s")
        if record.throughput.inference_samples_per_second:
            console.print(f"  inference      {record.throughput.inference_samples_per_second:,.0f} samples/s")
        if record.throughput.step_ms:
            step = record.throughput.step_ms
            console.print(f"  step           p50 {step.p50:.2f} ms, p90 {step.p90:.2f} ms, p99 {step.p99:.2f} ms")
        memory = record.memory
        if memory.peak_rss_mb and memory.after_import_rss_mb:
            console.print(
                f"  memory         {memory.peak_rss_mb:,.0f} MiB peak, {memory.after_import_rss_mb:,.0f} after import"
            )
        if record.proof is not None:
            console.print(f"  sameness       {shown(sameness(record.proof))}")
        phases = record.phases
        console.print(
            f"  time           import {phases.import_s or 0:.1f} s, build {phases.build_s or 0:.1f} s, "
            f"first step {phases.first_step_s or 0:.2f} s, training {phases.train_s or 0:.1f} s"
        )
        if most := exceeded(record.threads, record.busy_threads, record.wanted_threads):
            said = Words()(
                "finding_threads_exceeded",
                case=Words()("case", model=record.model, dataset=record.dataset),
                backend=record.backend,
                busy=cell("busy_threads", most),
                threads=record.threads,
            )
            console.print(f"  [yellow]threads[/]        {shown(said)}")
        for reason in record.noise.reasons:
            console.print(f"  [yellow]noisy[/]          {shown(reason)}")
    console.print(f"  record         {shown(str(folder.parent.parent / 'records.jsonl'))}")
    console.print(f"  log            {shown(str(folder / 'worker.log'))}")
    kept = checkpoint if checkpoint and checkpoint.exists() else None
    if kept:
        console.print(f"  checkpoint     {shown(str(kept))}")
    if record.status == "ok":
        console.print("What can be typed next:")
        for command in next_commands(folder.parent.parent, kept):
            console.print(f"  {shown(command)}")


def sameness(proof: Proof) -> str:
    """What the proof of a run's case came to, in a few words."""
    match proof.status:
        case "proved":
            double = "" if proof.float64_error is None else f" (float64 {proof.float64_error:.0e})"
            return f"proved: {proof.steps} steps, worst {proof.error:.0e} in {proof.precision}{double}"
        case "failed" if proof.error is None:
            return f"NOT proved: {proof.told}"
        case "failed":
            return f"NOT the same as NumPy float64: {proof.told}"
        case "unsupported":
            return f"cannot be proved: {proof.reason}"
        case _:
            return "not proved, as --no-proof asked"


def next_commands(results: Path, checkpoint: Path | None) -> list[str]:
    """What to type after a run: its report, and what is done with its network if that was kept."""
    words = [["report", str(results)]]
    if checkpoint:
        network = ["--checkpoint", str(checkpoint)]
        words += [["evaluate", *network], ["predict", *network, "--random"], ["export", *network, "--format", "onnx"]]
    return [f"{PROGRAM} {shlex.join(command)}" for command in words]
