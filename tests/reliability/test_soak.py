"""Many runs in one parent: its memory stays flat, and nothing is left of any of them.

100 runs by default; HARNESS_SOAK_RUNS asks for more (``make test-full``: 2,000).
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pytest

from tests.reliability.canned import canned_worker
from tests.reliability.sweeps import FakeRun, carry_out, fake_sweep

RUNS = int(os.environ.get("HARNESS_SOAK_RUNS", "100"))
WARM_UP = 20
MOST_GROWTH_MB = 8.0


@dataclass(frozen=True)
class Holdings:
    """What the parent holds of the machine."""

    descriptors: int
    threads: int
    children: int
    temporary: int

    @classmethod
    def now(cls, folder: Path) -> Holdings:
        """Count them; ``folder`` is where temporary files go."""
        return cls(
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            children=len(psutil.Process().children(recursive=True)),
            temporary=len(list(folder.iterdir())),
        )


def test_memory_is_flat_and_nothing_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    python = canned_worker(tmp_path / "canned")
    runs = [FakeRun(f"run-{number}", {}, {"python": python}) for number in range(RUNS + WARM_UP)]
    carry_out(tmp_path / "set", runs[:WARM_UP])
    with fake_sweep(tmp_path / "set", runs) as (sweep, listen):
        before, memory = Holdings.now(temporary), _memory_mb()
        sweep.run(listen, lambda record: None)
        after, growth = Holdings.now(temporary), _memory_mb() - memory
        rows, damaged = sweep.results.rows()
    print(f"{RUNS} runs: memory grew by {growth:.1f} MiB; {asdict(after)}")
    assert [(row.run_id, row.status) for row in rows] == [(run.name, "ok") for run in runs]
    assert damaged == []
    assert after == before
    assert growth < MOST_GROWTH_MB
    files = {path.name for path in (tmp_path / "set").rglob("*") if path.is_file()} - {"worker.log"}
    assert {name for name in files if not name.endswith(".png")} == {
        "set.json",
        "records.jsonl",
        "samples.jsonl",
        ".lock",
    }


def _memory_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20
