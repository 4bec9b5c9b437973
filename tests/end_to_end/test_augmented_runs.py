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
        done = harness(*words.split(), "--limit-test", "50", "--no-proof", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        return Record.from_json(done.stdout)

    return run


def test_a_resumed_run_sees_the_images_that_an_uninterrupted_one_sees(tmp_path: Path) -> None:
    noise(tmp_path / "noise.npz")
    (tmp_path / "varied.yaml").write_text(RECIPE)
    words = "run --backend numpy --model mlp --recipe varied.yaml --dataset noise.npz --limit-train 80 --json"
    whole = harness(*words.split(), "--out", "whole", cwd=tmp_path)
    half = harness(*words.split(), "--out", "half", "--stop-after", "2", cwd=tmp_path)
    assert (whole.returncode, half.returncode) == (0, 0), whole.stderr + half.stderr
    (checkpoint,) = (tmp_path / "half" / "checkpoints").iterdir()
    rest = harness("run", "--resume", str(checkpoint), "--json", "--out", "rest", cwd=tmp_path)
    assert rest.returncode == 0, rest.stderr
    ended, resumed = Record.from_json(whole.stdout), Record.from_json(rest.stdout)
    assert [epoch.test_loss for epoch in resumed.epochs] == [epoch.test_loss for epoch in ended.epochs[2:]]


@pytest.mark.parametrize(
    "backend", ["torch", *(pytest.param(b, marks=pytest.mark.long) for b in FRAMEWORKS if b != "torch")]
)
def test_losses_are_numpys_in_every_epoch(backend: str, record: Callable[[str], Record]) -> None:
    """Twelve steps over four epochs: a backend that kept the first epoch's images would part with the second."""
    ours, reference = record(backend), record("numpy")
    assert ours.fingerprints == reference.fingerprints
    assert ours.curve is not None
    assert reference.curve is not None
    assert len(ours.curve.first) == 12
    np.testing.assert_allclose(ours.curve.first, reference.curve.first, rtol=1e-4)
    assert ours.phases.place_s
