"""Canonical weight layouts to native ones and back, for the frameworks that store weights otherwise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def oihw_to_hwio(weight: NDArray[Any]) -> NDArray[Any]:
    """Convolution weight [O, I, H, W] to [H, W, I, O], contiguous."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def hwio_to_oihw(weight: NDArray[Any]) -> NDArray[Any]:
    """Convolution weight [H, W, I, O] to [O, I, H, W], contiguous."""
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1))


def transposed(weight: NDArray[Any]) -> NDArray[Any]:
    """Linear weight [out, in] to [in, out] or back, contiguous."""
    return np.ascontiguousarray(weight.T)
