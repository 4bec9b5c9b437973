"""The judge: what counts as an error, what passes, what is reported as unsupported or broken, who is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from backends.contract import Session, SessionSpec, Unsupported
from backends.numpy.session import NumpySession
from harness.conformance.judge import Measurement, compare, judge, measure, observe
from harness.conformance.layer_cases import layer_case
from harness.conformance.locate import first_difference
from harness.conformance.network_cases import bundled_cases
from harness.conformance.norms import relative_errors
from harness.conformance.outcome import CheckOutcome
from harness.conformance.reference import Reference
from harness.conformance.runs import equivalent
from harness.conformance.trajectories import TrajectoryCase, on_dataset, on_random_data
from harness.datasets import load_dataset
from specs.layers import Linear, Softmax
from specs.loading import default_recipe, load_architecture
from tests.conformance.mutants import MUTANTS

CASE = layer_case(Linear(out_features=3), (4,))


def errors(got: Any, want: Any, **options: float) -> dict[str, float]:
    return relative_errors(
        {k: np.array(v) for k, v in got.items()}, {k: np.array(v) for k, v in want.items()}, **options
    )


def test_error_is_the_relative_norm_of_each_tensor() -> None:
    assert errors({"a": [3.0, 4.1]}, {"a": [3.0, 4.0]}) == {"a": pytest.approx(0.02)}


def test_error_of_a_tensor_that_should_be_zero_is_absolute() -> None:
    assert errors({"a": [0.0, 0.5]}, {"a": [0.0, 0.0]}) == {"a": 0.5}


def test_a_small_tensor_is_measured_against_its_companions() -> None:
    found = errors({"big": [100.0], "small": [1e-6]}, {"big": [100.0], "small": [0.0]}, floor=1e-2)
    assert found["small"] == pytest.approx(1e-6)


@pytest.mark.parametrize(
    "got", [{}, {"a": [1.0], "b": [1.0]}, {"a": [[1.0]]}, {"a": [math.nan]}, {"a": [math.inf]}], ids=str
)
def test_nothing_that_cannot_be_compared_passes(got: dict[str, list[float]]) -> None:
    assert max(errors(got, {"a": [1.0]}).values()) == math.inf


def test_nan_never_passes() -> None:
    assert not Measurement(case="", error=math.nan, limit=1.0).passed
    assert Measurement(case="", error=math.nan, limit=1.0).severity == math.inf


def test_wrong_precision_does_not_pass() -> None:
    single, double = np.ones(2, np.float32), np.ones(2)
    assert measure("", "logits", {"logits": double}, {"logits": double}, "float32").error == math.inf
    assert measure("", "logits", {"logits": single}, {"logits": double}, "float32").error == 0


def outcomes(open_session: Callable[[SessionSpec], Session]) -> list[CheckOutcome]:
    reference = Reference()
    return judge("layers", "linear", [CASE], open_session=open_session, reference=reference, precision="float32")


def test_unsupported_is_reported_with_its_reason() -> None:
    def refuse(spec: SessionSpec) -> Session:
        raise Unsupported("no such kernel")

    (outcome,) = outcomes(refuse)
    assert (outcome.status, outcome.detail) == ("unsupported", "no such kernel")
    assert outcome.unsupported == ((CASE.name, "no such kernel"),)


def test_a_backend_that_breaks_has_failed() -> None:
    def break_down(spec: SessionSpec) -> Session:
        raise RuntimeError("kernel panic")

    (outcome,) = outcomes(break_down)
    assert outcome.status == "fail"
    assert "RuntimeError: kernel panic" in outcome.detail


def test_what_float32_cannot_do_better_passes_and_says_so() -> None:
    """Softmax of large values: the gradient of NumPy's float32 is itself further off than a tight tolerance."""
    case = layer_case(Softmax(), (30,), note="large")
    reference = Reference()
    own = compare(case, observe(case, NumpySession, "float32"), reference, "float32")["gradients"]

    want = reference.observe(case)["gradients"]["input"]
    single = reference.observe(case, "float32")["gradients"]["input"]
    scaled = dict(reference.observe(case, "float32"))
    factor = 1.2e-4 / own.error
    scaled["gradients"] = {
        **scaled["gradients"],
        "input": (want + factor * (single.astype(np.float64) - want)).astype(np.float32),
    }
    judged = compare(case, scaled, reference, "float32")["gradients"]
    assert judged.error > 1e-4
    assert judged.passed == (factor <= 3)
    assert judged.float32_limited == (3 * own.error > 1e-4)


@pytest.mark.parametrize(
    ("mistake", "network", "named"),
    [
        ("convolution flipped", "lenet5", "first differs at conv2d_1 forward"),
        ("flatten in H,W,C order", "lenet5", "first differs at flatten_1 forward"),
        ("sum for mean in the loss", "mlp", "the loss itself differs"),
        ("dropout without rescaling", "cnn_dropout", "first differs at dropout_1 forward in training"),
        ("one bias not trained", "lenet5", "first differs at conv2d_1 backward in a training step"),
    ],
)
def test_the_layer_at_fault_is_named(mistake: str, network: str, named: str) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == mistake)
    (case,) = bundled_cases([network])
    assert first_difference(case, mutant.open, Reference(), "float32").startswith(named)


def test_nobody_is_named_when_nothing_differs() -> None:
    (case,) = bundled_cases(["mlp"])
    assert first_difference(case, NumpySession, Reference(), "float32").startswith("no layer differs alone")


def test_equivalence_is_the_far_end_of_the_interval() -> None:
    same = np.array([90.0, 91.0, 92.0, 93.0, 94.0])
    assert equivalent(same, same, "itself").error == 0
    shifted = equivalent(same + 0.5, same, "itself")
    assert shifted.error == pytest.approx(0.5)
    assert shifted.passed
    noisy = equivalent(same + np.array([2.0, -2.0, 2.0, -2.0, 0.0]), same, "itself")
    # Student's t(0.95, 4) = 2.1318; the standard deviation of the differences is 2.
    assert noisy.error == pytest.approx(2.1318 * 2 / math.sqrt(5), rel=1e-4)
    assert not noisy.passed


def test_of_several_yardsticks_the_worst_counts() -> None:
    case = on_random_data(load_architecture("cnn"), default_recipe("cnn"), steps=4, name="few")
    rough = tuple(replace(case, name=f"rough {share}", roughness=share) for share in (1e-4, 1e-2, 1e-3))
    reference = Reference()
    allowed = []
    for yardsticks in (rough[:1], rough):
        with patch.object(TrajectoryCase, "yardsticks", yardsticks):
            off = {**reference.observe(case), "losses": {"step 1": np.float32(9)}}
            allowed.append(compare(case, off, reference, "float32")["losses"].limit)
    assert allowed[1] > 10 * allowed[0]


def test_ties_excuse_no_more_than_breaking_them_does() -> None:
    case = on_dataset(load_architecture("lenet5"), default_recipe("lenet5"), load_dataset("digits", None))
    reference = Reference()
    broken = observe(*case.yardsticks, NumpySession, "float32")
    judged = compare(case, broken, reference, "float32")["losses near kinks"]
    assert judged.passed
    assert judged.float32_limited
    exact = reference.observe(case)["losses near kinks"]
    worse = {step: (2 * loss - exact[step]).astype(np.float32) for step, loss in broken["losses near kinks"].items()}
    assert not compare(case, {**broken, "losses near kinks": worse}, reference, "float32")["losses near kinks"].passed
