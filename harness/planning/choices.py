"""What a user may choose: each option in one place, for flags, study files and the commands that records hold."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from harness.planning import options
from specs.program import PROGRAM


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What runs and comparisons have in common. None means the recipe's, or the machine's own."""

    recipe: options.RecipeName = None
    epochs: options.Epochs = None
    batch_size: options.BatchSize = None
    limit_train: options.LimitTrain = None
    limit_test: options.LimitTest = None
    threads: options.Threads = None
    device: options.Device = "cpu"
    precision: options.Precision = None
    timeout: options.Timeout = None
    stall_timeout: options.StallTimeout = None
    memory_limit: options.MemoryLimit = None
    data_dir: options.DataDir = None

    def words(self) -> list[str]:
        """The command line's options that give these choices again, what is as by default left out."""
        words: list[str] = []
        for name, names, default in table(type(self)):
            value = getattr(self, name)
            if value is None or value == default:
                continue
            if isinstance(value, bool):
                words.append(names[0].split("/")[0 if value else 1])
            else:
                words += [names[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
        return words


@dataclass(frozen=True, kw_only=True)
class RunChoices(Choices):
    """One run: a backend and a model, or a checkpoint to resume, which says what else defines the training."""

    backend: options.Backend = None
    model: options.Model = None
    dataset: options.Dataset = None
    seed: options.Seed = None
    tuning: options.Manner = "recommended"
    python: options.Python = None
    out: options.Out = None
    save: options.Save = True
    proof: options.Proof = True
    stop_after: options.StopAfter = None
    resume: options.Resume = None
    expect: options.Expect = None


@dataclass(frozen=True, kw_only=True)
class RaceChoices(Choices):
    """Cases and who is compared on them: what a race by turns takes."""

    backends: options.Backends = ("all",)
    models: options.Models = ("all",)
    datasets: options.Datasets = ("mnist",)
    tuning: options.Manners = ("recommended",)
    baseline: options.Baseline = "torch"
    budget: options.Budget = 60.0
    precision_target: options.PrecisionTarget = 5.0
    proof: options.Proof = True


@dataclass(frozen=True, kw_only=True)
class ComparisonChoices(RaceChoices):
    """A comparison: see ``harness.planning.study``."""

    name: options.SetName
    seeds: options.Seeds = (0,)
    repeats: options.Repeats = 3
    race: options.Race = True
    retry_noisy: options.RetryNoisy = 0


@dataclass(frozen=True, kw_only=True)
class GateChoices(Choices):
    """What a base and a candidate are held against one another on, and how much worse the candidate may be."""

    models: options.GateModels = ("lenet5",)
    datasets: options.GateDatasets = ("digits",)
    seeds: options.GateSeeds = (0, 1, 2)
    max_slowdown: options.MaxSlowdown = 5.0
    max_memory: options.MaxMemory = 10.0
    max_accuracy_loss: options.MaxAccuracyLoss = 0.5
    budget: options.GateBudget = 120.0
    proof: options.Proof = True
    against: options.Against = None

    def common(self) -> dict[str, Any]:
        """What it has in common with runs and comparisons."""
        return {field.name: getattr(self, field.name) for field in fields(Choices)}


def table(cls: type) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Of each option its field, its names on the command line and its default; those in common stand last."""
    hints = get_type_hints(cls, include_extras=True)
    for field in sorted(fields(cls), key=lambda field: field.name in Choices.__annotations__):
        (option,) = hints[field.name].__metadata__
        # Within Annotated typer holds the first name as the option's default.
        given = () if option.default is ... else (option.default, *(option.param_decls or ()))
        names = given or (f"--{field.name.replace('_', '-')}",)
        yield field.name, names, field.default


def command_line(command: str, choices: Choices, *more: str) -> str:
    """What to type for these choices."""
    return shlex.join([*PROGRAM.split(), command, *choices.words(), *more])
