"""How a mistake is planted: NumPy's session with one thing changed, in one of three ways."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from backends.numpy import network as numpy_network
from backends.numpy import optimizers as numpy_optimizers
from backends.numpy.adapter import NumpyBackend
from backends.numpy.computed import Computed
from backends.numpy.layers import forward
from backends.numpy.session import NumpySession
from harness.conformance.judge import Open, Train
from harness.worker.epochs import Emit
from harness.worker.job import TrainingJob
from harness.worker.reports import TrainedState, TrainingReport
from harness.worker.training import Training
from specs.layers import Layer
from specs.nest import Branches, Item, Residual
from specs.optimizers import Optimizer

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A planted mistake, the level that must catch it, and what opens its sessions."""

    name: str
    level: str
    open: Open

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


def training(open_session: Open) -> Train:
    """Trainings in this process, by the worker's loop."""

    class Opens(NumpyBackend):
        def open(self, spec: SessionSpec) -> Session:
            return open_session(spec)

    def train(job: TrainingJob, emit: Emit) -> tuple[TrainingReport, TrainedState]:
        carried_out = Training(Opens(), job, emit)
        report = carried_out.run()
        gc.unfreeze()  # the worker's loop freezes what a whole process has
        return report, carried_out.save(job.inputs / "native")

    return train


class PatchedSession(NumpySession):
    """NumPy with functions of a module replaced while it computes, and only then: the reference is NumPy too."""

    module: ClassVar[ModuleType]
    functions: ClassVar[dict[str, Any]]

    @contextlib.contextmanager
    def _mistaken(self) -> Iterator[None]:
        with mock.patch.multiple(self.module, **self.functions):
            yield

    def train_steps(self, *args: Any, **kwargs: Any) -> NDArray[np.float64]:
        with self._mistaken():
            return super().train_steps(*args, **kwargs)

    def predict(self, images: Array) -> Array:
        with self._mistaken():
            return super().predict(images)

    def loss_and_gradients(self, *args: Any, **kwargs: Any) -> tuple[float, Arrays]:
        with self._mistaken():
            return super().loss_and_gradients(*args, **kwargs)


def patched(module: ModuleType, **functions: Any) -> Open:
    """Functions of one of NumPy's modules replaced."""
    return type("Mistaken", (PatchedSession,), {"module": module, "functions": functions})


def computing(kind: type, mistaken: Callable[..., Computed]) -> Open:
    """One kind of layer computed by ``mistaken``, which takes what ``backends.numpy.layers.forward`` takes."""

    def wrong(layer: Layer, x: Array, values: Any = None, **keywords: Any) -> Computed:
        return (mistaken if isinstance(layer, kind) else forward)(layer, x, values, **keywords)

    return patched(numpy_network, forward=wrong)


def stepping(kind: type, mistaken: Callable[..., Array]) -> Open:
    """One kind of optimizer moved by ``mistaken``, which gives what the learning rate is multiplied with."""
    right = numpy_optimizers._direction

    def wrong(optimizer: Optimizer, *arguments: Any) -> Array:
        return (mistaken if isinstance(optimizer, kind) else right)(optimizer, *arguments)

    return patched(numpy_optimizers, _direction=wrong)


def building(kind: type, change: Callable[[Any], Layer]) -> Open:
    """The network built with other options than asked for."""

    def open_session(spec: SessionSpec) -> Session:
        layers = _changed(spec.architecture.layers, kind, change)
        return NumpySession(replace(spec, architecture=replace(spec.architecture, layers=layers)))

    return open_session


def _changed(items: tuple[Item, ...], kind: type, change: Callable[[Any], Layer]) -> tuple[Item, ...]:
    def one(item: Item) -> Item:
        match item:
            case Branches():
                return replace(item, paths=tuple(_changed(path, kind, change) for path in item.paths))
            case Residual():
                own, shortcut = (_changed(path, kind, change) for path in (item.layers, item.shortcut))
                return replace(item, layers=own, shortcut=shortcut)
            case _:
                return change(item) if isinstance(item, kind) else item

    return tuple(one(item) for item in items)


def optimizing(change: Callable[[Any], Optimizer]) -> Open:
    """Another optimizer, or other options of it, than asked for."""
    return lambda spec: NumpySession(replace(spec, optimizer=change(spec.optimizer)))
