"""A framework for tests: a backend that computes next to nothing, fast, and misbehaves on request.

It lives in a worker process like any other. What it shall do is the JSON in the variable HARNESS_FAKE, which its
``environment`` hands from the test to the worker: {"train": "segfault"}, say, makes it crash in training.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from backends import registry
from backends.contract import Arrays, Backend, Description, Session, SessionSpec, Unsupported, check_names
from backends.registry import Manner, Registration
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.shapes import buffer_shapes, infer, parameter_shapes

VARIABLE = "HARNESS_FAKE"
FAKE = Registration(name="fake", title="Fake", adapter="tests.fakes:FakeBackend", framework="numpy")
RIVAL = Registration(name="rival", title="Rival", adapter="tests.fakes:RivalBackend", framework="numpy")


@contextmanager
def registered(**behaviour: Any) -> Iterator[Registration]:
    """The fake backend in the registry, behaving so: {place: fault}, and figures such as step_s or leak_mb."""
    with (
        patch.dict(registry.BACKENDS, {FAKE.name: FAKE}),
        patch.dict(os.environ, {VARIABLE: json.dumps(behaviour)}),
    ):
        yield FAKE


@contextmanager
def rival(**behaviour: Any) -> Iterator[Registration]:
    """A second fake beside the first, with a behaviour of its own."""
    with (
        patch.dict(registry.BACKENDS, {RIVAL.name: RIVAL}),
        patch.dict(os.environ, {RivalBackend.variable: json.dumps(behaviour)}),
    ):
        yield RIVAL


def misbehave(place: str) -> None:
    """Do what the test asked to happen at this place."""
    match json.loads(os.environ.get(VARIABLE) or "{}").get(place):
        case None:
            return
        case "raise":
            raise RuntimeError(f"asked to fail in {place}")
        case "unsupported":
            raise Unsupported(f"asked to be unsupported in {place}")
        case "request":
            raise RequestError(f"asked to refuse in {place}")
        case "memory_error":
            raise MemoryError(f"asked to run out of memory in {place}")
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "sys_exit":
            sys.exit(4)
        case "hang":
            time.sleep(3600)
        case "flood":
            for _ in range(200):
                sys.stdout.write("x" * 100_000 + "\n")
        case str(other):
            from tests.reliability.misdeeds import MISDEEDS

            MISDEEDS[other]()


class FakeBackend(Backend):
    """Constructing it in a worker may misbehave too ("construct"); the parent constructs it for its environment."""

    name = "fake"
    variable = VARIABLE

    def __init__(self) -> None:
        if "pytest" not in sys.modules:
            misbehave("construct")

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        return {VARIABLE: os.environ[self.variable], "OPENBLAS_NUM_THREADS": "1"}

    def load(self, *, threads: int) -> None:
        misbehave("load")
        self.hoard = hoard("import", json.loads(os.environ[VARIABLE]))

    def describe(self) -> Description:
        misbehave("describe")
        behaviour = json.loads(os.environ[VARIABLE])
        return Description(
            framework_version=behaviour.get("version", "1.0"),
            devices=("cpu",),
            precisions=("float32",),
            packages=behaviour.get("packages", {}),
        )

    def open(self, spec: SessionSpec) -> Session:
        misbehave("open")
        if spec.device != "cpu":
            raise RequestError(f"device {spec.device!r} is not there; there is: cpu")
        return FakeSession(spec, json.loads(os.environ[VARIABLE]))


class RivalBackend(FakeBackend):
    """The same under another name; its worker finds its behaviour where the first one's does."""

    name = "rival"
    variable = "HARNESS_RIVAL_FAKE"


