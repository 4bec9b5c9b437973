"""The tables of the report: what stands in which cell. Rendering and escaping are the templates' business."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pandas as pd

from backends.registry import MANNERS, Manner
from results.columns import CASE, FINGERPRINTS, CaseKey, SubjectKey
from results.comparison import compare
from results.findings import Analysis
from results.formatting import ABSENT, cell, interval, is_absent, moment, plain, unit
from results.ladder import RATE, ladders
from results.palette import in_order
from results.statistics import Estimate, Ratio, estimate


@dataclass(slots=True)
class Cell:
    """What a cell shows: ``text`` and below it, small, ``detail``.

    ``sort`` is the number to sort by, None to sort by the text. ``css`` holds CSS classes, its own ("verdict-faster")
    and those of its column. ``under`` is shown below it on the page, where it stands for a column of its own.
    """

    text: str
    detail: str = ""
    sort: float | None = None
    css: str = ""
    colour: str = ""
    code: bool = False
    under: str = ""


@dataclass(frozen=True)
class PageColumn:
    """A heading and how a row (of whatever the table is made from) fills the column.

    ``css`` holds the CSS classes of its cells: "number", "screen-only". One that is not ``on_page`` is in the texts
    alone.
    """

    title: str
    fill: Callable[[Mapping[str, Any]], Cell]
    unit: str = ""
    css: str = ""
    code: bool = False
    on_page: bool = True

    @property
    def numeric(self) -> bool:
        """Whether it is set to the right."""
        return "number" in self.css

    def cell(self, row: Mapping[str, Any]) -> Cell:
        """The cell of a row, with what its column says of it."""
        filled = self.fill(row)
        if self.css or self.code:
            filled.css, filled.code = f"{self.css} {filled.css}".strip(), self.code
        return filled


@dataclass(frozen=True)
class Table:
    """A table under a heading of the report; ``name`` is its anchor, and names its words.

    ``keys`` are the case and subject of each row, for the links of the summary; empty where they have none.
    """

    name: str
    about: str
    columns: tuple[PageColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    keys: tuple[tuple[CaseKey, SubjectKey], ...] = ()

    @property
    def page_columns(self) -> list[PageColumn]:
        """The columns that the page has."""
        return [column for column in self.columns if column.on_page]

    @property
    def page_rows(self) -> list[Sequence[Cell]]:
        """The rows as the page has them."""
        shown = [number for number, column in enumerate(self.columns) if column.on_page]
        return list(self.rows) if len(shown) == len(self.columns) else [[row[i] for i in shown] for row in self.rows]

    @classmethod
    def of(
        cls,
        name: str,
        about: str,
        columns: Iterable[PageColumn],
        source: Iterable[Mapping[str, Any]],
        *,
        keyed: bool = False,
    ) -> Table:
        """The table of a source's rows, without the columns that hold nothing in any row.

        ``keyed``: each row is about a case and a subject.
        """
        columns, source = list(columns), list(source)
        rows = [[column.cell(row) for column in columns] for row in source]
        kept = [i for i in range(len(columns)) if any(row[i].text not in ("", ABSENT) for row in rows)]
        return cls(
            name, about, tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows),
            tuple((_case_key(row), _subject_key(row)) for row in source) if keyed else (),
        )  # fmt: skip


def summary(analysis: Analysis) -> Table:
    """The chief figures alone, for the terminal."""
    columns = [
        *_who(analysis),
        *(figure_column(analysis, name) for name in ("test_accuracy", "train_samples_per_second")),
        *_unraced(analysis),
        figure_column(analysis, "peak_rss_mb"),
        _time_to_highest(analysis),
    ]
    return Table.of("summary", analysis.words("about_terminal"), columns, _summary(analysis))


def speed(analysis: Analysis) -> Table:
    """Throughput, ratio to the baseline and step times per case and subject."""
    figures = (
        "inference_samples_per_second", "inference_ratio", "step_p50_ms", "step_p90_ms", "step_p99_ms", "gflops",
        "share_of_peak",
    )  # fmt: skip
    columns = [
        *_who(
            analysis,
            *_unraced(analysis),
            figure_column(analysis, "train_samples_per_second"),
        ),
        *(figure_column(analysis, name) for name in figures),
    ]
    about = analysis.words("about_speed", baseline=plain(analysis.baseline or ""))
    return Table.of("speed", about, columns, _summary(analysis), keyed=True)


def _unraced(analysis: Analysis) -> list[PageColumn]:
    """Ratio and verdict of the training runs, of the cases that no race ranks: it alone tells speeds of the others."""
    raced = {part.key for key, race in analysis.races.items() if race.ranked for part in analysis.machines_of(key)}

    def unraced(column: PageColumn) -> PageColumn:
        return replace(column, fill=lambda row: Cell(ABSENT) if _case_key(row) in raced else column.fill(row))

    verdict = PageColumn(analysis.words("column_train_verdict"), lambda row: _verdict(analysis, row, "train_"))
    return [unraced(figure_column(analysis, "train_ratio")), unraced(verdict)]


def ladder(analysis: Analysis) -> Table:
    """Per case and backend the rate in each manner, and how many times as fast each is as the one below it."""
    words = analysis.words

    def rows() -> Iterable[Mapping[str, Any]]:
        for one in (one for case in analysis.measured for one in ladders(case)):
            row: dict[str, Any] = one.case.key._asdict() | one.rungs[0].key._asdict() | {"ladder": one}
            row["ok"], row["runs"] = (sum(len(part) for part in parts) for parts in (
                [s.ok for s in one.rungs], [s.runs for s in one.rungs]))  # fmt: skip
            row["noisy"] = sum(subject.noisy for subject in one.rungs)
            row["steps"] = {higher.key.tuning: found for _, higher, found in one.steps()}
            yield row

    def rate(manner: Manner) -> PageColumn:
        def fill(row: Mapping[str, Any]) -> Cell:
            subject = row["ladder"].subject(manner)
            found = None if subject is None else estimate(subject.ok[RATE].dropna().tolist())
            return Cell(ABSENT) if found is None else _estimated(analysis, RATE, found)

        return PageColumn(words(f"tuning_{manner}"), fill, unit=unit(RATE).name, css="number")

    def step(manner: Manner) -> PageColumn:
        def fill(row: Mapping[str, Any]) -> Cell:
            return ratio_cell(analysis, row["steps"].get(manner))

        return PageColumn(words("column_step_up", manner=words(f"tuning_{manner}")), fill, css="number")

    columns = [
        *_who(
            analysis, *(column for manner in MANNERS for column in (rate(manner), step(manner))), backend=_backend_alone
        ),
    ]
    return Table.of("ladder", words("about_ladder"), columns, rows(), keyed=True)


def accuracy(analysis: Analysis) -> Table:
    """Accuracy and what goes with it, and the time to each target, per case and subject."""

    def equal(row: Mapping[str, Any]) -> Cell:
        value, seeds = row["accuracy_equivalent"], row["accuracy_seeds"]
        if is_absent(value):
            return Cell(analysis.words("untested"), analysis.words(f"seeds_{seeds}")) if seeds else Cell(ABSENT)
        return Cell(analysis.words("yes" if value else "unsure"), css="good" if value else "")

    columns = [
        *_who(
            analysis,
            figure_column(analysis, "test_accuracy"),
            PageColumn(analysis.words("column_accuracy_equivalent"), equal),
            figure_column(analysis, "accuracy_difference"),
        ),
        *(figure_column(analysis, name) for name in ("macro_precision", "macro_recall", "macro_f1", "test_loss")),
        *(
            _time_to(analysis, name.removeprefix("reached_"))
            for name in analysis.results.runs.columns
            if name.startswith("reached_")
        ),
    ]
    about = analysis.words("about_accuracy", baseline=plain(analysis.baseline or ""))
    return Table.of("accuracy", about, columns, _summary(analysis), keyed=True)


def resources(analysis: Analysis) -> Table:
    """Seconds per phase, memory, parameters and threads per case and subject."""
    figures = (
        "import_s", "build_s", "first_step_s", "train_s", "eval_s", "after_import_rss_mb", "device_peak_mb",
        "parameters", "busy_threads", "wanted_threads",
    )  # fmt: skip
    first = (figure_column(analysis, name) for name in ("peak_rss_mb", "total_s"))
    columns = [*_who(analysis, *first), *(figure_column(analysis, name) for name in figures)]
    return Table.of("resources", analysis.words("about_resources"), columns, _summary(analysis), keyed=True)


def runs(analysis: Analysis) -> Table:
    """Every run."""
    words = analysis.words

    def status(row: Mapping[str, Any]) -> Cell:
        message = "" if is_absent(row["error_message"]) else plain(row["error_message"], 160)
        return Cell(words(f"status_{row['status']}"), message, css=f"status-{row['status']}")

    def notes(row: Mapping[str, Any]) -> Cell:
        said = [] if row["current"] else [words("attempt_repeated")]
        if not is_absent(row["noisy"]) and row["noisy"]:
            said.append(words("noisy"))
        return Cell(words.join(said), css="noisy" if said else "")

    figures = ("test_accuracy", "train_samples_per_second", "first_step_s", "total_s", "peak_rss_mb")
    columns = [
        PageColumn(words("column_run_id"), lambda row: Cell(plain(row["run_id"])), code=True),
        PageColumn(words("column_case"), lambda row: Cell(_case(analysis, row))),
        PageColumn(words("column_backend"), lambda row: backend_cell(analysis, row)),
        figure_column(analysis, "seed"),
        figure_column(analysis, "round"),
        PageColumn(words("column_status"), status),
        PageColumn(words("column_notes"), notes),
        *(figure_column(analysis, name) for name in figures),
        PageColumn(
            words("column_command"), lambda row: Cell(_or_absent(row["command"], 1000)), code=True, css="screen-only"
        ),
    ]
    return Table.of("runs", words("about_runs"), columns, _records(analysis.results.runs))


def changes(analysis: Analysis) -> Table | None:
    """What changed from the first of two sets to the second; None unless there are two."""
    if len(analysis.results.sets) != 2:
        return None
    words = analysis.words
    several = analysis.results.runs["tuning"].nunique() > 1

    def disturbed(row: Mapping[str, Any]) -> Cell:
        count = row["noisy_before"] + row["noisy_after"]
        return Cell(words("noisy_count", count=count) if count else "", css="noisy" if count else "")

    columns = [
        PageColumn(words("column_case"), lambda row: Cell(_case(analysis, row)), on_page=False),
        PageColumn(
            words("column_backend"), lambda row: replace(_backend_alone(analysis, row), under=_case(analysis, row))
        ),
        *([PageColumn(words("manner"), lambda row: Cell(words(f"tuning_{row['tuning']}")))] if several else []),
        figure_column(analysis, "ratio"),
        PageColumn(words("column_verdict"), lambda row: _verdict(analysis, row, "")),
        figure_column(analysis, "train_samples_per_second_before"),
        figure_column(analysis, "train_samples_per_second_after"),
        PageColumn(words("column_notes"), disturbed),
        text_column(analysis, "version_before"),
        text_column(analysis, "version_after"),
        figure_column(analysis, "accuracy_before"),
        figure_column(analysis, "accuracy_after"),
    ]
    before, after = (plain(name) for name in analysis.results.names)
    about = words("about_changes", before=before, after=after)
    return Table.of("changes", about, columns, _records(compare(analysis.results)))


def conformance(analysis: Analysis) -> Table:
    """What the conformance suite says of each backend that ran."""
    words = analysis.words

    def rows() -> Iterable[Mapping[str, Any]]:
        for key in analysis.subjects:
            status = analysis.conformance(key)
            if status is None:
                others = [other for backend, other in analysis.standings if backend == key.backend]
                yield key._asdict() | {"verdict": "unchecked", "other": others[0].framework_version if others else ""}
                continue
            verdict = "failed" if status.failures else "passed"
            yield {**key._asdict(), "verdict": verdict, "failures": status.failures, "failed": len(status.failures),
                   **status.model_dump(include={"framework_version", "checked_at", "passed", "unsupported"}),
                   }  # fmt: skip

    def verdict(row: Mapping[str, Any]) -> Cell:
        detail = "; ".join(plain(name, 120) for name in row.get("failures", ())[:3])
        if row.get("other"):
            detail = words("conformance_other_version", version=plain(row["other"]))
        kinds = {"passed": "good", "failed": "status-failed", "unchecked": ""}
        return Cell(words(f"conformance_{row['verdict']}"), detail, css=kinds[row["verdict"]])

    columns = [
        PageColumn(words("column_backend"), lambda row: backend_cell(analysis, row)),
        text_column(analysis, "framework_version"),
        PageColumn(words("column_status"), verdict),
        *(figure_column(analysis, name) for name in ("passed", "failed", "unsupported")),
        PageColumn(words("column_checked_at"), lambda row: Cell(moment(row.get("checked_at", "")))),
    ]
    return Table.of("conformance", words("about_conformance"), columns, rows())


def fingerprints(analysis: Analysis) -> Table:
    """What each case's runs were given, per seed, and who got it."""
    words = analysis.words
    known = analysis.results.runs.dropna(subset=list(FINGERPRINTS), how="all")
    keys = [*(name for name in CASE if name != "machine"), "seed", *FINGERPRINTS]
    rows = [
        dict(zip(keys, key, strict=True)) | {"backends": in_order(group["backend"])}
        for key, group in known.groupby(keys, sort=False, dropna=False)
    ]

    def part(column: str) -> PageColumn:
        title = words(f"input_{column.removeprefix('fingerprint_')}")
        return PageColumn(title, lambda row: Cell(_or_absent(row[column], 12).removesuffix("…")), code=True)

    columns = [
        PageColumn(words("column_case"), lambda row: Cell(_case(analysis, row))),
        figure_column(analysis, "seed"),
        *(part(column) for column in FINGERPRINTS),
        PageColumn(words("column_backend"), lambda row: Cell(words.join([plain(name) for name in row["backends"]]))),
    ]
    return Table.of("fingerprints", words("about_fingerprints"), columns, rows)


