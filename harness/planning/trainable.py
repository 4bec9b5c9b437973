"""What no framework can train: told while planning, alike for all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.datasets import Dataset
from harness.inputs.prepare import PreparedData, divided, limit, prepare_data, training_sha256
from harness.planning.notices import notices
from harness.planning.plan import EXPECTED_DIGITS, RunPlan, check_fit
from harness.worker.batches import Batches
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.shapes import infer

NORMALISED_OVER_THE_BATCH = ("batch_norm1d", "batch_norm2d")


def prepared_data(plan: RunPlan, dataset: Dataset) -> PreparedData:
    """The arrays that a plan trains on and is judged by."""
    return prepare_data(
        dataset,
        plan.recipe.preprocessing,
        limit_train=plan.limit_train,
        limit_test=plan.limit_test,
        validation=plan.recipe.validation,
    )


def trained_samples(plan: RunPlan, dataset: Dataset) -> NDArray[np.int64] | slice:
    """Which of the training samples a plan trains on. Raises RequestError for a number that cannot be had."""
    samples = limit("limit-train", plan.limit_train, len(dataset.train_labels))
    return divided(samples, plan.recipe.validation)[0]


def check_plan(plan: RunPlan, dataset: Dataset) -> list[str]:
    """What to tell of a run on ``dataset``. Raises RequestError where the network cannot be trained on it as asked."""
    samples = len(dataset.train_labels[trained_samples(plan, dataset)])
    limit("limit-test", plan.limit_test, len(dataset.test_labels))
    notes = notices(plan.architecture, plan.recipe.optimizer)
    notes += check_fit(plan.architecture, dataset, limit_train=plan.limit_train)
    check_batches(plan.architecture, samples=samples, batch_size=plan.recipe.batch_size)
    return notes


def check_batches(architecture: Architecture, *, samples: int, batch_size: int) -> None:
    """Raise RequestError where some batch gives batch norm a single value per channel.

    Its variance is then 0 and the unbiased one 0 / 0: some frameworks refuse, one trains on to NaN.
    """
    batches = Batches(samples, batch_size)
    if batches.sizes[-1] > 1:
        return
    for node in infer(architecture):
        if node.layer.kind in NORMALISED_OVER_THE_BATCH and max(node.input_shape[1:], default=1) == 1:
            last = batches.full and batches.rest
            raise RequestError(
                f"model {architecture.name!r}: {node.name} gets one value per channel in "
                f"{'the last batch' if last else 'a batch'} of 1 sample ({samples} training samples in batches of "
                f"{batch_size}), which cannot be normalised; choose another --batch-size"
                + (f" or --limit-train {samples - 1}" if last else "")
            )


def check_expected(plan: RunPlan, dataset: Dataset, expected: str | None) -> None:
    """Raise RequestError unless the training is the one that a recorded command was of."""
    if expected is None:
        return
    data = prepared_data(plan, dataset)
    training = training_sha256(
        plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs, resumed=plan.resumed
    )
    if not training.startswith(expected):
        changed = " or ".join(plan.own_files) or "a bundled file"
        raise RequestError(
            f"--expect {expected}: {changed} has changed since this command was recorded (now "
            f"{training[:EXPECTED_DIGITS]}); without --expect it trains what is there now"
        )
