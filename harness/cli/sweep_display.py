"""What a person sees of a sweep: a bar for all of it, one for the current run, the table filling in."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from harness.cli.progress import console, sameness, shown
from harness.execution.sweep import Sweep
from harness.planning.estimate import Estimator
from harness.planning.finished import Planned
from harness.planning.study import Study, plans_of
from harness.racing.cases import cases
from harness.running.events import Begun, RunEvent, Sized, Trouble
from harness.worker.reports import Phase
from harness.worker.reports import Progress as Advance
from results.record import Record, Row
from results.store import ResultSet


class SweepDisplay:
    """Live on a terminal, one line per finished run elsewhere. Called with events; ``finished`` with each record."""

    def __init__(self, sweep: Sweep, *, quiet: bool) -> None:
        rows, _ = sweep.results.rows()
        self._rows: list[Row] = list(rows)
        self._quiet = quiet
        self._estimator = Estimator(rows)
        self._left = dict(sweep.remaining())
        self._sizes = {name: len(dataset.train_labels) for name, dataset in sweep.datasets.items()}
        total = len(sweep.plans)
        self._overall = Progress(
            TextColumn("sweep"), BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
        )
        self._all = self._overall.add_task("", total=total, completed=total - len(self._left), note="")
        self._current = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[note]}")
        )
        self._run = self._current.add_task("", total=None, note="")
        self._samples = 0
        self._epochs = 1
        self._live = Live(console=console, refresh_per_second=2, transient=True, get_renderable=self._render)

    def __enter__(self) -> Self:
        if not self._quiet and console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._live.is_started:
            self._live.stop()

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Begun():
                self._epochs = event.plan.recipe.epochs
                self._current.reset(self._run, description=shown(event.run_id), note="", total=None)
                self._tell_time_left()
            case Trouble():
                self._live.console.print(f"[yellow]warning[/] {shown(event.text)}")
            case Phase():
                self._current.update(self._run, note=shown(event.phase))
            case Sized():
                self._samples = event.train_samples
                self._current.update(self._run, total=self._samples * self._epochs)
            case Advance():
                done = (event.epoch - 1) * self._samples + event.samples
                self._current.update(
                    self._run, completed=done, note=f"epoch {event.epoch}/{self._epochs} loss {event.loss:.4f}"
                )

    def finished(self, record: Record) -> None:
        """Take a finished run into the table."""
        self._rows.append(record)
        self._estimator.learn(record)
        if record.attempt == 1:
            self._left.pop(record.run_id, None)
            self._overall.advance(self._all)
        if record.status != "ok" or record.disproved or not (self._quiet or self._live.is_started):
            console.print(_line(record))

    @property
    def _at_once(self) -> int:
        """How many runs are carried out at one time."""
        return 1

    def _tell_time_left(self) -> None:
        self._overall.update(self._all, note=self._time_left())

    def _time_left(self) -> str:
        left = self._left.values()
        if not all(map(self._estimator.known, left)):
            return ""
        seconds = sum(self._estimator.seconds(one, one.limit_train or self._sizes[one.dataset], 0) for one in left)
        return f"about {duration(seconds / self._at_once)} left"

    def _render(self) -> Group:
        return Group(rows_table(self._rows, console.width), self._overall, self._current)


NARROW = 80
"""Columns of a terminal below which the table has what matters first."""


def rows_table(rows: list[Row], width: int) -> Table:
    """Median accuracy and throughput of the runs so far, a line per backend, model and tuning; readable at 50 columns.

    A narrow one leaves out data set (where there is one), count of runs and memory.
    """
    narrow = width < NARROW
    several = len({row.dataset for row in rows}) > 1
    table = Table(box=None, padding=(0, 1, 0, 0)) if narrow else Table()
    names = ("model", "dataset", "backend", "runs", "test accuracy", "samples/s", "peak MiB", "failed")
    left_out = {"runs", "peak MiB", *(() if several else ("dataset",))} if narrow else set()
    for name in names:
        if name not in left_out:
            table.add_column("accuracy" if narrow and name == "test accuracy" else name, overflow="fold")
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        backend = row.backend if row.tuning.manner == "recommended" else f"{row.backend} ({row.tuning.manner})"
        groups.setdefault((row.model, row.dataset, backend), []).append(row)
    for (model, dataset, backend), members in sorted(groups.items()):
        good = [row for row in members if row.status == "ok"]
        cells = [
            _median([row.test_accuracy for row in good], "{:.4f}"),
            _median([row.throughput.train_samples_per_second for row in good], "{:,.0f}"),
            _median([row.memory.peak_rss_mb for row in good], "{:,.0f}"),
        ]
        failed = [row.status for row in members if row.status != "ok"]
        texts = (shown(model), shown(dataset), shown(backend), str(len(good)), *cells, ", ".join(sorted(set(failed))))
        table.add_row(*(text for name, text in zip(names, texts, strict=True) if name not in left_out))
    return table


def print_plan(study: Study, plans: list[Planned], place: Path) -> None:
    """The runs and an estimate of their time on stdout."""
    from harness.cli.tables import stdout_console
    from harness.datasets import load_dataset

    rows: list[Row] = []
    for folder in (place, place.parent):
        if (folder / "set.json").exists():
            rows += ResultSet.open(folder).rows()[0]
    estimator = Estimator(rows)
    sizes = {name: load_dataset(name, study.data_dir) for name in study.datasets}
    table = Table("#", "round", "run", "epochs", "estimate")
    total = 0.0
    for number, (run_id, plan) in enumerate(plans, start=1):
        data = sizes[plan.dataset]
        seconds = estimator.seconds(
            plan, plan.limit_train or len(data.train_labels), plan.limit_test or len(data.test_labels)
        )
        total += seconds
        mark = "" if estimator.known(plan) else " (from FLOPs)"
        table.add_row(
            str(number), str(plan.round + 1), shown(run_id), str(plan.recipe.epochs), duration(seconds) + mark
        )
    out = stdout_console()
    out.print(table)
    raced = len(cases(plan for _, plan in plans_of(study))) if study.race else 0
    races = f", then races ({raced}) of {duration(study.budget)} of turns at most" if raced else ""
    out.print(f"{len(plans)} runs, about {duration(total)}{races}; records would go to {shown(str(place))}")


def duration(seconds: float) -> str:
    """Seconds as people say it: 12 s, 3 min, 1 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _median(values: list[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return form.format(median(known)) if known else ""


def _line(record: Record) -> str:
    if record.status == "ok":
        rate = record.throughput.train_samples_per_second
        speed = f"  {rate:,.0f} samples/s" if rate else ""
        wrong = f"  [red]{shown(sameness(record.proof))}[/]" if record.proof and record.disproved else ""
        return f"{shown(record.run_id)}: test accuracy {record.test_accuracy:.4f}{speed}{wrong}"
    message = record.error.message.splitlines()[0] if record.error and record.error.message else ""
    return f"{shown(record.run_id)}: [red]{record.status}[/] {shown(message[:200])}"
