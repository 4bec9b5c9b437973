"""What control groups leave of the memory: containers' limits, in both versions, nested ones included."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from harness.measuring import memory
from harness.measuring.memory import available_mb, group_memory_left
from tests.harness.measuring.test_quota import MEMORY, V1, V2, tree


def group(version: int, folder: str, limit: str, used: int, cache: int = 0) -> dict[str, str]:
    place = f"sys/fs/cgroup{folder}" if version == 2 else f"sys/fs/cgroup/memory{folder}"
    names = {1: ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"), 2: ("max", "current", "inactive_file")}
    top, now, line = names[version]
    return {
        f"{place}/memory.{top}": f"{limit}\n",
        f"{place}/memory.{now}": f"{used}\n",
        f"{place}/memory.stat": f"anon 5\n{line} {cache}\n",
    }


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "left"),
    [
        ("0::/\n", V2, group(2, "", "4000", 1500), 2500),  # docker run --memory
        ("0::/\n", V2, group(2, "", "4000", 1500, cache=1000), 3500),
        ("0::/\n", V2, group(2, "", "max", 1500), None),
        ("0::/\n", V2, group(2, "", "4000", 5000), 0),
        ("0::/\n", V2, {}, None),
        ("0::/a/b\n", V2, group(2, "/a", "4000", 3000) | group(2, "/a/b", "9000", 100), 1000),
        ("4:memory:/\n", MEMORY, group(1, "", "4000", 1500, cache=500), 3000),
        ("4:memory:/docker/1f\n", MEMORY.replace(" / ", " /docker/1f ", 1), group(1, "", "700", 200), 500),
        ("4:cpu,cpuacct:/\n", V1 + MEMORY, group(1, "", "4000", 1500), None),
    ],
)
def test_the_tightest_limit_counts(
    groups: str, mounts: str, files: dict[str, str], left: int | None, tmp_path: Path
) -> None:
    assert group_memory_left(tree(tmp_path, groups, mounts, files)) == left


def test_a_limit_is_seen_where_it_is_tighter_than_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "group_memory_left", lambda: 3 * 2**20)
    assert available_mb() == 3
    monkeypatch.setattr(memory, "group_memory_left", lambda: None)
    assert available_mb() == pytest.approx(psutil.virtual_memory().available / 2**20, rel=0.5)
