"""The one training loop, run inside the worker: the same for every framework.

Only ``Session.train_steps`` happens inside a timed span. Warm-up (the first step of each batch size, compilation) is
timed apart and undone, so that training starts from the prepared weights. Garbage collection waits outside the spans.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Backend
from harness.worker import memory
from harness.worker.epochs import Diverged, Emit, Epochs, finite
from harness.worker.evaluation import evaluate
from harness.worker.job import Inputs, TrainingJob
from harness.worker.reports import Disturbance, Figures, Phase, TrainedState, TrainingReport
from harness.worker.system import Counters
from harness.worker.thermal import Thermal
from harness.worker.timing import Clock, quiet_garbage_collection

STEP_PROBE_S = 2.0
STEP_PROBE_STEPS = 200


def train(backend: Backend, job: TrainingJob, *, emit: Emit, clock: Clock = time.perf_counter) -> TrainingReport:
    """Train and evaluate as ``job`` says. Raises Diverged, or whatever the framework raises."""
    training = Training(backend, job, emit, clock)
    report = training.run()
    training.close()
    return report


class Training:
    """One training, which may be saved after it was run."""

    def __init__(self, backend: Backend, job: TrainingJob, emit: Emit, clock: Clock = time.perf_counter) -> None:
        self._job = job
        self._emit = emit
        self._clock = clock
        self._inputs = Inputs(job)
        emit(Phase(phase="build"))
        start = clock()
        self._session = backend.open(job.spec)
        self._session.load_parameters(self._inputs.initial_weights)
        self._session.set_training_data(self._inputs.images_of(job.start_epoch), self._inputs.train_labels)
        if self._inputs.optimizer_state is not None:
            self._session.load_optimizer_state(self._inputs.optimizer_state)
        self._session.synchronize()
        self._build_s = clock() - start
        self._trained: TrainedState | None = None

    def run(self) -> TrainingReport:
        """All its epochs, each reported as it ends, and the figures of the whole."""
        after_build = memory.rss_mb()
        self._emit(Phase(phase="first step"))
        first_step_s = self._warm_up()
        inputs = self._inputs
        initial = evaluate(self._session, inputs.judged_by, inputs.dtype)  # untimed: compiles the evaluation
        own_peak = memory.reset_peak()
        gc.collect()
        gc.freeze()  # a framework's objects are many: looking through them again before every epoch takes 0.2 s
        self._emit(Phase(phase="training"))
        epochs, disturbance = self._train()
        peak = memory.peak_rss_mb() if own_peak else None  # else it would be the highest of loading and building too
        device_peak = self._session.peak_device_memory()
        self._remember(self._last_step(epochs))
        final = epochs.evaluation
        if inputs.validation is not None or final is None:
            final = finite(evaluate(self._session, inputs.test, inputs.dtype), self._last_step(epochs))
        figures = Figures(
            test_loss=final.loss,
            test_accuracy=final.accuracy,
            initial_test_loss=None if inputs.validation else initial.loss,
            initial_test_accuracy=None if inputs.validation else initial.accuracy,
            build_s=self._build_s,
            first_step_s=first_step_s,
            place_s=epochs.place_s if self._inputs.augmented else None,
            after_build_rss_mb=after_build,
            peak_rss_mb=peak,
            device_peak_mb=None if device_peak is None else device_peak / 2**20,
            busy_threads=epochs.busy_threads,
            wanted_threads=epochs.wanted_threads,
            disturbance=disturbance,
            tuning=tuple(self._session.tuning()),
        )
        return TrainingReport(
            figures=figures,
            losses=np.concatenate(epochs.losses),
            logits=final.logits.astype(np.float64),
            step_s=self._step_times(),
        )

    def save(self, directory: Path) -> TrainedState:
        """What was trained; the framework writes it into ``directory`` in its own formats too."""
        if self._trained is None:
            raise RuntimeError("nothing was kept of the training")
        self._session.load_parameters(self._trained.parameters)  # single steps were timed since
        self._session.load_optimizer_state(self._trained.optimizer_state)
        self._session.save(directory)
        return self._trained

    def close(self) -> None:
        """Give back what the session holds."""
        self._session.close()

    def _warm_up(self) -> float:
        """Seconds of compilation and the first step of each batch size; parameters and optimizer are put back."""
        sizes = self._inputs.batches.sizes
        batches = [np.asarray(self._inputs.order[0, :size], np.int64)[np.newaxis] for size in sizes]
        parameters, state = self._session.parameters(), self._session.optimizer_state()
        start = self._clock()
        for batch in batches:
            masks = self._inputs.dropout_masks_of(0, 0, (1, batch.size))
            self._session.train_steps(batch, self._inputs.learning_rates[:1], dropout_masks=masks)
        self._session.compile(sizes[0], max(1, self._inputs.batches.full))
        seconds = self._clock() - start
        self._session.load_parameters(parameters)
        self._session.load_optimizer_state(state)
        self._session.synchronize()
        return seconds

    def _train(self) -> tuple[Epochs, Disturbance]:
        epochs = Epochs(self._session, self._job, self._inputs, self._emit, self._clock)
        thermal, before = Thermal.now(), Counters.now()
        for epoch in range(self._job.start_epoch, self._job.epochs):
            epochs.run(epoch)
            if self._job.patience is not None and epochs.stale >= self._job.patience:
                break
        return epochs, Thermal.now().since(thermal, Counters.now().since(before))

    def _last_step(self, epochs: Epochs) -> int:
        """The last step's number, from 0, those before a resumption among them."""
        return self._job.start_epoch * self._inputs.batches.steps + len(np.concatenate(epochs.losses)) - 1

    def _remember(self, last_step: int) -> None:
        """Raise Diverged where not all is finite, which evaluation may hide; keep what a request to save asks for."""
        parameters = self._session.parameters()
        for name, array in parameters.items():
            if not np.isfinite(array).all():
                raise Diverged(f"{name} holds values that are not finite (NaN or infinity)", last_step)
        if self._job.keep:
            state: Arrays = self._session.optimizer_state()
            self._trained = TrainedState(parameters=parameters, optimizer_state=state)

    def _step_times(self) -> NDArray[np.float64]:
        """Seconds of single synchronised steps in a span of their own, after all else: they train on."""
        full, size = self._inputs.batches.full, self._inputs.batches.size
        times: list[float] = []
        if not full:
            return np.array(times)
        batches = np.asarray(self._inputs.order[-1, : full * size], np.int64).reshape(full, 1, size)
        rate = self._inputs.learning_rates[-1:]
        with quiet_garbage_collection():
            begin = self._clock()
            while len(times) < STEP_PROBE_STEPS and self._clock() - begin < STEP_PROBE_S:
                start = self._clock()
                self._session.train_steps(batches[len(times) % full], rate)
                times.append(self._clock() - start)
        return np.array(times)
