"""Who else is at work, by the names of commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.measuring.others import used_by_others

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def stat(place: Path, pid: int, name: str, parent: int, user: int, system: int) -> None:
    """/proc/PID/stat as proc(5) has it, as far as the times."""
    (place / str(pid)).mkdir()
    (place / str(pid) / "stat").write_text(
        f"{pid} ({name}) R {parent} 1 1 0 -1 0 0 0 0 0 {user * TICKS_A_SECOND} {system * TICKS_A_SECOND} 70 70 20\n"
    )


def test_time_is_told_of_each_without_this_process_and_its_workers(tmp_path: Path) -> None:
    own = os.getpid()
    stat(tmp_path, own, "harness", 1, 100, 1)
    stat(tmp_path, own + 1, "worker", own, 100, 1)
    stat(tmp_path, own + 2, "cc1plus", 1, 3, 1)
    stat(tmp_path, own + 3, "cc1plus", 1, 2, 0)
    stat(tmp_path, own + 4, "odd) R (name", 1, 7, 0)
    (tmp_path / "7").mkdir()  # has ended
    assert used_by_others(tmp_path) == {
        own + 2: ("cc1plus", 4.0), own + 3: ("cc1plus", 2.0), own + 4: ("odd) R (name", 7.0),
    }  # fmt: skip


def test_one_that_is_there_is_seen() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE, process_group=0) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        assert "sleep" in {name for name, _ in used_by_others().values()}
        assert os.getpid() not in used_by_others()
        os.killpg(shell.pid, 9)
