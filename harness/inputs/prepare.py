"""Everything runs must share, written once as plain arrays that the workers memory-map, with its fingerprints.

All random draws happen here, in the parent: NumPy's generator streams may differ between versions, and the backends'
environments hold different ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays
from harness.checkpoints import Checkpoint
from harness.datasets import Dataset
from harness.worker.batches import Batches
from results.files import explained, sync_folder
from results.record import Fingerprints
from results.store import SAFE
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.errors import RequestError
from specs.identity import architecture_sha256, recipe_sha256
from specs.initializers import initial_parameters
from specs.recipe import Preprocessing, Recipe
from specs.schedule import learning_rates

# Which independent stream of a run's seed a draw comes from.
_ORDER_STREAM = 1
_DROPOUT_STREAM = 2
_VALIDATION_STREAM = 4  # of no run's seed: harness.inputs.augmentation has 3


@dataclass(frozen=True)
class PreparedData:
    """Preprocessed train, validation and test arrays in a folder of the cache, and the SHA-256 over them."""

    folder: Path
    train_samples: int
    test_samples: int
    fingerprint: str
    validation_samples: int = 0


def prepare_data(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    limit_train: int | None = None,
    limit_test: int | None = None,
    validation: float = 0.0,
) -> PreparedData:
    """float32 images and int64 labels of the first ``limit_*`` samples, kept in the user's cache for the next run.

    ``validation`` is the share of the training samples that make a part of their own.
    """
    train = limit("limit-train", limit_train, len(dataset.train_labels))
    test = limit("limit-test", limit_test, len(dataset.test_labels))
    trained, held_out = divided(train, validation)
    settings = [dataset.sha256, repr(preprocessing), train, test, *([validation] if validation else [])]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    folder = _cache() / f"{_safe(dataset.name)}-{key}"
    if not (folder / "meta.json").is_file():
        with explained("write prepared data to", folder, safe="it is a cache: XDG_CACHE_HOME names another place"):
            _write_data(folder, dataset, preprocessing, trained, held_out, test)
    with explained("read", folder):
        meta = json.loads((folder / "meta.json").read_text())
    return PreparedData(folder, train - len(held_out), test, meta["sha256"], len(held_out))


def divided(samples: int, validation: float) -> tuple[NDArray[np.int64] | slice, NDArray[np.int64]]:
    """Which of the first ``samples`` are trained on, and which make the validation part: both in their old order.

    The same for every seed, so that runs of several can be compared. Raises RequestError where a part would be empty.
    """
    count = round(validation * samples)
    if not validation:
        return slice(samples), np.empty(0, np.int64)
    if not 0 < count < samples:
        raise RequestError(f"validation: a share of {validation:g} of {samples} training samples leaves a part empty")
    order = np.random.default_rng(_VALIDATION_STREAM).permutation(samples)
    return np.sort(order[count:]), np.sort(order[:count])


@dataclass(frozen=True)
class RunInputs:
    """What one run is given beside the data: batch order int32[epochs, samples], learning_rates float64[steps] of all
    the recipe's epochs, and the arrays that it starts from under canonical names. The run does ``epochs`` of them.
    """

    recipe: Recipe
    architecture: Architecture
    seed: int
    epochs: range
    order: NDArray[np.int32]
    learning_rates: NDArray[np.float64]
    weights: Arrays
    optimizer_state: Arrays | None

    def write(self, folder: Path) -> None:
        """Into order.npy, learning_rates.npy, initial_weights.npz, optimizer_state.npz. Raises StoreError."""
        with explained("write", folder, safe=SAFE):
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / "order.npy", self.order)
            np.save(folder / "learning_rates.npy", self.learning_rates)
            np.savez(folder / "initial_weights.npz", **self.weights)  # type: ignore[arg-type]
            if self.optimizer_state is not None:
                np.savez(folder / "optimizer_state.npz", **self.optimizer_state)  # type: ignore[arg-type]

    def fingerprints(self) -> Fingerprints:
        """Of the network, of the steps of ``epochs``, and of the weights that they start from."""
        return Fingerprints(
            architecture=architecture_sha256(self.architecture),
            schedule=schedule_sha256(self.recipe, self.order, self.learning_rates, seed=self.seed, epochs=self.epochs),
            initial_weights=sha256_of(self.weights),
        )


def run_inputs(
    architecture: Architecture,
    recipe: Recipe,
    *,
    seed: int,
    samples: int,
    epochs: range | None = None,
    resumed: Checkpoint | None = None,
) -> RunInputs:
    """The inputs of a run of ``epochs`` (counted from 0; None: all the recipe's) on so many training samples."""
    return RunInputs(
        recipe=recipe,
        architecture=architecture,
        seed=seed,
        epochs=epochs or range(recipe.epochs),
        order=batch_order(recipe.epochs, samples, seed),
        learning_rates=recipe_rates(recipe, samples),
        weights=resumed.parameters if resumed else initial_parameters(architecture, recipe.initializer, seed),
        optimizer_state=resumed.optimizer_state() if resumed else None,
    )


def training_sha256(
    architecture: Architecture, recipe: Recipe, *, data: str, epochs: range, resumed: Checkpoint | None = None
) -> str:
    """The fingerprint of a training but for its seed: the network, the prepared data, the recipe, the epochs done.

    ``data`` is the prepared data's fingerprint, before augmentation. A training that was resumed is known by the
    weights that it began with too.
    """
    content = [architecture_sha256(architecture), data, recipe_sha256(recipe), [epochs.start, epochs.stop]]
    return sha256_of(resumed.parameters if resumed else {}, content)


def recipe_rates(recipe: Recipe, samples: int) -> NDArray[np.float64]:
    """The learning rate of every step of a recipe, float64[steps]."""
    return learning_rates(
        recipe.learning_rate_schedule,
        base=recipe.optimizer.learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=Batches(samples, recipe.batch_size).steps,
    )


def schedule_sha256(
    recipe: Recipe, order: NDArray[np.int32], rates: NDArray[np.float64], *, seed: int, epochs: range
) -> str:
    """The fingerprint of the steps of some epochs (counted from 0) of all that ``order`` and ``rates`` hold."""
    each = Batches(order.shape[1], recipe.batch_size).steps
    arrays: dict[str, NDArray[Any]] = {
        "order": order[epochs.start : epochs.stop],
        "learning_rates": rates[epochs.start * each : epochs.stop * each],
    }
    steps = {
        "optimizer": to_plain(recipe.optimizer),
        "batch_size": recipe.batch_size,
        "dropout_seed": dropout_seed(seed, epochs.start),
    }
    if recipe.label_smoothing:
        steps["label_smoothing"] = recipe.label_smoothing
    return sha256_of(arrays, steps)


def batch_order(epochs: int, samples: int, seed: int) -> NDArray[np.int32]:
    """int32[epochs, samples]: a permutation of the training samples for every epoch."""
    order = np.empty((epochs, samples), np.int32)
    for epoch in range(epochs):
        order[epoch] = np.random.default_rng([_ORDER_STREAM, seed, epoch]).permutation(samples)
    return order


def dropout_seed(seed: int, start_epoch: int = 0) -> int:
    """The 31-bit seed of the framework's own generator, used for dropout alone.

    A run that resumes has another one, so that it does not draw the masks of the first epochs again.
    """
    stream = [_DROPOUT_STREAM, seed, start_epoch] if start_epoch else [_DROPOUT_STREAM, seed]
    return int(np.random.default_rng(stream).integers(2**31))


def sha256_of(arrays: Mapping[str, NDArray[Any]], extra: object = None) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of arrays, and over anything else that JSON can write."""
    digest = hashlib.sha256()
    if extra is not None:
        digest.update(json.dumps(extra, sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _write_data(
    folder: Path,
    dataset: Dataset,
    preprocessing: Preprocessing,
    train: NDArray[np.int64] | slice,
    held_out: NDArray[np.int64],
    test: int,
) -> None:
    """Write the folder whole: it appears by rename, after all of it has reached the disk. One process at a time."""
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.parent / f".{folder.name}.lock"):
        if (folder / "meta.json").is_file():  # another process was first
            return
        partial = folder.parent / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # a killed process left it
        partial.mkdir()
        try:
            arrays: dict[str, NDArray[Any]] = {
                "train_images": preprocessing.apply(dataset.train_images[train]),
                "train_labels": np.asarray(dataset.train_labels[train], np.int64),
                "test_images": preprocessing.apply(dataset.test_images[:test]),
                "test_labels": np.asarray(dataset.test_labels[:test], np.int64),
            }
            if len(held_out):
                arrays["validation_images"] = preprocessing.apply(dataset.train_images[held_out])
                arrays["validation_labels"] = np.asarray(dataset.train_labels[held_out], np.int64)
            for name, array in arrays.items():
                np.save(partial / f"{name}.npy", array)
            (partial / "meta.json").write_text(json.dumps({"sha256": sha256_of(arrays), "dataset": dataset.name}))
            for file in partial.iterdir():
                _sync(file)
            shutil.rmtree(folder, ignore_errors=True)  # one without its meta.json is no cache
            partial.rename(folder)
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def limit(option: str, wanted: int | None, available: int) -> int:
    """How many of the ``available`` samples to use. Raises RequestError for a number that cannot be had."""
    if wanted is None:
        return available
    if not 1 <= wanted <= available:
        raise RequestError(f"--{option} must be from 1 to {available}, got {wanted}")
    return wanted


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "prepared"


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
