"""The machine's ceiling."""

from pathlib import Path

import pytest

from harness.measuring.peak import measure, remembered


def test_it_is_measured_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert remembered(1) is None
    peak = measure(1)
    assert remembered(1) == peak
    assert remembered(2) is None
    # No processor does less than 0.1 GFLOP/s or more than a petaflop per thread: this finds a slip of units.
    assert 0.1 < peak.matmul_gflops < 1e6
    assert 0.01 < peak.copy_gb_per_s < 1e5
