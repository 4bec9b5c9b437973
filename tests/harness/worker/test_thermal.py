"""The processor's frequency, temperature and throttling, from trees as the kernel lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.running.figures import noise
from harness.worker.reports import Disturbance
from harness.worker.thermal import Thermal


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /sys of two CPUs at 2.0 and 3.0 GHz, 45 and 61 °C, one throttled three times; a disk at 70 °C."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    sys = tmp_path / "sys"
    for number, khz in enumerate((2_000_000, 3_000_000)):
        write(sys / f"devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq", khz)
        write(sys / f"devices/system/cpu/cpu{number}/thermal_throttle/core_throttle_count", 3 * number)
    write(sys / "devices/system/cpu/cpufreq/policy0", "no cpu")
    for number, (kind, millidegrees) in enumerate(
        [("cpu-thermal", 45_000), ("x86_pkg_temp", 61_000), ("nvme", 70_000)]
    ):
        write(sys / f"class/thermal/thermal_zone{number}/type", kind)
        write(sys / f"class/thermal/thermal_zone{number}/temp", millidegrees)
    return sys


def write(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def test_what_the_kernel_tells_is_read(tree: Path, tmp_path: Path) -> None:
    assert Thermal.now(tree, tmp_path / "none") == Thermal(mhz=2500.0, celsius=61.0, throttles=3)


def test_what_it_does_not_tell_is_absent(tmp_path: Path) -> None:
    nothing = Thermal.now(tmp_path, tmp_path / "none")
    assert nothing == Thermal(None, None, None)
    assert nothing.since(nothing, Disturbance()) == Disturbance()
    (tmp_path / "cpuinfo").write_text("processor\t: 0\ncpu MHz\t\t: 2100.5\n\nprocessor\t: 1\ncpu MHz\t\t: 1899.5\n")
    assert Thermal.now(tmp_path, tmp_path / "cpuinfo").mhz == 2000.0


def test_a_file_that_cannot_be_read_or_means_nothing_is_passed_over(tree: Path, tmp_path: Path) -> None:
    write(tree / "class/thermal/thermal_zone1/temp", "")
    (tree / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").unlink()
    assert Thermal.now(tree, tmp_path / "none") == Thermal(mhz=3000.0, celsius=45.0, throttles=3)


def test_throttling_makes_a_run_noisy(tree: Path, tmp_path: Path) -> None:
    before = Thermal.now(tree, tmp_path / "none")
    quiet = noise(0.0, before.since(before, Disturbance()))
    assert quiet.noisy is False
    assert (quiet.cpu_mhz_before, quiet.cpu_celsius_after, quiet.thermal_throttles) == (2500.0, 61.0, 0)
    write(tree / "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 4)
    hot = noise(0.0, Thermal.now(tree, tmp_path / "none").since(before, Disturbance()))
    assert hot.noisy is True
    assert hot.reasons == ("the processor slowed down because of heat (4 times)",)
