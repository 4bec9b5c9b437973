"""docs/race.svg: every turn of a real race, and how the ratios come near.

    python -m tests.benchmarks.race_picture

The kept record of a race has no turns that were disturbed and no times, so the picture is drawn from a race of its own.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from harness.datasets import load_dataset
from harness.planning.study import Study, plans_of
from harness.racing.plans import arrays, before_the_start
from harness.racing.race import Course, Entrant, Rules, taken_by_others
from harness.racing.workers import Workers
from harness.worker.reports import Turn
from results.palette import look
from results.plots.style import INK, log_ticks, panels, styled
from results.race import Race
from specs.program import CODE

PICTURE = CODE / "docs" / "race.svg"


@dataclass
class Diary:
    """What happened when, in seconds since the start: turns by the racer's place, openings, and standings."""

    begun: float = field(default_factory=time.monotonic)
    turns: list[tuple[float, int, float, bool]] = field(default_factory=list)  # when, who, samples/s, whether it counts
    openings: list[float] = field(default_factory=list)
    standings: list[tuple[float, Race]] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.begun

    def heard(self, race: Race) -> None:
        self.standings.append((self.now(), race))


class Noted:
    """An entrant whose turns are written down."""

    def __init__(self, entrant: Entrant, place: int, diary: Diary, share: float) -> None:
        self._entrant, self._place, self._diary, self._share = entrant, place, diary, share

    def turn(self, seconds: float) -> Turn:
        turn = self._entrant.turn(seconds)
        counts = (taken_by_others(turn.disturbance) or 0.0) <= self._share
        self._diary.turns.append((self._diary.now(), self._place, turn.samples / turn.seconds, counts))
        return turn


@dataclass
class NotedWorkers:
    """Workers whose turns are written down."""

    workers: Workers
    diary: Diary
    share: float

    def opening(self, course: Course) -> Generator[tuple[Mapping[int, Entrant], float]]:
        for group, part in self.workers.opening(course):
            self.diary.openings.append(self.diary.now())
            yield {place: Noted(entrant, place, self.diary, self.share) for place, entrant in group.items()}, part


def raced() -> tuple[Race, Diary]:
    """A race of four frameworks on lenet5 and digits."""
    names = ("torch", "keras", "paddle", "mindspore")
    study = Study(name="picture", backends=names, models=("lenet5",), datasets=("digits",), repeats=1)
    plans, dataset = [plan for _, plan in plans_of(study)], load_dataset("digits", None)
    rules = Rules()
    start = before_the_start(plans, dataset, rules, baseline="torch")
    with arrays(plans[0], dataset) as (data, inputs):
        course, diary = Course(start, rules), Diary()
        course.race(NotedWorkers(Workers(plans, start.baseline, data, inputs, {}), diary, rules.share), diary.heard)
    return course.standing, diary


def drawn(race: Race, diary: Diary) -> Figure:
    """Turns above, ratios below, over the same seconds."""
    figure, (above, below) = panels([2.6, 2.4], columns=1)
    below.sharex(above)
    for ax in (above, below):
        for moment in diary.openings:
            ax.axvline(moment, color=INK, lw=0.8, ls=":")
        ax.set_yscale("log")
    _turns(above, race, diary)
    _ratios(below, race, diary)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _turns(ax: Axes, race: Race, diary: Diary) -> None:
    for place, racer in enumerate(race.racers):
        own = look(racer.backend)
        quiet = [(at, rate) for at, who, rate, counts in diary.turns if who == place and counts]
        if quiet:
            ax.plot(*zip(*quiet, strict=True), own.marker, color=own.colour, ms=4, label=racer.backend)
        disturbed = [(at, rate) for at, who, rate, counts in diary.turns if who == place and not counts]
        if disturbed:
            ax.plot(*zip(*disturbed, strict=True), "x", color=own.colour, alpha=0.5, ms=4, zorder=0)
    ax.plot([], [], "x", color=INK, ms=4, label="disturbed")
    ax.set(title="Turns: samples/s; dotted lines are openings")
    ax.tick_params(labelbottom=False)
    log_ticks(ax.yaxis)


def _ratios(ax: Axes, race: Race, diary: Diary) -> None:
    base = race.racers[race.baseline]
    ax.axhline(1.0, color=look(base.backend).colour, lw=1)
    for place, racer in enumerate(race.racers):
        if place == race.baseline:
            continue
        sizes = [(at, size) for at, one in diary.standings if (size := one.ratio(one.racers[place]).estimate)]
        own = look(racer.backend)
        ax.plot([at for at, _ in sizes], [size.median for _, size in sizes], color=own.colour)
        known = [(at, size.low, size.high) for at, size in sizes if size.low and size.high]
        if known:
            ax.fill_between(*zip(*known, strict=True), color=own.colour, alpha=0.18, lw=0)
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(title=f"Ratios to {base.backend} so far, with their intervals", xlabel="seconds since the race was begun")


def main() -> None:
    """Race and draw."""
    race, diary = raced()
    with styled():
        drawn(race, diary).savefig(PICTURE, format="svg", metadata={"Date": None, "Creator": None})
    print(f"{PICTURE}: {race.rounds} rounds, {len(race.openings)} openings, ended by {race.ended}")


if __name__ == "__main__":
    main()
