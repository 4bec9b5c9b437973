"""``setup`` makes several environments at once, and the failure of one costs no other."""

from __future__ import annotations

import fcntl
import zipfile
from pathlib import Path
from typing import Any

import pytest

import backends.registry
from backends.registry import BACKENDS, Registration, find
from harness.cli.setup import setup
from harness.processes.downloads import LEAST_PIP, able
from harness.processes.made import versions_made
from harness.processes.managed import STAMP, Environment
from specs.errors import RequestError


def wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """The smallest wheel that pip installs: one empty module."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
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
    assert said.count("not in use, and removed by python -m harness setup --prune") == 1


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of environments; one backend, of whose framework there are three versions."""
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "envs"))
    monkeypatch.setattr(backends.registry, "REQUIREMENTS", tmp_path)
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        wheel(tmp_path, "many_framework", version)
    (tmp_path / "many.txt").write_text(f"--no-index\n--find-links {tmp_path}\nmany_framework==2.0.0\n")
    entry = Registration(
        name="many", title="Many", adapter="none:None", framework="many_framework", packages=("many-framework",)
    )
    monkeypatch.setattr(backends.registry, "BACKENDS", {"many": entry})
    monkeypatch.setattr("harness.processes.made.BACKENDS", {"many": entry})
    return tmp_path / "envs"


def folders(envs: Path) -> set[str]:
    return {place.name for place in envs.iterdir() if place.is_dir()}


def test_versions_stand_side_by_side_until_pruned(versions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(["many@1.0", "many", "many@1.1.0"]) == 0
    said = capsys.readouterr().err
    assert [f"{name}: ready" in said for name in ("many", "many@1.0.0", "many@1.1.0")] == [True] * 3
    assert "not in use" not in said
    assert {one.subject for one in versions_made()} == {"many@1.0.0", "many@1.1.0"}
    assert len(folders(versions)) == 3
    old = Environment(find("many@1.0.0")).directory
    (package,) = Environment(find("many@1.0.0")).installed()
    assert package.replace("_", "-") == "many-framework==1.0.0"

    (versions / "many-0123456789" / "lib").mkdir(parents=True)  # half-made
    (versions / "many-0123456789" / "lib" / "file").write_bytes(bytes(3 * 2**20))
    (versions / "mine").mkdir()  # no environment of ours
    with (versions / "many.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert setup(["many@1.0"], prune=True) == 0
        assert capsys.readouterr().out.count("left alone, a set-up of many is under way") == 2
    assert setup(["many@1.0"], prune=True) == 0
    said = capsys.readouterr().out
    assert f"removed many, half-made (3 MiB): {versions}/many-0123456789" in said
    assert "removed many@1.1.0 (" in said
    assert "2 environments removed" in said
    assert folders(versions) == {"mine", old.name, Environment(find("many")).directory.name}
    assert Environment(find("many@1.0.0")).ready()
    assert setup([], prune=True) == 0
    assert "removed many@1.0.0" in capsys.readouterr().out
    assert folders(versions) == {"mine", Environment(find("many")).directory.name}
    assert setup(["many"]) == 0
    assert "many: was ready" in capsys.readouterr().err


def test_a_version_that_there_is_not_names_its_neighbours(versions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(["many@1.5.0"]) == 1
    said = capsys.readouterr().err
    assert "many@1.5.0: failed: setting up many@1.5.0 failed" in said
    assert "the package index has no many_framework 1.5.0; the nearest: 1.1.0 and 2.0.0" in said


@pytest.fixture
def variants(versions: Path, tmp_path: Path) -> Path:
    """The same backend with packages of its own for CUDA."""
    wheel(tmp_path, "nvidia_base")
    pinned = f"--no-index\n--find-links {tmp_path}\nmany_framework==2.0.0\n"
    (tmp_path / "many.cuda.txt").write_text(f"{pinned}nvidia-base==1.0\n")
    return versions


def test_the_variant_that_was_set_up_last_is_used(variants: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(["many"]) == 0
    plain = Environment(find("many")).directory
    assert "ready, variant" not in capsys.readouterr().err
    assert setup(["many"], variant="cuda") == 0
    said = capsys.readouterr().err
    assert "many: ready, variant cuda" in said
    assert f"not in use, and removed by python -m harness setup --prune: {plain}" in said
    cuda = Environment(find("many"))
    assert (cuda.directory != plain, cuda.ready(), cuda.variant) == (True, True, "cuda")
    assert "nvidia" in (cuda.directory / STAMP).read_text()
    assert setup(["many"]) == 0
    assert "many: was ready" in capsys.readouterr().err
    assert setup(["many"], variant="cpu") == 0
    assert "many: was ready, variant cpu" in capsys.readouterr().err
    assert Environment(find("many")).directory == plain


def test_a_variant_that_fails_leaves_the_other_in_use(variants: Path, tmp_path: Path) -> None:
    (tmp_path / "many.cuda.txt").write_text("--no-index\nno-such-distribution==0.0\n")
    assert setup(["many"]) == 0
    assert setup(["many"], variant="cuda") == 1
    assert Environment(find("many")).ready()


def test_a_backend_without_a_variant_says_so(versions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup(["many"], variant="cuda") == 0
    assert "many: ready, variant cpu; it has the same packages for all machines" in capsys.readouterr().err


@pytest.mark.skipif(not able(), reason=f"this Python's pip is older than {LEAST_PIP}: make setup")
def test_who_asks_for_cpus_is_given_no_cuda(variants: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "many.txt").write_text((tmp_path / "many.cuda.txt").read_text())  # an index with that build alone
    assert setup(["many"], variant="cpu") == 1
    said = capsys.readouterr().err
    assert "many: failed: the package index has the build of Many for CUDA, 2 packages, at most 0 MiB" in said
    assert not Environment(find("many")).ready()
    assert setup(["many"]) == 0
    said = capsys.readouterr().err
    assert "many: the package index has the build of Many for CUDA" in said
    assert "many: 2 packages, at most 0 MiB to download" in said


@pytest.mark.parametrize(
    ("options", "said"), [({"variant": "cudda"}, "cuda"), ({"variant": "cpu", "prune": True}, "--prune")]
)
def test_what_variant_cannot_mean_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        setup(["numpy"], **options)
