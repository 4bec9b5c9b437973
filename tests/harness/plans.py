"""Small plans and data for tests that run workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backends.registry import Registration
from harness.datasets import Dataset
from harness.planning.plan import RunPlan
from harness.running.events import RunEvent
from harness.running.run import execute
from results.record import Record
from specs.architecture import Architecture
from specs.layers import Flatten, Linear
from specs.loading import load_recipe

TINY = Architecture(name="tiny", input=(1, 4, 4), classes=3, layers=(Flatten(), Linear(out_features=3)))


def dataset(samples: int = 50) -> Dataset:
    """Random 4x4 images of three classes: ``samples`` to train on, 20 to test on."""
    generator = np.random.default_rng(0)
    return Dataset(
        name="tiny",
        title="Tiny",
        train_images=generator.integers(0, 256, (samples, 1, 4, 4), dtype=np.uint8),
        train_labels=generator.integers(0, 3, samples),
        test_images=generator.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8),
        test_labels=np.arange(20) % 3,
        classes=3,
        source="numpy",
        sha256=f"tiny-{samples}",
    )


def plan(
    backend: Registration, *, epochs: int = 2, batch_size: int = 8, proof: bool = False, **choices: Any
) -> RunPlan:
    """A run of the tiny network with the default recipe; most tests are of other things than the proof."""
    recipe = replace(load_recipe("default"), epochs=epochs, batch_size=batch_size, targets={})
    return RunPlan(
        backend=backend, model="tiny", architecture=TINY, recipe=recipe, dataset="tiny", proof=proof, **choices
    )


def run(
    backend: Registration, folder: Path, *, samples: int = 50, save_to: Path | None = None, **choices: Any
) -> tuple[Record, list[RunEvent]]:
    """The record of a run and the events heard on the way."""
    events: list[RunEvent] = []
    folder.mkdir(parents=True, exist_ok=True)
    kept: list[Record] = []
    planned = plan(backend, **choices)
    record = execute(planned, dataset(samples), folder, "run-1", events.append, keep=kept.append, save_to=save_to)
    assert kept == [record], "kept once, and before all else"
    return record, events
