"""A run from plan to record, with real worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from backends.registry import find
from harness.running.events import Sized
from harness.worker.reports import EpochReport, Phase, Progress
from results.record import SPEC_BYTES, Record, Specs
from specs.architecture import Architecture
from specs.codec import from_plain
from specs.errors import RequestError
from specs.recipe import Recipe
from tests.fakes import registered
from tests.harness.plans import plan, run


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared data of tests stays out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_good_run_has_a_complete_record(tmp_path: Path) -> None:
    record, events = run(find("numpy"), tmp_path / "run", epochs=3)
    assert record.status == "ok", record.error
    assert record.error is None
    assert [epoch.epoch for epoch in record.epochs] == [1, 2, 3]
    assert record.epochs[-1].test_accuracy == record.test_accuracy
    assert record.parameters == 16 * 3 + 3
    assert all(record.fingerprints.model_dump().values())
    assert np.sum(record.confusion_matrix) == 20
    assert record.curve is not None
    assert len(record.curve.first) == 3 * 7  # 50 samples in batches of 8: 6 full ones and a smaller last one
    assert [span.samples for epoch in record.epochs for span in epoch.spans][-1] == 2
    for epoch in record.epochs:
        assert sum(span.samples for span in epoch.spans) == 50
    assert record.throughput.train_samples_per_second
    assert record.throughput.step_ms is not None
    assert record.phases.total_s is not None
    assert record.phases.train_s is not None
    assert record.phases.total_s > record.phases.train_s
    assert record.memory.peak_rss_mb is not None
    assert {type(event) for event in events} == {Phase, Sized, Progress, EpochReport}
    assert "numpy" in record.environment.packages or record.framework_version == np.__version__
    assert not {"HOME", "PATH", "USER"} & set(record.environment.variables)


def test_two_runs_alike_agree_in_fingerprints_and_losses(tmp_path: Path) -> None:
    first, _ = run(find("numpy"), tmp_path / "a", seed=3)
    second, _ = run(find("numpy"), tmp_path / "b", seed=3)
    other, _ = run(find("numpy"), tmp_path / "c", seed=4)
    assert first.fingerprints == second.fingerprints
    assert first.curve == second.curve
    assert first.fingerprints.data == other.fingerprints.data
    assert first.fingerprints.schedule != other.fingerprints.schedule
    assert first.fingerprints.initial_weights != other.fingerprints.initial_weights


def test_the_record_explains_the_run_alone(tmp_path: Path) -> None:
    """The whole network and recipe as plain data, which give the very plan again."""
    record, _ = run(find("numpy"), tmp_path / "a", epochs=1, limit_train=30)
    planned = plan(find("numpy"), epochs=1)
    assert record.specs is not None
    assert from_plain(Architecture, dict(record.specs.architecture)) == planned.architecture
    assert from_plain(Recipe, record.specs.recipe) == planned.recipe
    assert (record.train_samples, record.test_samples) == (30, 20)
    assert Record.from_json(record.to_json()) == record
    assert Specs.of({"layers": ["x" * SPEC_BYTES]}, {}) is None
    with pytest.raises(ValidationError, match="longer than"):
        Specs(architecture={"layers": ["x" * SPEC_BYTES]}, recipe={})


def test_runs_are_repeats_by_content(tmp_path: Path) -> None:
    """Another seed, another name: the same training. Anything else: another one."""
    fake = find("numpy")
    first, _ = run(fake, tmp_path / "a", epochs=1)
    assert first.identity is not None
    other_seed, _ = run(fake, tmp_path / "b", epochs=1, seed=1)
    assert other_seed.identity == first.identity
    assert other_seed.fingerprints.schedule != first.fingerprints.schedule
    for number, choices in enumerate(
        ({"epochs": 2}, {"epochs": 2, "stop_after": 1}, {"epochs": 1, "batch_size": 4}, {"epochs": 1, "samples": 40},
         {"epochs": 1, "limit_test": 10}, {"epochs": 1, "precision": "float64"}, {"epochs": 1, "tuning": "default"})
    ):  # fmt: skip
        other, _ = run(fake, tmp_path / f"c{number}", **choices)
        assert other.status == "ok"
        assert other.identity != first.identity, choices
    newer = first.model_copy(update={"framework_version": "99"})
    assert newer.identity != first.identity


FAULTS = [
    # place, fault, status, words of the message
    ("construct", "raise", "failed", "asked to fail in construct"),
    ("construct", "exit", "crashed", "exit code 3"),
    ("construct", "sys_exit", "crashed", "exit code 4"),
    ("load", "raise", "failed", "asked to fail in load"),
    ("load", "segfault", "crashed", "SIGSEGV"),
    ("open", "unsupported", "unsupported", "asked to be unsupported"),
    ("open", "abort", "crashed", "SIGABRT"),
    ("set_training_data", "memory_error", "out_of_memory", "asked to run out of memory"),
    ("predict", "raise", "failed", "asked to fail in predict"),
    ("train", "raise", "failed", "asked to fail in train"),
    ("train", "segfault", "crashed", "SIGSEGV"),
    ("train", "sigkill", "crashed", "SIGKILL"),
    ("train", "exit", "crashed", "exit code 3"),
]


@pytest.mark.parametrize(("place", "fault", "status", "words"), FAULTS)
def test_a_fault_ends_in_a_record(tmp_path: Path, place: str, fault: str, status: str, words: str) -> None:
    with registered(**{place: fault}) as fake:
        record, _ = run(fake, tmp_path / "run")
    assert record.status == status
    assert record.error is not None
    assert words in record.error.message
    assert record.error.advice
    assert record.test_accuracy is None
    assert record.throughput.train_samples_per_second is None


def test_epochs_before_a_fault_are_kept(tmp_path: Path) -> None:
    with registered(train="segfault", after_steps=2 + 7 + 3) as fake:
        record, _ = run(fake, tmp_path / "run")
    assert record.status == "crashed"
    assert [epoch.epoch for epoch in record.epochs] == [1]


def test_a_loss_that_is_not_finite_ends_the_run_at_its_step(tmp_path: Path) -> None:
    with registered(nan_at=11) as fake:
        record, _ = run(fake, tmp_path / "run")
    assert record.status == "diverged"
    assert record.error is not None
    assert record.error.step == 10


def test_a_hang_ends_with_the_timeout_and_leaves_no_process(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    start = time.monotonic()
    with registered(train="hang") as fake:
        record, _ = run(fake, tmp_path / "run", timeout_s=3.0)
    assert record.status == "timed_out"
    assert record.error is not None
    assert "--timeout" in (record.error.advice or "")
    assert time.monotonic() - start < 20
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


def test_silence_ends_with_the_stall_timeout(tmp_path: Path) -> None:
    with registered(train="hang") as fake:
        record, _ = run(fake, tmp_path / "run", stall_timeout_s=1.0)
    assert record.status == "timed_out"
    assert record.error is not None
    assert "no sign of life after 1 s" in record.error.message


def test_a_flood_on_stdout_stays_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with registered(load="flood") as fake:
        record, _ = run(fake, tmp_path / "run")
    assert record.status == "ok"
    assert capfd.readouterr().out == ""
    assert (tmp_path / "run" / "worker.log").stat().st_size > 10_000_000


def test_a_leak_ends_at_the_memory_limit(tmp_path: Path) -> None:
    with registered(leak_mb=20) as fake:
        record, _ = run(fake, tmp_path / "run", memory_limit_mb=400, epochs=20)
    assert record.status == "out_of_memory"
    assert record.error is not None
    assert "--memory-limit" in (record.error.advice or "")


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed with SIGKILL while its worker hangs: the kernel ends the worker."""
    code = """
import sys, pathlib
from tests.fakes import registered
from tests.harness.plans import run
with registered(train="hang") as fake:
    run(fake, pathlib.Path(sys.argv[1]))
"""
    root = Path(__file__).parents[3]
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], cwd=root)
    worker = _wait_for(lambda: psutil.Process(parent.pid).children())[0]
    _wait_for(lambda: (tmp_path / "run" / "worker.log").exists() and worker.cpu_times().user > 0.05)
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    _wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def _wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_device_that_is_not_there_is_the_users_to_mend(tmp_path: Path) -> None:
    with registered() as fake, pytest.raises(RequestError, match="'cuda:3' is not there; there is: cpu"):
        run(fake, tmp_path / "run", device="cuda:3")


