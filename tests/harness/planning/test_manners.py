"""default, recommended, expert: from the words of a user to the worker and the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from backends.allocator import KEEP_FREED_MEMORY
from backends.registry import BACKENDS, MANNERS, Manner, find
from harness.planning.manners import manner, manners
from harness.planning.study import Study, plans_of
from results.record import Record, Tuning
from specs.errors import RequestError
from tests.fakes import FakeBackend, registered
from tests.harness.cli.commands import ROOT, harness
from tests.harness.plans import run


def test_the_words_are_those_of_the_contract() -> None:
    assert get_args(Manner) == MANNERS
    for registration in BACKENDS.values():
        assert registration.create().manners in (MANNERS[:2], MANNERS)


def test_former_words_are_understood_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert [manner("on"), manner("off"), manner("expert")] == ["expert", "default", "expert"]
    assert capsys.readouterr().err.splitlines() == [
        "note: --tuning on is called expert now",
        "note: --tuning off is called default now",
    ]
    assert manners(["off", "expert", "default"]) == ("default", "expert")
    for wrong in ("maybe", "", "all"):
        with pytest.raises(RequestError, match="unknown tuning"):
            manner(wrong)


def test_all_takes_what_each_backend_has() -> None:
    study = Study(name="s", backends=("torch", "numpy"), models=("mlp",), repeats=1, tuning=("all",))
    planned = [(plan.backend.name, plan.tuning) for _, plan in plans_of(study)]
    assert planned == [
        ("torch", "default"),
        ("numpy", "default"),
        ("torch", "recommended"),
        ("numpy", "recommended"),
        ("torch", "expert"),
    ]
    assert study.runs == 5
    assert [plan.tuning for _, plan in plans_of(Study(name="s", backends=("torch",), models=("mlp",), repeats=1))] == [
        "recommended"
    ]


def test_a_manner_that_a_backend_lacks_is_one_line(tmp_path: Path) -> None:
    done = harness(
        *["run", "--backend", "numpy", "--model", "mlp", "--dataset", "digits", "--tuning", "expert"], cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "error: backend 'numpy' has no expert manner; --tuning may be default or recommended\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RequestError, match="has no expert manner"):
        run(find("numpy"), tmp_path, tuning="expert")


def test_a_set_made_with_the_former_words_is_read() -> None:
    study = Study(name="s", backends=("torch",), models=("mlp",), tuning=("expert",))
    assert Study.from_dict({**study.to_dict(), "tuning": "on"}) == study
    assert Study.from_dict({**study.to_dict(), "tuning": "both"}).tuning == ("default", "expert")


def test_variables_for_speed_are_listed_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(FakeBackend, "manners", MANNERS)
    with registered() as fake:
        quick, _ = run(fake, tmp_path / "a", tuning="expert")
        plain, _ = run(fake, tmp_path / "b", tuning="default")
    assert quick.tuning == Tuning(
        manner="expert", applied=tuple(f"{name}={value}" for name, value in KEEP_FREED_MEMORY.items())
    )
    assert plain.tuning == Tuning(manner="default", applied=())
    assert not set(KEEP_FREED_MEMORY) & set(plain.environment.variables)


def test_records_of_two_manners_load() -> None:
    assert Tuning.model_validate({"enabled": True, "applied": ["x"]}) == Tuning(manner="expert", applied=("x",))
    assert Tuning.model_validate_json('{"enabled": false, "applied": []}') == Tuning(manner="default")
    for file in (ROOT / "results" / "reference").rglob("records.jsonl"):
        for line in file.read_bytes().splitlines():
            before = "enabled" in json.loads(line)["tuning"]
            assert Record.from_json(line).tuning.manner == ("expert" if before else "recommended")
