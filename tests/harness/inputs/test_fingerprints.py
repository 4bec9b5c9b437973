"""What a run is given is today what it was when the committed records were made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.inputs.prepare import run_inputs
from results.record import Record
from specs.loading import default_recipe, load_architecture

REFERENCE = Path(__file__).parents[3] / "results" / "reference"
MNIST = 60_000


def first_of_each_model() -> dict[str, Record]:
    """Its first run that went well."""
    found: dict[str, Record] = {}
    for file in sorted(REFERENCE.glob("*/records.jsonl")):
        for line in file.read_text().splitlines():
            record = Record.from_json(line)
            if record.status == "ok" and record.resumed_from is None:
                found.setdefault(record.model, record)
    return found


RECORDS = first_of_each_model()


def test_there_are_records_of_every_network_published() -> None:
    assert {"mlp", "lenet5", "cnn", "cnn_dropout", "alexnet", "gru_rows", "vit_tiny"} <= RECORDS.keys()
    assert {(record.dataset, record.recipe) for record in RECORDS.values()} == {("mnist", model) for model in RECORDS}


@pytest.mark.parametrize("model", RECORDS)
def test_weights_and_steps_are_drawn_as_they_were(model: str) -> None:
    record = RECORDS[model]
    recipe = replace(default_recipe(model), epochs=len(record.epochs))
    inputs = run_inputs(load_architecture(model), recipe, seed=record.seed, samples=MNIST)
    found, expected = inputs.fingerprints(), record.fingerprints
    for name in ("architecture", "schedule", "initial_weights"):  # the others take the data set
        assert getattr(found, name) == getattr(expected, name) is not None, name