def _summary(analysis: Analysis) -> list[dict[str, Any]]:
    return _records(analysis.summary)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", table.to_dict("records"))


def _estimated(analysis: Analysis, name: str, found: Estimate, *, told: bool | None = None) -> Cell:
    wild = found.disturbed if told is None else not told
    row = {f"{name}_low": found.low, f"{name}_high": found.high, "too_disturbed": name if wild else ""}
    return Cell(cell(name, found.median), _detail(analysis, name, row), sort=found.median)


def ratio_cell(analysis: Analysis, found: Ratio | None) -> Cell:
    """A ratio, below it its interval and the verdict."""
    if found is None or found.estimate is None:
        return Cell(ABSENT)
    made = _estimated(analysis, "ratio", found.estimate, told=found.reason != "disturbed")
    said = analysis.words(f"verdict_{found.verdict}")
    return replace(made, detail=f"{made.detail}; {said}" if made.detail else said, css=_css(found.verdict))


def _css(verdict: str) -> str:
    return f"verdict-{verdict.replace(' ', '-')}"


def _who(
    analysis: Analysis, *middle: PageColumn, backend: Callable[[Analysis, Mapping[str, Any]], Cell] | None = None
) -> list[PageColumn]:
    """Case, backend, what matters most, and how many runs went well and were disturbed."""
    words = analysis.words

    def counts(row: Mapping[str, Any]) -> Cell:
        css = ["status-failed"] if row["ok"] < row["runs"] else []
        css += ["noisy"] if row["noisy"] else []
        noisy = words("noisy_count", count=row["noisy"]) if row["noisy"] else ""
        return Cell(f"{row['ok']}/{row['runs']}", noisy, sort=row["ok"], css=" ".join(css))

    def who(row: Mapping[str, Any]) -> Cell:
        return replace((backend or backend_cell)(analysis, row), under=_case(analysis, row))

    return [
        PageColumn(words("column_case"), lambda row: Cell(_case(analysis, row)), on_page=False),
        PageColumn(words("column_backend"), who),
        *middle,
        PageColumn(words("column_runs"), counts, css="number"),
    ]


