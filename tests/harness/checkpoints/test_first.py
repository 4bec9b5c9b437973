"""A checkpoint of the first days, before networks were graphs and files had digests, is as good as a new one.

``first/`` was written on 22 November 2026 in NumPy by commit ccb11f9, by ``run --stop-after 3`` of four epochs on
digits; the expected figures are what that commit itself printed when it used the checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.checkpoints import read_checkpoint
from results.record import Record
from specs.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU
from specs.optimizers import Adam
from tests.harness.cli.commands import harness

FIRST = Path(__file__).parent / "first"
LOGITS_OF_IMAGE_3 = [
    *(-4.752814, -0.1632994, -1.273764, -2.346906, -2.040988),
    *(-4.842307, -4.485196, -2.612201, 2.424145, -2.140296),
]
FIRST_LOSSES_OF_EPOCH_4 = [0.3467028, 0.2356957, 1.302926, 0.913874, 0.2709486]
TEST_LOSS = 0.2934246


def test_it_is_read_whole() -> None:
    read = read_checkpoint(FIRST)
    kinds = [Conv2d, BatchNorm2d, ReLU, MaxPool2d, Flatten, Linear]
    assert [type(layer) for layer in read.architecture.layers] == kinds
    assert read.recipe.optimizer == Adam(learning_rate=0.02)
    assert (read.manifest.epochs, read.recipe.epochs, read.manifest.sha256) == (3, 4, None)
    assert read.optimizer_state()["step"] == 150


def test_it_predicts_what_it_did(tmp_path: Path) -> None:
    done = harness("predict", "--checkpoint", str(FIRST), "--index", "3", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)["predictions"]
    assert said["label"] == said["true"] == 8
    assert said["logits"] == pytest.approx(LOGITS_OF_IMAGE_3, abs=1e-5)


def test_its_training_goes_on_as_it_did(tmp_path: Path) -> None:
    words = ("--resume", str(FIRST), "--threads", "1", "--no-save", "--json", "--out", str(tmp_path / "set"))
    done = harness("run", *words, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    record = Record.from_json(done.stdout)
    assert record.curve is not None
    assert record.curve.first[:5] == pytest.approx(FIRST_LOSSES_OF_EPOCH_4, rel=1e-5)
    assert record.test_loss == pytest.approx(TEST_LOSS, rel=1e-5)
    assert record.test_accuracy == 0.975
