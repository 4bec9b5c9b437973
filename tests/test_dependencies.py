"""What the production code imports is declared, and what is declared is imported."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.test_structure import FRAMEWORKS, ROOMS, ROOT, imported, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distribution(name: str) -> str:
    """In the one spelling of the index (PEP 503), without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name)[0]).lower()


def owners() -> dict[str, set[str]]:
    """The distributions that each third-party module of the production code may come from, with a file that imports it.

    Frameworks live in environments of their own, with requirements files of their own.
    """
    own = {*ROOMS, "framework_harness", *FRAMEWORKS, *sys.stdlib_module_names}
    modules = {
        name.partition(".")[0]: path
        for path in [*sources(), *(ROOT / "framework_harness").glob("*.py")]
        for name in imported(path, top_level=False)
        if not _of_a_framework(path)
    }
    installed = packages_distributions()
    return {
        f"{module} ({path.relative_to(ROOT)})": {distribution(name) for name in installed.get(module, ())}
        for module, path in modules.items()
        if module not in own
    }


def _of_a_framework(path: Path) -> bool:
    """Whether the file is imported by the worker of one backend alone."""
    return path.parts[len(ROOT.parts)] == "backends" and path.parent.name != "backends"


def test_what_is_imported_is_declared() -> None:
    declared = {distribution(name) for name in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cluster"])}
    undeclared = [module for module, found in owners().items() if not found & declared]
    assert undeclared == []


def test_what_is_declared_is_imported() -> None:
    used = set().union(*owners().values())
    if any("to_parquet(" in path.read_text() for path in sources()):
        used.add("pyarrow")  # pandas imports it
    assert {distribution(name) for name in PROJECT["dependencies"]} <= used


def test_what_the_cluster_needs_is_imported_by_its_engine_alone() -> None:
    """All else works where the extra is not installed."""
    extra = {distribution(name) for name in PROJECT["optional-dependencies"]["cluster"]}
    own = ROOT / "harness" / "execution" / "cluster"
    for path in sources():
        modules = {name.partition(".")[0] for name in imported(path, top_level=False)}
        assert path.is_relative_to(own) or not modules & extra, path
