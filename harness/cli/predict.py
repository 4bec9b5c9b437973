"""``predict``: what a checkpoint makes of an image, in any backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.checkpoint_options import Backend, CheckpointFolder
from harness.planning import options
from specs.program import PROGRAM

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from harness.checkpoints import Checkpoint
    from harness.inference.network import Model
    from harness.inference.predicting import Prediction

    Opening = tuple[str, AbstractContextManager[Model]]


def predict(
    checkpoint: CheckpointFolder,
    images: Annotated[
        list[Path] | None, typer.Argument(help="PNG, JPEG, IDX or .npy files of any size.", metavar="[IMAGE]...")
    ] = None,
    backend: Backend = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help="Export the network first and run that: onnxruntime, or a framework's own form "
            f"(`{PROGRAM} list` has them).",
            metavar="RUNTIME",
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(help="The image at N, from 0, of the test set or of an IDX or .npy file.", metavar="N")
    ] = None,
    random: Annotated[bool, typer.Option("--random", help="An image of the test set, another one each time.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="The picture to write; default: prediction.png.", metavar="PNG")
    ] = None,
    dataset: options.CheckpointDataset = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    python: options.Python = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout, nothing else; a picture only with --out.")
    ] = False,
) -> int:
    """The label of an image, the probability of every class, and a picture of both.

    Scans may be dark on light, of any size, in colour: what is done to them is said on stderr.

    Example: `python -m harness predict --checkpoint results/runs/checkpoints/NAME --index 3`
    """
    import json as encoder

    from harness.cli.checkpoint_options import failures_as_one_line, opened_checkpoint, tell
    from harness.inference.predicting import chosen_images, picture, predictions
    from harness.planning.plan import check_device
    from harness.planning.resolve import resolve_threads
    from specs.versioned import Versioned

    check_device(device)
    loaded = opened_checkpoint(checkpoint)
    count = resolve_threads(threads)
    if runtime is None:
        name, opening = _session(loaded, backend, device=device, threads=count, python=python)
    else:
        _refuse_beside_runtime({"backend": backend, "python": python, "device": None if device == "cpu" else device})
        name, opening = _export(loaded, runtime, threads=count)
    inputs = chosen_images(loaded, images or [], index=index, random=random, dataset=dataset, data_dir=data_dir)
    tell([f"{one.name}: {note}" for one in inputs for note in one.notes])
    with failures_as_one_line(name), opening as model:
        answers = predictions(model.predict, inputs, loaded.recipe.preprocessing)
    drawn = None if json and out is None else out or Path("prediction.png")
    if drawn is not None:
        title = f"{loaded.architecture.name} in {name} {model.version}, trained with {loaded.manifest.backend}"
        tell(picture(answers, drawn, title, backend=Versioned.parse(name).name))
    if json:
        about = {"checkpoint": str(checkpoint), "backend": name, "runtime": runtime, "framework_version": model.version}
        report = {**about, "picture": drawn and str(drawn), "predictions": [one.to_dict() for one in answers]}
        print(encoder.dumps(report))
    else:
        _print(answers)
        print(drawn)
    return 0


def _session(checkpoint: Checkpoint, backend: str | None, **choices: Any) -> Opening:
    """The name of a backend, and its session of the checkpoint's network, not yet started."""
    from backends.registry import find
    from harness.inference.network import opened

    name = find(backend or checkpoint.manifest.backend).subject
    return name, opened(checkpoint, name, **choices)


def _export(checkpoint: Checkpoint, runtime: str, *, threads: int) -> Opening:
    """The name of what runs a form of export, and the checkpoint's network in it, not yet started."""
    from harness.export.forms import exported, find_runtime

    form = find_runtime(runtime)
    return form.runner.name, exported(checkpoint, form, threads=threads)


def _refuse_beside_runtime(options: dict[str, object]) -> None:
    from specs.errors import RequestError

    for option, value in options.items():
        if value is not None:
            raise RequestError(f"--runtime says what runs the network: leave out --{option}")


def _print(answers: list[Prediction]) -> None:
    from harness.cli.tables import print_table

    def row(one: Prediction) -> list[str]:
        first, second = one.ranking()[:2]
        return [one.name, str(first), _percent(one, first), f"{second} ({_percent(one, second)})"]

    print_table("Predictions", ["image", "label", "probability", "next"], [row(one) for one in answers])
    if len(answers) == 1:
        (one,) = answers
        columns = [str(number) for number in sorted(one.ranking()[:10])]
        print_table("Probabilities", columns, [[_percent(one, int(number)) for number in columns]], right=columns)


def _percent(one: Any, number: int) -> str:
    return f"{100 * one.probabilities[number]:.2f} %"
