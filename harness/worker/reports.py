"""What a worker tells the parent, as types that both ends know; ``specs.codec`` takes their figures over the pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Description


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A framework that was imported: what it says of itself, its Python, seconds and MiB that the import took."""

    framework: Description
    python: str
    import_s: float
    after_import_rss_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What is under way now: "build", "first step", "training"."""

    kind: ClassVar[str] = "phase"
    phase: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Within an epoch (counted from 1): samples done, and the mean loss of the latest steps."""

    kind: ClassVar[str] = "progress"
    epoch: int
    samples: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class TimedSpan:
    """One timed stretch of training steps, read after the device had finished."""

    steps: int
    samples: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One epoch, counted from 1, as it ended; ``train_loss`` is the mean over its steps, weighted by samples.

    Where there is a validation part it is evaluated after each epoch, else the test part: the other's figures are None.
    """

    kind: ClassVar[str] = "epoch"
    epoch: int
    train_loss: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    train_seconds: float
    eval_seconds: float
    samples_per_second: float
    spans: tuple[TimedSpan, ...]


Event = Phase | Progress | EpochReport
"""What a worker tells while it trains: each epoch once."""


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What else the machine did while training: see ``results.record.Noise``."""

    steal: float | None = None
    other_cpu: float | None = None
    involuntary_context_switches: int | None = None
    cpu_mhz_before: float | None = None
    cpu_mhz_after: float | None = None
    cpu_celsius_before: float | None = None
    cpu_celsius_after: float | None = None
    thermal_throttles: int | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A turn of a race: samples trained on, in so many seconds, and what else the machine did meanwhile."""

    samples: int
    seconds: float
    disturbance: Disturbance = Disturbance()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of a training that went well. Seconds, MiB, and threads as ``results.record`` has them.

    ``test_*`` are those after the last step, ``initial_*`` those before the first, None where a validation part spares
    the test part until the end; ``tuning`` what the session did for speed; ``place_s`` is None
    where images are handed over once.
    """

    test_loss: float
    test_accuracy: float
    initial_test_loss: float | None = None
    initial_test_accuracy: float | None = None
    build_s: float
    first_step_s: float
    place_s: float | None = None
    after_build_rss_mb: float | None = None
    peak_rss_mb: float | None = None
    device_peak_mb: float | None = None
    busy_threads: float | None = None
    wanted_threads: float | None = None
    disturbance: Disturbance = Disturbance()
    tuning: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingReport:
    """A worker's answer to a training; its epochs went before it, as events.

    ``losses`` float64[steps] of every step, ``logits`` float64[n_test, classes] after the last epoch, ``step_s``
    float64[n] seconds of single synchronised steps.
    """

    figures: Figures
    losses: NDArray[np.float64]
    logits: NDArray[np.float64]
    step_s: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Those that cross the pipe beside the figures."""
        return {"losses": self.losses, "logits": self.logits, "step_s": self.step_s}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedState:
    """Parameters with buffers, and the optimizer's state, under canonical names."""

    parameters: Arrays
    optimizer_state: Arrays


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An exception of the worker: the status it means for a run, its type, text and traceback."""

    status: Literal["request", "unsupported", "diverged", "out_of_memory", "failed"]
    type: str
    message: str
    traceback: str
    step: int | None = None
