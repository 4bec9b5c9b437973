"""Checkpoints among real frameworks: trained in one, read by all others; stopped, resumed, and the same losses."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.contract import SessionSpec
from backends.registry import BACKENDS, REFERENCE, find, frameworks
from harness.checkpoints import NATIVE, Checkpoint, CheckpointManifest, gathered, read_checkpoint, write_checkpoint
from harness.datasets import load_dataset
from harness.inference.network import logits_of
from harness.planning.plan import RunPlan
from harness.processes.remote import RemoteSession, RemoteWorker, open_worker
from harness.running.run import execute
from results.record import Fingerprints, Record
from specs.initializers import initial_parameters
from specs.loading import architecture_names, default_recipe, load_architecture
from specs.shapes import parameter_count

DATA = load_dataset("digits")
TEST_IMAGES, TEST_LABELS = DATA.test_images[:60], DATA.test_labels[:60]
STEPS, BATCH = 5, 24
ROOT = Path(__file__).parents[2]
LOGITS_AGREE = 1e-4  # of the largest logit


class Place:
    """Every backend's worker, one session per model in each, and the checkpoints trained there."""

    def __init__(self, folder: Path, stack: ExitStack, python: Callable[[str], Path]) -> None:
        self._folder = folder
        self._stack = stack
        self._python = python
        self.worker = cache(self._worker)
        self.session = cache(self._session)
        self.checkpoint = cache(self._checkpoint)
        self.logits = cache(self._logits)

    def _worker(self, backend: str) -> RemoteWorker:
        python = self._python(backend)
        return self._stack.enter_context(
            open_worker(backend, python=python, architecture=load_architecture("lenet5"), timeout_s=300)
        )

    def _session(self, backend: str, model: str) -> RemoteSession:
        architecture, recipe = load_architecture(model), default_recipe(model)
        return self.worker(backend).open(SessionSpec(architecture=architecture, optimizer=recipe.optimizer))

    def _checkpoint(self, backend: str, model: str) -> Checkpoint:
        """A few steps on digits, saved, and read again from the files."""
        architecture, recipe = load_architecture(model), default_recipe(model)
        session = self.session(backend, model)
        session.load_parameters(initial_parameters(architecture, recipe.initializer, 0))
        images = DATA.train_images[: STEPS * BATCH]
        session.set_training_data(recipe.preprocessing.apply(images), DATA.train_labels[: len(images)])
        order = np.arange(STEPS * BATCH).reshape(STEPS, BATCH)
        losses = session.train_steps(order, np.full(STEPS, recipe.optimizer.learning_rate))
        assert np.isfinite(losses).all()
        place = self._folder / f"{backend}-{model}"
        with gathered(place) as partial:
            assert session.save(partial / NATIVE)
            write_checkpoint(
                partial,
                manifest=CheckpointManifest(
                    run_id=place.name,
                    backend=backend,
                    dataset="digits",
                    seed=0,
                    epochs=1,
                    precision="float32",
                    fingerprints=Fingerprints(),
                ),
                architecture=architecture,
                recipe=recipe,
                parameters=session.parameters(),
                optimizer_state=session.optimizer_state(),
            )
        return read_checkpoint(place)

    def _logits(self, origin: str, model: str, backend: str) -> NDArray[np.float64]:
        """What ``backend`` makes of the test images with the checkpoint that ``origin`` trained."""
        checkpoint = self.checkpoint(origin, model)
        session = self.session(backend, model)
        session.load_parameters(checkpoint.parameters)
        return logits_of(session.predict, TEST_IMAGES, checkpoint.recipe.preprocessing)


