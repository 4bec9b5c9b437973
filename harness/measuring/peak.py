"""The machine's own ceiling: matrix-multiply rate and memory bandwidth, measured with NumPy and the runs' threads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.measuring.machine import cpu_name
from results.files import write_atomic

SIZE = 2048
BANDWIDTH_BYTES = 256 * 2**20  # far beyond any cache
REPEATS = 7


@dataclass(frozen=True)
class Peak:
    """``matmul_gflops``: 2 n^3 / t of a float32 product, n = 2048; ``copy_gb_per_s``: bytes read and written by a copy.

    Both are the best of several tries: a ceiling, not a typical value. The product is that of NumPy's BLAS, which a
    framework with better kernels for this CPU (AMX, say) may pass.
    """

    threads: int
    matmul_gflops: float
    copy_gb_per_s: float


def measure(threads: int) -> Peak:
    """Measure now, in about a second, and remember it for this processor and thread count.

    A ceiling only rises: of what was remembered and what is found on a machine that may be busy, the better counts.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(0)
    a, b = (generator.random((SIZE, SIZE), np.float32) for _ in range(2))
    out = np.empty_like(a)
    source = np.ones(BANDWIDTH_BYTES, np.uint8)
    target = np.empty_like(source)
    with threadpool_limits(threads):
        product_s = min(_seconds(lambda: np.matmul(a, b, out=out)) for _ in range(REPEATS))
    copy_s = min(_seconds(lambda: np.copyto(target, source)) for _ in range(REPEATS))
    before = remembered(threads) or Peak(threads, 0.0, 0.0)
    peak = Peak(
        threads,
        max(before.matmul_gflops, 2 * SIZE**3 / product_s / 1e9),
        max(before.copy_gb_per_s, 2 * BANDWIDTH_BYTES / copy_s / 1e9),
    )
    write_atomic(_file(threads), json.dumps(asdict(peak)) + "\n")
    return peak


def remembered(threads: int) -> Peak | None:
    """What ``measure`` found on this processor with so many threads; None where it was not measured."""
    try:
        return Peak(**json.loads(_file(threads).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _file(threads: int) -> Path:
    import platformdirs

    name = "".join(c if c.isalnum() else "_" for c in f"{cpu_name()}-{os.cpu_count()}-{threads}")
    return Path(platformdirs.user_cache_dir("framework-harness")) / "peak" / f"{name}.json"
