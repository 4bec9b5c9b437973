"""A run is proved before it is timed; one that is not says so, and one that computes otherwise is recorded as that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from backends.registry import find
from harness.cli.progress import sameness
from harness.proving import steps
from harness.running.run import execute
from harness.worker.reports import Phase
from specs.optimizers import SGD
from tests.fakes import registered
from tests.harness.plans import dataset, plan, run
from tests.reliability.test_stopping import Parent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    return tmp_path / "cache" / "proofs"


def test_the_proof_stands_in_the_record_and_is_made_first(tmp_path: Path, cache: Path) -> None:
    record, events = run(find("numpy"), tmp_path / "one", proof=True)
    assert record.status == "ok"
    assert record.proof is not None and record.proof.status == "proved"
    assert next(event.phase for event in events if isinstance(event, Phase)) == "proof"
    assert sameness(record.proof).startswith("proved: 10 steps, worst ")
    assert len(list(cache.iterdir())) == 1
    again, _ = run(find("numpy"), tmp_path / "two", proof=True)
    assert again.proof == record.proof


def test_a_run_without_a_proof_says_that_it_was_asked_for(tmp_path: Path) -> None:
    record, _ = run(find("numpy"), tmp_path, proof=False)
    assert record.proof is not None and record.proof.status == "skipped"
    assert sameness(record.proof) == "not proved, as --no-proof asked"


def test_a_backend_that_computes_something_else_is_trained_and_told(tmp_path: Path) -> None:
    with registered() as fake:
        record, _ = run(fake, tmp_path, proof=True)
    assert record.status == "ok"
    assert record.proof is not None and record.proof.status == "failed"
    assert sameness(record.proof).startswith("NOT the same as NumPy float64: ")


@pytest.mark.parametrize(
    "words",
    [
        "run --backend fake --model mlp --dataset digits",
        "compare --backends numpy,fake --models mlp --datasets digits --repeats 1 --no-race",
    ],
)
def test_a_proof_that_failed_is_a_check_that_failed(tmp_path: Path, words: str) -> None:
    parent = Parent(tmp_path, f"{words} --epochs 1 --batch-size 20 --limit-train 100 --limit-test 50 --quiet")
    status, _, err = parent.end()
    assert status == 1, err


def test_a_proof_that_wanted_more_memory_than_there_was_is_tried_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(steps, "on_random_data", full)
        patched.setattr(steps, "_LATEST", {})
        record, _ = run(find("numpy"), tmp_path / "one", proof=True)
    assert record.proof is not None and record.proof.status == "unsupported"
    assert sameness(record.proof) == "cannot be proved: NumPy has not the memory for it"
    again, _ = run(find("numpy"), tmp_path / "two", proof=True)
    assert again.proof is not None and again.proof.status == "proved"


@pytest.mark.parametrize("place", ["open", "train"])
def test_a_worker_that_dies_in_its_proof_has_a_proof_that_failed(tmp_path: Path, cache: Path, place: str) -> None:
    with registered(**{place: "segfault"}) as fake:
        record, _ = run(fake, tmp_path, proof=True)
    assert record.status == "crashed"
    assert record.proof is not None and record.proof.status == "failed"
    assert "SIGSEGV" in record.proof.reason
    assert sameness(record.proof).startswith("NOT proved: crashed: ")
    assert not cache.exists(), "a death may come of the machine: it is tried again"


def test_a_training_that_diverges_is_recorded_as_that_and_not_as_disproved(tmp_path: Path) -> None:
    made = plan(find("numpy"), proof=True)
    wild = replace(made, recipe=replace(made.recipe, optimizer=SGD(learning_rate=1e200)))
    record = execute(wild, dataset(), tmp_path, "run-1", lambda _: None, keep=lambda _: None)
    assert record.status == "diverged"
    assert record.proof is not None and record.proof.status == "unsupported"
    assert sameness(record.proof).startswith("cannot be proved: in NumPy float64 it diverges within")


def test_kernels_that_are_not_there_disprove_nobody(tmp_path: Path) -> None:
    with registered(open="unsupported") as fake:
        record, _ = run(fake, tmp_path, proof=True)
    assert record.proof is not None and record.proof.status == "unsupported"
    assert record.proof.reason == "asked to be unsupported in open"