LONG = pytest.mark.long
SOON = ("lenet5", "resnet20", "gru_rows", "vit_tiny")
"""Networks of every kind of layer; the others come with ``make test-full``."""
CASES = [
    *((REFERENCE, name, model) for name in frameworks() for model in SOON),
    *(
        pytest.param(REFERENCE, name, model, marks=LONG)
        for name in frameworks()
        for model in architecture_names()
        if model not in SOON
    ),
    *((name, REFERENCE, "lenet5") for name in frameworks()),
    *(pytest.param(name, REFERENCE, "mobilenet_mini", marks=LONG) for name in frameworks()),
    *((*pair, "lenet5") for pair in zip(frameworks(), (*frameworks()[1:], frameworks()[0]), strict=True)),
]
"""Who trains a checkpoint, who loads it, and of what: all loads are held against the reference, and some in a ring."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, backend_python: Callable[[str], Path]) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path_factory.mktemp("checkpoints"), stack, backend_python)


@pytest.mark.parametrize(("origin", "backend", "model"), CASES, ids=str)
def test_a_checkpoint_means_the_same_in_every_backend(origin: str, backend: str, model: str, place: Place) -> None:
    """Logits agree to 1e-4 of the largest, and so does the accuracy, image by image."""
    own, other = place.logits(origin, model, origin), place.logits(origin, model, backend)
    scale = np.abs(own).max()
    error = np.abs(own - other).max()
    assert error <= LOGITS_AGREE * scale, f"logits differ by {error / scale:.1e} of the largest"
    for index in np.flatnonzero(own.argmax(axis=1) != other.argmax(axis=1)):
        first, second = np.sort(own[index])[:-3:-1]
        pytest.fail(
            f"image {index} is read as {own[index].argmax()} and {other[index].argmax()}: "
            f"the logits are {first - second:.1e} apart, the backends {error:.1e}"
        )
    accuracies = [float((logits.argmax(axis=1) == TEST_LABELS).mean()) for logits in (own, other)]
    assert accuracies[0] == accuracies[1]


# How users of each framework read its own files, without anything of this project: the count of parameters is printed.
READERS = {
    "torch": "import torch; print(sum(v.numel() for v in torch.load('model.pt', weights_only=True).values()))",
    "keras": "import keras; m = keras.saving.load_model('model.keras'); "
    "n = keras.models.model_from_json(open('architecture.json').read()); n.load_weights('model.weights.h5'); "
    "assert all((a == b).all() for a, b in zip(m.get_weights(), n.get_weights(), strict=True)); "
    "print(m.count_params())",
    "paddle": "import paddle; print(sum(int(v.size) for v in paddle.load('model.pdparams').values()))",
    "mindspore": "import mindspore; print(sum(v.size for v in mindspore.load_checkpoint('network.ckpt').values()))",
    "jax": "import numpy; print(sum(v.size for v in numpy.load('model.npz').values()))",
    "numpy": "import numpy; print(sum(v.size for v in numpy.load('parameters.npz').values()))",
}


# All three thirds of the second bias, where one is trained, and all of the layer once more in one tensor.
KEPT_TOO = {("paddle", "gru_rows"): 2 * 128 + (28 + 128 + 2) * 3 * 128}


@pytest.mark.parametrize("model", ["lenet5", *(pytest.param(name, marks=LONG) for name in ("gru_rows", "vit_tiny"))])
@pytest.mark.parametrize("backend", READERS)
def test_the_framework_reads_its_own_files(
    backend: str, model: str, place: Place, backend_python: Callable[[str], Path]
) -> None:
    """Without this project, but for Keras's class token and position embedding, which are layers of its own."""
    checkpoint = place.checkpoint(backend, model)
    of_project = "import backends.keras.tokens; " if (backend, model) == ("keras", "vit_tiny") else ""
    done = subprocess.run(
        [backend_python(backend), "-c", of_project + READERS[backend]],
        cwd=checkpoint.folder / NATIVE,
        env=os.environ | {"PYTHONPATH": str(ROOT) if of_project else ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) - KEPT_TOO.get((backend, model), 0) == parameter_count(checkpoint.architecture)


@pytest.mark.parametrize(
    "backend",
    [name if name == "torch" else pytest.param(name, marks=LONG) for name in BACKENDS],
)
def test_a_resumed_run_has_the_losses_of_one_that_never_stopped(
    backend: str, tmp_path: Path, backend_python: Callable[[str], Path]
) -> None:
    """Bit for bit, or where the framework itself is not that: by no more than two runs alike differ.

    NumPy goes on with the same checkpoint, to 1e-4 relative.
    """
    backend_python(backend)

    def run(name: str, in_backend: str = backend, **choices: Any) -> Record:
        recipe = replace(default_recipe("lenet5"), dataset="digits", epochs=2, targets={})
        plan = RunPlan(
            backend=find(in_backend),
            model="lenet5",
            architecture=load_architecture("lenet5"),
            recipe=recipe,
            dataset="digits",
            limit_train=400,
            limit_test=50,
            proof=False,
            **choices,
        )
        (tmp_path / name).mkdir()
        record = execute(
            plan,
            DATA,
            tmp_path / name,
            name,
            lambda _: None,
            keep=lambda _: None,
            save_to=tmp_path / "checkpoints" / name,
        )
        assert record.status == "ok", record.error
        return record

    straight = _losses(run("straight"))
    stopped = run("stopped", stop_after=1)
    checkpoint = read_checkpoint(tmp_path / "checkpoints" / "stopped")
    resumed = run("resumed", resumed=checkpoint)
    assert [epoch.epoch for epoch in (*stopped.epochs, *resumed.epochs)] == [1, 2]
    both = [*_losses(stopped), *_losses(resumed)]
    assert len(both) == len(straight) == 2 * math.ceil(400 / 64)
    if both != straight:
        again = _losses(run("again"))
        allowed = np.abs(np.subtract(again, straight)).max()
        assert np.abs(np.subtract(both, straight)).max() <= allowed, "resuming adds more than two runs alike differ by"
    elsewhere = run("elsewhere", "numpy", resumed=checkpoint)
    np.testing.assert_allclose(_losses(elsewhere), _losses(resumed), rtol=1e-4)


def _losses(record: Record) -> list[float]:
    assert record.curve is not None
    return [loss for loss in record.curve.first if loss is not None]
