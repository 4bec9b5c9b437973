"""Measuring for ``profile``: the growing networks on several backends, in worker processes, round by round."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import SessionSpec, Unsupported
from backends.registry import Manner
from harness.measuring.others import counters
from harness.measuring.profile import BackendProfile, Lap, Time, layer_times, stages
from harness.processes.launcher import WorkerFailed
from harness.processes.remote import RemoteSession, RemoteWorker, open_worker
from harness.worker.system import Counters
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.initializers import initial_parameters
from specs.recipe import Recipe

# What a backend ran before may keep its threads spinning for a while, so the first calls are not counted.
SETTLE_S = 0.05
STEP_S = 0.1
FORWARD_S = 0.05
CALL_S = 0.02  # aim of one train_steps call, as far as MOST_STEPS go
MOST_STEPS = 32
# A backend on which a layer takes seconds gets fewer rounds.
LEAST_LAPS = 3
ENOUGH_S = 5.0
PLACED_BATCHES = 4
# So small that the weights stay where they were, and yet an update like any other.
LEARNING_RATE = 1e-6

Progress = Callable[[str, int, int], None]
"""Called with what is being measured, how many layers are done and of how many."""


@dataclass(frozen=True)
class Profiled:
    """A backend, the interpreter that has it, and the manner in which it is used."""

    backend: str
    python: Path
    tuning: Manner


@dataclass(frozen=True, kw_only=True)
class ProfilePlan:
    """What to profile: the recipe gives batch size, optimizer and initial weights; ``rounds`` at least 2.

    ``backends`` has each under the name by which its profile goes.
    """

    architecture: Architecture
    recipe: Recipe
    backends: Mapping[str, Profiled]
    threads: int
    device: str = "cpu"
    rounds: int = 5
    timeout_s: float | None = None


@dataclass
class ProfileOutcome:
    """Profiles by backend, why others have none, and the share of the machine's CPU time that others used."""

    profiles: dict[str, BackendProfile] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    other_cpu: float | None = None


def profile(plan: ProfilePlan, progress: Progress) -> ProfileOutcome:
    """Measure every layer on every backend. A backend that fails is left out, saying why; the others go on."""
    base, *grown = stages(plan.architecture)
    with ExitStack() as stack:
        matrix = _Backends(plan, stack)
        matrix.each(matrix.start)
        before = matrix.counters()
        for done, network in enumerate([base, *grown]):
            progress("starting" if network is base else f"layer {done} of {len(grown) - 1}", done, len(grown) + 1)
            matrix.each(lambda name, network=network: matrix.subjects[name].grow(network))  # type: ignore[misc]
            for _ in range(plan.rounds if network is not base else 0):
                matrix.each(lambda name: matrix.subjects[name].lap())
        matrix.each(matrix.finish)
        matrix.outcome.other_cpu = matrix.counters().since(before).other_cpu
    return matrix.outcome


class _Backends:
    """The backends under way; one that fails drops out."""

    def __init__(self, plan: ProfilePlan, stack: ExitStack) -> None:
        self.plan = plan
        self.stack = stack
        self.subjects: dict[str, _Subject] = {}
        self.outcome = ProfileOutcome()

    def each(self, work: Callable[[str], None]) -> None:
        """Do ``work`` for each that is still there, in turn."""
        for name in self.plan.backends:
            if name in self.outcome.failed:
                continue
            try:
                work(name)
            except (WorkerFailed, Unsupported, RequestError) as error:
                self.outcome.failed[name] = " ".join(str(error).split())[:500]

    def start(self, name: str) -> None:
        """Start its worker, which ends with the stack."""
        profiled = self.plan.backends[name]
        worker = open_worker(
            profiled.backend,
            python=profiled.python,
            threads=self.plan.threads,
            tuning=profiled.tuning,
            architecture=self.plan.architecture,
            timeout_s=self.plan.timeout_s,
        )
        self.subjects[name] = _Subject(self.plan, profiled.tuning, self.stack.enter_context(worker))

    def counters(self) -> Counters:
        """Those of the machine, with the workers' CPU time counted as this process's own."""
        return counters(subject.worker.process.pid for subject in self.subjects.values())

    def finish(self, name: str) -> None:
        """Keep what was measured."""
        self.outcome.profiles[name] = self.subjects[name].profile(name)


