"""A clock that jumps and a machine that is busy: durations stay true, disturbed runs are marked and repeated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.running.figures import NOISY_OTHER_CPU, NOISY_STEAL, noise
from harness.worker.reports import Disturbance
from harness.worker.system import Counters
from tests.fakes import registered
from tests.harness.plans import run

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_durations_are_true_while_the_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock goes back an hour at every reading, in the parent and in the worker."""
    monkeypatch.setattr("time.time", lambda: 1e9 - 3600 * next(ticks))
    ticks = iter(range(10**9))
    with registered(load="clock_jumps", step_s=0.01) as fake:
        record, _ = run(fake, tmp_path / "run", timeout_s=300.0, stall_timeout_s=100.0)
    assert record.status == "ok", record.error
    assert record.phases.total_s is not None
    assert record.phases.train_s is not None
    assert 0.14 <= record.phases.train_s <= record.phases.total_s < 300
    assert all(span.seconds >= 0.009 for epoch in record.epochs for span in epoch.spans)


def test_no_duration_comes_from_the_wall_clock() -> None:
    """Nothing calls time.time; datetime.now stamps and names, and no two of its values are subtracted."""
    for path in sorted(p for room in ("harness", "backends", "results", "specs") for p in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("time", "time"), path
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
                assert "now(" not in ast.unparse(node).replace("Counters.now(", ""), path


@pytest.mark.parametrize(
    ("steal", "other_cpu", "noisy"),
    [
        (0.0, 0.0, False),
        (NOISY_STEAL, NOISY_OTHER_CPU, False),
        (NOISY_STEAL + 0.001, 0.0, True),
        (0.0, NOISY_OTHER_CPU + 0.001, True),
        (None, None, False),
    ],
)
def test_a_run_is_noisy_beyond_the_stated_shares(
    steal: float | None, other_cpu: float | None, noisy: bool, tmp_path: Path
) -> None:
    found = noise(0.5, Disturbance(steal=steal, other_cpu=other_cpu, involuntary_context_switches=3))
    assert found.noisy is noisy
    assert len(found.reasons) == int(noisy)
    assert found.involuntary_context_switches == 3


def test_shares_are_those_of_the_kernels_counters() -> None:
    before = Counters(100.0, 40.0, 1.0, 10.0, 5)
    after = Counters(120.0, 55.0, 3.0, 22.0, 9)
    assert after.since(before) == Disturbance(steal=0.1, other_cpu=0.15, involuntary_context_switches=4)
    assert Counters(None, None, None, 1.0, 5).since(before).steal is None
    waiting_went_back = Counters(100.2, 40.4, 1.4, 10.0, 5)
    assert waiting_went_back.since(before).steal == 1.0
    too_short = Counters(100.05, 40.05, 1.0, 10.0, 6)
    assert too_short.since(before) == Disturbance(involuntary_context_switches=1)
