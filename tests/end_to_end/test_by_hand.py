"""docs/specs.md says all that a training needs: PyTorch in float64, told by that page alone, computes every step."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.numpy.session import NumpySession
from harness.conformance.case import cast, draw_masks
from harness.conformance.trajectories import trajectory_spec
from harness.inputs.prepare import divided, run_inputs
from harness.worker.batches import Batches
from specs import recipe as recipe_module
from specs.document import read_document
from specs.loading import architecture_names, load_architecture, load_recipe

SAMPLES, BATCH, EPOCHS, SEED = 11, 4, 2, 3
SPECS = Path(recipe_module.__file__).parent
BUNDLED = sorted((SPECS / "recipes").glob("*.yaml"))

# What the bundled ones leave out: every optimizer with its options away from the defaults, schedules, distributions.
OTHERS = {
    "adamw": """
        optimizer: {adamw: {weight_decay: 0.1, beta1: 0.8, decay: weights, clip_norm: 0.5}}
        label_smoothing: 0.1
        learning_rate_schedule: {cosine: {warmup_epochs: 0.7, final_fraction: 0.1}}
        initializer: {weights: he_normal, biases: {uniform: {limit: 0.1}}}
    """,
    "sgd": """
        optimizer: {sgd: {momentum: 0.9, nesterov: true, weight_decay: 0.01}}
        validation: 0.2
        learning_rate_schedule: {step: {every_epochs: 1, gamma: 0.5, warmup_epochs: 1.5}}
        initializer: {weights: lecun_uniform, biases: lecun_normal}
    """,
    "rmsprop": """
        optimizer: {rmsprop: {rho: 0.9, weight_decay: 0.01, decay: weights}}
        learning_rate_schedule: {exponential: {gamma: 0.7}}
        initializer: {weights: {normal: {std: 0.05}}, biases: he_uniform}
        preprocessing: {scale: [-1, 1], mean: [0.1307], std: [0.3081]}
    """,
    "adadelta": "optimizer: {adadelta: {epsilon: 1e-4, weight_decay: 0.01}}",
    "adagrad": "optimizer: {adagrad: {learning_rate: 0.1, weight_decay: 0.01}}",
    "adam": "optimizer: {adam: {epsilon: 0.1, weight_decay: 0.01}}",
}


def plain(file: Path, **changed: Any) -> dict[str, Any]:
    return {**read_document(file).value, **changed}


def model_of(recipe: Path) -> str:
    """The recipe's own network where it has one. Augmentation only changes the images."""
    own = plain(recipe).get("architecture", recipe.stem)
    return own if own in architecture_names() else "mlp"


def by_numpy(file: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], masks: dict[str, Any]) -> list[float]:
    """The losses as the harness trains: its own inputs, the float64 reference."""
    recipe = replace(load_recipe(str(file)), epochs=EPOCHS, batch_size=BATCH)
    architecture = load_architecture(model_of(file))
    session = NumpySession(trajectory_spec(architecture, recipe, "float64"))
    trained, held_out = divided(SAMPLES, recipe.validation)
    session.set_training_data(recipe.preprocessing.apply(images[trained]).astype(np.float64), labels[trained])
    samples = SAMPLES - len(held_out)
    inputs = run_inputs(architecture, recipe, seed=SEED, samples=samples)
    session.load_parameters(cast(inputs.weights, np.dtype(np.float64)))
    found: list[float] = []
    for epoch in inputs.order:
        for start in range(0, samples, BATCH):
            batch, step = epoch[start : start + BATCH].astype(np.int64), len(found)
            given = {layer: mask[step : step + 1, : len(batch)] for layer, mask in masks.items()}
            found += session.train_steps(
                batch[None], inputs.learning_rates[step : step + 1], dropout_masks=given or None
            ).tolist()
    return found


@dataclass
class Training:
    """One that is asked for: the recipe's file, and the folder that tells it to who computes it by hand."""

    recipe: Path
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        generator = np.random.default_rng(0)
        architecture = load_architecture(model_of(self.recipe))
        self.images = generator.integers(0, 256, (SAMPLES, *architecture.input), dtype=np.uint8)
        self.labels = generator.integers(architecture.classes, size=SAMPLES)
        self.masks = draw_masks(architecture, (Batches(SAMPLES, BATCH).steps * EPOCHS, BATCH), generator)
        task = {
            "architecture": plain(SPECS / "architectures" / f"{model_of(self.recipe)}.yaml"),
            "recipe": plain(self.recipe, epochs=EPOCHS, batch_size=BATCH),
            "classes": architecture.classes,
            "seed": SEED,
        }
        (self.folder / "task.json").write_text(json.dumps(task))
        np.savez(self.folder / "data.npz", images=self.images, labels=self.labels, **self.masks)  # type: ignore[arg-type]

    def by_numpy(self) -> list[float]:
        """The losses as the harness trains."""
        return by_numpy(self.recipe, self.images, self.labels, self.masks)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    """By the recipe's name."""
    place = tmp_path_factory.mktemp("trainings")
    files = {file.stem: file for file in BUNDLED}
    for name, options in OTHERS.items():
        files[f"own-{name}"] = place / f"{name}.yaml"
        files[f"own-{name}"].write_text(f"name: own\nepochs: {EPOCHS}\nbatch_size: {BATCH}\n{textwrap.dedent(options)}")
    return {name: Training(file, place / name) for name, file in files.items()}


@pytest.fixture(scope="module")
def by_hand(trainings: dict[str, Training], backend_python: Callable[[str], Path]) -> dict[str, list[float]]:
    """The losses of all trainings, by one process, since PyTorch is longer to import than they are to compute."""
    folders = [str(training.folder) for training in trainings.values()]
    command = [str(backend_python("torch")), "-I", str(Path(__file__).with_name("by_hand.py")), *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(trainings, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", [*(file.stem for file in BUNDLED), *(f"own-{name}" for name in OTHERS)])
def test_every_recipe_and_option(name: str, trainings: dict[str, Training], by_hand: dict[str, list[float]]) -> None:
    np.testing.assert_allclose(by_hand[name], trainings[name].by_numpy(), rtol=1e-12, atol=1e-12)
