"""The contract between the harness and a framework: ``Backend`` and ``Session``.

Everything that crosses it is a NumPy array in canonical layout under canonical names (``specs.shapes``): images
[N, C, H, W], convolution weights [O, I, H, W], linear weights [out, in]. Adapters choose inside: memory layout, graph
capture, fused optimizers. A faster way that computes the same is welcome; one that does not is a defect, and the
conformance suite is there to find it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.registry import Manner
from specs.architecture import Architecture
from specs.optimizers import Optimizer

Arrays = dict[str, NDArray[Any]]
"""Canonical name to array."""

PRECISIONS = ("float32", "float64", "bfloat16")


class Unsupported(Exception):
    """The framework cannot compute this (a precision, a device's kernel); the message says what and why.

    Not an error of the user: the run is recorded with status ``unsupported``, a conformance check likewise.
    """


@dataclass(frozen=True, kw_only=True)
class SessionSpec:
    """What a session is opened with.

    ``device`` is "cpu", "cuda" or "cuda:N". ``precision`` is one of PRECISIONS; arrays cross the contract as float64
    when it is "float64", else as float32. ``seed`` seeds the framework's own generator, used for dropout alone.
    ``tuning`` is the manner in which the framework is used. With ``label_smoothing`` e the training loss is the
    cross-entropy against 1 - e + e / classes at the label and e / classes at every other class.
    """

    architecture: Architecture
    optimizer: Optimizer
    label_smoothing: float = 0.0
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    seed: int = 0
    tuning: Manner = "recommended"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in which arrays cross the contract."""
        return crossing_dtype(self.precision)


def crossing_dtype(precision: str) -> np.dtype[Any]:
    """The dtype in which the arrays of a session of this precision cross the contract."""
    return np.dtype(np.float64 if precision == "float64" else np.float32)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a loaded framework says of itself. ``packages`` maps distribution names to versions."""

    framework_version: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    packages: dict[str, str] = field(default_factory=dict)
    build: str = ""


class Predictor(ABC):
    """Something that classifies images: a session, or an exported model that was opened again."""

    @abstractmethod
    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W] in evaluation mode (dropout off, running statistics)."""

    def close(self) -> None:  # noqa: B027 - most frameworks free by garbage collection
        """Give back what it holds."""


class Session(Predictor):
    """One model with its optimizer on one device.

    Until ``load_parameters`` is called the parameters are unspecified. Methods return when their work is done on the
    device, except ``train_steps``, whose losses are read back at its end (so it too has finished).
    """

    @abstractmethod
    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Hand the training data over: images float[N, C, H, W], labels int64[N].

        Batches are gathered from it where the model runs. Called once, or before every epoch whose images differ: the
        data then replaces the earlier, which is given back, and nothing is compiled again.
        """

    def compile(self, batch_size: int, steps: int) -> None:
        """Compile what calls of up to ``steps`` steps of this batch size can use beyond what a single step compiles.

        Called after ``set_training_data``, before the clock of training starts. What is computed does not depend on it.
        """

    @abstractmethod
    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """K optimizer steps; returns the K losses, each the batch mean before its update.

        ``batch_indices`` is int64[K, batch], indices into the training data; ``learning_rates`` is float64[K]. K and
        the batch size are the caller's choice and may change from call to call; the result does not depend on how steps
        are grouped into calls. ``dropout_masks`` maps the name of each dropout layer to bool[K, batch, *output_shape]
        (True keeps), to be used in place of the framework's own generator.
        """

    @abstractmethod
    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """The forward and backward half of a training step, without the update.

        Training mode: batch norm normalises with the batch and moves its running statistics; dropout uses
        ``dropout_masks`` (bool[n, *output_shape] per dropout layer) or else the framework's own generator. Returns the
        mean loss and the gradient of every parameter under its name, and of the images under "input", before weight
        decay.
        """

    @abstractmethod
    def parameters(self) -> Arrays:
        """Copies of all trained parameters and buffers (batch norm's running statistics) under canonical names."""

    @abstractmethod
    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite all parameters and buffers with copies of these; optimizer state stays.

        Raises KeyError naming a missing or surplus name, ValueError naming a wrong shape.
        """

    @abstractmethod
    def optimizer_state(self) -> Arrays:
        """Copies of the optimizer's state: "step" (int64 scalar array) and "<parameter>.<slot>" for every slot.

        Slots are those of ``specs.optimizers``, in the canonical definition and layout whatever the framework keeps
        inside; before the first step all of it is 0.
        """

    @abstractmethod
    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the optimizer's state; the next step continues exactly as after the step the state was read."""

    @abstractmethod
    def save(self, directory: Path) -> list[Path]:
        """Write the model and optimizer in the framework's own formats; returns the files written."""

    def export(self, directory: Path) -> None:
        """Write the trained network into the empty ``directory`` in the form named by ``Backend.export_format``.

        The form computes logits in evaluation mode, for any number of images where the framework can say so.
        """
        raise Unsupported("this backend exports nothing")

    @abstractmethod
    def synchronize(self) -> None:
        """Return once the device has finished all work handed to it."""

    def peak_device_memory(self) -> int | None:
        """The peak of the framework's device allocator in bytes since the session opened; None on a CPU."""
        return None

    def tuning(self) -> tuple[str, ...]:
        """What was done for speed beyond the framework's defaults, one short phrase each, for the report."""
        return ()


class Backend(ABC):
    """One framework. Constructing it imports nothing of the framework; ``load`` does."""

    name: ClassVar[str]
    export_format: ClassVar[str | None] = None
    """What ``Session.export`` writes, as users name it; None where there is no such thing."""
    manners: ClassVar[tuple[Manner, ...]] = ("default", "recommended")
    """The manners that it has; "expert" only where there is an engine for it."""

    @abstractmethod
    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Environment variables a worker must be started with. Called in the parent: imports no framework.

        Worker environments are built from nothing (no variable of the user's gets in), so this is where thread counts,
        instruction sets and log levels belong.
        """

    @abstractmethod
    def load(self, *, threads: int) -> None:
        """Import the framework and set its thread counts. Called once per process, before everything below."""

    @abstractmethod
    def describe(self) -> Description:
        """Version, devices and precisions of the loaded framework."""

    @abstractmethod
    def open(self, spec: SessionSpec) -> Session:
        """A session. Raises RequestError for a device that is not there, Unsupported for what it cannot compute."""

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """What ``Session.export`` wrote into ``directory``, to run without the network it came from, on the CPU."""
        raise Unsupported(f"{self.name} opens no exported models")


def check_names(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, NDArray[Any]]) -> None:
    """Raise as ``Session.load_parameters`` promises unless ``given`` has exactly the expected names and shapes."""
    for name in expected.keys() - given.keys():
        raise KeyError(f"missing array {name!r}")
    for name in given.keys() - expected.keys():
        raise KeyError(f"surplus array {name!r}")
    for name, shape in expected.items():
        if tuple(given[name].shape) != tuple(shape):
            raise ValueError(f"array {name!r} has shape {list(given[name].shape)}, expected {list(shape)}")
