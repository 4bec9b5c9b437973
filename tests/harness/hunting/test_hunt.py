"""A hunt finds planted mistakes, makes them small, tells the known from the new, and goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.contract import Arrays, SessionSpec
from backends.numpy.session import NumpySession
from backends.registry import Manner
from harness.conformance.judge import Open
from harness.conformance.special_values import DIFFERENCES
from harness.hunting import hunt as hunting
from harness.hunting import judging
from harness.hunting import trial as trials
from harness.hunting.drawing import drawn_trial
from harness.hunting.hunt import TrialRecord, hunt, records
from harness.hunting.judging import Disagreement, Judgement, judge_trial
from harness.hunting.known import known
from harness.hunting.rounding import RoundedSession
from harness.hunting.shrinking import shrunk, simpler_trials
from harness.hunting.summary import summaries
from harness.hunting.trial import Trial, case_of
from harness.processes.launcher import WorkerFailed
from specs import layers as L
from specs.architecture import Architecture
from specs.nest import Item
from specs.optimizers import SGD, Adam
from specs.shapes import infer
from tests.conformance import wrong_layers as wrong
from tests.conformance import wrong_training as training
from tests.conformance.planting import computing, stepping

SEED = 7

AMPLIFYING = (253, 397)
"""Trials of seed 1 whose five steps make more than the tolerance of a rounding."""


def kinds(number: int) -> set[str]:
    return {node.layer.kind for node in infer(drawn_trial(SEED, number).architecture)}


def norms_of_one_element(number: int) -> set[str]:
    return {
        node.layer.kind
        for node in infer(drawn_trial(SEED, number).architecture)
        if (isinstance(node.layer, L.LayerNorm) and node.input_shape[-1] == 1)
        or (isinstance(node.layer, L.GroupNorm) and node.input_shape == (node.layer.groups, 1, 1))
    }


def trial_with(*layers: str) -> int:
    """The first trial of more than four nodes that has these kinds, and a kernel that is another one upside down."""
    return next(n for n in range(1, 1000) if kinds(n) >= set(layers) and _flips(drawn_trial(SEED, n)))


def _flips(trial: Trial) -> bool:
    nodes = infer(trial.architecture)
    kernels = (node.layer.kernel_size for node in nodes if isinstance(node.layer, L.Conv2d))
    return len(nodes) > 4 and trial.values == "normal" and any(max(kernel) > 1 for kernel in kernels)


def test_trials_depend_on_seed_and_number_alone_and_vary() -> None:
    assert drawn_trial(SEED, 1) == drawn_trial(SEED, 1)
    assert len({drawn_trial(SEED, n).key for n in range(1, 60)}) > 55
    assert {drawn_trial(SEED, n).values for n in range(1, 100)} > {"normal", "nan", "huge", "denormal", "constant"}
    assert set.union(*map(kinds, range(1, 200))) >= set(L.LAYERS | L.JOINS) - {"softmax"}
    rules = [drawn_trial(SEED, n).optimizer for n in range(1, 100)]
    assert {(rule.clip_norm, rule.decay) for rule in rules if rule.weight_decay} >= {
        (clip, decay) for clip in (None, 0.1, 1.0) for decay in ("all", "weights")
    }
    assert {"layer_norm", "group_norm"} == {kind for n in range(1, 400) for kind in norms_of_one_element(n)}


@pytest.mark.parametrize("number", range(1, 26))
def test_the_reference_agrees_with_itself(number: int) -> None:
    assert judge_trial(drawn_trial(SEED, number), NumpySession).status in ("agrees", "skipped")


class NoNaNForImages(NumpySession):
    """Derivatives of 0 that are not multiplied with: a NaN behind them is gone."""

    def loss_and_gradients(self, *args: Any, **kwargs: Any) -> tuple[float, Arrays]:
        loss, gradients = super().loss_and_gradients(*args, **kwargs)
        return loss, gradients | {"input": np.nan_to_num(gradients["input"])}


def test_a_nan_behind_a_derivative_of_0_may_be_either() -> None:
    numbers = [n for n in range(1, 400) if drawn_trial(SEED, n).values == "nan"]
    assert all(judge_trial(drawn_trial(SEED, n), NoNaNForImages).disagreement is None for n in numbers[:10])
    tell = {len(kinds(n) - {"flatten", "rows", "linear"}) <= 1: case_of(drawn_trial(SEED, n)) for n in numbers}
    assert {alone: case is not None and case.gradients_tell for alone, case in tell.items()} == {
        True: True,
        False: False,
    }


class LastDigit(NumpySession):
    """Weights rounded otherwise in their last digits, as by sums in another order."""

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        generator = np.random.default_rng(1)
        moved = {
            name: array * (1 + np.finfo(array.dtype).eps * generator.standard_normal(array.shape)).astype(array.dtype)
            for name, array in parameters.items()
        }
        super().load_parameters(moved)


@pytest.mark.parametrize("number", AMPLIFYING)
def test_what_training_makes_of_a_last_digit_is_no_finding(number: int) -> None:
    trial = drawn_trial(1, number)
    assert judge_trial(trial, LastDigit).status == "agrees"
    with mock.patch.object(judging, "YARDSTICK", 0.0):
        assert judge_trial(trial, LastDigit).status == "disagrees"


class Rounding(RoundedSession):
    """Rounds inside of layers too, as every framework does in its own way."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec, np.random.default_rng(2))


