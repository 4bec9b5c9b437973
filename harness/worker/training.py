"""The one training loop, run inside the worker: the same for every framework.

Only ``Session.train_steps`` happens inside a timed span. Warm-up (the first step of each batch size, compilation) is
timed apart and undone, so that training starts from the prepared weights. Garbage collection waits outside the spans.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Backend, Session, SessionSpec
from harness.worker import memory
from harness.worker.batches import Batches
from harness.worker.system import Counters, ThreadTimes
from harness.worker.thermal import Thermal
from harness.worker.timing import Clock, quiet_garbage_collection
from specs.recipe import Preprocessing

Emit = Callable[[dict[str, Any]], None]

CHUNK_S = 0.5  # aim of one train_steps call: long enough to hide its overhead, short enough to show progress
EVAL_BATCH = 1000
STEP_PROBE_S = 2.0
STEP_PROBE_STEPS = 200


class Diverged(Exception):
    """The loss, a parameter or a running statistic is not finite; ``step`` counts optimizer steps from 0."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(f"{what} at step {step}")
        self.step = step


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training. ``data`` and ``inputs`` are folders written by ``harness.inputs.prepare``; ``save_to`` may be None.

    ``start_epoch`` above 0 continues a run: ``inputs`` then holds the weights and optimizer state to start from.
    ``augmented`` is the folder of ``harness.inputs.augmented_epochs`` whose images, once through ``preprocessing``,
    take the place of the training images epoch by epoch.
    """

    spec: SessionSpec
    data: str
    inputs: str
    epochs: int
    batch_size: int
    start_epoch: int = 0
    augmented: str | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    save_to: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainingJob:
        """The inverse of ``to_dict``."""
        return cls(
            **{
                **data,
                "spec": SessionSpec.from_dict(data["spec"]),
                "preprocessing": Preprocessing(**data["preprocessing"]),
            }
        )


@dataclass
class TrainingResult:
    """What is sent back: ``fields`` for the record; ``arrays`` losses float64[steps], logits float[n_test, classes]."""

    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Inputs:
    """The prepared inputs, memory-mapped: images float32[N, C, H, W], labels int64[N], order int32[epochs, N]."""

    def __init__(self, job: TrainingJob) -> None:
        data, inputs = Path(job.data), Path(job.inputs)
        self.augmented = Path(job.augmented) if job.augmented else None
        self._preprocessing = job.preprocessing
        self._dtype = job.spec.dtype
        self.train_images = np.load(data / "train_images.npy", mmap_mode="r")
        self.train_labels = np.load(data / "train_labels.npy")
        self.test_images = np.load(data / "test_images.npy", mmap_mode="r")
        self.test_labels = np.load(data / "test_labels.npy")
        self.order = np.load(inputs / "order.npy", mmap_mode="r")
        self.learning_rates = np.load(inputs / "learning_rates.npy")
        with np.load(inputs / "initial_weights.npz") as weights:
            self.initial_weights = dict(weights)
        state = inputs / "optimizer_state.npz"
        self.optimizer_state: dict[str, NDArray[Any]] | None = None
        if state.exists():
            with np.load(state) as arrays:
                self.optimizer_state = dict(arrays)

    def images_of(self, epoch: int) -> NDArray[Any]:
        """The training images of an epoch (counted from 0), float[N, C, H, W] of the session's dtype."""
        if self.augmented is None:
            return np.asarray(self.train_images, self._dtype)
        pixels = np.load(epoch_file(self.augmented, epoch), mmap_mode="r")
        return self._preprocessing.apply(pixels).astype(self._dtype, copy=False)


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where the augmented images uint8[N, C, H, W] of an epoch (counted from 0) lie."""
    return folder / f"epoch-{epoch:05}.npy"


def train(backend: Backend, job: TrainingJob, *, emit: Emit, clock: Clock = time.perf_counter) -> TrainingResult:
    """Train and evaluate as ``job`` says. Raises Diverged, or whatever the framework raises."""
    inputs = Inputs(job)
    emit({"event": "phase", "phase": "build"})
    start = clock()
    session = backend.open(job.spec)
    session.load_parameters(inputs.initial_weights)
    dtype = job.spec.dtype
    session.set_training_data(inputs.images_of(job.start_epoch), inputs.train_labels)
    if inputs.optimizer_state is not None:
        session.load_optimizer_state(inputs.optimizer_state)
    session.synchronize()
    build_s = clock() - start
    after_build = memory.rss_mb()

    emit({"event": "phase", "phase": "first step"})
    first_step_s = _warm_up(session, job, inputs, clock)
    initial = _evaluate(session, inputs, dtype)  # untimed: compiles the evaluation
    own_peak = memory.reset_peak()
    gc.collect()
    gc.freeze()  # a framework's objects are many: looking through them again before every epoch takes 0.2 s

    emit({"event": "phase", "phase": "training"})
    loop = _Loop(session, job, inputs, emit, clock)
    thermal, before = Thermal.now(), Counters.now()
    epochs = [loop.epoch(epoch, dtype) for epoch in range(job.start_epoch, job.epochs)]
    disturbance = {**Counters.now().since(before), **Thermal.now().since(thermal)}
    peak = memory.peak_rss_mb() if own_peak else None  # else it would be the highest of loading and building too
    device_peak = session.peak_device_memory()
    _check_finite(session.parameters(), last_step=job.epochs * Batches(inputs.order.shape[1], job.batch_size).steps - 1)
    files = [str(path) for path in session.save(Path(job.save_to))] if job.save_to else []
    arrays = {"losses": np.concatenate(loop.losses), "logits": loop.logits.astype(np.float64)}
    if job.save_to:
        arrays |= {f"parameter:{name}": array for name, array in session.parameters().items()}
        arrays |= {f"optimizer:{name}": array for name, array in session.optimizer_state().items()}
    step_s = _step_times(session, job, inputs, clock)
    fields = {
        "epochs": epochs,
        "initial": {"test_loss": initial.loss, "test_accuracy": initial.accuracy},
        "phases": {
            "build_s": build_s,
            "first_step_s": first_step_s,
            "train_s": sum(epoch["train_seconds"] for epoch in epochs),
            "eval_s": sum(epoch["eval_seconds"] for epoch in epochs),
            "place_s": loop.place_s if inputs.augmented else None,
        },
        "memory": {
            "after_build_rss_mb": after_build,
            "peak_rss_mb": peak,
            "device_peak_mb": None if device_peak is None else device_peak / 2**20,
        },
        "step_s": step_s,
        "busy_threads": loop.cpu_s / loop.wall_s if loop.wall_s else None,
        "wanted_threads": loop.wanted_threads,
        "disturbance": disturbance,
        "tuning": list(session.tuning()),
        "files": files,
    }
    session.close()
    return TrainingResult(fields, arrays)


class _Loop:
    """Epoch after epoch in calls of K steps, K following the clock; a session's result does not depend on K."""

    def __init__(self, session: Session, job: TrainingJob, inputs: Inputs, emit: Emit, clock: Clock) -> None:
        self.session = session
        self.job = job
        self.inputs = inputs
        self.emit = emit
        self.clock = clock
        self.losses: list[NDArray[np.float64]] = []
        self.logits: NDArray[Any] = np.empty((0, 0))
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self._wanted: list[tuple[float | None, float]] = []  # of each epoch: thread seconds, seconds
        self.place_s = 0.0
        self._steps_per_call = 1

    def epoch(self, epoch: int, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Train and evaluate one epoch (counted from 0); returns and emits its fields (counted from 1)."""
        order = np.asarray(self.inputs.order[epoch], np.int64)
        if self.inputs.augmented and epoch > self.job.start_epoch:  # the first epoch was placed when building
            self._place(epoch)
        spans = []
        weighted = 0.0
        with quiet_garbage_collection():
            threads, start = ThreadTimes.now(), self.clock()
            for begin, steps, size in self._calls(len(order)):
                batches = order[begin : begin + steps * size].reshape(steps, size)
                span, losses = self._span(epoch, begin, batches)
                spans.append(span)
                weighted += float(losses.sum()) * size
            seconds = self.clock() - start
            self._wanted.append((ThreadTimes.now().since(threads), seconds))
        start = self.clock()
        evaluation = _evaluate(self.session, self.inputs, dtype)
        eval_s = self.clock() - start
        self.logits = evaluation.logits
        seconds = sum(span["seconds"] for span in spans)
        fields = {
            "epoch": epoch + 1,
            "train_loss": weighted / len(order),
            "test_loss": evaluation.loss,
            "test_accuracy": evaluation.accuracy,
            "train_seconds": seconds,
            "eval_seconds": eval_s,
            "samples_per_second": len(order) / seconds,
            "spans": spans,
        }
        self.emit({"event": "epoch", **fields})
        return fields

    @property
    def wanted_threads(self) -> float | None:
        """Threads that ran or waited for a CPU while training, on average; None where the kernel does not tell."""
        seconds = sum(seconds for _, seconds in self._wanted)
        thread_seconds = [wanted for wanted, _ in self._wanted if wanted is not None]
        return sum(thread_seconds) / seconds if seconds and len(thread_seconds) == len(self._wanted) else None

    def _place(self, epoch: int) -> None:
        start = self.clock()
        self.session.set_training_data(self.inputs.images_of(epoch), self.inputs.train_labels)
        self.session.synchronize()
        self.place_s += self.clock() - start

    def _calls(self, samples: int) -> Iterator[tuple[int, int, int]]:
        """(first sample, steps, batch size) of each train_steps call; the smaller last batch is a call of its own."""
        batches = Batches(samples, self.job.batch_size)
        done = 0
        while done < batches.full:
            steps = min(self._steps_per_call, batches.full - done)
            yield done * batches.size, steps, batches.size
            done += steps
        if batches.rest:
            yield batches.full * batches.size, 1, batches.rest

    def _span(self, epoch: int, begin: int, batches: NDArray[np.int64]) -> tuple[dict[str, Any], NDArray[np.float64]]:
        steps, size = batches.shape
        each = Batches(self.inputs.order.shape[1], self.job.batch_size)
        first = epoch * each.steps + begin // each.size
        rates = self.inputs.learning_rates[first : first + steps]
        cpu, start = time.process_time(), self.clock()
        losses = self.session.train_steps(batches, rates)
        seconds = self.clock() - start
        self.cpu_s += time.process_time() - cpu
        self.wall_s += seconds
        if steps == self._steps_per_call and seconds < CHUNK_S / 2:
            self._steps_per_call *= 2
        self.losses.append(losses)
        self.emit(
            {
                "event": "progress",
                "epoch": epoch + 1,
                "samples": begin + steps * size,
                "loss": float(losses.mean()),
            }
        )
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            raise Diverged(f"the training loss is {float(losses[bad[0]])}", first + int(bad[0]))
        return {"steps": steps, "samples": steps * size, "seconds": seconds}, losses


def _check_finite(arrays: Arrays, *, last_step: int) -> None:
    """Raise Diverged where a parameter or a running statistic is NaN or infinite: evaluation may well hide it."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise Diverged(f"{name} holds values that are not finite (NaN or infinity)", last_step)


@dataclass(frozen=True)
class Evaluation:
    """Mean softmax cross-entropy and accuracy over the test set, computed in float64 from the logits."""

    logits: NDArray[Any]
    loss: float
    accuracy: float


def _evaluate(session: Session, inputs: Inputs, dtype: np.dtype[Any]) -> Evaluation:
    images, labels = inputs.test_images, inputs.test_labels
    batches = [
        session.predict(np.asarray(images[start : start + EVAL_BATCH], dtype))
        for start in range(0, len(images), EVAL_BATCH)
    ]
    logits = np.concatenate(batches)
    loss, accuracy = loss_and_accuracy(logits, labels)
    return Evaluation(logits, loss, accuracy)


def loss_and_accuracy(logits: NDArray[Any], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of logsumexp(z) - z[label], and the share of labels that are the first largest logit; float64."""
    z = logits.astype(np.float64)
    top = z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    loss = float((log_sum - z[np.arange(len(z)), labels]).mean())
    return loss, float((z.argmax(axis=1) == labels).mean())


def _warm_up(session: Session, job: TrainingJob, inputs: Inputs, clock: Clock) -> float:
    """Seconds of compilation and the first step of each batch size; parameters and optimizer are put back."""
    samples = inputs.order.shape[1]
    sizes = Batches(samples, job.batch_size).sizes
    batches = [np.asarray(inputs.order[0, :size], np.int64)[np.newaxis] for size in sizes]
    parameters, state = session.parameters(), session.optimizer_state()
    start = clock()
    for batch in batches:
        session.train_steps(batch, inputs.learning_rates[:1])
    session.compile(sizes[0], samples // sizes[0])
    seconds = clock() - start
    session.load_parameters(parameters)
    session.load_optimizer_state(state)
    session.synchronize()
    return seconds


def _step_times(session: Session, job: TrainingJob, inputs: Inputs, clock: Clock) -> list[float]:
    """Seconds of single synchronised steps in a span of their own, after all else: the model is not used again."""
    full = Batches(inputs.order.shape[1], job.batch_size).full
    if not full:
        return []
    batches = np.asarray(inputs.order[-1, : full * job.batch_size], np.int64).reshape(full, 1, job.batch_size)
    rate = inputs.learning_rates[-1:]
    times: list[float] = []
    with quiet_garbage_collection():
        begin = clock()
        while len(times) < STEP_PROBE_STEPS and clock() - begin < STEP_PROBE_S:
            start = clock()
            session.train_steps(batches[len(times) % full], rate)
            times.append(clock() - start)
    return times
