"""An export is whole and right, or is not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backends.contract import Backend, SessionSpec, Unsupported
from backends.numpy.adapter import NumpyBackend
from backends.registry import BACKENDS
from harness.export import forms as forms_module
from harness.export.benchmark import BATCHES, benchmark
from harness.export.exporting import Differs, export
from harness.export.forms import Trained, find_form, find_runtime, forms
from specs.errors import RequestError
from specs.optimizers import SGD
from tests.harness.export.networks import POOLED, trained


def test_forms_are_onnx_and_one_of_each_framework() -> None:
    assert next(iter(forms())) == "onnx"
    assert {"torch-export", "keras-savedmodel", "paddle-static", "mindspore-mindir"} <= set(forms())
    assert find_runtime("onnxruntime") == find_form("onnx")
    assert find_runtime("paddle-static") == find_form("paddle-static")
    with pytest.raises(RequestError, match="unknown runtime 'onnx'; did you mean 'onnxruntime'"):
        find_runtime("onnx")


def test_a_backend_without_exports_needs_to_say_nothing(tmp_path: Path) -> None:
    assert NumpyBackend.export_format is Backend.export_format is None
    session = NumpyBackend().open(SessionSpec(architecture=POOLED, optimizer=SGD()))
    with pytest.raises(Unsupported, match="exports nothing"):
        session.export(tmp_path)
    with pytest.raises(Unsupported, match="numpy opens no exported models"):
        NumpyBackend().open_exported(tmp_path, threads=1)


def test_an_export_says_what_it_is(tmp_path: Path) -> None:
    made = export(find_form("onnx"), trained(POOLED), tmp_path / "new" / "out", threads=1)
    assert made.folder == tmp_path / "new" / "out"
    assert sorted(path.name for path in made.folder.iterdir()) == ["export.json", "model.onnx"]
    said = json.loads((made.folder / "export.json").read_text())
    assert (said["format"], said["runner"], said["files"]) == ("onnx", "onnxruntime", ["model.onnx"])
    assert (said["architecture"], said["input"], said["classes"]) == ("pooled", [1, 9, 9], 3)
    assert said["preprocessing"] == {"scale": [0.0, 1.0], "mean": None, "std": None}
    assert 0 < said["largest_difference"] < 1e-5


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is already there: name another folder with --out"):
        export(find_form("onnx"), trained(POOLED), tmp_path, threads=1)
    assert not list(tmp_path.iterdir())


def test_what_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = forms_module.write

    def wrong(form: object, network: Trained, directory: Path, *, threads: int) -> None:
        parameters = {name: array + np.float32(0.01) for name, array in network.parameters.items()}
        other = Trained(architecture=network.architecture, parameters=parameters, preprocessing=network.preprocessing)
        right(form, other, directory, threads=threads)  # type: ignore[arg-type]

    monkeypatch.setattr("harness.export.exporting.write", wrong)
    with pytest.raises(Differs, match="onnx: logits differ by"):
        export(find_form("onnx"), trained(POOLED), tmp_path / "out", threads=1)
    assert not list(tmp_path.iterdir())


def test_a_benchmark_has_every_form_at_every_batch_size() -> None:
    """NumPy has no form of its own, so there are its session and ONNX Runtime."""
    outcome = benchmark(trained(POOLED), [BACKENDS["numpy"]], threads=1, rounds=2, seconds=0.01)
    assert outcome.failed == {}
    assert [subject.name for subject in outcome.subjects] == ["numpy dynamic", "onnxruntime onnx"]
    for subject in outcome.subjects:
        latency = subject.latency_ms()
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        for batch in BATCHES:
            assert len(subject.rounds[batch]) == 2
            found = subject.throughput(batch)
            assert found is not None
            assert found.n == 2
            assert found.median > 0


def test_what_is_not_measured_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each measurement all workers but one are stopped, by the kernel's word."""
    import psutil

    from harness.processes.remote import RemoteWorker

    measure, seen = RemoteWorker.measure, []
    of_other_tests = {child.pid for child in psutil.Process().children()}

    def workers() -> list[psutil.Process]:
        children = [child for child in psutil.Process().children() if child.pid not in of_other_tests]
        return [child for child in children if "harness.worker" in child.cmdline()]

    def watched(self: RemoteWorker, *arguments: object, **options: object) -> object:
        others = [child.status() for child in workers() if child.pid != self.process.pid]
        seen.append((psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED, others))
        return measure(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(RemoteWorker, "measure", watched)
    outcome = benchmark(trained(POOLED), [BACKENDS["numpy"]], threads=1, rounds=2, seconds=0.01)
    assert outcome.failed == {}
    assert seen == [(False, [psutil.STATUS_STOPPED])] * 2 * 2 * len(BATCHES)
    assert not workers()


def test_a_form_that_computes_something_else_gets_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.export.benchmark.difference", lambda predictor, network: 0.5)
    outcome = benchmark(trained(POOLED), [], threads=1, rounds=2, seconds=0.01)
    assert outcome.subjects == []
    assert "differ from the reference's by 5.0e-01" in outcome.failed["onnxruntime onnx"]
