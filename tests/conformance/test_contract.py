"""The contract as a state machine: hypothesis draws the calls, and shrinks them to the fewest that still go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from backends.contract import SessionSpec
from backends.numpy.session import NumpySession
from backends.registry import Manner
from harness.conformance import running
from harness.conformance.contract import BFLOAT16, FEATURES, FEW_SCRIPTS, IMAGES, judge_script, judge_scripts
from harness.conformance.judge import Candidate, Tally
from harness.conformance.running import Workplace
from harness.conformance.scripts import Writer
from harness.conformance.table import line
from harness.worker.script import Call, Played, play
from specs.optimizers import SGD, Adam
from tests.conformance.planting import Open, training
from tests.conformance.wrong_state import SharedSlots, Views

SETTINGS = settings(
    max_examples=5,
    stateful_step_count=16,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
UNSHRUNK = settings(SETTINGS, max_examples=20, phases=[Phase.generate])
SOON = {("torch", "recommended"), ("torch", "expert")}
NETWORKS = {"images": (IMAGES, SGD(learning_rate=0.05, momentum=0.9)), "features": (FEATURES, Adam(epsilon=1e-3))}

Number = st.integers(0, 9)
What = st.sampled_from(("parameters", "optimizer_state"))
Batch = st.integers(1, 40)


class Contract(RuleBasedStateMachine):
    """Writes a script rule by rule, which is carried out and judged when it has ended."""

    def __init__(self, candidate: Candidate, network: str) -> None:
        super().__init__()
        self.candidate = candidate
        self.writer = Writer(network, *NETWORKS[network])

    def session(self, number: int) -> int:
        """One of those that are open."""
        sessions = self.writer.open_sessions
        return sessions[number % len(sessions)]

    @initialize(samples=st.integers(1, 50))
    def begin(self, samples: int) -> None:
        self.writer.open(samples)

    @precondition(lambda self: len(self.writer.open_sessions) < 3)
    @rule(samples=st.integers(1, 50))
    def open(self, samples: int) -> None:
        self.writer.open(samples)

    @precondition(lambda self: len(self.writer.open_sessions) > 1)
    @rule(number=Number)
    def close(self, number: int) -> None:
        self.writer.close(self.session(number))

    @rule(number=Number, samples=st.integers(1, 50))
    def set_data(self, number: int, samples: int) -> None:
        self.writer.set_data(self.session(number), samples)

    @rule(number=Number, batch=Batch, steps=st.integers(1, 64))
    def train(self, number: int, batch: int, steps: int) -> None:
        self.writer.train(self.session(number), batch, min(steps, 1 + 160 // batch))

    @rule(number=Number, batch=Batch)
    def gradients(self, number: int, batch: int) -> None:
        self.writer.gradients(self.session(number), batch)

    @rule(number=Number, images=st.sampled_from((1, 2, 255, 256, 257, 999, 1000, 1001, 2500)))
    def predict(self, number: int, images: int) -> None:
        self.writer.predict(self.session(number), images)

    @rule(number=Number, batch=Batch, steps=st.integers(1, 64))
    def compile(self, number: int, batch: int, steps: int) -> None:
        self.writer.compile(self.session(number), batch, steps)

    @rule(number=Number, what=What)
    def read(self, number: int, what: str) -> None:
        self.writer.read(self.session(number), what)

    @rule(number=Number, what=What, which=Number)
    def load_again(self, number: int, what: str, which: int) -> None:
        self.writer.load_again(self.session(number), what, which)

    @rule(number=Number)
    def save(self, number: int) -> None:
        self.writer.write(self.session(number), "save")

    @rule(number=Number)
    def export(self, number: int) -> None:
        self.writer.write(self.session(number), "export")

    def teardown(self) -> None:
        for session in self.writer.open_sessions:
            self.writer.read(session, "parameters")
            self.writer.read(session, "optimizer_state")
        tally = Tally()
        judge_script(self.writer.script(), self.candidate, "float32", tally)
        outcomes = tally.outcomes("contract", "drawn", "float32")
        assert [line(outcome) for outcome in outcomes if outcome.status != "pass"] == []


def numpy_candidate(open_session: Open = NumpySession) -> Candidate:
    return Candidate(name="numpy", open=open_session, train=training(open_session), play=partial(play, open_session))


@pytest.mark.parametrize("network", NETWORKS)
def test_numpy_keeps_the_contract(network: str) -> None:
    run_state_machine_as_test(lambda: Contract(numpy_candidate(), network), settings=SETTINGS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_framework_keeps_the_contract(used: tuple[str, Manner], network: str, request: pytest.FixtureRequest) -> None:
    if used not in SOON and request.config.getoption("scope") != "full":
        pytest.skip("most others compile for every size: with --scope full")
    candidate: Candidate = request.getfixturevalue("candidate")  # a worker, which what is skipped need not start
    few = settings(SETTINGS, max_examples=2)
    run_state_machine_as_test(lambda: Contract(candidate, network), settings=SETTINGS if used in SOON else few)


@pytest.mark.parametrize("mistaken", [Views, SharedSlots])
def test_a_mistake_is_found(mistaken: Open) -> None:
    with pytest.raises(AssertionError, match="contract: drawn"):
        run_state_machine_as_test(lambda: Contract(numpy_candidate(mistaken), "features"), settings=UNSHRUNK)


def test_bfloat16_computed_in_float32_is_a_mistake() -> None:
    outcomes = judge_scripts(numpy_candidate(), FEW_SCRIPTS, BFLOAT16, "bfloat16", threads=1)
    assert [outcome.quantity for outcome in outcomes if outcome.status == "fail"] == ["rounding to bfloat16"]


def test_scripts_of_two_threads_run_in_a_worker_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    @contextmanager
    def worker(*_: Any, threads: int, **__: Any) -> Iterator[Any]:
        started.append(threads)

        def played(spec: SessionSpec, calls: Sequence[Call], *, timeout_s: float) -> Played:
            assert timeout_s > running.VERB_TIMEOUT_S, "a script is many calls"
            return play(NumpySession, spec, calls)

        process = SimpleNamespace(threads=threads, alive=True, resident_mb=100.0)
        yield SimpleNamespace(process=process, in_use=set(), play=played)

    monkeypatch.setattr(running, "open_worker", worker)
    with Workplace("numpy", "default") as workplace:
        candidate = Candidate(name="numpy", open=workplace.open, train=workplace.train, play=workplace.play)
        for threads in (2, 2, 1):
            outcomes = judge_scripts(candidate, FEW_SCRIPTS, "features", "float64", threads=threads)
            assert {outcome.status for outcome in outcomes} == {"pass"}
    assert started == [1, 2, 1]
