"""The plots of a analysis: what to draw, drawn with matplotlib and kept as SVG and PNG.

Habits of the field: readable at half a page, units on the axes, intervals drawn, one colour per backend everywhere
(``results.palette``). Axis texts are English in every language of the report; its captions are translated.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from results.columns import CaseKey
from results.words import Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from results.findings import Analysis
    from results.summary import Case

PANELS = 6
"""Cases that share a figure of bars at most."""


@dataclass(frozen=True)
class Plot:
    """A finished plot. ``name`` is its file's, ``kind`` names its caption in ``results.words``, ``about`` the case.

    ``cases`` are those that are in it.
    """

    name: str
    kind: str
    about: str
    cases: tuple[CaseKey, ...]
    svg: str
    png: bytes


def draw(analysis: Analysis) -> Iterator[Plot]:
    """Every plot that the runs have something for."""
    from results.plots import bars, curves, images, ladders, races
    from results.plots.style import styled

    drawn = replace(analysis, words=Words("en"))  # matplotlib's own font has no Chinese
    selection = analysis.selection
    with styled():
        for number, start in enumerate(range(0, len(drawn.cases), PANELS), start=1):
            cases = drawn.cases[start : start + PANELS]
            part = f"-{number}" if len(drawn.cases) > PANELS else ""
            yield from _finished(f"race{part}", "race", "", cases, races.race(drawn, cases))
            yield from _finished(f"throughput{part}", "throughput", "", cases, bars.throughput(drawn, cases))
            yield from _finished(f"ladder{part}", "ladder", "", cases, ladders.ladder(drawn, cases))
            yield from _finished(f"memory{part}", "memory", "", cases, bars.memory(drawn, cases))
            yield from _finished(f"phases{part}", "phases", "", cases, bars.phases(drawn, cases))
        several_sets = len({case.key.set for case in drawn.cases}) > 1
        for case in drawn.cases:
            about = analysis.labels.case(case.key)
            name = _name(analysis, case, several_sets=several_sets)
            yield from _finished(f"loss-{name}", "loss", about, [case], curves.loss(drawn, selection, case))
            yield from _finished(f"accuracy-{name}", "accuracy", about, [case], curves.accuracy(drawn, case))
            yield from _finished(
                f"confusion-{name}", "confusion", about, [case], images.confusion(drawn, selection, case)
            )
        for dataset in dict.fromkeys(case.dataset for case in drawn.cases):
            name = f"gallery-{_slug(dataset)}"
            shown = [case for case in drawn.cases if case.dataset == dataset]
            yield from _finished(name, "gallery", dataset, shown, images.gallery(drawn, selection, dataset))


def _name(analysis: Analysis, case: Case, *, several_sets: bool) -> str:
    """What a case's plots are called: by its names and conditions, and its number where the names are not its alone."""
    key, number = case.key, analysis.labels.number(case.key.training)
    parts = [case.dataset, case.model, case.recipe, key.device, key.precision, str(key.threads)]
    parts += [key.set] if several_sets else []
    return _slug("-".join(parts)) + (f"-{number}" if number > 1 else "")


def _finished(name: str, kind: str, about: str, cases: Sequence[Case], figure: Figure | None) -> Iterator[Plot]:
    if figure is None:
        return
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.set_layout_engine("none")  # the layout is found; finding it again would double the time
    figure.savefig(png, format="png")
    yield Plot(name, kind, about, tuple(case.key for case in cases), svg.getvalue(), png.getvalue())


def _slug(text: str) -> str:
    """A name fit for a file: what a stranger called a model cannot lead anywhere."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "_"
