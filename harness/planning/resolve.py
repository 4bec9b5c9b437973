"""From the names on the command line to a plan: specs loaded, overrides applied, everything checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backends.registry import find
from harness.checkpoints import read_checkpoint
from harness.datasets import form_of
from harness.measuring.machine import available_cpus, default_threads
from harness.planning.choices import Choices, RunChoices
from harness.planning.manners import check_manner, manner
from harness.planning.plan import RunPlan
from harness.planning.resuming import resumed_recipe
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.loading import default_recipe, load_architecture, load_recipe
from specs.recipe import Recipe


def resolve_model(model: str, choices: Choices, dataset: str | None) -> tuple[Architecture, Recipe]:
    """The architecture and its recipe with what the user chose in place of the recipe's own. Raises RequestError.

    What the architecture leaves open, input shape and classes, is the data set's.
    """

    def recipe_of(name: str) -> Recipe:
        return load_recipe(choices.recipe) if choices.recipe is not None else default_recipe(name)

    architecture = load_architecture(model, lambda name: form_of(dataset or recipe_of(name).dataset))
    recipe = recipe_of(architecture.name)
    return architecture, replace(
        recipe,
        dataset=recipe.dataset if dataset is None else dataset,
        epochs=recipe.epochs if choices.epochs is None else choices.epochs,
        batch_size=recipe.batch_size if choices.batch_size is None else choices.batch_size,
    )


def plan_run(choices: RunChoices) -> tuple[RunPlan, list[str]]:
    """The plan of one run, and what to tell the user of it. Raises RequestError."""
    plan, notes = _new_run(choices) if choices.resume is None else _resumed_run(choices, choices.resume)
    check_manner(plan.backend, plan.tuning)
    return plan, notes


def _new_run(choices: RunChoices) -> tuple[RunPlan, list[str]]:
    if choices.backend is None or choices.model is None:
        missing = "--backend" if choices.backend is None else "--model"
        raise RequestError(f"{missing} is missing: run takes a --backend and a --model, or --resume and a checkpoint")
    architecture, recipe = resolve_model(choices.model, choices, choices.dataset)
    plan = RunPlan(
        backend=find(choices.backend),
        model=choices.model,
        architecture=architecture,
        recipe=recipe,
        recipe_named=choices.recipe or recipe.name,
        dataset=recipe.dataset,
        seed=choices.seed or 0,
        precision=choices.precision or "float32",
        limit_train=choices.limit_train,
        limit_test=choices.limit_test,
        device=choices.device,
        threads=resolve_threads(choices.threads),
        tuning=manner(choices.tuning),
    )
    return _as_it_runs(plan, choices), []


def _resumed_run(choices: RunChoices, folder: Path) -> tuple[RunPlan, list[str]]:
    """A run that a checkpoint continues: the checkpoint says what defines the training."""
    for name in ("model", "recipe", "batch_size", "seed", "precision", "limit_train", "limit_test"):
        if getattr(choices, name) is not None:
            raise RequestError(f"--{name.replace('_', '-')} and --resume were both given: the checkpoint says it")
    checkpoint = read_checkpoint(folder)
    manifest = checkpoint.manifest
    recipe = resumed_recipe(checkpoint, dataset=choices.dataset, epochs=choices.epochs)
    plan = RunPlan(
        backend=find(choices.backend or manifest.backend),
        model=checkpoint.architecture.name,
        architecture=checkpoint.architecture,
        recipe=recipe,
        dataset=recipe.dataset,
        seed=manifest.seed,
        precision=manifest.precision,
        limit_train=manifest.limit_train,
        limit_test=manifest.limit_test,
        device=choices.device,
        threads=resolve_threads(choices.threads),
        tuning=manner(choices.tuning),
        resumed=checkpoint,
    )
    return _as_it_runs(plan, choices), checkpoint.notices()


def _as_it_runs(plan: RunPlan, choices: RunChoices) -> RunPlan:
    """The plan with its limits and places."""
    return replace(
        plan,
        timeout_s=choices.timeout,
        stall_timeout_s=choices.stall_timeout,
        memory_limit_mb=choices.memory_limit,
        data_dir=choices.data_dir,
        python=choices.python,
        out=choices.out,
        save=choices.save,
        stop_after=choices.stop_after,
        proof=choices.proof,
    )


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
