"""Faults of a run, injected for real: each ends in its own record, and its neighbours in the sweep are untouched."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes.worker_log import KEPT_BYTES, TAIL_BYTES
from results.record import Record
from tests.fakes import VARIABLE
from tests.reliability.sweeps import FakeRun, carry_out


@dataclass(frozen=True)
class Fault:
    """A fault and what must be recorded of it."""

    place: str
    deed: str
    status: str
    words: str
    advice: str = ""
    choices: dict[str, Any] = field(default_factory=dict)
    behaviour: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    signal: str | None = None

    @property
    def name(self) -> str:
        """Its run's id."""
        return f"{self.place}-{self.deed}".replace("_", "-")

    @property
    def run(self) -> FakeRun:
        """Its place in the sweep."""
        deed = {} if self.place == "python" else {self.place: self.deed}
        return FakeRun(self.name, {**deed, **self.behaviour}, {"timeout_s": 120.0, **self.choices})


SETUP = "python -m harness setup fake"
NAMED = "The interpreter given with --python is at fault"
LOG = "worker's log"
IN_TIME: dict[str, Any] = {"timeout_s": 6.0}

FAULTS = [
    # A Python error, wherever it is raised.
    Fault("construct", "raise", "failed", "RuntimeError: asked to fail in construct", "traceback"),
    Fault("load", "raise", "failed", "asked to fail in load", "traceback"),
    Fault("open", "raise", "failed", "asked to fail in open", "traceback"),
    Fault("set_training_data", "raise", "failed", "asked to fail in set_training_data", "traceback"),
    Fault("train", "raise", "failed", "asked to fail in train", "traceback"),
    Fault("predict", "raise", "failed", "asked to fail in predict", "traceback"),
    Fault("train", "recursion", "failed", "RecursionError", "traceback"),
    Fault("train", "long_message", "failed", "long long", "traceback"),
    Fault("train", "escapes", "failed", "<script>", "traceback"),
    Fault("load", "missing_module", "failed", "No module named 'fake_kernels'", SETUP),
    Fault("train", "base_exception", "crashed", "exit code 1", LOG, exit_code=1),
    # The worker dies.
    Fault("train", "segfault", "crashed", "killed by SIGSEGV", LOG, signal="SIGSEGV"),
    Fault("train", "abort", "crashed", "killed by SIGABRT", LOG, signal="SIGABRT"),
    Fault("train", "abort_in_thread", "crashed", "killed by SIGABRT", LOG, signal="SIGABRT"),
    Fault("train", "sigkill", "crashed", "killed by SIGKILL", "dmesg", signal="SIGKILL"),
    Fault("train", "sigill", "crashed", "killed by SIGILL", "instructions this CPU lacks", signal="SIGILL"),
    Fault("train", "sigfpe", "crashed", "killed by SIGFPE", LOG, signal="SIGFPE"),
    Fault("train", "sigbus", "crashed", "killed by SIGBUS", LOG, signal="SIGBUS"),
    Fault("train", "sigterm", "crashed", "killed by SIGTERM", LOG, signal="SIGTERM"),
    Fault("train", "sigxcpu", "crashed", "killed by SIGXCPU", LOG, signal="SIGXCPU"),
    Fault("train", "real_time_signal", "crashed", "killed by signal ", LOG),
    Fault("train", "exit", "crashed", "ended with exit code 3", LOG, exit_code=3),
    Fault("train", "exit_0", "crashed", "ended with exit code 0", LOG, exit_code=0),
    Fault("load", "sys_exit", "crashed", "ended with exit code 4", LOG, exit_code=4),
    Fault("train", "children", "crashed", "ended with exit code 7", LOG, exit_code=7),
    # Memory.
    Fault("set_training_data", "memory_error", "out_of_memory", "MemoryError", "--batch-size"),
    Fault("train", "device_out_of_memory", "out_of_memory", "CUDA out of memory", "--batch-size"),
    Fault("train", "bad_alloc", "out_of_memory", "killed by SIGABRT", "--batch-size", signal="SIGABRT"),
    Fault("train", "leak", "out_of_memory", "", "--memory-limit", {"memory_limit_mb": 400},
          {"leak_mb": 100, "train": None}),
    # Time.
    Fault("train", "hang", "timed_out", "not finished in time", "--timeout", IN_TIME),
    Fault("load", "hang", "timed_out", "no sign of life after 3 s", "--stall-timeout", {"stall_timeout_s": 3.0}),
    Fault("train", "stop", "timed_out", "not finished in time", "--timeout", IN_TIME),
    Fault("train", "replace_handlers", "timed_out", "not finished in time", "--timeout", IN_TIME),
    # The loss.
    Fault("train", "nan", "diverged", "nan at step 2", "learning rate", {}, {"nan_at": 3, "train": None}),
    Fault("open", "unsupported", "unsupported", "asked to be unsupported", "choose another"),
    Fault("open", "request", "unsupported", "asked to refuse in open", "Leave this backend out"),
    # What it prints.
    Fault("train", "garbage_on_stdout", "ok", ""),
    Fault("train", "close_stdout", "ok", ""),
    Fault("load", "flood", "ok", ""),
    Fault("train", "flood_past_limit", "crashed", "exit code 5", LOG, exit_code=5),
    # A broken protocol.
    Fault("train", "close_pipe", "failed", "closed its pipe without ending"),
    Fault("train", "half_frame", "crashed", "exit code 6", exit_code=6),
    Fault("load", "garbage_on_pipe", "failed", "broken message from the worker: a frame starts with"),
    Fault("train", "huge_header", "failed", "over the limit"),
    Fault("train", "not_json", "failed", "the header is not JSON"),
    Fault("train", "other_version", "failed", "expected a header of version 1"),
    Fault("train", "huge_array", "failed", "over the limit"),
    Fault("train", "object_array", "failed", "not a description of an array"),
    Fault("train", "wrong_kind", "failed", "the worker answered 'train' with 'banana'"),
    Fault("train", "event_without_name", "failed", "broken event from the worker"),
    Fault("train", "event_unknown", "failed", "nothing is called 'party'"),
    Fault("train", "event_broken_epoch", "failed", "broken event from the worker"),
    Fault("train", "event_broken_progress", "failed", "broken event from the worker"),
    Fault("train", "empty_result", "failed", "broken result from the worker"),
    Fault("train", "broken_error", "failed", "broken error from the worker"),
    Fault("describe", "packages", "failed", "broken result from the worker", "", {},
          {"describe": None, "packages": {"numpy": ["no", "version"]}}),
]  # fmt: skip

