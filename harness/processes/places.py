"""Where the environments stand, and in which variant each backend is used here: for CPUs, or for NVIDIA's GPUs."""

from __future__ import annotations

import os
from pathlib import Path

from harness.processes.pins import VARIANTS


def root() -> Path:
    """Where managed environments live: HARNESS_ENVS, else the user's cache."""
    if configured := os.environ.get("HARNESS_ENVS"):
        return Path(configured).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "envs"


def variant_of(backend: str) -> str:
    """That which was set up last, at first the one for CPUs."""
    try:
        kept = _file(backend).read_text().strip()
    except OSError:
        return VARIANTS[0]
    return kept if kept in VARIANTS else VARIANTS[0]


def keep_variant(backend: str, variant: str) -> None:
    """Use this one from now on."""
    root().mkdir(parents=True, exist_ok=True)
    partial = _file(backend).with_suffix(".partial")
    partial.write_text(f"{variant}\n")
    partial.replace(_file(backend))


def _file(backend: str) -> Path:
    return root() / f"{backend}.variant"
