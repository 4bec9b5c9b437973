"""What ``run`` says can be typed next, typed."""

import shlex
from pathlib import Path

from tests.harness.cli.commands import harness

RUN = "run --backend numpy --model mlp --dataset digits --limit-train 64 --limit-test 32 --epochs 1"
PROGRAM = "python -m harness "


def said_next(stderr: str) -> list[list[str]]:
    lines = stderr.partition("What can be typed next:")[2].splitlines()
    return [shlex.split(line.strip().removeprefix(PROGRAM)) for line in lines if PROGRAM in line]


def test_what_is_said_can_be_typed(tmp_path: Path) -> None:
    done = harness(*RUN.split(), "--out", "a set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    commands = said_next(done.stderr)
    assert [words[0] for words in commands] == ["report", "evaluate", "predict", "export"]
    for words in commands:
        typed = harness(*words, cwd=tmp_path)
        assert typed.returncode == 0, f"{words}: {typed.stderr}"


def test_without_a_checkpoint_there_is_the_report(tmp_path: Path) -> None:
    done = harness(*RUN.split(), "--no-save", "--out", "set", cwd=tmp_path)
    assert said_next(done.stderr) == [["report", "set"]]


def test_a_run_that_failed_offers_nothing(tmp_path: Path) -> None:
    done = harness(*RUN.split(), "--memory-limit", "1", "--out", "set", cwd=tmp_path)
    assert done.returncode == 1
    assert said_next(done.stderr) == []
