"""The report as a file: complete, self-contained, and deaf to what strangers put into records."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from results.findings import collect
from results.manifest import BackendConformance
from results.record import Record, RunError
from results.report import Report, build
from results.store import ResultSet
from specs.errors import RequestError
from tests.results.records import fault, ladder, parse, record, study, write
from tests.results.timing import costs_at_most


class Page(HTMLParser):
    """Collects what a browser would see: tags with their attributes, and text by the section it stands in."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text[self._section] = self.text.get(self._section, "") + data


def page(report: Report) -> Page:
    return Page(report.html.read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return build([write(tmp_path_factory.mktemp("sets") / "demo", study(), images=True).path])


def test_the_report_has_everything(demo: Report) -> None:
    seen = page(demo)
    assert list(seen.text)[1:] == [
        "summary", "speed", "accuracy", "resources", "plots", "conformance", "failures", "environment", "fingerprints",
        "repeat", "runs",
    ]  # fmt: skip
    for finding in collect(demo.analysis):
        assert finding.sentence(demo.analysis.words) in seen.text["summary"]
    assert seen.text["runs"].count("python -m harness run --backend") == 24
    assert "python -m harness compare --models mlp,lenet5" in seen.text["repeat"]
    assert "SIGSEGV" in seen.text["failures"]
    assert "[mindspore] step 17" in seen.text["failures"]
    assert "fused optimizer" in seen.text["environment"]
    assert "OMP_NUM_THREADS=2" in seen.text["environment"]
    assert "412" in seen.text["conformance"]
    figures = [attributes["id"] for tag, attributes in seen.tags if tag == "figure"]
    assert len(figures) == 10
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "plots do not share ids"


def test_the_files_beside_it(demo: Report) -> None:
    folder = demo.html.parent
    assert {p.name for p in (folder / "tables").iterdir()} == {
        f"{name}.{suffix}" for name in ("runs", "epochs", "summary") for suffix in ("csv", "parquet")
    }
    assert {p.suffix for p in (folder / "plots").iterdir()} == {".svg", ".png"}
    linked = re.findall(r"\]\((plots/[^)]+)\)", demo.markdown.read_text())
    assert len(linked) == 10
    assert all((folder / name).is_file() for name in linked)


def test_nothing_is_asked_of_any_network(demo: Report) -> None:
    html = demo.html.read_text()
    seen = Page(html)
    policy = next(
        a["content"] for t, a in seen.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for tag, attributes in seen.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


HOSTILE = (
    "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload=alert(3) "
    "[x](javascript:alert(4)) {{7*7}}"
)


def hostile_set(path: Path) -> ResultSet:
    """Every text that a record, a manifest or a conformance file can hold, made hostile."""

    def poisoned(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poisoned(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poisoned(v, key) for v in value]
        fixed = key in ("run_id", "status", "started_at", "schema", "manner")
        return HOSTILE[:190] if isinstance(value, str) and not fixed else value

    made = [record("torch", repeat=i) for i in range(2)] + [fault("failed", repeat=5), fault("crashed", repeat=6)]
    records = [Record.from_json(json.dumps(poisoned(json.loads(one.to_json())))) for one in made]
    hostile = ResultSet.create(path, name=HOSTILE[:190], study={HOSTILE: [HOSTILE]}, command=HOSTILE)
    for one in records:
        hostile.append(one)
    with hostile.records_file.open("a") as file:
        file.write(json.dumps({"schema": 1, "run_id": HOSTILE, HOSTILE: HOSTILE}) + "\n")
    status = BackendConformance(
        framework_version=HOSTILE[:190], checked_at=HOSTILE[:190], passed=1, failures=(HOSTILE,)
    )
    hostile.save_conformance({HOSTILE[:190]: status})
    return hostile


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hostile_records_are_text(tmp_path: Path, lang: str) -> None:
    report = build([hostile_set(tmp_path / "set").path], lang=lang)
    html = report.html.read_text()
    seen = Page(html)
    assert sum(tag == "script" for tag, _ in seen.tags) == 1
    assert not any(tag == "img" for tag, _ in seen.tags)
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    assert "alert(1)" in "".join(seen.text.values()), "it is shown, as text"
    assert "{{7*7}}" in html
    assert "49" not in seen.text["repeat"]
    markdown = report.markdown.read_text()
    outside_code = "\n".join(line for line in markdown.splitlines() if not line.startswith("    "))
    assert "<script" not in outside_code
    assert "<img" not in outside_code
    assert not re.search(r"(?<!\\)\]\(javascript", outside_code)


def test_cells_of_the_markdown_stay_in_their_columns(tmp_path: Path) -> None:
    records = [record("torch", model="a|b\n\nc", recipe="r"), record("keras", model="a|b\n\nc", recipe="r")]
    markdown = build([write(tmp_path / "set", records).path]).markdown.read_text()
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    assert len(tables) >= 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_absent_figures_are_dashes(tmp_path: Path) -> None:
    seen = page(build([write(tmp_path / "set", [record("torch"), fault("crashed", "keras")]).path]))
    rows = re.split(r"\s*keras-mlp-mnist-s0-r0\s*", seen.text["runs"])
    assert "–" in rows[1]
    assert not re.search(r"\b0\.00\b", rows[1])


def test_the_ladder_is_a_table_with_its_ratios(tmp_path: Path) -> None:
    """Each manner over the one before it, with an interval."""
    report = build([write(tmp_path / "set", ladder(default=1, recommended=1.1, expert=2)).path])
    assert "How the frameworks are used" in page(report).text["ladder"]
    markdown = report.markdown.read_text()
    assert "](plots/ladder." in markdown
    table = re.findall(r"^\| [^-].*", markdown.partition("## How the frameworks are used")[2], re.MULTILINE)
    head, row = ([cell.strip() for cell in line.split("|")] for line in table[:2])
    cells = dict(zip(head, row, strict=True))
    assert (cells["Backend"], cells["Runs"]) == ("torch", "9/9")
    for manner, expected in (("recommended", 1.1 / 0.6), ("expert", 2 / 1.1)):
        found = re.fullmatch(r"([\d.]+) \(([\d.]+)–([\d.]+); faster\)", cells[f"{manner} over the one before"])
        assert found is not None, cells
        ratio, low, high = map(float, found.groups())
        assert low < ratio < high
        assert ratio == pytest.approx(expected, rel=0.1)


def test_chinese(demo: Report, tmp_path: Path) -> None:
    report = build([demo.html.parent], lang="zh", out=tmp_path / "zh")
    seen = page(report)
    assert seen.tags[0] == ("html", {"lang": "zh"})
    assert "深度学习框架对比" in report.html.read_text()
    assert "训练最快" in seen.text["summary"]
    assert demo.html.is_file()
    with pytest.raises(RequestError, match="--lang: unknown language"):
        build([demo.html.parent], lang="xx")


def test_two_sets_show_what_changed(tmp_path: Path) -> None:
    before = write(
        tmp_path / "before", [record(b, repeat=i) for b in ("torch", "keras") for i in range(5)], name="before"
    )
    after = write(
        tmp_path / "after",
        [record("torch", repeat=i) for i in range(5)]
        + [
            one.model_copy(update={"fingerprints": one.fingerprints.model_copy(update={"schedule": "x"})})
            for one in (record("keras", repeat=i, speed=2.0) for i in range(5))
        ],
        name="after",
    )
    report = build([before.path, after.path])
    assert report.html == before.path / "compared" / "after" / "report.html"
    changes = page(report).text["changes"]
    assert "no difference" in changes
    assert "not comparable" in changes
    assert "fingerprints differ: schedule" in changes
    assert {"before", "after"} == set(report.analysis.results.runs["set"])
    assert not (before.path / "report.html").exists(), "the sets themselves are not touched"


def test_a_report_is_made_again_from_records_alone(tmp_path: Path) -> None:
    made = write(tmp_path / "set", study(("torch", "keras"), ("mlp",), rounds=2))
    build([made.path])
    plots = {p.name for p in (made.path / "plots").iterdir()}
    (made.path / "plots" / "loss-of-another-time.svg").write_text("old")
    for name in ("report.html", "report.md"):
        (made.path / name).unlink()
    again = build([made.path])
    assert again.html.is_file()
    assert again.markdown.is_file()
    assert {p.name for p in (made.path / "plots").iterdir()} == plots


def test_a_set_without_runs_has_a_report_that_says_so(tmp_path: Path) -> None:
    empty = ResultSet.create(tmp_path / "set", name="new", study={})
    seen = page(build([empty.path]))
    assert "There is no record of any run here yet." in seen.text["summary"]
    empty.append(fault("crashed"))
    assert "crashed" in page(build([empty.path])).text["failures"]


def test_damaged_records_are_named_in_it(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record()])
    with made.records_file.open("ab") as file:
        file.write(b'{"schema":1,"run_id":"half')
    assert "records.jsonl:2: torn" in page(build([made.path])).text["summary"]


def test_many_failures_are_counted(tmp_path: Path) -> None:
    records = [fault("failed", repeat=i, run_id=f"r{i}", error=RunError(kind="E", message=f"m{i}")) for i in range(40)]
    assert (
        "10 more are in the table of all runs." in page(build([write(tmp_path / "set", records).path])).text["failures"]
    )


@pytest.mark.alone
def test_ten_thousand_records_are_a_report_in_twelve_times_the_parsing_of_json(tmp_path: Path) -> None:
    made = [record(b, m, seed=s, epochs=5) for b in ("torch", "keras", "paddle", "mindspore") for m in ("mlp", "lenet5")
            for s in range(5)]  # fmt: skip
    big = write(tmp_path / "set", [])
    for file, lines in (
        (big.records_file, [one.without_samples().replace(one.run_id, "%s") for one in made]),
        (big.samples_file, [one.samples.model_dump_json().replace(one.run_id, "%s") for one in made]),
    ):
        file.write_text(
            "".join(
                line.replace("%s", f"r{i}-{j}").replace('"round":0', f'"round":{i}') + "\n"
                for i in range(250)
                for j, line in enumerate(lines)
            )
        )

    def make() -> None:
        report = build([big.path])
        assert len(report.analysis.results.runs) == 10_000
        assert report.html.read_text().count("<tr") > 10_000

    costs_at_most(12.0, make, lambda: parse(big))
