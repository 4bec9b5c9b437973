"""From the names on the command line to a plan: specs loaded, overrides applied, everything checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.machine import available_cpus
from specs.architecture import Architecture
from specs.errors import RequestError, unknown
from specs.loading import default_recipe, load_architecture, load_recipe
from specs.recipe import Recipe
from specs.shapes import has_trailing_softmax

DEFAULT_SET = Path("results") / "runs"


def resolve_model(
    model: str, recipe: str | None, *, dataset: str | None, epochs: int | None, batch_size: int | None
) -> tuple[Architecture, Recipe]:
    """The architecture and its recipe with the user's overrides. Raises RequestError."""
    architecture = load_architecture(model)
    chosen = load_recipe(recipe) if recipe is not None else default_recipe(architecture.name)
    overrides = {"dataset": dataset, "epochs": epochs, "batch_size": batch_size}
    chosen = replace(chosen, **{key: value for key, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    return architecture, chosen


def resolve_threads(threads: int | None) -> int:
    """The thread count of every worker: the CPUs this process may use, unless the user says fewer."""
    most = available_cpus()
    if threads is None:
        return most
    if not 1 <= threads <= most:
        raise RequestError(f"--threads must be from 1 to {most} (the CPUs this process may use), got {threads}")
    return threads


def resolve_tuning(mode: str) -> bool:
    """True for "on", False for "off"."""
    if mode not in ("on", "off"):
        raise unknown("tuning", mode, ["on", "off"])
    return mode == "on"


def notices(architecture: Architecture) -> list[str]:
    """What a user should be told about a spec that is valid but may not mean what they think."""
    if has_trailing_softmax(architecture):
        return [
            f"{architecture.name}: the last layer is a softmax; the loss takes logits, "
            "so it is applied at prediction only, not in training"
        ]
    return []
