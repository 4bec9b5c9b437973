"""Epoch after epoch: the timed spans of training and the evaluation after each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session
from harness.worker.evaluation import Evaluation, evaluate
from harness.worker.job import Inputs, TrainingJob
from harness.worker.reports import EpochReport, Event, Progress, TimedSpan
from harness.worker.system import ThreadTimes
from harness.worker.timing import Clock, quiet_garbage_collection

Emit = Callable[[Event], None]

CHUNK_S = 0.5  # aim of one train_steps call: long enough to hide its overhead, short enough to show progress
THREADS_LEAST_S = 0.1  # of training, for its threads to be told: reading them takes a few ms, more on a busy machine


class Diverged(Exception):
    """The loss, a parameter, a running statistic or a logit is not finite; ``step`` counts optimizer steps from 0."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(f"{what} at step {step}")
        self.step = step


def finite(evaluation: Evaluation, step: int) -> Evaluation:
    """What was given. Raises Diverged where a logit is not finite: a layer that hides NaN leaves the losses finite."""
    if not np.isfinite(evaluation.logits).all():
        raise Diverged("logits of evaluation are not finite (NaN or infinity)", step)
    return evaluation


class Epochs:
    """Trains in calls of K steps, K following the clock; a session's result does not depend on K."""

    def __init__(self, session: Session, job: TrainingJob, inputs: Inputs, emit: Emit, clock: Clock) -> None:
        self._session = session
        self._job = job
        self._inputs = inputs
        self._emit = emit
        self._clock = clock
        self.losses: list[NDArray[np.float64]] = []
        self.evaluation: Evaluation | None = None
        self.stale = 0  # epochs since the loss of evaluation was lowest
        self._lowest = math.inf
        self.place_s = 0.0
        self._cpu_s = 0.0
        self._wall_s = 0.0
        self._wanted: list[tuple[float | None, float]] = []  # of each epoch: thread seconds, seconds
        self._steps_per_call = 1

    def run(self, epoch: int) -> None:
        """Train and evaluate one epoch, counted from 0, and report it."""
        order = np.asarray(self._inputs.order[epoch], np.int64)
        if self._inputs.augmented and epoch > self._job.start_epoch:  # the first epoch's were there when building
            self._set_training_data(epoch)
        spans = []
        weighted = 0.0
        with quiet_garbage_collection():
            start, threads = self._clock(), ThreadTimes.now()
            for begin, steps, size in self._calls():
                batches = order[begin : begin + steps * size].reshape(steps, size)
                span, losses = self._span(epoch, begin, batches)
                spans.append(span)
                weighted += float(losses.sum()) * size
            seconds = self._clock() - start
            self._wanted.append((ThreadTimes.now().since(threads), seconds))
        start = self._clock()
        evaluation = evaluate(self._session, self._inputs.judged_by, self._inputs.dtype)
        eval_s = self._clock() - start
        self.evaluation = finite(evaluation, (epoch + 1) * self._inputs.batches.steps - 1)
        self.stale = 0 if evaluation.loss < self._lowest else self.stale + 1
        self._lowest = min(evaluation.loss, self._lowest)
        part = "test" if self._inputs.validation is None else "validation"
        seconds = sum(span.seconds for span in spans)
        self._emit(
            EpochReport(
                epoch=epoch + 1,
                train_loss=weighted / len(order),
                train_seconds=seconds,
                eval_seconds=eval_s,
                samples_per_second=len(order) / seconds,
                spans=tuple(spans),
                **{f"{part}_loss": evaluation.loss, f"{part}_accuracy": evaluation.accuracy},
            )
        )

    @property
    def busy_threads(self) -> float | None:
        """CPU seconds per second of training."""
        return self._cpu_s / self._wall_s if self._wall_s else None

    @property
    def wanted_threads(self) -> float | None:
        """Threads that ran or waited for a CPU while training, on average.

        None where the kernel does not tell, and of a training so short that reading it takes a part of it.
        """
        seconds = sum(seconds for _, seconds in self._wanted)
        if seconds < THREADS_LEAST_S:
            return None
        thread_seconds = [wanted for wanted, _ in self._wanted if wanted is not None]
        return sum(thread_seconds) / seconds if len(thread_seconds) == len(self._wanted) else None

    def _set_training_data(self, epoch: int) -> None:
        start = self._clock()
        self._session.set_training_data(self._inputs.images_of(epoch), self._inputs.train_labels)
        self._session.synchronize()
        self.place_s += self._clock() - start

    def _calls(self) -> Iterator[tuple[int, int, int]]:
        """(first sample, steps, batch size) of each train_steps call; the smaller last batch is a call of its own."""
        batches = self._inputs.batches
        done = 0
        while done < batches.full:
            steps = min(self._steps_per_call, batches.full - done)
            yield done * batches.size, steps, batches.size
            done += steps
        if batches.rest:
            yield batches.full * batches.size, 1, batches.rest

    def _span(self, epoch: int, begin: int, batches: NDArray[np.int64]) -> tuple[TimedSpan, NDArray[np.float64]]:
        steps, size = batches.shape
        first = epoch * self._inputs.batches.steps + begin // self._inputs.batches.size
        rates = self._inputs.learning_rates[first : first + steps]
        masks = self._inputs.dropout_masks_of(epoch, begin, (steps, size))
        cpu, start = time.process_time(), self._clock()
        losses = self._session.train_steps(batches, rates, dropout_masks=masks)
        seconds = self._clock() - start
        self._cpu_s += time.process_time() - cpu
        self._wall_s += seconds
        if steps == self._steps_per_call and seconds < CHUNK_S / 2:
            self._steps_per_call *= 2
        self.losses.append(losses)
        self._emit(Progress(epoch=epoch + 1, samples=begin + steps * size, loss=float(losses.mean())))
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            raise Diverged(f"the training loss is {float(losses[bad[0]])}", first + int(bad[0]))
        return TimedSpan(steps=steps, samples=steps * size, seconds=seconds), losses
