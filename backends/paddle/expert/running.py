"""A static program run step by step from C++, everything that it needs in its scope."""

from __future__ import annotations

from typing import Any

import paddle
from paddle.base import core
from paddle.pir_utils import OldIrGuard


class Run:
    """A program made ready to run in a scope, without feeding and fetching."""

    def __init__(self, program: Any, scope: Any, *, keep: bool) -> None:
        """With ``keep`` the memory of intermediate values is kept from run to run, else given back soon."""
        # oneDNN's cache tells forward and backward of one convolution apart only when one thread runs them in order.
        # Every run asks anew whether memory is kept, so that no other program's choice may stand.
        self._flags = {"FLAGS_new_executor_serial_run": True, "FLAGS_eager_delete_tensor_gb": -1.0 if keep else 0.0}
        paddle.set_flags(self._flags)
        place = core.Place()
        place.set_place(paddle.CPUPlace())
        self._program = program  # the plan refers to it
        self._plan = core.Plan([core.Job("default")], {"default": program.desc})
        self._executor = core.StandaloneExecutor(place, self._plan, scope)

    def __call__(self, times: int) -> None:
        """Run the program ``times`` times."""
        paddle.set_flags(self._flags)
        with OldIrGuard():
            for _ in range(times):
                self._executor.run([], False)
