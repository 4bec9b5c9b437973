"""ONNX Runtime behind the contract, so that it runs in a worker of its own like any framework; it trains nothing."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Backend, Description, Predictor, Session, SessionSpec, Unsupported
from backends.registry import Manner, Registration
from specs.architecture import Architecture

FILE = "model.onnx"
ONNX_RUNTIME = Registration(
    name="onnxruntime",
    title="ONNX Runtime",
    adapter="harness.export.onnx_runtime:OnnxRuntime",
    framework="onnxruntime",
)


class OnnxRuntime(Backend):
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"
    export_format = "onnx"

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """None: sessions are told their threads."""
        return {}

    def load(self, *, threads: int) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)

    def describe(self) -> Description:
        import onnxruntime

        packages = {name: version(name) for name in ("onnxruntime", "numpy")}
        return Description(
            framework_version=onnxruntime.__version__, devices=("cpu",), precisions=("float32",), packages=packages
        )

    def open(self, spec: SessionSpec) -> Session:
        raise Unsupported("ONNX Runtime trains nothing")

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """The file model.onnx in ``directory``."""
        return OnnxModel(directory / FILE, threads=threads)


class OnnxModel(Predictor):
    """An inference session of ONNX Runtime with its default graph optimizations."""

    def __init__(self, file: Path, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits [N, classes] in float32 of images [N, C, H, W]."""
        (logits,) = self._session.run(["logits"], {"images": np.ascontiguousarray(images, np.float32)})
        result: NDArray[Any] = logits
        return result
