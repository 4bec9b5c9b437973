"""From the names on the command line to a plan: specs loaded, overrides applied, everything checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.registry import find
from harness.checkpoints import read_checkpoint
from harness.datasets import form_of
from harness.measuring.machine import available_cpus, default_threads
from harness.planning.resuming import resumed_recipe
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.loading import default_recipe, load_architecture, load_recipe
from specs.recipe import Recipe
from specs.shapes import has_trailing_softmax


def resolve_model(
    model: str, recipe: str | None, *, dataset: str | None, epochs: int | None, batch_size: int | None
) -> tuple[Architecture, Recipe]:
    """The architecture and its recipe with the user's overrides. Raises RequestError.

    What the architecture leaves open, input shape and classes, is the data set's.
    """

    def recipe_of(name: str) -> Recipe:
        return load_recipe(recipe) if recipe is not None else default_recipe(name)

    architecture = load_architecture(model, lambda name: form_of(dataset or recipe_of(name).dataset))
    overrides = {"dataset": dataset, "epochs": epochs, "batch_size": batch_size}
    chosen = {key: value for key, value in overrides.items() if value is not None}
    return architecture, replace(recipe_of(architecture.name), **chosen)  # type: ignore[arg-type]


def new_training(
    backend: str | None,
    *,
    model: str | None,
    recipe: str | None,
    dataset: str | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    precision: str | None,
    limit_train: int | None,
    limit_test: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """What defines a training, as fields of a RunPlan, and what to tell the user of it. Raises RequestError."""
    if backend is None or model is None:
        missing = "--backend" if backend is None else "--model"
        raise RequestError(f"{missing} is missing: run takes a --backend and a --model, or --resume and a checkpoint")
    architecture, chosen = resolve_model(model, recipe, dataset=dataset, epochs=epochs, batch_size=batch_size)
    return {
        "backend": find(backend),
        "model": model,
        "architecture": architecture,
        "recipe": chosen,
        "dataset": chosen.dataset,
        "seed": seed or 0,
        "precision": precision or "float32",
        "limit_train": limit_train,
        "limit_test": limit_test,
    }, notices(architecture)


def resumed_training(
    folder: Path, backend: str | None, *, dataset: str | None, epochs: int | None, also_given: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The same for one that a checkpoint continues: the checkpoint defines it. Raises RequestError.

    ``also_given`` are choices that only a new training has; each must be None.
    """
    for name, value in also_given.items():
        if value is not None:
            raise RequestError(f"--{name.replace('_', '-')} and --resume were both given: the checkpoint says it")
    checkpoint = read_checkpoint(folder)
    manifest = checkpoint.manifest
    recipe = resumed_recipe(checkpoint, dataset=dataset, epochs=epochs)
    return {
        "backend": find(backend or manifest.backend),
        "model": checkpoint.architecture.name,
        "architecture": checkpoint.architecture,
        "recipe": recipe,
        "dataset": recipe.dataset,
        "seed": manifest.seed,
        "precision": manifest.precision,
        "limit_train": manifest.limit_train,
        "limit_test": manifest.limit_test,
        "resumed": checkpoint,
    }, checkpoint.notices()


def resolve_threads(threads: int | None) -> int:
    """The thread count of every worker: what CPUs and quota allow this process, unless the user says otherwise.

    More than a quota covers may be asked for, more than there are CPUs may not.
    """
    most = available_cpus()
    if threads is None:
        return default_threads()
    if not 1 <= threads <= most:
        raise RequestError(f"--threads must be from 1 to {most} (the CPUs this process may use), got {threads}")
    return threads


def notices(architecture: Architecture) -> list[str]:
    """What a user should be told about a spec that is valid but may not mean what they think."""
    if has_trailing_softmax(architecture):
        return [
            f"{architecture.name}: the last layer is a softmax; the loss takes logits, "
            "so it is applied at prediction only, not in training"
        ]
    return []
