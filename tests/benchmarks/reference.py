"""The published results beside what the frameworks reached: the records of `make reference` as the README's table.

python -m tests.benchmarks.reference
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import results
from specs.loading import default_recipe
from tests.benchmarks.pages import replace_between

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
PAGES = ("README.md", "README.zh-CN.md")
BACKENDS = ("torch", "keras", "paddle", "mindspore")


def table(runs: pd.DataFrame, epochs: pd.Series) -> str:
    """Test accuracies as Markdown, one row per model; ``epochs`` counts those of each run by its run_id."""
    lines = [
        "| model | epochs | target | before training | "
        + " | ".join(BACKENDS)
        + " | spread, points | macro precision, recall |",
        "|---|---:|---:|---:|" + "---:|" * (len(BACKENDS) + 2),
    ]
    ok = runs[(runs["status"] == "ok") & runs["current"]]
    for model in dict.fromkeys(ok["model"]):
        mine = ok[ok["model"] == model]
        of_backend = mine.groupby("backend")["test_accuracy"].median()
        recipe = default_recipe(model)
        trained = sorted({int(epochs[run]) for run in mine["run_id"]})
        shown = ", ".join(f"{n}" if n == recipe.epochs else f"{n} of {recipe.epochs}" for n in trained)
        spread = f"{100 * (of_backend.max() - of_backend.min()):.2f}" if len(of_backend) > 1 else ""
        cells = [
            model,
            shown,
            f"{recipe.targets['test_accuracy']:g}",
            f"{mine['initial_test_accuracy'].median():.3f}",
            *(f"{of_backend[backend]:.4f}" if backend in of_backend else "not run" for backend in BACKENDS),
            spread,
            f"{mine['macro_precision'].median():.4f}, {mine['macro_recall'].median():.4f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write the table of all sets in results/reference into the READMEs."""
    loaded = results.load(*sorted(path.parent for path in REFERENCE.glob("*/set.json")))
    counted = loaded.epochs.groupby("run_id")["epoch"].max()
    for page in PAGES:
        replace_between(ROOT / page, "reference", table(loaded.runs, counted))


if __name__ == "__main__":
    main()
