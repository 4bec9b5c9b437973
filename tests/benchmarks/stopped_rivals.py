"""Whether rivals that stand still cost the one at work anything: PyTorch alone against PyTorch beside stopped rivals.

    python -m tests.benchmarks.stopped_rivals

One PyTorch process makes turns all along; in between the rivals are opened, warmed up and stopped, and ended again.
Turns alone come before and after those beside rivals, so that a machine that drifts evenly shows as no difference.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from harness.datasets import load_dataset
from harness.planning.study import Study, plans_of
from harness.racing.plans import arrays
from harness.racing.race import DISTURBED_SHARE, TURN_S, taken_by_others
from harness.racing.workers import StoppedWorker, opened
from results.statistics import Ratio, ratio

BLOCKS = 10
TURNS = 12
ATTEMPTS = 120


def rate(worker: StoppedWorker) -> float:
    """The median of its next quiet turns, in samples/s."""
    rates = []
    for _ in range(ATTEMPTS):
        turn = worker.turn(TURN_S)
        if (taken_by_others(turn.disturbance) or 0.0) <= DISTURBED_SHARE:
            rates.append(turn.samples / turn.seconds)
        if len(rates) == TURNS:
            return median(rates)
    sys.exit(f"too disturbed: {len(rates)} of {ATTEMPTS} turns were quiet, {TURNS} are needed")


def beside_over_alone(blocks: Sequence[tuple[float, float, float]]) -> Ratio:
    """Rates beside rivals over those alone, of blocks of rates alone, beside, and alone again."""
    return ratio([(beside, math.sqrt(before * after)) for before, beside, after in blocks])


def main() -> None:
    """Measure and print."""
    names = ("torch", "keras", "paddle", "mindspore")
    study = Study(name="stopped", backends=names, models=("lenet5",), datasets=("digits",), repeats=1)
    torch, *rivals = (plan for _, plan in plans_of(study))
    blocks = []
    with arrays(torch, load_dataset("digits", None)) as (data, inputs), opened(torch, data, inputs) as worker:
        after = rate(worker)
        for number in range(BLOCKS):
            before = after
            with ExitStack() as stack:
                for plan in rivals:
                    stack.enter_context(opened(plan, data, inputs))
                beside = rate(worker)
            after = rate(worker)
            blocks.append((before, beside, after))
            print(
                f"{number + 1} of {BLOCKS}: alone {before:,.0f}, beside {beside:,.0f}, alone {after:,.0f}", flush=True
            )
    found = beside_over_alone(blocks).estimate
    assert found is not None
    print(f"beside stopped rivals torch has {found.median:.3f} ({found.low:.3f}-{found.high:.3f}) of its rate alone")


if __name__ == "__main__":
    main()
