"""Every framework trains on the same augmented images, epoch after epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from results.record import Record
from tests.end_to_end.test_main_line import FRAMEWORKS, harness, noise

RECIPE = """
name: varied
epochs: 4
batch_size: 32
optimizer: {sgd: {learning_rate: 0.01, momentum: 0.9}}
augmentation: {rotation: 10, shift: 1, elastic: {alpha: 10}, erasing: {probability: 0.3}}
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, backend_python: Callable[[str], Path]) -> Callable[[str], Record]:
    """``record(backend)``: four epochs of three steps each of lenet5."""
    folder = tmp_path_factory.mktemp("runs")
    noise(folder / "noise.npz")
    (folder / "varied.yaml").write_text(RECIPE)

    @cache
    def run(backend: str) -> Record:
        backend_python(backend)
        words = f"run --backend {backend} --model lenet5 --recipe varied.yaml --dataset noise.npz --limit-train 80"
        done = harness(*words.split(), "--limit-test", "50", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        return Record.from_json(done.stdout)

    return run


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_losses_are_numpys_in_every_epoch(backend: str, record: Callable[[str], Record]) -> None:
    """Twelve steps over four epochs: a backend that kept the first epoch's images would part with the second."""
    ours, reference = record(backend), record("numpy")
    assert ours.fingerprints == reference.fingerprints
    assert ours.curve is not None
    assert reference.curve is not None
    assert len(ours.curve.first) == 12
    np.testing.assert_allclose(ours.curve.first, reference.curve.first, rtol=1e-4)
    assert ours.phases.place_s
