"""From a plan to a job: what the worker needs lies in folders, and its fingerprints are known."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.datasets import Dataset
from harness.inputs.augmented_epochs import augmented_epochs
from harness.inputs.prepare import PreparedData, run_inputs, training_sha256
from harness.planning.plan import RunPlan
from harness.planning.resuming import check_continues
from harness.planning.trainable import prepared_data, trained_samples
from harness.running.events import Listener, Sized
from harness.running.recording import RunNotes
from harness.worker.job import TrainingJob
from harness.worker.reports import Phase


@contextmanager
def prepared(
    plan: RunPlan, dataset: Dataset, folder: Path, notes: RunNotes, listen: Listener, *, keep: bool
) -> Iterator[tuple[TrainingJob, PreparedData]]:
    """The job of a run, its inputs in ``folder``, and the data; what was learnt on the way goes into ``notes``.

    Raises RequestError where a checkpoint cannot be continued so, StoreError where the storage refuses.
    """
    listen(Phase(phase="prepare"))
    data = prepared_data(plan, dataset)
    listen(Sized(train_samples=data.train_samples))
    if plan.resumed:
        check_continues(plan.resumed, plan.recipe, data=data.fingerprint, samples=data.train_samples)
    given = run_inputs(
        plan.architecture,
        plan.recipe,
        seed=plan.seed,
        samples=data.train_samples,
        epochs=plan.epochs,
        resumed=plan.resumed,
    )
    given.write(folder)
    training = training_sha256(
        plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs, resumed=plan.resumed
    )
    notes.fingerprints = given.fingerprints().model_copy(update={"data": data.fingerprint, "training": training})
    notes.train_samples, notes.test_samples = data.train_samples, data.test_samples
    notes.evaluated_samples = data.validation_samples or data.test_samples
    job = TrainingJob(
        spec=plan.session,
        data=data.folder,
        inputs=folder.absolute(),
        start_epoch=plan.epochs.start,
        epochs=plan.epochs.stop,
        batch_size=plan.recipe.batch_size,
        preprocessing=plan.recipe.preprocessing,
        patience=plan.recipe.patience,
        keep=keep,
    )
    with _augmented(plan, dataset, data, notes, listen) as augmented:
        yield replace(job, augmented=augmented), data


@contextmanager
def _augmented(
    plan: RunPlan, dataset: Dataset, data: PreparedData, notes: RunNotes, listen: Listener
) -> Iterator[Path | None]:
    """The folder of the run's augmented epochs, made where they are missing; None for a recipe that has none."""
    augmentation, validation = plan.recipe.augmentation, plan.recipe.validation
    if not augmentation.active:
        yield None
        return

    def progress(done: int, of: int) -> None:
        listen(Phase(phase=f"augmented {done} of {of} epochs"))

    progress(0, len(plan.epochs))
    start = time.monotonic()
    with augmented_epochs(
        dataset.train_images[trained_samples(plan, dataset)],
        augmentation,
        dataset_sha256=f"{dataset.sha256}, {validation} for validation" if validation else dataset.sha256,
        seed=plan.seed,
        epochs=plan.epochs,
        progress=progress,
    ) as augmented:
        notes.augment_s = time.monotonic() - start
        both = data.fingerprint + augmented.fingerprint
        fingerprint = hashlib.sha256(both.encode()).hexdigest()
        notes.fingerprints = notes.fingerprints.model_copy(update={"data": fingerprint})
        yield augmented.folder
