"""What `make bench` measured: kept as raw seconds in results/reference, shown as a table in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from harness.measuring.machine import machine
from results.statistics import Estimate, estimate, ratio
from tests.benchmarks.pages import replace_between

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "results" / "reference" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
LEAST_OF_BARE = 0.98
LEAST_OF_TUTORIAL = 1.0


@dataclass(frozen=True)
class Cell:
    """A backend and a model: per loop the seconds of each counted epoch, and the mean loss of its first one.

    ``beside`` is the share of the adapter's time that its loop spent outside ``train_steps``.
    """

    backend: str
    model: str
    samples: int
    threads: int
    seconds: dict[str, list[float]]
    losses: dict[str, float]
    beside: float

    def speed(self, loop: str) -> Estimate:
        """Samples per second."""
        found = estimate([self.samples / seconds for seconds in self.seconds[loop]])
        assert found is not None
        return found

    def against(self, peer: str) -> Estimate:
        """The adapter's speed over a peer's, paired round by round."""
        pairs = zip(self.seconds[peer], self.seconds["adapter"], strict=True)  # speeds are inverse to seconds
        found = ratio([(theirs, ours) for theirs, ours in pairs]).estimate
        assert found is not None
        return found


def line(cell: Cell) -> str:
    """One cell in one line of plain text."""
    return (
        f"{cell.backend:10} {cell.model:12} {cell.speed('adapter').median:9,.0f}/s"
        f"  of bare {_interval(cell.against('bare'))}  of tutorial {_interval(cell.against('tutorial'))}"
        f"  beside {cell.beside:.2%}  first epoch's losses "
        + " ".join(f"{name} {loss:.4f}" for name, loss in cell.losses.items())
    )


def rewrite(cell: Cell) -> None:
    """Put a cell in the place of its older figures, and write the page's table anew."""
    kept = _kept()
    kept["cells"][f"{cell.backend} {cell.model}"] = {
        **asdict(cell),
        "seconds": {name: _rounded(values) for name, values in cell.seconds.items()},
        **_circumstances(),
    }
    _keep(kept)
    replace_between(PAGE, "bench", table(list(kept["cells"].values())))


def rewrite_parent(seconds: Sequence[float]) -> None:
    """The same for the parent's seconds per run."""
    _keep({**_kept(), "parent": {"seconds": _rounded(seconds), **_circumstances()}})
    text = f"{median(seconds):.2f} s a run (median of {len(seconds)}, at most {max(seconds):.2f})"
    replace_between(PAGE, "parent", f"The parent process adds {text}, {machine()['cpu']}.")


def _kept() -> dict[str, Any]:
    return json.loads(MEASURED.read_text()) if MEASURED.exists() else {"cells": {}}


def _keep(kept: dict[str, Any]) -> None:
    MEASURED.parent.mkdir(parents=True, exist_ok=True)
    MEASURED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _circumstances() -> dict[str, Any]:
    return {"cpu": machine()["cpu"], "measured_at": datetime.now(UTC).isoformat(timespec="minutes")}


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in seconds]


def table(kept: Sequence[dict[str, Any]]) -> str:
    """The cells as a Markdown table, and which of them miss a bar."""
    cells = [Cell(**{name: one[name] for name in Cell.__dataclass_fields__}) for one in kept]
    cells.sort(key=lambda cell: (cell.model, cell.backend))
    rows = [
        "| model | backend | samples/s | of the best bare loop | of the tutorial's loop | beside train_steps |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for cell in cells:
        ratios = f"{_interval(cell.against('bare'))} | {_interval(cell.against('tutorial'))}"
        rows.append(
            f"| {cell.model} | {cell.backend} | {cell.speed('adapter').median:,.0f} | {ratios} | {cell.beside:.2%} |"
        )
    below = [f"{cell.backend} {cell.model}" for cell in cells if cell.against("bare").median < LEAST_OF_BARE]
    slower = [f"{cell.backend} {cell.model}" for cell in cells if cell.against("tutorial").median <= LEAST_OF_TUTORIAL]
    machines = sorted({f"{one['cpu']}, {one['threads']} threads" for one in kept})
    rounds = [len(one["seconds"]["adapter"]) for one in kept]
    fewest, most = min(rounds), max(rounds)
    return "\n".join(
        [
            *rows,
            "",
            f"Measured on {'; '.join(machines)}; {fewest if fewest == most else f'{fewest} to {most}'} rounds a cell; "
            "medians of ratios taken within a round, with 95 % intervals.",
            f"Below {LEAST_OF_BARE} of the bare loop: {', '.join(below) or 'none'}. "
            f"Not above the tutorial's: {', '.join(slower) or 'none'}.",
            "",
        ]
    )


def _interval(found: Estimate) -> str:
    bounds = f" ({found.low:.2f}-{found.high:.2f})" if found.low is not None and found.high is not None else ""
    return f"{found.median:.2f}{bounds}"
