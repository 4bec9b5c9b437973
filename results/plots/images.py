"""Which classes are taken for which, and the images most often misclassified."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from results.palette import in_order
from results.plots.style import FAINT, INK, WIDTH, short
from results.selection import Selection
from results.summary import Case, Subject

if TYPE_CHECKING:
    from results.findings import Analysis

CLASSES_SHOWN = 20
"""More classes than this leave no room for numbers."""
GALLERY = 24
_ERRORS = LinearSegmentedColormap.from_list("errors", ["#fdae6b00", "#fd8d3ca0", "#d94801"])
"""From clear to opaque: the page shows through, be it light or dark."""
GREY = "grey"
"""What the ids of grey pictures begin with: a dark page inverts them."""


def confusion(analysis: Analysis, selection: Selection, case: Case) -> Figure | None:
    """Errors per run, true class against predicted: the mean of all backends with numbers, each backend beside it (of
    several manners or versions the recommended one, the first).

    The diagonal (right answers) is left out: beside it no error could be seen.
    """
    errors = [(subject, matrix) for subject in case.subjects if (matrix := _errors(selection, subject)) is not None]
    if not errors or len({matrix.shape for _, matrix in errors}) > 1:
        return None
    most = max(1.0, *(float(matrix.max()) for _, matrix in errors))
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[4, 3.2])[0]
    large = left.subplots()
    picture = _matrix(large, np.mean([matrix for _, matrix in errors], axis=0), most, numbers=True)
    large.set(xlabel="predicted class", ylabel="true class", title=f"{short(analysis.labels.case(case.key), 32)}, all")
    each = dict(reversed([(subject.backend, (subject, matrix)) for subject, matrix in _recommended_first(errors)]))
    across = 1 if len(each) == 1 else 2
    grid = right.subplots(-(-len(each) // across), across, squeeze=False).ravel()
    for ax in grid[len(each) :]:
        ax.remove()
    for ax, (subject, matrix) in zip(grid, [each[name] for name in in_order(each)], strict=False):
        _matrix(ax, matrix, most, numbers=False)
        ax.set_title(short(analysis.labels.subject(subject.key), 20), fontsize=9)
    bar = left.colorbar(picture, ax=large, shrink=0.7, aspect=25)
    bar.set_label("test images per run")
    bar.outline.set_visible(False)
    return figure


def _recommended_first(errors: list[tuple[Subject, NDArray[np.float64]]]) -> list[tuple[Subject, NDArray[np.float64]]]:
    return sorted(errors, key=lambda pair: pair[0].key.tuning != "recommended")


def _errors(selection: Selection, subject: Subject) -> NDArray[np.float64] | None:
    """The mean confusion matrix of a subject's runs with its diagonal taken out."""
    found = [np.asarray(r.confusion_matrix, float) for r in selection.whole(subject.ok) if r.confusion_matrix]
    if not found or found[0].ndim != 2 or any(matrix.shape != found[0].shape for matrix in found):
        return None
    rows, columns = found[0].shape
    return None if rows != columns else np.mean(found, axis=0) * ~np.eye(rows, dtype=bool)


def _matrix(ax: Axes, matrix: NDArray[np.float64], most: float, *, numbers: bool) -> AxesImage:
    picture = ax.imshow(matrix, cmap=_ERRORS, vmin=0, vmax=most)
    classes = len(matrix)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.set(xticks=[], yticks=[])
    ax.spines[["top", "right"]].set_visible(True)
    for spine in ax.spines.values():
        spine.set(color=FAINT)
    if numbers and classes <= CLASSES_SHOWN:
        ax.set(xticks=range(classes), yticks=range(classes))
        for (row, column), count in np.ndenumerate(matrix):
            if count >= 0.5:
                colour = "#fffffe" if count > 0.7 * most else INK
                ax.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    return picture


def gallery(analysis: Analysis, selection: Selection, dataset: str) -> Figure | None:
    """The test images misclassified by most runs of any backend, with the true class and the one most often said."""
    subjects = [subject for case in analysis.cases if case.dataset == dataset for subject in case.subjects]
    records = [record for record in selection.of_subjects(subjects) if record.misclassified]
    said: dict[int, Counter[tuple[int, int]]] = {}
    for record in records:
        for misclassified in record.misclassified:
            said.setdefault(misclassified.index, Counter())[misclassified.true, misclassified.predicted] += 1
    worst = sorted(said, key=lambda index: (-said[index].total(), index))
    pictures = [(index, picture) for index in worst if (picture := _picture(analysis, dataset, index)) is not None]
    if not pictures:
        return None
    pictures = pictures[:GALLERY]
    across = 8
    figure = Figure(figsize=(WIDTH, 1.3 * -(-len(pictures) // across)), layout="constrained")
    grid = figure.subplots(-(-len(pictures) // across), across, squeeze=False).ravel()
    for ax in grid:
        ax.set_axis_off()
    for ax, (index, picture) in zip(grid, pictures, strict=False):
        (true, predicted), _ = said[index].most_common(1)[0]
        drawn = ax.imshow(picture, cmap="gray_r")
        if picture.ndim == 2:
            drawn.set_gid(f"{GREY}{index}")
        ax.set_title(f"{true} → {predicted}", fontsize=10, loc="center", color=INK)
        ax.text(0.5, -0.06, f"{said[index].total()} of {len(records)}", transform=ax.transAxes, ha="center", va="top",
                fontsize=7.5)  # fmt: skip
    return figure


def _picture(analysis: Analysis, dataset: str, index: int) -> NDArray[Any] | None:
    """The pixels kept in one of the sets; None where there are none or they cannot be read."""
    from PIL import Image, UnidentifiedImageError

    for one in analysis.results.sets:
        file = one.image_file(dataset, index)
        try:
            with Image.open(io.BytesIO(file.read_bytes())) as image:
                if max(image.size) <= 1024:
                    return np.asarray(image)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            continue
    return None
