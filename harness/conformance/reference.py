"""What the reference observes, computed once for all backends."""

from __future__ import annotations

import threading

import numpy as np

from backends.numpy.session import NumpySession
from harness.conformance.case import ConformanceCase, Observation


class Reference:
    """NumPy's observations of cases by precision: float64 judges, float32 is the yardstick of float32's own error.

    They are kept, for every backend is judged by the same. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._observations: dict[tuple[str, str], Observation] = {}
        self._lock = threading.Lock()

    def observe(self, case: ConformanceCase, precision: str = "float64") -> Observation:
        """What NumPy observes of the case."""
        key = (case.name, precision)
        with self._lock:
            if key not in self._observations:
                self._observations[key] = case.observe(NumpySession(case.spec(precision)), np.dtype(precision))
            return self._observations[key]
