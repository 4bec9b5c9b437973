"""The command line as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def harness(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m harness`` with these words, in a process of its own; ``environment`` adds variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_one_line(outcome: subprocess.CompletedProcess[str], *said: str) -> None:
    """A wrong request: exit status 2, nothing on stdout, one line on stderr that says these things."""
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("error: ")
    for words in said:
        assert words in line
