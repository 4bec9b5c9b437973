"""What a person sees of a gate while it goes on, and what it writes when it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.cli.profile import ProfileBar
from harness.cli.race_display import RaceDisplay
from harness.planning.plan import RunPlan
from results.gate.outcome import Gate
from results.race import Race


class GateWatch:
    """The display of races, and of the profiles after them."""

    def __init__(self, *, quiet: bool) -> None:
        self._race = RaceDisplay(quiet=quiet)
        self._bar = ProfileBar(quiet=quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._race.__exit__(kind, error, tb)
        self._bar.__exit__(kind, error, tb)

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """See ``harness.racing.cases.Watcher``."""
        self._race.begun(plans)

    def standing(self, race: Race) -> None:
        """See ``harness.racing.cases.Watcher``."""
        self._race.standing(race)

    def finished(self, race: Race) -> None:
        """See ``harness.racing.cases.Watcher``; the gate says itself what it came to."""
        self._race.__exit__(None, None, None)

    def profiling(self, what: str, done: int, of: int) -> None:
        """A layer is being profiled."""
        self._bar.__enter__()
        self._bar(what, done, of)


def print_gate(gate: Gate, *, json: bool) -> None:
    """The outcome on stdout: a table and sentences, or all of it as JSON."""
    import json as json_module

    from harness.cli.tables import print_table
    from results.formatting import plain
    from results.gate.rows import COLUMNS, rows, sentences

    if json:
        print(json_module.dumps(gate.to_dict(), indent=2))
        return
    print_table(plain(gate.headline), COLUMNS, rows(gate), right=COLUMNS[3:8])
    for sentence in sentences(gate):
        print(f"- {sentence}")
    for case in gate.cases:
        if case.layers is not None and case.layers.costs:
            print()
            print_table(
                f"Layers of {plain(case.model)}: ms per batch, forward, backward and update",
                ("layer", "base", "candidate", ""),
                [
                    (cost.name, f"{cost.base_ms:.3g}", f"{cost.candidate_ms:.3g}", "slower" if cost.slower else "")
                    for cost in case.layers.costs
                ],
                right=("base", "candidate"),
            )
    print(f"- {gate.conditions}")


def check_forms(files: Iterable[Path | None]) -> None:
    """Raise StoreError or RequestError now for a file that could not be written when all has been run."""
    from results.files import explained
    from specs.errors import RequestError

    taken: set[Path] = set()
    for file in files:
        if file is None:
            continue
        if file.is_dir():
            raise RequestError(f"{file} is a folder: name the file to write")
        if file.resolve() in taken:
            raise RequestError(f"{file} is named for two forms: give each a file of its own")
        taken.add(file.resolve())
        there = file.exists()
        with explained("write", file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("a").close()
        if not there:
            file.unlink()


def write_forms(gate: Gate, *, junit: Path | None, markdown: Path | None, benchmark: Path | None) -> None:
    """The files that were asked for. Raises StoreError."""
    from results.files import write_atomic
    from results.gate.benchmark import benchmark as benchmark_form
    from results.gate.junit import junit as junit_form
    from results.gate.markdown import markdown as markdown_form

    for file, form in ((junit, junit_form), (markdown, markdown_form), (benchmark, benchmark_form)):
        if file is not None:
            write_atomic(file, form(gate))
