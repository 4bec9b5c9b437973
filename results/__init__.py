"""What a run is worth: the record of a run, the store of records, tables, plots and the report.

In a notebook::

    from results import load

    study = load("results/runs/demo")  # several sets may be given
    study.runs                         # pandas DataFrame, one tidy row per run
    study.epochs                       # one row per epoch
    study.summary(baseline="torch")    # medians, intervals and ratios per backend, model and dataset
    study.damaged                      # lines of the files that are no record
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.tables import Results


def load(*paths: str | Path) -> Results:
    """The runs of one or more result sets as tables. Raises specs.errors.RequestError where a path is no set."""
    from results.tables import Results  # pandas takes half a second to import

    return Results.load(paths)