class _Subject:
    """One backend: its worker, the two networks under way and the laps so far."""

    def __init__(self, plan: ProfilePlan, tuning: Manner, worker: RemoteWorker) -> None:
        self._plan = plan
        self._tuning = tuning
        self.worker = worker
        self._pair: list[RemoteSession] = []
        self._laps: list[list[Lap]] = []
        self._steps: dict[str, NDArray[Any]] = {}
        self._images = {"images": _images(plan, 1)}
        self._laps_s = 0.0

    def grow(self, network: Architecture) -> None:
        """Open the next network, close the one before the last, and warm both up."""
        if len(self._pair) == 2:
            self._pair.pop(0).close()
        self._pair.append(self._open(network))
        self._laps.append([])
        newest = self._pair[-1:]
        self.worker.measure(newest, "train_steps", _steps(self._plan, 1))  # compiles
        (step_s,) = self.worker.measure(newest, "train_steps", _steps(self._plan, 1))
        count = min(MOST_STEPS, math.ceil(CALL_S / max(float(step_s[0]), 1e-6)))
        self._steps = _steps(self._plan, count)
        if count > 1:
            self.worker.measure(self._pair, "train_steps", self._steps)
        self.worker.measure(newest, "predict", self._images)
        self._laps_s = 0.0

    def lap(self) -> None:
        """Time both networks in turn, steps and then forward passes; nothing more where enough time went into it."""
        if len(self._laps[-1]) >= LEAST_LAPS and self._laps_s > ENOUGH_S:
            return
        start = time.perf_counter()
        settle = {"settle_s": SETTLE_S}
        step = self.worker.measure(self._pair, "train_steps", self._steps, seconds=STEP_S, **settle)
        forward = self.worker.measure(self._pair, "predict", self._images, seconds=FORWARD_S, **settle)
        count = len(self._steps["batch_indices"])
        self._laps[-1].append(Lap(_fastest(forward), _fastest(step, per=count)))
        self._laps_s += time.perf_counter() - start

    def profile(self, name: str) -> BackendProfile:
        """What the laps say."""
        first, *_, last = laps = self._laps[1:]
        return BackendProfile(
            backend=name,
            framework_version=self.worker.loaded.framework.framework_version,
            tuning=self._pair[-1].tuning(),
            base=Time.of([lap.step[0] for lap in first]),
            layers=layer_times(self._plan.architecture, laps[:-1], self._plan.recipe.batch_size),
            whole=Time.of([lap.step[1] for lap in last]),
        )

    def _open(self, network: Architecture) -> RemoteSession:
        spec = SessionSpec(
            architecture=network,
            optimizer=self._plan.recipe.optimizer,
            label_smoothing=self._plan.recipe.label_smoothing,
            device=self._plan.device,
            threads=self._plan.threads,
            tuning=self._tuning,
        )
        session = self.worker.open(spec)
        session.load_parameters(initial_parameters(network, self._plan.recipe.initializer, seed=0))
        labels = np.arange(PLACED_BATCHES * self._plan.recipe.batch_size) % 2
        session.set_training_data(_images(self._plan, PLACED_BATCHES), labels)
        return session


def _images(plan: ProfilePlan, batches: int) -> NDArray[np.float32]:
    """float32[batches * batch size, C, H, W], uniform on [0, 1) as pixels are."""
    shape = (batches * plan.recipe.batch_size, *plan.architecture.input)
    return np.random.default_rng(0).random(shape, np.float32)


def _steps(plan: ProfilePlan, count: int) -> dict[str, NDArray[Any]]:
    """The arguments of ``train_steps`` for so many steps."""
    size = plan.recipe.batch_size
    order = np.random.default_rng(0).integers(0, PLACED_BATCHES * size, (count, size))
    return {"batch_indices": order, "learning_rates": np.full(count, LEARNING_RATE)}


def _fastest(times: Sequence[NDArray[np.float64]], per: int = 1) -> tuple[float, float]:
    shorter, longer = times
    return float(shorter.min()) / per, float(longer.min()) / per
