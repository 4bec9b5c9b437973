"""What `make bench` measured: kept as raw seconds in results/reference, shown as a table in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from backends.registry import MANNERS
from harness.measuring.machine import machine
from results.statistics import Estimate, estimate, ratio
from tests.benchmarks.pages import replace_between

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "results" / "reference" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
# The bars: a loop, the one that it is measured against, and the least ratio of their speeds.
EXPERT_OF_BARE = ("expert", "bare", 0.98)
RECOMMENDED_OF_TUTORIAL = ("recommended", "tutorial", 1.0)
RECOMMENDED_OF_EXPERT = ("recommended", "expert", 0.8)
BARS = (RECOMMENDED_OF_TUTORIAL, RECOMMENDED_OF_EXPERT, EXPERT_OF_BARE)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A backend and a model: per loop the seconds of each counted epoch, and the mean loss of its first one.

    The loops are "default", "recommended" and "expert" as far as the backend has them, and "tutorial" and "bare" where
    somebody wrote them. ``beside`` is the share of a manner's time that the harness's loop spent outside
    ``train_steps``; ``code`` a digest of what was measured.
    """

    backend: str
    model: str
    samples: int
    threads: int
    code: str
    seconds: dict[str, list[float]]
    losses: dict[str, float]
    beside: dict[str, float]

    def speed(self, loop: str) -> Estimate:
        """Samples per second."""
        found = estimate([self.samples / seconds for seconds in self.seconds[loop]])
        assert found is not None
        return found

    def ratio(self, loop: str, peer: str) -> Estimate | None:
        """A loop's speed over a peer's, paired round by round; None where one of them was not measured."""
        if not {loop, peer} <= self.seconds.keys():
            return None
        pairs = zip(self.seconds[peer], self.seconds[loop], strict=True)  # speeds are inverse to seconds
        return ratio(list(pairs)).estimate


def line(cell: Cell) -> str:
    """One cell in one line of plain text."""
    speeds = " ".join(f"{loop} {cell.speed(loop).median:,.0f}/s" for loop in cell.seconds)
    ratios = "  ".join(f"{loop}/{peer} {_interval(cell.ratio(loop, peer))}" for loop, peer, _ in BARS)
    losses = " ".join(f"{name} {loss:.4f}" for name, loss in cell.losses.items())
    return f"{cell.backend:10} {cell.model:12} {speeds}  {ratios}  first epoch's losses {losses}"


def measured(backend: str, model: str, *, code: str, threads: int) -> bool:
    """Whether this cell was measured on this machine, of the same code."""
    kept = _kept()["cells"].get(f"{backend} {model}", {})
    return (kept.get("code"), kept.get("threads"), kept.get("cpu")) == (code, threads, machine().cpu)


def write_page() -> None:
    """Write the page's table anew from what is kept."""
    replace_between(PAGE, "bench", table(list(_kept()["cells"].values())))


def rewrite(cell: Cell) -> None:
    """Put a cell in the place of its older figures, and write the page's table anew."""
    kept = _kept()
    kept["cells"][f"{cell.backend} {cell.model}"] = {
        **asdict(cell),
        "seconds": {name: _rounded(values) for name, values in cell.seconds.items()},
        **_circumstances(),
    }
    _keep(kept)
    write_page()


def rewrite_parent(seconds: Sequence[float]) -> None:
    """The same for the parent's seconds per run."""
    _keep({**_kept(), "parent": {"seconds": _rounded(seconds), **_circumstances()}})
    text = f"{median(seconds):.2f} s a run (median of {len(seconds)}, at most {max(seconds):.2f})"
    replace_between(PAGE, "parent", f"The parent process adds {text}, {machine().cpu}.")


def _kept() -> dict[str, Any]:
    """What was measured, without cells of before there were manners, whose programs are no more."""
    kept = json.loads(MEASURED.read_text()) if MEASURED.exists() else {"cells": {}}
    return {**kept, "cells": {name: cell for name, cell in kept["cells"].items() if "code" in cell}}


def _keep(kept: dict[str, Any]) -> None:
    MEASURED.parent.mkdir(parents=True, exist_ok=True)
    MEASURED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _circumstances() -> dict[str, Any]:
    return {"cpu": machine().cpu, "measured_at": datetime.now(UTC).isoformat(timespec="minutes")}


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in seconds]


def table(kept: Sequence[dict[str, Any]]) -> str:
    """The cells as a Markdown table, and which of them miss a bar."""
    if not kept:
        return "Not measured since there are three manners: `make bench`."
    cells = [Cell(**{name: one[name] for name in Cell.__dataclass_fields__}) for one in kept]
    cells.sort(key=lambda cell: (cell.model, cell.backend))
    rows = [
        "| model | backend | default, samples/s | recommended | expert | recommended of tutorial "
        "| recommended of expert | default of expert | expert of bare | beside train_steps |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cell in cells:
        speeds = [f"{cell.speed(manner).median:,.0f}" if manner in cell.seconds else "" for manner in MANNERS]
        pairs = (RECOMMENDED_OF_TUTORIAL, RECOMMENDED_OF_EXPERT, ("default", "expert", 0), EXPERT_OF_BARE)
        ratios = [_interval(cell.ratio(loop, peer)) for loop, peer, _ in pairs]
        share = f"{max(cell.beside.values(), default=0):.2%}"
        rows.append(f"| {' | '.join([cell.model, cell.backend, *speeds, *ratios, share])} |")
    machines = sorted({f"{one['cpu']}, {one['threads']} threads" for one in kept})
    rounds = [len(cell.seconds["recommended"]) for cell in cells]
    fewest, most = min(rounds), max(rounds)
    return "\n".join(
        [
            *rows,
            "",
            f"Measured on {'; '.join(machines)}; {fewest if fewest == most else f'{fewest} to {most}'} rounds a cell; "
            "medians of ratios taken within a round, with 95 % intervals.",
            *(f"{sentence}: {', '.join(names) or 'none'}." for sentence, names in _missed(cells).items()),
            "",
        ]
    )


def _missed(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Each bar as a sentence, and who misses it: cells, but where a median over models counts, backends."""
    found = {}
    for loop, peer, least in (RECOMMENDED_OF_TUTORIAL, EXPERT_OF_BARE):
        ratios = {f"{cell.backend} {cell.model}": cell.ratio(loop, peer) for cell in cells}
        below = [name for name, found in ratios.items() if found is not None and found.median < least]
        found[f"{loop.capitalize()} below {least} of the {peer} loop"] = below
    loop, peer, least = RECOMMENDED_OF_EXPERT
    of_backend: dict[str, list[float]] = {}
    for cell in cells:
        if (one := cell.ratio(loop, peer)) is not None:
            of_backend.setdefault(cell.backend, []).append(one.median)
    below = [backend for backend, ratios in of_backend.items() if median(ratios) < least]
    found[f"{loop.capitalize()} below {least} of {peer} in the median of its models"] = below
    return found


def _interval(found: Estimate | None) -> str:
    if found is None:
        return ""
    bounds = f" ({found.low:.2f}-{found.high:.2f})" if found.low is not None and found.high is not None else ""
    return f"{found.median:.2f}{bounds}"
