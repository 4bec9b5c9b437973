"""Mistakes planted in the real adapters: every patch applies, and the quick scope catches what was planted.

Ten of them are planted each day, other ones tomorrow; all of them with ``--scope full``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.registry import BACKENDS, frameworks
from harness.conformance.suite import QUICK, Suite
from harness.conformance.table import line
from specs.program import CODE
from tests.conformance.mistakes import MISTAKES, OF_BACKEND
from tests.conformance.mistakes.catching import catches, checks_of, outcomes_of
from tests.conformance.mistakes.patch import Mistake

A_DAY = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The mistakes to plant, of the backends asked for."""
    if "mistake" in metafunc.fixturenames:
        backends = metafunc.config.getoption("backend") or list(frameworks())
        chosen = MISTAKES if metafunc.config.getoption("scope") == "full" else todays(datetime.now(UTC).toordinal())
        metafunc.parametrize("mistake", [mistake for mistake in chosen if mistake.backend in backends], ids=str)


def todays(day: int) -> tuple[Mistake, ...]:
    """Ten mistakes in a row; the next day's follow them."""
    first = day * A_DAY % len(MISTAKES)
    return (MISTAKES * 2)[first : first + A_DAY]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite(QUICK)


@pytest.mark.parametrize("one", MISTAKES, ids=str)
def test_patch_applies(one: Mistake, suite: Suite) -> None:
    ast.parse(one.mistaken())
    assert one.wrong != one.right
    assert checks_of(suite, one), f"no check of level {one.level} starts with {one.check!r}"


def test_there_are_enough_of_them() -> None:
    assert len({str(mistake) for mistake in MISTAKES}) == len(MISTAKES) >= 60
    assert min(map(len, OF_BACKEND.values())) >= 10
    assert all(mistake.backend == name for name, of_it in OF_BACKEND.items() for mistake in of_it)


def test_the_documents_count_them() -> None:
    text = (CODE / "docs" / "semantics.md").read_text().replace("\n", " ")
    assert f"holds {len(MISTAKES)} mistakes" in text
    for name, of_it in OF_BACKEND.items():
        assert re.search(rf"\b{len(of_it)} in {BACKENDS[name].title}'s", text), f"{len(of_it)} in {name}'s adapter"


def test_every_one_has_its_day() -> None:
    days = -(-len(MISTAKES) // A_DAY)
    assert {mistake for day in range(days + 1) for mistake in todays(day)} == set(MISTAKES)


def test_mistake_is_caught(
    mistake: Mistake,
    suite: Suite,
    tmp_path: Path,
    backend_python: Callable[[str], Path],
    record_property: Callable[[str, str], None],
) -> None:
    python = backend_python(mistake.backend)
    record_property("planted", "mistakes in real adapters")
    record_property("mistake", str(mistake))
    mistake.plant(tmp_path)
    said = []
    for outcome in outcomes_of(checks_of(suite, mistake), mistake, tmp_path, python=python):
        if catches(outcome):
            return
        said.append(line(outcome))
    pytest.fail("\n".join(["not caught:", *said]))
