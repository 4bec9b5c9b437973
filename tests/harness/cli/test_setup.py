"""``setup`` makes several environments at once, and the failure of one costs no other."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import backends.registry
from backends.registry import BACKENDS, Registration
from harness.cli.setup import setup


def wheel(folder: Path, name: str) -> Path:
    """The smallest wheel that pip installs: one empty module."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the requirements files of three backends: two that can be installed, and one that cannot."""
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "envs"))
    monkeypatch.setattr(backends.registry, "REQUIREMENTS", tmp_path)
    for name, requirement in {
        "first": wheel(tmp_path, "first_framework"),
        "second": wheel(tmp_path, "second_framework"),
        "broken": "no-such-distribution==0.0",
    }.items():
        (tmp_path / f"{name}.txt").write_text(f"--no-index\n{requirement}\n")
        entry = Registration(name=name, title=name.title(), adapter="none:None", framework=f"{name}_framework")
        monkeypatch.setitem(BACKENDS, name, entry)
    return tmp_path


def test_one_that_fails_leaves_the_others_whole(pins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(["first", "broken", "second", "numpy", "first"]) == 1
    said = capsys.readouterr().err
    assert said.count("first: ready") == said.count("second: ready") == 1
    assert "broken: failed: setting up broken failed (exit 1)" in said
    assert "numpy: the running interpreter has numpy" in said
    assert "Traceback" not in said
    assert setup(["first", "second"]) == 0
    said = capsys.readouterr().err
    assert "first: was ready" in said
    assert "second: was ready" in said
    (pins / "first.txt").write_text((pins / "first.txt").read_text() + "--prefer-binary\n")  # changed pins
    assert setup(["first"]) == 0
    said = capsys.readouterr().err
    assert "first: ready" in said
    assert said.count("not used by this version, and may be deleted") == 1
