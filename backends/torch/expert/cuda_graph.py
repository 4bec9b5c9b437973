"""CUDA graphs: the many small kernels of a training step launched as one.

Written to torch's documentation and not run yet: no GPU was at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Mapping[str, Tensor]], Tensor]

_REHEARSALS = 3  # as many as torch's own helper for captured training makes


def captured(step: Step, batch: int, *, network: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """``step`` for indices int64[batch] and no masks, captured once and replayed on every call.

    Libraries set themselves up in their first passes, which capture forbids, so the step is rehearsed on a side stream
    and all that it moved is put back. Dropout's generator alone goes on.
    """
    device = next(network.parameters()).device
    indices = torch.zeros(batch, dtype=torch.int64, device=device)
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    moved = [*network.parameters(), *network.buffers(), *states]
    before = [tensor.detach().clone() for tensor in moved]
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(_REHEARSALS):
            step(indices, {})
    torch.cuda.current_stream(device).wait_stream(side)
    with torch.no_grad():
        for tensor, value in zip(moved, before, strict=True):
            tensor.copy_(value)
    optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(indices, {})

    def replay(wanted: Tensor, _: Mapping[str, Tensor]) -> Tensor:
        indices.copy_(wanted)
        graph.replay()
        return loss.clone()

    return replay
