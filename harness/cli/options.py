"""The options that several commands share, each with one meaning and one help text."""

from pathlib import Path
from typing import Annotated

import typer

SETS = Path("results") / "runs"
"""Where single runs are recorded, and comparisons in folders of their own, unless --out says otherwise."""

DATASET_HELP = "mnist, digits, a folder of IDX files or an .npz."
Dataset = Annotated[
    str | None,
    typer.Option(help=f"{DATASET_HELP[:-1]}; default: the recipe's.", metavar="NAME|PATH"),
]
CheckpointDataset = Annotated[
    str | None,
    typer.Option("--dataset", help=f"{DATASET_HELP[:-1]}; default: the one trained on.", metavar="NAME|PATH"),
]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="A recipe's name or YAML file; default: the model's own.", metavar="NAME|PATH"),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs, in place of the recipe's.")]
BatchSize = Annotated[int | None, typer.Option(help="Batch size, in place of the recipe's.")]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads; default: all this process may use, within a container's quota.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Manner = Annotated[
    str,
    typer.Option(
        "--tuning",
        help="default: the framework as it comes; recommended: as its own guides advise; "
        "expert: whatever computes the same faster.",
        metavar="MANNER",
    ),
]
LimitTrain = Annotated[int | None, typer.Option(help="Use only the first N training samples.")]
LimitTest = Annotated[int | None, typer.Option(help="Use only the first N test samples.")]
DataDir = Annotated[Path | None, typer.Option(help="Where the dataset's files are.")]
Python = Annotated[Path | None, typer.Option(help="The interpreter that has the framework.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds a run may take in all.")]
StallTimeout = Annotated[float | None, typer.Option(help="Seconds a run may go without any progress.")]
MemoryLimit = Annotated[int | None, typer.Option(help="MiB of memory a run's worker may use.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the result set.")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on stdout, nothing else.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the summary table as CSV on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; outcomes and errors are told as ever.")]
