"""A picture of predictions: each image beside the probabilities of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results.plots.style import WIDTH, short, styled

MOST_ROWS = 20
MOST_CLASSES = 10
"""Of a row; where there are more classes, the most probable ones are drawn."""

_ROW_HEIGHT = 2.1  # inches
_OTHER = "#a9b4c0"  # bars of the classes not predicted


@dataclass(frozen=True, eq=False)
class Shown:
    """One row: ``pixels`` uint8[C, H, W] as the model saw them, ``probabilities`` float[classes]."""

    name: str
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float64]
    truth: int | None = None


def draw(rows: Sequence[Shown], title: str, *, colour: str) -> Figure:
    """A figure of the first MOST_ROWS rows, the bar of the class predicted in ``colour``."""
    with styled():
        drawn = rows[:MOST_ROWS]
        figure = Figure(figsize=(WIDTH, _ROW_HEIGHT * len(drawn) + 0.4), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
        grid = figure.subplots(len(drawn), 2, squeeze=False, width_ratios=(1, 2.4))
        for axes, row in zip(grid, drawn, strict=True):
            _image(axes[0], row)
            _bars(axes[1], row, colour)
        return figure


def _image(axes: Any, row: Shown) -> None:
    pixels = row.pixels.transpose(1, 2, 0) if len(row.pixels) == 3 else row.pixels[0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)  # the map and its bounds count for grey images alone
    axes.set_title(short(row.name, 26), fontweight="normal", fontsize=8.5)
    axes.set_axis_off()


def _bars(axes: Any, row: Shown, colour: str) -> None:
    p = row.probabilities
    classes = np.arange(len(p)) if len(p) <= MOST_CLASSES else np.sort(np.argsort(-p, kind="stable")[:MOST_CLASSES])
    best = int(p.argmax())
    colours = [colour if number == best else _OTHER for number in classes]
    bars = axes.bar([str(number) for number in classes], p[classes], color=colours, width=0.75)
    axes.bar_label(bars, [f"{100 * value:.1f} %" if value >= 0.01 else "" for value in p[classes]], fontsize=7.5)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.set_ylabel("probability")
    axes.grid(visible=False, axis="x")
    said = f"{best}, {100 * p[best]:.1f} %"
    axes.set_title(said if row.truth is None else f"{said}   (it is {row.truth})")
