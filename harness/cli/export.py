"""``export``: a checkpoint's network in a form that runs without this project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.checkpoint_options import CheckpointFolder
from harness.planning import options
from specs.program import PROGRAM


def export(
    checkpoint: CheckpointFolder,
    format: Annotated[
        str,
        typer.Option(help=f"onnx, or a framework's own form: `{PROGRAM} list` has them.", metavar="FORM"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder to make; default: exports/MODEL-FORM.", metavar="FOLDER")
    ] = None,
    threads: options.Threads = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON on stdout, nothing else.")] = False,
) -> int:
    """Write a trained network as ONNX or in a framework's own form for deployment, run that, and compare its logits.

    Example: `python -m harness export --checkpoint results/runs/checkpoints/NAME --format onnx`
    """
    import json as encoder

    from harness.cli.checkpoint_options import failures_as_one_line, opened_checkpoint
    from harness.export.exporting import Differs, description
    from harness.export.exporting import export as make
    from harness.export.forms import TOLERANCE, Trained, find_form
    from harness.planning.resolve import resolve_threads

    form = find_form(format)
    trained = Trained.of(opened_checkpoint(checkpoint))
    folder = out or Path("exports") / f"{trained.architecture.name}-{form.name}"
    with failures_as_one_line(form.runner.name):
        try:
            made = make(form, trained, folder, threads=resolve_threads(threads))
        except Differs as error:
            print(f"error: {error}; nothing was kept", file=sys.stderr)
            return 1
    if json:
        print(encoder.dumps({**description(made, trained), "folder": str(folder)}))
        return 0
    print(
        f"run by {form.runner.title} {made.runner_version}: logits within {made.largest_difference:.1e} of the "
        f"reference's largest (at most {TOLERANCE:g})",
        file=sys.stderr,
    )
    print(folder)
    return 0
