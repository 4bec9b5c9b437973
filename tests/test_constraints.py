"""Every package of every environment is pinned, in files that hold on any machine."""

from __future__ import annotations

import json
import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from backends.registry import BACKENDS, REQUIREMENTS
from harness.processes.managed import STAMP, Environment
from harness.processes.pins import lines_of
from tests.constraints import DEVELOPMENT, canonical, constraints_of
from tests.test_dependencies import PROJECT

OF_REQUIREMENTS = sorted(file for file in REQUIREMENTS.glob("*.txt") if not re.search(r"@|\.constraints\.", file.name))
FILES = [DEVELOPMENT, *map(constraints_of, OF_REQUIREMENTS)]


def pins(file: Path) -> dict[str, str]:
    """Name to version; every line must be a plain pin. A new backend's file may still have to be written."""
    if not file.is_file():
        pytest.skip(f"there is no {file.name} yet: make constraints writes it")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_constraint_is_a_name_and_a_public_version(file: Path) -> None:
    """No path, host or local version: they hold where another build of a package is the one to be had."""
    for name, version in pins(file).items():
        assert name == canonical(name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"


@pytest.mark.parametrize("file", OF_REQUIREMENTS, ids=lambda file: file.name)
def test_requirements_and_constraints_agree(file: Path) -> None:
    constrained = pins(constraints_of(file))
    for requirement in map(Requirement, lines_of(file)):
        [exact] = (one for one in requirement.specifier if one.operator == "==")
        assert exact.version == constrained[canonical(requirement.name)]


def test_the_variants_of_a_backend_have_one_version_of_what_they_share() -> None:
    """But for what CUDA's own packages ask for: two variants are one subject."""
    pairs = {file: file.with_name(f"{file.name.partition('.')[0]}.txt") for file in OF_REQUIREMENTS}
    for file, plain in pairs.items() - {(file, file) for file in pairs}:
        ours, theirs = (dict(pins(constraints_of(one))) for one in (file, plain))
        assert {name: ours[name] for name in ours if name in theirs} == {
            name: theirs[name] for name in theirs if name in ours
        }


@pytest.mark.parametrize("name", BACKENDS)
def test_an_environment_has_the_pinned_packages_and_no_other(name: str) -> None:
    environment = Environment(BACKENDS[name])
    if not environment.ready():
        pytest.skip(f"the environment of {name} is not made here")
    packages = json.loads((environment.directory / STAMP).read_text())["packages"]
    installed = {canonical(p.split("==")[0]): p.split("==")[1].partition("+")[0] for p in packages}
    assert installed.items() <= pins(BACKENDS[name].constraints).items()


def test_the_development_environment_is_pinned_whole() -> None:
    """Every package that the project's requirements lead to, as the packages installed here declare them."""
    constrained = pins(DEVELOPMENT)
    own = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    open_ = [("the project", Requirement(text)) for text in own]
    seen = set()
    while open_:
        by, requirement = open_.pop()
        name = canonical(requirement.name)
        assert name in constrained, f"{name}, required by {by}"
        for extra in requirement.extras or {""}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                open_ += [(name, needed) for needed in needs(name, extra)]


def needs(name: str, extra: str) -> list[Requirement]:
    """What an installed distribution requires here for one of its extras, or for none."""
    found = [Requirement(text) for text in requires(name) or ()]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]
