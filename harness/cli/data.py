"""``data``: fetch data sets and look at them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.planning import options

app = typer.Typer(help="Fetch data sets and look at them.")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, kmnist, emnist, cifar10 or cifar100.")] = "mnist",
) -> None:
    """Download a data set into the user's cache and check it; nothing is done where it is already there.

    Example: `python -m harness data fetch mnist`
    """
    from harness.datasets import NAMES, load_dataset
    from harness.datasets.mnist import fetch_mnist
    from harness.datasets.published import fetch_published
    from specs.errors import unknown

    if name == "digits":
        print("digits is embedded: there is nothing to fetch", file=sys.stderr)
        return
    if name not in NAMES:
        raise unknown("data set", name, NAMES)
    folder, downloaded = fetch_mnist() if name == "mnist" else fetch_published(name)
    load_dataset(name, folder if name == "mnist" else folder.parent)
    print(f"{name}: {'downloaded' if downloaded else 'was there already'}, and its content is right", file=sys.stderr)
    print(folder)


@app.command()
def show(
    dataset: Annotated[str, typer.Option(help=options.DATASET_HELP, metavar="NAME|PATH")] = "mnist",
    augment: Annotated[bool, typer.Option("--augment", help="Show each sample as nine epochs vary it.")] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Whose augmentation; default: lenet5_augmented.", metavar="NAME|PATH")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The PNG to write; default: NAME-samples.png or NAME-augmented.png.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="How many samples, 1 to 1000; default: 50, 10 with --augment.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of samples and of their augmentation.")] = 0,
    data_dir: options.DataDir = None,
) -> None:
    """Write a PNG of randomly chosen training samples with their labels, or of what augmentation makes of them.

    Example: `python -m harness data show --dataset digits --augment --out digits.png`
    """
    from harness.cli.checkpoint_options import tell
    from harness.datasets import load_dataset
    from harness.inputs.picture import augmentation_grid, sample_grid
    from specs.errors import RequestError
    from specs.loading import load_recipe

    if recipe is not None and not augment:
        raise RequestError("--recipe says whose augmentation to show: it goes with --augment")
    if augment:
        chosen = load_recipe(recipe or "lenet5_augmented")
        if not chosen.augmentation.active:
            raise RequestError(f"recipe {chosen.name!r} has no augmentation; lenet5_augmented has")
        data = load_dataset(dataset, data_dir)
        path = out or Path(f"{data.name}-augmented.png")
        picture = augmentation_grid(data, chosen.augmentation, count=10 if count is None else count, seed=seed)
    else:
        data = load_dataset(dataset, data_dir)
        path = out or Path(f"{data.name}-samples.png")
        picture = sample_grid(data, count=50 if count is None else count, seed=seed)
    tell([f"{data.name}: {note}" for note in data.notes])
    try:
        picture.save(path, format="PNG")
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror or error}") from None
    print(
        f"{data.title}: {len(data.train_labels):,} training and {len(data.test_labels):,} test images of "
        f"{' x '.join(map(str, data.train_images.shape[1:]))}, {data.classes} classes",
        file=sys.stderr,
    )
    print(path)
