"""Continuing a training from a checkpoint: what defines it comes from there, and must be what it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.checkpoints import Checkpoint
from harness.inputs.prepare import PreparedData, batch_order, recipe_rates, schedule_sha256, training_sha256
from harness.planning.plan import RunPlan
from harness.worker.batches import Batches
from results.record import Fingerprints
from specs.errors import RequestError
from specs.recipe import Recipe


def resumed_recipe(checkpoint: Checkpoint, *, dataset: str | None, epochs: int | None) -> Recipe:
    """The checkpoint's recipe, for as many epochs as the user wants in all, on the data set where it is now.

    Raises RequestError where nothing is left to do.
    """
    total = checkpoint.recipe.epochs if epochs is None else epochs
    if total <= checkpoint.manifest.epochs:
        raise RequestError(
            f"{checkpoint.folder}: {checkpoint.manifest.epochs} of {total} epochs are done: "
            "--epochs asks for more, the ones done included"
        )
    return replace(checkpoint.recipe, dataset=dataset or checkpoint.dataset(), epochs=total)


def training_fingerprints(plan: RunPlan, data: PreparedData, run: Fingerprints, *, epochs: int) -> Fingerprints:
    """The fingerprints of all that was trained, ``epochs`` in all, when a run has ended, from those of the run itself.

    They differ for a run that resumed, whose training began with the first one's weights and steps, and for one that
    ended early.
    """
    if plan.resumed is None and epochs == plan.epochs.stop:
        return run.model_copy(update={"data": data.fingerprint})
    order = batch_order(epochs, data.train_samples, plan.seed)
    rates = recipe_rates(plan.recipe, data.train_samples)
    done = range(epochs)
    return Fingerprints(
        architecture=run.architecture,
        data=data.fingerprint,
        schedule=schedule_sha256(plan.recipe, order, rates, seed=plan.seed, epochs=done),
        initial_weights=(plan.resumed.manifest.fingerprints if plan.resumed else run).initial_weights,
        training=training_sha256(plan.architecture, plan.recipe, data=data.fingerprint, epochs=done),
    )


def check_continues(checkpoint: Checkpoint, recipe: Recipe, *, data: str, samples: int) -> None:
    """Raise RequestError unless ``recipe`` on this data begins with the very steps that the checkpoint has done.

    ``data`` is the fingerprint of the prepared data.
    """
    manifest = checkpoint.manifest
    if data != manifest.fingerprints.data:
        raise RequestError(
            f"{checkpoint.folder} was not trained on this data: dataset {recipe.dataset!r} has another fingerprint"
        )
    done = manifest.epochs * Batches(samples, recipe.batch_size).steps
    rates = recipe_rates(recipe, samples)
    if not np.array_equal(rates[:done], recipe_rates(checkpoint.recipe, samples)[:done]):
        raise RequestError(
            f"--epochs {recipe.epochs}: over so many epochs the {recipe.learning_rate_schedule.kind} schedule gives "
            f"other learning rates than the first {manifest.epochs} were trained with; resume without --epochs, "
            f"for the {checkpoint.recipe.epochs} that were planned"
        )
    order = batch_order(manifest.epochs, samples, manifest.seed)
    done_before = schedule_sha256(recipe, order, rates, seed=manifest.seed, epochs=range(manifest.epochs))
    if done_before != manifest.fingerprints.schedule:
        raise RequestError(
            f"{checkpoint.folder}: seed and recipe give other batches here than it was trained with: "
            "another version of NumPy drew them"
        )
