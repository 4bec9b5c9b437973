"""Every fault that docs/upstream.md tells of is still there in the pinned version; PyTorch's convolution is none."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ACCUSED = DOCS / "upstream" / "convolution_against_float64.py"
REPRODUCTIONS = sorted(set((DOCS / "upstream").glob("*.py")) - {ACCUSED})
ENVIRONMENTS = {"tensorflow": "keras"}


def run(script: Path, python: Path, folder: Path, *arguments: str) -> list[str]:
    """What it prints, by lines. MindSpore leaves files in the current folder."""
    command = [str(python), "-I", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.splitlines()


@pytest.mark.long
@pytest.mark.parametrize("script", REPRODUCTIONS, ids=lambda script: script.stem)
def test_a_fault_is_still_there(script: Path, backend_python: Callable[[str], Path], tmp_path: Path) -> None:
    framework = script.stem.partition("_")[0]
    *_, expected, actual, verdict = run(script, backend_python(ENVIRONMENTS.get(framework, framework)), tmp_path)
    if verdict.startswith("not here"):
        pytest.skip(verdict)
    if verdict == "gone":
        about = ast.get_docstring(ast.parse(script.read_text())) or ""
        pytest.fail(f"{script.name}: gone, and so may its remedy. {actual}. {about}")
    assert verdict == "still there"
    assert expected.startswith("expected:")
    assert actual.startswith("actual:")


@pytest.mark.long
def test_pytorchs_convolution_is_the_nearest_to_float64(backend_python: Callable[[str], Path], tmp_path: Path) -> None:
    errors = {
        framework: float(run(ACCUSED, backend_python(ENVIRONMENTS.get(framework, framework)), tmp_path, framework)[-1])
        for framework in ("torch", "tensorflow", "paddle", "mindspore", "jax")
    }
    assert min(errors, key=errors.__getitem__) == "torch"


def test_the_page_names_every_reproduction_and_each_is_short() -> None:
    page = (DOCS / "upstream.md").read_text()
    for script in REPRODUCTIONS:
        assert f"(upstream/{script.name})" in page
        assert len(script.read_text().splitlines()) <= 40
