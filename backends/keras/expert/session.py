"""The plain session with the operations of its graph chosen and ordered for speed."""

from __future__ import annotations

from backends.contract import SessionSpec
from backends.keras.expert.optimizers import KERNELS, kernel_optimizer
from backends.keras.session import KerasSession
from backends.rewrites import relu_after_max_pool


class ExpertSession(KerasSession):
    """Max pooling before the ReLU that it commutes with, and TensorFlow's update kernels."""

    def __init__(self, spec: SessionSpec, device: str) -> None:
        """``device`` is TensorFlow's name of it."""
        super().__init__(spec, device, rewrite=relu_after_max_pool, optimizer=kernel_optimizer)

    def tuning(self) -> tuple[str, ...]:
        """What was done beyond the defaults, a phrase each."""
        done = list(super().tuning())
        if self._network.computed != self._network.nodes:
            done.append("max pooling before the ReLU it commutes with")
        if type(self._spec.optimizer) in KERNELS:
            done.append("TensorFlow's fused kernel as optimizer")
        return tuple(done)