def figure_column(analysis: Analysis, name: str) -> PageColumn:
    def fill(row: Mapping[str, Any]) -> Cell:
        value = row.get(name)
        if is_absent(value):
            return Cell(ABSENT)
        return Cell(cell(name, value), _detail(analysis, name, row), sort=_number(value))

    unit_name = unit(name).name
    return PageColumn(analysis.words(f"column_{name}"), fill, unit="" if unit_name == "×" else unit_name, css="number")


def _detail(analysis: Analysis, name: str, row: Mapping[str, Any]) -> str:
    """The interval of a figure; empty where it is narrower than the digits shown, words where it tells nothing."""
    if f"{name}_low" not in row:
        return ""
    if name in row.get("too_disturbed", "").split():
        return analysis.words("disturbed")
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if is_absent(low) or cell(name, low) == cell(name, high) else interval(name, low, high)


def text_column(analysis: Analysis, name: str) -> PageColumn:
    return PageColumn(analysis.words(f"column_{name}"), lambda row: Cell(_or_absent(row.get(name))))


def _time_to(analysis: Analysis, target: str) -> PageColumn:
    words = analysis.words

    def fill(row: Mapping[str, Any]) -> Cell:
        reached, ok = row.get(f"reached_{target}"), row["ok"]
        if not ok or is_absent(reached):
            return Cell(ABSENT)
        if not reached:
            return Cell(words("not_reached"), sort=math.inf)
        value = row[f"time_to_{target}_s"]
        some = words("reached_some", reached=reached, runs=ok) if reached < ok else ""
        bounds = _detail(analysis, f"time_to_{target}_s", row)
        return Cell(cell("s", value), some or bounds, sort=_number(value))

    return PageColumn(words("column_time_to", target=_percent(target)), fill, unit="s", css="number")


