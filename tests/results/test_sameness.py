"""What a report says of proofs: who computes the same comes first, and who does not has no rank."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import results
from results.findings import Analysis, collect
from results.record import Proof, Record
from results.report import build
from results.report.terminal import as_json
from results.store import ResultSet
from results.words import Words
from tests.results.records import record, write

PROVED = Proof(status="proved", steps=10, quantity="losses", where="step 9", error=2e-7, limit=1e-4)
FAILED = Proof(
    status="failed",
    steps=10,
    quantity="losses",
    where="step 2",
    error=0.3,
    limit=1e-4,
    layer="batch_norm2d_1 differs first, forward",
)


def with_proofs(proofs: dict[str, Proof | None], model: str = "mlp") -> list[Record]:
    rates = {"torch": 300.0, "keras": 200.0, "paddle": 100.0}
    records = []
    for backend, proof in proofs.items():
        for n in range(3):
            made = record(backend, model, repeat=n)
            throughput = made.throughput.model_copy(update={"train_samples_per_second": rates[backend] + n})
            records.append(made.model_copy(update={"proof": proof, "throughput": throughput}))
    return records


def said(folder: Path, records: list[Record]) -> list[tuple[str, str]]:
    made = write(folder / "set", records)
    (made.path / "conformance.json").unlink()
    loaded = results.load(made.path)
    words = Words("en")
    return [(found.key, found.sentence(words)) for found in collect(Analysis(loaded, loaded.baseline(), words))]


def test_a_proof_of_all_is_the_first_sentence(tmp_path: Path) -> None:
    records = with_proofs({"torch": PROVED, "keras": PROVED.model_copy(update={"error": 3e-6})})
    records += with_proofs({"torch": PROVED, "keras": PROVED}, "lenet5")
    found = said(tmp_path, records)
    assert found[0] == ("proved", "Sameness: proved for torch and keras; 10 steps of each case, worst 3e-06.")
    assert "unchecked" not in dict(found), "the note that nothing is known of sameness"


def test_a_proof_that_failed_comes_first_and_takes_the_rank(tmp_path: Path) -> None:
    found = said(tmp_path, with_proofs({"torch": FAILED, "keras": PROVED, "paddle": PROVED}))
    assert found[:2] == [
        (
            "disproved",
            "mlp on mnist: torch does not compute the same as NumPy float64, so its speed is not ranked. 10 steps of "
            "this very training: losses (step 2) 3.0e-01 off, tolerance 1e-04, in float32; batch_norm2d_1 differs "
            "first, forward.",
        ),
        ("proved", "Sameness: proved for keras and paddle; 10 steps of each case, worst 2e-07."),
    ]
    speed = next(sentence for key, sentence in found if key == "fastest")
    assert "keras trains fastest" in speed
    assert "torch" not in speed


def test_a_disproved_subject_is_no_baseline_and_has_no_ratio(tmp_path: Path) -> None:
    records = with_proofs({"torch": FAILED, "keras": PROVED, "paddle": PROVED})
    loaded = results.load(write(tmp_path / "set", records).path)
    table = loaded.summary("keras").set_index("backend")
    assert table.loc["paddle", "train_ratio"] == pytest.approx(0.5, rel=0.1)
    assert pd.isna(table.loc["torch", "train_ratio"])


def test_cases_that_differ_are_told_one_by_one(tmp_path: Path) -> None:
    records = with_proofs({"torch": PROVED, "keras": PROVED})
    records += with_proofs({"torch": PROVED, "keras": Proof(status="unsupported", reason="no kernel")}, "lenet5")
    records += with_proofs({"torch": Proof(status="skipped"), "keras": Proof(status="skipped")}, "cnn")
    found = said(tmp_path, records)
    assert [(key, sentence) for key, sentence in found if key.startswith(("proof", "proved"))] == [
        ("proved_case", "mlp on mnist: sameness proved for torch and keras; 10 steps, worst 2e-07."),
        ("proved_case", "lenet5 on mnist: sameness proved for torch; 10 steps, worst 2e-07."),
        (
            "proof_unsupported",
            "lenet5 on mnist: sameness cannot be proved for keras: no kernel.",
        ),
        ("proof_skipped", "cnn on mnist: sameness not proved for torch and keras, as --no-proof asked."),
    ]


def test_a_worker_that_fails_in_its_proof_is_not_said_to_compute_something_else(tmp_path: Path) -> None:
    broke = Proof(status="failed", steps=10, reason="crashed: the worker was ended by SIGSEGV")
    found = said(tmp_path, with_proofs({"torch": broke, "keras": PROVED}))
    assert found[0] == (
        "proof_broke",
        "mlp on mnist: torch has no proof that it computes the same as NumPy float64, so its speed is not ranked. "
        "It failed while it was proved: crashed: the worker was ended by SIGSEGV.",
    )
    assert "does not compute" not in " ".join(sentence for _, sentence in found)


def test_runs_made_with_and_without_a_proof_are_told(tmp_path: Path) -> None:
    """A set made with --no-proof, and continued with proofs."""
    before = with_proofs({"torch": Proof(status="skipped"), "keras": PROVED})
    after = [
        one.model_copy(update={"run_id": f"{one.run_id}-later", "round": one.round + 3, "proof": PROVED})
        for one in before
    ]
    found = dict(said(tmp_path, [*before, *after]))
    assert found["proved"].startswith("Sameness: proved for keras;")
    assert found["proof_partly"] == (
        "mlp on mnist: sameness proved for some runs of torch alone; the others have no proof."
    )


def test_a_run_that_failed_before_its_proof_hides_no_other(tmp_path: Path) -> None:
    records = with_proofs({"torch": PROVED, "keras": PROVED})
    failed = record("torch", "mlp", repeat=3, status="crashed")
    assert failed.status == "crashed"
    found = dict(said(tmp_path, [*records, failed]))
    assert found["proved"].startswith("Sameness: proved for torch and keras;")


def test_what_stands_for_bfloat16_is_said(tmp_path: Path) -> None:
    records = [one.model_copy(update={"precision": "bfloat16"}) for one in with_proofs({"torch": PROVED})]
    [sentence] = [sentence for key, sentence in said(tmp_path, records) if key == "proved"]
    assert sentence.endswith("worst 2e-07. In float32: bfloat16 rounds too much to tell formulas apart.")


def test_why_there_is_no_race_is_said(tmp_path: Path) -> None:
    records = with_proofs({"torch": FAILED, "keras": PROVED})
    made = ResultSet.create(tmp_path / "set", name="set", study={"race": True})
    for one in records:
        made.append(one)
    loaded = results.load(made.path)
    found = {one.key: one.sentence(Words("en")) for one in collect(Analysis(loaded, None, Words("en")))}
    assert found["unraced"] == (
        "mlp on mnist: no race: it takes two that trained well and compute the same; there was keras."
    )
    assert "unraced" not in dict(said(tmp_path / "not asked for", records))


def test_proofs_are_given_as_data(tmp_path: Path) -> None:
    records = with_proofs({"torch": FAILED, "keras": PROVED, "paddle": Proof(status="skipped")})
    report = build([write(tmp_path / "set", records).path])
    told = json.loads(as_json(report))["proofs"]
    assert [(one["backend"], one["proof"], one["steps"], one["error"]) for one in told] == [
        ("torch", "failed", 10, 0.3), ("keras", "proved", 10, 2e-7), ("paddle", "skipped", 0, None),
    ]  # fmt: skip
    assert "batch_norm2d_1 differs first" in told[0]["reason"]
    assert told[1]["reason"] is None


def test_without_proofs_it_stands_that_nothing_was_checked(tmp_path: Path) -> None:
    records = with_proofs({"torch": None, "keras": None})
    assert "unchecked" in dict(said(tmp_path, records))
