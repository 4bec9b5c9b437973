"""JAX: the adapter's entry. The session is imported only once jax is wanted."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from backends.contract import PRECISIONS, Backend, Description, Predictor, Session, SessionSpec
from backends.devices import checked_device, device_names
from backends.registry import MANNERS, Manner
from specs.architecture import Architecture


class JaxBackend(Backend):
    """Plain JAX, without a library of layers or optimizers, on CPUs and CUDA devices.

    float64 needs a switch of the whole process, ``jax_enable_x64``, which is always on: every array here has its dtype
    by name, so float32 stays float32. TF32 is off. bfloat16 computes layers in bfloat16; weights, gradients, optimizer
    state, batch norm and loss stay float32.
    """

    name = "jax"
    export_format = "jax-export"
    manners = MANNERS

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Threads, log level, and GPU memory taken as it is needed.

        JAX documents no way to say how many threads XLA makes for its CPU operations; PJRT, which makes them, reads
        this variable.
        """
        return {
            "PJRT_NPROC": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }

    def load(self, *, threads: int) -> None:
        """Import JAX; the threads are the environment's to say."""
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")
        jax.devices()

    def describe(self) -> Description:
        """JAX's version, the GPUs it sees and the XLA it has."""
        import jax

        return Description(
            framework_version=jax.__version__,
            devices=_devices(),
            precisions=PRECISIONS,
            packages={name: version(name) for name in ("jax", "jaxlib", "numpy")},
            build=f"XLA {jax.devices()[0].client.platform_version}".replace("\n", " "),
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session on ``spec.device``. Raises RequestError for a device that is not there."""
        import jax

        name = checked_device(spec.device, _devices(), f"JAX {jax.__version__}")
        platform, _, index = name.partition(":")
        device = jax.devices(platform)[int(index or 0)]
        if spec.tuning == "expert":
            from backends.jax.expert.session import ExpertSession

            return ExpertSession(spec, device)
        from backends.jax.session import JaxSession

        return JaxSession(spec, device)

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A file of ``jax.export``, run on the CPU."""
        from backends.jax.export import Exported

        return Exported(directory)


def _devices() -> tuple[str, ...]:
    import jax

    return device_names(sum(device.platform == "gpu" for device in jax.devices()))
