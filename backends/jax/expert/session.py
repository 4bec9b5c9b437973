"""JAX as fast as it goes on a CPU: pooling written so that XLA fuses it, forward and backward."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from backends.contract import SessionSpec
from backends.jax.session import JaxSession
from backends.rewrites import relu_after_max_pool
from specs.layers import MaxPool2d, Sides
from specs.shapes import infer


def sliced_max_pool(layer: MaxPool2d, around: Sides, x: Array) -> Array:
    """Max pooling of [n, height, width, channels] as the larger of strided slices, one for each cell of the window.

    The backward pass of ``lax.reduce_window`` searches each window again, in a kernel that nothing is fused with. Of
    equal cells the first one stays, and so does a NaN.
    """
    x = lax.pad(x, np.array(-np.inf, x.dtype), [(before, after, 0) for before, after in ((0, 0), *around, (0, 0))])
    height, width = (
        (size - kernel) // stride * stride + 1
        for size, kernel, stride in zip(x.shape[1:3], layer.kernel_size, layer.stride, strict=True)
    )
    largest = x[:, : height : layer.stride[0], : width : layer.stride[1]]
    for i, j in list(np.ndindex(layer.kernel_size))[1:]:
        cell = x[:, i : i + height : layer.stride[0], j : j + width : layer.stride[1]]
        largest = jnp.where((largest >= cell) | jnp.isnan(largest), largest, cell)
    return largest


class ExpertSession(JaxSession):
    """The recommended manner, with max pooling by slices, behind which ReLUs are moved."""

    def __init__(self, spec: SessionSpec, device: Any) -> None:
        nodes = relu_after_max_pool(infer(spec.architecture))
        super().__init__(spec, device, nodes=nodes, max_pool=sliced_max_pool)

    def tuning(self) -> tuple[str, ...]:
        """What the recommended manner does, and what is done beyond it."""
        pooled = any(isinstance(node.layer, MaxPool2d) for node in self._nodes)
        return (*super().tuning(), *(["max pooling by strided slices, before ReLU"] if pooled else []))
