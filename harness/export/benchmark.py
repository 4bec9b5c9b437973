"""``benchmark-inference``: a network's forms against each other, in turn, each in a process of its own.

Times are taken inside the worker, from the call with an array to the array of logits. A round visits every form at
every batch size before the next begins, so drift of the machine falls on all alike; the others are stopped meanwhile,
because some frameworks' threads spin while they wait for work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from backends.contract import SessionSpec, Unsupported
from backends.registry import Registration
from harness.export.forms import TOLERANCE, ExportForm, Trained, difference, find_form, forms, opened, write
from harness.export.places import plain_folder
from harness.measuring.others import counters
from harness.processes.launcher import WorkerFailed
from harness.processes.remote import RemotePredictor, RemoteWorker, open_worker
from results.statistics import Estimate, estimate
from specs.errors import RequestError
from specs.optimizers import SGD

BATCHES = (1, 64, 512)
SETTLE_S = 0.1  # threads of what ran before may still be spinning, and a new batch size is compiled
DYNAMIC = "dynamic"

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass
class FormTimes:
    """One form under measurement: durations in seconds of every counted call, per batch size and round."""

    backend: str
    form: str
    version: str
    worker: RemoteWorker
    predictor: RemotePredictor
    rounds: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)
    disturbances: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """ "torch dynamic", say."""
        return f"{self.backend} {self.form}"

    @property
    def other_cpu(self) -> float | None:
        """The share of the machine's CPU time that other processes used meanwhile, the mean of its rounds."""
        return float(np.mean(self.disturbances)) if self.disturbances else None

    def latency_ms(self) -> dict[str, float]:
        """Quantiles of single images' calls over all rounds."""
        times = np.concatenate(self.rounds[1]) * 1000
        return {f"p{q}": float(np.percentile(times, q)) for q in (50, 90, 99)}

    def throughput(self, batch: int) -> Estimate | None:
        """Samples per second: of each round its calls together, then the median of the rounds with its interval."""
        return estimate([batch * len(times) / float(times.sum()) for times in self.rounds[batch]])


@dataclass
class InferenceBenchmark:
    """``failed`` says why a form has no figures."""

    subjects: list[FormTimes] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def benchmark(
    trained: Trained,
    backends: Sequence[Registration],
    *,
    threads: int,
    batches: Sequence[int] = BATCHES,
    rounds: int = 5,
    seconds: float = 0.5,
    progress: Progress = lambda note: None,
) -> InferenceBenchmark:
    """Time ``predict`` of each backend's session, of its exported form, and of ONNX Runtime.

    A form that cannot be made or run is left out with the reason; the others go on. Every form's logits are compared
    with the reference first: one that computes something else gets no figures.
    """
    outcome = InferenceBenchmark()
    images = _images(trained, max(batches))
    with ExitStack() as stack:
        folder = stack.enter_context(plain_folder())
        for name, start in _starts(trained, backends, folder, threads, stack).items():
            progress(f"starting {name}")
            if subject := _attempt(outcome, name, partial(_checked, start, trained)):
                outcome.subjects.append(subject)
        for number in range(1, rounds + 1):
            for subject in list(outcome.subjects):
                progress(f"round {number} of {rounds}: {subject.name}")
                if not _attempt(outcome, subject.name, partial(_round, subject, images, batches, seconds)):
                    outcome.subjects.remove(subject)
    return outcome


def _starts(
    trained: Trained, backends: Sequence[Registration], folder: Path, threads: int, stack: ExitStack
) -> dict[str, Callable[[], FormTimes]]:
    """How each subject is started; its worker ends with the stack."""
    starts: dict[str, Callable[[], FormTimes]] = {}
    for registration in backends:
        starts[f"{registration.subject} {DYNAMIC}"] = partial(_dynamic, registration, trained, threads, stack)
        for form in forms().values():
            if form.runner.name == registration.name:
                own = replace(form, runner=registration)
                starts[f"{registration.subject} {form.name}"] = partial(_static, own, trained, folder, threads, stack)
    onnx = find_form("onnx")
    starts[f"{onnx.runner.name} {onnx.name}"] = partial(_static, onnx, trained, folder, threads, stack)
    return starts


def _dynamic(registration: Registration, trained: Trained, threads: int, stack: ExitStack) -> FormTimes:
    worker = stack.enter_context(open_worker(registration.subject, threads=threads, architecture=trained.architecture))
    session = worker.open(SessionSpec(architecture=trained.architecture, optimizer=SGD(), threads=threads))
    session.load_parameters(trained.parameters)
    return FormTimes(registration.subject, DYNAMIC, worker.loaded.framework.framework_version, worker, session)


def _static(form: ExportForm, trained: Trained, folder: Path, threads: int, stack: ExitStack) -> FormTimes:
    directory = folder / f"{form.runner.subject} {form.name}"
    directory.mkdir()
    write(form, trained, directory, threads=threads)
    worker, predictor = stack.enter_context(opened(form, directory, trained.architecture, threads=threads))
    return FormTimes(form.runner.subject, form.name, worker.loaded.framework.framework_version, worker, predictor)


def _checked(start: Callable[[], FormTimes], trained: Trained) -> FormTimes:
    subject = start()
    found = difference(subject.predictor, trained)
    if not found <= TOLERANCE:
        raise Unsupported(f"its logits differ from the reference's by {found:.1e} of the largest: not measured")
    subject.worker.process.pause()
    return subject


def _attempt(outcome: InferenceBenchmark, name: str, work: Callable[[], T]) -> T | None:
    """What ``work`` gives; None, with the reason noted, where it fails."""
    try:
        return work()
    except (WorkerFailed, Unsupported, RequestError) as error:
        outcome.failed[name] = " ".join(str(error).split())[:500]
        return None


def _round(subject: FormTimes, images: NDArray[np.float32], batches: Sequence[int], seconds: float) -> FormTimes:
    subject.worker.process.proceed()
    before = counters([subject.worker.process.pid])
    for batch in batches:
        (times,) = subject.worker.measure(
            [subject.predictor], "predict", {"images": images[:batch]}, settle_s=SETTLE_S, seconds=seconds
        )
        subject.rounds.setdefault(batch, []).append(times)
    disturbance = counters([subject.worker.process.pid]).since(before)
    if disturbance.other_cpu is not None:
        subject.disturbances.append(disturbance.other_cpu)
    subject.worker.process.pause()
    return subject


def _images(trained: Trained, count: int) -> NDArray[np.float32]:
    pixels = np.random.default_rng(1).integers(0, 256, (count, *trained.architecture.input), dtype=np.uint8)
    return trained.preprocessing.apply(pixels)
