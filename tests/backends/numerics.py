"""What the tests of the reference measure with: finite differences, an error norm, data without ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs import layer_shapes
from specs.layers import Layer

Array = NDArray[Any]

STEP = 1e-3
"""Distance of finite differences. ``separated`` data keeps its values more than two of it apart and from zero."""


def finite_difference(function: Callable[[Array], float], x: Array, step: float = STEP) -> Array:
    """The gradient of ``function`` at float64 ``x`` by the five-point stencil (Abramowitz & Stegun, 25.3.6).

    Its error is step^4 / 30 * f''''' + about 1.5 * 2^-53 * |f| / step, at STEP some 3e-14 * f''''' + 2e-13 * |f|: a
    thousand times less than that of the two-point difference at its best step.
    """
    gradient = np.empty_like(x)
    shifted = x.copy()
    for index in np.ndindex(x.shape):

        def at(steps: int, index: tuple[int, ...] = index) -> float:
            shifted[index] = x[index] + steps * step
            return function(shifted)

        gradient[index] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
        shifted[index] = x[index]
    return gradient


def relative_error(actual: Array, expected: Array) -> float:
    """|actual - expected| / |expected| in the Euclidean norm; 0 when both are 0, infinite when only ``expected`` is."""
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    difference, size = float(np.linalg.norm(np.asarray(actual, np.float64) - expected)), float(np.linalg.norm(expected))
    if difference == 0:
        return 0.0
    return difference / size if size else np.inf


def separated(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Distinct float64 values 0.01 apart, none nearer to 0 than 0.005, in random places.

    No maximum changes its place and no kink at 0 is crossed when one value moves by two STEPs.
    """
    count = int(np.prod(shape))
    return 0.01 * (generator.permutation(count) - count // 2 + 0.5).reshape(shape)


def parameter_values(layer: Layer, shape: tuple[int, ...], generator: np.random.Generator) -> dict[str, Array]:
    """Random float64 parameters and buffers for ``layer`` on inputs [n, *shape]."""
    shapes = layer_shapes.parameters(layer, shape) | layer_shapes.buffers(layer, shape)
    values = {part: generator.normal(size=size) for part, size in shapes.items()}
    if "running_variance" in values:
        values["running_variance"] = np.square(values["running_variance"]) + 0.5
    return values
