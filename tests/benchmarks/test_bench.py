"""The bench itself: that its loops run, take turns and are compared, on little data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.registry import BACKENDS
from tests.benchmarks import report
from tests.benchmarks.bench import code, measure


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page and a file of figures to be written in place of the real ones."""
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- bench: -->\n<!-- /bench -->\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "MEASURED", tmp_path / "bench.json")
    return page


def cell(backend: str = "torch", model: str = "mlp", **seconds: float) -> report.Cell:
    """Four rounds of so many seconds each."""
    return report.Cell(
        backend=backend,
        model=model,
        samples=100,
        threads=1,
        code="abc",
        seconds={loop: [value, value * 1.01, value, value * 0.99] for loop, value in seconds.items()},
        losses=dict.fromkeys(seconds, 1.0),
        beside={"recommended": 0.01},
    )


def test_a_cell_is_measured() -> None:
    found = measure("numpy", "mlp", dataset="digits", rounds=2, threads=1, samples=512)
    assert {loop: len(seconds) for loop, seconds in found.seconds.items()} == {"default": 2, "recommended": 2}
    assert found.losses["default"] == pytest.approx(found.losses["recommended"])
    assert 0 < found.beside["recommended"] < 1
    assert found.code == code(BACKENDS["numpy"]) != code(BACKENDS["torch"])


def test_each_manner_has_its_speed_and_its_ratios(page: Path) -> None:
    report.rewrite(cell(default=4, recommended=2, expert=1, tutorial=8, bare=1.1))
    (row,) = [text for text in page.read_text().splitlines() if text.startswith("| mlp")]
    speeds = [text.strip() for text in row.split("|")][3:6]
    assert speeds == ["25", "50", "100"]
    ratios = [text.strip().partition(" ")[0] for text in row.split("|")][6:10]
    assert ratios == ["4.00", "0.50", "0.25", "1.10"]


def test_what_misses_a_bar_is_named(page: Path) -> None:
    report.rewrite(cell(recommended=2, expert=1, tutorial=1.5, bare=0.9))
    report.rewrite(cell(model="lenet5", recommended=1, expert=1, tutorial=1.5, bare=1))
    report.rewrite(cell("keras", recommended=2, expert=1))
    text = page.read_text()
    assert "Recommended below 1.0 of the tutorial loop: torch mlp." in text
    assert "Expert below 0.98 of the bare loop: torch mlp." in text
    assert "Recommended below 0.8 of expert in the median of its models: torch, keras." in text


def test_what_was_not_measured_is_left_empty(page: Path) -> None:
    report.rewrite(cell("numpy", default=1, recommended=1))
    assert "| mlp | numpy | 100 | 100 |  |  |  |  |  | 1.00% |" in page.read_text()


def test_a_bench_goes_on_where_it_stopped(page: Path) -> None:
    report.rewrite(cell(recommended=1))
    assert report.measured("torch", "mlp", code="abc", threads=1)
    assert not report.measured("torch", "mlp", code="abd", threads=1)
    assert not report.measured("torch", "mlp", code="abc", threads=2)
    assert not report.measured("torch", "lenet5", code="abc", threads=1)


def test_the_page_shows_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed figures, written anew, leave the committed page as it is."""
    shown = report.PAGE.read_text()
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
    report.PAGE.write_text(shown)
    report.write_page()
    assert report.PAGE.read_text() == shown


def test_figures_of_before_there_were_manners_are_not_shown(page: Path) -> None:
    old = {"backend": "torch", "model": "mlp", "seconds": {"adapter": [1.0]}, "threads": 2, "cpu": "any"}
    report.MEASURED.write_text(json.dumps({"cells": {"torch mlp": old}}))
    report.write_page()
    assert "Not measured" in page.read_text()
