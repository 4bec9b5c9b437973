"""What a user should be told of a network that is valid but may not be what they mean."""

from __future__ import annotations

from specs.architecture import Architecture
from specs.optimizers import SGD, Optimizer
from specs.redundant_biases import redundant_biases
from specs.shapes import has_trailing_softmax


def notices(architecture: Architecture, optimizer: Optimizer | None = None) -> list[str]:
    """One line each. Without an optimizer any may be meant.

    SGD moves a bias by its gradient, so one that is rounding stays rounding; the others divide by the gradient's own
    size and make whole steps of it.
    """
    found = []
    if has_trailing_softmax(architecture):
        found.append(
            f"{architecture.name}: the last layer is a softmax; the loss takes logits, "
            "so it is applied at prediction only, not in training"
        )
    redundant = redundant_biases(architecture)
    if redundant and not isinstance(optimizer, SGD):
        name, norm = next(iter(redundant.items()))
        more = f" ({len(redundant)} such layers)" if len(redundant) > 1 else ""
        found.append(
            f"{architecture.name}: the bias of {name} goes straight into {norm}, which takes it away: its gradient is "
            f"rounding, of which Adam and the like make whole steps, each framework others; bias: false avoids it{more}"
        )
    return found