class FakeSession(Session):
    """Losses fall as 1 / (steps + 1); every image is read as class 0, but for those whose label it remembers."""

    def __init__(self, spec: SessionSpec, behaviour: dict[str, Any]) -> None:
        self.behaviour = behaviour
        self.trained = tuple(parameter_shapes(spec.architecture))
        self.slots = spec.optimizer.slots
        self.shapes = parameter_shapes(spec.architecture) | buffer_shapes(spec.architecture)
        self.arrays: Arrays = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}
        self.classes = spec.architecture.classes
        # {"layer_s": {"conv2d_1": [forward, backward]}}: what each layer of a network takes
        times = behaviour.get("layer_s", {})
        layers = [times.get(layer.name, (0.0, 0.0)) for layer in infer(spec.architecture)]
        self.forward_s = sum(forward for forward, _ in layers)
        self.backward_s = sum(backward for _, backward in layers)
        self.step = 0
        self.hoard: list[NDArray[Any]] = []
        self.pool = ThreadPoolExecutor(behaviour.get("burn_threads", 1))
        self.durations: list[float] = []
        self.begun = time.time()

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        misbehave("set_training_data")
        self.hoard += hoard("allocate", self.behaviour)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        losses = np.empty(len(batch_indices))
        for k in range(len(batch_indices)):
            while (hold := self.behaviour.get("held_by")) and Path(hold).exists():
                time.sleep(0.05)
            losses[k] = 1 / (self.step + 1)
            self.step += 1
            if self.step == 5:  # warm-up has two steps at the most, and is undone
                self.hoard += hoard("train", self.behaviour)
            if self.step > self.behaviour.get("after_steps", 1):
                misbehave("train")
            if self.step >= self.behaviour.get("nan_at", np.inf):
                losses[k] = np.nan
            if seconds := self.behaviour.get("step_s", self.forward_s + self.backward_s):
                self.durations.append(wait(seconds))
            if threads := self.behaviour.get("burn_threads"):
                list(self.pool.map(burn, [time.perf_counter() + 0.05] * threads))
            if megabytes := self.behaviour.get("leak_mb"):
                self.hoard.append(np.ones(megabytes * 2**20, np.uint8))
        return losses

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        misbehave("predict")
        if self.forward_s:
            wait(self.forward_s)
        logits = np.zeros((len(images), self.classes), np.float32)
        logits[:, 0] = np.inf if self.step >= self.behaviour.get("infinite_logits_at", np.inf) else 1
        return logits

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        return 1.0, {**{name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}, "input": images * 0}

    def parameters(self) -> Arrays:
        broken = self.step >= self.behaviour.get("nan_parameters_at", np.inf)
        return {name: np.full_like(array, np.nan) if broken else array.copy() for name, array in self.arrays.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        check_names(self.shapes, parameters)
        self.arrays = {name: np.array(array) for name, array in parameters.items()}

    def optimizer_state(self) -> Arrays:
        slots = {f"{name}.{slot}": np.zeros_like(self.arrays[name]) for name in self.trained for slot in self.slots}
        return {"step": np.array(self.step, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.step = int(state["step"])

    def save(self, directory: Path) -> list[Path]:
        misbehave("save")
        return []

    def synchronize(self) -> None:
        """Nothing is pending."""

    def close(self) -> None:
        if path := self.behaviour.get("durations_to"):
            Path(path).write_text(json.dumps(self.durations))
        if folder := self.behaviour.get("intervals_to"):
            interval = {"machine": os.getppid(), "begin": self.begun, "end": time.time()}
            Path(folder, f"{os.getpid()}.json").write_text(json.dumps(interval))


def hoard(place: str, behaviour: dict[str, Any]) -> list[NDArray[Any]]:
    """{"<place>_mb": MiB to allocate there}, and to give back at once where "<place>_transient" is true."""
    held = [np.ones(behaviour[f"{place}_mb"] * 2**20, np.uint8)] if f"{place}_mb" in behaviour else []
    return [] if behaviour.get(f"{place}_transient") else held


def burn(until: float) -> None:
    """Keep a CPU busy until then, as far as there is one, without holding Python's lock."""
    block = bytes(2**20)
    while time.perf_counter() < until:
        hashlib.sha256(block)


def wait(seconds: float) -> float:
    """Wait precisely: sleep for most of it, then watch the clock. Returns what it really took on a busy machine."""
    start = time.perf_counter()
    if seconds > 0.002:
        time.sleep(seconds - 0.002)
    while time.perf_counter() < start + seconds:
        pass
    return time.perf_counter() - start
