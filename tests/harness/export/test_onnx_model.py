"""ONNX written from the spec computes what the reference does, by the word of ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from backends.contract import SessionSpec, Unsupported
from harness.export.forms import TOLERANCE, difference, find_form
from harness.export.onnx_model import onnx_model
from harness.export.onnx_runtime import FILE, OnnxModel, OnnxRuntime
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import JOINS, LAYERS
from specs.loading import architecture_names, load_architecture
from specs.optimizers import SGD
from specs.recipe import Preprocessing
from tests.harness.export.networks import EVERY_LAYER, GRAPH, NORMS, POOLED, RECURRENT, TOKENS, kinds, trained

NETWORKS = [*map(load_architecture, architecture_names()), EVERY_LAYER, POOLED, GRAPH, RECURRENT, NORMS, TOKENS]


def written(architecture: Architecture) -> onnx.ModelProto:
    network = trained(architecture)
    return onnx_model(architecture, network.parameters, network.preprocessing)


def test_the_networks_here_have_every_layer() -> None:
    assert kinds(*NETWORKS) == set((LAYERS | JOINS).values())


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda a: a.name)
def test_onnx_runtime_computes_the_references_logits(architecture: Architecture, tmp_path: Path) -> None:
    model = written(architecture)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / FILE)
    assert difference(OnnxModel(tmp_path / FILE, threads=1), trained(architecture)) < TOLERANCE / 10


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    network = trained(POOLED)
    onnx.save(written(POOLED), tmp_path / FILE)
    network.parameters["conv2d_1.weight"][0, 0, 0, 0] += 0.01
    assert difference(OnnxModel(tmp_path / FILE, threads=1), network) > TOLERANCE


def test_a_trailing_softmax_is_applied_at_prediction_only(tmp_path: Path) -> None:
    onnx.save(written(EVERY_LAYER), tmp_path / FILE)
    session = onnxruntime.InferenceSession(tmp_path / FILE)
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities"]
    images = np.random.default_rng(0).random((4, *EVERY_LAYER.input), np.float32)
    logits, probabilities = session.run(None, {"images": images})
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, shifted / shifted.sum(axis=1, keepdims=True), rtol=1e-5)
    onnx.save(written(POOLED), tmp_path / FILE)
    assert [output.name for output in onnxruntime.InferenceSession(tmp_path / FILE).get_outputs()] == ["logits"]


def test_the_batch_is_free_and_equal_weights_give_equal_bytes() -> None:
    model = written(POOLED)
    (images,) = model.graph.input
    assert [axis.dim_param or axis.dim_value for axis in images.type.tensor_type.shape.dim] == ["batch", 1, 9, 9]
    assert written(POOLED).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_the_metadata_say_how_pixels_become_images() -> None:
    preprocessing = Preprocessing(scale=(-1, 1), mean=(0.1,), std=(0.3,))
    model = onnx_model(POOLED, trained(POOLED).parameters, preprocessing)
    (entry,) = model.metadata_props
    said = {name: value and tuple(value) for name, value in json.loads(entry.value).items()}
    assert Preprocessing(**said) == preprocessing


def test_weights_beyond_what_the_format_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.export.onnx_model.MOST_BYTES", 100)
    with pytest.raises(RequestError, match="pooled: its weights take more than 2 GiB"):
        written(POOLED)


def test_onnx_runtime_trains_nothing() -> None:
    with pytest.raises(Unsupported, match="trains nothing"):
        OnnxRuntime().open(SessionSpec(architecture=POOLED, optimizer=SGD()))


def test_an_unknown_form_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="unknown export format 'onx'; did you mean 'onnx'"):
        find_form("onx")
