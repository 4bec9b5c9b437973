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
        for start in range(0, len(drawn.measured), PANELS):
            for kind, every, make in (
                ("race", drawn.cases, races.race),
                ("throughput", drawn.measured, bars.throughput),
                ("ladder", drawn.measured, ladders.ladder),
                ("memory", drawn.measured, bars.memory),
                ("phases", drawn.measured, bars.phases),
            ):
                cases = every[start : start + PANELS]
                part = f"-{start // PANELS + 1}" if len(every) > PANELS else ""
                yield from _finished(f"{kind}{part}", kind, "", cases, make(drawn, cases))
        for case in drawn.cases:
            about, name = analysis.labels.case(case.key), _name(analysis, case)
            yield from _finished(f"loss-{name}", "loss", about, [case], curves.loss(drawn, selection, case))
            for own in drawn.machines_of(case.key):
                said, file = analysis.labels.case(own.key), f"accuracy-{_name(analysis, own)}"
                yield from _finished(file, "accuracy", said, [own], curves.accuracy(drawn, own))
            yield from _finished(
                f"confusion-{name}", "confusion", about, [case], images.confusion(drawn, selection, case)
            )
        for dataset in dict.fromkeys(case.dataset for case in drawn.cases):
            name = f"gallery-{_slug(dataset)}"
            shown = [case for case in drawn.cases if case.dataset == dataset]
            yield from _finished(name, "gallery", dataset, shown, images.gallery(drawn, selection, dataset))


def _name(analysis: Analysis, case: Case) -> str:
    """What a case's plots are called: by its names and conditions, and its number where the names are not its alone."""
    key, number = case.key, analysis.labels.number(case.key.training)
    parts = [case.dataset, case.model, case.recipe, key.device, key.precision, str(key.threads)]
    parts += [key.set] if len({other.key.set for other in analysis.cases}) > 1 else []
    machine = f"-{_slug(key.machine)}" if key.machine in analysis.labels.machines else ""
    return _slug("-".join(parts)) + machine + (f"-{number}" if number > 1 else "")


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