def alone(*layers: Item, batch: int = 4) -> Trial:
    """One pass, no training, of a small network of three classes."""
    network = Architecture(name="alone", input=(2, 3, 4), classes=3, layers=(*layers, L.Linear(out_features=3)))
    return Trial(architecture=network, optimizer=SGD(), batch=batch, steps=0)


def test_what_a_norm_makes_of_the_last_digits_of_equal_values_is_no_finding() -> None:
    trial = alone(L.ToTokens(), L.ClassToken(), L.TakeToken(index=0), L.BatchNorm1d())
    assert judge_trial(trial, Rounding).status == "agrees"
    with mock.patch.object(judging, "YARDSTICK", 0.0):
        assert judge_trial(trial, Rounding).status == "disagrees"


def test_random_rounding_breaks_no_ties() -> None:
    case = case_of(alone(L.MaxPool2d(kernel_size=(2, 2)), L.Flatten()))
    assert case is not None
    case = replace(case, images=np.ones_like(case.images))
    rounded, exact = (
        case.observe(session, np.dtype("float64"))["gradients"]["input"]
        for session in (Rounding(case.spec("float64")), NumpySession(case.spec("float64")))
    )
    assert np.array_equal(rounded != 0, exact != 0)


def test_a_training_on_its_way_to_infinity_is_skipped() -> None:
    trial = replace(alone(L.Flatten()), steps=2)
    assert case_of(trial) is not None
    with mock.patch.object(trials, "LARGEST_LOSS", 0.0):
        assert case_of(trial) is None


def test_a_planted_layer_is_found_and_made_small() -> None:
    mistaken = computing(L.LeakyReLU, wrong.steep_leaky_relu)
    flipped = computing(L.Conv2d, wrong.flipped_convolution)
    trial = drawn_trial(SEED, trial_with("conv2d", "relu"))
    found = judge_trial(trial, flipped).disagreement
    assert found is not None
    small = shrunk(trial, lambda one: judge_trial(one, flipped).disagreement is not None, seconds=60)
    assert len(infer(small.architecture)) <= 3 < len(infer(trial.architecture))
    assert small.steps == 0
    assert "conv2d" in {node.layer.kind for node in infer(small.architecture)}
    assert judge_trial(small, mistaken).status == "agrees"


def test_the_layer_that_misplaces_a_nan_is_named() -> None:
    trial = next(trial for trial in (drawn_trial(SEED, n) for n in range(1, 1000)) if _behind_a_convolution(trial))
    found = judge_trial(trial, computing(L.ReLU, wrong.hiding_relu)).disagreement
    assert found is not None
    assert found.layer == "first differs at relu_1 forward"


def _behind_a_convolution(trial: Trial) -> bool:
    nodes = infer(trial.architecture)
    return trial.values == "nan" and [node.layer.kind for node in nodes[:2]] == ["conv2d", "relu"]


def adam_on_numbers(number: int) -> bool:
    trial = drawn_trial(SEED, number)
    return isinstance(trial.optimizer, Adam) and trial.values == "normal"


def test_a_planted_optimizer_is_found_in_training_alone() -> None:
    number = next(n for n in range(1, 1000) if adam_on_numbers(n))
    found = judge_trial(drawn_trial(SEED, number), stepping(Adam, training.epsilon_hat_adam)).disagreement
    assert found is not None
    assert (found.fault, found.quantity) == ("formula", "losses") or found.quantity == "parameters"


def test_a_failing_worker_is_a_finding() -> None:
    def crashing(spec: SessionSpec) -> NumpySession:
        raise WorkerFailed("crashed", "the worker ended with SIGSEGV")

    found = judge_trial(drawn_trial(SEED, 1), crashing).disagreement
    assert found is not None
    assert (found.fault, found.text) == ("crash", "the worker ended with SIGSEGV")


def test_simpler_trials_are_valid_and_none_is_the_trial() -> None:
    trial = drawn_trial(SEED, trial_with("conv2d", "add"))
    simpler = list(simpler_trials(trial))
    assert len(simpler) > 10
    assert trial.key not in {one.key for one in simpler}


def test_a_simpler_trial_keeps_the_batch_that_batch_norm_needs() -> None:
    trial = next(drawn_trial(SEED, n) for n in range(1, 1000) if "batch_norm1d" in kinds(n))
    normed = [
        one for one in simpler_trials(trial) if any(n.layer.kind == "batch_norm1d" for n in infer(one.architecture))
    ]
    assert normed
    assert min(one.batch for one in normed) >= 4


