"""``show``: a model's layers, shapes, parameters and FLOPs."""

from typing import Annotated

import typer


def show(model: Annotated[str, typer.Argument(help="A model's name or the path of a YAML file.")]) -> None:
    """The layer table of a model."""
