"""A finding as a folder: the smallest network as YAML, the figures, and a reproduction in the framework alone."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from backends.registry import Manner
from harness.hunting.judging import Disagreement
from harness.hunting.reproduction import reproduction
from harness.hunting.trial import Trial
from results.files import explained
from specs.codec import to_plain


def write_finding(
    folder: Path, backend: str, trial: Trial, found: Disagreement, *, tuning: Manner, seed: int, number: int
) -> None:
    """network.yaml, finding.json and, where there is one, reproduction.py. Raises StoreError."""
    plain = to_plain(trial)
    network = plain.pop("architecture")
    source = reproduction(backend, trial, found, title=f"seed {seed}, trial {number} of a hunt")
    finding = {
        "backend": backend,
        "tuning": tuning,
        "seed": seed,
        "number": number,
        "trial": plain,
        "disagreement": to_plain(found),
        "reproduction": "reproduction.py" if isinstance(source, str) else source.why_not,
    }
    with explained("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.yaml").write_text(yaml.safe_dump(network, sort_keys=False), encoding="utf-8")
        (folder / "finding.json").write_text(json.dumps(finding, indent=2), encoding="utf-8")
        if isinstance(source, str):
            (folder / "reproduction.py").write_text(source, encoding="utf-8")
