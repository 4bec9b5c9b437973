"""The seam between what a comparison asks for and who carries it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

from harness.datasets import Dataset
from harness.execution.units import Unit
from harness.racing.cases import RaceTask, Watcher
from harness.running.events import Listener
from results.race import Race
from results.record import Record

DatasetOf = Callable[[str], Dataset]
"""A data set by the name that a plan has for it."""
FolderOf = Callable[[str], Path]
"""Where the log of a run belongs, made if it is not there. Raises StoreError."""


class Interrupted(Exception):
    """The user stopped it; what was handed over before is safe."""


class Engine(Protocol):
    """Carries out units and races. It keeps nothing but logs: who asks puts each outcome into the set as it comes.

    A run that fails has a record that says so, and is never tried again. Nothing that was begun goes on when an
    iterator is closed or has raised.
    """

    def run(self, units: Sequence[Unit], listen: Listener) -> Generator[Record]:
        """The records of all runs, each as soon as it may be kept; of one that was repeated, every attempt's.

        Raises Interrupted, StoreError where a log cannot be written, RequestError where nothing can be carried out.
        """

    def race(self, tasks: Sequence[RaceTask], watch: Watcher) -> Generator[Race]:
        """The races, each when it has ended. Raises what ``run`` does, and RaceInterrupted in place of Interrupted."""
