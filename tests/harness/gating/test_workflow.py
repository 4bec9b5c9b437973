"""The workflow of docs/gate.md is one: YAML, whose command parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer
import yaml

from harness.cli import app

PAGE = (Path(__file__).parents[3] / "docs" / "gate.md").read_text()


def test_the_workflow_can_be_pasted() -> None:
    workflow, step = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL))
    steps = workflow["jobs"]["gate"]["steps"]
    (command,) = (one["run"] for one in steps if one.get("name") == "gate")
    python, dash_m, harness, name, *words = shlex.split(command)
    assert (python, dash_m, harness, name) == (".venv/bin/python", "-m", "harness", "gate")
    given = typer.main.get_command(app).commands["gate"].make_context("gate", words).params
    assert {given[form] for form in ("junit", "markdown", "benchmark")} == {
        Path(f"gate.{e}") for e in ("xml", "md", "json")
    }
    assert step[0]["with"]["output-file-path"] == str(given["benchmark"])