def tried(
    folder: Path, open_session: Open, numbers: int, tuning: Manner = "recommended", backend: str = "numpy"
) -> list[TrialRecord]:
    """A hunt of so many more trials."""
    seen: list[TrialRecord] = []
    clock = mock.Mock(side_effect=[*[0.0] * numbers, 2.0])
    with mock.patch.object(hunting, "time", mock.Mock(monotonic=clock)):
        hunt(
            backend,
            folder,
            open_session,
            tuning=tuning,
            seed=SEED,
            until=1.0,
            progress=lambda _, record: seen.append(record),
        )
    return seen


def test_a_hunt_goes_on_where_it_stopped_and_tries_a_torn_line_again(tmp_path: Path) -> None:
    assert [record.number for record in tried(tmp_path, NumpySession, 3)] == [1, 2, 3]
    place = tmp_path / "numpy-recommended.jsonl"
    lines = place.read_text().splitlines()
    place.write_text("\n".join([*lines[:2], lines[2][:10]]))
    assert [record.number for record in tried(tmp_path, NumpySession, 4)] == [3, 4]
    assert [record.number for record in records(tmp_path, "numpy", "recommended")] == [1, 2, 3, 4]


def test_a_hunt_in_another_manner_begins_anew(tmp_path: Path) -> None:
    assert [record.number for record in tried(tmp_path, NumpySession, 2)] == [1, 2]
    assert [record.number for record in tried(tmp_path, NumpySession, 1, "expert")] == [1]
    assert [record.number for record in records(tmp_path, "numpy", "recommended")] == [1, 2]


def test_what_one_manner_alone_is_known_for_is_known_of_it(tmp_path: Path) -> None:
    """In PyTorch's expert manner a ReLU of NaN is 0."""
    trial = next(
        trial
        for trial in (drawn_trial(SEED, n) for n in range(1, 1000))
        if trial.values == "nan" and "relu" in {node.layer.kind for node in infer(trial.architecture)}
    )
    hidden = Disagreement(fault="special value", precision="float32", text="logits", quantity="logits")
    verdict = Judgement(status="disagrees", disagreement=hidden)
    for tuning, name in (("expert", "relu hides NaN"), ("recommended", "")):
        with (
            mock.patch.object(hunting, "judge_trial", lambda trial, session: verdict),
            mock.patch.object(hunting, "drawn_trial", lambda seed, number: trial),
            mock.patch.object(hunting, "shrunk", lambda trial, shows, seconds: trial),
        ):
            (record,) = tried(tmp_path, NumpySession, 1, tuning, "torch")
        assert record.known == name


def test_what_is_new_is_written_as_a_folder(tmp_path: Path) -> None:
    with mock.patch.object(
        hunting, "drawn_trial", lambda seed, number: drawn_trial(seed, trial_with("conv2d", "relu"))
    ):
        (record,) = tried(tmp_path, computing(L.Conv2d, wrong.flipped_convolution), 1)
    assert record.status == "disagrees"
    assert not record.known
    folder = tmp_path / "findings" / "numpy-recommended-1"
    found = json.loads((folder / "finding.json").read_text())
    assert found["tuning"] == "recommended"
    assert found["reproduction"] == "backends/numpy has no source.py"
    assert "conv2d" in (folder / "network.yaml").read_text()
    (summary,) = summaries({"numpy": records(tmp_path, "numpy", "recommended")})
    assert (summary.trials, [one.number for one in summary.new]) == (1, [1])


def test_a_difference_of_two_layers_in_a_row_is_known_of_those_alone() -> None:
    hidden = Disagreement(fault="special value", precision="float32", text="logits", quantity="logits")
    fused, apart = (
        alone(L.Conv2d(out_channels=2, kernel_size=(1, 1)), L.ReLU(), L.Flatten()),
        alone(L.ReLU(), L.Flatten()),
    )
    assert [bool(known("keras, recommended", replace(one, values="nan"), hidden)) for one in (fused, apart)] == [
        True,
        False,
    ]


def test_a_difference_of_rounding_is_known_of_small_errors_alone() -> None:
    trial = alone(L.BatchNorm2d(), L.Flatten())
    for severity, excused in ((3.0, True), (30.0, False), (None, False)):
        found = Disagreement(fault="precision", precision="float32", text="loss", quantity="loss", severity=severity)
        assert bool(known("torch, recommended", trial, found)) is excused


def test_known_differences_have_reasons_and_do_not_excuse_a_wrong_layer() -> None:
    assert all(len(one.reason) > 20 and one.backends for one in DIFFERENCES)
    mistaken = computing(L.Conv2d, wrong.flipped_convolution)
    trial = drawn_trial(SEED, trial_with("conv2d"))
    found = judge_trial(trial, mistaken).disagreement
    assert found is not None
    assert not any(known(backend, trial, found) for one in DIFFERENCES for backend in one.backends)


def test_a_prediction_a_hundred_times_slower_is_told() -> None:
    def at(seconds: float) -> list[TrialRecord]:
        return [TrialRecord(number=1, status="agrees", predict_s=seconds)]

    slow, fast = summaries({"slow": at(1.1), "fast": at(0.01)})
    assert (slow.slow, fast.slow) == ([1], [])
