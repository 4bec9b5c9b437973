"""MindSpore: the adapter's entry. The session is imported only once MindSpore is wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backends.contract import Backend, Description, Predictor, Session, SessionSpec, Unsupported
from backends.devices import checked_device, device_names
from backends.registry import MANNERS, Manner
from specs.architecture import Architecture
from specs.layers import Conv2d
from specs.shapes import infer

# Found by trying: each layer's output and gradients in float64 against the reference.
_NOT_IN_FLOAT64 = {
    "conv2d": "MindSpore's Conv2D takes no float64",
    "batch_norm2d": "MindSpore's BatchNorm takes no float64",
    "batch_norm1d": "MindSpore's BatchNorm takes no float64",
    "avg_pool2d": "MindSpore's AvgPool computes float64 in float32, and AvgPool3DGrad takes no float64",
    "lstm": "MindSpore's LSTM takes no float64",
}


class MindSporeBackend(Backend):
    """MindSpore on a CPU, or on a GPU where the build has it."""

    name = "mindspore"
    export_format = "mindspore-mindir"
    manners = MANNERS

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Threads, errors alone in the log, and beyond "default" the instruction set in which convolutions are fast.

        On CPUs with AVX-512 the oneDNN inside MindSpore falls back to a reference convolution unless told to stay
        below; the setting slows matrix products, so a network without convolutions goes without.
        """
        environment = {"OMP_NUM_THREADS": str(threads), "GLOG_v": "3"}
        if tuning != "default" and (
            architecture is None or any(isinstance(node.layer, Conv2d) for node in infer(architecture))
        ):
            environment["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        return environment

    def load(self, *, threads: int) -> None:
        """Import MindSpore and size its thread pools."""
        import mindspore as ms

        ms.device_context.cpu.op_tuning.threads_num(threads)

    def describe(self) -> Description:
        """Version, and the devices that this build can use."""
        import mindspore as ms

        gpu = ms.device_context.gpu
        devices = device_names(gpu.device_count() if gpu.is_available() else 0)
        return Description(
            framework_version=ms.__version__,
            devices=devices,
            precisions=("float32", "float64"),
            packages={"mindspore": ms.__version__, "numpy": np.__version__},
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session in float32, or in float64 where MindSpore has the kernels."""
        checked_device(spec.device, self.describe().devices, "MindSpore")
        if spec.precision == "bfloat16":
            raise Unsupported("MindSpore's CPU kernels take no bfloat16: Select CPU operator[ReLU] fail")
        if spec.precision == "float64":
            for node in infer(spec.architecture):
                if node.layer.kind in _NOT_IN_FLOAT64:
                    raise Unsupported(f"{node.name}: {_NOT_IN_FLOAT64[node.layer.kind]}")
        if spec.tuning == "expert":
            from backends.mindspore.expert.session import ExpertSession

            return ExpertSession(spec)
        from backends.mindspore.session import MindSporeSession

        return MindSporeSession(spec)

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A MindIR file."""
        from backends.mindspore.export import MindIR

        return MindIR(directory)