def _time_to_highest(analysis: Analysis) -> PageColumn:
    """Of each case the highest of the accuracies that any subject reached, and when each of them did."""
    highest: dict[tuple[Any, ...], str] = {}
    for row in _summary(analysis):
        reached = [name.removeprefix("reached_") for name in row if name.startswith("reached_") and row[name] > 0]
        best = [*reached, *filter(None, [highest.get(_case_key(row))])]
        highest.update({_case_key(row): max(best, key=float)} if best else {})

    def fill(row: Mapping[str, Any]) -> Cell:
        if (target := highest.get(_case_key(row))) is None:
            return Cell(ABSENT)
        made = _time_to(analysis, target).fill(row)
        return (
            made
            if made.text == ABSENT
            else replace(made, detail="; ".join(filter(None, (_percent(target), made.detail))))
        )

    return PageColumn(analysis.words("column_time_to_highest"), fill, unit="s", css="number")


def _percent(target: str) -> str:
    return f"{cell('accuracy', float(target)).removesuffix('.00')} %"


def _verdict(analysis: Analysis, row: Mapping[str, Any], prefix: str) -> Cell:
    said = row[f"{prefix}verdict"]
    reason = analysis.words.reason(row[f"{prefix}reason"])
    return Cell(analysis.words(f"verdict_{said}"), reason, css=_css(said))


def _case_key(row: Mapping[str, Any]) -> CaseKey:
    return CaseKey(*(row.get(name, "") for name in CaseKey._fields))


def _subject_key(row: Mapping[str, Any]) -> SubjectKey:
    return SubjectKey(*(row[name] for name in SubjectKey._fields))


def _case(analysis: Analysis, row: Mapping[str, Any]) -> str:
    return analysis.labels.case(_case_key(row))


def backend_cell(analysis: Analysis, row: Mapping[str, Any]) -> Cell:
    key = _subject_key(row)
    return Cell(analysis.labels.subject(key), colour=analysis.labels.look(key).colour)


def _backend_alone(analysis: Analysis, row: Mapping[str, Any]) -> Cell:
    return Cell(analysis.labels.framework(row["backend"], row.get("version", "")), colour=_colour(row["backend"]))


def _colour(backend: str) -> str:
    from results.palette import look

    return look(backend).colour


def _or_absent(value: Any, limit: int = 200) -> str:
    return ABSENT if is_absent(value) or value == "" else plain(str(value), limit)


def _number(value: Any) -> float | None:
    return None if isinstance(value, str) or pd.isna(value) else float(value)
