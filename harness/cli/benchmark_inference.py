"""``benchmark-inference``: how fast a checkpoint's network answers, in every form it can be exported to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.checkpoint_options import CheckpointFolder
from harness.planning import options

if TYPE_CHECKING:
    from backends.registry import Registration
    from harness.export.benchmark import FormTimes, InferenceBenchmark


def benchmark_inference(
    checkpoint: CheckpointFolder,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            "--backends", "--backend", help="Default: all that are installed, NumPy left out.", metavar="A,B,…"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds, 2 to 100.")] = 5,
    seconds: Annotated[float, typer.Option(help="Seconds of a form at a batch size in a round, 0.01 to 60.")] = 0.5,
    threads: options.Threads = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout, nothing else.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Latency of one image and throughput of 1, 64 and 512: sessions, their exported forms and ONNX Runtime.

    Example: `python -m harness benchmark-inference --checkpoint results/runs/checkpoints/NAME --backends torch`
    """
    import json as encoder

    from harness.cli.checkpoint_options import opened_checkpoint
    from harness.cli.progress import console
    from harness.export.benchmark import benchmark
    from harness.export.forms import Trained
    from harness.planning.resolve import resolve_threads
    from results.formatting import plain
    from specs.errors import RequestError

    if not 2 <= rounds <= 100:
        raise RequestError(f"--rounds must be from 2 to 100, got {rounds}")
    if not 0.01 <= seconds <= 60:
        raise RequestError(f"--seconds must be from 0.01 to 60, got {seconds:g}")
    chosen = _backends(backends)
    count = resolve_threads(threads)
    trained = Trained.of(opened_checkpoint(checkpoint))
    told: list[str] = []
    with console.status("", spinner="dots") as status:

        def progress(note: str) -> None:
            if quiet:
                return
            status.update(note)
            step, *_ = note.split(":")
            if not console.is_terminal and step not in told:
                told.append(step)
                print(step, file=sys.stderr)

        outcome = benchmark(trained, chosen, threads=count, rounds=rounds, seconds=seconds, progress=progress)
    for name, reason in outcome.failed.items():
        print(f"{name}: {plain(reason)}", file=sys.stderr)
    if json:
        print(encoder.dumps(_document(trained.architecture.name, count, outcome)))
    else:
        _print(trained.architecture.name, count, rounds, outcome)
    return 1 if outcome.failed else 0


def _backends(given: list[str] | None) -> list[Registration]:
    """Those named, else all that are installed but for NumPy. Raises RequestError."""
    from backends.registry import find, frameworks
    from harness.cli.choosing import words
    from harness.processes.environments import distinct_python, find_python
    from specs.errors import RequestError

    if given:
        named = list({find(name).subject: find(name) for name in words(given)}.values())
        taken: dict[tuple[str, Path], str] = {}
        for registration in named:
            distinct_python(registration.subject, taken)
        return named
    installed = []
    for name in frameworks():
        try:
            find_python(name)
        except RequestError as error:
            print(f"not measured: {error}", file=sys.stderr)
        else:
            installed.append(find(name))
    return installed


def _document(architecture: str, threads: int, outcome: InferenceBenchmark) -> dict[str, Any]:
    from dataclasses import asdict

    from harness.export.benchmark import BATCHES

    return {
        "architecture": architecture,
        "threads": threads,
        "forms": [
            {
                "backend": subject.backend,
                "form": subject.form,
                "framework_version": subject.version,
                "latency_ms": subject.latency_ms(),
                "other_cpu": subject.other_cpu,
                "samples_per_second": {
                    str(batch): asdict(found) if (found := subject.throughput(batch)) else None for batch in BATCHES
                },
            }
            for subject in outcome.subjects
        ],
        "failed": outcome.failed,
    }


def _print(architecture: str, threads: int, rounds: int, outcome: InferenceBenchmark) -> None:
    from harness.cli.tables import print_table
    from harness.export.benchmark import BATCHES
    from results.formatting import significant

    def row(subject: FormTimes) -> list[str]:
        latency = [significant(value) for value in subject.latency_ms().values()]
        rates = (_rate(subject, batch) for batch in BATCHES)
        return [subject.backend, subject.form, subject.version, *latency, *rates, _noise(subject)]

    figures = ["p50 ms", "p90 ms", "p99 ms", *(f"samples/s, batch {batch}" for batch in BATCHES)]
    print_table(
        f"Inference of {architecture}, {threads} threads, {rounds} interleaved rounds",
        ["runtime", "form", "version", *figures, "noise"],
        [row(subject) for subject in outcome.subjects],
        right=figures,
    )
    print("Milliseconds are of single images; samples/s is the median of the rounds, its 95 % interval in brackets.")
    if any(_noise(subject) for subject in outcome.subjects):
        print("Noise: the share of the machine's CPU time that other processes used meanwhile; shown above 10 %.")


def _noise(subject: FormTimes) -> str:
    from harness.running.figures import NOISY_OTHER_CPU

    share = subject.other_cpu
    return f"{share:.0%}" if share is not None and share > NOISY_OTHER_CPU else ""


def _rate(subject: FormTimes, batch: int) -> str:
    from results.formatting import significant

    found = subject.throughput(batch)
    if found is None or found.low is None or found.high is None:
        return "–" if found is None else significant(found.median)
    return f"{significant(found.median)} [{significant(found.low)}–{significant(found.high)}]"
