"""What a machine has, told without starting anything."""

from __future__ import annotations

from typing import Any

from backends.registry import frameworks
from harness.measuring.machine import machine
from harness.processes.environments import find_interpreter
from specs.errors import RequestError


def what_is_here() -> dict[str, Any]:
    """Processor, CPUs, memory in GiB, and the backends that have an environment here."""
    here = machine()
    return {
        "cpu": here.cpu or "unknown CPU",
        "cores": here.cores,
        "ram_gb": round((here.ram_mb or 0) / 1024),
        "backends": [name for name in frameworks() if _there(name)],
    }


def _there(name: str) -> bool:
    try:
        find_interpreter(name)
    except RequestError:
        return False
    return True
