"""``python -m harness report``: what it prints where, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.results.records import record, study, write

ROOT = Path(__file__).parents[2]


def command(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "harness", "report", *map(str, arguments)]
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def test_the_table_and_the_path_on_stdout(tmp_path: Path) -> None:
    made = write(tmp_path / "results" / "runs" / "demo", study(rounds=2))
    done = command("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("results/runs/demo/report.html")
    assert "mlp on mnist" in done.stdout
    assert "trains fastest" in done.stdout
    assert "\x1b" not in done.stdout
    assert (made.path / "report.html").is_file()


def test_wrong_requests_are_one_line_and_status_2(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record()])
    for arguments, said in (
        ([tmp_path / "nothing"], "is not a result set"),
        ([made.path, "--baseline", "toch"], "did you mean 'torch'?"),
        ([made.path, "--lang", "klingon"], "unknown language 'klingon'"),
        ([], "sets"),
    ):
        done = command(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
        assert done.stdout == ""
