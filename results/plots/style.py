"""The common look of all plots."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#24292f"
FAINT = "#d5dae0"
PAPER = "#ffffff"
"""The three colours that a dark page replaces."""
WIDTH = 7.2
"""Inches: the width of a page's text."""

_STYLE: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 160,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.8,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "path",
    "svg.hashsalt": "results",  # the same records give the same file
    "text.parse_math": False,  # a name with dollar signs is a name
}
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei")
"""The first comes with matplotlib; the others, where installed, write the names of Chinese models."""


@contextmanager
def styled() -> Iterator[None]:
    """Within this, figures have the common look."""
    there = set(get_font_names())
    fonts = [name for name in _FONTS if name in there]
    with rc_context(_STYLE | {"font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name is drawn as far as it can be
        yield


def short(name: str, limit: int = 28) -> str:
    """A name cut to what a plot has room for."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def log_ticks(axis: Axis) -> None:
    """Name the decades of a log axis without matplotlib's math text, which names from records could break."""
    axis.set_major_locator(LogLocator(10, numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _decade(value)))
    axis.set_minor_formatter(NullFormatter())


def _decade(value: float) -> str:
    exponent = round(math.log10(value)) if value > 0 else 0
    return f"{value:,.0f}" if 0 <= exponent < 6 else f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def panels(heights: Sequence[float], *, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of the common width with panels of these heights in inches, in rows of ``columns``."""
    across = min(columns, len(heights))
    rows = [max(heights[start : start + across]) for start in range(0, len(heights), across)]
    figure = Figure(figsize=(WIDTH, sum(rows) + 0.35), layout="constrained")
    grid = figure.subplots(len(rows), across, squeeze=False, height_ratios=rows).ravel().tolist()
    for spare in grid[len(heights) :]:
        spare.remove()
    return figure, grid[: len(heights)]


LEGEND_INSIDE = 6
"""More curves than this have their legend below the figure."""


def legend(figure: Figure, ax: Axes, loc: Literal["upper right", "lower right"]) -> Legend:
    """The legend of the curves in ``ax``, where it hides none of them."""
    handles, names = ax.get_legend_handles_labels()
    if len(handles) <= LEGEND_INSIDE:
        return ax.legend(loc=loc)
    return figure.legend(handles, names, loc="outside lower center", ncols=3)
