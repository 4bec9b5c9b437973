"""Which runs of a set a base is taken from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.gate_output import check_forms
from harness.datasets import load_dataset
from harness.gating.sides import Sided, sided
from harness.gating.stored import stored_base
from harness.planning.choices import GateChoices
from harness.racing.plans import training_of
from results.files import StoreError
from results.record import Fingerprints
from results.store import ResultSet
from specs.errors import RequestError
from tests.results.records import record


@pytest.fixture
def base() -> Sided:
    return sided("torch", GateChoices(models=("mlp",), seeds=(0, 1), threads=1))


@pytest.fixture
def stored(tmp_path: Path, base: Sided) -> Any:
    """``stored({"seed": 1})``: a set with such runs of the base's training."""
    plan = base.plans[0]
    training = training_of(plan, load_dataset(plan.dataset, None))

    def made(*runs: dict[str, Any]) -> ResultSet:
        results = ResultSet.create(tmp_path / "set", name="set", study={})
        for number, changes in enumerate(runs):
            whole = {"run_id": f"run-{number}", "fingerprints": Fingerprints(training=training), **changes}
            results.append(record("torch", "mlp", dataset="digits").model_copy(update=whole))
        return results

    return made


def test_the_last_good_run_of_each_seed_that_is_asked_for_counts(base: Sided, stored: Any) -> None:
    results = stored({"seed": 0}, {"seed": 0}, {"seed": 0, "status": "failed"}, {"seed": 1}, {"seed": 7})
    ((case, rows),) = stored_base(base, results).items()
    assert case == ("mlp", "digits")
    assert [row.run_id for row in rows] == ["run-1", "run-3"]


@pytest.mark.parametrize(
    "changes",
    [{"fingerprints": Fingerprints(training="0" * 64)}, {"backend": "keras"}, {"seed": 7}, {"precision": "float64"}],
)
def test_a_run_of_something_else_is_none(base: Sided, stored: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"no run of torch that trained mlp on digits as asked here, .* it has "):
        stored_base(base, stored(changes))


def test_of_two_versions_one_must_be_named(base: Sided, stored: Any) -> None:
    results = stored({"framework_version": "2.12.0+cpu"}, {"framework_version": "2.13.0+cpu"})
    with pytest.raises(RequestError, match=r"it has torch in versions 2.12.0\+cpu, 2.13.0\+cpu: name one"):
        stored_base(base, results)
    named = sided("torch@2.12", GateChoices(models=("mlp",), seeds=(0,), threads=1))
    ((_, rows),) = stored_base(named, results).items()
    assert [row.run_id for row in rows] == ["run-0"]


def test_a_seed_that_was_not_trained_is_named(base: Sided, stored: Any) -> None:
    with pytest.raises(RequestError, match=r"no run of torch on digits with seed 1; it has --seeds 0$"):
        stored_base(base, stored({"seed": 0}))


def test_a_file_that_cannot_be_written_is_told_before_and_one_that_can_is_not_made(tmp_path: Path) -> None:
    check_forms([tmp_path / "new" / "gate.xml"])
    assert not (tmp_path / "new" / "gate.xml").exists()
    with pytest.raises(StoreError, match=r"/proc/gate\.xml"):
        check_forms([Path("/proc/gate.xml")])
