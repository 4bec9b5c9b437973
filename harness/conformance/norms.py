"""The one measure of error: the relative error norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def relative_errors(
    got: Mapping[str, NDArray[Any]], want: Mapping[str, NDArray[Any]], *, floor: float = 0.0
) -> dict[str, float]:
    """||got - want|| / max(||want||, floor * the largest ||want|| of all) per tensor, Euclidean norms in float64.

    Where that divisor is 0 the error is ||got|| itself. It is inf for a missing or surplus name, another shape, or a
    value that is not finite: nothing of that kind may pass as small.
    """
    norms = {name: float(np.linalg.norm(np.asarray(array, np.float64))) for name, array in want.items()}
    least = floor * max(norms.values(), default=0.0)
    errors = dict.fromkeys(got.keys() ^ want.keys(), math.inf)
    for name in got.keys() & want.keys():
        a, b = np.asarray(got[name], np.float64), np.asarray(want[name], np.float64)
        if a.shape != b.shape or not np.isfinite(a).all():
            errors[name] = math.inf
        else:
            errors[name] = float(np.linalg.norm(a - b)) / (max(norms[name], least) or 1.0)
    return errors


def classes(array: NDArray[Any]) -> NDArray[np.float64]:
    """NaN 2, infinities 1 and -1, whatever is finite 0."""
    values = np.asarray(array, np.float64)
    return np.where(np.isnan(values), 2.0, np.where(np.isinf(values), np.sign(values), 0.0))
