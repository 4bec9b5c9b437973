"""What a check compares: a case opens a session, drives it, and returns what it observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from specs.architecture import Architecture
from specs.layers import Dropout, Layer
from specs.nodes import Shape
from specs.optimizers import SGD, Optimizer
from specs.shapes import buffer_shapes, infer, parameter_shapes

Observation = dict[str, Arrays]
"""Quantity ("logits", "gradients", ...) to arrays by name."""

Masks = dict[str, NDArray[np.bool_]]


class ConformanceCase(Protocol):
    """Fixed inputs, and what to do with them. All arrays a case holds are float32: every precision sees the same."""

    @property
    def name(self) -> str:
        """Unique among all cases of the suite; says which options are at work."""

    def spec(self, precision: str) -> SessionSpec:
        """What to open a session with; in what manner is for the opener to say."""

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """Drive a fresh session; arrays are handed to it in ``dtype``."""

    @property
    def yardsticks(self) -> tuple[ConformanceCase, ...]:
        """The cases whose largest error in NumPy's float32 is taken for float32's own: as a rule this one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkCase:
    """One network, one batch: weights in and out, forward in evaluation, forward and backward, one step of training.

    The step is there because an adapter may train in another way than it hands out gradients (a compiled step, say).

    ``images`` float32[n, C, H, W], ``labels`` int64[n], ``dropout_masks`` bool[n, *shape] per dropout layer.
    ``evaluated_after``: whether logits are asked for after the step, too.
    """

    name: str
    architecture: Architecture
    parameters: Arrays
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    dropout_masks: Masks = field(default_factory=dict)
    label_smoothing: float = 0.0
    evaluated_after: bool = False

    def spec(self, precision: str) -> SessionSpec:
        """Plain SGD, whose step at rate 1 shows the gradients it took."""
        return SessionSpec(
            architecture=self.architecture,
            optimizer=SGD(),
            label_smoothing=self.label_smoothing,
            precision=precision,
        )

    @property
    def yardsticks(self) -> tuple[ConformanceCase, ...]:
        """This case."""
        return (self,)

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """Quantities: round trip, logits, loss, gradients, step, running statistics where there are any; evaluation.

        "step" is what two steps, at rates 0 and 1, take off the parameters; all passes in training move the running
        statistics. Logits are asked for twice, gradients of the samples in another order then: nothing may be left
        of one call in the next, and a framework may do it otherwise there (see MindSpore's ``ops.pad``).
        """
        images = self.images.astype(dtype)
        session.load_parameters(cast(self.parameters, dtype))
        round_trip = session.parameters()
        logits, again = session.predict(images), session.predict(images)
        masks = dict(self.dropout_masks)
        loss, gradients = session.loss_and_gradients(images, self.labels, dropout_masks=masks or None)
        turned = {name: mask[::-1].copy() for name, mask in masks.items()}
        other_loss, others = session.loss_and_gradients(
            images[::-1].copy(), self.labels[::-1].copy(), dropout_masks=turned or None
        )
        session.set_training_data(images, self.labels)
        batches = np.stack([np.arange(len(images)), np.arange(len(images))[::-1]])
        dropout_masks = {name: np.stack([mask, turned[name]]) for name, mask in masks.items()}
        step_losses = session.train_steps(batches, np.array([0.0, 1.0]), dropout_masks=dropout_masks or None)
        after = session.parameters()
        observed: Observation = {
            "round trip": round_trip,
            "logits": {"logits": logits, "logits again": again},
            "loss": {
                "loss": np.asarray(loss, dtype),
                "loss, second call": np.asarray(other_loss, dtype),
                "losses of the steps": step_losses.astype(dtype),
            },
            "gradients": {**gradients, **{f"{name}, second call": array for name, array in others.items()}},
            "step": {name: round_trip[name] - after[name] for name in parameter_shapes(self.architecture)},
        }
        if self.evaluated_after:
            observed["evaluation"] = {"logits after the step": session.predict(images)}
        if estimates := buffer_shapes(self.architecture).keys():
            observed["running statistics"] = {name: after[name] for name in estimates}
        return observed


def network_case(
    name: str,
    architecture: Architecture,
    *,
    batch: int,
    images: NDArray[np.float32] | None = None,
    evaluated_after: bool = False,
) -> NetworkCase:
    """A case whose arrays are drawn from a generator seeded with its name, so that they never depend on other cases."""
    generator = seeded(name)
    if images is None:
        images = generator.standard_normal((batch, *architecture.input), dtype=np.float32)
    return NetworkCase(
        name=name,
        architecture=architecture,
        parameters=draw_parameters(architecture, generator),
        images=images,
        labels=generator.integers(architecture.classes, size=batch),
        dropout_masks=draw_masks(architecture, (batch,), generator),
        evaluated_after=evaluated_after,
    )


def seeded(name: str) -> np.random.Generator:
    """A generator that depends on the name alone."""
    return np.random.default_rng(np.random.SeedSequence(tuple(name.encode())))


def draw_parameters(architecture: Architecture, generator: np.random.Generator) -> Arrays:
    """float32 parameters and buffers that keep activations near 1 and leave nothing at its default."""
    parameters: Arrays = {}
    for layer in infer(architecture):
        for name, shape in (layer.parameters | layer.buffers).items():
            parameters[name] = _draw(name.rpartition(".")[2], shape, generator).astype(np.float32)
    return parameters


def _draw(part: str, shape: Shape, generator: np.random.Generator) -> NDArray[np.float64]:
    match part:
        case _ if part.endswith("weight"):
            return generator.normal(0, np.sqrt(1.5 / np.prod(shape[1:])), shape)
        case "gamma" | "running_variance":
            return generator.uniform(0.5, 1.5, shape)
        case "token" | "embedding":
            return generator.normal(0, 0.5, shape)
        case (
            "bias" | "beta" | "running_mean" | "recurrent_bias" | "query_bias" | "key_bias" | "value_bias" | "out_bias"
        ):
            return generator.normal(0, 0.3, shape)
    raise KeyError(part)


def draw_masks(architecture: Architecture, leading: tuple[int, ...], generator: np.random.Generator) -> Masks:
    """A mask bool[*leading, *shape] for every dropout layer, True (keep) with probability 1 - p."""
    return {
        shaped.name: generator.random((*leading, *shaped.output_shape)) >= shaped.layer.p
        for shaped in infer(architecture)
        if isinstance(shaped.layer, Dropout)
    }


def cast(arrays: Mapping[str, NDArray[Any]], dtype: np.dtype[Any]) -> Arrays:
    """Copies of the arrays in ``dtype``."""
    return {name: array.astype(dtype) for name, array in arrays.items()}


def described(spec: Layer | Optimizer) -> str:
    """A layer or optimizer with every option that is not at its default: conv2d(out_channels=4, kernel_size=3x2)."""
    options = []
    for option in fields(spec):
        value = getattr(spec, option.name)
        shown = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if value != option.default:
            options.append(f"{option.name}={shown}")
    return f"{spec.kind}({', '.join(options)})" if options else spec.kind
