"""A version that is named moves the framework's own pins and what its variant says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import backends.registry
from backends.registry import BACKENDS, Registration, find
from harness.processes.managed import Environment
from harness.processes.pins import Pins, pins_of
from harness.processes.places import keep_variant


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
    named = " ".join(pinned.requirements)
    own = {f"{package}==0.1.2" for package in registration.distributions if f"{package}==" in named}
    assert set(moved.requirements) - set(pinned.requirements) == own
    assert len(moved.requirements) == len(pinned.requirements)
    assert len(pinned.constraints) - len(moved.constraints) == len(own)
    assert set(moved.constraints) <= set(pinned.constraints)


def test_paddle_before_3_has_a_numpy_before_2() -> None:
    assert "numpy==1.26.4" in pins_of(find("paddle@2.6.2")).constraints
    assert "numpy==1.26.4" not in pins_of(find("paddle@3.2.2")).constraints


def test_a_variant_has_its_own_pins_where_it_has_a_file(two: Path) -> None:
    (two / "two.cuda.txt").write_text("two[cuda]==2.1.0,!=2.1.0+cpu\ntwo_lib==2.1.0\nother==5.0\n")
    (two / "two.cuda.constraints.txt").write_text("base==1.0\nnvidia-base==7.0\ntwo==2.1.0\n")
    cuda = pins_of(find("two"), "cuda")
    assert cuda.requirements[0] == "two[cuda]==2.1.0,!=2.1.0+cpu"
    assert "nvidia-base==7.0" in cuda.constraints
    assert pins_of(find("two"), "cpu") == pins_of(find("two")) != cuda
    moved = pins_of(find("two@2.0"), "cuda")
    assert moved.requirements == ("two[cuda]==2.0.0,!=2.0.0+cpu", "two_lib==2.0.0", "other==5.0")
    assert moved.constraints == ("base==1.0", "other==5.0"), "another version says itself what it needs of CUDA"


def test_a_backend_without_a_variant_is_one_environment(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "envs"))
    assert Environment(find("two"), "cuda").directory == Environment(find("two"), "cpu").directory
    (two / "two.cuda.txt").write_text("two[cuda]==2.1.0\n")
    cuda, cpu = Environment(find("two"), "cuda"), Environment(find("two"))
    assert cuda.directory != cpu.directory
    keep_variant("two", "cuda")
    assert Environment(find("two")).directory == cuda.directory
    (tmp_path / "envs" / "two.variant").write_text("what is no variant")
    assert Environment(find("two")).directory == cpu.directory


@pytest.mark.parametrize("name", ["torch", "keras", "paddle", "jax"])
def test_every_framework_that_knows_cuda_can_be_had_for_it(name: str) -> None:
    cuda = pins_of(find(name), "cuda")
    assert cuda != pins_of(find(name))
    moved = pins_of(find(f"{name}@0.1.2"), "cuda")
    assert [line for line in moved.requirements if "==0.1.2" in line]
    assert not [line for line in moved.constraints if line.startswith("nvidia-")]
