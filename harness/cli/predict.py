"""``predict``: what a checkpoint makes of an image, in any backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options
from harness.cli.checkpoint_options import Backend, CheckpointFolder

if TYPE_CHECKING:
    from harness.predicting import Prediction


def predict(
    checkpoint: CheckpointFolder,
    images: Annotated[
        list[Path] | None, typer.Argument(help="PNG, JPEG, IDX or .npy files of any size.", metavar="[IMAGE]...")
    ] = None,
    backend: Backend = None,
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

    from backends.registry import find
    from harness.cli.checkpoint_options import failures_as_one_line, opened_checkpoint, tell
    from harness.inference import opened
    from harness.plan import check_device
    from harness.predicting import chosen_images, picture, predictions
    from harness.resolve import resolve_threads

    check_device(device)
    loaded = opened_checkpoint(checkpoint)
    registration = find(backend or loaded.manifest.backend)
    inputs = chosen_images(loaded, images or [], index=index, random=random, dataset=dataset, data_dir=data_dir)
    tell([f"{one.name}: {note}" for one in inputs for note in one.notes])
    with (
        failures_as_one_line(registration.name),
        opened(loaded, registration.name, device=device, threads=resolve_threads(threads), python=python) as model,
    ):
        answers = predictions(model.predict, inputs, loaded.recipe.preprocessing)
    drawn = None if json and out is None else out or Path("prediction.png")
    if drawn is not None:
        title = (
            f"{loaded.architecture.name} in {registration.name} {model.version}, trained with {loaded.manifest.backend}"
        )
        tell(picture(answers, drawn, title, backend=registration.name))
    if json:
        about = {"checkpoint": str(checkpoint), "backend": registration.name, "framework_version": model.version}
        report = {**about, "picture": drawn and str(drawn), "predictions": [one.to_dict() for one in answers]}
        print(encoder.dumps(report))
    else:
        _print(answers)
        print(drawn)
    return 0


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
