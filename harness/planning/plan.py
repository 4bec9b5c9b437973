"""What is to be run: every choice of one run, resolved and checked before any worker starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backends.contract import PRECISIONS, SessionSpec
from backends.registry import MANNERS, Manner, Registration
from harness.checkpoints import Checkpoint
from harness.datasets import Dataset
from harness.inputs.prepare import dropout_seed
from harness.planning.choices import RunChoices, command_line
from specs.architecture import Architecture
from specs.errors import RequestError, unknown
from specs.recipe import Recipe

EXPECTED_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One run. ``model``, ``dataset`` and ``recipe_named`` are as the user named them; ``python`` None: its own.

    A run that resumes a checkpoint does what its recipe still has to do. ``stop_after`` ends a run early: the recipe's
    epochs stay what the learning-rate schedule is laid out for.
    """

    backend: Registration
    model: str
    architecture: Architecture
    recipe: Recipe
    dataset: str
    seed: int = 0
    round: int = 0
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    tuning: Manner = "recommended"
    data_dir: Path | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    python: Path | None = None
    timeout_s: float | None = None
    stall_timeout_s: float | None = None
    memory_limit_mb: int | None = None
    resumed: Checkpoint | None = None
    stop_after: int | None = None
    recipe_named: str | None = None
    out: Path | None = None
    save: bool = True
    proof: bool = True

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            meant = {"fp32": "float32", "single": "float32", "fp64": "float64", "double": "float64", "bf16": "bfloat16"}
            raise unknown("precision", self.precision, PRECISIONS, meant=meant)
        if self.tuning not in MANNERS:
            raise unknown("tuning", self.tuning, MANNERS)
        check_device(self.device)
        if self.threads < 1:
            raise RequestError(f"--threads must be at least 1, got {self.threads}")
        if not 0 <= self.seed < 2**63:
            raise RequestError(f"--seed must be from 0 to 2**63 - 1, got {self.seed}")
        for option, value in (("timeout", self.timeout_s), ("stall-timeout", self.stall_timeout_s)):
            if value is not None and not value > 0:
                raise RequestError(f"--{option} must be above 0 seconds, got {value:g}")
        if self.memory_limit_mb is not None and self.memory_limit_mb < 1:
            raise RequestError(f"--memory-limit must be at least 1 MiB, got {self.memory_limit_mb}")
        if self.stop_after is not None and not self.start_epoch < self.stop_after <= self.recipe.epochs:
            least = self.start_epoch + 1
            raise RequestError(f"--stop-after must be from {least} to {self.recipe.epochs}, got {self.stop_after}")

    @property
    def start_epoch(self) -> int:
        """How many epochs were done before this run."""
        return self.resumed.manifest.epochs if self.resumed else 0

    @property
    def epochs(self) -> range:
        """The epochs this run does, counted from 0."""
        return range(self.start_epoch, self.stop_after or self.recipe.epochs)

    @property
    def session(self) -> SessionSpec:
        """What the worker opens its session with."""
        return SessionSpec(
            architecture=self.architecture,
            optimizer=self.recipe.optimizer,
            label_smoothing=self.recipe.label_smoothing,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            seed=dropout_seed(self.seed, self.start_epoch),
            tuning=self.tuning,
        )

    @property
    def choices(self) -> RunChoices:
        """What a user would choose for this very run, all of it said."""
        new = self.resumed is None
        return RunChoices(
            backend=self.backend.subject,
            model=self.model if new else None,
            dataset=self.dataset,
            recipe=(self.recipe_named or self.recipe.name) if new else None,
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size if new else None,
            seed=self.seed if new else None,
            precision=self.precision if new else None,
            limit_train=self.limit_train if new else None,
            limit_test=self.limit_test if new else None,
            resume=self.resumed.folder if self.resumed else None,
            stop_after=self.stop_after,
            threads=self.threads,
            device=self.device,
            tuning=self.tuning,
            timeout=self.timeout_s,
            stall_timeout=self.stall_timeout_s,
            memory_limit=self.memory_limit_mb,
            data_dir=self.data_dir,
            python=self.python,
            out=self.out,
            save=self.save,
            proof=self.proof,
        )

    @property
    def own_files(self) -> list[str]:
        """What the user named by its path, and may change: model, recipe, data set, checkpoint."""
        choices = self.choices
        named = (choices.model, choices.recipe, choices.dataset, choices.resume)
        return [str(name) for name in named if name is not None and Path(name).exists()]

    def command(self, training: str | None = None) -> str:
        """The command line that repeats this run.

        With the fingerprint of its training it is refused once files of the user's own have changed.
        """
        expect = training[:EXPECTED_DIGITS] if training and self.own_files else None
        return command_line("run", replace(self.choices, expect=expect))


def check_device(device: str) -> None:
    """Raise RequestError unless ``device`` is cpu, cuda or cuda:N; whether it is there only the framework knows."""
    kind, _, index = device.partition(":")
    if device != "cpu" and not (kind == "cuda" and (index.isdigit() or device == "cuda")):
        meant = {"gpu": "cuda", "gpu0": "cuda:0", "nvidia": "cuda"}
        raise unknown("device", device, ["cpu", "cuda", "cuda:0"], meant=meant)


def check_fit(architecture: Architecture, dataset: Dataset, *, limit_train: int | None = None) -> list[str]:
    """What to tell of ``dataset`` under this network: how it was read, and the classes that its training part lacks.

    Raises RequestError unless the images are those the network takes and it has a class for every label.
    """
    shape = tuple(dataset.test_images.shape[1:])
    name, wanted = dataset.name, list(architecture.input)
    if shape != architecture.input:
        last = (*shape[1:], shape[0]) == architecture.input
        advice = (
            f"input is [channels, height, width]: write {list(shape)} into the model's file"
            if last
            else f"a model takes them whose file says input: {list(shape)}, or bring the images to {wanted}"
        )
        raise RequestError(
            f"model {architecture.name!r} takes images {wanted}, dataset {name!r} has {list(shape)}; {advice}"
        )
    classes = architecture.classes
    if dataset.classes > classes:
        least = int(min(dataset.train_labels.min(initial=dataset.classes), dataset.test_labels.min()))
        mend = (
            f"take {least} off every label, which count from 0, or " if 0 < least >= dataset.classes - classes else ""
        )
        raise RequestError(
            f"model {architecture.name!r} has {classes} classes, dataset {name!r} has {dataset.classes} "
            f"(labels {least} to {dataset.classes - 1}); {mend}a model has as many whose file says "
            f"classes: {dataset.classes} and whose last layer gives as many features"
        )
    notes = [f"{name}: {note}" for note in dataset.notes]
    if dataset.classes < classes:
        notes.append(f"{name}: its labels go to {dataset.classes - 1}, the model's to {classes - 1}")
    if limit_train is not None and (absent := set(dataset.train_labels) - set(dataset.train_labels[:limit_train])):
        notes.append(
            f"{name}: {len(absent)} of its {dataset.classes} classes are not among the first {limit_train} training "
            "samples: --limit-train takes them in the order of the file"
        )
    return notes
