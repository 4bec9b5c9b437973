"""``export``, ``predict --runtime`` and ``benchmark-inference`` as a user types them, from a real checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.end_to_end.test_main_line import harness
from tests.harness.cli.commands import ROOT


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that NumPy trained for an epoch on the embedded digits."""
    folder = tmp_path_factory.mktemp("export")
    words = "run --backend numpy --model mlp --dataset digits --epochs 1 --quiet"
    done = harness(*words.split(), cwd=folder)
    assert done.returncode == 0, done.stderr
    (found,) = (folder / "results" / "runs" / "checkpoints").iterdir()
    return found


def test_export_writes_a_folder_and_names_it(checkpoint: Path, tmp_path: Path) -> None:
    words = ("export", "--checkpoint", str(checkpoint), "--format", "onnx")
    done = harness(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "exports/mlp-onnx\n"
    assert "run by ONNX Runtime" in done.stderr
    assert (tmp_path / "exports" / "mlp-onnx" / "model.onnx").is_file()
    again = harness(*words, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is already there" in again.stderr
    described = harness(*words, "--out", "other", "--json", cwd=tmp_path)
    assert json.loads(described.stdout)["folder"] == "other"


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch-export"])
def test_predict_in_an_exported_form_says_what_the_session_says(
    runtime: str, checkpoint: Path, tmp_path: Path, backend_python: Callable[[str], Path]
) -> None:
    if runtime != "onnxruntime":
        backend_python(runtime.partition("-")[0])
    words = ("predict", "--checkpoint", str(checkpoint), "--index", "7", "--json")
    ours, theirs = (harness(*words, *more, cwd=tmp_path) for more in ((), ("--runtime", runtime)))
    assert theirs.returncode == 0, theirs.stderr
    (ours_said,), (theirs_said,) = (json.loads(done.stdout)["predictions"] for done in (ours, theirs))
    assert theirs_said["label"] == ours_said["label"]
    np.testing.assert_allclose(theirs_said["logits"], ours_said["logits"], rtol=1e-4, atol=1e-5)


def test_benchmark_inference_has_a_figure_for_every_form(checkpoint: Path, tmp_path: Path) -> None:
    words = ("benchmark-inference", "--checkpoint", str(checkpoint), "--backends", "numpy", "--rounds", "2")
    done = harness(*words, "--seconds", "0.01", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    forms = json.loads(done.stdout)["forms"]
    assert [(form["backend"], form["form"]) for form in forms] == [("numpy", "dynamic"), ("onnxruntime", "onnx")]
    for form in forms:
        assert set(form["latency_ms"]) == {"p50", "p90", "p99"}
        assert set(form["samples_per_second"]) == {"1", "64", "512"}
    table = harness(*words, "--seconds", "0.01", "--quiet", cwd=tmp_path)
    assert "onnxruntime" in table.stdout
    assert "p99 ms" in table.stdout


WRONG = [
    ("export --format onx", "did you mean 'onnx'?"),
    ("predict --index 1 --runtime onnx-runtime", "did you mean 'onnxruntime'?"),
    ("predict --index 1 --runtime onnxruntime --backend numpy", "leave out --backend"),
    ("benchmark-inference --rounds 1", "--rounds must be from 2 to 100"),
    ("benchmark-inference --seconds 0", "--seconds must be from 0.01 to 60"),
    ("benchmark-inference --backends nupmy", "did you mean 'numpy'?"),
]


@pytest.mark.parametrize(("words", "hint"), WRONG)
def test_a_wrong_request_is_one_line_and_status_2(words: str, hint: str, checkpoint: Path, tmp_path: Path) -> None:
    done = harness(*words.split(), "--checkpoint", str(checkpoint), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert hint in done.stderr


def test_a_benchmark_says_what_it_does_and_ends_on_request(checkpoint: Path) -> None:
    """Piped as on a terminal; SIGTERM is answered with one line, status 130 and no worker left."""
    words = ["benchmark-inference", "--checkpoint", str(checkpoint), "--backends", "numpy", "--rounds", "100"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = [process.stderr.readline().strip()]
    while "round" not in said[-1]:
        said.append(process.stderr.readline().strip())
    assert said == ["starting numpy dynamic", "starting onnxruntime onnx", "round 1 of 100"]
    workers = psutil.Process(process.pid).children()
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
