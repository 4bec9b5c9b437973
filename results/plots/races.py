"""The races by turns: how many times as fast as the baseline each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from results.bounds import bounds
from results.formatting import cell
from results.palette import look
from results.plots.style import INK, panels, short
from results.race import Race
from results.summary import Case
from results.words import Words

if TYPE_CHECKING:
    from results.findings import Analysis


def race(analysis: Analysis, cases: Sequence[Case]) -> Figure | None:
    """Ratios to the baseline with their 95 % intervals, fastest first, on a scale where twice and half look alike."""
    chosen = [(case, found) for case in cases if (found := analysis.races.get(case.key)) and found.ranked]
    if not chosen:
        return None
    figure, axes = panels([0.95 + 0.3 * len(found.ranked) for _, found in chosen], columns=1)
    for (case, found), ax in zip(chosen, axes, strict=True):
        _ranks(analysis, ax, found)
        base = analysis.labels.subject(found.racers[found.baseline].key)
        ax.set(xlabel=f"times as fast as {short(base)}", title=short(analysis.labels.case(case.key), 60))
    return figure


def _ranks(analysis: Analysis, ax: Axes, found: Race) -> None:
    base = found.racers[found.baseline]
    ax.axvline(1.0, color=INK, lw=0.8, ls=":")
    ends = [1.0]
    for place, racer in enumerate(found.ranked):
        own = look(racer.backend)
        size = None if racer is base else found.ratio(racer).estimate
        if size is None or size.low is None or size.high is None:
            ax.plot(1.0, place, own.marker, color=own.colour, ms=7)
            continue
        low, high = (size.median, size.median) if size.disturbed else (size.low, size.high)
        if not size.disturbed:
            reach = [[size.median - low], [high - size.median]]
            ax.errorbar(size.median, place, xerr=reach, color=INK, lw=1.2, capsize=3, zorder=2)
        ax.plot(size.median, place, own.marker, color=own.colour, ms=7, zorder=3)
        text = f"{cell('ratio', size.median)} ({bounds(size, Words())})"
        ax.annotate(text, (high, place), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8.5)
        ends += [low, high]
    ax.set_yticks(range(len(found.ranked)), [short(analysis.labels.subject(racer.key)) for racer in found.ranked])
    ax.set_ylim(len(found.ranked) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.set_xlim(min(ends) / 1.15, max(ends) * (max(ends) / min(ends)) ** 0.35 * 1.15)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
