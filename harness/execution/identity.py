"""Which machine it is, and whether two have the same harness."""

from __future__ import annotations

import hashlib
import json

from results.record import MachineRecord
from specs.program import CODE


def fingerprint_of(machine: MachineRecord) -> str:
    """Of a machine's hardware and id: ratios are taken within one machine, and this tells which a record is of."""
    return hashlib.sha256(json.dumps([*machine.hardware, machine.machine_id]).encode()).hexdigest()[:12]


def code_sha256() -> str:
    """A digest of everything here that a run or a race goes through, the pins of the environments too."""
    digest = hashlib.sha256()
    for room in ("specs", "backends", "harness", "results"):
        for pattern in ("*.py", "*.txt"):
            for file in sorted((CODE / room).rglob(pattern)):
                digest.update(f"{file.relative_to(CODE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
