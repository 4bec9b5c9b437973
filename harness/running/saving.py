"""From a run that has its record to its checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from harness.checkpoints import NATIVE, CheckpointManifest, check_arrays, gathered, write_checkpoint
from harness.datasets import NAMES, Dataset
from harness.inputs.prepare import PreparedData
from harness.planning.plan import RunPlan
from harness.planning.resuming import training_fingerprints
from harness.processes.launcher import WorkerFailed, WorkerProcess
from results.record import Record


def save(
    worker: WorkerProcess,
    place: Path,
    plan: RunPlan,
    record: Record,
    data: PreparedData,
    dataset: Dataset,
    *,
    timeout_s: float | None,
) -> None:
    """Write what ``worker`` has trained to ``place``, whole or not at all, with the fingerprints of the whole training.

    Raises StoreError, and WorkerFailed where the framework cannot write it or sends what is no state of this network.
    """
    from harness.inference.framing import framing_of

    with gathered(place) as partial:
        state = worker.save(partial.absolute() / NATIVE, timeout_s=timeout_s, stall_s=plan.stall_timeout_s)
        try:
            check_arrays(
                plan.architecture, plan.recipe.optimizer, plan.precision, state.parameters, state.optimizer_state
            )
        except ValueError as error:
            raise WorkerFailed("failed", f"broken state from the worker: {error}", kind="ProtocolError") from None
        manifest = CheckpointManifest(
            run_id=record.run_id,
            backend=record.backend,
            framework_version=record.framework_version,
            dataset=plan.dataset,
            dataset_from_here=None
            if plan.dataset in NAMES
            else os.path.relpath(Path(plan.dataset).resolve(), place.resolve()),
            limit_train=plan.limit_train,
            limit_test=plan.limit_test,
            seed=plan.seed,
            epochs=record.epochs[-1].epoch,
            precision=plan.precision,
            fingerprints=training_fingerprints(plan, data, record.fingerprints, epochs=record.epochs[-1].epoch),
            framing=framing_of(dataset.train_images[: data.train_samples]),
            test_accuracy=record.test_accuracy,
            test_loss=record.test_loss,
        )
        write_checkpoint(
            partial,
            manifest=manifest,
            architecture=plan.architecture,
            recipe=plan.recipe,
            parameters=state.parameters,
            optimizer_state=state.optimizer_state,
        )
