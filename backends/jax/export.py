"""A network as StableHLO, by ``jax.export``, and such a file run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from jax import Array
from numpy.typing import NDArray

from backends.contract import Predictor

FILE = "model.jax"


def write_exported(logits: Callable[[Array], Array], image: tuple[int, ...], directory: Path) -> None:
    """``logits`` of images [n, height, width, channels] for float32[n, *image], any n from 1 on, on CPU and CUDA."""
    (batch,) = jax.export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, *image), np.float32)
    function = jax.jit(lambda images: logits(images.transpose(0, 2, 3, 1)))
    exported = jax.export.export(function, platforms=("cpu", "cuda"))(images)
    (directory / FILE).write_bytes(exported.serialize())


class Exported(Predictor):
    """An exported network on the CPU."""

    def __init__(self, directory: Path) -> None:
        self._call = jax.jit(jax.export.deserialize(bytearray((directory / FILE).read_bytes())).call)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float32[n, classes] of images float[n, C, H, W]."""
        return np.array(self._call(np.array(images, np.float32)))
