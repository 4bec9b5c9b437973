"""Proofs in the user's cache, by the content of all that they depend on: nothing else lets one be used again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from harness.measuring.machine import instruction_sets
from harness.planning.plan import RunPlan
from results.files import write_atomic
from results.record import Proof
from specs.identity import architecture_sha256, recipe_sha256
from specs.program import CODE


def remembered(plan: RunPlan, python: Path, prove: Callable[[], Proof]) -> Proof:
    """The proof of a plan's case that was made before, else a new one. What a worker's death broke is not kept."""
    file = _file(plan, python)
    if file.is_file():
        try:
            return Proof.model_validate_json(file.read_bytes())
        except ValidationError:  # a damaged file is as good as none
            pass
    proof = prove()
    if proof.error is not None or proof.status == "unsupported":
        write_atomic(file, proof.model_dump_json(indent=2) + "\n")
    return proof


def _file(plan: RunPlan, python: Path) -> Path:
    import platformdirs

    content = [
        architecture_sha256(plan.architecture),
        recipe_sha256(plan.recipe),
        *(plan.backend.name, plan.tuning, plan.precision, plan.threads, plan.device),
        *_packages(python),
        instruction_sets(),
        _code(),
    ]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    return Path(platformdirs.user_cache_dir("framework-harness")) / "proofs" / f"{plan.backend.name}-{digest}.json"


def _packages(python: Path) -> Iterator[str]:
    """The interpreter and every package that is installed beside it, by name and version."""
    yield str(python)
    places = (python.parent.parent / "lib").glob("python*/site-packages/*.dist-info")
    yield from sorted(place.name for place in places)


@cache
def _code() -> str:
    """A digest of all that computes or judges."""
    digest = hashlib.sha256()
    for room in ("specs", "backends", "harness/conformance", "harness/proving", "harness/worker"):
        for source in sorted((CODE / room).rglob("*.py")):
            digest.update(str(source.relative_to(CODE)).encode() + source.read_bytes())
    return digest.hexdigest()
