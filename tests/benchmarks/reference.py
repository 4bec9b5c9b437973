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
    """Test accuracies as Markdown, one row per model; ``epochs`` counts those of each run by its run_id.

    Runs of several seeds are shown as mean ± standard deviation; the spread is that of the frameworks' means.
    """
    lines = [
        "| model | epochs | seeds | target | before training | "
        + " | ".join(BACKENDS)
        + " | spread, points | macro precision, recall |",
        "|---|---:|---:|---:|---:|" + "---:|" * (len(BACKENDS) + 2),
    ]
    ok = runs[(runs["status"] == "ok") & runs["current"]]
    for model in dict.fromkeys(ok["model"]):
        mine = ok[ok["model"] == model]
        of_backend = mine.groupby("backend")["test_accuracy"].agg(["mean", "std", "count"])
        recipe = default_recipe(model)
        trained = sorted({int(epochs[run]) for run in mine["run_id"]})
        shown = ", ".join(f"{n}" if n == recipe.epochs else f"{n} of {recipe.epochs}" for n in trained)
        means, seeds = of_backend["mean"], sorted(set(of_backend["count"]))
        spread = f"{100 * (means.max() - means.min()):.2f}" if len(means) > 1 else ""
        cells = [
            model,
            shown,
            " to ".join(str(count) for count in (seeds if len(seeds) == 1 else (seeds[0], seeds[-1]))),
            f"{recipe.targets['test_accuracy']:g}",
            f"{mine['initial_test_accuracy'].median():.3f}",
            *(_accuracy(of_backend.loc[backend]) if backend in means else "not run" for backend in BACKENDS),
            spread,
            f"{mine['macro_precision'].median():.4f}, {mine['macro_recall'].median():.4f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _accuracy(runs: pd.Series) -> str:
    return f"{runs['mean']:.4f}" + (f" ± {runs['std']:.4f}" if runs["count"] > 1 else "")


def main() -> None:
    """Write the table of all sets in results/reference into the READMEs."""
    loaded = results.load(*sorted(path.parent for path in REFERENCE.glob("*/set.json")))
    counted = loaded.epochs.groupby("run_id")["epoch"].max()
    for page in PAGES:
        replace_between(ROOT / page, "reference", table(loaded.runs, counted))


if __name__ == "__main__":
    main()
