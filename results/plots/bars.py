"""Throughput, memory and phases: a panel per case, a bar per subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from results.formatting import cell
from results.plots.style import INK, PAPER, panels, short
from results.statistics import Estimate, estimate
from results.summary import Case, Subject

if TYPE_CHECKING:
    from results.findings import Analysis

LONG_NAME = 14
"""Names longer than this leave no room for two panels side by side."""

# Light to dark of one hue: phases are parts of one whole, and backends own the other colours.
_PHASES = {
    "import_s": ("import", "#c6dbef"),
    "build_s": ("build", "#9ecae1"),
    "first_step_s": ("first step", "#fdae6b"),
    "train_s": ("training", "#3182bd"),
    "eval_s": ("evaluation", "#08519c"),
}


def throughput(analysis: Analysis, cases: Sequence[Case]) -> Figure | None:
    """Training samples per second: medians with their 95 % intervals, every run a dot."""
    column = "train_samples_per_second"
    chosen = [(case, _having(case, column)) for case in cases]
    chosen = [(case, subjects) for case, subjects in chosen if subjects]
    if not chosen:
        return None
    figure, axes = _figure(analysis, chosen)
    for (case, subjects), ax in zip(chosen, axes, strict=True):
        for place, subject in enumerate(subjects):
            rates = subject.ok[column].dropna()
            found = estimate(rates.tolist())
            if found is None:
                continue
            look = analysis.labels.look(subject.key)
            ax.barh(place, found.median, height=0.68, color=look.colour, hatch=look.hatch, edgecolor=PAPER, lw=0)
            _interval(ax, place, found)
            if len(rates) > 1:
                ax.plot(rates, np.full(len(rates), place), "o", ms=2.5, mfc=PAPER, mec=INK, mew=0.6)
            _value(ax, place, max(_end(found), rates.max()), _said(column, found))
        _finish(analysis, ax, case, subjects, "samples/s in training")
    return figure


def memory(analysis: Analysis, cases: Sequence[Case]) -> Figure | None:
    """Peak resident memory, split into what importing the framework takes and what training adds."""
    chosen = [(case, _having(case, "peak_rss_mb")) for case in cases]
    chosen = [(case, subjects) for case, subjects in chosen if subjects]
    if not chosen:
        return None
    figure, axes = _figure(analysis, chosen)
    for (case, subjects), ax in zip(chosen, axes, strict=True):
        for place, subject in enumerate(subjects):
            peaks = subject.ok["peak_rss_mb"].dropna()
            found = estimate(peaks.tolist())
            if found is None:
                continue
            look = analysis.labels.look(subject.key)
            imported = _median(subject, "after_import_rss_mb") or 0.0
            ax.barh(place, imported, height=0.68, color=look.colour, alpha=0.45, lw=0)
            ax.barh(place, found.median - imported, left=imported, height=0.68, color=look.colour, hatch=look.hatch,
                    edgecolor=PAPER, lw=0)  # fmt: skip
            _interval(ax, place, found)
            _value(ax, place, _end(found), _said("peak_rss_mb", found))
        _finish(analysis, ax, case, subjects, "peak memory (MiB)")
    _legend(figure, {"after import": "#bbbbbb", "added by building and training": "#666666"})
    return figure


def phases(analysis: Analysis, cases: Sequence[Case]) -> Figure | None:
    """Where a run's seconds go: medians of each phase, stacked."""
    chosen = [(case, _having(case, *_PHASES)) for case in cases]
    chosen = [(case, subjects) for case, subjects in chosen if subjects]
    if not chosen:
        return None
    figure, axes = _figure(analysis, chosen)
    for (case, subjects), ax in zip(chosen, axes, strict=True):
        for place, subject in enumerate(subjects):
            left = 0.0
            for column, (_, colour) in _PHASES.items():
                seconds = _median(subject, column) or 0.0
                ax.barh(place, seconds, left=left, height=0.68, color=colour, lw=0)
                left += seconds
            _value(ax, place, left, cell("total_s", left))
        _finish(analysis, ax, case, subjects, "time per run (s)")
    _legend(figure, dict(_PHASES.values()))
    return figure


def _having(case: Case, *columns: str) -> list[Subject]:
    return [subject for subject in case.subjects if subject.ok[list(columns)].notna().any(axis=None)]


def _figure(analysis: Analysis, chosen: Sequence[tuple[Case, list[Subject]]]) -> tuple[Figure, list[Axes]]:
    longest = max(len(analysis.labels.subject(subject.key)) for _, subjects in chosen for subject in subjects)
    columns = 2 if longest <= LONG_NAME else 1
    return panels([0.95 + 0.3 * len(subjects) for _, subjects in chosen], columns=columns)


def _median(subject: Subject, column: str) -> float | None:
    values = subject.ok[column].dropna()
    return float(values.median()) if len(values) else None


def _interval(ax: Axes, place: int, found: Estimate) -> None:
    if found.low is not None and found.high is not None and not found.disturbed:
        reach = [[found.median - found.low], [found.high - found.median]]
        ax.errorbar(found.median, place, xerr=reach, color=INK, lw=1.2, capsize=3)


def _end(found: Estimate) -> float:
    """Where the interval ends, or the bar where none is drawn."""
    return found.median if found.high is None or found.disturbed else found.high


def _said(column: str, found: Estimate) -> str:
    return cell(column, found.median) + (", too disturbed to tell" if found.disturbed else "")


def _value(ax: Axes, place: int, end: float, text: str) -> None:
    ax.annotate(text, (end, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)


def _finish(analysis: Analysis, ax: Axes, case: Case, subjects: Sequence[Subject], xlabel: str) -> None:
    ax.set_yticks(range(len(subjects)), [short(analysis.labels.subject(s.key)) for s in subjects])
    ax.set(xlabel=xlabel, title=short(analysis.labels.case(case.key), 36))
    ax.set_ylim(len(subjects) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, 1.3 * ax.dataLim.x1)  # room for the values beside the longest
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _legend(figure: Figure, entries: dict[str, str]) -> None:
    patches = [Patch(color=colour, label=name) for name, colour in entries.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
