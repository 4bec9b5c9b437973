"""Runs of several machines: told apart, rates of one alone, ratios within one, verdicts per kind, and agreement."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import results
from results.comparison import compare
from results.findings import Analysis, collect
from results.machines import Said, identified
from results.record import SCHEMA, MachineRecord, Record
from results.report import build
from results.report.machine_tables import agreement, machines
from results.store import ResultSet
from results.summary import speed_ratio
from results.words import Words
from tests.results.machines import FASTER, PLACES, at, spread
from tests.results.records import SPEED, record, study, write
from tests.results.test_race import race_of

TURNED = {("paddle", "B"): 4.0}  # on lenet5 torch has about twice the rate of paddle, and here half of it


@pytest.fixture
def analysed(tmp_path: Path) -> Callable[..., Analysis]:
    """``analysed(records, ...)``: what a report has of sets of these records."""

    def analyse(*sets: Sequence[Record], language: str = "en") -> Analysis:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        paths = [write(folder / f"set{n}", records, name=f"set{n}").path for n, records in enumerate(sets)]
        loaded = results.load(*paths)
        return Analysis(loaded, loaded.baseline(), Words(language))

    return analyse


def said(analysis: Analysis, key: str) -> list[str]:
    return [found.sentence(analysis.words) for found in collect(analysis) if found.key == key]


def names(*told: Said) -> list[str]:
    return [machine.name for machine in identified(told)]


def test_machines_of_a_kind_have_a_letter_and_a_number_each() -> None:
    whole = [Said(place, whole=True) for place in PLACES.values()]
    assert names(*whole) == ["A1", "B", "A2"]
    assert names(whole[0], whole[1], whole[0]) == ["A", "B", "A"]
    many = [Said(MachineRecord(cpu=f"processor {n}"), whole=True) for n in range(28)]
    assert names(*many)[24:] == ["Y", "Z", "AA", "AB"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu", "another"), ("cores", 4), ("cpu_quota", 1.5), ("ram_mb", 64_000.0), ("os", "Linux-6.2"),
        ("governor", "powersave"), ("instruction_sets", "avx"), ("gpu", "NVIDIA H200"), ("machine_id", "d" * 12),
    ],
)  # fmt: skip
def test_what_tells_machines_apart(field: str, value: object) -> None:
    place = PLACES["A1"]
    other = place.model_copy(update={field: value})
    found = identified([Said(place, whole=True), Said(other, whole=True)])
    assert found[0] is not found[1]
    assert (found[0].kind == found[1].kind) == (field == "machine_id")
    software = place.model_copy(update={"python": "3.99", "git_commit": "x", "matmul_peak_gflops": 1.0})
    assert names(Said(place, whole=True), Said(software, whole=True)) == ["A", "A"]


def test_what_an_older_record_does_not_say_may_be_anything() -> None:
    """It is of the machine that agrees with what it says; of several such, or none, of one of its own."""
    place = PLACES["A1"]
    older = place.model_copy(update={"instruction_sets": None, "machine_id": None, "governor": None})
    assert names(Said(place, whole=True), Said(older, whole=False)) == ["A", "A"]
    assert names(Said(older, whole=False), Said(place, whole=True)) == ["A", "A"]
    assert names(Said(place, whole=True), Said(older, whole=True)) == ["A", "B"]
    assert names(Said(MachineRecord(), whole=False), Said(older, whole=False), Said(place, whole=True)) == ["A"] * 3
    other = place.model_copy(update={"governor": "powersave"})
    assert names(*(Said(one, whole=True) for one in (place, other)), Said(older, whole=False)) == ["A", "B", "C"]
    assert names(Said(place, whole=True), Said(PLACES["A2"], whole=True), Said(older, whole=False)) == [
        "A1",
        "A2",
        "A3",
    ]


def test_a_set_of_an_older_schema_that_was_continued_is_of_one_machine(analysed: Callable[..., Analysis]) -> None:
    records = spread(places=("A1",), rounds=4)
    older = {"instruction_sets": None, "machine_id": None}
    records[:4] = [
        made.model_copy(update={"schema_version": 5, "environment": made.environment.model_copy(update=older)})
        for made in records[:4]
    ]
    assert set(analysed(records).results.runs["machine"]) == {"A"}


def test_rates_are_of_one_machine_and_tables_have_a_row_for_each(analysed: Callable[..., Analysis]) -> None:
    summary = analysed(spread()).summary.set_index(["machine", "backend"])
    assert set(summary.index) == {(place, backend) for place in PLACES for backend in ("torch", "paddle")}
    for (place, backend), row in summary.iterrows():
        usual = SPEED["lenet5"][backend] * FASTER[place]
        assert row["train_samples_per_second"] == pytest.approx(usual, rel=0.05)
        assert row["train_samples_per_second_high"] < 1.2 * usual
        assert row["runs"] == 4


def test_ratios_of_a_kind_are_pooled_and_their_pairs_never_cross_machines(analysed: Callable[..., Analysis]) -> None:
    records = spread(places=("A1", "A2"), rounds=8)
    (case,) = analysed(records).cases
    first, second = case.subjects
    found = speed_ratio(first, second, "train_samples_per_second").estimate
    assert found is not None
    assert found.n == 8
    assert found.median == pytest.approx(SPEED["lenet5"]["torch"] / SPEED["lenet5"]["paddle"], rel=0.05)
    assert found.high < 1.1 * found.low
    crossed = [at("A1" if made.backend == "torch" else "A2", made) for made in records]
    (case,) = analysed(crossed).cases
    assert speed_ratio(*case.subjects, "train_samples_per_second").reason == "no_pair"


def test_an_attempt_on_another_machine_repeats_nothing(analysed: Callable[..., Analysis]) -> None:
    first, again = at("A1", record("torch")), at("B", record("torch", attempt=2, run_id="again"))
    assert analysed([first, again]).results.runs["current"].tolist() == [True, True]
    assert analysed([first, at("A1", again)]).results.runs["current"].tolist() == [False, True]


def test_kinds_that_agree(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread())
    (sentence,) = said(analysis, "agree")
    assert sentence.startswith("lenet5 on mnist: torch trains fastest on every kind of machine, 1.9")
    assert " times as fast as paddle (1.8" in sentence
    assert "on machine A and " in sentence
    assert sentence.endswith("on machine B.")
    assert not said(analysis, "order_differs")
    assert [row[-1].text for row in agreement(analysis).rows] == ["agree"]
    kinds = [s for s in said(analysis, "fastest") if s.startswith("lenet5 on mnist (machine A): torch trains fastest")]
    assert len(kinds) == 1
    assert "with 15,600–46,300 samples/s" in kinds[0], "rates of two machines are not one"


def test_kinds_whose_order_differs(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread(on=TURNED))
    (sentence,) = said(analysis, "order_differs")
    assert sentence.startswith("lenet5 on mnist: the order differs: torch is 1.9")
    assert "on machine A, paddle is 2.1" in sentence
    assert sentence.endswith("on machine B.")
    assert not said(analysis, "agree")
    assert [row[-1].text for row in agreement(analysis).rows] == ["order differs"]


def test_a_kind_that_cannot_tell(analysed: Callable[..., Analysis]) -> None:
    records = [made for made in spread() if made.environment != PLACES["B"] or made.round == 1]  # a single round
    analysis = analysed(records)
    (sentence,) = said(analysis, "agree_partly")
    assert sentence.endswith("on machine A; on machine B it is not told apart from all others.")
    assert [row[-1].text for row in agreement(analysis).rows] == ["cannot be told"]


def test_equal_on_one_kind_alone(analysed: Callable[..., Analysis]) -> None:
    equal = SPEED["lenet5"]["torch"] / SPEED["lenet5"]["paddle"]
    analysis = analysed(spread(rounds=30, on={("paddle", "B"): equal}))
    assert said(analysis, "agree_partly")
    assert [row[-1].text for row in agreement(analysis).rows] == ["differ"]


def test_nobody_ahead_on_any_kind(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread(backends=("torch", "paddle", "keras")))
    (sentence,) = said(analysis, "none_ahead")
    assert sentence.endswith("not told apart at the head are torch and keras on machine A and machine B.")


def test_a_kind_without_a_backend(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread(backends=("torch", "paddle", "keras"), on={("keras", "B"): 0}))
    assert said(analysis, "not_everywhere") == ["lenet5 on mnist: keras has no rank on machine B."]
    assert "torch trains fastest" in said(analysis, "agree")[0], "of those that ran everywhere"


def test_without_the_baseline_nothing_is_held_against_it(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread(backends=("torch", "paddle", "keras"), on={("torch", "B"): 0}))
    table = agreement(analysis)
    assert [column.title for column in table.columns] == ["Case", "Backend", "machine A", "Agreement"]
    assert {row[-1].text for row in table.rows} == {"cannot be told"}


def test_one_machine_and_several_sets_name_none(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(study(), spread(places=("B",)))
    assert len(analysis.results.machines) == 2
    assert analysis.labels.machines == set()
    assert machines(analysis) is None
    assert agreement(analysis).rows == ()
    assert "The runs come from different processors" in said(analysis, "machines")[0]
    assert not [found for found in collect(analysis) if found.level == "agreement"]


def test_what_the_machines_are(analysed: Callable[..., Analysis]) -> None:
    analysis = analysed(spread())
    (sentence,) = said(analysis, "machine_kinds")
    assert sentence.startswith(
        "Run on several machines: A1 and A2: Xeon 8488C, 8 cores, 31 GiB, Frequency governor performance, "
        "Instruction sets avx512f; B: EPYC 7763, 8 cores, 62 GiB, Frequency governor schedutil. Rates, "
    )
    table = machines(analysis)
    assert table is not None
    assert [[cell.text for cell in row[:2]] for row in table.rows] == [["A1", "8"], ["B", "8"], ["A2", "8"]]
    (alike,) = said(analysed(spread(places=("A1", "A2"))), "machine_kinds")
    assert "A1 and A2: Xeon 8488C, 8 cores, 31 GiB. " in alike


def test_sets_of_several_machines_are_held_against_one_another_machine_by_machine(
    analysed: Callable[..., Analysis],
) -> None:
    analysis = analysed(spread(), spread(places=("B",)))
    rows = compare(analysis.results).set_index(["machine", "backend"])
    assert rows.loc[("B", "torch"), "ratio"] == pytest.approx(1.0, rel=0.05)
    assert rows.loc[("A1", "torch"), "reason"] == "one_sided"
    assert any("lenet5 on mnist (machine B)" in sentence for sentence in said(analysis, "changes_no difference"))


@pytest.fixture
def raced(tmp_path: Path) -> ResultSet:
    """Races of every backend on each machine; on that of kind B mindspore is the fastest."""
    backends = ("torch", "keras", "paddle", "mindspore")
    made = write(tmp_path / "set", [
        one.model_copy(update={"fingerprints": one.fingerprints.model_copy(update={"training": one.model})})
        for one in spread(backends=backends)
    ])  # fmt: skip
    for name, place in PLACES.items():
        race = race_of(made)
        turned = race.racers[::-1] if name == "B" else race.racers
        racers = [one.model_copy(update={"rates": its.rates}) for one, its in zip(race.racers, turned, strict=True)]
        made.save_race(race.model_copy(update={"machine": place, "racers": tuple(racers)}))
    return made


def test_races_are_pooled_over_machines_of_a_kind_alone(raced: ResultSet) -> None:
    loaded = results.load(raced.path)
    analysis = Analysis(loaded, "torch", Words("en"))
    assert {key.machine: race.rounds for key, race in analysis.races.items()} == {"A": 80, "B": 40}
    (sentence,) = said(analysis, "order_differs")
    assert "torch is 3.3" in sentence
    assert "mindspore is 3.3" in sentence
    assert len(said(analysis, "raced")) == 2


def test_an_older_race_goes_on_where_it_was_run(raced: ResultSet) -> None:
    """With the races of the one machine that it fits, so that none is lost."""
    for file in (raced.path / "races").glob("*.json"):
        said = json.loads(file.read_text())
        if said["machine"]["machine_id"] != PLACES["A1"].machine_id:
            file.unlink()
    before = race_of(raced)
    raced.records_file.write_text("".join(
        line for line in raced.records_file.read_text().splitlines(keepends=True) if "Xeon" in line
    ))  # fmt: skip
    raced.save_race(before)
    loaded = results.load(raced.path)
    assert [race.rounds for race in Analysis(loaded, "torch", Words("en")).races.values()] == [2 * before.rounds]


def test_the_report_of_several_machines_in_both_languages(raced: ResultSet, capsys: pytest.CaptureFixture[str]) -> None:
    for language, heading in (("en", "From machine to machine"), ("zh", "各机器之间")):
        made = build([raced.path], lang=language)
        assert f"## {heading}" in made.markdown.read_text()
        assert heading in made.html.read_text()
        assert "A2" in made.markdown.read_text()
    accuracies = {plot.stem for plot in (raced.path / "plots").glob("accuracy-*.svg")}
    assert {stem.rpartition("-")[2] for stem in accuracies} == {"a1", "a2", "b"}


def test_a_record_says_where_it_was_made() -> None:
    first, second = at("A1", record()), at("A2", record())
    known = {"fingerprints": first.fingerprints.model_copy(update={"training": "t"})}
    first, second = first.model_copy(update=known), second.model_copy(update=known)
    assert first.identity is not None
    assert first.identity != second.identity
    assert first.identity == at("A1", second).identity
    assert json.loads(first.to_json())["schema"] == SCHEMA
