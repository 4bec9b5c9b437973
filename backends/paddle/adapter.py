"""PaddlePaddle: the adapter's entry. The session is imported only once Paddle is wanted."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from backends.contract import Backend, Description, Predictor, Session, SessionSpec, Unsupported
from backends.devices import checked_device, device_names
from backends.registry import MANNERS, Manner
from specs.architecture import Architecture


class PaddleBackend(Backend):
    """PaddlePaddle on CPU and CUDA."""

    name = "paddle"
    export_format = "paddle-static"
    manners = MANNERS

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """No TensorFloat-32 on GPUs; the threads asked for, but in the default manner; for experts the older graph.

        Paddle computes in one thread unless OMP_NUM_THREADS says otherwise.
        """
        variables = {"NVIDIA_TF32_OVERRIDE": "0"}
        if tuning != "default":
            variables |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if tuning == "expert":
            variables["FLAGS_enable_pir_api"] = "0"
        return variables

    def load(self, *, threads: int) -> None:
        """Import Paddle; its threads come from ``environment``, which it reads at import."""
        import paddle

        paddle.disable_signal_handler()

    def describe(self) -> Description:
        """Paddle's version, the GPUs it sees and how it was built."""
        import paddle

        cuda = paddle.device.is_compiled_with_cuda()
        package = "paddlepaddle-gpu" if cuda else "paddlepaddle"
        return Description(
            framework_version=paddle.__version__,
            devices=self._devices(),
            precisions=("float32", "float64", "bfloat16") if cuda else ("float32", "float64"),
            packages={package: version(package), "numpy": np.__version__},
            build=f"commit {paddle.version.commit[:10]}, cuda {paddle.version.cuda()}",
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session. Raises RequestError for a device that is not there, Unsupported for bfloat16 on a CPU."""
        device = checked_device(spec.device, self._devices(), "PaddlePaddle")
        if spec.precision == "bfloat16" and device == "cpu":
            raise Unsupported("Paddle's automatic mixed precision runs on GPUs only, so there is no bfloat16 on a CPU")
        from backends.paddle.session import PaddleSession

        place, threads = device.replace("cuda", "gpu"), "as many threads as asked for (OMP_NUM_THREADS)"
        match spec.tuning:
            case "default":
                return PaddleSession(spec, place)
            case "recommended":
                return PaddleSession(spec, place, (threads,))
            case "expert":
                from backends.paddle.expert.session import DynamicSession, ExpertSession, refusal

                if reason := refusal(spec):
                    return DynamicSession(spec, place, (threads, f"dynamic graph: {reason}"))
                return ExpertSession(spec)

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A model of ``paddle.jit.save``, run by ``paddle.inference``."""
        from backends.paddle.export import InferenceModel

        return InferenceModel(directory, threads=threads)

    @staticmethod
    def _devices() -> tuple[str, ...]:
        import paddle

        count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
        return device_names(count)
