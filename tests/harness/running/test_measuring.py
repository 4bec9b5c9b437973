"""Whether the measuring comes out right: backends whose times, allocations and threads are known.

Times pass on a clock that the fake framework itself moves, so that the tests judge the measuring and not the machine.
What only the kernel can tell, memory and threads, is measured in real workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.contract import Description, SessionSpec
from backends.registry import find
from harness.cli.progress import console, summary
from harness.inputs.prepare import prepare_data, run_inputs
from harness.planning.plan import RunPlan
from harness.running.figures import time_to_accuracy
from harness.running.recording import RunNotes, record_of
from harness.worker.job import TrainingJob
from harness.worker.reports import EpochReport, Event, Loaded
from harness.worker.training import train
from results import load
from results.record import Memory, Record
from results.statistics import Verdict
from results.store import ResultSet
from tests.fakes import FAKE, RIVAL, FakeBackend, FakeSession, registered
from tests.harness.plans import TINY, dataset, plan, run

pytestmark = pytest.mark.alone

STEP_S = 0.005
IMPORT_S, OPEN_S, FIRST_S, PREDICT_S = 3.0, 0.7, 1.5, 0.04


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Clock:
    """Stands still unless told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class ClockedBackend(FakeBackend):
    """Takes its time on ``clock``: ``step_s(step)`` for every step but the first, which compiles for FIRST_S."""

    def __init__(self, clock: Clock, step_s: Callable[[int], float]) -> None:
        self.clock = clock
        self.step_s = step_s

    def describe(self) -> Description:
        return Description(framework_version="1.0", devices=("cpu",), precisions=("float32",))

    def open(self, spec: SessionSpec) -> ClockedSession:
        self.clock.now += OPEN_S
        return ClockedSession(spec, self)


