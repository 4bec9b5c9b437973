"""The options that several commands share, each with one meaning and one help text.

Fields of ``harness.planning.choices`` are annotated with them, so that flags, study files and recorded commands agree.
"""

from pathlib import Path
from typing import Annotated

import typer

from backends.registry import alternatives

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
Backend = Annotated[
    str | None, typer.Option(help=f"{alternatives()}, or NAME@VERSION; default with --resume: the same.")
]
Model = Annotated[str | None, typer.Option(help="A model's name or YAML file.", metavar="NAME|PATH")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, batch order and dropout; default: 0.")]
Precision = Annotated[str | None, typer.Option(help="float32 (the default), float64 or bfloat16.")]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Keep the trained network as a checkpoint.")]
StopAfter = Annotated[
    int | None, typer.Option(help="End after this epoch; the learning rates stay laid out for all.", metavar="N")
]
Proof = Annotated[
    bool, typer.Option("--proof/--no-proof", help="Prove first that the backend computes what NumPy float64 does.")
]
Resume = Annotated[
    Path | None, typer.Option(help="Continue a checkpoint; --epochs counts the ones done.", metavar="CHECKPOINT")
]
Expect = Annotated[
    str | None,
    typer.Option(help="Refuse unless the files named are those of this fingerprint; recorded commands have it."),
]
Backends = Annotated[
    tuple[str, ...],
    typer.Option(
        "--backends",
        "--backend",
        help='Names, NAME@VERSION, or "all" that are installed (the default).',
        metavar="A,B,…",
    ),
]
Models = Annotated[
    tuple[str, ...],
    typer.Option("--models", "--model", help='Names or YAML files, or "all" (the default).', metavar="A,B,…"),
]
Datasets = Annotated[tuple[str, ...], typer.Option("--datasets", "--dataset", help="Default: mnist.", metavar="A,B,…")]
Seeds = Annotated[tuple[int, ...], typer.Option("--seeds", "--seed", help="Default: 0.", metavar="N,N,…")]
Repeats = Annotated[int, typer.Option(help="Interleaved rounds; default: 3.")]
Manners = Annotated[
    tuple[str, ...],
    typer.Option(
        "--tuning",
        help='default, recommended (unless told otherwise), expert; several, or "all" for those that each has.',
        metavar="MANNER,…",
    ),
]
Baseline = Annotated[str, typer.Option(help="The backend that ratios refer to, NAME or NAME@VERSION; default: torch.")]
RetryNoisy = Annotated[int, typer.Option(help="Repeat a run up to N times when the machine was busy.")]
Race = Annotated[
    bool, typer.Option("--race/--no-race", help="After the runs, race the backends of each case by turns.")
]
Budget = Annotated[
    float,
    typer.Option(
        help="Seconds of turns that the race of a case may take, beside opening its workers three to five times; "
        "default: 60."
    ),
]


def per_cent(text: str) -> float:
    """5 of "5" and "5%". Raises BadParameter."""
    try:
        return float(text.strip().removesuffix("%"))
    except ValueError:
        raise typer.BadParameter(f"must be per cent, 5 or 5% say, got {text!r}") from None


PrecisionTarget = Annotated[
    float,
    typer.Option(
        help="A race ends once every ratio's interval is within so many per cent of it; default: 5%.",
        metavar="PERCENT",
        parser=per_cent,
    ),
]
GateModels = Annotated[
    tuple[str, ...],
    typer.Option("--models", "--model", help="Names or YAML files; default: lenet5.", metavar="A,B,…"),
]
GateDatasets = Annotated[
    tuple[str, ...], typer.Option("--datasets", "--dataset", help="Default: digits.", metavar="A,B,…")
]
GateSeeds = Annotated[
    tuple[int, ...],
    typer.Option("--seeds", "--seed", help="A run of either side each; default: 0,1,2, the fewest.", metavar="N,N,…"),
]
MaxSlowdown = Annotated[
    float,
    typer.Option(help="Per cent more training time that are allowed; default: 5%.", metavar="PERCENT", parser=per_cent),
]
MaxMemory = Annotated[
    float,
    typer.Option(help="Per cent more peak memory that are allowed; default: 10%.", metavar="PERCENT", parser=per_cent),
]
MaxAccuracyLoss = Annotated[
    float, typer.Option(help="Points of test accuracy that may be lost; default: 0.5.", metavar="POINTS")
]
GateBudget = Annotated[
    float,
    typer.Option(
        help="Seconds of turns that the race of a case may take, beside opening its workers anew for every 6 of them; "
        "default: 120."
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="A result set in which the base was trained: accuracies and sameness alone are held against it.",
        metavar="NAME|FOLDER",
    ),
]
SetName = Annotated[str, typer.Option("--name", help="Name of the result set; default: from the models and the time.")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on stdout, nothing else.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the summary table as CSV on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; outcomes and errors are told as ever.")]
