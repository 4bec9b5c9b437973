"""Keras 3 on TensorFlow."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from backends.contract import PRECISIONS, Backend, Description, Predictor, Session, SessionSpec, Unsupported
from backends.devices import checked_device, device_names
from backends.registry import MANNERS, Manner
from specs.architecture import Architecture


class KerasBackend(Backend):
    """Keras 3.15 on TensorFlow 2.21, CPU and CUDA.

    Precisions: float32; float64; bfloat16 as Keras means by "mixed_bfloat16" (layers compute in bfloat16, variables,
    gradients of variables, batch norm and loss are float32).
    """

    name = "keras"
    export_format = "keras-savedmodel"
    manners = MANNERS

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Log level, backend and thread counts.

        TensorFlow has threads within operations and threads that run operations side by side, as many of both. With one
        of the latter, training was slower on all bundled models, by 3 to 13 %.
        """
        return {
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }

    def load(self, *, threads: int) -> None:
        """Import Keras and TensorFlow; TF32 is switched off, GPU memory grows with need.

        The threads between operations are the environment's to say.
        """
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        import keras

        if keras.backend.backend() != "tensorflow":
            raise Unsupported(
                f"Keras runs on {keras.backend.backend()}; start the worker with KERAS_BACKEND=tensorflow"
            )

    def describe(self) -> Description:
        """Keras's version; TensorFlow's is among the packages."""
        import keras
        import tensorflow as tf

        packages = {name: version for name in _PACKAGES if (version := _version(name))}
        gpus = len(tf.config.list_physical_devices("GPU"))
        build = tf.sysconfig.get_build_info()
        return Description(
            framework_version=keras.__version__,
            devices=device_names(gpus),
            precisions=PRECISIONS,
            packages=packages,
            build=f"CUDA {build.get('cuda_version', 'none')}, cuDNN {build.get('cudnn_version', 'none')}",
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session on ``spec.device``."""
        if spec.precision not in PRECISIONS:
            raise Unsupported(f"keras has no precision {spec.precision!r}; it has {', '.join(PRECISIONS)}")
        device = self._device(spec.device)
        if spec.tuning == "expert":
            from backends.keras.expert.session import ExpertSession

            return ExpertSession(spec, device)
        from backends.keras.session import KerasSession

        return KerasSession(spec, device)

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A TensorFlow SavedModel."""
        from backends.keras.export import SavedModel

        return SavedModel(directory)

    def _device(self, device: str) -> str:
        """TensorFlow's name of a device of the contract."""
        checked = checked_device(device, self.describe().devices, "TensorFlow")
        return checked.replace("cuda", "GPU") if checked != "cpu" else "CPU:0"


_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "numpy", "h5py")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
