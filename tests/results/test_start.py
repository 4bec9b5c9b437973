"""The committed first steps of large networks on MNIST: proved, and from equal inputs in every framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.registry import REFERENCE, frameworks

FILE = Path(__file__).parents[2] / "results" / "start" / "mnist" / "records.jsonl"
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.mark.parametrize("model", ["resnet20", "densenet_mini"])
def test_every_framework_trained_the_same(model: str) -> None:
    mine = [record for record in RECORDS if record["model"] == model]
    assert {record["backend"] for record in mine} == {*frameworks(), REFERENCE}
    assert {(record["status"], record["proof"]["status"]) for record in mine} == {("ok", "proved")}
    assert len({json.dumps(record["fingerprints"], sort_keys=True) for record in mine}) == 1
    float64 = [record["proof"]["float64_error"] for record in mine if record["backend"] != "mindspore"]
    assert max(float64) < 1e-10
