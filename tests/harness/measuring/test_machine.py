"""What the machine is, read from a file system that says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.measuring.machine import gpus, machine, machine_id
from specs.program import CODE

ID = "0123456789abcdef" * 2


def test_the_gpus_by_the_drivers_files(tmp_path: Path) -> None:
    assert gpus(tmp_path) is None
    for number, name in enumerate(("NVIDIA H200", "NVIDIA A100-SXM4-40GB", "NVIDIA H200")):
        folder = tmp_path / f"proc/driver/nvidia/gpus/0000:{number}0:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 35\nGPU UUID: \t GPU-1\n")
    assert gpus(tmp_path) == "2 x NVIDIA H200, NVIDIA A100-SXM4-40GB"


def test_the_id_tells_machines_apart_and_is_not_the_systems(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/machine-id"
    file.write_text(f"{ID}\n")
    own = machine_id(tmp_path)
    assert own is not None
    assert len(own) == 12
    assert own not in ID
    assert machine_id(tmp_path) == own
    file.write_text(f"{ID[::-1]}\n")
    assert machine_id(tmp_path) != own


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", ID[:31]])
def test_without_an_id_there_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/machine-id").write_text(text)
    assert machine_id(tmp_path) is None


def test_this_machine_says_what_it_is() -> None:
    found = machine()
    assert found.instruction_sets
    assert found.hardware.cpu == found.cpu
    assert found.hardware.ram_gib
    assert found.hardware.ram_gib == pytest.approx((found.ram_mb or 0) / 1024, abs=0.5)


@pytest.mark.skipif(not (CODE / ".git").exists(), reason="of a checkout alone git is asked")
def test_git_that_is_late_on_a_busy_machine_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(command: list[str], **options: float) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", late)
    assert machine.__wrapped__().git_commit is None
