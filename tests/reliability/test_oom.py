"""The kernel's out-of-memory killer, provoked for real in a memory cgroup of the worker's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.reliability.sweeps import FakeRun, carry_out

LIMIT = 400 * 2**20
# Version 1 mounts every controller apart; version 2 has one tree.
PLACES = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A memory cgroup of LIMIT bytes; skips where this process may make none."""
    for place, limit in PLACES:
        group = place / f"harness-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(LIMIT))
                with suppress(OSError):
                    (group / "memory.swap.max").write_text("0")
                yield group
                return
            finally:
                group.rmdir()
    pytest.skip("no memory cgroup can be made here: the kernel's OOM kill is not provoked")


def test_the_kernels_oom_kill_is_recorded_as_such(tmp_path: Path, small_cgroup: Path) -> None:
    culprit = FakeRun("culprit", {"train": "outgrow_cgroup", "cgroup": str(small_cgroup)}, {"timeout_s": 120.0})
    before, record, after = carry_out(tmp_path / "set", [FakeRun("before"), culprit, FakeRun("after")])
    assert (before.status, record.status, after.status) == ("ok", "out_of_memory", "ok")
    assert record.error is not None
    assert record.error.signal == "SIGKILL"
    assert "out-of-memory killer" in record.error.message
    assert "--batch-size" in (record.error.advice or "")
