"""Learning-rate schedules: one frozen type per rule, its formula in its docstring.

t counts optimizer steps from 0, S is the number of steps per epoch, T = epochs * S, e = floor(t / S) the epoch from 0,
w = warmup_epochs * S (not rounded). Every rule is multiplied by the linear warm-up of Goyal et al. 2017,
min(1, (t + 1) / w), which is 1 throughout when w = 0: the first step takes base / w, never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from specs.errors import FieldError


@dataclass(frozen=True, kw_only=True)
class _Schedule:
    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.warmup_epochs < math.inf):
            raise FieldError("warmup_epochs", f"must be non-negative and finite, got {self.warmup_epochs}")


@dataclass(frozen=True, kw_only=True)
class Constant(_Schedule):
    """lr(t) = base."""

    kind: ClassVar[str] = "constant"

    def factors(self, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """lr(t) / base without the warm-up, float64[epochs * steps_per_epoch]."""
        return np.ones(epochs * steps_per_epoch)


@dataclass(frozen=True, kw_only=True)
class Step(_Schedule):
    """lr(t) = base * gamma ** floor(e / every_epochs); epochs are counted from the start, warm-up included."""

    kind: ClassVar[str] = "step"
    every_epochs: int
    gamma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every_epochs < 1:
            raise FieldError("every_epochs", f"must be at least 1, got {self.every_epochs}")
        if not (0 < self.gamma <= 1):
            raise FieldError("gamma", f"must be in (0, 1], got {self.gamma}")

    def factors(self, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """lr(t) / base without the warm-up, float64[epochs * steps_per_epoch]."""
        drops = np.arange(epochs) // self.every_epochs
        return np.repeat(np.float64(self.gamma) ** drops, steps_per_epoch)


@dataclass(frozen=True, kw_only=True)
class Exponential(_Schedule):
    """lr(t) = base * gamma ** (t / S): times gamma over every epoch, a little at each step, warm-up included.

    The staircase of the same name in PyTorch is ``Step`` with ``every_epochs`` 1.
    """

    kind: ClassVar[str] = "exponential"
    gamma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.gamma <= 1):
            raise FieldError("gamma", f"must be in (0, 1], got {self.gamma}")

    def factors(self, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """lr(t) / base without the warm-up, float64[epochs * steps_per_epoch]."""
        factors: NDArray[np.float64] = np.float64(self.gamma) ** (np.arange(epochs * steps_per_epoch) / steps_per_epoch)
        return factors


@dataclass(frozen=True, kw_only=True)
class Cosine(_Schedule):
    """lr(t) = base * (f + (1 - f) * (1 + cos(pi * p)) / 2), p = (t - w) / (T - w), f = final_fraction.

    Loshchilov & Hutter 2017 (SGDR), equation 5 with a single cycle and the rate moved at every step. It starts from
    base at the first step after the warm-up and would reach f * base at t = T, one step after the last.
    """

    kind: ClassVar[str] = "cosine"
    final_fraction: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.final_fraction <= 1):
            raise FieldError("final_fraction", f"must be in [0, 1], got {self.final_fraction}")

    def factors(self, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """lr(t) / base without the warm-up, float64[epochs * steps_per_epoch]."""
        total = epochs * steps_per_epoch
        warmup = min(self.warmup_epochs, epochs) * steps_per_epoch
        # A run that ends within its warm-up has no cosine left: the divisor only keeps 0 / 0 away.
        progress = np.clip((np.arange(total) - warmup) / max(total - warmup, 1.0), 0.0, 1.0)
        cosine: NDArray[np.float64] = (1.0 + np.cos(np.pi * progress)) / 2.0
        return self.final_fraction + (1.0 - self.final_fraction) * cosine


Schedule = Constant | Step | Exponential | Cosine

SCHEDULES: dict[str, type] = {schedule.kind: schedule for schedule in get_args(Schedule)}


def learning_rates(schedule: Schedule, *, base: float, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
    """The learning rate of every optimizer step, float64[epochs * steps_per_epoch]."""
    if epochs < 1 or steps_per_epoch < 1:
        raise ValueError(f"epochs and steps_per_epoch must be at least 1, got {epochs} and {steps_per_epoch}")
    rates = base * schedule.factors(epochs, steps_per_epoch)
    warmup = schedule.warmup_epochs * steps_per_epoch
    if warmup > 0:
        rates *= np.minimum(1.0, np.arange(1, len(rates) + 1) / warmup)
    return rates
