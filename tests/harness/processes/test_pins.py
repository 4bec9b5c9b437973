"""A version that is named moves the framework's own pins and what its variant says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import backends.registry
from backends.registry import BACKENDS, Registration, find
from harness.processes.managed import Environment
from harness.processes.pins import Pins, pins_of


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the requirements of a framework in two packages."""
    monkeypatch.setattr(backends.registry, "REQUIREMENTS", tmp_path)
    entry = Registration(name="two", title="Two", adapter="none:None", framework="two", packages=("two", "two-lib"))
    monkeypatch.setitem(BACKENDS, "two", entry)
    (tmp_path / "two.txt").write_text("# Why.\ntwo==2.1.0\ntwo_lib==2.1.0\nother==5.0\n")
    (tmp_path / "two.constraints.txt").write_text("base==1.0\nother==5.0\ntwo==2.1.0\ntwo-lib==2.1.0\n")
    return tmp_path


def test_the_version_replaces_the_frameworks_own_pins(two: Path) -> None:
    assert pins_of(find("two@2.0")) == Pins(("two==2.0.0", "two_lib==2.0.0", "other==5.0"), ("base==1.0", "other==5.0"))


def test_other_pins_move_where_a_variant_says_so(two: Path) -> None:
    (two / "two@1.txt").write_text("# Built against the old base.\nbase==0.9\nextra==1.0\n")
    (two / "two@1.4.txt").write_text("other==4.0\n")
    moved = pins_of(find("two@1.3.2"))
    assert moved == Pins(("two==1.3.2", "two_lib==1.3.2", "other==5.0"), ("base==0.9", "other==5.0", "extra==1.0"))
    assert pins_of(find("two@1.4.2")) == Pins(
        ("two==1.4.2", "two_lib==1.4.2", "other==4.0"), ("base==1.0", "other==4.0")
    )
    assert "base==1.0" in pins_of(find("two@11.0.0")).constraints


def test_an_environment_is_known_by_what_is_in_it(two: Path) -> None:
    pinned, old = Environment(find("two")), Environment(find("two@2.0.0"))
    assert pinned.directory != old.directory
    assert Environment(find("two@2")).directory == old.directory
    (two / "two@2.0.txt").write_text("base==0.9\n")
    assert Environment(find("two@2.0.0")).directory != old.directory
    assert Environment(find("two")).directory == pinned.directory
    assert Environment(find("two@2.1")).directory == pinned.directory


@pytest.mark.parametrize("name", BACKENDS)
def test_every_framework_can_be_had_in_another_version(name: str) -> None:
    registration = find(f"{name}@0.1.2")
    pinned, moved = pins_of(BACKENDS[name]), pins_of(registration)
    own = {f"{package}==0.1.2" for package in registration.distributions}
    assert set(moved.requirements) - set(pinned.requirements) == own
    assert len(moved.requirements) == len(pinned.requirements)
    assert len(pinned.constraints) - len(moved.constraints) == len(own)
    assert set(moved.constraints) <= set(pinned.constraints)


def test_paddle_before_3_has_a_numpy_before_2() -> None:
    assert "numpy==1.26.4" in pins_of(find("paddle@2.6.2")).constraints
    assert "numpy==1.26.4" not in pins_of(find("paddle@3.2.2")).constraints
