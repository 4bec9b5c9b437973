"""The findings: golden sentences of a typical study, and for every rule a study that calls for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import results
from results.findings import LEVELS, Analysis, collect
from results.manifest import BackendConformance
from results.record import LearningCurve, Noise, Record, Specs
from results.statistics import Verdict
from results.store import ResultSet
from results.words import LANGUAGES, Words
from specs.errors import RequestError
from tests.results.records import VERSIONS, fault, record, study, write


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """``found(records)``: the sentences by the key of their finding."""

    def find(records: list[Record], *, language: str = "en", **conformance: BackendConformance) -> dict[str, list[str]]:
        made = write(tmp_path / str(len(list(tmp_path.iterdir()))), records)
        if conformance:
            made.save_conformance(conformance)
        return sentences(made, language=language)

    return find


def sentences(*sets: ResultSet, language: str = "en") -> dict[str, list[str]]:
    loaded = results.load(*(one.path for one in sets))
    words = Words(language)
    said: dict[str, list[str]] = {}
    for finding in collect(Analysis(loaded, loaded.baseline(), words)):
        said.setdefault(finding.key, []).append(finding.sentence(words))
    return said


def change(made: Record, part: str, **values: Any) -> Record:
    return made.model_copy(update={part: getattr(made, part).model_copy(update=values)})


def test_a_typical_study_in_plain_sentences(tmp_path: Path) -> None:
    loaded = results.load(write(tmp_path / "set", study()).path)
    words = Words("en")
    findings = collect(Analysis(loaded, "torch", words))
    assert [finding.sentence(words) for finding in findings] == [
        "mlp on mnist: torch trains fastest with 159,000 samples/s, 1.32 times as fast as keras (1.28–1.39), 1.51 "
        "times as fast as mindspore (1.44–1.59) and 1.62 times as fast as paddle (1.17–2.24).",
        "lenet5 on mnist: keras trains fastest with 15,600 samples/s, 1.017 times as fast as torch (1.003–1.035), "
        "1.95 times as fast as paddle (1.82–2.07) and 2.00 times as fast as mindspore (1.94–2.06).",
        "mlp on mnist: whether torch, keras, paddle and mindspore reach the same test accuracy was not tested: one "
        "seed (medians 92.07–92.09 %). Three or more can be asked for with --seeds 0,1,2.",
        "lenet5 on mnist: whether torch, keras, paddle and mindspore reach the same test accuracy was not tested: one "
        "seed (medians 97.29–97.30 %). Three or more can be asked for with --seeds 0,1,2.",
        "mlp on mnist: torch needs the least memory, 422 MiB at its peak; keras the most, 680 MiB.",
        "lenet5 on mnist: torch needs the least memory, 423 MiB at its peak; keras the most, 676 MiB.",
        "mlp on mnist: 1 of 3 runs of paddle timed out: no end after 600 s. Raise --timeout, or train on fewer "
        "samples with --limit-train.",
        "lenet5 on mnist: 1 of 3 runs of mindspore crashed: the worker was ended by SIGSEGV. The worker died "
        "inside native code; run it again with --threads 1 and report it to the framework.",
        "Disturbed by other work on the machine: 1 of 24 runs (keras-lenet5-mnist-s0-r0). --retry-noisy 2 repeats "
        "such runs.",
        "The first step of keras takes long (compilation, which counts in no throughput): mlp on mnist 2.4 s (as "
        "long as 1,103 later steps) and lenet5 on mnist 2.4 s (as long as 580 later steps).",
    ]
    assert [LEVELS.index(f.level) for f in findings] == sorted(LEVELS.index(f.level) for f in findings)


def test_equal_speeds_are_called_equal(found: Callable[..., dict[str, list[str]]]) -> None:
    rates = {"torch": [100.0, 104.0, 98.0], "keras": [102.0, 101.0, 99.0], "paddle": [50.0, 51.0, 49.0]}
    records = [
        change(record(backend, repeat=i), "throughput", train_samples_per_second=rate)
        for backend, values in rates.items()
        for i, rate in enumerate(values)
    ]
    said = found(records)["level_ahead"]
    assert said[0].startswith(
        "mlp on mnist: keras and torch train equally fast within 10 % (about 101 samples/s); keras is"
    )
    assert "times as fast as paddle" in said[0]
    said = found(records[:6])["level"]
    assert said == ["mlp on mnist: keras and torch train equally fast within 10 % (about 101 samples/s, 3 rounds)."]


def test_too_uneven_rounds_are_not_called_equal(found: Callable[..., dict[str, list[str]]]) -> None:
    """Fifteen times as fast in one round and as fast in the other: no difference shown, but no equality either."""
    rates = {"keras": [1000.0, 1010.0], "torch": [70.0, 1000.0], "paddle": [500.0, 505.0]}
    records = [
        change(record(backend, repeat=i), "throughput", train_samples_per_second=rate)
        for backend, values in rates.items()
        for i, rate in enumerate(values)
    ]
    said = found(records)
    assert said["ahead"] == [
        "mlp on mnist: keras had the highest training rate, 1,000 samples/s, 2.00 times as fast as paddle (2.00–2.00)."
    ]
    assert said["undecided_disturbed"] == [
        "mlp on mnist: whether keras or torch is faster cannot be told: 2 rounds are too few or too disturbed to tell. "
        "The rates of torch vary by 556 % from round to round. About 49 more would do (--repeats 51)."
    ]
    assert "highest" in found(records[:4])


def test_what_cannot_be_told_says_why_and_how_many_rounds_would_do(found: Callable[..., dict[str, list[str]]]) -> None:
    """numpy and torch over five rounds, one of them disturbed: the sentence names what is wide and does not assert."""
    rates = {"torch": [1000.0, 1040.0, 960.0, 1010.0, 700.0], "numpy": [980.0, 900.0, 1000.0, 990.0, 1005.0]}
    records = [
        change(record(backend, repeat=i, noise=Noise(noisy=rate == 700.0)), "throughput", train_samples_per_second=rate)
        for backend, values in rates.items()
        for i, rate in enumerate(values)
    ]
    said = found(records)
    assert said["highest"] == ["mlp on mnist: torch had the highest training rate, 1,000 samples/s."]
    (sentence,) = said["undecided"]
    assert sentence == (
        "mlp on mnist: whether torch or numpy is faster cannot be told: the ratio lies between 0.697 and 1.16 "
        "after 5 rounds. The rates of torch vary by 18 % from round to round. Other work disturbed 1 of its 5 runs. "
        "About 21 more would do (--repeats 26)."
    )


def test_runs_of_their_own_rounds_are_not_compared(found: Callable[..., dict[str, list[str]]]) -> None:
    said = found([record("torch", repeat=0), record("keras", repeat=1)])
    assert said["unpaired"] == ["mlp on mnist: torch is not compared with keras: no round in which both ran well."]


def test_one_round_allows_no_verdict(found: Callable[..., dict[str, list[str]]]) -> None:
    said = found([record("torch"), record("keras")])
    assert "fastest" not in said
    assert said["single"] == [
        "mlp on mnist: whether torch is faster than keras cannot be told: a single round has no interval. "
        "Use --repeats 5."
    ]
    assert "accuracy_equivalent" not in said


def test_a_backend_alone_is_not_the_fastest(found: Callable[..., dict[str, list[str]]]) -> None:
    said = found([record(repeat=i) for i in range(3)])
    assert not {"fastest", "fastest_unsure", "level", "memory"} & set(said)


def test_what_does_not_conform_has_no_rank(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [
        record(b, repeat=i, speed=9.0 if b == "paddle" else 1.0) for b in ("torch", "keras", "paddle") for i in range(3)
    ]
    good = BackendConformance(framework_version=VERSIONS["torch"], checked_at="2026-03-01T07:00:00Z", passed=5)
    bad = good.model_copy(update={"failures": ("gradients of conv2d",), "framework_version": VERSIONS["paddle"]})
    said = found(records, torch=good, paddle=bad)
    assert said["fastest"][0].startswith("mlp on mnist: torch trains fastest")
    assert "paddle" not in said["fastest"][0]
    assert said["nonconforming"] == [
        "paddle does not compute the same as the reference, so its speed is not ranked. "
        "Conformance checks failed: 1, the first gradients of conv2d."
    ]
    assert said["unchecked"] == [
        "Not checked with these runs: whether it computes the same as the reference, for keras: "
        "python -m harness conform"
    ]


def test_conformance_holds_for_its_version_and_manner_alone(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [record("torch", tuning=t, repeat=i) for t in ("recommended", "expert") for i in range(2)]
    records += [record("torch", framework_version="2.12.0", repeat=i, run_id=f"old{i}") for i in range(2)]
    good = BackendConformance(
        backend="torch", framework_version="2.13.0", tuning="recommended", checked_at="2026-03-01T07:00:00Z", passed=5
    )
    bad = good.model_copy(update={"tuning": "expert", "failures": ("steps of adam",)})
    said = found(records, a=good, b=bad)
    assert said["nonconforming"][0].startswith("torch (2.13.0, expert) does not compute the same")
    assert len(said["nonconforming"]) == 1
    assert "the same as the reference, for torch (2.12.0, recommended): " in said["unchecked"][0]


def test_manners_are_weighed(found: Callable[..., dict[str, list[str]]]) -> None:
    said = found([record(tuning=t, repeat=i, spread=0.001 * i) for t in ("expert", "default") for i in range(3)])
    assert said["ladder"][0].startswith("mlp on mnist: expert over default use: torch 1.6")
    assert "times as fast (1.6" in said["ladder"][0]
    assert "fastest" not in said, "manners of one framework are no rivals"
    same = found([record("numpy", tuning=t, repeat=i, spread=0.0, speed=1 if t == "expert" else 1 / 0.6)
                  for t in ("expert", "default")                  for i in range(3)])  # fmt: skip
    assert same["ladder"] == ["mlp on mnist: expert over default use: numpy equally fast within 10 %."]


def test_a_ratio_that_may_be_one_is_not_asserted(found: Callable[..., dict[str, list[str]]]) -> None:
    """1.55 times as fast (0.95 to 2.70) is no finding."""
    rates = {"expert": [155.0, 160.0, 150.0], "default": [100.0, 80.0, 180.0]}
    records = [
        change(record("numpy", tuning=t, repeat=i), "throughput", train_samples_per_second=rate)
        for t, values in rates.items()
        for i, rate in enumerate(values)
    ]
    said = found(records)
    assert "ladder" not in said
    assert "numpy (default) is faster cannot be told" in (said.get("undecided") or said["undecided_disturbed"])[0]


def test_a_lower_peak_of_memory_is_asserted_only_where_it_is_sure(found: Callable[..., dict[str, list[str]]]) -> None:
    peaks = {"torch": [420.0, 500.0, 430.0], "keras": [430.0, 480.0, 450.0]}
    records = [
        change(record(backend, repeat=i), "memory", peak_rss_mb=peak)
        for backend, values in peaks.items()
        for i, peak in enumerate(values)
    ]
    said = found(records)
    assert "memory" not in said
    assert said["memory_measured"] == [
        "mlp on mnist: torch had the lowest peak of memory, 430 MiB, and keras the highest, 450 MiB."
    ]


def test_a_reference_kernel_stands_out(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [
        record(b, repeat=i, speed=1 / 60 if b == "mindspore" else 1) for b in ("torch", "mindspore") for i in range(3)
    ]
    said = found(records)["far_slower"]
    assert "compare with --tuning all" in said[0]
    slow_reference = found([record(b, repeat=i) for b in ("torch", "numpy") for i in range(3)])
    assert "far_slower" not in slow_reference, "NumPy in float64 is slow by nature"


def test_accuracies_that_differ_and_that_may(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [
        record(b, seed=s, accuracy_shift=shift * (1 + (s if b == "paddle" else 0)))
        for s in range(4)
        for b, shift in (("torch", 0.0), ("keras", -0.03), ("paddle", -0.006), ("mindspore", 0.0))
    ]
    said = found(records)
    assert said["accuracy_differs"][0].startswith(
        "mlp on mnist: keras does not reach the same test accuracy as torch: it differs by −"
    )
    assert any("paddle" in s for s in said["accuracy_differs"] + said.get("accuracy_unsure", []))
    assert "torch and mindspore reach the same test accuracy" in said["accuracy_equivalent"][0]


def test_repeats_of_one_seed_do_not_stand_for_seeds(found: Callable[..., dict[str, list[str]]]) -> None:
    """Two seeds that differ by +-3 points are not shown equal by repeating each of them five times."""
    records = [
        record(b, seed=s, repeat=r, accuracy_shift=(0.03 if s else -0.03) if b == "keras" else 0.0)
        for s in range(2)
        for r in range(5)
        for b in ("torch", "keras")
    ]
    said = found(records)
    assert "accuracy_equivalent" not in said
    assert "was not tested: two seeds" in said["accuracy_untested"][0]


def test_one_seed_repeated_is_one_sample(found: Callable[..., dict[str, list[str]]]) -> None:
    """Three repeats of one seed agree to the last digit and show nothing of other seeds."""
    said = found([record(b, repeat=r) for r in range(3) for b in ("torch", "keras")])
    assert "accuracy_equivalent" not in said
    assert "not tested: one seed" in said["accuracy_untested"][0]


def test_who_leaves_the_reference_is_named_with_step_and_distance(found: Callable[..., dict[str, list[str]]]) -> None:
    """As paddle does on digits: a tie at step 44 decided otherwise, while the others stay."""
    losses = [2.3 * 0.98**i for i in range(60)]
    off = [loss + (0.0 if i < 43 else 2e-4 if i < 50 else 2.5e-2) for i, loss in enumerate(losses)]
    net = {"name": "lenet5", "layers": [{"max_pool2d": {"kernel_size": [2, 2]}}]}
    curves = {"numpy": losses, "torch": [loss + 1.4e-6 for loss in losses], "paddle": off}
    records = [
        record(b, curve=LearningCurve.of(own), specs=Specs(architecture=net, recipe={})) for b, own in curves.items()
    ]
    good = BackendConformance(framework_version=VERSIONS["paddle"], checked_at="2026-03-01T07:00:00Z", passed=412)
    assert found(records, paddle=good)["leaves"] == [
        "mlp on mnist: paddle leaves numpy from step 44 on: their training losses get 0.025 apart (step 51); the "
        "others stay within 1.4e-06. Ties in max pooling may explain it, where any of the equal cells may get the "
        "gradient: it passed 412 conformance checks, with trajectories clear of ties and with ties broken at random. "
        "Whether this data has ties is not in the record."
    ]
    failing = good.model_copy(update={"failures": ("pooling",)})
    assert "was not shown" in found(records, paddle=failing)["leaves"][0]
    bare = [one.model_copy(update={"specs": None}) for one in records]
    assert "cannot be known" in found(bare)["leaves"][0]
    flat = Specs(architecture={"layers": ["flatten"]}, recipe={})
    assert "the network has none" in found([one.model_copy(update={"specs": flat}) for one in records])["leaves"][0]
    assert "leaves" not in found(records[:2])
    alone = found([records[0], records[2]])["leaves"]
    assert "the others" not in alone[0]


def test_failures_say_why(found: Callable[..., dict[str, list[str]]]) -> None:
    bad = [
        fault(s, "torch", repeat=i) for i, s in enumerate(("failed", "crashed", "crashed", "diverged", "unsupported"))
    ]
    said = found([record("keras"), *bad])["failed"]
    assert said[0].startswith("mlp on mnist: 1 of 5 runs of torch failed: operands could not be broadcast together.")
    assert said[1].startswith("mlp on mnist: 2 of 5 runs of torch crashed: the worker was ended by SIGSEGV.")
    assert any("diverged: the loss was nan at step 17." in s for s in said)
    assert any("unsupported: bfloat16 is not available on this CPU." in s for s in said)


def test_inputs_that_differ_are_named(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [record("torch"), change(record("keras"), "fingerprints", data="x", initial_weights="y")]
    assert found(records)["namesakes"] == [
        "mlp on mnist and mlp (2) on mnist are different trainings that bear the same names: other data and other "
        "initial weights. They are neither averaged nor compared."
    ]
    blank = change(record("torch"), "fingerprints", data=None)
    assert found([blank])["no_fingerprints"][0].startswith("Runs without fingerprints of their inputs")


def test_threads_that_do_not_do_as_told(found: Callable[..., dict[str, list[str]]]) -> None:
    kept_from_it = record("mindspore", busy_threads=0.3, noise=Noise(noisy=True))
    said = found(
        [kept_from_it, record("torch", busy_threads=7.9), record("keras", busy_threads=1.01), record("paddle")]
    )
    assert said["threads_exceeded"] == [
        "mlp on mnist: torch had 7.9 threads at work or waiting for a CPU, and 2 allowed."
    ]
    assert said["threads_idle"] == ["mlp on mnist: fewer threads were busy than the 2 allowed: keras 1.0."]


def test_targets_missed_by_some(found: Callable[..., dict[str, list[str]]]) -> None:
    records = [record("torch", time_to_accuracy={"0.9": 1.0}), record("keras", time_to_accuracy={"0.9": None})]
    assert found(records)["target_missed"] == ["mlp on mnist: 0 of 1 runs of keras reached 90.00 % test accuracy."]


def test_wide_intervals_ask_for_more_repeats(found: Callable[..., dict[str, list[str]]]) -> None:
    said = found([record(repeat=i, speed=1 + 0.3 * i) for i in range(3)])
    assert "more --repeats would narrow it" in said["wide"][0]
    assert "torch for mlp on mnist" in said["wide"][0]


def test_noise_of_a_repeated_run_is_forgotten(found: Callable[..., dict[str, list[str]]]) -> None:
    noisy = Noise(noisy=True, reasons=("steal",))
    assert "noisy" in found([record(noise=noisy)])
    assert "noisy" not in found([record(noise=noisy, run_id="first"), record(attempt=2)])


def test_two_machines_are_told_apart(tmp_path: Path) -> None:
    here = write(tmp_path / "a", [record()], name="here")
    there = write(tmp_path / "b", [change(record(), "environment", cpu="Other CPU")], name="there")
    assert sentences(here, there)["machines"] == [
        "The runs come from different processors: Intel(R) Xeon(R) Processor @ 2.60GHz and Other CPU."
    ]


def test_what_changed_between_two_sets(tmp_path: Path) -> None:
    backends = ("torch", "keras", "paddle", "mindspore")
    before = write(tmp_path / "a", [record(b, repeat=i) for b in backends for i in range(5)], name="2.12")
    speeds = {"torch": 1.5, "keras": 0.5, "paddle": 1.0}
    after = [record(b, repeat=i, speed=speed) for b, speed in speeds.items() for i in range(5)]
    other = [change(record("mindspore", repeat=i), "fingerprints", schedule="x") for i in range(5)]
    said = sentences(before, write(tmp_path / "b", after + other, name="2.13"))
    (faster,), (slower,) = said["changes_faster"], said["changes_slower"]
    assert faster.startswith("Faster in 2.13 than in 2.12: torch for mlp on mnist 1.50 times (1.")
    assert slower.startswith("Slower in 2.13 than in 2.12: keras for mlp on mnist 0.500 times (0.")
    assert said["changes_no difference"] == ["No difference in speed between 2.12 and 2.13: paddle for mlp on mnist."]
    assert said["changes_not comparable"] == [
        "Not comparable between 2.12 and 2.13: mindspore for mlp (2) on mnist (fingerprints differ: schedule)."
    ]
    assert len(said["fastest"]) == 2, "each set has its own rounds"
    assert all("(2.12)" in s or "(2.13)" in s for s in said["fastest"])


def test_damaged_records_are_named(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record()])
    with made.records_file.open("a") as file:
        file.write("{}\n" * 25)
    said = sentences(made)
    assert len(said["damaged"]) == 20
    assert f"{made.records_file}:2: not a record" in said["damaged"][0]
    assert said["damaged_more"] == ["Records that could not be read beside these: 5."]


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    empty = ResultSet.create(tmp_path / "set", name="x", study={})
    assert sentences(empty) == {"no_runs": ["There is no record of any run here yet."]}


def test_names_from_strangers_end_up_plain(found: Callable[..., dict[str, list[str]]]) -> None:
    evil = "\x1b[31mm\x07odel {0}\n%s"
    said = found(
        [record(b, model=evil, recipe=evil, repeat=i, run_id=f"{b}{i}") for b in ("torch", "keras") for i in range(3)]
    )
    assert all("\x1b" not in s and "\n" not in s for group in said.values() for s in group)
    assert any("model {0} %s on mnist" in s for group in said.values() for s in group)


def test_every_language_says_the_same() -> None:
    """The same keys with the same fields."""

    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    english = LANGUAGES["en"]
    for texts in LANGUAGES.values():
        assert set(texts) == set(english)
        for key, text in texts.items():
            assert fields(text) == fields(english[key]), key
    with pytest.raises(RequestError, match="--lang: unknown language 'fr'"):
        Words("fr")


def test_chinese(tmp_path: Path) -> None:
    said = sentences(write(tmp_path / "set", study()), language="zh")
    assert said["memory"][0] == "mnist 上的 mlp：torch 占用内存最少，峰值 422 MiB；keras 最多，峰值 680 MiB。"


def test_every_sentence_is_said_somewhere() -> None:
    """A sentence that no rule says, or that no example above calls for, would go unnoticed."""
    examples = "".join(
        Path(__file__).with_name(name).read_text()
        for name in ("test_findings.py", "test_machines.py", "test_race.py", "test_sameness.py")
    )
    rules = "".join(file.read_text() for file in (Path(results.__file__).parent / "findings").glob("*.py"))
    for key in (key.removeprefix("finding_") for key in LANGUAGES["en"] if key.startswith("finding_")):
        if key.startswith("changes_"):
            assert key.removeprefix("changes_") in tuple(Verdict)
            continue
        assert f'"{key}"' in rules, key
        assert f'"{key}"' in examples or key in ("memory", "first_step", "fastest"), key
