"""The forms of an outcome: what a CI server, a pull request and a chart are given."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from results.gate.benchmark import benchmark
from results.gate.checks import GateCheck, Status
from results.gate.junit import junit
from results.gate.markdown import markdown
from results.gate.outcome import EXIT_STATUS
from results.gate.rows import COLUMNS, rows, sentences
from tests.results.gate.gates import ACCURATE, LAYERS, LESS_MEMORY, OPEN, SLOWER, UNPROVED, gate

WHOLE = gate(ACCURATE, LESS_MEMORY, UNPROVED, SLOWER, layers=LAYERS)


@pytest.mark.parametrize(
    ("checks", "status"),
    [((ACCURATE, UNPROVED), 0), ((ACCURATE, OPEN), 3), ((OPEN, SLOWER), 1), ((SLOWER, ACCURATE), 1)],
)
def test_one_regression_is_a_regression_and_else_one_open_figure_is_undecided(
    checks: tuple[GateCheck, ...], status: int
) -> None:
    assert EXIT_STATUS[gate(*checks).verdict] == status


def test_rows_and_sentences_name_case_figure_and_layer() -> None:
    shown = rows(WHOLE)
    assert all(len(row) == len(COLUMNS) for row in shown)
    assert shown[3] == (
        *("lenet5", "digits", "training time", "1,200 samples/s", "1,000 samples/s", "+20.0 %"),
        *("+17.0 to +23.0", "5 %", "regression"),
    )
    assert shown[1][5:7] == ("−3.0 %", "−3.5 to −2.5")
    assert list(sentences(WHOLE)) == [
        "lenet5 on digits, sameness: not judged: there is no proof",
        "lenet5 on digits, training time: regression: +20.0 %, at least +17.0; 5 is allowed",
        "lenet5 on digits, layers: conv2d_1 takes 2.00 ms per batch against 1.00 ms",
    ]


def test_an_undecided_figure_says_how_much_longer_it_takes() -> None:
    (said,) = sentences(gate(OPEN))
    assert said == (
        "lenet5 on digits, training time: undecided: about 20 openings in all would decide; "
        "about 1 min 30 s more (--budget 240)"
    )


def test_json_has_all_of_it() -> None:
    document = json.loads(json.dumps(WHOLE.to_dict()))
    assert (document["schema"], document["verdict"], document["exit_status"]) == (1, "regression", 1)
    (case,) = document["cases"]
    assert [check["figure"] for check in case["checks"]] == ["accuracy", "peak memory", "sameness", "training time"]
    assert case["layers"]["costs"][0] == {"name": "conv2d_1", "base_ms": 1.0, "candidate_ms": 2.0, "slower": True}
    assert json.loads(json.dumps(gate(OPEN).to_dict()))["cases"][0]["checks"][0]["longer"].startswith("about 20")


def test_junit_counts_failures_errors_and_what_is_skipped() -> None:
    root = ElementTree.fromstring(junit(gate(ACCURATE, OPEN, UNPROVED, SLOWER, layers=LAYERS)))
    (suite,) = root
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [[child.tag for child in case] for case in suite] == [[], ["error"], ["skipped"], ["failure"]]
    failure = suite[3][0]
    assert failure.get("message") == "regression, +20.00 %, 95 % interval +17.00 to +23.00, limit 5"
    assert "conv2d_1" in str(failure.text)


def test_strange_words_break_no_form() -> None:
    bad = replace(UNPROVED, status=Status.REGRESSED, reason="a|b <script>\x1b[2J\x00 & `c` \ud800")
    strange = gate(bad, model="m|<b>\x07&")
    assert ElementTree.fromstring(junit(strange))[0].get("name") == "m|<b> & on digits"
    text = markdown(strange)
    assert "<script>" not in text and "\x1b" not in text
    assert all(line.replace("\\|", "").count("|") == len(COLUMNS) + 1 for line in text.splitlines() if line[:1] == "|")
    json.loads(benchmark(strange))
    text.encode()
    junit(strange).encode()


def test_markdown_has_verdict_table_and_layers() -> None:
    text = markdown(WHOLE)
    assert text.startswith("## ❌ torch:expert (2.13.0) in place of torch (2.13.0): a regression\n")
    assert "| lenet5 | digits | training time | 1,200 samples/s | 1,000 samples/s | +20.0 % |" in text
    assert "| **conv2d\\_1** | 1 | 2 |" in text
    assert "<details>" not in markdown(gate(ACCURATE))


def test_charts_get_figures_relative_to_the_base_of_the_same_session() -> None:
    entries = json.loads(benchmark(WHOLE))
    assert all({"name", "unit", "value"} <= set(entry) for entry in entries)
    assert {entry["name"]: (entry["value"], entry["unit"]) for entry in entries} == {
        "lenet5 on digits: test error": (pytest.approx(10.1), "%"),
        "lenet5 on digits: peak memory": (pytest.approx(0.97), "x base"),
        "lenet5 on digits: training time": (pytest.approx(1.2), "x base"),
    }
    assert entries[-1]["range"] == "1.170 to 1.230"
