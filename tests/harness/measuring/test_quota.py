"""A container's quota of processor time, in both versions of control groups, nested ones included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.measuring import machine
from harness.measuring.quota import cpu_quota
from tests.harness.cli.commands import ROOT

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
MEMORY = "36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"


def tree(place: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """The root of a file system that says these things of its control groups."""
    for name, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    place = f"sys/fs/cgroup/cpu,cpuacct{folder}"
    return {f"{place}/cpu.cfs_quota_us": f"{quota}\n", f"{place}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),  # docker run --cpus=2
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/\n", V2, {}, None),  # the root group has no cpu.max
        (
            "0::/a.slice/b.scope\n",
            V2,
            {
                "sys/fs/cgroup/a.slice/cpu.max": "150000 100000\n",
                "sys/fs/cgroup/a.slice/b.scope/cpu.max": "max 100000\n",
            },
            1.5,
        ),
        (
            "0::/a.slice/b.scope\n",
            V2,
            {
                "sys/fs/cgroup/a.slice/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a.slice/b.scope/cpu.max": "30000 10000\n",
            },
            3.0,
        ),
        ("0::/../other\n", V2, {"sys/fs/cgroup/cpu.max": "100000 50000\n"}, 2.0),  # a group outside the namespace
        ("4:cpu,cpuacct:/\n3:memory:/\n", V1 + MEMORY, v1("", 250_000), 2.5),
        ("4:cpu,cpuacct:/\n", V1, v1("", -1), None),
        # Docker without a namespace of groups: the mount shows the container's own group as its top.
        ("4:cpu,cpuacct:/docker/1f\n", V1.replace(" / ", " /docker/1f ", 1), v1("", 50_000), 0.5),
        ("4:cpu,cpuacct:/docker/1f\n", V1, v1("/docker", 300_000) | v1("/docker/1f", -1), 3.0),
        ("4:cpu,cpuacct:/\n0::/\n", V1 + V2.replace("/cgroup ", "/cgroup/unified "), v1("", 100_000), 1.0),
        ("4:cpuset:/\n0::/\n", MEMORY, {}, None),
        ("0::/\n", V2.replace("/sys/fs/cgroup", "/my\\040groups"), {"my groups/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "nonsense\n"}, None),
    ],
)
def test_the_tightest_quota_counts(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(tree(tmp_path, groups, mounts, files)) == quota


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "cpus", "threads"), [(None, 8, 8), (2.0, 8, 2), (1.5, 8, 1), (0.5, 8, 1), (16.0, 8, 8), (7.99, 8, 7)]
)
def test_threads_are_as_many_as_can_run_all_the_time(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cpus: int, threads: int
) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    monkeypatch.setattr(machine, "available_cpus", lambda: cpus)
    assert machine.default_threads() == threads


@pytest.fixture
def limited() -> Iterator[Path]:
    """A control group of version 1 with a quota of one processor and a half; where none can be made: skipped."""
    group = Path("/sys/fs/cgroup/cpu") / f"harness-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (group / "cpu.cfs_quota_us").write_text("150000")
    except OSError as error:
        group.rmdir()
        pytest.skip(f"no quota can be set here: {error}")
    yield group
    group.rmdir()


@pytest.mark.alone  # side by side each test has one processor
@pytest.mark.skipif(machine.available_cpus() < 2, reason="with one processor a quota of 1.5 bounds nothing")
def test_a_real_quota_is_in_the_doctors_words_and_in_the_record(limited: Path, tmp_path: Path) -> None:
    run = "run --backend numpy --model mlp --dataset digits --limit-train 50 --epochs 1 --no-save --json"
    said = []
    for words in ("doctor numpy", f"{run} --out {tmp_path}"):
        command = f"echo $$ > {limited}/cgroup.procs && exec {sys.executable} -m harness {words}"
        said.append(subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True))
    assert "lets it use the time of 1.5: --threads is 1 unless you say otherwise" in said[0].stderr
    record = json.loads(said[1].stdout)
    assert record["threads"] == 1
    assert record["environment"]["cpu_quota"] == 1.5
