"""A training that stopped and went on is the training that never stopped; anything else is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.registry import find
from harness.checkpoints import Checkpoint, read_checkpoint
from harness.planning.plan import RunPlan
from harness.running.events import Trouble
from harness.running.run import execute
from results.record import Record
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import BatchNorm2d, Conv2d, Flatten, Linear
from specs.loading import load_recipe
from specs.optimizers import Adam
from specs.schedule import Cosine, Schedule, Step
from tests.fakes import registered
from tests.harness.cli.commands import ROOT, assert_one_line, harness
from tests.harness.plans import dataset, run

NETWORK = Architecture(
    name="normed",
    input=(1, 4, 4),
    classes=3,
    layers=(Conv2d(out_channels=2, kernel_size=3), BatchNorm2d(), Flatten(), Linear(out_features=3)),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared data of tests stays out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def train(
    folder: Path, schedule: Schedule, *, epochs: int = 4, seed: int = 3, samples: int = 50, **choices: Any
) -> tuple[Record, Checkpoint]:
    """A run of the small network in NumPy, and the checkpoint it left."""
    recipe = load_recipe("default")
    recipe = replace(recipe, epochs=epochs, batch_size=8, learning_rate_schedule=schedule, optimizer=Adam(), targets={})
    plan = RunPlan(
        backend=find("numpy"), model="normed", architecture=NETWORK, recipe=recipe, dataset="tiny", seed=seed, **choices
    )
    folder.mkdir()
    record = execute(
        plan, dataset(samples), folder, folder.name, lambda _: None, keep=lambda _: None, save_to=folder / "checkpoint"
    )
    assert record.status == "ok", record.error
    return record, read_checkpoint(folder / "checkpoint")


def losses(*records: Record) -> list[float | None]:
    return [loss for record in records if record.curve for loss in record.curve.first]


@pytest.mark.parametrize("schedule", [Cosine(warmup_epochs=1.5), Step(every_epochs=2, gamma=0.1)])
def test_two_stops_change_nothing(tmp_path: Path, schedule: Schedule) -> None:
    """Adam, batch norm and a rate that moves, stopped after epochs 1 and 3 of 4: every loss and every bit is equal."""
    straight, whole = train(tmp_path / "straight", schedule)
    first, one = train(tmp_path / "first", schedule, stop_after=1)
    second, three = train(tmp_path / "second", schedule, resumed=one, stop_after=3)
    third, four = train(tmp_path / "third", schedule, resumed=three)
    assert losses(first, second, third) == losses(straight)
    assert [epoch.epoch for record in (first, second, third) for epoch in record.epochs] == [1, 2, 3, 4]
    for ours, theirs in ((four.parameters, whole.parameters), (four.optimizer_state(), whole.optimizer_state())):
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert third.test_accuracy == straight.test_accuracy
    assert four.manifest.fingerprints == whole.manifest.fingerprints
    assert (one.manifest.epochs, three.manifest.epochs, four.manifest.epochs) == (1, 3, 4)


def test_the_record_says_what_it_is(tmp_path: Path) -> None:
    """Its figures are of what it did itself, and its fingerprints agree with no whole training's."""
    straight, _ = train(tmp_path / "straight", Cosine())
    first, one = train(tmp_path / "first", Cosine(), stop_after=1)
    rest, _ = train(tmp_path / "rest", Cosine(), resumed=one)
    assert (straight.resumed_from, first.resumed_from, rest.resumed_from) == (None, None, "first")
    assert len({record.fingerprints.schedule for record in (straight, first, rest)}) == 3
    assert rest.fingerprints.data == straight.fingerprints.data
    assert rest.fingerprints.initial_weights != straight.fingerprints.initial_weights
    assert rest.time_to_accuracy == {}
    assert rest.initial_test_accuracy is None
    assert f"--resume {one.folder}" in (rest.command or "")
    assert "--stop-after 1" in (first.command or "")


def test_a_finished_training_goes_on_where_the_rates_allow_it(tmp_path: Path) -> None:
    step = Step(every_epochs=1, gamma=0.5)
    straight, _ = train(tmp_path / "straight", step, epochs=3)
    two, done = train(tmp_path / "two", step, epochs=2)
    more, _ = train(tmp_path / "more", step, epochs=3, resumed=done)
    assert losses(two, more) == losses(straight)
    _, done = train(tmp_path / "cosine", Cosine(), epochs=2)
    with pytest.raises(RequestError, match="--epochs 3: over so many epochs the cosine schedule gives other learning"):
        train(tmp_path / "refused", Cosine(), epochs=3, resumed=done)


