"""PyTorch: the adapter's entry. The sessions are imported only once torch is wanted."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from backends.allocator import KEEP_FREED_MEMORY
from backends.contract import PRECISIONS, Backend, Description, Predictor, Session, SessionSpec, Unsupported
from backends.devices import checked_device, device_names
from backends.registry import MANNERS, Manner
from specs.architecture import Architecture


class TorchBackend(Backend):
    """PyTorch on CPUs and CUDA devices.

    On CUDA TF32 is off and cuDNN is held to deterministic algorithms, chosen without timing them, in every manner:
    float32 means float32, and a run repeats itself. (One kernel stays free: max pooling's backward adds atomically,
    which changes the order of a sum only where windows overlap.)
    """

    name = "torch"
    export_format = "torch-export"
    manners = MANNERS

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Thread counts for OpenMP and MKL, and the cuBLAS workspace without which its sums are not repeatable.

        PyTorch's tuning guide advises an allocator that keeps freed memory; glibc's does when told to.
        No file is ever unpickled beyond plain tensors, by whatever function of PyTorch's that reads one.
        """
        return {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
            **({} if tuning == "default" else KEEP_FREED_MEMORY),
        }

    def load(self, *, threads: int) -> None:
        """Import PyTorch and set its threads; TF32 is switched off, and cuDNN held to deterministic algorithms."""
        import torch

        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False

    def describe(self) -> Description:
        """PyTorch's version, the GPUs it sees, its CUDA and the instruction set of its CPU kernels."""
        import torch

        return Description(
            framework_version=torch.__version__,
            devices=_devices(),
            precisions=PRECISIONS,
            packages={name: version(name) for name in ("torch", "numpy")},
            build=f"CUDA {torch.version.cuda or 'none'}, CPU kernels {torch.backends.cpu.get_cpu_capability()}",
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session. Raises RequestError for a device that is not there, Unsupported for bfloat16 on an old GPU."""
        import torch

        build = "built without CUDA" if torch.version.cuda is None else f"CUDA {torch.version.cuda}"
        device = torch.device(checked_device(spec.device, _devices(), f"PyTorch {torch.__version__} ({build})"))
        if spec.precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise Unsupported(f"bfloat16 needs a newer GPU than {torch.cuda.get_device_name(device)}")
        if spec.tuning == "expert":
            from backends.torch.expert.session import ExpertSession

            return ExpertSession(spec, device)
        from backends.torch.session import TorchSession

        return TorchSession(spec, device)

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A ``torch.export`` program, run on the CPU."""
        from backends.torch.export import Program

        return Program(directory)


def _devices() -> tuple[str, ...]:
    import torch

    return device_names(torch.cuda.device_count())
