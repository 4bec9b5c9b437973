"""Augmented epochs on disk: made once, whole, within bounds of memory and disk, and trained on by the worker."""

from __future__ import annotations

import os
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.contract import SessionSpec
from backends.numpy.adapter import NumpyBackend
from backends.registry import find
from harness.inputs import augmented_epochs as module
from harness.inputs.augmentation import augmented
from harness.inputs.augmented_epochs import AugmentedEpochs, augmented_epochs
from harness.running.run import execute
from harness.worker.job import epoch_file
from results.files import StoreError
from results.record import Record
from specs.augmentation import Augmentation, Erasing
from specs.initializers import initial_parameters
from tests.fakes import registered
from tests.harness.plans import TINY, dataset, plan

RULES = Augmentation(rotation=20, shift=1, erasing=Erasing(probability=0.3))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "framework-harness" / "augmented"


def made(count: int = 50, *, rules: Augmentation = RULES, seed: int = 0, epochs: range = range(2)) -> AugmentedEpochs:
    data = dataset(count)
    with augmented_epochs(
        data.train_images, rules, dataset_sha256=data.sha256, seed=seed, epochs=epochs
    ) as epochs_on_disk:
        return epochs_on_disk


def test_files_hold_the_epochs_and_are_not_made_again(cache: Path) -> None:
    first = made()
    for epoch in range(2):
        expected = np.concatenate(list(augmented(dataset().train_images, RULES, seed=0, epoch=epoch)))
        np.testing.assert_array_equal(np.load(epoch_file(first.folder, epoch)), expected)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert made() == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before
    assert sorted(path.name for path in first.folder.iterdir()) == ["epoch-00000.npy", "epoch-00001.npy"]


def test_progress_is_heard_of_what_is_missing() -> None:
    data, heard = dataset(), []
    for epochs in (2, 5, 5):
        with augmented_epochs(
            data.train_images,
            RULES,
            dataset_sha256=data.sha256,
            seed=0,
            epochs=range(epochs),
            progress=lambda done, of: heard.append((done, of)),
        ):
            heard.append(epochs)
    assert heard == [(1, 2), (2, 2), 2, (1, 3), (2, 3), (3, 3), 5, 5]


def test_more_epochs_add_to_those_that_are_there() -> None:
    two, four = made(), made(epochs=range(4))
    assert two.folder == four.folder
    assert two.fingerprint != four.fingerprint
    assert made(epochs=range(2, 4)).fingerprint not in (two.fingerprint, four.fingerprint)


def test_another_rule_seed_or_data_set_is_another_set() -> None:
    sets = [made(), made(rules=replace(RULES, shift=2)), made(seed=1), made(60)]
    assert len({each.folder for each in sets}) == 4
    assert len({each.fingerprint for each in sets}) == 4


def test_memory_does_not_grow_with_the_number_of_epochs() -> None:
    rules = Augmentation(erasing=Erasing(probability=0.01))

    def peak(epochs: int, seed: int) -> int:
        tracemalloc.start()
        made(100_000, rules=rules, seed=seed, epochs=range(epochs))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1, 0)  # imports
    assert peak(12, 1) < peak(2, 2) + 500_000  # an epoch is 1.6 MB


def test_sets_longest_unused_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = []
    for seed in range(3):
        sets.append(made(seed=seed).folder)
        os.utime(sets[-1], (time.time() - 100 + seed,) * 2)
    made(seed=0)  # used again: now the newest
    size = sum(file.stat().st_size for file in sets[0].iterdir())
    monkeypatch.setattr(module, "MOST_BYTES", 3 * size)
    newest = made(seed=3).folder
    assert [path.exists() for path in (*sets, newest)] == [True, False, True, True]


def test_a_set_in_use_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset()
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    with augmented_epochs(data.train_images, RULES, dataset_sha256=data.sha256, seed=0, epochs=range(2)) as in_use:
        made(seed=1)
        assert epoch_file(in_use.folder, 1).exists()
    made(seed=2)
    assert not in_use.folder.exists()


def test_a_disk_without_room_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(StoreError, match=r"the augmented epochs take 0 MiB in .*: ask for fewer epochs or samples"):
        made()


def test_an_interrupted_epoch_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*args: object, **kwargs: object):
        yield dataset().train_images[:10]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "augmented", torn)
    with pytest.raises(StoreError, match="no space left"):
        made()
    monkeypatch.undo()


def run(folder: Path, rules: Augmentation, *, backend: str = "numpy", samples: int = 50, epochs: int = 3) -> Record:
    base = plan(find(backend), epochs=epochs)
    folder.mkdir(parents=True)
    chosen = replace(base, recipe=replace(base.recipe, augmentation=rules))
    return execute(chosen, dataset(samples), folder, "run-1", lambda event: None, keep=lambda record: None)


def test_the_worker_trains_on_each_epochs_own_images(tmp_path: Path) -> None:
    """The recorded losses are those of the reference, driven by hand over the same epochs."""
    record = run(tmp_path / "run", RULES)
    assert record.status == "ok"
    assert record.curve is not None
    base = plan(find("numpy"), epochs=3)
    backend = NumpyBackend()
    backend.load(threads=1)
    session = backend.open(SessionSpec(architecture=TINY, optimizer=base.recipe.optimizer))
    session.load_parameters(initial_parameters(TINY, base.recipe.initializer, 0))
    from harness.inputs.prepare import batch_order

    losses = []
    for epoch, order in enumerate(batch_order(3, 50, 0)):
        pixels = np.concatenate(list(augmented(dataset().train_images, RULES, seed=0, epoch=epoch)))
        session.set_training_data(base.recipe.preprocessing.apply(pixels), dataset().train_labels)
        for start in range(0, 50, 8):
            batch = order[start : start + 8].astype(np.int64)
            losses += session.train_steps(batch[np.newaxis], np.array([0.001])).tolist()
    np.testing.assert_allclose(record.curve.first, losses, rtol=1e-12)


def test_fingerprints_cover_the_augmentation(tmp_path: Path) -> None:
    plain = run(tmp_path / "a", Augmentation())
    one, again = run(tmp_path / "b", RULES), run(tmp_path / "c", RULES)
    other = run(tmp_path / "d", replace(RULES, shift=2))
    assert one.fingerprints == again.fingerprints
    assert len({each.fingerprints.data for each in (plain, one, other)}) == 3
    assert plain.fingerprints.schedule == one.fingerprints.schedule
    assert (plain.phases.augment_s, plain.phases.place_s) == (None, None)
    assert one.phases.augment_s is not None
    assert one.phases.place_s is not None


def test_the_workers_memory_does_not_grow_with_the_number_of_epochs(tmp_path: Path) -> None:
    """An epoch of 400,000 images takes 26 MB as float32."""
    rules = Augmentation(erasing=Erasing(probability=1e-4))
    peaks = []
    for epochs in (2, 10):
        with registered() as fake:
            base = plan(fake, epochs=epochs, batch_size=50_000)
            folder = tmp_path / str(epochs)
            folder.mkdir()
            chosen = replace(base, recipe=replace(base.recipe, augmentation=rules))
            record = execute(chosen, dataset(400_000), folder, "run-1", lambda event: None, keep=lambda record: None)
        assert record.status == "ok"
        assert record.memory.peak_rss_mb is not None
        peaks.append(record.memory.peak_rss_mb)
    assert peaks[1] < peaks[0] + 20
