"""A hunt on several backends at once, each in a worker of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from backends.registry import Manner
from harness.conformance.running import Workplace
from harness.hunting.hunt import TrialRecord, hunt
from results.files import explained


def hunt_all(
    pythons: Mapping[str, Path],
    folder: Path,
    *,
    tuning: Manner,
    seed: int,
    seconds: float,
    progress: Callable[[str, TrialRecord], None],
) -> None:
    """Every backend for so many seconds, continuing what ``folder`` holds. An interrupt ends the workers first."""
    with explained("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
    workplaces = {backend: Workplace(backend, tuning, python=python) for backend, python in pythons.items()}
    until = time.monotonic() + seconds

    def one(backend: str) -> None:
        with workplaces[backend] as workplace:
            hunt(backend, folder, workplace.open, tuning=tuning, seed=seed, until=until, progress=progress)

    with threadpool_limits(1), ThreadPoolExecutor(max_workers=len(workplaces)) as pool:
        running = [pool.submit(one, backend) for backend in workplaces]
        try:
            for each in running:
                each.result()
        except BaseException:
            for workplace in workplaces.values():
                workplace.stop()
            raise
