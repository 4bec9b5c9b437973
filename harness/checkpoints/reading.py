"""A checkpoint from its folder, without trust in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from backends.contract import Arrays
from harness.checkpoints.digests import MANIFEST, check_digest
from harness.checkpoints.manifest import FORMAT, CheckpointManifest
from harness.checkpoints.tensors import model_tensors, optimizer_tensors, read_tensors
from results.files import TEMPORARY, read_bounded
from results.manifest import first_problem
from specs.architecture import Architecture
from specs.errors import RequestError, unknown
from specs.loading import load_architecture, load_recipe
from specs.recipe import Recipe

MOST_MANIFEST_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """``parameters`` holds buffers too, as float32, or float64 where that is the checkpoint's precision."""

    folder: Path
    manifest: CheckpointManifest
    architecture: Architecture
    recipe: Recipe
    parameters: Arrays

    def optimizer_state(self) -> Arrays:
        """ "step" and every slot of every parameter, read now. Raises RequestError as ``read_checkpoint`` does."""
        expected = optimizer_tensors(self.architecture, self.recipe.optimizer, self.manifest.precision)
        owner = f"the {self.recipe.optimizer.kind} of {self.architecture.name!r}"
        file = member(self.folder, "optimizer.safetensors")
        state = read_tensors(file, expected, owner=owner)
        check_digest(file, self.manifest.sha256)
        return state

    def dataset(self) -> str:
        """The data set trained on, as it is asked for from here: its name, or the path that leads to it now.

        The way from the checkpoint's folder goes before the path as it was typed. Raises RequestError for neither.
        """
        named, way = self.manifest.dataset, self.manifest.dataset_from_here
        if way is None:
            return named
        place = (self.folder.resolve() / way).resolve()
        if not place.exists() and not Path(named).exists():
            raise RequestError(
                f"{self.folder}: the data set it was trained on is neither {place} nor {named} in the current folder: "
                "--dataset says where it is"
            )
        return str(place) if place.exists() else named

    def notices(self) -> list[str]:
        """What a user should be told of a checkpoint that is valid but may not be what they think."""
        broken = [name for name, array in self.parameters.items() if not np.isfinite(array).all()]
        if not broken:
            return []
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return [f"{self.folder}: the tensor {broken[0]!r}{more} holds values that are not finite (NaN or infinity)"]


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in ``folder``. Raises RequestError of one line that names the file, and the tensor where one is.

    Refused are files that are missing, truncated, no safetensors or beyond their bounds, tensors that are missing,
    surplus or of another shape or dtype than the architecture's, links that lead out of the folder, and any file whose
    digest is not the manifest's.
    """
    if not (folder / MANIFEST).is_file():
        raise _no_checkpoint(folder)
    content, manifest = _manifest(member(folder, MANIFEST))
    architecture = load_architecture(member(folder, "architecture.yaml"))
    recipe = load_recipe(member(folder, "recipe.yaml"))
    if manifest.epochs > recipe.epochs:
        raise RequestError(
            f"{folder / 'checkpoint.json'}: {manifest.epochs} epochs are done, recipe.yaml plans {recipe.epochs}"
        )
    expected = model_tensors(architecture, manifest.precision)
    owner = f"architecture {architecture.name!r} in {manifest.precision}"
    parameters = read_tensors(member(folder, "model.safetensors"), expected, owner=owner)
    check_digest(folder / MANIFEST, manifest.sha256, content)
    for name in ("architecture.yaml", "recipe.yaml", "model.safetensors"):
        check_digest(folder / name, manifest.sha256)
    return Checkpoint(folder=folder, manifest=manifest, architecture=architecture, recipe=recipe, parameters=parameters)


def member(folder: Path, name: str) -> Path:
    """A file of a checkpoint. Raises RequestError where it is missing, no file, or a link that leads out."""
    file = folder / name
    if not file.is_file():  # opening a pipe would wait for ever
        raise RequestError(f"{file}: {'not a file' if file.exists() else 'missing from the checkpoint'}")
    if not file.resolve().is_relative_to(folder.resolve()):
        raise RequestError(f"{file} is a link that leads out of the checkpoint")
    return file


def _manifest(file: Path) -> tuple[dict[str, Any], CheckpointManifest]:
    """checkpoint.json as it was read, and what it means."""
    try:
        data = json.loads(read_bounded(file, MOST_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{file}: not JSON: {error}") from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        newer = isinstance(found, int) and found > FORMAT
        advice = "upgrade the harness to read it" if newer else "not the checkpoint.json of a checkpoint"
        raise RequestError(f"{file}: format {found!r:.40}, this harness knows {FORMAT}: {advice}")
    try:
        return data, CheckpointManifest.model_validate(data)
    except ValidationError as error:
        raise RequestError(f"{file}: {first_problem(error)}") from None


def _no_checkpoint(folder: Path) -> RequestError:
    """Says what there is instead: checkpoints inside the folder, or beside one that is not there."""
    within = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    if held := _checkpoints_in(within):
        return RequestError(f"{folder} holds checkpoints; name one of them: {', '.join(map(str, held[-3:]))}")
    if not folder.exists() and (beside := _checkpoints_in(folder.parent)):
        return unknown("checkpoint", folder.name, [path.name for path in beside[-10:]], where=str(folder.parent))
    problem = "not a folder" if folder.is_file() else "no such folder" if not folder.exists() else "no checkpoint"
    return RequestError(f"{folder}: {problem}: a checkpoint is a folder with a checkpoint.json, as run --save makes it")


def _checkpoints_in(folder: Path) -> list[Path]:
    try:
        found = sorted(path.parent for path in folder.glob("*/checkpoint.json"))
    except OSError:
        return []
    return [path for path in found if not path.name.startswith(TEMPORARY)]
