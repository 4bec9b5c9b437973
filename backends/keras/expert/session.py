"""The plain session with the operations of its graph chosen and ordered for speed."""

from __future__ import annotations

from backends.contract import SessionSpec
from backends.keras.expert.network import ExpertNetwork
from backends.keras.expert.optimizers import KERNELS, kernel_optimizer
from backends.keras.session import KerasSession
from specs.layers import BatchNorm2d


class ExpertSession(KerasSession):
    """``ExpertNetwork`` and TensorFlow's update kernels in the functions of the plain session."""

    def __init__(self, spec: SessionSpec, device: str) -> None:
        """``device`` is TensorFlow's name of it."""
        super().__init__(spec, device, network=ExpertNetwork, optimizer=kernel_optimizer)

    def tuning(self) -> tuple[str, ...]:
        """What was done beyond the defaults, a phrase each."""
        done = list(super().tuning())
        if self._network.computed != self._network.nodes:
            done.append("max pooling before the ReLU it commutes with")
        normalised = any(isinstance(node.layer, BatchNorm2d) for node in self._network.nodes)
        if normalised and self._spec.precision == "float32":
            done.append("TensorFlow's fused kernel for batch norm")
        if type(self._spec.optimizer) in KERNELS:
            done.append("TensorFlow's fused kernel as optimizer")
        return tuple(done)
