"""Clipping by the global norm in the older graph, whose ``ClipGradByGlobalNorm`` fails in Paddle 3.3 (no ``sqrt``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.paddle.expert.operations import append

Pairs = list[tuple[Any, Any]]
"""Each parameter with its gradient."""


def clipped(pairs: Pairs, most: Any) -> Pairs:
    """The pairs, gradients multiplied by ``most`` / max(norm of all, ``most``); ``most`` is a variable float32[1]."""
    squares = [append("squared_l2_norm", {"X": [gradient]}, [1]) for _, gradient in pairs]
    norm = _of_one("sqrt", {"X": [_of_one("sum", {"X": squares})]})
    factor = _of_one("elementwise_div", {"X": [most], "Y": [_of_one("elementwise_max", {"X": [norm], "Y": [most]})]})
    return [
        (parameter, append("elementwise_mul", {"X": [gradient], "Y": [factor]}, gradient.shape))
        for parameter, gradient in pairs
    ]


def _of_one(kind: str, inputs: dict[str, Sequence[Any]]) -> Any:
    return append(kind, {name: list(values) for name, values in inputs.items()}, [1])
