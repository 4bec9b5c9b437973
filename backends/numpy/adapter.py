"""NumPy: the adapter's entry."""

from __future__ import annotations

import numpy as np

from backends.contract import Backend, Description, SessionSpec, Unsupported
from backends.devices import checked_device, device_names
from backends.numpy.session import NumpySession
from backends.registry import Manner
from specs.architecture import Architecture

_PRECISIONS = ("float32", "float64")


class NumpyBackend(Backend):
    """NumPy on the CPU. Its threads are those of the BLAS it was built with, sized when NumPy is imported."""

    name = "numpy"

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: Manner) -> dict[str, str]:
        """Thread counts of the BLAS libraries NumPy may be built with."""
        return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")}

    def load(self, *, threads: int) -> None:
        """Nothing to do: NumPy is imported already, its threads come from ``environment``."""

    def describe(self) -> Description:
        """NumPy's version and the BLAS it was built with."""
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return Description(
            framework_version=np.__version__,
            devices=device_names(0),
            precisions=_PRECISIONS,
            packages={"numpy": np.__version__},
            build=f"{blas['name']} {blas['version']}",
        )

    def open(self, spec: SessionSpec) -> NumpySession:
        """A session on the CPU in float32 or float64."""
        checked_device(spec.device, device_names(0), "NumPy")
        if spec.precision not in _PRECISIONS:
            raise Unsupported(f"NumPy has no {spec.precision}; it computes in {' or '.join(_PRECISIONS)}")
        return NumpySession(spec)