def test_a_worker_inherits_no_variable_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOG_v", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    with registered() as fake:
        record, _ = run(fake, tmp_path / "run")
    assert "GLOG_v" not in record.environment.variables
    assert "OMP_NUM_THREADS" not in record.environment.variables


@pytest.mark.alone  # what waits between two steps is in the rate
def test_step_times_are_measured_truly(tmp_path: Path) -> None:
    """Against what the steps really took: on a busy machine a wait of 20 ms may take longer."""
    with registered(step_s=0.02, durations_to=str(tmp_path / "durations.json")) as fake:
        record, _ = run(fake, tmp_path / "run", epochs=2, samples=400)
    taken = np.array(json.loads((tmp_path / "durations.json").read_text()))
    trained, probed = taken[1:101], taken[101:]  # after the one step of warm-up, 2 epochs of 50 steps
    assert len(probed) == len(record.throughput.step_ms_samples)  # as many as 2 s allow
    np.testing.assert_allclose(np.median(record.throughput.step_ms_samples), np.median(probed) * 1000, rtol=0.03)
    assert record.throughput.train_samples_per_second == pytest.approx(800 / trained.sum(), rel=0.03)


def test_memory_is_measured_truly(tmp_path: Path) -> None:
    with registered() as fake:
        plain, _ = run(fake, tmp_path / "a")
    with registered(allocate_mb=200) as fake:
        heavy, _ = run(fake, tmp_path / "b")
    assert plain.memory.after_build_rss_mb is not None
    assert heavy.memory.after_build_rss_mb is not None
    assert heavy.memory.after_build_rss_mb - plain.memory.after_build_rss_mb == pytest.approx(200, abs=10)
    assert heavy.memory.peak_rss_mb is not None
    assert plain.memory.peak_rss_mb is not None
    assert heavy.memory.peak_rss_mb - plain.memory.peak_rss_mb == pytest.approx(200, abs=10)


def test_the_command_in_the_record_repeats_the_plan(tmp_path: Path) -> None:
    with registered() as fake:
        words = plan(fake, seed=5, limit_train=40).command().split()
    assert words[:4] == ["python", "-m", "harness", "run"]
    assert words[words.index("--seed") + 1] == "5"
    assert words[words.index("--limit-train") + 1] == "40"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    with registered() as fake:
        run(fake, tmp_path / "a")
        before = len(list(Path("/proc/self/fd").iterdir()))
        run(fake, tmp_path / "b")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
