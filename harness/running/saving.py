"""From a finished run to its checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays
from harness.checkpoints import Manifest, check_arrays, gathered, write_checkpoint
from harness.datasets import NAMES
from harness.planning.plan import RunPlan
from harness.processes.launcher import WorkerFailed
from harness.worker.training import TrainingResult
from results.files import StoreError
from results.record import Fingerprints, Record, RunError, bounded


@contextmanager
def gathering(place: Path | None) -> Iterator[Path | None]:
    """The folder in which a run's checkpoint is gathered; None for a run that keeps none."""
    if place is None:
        yield None
        return
    with gathered(place) as partial:
        yield partial.absolute()


def save(
    folder: Path,
    plan: RunPlan,
    record: Record,
    result: TrainingResult,
    *,
    fingerprints: Fingerprints,
    images: NDArray[np.uint8],
) -> None:
    """Write the checkpoint of a good run into ``folder``, with the fingerprints of the whole training up to here.

    ``images`` are the training images, uint8[N, C, H, W].

    Raises StoreError, and WorkerFailed where what the worker sent is no state of this network and optimizer.
    """
    from harness.inference.framing import framing_of

    parameters, state = (_named(prefix, result.arrays) for prefix in ("parameter:", "optimizer:"))
    try:
        check_arrays(plan.architecture, plan.recipe.optimizer, plan.precision, parameters, state)
    except ValueError as error:
        raise WorkerFailed("failed", f"broken state from the worker: {error}", kind="ProtocolError") from None
    manifest = Manifest(
        run_id=record.run_id,
        backend=record.backend,
        framework_version=record.framework_version,
        dataset=plan.dataset,
        dataset_from_here=None
        if plan.dataset in NAMES
        else os.path.relpath(Path(plan.dataset).resolve(), folder.resolve()),
        limit_train=plan.limit_train,
        limit_test=plan.limit_test,
        seed=plan.seed,
        epochs=plan.epochs.stop,
        precision=plan.precision,
        fingerprints=fingerprints,
        framing=framing_of(images),
        test_accuracy=record.test_accuracy,
        test_loss=record.test_loss,
    )
    write_checkpoint(
        folder,
        manifest=manifest,
        architecture=plan.architecture,
        recipe=plan.recipe,
        parameters=parameters,
        optimizer_state=state,
    )


def unsaved(record: Record, error: StoreError) -> Record:
    """The record of a run that trained well and whose checkpoint the storage would not take."""
    advice = "Free some space and run it again, or run it with --no-save."
    failure = RunError(kind="checkpoint", message=bounded(str(error)), advice=advice)
    return record.model_copy(update={"status": "failed", "error": failure})


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
