"""docs/extending.md is carried out: its files are written into a copy of the source tree, its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from results.record import Record
from tests.test_docs import ROOT, indented_blocks

DOCUMENT = (ROOT / "docs" / "extending.md").read_text()
REGISTRY = "backends/registry.py"
OF_EVERY_BACKEND = (
    *("tests/test_structure.py", "tests/test_constraints.py", "tests/harness/hunting/test_reproduction.py"),
    *("tests/conformance/test_adapter_mistakes.py", "tests/conformance/test_backends.py"),
)
"""Files of tests that take the backends from the registry."""


def files() -> dict[str, str]:
    """Path to content of every block under a caption like "`path`:"."""
    found = {}
    for caption, block in re.findall(r"^`([\w./]+)`[^\n]*:\n\n((?:    .*\n|\n)+)", DOCUMENT, flags=re.MULTILINE):
        # Commands may follow a file at once: they are a block of their own, after an empty line.
        found[caption] = indented_blocks(re.split(r"\n(?=    python )", block)[0])[0]
    return found


def commands() -> list[str]:
    """Every line of a block that is a command, in the order of the page."""
    return re.findall(r"^    (python .*)$", DOCUMENT, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree with the files of the page in it."""
    copy = tmp_path_factory.mktemp("tree")
    for room in ("specs", "backends", "harness", "results", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "runs", "reference")
        shutil.copytree(ROOT / room, copy / room, ignore=ignored)
    for path in ("pyproject.toml", "constraints.txt", "docs/semantics.md"):
        (copy / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    for path, content in files().items():
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text(content if path != REGISTRY else registered(content))
    return copy


def registered(line: str) -> str:
    """The registry with one more line in its tuple."""
    registry = (ROOT / REGISTRY).read_text()
    assert registry.count("\n)\n# fmt: on") == 1
    return registry.replace("\n)\n# fmt: on", f"\n    {line})\n# fmt: on")


def run(command: str, tree: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] == "python"
    return subprocess.run(
        [sys.executable, *words[1:]],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_page_has_what_it_promises() -> None:
    assert set(files()) == {
        "my_net.yaml",
        "my_recipe.yaml",
        "make_bars.py",
        "backends/tiny/adapter.py",
        "backends/requirements/tiny.txt",
        REGISTRY,
    }
    assert len(commands()) == 10


def test_every_command_of_the_page_works(tree: Path) -> None:
    for command in commands():
        done = run(command, tree)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (tree / "digits-augmented.png").is_file()
    assert (tree / "bars-samples.png").is_file()


def test_the_tests_hold_with_one_more_backend(tree: Path) -> None:
    """But for those that start other frameworks, which have enough to do in the real tree."""
    words = ["-q", "-p", "no:cacheprovider", "--backend", "tiny", "-k", "not is_caught and not prints_what"]
    done = run(shlex.join(["python", "-m", "pytest", *words, *OF_EVERY_BACKEND]), tree)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "tiny.constraints.txt" in done.stdout


def test_the_example_backend_trains_as_numpy_does(tree: Path) -> None:
    words = "--model mlp --dataset digits --epochs 2 --json --no-save --out apart"
    tiny, reference = (
        Record.from_json(run(f"python -m harness run --backend {name} {words}", tree).stdout)
        for name in ("tiny", "numpy")
    )
    assert tiny.status == "ok"
    assert tiny.fingerprints == reference.fingerprints
    assert tiny.test_accuracy == pytest.approx(reference.test_accuracy, abs=0.005)


def test_the_example_backend_refuses_what_it_cannot_compute(tree: Path) -> None:
    done = run("python -m harness run --backend tiny --model lenet5 --dataset digits --epochs 1 --json", tree)
    record = Record.from_json(done.stdout)
    assert record.status == "unsupported"
    assert record.error is not None
    assert "tiny has no conv2d" in record.error.message