# Interpreters that break after they were found: what they are, and what must be recorded.
INTERPRETERS = [
    Fault("python", "vanished", "failed", "not an executable Python interpreter", "--python"),
    Fault("python", "not_a_program", "failed", "cannot start this interpreter", "--python"),
    Fault("python", "not_python", "crashed", "starting the worker: the worker ended with exit code 0", NAMED),
    Fault(
        "python",
        "without_numpy",
        "crashed",
        "starting the worker: the worker ended with exit code 1: ModuleNotFoundError",
        NAMED,
    ),
    Fault("python", "killed_at_once", "crashed", "starting the worker: the worker was killed by SIGTERM", NAMED),
    Fault("python", "silent", "timed_out", "starting the worker: not finished in time", "--timeout"),
    Fault("python", "wrong_first_word", "failed", "the worker's first word was 'bonjour'"),
]

ALL = [*FAULTS, *INTERPRETERS]
BONJOUR = """
import json, os, sys, time
header = json.dumps({"version": 1, "kind": "bonjour", "fields": {}, "arrays": []}).encode()
os.write(int(sys.argv[-2]), b"FHP1" + len(header).to_bytes(4, "big") + header)
time.sleep(60)
"""


def interpreter(folder: Path, deed: str) -> Path:
    """A file that stands where an interpreter should."""
    path = folder / deed
    script = {
        "not_a_program": "neither ELF nor a script\n",
        "not_python": "#!/bin/sh\nexit 0\n",
        "without_numpy": f"#!/bin/sh\nexec {sys.executable} -S -c 'import numpy'\n",
        "killed_at_once": "#!/bin/sh\nkill -TERM $$\n",
        "silent": "#!/bin/sh\nexec sleep 60\n",
        "wrong_first_word": f'#!/bin/sh\nexec {sys.executable} {folder / "bonjour.py"} "$@"\n',
    }.get(deed)
    (folder / "bonjour.py").write_text(BONJOUR)
    if script is not None:
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@dataclass(frozen=True)
class FaultRuns:
    """The records of a sweep of good and faulty runs by run id, in order, its folder, and processes left behind."""

    records: dict[str, Record]
    folder: Path
    left: set[int]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    """One sweep: a good run before, between and after all the faults, in one parent that survives them all."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        runs = [FakeRun("good-0")]
        for number, fault in enumerate(ALL, start=1):
            run = fault.run
            if fault.place == "python":
                python = interpreter(folder, fault.deed)
                limit = {"timeout_s": 2.0} if fault.deed == "silent" else {}
                run = FakeRun(run.name, {}, {"python": python, **limit})
            runs += [run, FakeRun(f"good-{number}")]
        records = carry_out(folder / "set", runs)
    marked = {p.pid for p in psutil.process_iter() if _belongs(p, folder)}
    return FaultRuns({record.run_id: record for record in records}, folder / "set", marked)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder) in process.environ().get(VARIABLE, "")
    except psutil.Error:
        return False


def test_enough_faults_are_injected() -> None:
    assert len({fault.name for fault in ALL}) == len(ALL) >= 60


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_fault_has_its_record_and_its_neighbours_are_intact(fault: Fault, outcome: FaultRuns) -> None:
    names = list(outcome.records)
    record = outcome.records[fault.name]
    assert record.status == fault.status, record.error
    if fault.status != "ok":
        assert record.error is not None
        assert fault.words in record.error.message
        assert record.error.advice
        assert fault.advice in record.error.advice
        assert record.test_accuracy is None
        if fault.exit_code is not None:
            assert record.error.exit_code == fault.exit_code
        if fault.signal is not None:
            assert record.error.signal == fault.signal
    place = names.index(fault.name)
    for neighbour in (names[place - 1], names[place + 1]):
        good = outcome.records[neighbour]
        assert neighbour.startswith("good-")
        assert (good.status, len(good.epochs), good.test_accuracy) == ("ok", 1, 0.35), good.error
        assert good.fingerprints == outcome.records["good-0"].fingerprints


def test_no_process_is_left(outcome: FaultRuns) -> None:
    assert outcome.left == set()


def test_the_log_of_a_flood_is_bounded_and_keeps_the_last_words(outcome: FaultRuns) -> None:
    log = outcome.folder / "runs" / "train-flood-past-limit" / "worker.log"
    assert KEPT_BYTES < log.stat().st_size < KEPT_BYTES + 2 * TAIL_BYTES
    assert b"bytes left out here" in log.read_bytes()[KEPT_BYTES:]
    error = outcome.records["train-flood-past-limit"].error
    assert error is not None
    assert error.log_tail is not None
    assert error.log_tail.endswith("the last words\n")


def test_the_step_of_a_divergence_is_recorded(outcome: FaultRuns) -> None:
    error = outcome.records["train-nan"].error
    assert error is not None
    assert error.step == 2


def test_inputs_of_runs_are_removed(outcome: FaultRuns) -> None:
    assert list(outcome.folder.glob("runs/*/inputs")) == []
