"""A network that cannot be trained on a split into batches is refused before any worker starts, alike for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.registry import frameworks
from harness.planning.trainable import check_batches
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import BatchNorm2d, Conv2d, Flatten, Linear
from tests.fakes import registered
from tests.harness.cli.commands import assert_one_line, harness
from tests.harness.plans import run

ONE_PLACE = Architecture(
    name="bn",
    input=(1, 4, 4),
    classes=3,
    layers=(Conv2d(out_channels=2, kernel_size=4), BatchNorm2d(), Flatten(), Linear(out_features=3)),
)
MANY_PLACES = Architecture(
    name="bn",
    input=(1, 4, 4),
    classes=3,
    layers=(Conv2d(out_channels=2, kernel_size=3), BatchNorm2d(), Flatten(), Linear(out_features=3)),
)


@pytest.mark.parametrize(
    ("samples", "batch_size", "said"),
    [
        (65, 64, "the last batch of 1 sample (65 training samples in batches of 64)"),
        (7, 2, "the last batch of 1 sample"),
        (10, 1, "a batch of 1 sample (10 training samples in batches of 1)"),
        (1, 8, "a batch of 1 sample (1 training samples in batches of 8)"),
    ],
)
def test_one_value_per_channel_is_refused(samples: int, batch_size: int, said: str) -> None:
    with pytest.raises(RequestError) as refusal:
        check_batches(ONE_PLACE, samples=samples, batch_size=batch_size)
    assert f"model 'bn': batch_norm2d_1 gets one value per channel in {said}" in str(refusal.value)
    assert "--batch-size" in str(refusal.value)
    assert ("--limit-train" in str(refusal.value)) == ("last" in said)


@pytest.mark.parametrize(("samples", "batch_size"), [(64, 64), (66, 64), (2, 8), (130, 65)])
def test_all_else_is_not(samples: int, batch_size: int) -> None:
    check_batches(ONE_PLACE, samples=samples, batch_size=batch_size)
    check_batches(MANY_PLACES, samples=1, batch_size=1)


def test_every_command_says_it_before_training(tmp_path: Path) -> None:
    (tmp_path / "bn.yaml").write_text(
        "name: bn\ninput: [1, 28, 28]\nclasses: 10\nlayers:\n  - conv2d: {out_channels: 8, kernel_size: 28}\n"
        "  - batch_norm2d\n  - relu\n  - flatten\n  - linear: {out_features: 10}\n"
    )
    words = ["--model", "bn.yaml", "--dataset", "digits", "--limit-train", "65", "--epochs", "1", "--batch-size", "64"]
    for command in (["run", "--backend", "numpy"], ["compare", "--backends", "numpy"]):
        outcome = harness(*command, *words, cwd=tmp_path)
        assert_one_line(outcome, "the last batch of 1 sample", "--limit-train 64")
    assert [path.name for path in tmp_path.iterdir()] == ["bn.yaml"]
    assert frameworks()


def test_logits_that_are_not_finite_have_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that hides NaN or infinity leaves the losses of training finite."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with registered(infinite_logits_at=9) as fake:
        record, _ = run(fake, tmp_path / "run")
    assert record.status == "diverged"
    assert record.error is not None
    assert "logits of evaluation are not finite" in record.error.message
    assert record.error.step == 13
    assert [epoch.epoch for epoch in record.epochs] == [1]


def test_what_is_not_finite_at_the_end_has_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and evaluation may both look well: MindSpore's evaluation hides a running variance that is NaN."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with registered(nan_parameters_at=9) as fake:
        record, _ = run(fake, tmp_path / "run", save_to=tmp_path / "checkpoint")
    assert record.status == "diverged"
    assert record.error is not None
    assert "linear_1.weight holds values that are not finite" in record.error.message
    assert record.error.step == 13
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert not (tmp_path / "checkpoint").exists()