class ClockedSession(FakeSession):
    def __init__(self, spec: SessionSpec, backend: ClockedBackend) -> None:
        super().__init__(spec, {})
        self.backend = backend
        self.taken = 0

    def train_steps(
        self,
        order: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        for _ in order:
            self.backend.clock.now += self.backend.step_s(self.taken) if self.taken else FIRST_S
            self.taken += 1
        return super().train_steps(order, learning_rates, dropout_masks=dropout_masks)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        self.backend.clock.now += PREDICT_S
        return super().predict(images)


class Bench:
    """Runs on the clock, from prepared inputs to records: what ``harness.running.run`` does, without a worker."""

    def __init__(self, folder: Path, *, samples: int = 400, epochs: int = 2) -> None:
        self.folder = folder
        self.plan = plan(FAKE, epochs=epochs)
        data = dataset(samples)
        recipe = self.plan.recipe
        self.data = prepare_data(data, recipe.preprocessing, limit_train=None, limit_test=None)
        inputs = run_inputs(TINY, recipe, seed=0, samples=samples)
        inputs.write(folder / "inputs")
        self.fingerprints = inputs.fingerprints()
        self.labels = np.asarray(data.test_labels)
        self.clock = Clock()

    def record(self, step_s: Callable[[int], float], **choices: Any) -> Record:
        """One run whose steps take so long. ``choices`` are the plan's, such as ``round``."""
        chosen: RunPlan = replace(self.plan, **choices)
        job = TrainingJob(
            spec=chosen.session,
            data=self.data.folder,
            inputs=self.folder / "inputs",
            epochs=chosen.recipe.epochs,
            batch_size=chosen.recipe.batch_size,
        )
        start = self.clock.now
        events: list[Event] = []
        backend = ClockedBackend(self.clock, step_s)
        report = train(backend, job, emit=events.append, clock=self.clock)
        notes = RunNotes(started_at=datetime(2026, 1, 1, tzinfo=UTC), load_before=0.0)
        notes.epochs = [event for event in events if isinstance(event, EpochReport)]
        self.epochs = notes.epochs
        notes.fingerprints = self.fingerprints.model_copy(update={"data": self.data.fingerprint})
        notes.test_samples = self.data.test_samples
        notes.loaded = Loaded(framework=backend.describe(), python="3", import_s=IMPORT_S)
        notes.total_s = IMPORT_S + self.clock.now - start
        run_id = f"{chosen.backend.name}-{chosen.round}"
        return record_of(chosen, run_id, notes, report=report, test_labels=self.labels)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("gc.collect", lambda: 0)  # outside all that is timed, and slow in a process full of tests
    return Bench(tmp_path)


def test_a_step_of_5_ms_comes_out_as_5_ms(bench: Bench) -> None:
    """Within 3 %, in the quantiles and in the throughput; compilation, building and evaluating are in neither."""
    record = bench.record(lambda step: STEP_S)
    assert record.throughput.step_ms is not None
    for quantile in (record.throughput.step_ms.p50, record.throughput.step_ms.p90, record.throughput.step_ms.p99):
        assert quantile == pytest.approx(STEP_S * 1000, rel=0.03)
    assert record.throughput.train_samples_per_second == pytest.approx(8 / STEP_S, rel=0.03)
    assert record.phases.train_s == pytest.approx(2 * 50 * STEP_S, rel=0.03)
    for epoch in record.epochs:
        assert epoch.samples_per_second == pytest.approx(8 / STEP_S, rel=0.03)
        assert sum(span.seconds for span in epoch.spans) == pytest.approx(50 * STEP_S, rel=0.03)


def test_every_phase_has_its_own_time(bench: Bench) -> None:
    record = bench.record(lambda step: STEP_S)
    phases = record.phases
    assert phases.import_s == IMPORT_S
    assert phases.build_s == pytest.approx(OPEN_S)
    assert phases.first_step_s == pytest.approx(FIRST_S)
    assert phases.eval_s == pytest.approx(2 * PREDICT_S)
    assert phases.total_s is not None
    # Beside the phases: the evaluation before the first step, and the probe of single steps.
    rest = PREDICT_S + sum(record.throughput.step_ms_samples) / 1000
    known = (phases.import_s, phases.build_s, phases.first_step_s, phases.train_s, phases.eval_s, rest)
    assert phases.total_s == pytest.approx(sum(part or 0.0 for part in known))


def test_time_to_accuracy_leaves_evaluation_out(bench: Bench) -> None:
    record = bench.record(lambda step: STEP_S)
    assert record.test_accuracy == pytest.approx(0.35, abs=0.05)  # every image is read as class 0
    assert set(record.time_to_accuracy.values()) == {None}
    assert time_to_accuracy(bench.epochs, target=0.3)["0.3"] == pytest.approx(50 * STEP_S, rel=0.03)


def test_quantiles_are_those_of_single_steps(bench: Bench) -> None:
    """Every tenth step takes four times as long: p50 does not see it, p99 does, though calls hold many steps."""
    record = bench.record(lambda step: STEP_S * (4 if step % 10 == 0 else 1))
    assert record.throughput.step_ms is not None
    assert record.throughput.step_ms.p50 == pytest.approx(5.0, rel=0.03)
    assert record.throughput.step_ms.p99 == pytest.approx(20.0, rel=0.03)
    assert max(span.steps for epoch in record.epochs for span in epoch.spans) > 1
    assert record.throughput.train_samples_per_second == pytest.approx(8 / (STEP_S * 1.3), rel=0.03)


def verdict(bench: Bench, folder: Path, rng: np.random.Generator, slowdown: float) -> tuple[str, float, float]:
    """What ten rounds of two backends say of the second: a machine that drifts by 10 %, noise of 2 % per run.

    Each step is noisy on its own as well, by 20 %.
    """
    results = ResultSet.create(folder, name=folder.name, study={})
    for number in range(10):
        drift = rng.normal(0, 0.1)
        for backend, factor in ((FAKE, 1.0), (RIVAL, slowdown)):
            mean = STEP_S * factor * float(np.exp(drift + rng.normal(0, 0.02)))
            noise = np.exp(rng.normal(0, 0.2, 1000) - 0.02)
            record = bench.record(lambda step, mean=mean, noise=noise: mean * float(noise[step % 1000]),
                                  backend=backend, round=number)  # fmt: skip
            results.append(record)
    row = load(folder).summary(baseline="fake").set_index("backend").loc["rival"]
    return row["train_verdict"], row["train_ratio_low"], row["train_ratio_high"]


def test_a_slowdown_of_5_percent_is_found_over_ten_rounds(bench: Bench, tmp_path: Path) -> None:
    said, low, high = verdict(bench, tmp_path / "set", np.random.default_rng(0), slowdown=1.05)
    assert said == Verdict.SLOWER
    assert low < 1 / 1.05 < high < 1


def test_two_equal_backends_are_called_no_difference(bench: Bench, tmp_path: Path) -> None:
    """In at least 18 of 20 comparisons."""
    rng = np.random.default_rng(1)
    said = [verdict(bench, tmp_path / f"set-{number}", rng, slowdown=1.0)[0] for number in range(20)]
    assert said.count(Verdict.NO_DIFFERENCE) >= 18


def added(folder: Path, **behaviour: Any) -> dict[str, float]:
    """By how many MiB a worker that behaves so exceeds one that does not, in every memory figure of the record."""
    with registered() as fake:
        plain, _ = run(fake, folder / "plain")
    with registered(**behaviour) as fake:
        heavy, _ = run(fake, folder / "heavy")
    assert heavy.status == "ok", heavy.error
    names = [name for name in Memory.model_fields if name != "device_peak_mb"]
    return {name: getattr(heavy.memory, name) - getattr(plain.memory, name) for name in names}


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ({"import_mb": 200}, {"after_import_rss_mb": 200, "after_build_rss_mb": 200, "peak_rss_mb": 200}),
        ({"allocate_mb": 200}, {"after_import_rss_mb": 0, "after_build_rss_mb": 200, "peak_rss_mb": 200}),
        ({"train_mb": 200}, {"after_import_rss_mb": 0, "after_build_rss_mb": 0, "peak_rss_mb": 200}),
        # Given back before training: the kernel's lifetime high-water mark would still show both.
        ({"import_mb": 200, "import_transient": True}, dict.fromkeys(("after_import_rss_mb", "peak_rss_mb"), 0)),
        ({"allocate_mb": 200, "allocate_transient": True}, dict.fromkeys(("after_build_rss_mb", "peak_rss_mb"), 0)),
    ],
    ids=["import", "build", "train", "import, given back", "build, given back"],
)
def test_200_mb_are_found_where_they_were_allocated(
    tmp_path: Path, behaviour: dict[str, Any], expected: dict[str, float]
) -> None:
    found = added(tmp_path, **behaviour)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=10)


