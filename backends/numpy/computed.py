"""What a layer gives: its output, and how gradients go back through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def _none(_: Array) -> dict[str, Array]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A layer's output and its backward half, computed only when asked for.

    ``input_gradient`` maps the loss gradient of the output to that of the input; ``parameter_gradients`` maps it to
    {part: gradient} ("weight", "bias", "gamma", "beta"). ``buffers`` holds the buffers' new values in training.
    """

    output: Array
    input_gradient: Callable[[Array], Array]
    parameter_gradients: Callable[[Array], dict[str, Array]] = _none
    buffers: dict[str, Array] = field(default_factory=dict)
