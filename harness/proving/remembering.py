"""Proofs kept in the user's cache.

A file's name is the hash of all that the proof depends on: case, packages, machine and code. Where any of it has
changed, no file is found and the proof is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from harness.measuring.machine import gpus, instruction_sets
from harness.planning.plan import RunPlan
from results.files import write_atomic
from results.record import Proof
from specs.identity import architecture_sha256, recipe_sha256
from specs.program import CODE

_LIST = """
import os, sys
places = filter(os.path.isdir, sys.path)
print(sys.version, *sorted(name for place in places for name in os.listdir(place) if name.endswith("-info")), sep="\\n")
"""


def remembered(plan: RunPlan, python: Path, prove: Callable[[], Proof]) -> Proof:
    """The proof of a plan's case from the cache, or a new one by ``prove``.

    A new one is kept if it measured an error or the case is unsupported, and not where a worker died over it.
    """
    packages = _packages(python)
    if not packages:  # its proof says what is wrong with it
        return prove()
    file = _file(plan, packages)
    if file.is_file():
        try:
            return Proof.model_validate_json(file.read_bytes())
        except ValidationError:  # a damaged file is as good as none
            pass
    proof = prove()
    if proof.error is not None or proof.status == "unsupported":
        write_atomic(file, proof.model_dump_json(indent=2) + "\n")
    return proof


def _file(plan: RunPlan, packages: list[str]) -> Path:
    import platformdirs

    content = [
        architecture_sha256(plan.architecture),
        recipe_sha256(plan.recipe),
        *(plan.backend.name, plan.tuning, plan.precision, plan.threads, plan.device),
        *packages,
        *_machine(plan.device),
        _code(),
    ]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    return Path(platformdirs.user_cache_dir("framework-harness")) / "proofs" / f"{plan.backend.name}-{digest}.json"


def _machine(device: str) -> list[str | None]:
    """What decides which kernels run: instruction sets, library path, accelerators. Machines may share one cache."""
    accelerator = [] if device == "cpu" else [gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")]
    return [instruction_sets(), os.environ.get("LD_LIBRARY_PATH"), *accelerator]


def _packages(python: Path) -> list[str]:
    """The interpreter, its version and every package that it finds, by name and version; none where it does not start.

    It is asked, because it may be a script that starts another, or take packages from several places.
    """
    try:
        said = subprocess.run([python, "-I", "-c", _LIST], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(python), *said.stdout.splitlines()]


@cache
def _code() -> str:
    """The SHA-256 of all source files that compute or judge."""
    digest = hashlib.sha256()
    for room in ("specs", "backends", "harness/conformance", "harness/proving", "harness/worker"):
        for source in sorted((CODE / room).rglob("*.py")):
            digest.update(str(source.relative_to(CODE)).encode() + source.read_bytes())
    return digest.hexdigest()
