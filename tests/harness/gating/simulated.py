"""Gates of a candidate of known slowdown under the noise of a machine, decided by the gate's own rules.

Turns are drawn without a clock, since thousands of gates are wanted; ``tests.harness.racing.simulated`` has the clock.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from harness.gating.rules import rules_of
from harness.racing.race import LEAST_OPENINGS
from results.gate.checks import Status, time_check
from results.race import Race, Racer

LIMIT = 5.0


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the logarithms of rates, and how many rounds of an opening count.

    A race of PyTorch with itself on two busy cores (lenet5 on digits, ten openings, a quarter of the turns disturbed)
    had ratios within an opening that varied by 4.5 %, 3.2 % for either side, medians of openings by 1.7 %, and 0 to 8
    rounds an opening that counted.
    """

    turns: float = 0.032
    openings: float = 0.017
    rounds: tuple[int, int] = (0, 8)


def decided(seed: int, slowdown: float, noise: Noise, *, budget_s: float = 120.0) -> Status:
    """What a gate says of a candidate that takes so many per cent more time."""
    generator = random.Random(seed)
    rules = rules_of(budget_s, LIMIT)
    rates: tuple[list[float], list[float]] = ([], [])
    starts: list[int] = []
    speeds = (1e4, 1e4 / (1 + slowdown / 100))
    race = _race(rates, starts)
    for _ in range(rules.openings):
        starts.append(len(rates[0]))
        own = [speed * math.exp(generator.gauss(0, noise.openings)) for speed in speeds]
        for _ in range(generator.randint(*noise.rounds)):
            for side in (0, 1):
                rates[side].append(own[side] * math.exp(generator.gauss(0, noise.turns)))
        race = _race(rates, starts)
        if len(starts) >= LEAST_OPENINGS and rules.enough(race):
            break
    return time_check(race, LIMIT).status


def _race(rates: tuple[list[float], list[float]], starts: list[int]) -> Race:
    """Not validated, which would take longer than all else."""
    racers = tuple(Racer.model_construct(backend=name, rates=tuple(own)) for name, own in zip("ab", rates, strict=True))
    return Race.model_construct(racers=racers, openings=tuple(starts) or (0,), baseline=0)
