"""The ladder of each framework in one picture: default, recommended and expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from backends.registry import MANNERS
from results.columns import rung
from results.formatting import cell
from results.ladder import RATE, Ladder, ladders
from results.palette import look
from results.plots.style import FAINT, INK, PAPER, panels, short
from results.statistics import Verdict, estimate
from results.summary import Case

if TYPE_CHECKING:
    from results.findings import Analysis

_MARKERS = ("o", "s", "D")


def ladder(analysis: Analysis, cases: Sequence[Case]) -> Figure | None:
    """Training rates per backend, a marker per manner with its 95 % interval, and what each brought over the last."""
    chosen = [(case, found) for case in cases if (found := list(ladders(case)))]
    if not chosen:
        return None
    figure, axes = panels([1.0 + 0.55 * len(found) for _, found in chosen], columns=1)
    for (case, found), ax in zip(chosen, axes, strict=True):
        for place, one in enumerate(found):
            _climb(ax, place, one)
        names = [short(one.backend if len({o.version for o in found if o.backend == one.backend}) == 1
                       else f"{one.backend} {one.version}") for one in found]  # fmt: skip
        ax.set_yticks(range(len(found)), names)
        ax.set_ylim(len(found) - 0.4, -0.6)
        ax.set(xlabel="samples/s in training", title=short(analysis.labels.case(case.key), 60))
        ax.set_xlim(0, 1.12 * ax.dataLim.x1)
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    handles = [
        Line2D([], [], ls="", marker=marker, color=INK, mfc=_filling(number, INK), label=manner)
        for number, (manner, marker) in enumerate(zip(MANNERS, _MARKERS, strict=True))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _climb(ax: Axes, place: int, one: Ladder) -> None:
    colour = look(one.backend).colour
    middles = []
    for subject in one.rungs:
        number = rung(subject.key.tuning)
        found = estimate(subject.ok[RATE].dropna().tolist())
        if found is None:
            continue
        middles.append(found.median)
        if found.low is not None and found.high is not None and not found.disturbed:
            reach = [[found.median - found.low], [found.high - found.median]]
            ax.errorbar(found.median, place, xerr=reach, color=INK, lw=1.1, capsize=3, zorder=2)
        ax.plot(found.median, place, _MARKERS[number], color=colour, mfc=_filling(number, colour), ms=7, zorder=3)
    ax.plot(middles, [place] * len(middles), color=FAINT, lw=3, zorder=1, solid_capstyle="round")
    for lower, higher, ratio in one.steps():
        if ratio.estimate is not None and ratio.verdict in (Verdict.FASTER, Verdict.SLOWER):
            ends = [float(subject.ok[RATE].median()) for subject in (lower, higher)]
            ax.annotate(f"×{cell('ratio', ratio.estimate.median)}", (sum(ends) / 2, place), xytext=(0, 8),
                        textcoords="offset points", ha="center", fontsize=8)  # fmt: skip


def _filling(number: int, colour: str) -> str:
    return PAPER if number == 0 else colour
