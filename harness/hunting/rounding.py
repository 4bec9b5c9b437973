"""What rounding alone does to a network: NumPy with every number rounded anew, at random.

The method is Monte Carlo arithmetic (D. S. Parker, 1997): how far results of the same formulas lie apart when each
number is moved by about what a kernel rounds it by. Where they lie far apart, so may those of two correct frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, SessionSpec
from backends.numpy.activations import softmax
from backends.numpy.computed import Array, Computed
from backends.numpy.network import Joined, Network, Step
from backends.numpy.session import NumpySession
from specs import layers as L
from specs.nodes import Node
from specs.shapes import infer

ULPS = 4.0
"""So many halves of the last digit a number is moved by at most. One is its rounding; kernels add in other orders."""

# Layers that add numbers up: what they read is moved. Those that pick or copy numbers keep equal ones equal, as every
# framework does: a maximum among equals may not be decided by a die.
_SUMS = (
    L.Conv2d,
    L.Linear,
    L.AvgPool2d,
    L.GlobalAvgPool,
    L.BatchNorm,
    L.LayerNorm,
    L.GroupNorm,
    L.Softmax,
    L.LSTM,
    L.GRU,
    L.MultiHeadAttention,
    L.PositionEmbedding,
    L.MeanTokens,
    L.Add,
)

# Layers whose derivative is a difference of numbers near 1, as y (1 - y) is.
_SMOOTH = (L.Sigmoid, L.Tanh, L.GELU, L.SiLU, L.ELU, L.HardSwish)


class RoundedSession(NumpySession):
    """A NumPy session that rounds at random wherever a framework may round otherwise."""

    def __init__(self, spec: SessionSpec, generator: np.random.Generator) -> None:
        super().__init__(spec)
        self._random = _Rounding(ULPS * float(np.finfo(spec.dtype).epsneg), generator)
        self._network = _RoundedNetwork(infer(spec.architecture), self._random)

    def _loss(self, logits: NDArray[Any], labels: NDArray[np.int64]) -> tuple[float, NDArray[Any]]:
        """Probabilities near 1 and their logarithms near 0 are rounded as numbers near 1 are."""
        loss, gradient = super()._loss(logits, labels)
        noise = self._random.noise(loss, max(1.0, abs(loss)))
        return float(noise), self._random.noise(gradient, softmax(logits, 1).output / len(logits))


class _RoundedNetwork(Network):
    def __init__(self, nodes: Sequence[Node], rounding: _Rounding) -> None:
        super().__init__(nodes)
        self._rounding = rounding

    def step(
        self, node: Node, inputs: Sequence[Array], parts: Arrays, *, training: bool, mask: NDArray[np.bool_] | None
    ) -> Step:
        """As of a network. A backward pass may compute anew what it needs of the forward one: it is rounded apart."""
        again, noise = self._rounding.again, self._rounding.noise
        adds = isinstance(node.layer, _SUMS)

        def computed() -> Step:
            read = [again(x) for x in inputs] if adds else inputs
            return super(_RoundedNetwork, self).step(node, read, parts, training=training, mask=mask)

        step = computed()
        if isinstance(step, Joined):
            return step
        if adds:
            back = cast(Computed, computed())
            return replace(
                step,
                input_gradient=lambda dy: again(back.input_gradient(again(dy))),
                parameter_gradients=lambda dy: back.parameter_gradients(again(dy)),
            )
        if isinstance(node.layer, _SMOOTH):
            return replace(step, input_gradient=lambda dy: noise(step.input_gradient(dy), dy))
        return step


class _Rounding:
    """Random numbers within ``unit`` of others."""

    def __init__(self, unit: float, generator: np.random.Generator) -> None:
        self._unit = unit
        self._generator = generator

    def again(self, x: Array) -> Array:
        """Every number moved by a share of itself."""
        return self.noise(x, x)

    def noise(self, x: Any, scale: Any) -> Array:
        """Every number moved by a share of ``scale``, in the dtype of x."""
        x = np.asarray(x)
        moved: Array = x + self._unit * self._generator.uniform(-1, 1, x.shape) * scale
        return moved.astype(x.dtype)
