"""The plots: what is drawn for which runs, that files are sound, and that names from strangers do no harm."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import results
from results.findings import Analysis
from results.palette import in_order, look
from results.plots import Plot, curves, draw, ladders
from results.record import LearningCurve, Record
from results.selection import common_start
from results.trajectories import points
from results.words import Words
from tests.results.records import BACKENDS, fault, ladder, record, study, write


def drawn(path: Path, records: list[Record], **choices: bool) -> dict[str, Plot]:
    return {plot.name: plot for plot in draw(study_of(path, records, **choices))}


def study_of(path: Path, records: list[Record], **choices: bool) -> Analysis:
    loaded = results.load(write(path / "set", records, **choices).path)
    return Analysis(loaded, loaded.baseline(), Words("en"))


def test_a_study_has_every_plot(tmp_path: Path) -> None:
    plots = drawn(tmp_path, study(rounds=2), images=True)
    mlp, lenet5 = "mnist-mlp-mlp-cpu-float32-2", "mnist-lenet5-lenet5-cpu-float32-2"
    assert set(plots) == {
        "throughput", "memory", "phases", f"loss-{mlp}", f"accuracy-{mlp}", f"confusion-{mlp}", f"loss-{lenet5}",
        f"accuracy-{lenet5}", f"confusion-{lenet5}", "gallery-mnist",
    }  # fmt: skip
    for plot in plots.values():
        assert ET.fromstring(plot.svg).tag == "{http://www.w3.org/2000/svg}svg"
        with Image.open(io.BytesIO(plot.png)) as image:
            assert image.width > 1000
            assert np.asarray(image.convert("L")).std() > 5, f"{plot.name} is blank"


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    assert drawn(tmp_path / "a", [fault("crashed")]) == {}
    bare = record(epochs=1, curve=None, confusion_matrix=None, misclassified=())
    assert set(drawn(tmp_path / "b", [bare])) == {
        "throughput", "memory", "phases", "accuracy-mnist-mlp-mlp-cpu-float32-2",
    }  # fmt: skip


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    records = [record(b) for b in ("torch", "keras")]
    first, second = drawn(tmp_path / "a", records), drawn(tmp_path / "b", records)
    assert {name: plot.svg for name, plot in first.items()} == {name: plot.svg for name, plot in second.items()}


def test_names_with_markup_are_drawn_as_they_are(tmp_path: Path) -> None:
    name = "$\\frac{</svg><script>alert(1)</script>--> & 模型"
    plots = drawn(tmp_path, [record(b, model=name, recipe=name) for b in ("torch", name)])
    assert plots
    for plot in plots.values():
        ET.fromstring(plot.svg)
        assert "<script" not in plot.svg
        assert re.fullmatch(r"[a-z0-9-]+", plot.name)


def test_loss_curves_stand_where_they_belong(tmp_path: Path) -> None:
    """The first steps one by one, then means at the middle of their steps."""
    steps, losses = points(LearningCurve.of([float(i) for i in range(1, 1001)]))
    assert list(steps[:3]) == [1, 2, 3]
    np.testing.assert_allclose(steps, losses, atol=1e-9, err_msg="a loss equal to its step lies on the diagonal")


def test_losses_are_compared_from_the_same_start(tmp_path: Path) -> None:
    records = [
        record("torch", seed=0), record("torch", seed=1), record("keras", seed=1), record("paddle", seed=1),
        fault("failed", "keras", seed=0),
    ]  # fmt: skip
    made = study_of(tmp_path, records)
    (case,) = made.cases
    assert common_start(case) == (1, 0, "A")
    chosen = made.selection.at_common_start(case)
    assert [(s.backend, r.seed) for s, r in chosen] == [("torch", 1), ("keras", 1), ("paddle", 1)]
    figure = curves.loss(made, made.selection, case)
    assert figure is not None
    upper, lower = figure.axes
    assert [line.get_label() for line in upper.lines] == ["torch", "keras", "paddle"]
    assert len(lower.lines) == 2
    assert lower.get_yscale() == "log"
    assert "torch" in lower.get_ylabel()


def test_the_reference_is_numpy_where_it_ran(tmp_path: Path) -> None:
    made = study_of(tmp_path, [record(b) for b in ("torch", "keras", "numpy")])
    figure = curves.loss(made, made.selection, made.cases[0])
    assert figure is not None
    assert "numpy" in figure.axes[1].get_ylabel()


def test_the_ladder_has_a_marker_per_manner(tmp_path: Path) -> None:
    records = ladder("torch", default=1, recommended=1.1, expert=2) + ladder("keras", default=1, expert=2)
    made = study_of(tmp_path, records)
    figure = ladders.ladder(made, made.cases)
    assert figure is not None
    figure.savefig(png := io.BytesIO(), format="png")
    with Image.open(png) as image:
        assert np.asarray(image.convert("L")).std() > 5, "it is blank"
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    points = [(line.get_marker(), *map(float, line.get_xydata()[0])) for line in ax.lines if line.get_marker() in "osD"]
    assert sorted((names[int(place)], marker) for marker, _, place in points) == [
        ("keras", "D"), ("keras", "o"), ("torch", "D"), ("torch", "o"), ("torch", "s"),
    ]  # fmt: skip
    rates = {marker: rate for marker, rate, place in points if names[int(place)] == "torch"}
    assert {marker: rate / rates["s"] for marker, rate in rates.items()} == pytest.approx(
        {"o": 0.6 / 1.1, "s": 1.0, "D": 2 / 1.1}, rel=0.1
    )
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["default", "recommended", "expert"]


def test_a_diverged_curve_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    broken = record("keras", curve=LearningCurve(first=(2.3, 2.0, None, None)))
    assert "loss-mnist-mlp-mlp-cpu-float32-2" in drawn(tmp_path, [record("torch"), broken])


def test_validation_is_drawn_where_no_epoch_was_tested(tmp_path: Path) -> None:
    tested = record(epochs=3)
    epochs = tuple(
        one.model_copy(update={"validation_accuracy": one.test_accuracy, "test_accuracy": None})
        for one in tested.epochs
    )
    made = study_of(tmp_path, [tested.model_copy(update={"epochs": epochs})])
    figure = curves.accuracy(made, made.cases[0])
    assert figure is not None
    left, right = figure.axes
    assert left.get_ylabel() == "validation accuracy"
    for axes in (left, right):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [epoch.test_accuracy for epoch in tested.epochs])


# Linear RGB as seen with a kind of colour blindness: Viénot, Brettel and Mollon 1999.
SEEN = {
    "full colour": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    rgb = np.asarray(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(XYZ @ rgb / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", SEEN)
def test_backends_look_different_to_every_eye(kind: str) -> None:
    looks = [look(backend) for backend in (*BACKENDS, "numpy")]
    seen = [cielab(np.clip(np.array(SEEN[kind]) @ linear(one.colour), 0, 1)) for one in looks]
    assert min(float(np.linalg.norm(a - b)) for i, a in enumerate(seen) for b in seen[:i]) >= 25
    assert len({one.marker for one in looks}) == len(looks)


@pytest.mark.parametrize("paper", ["#ffffff", "#14171b"])
def test_backends_stand_out_from_the_page(paper: str) -> None:
    """Contrast by WCAG 2."""
    for backend in (*BACKENDS, "numpy"):
        dark, light = sorted(float(XYZ[1] @ linear(colour)) + 0.05 for colour in (paper, look(backend).colour))
        assert light / dark >= 2.3, backend


def test_a_backend_looks_the_same_everywhere() -> None:
    assert look("torch") == look("torch")
    assert look("torch", 1).colour == look("torch").colour
    assert look("torch", 1).dash != look("torch").dash
    assert look("jax").colour not in {look(b).colour for b in BACKENDS}
    assert in_order(["zzz", "numpy", "torch", "aaa", "torch"]) == ["torch", "numpy", "aaa", "zzz"]
