"""Races in a set: what findings, pictures, page and terminal make of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import results
from harness.cli.race_display import rows
from results.findings import Analysis, collect
from results.manifest import BackendConformance
from results.plots.races import race as draw
from results.race import Race, Racer
from results.race_words import sentences
from results.report import build
from results.report.page_tables import speed
from results.report.terminal import as_json, text_tables
from results.store import ResultSet
from results.words import Words
from tests.results.records import VERSIONS, study, write

SPEEDS = {"torch": 1.0, "keras": 0.43, "paddle": 1.004, "mindspore": 0.3}


def race_of(made: ResultSet, *, rounds: int = 40, quiet: bool = True, ended: str = "precision") -> Race:
    row = next(row for row in made.rows()[0] if row.model == "lenet5")
    generator = random.Random(0)
    racers = tuple(
        Racer(
            backend=name, framework_version=VERSIONS[name], manner=row.tuning.manner, disturbed=0 if quiet else 9,
            taken=None if quiet else 0.62,
            rates=tuple(10_000 * speed * generator.gauss(1, 0.02) if quiet else None for _ in range(rounds)),
        )
        for name, speed in SPEEDS.items()
    )  # fmt: skip
    return Race(
        started_at="2026-01-01T00:00:00Z", model=row.model, dataset=row.dataset,
        training=row.fingerprints.training or "", device=row.device, precision=row.precision, threads=row.threads,
        baseline=0, turn_s=0.3, share=0.1, target=0.05, budget_s=60, seconds=50, racers=racers, ended=ended,
        openings=tuple(range(0, rounds, 10)), busiest=() if quiet else ("cc1plus", "ld"),
    )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> ResultSet:
    records = [
        record.model_copy(update={"fingerprints": record.fingerprints.model_copy(update={"training": record.model})})
        for record in study()
    ]
    return write(tmp_path / "set", records)


def said(made: ResultSet, key: str, language: str = "en") -> list[str]:
    loaded = results.load(made.path)
    words = Words(language)
    return [f.sentence(words) for f in collect(Analysis(loaded, loaded.baseline(), words)) if f.key == key]


def test_a_race_says_who_is_fastest_and_training_runs_rank_nobody(made: ResultSet) -> None:
    before = said(made, "fastest") + said(made, "level") + said(made, "ahead")
    assert any("lenet5" in sentence for sentence in before)
    made.save_race(race_of(made))
    [sentence] = said(made, "raced")
    assert sentence.startswith("lenet5 on mnist: By turns, ")
    assert "torch and paddle cannot be told apart" in sentence or "paddle and torch cannot be told apart" in sentence
    assert "times as fast as keras (" in sentence
    assert "It took 40 rounds (openings: 4) and 50.0 s until every interval was within 5 % of its ratio." in sentence
    after = said(made, "fastest") + said(made, "level") + said(made, "ahead")
    assert after
    assert not any("lenet5" in sentence for sentence in after)
    assert "轮流比速" in said(made, "raced", "zh")[0]


def test_without_a_quiet_turn_there_is_no_verdict_and_training_runs_are_told(made: ResultSet) -> None:
    made.save_race(race_of(made, quiet=False, ended="budget"))
    [sentence] = said(made, "raced")
    assert "The race gives no verdict." in sentence
    assert "torch: of 9 turns none was quiet: others took 62 % of the machine's CPU time, more than 10 %." in sentence
    assert "The busiest others meanwhile: cc1plus and ld." in sentence
    assert any("lenet5" in one for one in said(made, "fastest") + said(made, "level") + said(made, "ahead"))


@pytest.mark.parametrize(
    "broken", [{"baseline": 4}, {"openings": [0, 50]}, {"openings": [3]}, {"openings": []}, {"rates": [1.0]}]
)
def test_a_race_that_does_not_fit_together_is_named_and_left_out(made: ResultSet, broken: dict[str, object]) -> None:
    made.save_race(race_of(made))
    file = made.path / "races" / "0001.json"
    kept = json.loads(file.read_text())
    (kept["racers"][1] if "rates" in broken else kept).update(broken)
    file.write_text(json.dumps(kept))
    races, damaged = made.races()
    assert races == []
    assert "not a race" in str(damaged[0])


def test_who_had_too_few_quiet_rounds_is_named(made: ResultSet) -> None:
    raced = race_of(made, ended="budget")
    rarely = tuple(rate if number % 20 == 0 else None for number, rate in enumerate(raced.racers[1].rates))
    racers = (
        raced.racers[0],
        raced.racers[1].model_copy(update={"rates": rarely, "disturbed": 114}),
        *raced.racers[2:],
    )
    made.save_race(raced.model_copy(update={"racers": racers}))
    [sentence] = said(made, "raced")
    assert "Too few quiet rounds for a verdict: keras." in sentence
    assert "times as fast as keras" not in sentence


def test_the_report_opens_with_the_race_and_its_picture(made: ResultSet) -> None:
    made.save_race(race_of(made))
    report = build([made.path])
    html = report.html.read_text()
    summary = html[: html.index('<section id="speed">')]
    assert summary.index("By turns, ") < summary.index('id="plot-race"')
    assert html.count('id="plot-race"') == 1
    assert (made.path / "plots" / "race.svg").is_file()
    document = json.loads(as_json(report))
    assert {(one["case"], one["proof"]) for one in document["proofs"]} >= {("lenet5 on mnist", None)}
    [race] = document["races"]
    assert [(one["backend"], one["quiet"], one["error"]) for one in race["racers"]][:1] == [("torch", 40, None)]
    assert race["case"] == "lenet5 on mnist"
    assert [one["backend"] for one in race["ratios"]] == ["keras", "paddle", "mindspore"]
    assert race["ratios"][0]["low"] < 0.43 < race["ratios"][0]["high"]


def test_what_is_too_disturbed_has_no_bounds_in_words_table_or_picture(made: ResultSet) -> None:
    """Three openings whose ratios lie a thousandfold apart: their interval reaches from nothing to anything."""
    raced = race_of(made, rounds=30)
    keras, paddle = raced.racers[1:3]
    wild = tuple(rate and rate * (0.03, 1.0, 30.0)[place // 10] for place, rate in enumerate(keras.rates))
    racers = (raced.racers[0], keras.model_copy(update={"rates": wild}), paddle)
    race = raced.model_copy(update={"racers": racers})
    size = race.ratio(racers[1]).estimate
    assert size is not None and size.disturbed
    told = Words()("disturbed")
    assert sum(sentence.count(told) for sentence in sentences(race, Words(), lambda racer: racer.backend)) == 1
    intervals = {row[0]: row[3] for row in rows(race)}
    assert intervals["keras"] == told
    assert "–" in intervals["paddle"]
    made.save_race(race)
    loaded = results.load(made.path)
    analysis = Analysis(loaded, loaded.baseline(), Words())
    figure = draw(analysis, analysis.cases)
    assert figure is not None
    [ax] = figure.axes
    assert len(ax.containers) == 1  # the bar of paddle
    assert [text.get_text().endswith(f"({told})") for text in ax.texts].count(True) == 1
    assert ax.get_xlim()[1] / ax.get_xlim()[0] < 10


def test_the_page_has_one_ratio_of_a_case(made: ResultSet) -> None:
    made.save_race(race_of(made))
    loaded = results.load(made.path)
    table = speed(Analysis(loaded, loaded.baseline(), Words()))
    told = [dict(zip((column.title for column in table.columns), row, strict=True)) for row in table.rows]
    assert {row["Ratio"].text == "–" for row in told if row["Case"].text.startswith("lenet5")} == {True}
    assert {row["Ratio"].text == "–" for row in told if not row["Case"].text.startswith("lenet5")} != {True}


def test_the_terminal_has_one_ratio_of_a_case(made: ResultSet) -> None:
    def table() -> list[dict[str, str]]:
        loaded = results.load(made.path)
        found = next(text_tables(Analysis(loaded, loaded.baseline(), Words("en"))))
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    before = table()
    made.save_race(race_of(made))
    after = table()
    for old, new in zip(before, after, strict=True):
        raced = new["Case"].startswith("lenet5")
        assert raced == (new["Ratio"] == "–"), new
        assert raced or new == old
        assert {**new, "Ratio": "", "Verdict": ""} == {**old, "Ratio": "", "Verdict": ""}
        assert "%" in new["Time to accuracy (s)"]


def test_who_does_not_compute_the_same_is_out_of_the_race_everywhere(made: ResultSet) -> None:
    failures = ("recommended: layers: conv2d (logits, float32)",)
    standing = BackendConformance(
        framework_version=VERSIONS["torch"], checked_at="2026-01-01T00:00:00Z", passed=1, unsupported=0,
        failures=failures, backend="torch", tuning="recommended",
    )  # fmt: skip
    made.save_conformance({"torch": standing})
    made.save_race(race_of(made))
    loaded = results.load(made.path)
    [race] = Analysis(loaded, loaded.baseline(), Words("en")).races.values()
    assert race.racers[race.baseline].backend == "keras"
    assert [racer.backend for racer in race.ranked] == ["paddle", "keras", "mindspore"]
    assert race.ratio(race.racers[0]).estimate is None
    [sentence] = said(made, "raced")
    assert sentence.startswith("lenet5 on mnist: By turns, paddle is fastest: ")
    assert "torch went out: does not compute the same" in sentence
    told = json.loads(as_json(build([made.path])))["races"][0]["ratios"][0]
    assert (told["backend"], told["ratio"], told["low"]) == ("torch", None, None)


def test_races_of_a_training_count_together_and_a_broken_one_is_named(made: ResultSet) -> None:
    made.save_race(race_of(made, rounds=6))
    assert "The race gives no verdict." in said(made, "raced")[0]
    made.save_race(race_of(made, rounds=6))
    assert "By turns" in said(made, "raced")[0]
    made.save_race(race_of(made))
    (made.path / "races" / "0003.json").write_text('{"schema": 1}')
    assert "not a race" in str(results.load(made.path).damaged[0])
