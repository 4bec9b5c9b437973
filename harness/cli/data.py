"""``data``: fetch data sets and look at them."""

import typer

app = typer.Typer(help="Fetch data sets and look at them.")


@app.command()
def fetch(name: str = "mnist") -> None:
    """Download a data set into the user's cache."""


@app.command()
def show(dataset: str = "mnist") -> None:
    """A picture of samples with their labels."""
