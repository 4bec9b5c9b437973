"""What a person sees of a race: who stands where, drawn between turns so that it takes nothing of one; its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.cli.progress import console, sameness
from harness.planning.plan import RunPlan
from results.bounds import bounds
from results.formatting import ABSENT, cell, duration, plain
from results.race import Race, Racer
from results.race_words import sentences
from results.record import Proof
from results.words import Words

COLUMNS = ("backend", "samples/s", "ratio", "95 % interval", "quiet turns", "disturbed")


class RaceDisplay:
    """A live table on a terminal, a line per race elsewhere; nothing where ``quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """Workers are being opened."""
        if self._quiet:
            return
        title = f"race: {plans[0].architecture.name} on {plans[0].dataset}"
        names = ", ".join(dict.fromkeys(plan.backend.subject for plan in plans))
        if not console.is_terminal:
            console.print(Text(plain(f"{title}: {names}")))
            return
        self._live = Live(Text(plain(f"{title}: opening {names}")), console=console, auto_refresh=False, transient=True)
        self._live.start(refresh=True)

    def standing(self, race: Race) -> None:
        """The race after another round."""
        if self._live is not None:
            left = duration(max(0.0, race.budget_s - race.seconds))
            so_far = f"opening {len(race.openings)}, {race.rounds} rounds, at most {left} of turns left"
            title = f"race: {race.model} on {race.dataset}: {so_far}"
            table = Table(*COLUMNS)
            for cells in rows(race):
                table.add_row(*map(Text, cells))
            self._live.update(Group(Text(plain(title)), table), refresh=True)

    def finished(self, race: Race) -> None:
        """The race has ended."""
        self._stop()
        if not (self._quiet or console.is_terminal):
            for sentence in sentences(race, Words(), lambda racer: name(race, racer)):
                console.print(Text(plain(f"{race.model} on {race.dataset}: {sentence}", 1000)))

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def print_race(race: Race, proofs: Sequence[Proof]) -> None:
    """Ranks, ratios, who computes the same and how it ended, on stdout; the proofs are those of the racers."""
    print_ranks(race)
    for racer, proof in zip(race.racers, proofs, strict=True):
        print(f"- {name(race, racer)}: sameness {plain(sameness(proof))}")
    for sentence in sentences(race, Words(), lambda racer: name(race, racer)):
        print(f"- {sentence}")


def print_ranks(race: Race, machine: str = "", *, rates: bool = True) -> None:
    """The table of a race, on stdout. Of several machines in one there are no ``rates``."""
    from harness.cli.tables import print_table

    conditions = f"{race.device}, {race.precision}, {race.threads} thread{'s' * (race.threads > 1)}" + (
        f", {machine}" if machine else ""
    )
    title = f"Race by turns: {plain(race.model)} on {plain(race.dataset)}, {conditions}"
    told = [[row[0], row[1] if rates else ABSENT, *row[2:]] for row in rows(race)]
    print_table(title, COLUMNS, told, right=COLUMNS[1:])


def name(race: Race, racer: Racer) -> str:
    """What a racer is called: its version is said where its framework has several, its manner where there are."""
    versions = {one.framework_version for one in race.racers if one.backend == racer.backend}
    said = [racer.framework_version] if len(versions) > 1 and racer.framework_version else []
    said += [racer.manner] if len({one.manner for one in race.racers}) > 1 else []
    return plain(f"{racer.backend} ({', '.join(said)})" if said else racer.backend)


def rows(race: Race) -> list[list[str]]:
    """A row of COLUMNS for each, fastest first as far as that is known."""
    order = sorted(race.racers, key=lambda racer: -(racer.rate or 0.0))
    ranked = race.ranked
    return [_row(race, racer) for racer in (*ranked, *(one for one in order if one not in ranked))]


def _row(race: Race, racer: Racer) -> list[str]:
    size = race.ratio(racer).estimate if racer is not race.racers[race.baseline] else None
    itself = 1.0 if racer.rate else None
    return [
        name(race, racer),
        cell("train_samples_per_second", racer.rate),
        cell("ratio", itself if size is None else size.median),
        "" if size is None else bounds(size, Words()),
        str(racer.quiet),
        str(racer.disturbed),
    ]
