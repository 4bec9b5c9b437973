"""Level 6: the road that runs take, the worker's own training, against a loop of its own in NumPy float64.

The levels before it open a session, ask one thing and copy every array through a pipe. A run does more: it warms up and
takes that back, hands over other images for every epoch, evaluates between epochs and trains on, in batches of two
sizes, and is resumed. What drops out is given. A mistake in what a session remembers shows here alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import Masks, Observation, draw_masks
from harness.conformance.judge import Candidate, Tally, measure
from harness.conformance.outcome import CheckOutcome
from harness.inputs.prepare import RunInputs, run_inputs
from harness.worker.evaluation import loss_and_accuracy
from harness.worker.job import TrainingJob, epoch_file
from harness.worker.reports import EpochReport, Event
from specs import layers as L
from specs.architecture import Architecture
from specs.optimizers import SGD
from specs.recipe import Recipe
from specs.schedule import Cosine

SAMPLES, EPOCHS, RESUMED_AT = 70, 4, 2
"""Training images, in batches of 16 and one of 6; the second half of the epochs is a run that was resumed."""

TEST_SAMPLES = 2100
"""They are evaluated in two parts of a thousand and a smaller one."""

# Smooth throughout: float32 has no kink to fall to the other side of.
NETWORK = Architecture(
    name="loop",
    input=(1, 8, 8),
    classes=5,
    layers=(
        L.Conv2d(out_channels=4, kernel_size=(3, 3), bias=False),
        L.BatchNorm2d(),
        L.GELU(),
        L.AvgPool2d(kernel_size=(2, 2)),
        L.Dropout(p=0.3),
        L.Flatten(),
        L.Linear(out_features=5),
    ),
)
RECIPE = Recipe(
    name="loop",
    epochs=EPOCHS,
    batch_size=16,
    optimizer=SGD(learning_rate=0.1, momentum=0.9),
    learning_rate_schedule=Cosine(warmup_epochs=0.5),
)


class LoopRuns:
    """The data, and what the reference makes of them, shared by all backends."""

    def judge(self, candidate: Candidate, precision: str) -> list[CheckOutcome]:
        """Quantities: losses of steps, evaluation after epochs and at the end, parameters with slots, step count."""
        tally = Tally()
        with tally.attempt(RECIPE.name), TemporaryDirectory() as folder:
            observed = self._observed(candidate, Path(folder), precision)
            for quantity, wanted in self._reference.items():
                tally.add(quantity, measure(RECIPE.name, quantity, observed[quantity], wanted, precision))
        return tally.outcomes("loop", "training and resumption", precision)

    @cached_property
    def _inputs(self) -> RunInputs:
        return run_inputs(NETWORK, RECIPE, seed=0, samples=SAMPLES)

    @cached_property
    def _data(self) -> dict[str, NDArray[Any]]:
        """Training pixels of each epoch uint8[EPOCHS, N, 1, 8, 8], test images float32, and int64 labels of both."""
        generator = np.random.default_rng(6)
        shape = NETWORK.input
        return {
            "pixels": generator.integers(0, 256, (EPOCHS, SAMPLES, *shape), np.uint8),
            "train_labels": generator.integers(0, NETWORK.classes, SAMPLES),
            "test_images": generator.random((TEST_SAMPLES, *shape), np.float32),
            "test_labels": generator.integers(0, NETWORK.classes, TEST_SAMPLES),
        }

    @cached_property
    def _masks(self) -> Masks:
        """bool[EPOCHS, N, *output_shape] of the dropout layer, by the places in an epoch's order."""
        return draw_masks(NETWORK, (EPOCHS, SAMPLES), np.random.default_rng(7))

    @cached_property
    def _reference(self) -> Observation:
        """Step by step, from the documents of the recipe alone."""
        data, inputs = self._data, self._inputs
        session = NumpySession(SessionSpec(architecture=NETWORK, optimizer=RECIPE.optimizer, precision="float64"))
        session.load_parameters(inputs.weights)
        losses: list[float] = []
        evaluated: list[float] = []
        for epoch in range(EPOCHS):
            images = RECIPE.preprocessing.apply(data["pixels"][epoch]).astype(np.float64)
            session.set_training_data(images, data["train_labels"])
            for start in range(0, SAMPLES, RECIPE.batch_size):
                batch = inputs.order[epoch, start : start + RECIPE.batch_size].astype(np.int64)
                rate = inputs.learning_rates[len(losses) : len(losses) + 1]
                masks = {
                    name: mask[epoch, np.newaxis, start : start + len(batch)] for name, mask in self._masks.items()
                }
                losses.extend(session.train_steps(batch[np.newaxis], rate, dropout_masks=masks))
            logits = session.predict(data["test_images"].astype(np.float64))
            evaluated.append(loss_and_accuracy(logits, data["test_labels"])[0])
        return _observation(losses, evaluated, logits, session.parameters(), session.optimizer_state(), np.float64)

    def _observed(self, candidate: Candidate, folder: Path, precision: str) -> Observation:
        """The first half of the epochs as one run, the second as another that goes on with what the first kept."""
        self._write(folder)
        job = TrainingJob(
            spec=SessionSpec(architecture=NETWORK, optimizer=RECIPE.optimizer, precision=precision),
            data=folder,
            inputs=folder / "begun",
            epochs=RESUMED_AT,
            batch_size=RECIPE.batch_size,
            augmented=folder,
            preprocessing=RECIPE.preprocessing,
            keep=True,
        )
        evaluated: list[float] = []

        def hear(event: Event) -> None:
            if isinstance(event, EpochReport) and event.test_loss is not None:
                evaluated.append(event.test_loss)

        self._write_inputs(self._inputs, job.inputs)
        first, kept = candidate.train(job, hear)
        resumed = replace(job, inputs=folder / "resumed", start_epoch=RESUMED_AT, epochs=EPOCHS)
        kept_inputs = replace(self._inputs, weights=kept.parameters, optimizer_state=kept.optimizer_state)
        self._write_inputs(kept_inputs, resumed.inputs)
        last, trained = candidate.train(resumed, hear)
        losses = [*first.losses, *last.losses]
        dtype = job.spec.dtype
        return _observation(losses, evaluated, last.logits, trained.parameters, trained.optimizer_state, dtype)

    def _write_inputs(self, inputs: RunInputs, folder: Path) -> None:
        inputs.write(folder)
        np.savez(folder / "dropout_masks.npz", **self._masks)  # type: ignore[arg-type]

    def _write(self, folder: Path) -> None:
        for name, array in self._data.items():
            if name != "pixels":
                np.save(folder / f"{name}.npy", array)
        # What lies beside the images of the epochs, and is trained on only where those are ignored.
        np.save(folder / "train_images.npy", np.zeros((SAMPLES, *NETWORK.input), np.float32))
        for epoch, pixels in enumerate(self._data["pixels"]):
            np.save(epoch_file(folder, epoch), pixels)


def _observation(
    losses: list[float], evaluated: list[float], logits: NDArray[Any], parameters: Arrays, state: Arrays, dtype: Any
) -> Observation:
    steps = {f"step {number}": np.asarray(loss, dtype) for number, loss in enumerate(losses, start=1)}
    epochs = {f"loss after epoch {number}": np.asarray(loss, dtype) for number, loss in enumerate(evaluated, start=1)}
    return {
        "losses": steps,
        "evaluation": {**epochs, "logits": logits.astype(dtype)},
        "parameters": {**parameters, **{name: slot for name, slot in state.items() if name != "step"}},
        "step count": {"step": state["step"]},
    }