def test_another_training_is_not_continued(tmp_path: Path) -> None:
    _, one = train(tmp_path / "first", Cosine(), stop_after=1)
    with pytest.raises(RequestError, match="was not trained on this data: dataset 'mnist' has another fingerprint"):
        train(tmp_path / "data", Cosine(), resumed=one, samples=60)
    other = one.manifest.model_copy(update={"seed": 4})
    with pytest.raises(RequestError, match="seed and recipe give other batches here"):
        train(tmp_path / "order", Cosine(), resumed=replace(one, manifest=other))


def test_dropout_draws_other_masks_after_a_resume(tmp_path: Path) -> None:
    """The framework's generator starts anew, so its seed must not be that of the first epochs."""
    _, one = train(tmp_path / "first", Cosine(), stop_after=1)
    recipe = replace(one.recipe, epochs=4)
    about: dict[str, Any] = {"backend": find("numpy"), "model": "normed", "architecture": NETWORK, "dataset": "tiny"}
    plan = RunPlan(**about, recipe=recipe, seed=3)
    resumed = RunPlan(**about, recipe=recipe, seed=3, resumed=one)
    assert plan.session.seed != resumed.session.seed


@pytest.mark.parametrize("fault", ["raise", "segfault"])
def test_a_save_that_fails_ends_in_a_record_and_leaves_no_checkpoint(tmp_path: Path, fault: str) -> None:
    place = tmp_path / "checkpoints" / "one"
    with registered(save=fault) as fake:
        record, events = run(fake, tmp_path / "run", save_to=place)
    assert record.status == "ok", "what comes after the record cannot cost it"
    (trouble,) = (event.text for event in events if isinstance(event, Trouble))
    assert trouble.startswith("no checkpoint was kept: ")
    assert ("asked to fail in save" if fault == "raise" else "SIGSEGV") in trouble
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert list(place.parent.iterdir()) == []


def test_a_checkpoint_that_storage_refuses_costs_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.checkpoints.writing.publish", refuse)
    place = tmp_path / "checkpoints" / "one"
    record, events = run(find("numpy"), tmp_path / "run", save_to=place)
    assert record.status == "ok"
    assert record.test_accuracy is not None
    (trouble,) = (event.text for event in events if isinstance(event, Trouble))
    assert "no space left" in trouble
    assert list(place.parent.iterdir()) == []


def test_a_run_saves_unless_it_is_told_not_to(tmp_path: Path) -> None:
    words = "run --backend numpy --model mlp --dataset digits --limit-train 64 --limit-test 20 --epochs 2 --quiet --out"
    assert harness(*words.split(), str(tmp_path / "a"), "--no-save", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert harness(*words.split(), str(tmp_path / "b"), "--stop-after", "1", cwd=tmp_path).returncode == 0
    (place,) = (tmp_path / "b" / "checkpoints").iterdir()
    assert sorted(path.name for path in place.iterdir()) == [
        "architecture.yaml", "checkpoint.json", "model.safetensors", "native", "optimizer.safetensors", "recipe.yaml",
    ]  # fmt: skip
    resume = ["run", "--resume", str(place), "--quiet", "--out", str(tmp_path / "b")]
    assert_one_line(harness(*resume, "--seed", "1"), "--seed and --resume were both given")
    assert_one_line(harness(*resume, "--epochs", "1"), "1 of 1 epochs are done: --epochs asks for more")
    assert_one_line(harness(*resume, "--stop-after", "1"), "--stop-after must be from 2 to 2, got 1")
    done = harness(*resume, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = Record.from_json(done.stdout)
    assert record.resumed_from == place.name
    assert [epoch.epoch for epoch in record.epochs] == [2]


def test_a_run_needs_a_model_or_a_checkpoint() -> None:
    assert_one_line(harness("run"), "--backend is missing", "--resume")
    assert_one_line(harness("run", "--backend", "numpy"), "--model is missing", "--resume")


def test_a_run_killed_while_it_saves_leaves_no_checkpoint(tmp_path: Path) -> None:
    """SIGKILL of the harness while the framework writes: what lies there is no checkpoint, and is told from one."""
    code = """
import sys, pathlib
from tests.fakes import registered
from tests.harness.plans import run
with registered(save="hang") as fake:
    run(fake, pathlib.Path(sys.argv[1], "run"), save_to=pathlib.Path(sys.argv[1], "checkpoints", "one"))
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    try:
        log = tmp_path / "run" / "worker.log"
        end = time.monotonic() + 60
        while not (log.exists() and (tmp_path / "checkpoints").exists()):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    (left,) = (tmp_path / "checkpoints").iterdir()
    assert left.name == ".tmp-one"
    with pytest.raises(RequestError, match="no such folder"):
        read_checkpoint(tmp_path / "checkpoints" / "one")
