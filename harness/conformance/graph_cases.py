"""Level 2: networks with residuals and branches, judged as single networks are and by five steps of training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import Masks, NetworkCase, Observation, cast, draw_masks, draw_parameters, seeded
from harness.conformance.drawing import distinct
from harness.conformance.drawn_networks import graph
from harness.conformance.judge import told_by_float32
from harness.conformance.kinks import CLEARANCE, DRAWS, margin
from specs.architecture import Architecture
from specs.optimizers import SGD
from specs.shapes import infer

BATCH = 4
SAMPLES = 12
FIRST_CALL = 3
RATES = np.array([0.05, 0.05, 0.05, 0.01, 0.01])

LARGEST_LOSS = 50.0
"""Of a training on its way to infinity every step multiplies the roundings of the one before."""


Batch = tuple[NDArray[np.int64], Masks]
"""Indices of samples, and the masks to train on them with."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphCase(NetworkCase):
    """A network's case, and then as many steps as RATES has, from the same weights, in two calls.

    ``training_images`` float32[SAMPLES, C, H, W], ``training_labels`` int64[SAMPLES]; per step ``batch_indices``
    int64[steps, BATCH] and ``step_masks`` bool[steps, BATCH, *shape] per dropout layer.
    """

    training_images: NDArray[np.float32]
    training_labels: NDArray[np.int64]
    batch_indices: NDArray[np.int64]
    step_masks: Masks

    def spec(self, precision: str) -> SessionSpec:
        """SGD with momentum, whose first step at rate 1 shows the gradients too."""
        return SessionSpec(architecture=self.architecture, optimizer=SGD(momentum=0.9), precision=precision)

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """As of a network; and losses by step, and the parameters after the last step."""
        untouched = session.optimizer_state()
        observed = super().observe(session, dtype)
        session.load_parameters(cast(self.parameters, dtype))
        session.load_optimizer_state(untouched)
        session.set_training_data(self.training_images.astype(dtype), self.training_labels)
        losses: list[float] = []
        for call in (slice(0, FIRST_CALL), slice(FIRST_CALL, None)):
            masks = {name: mask[call] for name, mask in self.step_masks.items()}
            losses.extend(session.train_steps(self.batch_indices[call], RATES[call], dropout_masks=masks or None))
        return {
            **observed,
            "losses": {f"step {step}": np.asarray(loss, dtype) for step, loss in enumerate(losses, start=1)},
            "parameters": session.parameters(),
        }


def graph_cases(count: int) -> tuple[GraphCase, ...]:
    """``count`` different graphs, the same in every process, of those that can be kept clear of kinks."""
    made = (graph_case(architecture) for architecture in distinct("graphs", graph, key=_summary))
    clear = (case for case in made if case is not None)
    return tuple(
        replace(case, name=f"graph {number} of {len(infer(case.architecture))} nodes")
        for number, case in enumerate(islice(clear, count), start=1)
    )


def _summary(architecture: Architecture) -> str:
    return " ".join(node.layer.kind for node in infer(architecture))


def graph_case(architecture: Architecture) -> GraphCase | None:
    """A case all of whose batches the reference passes clear of kinks; None where DRAWS batches in a row do not.

    So it is where a max pooling finds equal values that roundings on the way to it have told apart: which of them wins
    is then for every backend to say. Nor are trainings kept whose loss grows beyond LARGEST_LOSS, nor networks in which
    NumPy's own float32 comes near a tolerance: the gradient of a scale before another norm may be all cancellation.
    """
    name = _summary(architecture)
    generator = seeded(name)
    parameters = draw_parameters(architecture, generator)
    images = generator.standard_normal((SAMPLES, *architecture.input), dtype=np.float32)
    labels = generator.integers(architecture.classes, size=SAMPLES)
    session = NumpySession(SessionSpec(architecture=architecture, optimizer=SGD(momentum=0.9), precision="float64"))
    session.load_parameters(parameters)
    session.set_training_data(images, labels)

    def clear_batch() -> Batch | None:
        for _ in range(DRAWS):
            batch, masks = generator.permutation(SAMPLES)[:BATCH], draw_masks(architecture, (BATCH,), generator)
            if margin(session, architecture, images[batch], dropout_masks=masks) > CLEARANCE:
                return batch, masks
        return None

    drawn: list[Batch] = []
    for rate in (None, *RATES):
        if (found := clear_batch()) is None:
            return None
        drawn.append(found)
        if rate is not None:
            masks = {name: mask[None] for name, mask in found[1].items()}
            (loss,) = session.train_steps(found[0][None], np.array([rate]), dropout_masks=masks)
            if not loss < LARGEST_LOSS:
                return None
    (first, first_masks), *steps = drawn
    case = GraphCase(
        name=name,
        architecture=architecture,
        parameters=parameters,
        images=images[first],
        labels=labels[first],
        dropout_masks=first_masks,
        training_images=images,
        training_labels=labels,
        batch_indices=np.stack([batch for batch, _ in steps]),
        step_masks={name: np.stack([masks[name] for _, masks in steps]) for name in first_masks},
    )
    return case if told_by_float32(case) else None
