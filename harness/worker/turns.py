"""One training held open, of which a turn at a time is made: what a race of backends consists of."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backends.contract import Backend
from harness.worker.epochs import Diverged
from harness.worker.job import Inputs, TakeTurn, TrainingJob
from harness.worker.reports import Turn
from harness.worker.system import Counters
from harness.worker.timing import Clock, quiet_garbage_collection

CALL_S = 0.1
"""Aim of one train_steps call: a fraction of a turn, so that turns are of about equal length."""
WARM_UP_S = 1.0

Call = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Arguments of ``Session.train_steps``: batch indices int64[K, batch] and learning rates float64[K]."""


class Turns:
    """The epochs of a job, batch after batch, begun anew from the initial weights whenever they are done.

    Each backend meets the same work: full batches, smaller last ones, the schedule's rates. Only ``train_steps`` is
    timed. Where a recipe augments, every epoch has the images as they are, because handing others over is no training.
    """

    def __init__(self, backend: Backend, job: TrainingJob, clock: Clock = time.perf_counter) -> None:
        self._job = job
        self._clock = clock
        self._inputs = Inputs(job)
        self._session = backend.open(job.spec)
        self._session.load_parameters(self._inputs.initial_weights)
        self._session.set_training_data(self._inputs.images_of(job.start_epoch), self._inputs.train_labels)
        self._initial_state = self._session.optimizer_state()
        self._steps_per_call = 1
        self._compile()
        self._calls = self._again_and_again()

    def warm_up(self) -> None:
        """Find how many steps a call takes for CALL_S, and go on until all is warm: beside others it finds fewer."""
        begin, full = self._clock(), self._inputs.batches.full
        for call in self._again_and_again():
            seconds = self._timed(call)
            if len(call[0]) == self._steps_per_call < full and seconds < CALL_S / 2:
                self._steps_per_call = min(2 * self._steps_per_call, full)
            elif self._clock() - begin > WARM_UP_S:
                break
        gc.collect()
        gc.freeze()  # else each turn's collection would look through a framework's many objects for 0.2 s

    def take(self, asked: TakeTurn) -> Turn:
        """Train for so long, one call at the least, once caches are warm."""
        with quiet_garbage_collection():
            begin = self._clock()
            while self._clock() - begin < asked.settle_s:
                self._timed(next(self._calls))
            samples, taken, before = 0, 0.0, Counters.now()
            while taken < asked.seconds:
                call = next(self._calls)
                taken += self._timed(call)
                samples += call[0].size
        return Turn(samples=samples, seconds=taken, disturbance=Counters.now().since(before))

    def close(self) -> None:
        """Give back what the session holds."""
        self._session.close()

    def _compile(self) -> None:
        batches = self._inputs.batches
        for size in batches.sizes:
            self._timed(
                (np.asarray(self._inputs.order[0, :size], np.int64)[np.newaxis], self._inputs.learning_rates[:1])
            )
        self._session.compile(batches.sizes[0], max(1, batches.full))

    def _again_and_again(self) -> Iterator[Call]:
        batches = self._inputs.batches
        while True:
            self._session.load_parameters(self._inputs.initial_weights)
            self._session.load_optimizer_state(self._initial_state)
            for epoch in range(self._job.start_epoch, self._job.epochs):
                order = np.asarray(self._inputs.order[epoch], np.int64)
                rates = self._inputs.learning_rates[epoch * batches.steps : (epoch + 1) * batches.steps]
                done = 0
                while done < batches.full:
                    steps = min(self._steps_per_call, batches.full - done)
                    samples = order[done * batches.size : (done + steps) * batches.size]
                    yield samples.reshape(steps, batches.size), rates[done : done + steps]
                    done += steps
                if batches.rest:
                    yield order[np.newaxis, batches.full * batches.size :], rates[-1:]

    def _timed(self, call: Call) -> float:
        start = self._clock()
        losses = self._session.train_steps(*call)
        seconds = self._clock() - start
        if not np.isfinite(losses).all():  # arithmetic on NaN has a speed of its own
            raise Diverged("the training loss is not finite", 0)
        return seconds