def test_a_peak_of_the_lifetime_is_not_passed_off_as_training(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the kernel does not let a process start a new high-water mark, training has no peak."""
    assert bench.record(lambda step: STEP_S).memory.peak_rss_mb is not None
    monkeypatch.setattr("harness.worker.memory._CLEAR_REFS", tmp_path / "no folder" / "clear_refs")
    assert bench.record(lambda step: STEP_S).memory.peak_rss_mb is None


@pytest.mark.parametrize(("burnt", "flagged"), [(1, False), (2, True)])
def test_a_backend_that_ignores_threads_is_flagged(tmp_path: Path, burnt: int, flagged: bool) -> None:
    """It keeps two threads at work where one is allowed. The worker is confined to one CPU, so they share it."""
    with registered(burn_threads=burnt) as fake:
        record, _ = run(fake, tmp_path / "run", epochs=2, threads=1)
    assert record.busy_threads is not None
    assert record.busy_threads < 1.25
    assert record.wanted_threads == pytest.approx(burnt, rel=0.2)
    results = ResultSet.create(tmp_path / "set", name="set", study={})
    results.append(record)
    with console.capture() as shown:
        summary(record, tmp_path / "run")
    sentence = f"fake had {record.wanted_threads:.1f} threads at work or waiting for a CPU, and 1 allowed"
    assert (sentence in " ".join(shown.get().split())) is flagged
    assert (sentence in report_text(tmp_path / "set")) is flagged


def test_of_a_training_of_milliseconds_neither_threads_nor_others_are_told(tmp_path: Path) -> None:
    """The kernel counts others in ticks of 10 ms, and reading threads takes longer than such a training."""
    record, _ = run(find("numpy"), tmp_path)
    assert record.phases.train_s is not None and record.phases.train_s < 0.1
    assert record.wanted_threads is None
    assert (record.noise.other_cpu, record.noise.noisy) == (None, False)


def report_text(folder: Path) -> str:
    from results.report import build

    return build([folder]).html.read_text()
