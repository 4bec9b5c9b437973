"""How figures are shown: one place for units, digits and what is absent, the same in terminal, report and findings."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ABSENT = "–"
"""Shown for a figure that a run does not have; zero is shown as 0."""


@dataclass(frozen=True)
class FigureUnit:
    """How the figures of a column are shown: ``show`` gives the number, ``name`` is what follows it."""

    name: str
    show: Callable[[float], str]

    def text(self, value: float) -> str:
        """The figure with its unit."""
        return f"{self.show(value)}{'' if self.name in ('', '×') else ' '}{self.name}"


def significant(value: float, digits: int = 3) -> str:
    """``value`` to so many significant digits, thousands separated, without an exponent from 1e-4 to 1e15."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent < 15:
        return f"{value:.{digits - 1}e}"
    rounded = round(value, digits - 1 - exponent)
    exponent = math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, digits - 1 - exponent)}f}"


def _percent(decimals: int) -> Callable[[float], str]:
    return lambda value: f"{100 * value:.{decimals}f}"


_BY_SUFFIX: Mapping[str, FigureUnit] = {
    "accuracy": FigureUnit("%", _percent(2)),
    "macro_precision": FigureUnit("%", _percent(2)),
    "macro_recall": FigureUnit("%", _percent(2)),
    "macro_f1": FigureUnit("%", _percent(2)),
    "accuracy_difference": FigureUnit("points", lambda value: f"{100 * value:+.2f}".replace("-", "−")),
    "share_of_peak": FigureUnit("%", lambda value: significant(100 * value, 2)),
    "steal": FigureUnit("%", _percent(1)),
    "other_cpu": FigureUnit("%", _percent(1)),
    "samples_per_second": FigureUnit("samples/s", significant),
    "gflops": FigureUnit("GFLOP/s", significant),
    "ratio": FigureUnit("×", lambda value: significant(value, 4 if 0.9 < value < 1.1 else 3)),
    "loss": FigureUnit("", lambda value: significant(value, 4)),
    "ms": FigureUnit("ms", significant),
    "s": FigureUnit("s", significant),
    "seconds": FigureUnit("s", significant),
    "mb": FigureUnit("MiB", lambda value: f"{value:,.0f}"),
    "busy_threads": FigureUnit("", lambda value: f"{value:.1f}"),
    "wanted_threads": FigureUnit("", lambda value: f"{value:.1f}"),
    "cpu_mhz": FigureUnit("MHz", lambda value: f"{value:,.0f}"),
    "cpu_celsius": FigureUnit("°C", lambda value: f"{value:.0f}"),
}
_PLAIN = FigureUnit("", lambda value: f"{value:,}" if isinstance(value, int) else significant(value))


@lru_cache
def unit(column: str) -> FigureUnit:
    """The unit of a column, by the end of its name: "step_p50_ms" is in milliseconds."""
    column = re.sub(r"_(low|high|before|after)$", "", column)
    suffix = max((s for s in _BY_SUFFIX if column == s or column.endswith(f"_{s}")), key=len, default=None)
    return _PLAIN if suffix is None else _BY_SUFFIX[suffix]


def is_absent(value: Any) -> bool:
    """None, NaN, pandas.NA and NaT."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def cell(column: str, value: Any) -> str:
    """A figure of a column without its unit, for a table that has the unit in its heading."""
    if is_absent(value):
        return ABSENT
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    return unit(column).show(int(value) if hasattr(value, "dtype") and value.dtype.kind in "iu" else value)


def figure(column: str, value: Any) -> str:
    """A figure of a column with its unit, for a sentence."""
    return ABSENT if is_absent(value) else unit(column).text(value)


def interval(column: str, low: Any, high: Any) -> str:
    """The bounds of a figure without the unit; empty where there is no interval."""
    if is_absent(low) or is_absent(high):
        return ""
    show = unit(column).show
    return f"{show(low)} to {show(high)}" if low < 0 else f"{show(low)}–{show(high)}"


def moment(text: str) -> str:
    """An ISO 8601 time of a record for a reader: "2026-03-01 08:00 UTC"; anything else as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)\S*Z", text)
    return f"{found[1]} {found[2]} UTC" if found else plain(text)


def duration(seconds: float) -> str:
    """Seconds for a reader: "0.21 s", "3 min 5 s", "2 h 4 min"."""
    if seconds < 60:
        return f"{significant(seconds, 2 if seconds < 10 else 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


@lru_cache(maxsize=4096)
def plain(text: str, limit: int = 500) -> str:
    """One line of visible text: records come from strangers and their words end up in terminals and pages.

    Terminal escape sequences, control characters and characters that reorder or hide text are dropped.
    """
    visible = _ESCAPES.sub("", text)
    words = "".join(
        " " if c.isspace() else c for c in visible if c.isspace() or unicodedata.category(c)[0] != "C"
    ).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def plain_lines(text: str) -> str:
    """The same for a log or a traceback: lines and indentation stay."""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    return "\n".join("".join(c for c in line if unicodedata.category(c)[0] != "C") for line in lines)
