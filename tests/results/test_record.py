"""The record: what it takes, what it refuses, and that nothing is lost on the way to a line of JSON and back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from results.record import (
    CURVE_HEAD,
    CURVE_MEANS,
    LOG_TAIL,
    LearningCurve,
    Memory,
    Record,
    Row,
    RunError,
    bounded,
    finite,
    thinned,
)
from tests.results.records import fault, record

STATUSES = ("failed", "crashed", "timed_out", "out_of_memory", "diverged", "unsupported", "interrupted")


def test_a_record_survives_its_line() -> None:
    made = record()
    line = made.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == made
    assert json.loads(line)["schema"] == 6


def test_a_record_of_the_first_schema_is_read_as_it_is() -> None:
    data = json.loads(record().to_json())
    del data["resumed_from"]
    old = Record.from_json(json.dumps(data | {"schema": 1, "repeat": 0}))
    assert old.model_copy(update={"schema_version": 6}) == record()


@pytest.mark.parametrize("status", STATUSES)
def test_every_way_to_end_has_a_record(status: str) -> None:
    made = Record.from_json(fault(status).to_json())
    assert made.status == status
    assert made.error is not None
    assert made.error.message
    assert made.test_accuracy is None, "nothing is invented for a run that did not get there"
    assert made.throughput.train_samples_per_second is None
    assert made.memory == Memory()


def test_absent_is_null_and_not_zero() -> None:
    data = json.loads(fault("crashed").to_json())
    assert data["test_accuracy"] is None
    assert data["memory"]["peak_rss_mb"] is None
    assert data["curve"] is None


def test_a_record_is_frozen_and_knows_its_fields() -> None:
    made = record()
    with pytest.raises(ValidationError, match="frozen"):
        made.status = "failed"  # type: ignore[misc]
    for place in ((), ("epochs", 0), ("epochs", 0, "spans", 0), ("throughput",), ("environment",)):
        data = json.loads(made.to_json())
        spot = data
        for step in place:
            spot = spot[step]
        spot["surprise"] = 1
        with pytest.raises(ValidationError, match="surprise"):
            Record.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 7),
        ("status", "fine"),
        ("started_at", "yesterday"),
        ("run_id", "../../etc"),
        ("run_id", "a/b"),
        ("run_id", ""),
        ("test_accuracy", 1.5),
        ("test_loss", math.nan),
        ("seed", -1),
        ("attempt", 0),
        ("backend", "b" * 201),
        ("epochs", [{}]),
        ("time_to_accuracy", {"0.9": -1.0}),
    ],
)
def test_what_no_run_can_have_is_refused(field: str, value: object) -> None:
    data = json.loads(record().to_json()) | {field: value}
    with pytest.raises(ValidationError):
        Record.from_json(json.dumps(data))


def test_a_row_is_the_record_without_its_samples() -> None:
    made = record()
    row = Row.model_validate_json(made.to_json())
    for name in Row.model_fields:
        if name not in ("epochs", "throughput"):
            assert getattr(row, name) == getattr(made, name), name
    assert [epoch.train_loss for epoch in row.epochs] == [epoch.train_loss for epoch in made.epochs]
    assert row.throughput.step_ms == made.throughput.step_ms


@given(st.lists(st.floats(0, 10), max_size=1500))
def test_the_learning_curve_is_bounded_and_keeps_the_mean(losses: list[float]) -> None:
    curve = LearningCurve.of(losses)
    assert list(curve.first) == losses[:CURVE_HEAD]
    assert len(curve.means) <= CURVE_MEANS
    rest = losses[CURVE_HEAD:]
    sizes = [min(curve.steps_per_mean, len(rest) - i) for i in range(0, len(rest), curve.steps_per_mean)]
    total = sum(mean * size for mean, size in zip(curve.means, sizes, strict=True))
    assert total == pytest.approx(sum(rest))


def test_losses_that_are_not_finite_are_absent() -> None:
    curve = LearningCurve.of([2.0, math.nan, math.inf] + [1.0] * 98 + [math.nan])
    assert curve.first[:3] == (2.0, None, None)
    assert curve.means == (1.0, None)
    assert finite(math.nan) is None
    assert finite(None) is None
    assert finite(0.0) == 0.0


@given(st.text(st.characters(), max_size=50))
def test_whatever_a_framework_prints_can_be_kept(text: str) -> None:
    """Even with the lone surrogates that decoding a log of arbitrary bytes leaves."""
    error = RunError(kind="x", message=bounded(text))
    assert RunError.model_validate_json(error.model_dump_json()) == error


def test_texts_keep_their_end_and_samples_their_ends() -> None:
    assert bounded("a" * LOG_TAIL + "the end").endswith("the end")
    assert len(bounded("é" * 2 * LOG_TAIL)) == LOG_TAIL
    assert thinned(range(1000), 5) == (0, 250, 500, 749, 999)
    assert thinned([1, 2], 5) == (1, 2)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: json.dumps(t).encode()))
def test_any_bytes_are_a_record_or_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        Record.from_json(line)
