"""The program as such: its version, and whose modules it imports wherever it is started."""

from pathlib import Path

import pytest

from specs.program import VERSION
from tests.harness.cli.commands import harness

HOSTILE = ("results", "specs", "backends", "yaml", "platform", "numpy", "rich", "torch")


def test_version_and_short_help() -> None:
    assert harness("--version").stdout == f"framework-harness {VERSION}\n"
    assert harness("-h").stdout == harness("--help").stdout
    assert harness("run", "-h").stdout == harness("run", "--help").stdout


@pytest.mark.parametrize("path", ["", ":", "."])
def test_modules_in_the_current_folder_are_not_imported(path: str, tmp_path: Path) -> None:
    """Not by the command line and not by a worker, even where an empty entry of PYTHONPATH names that folder."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')\n")
    environment = {"PYTHONPATH": f"{path}:{Path(__file__).parents[3]}"} if path else {}
    run = "run --backend numpy --model mlp --dataset digits --limit-train 64 --limit-test 32 --epochs 1 --no-save"
    for words in ("list", "show mlp", run):
        done = harness(*words.split(), cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
