"""A validation part: kept from training, evaluated after every epoch in place of the test part, ends it in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.numpy.session import NumpySession
from backends.registry import find
from harness.checkpoints import read_checkpoint
from harness.inputs.prepare import divided, prepare_data, run_inputs
from harness.planning.resuming import check_continues
from harness.running.run import execute
from harness.worker import evaluation
from harness.worker.job import Labelled, TrainingJob
from harness.worker.training import train
from results.record import Record
from specs.augmentation import Augmentation
from specs.errors import RequestError
from specs.recipe import Preprocessing
from tests.harness.plans import dataset, plan


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(folder: Path, *, epochs: int, seed: int = 0, save_to: Path | None = None, **recipe: Any) -> Record:
    planned = plan(find("numpy"), epochs=epochs, seed=seed)
    planned = replace(planned, recipe=replace(planned.recipe, **recipe))
    folder.mkdir()
    return execute(planned, dataset(), folder, "run-1", lambda _: None, keep=lambda _: None, save_to=save_to)


def test_the_parts_are_the_training_samples_divided_alike_for_every_seed(tmp_path: Path) -> None:
    data = dataset()
    prepared = prepare_data(data, Preprocessing(), validation=0.2)
    trained, held_out = (np.load(prepared.folder / f"{part}_images.npy") for part in ("train", "validation"))
    assert (len(trained), len(held_out)) == (prepared.train_samples, prepared.validation_samples) == (40, 10)
    whole = Preprocessing().apply(data.train_images)
    places = divided(50, 0.2)
    np.testing.assert_array_equal(np.sort(np.concatenate(places)), np.arange(50))  # type: ignore[arg-type]
    np.testing.assert_array_equal(trained, whole[places[0]])
    np.testing.assert_array_equal(held_out, whole[places[1]])
    assert prepared.fingerprint != prepare_data(data, Preprocessing()).fingerprint
    first, second = (run(tmp_path / str(seed), epochs=1, seed=seed, validation=0.2) for seed in (0, 1))
    assert first.fingerprints.data == second.fingerprints.data == prepared.fingerprint
    assert first.identity == second.identity


def test_too_small_a_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"a share of 0\.001 of 50 training samples leaves a part empty"):
        run(tmp_path / "run", epochs=1, validation=0.001)


def test_the_record_has_validation_curves_and_the_test_part_once(tmp_path: Path) -> None:
    record = run(tmp_path / "run", epochs=3, validation=0.2)
    assert record.status == "ok", record.error
    assert [epoch.validation_loss is not None for epoch in record.epochs] == [True] * 3
    assert all(epoch.validation_accuracy is not None for epoch in record.epochs)
    assert {(epoch.test_loss, epoch.test_accuracy) for epoch in record.epochs} == {(None, None)}
    assert (record.initial_test_loss, record.train_samples, record.test_samples) == (None, 40, 20)
    assert record.test_loss is not None
    assert record.test_accuracy == np.trace(record.confusion_matrix) / 20  # type: ignore[arg-type]
    assert set(record.time_to_accuracy.values()) == {None}
    assert Record.from_json(record.to_json()) == record


def test_the_test_part_is_seen_once_after_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(find("numpy"), epochs=3)
    data = prepare_data(dataset(), Preprocessing(), validation=0.2)
    run_inputs(planned.architecture, planned.recipe, seed=0, samples=40).write(tmp_path / "inputs")
    job = TrainingJob(spec=planned.session, data=data.folder, inputs=tmp_path / "inputs", epochs=3, batch_size=8)
    seen: list[int] = []

    def predict(session: NumpySession, images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return np.zeros((len(images), 3))

    monkeypatch.setattr(NumpySession, "predict", predict)
    report = train(find("numpy").create(), job, emit=lambda _: None)
    assert seen == [10, 10, 10, 10, 20]  # before the first epoch and after each; then the test part
    assert report.logits.shape == (20, 3)


def test_augmented_images_are_those_that_are_trained_on(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", epochs=2, validation=0.2)
    varied = run(tmp_path / "varied", epochs=2, validation=0.2, augmentation=Augmentation(crop_padding=1))
    assert varied.status == "ok", varied.error
    assert varied.train_samples == plain.train_samples
    assert varied.fingerprints.data != plain.fingerprints.data


def test_training_ends_when_the_validation_loss_no_longer_falls(tmp_path: Path) -> None:
    record = run(tmp_path / "run", epochs=500, validation=0.2, patience=3, save_to=tmp_path / "kept")
    losses = [epoch.validation_loss for epoch in record.epochs]
    assert 4 <= len(losses) < 500
    assert int(np.argmin(losses)) == len(losses) - 4  # type: ignore[arg-type]
    kept = read_checkpoint(tmp_path / "kept")
    assert kept.manifest.epochs == len(losses)
    check_continues(kept, kept.recipe, data=kept.manifest.fingerprints.data or "", samples=40)


def test_evaluation_is_of_the_part_that_it_is_given() -> None:
    class OfPixels:
        def predict(self, images: np.ndarray) -> np.ndarray:
            return np.eye(3)[images[:, 0, 0, 0].astype(int)] * 100

    part = Labelled(np.array([0.0, 1.0, 2.0, 2.0]).reshape(4, 1, 1, 1), np.array([0, 1, 2, 0]))
    found = evaluation.evaluate(OfPixels(), part, np.dtype(np.float32))  # type: ignore[arg-type]
    assert (found.accuracy, found.loss) == (0.75, 25.0)
