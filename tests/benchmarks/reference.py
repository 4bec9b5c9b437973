"""The published results beside what the frameworks reached: the records of `make reference` as the README's table.

python -m tests.benchmarks.reference
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import results
from backends.registry import frameworks
from specs.loading import architecture_names, default_recipe
from tests.benchmarks.pages import replace_between

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
PAGES = ("README.md", "README.zh-CN.md")
BACKENDS = frameworks()


def table(runs: pd.DataFrame, epochs: pd.Series) -> str:
    """Test accuracies as Markdown, one row per model; ``epochs`` counts those of each run by its run_id.

    Runs of several seeds are shown as mean ± standard deviation; the spread is that of the frameworks' means. Of a
    training that was run with fewer epochs and with more, the longer counts; one shorter than the recipe says so in its
    cell, and is left out of the spread where others trained longer. Below are the bundled networks without a row.
    """
    lines = [
        "| model | epochs | seeds | target | before training | "
        + " | ".join(BACKENDS)
        + " | spread, points | macro precision, recall |",
        "|---|---:|---:|---:|---:|" + "---:|" * (len(BACKENDS) + 2),
    ]
    ok = runs[(runs["status"] == "ok") & runs["current"]]
    ok = ok.assign(trained=ok["run_id"].map(epochs))
    ok = ok[ok["trained"] == ok.groupby(["model", "backend", "seed"])["trained"].transform("max")]
    for model in dict.fromkeys(ok["model"]):
        mine = ok[ok["model"] == model]
        recipe = default_recipe(model)
        of_backend = mine.groupby("backend").agg(
            mean=("test_accuracy", "mean"),
            std=("test_accuracy", "std"),
            count=("test_accuracy", "count"),
            trained=("trained", "min"),
        )
        means = of_backend["mean"][of_backend["trained"] == of_backend["trained"].max()]
        seeds = sorted(set(of_backend["count"]))
        cells = [
            model,
            str(recipe.epochs),
            " to ".join(str(count) for count in (seeds if len(seeds) == 1 else (seeds[0], seeds[-1]))),
            f"{target:g}" if (target := recipe.targets.get("test_accuracy")) else "none",
            f"{mine['initial_test_accuracy'].median():.3f}",
            *(_cell(of_backend, backend, recipe.epochs) for backend in BACKENDS),
            f"{100 * (means.max() - means.min()):.2f}" if len(means) > 1 else "",
            f"{mine['macro_precision'].median():.4f}, {mine['macro_recall'].median():.4f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if missing := [name for name in architecture_names() if name not in set(ok["model"])]:
        lines += ["", f"Not run yet: {', '.join(missing)}."]
    return "\n".join(lines)


def _cell(of_backend: pd.DataFrame, backend: str, epochs: int) -> str:
    if backend not in of_backend.index:
        return "not run"
    runs = of_backend.loc[backend]
    deviation = f" ± {runs['std']:.4f}" if runs["count"] > 1 else ""
    trained = int(runs["trained"])
    shortened = f" ({trained} epoch{'s' if trained > 1 else ''})" if trained < epochs else ""
    return f"{runs['mean']:.4f}{deviation}{shortened}"


def main() -> None:
    """Write the table of all sets in results/reference into the READMEs."""
    loaded = results.load(*sorted(path.parent for path in REFERENCE.glob("*/set.json")))
    counted = loaded.epochs.groupby("run_id")["epoch"].max()
    for page in PAGES:
        replace_between(ROOT / page, "reference", table(loaded.runs, counted))


if __name__ == "__main__":
    main()
