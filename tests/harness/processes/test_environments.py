"""Managed environments: made once, reused, repaired, never by two at a time."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.registry import BACKENDS, Registration, find
from harness.processes.environments import find_interpreter, in_running_interpreter
from harness.processes.managed import STAMP, Environment
from specs.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Pinned(Registration):
    """A registration whose requirements file is the test's own; its framework is a module every Python has."""

    pins: Path

    @property
    def requirements(self) -> Path:
        return self.pins

    @property
    def constraints(self) -> Path:
        return self.pins.with_suffix(".constraints.txt")


@pytest.fixture
def registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pinned:
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "envs"))
    pins = tmp_path / "pins.txt"
    pins.write_text("# nothing but comments: pip has nothing to fetch\n")
    return Pinned(name="tiny", title="Tiny", adapter="none:None", framework="json", pins=pins)


def test_made_once_then_reused_then_repaired(registration: Pinned) -> None:
    environment = Environment(registration)
    said: list[str] = []
    assert not environment.ready()
    assert environment.ensure(said.append)
    assert environment.ready()
    assert "creating the virtual environment" in said
    assert not environment.ensure(said.append)
    (environment.directory / STAMP).unlink()  # as if killed before the end
    said.clear()
    assert environment.ensure(said.append)
    assert "removing a half-made environment" in said
    prefix = subprocess.run(
        [environment.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(prefix.stdout.strip()) == environment.directory


def test_one_that_cannot_import_its_framework_is_remade_on_request(registration: Pinned) -> None:
    environment = Environment(registration)
    environment.ensure(lambda line: None)
    assert environment.imports()
    environment.python.unlink()
    environment.python.write_text("#!/bin/sh\nexit 1\n")  # as if its libraries had gone
    environment.python.chmod(0o755)
    assert environment.ready()
    assert not environment.ensure(lambda line: None)
    said: list[str] = []
    assert environment.ensure(said.append, verify=True)
    assert "removing a broken environment" in said
    assert environment.imports()


def test_other_pins_are_another_environment(registration: Pinned) -> None:
    before = Environment(registration).directory
    registration.pins.write_text("# another comment\n")
    assert Environment(registration).directory == before
    registration.pins.write_text("numpy==1.0\n")
    assert Environment(registration).directory != before


def test_constraints_hold_and_make_another_environment(registration: Pinned) -> None:
    before = Environment(registration).directory
    registration.constraints.write_text("numpy==1.0\n")
    assert Environment(registration).directory != before
    registration.pins.write_text("--no-index\nnumpy==2.0\n")
    with pytest.raises(RequestError, match=r"exclude each other: numpy==2\.0; numpy==1\.0"):
        Environment(registration).ensure(lambda line: None)
    assert "(constraint) numpy==1.0" in Environment(registration).log.read_text()


def test_a_failure_names_the_log_and_leaves_it_not_ready(registration: Pinned) -> None:
    registration.pins.write_text("--no-index\nno-such-distribution==0.0\n")
    environment = Environment(registration)
    with pytest.raises(RequestError, match=r"setting up tiny failed \(exit 1\).*\.log"):
        environment.ensure(lambda line: None)
    assert not environment.ready()
    assert "no-such-distribution" in environment.log.read_text()


@pytest.fixture
def failure(registration: Pinned, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``failure(pins)`` is what a set-up says that fails on them; pip knows no index but the one they name."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    def fail(pins: str, constraints: str | None = None) -> str:
        registration.pins.write_text(pins)
        if constraints is not None:
            registration.constraints.write_text(constraints)
        with pytest.raises(RequestError) as caught:
            Environment(registration).ensure(lambda line: None)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    return fail


@pytest.mark.parametrize("constraints", [None, "no-such-distribution==0.0\n"], ids=["free", "constrained"])
def test_an_index_that_cannot_be_reached_is_no_missing_version(
    failure: Callable[..., str], constraints: str | None
) -> None:
    said = failure("--index-url http://secret:word@127.0.0.1:9/simple\nno-such-distribution==0.0\n", constraints)
    assert "the package index could not be reached (http://127.0.0.1:9: Connection refused)" in said
    assert "word" not in said


@pytest.mark.parametrize("constraints", [None, "no-such-distribution==0.0\n"], ids=["free", "constrained"])
def test_an_index_without_the_version_says_so(
    failure: Callable[..., str], tmp_path: Path, constraints: str | None
) -> None:
    index = tmp_path / "simple" / "no-such-distribution"
    index.mkdir(parents=True)
    (index / "index.html").write_text("<!doctype html><title>empty</title>\n")
    said = failure(f"--index-url file://{tmp_path}/simple\nno-such-distribution==0.0\n", constraints)
    assert "the package index has no no-such-distribution==0.0" in said


def test_a_full_disk_and_a_file_in_the_way_are_named(
    failure: Callable[..., str], disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_ENVS", str(disk))
    assert "No space left on device" in failure("")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "file"))
    assert f"{tmp_path}/file: File exists" in failure("")


def test_two_at_once_make_it_once(registration: Pinned) -> None:
    outcomes: list[bool] = []
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(Environment(registration).ensure(said.append)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]
    assert said.count("creating the virtual environment") == 1


def test_a_missing_framework_says_what_to_type(registration: Pinned, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BACKENDS:
        monkeypatch.delenv(f"HARNESS_PYTHON_{name.upper()}", raising=False)
    missing = [name for name in BACKENDS if not in_running_interpreter(find(name))]
    assert missing, "every framework is in the running interpreter: nothing to test"
    for name in missing:
        with pytest.raises(RequestError, match=f"type: python -m harness setup {name}"):
            find_interpreter(name)


def test_a_folder_named_like_a_framework_is_no_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Registration(name="new", title="New", adapter="none:None", framework="new_framework")
    (tmp_path / "new_framework").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not in_running_interpreter(new)
    (tmp_path / "new_framework" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert in_running_interpreter(new)


def test_a_named_interpreter_goes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_PYTHON_TORCH", sys.executable)
    found = find_interpreter("torch")
    assert (found.python, found.origin) == (Path(sys.executable), "named")
    with pytest.raises(RequestError, match="/nowhere/python: not an executable"):
        find_interpreter("torch", Path("/nowhere/python"))
