"""``compare`` and "all": what is installed takes part, what is not is named, nothing at all is an error."""

import sys
from pathlib import Path

import pytest

from backends.registry import frameworks
from tests.harness.cli.commands import assert_one_line, harness

WORDS = "compare --models mlp --datasets digits --epochs 1 --repeats 1 --dry-run".split()  # noqa: SIM905


@pytest.mark.parametrize("choice", [(), ("--backends", "all")])
def test_what_is_not_installed_is_left_out_and_named(choice: tuple[str, ...], tmp_path: Path) -> None:
    here, *others = frameworks()
    places = {"HARNESS_ENVS": str(tmp_path), f"HARNESS_PYTHON_{here.upper()}": sys.executable}
    done = harness(*WORDS, *choice, **places)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: left out: ")]
    assert len(notes) == len(others)
    for name, note in zip(others, notes, strict=True):
        assert f"type: python -m harness setup {name}" in note


def test_with_a_framework_named_it_must_be_there(tmp_path: Path) -> None:
    for name in frameworks():
        assert_one_line(harness(*WORDS, "--backends", name, HARNESS_ENVS=str(tmp_path)), f"setup {name}")


def test_with_none_installed_nothing_is_compared(tmp_path: Path) -> None:
    assert_one_line(harness(*WORDS, HARNESS_ENVS=str(tmp_path)), "no framework is installed here", "harness setup")
