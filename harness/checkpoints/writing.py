"""A checkpoint into its folder: it appears whole, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.contract import Arrays
from harness.checkpoints.digests import MANIFEST, digests
from harness.checkpoints.manifest import CheckpointManifest
from harness.checkpoints.tensors import write_tensors
from results.files import TEMPORARY, explained, publish
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.document import to_yaml
from specs.recipe import Recipe

NATIVE = "native"
"""The folder of a checkpoint that the framework fills itself."""


@contextmanager
def gathered(place: Path) -> Iterator[Path]:
    """A folder to write a checkpoint into, which becomes ``place`` on leaving; an exception leaves nothing behind.

    A checkpoint that was there before is replaced. Raises StoreError where the storage refuses.
    """
    partial = place.parent / f"{TEMPORARY}{place.name}"
    with explained("write", place):
        shutil.rmtree(partial, ignore_errors=True)  # a killed process left it
        (partial / NATIVE).mkdir(parents=True)
    try:
        yield partial
        with explained("write", place):
            publish(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_checkpoint(
    folder: Path,
    *,
    manifest: CheckpointManifest,
    architecture: Architecture,
    recipe: Recipe,
    parameters: Arrays,
    optimizer_state: Arrays,
) -> None:
    """Write all but what the framework writes itself into a folder made by ``gathered``. Raises StoreError."""
    with explained("write", folder):
        write_tensors(folder / "model.safetensors", parameters)
        write_tensors(folder / "optimizer.safetensors", optimizer_state)
        (folder / "architecture.yaml").write_text(to_yaml(to_plain(architecture)), encoding="utf-8")
        (folder / "recipe.yaml").write_text(to_yaml(to_plain(recipe)), encoding="utf-8")
        content = json.loads(manifest.model_dump_json(exclude={"sha256"}))
        content["sha256"] = digests(folder, content)
        (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
