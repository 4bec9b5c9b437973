"""No stream that a command is given ends it: not in ASCII, closed, full, nor a pipe whose reader has gone."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.harness.cli.commands import ROOT, harness

COMMANDS = {
    "help": "compare --help",
    "list": "list",
    "show": "show zh.yaml",
    "dry-run": "compare --dry-run --backends numpy --models mlp --datasets digits --name dry",
    "report": "report set --lang zh",
    "evaluate": "evaluate --checkpoint CHECKPOINT --limit-test 50",
    "predict": "predict --checkpoint CHECKPOINT --index 1",
    "data": "data show --dataset digits --count 3",
    "run": "run --backend numpy --model mlp --dataset digits --limit-train 50 --epochs 1 --no-save --json --out set",
    "doctor": "doctor numpy",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a result set, a checkpoint in it, and a network whose title is Chinese."""
    folder = tmp_path_factory.mktemp("streams")
    words = "run --backend numpy --model mlp --dataset digits --limit-train 100 --epochs 1 -q --out set"
    done = harness(*words.split(), cwd=folder)
    assert done.returncode == 0, done.stderr
    text = (ROOT / "specs" / "architectures" / "mlp.yaml").read_text()
    (folder / "zh.yaml").write_text(text.replace("title: ", "title: 中文 "), encoding="utf-8")
    return folder


def shell(place: Path, command: str, ending: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as bash runs it, its streams as ``ending`` says; the status is the command's own."""
    (checkpoint,) = (place / "set" / "checkpoints").iterdir()
    words = COMMANDS[command].replace("CHECKPOINT", shlex.quote(str(checkpoint)))
    return subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m harness {words} {ending}; exit ${{PIPESTATUS[0]}}"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_in_ascii(place: Path, command: str) -> None:
    done = shell(place, command, "", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout
    assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("command", COMMANDS)
def test_stderr_is_closed_and_the_reader_of_stdout_leaves(place: Path, command: str) -> None:
    done = shell(place, command, "2>&- | head -1")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_stdout_is_full(place: Path, command: str) -> None:
    """What was asked for is not all there, and no status 0 may say that it is."""
    done = shell(place, command, "> /dev/full")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: stdout: No space left on device")


@pytest.mark.parametrize("ending", [">&-", "2>/dev/full", "2>&1 | true", "<&- >&- 2>&-"])
def test_nobody_listens(place: Path, ending: str) -> None:
    """A run does its work and says so by its status and its record."""
    records = place / "set" / "records.jsonl"
    before = len(records.read_text().splitlines())
    assert shell(place, "run", ending).returncode == 0
    assert len(records.read_text().splitlines()) == before + 1


def test_a_wrong_request_keeps_its_status_unheard(place: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m harness shwo 2>&-"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b""


@pytest.mark.parametrize(
    "words",
    [
        "run --backend numpy --model mlp --dataset digits --out LONG",
        "run --backend numpy --model mlp --data-dir LONG",
        "data show --dataset digits --out LONG",
        "evaluate --checkpoint LONG",
        "show LONG.yaml",
        "report LONG",
        "compare LONG",
    ],
)
def test_a_name_too_long_is_one_line(words: str) -> None:
    done = harness(*words.replace("LONG", "a" * 300).split())
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "aaa" in line


RUN = "run --backend numpy --model mlp --dataset digits --limit-train 200 --limit-test 50 --epochs 1 --no-save -q --out"


def test_quiet_hides_no_outcome_and_too_little_memory_is_called_so(tmp_path: Path) -> None:
    """The least that works is said, and works."""
    failed = harness(*RUN.split(), str(tmp_path), "--memory-limit", "1")
    assert failed.returncode == 1
    assert "epoch" not in failed.stderr
    said = r"1 MiB are too little for NumPy to start: the least that works is --memory-limit (\d+)"
    found = re.search(said, failed.stderr)
    assert found, failed.stderr
    done = harness(*RUN.split(), str(tmp_path), "--memory-limit", found[1])
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stderr
    assert "epoch" not in done.stderr


def test_a_python_without_numpy_is_named_as_the_cause(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    failed = harness(*RUN.split(), str(tmp_path / "set"), "--python", str(python))
    assert failed.returncode == 1
    assert "exit code 1: ModuleNotFoundError: No module named 'numpy'" in failed.stderr
    assert "The interpreter given with --python is at fault" in failed.stderr
    failed = harness(*RUN.split(), str(tmp_path / "set"), HARNESS_PYTHON_NUMPY=str(python))
    assert "The interpreter named in HARNESS_PYTHON_NUMPY is at fault" in failed.stderr


@pytest.mark.parametrize(
    "command", ["run --backend numpy --no-save --model", "compare --backends numpy --repeats 1 --models"]
)
def test_letters_that_the_locale_lacks(tmp_path: Path, command: str) -> None:
    """Python then has the bytes of a path as surrogates; the record has the letters."""
    (tmp_path / "数据 集").mkdir()
    text = (ROOT / "specs" / "architectures" / "mlp.yaml").read_text()
    (tmp_path / "数据 集" / "网.yaml").write_text(text)
    words = [*command.split(), "数据 集/网.yaml", "--dataset", "digits", "--limit-train", "50", "--epochs", "1"]
    c_locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = harness(*words, "--out", "数据 集/set", cwd=tmp_path, **c_locale)
    assert done.returncode == 0, done.stderr
    (records,) = (tmp_path / "数据 集" / "set").rglob("records.jsonl")
    assert "数据 集/网.yaml" in json.loads(records.read_text(encoding="utf-8"))["command"]
