"""Digests of a checkpoint's files: one flipped bit is found, wherever it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specs.errors import RequestError

MANIFEST = "checkpoint.json"
FILES = ("model.safetensors", "optimizer.safetensors", "architecture.yaml", "recipe.yaml")


def digests(folder: Path, manifest: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of the files beside the manifest, and of the manifest's own content as it will be but for them."""
    return {**{name: _of_file(folder / name) for name in FILES}, MANIFEST: _of_content(manifest)}


def check_digest(file: Path, known: Mapping[str, str] | None, content: dict[str, Any] | None = None) -> None:
    """Raise RequestError where a file is not what ``known`` says; None knows nothing: an older checkpoint.

    ``content`` is the manifest's, as it was read, where the file is that.
    """
    if known is not None and known.get(file.name) != (_of_content(content) if content else _of_file(file)):
        raise RequestError(f"{file}: damaged or changed after it was written: its SHA-256 differs from {MANIFEST}'s")


def _of_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _of_content(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
