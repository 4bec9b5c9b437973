"""The forms a trained network can be exported to: who writes each, who runs it, and whether it still computes the same.

ONNX is written here from the spec; every other form is a framework's own, written and run in that backend's workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends.contract import Arrays, Predictor, SessionSpec
from backends.numpy.adapter import NumpyBackend
from backends.registry import BACKENDS, Registration
from harness.checkpoints import Checkpoint
from harness.export.onnx_runtime import FILE, ONNX_RUNTIME
from harness.export.places import plain_folder
from harness.inference.network import Model
from harness.processes.environments import find_python
from harness.processes.launcher import WorkerProcess
from harness.processes.remote import RemotePredictor, RemoteWorker, open_worker
from specs.architecture import Architecture
from specs.errors import unknown
from specs.optimizers import SGD
from specs.recipe import Preprocessing

TOLERANCE = 1e-4
"""Of logits, relative to the largest of a batch: float32 sums in another order reach some 1e-6 of it."""

CHECKED_BATCHES = (1, 2, 33)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What is exported: a network, its parameters and buffers under canonical names, and how pixels become images."""

    architecture: Architecture
    parameters: Arrays
    preprocessing: Preprocessing

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Trained:
        """A checkpoint's network, in float32 whatever it was trained in."""
        return cls(
            architecture=checkpoint.architecture,
            parameters={name: np.asarray(array, np.float32) for name, array in checkpoint.parameters.items()},
            preprocessing=checkpoint.recipe.preprocessing,
        )


@dataclass(frozen=True)
class ExportForm:
    """``runner`` is the backend whose workers run it, and write it too where it is a framework's own."""

    name: str
    runner: Registration

    @property
    def python(self) -> Path:
        """The interpreter of its workers. Raises RequestError where there is none."""
        return Path(sys.executable) if self.runner is ONNX_RUNTIME else find_python(self.runner.subject)


def forms() -> dict[str, ExportForm]:
    """Every form by the name that users give it, ONNX first."""
    found = {"onnx": ExportForm("onnx", ONNX_RUNTIME)}
    for registration in BACKENDS.values():
        if name := registration.create().export_format:
            found[name] = ExportForm(name, registration)
    return found


def find_form(name: str) -> ExportForm:
    """A form by name. Raises RequestError naming the nearest."""
    known = forms()
    if name not in known:
        raise unknown("export format", name, known)
    return known[name]


def find_runtime(name: str) -> ExportForm:
    """A form by what runs it: "onnxruntime", else as the form is called. Raises RequestError naming the nearest."""
    known = {(form.runner.name if form.runner is ONNX_RUNTIME else form.name): form for form in forms().values()}
    if name not in known:
        raise unknown("runtime", name, known)
    return known[name]


def write(form: ExportForm, trained: Trained, directory: Path, *, threads: int) -> None:
    """Write the network into the empty ``directory``.

    Raises Unsupported or WorkerFailed with the framework's own words where it cannot.
    """
    if form.runner is ONNX_RUNTIME:
        import onnx

        from harness.export.onnx_model import onnx_model

        model = onnx_model(trained.architecture, trained.parameters, trained.preprocessing)
        onnx.checker.check_model(model, full_check=True)
        (directory / FILE).write_bytes(model.SerializeToString(deterministic=True))
        return
    # As the framework comes: what is handed on is made of its own layers in its documented way.
    with open_worker(
        form.runner.subject, threads=threads, tuning="default", architecture=trained.architecture
    ) as worker:
        spec = SessionSpec(architecture=trained.architecture, optimizer=SGD(), threads=threads, tuning="default")
        session = worker.open(spec)
        session.load_parameters(trained.parameters)
        session.export(directory)


@contextmanager
def opened(
    form: ExportForm, directory: Path, architecture: Architecture, *, threads: int
) -> Iterator[tuple[RemoteWorker, RemotePredictor]]:
    """A worker of the form's runner that has opened what ``write`` wrote."""
    process = WorkerProcess(form.runner, python=form.python, threads=threads, architecture=architecture)
    with process:
        worker = RemoteWorker(process, timeout_s=None)
        yield worker, worker.open_exported(directory)


@contextmanager
def exported(checkpoint: Checkpoint, form: ExportForm, *, threads: int) -> Iterator[Model]:
    """A checkpoint's network exported to a temporary folder and run from there: an old export is never trusted."""
    trained = Trained.of(checkpoint)
    with plain_folder() as folder:
        write(form, trained, folder, threads=threads)
        with opened(form, folder, trained.architecture, threads=threads) as (worker, predictor):
            yield Model(predictor.predict, worker.loaded.framework.framework_version)


def difference(predictor: Predictor, trained: Trained) -> float:
    """How far logits are from the float64 reference's, relative to its largest: the worst of several batch sizes."""
    reference = NumpyBackend().open(
        SessionSpec(architecture=trained.architecture, optimizer=SGD(), precision="float64")
    )
    reference.load_parameters({name: array.astype(np.float64) for name, array in trained.parameters.items()})
    generator = np.random.default_rng(0)
    worst = 0.0
    for batch in CHECKED_BATCHES:
        pixels = generator.integers(0, 256, (batch, *trained.architecture.input), dtype=np.uint8)
        images = trained.preprocessing.apply(pixels)
        expected = reference.predict(images.astype(np.float64))
        given = predictor.predict(images)
        if given.shape != expected.shape or not np.isfinite(given).all():
            return float("inf")
        worst = max(worst, float(np.abs(given - expected).max() / (np.abs(expected).max() or 1.0)))
    return worst
