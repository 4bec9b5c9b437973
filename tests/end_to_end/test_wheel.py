"""The wheel as a stranger uses it: installed into a new environment, from a folder full of misleading modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specs.program import VERSION

ROOT = Path(__file__).parents[2]
HOSTILE = ("results", "specs", "backends", "yaml", "platform", "numpy", "mindspore")
SHORT = ("--dataset", "digits", "--limit-train", "256", "--limit-test", "64", "--epochs", "1")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network: the build backend is the development environment's."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script in a new environment, where its dependencies are links to this environment's.

    There is no network to fetch them from. They lie in the same folder as in any installation, so that a worker which
    is given that folder would take this NumPy; the source tree, which this environment may have, is not there.
    """
    new = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(new)], check=True)
    (site,) = new.glob("lib/python*/site-packages")
    for path in {Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))}:
        for entry in path.iterdir():
            if entry.suffix != ".pth" and not entry.name.startswith(("framework_harness", "__editable__")):
                (site / entry.name).symlink_to(entry)
    words = ["--python", str(new / "bin" / "python"), "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return new / "bin" / "harness"


Harness = Callable[..., str]


@pytest.fixture(scope="module")
def harness(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """``harness(*words)``: its standard output, from a folder where other modules have the names of ours."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in HOSTILE:
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the current folder')\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def mindspore_record(harness: Harness, backend_python: Callable[[str], Path]) -> dict[str, object]:
    """Of a run whose framework's environment has another NumPy than the installed harness."""
    assert not np.__version__.startswith("1.26.")
    backend_python("mindspore")
    record: dict[str, object] = json.loads(
        harness("run", "--backend", "mindspore", "--model", "lenet5", *SHORT, "--json", "--quiet")
    )
    return record


def test_it_has_one_package_and_every_file_of_the_tree(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"framework_harness", f"framework_harness-{VERSION}.dist-info"}
    rooms = ("specs", "backends", "harness", "results")
    kept = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *rooms],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert kept.returncode == 0, "this test compares with what git keeps"
    files = {name for name in kept.stdout.split() if (ROOT / name).is_file()}
    packed = {name for name in files if not name.startswith(("results/reference/", "results/versions/"))}
    assert len(packed) > 200
    inside = {name.removeprefix("framework_harness/") for name in names if name.startswith("framework_harness/")}
    assert inside == packed | {"__init__.py", "__main__.py"}


def test_it_answers(harness: Harness) -> None:
    assert harness("--version") == f"framework-harness {VERSION}\n"
    assert "lenet5" in harness("list")
    assert "Usage: harness run" in harness("run", "-h")


def test_a_shell_completes_its_words(program: Path) -> None:
    """What the script of --install-completion asks for when the user presses the key after ``harness e``."""
    asked = {"_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": "harness e", "COMP_CWORD": "1"}
    done = subprocess.run([program], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["evaluate", "export"]
    assert "--install-completion" in subprocess.run([program, "-h"], capture_output=True, text=True, check=True).stdout


def test_a_worker_has_the_numpy_of_its_own_environment(mindspore_record: dict[str, object]) -> None:
    assert mindspore_record["status"] == "ok"
    environment = mindspore_record["environment"]
    assert isinstance(environment, dict)
    assert environment["packages"]["numpy"].startswith("1.26.")
    assert environment["git_commit"] == f"v{VERSION}"
    assert str(mindspore_record["command"]).startswith("harness run --backend mindspore")


def test_its_checkpoint_is_exported_and_predicts(
    harness: Harness, mindspore_record: dict[str, object], tmp_path: Path
) -> None:
    checkpoint = f"results/runs/checkpoints/{mindspore_record['run_id']}"
    image = np.full((28, 28), 255, np.uint8)
    image[6:22, 12:16] = 0
    Image.fromarray(image).save(tmp_path / "one.png")
    said = harness("predict", "--checkpoint", checkpoint, str(tmp_path / "one.png"), "--json")
    assert "one.png" in said
    harness("export", "--checkpoint", checkpoint, "--format", "onnx", "--out", str(tmp_path / "onnx"))


def test_a_comparison_ends_in_a_report(harness: Harness, mindspore_record: dict[str, object]) -> None:
    words = (
        "compare",
        "--backends",
        "mindspore,numpy",
        "--models",
        "mlp",
        *SHORT,
        "--repeats",
        "1",
        "--no-race",
        "--baseline",
        "numpy",
    )
    report = Path(harness(*words, "--name", "first").splitlines()[-1])
    assert report.name == "report.html"
    assert "results/runs/first/report.html" in harness("report", "first")
