"""What a hunt tries: a network, an optimizer, a batch and the kind of its numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import Masks, NetworkCase, Observation, cast, draw_masks, draw_parameters, seeded
from harness.conformance.graph_cases import LARGEST_LOSS
from harness.conformance.kinks import CLEARANCE, DRAWS, margin
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.layers import BatchNorm, BatchNorm1d, Flatten, GroupNorm, LayerNorm, Linear, MaxPool2d, Rows
from specs.optimizers import Optimizer
from specs.shapes import infer

Values = Literal["normal", "constant", "huge", "denormal", "nan", "infinite"]
"""What the images hold: N(0, 1); one number everywhere; N(0, 1) times HUGE or DENORMAL; one NaN, one infinity."""

HUGE = 1e15  # its square is a float32 still, the square of a sum of a hundred such too
DENORMAL = 1e-39

RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that a trial's arrays are drawn from. ``steps`` of training follow where the numbers are finite."""

    architecture: Architecture
    optimizer: Optimizer
    values: Values = "normal"
    batch: int = 4
    steps: int = 5

    @property
    def key(self) -> str:
        """Its content, whatever it is called."""
        plain = to_plain(self)
        del plain["architecture"]["name"]
        return json.dumps(plain)

    @property
    def finite(self) -> bool:
        """Whether every number that goes in is."""
        return self.values not in ("nan", "infinite")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialCase(NetworkCase):
    """A trial with its arrays: the first batch as in ``NetworkCase``, and one more for every step.

    ``step_images`` float32[steps * batch, C, H, W], ``step_labels`` int64, in the order of training; ``step_masks``
    bool[steps, batch, *shape] per dropout layer. ``gradients_tell``: whether the order of a sum cannot decide where a
    gradient goes, nor how a formula is written.
    """

    optimizer: Optimizer
    step_images: NDArray[np.float32]
    step_labels: NDArray[np.int64]
    step_masks: Masks
    gradients_tell: bool

    def spec(self, precision: str) -> SessionSpec:
        """With the trial's own optimizer."""
        return SessionSpec(architecture=self.architecture, optimizer=self.optimizer, precision=precision)

    @property
    def steps(self) -> int:
        """How many steps are trained."""
        return len(self.step_labels) // len(self.labels)

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """Quantities: logits and loss; gradients where they tell; losses by step and parameters after training."""
        session.load_parameters(cast(self.parameters, dtype))
        observed: Observation = {"logits": {"logits": session.predict(self.images.astype(dtype))}}
        masks = self.dropout_masks or None
        loss, gradients = session.loss_and_gradients(self.images.astype(dtype), self.labels, dropout_masks=masks)
        observed["loss"] = {"loss": np.asarray(loss, dtype)}
        if not self.gradients_tell:
            return observed
        observed["gradients"] = gradients
        if self.steps:
            session.load_parameters(cast(self.parameters, dtype))  # running statistics have moved
            session.set_training_data(self.step_images.astype(dtype), self.step_labels)
            batches = np.arange(len(self.step_labels), dtype=np.int64).reshape(self.steps, -1)
            rates = np.full(self.steps, RATE)
            losses = session.train_steps(batches, rates, dropout_masks=self.step_masks or None)
            observed["losses"] = {f"step {n}": np.asarray(loss, dtype) for n, loss in enumerate(losses, start=1)}
            observed["parameters"] = session.parameters()
        return observed


def case_of(trial: Trial) -> TrialCase | None:
    """The trial with its arrays; None where no batches clear of kinks are found in DRAWS draws each, or where training
    is on its way to infinity.
    """
    generator = seeded(trial.key)
    architecture = trial.architecture
    parameters = draw_parameters(architecture, generator)
    reference = NumpySession(SessionSpec(architecture=architecture, optimizer=trial.optimizer, precision="float64"))
    reference.load_parameters(parameters)
    normal = trial.values == "normal"
    steps = trial.steps if trial.finite else 0
    drawn: list[tuple[NDArray[np.float32], NDArray[np.int64], Masks]] = []
    for step in range(steps + 1):
        for _ in range(DRAWS if normal else 1):
            images = _images(trial, generator)
            labels = generator.integers(architecture.classes, size=trial.batch)
            masks = draw_masks(architecture, (trial.batch,), generator)
            if not normal or margin(reference, architecture, images, dropout_masks=masks) > CLEARANCE:
                break
        else:
            return None
        drawn.append((images, labels, masks))
        if normal and step:
            reference.set_training_data(images.astype(np.float64), labels)
            given = {name: mask[None] for name, mask in masks.items()} or None
            (loss,) = reference.train_steps(np.arange(trial.batch)[None], np.array([RATE]), dropout_masks=given)
            if not loss < LARGEST_LOSS:
                return None
    (images, labels, masks), *later = drawn
    return TrialCase(
        name=trial.key,
        architecture=architecture,
        parameters=parameters,
        images=images,
        labels=labels,
        dropout_masks=masks,
        optimizer=trial.optimizer,
        step_images=np.concatenate([batch[0] for batch in later]) if later else images[:0],
        step_labels=np.concatenate([batch[1] for batch in later]) if later else labels[:0],
        step_masks={name: np.stack([batch[2][name] for batch in later]) for name in masks} if later else {},
        gradients_tell=normal or _gradients_tell(trial),
    )


def _gradients_tell(trial: Trial) -> bool:
    """Of special values. Equal maxima, as of a constant image, may be broken in any way by rounding.

    A derivative of 0 times NaN is 0 or NaN by how it is written, so that NaN tells in a layer alone.
    """
    layers = [node.layer for node in infer(trial.architecture)]
    if any(isinstance(layer, MaxPool2d) for layer in layers):
        return False
    return trial.finite or sum(not isinstance(layer, Flatten | Rows | Linear) for layer in layers) <= 1


def least_batch(architecture: Architecture) -> int:
    """Batch norm on features takes as many values as the batch has: of one there is no variance, of two only signs."""
    return 4 if any(isinstance(node.layer, BatchNorm1d) for node in infer(architecture)) else 1


def may_be_even(architecture: Architecture) -> bool:
    """Whether images may hardly vary. Of such a norm leaves their rounding and nothing else, in float64 too."""
    return not any(isinstance(node.layer, BatchNorm | LayerNorm | GroupNorm) for node in infer(architecture))


def _images(trial: Trial, generator: np.random.Generator) -> NDArray[np.float32]:
    shape = (trial.batch, *trial.architecture.input)
    images = generator.standard_normal(shape, dtype=np.float32)
    match trial.values:
        case "constant":
            images[:] = images.flat[0]
        case "huge":
            images *= np.float32(HUGE)
        case "denormal":
            images *= np.float32(DENORMAL)
        case "nan":
            images.flat[generator.integers(images.size)] = np.nan
        case "infinite":
            images.flat[generator.integers(images.size)] = np.inf
    return images
